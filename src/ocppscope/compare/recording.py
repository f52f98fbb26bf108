"""What is kept of one of the two captures: its rows and texts in a store, a hash of each text, and the diagnosis.

Memory grows with the number of stations and messages, not with the size of these: texts lie in the store's spool.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.timing import Timing
from ocppscope.compare.report import Capture
from ocppscope.model import ConnectionOpened, ControlFrame, Message, StreamGap
from ocppscope.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ocppscope.analysis.settings import Settings
    from ocppscope.model import Connection, Event
    from ocppscope.store.between import Aside

    Ints = NDArray[np.int64]

MAX_ROWS = 2_000_000
"""Messages of a capture that are compared; what comes after them is left out, and that is said."""
MILLISECOND, SECOND = 1_000_000, 1_000_000_000


class Rows(NamedTuple):
    """The messages of a capture as columns; `text` and `id` are hashes, good within this process only."""

    time_ns: Ints
    connection: Ints
    side: Ints
    kind: Ints
    text: Ints
    id: Ints


class Recording:
    """One capture, read once from its beginning to its end."""

    def __init__(self, name: str, settings: Settings | None = None, max_rows: int = MAX_ROWS) -> None:
        self.name = name
        self.store = Store()
        self.diagnosis = Diagnosis(settings)
        self.timing = Timing(self.diagnosis.bus)
        self.notices: list[str] = []
        self.begins_ns = self.ends_ns = 0
        self.left_out = 0  # messages after `max_rows`
        self.threads: dict[int, Ints] = {}
        self._max_rows = max_rows
        self._texts, self._ids = array("q"), array("q")
        self._rows: Rows | None = None
        self._columns: dict[str, NDArray[Any]] = {}

    @property
    def messages(self) -> int:
        """How many there are so far."""
        return len(self._texts)

    @property
    def connections(self) -> dict[int, Connection]:
        """The last snapshot of each, by number."""
        return self.store.connections

    def take(self, events: Iterable[Event]) -> None:
        """What the engine found next."""
        taken = list(events)
        self.diagnosis.take(taken)
        self._see(taken)
        room = self._max_rows - len(self._texts)
        found = [event for event in taken if type(event) is Message]
        if len(found) > room:
            self.left_out += len(found) - room
            last = found[room] if room >= 0 else None
            taken = taken[: taken.index(last)] if last is not None else []
            found = found[: max(room, 0)]
        self.store.take(taken)
        self._texts.extend([hash(one.text) for one in found])
        self._ids.extend([hash(one.id) for one in found])

    def _see(self, events: list[Event]) -> None:
        for event in events[:1]:
            self.begins_ns = self.begins_ns or event.time_ns
        for event in events:
            if isinstance(event, ConnectionOpened):
                self.begins_ns = min(self.begins_ns, event.connection.opened_ns)
            self.ends_ns = max(self.ends_ns, event.time_ns)

    def finish(self, now: int) -> None:
        """The capture is over."""
        self.diagnosis.finish(max(now, self.ends_ns))
        if self.left_out:
            self.notices.append(
                f"{self.left_out:,} messages after the first {self._max_rows:,} of {self.name} are not compared."
            )
        rows = self.rows
        order = np.argsort(rows.connection, kind="stable")
        numbers, starts = np.unique(rows.connection[order], return_index=True)
        parts = np.split(order, starts[1:])
        self.threads = dict(zip(numbers.tolist(), parts, strict=True)) if len(numbers) else {}

    def column(self, name: str) -> NDArray[Any]:
        """A column of the store over all rows; ask when the capture is over."""
        found = self._columns.get(name)
        if found is None or len(found) != len(self._texts):
            found = self._columns[name] = self.store.column(name)
        return found

    def close(self) -> None:
        """Gives back the files; texts are gone then."""
        self.store.close()

    @property
    def rows(self) -> Rows:
        """All messages; ask when the capture is over."""
        if self._rows is None or len(self._rows.text) != len(self._texts):
            names = ("time_ns", "connection", "side", "kind")
            time_ns, connection, side, kind = (self.store.column(name).astype(np.int64) for name in names)
            texts, ids = np.array(self._texts, np.int64), np.array(self._ids, np.int64)
            self._rows = Rows(time_ns, connection, side, kind, texts << 1 | side, ids)
        return self._rows

    def rows_of(self, number: int, side: int | None = None) -> Ints:
        """The rows of a connection, of both sides or of one."""
        rows = self.threads.get(number, np.empty(0, np.int64))
        return rows if side is None else rows[self.rows.side[rows] == side]

    def message(self, row: int) -> Message:
        """A row as a message; raises `GoneError` where its text could not be kept."""
        return self.store.message(row)

    def asides(self) -> list[Aside]:
        """What happened between the rows."""
        return self.store.events(0, len(self.store) + 1)

    @property
    def resolution_ns(self) -> int:
        """How fine its times are: 1 µs, or what all of them are multiples of."""
        times = self.rows.time_ns
        for step in (SECOND, MILLISECOND):
            if len(times) and not (times % step).any():
                return step
        return 1000

    def described(self) -> Capture:
        """In a few words."""
        known = self.diagnosis.stations.by_identity
        heard = tuple(one.identity for one in known.values() if one.links)
        whole = [one for one in self.connections.values() if one.leg_of is None]
        return Capture(self.name, self.begins_ns, self.ends_ns, self.messages, len(whole), heard)


class Frames(NamedTuple):
    """What a connection carried besides messages, in order."""

    controls: list[ControlFrame]
    gaps: list[StreamGap]


def frames_of(recording: Recording) -> dict[int, Frames]:
    """Control frames and gaps by connection."""
    found: dict[int, Frames] = {}
    for _, event in recording.asides():
        if isinstance(event, ControlFrame):
            found.setdefault(event.connection, Frames([], [])).controls.append(event)
        elif isinstance(event, StreamGap):
            found.setdefault(event.connection, Frames([], [])).gaps.append(event)
    return found
