"""Paths into payloads: `payload.meterValue[0].sampledValue[*].value`, and what a message has there.

A path is steps: a key, an index, or `[*]` for all elements. A key that meets a list is looked for in each of its
elements. Nothing here compares; a message of any shape gives a tuple of scalars, and bounds hold whatever it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ocppscope.query.lexer import FilterError
from ocppscope.query.values import NESTED, Scalar
from ocppscope.store import reading

MAX_STEPS = 32
"""Steps of a path."""
MAX_VALUES = 4096
"""Values that a path finds in one message; the first ones."""

ALL = None
Step = str | int | None
Steps = tuple[Step, ...]
Read = Callable[[int, bytes], tuple[Scalar, ...]]

ESCAPE = b"\\u"
"""How JSON may write a letter of a key otherwise than as itself."""

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,9}|\*)\]")


def parse_path(text: str, start: int = 0) -> Steps:
    """The steps of `payload.a[0].b`; raises `FilterError`, counted from `start`."""
    steps: list[Step] = []
    at = len("payload")
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise FilterError(
                "The path into the payload cannot be read from here on.",
                start + at,
                start + len(text),
                "Write payload.key, payload.list[0].key or payload.list[*].key.",
            )
        key, index = match.groups()
        steps.append(key if key is not None else ALL if index == "*" else int(index))
        at = match.end()
    if len(steps) > MAX_STEPS:
        raise FilterError("The path into the payload is too long.", start, start + len(text))
    return tuple(steps)


def walk(payload: Any, steps: Steps) -> list[Any]:
    """What stands at the end of a path; null counts as nothing."""
    value = payload
    for at, step in enumerate(steps):
        if step.__class__ is str and value.__class__ is dict:
            value = value.get(step)
        elif step.__class__ is int and value.__class__ is list:
            value = value[step] if step < len(value) else None
        else:
            return _branch(value, steps[at:])
        if value is None:
            return []
    return [value]


def _branch(value: Any, steps: Steps) -> list[Any]:
    """The same where one value may become several."""
    found = [value]
    for step in steps:
        if step.__class__ is str:
            further = _keys(found, step)
        elif step is ALL:
            further = [one for items in found if items.__class__ is list for one in items if one is not None]
        else:
            further = [one for items in found if items.__class__ is list for one in _nth(items, step)]
        found = further if len(further) <= MAX_VALUES else further[:MAX_VALUES]
        if not found:
            break
    return found


def _keys(found: list[Any], key: Any) -> list[Any]:
    """What stands under a key, in objects and in the objects of lists."""
    further = []
    for one in found:
        if one.__class__ is dict:
            if (inner := one.get(key)) is not None:
                further.append(inner)
        elif one.__class__ is list:
            further += [inner for each in one if each.__class__ is dict and (inner := each.get(key)) is not None]
    return further


def _nth(items: list[Any], at: Any) -> list[Any]:
    return items[at : at + 1] if at < len(items) and items[at] is not None else []


def needles(*paths: Steps) -> tuple[bytes, ...]:
    """One of these is in each text that has a value at one of the paths, unless a key is written with escapes."""
    keys = [next((step for step in reversed(steps) if isinstance(step, str)), "") for steps in paths]
    sure = all(key.isascii() and key.isprintable() and key and not set(key) & {'"', "\\", "/"} for key in keys)
    return tuple(dict.fromkeys(f'"{key}"'.encode() for key in keys)) if sure else ()


@lru_cache(maxsize=256)
def reader(*paths: Steps) -> Read:
    """A function that reads what stands at any of the paths in a message of a kind; the same for the same paths."""
    sought = needles(*paths)
    readers = [_path_reader(steps) for steps in paths]
    only = readers[0] if len(readers) == 1 else None

    def read(kind: int, text: bytes) -> tuple[Scalar, ...]:
        for needle in sought:
            if needle in text:
                break
        else:
            if sought and ESCAPE not in text:
                return ()
        found = only(kind, text) if only else [value for each in readers for value in each(kind, text)]
        for one in found:
            if one.__class__ is dict or one.__class__ is list:
                return tuple([NESTED if one.__class__ is dict or one.__class__ is list else one for one in found])
        return tuple(found)

    return read


def _path_reader(steps: Steps) -> Callable[[int, bytes], list[Any]]:
    """Reads what lies on the path only; where the payload has another shape, all of it."""
    try:
        decode = reading.part_decoder(steps)
    except (ValueError, TypeError):  # a key that no JSON can have
        return lambda kind, text: walk(reading.payload(kind, text), steps)

    def read(kind: int, text: bytes) -> list[Any]:
        try:
            value = decode(kind, text)
        except reading.FAILURES:
            value = reading.payload(kind, text)
            return [] if value is None else walk(value, steps)
        return [] if value is None else _ends(value, steps)

    return read


def _ends(value: Any, steps: Steps) -> list[Any]:
    """What `part_decoder` found at the end of a path."""
    step: Any
    for at, step in enumerate(steps):
        if step.__class__ is str:
            value = value.inner
        elif step is ALL:
            return _ends_of_all(value, steps[at + 1 :])
        else:
            value = value[step] if step < len(value) else None
        if value is None:
            return []
    return [value]


def _ends_of_all(items: list[Any], steps: Steps) -> list[Any]:
    """The same for each element of a list."""
    if len(steps) == 1 and steps[0].__class__ is str:  # as in sampledValue[*].value
        found = [inner for one in items if one is not None and (inner := one.inner) is not None]
    else:
        found = [end for one in items if one is not None for end in _ends(one, steps)]
    return found[:MAX_VALUES]


def whole_text(kind: int, text: bytes) -> tuple[Scalar, ...]:
    """The message as it was on the wire."""
    del kind
    return (text[: reading.MAX_READ].decode("utf-8", "replace"),)


def error_description(kind: int, text: bytes) -> tuple[Scalar, ...]:
    """The description of an error."""
    found = reading.error_description(kind, text)
    return (found,) if found else ()
