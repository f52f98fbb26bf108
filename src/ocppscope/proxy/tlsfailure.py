"""Why a TLS connection failed, in words: what OpenSSL says, what the peer's alert says, and who has to mend it.

Pure tables and the look-up in them. Nothing that a peer chose stands in a sentence, except the names of alerts.
"""

from __future__ import annotations

import re
import ssl
from enum import StrEnum
from typing import NamedTuple

from ocppscope.model import Side


class Blame(StrEnum):
    """Who has to mend it."""

    STATION = "station"
    CSMS = "csms"
    PROXY = "proxy"  # its certificate, its settings, or its root that the station lacks
    UNKNOWN = "unknown"


class TlsFailure(NamedTuple):
    """One failure: a stable `code`, a sentence, what to try, who has to mend it, and OpenSSL's word for it."""

    code: str
    text: str
    hint: str
    blame: Blame
    reason: str = ""


class _Row(NamedTuple):
    """`{peer}` and `{Peer}` stand for the side at the other end of the pipe; blame None means that side."""

    code: str
    text: str
    hint: str
    blame: Blame | None = None


WHO = {Side.STATION: "the station", Side.CSMS: "the CSMS"}
_BLAME = {Side.STATION: Blame.STATION, Side.CSMS: Blame.CSMS}

_ISSUER = "Have {peer} send its whole chain, or name the root that signed it with {root}."
_OLD = "If {peer} cannot do better, {minimum} 1.0 allows more."
_OPTIONS = {
    Side.STATION: {"root": "--client-ca", "minimum": "--tls-min"},
    Side.CSMS: {"root": "--csms-ca", "minimum": "--csms-tls-min"},
}

VERIFY: dict[int, _Row] = {
    7: _Row(
        "bad-signature",
        "The certificate of {peer} is not signed by the root of that name which is trusted here.",
        "Name the right root with {root}; there may be an older one of the same name.",
    ),
    9: _Row(
        "certificate-not-yet-valid",
        "The certificate of {peer} is not valid yet.",
        "See whether the clock of this machine is right; if it is, {peer} needs another certificate.",
    ),
    10: _Row(
        "certificate-expired",
        "The certificate of {peer} has expired.",
        "Renew it; if it should be valid, see whether the clock of this machine is right.",
    ),
    18: _Row(
        "self-signed",
        "The certificate of {peer} is signed by itself.",
        "If you trust it, name that certificate with {root}.",
    ),
    19: _Row(
        "unknown-ca",
        "The certificate of {peer} goes back to a root that is not trusted here.",
        "If you trust that root, name it with {root}.",
    ),
    20: _Row("unknown-ca", "It is not known here who issued the certificate of {peer}.", _ISSUER),
    21: _Row("unknown-ca", "It is not known here who issued the certificate of {peer}.", _ISSUER),
    23: _Row("certificate-revoked", "The certificate of {peer} was revoked.", "{Peer} needs a new one."),
    26: _Row(
        "wrong-purpose",
        "The certificate of {peer} is not made for its purpose (extended key usage).",
        "{Peer} needs a certificate for TLS servers or TLS clients, whichever it is.",
    ),
    62: _Row(
        "wrong-name",
        "The certificate of {peer} is for another host name.",
        "Name the one that is in it with --csms-name, or have it issued for the one in the URL.",
    ),
    64: _Row(
        "wrong-name",
        "The certificate of {peer} does not hold the IP address that was asked for.",
        "Name the host that is in it with --csms-name.",
    ),
    66: _Row("weak-key", "The key of the certificate of {peer} is too short.", _OLD),
    67: _Row("weak-key", "The key of the authority that issued the certificate of {peer} is too short.", _OLD),
    68: _Row("weak-signature", "The certificate of {peer} is signed with a hash that is too weak.", _OLD),
}
"""OpenSSL's X509_V_ERR_… → what it means."""
_UNVERIFIED = _Row(
    "certificate-rejected", "The certificate of {peer} cannot be verified.", "Look at its certificate chain."
)

REASONS: dict[str, _Row] = {
    "NO_SHARED_CIPHER": _Row(
        "no-shared-cipher",
        "{Peer} offers no cipher suite that the proxy has.",
        "If it is old, {minimum} 1.0 allows more; if it knows one kind of key only, use a certificate of that kind.",
    ),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": _Row(
        "no-client-certificate",
        "{Peer} has shown no client certificate, and one is required of it.",
        "Install one on it (security profile 3), or leave out --ask-client require.",
    ),
    "HTTP_REQUEST": _Row(
        "plain-http",
        "{Peer} speaks plain HTTP to a port that expects TLS.",
        "Use wss:// in its URL, or listen on ws://.",
    ),
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": _Row(
        "old-renegotiation", "{Peer} knows only the unsafe way to renegotiate.", _OLD
    ),
    "DH_KEY_TOO_SMALL": _Row("weak-key", "{Peer} uses a Diffie-Hellman key that is too short.", _OLD),
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": _Row(
        "damaged",
        "What {peer} sent cannot be decrypted: it was changed on its way, or {peer} is broken.",
        "See what else stands between the two: another proxy, a modem, a firewall.",
    ),
}
"""OpenSSL's reason → what it means."""
_SAME: dict[str, tuple[str, ...]] = {
    "NO_SHARED_CIPHER": (
        "NO_SUITABLE_SIGNATURE_ALGORITHM",
        "NO_SHARED_SIGNATURE_ALGORITHMS",
        "NO_SHARED_GROUPS",
        "NO_SUITABLE_GROUPS",
        "NO_SUITABLE_KEY_SHARE",
    ),
    "HTTP_REQUEST": ("HTTPS_PROXY_REQUEST",),
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": ("BAD_DECRYPT", "DIGEST_CHECK_FAILED", "BLOCK_CIPHER_PAD_IS_WRONG"),
}
for _first, _others in _SAME.items():
    REASONS.update(dict.fromkeys(_others, REASONS[_first]))
_VERSION = _Row("wrong-version", "{Peer} and the proxy have no TLS version in common.", _OLD)
REASONS.update(
    dict.fromkeys(("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "NO_PROTOCOLS_AVAILABLE", "UNKNOWN_PROTOCOL"), _VERSION)
)

_PLAIN = _Row(
    "plain-http",
    "{Peer} answers in plain HTTP where TLS was expected.",
    "Use ws:// towards it, or its port for TLS.",
)
_NOT_TLS = _Row(
    "not-tls", "{Peer} does not speak TLS on this port.", "See whether the address and the port are right."
)
_RULES = _Row("broken", "{Peer} broke the rules of TLS", "Have it looked at; a recording is evidence.")

_OUR_ROOT = "Install the root that issued the proxy's certificate on the station; `ocppscope ca` exports it."
_OUR_CLIENT = "Give the proxy a client certificate that the CSMS accepts, with --csms-cert and --csms-key."


class _Alert(NamedTuple):
    """What an alert of the peer means, and whether it is about a certificate of ours."""

    meaning: str
    certificate: bool = False


ALERTS: dict[str, _Alert] = {
    "unexpected_message": _Alert("a message came that it did not expect"),
    "bad_record_mac": _Alert("it could not decrypt what it got"),
    "decryption_failed": _Alert("it could not decrypt what it got"),
    "record_overflow": _Alert("a record was too long"),
    "decompression_failure": _Alert("it could not decompress what it got"),
    "export_restriction": _Alert("it wants the short keys of the nineties"),
    "handshake_failure": _Alert("it finds no cipher suite, version or key type in common, or wants a certificate"),
    "no_certificate": _Alert("it got no certificate", certificate=True),
    "bad_certificate": _Alert(
        "it finds the proxy's certificate damaged, not valid yet, or made for another host name", certificate=True
    ),
    "unsupported_certificate": _Alert("it cannot use the kind of certificate that the proxy has", certificate=True),
    "certificate_revoked": _Alert("it says that the proxy's certificate was revoked", certificate=True),
    "certificate_expired": _Alert(
        "it says that the proxy's certificate has expired, or its own clock is wrong", certificate=True
    ),
    "certificate_unknown": _Alert("it does not accept the proxy's certificate", certificate=True),
    "illegal_parameter": _Alert("a field was wrong"),
    "unknown_ca": _Alert("it does not know who issued the proxy's certificate", certificate=True),
    "access_denied": _Alert("the certificate is valid, but it lets nobody in with it", certificate=True),
    "decode_error": _Alert("it could not read a message"),
    "decrypt_error": _Alert("a signature could not be verified; it may know another root of the same name"),
    "protocol_version": _Alert("it does not accept the TLS version"),
    "insufficient_security": _Alert("it wants stronger cipher suites"),
    "internal_error": _Alert("it failed in itself"),
    "inappropriate_fallback": _Alert("it sees a needless step down to an older version"),
    "user_cancelled": _Alert("it changed its mind"),
    "no_renegotiation": _Alert("it does not negotiate anew"),
    "missing_extension": _Alert("an extension that it needs was not there"),
    "unsupported_extension": _Alert("an extension came that it had not asked for"),
    "certificate_unobtainable": _Alert("it could not fetch the proxy's certificate", certificate=True),
    "unrecognized_name": _Alert("it has no certificate for the host name that was asked for"),
    "bad_certificate_status_response": _Alert("it did not accept the proof of non-revocation", certificate=True),
    "bad_certificate_hash_value": _Alert("the certificate is not the one that was named", certificate=True),
    "unknown_psk_identity": _Alert("it does not know the pre-shared key"),
    "certificate_required": _Alert("it wants a client certificate (security profile 3)", certificate=True),
    "no_application_protocol": _Alert("it wants another application protocol (ALPN)"),
}
"""Name of a peer's alert (RFC 8446 §6.2) → what it means."""

_UNNAMED = _Alert("nobody knows what it means by that")
ALERT_BYTES = 7
"""Bytes of a record with an alert in the clear; as many of a peer's first bytes are worth keeping."""

_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13|TLS)_(?:ALERT_)?([A-Z_]+)")


def alert_of(reason: str) -> str | None:
    """The name of the alert that OpenSSL's reason speaks of: `TLSV1_ALERT_UNKNOWN_CA` → "unknown_ca"."""
    found = _ALERT.fullmatch(reason)
    name = found[1].lower() if found else ""
    return name if name in ALERTS else None


def _first_alert(reason: str, first_bytes: bytes) -> str | None:
    """The alert that a peer answered the hello with, if OpenSSL has no word for it."""
    if reason or first_bytes[:1] != b"\x15" or len(first_bytes) < ALERT_BYTES:
        return None
    number = first_bytes[ALERT_BYTES - 1]
    return "no_application_protocol" if number == 120 else f"alert {number}"


def failure_of(error: ssl.SSLError, peer: Side, first_bytes: bytes) -> TlsFailure:
    """What an error of OpenSSL means; `first_bytes` are the first that the peer sent."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        row = VERIFY.get(error.verify_code, _UNVERIFIED)
        return _failure(row, peer, f"{reason}: {error.verify_message}" if row is _UNVERIFIED else reason)
    if (name := alert_of(reason) or _first_alert(reason, first_bytes)) is not None:
        return _alerted(name, peer, reason)
    if (row_found := REASONS.get(reason)) is not None:
        return _failure(row_found, peer, reason)
    if first_bytes.startswith(b"HTTP/"):
        return _failure(_PLAIN, peer, reason)
    if reason == "WRONG_VERSION_NUMBER":
        return _failure(_VERSION if first_bytes[:1] in b"\x15\x16" else _NOT_TLS, peer, reason)
    words = reason.lower().replace("_", " ") or "for no reason that OpenSSL names"
    failure = _failure(_RULES, peer, reason)
    return failure._replace(text=f"{failure.text}: {words}.")


def left(peer: Side, *, silent: bool, shown: bool) -> TlsFailure:
    """`peer` closed the connection before the handshake was complete: having sent nothing (`silent`), or after it was
    `shown` our certificate."""
    if peer is Side.STATION and shown:
        return TlsFailure(
            "left-after-certificate",
            "The station left in the middle of the TLS handshake, after it was shown the proxy's certificate.",
            "It probably does not trust it and does not say so. " + _OUR_ROOT,
            Blame.PROXY,
        )
    text = "{Peer} closed the connection without a word of TLS." if silent else "{Peer} left in the TLS handshake."
    if peer is Side.STATION:
        row = _Row(
            "left", text, "Its log may say why; a port scanner or a health check does the same.", Blame.UNKNOWN
        )
    else:
        row = _Row("left", text, "See whether the address and the port are right, and whom {peer} lets in.")
    return _failure(row, peer, "")


def left_after_ours() -> TlsFailure:
    """The CSMS closed the connection when it had our part of the handshake (TLS 1.3), certificate and all."""
    text = "The CSMS closed the connection as soon as it had the proxy's part of the TLS handshake."
    hint = f"If it is security profile 3: {_OUR_CLIENT[0].lower()}{_OUR_CLIENT[1:]}"
    return TlsFailure("left-after-handshake", text, hint, Blame.UNKNOWN)


def no_context(reason: str) -> TlsFailure:
    """The proxy itself cannot make or load a certificate."""
    text = "The proxy could not make a certificate for the station."
    hint = "See whether the system's limits (open files, memory) are reached."
    return TlsFailure("own-trouble", text, hint, Blame.PROXY, reason)


def no_key_log() -> TlsFailure:
    """OpenSSL does not go on, however often it is tried again, since it cannot write the key log."""
    text = "TLS cannot go on, since the key log cannot be written."
    return TlsFailure("own-trouble", text, "See whether its disk is full, or do without it.", Blame.PROXY)


def _alerted(name: str, peer: Side, reason: str) -> TlsFailure:
    meaning, certificate = ALERTS.get(name, _UNNAMED)
    hint = "Compare the TLS settings of the two."
    if certificate:
        hint = _OUR_ROOT if peer is Side.STATION else _OUR_CLIENT
    elif name == "protocol_version":
        hint = _OLD.format(peer=WHO[peer], **_OPTIONS[peer])
    elif name == "handshake_failure" and peer is Side.CSMS:
        hint = f"If it is security profile 3: {_OUR_CLIENT[0].lower()}{_OUR_CLIENT[1:]}"
    who = "The station" if peer is Side.STATION else "The CSMS"
    text = f"{who} ended TLS with {name}: {meaning}."
    code = "alert-" + name.removeprefix("alert ").replace("_", "-")
    return TlsFailure(code, text, hint, _blame_of_alert(name, certificate), reason)


def _blame_of_alert(name: str, certificate: bool) -> Blame:
    return Blame.PROXY if certificate or name in ("protocol_version", "unrecognized_name") else Blame.UNKNOWN


def _failure(row: _Row, peer: Side, reason: str) -> TlsFailure:
    who = WHO[peer]
    words = {"peer": who, "Peer": who[0].upper() + who[1:], **_OPTIONS[peer]}
    blame = _BLAME[peer] if row.blame is None else row.blame
    return TlsFailure(row.code, row.text.format(**words), row.hint.format(**words), blame, reason)
