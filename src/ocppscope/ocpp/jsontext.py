"""An exact JSON reader: reads what it can and states what a lenient parser would swallow in silence.

It works on text of any origin in time and memory linear in `MAX_JSON_SIZE`, never raises, and knows nothing of
OCPP. Numbers with a fraction or an exponent become `Decimal`, so that nothing of them is lost.

Source: RFC 8259; I-JSON (RFC 7493 §2.3) for duplicate keys, §2.1 for surrogates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import msgspec

from ocppscope.model import Problem

MAX_JSON_SIZE = 2 * 1024 * 1024
"""Longest text, in bytes, that is looked at as a whole; of a longer one only the head is."""
MAX_JSON_DEPTH = 64
"""Deepest nesting of arrays and objects that is looked at."""
MAX_JSON_PROBLEMS = 20
"""Most problems that are listed for one value."""
MAX_NAME_SHOWN = 64
"""Longest element name, in characters, that a JSON pointer repeats."""

HEAD_SIZE = 4096
_MAX_INT_DIGITS = 4300
_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]++|\\(?:.|\Z))*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_CLOSED = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE = re.compile("[\ud800-\udfff]")


class Nothing:
    """The type of `NOTHING`: there is no value here."""

    __slots__ = ()


NOTHING = Nothing()


class Repeating(dict[str, object]):
    """An object in which some keys stood more than once; the last of each counts, `names` says which."""

    __slots__ = ("names",)
    names: tuple[str, ...]


class Part(NamedTuple):
    """One JSON value and where it stands in its text: characters [start, end)."""

    value: object
    start: int
    end: int


class Fault(NamedTuple):
    """Why reading stopped; `at` is a character offset."""

    code: str
    text: str
    at: int


class Reader:
    """One reading of one text by the C scanner, with hooks that note what it would swallow."""

    def __init__(self, *, strict: bool = True) -> None:
        self.odd = False
        self._scan = json.JSONDecoder(
            object_pairs_hook=self._members,
            parse_float=_number,
            parse_int=_integer,
            parse_constant=self._constant,
            strict=strict,
        ).raw_decode

    def value(self, text: str, start: int) -> Part | Fault:
        """The value that starts at or after `start`."""
        start = skip_space(text, start)
        try:
            value, end = self._scan(text, start)
        except json.JSONDecodeError as error:
            return _fault(text, start, error)
        except RecursionError:  # a reader's caller checks the depth first; this is for one who is deep himself
            return Fault("json.depth", "the value is nested too deeply", start)
        return Part(value, start, end)

    def _members(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        self.odd = True
        seen: set[str] = set()
        again = {name: None for name, _ in pairs if name in seen or seen.add(name)}  # type: ignore[func-returns-value]
        repeating = Repeating(members)
        repeating.names = tuple(again)
        return repeating

    def _constant(self, name: str) -> float:
        self.odd = True
        return float(name)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of more than 18 digits
        return Decimal(0) if "-" in text[1:] else Decimal("1E+999999")


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _MAX_INT_DIGITS else Decimal(text)


def skip_space(text: str, start: int) -> int:
    """The offset of the first character at or after `start` that is not JSON white space."""
    if text[start : start + 1] > " ":
        return start
    match = _SPACE.match(text, start)
    return match.end() if match else start


def _fault(text: str, start: int, error: json.JSONDecodeError) -> Fault:
    if error.msg.startswith("Invalid control character"):
        return Fault("json.control-character", "a control character is not escaped", error.pos)
    if ends_early(text, start, error.pos):
        return truncated(text)
    return Fault("json.syntax", f"not JSON at character {error.pos + 1} of {len(text)}", error.pos)


def truncated(text: str) -> Fault:
    """The fault of a text that is JSON as far as it goes."""
    return Fault("json.truncated", f"the JSON text ends too early, after {len(text)} characters", len(text))


_CUT_TAILS = frozenset(
    {"", "-", ".", *(e + sign for e in "eE" for sign in ("", "+", "-"))}
    | {word[:size] for word in ("true", "false", "null") for size in range(1, len(word))}
)
"""What may stand between the place where the C scanner gave up and the end of a text that merely stops."""


def ends_early(text: str, start: int, fault_at: int) -> bool:
    """Whether the text from `start` on is JSON as far as it goes, given where the scanner gave up."""
    if text[fault_at : fault_at + 6].rstrip(" \t\n\r") in _CUT_TAILS and fault_at + 6 >= len(text):
        return True
    last = ""
    at = start
    for match in _TOKEN.finditer(text, start):
        last, at = match[0], match.start()
    unterminated = last.startswith('"') and not _CLOSED.fullmatch(last)
    return unterminated and fault_at >= at


def too_deep(text: str, limit: int = MAX_JSON_DEPTH) -> bool:
    """Whether arrays and objects are nested deeper than `limit`."""
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in ("[", "{"):
            depth += 1
            if depth > limit:
                return True
        elif token in ("]", "}"):
            depth -= 1
    return False


def read(data: bytes) -> object:
    """The value of a JSON text, `NOTHING` if it is none or too large or deep. Oddities are not reported."""
    if len(data) > MAX_JSON_SIZE:
        return NOTHING
    text = data.decode("utf-8", "surrogateescape")
    if too_deep(text):
        return NOTHING
    part = Reader(strict=False).value(text, 0)
    if isinstance(part, Fault) or skip_space(text, part.end) != len(text):
        return NOTHING
    return part.value


def pointer(path: str, name: str | int) -> str:
    """`path` with one more reference token (RFC 6901 §3); a hostile name is cut and made printable."""
    if isinstance(name, int):
        return f"{path}/{name}"
    if len(name) > MAX_NAME_SHOWN:
        name = name[:MAX_NAME_SHOWN] + "…"
    shown = name if name.isprintable() else "".join(char if char.isprintable() else "�" for char in name)
    return f"{path}/{shown.replace('~', '~0').replace('/', '~1')}"


def without_surrogates(text: str) -> str:
    """The text with what cannot be encoded as UTF-8 replaced."""
    return text if text.isascii() else _LONE.sub("�", text)


def oddities(part: Part, reader: Reader, text: str, *, well_encoded: bool) -> list[Problem]:
    """Duplicate keys, NaN and lone surrogates inside a value, with JSON pointers into it."""
    surrogates = well_encoded and _SURROGATE_ESCAPE.search(text, part.start, part.end) is not None
    if not reader.odd and not surrogates:
        return []
    found: list[Problem] = []
    for problem in _search(part.value, "", surrogates):
        if len(found) == MAX_JSON_PROBLEMS:
            break
        found.append(problem)
    return found


def _search(value: object, path: str, surrogates: bool) -> Iterator[Problem]:
    if isinstance(value, dict):
        if isinstance(value, Repeating):
            for name in value.names:
                yield Problem("json.duplicate-key", "the same key stands here more than once", pointer(path, name))
        for name, member in value.items():
            if surrogates:
                yield from _search(name, pointer(path, name), surrogates)
            yield from _search(member, pointer(path, name), surrogates)
    elif isinstance(value, list):
        for position, element in enumerate(value):
            yield from _search(element, pointer(path, position), surrogates)
    elif isinstance(value, float):
        yield Problem("json.nan", "JSON has no NaN and no Infinity", path)
    elif surrogates and isinstance(value, str) and _LONE.search(value):
        yield Problem("json.surrogate", "half of a surrogate pair stands alone", path)


_decode_any = msgspec.json.Decoder().decode
_encode_any = msgspec.json.Encoder().encode


def is_clean(data: bytes) -> bool:
    """Whether a JSON text certainly has no problem at all; about 2 µs for a usual message.

    False means only that the exact reader must look. Sound because without a backslash no quote is escaped, so
    that every key and string takes two quotes, and one that a parser swallowed makes the counts differ.
    """
    if 92 in data or data.count(b"{") + data.count(b"[") >= MAX_JSON_DEPTH or len(data) > MAX_JSON_SIZE:
        return False
    try:
        return _encode_any(_decode_any(data)).count(b'"') == data.count(b'"')
    except (ValueError, RecursionError):
        return False
