"""pcapng files, as tables of blocks and what they hold."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.capture import annotations, pcapng_blocks
from ocppscope.capture.pcapfile import CaptureReader, open_captures
from ocppscope.capture.pcapng import MAX_BLOCK_BYTES, MAX_SECONDS, NO_LINKTYPE
from ocppscope.capture.pcapng_blocks import Clock
from ocppscope.capture.scan import MAX_PACKET_BYTES
from ocppscope.errors import CaptureError
from support_captures import Packet, Pcapng, Row, pcapng_bytes, rows

NG = Pcapng()
START = NG.section() + NG.interface()
TIME = 1_700_000_000_123_456


def read(tmp_path: Path, data: bytes) -> tuple[list[Row], CaptureReader]:
    path = tmp_path / "a.pcapng"
    path.write_bytes(data)
    with open_captures([path]) as reader:
        found = rows(reader.blocks())
    for index, notice in enumerate(reader.notices):
        reader.notices[index] = notice.replace(str(path), "a.pcapng")
    return found, reader


def texts(tmp_path: Path, data: bytes) -> tuple[list[bytes], list[str]]:
    found, reader = read(tmp_path, data)
    return [row.data for row in found], reader.notices


@pytest.mark.parametrize("big_endian", [False, True])
def test_enhanced_packets(tmp_path: Path, big_endian: bool) -> None:
    packets = [Packet(1_700_000_000_000_000_001 + n, b"x" * n, origlen=n * 2, interface=n % 2) for n in range(9)]
    found, reader = read(tmp_path, pcapng_bytes(packets, big_endian=big_endian, linktypes=(1, 276)))
    expected = [
        Row(n + 1, packet.time_ns, packet.data, packet.wire_length, (1, 276)[n % 2])
        for n, packet in enumerate(packets)
    ]
    assert (found, reader.notices) == (expected, [])


def test_bytes_written_out(tmp_path: Path) -> None:
    data = bytes.fromhex(
        "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"
        "01000000 14000000 6500 0000 00000000 14000000"
        "06000000 24000000 00000000 00000000 05000000 03000000 09000000 aabbcc00 24000000"
    )
    found, reader = read(tmp_path, data)
    assert (found, reader.notices) == ([Row(1, 5_000, b"\xaa\xbb\xcc", 9, 101)], [])


def test_sections_have_their_own_byte_order_interfaces_and_clock(tmp_path: Path) -> None:
    big = Pcapng(big_endian=True)
    data = START + NG.enhanced(TIME, b"one")
    data += big.section(options=big.option(1, b"second section"))
    data += big.interface(113, tsresol=9) + big.interface(101) + big.enhanced(7, b"two")
    data += big.enhanced(TIME, b"three", interface=1)
    data += NG.section() + NG.interface(276) + NG.enhanced(TIME, b"four")
    found, reader = read(tmp_path, data)
    assert found == [
        Row(1, TIME * 1000, b"one", 3, 1),
        Row(2, 7, b"two", 3, 113),
        Row(3, TIME * 1000, b"three", 5, 101),
        Row(4, TIME * 1000, b"four", 4, 276),
    ]
    assert reader.notices == []


def test_simple_packets_take_the_time_before_them_and_the_snap_length(tmp_path: Path) -> None:
    data = NG.section() + NG.interface(snaplen=4) + NG.simple(b"abcd", origlen=9)
    data += NG.enhanced(TIME, b"timed") + NG.simple(b"ab") + NG.interface(101) + NG.simple(b"abc")
    found, reader = read(tmp_path, data)
    assert found == [
        Row(1, 0, b"abcd", 9, 1),
        Row(2, TIME * 1000, b"timed", 5, 1),
        Row(3, TIME * 1000, b"ab", 2, 1),
        Row(4, TIME * 1000, b"abc", 3, 1),
    ]
    assert reader.notices == ["a.pcapng has packets without a time; each gets the time of the packet before it."]


@pytest.mark.parametrize("big_endian", [False, True])
def test_obsolete_packets(tmp_path: Path, big_endian: bool) -> None:
    ng = Pcapng(big_endian=big_endian)
    data = ng.section() + ng.interface(1) + ng.interface(113) + ng.obsolete(TIME, b"old", interface=1, drops=5)
    found, reader = read(tmp_path, data)
    assert (found, reader.notices) == ([Row(1, TIME * 1000, b"old", 3, 113)], [])


def test_other_blocks_and_options_are_skipped(tmp_path: Path) -> None:
    comment = NG.option(1, b"a comment") + NG.option(0, b"")
    data = START + NG.block(5, NG.pack("III", 0, 1, 2)) + NG.enhanced(TIME, b"one", options=comment)
    data += (
        NG.block(0xBAD, b"custom") + NG.block(0x80000001, b"") + NG.enhanced(TIME, b"two") + NG.block(9, b"journal")
    )
    assert texts(tmp_path, data) == ([b"one", b"two"], [])


def test_names(tmp_path: Path) -> None:
    v6 = bytes.fromhex("fd00") + bytes(13) + b"\x07"
    block = NG.names((1, b"\x0a\0\0\x01csms.example\0alias\0"), (2, v6 + b"cp\xff1\0"), (3, b"?"), (1, b"\x0a"))
    again = NG.names((1, b"\x0a\0\0\x01other\0"))
    _, reader = read(tmp_path, START + block + again)
    assert reader.names == {"10.0.0.1": "csms.example", "fd00::7": "cp\ufffd1"}


def test_names_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "MAX_NAMES", 3)
    records = [(1, bytes([10, 0, 0, n]) + b"x\0") for n in range(9)]
    _, reader = read(tmp_path, START + NG.names(*records))
    assert len(reader.names) == 3


def test_secrets_are_kept_once(tmp_path: Path) -> None:
    data = START + NG.secrets(b"CLIENT_RANDOM 1\n") + NG.secrets(b"wireguard", kind=0x57474B4C)
    data += NG.secrets(b"CLIENT_RANDOM 1\n") + NG.secrets(b"CLIENT_RANDOM 22\n")
    _, reader = read(tmp_path, data)
    assert reader.secrets == [b"CLIENT_RANDOM 1\n", b"CLIENT_RANDOM 22\n"]


def test_secrets_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "MAX_SECRETS_BYTES", 250)
    _, reader = read(tmp_path, START + b"".join(NG.secrets(b"%d" % n) for n in range(9)))
    assert reader.secrets == [b"0", b"1", b"2"]
    assert reader.notices == ["a.pcapng holds more TLS secrets than can be kept; some are left out."]


def test_packets_of_unknown_interfaces_are_counted_and_empty(tmp_path: Path) -> None:
    data = NG.section() + NG.enhanced(TIME, b"early") + NG.interface() + NG.enhanced(TIME, b"one")
    data += (
        NG.enhanced(TIME + 1, b"no such", interface=1) + NG.interface(101) + NG.enhanced(TIME, b"two", interface=1)
    )
    found, reader = read(tmp_path, data)
    assert found == [
        Row(1, 0, b"", 0, NO_LINKTYPE),
        Row(2, TIME * 1000, b"one", 3, 1),
        Row(3, TIME * 1000, b"", 0, NO_LINKTYPE),
        Row(4, TIME * 1000, b"two", 3, 101),
    ]
    assert reader.notices == ["a.pcapng has packets of interfaces that it does not describe; they are only counted."]


def nanoseconds(ticks: int, resolution: int, offset: int) -> int:
    """What the specification says, in Python's own integers."""
    per_second = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    return offset * 10**9 + ticks * 10**9 // per_second


@pytest.mark.parametrize("resolution", [0, 3, 6, 7, 9, 10, 12, 19, 0x80, 0x8A, 0x94, 0xA0, 0xA2, 0xA3, 0xB4, 0xBF])
@pytest.mark.parametrize("offset", [0, 1_500_000_000, -30])
def test_clocks_are_exact(tmp_path: Path, resolution: int, offset: int) -> None:
    per_second = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    ticks = [n for n in (0, 1, 12_345, 98_765 * per_second + per_second * 2 // 3, 2**64 - 1) if n < 2**64]
    ticks = [n for n in ticks if n // per_second + offset <= MAX_SECONDS]
    data = NG.section() + NG.interface(tsresol=resolution, tsoffset=offset) + NG.interface(tsresol=3)
    data += b"".join(NG.enhanced(n, b"") for n in ticks)
    found, _ = read(tmp_path, data)
    assert [row.time_ns for row in found] == [nanoseconds(n, resolution, offset) for n in ticks]


@given(
    st.lists(
        st.tuples(st.integers(0, 19) | st.integers(0x80, 0xBF), st.integers(-(2**31), 2**31)), min_size=1, max_size=4
    ),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**64 - 1)), min_size=1, max_size=20),
)
def test_many_clocks_in_one_block_are_exact(
    tmp_path_factory: pytest.TempPathFactory, clocks: list[tuple[int, int]], packets: list[tuple[int, int]]
) -> None:
    data = NG.section() + b"".join(NG.interface(tsresol=resolution, tsoffset=offset) for resolution, offset in clocks)
    packets = [(interface % len(clocks), ticks) for interface, ticks in packets]
    data += b"".join(NG.enhanced(ticks, b"", interface=interface) for interface, ticks in packets)
    found, _ = read(tmp_path_factory.mktemp("clocks"), data)
    for row, (interface, ticks) in zip(found, packets, strict=True):
        exact = nanoseconds(ticks, *clocks[interface])
        if -MAX_SECONDS <= exact // 10**9 <= MAX_SECONDS:
            assert row.time_ns == exact
        else:
            assert abs(row.time_ns) // 10**9 >= MAX_SECONDS - 1


@pytest.mark.parametrize("offset", [2**63 - 1, -(2**63)])
@pytest.mark.parametrize("ticks", [0, 2**64 - 1])
@pytest.mark.parametrize("resolution", [0, 6, 0x80])
def test_absurd_times_are_clamped(tmp_path: Path, resolution: int, ticks: int, offset: int) -> None:
    data = NG.section() + NG.interface(tsresol=resolution, tsoffset=offset) + NG.enhanced(ticks, b"x")
    found, reader = read(tmp_path, data)
    assert MAX_SECONDS - 1 <= abs(found[0].time_ns) // 10**9 <= MAX_SECONDS + 1
    assert reader.notices == ["a.pcapng has times beyond the year 2262 or before 1677; they are read as that."]


@pytest.mark.parametrize("resolution", [20, 127, 0x80 | 64, 0xFF])
def test_units_too_small_for_a_date(tmp_path: Path, resolution: int) -> None:
    data = NG.section() + NG.interface(tsresol=resolution, tsoffset=3) + NG.enhanced(TIME, b"x")
    found, reader = read(tmp_path, data)
    assert found[0].time_ns == 3 * 10**9
    assert reader.notices == ["a.pcapng counts time in units too small to hold a date; it is read as 0."]


def test_every_resolution_fits_64_bits() -> None:
    for resolution in range(256):
        clock = Clock.of(resolution, 2**63 - 1)
        assert all(0 <= number < 2**64 for number in clock[:4])


GOOD = NG.enhanced(TIME, b"good")
PACKET = NG.enhanced(TIME, b"bad!")


def patched(block: bytes, at: int, number: int) -> bytes:
    at %= len(block)
    return block[:at] + struct.pack("<I", number) + block[at + 4 :]


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (patched(PACKET, 4, 0), "claims a length of 0 bytes"),
        (patched(PACKET, 4, 8), "of 8 bytes does not fit the packet that it claims to hold"),
        (patched(PACKET, 4, 33), "of 33 bytes does not fit the packet that it claims to hold"),
        (patched(PACKET, 4, 2**32 - 4), "claims a length of 4294967292 bytes"),
        (patched(PACKET, 4, MAX_BLOCK_BYTES + 4), f"claims a length of {MAX_BLOCK_BYTES + 4} bytes"),
        (patched(PACKET, -4, 44), "of 36 bytes does not fit the packet that it claims to hold"),
        (patched(PACKET, 20, 5), "of 36 bytes does not fit the packet that it claims to hold"),
        (patched(PACKET, 20, 2**32 - 1), "of 36 bytes does not fit the packet that it claims to hold"),
        (NG.block(6, bytes(16)), "of 28 bytes does not fit the packet that it claims to hold"),
        (NG.block(3, b""), "of 12 bytes does not fit the packet that it claims to hold"),
        (patched(NG.block(5, bytes(8)), -4, 16), "has two lengths that differ"),
        (patched(NG.block(5, bytes(8)), 4, 21), "claims a length of 21 bytes"),
        (patched(NG.block(5, bytes(8)), 4, 8), "claims a length of 8 bytes"),
        (NG.block(1, bytes(4)), "describes an interface in too few bytes"),
        (patched(NG.section(), 8, 0), "begins a section in an unknown byte order"),
        (NG.section(major=2), "begins a section of pcapng version 2.0, which is not known"),
        (patched(NG.section(), 4, 24), "claims a length of 24 bytes"),
        (patched(NG.section(), -4, 24), "has two lengths that differ"),
    ],
)
def test_damage_ends_the_file_and_keeps_what_came_before(tmp_path: Path, block: bytes, why: str) -> None:
    found, notices = texts(tmp_path, START + GOOD + GOOD + block + GOOD + bytes(64))
    assert found == [b"good", b"good"]
    assert notices == [f"a.pcapng is damaged after packet 2: a block {why}; the rest is not read."]


def test_large_packets_and_blocks(tmp_path: Path) -> None:
    large = b"\x5a" * MAX_PACKET_BYTES
    found, notices = texts(tmp_path, START + GOOD + NG.enhanced(1, large) + NG.block(99, bytes(3 << 20)) + GOOD)
    assert ([len(text) for text in found], notices) == ([4, MAX_PACKET_BYTES, 4], [])
    assert found[1] == large


def test_too_large_a_packet_ends_the_file(tmp_path: Path) -> None:
    found, notices = texts(tmp_path, START + GOOD + NG.enhanced(1, bytes(MAX_PACKET_BYTES + 1)) + GOOD)
    assert (found, len(notices)) == ([b"good"], 1)


def test_too_many_interfaces_end_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcapng_blocks, "MAX_INTERFACES", 3)
    found, notices = texts(tmp_path, NG.section() + NG.interface() * 3 + GOOD + NG.interface() + GOOD)
    assert found == [b"good"]
    assert "more interfaces than any machine has" in notices[0]


@pytest.mark.parametrize(
    ("kept", "notice"),
    [
        (5, "a.pcapng ends in the middle of a block header: 5 bytes."),
        (20, "a.pcapng ends in the middle of packet 2: 20 of 36 bytes."),
        (30, "a.pcapng ends in the middle of packet 2: 2 of 4 bytes."),
        (35, "a.pcapng ends in the middle of packet 2: 4 of 4 bytes."),
    ],
)
def test_cut_in_the_middle(tmp_path: Path, kept: int, notice: str) -> None:
    assert texts(tmp_path, START + GOOD + GOOD[:kept]) == ([b"good"], [notice])


def test_cut_in_a_block_that_is_no_packet(tmp_path: Path) -> None:
    notice = "a.pcapng ends in the middle of a block: 21 of 32 bytes."
    assert texts(tmp_path, START + GOOD + NG.interface()[:21]) == ([b"good"], [notice])


@pytest.mark.parametrize(
    ("data", "why"),
    [(NG.section(major=2), r"pcapng version 2\.0"), (patched(NG.section(), 8, 1), "unknown byte order")],
)
def test_a_first_section_that_is_not_known_is_an_error(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(CaptureError, match=why):
        read(tmp_path, data + GOOD)
