"""The next or previous row of which something is true, among the rows that are shown.

Looks at a window of rows at a time, so that a near one is found at once and a far one can be given up.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.query.filter import compile_filter
from ocppscope.store.places import GoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ocppscope.analysis.finding import Ref
    from ocppscope.store.store import Piece, Store

    Rows = NDArray[np.int64]
    MaskOf = Callable[[int, int], NDArray[np.bool_]]

FIRST_WINDOW, MAX_WINDOW = 1 << 9, 1 << 16
"""Rows of the first window that is looked at, and of the largest."""
EXCHANGE_REACH = 1 << 16
"""Rows before and after a message among which others with its id are looked for."""
MAX_EXCHANGE = 1000
"""Messages of one exchange that are stepped through."""


def seek(store: Store, shown: Rows | None, row: int, step: int, mask_of: MaskOf) -> int | None:
    """The nearest row behind `row` (`step` 1), or before it (-1), of which `mask_of(start, stop)` is true."""
    for start, stop in _windows(store, row, step):
        found = np.flatnonzero(mask_of(start, stop)) + start
        if shown is not None:
            found = among(found, shown)
        if len(found):
            return int(found[0] if step > 0 else found[-1])
    return None


def _windows(store: Store, row: int, step: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows, from the nearest to the farthest."""
    size, first, length = FIRST_WINDOW, store.first, len(store)
    at = max(row + 1, first) if step > 0 else min(row, length)
    while (at < length) if step > 0 else (at > first):
        other = min(at + size, length) if step > 0 else max(at - size, first)
        yield min(at, other), max(at, other)
        at, size = other, min(size * 4, MAX_WINDOW)


def among(rows: Rows, shown: Rows) -> Rows:
    """Those of some rows that are shown; both ascend."""
    if not len(shown):
        return shown
    at = np.minimum(np.searchsorted(shown, rows), len(shown) - 1)
    kept: Rows = rows[shown[at] == rows]
    return kept


def on_pieces(store: Store, of_piece: Callable[[Piece], NDArray[np.bool_]]) -> MaskOf:
    """A mask over rows from one over pieces; rows that are not kept are false."""

    def mask(start: int, stop: int) -> NDArray[np.bool_]:
        result = np.zeros(stop - start, np.bool_)
        for piece in store.pieces(start, stop):
            at = piece.first - start
            result[at : at + piece.high - piece.low] = of_piece(piece)
        return result

    return mask


def exchange(store: Store, row: int) -> list[int]:
    """The rows of the exchange that a row belongs to, itself included: same connection, same id, or partners."""
    try:
        chunk, at = store.cell(row)
        partner = store.partner(row)
    except GoneError:
        return [row]
    found = {row} if partner is None else {row, partner}
    identity = chunk.ids.get(at).decode("utf-8", "replace")
    if identity:
        quoted = identity.replace("\\", "\\\\").replace('"', '\\"')
        wanted = compile_filter(f'connection == {int(chunk.connection[at])} and id == "{quoted}"')
        start, stop = max(row - EXCHANGE_REACH, store.first), min(row + EXCHANGE_REACH, len(store))
        found.update((np.flatnonzero(wanted.mask(store, start, stop))[:MAX_EXCHANGE] + start).tolist())
    return sorted(found)


def row_of(store: Store, ref: Ref) -> tuple[int | None, str]:
    """The row that shows a place in the capture, None if there is none; and what is to be said of that.

    Of a moment of a connection: its first message from then on, or its last one; of anything else the next message.
    """
    if ref.ordinal >= 0:
        row = store.find(ref.connection, ref.ordinal)
        return row, "" if row is not None else "That message is not kept any more."
    rows = store.rows_of(ref.connection) if ref.connection >= 0 else []
    if rows:
        return rows[min(_from(store, rows, ref.time_ns), len(rows) - 1)], ""
    kept = range(store.first, len(store))
    if not kept:
        return None, "There are no messages."
    said = f"Connection #{ref.connection} has no messages" if ref.connection >= 0 else "No message belongs to it"
    return kept[min(_from(store, kept, ref.time_ns), len(kept) - 1)], f"{said}: this is what was said then."


def _from(store: Store, rows: Sequence[int], time_ns: int) -> int:
    """The place of the first of some rows that is not before a time; rows that have gone meanwhile are before."""

    def when(row: int) -> int:
        try:
            chunk, at = store.cell(row)
        except GoneError:
            return -1
        return int(chunk.time_ns[at])

    return bisect_left(rows, time_ns, key=when)
