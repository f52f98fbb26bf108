"""TLS without keys: records and handshakes the same however they are cut, and names that may stand in a certificate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fuzz import sources
from fuzz.tape import packed, pieces, records
from ocppscope.proxy.hello import MAX_NAME, NEED_MORE, Hello, looks_like_tls, server_name
from ocppscope.wire.tls import (
    MAX_CERTIFICATES,
    MAX_LISTED,
    Handshakes,
    Records,
    certificates,
    client_hello,
    server_hello,
)
from ocppscope.wire.tlsflow import MAX_ALERTS, MAX_PROBLEMS, TlsReader

WORDS = (
    b"\x16\x03\x01",
    b"\x16\x03\x03\0",
    b"\x15\x03\x03\0\2\2\x28",
    b"\x14\x03\x03\0\1\1",
    b"\0\x10\0\x0b\0\x09\x08",
)


def messages(parts: Iterable[bytes]) -> tuple[list[object], bool]:
    """The handshake messages of one direction, and whether its records broke off."""
    reader, handshakes, found = Records(), Handshakes(), list[object]()
    for part in parts:
        for record in reader.feed(part):
            found.append((record.kind, record.version, len(record.body)))
            for kind, body in handshakes.feed(record.body) if record.kind == 22 else ():
                found += [kind, *understood(kind, body)]
    return found, reader.broken


def understood(kind: int, body: bytes) -> Iterator[object]:
    """What a handshake message says."""
    if kind == 1 and (hello := client_hello(body)) is not None:
        assert len(hello.suites) <= MAX_LISTED
        assert len(hello.versions) <= MAX_LISTED
        assert len(hello.alpn) <= MAX_LISTED
        yield hello
    elif kind == 2:
        yield server_hello(body)
    elif kind == 11 and (chain := certificates(body)) is not None:
        assert len(chain[0]) <= MAX_CERTIFICATES
        assert sum(map(len, chain[0])) <= len(body)
        yield chain


def observed(steps: Iterable[tuple[int, bytes]], *, cut: bool) -> TlsReader:
    """A reader of both directions."""
    reader = TlsReader()
    for number, (tag, body) in enumerate(steps):
        if tag & 4:
            reader.gap(tag & 1, len(body) + 1, number, "lost")
        else:
            for piece in pieces(body) if cut else (body,):
                if piece:
                    reader.data(tag & 1, piece, number)
    return reader


def target(data: bytes) -> None:
    """One direction, both directions, and the name that the first bytes ask for."""
    steps = [(tag, body) for tag, body in records(data)]
    said = b"".join(body for tag, body in steps if not tag & 5)
    assert messages(pieces(said)) == messages([said])
    named = server_name(said) if said else NEED_MORE
    assert slowly(said) == named
    if isinstance(named, str):
        assert len(named) <= MAX_NAME
        assert named.isascii()
        assert looks_like_tls(said)
    first, second = (observed(steps, cut=cut) for cut in (False, True))
    assert first.client_hello == second.client_hello
    assert first.server_hello == second.server_hello
    for reader in (first, second):
        assert len(reader.alerts) <= MAX_ALERTS
        assert len(reader.problems) <= MAX_PROBLEMS
        assert reader.plain_reply is not None


def slowly(data: bytes) -> object:
    """The name, asked for byte by byte."""
    hello = Hello()
    for at in range(len(data)):
        found = hello.feed(data[at : at + 1])
        if found is not NEED_MORE:
            return found
    return NEED_MORE


def seeds() -> Iterator[bytes]:
    """The beginnings of recorded TLS connections."""
    for path in sorted(sources.CAPTURES.glob("tls/*.pcapng")):
        for one in sources.connections(path)[:2]:
            yield packed(one.said[:6])
            yield packed([one.said[0], (4, b"xx"), *one.said[2:5]])
