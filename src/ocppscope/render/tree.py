"""The JSON of one message as a tree that opens node by node, each with what the schema says of it and what is wrong.

A node knows where its value stands in the text and reads its children when they are asked for, so that a large text
opens at once, numbers are shown as they were written, and a text that breaks off is shown as far as it goes. The
schema comes in as a callable; nothing here knows OCPP's schemas. Everything shown goes through `wiretext`.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ocppscope.model import Kind, Problem
from ocppscope.render import summary
from ocppscope.render.wiretext import columns, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_TREE_SIZE = 2 * 1024 * 1024
"""Bytes of a text that are looked at; of the rest only how long it is."""
MAX_CHILDREN = 500
"""Children that are made of a node at once; a node for the rest follows them."""
MAX_KEY, MAX_VALUE = 64, 200
"""Characters that are shown of a key and of a value."""
MAX_PREVIEW = 6
"""Members of an object that is small enough to be summed up beside its key."""
MAX_COLUMN = 24
"""Columns of keys behind which values are aligned."""
MAX_UNIT = 20
"""Characters that are shown of a unit that the message itself gives."""
MAX_NODE_PROBLEMS = 20
"""Problems that one node lists."""

RATE_UNIT = "chargingRateUnit"
"""The member that gives the limits of a charging schedule their unit; also what `Facts.unit` says of these."""
_HINTS = frozenset({"unit", "unitOfMeasure", "measurand", RATE_UNIT})
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?[0-9.eE+-]+")
_HEADS = {
    Kind.CALL: ("message type", "id", "action", "payload"),
    Kind.SEND: ("message type", "id", "action", "payload"),
    Kind.CALLRESULT: ("message type", "id", "payload"),
    Kind.CALLERROR: ("message type", "id", "error code", "description", "details"),
    Kind.CALLRESULTERROR: ("message type", "id", "error code", "description", "details"),
}


class Facts(Protocol):
    """What a schema says about one element; empty or None where it says nothing."""

    @property
    def type(self) -> str:
        """A JSON Schema type: "object", "integer", …"""

    @property
    def required(self) -> bool:
        """Whether the element may not be left out."""

    @property
    def enum(self) -> tuple[str, ...]:
        """The allowed values."""

    @property
    def max_length(self) -> int | None:
        """Most characters of a string."""

    @property
    def format(self) -> str:
        """ "date-time", or another format."""

    @property
    def unit(self) -> str:
        """A unit, or `RATE_UNIT`."""

    @property
    def description(self) -> str:
        """What the specification says of it."""


class Type(StrEnum):
    """What a node holds."""

    OBJECT = "object"
    ARRAY = "array"
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    UNREADABLE = "unreadable"  # text that is no JSON
    MORE = "more"  # further children of the node above


class Node(NamedTuple):
    """One row of the tree. `key`, `value` and `unit` are fit to be shown."""

    type: Type
    key: str
    value: str  # of objects and arrays a preview, where they are small
    size: int  # members, elements or characters; of `MORE` and `UNREADABLE` the characters left
    begin: int  # where it stands in the text, with its key
    start: int  # where its value stands
    end: int
    depth: int
    pointer: str | None  # as in `Problem.path`; None outside the payload
    whole: bool = True  # False: the text breaks off in it
    unit: str = ""
    facts: Facts | None = None
    problems: tuple[Problem, ...] = ()  # of this element
    below: int = 0  # problems of elements inside it
    rate: str = ""  # unit of the limits inside it
    place: int = 0  # of `MORE`: how many children come before
    inside: Type = Type.NULL  # of `MORE`: what the children belong to
    column: int = 0  # columns that the keys of its siblings need

    @property
    def expandable(self) -> bool:
        """Whether it has children."""
        if self.type is Type.MORE:
            return True
        return self.type in (Type.OBJECT, Type.ARRAY) and (self.size > 0 or not self.whole)


class _Entry(NamedTuple):
    """A place in a container: a key, or a number, and where the value should stand."""

    begin: int
    at: int
    name: str  # as in the text
    key: str  # as it is shown
    pointer: str | None


class _Value(NamedTuple):
    """A value as it was read."""

    type: Type
    start: int
    end: int
    whole: bool
    value: Any


def pointer(path: str, name: str | int) -> str:
    """`path` with one more token, cut and cleaned as in the paths of problems (a test holds both together)."""
    if isinstance(name, int):
        return f"{path}/{name}"
    if len(name) > MAX_KEY:
        name = name[:MAX_KEY] + "…"
    shown = name if name.isprintable() else "".join(char if char.isprintable() else "�" for char in name)
    return f"{path}/{shown.replace('~', '~0').replace('/', '~1')}"


class Tree:
    """The nodes of one text. `facts` gives what the schema says of the element at a JSON pointer into the payload."""

    def __init__(
        self,
        text: bytes,
        kind: Kind = Kind.UNPARSED,
        problems: tuple[Problem, ...] = (),
        facts: Callable[[str], Facts | None] | None = None,
    ) -> None:
        self.text = text[:MAX_TREE_SIZE].decode("utf-8", "surrogateescape")
        self._left_out = max(len(text) - MAX_TREE_SIZE, 0)
        self._head = _HEADS.get(kind, ())
        self._problems = problems
        self._facts = facts

    def roots(self) -> list[Node]:
        """The value, and what follows it though nothing should."""
        start = self._skip(1 if self.text.startswith("\ufeff") else 0)
        value = self._read(start, len(self.text))
        if value is None:
            return [self._unreadable(start, len(self.text), 0)._replace(problems=self._problems[:MAX_NODE_PROBLEMS])]
        own = tuple(problem for problem in self._problems if not problem.path and not self._is_of_payload(problem))
        node = self._node(_Entry(start, start, "", "", None), value, 0)
        node = node._replace(problems=own[:MAX_NODE_PROBLEMS], below=len(self._problems) - len(own))
        rest = self._skip(node.end)
        if node.whole and (rest < len(self.text) or self._left_out):
            return [node, self._unreadable(rest, len(self.text), 0)]
        return [node]

    def children(self, node: Node) -> list[Node]:
        """The children of a node, at most `MAX_CHILDREN` of them and one for the rest."""
        container = node.inside if node.type is Type.MORE else node.type
        if container not in (Type.OBJECT, Type.ARRAY) or not node.expandable:
            return []
        found: list[Node] = []
        hints: dict[str, Any] = {}
        for child in self._each(node, container, hints):
            if len(found) == MAX_CHILDREN:
                found.append(self._more(node, child, container))
                break
            found.append(child)
        column = min(max((columns(child.key) for child in found), default=0), MAX_COLUMN)
        return [_with_unit(child, hints, node.rate)._replace(column=column) for child in found]

    def rows(self, most: int) -> Iterator[Node]:
        """All nodes, opened from the top, at most so many."""
        waiting = list(reversed(self.roots()))
        while waiting and most:
            node = waiting.pop()
            most -= 1
            yield node
            if node.type is not Type.MORE:
                waiting += reversed(self.children(node))

    # --- reading ----------------------------------------------------------------------------------------------------

    def _each(self, node: Node, container: Type, hints: dict[str, Any]) -> Iterator[Node]:
        """The children, as far as the text can be read; members that tell units are noted in `hints`."""
        resumed = node.type is Type.MORE
        at = self._skip(node.start if resumed else node.start + 1)
        depth, place = node.depth + (not resumed), node.place
        if self._closes(at):
            return
        while True:
            entry = self._entry(node, container, at, place)
            value = None if entry is None else self._read(entry.at, node.end)
            if entry is None or value is None:
                yield self._unreadable(at, node.end, depth)
                return
            if entry.name in _HINTS:
                hints[entry.name] = value.value
            yield self._node(entry, value, depth)
            at = self._skip(value.end)
            if not value.whole or self._closes(at):
                return
            if self.text[at : at + 1] != ",":
                yield self._unreadable(at, node.end, depth)
                return
            at, place = self._skip(at + 1), place + 1

    def _entry(self, node: Node, container: Type, at: int, place: int) -> _Entry | None:
        """The key, or the number, of the child that stands at `at`; None where a key should be and is none."""
        if container is Type.ARRAY:
            if node.pointer is not None:
                return _Entry(at, at, "", str(place), pointer(node.pointer, place))
            is_head = node.begin == node.start and node.depth == 0 and place < len(self._head)
            name = self._head[place] if is_head else str(place)
            return _Entry(at, at, "", name, "" if is_head and name == "payload" else None)
        if self.text[at : at + 1] != '"':
            return None
        try:
            name, end = _scan(self.text, at)
        except json.JSONDecodeError:
            return None
        end = self._skip(end)
        if self.text[end : end + 1] != ":":
            return None
        path = None if node.pointer is None else pointer(node.pointer, name)
        return _Entry(at, self._skip(end + 1), name, visible(name, MAX_KEY) or '""', path)

    def _read(self, at: int, end: int) -> _Value | None:
        """The value at `at`; of one that breaks off where it begins; None if there is none."""
        first = self.text[at : at + 1]
        kind = _TYPES.get(first, Type.NUMBER)
        try:
            value, stop = _scan(self.text, at)
        except (json.JSONDecodeError, RecursionError):
            return _Value(kind, at, end, False, None) if first in ("{", "[") else None
        except ValueError:  # an integer of more digits than Python likes to read
            value, stop = _scan_lenient(self.text, at)
        return _Value(kind, at, stop, True, value)

    def _node(self, entry: _Entry, value: _Value, depth: int) -> Node:
        path, read = entry.pointer, value.value
        contains = value.type in (Type.OBJECT, Type.ARRAY)
        known = value.type is Type.STRING or contains
        return Node(
            value.type,
            entry.key,
            _shown(value, self.text),
            len(read) if known and value.whole else value.end - value.start,
            entry.begin,
            value.start,
            value.end,
            depth,
            path,
            value.whole,
            facts=None if path is None or self._facts is None else self._facts(path),
            problems=self._problems_at(path),
            below=self._problems_below(path) if contains else 0,
        )

    def _unreadable(self, at: int, end: int, depth: int) -> Node:
        left = end - at + (self._left_out if end == len(self.text) else 0)
        value = visible(self.text[at : at + MAX_VALUE], MAX_VALUE) or "(the text ends here)"
        return Node(Type.UNREADABLE, "", value, left, at, at, end, depth, None, False)

    def _more(self, node: Node, child: Node, container: Type) -> Node:
        """What stands for a child and those after it."""
        place = node.place + MAX_CHILDREN
        left = node.end - child.begin
        return node._replace(
            type=Type.MORE, key="", value="", size=left, start=child.begin, depth=child.depth, place=place,
            inside=container, problems=(), below=0, facts=None,
        )  # fmt: skip

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _closes(self, at: int) -> bool:
        return self.text[at : at + 1] in ("]", "}")

    # --- problems ---------------------------------------------------------------------------------------------------

    def _is_of_payload(self, problem: Problem) -> bool:
        """Whether a problem without a path is one of the payload as a whole."""
        return problem.code.startswith("schema.") and "payload" in self._head

    def _problems_at(self, path: str | None) -> tuple[Problem, ...]:
        if path is None or not self._problems:
            return ()
        found = (one for one in self._problems if one.path == path and (path or self._is_of_payload(one)))
        return tuple(found)[:MAX_NODE_PROBLEMS]

    def _problems_below(self, path: str | None) -> int:
        return 0 if path is None else sum(one.path.startswith(f"{path}/") for one in self._problems)


_TYPES = {
    "{": Type.OBJECT,
    "[": Type.ARRAY,
    '"': Type.STRING,
    "t": Type.BOOLEAN,
    "f": Type.BOOLEAN,
    "n": Type.NULL,
}
_scan = json.JSONDecoder(strict=False).raw_decode
_scan_lenient = json.JSONDecoder(strict=False, parse_int=float).raw_decode


def _shown(value: _Value, text: str) -> str:
    """A value as it is shown beside its key."""
    read = value.value
    if not value.whole:
        return ""
    if value.type is Type.STRING:
        return f'"{visible(read, MAX_VALUE)}"'
    if value.type is Type.OBJECT:
        small = 0 < len(read) <= MAX_PREVIEW and max(map(len, read)) <= MAX_KEY
        return summary.generic(read) if small else ""
    if value.type is Type.ARRAY:
        strings = 0 < len(read) <= MAX_PREVIEW and all(isinstance(one, str) for one in read)
        return summary.value(read) if strings else ""
    return visible(text[value.start : value.end], MAX_VALUE)


def _with_unit(node: Node, hints: dict[str, Any], rate: str) -> Node:
    """The node with the unit that the schema, or a member beside it, gives it."""
    said = hints.get(RATE_UNIT)
    rate = visible(said, MAX_UNIT) if isinstance(said, str) else rate
    unit = ""
    if node.type is Type.NUMBER and node.facts is not None and node.facts.unit:
        unit = rate if node.facts.unit == RATE_UNIT else node.facts.unit
    elif node.key == "value" and node.type in (Type.NUMBER, Type.STRING) and _NUMBER.fullmatch(node.value.strip('"')):
        unit = _measured(node, hints)
    return node._replace(unit=unit, rate=rate) if unit or rate else node


def _measured(node: Node, hints: dict[str, Any]) -> str:
    """The unit of a sampled value: what stands beside it, or what the specification takes for granted."""
    unit, multiplier = hints.get("unit"), None
    if isinstance(beside := hints.get("unitOfMeasure"), dict):
        unit, multiplier = beside.get("unit"), beside.get("multiplier")
    if unit is None and "/sampledValue/" in (node.pointer or ""):
        measurand = hints.get("measurand", "Energy.Active.Import.Register")
        unit = "Wh" if isinstance(measurand, str) and measurand.startswith("Energy.Active") else None
    if not isinstance(unit, str):
        return ""
    power = f"e{multiplier} " if isinstance(multiplier, int) and multiplier and abs(multiplier) < 100 else ""
    return f"{power}{visible(unit, MAX_UNIT)}"
