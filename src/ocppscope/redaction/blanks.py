"""What stands in the place of a secret: asterisks, and how long it was, roughly.

A blank says no more than one of five ranges of lengths. They are those that a diagnosis tells apart: what OCPP allows
for passwords, what is too short or too long, and what is as long as a key in hex.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Range(NamedTuple):
    """Lengths that are not told apart."""

    length: int  # that stands for all of them
    text: str  # as long as that; not of a single character, which would read as if there had been a blank before


_SHORTEST = Range(7, "*** 1-7")
_SHORT = Range(10, "*** (8-15)")
_PROPER = Range(18, "*** (16-40 chars)*")
_HEX = Range(36, "*** (32-40 chars, even)" + "*" * 13)
_LONG = Range(41, "*** (41 chars or more)" + "*" * 19)
RANGES = (_SHORTEST, _SHORT, _PROPER, _HEX, _LONG)
"""From short to long."""
_HEX_LENGTHS = frozenset({32, 34, 36, 38, 40})
_HEX_KEY = "b1a4ced0b1a4ced0b1a4ced0b1a4ced0b1a4"
"""Stands for a key in hex: half its length is that of a proper password."""

_BLANK = re.compile(r"\*+|(?:" + "|".join(re.escape(one.text) + r"\**" for one in RANGES) + ")|" + _HEX_KEY)
_SIZED = re.compile(r"\*\*\*(?: \(\d{1,9} bytes\))?")
_HEX_DIGITS = re.compile(r"[0-9A-Fa-f]+")


def range_of(length: int) -> Range:
    """The range that a length is in."""
    if length < 16:
        return _SHORTEST if length < 8 else _SHORT
    if length > 40:
        return _LONG
    return _HEX if length in _HEX_LENGTHS else _PROPER


def is_blank(text: str) -> bool:
    """Whether it is empty, or has been blanked before: here, by whoever made the capture, or when a head was read."""
    return not text or _BLANK.fullmatch(text) is not None or _SIZED.fullmatch(text) is not None


def blanked(text: str, limit: int | None = None) -> str:
    """The blank for a secret. Within `limit` characters if the secret was, else beyond it; a blank stays.

    What was one character, repeated, becomes asterisks only.
    """
    if is_blank(text):
        return text
    known = range_of(len(text))
    shown = "*" * known.length if len(set(text)) == 1 else known.text
    return shown if limit is None else fitted(shown, len(text), limit)


def blanked_key(text: str, limit: int | None = None) -> str:
    """As `blanked`, for a key that may be written in hex: the blank then is, too."""
    if len(text) in _HEX_LENGTHS and _HEX_DIGITS.fullmatch(text) and len(set(text)) > 1:
        return _fitted_key(len(text), limit)
    return blanked(text, limit)


def fitted(shown: str, length: int, limit: int) -> str:
    """A text cut to a limit where one of that length kept it, and drawn out where it did not."""
    if length > limit:
        return shown.ljust(limit + 1, "*")
    return shown[: limit - limit % 2 if length in _HEX_LENGTHS else limit]  # what was of an even length stays so


def _fitted_key(length: int, limit: int | None) -> str:
    """As `fitted`, for a key in hex, which stays one: of an even number of digits."""
    if limit is None:
        return _HEX_KEY
    if length <= limit:
        return _HEX_KEY[: limit - limit % 2]
    return (_HEX_KEY + _HEX_KEY)[: max(len(_HEX_KEY), limit + 2 - limit % 2)]


def starred(length: int) -> str:
    """Asterisks, as many as stand for the length of a password."""
    return "*" * (range_of(length).length if length else 0)


_FACELESS = {
    **dict.fromkeys(range(48, 58), "0"), **dict.fromkeys(range(65, 91), "X"), **dict.fromkeys(range(97, 123), "x"),
}  # fmt: skip


def faceless(text: str) -> str:
    """Every letter and digit replaced by one of its kind: for what cannot be judged."""
    shown = text.translate(_FACELESS)
    return shown if shown.isascii() else "".join(map(_faceless, shown))


def _faceless(char: str) -> str:
    if char < "\x80" or "\ud800" <= char <= "\udfff":
        return char
    return "0" if char.isdecimal() else "X" if char.isupper() else "x" if char.isalnum() else char
