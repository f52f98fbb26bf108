"""Packets of every link layer in, TCP segments out: tables, cuts at every byte, and anything at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support_link import (
    BODY,
    CSMS6,
    FOUR,
    FOURS,
    JUNK,
    PAYLOAD,
    SIX,
    SIXES,
    STATION6,
    Row,
    decode,
    hop_by_hop,
    only,
    rows,
    split4,
    u16,
)
from support_packets import CSMS, STATION, block, ethernet, ipv4, ipv6, tcp

from ocppscope.model import Endpoint
from ocppscope.wire import link
from ocppscope.wire.link import ACK, PSH, LinkDecoder

ANSWER = ipv4(CSMS, STATION, tcp(9000, 50_000, 77, 3, ACK, b"HTTP/1.1 101"))

# --- link layers ----------------------------------------------------------------------------------------------------


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
