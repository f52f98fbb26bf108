"""Packets for what has none: a log, the content of TLS. Times, directions and contents are real, the rest is made up.

Events in, packets out, in order of time. What an upgrade does not say any more (passwords) is written as asterisks,
and a connection of which no upgrade is known gets one, so that other programs know what they see.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture.synthetic import Conversation
from ocppscope.export.evidence import Row
from ocppscope.export.rewriting.blocks import Made
from ocppscope.export.rewriting.encoding import simple_frame
from ocppscope.export.rewriting.remarks import EXPORT, remarks_on
from ocppscope.model import (
    ConnectionClosed,
    ControlFrame,
    Endpoint,
    PacketComment,
    Side,
    StreamGap,
    Version,
)
from ocppscope.wire.frames import BINARY, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocppscope.export.evidence import Item
    from ocppscope.export.rewriting.chosen import Chosen
    from ocppscope.export.writing import Job
    from ocppscope.model import Connection, Handshake

MAX_MISSED = 1 << 20
"""Bytes by which a gap is shown, however many were lost."""
MAX_STARS = 64
"""Asterisks that stand for a password."""

FROM_TLS = f"{EXPORT}packets made up from what was decrypted; the segments and ACKs were not on the wire"
FROM_LOG = f"{EXPORT}packets made up from messages; the segments and ACKs were not on the wire"
NO_UPGRADE = f"{EXPORT}this upgrade is made up, too: none was seen"
_PORTS = {443: 80, 8443: 8080}  # where other programs expect TLS
_KEY, _ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # of RFC 6455 §1.3
_PROTOCOLS: dict[Version, str] = {one: f"ocpp{one.value}" for one in Version if one is not Version.UNKNOWN}
_BASIC = re.compile(r"(?is)(basic) (.*):\*\*\*(?: \((\d{1,9}) bytes\))?")
_BROKEN = re.compile(r"[\r\n\0]+")
_BODY_HEADERS = frozenset({"content-length", "transfer-encoding", "content-encoding"})


class _Begin(NamedTuple):
    """When a connection opens, and the heads of its upgrade come."""

    time_ns: int
    step: int
    number: int


def invented(items: Iterable[Item], chosen: Chosen, job: Job) -> Iterator[Made]:
    """The packets of the connections in `chosen.invented`, on interface 0."""
    maker = _Maker(chosen)
    for item in items:
        job.step()
        time_ns = item.message.time_ns if isinstance(item, Row) else item.time_ns
        yield from maker.until(time_ns)
        yield from maker.take(item)
    yield from maker.until(None)


class _Maker:
    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._talks: dict[int, _Talk] = {}
        self._coming: list[_Begin] = []
        for number in sorted(chosen.invented):
            connection = chosen.connections[number]
            self._talks[number] = _Talk(connection)
            self._coming += [_Begin(time_ns, step, number) for step, time_ns in enumerate(_beginning(connection))]
        heapq.heapify(self._coming)

    def until(self, time_ns: int | None) -> Iterator[Made]:
        """What opens before a time."""
        while self._coming and (time_ns is None or self._coming[0].time_ns <= time_ns):
            begin = heapq.heappop(self._coming)
            yield from self._talks[begin.number].begin(begin.step, begin.time_ns)

    def take(self, item: Item) -> Iterator[Made]:
        """What an item of the evidence becomes."""
        if isinstance(item, Row):
            talk = self._talks.get(item.message.connection)
            if talk is not None:
                yield from talk.message(item)
        elif isinstance(item, ControlFrame | StreamGap | PacketComment):
            talk = self._talks.get(item.connection)
            if talk is not None:
                yield from talk.between(item)
        elif isinstance(item, ConnectionClosed):
            talk = self._talks.get(item.connection.number)
            if talk is not None:
                yield from talk.close(item)


def _beginning(connection: Connection) -> tuple[int, int, int]:
    """When a connection opened, asked, and was answered."""
    shake, opened = connection.handshake, connection.opened_ns
    if shake is None:
        return opened, opened, opened
    asked = max(shake.requested_ns, opened) if shake.method else opened
    return min(opened, asked), asked, max(shake.answered_ns or asked, asked)


class _Talk:
    """One connection that is made up."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        client, server = (_address(end, side) for side, end in enumerate(connection.flow))
        if connection.tls is not None:
            server = server._replace(port=_PORTS.get(server.port, server.port))
        self._packets = Conversation(connection.number + 1, client, server)
        self._steps = 0

    def begin(self, step: int, time_ns: int) -> Iterator[Made]:
        """A step of the beginning, with all before it, once."""
        while self._steps <= step:
            blocks = (self._open, self._request, self._response)[self._steps](time_ns)
            self._steps += 1
            if blocks:
                yield Made(time_ns, blocks)

    def _open(self, time_ns: int) -> bytes:
        connection = self._connection
        comments = [FROM_TLS if connection.tls is not None else FROM_LOG]
        if connection.handshake is None:
            comments.append(NO_UPGRADE)
        return self._packets.open(time_ns, comments)

    def _request(self, time_ns: int) -> bytes:
        shake = self._connection.handshake
        if shake is not None and not shake.method:
            return b""
        head = request_head(shake) if shake is not None else made_up_request(self._connection)
        return self._packets.data(Side.STATION, head, time_ns)

    def _response(self, time_ns: int) -> bytes:
        connection = self._connection
        shake = connection.handshake
        if shake is not None and shake.status is not None:
            return self._packets.data(Side.CSMS, response_head(shake), time_ns)
        if not any(connection.messages):
            return b""
        return self._packets.data(Side.CSMS, made_up_response(connection), time_ns, NO_UPGRADE)

    def message(self, row: Row) -> Iterator[Made]:
        """A message as one frame."""
        message = row.message
        yield from self.begin(2, message.time_ns)
        side = message.side
        octets = simple_frame(BINARY if message.binary else TEXT, message.text, masked=side is Side.STATION)
        yield Made(message.time_ns, self._packets.data(side, octets, message.time_ns, remarks_on(row)))

    def between(self, item: ControlFrame | StreamGap | PacketComment) -> Iterator[Made]:
        """What happens between messages."""
        yield from self.begin(2, item.time_ns)
        if isinstance(item, StreamGap):
            self._packets.missed(item.side, min(item.lost_bytes or 1, MAX_MISSED))
        elif isinstance(item, PacketComment):
            if not item.text.startswith(EXPORT):
                yield Made(item.time_ns, self._packets.note(item.side, item.time_ns, item.text))
        else:
            octets = simple_frame(item.opcode, item.payload, masked=item.side is Side.STATION)
            yield Made(item.time_ns, self._packets.data(item.side, octets, item.time_ns))

    def close(self, item: ConnectionClosed) -> Iterator[Made]:
        """The end, if the connection came to one."""
        closed, time_ns = item.connection, item.time_ns
        yield from self.begin(2, time_ns)
        by = closed.closed_by if closed.closed_by is not None else Side.STATION
        if closed.close_how == "RST":
            yield Made(time_ns, self._packets.rst(by, time_ns))
        elif closed.close_how in ("FIN", "close frame"):
            yield Made(time_ns, self._packets.fin(by, time_ns) + self._packets.fin(by.other, time_ns))


def _address(end: Endpoint, side: int) -> Endpoint:
    """An endpoint of which packets can be made; of a name, an address for documentation (RFC 5737)."""
    try:
        ip_address(end.address.partition("%")[0])
    except ValueError:
        end = end._replace(address=f"192.0.2.{side + 1}")
    return end._replace(port=min(max(end.port, 0), 0xFFFF))


# --- heads ----------------------------------------------------------------------------------------------------------


def request_head(shake: Handshake) -> bytes:
    """The request that a handshake was read from, but for what was blanked in it."""
    headers = [
        (name, _authorization(value) if name.lower() == "authorization" else value)
        for name, value in shake.request_headers
    ]
    return _head(f"{shake.method} {shake.target} HTTP/1.1", headers)


def _authorization(shown: str) -> str:
    """`Basic CP-1:*** (16 bytes)` as it is written in a head."""
    found = _BASIC.fullmatch(shown)
    if found is None:
        return shown
    stars = "*" * min(int(found[3] or 3), MAX_STARS)
    return f"{found[1]} {base64.b64encode(f'{found[2]}:{stars}'.encode()).decode()}"


def response_head(shake: Handshake) -> bytes:
    """The response, and as much of a refusal's body as is known."""
    headers = list(shake.response_headers)
    body = b"" if shake.upgraded else shake.body.encode("utf-8", "replace")
    if not shake.upgraded:
        headers = [(name, value) for name, value in headers if name.lower() not in _BODY_HEADERS]
        headers.append(("Content-Length", str(len(body))))
    return _head(f"HTTP/1.1 {shake.status or 0:03} {shake.reason}", headers) + body


def made_up_request(connection: Connection) -> bytes:
    """An upgrade for a connection of which none is known."""
    name = re.sub(r"[^A-Za-z0-9._~-]", lambda found: "".join(f"%{one:02X}" for one in found[0].encode()),
                  connection.station)  # fmt: skip
    headers = [
        ("Host", str(connection.flow.server)), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", _KEY), ("Sec-WebSocket-Version", "13"), *_protocol(connection),
    ]  # fmt: skip
    return _head(f"GET /{name} HTTP/1.1", headers)


def made_up_response(connection: Connection) -> bytes:
    """Its answer."""
    shake = connection.handshake
    accept = _ACCEPT if shake is None else _accept(shake.key)
    headers = [
        ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept), *_protocol(connection),
    ]  # fmt: skip
    return _head("HTTP/1.1 101 Switching Protocols", headers)


def _accept(key: str) -> str:
    """RFC 6455 §4.2.2."""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode("latin-1", "replace"))
    return base64.b64encode(digest.digest()).decode()


def _protocol(connection: Connection) -> list[tuple[str, str]]:
    protocol = _PROTOCOLS.get(connection.version)
    return [("Sec-WebSocket-Protocol", protocol)] if protocol else []


def _head(start: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers), "", ""]
    return b"\r\n".join(_BROKEN.sub(" ", line).encode("latin-1", "replace") for line in lines)
