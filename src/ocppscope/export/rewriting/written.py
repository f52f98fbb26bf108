"""The texts of a pcapng file that was written here, for the scan for leaks: whatever somebody can read in it.

Messages and control frames as the engine decodes them, HTTP heads as they are in the packets, addresses, and all
texts of the file format.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING

from ocppscope.capture.pcapfile import open_captures
from ocppscope.model import ConnectionOpened, ControlFrame, Message
from ocppscope.wire.heads import MAX_HEADER_BYTES, MAY_BE_HTTP
from ocppscope.wire.link import LinkDecoder, endpoints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.engine import Engine
    from ocppscope.model import Event, PacketBlock

MAX_NAMED_ADDRESSES = 1 << 16
"""Addresses of which it is remembered that they were given; others are given each time."""
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_FIXED = {_SECTION: 16, _INTERFACE: 8, _PACKET: 20}  # bytes of a body before its options, and a packet's data
_HEAD = struct.Struct("<II")
_OPTION = struct.Struct("<HH")


def texts_in(path: str, engine: Engine) -> Iterator[str]:
    """All of them, in no particular order."""
    yield from _format_texts(path)
    heads = _Heads()
    with open_captures([path]) as reader:
        for block in reader.blocks():
            yield from heads.of(block)
            yield from chain.from_iterable(map(_said, engine.packets(block)))
    yield from chain.from_iterable(map(_said, engine.finish()))
    yield from heads.rest()


def _said(event: Event) -> Iterator[str]:
    if isinstance(event, Message):
        yield event.text.decode("utf-8", "replace")
    elif isinstance(event, ControlFrame):
        yield event.payload.decode("utf-8", "replace")
    elif isinstance(event, ConnectionOpened) and event.connection.handshake is not None:
        yield event.connection.handshake.body


class _Heads:
    """HTTP heads, however they are cut, and addresses."""

    def __init__(self) -> None:
        self._link = LinkDecoder()
        self._open: dict[tuple[int, int], bytearray | None] = {}  # by flow and direction; None: it is WebSocket now
        self._addresses: set[str] = set()

    def of(self, block: PacketBlock) -> Iterator[str]:
        """Those that are whole with this block."""
        segments = self._link.decode(block)
        columns = (segments.key, segments.direction, segments.ip, segments.payload, segments.length)
        for key, direction, ip, at, length in zip(*(column.tolist() for column in columns), strict=True):
            if (key, direction) not in self._open:
                for end in endpoints(segments.data, ip):  # both: the other one may never say anything
                    yield from self._named(end.address)
            if length:
                yield from self._piece((key, direction), bytes(segments.data[at : at + length]))

    def _named(self, address: str) -> Iterator[str]:
        if address in self._addresses:
            return
        if len(self._addresses) < MAX_NAMED_ADDRESSES:
            self._addresses.add(address)
        yield address

    def _piece(self, way: tuple[int, int], data: bytes) -> Iterator[str]:
        held = self._open.setdefault(way, bytearray() if data[0] in MAY_BE_HTTP else None)
        if held is None and b"HTTP/1." in data:
            held = self._open[way] = bytearray()
        if held is None:
            return
        held += data
        if b"\n\r\n" in held or b"\n\n" in held or len(held) > MAX_HEADER_BYTES:
            self._open[way] = None
            yield held.decode("latin-1")

    def rest(self) -> Iterator[str]:
        """Those that have no end."""
        yield from (held.decode("latin-1") for held in self._open.values() if held)


def _format_texts(path: str) -> Iterator[str]:
    """Options of all blocks; there are no blocks of other kinds in what is written here."""
    with open(path, "rb") as file:
        while head := file.read(_HEAD.size):
            kind, length = _HEAD.unpack(head)
            body = file.read(length - _HEAD.size)[:-4]
            if kind not in _FIXED:
                yield body.decode("latin-1")
                continue
            at = _FIXED[kind]
            if kind == _PACKET:
                at += int.from_bytes(body[12:16], "little") + 3 & ~3
            while at + _OPTION.size <= len(body):
                code, size = _OPTION.unpack_from(body, at)
                if code and size:
                    yield body[at + 4 : at + 4 + size].decode("utf-8", "replace")
                at += 4 + (size + 3 & ~3)
