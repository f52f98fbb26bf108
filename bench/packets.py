"""Writes packets as a host would have sent them, and captures as tcpdump would have saved them.

Knows Ethernet, IPv4, IPv6, TCP and the pcap file format; nothing of WebSocket or OCPP. Checksums are right: since
65536 is 1 modulo 65535, the Internet checksum (RFC 1071) of any bytes is that of the one big number they spell.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SEQ_MASK = 0xFFFFFFFF
WRITE_AT = 1 << 20

_FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
_RECORD = struct.Struct("<IIII").pack
_IP4 = struct.Struct("!BBHHHBBH").pack
_IP6 = struct.Struct("!IHBB").pack
_TCP = struct.Struct("!HHIIHHHHHBBII").pack
_UDP = struct.Struct("!HHHH").pack


class Capture:
    """A pcap file (microseconds, Ethernet) that grows on disk; times must not go back."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._file.write(_FILE_HEADER)
        self._parts: list[bytes] = []
        self._held = 0
        self.packets = 0
        self.last_us = 0

    def write(self, time_ns: int, frame: bytes) -> None:
        """Append one packet."""
        us = max(time_ns // 1000, self.last_us)
        self.last_us = us
        size = len(frame)
        self._parts += (_RECORD(us // 1_000_000, us % 1_000_000, size, size), frame)
        self._held += size
        self.packets += 1
        if self._held > WRITE_AT:
            self._flush()

    def _flush(self) -> None:
        self._file.write(b"".join(self._parts))
        self._parts.clear()
        self._held = 0

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._file.close()


def word_sum(data: bytes) -> int:
    """A number that is congruent to the sum of the 16-bit words of `data`, modulo 65535."""
    number = int.from_bytes(data, "big")
    return number << 8 if len(data) & 1 else number


def checksum(total: int) -> int:
    """The Internet checksum (RFC 1071) of words whose sum is `total`, more than 0."""
    return 65535 - (total % 65535 or 65535)


class Route:
    """One direction between two hosts: puts Ethernet and IP headers in front of what it is given."""

    def __init__(self, source: str, target: str, macs: tuple[bytes, bytes]) -> None:
        self.six = ":" in source
        address = IPv6Address if self.six else IPv4Address
        self.addresses = address(source).packed + address(target).packed
        self.address_sum = word_sum(self.addresses)
        self.ethernet = macs[1] + macs[0] + (b"\x86\xdd" if self.six else b"\x08\x00")
        self.ident = self.address_sum & 0xFFFF

    def wrap(self, size: int, protocol: int) -> bytes:
        """The headers for `size` bytes of `protocol` (6 TCP, 17 UDP)."""
        if self.six:
            return self.ethernet + _IP6(0x60000000, size, protocol, 64) + self.addresses
        self.ident = ident = (self.ident + 1) & 0xFFFF
        size += 20
        total = 0x4500 + size + ident + 0x4000 + (64 << 8 | protocol) + self.address_sum
        return self.ethernet + _IP4(0x45, 0, size, ident, 0x4000, 64, protocol, checksum(total)) + self.addresses


class TcpSender:
    """One end of a TCP connection as a sender: makes its segments, with timestamps option (RFC 7323)."""

    def __init__(self, route: Route, ports: tuple[int, int], isn: int, clock_ms: int) -> None:
        self.route = route
        self.ports = ports
        self.seq = isn
        self.clock_ms = clock_ms  # the host's own timestamp clock: its offset against the capture's
        self.peer_ts = 0
        self.last_ts = 0
        self._constant = route.address_sum + 6 + sum(ports) + 0x0101 + 0x080A

    def syn(self, time_ns: int, ack: int | None) -> bytes:
        """SYN, or SYN and ACK, with the usual options."""
        self.last_ts = ts = (time_ns // 1_000_000 + self.clock_ms) & SEQ_MASK
        flags = SYN if ack is None else SYN | ACK
        options = struct.pack("!HHBBBBIIBBBB", 0x0204, 1460, 4, 2, 8, 10, ts, self.peer_ts, 1, 3, 3, 7)
        fixed = struct.pack("!HHIIHHHH", *self.ports, self.seq, ack or 0, 0xA000 | flags, 64240, 0, 0)
        total = self.route.address_sum + 6 + 40 + word_sum(fixed + options)
        header = fixed[:16] + checksum(total).to_bytes(2, "big") + b"\0\0" + options
        self.seq = (self.seq + 1) & SEQ_MASK
        return self.route.wrap(40, 6) + header

    def segment(self, time_ns: int, seq: int, ack: int, flags: int, data: bytes = b"") -> bytes:
        """Any segment after the SYN; does not move `seq`."""
        self.last_ts = ts = (time_ns // 1_000_000 + self.clock_ms) & SEQ_MASK
        bits = 0x8000 | flags
        size = 32 + len(data)
        total = self._constant + size + seq + ack + bits + 502 + ts + self.peer_ts + word_sum(data)
        ports = self.ports
        header = _TCP(ports[0], ports[1], seq, ack, bits, 502, checksum(total), 0, 0x0101, 8, 10, ts, self.peer_ts)
        return self.route.wrap(size, 6) + header + data


def udp(route: Route, ports: tuple[int, int], data: bytes) -> bytes:
    """One UDP datagram."""
    size = 8 + len(data)
    total = route.address_sum + 17 + size + sum(ports) + size + word_sum(data)
    return route.wrap(size, 17) + _UDP(*ports, size, checksum(total) or 65535) + data


def cut(data: bytes, size: int) -> Iterable[bytes]:
    """`data` in pieces of at most `size` bytes."""
    return (data[at : at + size] for at in range(0, len(data), size))
