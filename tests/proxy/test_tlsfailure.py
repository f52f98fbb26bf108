"""What went wrong with TLS, in words: every kind of failure made for real, on both sides and in both versions."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from typing import NamedTuple

import pytest
from support_pki import NAME, Pki, client_end, converse, server_end

from ocppscope.model import Side
from ocppscope.proxy.tls import TlsPipe
from ocppscope.proxy.tlsfailure import ALERTS, REASONS, VERIFY, Blame, alert_of, failure_of

OTHER = "an unrelated root"


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("other"), OTHER)


@pytest.fixture(scope="module")
def namesake(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("namesake"))


class Made(NamedTuple):
    """The contexts of a failure, and the name that is asked for."""

    client: ssl.SSLContext
    server: ssl.SSLContext
    name: str = NAME


Make = Callable[[Pki, Pki, Pki], Made]


def shown(**quality) -> Make:
    """The CSMS shows such a certificate to a client that trusts the root."""
    return lambda pki, other, namesake: Made(client_end(root=pki.root), server_end(pki.leaf(**quality)))


def asked(**quality) -> Make:
    """The station shows such a client certificate to a server that trusts the root."""

    def make(pki, other, namesake):
        pair = pki.leaf("CP-1", **{"use": "client", **quality})
        return Made(client_end(root=pki.root, pair=pair), server_end(pki.leaf(), root=pki.root))

    return make


def only(what: str) -> ssl.SSLContext:
    context = client_end(highest="1.2")
    context.set_ciphers(what)
    return context


def lowest(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
    return context


# What happens: (what the client's end says and blames, what the server's end says and blames)
FAILURES: dict[str, tuple[Make, str, str, str, str]] = {
    "root not trusted": (
        lambda pki, other, namesake: Made(client_end(root=other.root), server_end(pki.leaf())),
        "unknown-ca",
        "csms",
        "alert-unknown-ca",
        "proxy",
    ),
    "another root of the same name": (
        lambda pki, other, namesake: Made(client_end(root=namesake.root), server_end(pki.leaf())),
        "bad-signature",
        "csms",
        "alert-decrypt-error",
        "unknown",
    ),
    "expired": (
        shown(begins=-9, ends=-2),
        "certificate-expired",
        "csms",
        "alert-certificate-expired",
        "proxy",
    ),
    "not valid yet": (
        shown(begins=2, ends=9),
        "certificate-not-yet-valid",
        "csms",
        "alert-bad-certificate",
        "proxy",
    ),
    "self-signed": (shown(self_signed=True), "self-signed", "csms", "alert-unknown-ca", "proxy"),
    "another name": (shown(name="other.example"), "wrong-name", "csms", "alert-bad-certificate", "proxy"),
    "another address": (
        lambda pki, other, namesake: Made(client_end(root=pki.root), server_end(pki.leaf()), "192.0.2.7"),
        "wrong-name",
        "csms",
        "alert-bad-certificate",
        "proxy",
    ),
    "a client's certificate for a server": (
        shown(use="client"),
        "wrong-purpose",
        "csms",
        "alert-unsupported-certificate",
        "proxy",
    ),
    "a client's root not trusted": (
        lambda pki, other, namesake: Made(
            client_end(root=pki.root, pair=other.leaf("CP-1", use="client")), server_end(pki.leaf(), root=pki.root)
        ),
        "alert-unknown-ca",
        "proxy",
        "unknown-ca",
        "station",
    ),
    "a client's certificate expired": (
        asked(begins=-9, ends=-2),
        "alert-certificate-expired",
        "proxy",
        "certificate-expired",
        "station",
    ),
    "a client's certificate signed by itself": (
        asked(self_signed=True),
        "alert-unknown-ca",
        "proxy",
        "self-signed",
        "station",
    ),
    "a server's certificate for a client": (
        asked(use="server"),
        "alert-unsupported-certificate",
        "proxy",
        "wrong-purpose",
        "station",
    ),
}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("what", FAILURES)
def test_certificates(what, version, pki, other, namesake):
    make, client_code, client_blame, server_code, server_blame = FAILURES[what]
    made = make(pki, other, namesake)
    made.client.maximum_version = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
    client, server = TlsPipe(made.client, server_hostname=made.name), TlsPipe(made.server, server_side=True)
    converse(client, server)
    assert (client.failure.code, client.failure.blame) == (client_code, client_blame)
    assert (server.failure.code, server.failure.blame) == (server_code, server_blame)
    for failure in (client.failure, server.failure):
        assert failure.hint.endswith((".", "it."))
        assert failure.reason


@pytest.mark.parametrize(
    ("version", "code", "blame"),
    [("1.2", "alert-handshake-failure", "unknown"), ("1.3", "alert-certificate-required", "proxy")],
)
def test_no_client_certificate(version, code, blame, pki):
    server_context = server_end(pki.leaf(), root=pki.root)
    client = TlsPipe(client_end(highest=version), server_hostname=NAME)
    server = TlsPipe(server_context, server_side=True)
    converse(client, server)
    assert client.done is (version == "1.3")  # a client of TLS 1.3 is done before it is looked at
    assert (client.failure.code, client.failure.blame) == (code, blame)
    assert "client certificate that the CSMS accepts" in client.failure.hint
    assert server.failure.text == "The station has shown no client certificate, and one is required of it."
    assert (server.failure.code, server.failure.blame) == ("no-client-certificate", "station")


@pytest.mark.parametrize(
    ("client", "server", "client_code", "server_code"),
    [
        (lambda: only("ECDHE-RSA-AES128-GCM-SHA256"), lambda end: end, "alert-handshake-failure", "no-shared-cipher"),
        (
            lambda: client_end(highest="1.2"),
            lambda end: lowest(end, ssl.TLSVersion.TLSv1_3),
            "alert-protocol-version",
            "wrong-version",
        ),
        (
            lambda: lowest(only("ALL:@SECLEVEL=0"), ssl.TLSVersion.TLSv1),
            lambda end: lowest(end, ssl.TLSVersion.TLSv1_3),
            "alert-protocol-version",
            "wrong-version",
        ),
    ],
    ids=["cipher", "version", "old version"],
)
def test_nothing_in_common(client, server, client_code, server_code, pki):
    ends = TlsPipe(client(), server_hostname=NAME), TlsPipe(server(server_end(pki.leaf())), server_side=True)
    converse(*ends)
    assert [end.failure.code for end in ends] == [client_code, server_code]
    assert ends[1].failure.blame == "station"


def alert(number: int, level: int = 2) -> bytes:
    return bytes([0x15, 3, 3, 0, 2, level, number])


# What a peer sends instead of TLS, by the side that sends it: code, and words of the sentence.
INSTEAD: list[tuple[bool, bytes, str, str]] = [
    (True, b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: x\r\n\r\n", "plain-http", "The station speaks plain HTTP"),
    (True, b"CONNECT x:443 HTTP/1.1\r\n\r\n", "plain-http", "The station speaks plain HTTP"),
    (True, b"SSH-2.0-OpenSSH_9.2\r\n", "not-tls", "The station does not speak TLS"),
    (True, b"\x00\x01\x02\x03\x04\x05\x06\x07", "not-tls", "The station does not speak TLS"),
    (True, b"\x17\x03\x03\x00\x05hello", "broken", "broke the rules of TLS: unexpected message"),
    (True, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff", "broken", "broke the rules of TLS: length too short"),
    (True, b"", "left", "The station closed the connection without a word of TLS."),
    (True, b"\x16\x03", "left", "The station left in the TLS handshake."),
    (False, b"HTTP/1.1 400 Bad Request\r\n\r\n", "plain-http", "The CSMS answers in plain HTTP"),
    (False, b"SSH-2.0-OpenSSH_9.2\r\n", "not-tls", "The CSMS does not speak TLS"),
    (False, b"", "left", "The CSMS closed the connection without a word of TLS."),
    (False, b"\x16\x03\x03", "left", "The CSMS left in the TLS handshake."),
    (False, alert(0, 1), "left", "The CSMS left in the TLS handshake."),
    (False, alert(40), "alert-handshake-failure", "The CSMS ended TLS with handshake_failure: "),
    (False, alert(80), "alert-internal-error", "it failed in itself"),
    (False, alert(112), "alert-unrecognized-name", "no certificate for the host name"),
    (False, alert(120), "alert-no-application-protocol", "ALPN"),
    (False, alert(238), "alert-238", "The CSMS ended TLS with alert 238"),
]


@pytest.mark.parametrize(("station", "data", "code", "words"), INSTEAD)
def test_something_else_than_tls(station, data, code, words, pki):
    pipe = (
        TlsPipe(server_end(pki.leaf()), server_side=True) if station else TlsPipe(client_end(), server_hostname=NAME)
    )
    pipe.start()
    if data:
        assert pipe.received(data).plaintext == b""
    failure = pipe.eof()
    assert failure is pipe.failure
    assert failure.code == code
    assert words in failure.text


def test_a_station_that_leaves_after_the_certificate(pki):
    client, server = TlsPipe(client_end(), server_hostname=NAME), TlsPipe(server_end(pki.leaf()), server_side=True)
    assert server.received(client.start()).to_send
    failure = server.eof()
    assert (failure.code, failure.blame) == ("left-after-certificate", Blame.PROXY)
    assert "does not trust it" in failure.hint


@pytest.mark.parametrize(("version", "code"), [("1.2", None), ("1.3", "left-after-handshake")])
def test_a_csms_that_leaves_after_the_handshake(version, code, pki):
    """A server of TLS 1.3 that wants a certificate looks at it when the client is done; asyncio then says nothing."""
    client = TlsPipe(client_end(highest=version), server_hostname=NAME)
    server = TlsPipe(server_end(pki.leaf()), server_side=True)
    data = client.start()
    while not client.done:
        data = client.received(server.received(data).to_send).to_send
    failure = client.eof()
    assert (failure.code if failure else None) == code
    assert client.truncated


def test_a_csms_that_leaves_later_is_no_failure(pki):
    client, server = TlsPipe(client_end(), server_hostname=NAME), TlsPipe(server_end(pki.leaf()), server_side=True)
    converse(client, server)  # it has sent its tickets
    assert client.eof() is None
    assert client.truncated


# --- the tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "unknown_ca"),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "certificate_unknown"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate_required"),
        ("TLSV1_UNRECOGNIZED_NAME", "unrecognized_name"),
        ("NO_SHARED_CIPHER", None),
        ("SSLV3_ROLLBACK_ATTACK", None),
        ("", None),
    ],
)
def test_names_of_alerts(reason, name):
    assert alert_of(reason) == name


def test_every_alert_that_openssl_names_has_a_meaning():
    """The codes from 1000 on are the alerts (ERR_REASON of SSL_AD_…)."""
    import _ssl

    reasons = {name for (_, code), name in _ssl.err_codes_to_names.items() if 1000 <= code < 1256 and "_" in name}
    ours = {name for name in reasons if name.startswith(("SSLV3_ALERT", "TLSV1_", "TLSV13_"))}
    assert len(ours) > 20
    assert {name for name in ours if alert_of(name) is None} == set()


@pytest.mark.parametrize("side", Side)
def test_every_row_makes_a_sentence(side):
    errors = [error_of(reason) for reason in [*REASONS, *(f"TLSV1_ALERT_{name.upper()}" for name in ALERTS)]]
    for code in [*VERIFY, 99]:
        error = ssl.SSLCertVerificationError()
        error.verify_code, error.verify_message, error.reason = code, "whatever {braces}", "CERTIFICATE_VERIFY_FAILED"
        errors.append(error)
    for error in [*errors, error_of("SOME_{NEW}_REASON"), error_of(None)]:
        failure = failure_of(error, side, b"")
        assert failure.text[0].isupper()
        assert failure.text.endswith(".")
        assert failure.hint.endswith(".")
        assert not set("{}") & set(failure.hint)


def error_of(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError()
    error.reason = reason
    return error
