"""Rules about TCP and TLS, which no conversation in text can say: the events are made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from conversation import play
from ocppscope.acts import Act, comment_of
from ocppscope.analysis.certificate import parse
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Finding
from ocppscope.analysis.rules.proxy import INTERFERING
from ocppscope.model import (
    AttemptOutcome,
    ClientHello,
    ConnectAttempt,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    Endpoint,
    Event,
    Flow,
    PacketComment,
    PlainReply,
    RoundTrips,
    ServerHello,
    Side,
    TlsAlert,
    TlsConnection,
    Transport,
    TransportSide,
)
from ocppscope.tlsnames import ALERTS

SECOND = 1_000_000_000
START = 1_795_341_600 * SECOND  # 2026-11-22 10:00:00 UTC
STATION, SERVER = Endpoint("10.0.0.5", 40_000), Endpoint("10.0.0.9", 9000)
REFUSED, UNANSWERED, NO_DATA = AttemptOutcome.REFUSED, AttemptOutcome.UNANSWERED, AttemptOutcome.NO_DATA

CALM = """
-- 2026-11-22 (UTC)
10:00:00.000 CP-1 → OPEN ocpp1.6 10.0.0.5:39999 -> 10.0.0.9:9000
10:00:10.000 CP-1 → [2,"1","BootNotification",
    {"chargePointVendor":"V","chargePointModel":"M","chargePointSerialNumber":"SN-1"}]
10:00:10.100 CP-1 ← [3,"1",{"status":"Accepted","interval":300,"currentTime":"2026-11-22T10:00:10Z"}]
10:01:00.000 CP-1 → CLOSE 1000
10:01:00.010 CP-1 → CLOSED FIN
"""


def diagnosed(*events: Event) -> list[Finding]:
    diagnosis = Diagnosis()
    diagnosis.take(list(events))
    diagnosis.finish(events[-1].time_ns if events else 0)
    assert not diagnosis.failures
    return diagnosis.findings()


def attempt(
    outcome=REFUSED, *, syns=1, attempts=1, seconds=0, server=SERVER, client=STATION, by=None
) -> ConnectAttempt:
    last = START + int(seconds * SECOND)
    return ConnectAttempt(last, START, last, Flow(client, server), outcome, syns, attempts, by)


def session(**sides: TransportSide) -> list[Event]:
    """A calm session whose transport says something."""
    transport = Transport((sides.get("station", TransportSide()), sides.get("csms", TransportSide())))
    return [
        replace(one, connection=replace(one.connection, transport=transport))
        if isinstance(one, ConnectionOpened | ConnectionClosed) else one
        for one in play(CALM)
    ]  # fmt: skip


@cache
def certificate(name="csms.example", days=365, *, issuer="", names=()) -> bytes:
    key = ec.derive_private_key(12345, ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    by = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]) if issuer else who
    now = datetime.fromtimestamp(START // SECOND, UTC)
    builder = (
        x509.CertificateBuilder().subject_name(who).issuer_name(by).public_key(key.public_key()).serial_number(7)
    )
    builder = builder.not_valid_before(now - timedelta(days=900)).not_valid_after(now + timedelta(days=days))
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@cache
def weak(*, bits=0, curve: type[ec.EllipticCurve] = ec.SECP256R1, sha1=False, issuer="Root") -> bytes:
    """A certificate whose key is weak, or that claims to be signed with SHA-1 (RFC 8017 §A.2.4)."""
    bits = 2048 if sha1 else bits
    key = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(curve())
    who, by = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in ("csms.example", issuer))
    now = datetime.fromtimestamp(START // SECOND, UTC)
    builder = x509.CertificateBuilder().subject_name(who).issuer_name(by).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now - timedelta(9)).not_valid_after(now + timedelta(900))
    der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    sha256, old = (bytes.fromhex("06092a864886f70d0101") + end for end in (b"\x0b", b"\x05"))
    return der.replace(sha256, old) if sha1 else der


def chose(suite: int, version=0x0303, *, offered=(), compression=0, **changes) -> TlsConnection:
    hello = ClientHello("csms.example", (0x0304, 0x0303), offered or (suite, 0xC02B), (), b"r")
    chosen = ServerHello(version, suite, "", b"s", b"", compression)
    return replace(tls(client_hello=hello), server_hello=chosen, **changes)


def refused(code: int, *offered: int, **changes) -> TlsConnection:
    """A hello that the server answers with an alert alone."""
    hello = ClientHello("csms.example", (0x0303,), offered, (), b"r")
    return tls(chosen=0, client_hello=hello, alerts=alert(code, Side.CSMS), **changes)


def slow(seconds: float, version=0x0303) -> TlsConnection:
    made = chose(0xC02B, version, client_hello_ns=START, server_hello_ns=START + SECOND)
    end = START + int(seconds * SECOND)
    return replace(made, handshake_ns=end, server_hello_ns=end if version == 0x0304 else made.server_hello_ns)


def nameless(*alerts: TlsAlert) -> TlsConnection:
    return tls(sni="", alerts=alerts)


def tls(*, sni="csms.example", chosen=0x0303, server=(), client=(), data=False, **changes) -> TlsConnection:
    """A TLS 1.2 connection that ends after ten seconds."""
    hello = ClientHello(sni, (0x0303,), (0xC02B,), (), b"r")
    return TlsConnection(
        START + 10 * SECOND, Flow(STATION, Endpoint("10.0.0.9", 443)), START, 1,
        closed_ns=changes.pop("closed_ns", START + 10 * SECOND), client_hello=changes.pop("client_hello", hello),
        server_hello=ServerHello(chosen, 0xC02B, "", b"s") if chosen else None, certificates=(client, server),
        certificate_ns=changes.pop("certificate_ns", (START if client else None, START + SECOND if server else None)),
        application_ns=(START + 2 * SECOND, START + 2 * SECOND) if data else (None, None), **changes,
    )  # fmt: skip


def alert(code: int, side=Side.STATION, level=2) -> tuple[TlsAlert, ...]:
    return (TlsAlert(START + SECOND, side, level, code),)


def resent(share: int, segments=1000) -> TransportSide:
    return TransportSide(segments=segments, retransmitted=segments * share // 100)


def trips(seconds: float, count=100) -> TransportSide:
    return TransportSide(round_trips=RoundTrips(count, 1, int(seconds * SECOND), int(seconds * SECOND)))


def acted(what: str, text: str = "") -> PacketComment:
    """What the proxy wrote on a packet of a connection that was not recognised."""
    return PacketComment(START, 7, -1, Side.STATION, comment_of(Act(what, text)), -1, Flow(STATION, SERVER))


def said(text: str) -> PacketComment:
    """What somebody else wrote."""
    return PacketComment(START, 7, -1, Side.STATION, text)


LEFT = {"closed_ns": START + int(1.5 * SECOND), "closed_by": Side.STATION}
CA = certificate("Root", issuer="")
LEAF = certificate(issuer="Root", names=("csms.example",))
WILD = certificate(names=("*.example",))

FIRES: dict[str, list[tuple[object, list[Event]]]] = {
    "tcp-connect-refused": [
        (ERROR, [attempt()]), (ERROR, [attempt(attempts=5, syns=5, seconds=60)]), (ERROR, [*play(CALM), attempt()]),
    ],
    "tcp-connect-timeout": [
        (ERROR, [attempt(UNANSWERED, syns=3, seconds=7)]),
        (ERROR, [attempt(UNANSWERED, syns=2), attempt(UNANSWERED)]),
    ],
    "tcp-connect-no-data": [(WARNING, [*play(CALM), attempt(NO_DATA, seconds=5, by=Side.STATION)])],
    "tcp-retransmissions-high": [(WARNING, session(station=resent(3))), (ERROR, session(csms=resent(6)))],
    "tcp-rtt-high": [(NOTE, session(station=trips(1.5))), (WARNING, session(csms=trips(4)))],
    "tcp-zero-window": [(WARNING, session(csms=TransportSide(zero_window_ns=6 * SECOND)))],
    "tls-alert": [(ERROR, [tls(alerts=alert(code))]) for code in (*ALERTS, 99)],
    "tls-cert-expired": [
        (ERROR, [tls(server=(certificate(days=-1),))]), (WARNING, [tls(server=(certificate(days=10),))]),
        (ERROR, [tls(server=(LEAF, certificate("Root", days=-3)))]), (ERROR, [tls(alerts=alert(45))]),
    ],
    "tls-unknown-ca": [(ERROR, [tls(alerts=alert(48))]), (ERROR, [tls(server=(LEAF, CA), **LEFT)] * 2)],
    "tls-chain-incomplete": [(WARNING, [tls(server=(LEAF,))])],
    "tls-name-mismatch": [
        (ERROR, [tls(sni="other.example", server=(LEAF,))]), (ERROR, [tls(sni="a.b.example", server=(WILD,))]),
        (ERROR, [tls(sni="other", server=(certificate(),))]),
    ],
    "tls-version-low": [(WARNING, [tls(chosen=0x0301)]), (WARNING, [tls(chosen=0x0302)])],
    "tls-on-plain-port": [(ERROR, [tls(chosen=0, plain_reply=one)]) for one in PlainReply if one],
    "tls-undecryptable": [(NOTE, [tls(data=True)])],
    "tls-client-cert-identity": [(WARNING, [*play(CALM), tls(client=(certificate("SN-2"),))])],
    "tls-weak-cipher": [
        *((WARNING, [chose(suite)]) for suite in (0x0001, 0x0003, 0x0005, 0x0009, 0x000A, 0x0018, 0xC012)),
        (WARNING, [chose(0x002F, 0x0301)]), (WARNING, [chose(0xC02B, compression=1)]),
    ],
    "tls-no-common-cipher": [
        (ERROR, [refused(40, 0x002F, 0x0035)]), (ERROR, [refused(71, 0xC02B)]), (ERROR, [refused(40)]),
    ],
    "tls-client-cert-missing": [
        (ERROR, [tls(alerts=alert(116, Side.CSMS))]),
        (ERROR, [tls(certificate_requested=True, certificate_ns=(START, START))]),
    ],
    "tls-key-too-small": [
        (WARNING, [tls(server=(weak(bits=1024),))]), (WARNING, [tls(client=(weak(curve=ec.SECP192R1),))]),
        (WARNING, [tls(server=(LEAF, weak(sha1=True)))]),
    ],
    "tls-no-sni": [
        (NOTE, [nameless(*alert(112, Side.CSMS))]), (NOTE, [nameless(*alert(42))]), (NOTE, [nameless(*alert(48))]),
    ],
    "tls-handshake-slow": [(NOTE, [slow(6)]), (WARNING, [slow(16)]), (NOTE, [slow(6, 0x0304)])],
    "proxy-tls-failed": [(ERROR, [acted("tls-failed", "csms: certificate-expired: The certificate has expired.")])],
    "proxy-no-csms": [(ERROR, [acted("refused", "ws://10.0.0.9:9000 refuses connections")])],
    "proxy-not-recording": [(WARNING, [*play(CALM), acted("recording-paused", "bytes are missing")])],
    "proxy-interfered": [(NOTE, [acted(one)]) for one in sorted(INTERFERING)],
}  # fmt: skip

SILENT: dict[str, list[list[Event]]] = {
    "tcp-connect-refused": [
        [attempt(UNANSWERED)], [attempt(NO_DATA)],
        # somebody else's: the capture holds OCPP, and neither side has anything to do with it
        [*play(CALM), attempt(client=Endpoint("10.9.9.9", 1), server=Endpoint("10.9.9.8", 80))],
    ],
    "tcp-connect-timeout": [[attempt(UNANSWERED, syns=2)], [attempt(REFUSED, syns=5)]],
    "tcp-connect-no-data": [
        [attempt(NO_DATA, seconds=5)],  # of an address that is no station: a health check
        [*play(CALM), attempt(NO_DATA, seconds=61)],
    ],
    "tcp-retransmissions-high": [session(station=resent(2)), session(station=resent(50, segments=199)), play(CALM)],
    "tcp-rtt-high": [session(station=trips(0.9)), session(station=trips(5, count=19))],
    "tcp-zero-window": [session(csms=TransportSide(zero_window_ns=4 * SECOND))],
    "tls-alert": [[tls(alerts=alert(0, level=1))], [tls(alerts=(TlsAlert(START, Side.CSMS, None, None),))]],
    "tls-cert-expired": [[tls(server=(certificate(days=31),))], [tls(server=(b"no certificate",))]],
    "tls-unknown-ca": [
        [tls(server=(LEAF, CA), **LEFT)], [tls(server=(LEAF, CA), **LEFT, data=True)] * 3,
        [tls(server=(LEAF, CA), closed_ns=START + 4 * SECOND, closed_by=Side.STATION)] * 3,
    ],
    "tls-chain-incomplete": [
        [tls(server=(LEAF, CA))], [tls(server=(LEAF,), data=True)], [tls(server=(certificate(),))],
    ],
    "tls-name-mismatch": [
        [tls(server=(LEAF,))], [tls(sni="CSMS.example.", server=(LEAF,))], [tls(sni="a.example", server=(WILD,))],
        [tls(sni="", server=(LEAF,))],
    ],
    "tls-version-low": [[tls(chosen=0x0303)], [tls(chosen=0x0304)], [tls(chosen=0)]],
    "tls-on-plain-port": [[tls()]],
    "tls-undecryptable": [[tls()], [tls(data=True, decrypted=True)]],
    "tls-weak-cipher": [
        [chose(suite)] for suite in (0xC02B, 0x009C, 0x1301, 0xCCA8, 0xC0AE, 0xFEED, 0xC013)
    ],
    "tls-no-common-cipher": [
        [tls(alerts=alert(40, Side.CSMS))], [refused(42, 0xC02B)],
        [tls(chosen=0, alerts=alert(40, Side.STATION))],
    ],
    "tls-client-cert-missing": [
        [tls(certificate_requested=True)], [tls(client=(LEAF,), certificate_requested=True)],
        [replace(tls(data=True, certificate_requested=True), certificate_ns=(START, START))],
    ],
    "tls-key-too-small": [
        [tls(server=(LEAF, CA))], [tls(server=(weak(bits=2048),))], [tls(server=(b"none",))],
        [tls(server=(weak(sha1=True, issuer="csms.example"),))],
    ],
    "tls-no-sni": [[nameless()], [nameless(*alert(40))], [tls(alerts=alert(48))]],
    "tls-handshake-slow": [[slow(4)], [slow(0.1, 0x0304)], [tls()]],
    "tls-client-cert-identity": [
        [*play(CALM), tls(client=(certificate("SN-1"),))], [*play(CALM), tls(client=(certificate("CP-1"),))],
        [*play(CALM), tls()],
    ],
    "proxy-tls-failed": [[acted("tls", "station: TLSv1.3")], [said("proxy: tls-failed")]],
    "proxy-no-csms": [[acted("tls-failed", "csms: x: y")], [said("refused")]],
    "proxy-not-recording": [[acted("tls")]],
    "proxy-interfered": [[acted("tls"), acted("forwarded"), acted("rewritten")], [said("dropped")]],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "severity", "events"), [(r, s, e) for r, cases in FIRES.items() for s, e in cases])
def test_fires(rule, severity, events):
    found = [one for one in diagnosed(*events) if one.rule == rule]
    assert found
    assert max(one.severity for one in found) == severity
    assert all(one.evidence and one.text.endswith(".") for one in found)


@pytest.mark.parametrize(("rule", "events"), [(rule, events) for rule, cases in SILENT.items() for events in cases])
def test_silent(rule, events):
    assert not [one for one in diagnosed(*events) if one.rule == rule]


def test_a_browser_is_no_station():
    browser = tls(data=True, client_hello=ClientHello("shop.example", (0x0304,), (), ("h2", "http/1.1"), b"r"))
    assert not diagnosed(browser)
    assert diagnosed(replace(browser, client_hello=ClientHello("csms.example", (0x0304,), (), (), b"r")))


def test_attempts_before_the_session_belong_to_the_station_that_came_later():
    events = [attempt(seconds=-5), *play(CALM)]
    found = [
        one for one in diagnosed(*sorted(events, key=lambda one: one.time_ns)) if one.rule == "tcp-connect-refused"
    ]
    assert [one.station for one in found] == ["CP-1"]


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_any_bytes_are_a_certificate_or_none(data, at, value):
    parse(data)
    spoilt = bytearray(LEAF)
    spoilt[at % len(spoilt)] = value
    parse(bytes(spoilt))


def test_a_connection_without_tcp_says_nothing_of_it():
    assert isinstance(play(CALM)[0].connection, Connection)
    assert not [one for one in diagnosed(*play(CALM)) if one.rule.startswith("tcp-")]
