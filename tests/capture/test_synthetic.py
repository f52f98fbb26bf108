"""Packets around bytes: held against a parser of the tests, scapy's checksums and tshark's own analysis."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from ocppscope.capture import pcapngout
from ocppscope.capture.synthetic import MAX_SEGMENT_BYTES, Conversation
from ocppscope.model import Endpoint, Side
from proxy.support_proxy import ACK, CSMS, FIN, PSH, RST, STATION, SYN, Talk, packets, talks

HEADER = pcapngout.section("a test") + pcapngout.interface(pcapngout.ETHERNET, "a test")
V4 = Endpoint("192.0.2.1", 50_000), Endpoint("198.51.100.7", 80)
V6 = Endpoint("fd00::1", 50_000), Endpoint("2001:db8::7", 443)
MIXED = Endpoint("192.0.2.1", 50_000), Endpoint("2001:db8::7", 443)
ENDS = {
    "IPv4": V4,
    "IPv6": V6,
    "IPv4 to IPv6": MIXED,
    "a zone": (Endpoint("fe80::1%eth0", 1), Endpoint("fe80::2", 2)),
}


def written(directory: Path, *made: bytes) -> Path:
    path = directory / "made.pcapng"
    path.write_bytes(HEADER + b"".join(made))
    return path


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
def test_a_conversation(tmp_path: Path, ends: tuple[Endpoint, Endpoint]):
    made = Conversation(1, *ends)
    assert not made.is_open
    path = written(
        tmp_path, made.open(10), made.data(STATION, b"GET", 20), made.data(CSMS, b"101", 30, "a comment"),
        made.fin(STATION, 40), made.fin(CSMS, 50),
    )  # fmt: skip
    assert made.is_open
    assert made.is_over
    (talk,) = talks(path)
    assert [bytes(one) for one in talk.sent] == [b"GET", b"101"]
    assert talk.over == ["FIN", "FIN"]
    flags = [(side, packet.flags, packet.time_ns) for side, packet in talk.packets]
    assert flags == [
        (STATION, SYN, 10), (CSMS, SYN | ACK, 10), (STATION, ACK, 10),
        (STATION, PSH | ACK, 20), (CSMS, ACK, 20), (CSMS, PSH | ACK, 30), (STATION, ACK, 30),
        (STATION, FIN | ACK, 40), (CSMS, ACK, 40), (CSMS, FIN | ACK, 50), (STATION, ACK, 50),
    ]  # fmt: skip
    assert [packet.comment for _, packet in talk.packets if packet.comment] == ["a comment"]


def test_addresses_of_both_families_are_those_of_a_mapped_one(tmp_path: Path):
    (talk,) = talks(written(tmp_path, Conversation(1, *MIXED).open(1)))
    station = ip_address(talk.station[0])
    assert str(getattr(station, "ipv4_mapped", None)) == "192.0.2.1"
    assert talk.csms == ("2001:db8::7", 443)


def test_a_refusal(tmp_path: Path):
    made = Conversation(1, *V4)
    (talk,) = talks(written(tmp_path, made.refused(5, "why")))
    assert [packet.flags for _, packet in talk.packets] == [SYN, RST | ACK]
    assert made.is_over


def test_after_the_end_nothing_ends_again():
    made = Conversation(1, *V4)
    assert made.rst(STATION, 1)
    assert made.rst(CSMS, 2) == made.fin(STATION, 3) == made.fin(CSMS, 4) == b""
    assert made.data(STATION, b"x", 5) == made.data(CSMS, b"x", 5) == b""
    made = Conversation(2, *V4)
    assert made.fin(STATION, 1)
    assert made.data(STATION, b"x", 5) == b""
    assert made.data(CSMS, b"x", 5)
    assert made.fin(STATION, 2) == b""
    assert made.rst(CSMS, 3)


SIZES = (1, 2, 3, MAX_SEGMENT_BYTES - 1, MAX_SEGMENT_BYTES, MAX_SEGMENT_BYTES + 1, 5 * MAX_SEGMENT_BYTES + 7)


@pytest.mark.parametrize("size", SIZES)
def test_long_data_is_cut_into_segments(tmp_path: Path, size: int):
    made = Conversation(1, *V4)
    data = bytes(at % 251 for at in range(size))
    (talk,) = talks(written(tmp_path, made.open(1), made.data(CSMS, data, 2, "once")))
    assert talk.sent[CSMS] == data
    assert max(map(len, talk.pieces(CSMS))) <= MAX_SEGMENT_BYTES
    assert [packet.comment for _, packet in talk.packets if packet.comment] == ["once"]


def test_sequence_numbers_wrap(tmp_path: Path):
    """Of some number each side passes 2**32 in what it sends."""
    for side in Side:
        number = next(n for n in range(1, 10_000_000) if _starts_near_the_end(n, side))
        made = Conversation(number, *V4)
        sent = [made.open(1), *(made.data(side, bytes(MAX_SEGMENT_BYTES), 2) for _ in range(8)), made.fin(side, 3)]
        (talk,) = talks(written(tmp_path, *sent))
        sequence = [packet.seq for who, packet in talk.packets if who is side]
        assert sequence != sorted(sequence), "no wrap in this test"
        assert len(talk.sent[side]) == 8 * MAX_SEGMENT_BYTES


def _starts_near_the_end(number: int, side: Side) -> bool:
    start = Conversation(number, *V4)._next[side]
    return start > 2**32 - 8 * MAX_SEGMENT_BYTES


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
DATA = st.one_of(st.binary(min_size=1, max_size=64), st.just(b"\xff" * 97))
ENDPOINTS = st.builds(Endpoint, ADDRESSES, st.integers(1, 65535))


@given(
    number=st.integers(1, 2**40),
    ends=st.tuples(ENDPOINTS, ENDPOINTS),
    said=st.lists(st.tuples(st.sampled_from(Side), DATA)),
)
def test_every_checksum_is_scapys(number: int, ends: tuple[Endpoint, Endpoint], said: list[tuple[Side, bytes]]):
    """Also where addresses, ports and data are all ones or all zeros."""
    made = Conversation(number, *ends)
    held = made.open(1) + b"".join(made.data(side, data, 2) for side, data in said) + made.fin(STATION, 3)
    at = 0
    while at < len(held):
        size = int.from_bytes(held[at + 4 : at + 8], "little")
        length = int.from_bytes(held[at + 20 : at + 24], "little")
        frame = held[at + 28 : at + 28 + length]
        again = Ether(frame)
        del again[TCP].chksum
        if IP in again:
            del again[IP].chksum, again[IP].len
        else:
            del again[IPv6].plen
        assert bytes(again) == frame
        at += size


def test_connections_that_reuse_a_port_have_other_numbers(tmp_path: Path):
    made = [Conversation(number, *V4) for number in range(1, 200)]
    path = written(tmp_path, *(one.open(1) + one.data(STATION, b"x", 1) + one.rst(CSMS, 1) for one in made))
    found = talks(path)
    assert len(found) == 199
    assert len({talk.packets[0][1].seq for talk in found}) == 199


@pytest.mark.parametrize("ends", [V4, V6, MIXED], ids=["IPv4", "IPv6", "mixed"])
def test_tshark_finds_nothing_wrong(tmp_path: Path, tshark: str, ends: tuple[Endpoint, Endpoint]):
    made, again, refused = Conversation(1, *ends), Conversation(2, *ends), Conversation(3, *ends)
    data = bytes(range(256)) * 800
    path = written(
        tmp_path, made.open(10), made.data(STATION, data, 20), made.note(CSMS, 25, "said"), made.data(CSMS, data, 30),
        made.fin(STATION, 40), made.data(CSMS, b"late", 45), made.fin(CSMS, 50),
        again.open(60), again.data(CSMS, b"x", 70), again.rst(CSMS, 80), refused.refused(90, "no"),
    )  # fmt: skip
    assert len(packets(path)) == len(_tshark(tshark, path, "frame"))
    assert _tshark(tshark, path, _UNUSUAL) == []
    assert _tshark(tshark, path, "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0") == []
    assert len(_tshark(tshark, path, "tcp.checksum.status == 1")) == len(packets(path))
    followed = subprocess.run(
        [tshark, "-r", str(path), "-q", "-z", "follow,tcp,raw,0"], capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in followed.splitlines() if line and set(line.strip()) <= set("0123456789abcdef")]
    assert "".join(line for line in lines if not line.startswith("\t")) == data.hex()
    assert "".join(line.strip() for line in lines if line.startswith("\t")) == (data + b"late").hex()


_UNUSUAL = "tcp.analysis.flags && !tcp.analysis.duplicate_ack && !tcp.analysis.reused_ports"


def _tshark(program: str, path: Path, wanted: str) -> list[str]:
    done = subprocess.run(
        [program, "-r", str(path), "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", wanted],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_the_parser_of_these_tests_is_strict(tmp_path: Path):
    """Were it blind, nothing here would mean anything."""
    made = Conversation(1, *V4)
    good = [made.open(1), made.data(STATION, b"abc", 2), made.data(STATION, b"def", 3)]
    assert bytes(talks(written(tmp_path, *good))[0].sent[STATION]) == b"abcdef"
    with pytest.raises(AssertionError, match="hole"):
        talks(written(tmp_path, good[0], good[2]))
    with pytest.raises(AssertionError, match="checksum"):
        talks(written(tmp_path, good[0], good[1].replace(b"abc", b"abd")))
    with pytest.raises(AssertionError, match="cut"):
        talks(written(tmp_path, good[0], good[1][:-1]))
    lost = talks(written(tmp_path, good[0], good[2]), gaps=True)[0]
    assert isinstance(lost, Talk)
    assert lost.lost == [3, 0]
