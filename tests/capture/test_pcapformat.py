"""pcap files, as tables of bytes and what they hold."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ocppscope.capture.pcapfile import open_captures
from ocppscope.capture.scan import MAX_PACKET_BYTES
from ocppscope.errors import CaptureError
from support_captures import Packet, Row, pcap_bytes, pcap_header, pcap_record, rows

PACKETS = [
    Packet(1_700_000_000_123_456_000, b"one"),
    Packet(1_700_000_000_123_457_000, b"", origlen=60),
    Packet(4_294_967_295_999_999_000, b"cut off" * 9, origlen=1514),
    Packet(5_000, b"back in 1970"),
]


def read(tmp_path: Path, data: bytes, **options: int) -> tuple[list[Row], list[str]]:
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    with open_captures([path], **options) as reader:
        return rows(reader.blocks()), [notice.replace(str(path), "a.pcap") for notice in reader.notices]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_every_byte_order_and_resolution(tmp_path: Path, big_endian: bool, nanoseconds: bool) -> None:
    data = pcap_bytes(PACKETS, nanoseconds=nanoseconds, big_endian=big_endian, linktype=113)
    expected = [
        Row(number, packet.time_ns, packet.data, packet.wire_length, 113)
        for number, packet in enumerate(PACKETS, start=1)
    ]
    assert read(tmp_path, data) == (expected, [])


def test_bytes_written_out(tmp_path: Path) -> None:
    data = bytes.fromhex(
        "4d3cb2a1 0200 0400 00000000 00000000 ffff0000 65000000"  # nanoseconds, little endian, LINKTYPE_RAW
        "01000000 02000000 03000000 04000000 aabbcc"
    )
    assert read(tmp_path, data) == ([Row(1, 1_000_000_002, b"\xaa\xbb\xcc", 4, 101)], [])


def test_nanoseconds_are_exact(tmp_path: Path) -> None:
    times = [1_700_000_000_000_000_001, 1_700_000_000_999_999_999]
    found, _ = read(tmp_path, pcap_bytes([Packet(time, b"x") for time in times], nanoseconds=True))
    assert [row.time_ns for row in found] == times


def test_absurd_fractions_and_seconds_do_not_overflow(tmp_path: Path) -> None:
    header = pcap_header(nanoseconds=False)
    found, _ = read(tmp_path, header + struct.pack("<IIII", 2**32 - 1, 2**32 - 1, 0, 0))
    assert found[0].time_ns == (2**32 - 1) * (10**9 + 1000)


def test_frame_check_sequence_bits_are_no_linktype(tmp_path: Path) -> None:
    data = pcap_bytes([Packet(0, b"x")], linktype=0x5400_0001)
    assert read(tmp_path, data)[0][0].linktype == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_kuznetzovs_variant_has_longer_records(tmp_path: Path, order: str) -> None:
    data = struct.pack(order + "IHHIIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    for text in (b"one", b"two!"):
        data += struct.pack(order + "IIIIIHBx", 7, 8, len(text), 99, 2, 0x0800, 0) + text
    assert read(tmp_path, data)[0] == [Row(1, 7_000_008_000, b"one", 99, 1), Row(2, 7_000_008_000, b"two!", 99, 1)]


def test_other_versions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"version 3\.4"):
        read(tmp_path, pcap_header(version=3) + bytes(64))


def test_no_packets(tmp_path: Path) -> None:
    assert read(tmp_path, pcap_header()) == ([], [])


@pytest.mark.parametrize(
    ("kept", "notice"),
    [
        (5, "a.pcap ends in the middle of the header of packet 2: 5 of 16 bytes."),
        (16, "a.pcap ends in the middle of packet 2: 0 of 120 bytes."),
        (72, "a.pcap ends in the middle of packet 2: 56 of 120 bytes."),
    ],
)
def test_cut_in_the_middle(tmp_path: Path, kept: int, notice: str) -> None:
    record = pcap_record(Packet(1_000, bytes(120)))
    data = pcap_bytes([Packet(0, b"first")]) + record[:kept]
    found, notices = read(tmp_path, data)
    assert ([row.data for row in found], notices) == ([b"first"], [notice])


def test_largest_packet(tmp_path: Path) -> None:
    large = b"\x5a" * MAX_PACKET_BYTES
    data = pcap_bytes([Packet(0, b"first"), Packet(0, large), Packet(0, b"last")])
    found, notices = read(tmp_path, data)
    assert ([len(row.data) for row in found], found[1].data == large) == ([5, MAX_PACKET_BYTES, 4], True)
    assert notices == []


def test_too_large_a_packet_ends_the_file(tmp_path: Path) -> None:
    data = pcap_bytes([Packet(0, b"first")]) + struct.pack("<IIII", 0, 0, MAX_PACKET_BYTES + 1, 0)
    found, notices = read(tmp_path, data + pcap_record(Packet(0, b"never")))
    assert [row.data for row in found] == [b"first"]
    assert notices == ["a.pcap is damaged after packet 1: the next one claims 16777217 bytes; the rest is not read."]


def test_zeros_after_a_crash_are_empty_packets(tmp_path: Path) -> None:
    found, notices = read(tmp_path, pcap_bytes([Packet(0, b"first")]) + bytes(32))
    assert ([row.data for row in found], notices) == ([b"first", b"", b""], [])
