"""JSON text as a tree of tokens with their places, so that single values can be replaced and all else stays.

Tolerant: what is cut, malformed or no JSON at all gives as much of a tree as there is. Linear, and it never raises.
It knows nothing of OCPP and does not judge.
"""

from __future__ import annotations

import json
import re
from enum import IntEnum

MAX_SPANS = 250_000
"""Values of a text; what is beyond is one that is no JSON."""
MAX_SPAN_DEPTH = 64
"""Nesting beyond which containers become part of the one around them."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{},:]|[^\s\[\]{},:"]++', re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CONTROL = re.compile("[\x00-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_RAW_BYTE = re.compile("[\udc80-\udcff]")


class Shape(IntEnum):
    """What a token is."""

    TEXT = 0
    NUMBER = 1
    OTHER = 2  # true, false, null, NaN, and whatever is no JSON
    ARRAY = 3
    OBJECT = 4


class Span:
    """A value at characters [start, end) of a text; of an open container or a cut string the end is the text's."""

    __slots__ = ("end", "items", "key", "shape", "start")

    def __init__(self, shape: Shape, start: int, end: int, key: Span | None) -> None:
        self.shape = shape
        self.start = start
        self.end = end
        self.key = key  # the token of its name in an object
        self.items: list[Span] = [] if shape >= Shape.ARRAY else _NO_ITEMS


_NO_ITEMS: list[Span] = []


def spans(text: str) -> list[Span]:
    """The values that follow each other in a text: one, if it is JSON."""
    around = top = Span(Shape.ARRAY, 0, len(text), None)
    stack = [top]
    key: Span | None = None
    for count, match in enumerate(_TOKEN.finditer(text)):
        start, end = match.span()
        if count >= MAX_SPANS:
            around.items.append(Span(Shape.OTHER, start, len(text), None))
            break
        first = text[start]
        if first == '"':
            around.items.append(Span(Shape.TEXT, start, end, key))
            key = None
        elif first == ":":
            last = around.items[-1] if around.items else None
            if key is None and last is not None and last.shape is Shape.TEXT:
                # a value that a stray colon makes a name of what follows is looked at as a value, too
                key = around.items.pop() if last.key is None else Span(Shape.TEXT, last.start, last.end, None)
        elif first == ",":
            _leave_alone(around, key)
            key = None
        elif first in "[{":
            if len(stack) > MAX_SPAN_DEPTH:
                _leave_alone(around, key)
                key = None
                continue
            inner = Span(Shape.OBJECT if first == "{" else Shape.ARRAY, start, len(text), key)
            around.items.append(inner)
            stack.append(inner)
            around, key = inner, None
        elif first in "]}":
            _leave_alone(around, key)
            key = None
            if len(stack) > 1:
                stack.pop().end = end
                around = stack[-1]
        else:
            shape = Shape.NUMBER if _NUMBER.fullmatch(text, start, end) else Shape.OTHER
            around.items.append(Span(shape, start, end, key))
            key = None
    _leave_alone(around, key)
    return top.items


def _leave_alone(around: Span, key: Span | None) -> None:
    """A name without a value is a text like others, so that it is looked at."""
    if key is not None:
        around.items.append(key)


def string_of(text: str, span: Span) -> str:
    """What a string token says; of a cut one what there is of it."""
    raw = _content(text, span)
    if "\\" not in raw:
        return raw
    try:
        said = json.loads(f'"{raw}"', strict=False)
    except ValueError:
        return raw
    return said if isinstance(said, str) else raw


def is_closed(text: str, span: Span) -> bool:
    """Whether a string token has its closing quote: only the last of a text may lack it."""
    if span.end < len(text):
        return True
    raw = text[span.start + 1 : span.end]
    return raw.endswith('"') and (len(raw) - 1 - len(raw[:-1].rstrip("\\"))) % 2 == 0


def _content(text: str, span: Span) -> str:
    return text[span.start + 1 : span.end - is_closed(text, span)]


def written(text: str, span: Span, said: str) -> str:
    """The token of a string with other content: as closed, as escaped and as well encoded as it was."""
    raw = text[span.start + 1 : span.end]
    closed = is_closed(text, span)
    said = said.replace("\\", "\\\\").replace('"', '\\"')
    if not _CONTROL.search(raw):
        said = _CONTROL.sub(_escape, said)
    if not said.isascii():
        said = (
            _SURROGATE.sub(_escape, said) if not _RAW_BYTE.search(raw) else _SURROGATE.sub(_escape_unless_byte, said)
        )
        if raw.isascii():
            said = json.dumps(said)[1:-1].replace("\\\\", "\\").replace('\\"', '"')
    return f'"{said}"' if closed else f'"{said}'


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _escape_unless_byte(match: re.Match[str]) -> str:
    return match[0] if _RAW_BYTE.fullmatch(match[0]) else _escape(match)
