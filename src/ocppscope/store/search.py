"""Free text in the payloads of many rows: read in large windows, in the order of the rows, and given up when asked.

Upper and lower case of ASCII letters are the same. The bytes on the wire are compared: an `é` that a peer wrote as
a JSON escape is found as that escape only.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.store.columns import NO_TEXT
from ocppscope.store.places import GoneError, Place, unmasked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from ocppscope.store.columns import Chunk
    from ocppscope.store.store import Store

WINDOW_BYTES = 1 << 20
"""Bytes that are read and searched at once; one longer text is one window."""
_WIDTHS = (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Texts of one of these sizes, or somewhat less, are unmasked together; longer ones one by one."""
MAX_SKIP = 1 << 14
"""Bytes between two wanted texts that are read rather than jumped over."""


class CancelledError(Exception):
    """The user does not want the answer any more."""


class Pace(NamedTuple):
    """How a long look at the rows reports and ends: `progress` is told each row that is done."""

    cancelled: Callable[[], bool] = lambda: False
    progress: Callable[[int], object] = lambda row: None

    def check(self, row: int) -> None:
        """Between two windows; raises `CancelledError`."""
        self.progress(row)
        if self.cancelled():
            raise CancelledError


class Window(NamedTuple):
    """Texts, unmasked: `data` holds them at `starts`, ascending, with `sizes`; `rows` are indexes in the chunk.

    What lies between two texts is anything.
    """

    data: bytes
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def texts(self) -> Iterator[tuple[int, bytes]]:
        """The texts one by one, with their indexes."""
        data = self.data
        for row, start, size in zip(self.rows.tolist(), self.starts.tolist(), self.sizes.tolist(), strict=True):
            yield row, data[start : start + size]

    def holding(self, needles: tuple[bytes, ...]) -> NDArray[np.int64]:
        """Which of the texts, by their place in `rows`, hold any of some bytes."""
        found: set[int] = set()
        for needle in needles:
            found.update(hits(self.data, self.starts, self.sizes, needle))
        return np.array(sorted(found), np.int64)

    def part(self, chosen: NDArray[np.int64]) -> Window:
        """Some of the texts, by their place in `rows`."""
        return Window(self.data, self.rows[chosen], self.starts[chosen], self.sizes[chosen])


def windows(store: Store, chunk: Chunk, rows: NDArray[np.int64]) -> Iterator[Window]:
    """The texts of some rows of a chunk (ascending indexes), source by source; texts that are gone are left out."""
    rows = rows[chunk.source[rows] != NO_TEXT]
    rows = rows[np.argsort(chunk.source[rows], kind="stable")]
    starts, sizes = chunk.place[rows], chunk.text_size[rows].astype(np.int64)
    ends, sources = starts + sizes, chunk.source[rows]
    skips = np.ones(len(rows), np.bool_)
    skips[1:] = (sources[1:] != sources[:-1]) | (starts[1:] < ends[:-1]) | (starts[1:] - ends[:-1] > MAX_SKIP)
    low = 0
    for high in [*np.flatnonzero(skips)[1:].tolist(), len(rows)]:
        while low < high:
            cut = low + max(1, int(np.searchsorted(ends[low:high], starts[low] + WINDOW_BYTES, "right")))
            start = int(starts[low])
            try:
                data = store.read(Place(int(sources[low]), start, int(ends[cut - 1]) - start))
            except GoneError:
                data = None
            if data is not None:
                chosen = rows[low:cut]
                window = Window(data, chosen, starts[low:cut] - start, sizes[low:cut])
                yield _unmasked(window, chunk.mask[chosen]) if chunk.mask[chosen].any() else window
            low = cut


def _unmasked(window: Window, masks: NDArray[np.uint32]) -> Window:
    """The same texts without their masking keys (0: none); those of about one size together, as a table of bytes."""
    data, keys = window.data, masks.astype(">u4").view(np.uint32)
    widths = np.array(_WIDTHS)[np.minimum(np.searchsorted(_WIDTHS, window.sizes), len(_WIDTHS) - 1)]
    alone = (window.sizes > widths) | (window.starts + widths > len(data))  # too long, or too near the end
    order = np.concatenate((np.flatnonzero(~alone)[np.argsort(widths[~alone], kind="stable")], np.flatnonzero(alone)))
    room = np.where(alone, window.sizes, widths)[order]
    starts = np.cumsum(room) - room
    octets = np.empty(int(room.sum()), np.uint8)
    for width in _WIDTHS:
        some = np.flatnonzero(~alone & (widths == width))
        if len(some):
            cells: NDArray[np.void] = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
            table = cells[window.starts[some]].view(np.uint32).reshape(len(some), width // 4)
            first = int(starts[np.searchsorted(widths[order[: len(order) - alone.sum()]], width)])
            target = octets[first : first + len(some) * width].view(np.uint32).reshape(table.shape)
            np.bitwise_xor(table, keys[some, None], out=target)
    for place in range(len(order) - int(alone.sum()), len(order)):
        start, size = int(window.starts[order[place]]), int(window.sizes[order[place]])
        text = unmasked(data[start : start + size], int(masks[order[place]]))
        octets[int(starts[place]) : int(starts[place]) + size] = np.frombuffer(text, np.uint8)
    return Window(octets.tobytes(), window.rows[order], starts, window.sizes[order])


def search(store: Store, chunk: Chunk, rows: NDArray[np.int64], needle: bytes, pace: Pace) -> NDArray[np.int64]:
    """Which of some rows of a chunk (ascending indexes) have `needle`, in ASCII lower case, in their text."""
    found: list[int] = []
    for window in windows(store, chunk, rows):
        pace.check(chunk.first + int(window.rows[0]))
        at = hits(window.data.lower(), window.starts, window.sizes, needle)
        found += window.rows[at].tolist() if at else []
    return np.sort(np.array(found, np.int64))


def hits(data: bytes, starts: NDArray[np.int64], sizes: NDArray[np.int64], needle: bytes) -> list[int]:
    """Which of the texts that lie at `starts` in `data` have a needle; what spans two texts does not count."""
    at = data.find(needle)
    if at < 0:
        return []
    begin, ends = starts.tolist(), (starts + sizes).tolist()
    found: list[int] = []
    while at >= 0:
        index = bisect_right(begin, at) - 1
        stop = ends[index]
        if at + len(needle) <= stop:
            found.append(index)
            at = data.find(needle, stop)
        else:
            at = data.find(needle, at + 1)
    return found
