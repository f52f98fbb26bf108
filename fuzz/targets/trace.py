"""Open OCPP Traces: each line a record or an error with its number; the lenient reader keeps what the strict one reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fuzz import sources
from ocppscope.capture.dialects.context import Context
from ocppscope.capture.entries import Entry, Said
from ocppscope.capture.trace import TraceReader, is_record, read_trace
from ocppscope.errors import CaptureError
from ocppscope.model import Kind, Message
from ocppscope.replay import replay

WORDS = (b'"schemaVersion":"1.0"', b'"timestamp":"2026-11-22T10:00:00Z"', b'"direction":"cp-to-csms"', b'"raw":', b"CALL",
         b'"messageType":"CALLERROR"', b'"error":{"code":"x"}', b'"transport":"soap"', b'"ocppVersion":"1.6J"')  # fmt: skip


def target(data: bytes) -> None:
    """Lines of a trace."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    strict: list[Entry] = []
    refused = False
    try:
        strict.extend(read_trace(lines))
    except CaptureError as error:
        refused = True
        assert str(error).isprintable()
    reader = TraceReader(Context())
    lenient = [entry for number, line in enumerate(lines, 1) for entry in reader.line(number, line)]
    lenient += reader.finish()
    assert lenient[: len(strict)] == strict
    assert refused or lenient == strict
    assert sum(isinstance(entry.what, Said) for entry in lenient) == sum(map(is_record, lines))
    events = [event for batch in replay(lenient) for event in batch]
    assert sum(isinstance(event, Message) for event in events) <= len(lines)


def seeds() -> Iterator[bytes]:
    """Messages of a capture as records, with their text and in parts."""
    rows = []
    for number, one in enumerate(sources.messages("ocpp16_plain")[:6]):
        row: dict[str, object] = {
            "schemaVersion": "1.1", "timestamp": f"2026-11-22T10:00:0{number}.000Z", "chargePointId": "CP-1",
            "direction": "csms-to-cp" if one.side else "cp-to-csms", "ocppVersion": "1.6",
        }  # fmt: skip
        parts = json.loads(one.text)
        named = {"messageType": Kind(parts[0]).name, "messageId": parts[1], "payload": parts[-1]}
        rows.append(row | ({"raw": one.text.decode()} if number % 2 else named | {"action": one.action}))
    yield "\n".join(map(json.dumps, rows)).encode()
    for row in rows[:3]:
        yield json.dumps(row).encode()
    yield json.dumps(rows[0] | {"messageType": "CALLERROR", "raw": "", "error": {"code": "NotSupported"}}).encode()
