"""Phases, and two sequences side by side."""

from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.compare.alignment import BOOT, IDLE, TRANSACTION, Phases, Step, align, condensed

MINUTE = 60 * 10**9


@given(st.text("abc", max_size=14), st.text("abc", max_size=14))
def test_an_alignment_holds_everything_in_order_and_is_short(a, b):
    found = align(a, b)
    assert [x for x, _ in found if x >= 0] == list(range(len(a)))
    assert [y for _, y in found if y >= 0] == list(range(len(b)))
    assert all(a[x] == b[y] for x, y in found if x >= 0 and y >= 0)
    common = sum(x >= 0 and y >= 0 for x, y in found)
    assert common >= sum(block.size for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
    assert common == longest(a, b)


def longest(a, b):
    rows = [[0] * (len(b) + 1)]
    for x in a:
        row = [0]
        for place, y in enumerate(b):
            row.append(rows[-1][place] + 1 if x == y else max(row[-1], rows[-1][place + 1]))
        rows.append(row)
    return rows[-1][-1]


def test_too_many_edits_are_not_looked_for():
    assert align("a" * 20, "b" * 20, max_edits=10) is None
    assert align("a" * 5, "b" * 5, max_edits=10) is not None


def test_long_sequences_that_are_nearly_the_same_are_quick():
    a = list(range(50_000))
    found = align(a, a[:20_000] + a[20_005:])
    assert sum(y < 0 for _, y in found) == 5


STORY = [
    ("BootNotification", "", BOOT),
    ("StatusNotification", "Available", BOOT),
    ("GetConfiguration", "", BOOT),
    ("Heartbeat", "", IDLE),
    ("StatusNotification", "Preparing", TRANSACTION),
    ("Authorize", "", TRANSACTION),
    ("StartTransaction", "", TRANSACTION),
    ("MeterValues", "", TRANSACTION),
    ("Heartbeat", "", TRANSACTION),
    ("StopTransaction", "", TRANSACTION),
    ("StatusNotification", "Finishing", TRANSACTION),
    ("StatusNotification", "Available", TRANSACTION),
    ("Heartbeat", "", IDLE),
    ("TransactionEvent", "Started", TRANSACTION),
    ("TransactionEvent", "Ended", TRANSACTION),
    ("Reset", "", IDLE),
    ("BootNotification", "", BOOT),
]


def test_phases():
    phases = Phases()
    told = [
        (action, about, phases.of(action, about, number * MINUTE // 10))
        for number, (action, about, _) in enumerate(STORY)
    ]
    assert [(action, about, phase) for action, about, (phase, _) in told] == STORY
    assert [turn for _, _, (phase, turn) in told if phase == BOOT] == [1, 1, 1, 2]
    assert {turn for _, _, (phase, turn) in told if phase == TRANSACTION} == {1, 2}


def step(action, key="", result="answered"):
    return Step(0, 1, action, key or f"→ {action}", result, False, IDLE, 1)


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        (["Heartbeat", "Heartbeat"], []),
        (["MeterValues", "Heartbeat", "MeterValues", "MeterValues"], ["MeterValues"]),
        (["MeterValues", "StopTransaction", "MeterValues"], ["MeterValues", "StopTransaction", "MeterValues"]),
        (["Authorize", "Authorize"], ["Authorize", "Authorize"]),
    ],
)
def test_what_only_says_how_long_was_recorded_counts_once(steps, kept):
    assert [one.action for one in condensed([step(name) for name in steps])] == kept
