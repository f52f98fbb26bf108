"""Logs of messages: read or refused, and events of them like those of packets."""

from __future__ import annotations

import io
from collections.abc import Iterator

from fuzz import sources
from fuzz.targets.engine import check
from fuzz.targets.pcap import Trickle
from ocppscope.capture.entries import Entry
from ocppscope.capture.logreader import LogReader
from ocppscope.errors import CaptureError
from ocppscope.model import Event, Message
from ocppscope.render.jsonl import JsonlFormat
from ocppscope.render.textlog import Style, TextFormat
from ocppscope.replay import replay

WORDS = (b"2026-11-22T10:00:00.000Z ", b"10:00:01.5 ", b" CALL ", "CP-1 → CALL ".encode(), b"[2,\"1\",\"Heartbeat\",{}]",
         b" send ", b" received ", b"b'", b"\\x22", b"GET /CP-1 HTTP/1.1", b"\r\n", b"\xff\xfe", b"\x1b[32m", b"{\"time_ns\":")  # fmt: skip


def entries(data: bytes, step: int = 1 << 20) -> tuple[list[Entry], str]:
    """What a log says, and why it cannot be read."""
    found: list[Entry] = []
    reader = LogReader(["-"], stdin=Trickle(data, step))  # type: ignore[arg-type]
    try:
        for block in reader.blocks():
            found += block.entries
    except CaptureError as error:
        assert str(error).isprintable(), str(error)
        return found, "refused"
    finally:
        reader.close()
    assert all(line.isprintable() for line in reader.notices), reader.notices
    return found, ""


def target(data: bytes) -> None:
    """A log, told by its first lines, which are fewer in a pipe that gives little; and its events."""
    found, _ = entries(data)
    entries(data, 1 + len(data) % 61)
    events = [event for batch in replay(found) for event in batch]
    lines = data.count(b"\n") + data.count(b"\r") + 2
    check([bounded(event, lines) for event in events], lines * 64, max(len(data), 1) * 8)


def bounded(event: Event, lines: int) -> Event:
    """The numbers of packets are those of lines here."""
    if isinstance(event, Message):
        assert all(number > 0 for number in event.packets)
    return event


def seeds() -> Iterator[bytes]:
    """What we print ourselves, and how other programs log the same."""
    for name in ("ocpp16_plain", "malformed", "refused_handshakes"):
        for form in (TextFormat(Style(full=True)), JsonlFormat()):
            yield printed(name, form)
    said = [one.text.decode("utf-8", "replace") for one in sources.messages("ocpp16_plain")[:6]]
    for line in (
        "INFO:ocpp:CP-1: receive message {}", "2026-11-22 10:00:00,123 ocpp INFO CP-1: send {}",
        "[2026-11-22T10:00:00.123Z] [CP-1] -> {}", "Nov 22 10:00:00 host app[1]: Sending: {}",
        "10:00:00.5 CSMS << CP-1 {}", "b'{}'", "{}",
    ):  # fmt: skip
        yield "\n".join(line.format(text) for text in said).encode()
    yield "\n".join("2026-11-22T10:00:00Z CP-1 tx " + text for text in said).encode("utf-16")


def printed(name: str, form: TextFormat | JsonlFormat) -> bytes:
    """The log of a capture."""
    out = io.StringIO()
    for event in sources.events(name)[:16]:
        connection = getattr(event, "connection", 0)
        if not isinstance(connection, int):
            form.seen(connection)
            connection = connection.number
        body = form.message(event) if isinstance(event, Message) else form.event(event)
        if body is not None:
            out.write(form.line(1 if isinstance(event, Message) else None, connection, event.time_ns, body) + "\n")
    return out.getvalue().encode()
