"""The ladder as a picture: what it shows, that it is XML whatever texts say, that it is bounded; and it opens."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_html import (  # noqa: F401
    HOSTILE,
    START_NS,
    Told,
    chrome,
    connection,
    evidence_of,
    hostile,
    message,
    rows,
    written,
)

from ocppscope.export import svg
from ocppscope.export.evidence import Row
from ocppscope.model import ConnectionOpened, ExchangeEnd, Kind, Outcome, Side
from ocppscope.store.notes import Note
from ocppscope.store.verdicts import Verdict
from support_cli import CAPTURES, UPDATE

GOLDEN = Path(__file__).parent / "golden" / "remote_start_stop.svg"
NAME = "{http://www.w3.org/2000/svg}"
CAPTURE_NAMES = ["broken_silence", "refused_handshakes", "any_interface", "capture_loss", "malformed", "ocpp21_send"]


def picture(evidence):
    return ElementTree.fromstring(written(evidence, svg))


def texts(evidence):
    return ["".join(one.itertext()) for one in picture(evidence).iter(f"{NAME}text")]


def several(count, **changes):
    """A message each of several stations."""
    known = {number: connection(number, f"CP-{number}") for number in range(count)}
    opened = [ConnectionOpened(START_NS, one) for one in known.values()]
    said = [Row(row, message(row, connection=row, action="Authorize", **changes)) for row in range(count)]
    return Told((*opened, *said), known)


def test_as_reviewed():
    drawn = written(evidence_of(CAPTURES / "remote_start_stop.pcap"), svg)
    if UPDATE:
        GOLDEN.write_bytes(drawn)
    assert drawn == GOLDEN.read_bytes()


@pytest.mark.parametrize("name", CAPTURE_NAMES)
def test_every_row_is_in_it(name):
    evidence = evidence_of(CAPTURES / f"{name}.pcap")
    said = texts(evidence)
    for item in evidence.items():
        if isinstance(item, Row):
            assert any(item.message.action[:36] in text for text in said)
            for verdict, _ in item.verdicts[: svg.MAX_REMARKS - 1]:
                assert any(text.startswith(f"▲ {verdict.rule}") for text in said)


@pytest.mark.parametrize("name", CAPTURE_NAMES)
def test_nothing_stands_beyond_its_edges(name):
    drawn = picture(evidence_of(CAPTURES / f"{name}.pcap"))
    width, height = int(drawn.get("width", "")), int(drawn.get("height", ""))
    for one in drawn.iter(f"{NAME}text"):
        x, y, anchor = int(one.get("x", "")), int(one.get("y", "")), one.get("class", "").split()
        length = len("".join(one.itertext())) * svg.CHAR
        left = x - length if "end" in anchor else x - length // 2 if "middle" in anchor else x
        assert left >= -svg.CHAR
        assert left + length <= width + svg.CHAR
        assert 0 < y < height


def test_sides_kinds_and_failures():
    call = message(0, action="Authorize")
    answer = message(
        1, b'[4,"1","InternalError","no",{}]', kind=Kind.CALLERROR, action="Authorize", side=Side.CSMS, reply_to=0,
        latency_ns=3_000_000,
    )  # fmt: skip
    drawn = picture(Told((Row(0, call), Row(1, answer)), {0: connection()}))
    arrows = drawn.findall(f"{NAME}g")
    assert [one.get("class") for one in arrows] == ["station", "error"]
    assert [one[0].get("class") for one in arrows] == ["shaft solid", "shaft dashed"]
    said = texts(Told((Row(0, call), Row(1, answer)), {0: connection()}))
    assert "ERROR Authorize 3.0ms" in said
    assert "InternalError: no" in said


def test_findings_and_notes_stand_below():
    said = ((Verdict("rpc-callerror", "error", "rpc"), "It failed."),)
    noted = Row(0, message(), said, Note(START_NS, "A", "look"))
    assert {"✎ A  look", "▲ rpc-callerror  It failed."} <= set(texts(Told((noted,), {0: connection()})))


def test_many_findings_of_one_row():
    said = tuple((Verdict(f"rule-{number}", "note", "rpc"), "x") for number in range(9))
    shown = [text for text in texts(Told((Row(0, message(), said),), {0: connection()})) if text.startswith("▲")]
    assert shown == ["▲ rule-0  x", "▲ rule-1  x", "▲ and 7 more  "]


def test_heartbeats_are_one_row_unless_something_was_said_of_them():
    plain = texts(Told(rows(5), {0: connection()}))
    assert any("5 heartbeats" in text for text in plain)
    noted = (*rows(3), Row(3, message(3), (), Note(START_NS, "", "here")), Row(4, message(4)))
    assert "✎ note  here" in texts(Told(noted, {0: connection()}))


def test_stations_have_lanes_until_there_are_too_many():
    few, many = several(svg.MAX_SVG_LANES), several(svg.MAX_SVG_LANES + 1)
    assert {f"CP-{number}" for number in range(svg.MAX_SVG_LANES)} <= set(texts(few))
    said = texts(many)
    assert f"{svg.MAX_SVG_LANES + 1} stations" in said
    assert "CP-3 Authorize" in said


def test_a_proxy_has_a_lane_where_both_legs_are_shown():
    def shown(*connections):
        legs = {0: connection(0), 1: connection(1, leg_of=0)}
        opened = [ConnectionOpened(START_NS, one) for one in legs.values()]
        said = [Row(row, message(row, connection=row, action="Authorize")) for row in connections]
        return texts(Told((*opened, *said), legs))

    assert "proxy" in shown(0, 1)
    assert "proxy" not in shown(0)


def test_the_same_twice():
    evidence = evidence_of(CAPTURES / "malformed.pcap")
    assert written(evidence, svg) == written(evidence, svg)


def test_nothing_at_all():
    assert any("nothing to show" in text for text in texts(Told((), {})))


def test_what_does_not_fit_is_counted(monkeypatch):
    monkeypatch.setattr(svg, "MAX_SVG_ROWS", 10)
    told = tuple(Row(row, message(row, action="Authorize")) for row in range(25))
    said = texts(Told(told, {0: connection()}))
    drawn = sum("Authorize" in text for text in said)
    assert 8 <= drawn <= 10
    assert said[-1] == f"… {25 - drawn} of 25 messages are left out from here on: filter, or take html"


def test_that_a_call_stays_without_answer_is_said_even_if_that_is_known_late(monkeypatch):
    monkeypatch.setattr(svg, "MAX_SVG_ROWS", 3)
    told = [Row(row, message(row, action="Authorize")) for row in range(9)]
    end = ExchangeEnd(START_NS + 60 * 10**9, 0, 0, Side.STATION, "id-0", "Authorize", Outcome.TIMEOUT, 60 * 10**9)
    assert any("no answer in 1m00s" in text for text in texts(Told((*told, end), {0: connection()})))


def test_what_a_filter_leaves_over():
    said = texts(evidence_of(CAPTURES / "several_stations.pcap", "action == StatusNotification"))
    assert "CP-FLEET-01" in said


def attributes(drawn):
    return {name for one in drawn.iter() for name in one.attrib}


@pytest.mark.parametrize("bad", HOSTILE)
def test_texts_stay_texts(bad):
    drawn, plain = picture(hostile(bad)), picture(hostile("harmless"))
    assert {one.tag for one in drawn.iter()} <= {one.tag for one in plain.iter()} | {f"{NAME}tspan", f"{NAME}path"}
    assert attributes(drawn) == attributes(plain)
    assert re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029]", "".join(drawn.itertext())) is None


@settings(max_examples=60)
@given(st.text(st.characters(), max_size=40), st.binary(max_size=60))
def test_it_is_xml_whatever_was_said(text, data):
    opened = ConnectionOpened(0, connection(0, text))
    picture(Told((opened, Row(0, message(0, data, id=text, action=text))), {0: connection(0, text)}, title=text))


@pytest.mark.chromium
def test_it_opens_in_a_browser(chrome):  # noqa: F811
    drawn = written(hostile(HOSTILE[0]), svg)
    tab = chrome.open(drawn, name="ladder.svg")
    assert tab.ask("document.documentElement.tagName") == "svg"
    assert tab.ask("document.querySelectorAll('path.shaft').length") > 3
    assert tab.ask("document.querySelectorAll('script, image, a, use, foreignObject').length") == 0
    assert tab.ask("typeof window.ran") == "undefined"
    box = (
        "[...document.querySelectorAll('text')].map((one) => one.getBBox()).every("
        "(one) => one.x + one.width <= document.documentElement.width.baseVal.value)"
    )
    assert tab.ask(box) is True
    assert len(tab.addresses()) == 1
    assert tab.complaints() == []
