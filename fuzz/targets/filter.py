"""Filters: refused with a place, or understood; the same on columns and on messages; no pattern takes for ever."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from functools import cache

from msgspec.structs import replace

from fuzz import sources
from ocppscope.model import Connection, ConnectionOpened, Message
from ocppscope.query.complete import MAX_SUGGESTIONS, complete
from ocppscope.query.fields import FIELDS, Around
from ocppscope.query.filter import FilterError, compile_filter
from ocppscope.store.store import Store

WORDS = (*(field.name.encode() for field in FIELDS.values()), b" == ", b" and ", b" or ", b"not ", b" matches ", b" contains ",
         b" in {", b"payload.", b"[*]", b"2s", b"10kB", b'"', b"(a+)+$", b"(a|aa)*b", b"(?i)", b"@slow")  # fmt: skip
NAMED = {"slow": "latency > 2s", "self": "@self", "deep": "@slow and @slow"}


@cache
def store() -> tuple[Store, tuple[Message, ...], dict[int, Connection]]:
    """Some messages in columns, and the same by themselves."""
    found = [event for name in ("malformed", "ocpp16_plain") for event in sources.events(name)[:60]]
    long = b'[2,"1","DataTransfer",{"vendorId":"' + b"a" * 3000 + b'!"}]'
    last = next(event for event in reversed(found) if isinstance(event, Message))
    found.append(replace(last, ordinal=last.ordinal + 1, text=long, action="DataTransfer"))
    messages = [event for event in found if isinstance(event, Message)]
    made = Store()
    atexit.register(made.close)
    made.take(found)
    known = {event.connection.number: event.connection for event in found if isinstance(event, ConnectionOpened)}
    return made, tuple(messages), known


def target(data: bytes) -> None:
    """A filter as the user types it."""
    text = data.decode("utf-8", "replace")
    assert len(complete(text[:200], None, None, NAMED)) <= MAX_SUGGESTIONS
    try:
        understood = compile_filter(text, NAMED)
    except FilterError as error:
        assert error.message
        assert 0 <= error.start <= error.stop <= max(len(text), 10_000)
        return
    made, messages, _ = store()
    mask = understood.mask(made)
    assert len(mask) == len(messages)
    for row in range(len(messages)):
        one, connection = made.message(row), made.connection(row)
        assert understood.matches(one, connection, Around(row, delta(made, row))) == bool(mask[row]), (text, row)


def delta(made: Store, row: int) -> int | None:
    """Time since the message before."""
    times = made.column("time_ns")
    return int(times[row] - times[row - 1]) if row else None


def seeds() -> Iterator[bytes]:
    """A filter with each field, and with each construction."""
    for field in FIELDS.values():
        value = f'"{field.choices[0]}"' if field.choices else "1"
        yield f"{field.name} == {value} or {field.name}".encode()
    for text in (
        'action == "BootNotification" and latency > 2s', 'station contains "CP" && !problem', '"free text"',
        "payload.meterValue[0].sampledValue[*].value > 100", "kind in {CALLERROR, SEND} or @slow", 'id ~ "^a.*b$"',
        'text matches "(a+)+$"', "size >= 10kB and time > 2026-11-22", "not (latency < 5ms or latency > 1.5s)",
        "payload.connectorId in {1..3, 7}", 'action matches "(?i)heart|boot"',
    ):  # fmt: skip
        yield text.encode()
