"""Regular expressions of `matches`, with a bound on what they can cost.

Python's engine backtracks: `(a+)+b` takes longer than the age of the universe on a short text. Before a pattern is
used, its worst case is estimated from its structure; the bound then says how much of a text may be looked at. A
pattern that is too expensive even for `SHORTEST` characters is refused.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from ocppscope.query.lexer import FilterError

MAX_WORK = 1 << 25
"""Steps that matching one text may take in the worst case (some tenths of a second; mostly far less)."""
LENGTHS = (4096, 1024, 256, 64)
"""Characters of a text that a pattern may look at: as many as its worst case allows."""
SHORTEST = LENGTHS[-1]
MAX_PATTERN = 500
"""Characters of a pattern."""

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_REFUSED = {
    "ASSERT": "looks ahead or behind",
    "ASSERT_NOT": "looks ahead or behind",
    "GROUPREF": "refers back to a group",
    "GROUPREF_EXISTS": "refers back to a group",
}


class _CostlyError(Exception):
    """Why a pattern is refused."""


class Pattern(NamedTuple):
    """A compiled pattern and how many characters of a text it looks at."""

    regex: re.Pattern[str]
    length: int

    def found_in(self, text: str) -> bool:
        """Whether the pattern occurs in the first `length` characters of a text."""
        return self.regex.search(text[: self.length]) is not None


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """A pattern that ignores case; raises `FilterError` with places inside the pattern."""
    if len(text) > MAX_PATTERN:
        raise FilterError("The regular expression is too long.", 0, len(text))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what Python will read otherwise one day
            tree = _parser.parse(text, re.IGNORECASE)
            regex = re.compile(text, re.IGNORECASE)
    except Warning as warning:
        raise FilterError(f"The regular expression is ambiguous: {warning}.", 0, len(text)) from warning
    except (re.error, RecursionError, OverflowError) as error:
        at = getattr(error, "pos", None) or 0
        why = getattr(error, "msg", "nested too deeply")
        raise FilterError(f"The regular expression is wrong: {why}.", at, at + 1) from error
    try:
        for length in LENGTHS:
            if length * _ways(tree, length) * _stride(tree, length) <= MAX_WORK:
                return Pattern(regex, length)
        raise _CostlyError("has too many repetitions")
    except _CostlyError as why:
        raise FilterError(
            f"The regular expression {why}, which could take for ever.",
            0,
            len(text),
            "Use fewer “*” and “+”, and none around another; “contains” may do.",
        ) from why


def _ways(tree: Any, length: int) -> int:
    """In how many ways a part of a pattern can be tried at one place of a text of `length` characters, at most."""
    ways = 1
    for operation, argument in tree:
        ways = min(ways * _ways_of(str(operation), argument, length), MAX_WORK + 1)
    return ways


def _ways_of(operation: str, argument: Any, length: int) -> int:
    if operation in _REFUSED:
        raise _CostlyError(_REFUSED[operation])
    if operation in _REPEATS:
        low, high, body = argument
        inner, low, high = _ways(body, length), int(low), min(int(high), length)
        if inner > 1 and high > 1:
            raise _CostlyError("repeats what repeats or chooses itself")
        return (max(high - low, 0) + 1) * inner
    if operation == "BRANCH":
        return sum(_ways(branch, length) for branch in argument[1])
    if operation == "SUBPATTERN":
        return _ways(argument[-1], length)
    if operation == "ATOMIC_GROUP":
        return _ways(argument, length)
    return 1


def _stride(tree: Any, length: int) -> int:
    """How much further than a step a single try may go, since fixed parts are walked at each place."""
    return 1 + min(int(tree.getwidth()[0]), length) // SHORTEST
