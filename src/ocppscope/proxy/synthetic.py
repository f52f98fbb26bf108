"""TCP as it could have been: segments of Ethernet, IP and TCP around bytes that came from a socket.

A recording is of use to everybody only as packets. Sequence numbers, handshake, ACKs, ends and checksums are right;
segment borders, ACK times and addresses of the link layer are made up. Bytes in, pcapng blocks out; no I/O.
Source: RFC 9293 (TCP), RFC 791 and 8200 (IP), RFC 1071 (checksum).
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ocppscope.capture import pcapngout
from ocppscope.model import Side

if TYPE_CHECKING:
    from ocppscope.model import Endpoint

MAX_SEGMENT_BYTES = 32 << 10
"""Bytes of one segment: fits an IP packet, and what a reader may see of a receive window."""

_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_WINDOW = 0xFFFF
_MASK = 0xFFFFFFFF
_SPREAD = 0x9E3779B1  # initial sequence numbers of connections that reuse a port must differ
_HARDWARE = (b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02")  # locally administered; by side
_IPV4 = struct.Struct("!BBHHHBBH")
_TCP = struct.Struct("!HHIIBBHHH")


class Conversation:
    """One TCP connection in a recording, on interface 0. All methods give blocks to be written."""

    def __init__(self, number: int, station: Endpoint, csms: Endpoint) -> None:
        start = number * _SPREAD & _MASK
        self._next = [start, start + 0x10000000 & _MASK]  # by side: what it sends next
        self._finished = [False, False]
        self.is_open = False
        self.is_over = False
        self._ways = (_Way(station, csms, 0), _Way(csms, station, 1))

    def open(self, time_ns: int, comment: str = "") -> bytes:
        """The handshake."""
        self.is_open = True
        syn = self._segment(0, _SYN, b"", time_ns, comment)
        self._next[0] = self._next[0] + 1 & _MASK
        synack = self._segment(1, _SYN | _ACK, b"", time_ns)
        self._next[1] = self._next[1] + 1 & _MASK
        return syn + synack + self._segment(0, _ACK, b"", time_ns)

    def refused(self, time_ns: int, comment: str = "") -> bytes:
        """An attempt that was answered with a RST."""
        syn = self._segment(0, _SYN, b"", time_ns, comment)
        self._next[0] = self._next[0] + 1 & _MASK
        self.is_over = True
        return syn + self._segment(1, _RST | _ACK, b"", time_ns)

    def data(self, side: Side, data: bytes, time_ns: int, comment: str = "") -> bytes:
        """Bytes that `side` sent, and the ACK of them."""
        if len(data) <= MAX_SEGMENT_BYTES:
            return self._sent(side, data, time_ns, comment)
        pieces = [data[at : at + MAX_SEGMENT_BYTES] for at in range(0, len(data), MAX_SEGMENT_BYTES)]
        sent = [self._sent(side, piece, time_ns, "" if at else comment) for at, piece in enumerate(pieces)]
        return b"".join(sent)

    def missed(self, side: Side, count: int) -> None:
        """`side` sent `count` bytes that are not in the recording: readers will see a gap."""
        self._next[side] = self._next[side] + count & _MASK

    def note(self, side: Side, time_ns: int, comment: str) -> bytes:
        """A bare ACK that carries a comment."""
        return self._segment(side, _ACK, b"", time_ns, comment)

    def fin(self, side: Side, time_ns: int, comment: str = "") -> bytes:
        """The end of what `side` sends, and the ACK of it."""
        if self._finished[side] or self.is_over:
            return b""
        self._finished[side] = True
        self.is_over = all(self._finished)
        end = self._segment(side, _FIN | _ACK, b"", time_ns, comment)
        self._next[side] = self._next[side] + 1 & _MASK
        return end + self._segment(side ^ 1, _ACK, b"", time_ns)

    def rst(self, side: Side, time_ns: int, comment: str = "") -> bytes:
        """The end of everything, by `side`."""
        if self.is_over:
            return b""
        self.is_over = True
        return self._segment(side, _RST | _ACK, b"", time_ns, comment)

    def _sent(self, side: int, data: bytes, time_ns: int, comment: str) -> bytes:
        segment = self._segment(side, _PSH | _ACK, data, time_ns, comment)
        self._next[side] = self._next[side] + len(data) & _MASK
        return segment + self._segment(side ^ 1, _ACK, b"", time_ns)

    def _segment(self, side: int, flags: int, data: bytes, time_ns: int, comment: str = "") -> bytes:
        ack = self._next[side ^ 1] if flags & _ACK else 0
        frame = self._ways[side].frame(self._next[side], ack, flags, data)
        return pcapngout.packet(0, time_ns, frame, comment=comment)


class _Way:
    """One direction: everything of its headers that stays the same."""

    def __init__(self, source: Endpoint, destination: Endpoint, side: int) -> None:
        addresses = [ip_address(end.address.partition("%")[0]) for end in (source, destination)]
        if {address.version for address in addresses} == {4, 6}:
            addresses = [ip_address(f"::ffff:{one}") if one.version == 4 else one for one in addresses]
        self._is_v4 = addresses[0].version == 4
        self._ends = b"".join(address.packed for address in addresses)
        self._ports = source.port, destination.port
        hardware = _HARDWARE[side ^ 1] + _HARDWARE[side]
        self._ethernet = hardware + (b"\x08\x00" if self._is_v4 else b"\x86\xdd")
        self._pseudo = int.from_bytes(self._ends) + 6 + sum(self._ports) + 0x5000 + _WINDOW

    def frame(self, seq: int, ack: int, flags: int, data: bytes) -> bytes:
        """A whole Ethernet frame."""
        size = 20 + len(data)
        total = self._pseudo + size + seq + ack + flags + int.from_bytes(data + b"\0" * (len(data) & 1))
        tcp = _TCP.pack(*self._ports, seq, ack, 0x50, flags, _WINDOW, _folded(total), 0)
        return b"".join((self._ethernet, self._ip(size), tcp, data))

    def _ip(self, size: int) -> bytes:
        if not self._is_v4:
            return struct.pack("!IHBB", 0x60000000, size, 6, 64) + self._ends
        total = 0x4500 + size + 20 + 0x4000 + 0x4006 + int.from_bytes(self._ends)
        return _IPV4.pack(0x45, 0, size + 20, 0, 0x4000, 64, 6, _folded(total)) + self._ends


def _folded(total: int) -> int:
    """The Internet checksum of 16-bit words that were added up in any way: 2**16 is 1 modulo 65,535."""
    return 0xFFFF - (total % 0xFFFF or 0xFFFF)
