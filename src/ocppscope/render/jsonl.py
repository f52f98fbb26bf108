"""JSON in and out: the rows of `--format jsonl`, and the reading of payloads for summaries.

The keys of a row are a promise; docs/jsonl.md tells their meaning, and a test holds them. Characters that could
fool a terminal are written as JSON escapes, which changes nothing for who reads the JSON.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ocppscope.acts import act_of
from ocppscope.model import (
    ConnectAttempt,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Event,
    ExchangeEnd,
    Handshake,
    Message,
    PacketComment,
    Problem,
    Side,
    StreamGap,
    TlsConnection,
)
from ocppscope.render.formats import KIND_NAMES, SIDES, UNKNOWN, Known, known
from ocppscope.tlsnames import suite_name, version_name

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

MAX_READ = 1 << 18
"""Bytes of a message that are decoded or laid out for a human reader; of a longer one the beginning is shown."""

OPCODES = {8: "close", 9: "ping", 10: "pong"}

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def read(text: bytes) -> Any:
    """The JSON value that a text holds; None where it is no JSON, nested too deeply or longer than `MAX_READ`."""
    if len(text) > MAX_READ:
        return None
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def indented(text: bytes) -> str | None:
    """The same JSON text laid out over several lines; None where `read` would give None."""
    if len(text) > MAX_READ or read(text) is None:
        return None
    try:
        return msgspec.json.format(text, indent=2).decode("utf-8", "replace")
    except (msgspec.DecodeError, RecursionError):
        return None


class MessageRow(Struct, frozen=True, gc=False):
    """A message; `row` and `connection` stand before these keys."""

    time_ns: int
    station: str
    version: str
    version_guessed: bool
    side: str
    kind: str
    id: str
    action: str
    latency_ns: int | None
    outcome: str
    ordinal: int
    reply_to: int | None
    text: str
    problems: tuple[Problem, ...]
    packets: tuple[int, ...]
    wire_size: int
    frames: int
    compressed: bool
    binary: bool
    text_base64: str | UnsetType = UNSET


class Said(Struct, frozen=True, gc=False):
    """What a rule said of a message."""

    rule: str
    severity: str
    text: str


ExportRow: Any = msgspec.defstruct(
    "ExportRow",
    [
        ("type", str), ("row", int), ("connection", int),
        *((field.name, field.type, UNSET) if field.default is UNSET else (field.name, field.type)
          for field in msgspec.structs.fields(MessageRow)),
        ("findings", list[Said] | UnsetType, UNSET),
        *((name, str | UnsetType, UNSET) for name in ("mark", "note")),
    ],
    frozen=True,
    gc=False,
)  # fmt: skip
"""A message with all its keys, as evidence has it: the keys of `MessageRow`, and what was said of it."""


class FrameRow(Struct, frozen=True, gc=False):
    """A ping, pong or close frame."""

    time_ns: int
    station: str
    side: str
    opcode: str
    payload_base64: str
    close_code: int | None
    close_reason: str
    problems: tuple[Problem, ...]
    packets: tuple[int, ...]


class GapRow(Struct, frozen=True, gc=False):
    """Bytes that are missing or could not be read."""

    time_ns: int
    station: str
    side: str
    lost_bytes: int | None
    why: str


class CommentRow(Struct, frozen=True, gc=False):
    """A comment that the capture has on a packet; `act` is what the proxy did, if it wrote it."""

    time_ns: int
    station: str
    side: str
    packet: int
    ordinal: int | None  # of the message that the packet completes
    act: str | None
    text: str


class UnansweredRow(Struct, frozen=True, gc=False):
    """A CALL that stays without an answer."""

    time_ns: int
    station: str
    side: str
    id: str
    action: str
    ordinal: int
    outcome: str
    age_ns: int


class Upgrade(Struct, frozen=True, kw_only=True):
    """The upgrade of a connection."""

    method: str
    target: str
    user: str
    status: int | None
    reason: str
    requested_ns: int
    answered_ns: int | None
    websocket_version: str
    key: str
    accept: str
    accept_ok: bool | None
    offered_protocols: tuple[str, ...]
    protocol: str | None
    offered_extensions: tuple[str, ...]
    extensions: tuple[str, ...]
    request_headers: tuple[tuple[str, str], ...]
    response_headers: tuple[tuple[str, str], ...]
    body: str


class ConnectionRow(Struct, frozen=True, kw_only=True):
    """A connection as far as it is known."""

    time_ns: int
    station: str
    version: str
    version_guessed: bool
    client: str
    server: str
    subject: str
    leg_of: int | None
    opened_ns: int
    closed_ns: int | None
    closed_by: str | None
    close_how: str
    close_code: int | None
    close_reason: str
    messages: dict[str, int]
    lost_bytes: dict[str, int]
    problems: tuple[Problem, ...]
    upgrade: Upgrade | None


class TlsHello(Struct, frozen=True, kw_only=True):
    """What the client offered."""

    server_name: str
    versions: tuple[str, ...]
    suites: tuple[str, ...]
    alpn: tuple[str, ...]


class TlsChoice(Struct, frozen=True, kw_only=True):
    """What the server chose."""

    version: str
    suite: str
    alpn: str
    compression: int


class TlsRow(Struct, frozen=True, kw_only=True):
    """A TLS connection, as far as it shows without keys."""

    time_ns: int
    station: str
    client: str
    server: str
    decrypted: bool
    opened_ns: int
    closed_ns: int | None
    closed_by: str | None
    close_how: str
    hello: TlsHello | None
    chosen: TlsChoice | None
    hello_retry: bool
    resumed: bool
    plain_reply: str
    certificates: dict[str, tuple[str, ...]]
    certificate_requested: bool
    alerts: tuple[dict[str, object], ...]
    handshake_ns: int | None
    application_ns: dict[str, int | None]
    payload_bytes: dict[str, int]
    quiets: dict[str, tuple[dict[str, int], ...]]
    lost_bytes: dict[str, int]
    problems: tuple[Problem, ...]


def _values(message: Message, known_: Known) -> tuple[Any, ...]:
    """The values of a `MessageRow`, in order."""
    station, version, guessed = known_
    octets = message.text
    raw: str | UnsetType = UNSET
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("utf-8", "replace")
        raw = base64.b64encode(octets).decode()
    return (
        message.time_ns, station, version, guessed, SIDES[message.side], KIND_NAMES[message.kind],
        message.id, message.action, message.latency_ns, message.outcome, message.ordinal, message.reply_to,
        text, message.problems, message.packets, message.wire_size, message.frames, message.compressed,
        message.binary, raw,
    )  # fmt: skip


def export_row(
    row: int, message: Message, of_connection: Known, said: Sequence[tuple[str, str, str]], mark: str, note: str
) -> object:
    """A message as `row_lines` writes it; `said` are rule, severity and sentence of its findings."""
    values = _values(message, of_connection)
    if said or mark or note:
        findings = [Said(*one) for one in said] or UNSET
        return ExportRow("message", row, message.connection, *values, findings, mark or UNSET, note or UNSET)
    return ExportRow("message", row, message.connection, *values)


def encode_safely(item: object) -> bytes:
    """Anything as a line of JSON, with a line end; what could fool a terminal is escaped."""
    return f"{_safe(_encode_any(item))}\n".encode()


def row_lines(rows: Sequence[object]) -> bytes:
    """A line each, with line ends."""
    try:
        lines = _encode_lines(rows)
    except UnicodeEncodeError:
        return "".join(f"{_safe(_encode_any(row))}\n" for row in rows).encode()
    if lines.isascii() and b"\x7f" not in lines:
        return lines
    return "".join(f"{_safe(line)}\n" for line in lines.decode().split("\n")[:-1]).encode()


class JsonlFormat:
    """`--format jsonl`: a JSON object a line."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}

    def header(self) -> str:
        """Nothing."""
        return ""

    def seen(self, connection: Connection) -> None:
        """Learns the station and version of its lines."""
        self._known[connection.number] = known(connection)

    def forget(self, connection: int) -> None:
        """See `LogFormat`."""
        self._known.pop(connection, None)

    def message(self, message: Message) -> str:
        """All of it."""
        return _body(MessageRow(*_values(message, self._known.get(message.connection, UNKNOWN))))

    def event(self, event: Event) -> str | None:
        """Whatever is no message."""
        if isinstance(event, ConnectionOpened):
            return _typed("opened", connection_row(event.connection, event.time_ns))
        if isinstance(event, ConnectionClosed):
            return _typed("closed", connection_row(event.connection, event.time_ns))
        if isinstance(event, Message):
            return self.message(event)
        if isinstance(event, TlsConnection):
            return _typed("tls", tls_row(event))
        if isinstance(event, ConnectAttempt):
            return None
        station = self._known.get(event.connection, UNKNOWN).station
        return _typed(*_small_row(event, station))

    def line(self, row: int | None, connection: int, time_ns: int, body: str) -> str:
        """Puts type, row and connection first."""
        if row is None:
            kind, _, rest = body.partition("\n")
            return f'{{"type":"{kind}","connection":{connection},{rest}\n'
        return f'{{"type":"message","row":{row},"connection":{connection},{body}\n'


def _small_row(event: ControlFrame | StreamGap | ExchangeEnd | PacketComment, station: str) -> tuple[str, Struct]:
    side = SIDES[event.side]
    if isinstance(event, ControlFrame):
        payload = base64.b64encode(event.payload).decode()
        opcode = OPCODES.get(event.opcode, str(event.opcode))
        return "frame", FrameRow(
            event.time_ns, station, side, opcode, payload, event.close_code, event.close_reason, event.problems,
            event.packets,
        )  # fmt: skip
    if isinstance(event, StreamGap):
        return "gap", GapRow(event.time_ns, station, side, event.lost_bytes, event.why)
    if isinstance(event, PacketComment):
        act, ordinal = act_of(event.text), event.ordinal if event.ordinal >= 0 else None
        return "comment", CommentRow(
            event.time_ns, station, side, event.packet, ordinal, act.what if act else None, event.text
        )
    return "unanswered", UnansweredRow(
        event.time_ns, station, side, event.id, event.action, event.ordinal, event.outcome, event.age_ns
    )


def connection_row(connection: Connection, time_ns: int) -> ConnectionRow:
    """A connection as it is written in jsonl."""
    closed_by = connection.closed_by
    return ConnectionRow(
        time_ns=time_ns,
        station=connection.station,
        version=connection.version.value,
        version_guessed=connection.version_guessed,
        client=str(connection.flow.client),
        server=str(connection.flow.server),
        subject=connection.subject,
        leg_of=connection.leg_of,
        opened_ns=connection.opened_ns,
        closed_ns=connection.closed_ns,
        closed_by=None if closed_by is None else closed_by.label,
        close_how=connection.close_how,
        close_code=connection.close_code,
        close_reason=connection.close_reason,
        messages=_by_side(connection.messages),
        lost_bytes=_by_side(connection.lost_bytes),
        problems=connection.problems,
        upgrade=_upgrade(connection.handshake) if connection.handshake else None,
    )


def _by_side(counts: tuple[int, int]) -> dict[str, int]:
    return {side.label: counts[side] for side in Side}


def _upgrade(handshake: Handshake) -> Upgrade:
    return Upgrade(**{name: getattr(handshake, name) for name in Upgrade.__struct_fields__})


PEERS = ("client", "server")
"""By side, where nobody knows whether they speak OCPP."""


def tls_row(tls: TlsConnection) -> TlsRow:
    """A TLS connection as it is written in jsonl."""
    hello, chosen = tls.client_hello, tls.server_hello
    return TlsRow(
        time_ns=tls.time_ns,
        station="",
        client=str(tls.flow.client),
        server=str(tls.flow.server),
        decrypted=tls.decrypted,
        opened_ns=tls.opened_ns,
        closed_ns=tls.closed_ns,
        closed_by=None if tls.closed_by is None else PEERS[tls.closed_by],
        close_how=tls.close_how,
        hello=None
        if hello is None
        else TlsHello(
            server_name=hello.server_name,
            versions=tuple(map(version_name, hello.versions)),
            suites=tuple(map(suite_name, hello.suites)),
            alpn=hello.alpn,
        ),
        chosen=None
        if chosen is None
        else TlsChoice(
            version=version_name(chosen.version),
            suite=suite_name(chosen.suite),
            alpn=chosen.alpn,
            compression=chosen.compression,
        ),
        hello_retry=tls.hello_retry,
        resumed=tls.resumed,
        plain_reply=tls.plain_reply.value,
        certificates=_by_peer([tuple(base64.b64encode(one).decode() for one in chain) for chain in tls.certificates]),
        certificate_requested=tls.certificate_requested,
        alerts=tuple(
            {"time_ns": one.time_ns, "from": PEERS[one.side], "level": one.level, "description": one.description}
            for one in tls.alerts
        ),
        handshake_ns=tls.handshake_ns,
        application_ns=_by_peer(tls.application_ns),
        payload_bytes=_by_peer(tls.payload_bytes),
        quiets=_by_peer(
            [
                tuple({"time_ns": now, "bytes": size, "quiet_ns": quiet} for now, size, quiet in one.latest)
                for one in tls.rhythm
            ]
        ),
        lost_bytes=_by_peer(tls.lost_bytes),
        problems=tls.problems,
    )


def tls_line(tls: TlsConnection) -> str:
    """A whole line for a TLS connection, outside of a log."""
    return object_line("tls", -1, tls_row(tls))


def _by_peer(values: Sequence[T]) -> dict[str, T]:
    return dict(zip(PEERS, values, strict=True))


def object_line(kind: str, connection: int, row: Struct, **more: object) -> str:
    """A whole line for a connection, with further keys at its end."""
    fields = {"type": kind, "connection": connection, **msgspec.structs.asdict(row), **more}
    return _safe(_encode_any(fields)) + "\n"


def _typed(kind: str, row: Struct) -> str:
    return f"{kind}\n{_body(row)}"


def _body(row: Struct) -> str:
    """The row without its opening brace."""
    return _safe(_encode_any(row)[1:])


def _encode_any(item: object) -> str:
    try:
        return _encode(item).decode()
    except UnicodeEncodeError:
        return _encode(_without_surrogates(item)).decode()


def _safe(line: str) -> str:
    return line if (line.isascii() and "\x7f" not in line) or line.isprintable() else _UNPRINTABLE.sub(_escape, line)


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _without_surrogates(item: Any) -> Any:
    """Halves of surrogate pairs become U+FFFD; `text` still holds them as they were escaped on the wire."""
    if isinstance(item, str):
        return _SURROGATE.sub("\ufffd", item)
    if isinstance(item, dict):
        return {_without_surrogates(key): _without_surrogates(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_without_surrogates(one) for one in item]
    return _without_surrogates(msgspec.to_builtins(item, str_keys=True)) if isinstance(item, Struct) else item
