"""Whole captures: the same events however packets are cut into blocks, each naming its packets, fit for a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress

from fuzz import sources
from fuzz.targets.link import block
from ocppscope.capture.pcapfile import open_captures
from ocppscope.engine import Engine
from ocppscope.errors import CaptureError
from ocppscope.model import ConnectionClosed, ConnectionOpened, Event, Message, PacketBlock
from ocppscope.options import Options
from ocppscope.render.csvtext import CsvFormat
from ocppscope.render.jsonl import JsonlFormat
from ocppscope.render.textlog import Style, TextFormat
from ocppscope.wire.frames import MAX_MESSAGE_BYTES

OPTIONS = Options(every_websocket=True, hash_key=1)


def blocks(data: bytes) -> list[PacketBlock]:
    """The blocks of a capture."""
    found = []
    with open_captures(["-"], stdin=io.BytesIO(data)) as reader, suppress(CaptureError):
        found.extend(reader.blocks())
    return found


def single(part: PacketBlock) -> Iterator[PacketBlock]:
    """Each packet as a block of its own."""
    columns = (part.offsets, part.caplen, part.origlen, part.time_ns, part.linktype)
    for place, (at, length, orig, time_ns, kind) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        one = block([(0, bytes(part.data[at : at + length]))], part.first_packet + place)
        one.origlen[0], one.time_ns[0], one.linktype[0] = orig, time_ns, kind
        yield one._replace(comments=tuple((0, text) for where, text in part.comments if where == place))


def decode(parts: Iterable[PacketBlock]) -> list[Event]:
    """The events of blocks."""
    engine = Engine(OPTIONS)
    found = [event for part in parts for event in engine.packets(part)]
    return [*found, *engine.finish()]


def check(events: list[Event], packets: int, size: int) -> None:
    """Provenance and bounds of events, and what is printed of them."""
    formats = TextFormat(Style(full=True, pings=True)), JsonlFormat(), CsvFormat()
    numbers = set()
    total = 0
    for event in events:
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            numbers.add(event.connection.number)
            for form in formats:
                form.seen(event.connection)
        if isinstance(event, Message):
            assert event.connection in numbers
            assert event.packets
            assert all(0 < number <= packets for number in event.packets)
            assert len(event.text) <= MAX_MESSAGE_BYTES
            total += 0 if event.compressed else len(event.text)
        for line in printed(event, formats):
            assert all(one.isprintable() for one in line.split("\n")), line
    assert total <= size


def printed(event: Event, formats: tuple[TextFormat, JsonlFormat, CsvFormat]) -> Iterator[str]:
    """What the log prints of an event, where that goes to a terminal."""
    text, rows, cells = formats
    for form in formats:
        body = form.message(event) if isinstance(event, Message) else form.event(event)
        if body is None:
            continue
        number = event.connection if isinstance(event, Message) else 0
        line = form.line(1 if isinstance(event, Message) else None, number, event.time_ns, body)
        if form is text:
            yield line
        elif form is rows:
            json.loads(line)
        else:
            assert form is cells
            assert "\x00" not in line


def target(data: bytes) -> None:
    """As the reader gives the blocks, and packet by packet."""
    parts = blocks(data)
    whole = decode(parts)
    packets = sum(len(part.offsets) for part in parts)
    check(whole, packets, len(data))
    assert decode(one for part in parts for one in single(part)) == whole


def seeds() -> Iterator[bytes]:
    """Captures of few packets."""
    for name in ("ocpp16_plain", "ocpp16_deflate", "malformed", "refused_handshakes", "any_interface", "ipv6"):
        yield first(sources.capture(name).read_bytes(), 6000)
    for path in sorted(sources.CAPTURES.glob("tls/tls1*.pcapng"))[:2]:
        yield path.read_bytes()[:6000]
    yield first(sources.capture("midstream").read_bytes(), 5000)


def first(data: bytes, size: int) -> bytes:
    """The packets of a pcap that fit into so many bytes."""
    at = 24
    while (stop := at + 16 + int.from_bytes(data[at + 8 : at + 12], "little")) <= min(size, len(data)) and stop > at:
        at = stop
    return data[:at]
