"""The redactor as those see it who write exports: events, words, what it counts, and what it refuses."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from conversation import play
from ocppscope.acts import Act, act_of, comment_of
from ocppscope.errors import UsageError
from ocppscope.model import (
    AttemptOutcome,
    ClientHello,
    ConnectAttempt,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Encryption,
    Endpoint,
    ExchangeEnd,
    Flow,
    Handshake,
    Kind,
    Message,
    Outcome,
    PacketComment,
    Problem,
    Side,
    StreamGap,
    TlsAlert,
    TlsConnection,
    Transport,
    TransportSide,
    Version,
)
from ocppscope.redaction import known, leaks, pseudonyms
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor

KEY = b"k" * 32
FLOW = Flow(Endpoint("10.1.2.3", 40_000), Endpoint("81.2.3.4", 9000))
HOUR = 3_600_000_000_000
PLANTED = ("CP-0815", "10.1.2.3", "81.2.3.4", "acme", "Q7xW9pK2", "joe@", "04A1B2C3", "hunter")


def handshake() -> Handshake:
    return Handshake(
        "GET",
        "/ocpp/CP-0815?token=Q7xW9pK2",
        "CP-0815",
        "CP-0815",
        (
            ("Host", "csms.acme.com"),
            ("Authorization", "Basic CP-0815:*** (16 bytes)"),
            ("X-Forwarded-For", "10.1.2.3"),
        ),
        "dGhlIHNhbXBsZSBub25jZQ==",
        "13",
        ("ocpp1.6", "Q7xW9pK2mL4vB8nZ_5"),
        (),
        5,
        (1,),
        401,
        "Unauthorized joe@acme.de",
        (("Set-Cookie", "a=Q7xW9pK2"), ("Server", "nginx")),
        body="password=hunter22 for CP-0815",
        answered_ns=7,
        problems=(Problem("http.user-not-identity", "the Basic user is not the station identity of the path"),),
    )


def connection() -> Connection:
    side = TransportSide(last_ns=9, fin_ns=9)
    return Connection(
        0, FLOW, 3, 1, "CP-0815", Version.V16, False, handshake(), closed_ns=9, close_reason="bye CP-0815",
        transport=Transport((side, side), syn_ns=1), tls=Encryption(0x303, 1, "csms.acme.com"),
    )  # fmt: skip


EVENTS = [
    ConnectionOpened(3, connection()),
    Message(
        4,
        0,
        0,
        Side.STATION,
        Kind.CALL,
        "CP-0815:1",
        "Authorize",
        b'[2,"CP-0815:1","Authorize",{"idTag":"04A1B2C3"}]',
        60,
        (4,),
        problems=(Problem("schema.additional", "no such element", "/joe@acme.de"),),
    ),
    ExchangeEnd(4, 0, 0, Side.STATION, "CP-0815:1", "Authorize", Outcome.TIMEOUT, 5),
    ControlFrame(5, 0, Side.STATION, 9, b"CP-0815", (5,)),
    ControlFrame(5, 0, Side.STATION, 10, b"\xff\xfe\x00", (5,)),
    ControlFrame(5, 0, Side.CSMS, 8, b"\x03\xf0bye 04A1B2C3", (5,), 1008, "bye 04A1B2C3"),
    StreamGap(5, 0, Side.STATION, 10, "lost before CP-0815"),
    ConnectAttempt(6, 1, 2, FLOW, AttemptOutcome.REFUSED, 1),
    TlsConnection(
        7,
        FLOW,
        1,
        1,
        client_hello=ClientHello("csms.acme.com", (), (), (), b"r"),
        certificates=((b"DER",), ()),
        alerts=(TlsAlert(5, Side.STATION, 2, 40),),
        reply="hello CP-0815",
    ),
    PacketComment(8, 1, 0, Side.STATION, "look at “04A1B2C3”", flow=FLOW),
    PacketComment(8, 1, 0, Side.STATION, comment_of(Act("dropped", "by the rule for CP-0815"))),
    ConnectionClosed(9, connection()),
]


@pytest.mark.parametrize("at", range(len(EVENTS)))
def test_nothing_that_was_planted_is_in_an_event(at):
    one = Redactor(Policy(KEY))
    shown = [one.event(event) for event in EVENTS][at]
    assert type(shown) is type(EVENTS[at])
    assert [word for word in PLANTED if word in repr(shown)] == []


def test_what_does_not_name_anybody_stays():
    one = Redactor(Policy(KEY))
    shown = [one.event(event) for event in EVENTS]
    first = shown[0].connection.handshake
    assert (first.station, first.user) == (one.station("CP-0815"),) * 2
    assert first.target == f"/ocpp/{one.station('CP-0815')}?***"
    assert first.request_headers[1] == ("Authorization", f"Basic {first.user}:*** (18 bytes)")
    assert (first.method, first.key, first.status, first.problems) == (
        "GET",
        handshake().key,
        401,
        handshake().problems,
    )
    assert first.response_headers[1] == ("Server", "nginx")
    assert shown[1].id == shown[2].id == f"{one.station('CP-0815')}:1"
    assert shown[1].problems[0].path == "/***"
    assert shown[3].payload.decode() == one.station("CP-0815")
    assert len(shown[4].payload) == 3
    assert (shown[5].close_code, shown[5].payload[:2]) == (1008, b"\x03\xf0")
    assert shown[5].payload[2:].decode() == shown[5].close_reason
    assert shown[7].flow.client.address == one.address("10.1.2.3")
    assert shown[8].certificates == ((), ())
    assert act_of(shown[10].text).what == "dropped"
    assert shown[11].connection.close_reason == f"bye {one.station('CP-0815')}"


def test_bytes_of_a_control_frame_become_others_that_are_no_text():
    """Nothing in them looks like anything, however they are drawn: an export would be refused for it."""
    at = Redactor(Policy(KEY))
    shown = {}
    for number in range(20_000):
        for payload in (b"\xff" + number.to_bytes(3, "big"), b"\xff" + bytes(number % 100)):
            found = at.event(ControlFrame(5, 0, Side.STATION, 9, payload, (5,))).payload
            assert len(found) == len(payload)
            assert shown.setdefault(payload, found) == found != payload
            assert set(found) <= set(range(0x80, 0xC0))
    assert len(set(shown.values())) > 20_000, "and hardly ever the same"


def test_times_are_shifted_in_every_event():
    one = Redactor(Policy(KEY, shift_ns=HOUR))
    still = Redactor(Policy(KEY))
    for event in EVENTS:
        moved, kept = one.event(event), still.event(event)
        assert moved.time_ns == event.time_ns + HOUR
        assert str(HOUR + 9)[:9] in repr(moved) or not isinstance(event, ConnectionClosed)
        assert kept.time_ns == event.time_ns
    shown = one.connection(connection())
    assert (shown.opened_ns, shown.closed_ns) == (3 + HOUR, 9 + HOUR)
    assert (shown.transport.syn_ns, shown.transport.sides[0].fin_ns) == (1 + HOUR, 9 + HOUR)
    assert shown.transport.ack_ns is None
    assert (shown.handshake.requested_ns, shown.handshake.answered_ns) == (5 + HOUR, 7 + HOUR)
    assert one.time(5) == 5 + HOUR


def test_stations_known_by_their_address():
    one = Redactor(Policy(KEY))
    shown = one.connection(replace(connection(), station="10.1.2.3", handshake=None))
    assert shown.station == shown.flow.client.address == one.address("10.1.2.3")


def test_without_equipment_and_network():
    one = Redactor(Policy(KEY, equipment=False, network=False))
    shown = one.connection(connection())
    assert (shown.station, shown.flow, shown.tls.server_name) == ("CP-0815", FLOW, "csms.acme.com")
    assert "Q7xW9pK2" not in repr(shown)


WORDS = [
    ("Station CP-0815 used 04a1b2c3.", "Station {cp} used {tag}."),
    ("“CP-0815”", "“{cp}”"), ("CP-0815", "{cp}"), ("CP-08151", "CP-08151"), ("XCP-0815", "XCP-0815"),
    ("diag_CP-0815_04A1B2C3.zip", "diag_{cp}_{TAG}.zip"), ("cost is 12.50 at 10:00", "cost is 12.50 at 10:00"),
    ("Test", "Test"), ("tag 'Test' was used", "tag '{Test}' was used"), ("Test your station", "Test your station"),
    ("write joe@acme.de", "write ***"), ("pin=1234 key: abc", "pin=*** 1-7 key: *** 1-7"), ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), WORDS, ids=range(len(WORDS)))
def test_words(text, shown):
    one = Redactor(Policy(KEY))
    for event in EVENTS:
        one.event(event)
    call = b'[2,"2","Authorize",{"idTag":"Test"}]'
    one.message_text(call, version=Version.V16, kind=Kind.CALL, action="Authorize")
    tag = one.words("04A1B2C3")
    names = {"cp": one.station("CP-0815"), "tag": tag.lower(), "TAG": tag, "Test": one.words("'Test'").strip("'")}
    if text == "Test":
        assert one.words(text) == names["Test"]
    else:
        assert one.words(text) == shown.format(**names)


def test_the_tally_names_what_was_redacted():
    one = Redactor(Policy(KEY))
    for event in EVENTS:
        one.event(event)
    tally = one.tally()
    assert tally["driver token"] >= 1
    assert tally["equipment"] >= 1
    assert all(count > 0 for count in tally.values())
    assert Redactor(Policy(KEY)).tally() == {}


def test_leaks_are_found_and_not_repeated():
    one = Redactor(Policy(KEY))
    for event in EVENTS:
        one.event(event)
    text = "tag 04a1b2c3, host 10.1.2.3, mail joe@acme.de, then hunter22 and CP-0815."
    found = one.leaks(text)
    assert [leak.kind for leak in found] == [
        "driver token",
        "network",
        "e-mail address",
        "password or key",
        "equipment",
    ]
    assert [text[leak.offset :][:3] for leak in found] == ["04a", "10.", "joe", "hun", "CP-"]
    assert all(word not in leak.excerpt for leak in found for word in (*PLANTED, "04a1b2c3"))


@pytest.mark.parametrize(
    ("token", "telling"),
    [
        ("123456", False), ("12345678", True), ("a1b2", True), ("mustermann", True), ("charger", False),
        ("not set", False), ("front-door", False), ("csms.acme.com", True), ("p@ssword", True),
        ("Have a nice day", False),
    ],
)  # fmt: skip
def test_what_is_a_leak_wherever_it_stands(token, telling):
    assert leaks.is_telling(token) == telling


def test_a_short_number_or_plain_words_do_not_stop_an_export():
    one = Redactor(Policy(KEY))
    for text in (
        b'[2,"1","Authorize",{"idTag":"123456"}]',
        b'[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"not set"}]',
        b'[2,"1","UpdateFirmware",{"location":"ftp://h.de/firmware-update/x","retrieveDate":"2026-01-01T00:00:00Z"}]',
    ):
        one.message_text(text, version=Version.V16, kind=Kind.CALL, action="")
    assert one.leaks("row 123456: not set, see firmware-update") == []
    assert "123456" not in one.words("the tag 123456 is not known")


def test_what_was_redacted_is_no_leak():
    one = Redactor(Policy(KEY))
    shown = " ".join(repr(one.event(event)) for event in EVENTS)
    assert one.leaks(shown) == []
    words = one.words("at 10.7.7.7 and 00:1b:44:11:3a:b7 and DE8AA1B2C3D4E5 and 2a01:4f8::1")
    assert one.leaks(words) == []


def test_many_leaks_are_bounded(monkeypatch):
    monkeypatch.setattr(leaks, "MAX_LEAKS", 10)
    assert len(Redactor(Policy(KEY)).leaks("joe@acme.de " * 1000)) == 10


def test_too_much_to_remember_is_refused(monkeypatch):
    monkeypatch.setattr(known, "MAX_KNOWN", 20)
    monkeypatch.setattr(pseudonyms, "MAX_KNOWN", 20)
    one = Redactor(Policy(KEY))

    def send(number: int) -> None:
        text = f'[2,"1","Authorize",{{"idTag":"TAG{number:05}"}}]'.encode()
        one.message_text(text, version=Version.V16, kind=Kind.CALL, action="Authorize")

    for number in range(20):
        send(number)
    send(3)
    with pytest.raises(UsageError, match="different identifiers"):
        send(21)


def test_secrets_are_bounded_too(monkeypatch):
    monkeypatch.setattr(known, "MAX_KNOWN", 5)
    one = Redactor(Policy(KEY))
    for number in range(5):
        one.words(f"password=geheim{number:05}")
    with pytest.raises(UsageError, match="secrets"):
        one.words("password=geheim00009")


def test_a_conversation_goes_through():
    text = (
        "-- 2026-11-22 (UTC)\n10:00:00.000 CP-1 → OPEN ocpp1.6\n"
        '10:00:01.000 CP-1 → [2,"1","Authorize",{"idTag":"04A1B2C3"}]\n'
        '10:00:01.100 CP-1 ← [3,"1",{"idTagInfo":{"status":"Accepted","parentIdTag":"04A1B2C3"}}]\n'
    )
    one = Redactor(Policy(KEY))
    shown = [one.event(event) for event in play(text)]
    call, answer = (event for event in shown if isinstance(event, Message))
    tag = one.words("04A1B2C3")
    assert tag.encode() in call.text
    assert tag.encode() in answer.text
    assert b"04A1B2C3" not in call.text + answer.text
