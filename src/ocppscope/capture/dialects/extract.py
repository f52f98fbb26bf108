"""Messages as they stand in a line: where their JSON ends, and how strings of other languages are undone.

Text in, text out; nothing here knows dialects.
"""

from __future__ import annotations

import ast
import json
import re
from typing import NamedTuple

_decode = json.JSONDecoder().raw_decode
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]|"', re.DOTALL)
_KEY = re.compile(r'("(?:[^"\\]|\\.)*"): (.*)', re.DOTALL)
_QUOTED_END = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_LITERAL = re.compile(r"""b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_ELISION = "..."


class Open(NamedTuple):
    """A JSON text that has not ended: how deep in it is, and whether it is within a string."""

    depth: int
    in_string: bool


def ending(text: str) -> int | Open:
    """Where the JSON array or object ends that `text` begins with, or how open it is."""
    try:
        return _decode(text)[1]
    except (ValueError, RecursionError):
        return scan(text, Open(0, in_string=False))


def scan(text: str, before: Open) -> int | Open:
    """The same by brackets alone, for JSON that is wrong or goes on over lines; `before` is what came earlier."""
    depth, at = before.depth, 0
    if before.in_string:
        at = _string_end(text, 0)
        if not at:
            return before
    for found in _TOKEN.finditer(text, at):
        token = found[0]
        if token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
            if depth <= 0:
                return found.end()
        elif token == '"':
            return Open(depth, in_string=True)
    return Open(depth, in_string=False)


def _string_end(text: str, start: int) -> int:
    """After the quote that ends a string; 0 if none does."""
    found = _QUOTED_END.match(text, start)
    end = found.end() if found else start
    return end + 1 if text[end : end + 1] == '"' else 0


def compact(line: str) -> str:
    """A line of laid-out JSON without its indentation, and without the blank behind its key."""
    line = line.strip(" \t")
    found = _KEY.fullmatch(line)
    return found[1] + ":" + found[2] if found else line


class Shown(NamedTuple):
    """What a line shows of a message; not `whole` where it is cut."""

    text: str
    whole: bool


def unquoted(text: str) -> Shown:
    """A message within a string with backslashes, whose opening quote came before it."""
    found = _QUOTED_END.match(text)
    inner = found[0] if found else ""
    ended = text[len(inner) : len(inner) + 1] == '"'
    try:
        read = json.loads(f'"{inner}"', strict=False)
    except ValueError:
        read = inner.replace('\\"', '"').replace("\\\\", "\\")
    return Shown(str(read), ended)


def literal(text: str, size: int | None = None) -> tuple[bytes, bool] | None:
    """A Python string or bytes literal; False if it is abridged with `...` and so not of `size` bytes.

    None where there is no literal at all.
    """
    found = _LITERAL.match(text)
    if found is None:
        return None
    try:
        read = ast.literal_eval(found[0])
    except (ValueError, SyntaxError, MemoryError):
        return None
    octets = read if isinstance(read, bytes) else str(read).encode("utf-8", "surrogatepass")
    if size is None or len(octets) == size:
        return octets, True
    return octets.partition(_ELISION.encode())[0], False
