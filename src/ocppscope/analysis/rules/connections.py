"""Rules about when and how connections end, and whether the station comes back."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean, pstdev
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Attempted, Closed, LeftOpen, Refused, Upgraded
from ocppscope.analysis.openings import handshake_of, is_2x
from ocppscope.analysis.registry import Group, amount, family, minutes, seconds
from ocppscope.analysis.wording import span, subject, who
from ocppscope.model import AttemptOutcome, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.connections import Attempt, Connections, End
    from ocppscope.analysis.station import Station
    from ocppscope.model import Transport

rule = family(Group.TCP)

ENOUGH = 3
"""Ends that have to agree before they are called constant."""
SILENT_ENDS = frozenset({AttemptOutcome.NO_DATA})
"""What a health check of a load balancer looks like too."""


# --- how connections end ------------------------------------------------------------------------------------------


@rule(
    "ws-drop-without-close",
    on=Closed,
    severity=WARNING,
    title="A connection ended without a Close frame",
    advice="A process was killed, a device between lost the connection, or the library skips the Close (endpoints "
    "report 1006). Look into the log of the side that ended it, and compare how long it was silent before.",
    spec="RFC 6455 §7.1.5, §7.4.1",
)
def ws_drop_without_close(what: Closed, case: Case) -> None:
    """A FIN or RST ends a connection, and no Close frame was seen of either side; a note soon after a Reset."""
    assert what.link is not None
    end = what.station.connections.ends[-1]
    if end.how not in ("FIN", "RST"):
        return
    side = f"{subject(end.by)} ended the connection" if end.by is not None else "The connection ended"
    silence = f"{span(min(end.silent_ns))} after the last frame"
    reset = " after a Reset" if end.after_reset else ""
    text = f"{side} with {end.how} and without a Close frame{reset}, {silence}."
    severity = NOTE if end.after_reset else WARNING
    case.find(text, what, severity=severity, key=(end.by, end.how, end.after_reset))


@rule(
    "idle-timeout-drop",
    on=Closed,
    severity=ERROR,
    title="Connections are dropped after the same time of silence",
    advice="Something on the way has an idle timer. Make WebSocketPingInterval (or the heartbeat interval) shorter "
    "than half of that time, or raise the read timeout of the server, proxy or load balancer.",
    spec="OCPP-J 1.6 §5.3; 2.x Part 4 §5.3",
    limits={
        "silence": seconds(20, "silence from which an end may be one of an idle timer"),
        "ends": amount(ENOUGH, "ends", "ends after the same silence"),
        "share": amount(50, "%", "of the ends by that side"),
    },
)
def idle_timeout_drop(what: Closed, case: Case) -> None:
    """`ends` or more connections, and at least `share` of those that the same side ended, end after the same silence
    (within 2 s or 3 %), of both sides or of the one that did not end it. Reboots that were asked for, and ends while
    the closer waited that long for an answer, are left out."""
    known = what.station.connections
    same = known.idle(case["silence"])
    if same is None or same.count < case["ends"] or same.count * 100 < case["share"] * same.among:
        return
    end = known.ends[-1]
    frame = "any frame" if same.sort == "any" or end.by is None else f"a frame of {who(end.by.other)}"
    closer = subject(end.by) if end.by is not None else "Nobody visible"
    text = (
        f"{closer} ended {same.count} of {same.among} connections {span(same.value_ns)} "
        f"(±{span(same.spread_ns)}) after {frame}{_keepalive(end)}."
    )
    case.find(text, what, key=end.by, once=True)


def _keepalive(end: End) -> str:
    """What kept the connection alive, as far as it is known."""
    pings = [one for one in end.ping_seen_ns if one is not None]
    known = [
        f"{name} {span(value)}" for name, value in (
            ("heartbeat interval", end.heartbeat_ns), ("heartbeats seen every", end.heartbeat_seen_ns),
            ("WebSocketPingInterval", end.ping_ns), ("pings seen every", min(pings, default=None)),
        ) if value is not None
    ]  # fmt: skip
    return f"; {', '.join(known)}" if known else "; no regular heartbeats or pings were seen"


@rule(
    "connection-fixed-lifetime",
    on=Closed,
    severity=WARNING,
    priority=2,
    title="Connections live for the same time although they are used",
    advice="Look for a timer of that length: the maximum age of a connection at a load balancer, a watchdog of the "
    "station, or a deadline for pongs that do not come.",
    limits={
        "ends": amount(ENOUGH, "ends", "connections in a row with the same lifetime"),
        "spread": amount(5, "%", "standard deviation of the lifetimes by their mean"),
        "busy": seconds(10, "silence before the end up to which a connection was in use"),
        "least": seconds(20, "lifetime from which it counts"),
    },
)
def connection_fixed_lifetime(what: Closed, case: Case) -> None:
    """`ends` connections in a row, ended by the same side, have lived for the same time, and frames had come within
    the last `busy` of each. Reboots that were asked for are left out."""
    known = what.station.connections
    last = list(known.ends)[-int(case["ends"]) :]
    lifetimes = [one.lifetime_ns for one in last]
    if len(last) < case["ends"] or min(lifetimes) < case["least"]:
        return
    alike = all(
        one.whole and one.by is last[0].by and min(one.silent_ns) <= case["busy"] and not one.after_reset
        for one in last
    )
    average = mean(lifetimes)
    if alike and pstdev(lifetimes) * 100 < case["spread"] * average:
        by = who(last[0].by) if last[0].by is not None else "nobody visible"
        text = (
            f"{len(last)} connections in a row lived {span(average)}, frames coming to the end, and {by} ended them."
        )
        case.find(text, what, key=last[0].by)


# --- whether it comes back ----------------------------------------------------------------------------------------


@rule(
    "reconnect-storm",
    on=(Upgraded, Refused, Attempted),
    severity=ERROR,
    blame=Blame.STATION,
    title="The station connects again and again without a pause",
    advice="Remove the reason for which its attempts fail or its connections end. Then set its back-off "
    "(RetryBackOffWaitMinimum and the others in 2.x). If it has none, tell its maker: it can overload a CSMS.",
    spec="OCPP-J 1.6 errata 3.4; 2.x Part 4 §5.4",
    limits={
        "attempts": amount(5, "attempts", "within `window`"),
        "window": seconds(60, "time in which they count"),
        "retries": amount(3, "attempts", "in a row, each sooner than `pause` after one that failed"),
        "pause": seconds(5, "time that a station should wait after a failed attempt"),
    },
)
def reconnect_storm(what: Upgraded | Refused | Attempted, case: Case) -> None:
    """`attempts` to connect within `window`, or `retries` in a row that each come sooner than `pause` after one that
    failed: by TCP, by a refused upgrade, or since the connection ended within 5 s without an answer to any CALL."""
    attempts = _tries(what.station.connections)
    if not attempts or (isinstance(what, Upgraded) and what.link is not None and what.link.upgraded_ns is None):
        return
    latest = max(attempts[-1].time_ns, attempts[-1].last_ns)
    recent = [one for one in attempts if latest - max(one.time_ns, one.last_ns) <= case["window"]]
    count = sum(one.times for one in recent)
    if count >= case["attempts"]:
        failed = sum(one.times for one in recent if one.failed)
        took = span(latest - recent[0].time_ns)
        text = f"{count} attempts to connect in {took}; {failed or 'none'} of them failed{_how(recent)}."
        case.find(text, what, once=True)
        return
    last = attempts[-int(case["retries"]) - 1 :]
    gaps = [after.time_ns - one.time_ns for one, after in pairwise(last)]
    if len(gaps) >= case["retries"] and all(one.failed for one in last[:-1]) and max(gaps) < case["pause"]:
        text = f"{len(gaps)} attempts in a row came within {span(max(gaps))} after one that failed{_how(last)}."
        case.find(text, what, once=True)


def _tries(known: Connections) -> list[Attempt]:
    """Attempts that were the station's for sure; a connection without data may be somebody's health check."""
    return [one for one in known.attempts if one.how not in SILENT_ENDS]


def _how(attempts: list[Attempt]) -> str:
    """How attempts failed, in brackets."""
    ways = list(dict.fromkeys(str(one.how) for one in attempts if one.failed))
    return f" ({', '.join(ways[:3])})" if ways else ""


@rule(
    "reconnect-backoff-wrong",
    on=(Refused, Attempted),
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="The station does not wait longer and longer between attempts",
    advice="In 2.x each failure doubles the time to wait, up to RetryBackOffRepeatTimes times. Check the three "
    "RetryBackOff variables; if they are right, report it to the maker.",
    spec="2.x Part 4 §5.4; 2.1 errata 4.1",
    limits={
        "shrink": amount(50, "%", "of the pause before, to which a pause may shrink by its random part"),
        "constant": amount(4, "pauses", "of the same length from the first failure on"),
        "least": seconds(2, "pause from which it counts"),
    },
)
def reconnect_backoff_wrong(what: Refused | Attempted, case: Case) -> None:
    """2.x: while attempts fail, a pause is shorter than `shrink` of the one before, or the first `constant` pauses
    are the same. Not where RetryBackOffRepeatTimes is known to be 0."""
    row = [one for one in what.station.connections.failed_in_a_row() if one.how not in SILENT_ENDS]
    known = what.station.configuration.number("OCPPCommCtrlr.RetryBackOffRepeatTimes")
    if known == 0 or any(one.times > 1 for one in row) or not _speaks_2x(what):
        return
    gaps = [after.time_ns - one.time_ns for one, after in pairwise(row)]
    constant = int(case["constant"])
    if len(gaps) > 1 and case["least"] <= gaps[-1] and gaps[-1] * 100 < case["shrink"] * gaps[-2]:
        case.find(f"After a pause of {span(gaps[-2])} the next attempt came {span(gaps[-1])} later.", what)
    elif len(gaps) == constant and min(gaps) >= case["least"] and max(gaps) - min(gaps) <= max(gaps) // 20:
        case.find(f"The first {constant} pauses between failed attempts were all {span(mean(gaps))} long.", what)


def _speaks_2x(what: Refused | Attempted) -> bool:
    handshake = handshake_of(what) if isinstance(what, Refused) else None
    return is_2x(handshake) if handshake is not None else what.station.is_2x


@rule(
    "no-reconnect",
    on=Closed,
    severity=ERROR,
    blame=Blame.STATION,
    title="The station does not come back after its connection ended",
    advice="If it still has power and network, its client has given up; only a restart helps. Report it to the maker "
    "with how the connection ended.",
    spec="2.x Part 4 §5.4",
    limits={"wait": minutes(10, "time in which the station tries nothing")},
)
def no_reconnect(what: Closed, case: Case) -> Iterator[int]:
    """A connection ended and the station tries nothing for `wait`, neither TCP nor TLS nor an upgrade, while the
    capture goes on. A warning if the station itself closed in an orderly way."""
    station, link = what.station, what.link
    assert link is not None
    end = station.connections.ends[-1]
    yield case["wait"]
    if station.link is not link or _tried_since(station, end.time_ns):
        return
    orderly = end.by is Side.STATION and end.how == "close frame" and end.code in (None, 1000, 1001)
    side = f"{subject(end.by)} ended" if end.by is not None else "Nobody visible ended"
    how = f"{end.how} {end.code}" if end.code is not None else end.how
    text = f"{side} the connection ({how}), and for {span(case['wait'])} the station has not tried to connect again."
    case.find(text, what, severity=WARNING if orderly else ERROR)


def _tried_since(station: Station, since_ns: int) -> bool:
    """Whether anything came from the station, or from an address that it shares with others."""
    known = station.connections
    origin_ns = known.origin.heard_ns if known.origin is not None else 0
    return origin_ns > since_ns or any(max(one.time_ns, one.last_ns) > since_ns for one in known.attempts)


# --- connections that are half gone -------------------------------------------------------------------------------


@rule(
    "half-open-connection",
    on=(Closed, LeftOpen, Upgraded),
    severity=ERROR,
    title="A connection is dead, and one side has not noticed",
    advice="Power or radio was lost without a goodbye. Let the CSMS ping every 60 s or sooner, and drop the old "
    "connection when the station opens another.",
    spec="OCPP-J 1.6 errata 3.11",
    limits={
        "resent": amount(5, "segments", "sent again without any acknowledgement"),
        "unacked": seconds(30, "time without any acknowledgement"),
        "overlap": seconds(5, "time that a connection may be open beside a newer one"),
        "silence": seconds(60, "time after that in which nothing comes from the station on the older one"),
    },
)
def half_open_connection(what: Closed | LeftOpen | Upgraded, case: Case) -> Iterator[int]:
    """A side sends on and gets no TCP acknowledgement, `resent` times or for `unacked`; or the station opens another
    connection, the older one is still open after `overlap`, and nothing comes on it for `silence`."""
    link, known = what.link, what.station.connections
    assert link is not None
    if not isinstance(what, Upgraded):
        transport = link.connection.transport
        if transport is not None:
            for side in Side:
                _unacknowledged(transport, side, what, case)
        return
    if not any(one is not link and known.is_live(one) for one in what.station.links):
        return
    yield case["overlap"]
    others = [one for one in what.station.links if one.seen_ns < link.seen_ns and known.is_live(one)]
    if not others or not link.open:
        return
    yield case["silence"]
    for older in others:
        heard = older.last_heard_ns[Side.STATION]
        ended_it = not older.open and older.connection.closed_by is Side.STATION
        if not ended_it and (heard is None or heard <= link.seen_ns):
            before = span(link.seen_ns - (heard or older.seen_ns))
            text = f"The station opened another connection {before} after it had last sent anything on the older one"
            case.find(
                f"{text}, which stayed open and silent.", what, key="overlap", blame=Blame.NETWORK,
                since_ns=what.time_ns,
            )  # fmt: skip


def _unacknowledged(transport: Transport, side: Side, what: Closed | LeftOpen, case: Case) -> None:
    sent = transport.sides[side]
    since = sent.unacked_resends_since_ns or sent.unacked_since_ns
    waited = what.time_ns - sent.unacked_since_ns if sent.unacked_since_ns is not None else 0
    if sent.unacked_resends >= case["resent"] or (waited > case["unacked"] and sent.unacked_resends):
        long = f" for {span(what.time_ns - since)}" if since is not None else ""
        text = (
            f"{subject(side)} sent the same data {sent.unacked_resends} times again{long} without an acknowledgement."
        )
        case.find(text, what, key=side, blame=Blame.NETWORK)
