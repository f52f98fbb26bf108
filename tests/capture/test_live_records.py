"""What a capture program writes, in pieces: the same bytes come out, record by record, however they were cut."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.capture import pcapngout
from ocppscope.capture.live_records import MAX_HEADER_BYTES, MAX_RECORD_BYTES, DamagedError, Piece, Records

PACKETS = [b"one" * 20, b"", b"three" * 300]


def pcap(order: str, magic: int) -> tuple[bytes, list[bytes]]:
    first = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, 1)
    return first, [struct.pack(order + "IIII", 1, 2, len(one), len(one)) + one for one in PACKETS]


def pcapng() -> tuple[bytes, list[bytes]]:
    records = [pcapngout.interface(1, "eth0"), *(pcapngout.packet(0, 5, one) for one in PACKETS)]
    return pcapngout.section("dumpcap"), [*records, pcapngout.statistics(0, 5, 3, 0)]


def big_endian() -> tuple[bytes, list[bytes]]:
    section = struct.pack(">IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack(">IIHHII", 1, 20, 1, 0, 0, 20)
    simple = struct.pack(">III4sI", 3, 20, 4, b"data", 20)
    return section, [interface, simple, simple]


STREAMS = {
    "little": (pcap("<", 0xA1B2C3D4), 3),
    "big": (pcap(">", 0xA1B2C3D4), 3),
    "nanoseconds": (pcap("<", 0xA1B23C4D), 3),
    "pcapng": (pcapng(), 3),
    "pcapng, big": (big_endian(), 2),
}


def fed(records: Records, pieces: list[bytes]) -> Piece:
    found = [records.feed(piece) for piece in pieces]
    return Piece([one for piece in found for one in piece.records], sum(piece.packets for piece in found))


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 3000), max_size=12))
def test_any_cut_gives_the_same_records(name, cuts):
    (first, expected), packets = STREAMS[name]
    whole = first + b"".join(expected)
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    records = Records()
    found = fed(records, [whole[start:end] for start, end in pairwise(edges)])
    assert (found.records, found.packets) == (expected, packets)
    assert records.first == first


@pytest.mark.parametrize("name", STREAMS)
def test_byte_by_byte(name):
    (first, expected), _ = STREAMS[name]
    whole = first + b"".join(expected)
    assert fed(Records(), [whole[at : at + 1] for at in range(len(whole))]).records == expected


def test_further_files_begin_with_the_interfaces_too():
    first, expected = pcapng()
    records = Records()
    records.feed(first)
    assert records.header == records.first == first
    records.feed(b"".join(expected))
    assert records.header == first + expected[0]
    assert records.first == first


def test_the_header_is_bounded():
    first, _ = pcapng()
    records = Records()
    records.feed(first)
    interface = pcapngout.interface(1, "x" * 4000)
    for _ in range(2 * MAX_HEADER_BYTES // len(interface)):
        records.feed(interface)
    assert len(records.header) <= MAX_HEADER_BYTES + len(first)


@pytest.mark.parametrize(
    "stream",
    [
        b"tcpdump: this is no capture at all",
        struct.pack("<IIIHHqI", 0x0A0D0D0A, 4, 0x1A2B3C4D, 1, 0, -1, 28),
        struct.pack("<IIIHHqI", 0x0A0D0D0A, MAX_RECORD_BYTES + 4, 0x1A2B3C4D, 1, 0, -1, 28),
        pcap("<", 0xA1B2C3D4)[0] + struct.pack("<IIII", 1, 2, MAX_RECORD_BYTES, 4),
        pcapng()[0] + struct.pack("<III", 6, MAX_RECORD_BYTES + 4, 0),
        pcapng()[0] + struct.pack("<III", 6, 8, 0),
        pcapng()[0] + struct.pack("<III", 6, 33, 0),
    ],
)
def test_damage_is_an_error_and_no_endless_wait(stream):
    with pytest.raises(DamagedError):
        Records().feed(stream)


@given(st.binary(max_size=200))
def test_any_bytes_after_the_beginning(data):
    """Nothing but whole records, or the one exception."""
    records = Records()
    records.feed(pcapng()[0])
    try:
        found = records.feed(data)
    except DamagedError:
        return
    assert data.startswith(b"".join(found.records))
