"""The exact check of a payload against its schema: every problem with its path, in our own words.

Covers the keywords that the OCPP schemas use (a test holds that list against the installed files). It never
repeats a value: it names elements, types, lengths and what would have been allowed.

Source: JSON Schema draft-04 and draft-06 validation; RFC 3339 §5.6 and ISO 8601 for date-times.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

from ocppscope.model import Problem
from ocppscope.ocpp.jsontext import pointer

MAX_SCHEMA_PROBLEMS = 50
"""Most problems that are listed for one payload."""
MAX_VALUES_LISTED = 16
"""Longest list of allowed values that a problem repeats."""

KEYWORDS = frozenset(
    {"type", "enum", "maxLength", "minItems", "maxItems", "minimum", "maximum", "multipleOf", "format"}
    | {"properties", "required", "additionalProperties", "items", "$ref", "definitions"}
)
"""What is checked."""
ANNOTATIONS = frozenset(
    {"$schema", "$id", "title", "description", "comment", "javaType", "default", "additionalItems"}
)
"""What says nothing about validity; `additionalItems` needs a list of `items`, which no file has."""

_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,][0-9]+)?"
    r"(?P<zone>[Zz]|[+-]([0-9]{2})(?::?([0-9]{2}))?)?"
)
_PLAIN = {"string": str, "object": dict, "array": list, "integer": int, "boolean": bool}
_ARTICLES = {"array": "an array", "integer": "an integer", "object": "an object"}


def date_time_problem(text: str) -> tuple[str, str] | None:
    """Code and sentence of what is wrong with a date-time; None if nothing is.

    Accepted are RFC 3339 and, since 1.6 demands ISO 8601 only, offsets without colon or minutes and a comma
    before the fraction. A leap second is accepted.
    """
    found = _DATE_TIME.fullmatch(text)
    if found is None or not _is_on_the_clock(found):
        return "schema.datetime", f"not a date-time ({len(text)} characters)"
    if found["zone"] is None:
        return "schema.datetime-no-zone", "the date-time has no time zone"
    return None


def _is_on_the_clock(found: re.Match[str]) -> bool:
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    try:
        date(year, month, day)
    except ValueError:
        return False
    offset_hour, offset_minute = int(found[8] or 0), int(found[9] or 0)
    return hour < 24 and minute < 60 and second <= 60 and offset_hour < 24 and offset_minute < 60


class Checker:
    """The check of one schema. Stateless between calls."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._definitions: dict[str, Any] = schema.get("definitions", {})
        self._draft4 = "draft-04" in str(schema.get("$schema", ""))

    def problems(self, payload: object) -> tuple[Problem, ...]:
        """All problems, at most `MAX_SCHEMA_PROBLEMS` and then one that says so.

        `payload` is what `jsontext.read` gave: numbers with a fraction or an exponent are `Decimal`.
        """
        found: list[Problem] = []
        self._check(self._schema, payload, "", found)
        if len(found) > MAX_SCHEMA_PROBLEMS:
            more = Problem("schema.more", f"more than {MAX_SCHEMA_PROBLEMS} problems; the others are not listed")
            return (*found[:MAX_SCHEMA_PROBLEMS], more)
        return tuple(found)

    def _check(self, schema: dict[str, Any], value: object, path: str, found: list[Problem]) -> None:
        if len(found) > MAX_SCHEMA_PROBLEMS:
            return
        reference = schema.get("$ref")
        if reference is not None:
            schema = self._definitions[reference.rpartition("/")[2]]
        expected = schema.get("type")
        if expected is None:
            return
        if not self._has_type(expected, value, path, found):
            return
        if isinstance(value, dict):
            self._check_object(schema, value, path, found)
        elif isinstance(value, list):
            self._check_array(schema, value, path, found)
        elif isinstance(value, str):
            _check_string(schema, value, path, found)
        elif not isinstance(value, bool):
            _check_number(schema, value, path, found)

    def _has_type(self, expected: str, value: object, path: str, found: list[Problem]) -> bool:
        if type(value) is _PLAIN.get(expected):
            return True
        actual = type_name(value)
        if actual == expected or (expected == "number" and actual == "integer"):
            return True
        if expected == "integer" and isinstance(value, Decimal) and _is_whole(value):
            if self._draft4:
                said = "the integer is written with a decimal point or an exponent"
                found.append(Problem("schema.integer-as-float", said, path))
            return True
        wanted = _ARTICLES.get(expected, f"a {expected}")
        is_now = "null" if value is None else _ARTICLES.get(actual, f"a {actual}")
        hint = "; leave the element out instead" if value is None else ""
        found.append(Problem("schema.type", f"{_last(path)} is {is_now}; {wanted} is expected{hint}", path))
        return False

    def _check_object(
        self, schema: dict[str, Any], value: dict[str, object], path: str, found: list[Problem]
    ) -> None:
        known: dict[str, Any] = schema.get("properties", {})
        missing = [name for name in schema.get("required", ()) if name not in value]
        found += [Problem("schema.required", f"{name} is missing", path) for name in missing]
        closed = schema.get("additionalProperties") is False
        for name, member in value.items():
            if name in known:
                self._check(known[name], member, f"{path}/{name}", found)
            elif closed:
                _add_unknown(known, name, path, found)
                if len(found) > MAX_SCHEMA_PROBLEMS:
                    return

    def _check_array(self, schema: dict[str, Any], value: list[object], path: str, found: list[Problem]) -> None:
        count = len(value)
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if count < least:
            said = f"{_last(path)} has {count} elements; at least {least} must be there"
            found.append(Problem("schema.min-items", said, path))
        if most is not None and count > most:
            said = f"{_last(path)} has {count} elements; at most {most} are allowed"
            found.append(Problem("schema.max-items", said, path))
        element = schema.get("items")
        if element is None:
            return
        for position, member in enumerate(value):
            self._check(element, member, f"{path}/{position}", found)
            if len(found) > MAX_SCHEMA_PROBLEMS:
                return


def type_name(value: object) -> str:
    """The JSON Schema type of a value as `jsontext` reads it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (Decimal, float)):
        return "number"
    return {str: "string", list: "array", int: "integer"}.get(type(value), "object")


def _last(path: str) -> str:
    """The element that a path points to, as a sentence names it: a name of the schema, or an array's element."""
    name = path.rpartition("/")[2]
    if not name:
        return "the payload"
    return f"element {name}" if name.isdigit() else name


def _add_unknown(known: dict[str, Any], name: str, path: str, found: list[Problem]) -> None:
    folded = name.casefold()
    meant = next((spelling for spelling in known if spelling.casefold() == folded), "")
    hint = f"; it is spelled {meant}" if meant else ""
    found.append(Problem("schema.additional", f"the schema has no such element{hint}", pointer(path, name)))


def _check_string(schema: dict[str, Any], value: str, path: str, found: list[Problem]) -> None:
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        found.append(Problem("schema.enum", f"{_last(path)} {_allowed(allowed, value)}", path))
    most = schema.get("maxLength")
    if most is not None and len(value) > most:
        said = f"{_last(path)} has {len(value)} characters; at most {most} are allowed"
        found.append(Problem("schema.max-length", said, path))
    if schema.get("format") == "date-time":
        wrong = date_time_problem(value)
        if wrong is not None:
            found.append(Problem(*wrong, path))


def _allowed(allowed: list[str], value: str) -> str:
    folded = value.casefold()
    for choice in allowed:
        if choice.casefold() == folded:
            return f"must be written {choice}; upper and lower case matter"
    if len(allowed) > MAX_VALUES_LISTED:
        return f"is none of the {len(allowed)} allowed values"
    return f"is none of: {', '.join(allowed)}"


def _check_number(schema: dict[str, Any], value: Any, path: str, found: list[Problem]) -> None:
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if least is None and most is None and step is None:
        return
    size = value if isinstance(value, int) else float(value)
    if least is not None and size < least:
        found.append(Problem("schema.minimum", f"{_last(path)} is less than {least:g}", path))
    if most is not None and size > most:
        found.append(Problem("schema.maximum", f"{_last(path)} is more than {most:g}", path))
    if step is not None and isinstance(value, Decimal) and not _is_multiple(value, step):
        found.append(Problem("schema.multiple-of", f"{_last(path)} is not a multiple of {step}", path))


def _is_whole(value: Decimal) -> bool:
    return _decimal_places(value) == 0


def _decimal_places(value: Decimal) -> int:
    """How many decimal places the exact value needs, without ever writing it out."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or exponent >= 0 or not any(digits):
        return 0
    zeros = 0
    for digit in reversed(digits):
        if digit:
            break
        zeros += 1
    return max(0, -exponent - zeros)


def _is_multiple(value: Decimal, step: float) -> bool:
    """Whether a number is a multiple of a step that is a power of ten, exactly (in binary 0.3 is none of 0.1)."""
    return _decimal_places(value) <= _decimal_places(Decimal(str(step)))
