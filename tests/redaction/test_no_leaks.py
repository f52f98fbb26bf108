"""What a redactor gives has no leaks in it, so that the scan at the end of an export stops for real ones only."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_diagnosis_stays import CAPTURES, CONVERSATIONS, events_of

from conftest import ROOT, SHARED
from conversation import play_file
from ocppscope.model import Event
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor

TRACES = sorted(SHARED.glob("logs/open-ocpp-trace/fixtures/*/trace.jsonl"))


def left(events: list[Event], policy: Policy) -> list[tuple[str, str]]:
    """What is found after the events were met once, as an export does."""
    redactor = Redactor(policy)
    for event in events:
        redactor.event(event)
    found = []
    for event in events:
        for text in texts_of(redactor.event(event)):
            found += [(leak.kind, leak.excerpt) for leak in redactor.leaks(text)]
    return found


def texts_of(event: object) -> list[str]:
    """All strings in an event."""
    if isinstance(event, str):
        return [event]
    if isinstance(event, bytes):
        return [event.decode("utf-8", "replace")]
    if isinstance(event, tuple):
        return [text for one in event for text in texts_of(one)]
    return [text for name in getattr(event, "__struct_fields__", ()) for text in texts_of(getattr(event, name))]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_in_captures(path: Path):
    assert left(events_of(path), Policy(b"k" * 32)) == []


def test_in_conversations():
    assert [(path.stem, found) for path in CONVERSATIONS if (found := left(play_file(path), Policy(b"k" * 32)))] == []


@pytest.mark.shared
@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_in_traces(path: Path):
    assert left(play_file(path), Policy(b"k" * 32)) == []


def test_there_is_something_to_find():
    events = events_of(ROOT / "captures" / "clean16.pcap")
    redactor = Redactor(Policy(b"k" * 32))
    for event in events:
        redactor.event(event)
    assert sum(len(redactor.leaks(text)) for event in events for text in texts_of(event)) > 20
