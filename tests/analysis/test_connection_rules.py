"""Rules about connections, frames and TCP that a conversation in text cannot say: the events are made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from conversation import play
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Finding
from ocppscope.model import (
    AttemptOutcome,
    ConnectAttempt,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Endpoint,
    Event,
    Flow,
    Message,
    Problem,
    Side,
    Transport,
    TransportSide,
)

SECOND = 1_000_000_000
HEARTBEAT = '[2,"1","Heartbeat",{}]'
CALM = f"""
10:00:00.000 CP-1 → OPEN ocpp1.6 user=CP-1
10:00:10.000 CP-1 → {HEARTBEAT}
10:00:10.100 CP-1 ← [3,"1",{{"currentTime":"2026-11-22T10:00:10Z"}}]
10:00:20.000 CP-1 → PING "a"
10:00:20.010 CP-1 ← PONG "a"
10:01:00.000 CP-1 → CLOSE 1000
10:01:00.010 CP-1 → CLOSED FIN
"""


def found(events: list[Event], rule: str) -> list[Finding]:
    diagnosis = Diagnosis()
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns)
    assert not diagnosis.failures
    return [one for one in diagnosis.findings() if one.rule == rule]


def altered(kind: type[Any], **changes: Any) -> list[Event]:
    """A calm conversation in which the first event of a kind is changed."""
    events = play(CALM)
    at = next(at for at, event in enumerate(events) if type(event) is kind)
    events[at] = replace(events[at], **changes)
    return events


def with_connection(**changes: Any) -> list[Event]:
    """A calm conversation whose connection is changed in all snapshots."""
    return [
        replace(event, connection=replace(event.connection, **changes))
        if isinstance(event, ConnectionOpened | ConnectionClosed)
        else event
        for event in play(CALM)
    ]


FRAME_RULES = [
    ("ws-rsv-without-extension", Message, "ws.reserved-bits"),
    ("ws-rsv-without-extension", Message, "ws.rsv1-continuation"),
    ("ws-mask-violation", Message, "ws.unmasked"),
    ("ws-mask-violation", ControlFrame, "ws.masked"),
    ("ws-invalid-utf8", Message, "ws.not-utf8"),
    ("ws-control-frame-invalid", ControlFrame, "ws.control-too-long"),
    ("ws-control-frame-invalid", ControlFrame, "ws.fragmented-control"),
]


@pytest.mark.parametrize(("rule", "kind", "code"), FRAME_RULES)
def test_frames(rule: str, kind: type[Any], code: str) -> None:
    fires = found(altered(kind, problems=(Problem(code, "Wrong."),)), rule)
    assert [one.severity for one in fires] == [ERROR]
    assert fires[0].text.startswith("The station sent" if rule != "ws-rsv-without-extension" else "The station set")
    assert not found(altered(kind, problems=(Problem("ws.unfinished-message", "Else."),)), rule)


def test_fires_ws_rsv_without_extension() -> None:
    assert found(altered(Message, problems=(Problem("ws.reserved-bits", "Wrong."),)), "ws-rsv-without-extension")


def test_silent_ws_rsv_without_extension() -> None:
    """Nobody knows what was agreed on a connection that was found in its middle."""
    events = altered(Message, problems=(Problem("ws.reserved-bits", "Wrong."),))
    events = [
        replace(event, connection=replace(event.connection, handshake=None))
        if isinstance(event, ConnectionOpened | ConnectionClosed)
        else event
        for event in events
    ]
    assert not found(events, "ws-rsv-without-extension")


def test_fires_ws_mask_violation() -> None:
    assert found(altered(Message, problems=(Problem("ws.unmasked", "Wrong."),)), "ws-mask-violation")


def test_silent_ws_mask_violation() -> None:
    assert not found(play(CALM), "ws-mask-violation")


def test_fires_ws_invalid_utf8() -> None:
    assert found(altered(Message, problems=(Problem("ws.not-utf8", "Wrong."),)), "ws-invalid-utf8")


def test_silent_ws_invalid_utf8() -> None:
    """What was inflated with a part missing may be anything."""
    problems = Problem("ws.not-utf8", "Wrong."), Problem("ws.context-lost", "Lost.")
    assert not found(altered(Message, problems=problems), "ws-invalid-utf8")


def test_fires_ws_control_frame_invalid() -> None:
    assert found(
        altered(ControlFrame, problems=(Problem("ws.control-too-long", "Wrong."),)), "ws-control-frame-invalid"
    )


def test_silent_ws_control_frame_invalid() -> None:
    assert not found(play(CALM), "ws-control-frame-invalid")


def test_fires_ws_fragmented() -> None:
    assert [one.severity for one in found(altered(Message, frames=2), "ws-fragmented")] == [NOTE]


def test_silent_ws_fragmented() -> None:
    assert not found(altered(Message, frames=1), "ws-fragmented")


def test_says_who_closed_without_an_answer_to_the_upgrade() -> None:
    """As the engine tells it: the end is known when the upgrade is given up."""
    events = play("10:00:00.000 CP-1 → NO REPLY offered ocpp1.6\n10:00:09.000 CP-1 ← CLOSED FIN")
    opened = next(event for event in events if isinstance(event, ConnectionOpened))
    closed = replace(opened, connection=replace(opened.connection, close_how="FIN", closed_by=Side.CSMS))
    assert "closed with FIN" in found([closed], "http-upgrade-refused")[0].text


# --- passwords in the clear -------------------------------------------------------------------------------------


def between(client: str, server: str) -> dict[str, Any]:
    calm = (TransportSide(), TransportSide())
    return {"flow": Flow(Endpoint(client, 40000), Endpoint(server, 9000)), "transport": Transport(calm)}


def test_fires_basic_auth_cleartext() -> None:
    public = found(with_connection(**between("10.0.0.1", "203.0.113.9")), "basic-auth-cleartext")
    inside = found(with_connection(**between("10.0.0.1", "172.31.0.9")), "basic-auth-cleartext")
    assert [one.severity for one in (*public, *inside)] == [WARNING, NOTE]


def test_silent_basic_auth_cleartext() -> None:
    """On one host, or in a log, which does not know how it was carried."""
    assert not found(with_connection(**between("127.0.0.1", "127.0.0.1")), "basic-auth-cleartext")
    assert not found(play(CALM), "basic-auth-cleartext")


# --- TCP ---------------------------------------------------------------------------------------------------------


def unacknowledged(resends: int, since_s: int) -> Transport:
    since = None
    for event in play(CALM):
        since = event.time_ns - since_s * SECOND
    csms = TransportSide(unacked_resends=resends, unacked_resends_since_ns=since, unacked_since_ns=since)
    return Transport((TransportSide(), csms))


@pytest.mark.parametrize(
    ("resends", "since_s", "fires"), [(5, 3, True), (4, 3, False), (1, 31, True), (0, 31, False)]
)
def test_data_that_nobody_acknowledges(resends: int, since_s: int, fires: bool) -> None:
    events = with_connection(transport=unacknowledged(resends, since_s))
    assert bool(found(events, "half-open-connection")) is fires


@pytest.mark.parametrize("rule", ["duplicate-identity", "half-open-connection"])
def test_two_connections_at_a_time_begin_with_the_second(rule: str) -> None:
    """Although both rules wait for a minute to see whether the first one is still in use."""
    second = "".join(f'10:0{n}:00.000 #2 CP-1 → [2,"{n}","Heartbeat",{{}}]\n' for n in range(2, 5))
    (one,) = found(play("10:00:00.000 #1 CP-1 → OPEN ocpp1.6\n10:01:00.000 #2 CP-1 → OPEN ocpp1.6\n" + second), rule)
    assert one.first_ns == one.evidence[0].time_ns
    assert one.last_ns - one.first_ns == 65 * SECOND


def attempts(pauses_s: list[int], outcome: AttemptOutcome, server: Endpoint | None = None) -> list[Event]:
    """A calm conversation, then attempts of its station."""
    events = play(CALM)
    flow = next(event for event in events if isinstance(event, ConnectionOpened)).connection.flow
    now = events[-1].time_ns
    for pause in pauses_s:
        now += pause * SECOND
        made = Flow(flow.client, server or flow.server)
        events.append(ConnectAttempt(now + 1000, now, now + 1000, made, outcome, 1))
    return events


def test_storms_of_tcp_attempts() -> None:
    assert found(attempts([12] * 5, AttemptOutcome.REFUSED), "reconnect-storm")
    assert not found(attempts([16] * 8, AttemptOutcome.REFUSED), "reconnect-storm")


def test_attempts_without_data_are_perhaps_health_checks() -> None:
    assert not found(attempts([5] * 9, AttemptOutcome.NO_DATA), "reconnect-storm")


def test_attempts_at_other_servers_are_not_counted() -> None:
    other = Endpoint("192.0.2.77", 443)
    assert not found(attempts([5] * 9, AttemptOutcome.REFUSED, other), "reconnect-storm")


def test_an_attempt_anywhere_shows_that_the_station_lives() -> None:
    other = Endpoint("192.0.2.77", 443)
    assert found(attempts([700], AttemptOutcome.REFUSED, other), "no-reconnect")
    assert not found(attempts([500, 500], AttemptOutcome.REFUSED, other), "no-reconnect")


def closed(events: list[Event]) -> Connection:
    return next(event for event in events if isinstance(event, ConnectionClosed)).connection


def test_the_first_sign_of_an_end_counts() -> None:
    """FIN 10 s before the connection is gone on both sides."""
    text = CALM.replace("10:01:00.000 CP-1 → CLOSE 1000\n", "")
    events = play(text)
    gone = closed(events).closed_ns
    assert gone is not None
    sides = TransportSide(fin_ns=gone - 10 * SECOND), TransportSide()
    at = next(at for at, event in enumerate(events) if isinstance(event, ConnectionClosed))
    events[at] = replace(events[at], connection=replace(closed(events), transport=Transport(sides)))
    assert "30 s after the last frame" in found(events, "ws-drop-without-close")[0].text
