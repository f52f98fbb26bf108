"""Both directions of a connection, as a proxy reads them: the same messages however the bytes are cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fuzz import sources
from fuzz.tape import packed, pieces, records
from ocppscope.engine import Engine
from ocppscope.model import (
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Endpoint,
    Event,
    ExchangeEnd,
    Flow,
    Message,
    Side,
    StreamGap,
)
from ocppscope.options import Options

FLOW = Flow(Endpoint("192.0.2.1", 50_000), Endpoint("192.0.2.2", 80))
ENDS = ("FIN", "RST")


def decode(steps: Iterable[tuple[int, bytes]]) -> list[tuple[Any, ...]]:
    """What an engine makes of what both sides said, without the packets."""
    engine = Engine(Options(every_websocket=True))
    track = engine.open_stream(FLOW, 0)
    events: list[Any] = []
    over = False
    for number, (tag, body) in enumerate(steps):
        side = Side(tag & 1)
        if tag & 0xF8 == 0xF8:
            if not over:
                events += engine.stream_closed(track, side, ENDS[tag >> 1 & 1], number)
                over = True
        elif body and not over:
            events += engine.stream(track, side, body, number)
    events += engine.finish()
    return [essence(event) for event in events if not isinstance(event, ConnectionOpened | ExchangeEnd)]


def essence(event: Event) -> tuple[Any, ...]:
    """What does not depend on where the bytes were cut: all but times."""
    if isinstance(event, ConnectionClosed):
        one = event.connection
        return one.station, one.version, one.messages, one.close_how, one.close_code, one.problems
    if isinstance(event, ControlFrame):
        return event.side, event.opcode, event.payload, event.close_code, event.close_reason, event.problems
    if isinstance(event, StreamGap):
        return event.side, event.lost_bytes, event.why
    assert isinstance(event, Message)
    return event.side, event.kind, event.id, event.action, event.text, event.wire_size, event.frames, event.problems


def target(data: bytes) -> None:
    """As said, and cut."""
    steps = [(tag, body) for tag, body in records(data) if body]
    whole = decode(steps)
    assert decode((tag, piece) for tag, body in steps for piece in pieces(body)) == whole
    assert sum(len(one[4]) for one in whole if len(one) == 8) <= 128 * len(data) + (16 << 20)


def seeds() -> Iterator[bytes]:
    """The beginnings of recorded connections."""
    for name in ("ocpp16_plain", "ocpp16_deflate", "fragmented", "malformed", "refused_handshakes", "ocpp201"):
        for said in list(sources.streams(name))[:2]:
            yield packed([*said, (0xF8, b"")])
