"""Names of what TLS numbers: versions, cipher suites, alerts. The numbers are those of the IANA registries.

The table of suites follows the registry's order, in which suites come in rows that share a cipher and go through the
key exchanges; they are written here as such rows.
"""

from __future__ import annotations

from functools import cache

_SIX = ("RSA", "DH_DSS", "DH_RSA", "DHE_DSS", "DHE_RSA", "DH_anon")
_PSK = ("PSK", "DHE_PSK", "RSA_PSK")
_ELLIPTIC = ("ECDH_ECDSA", "ECDHE_ECDSA", "ECDH_RSA", "ECDHE_RSA", "ECDH_anon")
_FOUR = ("ECDHE_ECDSA", "ECDH_ECDSA", "ECDHE_RSA", "ECDH_RSA")
_GCM_ORDER = ("RSA", "DHE_RSA", "DH_RSA", "DHE_DSS", "DH_DSS", "DH_anon")
_ARIA_GCM_ORDER = (*_GCM_ORDER, *_FOUR)
_SRP = ("SRP_SHA", "SRP_SHA_RSA", "SRP_SHA_DSS")

# First number, key exchanges, ciphers; for every key exchange, all ciphers.
_ROWS: tuple[tuple[int, tuple[str, ...], str], ...] = (
    (0x0000, ("NULL",), "NULL_NULL"),
    (0x0001, ("RSA",), "NULL_MD5 NULL_SHA"),
    (0x0003, ("RSA_EXPORT",), "RC4_40_MD5"),
    (0x0004, ("RSA",), "RC4_128_MD5 RC4_128_SHA"),
    (0x0006, ("RSA_EXPORT",), "RC2_CBC_40_MD5"),
    (0x0007, ("RSA",), "IDEA_CBC_SHA"),
    (0x0008, ("RSA_EXPORT",), "DES40_CBC_SHA"),
    (0x0009, ("RSA",), "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0011, ("DHE_DSS_EXPORT",), "DES40_CBC_SHA"),
    (0x0012, ("DHE_DSS",), "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0014, ("DHE_RSA_EXPORT",), "DES40_CBC_SHA"),
    (0x0015, ("DHE_RSA",), "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0017, ("DH_anon_EXPORT",), "RC4_40_MD5"),
    (0x0018, ("DH_anon",), "RC4_128_MD5"),
    (0x0019, ("DH_anon_EXPORT",), "DES40_CBC_SHA"),
    (0x001A, ("DH_anon",), "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
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
    (0x1301, ("",), "AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256"),
    (0x1304, ("",), "AES_128_CCM_SHA256 AES_128_CCM_8_SHA256"),
    (0xC001, _ELLIPTIC, "NULL_SHA RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"),
    (0xC01A, _SRP, "3DES_EDE_CBC_SHA"),
    (0xC01D, _SRP, "AES_128_CBC_SHA"),
    (0xC020, _SRP, "AES_256_CBC_SHA"),
    (0xC023, _FOUR, "AES_128_CBC_SHA256 AES_256_CBC_SHA384"),
    (0xC02B, _FOUR, "AES_128_GCM_SHA256 AES_256_GCM_SHA384"),
    (0xC033, ("ECDHE_PSK",), "RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"),
    (0xC037, ("ECDHE_PSK",), "AES_128_CBC_SHA256 AES_256_CBC_SHA384 NULL_SHA NULL_SHA256 NULL_SHA384"),
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
    (0xCCA8, ("ECDHE_RSA", "ECDHE_ECDSA", "DHE_RSA", "PSK", "ECDHE_PSK"), "CHACHA20_POLY1305_SHA256"),
    (0xCCAD, ("DHE_PSK", "RSA_PSK"), "CHACHA20_POLY1305_SHA256"),
    (0xD001, ("ECDHE_PSK",), "AES_128_GCM_SHA256 AES_256_GCM_SHA384 AES_128_CCM_8_SHA256"),
    (0xD005, ("ECDHE_PSK",), "AES_128_CCM_SHA256"),
)
RENEGOTIATION_INFO, FALLBACK = 0x00FF, 0x5600
SIGNALS = {RENEGOTIATION_INFO: "EMPTY_RENEGOTIATION_INFO_SCSV", FALLBACK: "FALLBACK_SCSV"}
"""What stands among the suites of a client and is none (RFC 5746 §3.3, RFC 7507)."""

VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}

WARNING_LEVEL, FATAL = 1, 2
ALERTS = {
    0: ("close_notify", "it has said everything"),
    10: ("unexpected_message", "a message came that has no place there"),
    20: ("bad_record_mac", "a record cannot be deciphered: the two have different keys, or bytes were changed"),
    22: ("record_overflow", "a record is longer than is allowed"),
    40: ("handshake_failure", "the two have no version, cipher suite or certificate type in common"),
    42: ("bad_certificate", "the certificate of the other side is corrupt or badly signed"),
    43: ("unsupported_certificate", "it cannot use that type of certificate"),
    44: ("certificate_revoked", "the certificate of the other side was revoked"),
    45: ("certificate_expired", "the certificate of the other side has expired, or its own clock is wrong"),
    46: ("certificate_unknown", "it does not accept the certificate of the other side"),
    47: ("illegal_parameter", "a field of the handshake is wrong"),
    48: ("unknown_ca", "it does not know who issued the certificate of the other side: the root is missing"),
    49: ("access_denied", "the certificate is valid, but it may not enter"),
    50: ("decode_error", "a message of the handshake cannot be read"),
    51: ("decrypt_error", "a signature or a finished message could not be verified"),
    70: ("protocol_version", "it does not accept the TLS version"),
    71: ("insufficient_security", "it wants stronger cipher suites"),
    80: ("internal_error", "something failed on its own side"),
    86: ("inappropriate_fallback", "the other side tried an older version than it has to"),
    90: ("user_canceled", "somebody gave up"),
    100: ("no_renegotiation", "it does not negotiate again"),
    109: ("missing_extension", "the hello lacks something that it needs"),
    110: ("unsupported_extension", "an extension came that it did not offer"),
    112: ("unrecognized_name", "it has no certificate for the host name that was asked for"),
    113: ("bad_certificate_status_response", "the OCSP answer about a certificate is wrong"),
    115: ("unknown_psk_identity", "it does not know that pre-shared key"),
    116: ("certificate_required", "it wants a client certificate (security profile 3)"),
    120: ("no_application_protocol", "it speaks none of the protocols that were offered (ALPN)"),
}
"""Descriptions of alerts (RFC 8446 §6, RFC 5246 §7.2), and what each means for who sent it."""


@cache
def _suites() -> dict[int, tuple[str, str]]:
    found = {}
    for first, exchanges, ciphers in _ROWS:
        number = first
        for exchange in exchanges:
            for cipher in ciphers.split():
                found[number] = exchange, cipher
                number += 1
    return found


def suite_parts(number: int) -> tuple[str, str] | None:
    """The key exchange ("" in TLS 1.3) and the cipher of a suite: ("ECDHE_RSA", "AES_128_GCM_SHA256")."""
    return _suites().get(number)


def suite_name(number: int) -> str:
    """A suite's name, or its number as `0xC02F` if it is not known here."""
    known = _suites().get(number)
    if known is None:
        return SIGNALS.get(number) or f"0x{number:04X}"
    exchange, cipher = known
    return f"TLS_{exchange}_WITH_{cipher}" if exchange else f"TLS_{cipher}"


def version_name(number: int) -> str:
    """`TLS 1.2`, or the number as `0x0305`."""
    return VERSIONS.get(number) or f"0x{number:04x}"


def alert_name(description: int) -> str:
    """`unknown_ca`, or `alert 99`."""
    return ALERTS[description][0] if description in ALERTS else f"alert {description}"
