"""CSV: a golden, as `csv` of the standard library reads it, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_export import (
    CAPTURES,
    NOTED,
    Given,
    capture_evidence,
    check_golden,
    hostile,
    is_harmless,
    message,
    noted_evidence,
    rows_of,
    written,
)

from ocppscope.export import csv as form
from ocppscope.export.evidence import Row
from ocppscope.model import Message
from ocppscope.render.csvtext import MAX_CELL, CsvFormat, cell
from support_cli import run

NUMBERS = {
    "row",
    "connection",
    "time_ns",
    "latency_ns",
    "ordinal",
    "reply_to",
    "wire_size",
    "frames",
    "packets",
    "time",
}
RUN = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def test_golden(tmp_path):
    check_golden("remote_start_stop.csv", written("csv", noted_evidence(tmp_path)))


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_as_the_log_with_three_cells_more(path):
    lines = run("log", "-q", "--format", "csv", str(path)).out.split("\n")
    made = written("csv", capture_evidence(path)).decode().split("\n")
    assert made[0] == lines[0].rstrip("\r") + ",findings,mark,note\r"
    assert made[1:] == [line.rstrip("\r") + ",,,\r" if line else "" for line in lines[1:]]


def test_what_was_said(tmp_path):
    rows = table(written("csv", noted_evidence(tmp_path)))
    assert [(one["mark"], one["note"]) for one in rows if one["note"]] == [("a", NOTED)]
    assert [one["findings"][:20] for one in rows if one["findings"]] == ["note tx-very-short: "]


def test_no_cell_is_a_formula():
    evidence = hostile(station="=cmd|' /C calc'!A0")
    content = written("csv", evidence)
    assert is_harmless(content.decode().replace("\r\n", "\n"))
    rows = table(content)
    assert len(rows) == len(rows_of(evidence))
    for one in rows:
        assert None not in one
        for name, value in one.items():
            assert len(value) <= MAX_CELL + 40
            assert name in NUMBERS or not value.startswith(RUN), (name, value)


TEXTS = st.one_of(
    st.text(alphabet=st.characters(), max_size=60),
    st.text(alphabet='[",\\ab=\n', max_size=12),
    st.builds("[{}".format, st.text(alphabet='",\x7f\x1fa ', max_size=12)),
)


@given(texts=st.lists(TEXTS, max_size=6))
def test_many_at_once_are_as_one_by_one(texts):
    rows = [message(text.encode("utf-8", "surrogatepass"), n, id=text, action=text) for n, text in enumerate(texts)]
    format_ = CsvFormat()
    assert format_.bodies(rows) == [format_.message(one) for one in rows]
    for one in rows:
        slow = cell(one.text.decode("utf-8", "backslashreplace"))
        assert f",{slow}," in format_.message(one)
        assert f",{cell(one.id)},{cell(one.action)}," in format_.message(one)


def test_a_long_cell_is_cut():
    rows = [message(b"[" + b"x" * 40_000), message(b"[]", id="y" * 40_000)]
    for body in CsvFormat().bodies(rows):
        assert "… (40,00" in body


def test_chunks_are_bounded(monkeypatch):
    sizes: list[int] = []
    whole = CsvFormat.bodies

    def counted(self: CsvFormat, messages: list[Message]) -> list[str]:
        sizes.append(len(messages))
        return whole(self, messages)

    monkeypatch.setattr(CsvFormat, "bodies", counted)
    rows = Given([Row(n, message(b"[" + b"x" * 59, n)) for n in range(10)])
    monkeypatch.setattr(form, "MAX_CHUNK_BYTES", 100)
    first = written("csv", rows)
    assert max(sizes) == 2
    monkeypatch.setattr(form, "MAX_CHUNK_BYTES", 1 << 20)
    monkeypatch.setattr(form, "MAX_CHUNK_ROWS", 3)
    sizes.clear()
    assert written("csv", rows) == first
    assert max(sizes) == 3
