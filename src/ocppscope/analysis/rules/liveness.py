"""Rules about whether both sides are alive: heartbeats, calls that nobody answers, reboots that nobody asked for."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame, Ref
from ocppscope.analysis.happenings import Booted, Closed, LeftOpen, Upgraded, asked
from ocppscope.analysis.registry import Group, Mute, amount, family, hours, seconds
from ocppscope.analysis.state.connections import heartbeat_of
from ocppscope.analysis.wording import MAX_QUOTED, quoted, span
from ocppscope.model import Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange, Link, Station

rule = family(Group.STATION)

MAX_GAPS = 9
"""Intervals between heartbeats that are compared, the latest; as many as are needed, if that is set to more."""
SHORTEST_NS = 30_000_000_000
"""Silence that is never called too long, however short the heartbeat interval is."""


@rule(
    "heartbeat-missing",
    on=(Booted, Upgraded),
    severity=WARNING,
    blame=Blame.STATION,
    title="The station falls silent on an open connection",
    advice="Look whether the station still answers pings and CALLs. If it does, it ignores the heartbeat interval; "
    "if not, it hangs or the link is dead, and a shorter ping interval shows it sooner.",
    spec="1.6 §4.6, §9.1.10; 2.0.1 G02",
    limits={"intervals": amount(2.5, "intervals", "heartbeat intervals without a CALL")},
)
def heartbeat_missing(what: Booted | Upgraded, case: Case) -> Iterator[int]:
    """No CALL of the station for `intervals` heartbeat intervals.

    A note if its pings or pongs go on, or could not be seen: they may stand for heartbeats.
    """
    station, link = what.station, what.link
    accepted = station.registration.accepted_ns
    while link is not None and _is_current(station, link) and station.registration.accepted_ns == accepted:
        interval = _interval(station) if accepted is not None else 0
        if not interval:
            return
        last = max(link.asked_ns[Side.STATION] or 0, what.time_ns)
        wait = max(int(interval * case["intervals"]), SHORTEST_NS) - (case.now - last)
        if wait > 0:
            yield wait
            continue
        excuse = _excuse(link, case.now, interval)
        case.find(
            f"The station has sent no CALL for {span(case.now - last)}; it was told to send a Heartbeat each "
            f"{span(interval)}. {excuse or 'Nothing else came either.'}", what, severity=NOTE if excuse else WARNING,
            refs=(Ref(last, link.number, what="last CALL of the station"),),
        )  # fmt: skip
        return


@rule(
    "heartbeat-interval-ignored",
    on=asked("Heartbeat"),
    severity=NOTE,
    blame=Blame.STATION,
    title="Heartbeats come at another interval than agreed",
    advice="The station may use its own HeartbeatInterval: set it by ChangeConfiguration or SetVariables.",
    spec="1.6 §4.2, §4.6",
    limits={
        "deviation": amount(50, "%", "how far the median interval may be from the agreed one"),
        "least": amount(5, "intervals", "intervals without other traffic that are needed"),
        "flood": seconds(5, "interval below which it is a warning"),
    },
)
def heartbeat_interval_ignored(x: Exchange, case: Case) -> None:
    """The median of `least` intervals or more is `deviation` off; a warning if it is below `flood`."""
    station, memory = x.station, case.memory(x.station)
    said, last = station.said[Side.STATION], memory.get("last")
    agreed = heartbeat_of(station) or 0
    if memory.get("agreed") != (agreed, x.link.number):
        memory.update(agreed=(agreed, x.link.number), gaps=deque(maxlen=max(MAX_GAPS, ceil(case["least"]))))
    elif last is not None and said - last[1] == 1:
        memory["gaps"].append(x.asked_ns - last[0])
    memory["last"] = x.asked_ns, said
    gaps = memory["gaps"]
    if len(gaps) < case["least"] or (not agreed and station.registration.interval_ns is None):
        return
    usual = sorted(gaps)[len(gaps) // 2]
    flood = usual < case["flood"]
    if abs(usual - agreed) > agreed * case["deviation"] / 100 and (agreed or flood):
        case.find(
            f"Heartbeats come each {span(usual)} (median of {len(gaps)}); {span(agreed)} was agreed.", x,
            severity=WARNING if flood else NOTE,
        )  # fmt: skip


@rule(
    "heartbeat-daily-missing",
    on=(Booted, Upgraded),
    severity=NOTE,
    priority=3,
    blame=Blame.STATION,
    title="The station has not asked for the time for a day",
    advice="Have the station send a Heartbeat at least once a day, even if pings keep its connection alive.",
    spec="1.6-J §5.3; 1.6 §4.6",
    limits={"wait": hours(24, "time without an answer that holds the time")},
)
def heartbeat_daily_missing(what: Booted | Upgraded, case: Case) -> Iterator[int]:
    """On one connection no Heartbeat or BootNotification was answered for `wait`."""
    station, link = what.station, what.link
    while link is not None and _is_current(station, link):
        last = max(station.clock.synced_ns or 0, what.time_ns)
        wait = case["wait"] - (case.now - last)
        if wait <= 0:
            case.find(f"For {span(case.now - last)} no Heartbeat or BootNotification was answered.", what)
            return
        yield wait


# --- calls that nobody answers ------------------------------------------------------------------------------------


@rule(
    "zombie-station",
    on=(Closed, LeftOpen),
    severity=ERROR,
    blame=Blame.STATION,
    title="The station sends, but does not answer any more",
    advice="Its receiving side is dead; only a reconnect or a restart helps. Shorter ping intervals (90 s or less) "
    "have helped elsewhere.",
    limits={
        "calls": amount(3, "calls", "CALLs in a row without an answer"),
        "wait": seconds(30, "age from which a CALL counts as unanswered"),
    },
)
def zombie_station(what: Closed | LeftOpen, case: Case) -> None:
    """`calls` CALLs of the CSMS in a row have no answer after `wait`, while the station goes on calling."""
    link = what.link
    for row in _ignored(what, Side.CSMS, case["wait"]) if link is not None else ():
        spoke = link.asked_ns[Side.STATION] if link is not None else None
        if len(row) >= case["calls"] and spoke is not None and spoke > row[0].asked_ns:
            text = f"{len(row)} CALLs of the CSMS in a row stayed without an answer, beginning with {_named(row[0])}"
            went_on = f"while the station went on sending its own for {span(spoke - row[0].asked_ns)}"
            case.find(f"{text}, {went_on}.", what, refs=tuple(x.ref for x in row))


@rule(
    "csms-silent",
    on=(Closed, LeftOpen),
    severity=ERROR,
    blame=Blame.CSMS,
    title="The CSMS does not answer the station",
    advice="TCP delivers the CALLs, so look into the CSMS: a handler that crashed, a dead worker behind a load "
    "balancer, a database that hangs.",
    spec="2.0.1 Part 4 §4.1.1",
    limits={
        "calls": amount(2, "calls", "CALLs in a row without an answer"),
        "wait": seconds(30, "age from which a CALL counts as unanswered"),
    },
)
def csms_silent(what: Closed | LeftOpen, case: Case) -> None:
    """`calls` CALLs of the station in a row have no answer after `wait`, although TCP delivered them."""
    transport = what.link.connection.transport if what.link is not None else None
    undelivered = transport.sides[Side.STATION].unacked_since_ns if transport is not None else None
    for row in _ignored(what, Side.STATION, case["wait"]):
        if len(row) >= case["calls"] and (undelivered is None or undelivered > row[0].asked_ns):
            waited = span((row[0].done_ns or row[0].asked_ns) - row[0].asked_ns)
            text = (
                f"{len(row)} CALLs of the station in a row stayed without an answer, beginning with {_named(row[0])}"
            )
            case.find(f"{text}, which waited for {waited}.", what, refs=tuple(x.ref for x in row))


# --- reboots ------------------------------------------------------------------------------------------------------


@rule(
    "unexpected-reboot",
    on=asked("BootNotification"),
    severity=WARNING,
    blame=Blame.STATION,
    title="The station rebooted, and nobody had asked for it",
    advice="Look for power loss, a crash or a watchdog: the last message that the station received before it may be "
    "what it died of.",
    spec="1.6 §4.2; 2.0.1 B01.FR.09",
    limits={"silence": seconds(60, "silence on a connection that is still open, from which the station has left it")},
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def unexpected_reboot(x: Exchange, case: Case) -> Iterator[int]:
    """A BootNotification on a new connection after the station dropped the one before without Close frame, or left
    it open and says nothing on it for `silence`.

    Not after a Reset, firmware update or trigger. In 2.x also each one with reason Watchdog.
    """
    station, reason = x.station, x.asked.text("reason")
    registration, last = station.registration, _last_before(station, x.link)
    triggered = registration.triggered_ns
    if registration.ordered or (triggered is not None and triggered >= (x.link.upgraded_ns or 0)):
        return
    if reason == "Watchdog":
        case.find("The station says in its BootNotification that its watchdog restarted it.", x)
        return
    if last is None or any(one.link is x.link for one in registration.boots):
        return
    power_up = "; it gives the reason PowerUp" if reason == "PowerUp" else ""
    if not last.open:
        if _was_dropped(last):
            case.find(f"The station booted after its connection had ended without a Close frame{power_up}.", x)
        return
    yield case["silence"]
    if _was_left(last, x.link):
        text = "The station booted on a new connection; nothing has come on the older one since, which was left open"
        case.find(f"{text}{power_up}.", x, since_ns=x.asked_ns)


def _named(x: Exchange) -> str:
    return x.action if x.action.isascii() and x.action.isalnum() and len(x.action) <= MAX_QUOTED else quoted(x.action)


def _is_current(station: Station, link: Link) -> bool:
    return station.link is link and link.open


def _excuse(link: Link, now: int, interval: int) -> str:
    """Why a station that sends no CALLs may be well nevertheless, "" if nothing speaks for it."""
    if now - (link.last_heard_ns[Side.STATION] or 0) < interval:
        return "It still answers, pings or pongs."
    if link.connection.transport is None and link.last_control_ns == [None, None]:
        return "Pings, which may stand for it, do not show in this log."
    return ""


def _interval(station: Station) -> int:
    """The longer of the heartbeat intervals that may be in force, 0 if none is known."""
    return max(heartbeat_of(station) or 0, station.registration.interval_ns or 0)


def _ignored(what: Closed | LeftOpen, side: Side, wait_ns: int) -> list[list[Exchange]]:
    """CALLs of a side without an answer, in runs that no answered one interrupts."""
    pending = what.link.close_pending if what.link is not None else ()
    waiting = {x.id for x in pending if x.done_ns == what.time_ns}  # others were sent again since
    rows: list[list[Exchange]] = [[]]
    for x in pending:
        if x.side is not side or x.id not in waiting:
            continue
        if (x.done_ns or x.asked_ns) - x.asked_ns >= wait_ns:
            rows[-1].append(x)
        if x.passed:
            rows.append([])
    return rows


def _last_before(station: Station, link: Link) -> Link | None:
    links = station.links
    return links[-2] if len(links) > 1 and links[-1] is link else None


def _was_dropped(link: Link) -> bool:
    """Whether a connection ended without a Close frame, and not by the CSMS."""
    connection = link.connection
    return connection.close_how != "close frame" and connection.closed_by is not Side.CSMS


def _was_left(link: Link, newer: Link) -> bool:
    """Whether the station has neither used nor closed a connection since it opened a newer one."""
    heard = link.last_heard_ns[Side.STATION] or 0
    return heard < newer.seen_ns and (link.open or link.connection.closed_by is not Side.STATION)
