"""What a format reader makes of a buffer: packets as columns, and how far it came.

A format reader looks at bytes that somebody else read. It may not do I/O, and it never raises for what it finds.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

MAX_PACKET_BYTES = 16 << 20
"""The largest packet believed. Segmentation offload makes packets far beyond 64 KiB (BIG TCP), none of this size."""


class Columns(NamedTuple):
    """The packets of one buffer; the arrays are those of `PacketBlock`."""

    offsets: NDArray[np.int64]
    caplen: NDArray[np.int64]
    origlen: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    linktype: NDArray[np.uint16]


class Scan(NamedTuple):
    """The outcome of looking at a buffer.

    Bytes from `consumed` on belong to something incomplete, of which `need` bytes (more than there are) must be
    present to get on. `damage` says why nothing after `consumed` can be read, "" if it can.
    """

    columns: Columns | None
    consumed: int
    need: int
    damage: str = ""
    comments: tuple[tuple[int, str], ...] = ()  # on packets, by their place in the columns


class Format(Protocol):
    """A capture file format. Packets are counted from 1 in the sentences that it makes."""

    def scan(self, data: bytearray, end: int) -> Scan:
        """Read the complete packets of `data[:end]`; `BLOCK_PADDING` more bytes may be looked at."""

    def cut(self, rest: bytes | bytearray) -> str:
        """Say in the middle of what a file ended whose last bytes, `rest`, were left over by `scan`."""


def gather(data: bytearray, starts: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """The `width` bytes at each of `starts`, all within the buffer, as rows: one copy a row, aligned or not."""
    cells: NDArray[np.void] = np.ndarray(
        shape=(max(len(data) - width + 1, 0),), dtype=f"V{width}", buffer=data, strides=(1,)
    )
    return cells[starts].view(np.uint8).reshape(len(starts), width)


def join_columns(pieces: list[Columns]) -> Columns | None:
    """Columns over the same buffer, one after the other; None if there are none."""
    if len(pieces) < 2:
        return pieces[0] if pieces else None
    return Columns(*(np.concatenate(column) for column in zip(*pieces, strict=True)))
