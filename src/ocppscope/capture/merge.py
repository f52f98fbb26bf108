"""Several captures as one, in order of time: whole blocks where they do not overlap, single packets where they do.

It orders blocks; it may not open or read anything itself. Within a capture packets keep their order: one whose time
goes back comes right after the one before it, as in a merge that always takes the earliest head. Equal times keep the
order of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocppscope.model import BLOCK_PADDING, PacketBlock

EARLIEST = -(2**63)


class Feed(NamedTuple):
    """A capture that has not been begun: the time of its first packet (EARLIEST if it has none), and its blocks."""

    first_ns: int
    rank: int  # among captures of equal time
    open: Callable[[], Iterator[PacketBlock]]


class _Running:
    """A capture that is being read: its current block, how much of that is used, and the time up to each packet."""

    def __init__(self, feed: Feed) -> None:
        self.rank = feed.rank
        self._blocks = feed.open()
        self._latest = EARLIEST
        self.block: PacketBlock | None = None
        self.used = 0
        self.keys: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.advance()

    def advance(self) -> None:
        """Take the next block."""
        self.block = next(self._blocks, None)
        self.used = 0
        if self.block is not None:
            self.keys = np.maximum(np.maximum.accumulate(self.block.time_ns), self._latest)
            self._latest = int(self.keys[-1])

    @property
    def last(self) -> tuple[int, int]:
        """Sorts by the last packet of the current block."""
        return self._latest, self.rank

    def take(self, until: tuple[int, int]) -> tuple[PacketBlock, NDArray[np.int64]] | None:
        """The packets, with their keys, that sort up to `until`, a time and a rank."""
        if self.block is None:
            return None
        side = "right" if self.rank <= until[1] else "left"
        stop = int(np.searchsorted(self.keys, until[0], side=side))  # type: ignore[call-overload]
        start, self.used = self.used, max(stop, self.used)
        if start == self.used:
            return None
        return _slice(self.block, start, self.used), self.keys[start : self.used]


def merged(feeds: Sequence[Feed], on_running: Callable[[int], None] = lambda _: None) -> Iterator[PacketBlock]:
    """The packets of all `feeds` in order of time, numbered from 1.

    A capture is begun when its time has come, and `on_running` is told how many are being read at once: one, for the
    parts of a rotated capture.
    """
    waiting = sorted(feeds, key=lambda feed: feed[:2], reverse=True)
    running: list[_Running] = []
    packet = 1
    while waiting or running:
        until = min((capture.last for capture in running), default=(EARLIEST, -1))
        while waiting and (not running or waiting[-1].first_ns <= until[0]):
            running.append(_Running(waiting.pop()))
            running = sorted((one for one in running if one.block is not None), key=lambda one: one.rank)
            on_running(len(running))
            until = min((capture.last for capture in running), default=(EARLIEST, -1))
        parts = [part for capture in running if (part := capture.take(until))]
        if parts:
            block = _interleave(parts)
            yield block._replace(first_packet=packet)
            packet += len(block.offsets)
        running = _advance(running)
        on_running(len(running))


def _advance(running: list[_Running]) -> list[_Running]:
    """Those that still have packets, each with some left in its block."""
    for capture in running:
        if capture.block is not None and capture.used == len(capture.keys):
            capture.advance()
    return [capture for capture in running if capture.block is not None]


def _slice(block: PacketBlock, start: int, stop: int) -> PacketBlock:
    if start == 0 and stop == len(block.offsets):
        return block
    part = slice(start, stop)
    return PacketBlock(
        data=block.data,
        offsets=block.offsets[part],
        caplen=block.caplen[part],
        origlen=block.origlen[part],
        time_ns=block.time_ns[part],
        linktype=block.linktype[part],
        first_packet=block.first_packet + start,
        comments=tuple((place - start, text) for place, text in block.comments if start <= place < stop),
    )


def _interleave(parts: list[tuple[PacketBlock, NDArray[np.int64]]]) -> PacketBlock:
    """One block of several: their bytes side by side in one buffer, their columns sorted by key, stable."""
    if len(parts) == 1:
        return parts[0][0]
    data = bytearray()
    offsets = []
    for block, _ in parts:
        begin = int(block.offsets[0])
        end = int((block.offsets + block.caplen).max())
        offsets.append(block.offsets - begin + len(data))
        data += memoryview(block.data)[begin:end]
    data += bytes(BLOCK_PADDING)
    order = np.argsort(np.concatenate([keys for _, keys in parts]), kind="stable")
    blocks = [block for block, _ in parts]
    return PacketBlock(
        data=data,
        offsets=np.concatenate(offsets)[order],
        caplen=np.concatenate([block.caplen for block in blocks])[order],
        origlen=np.concatenate([block.origlen for block in blocks])[order],
        time_ns=np.concatenate([block.time_ns for block in blocks])[order],
        linktype=np.concatenate([block.linktype for block in blocks])[order],
        first_packet=1,
        comments=_comments(blocks, order),
    )


def _comments(blocks: list[PacketBlock], order: NDArray[np.intp]) -> tuple[tuple[int, str], ...]:
    """The comments of blocks whose packets were put into another order."""
    if not any(block.comments for block in blocks):
        return ()
    place, before, found = np.argsort(order), 0, []
    for block in blocks:
        found += [(int(place[before + at]), text) for at, text in block.comments]
        before += len(block.offsets)
    return tuple(sorted(found))
