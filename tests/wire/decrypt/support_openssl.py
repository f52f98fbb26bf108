"""TLS sessions of OpenSSL in memory: what both sides put on the wire, record by record, with the key log."""

from __future__ import annotations

import ssl
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

PEM = Path(__file__).parents[3] / "captures" / "tls"
V10, V12, V13 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
NO_ENCRYPT_THEN_MAC = 1 << 19
DONT_INSERT_EMPTY_FRAGMENTS = 0x800  # `ssl` has no name for it: no empty record before each of TLS 1.0


class Record(NamedTuple):
    """What one side wrote at once; `plain` is its application data, "" if it has none. Side 0 is the client."""

    side: int
    wire: bytes
    plain: bytes


class Session(NamedTuple):
    records: tuple[Record, ...]
    keys: bytes
    cipher: str

    def plain(self, side: int) -> bytes:
        return b"".join(record.plain for record in self.records if record.side == side)

    @property
    def body(self) -> int:
        """The index of the first record with application data."""
        return next(at for at, record in enumerate(self.records) if record.plain)


@cache
def session(
    version: ssl.TLSVersion,
    cipher: str = "",
    messages: int = 20,
    *,
    etm: bool = True,
    empty: bool = True,
    size: int = 0,
    rsa: bool = True,
) -> Session:
    """A handshake and messages in turn, each with its number; of `size` bytes, or of several."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server.load_cert_chain(PEM / ("rsa.pem" if rsa else "ec.pem"))
    with tempfile.TemporaryDirectory() as scratch:
        client.keylog_filename = f"{scratch}/keys"
        for context in (server, client):
            context.set_ciphers(f"{cipher or 'ALL'}:@SECLEVEL=0")
            _only(context, version)
            if not etm:
                context.options |= NO_ENCRYPT_THEN_MAC
            if not empty:
                context.options |= DONT_INSERT_EMPTY_FRAGMENTS
        found = _talk(server, client, messages, size)
        keys = Path(f"{scratch}/keys").read_bytes()
        client.keylog_filename = None
    return Session(found[0], keys, found[1])


def _only(context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
        context.maximum_version = version


def _talk(server: ssl.SSLContext, client: ssl.SSLContext, messages: int, size: int) -> tuple[tuple[Record, ...], str]:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    from_client, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, from_client, server_hostname="csms.example"),
        server.wrap_bio(to_server, from_server, server_side=True),
    )
    records: list[Record] = []

    def move(side: int, plain: bytes = b"") -> None:
        wire = (from_client, from_server)[side].read()
        if wire:
            records.append(Record(side, wire, plain))
            (to_server, to_client)[side].write(wire)

    waiting = {0, 1}
    while waiting:
        for side in (0, 1):
            try:
                sides[side].do_handshake()
                waiting.discard(side)
            except ssl.SSLWantReadError:
                pass
            move(side)
    for number in range(messages):
        side = number & 1
        text = f"[2,{number},".encode()
        plain = text + b"x" * ((size or 20 + 97 * (number % 5)) - len(text) - 1) + b"]"
        sides[side].write(plain)
        move(side, plain)
        assert sides[1 - side].read(1 << 16) == plain
    for side in (0, 1):
        with suppress(ssl.SSLWantReadError):
            sides[side].unwrap()
        move(side)
    return tuple(records), sides[0].cipher()[0]
