"""Frame headers in every form, both ways; and the quick look at whole frames against the exact one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support_frames import MASK, frame, xor

from ocppscope.wire.frames import (
    COMPRESSED,
    MASKED,
    OPCODES,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    UNMASKED,
    Header,
    payloads,
    read_header,
    unmask,
    whole_frames,
)

# --- headers --------------------------------------------------------------------------------------------------------

LENGTHS = [
    # form, length, shortest
    *((7, length, True) for length in (0, 1, 124, 125)),
    *((16, length, False) for length in (0, 1, 125)),
    *((16, length, True) for length in (126, 127, 128, 0xFFFE, 0xFFFF)),
    *((64, length, False) for length in (0, 125, 126, 0xFFFF)),
    *((64, length, True) for length in (0x10000, 1 << 32, (1 << 63) - 1)),
    *((64, length, False) for length in (1 << 63, (1 << 64) - 1)),
]
SIZES = {7: 2, 16: 4, 64: 10}


@pytest.mark.parametrize("mask", [b"", MASK, bytes(4)])
@pytest.mark.parametrize(("form", "length", "minimal"), LENGTHS)
def test_lengths(form: int, length: int, minimal: bool, mask: bytes) -> None:
    octets = frame(form=form, length=length, mask=mask)
    size = SIZES[form] + len(mask)
    assert len(octets) == size
    expected = Header(True, 0, TEXT, mask, length, size, minimal)
    assert read_header(octets, 0) == expected
    assert read_header(bytearray(b"before" + octets + b"after"), 6) == expected
    for held in range(size):
        assert read_header(octets[:held], 0) is None
        assert read_header(b"before" + octets[:held], 6) is None


@pytest.mark.parametrize("opcode", range(16))
@pytest.mark.parametrize("rsv", [0, RSV1, RSV2, RSV3, RSV1 | RSV2 | RSV3])
@pytest.mark.parametrize("fin", [True, False])
def test_first_byte(opcode: int, rsv: int, fin: bool) -> None:
    header = read_header(frame(b"abc", opcode, fin=fin, rsv=rsv), 0)
    assert header == Header(fin, rsv, opcode, b"", 3, 2, True)
    assert header.control is (opcode >= 8)


def test_the_named_opcodes_are_those_of_the_rfc() -> None:
    assert OPCODES == {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}


def test_beyond_the_end() -> None:
    assert read_header(b"", 0) is None
    assert read_header(b"\x81\x00", 2) is None
    assert read_header(b"\x81\x00", 5) is None


@pytest.mark.parametrize(
    ("octets", "payload"),
    [
        (b"\x81\x05Hello", b"Hello"),  # the examples of RFC 6455 §5.7
        (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", b"Hello"),
        (b"\x82\x7e\x01\x00" + bytes(256), bytes(256)),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + bytes(65536), bytes(65536)),
    ],
)
def test_examples_of_the_rfc(octets: bytes, payload: bytes) -> None:
    header = read_header(octets, 0)
    assert header is not None
    assert header.size + header.length == len(octets)
    assert unmask(octets[header.size :], header.mask) == payload


# --- masks ----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=100), st.one_of(st.just(b""), st.binary(min_size=4, max_size=4)))
def test_unmask(payload: bytes, mask: bytes) -> None:
    expected = xor(payload, mask) if mask else payload
    for made in (unmask(payload, mask), unmask(bytearray(payload), bytearray(mask))):
        assert made == expected
        assert isinstance(made, bytes)


AROUND_THE_WIDTHS = st.one_of(st.integers(0, 130), st.sampled_from([256, 257, 1024, 2048, 2049, 65535]))


@given(st.lists(st.tuples(AROUND_THE_WIDTHS, st.booleans(), st.integers(1, 255)), max_size=12), st.integers(0, 3000))
def test_payloads_of_many_frames(shapes: list[tuple[int, bool, int]], padding: int) -> None:
    """Lengths on both sides of each width; the last ones so near the end that no width fits."""
    buffer, bodies, stops, forms, expected = bytearray(b"ab"), [], [], [], []
    for length, masked, seed in shapes:
        payload, mask = bytes((seed * n) & 255 for n in range(length)), bytes([seed, 1, 255, 128]) * masked
        buffer += mask
        bodies.append(len(buffer))
        buffer += xor(payload, mask) if mask else payload
        stops.append(len(buffer))
        forms.append(MASKED if masked else UNMASKED)
        expected.append(payload)
    rows = (np.array(column, np.int64) for column in ([*forms, 0], [*bodies, 0], [*stops, 1]))
    assert payloads(bytes(buffer) + bytes(padding), *rows) == [*expected, b""]


# --- whole frames ---------------------------------------------------------------------------------------------------


Whole = tuple[int, int]
"""A segment's form, and where its payload starts from its first byte on; (0, 0) if it is no whole text frame."""


def at_once(*segments: bytes, around: bytes = b"") -> list[Whole]:
    """What `whole_frames` says of segments that lie in one buffer."""
    starts, at = [], len(around)
    for segment in segments:
        starts.append(at)
        at += len(segment) + len(around)
    data = around + b"".join(segment + around for segment in segments) + bytes(128)
    lengths = [len(segment) for segment in segments]
    forms, payloads = whole_frames(data, np.array(starts, np.int64), np.array(lengths, np.int64))
    found = zip(forms.tolist(), payloads.tolist(), starts, strict=True)
    return [(form, payload - start) if form else (0, 0) for form, payload, start in found]


def exactly(segment: bytes) -> Whole:
    """The same by the exact reader, for frames of up to 65,535 bytes."""
    header = read_header(segment, 0)
    ordinary = (
        header is not None
        and (header.fin, header.opcode, header.minimal) == (True, TEXT, True)
        and header.rsv in (0, RSV1)
        and header.size + header.length == len(segment)
        and header.length <= 0xFFFF
    )
    if not ordinary or header is None:
        return 0, 0
    form = (MASKED if header.mask else UNMASKED) + (COMPRESSED if header.rsv else 0)
    return form, header.size


NONE = (0, 0)
WHOLE = [
    (frame(b"hi"), (UNMASKED, 2)),
    (frame(b""), (UNMASKED, 2)),
    (frame(b"hi", mask=MASK), (MASKED, 6)),
    (frame(b"", mask=MASK), (MASKED, 6)),
    (frame(bytes(125)), (UNMASKED, 2)),
    (frame(bytes(126)), (UNMASKED, 4)),
    (frame(bytes(126), mask=MASK), (MASKED, 8)),
    (frame(bytes(0xFFFF)), (UNMASKED, 4)),
    (frame(b"hi", rsv=RSV1), (UNMASKED + COMPRESSED, 2)),
    (frame(b"hi", rsv=RSV1, mask=MASK), (MASKED + COMPRESSED, 6)),
    (frame(bytes(126), rsv=RSV1), (UNMASKED + COMPRESSED, 4)),
    (frame(bytes(126), rsv=RSV1, mask=MASK), (MASKED + COMPRESSED, 8)),
    (frame(b"hi", rsv=RSV2), NONE),
    (frame(b"hi", rsv=RSV3), NONE),
    (frame(b"hi", rsv=RSV1 | RSV2), NONE),
    (frame(b"hi", fin=False), NONE),
    *((frame(b"hi", opcode), NONE) for opcode in (0, 2, 3, 8, 9, 10, 15)),
    (frame(b"hi", form=16), NONE),
    (frame(bytes(125), form=16), NONE),
    (frame(bytes(126), form=64), NONE),
    (frame(bytes(0x10000)), NONE),
    (frame(b"hi") + b"\x81", NONE),
    (frame(b"hi") + frame(b"ho"), NONE),
    (frame(b"hi")[:-1], NONE),
    (frame(b"hi", mask=MASK)[:-1], NONE),
    (frame(bytes(126))[:-1], NONE),
    (b"", NONE),
    (b"\x81", NONE),
    (b"\x81\x7e", NONE),
    (b"\x81\x7e\x00", NONE),
    (b"\x81\x7f", NONE),
    (b"\x81\xff" + bytes(12), NONE),
]


@pytest.mark.parametrize(("segment", "expected"), WHOLE)
@pytest.mark.parametrize("around", [b"", b"\x81\x00", b"\x00\x7e\x00\x81"])
def test_whole(segment: bytes, expected: Whole, around: bytes) -> None:
    assert at_once(segment, around=around) == [expected]
    assert exactly(segment) == expected


def test_all_at_once() -> None:
    assert at_once(*(segment for segment, _ in WHOLE)) == [expected for _, expected in WHOLE]
    assert at_once() == []


def test_segments_without_bytes_at_the_end_of_the_buffer() -> None:
    start = np.array([0, 3, 4, 5, 1000], np.int64)
    forms, _ = whole_frames(b"\x81\x00\x81\x00\x81", start, np.zeros(5, np.int64))
    assert forms.tolist() == [0] * 5


def test_forms_differ() -> None:
    assert len({0, UNMASKED, MASKED, UNMASKED + COMPRESSED, MASKED + COMPRESSED}) == 5


first_bytes = st.one_of(st.sampled_from([0x81, 0xC1]), st.integers(0, 255))
second_bytes = st.one_of(st.integers(0, 255), st.sampled_from([0, 5, 125, 126, 127, 0x85, 0xFD, 0xFE, 0xFF]))
extended = st.one_of(st.just(b""), st.integers(0, 300).map(lambda n: n.to_bytes(2, "big")), st.binary(max_size=14))
made_up = st.builds(
    lambda first, second, more, size: bytes([first, second]) + more + bytes(size),
    first_bytes,
    second_bytes,
    extended,
    st.integers(0, 310),
)
lengths = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 0xFFFF, 0x10000]))
honest = st.builds(
    lambda size, opcode, fin, rsv, mask, form, more: frame(
        bytes(size), opcode, fin=fin, rsv=rsv, mask=mask, form=None if size > 125 else form
    )[: more or None],
    lengths,
    st.sampled_from([1, 1, 1, 2, 9]),
    st.sampled_from([True, True, False]),
    st.sampled_from([0, 0, RSV1, RSV2]),
    st.sampled_from([b"", MASK]),
    st.sampled_from([None, None, 16, 64]),
    st.sampled_from([0, 0, 0, -1, 3]),
)


@settings(max_examples=150)
@given(st.lists(st.one_of(st.binary(max_size=20), made_up, honest), max_size=5), st.binary(max_size=3))
@example([b"\x81\x7e\x00\x7e" + bytes(126)], b"")
def test_as_the_exact_reader(segments: list[bytes], around: bytes) -> None:
    assert at_once(*segments, around=around) == [exactly(segment) for segment in segments]


@given(st.binary(max_size=30), st.integers(0, 35))
def test_any_bytes(octets: bytes, at: int) -> None:
    header = read_header(octets, at)
    if header is not None:
        assert at + header.size <= len(octets)
        head = frame(
            opcode=header.opcode,
            fin=header.fin,
            rsv=header.rsv,
            mask=header.mask,
            length=header.length,
            form={2: 7, 4: 16, 10: 64}[header.size - len(header.mask)],
        )
        assert octets[at : at + header.size] == head
