"""JSON: what the exact reader reads is what two others read, and what it calls clean they read without surprise."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from fuzz import sources
from ocppscope.ocpp.jsontext import MAX_JSON_DEPTH, NOTHING, is_clean, read, too_deep
from ocppscope.redaction.spans import spans, string_of

WORDS = (
    b'{"a":',
    b"[1,",
    b"-0.0",
    b"1e5",
    b"NaN",
    b"-Infinity",
    b"\\ud83d\\udd0c",
    b'\\"',
    b"\xe2\x80\xa8",
    b"1E+999999",
)


def target(data: bytes) -> None:
    """Against json and msgspec."""
    value, other = read(data), strict(data)
    if is_clean(data):
        assert other is not NOTHING
        assert value is not NOTHING
    if other is not NOTHING and not too_deep(data.decode("utf-8", "replace")):
        assert value is not NOTHING
        assert same(value, other, 0), (value, other)
    tree = spans(data.decode("utf-8", "surrogateescape"))
    if isinstance(other, str) and len(tree) == 1:
        assert string_of(data.decode(), tree[0]) == other


def strict(data: bytes) -> Any:
    """What json says, where msgspec and json agree that it is JSON."""
    try:
        found = json.loads(data.decode("utf-8"))
        msgspec.json.decode(data)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return NOTHING
    return found


def same(a: Any, b: Any, depth: int) -> bool:
    """Whether two values are equal, floats as near as floats can be."""
    assert depth <= MAX_JSON_DEPTH + 2
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name], depth + 1) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, depth + 1) for x, y in zip(a, b, strict=True))
    if isinstance(a, Decimal) and isinstance(b, float):
        return float(a) == b or math.isinf(b) or math.isclose(float(a), b)
    if isinstance(a, Decimal) and isinstance(b, int):
        return a == b
    return type(a) is type(b) and a == b


def seeds() -> Iterator[bytes]:
    """Texts of captures, and what JSON can do."""
    yield from list(sources.texts("malformed", "ocpp16_plain"))[:20]
    yield rb'{"a":[1,2.5,-0,1e-7,1E400,true,false,null,"\u00e9\ud83d\udd0c\n\\\"/",{"b":{}}],"a":0}'
    yield b'"' + "é電".encode() + b'"'
    yield b"[NaN,Infinity,-Infinity]"
    yield b"[" * 66 + b"]" * 66
