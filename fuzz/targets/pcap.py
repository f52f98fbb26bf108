"""Capture files: whatever the bytes are, blocks are sound, and do not depend on how the file is read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from fuzz import sources
from ocppscope.acts import act_of, comment_of
from ocppscope.capture.annotations import MAX_NAMES, MAX_NOTICES
from ocppscope.capture.pcapfile import open_captures
from ocppscope.errors import CaptureError
from ocppscope.model import BLOCK_PADDING, PacketBlock

WORDS = (b"\x0a\x0d\x0d\x0a", b"\x4d\x3c\x2b\x1a", b"\xd4\xc3\xb2\xa1", b"\x06\0\0\0", b"\x01\0\0\0", b"\x0a\0\0\0")
MAX_EXPANSION = 64 << 20
ZSTD = b"\x28\xb5\x2f\xfd"
PACKED = (b"\x1f\x8b", ZSTD)


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__()
        self._inner = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        """Of `RawIOBase`."""
        return True

    def readinto(self, target: Any) -> int:
        """Of `RawIOBase`."""
        return self._inner.readinto(memoryview(target)[: self._step])


def read(data: bytes, step: int = 1 << 20) -> tuple[list[tuple[Any, ...]], str]:
    """The packets of a capture, one by one, and why it ended."""
    rows: list[tuple[Any, ...]] = []
    reader = open_captures(["-"], stdin=Trickle(data, step))  # type: ignore[arg-type]
    try:
        for block in reader.blocks():
            check(block, len(rows))
            rows += packets(block)
            if sum(len(row[2]) for row in rows[-1:]) > MAX_EXPANSION:
                break
    except CaptureError as error:
        return rows, str(error)
    finally:
        reader.close()
    assert len(reader.notices) <= MAX_NOTICES + 1
    assert len(reader.names) <= MAX_NAMES
    assert all(line.isprintable() for line in reader.notices), reader.notices
    return rows, ""


def check(block: PacketBlock, before: int) -> None:
    """A block's columns fit each other and its buffer."""
    columns = block.offsets, block.caplen, block.origlen, block.time_ns, block.linktype
    assert len({len(column) for column in columns}) == 1
    assert block.first_packet == before + 1
    assert (block.caplen >= 0).all()
    assert (block.offsets >= 0).all()
    assert (block.offsets + block.caplen + BLOCK_PADDING <= len(block.data)).all()
    for place, text in block.comments:
        assert 0 <= place < len(block.offsets)
        act = act_of(text)
        assert act is None or act_of(comment_of(act)) == act


def packets(block: PacketBlock) -> Iterator[tuple[Any, ...]]:
    """What a block says of each packet."""
    comments: dict[int, list[str]] = {}
    for place, text in block.comments:
        comments.setdefault(place, []).append(text)
    columns = block.offsets, block.caplen, block.origlen, block.time_ns, block.linktype
    for place, (at, length, orig, time_ns, kind) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        yield time_ns, orig, bytes(block.data[at : at + length]), kind, tuple(comments.get(place, ()))


def target(data: bytes) -> None:
    """The same packets from a pipe that gives much and one that gives little; no more bytes than there are."""
    whole, end = read(data)
    if not data.startswith(PACKED):
        assert sum(len(row[2]) for row in whole) <= len(data)
    other, how = read(data, 1 + len(data) % 97)
    if data.startswith(ZSTD):  # it gives nothing of a piece with damage in it, and pieces are as they come
        common = min(len(whole), len(other))
        assert whole[:common] == other[:common]
    else:
        assert (other, bool(how)) == (whole, bool(end))


def seeds() -> Iterator[bytes]:
    """The beginnings of captures of either format, and a packed one."""
    import gzip  # noqa: PLC0415

    import zstandard  # noqa: PLC0415

    for name in ("ocpp16_plain", "any_interface", "ipv6"):
        yield sources.capture(name).read_bytes()[:2500]
    for path in sorted(sources.CAPTURES.glob("**/*.pcapng"))[:4]:
        yield path.read_bytes()[:3000]
    yield zstandard.compress(sources.capture("ocpp16_plain").read_bytes()[:2500])
    yield gzip.compress(sources.capture("ocpp16_plain").read_bytes()[:2500], mtime=0)
    yield pcapng()


def pcapng() -> bytes:
    """A pcapng file with everything in it that is read: comments, acts, secrets, names, statistics."""
    from ocppscope.capture import pcapngout  # noqa: PLC0415

    parts = [pcapngout.section("fuzz", "a comment"), pcapngout.interface(1, "eth0", snaplen=0)]
    for number, (_, octets) in enumerate(list(sources.packets(sources.capture("ocpp16_plain")))[:6]):
        parts.append(
            pcapngout.packet(0, 10**18 + number, octets, comment=["ocppscope: held", "ocppscope: dropped why"])
        )
    parts += [pcapngout.secrets(b"CLIENT_RANDOM " + b"00" * 32 + b" " + b"11" * 48 + b"\n")]
    parts += [pcapngout.statistics(0, 10**18, 6, 0)]
    return b"".join(parts)
