"""The short way for ordinary messages: valid, without escapes, with nothing in them that depends on anything else.

Most messages are heartbeats, states and meter values, and hold nothing to redact; of the others most hold one tag.
They are decoded, looked through with their schema, and their few values are exchanged where they stand. None means
that `payloads` has to look; a test holds the two ways equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ocppscope.model import Kind
from ocppscope.ocpp.jsontext import MAX_JSON_DEPTH, MAX_JSON_SIZE
from ocppscope.ocpp.versions import COVERED
from ocppscope.redaction.detectors import LONG_NUMBER
from ocppscope.redaction.fields import Field
from ocppscope.redaction.instants import DATE_TIME
from ocppscope.redaction.shapes import shape

if TYPE_CHECKING:
    from ocppscope.model import Version
    from ocppscope.redaction.shapes import Node
    from ocppscope.redaction.values import Values

MAX_EXCHANGED = 32
"""Values of one message that are exchanged here."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_SIGNED_DATA = "SignedData"
_LENGTHS = {Kind.CALL: 4, Kind.SEND: 4, Kind.CALLRESULT: 3}
_BACKSLASH = 92
_LONG = 10 ** (LONG_NUMBER - 1)
_INVOLVED = frozenset({Field.SETTING, Field.DATA, Field.TIME, Field.MEASURED})
_WITHIN = frozenset({Field.FREE, Field.SCAN})


class Quick:
    """The short way of one run."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._kept = {Field.STAYS, Field.MEASURED} | (set() if values.policy.shift_ns else {Field.TIME})

    def message(self, text: bytes, version: Version, kind: Kind, action: str) -> bytes | None:
        """A redacted message, the same object if there was nothing to do; None if it is not an ordinary one."""
        length = _LENGTHS.get(kind)
        if length is None or version not in COVERED or not action:
            return None
        parts = _parts(text)
        if len(parts) != length or parts[0] != kind or (kind is not Kind.CALLRESULT and parts[2] != action):
            return None
        node = shape(version, action, response=kind is Kind.CALLRESULT)
        id_, payload = parts[1], parts[-1]
        if node is None or type(id_) is not str or type(payload) is not dict:
            return None
        found: list[tuple[str, Node]] = []
        if not self._values.free.stays(id_) or not self._object(payload, node, found):
            return None
        return self._exchanged(text, found) if found else text

    def _object(self, value: dict[str, object], node: Node, found: list[tuple[str, Node]]) -> bool:
        """Whether all is ordinary; what has to be exchanged is `found`."""
        members = node.members
        if members is None or value.get("format") == _SIGNED_DATA:
            return False
        for name, one in value.items():
            inner = members.get(name)
            if inner is None or not self._value(one, inner, found):
                return False
        return True

    def _value(self, value: object, node: Node, found: list[tuple[str, Node]]) -> bool:
        kind = type(value)
        if kind is str:
            return self._text(value, node, found)  # type: ignore[arg-type]
        if kind is dict:
            return self._object(value, node, found)  # type: ignore[arg-type]
        if kind is list:
            item = node.item
            return item is not None and all(self._value(one, item, found) for one in value)  # type: ignore[attr-defined]
        return node.field is Field.STAYS and not (kind is int and abs(value) >= _LONG)  # type: ignore[arg-type]

    def _text(self, text: str, node: Node, found: list[tuple[str, Node]]) -> bool:
        field = node.field
        if text in node.choices or not text:
            return True
        if field in self._kept:
            if field is Field.TIME:
                return DATE_TIME.fullmatch(text) is not None
            return self._values.free.stays(text)
        if field is None or field in _INVOLVED or (field in _WITHIN and text.lstrip()[:1] in ("{", "[")):
            return False
        if field in _WITHIN and not self._values.policy.free_text and self._values.free.holds_nothing(text):
            return True
        found.append((text, node))
        return True

    def _exchanged(self, text: bytes, found: list[tuple[str, Node]]) -> bytes | None:
        """The text with each value exchanged, if it stands in no other place and for one thing only."""
        if len(found) > MAX_EXCHANGED:
            return None
        for value, node in found:
            same = [other for other in found if other[0] == value]
            if text.count(f'"{value}"'.encode()) != len(same) or any(other[1].field != node.field for other in same):
                return None
        new = [self._values.value(node.field, value, node.limit) for value, node in found]  # type: ignore[arg-type]
        if any(not shown.isprintable() or '"' in shown or "\\" in shown for shown in new):
            return None
        pairs = zip(found, new, strict=True)
        return _replaced(text, {f'"{value}"'.encode(): f'"{shown}"'.encode() for (value, _), shown in pairs})


def _replaced(text: bytes, new: dict[bytes, bytes]) -> bytes:
    """Each at its places, found before any is exchanged, so that no new one is taken for an old one."""
    places = sorted((at, old) for old in new for at in _places(text, old))
    parts: list[bytes] = []
    done = 0
    for at, old in places:
        parts += (text[done:at], new[old])
        done = at + len(old)
    parts.append(text[done:])
    return b"".join(parts)


def _places(text: bytes, what: bytes) -> list[int]:
    found, at = [], text.find(what)
    while at >= 0:
        found.append(at)
        at = text.find(what, at + len(what))
    return found


def _parts(text: bytes) -> list[object]:
    """The elements of a message whose text is nothing but JSON, with no key twice and no escapes; else none."""
    if _BACKSLASH in text or len(text) > MAX_JSON_SIZE or text.count(b"{") + text.count(b"[") > MAX_JSON_DEPTH:
        return []
    try:
        parts = _decode(text)
        plain = _encode(parts).count(b'"') == text.count(b'"')
    except (ValueError, RecursionError):
        return []
    return parts if plain and type(parts) is list else []
