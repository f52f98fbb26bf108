"""Values of fields, and the tests that a filter makes of them, one value at a time.

**Missing values.** A message may have no value of a field (None): then every comparison is false, `!=` too, and `not`
of it is true. Of several values one has to fit; with `!=` none may be equal.

**Payload values** have the type that the peer gave them. A number is compared with numbers and with texts that are
written as one ("16.2", as OCPP 1.6 writes meter values); a quoted text with texts, and with numbers as they print.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from ocppscope.query import literals
from ocppscope.query.patterns import Pattern

Scalar = int | float | str | bool
Value = Scalar | tuple[Scalar, ...] | None


class Nested(NamedTuple):
    """A list or object where a scalar could be: it exists, and equals nothing."""


NESTED: Any = Nested()


class Type(Enum):
    """What a field holds, by the words that the documentation uses."""

    INTEGER = "integer"
    TEXT = "text"
    CHOICE = "choice"
    TIME = "time"
    DURATION = "duration"
    SIZE = "size"
    YES_NO = "yes or no"
    ANY = "any JSON value"


ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""Comparisons by their sign, for values and for whole columns."""


_DIGITS, _STARTS, _HUGE = frozenset("0123456789"), frozenset("0123456789+-."), 1e300


class Range(NamedTuple):
    """`low..high` in a list of values, both included."""

    low: Any
    high: Any


Operand = int | float | str | bool | Range | Pattern


def as_number(value: Scalar) -> int | float | None:
    """A number, also of a text that is written as one."""
    if value.__class__ is str:
        return _number_in(value)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def _number_in(text: Any) -> float | None:
    """The number that a text is, without names of numbers, blanks and underscores."""
    if len(text) > literals.MAX_DIGITS or text[-1:] not in _DIGITS or "_" in text or text[:1] not in _STARTS:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < _HUGE else None


def as_text(value: Scalar) -> str | None:
    """A text, also of a number or of yes and no as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else repr(value) if isinstance(value, float) else None


def as_flag(value: Scalar) -> bool | None:
    """Yes or no; nothing else is."""
    return value if isinstance(value, bool) else None


def as_it_is(value: Scalar) -> Scalar | None:
    """A value of a field whose type is known."""
    return value


Fits = Callable[[Any], bool]


class Judge:
    """`operator` and `operands`, asked of one value. `read` makes a scalar comparable, None where it is not.

    "exists" asks for any value, "true" for yes; both have no operands.
    """

    __slots__ = ("_fits", "_inverse", "operands", "operator")

    def __init__(self, sign: str, operands: tuple[Operand, ...], read: Callable[[Any], Any] = as_it_is) -> None:
        self.operator = sign
        self.operands = operands
        self._inverse = sign == "!="
        self._fits = _fitting("==" if sign in ("!=", "in") else sign, operands, read)

    def accepts(self, value: Value) -> bool:
        """Whether a value passes."""
        if value is None:
            return False
        fits = self._fits
        if value.__class__ is not tuple:
            return fits(value) is not self._inverse
        for item in value:
            if fits(item):
                return not self._inverse
        return self._inverse and len(value) > 0


def _fitting(sign: str, operands: tuple[Operand, ...], read: Callable[[Any], Any]) -> Fits:
    """What one scalar has to satisfy."""
    if sign == "exists":
        return lambda item: True
    if sign == "true":
        return lambda item: item is True
    if len(operands) == 1:
        return _fitting_one(sign, operands[0], read)
    several = [_fitting_one(sign, operand, read) for operand in operands]
    return lambda item: any(fits(item) for fits in several)


def _fitting_one(sign: str, operand: Any, read: Callable[[Any], Any]) -> Fits:
    if isinstance(operand, Range):
        compare: Callable[[Any, Any], Any] = _in_range
    elif sign == "matches":
        compare = _matches
    else:
        compare = operator.contains if sign == "contains" else ORDER[sign]

    def fits(item: Any) -> bool:
        value = read(item)
        return value is not None and bool(compare(value, operand))

    return fits


def _in_range(value: Any, operand: Range) -> bool:
    return bool(operand.low <= value <= operand.high)


def _matches(value: str, operand: Pattern) -> bool:
    return operand.found_in(value)
