"""The schemas as trees of what is to be done with each value, compiled when first asked for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ocppscope.ocpp.schemas import validator
from ocppscope.redaction.fields import Field, decided

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocppscope.model import Version

CUSTOM = "customData"
_NUMBERS = frozenset({"simPin"})
"""Numbers that are secrets."""


class Node:
    """What may stand at a place of a payload."""

    __slots__ = ("choices", "field", "item", "limit", "members", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner  # the name of the object that a value is, as `fields` knows it
        self.field: Field | None = None  # of a text; None: an object or an array
        self.limit: int | None = None  # most characters
        self.choices: frozenset[str] = frozenset()  # of which one stays
        self.members: Mapping[str, Node] | None = None  # None: anything
        self.item: Node | None = None

    def instead(self) -> Field:
        """What a text is that stands where an object should: whatever the object would have hidden."""
        inner = self.item if self.item is not None else self
        members = inner.members or {}
        hidden = (one.field for one in members.values() if one.field is not None and one.field not in _OPEN)
        return next(hidden, Field.FREE)


_OPEN = frozenset({Field.STAYS, Field.SCAN, Field.FREE, Field.TIME, Field.MEASURED, Field.SETTING, Field.DATA})


@cache
def shape(version: Version, action: str, *, response: bool) -> Node | None:
    """The payload of an action; None if no schema covers it."""
    found = validator(version, action, response)
    return None if found is None else _Compiler(found.schema).node(found.schema, "", action)


class _Compiler:
    """Compiles one schema; each definition once."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._definitions: dict[str, Any] = schema.get("definitions", {})
        self._known: dict[tuple[str, str], Node] = {}

    def node(self, schema: dict[str, Any], name: str, owner: str) -> Node:
        """Of an element of a name; `owner` names it if it is an object, and where it stands if it is a text."""
        kind = schema.get("type")
        if "$ref" in schema:
            return self._definition(schema["$ref"].rpartition("/")[2], name, owner)
        if kind == "array":
            made = Node(owner)
            made.item = self.node(schema["items"], name, owner)
            return made
        if kind == "object":
            return self._object(schema, name or owner, Node(name or owner))
        return _leaf(schema, name, owner)

    def _definition(self, kind: str, name: str, owner: str) -> Node:
        schema = self._definitions[kind]
        if schema.get("type") != "object":
            return self.node(schema, name, owner)
        known = self._known.get((kind, ""))
        if known is None:
            known = self._known[kind, ""] = Node(kind)
            self._object(schema, kind, known)
        return known

    def _object(self, schema: dict[str, Any], owner: str, made: Node) -> Node:
        made.owner = owner
        made.members = {name: self.node(inner, name, owner) for name, inner in schema.get("properties", {}).items()}
        return made


def _leaf(schema: dict[str, Any], name: str, owner: str) -> Node:
    made = Node(owner)
    made.choices = frozenset(schema.get("enum", ()))
    made.limit = schema.get("maxLength")
    made.field = _field(schema, name, owner)
    return made


def _field(schema: dict[str, Any], name: str, owner: str) -> Field:
    if schema.get("type", "string") != "string":
        return Field.SECRET if name in _NUMBERS else Field.STAYS
    if schema.get("format") == "date-time":
        return Field.TIME
    known = Field.STAYS if "enum" in schema else decided(owner, name)
    return Field.FREE if known is None else known
