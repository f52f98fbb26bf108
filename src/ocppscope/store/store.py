"""The index of a capture: a row a message, with a number that never changes, and what happened between the rows.

**Who may do what.** One thread writes (`take`, `append`, `close`). Any number of threads read. A reader takes
`len(store)` once and looks at rows below it: these are complete, because the length is published last. After that
only the outcome, latency and partner of a CALL change, each once, when its answer or its end comes; `amended` tells
which rows did. A row below `store.first` is evicted: asking for it raises `GoneError`, in whatever thread.

Memory grows with the number of messages, not with their size: texts lie in a spool or are read again from the
capture.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ocppscope.batch import Batch
from ocppscope.closing import Closing
from ocppscope.model import (
    ConnectAttempt,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ExchangeEnd,
    Kind,
    Message,
    Outcome,
    PacketComment,
    Side,
    TlsConnection,
)
from ocppscope.store import reading
from ocppscope.store.between import Aside, Between
from ocppscope.store.columns import (
    CHUNK_ROWS,
    MAX_TEXT,
    NO_ROW,
    NO_TEXT,
    OUTCOMES,
    SPOOL,
    Chunk,
    Dictionary,
    integers,
    small,
)
from ocppscope.store.places import GoneError, Payloads, Place, unmasked
from ocppscope.store.problemsets import ProblemSets
from ocppscope.store.spool import Cache, Spool
from ocppscope.store.threads import Threads
from ocppscope.store.verdicts import Judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ocppscope.model import Event, Problem
    from ocppscope.store.notes import Notes
    from ocppscope.store.verdicts import Verdict

BATCH_ROWS = 1 << 11
"""Messages that are written at once; what they need in between fits into a processor's cache."""
MAX_CONNECTIONS = 1 << 17
"""Connections whose latest snapshot is kept; of more, the oldest are forgotten, closed ones first."""
MAX_RETAINED_CONNECTIONS = 1 << 15
"""The same of a store that keeps the newest rows, which is there for days: 3 kB each."""
MAX_AMENDED = 1 << 16
"""Rows that changed lately and are listed; who asks for older ones is told to look at everything again."""
MAX_PACKETS = 256
"""Packets of a message that are kept; the first ones."""

_U16, _U32 = (1 << 16) - 1, (1 << 32) - 1
_PENDING = OUTCOMES.index(Outcome.PENDING)
_FIRST_ANSWERS = tuple(OUTCOMES.index(outcome) for outcome in (Outcome.ANSWERED, Outcome.ERROR, Outcome.LATE))
_OUTCOME_OF = {id(outcome): code for code, outcome in enumerate(OUTCOMES)}  # its own hash is Python code


class Columns(NamedTuple):
    """Messages as parallel columns, in the order of the fields of `Message`.

    `places` says where texts lie that need not be spooled: None for a text that must be.
    """

    time_ns: Sequence[int]
    connection: Sequence[int]
    ordinal: Sequence[int]
    side: Sequence[Side]
    kind: Sequence[Kind]
    id: Sequence[str]
    action: Sequence[str]
    text: Sequence[bytes]
    wire_size: Sequence[int]
    packets: Sequence[tuple[int, ...]]
    frames: Sequence[int]
    compressed: Sequence[bool]
    binary: Sequence[bool]
    outcome: Sequence[Outcome]
    reply_to: Sequence[int | None]
    latency_ns: Sequence[int | None]
    problems: Sequence[tuple[Problem, ...]]
    places: Sequence[Place | None] | None = None


_GETTERS = tuple(attrgetter(name) for name in Columns._fields[:-1])


class Piece(NamedTuple):
    """The rows from `low` to before `high` of a chunk, counted inside it."""

    chunk: Chunk
    low: int
    high: int

    @property
    def first(self) -> int:
        """The number of its first row."""
        return self.chunk.first + self.low


class Store(Closing):
    """Rows and what stands between them. With `retain`, so many of the newest rows are kept, and few more."""

    def __init__(
        self, *, retain: int | None = None, chunk_rows: int = CHUNK_ROWS, directory: str | None = None
    ) -> None:
        self.actions = Dictionary()
        self.statuses = Dictionary()
        self.errors = Dictionary()
        self.problem_sets = ProblemSets()
        self.between = Between()
        self.connections: dict[int, Connection] = {}
        self.forgotten = 0  # connections of which no snapshot is kept any more
        self.notes: Notes | None = None  # set by whoever has a sidecar file
        self.judged = Judged()
        self.first = 0  # the oldest row that is kept
        self.spool = Spool(directory)
        self._sources: list[Payloads] = [self.spool]
        self._cache = Cache()
        self._threads = Threads()
        self._chunks: dict[int, Chunk] = {}
        self._chunk_rows = chunk_rows
        self._retain = retain
        self._length = 0
        self._amended = (0, array("q"))  # how many are not listed any more, and the rows that are

    def __len__(self) -> int:
        """The number of the next row: rows from `first` to before this one can be read."""
        return self._length

    @property
    def evicted(self) -> int:
        """How many rows are not kept any more."""
        return self.first

    def unkept(self) -> tuple[str, ...]:
        """What there was no room for, beside the rows that were evicted: `3 connections`, each with its number."""
        names = sum(part.refused for part in (self.actions, self.statuses, self.errors))
        counts = (
            (self.forgotten, "connection"),
            (self.between.dropped, "event between messages"),
            (self.judged.refused, "mark of a finding"),
            (names, "name of an action, a status or an error"),
        )
        words = [(f"{count:,}", *noun.partition(" ")) for count, noun in counts if count]
        return tuple(f"{count} {noun}{'' if count == '1' else 's'}{gap}{rest}" for count, noun, gap, rest in words)

    # --- writing ------------------------------------------------------------------------------------------------

    def take(self, events: Iterable[Event], source: int = SPOOL) -> None:
        """The next events of an engine; with the number of a source, texts that lie in it are not spooled."""
        batch: list[Message] = []
        places: list[Place | None] = []
        room = self._room()
        located: Iterable[tuple[Event, tuple[int, int] | None]] = ((event, None) for event in events)
        if source != SPOOL and isinstance(events, Batch):
            located = events.located()
        for event, where in located:
            if type(event) is Message:
                batch.append(event)
                places.append(None if where is None else Place(source, where[0], len(event.text), where[1]))
                if len(batch) < room:
                    continue
            elif not batch or type(event) is not ExchangeEnd:
                self._other(event, self._length + len(batch))
                continue
            self._append(_columns(batch, places))
            batch, places, room = [], [], self._room()
            if type(event) is not Message:
                self._other(event, self._length)
        if batch:
            self._append(_columns(batch, places))

    def append(self, columns: Columns) -> None:
        """The next messages, as columns of any length."""
        start, count = 0, len(columns.time_ns)
        while start < count:
            stop = min(count, start + self._room())
            self._append(_part(columns, start, stop))
            start = stop

    def add_source(self, payloads: Payloads) -> int:
        """A capture file that places may name by the number returned; closed with the store.

        Of so many that there are no more numbers, `SPOOL`: the texts of the further ones are spooled.
        """
        if len(self._sources) >= NO_TEXT:
            payloads.close()
            return SPOOL
        self._sources.append(payloads)
        return len(self._sources) - 1

    def close(self) -> None:
        """Gives back the files; texts are gone then."""
        for source in self._sources:
            source.close()

    def _room(self) -> int:
        """How many messages may be written at once: a batch lies in one chunk."""
        return min(BATCH_ROWS, self._chunk_rows - self._length % self._chunk_rows)

    def _append(self, columns: Columns) -> None:
        """Messages that fit into the current chunk."""
        start, count = self._length, len(columns.time_ns)
        chunk = self._chunks.get(start // self._chunk_rows)
        if chunk is None:
            chunk = self._chunks[start // self._chunk_rows] = Chunk(start, self._chunk_rows)
        at = start - chunk.first
        rows = slice(at, at + count)
        self._write_heads(chunk, rows, columns)
        self._write_texts(chunk, rows, columns)
        self._threads.add(start, columns.connection, columns.ordinal)
        self._link(chunk, at, columns)
        self._length = start + count  # last: readers see whole rows
        if self._retain is not None:
            self._evict(self._retain)

    def _write_heads(self, chunk: Chunk, rows: slice, columns: Columns) -> None:
        count = len(columns.time_ns)
        chunk.time_ns[rows] = integers(columns.time_ns, count)
        chunk.connection[rows] = integers(columns.connection, count)
        chunk.ordinal[rows] = small(columns.ordinal, count, _U32)
        chunk.side[rows] = _octets(bytes(columns.side))
        chunk.kind[rows] = _octets(bytes(columns.kind))
        chunk.outcome[rows] = _octets(bytes(map(_OUTCOME_OF.__getitem__, map(id, columns.outcome))))
        chunk.compressed[rows] = _octets(bytes(columns.compressed))
        chunk.binary[rows] = _octets(bytes(columns.binary))
        chunk.wire_size[rows] = small(columns.wire_size, count, _U32)
        chunk.frames[rows] = small(columns.frames, count, _U16)
        chunk.latency_ns[rows] = integers([latency or 0 for latency in columns.latency_ns], count)
        chunk.has_latency[rows] = [latency is not None for latency in columns.latency_ns]
        chunk.action[rows] = integers(list(map(self.actions.__getitem__, columns.action)), count)
        chunk.packet[rows] = small([packets[0] if packets else 0 for packets in columns.packets], count, _U32)
        chunk.packets.write(rows.start, [b"" if len(packets) < 2 else _rest(packets) for packets in columns.packets])
        chunk.ids.write(rows.start, _ids(columns.id))
        if any(columns.problems):
            chunk.problems[rows] = list(map(self.problem_sets.code, columns.problems))

    def _write_texts(self, chunk: Chunk, rows: slice, columns: Columns) -> None:
        texts, count = columns.text, len(columns.text)
        kinds = chunk.kind[rows].tolist()
        statuses, status = self.statuses, reading.status
        chunk.status[rows] = [
            statuses[status(kind, text)] if b'tatus"' in text else 0 for kind, text in zip(kinds, texts, strict=True)
        ]
        for i in np.flatnonzero((chunk.kind[rows] == 4) | (chunk.kind[rows] == 5)).tolist():
            chunk.error[rows.start + i] = self.errors[reading.error(kinds[i], texts[i])]
        sizes = integers(list(map(len, texts)), count)
        chunk.text_size[rows] = sizes
        if columns.places is None:
            self._spool(chunk, np.arange(rows.start, rows.stop), texts, sizes)
            return
        placed = np.array([place is not None for place in columns.places], np.bool_)
        where = np.array([place for place in columns.places if place is not None], np.int64).reshape(
            -1, len(Place._fields)
        )
        here = rows.start + np.flatnonzero(placed)
        chunk.source[here], chunk.place[here], chunk.mask[here] = where[:, 0], where[:, 1], where[:, 3]
        others = np.flatnonzero(~placed)
        if len(others):
            self._spool(chunk, rows.start + others, [texts[i] for i in others.tolist()], sizes[others])

    def _spool(self, chunk: Chunk, rows: NDArray[np.int64], texts: Sequence[bytes], sizes: NDArray[np.int64]) -> None:
        offset = self.spool.append(texts)
        if offset is None:
            chunk.source[rows] = NO_TEXT
            return
        chunk.place[rows] = np.cumsum(sizes) - sizes + offset

    # --- exchanges ----------------------------------------------------------------------------------------------

    def _link(self, chunk: Chunk, at: int, columns: Columns) -> None:
        """Answers find their CALLs, and the CALLs learn what became of them."""
        count = len(columns.time_ns)
        chunk.partner[at : at + count] = NO_ROW
        find = self._threads.row
        links = [
            (i, call)
            for i, (connection, reply_to) in enumerate(zip(columns.connection, columns.reply_to, strict=True), at)
            if reply_to is not None and (call := find(connection, reply_to)) >= self.first
        ]
        if not links:
            return
        pairs = np.array(links, np.int64)
        replies, calls = pairs[:, 0], pairs[:, 1]
        chunk.partner[replies] = calls
        wanted = np.isin(chunk.outcome[replies], _FIRST_ANSWERS) & (chunk.kind[replies] != Kind.CALLRESULTERROR)
        self._answer(chunk, replies[wanted], calls[wanted])

    def _answer(self, chunk: Chunk, replies: NDArray[np.int64], calls: NDArray[np.int64]) -> None:
        for number in np.unique(calls // self._chunk_rows).tolist():
            asked = self._chunks.get(number)
            if asked is None:
                continue
            here = calls // self._chunk_rows == number
            target, answer = calls[here] - asked.first, replies[here]
            asked.latency_ns[target] = chunk.latency_ns[answer]
            asked.has_latency[target] = chunk.has_latency[answer]
            asked.partner[target] = chunk.first + answer
            pending = asked.outcome[target] == _PENDING
            asked.outcome[target[pending]] = chunk.outcome[answer[pending]]
        self._amend(calls[calls < self._length])

    def _amend(self, rows: NDArray[np.int64]) -> None:
        if len(rows):
            before, listed = self._amended
            listed.extend(rows.tolist())
            if len(listed) > 2 * MAX_AMENDED:
                self._amended = (before + len(listed) - MAX_AMENDED, listed[-MAX_AMENDED:])

    def judge(self, connection: int, ordinal: int, verdict: Verdict) -> None:
        """The diagnosis found something in a message."""
        row = self.find(connection, ordinal)
        if row is not None and self.judged.add(row, verdict):
            self._amend(np.array([row], np.int64))

    def amended(self, since: int = 0) -> tuple[NDArray[np.int64] | None, int]:
        """Rows that changed after `since`, and what to pass as `since` next time. None: it may be any of them."""
        before, listed = self._amended  # replaced as a whole
        rows = listed[:]
        now = before + len(rows)
        if since < before:
            return None, now
        return np.array(rows[since - before :], np.int64), now

    # --- between the rows ---------------------------------------------------------------------------------------

    def _other(self, event: Event, row: int) -> None:
        assert not isinstance(event, Message)
        if isinstance(event, ConnectAttempt | TlsConnection):
            return  # no row and no connection of the index
        if isinstance(event, PacketComment) and event.connection < 0:
            return
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            self.connections[event.connection.number] = event.connection
            most = MAX_CONNECTIONS if self._retain is None else MAX_RETAINED_CONNECTIONS
            if len(self.connections) > most:
                self._forget(most // 2)
        elif isinstance(event, ExchangeEnd):
            self._end(event)
        self.between.add(row, event)

    def _forget(self, count: int) -> None:
        """Makes room for so many at once, so that this is rare; open ones go if there are too few closed ones."""
        closed = [number for number, connection in self.connections.items() if connection.closed_ns is not None]
        going = dict.fromkeys((*closed, *self.connections))
        for number in list(going)[:count]:
            del self.connections[number]
            self.forgotten += 1

    def _end(self, event: ExchangeEnd) -> None:
        row = self._threads.row(event.connection, event.ordinal)
        if row >= self.first:
            chunk = self._chunks[row // self._chunk_rows]
            chunk.outcome[row - chunk.first] = OUTCOMES.index(event.outcome)
            self._amend(np.array([row], np.int64))

    # --- retention ----------------------------------------------------------------------------------------------

    def _evict(self, retain: int) -> None:
        evicted = False
        while self._length - self.first - self._chunk_rows >= retain:
            self.first += self._chunk_rows  # first: readers find the row gone, not its chunk
            self._chunks.pop(self.first // self._chunk_rows - 1, None)
            evicted = True
        if evicted:
            self._release()
            open_ones = {number for number, one in self.connections.items() if one.closed_ns is None}
            for number in self._threads.forget(self.first, open_ones):
                if self.connections.pop(number, None) is not None:
                    self.forgotten += 1
            self.between.evict(self.first)
            self.judged.forget(self.first)

    def _release(self) -> None:
        """The spool gives back what lies before the first text of the oldest row that is kept."""
        for piece in self.pieces():
            spooled = np.flatnonzero(piece.chunk.source[: piece.high] == SPOOL)
            if len(spooled):
                self.spool.release(int(piece.chunk.place[spooled[0]]))
                return
        self.spool.release(self.spool.size)

    # --- reading ------------------------------------------------------------------------------------------------

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[Piece]:
        """The kept rows from `start` to before `stop`, chunk by chunk."""
        stop = self._length if stop is None else min(stop, self._length)
        start = max(start, self.first)
        while start < stop:
            chunk = self._chunks.get(start // self._chunk_rows)
            end = min(stop, (start // self._chunk_rows + 1) * self._chunk_rows)
            if chunk is not None:
                yield Piece(chunk, start - chunk.first, end - chunk.first)
            start = end

    def column(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """A copy of a column of `Chunk` over the kept rows of a range."""
        parts = [getattr(piece.chunk, name)[piece.low : piece.high] for piece in self.pieces(start, stop)]
        return np.concatenate(parts) if parts else getattr(Chunk(0, 0), name)

    def cell(self, row: int) -> tuple[Chunk, int]:
        """The chunk that holds a row, and the row's index in it; raises `GoneError`."""
        chunk = self._chunks.get(row // self._chunk_rows) if self.first <= row < self._length else None
        if chunk is None:
            raise GoneError(
                f"Row {row} is not kept any more." if 0 <= row < self._length else f"There is no row {row}."
            )
        return chunk, row - chunk.first

    def place(self, row: int) -> Place:
        """Where the text of a row lies; raises `GoneError`."""
        chunk, at = self.cell(row)
        source = int(chunk.source[at])
        if source == NO_TEXT:
            raise GoneError(self.spool.trouble or "The text was not kept.")
        return Place(source, int(chunk.place[at]), int(chunk.text_size[at]), int(chunk.mask[at]))

    def read(self, place: Place) -> bytes:
        """The bytes at a place, unmasked; raises `GoneError`."""
        return unmasked(self._sources[place.source].read(place.offset, place.length), place.mask)

    def text(self, row: int) -> bytes:
        """The text of a row; raises `GoneError`."""
        place = self.place(row)
        text = self._cache.get(row)
        if text is None:
            text = self.read(place)
            self._cache.put(row, text)
        return text

    def message(self, row: int) -> Message:
        """A row as a message, with what is known of its exchange by now; raises `GoneError`."""
        chunk, at = self.cell(row)
        partner = int(chunk.partner[at])
        first = int(chunk.packet[at])
        kind = Kind(int(chunk.kind[at]))
        is_answer = kind in (Kind.CALLRESULT, Kind.CALLERROR, Kind.CALLRESULTERROR)
        return Message(
            int(chunk.time_ns[at]),
            int(chunk.connection[at]),
            int(chunk.ordinal[at]),
            Side(int(chunk.side[at])),
            kind,
            chunk.ids.get(at).decode("utf-8", "surrogatepass"),
            self.actions.texts[chunk.action[at]],
            self.text(row),
            int(chunk.wire_size[at]),
            (first, *array("I", chunk.packets.get(at))) if first else (),
            frames=int(chunk.frames[at]),
            compressed=bool(chunk.compressed[at]),
            binary=bool(chunk.binary[at]),
            outcome=OUTCOMES[chunk.outcome[at]],
            reply_to=self._ordinal(partner) if is_answer else None,
            latency_ns=int(chunk.latency_ns[at]) if chunk.has_latency[at] else None,
            problems=self.problem_sets.sets[chunk.problems[at]],
        )

    def _ordinal(self, row: int) -> int | None:
        try:
            chunk, at = self.cell(row)
        except GoneError:
            return None
        return int(chunk.ordinal[at])

    def partner(self, row: int) -> int | None:
        """The row of the other message of an exchange, if it is kept."""
        chunk, at = self.cell(row)
        other = int(chunk.partner[at])
        return other if other >= self.first else None

    def connection(self, row: int) -> Connection | None:
        """The connection of a row, as far as it is known by now."""
        chunk, at = self.cell(row)
        return self.connections.get(int(chunk.connection[at]))

    def find(self, connection: int, ordinal: int) -> int | None:
        """The row of a message by its name, if it is kept."""
        row = self._threads.row(connection, ordinal)
        return row if self.first <= row < self._length else None

    def rows_of(self, connection: int) -> list[int]:
        """All kept rows of a connection, in order."""
        rows, length = self._threads.rows(connection), self._length
        return rows[bisect_left(rows, self.first) : bisect_left(rows, length)]

    def events(self, start: int, stop: int) -> list[Aside]:
        """What happened before the rows from `start` to before `stop`; the end of the capture is before row `len`."""
        return self.between.get(start, stop)


def id_octets(identity: str) -> bytes:
    """A message id as the store keeps it: UTF-8, cut where it is too long."""
    return identity[:MAX_TEXT].encode("utf-8", "surrogatepass")


def _ids(identities: Sequence[str]) -> list[bytes]:
    if max(map(len, identities)) <= MAX_TEXT:
        try:
            return [identity.encode() for identity in identities]
        except UnicodeEncodeError:  # a lone surrogate
            pass
    return list(map(id_octets, identities))


def _part(columns: Columns, start: int, stop: int) -> Columns:
    parts: list[Any] = [None if column is None else column[start:stop] for column in columns]
    return Columns(*parts)


def _columns(messages: list[Message], places: list[Place | None]) -> Columns:
    known = places if any(place is not None for place in places) else None
    return Columns(*[list(map(get, messages)) for get in _GETTERS], known)  # type: ignore[call-arg]


def _octets(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _rest(packets: tuple[int, ...]) -> bytes:
    """The packets after the first."""
    return array("I", [packet & _U32 for packet in packets[1:MAX_PACKETS]]).tobytes()
