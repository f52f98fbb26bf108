"""Styled lines: nothing from the wire is obeyed, widths hold, every outlet shows the same text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.render import styled
from ocppscope.render.palette import COLOURED, PLAIN, Palette
from ocppscope.render.styled import COLOURS, Span, Style, wire, wire_bytes
from ocppscope.render.wiretext import MAX_VISIBLE, columns

HOSTILE = [
    ("\x1b[2J\x1b[31m", "\\x1b[2J\\x1b[31m"),
    ("\x1b]52;c;cm0gLXJmIH4=\x07", "\\x1b]52;c;cm0gLXJmIH4=\\x07"),  # OSC 52: writes the clipboard
    ("\x9b2J\x9d0;title\x9c", "\\x9b2J\\x9d0;title\\x9c"),  # C1
    ("a\0b", "a\\0b"),
    ("\u202egpj.exe\u2066\u2069", "\\u202egpj.exe\\u2066\\u2069"),
    ("\ud800\udfff", "\\ud800\\udfff"),
    ("a\r\nb", "a\\r\\nb"),
    ("[/nope] [bold]", "[/nope] [bold]"),
]
LINES = st.lists(st.tuples(st.text(max_size=12), st.sampled_from(Style)), max_size=6).map(
    lambda parts: tuple(wire(text, style) for text, style in parts)
)


@pytest.mark.parametrize(("text", "expected"), HOSTILE)
def test_text_from_the_wire_is_only_text(text, expected):
    assert wire(text, Style.KEY) == Span(expected, Style.KEY)
    if "\ud800" not in text:
        assert wire_bytes(text.encode(), Style.ID) == Span(expected, Style.ID)


def test_huge_text_is_cut_and_says_how_long_it_was():
    assert wire("x" * 1_000_000).text == "x" * MAX_VISIBLE + "… (1,000,000 characters)"
    assert wire_bytes(b"\x1b" * 1_000_000, limit=5).text == "\\x1b" * 5 + "… (1,000,000 bytes)"


@given(st.text(st.characters(exclude_categories=())))
def test_a_span_from_the_wire_is_printable(text):
    shown = wire(text).text
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


@given(LINES, st.integers(0, 60))
def test_widths(line, size):
    cut = styled.clip(line, size)
    assert styled.width(cut) <= size
    assert styled.width(styled.fit(line, size)) == size
    if styled.width(line) <= size:
        assert cut == line
    elif size:
        assert cut[-1].text.endswith("…")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, ""), (1, "…"), (2, "a…"), (3, "ab…"), (4, "abc…"), (5, "abcde"), (9, "abcde")],
)
def test_clip_between_spans(size, expected):
    assert styled.plain(styled.clip((Span("ab"), Span("cd", Style.BOLD), Span("e")), size)) == expected


def test_clip_of_wide_characters():
    assert styled.plain(styled.clip((Span("充电"), Span("桩")), 5)) == "充电…"
    assert styled.plain(styled.clip((Span("充电"), Span("桩")), 4)) == "充…"


def test_join_leaves_out_what_is_empty():
    lines = [(Span("a"),), (), (Span("b", Style.BOLD), Span("c"))]
    assert styled.join(lines, Span(", ")) == (Span("a"), Span(", "), Span("b", Style.BOLD), Span("c"))


@given(LINES)
def test_ascii_keeps_the_columns(line):
    shown = styled.ascii_only(line)
    assert all(span.text.isascii() for span in shown)
    assert styled.width(shown) == styled.width(line)


def test_every_style_has_a_colour_that_the_palette_has():
    assert COLOURS.keys() == set(Style)
    assert set(COLOURS.values()) - {""} <= set(Palette._fields)


@given(LINES)
def test_colours_change_no_text(line):
    assert styled.ansi(line, PLAIN).rstrip() == styled.plain(line)
    coloured = styled.ansi(line, COLOURED)
    for colour in COLOURED:
        coloured = coloured.replace(colour, "")
    assert coloured.rstrip() == styled.plain(line)


def test_a_fence_cannot_be_closed_from_within():
    shown = styled.markdown([(Span("``` # heading"),), (Span("````"),)])
    assert shown == "`````text\n``` # heading\n````\n`````\n"


@pytest.mark.parametrize("char", "│┊─╌═►◄┼✗…µ▁█⣿")
def test_drawing_characters_take_one_column(char):
    assert columns(char) == 1
