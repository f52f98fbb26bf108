"""Maps of stream offsets: monotone, exact at the borders of edits, and 32-bit numbers unrolled."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ocppscope.export.rewriting.offsets import MODULUS, OffsetMap, Unroller

EDITS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 60), st.integers(0, 120)), max_size=8)


def made(start: int, edits: list[tuple[int, int, int]]) -> tuple[OffsetMap, list[tuple[int, int, int, int]], int]:
    """The map, its edits as (old start, length, new start, new length), and the end of the old stream."""
    found, at, new = OffsetMap(), start, start
    placed = []
    for before, length, becomes in edits:
        at, new = at + before, new + before
        found.add(at, length, becomes)
        placed.append((at, length, new, becomes))
        at, new = at + length, new + becomes
    return found, placed, at


@given(st.integers(-1000, 1 << 40), EDITS)
def test_borders_are_exact_and_all_is_monotone(start: int, edits: list[tuple[int, int, int]]):
    found, placed, end = made(start, edits)
    for old, length, new, becomes in placed:
        assert found.at(old) == new
        assert found.at(old + length) == new + becomes
    offsets = [found.at(one) for one in range(start - 5, end + 6)]
    assert offsets == sorted(offsets)
    assert found.at(start - 5) == start - 5
    grown = sum(becomes - length for _, length, _, becomes in placed)
    assert found.at(end + 1000) == end + 1000 + grown


@given(st.integers(3, 500), st.integers(3, 500))
def test_first_and_last_byte_stay_single(length: int, becomes: int):
    """A keep-alive probe of the last byte, or a zero-window probe of the first, stays one byte."""
    found = OffsetMap()
    found.add(100, length, becomes)
    assert found.at(101) - found.at(100) == 1
    assert found.at(100 + length) - found.at(100 + length - 1) == 1


@given(EDITS, st.data())
def test_pieces_of_the_old_stream_make_the_new_one(edits: list[tuple[int, int, int]], data: st.DataObject):
    """However the old stream is cut, the images of the pieces join without a hole."""
    found, _, end = made(0, edits)
    cuts = sorted({0, end, *data.draw(st.lists(st.integers(0, max(end, 1)), max_size=10))} - {end + 1})
    cuts = [one for one in cuts if one <= end]
    images = [(found.at(one), found.at(other)) for one, other in itertools.pairwise(cuts)]
    assert all(stop == begin for (_, stop), (begin, _) in itertools.pairwise(images))


@given(st.integers(0, MODULUS - 1), st.lists(st.integers(-(1 << 20), 1 << 28), max_size=40))
def test_numbers_are_unrolled(first: int, steps: list[int]):
    numbers = Unroller()
    numbers.begin(first)
    numbers.begin(first + 17)  # says nothing new
    offset = 0
    for step in steps:
        offset += step
        assert numbers.offset((first + offset) % MODULUS) == offset
        assert numbers.seq(offset) == (first + offset) % MODULUS
    numbers.rewind()
    assert numbers.offset(first) == 0
