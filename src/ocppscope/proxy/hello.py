"""What the first bytes of a connection say before anything is answered: whether it is TLS, and the name it asks for.

The name decides which certificate a station is shown, and whom to ask upstream in transparent mode. Sans-IO; whatever
a peer sends, the answer is a name that may stand in a certificate, none, or that there is more to come.
"""

from __future__ import annotations

import re
from enum import Enum
from ipaddress import ip_address
from typing import Literal

from ocppscope.wire.tls import CLIENT_HELLO, HANDSHAKE, Handshakes, Records, client_hello

MAX_HELLO_BYTES = 24 << 10
"""Bytes in which a ClientHello has to be complete; who needs more asks for no name."""
MAX_NAME = 253
"""Characters of a host name (RFC 1035 §2.3.4)."""

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


class NeedMore(Enum):
    """Not known before more bytes are there."""

    NEED_MORE = "need more"


NEED_MORE = NeedMore.NEED_MORE


class Hello:
    """Reads the name out of a ClientHello that comes in pieces; keeps the bytes, in `seen`."""

    __slots__ = ("_handshakes", "_records", "seen")

    def __init__(self) -> None:
        self.seen = bytearray()
        self._records = Records()
        self._handshakes = Handshakes()

    def feed(self, data: bytes) -> str | Literal[NeedMore.NEED_MORE] | None:
        """The name, once the hello is complete; None if it has none, or is no hello."""
        self.seen += data
        for record in self._records.feed(data):
            if record.kind != HANDSHAKE:
                return None
            for kind, body in self._handshakes.feed(record.body):
                hello = client_hello(body) if kind == CLIENT_HELLO else None
                return host_name(hello.server_name) if hello is not None else None
        hopeless = self._records.broken or self._handshakes.oversized or len(self.seen) > MAX_HELLO_BYTES
        return None if hopeless else NEED_MORE


def server_name(first_bytes: bytes) -> str | Literal[NeedMore.NEED_MORE] | None:
    """The name that a client asks for (SNI, RFC 6066 §3), from the first bytes that it sends.

    None if it asks for none, for something that is no host name, or is no TLS client.
    """
    return Hello().feed(first_bytes)


def looks_like_tls(first_bytes: bytes) -> bool:
    """Whether a client that begins so speaks TLS; one byte is enough."""
    return first_bytes[:1] == b"\x16" and first_bytes[1:2] in (b"", b"\x03")


def host_name(name: str) -> str | None:
    """`name` in lower case if it is a host name or an address that may stand in a certificate, else None."""
    name = name.lower().removesuffix(".")
    if len(name) > MAX_NAME:
        return None
    return name if _NAME.fullmatch(name) or is_address(name) else None


def is_address(name: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, without a zone."""
    try:
        return "%" not in name and bool(ip_address(name))
    except ValueError:
        return False
