"""Compiled acceptors: JSON schemas as msgspec structs, which accept a valid payload in about a microsecond.

An acceptor may only ever accept what the exact check of `conformance` accepts; whatever it cannot express soundly
it declines, and declining costs nothing but time. It never explains.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from ocppscope.ocpp.jsontext import MAX_JSON_DEPTH

_BACKSLASH = b"\\"
_QUOTE = b'"'
_MORE_THAN_TENTHS = re.compile(rb"\.[0-9]{2,}\s*[,}\]]|[0-9][eE]")
_DATE_TIME = Annotated[datetime, Meta(tz=True)]
MAX_KNOWN = 64
"""Short payloads of an action that are remembered as accepted."""
MIN_BYTES_FOR_NUMPY = 512
"""What a text must have for NumPy to be worth its call."""
GROUP = 64
"""Texts that are decoded at once; one that is not accepted makes the others of its group be looked at again."""

_ID = Annotated[str, Meta(min_length=1, max_length=36)]


class _Type(NamedTuple):
    """A type for msgspec, and the fewest double quotes that a JSON text of it can hold."""

    annotation: Any
    quotes: int


class Acceptors:
    """The acceptors of one schema: of its payload alone, and of whole messages for no more than that.

    None accepts a text with a backslash in it. Of a message's head they say that `id` has 1 to 36 characters, not
    which, and that `action` is a string.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        compiler = _Compiler(schema)
        self._root = compiler.type_of(schema, "Payload")
        self._doubts = tuple(
            doubt for doubt, needed in ((_too_fine, compiler.tenths), (_too_deep, compiler.free)) if needed
        )

    @cached_property
    def payload(self) -> Acceptor:
        """`{…}`."""
        return Acceptor(self._root, self._doubts)

    @cached_property
    def call(self) -> Acceptor:
        """`[2,"id","action",{…}]`."""
        return self._message("Call", 2, [("id", _ID), ("action", str)])

    @cached_property
    def result(self) -> Acceptor:
        """`[3,"id",{…}]`."""
        return self._message("CallResult", 3, [("id", _ID)])

    def _message(self, name: str, tag: int, head: list[tuple[str, Any]]) -> Acceptor:
        fields = [*head, ("payload", self._root.annotation)]
        message = msgspec.defstruct(name, fields, array_like=True, tag=tag, forbid_unknown_fields=True, gc=False)
        return Acceptor(_Type(message, self._root.quotes + 2 * len(head)), self._doubts, self.payload)


class Acceptor:
    """Says whether JSON texts are certainly valid for a type.

    Duplicate keys, which msgspec swallows, are found by counting quotes: without a backslash in the text every key
    takes two and every string takes two, so a swallowed member makes the text hold more quotes than the encoding of
    what was decoded. With only the required members it holds the fewest possible, and nothing needs to be encoded.
    """

    __slots__ = ("_decoder", "_doubts", "_encode", "_fewest_quotes", "_payload", "known")

    def __init__(
        self, kind: _Type, doubts: tuple[Callable[[bytes], bool], ...], payload: Acceptor | None = None
    ) -> None:
        self._payload = payload or self
        self.known: set[str] = set()  # what is behind the heads of messages: accepted payloads, and a bracket
        self._decoder = msgspec.json.Decoder(kind.annotation)
        self._encode = msgspec.json.Encoder().encode
        self._fewest_quotes = kind.quotes
        self._doubts = doubts

    def accepts(self, text: bytes) -> bool:
        """Whether one text is."""
        try:
            decoded = self._decoder.decode(text)
        except (ValueError, RecursionError):
            return False
        return self._is_all_said(text, decoded, 1) and not any(doubt(text) for doubt in self._doubts)

    def learns(self, short: str) -> bool:
        """Whether the short payload of a message (see `codec.Head`) is accepted, and `known` from now on.

        Most answers are the same few payloads, like `{}`.
        """
        if len(self.known) < MAX_KNOWN and self._payload.accepts(short[:-1].encode("latin-1")):
            self.known.add(short)
            return True
        return False

    def declined(self, texts: list[bytes]) -> list[int]:
        """The positions of those that are not; for half the price of asking one by one.

        Each text must begin with `[` and end with `]`. Then a line break between two can only stand between two
        values: within an array a comma would be needed there, and within a string it is no JSON. So as many values
        as texts means one a text.
        """
        found: list[int] = []
        for start in range(0, len(texts), GROUP):
            group = texts[start : start + GROUP]
            if not self._accepts_group(group):
                found += [start + place for place, text in enumerate(group) if not self.accepts(text)]
        return found

    def _accepts_group(self, texts: list[bytes]) -> bool:
        lines = b"\n".join(texts)
        try:
            decoded = self._decoder.decode_lines(lines)
        except (ValueError, RecursionError):
            return False
        if len(decoded) != len(texts) or not self._is_all_said(lines, decoded, len(texts)):
            return False
        return not any(doubt(text) for doubt in self._doubts for text in texts)

    def _is_all_said(self, text: bytes, decoded: object, count: int) -> bool:
        """Whether what was decoded of `count` texts is all that they say."""
        if _BACKSLASH in text:
            return False
        quotes = _quotes(text)
        return quotes == count * self._fewest_quotes or quotes == _quotes(self._encode(decoded))


def _quotes(text: bytes) -> int:
    """`text.count(b'"')`, many times as fast on long texts."""
    if len(text) < MIN_BYTES_FOR_NUMPY:
        return text.count(_QUOTE)
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _QUOTE[0]))


def _too_fine(payload: bytes) -> bool:
    return _MORE_THAN_TENTHS.search(payload) is not None


def _too_deep(payload: bytes) -> bool:
    return payload.count(b"{") + payload.count(b"[") >= MAX_JSON_DEPTH


class _Compiler:
    """Builds the types of one schema; each definition once."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._definitions: dict[str, Any] = schema.get("definitions", {})
        self._types: dict[str, _Type] = {}
        self.free = False
        self.tenths = False

    def type_of(self, schema: dict[str, Any], name: str) -> _Type:
        if "$ref" in schema:
            return self._definition(schema["$ref"].rpartition("/")[2])
        if "enum" in schema:
            return _Type(Literal[tuple(schema["enum"])], 2)
        build = getattr(self, f"_{schema.get('type', 'any')}")
        built: _Type = build(schema, name)
        return built

    def _definition(self, name: str) -> _Type:
        if name not in self._types:
            self._types[name] = self.type_of(self._definitions[name], name)
        return self._types[name]

    def _object(self, schema: dict[str, Any], name: str) -> _Type:
        required = frozenset(schema.get("required", ()))
        fields: list[tuple[str, Any, Any] | tuple[str, Any]] = []
        quotes = 0
        for key, member in schema.get("properties", {}).items():
            kind = self.type_of(member, key)
            if key in required:
                fields.append((key, kind.annotation))
                quotes += 2 + kind.quotes
            else:
                fields.append((key, kind.annotation | UnsetType, UNSET))
        closed = schema.get("additionalProperties") is False
        struct = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=closed, gc=False)
        return _Type(struct, quotes)

    def _array(self, schema: dict[str, Any], name: str) -> _Type:
        element = self.type_of(schema["items"], name)
        least: int = schema.get("minItems", 0)
        limits = Meta(min_length=schema.get("minItems"), max_length=schema.get("maxItems"))
        return _Type(Annotated[list[element.annotation], limits], least * element.quotes)  # type: ignore[name-defined]

    def _string(self, schema: dict[str, Any], _name: str) -> _Type:
        if schema.get("format") == "date-time":
            return _Type(_DATE_TIME, 2)
        if "maxLength" in schema:
            return _Type(Annotated[str, Meta(max_length=schema["maxLength"])], 2)
        return _Type(str, 2)

    def _integer(self, schema: dict[str, Any], _name: str) -> _Type:
        return _Type(_limited(int, schema), 0)

    def _number(self, schema: dict[str, Any], _name: str) -> _Type:
        self.tenths = self.tenths or "multipleOf" in schema
        return _Type(_limited(float, schema), 0)

    def _boolean(self, _schema: dict[str, Any], _name: str) -> _Type:
        return _Type(bool, 0)

    def _any(self, _schema: dict[str, Any], _name: str) -> _Type:
        self.free = True
        return _Type(Any, 0)


def _limited(base: type[int] | type[float], schema: dict[str, Any]) -> Any:
    if "minimum" not in schema and "maximum" not in schema:
        return base
    least, most = (base(schema[word]) if word in schema else None for word in ("minimum", "maximum"))
    return Annotated[base, Meta(ge=least, le=most)]
