"""What a log could make grow is bounded."""

from __future__ import annotations

import json

import pytest

from ocppscope import replay as replay_module
from ocppscope.capture.dialects import clock, columns, context, detect, heads, naming, reader, rows, sides
from ocppscope.capture.dialects.context import Context, Sessions
from ocppscope.capture.dialects.dialect import Way
from ocppscope.capture.dialects.sides import Sides
from ocppscope.capture.entries import Asked, Entry, Named
from ocppscope.cli.logs import sender_of
from ocppscope.model import Kind, Side
from ocppscope.replay import Replay
from support_logs import OWN


def entries_of(name: str, lines: list[str]) -> list[Entry]:
    found = detect.BY_NAME[name].make(Context(lines, sender_of=sender_of))
    return [*(entry for number, line in enumerate(lines, 1) for entry in found.line(number, line)), *found.finish()]


def test_names_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MAX_SESSIONS", 3)
    sessions = Sessions()
    assert [sessions.number(name) for name in "abcda"] == [0, 1, 2, 3, 4]
    assert sessions.number("d") == 3
    assert len(sessions._numbers) == 3


def test_open_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_OPEN", 3)
    found = detect.BY_NAME["evcc"].make(Context(sender_of=sender_of))
    for number in range(9):
        line = f'[ocpp  ] TRACE 2026/03/01 08:00:00 recv BOX-{number}: [2,"1","Heartbeat",{{}}]'
        list(found.line(number, line))
    assert len(found._known) == 3


def test_calls_whose_sender_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "MAX_CALLS", 3)
    decider = Sides(None, sender_of)
    for number in range(9):
        decider.of(Way.UNSAID, f'[2,"{number}","Reset",{{}}]')
    assert len(decider._callers) == 3
    assert decider.of(Way.UNSAID, '[3,"8",{}]') is Side.STATION
    assert decider.of(Way.UNSAID, '[3,"1",{}]') is None


def test_connections_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_CONNECTIONS", 3)
    row = json.loads((OWN / "rows.jsonl").read_text().splitlines()[0])
    found = rows.RowReader(Context())
    for number in range(9):
        list(found.line(1, json.dumps({**row, "connection": number})))
    assert len(found._told) == 3


def test_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "MAX_HEADERS", 3)
    lines = ["2026-03-01 08:00:00 [websockets.server] < GET /a HTTP/1.1"]
    lines += [f"2026-03-01 08:00:00 [websockets.server] < X-{number}: 1" for number in range(9)]
    (asked,) = entries_of("websockets", lines)
    assert isinstance(asked.what, Asked)
    assert (b"X-1: 1" in asked.what.head, b"X-2: 1" in asked.what.head) == (True, False)


def test_names_of_stations() -> None:
    line = f'[ocpp  ] TRACE 2026/03/01 08:00:00 recv {"x" * 180}: [2,"1","Heartbeat",{{}}]'
    assert entries_of("evcc", [line])[0].station == "x" * 180
    assert naming.last_segment("/" + "x" * 999) == "x" * naming.MAX_NAME


def test_patterns_see_the_beginning_of_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    line = f'[ocpp  ] TRACE 2026/03/01 08:00:00 recv BOX: [2,"1","DataTransfer",{{"vendorId":"{"x" * 9000}"}}]'
    assert len(entries_of("evcc", [line])[0].what.text) > 9000
    monkeypatch.setattr(reader, "MAX_HEAD", 20)
    assert entries_of("evcc", [line]) == []


def test_times_stand_in_the_beginning_of_a_line() -> None:
    assert clock.stamp_in(" " * clock.MAX_PREFIX + "2026-03-01 08:00:00") is None
    assert clock.stamp_in("9999-03-01 08:00:00Z") is None
    line = '9999-03-01 08:00:00Z sent [2,"1","Heartbeat",{}]'
    assert entries_of("general", [line])[0].time_ns < clock.LATEST_NS


def test_compared_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "MAX_COMPARED", 3)
    line = '[ocpp  ] TRACE 2026/03/01 08:00:00 send B: [3,"1",{"currentTime":"2026-03-01T07:00:00Z"}]'
    made = Context([line], sender_of=sender_of)
    found = detect.BY_NAME["evcc"].make(made)
    for number in range(9):
        list(found.line(number, line))
    assert made.times is not None
    assert (len(made.times._ahead), made.times.hint()) == (3, "+01:00")


def test_rows_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert columns.header_of(",".join(["time", "message", *["x"] * columns.MAX_COLUMNS])) is None
    monkeypatch.setattr(columns, "MAX_ROW", 50)
    lines = [
        "time,message",
        '2026-03-01,"[2',
        *["still open"] * 9,
        '2026-03-01T08:00:00Z,"[2,""1"",""Heartbeat"",{}]"',
    ]
    assert [entry.line for entry in entries_of("table", lines)][-1:] == [12]


def test_lines_by_which_a_dialect_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["nothing"] * 5 + ['[2,"1","Heartbeat",{}]']
    assert detect.told(lines) is not None
    monkeypatch.setattr(detect, "MAX_SNIFFED_LINES", 5)
    assert detect.told(lines) is None


def test_calls_without_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "MAX_NAMED", 3)
    engine = Replay()
    for number in range(9):
        engine.entries([Entry(number, 1, "A", None, Side.STATION, Named(Kind.CALL, "", f"Action{number}"))])
    (talk,) = engine._talks
    assert len(talk._named) == 3
