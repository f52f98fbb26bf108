"""A filter's text → its tree, by precedence climbing: `or` binds weakest, then `and`, then `not`, then comparisons.

Knows the grammar and no field: names and values stay tokens, which `check` gives a meaning.
"""

from __future__ import annotations

from typing import NamedTuple

from ocppscope.query.lexer import FilterError, Token, tokens

MAX_DEPTH = 64
"""How deeply `not` and brackets may be nested."""
MAX_TERMS = 1_000
"""Terms of a whole filter."""

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "contains", "matches")
_BINDING = {"or": 1, "and": 2}


class Either(NamedTuple):
    """`or`: at least one of the terms."""

    terms: tuple[Node, ...]


class Both(NamedTuple):
    """`and`: all of the terms."""

    terms: tuple[Node, ...]


class Inverse(NamedTuple):
    """`not`."""

    term: Node


class Comparison(NamedTuple):
    """`field operator value`; several values for `in`."""

    field: Token
    operator: str
    values: tuple[Token, ...]


class Alone(NamedTuple):
    """A word or quoted text by itself: a field that has to exist, a named filter, or text to look for."""

    token: Token


Node = Either | Both | Inverse | Comparison | Alone


def parse(text: str) -> Node | None:
    """The tree of a filter, None for an empty one; raises `FilterError`."""
    parser = _Parser(tokens(text))
    if parser.next.kind == "end":
        return None
    node = parser.expression(0)
    if parser.next.kind != "end":
        raise _unexpected(parser.next)
    return node


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0
        self._terms = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    def take(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def expression(self, binding: int) -> Node:
        left = self.operand()
        while (power := _BINDING.get(self.next.kind, 0)) > binding:
            operator = self.take().kind
            terms = [left, self.expression(power)]
            while self.next.kind == operator:  # a long chain is one node, not a deep tree
                self.take()
                terms.append(self.expression(power))
            left = Either(tuple(terms)) if operator == "or" else Both(tuple(terms))
        return left

    def operand(self) -> Node:
        self._depth += 1
        token = self.take()
        if self._depth > MAX_DEPTH:
            raise FilterError("The filter is nested too deeply.", token.start, token.stop)
        if token.kind == "not":
            node: Node = Inverse(self.operand())
        elif token.kind == "(":
            node = self.expression(0)
            self._expect(")", token)
        elif token.kind in ("word", "text"):
            node = self._term(token)
        else:
            raise _unexpected(token)
        self._depth -= 1
        return node

    def _term(self, token: Token) -> Node:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise FilterError("The filter has too many terms.", token.start, token.stop)
        inverse = self.next.kind == "not" and self._tokens[self._at + 1].kind in ("in", "contains", "matches")
        if inverse:
            self.take()
        if self.next.kind == "in":
            self.take()
            node: Node = Comparison(token, "in", self._set())
        elif self.next.kind in COMPARISONS:
            operator = self.take()
            node = Comparison(token, operator.kind, (self._value(operator),))
        else:
            return Alone(token)
        if token.kind == "text":
            raise FilterError(
                "A field has to stand on the left.", token.start, token.stop, "Write the field without quotes."
            )
        return Inverse(node) if inverse else node

    def _value(self, operator: Token) -> Token:
        token = self.take()
        if token.kind in ("word", "text"):
            return token
        if token.text and token.text[0].isalpha():
            return Token("word", token.text, token.start, token.stop)  # `contains and`: where no operator can be
        raise FilterError(f"A value is missing after “{operator.text}”.", operator.start, token.stop)

    def _set(self) -> tuple[Token, ...]:
        opening = self.take()
        if opening.kind != "{":
            raise FilterError(
                "A list of values has to follow “in”.", opening.start, opening.stop, "Write in {CALL, SEND}."
            )
        values: list[Token] = []
        while self.next.kind not in ("}", "end"):
            values.append(self._value(opening))
            if self.next.kind == ",":
                self.take()
        self._expect("}", opening)
        if not values:
            raise FilterError("The list of values is empty.", opening.start, opening.stop + 1)
        return tuple(values)

    def _expect(self, kind: str, opening: Token) -> None:
        token = self.take()
        if token.kind == "end":
            raise FilterError(f"“{opening.text}” is never closed.", opening.start, opening.stop, f"Add a {kind}.")
        if token.kind != kind:
            raise _unexpected(token)


def _unexpected(token: Token) -> FilterError:
    if token.kind == "end":
        return FilterError(
            "The filter ends too early.", token.start, token.stop, "A field or a text is missing here."
        )
    if token.kind in ("word", "text"):
        return FilterError(
            f"“{token.text}” follows without an operator.",
            token.start,
            token.stop,
            "Put “and” or “or” before it, or quotes around all of it.",
        )
    return FilterError(f"“{token.text}” cannot stand here.", token.start, token.stop)
