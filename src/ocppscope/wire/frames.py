"""WebSocket frame headers and masks (RFC 6455 §5.2, §5.3): bytes in, numbers out. Judges nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.wire.link import windows

if TYPE_CHECKING:
    from ocppscope.wire.link import Ints

__all__ = [
    "COMPRESSED",
    "MASKED",
    "OPCODES",
    "UNMASKED",
    "Header",
    "payloads",
    "read_header",
    "unmask",
    "whole_frames",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPCODES = {
    CONTINUATION: "continuation",
    TEXT: "text",
    BINARY: "binary",
    CLOSE: "close",
    PING: "ping",
    PONG: "pong",
}

RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
MAX_CONTROL = 125
"""Payload bytes of a control frame (RFC 6455 §5.5)."""
MAX_MESSAGE_BYTES = 16 << 20
"""Payload bytes of one message that are kept; frames beyond it are passed over and said to be."""

_UNMASK_WIDTHS = (64, 256, 512, 1024, 2048)
"""Payloads are unmasked together with those of a like length; of greater length one by one."""

UNMASKED, MASKED, COMPRESSED = 1, 2, 2
"""Forms of a whole text frame: unmasked or masked, plus `COMPRESSED` where RSV1 is set."""


class Header(NamedTuple):
    """A frame header; `size` is its own length, `length` that of the payload, both in bytes."""

    fin: bool
    rsv: int
    opcode: int
    mask: bytes  # b"" if the frame is not masked
    length: int
    size: int
    minimal: bool  # the shortest length encoding was used (RFC 6455 §5.2)

    @property
    def control(self) -> bool:
        """Whether this is a close, ping or pong frame, or a reserved control opcode."""
        return self.opcode >= CLOSE


def read_header(buffer: bytes | bytearray, at: int) -> Header | None:
    """The frame header at `at`, or None where the buffer does not hold it whole."""
    held = len(buffer) - at
    if held < 2:
        return None
    first, second = buffer[at], buffer[at + 1]
    length = second & 0x7F
    size, minimal = 2, True
    if length == 126:
        size = 4
        length = int.from_bytes(buffer[at + 2 : at + 4], "big")
        minimal = length > 125
    elif length == 127:
        size = 10
        length = int.from_bytes(buffer[at + 2 : at + 10], "big")
        minimal = 0xFFFF < length < 1 << 63
    mask = b""
    if second & 0x80:
        mask = bytes(buffer[at + size : at + size + 4])
        size += 4
    if held < size:
        return None
    return Header(bool(first & 0x80), first & 0x70, first & 0x0F, mask, length, size, minimal)


def unmask(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """The payload without its mask (RFC 6455 §5.3); `mask` may be empty."""
    if not mask:
        return bytes(payload)
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def whole_frames(data: bytes | bytearray, start: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Which segments hold exactly one final, unfragmented text frame.

    For each segment of `length` bytes at `start`: the frame's form, 0 if the segment is anything else, and where its
    payload starts.
    """
    table = np.frombuffer(data, np.uint8)
    at = np.minimum(start, len(table) - 4)
    first = table[at]
    second = table[at + 1]
    masked = (second & 0x80) >> 7
    short = second & 0x7F
    extended = (table[at + 2].astype(np.int64) << 8) | table[at + 3]
    size = np.where(short < 126, 2, 4) + masked * 4
    expected = np.where(short < 126, short, extended)
    text = (first == 0x81) | (first == 0xC1)
    whole = text & (short < 127) & (size + expected == length) & ((short < 126) | (extended > 125))
    form = np.where(whole, UNMASKED + masked + np.where(first == 0xC1, COMPRESSED, 0), 0)
    return form.astype(np.int64), start + size


def payloads(data: bytes, form: Ints, body: Ints, stop: Ints) -> list[bytes]:
    """The unmasked payloads of whole frames as `whole_frames` found them, b"" where there is none."""
    masked = (form > 0) & (form & 1 == 0)
    found = [b""] * len(form)
    plain = np.flatnonzero(form & 1)
    for row, at, end in zip(plain.tolist(), body[plain].tolist(), stop[plain].tolist(), strict=True):
        found[row] = data[at:end]
    length = stop - body
    shortest = 0
    for width in _UNMASK_WIDTHS:
        rows = np.flatnonzero(masked & (length > shortest) & (length <= width) & (body + width <= len(data)))
        shortest = width
        if len(rows):
            masked[rows] = False
            octets = _unmasked(data, body[rows], width)
            begin = np.arange(0, len(octets), width)
            ends = (begin + length[rows]).tolist()
            for row, at, end in zip(rows.tolist(), begin.tolist(), ends, strict=True):
                found[row] = octets[at:end]
    for row in np.flatnonzero(masked).tolist():
        at = int(body[row])
        found[row] = unmask(data[at : int(stop[row])], data[at - 4 : at])
    return found


def _unmasked(data: bytes, body: Ints, width: int) -> bytes:
    """`width` bytes from each of `body` on, with the mask before it taken off, one after the other."""
    cells = windows(data, np.dtype(f"V{width}"))[body].view(np.uint32).reshape(-1, width // 4)
    masks = windows(data, np.dtype("V4"))[body - 4].view(np.uint32)
    return (cells ^ masks[:, None]).tobytes()
