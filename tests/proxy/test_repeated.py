"""A fleet that has the same trouble again and again is told of in few sentences, and none is lost."""

from __future__ import annotations

import pytest

from ocppscope.proxy import repeated
from ocppscope.proxy.repeated import EVERY_NS, Repeated


class Made:
    def __init__(self) -> None:
        self.now = 0
        self.told: list[str] = []
        self.repeated = Repeated(self.told.append, lambda: self.now)


def test_the_first_is_told_at_once_and_others_are_counted():
    made = Made()
    for number in range(1001):
        made.repeated.say("no way.", f"S{number}")
        made.repeated.look()
    assert made.told == ["S0: no way."]
    made.now = EVERY_NS
    made.repeated.look()
    assert made.told[1:] == ["1,000 more times: no way."]
    made.repeated.say("no way.", "S1")
    made.repeated.end()
    assert made.told[2:] == ["1 more time: no way."]


def test_after_a_silence_it_is_told_at_once_again():
    made = Made()
    made.repeated.say("no way.", "A")
    made.now = EVERY_NS
    made.repeated.look()
    made.repeated.say("no way.", "B")
    assert made.told == ["A: no way.", "B: no way."]


def test_kinds_are_told_apart_and_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(repeated, "MAX_KINDS", 3)
    made = Made()
    for number in range(5):
        for _ in range(2):
            made.repeated.say(f"kind {number}.", "A")
    assert len(made.repeated._told) == 3
    made.repeated.end()
    assert sorted(made.told) == sorted(
        f"{start}kind {number}." for number in range(5) for start in ("A: ", "1 more time: ")
    )
