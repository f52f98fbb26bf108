"""Texts in an anonymous temporary file, which the system takes back with the process, however that ends.

One thread appends, any thread reads. The spool is a sequence of segment files, so that what retention drops gives
its disk space back. A full disk is no reason to stop: the texts from then on are not kept, and asking for
them says so.
"""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections import OrderedDict
from threading import Lock
from typing import IO, TYPE_CHECKING, NamedTuple

from ocppscope.store.places import GoneError

if TYPE_CHECKING:
    from collections.abc import Sequence

SEGMENT_BYTES = 1 << 28
"""After so many bytes a new segment file begins."""
CACHE_BYTES = 8 << 20
"""Bytes of texts that were read and are kept at hand."""
MAX_CACHED = CACHE_BYTES // 8
"""A longer text is read again each time."""
DISK = "/var/tmp"
"""Where temporary files lie on a disk on most systems; /tmp is often memory."""


class _Segment(NamedTuple):
    start: int  # offset in the spool of its first byte
    file: IO[bytes]


class Spool:
    """An append-only file of texts. Offsets count from the first byte ever appended."""

    def __init__(self, directory: str | None = None, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._directory = directory or (DISK if os.access(DISK, os.W_OK) else None)
        self._segment_bytes = segment_bytes
        self._segments: list[_Segment] = []
        self._lock = Lock()
        self.size = 0
        self.trouble = ""  # why nothing is appended any more
        self.closed = False

    def append(self, texts: Sequence[bytes]) -> int | None:
        """Writes texts one after the other; the offset of the first, None if they could not be kept."""
        if self.trouble or self.closed:
            return None
        data, start = b"".join(texts), self.size
        try:
            segment = self._current()
            _write(segment.file.fileno(), data, start - segment.start)
        except OSError as error:
            self.trouble = f"The temporary file of payloads cannot grow ({error.strerror})."
            return None
        self.size = start + len(data)
        return start

    def _current(self) -> _Segment:
        last = self._segments[-1] if self._segments else None
        if last is not None and self.size - last.start < self._segment_bytes:
            return last
        try:
            file = tempfile.TemporaryFile(buffering=0, dir=self._directory)  # noqa: SIM115 (closed by `release`)
        except OSError:
            if last is None:
                raise
            return last  # no more files to be had: this one may grow
        with self._lock:
            self._segments.append(_Segment(self.size, file))
        return self._segments[-1]

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on, also across segments."""
        pieces = []
        with self._lock:
            while length > 0:
                at = bisect_right(self._segments, offset, key=lambda segment: segment.start) - 1
                if at < 0 or offset >= self.size:
                    raise GoneError("The text is not kept any more.")
                segment = self._segments[at]
                stop = self._segments[at + 1].start if at + 1 < len(self._segments) else self.size
                piece = _read(segment.file.fileno(), min(length, stop - offset), offset - segment.start)
                if not piece:
                    raise GoneError("The temporary file of payloads was cut.")
                pieces.append(piece)
                offset, length = offset + len(piece), length - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def release(self, before: int) -> None:
        """Gives back the segments all of whose bytes lie before an offset."""
        with self._lock:
            while len(self._segments) > 1 and self._segments[1].start <= before:
                self._segments.pop(0).file.close()

    def close(self) -> None:
        """Gives everything back."""
        with self._lock:
            self.closed = True
            for segment in self._segments:
                segment.file.close()
            self._segments.clear()


def _read(file: int, length: int, offset: int) -> bytes:
    try:
        return os.pread(file, length, offset)
    except OSError as error:
        raise GoneError(f"The temporary file of payloads cannot be read ({error.strerror}).") from error


def _write(file: int, data: bytes, offset: int) -> None:
    """All of `data` at an offset; a try that failed half-way leaves nothing that counts."""
    view = memoryview(data)
    while view:
        done = os.pwrite(file, view, offset)
        view, offset = view[done:], offset + done


class Cache:
    """The texts that were asked for last, at most `limit` bytes of them. Any thread may use it."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._texts: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()
        self.held = 0  # bytes

    def get(self, row: int) -> bytes | None:
        """The text of a row, if it is at hand."""
        with self._lock:
            text = self._texts.get(row)
            if text is not None:
                self._texts.move_to_end(row)
            return text

    def put(self, row: int, text: bytes) -> None:
        """Keeps a text in place of those that nobody asked for longest."""
        if len(text) > min(MAX_CACHED, self._limit):
            return
        with self._lock:
            if row in self._texts:
                return
            self._texts[row] = text
            self.held += len(text)
            while self.held > self._limit:
                self.held -= len(self._texts.popitem(last=False)[1])
