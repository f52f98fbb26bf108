"""The page as a file: what stands in it, that nothing in it can leave its place, and that it is bounded."""

import io
import json
import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_html import HOSTILE, Parts, Told, connection, evidence_of, hostile, message, rows, written

from ocppscope.export import html
from ocppscope.export.evidence import Row
from ocppscope.export.hidden import RedactedEvidence
from ocppscope.export.page import assets, overview
from ocppscope.export.page import rows as lines
from ocppscope.export.writing import CancelledError, Job
from ocppscope.model import ConnectionOpened, Kind, Side
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor
from ocppscope.store.notes import Note
from ocppscope.store.verdicts import Verdict
from support_cli import CAPTURES

BROKEN = CAPTURES / "broken_silence.pcap"
MOST_SCRIPT = 60_000
MOST_SMALL_PAGE = 300_000


def parts_of(*items, **told):
    return Parts(written(Told(items, {0: connection()}, **told)))


def test_all_that_is_shown_is_in_it():
    evidence = evidence_of(BROKEN)
    page = Parts(written(evidence))
    items, held = list(evidence.items()), page.lines()
    assert len(held) == len(items)
    messages = [item for item in items if isinstance(item, Row)]
    found = [line for line in held if line[0] != lines.BETWEEN]
    assert [line[1] for line in found] == [item.row for item in messages]
    assert [line[10].encode() for line in found] == [item.message.text for item in messages]
    assert [line[3:6] for line in found] == [
        [one.message.connection, int(one.message.side), one.message.ordinal] for one in messages
    ]
    seconds, rest = page.meta()["base"]
    base = seconds * 10**9 + rest
    assert [base + line[2] for line in found] == [item.message.time_ns for item in messages]
    assert {int(number) for number in page.meta()["connections"]} == set(evidence.connections)


def test_findings_stand_below_what_explains_them():
    evidence = evidence_of(BROKEN)
    report = evidence.report
    assert report is not None
    page = written(evidence).decode()
    ids = re.findall(r'<article class="finding \w+" id="finding-(\d+)"', page)
    assert sorted(map(int, ids)) == sorted(one.number for one in report.findings)
    for one in report.findings:
        if one.root is not None:
            start = page.index(f'id="finding-{one.root}"')
            assert "</article>" not in page[start : page.index('<details open class="consequences"', start)]
            assert start < page.index(f'id="finding-{one.number}"')
    assert "OCPP-J 1.6" in page


def test_stations_and_their_handshakes():
    page = written(evidence_of(CAPTURES / "refused_handshakes.pcap")).decode()
    assert page.count('<article class="station"') == 3
    assert "401 Unauthorized" in page
    assert '<td class="bad">' in page
    assert "Sec-WebSocket-Protocol" in page


@pytest.mark.parametrize(("redacted", "words"), [(False, "not redacted"), (True, "redacted")])
def test_it_says_whether_it_is_redacted(redacted, words):
    evidence = evidence_of(BROKEN)
    if redacted:
        redactor = Redactor(Policy(b"k" * 32))
        evidence.prepare(redactor)
        evidence = RedactedEvidence(evidence, redactor)
    assert Parts(written(evidence)).text_of("span", id="redaction") == [words]


def test_a_note_a_mark_and_a_finding():
    row = Row(0, message(), ((Verdict("rpc-callerror", "error", "rpc"), "It failed."),), Note(0, "A", "look\nhere"))
    extra = parts_of(row).lines()[0][14]
    assert extra == {"findings": [["rpc-callerror", "error", "It failed."]], "mark": "A", "note": "look\nhere"}


def test_an_answer_names_its_call():
    call, answer = message(0), message(1, b"[3]", kind=Kind.CALLRESULT, side=Side.CSMS, reply_to=0, latency_ns=5)
    assert parts_of(Row(0, call), Row(1, answer)).lines()[1][14]["reply"] == 0


def test_the_same_twice():
    assert written(evidence_of(BROKEN)) == written(evidence_of(BROKEN))


def test_nothing_at_all():
    page = Parts(written(Told((), {})))
    assert page.lines() == []
    assert page.meta()["rows"] == 0


def test_a_time_beyond_the_calendar():
    far = message(0, time_ns=1 << 70)
    assert len(parts_of(Row(0, far), Row(1, message(1))).lines()) == 2


# --- size


def test_the_script_and_a_small_page_are_small():
    assert len(assets.script().encode()) < MOST_SCRIPT
    assert len(written(evidence_of(CAPTURES / "remote_start_stop.pcap"))) < MOST_SMALL_PAGE


@pytest.mark.parametrize(
    ("name", "most", "left"), [("MAX_ROWS", 10, 10), ("MAX_LINES", 12, 12), ("MAX_BYTES", 3000, None)]
)
def test_what_does_not_fit_is_left_out_and_said(monkeypatch, name, most, left):
    monkeypatch.setattr(html, name, most)
    evidence = Told(rows(50), {0: connection()})
    page = written(evidence)
    held = Parts(page).lines()
    assert 0 < len(held) < 50
    assert left is None or len(held) == left
    assert f"holds the first {len(held)} of 50 messages" in page.decode()


def test_no_banner_where_all_fits():
    assert b"This page holds" not in written(Told(rows(5), {0: connection()}))


def test_blocks_are_bounded(monkeypatch):
    monkeypatch.setattr(html, "BLOCK_LINES", 4)
    page = Parts(written(Told(rows(9), {0: connection()})))
    assert [len(json.loads(text)) for text in page.text_of("script", **{"class": "rows"})] == [4, 4, 1]


def test_a_long_text_is_cut_and_says_so():
    line = parts_of(Row(0, message(0, b"[" + b"x" * (10 << 20)))).lines()[0]
    assert len(line[10]) == lines.MAX_EMBEDDED == line[14]["cut"]
    assert line[11] == (10 << 20) + 1


def test_lists_are_bounded(monkeypatch):
    monkeypatch.setattr(overview, "MAX_FINDINGS", 1)
    monkeypatch.setattr(overview, "MAX_STATIONS", 2)
    monkeypatch.setattr(overview, "MAX_CONNECTIONS", 3)
    evidence = evidence_of(BROKEN)
    page = written(evidence).decode()
    assert page.count('<article class="finding') == 1
    assert "6 further findings left out" in page
    assert page.count('<article class="station"') == 2
    assert "2 further stations and 5 connections left out" in page
    many = message(packets=tuple(range(100)), problems=hostile("x").told[1].message.problems * 100)
    line = parts_of(Row(0, many)).lines()[0]
    assert len(line[12]) == lines.MAX_PACKETS
    assert len(line[14]["problems"]) == lines.MAX_LISTED
    assert line[14]["packets"] == 100


def test_it_can_be_cancelled():
    with pytest.raises(CancelledError):
        html.write(Told(rows(2000), {0: connection()}), io.BytesIO(), Job(cancelled=lambda: True))


# --- nothing leaves its place


def test_the_policy_lets_run_what_is_in_the_page_and_nothing_else():
    page = Parts(written(evidence_of(BROKEN)))
    policy = next(attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv"))
    code = [text for text in page.text_of("script") if not text.startswith(("[", "{"))]
    digest = [b64encode(sha256(text.encode()).digest()).decode() for text in (*code, *page.text_of("style"))]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest[0]}'; style-src 'sha256-{digest[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("bad", HOSTILE)
def test_texts_become_no_elements(bad):
    page, plain = Parts(written(hostile(bad))), Parts(written(hostile("harmless")))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    names = {name for _, attrs in page.elements for name in attrs}
    assert names == {name for _, attrs in plain.elements for name in attrs}
    assert not {name for name in names if name.startswith("on") or name in ("style", "src")}
    links = {attrs.get("href") for _, attrs in page.elements if attrs.get("href")}
    assert all(re.fullmatch(r"#finding-\d+", link or "") for link in links)


@settings(max_examples=60)
@given(st.text(st.characters(), max_size=30), st.binary(max_size=60))
def test_any_text_comes_back(text, data):
    items = (ConnectionOpened(0, connection(0, text)), Row(0, message(0, data, id=text, action=text)))
    page = written(Told(items, {0: connection(0, text)}, title=text))
    held = Parts(page).lines()
    assert held[1][10] == data.decode("utf-8", "backslashreplace")
    blocks = page.partition(b'class="rows">')[2].partition(b"</script>")[0]
    assert blocks.isascii()
    assert not set(b"<>&") & set(blocks)


def test_data_for_the_script_holds_no_number_that_could_be_one_of_a_card():
    found = re.findall(
        r"(?<![\d.])\d{14,}(?!\d)", json.dumps(Parts(written(Told(rows(3), {0: connection()}))).meta())
    )
    assert found == []


FORBIDDEN = (
    "innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function", "setAttribute('style",
    "fetch(", "XMLHttpRequest", "WebSocket(", "import(", "localStorage", "window.open", "http:", "https:", "</",
)  # fmt: skip


@pytest.mark.parametrize("word", FORBIDDEN)
def test_the_script_has_none_of(word):
    source = assets.script().replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert word not in source


def test_every_part_of_the_script_is_used():
    there = {path.name for path in files("ocppscope.export.page").iterdir() if path.name.endswith(".js")}
    assert there == {f"{name}.js" for name in assets.SCRIPTS}
