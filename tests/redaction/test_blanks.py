"""Blanks say how long a secret was, roughly, and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ocppscope.redaction.blanks import RANGES, blanked, blanked_key, faceless, is_blank, range_of, starred


def test_a_blank_is_as_long_as_its_range_says():
    for one in RANGES:
        assert len(one.text) == one.length
        assert range_of(one.length) == one
        assert len(set(one.text)) > 1


@pytest.mark.parametrize(
    ("length", "index"),
    [(1, 0), (7, 0), (8, 1), (15, 1), (16, 2), (20, 2), (31, 2), (32, 3), (33, 2), (40, 3), (41, 4)],
)
def test_ranges(length, index):
    assert range_of(length) == RANGES[index]


@settings(max_examples=200)
@example("0" * 31 + "1", 33)
@example("0" * 39 + "1", 39)
@given(st.text(max_size=80), st.one_of(st.none(), st.integers(min_value=1, max_value=70)))
def test_twice_is_once_and_limits_are_kept(text, limit):
    for blank in (blanked, blanked_key):
        shown = blank(text, limit)
        assert blank(shown, limit) == shown
        if limit is not None:
            assert (len(shown) <= limit) == (len(text) <= limit)
        if len(text) > 2:
            assert text not in shown or is_blank(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("***", "***"),
        ("********", "********"),
        ("geheim", "*** 1-7"),
        ("geheim12", "*** (8-15)"),
        ("1111", "*******"),
        ("x" * 20, "*" * 18),
        ("a1" * 10, "*** (16-40 chars)*"),
        ("*** (16 bytes)", "*** (16 bytes)"),
    ],
)
def test_blanked(text, shown):
    assert blanked(text) == shown


def test_a_key_in_hex_becomes_one_in_hex():
    shown = blanked_key("0123456789abcdef" * 2)
    assert re.fullmatch("[0-9a-f]{36}", shown)
    assert is_blank(shown)
    assert blanked_key("0123456789abcdeX" * 2).startswith("***")


def test_asterisks_for_a_password():
    assert [len(starred(size)) for size in (0, 1, 16, 40, 99)] == [0, 7, 18, 36, 41]


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_faceless(text):
    shown = faceless(text)
    assert len(shown) == len(text)
    assert {char for char in shown if char.isalnum()} <= set("0xX")
    assert faceless(shown) == shown
