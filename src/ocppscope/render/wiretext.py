"""Text from the wire made fit to be shown: no control character, no escape sequence, no bidi trick gets through.

Whatever came from a peer goes through `visible` before it reaches a terminal. What is no printable character is
shown as an escape (`\\x1b`, `\\u202e`), long texts are cut and say how long they were. Nothing here knows OCPP.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_VISIBLE = 160
"""Characters that are shown of a text unless more are asked for."""
MAX_JOINED = 4
"""Combining marks that may follow each other; more of them climb over the neighbouring lines."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
_NARROW = re.compile("[\x00-\xac\xae-\u02ff\u2010-\u2027\u2190-\u2319\u2500-\u25fc\u270c-\u2727\u2800-\u28ff]*")
"""Texts of characters that take one column each: Latin, and what ladders and charts are drawn with."""


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
    if _is_narrow(text):
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
    return len(text) if text.isascii() or _NARROW.fullmatch(text) else sum(map(_columns, text))


def pad(text: str, width: int) -> str:
    """`text` with spaces up to `width` terminal columns."""
    return text.ljust(width) if _is_narrow(text) else text + " " * (width - columns(text))


def _is_narrow(text: str) -> bool:
    """Whether it is known at a glance that each character takes one column."""
    return text.isascii() or _NARROW.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _columns(char: str) -> int:
    """Columns of one character; none of what stands on, or in, the character before it."""
    if unicodedata.category(char) in ("Mn", "Me", "Cf") or unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _clean(text: str) -> str:
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escape(char) for char in text)
    return text if _is_narrow(text) else _without_floods(text)


def _without_floods(text: str) -> str:
    """With no more than `MAX_JOINED` marks on one character, and "…" in place of the others."""
    kept: list[str] = []
    joined = 0
    for char in text:
        joined = 0 if _columns(char) else joined + 1
        if joined <= MAX_JOINED:
            kept.append(char)
        elif joined == MAX_JOINED + 1:
            kept.append("…")
    return "".join(kept)


def _escape(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
