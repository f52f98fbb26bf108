"""WebSocket frames built by hand, and what a reader makes of them."""

from __future__ import annotations

import zlib
from typing import NamedTuple

from ocppscope.model import Side
from ocppscope.problems import PROBLEMS
from ocppscope.wire.inflate import Inflater
from ocppscope.wire.websocket import Control, Reader, Text

MASK = b"\x37\xfa\x21\x3d"  # the example of RFC 6455 §5.7
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def xor(payload: bytes, mask: bytes) -> bytes:
    return bytes(octet ^ mask[i % 4] for i, octet in enumerate(payload))


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes = b"",
    form: int | None = None,
    length: int | None = None,
) -> bytes:
    """One frame; `form` 7, 16 or 64 forces a length encoding, `length` lies about the payload's."""
    size = len(payload) if length is None else length
    form = form or (7 if size < 126 else 16 if size <= 0xFFFF else 64)
    first = bytes([fin << 7 | rsv | opcode])
    bit = 0x80 if mask else 0
    if form == 7:
        head = bytes([bit | size])
    elif form == 16:
        head = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([bit | 127]) + size.to_bytes(8, "big")
    return first + head + mask + (xor(payload, mask) if mask else payload)


def masked(payload: bytes = b"", opcode: int = TEXT, *, mask: bytes = MASK) -> bytes:
    return frame(payload, opcode, mask=mask)


class Deflater:
    """Compresses as a sender does (RFC 7692 §7.2.1)."""

    def __init__(self, *, takeover: bool = True, window_bits: int = 15) -> None:
        self._takeover = takeover
        self._bits = window_bits
        self._zlib = zlib.compressobj(6, zlib.DEFLATED, -window_bits)

    def message(self, text: bytes) -> bytes:
        if not self._takeover:
            self._zlib = zlib.compressobj(6, zlib.DEFLATED, -self._bits)
        return (self._zlib.compress(text) + self._zlib.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Seen(NamedTuple):
    """One find, in short."""

    what: str  # text, binary, close, ping, pong, opcode N
    payload: bytes
    codes: tuple[str, ...] = ()


class Sink:
    """Writes down what a reader finds."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.texts: list[Text] = []
        self.controls: list[Control] = []
        self.unread_bytes = 0
        self.violations: list[bytes] = []

    def text(self, side: Side, text: Text) -> None:
        self.texts.append(text)
        self._see("binary" if text.binary else "text", text.payload, text.problems)

    def control(self, side: Side, control: Control) -> None:
        self.controls.append(control)
        names = {CLOSE: "close", PING: "ping", PONG: "pong"}
        self._see(names.get(control.opcode, f"opcode {control.opcode}"), control.payload, control.problems)

    def _see(self, what: str, payload: bytes, problems: tuple[object, ...]) -> None:
        codes = tuple(problem.code for problem in problems)  # type: ignore[attr-defined]
        assert set(codes) <= PROBLEMS.keys()
        self.seen.append(Seen(what, payload, tuple(code.removeprefix("ws.") for code in codes)))

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        assert count > 0
        self.unread_bytes += count

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        self.violations.append(octets)

    @property
    def payloads(self) -> list[bytes]:
        return [text.payload for text in self.texts]


Step = bytes | int
"""Bytes to feed, or how many are missing."""


def read(
    *steps: Step,
    side: Side = Side.CSMS,
    inflater: Inflater | None = None,
    synced: bool = True,
    size: int | None = None,
    end: bool = True,
) -> Sink:
    """What a reader finds in a direction; `size` cuts the bytes into pieces."""
    sink = Sink()
    reader = Reader(side, sink, inflater, synced=synced)
    packet = 0
    for step in steps:
        if isinstance(step, int):
            packet += 1
            reader.gap(step, packet * 1000)
            continue
        for at in range(0, len(step), size or len(step) or 1):
            packet += 1
            reader.feed(step[at : at + (size or len(step))], packet * 1000, packet)
    if end:
        reader.finish(packet * 1000)
    return sink
