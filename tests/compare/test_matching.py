"""Which message is which: a table of sequences, and properties of the parts."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_compare import of_capture

from ocppscope.compare import matching
from ocppscope.compare.matching import Sequence, match

SECOND = 1_000_000_000


def sequence(texts, times=None, ids=None):
    """Each letter is a text (and its own id, unless ids are given); times in seconds."""
    times = range(len(texts)) if times is None else times
    return Sequence(
        np.array([ord(one) for one in texts], np.int64),
        np.array([ord(one) for one in ids or texts], np.int64),
        np.array([round(one * SECOND) for one in times], np.int64),
    )


# A, B, pairs that are the same, left in A, left in B
TABLE = {
    "the same": ("abc", "abc", [(0, 0), (1, 1), (2, 2)], [], []),
    "B begins late": ("abcd", "cd", [(2, 0), (3, 1)], [0, 1], []),
    "lost in between": ("abcd", "abd", [(0, 0), (1, 1), (3, 2)], [2], []),
    "came from nowhere": ("abd", "abcd", [(0, 0), (1, 1), (2, 3)], [], [2]),
    "other order": ("abcd", "acbd", [(0, 0), (1, 2), (2, 1), (3, 3)], [], []),
    "nothing": ("", "ab", [], [], [0, 1]),
    "no more in common": ("abc", "xyz", [], [0, 1, 2], [0, 1, 2]),
    "again and again": ("hhh", "hhh", [(0, 0), (1, 1), (2, 2)], [], []),
    "sent twice": ("ab", "abb", [(0, 0), (1, 1)], [], [2]),
}


@pytest.mark.parametrize("case", TABLE)
def test_sequences(case):
    a, b, same, left_a, left_b = TABLE[case]
    found = match(sequence(a), sequence(b), timed=False)
    assert (found.same, found.left_a, found.left_b) == (same, left_a, left_b)


@pytest.mark.parametrize(
    ("times_a", "times_b", "same"),
    [
        ([0, 10, 20, 30], [20, 30], [(2, 0), (3, 1)]),  # B began late
        ([0, 10, 20, 30], [0, 10, 30], [(0, 0), (1, 1), (3, 2)]),  # one was lost
        ([10, 20], [0, 10, 20, 30], [(0, 1), (1, 2)]),  # A began late
        ([0, 10, 20], [2, 22], [(0, 0), (2, 1)]),  # and they take two seconds
    ],
)
def test_heartbeats_with_one_id_are_told_apart_by_time(times_a, times_b, same):
    a, b = sequence("h" * len(times_a), times_a), sequence("h" * len(times_b), times_b)
    assert match(a, b, timed=True).same == same


def test_same_id_other_text_is_a_change():
    found = match(sequence("abc", ids="abc"), sequence("aXc", ids="abc"), timed=False)
    assert (found.same, found.changed, found.left_a, found.left_b) == ([(0, 0), (2, 2)], [(1, 1)], [], [])


def test_same_content_other_id():
    bodies = ("abc", "ABC")
    found = match(sequence("abc"), sequence("ABC"), lambda which, place: bodies[which][place].lower(), timed=False)
    assert found.renamed == [(0, 0), (1, 1), (2, 2)]


def test_bodies_are_not_looked_at_without_end(monkeypatch):
    monkeypatch.setattr(matching, "MAX_BODIES", 2)
    assert match(sequence("abc"), sequence("xyz"), lambda *_: 1, timed=False).renamed == []


@given(st.lists(st.integers(0, 12), max_size=9))
def test_increasing_is_as_long_as_any(values):
    found = matching.increasing(values)
    picked = [values[place] for place in found]
    assert found == sorted(found)
    assert picked == sorted(set(picked))
    longest = max(
        (n for n in range(len(values) + 1) for some in combinations(values, n) if list(some) == sorted(set(some))),
        default=0,
    )
    assert len(found) == longest


@given(st.text("abcd", max_size=20), st.text("abcd", max_size=20), st.booleans())
def test_every_place_is_used_once(a, b, timed):
    found = match(sequence(a), sequence(b), timed=timed)
    pairs = found.same + found.changed + found.renamed
    assert sorted([x for x, _ in pairs] + found.left_a) == list(range(len(a)))
    assert sorted([y for _, y in pairs] + found.left_b) == list(range(len(b)))
    assert all(a[x] == b[y] for x, y in found.same)


def test_what_both_have_comes_in_the_order_of_the_first():
    """Not in that of hashes, which is another one in each process."""
    a, b = of_capture("remote_start_stop"), of_capture("remote_start_stop")
    rows_a, rows_b = matching.shared_texts(a, b)
    a.close()
    b.close()
    assert len(rows_a) > 10
    assert rows_a.tolist() == sorted(rows_a.tolist())
    assert rows_b.tolist() == rows_a.tolist()
