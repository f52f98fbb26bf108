"""The sequence diagram of a capture: stations, proxy and CSMS as lanes, time running down, a row an event.

`Ladder.take` makes rows of a few numbers each, as fast as events come; `Ladder.line` draws the one row that somebody
looks at, and reads its event again for that. Heartbeats and pings that nobody needs to see become one row. Pure: no
clock, no files; all text from the wire goes through `wiretext`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import (
    ConnectAttempt,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Event,
    ExchangeEnd,
    Kind,
    Message,
    Outcome,
    TlsConnection,
)
from ocppscope.render import lanes, rungs, styled, times
from ocppscope.render.lanes import Arrow, Place
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import clip, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ocppscope.model import Connection
    from ocppscope.render.lanes import Geometry

MAX_NAME = 48
"""Characters of a station's identity that are kept for its lane."""
MAX_CLOCK = 30
"""Columns of the clock; only a hostile capture needs more."""
MAX_LANES = 64
"""Stations that are told apart as connected or not; more of them share one lane at any width."""
LEAST_WIDTH = 40
"""Columns below which a line is cut, not drawn narrower."""
_SHARED_ROOM = int(MAX_LANES * lanes.SPACING[0] / lanes.SHARE) - 1  # no wider, more than MAX_LANES share a lane


class LadderOptions(NamedTuple):
    """What is shown, and how."""

    clock: times.ClockFormat = times.ClockFormat()
    collapse: bool = True  # runs of heartbeats and pings in one row
    pings: bool = True
    legs: bool = True  # both legs of a session that a proxy relays, with a lane for the proxy
    ascii_only: bool = False


class What(IntEnum):
    """What a row is."""

    EVENT = 0
    QUIET = 1  # a run of heartbeats and pings
    DAY = 2  # a date, where the clock shows none


class Quiet(NamedTuple):
    """A run of heartbeats and pings."""

    heartbeats: int
    pings: int
    last_ns: int
    slowest_ns: int  # of the heartbeats' answers


class LadderRow(NamedTuple):
    """One row: numbers only, so that a million of them are cheap."""

    what: What
    first: int  # the event's place among all that were taken
    events: int  # how many are in it
    time_ns: int
    previous_ns: int | None  # when the row above ended
    connection: int  # -1: of several, or of none
    open: int  # bit n: the station of lane n is connected; bit MAX_LANES: one of those after
    quiet: Quiet | None = None


class Ladder:
    """Rows of events, and how each is drawn. `fetch(i)` gives the event that was the i-th to be taken."""

    def __init__(self, fetch: Callable[[int], Event], options: LadderOptions | None = None) -> None:
        self.options = options or LadderOptions()
        self.rows: list[LadderRow] = []
        self.stations: list[str] = []  # identities as they may be shown, by lane
        self.unanswered: dict[tuple[int, int], ExchangeEnd] = {}
        self.first_ns: int | None = None
        self.taken = 0
        self._fetch = fetch
        self._lane_of: dict[str, int] = {}
        self._lane: dict[int, int] = {}  # by connection
        self._connections: dict[int, Connection] = {}
        self._far: set[int] = set()  # connections between proxy and CSMS
        self._legs: set[int] = set()  # connections that repeat another one
        self._up: dict[int, int] = {}  # open connections by lane
        self._open = 0
        self._day: int | None = None
        self._clock = times.Clock(self.options.clock)

    # --- rows -------------------------------------------------------------------------------------------------------

    def take(self, events: Iterable[Event]) -> None:
        """The next events; rows of earlier ones stay, save that the last may become a run with what follows."""
        for event in events:
            self._take(self.taken, event)
            self.taken += 1

    def _take(self, index: int, event: Event) -> None:
        if isinstance(event, ConnectAttempt | TlsConnection):
            return
        if isinstance(event, ConnectionOpened):
            self._opened(event.connection)
        if not self._is_shown(event):
            if isinstance(event, ConnectionClosed):
                self._closed(event.connection)
            return
        if self.first_ns is None:
            self.first_ns = event.time_ns
        if self.options.clock.needs_date_lines and event.time_ns // times.DAY != self._day:
            self._day = event.time_ns // times.DAY
            self.rows.append(LadderRow(What.DAY, index, 0, event.time_ns, self._ended_ns(), -1, self._open))
        if self.options.collapse and _is_quiet(event):
            self._quiet(index, event)
        else:
            number = rungs.connection_of(event)
            row = LadderRow(What.EVENT, index, 1, event.time_ns, self._ended_ns(), number, self._open)
            self.rows.append(row)
        if isinstance(event, ExchangeEnd):
            self.unanswered[event.connection, event.ordinal] = event
        elif isinstance(event, ConnectionClosed):
            self._closed(event.connection)

    def _is_shown(self, event: Event) -> bool:
        if isinstance(event, ConnectionClosed) and not _is_up(event.connection):
            return False
        if not self.options.pings and isinstance(event, ControlFrame) and event.opcode != 8 and not event.problems:
            return False
        return self.options.legs or rungs.connection_of(event) not in self._legs

    def _ended_ns(self) -> int | None:
        """When the last row ended."""
        if not self.rows:
            return None
        last = self.rows[-1]
        return last.quiet.last_ns if last.quiet else last.previous_ns if last.what is What.DAY else last.time_ns

    def meet(self, connection: Connection) -> None:
        """A connection that has a lane although nothing was taken that says when it was opened."""
        self._opened(connection)

    def _opened(self, connection: Connection) -> None:
        number = connection.number
        if number in self._connections:
            return
        self._connections[number] = connection
        first = self._connections.get(connection.leg_of) if connection.leg_of is not None else None
        if first is not None:
            self._lane[number] = self._lane[first.number]
            self._legs.add(number)
            self._far.add(first.number if connection.asked_ns < first.asked_ns else number)
        else:
            self._lane[number] = self._lane_for(connection.station)
        if _is_up(connection):
            self._raise(self._lane[number], 1)

    def _lane_for(self, station: str) -> int:
        lane = self._lane_of.setdefault(station, len(self._lane_of))
        if lane == len(self.stations):
            self.stations.append(visible(station, MAX_NAME) or "station")
        return lane

    def _raise(self, lane: int, by: int) -> None:
        """One more, or one less, connection of that lane is open."""
        lane = min(lane, MAX_LANES)
        count = self._up[lane] = max(self._up.get(lane, 0) + by, 0)
        self._open = self._open | 1 << lane if count else self._open & ~(1 << lane)

    def _closed(self, connection: Connection) -> None:
        if connection.number in self._lane and _is_up(connection):
            self._raise(self._lane[connection.number], -1)

    def _quiet(self, index: int, event: Event) -> None:
        """Adds a heartbeat or ping to the run of them, or begins one."""
        number = rungs.connection_of(event)
        beat, ping, slow_ns = 0, 0, 0
        if isinstance(event, Message):
            slow_ns = event.latency_ns or 0
            beat = int(event.kind is Kind.CALL and number not in self._legs)
        elif isinstance(event, ControlFrame):
            ping = int(event.opcode == 9 and number not in self._legs)
        last = self.rows[-1] if self.rows else None
        if last is None or last.quiet is None:
            quiet = Quiet(beat, ping, event.time_ns, slow_ns)
            ended_ns = self._ended_ns()
            self.rows.append(
                LadderRow(What.QUIET, index, 1, event.time_ns, ended_ns, number, self._open, quiet),
            )
            return
        had = last.quiet
        quiet = Quiet(had.heartbeats + beat, had.pings + ping, event.time_ns, max(had.slowest_ns, slow_ns))
        number = number if number == last.connection else -1
        self.rows[-1] = last._replace(events=last.events + 1, connection=number, quiet=quiet)

    # --- lines ------------------------------------------------------------------------------------------------------

    @property
    def has_proxy(self) -> bool:
        """Whether there is a lane for a proxy."""
        return bool(self._far) and self.options.legs

    def event(self, row: LadderRow) -> Event:
        """The event of a row; of a run or a date the first one."""
        return self._fetch(row.first)

    def header(self, width: int) -> tuple[Line, ...]:
        """The names of the lanes."""
        clock = self.options.clock
        title = "seconds" if clock.clock in ("d", "dd", "e", "r") else "time (UTC)"
        delta = () if clock.is_delta else (Span(f"{'Δ':>7} ", Style.DIM),)
        start = (*styled.fit((Span(title, Style.TIME),), self._clock_width()), Span(" "), *delta)
        names = lanes.header(self._geometry(width), tuple(self.stations or ("station",)))
        return (self._finish((*start, *names), width),)

    def line(self, row: LadderRow, width: int) -> Line:
        """One row, at most `width` columns."""
        if row.what is What.DAY:
            date = Span(f"-- {times.date(row.time_ns)} (UTC)", Style.BOLD)
            return self._finish((date,), width)
        arrow, place = self.rung(row)
        shape = self._geometry(width)
        line = (*self._gutter(row), *lanes.line(shape, place, arrow))
        return self._finish(line, width, fits=width >= LEAST_WIDTH and shape.fits)

    def lines(self, width: int) -> Iterator[Line]:
        """The header and all rows."""
        yield from self.header(width)
        for row in self.rows:
            yield self.line(row, width)

    def _finish(self, line: Line, width: int, *, fits: bool = False) -> Line:
        if not fits:
            line = styled.clip(line, width)
        return styled.ascii_only(line) if self.options.ascii_only else line

    def _clock_width(self) -> int:
        """Columns of the clock: those of the first or last row, whichever needs more."""
        ends = (self.rows[0].time_ns, self.rows[-1].time_ns) if self.rows else (0,)
        return min(max(len(self._clock.show(end, self.first_ns or 0)) for end in ends), MAX_CLOCK)

    def _geometry(self, width: int) -> Geometry:
        gutter = self._clock_width() + (1 if self.options.clock.is_delta else 9)
        room, names = max(width, LEAST_WIDTH) - gutter, tuple(self.stations[: MAX_LANES + 1] or ("station",))
        return lanes.geometry(min(room, _SHARED_ROOM) if len(names) > MAX_LANES else room, names, self.has_proxy)

    def _gutter(self, row: LadderRow) -> Line:
        """When, and how long after the row above."""
        before = row.time_ns if row.previous_ns is None else row.previous_ns
        relative = self.options.clock.is_delta
        shown = self._clock.show(row.time_ns, before if relative else self.first_ns or 0)
        clock = Span(f"{clip(shown, size := self._clock_width()):>{size}} ", Style.TIME)
        if relative:
            return (clock,)
        since = "" if row.previous_ns is None else clip(times.since(row.time_ns - before), 7)
        return clock, Span(f"{since:>7} ", Style.DIM)

    def rung(self, row: LadderRow) -> tuple[Arrow, Place]:
        """What a row shows, and between which lanes; not for dates."""
        lane = self._lane.get(row.connection)
        name = "" if lane is None else self.stations[lane]
        if row.quiet is not None and row.events > 1:
            run, whose = row.quiet, name if len(self.stations) > 1 else ""
            drawn = rungs.quiet(run.heartbeats, run.pings, run.last_ns - row.time_ns, run.slowest_ns, whose)
            return drawn, Place(None, open=row.open)
        event = self._fetch(row.first)
        arrow = rungs.arrow(event, self._connections, self._end_of(event))
        return arrow, Place(lane, row.connection in self._far and self.options.legs, row.open, name)

    def _end_of(self, event: Event) -> ExchangeEnd | None:
        """What says that this CALL stays without an answer."""
        if isinstance(event, Message) and event.kind is Kind.CALL:
            return self.unanswered.get((event.connection, event.ordinal))
        return None


def _is_up(connection: Connection) -> bool:
    """Whether it was ever open: its upgrade was granted, or is not in the capture."""
    return connection.handshake is None or connection.handshake.upgraded


def _is_quiet(event: Event) -> bool:
    """Whether an event is a heartbeat, a ping or a pong of which there is nothing to say."""
    if isinstance(event, ControlFrame):
        return event.opcode in (9, 10) and not event.problems
    if not isinstance(event, Message) or event.action != "Heartbeat" or event.problems:
        return False
    return event.outcome in (Outcome.PENDING, Outcome.ANSWERED)


def ladder(events: Iterable[Event], options: LadderOptions | None = None) -> Ladder:
    """The ladder of some events. A sequence is not copied: its elements are read again when they are drawn."""
    kept = events if isinstance(events, Sequence) else list(events)
    drawn = Ladder(kept.__getitem__, options)
    drawn.take(kept)
    return drawn


def rows(events: Iterable[Event], options: LadderOptions | None = None) -> list[LadderRow]:
    """The rows alone."""
    return ladder(events, options).rows


def text(drawn: Ladder, width: int = 120) -> str:
    """As plain text, with line ends."""
    return styled.text(drawn.lines(width))


def markdown(drawn: Ladder, width: int = 120) -> str:
    """As Markdown: fenced text."""
    return styled.markdown(list(drawn.lines(width)))
