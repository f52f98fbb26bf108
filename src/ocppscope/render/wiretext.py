"""Text from the wire made fit to be shown: no control character, no escape sequence, no bidi trick gets through.

Whatever came from a peer goes through `visible` before it reaches a terminal. What is no printable character is
shown as an escape (`\\x1b`, `\\u202e`), long texts are cut and say how long they were. Nothing here knows OCPP.
"""

from __future__ import annotations

import re
import unicodedata

MAX_VISIBLE = 160
"""Characters that are shown of a text unless more are asked for."""
MAX_JOINED = 4
"""Combining marks that may follow each other; more of them climb over the neighbouring lines."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
_MARK_FLOOD = re.compile(rf"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{{{MAX_JOINED}}})"
                         r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")  # fmt: skip


def visible(text: str, limit: int = MAX_VISIBLE) -> str:
    """`text` with everything escaped that is no printable character; of a longer one the first `limit` characters."""
    if len(text) > limit:
        return f"{_clean(text[:limit])}… ({len(text):,} characters)"
    return text if text.isascii() and text.isprintable() else _clean(text)


def visible_bytes(data: bytes, limit: int = MAX_VISIBLE) -> str:
    """As `visible`, for bytes that should be UTF-8; those that are not are shown as escapes."""
    if len(data) > limit * 4:
        start = _clean(data[: limit * 4].decode("utf-8", "backslashreplace")[:limit])
        return f"{start}… ({len(data):,} bytes)"
    return visible(data.decode("utf-8", "backslashreplace"), limit)


def clip(text: str, width: int) -> str:
    """The beginning of an already visible text, at most `width` terminal columns, with "…" where it was cut."""
    if text.isascii():
        return text if len(text) <= width else text[: max(width - 1, 0)] + "…" * (width > 0)
    if columns(text) <= width:
        return text
    taken = 0
    for index, char in enumerate(text):
        taken += _columns(char)
        if taken > width - 1:
            return text[:index] + "…" * (width > 0)
    return text


def columns(text: str) -> int:
    """Terminal columns that a visible text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def pad(text: str, width: int) -> str:
    """`text` with spaces up to `width` terminal columns."""
    return text.ljust(width) if text.isascii() else text + " " * (width - columns(text))


def _columns(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _clean(text: str) -> str:
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escape(char) for char in text)
    return text if text.isascii() else _MARK_FLOOD.sub(r"\1…", text)


def _escape(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
