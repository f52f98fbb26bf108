"""Reads Open OCPP Trace 1.x: a JSON object a line, a message each, as charging software writes them.

A record has the message as it was on the wire in `raw`, or its parts. Records in, `Entry`s out, as they come; a line
that is no such record is a `CaptureError` with its number. Nothing here decides what a message means.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ocppscope.capture.entries import Entry, Found, Said
from ocppscope.capture.instants import instant_ns
from ocppscope.errors import CaptureError
from ocppscope.model import Kind, Side, Version

if TYPE_CHECKING:
    from ocppscope.capture.dialects.context import Context

MAX_RECORD = 1 << 25
"""Characters of a record."""
MAX_STATIONS = 1 << 16
"""Stations whose version is remembered as told; of more, the oldest are told again."""
SIDES = {"cp-to-csms": Side.STATION, "csms-to-cp": Side.CSMS}
NAMELESS = "station"
"""The identity in records that have none."""

HINT = "It should be a record of Open OCPP Trace 1.x: a JSON object with schemaVersion, timestamp, direction, …"

_VERSIONS = {version.value: version for version in Version if version is not Version.UNKNOWN}


class _UnreadableError(Exception):
    """Why a line cannot be read."""


def read_trace(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries of a trace. Raises CaptureError at the first line that is no record."""
    told: dict[str, Version] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip(" \t\r\n\ufeff"):
            continue
        try:
            entry, version = _read(number, line)
        except _UnreadableError as reason:
            raise CaptureError(f"Line {number} of the trace cannot be read: {reason}.", HINT) from None
        yield from _told(told, entry, version)
        yield entry


class TraceReader:
    """Reads a trace that may hold other lines as well. A `LineReader`."""

    def __init__(self, context: Context) -> None:
        self.tally = context.tally
        self._told: dict[str, Version] = {}

    def line(self, number: int, text: str) -> list[Entry]:
        """The next line."""
        if not text.strip(" \t\r\n\ufeff"):
            return []
        try:
            entry, version = _read(number, text)
        except _UnreadableError:
            self.tally.skipped += 1
            return []
        self.tally.messages += 1
        return [*_told(self._told, entry, version), entry]

    def finish(self) -> list[Entry]:
        """The end: nothing waits."""
        return []


def is_record(line: str) -> bool:
    """Whether a line is a record."""
    if "schemaVersion" not in line:
        return False
    try:
        _read(1, line)
    except _UnreadableError:
        return False
    return True


def _told(told: dict[str, Version], entry: Entry, version: Version) -> Iterator[Entry]:
    """The connection of a station of which nothing was told."""
    if entry.station not in told:
        if len(told) >= MAX_STATIONS:
            del told[next(iter(told))]
        told[entry.station] = version
        yield entry._replace(side=None, what=Found(version=version))


def _read(number: int, line: str) -> tuple[Entry, Version]:
    """A record's entry, and the version that it states."""
    record = _record(line)
    schema = record.get("schemaVersion")
    if not isinstance(schema, str) or schema.split(".")[0] != "1":
        raise _UnreadableError("it is of no schema version 1.x")
    stamp, direction = record.get("timestamp"), record.get("direction")
    time_ns = instant_ns(stamp) if isinstance(stamp, str) and stamp[4:5] == "-" else None
    if time_ns is None:
        raise _UnreadableError("its timestamp is missing or is no point in time")
    side = SIDES.get(direction) if isinstance(direction, str) else None
    if side is None:
        raise _UnreadableError("its direction is neither cp-to-csms nor csms-to-cp")
    station = record.get("chargePointId")
    name = station if isinstance(station, str) and station else NAMELESS
    return Entry(time_ns, number, name, None, side, Said(_text(record))), _version(record.get("ocppVersion"))


def _record(line: str) -> dict[str, Any]:
    if len(line) > MAX_RECORD:
        raise _UnreadableError(f"it has more than {MAX_RECORD:,} characters")
    try:
        record = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        raise _UnreadableError("it is not JSON") from None
    if not isinstance(record, dict):
        raise _UnreadableError("it is no JSON object")
    return record


def _version(stated: object) -> Version:
    """`1.6`, also as `ocpp1.6`, `1.6J` and the like."""
    if not isinstance(stated, str):
        return Version.UNKNOWN
    name = stated.strip().lower().removeprefix("ocpp").removesuffix("j").strip(" -")
    return _VERSIONS.get(name, Version.UNKNOWN)


def _text(record: dict[str, Any]) -> bytes:
    """The message as it was on the wire; of SOAP, or without such a text, put together from the record's parts."""
    raw, own = record.get("raw"), _own(record)
    exact = own.get("raw_base64")
    if isinstance(exact, str):
        with suppress(ValueError):
            return base64.b64decode(exact, validate=True)
    if isinstance(raw, str) and (raw or own) and record.get("transport") != "soap":
        return raw.encode("utf-8", "surrogatepass")
    try:
        text = json.dumps(_parts(record), ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise _UnreadableError("its payload is nested too deeply") from None
    return text.encode("utf-8", "surrogatepass")


def _own(record: dict[str, Any]) -> dict[str, Any]:
    """What `export` adds of its own: texts that are no UTF-8, and that a text is empty."""
    meta = record.get("meta")
    own = meta.get("ocppscope") if isinstance(meta, dict) else None
    return own if isinstance(own, dict) else {}


def _parts(record: dict[str, Any]) -> list[Any]:
    """The elements of the message (OCPP-J 1.6 §4.2)."""
    name = record.get("messageType")
    kind = Kind.__members__.get(name, Kind.UNPARSED) if isinstance(name, str) else Kind.UNPARSED
    id_, payload = record.get("messageId", ""), record.get("payload", {})
    if kind in (Kind.CALL, Kind.SEND):
        return [int(kind), id_, record.get("action", ""), payload]
    if kind is Kind.CALLRESULT:
        return [int(kind), id_, payload]
    if kind in (Kind.CALLERROR, Kind.CALLRESULTERROR):
        error = record.get("error")
        error = error if isinstance(error, dict) else {}
        return [int(kind), id_, error.get("code", ""), error.get("description", ""), error.get("details", {})]
    raise _UnreadableError("its messageType is none of OCPP-J's")
