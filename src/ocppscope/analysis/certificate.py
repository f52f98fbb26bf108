"""What a certificate says, as far as rules ask: names, dates, who issued it. Nothing is verified here."""

from __future__ import annotations

from typing import NamedTuple

MAX_NAMES = 64
"""Names of a certificate that are looked at."""
_NS = 1_000_000_000


class Certificate(NamedTuple):
    """`names`: DNS names and addresses, lower case; without any, the common name. Dates in ns."""

    common_name: str
    names: tuple[str, ...]
    begins_ns: int
    ends_ns: int
    subject: bytes
    issuer: bytes

    @property
    def self_signed(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.subject == self.issuer

    def is_for(self, host: str) -> bool:
        """Whether a host name is among its names, by wildcards too (RFC 6125 §6.4)."""
        host = host.lower().rstrip(".")
        parent = host.partition(".")[2]
        return any(name == host or (name.startswith("*.") and parent and name[2:] == parent) for name in self.names)


def parse(der: bytes) -> Certificate | None:
    """Reads a certificate, None if it is none."""
    from cryptography import x509  # noqa: PLC0415 - 70 ms that only a capture with certificates needs

    try:
        found = x509.load_der_x509_certificate(der)
        common = [str(one.value) for one in found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        names = _alternatives(found) or common
        return Certificate(
            common[0][:256] if common else "",
            tuple(name.lower()[:256] for name in names[:MAX_NAMES]),
            int(found.not_valid_before_utc.timestamp()) * _NS,
            int(found.not_valid_after_utc.timestamp()) * _NS,
            found.subject.public_bytes(),
            found.issuer.public_bytes(),
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
