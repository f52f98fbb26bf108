"""Editing a request's head: what is asked for changes, every other byte stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.proxy.head import MAX_HEAD_BYTES, HeadEditor

HEAD = b"GET / HTTP/1.1\r\nHost:  a.example \r\nX-A: 1\r\n folded\r\nX-B:2\r\nno colon\r\nx-c : b\r\n\r\n"


def fed(editor: HeadEditor, data: bytes, size: int) -> bytes:
    out = b""
    for at in range(0, len(data), size):
        part = data[at : at + size]
        out += part if editor.done else b"".join(editor.feed(part))
    return out


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("without", "host", "after"),
    [
        (frozenset(), "", HEAD),
        (frozenset({b"x-a"}), "", HEAD.replace(b"X-A: 1\r\n folded\r\n", b"")),
        (frozenset({b"x-b", b"no colon"}), "", HEAD.replace(b"X-B:2\r\n", b"")),
        (frozenset(), "c", HEAD.replace(b"Host:  a.example \r\n", b"Host: c\r\n")),
        (frozenset({b"x-c"}), "", HEAD.replace(b"x-c : b\r\n", b"")),
    ],
)
def test_lines_go_or_change_and_the_rest_stays(size, without, host, after):
    editor = HeadEditor(without, host)
    assert fed(editor, b"\r\n" + HEAD + b"\x81\x80early", size) == b"\r\n" + after + b"\x81\x80early"
    assert editor.done
    assert bool(editor.changes) is (after != HEAD)


def test_what_comes_with_the_head_is_told_apart():
    assert HeadEditor().feed(HEAD + b"rest") == (HEAD, b"rest")


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50))
def test_whatever_it_is_nothing_is_lost(data, size):
    editor = HeadEditor(frozenset({b"x-a"}))
    out = fed(editor, data, size)
    assert out + (b"" if editor.done else editor.flush()) == data


def test_a_head_without_end_passes():
    editor = HeadEditor(frozenset({b"x-a"}), "other")
    data = b"GET / HTTP/1.1\r\nX-A: 1\r\n" + b"X: " + b"x" * MAX_HEAD_BYTES
    assert fed(editor, data, 5000) == data
    assert editor.head == b""
    editor = HeadEditor(frozenset({b"x-a"}))
    assert fed(editor, data + b"\r\n\r\n", len(data) + 4) == data + b"\r\n\r\n"
    assert editor.changes == ()
