"""How the proxy's certificates are made: keys, the root, what the root signs. No files; time comes from the caller.

Made so that OpenSSL's strict check and strict clients take them: the root may sign leaves only (pathlen 0), a leaf
says what it is for, and names stand in the alternative names as well as in the common name, which old stations read.
"""

# ruff: noqa: PLC0415 (cryptography takes 70 ms that only who makes certificates should pay)

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.errors import UsageError
from ocppscope.proxy.hello import is_address

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Key = EllipticCurvePrivateKey | RSAPrivateKey

MAX_COMMON_NAME = 64
"""Characters of a common name (RFC 5280, ub-common-name)."""
ROOT_DAYS = 5 * 365
LEAF_DAYS = 397
"""Days that a leaf is valid, `BACKDATED` ones among them; strict clients take no more."""
BACKDATED = timedelta(days=30)
"""How far back validity begins, for stations whose clock is late."""
KINDS = ("rsa", "ec")
"""Kinds of keys: RSA with 2048 bits, and P-256. OCPP asks for no less of either."""
ROOT_NAME = "ocppscope debugging authority"


class Leaf(NamedTuple):
    """A certificate that was issued, as PEM, with its key."""

    certificate: bytes
    key: bytes
    ends: datetime


def new_key(kind: str) -> Key:
    """A key of one of `KINDS`. Raises `UsageError` for another."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind not in KINDS:
        raise UsageError(f"{kind[:80]!a} is no kind of key.", f"It is one of {', '.join(KINDS)}.")
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def root(key: Key, now: datetime) -> x509.Certificate:
    """A root that signs itself. Its name holds a part of its key's hash, so that two of them can be told apart."""
    from cryptography import x509

    begins = now - BACKDATED
    name = _subject(f"{ROOT_NAME} {hashlib.sha256(_public_bytes(key)).hexdigest()[:8]}", organisation="ocppscope")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=ROOT_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, sha256())
    )


def leaf(
    issuer: x509.Certificate, issuer_key: Key, name: str, key: Key, now: datetime, *, client: bool = False
) -> Leaf:
    """A certificate for a server's host name or address, or for a `client` of any name."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    begins = max(now - BACKDATED, issuer.not_valid_before_utc)
    ends = min(begins + timedelta(days=LEAF_DAYS), issuer.not_valid_after_utc)
    purpose = x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH if client else x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True, key_encipherment=is_rsa(key)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_id(issuer), critical=False)
    )
    if not client:
        builder = builder.add_extension(_alternative(name), critical=False)
    return Leaf(builder.sign(issuer_key, sha256()).public_bytes(Encoding.PEM), private_pem(key), ends)


def hash_data(certificate: x509.Certificate) -> dict[str, str]:
    """How OCPP names a root on a station (CertificateHashDataType; hashes as in RFC 6960 §4.1.1)."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = certificate.public_key()
    if isinstance(public, RSAPublicKey):
        bits = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    else:
        bits = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hashlib.sha256(certificate.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": hashlib.sha256(bits).hexdigest(),
        "serialNumber": f"{certificate.serial_number:x}",
    }


def private_pem(key: Key) -> bytes:
    """A private key as PEM, not encrypted."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def is_rsa(key: Key) -> bool:
    """Whether it is an RSA key."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    return isinstance(key, RSAPrivateKey)


def sha256() -> hashes.SHA256:
    """The hash of all signatures and fingerprints."""
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def _subject(name: str, organisation: str = "") -> x509.Name:
    """A name that is too long for a common name stands in the alternative names only."""
    from cryptography import x509

    oid = x509.NameOID
    common = name if len(name) <= MAX_COMMON_NAME else "ocppscope"
    parts = [x509.NameAttribute(oid.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name([*parts, x509.NameAttribute(oid.COMMON_NAME, common)])


def _alternative(name: str) -> x509.SubjectAlternativeName:
    from cryptography import x509

    entry = x509.IPAddress(ip_address(name)) if is_address(name) else x509.DNSName(name)
    return x509.SubjectAlternativeName([entry])


def _usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    from cryptography import x509

    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _public_bytes(key: Key) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
