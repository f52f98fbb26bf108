"""How the connections of a station began and ended, and what was tried between them.

`Connections` is what rules and the autopsy read. It holds figures and who did what, no verdicts.
"""

from __future__ import annotations

from bisect import insort
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ocppscope.analysis.happenings import (
    Attempted,
    Closed,
    Controlled,
    Encrypted,
    LeftOpen,
    Refused,
    Upgraded,
    answered,
    asked,
)
from ocppscope.analysis.latest import Latest
from ocppscope.model import Side, Version
from ocppscope.ocpp.versions import version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.station import Exchange, Link, Station
    from ocppscope.model import Connection, Endpoint

MAX_ENDS = 64
"""Ends of a station's connections that are remembered: the latest."""
MAX_ATTEMPTS = 128
"""Attempts of a station to connect that are remembered: the latest."""
MAX_OVERLAPS = 16
"""Pairs of connections at the same time that are remembered of a station: the latest."""
MAX_GAPS = 32
"""Intervals between heartbeats or pings of one connection that are remembered: the latest."""
MAX_PINGS = 32
"""Pings of one side that wait for their pongs: the oldest, which tells since when there are none, and the latest."""
MAX_PENDING = 8
"""CALLs without an answer that an end remembers: the oldest."""
MAX_SERVERS = 8
"""Servers that a station asked for upgrades: the latest."""
MAX_ADDRESSES = 1 << 14
"""Addresses that are remembered; those heard of last."""
LARGE = 16 << 10
"""Bytes from which a message is remembered as a large one."""
SHORT_NS = 5_000_000_000
"""A connection that ended so early, without an answer to any CALL, counts as an attempt that failed."""
AFTER_RESET_NS = 90_000_000_000
"""An end so soon after an accepted Reset is the reboot that was asked for."""

CLOSE, PING, PONG = 8, 9, 10
SILENCE = "silence"
"""How a connection ended of which no end was seen although the station came back."""
UPGRADED = "upgraded"
AT_ONCE = "upgraded, ended at once"

_SECOND = 1_000_000_000
_LONGEST = 10 * 366 * 86_400


class Attempt(NamedTuple):
    """Something that a station tried in order to connect."""

    time_ns: int  # the first SYN, or the request
    how: str  # UPGRADED, AT_ONCE, "HTTP 401", "no answer to the upgrade", or what TCP attempts came to
    times: int = 1  # TCP connections alike until `last_ns`
    last_ns: int = 0
    connection: int = -1
    failed: bool = True  # of an upgraded one: it ended at once, and no CALL was answered


class Pending(Struct, frozen=True):
    """A CALL without an answer when its connection ended."""

    action: str
    side: Side  # who asked
    age_ns: int


class End(Struct, frozen=True):
    """The end of a connection. `time_ns` is the first sign of it: a Close frame, FIN or RST."""

    connection: int
    began_ns: int  # upgraded, or found in its middle
    whole: bool  # whether its upgrade was seen, so that its lifetime is known
    time_ns: int
    by: Side | None
    how: str  # "close frame", "FIN", "RST", SILENCE
    code: int | None
    reason: str
    silent_ns: tuple[int, int]  # by side: how long it had said nothing, Close frames aside
    messages: tuple[int, int]  # by side
    heartbeat_ns: int | None  # as agreed
    heartbeat_seen_ns: int | None  # the median of what was seen
    ping_ns: int | None  # as configured
    ping_seen_ns: tuple[int | None, int | None]  # by sender: the median of what was seen
    pending: tuple[Pending, ...]
    after_reset: bool
    large: tuple[int, int, Side, str] | None = None  # its last large message: time, bytes, sender, action
    next_ns: int | None = None  # when the station asked for its next connection that was upgraded
    tried: int = 0  # attempts that failed before that

    @property
    def lifetime_ns(self) -> int:
        """From the upgrade, or from when it was found."""
        return self.time_ns - self.began_ns

    @property
    def inbound_ns(self) -> int:
        """How long the side that ended it had heard nothing."""
        return min(self.silent_ns) if self.by is None else self.silent_ns[self.by.other]

    @property
    def waited_for_answer(self) -> bool:
        """Whether a CALL of the side that ended it had waited about as long as it heard nothing."""
        silences = self.inbound_ns, min(self.silent_ns)
        return any(
            one.side is self.by and abs(one.age_ns - silent) <= 2 * _SECOND
            for one in self.pending for silent in silences
        )  # fmt: skip


class Overlap(Struct):
    """Two connections of a station at the same time."""

    older: int
    newer: int
    since_ns: int
    until_ns: int | None = None
    older_spoke: bool = False  # the station went on talking on the older one


class Origin:
    """An address that stations come from."""

    __slots__ = ("heard_ns", "stations")

    def __init__(self) -> None:
        self.stations: set[str] = set()  # two are enough
        self.heard_ns = 0  # when it last tried anything


class Watch:
    """What is counted of an open connection."""

    __slots__ = (
        "beat_gaps", "beat_ns", "close_ns", "large", "odd_pong_ns", "ping_gaps", "ping_ns",
    )  # fmt: skip

    def __init__(self) -> None:
        self.beat_ns: int | None = None
        self.beat_gaps: Latest[int] = Latest(MAX_GAPS)
        self.ping_ns: list[int | None] = [None, None]  # by sender
        self.ping_gaps: tuple[Latest[int], Latest[int]] = Latest(MAX_GAPS), Latest(MAX_GAPS)
        self.close_ns: int | None = None  # the first Close frame
        self.odd_pong_ns: list[int | None] = [None, None]  # by sender: the last pong that echoes no ping that waits
        self.large: tuple[int, int, Side, str] | None = None  # time, bytes, sender, action of the last large message


class Connections:
    """Of one station."""

    __slots__ = ("attempts", "count", "ends", "offered", "origin", "overlaps", "reset_ns", "servers", "watches")

    def __init__(self) -> None:
        self.count = 0  # ends, also those that are forgotten
        self.ends: Latest[End] = Latest(MAX_ENDS)  # oldest first
        self.attempts: Latest[Attempt] = Latest(MAX_ATTEMPTS)  # by time
        self.overlaps: Latest[Overlap] = Latest(MAX_OVERLAPS)
        self.watches: dict[int, Watch] = {}  # of open connections, by number
        self.servers: Latest[Endpoint] = Latest(MAX_SERVERS)  # where it asked for upgrades
        self.origin: Origin | None = None  # where its latest connection came from
        self.offered = Version.UNKNOWN  # the only one that its latest refused upgrade asked for
        self.reset_ns: int | None = None  # when a Reset was last accepted

    def watch(self, link: Link) -> Watch:
        """Of an open connection; an empty one of any other."""
        return self.watches.get(link.number) or Watch()

    def unwatch(self, link: Link) -> Watch:
        """What was counted of a connection that has ended."""
        watch = self.watches.pop(link.number, None) or Watch()
        if not self.watches:
            self.watches = {}  # the old one keeps its size
        return watch

    def is_live(self, link: Link) -> bool:
        """Whether a connection is open, and not even a Close frame was seen."""
        return link.open and self.watch(link).close_ns is None

    def failed_in_a_row(self) -> list[Attempt]:
        """The latest attempts, as far back as they all failed; oldest first."""
        row: list[Attempt] = []
        for one in reversed(self.attempts):
            if not one.failed:
                break
            row.append(one)
        return row[::-1]

    def idle(self, floor_ns: int) -> Constant | None:
        """What the ends of the side that ended the latest connection have in common, as far as silence goes."""
        if not self.ends or self.ends[-1].after_reset:
            return None
        last = self.ends[-1]
        ends = [one for one in self.ends if one.by is last.by and not one.after_reset]
        found = [
            Constant.of(sort, [how(one) for one in ends if not one.waited_for_answer], how(last), len(ends))
            for sort, how in _IDLE.items()
            if how(last) >= floor_ns and not last.waited_for_answer
        ]
        return max(found, key=lambda one: (one.count, -one.spread_ns), default=None)

    def lifetime(self) -> Constant | None:
        """What the lifetimes of the latest connections have in common."""
        ends = [one for one in self.ends if one.whole and not one.after_reset]
        if not ends or ends[-1] is not self.ends[-1]:
            return None
        return Constant.of("lifetime", [one.lifetime_ns for one in ends], ends[-1].lifetime_ns, len(ends))


class Constant(Struct, frozen=True):
    """A figure on which some of several ends agree with the latest."""

    sort: str  # "any" or "inbound" silence, "lifetime"
    value_ns: int  # median
    spread_ns: int  # how far the farthest is from it
    count: int
    among: int

    @classmethod
    def of(cls, sort: str, values: Iterable[int], value_ns: int, among: int) -> Constant:
        """Those that agree within 2 s or 3 % with `value_ns`."""
        within = max(2 * _SECOND, value_ns * 3 // 100)
        near = [one for one in values if abs(one - value_ns) <= within]
        middle = int(median(near)) if near else value_ns
        return cls(sort, middle, max((abs(one - middle) for one in near), default=0), len(near), among)


_IDLE: dict[str, Callable[[End], int]] = {
    "any": lambda end: min(end.silent_ns),
    "inbound": lambda end: end.inbound_ns,
}


def seconds_of(value: float | None) -> int | None:
    """A setting in seconds as ns, None if it is off or nonsense."""
    return int(value * _SECOND) if value is not None and 0 < value < _LONGEST else None


def heartbeat_of(station: Station) -> int | None:
    """The heartbeat interval in force: as set in this capture, else as the last boot was told."""
    setting = seconds_of(station.configuration.number("HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval"))
    if setting is not None:
        return setting
    registration = station.registration
    return registration.interval_ns or None if registration.status == "Accepted" else None


def ping_of(station: Station) -> int | None:
    """The interval at which the station shall ping, as far as it was read or set in this capture."""
    return seconds_of(station.configuration.number("WebSocketPingInterval", "OCPPCommCtrlr.WebSocketPingInterval"))


class ConnectionTracker:
    """Follows the beginnings and ends of all stations' connections."""

    actions = ("Heartbeat", "Reset")

    def __init__(self, bus: Bus) -> None:
        self._origins: dict[str, Origin] = {}  # by address
        bus.subscribe(Upgraded, self._upgraded)
        bus.subscribe(Refused, self._refused)
        bus.subscribe(Attempted, self._attempted)
        bus.subscribe(Encrypted, self._encrypted)
        bus.subscribe(Controlled, self._controlled)
        bus.subscribe(Closed, self._closed)
        bus.subscribe(LeftOpen, self._left_open)
        bus.subscribe(asked(), self._sent)
        bus.subscribe(answered(), self._replied)

    # --- while it is open -----------------------------------------------------------------------------------------

    def asked(self, x: Exchange) -> None:
        """A heartbeat."""
        if x.action == "Heartbeat":
            watch = x.station.connections.watch(x.link)
            if watch.beat_ns is not None:
                watch.beat_gaps.append(x.asked_ns - watch.beat_ns)
            watch.beat_ns = x.asked_ns

    def answered(self, x: Exchange) -> None:
        """A Reset that will end the connection."""
        if x.action == "Reset" and x.status in ("Accepted", "Scheduled"):
            x.station.connections.reset_ns = x.time_ns

    def _sent(self, x: Exchange) -> None:
        if x.size >= LARGE:
            x.station.connections.watch(x.link).large = x.asked_ns, x.size, x.side, x.action

    def _replied(self, x: Exchange) -> None:
        if x.answer_size >= LARGE:
            x.station.connections.watch(x.link).large = x.time_ns, x.answer_size, x.side.other, x.action

    def _controlled(self, told: Controlled) -> None:
        frame, link = told.frame, told.link
        assert link is not None
        watch = told.station.connections.watch(link)
        if frame.opcode == PING:
            self._pinged(link, watch, frame.side, frame.payload, told.time_ns)
        elif frame.opcode == PONG:
            waiting = link.pings[frame.side.other]
            if frame.payload in waiting:  # it answers the earlier ones too (RFC 6455 §5.5.3)
                while next(iter(waiting)) != frame.payload:
                    del waiting[next(iter(waiting))]
                del waiting[frame.payload]
            elif waiting:
                watch.odd_pong_ns[frame.side] = told.time_ns
        elif frame.opcode == CLOSE and watch.close_ns is None:
            watch.close_ns = told.time_ns

    def _pinged(self, link: Link, watch: Watch, side: Side, payload: bytes, now: int) -> None:
        before = watch.ping_ns[side]
        if before is not None:
            watch.ping_gaps[side].append(now - before)
        watch.ping_ns[side] = now
        waiting = link.pings[side]
        waiting.pop(payload, None)
        waiting[payload] = now
        if len(waiting) > MAX_PINGS:
            del waiting[next(islice(waiting, 1, None))]

    # --- how it begins --------------------------------------------------------------------------------------------

    def _upgraded(self, told: Upgraded) -> None:
        station, link = told.station, told.link
        assert link is not None
        known, connection = station.connections, link.connection
        known.watches[link.number] = Watch()
        if len(known.watches) > MAX_ATTEMPTS:
            del known.watches[next(iter(known.watches))]
        self._note_origin(known, station.identity, connection)
        for other in station.links:
            if other is not link and known.is_live(other):
                known.overlaps.append(Overlap(other.number, link.number, told.time_ns))
        handshake = connection.handshake
        if handshake is None:
            return
        if known.ends and known.ends[-1].next_ns is None:
            last = known.ends[-1]
            tried = sum(one.times for one in known.failed_in_a_row() if one.time_ns > last.time_ns)
            known.ends[-1] = replace(last, next_ns=handshake.requested_ns, tried=tried)
        _add(known, Attempt(handshake.requested_ns, UPGRADED, connection=link.number, failed=False))

    def _refused(self, told: Refused) -> None:
        known, connection = told.station.connections, told.connection
        handshake = connection.handshake
        assert handshake is not None
        self._note_origin(known, told.station.identity, connection)
        offered = {version_of(name) for name in handshake.offered_protocols}
        known.offered = offered.pop() if len(offered) == 1 else Version.UNKNOWN
        how = "no answer to the upgrade" if handshake.status is None else f"HTTP {handshake.status:03}"
        _add(known, Attempt(handshake.requested_ns, how, connection=connection.number))

    def _attempted(self, told: Attempted) -> None:
        attempt = told.attempt
        self._origin(attempt.flow.client.address).heard_ns = told.time_ns
        known = told.station.connections
        if attempt.flow.server in known.servers:  # else it may be anybody's, for anything
            _add(known, Attempt(attempt.first_ns, attempt.outcome, attempt.attempts, attempt.last_ns))

    def _encrypted(self, told: Encrypted) -> None:
        self._origin(told.tls.flow.client.address).heard_ns = told.time_ns

    def _note_origin(self, known: Connections, identity: str, connection: Connection) -> None:
        server, origin = connection.flow.server, self._origin(connection.flow.client.address)
        if server not in known.servers:
            known.servers.append(server)
        known.origin = origin
        if len(origin.stations) < 2:
            origin.stations.add(identity)

    def _origin(self, address: str) -> Origin:
        found = self._origins.pop(address) if address in self._origins else Origin()
        self._origins[address] = found
        if len(self._origins) > MAX_ADDRESSES:
            del self._origins[next(iter(self._origins))]
        return found

    # --- how it ends ----------------------------------------------------------------------------------------------

    def _closed(self, told: Closed) -> None:
        station, link = told.station, told.link
        assert link is not None
        known, connection = station.connections, link.connection
        watch = known.unwatch(link)
        reused = connection.close_how == "port reused"
        time_ns = _last_heard(link) if reused else _first_sign(link, watch, told.time_ns)
        how, by = (SILENCE, None) if reused else (connection.close_how, connection.closed_by)
        self._end(station, link, watch, _Sign(time_ns, how, by))
        self._fail_at_once(known, link, time_ns)
        _end_overlaps(known, link, told.time_ns)

    def _left_open(self, told: LeftOpen) -> None:
        station, link = told.station, told.link
        assert link is not None
        known = station.connections
        watch = known.unwatch(link)
        _end_overlaps(known, link, told.time_ns)
        after = next((one for one in station.links if one.seen_ns > link.seen_ns), None)
        if after is not None:
            self._end(station, link, watch, _Sign(_last_heard(link), SILENCE, None))
            known.ends[-1] = replace(known.ends[-1], next_ns=after.opened_ns)

    @staticmethod
    def _end(station: Station, link: Link, watch: Watch, sign: _Sign) -> None:
        known, connection = station.connections, link.connection
        known.count += 1
        known.ends.append(
            End(
                link.number, _began(link), link.upgraded_ns is not None, sign.time_ns, sign.by, sign.how,
                connection.close_code, connection.close_reason[:MAX_REASON],
                (max(0, link.silent_ns(sign.time_ns, Side.STATION)), max(0, link.silent_ns(sign.time_ns, Side.CSMS))),
                (link.said[0], link.said[1]), heartbeat_of(station), _median(watch.beat_gaps), ping_of(station),
                (_median(watch.ping_gaps[0]), _median(watch.ping_gaps[1])),
                tuple(_pending(x, sign.time_ns) for x in link.close_pending[:MAX_PENDING]),
                _is_reboot(station, link, sign.time_ns),
                watch.large,
            )
        )  # fmt: skip

    @staticmethod
    def _fail_at_once(known: Connections, link: Link, time_ns: int) -> None:
        last = known.attempts[-1] if known.attempts else None
        if last is None or last.connection != link.number or _has_answers(link):
            return
        if time_ns - _began(link) < SHORT_NS:
            known.attempts[-1] = last._replace(how=AT_ONCE, failed=True)


MAX_REASON = 200
"""Characters of a Close reason that are kept; a Close frame holds 123 bytes."""


class _Sign(NamedTuple):
    """The first that was seen of an end."""

    time_ns: int
    how: str
    by: Side | None


def _add(known: Connections, attempt: Attempt) -> None:
    """In order of time: what TCP attempts came to is told late."""
    if not known.attempts or known.attempts[-1].time_ns <= attempt.time_ns:
        known.attempts.append(attempt)
        return
    ordered = list(known.attempts)
    insort(ordered, attempt, key=lambda one: one.time_ns)
    known.attempts.clear()
    known.attempts.extend(ordered)


def _began(link: Link) -> int:
    return link.upgraded_ns if link.upgraded_ns is not None else link.seen_ns


def _last_heard(link: Link) -> int:
    return max([_began(link), *(at for at in link.last_heard_ns if at is not None)])


def _first_sign(link: Link, watch: Watch, now: int) -> int:
    transport = link.connection.transport
    sides = transport.sides if transport is not None else ()
    signs = [watch.close_ns, *(at for side in sides for at in (side.fin_ns, side.rst_ns))]
    return min([now, *(at for at in signs if at is not None)])


def _pending(x: Exchange, now: int) -> Pending:
    return Pending(x.action, x.side, max(0, now - x.asked_ns))


def _is_reboot(station: Station, link: Link, now: int) -> bool:
    """Whether an end is that of the reboot which a Reset ordered. A boot on a later connection has settled it."""
    reset_ns, booted_ns = station.connections.reset_ns, station.registration.booted_ns
    if reset_ns is None or not 0 <= now - reset_ns <= AFTER_RESET_NS:
        return False
    return _began(link) <= reset_ns or booted_ns is None or booted_ns < reset_ns


def _has_answers(link: Link) -> bool:
    """Whether both sides spoke, and said more than CALLs that nobody answered."""
    return all(link.said) and sum(link.said) > len(link.close_pending)


def _end_overlaps(known: Connections, link: Link, now: int) -> None:
    for one in known.overlaps:
        if one.until_ns is None and link.number in (one.older, one.newer):
            one.until_ns = now
        if link.number == one.older:
            one.older_spoke = (link.last_heard_ns[Side.STATION] or 0) > one.since_ns


def _median(gaps: Iterable[int]) -> int | None:
    known = list(gaps)
    return int(median(known)) if known else None
