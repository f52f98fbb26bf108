"""A text into an OCPP message: the exact reading of any shape, and a quick match of the ordinary one.

`decode` never raises and drops nothing that can be named: whatever is readable of a malformed message is kept
and what is wrong with it is stated. Here a payload is bytes; whether it fits its action is the business of
`schemas`, which action a version has that of `versions`.

Source: OCPP-J 1.6 §4, OCPP 2.0.1 and 2.1 Part 4 §4 (framing), §7 (signed messages).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from ocppscope.model import Kind, Problem
from ocppscope.ocpp.jsontext import (
    HEAD_SIZE,
    MAX_JSON_DEPTH,
    MAX_JSON_SIZE,
    NOTHING,
    Fault,
    Part,
    Reader,
    is_clean,
    oddities,
    read,
    skip_space,
    too_deep,
    truncated,
    without_surrogates,
)
from ocppscope.ocpp.versions import ALL_ACTIONS

MAX_ID_LENGTH = 36
"""Longest message id that OCPP allows, in characters."""
MAX_NAME_KEPT = 1024
"""Longest id, action or error code that is kept, in characters; the text itself holds all of it."""
MAX_DESCRIPTION_LENGTH = 255
"""Longest error description that OCPP allows, in characters."""
MAX_PARTS = 16
"""Most elements of the outer array that are looked at."""
SIGNED_SUFFIX = "-Signed"
"""What an action ends with when its payload is a JSON Web Signature (2.1 Part 4 §7.1)."""

ARITY = {Kind.CALL: 4, Kind.CALLRESULT: 3, Kind.CALLERROR: 5, Kind.CALLRESULTERROR: 5, Kind.SEND: 4}
"""Elements of the outer array."""


class RawMessage(msgspec.Struct, frozen=True):
    """What a text says, as far as it can be read.

    `payload` is the slice of the text that holds the payload (`b""` if there is none or it cannot be told from
    the rest); of a signed message it is the payload that was signed. `error_details` is such a slice too.
    """

    kind: Kind
    id: str = ""
    action: str = ""
    payload: bytes = b""
    error_code: str = ""
    error_description: str = ""
    error_details: bytes = b""
    signed: bool = False
    problems: tuple[Problem, ...] = ()


MAX_SHORT = 48
"""Longest payload, with the bracket behind it, that `heads` gives as it is."""

_ID = r'"(?!-1")([ !#-\[\]-~]{1,36}+)"'
_CALLING = _ID + r', ?"([A-Za-z0-9]{1,50}+)"'
_HEAD_BYTES = 160
"""More than the longest head and `MAX_SHORT` together."""
_HEADS = re.compile(rf"\[(?:2, ?{_CALLING}|3, ?{_ID}), ?(?:(\{{.{{0,{MAX_SHORT - 1}}}+)\n|\{{.*\n)|.*\n").findall
_HEAD = re.compile(rf"\[([26]), ?{_CALLING}, ?(?=\{{)".encode()).match
_RESULT_HEAD = re.compile(rf"\[3, ?{_ID}, ?(?=\{{)".encode()).match
_IS_SIGNED = re.compile(rb'\{\s*"(?:payload|protected|signature|header)"').match
_ACTIONS = {action.encode(): action for action in ALL_ACTIONS}
_CALL, _CALLRESULT, _SEND = Kind.CALL, Kind.CALLRESULT, Kind.SEND


Head = tuple[str, str, str, str]
"""Id and action of a CALL, id of a CALLRESULT, and what follows, where it is no more than `MAX_SHORT` bytes; "" each
where it is not so. What follows is a payload and a bracket, its bytes as Latin-1, line breaks perhaps as NUL."""


def heads(texts: list[bytes]) -> list[Head]:
    """The heads of texts, as far as they are those of ordinary CALLs and CALLRESULTs; 0.4 µs each.

    Whatever the payload is, `decode` agrees with its head. That a text ends with a bracket is not looked at.
    """
    begins = [text[:_HEAD_BYTES] for text in texts]
    found = _HEADS(b"\n".join([*begins, b""]).decode("latin-1"))
    if len(found) != len(texts):  # a line break is no part of a head
        found = _HEADS(b"\n".join([*(begin.replace(b"\n", b"\0") for begin in begins), b""]).decode("latin-1"))
    return found


def match_head(text: bytes) -> tuple[Kind, str, str, int] | None:
    """The head of a CALL, SEND or CALLRESULT that is written as nearly everybody writes it; 0.7 µs.

    Gives kind, id, action ("" of a CALLRESULT) and where the payload starts; the payload is `text[start:-1]`.
    None means that `decode` has to look. A head says nothing about the payload: whoever uses it has the payload
    accepted by a validator or by `jsontext.is_clean`, or calls `decode` after all. With such a payload
    `decode` has no problem to state and gives the same kind, id, action and payload.
    """
    if text[-1:] != b"]" or len(text) > MAX_JSON_SIZE:
        return None
    found = _HEAD(text)
    if found is not None:
        number, id_, name = found.groups()
        action = _ACTIONS.get(name)
        if action is None:
            return None
        return _CALL if number == b"2" else _SEND, id_.decode(), action, found.end()
    found = _RESULT_HEAD(text)
    if found is None or _IS_SIGNED(text, found.end()):
        return None
    return _CALLRESULT, found[1].decode(), "", found.end()


def decode(text: bytes) -> RawMessage:
    """Everything that can be read of a text, whatever it is: 4 µs for a usual message, 20 µs for an unusual one."""
    head = match_head(text)
    if head is not None:
        payload = text[head[3] : -1]
        if is_clean(payload):
            return RawMessage(head[0], head[1], head[2], payload)
    return decode_exactly(text)


def decode_exactly(text: bytes) -> RawMessage:
    """As `decode`, without its short cut for usual messages. Linear in size."""
    layout = _lay_out(text)
    kind = Kind.UNPARSED
    if layout.parts:
        kind = _kind(layout)
        _READERS[kind](layout, layout.parts[1:])
        _check_arity(layout, kind)
    return RawMessage(kind=kind, problems=tuple(layout.problems), **layout.fields)


class _Layout:
    """The elements of the outer array, and what has been made of them so far."""

    def __init__(self, text: str, reader: Reader) -> None:
        self.text = text
        self.reader = reader
        self.parts: list[Part] = []
        self.complete = False
        self.well_encoded = True
        self.problems: list[Problem] = []
        self.fields: dict[str, Any] = {}

    def state(self, code: str, text: str, path: str = "") -> None:
        self.problems.append(Problem(code, text, path))

    def source(self, part: Part) -> str:
        return self.text[part.start : part.end]

    def slice(self, part: Part) -> bytes:
        return self.source(part).encode("utf-8", "surrogateescape")

    def name(self, part: Part) -> str:
        """A string's value, or the JSON text of something else, bounded and encodable."""
        name = part.value if isinstance(part.value, str) else self.source(part)
        return without_surrogates(name[:MAX_NAME_KEPT])


def _lay_out(data: bytes) -> _Layout:
    found: list[Problem] = []
    oversize = len(data) > MAX_JSON_SIZE
    if oversize:
        found.append(Problem("json.oversize", f"{len(data)} bytes; at most {MAX_JSON_SIZE} are looked at"))
        data = data[:HEAD_SIZE]
    if data.startswith(b"\xef\xbb\xbf"):
        found.append(Problem("json.bom", "the text begins with a byte order mark"))
        data = data[3:]
    text = data.decode("utf-8", "surrogateescape")
    well_encoded = text.isascii() or oversize or _is_utf8(data)
    if not well_encoded:
        found.append(Problem("json.encoding", "the text is not valid UTF-8"))
    deep = too_deep(text)
    if deep:
        found.append(Problem("json.depth", f"nested more than {MAX_JSON_DEPTH} levels deep"))
    layout = _Layout(text, Reader())
    fault = _split(layout, deep=deep)
    if fault is not None and fault.code == "json.control-character":
        found.append(Problem(fault.code, fault.text))
        layout = _Layout(text, Reader(strict=False))
        fault = _split(layout, deep=deep)
    if fault is not None and not oversize:
        found.append(Problem(fault.code, fault.text))
    layout.problems = found
    layout.well_encoded = well_encoded
    return layout


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _split(layout: _Layout, *, deep: bool) -> Fault | None:
    """Fill `layout.parts` as far as they are JSON; what stopped it."""
    text, reader = layout.text, layout.reader
    at = skip_space(text, 0)
    if at == len(text):
        return Fault("json.empty", "the text is empty", 0)
    if text[at] != "[":
        return _not_array(layout, at, deep=deep)
    at = skip_space(text, at + 1)
    if text[at : at + 1] == "]":
        return _finish(layout, at + 1)
    while len(layout.parts) < MAX_PARTS:
        if deep and text[at : at + 1] in ("[", "{"):
            return None
        part = reader.value(text, at)
        if isinstance(part, Fault):
            return part
        layout.parts.append(part)
        at = skip_space(text, part.end)
        follower = text[at : at + 1]
        if follower == "]":
            return _finish(layout, at + 1)
        if follower != ",":
            return _broken(text, part, at)
        at = skip_space(text, at + 1)
    layout.complete = True  # enough to say that its arity is wrong
    return None


def _broken(text: str, part: Part, at: int) -> Fault:
    cut_number = isinstance(part.value, int) and text[at:] in (".", "e", "E", "e+", "e-", "E+", "E-")
    if at == len(text) or cut_number:
        return truncated(text)
    return Fault("json.syntax", f"not JSON at character {at + 1} of {len(text)}", at)


def _not_array(layout: _Layout, at: int, *, deep: bool) -> Fault | None:
    if deep:
        return Fault("ocpp.not-array", "the text is not a JSON array", at)
    part = layout.reader.value(layout.text, at)
    if isinstance(part, Fault):
        return part
    return _after(layout, part.end) or Fault("ocpp.not-array", "the text is JSON, but not an array", at)


def _finish(layout: _Layout, end: int) -> Fault | None:
    layout.complete = True
    if not layout.parts:
        return _after(layout, end) or Fault("ocpp.arity", "the array is empty", end)
    return _after(layout, end)


def _after(layout: _Layout, end: int) -> Fault | None:
    """What stands behind the value that a text should consist of."""
    text = layout.text
    at = skip_space(text, end)
    if at == len(text):
        return None
    if text[at] in '[{"' and not too_deep(text) and isinstance(layout.reader.value(text, at), Part):
        return Fault("json.several-values", f"another JSON value follows at character {at + 1}", at)
    return Fault("json.trailing", f"{len(text) - at} characters follow the JSON value", at)


def _kind(layout: _Layout) -> Kind:
    part = layout.parts[0]
    value = part.value
    if isinstance(value, int) and not isinstance(value, bool):
        number = str(value) if 0 <= value <= 9 else ""
    else:
        number = layout.name(part).removesuffix(".0")
    kind = _KIND_OF.get(number, Kind.UNPARSED)
    if kind is Kind.UNPARSED:
        layout.state("ocpp.message-type", "the message type is none that OCPP knows")
    elif not isinstance(value, int):
        form = "string" if isinstance(value, str) else "number with a fraction"
        layout.state("ocpp.message-type-form", f"the message type is written as a {form}")
    return kind


_KIND_OF = {str(int(kind)): kind for kind in ARITY}


def _check_arity(layout: _Layout, kind: Kind) -> None:
    expected = ARITY.get(kind)
    count = len(layout.parts)
    if layout.complete and expected is not None and count != expected:
        seen = f"{count} elements" if count < MAX_PARTS else f"{count} elements or more"
        layout.state("ocpp.arity", f"{seen}; a {kind.name} has {expected}")


def _read_id(layout: _Layout, parts: list[Part]) -> None:
    if not parts:
        if layout.complete:
            layout.state("ocpp.id-empty", "there is no message id")
        return
    part = parts[0]
    if not isinstance(part.value, str):
        layout.state("ocpp.id-type", f"the message id is {describe(part.value)}, not a string")
        if not isinstance(part.value, (dict, list)):
            layout.fields["id"] = "" if part.value is None else layout.name(part)
        return
    layout.fields["id"] = layout.name(part)
    length = len(part.value)
    if length == 0:
        layout.state("ocpp.id-empty", "the message id is empty")
    elif length > MAX_ID_LENGTH:
        layout.state("ocpp.id-length", f"the message id has {length} characters; at most {MAX_ID_LENGTH} are allowed")
    elif part.value == "-1":
        layout.state("ocpp.id-unreadable", "the sender could not read the message id of what it answers")
    _check_oddities(layout, part, "message id")


def _check_oddities(layout: _Layout, part: Part, what: str = "") -> None:
    """State the oddities of an element; those outside the payload cannot have a path into it."""
    for problem in oddities(part, layout.reader, layout.text, well_encoded=layout.well_encoded):
        if what:
            layout.state(problem.code, f"in the {what}: {problem.text}")
        else:
            layout.problems.append(problem)


def describe(value: object) -> str:
    """The JSON type of a value, with its article: "a string", "null"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (str, list, dict, int)):
        return {str: "a string", list: "an array", int: "an integer"}.get(type(value), "an object")
    return "a number"


def _read_call(layout: _Layout, parts: list[Part]) -> None:
    _read_id(layout, parts)
    rest = parts[1:]
    if len(rest) == 1 and isinstance(rest[0].value, dict):
        layout.state("ocpp.action-type", "there is no action")
    elif rest:
        _read_action(layout, rest.pop(0))
    elif layout.complete:
        layout.state("ocpp.action-type", "there is no action")
    _read_payload(layout, rest)


def _read_action(layout: _Layout, part: Part) -> None:
    if isinstance(part.value, str):
        layout.fields["action"] = layout.name(part)
        if not part.value:
            layout.state("ocpp.action-type", "the action is empty")
        _check_oddities(layout, part, "action")
        return
    layout.state("ocpp.action-type", f"the action is {describe(part.value)}, not a string")


def _read_result(layout: _Layout, parts: list[Part]) -> None:
    _read_id(layout, parts)
    rest = parts[1:]
    if len(rest) > 1 and isinstance(rest[0].value, str):
        _read_action(layout, rest.pop(0))
    _read_payload(layout, rest)


def _read_unknown(layout: _Layout, parts: list[Part]) -> None:
    """Of a message type that nobody knows the id and the action are kept, the rest is ignored as OCPP demands."""
    if parts and isinstance(parts[0].value, str):
        layout.fields["id"] = layout.name(parts[0])
    if len(parts) > 1 and isinstance(parts[1].value, str):
        layout.fields["action"] = layout.name(parts[1])


def _read_payload(layout: _Layout, rest: list[Part]) -> None:
    if not rest:
        if layout.complete:
            layout.state("ocpp.payload-type", "there is no payload")
        return
    part = rest[0]
    layout.fields["payload"] = layout.slice(part)
    _check_oddities(layout, part)
    if isinstance(part.value, dict):
        _open_signed(layout, part.value)
    elif part.value is None:
        layout.state("ocpp.null-payload", "the payload is null; an empty object is recommended")
    elif isinstance(part.value, str) and _holds_object(part.value):
        layout.state("ocpp.payload-string", "the payload is a string that holds JSON, not an object")
    else:
        layout.state("ocpp.payload-type", f"the payload is {describe(part.value)}, not an object")


def _holds_object(text: str) -> bool:
    return isinstance(read(without_surrogates(text).encode()), dict)


def _read_error(layout: _Layout, parts: list[Part]) -> None:
    _read_id(layout, parts)
    rest = parts[1:]
    details = next((part for part in rest if isinstance(part.value, dict)), None)
    names = [part for part in rest if part is not details]
    if len(names) > 2 and details is None:
        details = names[2]
        layout.state("ocpp.error-details", f"the error details are {describe(details.value)}, not an object")
    if details is not None:
        layout.fields["error_details"] = layout.slice(details)
        _check_oddities(layout, details, "error details")
    _read_code(layout, names)
    if len(names) > 1:
        _read_description(layout, names[1])


def _read_code(layout: _Layout, names: list[Part]) -> None:
    if names and isinstance(names[0].value, str):
        layout.fields["error_code"] = layout.name(names[0])
        _check_oddities(layout, names[0], "error code")
    elif names:
        layout.state("ocpp.error-code", f"the error code is {describe(names[0].value)}, not a string")
    elif layout.complete:
        layout.state("ocpp.error-code", "there is no error code")


def _read_description(layout: _Layout, part: Part) -> None:
    if not isinstance(part.value, str):
        said = f"the error description is {describe(part.value)}, not a string"
        layout.state("ocpp.error-description", said)
        return
    layout.fields["error_description"] = without_surrogates(part.value)
    length = len(part.value)
    if length > MAX_DESCRIPTION_LENGTH:
        said = f"the error description has {length} characters; at most {MAX_DESCRIPTION_LENGTH} are allowed"
        layout.state("ocpp.error-description", said)
    _check_oddities(layout, part, "error description")


def _open_signed(layout: _Layout, jws: dict[str, object]) -> None:
    """Replace a JSON Web Signature by what it signs: of a `-Signed` action, or by its looks in an answer."""
    action = str(layout.fields.get("action", ""))
    by_name = action.endswith(SIGNED_SUFFIX)
    if not by_name and not (not action and _looks_signed(jws)):
        return
    if by_name:
        layout.fields["action"] = action.removesuffix(SIGNED_SUFFIX)
    layout.fields["signed"] = True
    for name in ("payload", "protected", "signature"):
        if not isinstance(jws.get(name), str):
            layout.state("ocpp.signed", f"the signed message has no {name}", f"/{name}")
    inner = _from_base64url(jws.get("payload"))
    if inner is None:
        if isinstance(jws.get("payload"), str):
            layout.state("ocpp.signed", "the signed payload is not base64url", "/payload")
        return
    layout.fields["payload"] = inner
    _check_inner(layout, inner)


def _check_inner(layout: _Layout, inner: bytes) -> None:
    text = inner.decode("utf-8", "surrogateescape")
    reader = Reader()
    part = None if too_deep(text) else reader.value(text, 0)
    if not isinstance(part, Part) or skip_space(text, part.end) != len(text):
        layout.state("ocpp.signed", "what is signed is not JSON", "/payload")
        return
    layout.problems += oddities(part, reader, text, well_encoded=True)
    if not isinstance(part.value, dict):
        layout.state("ocpp.payload-type", f"the signed payload is {describe(part.value)}, not an object")


def _looks_signed(jws: dict[str, object]) -> bool:
    if not {"payload", "protected", "signature"} <= jws.keys() <= {"payload", "protected", "signature", "header"}:
        return False
    header = _from_base64url(jws["protected"])
    members = NOTHING if header is None else read(header)
    return isinstance(members, dict) and "OCPPMessageTypeId" in members


def _from_base64url(value: object) -> bytes | None:
    """The decoded bytes (RFC 4648 §5, padding optional); None if it is not base64url."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value.encode("ascii") + b"=" * (-len(value) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None


_READERS = {
    Kind.CALL: _read_call,
    Kind.SEND: _read_call,
    Kind.CALLRESULT: _read_result,
    Kind.CALLERROR: _read_error,
    Kind.CALLRESULTERROR: _read_error,
    Kind.UNPARSED: _read_unknown,
}
