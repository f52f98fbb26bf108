"""Packets into a pcapng file: an interface for each link type, written when the first packet needs it.

Knows no capture and no connection; TLS secrets and names of addresses have no way in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture import pcapngout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

BUFFER_BYTES = 1 << 20
"""Written at once."""
RAW = 101
"""LINKTYPE_RAW: a packet begins with its IP header."""
INVENTED = -1
"""In place of a link type: packets that were made up, which have interface 0."""
MAX_TIME_NS = (1 << 63) - 1
"""Times beyond are written as that, and those before 1970 as 0: a pcapng file counts from there (§4.3)."""


class Packet(NamedTuple):
    """What becomes an Enhanced Packet Block."""

    time_ns: int
    linktype: int
    data: bytes
    length: int  # on the wire
    comments: list[str]


class Made(NamedTuple):
    """Packets that were made up, as blocks of interface 0."""

    time_ns: int
    blocks: bytes


class Sheet:
    """One file that is being written."""

    def __init__(self, out: BinaryIO, application: str, comment: str, *, made_up: bool) -> None:
        """`made_up`: there will be packets that were made up."""
        self._out = out
        self._interfaces: dict[int, int] = {}
        self._held: list[bytes] = [pcapngout.section(application, comment)]
        self._size = 0
        if made_up:
            self._interface(INVENTED)

    def add(self, packets: Iterable[Packet | Made]) -> None:
        """Writes these."""
        interfaces = self._interfaces
        for packet in packets:
            if isinstance(packet, Made):
                self._write(packet.blocks)
                continue
            number = interfaces.get(packet.linktype)
            if number is None:
                number = self._interface(packet.linktype)
            time_ns = min(max(packet.time_ns, 0), MAX_TIME_NS)
            block = pcapngout.packet(number, time_ns, packet.data, length=packet.length, comment=packet.comments)
            self._write(block)

    def _interface(self, linktype: int) -> int:
        number = self._interfaces[linktype] = len(self._interfaces)
        made_up = linktype == INVENTED
        name = "made up by ocppscope" if made_up else f"link type {linktype}"
        self._write(pcapngout.interface(pcapngout.ETHERNET if made_up else linktype, name))
        return number

    def _write(self, block: bytes) -> None:
        self._held.append(block)
        self._size += len(block)
        if self._size >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """What is held goes out; an empty file has an interface, too."""
        self._out.write(b"".join(self._held))
        self._held.clear()
        self._size = 0

    def finish(self) -> None:
        """The end."""
        if not self._interfaces:
            self._interface(pcapngout.ETHERNET)
        self.flush()
