"""What the diagnosis says of rows: few of them, so they are kept apart from the columns.

A row has a set of verdicts; the sets are few and numbered. Written by one thread, read by others: what readers see is
replaced as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_MARKED = 1 << 18
"""Rows that may have verdicts; of more, the further ones have none, and `refused` counts them."""
MAX_VERDICTS = 16
"""Verdicts of one row; the first ones."""
MAX_SETS = 1 << 12
"""Different sets of verdicts."""


class Verdict(NamedTuple):
    """That a rule found something in a row."""

    rule: str
    severity: str  # "note", "warning", "error"
    layer: str


Verdicts = tuple[Verdict, ...]
NO_VERDICTS: Verdicts = ()


class Judged:
    """The rows that have verdicts."""

    def __init__(self) -> None:
        self.refused = 0
        self._codes: dict[int, int] = {}  # row → place in `_sets`
        self._sets: list[Verdicts] = [NO_VERDICTS]
        self._places: dict[Verdicts, int] = {NO_VERDICTS: 0}
        self._columns: tuple[int, NDArray[np.int64], NDArray[np.int64]] = (-1, _EMPTY, _EMPTY)
        self._changes = 0

    def __len__(self) -> int:
        """How many rows."""
        return len(self._codes)

    def add(self, row: int, verdict: Verdict) -> bool:
        """One more verdict on a row; False if it had that already, or there is no room."""
        code = self._codes.get(row, 0)
        known = self._sets[code]
        if verdict in known or len(known) >= MAX_VERDICTS:
            return False
        if row not in self._codes and len(self._codes) >= MAX_MARKED:
            self.refused += 1
            return False
        new = (*known, verdict)
        place = self._places.get(new)
        if place is None:
            if len(self._sets) >= MAX_SETS:
                self.refused += 1
                return False
            place = len(self._sets)
            self._sets.append(new)
            self._places[new] = place
        self._codes[row] = place
        self._changes += 1
        return True

    def forget(self, before: int) -> None:
        """Rows before `before` are gone, and there is room for others."""
        kept = {row: code for row, code in self._codes.items() if row >= before}
        if len(kept) < len(self._codes):
            self._codes = kept
            self._changes += 1

    def at(self, row: int) -> Verdicts:
        """The verdicts on a row, mostly none."""
        return self._sets[self._codes.get(row, 0)]

    def rows(self, start: int, stop: int) -> list[tuple[int, Verdicts]]:
        """The rows from `start` to before `stop` that have verdicts, in order."""
        rows, codes = self._sorted()
        low, high = np.searchsorted(rows, (start, stop))
        sets = self._sets
        return [
            (row, sets[code]) for row, code in zip(rows[low:high].tolist(), codes[low:high].tolist(), strict=True)
        ]

    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        changes, rows, codes = self._columns
        if changes != self._changes:
            changes, items = self._changes, sorted(self._codes.copy().items())
            pairs = np.array(items, np.int64).reshape(-1, 2)
            rows, codes = pairs[:, 0], pairs[:, 1]
            self._columns = changes, rows, codes
        return rows, codes


_EMPTY: NDArray[np.int64] = np.empty(0, np.int64)
