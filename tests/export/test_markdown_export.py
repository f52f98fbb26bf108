"""Markdown: a golden, its bounds, and that nothing from the wire is markup."""

from __future__ import annotations

import re

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
    written,
)

from ocppscope.export import markdown
from ocppscope.export.evidence import Row
from ocppscope.model import ConnectionOpened


def document(evidence) -> str:
    return written("markdown", evidence).decode()


def bare(text: str) -> str:
    """Without fenced blocks, code spans and our own line breaks."""
    text = re.sub(r"^```\w+\n.*?^```\n", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "code", text).replace("<br>", " ")


def test_golden(tmp_path):
    check_golden("remote_start_stop.md", written("markdown", noted_evidence(tmp_path)))


def test_the_parts(tmp_path):
    text = document(noted_evidence(tmp_path))
    heads = [line for line in text.splitlines() if line.startswith(("# ", "## "))]
    assert heads == [
        "# Diagnosis of remote\\_start\\_stop.pcap", "## Notes", "## Stations", "## Messages with findings or notes",
        "## Ladder", "## Messages",
    ]  # fmt: skip
    assert f"- note `a` `{NOTED}`" in text
    assert text.count("```") == 2 * 3


def test_findings_stand_first_with_evidence_and_advice():
    text = document(capture_evidence(CAPTURES / "broken_silence.pcap", findings=True))
    first = text.index("## error: Connections are dropped after the same time of silence")
    assert first < text.index("What to do: ") < text.index("- Evidence:") < text.index("## Messages")


def test_without_a_diagnosis_stations_are_counted():
    text = document(capture_evidence(CAPTURES / "remote_start_stop.pcap"))
    assert "- `CP-DEMO-01`, OCPP 1.6: 1 connection, 24 messages from it, 24 to it" in text


def test_bounds(monkeypatch):
    rows = [Row(n, message(b'[2,"1","Authorize",{}]', n, action="Authorize"), (), rows_note(n)) for n in range(300)]
    evidence = Given([ConnectionOpened(0, connection()), *rows])
    text = document(evidence)
    assert len(re.findall(r"^\| \d+ \|", text, flags=re.MULTILINE)) == markdown.MAX_TABLE_ROWS
    assert "100 more messages are left out here" in text
    assert text.count("### ") == markdown.MAX_REMARKED
    assert "250 more messages have findings or notes." in text
    assert "mermaid" not in text
    monkeypatch.setattr(markdown, "MAX_STATIONS", 0)
    assert "## Stations" not in document(evidence)


def rows_note(number: int):
    return rows_note_of(number, "looked at")


def rows_note_of(number: int, words: str):
    from ocppscope.store.notes import Note

    return Note(number, "", words)


def test_a_long_message_is_cut():
    text = b'[2,"1","DataTransfer",{"a":[' + b",".join(b"%d" % n for n in range(200)) + b"]}]"
    made = document(Given([ConnectionOpened(0, connection()), Row(0, message(text), (), rows_note(0))]))
    assert "more lines" in made
    assert max(map(len, made.splitlines())) < 2000


@pytest.mark.parametrize("station", HOSTILE)
def test_hostile_texts(station):
    text = document(hostile(station))
    assert is_harmless(text)
    rest = bare(text)
    assert "<" not in rest
    assert "`" not in rest
    assert not re.search(r"https?:|www\.|javascript:|@\w|(?<![\w|])#\d|!\[|\]\(", rest)
    for line in rest.splitlines():
        if line.startswith("|"):
            assert line.count("|") == 10
    heads = {line.split(" ")[0] for line in rest.splitlines() if line.startswith("#")}
    assert heads == {"#", "##", "###"}


def test_hostile_findings(tmp_path):
    """In a report, too, whose sentences are escaped elsewhere."""
    evidence = capture_evidence(CAPTURES / "broken_silence.pcap", findings=True)
    from msgspec.structs import replace

    for text in HOSTILE:
        found = tuple(
            replace(one, station=text, text=text, measured={text: text}) for one in evidence.report.findings
        )
        given = Given([], (text,), replace(evidence.report, findings=found, notices=(text,)))
        rest = bare(document(given))
        assert "<" not in rest
        assert not re.search(r"(?<!\\)[@]\w|\\@\w|https?:/|https?\\:/|\\#\d", rest), text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""), ("  ", ""), ("a", "`a`"), ("a`b", r"`a\x60b`"), ("a|b", r"`a\x7cb`"), ("`", r"`\x60`"),
        ("a\nb", r"`a\nb`"), ("<b>", "`<b>`"),
    ],
)  # fmt: skip
def test_code(text, shown):
    assert markdown.code(text) == shown
