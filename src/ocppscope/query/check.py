"""A filter's tree → a plan that can be run: names become fields, words become values of their types.

Whatever is wrong is said with its place and, where there is one, the nearest name. Runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from ocppscope.query import literals
from ocppscope.query.fields import ALIASES, FIELDS, PAYLOAD, PREFIX, Field, field_named
from ocppscope.query.lexer import FilterError, Token
from ocppscope.query.parser import Alone, Both, Comparison, Either, Inverse, Node, parse
from ocppscope.query.patterns import compile_pattern
from ocppscope.query.values import Judge, Operand, Range, Type, as_flag, as_it_is, as_number, as_text

NAMED = "@"
"""What a named filter begins with: `@slow`."""
MAX_NAMED = 100
"""Named filters that one filter may draw in, counted each time."""


class AnyOf(NamedTuple):
    """At least one of the terms."""

    terms: tuple[Plan, ...]


class AllOf(NamedTuple):
    """All of the terms."""

    terms: tuple[Plan, ...]


class Negation(NamedTuple):
    """Not the term."""

    term: Plan


class Test(NamedTuple):
    """A question to one field."""

    field: Field
    judge: Judge


class Anywhere(NamedTuple):
    """A text somewhere in the message, its action or its station; UTF-8 with ASCII letters in lower case."""

    needle: bytes


Plan = AnyOf | AllOf | Negation | Test | Anywhere


def check(text: str, named: Mapping[str, str] | None = None) -> Plan | None:
    """The plan of a filter, None for an empty one; raises `FilterError`."""
    node = parse(text)
    return None if node is None else _Checker(named or {}).plan(node)


class _Checker:
    def __init__(self, named: Mapping[str, str]) -> None:
        self._named = named
        self._inside: list[str] = []
        self._drawn = 0

    def plan(self, node: Node) -> Plan:
        match node:
            case Either(terms):
                return AnyOf(tuple(map(self.plan, terms)))
            case Both(terms):
                return AllOf(tuple(map(self.plan, terms)))
            case Inverse(term):
                return Negation(self.plan(term))
            case Comparison(name, sign, values):
                field = _field(name)
                return Test(field, _judge(field, name, sign, values))
            case Alone(token):
                return self._alone(token)

    def _alone(self, token: Token) -> Plan:
        """A word by itself."""
        if token.kind == "word":
            if token.text.startswith(NAMED) and len(token.text) > 1:
                return self._draw(token)
            field = _lookup(token)
            if field is not None:
                return Test(field, Judge("true" if field.type is Type.YES_NO else "exists", ()))
        if not token.text:
            raise FilterError("An empty text is in every message.", token.start, token.stop)
        return Anywhere(folded(token.text))

    def _draw(self, token: Token) -> Plan:
        """A named filter."""
        name = token.text[len(NAMED) :]
        self._drawn += 1
        if name not in self._named:
            raise FilterError(
                f"There is no filter named “{name}”.",
                token.start,
                token.stop,
                _nearest(name, self._named, "Named filters stand in the configuration file, under [filters]."),
            )
        if name in self._inside or self._drawn > MAX_NAMED:
            raise FilterError(
                f"The named filter {token.text} leads back to itself or to too many others.", token.start, token.stop
            )
        self._inside.append(name)
        try:
            node = parse(self._named[name])
            if node is None:
                raise FilterError("it is empty")
            plan = self.plan(node)
        except FilterError as error:
            if error.stop == token.stop and error.start == token.start and error.message.startswith("In @"):
                raise
            raise FilterError(f"In {token.text}: {error.message}", token.start, token.stop, error.hint) from error
        self._inside.pop()
        return plan


def folded(text: str) -> bytes:
    """A text as free text search compares it."""
    return text.encode("utf-8", "surrogatepass").lower()


# --- names ---------------------------------------------------------------------------------------------------------


def _lookup(token: Token) -> Field | None:
    try:
        return field_named(token.text)
    except FilterError as error:  # a path that is wrong, counted from its own start
        ahead = len(PREFIX) if token.text.startswith(PREFIX) else 0
        raise FilterError(
            error.message, token.start + ahead + error.start, token.start + ahead + error.stop, error.hint
        ) from error


def field_or_error(name: str) -> Field:
    """The field of a name, an alias or a path; raises `FilterError` with the nearest name if there is none."""
    return _field(Token("word", name, 0, len(name)))


def _field(token: Token) -> Field:
    name = token.text.removeprefix(PREFIX)
    field = _lookup(token)
    if field is None:
        hint = _nearest(name.lower(), [*FIELDS, *ALIASES, PAYLOAD], "`ocppscope fields` lists all of them.")
        raise FilterError(f"There is no field “{name}”.", token.start, token.stop, hint)
    return field


def _nearest(name: str, known: Any, otherwise: str) -> str:
    close = get_close_matches(name[:50], list(known), n=1, cutoff=0.6)
    return f"Did you mean “{close[0]}”?" if close else otherwise


# --- values --------------------------------------------------------------------------------------------------------

_ORDERED = (Type.INTEGER, Type.TIME, Type.DURATION, Type.SIZE, Type.ANY)
_TEXTS = (Type.TEXT, Type.CHOICE, Type.ANY)
_EXAMPLES = {
    Type.INTEGER: "a whole number, like 3",
    Type.TIME: "a time, like 2026-11-22T10:00 (UTC) or seconds since 1970",
    Type.DURATION: "a duration with its unit, like 250ms, 2s, 5m or 1h",
    Type.SIZE: "a size, like 4096 or 4KiB",
    Type.YES_NO: "true or false",
}
_PARSERS: dict[Type, Callable[[str], Any]] = {
    Type.INTEGER: literals.number,
    Type.TIME: literals.time,
    Type.DURATION: literals.duration,
    Type.SIZE: literals.size,
    Type.YES_NO: literals.yes_or_no,
}
_MAX_INTEGER = 1 << 63
_RANGE = re.compile(r"(.+?)\.\.(.+)")


def _judge(field: Field, name: Token, sign: str, tokens: tuple[Token, ...]) -> Judge:
    if sign in ("<", "<=", ">", ">=") and field.type not in _ORDERED and not field.ordered:
        raise FilterError(
            f"“{field.name}” has no order.", name.start, tokens[0].stop, "Use ==, !=, contains, matches or in."
        )
    if sign in ("contains", "matches"):
        return _text_judge(field, sign, tokens[0])
    if field.type is Type.ANY:
        return _any_judge(sign, tokens)
    if field.ordered:
        return _ordered_judge(field, sign, tokens)
    operands = tuple(_operand(field, token, sign == "in") for token in tokens)
    read = {Type.INTEGER: as_number, Type.TEXT: as_text, Type.YES_NO: as_flag}.get(field.type, as_it_is)
    return Judge(sign, operands, read)


def _text_judge(field: Field, sign: str, token: Token) -> Judge:
    if field.type not in _TEXTS:
        raise FilterError(
            f"“{field.name}” is no text, so that “{sign}” cannot be asked of it.",
            token.start,
            token.stop,
            f"Compare it with {_EXAMPLES[field.type]}.",
        )
    if sign == "contains":
        return Judge(sign, (token.text,), as_text)
    try:
        return Judge(sign, (compile_pattern(token.text),), as_text)
    except FilterError as error:
        quote = token.kind == "text"
        start = token.start + quote + error.start
        raise FilterError(error.message, min(start, token.stop), token.stop - quote, error.hint) from error


def _operand(field: Field, token: Token, is_set: bool) -> Operand:
    if field.type is Type.TEXT:
        return token.text
    if field.type is Type.CHOICE:
        return _choice(field, token)
    bounds = _RANGE.fullmatch(token.text) if is_set and field.type in _ORDERED else None
    if bounds is not None:
        return Range(_typed(field, token, bounds[1]), _typed(field, token, bounds[2]))
    return _typed(field, token, token.text)


def _typed(field: Field, token: Token, text: str) -> int | float | bool:
    value: int | float | bool | None = _PARSERS[field.type](text)
    if value is None:
        raise FilterError(f"“{text}” is no value of “{field.name}”.", token.start, token.stop, _advice(field, text))
    if abs(value) >= _MAX_INTEGER:
        raise FilterError(f"“{text}” is too large.", token.start, token.stop)
    return value


def _advice(field: Field, text: str) -> str:
    if field.type is Type.DURATION and literals.number(text) is not None:
        return f"A duration needs its unit: {text}s or {text}ms."
    units = {Type.DURATION: literals.DURATIONS, Type.SIZE: literals.SIZES}.get(field.type, {})
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµ")
    if units and literals.number(digits) is not None:
        return f"Its units are {', '.join(units)}."
    return f"Write {_EXAMPLES[field.type]}."


def _choice(field: Field, token: Token) -> str:
    known = {choice.lower(): choice for choice in field.choices} | dict(field.spellings)
    value = known.get(token.text.lower())
    if value is None:
        few = ", ".join(field.choices) if len(field.choices) <= 12 else "listed by `ocppscope fields`"
        hint = _nearest(token.text.lower(), known, f"Its values are {few}.")
        raise FilterError(f"“{field.name}” is never “{token.text}”.", token.start, token.stop, hint)
    return value


def _ordered_judge(field: Field, sign: str, tokens: tuple[Token, ...]) -> Judge:
    """Choices with an order are compared by their place in it."""
    places = {choice: place for place, choice in enumerate(field.choices)}
    return Judge(sign, tuple(places[_choice(field, token)] for token in tokens), places.get)


def _any_judge(sign: str, tokens: tuple[Token, ...]) -> Judge:
    """A value of the payload is read as the value is written that it is compared with."""
    first = tokens[0]
    if all(token.kind == "word" and literals.number(token.text) is not None for token in tokens):
        return Judge(sign, tuple(_finite(token) for token in tokens), as_number)
    if all(token.kind == "word" and token.text.lower() in ("true", "false") for token in tokens):
        if sign not in ("==", "!=", "in"):
            raise FilterError("Yes and no have no order.", first.start, first.stop, "Use == or !=.")
        return Judge(sign, tuple(token.text.lower() == "true" for token in tokens), as_flag)
    if first.kind == "word" and _has_unit(first.text):
        raise FilterError(
            f"Values of the payload have no unit, so that “{first.text}” cannot be compared with them.",
            first.start,
            first.stop,
            "Write the number that the payload holds, or quotes around a text.",
        )
    return Judge(sign, tuple(token.text for token in tokens), as_text)


def _has_unit(text: str) -> bool:
    if literals.number(text) is not None:
        return False
    return literals.duration(text) is not None or literals.size(text) is not None


def _finite(token: Token) -> int | float:
    value = literals.number(token.text)
    assert value is not None
    return value
