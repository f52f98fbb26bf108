"""What of a message is behaviour and what is chance: ids, tokens, times and meter values become classes.

An exchange has a *key* (who asks, what, and what about: "→ StatusNotification Charging") and a *result*
("Accepted", "CALLERROR NotSupported", "no answer"). Payloads have a *shape*: which elements there are, of what type
and class; of elements with a list of allowed values also those values.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ocppscope.compare import fields
from ocppscope.model import Kind, Outcome
from ocppscope.ocpp import codec
from ocppscope.ocpp.describe import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.model import Message, Version

MAX_ELEMENTS = 400
"""Elements of one kind of payload whose shape is kept; that there were more is told."""
MAX_VALUES = 16
"""Values of an element that are kept."""
MAX_ITEMS = 64
"""Elements of an array that are looked at, likewise."""
MAX_DEPTH = 16
"""Levels of a payload that are looked at, likewise."""
MAX_WORD = 60
"""Characters of a word from a payload in a key or a result."""
ARROWS = "→", "←"
NO_ANSWER = "no answer"

_ABOUT = (
    "eventType", "status", "connectorStatus", "requestedMessage", "key", "type", "updateType", "reportBase",
    "messageTrigger", "certificateType", "monitoringBase", "vendorId",
)  # fmt: skip
"""Elements of a request that say what it is about, in order; of the first one that there is the value."""
_ABOUT_NO = {
    "BootNotification": (),
    "StopTransaction": (),
    "DataTransfer": ("vendorId",),
    "FirmwareStatusNotification": ("status",),
}
_CLASSES = tuple(
    (re.compile(pattern, re.ASCII), name)
    for pattern, name in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "time in UTC"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d:?\d\d", "time with a zone"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?", "time without a zone"),
        (r"[+-]?\d+", "digits"),
        (r"[+-]?\d+[.,]\d+(?:[eE][+-]?\d+)?", "decimals"),
        (r"(?:true|false|True|False)", "a boolean in text"),
    )
)
_SAID = frozenset({"status", "connectorStatus", "eventType"})
"""Elements whose values are a part of keys and results, and are told with these."""


class Result(NamedTuple):
    """How an exchange ended."""

    text: str
    is_bad: bool = False


def key(message: Message, payload: object) -> str:
    """Who asks, what, and what about."""
    about = ""
    if isinstance(payload, dict):
        names = _ABOUT_NO.get(message.action, _ABOUT)
        found = (payload.get(name) for name in names)
        about = next((one[:MAX_WORD] for one in found if isinstance(one, str) and one), "")
    action = message.action[:MAX_WORD] or "(no action)"
    return f"{ARROWS[message.side]} {action} {about}".rstrip()


def result(message: Message, answer: Message | None) -> Result:
    """How the exchange of a CALL or SEND ended."""
    if answer is None:
        if message.kind is Kind.SEND or message.outcome is Outcome.OPEN:
            return Result("")
        return Result(NO_ANSWER, is_bad=True)
    if answer.kind in (Kind.CALLERROR, Kind.CALLRESULTERROR):
        return Result(f"{answer.kind.name} {codec.decode(answer.text).error_code[:MAX_WORD]}".rstrip(), is_bad=True)
    late = " (late)" if answer.outcome is Outcome.LATE else ""
    found = fields.payload(answer.text)
    return Result((_status(found) if isinstance(found, dict) else "") + late or "answered", is_bad=bool(late))


def _status(payload: dict[str, Any]) -> str:
    for holder in (payload, payload.get("idTagInfo"), payload.get("idTokenInfo")):
        if isinstance(holder, dict) and isinstance(holder.get("status"), str):
            return str(holder["status"])[:MAX_WORD]
    return ""


# --- shapes -------------------------------------------------------------------------------------------------------


class Element:
    """One element of a kind of payload, over all payloads."""

    __slots__ = ("classes", "count", "pointer", "types", "values")

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer  # of the first one, for the schema
        self.count = 0  # payloads that have it
        self.types: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.values: Counter[str] = Counter()


class Shape:
    """The payloads of one action and direction."""

    def __init__(self) -> None:
        self.count = 0
        self.elements: dict[str, Element] = {}
        self.row = -1  # the first message
        self.is_whole = True  # all elements of all payloads were looked at

    def add(self, payload: object, row: int) -> None:
        """One more payload."""
        self.row = row if self.row < 0 else self.row
        self.count += 1
        seen: set[str] = set()
        for path, pointer, value in self._inside(payload):
            element = self.elements.get(path)
            if element is None:
                if len(self.elements) >= MAX_ELEMENTS:
                    self.is_whole = False
                    continue
                element = self.elements[path] = Element(pointer)
            if path not in seen:
                seen.add(path)
                element.count += 1
            _note(element, value)

    def _inside(self, payload: object) -> Iterator[tuple[str, str, object]]:
        """Path without places in arrays, pointer with them, and value, of everything inside; not by recursion."""
        waiting: list[tuple[str, str, object, int]] = [("", "", payload, 0)]
        while waiting:
            path, pointer, value, depth = waiting.pop()
            if path:
                yield path, pointer, value
            if not isinstance(value, dict | list):
                continue
            most = (MAX_ELEMENTS if isinstance(value, dict) else MAX_ITEMS) if depth < MAX_DEPTH else 0
            self.is_whole = self.is_whole and len(value) <= most
            if isinstance(value, dict):
                for name, item in reversed(list(islice(value.items(), most))):
                    step = str(name)[:MAX_WORD]
                    waiting.append((f"{path}.{step}" if path else step, f"{pointer}/{step}", item, depth + 1))
            else:
                waiting += [
                    (f"{path}[]", f"{pointer}/{place}", item, depth + 1) for place, item in enumerate(value[:most])
                ][::-1]


def _note(element: Element, value: object) -> None:
    element.types[type_of(value)] += 1
    if isinstance(value, str):
        element.classes[class_of(value)] += 1
        if len(element.values) < MAX_VALUES or value in element.values:
            element.values[value[:MAX_WORD]] += 1


def type_of(value: object) -> str:
    """In the words of JSON."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "whole number"
    names = {str: "string", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


def class_of(text: str) -> str:
    """What kind of text it is."""
    if not text:
        return "empty"
    known = next((name for pattern, name in _CLASSES if pattern.fullmatch(text[:64])), "text")
    if known == "time in UTC" and "." in text:
        return "time in UTC with fractions"
    return known


def allowed(version: Version, action: str, pointer: str, *, response: bool) -> tuple[str, ...]:
    """The values that the schema allows an element; none where it is free."""
    described = describe(version, action, response)
    facts = described(pointer) if described is not None else None
    return facts.enum if facts is not None else ()


def shapes() -> defaultdict[tuple[int, str, bool], Shape]:
    """By side of the sender, action, and whether it is an answer."""
    return defaultdict(Shape)


class ElementChange(NamedTuple):
    """An element that is not the same on both sides, and how telling that is."""

    name: str
    a: str
    b: str
    weight: int


def compare_shapes(a: Shape, b: Shape, version: Version, action: str, *, response: bool) -> list[ElementChange]:
    """What differs, the most telling first."""
    found: list[ElementChange] = []
    gone: list[str] = []
    for path in [*a.elements, *(name for name in b.elements if name not in a.elements)]:
        one, other = a.elements.get(path), b.elements.get(path)
        if any(path.startswith((f"{parent}.", f"{parent}[]")) for parent in gone):
            continue
        if one is None or other is None:
            gone.append(path)
            least = min(a.count, b.count)
            found.append(ElementChange(path, _often(one, a), _often(other, b), 46 if least >= 3 else 40))
            continue
        change = _element(path, one, other, version, action, response=response)
        if change is not None:
            found.append(change)
        elif _dropped(one, a, other, b):
            found.append(ElementChange(path, _often(one, a), _often(other, b), 36))
    return sorted(found, key=lambda change: -change.weight)


def _often(element: Element | None, shape: Shape) -> str:
    if element is None:
        return f"in none of {shape.count:,}"
    return f"in all {shape.count:,}" if element.count == shape.count else f"in {element.count:,} of {shape.count:,}"


def _dropped(one: Element, a: Shape, other: Element, b: Shape) -> bool:
    """Whether one always has it, and the other rarely."""
    shares = sorted((one.count / a.count, other.count / b.count))
    return shares[1] == 1 and shares[0] < 0.5 and min(a.count, b.count) >= 3


def _element(
    path: str, one: Element, other: Element, version: Version, action: str, *, response: bool
) -> ElementChange | None:
    kinds = [{_numeric(name) for name in part.types} for part in (one, other)]
    if kinds[0] != kinds[1] and not (kinds[0] & kinds[1]):
        return ElementChange(path, _listed(one.types), _listed(other.types), 68)
    if "string" not in kinds[0] & kinds[1]:
        return None
    if path.rpartition(".")[2] in _SAID:
        return None
    choices = allowed(version, action, one.pointer, response=response)
    if choices:
        return _values(path, one, other)
    classes = [set(part.classes) - {"empty"} for part in (one, other)]
    timed = [{name for name in part if name.startswith("time")} for part in classes]
    if timed[0] and timed[1] and timed[0] != timed[1]:
        return ElementChange(path, _listed(one.classes), _listed(other.classes), 54)
    if path.endswith("value") and classes[0] and classes[1] and not classes[0] & classes[1]:
        return ElementChange(path, _listed(one.classes), _listed(other.classes), 44)
    return None


def _numeric(name: str) -> str:
    return "number" if name == "whole number" else name


def _values(path: str, one: Element, other: Element) -> ElementChange | None:
    """Allowed values that only one side uses."""
    a, b = set(one.values), set(other.values)
    if a == b or max(len(a), len(b)) >= MAX_VALUES:
        return None
    missing = (a - b and sum(other.values.values()) < 3) or (b - a and sum(one.values.values()) < 3)
    if missing and a & b:
        return None
    return ElementChange(path, _set(a, b), _set(b, a), 38)


def _set(mine: set[str], theirs: set[str]) -> str:
    only = sorted(mine - theirs)
    return ", ".join(only) + (f" and {len(mine & theirs)} in both" if mine & theirs and only else "") or (
        f"only the {len(mine)} in both"
    )


def _listed(found: Counter[str]) -> str:
    return ", ".join(name for name, _ in found.most_common(3))
