"""JSON lines: a golden, the same rows as `log --format jsonl --events`, and the keys at their ends."""

from __future__ import annotations

import base64
import json

import pytest
from support_export import (
    CAPTURES,
    HOSTILE,
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

from ocppscope.export import jsonl
from ocppscope.export.evidence import Row
from ocppscope.model import ConnectionOpened
from support_cli import run


def objects(content: bytes) -> list[dict]:
    return [json.loads(line) for line in content.decode().split("\n")[:-1]]


def test_golden(tmp_path):
    check_golden("remote_start_stop.jsonl", written("jsonl", noted_evidence(tmp_path)))


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_as_the_log(path):
    done = run("log", "-q", "--format", "jsonl", "--events", str(path))
    assert written("jsonl", capture_evidence(path)).decode() == done.out


def test_what_was_said_stands_at_the_end(tmp_path):
    rows = [one for one in objects(written("jsonl", noted_evidence(tmp_path))) if one["type"] == "message"]
    noted = [one for one in rows if "note" in one]
    assert [(one["action"], one["mark"], one["note"]) for one in noted] == [("StartTransaction", "a", NOTED)]
    assert list(noted[0])[-2:] == ["mark", "note"]
    found = [one for one in rows if "findings" in one]
    assert [[said["rule"] for said in one["findings"]] for one in found] == [["tx-very-short"]]
    assert found[0]["findings"][0].keys() == {"rule", "severity", "text"}


def test_hostile_texts():
    evidence = hostile()
    content = written("jsonl", evidence)
    assert is_harmless(content.decode())
    rows = [one for one in objects(content) if one["type"] == "message"]
    for row, made in zip(rows_of(evidence), rows, strict=True):
        octets = row.message.text
        assert made["text"] == octets.decode("utf-8", "replace")
        if "text_base64" in made:
            assert base64.b64decode(made["text_base64"]) == octets
        else:
            assert made["text"].encode() == octets
    said = {one["note"] for one in rows if "note" in one}
    assert {"<script>alert(1)</script>", "a | b || c"} <= said | set(HOSTILE)
    assert "\x1b" not in content.decode()


def test_large_messages_are_not_collected(monkeypatch):
    monkeypatch.setattr(jsonl, "MAX_CHUNK_BYTES", 100)
    sizes = []
    monkeypatch.setattr(jsonl, "row_lines", lambda rows: sizes.append(len(rows)) or b"")
    rows = [Row(n, message(b"x" * 60, n)) for n in range(10)]
    written("jsonl", Given([ConnectionOpened(0, connection()), *rows]))
    assert max(sizes) == 2
    monkeypatch.setattr(jsonl, "MAX_CHUNK_BYTES", 1 << 20)
    monkeypatch.setattr(jsonl, "MAX_CHUNK_ROWS", 3)
    sizes.clear()
    written("jsonl", Given([ConnectionOpened(0, connection()), *rows]))
    assert max(sizes) == 3


def test_a_filter_keeps_rows_and_names(tmp_path):
    evidence = capture_evidence(CAPTURES / "several_stations.pcap")
    wanted = capture_evidence(CAPTURES / "several_stations.pcap", wanted="action == Heartbeat")
    every = [one for one in objects(written("jsonl", evidence)) if one["type"] == "message"]
    chosen = objects(written("jsonl", wanted))
    assert chosen == [one for one in every if one["action"] == "Heartbeat"] != []


def test_read_again(tmp_path):
    path = tmp_path / "a.jsonl"
    evidence = capture_evidence(CAPTURES / "several_stations.pcap")
    path.write_bytes(written("jsonl", evidence))

    def content(rows):
        return [(one.message.time_ns, one.message.side, one.message.text, one.message.outcome) for one in rows]

    assert content(rows_of(capture_evidence(path))) == content(rows_of(evidence))
