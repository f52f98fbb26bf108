"""Which row a message of a connection has: (connection, ordinal) → row, and all rows of a connection.

Rows only. Who answers whom is said by the message; the store writes it down.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from ocppscope.store.columns import NO_ROW

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_HOLE = 1 << 12
"""Ordinals that may be missing in a row; behind a larger hole the connection is listed anew."""


class _Thread:
    __slots__ = ("base", "rows")

    def __init__(self, base: int) -> None:
        self.base = base  # the ordinal of rows[0]
        self.rows = array("q")


class Threads:
    """The rows of every connection, in the order of their ordinals."""

    def __init__(self) -> None:
        self._threads: dict[int, _Thread] = {}

    def add(self, row: int, connections: Sequence[int], ordinals: Sequence[int]) -> None:
        """The next messages, whose rows count up from `row`."""
        threads = self._threads
        for at, (connection, ordinal) in enumerate(zip(connections, ordinals, strict=True), row):
            thread = threads.get(connection)
            if thread is None:
                thread = threads[connection] = _Thread(ordinal)
            elif thread.base + len(thread.rows) != ordinal:
                _jump(thread, ordinal)
            thread.rows.append(at)

    def row(self, connection: int, ordinal: int) -> int:
        """The row of a message; `NO_ROW` if there is none, or none any more."""
        thread = self._threads.get(connection)
        if thread is None:
            return NO_ROW
        at = ordinal - thread.base
        try:
            return thread.rows[at] if at >= 0 else NO_ROW
        except IndexError:
            return NO_ROW

    def rows(self, connection: int) -> list[int]:
        """All rows of a connection, in order."""
        thread = self._threads.get(connection)
        return [row for row in thread.rows[:] if row != NO_ROW] if thread is not None else []

    def forget(self, before: int, open_ones: set[int]) -> list[int]:
        """Rows before `before` are gone; connections without others are forgotten, but for open ones, and given."""
        over = []
        for connection, thread in list(self._threads.items()):
            kept = _first_kept(thread.rows, before)
            if kept == len(thread.rows) and connection not in open_ones:
                del self._threads[connection]
                over.append(connection)
            elif kept:
                replaced = _Thread(thread.base + kept)
                replaced.rows = thread.rows[kept:]
                self._threads[connection] = replaced
        return over


def _first_kept(rows: array[int], before: int) -> int:
    """The index of the first row that is kept; holes before it go with the others."""
    at = bisect_left(rows, before)
    if NO_ROW in rows:
        at = next((i for i, row in enumerate(rows) if row >= before), len(rows))
    return at


def _jump(thread: _Thread, ordinal: int) -> None:
    """Makes `ordinal` the next one."""
    hole = ordinal - thread.base - len(thread.rows)
    if 0 < hole <= MAX_HOLE:
        thread.rows.extend([NO_ROW] * hole)
    else:
        thread.rows = array("q")
        thread.base = ordinal
