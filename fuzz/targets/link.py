"""Packets of any link type: what is found in them lies in them, and does not depend on how they come in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fuzz import sources
from fuzz.tape import packed, records
from ocppscope.model import BLOCK_PADDING, PacketBlock
from ocppscope.wire.link import LinkDecoder, endpoints

KINDS = (1, 113, 276, 0, 108, 12, 14, 101, 228, 229, 9, 50, 104, 239, 258, 127, 105, 147)
MAX_PACKETS = 64


def block(packets: list[tuple[int, bytes]], first: int = 1) -> PacketBlock:
    """Packets as one block; of each the tag tells the link type, and whether it was cut."""
    lengths = [len(body) for _, body in packets]
    return PacketBlock(
        b"".join(body for _, body in packets) + bytes(BLOCK_PADDING),
        np.cumsum([0, *lengths], dtype=np.int64)[:-1],
        np.array(lengths, np.int64),
        np.array([len(body) + (tag >> 5) * 9 for tag, body in packets], np.int64),
        np.arange(len(packets), dtype=np.int64) + first,
        np.array([KINDS[(tag & 31) % len(KINDS)] for tag, _ in packets], np.uint16),
        first,
    )


def found(decoder: LinkDecoder, part: PacketBlock) -> Iterator[tuple[Any, ...]]:
    """What a decoder finds in a block, segment by segment."""
    segments = decoder.decode(part)
    rows = {name: column.tolist() for name, column in segments._asdict().items() if name != "data"}
    assert len({len(column) for column in rows.values()}) == 1
    for number in range(len(rows["packet"])):
        one = {name: column[number] for name, column in rows.items()}
        assert 0 <= one["packet"] < len(part.offsets)
        assert one["direction"] in (0, 1)
        assert one["length"] >= 0
        assert one["missing"] >= 0
        assert 0 <= one["payload"] <= one["payload"] + one["length"] <= len(segments.data)
        body = bytes(segments.data[one["payload"] : one["payload"] + one["length"]])
        ends = endpoints(segments.data, one["ip"])
        assert all(0 <= end.port < 1 << 16 for end in ends)
        rest = [one[name] for name in ("key", "direction", "seq", "ack", "flags", "missing")]
        yield part.first_packet + one["packet"], *rest, body, ends


def decoded(parts: Iterable[PacketBlock]) -> list[tuple[Any, ...]]:
    """The segments of blocks."""
    decoder = LinkDecoder(1)
    return [one for part in parts for one in found(decoder, part)]


def target(data: bytes) -> None:
    """One block, and one packet a block."""
    packets = [(tag, body) for tag, body in records(data, MAX_PACKETS)]
    if not packets:
        return
    whole = decoded([block(packets)])
    single = decoded(block([one], number + 1) for number, one in enumerate(packets))
    assert sorted(whole) == sorted(single)
    assert sum(len(one[-2]) for one in whole) <= sum(len(body) for _, body in packets)


def seeds() -> Iterator[bytes]:
    """Packets of captures, and the same in other clothes: tags, tunnels, fragments."""
    for name in ("ocpp16_plain", "any_interface", "ipv6"):
        packets = list(sources.packets(sources.capture(name)))[:8]
        yield packed((KINDS.index(kind) if kind in KINDS else 0, body) for kind, body in packets)
    frames = [body for kind, body in sources.packets(sources.capture("ocpp16_plain")) if kind == 1][:6]
    yield packed((0, body[:12] + b"\x81\0\0\x05\x88\xa8\0\x07" + body[12:]) for body in frames)
    yield packed((0, body[:12] + b"\x88\x64\x11\0\0\1\0\x50\0\x21" + body[14:]) for body in frames)
    yield packed((5, body[14:]) for body in frames)
    yield packed(fragments(frames[-1]))
    yield packed((0x60, body[:60]) for body in frames)


def fragments(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """An Ethernet frame with IPv4, as two fragments."""
    head, body = frame[:34], frame[34:]
    for offset, part, more in ((0, body[:16], 0x20), (2, body[16:], 0)):
        flags = bytes([more, offset])
        yield 0, head[:16] + (20 + len(part)).to_bytes(2, "big") + head[18:20] + flags + head[22:] + part
