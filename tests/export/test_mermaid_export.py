"""The Mermaid diagram: a golden, its bounds, and what Mermaid itself makes of it."""

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
    read_by_node,
    written,
)

from ocppscope.export.evidence import Row
from ocppscope.model import ConnectionOpened
from ocppscope.render.mermaid import MAX_MERMAID_CHARACTERS, MAX_MERMAID_MESSAGES

STATEMENT = re.compile(
    r"sequenceDiagram|    (participant (S\d+|C|P) as [^;]*(;[^;]*)*|Note over (S\d+|P)(,(C|P))?: .+|"
    r"(S\d+|C|P)(->>|-\)|-->>|--x|-x)(S\d+|C|P): .+)"
)


def test_golden(tmp_path):
    check_golden("remote_start_stop.mmd", written("mermaid", noted_evidence(tmp_path)))


def test_what_was_said_stands_below(tmp_path):
    lines = written("mermaid", noted_evidence(tmp_path)).decode().splitlines()
    at = next(number for number, line in enumerate(lines) if NOTED in line)
    assert "StartTransaction" in lines[at - 1]
    assert lines[at] == f"    Note over S0,C: #91;a#93; {NOTED}"
    assert any("tx-very-short" in line and line.startswith("    Note over S0,C: ") for line in lines)


def test_a_filter_keeps_the_lanes():
    evidence = capture_evidence(CAPTURES / "several_stations.pcap", wanted="action == BootNotification")
    names = [line for line in written("mermaid", evidence).decode().splitlines() if "participant S" in line]
    assert len(names) > 1
    assert "station" not in {name.split(" as ")[1] for name in names}


def test_it_is_bounded_and_says_so():
    text = b'[2,"1","Authorize",{"idTag":"AN-IDENTIFIER-01"}]'
    rows = [Row(n, message(text, n, action="Authorize")) for n in range(3000)]
    text = written("mermaid", Given([ConnectionOpened(0, connection()), *rows])).decode()
    assert len(text) < MAX_MERMAID_CHARACTERS + 1000
    *_, left, more = text.splitlines()
    counts = re.fullmatch(r" *Note over S0,C: (\d+) of (\d+) rows are left out from here on", left)
    others = re.fullmatch(r" *Note over S0,C: and (\d+) more events", more)
    assert counts
    assert others
    assert text.count("->>") == int(counts[2]) - int(counts[1]) - 1
    assert int(counts[2]) <= MAX_MERMAID_MESSAGES
    assert int(counts[2]) + int(others[1]) == 3001


@pytest.mark.parametrize("station", HOSTILE)
def test_hostile_texts(station):
    text = written("mermaid", hostile(station)).decode()
    assert is_harmless(text)
    for line in text.splitlines():
        assert STATEMENT.fullmatch(line), line
        assert "<" not in line.replace("<br", "")
        assert "%%" not in line


@pytest.mark.node
def test_mermaid_reads_it(tmp_path):
    texts = [written("mermaid", hostile(station)) for station in HOSTILE]
    texts += [written("mermaid", capture_evidence(path)) for path in sorted(CAPTURES.glob("*.pcap"))]
    texts.append(b"sequenceDiagram\n    S0->>: no receiver\n")
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.mmd")
        paths[-1].write_bytes(text)
    *sound, wrong = read_by_node("mermaid.mjs", *paths)
    assert sound == [{"type": "sequence"}] * (len(texts) - 1)
    assert "error" in wrong
