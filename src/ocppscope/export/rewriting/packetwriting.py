"""Packets of a connection, made anew: the bytes of the new stream in the segments of the old one.

Everything of a packet is either computed here (sequence numbers, lengths, checksums, addresses), or copied since it
says nothing of anybody (ports, flags, windows, times of TCP); its payload always comes from the new stream.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ocppscope.export.rewriting.blocks import Packet
from ocppscope.export.rewriting.datagrams import MAX_DATAGRAM, TCP_BYTES, ip_header, ip_parts, tcp_segment
from ocppscope.export.rewriting.links import link_header
from ocppscope.wire.link import ACK, FIN, PSH, SYN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.export.rewriting.packets import Found
    from ocppscope.export.rewriting.redacting import Redacting
    from ocppscope.export.rewriting.streams import Course, Way
    from ocppscope.model import PacketBlock

MAX_ADDRESSES = 1 << 14
"""Addresses whose pseudonyms are remembered."""
_END, _NOTHING, _SACK = 0, 1, 5
_KEPT_OPTIONS = frozenset({2, 3, 4, 8})  # size, window scale, SACK permitted, time stamps


class PacketWriter:
    """Makes the packets of an export."""

    def __init__(self, redactor: Redacting) -> None:
        self._redactor = redactor
        self._address = lru_cache(MAX_ADDRESSES)(self._pseudonym)
        self._mac = lru_cache(MAX_ADDRESSES)(redactor.mac)

    def packets(self, found: Found, course: Course, block: PacketBlock, comments: list[str]) -> Iterator[Packet]:
        """What a captured packet becomes; more than one where it has grown beyond what IP can say."""
        way, other = course.ways[found.direction], course.ways[1 - found.direction]
        syn = bool(found.flags & SYN)
        offset = way.numbers.offset(found.seq + syn)
        start, held, stop = (way.map.at(offset + count) for count in (0, found.length, found.length + found.missing))
        payload = way.new.read(start, held)
        if found.packet in course.conflicts:
            payload = bytes(one ^ 1 for one in payload)
        ack = _acknowledged(found.ack, other) if found.flags & ACK else found.ack
        options = _options(_option_bytes(found, block), other)
        linktype, prefix = link_header(found, block, self._mac)
        header, source, destination = ip_parts(found)
        source, destination = self._address(source), self._address(destination)
        time_ns = self._redactor.time(int(block.time_ns[found.at]))
        tcp = bytes(found.data[found.tcp : found.tcp + TCP_BYTES])
        most = MAX_DATAGRAM - len(header) - TCP_BYTES - len(options)
        for at in range(0, max(len(payload), 1), most):
            piece = payload[at : at + most]
            last = at + most >= len(payload)
            flags = found.flags if last else found.flags & ~(FIN | PSH)
            seq = way.numbers.seq(start + at) if not syn or at else way.numbers.seq(start - 1)
            words = _tcp_header(tcp, seq, ack, flags & ~SYN if at else flags, options)
            segment = tcp_segment(words, source, destination, piece)
            missing = stop - held if last else 0
            data = prefix + ip_header(header, source, destination, len(segment) + missing) + segment
            yield Packet(time_ns, linktype, data, len(data) + missing, comments if last else [])

    def _pseudonym(self, address: bytes) -> bytes:
        """Of the same family, whatever the redactor says."""
        new = ip_address(self._redactor.address(str(ip_address(address)))).packed
        return new if len(new) == len(address) else bytes(len(address))


def _acknowledged(ack: int, other: Way) -> int:
    return other.numbers.seq(other.map.at(other.numbers.offset(ack)))


def _tcp_header(header: bytes, seq: int, ack: int, flags: int, options: bytes) -> bytes:
    words = (TCP_BYTES + len(options)) // 4
    high = words << 4 | header[12] & 0x0F
    numbers = seq.to_bytes(4, "big") + ack.to_bytes(4, "big")
    return header[:4] + numbers + bytes([high, flags & 0xFF]) + header[14:18] + b"\0\0" + options


def _option_bytes(found: Found, block: PacketBlock) -> bytes:
    """The options; none of those of which a part was not captured."""
    begin, stop = found.tcp + TCP_BYTES, found.payload
    known = found.data is block.data or found.ip < len(block.data)
    if known and stop <= int(block.offsets[found.at] + block.caplen[found.at]):
        return bytes(found.data[begin:stop])
    return bytes([_NOTHING]) * (stop - begin)


def _options(options: bytes, other: Way) -> bytes:
    """Options as they may be shared: ranges of SACK moved, unknown ones overwritten (RFC 9293 §3.1, RFC 2018)."""
    new, at = bytearray(bytes([_NOTHING]) * len(options)), 0
    while at + 1 < len(options) and options[at] != _END:
        kind, size = options[at], options[at + 1]
        if kind == _NOTHING:
            at += 1
            continue
        if size < 2 or at + size > len(options):
            break
        if kind in _KEPT_OPTIONS:
            new[at : at + size] = options[at : at + size]
        elif kind == _SACK and (size - 2) % 8 == 0:
            edges = (int.from_bytes(options[one : one + 4]) for one in range(at + 2, at + size, 4))
            moved = b"".join(_acknowledged(edge, other).to_bytes(4, "big") for edge in edges)
            new[at : at + size] = options[at : at + 2] + moved
        at += size
    return bytes(new)
