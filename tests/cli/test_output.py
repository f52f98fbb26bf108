"""The progress line, and lines in batches."""

import io

import pytest

from ocppscope.cli import output
from ocppscope.cli.output import Progress, Writer, wants_colour


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    return now


def test_progress_appears_after_a_second_and_goes_away(seconds):
    screen = Screen()
    progress = Progress(wanted=True, stream=screen)
    seconds[0] += 0.9
    progress.step(10, 100, 5)
    assert screen.getvalue() == ""
    seconds[0] += 0.2
    progress.step(50_000_000, 100_000_000, 1100)
    assert screen.getvalue() == "\r\x1b[K 50 %  50 MB  1,100 messages  1,000/s"
    progress.step(60_000_000, 100_000_000, 1200)  # too soon
    seconds[0] += 0.2
    progress.step(70_000_000, None, 1300)
    assert screen.getvalue().endswith("\r\x1b[K70 MB  1,300 messages  1,000/s")
    progress.clear()
    assert screen.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("stream", "wanted"), [(io.StringIO(), True), (Screen(), False)])
def test_no_progress_where_nobody_looks(seconds, stream, wanted):
    progress = Progress(wanted=wanted, stream=stream)
    seconds[0] += 10
    progress.step(1, 2, 3)
    progress.clear()
    assert stream.getvalue() == ""


class Counting(io.BytesIO):
    writes = 0

    def write(self, data):
        self.writes += 1
        return super().write(data)


def test_lines_are_written_in_batches_after_the_first():
    raw = Counting()
    writer = Writer(io.TextIOWrapper(raw, encoding="utf-8", write_through=True), live=False)
    writer.rest()
    assert raw.writes == 0
    writer.add("first\n")
    writer.rest()
    assert raw.getvalue() == b"first\n"
    for _ in range(3 * output.BATCH_LINES):
        writer.add("é\n")
        writer.rest()
    writer.flush()
    assert raw.getvalue() == b"first\n" + "é\n".encode() * 3 * output.BATCH_LINES
    assert raw.writes == 4


def test_live_lines_are_written_at_once():
    raw = Counting()
    writer = Writer(io.TextIOWrapper(raw, encoding="utf-8"), live=True)
    writer.add("a\n")
    writer.rest()
    assert raw.getvalue() == b"a\n"


def test_an_encoding_that_lacks_our_signs():
    raw = io.BytesIO()
    writer = Writer(io.TextIOWrapper(raw, encoding="latin-1", write_through=True), live=False)
    writer.add("→ ← ✓ ✗ … µ é 电\n")
    writer.flush()
    assert raw.getvalue() == b"> < + x ~ u \xe9 \\u7535\n"


def test_a_stream_without_bytes():
    stream = io.StringIO()
    writer = Writer(stream, live=True)
    writer.add("→\n")
    writer.rest()
    assert stream.getvalue() == "→\n"


@pytest.mark.parametrize(
    ("choice", "stream", "environment", "expected"),
    [
        ("auto", Screen(), {}, True),
        ("auto", io.StringIO(), {}, False),
        ("auto", Screen(), {"NO_COLOR": "1"}, False),
        ("auto", Screen(), {"NO_COLOR": ""}, True),
        ("auto", Screen(), {"TERM": "dumb"}, False),
        ("always", io.StringIO(), {"NO_COLOR": "1"}, True),
        ("never", Screen(), {}, False),
    ],
)
def test_colours(choice, stream, environment, expected):
    assert wants_colour(choice, stream, environment) is expected
