"""What differs between two messages, element by element, by JSON pointer. Bounded; of anything that is no JSON, the
text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ocppscope.compare.report import Fact
from ocppscope.ocpp import codec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FACTS = 20
"""Elements of one pair of messages that are listed."""
MAX_DEPTH = 32
"""Levels of nesting that are compared element by element."""
MAX_VALUE = 200
"""Characters of a value that are kept; `…` stands for the rest."""
_HEAD = re.compile(rb'\s*\[\s*(-?\d+)\s*,\s*(?:"(?:[^"\\]|\\.)*"|[^,\[\]{}"]{0,64})\s*,', re.DOTALL)
_NOTHING: Any = object()


def body(text: bytes) -> bytes:
    """A message without its id."""
    found = _HEAD.match(text)
    return found[1] + b"," + text[found.end() :] if found else text


def loaded(text: bytes) -> object:
    """A text as JSON; `None` where it is none."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


def payload(text: bytes) -> object:
    """What a message carries, an object mostly; `None` where it cannot be read."""
    raw = codec.decode(text)
    return loaded(raw.payload or raw.error_details)


def same_content(a: bytes, b: bytes) -> bool:
    """Whether two texts are the same JSON, written differently."""
    one = loaded(a)
    try:
        return one is not None and json.dumps(one, sort_keys=True) == json.dumps(loaded(b), sort_keys=True)
    except RecursionError:
        return False


def changes(a: bytes, b: bytes) -> tuple[Fact, ...]:
    """The elements that differ; the first ones."""
    one, other = loaded(a), loaded(b)
    if a == b:
        return ()
    if one is None or other is None:
        return (Fact("text", _text(a), _text(b)),)
    found = []
    for fact in _walk("", one, other, 0):
        found.append(fact)
        if len(found) == MAX_FACTS:
            break
    return tuple(found)


def _text(text: bytes) -> str:
    return _cut(text[: MAX_VALUE * 4 + 1].decode("utf-8", "backslashreplace"))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def _walk(path: str, a: object, b: object, depth: int) -> Iterator[Fact]:
    if isinstance(a, dict) and isinstance(b, dict) and depth < MAX_DEPTH:
        for name in [*a, *(name for name in b if name not in a)]:
            yield from _walk(f"{path}/{name}", a.get(name, _NOTHING), b.get(name, _NOTHING), depth + 1)
    elif isinstance(a, list) and isinstance(b, list) and depth < MAX_DEPTH:
        for place in range(max(len(a), len(b))):
            one, other = (part[place] if place < len(part) else _NOTHING for part in (a, b))
            yield from _walk(f"{path}/{place}", one, other, depth + 1)
    elif a is _NOTHING or b is _NOTHING or type(a) is not type(b) or a != b:
        yield Fact(path or "/", shown(a), shown(b))


def shown(value: object) -> str:
    """A value as JSON, "" for none."""
    if value is _NOTHING:
        return ""
    try:
        return _cut(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return "…"
