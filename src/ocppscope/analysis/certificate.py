"""What a certificate says, as far as anybody asks: names, dates, who issued it, its key. Nothing is verified here."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ocppscope.analysis.wording import cut

MAX_NAMES = 256
"""Names of a certificate that are looked at; of one with more, it is not known whom it is for."""
MAX_NAME = 256
"""Characters of a name that are kept."""
MAX_PARSED = 256
"""Certificates that are remembered: servers show the same ones again and again."""
_NS = 1_000_000_000


class Certificate(NamedTuple):
    """`names`: DNS names and addresses, lower case; without any, the common name. Dates in ns.

    `key` is "RSA", "EC", "Ed25519" …, `key_bits` its size; `signed_with` is the hash of its signature: "sha256", or
    "" where the algorithm has none of its own. `subject_name` and `issuer_name` are texts as RFC 4514 has them.
    """

    common_name: str
    names: tuple[str, ...]
    begins_ns: int
    ends_ns: int
    subject: bytes
    issuer: bytes
    subject_name: str = ""
    issuer_name: str = ""
    key: str = ""
    key_bits: int = 0
    signed_with: str = ""
    has_more_names: bool = False

    @property
    def self_signed(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.subject == self.issuer

    def is_for(self, host: str) -> bool:
        """Whether a host name is among its names, by wildcards too (RFC 6125 §6.4), or may be: there are more."""
        host = host.lower().rstrip(".")
        parent = host.partition(".")[2]
        return self.has_more_names or any(
            name == host or (name.startswith("*.") and parent and name[2:] == parent) for name in self.names
        )


@lru_cache(MAX_PARSED)
def parse(der: bytes) -> Certificate | None:
    """Reads a certificate, None if it is none."""
    from cryptography import x509  # noqa: PLC0415 - 70 ms that only a capture with certificates needs

    try:
        found = x509.load_der_x509_certificate(der)
        common = [str(one.value) for one in found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        names = _alternatives(found) or common
        return Certificate(
            cut(common[0], MAX_NAME) if common else "",
            tuple(cut(name.lower(), MAX_NAME) for name in names[:MAX_NAMES]),
            int(found.not_valid_before_utc.timestamp()) * _NS,
            int(found.not_valid_after_utc.timestamp()) * _NS,
            found.subject.public_bytes(),
            found.issuer.public_bytes(),
            cut(found.subject.rfc4514_string(), MAX_NAME),
            cut(found.issuer.rfc4514_string(), MAX_NAME),
            *_key(found),
            _hash(found),
            len(names) > MAX_NAMES,
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # what the library raises at hostile bytes, its own panics included: then it is none
        return None


def _alternatives(found: object) -> list[str]:
    from cryptography import x509  # noqa: PLC0415

    assert isinstance(found, x509.Certificate)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*extension.get_values_for_type(x509.DNSName), *map(str, extension.get_values_for_type(x509.IPAddress))]


def _key(found: Any) -> tuple[str, int]:
    """Kind and size of its key; of one that the library cannot read, nothing."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415

    try:
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "", 0
    kind = {rsa.RSAPublicKey: "RSA", ec.EllipticCurvePublicKey: "EC"}
    name = next((name for one, name in kind.items() if isinstance(key, one)), "")
    return name or type(key).__name__.removesuffix("PublicKey").strip("_"), int(getattr(key, "key_size", 0))


def _hash(found: Any) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    try:
        used = found.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return ""
    return "" if used is None else str(used.name)
