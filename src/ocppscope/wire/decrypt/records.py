"""The records of one direction, cut out of its bytes, with what is missing between them.

A record that a gap lies in comes whole, with zeros and marked. Behind a gap that reaches further, or that begins
where nobody knows, the next record is looked for: bytes that read as a header, and at the end of the record another
one, or the end of what is there. Keeps at most one record.
"""

from __future__ import annotations

from typing import NamedTuple

from ocppscope.wire.tls import MAX_RECORD, is_header

HEADER = 5
_LEAST_PROTECTED = 9


class Piece(NamedTuple):
    """A record. `lost`: bytes of the direction that are missing, or were passed over, right before it."""

    header: bytes
    body: bytes
    lost: int = 0
    damaged: bool = False  # some of it is missing, zeros stand there


class RecordReader:
    """Bytes in, pieces out. `aligned` says whether what comes next begins a record."""

    __slots__ = ("_damaged", "_lost", "aligned", "passed_over", "rest")

    def __init__(self) -> None:
        self.rest = b""  # of the record that is not whole yet
        self._damaged = False
        self._lost = 0
        self.aligned = True
        self.passed_over = 0  # bytes in which a record was looked for in vain, since the last one

    def feed(self, data: bytes) -> list[Piece]:
        """The records that `data` completes."""
        if self.rest:
            data = self.rest + data
        found: list[Piece] = []
        at, size = 0, len(data)
        while at < size:
            if not self.aligned:
                start = self._search(data, at)
                self._lost += start - at
                self.passed_over += start - at
                at = start
                if not self.aligned:
                    break
            if size - at < HEADER:
                if not is_header(data, at):
                    self.aligned = False
                    continue
                break
            if not is_header(data, at):
                self.aligned = False
                continue
            stop = at + HEADER + (data[at + 3] << 8 | data[at + 4])
            if stop > size:
                break
            found.append(Piece(data[at : at + HEADER], data[at + HEADER : stop], self._lost, self._damaged))
            self._lost = self.passed_over = 0
            self._damaged = False
            at = stop
        self.rest = data[at:]
        return found

    def gap(self, lost: int) -> list[Piece]:
        """`lost` bytes are missing."""
        buffer = self.rest
        if self.aligned and len(buffer) >= HEADER:
            wanted = HEADER + (buffer[3] << 8 | buffer[4]) - len(buffer)
            if lost <= wanted:
                self._damaged = True
                return self.feed(bytes(lost))
        self._lost += len(buffer) + lost
        self.rest, self._damaged, self.aligned = b"", False, False
        return []

    @property
    def is_steady(self) -> bool:
        """Whether what comes next goes on where `rest` ends, and nothing is missing of it."""
        return self.aligned and not (self._lost or self._damaged)

    @property
    def pending(self) -> int:
        """Bytes that were lost, or wait for the rest of their record."""
        return self._lost + len(self.rest)

    def _search(self, data: bytes, at: int) -> int:
        """Where the next record begins, `aligned` then; else from where to go on when more has come."""
        size = len(data)
        while size - at >= HEADER:
            at = data.find(b"\x03", at + 1) - 1
            if at < 0:
                return max(size - HEADER + 1, 0)
            if size - at < HEADER:
                return at
            if not _protected(data, at):
                at += 1
                continue
            stop = at + HEADER + (data[at + 3] << 8 | data[at + 4])
            if stop > size:
                return at
            if stop == size or is_header(data, stop):
                self.aligned = True
                return at
            at += 1
        return at


def _protected(data: bytes, at: int) -> bool:
    """Whether this may be the header of an encrypted record."""
    size = data[at + 3] << 8 | data[at + 4]
    return 20 <= data[at] <= 23 and 1 <= data[at + 2] <= 3 and _LEAST_PROTECTED <= size <= MAX_RECORD
