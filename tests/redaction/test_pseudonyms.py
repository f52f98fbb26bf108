"""Pseudonyms keep the shape of what they stand for, and equality, and nothing else."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.errors import UsageError
from ocppscope.redaction import pseudonyms
from ocppscope.redaction.pseudonyms import Pseudonyms, folded

KEY = b"k" * 32
TEXTS = st.text(st.sampled_from(string.ascii_letters + string.digits + "-_.:/ éßİÑΑ漢😀"), max_size=40)


def kind(char: str) -> str:
    if char in string.digits:
        return "digit"
    if char in string.ascii_letters:
        return "upper" if char.isupper() else "lower"
    return "letter" if char.isalnum() else char


@settings(max_examples=200)
@given(TEXTS)
def test_shape(text):
    shown = Pseudonyms(KEY).of(text)
    assert len(shown) == len(text)
    assert len(shown.encode()) == len(text.encode())
    assert [kind(char) for char in shown] == [kind(char) for char in text]


@settings(max_examples=100)
@given(TEXTS)
def test_the_same_in_any_case_and_at_any_time(text):
    one, two = Pseudonyms(KEY), Pseudonyms(KEY)
    assert one.of(text) == two.of(text) == one.of(text)
    assert folded(one.of(text)) == folded(
        one.of(text.swapcase() if folded(text.swapcase()) == folded(text) else text)
    )


@settings(max_examples=100)
@given(st.text("0123456789abcdef", min_size=1, max_size=40))
def test_hex_stays_hex_of_its_case(text):
    assert re.fullmatch("[0-9a-f]+", Pseudonyms(KEY).of(text))
    assert re.fullmatch("[0-9A-F]+", Pseudonyms(KEY).of(text.upper()))


@settings(max_examples=100)
@given(st.integers(min_value=0, max_value=10**18))
def test_numbers_stay_numbers(number):
    assert str(int(Pseudonyms(KEY).of(str(number)))) == Pseudonyms(KEY).of(str(number))


def test_different_values_have_different_pseudonyms():
    made = Pseudonyms(KEY)
    values = [f"{number:03}" for number in range(100, 1000)]  # every one of the 900 that there are
    shown = [made.of(value) for value in values]
    assert len(set(shown)) > 850  # a few tries do not always find the last that are free
    many = [f"TAG{number:07}" for number in range(3000)]
    assert len({made.of(value) for value in many}) == 3000


def test_a_pseudonym_is_no_original():
    made = Pseudonyms(KEY)
    values = [f"AB{number:04}" for number in range(2000)]
    assert all(made.of(value) != value for value in values)


def test_another_key_gives_others():
    values = [f"TAG{number:07}" for number in range(50)]
    one, two = Pseudonyms(b"a" * 32), Pseudonyms(b"b" * 32)
    assert all(one.of(value) != two.of(value) for value in values)


@pytest.mark.parametrize("text", ["", "-", "***", "…"])
def test_what_has_no_letters_stays(text):
    assert Pseudonyms(KEY).of(text) == text


def test_pseudonyms_are_known_as_such():
    made = Pseudonyms(KEY)
    shown = made.of("Tag-0815")
    assert made.is_pseudonym(shown.upper())
    assert made.knows("TAG-0815")
    assert not made.is_pseudonym("Tag-0815")
    assert list(made) == ["tag-0815"]
    assert len(made) == 1


def test_too_many(monkeypatch):
    monkeypatch.setattr(pseudonyms, "MAX_KNOWN", 3)
    made = Pseudonyms(KEY)
    for value in ("A1", "B2", "C3", "a1"):
        made.of(value)
    with pytest.raises(UsageError, match="different identifiers"):
        made.of("D4")
