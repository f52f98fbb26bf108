"""Where bytes come from: packed files, pipes, growing files, and inputs that are none."""

from __future__ import annotations

import gzip
import io
import os
import random
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from ocppscope.capture import bytesource
from ocppscope.capture.pcapfile import open_captures
from ocppscope.errors import AccessError, CaptureError, UsageError
from support_captures import Packet, Pcapng, Row, pcap_bytes, pcap_header, pcap_record, pcapng_bytes, rows

PACKETS = [Packet(n * 1_000_000, bytes([n % 251]) * (n % 90)) for n in range(2_000)]
PLAIN = pcap_bytes(PACKETS)
EXPECTED = [Row(n + 1, packet.time_ns, packet.data, packet.wire_length, 1) for n, packet in enumerate(PACKETS)]


def read(path: Path) -> tuple[list[Row], list[str]]:
    with open_captures([path]) as reader:
        return rows(reader.blocks()), [notice.removeprefix(f"{path} ") for notice in reader.notices]


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def streamed_zstd(data: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()  # does not know the length of its content
    return packer.compress(data) + packer.flush()


def skippable(data: bytes) -> bytes:
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


HALF = len(PLAIN) // 2
PACKED = {
    "gzip": gzip.compress(PLAIN),
    "gzip members": gzip.compress(PLAIN[:HALF]) + gzip.compress(b"") + gzip.compress(PLAIN[HALF:]),
    "gzip padding": gzip.compress(PLAIN) + bytes(1000),
    "zstd": zstd(PLAIN),
    "zstd stream": streamed_zstd(PLAIN),
    "zstd frames": zstd(PLAIN[:HALF]) + skippable(b"seek table") + zstd(b"") + streamed_zstd(PLAIN[HALF:]),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED.keys())
def test_packed_files(tmp_path: Path, packed: bytes) -> None:
    path = tmp_path / "a.pcap"  # the name does not matter
    path.write_bytes(packed)
    assert read(path) == (EXPECTED, [])


PACKERS = {"gzip": gzip.compress, "zstd": zstd, "zstd stream": streamed_zstd}
HEX = [Packet(n, random.Random(n).randbytes(300).hex().encode()) for n in range(1_000)]  # half as long when packed
LARGE = pcap_bytes(HEX)


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_files_that_are_cut_off_are_read_as_far_as_they_go(tmp_path: Path, kind: str) -> None:
    packed = PACKERS[kind](LARGE)
    path = tmp_path / "a.pcap.packed"
    best = 0
    for kept in range(5, len(packed), max(len(packed) // 50, 1)):
        path.write_bytes(packed[:kept])
        try:
            found, notices = read(path)
        except CaptureError:
            assert best == 0
            continue
        assert [row.data for row in found] == [packet.data for packet in HEX[: len(found)]]
        assert notices == ["is packed, and the packed data is cut off; what came before that is read."]
        best = max(best, len(found))
    assert best > len(HEX) // 2


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_files_that_are_damaged(tmp_path: Path, kind: str) -> None:
    packed = bytearray(PACKERS[kind](LARGE))
    intact = -8 if kind == "gzip" else len(packed) * 3 // 4  # most bytes mean something to gzip, but for its checksum
    packed[intact:] = b"\xff" * len(packed[intact:])
    path = tmp_path / "a.gz"
    path.write_bytes(packed)
    found, notices = read(path)
    assert len(found) > 100
    assert len(notices) == 1
    assert notices[0].startswith("is packed, and the packed data is damaged (")


@pytest.mark.parametrize("pack", [gzip.compress, zstd, streamed_zstd])
def test_a_bomb_is_unpacked_in_bounded_steps(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / "a.packed"
    path.write_bytes(pack(pcap_header() + pcap_record(Packet(0, b"x")) + bytes(60 << 20)))
    tracemalloc.start()
    try:
        with open_captures([path]) as reader:
            count = 0
            for block in reader.blocks():
                count += len(block.offsets)
                if count > 1_000_000:
                    break
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_progress_counts_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap.gz"
    path.write_bytes(PACKED["gzip"])
    with open_captures([path, path]) as reader:
        assert reader.progress == (0, 2 * len(PACKED["gzip"]))
        for _ in reader.blocks():
            pass
        assert reader.progress == (2 * len(PACKED["gzip"]), 2 * len(PACKED["gzip"]))


class Trickle(io.RawIOBase):
    """A pipe whose writer is in no hurry."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        piece = next(self.pieces, b"")
        assert len(piece) <= len(target)
        target[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("data", [PLAIN, PACKED["gzip"], PACKED["zstd"]], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("step", [1, 1000])
def test_standard_input_in_pieces(data: bytes, step: int) -> None:
    stream = Trickle(data[at : at + step] for at in range(0, len(data), step))
    with open_captures(["-"], stdin=stream) as reader:  # type: ignore[arg-type]
        assert reader.progress == (0, None)
        assert rows(reader.blocks()) == EXPECTED
        assert reader.progress == (len(data), None)
    assert not stream.closed


def test_a_pipe_gives_what_has_arrived() -> None:
    arrived: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield pcap_header()
        for number, packet in enumerate(PACKETS[:5], start=1):
            arrived.append(number)
            yield pcap_record(packet)

    with open_captures(["-"], stdin=Trickle(pieces())) as reader:  # type: ignore[arg-type]
        counts = [(len(block.offsets), len(arrived)) for block in reader.blocks()]
    assert counts == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]


def test_a_buffered_standard_input() -> None:
    with open_captures(["-"], stdin=io.BufferedReader(io.BytesIO(PLAIN))) as reader:
        assert rows(reader.blocks()) == EXPECTED


def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(PLAIN,))
    with open_captures([path]) as reader:
        writer.start()
        assert rows(reader.blocks()) == EXPECTED
        assert reader.progress == (len(PLAIN), None)
    writer.join()


@pytest.mark.parametrize("pack", [bytes, streamed_zstd], ids=["plain", "zstd"])
def test_a_file_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: object) -> None:
    assert callable(pack)
    monkeypatch.setattr(bytesource, "POLL_SECONDS", 0.001)
    path = tmp_path / "a.pcap"
    data = pcap_bytes(PACKETS[:3]) if pack is bytes else PACKED["zstd stream"]
    total = 3 if pack is bytes else len(PACKETS)
    path.write_bytes(data[:-10])
    seen = 0
    with open_captures([path], follow=True) as reader:
        blocks = reader.blocks()
        if pack is bytes:
            seen += len(next(blocks).offsets)
            assert seen == 2
        with path.open("ab") as file:
            file.write(data[-10:])
        while seen < total:
            seen += len(next(blocks).offsets)
        reader.stop()
        assert (list(blocks), reader.notices) == ([], [])
    assert seen == total


def test_a_followed_file_may_be_empty_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytesource, "POLL_SECONDS", 0.001)
    path = tmp_path / "a.pcap"
    path.touch()
    with open_captures([path], follow=True) as reader:
        path.write_bytes(PLAIN)
        assert next(reader.blocks()).first_packet == 1


def test_stopping_from_another_thread_ends_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(PLAIN[:-1])
    with open_captures([path], follow=True) as reader:
        threading.Timer(0.05, reader.stop).start()
        assert len(rows(reader.blocks())) == len(PACKETS) - 1
        assert reader.notices == []


def test_without_follow_the_current_end_is_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(PLAIN[:-1])
    found, notices = read(path)
    assert (len(found), len(notices)) == (len(PACKETS) - 1, 1)


class Broken(io.RawIOBase):
    def __init__(self) -> None:
        self.left = [PLAIN]

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        if not self.left:
            raise OSError(5, "Input/output error")
        piece = self.left.pop()[: len(target)]
        target[: len(piece)] = piece
        return len(piece)


def test_a_read_error_keeps_what_came_before() -> None:
    with open_captures(["-"], stdin=Broken()) as reader:  # type: ignore[arg-type]
        assert rows(reader.blocks())[:600] == EXPECTED[:600]
    trouble = "cannot be read further: Input/output error; what came before that is read."
    assert reader.notices == [f"standard input {trouble}"]


ERF = (1_600_000_000 << 32).to_bytes(8, "little") + bytes([2, 4, 0, 80, 0, 0, 0, 60]) + bytes(64)
NO_CAPTURES = {
    b"": "is empty",
    PLAIN[:10]: "ends within its file header (10 of 24 bytes)",
    b'{"action": "Boot"}\n': "looks like JSON",
    b'\xef\xbb\xbf [2,"1","Heartbeat",{}]': "looks like JSON",
    b"<!DOCTYPE html><html>": "looks like an HTML page",
    b"<?xml version='1.0'?><pdml>": "looks like XML",
    b"10:00:00.0 IP 10.0.0.1.5 > 10.0.0.2.80": "looks like text",
    b"snoop\0\0\0" + bytes(20): "is a snoop capture",
    ERF: "looks like an ERF capture",
    b"BZh91AY": "packed with bzip2",
    b"PK\x03\x04": "a zip archive",
    gzip.compress(gzip.compress(PLAIN)): "packed twice, with gzip",
    gzip.compress(b"hello"): "looks like text",
    gzip.compress(b""): "is empty",
    b"\x1f\x8b\x08nothing like it": "is packed, and the packed data is damaged",
    b"\x1f\x8b": "is packed, and the packed data is cut off",
    b"\x00\x01\x02\x03\x04\x05\x06\x07\x08": "begins with 00 01 02 03 04 05 06 07",
    b"\xa1\xb2": "begins with a1 b2",
}


@pytest.mark.parametrize(("data", "what"), NO_CAPTURES.items(), ids=NO_CAPTURES.values())
def test_what_is_no_capture_is_named(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(data)
    with pytest.raises(CaptureError) as caught:
        open_captures([path])
    assert what in caught.value.what
    assert caught.value.what.startswith(str(path))
    assert caught.value.what.endswith(".")
    with open_captures(["-"], stdin=io.BytesIO(data)) as reader, pytest.raises(CaptureError):
        next(reader.blocks())


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="There is no file"):
        open_captures([tmp_path / "missing.pcap"])
    with pytest.raises(CaptureError, match="is a directory"):
        open_captures([tmp_path])
    with pytest.raises(UsageError, match="no capture to read"):
        open_captures([])
    with pytest.raises(UsageError, match="named twice"):
        open_captures(["-", "-"], stdin=io.BytesIO())
    with pytest.raises(UsageError, match="no standard input"):
        open_captures(["-"])
    assert (CaptureError("").exit_code, AccessError("").exit_code) == (3, 4)


def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(PLAIN)
    path.chmod(0)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as it is for everybody but root
    with pytest.raises(AccessError, match="may not be read"):
        open_captures([path])


def test_files_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(pcapng_bytes(PACKETS) + Pcapng().block(99, b""))
    before = len(os.listdir("/proc/self/fd"))
    with open_captures([path]) as reader:
        next(reader.blocks())
    with open_captures([path, path]) as reader:
        next(reader.blocks())
    with pytest.raises(CaptureError):
        open_captures([path, tmp_path / "missing"])
    assert len(os.listdir("/proc/self/fd")) == before
