"""The registry of figures, the rows that are made of it, and what hostile input may not do to them."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from support_timing import BOOT, S, rows_of, timing_of
from test_timing_transactions import VISIT, start, stop

from conversation import play
from ocppscope.analysis.finding import Severity
from ocppscope.analysis.timing import energy, exchanges, ledger, visits
from ocppscope.analysis.timing.figures import FAMILIES, FIGURES, Kind, Limits, Row, load
from ocppscope.analysis.timing.timing import BY

HERE = Path(__file__).parent
CAPTURES = HERE.parents[1] / "captures"
CONVERSATIONS = sorted((HERE / "conversations").glob("*/*.txt"))
load()


@pytest.mark.parametrize("figure", FIGURES.values(), ids=lambda one: one.id)
def test_a_figure_is_well_defined(figure):
    assert re.fullmatch(r"[a-z][a-z-]*[a-z]", figure.id)
    assert figure.family in FAMILIES
    assert len(figure.title) <= 27, "the width of its column"
    assert figure.definition.endswith(".")
    assert figure.definition[0].isupper() or figure.definition.startswith("currentTime")
    assert figure.limits.of in {*Row.__struct_fields__, "peak", "peak_per_min", "in_10_min"}
    assert (figure.scale != 1) <= (figure.kind in (Kind.SHARE, Kind.RATE))


@pytest.mark.parametrize(
    ("limits", "measured", "severity"),
    [
        (Limits(1, 2, 3), 1, None), (Limits(1, 2, 3), 1.1, Severity.NOTE), (Limits(1, 2, 3), 2.1, Severity.WARNING),
        (Limits(1, 2, 3), 3.1, Severity.ERROR), (Limits(None, 2), 1.5, None), (Limits(None, 2), 9, Severity.WARNING),
        (Limits(error=0), 0, None), (Limits(error=0), 1, Severity.ERROR),
        (Limits(warning=99, below=True), 99, None), (Limits(warning=99, below=True), 98, Severity.WARNING),
        (Limits(warning=1, least=11), 5, None),
    ],
)  # fmt: skip
def test_limits(limits, measured, severity):
    assert limits.judge(measured, 10) is severity


def test_every_figure_of_the_specification_can_be_measured():
    """Each figure has a row in some conversation or capture of the tests, so that none is dead."""
    tests = "".join(path.read_text("utf-8") for path in HERE.glob("test_timing_*.py"))
    assert not [one for one in FIGURES if f'"{one}"' not in tests and one not in _OF_CAPTURES]


_OF_CAPTURES = {"ping-bytes", "duplicate-answers", "tls-handshake"}


def test_second_answers_and_bytes_of_pings():
    answer = '10:01:01 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:01:00Z"}]\n'
    talk = BOOT + '10:01:00 CP-1 → [2,"1","Heartbeat",{}]\n' + answer * 2 + '10:02:00 CP-1 → PING "abc"\n'
    rows = rows_of(talk)
    assert rows["duplicate-answers", "csms"].value == 1
    assert rows["ping-bytes", "station"].value == 6 + 3


def test_a_tls_handshake():
    from ocppscope.model import ClientHello, Endpoint, Flow, ServerHello, TlsConnection

    hellos = ClientHello("", (0x303,), (1,), (), b""), ServerHello(0x303, 1, "", b"")
    flow = Flow(Endpoint("192.0.2.1", 1), Endpoint("192.0.2.2", 443))
    tls = TlsConnection(
        9 * S, flow, 0, 1, client_hello=hellos[0], server_hello=hellos[1], client_hello_ns=1 * S, server_hello_ns=2 * S,
        application_ns=(17 * S, 18 * S),
    )  # fmt: skip
    row = rows_of([tls])["tls-handshake", ""]
    assert (row.high, row.severity) == (16 * S, Severity.WARNING)


@pytest.mark.parametrize("by", BY)
def test_rows_are_in_the_order_of_the_registry(by):
    timing = timing_of(VISIT)
    order = [one.id for one in timing.figures]
    places = [order.index(row.figure) for row in timing.rows(by)]
    assert places == sorted(places)
    assert places


def test_rows_can_be_asked_for_at_any_moment():
    """Asking changes nothing: what is told at the end is the same, asked for often or once."""
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.stations import Stations
    from ocppscope.analysis.timing import Timing

    events = play(VISIT + stop("10:40:12", 6000))
    bus = Bus()
    stations, timing = Stations(bus), Timing(bus)
    seen = []
    for event in events:
        stations.take([event])
        seen.append(len(timing.rows(now=stations.now)))
    stations.finish(stations.now)
    assert timing.rows() == timing.rows() == timing_of(events).rows()
    assert seen == sorted(seen) or seen[-1] > 40


def test_stations_that_are_too_many_are_counted_together(monkeypatch):
    monkeypatch.setattr(ledger, "MAX_SERIES", 40)
    talk = "".join(
        f'10:00:{at:02} CP-{at} → OPEN ocpp1.6\n10:01:{at:02} CP-{at} → [2,"1","Heartbeat",{{}}]\n'
        f'10:01:{at:02} CP-{at} ← [3,"1",{{"currentTime":"2026-11-22T10:01:00Z"}}]\n'
        for at in range(40)
    )
    timing = timing_of(talk)
    held = [timing._ledger.spreads, timing._ledger.columns, timing._ledger.portions]
    assert sum(len(table) for tables in held for table in tables.values()) <= 40 + 2 * len(FIGURES)
    assert [row.n for row in timing.rows() if row.figure == "first-message" and not row.station] == [40]


def test_parts_that_are_too_many_are_counted_together(monkeypatch):
    monkeypatch.setattr(exchanges, "MAX_NAMES", 3)
    talk = BOOT + "".join(
        f'10:01:{at:02} CP-1 ← [2,"{at}","Odd{at}",{{}}]\n10:01:{at:02} CP-1 → [3,"{at}",{{}}]\n' for at in range(9)
    )
    rows = rows_of(talk)
    assert len([part for figure, part in rows if figure == "latency"]) == 1 + 4
    assert rows["latency", "(others) csms"].n == 6


def test_transactions_that_never_end_are_bounded(monkeypatch):
    monkeypatch.setattr(energy, "MAX_TRANSACTIONS", 4)
    monkeypatch.setattr(visits, "MAX_TRIPS", 4)
    timing = timing_of(BOOT + "".join(start(f"10:01:{at:02}", transaction=at) for at in range(1, 30)))
    found = {type(one).__name__: one for one in (*timing._families, *timing._others)}
    assert len(found["VisitFigures"]._trips) <= 4
    assert len(found["EnergyFigures"]._courses) <= 4


VALUES = [
    None, True, 0, -1, 1e308, -1e308, 10**30, "", "x" * 300, "NaN", "Infinity", [], {}, [[]], [{}], {"": ""},
    "2026-11-22T10:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1e400", "\x1b[31m", [None, {"sampledValue": 7}],
]  # fmt: skip


def spoilt(value: object, dice: random.Random) -> object:
    """The same JSON with some values replaced by odd ones."""
    if dice.random() < 0.08:
        return dice.choice(VALUES)
    if isinstance(value, dict):
        return {key: spoilt(one, dice) for key, one in value.items()}
    return [spoilt(one, dice) for one in value] if isinstance(value, list) else value


def spoilt_line(line: str, dice: random.Random) -> str:
    found = re.match(r"(.*?(?:→|←) )(\[.*\])$", line)
    if found is None:
        return line
    try:
        message = json.loads(found[2])
    except ValueError:
        return line
    return found[1] + json.dumps([*message[:-1], spoilt(message[-1], dice)])


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.name.removesuffix(".txt"))
def test_odd_values_break_nothing(path):
    lines = path.read_text("utf-8").splitlines()
    for seed in range(3):
        dice = random.Random(f"{path.name} {seed}")
        timing = timing_of("\n".join(spoilt_line(line, dice) if seed else line for line in lines))
        for by in BY:
            for row in timing.rows(by):
                assert row.n >= 0
                values = [one for one in (row.low, row.p50, row.p95, row.p99, row.high, row.value) if one is not None]
                assert all(abs(one) < 1e40 for one in values), row
                found = [one for one in (row.low, row.p50, row.p95, row.p99, row.high) if one is not None]
                assert found == sorted(found), row


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_captures_have_latencies(path):
    from ocppscope.cli.measuring import TimingRequest, measured
    from ocppscope.options import Options

    report = measured(TimingRequest([str(path)], Options(), "json", "never", quiet=True))
    latencies = [row for row in report.rows if row.figure == "latency"]
    assert report.messages == 0 or latencies
    assert all(row.p50 is None or 0 <= row.low <= row.p50 <= row.high for row in latencies)
