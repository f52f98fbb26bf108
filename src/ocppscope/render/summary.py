"""What a message says, in a few words: the fields that an engineer looks for first.

One small function an action, in the table `REQUESTS`; whatever has none is summed up by its top-level elements.
`said` takes a message; the others take decoded JSON of any shape. None of them ever fails, and every word that comes
from the wire goes through `visible`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ocppscope.model import Kind, Message
from ocppscope.render import jsonl
from ocppscope.render.wiretext import visible, visible_bytes

MAX_WORD = 60
"""Characters that are shown of one value."""
MAX_WORDS = 8
"""Elements that are named of one message."""
MAX_SAMPLES = 4
"""Sampled values that are shown of one message."""

MAX_KEY = 256
"""Characters of a key in which a secret's name is looked for; OCPP's own keys have at most 50."""
MAX_EXCERPT = 960
"""Bytes of a text with lost parts that are looked at."""

_SECRET = re.compile(r"authorizationkey|password|secret", re.IGNORECASE)
_HIDDEN = "***"
_LOSSY = ("ws.context-lost", "ws.lost-bytes")
_LOST = re.compile(rb"\0+")

Payload = Mapping[str, Any]


def said(message: Message) -> str:
    """Any message; of what cannot be read the beginning."""
    kind, parts = message.kind, jsonl.read(message.text)
    if not isinstance(parts, list):
        return _excerpt(message)
    try:
        if kind is Kind.CALLRESULT:
            return answer(message.action, parts[2])
        if kind in (Kind.CALL, Kind.SEND):
            return request(message.action, parts[3])
        if kind in (Kind.CALLERROR, Kind.CALLRESULTERROR):
            return error(parts[2], parts[3] if len(parts) > 3 else "")
    except IndexError:
        pass
    return _excerpt(message)


def _excerpt(message: Message) -> str:
    """The beginning of a text of which nothing better can be said; lost parts, which the decoder fills, as counts."""
    text = message.text
    if not text:
        return "(empty)"
    if b"\0" in text and any(problem.code in _LOSSY for problem in message.problems):
        text = _LOST.sub(lambda run: b"[%d lost]" % len(run[0]), text[:MAX_EXCERPT])
    return visible_bytes(text)


def request(action: str, payload: object) -> str:
    """A CALL or SEND."""
    if not payload:
        return ""
    if not isinstance(payload, dict):
        return value(payload)
    describe = REQUESTS.get(action)
    return " ".join(filter(None, describe(payload))) if describe else generic(payload)


def answer(action: str, payload: object) -> str:
    """A CALLRESULT: the status first."""
    if not payload:
        return ""
    if not isinstance(payload, dict):
        return value(payload)
    describe = ANSWERS.get(action)
    if describe:
        return " ".join(filter(None, describe(payload)))
    status = status_of(payload)
    rest = {key: item for key, item in payload.items() if key not in _STATUS_HOLDERS}
    return " ".join(filter(None, (status, generic(rest))))


_STATUS_HOLDERS = ("status", "idTagInfo", "idTokenInfo")


def status_of(payload: Payload) -> str:
    """The status of an answer, wherever its action keeps it; "" if there is none."""
    if "status" in payload:
        return value(payload["status"])
    for holder in ("idTagInfo", "idTokenInfo"):
        info = payload.get(holder)
        if isinstance(info, dict) and "status" in info:
            return value(info["status"])
    return ""


def error(code: object, description: object) -> str:
    """A CALLERROR or CALLRESULTERROR."""
    words = value(code) if code != "" else "(no error code)"
    return f"{words}: {visible(description)}" if isinstance(description, str) and description else words


def generic(payload: Payload) -> str:
    """`key=value` of the top-level elements; of nested ones how much they hold."""
    words: list[str] = []
    for key, item in payload.items():
        if len(words) == MAX_WORDS:
            words.append("…")
            break
        if item is not None and item != "":
            words.append(f"{visible(key, MAX_WORD)}={_secret(key, item)}")
    return " ".join(words)


def value(item: object) -> str:
    """One value: a text as it is, a number, what a list or an object holds."""
    if item.__class__ is str:
        return visible(item, MAX_WORD)
    if item is None or isinstance(item, bool):
        return {None: "null", True: "true", False: "false"}[item]
    if isinstance(item, dict):
        return "{}" if not item else "{…}"
    if isinstance(item, list):
        return _list(item)
    return str(item)[:MAX_WORD]


def _list(items: list[object]) -> str:
    few = items[:MAX_WORDS]
    if few and all(isinstance(one, str) for one in few):
        return visible(",".join(map(str, few)) + "…" * (len(items) > MAX_WORDS), MAX_WORD)
    return f"[{len(items)}]" if items else "[]"


def _secret(key: object, item: object) -> str:
    return _HIDDEN if _SECRET.search(str(key)[:MAX_KEY]) else value(item)


def _get(payload: Payload, key: str, label: str = "", unit: str = "") -> str:
    item = payload.get(key)
    if item is None or item == "":
        return ""
    text = value(item)
    return f"{label} {text}{unit}" if label else text + unit


def _part(payload: Payload, key: str) -> Payload:
    part = payload.get(key)
    return part if isinstance(part, dict) else {}


def _parts(payload: Payload, key: str) -> list[Payload]:
    part = payload.get(key)
    return [one for one in part if isinstance(one, dict)] if isinstance(part, list) else []


def _few(words: Iterable[str]) -> str:
    """The first of some words, and how many more there are."""
    shown: list[str] = []
    more = 0
    for word in words:
        if len(shown) < MAX_WORDS:
            shown.append(word)
        else:
            more += 1
    return ", ".join(shown) + (f", +{more}" if more else "")


# --- actions ----------------------------------------------------------------------------------------------------


def _place(payload: Payload) -> str:
    """Where: connector (1.6), or EVSE and its connector (2.x)."""
    evse = _part(payload, "evse")
    if evse:
        return f"evse {value(evse.get('id'))}" + (f"/{value(evse['connectorId'])}" if "connectorId" in evse else "")
    if "evseId" in payload:
        connector = f"/{value(payload['connectorId'])}" if "connectorId" in payload else ""
        return f"evse {value(payload['evseId'])}{connector}"
    return _get(payload, "connectorId", "connector")


def _token(payload: Payload, key: str = "idToken") -> str:
    """The driver's token: a text (1.6) or an object (2.x)."""
    if "idTag" in payload:
        return _get(payload, "idTag", "tag")
    token = _part(payload, key)
    kind = _get(token, "type")
    return f"token {_get(token, 'idToken')}" + (f" ({kind})" if kind else "") if token else ""


def _transaction(payload: Payload) -> str:
    return _get(payload, "transactionId", "tx")


def _boot(payload: Payload) -> Iterator[str]:
    vendor, model, firmware, serial = identity(payload)
    yield from (vendor, model, firmware and f"fw {firmware}", serial and f"sn {serial}")
    yield _get(payload, "reason")


def identity(payload: Payload) -> tuple[str, str, str, str]:
    """Vendor, model, firmware version and serial number of a BootNotification of any version."""
    station = _part(payload, "chargingStation")
    if station:
        names = ("vendorName", "model", "firmwareVersion", "serialNumber")
        return _get(station, names[0]), _get(station, names[1]), _get(station, names[2]), _get(station, names[3])
    serial = _get(payload, "chargePointSerialNumber") or _get(payload, "chargeBoxSerialNumber")
    return (
        _get(payload, "chargePointVendor"),
        _get(payload, "chargePointModel"),
        _get(payload, "firmwareVersion"),
        serial,
    )


def _status(payload: Payload) -> Iterator[str]:
    yield _place(payload)
    yield _get(payload, "status") or _get(payload, "connectorStatus")
    code = _get(payload, "errorCode")
    yield "" if code == "NoError" else code
    yield _get(payload, "vendorErrorCode")
    yield _get(payload, "info")


def _authorize(payload: Payload) -> Iterator[str]:
    yield _token(payload)


def _start(payload: Payload) -> Iterator[str]:
    yield _place(payload)
    yield _token(payload)
    yield _get(payload, "meterStart", "meter", " Wh")
    yield _get(payload, "reservationId", "reservation")


def _stop(payload: Payload) -> Iterator[str]:
    yield _transaction(payload)
    yield _get(payload, "meterStop", "meter", " Wh")
    yield _get(payload, "reason")
    yield _token(payload)
    yield samples(payload, "transactionData")


def _meter(payload: Payload) -> Iterator[str]:
    yield _place(payload)
    yield _transaction(payload)
    yield samples(payload, "meterValue")


def samples(payload: Payload, key: str) -> str:
    """The first sampled values of a list of meter values, and how many more there are."""
    found = [sample for meter in _parts(payload, key) for sample in _parts(meter, "sampledValue")]
    shown = ", ".join([_sample(sample.get) for sample in found[:MAX_SAMPLES]])
    return f"{shown}, +{len(found) - MAX_SAMPLES} more" if len(found) > MAX_SAMPLES else shown


def _sample(get: Callable[[str], Any]) -> str:
    unit, unit_of, multiplier = get("unit"), get("unitOfMeasure"), None
    if unit_of.__class__ is dict:
        unit, multiplier = unit_of.get("unit"), unit_of.get("multiplier")
    try:
        before, after = _around(get("measurand"), get("phase"), unit, multiplier)
    except TypeError:  # a list or an object where a text should be
        before, after = "", ""
    item = get("value")
    number = item.__class__ is float or item.__class__ is int
    return f"{before}{item if number else value(item)}{after}"


@lru_cache(maxsize=64)
def _around(measurand: object, phase: object, unit: object, multiplier: object) -> tuple[str, str]:
    """What stands before and after a sampled value: `Power L1 ` and ` kW`."""
    name = "" if measurand is None else value(measurand)
    energy = name in ("", "Energy.Active.Import.Register")
    label = "" if energy else name.partition(".")[0] + (" export" if ".Export" in name else "")
    before = " ".join(filter(None, (label, "" if phase is None else value(phase))))
    power = "" if multiplier in (None, 0) else f"e{value(multiplier)}"
    after = value(unit) if unit is not None else "Wh" if energy else ""
    return (before and f"{before} "), power + (after and f" {after}")


def _event(payload: Payload) -> Iterator[str]:
    info = _part(payload, "transactionInfo")
    yield _get(payload, "eventType")
    yield _get(payload, "seqNo", "seq")
    yield _get(payload, "triggerReason")
    yield _get(info, "chargingState")
    yield _transaction(info)
    yield _place(payload)
    yield _token(payload)
    yield _get(info, "stoppedReason", "stopped:")
    yield "offline" if payload.get("offline") is True else ""
    yield samples(payload, "meterValue")


def _remote_start(payload: Payload) -> Iterator[str]:
    yield _place(payload)
    yield _token(payload)
    yield _get(payload, "remoteStartId", "remote id")


def _remote_stop(payload: Payload) -> Iterator[str]:
    yield _transaction(payload)


def _change_configuration(payload: Payload) -> Iterator[str]:
    key = _get(payload, "key")
    yield f"{key}={_secret(key, payload.get('value'))}"


def _get_configuration(payload: Payload) -> Iterator[str]:
    yield _get(payload, "key")


def _variables(payload: Payload, key: str) -> str:
    return _few(_variable(one) for one in _parts(payload, key))


def _variable(one: Payload) -> str:
    name = f"{_get(_part(one, 'component'), 'name')}.{_get(_part(one, 'variable'), 'name')}"
    if "attributeValue" in one:
        name = f"{name}={_secret(name, one['attributeValue'])}"
    return f"{name} {_get(one, 'attributeStatus')}".rstrip()


def _set_variables(payload: Payload) -> Iterator[str]:
    yield _variables(payload, "setVariableData")


def _set_variables_answer(payload: Payload) -> Iterator[str]:
    yield _variables(payload, "setVariableResult")


def _get_variables(payload: Payload) -> Iterator[str]:
    yield _variables(payload, "getVariableData")


def _get_variables_answer(payload: Payload) -> Iterator[str]:
    yield _variables(payload, "getVariableResult")


def _get_configuration_answer(payload: Payload) -> Iterator[str]:
    keys = _parts(payload, "configurationKey")
    yield _few(f"{_get(one, 'key')}={_secret(one.get('key'), one.get('value', ''))}" for one in keys)
    yield _get(payload, "unknownKey", "unknown:")


def _trigger(payload: Payload) -> Iterator[str]:
    yield _get(payload, "requestedMessage")
    yield _place(payload)


def _availability(payload: Payload) -> Iterator[str]:
    yield _place(payload)
    yield _get(payload, "type") or _get(payload, "operationalStatus")


def _profile(payload: Payload) -> Iterator[str]:
    profile = _part(payload, "csChargingProfiles") or _part(payload, "chargingProfile")
    yield _place(payload)
    yield _get(profile, "chargingProfilePurpose")
    yield _get(profile, "chargingProfileId", "id") or _get(profile, "id", "id")
    yield _get(profile, "stackLevel", "stack level")


REQUESTS: dict[str, Callable[[Payload], Iterator[str]]] = {
    "Authorize": _authorize,
    "BootNotification": _boot,
    "ChangeAvailability": _availability,
    "ChangeConfiguration": _change_configuration,
    "GetConfiguration": _get_configuration,
    "GetVariables": _get_variables,
    "MeterValues": _meter,
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": _remote_stop,
    "RequestStartTransaction": _remote_start,
    "RequestStopTransaction": _remote_stop,
    "SetChargingProfile": _profile,
    "SetVariables": _set_variables,
    "StartTransaction": _start,
    "StatusNotification": _status,
    "StopTransaction": _stop,
    "TransactionEvent": _event,
    "TriggerMessage": _trigger,
}

ANSWERS: dict[str, Callable[[Payload], Iterator[str]]] = {
    "GetConfiguration": _get_configuration_answer,
    "GetVariables": _get_variables_answer,
    "SetVariables": _set_variables_answer,
}
