"""The tracker of exchanges: which it tells of as worth a look; and what some rules have to keep apart."""

from __future__ import annotations

import pytest

from conversation import play
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.finding import Blame, Finding
from ocppscope.analysis.happenings import Misanswered, Objected, crossing, erred, opening, overlapping, repeated, slow
from ocppscope.analysis.settings import Settings
from ocppscope.analysis.state.rpc import MAX_SENDS, OPENING, RpcTracker
from ocppscope.analysis.stations import Stations
from ocppscope.model import Message, Problem

BEAT = '{"currentTime":"2026-11-22T10:00:00Z"}'
PHASES = {
    "crossing": crossing,
    "slow": slow,
    "erred": erred,
    "overlapping": overlapping,
    "repeated": repeated,
    "opening": opening,
}


def told(text: str, version: str = "ocpp1.6") -> list[tuple[str, str]]:
    """What is told of besides asked and answered: phase and id of the exchange, in order."""
    heard: list[tuple[str, str]] = []
    bus = Bus()
    stations = Stations(bus)
    for phase, trigger in PHASES.items():
        bus.subscribe(trigger(), lambda x, phase=phase: heard.append((phase, x.id)))
    bus.subscribe(Misanswered, lambda what: heard.append(("misanswered", what.exchange.id)))
    stations.take(play(f"10:00:00.000 CP-1 → OPEN {version}\n{text}"))
    return heard


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('10:00:01.000 CP-1 → [2,"1","Heartbeat",{}]', [("opening", "1")]),
        (
            f'10:00:01.000 CP-1 → [2,"1","Heartbeat",{{}}]\n10:00:02.000 CP-1 ← [3,"1",{BEAT}]',
            [("opening", "1")],
        ),
        (
            f'10:00:01.000 CP-1 → [2,"1","Heartbeat",{{}}]\n10:00:02.001 CP-1 ← [3,"1",{BEAT}]',
            [("opening", "1"), ("slow", "1")],
        ),
        (
            '10:00:01.000 CP-1 → [2,"1","Heartbeat",{}]\n10:00:01.100 CP-1 ← [4,"1","InternalError","",{}]',
            [("opening", "1"), ("erred", "1")],
        ),
        (
            '10:00:01.000 CP-1 → [2,"1","Heartbeat",{}]\n10:00:01.100 CP-1 → [2,"2","Heartbeat",{}]',
            [("opening", "1"), ("overlapping", "2"), ("opening", "2")],
        ),
        (
            '10:00:01.000 CP-1 → [2,"1","Heartbeat",{}]\n10:00:01.100 CP-1 ← [2,"1","ClearCache",{}]',
            [("opening", "1"), ("crossing", "1"), ("opening", "1")],
        ),
        (
            '10:00:01.000 CP-1 → [2,"1","Heartbeat",{}]\n10:00:09.000 CP-1 → [2,"1","Heartbeat",{}]',
            [("opening", "1"), ("overlapping", "1"), ("repeated", "1")],
        ),
    ],
)
def test_phases(text: str, expected: list[tuple[str, str]]) -> None:
    assert told(text) == expected


def test_only_the_first_messages_are_an_opening() -> None:
    call, answer = '10:00:{0:02}.000 CP-1 → [2,"{0}","Heartbeat",{{}}]', '10:00:{0:02}.100 CP-1 ← [3,"{0}",{1}]'
    lines = [line.format(second, BEAT) for second in range(30) for line in (call, answer)]
    assert len(told("\n".join(lines))) == OPENING // 2


def test_sends_are_remembered_up_to_a_bound() -> None:
    payload = '{"id":1,"pending":0,"basetime":"2026-11-22T10:00:20Z","data":[{"t":0,"v":"1"}]}'
    sends = [f'10:00:01.000 CP-1 → [6,"s{n}","NotifyPeriodicEventStream",{payload}]' for n in range(MAX_SENDS + 1)]
    answers = [f'10:00:02.000 CP-1 ← [3,"s{n}",{{}}]' for n in (0, 1, MAX_SENDS)]
    heard = told("\n".join([*sends, *answers]), "ocpp2.1")
    assert [one for one in heard if one[0] == "misanswered"] == [
        ("misanswered", "s1"),
        ("misanswered", f"s{MAX_SENDS}"),
    ]


def test_what_is_kept_goes_with_the_connection() -> None:
    bus = Bus()
    stations = Stations(bus)
    tracker = RpcTracker(bus)
    text = f'10:00:01.000 CP-1 → [2,"1","Heartbeat",{{}}]\n10:00:02.000 CP-1 ← [3,"1",{BEAT}]'
    events = play(f"10:00:00.000 CP-1 → OPEN ocpp1.6\n{text}\n10:00:03.000 CP-1 → CLOSED FIN")
    stations.take(event for event in events if isinstance(event, Message) or event.time_ns < events[-1].time_ns)
    assert len(tracker._answered[0]) == 1
    stations.take(events[-1:])
    assert tracker._answered == ({}, {})


def test_what_cannot_be_read_is_as_good_as_missing() -> None:
    bus = Bus()
    stations = Stations(bus)
    events = play('10:00:00.000 CP-1 → OPEN ocpp1.6\n10:00:01.000 CP-1 → [2,"1","Heartbeat",{}]')
    stations.take(events[:2])
    station = stations.by_identity["CP-1"]
    assert station.link is not None
    assert station.link.gap_ns is None
    for code, expected in (("ws.judge", None), ("ws.context-lost", 7)):
        bus.objection(Objected(station, station.link, 7, events[1], Problem(code, "…"), None, None, None))
        assert station.link.gap_ns == station.gap_ns == expected


def findings(text: str, rule: str, version: str = "ocpp1.6") -> list[Finding]:
    diagnosis = Diagnosis(Settings(only=frozenset({rule})))
    events = play(f"10:00:00.000 CP-1 → OPEN {version}\n{text}")
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns)
    assert not diagnosis.failures
    return diagnosis.findings()


def test_an_answer_that_repeats_a_long_id_is_not_to_blame() -> None:
    long = "a" * 37
    text = f'10:00:01.000 CP-1 → [2,"{long}","Heartbeat",{{}}]\n10:00:02.000 CP-1 ← [3,"{long}",{BEAT}]'
    (found,) = findings(text, "rpc-message-id-length")
    assert found.blame is Blame.STATION
    assert found.count == 1


@pytest.mark.parametrize(
    ("call", "code", "blame"),
    [
        ('"Authorize",{"idTag":"TAG1"}', "InternalError", Blame.CSMS),
        ('"Authorize",{"idTag":"TAG1"}', "FormationViolation", Blame.CSMS),
        ('"Authorize",{}', "FormationViolation", Blame.STATION),
        ('"FirmwareStatusNotification",{"status":"Idle"}', "NotImplemented", Blame.UNKNOWN),
        ('"Authorize",{"idTag":"TAG1"}', "SecurityError", Blame.UNKNOWN),
    ],
)
def test_who_is_to_blame_for_an_error(call: str, code: str, blame: Blame) -> None:
    text = f'10:00:01.000 CP-1 → [2,"1",{call}]\n10:00:02.000 CP-1 ← [4,"1","{code}","",{{}}]'
    (found,) = findings(text, "rpc-callerror")
    assert found.blame is blame


def test_what_an_error_says_is_kept_apart_unless_it_may_repeat_a_secret() -> None:
    said = '"InternalError","no such tag TAG1",{}'
    text = f'10:00:01.000 CP-1 → [2,"1","Authorize",{{"idTag":"TAG1"}}]\n10:00:02.000 CP-1 ← [4,"1",{said}]'
    (found,) = findings(text, "rpc-callerror")
    assert "TAG1" not in found.text
    assert found.measured == {"description": "no such tag TAG1"}
    text = (
        '10:00:01.000 CP-1 ← [2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"TAG1"}]\n'
        f'10:00:02.000 CP-1 → [4,"1",{said}]'
    )
    (found,) = findings(text, "rpc-callerror")
    assert found.measured == {}


@pytest.mark.parametrize("rule", ["idtag-length", "idtag-garbage"])
def test_tags_stay_out_of_sentences(rule: str) -> None:
    tag = "SECRET-TAG-0123456789\\u0007"
    (found,) = findings(f'10:00:01.000 CP-1 → [2,"1","Authorize",{{"idTag":"{tag}"}}]', rule)
    assert "SECRET" not in found.text


def test_positions_in_arrays_do_not_tell_findings_apart() -> None:
    value = '{"timestamp":"2026-11-22T10:00:00Z","sampledValue":[{"value":1},{"value":2}]}'
    text = f'10:00:01.000 CP-1 → [2,"1","MeterValues",{{"connectorId":1,"meterValue":[{value},{value}]}}]'
    (found,) = findings(text, "schema-wrong-type")
    assert found.count == 4
