"""Certificates of every quality, made apart from the proxy's own authority; and two TLS ends that talk."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ocppscope.proxy.contexts import VERSIONS
from ocppscope.proxy.tls import TlsPipe

NAME = "csms.example"
USES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


class Pair(NamedTuple):
    """A certificate and its key, in files."""

    certificate: str
    key: str


class Pki:
    """Makes certificates below a directory, and a root that signs them."""

    def __init__(self, directory: Path, name: str = "a root of the tests") -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(7)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.root = self.write("root.pem", self.certificate.public_bytes(Encoding.PEM))

    def write(self, name: str, data: bytes) -> str:
        path = self.directory / name
        path.write_bytes(data)
        return str(path)

    def read(self, path: str) -> str:
        return Path(path).read_text()

    def leaf(
        self,
        name: str = NAME,
        *,
        begins: int = -1,
        ends: int = 20,
        use: str = "server",
        kind: str = "ec",
        self_signed: bool = False,
        password: bytes | None = None,
    ) -> Pair:
        """A certificate valid from and to so many days from now."""
        key = (
            rsa.generate_private_key(65537, int(kind)) if kind.isdigit() else ec.generate_private_key(ec.SECP256R1())
        )
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        try:
            alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        signed = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begins))
            .not_valid_after(now + timedelta(days=ends))
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([USES[use]]), critical=False)
            .sign(key if self_signed else self.key, hashes.SHA256())
        )
        stem = f"{len(list(self.directory.iterdir()))}"
        secret = BestAvailableEncryption(password) if password else NoEncryption()
        return Pair(
            self.write(f"{stem}.pem", signed.public_bytes(Encoding.PEM)),
            self.write(f"{stem}.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)),
        )


class Talk(NamedTuple):
    """What two ends have given to their callers."""

    client: bytes
    server: bytes


Cut = Callable[[bytes], Iterable[bytes]]


def whole(data: bytes) -> Iterable[bytes]:
    return [data] if data else []


def single_bytes(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def converse(client: TlsPipe, server: TlsPipe, first: bytes | None = None, cut: Cut = whole) -> Talk:
    """Carries everything between the two until both are silent; `first` is what the client has to send."""
    said = [b"", b""]
    ways = [(client.start() if first is None else first, server, 1), (server.start(), client, 0)]
    while ways:
        data, to, index = ways.pop(0)
        answer = b""
        for piece in cut(data):
            result = to.received(piece)
            said[index] += result.plaintext
            answer += result.to_send
        if answer:
            ways.append((answer, client if index else server, 1 - index))
    return Talk(*said)


def client_end(
    *, root: str = "", pair: Pair | None = None, highest: str = "1.3", lowest: str = "1.2"
) -> ssl.SSLContext:
    """A plain client of Python's own making; without a root it verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = VERSIONS[highest]
    context.minimum_version = VERSIONS[lowest]
    if root:
        context.load_verify_locations(root)
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def server_end(pair: Pair, *, root: str = "", highest: str = "1.3") -> ssl.SSLContext:
    """A plain server of Python's own making; with a root it requires a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = VERSIONS[highest]
    context.load_cert_chain(*pair)
    if root:
        context.load_verify_locations(root)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
