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
    from collections.abc import Sequence

    from ocppscope.model import Endpoint

    Comment = str | Sequence[str]

MAX_SEGMENT_BYTES = 32 << 10
"""Bytes of one segment: fits an IP packet, and what a reader may see of a receive window."""

_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_WINDOW = 0xFFFF
_MASK = 0xFFFFFFFF
_SPREAD = 0x9E3779B1  # initial sequence numbers of connections that reuse a port must differ
_HARDWARE = (b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02")  # locally administered; by side
_SIZE, _SIZE_AND_SUM = struct.Struct("!H"), struct.Struct("!H6sH")
_TCP = struct.Struct("!IIHHHH")
_NO_OPTIONS = 0x5000  # a header of five words


class Conversation:
    """One TCP connection in a recording, on one interface. All methods give blocks to be written."""

    def __init__(self, number: int, station: Endpoint, csms: Endpoint, *, interface: int = 0) -> None:
        self._interface = interface
        start = number * _SPREAD & _MASK
        self._next = [start, start + 0x10000000 & _MASK]  # by side: what it sends next
        self._finished = [False, False]
        self.is_open = False
        self.is_over = False
        self._ways = (_Way(station, csms, 0), _Way(csms, station, 1))

    def open(self, time_ns: int, comment: Comment = "") -> bytes:
        """The handshake."""
        self.is_open = True
        syn = self._segment(0, _SYN, b"", time_ns, comment)
        self._next[0] = self._next[0] + 1 & _MASK
        synack = self._segment(1, _SYN | _ACK, b"", time_ns)
        self._next[1] = self._next[1] + 1 & _MASK
        return syn + synack + self._segment(0, _ACK, b"", time_ns)

    def refused(self, time_ns: int, comment: Comment = "") -> bytes:
        """An attempt that was answered with a RST."""
        syn = self._segment(0, _SYN, b"", time_ns, comment)
        self._next[0] = self._next[0] + 1 & _MASK
        self.is_over = True
        return syn + self._segment(1, _RST | _ACK, b"", time_ns)

    def data(self, side: Side, data: bytes, time_ns: int, comment: Comment = "") -> bytes:
        """Bytes that `side` sent, and the ACK of them; nothing after its end, since nobody got that."""
        if self._finished[side] or self.is_over:
            return b""
        if len(data) <= MAX_SEGMENT_BYTES:
            return self._sent(side, data, time_ns, comment)
        pieces = [data[at : at + MAX_SEGMENT_BYTES] for at in range(0, len(data), MAX_SEGMENT_BYTES)]
        sent = [self._sent(side, piece, time_ns, "" if at else comment) for at, piece in enumerate(pieces)]
        return b"".join(sent)

    def missed(self, side: Side, count: int) -> None:
        """`side` sent `count` bytes that are not in the recording: readers will see a gap."""
        self._next[side] = self._next[side] + count & _MASK

    def note(self, side: Side, time_ns: int, comment: Comment) -> bytes:
        """A bare ACK that carries a comment."""
        return self._segment(side, _ACK, b"", time_ns, comment)

    def fin(self, side: Side, time_ns: int, comment: Comment = "") -> bytes:
        """The end of what `side` sends, and the ACK of it."""
        if self._finished[side] or self.is_over:
            return b""
        self._finished[side] = True
        self.is_over = all(self._finished)
        end = self._segment(side, _FIN | _ACK, b"", time_ns, comment)
        self._next[side] = self._next[side] + 1 & _MASK
        return end + self._segment(side ^ 1, _ACK, b"", time_ns)

    def rst(self, side: Side, time_ns: int, comment: Comment = "") -> bytes:
        """The end of everything, by `side`."""
        if self.is_over:
            return b""
        self.is_over = True
        return self._segment(side, _RST | _ACK, b"", time_ns, comment)

    def _sent(self, side: int, data: bytes, time_ns: int, comment: Comment) -> bytes:
        segment = self._segment(side, _PSH | _ACK, data, time_ns, comment)
        self._next[side] = self._next[side] + len(data) & _MASK
        return segment + self._segment(side ^ 1, _ACK, b"", time_ns)

    def _segment(self, side: int, flags: int, data: bytes, time_ns: int, comment: Comment = "") -> bytes:
        ack = self._next[side ^ 1] if flags & _ACK else 0
        frame = self._ways[side].frame(self._next[side], ack, flags, data)
        return pcapngout.packet(self._interface, time_ns, frame, comment=comment)


class _Way:
    """One direction: everything of its headers that stays the same, added up beforehand for the checksums."""

    def __init__(self, source: Endpoint, destination: Endpoint, side: int) -> None:
        addresses = [ip_address(end.address.partition("%")[0]) for end in (source, destination)]
        if {address.version for address in addresses} == {4, 6}:
            addresses = [ip_address(f"::ffff:{one}") if one.version == 4 else one for one in addresses]
        self._is_v4 = addresses[0].version == 4
        ends = b"".join(address.packed for address in addresses)
        ports = struct.pack("!HH", source.port, destination.port)
        hardware = _HARDWARE[side ^ 1] + _HARDWARE[side]
        self._tcp_sum = (int.from_bytes(ends + ports) + 6 + _NO_OPTIONS + _WINDOW) % 0xFFFF
        self._ip_sum = (0x4500 + 0x4000 + 0x4006 + int.from_bytes(ends)) % 0xFFFF
        self._before = hardware + (b"\x08\x00\x45\x00" if self._is_v4 else b"\x86\xdd\x60\x00\x00\x00")
        self._between = b"\x00\x00\x40\x00\x40\x06" if self._is_v4 else b"\x06\x40"  # up to the addresses
        self._after = ends + ports
        self._bare = self._head(20)

    def frame(self, seq: int, ack: int, flags: int, data: bytes) -> bytes:
        """A whole Ethernet frame."""
        count = len(data)
        total = self._tcp_sum + 20 + count + seq + ack + flags
        if not count:
            return self._bare + _TCP.pack(seq, ack, _NO_OPTIONS | flags, _WINDOW, _folded(total), 0)
        words = int.from_bytes(data) % 0xFFFF
        total += words << 8 if count & 1 else words
        tcp = _TCP.pack(seq, ack, _NO_OPTIONS | flags, _WINDOW, _folded(total), 0)
        return b"".join((self._head(20 + count), tcp, data))

    def _head(self, size: int) -> bytes:
        """Ethernet, IP and the ports, around `size` bytes of TCP."""
        if not self._is_v4:
            return b"".join((self._before, _SIZE.pack(size), self._between, self._after))
        whole = size + 20
        fields = _SIZE_AND_SUM.pack(whole, self._between, _folded(self._ip_sum + whole))
        return b"".join((self._before, fields, self._after))


def _folded(total: int) -> int:
    """The Internet checksum of 16-bit words that were added up in any way: 2**16 is 1 modulo 65,535."""
    return 0xFFFF - (total % 0xFFFF or 0xFFFF)
