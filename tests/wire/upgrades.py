"""Writes upgrade requests and answers, and plays them to the observer, for the tests beside it."""

from __future__ import annotations

import base64

from ocppscope.model import Handshake
from ocppscope.problems import PROBLEMS
from ocppscope.wire.http import (
    Upgrade,
)

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # the example of RFC 6455 §1.3
FRAME = b"\x81\x02hi"

REQUEST = {
    "Host": "csms.example:9000",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "ocpp1.6",
}
RESPONSE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": ACCEPT,
    "Sec-WebSocket-Protocol": "ocpp1.6",
}


def head(line: str, headers: dict[str, str | None], end: str = "\r\n") -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return (end.join(lines) + end * 2).encode("latin-1")


def request(target: str = "/ocpp/CP1", line: str = "", **changed: str | None) -> bytes:
    return head(line or f"GET {target} HTTP/1.1", REQUEST | _names(changed))


def response(line: str = "HTTP/1.1 101 Switching Protocols", **changed: str | None) -> bytes:
    return head(line, RESPONSE | _names(changed))


def refusal(status: str = "401 Unauthorized", body: bytes = b"", **headers: str | None) -> bytes:
    return head(f"HTTP/1.1 {status}", {"Content-Length": str(len(body))} | _names(headers)) + body


def _names(headers: dict[str, str | None]) -> dict[str, str | None]:
    known = {name.lower(): name for name in REQUEST | RESPONSE}
    return {known.get(key.replace("_", "-").lower(), key.replace("_", "-")): value for key, value in headers.items()}


Step = tuple[str, bytes]


def play(*steps: Step, size: int | None = None) -> Upgrade:
    """ ">" is client to server, "<" the answer; `size` cuts each step into pieces."""
    upgrade = Upgrade()
    for number, (direction, data) in enumerate(steps, 1):
        feed = upgrade.request if direction == ">" else upgrade.response
        for at in range(0, len(data), size or len(data) or 1):
            feed(data[at : at + (size or len(data))], number * 1000, number)
    return upgrade


def snapshot(upgrade: Upgrade) -> tuple[object, ...]:
    rests = upgrade.rest_station, upgrade.rest_csms
    return upgrade.state, upgrade.handshake, upgrade.refused, rests, upgrade.problems


def seen(*steps: Step) -> Upgrade:
    whole = play(*steps)
    for size in (1, 7):
        assert snapshot(play(*steps, size=size)) == snapshot(whole)
    return whole


def shake(asked: bytes = b"", answered: bytes = b"") -> Handshake:
    upgrade = seen((">", asked or request()), ("<", answered or response()))
    assert upgrade.handshake is not None
    return upgrade.handshake


def codes(handshake: Handshake) -> set[str]:
    found = {problem.code for problem in handshake.problems}
    assert found <= set(PROBLEMS)
    return {code.removeprefix("http.") for code in found}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


PLAIN = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
