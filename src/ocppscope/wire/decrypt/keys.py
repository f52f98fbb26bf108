"""How keys are made of secrets: the PRF up to TLS 1.2, HKDF-Expand-Label in TLS 1.3. Pure functions of bytes.

Sources: RFC 2246 §5 and RFC 5246 §5, §6.3, §8.1; RFC 7627 §4; RFC 8446 §7.1, §7.2, §7.3.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

MASTER_BYTES = 48
TLS10, TLS12 = 0x0301, 0x0303


class KeyBlock(NamedTuple):
    """What the two directions of a connection up to TLS 1.2 use: client's first."""

    mac: tuple[bytes, bytes]
    key: tuple[bytes, bytes]
    fixed: tuple[bytes, bytes]


def _p_hash(digest: str, secret: bytes, seed: bytes, size: int) -> bytes:
    """P_hash (RFC 5246 §5)."""
    made, a = b"", seed
    while len(made) < size:
        a = hmac.digest(secret, a, digest)
        made += hmac.digest(secret, a + seed, digest)
    return made[:size]


def prf(version: int, digest: str, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """The PRF of a version; `digest` counts from TLS 1.2 on."""
    if version >= TLS12:
        return _p_hash(digest, secret, label + seed, size)
    half = (len(secret) + 1) // 2
    first = _p_hash("md5", secret[:half], label + seed, size)
    second = _p_hash("sha1", secret[-half:] if half else b"", label + seed, size)
    return bytes(a ^ b for a, b in zip(first, second, strict=True))


def master_secret(version: int, digest: str, premaster: bytes, client_random: bytes, server_random: bytes) -> bytes:
    """A master secret (RFC 5246 §8.1)."""
    return prf(version, digest, premaster, b"master secret", client_random + server_random, MASTER_BYTES)


def extended_master_secret(version: int, digest: str, premaster: bytes, messages: bytes) -> bytes:
    """A master secret that is bound to the handshake up to the ClientKeyExchange (RFC 7627 §4)."""
    if version >= TLS12:
        session = hashlib.new(digest, messages).digest()
    else:
        session = hashlib.md5(messages).digest() + hashlib.sha1(messages).digest()
    return prf(version, digest, premaster, b"extended master secret", session, MASTER_BYTES)


def key_block(
    version: int, digest: str, master: bytes, randoms: tuple[bytes, bytes], sizes: tuple[int, int, int]
) -> KeyBlock:
    """The keys of both directions. `randoms`: client's, server's; `sizes`: of MAC key, key, IV (RFC 5246 §6.3)."""
    client_random, server_random = randoms
    made = prf(version, digest, master, b"key expansion", server_random + client_random, 2 * sum(sizes))
    pairs, at = [], 0
    for size in sizes:
        pairs.append((made[at : at + size], made[at + size : at + 2 * size]))
        at += 2 * size
    return KeyBlock(*pairs)


def expand_label(digest: str, secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 §7.1)."""
    full = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(full)]) + full + b"\0"
    made, block, count = b"", b"", 0
    while len(made) < size:
        count += 1
        block = hmac.digest(secret, block + info + bytes([count]), digest)
        made += block
    return made[:size]


def traffic_key(digest: str, secret: bytes, size: int) -> tuple[bytes, bytes]:
    """Key and IV of a traffic secret (RFC 8446 §7.3)."""
    return expand_label(digest, secret, b"key", size), expand_label(digest, secret, b"iv", 12)


def next_secret(digest: str, secret: bytes) -> bytes:
    """The traffic secret after a KeyUpdate (RFC 8446 §7.2)."""
    return expand_label(digest, secret, b"traffic upd", len(secret))
