"""The lines of the two ladders side by side: rows of one capture beside rows of the other, and what is said of them.

Lines stand in order of time, by the clock of A, connection by connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from ocppscope.compare.report import MARKS, Half, Lines, Mark, Pairing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocppscope.compare.alignment import Step
    from ocppscope.compare.clocks import Clocks
    from ocppscope.compare.matching import Pair
    from ocppscope.compare.recording import Recording
    from ocppscope.compare.report import Difference

CONTEXT = 1
"""Lines that are shown before and after a difference."""
MAX_SHOWN = 3
"""Places of one difference that are shown."""
MAX_LADDER = 12
"""Lines of an excerpt."""


class Ladders:
    """Collects lines, and cuts excerpts out of them."""

    def __init__(self, a: Recording, b: Recording, clocks: Clocks | None) -> None:
        self._a, self._b, self._clocks = a, b, clocks
        self._lines: list[tuple[int, int, int]] = []  # rows of A and B, and the place of the mark
        self._places: dict[tuple[int, int], int] = {}
        self._last: dict[tuple[int, int], int] = {}  # by capture and connection
        self._wanted: list[tuple[str, list[int]]] = []
        self._answers: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def add(self, marks: Mapping[tuple[int, int], Mark]) -> None:
        """The rows of one pair of connections."""
        if not marks:
            return
        rows = np.array(list(marks), np.int64).reshape(-1, 2)
        times = np.where(rows[:, 0] >= 0, self._a.rows.time_ns[rows[:, 0]], 0) if self._a.messages else rows[:, 0] * 0
        only_b = rows[:, 0] < 0
        if only_b.any():
            there = self._b.rows.time_ns[rows[only_b, 1]]
            times[only_b] = there if self._clocks is None else self._clocks.to_a(there)
        codes = [MARKS.index(mark) for mark in marks.values()]
        for place in np.argsort(times, kind="stable").tolist():
            one, other = int(rows[place, 0]), int(rows[place, 1])
            self._places[one, other] = len(self._lines)
            self._lines.append((one, other, codes[place]))
        for which, number in enumerate(self._numbers(len(self._lines) - 1)):
            if number >= 0:
                self._last[which, number] = len(self._lines) - 1

    def put(self, rows: tuple[int, int], mark: Mark) -> None:
        """The next line."""
        self._places[rows] = len(self._lines)
        self._lines.append((*rows, MARKS.index(mark)))

    def know_answers(self, one: Step | None, other: Step | None) -> None:
        """From now on an exchange is shown with its answer."""
        for known, step in zip(self._answers, (one, other), strict=True):
            if step is not None and step.answer >= 0:
                known[step.row] = step.answer

    def beside(self, one: int, other: int, mark: Mark = Mark.CHANGED) -> tuple[Pairing, ...]:
        """A row of either capture, -1 for none, as a line of its own."""
        return (Pairing(mark, self._half(0, one), self._half(1, other)),)

    def line_of(self, one: int, other: int) -> int:
        """The line that has a row of either capture, -1 if there is none."""
        for (a, b), line in self._places.items():
            if a == one >= 0 or b == other >= 0:
                return line
        return -1

    def _half(self, which: int, row: int) -> Half | None:
        if row < 0:
            return None
        recording = (self._a, self._b)[which]
        answer = self._answers[which].get(row, -1)
        return Half(row, recording.message(row), recording.message(answer) if answer >= 0 else None)

    def _numbers(self, line: int) -> tuple[int, int]:
        one, other, _ = self._lines[line]
        return (
            int(self._a.rows.connection[one]) if one >= 0 else -1,
            int(self._b.rows.connection[other]) if other >= 0 else -1,
        )  # fmt: skip

    def last_line(self, pair: Pair) -> int:
        """The last line of a pair of connections, -1 if it has none."""
        return self._last.get((0, pair.a), self._last.get((1, pair.b), -1))

    def line_at(self, time_ns: int) -> int:
        """The first line at or after a time of A."""
        for line, (one, _, _) in enumerate(self._lines):
            if one >= 0 and self._a.rows.time_ns[one] >= time_ns:
                return line
        return -1

    def illustrate(self, difference: Difference, where: Sequence[tuple[int, int]]) -> Difference:
        """A difference with the lines around the first of its places."""
        lines = sorted(self._places[one] for one in where if one in self._places)
        if not lines:
            return difference
        shown: list[int] = []
        for line in lines[:MAX_SHOWN]:
            shown += [near for near in self._around(line) if near not in shown]
        chosen = set(lines)
        ladder = tuple(self._pairing(line, context=line not in chosen) for line in sorted(shown)[:MAX_LADDER])
        found = replace(difference, ladder=ladder, at=lines[0])
        self._wanted.append((found.text, lines))
        return found

    def _around(self, line: int) -> list[int]:
        low, high = max(line - CONTEXT, 0), min(line + CONTEXT + 1, len(self._lines))
        return [near for near in range(low, high) if near == line or self._is_near(near, line)]

    def _is_near(self, one: int, other: int) -> bool:
        """Whether two lines are of the same connection."""
        (a, b), (c, d) = self._numbers(one), self._numbers(other)
        return (a == c and a >= 0) or (b == d and b >= 0)

    def _pairing(self, line: int, *, context: bool) -> Pairing:
        one, other, mark = self._lines[line]
        known = MARKS[mark]
        return Pairing(
            Mark.CONTEXT if context and known is Mark.SAME else known,
            self._half(0, one),
            self._half(1, other),
        )

    def lines(self, differences: Sequence[Difference]) -> Lines:
        """All lines; each knows the first of the differences that is about it."""
        table = np.array(self._lines, np.int64).reshape(-1, 3)
        of = np.full(len(table), -1, np.int64)
        by_text = {(one.text, one.at): place for place, one in enumerate(differences)}
        for text, lines in reversed(self._wanted):
            place = by_text.get((text, lines[0]))
            if place is not None:
                of[lines] = place
        for place, one in enumerate(differences):
            if one.at >= 0 and of[one.at] < 0:
                of[one.at] = place
        return Lines(table[:, 0], table[:, 1], table[:, 2], of)
