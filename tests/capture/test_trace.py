"""Open OCPP Trace: its fixtures with what they expect, and whatever else a line may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation import play_trace
from ocppscope.capture import trace
from ocppscope.capture.entries import Entry, Found, Said
from ocppscope.capture.trace import read_trace
from ocppscope.errors import CaptureError
from ocppscope.model import ExchangeEnd, Outcome, Side, Version
from support_engine import SHARED, sort

FIXTURES = SHARED / "logs" / "open-ocpp-trace" / "fixtures"
NAMES = [
    "diagnostics-failure",
    "invalid-stop-reason",
    "meter-value-gap",
    "normal-session",
    "short-session",
    "status-transition-violation",
    "unexpected-stop-reason",
    "unresponsive-csms",
]
RECORD = {
    "schemaVersion": "1.1",
    "timestamp": "2026-11-22T10:00:00.250Z",
    "ocppVersion": "1.6",
    "transport": "json",
    "chargePointId": "CP-1",
    "direction": "cp-to-csms",
    "messageType": "CALL",
    "messageId": "1",
    "action": "Heartbeat",
    "payload": {},
}
TEN_NS = 1_795_341_600_000_000_000


def record(**changes: Any) -> str:
    return json.dumps({name: value for name, value in {**RECORD, **changes}.items() if value is not None})


def said(**changes: Any) -> bytes:
    return read(record(**changes))[-1].what.text


def read(*lines: str) -> list[Entry]:
    return list(read_trace(lines))


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
def test_fixtures_say_what_they_expect(name: str) -> None:
    expected = json.loads((FIXTURES / name / "expected.json").read_text())
    run = sort(play_trace(FIXTURES / name / "trace.jsonl"))
    assert len(run.messages) == expected["counts"]["records"]
    for message, wanted in zip(run.messages, expected["records"], strict=True):
        assert (message.ordinal, message.kind.name, message.id, message.action, message.reply_to) == (
            wanted["index"],
            wanted["messageType"],
            wanted["messageId"],
            wanted["action"],
            wanted.get("correlatesWith"),
        )
    ends = [event.ordinal for event in run.events if isinstance(event, ExchangeEnd)]
    assert ends == expected["unansweredCalls"]
    orphans = [message.ordinal for message in run.messages if message.outcome is Outcome.ORPHAN]
    assert orphans == expected["orphanResponses"]
    (connection,) = run.opened
    assert (connection.version, connection.version_guessed) == (Version.V16, False)
    assert connection.station.startswith("CS-SYNTHETIC")


def test_a_record() -> None:
    found, entry = read("", record(raw='[2, "1", "Heartbeat", {}]'))
    assert found.what == Found(version=Version.V16)
    assert entry == (TEN_NS + 250_000_000, 2, "CP-1", None, Side.STATION, Said(b'[2, "1", "Heartbeat", {}]'))


def test_the_connection_is_told_of_once_a_station() -> None:
    entries = read(record(), record(), record(chargePointId="CP-2"), record())
    assert [type(entry.what) for entry in entries] == [Found, Said, Said, Found, Said, Said]


ERROR = {"code": "InternalError", "description": "d", "details": {"a": 1}}
TEXTS = [
    ({}, '[2,"1","Heartbeat",{}]'),
    ({"payload": {"a": "ü", "b": 1.5}}, '[2,"1","Heartbeat",{"a":"ü","b":1.5}]'),
    ({"messageType": "CALLRESULT", "payload": {"a": 1}}, '[3,"1",{"a":1}]'),
    ({"messageType": "CALLERROR", "error": ERROR}, '[4,"1","InternalError","d",{"a":1}]'),
    ({"messageType": "CALLERROR"}, '[4,"1","","",{}]'),
    ({"messageType": "CALLRESULTERROR", "error": ERROR}, '[5,"1","InternalError","d",{"a":1}]'),
    ({"messageType": "SEND", "action": "NotifyPeriodicEventStream"}, '[6,"1","NotifyPeriodicEventStream",{}]'),
    ({"transport": "soap", "raw": "<soap:Envelope/>"}, '[2,"1","Heartbeat",{}]'),
    ({"raw": ""}, '[2,"1","Heartbeat",{}]'),
    ({"raw": "not JSON"}, "not JSON"),
    ({"messageId": None, "action": None}, '[2,"","",{}]'),
]


@pytest.mark.parametrize(("changes", "text"), TEXTS)
def test_texts(changes: dict[str, Any], text: str) -> None:
    assert said(**changes).decode() == text


@pytest.mark.parametrize(
    ("stated", "version"),
    [
        ("1.6", Version.V16),
        ("1.6J", Version.V16),
        ("ocpp2.0.1", Version.V201),
        ("OCPP 2.1", Version.V21),
        ("9.9", Version.UNKNOWN),
        ("?", Version.UNKNOWN),
        (1.6, Version.UNKNOWN),
        (None, Version.UNKNOWN),
    ],
)
def test_versions(stated: object, version: Version) -> None:
    assert read(record(ocppVersion=stated))[0].what == Found(version=version)


@pytest.mark.parametrize(
    ("stamp", "time_ns"),
    [
        ("2026-11-22T10:00:00Z", TEN_NS),
        ("2026-11-22T11:30:00.000000001+01:30", TEN_NS + 1),
        ("2026-11-22T05:00:00-05:00", TEN_NS),
    ],
)
def test_timestamps(stamp: str, time_ns: int) -> None:
    assert read(record(timestamp=stamp))[-1].time_ns == time_ns


def test_a_station_without_a_name() -> None:
    assert read(record(chargePointId=None))[-1].station == trace.NAMELESS


BAD = [
    ("hello", "not JSON"),
    ("[1]", "no JSON object"),
    ("[" * 100_000, "not JSON"),
    ('{"a":' + "9" * 5000 + "}", "not JSON"),
    (record(schemaVersion=None), "schema version"),
    (record(schemaVersion="2.0"), "schema version"),
    (record(schemaVersion=1.1), "schema version"),
    (record(timestamp=None), "timestamp"),
    (record(timestamp="yesterday"), "timestamp"),
    (record(timestamp="1795341600"), "timestamp"),
    (record(timestamp=1795341600), "timestamp"),
    (record(timestamp="2026-02-30T10:00:00Z"), "timestamp"),
    (record(direction=None), "direction"),
    (record(direction=["cp-to-csms"]), "direction"),
    (record(messageType="CAL"), "messageType"),
    (record(messageType=[]), "messageType"),
    (record(messageType="UNPARSED"), "messageType"),
    (record(raw="x" * trace.MAX_RECORD), "more than 33,554,432 characters"),
]


@pytest.mark.parametrize(("line", "why"), BAD, ids=[line[:20] + why for line, why in BAD])
def test_what_is_no_record_is_named(line: str, why: str) -> None:
    with pytest.raises(CaptureError, match=why) as caught:
        read(record(), line)
    assert caught.value.what.startswith("Line 2 of the trace cannot be read: ")


def test_versions_are_remembered_of_some_stations_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MAX_STATIONS", 2)
    entries = read(*(record(chargePointId=f"CP-{number}") for number in (1, 2, 1, 3, 2, 1)))
    assert [entry.station for entry in entries if isinstance(entry.what, Found)] == ["CP-1", "CP-2", "CP-3", "CP-1"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CHANGES = st.dictionaries(st.sampled_from([*RECORD, "raw", "error"]), VALUES | st.just("CALLERROR"), max_size=4)


@given(st.lists(CHANGES.map(lambda changes: record(**changes)) | st.text(max_size=40), max_size=4).map("\n".join))
def test_any_text_gives_events_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text(record() + "\n" + text)
    try:
        outcome = [event.connection for event in sort(play_trace(path)).messages]
    except CaptureError as error:
        outcome = error.what
    assert outcome[0] == 0 or outcome.startswith("Line ")
