"""Segments in any order: what is delivered was sent, in the packet that is named, and no more is held than may be."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz import sources
from fuzz.tape import packed, records
from ocppscope.model import Problem
from ocppscope.wire.tcp import MAX_HELD_BYTES, MAX_HELD_SEGMENTS, Assembler, Segment

FLAGS = (0x10, 0x18, 0x02, 0x12, 0x11, 0x04, 0x14, 0x00)
HEAD = 6  # of a body: sequence and acknowledgement as steps, what is missing, time


class Sink:
    """Holds what is delivered against what was sent."""

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = segments
        self.delivered = [0, 0]
        self.closed_with: list[str] = []

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        """Of `tcp.Stream`."""
        sent = self.segments[packet]
        assert data, "nothing was delivered"
        assert sent.direction == direction
        assert data in sent.data, "bytes that this packet did not have"
        self.delivered[direction] += len(data)

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """Of `tcp.Stream`."""
        assert lost > 0
        assert why

    def problem(self, direction: int, problem: Problem, time_ns: int) -> None:
        """Of `tcp.Stream`."""
        assert problem.text

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        """Of `tcp.Stream`."""
        self.closed_with.append(how)


def segment(tag: int, body: bytes, number: int) -> Segment:
    """A segment near the others; tags from 0x80 on wrap around."""
    head = body[:HEAD].ljust(HEAD, b"\0")
    base = 0xFFFFFF00 if tag & 0x80 else 0
    seq = (base + int.from_bytes(head[:2], "big")) & 0xFFFFFFFF
    ack = (base + int.from_bytes(head[2:4], "big")) & 0xFFFFFFFF
    time_ns = number * 1_000_000 + head[5] * 10**8
    return Segment(tag & 1, seq, ack, FLAGS[tag >> 1 & 7], body[HEAD:], head[4], time_ns, number)


def target(data: bytes) -> None:
    """Segments as they come, time now and then running out."""
    segments = [segment(tag, body, number) for number, (tag, body) in enumerate(records(data))]
    sink = Sink(segments)
    assembler = Assembler(sink)
    for one in segments:
        if assembler.restarts(one):
            assembler.finish(one.time_ns)
            assembler = Assembler(sink)
        assembler.add(one)
        for half in assembler.halves:
            assert half.held_bytes <= MAX_HELD_BYTES + 65536
            assert len(half.held) <= MAX_HELD_SEGMENTS + 1
        if assembler.deadline is not None and one.seq & 3 == 0:
            assembler.expire(assembler.deadline + 1)
    assembler.finish(10**12)
    for direction in (0, 1):
        assert sink.delivered[direction] <= sum(len(one.data) for one in segments if one.direction == direction)
        assert not assembler.halves[direction].held


def seeds() -> Iterator[bytes]:
    """Connections of captures, and the same with segments swapped, doubled and left out."""
    for name in ("loss_reorder", "ocpp16_plain", "swapped_segments"):
        one = sources.connections(sources.capture(name))[0]
        base = [min(s.seq for s in one.segments if s.direction == way) for way in (0, 1)]
        steps = [_step(s, base) for s in one.segments[:40]]
        yield packed(steps)
        yield packed(steps[::-1])
        yield packed([*steps[:10], *steps[5:12], *steps[14:]])
        yield packed([(tag | 0x80, body) for tag, body in steps])


def _step(one: Segment, base: list[int]) -> tuple[int, bytes]:
    kind = {0x10: 0, 0x18: 1, 0x02: 2, 0x12: 3, 0x11: 4, 0x19: 4, 0x04: 5, 0x14: 6}.get(one.flags & 0x1F, 0)
    seq, ack = (one.seq - base[one.direction]) & 0xFFFF, (one.ack - base[1 - one.direction]) & 0xFFFF
    return one.direction | kind << 1, seq.to_bytes(2, "big") + ack.to_bytes(2, "big") + b"\0\0" + one.data[:120]
