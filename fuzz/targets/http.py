"""Heads of an upgrade: the same however they are cut, bounded, and without the password."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from msgspec.structs import replace

from fuzz import sources
from fuzz.tape import joined, packed, pieces, records, split
from ocppscope.model import Handshake
from ocppscope.wire.extensions import MAX_EXTENSIONS, agree, judge_offers, parse_extensions
from ocppscope.wire.http import MAX_BODY_BYTES, MAX_REFUSED, Upgrade, UpgradeState

WORDS = (
    b"Authorization: Basic ", b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=",
    b"Sec-WebSocket-Protocol: ocpp1.6, ocpp2.0.1\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: ",
    b"HTTP/1.1 401 No\r\n", b"Content-Encoding: gzip\r\n", b"Connection: Upgrade\r\n", b"Upgrade: websocket\r\n",
    b"GET /", b"%00", b"%ff", b"\r\n ", b"Sec-WebSocket-Accept: ",
)  # fmt: skip
BASIC = re.compile(rb"(?im)^authorization:[ \t]*basic[ \t]+([A-Za-z0-9+/=]{16,})[ \t]*\r?$")


def observed(request: bytes, response: bytes, *, cut: bool) -> tuple[object, ...]:
    """What an upgrade is, fed whole or in pieces."""
    upgrade = Upgrade()
    for number, piece in enumerate(pieces(request) if cut else (request,)):
        if piece and upgrade.state is not UpgradeState.UPGRADED:
            upgrade.request(piece, 1, number)
        elif piece:
            break
    for number, piece in enumerate(pieces(response) if cut else (response,)):
        if piece:
            upgrade.response(piece, 2, number)
    assert len(upgrade.refused) <= MAX_REFUSED
    handshakes = [*upgrade.refused, *([upgrade.handshake] if upgrade.handshake else [])]
    for one in handshakes:
        assert len(one.body) <= 2 * MAX_BODY_BYTES
        assert len(one.offered_extensions) <= MAX_EXTENSIONS
    rests = upgrade.rest_station, upgrade.rest_csms
    return upgrade.state, [bare(one) for one in handshakes], *rests


def bare(one: Handshake) -> Handshake:
    """Without what depends on where the bytes were cut."""
    return replace(one, request_packets=(), response_packets=())


def passwords(request: bytes) -> Iterator[str]:
    """Those of Basic authentication that are long enough to be known again."""
    for found in BASIC.finditer(request):
        try:
            said = base64.b64decode(found[1], validate=True).decode("latin-1")
        except binascii.Error:
            continue
        user, colon, password = said.partition(":")
        if colon and len(password) >= 8 and password not in user and password.isalnum():
            yield password


def target(data: bytes) -> None:
    """Requests and responses of a connection."""
    steps = list(records(data))
    request = b"".join(body for tag, body in steps if not tag & 1)
    response = b"".join(body for tag, body in steps if tag & 1)
    whole = observed(request, response, cut=False)
    assert observed(request, response, cut=True) == whole
    shown = repr(whole[1])
    for password in passwords(request):
        assert request.count(password.encode("latin-1")) or password not in shown
    offered, _ = split(data)
    offers = parse_extensions([offered.decode("latin-1")])
    judge_offers(offers)
    agree(offers, offers[:1])


def seeds() -> Iterator[bytes]:
    """Upgrades of captures, and one with everything."""
    for name in ("ocpp16_plain", "ocpp16_deflate", "refused_handshakes", "ocpp201"):
        for said in list(sources.streams(name, 3))[:3]:
            yield packed(said)
    yield packed(
        [
            (0, b"GET /a/CP%201?x=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic Q1AtMTpzZWNyZXRzZWNyZXQxMg==\r\n"
                b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp2.0.1, ocpp1.6\r\n\r\n"),
            (1, b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"),
        ]
    )  # fmt: skip
    yield joined(b'permessage-deflate; client_max_window_bits="15"; server_no_context_takeover, x-y; a=b', b"")
