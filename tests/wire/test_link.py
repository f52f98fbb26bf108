"""Packets of every link layer in, TCP segments out; scapy and tshark read the same packets."""

from __future__ import annotations

import csv
import ipaddress
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Padding, Raw

from ocppscope.capture.pcapfile import open_captures
from ocppscope.errors import CaptureError
from ocppscope.model import Endpoint, PacketBlock
from ocppscope.wire import link
from ocppscope.wire.link import ACK, FIN, PSH, SYN, LinkDecoder, Segments, endpoints
from support_packets import CSMS, STATION, block, ethernet, ipv4, ipv6, tcp

SHARED = Path(__file__).parents[3] / "shared" / "captures" / "tcp"
PAYLOAD = b"GET /ocpp/CP1 HTTP/1.1\r\n"
BODY = tcp(50_000, 9000, 0xFFFFFFF0, 77, PSH | ACK, PAYLOAD)
STATION6, CSMS6 = "fd00::1", "fd00::2"
FOUR = ipv4(STATION, CSMS, BODY)
SIX = ipv6(STATION6, CSMS6, BODY)
ANSWER = ipv4(CSMS, STATION, tcp(9000, 50_000, 77, 3, ACK, b"HTTP/1.1 101"))
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


# --- link layers ----------------------------------------------------------------------------------------------------


def u16(*words: int) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)


def tags(*kinds: int, then: int = 0x0800, body: bytes = FOUR) -> bytes:
    """An Ethernet packet with VLAN tags of these kinds."""
    following = (*kinds[1:], then)
    return ethernet(kinds[0], b"".join(u16(100 + i, kind) for i, kind in enumerate(following)) + body)


def labels(count: int, body: bytes) -> bytes:
    """MPLS labels; the last one has the bottom-of-stack bit."""
    return b"".join((i << 12 | (i == count) << 8 | 64).to_bytes(4, "big") for i in range(1, count + 1)) + body


def nflog(body: bytes, *, order: Sequence[int] = (1, 10, 9)) -> bytes:
    values = {1: b"\x08\x00\x03\x00", 10: b"prefix\x00", 9: body}
    out = b"\x02\x00" + u16(0)
    for kind in order:
        value = values[kind]
        out += (len(value) + 4).to_bytes(2, "little") + kind.to_bytes(2, "little") + value + bytes(-len(value) % 4)
    return out


def pktap(inner: int, body: bytes, *, header: int = 108) -> bytes:
    words = b"".join(number.to_bytes(4, "little") for number in (header, 1, inner))
    return words + bytes(header - 12) + body


def wifi(body: bytes, *, control: int = 0x0108, more: int = 0, snap: bytes = b"\xaa\xaa\x03\x00\x00\x00") -> bytes:
    return control.to_bytes(2, "little") + bytes(22 + more) + snap + u16(0x0800) + body


def radiotap(body: bytes, *, header: int = 24) -> bytes:
    return b"\x00\x00" + header.to_bytes(2, "little") + bytes(header - 4) + body


SNAP = b"\xaa\xaa\x03\x00\x00\x00"
PPPOE = b"\x11\x00\x00\x07" + u16(len(FOUR) + 2)
LOW = b"\x02\x00\x00\x00"  # AF_INET of the capturing machine's byte order

LAYERS: dict[str, tuple[int, bytes]] = {
    "Ethernet, IPv4": (1, ethernet(0x0800, FOUR)),
    "Ethernet, IPv6": (1, ethernet(0x86DD, SIX)),
    "Ethernet, padded": (1, ethernet(0x0800, FOUR, pad=True)),
    "VLAN": (1, tags(0x8100)),
    "VLAN, IPv6": (1, tags(0x8100, then=0x86DD, body=SIX)),
    "QinQ": (1, tags(0x88A8, 0x8100)),
    "QinQ, 0x9100": (1, tags(0x9100, 0x8100)),
    "QinQ, 0x9200": (1, tags(0x9200, 0x8100)),
    "three tags": (1, tags(0x88A8, 0x8100, 0x8100)),
    "four tags": (1, tags(0x88A8, 0x88A8, 0x8100, 0x8100)),
    "MPLS": (1, ethernet(0x8847, labels(1, FOUR))),
    "MPLS, three labels": (1, ethernet(0x8847, labels(3, FOUR))),
    "MPLS, four labels": (1, ethernet(0x8847, labels(4, FOUR))),
    "MPLS multicast, IPv6": (1, ethernet(0x8848, labels(2, SIX))),
    "MPLS in a VLAN": (1, tags(0x8100, then=0x8847, body=labels(2, FOUR))),
    "PPPoE": (1, ethernet(0x8864, PPPOE + u16(0x0021) + FOUR)),
    "PPPoE, IPv6": (1, ethernet(0x8864, PPPOE + u16(0x0057) + SIX)),
    "PPPoE, MPLS": (1, ethernet(0x8864, PPPOE + u16(0x0281) + labels(2, FOUR))),
    "PPPoE in a VLAN": (1, tags(0x8100, then=0x8864, body=PPPOE + u16(0x0021) + FOUR)),
    "802.3 with SNAP": (1, ethernet(8 + len(FOUR), SNAP + u16(0x0800) + FOUR)),
    "802.3 with SNAP, IPv6": (1, ethernet(8 + len(SIX), SNAP + u16(0x86DD) + SIX)),
    "SNAP in a VLAN": (1, tags(0x8100, then=8 + len(FOUR), body=SNAP + u16(0x0800) + FOUR)),
    "a VLAN in SNAP": (1, ethernet(100, SNAP + u16(0x8100, 5, 0x0800) + FOUR)),
    "SLL": (113, bytes(14) + u16(0x0800) + FOUR),
    "SLL, IPv6": (113, bytes(14) + u16(0x86DD) + SIX),
    "SLL, VLAN": (113, bytes(14) + u16(0x8100, 7, 0x0800) + FOUR),
    "SLL2": (276, u16(0x0800) + bytes(18) + FOUR),
    "SLL2, IPv6": (276, u16(0x86DD) + bytes(18) + SIX),
    "SLL2, QinQ": (276, u16(0x88A8) + bytes(18) + u16(7, 0x8100, 8, 0x0800) + FOUR),
    "NULL, little-endian": (0, LOW + FOUR),
    "NULL, big-endian": (0, LOW[::-1] + FOUR),
    **{f"NULL, IPv6 family {family}": (0, family.to_bytes(4, "little") + SIX) for family in (10, 24, 28, 30)},
    "LOOP": (108, LOW[::-1] + FOUR),
    "LOOP, IPv6": (108, b"\x00\x00\x00\x18" + SIX),
    **{f"RAW {number}": (number, FOUR) for number in (12, 14, 101, 228)},
    **{f"RAW {number}, IPv6": (number, SIX) for number in (12, 14, 101, 229)},
    "PPP": (9, u16(0x0021) + FOUR),
    "PPP, IPv6": (9, u16(0x0057) + SIX),
    "PPP, address and control": (9, u16(0xFF03, 0x0021) + FOUR),
    "PPP, protocol in one byte": (9, b"\x21" + FOUR),
    "PPP, address, control and protocol in one byte": (9, b"\xff\x03\x57" + SIX),
    "PPP over serial": (50, u16(0xFF03, 0x0021) + FOUR),
    "C_HDLC": (104, u16(0x0F00, 0x0800) + FOUR),
    "C_HDLC, IPv6": (104, u16(0x8F00, 0x86DD) + SIX),
    "NFLOG": (239, nflog(FOUR)),
    "NFLOG, IPv6": (239, nflog(SIX)),
    "NFLOG, payload first": (239, nflog(FOUR, order=(9, 1, 10))),
    "PKTAP, raw": (258, pktap(12, FOUR)),
    "PKTAP, Ethernet": (258, pktap(1, ethernet(0x0800, FOUR))),
    "PKTAP, loopback": (258, pktap(0, LOW + FOUR)),
    "PKTAP, longer header": (258, pktap(108, LOW + SIX, header=156)),
    "802.11": (105, wifi(FOUR)),
    "802.11, QoS": (105, wifi(FOUR, control=0x0188, more=2)),
    "802.11, four addresses": (105, wifi(FOUR, control=0x0308, more=6)),
    "802.11, four addresses and QoS": (105, wifi(FOUR, control=0x0388, more=8)),
    "radiotap": (127, radiotap(wifi(FOUR))),
    "radiotap, longer header": (127, radiotap(wifi(FOUR, control=0x0288, more=2), header=56)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    linktype, packet = LAYERS[name]
    row = only(packet, linktype)
    ends = (Endpoint(STATION, 50_000), Endpoint(CSMS, 9000))
    ends6 = (Endpoint(STATION6, 50_000), Endpoint(CSMS6, 9000))
    assert (row.source, row.destination) in (ends, ends6)
    assert row[3:] == (0xFFFFFFF0, 77, PSH | ACK, PAYLOAD, 0)


OTHERS: dict[str, tuple[int, bytes]] = {
    "ARP": (1, ethernet(0x0806, FOUR)),
    "LLDP": (1, ethernet(0x88CC, FOUR)),
    "PPPoE discovery": (1, ethernet(0x8863, FOUR)),
    "PPPoE, LCP": (1, ethernet(0x8864, PPPOE + u16(0xC021) + FOUR)),
    "five tags": (1, tags(0x88A8, 0x88A8, 0x8100, 0x8100, 0x8100)),
    "five labels": (1, ethernet(0x8847, labels(5, FOUR))),
    "MPLS pseudowire": (1, ethernet(0x8847, labels(1, bytes(4) + ethernet(0x0800, FOUR)))),
    "802.3 without SNAP": (1, ethernet(60, b"\x42\x42\x03" + FOUR)),
    "SLL of CAN": (113, bytes(14) + u16(0x000C) + FOUR),
    "UDP": (1, ethernet(0x0800, ipv4(STATION, CSMS, BODY, protocol=17))),
    "UDP over IPv6": (1, ethernet(0x86DD, ipv6(STATION6, CSMS6, BODY, following=17))),
    "IP of another version": (1, ethernet(0x0800, b"\x55" + FOUR[1:])),
    "an IPv4 header of 16 bytes": (1, ethernet(0x0800, b"\x44" + FOUR[1:])),
    "a TCP header of 16 bytes": (1, ethernet(0x0800, ipv4(STATION, CSMS, BODY[:12] + b"\x40" + BODY[13:]))),
    "a TCP header longer than its datagram": (
        1,
        ethernet(0x0800, ipv4(STATION, CSMS, BODY[:12] + b"\xf0" + BODY[13:])),
    ),
    "a total length within the header": (1, ethernet(0x0800, ipv4(STATION, CSMS, BODY, total=12))),
    "802.11, protected": (105, wifi(FOUR, control=0x4108)),
    "802.11, management": (105, wifi(FOUR, control=0x0080)),
    "802.11, no SNAP": (105, wifi(FOUR, snap=bytes(6))),
    "NFLOG without payload": (239, nflog(FOUR, order=(1, 10))),
    "no interface": (0xFFFF, FOUR),
    "USB": (220, FOUR),
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_segment(name: str) -> None:
    linktype, packet = OTHERS[name]
    assert decode([packet], linktype) == []


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("ARP", "not_ip"),
        ("five tags", "not_ip"),
        ("no interface", "not_ip"),
        ("UDP", "not_tcp"),
        ("UDP over IPv6", "not_tcp"),
        ("a TCP header of 16 bytes", "cut"),
        ("a total length within the header", "cut"),
    ],
)
def test_what_is_no_segment_is_counted(name: str, counted: str) -> None:
    decoder = LinkDecoder(1)
    linktype, packet = OTHERS[name]
    decoder.decode(block([packet, packet], linktype))
    stats = decoder.stats
    assert {c for c in ("not_ip", "not_tcp", "cut", "fragments") if getattr(stats, c)} == {counted}
    assert getattr(stats, counted) == 2
    assert stats.unknown_links == ({0xFFFF: 2} if linktype == 0xFFFF else {})


def test_bounds_of_tags() -> None:
    assert link.MAX_TAGS == 4
    assert len(decode([LAYERS["four tags"][1]])) == 1
    assert decode([OTHERS["five tags"][1]]) == []


# --- mixtures -------------------------------------------------------------------------------------------------------


def test_link_types_may_be_mixed_in_one_block() -> None:
    named = [*LAYERS.values(), *OTHERS.values()] * 2
    found = decode([packet for _, packet in named], [linktype for linktype, _ in named])
    assert len(found) == 2 * len(LAYERS)
    assert [row.packet for row in found] == sorted(row.packet for row in found)
    assert {row.payload for row in found} == {PAYLOAD}


def test_packets_without_bytes() -> None:
    assert decode([b""] * 3, [1, 0xFFFF, 101]) == []
    assert [row.packet for row in decode([b"", LAYERS["VLAN"][1], b""])] == [1]
    for linktype in sorted({linktype for linktype, _ in LAYERS.values()}):
        assert decode([b""], linktype) == []


def test_a_block_without_packets() -> None:
    assert decode([]) == []


def keys_of(*packets: bytes, decoder: LinkDecoder | None = None) -> list[tuple[int, int]]:
    segments = (decoder or LinkDecoder(1)).decode(block([ethernet(0x0800, packet) for packet in packets]))
    return list(zip(segments.key.tolist(), segments.direction.tolist(), strict=True))


def test_both_directions_have_one_key() -> None:
    there, back, again = keys_of(FOUR, ANSWER, FOUR)
    assert there == again
    assert there[0] == back[0]
    assert there[1] + back[1] == 1


def test_directions_are_stable_over_blocks_and_address_families() -> None:
    decoder = LinkDecoder()
    back6 = ipv6(CSMS6, STATION6, tcp(9000, 50_000, data=b"x"))
    packets = [ethernet(0x0800, FOUR), ethernet(0x0800, ANSWER), ethernet(0x86DD, SIX), ethernet(0x86DD, back6)]
    whole = decoder.decode(block(packets))
    for index, packet in enumerate(packets):
        alone = decoder.decode(block([packet]))
        assert (alone.key[0], alone.direction[0]) == (whole.key[index], whole.direction[index])
    assert whole.key[0] == whole.key[1] != whole.key[2] == whole.key[3]
    assert whole.direction[2] != whole.direction[3]


def test_a_flow_in_fragments_or_with_extension_headers_is_the_same_flow() -> None:
    long = ipv4(STATION, CSMS, tcp(50_000, 9000, data=bytes(100)))
    decoder = LinkDecoder()
    expected = keys_of(FOUR, decoder=decoder)
    assert keys_of(*split4(long, 64), decoder=decoder) == expected
    extended = ipv6(STATION6, CSMS6, hop_by_hop(6) + BODY, following=0)
    plain, odd = (decoder.decode(block([ethernet(0x86DD, packet)])) for packet in (SIX, extended))
    assert (plain.key[0], plain.direction[0]) == (odd.key[0], odd.direction[0])


def test_other_flows_have_other_keys() -> None:
    packets = [
        *(ipv4(f"10.0.{i}.1", CSMS, tcp(50_000, 9000)) for i in range(50)),
        *(ipv4(STATION, CSMS, tcp(50_001 + i, 9000)) for i in range(50)),
        *(ipv4(STATION, CSMS, tcp(50_000, 9001 + i)) for i in range(50)),
        ipv4(STATION, CSMS, tcp(9000, 50_000)),  # ports swapped, addresses not
    ]
    assert len({key for key, _ in keys_of(*packets)}) == len(packets)


def test_keys_differ_between_runs() -> None:
    assert keys_of(FOUR, decoder=LinkDecoder()) != keys_of(FOUR, decoder=LinkDecoder())
    assert keys_of(FOUR, decoder=LinkDecoder(5)) == keys_of(FOUR, decoder=LinkDecoder(5))


# --- lengths --------------------------------------------------------------------------------------------------------


def test_padding_is_not_payload() -> None:
    bare = ipv4(STATION, CSMS, tcp(50_000, 9000))
    assert only(ethernet(0x0800, bare, pad=True))[6:] == (b"", 0)
    assert only(ethernet(0x0800, ipv4(STATION, CSMS, tcp(1, 2, data=b"abc")) + b"trailer"))[6:] == (b"abc", 0)
    short = ipv6(STATION6, CSMS6, tcp(1, 2, data=b"abc"))
    assert only(ethernet(0x86DD, short + b"frame check"))[6:] == (b"abc", 0)


@pytest.mark.parametrize("options", [b"\x01\x01\x01\x00", b"\x83\x07\x04\x0a\x00\x00\x01\x00" * 5])
def test_ipv4_options(options: bytes) -> None:
    row = only(ipv4(STATION, CSMS, BODY, options=options), 101)
    assert (row.source, row.payload, row.missing) == (Endpoint(STATION, 50_000), PAYLOAD, 0)


def test_tcp_options() -> None:
    row = only(ipv4(STATION, CSMS, tcp(1, 2, data=b"abc", options=b"\x01" * 40)), 101)
    assert row[6:] == (b"abc", 0)


CUT_LAYERS = {name: value for name, value in LAYERS.items() if value[1].endswith(PAYLOAD)}


@pytest.mark.parametrize("name", CUT_LAYERS)
def test_cut_at_every_byte(name: str) -> None:
    """A cut in the payload is told, one in a header gives nothing, and nothing behind the cut is read."""
    linktype, packet = CUT_LAYERS[name]
    for size in range(len(packet)):
        held = size - (len(packet) - len(PAYLOAD))
        found = decode([packet[:size]], linktype, lengths=[len(packet)])
        if held >= 0:
            assert [row[6:] for row in found] == [(PAYLOAD[:held], len(PAYLOAD) - held)]
        else:
            assert found == []


@pytest.mark.parametrize("size", range(40, 61))
def test_cut_in_tcp_options(size: int) -> None:
    """The ports and the sequence number are there: what is missing is the whole payload."""
    packet = ipv4(STATION, CSMS, tcp(1, 2, 5, data=b"abc", options=b"\x01" * 20))
    assert only(packet[:size], 101, len(packet))[3:] == (5, 0, ACK, b"", 3)


@pytest.mark.parametrize("held", [0, 1, 2999, 3000])
@pytest.mark.parametrize("version", [4, 6])
def test_a_length_of_zero_is_one_of_segmentation_offload(version: int, held: int) -> None:
    segment = tcp(1, 2, 9, data=bytes(3000))
    packet = (
        ethernet(0x0800, ipv4(STATION, CSMS, segment, total=0))
        if version == 4
        else ethernet(0x86DD, ipv6(STATION6, CSMS6, segment, length=0))
    )
    size = len(packet) - 3000 + held
    assert only(packet[:size], length=len(packet))[6:] == (bytes(held), 3000 - held)


def test_a_length_on_the_wire_below_the_captured_one_is_survived() -> None:
    packet = ethernet(0x0800, FOUR)
    assert only(packet, length=5).payload == PAYLOAD
    offloaded = ethernet(0x0800, ipv4(STATION, CSMS, BODY, total=0))
    assert decode([offloaded], lengths=[20]) == []


def test_a_total_length_beyond_the_packet_is_missing() -> None:
    packet = ethernet(0x0800, ipv4(STATION, CSMS, BODY, total=len(FOUR) + 7))
    assert only(packet)[6:] == (PAYLOAD, 7)


# --- IPv6 extension headers -----------------------------------------------------------------------------------------


def hop_by_hop(following: int, more: int = 0) -> bytes:
    return bytes([following, more, 1, 4 + 8 * more]) + bytes(4 + 8 * more)


def routing(following: int) -> bytes:
    return bytes([following, 2, 2, 1]) + bytes(20)


def authentication(following: int, words: int = 4) -> bytes:
    return bytes([following, words]) + bytes(4 * (words + 2) - 2)


def fragment_header(following: int, start: int, more: bool, ident: int = 1) -> bytes:
    return bytes([following, 0]) + u16(start | more) + ident.to_bytes(4, "big")


CHAINS: dict[str, tuple[int, bytes]] = {
    "hop-by-hop": (0, hop_by_hop(6)),
    "long hop-by-hop": (0, hop_by_hop(6, 3)),
    "routing": (43, routing(6)),
    "destination options": (60, hop_by_hop(6)),
    "mobility": (135, hop_by_hop(6)),
    "authentication": (51, authentication(6)),
    "authentication, 64 bits": (51, authentication(6, 2)),
    "atomic fragment": (44, fragment_header(6, 0, False)),
    "hop-by-hop, routing, destination": (0, hop_by_hop(43) + routing(60) + hop_by_hop(6)),
    "routing, atomic fragment": (43, routing(44) + fragment_header(6, 0, False)),
    "seven destination options": (60, hop_by_hop(60) * 6 + hop_by_hop(6)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_extension_headers(name: str) -> None:
    following, headers = CHAINS[name]
    packet = ipv6(STATION6, CSMS6, headers + BODY, following=following)
    row = only(ethernet(0x86DD, packet + b"padding"))
    assert (row.source, row.destination) == (Endpoint(STATION6, 50_000), Endpoint(CSMS6, 9000))
    assert row[3:] == (0xFFFFFFF0, 77, PSH | ACK, PAYLOAD, 0)


@pytest.mark.parametrize("name", CHAINS)
def test_extension_headers_cut_at_every_byte(name: str) -> None:
    following, headers = CHAINS[name]
    packet = ipv6(STATION6, CSMS6, headers + BODY, following=following)
    for size in range(len(packet)):
        held = size - (len(packet) - len(PAYLOAD))
        found = [row[6:] for row in decode([packet[:size]], 101, lengths=[len(packet)])]
        assert found == ([(PAYLOAD[:held], len(PAYLOAD) - held)] if held >= 0 else []), size


@pytest.mark.parametrize("held", [0, 1, 2999, 3000])
def test_a_jumbogram_cut_by_the_snap_length(held: int) -> None:
    packet = ipv6(STATION6, CSMS6, hop_by_hop(6) + tcp(1, 2, 9, data=bytes(3000)), following=0, length=0)
    assert only(packet[: len(packet) - 3000 + held], 101, len(packet))[6:] == (bytes(held), 3000 - held)


def test_extension_headers_are_bounded() -> None:
    def chain(count: int) -> bytes:
        headers = hop_by_hop(60) * (count - 1) + hop_by_hop(6)
        return ipv6(STATION6, CSMS6, headers + BODY, following=60)

    assert len(decode([chain(link.MAX_EXTENSIONS - 1)], 101)) == 1
    assert decode([chain(link.MAX_EXTENSIONS + 1)], 101) == []


@pytest.mark.parametrize("following", [17, 58, 59, 50, 139])
def test_other_protocols_behind_extension_headers(following: int) -> None:
    assert decode([ipv6(STATION6, CSMS6, hop_by_hop(following) + BODY, following=0)], 101) == []


# --- fragments ------------------------------------------------------------------------------------------------------

LONG = bytes(range(256)) * 4
LONG_BODY = tcp(50_000, 9000, 5, 6, PSH | ACK, LONG)


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


def split6(body: bytes, size: int, *, ident: int = 7, hosts: tuple[str, str] = (STATION6, CSMS6)) -> list[bytes]:
    return [
        ipv6(*hosts, fragment_header(6, at, at + size < len(body), ident) + body[at : at + size], following=44)
        for at in range(0, len(body), size)
    ]


FOURS = split4(ipv4(STATION, CSMS, LONG_BODY), 400)
SIXES = split6(LONG_BODY, 400)
FRAGMENTED = {"IPv4": FOURS, "IPv6": SIXES}


@pytest.mark.parametrize("version", FRAGMENTED)
def test_fragments_in_any_order(version: str) -> None:
    for order in permutations(FRAGMENTED[version]):
        found = decode(order, 101)
        assert [row[3:] for row in found] == [(5, 6, PSH | ACK, LONG, 0)]
        assert found[0].packet == len(order) - 1
        assert found[0].source.port == 50_000


@pytest.mark.parametrize("version", FRAGMENTED)
def test_a_missing_fragment_gives_nothing(version: str) -> None:
    pieces = FRAGMENTED[version]
    for absent in range(len(pieces)):
        assert decode([*pieces[:absent], *pieces[absent + 1 :]], 101) == []


@pytest.mark.parametrize("version", FRAGMENTED)
def test_fragments_over_blocks(version: str) -> None:
    decoder = LinkDecoder(1)
    found = [rows(decoder.decode(block([piece], 101))) for piece in FRAGMENTED[version]]
    assert [len(one) for one in found] == [0, 0, 1]
    assert found[2][0].payload == LONG
    assert not decoder._fragments._open
    assert decoder._fragments._held == 0


@pytest.mark.parametrize("version", FRAGMENTED)
def test_repeated_fragments_change_nothing(version: str) -> None:
    one, two, three = FRAGMENTED[version]
    assert [row.payload for row in decode([one, one, two, two, two, three], 101)] == [LONG]


def test_datagrams_are_told_apart_by_ident_and_addresses() -> None:
    others = [
        split4(ipv4(STATION, CSMS, tcp(1, 2, data=bytes([i]) * 1024)), 400, ident=7 + i) for i in range(1, 3)
    ]
    foreign = split4(ipv4("10.0.0.3", CSMS, tcp(1, 2, data=b"f" * 1024)), 400)
    mixed = [piece for pieces in zip(FOURS, *others, foreign, strict=True) for piece in pieces]
    assert [row.payload for row in decode(mixed, 101)] == [LONG, b"\x01" * 1024, b"\x02" * 1024, b"f" * 1024]
    six = [split6(tcp(1, 2, data=bytes([i]) * 1024), 400, ident=i) for i in range(3)]
    mixed = [piece for pieces in zip(*six, strict=True) for piece in pieces]
    assert [row.payload for row in decode(mixed, 101)] == [bytes([i]) * 1024 for i in range(3)]


def test_of_overlapping_fragments_the_one_that_starts_lower_wins() -> None:
    def piece(start: int, octets: bytes, more: bool) -> bytes:
        return ipv4(STATION, CSMS, octets, ident=9, fragment=start >> 3 | more << 13)

    head = tcp(1, 2, data=b"")
    first = piece(0, head + b"a" * 12, True)  # 0..32
    overlapping = piece(24, b"b" * 16, True)  # 24..40
    inside = piece(8, b"z" * 8, True)
    last = piece(40, b"c" * 8, False)
    for order in permutations([first, overlapping, inside, last]):
        assert [row.payload for row in decode(order, 101)][:1] == [b"a" * 12 + b"b" * 8 + b"c" * 8]


def test_of_two_fragments_with_one_start_the_first_wins() -> None:
    other = ipv4(STATION, CSMS, b"x" * 400, ident=7, fragment=FOURS[1][6] << 8 | FOURS[1][7])
    assert [row.payload for row in decode([FOURS[1], other, FOURS[0], FOURS[2]], 101)] == [LONG]


def test_fragments_of_other_protocols_give_nothing() -> None:
    udp = [bytes([*piece[:9], 17, *piece[10:]]) for piece in FOURS]
    assert decode(udp, 101) == []
    udp6 = [bytes([*piece[:40], 17, *piece[41:]]) for piece in SIXES]
    assert decode(udp6, 101) == []


def test_fragments_with_padding_and_options() -> None:
    padded = [ethernet(0x0800, piece + b"\xee" * 6) for piece in FOURS]
    assert [row.payload for row in decode(padded)] == [LONG]
    first = ipv4(STATION, CSMS, LONG_BODY[:400], ident=7, fragment=0x2000, options=b"\x01" * 8)
    assert [row.payload for row in decode([first, *FOURS[1:]], 101)] == [LONG]
    assert [row.payload for row in decode([FOURS[0], FOURS[2], FOURS[1]], 101)] == [LONG]


@pytest.mark.parametrize("version", FRAGMENTED)
def test_a_last_fragment_cut_by_the_snap_length_is_missing(version: str) -> None:
    one, two, three = FRAGMENTED[version]
    lengths = [len(one), len(two), len(three)]
    found = decode([one, two, three[:-10]], 101, lengths=lengths)
    assert [row[6:] for row in found] == [(LONG[:-10], 10)]


@pytest.mark.parametrize("version", FRAGMENTED)
def test_a_middle_fragment_cut_by_the_snap_length_is_a_hole(version: str) -> None:
    one, two, three = FRAGMENTED[version]
    lengths = [len(one), len(two), len(three)]
    assert decode([one, two[:-10], three], 101, lengths=lengths) == []


def test_fragments_are_counted() -> None:
    decoder = LinkDecoder(1)
    decoder.decode(block([*FOURS, *SIXES], 101))
    assert decoder.stats.fragments == 6


# --- bounds of reassembly -------------------------------------------------------------------------------------------


def first_fragment(ident: int, size: int = 1024, start: int = 0) -> bytes:
    return ipv4(STATION, CSMS, bytes(size), ident=ident, fragment=0x2000 | start >> 3)


def test_bytes_of_fragments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MAX_FRAGMENT_BYTES", 10_000)
    decoder = LinkDecoder(1)
    decoder.decode(block([FOURS[0], FOURS[1], *(first_fragment(100 + i) for i in range(50))], 101))
    held = sum(len(body) for pieces in decoder._fragments._open.values() for _, body, _ in pieces)
    assert held == decoder._fragments._held <= 10_000
    assert rows(decoder.decode(block([FOURS[2]], 101))) == []  # the oldest was given up


def test_datagrams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MAX_DATAGRAMS", 8)
    decoder = LinkDecoder(1)
    decoder.decode(block([*(first_fragment(100 + i) for i in range(50)), *FOURS[:2]], 101))
    assert len(decoder._fragments._open) == 8
    assert [row.payload for row in rows(decoder.decode(block([FOURS[2]], 101)))] == [LONG]


def test_fragments_of_a_datagram_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MAX_FRAGMENTS", 8)
    decoder = LinkDecoder(1)
    decoder.decode(block([first_fragment(5, 8, 8 * i) for i in range(100)], 101))
    assert len(next(iter(decoder._fragments._open.values()))) == 8


def test_tiny_fragments_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fragment costs more than its bytes: those of none at all must be bounded, too."""
    monkeypatch.setattr(link, "MAX_FRAGMENT_BYTES", 10_000)
    decoder = LinkDecoder(1)
    for ident in range(20):
        decoder.decode(block([first_fragment(ident, 0, 8 * i) for i in range(500)], 101))
    kept = sum(map(len, decoder._fragments._open.values()))
    assert kept <= 1000


# --- anything -------------------------------------------------------------------------------------------------------

LINKTYPES = sorted({linktype for linktype, _ in (*LAYERS.values(), *OTHERS.values())})
SEEDS = [packet for _, packet in (*LAYERS.values(), *OTHERS.values())] + FOURS + SIXES


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A packet of the tables, cut, with some bytes changed."""
    packet = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        packet[draw(st.integers(0, min(len(packet) - 1, 80)))] = draw(st.integers(0, 255))
    return bytes(packet[: draw(st.integers(0, len(packet)))] if draw(st.booleans()) else packet)


anything = st.lists(
    st.tuples(st.one_of(st.binary(max_size=120), damaged()), st.sampled_from(LINKTYPES), st.integers(0, 200)),
    max_size=8,
)


@settings(max_examples=300)
@given(anything, st.binary(max_size=4))
@example([(b"", 0xFFFF, 0)], b"")
def test_nothing_raises_and_nothing_outside_the_packets_is_read(
    packets: list[tuple[bytes, int, int]], around: bytes
) -> None:
    octets, linktypes = [p for p, _, _ in packets], [kind for _, kind, _ in packets]
    lengths = [len(p) + more for p, _, more in packets]
    made = block(octets, linktypes, lengths=lengths, around=around)
    decoder = LinkDecoder(1)
    segments = decoder.decode(made)
    found = rows(segments)
    for row, start in zip(found, segments.payload.tolist(), strict=True):
        assert 0 <= row.seq < 1 << 32
        if start < len(made.data) and segments.data is made.data:
            begin = int(made.offsets[row.packet])
            assert not row.payload or begin <= start <= start + len(row.payload) <= begin + len(octets[row.packet])
    elsewhere = block(octets, linktypes, lengths=lengths, around=JUNK)
    assert rows(LinkDecoder(1).decode(elsewhere)) == found
    assert [row.packet for row in found] == sorted(row.packet for row in found)
    assert set(segments.direction.tolist()) <= {0, 1}


@settings(max_examples=100)
@given(anything)
def test_blocks_may_be_cut_anywhere(packets: list[tuple[bytes, int, int]]) -> None:
    octets, linktypes = [p for p, _, _ in packets], [kind for _, kind, _ in packets]
    lengths = [len(p) + more for p, _, more in packets]
    decoder = LinkDecoder(1)
    alone: list[Row] = []
    for index in range(len(octets)):
        one = block(octets[index : index + 1], linktypes[index], lengths=lengths[index : index + 1])
        alone += [row._replace(packet=index) for row in rows(decoder.decode(one))]
    assert rows(LinkDecoder(1).decode(block(octets, linktypes, lengths=lengths))) == alone


# --- scapy ----------------------------------------------------------------------------------------------------------

ports = st.integers(0, 0xFFFF)
tcp_layer = st.builds(
    lambda sport, dport, seq, ack, flags, nops: TCP(
        sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, options=[("NOP", None)] * nops
    ),
    ports,
    ports,
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0x3F),
    st.integers(0, 40),
)
addresses4 = st.ip_addresses(v=4).map(str)
addresses6 = st.ip_addresses(v=6).map(str)
four = st.builds(
    lambda src, dst, options: IP(src=src, dst=dst, options=[IPOption(b"\x01")] * options),
    addresses4,
    addresses4,
    st.integers(0, 40),
)
six_extensions = st.lists(
    st.sampled_from([IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment]),
    max_size=4,
    unique=True,
)
six = st.builds(lambda src, dst: IPv6(src=src, dst=dst), addresses6, addresses6)
below = st.lists(st.sampled_from([Dot1Q, Dot1AD]), max_size=4)


def stack(layers: Iterable[Packet]) -> Packet:
    whole: Packet | None = None
    for layer in layers:
        whole = layer if whole is None else whole / layer
    assert whole is not None
    return whole


def by_scapy(packet: Packet) -> tuple[object, ...]:
    """What scapy reads in the bytes of a packet."""
    ip = packet[IP] if IP in packet else packet[IPv6]
    segment = packet[TCP]
    padding = len(packet[Padding].load) if Padding in packet else 0
    octets = bytes(segment)
    payload = octets[segment.dataofs * 4 : len(octets) - padding]
    ends = Endpoint(str(ip.src), segment.sport), Endpoint(str(ip.dst), segment.dport)
    return (*ends, segment.seq, segment.ack, int(segment.flags), payload)


@settings(max_examples=150)
@given(below, st.one_of(four, six), six_extensions, tcp_layer, st.binary(max_size=60), st.integers(0, 20))
def test_as_scapy_dissects(
    tags: list[type[Packet]],
    ip: Packet,
    extensions: list[type[Packet]],
    segment: Packet,
    payload: bytes,
    trailer: int,
) -> None:
    between = [extension() for extension in extensions] if isinstance(ip, IPv6) else []
    built = stack([Ether(dst="02:00:00:00:00:02"), *(tag(vlan=1) for tag in tags), ip, *between, segment])
    octets = bytes(built / Raw(payload)) + b"\x00" * trailer
    source, destination, *rest = by_scapy(Ether(octets))
    row = only(octets)
    assert (row.source.port, row.destination.port) == (source.port, destination.port)  # type: ignore[attr-defined]
    assert ipaddress.ip_address(row.source.address) == ipaddress.ip_address(source.address)  # type: ignore[attr-defined]
    assert ipaddress.ip_address(row.destination.address) == ipaddress.ip_address(destination.address)  # type: ignore[attr-defined]
    assert [row.seq, row.ack, row.flags, row.payload] == rest
    assert row.missing == 0


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=3000), st.integers(1, 60), st.randoms(use_true_random=False), st.booleans())
def test_fragments_that_scapy_makes(payload: bytes, eighths: int, random: object, sixth: bool) -> None:
    segment = TCP(sport=1, dport=2, seq=3, flags="PA") / Raw(payload)
    if sixth:
        whole = IPv6(src=STATION6, dst=CSMS6) / IPv6ExtHdrFragment(id=9) / segment
        pieces = [bytes(piece) for piece in fragment6(whole, 60 + 8 * eighths)]
    else:
        pieces = [bytes(piece) for piece in fragment(IP(src=STATION, dst=CSMS, id=9) / segment, 8 * eighths)]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    found = decode(pieces, 101)
    assert [row.payload for row in found] == [payload]


def test_scapy_agrees_that_udp_is_none() -> None:
    octets = bytes(Ether(dst="02:00:00:00:00:02") / IP(src=STATION, dst=CSMS) / UDP() / Raw(b"x"))
    assert decode([octets]) == []


# --- tshark ---------------------------------------------------------------------------------------------------------

CAPTURES = sorted(
    str(path.relative_to(SHARED))
    for folder in ("linktype", "ipfrag", "truncated", "reassembly", "tls", "fileformat")
    for path in SHARED.glob(f"{folder}/*")
    if path.suffix in (".pcap", ".pcapng", ".gz")
)
EXCEPTIONS: dict[str, str] = {}
"""Captures that tshark reads otherwise, and why."""

Said = list[tuple[int, int, int, int, int, int]]


def by_tshark(tshark: str, path: Path) -> Said:
    """Packet number, ports, sequence number, payload bytes and flags of each TCP segment that is none in an ICMP."""
    fields = ["frame.number", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.len", "tcp.flags"]
    command = [tshark, "-r", str(path), "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", "-E", "separator=,"]
    options = ["-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "ip.defragment:TRUE", "-o", "ipv6.defragment:TRUE"]
    for field in fields:
        options += ["-e", field]
    said = subprocess.run([*command, *options], capture_output=True, text=True, check=False).stdout
    found = []
    for line in csv.reader(said.splitlines()):
        if all(line):
            number, source, destination, seq, length = map(int, line[:5])
            found.append((number, source, destination, seq, length, int(line[5], 16) & 0x3F))
    return found


def by_us(path: Path) -> Said:
    decoder = LinkDecoder(1)
    found = []
    with open_captures([path]) as reader:
        for part in reader.blocks():
            for row in rows(decoder.decode(part)):
                length = len(row.payload) + row.missing
                ports = row.source.port, row.destination.port
                found.append((part.first_packet + row.packet, *ports, row.seq, length, row.flags & 0x3F))
    return found


@pytest.mark.shared
@pytest.mark.parametrize("name", CAPTURES)
def test_as_tshark_dissects(name: str, tshark: str) -> None:
    path = SHARED / name
    try:
        ours = by_us(path)
    except CaptureError:
        pytest.skip("not a capture that is read here")
    theirs = by_tshark(tshark, path)
    if name in EXCEPTIONS:
        assert ours != theirs, EXCEPTIONS[name]
    else:
        assert ours == theirs
