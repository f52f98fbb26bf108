"""Why a message is in one capture only: lost on the way, or not to be seen by the other capture at that time."""

from __future__ import annotations

from bisect import bisect_left
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.compare.recording import frames_of
from ocppscope.model import Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.compare.clocks import Clocks
    from ocppscope.compare.matching import Pair
    from ocppscope.compare.recording import Frames, Recording

    Ints = NDArray[np.int64]

_LOSSY = "ws.context-", "ws.lost-bytes"
_END = "end of capture"


class Fate(Enum):
    """What became of a message that the other capture does not have."""

    MISSING = "missing"  # the other capture saw the connection, and not this
    COPY = "copy"  # the other capture has it, but not as often
    BLIND = "blind"  # the other capture misses bytes there
    OUTSIDE = "outside"  # the other capture had not begun, or was over


class Coverage:
    """When each capture could see what. Places of captures are 0 for A and 1 for B."""

    def __init__(self, a: Recording, b: Recording, clocks: Clocks | None, margin_ns: int) -> None:
        self._both = a, b
        self._clocks = clocks
        self._margin = margin_ns
        self._frames = frames_of(a), frames_of(b)
        self.outside = [0, 0]
        self.unreadable = [0, 0]
        self._blind: tuple[dict[tuple[int, int], list[int]], ...] = ({}, {})
        self._matched: dict[tuple[Pair, int], tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
        for which, frames in enumerate(self._frames):
            for number, found in frames.items():
                for gap in found.gaps:
                    self._blind[which].setdefault((number, int(gap.side)), []).append(gap.time_ns)
        self._lossy = tuple(self._lossy_sets(one) for one in self._both)

    def _lossy_sets(self, recording: Recording) -> Ints:
        """Codes of sets of problems that say that a text is not what was sent."""
        return np.array([
            code
            for code, found in enumerate(recording.store.problem_sets.sets)
            if any(problem.code.startswith(_LOSSY) for problem in found)
        ], np.int64)  # fmt: skip

    # --- what is learned ------------------------------------------------------------------------------------------

    def readable(self, recording: Recording, rows: Ints) -> Ints:
        """The rows whose texts are what was sent; what could not be read makes the capture blind there."""
        which = 0 if recording is self._both[0] else 1
        if not len(self._lossy[which]) or not len(rows):
            return rows
        spoilt = np.isin(recording.column("problems")[rows], self._lossy[which])
        for row in rows[spoilt].tolist():
            key = int(recording.rows.connection[row]), int(recording.rows.side[row])
            self._blind[which].setdefault(key, []).append(int(recording.rows.time_ns[row]))
        self.unreadable[which] += int(spoilt.sum())
        kept: Ints = rows[~spoilt]
        return kept

    def learn(self, pair: Pair, side: Side, rows: list[tuple[int, int]]) -> None:
        """What is in both."""
        times = [
            (int(self._both[0].rows.time_ns[one]), int(self._both[1].rows.time_ns[other])) for one, other in rows
        ]
        self._matched[pair, int(side)] = sorted(times), sorted((other, one) for one, other in times)

    # --- what is asked --------------------------------------------------------------------------------------------

    def fate(self, pair: Pair, side: Side, which: int, row: int) -> Fate:
        """Of a row of a capture that the other does not have."""
        time_ns = int(self._both[which].rows.time_ns[row])
        if self._is_blind(pair, side, which, time_ns):
            return Fate.BLIND
        if not self._is_covered(pair, which, time_ns):
            self.outside[which] += 1
            return Fate.OUTSIDE
        return Fate.MISSING

    def _is_blind(self, pair: Pair, side: Side, which: int, time_ns: int) -> bool:
        """Whether the other capture misses bytes between what came before and after."""
        blind = sorted(self._blind[1 - which].get((pair.number(1 - which), int(side)), ()))
        if not blind:
            return False
        known = self._matched[pair, int(side)][which]
        at = bisect_left(known, (time_ns, 0))
        low = known[at - 1][1] if at else -(1 << 62)
        high = known[at][1] if at < len(known) else 1 << 62
        place = bisect_left(blind, low)
        return place < len(blind) and blind[place] <= high

    def _is_covered(self, pair: Pair, which: int, time_ns: int) -> bool:
        other = self._both[1 - which]
        connection = other.connections[pair.number(1 - which)]
        there = self._there(which, time_ns)
        if connection.handshake is None and there < connection.opened_ns + self._first(pair, which):
            return False
        if connection.close_how in ("", _END) and there > other.ends_ns - self._margin:
            return False
        return other.begins_ns <= there

    def _first(self, pair: Pair, which: int) -> int:
        """How long after its first packet the other capture has the first message of a connection in its middle."""
        other = self._both[1 - which]
        rows = other.rows_of(pair.number(1 - which))
        opened = other.connections[pair.number(1 - which)].opened_ns
        return max(int(other.rows.time_ns[rows[0]]) - opened, 0) if len(rows) else 0

    def covers(self, which: int, time_ns: int) -> bool:
        """Whether the other capture was taken at a time of this one."""
        other, there = self._both[1 - which], self._there(which, time_ns)
        return other.begins_ns <= there <= other.ends_ns - self._margin

    def _there(self, which: int, time_ns: int) -> int:
        """A time of one capture by the clock of the other."""
        if self._clocks is None:
            return time_ns
        times = np.array([time_ns], np.int64)
        return int((self._clocks.to_b(times) if which == 0 else self._clocks.to_a(times))[0])

    def window(self, pair: Pair) -> tuple[int, int]:
        """When both captures saw a connection, by the clock of A."""
        spans = []
        for which, recording in enumerate(self._both):
            one = recording.connections[pair.number(which)]
            begins, ends = one.opened_ns, one.closed_ns or recording.ends_ns
            spans.append((begins, ends) if which == 0 else (self._there(1, begins), self._there(1, ends)))
        return max(spans[0][0], spans[1][0]), min(spans[0][1], spans[1][1])

    def frames(self, pair: Pair) -> tuple[Frames | None, Frames | None]:
        """Control frames and gaps of both."""
        return self._frames[0].get(pair.a), self._frames[1].get(pair.b)
