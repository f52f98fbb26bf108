"""Rules about the shape of single messages: JSON, the outer array, ids, actions, error codes.

The decoders have stated what is wrong; here it gets its severity, its culprit and an advice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING
from ocppscope.analysis.happenings import objected
from ocppscope.analysis.payload import said
from ocppscope.analysis.registry import V2X, Group, amount, family
from ocppscope.analysis.wording import blamed, element, message_name, quoted, sender, subject
from ocppscope.model import Kind, Version
from ocppscope.ocpp.versions import explain_error

if TYPE_CHECKING:
    from ocppscope.analysis.happenings import Objected
    from ocppscope.analysis.registry import Case

rule = family(Group.RPC)

MAX_CAUSE_BYTES = 1 << 16
"""Bytes of a broken text that are searched for the usual causes."""

_NO_VALUE = re.compile(rb'":[ \t\r\n]*[,}\]]').search
_LENIENT = frozenset({"json.bom", "json.surrogate"})


def _version(what: Objected) -> Version:
    return what.station.version if what.link is None else what.link.version


def _has(what: Objected, code: str) -> bool:
    """Whether the same message has another problem too."""
    return what.message is not None and any(one.code == code for one in what.message.problems)


@rule(
    "rpc-invalid-json",
    on=objected(
        "json.empty", "json.encoding", "json.bom", "json.syntax", "json.truncated", "json.trailing",
        "json.several-values", "json.nan", "json.surrogate", "json.control-character",
    ),
    severity=ERROR,
    title="A message is not valid JSON",
    advice="The sender builds JSON by hand, or in a buffer that is too small: look at the raw text around the "
    "position given. The receiver drops such a message, so what it should have said is lost.",
    spec="OCPP-J 1.6 §4.1.2; RFC 8259",
)  # fmt: skip
def rpc_invalid_json(what: Objected, case: Case) -> None:
    """A text message cannot be read as JSON; or only a lenient reader takes it (byte order mark, lone surrogate)."""
    code, side = what.problem.code, sender(what)
    severity = WARNING if code in _LENIENT else ERROR
    text = f"{subject(side)} sent {message_name(what)} that is not valid JSON: {what.problem.text}{_cause(what)}."
    case.find(text, what, severity=severity, blame=blamed(side), key=(code, side))


def _cause(what: Objected) -> str:
    text = what.message.text[:MAX_CAUSE_BYTES] if what.message is not None else b""
    if b"\0" in text:
        return "; it holds NUL bytes, as of an unterminated buffer"
    if what.problem.code == "json.syntax" and _NO_VALUE(text):
        return "; a key has no value"
    return ""


@rule(
    "rpc-not-array",
    on=objected("ocpp.not-array", "ocpp.arity"),
    severity=ERROR,
    title="A message is JSON, but no OCPP-J message",
    advice="Something else than OCPP-J is spoken on this connection, or the sender forgot the outer array.",
    spec="OCPP-J 1.6 §4.2",
)
def rpc_not_array(what: Objected, case: Case) -> None:
    """A text is valid JSON, but no array, or an empty one."""
    if what.problem.code == "ocpp.not-array" or _is_empty(what):
        side = sender(what)
        text = f"{subject(side)} sent JSON that is no OCPP-J message: {what.problem.text}."
        case.find(text, what, blame=blamed(side), key=side)


def _is_empty(what: Objected) -> bool:
    """Whether `ocpp.arity` was stated of an array without elements: of an unknown message type it is not."""
    return what.message is not None and what.message.kind is Kind.UNPARSED


@rule(
    "rpc-bad-message-type",
    on=objected(
        "ocpp.message-type", "ocpp.message-type-form", "ocpp.message-type-version", "ocpp.action-kind",
    ),
    severity=ERROR,
    title="A message has a wrong message type number",
    advice="Compare the first element with the types of the agreed version: 2 CALL, 3 CALLRESULT, 4 CALLERROR, and "
    "only in 2.1 also 5 CALLRESULTERROR and 6 SEND. A peer ignores other numbers, so nothing will answer.",
    spec="OCPP-J 1.6 §4.1.3; 2.0.1 and 2.1 Part 4 §4.4",
)  # fmt: skip
def rpc_bad_message_type(what: Objected, case: Case) -> None:
    """The first element is no integer, or no message type of the version, or not the one that the action takes."""
    kind = Kind.UNPARSED if what.message is None else what.message.kind
    if kind is Kind.CALLRESULTERROR and what.problem.code == "ocpp.message-type-version":
        return  # `rpc-error-answering-response`
    side = sender(what)
    text = f"{subject(side)} sent {message_name(what)} with a wrong message type: {what.problem.text}."
    case.find(text, what, blame=blamed(side), key=(what.problem.code, side))


@rule(
    "rpc-bad-arity",
    on=objected("ocpp.arity"),
    severity=ERROR,
    title="A message has too few or too many elements",
    advice="CALL and SEND have 4 elements, CALLRESULT 3, the errors 5; empty descriptions and payloads have to be "
    'sent as "" and {}. Strict peers drop the message, which then looks like a missing answer.',
    spec="OCPP-J 1.6 §4.2.1-4.2.3",
)
def rpc_bad_arity(what: Objected, case: Case) -> None:
    """The outer array has not as many elements as its message type demands."""
    if not _is_empty(what):
        side = sender(what)
        text = f"{subject(side)} sent {message_name(what)} of the wrong length: {what.problem.text}."
        case.find(text, what, blame=blamed(side), key=(what.message and what.message.kind, side))


@rule(
    "rpc-message-id-type",
    on=objected("ocpp.id-type"),
    severity=ERROR,
    title="A message id is not a string",
    advice="Put the id in quotes. Strict peers drop such a message or answer it with an empty id.",
    spec="OCPP-J 1.6 §4.1.4",
)
def rpc_message_id_type(what: Objected, case: Case) -> None:
    """A message id is a number, null or anything else but a string."""
    side = sender(what)
    text = f"{subject(side)} sent {message_name(what)} with an odd id: {what.problem.text}."
    case.find(text, what, blame=blamed(side), key=side)


@rule(
    "rpc-message-id-length",
    on=objected("ocpp.id-length", "ocpp.id-empty", "ocpp.id-unreadable"),
    severity=WARNING,
    title="A message id is empty, too long or reserved",
    advice="Use ids of 1 to 36 characters, as a UUID. A CALL with another one may not get its answer, since the peer "
    "cuts the id or cannot tell it from others.",
    spec="OCPP-J 1.6 §4.1.4; 2.0.1 and 2.1 Part 4 §4.2.3",
)
def rpc_message_id_length(what: Objected, case: Case) -> None:
    """A message id has more than 36 characters, is empty, or is "-1", which only CALLERRORs of 2.x may have."""
    is_error = what.message is not None and what.message.kind is Kind.CALLERROR
    reserved = what.problem.code == "ocpp.id-unreadable"
    echoed = what.message is not None and what.message.reply_to is not None
    if echoed or (reserved and is_error and _version(what) in V2X) or _has(what, "ocpp.arity"):
        return
    side = sender(what)
    said_of = 'the id is "-1", which stands for an id that could not be read' if reserved else what.problem.text
    text = f"{subject(side)} sent {message_name(what)} with an id that is not allowed: {said_of}."
    case.find(text, what, blame=blamed(side), key=(what.problem.code, side))


@rule(
    "rpc-null-payload",
    on=objected("ocpp.null-payload"),
    severity=NOTE,
    priority=3,
    title="A payload is null",
    advice="Send {} instead: schema validators refuse null.",
    spec="OCPP-J 1.6 §4.2.1; 2.0.1 Part 4 §4.1.5",
)
def rpc_null_payload(what: Objected, case: Case) -> None:
    """A payload is null instead of an empty object."""
    side = sender(what)
    text = f"{subject(side)} sent {message_name(what)} with null as its payload."
    case.find(text, what, blame=blamed(side), key=side)


@rule(
    "rpc-error-code-invalid",
    on=objected("ocpp.error-code", "ocpp.error-code-spelling", "ocpp.error-code-version"),
    severity=WARNING,
    title="An error code does not exist in this OCPP version",
    advice="1.6 has FormationViolation and OccurenceConstraintViolation (one r), 2.x FormatViolation and "
    "OccurrenceConstraintViolation. A strict peer refuses the error itself and waits on for an answer.",
    spec="OCPP-J 1.6 table 7 and errata 5.1, 5.2; 2.0.1 and 2.1 Part 4 §4.3",
)
def rpc_error_code_invalid(what: Objected, case: Case) -> None:
    """The code of a CALLERROR is unknown, of another version, or spelled as in another version."""
    if what.message is None or _has(what, "ocpp.arity"):
        return
    side, code = sender(what), said(what.message).error_code
    name = code if explain_error(code) else quoted(code)
    text = f"{subject(side)} sent a CALLERROR with the code {name}: {what.problem.text}."
    case.find(text, what, blame=blamed(side), key=(name, side))


@rule(
    "rpc-error-details-type",
    on=objected("ocpp.error-details", "ocpp.error-description"),
    severity=WARNING,
    priority=2,
    title="An error has details or a description that the peer cannot read",
    advice="Send an object as details, {} if there are none, and a short description. Long texts tend to be stack "
    "traces or SQL, which do not belong on the wire.",
    spec="OCPP-J 1.6 §4.2.3; 2.0.1 and 2.1 Part 4 §4.2.3",
    limits={"length": amount(255, "characters", "longest error description of 2.x")},
)
def rpc_error_details_type(what: Objected, case: Case) -> None:
    """The details of a CALLERROR are no object, or its description is no string or, in 2.x, longer than `length`."""
    about_text = what.problem.code == "ocpp.error-description"
    length = len(said(what.message).error_text) if about_text and what.message is not None else 0
    if length and (length <= case["length"] or _version(what) not in V2X):
        return
    side = sender(what)
    text = f"{subject(side)} sent {message_name(what)} that the peer may not read: {what.problem.text}."
    case.find(text, what, blame=blamed(side), key=(what.problem.code, side))


@rule(
    "rpc-wrong-direction",
    on=objected("ocpp.wrong-sender"),
    severity=ERROR,
    title="An action was sent by the side that may not send it",
    advice="Look whether the roles are swapped: a simulator in the wrong mode, or a proxy that sends messages back "
    "to where they came from.",
    spec="1.6 §4, §5; 2.x Part 2",
)
def rpc_wrong_direction(what: Objected, case: Case) -> None:
    """A side sends a CALL whose action only the other side may send."""
    side, name = sender(what), message_name(what)
    case.find(f"{subject(side)} sent {name}, but {what.problem.text}.", what, blame=blamed(side), key=name)


@rule(
    "rpc-unknown-action",
    on=objected("ocpp.unknown-action", "ocpp.action-case", "ocpp.action-type", "ocpp.signed"),
    severity=WARNING,
    title="An action does not exist in this OCPP version",
    advice="Check the spelling and the agreed version. What a vendor adds belongs into DataTransfer; the peer "
    "answers such a CALL with NotImplemented, or not at all.",
    spec="OCPP-J 1.6 §4.2.1; 2.0.1 and 2.1 Part 4 §4.1.6, §7",
)
def rpc_unknown_action(what: Objected, case: Case) -> None:
    """The action of a CALL is unknown in the version, misspelled or no string, or what it signs cannot be opened."""
    if what.message is None or _has(what, "ocpp.arity"):
        return
    side, action = sender(what), what.message.action
    called = f"the action {quoted(action)}" if action else "no usable action"
    text = f"{subject(side)} sent a {what.message.kind.name} with {called}: {what.problem.text}{_hint(action)}."
    case.find(text, what, blame=blamed(side), key=(what.problem.code, action[:50], side))


def _hint(action: str) -> str:
    suffixes = (".req", ".conf", "Request", "Response", "Req")
    suffix = next((one for one in suffixes if action.endswith(one)), "")
    return f"; on the wire it goes without {suffix}" if suffix else ""


@rule(
    "rpc-json-duplicate-key",
    on=objected("json.duplicate-key"),
    severity=WARNING,
    priority=2,
    title="An object has the same key more than once",
    advice="Readers disagree on which value counts: the first, the last or none. Let the sender write each key once.",
    spec="RFC 8259 §4",
)
def rpc_json_duplicate_key(what: Objected, case: Case) -> None:
    """A JSON object has a member name more than once."""
    side, path = sender(what), element(what.problem.path)
    text = f"{subject(side)} sent {message_name(what)} with the same key more than once: {quoted(path or '/')}."
    case.find(text, what, blame=blamed(side), key=(message_name(what), path))
