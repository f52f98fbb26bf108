"""IPv6 extension headers and IP fragments: the same segment as without them, or none; memory bounded."""

from __future__ import annotations

from itertools import permutations

import pytest
from support_link import (
    BODY,
    CSMS6,
    FOURS,
    LONG,
    LONG_BODY,
    PAYLOAD,
    SIXES,
    STATION6,
    authentication,
    decode,
    fragment_header,
    hop_by_hop,
    only,
    routing,
    rows,
    split4,
    split6,
)
from support_packets import CSMS, STATION, block, ethernet, ipv4, ipv6, tcp

from ocppscope.model import Endpoint
from ocppscope.wire import link
from ocppscope.wire.link import ACK, PSH, LinkDecoder

# --- IPv6 extension headers -----------------------------------------------------------------------------------------


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
    "atomic fragment, destination options": (44, fragment_header(60, 0, False) + hop_by_hop(6)),
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

FRAGMENTED = {"IPv4": FOURS, "IPv6": SIXES}


@pytest.mark.parametrize("version", FRAGMENTED)
def test_fragments_in_any_order(version: str) -> None:
    for order in permutations(FRAGMENTED[version]):
        found = decode(order, 101)
        assert [row[3:] for row in found] == [(5, 6, PSH | ACK, LONG, 0)]
        assert found[0].packet == len(order) - 1
        assert found[0].source.port == 50_000


def test_fragments_of_what_begins_with_an_extension_header() -> None:
    pieces = split6(hop_by_hop(6) + LONG_BODY, 400, following=60)
    for order in permutations(pieces):
        assert [row.payload for row in decode(order, 101)] == [LONG]


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
    others = [split4(ipv4(STATION, CSMS, tcp(1, 2, data=bytes([i]) * 1024)), 400, ident=7 + i) for i in range(1, 3)]
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
    held = sum(len(piece[1]) for pieces in decoder._fragments._open.values() for piece in pieces)
    assert 4000 <= held <= decoder._fragments._held <= 10_000
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
