"""TLS as it shows without keys: records, and the handshake messages and alerts that are sent in the clear.

    bytes of a direction ──► Records ──► Record ──► Handshakes ──► message ──► client_hello, server_hello, …

Records may be cut anywhere and handshake messages may span records (RFC 8446 §5.1). Nothing here raises at what a
peer sends, nothing decrypts, and nothing knows which side is which. `Records` serves a decryptor as well: it gives
every record whole, whatever it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import ClientHello, ServerHello

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RECORD = (1 << 14) + 2048
"""Bytes that a record may hold (RFC 5246 §6.2.3; RFC 8446 §5.2 allows fewer)."""
MAX_HANDSHAKE = 1 << 16
"""Bytes of a handshake message that is read; of a longer one only its end is found."""
MAX_CERTIFICATES = 16
"""Certificates of one side that are kept."""
MAX_CERTIFICATE_BYTES = 16 << 10
"""Bytes of one side's certificates that are kept."""
MAX_LISTED = 512
"""Suites, versions or protocols of a hello that are kept."""

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = range(20, 25)
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, CERTIFICATE_REQUEST = 1, 2, 11, 13
SERVER_NAME, ALPN, PRE_SHARED_KEY, SUPPORTED_VERSIONS = 0, 16, 41, 43
TLS12, TLS13 = 0x0303, 0x0304
HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that asks for another ClientHello (RFC 8446 §4.1.3)."""

_HEADER = 5


class Record(NamedTuple):
    """One record; `body` is encrypted once keys are in use."""

    kind: int
    version: int
    body: bytes


class Records:
    """The records of one direction. Stops at bytes that begin no record: `broken`, and they are in `rest`."""

    __slots__ = ("_buffer", "broken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.broken = False

    @property
    def rest(self) -> bytes:
        """What was fed and not given out as a record."""
        return bytes(self._buffer)

    def held_back(self) -> int:
        """How many bytes that is."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Record]:
        """The records that `data` completes. A broken reader keeps but the first bytes."""
        buffer = self._buffer
        if self.broken:
            return []
        buffer += data
        found, at, size = [], 0, len(buffer)
        while size - at > 0:
            if not is_header(buffer, at):
                self.broken = True
                break
            if size - at < _HEADER:
                break
            stop = at + _HEADER + (buffer[at + 3] << 8 | buffer[at + 4])
            if stop > size:
                break
            found.append(Record(buffer[at], buffer[at + 1] << 8 | buffer[at + 2], bytes(buffer[at + _HEADER : stop])))
            at = stop
        del buffer[:at]
        if self.broken:
            del buffer[MAX_RECORD:]
        return found

    def gap(self, lost: int) -> None:
        """`lost` bytes are missing. What they touch is not given out; what comes next may begin a record."""
        buffer = self._buffer
        if len(buffer) < _HEADER or (wanted := _HEADER + (buffer[3] << 8 | buffer[4]) - len(buffer)) <= lost:
            buffer.clear()
        elif not self.broken:
            assert wanted <= MAX_RECORD + _HEADER
            buffer += bytes(lost)


def is_header(data: bytes | bytearray, at: int = 0) -> bool:
    """Whether what is there of a record header may be one (RFC 8446 §5.1)."""
    there = len(data) - at
    return (
        (there < 1 or CHANGE_CIPHER_SPEC <= data[at] <= HEARTBEAT)
        and (there < 2 or data[at + 1] == 3)
        and (there < 3 or data[at + 2] <= 4)
        and (there < 5 or (data[at + 3] << 8 | data[at + 4]) <= MAX_RECORD)
    )


class Handshakes:
    """The handshake messages of one direction, from the bodies of its records."""

    __slots__ = ("_buffer", "_skip", "oversized")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0
        self.oversized = False  # a message was too long to be read

    def held_back(self) -> int:
        """Bytes that wait for the rest of their message."""
        return len(self._buffer)

    def feed(self, body: bytes) -> list[tuple[int, bytes]]:
        """The messages that a record's body completes: type and content."""
        buffer, found = self._buffer, []
        skipped = min(self._skip, len(body))
        self._skip -= skipped
        buffer += memoryview(body)[skipped:]
        at = 0
        while len(buffer) - at >= 4:
            stop = at + 4 + int.from_bytes(buffer[at + 1 : at + 4], "big")
            if stop - at > MAX_HANDSHAKE:
                self.oversized = True
                self._skip = max(stop - len(buffer), 0)
                at = min(stop, len(buffer))
                continue
            if stop > len(buffer):
                break
            found.append((buffer[at], bytes(buffer[at + 4 : stop])))
            at = stop
        del buffer[:at]
        return found


# --- handshake messages ---------------------------------------------------------------------------------------------


class _CutError(Exception):
    """A message ends before it should."""


class _Cursor:
    """Reads numbers and vectors (RFC 8446 §3)."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        stop = self.at + count
        if stop > len(self.data):
            raise _CutError
        taken = self.data[self.at : stop]
        self.at = stop
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes behind their length, which has `size` bytes."""
        return self.take(self.number(size))

    @property
    def more(self) -> bool:
        return self.at < len(self.data)


def client_hello(body: bytes) -> ClientHello | None:
    """What a ClientHello says; None if it cannot be read."""
    cursor = _Cursor(body)
    try:
        version, random, session = cursor.number(2), cursor.take(32), cursor.vector(1)
        suites = _numbers(cursor.vector(2))
        cursor.vector(1)  # compression methods
    except _CutError:
        return None
    extensions = _extensions(cursor)
    versions = _numbers(extensions.get(SUPPORTED_VERSIONS, b"")[1:]) or (version,)
    return ClientHello(_server_name(extensions), versions, suites, _protocols(extensions), random, session)


def server_hello(body: bytes) -> tuple[ServerHello, bool] | None:
    """What a ServerHello says, and whether it takes up an earlier session by a ticket of TLS 1.3."""
    cursor = _Cursor(body)
    try:
        version, random, session = cursor.number(2), cursor.take(32), cursor.vector(1)
        suite, compression = cursor.number(2), cursor.number(1)
    except _CutError:
        return None
    extensions = _extensions(cursor)
    chosen = extensions.get(SUPPORTED_VERSIONS, b"")
    version = int.from_bytes(chosen, "big") if len(chosen) == 2 else version
    names = _protocols(extensions)
    hello = ServerHello(version, suite, names[0] if names else "", random, session, compression)
    return hello, PRE_SHARED_KEY in extensions


def certificates(body: bytes) -> tuple[tuple[bytes, ...], bool] | None:
    """The chain of a Certificate message up to TLS 1.2 (RFC 5246 §7.4.2), and whether all of it is given.

    None if it cannot be read.
    """
    cursor, size = _Cursor(body), 0
    kept: list[bytes] = []
    try:
        chain = _Cursor(cursor.vector(3))
        while chain.more:
            certificate = chain.vector(3)
            size += len(certificate)
            if len(kept) >= MAX_CERTIFICATES or size > MAX_CERTIFICATE_BYTES:
                return tuple(kept), False
            kept.append(certificate)
    except _CutError:
        return None
    return tuple(kept), True


def _extensions(cursor: _Cursor) -> dict[int, bytes]:
    """The first of each kind; those before the end, if they are cut."""
    found: dict[int, bytes] = {}
    try:
        if cursor.more:
            size = cursor.number(2)
            inner = _Cursor(cursor.data[cursor.at : cursor.at + size])
            while inner.more:
                found.setdefault(inner.number(2), inner.vector(2))
    except _CutError:
        pass
    return found


def _numbers(data: bytes) -> tuple[int, ...]:
    """Numbers of two bytes without those that mean nothing (GREASE, RFC 8701)."""
    numbers = (data[at] << 8 | data[at + 1] for at in range(0, min(len(data) - 1, 2 * MAX_LISTED), 2))
    return tuple(number for number in numbers if number & 0x0F0F != 0x0A0A or number >> 8 != number & 0xFF)


def _server_name(extensions: dict[int, bytes]) -> str:
    cursor = _Cursor(extensions.get(SERVER_NAME, b""))
    try:
        names = _Cursor(cursor.vector(2))
        while names.more:
            kind, name = names.number(1), names.vector(2)
            if kind == 0:
                return name.decode("latin-1")
    except _CutError:
        pass
    return ""


def _protocols(extensions: dict[int, bytes]) -> tuple[str, ...]:
    return tuple(name.decode("latin-1") for name in _protocol_names(extensions.get(ALPN, b"")))[:MAX_LISTED]


def _protocol_names(extension: bytes) -> Iterator[bytes]:
    cursor = _Cursor(extension)
    try:
        names = _Cursor(cursor.vector(2))
        while names.more:
            name = names.vector(1)
            if not (len(name) == 2 and name[0] == name[1] and name[0] & 0x0F == 0x0A):
                yield name
    except _CutError:
        return
