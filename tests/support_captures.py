"""Capture files built byte by byte, for tests of everything that reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocppscope.model import PacketBlock


class Packet(NamedTuple):
    """A packet as it goes into a capture, and as a reader should give it back."""

    time_ns: int
    data: bytes
    origlen: int | None = None  # as many as there are in `data`
    interface: int = 0

    @property
    def wire_length(self) -> int:
        return len(self.data) if self.origlen is None else self.origlen


def pcap_header(*, nanoseconds: bool = False, big_endian: bool = False, linktype: int = 1, version: int = 2) -> bytes:
    """The 24 bytes that begin a pcap file."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    return struct.pack((">" if big_endian else "<") + "IHHIIII", magic, version, 4, 0, 0, 262_144, linktype)


def pcap_record(packet: Packet, *, nanoseconds: bool = False, big_endian: bool = False) -> bytes:
    """One packet of a pcap file."""
    seconds, fraction = divmod(packet.time_ns, 10**9)
    fraction //= 1 if nanoseconds else 1000
    numbers = (seconds, fraction, len(packet.data), packet.wire_length)
    return struct.pack((">" if big_endian else "<") + "IIII", *numbers) + packet.data


def pcap_bytes(
    packets: Iterable[Packet], *, nanoseconds: bool = False, big_endian: bool = False, linktype: int = 1
) -> bytes:
    """A pcap file."""
    header = pcap_header(nanoseconds=nanoseconds, big_endian=big_endian, linktype=linktype)
    records = (pcap_record(packet, nanoseconds=nanoseconds, big_endian=big_endian) for packet in packets)
    return header + b"".join(records)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class Pcapng:
    """Writes the blocks of one section, in one byte order."""

    def __init__(self, *, big_endian: bool = False) -> None:
        self.order = ">" if big_endian else "<"

    def pack(self, layout: str, *numbers: int) -> bytes:
        return struct.pack(self.order + layout, *numbers)

    def block(self, kind: int, body: bytes) -> bytes:
        length = 12 + len(_padded(body))
        return self.pack("II", kind, length) + _padded(body) + self.pack("I", length)

    def option(self, code: int, value: bytes) -> bytes:
        return self.pack("HH", code, len(value)) + _padded(value)

    def section(self, *, major: int = 1, options: bytes = b"") -> bytes:
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, major, 0, -1) + options)

    def interface(
        self, linktype: int = 1, *, snaplen: int = 0, tsresol: int | None = None, tsoffset: int | None = None
    ) -> bytes:
        options = self.option(2, b"eth0")
        options += b"" if tsresol is None else self.option(9, bytes([tsresol]))
        options += b"" if tsoffset is None else self.option(14, self.pack("q", tsoffset))
        return self.block(1, self.pack("HHI", linktype, 0, snaplen) + options + self.option(0, b""))

    def enhanced(
        self, ticks: int, data: bytes, *, interface: int = 0, origlen: int | None = None, options: bytes = b""
    ) -> bytes:
        length = len(data) if origlen is None else origlen
        numbers = (interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length)
        return self.block(6, self.pack("IIIII", *numbers) + _padded(data) + options)

    def simple(self, data: bytes, *, origlen: int | None = None) -> bytes:
        return self.block(3, self.pack("I", len(data) if origlen is None else origlen) + data)

    def obsolete(self, ticks: int, data: bytes, *, interface: int = 0, drops: int = 0xFFFF) -> bytes:
        numbers = (interface, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        return self.block(2, self.pack("HHIIII", *numbers) + data)

    def names(self, *records: tuple[int, bytes]) -> bytes:
        return self.block(4, b"".join(self.option(kind, value) for kind, value in (*records, (0, b""))))

    def secrets(self, text: bytes, *, kind: int = 0x544C534B) -> bytes:
        return self.block(10, self.pack("II", kind, len(text)) + text)


def pcapng_bytes(
    packets: Iterable[Packet], *, big_endian: bool = False, linktypes: Sequence[int] = (1,), nanoseconds: bool = True
) -> bytes:
    """A pcapng file of one section with an interface for each link type."""
    ng = Pcapng(big_endian=big_endian)
    interfaces = [ng.interface(linktype, tsresol=9 if nanoseconds else 6) for linktype in linktypes]
    unit = 1 if nanoseconds else 1000
    written = (
        ng.enhanced(packet.time_ns // unit, packet.data, interface=packet.interface, origlen=packet.origlen)
        for packet in packets
    )
    return ng.section() + b"".join(interfaces) + b"".join(written)


class Row(NamedTuple):
    """One packet as a reader gave it."""

    number: int
    time_ns: int
    data: bytes
    origlen: int
    linktype: int


def rows(blocks: Iterable[PacketBlock]) -> list[Row]:
    """The packets of blocks, one by one."""
    found = []
    for block in blocks:
        columns = (block.offsets, block.caplen, block.origlen, block.time_ns, block.linktype)
        for index, (offset, caplen, origlen, time_ns, linktype) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            data = bytes(block.data[offset : offset + caplen])
            found.append(Row(block.first_packet + index, time_ns, data, origlen, linktype))
    return found
