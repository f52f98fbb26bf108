"""From places in a stream as it was to places in the stream that it becomes: monotone, piecewise linear, exact.

Offsets are counted from anywhere; TCP's 32-bit sequence numbers are unrolled around the latest one that was seen.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

MODULUS = 1 << 32
_HALF = 1 << 31


class OffsetMap:
    """Where the bytes of a stream go. Edits are added in order; what lies between them keeps its length.

    The first and the last byte of an edit go to the first and the last of what takes its place, so that a probe of
    one byte stays one; the bytes between them are spread.
    """

    def __init__(self) -> None:
        self._old, self._new = array("q"), array("q")

    def add(self, start: int, length: int, becomes: int) -> None:
        """The `length` bytes at the old offset `start` become so many; edits may not overlap."""
        if length == becomes:
            return
        new = self.at(start)
        self._point(start, new)
        if length > 2 and becomes > 2:
            self._point(start + 1, new + 1)
            self._point(start + length - 1, new + becomes - 1)
        self._point(start + length, new + becomes)

    def _point(self, old: int, new: int) -> None:
        if self._old and self._old[-1] >= old:
            return
        self._old.append(old)
        self._new.append(new)

    def at(self, offset: int) -> int:
        """The new offset of an old one."""
        old = self._old
        place = bisect_right(old, offset)
        if not place:
            return offset
        before = old[place - 1]
        new = self._new[place - 1]
        if place == len(old):
            return new + offset - before
        return new + (offset - before) * (self._new[place] - new) // (old[place] - before)


class Unroller:
    """Sequence numbers of one direction as offsets from the first that was seen (RFC 9293 §3.4)."""

    def __init__(self) -> None:
        self.origin: int | None = None
        self._latest = 0

    def begin(self, seq: int) -> None:
        """The first number; later calls say nothing new."""
        if self.origin is None:
            self.origin = seq

    def offset(self, seq: int) -> int:
        """How far a number is from the first, given that it is near the latest."""
        latest = self._latest
        ahead = (seq - (self.origin or 0) - latest + _HALF) % MODULUS - _HALF
        self._latest = latest + ahead
        return self._latest

    def rewind(self) -> None:
        """Begins anew, for another pass."""
        self._latest = 0

    def seq(self, offset: int) -> int:
        """The number of an offset."""
        return ((self.origin or 0) + offset) % MODULUS
