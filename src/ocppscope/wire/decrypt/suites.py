"""Cipher suites: what their numbers stand for, and how the records of those that can be opened are protected.

The table follows the IANA registry "TLS Cipher Suites"; suites come there in rows that share a cipher and go through
the key exchanges, and are written here as such rows.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

_SIX = ("RSA", "DH_DSS", "DH_RSA", "DHE_DSS", "DHE_RSA", "DH_anon")
_PSK = ("PSK", "DHE_PSK", "RSA_PSK")
_ELLIPTIC = ("ECDH_ECDSA", "ECDHE_ECDSA", "ECDH_RSA", "ECDHE_RSA", "ECDH_anon")
_FOUR = ("ECDHE_ECDSA", "ECDH_ECDSA", "ECDHE_RSA", "ECDH_RSA")
_GCM_ORDER = ("RSA", "DHE_RSA", "DH_RSA", "DHE_DSS", "DH_DSS", "DH_anon")
_ARIA_GCM_ORDER = (*_GCM_ORDER, *_FOUR)
_SRP = ("SRP_SHA", "SRP_SHA_RSA", "SRP_SHA_DSS")

# First number, key exchanges, ciphers; for every key exchange, all ciphers.
_ROWS: tuple[tuple[int, tuple[str, ...], str], ...] = (
    (0x0001, ("RSA",), "NULL_MD5 NULL_SHA"),
    (0x0004, ("RSA",), "RC4_128_MD5 RC4_128_SHA"),
    (0x0007, ("RSA",), "IDEA_CBC_SHA"),
    (0x0009, ("RSA",), "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0016, ("DHE_RSA",), "3DES_EDE_CBC_SHA"),
    (0x0018, ("DH_anon",), "RC4_128_MD5"),
    (0x001B, ("DH_anon",), "3DES_EDE_CBC_SHA"),
    (0x002C, _PSK, "NULL_SHA"),
    (0x002F, _SIX, "AES_128_CBC_SHA"),
    (0x0035, _SIX, "AES_256_CBC_SHA"),
    (0x003B, ("RSA",), "NULL_SHA256 AES_128_CBC_SHA256 AES_256_CBC_SHA256"),
    (0x003E, ("DH_DSS", "DH_RSA", "DHE_DSS"), "AES_128_CBC_SHA256"),
    (0x0041, _SIX, "CAMELLIA_128_CBC_SHA"),
    (0x0067, ("DHE_RSA",), "AES_128_CBC_SHA256"),
    (0x0068, ("DH_DSS", "DH_RSA", "DHE_DSS", "DHE_RSA"), "AES_256_CBC_SHA256"),
    (0x006C, ("DH_anon",), "AES_128_CBC_SHA256 AES_256_CBC_SHA256"),
    (0x0084, _SIX, "CAMELLIA_256_CBC_SHA"),
    (0x008A, _PSK, "RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"),
    (0x0096, _SIX, "SEED_CBC_SHA"),
    (0x009C, (*_GCM_ORDER, *_PSK), "AES_128_GCM_SHA256 AES_256_GCM_SHA384"),
    (0x00AE, _PSK, "AES_128_CBC_SHA256 AES_256_CBC_SHA384 NULL_SHA256 NULL_SHA384"),
    (0x00BA, _SIX, "CAMELLIA_128_CBC_SHA256"),
    (0x00C0, _SIX, "CAMELLIA_256_CBC_SHA256"),
    (0x00C6, ("",), "SM4_GCM_SM3 SM4_CCM_SM3"),
    (
        0x1301,
        ("",),
        "AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256 AES_128_CCM_SHA256 AES_128_CCM_8_SHA256",
    ),
    (0xC001, _ELLIPTIC, "NULL_SHA RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"),
    (0xC01A, _SRP, "3DES_EDE_CBC_SHA"),
    (0xC01D, _SRP, "AES_128_CBC_SHA"),
    (0xC020, _SRP, "AES_256_CBC_SHA"),
    (0xC023, _FOUR, "AES_128_CBC_SHA256 AES_256_CBC_SHA384"),
    (0xC02B, _FOUR, "AES_128_GCM_SHA256 AES_256_GCM_SHA384"),
    (
        0xC033,
        ("ECDHE_PSK",),
        "RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA AES_128_CBC_SHA256 AES_256_CBC_SHA384 "
        "NULL_SHA NULL_SHA256 NULL_SHA384",
    ),
    (0xC03C, (*_SIX, *_FOUR), "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC050, _ARIA_GCM_ORDER, "ARIA_128_GCM_SHA256 ARIA_256_GCM_SHA384"),
    (0xC064, _PSK, "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC06A, _PSK, "ARIA_128_GCM_SHA256 ARIA_256_GCM_SHA384"),
    (0xC070, ("ECDHE_PSK",), "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC072, _FOUR, "CAMELLIA_128_CBC_SHA256 CAMELLIA_256_CBC_SHA384"),
    (0xC07A, _ARIA_GCM_ORDER, "CAMELLIA_128_GCM_SHA256 CAMELLIA_256_GCM_SHA384"),
    (0xC08E, _PSK, "CAMELLIA_128_GCM_SHA256 CAMELLIA_256_GCM_SHA384"),
    (0xC094, (*_PSK, "ECDHE_PSK"), "CAMELLIA_128_CBC_SHA256 CAMELLIA_256_CBC_SHA384"),
    (0xC09C, ("RSA", "DHE_RSA"), "AES_128_CCM AES_256_CCM"),
    (0xC0A0, ("RSA", "DHE_RSA"), "AES_128_CCM_8 AES_256_CCM_8"),
    (0xC0A4, ("PSK", "DHE_PSK"), "AES_128_CCM AES_256_CCM"),
    (0xC0A8, ("PSK", "PSK_DHE"), "AES_128_CCM_8 AES_256_CCM_8"),
    (0xC0AC, ("ECDHE_ECDSA",), "AES_128_CCM AES_256_CCM AES_128_CCM_8 AES_256_CCM_8"),
    (
        0xCCA8,
        ("ECDHE_RSA", "ECDHE_ECDSA", "DHE_RSA", "PSK", "ECDHE_PSK", "DHE_PSK", "RSA_PSK"),
        "CHACHA20_POLY1305_SHA256",
    ),
    (0xD001, ("ECDHE_PSK",), "AES_128_GCM_SHA256 AES_256_GCM_SHA384 AES_128_CCM_8_SHA256"),
    (0xD005, ("ECDHE_PSK",), "AES_128_CCM_SHA256"),
)

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
def _names() -> dict[int, tuple[str, str]]:
    found = {}
    for first, exchanges, ciphers in _ROWS:
        number = first
        for exchange in exchanges:
            for cipher in ciphers.split():
                found[number] = exchange, cipher
                number += 1
    return found


def name(number: int) -> str:
    """A suite's name, or its number as four hexadecimal digits if it is not known here."""
    known = _names().get(number)
    if known is None:
        return f"0x{number:04X}"
    exchange, cipher = known
    return f"TLS_{exchange}_WITH_{cipher}" if exchange else f"TLS_{cipher}"


@cache
def suite(number: int) -> Suite | None:
    """A suite whose records can be opened; None for others."""
    known = _names().get(number)
    if known is None:
        return None
    exchange, cipher = known
    for begins, kind, key, fixed in _CIPHERS:
        if cipher.startswith(begins):
            digest = _HASHES.get(cipher[len(begins) :].lstrip("_"), "")
            prf = "sha384" if digest == "sha384" else "sha256"
            return Suite(number, name(number), exchange, kind, key, fixed, "" if kind in AEADS else digest, prf)
    return None


def suites_of_secret(size: int) -> tuple[int, ...]:
    """The suites of TLS 1.3 that a traffic secret of `size` bytes may belong to, usual ones first."""
    return {32: (0x1301, 0x1303, 0x1304, 0x1305), 48: (0x1302,)}.get(size, ())
