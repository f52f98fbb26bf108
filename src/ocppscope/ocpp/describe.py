"""What a schema says about each element of a payload: type, allowed values, length, unit.

For who shows a payload to people; nothing is checked here (`conformance` does that) and nothing of a payload is
read. Units are taken from what the schemas' descriptions say, and for 1.6, whose schemas describe nothing, from the
specification's text (OCPP 1.6 edition 2, chapter 6 and 7).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from ocppscope.model import Version
from ocppscope.ocpp.schemas import validator

MAX_POINTER_DEPTH = 64
"""Tokens of a JSON pointer that are followed."""
RATE_UNIT = "chargingRateUnit"
"""The unit of an element whose unit the element of this name says."""


class Facts(NamedTuple):
    """What the schema says of one element; empty where it says nothing."""

    type: str = ""  # "object", "array", "string", "integer", "number", "boolean", "" for anything
    required: bool = False
    enum: tuple[str, ...] = ()
    max_length: int | None = None
    format: str = ""
    minimum: float | None = None
    maximum: float | None = None
    min_items: int | None = None
    max_items: int | None = None
    unit: str = ""  # "Wh", "s", …, or `RATE_UNIT`
    description: str = ""


_UNITS_16 = {
    "duration": "s",
    "interval": "s",
    "retryInterval": "s",
    "startPeriod": "s",
    "meterStart": "Wh",
    "meterStop": "Wh",
    "limit": RATE_UNIT,
    "minChargingRate": RATE_UNIT,
}
_UNITS = {
    "evMaxCurrent": "A",
    "evMinCurrent": "A",
    "evMaxVoltage": "V",
    "evMinVoltage": "V",
    "minChargingRate": RATE_UNIT,
}
"""Elements of 2.x whose description names the quantity, not the unit."""
_NO_UNIT = frozenset({"value", "multiplier"})
"""Elements whose descriptions speak of units that they may have."""
_SAID = tuple(
    (re.compile(pattern), unit)
    for pattern, unit in (
        (RATE_UNIT, RATE_UNIT),
        (r"determined by the unit|curve type", ""),
        (r"(?i)\bseconds\b", "s"),
        (r"(?i)\bper kWh", ""),
        (r"\bin kWh\b", "kWh"),
        (r"\bin Wh\b", "Wh"),
        (r"\bin W\b", "W"),
        (r"(?i)\bin va\b", "VA"),
        (r"\bin var\b", "var"),
        (r"\bin [Aa]mp(s|eres?)\b|\bin A\b", "A"),
        (r"\bin V\b", "V"),
        (r"\bin Hz\b", "Hz"),
        (r"(?i)\bpercent", "%"),
    )
)
"""What a description says → the unit; the first that fits."""


class Description:
    """The facts of the elements of one kind of payload."""

    def __init__(self, version: Version, schema: dict[str, Any]) -> None:
        self._version = version
        self._schema = schema
        self._definitions: dict[str, Any] = schema.get("definitions", {})

    def __call__(self, pointer: str) -> Facts | None:
        """The facts of the element at a JSON pointer (RFC 6901) into the payload; None if the schema has none."""
        element, required, name = self._schema, True, ""
        tokens = pointer.split("/", MAX_POINTER_DEPTH + 1)[1:]
        if len(tokens) > MAX_POINTER_DEPTH:
            return None
        for token in tokens:
            name = token.replace("~1", "/").replace("~0", "~")
            inner = self._inner(element, name)
            if inner is None:
                return None
            required = name in element.get("required", ())
            element = inner
        return self._facts(element, name, required)

    def _inner(self, element: dict[str, Any], name: str) -> dict[str, Any] | None:
        """The schema of a member or of an array's elements, with its reference followed."""
        if element.get("type") == "array":
            inner = element.get("items") if name.isdecimal() else None
        else:
            inner = element.get("properties", {}).get(name)
        return None if inner is None else self._resolved(inner)

    def _resolved(self, element: dict[str, Any]) -> dict[str, Any]:
        """The definition that an element refers to; what stands beside the reference counts too."""
        reference = element.get("$ref")
        if reference is None:
            return element
        beside = {key: value for key, value in element.items() if key != "$ref"}
        return {**self._definitions[reference.rpartition("/")[2]], **beside}

    def _facts(self, element: dict[str, Any], name: str, required: bool) -> Facts:
        said = " ".join(str(element.get("description", "")).split())
        return Facts(
            type=element.get("type", ""),
            required=required,
            enum=tuple(element.get("enum", ())),
            max_length=element.get("maxLength"),
            format=element.get("format", ""),
            minimum=element.get("minimum"),
            maximum=element.get("maximum"),
            min_items=element.get("minItems"),
            max_items=element.get("maxItems"),
            unit=self._unit(element, name, said),
            description=said,
        )

    def _unit(self, element: dict[str, Any], name: str, said: str) -> str:
        if element.get("type") not in ("integer", "number") or name in _NO_UNIT:
            return ""
        if self._version is Version.V16:
            return _UNITS_16.get(name, "")
        if name in _UNITS:
            return _UNITS[name]
        return next((unit for pattern, unit in _SAID if pattern.search(said)), "")


@cache
def describe(version: Version, action: str, response: bool = False) -> Description | None:
    """The facts about an action's request (or SEND) or response; None if no schema covers it."""
    found = validator(version, action, response)
    return None if found is None else Description(version, found.schema)
