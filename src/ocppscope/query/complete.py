"""What could stand next in a filter: fields, operators, values, for the filter bar and for shells.

Works on unfinished filters. Texts from the wire are offered as they are, in quotes; whoever shows them makes them fit
to be shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.query.check import NAMED
from ocppscope.query.fields import ALIASES, FIELDS, PREFIX, Field, field_named
from ocppscope.query.lexer import FilterError, Token, tokens
from ocppscope.query.parser import COMPARISONS
from ocppscope.query.values import Type

if TYPE_CHECKING:
    from ocppscope.store.store import Store

MAX_SUGGESTIONS = 200
"""Suggestions for one place."""
MAX_OFFERED = 80
"""Characters of a text from the wire that is offered; longer ones are not."""
_WORDS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_ORDERS = ("==", "!=", ">", "<", ">=", "<=")
_UNITS = {
    Type.DURATION: ("100ms", "1s", "10s", "1m"),
    Type.SIZE: ("1KiB", "4KiB", "1MiB"),
    Type.YES_NO: ("true", "false"),
}


class Suggestion(NamedTuple):
    """`text` may replace what stands from `start` to before `stop`; `kind` is field, operator, value or filter."""

    text: str
    start: int
    stop: int
    kind: str
    help: str = ""


def complete(
    text: str, cursor: int | None = None, store: Store | None = None, named: Mapping[str, str] | None = None
) -> list[Suggestion]:
    """What could stand at the cursor, best first; actions, stations and other texts as the store has seen them."""
    cursor = len(text) if cursor is None else max(0, min(cursor, len(text)))
    try:
        before = tokens(text[:cursor])[:-1]
    except FilterError:
        open_quote = _before_open_quote(text[:cursor])
        if open_quote is None:
            return []
        before = open_quote
    started = ""
    if before and before[-1].stop == cursor and _is_word(before[-1]):
        started = before.pop().text
    start = cursor - len(started)
    if not started and before and _is_open(before[-1]):
        token = before.pop()
        started, start = token.text, token.start
    found = _expected(before, started, store, named or {})
    return [Suggestion(one.text, start, cursor, one.kind, one.help) for one in islice(found, MAX_SUGGESTIONS)]


def _is_word(token: Token) -> bool:
    """A word, or an operator that is spelled as one and may be the beginning of a longer word."""
    return token.kind == "word" or (token.kind not in ("text", "end") and token.text[:1].isalpha())


def _before_open_quote(text: str) -> list[Token] | None:
    """The tokens of a text whose last quoted text is not closed, that one being the last; None if it is otherwise."""
    for quote in ('"', "'"):
        try:
            found = tokens(text + quote)[:-1]
        except FilterError:
            continue
        last = found[-1]
        return [*found[:-1], Token("open", last.text, last.start, last.stop - 1)]
    return None


def _is_open(token: Token) -> bool:
    return token.kind == "open"


class _Offer(NamedTuple):
    text: str
    kind: str
    help: str = ""


def _expected(before: list[Token], started: str, store: Store | None, named: Mapping[str, str]) -> Iterable[_Offer]:
    last = before[-1].kind if before else ""
    if last in COMPARISONS and len(before) > 1:
        return _starting(started, _values(before[-2].text, store))
    if (opening := _open_set(before)) is not None:
        return _starting(started, [*_values(before[opening].text, store), _Offer("}", "operator")])
    if last == "in":
        return [_Offer("{", "operator", "one of several values")]
    if last == "word" and (field := _field(before[-1].text)) is not None and not _is_value(before):
        return _starting(started, _operators(field))
    if last in ("word", "text", ")", "}"):
        return _starting(started, [_Offer("and", "operator"), _Offer("or", "operator")])
    return _starting(started, _beginnings(started, named))


def _is_value(before: list[Token]) -> bool:
    return len(before) > 1 and before[-2].kind in COMPARISONS


def _open_set(before: list[Token]) -> int | None:
    """The index of the field whose list of values is not closed."""
    for at in range(len(before) - 1, 1, -1):
        if before[at].kind == "}":
            return None
        if before[at].kind == "{":
            return at - 2 if before[at - 1].kind == "in" else None
    return None


def _beginnings(started: str, named: Mapping[str, str]) -> Iterable[_Offer]:
    prefix = PREFIX if started.startswith(PREFIX) else ""
    for field in FIELDS.values():
        yield _Offer(prefix + field.name, "field", field.help)
    yield _Offer(f"{prefix}payload.", "field", "a value in the payload: payload.key, payload.list[0].key, [*]")
    for name, text in named.items():
        yield _Offer(NAMED + name, "filter", text)
    yield _Offer("not", "operator")
    if started:
        for alias, name in ALIASES.items():
            yield _Offer(prefix + alias, "field", f"the same as {name}")


def _operators(field: Field) -> Iterable[_Offer]:
    ordered = field.type in (Type.INTEGER, Type.TIME, Type.DURATION, Type.SIZE, Type.ANY) or field.ordered
    for sign in _ORDERS if ordered else _ORDERS[:2]:
        yield _Offer(sign, "operator")
    if field.type in (Type.TEXT, Type.CHOICE, Type.ANY):
        yield _Offer("contains", "operator", "has the text in it")
        yield _Offer("matches", "operator", "has what a regular expression describes")
    yield _Offer("in", "operator", "is one of {…}")
    yield _Offer("and", "operator")
    yield _Offer("or", "operator")


def _values(name: str, store: Store | None) -> Iterable[_Offer]:
    field = _field(name)
    if field is None:
        return
    for choice in (*field.choices, *_UNITS.get(field.type, ())):
        yield _Offer(choice, "value")
    if store is not None:
        for text in _seen(field.name, store):
            if text and len(text) <= MAX_OFFERED:
                yield _Offer(_quoted(text), "value")


def _seen(name: str, store: Store) -> Iterable[str]:
    if name == "station":
        return dict.fromkeys(connection.station for connection in list(store.connections.values()))
    dictionaries = {"action": store.actions, "status": store.statuses, "error": store.errors}
    return list(dictionaries[name].texts) if name in dictionaries else ()


def _quoted(text: str) -> str:
    """A value as it has to be written."""
    if _WORDS.issuperset(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _starting(started: str, offers: Iterable[_Offer]) -> Iterable[_Offer]:
    """What begins as the user began, whatever the case; then what has it inside."""
    wanted = started.lower()
    inside = []
    for offer in offers:
        at = offer.text.lower().find(wanted)
        if at == 0 or (at == 1 and offer.text[0] == '"'):
            yield offer
        elif at > 0 and offer.kind != "operator":
            inside.append(offer)
    yield from inside


def _field(name: str) -> Field | None:
    try:
        return field_named(name)
    except FilterError:
        return None
