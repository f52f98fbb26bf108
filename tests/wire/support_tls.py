"""TLS messages and records, built byte by byte."""

from __future__ import annotations

from ocppscope.wire import tls

RANDOM = bytes(range(32))


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return bytes([kind]) + version.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def vector(size: int, body: bytes) -> bytes:
    return len(body).to_bytes(size, "big") + body


def numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, body)


def alpn(*names: str) -> bytes:
    return extension(tls.ALPN, vector(2, b"".join(vector(1, name.encode()) for name in names)))


def server_name(name: str) -> bytes:
    return extension(tls.SERVER_NAME, vector(2, b"\0" + vector(2, name.encode())))


def versions(*values: int) -> bytes:
    return extension(tls.SUPPORTED_VERSIONS, vector(1, numbers(*values)))


def client_hello(*extensions: bytes, suites: tuple[int, ...] = (0xC02F, 0xC030), version: int = 0x0303) -> bytes:
    body = numbers(version) + RANDOM + vector(1, b"") + vector(2, numbers(*suites)) + vector(1, b"\0")
    return message(tls.CLIENT_HELLO, body + (vector(2, b"".join(extensions)) if extensions else b""))


def server_hello(
    *extensions: bytes, suite: int = 0xC02F, version: int = 0x0303, random: bytes = RANDOM[::-1]
) -> bytes:
    body = numbers(version) + random + vector(1, b"") + numbers(suite) + b"\0"
    return message(tls.SERVER_HELLO, body + (vector(2, b"".join(extensions)) if extensions else b""))


def certificate(*chain: bytes) -> bytes:
    return message(tls.CERTIFICATE, vector(3, b"".join(vector(3, one) for one in chain)))


def handshake(*messages: bytes) -> bytes:
    return record(tls.HANDSHAKE, b"".join(messages))


def alert(level: int, description: int) -> bytes:
    return record(tls.ALERT, bytes([level, description]))


def data(size: int) -> bytes:
    return record(tls.APPLICATION_DATA, bytes(size))


CHOSEN_13 = extension(tls.SUPPORTED_VERSIONS, numbers(0x0304))
CHANGE = record(tls.CHANGE_CIPHER_SPEC, b"\1")
FINISHED = record(tls.HANDSHAKE, bytes(range(100, 140)))  # encrypted
SERVER_DONE = message(14, b"")
KEY_EXCHANGE = message(16, bytes(66))
HELLO = handshake(client_hello(server_name("csms.example"), alpn("http/1.1")))
TLS12 = (
    (0, HELLO),
    (1, handshake(server_hello(), certificate(b"leaf", b"issuer"), SERVER_DONE)),
    (0, handshake(KEY_EXCHANGE) + CHANGE + FINISHED),
    (1, CHANGE + FINISHED),
    (0, data(200)),
    (1, data(150)),
)
"""A whole handshake of TLS 1.2, and data both ways: direction and bytes."""
TLS13_HELLO = handshake(client_hello(versions(0x0304, 0x0303)))
TLS13 = (
    (0, TLS13_HELLO),
    (1, handshake(server_hello(CHOSEN_13, suite=0x1302)) + CHANGE + data(900) + data(69)),
    (0, CHANGE + data(69)),
    (0, data(200)),
    (1, data(230)),
)
