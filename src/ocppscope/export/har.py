"""HAR 1.2 with WebSocket messages, as the developer tools of browsers export and import it.

An entry a connection, refused upgrades too; the station is the client, so it sends and the CSMS is received from.
Messages of connections that overlap are spooled to a temporary file and written connection by connection; what is
held in memory is bounded. Comments say what rules and the user said.
"""

from __future__ import annotations

import base64
import tempfile
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

from ocppscope.export.evidence import Row
from ocppscope.export.moments import moment, seconds, within
from ocppscope.export.names import number_of
from ocppscope.model import ConnectionClosed, ConnectionOpened, ControlFrame
from ocppscope.render import eventlines
from ocppscope.render.jsonl import encode_safely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.writing import Job
    from ocppscope.model import Connection, Handshake, Message

MAX_SPOOL_HELD = 1 << 23
"""Bytes of messages that are held in memory until they go to the spool."""
COPY_BYTES = 1 << 20
MAX_PARAMETERS = 100
"""Parameters of a query that are told."""
VERSION = "1.2"
TEXT, BINARY, CLOSE = 1, 2, 8
_SAFE_IN_HOST, _SAFE_IN_TARGET = "[]:.-_~", "/?&=%:@!$'()*+,;~-._"


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """Writes the archive. Raises OcppscopeError."""
    with tempfile.TemporaryFile(prefix="ocppscope-") as file:
        spool = _Spool(file)
        connections: dict[int, Connection] = {}
        for item in job.through(evidence.items()):
            number = number_of(item)
            if isinstance(item, ConnectionOpened | ConnectionClosed):
                connections[number] = item.connection
            elif isinstance(item, Row):
                spool.add(number, _message(item))
            elif isinstance(item, ControlFrame):
                spool.add(number, _frame(item))
        for number in spool.numbers - connections.keys():
            if (known := evidence.connections.get(number)) is not None:
                connections[number] = known
        _archive(evidence, connections, spool, out)


class _Spool:
    """Pieces of text by connection, in the order in which they came."""

    def __init__(self, file: BinaryIO | Any) -> None:
        self._file = file
        self._held: dict[int, list[bytes]] = {}
        self._size = 0
        self._places: dict[int, list[tuple[int, int]]] = {}  # where in the file, and how many bytes

    @property
    def numbers(self) -> set[int]:
        """The connections that have any."""
        return self._held.keys() | self._places.keys()

    def add(self, number: int, piece: bytes) -> None:
        """One more; pieces of a connection are joined by commas."""
        self._held.setdefault(number, []).append(piece)
        self._size += len(piece)
        if self._size > MAX_SPOOL_HELD:
            self._flush()

    def _flush(self) -> None:
        for number, pieces in self._held.items():
            data = b",".join(pieces)
            self._places.setdefault(number, []).append((self._file.seek(0, 2), len(data)))
            self._file.write(data)
        self._held, self._size = {}, 0

    def of(self, number: int) -> Iterator[bytes]:
        """All that a connection has, in parts of bounded size."""
        between = b""
        for place, size in self._places.get(number, ()):
            yield between
            self._file.seek(place)
            for done in range(0, size, COPY_BYTES):
                yield self._file.read(min(size - done, COPY_BYTES))
            between = b","
        if number in self._held:
            yield between
            yield b",".join(self._held[number])


def _archive(evidence: Evidence, connections: dict[int, Connection], spool: _Spool, out: BinaryIO) -> None:
    head = {"version": VERSION, "creator": {"name": "ocppscope", "version": version("ocppscope")}, "pages": []}
    out.write(b'{"log":' + _json({**head, "comment": ", ".join(evidence.captures)})[:-1] + b',"entries":[\n')
    begun = sorted(connections.values(), key=lambda one: (one.asked_ns, one.number))
    for place, connection in enumerate(begun):
        out.write(b",\n" if place else b"")
        out.write(_json(_entry(connection))[:-1] + b',"_webSocketMessages":[\n')
        for part in spool.of(connection.number):
            out.write(part)
        out.write(b"]}")
    out.write(b"\n]}}\n")


def _json(value: object) -> bytes:
    return encode_safely(value)[:-1]


# --- messages ---------------------------------------------------------------------------------------------------


def _message(row: Row) -> bytes:
    message = row.message
    opcode, data = (BINARY, base64.b64encode(message.text).decode()) if message.binary else (TEXT, _text(message))
    said = [f"{one.severity} {one.rule}: {text}".removesuffix(": ") for one, text in row.verdicts]
    if row.note.mark or row.note.note:
        said.append(" ".join(filter(None, (f"[{row.note.mark}]" * bool(row.note.mark), row.note.note))))
    return _piece(message.side == 0, message.time_ns, opcode, data, "\n".join(said))


def _text(message: Message) -> str:
    return message.text.decode("utf-8", "replace")


def _frame(frame: ControlFrame) -> bytes:
    if frame.opcode == CLOSE:
        data = eventlines.close_words(frame.close_code, frame.close_reason)
    else:
        data = frame.payload.decode("utf-8", "replace")
    return _piece(frame.side == 0, frame.time_ns, frame.opcode, data, "")


def _piece(is_sent: bool, time_ns: int, opcode: int, data: str, said: str) -> bytes:
    start = f'{{"type":"{"send" if is_sent else "receive"}","time":{seconds(time_ns)},"opcode":{opcode},"data":'
    end = b',"comment":' + _json(said) if said else b""
    return start.encode() + _json(data) + end + b"}"


# --- entries ----------------------------------------------------------------------------------------------------


def _entry(connection: Connection) -> dict[str, Any]:
    """All but the messages."""
    upgrade, begun_ns = connection.handshake, within(connection.asked_ns)
    ended_ns = within(connection.closed_ns or begun_ns)
    connect, wait = _milliseconds(begun_ns - within(connection.opened_ns)), 0.0
    if upgrade is not None and upgrade.answered_ns is not None:
        wait = _milliseconds(upgrade.answered_ns - upgrade.requested_ns)
    receive = max(round(_milliseconds(ended_ns - begun_ns) - wait, 3), 0.0)
    return {
        "startedDateTime": moment(begun_ns),
        "time": round(connect + wait + receive, 3),
        "request": _request(connection),
        "response": _response(upgrade),
        "cache": {},
        "timings": {
            "blocked": -1, "dns": -1, "connect": connect, "ssl": -1, "send": 0, "wait": wait, "receive": receive,
        },
        "serverIPAddress": connection.flow.server.address,
        "connection": str(connection.number),
        "comment": _comment(connection),
        "_resourceType": "websocket",
    }  # fmt: skip


def _milliseconds(span_ns: int) -> float:
    return round(max(span_ns, 0) / 1e6, 3)


def _request(connection: Connection) -> dict[str, Any]:
    upgrade = connection.handshake
    headers = upgrade.request_headers if upgrade is not None else ()
    url = _url(connection, upgrade, headers)
    return {
        "method": upgrade.method if upgrade is not None else "GET",
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(headers),
        "queryString": _pairs(parse_qsl(urlsplit(url).query, keep_blank_values=True)[:MAX_PARAMETERS]),
        "headersSize": -1,
        "bodySize": 0,
    }


def _url(connection: Connection, upgrade: Handshake | None, headers: tuple[tuple[str, str], ...]) -> str:
    """What the station connected to, fit to be a URL whatever it asked for."""
    host = next((value for name, value in headers if name.lower() == "host" and value), str(connection.flow.server))
    target = f"/{connection.station}" if upgrade is None else upgrade.target
    target = target if target.startswith("/") else f"/{target}"
    scheme = "ws" if connection.tls is None else "wss"
    return f"{scheme}://{_quoted(host, _SAFE_IN_HOST)}{_quoted(target, _SAFE_IN_TARGET)}"


def _quoted(text: str, safe: str) -> str:
    """With everything percent-encoded that has no place in a URL; what is encoded already stays."""
    return quote(text, safe=safe, errors="replace")


def _response(upgrade: Handshake | None) -> dict[str, Any]:
    body = upgrade.body if upgrade is not None and not upgrade.upgraded else ""
    headers = upgrade.response_headers if upgrade is not None else ()
    located = next((value for name, value in headers if name.lower() == "location"), "")
    text = {"text": body} if body else {}
    return {
        "status": (upgrade.status or 0) if upgrade is not None else 0,
        "statusText": upgrade.reason if upgrade is not None else "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(headers),
        "content": {"size": len(body.encode("utf-8", "replace")), "mimeType": "x-unknown", **text},
        "redirectURL": located,
        "headersSize": -1,
        "bodySize": -1,
    }


def _pairs(pairs: Any) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _comment(connection: Connection) -> str:
    """What the entry cannot say otherwise: the station, its version, how it began and ended."""
    words = [connection.station, eventlines.version(connection)]
    if connection.handshake is None:
        words.append("found in its middle: the capture does not hold the upgrade")
    elif connection.handshake.status is None:
        words.append("no answer to the upgrade in the capture")
    if connection.closed_ns is not None:
        words.append(f"ended {eventlines.end_words(connection)}")
    if connection.leg_of is not None:
        words.append(f"repeats connection {connection.leg_of} on another leg")
    return "; ".join(words)
