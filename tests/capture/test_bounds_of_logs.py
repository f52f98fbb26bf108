"""Bounds of reading logs of messages, reached one by one, and what is said then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ocppscope.capture import loglines, logreader, textlog
from ocppscope.capture.dialects import detect, naming, words
from ocppscope.capture.dialects.dialect import Way
from ocppscope.capture.entries import Said
from ocppscope.capture.logoptions import LogOptions
from ocppscope.capture.logreader import LogReader
from ocppscope.capture.textlog import read_text_log
from ocppscope.errors import CaptureError
from ocppscope.model import Side
from support_logs import read, read_text

# --- which dialect it is --------------------------------------------------------------------------------------------


def test_how_much_of_a_line_tells_its_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_SNIFFED_LINE characters are what patterns are tried on, however long the line is."""
    seen: list[int] = []

    def score(lines: Sequence[str]) -> int:
        seen.extend(map(len, lines))
        return 1

    one = detect.Choice("x", "", detect.TextReader, score)
    monkeypatch.setattr(detect, "CHOICES", (one,))
    assert detect.told(["a" * (1 << 20), "b"]) is one
    assert seen == [detect.MAX_SNIFFED_LINE, 1]


def record(number: int, padding: int) -> str:
    facts = {
        "direction": "cp-to-csms", "messageType": "CALL", "messageId": str(number), "action": "DataTransfer",
        "payload": {"vendorId": "v", "data": "x" * padding}, "timestamp": f"2026-03-01T08:00:0{number}Z",
        "chargePointId": "CP-1", "ocppVersion": "1.6", "schemaVersion": "1.1",
    }  # fmt: skip
    return json.dumps(facts)


LONG = "x" * 2 * detect.MAX_SNIFFED_LINE
OF_LONG_LINES = {
    "trace": [record(number, len(LONG)) for number in range(3)],
    "text": [f'2026-03-01T08:00:0{at}Z CP-1 -> [2,"{at}","DataTransfer",{{"data":"{LONG}"}}]' for at in range(3)],
    "jsonl": [
        json.dumps({
            "type": "message", "row": at, "connection": 3, "time_ns": 1772352000000000000 + at, "station": "CP-1",
            "version": "1.6", "version_guessed": False, "side": "station", "kind": "CALL", "id": str(at),
            "action": "DataTransfer", "text": f'[2,"{at}","DataTransfer",{{"data":"{LONG}"}}]', "problems": [],
        })
        for at in range(3)
    ],
    "general": [f'2026-03-01 08:00:0{at} received: [2,"{at}","DataTransfer",{{"d":"{LONG}"}}]' for at in range(3)],
}  # fmt: skip


@pytest.mark.parametrize("dialect", OF_LONG_LINES)
def test_logs_of_nothing_but_longer_lines_are_told(tmp_path: Path, dialect: str) -> None:
    found = read_text(tmp_path, OF_LONG_LINES[dialect])
    assert f"recognised as {dialect}" in found.notices[0]
    assert [message.id for message in found.messages] == ["0", "1", "2"]
    assert all(len(message.text) > len(LONG) for message in found.messages)


# --- who speaks -----------------------------------------------------------------------------------------------------


def general(padding: int, before: str = "") -> str:
    return f'2026-03-01 08:00:00 {before}{"y" * padding} [2,"1","Authorize",{{"idTag":"A"}}]'


@pytest.mark.parametrize("distance", [naming.MAX_LOOKED_AT - 40, naming.MAX_LOOKED_AT])
def test_how_far_before_a_message_its_station_is_named(tmp_path: Path, distance: int) -> None:
    found = read_text(tmp_path, [general(distance, "chargePointId=BAY-7 ")])
    near = distance < naming.MAX_LOOKED_AT
    assert [one.station for one in found.run.opened] == ["BAY-7" if near else "station"]


@pytest.mark.parametrize("distance", [words.MAX_LOOKED_AT - 20, words.MAX_LOOKED_AT])
def test_how_far_before_a_message_its_direction_is_told(tmp_path: Path, distance: int) -> None:
    """Where nothing near tells it, that is said, and how many messages it is about."""
    before = "from CSMS "
    near = distance < words.MAX_LOOKED_AT
    assert words.way_of(before + "y" * distance + " ") is (Way.FROM_CSMS if near else Way.UNSAID)
    line = general(distance, before).replace("Authorize", "Unheard")
    found = read_text(tmp_path, [line])
    assert [message.side for message in found.messages] == [Side.CSMS if near else Side.STATION]
    assert any("nothing tells who sent it" in notice for notice in found.notices) != near


# --- several logs ---------------------------------------------------------------------------------------------------


def logs(tmp_path: Path, count: int) -> list[Path]:
    """Logs that go on at the same time, the n-th from second n on."""
    paths = []
    for number in range(count):
        path = tmp_path / f"{number}.log"
        lines = [
            f'2026-03-01T08:{minute:02}:{number:02}Z CP-{number} -> [2,"{number}-{minute}","Heartbeat",{{}}]'
            for minute in range(4)
        ]
        path.write_text("\n".join(lines) + "\n")
        paths.append(path)
    return paths


@pytest.mark.parametrize(("bound", "late"), [(2, 3), (4, 1), (5, 0)])
def test_logs_that_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int, late: int) -> None:
    """MAX_AT_ONCE: of more, all is read as well, and that it is not in order is said."""
    monkeypatch.setattr(logreader, "MAX_AT_ONCE", bound)
    monkeypatch.setattr(logreader, "BLOCK", 1)
    paths, most, stations = logs(tmp_path, 5), 0, []
    with LogReader(paths, options=LogOptions()) as reader:
        reader.check()
        for block in reader.blocks():
            stations += [(entry.time_ns, entry.station) for entry in block.entries if isinstance(entry.what, Said)]
            most = max(most, sum(log._input is not None for log in reader._logs))
        said = [notice for notice in reader.notices if "same time" in notice]
    assert 1 < most <= bound
    assert len(set(stations)) == 20
    assert (stations == sorted(stations)) == (not late)
    are = "1 is" if late == 1 else f"{late} are"
    assert said == (
        [f"More than {bound} logs go on at the same time; {are} read after others, "
         "and what they hold is not in order of time."] if late else []
    )  # fmt: skip


def test_logs_one_after_the_other_are_never_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logreader, "MAX_AT_ONCE", 1)
    paths = []
    for number in range(4):
        path = tmp_path / f"{number}.log"
        path.write_text(f'2026-03-01T08:0{number}:00Z CP-1 -> [2,"{number}","Heartbeat",{{}}]\n')
        paths.append(path)
    found = read(*paths[::-1])
    assert [message.id for message in found.messages] == ["0", "1", "2", "3"]
    assert not any("same time" in notice for notice in found.notices)


# --- an entry -------------------------------------------------------------------------------------------------------

HEAD = "2026-03-01T08:00:0{}Z CP-1 -> {}"


def long_entry(lines: int) -> list[str]:
    return [HEAD.format(0, '[2,"1","DataTransfer",{"vendorId":'), *['  "' + "v" * 50 + '",'] * lines]


def test_an_entry_that_goes_on_and_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_ENTRY: a reader of others' logs skips it and counts it, one of our own says which line it is."""
    monkeypatch.setattr(textlog, "MAX_ENTRY", 4000)
    after = HEAD.format(1, '[2,"2","Heartbeat",{}]')
    few, many = [*long_entry(20), after], [*long_entry(100), after]
    assert len(list(read_text_log(few))) == 2
    with pytest.raises(CaptureError, match=r"Line 3\d of .* more than 4,000 characters"):
        list(read_text_log(many))
    found = read_text(tmp_path, many, dialect="text")
    assert [message.id for message in found.messages] == ["2"]
    assert "lines are something else and skipped" in found.notices[0]


def test_an_entry_of_short_lines_is_no_larger_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line costs more than its characters."""
    monkeypatch.setattr(textlog, "MAX_ENTRY", 1 << 16)
    with pytest.raises(CaptureError, match="more than 65,536") as caught:
        list(read_text_log([HEAD.format(0, "["), *[" x"] * 10_000]))
    assert int(str(caught.value).split()[1]) <= 2 + (1 << 16) // textlog.LINE_COST


def test_comments_and_blank_lines_are_no_part_of_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textlog, "MAX_ENTRY", 200)
    lines = [HEAD.format(0, '[2,"1","Heartbeat",'), *["# " + "c" * 90, " " * 90] * 20, "  {}]"]
    (entry,) = read_text_log([*lines, *["# " + "c" * 90] * 20])
    assert isinstance(entry.what, Said)
    assert entry.what.text == b'[2,"1","Heartbeat",{}]'


# --- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 10])
@pytest.mark.parametrize("length", [99, 100, 101, 180, 777])
def test_characters_of_a_line(monkeypatch: pytest.MonkeyPatch, length: int, size: int) -> None:
    """MAX_LINE: of a longer one only the beginning is there, however it comes, and it is counted once."""
    monkeypatch.setattr(loglines, "MAX_LINE", 100)
    lines = loglines.Lines()
    text = "".join(chr(ord("a") + at % 26) for at in range(length))
    octets = f"first\n{text}\n{text}\nlast\n{text}".encode()
    found: list[str] = []
    for at in range(0, len(octets), size):
        found += lines.feed(octets[at : at + size])
        assert len(lines.rest) <= 100
    found += lines.finish()
    assert found == ["first", text[:100], text[:100], "last", text[:100]]
    assert lines.overlong == (3 if length > 100 else 0)


def test_lines_that_are_too_long_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(
        f'2026-03-01T08:00:0{at}Z CP-1 -> [2,"{at}","DataTransfer",{{"data":"{"x" * (600 if at == 2 else 0)}"}}]\n'
        for at in range(5)
    )
    assert loglines.MAX_LINE > 1 << 24
    monkeypatch.setattr(loglines, "MAX_LINE", 500)
    found = read_text(tmp_path, text)
    assert [message.id for message in found.messages][:2] == ["0", "1"]
    assert len(found.messages) >= 4
    assert [one for one in found.notices if "1 line is too long; only" in one]
