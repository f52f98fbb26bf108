"""Payloads made from the schemas, with whatever text a test wants to see in each place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ocppscope.model import Kind, Version
from ocppscope.ocpp import schemas
from ocppscope.ocpp.versions import ACTIONS, COVERED, SEND_ACTIONS

CUSTOM = "customData"


class Subject(NamedTuple):
    """One schema."""

    version: Version
    action: str
    response: bool

    @property
    def schema(self) -> dict[str, Any]:
        found = schemas.validator(self.version, self.action, self.response)
        assert found is not None
        return found.schema

    @property
    def kind(self) -> Kind:
        if self.response:
            return Kind.CALLRESULT
        return Kind.SEND if self.action in SEND_ACTIONS.get(self.version, ()) else Kind.CALL

    def message(self, payload: str, id_: str = "m-1") -> bytes:
        head = f'[3,"{id_}",' if self.response else f'[{int(self.kind)},"{id_}","{self.action}",'
        return f"{head}{payload}]".encode()

    def __str__(self) -> str:
        return f"{self.version}-{self.action}{'Response' if self.response else ''}"


class Leaf(NamedTuple):
    """A text of a schema: its path without indexes, the name of its element, of the object around it."""

    path: str
    name: str
    owner: str
    schema: dict[str, Any]


SUBJECTS = [
    Subject(version, action, response)
    for version in COVERED
    for action in ACTIONS[version]
    for response in (False, True)
    if schemas.validator(version, action, response) is not None
]


def fill(subject: Subject, text_of: Callable[[Leaf], str | None], *, number: int = 1, custom: bool = False) -> Any:
    """A payload with every element; `text_of` gives a text that is no choice, None leaves the element out."""
    return _Filler(subject.schema, text_of, number, custom=custom).value(subject.schema, "", "", subject.action)


class _Filler:
    def __init__(self, schema: dict[str, Any], text_of: Callable[[Leaf], str | None], number: int, *, custom: bool):
        self.definitions = schema.get("definitions", {})
        self.text_of = text_of
        self.number = number
        self.custom = custom

    def value(self, schema: dict[str, Any], path: str, name: str, owner: str, depth: int = 0) -> Any:
        if "$ref" in schema:
            owner_name = schema["$ref"].rpartition("/")[2]
            schema = self.definitions[owner_name]
            if schema["type"] == "object":
                return self.object(schema, path, owner_name, depth)
        kind = schema.get("type", "string")  # `data` of DataTransfer is anything
        if kind == "object":
            return self.object(schema, path, name or owner, depth)
        if kind == "array":
            count = max(1, schema.get("minItems", 1))
            made = [self.value(schema["items"], path, name, owner, depth) for _ in range(count)]
            return [one for one in made if one is not None] or None
        if "enum" in schema:
            return schema["enum"][0]
        if kind == "string":
            return self.text_of(Leaf(path, name, owner, schema))
        return True if kind == "boolean" else self.size(schema)

    def size(self, schema: dict[str, Any]) -> int:
        return int(min(max(self.number, schema.get("minimum", self.number)), schema.get("maximum", 1 << 40)))

    def object(self, schema: dict[str, Any], path: str, owner: str, depth: int) -> dict[str, Any]:
        made = {}
        for name, inner in schema.get("properties", {}).items():
            if depth < 10 and (self.custom or name != CUSTOM):
                value = self.value(inner, f"{path}/{name}", name, owner, depth + 1)
                if value is not None:
                    made[name] = value
        return made


def leaves(subject: Subject) -> list[Leaf]:
    """All texts of a schema that are no choices, `customData` included."""
    found: dict[str, Leaf] = {}

    def note(leaf: Leaf) -> str:
        found[leaf.path] = leaf
        return ""

    fill(subject, note, custom=True)
    return list(found.values())
