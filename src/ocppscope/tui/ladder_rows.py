"""The ladder of a store: `render.ladder` over rows that are numbers in columns, made into objects when they are seen.

A million messages are taken in some tens of milliseconds and cost 25 bytes each, since a row of the ladder is only
where it begins in the list of events. What happened between the messages (connections, gaps, pings) is taken one by
one, as `render.ladder` does. Draws nothing itself and knows no widget.
"""

from __future__ import annotations

from bisect import bisect_right
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from ocppscope.model import (
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Event,
    ExchangeEnd,
    Kind,
    Message,
    Outcome,
)
from ocppscope.render import rungs, times
from ocppscope.render.ladder import MAX_CLOCK, Ladder, LadderRow, Quiet, What
from ocppscope.store.columns import OUTCOMES
from ocppscope.store.places import GoneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ocppscope.render.ladder import LadderOptions
    from ocppscope.store.between import Aside
    from ocppscope.store.store import Piece, Store

    Rows = NDArray[np.int64]

MAX_MADE = 2048
"""Rows that are kept made."""
MAX_EVENTS = 512
"""Messages that are kept made: those on the screen and around it."""

_ANSWERED = OUTCOMES.index(Outcome.ANSWERED)
_REPEATED = [OUTCOMES.index(outcome) for outcome in (Outcome.RESENT, Outcome.REUSED_ID)]
_SETTLED = (Outcome.ANSWERED, Outcome.ERROR, Outcome.LATE, Outcome.TIMEOUT, Outcome.OPEN)
_EVENT, _QUIET, _DAY = int(What.EVENT), int(What.QUIET), int(What.DAY)


class _Column:
    """An array that grows at its end."""

    def __init__(self, kind: Any) -> None:
        self._room = np.zeros(1 << 10, kind)
        self.size = 0

    def extend(self, values: NDArray[Any]) -> None:
        size = self.size + len(values)
        if size > len(self._room):
            room = np.zeros(max(size, 2 * len(self._room)), self._room.dtype)
            room[: self.size] = self._room[: self.size]
            self._room = room
        self._room[self.size : size] = values
        self.size = size

    @property
    def values(self) -> NDArray[Any]:
        return self._room[: self.size]


class StoreLadder(Ladder):
    """Rows of a store as rows of a ladder: all of them, or with `rows` those that a filter left."""

    def __init__(self, store: Store, options: LadderOptions | None = None, rows: Rows | None = None) -> None:
        super().__init__(self._event, options)
        self.store = store
        self.first_row = self.taken_rows = store.first  # the first row, and the next one to take
        self._wanted = rows
        self._shown = None if rows is None else connections_of(store, rows)
        self._entries = _Column(np.int64)  # a row of the store, or -1 - the index of an aside
        self._keys = _Column(np.int64)  # the row itself, or the one before which the aside stands
        self._starts = _Column(np.int64)  # where a row of the ladder begins among the entries
        self._what = _Column(np.uint8)
        self._asides: list[Aside] = []
        self._asides_here = 0  # asides before the next row that are taken
        self._masks: list[int] = [0]
        self._masks_from: list[int] = [0]
        self._was_quiet = False
        self._last_day: int | None = None
        self._last_ns = 0
        self._made: dict[int, tuple[int, LadderRow]] = {}
        self._events: dict[int, Event] = {}

    def __len__(self) -> int:
        """How many rows the ladder has."""
        return self._starts.size

    # --- taking -----------------------------------------------------------------------------------------------------

    def extend_filter(self, rows: Rows) -> bool:
        """The filter left more rows; False if the earlier ones are others now."""
        known = self._wanted
        if known is None or len(rows) < len(known) or not np.array_equal(rows[: len(known)], known):
            return False
        self._wanted = rows
        assert self._shown is not None
        self._shown |= connections_of(self.store, rows[len(known) :])
        return True

    def grow(self) -> bool:
        """Takes at most one chunk of what is new in the store; whether there is more."""
        stop = len(self.store)
        piece = next(self.store.pieces(self.taken_rows, stop), None)
        end = stop if piece is None else piece.first + piece.high - piece.low
        asides = self.store.events(self.taken_rows, end + 1)
        if asides and asides[0].row == self.taken_rows:
            asides = asides[self._asides_here :]
        else:
            self._asides_here = 0
        if piece is None and not asides:
            return False
        here = sum(1 for aside in reversed(asides) if aside.row == end)
        self._asides_here = here if end != self.taken_rows else self._asides_here + here
        self._take_piece(piece, asides)
        self.taken_rows = end
        return end < stop

    def _take_piece(self, piece: Piece | None, asides: Sequence[Aside]) -> None:
        self._learn(asides)
        rows, moments, quiet = self._rows_of(piece)
        base = self._entries.size
        places = np.searchsorted(rows, np.fromiter((aside.row for aside in asides), np.int64, len(asides)))
        shown: list[int] = []
        before = len(self._asides)
        for index, aside in enumerate(asides):
            place = base + int(places[index]) + len(shown)
            is_shown = self._shows(aside.event)
            self._note(aside.event, place, is_shown=is_shown)
            if is_shown:
                shown.append(index)
                self._asides.append(aside)
        if shown:
            kept = [asides[index] for index in shown]
            where = places[shown]
            keys = np.insert(rows, where, [aside.row for aside in kept])
            rows = np.insert(rows, where, -1 - np.arange(before, len(self._asides)))
            moments = np.insert(moments, where, [aside.event.time_ns for aside in kept])
            quiet = np.insert(quiet, where, [self._is_quiet(aside.event) for aside in kept])
        else:
            keys = rows
        if len(rows):
            self._add(rows, keys, moments, quiet)

    def _learn(self, asides: Sequence[Aside]) -> None:
        """Which connections repeat another one, before their messages are looked at."""
        known = set[int]()
        for aside in asides:
            if isinstance(aside.event, ConnectionOpened):
                number, leg_of = aside.event.connection.number, aside.event.connection.leg_of
                if leg_of in self._connections or leg_of in known:
                    self._legs.add(number)
                known.add(number)

    def _rows_of(self, piece: Piece | None) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        """The messages of a piece that are shown: their rows, times, and whether they are quiet."""
        if piece is None:
            nothing = np.zeros(0, np.int64)
            return nothing, nothing, np.zeros(0, np.bool_)
        chunk, last = piece.chunk, piece.first + piece.high - piece.low
        rows = np.arange(piece.first, last)
        if self._wanted is not None:
            rows = self._wanted[slice(*np.searchsorted(self._wanted, (piece.first, last)))].astype(np.int64)
        at = rows - chunk.first
        if not self.options.legs and self._legs:
            rows = rows[~np.isin(chunk.connection[at], list(self._legs))]
            at = rows - chunk.first
        quiet = np.zeros(len(rows), np.bool_)
        heartbeat = self.store.actions.get("Heartbeat")
        if self.options.collapse and heartbeat is not None:
            outcome = chunk.outcome[at]  # of a CALL what became of it since: that has a row of its own
            asked = (chunk.kind[at] == int(Kind.CALL)) & ~np.isin(outcome, _REPEATED)
            calm = asked | (outcome == _ANSWERED)
            quiet = (chunk.action[at] == heartbeat) & (chunk.problems[at] == 0) & calm
        return rows, chunk.time_ns[at], quiet

    def _shows(self, event: Event) -> bool:
        if not self._is_shown(event):
            return False
        if self._shown is None:
            return True
        if isinstance(event, ControlFrame) and event.opcode != 8:
            return False
        if isinstance(event, ExchangeEnd):
            row, wanted = self.store.find(event.connection, event.ordinal), self._wanted
            return row is not None and wanted is not None and bool(np.isin(row, wanted))
        return rungs.connection_of(event) in self._shown

    def _is_quiet(self, event: Event) -> bool:
        is_ping = isinstance(event, ControlFrame) and event.opcode in (9, 10) and not event.problems
        return self.options.collapse and is_ping

    def _note(self, event: Event, place: int, *, is_shown: bool) -> None:
        """What an aside says of connections and exchanges; `place` is where it stands among the entries."""
        if isinstance(event, ConnectionOpened):
            self._opened(event.connection)
        elif isinstance(event, ConnectionClosed):
            upgrade = event.connection.handshake
            if upgrade is None or upgrade.upgraded:
                self._closed(event.connection)
            place += is_shown  # on its own row the lane is still there
        elif isinstance(event, ExchangeEnd):
            self.unanswered[event.connection, event.ordinal] = event
        if self._open != self._masks[-1]:
            self._masks.append(self._open)
            self._masks_from.append(place)

    def _add(self, entries: Rows, keys: Rows, moments: Rows, quiet: NDArray[np.bool_]) -> None:
        """Entries become rows: each its own, but quiet ones that follow each other share one."""
        base = self._entries.size
        joined = quiet & np.concatenate(([self._was_quiet], quiet[:-1]))
        is_new_day = np.zeros(len(entries), np.bool_)
        if self.options.clock.needs_date_lines:
            days = moments // times.DAY
            is_new_day[1:] = days[1:] != days[:-1]
            is_new_day[0] = self._last_day is None or int(days[0]) != self._last_day
            self._last_day = int(days[-1])
        starts = np.flatnonzero(~joined | is_new_day)
        what = np.where(quiet[starts], _QUIET, _EVENT)
        dated = np.flatnonzero(is_new_day[starts])
        self._starts.extend(np.insert(starts, dated, starts[dated]) + base)
        self._what.extend(np.insert(what, dated, _DAY))
        self._entries.extend(entries)
        self._keys.extend(keys)
        self._was_quiet = bool(quiet[-1])
        self._last_ns = int(moments[-1])
        if self.first_ns is None:
            self.first_ns = int(moments[0])

    # --- rows -------------------------------------------------------------------------------------------------------

    def row(self, index: int) -> LadderRow:
        """A row of the ladder; raises `GoneError` where its messages are not kept any more."""
        stop = self._stop(index)
        made = self._made.get(index)
        if made is not None and made[0] == stop:
            return made[1]
        if len(self._made) >= MAX_MADE:
            self._made.clear()
        row = self._make(index, stop)
        self._made[index] = stop, row
        return row

    def _stop(self, index: int) -> int:
        starts = self._starts.values
        return int(starts[index + 1]) if index + 1 < len(starts) else self._entries.size

    def _make(self, index: int, stop: int) -> LadderRow:
        start, what = int(self._starts.values[index]), What(int(self._what.values[index]))
        moment = self._time(start)
        before = self._time(start - 1) if start else None
        mask = self._masks[bisect_right(self._masks_from, start) - 1]
        if what is What.DAY:
            return LadderRow(what, start, 0, moment, before, -1, mask)
        number = self._connection(start)
        if what is What.EVENT:
            return LadderRow(what, start, 1, moment, before, number, mask)
        run, same = self._run(start, stop, number)
        return LadderRow(what, start, stop - start, moment, before, number if same else -1, mask, run)

    def _run(self, start: int, stop: int, number: int) -> tuple[Quiet, bool]:
        """What a run of quiet entries is made of, and whether all are of one connection."""
        entries = self._entries.values[start:stop]
        rows = entries[entries >= 0]
        pings = [self._asides[-1 - int(entry)].event for entry in entries[entries < 0]]
        last_ns = self._time(stop - 1)
        beats, slowest = 0, 0
        same = all(rungs.connection_of(ping) == number for ping in pings)
        if len(rows):
            low, high = int(rows[0]), int(rows[-1]) + 1
            at = rows - max(low, self.store.first)
            kind, connection, latency = (
                self.store.column(name, low, high)[at] for name in ("kind", "connection", "latency_ns")
            )
            of_legs = np.isin(connection, list(self._legs)) if self._legs else np.zeros(len(at), np.bool_)
            beats = int(((kind == int(Kind.CALL)) & ~of_legs).sum())
            slowest = int(latency.max())
            same = same and bool((connection == number).all())
        asked = [one for one in pings if isinstance(one, ControlFrame) and one.opcode == 9]
        counted = sum(rungs.connection_of(ping) not in self._legs for ping in asked)
        return Quiet(beats, counted, last_ns, slowest), same

    def _time(self, place: int) -> int:
        entry = int(self._entries.values[place])
        if entry < 0:
            return self._asides[-1 - entry].event.time_ns
        chunk, at = self.store.cell(entry)
        return int(chunk.time_ns[at])

    def _connection(self, place: int) -> int:
        entry = int(self._entries.values[place])
        if entry < 0:
            return rungs.connection_of(self._asides[-1 - entry].event)
        chunk, at = self.store.cell(entry)
        return int(chunk.connection[at])

    def store_row(self, index: int) -> int | None:
        """The row of the store that a row of the ladder begins with; None where it is no message."""
        if not 0 <= index < len(self):
            return None
        entries = self._entries.values[int(self._starts.values[index]) : self._stop(index)]
        rows = entries[entries >= 0]
        return int(rows[0]) if len(rows) else None

    def near_row(self, index: int) -> int | None:
        """The same, or the last row of the store before it; None where there is none."""
        row = self.store_row(index)
        if row is None and 0 <= index < len(self):
            before = int(self._keys.values[int(self._starts.values[index])]) - 1
            return before if before >= self.store.first else None
        return row

    def index_of(self, row: int) -> int:
        """The row of the ladder in which a row of the store is, or the last one before it; 0 if there is none."""
        place = int(np.searchsorted(self._keys.values, row, "right")) - 1
        return max(int(np.searchsorted(self._starts.values, place, "right")) - 1, 0)

    # --- drawing ----------------------------------------------------------------------------------------------------

    def portion(self, start: int, count: int) -> Ladder:
        """Some of the rows as a ladder of their own, to be written somewhere; rows that are gone are left out."""
        part = copy(self)
        part.rows = list(self._kept(start, min(start + count, len(self))))
        return part

    def _kept(self, start: int, stop: int) -> Iterator[LadderRow]:
        for index in range(max(start, 0), stop):
            try:
                row = self.row(index)
                if row.what is not What.DAY:
                    self.event(row)
            except GoneError:
                continue
            yield row

    def _clock_width(self) -> int:
        first = self.first_ns or 0
        return min(max(len(self._clock.show(end, first)) for end in (first, self._last_ns)), MAX_CLOCK)

    def _event(self, place: int) -> Event:
        """The event of an entry, as it was when it was seen: a CALL does not know its answer."""
        entry = int(self._entries.values[place])
        if entry < 0:
            return self._asides[-1 - entry].event
        known = self._events.get(entry)
        if known is None:
            if len(self._events) >= MAX_EVENTS:
                self._events.clear()
            known = self._events[entry] = self._message(entry)
        return known

    def _message(self, row: int) -> Message:
        return as_seen(self.store.message(row))


def as_seen(message: Message) -> Message:
    """A message of a store as it was when it was seen: a CALL does not know its answer."""
    if message.kind is not Kind.CALL:
        return message
    outcome = Outcome.PENDING if message.outcome in _SETTLED else message.outcome
    return replace(message, outcome=outcome, latency_ns=None)


def connections_of(store: Store, rows: Rows) -> set[int]:
    """The connections of some rows."""
    found: set[int] = set()
    for piece in store.pieces():
        low, high = np.searchsorted(rows, (piece.first, piece.first + piece.high - piece.low))
        if low < high:
            found.update(np.unique(piece.chunk.connection[rows[low:high] - piece.chunk.first]).tolist())
    return found
