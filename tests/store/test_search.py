"""Free text over payloads: the oracle is `in`, text by text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.store import search as search_module
from ocppscope.store.places import CaptureTexts, Place
from ocppscope.store.search import CancelledError, Pace, search
from ocppscope.store.store import Store
from store.support_store import call, columns_of

TEXTS = st.lists(st.binary(max_size=12) | st.text("abAB][", max_size=6).map(str.encode), min_size=1, max_size=30)


NO_PACE = Pace()


def found(store, rows, needle, pace=NO_PACE):
    (piece,) = store.pieces()
    return search(store, piece.chunk, np.array(rows, np.int64), needle, pace).tolist()


@given(TEXTS, st.text("ab][", min_size=1, max_size=3), st.data())
def test_the_rows_are_those_that_have_it(texts, needle, data):
    needle = needle.encode()
    rows = [row for row in range(len(texts)) if data.draw(st.booleans())]
    with Store() as store:
        store.take([call(n, text=text) for n, text in enumerate(texts)])
        assert found(store, rows, needle) == [row for row in rows if needle in texts[row].lower()]


@pytest.mark.parametrize(("window", "skip"), [(1, 0), (10, 3), (1000, 1000)])
def test_windows_of_any_size_find_the_same(monkeypatch, window, skip):
    monkeypatch.setattr(search_module, "WINDOW_BYTES", window)
    monkeypatch.setattr(search_module, "MAX_SKIP", skip)
    texts = [b"a" * (n % 7) + b"NEEDLE" * (n % 3 == 0) for n in range(50)]
    with Store() as store:
        store.take([call(n, text=text) for n, text in enumerate(texts)])
        assert found(store, range(50), b"needle") == list(range(0, 50, 3))
        assert found(store, range(0, 50, 5), b"needle") == list(range(0, 50, 15))


def test_masked_texts_in_a_capture(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(b"Needle" + bytes(byte ^ 1 for byte in b"Needle") + b"nothing")
    with Store() as store:
        source = store.add_source(CaptureTexts(path))
        messages = [
            call(0, text=b"Needle"),
            call(1, text=b"Needle"),
            call(2, text=b"nothing"),
            call(3, text=b"needle"),
        ]
        columns = columns_of(messages)
        places = [Place(source, 0, 6), Place(source, 6, 6, 0x01010101), Place(source, 12, 7), None]
        store.append(columns._replace(places=places))
        assert found(store, range(4), b"needle") == [0, 1, 3]


SIZES = st.one_of(st.integers(0, 70), st.sampled_from([127, 128, 129, 512, 513, 2048, 2049, 5000]))


@given(
    st.lists(st.tuples(SIZES, st.sampled_from([0, 0x01020304, 0xFF0000FF]), st.booleans()), min_size=1, max_size=25)
)
def test_masked_texts_of_many_sizes(tmp_path_factory, shapes):
    """Sizes on both sides of each width, masked or not, one behind the other."""
    path, file, messages, places = tmp_path_factory.mktemp("masked") / "capture", bytearray(), [], []
    with Store() as store:
        for number, (size, mask, has_it) in enumerate(shapes):
            text = bytes((number * n) & 255 for n in range(size))
            text = text[: size // 2] + b"NEEDLE"[:size] + text[size // 2 + 6 :] if has_it else text
            key = mask.to_bytes(4, "big")
            places.append((len(file), len(text), mask))
            messages.append(call(number, text=text))
            file += bytes(byte ^ key[n % 4] for n, byte in enumerate(text))
        path.write_bytes(file)
        source = store.add_source(CaptureTexts(path))
        store.append(columns_of(messages)._replace(places=[Place(source, *place) for place in places]))
        wanted = [row for row, message in enumerate(messages) if b"needle" in message.text.lower()]
        assert sorted(found(store, range(len(shapes)), b"needle")) == wanted
        piece = next(iter(store.pieces()))
        rows = np.arange(len(shapes))
        seen = dict(pair for window in search_module.windows(store, piece.chunk, rows) for pair in window.texts())
        assert seen == {row: message.text for row, message in enumerate(messages)}


def test_texts_that_lie_in_any_order(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(b"0needle1needle2")
    with Store() as store:
        source = store.add_source(CaptureTexts(path))
        spans = [(8, 6), (1, 6), (1, 5), (0, 15), (8, 7), (0, 1)]
        messages = [call(n, text=path.read_bytes()[at : at + size]) for n, (at, size) in enumerate(spans)]
        places = [Place(source, at, size) for at, size in spans]
        store.append(columns_of(messages)._replace(places=places))
        assert [store.text(row) for row in range(6)] == [message.text for message in messages]
        assert found(store, range(6), b"needle") == [0, 1, 3, 4]


def test_it_reports_and_can_be_given_up(monkeypatch):
    monkeypatch.setattr(search_module, "WINDOW_BYTES", 100)
    seen = []
    with Store() as store:
        store.take([call(n, text=b"x" * 60) for n in range(100)])
        found(store, range(100), b"y", Pace(progress=seen.append))
        assert seen == sorted(seen)
        assert len(seen) > 50
        with pytest.raises(CancelledError):
            found(store, range(100), b"y", Pace(cancelled=lambda: True))


def test_texts_that_are_gone_are_passed_over():
    with Store() as store:
        store.take([call(0, text=b"needle")])
        store.spool.trouble = "full"
        store.take([call(1, text=b"needle")])
        store.spool.trouble = ""
        store.take([call(2, text=b"needle")])
        assert found(store, range(3), b"needle") == [0, 2]
