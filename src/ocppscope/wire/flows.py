"""Which flow a segment belongs to, and whether anybody still looks at that flow: columns in, columns out.

Flows are named by a small number, their *slot*. Most segments of a real capture belong to flows that turned out not
to carry OCPP; those are dropped here, as columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.wire.link import FIN, RST, SYN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.wire.link import Ints, Keys, Segments

DEAD, IDLE, COUNTED, NEW, LIVE = 0, 1, 2, 3, 4
"""What is looked at of a flow: nothing but a new SYN; nothing but a SYN or a new GET request; nothing but its SYN,
FIN and RST, and its amounts, as columns; everything, while nothing is known of it yet; everything."""
MAX_FLOWS = 1 << 18
"""Flows that are remembered; with more, those that are dead are forgotten and judged anew if they go on."""

_CACHE_BITS = 16
_GET = int.from_bytes(b"GET ", "big")


class Sifted(NamedTuple):
    """What of a block has to be looked at."""

    slots: Ints  # of every segment
    rows: Ints  # the segments that somebody has to look at
    counted: Ints  # the segments of counted flows; those with FIN or RST are also in `rows`


class FlowTable:
    """Slots by flow key. A slot is never given to another flow while the first one is remembered."""

    def __init__(self) -> None:
        self.state = np.zeros(1024, np.uint8)  # by slot
        self.seen = 0  # flows, all told
        self._slots: dict[int, int] = {}
        self._limit = MAX_FLOWS
        self._free: list[int] = []
        self._cache_key = np.zeros(1 << _CACHE_BITS, np.uint64)
        self._cache_slot = np.full(1 << _CACHE_BITS, -1, np.int64)

    def sift(self, segments: Segments) -> Sifted:
        """The slot of every segment, and the indices of those that somebody has to look at."""
        if not len(segments.key):
            nothing = np.empty(0, np.int64)
            return Sifted(nothing, nothing, nothing)
        if len(self._slots) >= self._limit:
            self._forget_dead()
        slots = self._lookup(segments.key)
        state = self.state[slots]
        wanted = state >= NEW
        starts = (segments.flags & SYN) != 0
        idle = np.flatnonzero(state == IDLE)
        if len(idle):
            starts[idle] |= _starts_with_get(segments, idle)
        counted = np.flatnonzero(state == COUNTED)
        if starts.any():  # then the whole flow is wanted in this block, since the start may bring it to life
            revived = np.zeros(len(self.state), np.bool_)
            revived[slots[starts]] = True
            wanted |= revived[slots]
            counted = counted[~wanted[counted]]
        if len(counted):
            wanted[counted] = (segments.flags[counted] & (FIN | RST)) != 0
        return Sifted(slots, np.flatnonzero(wanted), counted)

    def _lookup(self, keys: Keys) -> Ints:
        place = (keys >> np.uint64(64 - _CACHE_BITS)).astype(np.int64)
        slots = self._cache_slot[place]
        missed = np.flatnonzero((self._cache_key[place] != keys) | (slots < 0))
        if len(missed):
            unique, first, inverse = np.unique(keys[missed], return_index=True, return_inverse=True)
            found = np.empty(len(unique), np.int64)
            for position in np.argsort(first, kind="stable").tolist():
                found[position] = self._slot(int(unique[position]))
            slots[missed] = found[inverse]
            self._cache_key[place[missed]] = keys[missed]
            self._cache_slot[place[missed]] = slots[missed]
        return slots

    def _slot(self, key: int) -> int:
        slot = self._slots.get(key)
        if slot is not None:
            return slot
        slot = self._free.pop() if self._free else len(self._slots)
        if slot >= len(self.state):
            self.state = np.concatenate([self.state, np.zeros(len(self.state), np.uint8)])
        self._slots[key] = slot
        self.state[slot] = NEW
        self.seen += 1
        return slot

    def _forget_dead(self) -> None:
        for key, slot in list(self._slots.items()):
            if self.state[slot] not in (COUNTED, LIVE):
                del self._slots[key]
                self._free.append(slot)
        self._cache_slot.fill(-1)
        self._limit = max(MAX_FLOWS, 2 * len(self._slots))


def _starts_with_get(segments: Segments, rows: Ints) -> NDArray[np.bool_]:
    table = np.frombuffer(segments.data, np.uint8)
    start = np.minimum(segments.payload[rows], len(table) - 4)
    word = np.zeros(len(rows), np.int64)
    for i in range(4):
        word = (word << 8) | table[start + i]
    found: NDArray[np.bool_] = (word == _GET) & (segments.length[rows] >= 4)
    return found
