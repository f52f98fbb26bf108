"""A diagnosis of the redacted events says the same as one of the real ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from conftest import ROOT
from conversation import play_file
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.cli.engines import engine_of
from ocppscope.cli.run import reading
from ocppscope.model import Event
from ocppscope.options import Options
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor

CAPTURES = sorted((ROOT / "captures").glob("*.pcap*"))
CONVERSATIONS = sorted((ROOT / "tests" / "analysis" / "conversations").glob("*/*.txt"))
HOUR = 3_600_000_000_000


def events_of(path: Path) -> list[Event]:
    options = Options()
    with reading([str(path)], options) as reader:
        engine = engine_of(options, [str(path)])
        events = [event for block in reader.blocks() for event in engine.packets(block)]
        return [*events, *engine.finish()]


def said(events: list[Event]) -> Counter[tuple[str, str, int, str]]:
    diagnosis = Diagnosis()
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns if events else 0)
    assert diagnosis.failures == {}
    return Counter((one.rule, one.severity.label, one.count, one.station) for one in diagnosis.findings())


def compare(events: list[Event], policy: Policy) -> Counter[tuple[str, str, int, str]]:
    redactor = Redactor(policy)
    shown = [redactor.event(event) for event in events]
    before, after = said(events), said(shown)
    renamed: Counter[tuple[str, str, int, str]] = Counter()
    for (rule, severity, count, station), times in before.items():
        renamed[rule, severity, count, redactor.station(station)] += times
    assert after == renamed
    return before


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_of_captures(path):
    compare(events_of(path), Policy(b"k" * 32))


def test_there_is_something_to_find():
    assert sum(len(compare(events_of(path), Policy(b"x" * 32))) for path in CAPTURES if "broken" in path.stem) > 20


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_of_the_conversations_of_the_rules(path):
    compare(play_file(path), Policy(b"k" * 32))


def test_with_times_shifted():
    """The rules about clocks compare times in payloads with those of packets."""
    for path in CAPTURES:
        compare(events_of(path), Policy(b"k" * 32, shift_ns=-1_000 * HOUR))
