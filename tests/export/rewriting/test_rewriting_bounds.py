"""Bounds of a rewritten capture are reached: memory stays small, and the scan for leaks still sees everything."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from ocppscope.capture import pcapngout
from ocppscope.engine import Engine
from ocppscope.export.rewriting import encoding, written
from ocppscope.export.rewriting.encoding import MAX_WINDOW, Compressors, Deflater
from ocppscope.export.rewriting.written import MAX_NAMED_ADDRESSES, texts_in
from support_cli import Session

CSMS = bytes([10, 9, 9, 9])
TAIL = b"\x00\x00\xff\xff"


@pytest.mark.parametrize("bits", [15, MAX_WINDOW + 1, MAX_WINDOW])
def test_a_compressor_never_reaches_back_further_than_its_window(bits: int):
    """However large a window was agreed: an inflater with the small one reads it all."""
    near, far = random.Random(1).randbytes(1 << MAX_WINDOW - 1), random.Random(2).randbytes(1 << MAX_WINDOW)
    deflater, inflater = Deflater(bits, Compressors(), takeover=True), zlib.decompressobj(-MAX_WINDOW)
    sizes = []
    for text in (near, near, far, near):
        payload = deflater.message(text)
        sizes.append(len(payload))
        assert inflater.decompress(payload + TAIL) == text
    assert sizes[1] < 100
    assert sizes[3] > len(near)


def test_with_the_window_that_was_agreed_it_would(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encoding, "MAX_WINDOW", 15)
    text = random.Random(1).randbytes(2 << MAX_WINDOW)
    deflater = Deflater(15, Compressors(), takeover=True)
    deflater.message(text)
    assert len(deflater.message(text)) < 1000


@pytest.mark.parametrize("bound", [0, MAX_NAMED_ADDRESSES])
def test_every_address_is_given_to_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int):
    """What is not remembered is given again rather than not at all; also that of a side that says nothing."""
    monkeypatch.setattr(written, "MAX_NAMED_ADDRESSES", bound)
    addresses = [f"10.1.2.{number}" for number in range(20)]
    sessions = [Session(station=one, csms="10.9.9.9").upgrade() for one in addresses]
    packets = sorted((one for session in sessions for one in session.packets), key=lambda one: one.time_ns)
    path = tmp_path / "a.pcapng"
    blocks = [pcapngout.packet(0, one.time_ns, one.data) for one in packets if one.data[26:30] != CSMS]
    path.write_bytes(b"".join([pcapngout.section("x"), pcapngout.interface(1, "x"), *blocks]))
    texts = list(texts_in(str(path), Engine()))
    assert {*addresses, "10.9.9.9"} <= set(texts)
    assert (texts.count("10.9.9.9") == 1) == (bound > 2)


def test_of_many_compressors_some_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they write can be read by who has read all before it, as ever."""
    monkeypatch.setattr(encoding, "MAX_COMPRESSORS", 2)
    compressors = Compressors()
    ends = [(Deflater(15, compressors, takeover=True), zlib.decompressobj(-15)) for _ in range(5)]
    sizes = []
    for number in range(20):
        for deflater, inflater in ends:
            text = b'[2,"%d","DataTransfer",{"vendorId":"a vendor of some length"}]' % number
            payload = deflater.message(text)
            sizes.append(len(payload))
            assert inflater.decompress(payload + b"\0\0\xff\xff") == text
            assert len(compressors._busy) <= 2
    assert min(sizes) * 2 < max(sizes[5:])
