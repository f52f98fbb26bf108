"""The search of a finished export for what should not be in it. It never repeats what it found."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.redaction.blanks import faceless
from ocppscope.redaction.detectors import Sign, hits, replaced
from ocppscope.redaction.known import EDGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.redaction.detectors import Hit
    from ocppscope.redaction.values import Values

MAX_LEAKS = 1000
"""Places that are told of one text."""
MAX_IDENTIFIER = 8192
"""Longest string, as it is written, that may be a pseudonym."""
CONTEXT_CHARS = 16
"""Characters on either side of a place that an excerpt shows."""
_TELLING_DIGITS = 8
_TELLING_LETTERS = 8
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_VALUE = re.compile(r"[^\s\"'&;,<>(){}\[\]]*")
_MARKS = re.compile(r"[^\w\s-]|_")
MARK = "⟨…⟩"
"""Stands for the secret in an excerpt."""


class Leak(NamedTuple):
    """A place where something was left; neither says what."""

    kind: str  # as in the tally: "driver token"
    excerpt: str  # what stands around it
    offset: int  # in characters


def is_telling(token: str) -> bool:
    """Whether a token that is known is a leak wherever it stands: not a short number, which may be that of a row, and
    not plain words, which may be ours.
    """
    if token.isdecimal():
        return len(token) >= _TELLING_DIGITS
    if any(char.isdecimal() for char in token):
        return True
    return (token.isalpha() and len(token) >= _TELLING_LETTERS) or bool(_MARKS.search(token))


class Scan:
    """The search with what one run has redacted."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def leaks(self, text: str) -> list[Leak]:
        """The first `MAX_LEAKS` places, in order."""
        places = _apart(sorted(self._places(text), key=lambda place: place[:2]))
        edges = [(start, end) for start, end, _ in places]
        return [
            Leak(kind, _excerpt(text, edges, at), start) for at, (start, _, kind) in enumerate(places[:MAX_LEAKS])
        ]

    def cleared(self, text: str) -> str:
        """A text of which all that would be a leak has lost its letters and digits, but for what strings hold."""
        strings = bytearray(len(text))
        for match in _STRING.finditer(text):
            strings[match.start() : match.end()] = b"\1" * (match.end() - match.start())
        found = sorted(place for place in self._places(text) if not all(strings[place[0] : place[1]]))
        places = _apart(found)
        return replaced(text, [(start, end, faceless(text[start:end])) for start, end, _ in places])

    def _places(self, text: str) -> Iterator[tuple[int, int, str]]:
        for place in self._values.known.bare(text):
            if is_telling(text[place.start : place.end]):
                yield place.start, place.end, str(place.entry.kind)
        for hit in hits(text):
            if not self._is_ours(hit.sign, text[hit.start : hit.end]) and not self._is_in_ours(text, hit):
                yield hit.start, hit.end, str(hit.sign)

    def _is_ours(self, sign: Sign, text: str) -> bool:
        """Whether it is a pseudonym, was looked at and kept, or lost its letters and digits."""
        values = self._values
        if not values.policy.network and sign in (Sign.IPV4, Sign.IPV6, Sign.MAC):
            return True
        return text in values.kept or values.pseudonyms.is_pseudonym(text) or faceless(text) == text

    def _is_in_ours(self, text: str, hit: Hit) -> bool:
        """Whether it is a part of a string that is a pseudonym, of an idTag with an address in it, say.

        Or begins with what follows a backslash, and would be nothing without: `"\\n@example.org"`.
        """
        if text[hit.start - 1 : hit.start] == "\\" and text[hit.start] in "bfnrtu":
            rest = text[hit.start + (5 if text[hit.start] == "u" else 1) : hit.end]
            return not hits(rest)
        given = self._values.pseudonyms
        if hit.sign is Sign.USERINFO and given.is_pseudonym(_VALUE.match(text, hit.start + 1)[0]):  # type: ignore[index]
            return True  # the value of `name://a:b@c`
        start, stop = text.rfind('"', 0, hit.start) + 1, text.find('"', hit.end)
        stop = len(text) if stop < 0 else stop
        if not start or stop > start + MAX_IDENTIFIER:
            return False
        said = text[start:stop]
        if "\\" in said:
            try:
                said = json.loads(f'"{said}"', strict=False)
            except ValueError:
                return False
        return given.is_pseudonym(said) or given.is_pseudonym(EDGES.sub("", said))


def _apart(places: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Without those that begin within another; what is known comes before what only looks like it."""
    apart: list[tuple[int, int, str]] = []
    for place in places:
        if not apart or place[0] >= apart[-1][1]:
            apart.append(place)
    return apart


def _excerpt(text: str, places: list[tuple[int, int]], at: int) -> str:
    """What stands around a place, with all that was found near it left out."""
    start, end = places[at]
    before = max([start - CONTEXT_CHARS, 0, *(other for _, other in places[max(0, at - 8) : at] if other <= start)])
    after = min([end + CONTEXT_CHARS, len(text), *(other for other, _ in places[at + 1 : at + 9] if other >= end)])
    return f"{text[before:start]}{MARK}{text[end:after]}"
