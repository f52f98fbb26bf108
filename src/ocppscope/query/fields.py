"""THE table of fields: what a message can be asked for, in filters, columns of lists, exports and the documentation.

Each field is got in two ways that must agree: as a column of the store and from a single message. A property test
holds them against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ocppscope.model import Kind, Outcome, Side, Version
from ocppscope.problems import PROBLEMS
from ocppscope.query import payload
from ocppscope.query.values import Type, Value
from ocppscope.store import reading
from ocppscope.store.columns import MAX_TEXT, OUTCOMES, clipped
from ocppscope.store.notes import NO_NOTE, Note
from ocppscope.store.problemsets import MAX_ROW_PROBLEMS
from ocppscope.store.verdicts import NO_VERDICTS, Verdicts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.model import Connection, Message
    from ocppscope.store.store import Piece, Store


class Level(Enum):
    """What a field is a fact of."""

    MESSAGE = "message"
    CONNECTION = "connection"
    PAYLOAD = "payload"
    NOTE = "note"
    FINDING = "diagnosis"


class Around(NamedTuple):
    """What a message itself does not know: its row, the time since the row before, what a user and the rules say."""

    row: int | None = None
    delta_ns: int | None = None
    note: Note = NO_NOTE
    verdicts: Verdicts = NO_VERDICTS


NOWHERE = Around()


class Subject:
    """One message that is asked."""

    __slots__ = ("around", "connection", "message")

    def __init__(self, message: Message, connection: Connection | None, around: Around = NOWHERE) -> None:
        self.message = message
        self.connection = connection
        self.around = around


# --- how a field is got as a column --------------------------------------------------------------------------------


class Numbers(NamedTuple):
    """An array and which of its elements count (None: all)."""

    get: Callable[[Store, Piece], tuple[NDArray[Any], NDArray[np.bool_] | None]]


class Coded(NamedTuple):
    """Small codes, and the value that each stands for."""

    codes: Callable[[Piece], NDArray[Any]]
    value: Callable[[Store, int], Value]


class Ids(NamedTuple):
    """The texts of `Chunk.ids`."""


class Payload(NamedTuple):
    """What is read from the text of each message: the dearest way, taken for the rows that nothing else excludes."""

    read: payload.Read
    cached: bool = True
    needles: tuple[bytes, ...] = ()  # a text without any of these, and without escapes, has no value; (): unknown


class Noted(NamedTuple):
    """What a user said."""

    get: Callable[[Note], str]


class Judgement(NamedTuple):
    """What the rules said."""

    get: Callable[[Verdicts], Value]


Column = Numbers | Coded | Ids | Payload | Noted | Judgement


class Field(NamedTuple):
    """One row of the table. `width` is that of a column in characters; `spellings` are other words for choices."""

    name: str
    type: Type
    level: Level
    title: str
    width: int
    help: str
    column: Column
    of: Callable[[Subject], Value]
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    spellings: Mapping[str, str] = MappingProxyType({})
    many: bool = False  # a message may have several values
    ordered: bool = False  # choices that can be compared with < and >


# --- getters -------------------------------------------------------------------------------------------------------


def _plain(name: str, valid: str = "") -> Numbers:
    """A column of the chunk."""

    def get(store: Store, piece: Piece) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        del store
        rows = slice(piece.low, piece.high)
        return getattr(piece.chunk, name)[rows], getattr(piece.chunk, valid)[rows] if valid else None

    return Numbers(get)


def _row(store: Store, piece: Piece) -> tuple[NDArray[Any], None]:
    del store
    return np.arange(piece.first, piece.first + piece.high - piece.low), None


def _delta(store: Store, piece: Piece) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The first row that is kept has none."""
    times = piece.chunk.time_ns[piece.low : piece.high]
    before = store.column("time_ns", piece.first - 1, piece.first) if piece.first else times[:0]
    valid = np.ones(len(times), np.bool_)
    valid[:1] = len(before) == 1
    return np.diff(times, prepend=before if len(before) else times[:1]), valid


def _packet(store: Store, piece: Piece) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    del store
    packets = piece.chunk.packet[piece.low : piece.high]
    return packets, packets > 0


def _coded(name: str, value: Callable[[Store, int], Value]) -> Coded:
    def codes(piece: Piece) -> NDArray[Any]:
        column: NDArray[Any] = getattr(piece.chunk, name)[piece.low : piece.high]
        return column

    return Coded(codes, value)


def _of_connection(get: Callable[[Connection], Value]) -> tuple[Coded, Callable[[Subject], Value]]:
    """A fact of the connection, both ways."""

    def value(store: Store, number: int) -> Value:
        connection = store.connections.get(number)
        return None if connection is None else get(connection)

    def of(subject: Subject) -> Value:
        return None if subject.connection is None else get(subject.connection)

    return _coded("connection", value), of


def _of_end(sender: bool) -> tuple[Coded, Callable[[Subject], Value]]:
    """The address of who sent the message, or of who received it."""

    def codes(piece: Piece) -> NDArray[Any]:
        rows = slice(piece.low, piece.high)
        return piece.chunk.connection[rows].astype(np.int64) * 2 + piece.chunk.side[rows]

    def value(store: Store, code: int) -> Value:
        return address(store.connections.get(code >> 1), code & 1)

    def address(connection: Connection | None, side: int) -> Value:
        if connection is None:
            return None
        is_station = (side == Side.STATION) is sender
        return (connection.flow.client if is_station else connection.flow.server).address

    def of(subject: Subject) -> Value:
        return address(subject.connection, subject.message.side)

    return Coded(codes, value), of


def _problems(problems: tuple[Any, ...]) -> Value:
    return tuple(problem.code for problem in problems[:MAX_ROW_PROBLEMS]) or None


def _in_payload(*paths: str) -> tuple[Payload, Callable[[Subject], Value]]:
    return _read_from_text(_payload_column(*map(payload.parse_path, paths)))


def _payload_column(*paths: payload.Steps) -> Payload:
    return Payload(payload.reader(*paths), needles=payload.needles(*paths))


def _read_from_text(column: Payload) -> tuple[Payload, Callable[[Subject], Value]]:
    def of(subject: Subject) -> Value:
        return column.read(subject.message.kind, subject.message.text) or None

    return column, of


def _text(get: Callable[[Message], str]) -> Callable[[Subject], Value]:
    """A text as a dictionary of the store keeps it; "" is none."""
    return lambda subject: clipped(get(subject.message)) or None


def _problem_codes(store: Store, code: int) -> Value:
    return _problems(store.problem_sets.sets[code])


def _is_valid(store: Store, code: int) -> Value:
    return not store.problem_sets.sets[code]


def _outcome(outcome: Outcome) -> Value:
    return outcome.value or None


def _version(connection: Connection) -> Value:
    return None if connection.version is Version.UNKNOWN else connection.version.value


# --- the table -----------------------------------------------------------------------------------------------------

_CONNECTION_STATION = _of_connection(lambda connection: connection.station or None)
_CONNECTION_VERSION = _of_connection(_version)
_CONNECTION_PORT = _of_connection(lambda connection: (connection.flow.client.port, connection.flow.server.port))
_CONNECTION_IPV6 = _of_connection(lambda connection: ":" in connection.flow.server.address)
_CONNECTION_LEG = _of_connection(lambda connection: connection.leg_of is not None)
_TSHARK_TCP = "tcp"  # as tshark calls it; put together, since it is no code of a problem
_MESSAGE, _CONNECTION, _PAYLOAD, _NOTE = Level.MESSAGE, Level.CONNECTION, Level.PAYLOAD, Level.NOTE


SEVERITIES = ("note", "warning", "error")
REPLAYED = "tx-offline-replay"
"""The rule that tells of messages from an offline queue."""


def _found(get: Callable[[Verdicts], Value]) -> tuple[Judgement, Callable[[Subject], Value]]:
    """What the rules said of a message; nothing of most."""

    def of(subject: Subject) -> Value:
        verdicts = subject.around.verdicts
        return get(verdicts) if verdicts else None

    return Judgement(get), of


_TABLE = (
    Field(
        "row", Type.INTEGER, _MESSAGE, "Row", 7, "number of the message in the capture, from 0",
        Numbers(_row), lambda subject: subject.around.row, ("number",),
    ),
    Field(
        "time", Type.TIME, _MESSAGE, "Time", 12, "when the last byte of the message was seen (UTC)",
        _plain("time_ns"), lambda subject: subject.message.time_ns, ("time_ns",),
    ),
    Field(
        "delta", Type.DURATION, _MESSAGE, "Δ", 7, "time since the message in the row before",
        Numbers(_delta), lambda subject: subject.around.delta_ns,
    ),
    Field(
        "station", Type.TEXT, _CONNECTION, "Station", 16, "identity of the station, from the path of its upgrade",
        *_CONNECTION_STATION, ("identity", "cp"),
    ),
    Field(
        "connection", Type.INTEGER, _MESSAGE, "#", 4, "number of the connection, from 0",
        _plain("connection"), lambda subject: subject.message.connection, ("conn",),
    ),
    Field(
        "version", Type.CHOICE, _CONNECTION, "OCPP", 5, "OCPP version of the connection",
        *_CONNECTION_VERSION, choices=tuple(v.value for v in Version if v is not Version.UNKNOWN),
        spellings={f"ocpp{v.value}": v.value for v in Version if v is not Version.UNKNOWN}, ordered=True,
    ),
    Field(
        "side", Type.CHOICE, _MESSAGE, "From", 7, "who sent the message",
        _coded("side", lambda store, code: Side(code).label), lambda subject: subject.message.side.label,
        ("from", "sender"), tuple(side.label for side in Side), {"cp": "station", "server": "csms"},
    ),
    Field(
        "kind", Type.CHOICE, _MESSAGE, "Kind", 15, "what the message is; its number is understood, too (2 is CALL)",
        _coded("kind", lambda store, code: Kind(code).name), lambda subject: subject.message.kind.name,
        ("message_type_id", "message_type"), tuple(kind.name for kind in Kind),
        {str(int(kind)): kind.name for kind in Kind},
    ),
    Field(
        "action", Type.TEXT, _MESSAGE, "Action", 26, "action of a CALL or SEND; an answer has that of its CALL",
        _coded("action", lambda store, code: store.actions.texts[code] or None),
        _text(lambda message: message.action), ("message_name",),
    ),
    Field(
        "id", Type.TEXT, _MESSAGE, "Id", 36, f"message id (of a longer one the first {MAX_TEXT} characters)",
        Ids(), lambda subject: subject.message.id[:MAX_TEXT] or None, ("message_id", "unique_id"),
    ),
    Field(
        "status", Type.TEXT, _MESSAGE, "Status", 14,
        "status that the payload reports: `status`, `connectorStatus`, or that of idTagInfo or idTokenInfo",
        _coded("status", lambda store, code: store.statuses.texts[code] or None),
        _text(lambda message: reading.status(message.kind, message.text)),
    ),
    Field(
        "error", Type.TEXT, _MESSAGE, "Error", 20, "error code of a CALLERROR or CALLRESULTERROR",
        _coded("error", lambda store, code: store.errors.texts[code] or None),
        _text(lambda message: reading.error(message.kind, message.text)), ("error_code",),
    ),
    Field(
        "error_description", Type.TEXT, _PAYLOAD, "Error description", 30, "description of an error",
        *_read_from_text(Payload(payload.error_description, cached=False)),
    ),
    Field(
        "latency", Type.DURATION, _MESSAGE, "Latency", 8, "time from CALL to answer; both messages have it",
        _plain("latency_ns", "has_latency"), lambda subject: subject.message.latency_ns, ("latency_ns", "rtt"),
    ),
    Field(
        "outcome", Type.CHOICE, _MESSAGE, "Outcome", 10, "what became of the exchange",
        _coded("outcome", lambda store, code: _outcome(OUTCOMES[code])),
        lambda subject: _outcome(subject.message.outcome), (), tuple(o.value for o in Outcome if o.value),
    ),
    Field(
        "size", Type.SIZE, _MESSAGE, "Size", 6, "bytes of the message, uncompressed",
        _plain("text_size"), lambda subject: len(subject.message.text), ("len",),
    ),
    Field(
        "wire_size", Type.SIZE, _MESSAGE, "Wire", 6, "bytes of its frames, compressed and with their headers",
        _plain("wire_size"), lambda subject: subject.message.wire_size,
    ),
    Field(
        "compressed", Type.YES_NO, _MESSAGE, "Deflated", 8, "whether a frame of the message was compressed",
        _plain("compressed"), lambda subject: subject.message.compressed,
    ),
    Field(
        "binary", Type.YES_NO, _MESSAGE, "Binary", 6, "whether it was sent as a binary message",
        _plain("binary"), lambda subject: subject.message.binary,
    ),
    Field(
        "frames", Type.INTEGER, _MESSAGE, "Frames", 6, "WebSocket frames that hold the message (65535: or more)",
        _plain("frames"), lambda subject: min(subject.message.frames, 0xFFFF),
    ),
    Field(
        "packet", Type.INTEGER, _MESSAGE, "Packet", 8, "number of the first packet that holds a part of it",
        Numbers(_packet), lambda subject: (subject.message.packets[0] or None) if subject.message.packets else None,
        ("frame.number",),
    ),
    Field(
        "problem", Type.CHOICE, _MESSAGE, "Problems", 24, "codes of the problems of the message",
        _coded("problems", _problem_codes), lambda subject: _problems(subject.message.problems),
        ("problems", "error_info"), tuple(PROBLEMS), many=True,
    ),
    Field(
        "valid", Type.YES_NO, _MESSAGE, "Valid", 5, "whether the message has no problem at all",
        _coded("problems", _is_valid), lambda subject: not subject.message.problems,
    ),
    Field(
        "src", Type.TEXT, _CONNECTION, "Source", 15, "address of who sent the message", *_of_end(sender=True),
        ("ip.src", "ipv6.src"),
    ),
    Field(
        "dst", Type.TEXT, _CONNECTION, "Destination", 15, "address of who received the message",
        *_of_end(sender=False), ("ip.dst", "ipv6.dst"),
    ),
    Field(
        "port", Type.INTEGER, _CONNECTION, "Port", 6, "TCP ports of the connection, of both ends",
        *_CONNECTION_PORT, (f"{_TSHARK_TCP}.port",), many=True,
    ),
    Field(
        "ipv6", Type.YES_NO, _CONNECTION, "IPv6", 4, "whether the connection uses IPv6", *_CONNECTION_IPV6,
    ),
    Field(
        "leg", Type.YES_NO, _CONNECTION, "Leg", 4, "whether the connection repeats another's session (a proxy's leg)",
        *_CONNECTION_LEG,
    ),
    Field(
        "connector", Type.INTEGER, _PAYLOAD, "Connector", 4, "connector that the payload names",
        *_in_payload("payload.connectorId", "payload.evse.connectorId"), many=True,
    ),
    Field(
        "evse", Type.INTEGER, _PAYLOAD, "EVSE", 4, "EVSE that the payload names (2.x)",
        *_in_payload("payload.evse.id", "payload.evseId"), many=True,
    ),
    Field(
        "transaction", Type.TEXT, _PAYLOAD, "Transaction", 12, "transaction that the payload names",
        *_in_payload("payload.transactionId", "payload.transactionInfo.transactionId"), ("tx",), many=True,
    ),
    Field(
        "tag", Type.TEXT, _PAYLOAD, "Tag", 20, "driver's token that the payload names: idTag (1.6) or idToken (2.x)",
        *_in_payload("payload.idTag", "payload.idToken", "payload.idToken.idToken"), ("token", "idtag"), many=True,
    ),
    Field(
        "offline", Type.YES_NO, _PAYLOAD, "Offline", 7, "whether a TransactionEvent says that it happened offline",
        *_in_payload("payload.offline"),
    ),
    Field(
        "text", Type.TEXT, _PAYLOAD, "Message", 60, "the message as it was on the wire",
        *_read_from_text(Payload(payload.whole_text, cached=False)), ("raw",),
    ),
    Field(
        "mark", Type.TEXT, _NOTE, "Mark", 4, "mark that you set on the message",
        Noted(lambda note: note.mark), lambda subject: subject.around.note.mark or None,
    ),
    Field(
        "note", Type.TEXT, _NOTE, "Note", 20, "note that you wrote on the message",
        Noted(lambda note: note.note), lambda subject: subject.around.note.note or None,
    ),
    Field(
        "finding", Type.TEXT, Level.FINDING, "Finding", 24, "rule of the diagnosis that found something in "
            "the message",
        *_found(lambda verdicts: tuple(one.rule for one in verdicts)), ("finding.id",), many=True,
    ),
    Field(
        "finding.severity", Type.CHOICE, Level.FINDING, "Severity", 8, "how bad the worst of that is",
        *_found(lambda verdicts: max((one.severity for one in verdicts), key=SEVERITIES.index)),
        choices=SEVERITIES, ordered=True,
    ),
    Field(
        "finding.layer", Type.TEXT, Level.FINDING, "Layer", 11, "layer that a finding is about, like network or rpc",
        *_found(lambda verdicts: tuple(one.layer for one in verdicts)), many=True,
    ),
    Field(
        "replay", Type.YES_NO, Level.FINDING, "Replay", 6, "whether the message comes from an offline queue",
        *_found(lambda verdicts: any(one.rule == REPLAYED for one in verdicts) or None),
    ),
)  # fmt: skip

FIELDS: Mapping[str, Field] = MappingProxyType({field.name: field for field in _TABLE})
"""Fields by name."""

ALIASES: Mapping[str, str] = MappingProxyType({alias: field.name for field in _TABLE for alias in field.aliases})
"""Other names of fields, those of CheckOCPP's dissector and of tshark among them."""

PREFIX = "ocpp."
PAYLOAD = "payload"


def field_named(name: str) -> Field | None:
    """The field of a name or alias, with or without `ocpp.`; `payload` and paths into it have fields of their own."""
    name = name.removeprefix(PREFIX)
    if name == PAYLOAD:
        return FIELDS["text"]
    if name.startswith((f"{PAYLOAD}.", f"{PAYLOAD}[")):
        return payload_field(name)
    return FIELDS.get(ALIASES.get(name, name))


def payload_field(name: str) -> Field:
    """The field of a path into the payload; raises `FilterError` if the path is wrong."""
    column = _payload_column(payload.parse_path(name))
    return Field(
        name, Type.ANY, Level.PAYLOAD, name.rpartition(".")[2], 16, "a value in the payload",
        *_read_from_text(column), many=True,
    )  # fmt: skip
