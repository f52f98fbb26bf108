"""The proxy where it only passes bytes on: the same bytes come out, whatever they are; of a head only what is asked."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from fuzz import sources
from fuzz.tape import packed, pieces, records
from ocppscope.model import Side
from ocppscope.proxy.commands import Command, Send, Session
from ocppscope.proxy.faults import Disturbed, uniform
from ocppscope.proxy.head import MAX_HEAD_BYTES, HeadEditor
from ocppscope.proxy.session import EditingSession, PassiveSession

WORDS = (b"GET / HTTP/1.1\r\n", b"Host: ", b"\r\n\r\n", b"\n\n", b"\r\n\t", b"hOST :", b"Sec-WebSocket-Extensions: ")
HOST = "other.example"


def passed(session: Session, steps: Iterable[tuple[int, bytes]]) -> tuple[bytes, bytes]:
    """What each side gets, by side."""
    got = bytearray(), bytearray()
    now = 0

    def take(commands: Iterable[Command]) -> None:
        for one in commands:
            if isinstance(one, Send):
                assert one.data, "an empty write"
                got[one.side].extend(one.data)

    for tag, body in steps:
        for piece in pieces(body) if tag & 2 else (body,):
            now += 1
            if piece:
                take(session.received(Side(tag & 1), piece, now))
    for side in Side:
        take(session.ended(side, "FIN", now))
    for _ in range(100_000):
        if session.deadline is None:
            break
        now = max(now, session.deadline)
        take(session.wake(now))
    return bytes(got[0]), bytes(got[1])


def target(data: bytes) -> None:
    """Plain, with faults that lose nothing, and with another Host."""
    steps = list(records(data))
    said = [b"".join(body for tag, body in steps if tag & 1 == side) for side in (0, 1)]
    assert passed(PassiveSession(), steps) == (said[1], said[0])
    late = uniform(latency=0.2, jitter=0.1, bandwidth=50_000)
    assert passed(Disturbed(PassiveSession(), late, 0, random.Random(1)), steps) == (said[1], said[0])
    to_station, to_csms = passed(EditingSession(HOST), steps)
    assert to_station == said[1]
    check_edit(said[0], to_csms)
    editor = HeadEditor(frozenset({b"sec-websocket-extensions"}))
    assert sum(map(len, editor.feed(said[0]))) + len(editor.flush() if not editor.done else b"") <= len(said[0])


def check_edit(before: bytes, after: bytes) -> None:
    """No line but that of Host differs, and nothing behind the head."""
    if before == after:
        return
    assert HOST.encode() in after
    lines, others = before.split(b"\n"), after.split(b"\n")
    begin = next(at for at, (one, other) in enumerate(zip(lines, others, strict=False)) if one != other)
    assert lines[begin].partition(b":")[0].strip().lower() == b"host"
    assert sum(map(len, lines[:begin])) < MAX_HEAD_BYTES
    size = len(before.rstrip(b"\r\n")) if b"\n\r\n" not in before else 0
    tail = before.partition(b"\n\r\n")[2] or before.partition(b"\n\n")[2]
    assert after.endswith(tail) or size, "what follows the head was changed"


def seeds() -> Iterator[bytes]:
    """Recorded connections, and heads of every shape."""
    for name in ("ocpp16_plain", "refused_handshakes"):
        for said in list(sources.streams(name, 6))[:2]:
            yield packed((way | 2, data) for way, data in said)
    for text in (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\nhost:c\r\n\r\nrest", b"GET / HTTP/1.1\nHOST :a\n\nrest\n\n",
                 b"\r\n\r\nGET /a HTTP/1.0\r\n\r\n", b"\x16\x03\x01\0\1\1", b"GE", b"G" * 30):  # fmt: skip
        yield packed([(2, text), (1, b"HTTP/1.1 101 x\r\n\r\n")])
