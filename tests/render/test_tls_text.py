"""TLS connections as text and JSON: their line, their details, their rhythm, and what may be OCPP at all."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ocppscope.batch import Batch
from ocppscope.model import (
    ClientHello,
    Endpoint,
    Flow,
    PlainReply,
    Problem,
    ServerHello,
    Side,
    TlsAlert,
    TlsConnection,
    TlsRhythm,
)
from ocppscope.render import stations, tls
from ocppscope.render.jsonl import JsonlFormat, tls_line
from ocppscope.render.palette import COLOURED, PLAIN
from ocppscope.render.textlog import Style, TextFormat
from ocppscope.tlsnames import ALERTS, alert_name, suite_name, suite_parts, version_name
from support_cli import CAPTURES, run

SECOND = 1_000_000_000
START = 1_795_348_800 * SECOND
EVIL = "\x1b[31mcsms\u202e\n"


@cache
def certificate(
    name: str = "csms.example", *, issuer: str = "", days: int = 30, names: tuple[str, ...] = ()
) -> bytes:
    key = ec.derive_private_key(777, ec.SECP256R1())
    who, by = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in (name, issuer or name))
    now = datetime.fromtimestamp(START // SECOND, UTC)
    builder = x509.CertificateBuilder().subject_name(who).issuer_name(by).public_key(key.public_key())
    builder = builder.serial_number(9).not_valid_before(now - timedelta(99)).not_valid_after(now + timedelta(days))
    if names:
        listed = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(listed, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


HELLO = ClientHello("csms.example", (0x0304, 0x0303), (0xC02B, 0xFEED, 0x00FF), ("http/1.1",), b"r" * 32)
CHOSEN = ServerHello(0x0303, 0xC02B, "http/1.1", b"s" * 32)
WHOLE = TlsConnection(
    START + 302 * SECOND, Flow(Endpoint("10.0.0.5", 40_000), Endpoint("10.0.0.9", 443)), START, 1,
    closed_ns=START + 302 * SECOND, closed_by=Side.CSMS, close_how="FIN", client_hello=HELLO, server_hello=CHOSEN,
    client_hello_ns=START, server_hello_ns=START + SECOND // 100, certificate_ns=(None, START + SECOND // 100),
    certificates=(
        (), (certificate(issuer="Sub CA", names=("csms.example", "*.ev")), certificate("Sub CA", issuer="CA")),
    ),
    application_ns=(START + SECOND // 10, START + SECOND // 10), payload_bytes=(1234, 20_000),
)  # fmt: skip


def shown(one: TlsConnection, width: int = 0) -> str:
    return "".join(tls.lines(one, PLAIN, width))


def with_hello(**changes: object) -> TlsConnection:
    return replace(WHOLE, client_hello=replace(HELLO, **changes))


def with_choice(**changes: object) -> TlsConnection:
    return replace(WHOLE, server_hello=replace(CHOSEN, **changes))


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA"),
        (0x009D, "TLS_RSA_WITH_AES_256_GCM_SHA384"),
        (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
        (0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        (0xC0AE, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"),
        (0xCCA9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
        (0x00FF, "EMPTY_RENEGOTIATION_INFO_SCSV"),
        (0xFEED, "0xFEED"),
    ],
)
def test_names_of_suites(number, name):
    assert suite_name(number) == name
    assert (suite_parts(number) is None) == (number in (0xFEED, 0x00FF))


def test_names_of_versions_and_alerts():
    assert [version_name(one) for one in (0x0303, 0x0304, 0x0399)] == ["TLS 1.2", "TLS 1.3", "0x0399"]
    assert [alert_name(one) for one in (48, 201)] == ["unknown_ca", "alert 201"]
    assert all(re.fullmatch("[a-z_]+", name) and meaning for name, meaning in ALERTS.values())


# --- in a line ------------------------------------------------------------------------------------------------------


def test_a_line():
    assert tls.words_of(WHOLE) == (
        "csms.example, TLS 1.2 ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, certificate csms.example until 2026-12-22, "
        "ended by the server, FIN, after 5m02s, 1234B from the client, 20.0K from the server"
    )


PARTS = [
    (replace(WHOLE, resumed=True), "GCM_SHA256, resumed"),
    (replace(WHOLE, client_hello=None), "no server name, TLS 1.2"),
    (replace(WHOLE, server_hello=None), "csms.example, no answer to its hello"),
    (replace(WHOLE, client_hello=None, server_hello=None), "no server name, found in its middle"),
    (with_choice(alpn="h2"), "GCM_SHA256, HTTP/2"),
    (replace(WHOLE, alerts=(TlsAlert(START, Side.STATION, 2, 48),)), "client: fatal alert unknown_ca, ended"),
    (replace(WHOLE, alerts=(TlsAlert(START, Side.CSMS, None, None),)), "server: an encrypted alert, ended"),
    (replace(WHOLE, closed_ns=None, closed_by=None, close_how="end of capture"), "still open when the capture ends"),
    (replace(WHOLE, closed_ns=None, closed_by=None, close_how="let go"), "let go after 5m02s"),
    (
        replace(WHOLE, plain_reply=PlainReply.HTTP, reply="HTTP/1.1 400 Bad Request\r\nX: y"),
        'plain HTTP in answer to TLS (wss to a ws port): "HTTP/1.1 400 Bad Request",',
    ),
    (replace(WHOLE, plain_reply=PlainReply.TLS), "TLS in answer to a plain request (ws to a wss port)"),
    (replace(WHOLE, certificates=((certificate("CP-1"),), ())), "client certificate CP-1, ended"),
    (
        replace(WHOLE, certificate_ns=(START, START), certificate_requested=True),
        "no client certificate although one was asked for",
    ),
]


@pytest.mark.parametrize(("one", "words"), PARTS, ids=[words for _, words in PARTS])
def test_parts_of_a_line(one, words):
    assert words in tls.words_of(one)
    assert words.partition(",")[0] in tls.line(one, PLAIN)


def test_a_line_is_cut_and_coloured():
    failed = replace(WHOLE, alerts=(TlsAlert(START, Side.STATION, 2, 48),))
    assert len(tls.line(failed, PLAIN, 80)) == 81
    assert COLOURED.odd in tls.line(failed, COLOURED)
    assert COLOURED.odd not in tls.line(WHOLE, COLOURED)


def test_the_log_has_a_line_of_it():
    form = TextFormat(Style())
    body = form.event(WHOLE)
    assert body is not None
    assert (
        form.line(None, -1, WHOLE.time_ns, body)
        .split("TLS", 1)[1]
        .strip()
        .startswith("10.0.0.5:40000 → 10.0.0.9:443")
    )
    assert form.event(replace(WHOLE, decrypted=True)) is None


# --- in full --------------------------------------------------------------------------------------------------------

DETAILS = [
    (WHOLE, "offered      asks for csms.example; TLS 1.3, TLS 1.2; ALPN http/1.1"),
    (WHOLE, "suites TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 0xFEED EMPTY_RENEGOTIATION_INFO_SCSV"),
    (WHOLE, "chosen       TLS 1.2, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ALPN http/1.1, after 10ms"),
    (WHOLE, "server cert. CN=csms.example\n               for csms.example *.ev"),
    (WHOLE, "issued by CN=Sub CA; EC 256 bits, signed with sha256\n               valid 2026-08-15 to 2026-12-22"),
    (WHOLE, "issuer 1   CN=Sub CA"),
    (WHOLE, "client cert. not asked for (no security profile 3)"),
    (WHOLE, "end          ended by the server, FIN, after 5m02s"),
    (WHOLE, "content      encrypted; `docs/tls.md` says how to get keys"),
    (replace(WHOLE, decrypted=True), "content      decrypted with its keys"),
    (with_hello(server_name="", alpn=()), "names no server (no SNI); TLS 1.3, TLS 1.2; no ALPN"),
    (with_hello(suites=tuple(range(0x100, 0x200))), "and 232 more"),
    (replace(WHOLE, hello_retry=True), "HelloRetryRequest"),
    (with_choice(version=0x0304, suite=0x1301), "encrypted, as TLS 1.3 sends them"),
    (with_choice(compression=1), "compression method 1"),
    (with_choice(alpn="h2"), "WebSockets over HTTP/2 (RFC 8441) are not decoded"),
    (
        replace(with_hello(alpn=("h2",)), server_hello=replace(CHOSEN, version=0x0304, alpn="")),
        "WebSockets over HTTP/2 (RFC 8441) are not decoded",
    ),
    (replace(WHOLE, client_hello=None), "offered      not in the capture"),
    (replace(WHOLE, server_hello=None), "chosen       none in the capture"),
    (replace(WHOLE, certificates=((), (b"junk",))), "4 bytes that are no certificate"),
    (replace(WHOLE, certificates=((), (certificate(days=-1),))), "issued by itself"),
    (replace(WHOLE, certificates=((), (certificate(days=-1),))), "to 2026-11-21 (over)"),
    (replace(WHOLE, time_ns=START - 200 * 86_400 * SECOND), "(not yet)"),
    (replace(WHOLE, resumed=True, certificate_ns=(None, None), certificates=((), ())), "when a session is resumed"),
    (replace(WHOLE, certificate_requested=True, certificate_ns=(START, START)), "asked for, and none was given"),
    (replace(WHOLE, certificate_requested=True), "asked for; no answer in the capture"),
    (replace(WHOLE, certificates=((certificate("CP-1"),), ())), "client cert. CN=CP-1"),
    (
        replace(WHOLE, alerts=(TlsAlert(START + SECOND, Side.STATION, 2, 48),)),
        "client: fatal alert unknown_ca: it does not know who issued the certificate of the other side: the root is "
        "missing, after 1.00s",
    ),
    (replace(WHOLE, problems=(Problem("tls.oversize", "Too long."),)), "! tls.oversize  Too long."),
    (
        replace(WHOLE, application_ns=(None, None), records=(3, 2)),
        "none seen; 3 records of the client, 2 of the server",
    ),
    (replace(WHOLE, lost_bytes=(0, 77)), "77 bytes of the handshake are missing in the capture"),
]


@pytest.mark.parametrize(("one", "words"), DETAILS, ids=[words[:50] for _, words in DETAILS])
def test_details(one, words):
    assert words in shown(one)


def test_a_connection_that_is_in_its_middle_says_nothing_it_does_not_know():
    text = shown(
        replace(WHOLE, client_hello=None, server_hello=None, certificates=((), ()), certificate_ns=(None, None))
    )
    assert "cert" not in text
    assert "chosen       not in the capture" in text


def test_an_http2_offer_in_tls_12_that_was_not_taken_up_is_none():
    assert "HTTP/2" not in shown(replace(with_hello(alpn=("h2", "http/1.1"))))


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_is_not_overrun(width):
    assert max(map(len, shown(WHOLE, width).splitlines())) <= width


# --- rhythm ---------------------------------------------------------------------------------------------------------


def rhythm(*beats: tuple[float, int]) -> TlsRhythm:
    """Segments that broke a quiet: seconds after the one before, and size."""
    at, latest = START, []
    for seconds, size in beats:
        at += int(seconds * SECOND)
        latest.append((at, size, int(seconds * SECOND)))
    return TlsRhythm(len(latest), tuple(latest), at)


SILENT = TlsRhythm()


def rhythmic(client: TlsRhythm, server: TlsRhythm = SILENT, *, after: float = 1, **changes: object) -> list[str]:
    end = max(client.last_ns or START, server.last_ns or START) + int(after * SECOND)
    changes = {"time_ns": end, "closed_ns": end, **changes}
    return list(tls.rhythm_words(replace(WHOLE, rhythm=(client, server), **changes)))


BEAT = "the client sends 97-99 bytes every 5m00s (5 times seen)"
RHYTHMS = [
    (rhythm(*[(300 + at / 10, 97 + at % 3) for at in range(5)]), [BEAT]),
    (rhythm(*[(299, 97), (60, 400), (240, 98), (60.5, 402), (239, 99), (60, 399), (240, 97), (300, 97)]), [BEAT]),
    (rhythm((3, 97), (9, 98), (90, 97)), [  # too few for a beat
        "the client spoke 3 times after a quiet of a second or more, lately with 97-98 bytes",
    ]),
    (rhythm(*[(2**at, 90) for at in range(8)]), [  # of one size, at any time
        "the client spoke 8 times after a quiet of a second or more, lately with 90 bytes",
    ]),
    (TlsRhythm(0, (), START), []),
]  # fmt: skip


@pytest.mark.parametrize(("client", "words"), RHYTHMS)
def test_rhythm(client, words):
    assert rhythmic(client) == words


def test_two_rhythms_of_one_side():
    beats = [(60, 300)] * 4
    mixed = rhythm(*[*beats, (60, 97)] * 4)
    assert [(beat.every_ns // SECOND, beat.least) for beat in tls.beats(mixed)] == [(300, 97), (60, 300)]


IDLE = [
    ({"client": TlsRhythm(0, (), START), "after": 900}, ["nothing was said in the 15m00s before it was closed"]),
    (
        {"client": TlsRhythm(0, (), START), "after": 900, "closed_ns": None},
        ["nothing was said in the 15m00s before the capture ends"],
    ),
    ({"client": TlsRhythm(0, (), START), "after": 4}, []),
    ({"client": TlsRhythm(), "after": 900}, []),
    (  # a close_notify after the quiet is not counted
        {"client": TlsRhythm(0, (), START), "server": rhythm((900, 31)), "after": 0.001},
        [
            "the server spoke once after a quiet of a second or more, lately with 31 bytes",
            "nothing was said in the 15m00s before it was closed",
        ],
    ),
    (
        {"client": TlsRhythm(0, (), START), "server": rhythm((900, 310)), "after": 0.001},
        ["the server spoke once after a quiet of a second or more, lately with 310 bytes"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), IDLE)
def test_idle_before_the_end(given, words):
    assert rhythmic(given.pop("client"), given.pop("server", TlsRhythm()), **given) == words


# --- what may be OCPP -----------------------------------------------------------------------------------------------


def test_what_may_be_ocpp():
    browser = with_hello(alpn=("h2", "http/1.1"))
    assert tls.may_be_ocpp(WHOLE, ())
    assert not tls.may_be_ocpp(browser, ())
    assert tls.may_be_ocpp(browser, {"10.0.0.9"})
    assert tls.may_be_ocpp(WHOLE, {"10.0.0.5"})
    assert not tls.may_be_ocpp(WHOLE, {"10.9.9.9"})


# --- untrusted text -------------------------------------------------------------------------------------------------


@given(st.text(max_size=300), st.text(max_size=300))
def test_nothing_from_the_wire_reaches_a_terminal_as_it_is(name, protocol):
    hostile = replace(
        WHOLE,
        client_hello=replace(HELLO, server_name=EVIL + name, alpn=(protocol + EVIL,)),
        server_hello=replace(CHOSEN, alpn=protocol),
        plain_reply=PlainReply.NONE,
    )
    for text in (
        shown(hostile),
        tls.line(hostile, PLAIN),
        shown(replace(hostile, plain_reply=PlainReply.OTHER, reply=name)),
    ):
        assert all(line.isprintable() for line in text.split("\n"))


def test_names_of_a_certificate_are_shown_as_text():
    evil = replace(WHOLE, certificates=((certificate(EVIL),), (certificate(EVIL, issuer="\x1b]52;c;x\x07"),)))
    for text in (shown(evil), tls.line(evil, PLAIN)):
        assert all(line.isprintable() for line in text.split("\n"))


@given(st.binary(max_size=300), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_any_certificate_and_any_number_is_shown(der, version, suite):
    one = replace(
        WHOLE, certificates=((der,), (der, der)), server_hello=replace(CHOSEN, version=version, suite=suite)
    )
    assert shown(one)
    assert json.loads(tls_line(one))["certificates"]


# --- jsonl ----------------------------------------------------------------------------------------------------------


def test_a_row():
    form = JsonlFormat()
    body = form.event(
        replace(WHOLE, rhythm=(rhythm((300, 97)), TlsRhythm()), alerts=(TlsAlert(START, Side.CSMS, 2, 40),))
    )
    assert body is not None
    row = json.loads(form.line(None, -1, WHOLE.time_ns, body))
    assert list(row) == [
        "type", "connection", "time_ns", "station", "client", "server", "decrypted", "opened_ns", "closed_ns",
        "closed_by", "close_how", "hello", "chosen", "hello_retry", "resumed", "plain_reply", "certificates",
        "certificate_requested", "alerts", "handshake_ns", "application_ns", "payload_bytes", "quiets", "lost_bytes",
        "problems",
    ]  # fmt: skip
    assert (row["type"], row["connection"], row["closed_by"]) == ("tls", -1, "server")
    assert row["hello"]["versions"] == ["TLS 1.3", "TLS 1.2"]
    assert row["chosen"]["suite"] == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert row["alerts"] == [{"time_ns": START, "from": "server", "level": 2, "description": 40}]
    assert row["quiets"] == {
        "client": [{"time_ns": START + 300 * SECOND, "bytes": 97, "quiet_ns": 300 * SECOND}], "server": [],
    }  # fmt: skip
    assert [len(row["certificates"][peer]) for peer in tls.PEERS] == [0, 2]
    assert json.loads(tls_line(WHOLE))["payload_bytes"] == {"client": 1234, "server": 20_000}


# --- whole ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "tls/t12_mtls.pcap",
            ["client cert. CN=client", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "issued by CN=testca"],
        ),
        ("tls/t13_aes128gcm.pcap", ["TLS_AES_128_GCM_SHA256", "encrypted, as TLS 1.3 sends them"]),
        ("tls/t12_resume_ticket.pcap", ["an earlier session resumed", "server cert. CN=server"]),
    ],
)
def test_captures_without_their_keys(shared, name, words):
    details = run("stations", "--handshake", shared / name)
    assert [word for word in words if word not in details.out] == []
    listed = run("stations", shared / name)
    assert listed.lines[0].startswith("TLS  ")
    rows = [json.loads(line) for line in run("stations", "--format", "jsonl", shared / name).lines]
    assert {row["type"] for row in rows} == {"tls"}
    assert len(listed.lines) == len(rows) + 1
    log = [json.loads(line) for line in run("log", "--events", "--format", "jsonl", shared / name).lines]
    assert [row["client"] for row in sorted(log, key=lambda row: row["opened_ns"])] == [row["client"] for row in rows]
    assert run("log", shared / name).out.count(" TLS ") == 2 * len(rows)  # the kind, and the version


@pytest.mark.parametrize("form", [[], ["--events", "--format", "jsonl"]], ids=["text", "jsonl"])
def test_processes_tell_the_same(shared, form):
    path = shared / "tls" / "t13_resume.pcap"
    assert run("log", *form, "--jobs", "2", path).out == run("log", *form, path).out != ""


def test_many_connections_are_bounded(monkeypatch):
    monkeypatch.setattr(stations, "MAX_TLS", 3)
    report, batch = stations.Stations(), Batch()
    for at in range(10):
        batch.add(replace(WHOLE, first_packet=10 - at))
    report.take(batch)
    assert ([one.first_packet for one in report.tls], report.other_tls) == ([8, 9, 10], 7)
    assert "and 7 TLS connections that seem to be no OCPP" in "".join(stations.text(report))


def test_browsers_are_listed_where_there_is_nothing_else():
    browser = with_hello(alpn=("h2",))
    for events, listed in (([browser], 1), ([browser, WHOLE, browser], 1)):
        report, batch = stations.Stations(), Batch()
        for one in events:
            batch.add(one)
        report.take(batch)
        assert (len(report.tls), report.other_tls) == (listed, len(events) - listed)


def test_a_capture_without_tls_has_none():
    assert "TLS" not in run("stations", CAPTURES / "remote_start_stop.pcap").out
