"""What holds for every capture: any size of chunk, any cut, any damage; and one that outgrows memory."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.capture.annotations import MAX_NOTICES, Annotations
from ocppscope.capture.capturefile import CHUNK_BYTES, FIRST_CHUNK_BYTES
from ocppscope.capture.pcapfile import open_captures
from ocppscope.errors import CaptureError
from ocppscope.model import BLOCK_PADDING
from support_captures import Packet, Pcapng, Row, pcap_bytes, pcapng_bytes, rows

NG = Pcapng()
BIG = Pcapng(big_endian=True)
MIXED = (
    NG.section()
    + NG.interface(snaplen=60)
    + NG.enhanced(1, b"one", options=NG.option(1, b"comment") + NG.option(0, b""))
    + NG.names((1, b"\x0a\0\0\x01csms\0"))
    + NG.simple(b"simple")
    + NG.interface(101, tsresol=9)
    + NG.obsolete(2_000, b"old", interface=1)
    + NG.enhanced(3, b"nowhere", interface=7)
    + NG.secrets(b"CLIENT_RANDOM")
    + BIG.section()
    + BIG.interface(113, tsresol=0x94)
    + BIG.enhanced(4 << 20, b"big")
    + BIG.block(5, bytes(20))
    + BIG.enhanced(5 << 20, b"end" * 40, origlen=1500)
)
FILES = {
    "pcap": pcap_bytes([Packet(n * 1000, b"p" * (n * 7 % 50)) for n in range(12)]),
    "pcap big endian": pcap_bytes([Packet(n, b"p" * n) for n in range(6)], nanoseconds=True, big_endian=True),
    "pcapng": pcapng_bytes([Packet(n, b"p" * n, interface=n % 2) for n in range(8)], linktypes=(1, 276)),
    "mixed": MIXED,
}
each_file = pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())


def read(directory: Path, data: bytes, chunk_bytes: int = CHUNK_BYTES) -> tuple[list[Row], list[str]]:
    path = directory / "capture"
    path.write_bytes(data)
    with open_captures([path], chunk_bytes=chunk_bytes) as reader:
        return rows(reader.blocks()), [notice.removeprefix(f"{path} ") for notice in reader.notices]


@each_file
@pytest.mark.parametrize("chunk_bytes", [1, 30, 100, 1000])
def test_chunks_do_not_show(tmp_path: Path, data: bytes, chunk_bytes: int) -> None:
    found, notices = read(tmp_path, data)
    assert found
    again, notices_again = read(tmp_path, data, chunk_bytes)
    assert (again, sorted(notices_again)) == (found, sorted(notices))


@each_file
def test_every_cut_leaves_a_prefix(tmp_path: Path, data: bytes) -> None:
    whole, said = read(tmp_path, data)
    counts = []
    for cut in range(len(data)):
        try:
            found, notices = read(tmp_path, data[:cut])
        except CaptureError:
            assert cut < 24
            continue
        assert found == whole[: len(found)]
        assert len([notice for notice in notices if "ends in the middle" in notice]) <= 1
        assert {notice for notice in notices if "ends in the middle" not in notice} <= set(said)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[-1] == len(whole) - 1


@each_file
@given(changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_damage_never_raises_and_does_not_depend_on_chunks(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, changes: list[tuple[int, int]]
) -> None:
    damaged = bytearray(data)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    outcomes = []
    for chunk_bytes in (CHUNK_BYTES, 50):
        try:
            outcomes.append(read(tmp_path_factory.getbasetemp(), bytes(damaged), chunk_bytes))
        except CaptureError as error:
            outcomes.append(([], [error.what]))
    (found, notices), (again, notices_again) = outcomes
    assert found == again
    assert {notice for notice in notices if "damaged" in notice} == {n for n in notices_again if "damaged" in n}


MAGICS = [
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x0a\x0d\x0d\x0a",
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
    b"",
]


@given(start=st.sampled_from([*MAGICS, *(data[:64] for data in FILES.values())]), rest=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes) -> None:
    with suppress(CaptureError):
        found, _ = read(tmp_path_factory.getbasetemp(), start + rest)
        assert [row.number for row in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("build", [pcap_bytes, partial(pcapng_bytes, nanoseconds=False)])
def test_blocks_are_early_large_and_padded(tmp_path: Path, build: object) -> None:
    assert callable(build)
    packets = [Packet(n * 1000, n.to_bytes(4, "big") * 50) for n in range(20_000)]
    path = tmp_path / "a.pcap"
    path.write_bytes(build(packets))
    with open_captures([path]) as reader:
        blocks = list(reader.blocks())
    sizes = [int(block.caplen.sum()) for block in blocks]
    assert sizes[0] <= FIRST_CHUNK_BYTES
    assert all(0.7 * CHUNK_BYTES < size <= CHUNK_BYTES for size in sizes[1:-1])
    for block in blocks:
        assert int((block.offsets + block.caplen).max()) + BLOCK_PADDING <= len(block.data)
    found = rows(blocks)
    assert [(row.number, row.time_ns, row.data) for row in found] == [
        (n + 1, packet.time_ns, packet.data) for n, packet in enumerate(packets)
    ]


def peak_of_reading(path: Path) -> int:
    tracemalloc.start()
    try:
        with open_captures([path]) as reader:
            for _ in reader.blocks():
                pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    body = pcap_bytes([Packet(n * 1000, bytes(1000)) for n in range(4_000)])
    small.write_bytes(body)
    large.write_bytes(body + body[24:] * 5)
    assert peak_of_reading(large) < peak_of_reading(small) * 1.2


def test_notices_are_bounded_and_said_once() -> None:
    annotations = Annotations()
    for number in range(MAX_NOTICES * 2):
        annotations.notice(f"{number}.pcap", "cut", f"{number}.pcap is cut.")
        annotations.notice(f"{number}.pcap", "cut", f"{number}.pcap is cut again.")
    assert len(annotations.notices) == MAX_NOTICES + 1
    assert len(set(annotations.notices)) == MAX_NOTICES + 1
    assert not [notice for notice in annotations.notices if "again" in notice]
