"""Payloads to begin with, made from the schemas: what an action demands, with plausible values.

For who writes a message by hand. A template is valid for its schema and means nothing in particular: nobody's tag,
nobody's transaction. No clock: the time that it names is given.
"""

from __future__ import annotations

import json
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ocppscope.ocpp.describe import Facts, describe
from ocppscope.ocpp.schemas import validator
from ocppscope.ocpp.versions import ACTIONS, SEND_ACTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocppscope.model import Side, Version

MAX_TEMPLATE_DEPTH = 12
"""Levels of a payload that are filled in; no demanded element lies deeper."""
SOME_TIME = "2026-01-01T00:00:00Z"
"""The time in a template unless another one is given."""
CUSTOM = "customData"
"""Anybody's own element of 2.x, which says nothing unless one knows more."""

_PREFERRED = (
    "Accepted", "Available", "Operative", "Soft", "OnIdle", "Heartbeat", "PowerUp", "TxDefaultProfile", "Central",
    "ISO14443", "Full", "Wh", "Energy.Active.Import.Register", "Installed", "Idle",
)  # fmt: skip
"""Of the choices of an element the first of these, else the first choice."""
_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "idTag": "EXAMPLE",
        "idToken": "EXAMPLE",
        "chargePointModel": "Model",
        "chargePointVendor": "Vendor",
        "model": "Model",
        "vendorName": "Vendor",
        "vendorId": "com.example",
        "key": "HeartbeatInterval",
        "attributeValue": "300",
        "actualValue": "300",
        "value": "0",
        "v": "0",
        "currency": "EUR",
        "transactionId": "1",
        "location": "https://example.com/file",
        "remoteLocation": "https://example.com/files/",
        "responderURL": "https://example.com/ocsp",
        "urls": "https://example.com/crl",
        "ocppCsmsUrl": "wss://example.com/ocpp",
        "certificate": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "signingCertificate": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "certificateChain": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "csr": "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----",
        "iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef",
        "chargingLimitSource": "EMS",
        "type": "SettingChanged",
    }
)
"""What a text says, by the name of its element."""
_NUMBERS: Mapping[str, int] = MappingProxyType(
    {
        "interval": 300,
        "duration": 3600,
        "timeout": 30,
        "messageTimeout": 30,
        "limit": 16,
        "severity": 5,
        "startPeriod": 0,
        "stackLevel": 0,
        "seqNo": 0,
        "meterStart": 0,
        "pending": 0,
        "signal": 0,
        "t": 0,
        "value": 0,
        "totalCost": 0,
        "settlementAmount": 0,
        "securityProfile": 1,
        "soC": 50,
        "soH": 100,
    }
)
"""Likewise numbers; others are 1, which is an id or the first connector."""
_TYPICAL: Mapping[tuple[str, str], str] = MappingProxyType(
    {("component", "name"): "OCPPCommCtrlr", ("variable", "name"): "HeartbeatInterval", ("", "value"): "300"}
)
"""Texts whose name says too little: the name of the element around it, "" for the payload itself, and its own."""


class Option(NamedTuple):
    """An element that a template leaves out: its JSON pointer, and what the schema says of it."""

    pointer: str
    facts: Facts


class _Writer:
    """Fills one schema."""

    def __init__(self, schema: dict[str, Any], time: str, *, everything: bool) -> None:
        self._definitions: dict[str, Any] = schema.get("definitions", {})
        self._time = time
        self._everything = everything
        self.left_out: list[str] = []

    def object(self, schema: dict[str, Any], name: str, path: str, depth: int) -> dict[str, Any]:
        """The demanded members, in the order of the schema; with `everything` the others, too."""
        demanded = schema.get("required", ())
        filled = {}
        for member, inner in schema.get("properties", {}).items():
            if member in demanded or (self._everything and member != CUSTOM and depth < MAX_TEMPLATE_DEPTH):
                filled[member] = self.value(inner, member, name, f"{path}/{member}", depth + 1)
            elif member != CUSTOM:
                self.left_out.append(f"{path}/{member}")
        return filled

    def value(self, schema: dict[str, Any], name: str, around: str, path: str, depth: int) -> Any:
        """A value that the schema accepts; `around` is the name of the object in which it stands."""
        reference = schema.get("$ref")
        if reference is not None:
            schema = self._definitions[reference.rpartition("/")[2]]
        kind = schema.get("type")
        if "enum" in schema:
            return next((one for one in _PREFERRED if one in schema["enum"]), schema["enum"][0])
        if kind == "object":
            return self.object(schema, name, path, depth)
        if kind == "array":
            few = max(schema.get("minItems", 1), 1)
            return [self.value(schema["items"], name, around, f"{path}/{at}", depth + 1) for at in range(few)]
        if kind == "string":
            return self._text(schema, name, around)
        return False if kind == "boolean" else _number(schema, name)

    def _text(self, schema: dict[str, Any], name: str, around: str) -> str:
        if schema.get("format") == "date-time":
            return self._time
        text = _TYPICAL.get((around, name)) or _TEXTS.get(name, "example")
        return text[: schema.get("maxLength", len(text))]


def _number(schema: dict[str, Any], name: str) -> int:
    wanted = _NUMBERS.get(name, 1)
    return int(min(max(wanted, schema.get("minimum", wanted)), schema.get("maximum", float("inf"))))


def template(
    version: Version, action: str, response: bool = False, *, time: str = SOME_TIME, everything: bool = False
) -> dict[str, Any] | None:
    """What a request (or SEND) or a response of an action demands; None if no schema covers it.

    With `everything` also what it does not demand, but for `customData`. `time` is an RFC 3339 date-time.
    """
    found = validator(version, action, response)
    return (
        None if found is None else _Writer(found.schema, time, everything=everything).object(found.schema, "", "", 0)
    )


def text(version: Version, action: str, *, time: str = SOME_TIME, everything: bool = False) -> str:
    """The template of a request over several lines of JSON; `{}` if no schema covers it."""
    found = template(version, action, time=time, everything=everything)
    return json.dumps(found or {}, indent=2, ensure_ascii=False)


@cache
def options(version: Version, action: str) -> tuple[Option, ...]:
    """What the template of a request leaves out, but for `customData`, in the order of the schema."""
    found, said = validator(version, action), describe(version, action)
    if found is None or said is None:
        return ()
    writer = _Writer(found.schema, SOME_TIME, everything=False)
    writer.object(found.schema, "", "", 0)
    return tuple(Option(pointer, said(pointer) or Facts()) for pointer in writer.left_out)


def calls_to(version: Version, side: Side) -> tuple[str, ...]:
    """What may be asked of a side in a CALL, by name; the actions of all versions if this one is not covered."""
    tables = [ACTIONS[version]] if version in ACTIONS else list(ACTIONS.values())
    sends = SEND_ACTIONS.get(version, frozenset())
    found = {name for table in tables for name, senders in table.items() if side.other in senders}
    return tuple(sorted(found - sends))
