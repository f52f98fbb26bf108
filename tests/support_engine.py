"""Runs an engine over captures, cut as a test wishes, and reads truth logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ocppscope.capture.pcapfile import open_captures
from ocppscope.engine import Engine
from ocppscope.model import (
    BLOCK_PADDING,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Event,
    Message,
    PacketBlock,
    Side,
    StreamGap,
)
from ocppscope.options import Options

CAPTURES = Path(__file__).parents[1] / "captures"
SHARED = Path(__file__).parents[2] / "shared" / "captures"
SIDES = {"cp->csms": Side.STATION, "csms->cp": Side.CSMS}


class Run(NamedTuple):
    """What an engine made of a capture, sorted by kind of event; `events` holds all, in order."""

    events: list[Event]
    messages: list[Message]
    controls: list[ControlFrame]
    gaps: list[StreamGap]
    opened: list[Connection]
    closed: list[Connection]

    @property
    def connections(self) -> dict[int, Connection]:
        """The last snapshot of each connection, by number."""
        return {connection.number: connection for connection in (*self.opened, *self.closed)}

    def of(self, number: int, side: Side | None = None) -> list[Message]:
        """The messages of a connection, of both sides or of one."""
        return [m for m in self.messages if m.connection == number and (side is None or m.side is side)]


def blocks_of(path: Path) -> Iterator[PacketBlock]:
    """The blocks of a capture, as large as the reader makes them."""
    with open_captures([path]) as reader:
        yield from reader.blocks()


def cut(blocks: Iterable[PacketBlock], size: int) -> Iterator[PacketBlock]:
    """The same packets in blocks of `size`, each in a buffer of its own with nothing around but the padding."""
    for block in blocks:
        for first in range(0, len(block.offsets), size):
            chosen = slice(first, first + size)
            pieces = [
                bytes(block.data[at : at + length])
                for at, length in zip(block.offsets[chosen].tolist(), block.caplen[chosen].tolist(), strict=True)
            ]
            offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)[:-1]
            yield block._replace(
                data=b"".join(pieces) + bytes(BLOCK_PADDING),
                offsets=offsets,
                caplen=block.caplen[chosen],
                origlen=block.origlen[chosen],
                time_ns=block.time_ns[chosen],
                linktype=block.linktype[chosen],
                first_packet=block.first_packet + first,
                comments=tuple(
                    (place - first, text) for place, text in block.comments if first <= place < first + size
                ),
            )


def sort(events: list[Event]) -> Run:
    """Events by kind."""
    return Run(
        events,
        [event for event in events if isinstance(event, Message)],
        [event for event in events if isinstance(event, ControlFrame)],
        [event for event in events if isinstance(event, StreamGap)],
        [event.connection for event in events if isinstance(event, ConnectionOpened)],
        [event.connection for event in events if isinstance(event, ConnectionClosed)],
    )


def decode(blocks: Iterable[PacketBlock], options: Options | None = None) -> Run:
    """Blocks through an engine, to the end of the capture."""
    engine = Engine(options)
    events = [event for block in blocks for event in engine.packets(block)]
    return sort([*events, *engine.finish()])


def run(path: Path, options: Options | None = None) -> Run:
    """A capture through an engine."""
    return decode(blocks_of(path), options)


class Truth(NamedTuple):
    """What the peers of a capture say they sent and received."""

    meta: dict[str, Any]
    events: list[dict[str, Any]]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages, whether captured or not, in the order in which they were sent."""
        return [event for event in self.events if event["kind"] == "msg"]

    @property
    def captured(self) -> list[dict[str, Any]]:
        """The messages that the capture holds."""
        return [event for event in self.messages if event.get("captured", True)]

    def texts(self, *, captured: bool = True) -> list[bytes]:
        """The texts of the messages."""
        return [octets(event) for event in (self.captured if captured else self.messages)]


def truth_of(path: Path) -> Truth:
    """The truth log at `path`."""
    meta, *events = map(json.loads, path.read_text().splitlines())
    return Truth(meta, events)


def octets(event: dict[str, Any]) -> bytes:
    """A message's text as it was on the wire."""
    text: str = event["text"]
    return text.encode()


def groups(items: Iterable[Any], key: Callable[[Any], object]) -> dict[Any, list[Any]]:
    """Items by key, in order."""
    found: dict[Any, list[Any]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def is_trusted(message: Message) -> bool:
    """Whether a text is given as what was on the wire: no problem says that a part of it was lost or guessed."""
    return not any(problem.code.startswith(("ws.context-", "ws.lost-bytes")) for problem in message.problems)
