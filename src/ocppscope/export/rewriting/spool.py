"""What streams become, kept in a temporary file until packets are made of it. It holds nothing but redacted bytes.

A stretch of which nothing was said is zeros.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from bisect import bisect_right
from typing import Self

PIECE_BYTES = 1 << 12
"""Bytes of one stream that are held before they go to the file."""
FILE_BUFFER = 1 << 20


class Spool:
    """The file. A context manager."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=FILE_BUFFER, prefix="ocppscope-")  # noqa: SIM115 - see close
        self._end = 0

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """The file goes."""
        self._file.close()

    def add(self, data: bytes | bytearray) -> int:
        """Keeps bytes; where they are."""
        self._file.write(data)
        place, self._end = self._end, self._end + len(data)
        return place

    def settle(self) -> None:
        """All was added."""
        self._file.flush()

    def read(self, place: int, count: int) -> bytes:
        """Bytes that were kept."""
        return os.pread(self._file.fileno(), count, place)


class NewStream:
    """One direction as it will be: written in order, then read anywhere."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._starts, self._lengths, self._places = array("q"), array("q"), array("q")
        self._held = bytearray()
        self._held_at = 0

    def write(self, offset: int, data: bytes) -> None:
        """Bytes at an offset that lies behind all before."""
        if self._held and (self._held_at + len(self._held) != offset or len(self._held) >= PIECE_BYTES):
            self.settle()
        if not self._held:
            self._held_at = offset
        self._held += data

    def settle(self) -> None:
        """What is held goes to the file."""
        if self._held:
            self._starts.append(self._held_at)
            self._lengths.append(len(self._held))
            self._places.append(self._spool.add(self._held))
            self._held = bytearray()

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a stretch; zeros where nothing was written."""
        if start >= stop:
            return b""
        place = max(bisect_right(self._starts, start) - 1, 0)
        found: list[bytes] = []
        while start < stop:
            begin = self._starts[place] if place < len(self._starts) else stop
            if start < begin:
                found.append(bytes(min(begin, stop) - start))
                start = min(begin, stop)
                continue
            held = min(begin + self._lengths[place], stop) - start
            if held > 0:
                found.append(self._spool.read(self._places[place] + start - begin, held))
                start += held
            place += 1
        return b"".join(found)
