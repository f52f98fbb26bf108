"""A packed input with damage in it: all that zlib can make of what comes before is read, however it arrives."""

from __future__ import annotations

import gzip
import random

import pytest

from ocppscope.capture.bytesource import GzipSource, Peekable


class Pieces:
    """A source that gives so many bytes at a time."""

    trouble = ""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def readinto(self, target: memoryview) -> int:
        taken = min(len(target), self._size, len(self._data))
        target[:taken], self._data = self._data[:taken], self._data[taken:]
        return taken


def unpacked(data: bytes, size: int) -> tuple[bytes, bool]:
    source, found = GzipSource(Peekable(Pieces(data, size))), bytearray()
    target = memoryview(bytearray(1 << 16))
    while got := source.readinto(target):
        found += target[:got]
    return bytes(found), "damaged" in source.trouble


CONTENT = random.Random(1).randbytes(40_000) + b"capture" * 9_000
PACKED = gzip.compress(CONTENT, mtime=0)


@pytest.mark.parametrize("size", [1, 97, 1 << 20])
def test_a_wrong_check_sum_costs_nothing_of_the_content(size: int) -> None:
    assert unpacked(PACKED[:-8] + b"wrong!!!", size) == (CONTENT, True)


@pytest.mark.parametrize("at", [0.25, 0.5, 0.75])
def test_the_same_is_read_however_it_comes(at: float) -> None:
    place = int(len(PACKED) * at)
    damaged = PACKED[:place] + bytes(8) + b"\xff" * 8 + PACKED[place + 16 :]
    slowly, fast = unpacked(damaged, 1), unpacked(damaged, 1 << 20)
    assert slowly == fast
    assert fast[1]
    assert len(fast[0]) >= place / 2
