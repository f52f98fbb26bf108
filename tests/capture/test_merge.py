"""Several captures as one, against the plain definition of a merge: always the earliest head."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.capture.merge import EARLIEST, Feed, merged
from ocppscope.capture.pcapfile import open_captures
from ocppscope.errors import CaptureError
from ocppscope.model import BLOCK_PADDING, PacketBlock
from support_captures import Packet, Row, pcap_bytes, pcapng_bytes, rows


def block_of(times: list[int], first: int, source: int) -> PacketBlock:
    """Packets of four bytes that say where they are from."""
    data = b"".join(bytes([source]) + (first + n).to_bytes(3, "big") for n in range(len(times))) + bytes(
        BLOCK_PADDING
    )
    count = len(times)
    fours = np.full(count, 4, dtype=np.int64)
    return PacketBlock(
        data=data,
        offsets=np.arange(count, dtype=np.int64) * 4,
        caplen=fours,
        origlen=fours + source,
        time_ns=np.array(times, dtype=np.int64),
        linktype=np.full(count, source, dtype=np.uint16),
        first_packet=first,
    )


def blocks_of(sizes: list[list[int]], source: int) -> Iterator[PacketBlock]:
    first = 1
    for times in sizes:
        yield block_of(times, first, source)
        first += len(times)


def earliest_heads(captures: list[list[list[int]]]) -> list[tuple[int, int, int]]:
    """(time, source, number there) of each packet, one at a time."""
    queues = [[time for times in capture for time in times] for capture in captures]
    taken = [0] * len(queues)
    order = []
    while any(taken[source] < len(queue) for source, queue in enumerate(queues)):
        time, source = min(
            (queue[taken[source]], source) for source, queue in enumerate(queues) if taken[source] < len(queue)
        )
        taken[source] += 1
        order.append((time, source, taken[source]))
    return order


captures_of_blocks = st.lists(
    st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=4), max_size=5), min_size=1, max_size=5
)


@given(captures_of_blocks, st.booleans())
def test_the_earliest_head_is_next(captures: list[list[list[int]]], ordered: bool) -> None:
    if ordered:
        captures = [[sorted(times) for times in sorted(capture, key=min)] for capture in captures]
    feeds = [
        Feed(
            blocks[0][0] if blocks else EARLIEST,
            source,
            lambda blocks=blocks, source=source: blocks_of(blocks, source),
        )
        for source, blocks in enumerate(captures)
    ]
    found = rows(merged(feeds))
    assert [(row.time_ns, row.data[0], int.from_bytes(row.data[1:])) for row in found] == earliest_heads(captures)
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    assert all(row.origlen == 4 + row.data[0] and row.linktype == row.data[0] for row in found)


def test_parts_that_do_not_overlap_are_not_copied_and_read_one_at_a_time() -> None:
    parts = [[block_of([n * 10, n * 10 + 5], 1, n), block_of([n * 10 + 9], 3, n)] for n in range(4)]
    feeds = [Feed(n * 10, n, lambda n=n: iter(parts[n])) for n in (2, 0, 3, 1)]
    running: list[int] = []
    found = list(merged(feeds, running.append))
    assert [block.data for block in found] == [block.data for part in parts for block in part]
    assert all(block.data is original.data for block, original in zip(found, chain(*parts), strict=True))
    assert [block.first_packet for block in found] == [1, 3, 4, 6, 7, 9, 10, 12]
    assert max(running) == 1


def write(path: Path, times: list[int], *, pcapng: bool = False) -> Path:
    packets = [Packet(time * 1000, f"{path.name} {n}".encode()) for n, time in enumerate(times)]
    path.write_bytes(pcapng_bytes(packets, linktypes=(101,)) if pcapng else pcap_bytes(packets))
    return path


def texts(found: list[Row]) -> list[str]:
    return [row.data.decode() for row in found]


@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 20])
def test_two_captures_of_one_network(tmp_path: Path, chunk_bytes: int) -> None:
    a = write(tmp_path / "a", [1, 4, 4, 9])
    b = write(tmp_path / "b", [2, 4, 5, 10, 11], pcapng=True)
    with open_captures([a, b], chunk_bytes=chunk_bytes) as reader:
        found = rows(reader.blocks())
    assert texts(found) == ["a 0", "b 0", "a 1", "a 2", "b 1", "b 2", "a 3", "b 3", "b 4"]
    assert [row.linktype for row in found] == [1, 101, 1, 1, 101, 101, 1, 101, 101]
    assert [row.number for row in found] == list(range(1, 10))


def test_a_rotated_capture_in_any_order(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"part{n}", [n * 100 + 1, n * 100 + 2]) for n in range(12)]
    empty = write(tmp_path / "empty", [])
    with open_captures([*reversed(paths), empty]) as reader:
        found = rows(reader.blocks())
        assert reader.notices == []
    assert texts(found) == [f"part{n} {k}" for n in range(12) for k in range(2)]
    assert [row.number for row in found] == list(range(1, 25))


def test_more_parts_than_files_may_be_open(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    paths = [write(tmp_path / f"part{n}", [n]) for n in range(100)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with open_captures(paths) as reader:
            assert len(rows(reader.blocks())) == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_pipe_beside_a_file(tmp_path: Path) -> None:
    a = write(tmp_path / "a", [1, 4])
    b = write(tmp_path / "b", [2, 3, 5])
    with open_captures([a, "-"], stdin=io.BytesIO(b.read_bytes())) as reader:
        assert texts(rows(reader.blocks())) == ["a 0", "b 0", "b 1", "a 1", "b 2"]


def test_the_last_part_is_followed(tmp_path: Path) -> None:
    a = write(tmp_path / "a", [1, 2])
    b = write(tmp_path / "b", [3])
    more = pcap_bytes([Packet(4_000, b"more")])[24:]
    with open_captures([b, a], follow=True) as reader:
        blocks = reader.blocks()
        assert texts(rows([next(blocks), next(blocks)])) == ["a 0", "a 1", "b 0"]
        with b.open("ab") as file:
            file.write(more)
        assert texts(rows([next(blocks)])) == ["more"]


def test_a_damaged_part_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path / name, [time, time + 1]) for name, time in (("a", 1), ("b", 11), ("c", 21)))
    b.write_bytes(b.read_bytes()[:-1])
    with open_captures([a, b, c]) as reader:
        assert texts(rows(reader.blocks())) == ["a 0", "a 1", "b 0", "c 0", "c 1"]
        assert reader.notices == [f"{b} ends in the middle of packet 2: 2 of 3 bytes."]


def test_one_that_is_no_capture_fails_all(tmp_path: Path) -> None:
    a = write(tmp_path / "a", [1])
    (tmp_path / "b").write_text("hello")
    with pytest.raises(CaptureError, match="looks like text"):
        open_captures([a, tmp_path / "b"])
