"""Text from the wire never does anything to a terminal, and is bounded."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.render import wiretext
from ocppscope.render.wiretext import MAX_JOINED, MAX_VISIBLE, clip, columns, pad, visible, visible_bytes

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


@pytest.mark.parametrize("mark", ["\u0301", "\u0e31", "\ufe0f", "\u20dd", "\U000e0100"])
def test_a_flood_of_marks_stays_on_its_line(mark):
    assert visible("e" + mark * 100) == "e" + mark * MAX_JOINED + "…"
    assert visible("e" + mark * MAX_JOINED + "e" + mark) == "e" + mark * MAX_JOINED + "e" + mark


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


def slow_columns(char):
    """The rule, without any short cut."""
    if unicodedata.category(char) in ("Mn", "Me", "Cf") or unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def test_what_is_taken_for_narrow_is_narrow():
    every = "".join(map(chr, range(0x110000)))
    narrow = "".join(wiretext._NARROW.findall(every))
    assert len(narrow) > 1500
    assert [char for char in narrow if slow_columns(char) != 1] == []


DRAWN = st.sampled_from("─╌═│┊┼►◄▏▁█⠿…µΔ→✗✓")
ODD = st.sampled_from("充\u0301\u0e31\u0e34\u093f\u0941\ufe0f\u00ad\U0001f50c\u302e⌚✨")


@given(st.text(st.one_of(st.characters(), DRAWN, ODD)), st.integers(0, 30))
def test_columns_follow_the_rule(text, width):
    assert columns(text) == sum(map(slow_columns, text))
    assert columns(pad(text, width)) == max(columns(text), width)
    cut = clip(text, width)
    assert columns(cut) <= width
    assert cut == text or columns(text) > width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("│─►", 3),
        ("Steckdose ü", 11),
        ("充电桩", 6),
        ("ส\u0e27\u0e31ส\u0e14\u0e35", 4),  # two vowels stand above their consonants
        ("\u0915\u0941", 1),  # a vowel sign below its consonant
        ("⚡\ufe0f", 2),
        ("\U0001f50c", 2),
    ],
)
def test_columns(text, expected):
    assert columns(text) == expected


def test_pad_fills_up_to_columns():
    assert pad("ab", 4) == "ab  "
    assert columns(pad("充", 4)) == 4
