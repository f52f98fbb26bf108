"""What keeps a connection alive: heartbeats and pings, how regular they are and what became of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.happenings import Closed, Controlled, LeftOpen, Missing, asked
from ocppscope.analysis.timing.figures import SECOND, Kind, Limits, Unit, above, figure
from ocppscope.model import Side

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.station import Exchange, Link, Station
    from ocppscope.analysis.timing.ledger import Ledger

MAX_LINKS = 1 << 15
"""Open connections that are followed; of more, the oldest begins anew."""
MAX_PINGS = 32
"""Pings of one side that wait for their pongs; of more, the oldest are lost."""
LOST_NS = 10 * SECOND
PING, PONG = 9, 10

BEATS = figure(
    "heartbeat-interval", "keepalive", "Between Heartbeats", Unit.TIME,
    "Time between two Heartbeats of a connection; `interval_ns` is what the station was told last. `not_followed` "
    "counts how often what was last heard of a connection had to be forgotten, since there were too many.",
)  # fmt: skip
JITTER = figure(
    "heartbeat-jitter", "keepalive", "Heartbeat off its time", Unit.TIME,
    "How far the time between two Heartbeats is from the interval, early or late. Flagged if one in twenty is off "
    "by more than half of it (`beyond`). A station that sent something else may leave a Heartbeat out: then it "
    "counts as `skipped`.",
    alarms={"beyond": Severity.NOTE},
)  # fmt: skip
PING_RTT = figure(
    "ping-rtt", "keepalive", "Ping to pong", Unit.TIME,
    "From a WebSocket ping to the pong with the same content, by who sent the ping. It includes the network on the "
    "far side of the capture only.",
    split=("from",), limits=above(None, 2),
)  # fmt: skip
PING_LOSS = figure(
    "ping-loss", "keepalive", "Pings without a pong", Unit.PERCENT,
    "Pings that no pong answered within 10 s. Left out: those that a later pong answers too, and those around "
    "missing bytes.",
    kind=Kind.SHARE, split=("from",), limits=Limits(error=0, of="value"), scale=100,
)  # fmt: skip
PINGS = figure(
    "ping-interval", "keepalive", "Between pings", Unit.TIME,
    "Time between two pings of the same side on one connection; `mad_ns` is the median distance from the median.",
    split=("from",),
)  # fmt: skip


class Pulse:
    """What is kept of an open connection."""

    __slots__ = ("beat_ns", "ping_ns", "said", "waiting")

    def __init__(self) -> None:
        self.beat_ns: int | None = None
        self.said = 0  # messages of the station when the last Heartbeat was sent
        self.ping_ns: list[int | None] = [None, None]  # by sender
        self.waiting: tuple[deque[tuple[bytes, int]], deque[tuple[bytes, int]]] = deque(), deque()  # by sender


class KeepaliveFigures:
    """Follows the heartbeats and pings of all connections."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pulses: dict[int, tuple[Station, Pulse]] = {}  # by connection
        bus.subscribe(asked("Heartbeat"), self._beat)
        bus.subscribe(Controlled, self._controlled)
        bus.subscribe(Missing, self._missing)
        bus.subscribe((Closed, LeftOpen), self._closed)

    def _pulse(self, station: Station, link: Link) -> Pulse:
        found = self._pulses.get(link.number)
        if found is None:
            found = self._pulses[link.number] = station, Pulse()
            if len(self._pulses) > MAX_LINKS:
                self._let_go(*self._pulses.pop(next(iter(self._pulses))))
        return found[1]

    def _let_go(self, station: Station, pulse: Pulse) -> None:
        """Its waiting pings are not counted: nobody will see their pongs."""
        self._ledger.series(BEATS, station.identity).count("not_followed")
        for side in Side:
            self._discount(station, side, pulse.waiting[side])

    # --- heartbeats -----------------------------------------------------------------------------------------------

    def _beat(self, x: Exchange) -> None:
        if x.side is not Side.STATION:
            return
        pulse, now, said = self._pulse(x.station, x.link), x.asked_ns, x.link.said[Side.STATION]
        if pulse.beat_ns is not None and (x.link.gap_ns is None or x.link.gap_ns < pulse.beat_ns):
            self._gap(x.station, now - pulse.beat_ns, now, others=said - pulse.said > 1)
        pulse.beat_ns, pulse.said = now, said

    def _gap(self, station: Station, gap: int, now: int, *, others: bool) -> None:
        self._ledger.add(BEATS, station, gap, now)
        interval = self._ledger.person(station).heartbeat_ns
        if not interval:
            return
        due = (gap + interval // 2) // interval
        if due > 1 and others:
            self._ledger.series(JITTER, station.identity).count("skipped", due - 1)
            return
        series = self._ledger.add(JITTER, station, abs(gap - interval), now)
        series.counts["interval_ns"] = interval
        if abs(gap - interval) * 2 > interval:
            series.count("beyond")

    # --- pings ----------------------------------------------------------------------------------------------------

    def _controlled(self, told: Controlled) -> None:
        assert told.link is not None
        frame, now = told.frame, told.time_ns
        if frame.opcode == PING:
            self._ping(told.station, self._pulse(told.station, told.link), frame.side, frame.payload, now)
        elif frame.opcode == PONG:
            self._pong(told.station, self._pulse(told.station, told.link), frame.side.other, frame.payload, now)

    def _ping(self, station: Station, pulse: Pulse, side: Side, payload: bytes, now: int) -> None:
        before = pulse.ping_ns[side]
        if before is not None:
            self._ledger.add(PINGS, station, now - before, now, side.label)
        pulse.ping_ns[side] = now
        waiting = pulse.waiting[side]
        self._give_up(station, side, waiting, now)
        if len(waiting) >= MAX_PINGS:
            waiting.popleft()
            self._lost(station, side, 1)
        waiting.append((payload, now))
        self._ledger.portion(PING_LOSS, station.identity, side.label).add(0, 1, 1)

    def _pong(self, station: Station, pulse: Pulse, side: Side, payload: bytes, now: int) -> None:
        """A pong answers the first ping with its content, and with that those before (RFC 6455 §5.5.3)."""
        waiting = pulse.waiting[side]
        self._give_up(station, side, waiting, now)
        place = next((at for at, (content, _) in enumerate(waiting) if content == payload), None)
        if place is None:
            return
        for _ in range(place):
            waiting.popleft()
        self._ledger.add(PING_RTT, station, now - waiting.popleft()[1], now, side.label)

    def _give_up(self, station: Station, side: Side, waiting: deque[tuple[bytes, int]], now: int) -> None:
        while waiting and now - waiting[0][1] > LOST_NS:
            waiting.popleft()
            self._lost(station, side, 1)

    def _lost(self, station: Station, side: Side, count: int) -> None:
        self._ledger.portion(PING_LOSS, station.identity, side.label).add(count, 0, 0)

    def _missing(self, told: Missing) -> None:
        """Whatever was on its way may be what is missing."""
        found = self._pulses.get(told.gap.connection)
        if found is not None:
            for side, waiting in zip(Side, found[1].waiting, strict=True):
                self._discount(told.station, side, waiting)
                found[1].ping_ns[side] = None

    def _discount(self, station: Station, side: Side, waiting: deque[tuple[bytes, int]]) -> None:
        if waiting:
            self._ledger.portion(PING_LOSS, station.identity, side.label).add(0, -len(waiting), -len(waiting))
            waiting.clear()

    def _closed(self, told: Closed | LeftOpen) -> None:
        assert told.link is not None
        found = self._pulses.pop(told.link.number, None)
        if found is not None:
            for side, waiting in zip(Side, found[1].waiting, strict=True):
                self._give_up(told.station, side, waiting, told.time_ns)

    def settle(self, now: int) -> None:
        """Gives up pings that have waited too long, and works out how much the times between them vary."""
        for station, pulse in self._pulses.values():
            for side, waiting in zip(Side, pulse.waiting, strict=True):
                self._give_up(station, side, waiting, now)
        for series in self._ledger.spreads[PINGS].values():
            values = sorted(series.values)
            if values:
                middle = values[(len(values) - 1) // 2]
                series.counts["mad_ns"] = sorted(abs(value - middle) for value in values)[(len(values) - 1) // 2]
