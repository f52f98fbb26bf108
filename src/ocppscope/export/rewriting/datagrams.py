"""IP and TCP headers with the lengths and checksums of what they carry now (RFC 791, 8200, 9293, 1071).

Bytes in, bytes out; what the numbers in a header mean is the business of others.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocppscope.export.rewriting.packets import Found

MAX_DATAGRAM = 0xFFFF
"""Bytes that an IPv4 header can count, and an IPv6 header behind itself."""
IPV4_BYTES, IPV6_BYTES, TCP_BYTES = 20, 40, 20
_TCP = 6
_DONT_FRAGMENT = 0x4000
_CHECKSUM = 16  # where it is in a TCP header
_SIZE, _SUM = struct.Struct("!H"), struct.Struct("!H")


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): 2**16 is 1 modulo 65,535."""
    total = int.from_bytes(data if len(data) % 2 == 0 else data + b"\0") % 0xFFFF
    return 0xFFFF - (total or (0xFFFF if any(data) else 0))


def ip_header(header: bytes, source: bytes, destination: bytes, size: int) -> bytes:
    """A header like `header`, unfragmented and without extensions, around `size` bytes of TCP."""
    if len(source) == 16:
        return header[:4] + _SIZE.pack(min(size, MAX_DATAGRAM)) + bytes([_TCP]) + header[7:8] + source + destination
    options = b"\x01" * (len(header) - IPV4_BYTES)  # no operation: options hold addresses (RFC 791 §3.1)
    total = min(len(header) + size, MAX_DATAGRAM)
    flags = int.from_bytes(header[6:8]) & _DONT_FRAGMENT
    fields = header[:2] + _SIZE.pack(total) + header[4:6] + _SIZE.pack(flags) + header[8:9] + bytes([_TCP])
    total_sum = checksum(fields + b"\0\0" + source + destination + options)
    return fields + _SUM.pack(total_sum) + source + destination + options


def tcp_segment(header: bytes, source: bytes, destination: bytes, payload: bytes) -> bytes:
    """A TCP header, and what it carries, with the right checksum."""
    bare = header[:_CHECKSUM] + b"\0\0" + header[_CHECKSUM + 2 :] + payload
    pseudo = source + destination + struct.pack("!IHBB", len(bare), 0, 0, _TCP)
    return bare[:_CHECKSUM] + _SUM.pack(checksum(pseudo + bare)) + bare[_CHECKSUM + 2 :]


def whole_datagram(found: Found) -> bytes:
    """The datagram that fragments have made, in one piece; its TCP checksum is the one that was captured."""
    header, source, destination = ip_parts(found)
    stop = found.payload + found.length
    tcp = bytes(found.data[found.tcp : stop])
    return ip_header(header, source, destination, len(tcp) + found.missing) + tcp


def ip_parts(found: Found) -> tuple[bytes, bytes, bytes]:
    """The IP header in front of a segment without extensions, source and destination address."""
    data, ip = found.data, found.ip
    if data[ip] >> 4 == 4:
        header = bytes(data[ip : ip + (data[ip] & 15) * 4])
        return header, header[12:16], header[16:20]
    header = bytes(data[ip : ip + IPV6_BYTES])
    return header, header[8:24], header[24:40]
