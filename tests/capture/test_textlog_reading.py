"""Text logs: what `log --full` prints and what people write, read as the events that packets would have given."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conversation import play
from ocppscope.capture import textlog
from ocppscope.capture.entries import Answered, Asked, Closed, Controlled, Ended, Entry, Found, Lost, Said
from ocppscope.capture.messagelog import read_message_log
from ocppscope.capture.textlog import read_text_log
from ocppscope.errors import CaptureError
from ocppscope.model import (
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Event,
    ExchangeEnd,
    Flow,
    Kind,
    Message,
    Outcome,
    Side,
    StreamGap,
    Version,
)
from ocppscope.render.times import SECOND
from ocppscope.replay import replay
from support_cli import run as command
from support_engine import CAPTURES, SHARED, Run, sort
from support_engine import run as decode

STATION, CSMS = Side.STATION, Side.CSMS
DAY = 1_795_305_600 * SECOND  # 2026-11-22
TEN = DAY + 36_000 * SECOND
HEARTBEAT = '[2,"1","Heartbeat",{}]'


def read(*lines: str) -> list[Entry]:
    return list(read_text_log(["-- 2026-11-22", *lines]))


def one(line: str, *below: str) -> Entry:
    (entry,) = read(line, *below)
    return entry


def talk(text: str) -> Run:
    return sort(play(text))


def only_opened(text: str):
    (connection,) = talk(text).opened
    return connection


# --- times ------------------------------------------------------------------------------------------------------

TIMES = [
    ("10:00:00.000", TEN),
    ("10:00:00", TEN),
    ("10:00:00.123456789", TEN + 123_456_789),
    ("10:00:00,25", TEN + SECOND // 4),
    ("2026-11-22 10:00:00.5", TEN + SECOND // 2),
    ("2026-11-22T10:00:00.5Z", TEN + SECOND // 2),
    ("2026-11-22T11:00:00+01:00", TEN),
    (str(TEN // SECOND), TEN),
    (f"{TEN // SECOND}.000001", TEN + 1000),
]


@pytest.mark.parametrize(("written", "time_ns"), TIMES)
def test_times(written: str, time_ns: int) -> None:
    assert one(f"{written} CP-1 → {HEARTBEAT}").time_ns == time_ns


def test_a_time_before_the_one_above_is_of_the_next_day() -> None:
    entries = read(*(f"{time} CP-1 → PING" for time in ("23:59:59", "00:00:01", "12:00:00", "11:00:00")))
    assert [(entry.time_ns - DAY) // SECOND for entry in entries] == [86_399, 86_401, 129_600, 212_400]


def test_a_time_little_before_the_one_above_is_out_of_order() -> None:
    first, second = read("10:00:00.010 CP-1 → PING", "10:00:00.000 CP-1 → PING")
    assert (first.time_ns, second.time_ns) == (TEN + 10_000_000, TEN)


def test_beside_a_span_no_day_is_made_up() -> None:
    entries = read("10:00:00.000 CP-1 → PING", "09:00:00.000 -1h00m CP-1 → PING")
    assert [entry.time_ns for entry in entries] == [TEN, TEN - 3600 * SECOND]


def test_a_date_line_sets_the_day() -> None:
    entries = read("10:00:00 A → PING", "-- 2026-11-21 (UTC)", "10:00:00 B → PING")
    assert [entry.time_ns for entry in entries] == [TEN, TEN - 86_400 * SECOND]


# --- who --------------------------------------------------------------------------------------------------------

WHO = [
    ("CP-1 → PING", "CP-1", None, STATION),
    ("CP-1 -> PING", "CP-1", None, STATION),
    ("CP-1 ← PING", "CP-1", None, CSMS),
    ("CP-1 <- PING", "CP-1", None, CSMS),
    ("#2 CP-1   → PING", "CP-1", 2, STATION),
    ("   +48ms #12 CP KNOWN/02  ← PING", "CP KNOWN/02", 12, CSMS),
    ("-3.1ms CP-1 → PING", "CP-1", None, STATION),
    ("+1d CP-1 → PING", "+1d CP-1", None, STATION),
    ("станция-1 → PING", "станция-1", None, STATION),
    ("\x1b[2m#3\x1b[0m CP-1 \x1b[36m→\x1b[0m PING", "CP-1", 3, STATION),
]


@pytest.mark.parametrize(("rest", "station", "number", "side"), WHO)
def test_who(rest: str, station: str, number: int | None, side: Side) -> None:
    entry = one(f"10:00:00.000 {rest}")
    assert (entry.station, entry.number, entry.side) == (station, number, side)
    assert entry.what == Controlled(9, b"")


def test_a_number_stands_for_its_station() -> None:
    assert [entry.station for entry in read("10:00:00 #1 CP-1 → PING", "10:00:01 #1 → PING")] == ["CP-1", "CP-1"]


# --- what -------------------------------------------------------------------------------------------------------

WHAT = [
    (HEARTBEAT, Said(HEARTBEAT.encode())),
    ("[2,", Said(b"[2,")),
    ("TEXT hello  there", Said(b"hello  there")),
    ("TEXT", Said(b"")),
    ("BINARY 00ff", Said(b"\0\xff", binary=True)),
    ("PING", Controlled(9, b"")),
    ('PING "abc"', Controlled(9, b"abc")),
    ("PONG      abc", Controlled(10, b"abc")),
    ("FRAME 11 x", Controlled(11, b"x")),
    ("CLOSE", Controlled(8, b"")),
    ("CLOSE 1000", Controlled(8, b"\x03\xe8")),
    ('CLOSE 1000 "bye"', Controlled(8, b"\x03\xe8bye")),
    ('CLOSE      Close 1002 (protocol error) "no subprotocol"', Controlled(8, b"\x03\xeano subprotocol")),
    ("CLOSE      Close without a code", Controlled(8, b"")),
    ("CLOSED FIN", Closed("FIN")),
    ("CLOSED RST", Closed("RST")),
    ('CLOSED "end of capture"', Closed("end of capture")),
    ('CLOSED     by the station, Close 1002 (protocol error) "no", after 51ms', Closed("close frame", 1002, "no")),
    ("CLOSED     by the station, Close without a code, after 51ms, no messages", Closed("close frame")),
    ("CLOSED     by the station, FIN, after 51ms, no messages", Closed("FIN")),
    ("CLOSED     port reused, after 51ms, no messages", Closed("port reused")),
    ("GAP 120", Lost(120, "not captured")),
    ("GAP ?", Lost(0, "not captured")),
    ("LOST       1,120 bytes from the station: acknowledged", Lost(1120, "acknowledged")),
    ("LOST       an unknown number of bytes from the CSMS: why", Lost(0, "why")),
    ("UNREAD     7 bytes from the station: captured, but no frames", Lost(7, "no frames", captured=True)),
    ("END", Ended()),
]


@pytest.mark.parametrize(("words", "what"), WHAT)
def test_what(words: str, what: object) -> None:
    assert one(f"10:00:00.000 CP-1 → {words}").what == what


def test_the_csms_is_blamed_where_the_words_do() -> None:
    assert one("10:00:00 CP-1 → CLOSED by the CSMS, RST, after 1s").side is CSMS


def test_a_message_may_go_on_below() -> None:
    entry = one("10:00:00 CP-1 → [2,", '    "1", "Heartbeat",', "\t{}]")
    assert json.loads(entry.what.text) == [2, "1", "Heartbeat", {}]


LAID_OUT = """[
      2,
      "1",
      "DataTransfer",
      {
        "vendorId": "a: b",
        "data": "\\\\\\": \\u202e",
        "n": [
          1.50,
          {}
        ]
      }
    ]"""


def test_json_laid_out_below_is_joined_as_it_was() -> None:
    entry = one(
        "10:00:00 CP-1 → CALL Whatever x  1B ...", "    ! json.nan  a problem", *f"    {LAID_OUT}".split("\n")
    )
    assert entry.what == Said(rb'[2,"1","DataTransfer",{"vendorId":"a: b","data":"\\\": \u202e","n":[1.50,{}]}]')


def test_escapes_of_the_log_are_read_as_what_they_stand_for() -> None:
    entry = one("10:00:00 CP-1 → CALL x", r'    ["\xa0\U000e0001\\xa0\n"]')
    assert json.loads(entry.what.text) == ["\xa0\U000e0001\\xa0\n"]


@pytest.mark.parametrize("cut", ["… (12,345 characters)", "… (2,345,678 bytes)"])
def test_what_the_log_cut_is_damaged(cut: str) -> None:
    below = f'    [\n      2,\n      "1",\n      "DataTransfer",\n      "abc{cut}\n    ]'
    text = f"10:00:00 CP-1 → CALL x\n{below}"
    (message,) = talk(text).messages
    assert message.text == b'[2,"1","DataTransfer","abc'
    assert [problem.code for problem in message.problems] == ["ws.lost-bytes"]
    assert (message.kind, message.action) == (Kind.CALL, "DataTransfer")


def test_consequences_comments_and_blank_lines_are_left_out() -> None:
    text = ["# a comment", "", "   ", "10:00:00 CP-1 → TIMEOUT Heartbeat 1 no answer", "10:00:00 CP-1 → UNANSWERED x"]
    assert read(*text, "10:00:00   +1ms              LOST fragments of no connection") == []


# --- upgrades ---------------------------------------------------------------------------------------------------


def test_an_upgrade_in_a_word() -> None:
    connection = only_opened("10:00:00 CP 1/2 → OPEN ocpp2.0.1")
    handshake = connection.handshake
    assert handshake.problems == ()
    assert (connection.station, connection.version, connection.version_guessed) == ("CP 1/2", Version.V201, False)
    assert (handshake.target, handshake.protocol, handshake.accept_ok) == ("/ocpp/CP%201%2F2", "ocpp2.0.1", True)
    assert (handshake.requested_ns, handshake.answered_ns, connection.opened_ns) == (TEN, TEN, TEN)


DETAILS = (
    "ocpp1.6 10.0.0.5:40000 -> 93.184.216.34:9000 user=CP-1 path=/steve/CP-1 offered=ocpp2.0.1,ocpp1.6 took=5ms "
    "deflate"
)
PRINTED = "101 ocpp1.6, deflate, user CP-1, 5.0ms, /steve/CP-1, 10.0.0.5:40000 → 93.184.216.34:9000"


@pytest.mark.parametrize("words", [DETAILS, PRINTED])
def test_an_upgrade_with_details(words: str) -> None:
    connection = only_opened(f"10:00:00 CP-1 → OPEN {words}")
    handshake = connection.handshake
    assert handshake.problems == ()
    assert str(connection.flow) == "10.0.0.5:40000 → 93.184.216.34:9000"
    assert (handshake.user, handshake.target, handshake.protocol) == ("CP-1", "/steve/CP-1", "ocpp1.6")
    assert handshake.answered_ns - handshake.requested_ns == 5_000_000
    assert handshake.deflate is not None
    assert handshake.offered_protocols == (("ocpp2.0.1", "ocpp1.6") if words is DETAILS else ("ocpp1.6",))


def test_an_upgrade_without_a_subprotocol() -> None:
    for words in ("none offered=ocpp1.6", "101 without a subprotocol, offered ocpp1.6, /CP-1, [::1]:1 → [::2]:2"):
        connection = only_opened(f"10:00:00 CP-1 → OPEN {words}")
        assert [problem.code for problem in connection.problems] == ["http.protocol-none-chosen"]
        assert connection.version_guessed


REFUSED = '401 Unauthorized "Wrong, password", offered ocpp1.6, user CP-1, 3.8ms, /ocpp/CP-1, [::1]:1 → [::2]:2'


@pytest.mark.parametrize(
    "words", [REFUSED, '401 Unauthorized "Wrong, password" offered=ocpp1.6 user=CP-1 took=3.8ms']
)
def test_a_refusal(words: str) -> None:
    run = talk(f"10:00:00 CP-1 → REFUSED {words}")
    (connection,), (closed,) = run.opened, run.closed
    handshake = connection.handshake
    assert (handshake.status, handshake.reason, handshake.body) == (401, "Unauthorized", "Wrong, password")
    assert (handshake.offered_protocols, handshake.user, handshake.target) == (("ocpp1.6",), "CP-1", "/ocpp/CP-1")
    assert (closed.closed_by, closed.close_how, closed.closed_ns) == (CSMS, "FIN", TEN)


def test_no_reply() -> None:
    run = talk("10:00:00 CP-1 → NO REPLY no answer in the capture, offered ocpp1.6, /ocpp/CP-1\n10:00:30 CP-1 -- END")
    (connection,) = run.opened
    assert (connection.handshake.status, connection.handshake.offered_protocols) == (None, ("ocpp1.6",))
    assert run.closed[0].closed_ns == TEN + 30 * SECOND


def test_heads_as_they_were_on_the_wire() -> None:
    text = """
10:00:00.000 CP-1 → GET /ocpp/CP-1 HTTP/1.1
    Host: csms.example:9000
    Sec-WebSocket-Protocol: ocpp1.6
10:00:00.010 CP-1 ← HTTP/1.1 401 Unauthorized
    WWW-Authenticate: Basic
    | who are
    | you
10:00:00.020 CP-1 ← CLOSED FIN
"""
    (connection,) = talk(text).opened
    handshake = connection.handshake
    assert handshake.request_headers == (("Host", "csms.example:9000"), ("Sec-WebSocket-Protocol", "ocpp1.6"))
    assert handshake.response_headers == (("WWW-Authenticate", "Basic"),)
    assert (handshake.status, handshake.body) == (401, "who are\nyou")
    assert "http.key-missing" in {problem.code for problem in handshake.problems}


def test_dots_stand_for_the_usual_headers() -> None:
    text = """
10:00:00.000 CP-1 → GET /ocpp/CP-1 HTTP/1.1
    Host: csms.example:9000
    Sec-WebSocket-Protocol: ocpp1.6
    ...
10:00:00.010 CP-1 ← HTTP/1.1 101 Switching Protocols
    ...
    Sec-WebSocket-Protocol: ocpp1.6
10:00:01.000 CP-1 → [2,"1","Heartbeat",{}]
"""
    run = talk(text)
    (connection,) = run.opened
    assert connection.problems == ()
    assert [value for name, value in connection.handshake.request_headers if name == "Host"] == ["csms.example:9000"]
    assert run.messages[0].connection == connection.number


def test_a_request_whose_answer_the_log_lacks() -> None:
    run = talk(
        "10:00:00 CP-1 → GET /CP-1 HTTP/1.1\n    ...\n    Sec-WebSocket-Protocol: ocpp1.6\n10:00:01 CP-1 → [2,"
    )
    assert [problem.code for problem in run.opened[0].problems] == ["http.response-lost"]
    assert run.messages[0].connection == run.opened[0].number


# --- conversations ----------------------------------------------------------------------------------------------

CONVERSATION = """
-- 2026-11-22 (UTC)
10:00:00.000 CP-1 → OPEN ocpp1.6
10:00:00.100 CP-1 → [2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]
10:00:00.150 CP-1 ← [3,"1",{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":300}]
10:00:10.000 CP-1 → [2,"2","Heartbeat",{}]
10:01:00.000 CP-1 → PING "abc"
10:01:00.010 CP-1 ← PONG "abc"
10:01:30.000 CP-1 ← GAP 120
10:02:00.000 CP-1 → CLOSE 1000 "bye"
10:02:00.001 CP-1 → CLOSED FIN
"""


def test_a_conversation() -> None:
    events = play(CONVERSATION)
    kinds = [type(event) for event in events]
    assert kinds == [
        ConnectionOpened,
        Message,
        Message,
        Message,
        ControlFrame,
        ControlFrame,
        StreamGap,
        ControlFrame,
        ExchangeEnd,
        ConnectionClosed,
    ]
    boot, answer = events[1], events[2]
    assert (boot.outcome, answer.outcome, answer.latency_ns) == (Outcome.PENDING, Outcome.ANSWERED, 50_000_000)
    assert (boot.packets, boot.problems, boot.ordinal, answer.reply_to) == ((4,), (), 0, 0)
    assert (events[8].id, events[8].outcome) == ("2", Outcome.TIMEOUT)
    closed = events[9].connection
    assert (closed.closed_by, closed.close_how, closed.close_code, closed.close_reason) == (
        STATION,
        "close frame",
        1000,
        "bye",
    )
    assert (closed.messages, closed.lost_bytes, closed.problems) == ((2, 1), (0, 120), ())


def test_an_end_without_a_close_frame_is_a_problem() -> None:
    (closed,) = talk("10:00:00 CP-1 → OPEN ocpp1.6\n10:01:00 CP-1 ← CLOSED RST").closed
    assert (closed.closed_by, closed.close_how) == (CSMS, "RST")
    assert [problem.code for problem in closed.problems] == ["ws.no-close-frame"]


def test_the_readers_of_frames_look_at_what_is_said() -> None:
    text = "10:00:00 CP-1 → OPEN ocpp1.6\n10:00:01 CP-1 → CLOSE 1006\n10:00:02 CP-1 → [2,"
    run = talk(text)
    assert "ws.close-code" in {problem.code for problem in run.controls[0].problems}
    assert "ws.after-close" in {problem.code for problem in run.messages[0].problems}


def test_without_an_upgrade_a_connection_is_found_in_its_middle() -> None:
    run = talk('10:00:00 CP-1 → [2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]')
    (closed,) = run.closed
    assert (closed.handshake, closed.station, closed.version_guessed) == (None, "CP-1", True)
    assert (closed.close_how, closed.closed_ns) == ("end of capture", TEN)


def test_a_version_that_the_log_states_is_not_guessed() -> None:
    connection = only_opened('10:00:00 CP-1 -- OPEN midstream, OCPP 2.1\n10:00:01 CP-1 → [2,"1","Heartbeat",{}]')
    assert (connection.version, connection.version_guessed) == (Version.V21, False)


def test_stations_talk_at_the_same_time() -> None:
    lines = [f"10:00:0{second} {name} → {HEARTBEAT}" for second in range(3) for name in ("A", "B")]
    run = talk("10:00:00 A → OPEN ocpp1.6\n10:00:00 B → OPEN ocpp1.6\n" + "\n".join(lines))
    assert [message.connection for message in run.messages] == [0, 1, 0, 1, 0, 1]
    assert run.opened[0].flow.client.address != run.opened[1].flow.client.address


def test_connections_of_one_identity_overlap() -> None:
    text = f"""
10:00:00 #1 CP-1 → OPEN ocpp1.6
10:00:01 #2 CP-1 → OPEN ocpp1.6
10:00:02 #1 CP-1 → {HEARTBEAT}
10:00:03 CP-1 → {HEARTBEAT}
10:00:04 #2 CP-1 → CLOSED RST
10:00:05 CP-1 → {HEARTBEAT}
10:00:06 CP-1 -- END
"""
    run = talk(text)
    assert [message.connection for message in run.messages] == [0, 1, 0]
    assert [(closed.number, closed.close_how) for closed in run.closed] == [(1, "RST"), (0, "end of capture")]
    assert run.opened[0].flow.client.port != run.opened[1].flow.client.port


def test_a_leg_repeats_a_session() -> None:
    run = talk("10:00:00 #3 CP-1 → OPEN ocpp1.6\n10:00:00 #4 CP-1 → OPEN ocpp1.6 leg=3")
    assert [connection.leg_of for connection in run.opened] == [None, 0]


def test_after_an_end_a_connection_begins_anew() -> None:
    run = talk(f"10:00:00 CP-1 → OPEN ocpp1.6\n10:00:01 CP-1 → CLOSED FIN\n10:00:02 CP-1 → {HEARTBEAT}")
    assert [connection.handshake is None for connection in run.opened] == [False, True]


def test_the_end_of_a_connection_that_nobody_knows_is_left_out() -> None:
    assert play("10:00:00 CP-1 → CLOSED FIN") == []


# --- what `log` prints is read back ---------------------------------------------------------------------------------

OWN = sorted(path.name for path in CAPTURES.glob("*.pcap"))
THEIRS = [
    "peers/22_deflate_node_node_takeover.pcapng",
    "peers/43_subprotocol_mismatch.pcapng",
    "peers/50_csms_killed_midsession_sapsim.pcapng",
    "peers/61_any_interface_sll2.pcapng",
    "peers/93_fuzz_ocppwsio_cli_vs_ocpprpc.pcapng",
]
MILLISECOND = 1_000_000


def read_back(path: Path, *options: str) -> Run:
    done = command("log", "--full", "--pings", "--legs", "-q", *options, path)
    assert done.code == 0
    return sort([event for batch in replay(read_text_log(done.out.split("\n"))) for event in batch])


def value(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return "not JSON"


def outlines(run: Run) -> list[tuple[object, ...]]:
    """What must survive: times to the printed millisecond, texts as JSON."""
    names = {number: index for index, number in enumerate(dict.fromkeys(m.connection for m in run.messages))}
    return [
        (m.time_ns // MILLISECOND, names[m.connection], m.side, m.kind, m.id, m.action, value(m.text))
        for m in run.messages
        if value(m.text) != "not JSON"
    ]


def same_after_reading_back(path: Path) -> None:
    before, after = decode(path), read_back(path)
    assert outlines(after) == outlines(before)
    assert len(after.messages) == len(before.messages)
    frames, frames_after = (
        [(c.time_ns // MILLISECOND, c.side, c.opcode, c.close_code) for c in run.controls] for run in (before, after)
    )
    assert frames_after == frames


@pytest.mark.parametrize("name", OWN)
def test_own_captures_are_read_back(name: str) -> None:
    same_after_reading_back(CAPTURES / name)


@pytest.mark.shared
@pytest.mark.parametrize("name", THEIRS)
def test_captures_of_others_are_read_back(name: str) -> None:
    same_after_reading_back(SHARED / name)


WHOLE = [name for name in OWN if name not in ("malformed.pcap", "capture_loss.pcap", "deflate_gap.pcap")]


@pytest.mark.parametrize("name", WHOLE)
def test_connections_are_read_back(name: str) -> None:
    before, after = decode(CAPTURES / name), read_back(CAPTURES / name)
    assert [history(one) for one in after.closed] == [history(one) for one in before.closed]


def history(connection) -> tuple[object, ...]:
    handshake, flow = connection.handshake, connection.flow
    asked = (handshake.status, handshake.protocol, handshake.user, handshake.target) if handshake else None
    if not handshake or not handshake.upgraded:
        return (connection.station, flow, asked)
    return (
        connection.station,
        flow,
        asked,
        connection.version,
        connection.leg_of,
        connection.closed_by,
        connection.close_how,
        connection.close_code,
        connection.close_reason,
        connection.messages,
        connection.closed_ns // MILLISECOND,
    )


@pytest.mark.parametrize("clock", ["a.9", "ad.6", "e.9", "ud"])
def test_other_clocks_are_read_back(clock: str) -> None:
    before, after = decode(CAPTURES / "ipv6.pcap"), read_back(CAPTURES / "ipv6.pcap", "-t", clock)
    assert outlines(after) == outlines(before)


def test_colours_are_read_back() -> None:
    before = decode(CAPTURES / "ipv6.pcap")
    assert outlines(read_back(CAPTURES / "ipv6.pcap", "--color", "always")) == outlines(before)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(max_size=20), JSON, max_size=4))
@example({"a\\": '": "', "\u202e\xa0\U000e0001": "\x7f\x1b"})
def test_any_payload_is_read_back(payload: dict[str, object]) -> None:
    text = json.dumps([2, "1", "DataTransfer", payload], ensure_ascii=False)
    events = play(f"10:00:00 CP-1 → {text}")
    printed = printed_log(events)
    (message,) = sort(play(printed)).messages
    assert json.loads(message.text) == json.loads(text) or "…" in printed


def printed_log(events: list[Event]) -> str:
    from ocppscope.cli.session import Log
    from ocppscope.render.textlog import Style, TextFormat

    lines: list[str] = []
    Log(TextFormat(Style(full=True)), lines.append).take(events)
    return "".join(lines)


# --- what cannot be read ----------------------------------------------------------------------------------------

BAD = [
    "hello",
    "    indented under nothing",
    "10:00:00",
    "10:00:00 CP-1",
    "10:00:00 CP-1 PING",
    "10:00:00 → PING",
    "10:00:00 #7 → PING",
    "24:00:00 CP-1 → PING",
    "10:00:61 CP-1 → PING",
    "2026-02-30 10:00:00 CP-1 → PING",
    "-- 2026-02-30",
    "-- tomorrow",
    "10:00:00 CP-1 → JUMP",
    "10:00:00 CP-1 → ",
    "10:00:00 CP-1 → CALL Heartbeat 1",
    "10:00:00 CP-1 -- [2,",
    "10:00:00 CP-1 -- PING",
    "10:00:00 CP-1 → BINARY xyz",
    "10:00:00 CP-1 → FRAME 2",
    "10:00:00 CP-1 → CLOSE soon",
    "10:00:00 CP-1 → CLOSE 65536",
    "10:00:00 CP-1 → CLOSED",
    "10:00:00 CP-1 → CLOSED Close 99999",
    "10:00:00 CP-1 → GAP many",
    "10:00:00 CP-1 → OPEN ocpp1.6 ocpp2.0.1",
    "10:00:00 CP-1 → OPEN colour=red",
    "10:00:00 CP-1 → REFUSED politely",
    f"10:00:00 {'x' * textlog.MAX_HEAD} → PING",
    f"10:00:00 CP-1 → OPEN {'x' * textlog.MAX_WORDS}",
]


@pytest.mark.parametrize("line", BAD, ids=lambda line: line[:40])
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(CaptureError) as caught:
        read("10:00:00 CP-1 → [1]", "# comment", line) if line[0] != " " else read("# comment", "", line)
    assert caught.value.what.startswith(("Line 4 of the log cannot be read: ",))
    assert caught.value.what.isprintable()
    assert caught.value.hint


def test_without_a_day_there_is_no_time() -> None:
    with pytest.raises(CaptureError, match="which day"):
        list(read_text_log(["10:00:00 CP-1 → PING"]))


def test_an_entry_is_bounded() -> None:
    lines = ["2026-11-22 10:00:00 CP-1 → CALL x", *(["    " + "x" * (1 << 20)] * 40)]
    with pytest.raises(CaptureError, match="more than 33,554,432 characters"):
        list(read_text_log(lines))


def test_a_head_is_bounded() -> None:
    lines = ["2026-11-22 10:00:00 CP-1 → GET / HTTP/1.1", *["    ..."] * (textlog.MAX_HEADERS + 1)]
    with pytest.raises(CaptureError, match="more than 256 lines"):
        list(read_text_log(lines))


def test_what_is_remembered_of_stations_is_bounded() -> None:
    reader = textlog._TextLog()
    lines = (f"2026-11-22 10:00:00 #{number} → PING".replace("→", f"CP-{number} →") for number in range(5000))
    assert len(list(reader.read(lines))) == 5000
    assert len(reader._names) == textlog.MAX_STATIONS


VOCABULARY = """OPEN|REFUSED|NO REPLY|CLOSE|CLOSED|GAP|LOST|GET / HTTP/1.1|HTTP/1.1 101 |HTTP/1.1 401|CALL|TEXT|PING
101 ocpp1.6|, |midstream|→|user=|path=/|...|! |"|\\x1|a: b|took=5ms|1.1.1.1:1 -> 1.1.1.1:2|1000|[|FRAME 9|END"""
WORDS = st.sampled_from([*VOCABULARY.replace("\n", "|").split("|"), "\n    ", "\n    | x", "\r", "\0", "\u2028"])
LINES = st.builds(
    lambda time, who, words: f"{time} {who} {' '.join(words)}",
    st.sampled_from(["10:00:00", "09:00:00.5", "2026-11-22T10:00:00Z", "1795341600"]),
    st.sampled_from(["A →", "A ←", "#1 A →", "#1 B ←", "#2 →", "A --", "A  "]),
    st.lists(WORDS | st.text(max_size=8), max_size=6),
)


def played(text: str) -> tuple[list[Event], str]:
    try:
        return play(text), ""
    except CaptureError as error:
        return [], error.what


@given(st.lists(LINES | st.text(max_size=60), max_size=12).map("\n".join))
@example("10:00:00 A → OPEN\n10:00:00 A ← HTTP/1.1 101 x\n10:00:00 A → [")
def test_any_text_gives_events_or_a_sentence(text: str) -> None:
    events, sentence = played(text)
    assert sentence.startswith("Line ") or not sentence
    opened = {event.connection.number for event in events if isinstance(event, ConnectionOpened)}
    closed = [event.connection.number for event in events if isinstance(event, ConnectionClosed)]
    assert sorted(closed) == sorted(opened)


@given(st.lists(LINES, min_size=1, max_size=8))
def test_entries_come_in_the_order_of_their_lines(lines: list[str]) -> None:
    entries = []
    with suppress(CaptureError):
        entries.extend(read_text_log(["-- 2026-11-22", *"\n".join(lines).split("\n")]))
    assert [entry.line for entry in entries] == sorted(entry.line for entry in entries)


# --- files ------------------------------------------------------------------------------------------------------


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "talk.log"
    path.write_bytes(CONVERSATION.encode().replace(b"\n", b"\r\n") + b'10:05:00 CP-1 \xe2\x86\x92 ["\xff"]')
    entries = list(read_message_log(path))
    assert entries[-1].what == Said(b'["\xff"]')
    assert [type(entry.what) for entry in entries[:3]] == [Asked, Answered, Said]
    assert play(path)[:-3] == play(CONVERSATION)


def test_found_in_its_middle_as_log_prints_it() -> None:
    words = "found in its middle, no upgrade seen, OCPP ~1.6, 127.0.0.1:55894 → 127.0.0.1:9000"
    entry = one(f"11:48:41.949          #0 127.0.0.1      OPEN       {words}")
    assert isinstance(entry.what, Found)
    assert isinstance(entry.what.flow, Flow)
    assert (entry.station, entry.what.version) == ("127.0.0.1", Version.UNKNOWN)
