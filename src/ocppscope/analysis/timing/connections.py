"""How connections begin, last and end, and how a station comes up over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.happenings import (
    Attempted,
    Booted,
    CaptureEnded,
    Closed,
    LeftOpen,
    Refused,
    StatusChanged,
    Upgraded,
    answered,
    asked,
    opening,
)
from ocppscope.analysis.state.connections import AFTER_RESET_NS
from ocppscope.analysis.timing.figures import MINUTE, Kind, Limits, Unit, above, figure
from ocppscope.analysis.timing.ledger import PerStation
from ocppscope.model import AttemptOutcome

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.state.connections import End
    from ocppscope.analysis.station import Exchange, Link, Place, Station
    from ocppscope.analysis.timing.ledger import Ledger

READY_WITHIN_NS = 10 * MINUTE
"""A connector that reports later does not belong to the boot any more."""
MANY_BOOTS_NS = 10 * MINUTE
MAX_BOOTS = 64
"""Boots in ten minutes that are counted, the latest."""
MAX_OPEN = 64
"""Connections of one station at the same time."""

FIRST = figure(
    "first-message", "connections", "Upgrade to first message", Unit.TIME,
    "From the 101 to the first message of either side.",
    limits=above(None, 30),
)  # fmt: skip
BOOT = figure(
    "boot-accepted", "connections", "Boot to Accepted", Unit.TIME,
    "From the first BootNotification of a connection to the first answer that accepts it; answers that let the "
    "station wait are included, and counted as `told_to_wait`. Boots that were triggered are not.",
    limits=above(10, 60),
)  # fmt: skip
ACCEPTED = figure(
    "upgrade-accepted", "connections", "Upgrade to Accepted", Unit.TIME,
    "From the 101 to the first answer that accepts a BootNotification on the same connection.",
    limits=above(10, 60),
)  # fmt: skip
READY = figure(
    "boot-ready", "connections", "Accepted to all statuses", Unit.TIME,
    "From the accepted BootNotification until each connector that the capture knows of has sent its status. If not "
    "all of them did within ten minutes, that is counted as `incomplete`.",
    limits=above(None, 60),
)  # fmt: skip
BOOTS = figure(
    "boots", "connections", "Boots", Unit.COUNT,
    "BootNotifications that were neither triggered nor repetitions of one not accepted; `in_10_min` is the most in "
    f"ten minutes, no more than {MAX_BOOTS} of which are counted.",
    kind=Kind.TOTAL, limits=Limits(warning=3, of="in_10_min"),
)  # fmt: skip
UPTIME = figure(
    "uptime", "connections", "Between boots", Unit.TIME,
    "Time between two such boots, by what the later one came of: the reason that the station gives, else a Reset or "
    "a firmware update shortly before, else it was not asked for.",
    split=("cause",),
)  # fmt: skip
RECONNECT = figure(
    "reconnect-gap", "connections", "Reconnect gap", Unit.TIME,
    "From the end of a connection (of one that fell silent: from its last message) to the next 101 of the same "
    "station. `attempts` are those that failed between.",
    limits=above(None, 120, 600),
)  # fmt: skip
BACKOFF = figure(
    "retry-interval", "connections", "Between failed attempts", Unit.TIME,
    "Time between consecutive attempts to connect, as long as they fail; the last one is the one that succeeds.",
)  # fmt: skip
AVAILABLE = figure(
    "availability", "connections", "Connected", Unit.PERCENT,
    "Time with a connection, of the time since the station was first heard of; n is the minutes of that, and nothing "
    "is flagged before ten. `outages` are the times without a connection; `not_followed` counts connections that do "
    f"not count, since {MAX_OPEN} newer ones were open.",
    kind=Kind.SHARE, limits=Limits(warning=99, of="value", below=True, least=10), scale=100,
)  # fmt: skip
LIFETIME = figure(
    "lifetime", "connections", "Connection lifetime", Unit.TIME,
    "From the 101 to the first sign of the end, by who ended it and how. Lifetimes that are all alike point to a "
    "timer.",
    split=("by", "how"), fixed=True,
)  # fmt: skip
IDLE = figure(
    "idle-before-close", "connections", "Idle before close", Unit.TIME,
    "From the last message, ping or pong of either side to the first sign of the end. If all are alike, somebody "
    "has an idle timer.",
    split=("by", "how"), fixed=True,
)  # fmt: skip


class Life:
    """What is kept of a station."""

    __slots__ = (
        "awaited_ns", "booted_ns", "boots", "connected_ns", "ended_ns", "firmware_ns", "first_boot_ns", "first_ns",
        "left_out", "longest_ns", "open", "out_ns", "outages", "places", "ready_ns", "rounds", "since_ns", "tried_ns",
        "tries",
    )  # fmt: skip

    def __init__(self) -> None:
        self.open: dict[int, None] = {}  # its open connections
        self.left_out = 0  # of them, since there were too many
        self.since_ns: int | None = None  # when it came to have one
        self.out_ns: int | None = None  # when it came to have none
        self.ended_ns: int | None = None  # the end that the next upgrade follows
        self.tries = 0  # that failed since then
        self.tried_ns: int | None = None  # the last of them
        self.first_boot_ns: int | None = None  # on this connection
        self.rounds = 0
        self.booted_ns: int | None = None  # the last boot
        self.boots: list[int] = []  # in the last ten minutes
        self.firmware_ns: int | None = None  # when firmware was last being installed
        self.awaited_ns: int | None = None  # when the last boot was accepted
        self.places: set[Place] = set()  # connectors heard of since
        self.ready_ns = 0  # when one of them was heard of first
        self.first_ns: int | None = None  # when it was heard of first
        self.connected_ns = 0  # in times that are over
        self.outages = 0
        self.longest_ns = 0


class ConnectionFigures:
    """Follows the connections of all stations."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lives = PerStation(Life)
        bus.subscribe(Upgraded, self._upgraded)
        bus.subscribe((Closed, LeftOpen), self._closed)
        bus.subscribe(Refused, self._refused)
        bus.subscribe(Attempted, self._attempted)
        bus.subscribe(opening(), self._opening)
        bus.subscribe(Booted, self._booted)
        bus.subscribe(StatusChanged, self._reported)
        bus.subscribe(
            answered("ChangeConfiguration", "SetVariables", "GetConfiguration", "GetVariables"), self._configured
        )
        bus.subscribe(asked("NotifyReport"), self._configured)
        bus.subscribe(asked("FirmwareStatusNotification"), self._firmware)
        bus.subscribe(CaptureEnded, self._capture_ended)

    # --- beginnings -----------------------------------------------------------------------------------------------

    def _upgraded(self, told: Upgraded) -> None:
        station, link, now = told.station, told.link, told.time_ns
        assert link is not None
        life = self._life(station, now)
        if not life.open:
            life.since_ns = now
            if life.out_ns is not None:
                _outage(life, now)
            if life.ended_ns is not None and link.upgraded_ns is not None:
                self._reconnected(station, link.upgraded_ns - life.ended_ns, now, life.tries)
        if link.connection.handshake is not None:
            self._tried(station, life, link.connection.handshake.requested_ns, now)
        life.open[link.number] = None
        if len(life.open) > MAX_OPEN:
            del life.open[next(iter(life.open))]
            life.left_out += 1
        life.ended_ns = life.out_ns = life.tried_ns = life.first_boot_ns = None
        life.tries = life.rounds = 0

    def _life(self, station: Station, now: int) -> Life:
        life = self._lives(station)
        if life.first_ns is None:
            life.first_ns = min(station.first_ns, now)
        return life

    def _reconnected(self, station: Station, gap_ns: int, now: int, attempts: int) -> None:
        series = self._ledger.add(RECONNECT, station, gap_ns, now)
        if attempts:
            series.count("attempts", attempts)

    def _tried(self, station: Station, life: Life, at: int, now: int) -> None:
        """An attempt began at `at`."""
        if life.tried_ns is not None and at > life.tried_ns:
            self._ledger.add(BACKOFF, station, at - life.tried_ns, now)
        life.tried_ns = at

    def _refused(self, told: Refused) -> None:
        life = self._life(told.station, told.time_ns)
        handshake = told.connection.handshake
        if handshake is not None and not life.open:
            self._tried(told.station, life, handshake.requested_ns, told.time_ns)
            life.tries += 1

    def _attempted(self, told: Attempted) -> None:
        attempt, known = told.attempt, told.station.connections
        if attempt.flow.server not in known.servers or attempt.outcome is AttemptOutcome.NO_DATA:
            return  # it may be anybody's, for anything
        life = self._life(told.station, told.time_ns)
        if life.open or (life.tried_ns is not None and attempt.first_ns < life.tried_ns):
            return  # told too late to be in order
        self._tried(told.station, life, attempt.first_ns, told.time_ns)
        life.tries += attempt.attempts
        if attempt.attempts > 1:
            mean = (attempt.last_ns - attempt.first_ns) // (attempt.attempts - 1)
            self._ledger.add(BACKOFF, told.station, mean, told.time_ns)
        life.tried_ns = attempt.last_ns

    def _opening(self, x: Exchange) -> None:
        if x.ordinal == 0 and x.link.upgraded_ns is not None:
            self._ledger.add(FIRST, x.station, x.asked_ns - x.link.upgraded_ns, x.asked_ns)

    # --- boots ----------------------------------------------------------------------------------------------------

    def _booted(self, told: Booted) -> None:
        station, boot, now = told.station, told.boot, told.time_ns
        self._ledger.person(station).learn(station, now)
        life = self._life(station, now)
        if boot.triggered or boot.reason == "Triggered":
            return
        if life.first_boot_ns is None:
            life.first_boot_ns = boot.asked_ns
            if not life.rounds:
                self._restarted(station, life, boot.asked_ns, boot.reason)
        life.rounds += 1
        if boot.status == "Accepted":
            self._accepted(told, life)

    def _accepted(self, told: Booted, life: Life) -> None:
        station, link, now = told.station, told.boot.link, told.time_ns
        if life.first_boot_ns is not None:
            series = self._ledger.add(BOOT, station, now - life.first_boot_ns, now)
            if life.rounds > 1:
                series.count("told_to_wait", life.rounds - 1)
        before = list(station.registration.boots)[:-1]
        if link.upgraded_ns is not None and not any(one.link is link and one.status == "Accepted" for one in before):
            self._ledger.add(ACCEPTED, station, now - link.upgraded_ns, now)
        self._settle_ready(station, life, now)
        life.first_boot_ns, life.rounds = None, 0
        life.awaited_ns, life.ready_ns = now, now
        life.places.clear()

    def _restarted(self, station: Station, life: Life, now: int, reason: str) -> None:
        if life.booted_ns is not None:
            self._ledger.add(UPTIME, station, now - life.booted_ns, now, _cause(station, life, now, reason))
        life.booted_ns = now
        life.boots = [*(at for at in life.boots if now - at <= MANY_BOOTS_NS), now][-MAX_BOOTS:]
        total = self._ledger.portion(BOOTS, station.identity)
        total.add(1, 1, 1)
        total.most("in_10_min", len(life.boots))

    def _reported(self, told: StatusChanged) -> None:
        life, place = self._lives(told.station), told.connector.place
        if life.awaited_ns is None or place in life.places or told.exchange.replayed:
            return
        if told.time_ns - life.awaited_ns > READY_WITHIN_NS or place not in told.station.connectors.places:
            return
        life.places.add(place)
        life.ready_ns = told.time_ns

    def _settle_ready(self, station: Station, life: Life, now: int) -> None:
        """The boot before is over: did all connectors report?"""
        if life.awaited_ns is None or not life.places:
            return
        if life.places >= station.connectors.places.keys():
            self._ledger.add(READY, station, life.ready_ns - life.awaited_ns, now)
        else:
            self._ledger.series(READY, station.identity).count("incomplete")
        life.awaited_ns = None

    def _configured(self, x: Exchange) -> None:
        self._ledger.person(x.station).learn(x.station, x.time_ns)

    def _firmware(self, x: Exchange) -> None:
        if x.asked.text("status") in ("Installing", "InstallRebooting", "Installed"):
            self._lives(x.station).firmware_ns = x.asked_ns

    # --- ends -----------------------------------------------------------------------------------------------------

    def _closed(self, told: Closed | LeftOpen) -> None:
        station, link, now = told.station, told.link, told.time_ns
        assert link is not None
        life, ends = self._life(station, now), station.connections.ends
        end = ends[-1] if ends and ends[-1].connection == link.number else None
        life.open.pop(link.number, None)
        if end is not None:
            self._ended(station, end, now)
        at = now if end is None else end.time_ns
        after = _successor(station, link)
        if after is not None and after.upgraded_ns is not None and (link.last_heard_ns[0] or 0) < after.upgraded_ns:
            self._reconnected(station, after.upgraded_ns - _last_heard(link), now, 0)
        if isinstance(told, Closed) and not life.open:
            if life.since_ns is not None:
                life.connected_ns += max(0, at - life.since_ns)
            life.since_ns, life.out_ns, life.ended_ns = None, at, at

    def _ended(self, station: Station, end: End, now: int) -> None:
        by = "" if end.by is None else end.by.label
        how = end.how if end.code is None else f"Close {end.code}"
        if end.whole:
            self._ledger.add(LIFETIME, station, end.lifetime_ns, now, by, how)
        self._ledger.add(IDLE, station, min(end.silent_ns), now, by, how)

    def _capture_ended(self, told: CaptureEnded) -> None:
        """The capture is over: so is the wait for connectors."""
        life = self._lives.known.get(told.station.identity)
        if life is not None:
            self._settle_ready(told.station, life, told.time_ns)

    def settle(self, now: int) -> None:
        """Works out for how long stations have been connected."""
        for identity, life in self._lives.known.items():
            connected = life.connected_ns + (max(0, now - life.since_ns) if life.since_ns is not None else 0)
            person = self._ledger.people.get(identity)
            if person is not None:
                person.connected_ns, person.is_open = connected, bool(life.open)
            if life.first_ns is None or now <= life.first_ns:
                continue
            away = now - life.out_ns if life.out_ns is not None else 0
            share = self._ledger.portion(AVAILABLE, identity)
            share.set(connected, now - life.first_ns, -(-(now - life.first_ns) // MINUTE))
            share.counts = {"outages": life.outages + (away > 0), "longest_ns": max(life.longest_ns, away)}
            if life.left_out:
                share.count("not_followed", life.left_out)


def _outage(life: Life, now: int) -> None:
    """A time without a connection is over."""
    assert life.out_ns is not None
    life.outages += 1
    life.longest_ns = max(life.longest_ns, now - life.out_ns)


def _cause(station: Station, life: Life, now: int, reason: str) -> str:
    """Why a station booted."""
    if reason:
        return reason
    if life.firmware_ns is not None and life.booted_ns is not None and life.firmware_ns > life.booted_ns:
        return "firmware"
    reset = station.connections.reset_ns
    return "Reset" if reset is not None and 0 <= now - reset <= AFTER_RESET_NS else "not asked for"


def _successor(station: Station, link: Link) -> Link | None:
    """The connection that came while this one was open."""
    return next((one for one in station.links if one.seen_ns > link.seen_ns), None)


def _last_heard(link: Link) -> int:
    began = link.upgraded_ns if link.upgraded_ns is not None else link.seen_ns
    return max([began, *(at for at in link.last_heard_ns if at is not None)])
