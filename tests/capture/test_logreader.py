"""Logs as inputs: recognised, opened, merged, followed, refused; what is said of them."""

from __future__ import annotations

import gzip
import io
import threading
import time
from pathlib import Path

import pytest

from ocppscope.capture.bytesource import Growth
from ocppscope.capture.dialects import detect
from ocppscope.capture.dialects.custom import dialect_in
from ocppscope.capture.dialects.reader import without_colours
from ocppscope.capture.inputs import LateReader, is_log, open_inputs
from ocppscope.capture.logoptions import LogOptions
from ocppscope.capture.logreader import LogReader
from ocppscope.capture.pcapfile import CaptureReader
from ocppscope.cli.logs import sender_of
from ocppscope.errors import AccessError, CaptureError, UsageError
from ocppscope.model import Side
from support_engine import CAPTURES, SHARED
from support_logs import OWN, read, read_text

SAMPLES = sorted(path for path in OWN.iterdir() if path.is_file())
SIGNED = LogOptions(sender_of=sender_of)
EVCC = '[ocpp  ] TRACE 2026/03/01 08:00:0{} recv BOX: [2,"{}","Heartbeat",{{}}]'


# --- what is a log, and of which dialect --------------------------------------------------------------------------


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_each_sample_is_told_from_all_other_dialects(path: Path) -> None:
    lines = [without_colours(line) for line in path.read_text().splitlines()]
    scores = {choice.name: choice.score(lines) for choice in detect.CHOICES if not choice.is_general}
    told = detect.told(lines)
    assert told is not None
    others = [score for name, score in scores.items() if name != told.name]
    assert scores.get(told.name, 1) > max(others)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_are_logs(path: Path) -> None:
    assert is_log(path) is True


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap*")), ids=lambda path: path.name)
def test_captures_are_no_logs(path: Path) -> None:
    assert is_log(path) is False


@pytest.mark.shared
def test_foreign_captures_are_no_logs() -> None:
    paths = [path for path in SHARED.rglob("*") if path.suffix in (".pcap", ".pcapng", ".cap")]
    assert paths
    assert [path for path in paths if path.stat().st_size and is_log(path)] == []


def read_late(paths: list[Path]) -> None:
    list(open_inputs(["-"], stdin=io.BytesIO(paths[0].read_bytes())).blocks())


TEXTS = [
    (b"hello world\nnothing here\n", "looks like text"),
    (b'{"log": {"entries": []}}\n', "looks like JSON"),
    (b"[1, 2, 3]\n", "looks like JSON"),
    (b"<!doctype html><html><body>[2] hello</body></html>", "looks like an HTML page"),
    (b"<pdml/>", "looks like XML"),
    ("08:00:00 [2] hello\n".encode("utf-16"), "looks like text"),
    (b"Time  Source  Dest\n1 10.0.0.1 -> 10.0.0.2 TCP 74\n" * 3000, "looks like text"),
    (b"a,b,message\n1,2,hello\n", "looks like text"),
]


@pytest.mark.parametrize(("content", "what"), TEXTS, ids=[what + str(len(text)) for text, what in TEXTS])
@pytest.mark.parametrize("late", [False, True])
def test_any_other_text_is_refused_with_a_sentence(tmp_path: Path, content: bytes, what: str, late: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    refused = read_late if late else open_inputs
    with pytest.raises(CaptureError, match=what) as caught:
        refused([path])
    assert "Nothing in it reads as an OCPP message; `--dialect help`" in caught.value.hint


def test_what_is_empty_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(CaptureError, match="no file"):
        open_inputs([path])
    path.write_bytes(b"")
    with pytest.raises(CaptureError, match="is empty"):
        list(open_inputs([path]).blocks())
    path.write_bytes(b"\n\n \n")
    with pytest.raises(CaptureError, match="is empty"):
        open_inputs([path])
    with pytest.raises(CaptureError, match="directory"):
        open_inputs([tmp_path])


def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # root is never refused

    path = tmp_path / "x"
    path.write_bytes(b"hello")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AccessError):
        open_inputs([path])


def test_a_first_message_may_come_late_but_not_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = ["2026-03-01 08:00:00 nothing of interest here"] * 20_000
    found = read_text(tmp_path, [*noise, EVCC.format(1, 1)])
    assert found.counted == ["> CALL 1 Heartbeat"]
    assert found.messages[0].packets == (20_001,)
    monkeypatch.setattr("ocppscope.capture.logreader.MAX_SNIFFED", 1000)
    with pytest.raises(CaptureError, match="looks like text"):
        read_text(tmp_path, [*noise, EVCC.format(1, 1)])


# --- opening ------------------------------------------------------------------------------------------------------


def test_each_kind_gets_its_reader() -> None:
    with open_inputs([SAMPLES[0]]) as log, open_inputs([CAPTURES / "ipv6.pcap"]) as capture:
        assert (type(log), log.is_log) == (LogReader, True)
        assert (type(capture), capture.is_log) == (CaptureReader, False)


def test_kinds_are_not_mixed() -> None:
    with pytest.raises(UsageError, match="cannot be read as one") as caught:
        open_inputs([SAMPLES[0], CAPTURES / "ipv6.pcap"])
    assert "compare" in caught.value.hint


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_tells_its_kind_when_it_is_read(pack) -> None:
    log = open_inputs(["-"], stdin=io.BytesIO(pack((OWN / "evcc.log").read_bytes())))
    assert isinstance(log, LateReader)
    assert (log.is_log, log.notices, log.progress) == (False, [], (0, None))
    assert sum(len(block.entries) for block in log.blocks()) == 4
    assert log.is_log
    assert "standard input is a log of messages, recognised as evcc" in log.notices[0]
    capture = open_inputs(["-"], stdin=io.BytesIO(pack((CAPTURES / "ipv6.pcap").read_bytes())))
    with open_inputs([CAPTURES / "ipv6.pcap"]) as named:
        expected = [len(block.offsets) for block in named.blocks()]
    assert sum(len(block.offsets) for block in capture.blocks()) == sum(expected)
    assert not capture.is_log


def test_packed_logs(tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    path.write_bytes(gzip.compress((OWN / "evcc.log").read_bytes()))
    assert read(path).counted == read(OWN / "evcc.log").counted
    path.write_bytes(gzip.compress((OWN / "evcc.log").read_bytes() * 100)[:-9])
    assert any("cut off" in sentence for sentence in read(path).notices)


def test_several_logs_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    parts = []
    for name, seconds in (("b", (2, 5)), ("a", (1, 4)), ("c", (3, 6))):
        part = tmp_path / name
        part.write_text("".join(EVCC.format(second, f"{name}{second}") + "\n" for second in seconds))
        parts.append(part)
    found = read(*parts)
    assert [message.id for message in found.messages] == ["a1", "b2", "c3", "a4", "b5", "c6"]
    assert len(found.notices) == 6


def test_connections_of_several_logs_are_not_mixed_up(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text((OWN / "rows.jsonl").read_text().replace("BAY-1", "BAY-2"))
    assert {one.station for one in read(OWN / "rows.jsonl", other).run.opened} == {"BAY-1", "BAY-2"}


def test_progress() -> None:
    path = OWN / "evcc.log"
    with open_inputs([path]) as reader:
        assert reader.progress == (0, path.stat().st_size)
        list(reader.blocks())
        assert reader.progress == (path.stat().st_size, path.stat().st_size)


def test_a_growing_log_is_followed(tmp_path: Path) -> None:
    path, seen, growth = tmp_path / "a.log", [], Growth()
    path.write_bytes(b"")

    def write() -> None:
        for number in range(3):
            with path.open("a") as file:
                file.write(EVCC.format(number, number)[:30])
                file.flush()
                time.sleep(0.02)
                file.write(EVCC.format(number, number)[30:] + "\n")
            deadline = time.monotonic() + 20
            while len(seen) <= number and time.monotonic() < deadline:
                time.sleep(0.01)
        growth.finished.set()

    writer = threading.Thread(target=write)
    with open_inputs([path], follow=growth, logs=SIGNED) as reader:
        writer.start()
        for block in reader.blocks():
            seen.extend(block.entries)
    writer.join(20)
    assert [entry.line for entry in seen] == [1, 2, 3]


def test_a_stopped_reader_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(EVCC.format(1, 1) + "\n")
    reader = open_inputs([path], follow=True)
    threading.Timer(0.2, reader.stop).start()
    assert sum(len(block.entries) for block in reader.blocks()) == 1


# --- what the user says -------------------------------------------------------------------------------------------


def test_a_dialect_can_be_named() -> None:
    forced = read(OWN / "evcc.log", dialect="general")
    assert forced.counted == read(OWN / "evcc.log").counted
    assert "read as general" in forced.notices[0]
    assert read(OWN / "evcc.log", dialect="steve").counted == []


def test_an_unknown_dialect_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError, match="Did you mean steve") as caught:
        read(OWN / "evcc.log", dialect="steeve")
    assert all(choice.name in caught.value.hint for choice in detect.CHOICES)


def test_dialects_have_names_and_sentences_of_their_own() -> None:
    assert len(detect.BY_NAME) == len(detect.CHOICES)
    lines = detect.explained().splitlines()
    assert len(lines) == len(detect.CHOICES)
    assert all(line.endswith(".") for line in lines)


OWN_DIALECT = r"""
name = "gateway"
written-by = "csms"
zone = "+01:00"

[ways]
"in" = "from station"
"out" = "from csms"

[[line]]
pattern = 'GW (?P<station>\S+) (?P<way>in|out) (?P<text>\[.*)'

[[line]]
event = "close"
pattern = 'GW (?P<station>\S+) gone'
"""
GATEWAY = [
    '2026-03-01 09:00:00 GW HUT in [2,"1","Heartbeat",{}]',
    '2026-03-01 09:00:01 GW HUT out [3,"1",{"currentTime":"2026-03-01T08:00:00Z"}]',
    "2026-03-01 09:00:02 GW HUT gone",
]


def test_a_dialect_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(OWN_DIALECT)
    found = read_text(tmp_path, GATEWAY, dialect=str(path))
    assert found.counted == ["> CALL 1 Heartbeat", "< CALLRESULT 1 Heartbeat"]
    assert found.messages[0].time_ns == 1_772_352_000_000_000_000
    assert [one.close_how for one in found.run.closed] == ["FIN"]


BAD = [
    ("name = ", "no TOML"), ("", r"no \[\[line\]\]"), ("line = 3", r"no \[\[line\]\]"), ("[[line]]", "no pattern"),
    ("[[line]]\npattern = '('", "the pattern is wrong"), ("[[line]]\npattern = 'x'", r"no group \(\?P<text>"),
    ("[[line]]\npattern = '(?P<text>x)'\nevent = 'boom'", "event is none of"),
    ("[[line]]\npattern = '(?P<text>x)'\nway = 'up'", "way is none of"),
    ("colour = 1\n[[line]]\npattern = '(?P<text>x)'", "'colour', which means nothing"),
    ("written-by = 'me'\n[[line]]\npattern = '(?P<text>x)'", "written-by is none of"),
    ("zone = 'x'\n[[line]]\npattern = '(?P<text>x)'", "no time zone"),
    ("[ways]\na = 1\n[[line]]\npattern = '(?P<text>x)'", "ways is none of"),
    (f"[[line]]\npattern = '{'x' * 5000}'", "at most 4,000"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "why"), BAD, ids=[why for _, why in BAD])
def test_a_wrong_dialect_is_refused_with_a_sentence(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        dialect_in(text)


def test_a_dialect_file_is_bounded_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_text(tmp_path, GATEWAY, dialect=str(tmp_path / "none.toml"))
    (tmp_path / "big.toml").write_bytes(b"#" * (1 << 19))
    with pytest.raises(UsageError, match="more than 262,144 bytes"):
        read_text(tmp_path, GATEWAY, dialect=str(tmp_path / "big.toml"))


def test_the_documented_example_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "import.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    dialect = dialect_in(example)
    assert (dialect.name, dialect.writer, len(dialect.forms)) == ("gateway", Side.CSMS, 2)
