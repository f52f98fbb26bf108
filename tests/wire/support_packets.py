"""Packets and TCP sessions built byte by byte, and blocks of them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

import numpy as np

from ocppscope.model import BLOCK_PADDING, PacketBlock
from ocppscope.wire.link import ACK, FIN, RST, SYN

STATION, CSMS = "10.0.0.1", "10.0.0.2"


def tcp(
    source: int,
    destination: int,
    seq: int = 0,
    ack: int = 0,
    flags: int = ACK,
    data: bytes = b"",
    options: bytes = b"",
) -> bytes:
    offset = (20 + len(options)) << 2
    words = (source, destination, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, offset, flags, 1000, 0xBAD, 0)
    return struct.pack(">HHIIBBHHH", *words) + options + data


def ipv4(
    source: str,
    destination: str,
    body: bytes,
    *,
    protocol: int = 6,
    ident: int = 0,
    fragment: int = 0,
    total: int | None = None,
    options: bytes = b"",
) -> bytes:
    size = 20 + len(options)
    total = size + len(body) if total is None else total
    first = 0x40 | size >> 2
    head = struct.pack(">BBHHHBBH", first, 0, total & 0xFFFF, ident, fragment, 64, protocol, 0xBAD)
    return head + ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed + options + body


def ipv6(source: str, destination: str, body: bytes, *, following: int = 6, length: int | None = None) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(body) if length is None else length, following, 64)
    return head + ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed + body


def ethernet(kind: int, body: bytes, *, pad: bool = False) -> bytes:
    packet = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01" + kind.to_bytes(2, "big") + body
    return packet.ljust(60, b"\xee") if pad else packet


def block(
    packets: Sequence[bytes],
    linktype: int | Sequence[int] = 1,
    *,
    first: int = 1,
    times: Sequence[int] | None = None,
    lengths: Sequence[int] | None = None,
    around: bytes = b"",
) -> PacketBlock:
    """Packets as a block; `around` stands before the first, between all and after the last of them."""
    sizes = [len(packet) for packet in packets]
    offsets, at = [], len(around)
    for size in sizes:
        offsets.append(at)
        at += size + len(around)
    linktypes = [linktype] * len(packets) if isinstance(linktype, int) else linktype
    return PacketBlock(
        around + b"".join(packet + around for packet in packets) + bytes(BLOCK_PADDING),
        np.array(offsets, np.int64),
        np.array(sizes, np.int64),
        np.array(sizes if lengths is None else lengths, np.int64),
        np.array([1000 * (first + i) for i in range(len(packets))] if times is None else times, np.int64),
        np.array(linktypes, np.uint16),
        first,
    )


class Session:
    """Writes the packets of one TCP connection: `station` and `csms` send, `packets` is what was captured."""

    def __init__(
        self, port: int = 50_000, *, to: int = 9000, station: str = STATION, csms: str = CSMS, start: int = 100
    ) -> None:
        self.ports = (port, to)
        self.hosts = (station, csms)
        self.seq = [start, start + 400]
        self.packets: list[bytes] = []

    def send(self, direction: int, data: bytes = b"", flags: int = ACK, *, seq: int | None = None) -> Session:
        other = 1 - direction
        at = self.seq[direction] if seq is None else seq
        segment = tcp(self.ports[direction], self.ports[other], at, self.seq[other], flags, data)
        self.packets.append(ethernet(0x0800, ipv4(self.hosts[direction], self.hosts[other], segment), pad=True))
        if seq is None:
            self.seq[direction] += len(data) + bool(flags & (SYN | FIN))
        return self

    def station(self, data: bytes = b"", flags: int = ACK) -> Session:
        return self.send(0, data, flags)

    def csms(self, data: bytes = b"", flags: int = ACK) -> Session:
        return self.send(1, data, flags)

    def open(self) -> Session:
        return self.station(flags=SYN).csms(flags=SYN | ACK).station()

    def close(self) -> Session:
        return self.station(flags=FIN | ACK).csms(flags=FIN | ACK).station()

    def reset(self, direction: int = 1) -> Session:
        return self.send(direction, flags=RST)
