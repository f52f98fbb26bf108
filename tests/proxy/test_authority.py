"""Our own authority: what it makes, where it keeps it, what strict checkers say of it, and what can be wrong."""

from __future__ import annotations

import os
import shutil
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.errors import AccessError, UsageError
from ocppscope.proxy import authority as module
from ocppscope.proxy import certificates, contexts
from ocppscope.proxy.authority import CERTIFICATE, KEY, Authority, usual_place
from ocppscope.proxy.certificates import KINDS, LEAF_DAYS, leaf, new_key, root
from ocppscope.proxy.contexts import MAX_CONTEXTS, StationContexts, TlsSettings

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module", params=KINDS)
def authority(request, tmp_path_factory) -> Authority:
    return Authority.open(str(tmp_path_factory.mktemp("ca") / "new"), request.param)


def parsed(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def names(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


# --- on disk ----------------------------------------------------------------------------------------------------


def test_it_is_made_once_and_for_its_owner(authority):
    again = Authority.open(str(authority.directory))
    assert (again.fingerprint, again.kind) == (authority.fingerprint, authority.kind)
    assert stat.S_IMODE(authority.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((authority.directory / KEY).stat().st_mode) == 0o600
    assert sorted(os.listdir(authority.directory)) == [KEY, CERTIFICATE]


def test_rsa_is_what_every_station_knows(tmp_path):
    assert Authority.open(str(tmp_path)).kind == "rsa"


def test_a_directory_that_was_there_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)
    Authority.open(str(tmp_path), "ec")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("value", "below"), [("/data", "/data"), ("", "HOME/.local/share"), ("x", "HOME/.local/share")]
)
def test_the_usual_place(value, below, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", value)
    assert usual_place() == Path(below.replace("HOME", str(tmp_path))) / "ocppscope" / "ca"


def test_who_comes_second_uses_what_the_first_made(tmp_path):
    first = Authority.open(str(tmp_path), "ec")
    module._make(tmp_path, "ec")
    assert Authority.open(str(tmp_path)).fingerprint == first.fingerprint


def ed25519() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (KEY, None, f"is not complete: {KEY} is missing"),
        (CERTIFICATE, None, f"is not complete: {CERTIFICATE} is missing"),
        (KEY, b"nothing", "is damaged"),
        (CERTIFICATE, b"", "is damaged"),
        (KEY, lambda: certificates.private_pem(new_key("ec")), "do not belong together"),
        (KEY, ed25519, "of no kind that is used"),
    ],
)
def test_what_is_wrong_with_it_is_a_sentence(name, data, words, tmp_path):
    Authority.open(str(tmp_path), "ec")
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data() if callable(data) else data)
    with pytest.raises(UsageError) as caught:
        Authority.open(str(tmp_path))
    assert words in caught.value.what
    assert CERTIFICATE in caught.value.hint
    assert "PRIVATE" not in caught.value.what


def test_it_can_grow_too_old(tmp_path):
    key = new_key("ec")
    (tmp_path / KEY).write_bytes(certificates.private_pem(key))
    old = root(key, datetime.now(UTC) - timedelta(days=certificates.ROOT_DAYS))
    (tmp_path / CERTIFICATE).write_bytes(old.public_bytes(Encoding.PEM))
    with pytest.raises(UsageError, match="has expired"):
        Authority.open(str(tmp_path))


def test_a_place_where_nothing_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AccessError, match="cannot be used: Not a directory"):
        Authority.open(str(tmp_path / "file" / "ca"))


def test_a_kind_that_is_none(tmp_path):
    with pytest.raises(UsageError, match="no kind of key"):
        Authority.open(str(tmp_path), "dsa")


# --- what it issues ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["csms.example", "CSMS_1.example.", "10.0.0.1", "2001:db8::1", "a" * 60 + ".example"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_for_a_host(host, kind, authority):
    issued = authority.issue(host, kind)
    certificate = parsed(issued.certificate)
    assert names(certificate) == [host.lower().removesuffix(".")]
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lasts <= timedelta(days=LEAF_DAYS)
    assert certificate.not_valid_before_utc <= datetime.now(UTC) - timedelta(days=29)
    assert certificate.not_valid_after_utc >= datetime.now(UTC) + timedelta(days=365)
    assert isinstance(certificate.public_key(), EllipticCurvePublicKey) == (kind == "ec")
    certificate.verify_directly_issued_by(authority.certificate)


@pytest.mark.parametrize("name", ["", "a b", "*.example", "x" * 254, "a\0b", "-a"])
def test_a_host_that_is_none(name, authority):
    with pytest.raises(UsageError, match="neither a host name nor an address"):
        authority.issue(name)


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\n", "ä"])
def test_a_client_s_name_that_cannot_be(name, authority):
    with pytest.raises(UsageError, match="cannot be the name in a certificate"):
        authority.issue_client(name)


def test_a_leaf_does_not_outlive_the_root():
    key = new_key("ec")
    issuer = root(key, NOW)
    late = issuer.not_valid_after_utc - timedelta(days=5)
    assert leaf(issuer, key, "a", key, late).ends == issuer.not_valid_after_utc
    assert leaf(issuer, key, "a", key, NOW).ends < issuer.not_valid_after_utc


def test_numbers_and_names_differ(tmp_path):
    """A station that has seen two roots of one name, or two certificates of one number, mixes them up."""
    one, two = (Authority.open(str(tmp_path / name), "ec") for name in "ab")
    assert one.certificate.subject != two.certificate.subject
    assert len({parsed(one.issue("a").certificate).serial_number for _ in range(5)}) == 5


@pytest.fixture
def openssl() -> str:
    found = shutil.which("openssl")
    if not found:
        pytest.skip("openssl is not installed")
    return found


@pytest.mark.parametrize(
    ("purpose", "host"), [("sslserver", "csms.example"), ("sslserver", "::1"), ("sslclient", "CP-1")]
)
@pytest.mark.parametrize("kind", KINDS)
def test_openssl_s_strict_check_takes_it(purpose, host, kind, authority, openssl, tmp_path):
    issued = authority.issue_client(host, kind) if purpose == "sslclient" else authority.issue(host, kind)
    (tmp_path / "leaf.pem").write_bytes(issued.certificate)
    command = [openssl, "verify", "-x509_strict", "-check_ss_sig", "-policy_check", "-purpose", purpose]
    command += ["-CAfile", str(authority.directory / CERTIFICATE)]
    if purpose == "sslserver":
        command += ["-verify_ip" if ":" in host else "-verify_hostname", host]
    run = subprocess.run([*command, str(tmp_path / "leaf.pem")], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()[-1:]) == (0, ["OK"]), run.stderr


def test_it_may_not_make_authorities(authority):
    constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


def test_how_ocpp_names_it(authority, openssl):
    """The same hashes as in an OCSP request that OpenSSL makes for a certificate of it (RFC 6960)."""
    place = authority.directory / CERTIFICATE
    command = [openssl, "ocsp", "-sha256", "-issuer", str(place), "-cert", str(place), "-req_text"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = dict(line.strip().split(": ") for line in text.splitlines() if line.strip().count(": ") == 1)
    assert authority.hash_data == {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": found["Issuer Name Hash"].lower(),
        "issuerKeyHash": found["Issuer Key Hash"].lower(),
        "serialNumber": found["Serial Number"].lower().lstrip("0"),
    }


# --- on the fly -------------------------------------------------------------------------------------------------


def test_contexts_are_kept_but_not_too_many(monkeypatch):
    """The one that was not asked for the longest is forgotten."""
    key = new_key("ec")
    authority = Authority(Path(), root(key, datetime.now(UTC)), key)
    made = []
    monkeypatch.setattr(
        authority, "equip", lambda context, host: made.append(host) or datetime.max.replace(tzinfo=UTC)
    )
    stations = StationContexts(TlsSettings(), authority)
    assert stations.context("first.example", "") is stations.context("FIRST.example", "")
    for number in range(MAX_CONTEXTS - 1):
        stations.context(f"n{number}.example", "")
    stations.context("first.example", "")
    assert made == ["first.example", *(f"n{number}.example" for number in range(MAX_CONTEXTS - 1))]
    stations.context("one-more.example", "")
    stations.context("first.example", "")
    stations.context("n0.example", "")
    assert made[MAX_CONTEXTS:] == ["one-more.example", "n0.example"]


def test_a_context_is_made_anew_before_its_certificate_ends(monkeypatch):
    key = new_key("ec")
    authority = Authority(Path(), root(key, datetime.now(UTC)), key)
    stations = StationContexts(TlsSettings(), authority)
    first = stations.context("a.example", "")
    assert stations.context("a.example", "") is first
    monkeypatch.setattr(contexts, "RENEW_BEFORE", timedelta(days=LEAF_DAYS))
    assert stations.context("a.example", "") is not first


@given(name=st.text(max_size=300) | st.none(), address=st.sampled_from(["", "192.0.2.1", "fe80::1%eth0", "\0"]))
def test_whatever_is_asked_for_there_is_a_certificate(name, address, stations):
    assert isinstance(stations.context(name, address), ssl.SSLContext)


@pytest.fixture(scope="module")
def stations() -> StationContexts:
    key = new_key("ec")
    return StationContexts(TlsSettings(), Authority(Path(), root(key, datetime.now(UTC)), key))


def test_where_there_are_no_files_in_memory(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    key = new_key("ec")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert Authority(Path(), root(key, datetime.now(UTC)), key).equip(context, "a.example") > datetime.now(UTC)
