"""Roots and consequences."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ocppscope.analysis.chains import CHAINS, SECOND, explained
from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame, Finding, Ref
from ocppscope.analysis.registry import load
from ocppscope.analysis.report import Report

RULES = load()


def finding(
    number, rule, *times, severity=WARNING, station="CP-1", count=None, ordinals=None, what="→ CALL X", last=None
):
    ordinals = ordinals or [-1] * len(times)
    refs = tuple(Ref(int(time * SECOND), 0, ordinal, 0, what) for time, ordinal in zip(times, ordinals, strict=True))
    return Finding(
        number, rule, severity, station, (0,), "It happened.", Blame.UNKNOWN, int(times[0] * SECOND),
        int((last or times[-1]) * SECOND), count or len(times), refs,
    )  # fmt: skip


def roots(*findings):
    return {one.number: one.root for one in explained(list(findings))}


def test_every_chain_is_about_rules_that_there_are():
    for chain in CHAINS:
        for rule in (*chain.roots, *chain.consequences):
            assert rule in RULES, rule


@pytest.mark.parametrize(
    ("consequence", "root"),
    [
        (finding(1, "no-reconnect", 150), 0),
        (finding(1, "no-reconnect", 99.99), 0),  # a little before: the same event from its other end
        (finding(1, "no-reconnect", 99), None),
        (finding(1, "no-reconnect", 90), None),
        (finding(1, "no-reconnect", 100 + 3601), None),
        (finding(1, "no-reconnect", 150, 90), None),  # a part of it has another reason
        (finding(1, "no-reconnect", 150, station="CP-2"), None),
        (finding(1, "rpc-callerror", 150), None),
    ],
)
def test_what_follows_is_explained(consequence, root):
    assert roots(finding(0, "http-auth-failed", 100, severity=ERROR), consequence)[1] == root


def test_a_root_with_more_occurrences_than_it_names_explains_up_to_the_last():
    root = finding(0, "http-auth-failed", 100, 200, count=50, last=9000)
    assert roots(root, finding(1, "reconnect-storm", 8000))[1] == 0
    assert roots(root, finding(1, "reconnect-storm", 13_000))[1] is None


@pytest.mark.parametrize(
    ("refs", "root"),
    [([(110, 4, "→ CALL X")], 0), ([(110, 4, "→ CALL X"), (111, 5, "← CALLERROR X")], 0),
     ([(110, 6, "→ CALL X")], None), ([(111, 5, "← CALLERROR X")], None)],
)  # fmt: skip
def test_of_the_same_exchange(refs, root):
    first = finding(0, "schema-enum", 110, ordinals=[4])
    places = tuple(Ref(time * SECOND, 0, ordinal, 0, what) for time, ordinal, what in refs)
    second = replace(finding(1, "rpc-callerror", 111), evidence=places)
    assert roots(first, second)[1] == root


def test_no_circle_and_no_error_by_a_note():
    first = finding(0, "rpc-call-timeout", 100)
    second = finding(1, "csms-silent", 100, severity=ERROR)
    found = roots(first, second)
    assert found == {0: 1, 1: None}
    assert (
        roots(finding(0, "config-rejected", 1, severity=NOTE), finding(1, "meter-missing", 2, severity=ERROR))[1]
        is None
    )


def test_order_and_consequences():
    found = explained([
        finding(0, "clock-jump", 50, severity=NOTE),
        finding(1, "no-reconnect", 150, severity=ERROR),
        finding(2, "rpc-slow-response", 10, severity=NOTE),
        finding(3, "http-auth-failed", 100, severity=ERROR),
        finding(4, "http-upgrade-refused", 100, severity=ERROR),
        finding(5, "meter-register-decrease", 5, severity=ERROR),
    ])  # fmt: skip
    assert [one.number for one in found] == [3, 1, 4, 5, 2, 0]
    report = Report((), 0, 0, 0, (), tuple(found))
    assert {one.number for one in report.consequences(found[0])} == {1, 4}
    assert report.counts() == {NOTE: 2, WARNING: 0, ERROR: 2}
