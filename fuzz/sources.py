"""What seeds are made from: this project's own captures, as packets, streams, texts and upgrades."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ocppscope.capture.pcapfile import open_captures
from ocppscope.engine import Engine
from ocppscope.model import Endpoint, Event, Message, PacketBlock
from ocppscope.options import Options
from ocppscope.wire.link import LinkDecoder, endpoints
from ocppscope.wire.tcp import Assembler, Segment

CAPTURES = Path(__file__).parents[1] / "captures"
SOME = (
    "ocpp16_plain", "ocpp16_deflate", "ocpp201", "malformed", "fragmented", "refused_handshakes", "ipv6",
    "any_interface", "remote_start_stop",
)  # fmt: skip


def capture(name: str) -> Path:
    """The path of a capture."""
    return CAPTURES / f"{name}.pcap"


@cache
def blocks(path: Path) -> tuple[PacketBlock, ...]:
    """The packets of a capture."""
    with open_captures([path]) as reader:
        return tuple(reader.blocks())


@cache
def events(name: str) -> tuple[Event, ...]:
    """What an engine makes of a capture."""
    engine = Engine(Options(every_websocket=True, hash_key=1))
    found = [event for block in blocks(capture(name)) for event in engine.packets(block)]
    return (*found, *engine.finish())


def messages(name: str) -> list[Message]:
    """The messages of a capture."""
    return [event for event in events(name) if isinstance(event, Message)]


def texts(*names: str) -> Iterator[bytes]:
    """A message of each kind, action and outcome."""
    seen = set()
    for name in names or SOME:
        for one in messages(name):
            key = one.kind, one.action, one.outcome, tuple(problem.code for problem in one.problems)
            if key not in seen:
                seen.add(key)
                yield one.text


def packets(path: Path) -> Iterator[tuple[int, bytes]]:
    """Link type and bytes of each packet."""
    for block in blocks(path):
        rows = zip(block.linktype.tolist(), block.offsets.tolist(), block.caplen.tolist(), strict=True)
        for linktype, at, length in rows:
            yield linktype, bytes(block.data[at : at + length])


class Connection:
    """A TCP connection of a capture: its segments, and what an assembler delivers of them."""

    def __init__(self, ends: tuple[Endpoint, Endpoint]) -> None:
        self.ends = ends
        self.segments: list[Segment] = []
        self.said: list[tuple[int, bytes]] = []  # direction (0: the client), bytes
        self.client = 0
        self._assembler = Assembler(self)

    def add(self, segment: Segment) -> None:
        """The next segment."""
        if segment.flags & 18 == 2:
            self.client = segment.direction
        self.segments.append(segment)
        self._assembler.add(segment)

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        """Of `tcp.Stream`."""
        self.said.append((direction ^ self.client, bytes(data)))

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """Of `tcp.Stream`."""

    def problem(self, direction: int, problem: object, time_ns: int) -> None:
        """Of `tcp.Stream`."""

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        """Of `tcp.Stream`."""


@cache
def connections(path: Path) -> tuple[Connection, ...]:
    """The connections of a capture."""
    link, found = LinkDecoder(1), dict[int, Connection]()
    for block in blocks(path):
        segments = link.decode(block)
        columns = (segments.key, segments.direction, segments.seq, segments.ack, segments.flags, segments.payload)
        rows = zip(*(column.tolist() for column in columns), segments.length.tolist(), strict=True)
        for index, (key, direction, seq, ack, flags, at, length) in enumerate(rows):
            number = int(segments.packet[index])
            source, target = endpoints(segments.data, int(segments.ip[index]))
            ends = (source, target) if direction == 0 else (target, source)
            data, time_ns = bytes(segments.data[at : at + length]), int(block.time_ns[number])
            one = found.setdefault(key, Connection(ends))
            one.add(Segment(direction, seq, ack, flags, data, 0, time_ns, number))
    return tuple(found.values())


def heads(name: str) -> Iterator[tuple[bytes, bytes]]:
    """Request and response of each upgrade, with what follows at once."""
    for one in connections(capture(name)):
        yield (
            b"".join(data for side, data in one.said[:4] if side == 0),
            b"".join(data for side, data in one.said[:4] if side == 1),
        )


def streams(name: str, most: int = 12) -> Iterator[list[tuple[int, bytes]]]:
    """What both sides of each connection said first."""
    for one in connections(capture(name)):
        if one.said:
            yield one.said[:most]
