"""One record opened: tag or MAC checked, padding taken off. One object a key, and no state but TLS 1.0's IV.

`open` takes a record's sequence number, header and body, and gives its content type and plaintext, or None where the
tag or MAC does not fit: for every reason. `find` tries many sequence numbers.
Sources: RFC 5246 §6.2.3, RFC 5288, RFC 6655, RFC 7366, RFC 7905, RFC 8446 §5.2.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers import algorithms as old_algorithms
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from ocppscope.wire.decrypt import chacha, keys
from ocppscope.wire.decrypt.suites import AEADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cryptography.hazmat.primitives.ciphers import CipherContext
    from numpy.typing import NDArray

    from ocppscope.wire.decrypt.keys import KeyBlock
    from ocppscope.wire.decrypt.suites import Suite

Opened = tuple[int, bytes]
"""Content type and plaintext."""
Found = tuple[int, int, bytes]
"""Sequence number, content type and plaintext."""

HANDSHAKE, APPLICATION_DATA = 22, 23
CHUNK = 1 << 16
"""Sequence numbers whose key streams are looked at together."""
PRICE_AES, PRICE_CHACHA = 64, 8
"""Sequence numbers that key streams tell apart for the price of one trial."""
_EXPLICIT = 8  # bytes of nonce that a record of TLS 1.2 carries
_WRONG = (InvalidTag, ValueError)


class Protection(Protocol):
    """How the records of one direction are protected by one key."""

    overhead: int  # bytes by which a body is longer than its plaintext; the least, if that varies
    exact: bool  # whether it does not vary
    chained: bool  # whether a record can only be opened after the one before it
    price: int  # how many numbers `find` tries for the price of one trial
    beheaded: bool  # the plaintext that was given out last lacks its beginning, which nothing vouches for

    def open(self, seq: int, header: bytes, body: bytes) -> Opened | None:
        """A record with a sequence number."""

    def find(self, first: int, count: int, header: bytes, body: bytes) -> Found | None:
        """A record with the first sequence number of `count` that fits."""

    def run(self, first: int, headers: Sequence[bytes], bodies: Sequence[bytes]) -> list[bytes]:
        """The plaintext of records of application data that follow on each other, up to one that is anything else."""

    def passed(self, seq: int | None, body: bytes) -> None:
        """The next record comes after this one; `seq` is None if it was not opened."""


class _OneByOne:
    """Runs of records."""

    beheaded = False

    def open(self, seq: int, header: bytes, body: bytes) -> Opened | None:
        raise NotImplementedError

    def run(self, first: int, headers: Sequence[bytes], bodies: Sequence[bytes]) -> list[bytes]:
        found = []
        for seq, record in enumerate(zip(headers, bodies, strict=True), first):
            opened = self.open(seq, *record)
            if opened is None or opened[0] != APPLICATION_DATA:
                break
            found.append(opened[1])
        return found


class _Aead(_OneByOne):
    """What the AEAD ciphers share."""

    exact = True
    chained = False
    price = 1

    def __init__(self, kind: str, key: bytes, tag: int) -> None:
        self._decrypt: Callable[[bytes, bytes, bytes | None], bytes] = _aead(kind, key, tag)

    def find(self, first: int, count: int, header: bytes, body: bytes) -> Found | None:
        return self._first(range(first, first + count), header, body)

    def _first(self, numbers: Iterable[int], header: bytes, body: bytes) -> Found | None:
        for seq in numbers:
            opened = self.open(seq, header, body)
            if opened is not None:
                return seq, *opened
        return None

    def passed(self, seq: int | None, body: bytes) -> None:
        """Records do not depend on each other."""


class Aead13(_Aead):
    """TLS 1.3 (RFC 8446 §5.2)."""

    def __init__(self, kind: str, key: bytes, iv: bytes) -> None:
        tag = 8 if kind == "ccm8" else 16
        super().__init__(kind, key, tag)
        self.overhead = tag + 1
        self._tag = tag
        self._iv = int.from_bytes(iv, "big")
        self._iv_bytes = iv
        self._kind = kind
        self._key = key
        self._blocks: CipherContext | None = None  # encrypts counters
        self.price = PRICE_CHACHA if kind == "chacha" else PRICE_AES

    def open(self, seq: int, header: bytes, body: bytes) -> Opened | None:
        """Its content type is the last byte that is not zero (§5.4)."""
        try:
            plain = self._decrypt((self._iv ^ seq).to_bytes(12, "big"), body, header)
        except _WRONG:
            return None
        if plain and plain[-1]:
            return plain[-1], plain[:-1]
        plain = plain.rstrip(b"\0")
        return (plain[-1], plain[:-1]) if plain else (0, b"")

    def run(self, first: int, headers: Sequence[bytes], bodies: Sequence[bytes]) -> list[bytes]:
        """As `open`, without what it costs to call it; padding is one of the things that end a run."""
        iv, plains, found = self._iv, list[bytes](), list[bytes]()
        nonces = [(iv ^ seq).to_bytes(12, "big") for seq in range(first, first + len(bodies))]
        with suppress(*_WRONG):
            plains.extend(map(self._decrypt, nonces, bodies, headers))
        for plain in plains:
            if not plain or plain[-1] != APPLICATION_DATA:
                break
            found.append(plain[:-1])
        return found

    def find(self, first: int, count: int, header: bytes, body: bytes) -> Found | None:
        """The key stream of each number tells which ones make the last byte a content type."""
        if count < 2 * PRICE_AES or len(body) <= self._tag:
            return super().find(first, count, header, body)
        for start in range(first, first + count, CHUNK):
            likely = self._likely(start, min(CHUNK, first + count - start), body)
            found = self._first((start + at for at in likely), header, body)
            if found is not None:
                return found
        return None

    def _likely(self, first: int, count: int, body: bytes) -> list[int]:
        """Which of `count` numbers from `first` on make the last bytes a content type, or padding (§5.4)."""
        last = len(body) - self._tag - 1
        nonces = np.empty((count, 12), np.uint8)
        nonces[:] = np.frombuffer(self._iv_bytes, np.uint8)
        numbers = np.arange(first, first + count, dtype=np.uint64).astype(">u8")
        nonces[:, 4:] ^= numbers.view(np.uint8).reshape(count, 8)
        stream = self._stream_of_chacha(nonces, last) if self._kind == "chacha" else self._stream_of_aes(nonces, last)
        width = stream.shape[1]
        likely, fitting = np.arange(count), np.zeros(0, np.intp)
        for column in range(width - 1, -1, -1):
            octets = stream[likely, column] ^ body[last - width + 1 + column]
            fitting = np.concatenate([fitting, likely[(octets >= HANDSHAKE) & (octets <= APPLICATION_DATA)]])
            likely = likely[octets == 0]
        found: list[int] = np.sort(np.concatenate([fitting, likely])).tolist()
        return found

    def _stream_of_chacha(self, nonces: NDArray[np.uint8], at: int) -> NDArray[np.uint8]:
        """Each nonce's key stream up to byte `at`, a few bytes (RFC 8439 §2.8: block 0 makes the tag's key)."""
        block, byte = divmod(at, 64)
        found = chacha.words(self._key, block + 1, nonces, byte // 4)
        return found.astype("<u4").view(np.uint8).reshape(len(nonces), 4)[:, : byte % 4 + 1]

    def _stream_of_aes(self, nonces: NDArray[np.uint8], at: int) -> NDArray[np.uint8]:
        """The same in GCM, where block 1 makes the tag, or in CCM, whose counter has three bytes (RFC 3610 §2.3)."""
        if self._blocks is None:
            self._blocks = Cipher(algorithms.AES(self._key), modes.ECB()).encryptor()
        block, byte = divmod(at, 16)
        counters = np.empty((len(nonces), 16), np.uint8)
        if self._kind == "gcm":
            counters[:, :12] = nonces
            counters[:, 12:] = np.frombuffer((block + 2).to_bytes(4, "big"), np.uint8)
        else:
            counters[:, 0] = 2
            counters[:, 1:13] = nonces
            counters[:, 13:] = np.frombuffer((block + 1).to_bytes(3, "big"), np.uint8)
        stream: NDArray[np.uint8] = np.frombuffer(self._blocks.update(counters.data), np.uint8)
        return stream.reshape(len(nonces), 16)[:, max(byte - 3, 0) : byte + 1]


class Aead12(_Aead):
    """TLS 1.2 (RFC 5246 §6.2.3.3); the nonce comes with the record, or for ChaCha20 from its number (RFC 7905)."""

    def __init__(self, kind: str, key: bytes, fixed: bytes) -> None:
        tag = 8 if kind == "ccm8" else 16
        super().__init__(kind, key, tag)
        self._tag = tag
        self._fixed = fixed
        self._explicit = 0 if kind == "chacha" else _EXPLICIT
        self._iv = int.from_bytes(fixed, "big")
        self.overhead = tag + self._explicit
        self._last = 0, b""  # the latest record that was opened

    def open(self, seq: int, header: bytes, body: bytes) -> Opened | None:
        """The header with the plaintext's length is authenticated as well."""
        size = len(body) - self.overhead
        if size < 0:
            return None
        about = seq.to_bytes(8, "big") + header[:3] + size.to_bytes(2, "big")
        try:
            if self._explicit:
                return header[0], self._decrypt(self._fixed + body[:_EXPLICIT], body[_EXPLICIT:], about)
            return header[0], self._decrypt((self._iv ^ seq).to_bytes(12, "big"), body, about)
        except _WRONG:
            return None

    def passed(self, seq: int | None, body: bytes) -> None:
        """Its nonce will help to find others' numbers."""
        if seq is not None:
            self._last = seq, body

    def find(self, first: int, count: int, header: bytes, body: bytes) -> Found | None:
        """The nonce that a record carries says its number, if it counts on from an earlier one or from none."""
        if self._explicit and count > 1 and len(body) >= _EXPLICIT:
            nonce, (last, before) = int.from_bytes(body[:_EXPLICIT], "big"), self._last
            for guess in (last + nonce - int.from_bytes(before[:_EXPLICIT], "big"), nonce):
                if first <= guess < first + count:
                    opened = self.open(guess, header, body)
                    if opened is not None:
                        return guess, *opened
        return super().find(first, count, header, body)


class Block(_OneByOne):
    """CBC or no cipher with an HMAC, up to TLS 1.2 (RFC 5246 §6.2.3.1, §6.2.3.2; RFC 7366)."""

    exact = False
    chained = False
    price = 1

    def __init__(self, suite: Suite, version: int, keys_: tuple[bytes, bytes, bytes], *, mac_last: bool) -> None:
        """`keys_`: MAC key, key, first IV; `mac_last`: encrypt, then MAC."""
        self._mac_key, key, iv = keys_
        self._hash = suite.mac
        self._size = hmac.new(self._mac_key, digestmod=suite.mac).digest_size
        self._explicit = version > keys.TLS10  # each record carries its IV
        self._mac_last = mac_last and suite.kind != "null"
        self._previous = iv
        self._opened, self._last_block = -1, iv  # the latest record that was opened, and how it ended
        self._decryptor = None
        self._block = 0
        if suite.kind != "null":
            self._block = 8 if suite.kind == "3des" else 16
            algorithm = _block_cipher(suite.kind, key)
            self._decryptor = Cipher(algorithm, modes.CBC(bytes(self._block))).decryptor()
        self.exact = suite.kind == "null"
        self.chained = bool(self._block) and not self._explicit
        padding = 1 if self._block else 0
        self.overhead = self._size + padding + (self._block if self._explicit else 0)

    def open(self, seq: int, header: bytes, body: bytes) -> Opened | None:
        """One number of `find`."""
        found = self.find(seq, 1, header, body)
        return None if found is None else found[1:]

    def find(self, first: int, count: int, header: bytes, body: bytes) -> Found | None:
        """A record is decrypted once, whatever its number is."""
        if self._mac_last:
            return self._find_outside(first, count, header, body)
        plain = self._unpadded(self._clear(body)) if self._decryptor else body
        if plain is None or len(plain) < self._size:
            return None
        data, mac = plain[: -self._size], plain[-self._size :]
        seq = self._number(first, count, header, data, mac)
        return None if seq is None else (seq, header[0], data)

    def _find_outside(self, first: int, count: int, header: bytes, body: bytes) -> Found | None:
        if len(body) < self._size:
            return None
        sealed, mac = body[: -self._size], body[-self._size :]
        seq = self._number(first, count, header, sealed, mac)
        if seq is None or not sealed or len(sealed) % self._block:
            return None
        self.beheaded = self.chained and seq != self._opened + 1
        if self.beheaded:
            return seq, header[0], self._without_beginning(header, sealed)
        self._previous = self._last_block
        plain = self._unpadded(self._clear(sealed))
        return None if plain is None else (seq, header[0], plain)

    def _without_beginning(self, header: bytes, sealed: bytes) -> bytes:
        """What is sure of a record whose IV is not: the MAC does not cover the last block of the record before."""
        plain = self._unpadded(self._clear(sealed)[self._block :])
        return plain if plain is not None and header[0] == APPLICATION_DATA else b""

    def _number(self, first: int, count: int, header: bytes, data: bytes, mac: bytes) -> int | None:
        rest = header[:3] + len(data).to_bytes(2, "big") + data
        key, name = self._mac_key, self._hash
        for seq in range(first, first + count):
            if hmac.compare_digest(hmac.digest(key, seq.to_bytes(8, "big") + rest, name), mac):
                return seq
        return None

    def _clear(self, sealed: bytes) -> bytes:
        """Decrypted, with its padding. The decryptor runs on; what the block before it did is thrown away."""
        if not sealed or len(sealed) % self._block:
            return b""
        assert self._decryptor is not None
        whole = sealed if self._explicit else self._previous + sealed
        return self._decryptor.update(whole)[self._block :]

    def _unpadded(self, plain: bytes) -> bytes | None:
        if not plain:
            return None
        count = plain[-1] + 1
        if count > len(plain) or plain[-count:] != bytes([count - 1]) * count:
            return None
        return plain[:-count]

    def passed(self, seq: int | None, body: bytes) -> None:
        """In TLS 1.0 a record's last block is the IV of the next."""
        if self._explicit or not self._block:
            return
        sealed = body[: len(body) - self._size] if self._mac_last else body
        if len(sealed) >= self._block:
            self._previous = sealed[-self._block :]
            if seq is not None:
                self._opened, self._last_block = seq, self._previous


def protections(suite: Suite, version: int, block: KeyBlock, *, mac_last: bool) -> tuple[Protection, Protection]:
    """What protects the two directions up to TLS 1.2, the client's first."""

    def made(side: int) -> Protection:
        if suite.kind in AEADS:
            return Aead12(suite.kind, block.key[side], block.fixed[side])
        keys_ = block.mac[side], block.key[side], block.fixed[side]
        return Block(suite, version, keys_, mac_last=mac_last)

    return made(0), made(1)


def mac_bytes(suite: Suite) -> int:
    """Bytes of a suite's MAC keys."""
    return {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48}.get(suite.mac, 0)


def _aead(kind: str, key: bytes, tag: int) -> Callable[[bytes, bytes, bytes | None], bytes]:
    if kind == "gcm":
        return AESGCM(key).decrypt
    if kind == "chacha":
        return ChaCha20Poly1305(key).decrypt
    return AESCCM(key, tag_length=tag).decrypt


def _block_cipher(kind: str, key: bytes) -> algorithms.AES | old_algorithms.TripleDES | old_algorithms.Camellia:
    if kind == "3des":
        return old_algorithms.TripleDES(key)
    return old_algorithms.Camellia(key) if kind == "camellia" else algorithms.AES(key)
