"""Upgrades as a log tells them in a few words, made into the heads that would have been on the wire.

    101 ocpp1.6, user CP-1, 5.9ms, /ocpp/CP-1, 192.0.2.1:40000 → 192.0.2.2:9000      as `log` prints it
    ocpp1.6 192.0.2.1:40000 -> 192.0.2.2:9000 user=CP-1 path=/ocpp/CP-1              as a person writes it

Words in, `Upgrade` out, and of that bytes. What the words leave out is as a careful station and CSMS have it.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote

from ocppscope.model import Endpoint, Flow, Version

SWITCHING = 101
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_PASSWORD = b"*" * 20  # as long as a good one; nobody is told what it was
_HOST = "csms.example"

_REFUSAL = re.compile(r'(\d{3})(?: ([^",]*?))?(?: "(.*?)")?(?=,|$| [a-z]+=)', re.ASCII)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(µs|ms|s)", re.ASCII)
_LEG = re.compile(r"repeats the session of #(\d{1,9}) on another leg", re.ASCII)
_STATED = re.compile(r"OCPP (\d\.\d(?:\.\d)?)", re.ASCII)
_UNITS = {"µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


class Upgrade(NamedTuple):
    """What the words say. `status` None: no answer was seen."""

    status: int | None = SWITCHING
    reason: str = "Switching Protocols"
    body: str = ""
    protocol: str = ""
    offered: tuple[str, ...] | None = None  # None: what was chosen
    deflate: bool = False
    user: str = ""
    path: str = ""
    flow: Flow | None = None
    took_ns: int = 0
    leg_of: int | None = None
    midstream: bool = False
    version: Version = Version.UNKNOWN  # of a connection found in its middle, if the log is sure of it


def read_upgrade(kind: str, words: str) -> Upgrade | None:
    """The words behind OPEN, REFUSED or NO REPLY; None if they cannot be read."""
    words, flow = _take_flow(words)
    upgrade, rest = _verdict(kind, words)
    if upgrade is None:
        return None
    upgrade = upgrade._replace(flow=flow)
    pieces = [piece.strip(" ,") for piece in rest.split(", ")]
    for index, piece in enumerate(pieces):
        if piece.startswith("/"):  # of a path with commas, the rest
            return upgrade._replace(path=", ".join(pieces[index:]))
        read = _piece(upgrade, piece) if piece else upgrade
        if read is None:
            return None
        upgrade = read
    return upgrade


def _take_flow(words: str) -> tuple[str, Flow | None]:
    """The words without `a:p → b:p`, and what that says."""
    tokens = words.split(" ")
    for index in range(len(tokens) - 2, 0, -1):
        if tokens[index] in ("→", "->"):
            client, server = endpoint(tokens[index - 1]), endpoint(tokens[index + 1].rstrip(","))
            if client and server:
                return " ".join(tokens[: index - 1] + tokens[index + 2 :]), Flow(client, server)
    return words, None


def endpoint(text: str) -> Endpoint | None:
    """`10.0.0.1:9000` or `[fd00::1]:9000`."""
    address, _, port = text.rpartition(":")
    try:
        parsed = ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    if not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 1 << 16):
        return None
    return Endpoint(str(parsed), int(port))


def _verdict(kind: str, words: str) -> tuple[Upgrade | None, str]:
    """How it went, and the words after that."""
    if kind == "NO REPLY":
        return Upgrade(status=None), words.removeprefix("no answer in the capture")
    if kind == "REFUSED":
        found = _REFUSAL.match(words)
        if found is None:
            return None, words
        return Upgrade(int(found[1]), found[2] or "", found[3] or ""), words[found.end() :]
    for start in ("found in its middle", "midstream"):
        if words.startswith(start):
            return Upgrade(midstream=True), words.removeprefix(start)
    return Upgrade(), words.removeprefix("101 without a subprotocol").removeprefix("101 ")


def _piece(upgrade: Upgrade, piece: str) -> Upgrade | None:
    """One of the comma-separated pieces."""
    for start, field in (("offered ", "offered"), ("user ", "user")):
        if piece.startswith(start):
            value = piece.removeprefix(start)
            return _with(upgrade, field, " " if value == "no subprotocol" else value)
    leg, stated = _LEG.fullmatch(piece), _STATED.fullmatch(piece)
    if leg:
        return upgrade._replace(leg_of=int(leg[1]))
    if stated and stated[1] in set(Version):
        return upgrade._replace(version=Version(stated[1]))
    if upgrade.midstream and (piece == "no upgrade seen" or piece.startswith(("OCPP ", "no OCPP "))):
        return upgrade
    for token in piece.split():
        name, equals, value = token.partition("=")
        read = _with(upgrade, name, value) if equals else _word(upgrade, token)
        if read is None:
            return None
        upgrade = read
    return upgrade


def _with(upgrade: Upgrade, name: str, value: str) -> Upgrade | None:
    """With what `name=value` says."""
    if name == "offered":
        return upgrade._replace(offered=tuple(value.replace(",", " ").split()))
    if name in ("user", "path"):
        return upgrade._replace(user=value) if name == "user" else upgrade._replace(path=value)
    if name == "took":
        return _word(upgrade, value)
    if name == "leg" and value.removeprefix("#").isdecimal() and len(value) < 10:
        return upgrade._replace(leg_of=int(value.removeprefix("#")))
    return None


def _word(upgrade: Upgrade, word: str) -> Upgrade | None:
    """With what a single word says: `deflate`, a span of time, or else the subprotocol."""
    span = _SPAN.fullmatch(word)
    if word in ("deflate", "none"):
        return upgrade._replace(deflate=True) if word == "deflate" else upgrade
    if span and len(span[1]) < 12:
        return upgrade._replace(took_ns=round(float(span[1]) * _UNITS[span[2]]))
    if upgrade.protocol:
        return None
    return upgrade._replace(protocol=word)


# --- heads ------------------------------------------------------------------------------------------------------


def key_of(line: int) -> str:
    """A Sec-WebSocket-Key for the upgrade on a line: the same each time, and another on each line."""
    return base64.b64encode(hashlib.sha256(b"%d" % line).digest()[:16]).decode()


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a key (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode("utf-8", "replace") + _GUID).digest()).decode()


def usual_request_headers(key: str) -> list[str]:
    """What a careful station sends with its upgrade."""
    return [
        f"Host: {_HOST}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]


def usual_answer_headers(key: str) -> list[str]:
    """What a careful CSMS answers a key with."""
    return ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_of(key)}"]


def request_of(upgrade: Upgrade, station: str, key: str) -> bytes:
    """The request head."""
    path = _CONTROL.sub("", upgrade.path) or f"/ocpp/{quote(station, safe='', errors='surrogatepass')}"
    lines = [f"GET {path} HTTP/1.1", *usual_request_headers(key)]
    offered = ((upgrade.protocol,) if upgrade.protocol else ()) if upgrade.offered is None else upgrade.offered
    if offered:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(offered)}")
    if upgrade.deflate:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate")
    if upgrade.user:
        credentials = base64.b64encode(upgrade.user.encode("utf-8", "replace") + b":" + _PASSWORD).decode()
        lines.append(f"Authorization: Basic {credentials}")
    return head(lines)


def answer_of(upgrade: Upgrade, key: str) -> bytes:
    """The response: its head, and the body of a refusal."""
    assert upgrade.status is not None
    body = upgrade.body.encode("utf-8", "replace")
    lines = [f"HTTP/1.1 {upgrade.status:03} {upgrade.reason}".rstrip()]
    if upgrade.status != SWITCHING:
        lines.append(f"Content-Length: {len(body)}")
        return head(lines) + body
    lines += usual_answer_headers(key)
    if upgrade.protocol:
        lines.append(f"Sec-WebSocket-Protocol: {upgrade.protocol}")
    if upgrade.deflate:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate")
    return head(lines)


def head(lines: list[str]) -> bytes:
    """A head of these lines (RFC 9112 §2.1)."""
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")
