"""Text from the wire never does anything to a terminal, and is bounded."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.render.wiretext import MAX_VISIBLE, clip, columns, pad, visible, visible_bytes

HARMLESS = "CP-1 Ünïcode 充电桩 αβγ €"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HARMLESS, HARMLESS),
        ("", ""),
        ("\x1b]52;c;cm0gLXJmIH4=\x07", "\\x1b]52;c;cm0gLXJmIH4=\\x07"),  # OSC 52: writes the clipboard
        ("\x1b[2J\x1b[31mred", "\\x1b[2J\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),  # CSI as a C1 control
        ("a\nb\r\tc\0", "a\\nb\\r\\tc\\0"),
        ("\u202egpj.exe", "\\u202egpj.exe"),  # right-to-left override
        ("\u2066x\u2069\u200b\ufeff", "\\u2066x\\u2069\\u200b\\ufeff"),
        ("\ud800", "\\ud800"),  # half of a surrogate pair
        ("\x7f", "\\x7f"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),  # line ends that splitlines knows
        ("\U000e0041", "\\U000e0041"),  # tag characters
    ],
)
def test_what_is_not_printable_becomes_an_escape(text, expected):
    assert visible(text) == expected


@given(st.text(st.characters(), max_size=300))
def test_nothing_but_printable_characters_comes_out(text):
    shown = visible(text)
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(shown.encode()) <= 12 * len(text) + 40


@given(st.binary(max_size=900))
def test_any_bytes_can_be_shown(data):
    assert visible_bytes(data).isprintable()


def test_a_long_text_is_cut_and_says_how_long_it_was():
    shown = visible("x" * 1_000_000)
    assert shown == "x" * MAX_VISIBLE + "… (1,000,000 characters)"
    assert visible_bytes(b"\x1b" * 1_000_000, 10) == "\\x1b" * 10 + "… (1,000,000 bytes)"


def test_a_flood_of_combining_marks_stays_on_its_line():
    assert len(visible("e" + "\u0301" * 100)) <= 6
    assert visible("e\u0301") == "e\u0301"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("充电桩充电桩", 12, "充电桩充电桩"),
        ("充电桩充电桩", 7, "充电桩…"),
        ("充电桩充电桩", 6, "充电…"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
    ],
)
def test_clip_counts_terminal_columns(text, width, expected):
    assert clip(text, width) == expected
    assert columns(clip(text, width)) <= width


@given(st.text(), st.integers(0, 40))
def test_clip_never_exceeds_its_width(text, width):
    assert columns(clip(visible(text), width)) <= width


def test_pad_fills_up_to_columns():
    assert pad("ab", 4) == "ab  "
    assert columns(pad("充", 4)) == 4
