"""Texts from the wire: what is shown of them is printable, no longer than asked for, and stays one label of a diagram."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ocppscope.render.csvtext import MAX_CELL, cell
from ocppscope.render.mermaid import MAX_MERMAID_LABEL, escape
from ocppscope.render.wiretext import clip, columns, pad, visible, visible_bytes

WORDS = (
    b"\x1b]52;c;",
    b"\x9b31m",
    b"\xc2\x9b",
    b"\xe2\x80\xae",
    b"\xcc\x80" * 9,
    b"\xf0\x9f\x94\x8c",
    b"\xe2\x80\x8b",
    b"\xef\xb8\x8f",
)
STRUCTURE = re.compile(r"[;\n\r<>]")


def target(data: bytes) -> None:
    """As text and as bytes, at some widths."""
    width = data[0] if data else 0
    text = data.decode("utf-8", "surrogateescape")
    for shown in (visible(text), visible(text, width), visible_bytes(data), visible_bytes(data, width)):
        assert shown.isprintable(), shown
        short = clip(shown, width)
        assert columns(short) <= width
        assert shown.startswith(short.removesuffix("…"))
        assert columns(pad(short, width)) == max(width, columns(short))
    assert len(visible(text, width)) <= 10 * width + 30
    label = escape(text)
    assert not STRUCTURE.search(re.sub(r"#\w+;|<br/?>", "", label)), label
    assert label.isprintable()
    assert MAX_MERMAID_LABEL
    inside = cell(text)
    assert len(inside) <= 2 * MAX_CELL + 100


def seeds() -> Iterator[bytes]:
    """Sequences that terminals obey."""
    for word in (*WORDS, "é電気🔌e\u0301".encode(), b"plain text", b"\x00\x07\x7f", b"a;b#c<d>\r\n%%{}"):
        yield b"\x0c" + word
        yield b"\x40" + word * 30
