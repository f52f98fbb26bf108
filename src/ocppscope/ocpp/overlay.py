"""Deviations from the installed schemas that are tolerated, as data: what is here is not a problem.

The schema files themselves stay untouched; `schemas` applies a row to what it has read of them. A row also holds
where the installed file agrees already, so that an update of that package cannot turn a tolerance into a problem.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ocppscope.model import Version


class Tolerance(NamedTuple):
    """One row: in the schema of `name` ("StopTransaction", "…Response"), at the element `path`, the keyword.

    `path` is a list of property names, "*" for the elements of an array. `value` replaces a number, is added to
    a list, and None removes the keyword.
    """

    version: Version
    name: str
    path: str
    keyword: str
    value: object
    why: str


_UNITS = ["Hertz", "Celcius", "Celsius"]
_UNIT_WHY = "frequency has no unit in 1.6, and stations keep the misprint Celcius (1.6 errata 2025-04)"
_EMPTY_WHY = "the OCA file of 1.6 does not demand an element"

TOLERANCES = (
    Tolerance(Version.V16, "MeterValues", "meterValue/*/sampledValue/*/unit", "enum", _UNITS, _UNIT_WHY),
    Tolerance(Version.V16, "StopTransaction", "transactionData/*/sampledValue/*/unit", "enum", _UNITS, _UNIT_WHY),
    Tolerance(Version.V16, "MeterValues", "meterValue", "minItems", None, _EMPTY_WHY),
    Tolerance(Version.V16, "MeterValues", "meterValue/*/sampledValue", "minItems", None, _EMPTY_WHY),
    Tolerance(
        Version.V201,
        "Get15118EVCertificateResponse",
        "exiResponse",
        "maxLength",
        7500,
        "the OCA file says 5600, 2.1 and many stations 7500",
    ),
)


def apply(version: Version, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its tolerances; changes the given object."""
    for row in TOLERANCES:
        if row.version is version and row.name == name:
            _apply_row(row, _element(schema, row.path))
    return schema


def _element(schema: dict[str, Any], path: str) -> dict[str, Any]:
    element = schema
    for name in path.split("/"):
        element = element["items"] if name == "*" else element["properties"][name]
        if "$ref" in element:
            element = schema["definitions"][element["$ref"].rpartition("/")[2]]
    return element


def _apply_row(row: Tolerance, element: dict[str, Any]) -> None:
    if row.value is None:
        element.pop(row.keyword, None)
    elif isinstance(row.value, list):
        listed = element[row.keyword]
        listed += [value for value in row.value if value not in listed]
    else:
        element[row.keyword] = row.value
