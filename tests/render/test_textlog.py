"""Lines of the text log: columns, widths, ids, problems, and hostile text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Endpoint,
    Event,
    ExchangeEnd,
    Flow,
    Handshake,
    Kind,
    Message,
    Outcome,
    Problem,
    Side,
    StreamGap,
    Version,
)
from ocppscope.render.palette import COLOURED
from ocppscope.render.textlog import MAX_FULL_LINES, MAX_PROBLEMS, Style, TextFormat, short_id
from ocppscope.render.times import ClockFormat
from ocppscope.render.wiretext import columns

NS = 1_795_348_800_000_000_000  # 2026-11-22 12:00:00 UTC
FLOW = Flow(Endpoint("10.0.0.1", 50000), Endpoint("10.0.0.2", 9000))
TEXT = b'[2,"a1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Charging"}]'


def message(text: bytes = TEXT, **changes: object) -> Message:
    fields = {"time_ns": NS, "connection": 0, "ordinal": 1, "side": Side.STATION, "kind": Kind.CALL, "id": "a1"}
    fields |= {"action": "StatusNotification", "text": text, "wire_size": 9, "packets": (4,)}
    return Message(**(fields | changes))


def upgrade(**changes: object) -> Handshake:
    fields = {"method": "GET", "target": "/CP-1", "station": "CP-1", "user": "", "request_headers": (), "key": "k"}
    fields |= {"websocket_version": "13", "offered_protocols": ("ocpp1.6",), "offered_extensions": ()}
    return Handshake(**(fields | {"requested_ns": NS, "status": 101, "protocol": "ocpp1.6"} | changes))


def connection(handshake: Handshake | None = None, **changes: object) -> Connection:
    fields = {"number": 0, "flow": FLOW, "opened_ns": NS, "first_packet": 1, "station": "CP-1"}
    fields |= {"version": Version.V16, "version_guessed": False, "handshake": handshake}
    return Connection(**(fields | changes))


def lines(*events: Event, style: Style | None = None, station: str = "CP-1") -> list[str]:
    form = TextFormat(style)
    form.seen(connection(station=station))
    bodies = [(event, form.event(event)) for event in events]
    number = [getattr(event, "connection", 0) for event in events]
    row = [isinstance(event, Message) or None for event in events]
    written = [
        form.line(row[at], number[at] if isinstance(number[at], int) else 0, event.time_ns, body)
        for at, (event, body) in enumerate(bodies)
        if body is not None
    ]
    return "".join(written).splitlines()


def test_a_line():
    answer = message(b'[3,"a1",{}]', side=Side.CSMS, kind=Kind.CALLRESULT, latency_ns=3_500_000, time_ns=NS + 10**9)
    called = "→ CALL       StatusNotification     a1                   89B  connector 1 Charging"
    assert lines(message(), answer) == [
        "-- 2026-11-22 (UTC)",
        f"12:00:00.000          #0 CP-1         {called}",
        "12:00:01.000  +1.00s  #0 CP-1         ← CALLRESULT StatusNotification     a1           3.5ms   11B",
    ]


def test_a_message_without_a_payload_shows_its_text():
    for text in (b"[2]", b'[2,"a1","Heartbeat"]', b"[3]", b"[4]", b"[]"):
        assert lines(message(text, kind=Kind(max(text[1] - 48, 0) if text[1:2].isdigit() else 0)))[1].endswith(
            text.decode()
        )


def test_a_new_day_has_a_line():
    shown = lines(message(), message(time_ns=NS + 12 * 3600 * 10**9))
    assert shown[2] == "-- 2026-11-23 (UTC)"
    assert not any(line.startswith("--") for line in lines(message(), style=Style(ClockFormat("ad", 3))))


def test_delta_formats_have_no_second_delta_column():
    shown = lines(message(), message(time_ns=NS + 10**9), style=Style(ClockFormat("dd", 3)))
    assert shown[1].startswith("    1.000  #0 CP-1 ")


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        (Outcome.LATE, "[LATE: after the timeout]"),
        (Outcome.ORPHAN, "[ORPHAN: no such CALL was seen]"),
        (Outcome.DUPLICATE, "[DUPLICATE: answered before]"),
        (Outcome.RESENT, "[RESENT: the same CALL again]"),
        (Outcome.REUSED_ID, "[REUSED ID: another CALL had it]"),
    ],
)
def test_unusual_outcomes_are_named(outcome, tag):
    assert tag in lines(message(outcome=outcome))[1]
    assert "[" not in lines(message(outcome=Outcome.PENDING))[1]


def test_problems_stand_below_with_their_code():
    problems = (Problem("ocpp.arity", "3 elements"), Problem("schema.type", "value is wrong", "/a/0/value"))
    assert lines(message(problems=problems))[2:] == [
        "    ! ocpp.arity  3 elements",
        "    ! schema.type  value is wrong (/a/0/value)",
    ]


def test_problems_are_bounded_unless_all_are_wanted():
    problems = tuple(Problem("ocpp.arity", str(number)) for number in range(100))
    assert len(lines(message(problems=problems))) == 2 + MAX_PROBLEMS + 1
    assert len(lines(message(b"x", problems=problems), style=Style(full=True))) == 2 + 100 + 1


def test_full_shows_the_json():
    assert lines(message(b'[2,"a","X",{"a":1}]'), style=Style(full=True))[2:5] == ["    [", "      2,", '      "a",']
    assert lines(message(b"[1\x1b"), style=Style(full=True))[2] == "    [1\\x1b"


def test_full_is_bounded():
    text = b"[" + b"1," * 100_000 + b"1]"
    shown = lines(message(text), style=Style(full=True))
    assert len(shown) == 2 + MAX_FULL_LINES + 1
    assert shown[-1] == f"    … ({len(text):,} bytes)"
    assert len(lines(message(b'["' + b"x" * 10**6 + b'"]'), style=Style(full=True))[2]) < 2100


def test_parts_that_were_lost_are_counted():
    problem = Problem("ws.context-lost", "x")
    shown = lines(message(b'\0\0\0[2,"a\0', kind=Kind.UNPARSED, action="", problems=(problem,)))[1]
    assert shown.endswith('[3 lost][2,"a[1 lost]')
    assert lines(message(b"\0", kind=Kind.UNPARSED))[1].endswith("\\0")


@pytest.mark.parametrize(
    ("id_", "expected"),
    [
        ("", ""),
        ("123456789012", "123456789012"),
        ("cd613e30-d8f1-4adf-91b7-584a2265b1f5", "cd613e30"),  # random
        ("cd613e30-d8f1-1adf-91b7-584a2265b1f5", "cd613e30"),  # by time, low bits first
        ("0197b3c5-d8f1-7adf-91b7-584a2265b1f5", "0197…65b1f5"),  # by time, high bits first
        ("00000000-0000-4000-0000-000000000001", "0000…000001"),
        ("station-message-0000017", "stat…000017"),
        ("\x1b" * 20, "\\x1b\\x1b\\x1b\\x1b…" + "\\x1b" * 6),
    ],
)
def test_ids_are_shortened_where_they_differ(id_, expected):
    assert short_id(id_) == expected


@pytest.mark.parametrize("width", [80, 100, 105, 120, 150, 200])
@pytest.mark.parametrize("station", ["CP-1", "CP-WITH-A-LONG-NAME-OF-FORTY-EIGHT-CHARACTERS-XX", "充电桩" * 12])
def test_lines_fit_a_terminal(width, station):
    text = b'[4,"a","GenericError","' + "é电x".encode() * 200 + b'",{}]'
    events = [
        message(text, kind=Kind.CALLERROR, outcome=Outcome.LATE, problems=(Problem("json.syntax", "y" * 300),)),
        ConnectionOpened(NS, connection(upgrade(reason="z" * 300, status=404), station=station)),
        StreamGap(NS, 0, Side.STATION, 5, "w" * 300),
    ]
    for line in lines(*events, style=Style(width=width), station=station):
        assert columns(line) <= width


def test_colours_are_closed_on_their_line():
    events = [
        message(b'[4,"a","GenericError","",{}]', kind=Kind.CALLERROR, problems=(Problem("json.syntax", "y"),)),
        ConnectionOpened(NS, connection(upgrade())),
        StreamGap(NS, 0, Side.STATION, 5, "w"),
    ]
    for line in lines(*events, style=Style(palette=COLOURED)):
        assert line.count("\x1b[") >= 2
        assert line.endswith("\x1b[0m") or "\x1b[" not in line.rpartition("\x1b[0m")[2]


HOSTILE = "\x1b]52;c;eA==\x07\u202e\x9b2J\n\ud800\0"


@given(st.text(max_size=30) | st.just(HOSTILE), st.binary(max_size=60))
def test_nothing_from_the_wire_reaches_the_terminal_as_more_than_text(text, data):
    handshake = upgrade(target=text, station=text, user=text, protocol=text, reason=text, body=text)
    refused = upgrade(status=401, reason=text, body=text, offered_protocols=(text,))
    problem = Problem("json.syntax", text, f"/{text}/{text}")
    events = [
        message(data, id=text, action=text, problems=(problem,)),
        message(data, id=text, action=text, kind=Kind.UNPARSED),
        ConnectionOpened(NS, connection(handshake, station=text, problems=(problem,))),
        ConnectionOpened(NS, connection(refused, station=text)),
        ControlFrame(NS, 0, Side.STATION, 8, data, (1,), 1000, text),
        ControlFrame(NS, 0, Side.STATION, 9, data, (1,)),
        StreamGap(NS, 0, Side.CSMS, 3, text),
        ExchangeEnd(NS, 0, 0, Side.STATION, text, text, Outcome.OPEN, 5),
        ConnectionClosed(NS, connection(handshake, close_how="close frame", close_reason=text, close_code=4000)),
    ]
    for full in (False, True):
        form = TextFormat(Style(full=full, pings=True))
        form.seen(connection(station=text))
        for event in events:
            body = form.event(event)
            assert body is not None
            written = form.line(None, 0, event.time_ns, body)
            assert all(line.isprintable() for line in written.split("\n"))


def test_the_ends_of_connections():
    ended = connection(
        upgrade(), closed_by=Side.CSMS, close_how="close frame", close_code=1001, close_reason="bye", messages=(2, 3)
    )
    end = ExchangeEnd(NS, 0, 0, Side.STATION, "a1", "Heartbeat", Outcome.TIMEOUT, 45 * 10**9)
    shown = lines(end, ConnectionClosed(NS + 2 * 10**9, ended))
    assert (
        "→ TIMEOUT    Heartbeat              a1           no answer within the timeout, 45.0s after the CALL"
        in shown[1]
    )
    assert shown[2].endswith(
        "← CLOSED     by the CSMS, Close 1001 (going away) \"bye\", after 2.00s, messages: 2 from the station, "
        "3 from the CSMS, without answer: Heartbeat"
    )  # fmt: skip
    still = ConnectionClosed(NS, connection(upgrade(), close_how="end of capture"))
    assert "END        still open when the capture ends" in lines(still)[1]


def test_problems_of_a_connection_are_told_once():
    problem, later = Problem("http.protocol-missing", "none"), Problem("ws.no-close-frame", "no Close")
    opened = ConnectionOpened(NS, connection(upgrade(), problems=(problem,)))
    closed = ConnectionClosed(NS, connection(upgrade(), problems=(problem, later)))
    form = TextFormat()
    first, second = form.event(opened), form.event(closed)
    assert first is not None
    assert "http.protocol-missing" in first
    assert second is not None
    assert "http.protocol-missing" not in second
    assert "ws.no-close-frame" in second


def test_pings_are_shown_on_request():
    ping = ControlFrame(NS, 0, Side.STATION, 9, b"hi", (1,))
    assert lines(ping) == []
    assert lines(ping, style=Style(pings=True))[1].endswith("→ PING       hi")
