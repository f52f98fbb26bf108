"""The words of a filter: operators, brackets, quoted texts, and everything else as plain words with their places.

What a word means (a field, a number, a duration, a name of an action) depends on where it stands; `check` decides it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_FILTER = 10_000
"""Characters of a filter."""


class FilterError(Exception):
    """A filter that cannot be understood: `message`, where it is wrong, and a `hint` that helps ("" if none does)."""

    def __init__(self, message: str, start: int = 0, stop: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.stop = stop
        self.hint = hint


class Token(NamedTuple):
    """A piece of a filter from `start` to before `stop`.

    `kind` is an operator as it is spelled canonically, "word", "text" (quoted, `text` without quotes) or "end".
    """

    kind: str
    text: str
    start: int
    stop: int


OPERATORS = {
    "==": "==", "!=": "!=", "<=": "<=", ">=": ">=", "<": "<", ">": ">", "&&": "and", "||": "or", "!": "not",
    "(": "(", ")": ")", "{": "{", "}": "}", ",": ",", "~": "matches",
}  # fmt: skip
"""Signs and the operators that they spell."""
WORD_OPERATORS = {
    "and": "and", "or": "or", "not": "not", "in": "in", "contains": "contains", "matches": "matches",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
"""Words that are operators, whatever their case."""
_SLIPS = {"=": "==", "&": "&&", "|": "||"}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<sign>==|!=|<=|>=|&&|\|\||[<>!(){},~])
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<word>[^\s"'(){},=!<>&|~]+)
    | (?P<slip>["'=&|])
    | (?P<end>$)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r'\\(["\'\\])')


def tokens(text: str) -> list[Token]:
    """The tokens of a filter, with an "end" token behind the last; raises `FilterError`."""
    if len(text) > MAX_FILTER:
        raise FilterError("The filter is too long.", 0, len(text), f"A filter has at most {MAX_FILTER:,} characters.")
    found: list[Token] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        assert match is not None  # each character begins one of the alternatives
        token = _token(match)
        found.append(token)
        if token.kind == "end":
            return found
        at = match.end()


def _token(match: re.Match[str]) -> Token:
    group = match.lastgroup
    assert group is not None
    raw, (start, stop) = match[group], match.span(group)
    if group == "slip":
        if raw in _SLIPS:
            raise FilterError(f"“{raw}” is no operator.", start, stop, f"Write {_SLIPS[raw]}.")
        raise FilterError("The quoted text has no end.", start, len(match.string), f"Add a {raw} at its end.")
    if group == "text":
        return Token("text", _ESCAPE.sub(r"\1", raw[1:-1]), start, stop)
    if group == "sign":
        return Token(OPERATORS[raw], raw, start, stop)
    if group == "word":
        return Token(WORD_OPERATORS.get(raw.lower(), "word"), raw, start, stop)
    return Token("end", "", start, stop)
