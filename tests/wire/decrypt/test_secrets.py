"""Key logs, and keys made of secrets; against RFC 8448, `cryptography`, and OpenSSL's own table of suites."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.errors import UsageError
from ocppscope.tlsnames import suite_name
from ocppscope.wire.decrypt import KeyLogReader, Secrets, chacha, keylog, keys, suites
from ocppscope.wire.decrypt.half import APPLICATION, traffic_epoch

RANDOM, MASTER = "ab" * 32, "cd" * 48
LINE = f"CLIENT_RANDOM {RANDOM} {MASTER}\n".encode()


# --- key logs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "label", "secret"),
    [
        (f"CLIENT_RANDOM {RANDOM} {MASTER}", "CLIENT_RANDOM", bytes([0xCD]) * 48),
        (f"  CLIENT_RANDOM\t{RANDOM.upper()}  {MASTER.upper()}  \r", "CLIENT_RANDOM", bytes([0xCD]) * 48),
        (f"CLIENT_TRAFFIC_SECRET_0 {RANDOM} {'01' * 32}", "CLIENT_TRAFFIC_SECRET_0", bytes([1]) * 32),
        (f"SERVER_HANDSHAKE_TRAFFIC_SECRET {RANDOM} {'01' * 48}", "SERVER_HANDSHAKE_TRAFFIC_SECRET", bytes([1]) * 48),
        (f"PMS_CLIENT_RANDOM {RANDOM} {'01' * 32}", "PMS_CLIENT_RANDOM", bytes([1]) * 32),
    ],
)
def test_lines(line, label, secret):
    known = Secrets()
    assert known.add(line.encode()) == 1
    assert known.add(line.encode()) == 0
    assert known.of(bytes([0xAB]) * 32) == {label: secret}


@pytest.mark.parametrize(
    "line",
    [
        "", "# a comment of three words", "CLIENT_RANDOM", f"CLIENT_RANDOM {RANDOM}",
        f"CLIENT_RANDOM {RANDOM} {MASTER} x",
        f"CLIENT_RANDOM {RANDOM[2:]} {MASTER}", f"CLIENT_RANDOM {RANDOM} {MASTER[2:]}", f"CLIENT_RANDOM {RANDOM} zz",
        f"EXPORTER_SECRET {RANDOM} {MASTER}", f"CLIENT_TRAFFIC_SECRET_0 {RANDOM} {'01' * 33}",
        f"WHAT {RANDOM} {MASTER}",
        f"RSA {RANDOM} {MASTER}", "RSA Session-ID: Master-Key:", f"PMS_CLIENT_RANDOM {RANDOM} {'01' * 2000}",
        "\xff\xfe \0 é",
    ],
)  # fmt: skip
def test_lines_that_say_nothing(line):
    known = Secrets()
    assert known.add(line.encode()) == 0
    assert not known
    assert known.version == 0


def test_older_forms():
    known = Secrets()
    text = f"RSA 0102030405060708 {MASTER}\nRSA Session-ID:{'ef' * 32} Master-Key:{MASTER}\n"
    assert known.add(text.encode()) == 2
    assert known.premaster(bytes(range(1, 200))) == bytes([0xCD]) * 48
    assert known.session(bytes([0xEF]) * 32) == bytes([0xCD]) * 48
    assert known.premaster(b"another") is None


def test_several_sources():
    known = Secrets()
    assert known.add(LINE + LINE) == 1
    assert known.add(LINE.replace(b"ab" * 32, b"12" * 32)) == 1
    assert [random[:1] for random, _ in known.latest()] == [b"\x12", b"\xab"]
    assert known.version == 2


@given(st.lists(st.integers(0, 900), max_size=6))
def test_a_log_that_grows(cuts):
    """A line counts when it is whole, never before."""
    text = (
        b"# begin\n" + LINE + f"SERVER_TRAFFIC_SECRET_0 {RANDOM} {'77' * 48}\n".encode() + b"x" * 300 + b"\n" + LINE
    )
    known = Secrets()
    reader = KeyLogReader(known)
    at = 0
    for cut in [*sorted(cuts), len(text)]:
        reader.feed(text[at:cut])
        at = max(at, cut)
        assert {48} >= {len(secret) for secret in known.of(bytes([0xAB]) * 32).values()}
    assert len(known.of(bytes([0xAB]) * 32)) == 2


def test_the_last_line_without_its_end():
    known = Secrets()
    reader = KeyLogReader(known)
    assert reader.feed(LINE[:-1]) == 0
    assert reader.finish() == 1
    assert reader.finish() == 0


def test_a_long_line_is_passed_over():
    known = Secrets()
    reader = KeyLogReader(known)
    for _ in range(100):
        assert reader.feed(b"y" * 1000) == 0
    assert reader.feed(b" " + LINE + LINE.replace(b"ab" * 32, b"12" * 32)) == 1
    assert known.of(bytes([0x12]) * 32)


def test_bounds(monkeypatch):
    monkeypatch.setattr(keylog, "MAX_RANDOMS", 10)
    monkeypatch.setattr(keylog, "MAX_SESSIONS", 10)
    known = Secrets()
    known.add(b"".join(LINE.replace(b"ab" * 32, b"%064x" % number) for number in range(50)))
    assert len(list(known.latest())) == 10
    assert known.of((49).to_bytes(32, "big"))
    assert not known.of((39).to_bytes(32, "big"))
    for number in range(50):
        known.remember(bytes([number + 1]), bytes(48))
    assert known.session(b"\x32")
    assert known.session(b"\x28") is None


def test_nothing_shows_a_secret():
    known = Secrets()
    known.add(LINE)
    epoch = traffic_epoch(APPLICATION, bytes([0xCD]) * 32, ("sha256", "gcm", 16))
    for thing in (known, epoch, epoch.protection, KeyLogReader(known)):
        assert "cd" * 4 not in f"{thing!r}{thing!s}".lower()
        assert "\\xcd" not in repr(thing)


def test_server_keys():
    known = Secrets()
    key = rsa.generate_private_key(65537, 1024)
    known.add_rsa(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open"))
    known.add_rsa(locked, b"open")
    assert len(known.server_keys) == 2
    assert known
    elliptic = ec.generate_private_key(ec.SECP256R1())
    other = elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem, what in ((other, "not an RSA key"), (b"nonsense", "cannot be read"), (locked, "cannot be read")):
        with pytest.raises(UsageError, match=what):
            known.add_rsa(pem)


# --- keys -------------------------------------------------------------------------------------------------------


def test_rfc_8448():
    """The server's handshake keys of the simple handshake (RFC 8448 §3)."""
    secret = bytes.fromhex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
    key, iv = keys.traffic_key("sha256", secret, 16)
    assert key.hex() == "3fce516009c21727d0f2e4e86ee403bc"
    assert iv.hex() == "5d313eb2671276ee13000b30"


@given(st.binary(min_size=32, max_size=48), st.binary(max_size=12), st.integers(1, 120))
def test_expand_label(secret, label, size):
    info = size.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label + b"\0"
    assert keys.expand_label("sha384", secret, label, size) == HKDFExpand(hashes.SHA384(), size, info).derive(secret)


@pytest.mark.parametrize(
    ("digest", "secret", "seed", "begins"),
    [
        ("sha256", "9bbe436ba940f017b17652849a71db35", "a0ba9f936cda311827a6f796ffd5198c",
         "e3f229ba727be17b8d122620557cd453"),
        ("sha384", "b80b733d6ceefcdc71566ea48e5567df", "cd665cf6a8447dd6ff8b27555edb7465",
         "7b0c18e9ced410ed1804f2cfa34a336a"),
    ],
)  # fmt: skip
def test_prf(digest, secret, seed, begins):
    """Test vectors for the PRF of TLS 1.2, published to the working group's list."""
    made = keys.prf(0x0303, digest, bytes.fromhex(secret), b"test label", bytes.fromhex(seed), 100)
    assert made.hex().startswith(begins)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_the_table_of_suites():
    """Every suite that OpenSSL knows has the number and name that it says."""
    command = ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"0x(..),0x(..) - (TLS_\w+)", listed)
    assert len(found) > 100
    names = {"TLS_DHE_PSK_WITH_AES_128_CCM_8": "TLS_PSK_DHE_WITH_AES_128_CCM_8"}
    wrong = []
    for high, low, standard in found:
        number = int(high + low, 16)
        if suite_name(number) != names.get(standard, standard):
            wrong.append((hex(number), standard, suite_name(number)))
    assert wrong == []


def test_unknown_suites_are_named_by_number():
    assert suite_name(0xFEFE) == "0xFEFE"
    assert suites.suite(0xFEFE) is None
    assert suites.suite(0xC05C) is None  # ARIA
    assert suite_name(0xC05C) == "TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (0xC02F, ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE_RSA", "gcm", 16, 4, "", "sha256")),
        (0x009D, ("TLS_RSA_WITH_AES_256_GCM_SHA384", "RSA", "gcm", 32, 4, "", "sha384")),
        (0xC0AE, ("TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", "ECDHE_ECDSA", "ccm8", 16, 4, "", "sha256")),
        (0xCCA8, ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE_RSA", "chacha", 32, 12, "", "sha256")),
        (0x0035, ("TLS_RSA_WITH_AES_256_CBC_SHA", "RSA", "aes", 32, 16, "sha1", "sha256")),
        (0xC028, ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "ECDHE_RSA", "aes", 32, 16, "sha384", "sha384")),
        (0x000A, ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "RSA", "3des", 24, 8, "sha1", "sha256")),
        (0x1303, ("TLS_CHACHA20_POLY1305_SHA256", "", "chacha", 32, 12, "", "sha256")),
    ],
)
def test_suites(number, wanted):
    found = suites.suite(number)
    assert found is not None
    assert tuple(found[1:]) == wanted


# --- places by key stream -----------------------------------------------------------------------------------------


@given(
    st.binary(min_size=32, max_size=32), st.binary(min_size=12, max_size=12), st.integers(0, 99), st.integers(0, 15)
)
def test_chacha_words(key, nonce, counter, which):
    import numpy as np

    block = (
        Cipher(algorithms.ChaCha20(key, counter.to_bytes(4, "little") + nonce), None).encryptor().update(bytes(64))
    )
    nonces = np.frombuffer(bytes(12) + nonce, np.uint8).reshape(2, 12)
    found = chacha.words(key, counter, nonces, which)
    assert int(found[1]).to_bytes(4, "little") == block[4 * which : 4 * which + 4]


@pytest.mark.parametrize(
    ("kind", "size", "make"),
    [
        ("gcm", 16, AESGCM), ("gcm", 32, AESGCM), ("ccm", 16, AESCCM), ("ccm8", 16, lambda key: AESCCM(key, 8)),
        ("chacha", 32, ChaCha20Poly1305),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seq", [0, 999, 65535, 200_000])
@pytest.mark.parametrize("length", [1, 30, 77])
@pytest.mark.parametrize("padding", [0, 1, 100])
def test_a_place_by_trial(kind, size, make, seq, length, padding):
    secret = os.urandom(32)
    key, iv = keys.traffic_key("sha256", secret, size)
    nonce = (int.from_bytes(iv, "big") ^ seq).to_bytes(12, "big")
    plain = os.urandom(length)
    header = b"\x17\3\3" + (length + padding + 1 + (8 if kind == "ccm8" else 16)).to_bytes(2, "big")
    body = make(key).encrypt(nonce, plain + b"\x17" + bytes(padding), header)
    protection = traffic_epoch(APPLICATION, secret, ("sha256", kind, size)).protection
    assert protection.find(0, 1 << 18, header, body) == (seq, 23, plain)
    assert protection.find(seq + 1, 1 << 16, header, body) is None
    assert protection.find(0, seq, header, body) is None
