"""The policy: who is asked in which order, what a filter may ask, and what all connections share."""

from __future__ import annotations

import random

import pytest
from playbook import CSMS, STATION, Playbook, noted, ordered, received, sent, told

from ocppscope.control import Drop, Forward, Held, Released
from ocppscope.errors import UsageError
from ocppscope.proxy import policy as decisions
from ocppscope.proxy.frames import MAX_MESSAGE_BYTES
from ocppscope.proxy.policy import MAX_COPIES, MAX_HOLD_NS, SECOND, Policy, Room, understood, value_of
from ocppscope.proxy.talk import MAX_TOLD
from ocppscope.proxy.wording import MAX_COPIED_BYTES

BEAT = '[2,"h1","Heartbeat",{}]'


class Asked:
    """A rulebook that decides what it is given and remembers what it was asked."""

    def __init__(self, *found) -> None:
        self.found = list(found)
        self.texts: list[str] = []
        self.deltas: list[int | None] = []

    def rules(self, chance):
        return [self]

    def decide(self, seen, around, say):
        self.texts.append(seen.text)
        self.deltas.append(around.delta_ns)
        say("asked")
        return self.found.pop(0) if self.found else None


def test_one_after_the_other_until_the_last_word():
    first = Asked(None, decisions.Edit("a", "[2,1]"), decisions.Drop("b"))
    second = Asked(None, None)
    book = Playbook(Policy((first, second)))
    for _ in range(3):
        book.say(STATION, BEAT)
    assert first.texts == [BEAT] * 3
    assert second.texts == [BEAT, "[2,1]"]
    assert first.deltas == [None, 0, 0]
    assert [entry.act for entry in book.log if entry.what != "told"] == ["", "edited", "dropped"]


def test_the_intercept_filter_sees_what_an_edit_made():
    policy = Policy((Asked(decisions.Edit("e", '[2,"h1","Reset",{"type":"Soft"}]')),))
    policy.intercept("action == Reset and payload.type == Soft")
    book = Playbook(policy)
    book.say(STATION, BEAT)
    assert [type(tiding).__name__ for tiding in book.tidings] == ["Said", "Held"]


@pytest.mark.parametrize("text", ["actoin == 1", "finding.severity == error", "row > 1", "note", "mark", "and"])
def test_a_filter_that_cannot_be_used_changes_nothing(text):
    policy = Policy()
    policy.intercept("Heartbeat")
    with pytest.raises(UsageError):
        policy.intercept(text)
    assert policy.intercepting == "Heartbeat"


def test_no_filter():
    policy = Policy()
    for text in ("", "  "):
        policy.intercept("Heartbeat")
        policy.intercept(text)
        assert policy.wanted is None
        assert policy.intercepting == ""
    assert understood("latency > 2s").text == "latency > 2s"


def test_numbers_and_room_are_shared_by_all_connections():
    policy = Policy(room=Room(count=2), chance=random.Random(1))
    policy.intercept("Heartbeat")
    books = [Playbook(policy) for _ in range(3)]
    for number, book in enumerate(books[:2], 1):
        book.play(received(STATION, BEAT), noted(STATION, "held"), told(Held, held=number))
    books[2].play(received(STATION, BEAT), sent(CSMS, BEAT, "expired"))
    assert [book.session.holds(2) for book in books] == [False, True, False]
    books[1].play(ordered(Drop(2)), noted(STATION, "dropped"), told(Released))
    books[2].play(received(STATION, BEAT), noted(STATION, "held"), told(Held, held=3))


def test_times_have_bounds():
    assert Policy(hold_ns=1 << 62).hold_ns == MAX_HOLD_NS
    book = Playbook(Policy((Asked(decisions.Delay("d", 1 << 62)),)))
    book.say(STATION, BEAT)
    assert book.session.deadline == book.now + MAX_HOLD_NS


def test_copies_have_bounds():
    book = Playbook(Policy((Asked(decisions.Duplicate("d", 1 << 40)),)))
    book.say(STATION, BEAT)
    assert len([entry for entry in book.log if entry.what == "sent"]) == MAX_COPIES
    size = MAX_COPIED_BYTES // 8
    book = Playbook(Policy((Asked(decisions.Duplicate("d", 100)),)))
    book.say(STATION, "x" * size)
    assert [len(str(entry.content)) for entry in book.log if entry.what == "sent"] == [size] * 8


def test_sentences_have_a_bound_when_nobody_takes_them():
    policy = Policy((Asked(),))
    book = Playbook(policy)
    talk = book.session._talk
    for _ in range(MAX_TOLD + 10):
        book.session.received(STATION, b"\x81\x81\0\0\0\0x", book.now)
    assert len(talk.told) == MAX_TOLD


def test_a_text_of_the_user_has_a_bound():
    policy = Policy()
    policy.intercept("Heartbeat")
    book = Playbook(policy).play(received(STATION, BEAT), noted(STATION, "held"), told(Held))
    book.order(Forward(1, text="x" * (MAX_MESSAGE_BYTES + 1)))
    assert book.session.holds(1)
    assert "still held" in book.tidings[-1].text


def test_hold_by_a_rule_is_a_deadline_of_the_policy():
    book = Playbook(Policy((Asked(decisions.Hold("h")),), hold_ns=SECOND))
    book.say(STATION, BEAT)
    assert book.session.deadline == book.now + SECOND


@pytest.mark.parametrize(("payload", "value"), [(b"", None), (b"{", None), (b"[" * 100_000, None), (b"\xff", None)])
def test_payloads_that_are_none(payload, value):
    assert value_of(payload) is value
