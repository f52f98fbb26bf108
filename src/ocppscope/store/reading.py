"""What the store and the filter read of a message's JSON: the payload, its status, an error's code.

The only place of the two floors that decodes JSON. Never fails: what cannot be read is missing. Whether a
message is as it should be is none of its business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

MAX_READ = 1 << 20
"""Bytes of a message that is decoded; of a longer one nothing is read."""
MAX_STATUS_CHARS = 255
"""Characters of a text that counts as a status or an error code."""

_PAYLOAD_AT = (0, 0, 3, 2, 4, 4, 3)
"""Where a message of each kind has its payload, or the details of an error; 0 for none."""
_decode = msgspec.json.Decoder().decode
FAILURES = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What decoding raises at a text that is not as expected."""


class _Payload(Struct, gc=False):
    """The places where the payloads of all versions keep their status."""

    status: Any = None
    connectorStatus: Any = None  # noqa: N815 (names of the wire)
    idTagInfo: Any = None  # noqa: N815
    idTokenInfo: Any = None  # noqa: N815


_result = msgspec.json.Decoder(tuple[int, Any, _Payload]).decode
_request = msgspec.json.Decoder(tuple[int, Any, Any, _Payload]).decode


def frame(text: bytes) -> list[Any] | None:
    """The array that a message is; None where it is none or longer than `MAX_READ`."""
    if len(text) > MAX_READ:
        return None
    try:
        value = _decode(text)
    except FAILURES:
        return None
    return value if isinstance(value, list) else None


def payload(kind: int, text: bytes) -> Any:
    """The payload of a message, of an error its details; None if there is none."""
    at = _PAYLOAD_AT[kind]
    if not at:
        return None
    value = frame(text)
    return value[at] if value is not None and len(value) > at else None


def part_decoder(steps: tuple[str | int | None, ...]) -> Callable[[int, bytes], Any]:
    """A decoder of nothing but what lies on a path through the payload: four times as fast as reading all of it.

    The path's keys become objects with one element `inner`, its indexes and None (all elements) lists. The decoder
    takes a kind and a text; it raises one of `FAILURES` where the payload has another shape than the path.
    """
    shape = _shape(steps)
    forms = {at: tuple.__class_getitem__((int, *[Any] * (at - 1), shape)) for at in (2, 3, 4)}
    decoders = {at: msgspec.json.Decoder(form).decode for at, form in forms.items()}

    def decode(kind: int, text: bytes) -> Any:
        at = _PAYLOAD_AT[kind]
        return decoders[at](text)[at] if at and len(text) <= MAX_READ else None

    return decode


def _shape(steps: tuple[str | int | None, ...]) -> Any:
    shape: Any = Any
    for step in reversed(steps):
        if isinstance(step, str):
            shape = msgspec.defstruct("Part", [("inner", shape, None)], rename={"inner": step}, gc=False)
        else:
            shape = list.__class_getitem__(shape)
        shape |= None
    return shape


def status(kind: int, text: bytes) -> str:
    """The status that a payload reports, wherever its action keeps it; "" if there is none."""
    if b'tatus"' not in text or len(text) > MAX_READ:
        return ""
    try:
        if kind == 3:
            found = _result(text)[2]
        elif kind in (2, 6):
            found = _request(text)[3]
        else:
            return ""
    except FAILURES:
        return ""
    value = found.status
    if value is None:
        value = found.connectorStatus
    if value is None:
        for info in (found.idTagInfo, found.idTokenInfo):
            if isinstance(info, dict):
                value = info.get("status")
                break
    return value if isinstance(value, str) and len(value) <= MAX_STATUS_CHARS else ""


def error(kind: int, text: bytes) -> str:
    """The code of a CALLERROR or CALLRESULTERROR; "" for other messages."""
    return _error_part(kind, text, 2)[:MAX_STATUS_CHARS]


def error_description(kind: int, text: bytes) -> str:
    """The description of a CALLERROR or CALLRESULTERROR; "" for other messages."""
    return _error_part(kind, text, 3)


def _error_part(kind: int, text: bytes, at: int) -> str:
    if kind not in (4, 5):
        return ""
    value = frame(text)
    part = value[at] if value is not None and len(value) > at else ""
    return part if isinstance(part, str) else ""
