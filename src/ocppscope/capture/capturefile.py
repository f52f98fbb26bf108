"""One input as packet blocks: reads chunks into fresh buffers and lets the format's reader find the packets in them.

Knows nothing of other inputs. What is wrong with a file becomes a notice; only a file that is no capture is an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocppscope.capture.annotations import Annotations
from ocppscope.capture.bytesource import Input
from ocppscope.capture.scan import Format
from ocppscope.capture.sniff import format_of
from ocppscope.model import BLOCK_PADDING, PacketBlock

CHUNK_BYTES = 1 << 21
"""Bytes read at once, and so the usual size of a block."""

FIRST_CHUNK_BYTES = 1 << 16
"""Bytes read at once where a block should be there soon: at the beginning, and as long as a pipe holds no more."""


class CaptureFile:
    """The packets of one input, numbered from 1. One that is `growing` may well end in the middle of something."""

    def __init__(self, source: Input, annotations: Annotations, *, chunk: int, growing: bool = False) -> None:
        self.name = source.name
        self.chunk = chunk
        self._input = source
        self._annotations = annotations
        self._growing = growing
        self._format: Format | None = None
        self._header_bytes = 0

    def check(self) -> Format:
        """Look at the first bytes. Raises CaptureError if this is no capture."""
        if self._format is None:
            self._format, self._header_bytes = format_of(self.name, self._input.head(), self._annotations)
            self._input.source.skip(self._header_bytes)
        return self._format

    def blocks(self) -> Iterator[PacketBlock]:
        """Read to the end, once. Raises CaptureError before the first block if this is no capture."""
        reader = self.check()
        rest, position = bytearray(), self._header_bytes
        lasting = self._input.is_lasting and not self._input.is_packed
        size, need, packet = min(FIRST_CHUNK_BYTES, self.chunk), 1, 1
        while True:
            capacity = max(size, need)
            data, end = self._fill(rest, capacity, need)
            if end < need:
                self._say_end(reader, data[:end])
                return
            found = reader.scan(data, end)
            if found.columns is not None:
                yield PacketBlock(data, *found.columns, packet, position if lasting else None, found.comments)
                packet += len(found.columns.offsets)
            if found.damage:
                self._notice("damage", f"{found.damage}; the rest is not read.")
                return
            rest, need = data[found.consumed : end], found.need
            position += found.consumed
            size = self.chunk if end == capacity else min(FIRST_CHUNK_BYTES, self.chunk)

    def close(self) -> None:
        """Close the input."""
        self._input.close()

    def _fill(self, rest: bytearray, capacity: int, need: int) -> tuple[bytearray, int]:
        """A fresh buffer of `rest` and what can be read at once; how full it is: below `need` only at the end."""
        data = bytearray(capacity + BLOCK_PADDING)
        end = len(rest)
        data[:end] = rest
        source = self._input.source
        with memoryview(data) as view:
            while end < capacity and (got := source.readinto(view[end:capacity])):
                end += got
                if end >= need and not self._input.is_complete:
                    break
        return data, end

    def _say_end(self, reader: Format, rest: bytearray) -> None:
        if trouble := self._input.source.trouble:
            self._notice("trouble", f"{trouble}; what came before that is read.")
        elif rest and not self._growing:
            self._notice("cut", f"{reader.cut(rest)}.")

    def _notice(self, kind: str, text: str) -> None:
        self._annotations.notice(self.name, kind, f"{self.name} {text}")
