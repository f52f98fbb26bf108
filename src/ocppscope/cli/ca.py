"""`ocppscope ca`: the authority whose certificates the proxy shows to stations. Never prints a private key."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocppscope.errors import AccessError, UsageError

if TYPE_CHECKING:
    from ocppscope.proxy.authority import Authority
    from ocppscope.proxy.certificates import Leaf

ROOT_TYPES = {"1.6": "CentralSystemRootCertificate", "2.0.1": "CSMSRootCertificate", "2.1": "CSMSRootCertificate"}
"""Version of OCPP → what it calls the root that a station trusts its CSMS by."""
KINDS = ("rsa", "ec")
MAX_INSTALLED = {"1.6": 5500, "2.0.1": 5500, "2.1": 10000}
"""Characters that InstallCertificate may carry."""


@click.command("ca")
@click.option(
    "--ca", "directory", metavar="DIR", default="", help="Where it is; $XDG_DATA_HOME/ocppscope/ca unless told."
)
@click.option("--kind", type=click.Choice(KINDS), help="Kind of key of what is made; rsa unless told.")
@click.option("--export", metavar="FILE", help="Write its certificate: DER for .der and .cer, else PEM; - is stdout.")
@click.option(
    "--install",
    type=click.Choice(tuple(ROOT_TYPES)),
    metavar="VERSION",
    help="Print the payload of an InstallCertificate that brings it to a station (1.6, 2.0.1, 2.1).",
)
@click.option(
    "--delete",
    type=click.Choice(tuple(ROOT_TYPES)),
    metavar="VERSION",
    help="Print the payload of a DeleteCertificate that takes it away again.",
)
@click.option("--issue", "hosts", metavar="HOST", multiple=True, help="Make a server's certificate and key.")
@click.option("--client", "names", metavar="NAME", multiple=True, help="Make a client's certificate and key.")
@click.option("-o", "--output", metavar="DIR", default=".", help="Where what is made goes; here unless told.")
def command(
    directory: str,
    kind: str | None,
    export: str | None,
    install: str | None,
    delete: str | None,
    hosts: tuple[str, ...],
    names: tuple[str, ...],
    output: str,
) -> None:
    """Show the proxy's own certificate authority, which is made on first use.

    \b
      ocppscope ca --export root.pem            the root, to be installed on stations
      ocppscope ca --install 2.0.1              the same, as an OCPP message
      ocppscope ca --issue csms.example -o DIR  a certificate and key for a server
      ocppscope ca --client CP-1 -o DIR         a certificate and key for a station (profile 3)
    """
    from ocppscope.proxy.authority import Authority

    authority = Authority.open(directory, kind or "")
    for host in hosts:
        _write_pair(authority.issue(host, kind or ""), host, output)
    for name in names:
        _write_pair(authority.issue_client(name, kind or ""), name, output)
    if export:
        _export(authority, export)
    if install:
        click.echo(_installation(authority, install))
    if delete:
        data = authority.hash_data
        click.echo(json.dumps({"certificateHashData": data}))
    if not (hosts or names or export or install or delete):
        _show(authority)


def _show(authority: Authority) -> None:
    found = authority.certificate
    key = {"rsa": "RSA, 2048 bits", "ec": "P-256"}[authority.kind]
    for label, text in (
        ("directory", str(authority.directory)),
        ("subject", found.subject.rfc4514_string()),
        ("key", key),
        ("valid", f"{found.not_valid_before_utc:%Y-%m-%d} to {found.not_valid_after_utc:%Y-%m-%d}"),
        ("SHA-256", authority.fingerprint),
        ("serial", f"{found.serial_number:x}"),
    ):
        click.echo(f"{label:<10} {text}")


def _installation(authority: Authority, version: str) -> str:
    pem = authority.certificate_pem
    assert len(pem) <= MAX_INSTALLED[version]
    return json.dumps({"certificateType": ROOT_TYPES[version], "certificate": pem})


def _export(authority: Authority, name: str) -> None:
    pem = authority.certificate_pem
    if name == "-":
        click.echo(pem, nl=False)
        return
    der = Path(name).suffix.lower() in (".der", ".cer")
    data = authority.certificate_der if der else pem.encode()
    _write(Path(name), data, 0o644)
    click.echo(f"The root is in {name!a}. SHA-256 {authority.fingerprint}", err=True)


def _write_pair(leaf: Leaf, name: str, output: str) -> None:
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100] or "certificate"
    certificate, key = (Path(output) / f"{stem}{suffix}" for suffix in (".pem", ".key"))
    if certificate.exists():
        raise UsageError(f"There is a file {str(certificate)!a} already.", "Name another directory with -o.")
    _write(key, leaf.key, 0o600)
    _write(certificate, leaf.certificate, 0o644)
    click.echo(f"{certificate}  valid to {leaf.ends:%Y-%m-%d}\n{key}  private, keep it so")


def _write(path: Path, data: bytes, mode: int) -> None:
    """Writes a new file; the same content may be there already."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
    except FileExistsError as error:
        if not path.is_file() or path.read_bytes() != data:
            raise UsageError(f"There is a file {str(path)!a} already.", "Name another one.") from error
    except OSError as error:
        raise AccessError(f"{str(path)!a} cannot be written: {error.strerror}.", "Name another place.") from error
