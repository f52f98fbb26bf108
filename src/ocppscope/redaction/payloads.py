"""Messages, redacted by spans: only the tokens of values that must go are replaced, all else stays byte for byte.

What a value is, is said by the schema of its action, where there is one, and by its name elsewhere. Malformed texts
are read as far as their tokens go; what stands where no JSON can be loses its letters and digits.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import Kind
from ocppscope.ocpp.versions import COVERED
from ocppscope.redaction.blanks import faceless
from ocppscope.redaction.detectors import replaced
from ocppscope.redaction.fields import Field, by_words, decided
from ocppscope.redaction.known import common_words
from ocppscope.redaction.shapes import CUSTOM, Node, shape
from ocppscope.redaction.spans import Shape, Span, is_closed, spans, string_of, written

if TYPE_CHECKING:
    from ocppscope.model import Version
    from ocppscope.redaction.values import Values

MAX_NESTED = 8
"""JSON inside strings of JSON, as many times; deeper, letters and digits go."""

_LITERAL = re.compile(
    r"[-+]?(?:true|false|null|None|True|False|undefined|NaN|Infinity|[0-9.]{1,5}(?:[eE][-+]?[0-9]{1,3})?)"
)
_CUT_LITERALS = frozenset(word[:size] for word in ("true", "false", "null") for size in range(1, len(word)))
_KINDS = {str(int(kind)): kind for kind in Kind if kind is not Kind.UNPARSED}
_NAMES = ("key", "name", "param", "parameter", "field", "property", "id")
_VALUES = frozenset({"value", "val", "content", "attributeValue", "actualValue"})
_JWS = frozenset({"payload", "protected", "signature"})
_MARK = "\ufeff"
_SIGNED = "-Signed"
_SIGNED_DATA = "SignedData"

Edit = tuple[int, int, str]


class Place(NamedTuple):
    """Where a value stands, for what its schema does not say."""

    owner: str = ""  # the object around it, as `fields` names it
    field: Field = Field.FREE  # of what has a name that says nothing
    setting: str = ""  # the name of the key or variable that this is about
    measured: Field = Field.MEASURED
    passed_on: bool = False  # the field is that of an element around it


_NOWHERE = Place()


class Payloads:
    """The redaction of messages and of JSON in general."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def message(self, text: str, version: Version, kind: Kind, action: str, nested: int = 0) -> str:
        """One text of a WebSocket."""
        if text.startswith(_MARK):
            return _MARK + self.message(text[len(_MARK) :], version, kind, action, nested)
        first = text.lstrip()[:1]
        if not first or (first not in '[{"' and not (_LITERAL.fullmatch(bare := text.strip()) or bare.isdecimal())):
            return self._values.value(Field.FREE, text)
        reading = _Reading(self._values, text, nested)
        tops = spans(text)
        if tops and tops[0].shape is Shape.ARRAY:
            self._parts(reading, tops[0].items, version, kind, action)
            tops = tops[1:]
        reading.elements(tops, None, _NOWHERE)
        return reading.result()

    def inside(self, text: str, nested: int = 0, node: Node | None = None, place: Place = _NOWHERE) -> str:
        """A text that may be JSON, with what its schema says; else a free text."""
        if text.lstrip()[:1] not in ("[", "{"):
            return self._values.value(place.field, text)
        if nested >= MAX_NESTED:
            return faceless(text)
        reading = _Reading(self._values, text, nested)
        reading.elements(spans(text), node, place)
        return reading.result()

    def _parts(self, reading: _Reading, parts: list[Span], version: Version, kind: Kind, action: str) -> None:
        """The elements of a message: type, id, action or code, payload."""
        said = (
            _KINDS.get(reading.text[parts[0].start : parts[0].end].strip('"').removesuffix(".0")) if parts else None
        )
        kind = said or kind
        if said is None and parts:
            reading.type(parts[0])
        if said is None or kind in (Kind.CALLERROR, Kind.CALLRESULTERROR):
            self._rest(reading, parts[1:], None)
            return
        response = kind is Kind.CALLRESULT
        if not response and len(parts) > 2 and parts[2].shape is Shape.TEXT:
            action = string_of(reading.text, parts[2])
        plain = action.removesuffix(_SIGNED)
        node = shape(version, plain, response=response) if version in COVERED else None
        self._rest(reading, parts[1:], node, plain)

    def _rest(self, reading: _Reading, parts: list[Span], node: Node | None, action: str = "") -> None:
        for at, part in enumerate(parts):
            if part.shape is Shape.TEXT and at < 2 and part.key is None:
                said = string_of(reading.text, part)
                if said.lstrip()[:1] == "{":
                    reading.put(part, self.inside(said, reading.nested + 1, node, Place(action)))
                else:
                    free = self._values.free
                    reading.put(part, free.scrubbed(said) if at else free.identity(said), said)
            elif part.shape is Shape.TEXT and part.key is None:
                said = string_of(reading.text, part)
                reading.put(part, self.inside(said, reading.nested + 1, node, Place(action)), said)
            else:
                reading.elements([part], node, Place(action))


class _Reading:
    """One text on its way to being redacted."""

    def __init__(self, values: Values, text: str, nested: int) -> None:
        self.values = values
        self.text = text
        self.nested = nested
        self._edits: list[Edit] = []
        self._broken_at = len(text)  # from here on nothing is sure to be what it seems

    def result(self) -> str:
        """The text with all that was put into it."""
        if not self._edits:
            return self.text
        by_start = {edit[0]: edit for edit in sorted(self._edits, reverse=True)}  # a text may be a value and a name
        return replaced(self.text, sorted(by_start.values()))

    def put(self, span: Span, said: str, before: str | None = None) -> None:
        """Replaces what a string token says."""
        if said != (string_of(self.text, span) if before is None else before):
            self._edits.append((span.start, span.end, written(self.text, span, said)))

    def type(self, span: Span) -> None:
        """Redacts what stands where the type of a message should; a first digit tells what it was to be."""
        raw = self.text[span.start : span.end]
        if span.shape is Shape.OTHER:
            kept = raw[:1] if raw[0] in "23456" else ""
            self._edits.append((span.start, span.end, kept + faceless(raw[len(kept) :])))
        else:
            self.elements([span], None, _NOWHERE)

    def value(self, span: Span, node: Node | None, place: Place) -> None:
        """Redacts what is in a span."""
        if span.shape is Shape.OBJECT:
            self._object(span, node, place)
        elif span.shape is Shape.ARRAY:
            self.elements(span.items, node.item if node is not None else None, place)
        elif span.shape is Shape.TEXT:
            self._text(span, node, place)
        elif span.shape is Shape.NUMBER:
            self._number(span, node, place)
        else:
            self._other(span)

    def elements(self, items: list[Span], node: Node | None, place: Place) -> None:
        """Redacts what follows each other; what has a name although it stands in no object is judged by that."""
        for one in items:
            if one.key is None:
                self.value(one, node, place)
            else:
                name = string_of(self.text, one.key)
                self._unknown_name(one.key, name, place.owner)
                self.value(one, None, self._judged(name, place))

    def _text(self, span: Span, node: Node | None, place: Place) -> None:
        said = string_of(self.text, span)
        field, limit = place.field, None
        if node is None and place.passed_on and said.lower() in common_words():
            return
        if node is not None:
            if said in node.choices:
                return
            field, limit = node.field if node.field is not None else node.instead(), node.limit
        if field is Field.MEASURED:
            field = place.measured
        if field is Field.DATA or (field in _OPEN and said.lstrip()[:1] in ("{", "[")):
            shown = Payloads(self.values).inside(said, self.nested + 1, None, Place("", Field.FREE))
            shown = shown if limit is None or len(said) > limit else shown[:limit]
        elif span.start > self._broken_at and (node is None or field in _OPEN):
            shown = faceless(said) if field in _UNSURE else self.values.value(field, said, limit, place.setting)
        else:
            shown = self.values.value(field, said, limit, place.setting)
        if span.end == len(self.text) and field in _UNSURE and not is_closed(self.text, span):
            shown = _without_end(shown)
        self.put(span, shown, said)

    def _number(self, span: Span, node: Node | None, place: Place) -> None:
        field = node.field if node is not None and node.field is not None else place.field
        raw = self.text[span.start : span.end]
        shown = self.values.number(field, raw, place.setting)
        if shown != raw:
            self._edits.append((span.start, span.end, shown))

    def _other(self, span: Span) -> None:
        raw = self.text[span.start : span.end]
        if not _LITERAL.fullmatch(raw) and not (raw in _CUT_LITERALS and span.end == len(self.text)):
            self._broken_at = min(self._broken_at, span.start)
            self._edits.append((span.start, span.end, faceless(raw)))

    def _object(self, span: Span, node: Node | None, place: Place) -> None:
        names = [string_of(self.text, one.key) if one.key is not None else "" for one in span.items]
        if len(names) >= len(_JWS) and _JWS.issubset(names) and self._jws(span, names, node, place):
            return
        owner = node.owner if node is not None else place.owner
        place = self._context(span, names, place._replace(owner=owner))
        members = node.members if node is not None else None
        before = ""
        for said, one in zip(names, span.items, strict=True):
            name = said or before
            before = string_of(self.text, one) if one.key is None and one.shape is Shape.TEXT else ""
            inner = members.get(name) if members is not None else None
            if inner is not None:
                self.value(one, inner, place)
                continue
            if one.key is not None and name:
                self._unknown_name(one.key, name, owner)
            self.value(one, None, self._judged(name, place))

    def _judged(self, name: str, place: Place) -> Place:
        """What the name of an element says that no schema has."""
        field = decided(place.owner, name)
        passed_on = False
        if field is None or (field is Field.STAYS and name == "value"):
            field = by_words(name) if name else Field.SCAN
            if field is Field.SCAN:
                passed_on = not (name in _VALUES and place.setting)
                field = place.field if passed_on else Field.SETTING
        return Place(name, field, place.setting, place.measured, passed_on)

    def _unknown_name(self, key: Span, name: str, owner: str) -> None:
        if decided(owner, name) is None and name != CUSTOM:
            self.put(key, self.values.free.scrubbed(name), name)

    def _context(self, span: Span, names: list[str], place: Place) -> Place:
        """What the members of an object say about each other."""
        if "format" in names and self._said(span, names, "format") == _SIGNED_DATA:
            place = place._replace(measured=Field.SIGNED)
        elif place.measured is Field.SIGNED:
            place = place._replace(measured=Field.MEASURED)
        if "variable" in names:
            inner = span.items[names.index("variable")]
            inside = [string_of(self.text, one.key) if one.key is not None else "" for one in inner.items]
            return place._replace(setting=self._said(inner, inside, "name") or place.setting)
        for name in _NAMES:
            if name in names and not _VALUES.isdisjoint(names):
                return place._replace(setting=self._said(span, names, name) or place.setting)
        return place

    def _said(self, span: Span, names: list[str], name: str) -> str:
        one = span.items[names.index(name)] if name in names else None
        return string_of(self.text, one) if one is not None and one.shape is Shape.TEXT else ""

    def _jws(self, span: Span, names: list[str], node: Node | None, place: Place) -> bool:
        """A signed message (2.1 Part 4 §7): what it signs is redacted, the signature goes. Whether it was one."""
        by_name = dict(zip(names, span.items, strict=True))
        if any(by_name[name].shape is not Shape.TEXT for name in _JWS):
            return False
        for name, inner in (("payload", node), ("protected", None)):
            said = string_of(self.text, by_name[name])
            self.put(by_name[name], self._encoded(said, inner, place), said)
        said = string_of(self.text, by_name["signature"])
        self.put(by_name["signature"], self.values.value(Field.CERTIFICATE, said), said)
        for name, one in by_name.items():
            if name not in _JWS:
                self.value(one, None, Place(name))
        return True

    def _encoded(self, said: str, node: Node | None, place: Place) -> str:
        try:
            raw = base64.b64decode(said.encode("ascii") + b"=" * (-len(said) % 4), b"-_", validate=True)
            text = raw.decode("utf-8", "surrogateescape")
        except (ValueError, binascii.Error):
            return self.values.value(Field.FREE, said)
        shown = Payloads(self.values).inside(text, self.nested + 1, node, place)
        if shown == text:
            return said
        return base64.urlsafe_b64encode(shown.encode("utf-8", "surrogateescape")).rstrip(b"=").decode()


_UNSURE = frozenset({Field.FREE, Field.SCAN, Field.SETTING, Field.STAYS, Field.DATA})
_OPEN = frozenset({Field.FREE, Field.SCAN, Field.SETTING})


def _without_end(text: str) -> str:
    """The last word made faceless if it has a digit: the text was cut, so that word may be half an identifier."""
    word = text.rsplit(maxsplit=1)[-1] if text and not text[-1].isspace() else ""
    return text[: len(text) - len(word)] + faceless(word) if any(map(str.isdecimal, word)) else text
