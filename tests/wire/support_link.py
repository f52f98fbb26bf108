"""What a link decoder makes of packets, row by row; extension headers and fragments for it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from support_packets import CSMS, STATION, block, ipv4, ipv6, tcp

from ocppscope.model import Endpoint
from ocppscope.wire.link import ACK, PSH, LinkDecoder, Segments, endpoints

PAYLOAD = b"GET /ocpp/CP1 HTTP/1.1\r\n"
BODY = tcp(50_000, 9000, 0xFFFFFFF0, 77, PSH | ACK, PAYLOAD)
STATION6, CSMS6 = "fd00::1", "fd00::2"
FOUR = ipv4(STATION, CSMS, BODY)
SIX = ipv6(STATION6, CSMS6, BODY)
JUNK = b"\x45\x00\x81\x00" * 3  # looks like tags and like IP


class Row(NamedTuple):
    """One segment."""

    packet: int
    source: Endpoint
    destination: Endpoint
    seq: int
    ack: int
    flags: int
    payload: bytes
    missing: int


def rows(segments: Segments) -> list[Row]:
    found = []
    names = ("packet", "seq", "ack", "flags", "ip", "payload", "length", "missing")
    columns = [getattr(segments, name).tolist() for name in names]
    for packet, seq, ack, flags, ip, start, length, missing in zip(*columns, strict=True):
        payload = bytes(segments.data[start : start + length])
        assert len(payload) == length >= 0
        assert missing >= 0
        found.append(Row(packet, *endpoints(segments.data, ip), seq, ack, flags, payload, missing))
    return found


def decode(
    packets: Sequence[bytes], linktype: int | Sequence[int] = 1, *, lengths: Sequence[int] | None = None
) -> list[Row]:
    """The segments of packets between junk, which must be the same as without it."""
    found = rows(LinkDecoder(1).decode(block(packets, linktype, lengths=lengths)))
    assert rows(LinkDecoder(1).decode(block(packets, linktype, lengths=lengths, around=JUNK))) == found
    return found


def only(packet: bytes, linktype: int = 1, length: int | None = None) -> Row:
    found = decode([packet], linktype, lengths=None if length is None else [length])
    assert len(found) == 1
    return found[0]


def u16(*words: int) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)


def hop_by_hop(following: int, more: int = 0) -> bytes:
    return bytes([following, more, 1, 4 + 8 * more]) + bytes(4 + 8 * more)


def routing(following: int) -> bytes:
    return bytes([following, 2, 2, 1]) + bytes(20)


def authentication(following: int, words: int = 4) -> bytes:
    return bytes([following, words]) + bytes(4 * (words + 2) - 2)


def fragment_header(following: int, start: int, more: bool, ident: int = 1) -> bytes:
    return bytes([following, 0]) + u16(start | more) + ident.to_bytes(4, "big")


def split4(packet: bytes, size: int, *, ident: int = 7) -> list[bytes]:
    """Fragments of an IPv4 datagram whose header has 20 bytes."""
    source, destination = (str(ipaddress.IPv4Address(packet[at : at + 4])) for at in (12, 16))
    body = packet[20:]
    return [
        ipv4(
            source,
            destination,
            body[at : at + size],
            ident=ident,
            fragment=at >> 3 | (0x2000 if at + size < len(body) else 0),
        )
        for at in range(0, len(body), size)
    ]


def split6(body: bytes, size: int, *, ident: int = 7, following: int = 6) -> list[bytes]:
    """Fragments of an IPv6 datagram; `following` is the protocol of what is split."""
    return [
        ipv6(
            STATION6,
            CSMS6,
            fragment_header(following, at, at + size < len(body), ident) + body[at : at + size],
            following=44,
        )
        for at in range(0, len(body), size)
    ]


LONG = bytes(range(256)) * 4
LONG_BODY = tcp(50_000, 9000, 5, 6, PSH | ACK, LONG)
FOURS = split4(ipv4(STATION, CSMS, LONG_BODY), 400)
SIXES = split6(LONG_BODY, 400)
