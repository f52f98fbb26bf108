"""Open OCPP Trace 1.1: a JSON object a message, for other OCPP tools.

`raw` holds the message as it was on the wire. What the form has no word for stands in `meta.ocppscope`: connection,
latency, outcome, problems, findings, mark and note, and what happened before the first and after each message.
Messages that the form has no type for (SEND, CALLRESULTERROR, unreadable ones) have the nearest one, and their own
in there.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from ocppscope.export.evidence import Row
from ocppscope.export.moments import moment
from ocppscope.export.names import Names, number_of
from ocppscope.model import Kind, Message
from ocppscope.render.jsonl import JsonlFormat, encode_safely

if TYPE_CHECKING:
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.writing import Job
    from ocppscope.render.formats import Known

SCHEMA_VERSION = "1.1"
MAX_AROUND = 100
"""Events that are told with one message; of more, the number."""
_DIRECTIONS = ("cp-to-csms", "csms-to-cp")
_TYPES = {
    Kind.CALL: "CALL", Kind.SEND: "CALL", Kind.CALLRESULT: "CALLRESULT", Kind.UNPARSED: "CALLRESULT",
    Kind.CALLERROR: "CALLERROR", Kind.CALLRESULTERROR: "CALLERROR",
}  # fmt: skip
_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_string = msgspec.json.Decoder(str).decode


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """Writes a record a line. Raises OcppscopeError."""
    form = JsonlFormat()
    names = Names(evidence, form.seen)
    around = _Around()
    held: dict[str, Any] | None = None  # the latest record, until the next one comes
    for item in job.through(evidence.items()):
        names.learn(item)
        if isinstance(item, Row):
            if held is not None:
                out.write(_line(held, "after", around.all()))
            before = [] if held is not None else around.all()
            held = _record(item, names.of(item.message.connection))
            if before:
                held["meta"]["ocppscope"]["before"] = before
        else:
            body = form.event(item)
            if body is not None:
                around.add(form.line(None, number_of(item), item.time_ns, body).encode())
    if held is not None:
        out.write(_line(held, "after", around.all()))


class _Around:
    """What happened between two messages, as objects of docs/jsonl.md."""

    def __init__(self) -> None:
        self._events: list[object] = []
        self._more = 0

    def add(self, line: bytes) -> None:
        """One more."""
        if len(self._events) < MAX_AROUND:
            self._events.append(msgspec.Raw(line.rstrip()))
        else:
            self._more += 1

    def all(self) -> list[object]:
        """All of them, and how many there was no room for; forgets them."""
        found = [*self._events, {"type": "more", "count": self._more}] if self._more else self._events
        self._events, self._more = [], 0
        return found


def _line(record: dict[str, Any], key: str, events: list[object]) -> bytes:
    if events:
        record["meta"]["ocppscope"][key] = events
    return encode_safely(record)


def _record(row: Row, known: Known) -> dict[str, Any]:
    message = row.message
    record: dict[str, Any] = {
        "schemaVersion": SCHEMA_VERSION,
        "timestamp": moment(message.time_ns),
        **({} if known.version == "?" else {"ocppVersion": known.version}),
        "transport": "json",
        "chargePointId": known.station,
        "direction": _DIRECTIONS[message.side],
        "messageType": _TYPES[message.kind],
        "messageId": message.id,
    }
    if message.action or record["messageType"] == "CALL":
        record["action"] = message.action
    record |= _content(message)
    record["raw"] = message.text.decode("utf-8", "replace")
    record["meta"] = {"ocppscope": _meta(row)}
    return record


def _content(message: Message) -> dict[str, Any]:
    """The payload, or the error, as JSON as it was."""
    try:
        text = message.text.decode("utf-8", "replace").encode()  # a part goes out as it is
        parts = _parts(msgspec.json.format(text, indent=-1))
    except (msgspec.DecodeError, RecursionError):
        parts = []
    if message.kind in (Kind.CALLERROR, Kind.CALLRESULTERROR):
        code, description = (_text(parts[place]) if len(parts) > place else "" for place in (2, 3))
        details = {"details": parts[4]} if len(parts) > 4 else {}
        return {"error": {"code": code, "description": description, **details}}
    place = {Kind.CALL: 3, Kind.SEND: 3, Kind.CALLRESULT: 2}.get(message.kind)
    return {"payload": parts[place]} if place is not None and len(parts) > place else {}


def _text(part: msgspec.Raw) -> str:
    """A string; of anything else its JSON."""
    try:
        return _string(part)
    except msgspec.DecodeError:
        return bytes(part).decode("utf-8", "replace")


def _meta(row: Row) -> dict[str, Any]:
    message, note = row.message, row.note
    meta: dict[str, Any] = {"row": row.row, "connection": message.connection, "ordinal": message.ordinal}
    if message.kind not in (Kind.CALL, Kind.CALLRESULT, Kind.CALLERROR):
        meta["kind"] = message.kind.name
    if message.latency_ns is not None:
        meta["latency_ns"] = message.latency_ns
    if message.outcome:
        meta["outcome"] = message.outcome
    if message.packets:
        meta["packets"] = message.packets
    if message.problems:
        meta["problems"] = message.problems
    if message.binary:
        meta["binary"] = True
    if not _is_utf8(message.text):
        meta["raw_base64"] = base64.b64encode(message.text).decode()
    if row.verdicts:
        meta["findings"] = [
            {"rule": one.rule, "severity": one.severity, "text": sentence} for one, sentence in row.verdicts
        ]
    return meta | ({"mark": note.mark} if note.mark else {}) | ({"note": note.note} if note.note else {})


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
