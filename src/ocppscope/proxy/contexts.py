"""The TLS contexts of the proxy: what it shows to stations, and what it expects of the CSMS.

`TlsSettings` says what is wished, in plain strings. A wrong file is a `UsageError`, before any connection is made;
nothing here raises later. Opens the files that it is told of, and no socket.
"""

from __future__ import annotations

import errno
import os
import ssl
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.errors import UsageError
from ocppscope.proxy.hello import host_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.proxy.authority import Authority

VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
"""What a lowest version may be."""
ASKING = ("no", "ask", "require")
"""Whether a station is asked for a client certificate."""
CIPHERS = (
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:!aNULL:!eNULL:!MD5:!DSS:!PSK:!SRP"
)
"""Up to TLS 1.2. RSA key exchange is among them, since OCPP names it and some stations know nothing else
(TLS_RSA_WITH_AES_128_GCM_SHA256; OCPP 2.0.1 A00.FR.318)."""
OLD_CIPHERS = "ALL:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"
"""With a lowest version below 1.2: short keys, SHA-1 and 3DES too."""
MAX_CONTEXTS = 64
"""Names for which a context is kept; the one that was not asked for the longest goes first. Each takes memory, and,
where keys are logged, a file descriptor."""
RENEW_BEFORE = timedelta(days=1)
"""How long before its end a certificate that was made on the fly is made anew."""
MAX_FILE_BYTES = 1 << 20
"""A file of certificates or keys that is larger is none."""
MAX_KEYLOG_READ = 1 << 20
"""Bytes of the key log that are given out at a time."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What is wished of TLS on both sides. Paths of PEM files; "" for none.

    Towards stations: `certificate` and `key`, or without them certificates of the own authority in `authority` (""
    for the usual place); `client_certificates` one of `ASKING`, those of `client_ca` (without it, of the own
    authority). Towards the CSMS: `csms_ca` is trusted besides the system's roots, or nothing is verified
    (`insecure`); `csms_certificate` and `csms_key` are shown to it; `csms_name` is asked for and verified instead of
    the URL's host.
    """

    certificate: str = ""
    key: str = ""
    authority: str = ""
    client_certificates: str = "no"
    client_ca: str = ""
    minimum: str = "1.2"
    csms_ca: str = ""
    csms_certificate: str = ""
    csms_key: str = ""
    csms_name: str = ""
    csms_minimum: str = "1.2"
    insecure: bool = False
    key_log: str = ""


def cautions(settings: TlsSettings, *, stations: bool = True, csms: bool = True) -> tuple[str, ...]:
    """What should be said aloud about the settings: a sentence each. Which sides speak TLS is told."""
    said = []
    if csms and settings.insecure:
        said.append("The certificate of the CSMS is not verified: whoever answers is believed.")
    if stations and settings.minimum in ("1.0", "1.1"):
        said.append(f"Stations may use TLS {settings.minimum}, with old ciphers and short keys.")
    if csms and settings.csms_minimum in ("1.0", "1.1"):
        said.append(f"The CSMS may use TLS {settings.csms_minimum}, with old ciphers and short keys.")
    if settings.key_log and (stations or csms):
        said.append("TLS secrets are written down: who has them and a capture can read everything.")
    return tuple(said)


class _Kept(NamedTuple):
    context: ssl.SSLContext
    ends: datetime


class StationContexts:
    """Contexts towards stations, by the name that a station asks for. Those of our authority are kept, `MAX_CONTEXTS`
    at most."""

    def __init__(self, settings: TlsSettings, authority: Authority | None = None) -> None:
        """Reads the files. Raises `UsageError`; without `settings.certificate` an authority is needed."""
        self._settings = settings
        self._authority = authority
        self._kept: dict[str, _Kept] = {}
        self._client_roots = self._roots()
        if settings.key_log:
            make_private(settings.key_log)
        bare = self._bare()
        self._own: ssl.SSLContext | None = None
        if settings.certificate:
            self._own = bare
            load_chain(bare, settings.certificate, settings.key, "The certificate for stations")
        else:
            assert authority is not None
            authority.prepare()

    def at(self, address: str) -> Callable[[str | None], ssl.SSLContext]:
        """What `TlsPipe` asks, for a connection that was accepted at a local address: that is the name in the
        certificate where the station asks for none."""
        return lambda name: self.context(name, address)

    def context(self, name: str | None, address: str) -> ssl.SSLContext:
        """The context for a name, or for an address where there is none."""
        if self._own is not None:
            return self._own
        assert self._authority is not None
        host = host_name(name or "") or host_name(address.partition("%")[0]) or "localhost"
        kept = self._kept.pop(host, None)
        if kept is None or kept.ends - RENEW_BEFORE < datetime.now(UTC):
            fresh = self._bare()
            kept = _Kept(fresh, self._authority.equip(fresh, host))
        while len(self._kept) >= MAX_CONTEXTS:
            del self._kept[next(iter(self._kept))]
        self._kept[host] = kept  # at the end: it was asked for last
        return kept.context

    def _bare(self) -> ssl.SSLContext:
        """A context without a certificate."""
        settings = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _set_versions(context, settings.minimum)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.num_tickets = 0  # so that every handshake is whole, and the recording shows who is who
        context.set_alpn_protocols(["http/1.1"])
        if self._client_roots:
            required = settings.client_certificates == "require"
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
            context.load_verify_locations(cadata=self._client_roots)
        _log_keys(context, settings.key_log)
        return context

    def _roots(self) -> str:
        """What client certificates have to come from; "" if none are asked for."""
        settings = self._settings
        if settings.client_certificates not in ASKING:
            raise UsageError(
                f"{settings.client_certificates[:80]!a} is no way to treat client certificates.",
                f"It is one of {', '.join(ASKING)}.",
            )
        if settings.client_certificates == "no":
            return ""
        if settings.client_ca:
            return load_roots(settings.client_ca, "The root of client certificates")
        if self._authority is None:
            raise UsageError(
                "Client certificates are asked of stations, and nothing says whose.",
                "Name a file with the root certificates that issued them.",
            )
        return self._authority.certificate_pem


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context towards the CSMS. Raises `UsageError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _set_versions(context, settings.csms_minimum)
    context.post_handshake_auth = True  # a CSMS may ask for a certificate when it has seen the path
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if settings.csms_ca:
            context.load_verify_locations(cadata=load_roots(settings.csms_ca, "The root of the CSMS"))
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate that is given is trusted itself
    if settings.csms_certificate:
        load_chain(context, settings.csms_certificate, settings.csms_key, "The client certificate")
    if settings.key_log:
        make_private(settings.key_log)
    _log_keys(context, settings.key_log)
    return context


def server_hostname(settings: TlsSettings, host: str) -> str:
    """The name to ask the CSMS for and to verify, from the host of its URL. Raises `UsageError`."""
    wanted = settings.csms_name or host
    name = host_name(wanted.strip("[]").partition("%")[0])
    if name is None:
        raise UsageError(f"{wanted[:80]!a} is no host name that a certificate could hold.", "Use another name.")
    return name


# --- files ----------------------------------------------------------------------------------------------------------


def load_chain(context: ssl.SSLContext, certificate: str, key: str, what: str) -> None:
    """Loads a certificate (with its chain) and its key, which may stand in one file. Raises `UsageError`."""
    key = key or certificate
    held, secret = _pem(certificate, what), _pem(key, f"The key of {what[0].lower()}{what[1:]}")
    if b"-----BEGIN CERTIFICATE-----" not in held:
        raise UsageError(f"{what} is not in {certificate!a}: there is no PEM certificate.", _convert(held))
    if b"PRIVATE KEY-----" not in secret:
        raise UsageError(f"There is no PEM private key in {key!a}.", "Name the file that holds the key.")
    if b"ENCRYPTED" in secret:
        raise UsageError(
            f"The key in {key!a} is encrypted.",
            f"Decrypt it into a file that only you can read: umask 077; openssl pkey -in {key} -out plain.key",
        )
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        raise UsageError(*_unloadable(error, certificate, key, what)) from error


def load_roots(path: str, what: str) -> str:
    """The certificates in a PEM file, as one can trust them. Raises `UsageError`."""
    held = _pem(path, what)
    try:
        text = held.decode("ascii", "ignore")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise UsageError(f"{what} is not in {path!a}: it holds no PEM certificate.", _convert(held)) from error
    return text


def _pem(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            held = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{what} cannot be read from {path!a}: {error.strerror}.", "Name a PEM file.") from error
    if len(held) > MAX_FILE_BYTES:
        raise UsageError(f"{path!a} is too large for certificates and keys.", "Name a PEM file.")
    return held


def _convert(held: bytes) -> str:
    if held[:1] == b"\x30":
        return "It looks like DER or PKCS #12; `openssl x509 -inform der` or `openssl pkcs12` make PEM of it."
    return "A PEM file begins with -----BEGIN CERTIFICATE-----."


def _unloadable(error: ssl.SSLError, certificate: str, key: str, what: str) -> tuple[str, str]:
    reason = error.reason or ""
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
        return f"The key in {key!a} does not belong to the certificate in {certificate!a}.", "Name the pair."
    if reason.endswith(("KEY_TOO_SMALL", "MD_TOO_WEAK")):
        return f"{what} in {certificate!a} is too weak: {reason.lower().replace('_', ' ')}.", "Use --tls-min 1.0."
    return f"{what} cannot be used from {certificate!a} and {key!a}.", "One of the files is damaged."


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal."""
    return ""


def _set_versions(context: ssl.SSLContext, minimum: str) -> None:
    if minimum not in VERSIONS:
        raise UsageError(f"{minimum[:80]!a} is no TLS version.", f"It is one of {', '.join(VERSIONS)}.")
    old = minimum in ("1.0", "1.1")
    context.set_ciphers(OLD_CIPHERS if old else CIPHERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are wished here
        context.minimum_version = VERSIONS[minimum]


# --- key log --------------------------------------------------------------------------------------------------------


def _log_keys(context: ssl.SSLContext, path: str) -> None:
    """`make_private` came first; should the file have gone since, that is no reason to turn a station away."""
    if path:
        with suppress(OSError):
            context.keylog_filename = path


def make_private(path: str) -> None:
    """Makes sure that a file is there, is no link, and can be read by nobody else. Raises `UsageError`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            there = os.fstat(descriptor)
            if stat.S_ISREG(there.st_mode):
                if there.st_uid != os.geteuid():
                    raise OSError(errno.EPERM, "it belongs to somebody else")
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise UsageError(f"TLS secrets cannot be written to {path!a}: {why}.", "Name another file.") from error


class KeyLog:
    """Reads what is added to a key log file, for the secrets of a recording."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._at = self._path.stat().st_size if self._path.exists() else 0

    def added(self) -> bytes:
        """The whole lines that were added since the last call (at first: since it was made), `MAX_KEYLOG_READ` bytes
        at most."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                lines = file.read(MAX_KEYLOG_READ)
        except OSError:
            return b""
        lines = lines[: lines.rfind(b"\n") + 1]
        self._at += len(lines)
        return lines
