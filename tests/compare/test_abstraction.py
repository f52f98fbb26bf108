"""What is behaviour and what is chance."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.compare import abstraction, fields
from ocppscope.compare.abstraction import Shape, class_of, compare_shapes, key, result
from ocppscope.model import Kind, Message, Outcome, Side, Version

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def message(action, payload, kind=Kind.CALL, side=Side.STATION, outcome=Outcome.PENDING):
    head = [int(kind), "id"] + ([action] if kind is Kind.CALL else [])
    return Message(0, 0, 0, side, kind, "id", action, json.dumps([*head, payload]).encode(), 0, (), outcome=outcome)


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        ("StatusNotification", {"connectorId": 1, "status": "Charging"}, "→ StatusNotification Charging"),
        ("StatusNotification", {"connectorStatus": "Occupied"}, "→ StatusNotification Occupied"),
        ("TransactionEvent", {"eventType": "Started", "seqNo": 3}, "→ TransactionEvent Started"),
        ("BootNotification", {"status": "?", "chargePointModel": "M"}, "→ BootNotification"),
        ("Authorize", {"idTag": "TAG"}, "→ Authorize"),
        ("Heartbeat", [], "→ Heartbeat"),
        ("", None, "→ (no action)"),
    ],
)
def test_keys(action, payload, expected):
    assert key(message(action, payload), payload) == expected


@pytest.mark.parametrize(
    ("answer", "outcome", "expected"),
    [
        ({"status": "Accepted"}, Outcome.ANSWERED, "Accepted"),
        ({"idTagInfo": {"status": "Blocked"}}, Outcome.ANSWERED, "Blocked"),
        ({"status": "Accepted"}, Outcome.LATE, "Accepted (late)"),
        ({}, Outcome.ANSWERED, "answered"),
    ],
)
def test_results(answer, outcome, expected):
    asked = message("X", {})
    told = message("X", answer, Kind.CALLRESULT, Side.CSMS, outcome)
    assert result(asked, told).text == expected


def test_results_without_an_answer():
    assert result(message("X", {}, outcome=Outcome.TIMEOUT), None) == ("no answer", True)
    assert result(message("X", {}, outcome=Outcome.OPEN), None) == ("", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:00:00Z", "time in UTC"),
        ("2026-11-22T10:00:00.123Z", "time in UTC with fractions"),
        ("2026-11-22T10:00:00+01:00", "time with a zone"),
        ("2026-11-22T10:00:00", "time without a zone"),
        ("12", "digits"),
        ("12.5", "decimals"),
        ("true", "a boolean in text"),
        ("", "empty"),
        ("x", "text"),
    ],
)
def test_classes(text, expected):
    assert class_of(text) == expected


def shape(*payloads):
    made = Shape()
    for one in payloads:
        made.add(one, 0)
    return made


CHANGES = [
    ([{"a": 1}], [{"a": 2}], []),
    ([{"a": "x"}], [{"a": 1}], ["a"]),
    ([{"a": 1}], [{"a": 1.5}], []),
    ([{"a": 1, "b": {"c": 1}}], [{"a": 1}], ["b"]),
    ([{"a": [{"b": "1"}]}], [{"a": [{"b": 1}]}], ["a[].b"]),
    ([{"t": "2026-11-22T10:00:00Z"}], [{"t": "2026-11-22T10:00:00"}], ["t"]),
    ([{"idTag": "AA"}], [{"idTag": "12"}], []),
    ([{"a": 1}] * 4, [{"a": 1}, {}, {}, {}], ["a"]),
]


@pytest.mark.parametrize(("a", "b", "names"), CHANGES)
def test_shapes(a, b, names):
    found = compare_shapes(shape(*a), shape(*b), Version.V16, "X", response=False)
    assert [one.name for one in found] == names


def test_values_of_an_enumeration_are_named_and_no_others():
    def stop(reason):
        return {
            "meterStop": 1,
            "timestamp": "2026-11-22T10:00:00Z",
            "transactionId": 1,
            "reason": reason,
            "idTag": reason,
        }

    found = compare_shapes(
        shape(stop("Local")), shape(stop("Remote")), Version.V16, "StopTransaction", response=False
    )
    assert [(one.name, one.a, one.b) for one in found] == [("reason", "Local", "Remote")]


@given(JSON, JSON)
def test_any_json_has_a_shape(one, other):
    a, b = shape(one), shape(other)
    compare_shapes(a, b, Version.V16, "Heartbeat", response=False)
    assert compare_shapes(a, a, Version.V16, "Heartbeat", response=False) == []


def test_shapes_are_bounded():
    made = shape({f"name{number}": number for number in range(5000)}, {"deep": json.loads("[" * 200 + "]" * 200)})
    assert len(made.elements) <= abstraction.MAX_ELEMENTS
    values = shape(*({"a": f"v{number}"} for number in range(1000)))
    assert len(values.elements["a"].values) == abstraction.MAX_VALUES


# --- fields -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (b'[2,"1","X",{"a":1}]', b'[2,"1","X",{"a":2}]', [("/3/a", "1", "2")]),
        (b'[2,"1","X",{"a":1}]', b'[2,"1","X",{}]', [("/3/a", "1", "")]),
        (b'[2,"1","X",{"a":[1,2]}]', b'[2,"1","X",{"a":[1]}]', [("/3/a/1", "2", "")]),
        (b'[2,"1","X",{"a":1}]', b'[2,"1","X",{"a":true}]', [("/3/a", "1", "true")]),
        (b"no json", b'[2,"1"]', [("text", "no json", '[2,"1"]')]),
    ],
)
def test_changes(a, b, expected):
    assert [(one.name, one.a, one.b) for one in fields.changes(a, b)] == expected


def test_changes_are_bounded():
    a = json.dumps({f"k{number}": 1 for number in range(1000)}).encode()
    assert len(fields.changes(a, b"{}")) == fields.MAX_FACTS
    deep = b"[" * 50_000 + b"]" * 50_000
    assert len(fields.changes(deep, b"[]")) == 1


@given(JSON, JSON)
def test_changes_never_fail(one, other):
    a, b = json.dumps(one).encode(), json.dumps(other).encode()
    assert fields.changes(a, a) == ()
    fields.changes(a, b)
    fields.same_content(a, b)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'[2,"1","X",{}]', b'2,"X",{}]'),
        (b'[3, "a\\"b", {}]', b"3, {}]"),
        (b"[3,17,{}]", b"3,{}]"),
        (b"nothing", b"nothing"),
    ],
)
def test_a_message_without_its_id(text, expected):
    assert fields.body(text) == expected
