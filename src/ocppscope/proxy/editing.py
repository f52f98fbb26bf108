"""Changes texts of OCPP messages: single elements by JSON pointer, and answers in the place of a peer.

What is not named stays as it was written, numbers and spaces included. Texts in, texts out; no I/O.

Source: RFC 6901 (JSON pointer), OCPP-J 1.6 §4.2 (the shapes of messages).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ocppscope.model import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_POINTER_DEPTH = 32
"""Most steps of a pointer."""

PAYLOAD_AT = {Kind.CALL: 3, Kind.SEND: 3, Kind.CALLRESULT: 2, Kind.CALLERROR: 4, Kind.CALLRESULTERROR: 4}
"""Where the payload, or what comes nearest to it, stands in the outer array."""

_ESCAPE = re.compile("~(?![01])")
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_dict = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode


class EditError(Exception):
    """Why a text cannot be changed as wanted, one sentence."""


class Change(NamedTuple):
    """One change of a payload: the element at `path` becomes `value`, or goes."""

    path: tuple[str, ...]
    value: Any = None
    remove: bool = False


def steps(pointer: str) -> tuple[str, ...]:
    """A JSON pointer taken apart. Raises `EditError`."""
    if pointer and not pointer.startswith("/"):
        raise EditError(f"“{pointer:.60}” is no JSON pointer: it begins with a slash, like /status")
    parts = pointer.split("/")[1:]
    if len(parts) > MAX_POINTER_DEPTH or _ESCAPE.search(pointer):
        raise EditError(f"“{pointer:.60}” is no JSON pointer that can be used")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def changed(text: str, kind: Kind, changes: Sequence[Change]) -> str:
    """A message with its payload changed. Raises `EditError` where an element, or the payload, is not there."""
    at = PAYLOAD_AT.get(kind)
    if at is None:
        raise EditError("what is no OCPP message has no payload")
    try:
        parts = _decode_list(text)
        if len(parts) <= at:
            raise EditError("the message has no payload")
        for change in changes:
            parts[at] = _apply(parts[at], change.path, change)
        return _encode(parts).decode()
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise EditError("the message is no JSON that can be changed") from None


def with_payload(text: str, kind: Kind, payload: object) -> str:
    """A message with another payload as a whole. Raises `EditError`."""
    return changed(text, kind, [Change((), payload)])


def _apply(value: msgspec.Raw, path: tuple[str, ...], change: Change) -> msgspec.Raw:
    """`value` with the element at `path` of it changed."""
    if not path:
        if change.remove:
            raise EditError("the whole payload cannot be removed")
        return encoded(change.value)
    step, rest = path[0], path[1:]
    inner = bytes(value).lstrip()[:1]
    if inner == b"{":
        return _apply_in_object(value, step, rest, change)
    if inner == b"[":
        return _apply_in_array(value, step, rest, change)
    raise EditError(f"there is nothing that can hold “{step:.60}”")


def _apply_in_object(value: msgspec.Raw, step: str, rest: tuple[str, ...], change: Change) -> msgspec.Raw:
    members = _decode_dict(value)
    if not rest and change.remove:
        if step not in members:
            raise EditError(f"there is no “{step:.60}” to be removed")
        del members[step]
    elif not rest:
        members[step] = encoded(change.value)
    elif step in members or not change.remove:
        members[step] = _apply(members.get(step, msgspec.Raw(b"{}")), rest, change)
    else:
        raise EditError(f"there is no “{step:.60}”")
    return encoded(members)


def _apply_in_array(value: msgspec.Raw, step: str, rest: tuple[str, ...], change: Change) -> msgspec.Raw:
    items = _decode_list(value)
    if step == "-" and not rest and not change.remove:
        return encoded([*items, encoded(change.value)])
    if not re.fullmatch(r"\d{1,6}", step, re.ASCII) or int(step) >= len(items):
        raise EditError(f"the array has no element {step:.20}")
    index = int(step)
    if rest:
        items[index] = _apply(items[index], rest, change)
    elif change.remove:
        del items[index]
    else:
        items[index] = encoded(change.value)
    return encoded(items)


def encoded(value: object) -> msgspec.Raw:
    """A value as JSON. Raises `EditError` for what JSON does not know."""
    try:
        return msgspec.Raw(_encode(value))
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        raise EditError("that is nothing that JSON can hold") from None


class Reply(NamedTuple):
    """What a dropped CALL is answered with in the place of its receiver: a payload, or an error."""

    payload: object = None
    error: str = ""  # the error code; "" for a CALLRESULT
    description: str = ""
    details: object = None

    def text(self, id_: str) -> str:
        """The answer to the CALL with this id. Raises `EditError`."""
        if self.error:
            answer = [int(Kind.CALLERROR), id_, self.error, self.description, self.details or {}]
        else:
            answer = [int(Kind.CALLRESULT), id_, self.payload if self.payload is not None else {}]
        return bytes(encoded(answer)).decode()


def is_object(text: str) -> bool:
    """Whether a text is one JSON object."""
    try:
        _decode_dict(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False
    return True
