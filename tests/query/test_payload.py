"""Paths into payloads against an oracle that is written as slowly as possible."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.model import Kind
from ocppscope.query import payload
from ocppscope.query.payload import ALL, parse_path, reader, walk
from ocppscope.query.values import NESTED, Judge, as_flag, as_number, as_text
from query.support_subjects import JSON, KEYS


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("payload", ()),
        ("payload.a", ("a",)),
        ("payload.a[0].b[*]", ("a", 0, "b", ALL)),
        ("payload[2]", (2,)),
        ("payload.a-b.ü", ("a-b", "ü")),
    ],
)
def test_paths(text, steps):
    assert parse_path(text) == steps


def oracle(value, steps):
    if value is None:
        return
    if not steps:
        yield value
        return
    step, *rest = steps
    if step is ALL:
        for one in value if isinstance(value, list) else ():
            yield from oracle(one, rest)
    elif isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            yield from oracle(value[step], rest)
    elif isinstance(value, dict):
        yield from oracle(value.get(step), rest)
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, dict):
                yield from oracle(one.get(step), rest)


STEPS = st.lists(st.sampled_from([*KEYS, ALL, 0, 1]), max_size=5).map(tuple)


@given(JSON, STEPS)
def test_walking_is_what_the_oracle_does(value, steps):
    if value is not None:
        assert walk(value, steps) == list(oracle(value, steps))


@given(JSON, STEPS, STEPS, st.booleans())
def test_reading_a_message_is_walking_its_payload(value, first, second, escaped):
    text = json.dumps([2, "id", "Action", value])
    if escaped:
        text = text.replace("value", "v\\u0061lue").replace("status", "\\u0073tatus")
    expected = [*oracle(value, first), *oracle(value, second)]
    expected = tuple(NESTED if isinstance(one, (dict, list)) else one for one in expected)
    assert reader(first, second)(Kind.CALL, text.encode()) == expected


@pytest.mark.parametrize(
    "text", [b"", b"[", b"[2]", b'[2,"","",', b"{}", b"\xff", b"[" * 100_000, b'[2,1,1,"\\ud800"]']
)
def test_what_is_no_message_has_no_values(text):
    assert reader(("x",))(Kind.CALL, text + b'"x"') == ()
    assert reader(("x",))(Kind.UNPARSED, text + b'"x"') == ()


def test_keys_may_be_written_with_escapes():
    assert reader(("value",))(Kind.CALL, b'[2,"","",{"v\\u0061lue":7}]') == (7,)
    assert reader(("value",))(Kind.CALL, b'[2,"","",{"other":7}]') == ()


def test_values_of_one_message_are_bounded(monkeypatch):
    monkeypatch.setattr(payload, "MAX_VALUES", 5)
    nested = [[{"a": n} for n in range(10)] for _ in range(10)]
    assert len(walk(nested, (ALL, ALL, "a"))) == 5
    assert len(walk(nested[0], ("a",))) == 5


def test_a_message_that_is_too_long_is_not_read(monkeypatch):
    monkeypatch.setattr("ocppscope.store.reading.MAX_READ", 20)
    read = reader(("x",))
    assert read(2, b'[2,"a","b",{"x":1}]') == (1,)
    assert read(2, b'[2,"a","b",{"x":1  }]') == ()


NUMBERS = [
    (5, 5), (5.5, 5.5), ("16.2", 16.2), ("-1", -1), ("+1", 1), ("1e3", 1000), (".5", 0.5), (True, None), ("", None),
    ("nan", None), ("inf", None), ("1_0", None), (" 1", None), ("1 ", None), ("0x10", None), ("\u0661", None),
    ("1" * 31, None), ("1e999", None), (NESTED, None), ("5A", None),
]  # fmt: skip


@pytest.mark.parametrize(("value", "number"), NUMBERS)
def test_what_counts_as_a_number(value, number):
    assert as_number(value) == number


def test_what_counts_as_a_text_and_as_yes_or_no():
    assert [as_text(v) for v in ("a", 1, 1.5, True, False, NESTED)] == ["a", "1", "1.5", "true", "false", None]
    assert [as_flag(v) for v in (True, False, 1, "true", NESTED)] == [True, False, None, None, None]


@pytest.mark.parametrize(
    ("sign", "operands", "value", "passes"),
    [
        ("==", (1,), None, False),
        ("!=", (1,), None, False),
        ("!=", (1,), (), False),
        ("!=", (1,), (2, 3), True),
        ("!=", (1,), (1, 2), False),
        ("!=", (1,), NESTED, True),
        ("==", (1,), (2, 1), True),
        ("in", (1, 2), (3, 2), True),
        ("exists", (), (NESTED,), True),
        ("exists", (), (), False),
        ("true", (), (False, True), True),
        ("true", (), (1,), False),
    ],
)
def test_missing_and_several_values(sign, operands, value, passes):
    assert Judge(sign, operands, as_number).accepts(value) is passes
