"""The spool and the cache of texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.store.places import GoneError, unmasked
from ocppscope.store.spool import Cache, Spool


@given(st.lists(st.lists(st.binary(max_size=30), max_size=4), max_size=12), st.integers(1, 50))
def test_texts_come_back_whatever_the_segments(batches, segment):
    spool = Spool(segment_bytes=segment)
    places = []
    for texts in batches:
        offset = spool.append(texts)
        for text in texts:
            places.append((offset, text))
            offset += len(text)
    assert [spool.read(offset, len(text)) for offset, text in places] == [text for _, text in places]
    whole = b"".join(text for _, text in places)
    assert spool.read(0, len(whole)) == whole
    spool.close()


def test_segments_before_an_offset_are_given_back():
    spool = Spool(segment_bytes=10)
    for _ in range(10):
        spool.append([b"0123456789"])
    spool.release(35)
    assert len(spool._segments) == 7
    assert spool.read(35, 5) == b"56789"
    with pytest.raises(GoneError):
        spool.read(5, 5)
    with pytest.raises(GoneError):
        spool.read(100, 1)
    spool.close()


def test_no_more_files_to_be_had(monkeypatch):
    spool = Spool(segment_bytes=10)
    spool.append([b"0123456789"])

    def none_left(**_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("ocppscope.store.spool.tempfile.TemporaryFile", none_left)
    assert spool.append([b"abc"]) == 10
    assert spool.read(10, 3) == b"abc"
    assert not spool.trouble
    spool.close()


def test_no_file_at_all(tmp_path):
    spool = Spool(directory=str(tmp_path / "not there"))
    assert spool.append([b"abc"]) is None
    assert "cannot grow" in spool.trouble


def test_the_cache_is_bounded_and_drops_what_nobody_asks_for():
    cache = Cache(limit=100)
    for row in range(10):
        cache.put(row, b"x" * 30)
        assert cache.get(0) is not None or row > 0
        assert cache.held <= 100
    assert cache.get(9) == b"x" * 30
    assert cache.get(0) == b"x" * 30
    assert cache.get(5) is None
    cache.put(11, b"x" * 101)
    assert cache.get(11) is None


@given(st.binary(max_size=70), st.binary(min_size=4, max_size=4))
def test_unmasking_is_the_xor_of_the_key(data, key):
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
    assert unmasked(masked, int.from_bytes(key, "big")) == data
