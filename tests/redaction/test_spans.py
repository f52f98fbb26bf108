"""Tokens with their places: all that is not replaced stays, byte for byte, whatever the text is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.redaction import spans as module
from ocppscope.redaction.spans import MAX_SPAN_DEPTH, Shape, Span, spans, string_of, written

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


def strings(text: str) -> list[str]:
    found: list[str] = []

    def walk(span: Span) -> None:
        if span.key is not None:
            found.append(string_of(text, span.key))
        if span.shape is Shape.TEXT:
            found.append(string_of(text, span))
        for one in span.items:
            walk(one)

    for one in spans(text):
        walk(one)
    return found


def strings_in(value: object) -> list[str]:
    if isinstance(value, dict):
        return [one for name, inner in value.items() for one in (name, *strings_in(inner))]
    if isinstance(value, list):
        return [one for inner in value for one in strings_in(inner)]
    return [value] if isinstance(value, str) else []


@settings(max_examples=200)
@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_strings_are_found_and_read(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert strings(text) == strings_in(value)


@settings(max_examples=300)
@given(st.text(st.sampled_from('[]{},:"\\ \n1aé\udcff'), max_size=60))
def test_any_text_has_spans_within_it(text):
    def walk(span: Span, start: int, end: int) -> None:
        assert start <= span.start <= span.end <= end
        for one in span.items:
            walk(one, span.start, span.end)

    for one in spans(text):
        walk(one, 0, len(text))


def test_shapes_and_keys():
    (top,) = spans('[2, "a", {"k" : [1.5, null], "e": ""}]')
    number, text, table = top.items
    assert (number.shape, text.shape, table.shape) == (Shape.NUMBER, Shape.TEXT, Shape.OBJECT)
    assert [one.shape for one in table.items] == [Shape.ARRAY, Shape.TEXT]
    assert [one.shape for one in table.items[0].items] == [Shape.NUMBER, Shape.OTHER]


@pytest.mark.parametrize(
    ("text", "said", "new"),
    [
        ('"abc"', "xyz", '"xyz"'),
        ('"a\\"c"', 'x"y', '"x\\"y"'),
        ('"a\\\\"', "b\\", '"b\\\\"'),
        ('"abc', "xyz", '"xyz'),
        ('"a\\', "xy", '"xy'),
        ('"abc"', "a\nb", '"a\\u000ab"'),
        ('"a\nc"', "x\ny", '"x\ny"'),
        ('"abc"', "é", '"\\u00e9"'),
        ('"ä"', "é", '"é"'),
        ('"\\ud800a"', "\ud800b", '"\\ud800b"'),
        ('"ä\\ud800"', "é\ud800", '"é\\ud800"'),
        ('"\udcff"', "\udcffx", '"\udcffx"'),
    ],
)
def test_written_as_it_was(text, said, new):
    (span,) = spans(text)
    assert written(text, span, said) == new


def test_depth_is_bounded(monkeypatch):
    text = "[" * 5000 + '"deep"' + "]" * 5000
    assert strings(text) == ["deep"]
    depth, span = 0, spans(text)[0]
    while span.items and span.items[0].shape is Shape.ARRAY:
        depth, span = depth + 1, span.items[0]
    assert depth < MAX_SPAN_DEPTH
    assert module.MAX_SPAN_DEPTH == MAX_SPAN_DEPTH


def test_the_number_of_values_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_SPANS", 10)
    text = "[" + "1," * 100 + '"end"]'
    (top,) = spans(text)
    assert len(top.items) < 12
    assert (top.items[-1].shape, top.items[-1].end) == (Shape.OTHER, len(text))
