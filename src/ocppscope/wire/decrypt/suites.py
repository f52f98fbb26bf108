"""Cipher suites: how the records of those that can be opened are protected. `tlsnames` has what the numbers mean."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from ocppscope.tlsnames import suite_name, suite_parts

# How a cipher's name begins: kind, key bytes, block bytes (those of the fixed nonce for an AEAD).
_CIPHERS: tuple[tuple[str, str, int, int], ...] = (
    ("AES_128_GCM", "gcm", 16, 4),
    ("AES_256_GCM", "gcm", 32, 4),
    ("AES_128_CCM_8", "ccm8", 16, 4),
    ("AES_256_CCM_8", "ccm8", 32, 4),
    ("AES_128_CCM", "ccm", 16, 4),
    ("AES_256_CCM", "ccm", 32, 4),
    ("CHACHA20_POLY1305", "chacha", 32, 12),
    ("AES_128_CBC", "aes", 16, 16),
    ("AES_256_CBC", "aes", 32, 16),
    ("CAMELLIA_128_CBC", "camellia", 16, 16),
    ("CAMELLIA_256_CBC", "camellia", 32, 16),
    ("3DES_EDE_CBC", "3des", 24, 8),
    ("NULL", "null", 0, 0),
)
_HASHES = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}
AEADS = frozenset({"gcm", "ccm", "ccm8", "chacha"})


class Suite(NamedTuple):
    """A suite whose records can be opened."""

    number: int
    name: str
    exchange: str  # "RSA": a server's key opens it; "" in TLS 1.3
    kind: str  # one of AEADS, or the block cipher, or "null"
    key: int  # bytes
    fixed: int  # bytes of nonce or IV that come from the key block: for CBC, only up to TLS 1.0
    mac: str  # hash of the HMAC; "" for an AEAD
    prf: str  # hash of PRF or HKDF in TLS 1.2 or later


@cache
def suite(number: int) -> Suite | None:
    """A suite whose records can be opened; None for others."""
    known = suite_parts(number)
    if known is None:
        return None
    exchange, cipher = known
    for begins, kind, key, fixed in _CIPHERS:
        if cipher.startswith(begins):
            digest = _HASHES.get(cipher[len(begins) :].lstrip("_"), "")
            if not digest and kind not in AEADS:
                return None  # nothing would be checked
            prf = "sha384" if digest == "sha384" else "sha256"
            return Suite(number, suite_name(number), exchange, kind, key, fixed, "" if kind in AEADS else digest, prf)
    return None


def suites_of_secret(size: int) -> tuple[int, ...]:
    """The suites of TLS 1.3 that a traffic secret of `size` bytes may belong to, usual ones first."""
    return {32: (0x1301, 0x1303, 0x1304, 0x1305), 48: (0x1302,)}.get(size, ())
