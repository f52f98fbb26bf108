"""How lines are read whatever happened to them: wrapped, cut, mixed, encoded, without times, of an unknown side."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocppscope.capture.dialects import clock, extract, reader, sides
from ocppscope.capture.dialects.clock import Zone, stamp_in
from ocppscope.capture.dialects.context import Context
from ocppscope.capture.dialects.detect import CHOICES
from ocppscope.capture.dialects.dialect import Way
from ocppscope.capture.dialects.words import way_of
from ocppscope.capture.instants import SECOND
from ocppscope.capture.loglines import Lines
from ocppscope.cli.logs import sender_of
from ocppscope.errors import UsageError
from ocppscope.model import Side
from ocppscope.replay import Replay
from support_logs import OWN, read, read_text

EIGHT_NS = 1_772_352_000 * SECOND  # 2026-03-01 08:00:00 UTC
CALL = '[2,"1","Authorize",{"idTag":"AB"}]'
EVCC = "[ocpp  ] TRACE 2026/03/01 08:00:00 recv BOX: "


# --- wrapped, cut, mixed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [50, 53, 60, 70])
def test_lines_wrapped_by_a_terminal_are_joined(tmp_path: Path, width: int) -> None:
    line = f'{EVCC}[2,"1","DataTransfer",{{"vendorId":"a","data":"some words [ and ] , \\" of it"}}]'
    wrapped = [line[at : at + width] for at in range(0, len(line), width)]
    found = read_text(tmp_path, [*wrapped, EVCC + '[2,"2","Heartbeat",{}]'])
    assert [message.text.decode() for message in found.messages] == [line[len(EVCC) :], '[2,"2","Heartbeat",{}]']


def test_a_message_over_lines_of_docker_compose(tmp_path: Path) -> None:
    found = read_text(tmp_path, ["evcc  | " + EVCC + '[2,"1",', 'evcc  | "Authorize",', 'evcc  | {"idTag":"AB"}]'])
    assert [message.text.decode() for message in found.messages] == [CALL]


@pytest.mark.parametrize("length", range(1, len(CALL)))
def test_a_cut_message_is_kept_and_the_next_one_read(tmp_path: Path, length: int) -> None:
    found = read_text(
        tmp_path, [EVCC + '[2,"0","Heartbeat",{}]', EVCC + CALL[:length], EVCC + '[2,"2","Heartbeat",{}]']
    )
    expected = 3 if length > 1 else 2  # `[` alone may be anything
    assert len(found.messages) == expected
    if length > 1:
        cut = found.messages[1]
        assert cut.text.decode() == CALL[:length]
        assert "ws.lost-bytes" in [problem.code for problem in cut.problems]
        assert "(1 cut)" in found.notices[0]


def test_what_stands_between_is_skipped_and_counted(tmp_path: Path) -> None:
    found = read_text(tmp_path, [EVCC + CALL, "", "panic: [2 bad things", "\tat x", '{"a": [2,3]}', EVCC + "{}"])
    assert found.counted == ["> CALL 1 Authorize"]
    assert "6 lines, 1 message, 4 lines are something else and skipped" in found.notices[0]


def test_wrong_json_is_a_message_all_the_same(tmp_path: Path) -> None:
    (message,) = read_text(tmp_path, [EVCC + '[2,"1","Authorize",{idTag:AB}] and more']).messages
    assert message.text == b'[2,"1","Authorize",{idTag:AB}]'
    assert [problem.code for problem in message.problems] == ["json.syntax"]


def test_a_message_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_MESSAGE", 100)
    monkeypatch.setattr(reader, "MAX_JOINED", 50)
    found = read_text(tmp_path, [EVCC + '[2,"1","A",', *['"12345",'] * 40, EVCC + CALL])
    assert len(found.messages[0].text) < 130
    found = read_text(tmp_path, [EVCC + '[2,"1","A",', *["1,"] * 80, EVCC + CALL])
    assert len(found.messages[0].text) < 130
    assert found.counted[-1] == "> CALL 1 Authorize"


# --- encodings ----------------------------------------------------------------------------------------------------

UMLAUT = f'{EVCC}[2,"1","DataTransfer",{{"vendorId":"Säule"}}]\n{EVCC}[2,"2","Heartbeat",{{}}]\n'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE), ("utf-16-le", b""), ("utf-16-be", b""), ("latin-1", b""),
    ],
)  # fmt: skip
def test_encodings(tmp_path: Path, encoding: str, mark: bytes, end: str) -> None:
    found = read_text(tmp_path, mark + UMLAUT.replace("\n", end).encode(encoding))
    assert [message.text.decode() for message in found.messages] == [
        '[2,"1","DataTransfer",{"vendorId":"Säule"}]', '[2,"2","Heartbeat",{}]',
    ]  # fmt: skip
    assert any("Latin-1" in sentence for sentence in found.notices) == (encoding == "latin-1")


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lines_however_the_bytes_come(chunk: int, encoding: str) -> None:
    octets = UMLAUT.encode(encoding)
    lines = Lines()
    first = lines.feed(octets[:40])
    rest = [line for at in range(40, len(octets), chunk) for line in lines.feed(octets[at : at + chunk])]
    assert "\n".join([*first, *rest, *lines.finish(), ""]).lstrip("\ufeff") == UMLAUT


def test_a_line_is_bounded() -> None:
    lines = Lines(100)
    found = [line for _ in range(50) for line in lines.feed(b"0123456789")] + lines.feed(b"\nshort\n")
    assert [len(line) for line in found] == [100, 5]
    assert lines.overlong > 0


def test_colours_are_no_part_of_it(tmp_path: Path) -> None:
    coloured = '\x1b[1;35mrecv\x1b[0m BOX: \x1b[2m[2,"1","Heart\x1b[31mbeat",{}]\x1b[0m'
    found = read_text(tmp_path, [f"[ocpp  ] TRACE 2026/03/01 08:00:00 {coloured}"])
    assert found.counted == ["> CALL 1 Heartbeat"]


# --- times --------------------------------------------------------------------------------------------------------

STAMPS = [
    ("2026-03-01T08:00:00.5Z", 0.5), ("2026-03-01 08:00:00,500 INFO", 0.5), ("2026/03/01 08:00:00", 0),
    ("2026-03-01 09:00:00+01:00", 0), ("2026-03-01T07:00:00-0100", 0), ("01.03.2026 08:00:00.25", 0.25),
    ("01/Mar/2026:08:00:00 +0000", 0), ("Mar  1 08:00:00 box", 0), ("[1772352000.123]", 0.123),
    ("1772352000123 x", 0.123), ("web-1 | 2026-03-01T08:00:00.000000001Z", 1e-9),
]  # fmt: skip


@pytest.mark.parametrize(("text", "after"), STAMPS)
def test_times(text: str, after: float) -> None:
    stamp = stamp_in(text, 2026)
    assert stamp is not None
    assert stamp.ns == EIGHT_NS + round(after * SECOND)


@pytest.mark.parametrize(
    "text", ["", "2026-13-01 08:00:00", "2026-03-01 25:00:00", "1.2.3.4:5", "id 12345678901234567890"]
)
def test_what_is_no_time(text: str) -> None:
    assert stamp_in(text) is None


@pytest.mark.parametrize(
    ("zone", "hours"), [("", 0), ("UTC", 0), ("+02:00", -2), ("-0330", 3.5), ("+5", -5), ("Europe/Paris", -1)]
)
def test_zones(tmp_path: Path, zone: str, hours: float) -> None:
    (message,) = read_text(tmp_path, [EVCC + CALL], zone=zone).messages
    assert message.time_ns == EIGHT_NS + round(hours * 3600) * SECOND


def test_a_zone_of_summer() -> None:
    paris = Zone("Europe/Paris")
    assert [paris.ahead_ns(EIGHT_NS + days * clock.DAY) // (3600 * SECOND) for days in (0, 120)] == [1, 2]


@pytest.mark.parametrize("zone", ["Mars/Base", "+99:00", "../etc/passwd", "02:00"])
def test_what_is_no_zone(zone: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        Zone(zone)


def test_the_zone_is_proposed_that_the_csms_shows(tmp_path: Path) -> None:
    answer = EVCC.replace("recv", "send") + '[3,"1",{"currentTime":"2026-03-01T05:59:59Z"}]'
    found = read_text(tmp_path, [EVCC + '[2,"1","Heartbeat",{}]', answer])
    assert any("by the answers of the CSMS they are --log-zone +02:00" in sentence for sentence in found.notices)
    assert not any("by the answers" in one for one in read(tmp_path / "a.log", zone="+01:00").notices)


def test_without_times_the_order_is_kept(tmp_path: Path) -> None:
    found = read(OWN / "general_bare.log")
    times = [message.time_ns for message in found.messages]
    assert times == [EIGHT_NS, EIGHT_NS + 10**6, EIGHT_NS + 2 * 10**6, EIGHT_NS + 3 * 10**6]
    assert any("no line has a time" in one and "from 2026-03-01T08:00:00Z" in one for one in found.notices)
    (message,) = read_text(tmp_path, ['[2,"1","Heartbeat",{}]']).messages
    assert message.time_ns == 946_684_800 * SECOND


def test_times_of_day_go_on_the_next_day(tmp_path: Path) -> None:
    lines = [f"23:59:59 > {CALL}", '00:00:01 < [3,"1",{"currentTime":"2026-03-01T00:00:01Z"}]']
    first, second = read_text(tmp_path, lines).messages
    assert second.latency_ns == 2 * SECOND
    assert second.time_ns == first.time_ns + 2 * SECOND == 1_772_409_601 * SECOND


# --- sides --------------------------------------------------------------------------------------------------------

WAYS = [
    ("CP -> CSMS: ", Way.FROM_STATION), ("CSMS->CP ", Way.FROM_CSMS), ("from station X: ", Way.FROM_STATION),
    ("to the charger: ", Way.FROM_CSMS), ("sent ", Way.SENT), ("RX: ", Way.RECEIVED), ("08:00:00 >> ", Way.SENT),
    ("x <- ", Way.RECEIVED), ("incoming message ", Way.RECEIVED), ("client => server ", Way.FROM_STATION),
    ("outbox holds ", Way.UNSAID), ("", Way.UNSAID), ("login info ", Way.UNSAID),
]  # fmt: skip


@pytest.mark.parametrize(("before", "way"), WAYS)
def test_words_for_directions(before: str, way: Way) -> None:
    assert way_of(before) is way


def test_who_wrote_it_is_told_by_later_messages(tmp_path: Path) -> None:
    lines = ['sent [2,"1","DataTransfer",{"vendorId":"a"}]', 'received [3,"1",{"status":"Accepted"}]']
    undecided = read_text(tmp_path, lines)
    assert undecided.counted == ["< CALL 1 DataTransfer", "> CALLRESULT 1 DataTransfer"]
    assert any("nothing tells who wrote it" in one for one in undecided.notices)
    decided = read_text(tmp_path, [*lines, 'sent [2,"2","Heartbeat",{}]'])
    assert decided.counted[0] == "> CALL 1 DataTransfer"
    assert any("written by the station, as the direction of Heartbeat tells" in one for one in decided.notices)


def test_who_wrote_it_is_told_beyond_the_beginning() -> None:
    decider = sides.Sides(None, sender_of)
    decider.vote(Way.SENT, '[2,"1","DataTransfer",{}]')
    decider.settle()
    assert decider.writer is None
    decider.vote(Way.RECEIVED, '[2,"1","Heartbeat",{}]')
    decider.settle()
    assert decider.writer is Side.CSMS


def test_what_nothing_tells_is_said(tmp_path: Path) -> None:
    found = read_text(tmp_path, ['[3,"1",{}]', '[2,"2","Heartbeat",{}]'])
    assert found.counted == ["> CALLRESULT 1 -", "> CALL 2 Heartbeat"]
    assert any("of 1 message nothing tells who sent it" in one for one in found.notices)


def test_entries_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_HELD", 3)
    lines = [f'sent [2,"{number}","DataTransfer",{{"vendorId":"a"}}]' for number in range(9)]
    context = Context(sender_of=sender_of)
    found = next(one for one in CHOICES if one.name == "general").make(context)
    told = [len(list(found.line(number, line))) for number, line in enumerate(lines, 1)]
    assert told == [0, 0, 0, 4, 1, 1, 1, 1, 1]


# --- anything -----------------------------------------------------------------------------------------------------

JSON_TEXTS = st.recursive(
    st.none() | st.integers(-9, 99) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps([2, value], ensure_ascii=False))


@given(JSON_TEXTS, st.data())
@example('[2, "\\\\"]', None)
def test_brackets_alone_find_the_same_end(text: str, data: st.DataObject | None) -> None:
    assert extract.ending(text + "tail") == len(text)
    assert extract.scan(text, extract.Open(0, in_string=False)) == len(text)
    at = data.draw(st.integers(1, len(text) - 1)) if data is not None else 3
    state = extract.scan(text[:at], extract.Open(0, in_string=False))
    if isinstance(state, extract.Open) and not text[:at].endswith("\\"):
        assert extract.scan(text[at:], state) == len(text) - at


SAMPLE_LINES = [line for path in sorted(OWN.glob("*.*")) for line in path.read_text().splitlines()]
PIECES = st.one_of(
    st.sampled_from(SAMPLE_LINES),
    st.sampled_from(SAMPLE_LINES).flatmap(lambda line: st.integers(0, len(line)).map(lambda at: line[:at])),
    st.text(max_size=30),
    st.binary(max_size=20).map(lambda octets: octets.decode("utf-8", "surrogateescape")),
)


@given(st.lists(PIECES, max_size=12), st.sampled_from(CHOICES))
def test_any_lines_give_events(lines: list[str], choice) -> None:
    context = Context(lines, sender_of=sender_of)
    found = choice.make(context)
    entries = [entry for number, line in enumerate(lines, 1) for entry in found.line(number, line)]
    entries += found.finish()
    engine = Replay()
    events = [*engine.entries(entries), *engine.finish()]
    messages = context.tally.messages
    assert sum(type(event).__name__ == "Message" for event in events) <= messages
    assert all(entry.line <= len(lines) for entry in entries)
