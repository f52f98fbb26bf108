"""Our own certificate authority: its key and certificate on disk, and certificates made for what a station asks for.

    authority = Authority.open("")      made on first use below $XDG_DATA_HOME/ocppscope/ca
    authority.equip(context, "csms.example")    gives an SSLContext certificates for that name

RSA is the default kind of the authority's key, since every TLS stack can verify it and many stations can do nothing
else. A station is offered an RSA certificate and a P-256 one, and its cipher suites choose. Private keys are never
printed, and no key of a certificate made on the fly touches a disk where the system can avoid that.
"""

# ruff: noqa: PLC0415 (cryptography takes 70 ms that only who makes certificates should pay)

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ocppscope.errors import AccessError, UsageError
from ocppscope.proxy.certificates import (
    KINDS,
    MAX_COMMON_NAME,
    Leaf,
    hash_data,
    is_rsa,
    leaf,
    new_key,
    private_pem,
    root,
    sha256,
)
from ocppscope.proxy.hello import host_name

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from cryptography import x509

    from ocppscope.proxy.certificates import Key

CERTIFICATE, KEY = "ca.pem", "ca.key"
FALLBACK = "localhost"
"""What a certificate is for if what was asked for can stand in none."""


class Authority:
    """A certificate authority. Made by `open`."""

    def __init__(self, directory: Path, certificate: x509.Certificate, key: Key) -> None:
        self.directory = directory
        self.certificate = certificate
        self.kind = "rsa" if is_rsa(key) else "ec"
        self._key = key
        self._leaf_keys: dict[str, Key] = {}

    @classmethod
    def open(cls, directory: str = "", kind: str = "") -> Authority:
        """The authority in a directory ("" for the usual one), made there if there is none.

        `kind` is the kind of key of a new one, one of `KINDS`; "" for RSA. Raises `UsageError`, `AccessError`.
        """
        place = Path(directory) if directory else usual_place()
        try:
            if not (place / CERTIFICATE).exists() and not (place / KEY).exists():
                _make(place, kind or KINDS[0])
            return cls(place, *_load(place))
        except OSError as error:
            raise AccessError(
                f"The certificate authority in {str(place)!a} cannot be used: {error.strerror}.",
                "Name another directory with --ca.",
            ) from error

    @property
    def certificate_pem(self) -> str:
        """Its own certificate, to be installed on stations."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def certificate_der(self) -> bytes:
        """The same as DER, as the pages of some stations want it."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate, as hexadecimal pairs."""
        return self.certificate.fingerprint(sha256()).hex(":").upper()

    @property
    def hash_data(self) -> dict[str, str]:
        """How OCPP names it, to delete it from a station."""
        return hash_data(self.certificate)

    def prepare(self) -> None:
        """Makes the keys that certificates on the fly share, which takes a moment, before anybody waits for it."""
        for kind in self._kinds():
            self._leaf_key(kind)

    def equip(self, context: ssl.SSLContext, host: str) -> datetime:
        """Gives a context certificates for a host name or address, and tells when they end.

        What is no name gets them for `FALLBACK`. Raises `OSError` where the system has no means left.
        """
        now = ends = datetime.now(UTC)
        for kind in self._kinds():
            made = leaf(self.certificate, self._key, host_name(host) or FALLBACK, self._leaf_key(kind), now)
            ends = made.ends
            with _as_file(made.key + made.certificate) as path:
                context.load_cert_chain(path)
        return ends

    def issue(self, host: str, kind: str = "") -> Leaf:
        """A certificate for a TLS server, with a key of its own. Raises `UsageError` for what is no name."""
        name = host_name(host)
        if name is None:
            raise UsageError(f"{host[:80]!a} is neither a host name nor an address.", "Name one, like csms.example.")
        return leaf(self.certificate, self._key, name, new_key(kind or self.kind), datetime.now(UTC))

    def issue_client(self, name: str, kind: str = "") -> Leaf:
        """A certificate for a TLS client, as a station shows it (security profile 3). `name`: its identity."""
        if not re.fullmatch(r"[\x21-\x7e]+", name) or len(name) > MAX_COMMON_NAME:
            raise UsageError(
                f"{name[:80]!a} cannot be the name in a certificate.",
                f"Use up to {MAX_COMMON_NAME} letters, digits and signs.",
            )
        return leaf(self.certificate, self._key, name, new_key(kind or self.kind), datetime.now(UTC), client=True)

    def _kinds(self) -> tuple[str, ...]:
        """An authority of elliptic curves is for who cannot verify RSA."""
        return KINDS if self.kind == "rsa" else ("ec",)

    def _leaf_key(self, kind: str) -> Key:
        if kind not in self._leaf_keys:
            self._leaf_keys[kind] = new_key(kind)
        return self._leaf_keys[kind]


def usual_place() -> Path:
    """`$XDG_DATA_HOME/ocppscope/ca`, or the same below ~/.local/share."""
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "ocppscope" / "ca"


def _make(place: Path, kind: str) -> None:
    """Makes key and certificate; the certificate last, so that there is none without its key."""
    from cryptography.hazmat.primitives.serialization import Encoding

    key = new_key(kind)
    certificate = root(key, datetime.now(UTC)).public_bytes(Encoding.PEM)
    if not place.parent.exists():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # not as the umask has it: it could be renamed
    place.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileExistsError):  # another process was quicker: its authority is used
        descriptor = os.open(place / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(private_pem(key))
        descriptor = os.open(place / CERTIFICATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate)


def _load(place: Path) -> tuple[x509.Certificate, Key]:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    hint = f"Put back {CERTIFICATE} and {KEY}, or remove both for a new authority, which stations must learn anew."
    try:
        certificate = x509.load_pem_x509_certificate((place / CERTIFICATE).read_bytes())
        key = load_pem_private_key((place / KEY).read_bytes(), None)
    except FileNotFoundError as error:
        what = f"The certificate authority in {str(place)!a} is not complete: {Path(error.filename).name} is missing."
        raise UsageError(what, hint) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"The certificate authority in {str(place)!a} is damaged.", hint) from error
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise UsageError(f"The key of the certificate authority in {str(place)!a} is of no kind that is used.", hint)
    if key.public_key() != certificate.public_key():
        raise UsageError(f"Key and certificate of the authority in {str(place)!a} do not belong together.", hint)
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise UsageError(f"The certificate authority in {str(place)!a} has expired.", hint)
    if (place / KEY).stat().st_mode & 0o077:
        what = f"The key of the certificate authority in {str(place)!a} can be read or changed by others."
        raise UsageError(what, f"If nobody has, take that right away: chmod 600 {str(place / KEY)!a}.")
    return certificate, key


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path under which the data can be read meanwhile: in memory where that is possible, or a private file."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name
