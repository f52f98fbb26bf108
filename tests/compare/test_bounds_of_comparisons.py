"""Bounds of what is compared and listed, reached one by one: what is left out is said or counted."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from msgspec.structs import replace
from support_compare import compared, of_capture, of_text, recording

from ocppscope.compare import abstraction, alignment, dialogue, endings, fields, legs, stories
from ocppscope.compare import recording as recordings
from ocppscope.compare.abstraction import Shape
from ocppscope.compare.alignment import IDLE, Step
from ocppscope.compare.report import SESSIONS, Comparison
from ocppscope.model import Kind, Message, Outcome, Side
from support_engine import CAPTURES, run

# --- payloads -----------------------------------------------------------------------------------------------------


def shape_of(payload: object) -> Shape:
    shape = Shape()
    shape.add(payload, 0)
    return shape


def nested(depth: int) -> Any:
    """Something inside so many objects."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("beyond", [0, 1, 1000])
def test_elements_of_an_array(beyond: int):
    """MAX_ITEMS are looked at; the shape says that there were more."""
    shape = shape_of({"list": [1] * abstraction.MAX_ITEMS + [{"last": 1}] * beyond})
    assert set(shape.elements) == {"list", "list[]"}
    assert shape.elements["list[]"].types.total() == abstraction.MAX_ITEMS
    assert shape.is_whole == (not beyond)


@pytest.mark.parametrize("beyond", [0, 1, 500])
def test_levels_of_a_payload(beyond: int):
    """MAX_DEPTH, likewise."""
    shape = shape_of(nested(abstraction.MAX_DEPTH + beyond))
    assert max(path.count("a") for path in shape.elements) == abstraction.MAX_DEPTH
    assert shape.is_whole == (not beyond)


def test_elements_of_a_kind_of_payload():
    names = [f"k{number}" for number in range(abstraction.MAX_ELEMENTS + 1)]
    whole, one_object = shape_of(dict.fromkeys(names[:-1], 1)), shape_of(dict.fromkeys(names, 1))
    assert (whole.is_whole, one_object.is_whole) == (True, False)
    whole.add({names[-1]: 1}, 1)
    assert not whole.is_whole
    assert len(whole.elements) == len(one_object.elements) == abstraction.MAX_ELEMENTS


@pytest.mark.parametrize(("count", "is_told"), [(abstraction.MAX_ITEMS, False), (abstraction.MAX_ITEMS + 1, True)])
def test_payloads_that_are_not_compared_as_a_whole_are_told(count: int, is_told: bool):
    value = '{"timestamp":"2026-11-22T10:00:00Z","sampledValue":[{"value":"1"}]}'
    payload = f'{{"connectorId":1,"meterValue":[{",".join([value] * count)}]}}'
    text = (
        "-- 2026-11-22 (UTC)\n10:00:00.000 CP-1 → OPEN ocpp1.6\n"
        f'10:00:01.000 CP-1 → [2,"1","MeterValues",{payload}]\n10:00:02.000 CP-1 ← [3,"1",{{}}]'
    )
    found = compared(of_text(text), of_text(text.replace("-11-22", "-12-24"), "B"), SESSIONS)
    told = [one for one in found.notices if "more elements than are looked at" in one]
    assert told == (
        ["Payloads of CP-1 have more elements than are looked at: not all are compared of MeterValues."]
        if is_told else []
    )  # fmt: skip


def test_characters_of_a_word():
    """MAX_WORD: longer ones that begin alike count as one; no key, result, name or value is longer."""
    most = abstraction.MAX_WORD
    word = "w" * most

    def message(kind: Kind, *rest: object, action: str = "") -> Message:
        text = json.dumps([int(kind), "id", *rest]).encode()
        return Message(0, 0, 0, Side.STATION, kind, "id", action, text, 0, (), outcome=Outcome.ANSWERED)

    for more in ("", "x", "y" * 999):
        asked = message(Kind.CALL, word + more, {}, action=word + more)
        assert abstraction.key(asked, {"status": word + more}) == f"→ {word} {word}"
        answer = message(Kind.CALLRESULT, {"status": word + more})
        assert abstraction.result(asked, answer).text == word
        error = message(Kind.CALLERROR, word + more, "", {})
        assert abstraction.result(asked, error).text == f"CALLERROR {word}"
        shape = shape_of({word + more: word + more})
        assert list(shape.elements) == [word]
        assert list(shape.elements[word].values) == [word]


@pytest.mark.parametrize("depth", [fields.MAX_DEPTH - 3, fields.MAX_DEPTH, fields.MAX_DEPTH + 1, 300])
def test_levels_that_are_compared_element_by_element(depth: int):
    """MAX_DEPTH: what lies deeper is compared as one, so that no difference is missed."""
    one, other = (json.dumps([value, nested(depth)]).encode().replace(b": 1", b": %d" % value) for value in (1, 2))
    found = fields.changes(one, other)
    assert [fact.name for fact in found] == ["/0", "/1" + "/a" * min(depth, fields.MAX_DEPTH - 1)]


@pytest.mark.parametrize("beyond", [0, 1, 999])
@pytest.mark.parametrize("letter", ["x", "ä", "😀"])
def test_characters_of_a_value(letter: str, beyond: int):
    """MAX_VALUE: what is cut is marked, so that two values that begin alike are not shown as if they were equal."""
    text = letter * (fields.MAX_VALUE + beyond)
    kept = letter * fields.MAX_VALUE + "…" * bool(beyond)
    assert fields._text(text.encode()) == kept
    assert fields.shown(text) == '"' + letter * (fields.MAX_VALUE - 1) + "…"
    assert fields.shown(10 ** (fields.MAX_VALUE - 1)) == "1" + "0" * (fields.MAX_VALUE - 1)


# --- dialogues ----------------------------------------------------------------------------------------------------


class Lines:
    """Ladders that count what is put into them."""

    def __init__(self) -> None:
        self.same = 0

    def put(self, place: tuple[int, int], mark: str) -> None:
        self.same += -1 not in place

    def know_answers(self, *_: object) -> None:
        pass


class Told:
    """A story of so many exchanges, all alike."""

    def __init__(self, count: int) -> None:
        self.steps = [Step(at, -1, "X", "→ X", "", False, IDLE, 1) for at in range(count)]
        self.actions: dict[object, int] = {}


@pytest.mark.parametrize("beyond", [0, 1])
def test_exchanges_of_a_phase(beyond: int):
    """MAX_PHASE: in a longer one they are counted instead, and that is told."""
    ladders = Lines()
    count = alignment.MAX_PHASE + beyond
    made = dialogue.Dialogue(Told(count), Told(count), "CP-1", ladders)
    made._align()
    assert ladders.same == (0 if beyond else count)
    assert [f"{alignment.MAX_PHASE:,}" in one for one in made.notices] == [True] * beyond


def test_elements_that_are_listed_of_a_payload():
    """MAX_FACTS; the difference counts them all."""
    count = dialogue.MAX_FACTS + 8
    payload = {"vendorId": "v", **{f"k{number}": 1 for number in range(count)}}
    head = "-- 2026-11-22 (UTC)\n10:00:00.000 CP-1 → OPEN ocpp1.6\n10:00:01.000 CP-1 → "
    one, other = (
        head + json.dumps([2, "1", "DataTransfer", part]) + '\n10:00:02.000 CP-1 ← [3,"1",{"status":"Accepted"}]'
        for part in (payload, {"vendorId": "v"})
    )
    found = compared(of_text(one), of_text(other.replace("-11-22", "-12-24"), "B"), SESSIONS)
    (difference,) = (one for one in found.differences if one.code == "payload")
    assert len(difference.facts) == dialogue.MAX_FACTS
    assert difference.count == count


# --- the upgrade --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beyond", [0, 1, 30])
def test_headers_that_differ(beyond: int):
    """MAX_HEADERS; of more it is said how many."""
    made = of_capture(CAPTURES / "compare" / "station.pcap")
    connection = next(one for one in made.connections.values() if one.handshake is not None)
    made.close()
    assert connection.handshake is not None
    count = endings.MAX_HEADERS + beyond
    more = tuple((f"X-{number}", "1") for number in range(count))
    headers = connection.handshake.request_headers + more
    other = replace(connection, handshake=replace(connection.handshake, request_headers=headers))
    facts = endings.headers(connection, other)
    assert [fact.name for fact in facts[: endings.MAX_HEADERS]] == [
        f"request x-{number}" for number in range(endings.MAX_HEADERS)
    ]
    assert [fact.name for fact in facts[endings.MAX_HEADERS :]] == ([f"{beyond} more"] if beyond else [])


# --- tables -------------------------------------------------------------------------------------------------------


def pair() -> Comparison:
    folder = CAPTURES / "compare"
    return compared(of_capture(folder / "station.pcap"), of_capture(folder / "csms.pcap"))


def test_actions_of_a_table(monkeypatch: pytest.MonkeyPatch):
    """MAX_ACTIONS of either direction, the most frequent ones; that there are others is said below."""
    whole = {table.id: table for table in pair().tables}
    assert legs.MAX_ACTIONS >= 100
    monkeypatch.setattr(legs, "MAX_ACTIONS", 1)
    cut = {table.id: table for table in pair().tables}
    for name, each in (("legs", 2), ("exchanges", 1)):
        kept = [row[0] for row in cut[name].rows]
        assert max(map(kept.count, set(kept))) == each, "with the line of all"
        gone = len(whole[name].rows) - len(cut[name].rows)
        assert gone > 0
        assert set(cut[name].rows) <= set(whole[name].rows)
        assert cut[name].note == f"{whole[name].note} The {gone:,} rarest actions are not listed."


# --- captures -----------------------------------------------------------------------------------------------------


def default(of: object, name: str) -> object:
    return inspect.signature(of).parameters[name].default


def test_messages_of_a_capture():
    """MAX_ROWS; those behind them are left out, and are counted."""
    assert default(recordings.Recording, "max_rows") == recordings.MAX_ROWS == 2_000_000
    events = run(CAPTURES / "clean16.pcap").events
    for most in (1, 40, 121, 122, 500):
        made = recording(events, max_rows=most)
        assert made.messages == len(made.store) == min(most, 122)
        assert made.left_out == max(122 - most, 0)
        assert bool(made.notices) == (most < 122)
        made.close()


def test_exchanges_of_a_station(monkeypatch: pytest.MonkeyPatch):
    """MAX_STEPS; those behind them are left out, and it is told how many."""
    assert default(stories.Story, "max_steps") == stories.MAX_STEPS >= 10_000
    made = of_capture("clean16")
    (identity,) = made.diagnosis.stations.by_identity
    whole = stories.Story(made, identity)
    count = len(whole.steps)
    assert whole.left_out == 0
    for most in (3, count, count + 1):
        story = stories.Story(made, identity, most)
        assert story.steps == whole.steps[:most]
        assert story.left_out == max(count - most, 0)
    made.close()
    monkeypatch.setattr(stories.Story.__init__, "__defaults__", (3,))
    found = compared(of_capture("clean16"), of_capture("clean16"), SESSIONS)
    assert [one for one in found.notices if "are left out" in one] == [
        f"{count - 3:,} exchanges of {identity} at the end of {letter} are left out." for letter in "AB"
    ]
