"""csv: RFC 4180, the same facts as jsonl, and nothing that a spreadsheet would run."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.model import Connection, Endpoint, Flow, Kind, Message, Problem, Side, StreamGap, Version
from ocppscope.render.csvtext import COLUMNS, MAX_CELL, CsvFormat, cell
from ocppscope.render.jsonl import MessageRow

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "\uff1d1+1"]


def row(message: Message, station: str) -> dict[str, str]:
    form = CsvFormat()
    flow = Flow(Endpoint("10.0.0.1", 5), Endpoint("10.0.0.2", 9000))
    form.seen(Connection(0, flow, 1, 1, station, Version.V16, False, None))
    written = form.header() + form.line(4, 0, message.time_ns, form.message(message))
    (found,) = csv.DictReader(io.StringIO(written, newline=""), strict=True)
    return found


def message(text: str, **changes: object) -> Message:
    fields = {"time_ns": 1_000_000, "connection": 0, "ordinal": 1, "side": Side.CSMS, "kind": Kind.CALLRESULT}
    fields |= {"id": "a", "action": "X", "text": text.encode(), "wire_size": 9, "packets": (4, 6), "latency_ns": 12}
    return Message(**(fields | changes))


def test_columns_are_the_keys_of_jsonl():
    assert set(COLUMNS) == {*MessageRow.__struct_fields__, "row", "connection", "time"} - {"text_base64"}


def test_a_row():
    problems = (Problem("json.syntax", "a, b"), Problem("ocpp.arity", "c"))
    assert row(message('[3,"a",{}]', problems=problems, reply_to=0), "CP-1") == {
        "row": "4", "connection": "0", "time_ns": "1000000", "time": "1970-01-01 00:00:00.001000",
        "station": "CP-1", "version": "1.6", "version_guessed": "false", "side": "csms", "kind": "CALLRESULT",
        "id": "a", "action": "X", "latency_ns": "12", "outcome": "", "ordinal": "1", "reply_to": "0",
        "text": '[3,"a",{}]', "problems": "json.syntax: a, b; ocpp.arity: c", "packets": "4 6", "wire_size": "9",
        "frames": "1", "compressed": "false", "binary": "false",
    }  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_defused(text):
    found = row(message(text, id=text, action=text, problems=(Problem(text, text),)), text)
    for column in ("station", "id", "action", "text", "problems"):
        assert found[column].startswith("'")


@given(st.text())
def test_no_cell_is_a_formula_or_more_than_a_cell(text):
    (cells,) = csv.reader(io.StringIO(cell(text) + ",x\r\n", newline=""), strict=True)
    assert len(cells) == 2
    assert not cells[0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cells[0].isprintable()


def test_a_cell_is_bounded():
    assert len(cell("x" * 10 * MAX_CELL)) < MAX_CELL + 40


def test_only_messages_have_rows():
    assert CsvFormat().event(StreamGap(0, 0, Side.STATION, 1, "why")) is None
