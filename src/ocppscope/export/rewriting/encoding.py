"""WebSocket frames as bytes, and texts compressed for them (RFC 6455 §5.2, RFC 7692 §7.2.1)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from ocppscope.wire.frames import unmask
from ocppscope.wire.history import TAIL
from ocppscope.wire.seats import Seats

if TYPE_CHECKING:
    from zlib import _Compress

    from ocppscope.wire.frames import Header

MAX_SHORT, MAX_MEDIUM = 125, 0xFFFF
"""Payload bytes that a length of 7 and of 16 bits can say."""
MAX_WINDOW, MEMORY_LEVEL = 12, 5
"""Window bits that are used, however many were agreed, and zlib's level of memory: 32 KiB a direction, not 256."""
SMALLEST_WINDOW = 9
"""Window bits that zlib can compress with; below, it may not repeat anything."""

MAX_COMPRESSORS = 1 << 12
"""Directions of all connections whose texts refer to earlier ones; of more, some begin anew."""

_FIN = 0x80
_CORRUPT = b"\x06"  # a block of a type that there is none of (RFC 1951 §3.2.3)
_UNKNOWN = b"\xff" * 8 + bytes(4) + b"\xff" * 31_990  # a few zeros, as far back as a repetition may reach
NOTHING = b"\x00"
"""A compressed message without content (RFC 7692 §7.2.3.6)."""


def simple_frame(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    """A final frame; the mask of a station's frame is zero, so that its payload can be read as it is."""
    return _head(_FIN | opcode, len(payload), bytes(4 if masked else 0), least=0) + payload


def frame_like(header: Header, payload: bytes) -> bytes:
    """A frame with another payload, masked with the same key; a length that was written too long stays so."""
    return head_like(header, len(payload)) + unmask(payload, header.mask)


def head_like(header: Header, length: int) -> bytes:
    """The header of such a frame."""
    least = 0 if header.minimal else header.size - 2 - len(header.mask)
    return _head(_FIN * header.fin | header.rsv | header.opcode, length, header.mask, least=least)


def _head(first: int, length: int, mask: bytes, *, least: int) -> bytes:
    bit = 0x80 if mask else 0
    if length <= MAX_SHORT and least < 2:
        size = bytes([bit | length])
    elif length <= MAX_MEDIUM and least < 8:
        size = bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        size = bytes([bit | 127]) + length.to_bytes(8, "big")
    return bytes([first]) + size + mask


def spread(lengths: list[int], total: int) -> list[int]:
    """`total` bytes on as many fragments, in proportion to their `lengths`; one that had none gets none."""
    before, ends, seen = max(sum(lengths), 1), [], 0
    for length in lengths:
        seen += length
        ends.append(total * seen // before)
    if sum(lengths) < 1 or ends[-1] != total:
        ends[-1] = total
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def corrupt(length: int) -> bytes:
    """What no inflater takes."""
    return _CORRUPT.ljust(length, b"\0")


class Compressors:
    """The contexts of all connections that are written."""

    def __init__(self) -> None:
        self._busy: Seats[Deflater] = Seats(MAX_COMPRESSORS)

    def takes(self, one: Deflater) -> None:
        """A direction has a context from now on."""
        other = self._busy.take(one)
        if other is not None:
            other.forget()

    def leaves(self, one: Deflater) -> None:
        """It has none any more."""
        self._busy.leave(one)


class Deflater:
    """Compresses the messages of one direction, as far as its `window_bits` and `takeover` allow."""

    def __init__(self, window_bits: int, compressors: Compressors, *, takeover: bool) -> None:
        self._bits = window_bits
        self._compressors = compressors
        self.takeover = takeover
        self._zlib: _Compress | None = None

    def message(self, text: bytes) -> bytes:
        """The payload of the next message."""
        if not text:
            return NOTHING
        compressor = self._zlib
        if compressor is None:
            compressor = self._fresh()
            if self.takeover:
                self._zlib = compressor
                self._compressors.takes(self)
        return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)

    def riddle(self, beginning: bytes, length: int) -> bytes:
        """A payload whose text cannot be known but for its beginning: the rest repeats what was never sent."""
        self.forget()
        compressor = zlib.compressobj(1, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, _UNKNOWN)
        text = beginning.ljust(length, b"\0")
        return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)

    def forget(self) -> None:
        """What follows refers to nothing before it."""
        self._zlib = None
        self._compressors.leaves(self)

    def _fresh(self) -> _Compress:
        if self._bits < SMALLEST_WINDOW:
            return zlib.compressobj(6, zlib.DEFLATED, -MAX_WINDOW, MEMORY_LEVEL, zlib.Z_HUFFMAN_ONLY)
        return zlib.compressobj(6, zlib.DEFLATED, -min(self._bits, MAX_WINDOW), MEMORY_LEVEL)
