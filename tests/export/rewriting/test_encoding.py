"""Frames and compressed texts, held against the reader of the wire and zlib."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.export.rewriting.encoding import (
    Compressors,
    Deflater,
    corrupt,
    frame_like,
    head_like,
    simple_frame,
    spread,
)
from ocppscope.wire.frames import Header, read_header, unmask

LENGTHS = (0, 1, 125, 126, 127, 65_535, 65_536, 100_000)
TAIL = b"\x00\x00\xff\xff"


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("mask", [b"", b"\x01\x80\xfe\x7f"], ids=["unmasked", "masked"])
def test_a_frame_is_read_as_it_was_meant(length: int, mask: bytes):
    like = Header(False, 0x40, 2, mask, 5, 2 + len(mask), True)
    payload = bytes(at % 251 for at in range(length))
    frame = frame_like(like, payload)
    header = read_header(frame, 0)
    assert header is not None
    assert header._replace(length=0, size=0) == like._replace(length=0, size=0)
    assert unmask(frame[header.size :], header.mask) == payload


@pytest.mark.parametrize("octets", [b"\x81\x7e\x00\x05", b"\x81\x7f" + bytes(7) + b"\x05", b"\x81\xff" + bytes(12)])
def test_a_length_that_was_written_too_long_stays_so(octets: bytes):
    header = read_header(octets, 0)
    assert header is not None
    assert not header.minimal
    assert head_like(header, header.length) == octets
    again = read_header(head_like(header, 7), 0)
    assert again is not None
    assert (again.minimal, again.length, again.size) == (False, 7, header.size)


@pytest.mark.parametrize("masked", [True, False])
def test_simple_frames(masked: bool):
    header = read_header(simple_frame(9, b"ping", masked=masked), 0)
    assert header is not None
    assert (header.opcode, header.length, header.fin, bool(header.mask)) == (9, 4, True, masked)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=9), st.integers(0, 2000))
def test_a_payload_is_spread_on_all_fragments(lengths: list[int], total: int):
    found = spread(lengths, total)
    assert len(found) == len(lengths)
    assert sum(found) == total
    assert min(found) >= 0
    if sum(lengths) == total:
        assert found == lengths


@given(
    st.lists(st.binary(max_size=300) | st.just(b'[2,"1","Heartbeat",{}]' * 30), max_size=6),
    st.integers(8, 15),
    st.booleans(),
)
def test_an_inflater_of_the_agreed_window_reads_it(texts: list[bytes], bits: int, takeover: bool):
    deflater, inflater = Deflater(bits, Compressors(), takeover=takeover), zlib.decompressobj(-max(bits, 9))
    for text in texts:
        if not takeover:
            inflater = zlib.decompressobj(-max(bits, 9))
        assert inflater.decompress(deflater.message(text) + TAIL) == text
    deflater.forget()
    assert zlib.decompressobj(-15).decompress(deflater.message(b"afresh") + TAIL) == b"afresh"


def test_a_window_of_256_bytes_is_never_left():
    """zlib cannot be told so small a window: then nothing is repeated at all, and any reader can follow."""
    made = Deflater(8, Compressors(), takeover=True)
    sizes = [len(made.message(bytes(range(256)) * 4)) for _ in range(3)]
    assert min(sizes) > 900


def test_a_riddle_shows_its_beginning_and_no_more():
    payload = Deflater(15, Compressors(), takeover=True).riddle(b'[2,"7",', 60)
    with pytest.raises(zlib.error):
        zlib.decompressobj(-15).decompress(payload + TAIL)
    text = zlib.decompressobj(-15, zdict=b"?" * 32768).decompress(payload + TAIL)
    assert len(text) == 60
    assert text.startswith(b'[2,"7",')
    assert set(text[7:]) == set(b"?")


@pytest.mark.parametrize("length", [1, 2, 5, 100])
def test_what_is_corrupt_stays_so(length: int):
    assert len(corrupt(length)) == length
    with pytest.raises(zlib.error):
        zlib.decompressobj(-15).decompress(corrupt(length) + TAIL)
