"""The annotated log: a golden, what it carries, and that our reader gets the same messages from it."""

from __future__ import annotations

import json

import pytest
from support_export import (
    CAPTURES,
    NOTED,
    Given,
    capture_evidence,
    check_golden,
    connection,
    hostile,
    is_harmless,
    message,
    noted_evidence,
    rows_of,
    written,
)

from ocppscope.export.evidence import Row
from ocppscope.export.text import SPAN_COLUMNS
from ocppscope.model import ConnectionOpened, Kind


def test_golden(tmp_path):
    check_golden("remote_start_stop.log", written("text", noted_evidence(tmp_path)))


def test_findings_and_notes_stand_below_their_messages(tmp_path):
    lines = written("text", noted_evidence(tmp_path)).decode().splitlines()
    at = lines.index(f"#     ; [a] {NOTED}")
    above = next(line for line in reversed(lines[:at]) if not line.startswith(" "))
    assert "CALL       StartTransaction" in above
    assert any(line.startswith("#     ▲ note tx-very-short  A transaction lasted") for line in lines)


def test_the_head(tmp_path):
    lines = written("text", noted_evidence(tmp_path)).decode().splitlines()
    assert lines[0] == "# ocppscope log of remote_start_stop.pcap"
    assert lines[1].rstrip() == "# 48 messages, 2026-11-22 11:47:52.322 to 2026-11-22 11:48:13.607 (UTC)"
    assert len(lines[1]) == SPAN_COLUMNS
    assert lines[2].startswith("# not redacted")


def test_nothing_is_still_a_log():
    assert written("text", Given([])).decode().splitlines()[1].rstrip() == "# 0 messages"


@pytest.mark.parametrize(
    "name", ["remote_start_stop", "several_stations", "ocpp201", "refused_handshakes", "ocpp21_send"]
)
def test_our_reader_gets_the_same_messages(tmp_path, name):
    evidence = capture_evidence(CAPTURES / f"{name}.pcap")
    path = tmp_path / "a.log"
    path.write_bytes(written("text", evidence))
    again = capture_evidence(path)

    def content(rows):
        return [
            (row.message.side, row.message.kind, row.message.id, row.message.action, row.message.time_ns // 1000,
             json.loads(row.message.text), row.message.outcome)
            for row in rows
        ]  # fmt: skip

    assert content(rows_of(again)) == content(rows_of(evidence))
    first, *_ = (line for line in written("text", again).splitlines(keepends=True) if not line.startswith(b"#"))
    assert first == b"-- 2026-11-22 (UTC)\n"


def test_an_exported_log_is_exported_as_it_is(tmp_path):
    path = tmp_path / "remote_start_stop.pcap"
    path.write_bytes(written("text", capture_evidence(CAPTURES / "remote_start_stop.pcap")))
    assert written("text", capture_evidence(path)) == path.read_bytes()


def test_a_long_message_is_not_cut(tmp_path):
    text = json.dumps([2, "1", "DataTransfer", {"vendorId": "v", "data": "x" * 50_000}]).encode()
    lines = json.dumps([2, "2", "DataTransfer", {"vendorId": "v", "data": "y", "a": list(range(6000))}]).encode()
    rows = [Row(n, message(one, n, id=str(n), action="DataTransfer")) for n, one in enumerate((text, lines))]
    path = tmp_path / "a.log"
    path.write_bytes(written("text", Given([ConnectionOpened(0, connection()), *rows])))
    assert [json.loads(row.message.text) for row in rows_of(capture_evidence(path))] == [
        json.loads(text), json.loads(lines),
    ]  # fmt: skip


def _is_json(octets: bytes) -> bool:
    try:
        json.loads(octets)
    except ValueError:
        return False
    return True


def test_hostile_texts(tmp_path):
    evidence = hostile()
    text = written("text", evidence).decode()
    assert is_harmless(text)
    path = tmp_path / "a.log"
    path.write_text(text)
    asked = [json.loads(row.message.text) for row in rows_of(evidence) if row.message.kind is Kind.CALL]
    asked = [one for one in asked if "\u0300" not in one[1]]  # floods of marks are cut for the eye
    read = [row.message.text for row in rows_of(capture_evidence(path)) if row.message.text.startswith(b"[2,")]
    for one in asked:
        text = json.dumps(one, ensure_ascii=False, separators=(",", ":"))
        assert any(json.loads(octets) == one for octets in read if _is_json(octets)), text
