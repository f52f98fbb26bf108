"""Frames of one direction: the same however they are cut, none invented, and as wsproto reads them where they are legal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from fuzz import sources
from fuzz.tape import pieces
from ocppscope.model import Side, Text
from ocppscope.wire.judge import Judge
from ocppscope.wire.websocket import MAX_FRAME_PROBLEMS, Control, Reader

WORDS = (
    b"\x81\x80",
    b"\x81\x7e\x01\x00",
    b"\x81\x7f\0\0\0\0\0\1\0\0",
    b"\x88\x02\x03\xe8",
    b"\x89\x00",
    b"\x01\x02[2",
)


class Notes:
    """Takes down what a reader finds. Implements `websocket.Sink`."""

    def __init__(self) -> None:
        self.found: list[tuple[object, ...]] = []
        self.size = 0
        self.unread_bytes = 0
        self.troubled = False

    def text(self, side: Side, text: Text) -> None:
        """Of `Sink`."""
        self.found.append(("text", text.payload, text.binary, text.frames, text.wire_size, text.problems))
        self.size += text.wire_size
        self.troubled |= bool(text.problems)
        assert len(text.problems) <= 2 * MAX_FRAME_PROBLEMS

    def control(self, side: Side, control: Control) -> None:
        """Of `Sink`."""
        self.found.append(
            ("control", control.opcode, control.payload, control.code, control.reason, control.problems)
        )
        self.troubled |= bool(control.problems)

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        """Of `Sink`."""
        self.unread_bytes += count

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        """Of `Sink`."""
        self.troubled = True
        judge = Judge(side, None)
        judge.feed(octets)


def read(side: Side, parts: Iterable[bytes], *, synced: bool = True) -> Notes:
    """What a reader finds."""
    notes = Notes()
    reader = Reader(side, notes, None, synced=synced)
    for number, part in enumerate(parts):
        reader.feed(part, 1, number)
    reader.finish(2)
    return notes


def target(data: bytes) -> None:
    """As a whole, in pieces, from the middle, and by wsproto."""
    side, body = Side(data[0] & 1) if data else Side.STATION, data[1:]
    for synced in (False, True):
        whole = read(side, [body] if body else [], synced=synced)
        other = read(side, pieces(body), synced=synced)
        assert other.found == whole.found
        assert other.unread_bytes == whole.unread_bytes
        assert whole.size + whole.unread_bytes <= len(body)
    expected = by_wsproto(side, body)
    if expected is not None and not whole.troubled:
        assert [one[1] for one in whole.found if one[0] == "text"][: len(expected)] == expected


def by_wsproto(side: Side, body: bytes) -> list[bytes] | None:
    """The texts up to a Close frame; None where a strict endpoint objects."""
    strict = Connection(ConnectionType.SERVER if side is Side.STATION else ConnectionType.CLIENT)
    texts: list[bytes] = []
    part = bytearray()
    try:
        strict.receive_data(body)
        for event in strict.events():
            if isinstance(event, TextMessage | BytesMessage):
                part += event.data.encode() if isinstance(event.data, str) else event.data
                if event.message_finished:
                    texts.append(bytes(part))
                    part.clear()
            elif isinstance(event, CloseConnection):
                break
            else:
                assert isinstance(event, Ping) or event
    except (RemoteProtocolError, LocalProtocolError):
        return None
    return texts


def seeds() -> Iterator[bytes]:
    """The frames behind the upgrades of captures, by side."""
    for name in ("ocpp16_plain", "fragmented", "malformed", "ocpp201", "midstream"):
        for one in sources.connections(sources.capture(name))[:1]:
            for side in (0, 1):
                said = b"".join(data for way, data in one.said if way == side)
                body = said.partition(b"\r\n\r\n")[2] if said[:4] in (b"GET ", b"HTTP") else said
                yield bytes([side]) + body[:1500]
    yield b'\1\x01\x02[3\x89\x01x\x80\x0a,"1",{}   ]\x88\x05\x03\xe8bye'
