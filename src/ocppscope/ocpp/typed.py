"""Compiled decoders: JSON schemas as msgspec structs, which accept a valid payload in about a microsecond.

A decoder may only ever accept what the exact check of `conformance` accepts; whatever it cannot express soundly
it declines, and declining costs nothing but time. It never explains.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ocppscope.ocpp.jsontext import MAX_JSON_DEPTH

_BACKSLASH = 0x5C
_QUOTE = b'"'
_MORE_THAN_TENTHS = re.compile(rb"\.[0-9]{2,}\s*[,}\]]|[0-9][eE]")
_DATE_TIME = Annotated[datetime, Meta(tz=True)]
TypedDecoder = Callable[[bytes], object | None]


class _Type(NamedTuple):
    """A type for msgspec, and the fewest double quotes that a JSON text of it can hold."""

    annotation: Any
    quotes: int


def compile_decoder(schema: dict[str, Any]) -> TypedDecoder:
    """The decoder of one schema: the typed object (a msgspec struct), or None where it is better to look closer.

    Duplicate keys, which msgspec swallows, are found by counting quotes: without a backslash in the payload
    every key takes two and every string takes two, so a swallowed member makes the payload hold more quotes than
    the encoding of what was decoded. With only the required members it holds the fewest possible, and nothing
    needs to be encoded.
    """
    compiler = _Compiler(schema)
    root = compiler.type_of(schema, "Payload")
    decode = msgspec.json.Decoder(root.annotation).decode
    encode = msgspec.json.Encoder().encode
    fewest_quotes = root.quotes
    of_empty = None if schema.get("required") else decode(b"{}")
    doubts = tuple(doubt for doubt, needed in ((_too_fine, compiler.tenths), (_too_deep, compiler.free)) if needed)

    def fast(payload: bytes) -> object | None:
        if payload == b"{}":
            return of_empty
        try:
            decoded: object = decode(payload)
        except (ValueError, RecursionError):
            return None
        if _BACKSLASH in payload:
            return None
        quotes = payload.count(_QUOTE)
        if quotes != fewest_quotes and quotes != encode(decoded).count(_QUOTE):
            return None
        for doubt in doubts:
            if doubt(payload):
                return None
        return decoded

    return fast


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
