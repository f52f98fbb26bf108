"""Records cut out of bytes: every cut, gaps within and beyond, and where the next one is found."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ocppscope.wire.decrypt.records import Piece, RecordReader
from ocppscope.wire.tls import MAX_RECORD


def record(body: bytes, kind: int = 23) -> bytes:
    return bytes([kind, 3, 3]) + len(body).to_bytes(2, "big") + body


BODIES = st.lists(st.binary(min_size=9, max_size=40), min_size=1, max_size=8)


@given(BODIES, st.data())
def test_every_cut(bodies, data):
    wire = b"".join(map(record, bodies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)))))
    reader = RecordReader()
    found = [piece for start, stop in pairwise([0, *cuts, len(wire)]) for piece in reader.feed(wire[start:stop])]
    assert [piece.body for piece in found] == bodies
    assert reader.pending == 0


@given(BODIES, st.data())
def test_a_gap(bodies, data):
    """Bytes and what is said to be lost add up, and records that are whole come out."""
    bodies = [bytes(byte & 0x7F | 0x80 for byte in body) for body in bodies]  # nothing that looks like a header
    wire = b"".join(map(record, bodies))
    start = data.draw(st.integers(0, len(wire) - 1))
    stop = data.draw(st.integers(start + 1, len(wire)))
    reader = RecordReader()
    found = reader.feed(wire[:start])
    found += reader.gap(stop - start)
    found += reader.feed(wire[stop:])
    whole, at = [], 0
    for body in bodies:
        end = at + 5 + len(body)
        if end <= start or at >= stop:
            whole.append(body)
        at = end
    assert [piece.body for piece in found if not piece.damaged] == whole
    assert sum(5 + len(piece.body) + piece.lost for piece in found) + reader.pending == len(wire)


def test_a_record_that_a_gap_lies_in_comes_marked():
    reader = RecordReader()
    assert reader.feed(record(b"x" * 20)[:10]) == []
    assert reader.gap(4) == []
    found = reader.feed(b"x" * 11 + record(b"y" * 9))
    assert found == [
        Piece(b"\x17\3\3\0\x14", b"x" * 5 + bytes(4) + b"x" * 11, 0, True),
        Piece(b"\x17\3\3\0\x09", b"y" * 9, 0, False),
    ]


def test_a_gap_that_ends_with_its_record():
    reader = RecordReader()
    reader.feed(record(b"x" * 20)[:10])
    assert [piece.damaged for piece in reader.gap(15)] == [True]
    assert [piece.body for piece in reader.feed(record(b"y" * 9))] == [b"y" * 9]


def test_the_next_record_is_found_among_what_looks_like_one():
    reader = RecordReader()
    false = b"\x17\3\3\0\x20" + bytes(range(60))
    found = reader.feed(b"\x99\3\3\3" + false + record(b"a" * 30) + record(b"b" * 30))
    assert [piece.body[:1] for piece in found] == [b"a", b"b"]
    assert found[0].lost == 4 + len(false)


@given(st.binary(max_size=300), st.data())
def test_hostile(wire, data):
    """However bytes and gaps come, what is kept is bounded and nothing is counted twice."""
    reader = RecordReader()
    total, out, at = 0, 0, 0
    while at < len(wire):
        step = data.draw(st.integers(1, 100))
        lost = data.draw(st.sampled_from([0, 0, 1, 50, 1 << 30]))
        found = reader.feed(wire[at : at + step])
        total += len(wire[at : at + step])
        if lost:
            found += reader.gap(lost)
            total += lost
        out += sum(5 + len(piece.body) + piece.lost for piece in found)
        at += step
        assert out + reader.pending == total


def test_no_more_than_a_record_is_kept():
    reader = RecordReader()
    for _ in range(200):
        reader.feed(b"\x17\3\3\x40\0" * 1000)
        assert len(reader.rest) <= MAX_RECORD + 5
