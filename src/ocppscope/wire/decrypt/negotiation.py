"""What the handshake of a connection says that keys depend on, and the keys that follow from it and the secrets.

Fed with handshake messages as they are read, in the clear or opened; a ClientHello begins anew (renegotiation).
Sources: RFC 5246 §7.4, RFC 7366 §2, RFC 7627 §5, RFC 5077 §3.3, RFC 8446 §4.1, §4.2.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.model import ServerHello
from ocppscope.tlsnames import suite_name
from ocppscope.wire import tls
from ocppscope.wire.decrypt import keylog, keys, suites
from ocppscope.wire.decrypt.half import APPLICATION, EARLY, HANDSHAKE, SESSION, Epoch, traffic_epoch

if TYPE_CHECKING:
    from ocppscope.wire.decrypt.keylog import Secrets
    from ocppscope.wire.decrypt.suites import Suite

MAX_TRANSCRIPT = 1 << 15
"""Bytes of a handshake's messages that are kept; a longer one cannot be opened with an RSA key."""

HELLO_REQUEST, NEW_SESSION_TICKET, CLIENT_KEY_EXCHANGE = 0, 4, 16
_SESSION_TICKET, _ENCRYPT_THEN_MAC, _EXTENDED_MASTER, EARLY_DATA = 35, 22, 23, 42
_TLS10, _TLS12, _TLS13 = 0x0301, 0x0303, 0x0304

Epochs = tuple[list[Epoch], list[Epoch]]
"""The keys to come of the two directions, the client's first."""


class Negotiation:
    """One handshake. `client` is the client's direction, once it is known."""

    def __init__(self) -> None:
        self.client: int | None = None
        self.retried = False
        self._begin()

    def _begin(self) -> None:
        self.random = b""  # the client's; b"" while it is not known
        self.server: ServerHello | None = None
        self.suite: Suite | None = None
        self.offers_early = False
        self.key_exchanged = False
        self._compression = 0
        self._mac_last = False
        self._extended = False
        self._encrypted = b""  # premaster secret, as sent
        self._offered: tuple[bytes, bytes] = b"", b""  # session id, ticket
        self._ticket = b""  # that the server gave
        self._used = b""  # the master secret
        self._transcript = bytearray()
        self._whole = True  # the transcript
        self._is_long = False

    def held_back(self) -> int:
        """Bytes of memory that the handshake takes until it is over."""
        return len(self._transcript)

    @property
    def is_13(self) -> bool:
        """Whether the server chose TLS 1.3."""
        return self.server is not None and self.server.version == _TLS13

    # --- messages -----------------------------------------------------------------------------------------------

    def message(self, direction: int, kind: int, body: bytes) -> None:
        """The next handshake message up to TLS 1.2, or hello of any version."""
        if kind == tls.CLIENT_HELLO:
            self._client_hello(direction, body)
        if kind != HELLO_REQUEST and not self.key_exchanged:
            self._note(kind, body)
        if kind == tls.SERVER_HELLO:
            self._server_hello(direction, body)
        elif kind == CLIENT_KEY_EXCHANGE:
            self.key_exchanged = True
            self._encrypted = body[2:]
        elif kind == NEW_SESSION_TICKET:
            self._ticket = body[6 : 6 + int.from_bytes(body[4:6], "big")]

    def assume(self, random: bytes, suite: int) -> None:
        """The hellos of a connection of TLS 1.3 are not all in the capture, but this was found out."""
        self.random = random
        if self.server is None:
            self.server = ServerHello(_TLS13, suite, "", b"")
            self.suite = suites.suite(suite)

    def broken_off(self) -> None:
        """Messages may be missing."""
        self._whole = False

    def _note(self, kind: int, body: bytes) -> None:
        message = bytes([kind]) + len(body).to_bytes(3, "big") + body
        if len(self._transcript) + len(message) > MAX_TRANSCRIPT:
            self._whole, self._is_long = False, True
        else:
            self._transcript += message

    def _client_hello(self, direction: int, body: bytes) -> None:
        hello = tls.client_hello(body)
        if hello is None:
            return
        retried = self.retried and self.server is None
        self.client = direction
        if not retried:
            self._begin()
        extensions = _hello_extensions(body, client=True)
        self.random = hello.random
        self.offers_early = EARLY_DATA in extensions
        self._offered = hello.session_id, extensions.get(_SESSION_TICKET, b"")

    def _server_hello(self, direction: int, body: bytes) -> None:
        found = tls.server_hello(body)
        if found is None:
            return
        hello, _ = found
        self.client = 1 - direction
        if hello.random == tls.HELLO_RETRY:
            self.retried = True
            return
        extensions = _hello_extensions(body, client=False)
        self.server = hello
        if hello.version == _TLS13:
            self._transcript.clear()
        self.suite = suites.suite(hello.suite)
        self._compression = body[37 + body[34]] if len(body) > 34 and len(body) > 37 + body[34] else 0
        self._mac_last = _ENCRYPT_THEN_MAC in extensions
        self._extended = _EXTENDED_MASTER in extensions

    # --- keys ---------------------------------------------------------------------------------------------------

    def obstacle(self, secrets: Secrets) -> str:
        """Why no keys can be had; a sentence."""
        if fault := self.fault():
            return fault
        if self.server is None:
            return "The ServerHello is not in the capture, and without it the keys cannot be made."
        suite = self.suite
        assert suite is not None
        if not self.random:
            return "The ClientHello is not in the capture, and no secrets of the key log fit."
        if secrets.server_keys and not self.is_13 and not secrets.of(self.random):
            if suite.exchange != "RSA":
                return (
                    f"{suite.name} has forward secrecy: the server's key does not open it, a key log of this "
                    "connection does."
                )
            if not self.key_exchanged:
                return "It takes up an earlier session that is not in the capture; the server's key does not open it."
            if self._extended and self._is_long:
                return "The handshake is longer than is kept, and the server's key alone does not open it."
            if self._extended and not self._whole:
                return "A part of the handshake is not in the capture, and the server's key alone does not open it."
            return "The server's key is not the one that this connection was made with."
        return "There are no secrets for this connection in the key log."

    def fault(self) -> str:
        """Why it cannot be opened with any secret; "" if it may be."""
        if self.server is None:
            return ""
        version, suite = self.server.version, self.suite
        if not _TLS10 <= version <= _TLS13:
            return f"Version 0x{version:04X} of TLS is not decrypted."
        if suite is None:
            return f"The cipher suite {suite_name(self.server.suite)} is not decrypted."
        if (version == _TLS13) != (not suite.exchange):
            return f"The cipher suite {suite.name} does not belong to the version that was chosen."
        if self._compression:
            return "The connection is compressed by TLS, which is not decrypted."
        return ""

    def complete(self, secrets: Secrets) -> bool:
        """Whether all that is used is there, so that there is nothing to wait for."""
        if self.is_13:
            return all(label in secrets.of(self.random) for label in keylog.APPLICATION)
        return True

    def epochs(self, secrets: Secrets) -> Epochs | None:
        """The keys; None if secrets are missing."""
        if self.server is None or self.suite is None or self.fault():
            return None
        if self.is_13:
            return self._epochs_13(secrets.of(self.random), self.suite)
        master = self._master(secrets)
        if master is None:
            return None
        self._used = master
        self._transcript.clear()
        self._whole = False
        self.remember(secrets)
        return self.session(self.random, master)

    def _epochs_13(self, known: dict[str, bytes], suite: Suite) -> Epochs | None:
        how = suite.prf, suite.kind, suite.key
        size = 48 if suite.prf == "sha384" else 32
        labels = (
            ((EARLY, keylog.EARLY), (HANDSHAKE, keylog.HANDSHAKE[0]), (APPLICATION, keylog.APPLICATION[0])),
            ((HANDSHAKE, keylog.HANDSHAKE[1]), (APPLICATION, keylog.APPLICATION[1])),
        )
        made = tuple(
            [
                traffic_epoch(name, known[label], how)
                for name, label in side
                if len(known.get(label, b"")) == size and (name != EARLY or self.offers_early)
            ]
            for side in labels
        )
        client, server = (side if side and side[-1].name == APPLICATION else [] for side in made)
        return (client, server) if client or server else None

    def remember(self, secrets: Secrets) -> None:
        """The session may be taken up again by its id or ticket."""
        names = (self.server.session_id if self.server is not None else b"", self._ticket)
        for name in names if self._used else ():
            if name:
                secrets.remember(name, self._used)

    def session(self, random: bytes, master: bytes) -> Epochs:
        """The keys up to TLS 1.2 of a master secret."""
        from ocppscope.wire.decrypt import ciphers  # noqa: PLC0415 - loads `cryptography`

        assert self.server is not None
        assert self.suite is not None
        version, suite = self.server.version, self.suite
        fixed = suite.fixed if suite.kind in suites.AEADS or version == _TLS10 else 0
        sizes = ciphers.mac_bytes(suite), suite.key, fixed
        block = keys.key_block(version, suite.prf, master, (random, self.server.random), sizes)
        client, server = ciphers.protections(suite, version, block, mac_last=self._mac_last)
        return [Epoch(SESSION, client)], [Epoch(SESSION, server)]

    def _master(self, secrets: Secrets) -> bytes | None:
        assert self.server is not None
        assert self.suite is not None
        known = secrets.of(self.random)
        if keylog.MASTER in known:
            return known[keylog.MASTER]
        if not self.random:
            return None
        if not self.key_exchanged:
            session, ticket = self._offered
            resumed = session if session == self.server.session_id else b""
            return secrets.session(resumed) or secrets.session(ticket)
        premaster = known.get(keylog.PREMASTER) or self._premaster(secrets)
        if premaster is None:
            return secrets.session(self.server.session_id)
        version, digest = self.server.version, self.suite.prf
        if not self._extended:
            return keys.master_secret(version, digest, premaster, self.random, self.server.random)
        if not self._whole:
            return None
        return keys.extended_master_secret(version, digest, premaster, bytes(self._transcript))

    def _premaster(self, secrets: Secrets) -> bytes | None:
        assert self.suite is not None
        if self.suite.exchange != "RSA" or not self._encrypted:
            return None
        told = secrets.premaster(self._encrypted)
        if told is not None:
            return told
        opened = (key.premaster(self._encrypted) for key in secrets.server_keys)
        return next((premaster for premaster in opened if premaster is not None), None)


def extensions(data: bytes) -> dict[int, bytes]:
    """Extensions of a message, behind their length (RFC 8446 §4.2); those before the end, if they are cut."""
    found: dict[int, bytes] = {}
    at, stop = 2, min(2 + int.from_bytes(data[:2], "big"), len(data))
    while at + 4 <= stop:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if at + 4 + size > stop:
            break
        found.setdefault(int.from_bytes(data[at : at + 2], "big"), data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _hello_extensions(body: bytes, *, client: bool) -> dict[int, bytes]:
    """The extensions of a hello that can be read."""
    at = 35 + body[34]  # version, random, session id
    if not client:
        return extensions(body[at + 3 :])
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    return extensions(body[at + 1 + body[at] :]) if at < len(body) else {}


def certificates(body: bytes) -> tuple[bytes, ...]:
    """The chain of a Certificate message of TLS 1.3 (RFC 8446 §4.4.2)."""
    at = 1 + body[0] if body else 0
    stop = at + 3 + int.from_bytes(body[at : at + 3], "big")
    at += 3
    kept: list[bytes] = []
    while at + 3 <= min(stop, len(body)):
        size = int.from_bytes(body[at : at + 3], "big")
        certificate = body[at + 3 : at + 3 + size]
        if len(kept) >= tls.MAX_CERTIFICATES or sum(map(len, kept)) + size > tls.MAX_CERTIFICATE_BYTES:
            break
        kept.append(certificate)
        at += 3 + size
        at += 2 + int.from_bytes(body[at : at + 2], "big")
    return tuple(kept)
