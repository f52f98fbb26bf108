"""Rules about what payloads hold: against their schema, and where a schema says too little.

The schema check has stated what is wrong; here it gets its severity, its culprit and an advice.
"""

from __future__ import annotations

import re
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING
from ocppscope.analysis.happenings import TransactionStarted, answered, asked, erred, hollow, objected
from ocppscope.analysis.payload import MAX_ITEMS, Payload, said
from ocppscope.analysis.registry import V2X, V16, Group, Mute, amount, family, seconds
from ocppscope.analysis.state.registration import MAX_BOOTS
from ocppscope.analysis.station import Exchange
from ocppscope.analysis.wording import blamed, cut, element, message_name, quoted, sender, subject
from ocppscope.model import Kind
from ocppscope.ocpp.describe import describe

if TYPE_CHECKING:
    from ocppscope.analysis.happenings import Objected
    from ocppscope.analysis.registry import Case

rule = family(Group.SCHEMA)

MAX_DEPTH = 16
"""Tokens of a path that are followed."""
MAX_VALUES = 512
"""Values of a payload that are searched for date-times."""
MAX_SHOWN = 64
"""Characters of a value that a finding keeps as a measured one, and that a date-time has at most."""

_TAGS = frozenset({"idTag", "parentIdTag", "idToken"})
_INT32 = 1 << 31


def _last(what: Objected) -> str:
    """The name of the element that a problem is about, of an array its own."""
    return element(what.problem.path).rpartition("/")[2]


def _place(what: Objected) -> str:
    """Where in the payload, for a sentence; a name that the wire invented is quoted."""
    path = element(what.problem.path)
    plain = path.isascii() and path.replace("/", "").isalnum() and len(path) <= 120
    return f" at {path if plain else quoted(path)}" if path.count("/") > 1 or not (plain or not path) else ""


def _say(what: Objected, case: Case, **more: object) -> None:
    """One element of one kind of message at odds with its schema."""
    side, name = sender(what), message_name(what)
    version = what.station.version if what.link is None else what.link.version
    text = f"{subject(side)} sent {name} that breaks the schema of OCPP {version}: {what.problem.text}{_place(what)}."
    key = name, side, element(what.problem.path), what.problem.code
    case.find(text, what, blame=blamed(side), key=more.pop("key", key), **more)  # type: ignore[arg-type]


def _payload(what: Objected) -> Payload:
    x, message = what.exchange, what.message
    if message is None:
        return Payload({})
    if x is None:
        return said(message).payload
    return x.asked if message.kind in (Kind.CALL, Kind.SEND) else x.answered


def _value(what: Objected) -> object:
    """The value that a problem is about, as far as it can be found; None otherwise."""
    value: object = _payload(what).data
    tokens = what.problem.path.split("/", MAX_DEPTH + 1)[1:]
    if len(tokens) > MAX_DEPTH:
        return None
    for token in tokens:
        if isinstance(value, dict):
            value = value.get(token.replace("~1", "/").replace("~0", "~"))
        elif isinstance(value, list) and token.isdecimal() and len(token) < 8 and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value


def _is_null_optional(what: Objected) -> bool:
    """Whether an element that may be left out is null."""
    message = what.message
    if message is None or what.link is None or not what.problem.path or _value(what) is not None:
        return False
    known = describe(what.link.version, message.action, message.kind is Kind.CALLRESULT)
    facts = known(what.problem.path) if known is not None else None
    return facts is not None and not facts.required


@rule(
    "schema-missing-required",
    on=objected("schema.required"),
    severity=ERROR,
    title="A required element is missing",
    advice="Let the sender fill it in. A strict peer answers with an error, and what the message should have said "
    "is lost.",
    spec="OCPP JSON schemas; 2.0.1 Part 4 §4.1.7",
)
def schema_missing_required(what: Objected, case: Case) -> None:
    """A payload lacks an element that its schema requires."""
    side, name = sender(what), message_name(what)
    _say(what, case, key=(name, side, element(what.problem.path), what.problem.text))


@rule(
    "schema-extra-property",
    on=objected("schema.additional"),
    severity=WARNING,
    title="An element is not in the schema",
    advice="Strict peers refuse the whole message. Use DataTransfer, or customData in 2.x, for what a vendor adds; "
    "look also whether the name is misspelled or of another version.",
    spec="OCPP-J 1.6 errata 3.2; 2.0.1 Part 4 §9",
)
def schema_extra_property(what: Objected, case: Case) -> None:
    """A payload has an element that its schema does not know and does not allow."""
    side, name, extra = sender(what), message_name(what), quoted(_last(what))
    text = f"{subject(side)} sent {name} with the element {extra}: {what.problem.text}."
    case.find(text, what, blame=blamed(side), key=(name, side, element(what.problem.path)))


@rule(
    "schema-wrong-type",
    on=objected("schema.type", "schema.integer-as-float", "ocpp.payload-type", "ocpp.payload-string"),
    severity=ERROR,
    title="An element has the wrong type",
    advice="Mind the version: SampledValue.value is a string in 1.6 and a number in 2.x. A strict peer refuses the "
    "message.",
    spec="1.6 §7.43; 2.0.1 SampledValueType; OCPP JSON schemas",
)
def schema_wrong_type(what: Objected, case: Case) -> None:
    """An element, or the payload itself, has another JSON type than its schema says; a note for 300.0 as integer."""
    code = what.problem.code
    short = what.message is not None and any(one.code == "ocpp.arity" for one in what.message.problems)
    if (code == "ocpp.payload-type" and short) or (code == "schema.type" and _is_null_optional(what)):
        return  # `rpc-bad-arity`, `schema-null-optional`
    _say(what, case, severity=NOTE if code == "schema.integer-as-float" else ERROR)


@rule(
    "schema-enum",
    on=objected("schema.enum"),
    severity=WARNING,
    title="A value is none of those allowed",
    advice="Send a value of the specification, in its exact spelling. What a vendor adds belongs into a free text "
    "element, as info or vendorErrorCode.",
    spec="OCPP JSON schemas; OCPP-J 1.6 errata 2.1, 2.2",
)
def schema_enum(what: Objected, case: Case) -> None:
    """A value is not in the list that its schema allows; Celsius and Celcius are both tolerated."""
    value = _value(what)
    shown = value if isinstance(value, str) else ""
    key = message_name(what), sender(what), element(what.problem.path), shown[:MAX_SHOWN]
    _say(what, case, key=key, measured={"value": cut(shown, MAX_SHOWN)} if shown else None)


@rule(
    "schema-max-length",
    on=objected("schema.max-length", "schema.max-items"),
    severity=WARNING,
    title="A value is longer than the schema allows",
    advice="Shorten it where it is made. Peers cut it or refuse the whole message, which for BootNotification keeps "
    "the station out.",
    spec="1.6 §7.15-7.19; OCPP JSON schemas",
)
def schema_max_length(what: Objected, case: Case) -> None:
    """A string or array is longer than its schema allows; idTags and configuration keys have rules of their own."""
    if _last(what) not in _TAGS and not _is_key(what):
        _say(what, case)


def _is_key(what: Objected) -> bool:
    """Whether it is about a key that GetConfiguration asks for."""
    return what.message is not None and what.message.action == "GetConfiguration" and _last(what) == "key"


@rule(
    "schema-null-optional",
    on=objected("schema.type"),
    severity=WARNING,
    title="An optional element is null",
    advice="Leave the element out. Schemas do not allow null, so that a strict peer refuses the message.",
    spec="2.0.1 Part 4 §4.1.5",
)
def schema_null_optional(what: Objected, case: Case) -> None:
    """An element that may be left out is there with the value null."""
    if _is_null_optional(what):
        _say(what, case)


@rule(
    "schema-empty-array",
    on=(objected("schema.min-items"), hollow("MeterValues")),
    severity=WARNING,
    title="An array is empty that has to hold something",
    advice="Leave out the array, or the message, if there is nothing to report: peers that take the first element "
    "fail here.",
    spec="1.6 §7.33; 2.0.1 Part 4 §4.1.5",
)
def schema_empty_array(what: Objected | Exchange, case: Case) -> None:
    """An array has fewer elements than it must; in 1.6 also a meterValue or sampledValue that holds nothing."""
    if not isinstance(what, Exchange):
        _say(what, case)
        return
    values = what.asked.data.get("meterValue")
    if what.link.version not in V16 or not isinstance(values, list):
        return
    if not values or any(isinstance(one, dict) and one.get("sampledValue") == [] for one in values[:MAX_ITEMS]):
        name = "sampledValue" if values else "meterValue"
        text = f"{subject(what.side)} sent MeterValues with an empty {name}."
        case.find(text, what, blame=blamed(what.side), key=name)


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d([Tt ])\d\d:\d\d:\d\d(?:[.,](\d+))?(Z|z|[+-]\d\d:?(?:\d\d)?)?").fullmatch
_USUAL = len("2026-11-22T10:00:00Z"), len("2026-11-22T10:00:00.000Z")
USUAL_DECIMALS = 3
"""Decimals of a second that every peer reads."""


@rule(
    "schema-datetime",
    on=(
        objected("schema.datetime", "schema.datetime-no-zone"),
        asked("StatusNotification"),
        answered("BootNotification", "Heartbeat"),
    ),
    severity=ERROR,
    title="A date-time cannot be read safely",
    advice='Send UTC as "2026-11-22T10:00:00Z", with at most three decimals: every peer reads that. Without its zone '
    "a time is taken for local time or refused.",
    spec="1.6 §3.15; 2.0.1 Part 2 §2.1.4; RFC 3339",
    limits={"decimals": amount(3, "digits", "most decimals of a second in 2.x")},
)
def schema_datetime(what: Objected | Exchange, case: Case) -> None:
    """A date-time is not written as RFC 3339 says.

    A warning if only its zone is missing; a note for more than `decimals` in 2.x, and for t or z in lower case, as
    StatusNotifications and the CSMS's clock show it.
    """
    if isinstance(what, Exchange):
        _odd_form(what, case)
    elif what.problem.code == "schema.datetime":
        _say(what, case)
    else:
        _say(what, case, severity=WARNING, key=("no zone", sender(what)))


def _odd_form(x: Exchange, case: Case) -> None:
    is_answer = x.done_ns is not None
    text = x.answered.text("currentTime") if is_answer else x.asked.text("timestamp")
    if len(text) in _USUAL and text[10] == "T" and text[-1] == "Z":
        return
    found = _DATE_TIME(text) if len(text) < MAX_SHOWN else None
    if found is None or found[3] is None:
        return
    decimals, side = len(found[2] or ""), 1 - x.side if is_answer else x.side
    long = decimals > case["decimals"] and x.link.version in V2X
    lower = found[1] == "t" or found[3] == "z"
    if long or lower:
        how = f"{decimals} decimals of a second" if long else "t or z in lower case"
        name = f"answer to {x.action}" if is_answer else x.action
        case.find(
            f"{subject(side)} wrote a date-time with {how} in its {name}.", x, severity=NOTE, blame=blamed(side),
            key=("form", side), measured={"value": text},
        )  # fmt: skip


@rule(
    "datetime-peer-cannot-parse",
    on=(erred(), asked("BootNotification")),
    severity=NOTE,
    priority=2,
    title="The station may not read the CSMS's date-times",
    advice='Let the CSMS send "2026-11-22T10:00:00Z", without decimals and offset, and see whether it helps.',
    spec="1.6 §3.15",
    limits={
        "soon": seconds(60, "time after an accepted boot in which another one is odd"),
        "boots": amount(3, "boots", "such boots in a row", MAX_BOOTS),
    },
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def datetime_peer_cannot_parse(x: Exchange, case: Case) -> None:
    """A station refuses a flawless CALL with a legal but unusual date-time in it, or boots again and again after one.

    Unusual are more than three decimals of a second, and offsets instead of Z.
    """
    if x.error:
        if x.side == 1 and not x.problems and x.error in _FORMAL and (text := _unusual(x.asked)):
            refused = f"The station refused {x.action} with {x.error}; all that is odd in it is a date-time."
            case.find(refused, x, key=x.action, measured={"value": text})
        return
    if x.done_ns is not None:
        return
    boots = list(x.station.registration.boots)[-int(case["boots"]) :]
    values = [_unusual(boot.exchange.answered) for boot in boots if boot.status == "Accepted" and not boot.triggered]
    times = [*(boot.asked_ns for boot in boots), x.asked_ns]
    soon = all(after - before < case["soon"] for before, after in pairwise(times))
    if len(values) >= case["boots"] and all(values) and soon:
        text = f"The station booted {len(times)} times within {(times[-1] - times[0]) / 1e9:.0f} s; each time it was"
        case.find(f"{text} accepted with an unusual date-time.", x, key="boots", measured={"value": values[-1]})


_FORMAL = frozenset(
    {"FormationViolation", "FormatViolation", "PropertyConstraintViolation", "TypeConstraintViolation"}
)


def _unusual(payload: Payload) -> str:
    """The first date-time of a payload that has more decimals than usual or an offset, "" if there is none."""
    rest: list[object] = [payload.data]
    for _ in range(MAX_VALUES):
        if not rest:
            break
        value = rest.pop()
        if isinstance(value, dict | list):
            members = value.values() if isinstance(value, dict) else value
            rest += islice(members, max(0, MAX_VALUES - len(rest)))
        elif isinstance(value, str) and len(value) < MAX_SHOWN:
            found = _DATE_TIME(value)
            if found is not None and (len(found[2] or "") > USUAL_DECIMALS or found[3] not in (None, "Z", "z")):
                return value
    return ""


@rule(
    "decimal-precision",
    on=objected("schema.multiple-of"),
    severity=NOTE,
    priority=3,
    title="A number has more decimals than allowed",
    advice="Round it. Limits of charging profiles have one decimal in 1.6.",
    spec="1.6 §7.13-7.14",
)
def decimal_precision(what: Objected, case: Case) -> None:
    """A number of 1.6 has more than the one decimal that its schema allows."""
    _say(what, case)


@rule(
    "integer-range",
    on=(
        objected("schema.minimum", "schema.maximum"),
        asked(
            "StartTransaction", "StopTransaction", "StatusNotification", "RemoteStartTransaction",
            "RequestStartTransaction", "RemoteStopTransaction", "ReserveNow",
        ),
        answered("StartTransaction", "BootNotification"),
    ),
    severity=WARNING,
    priority=2,
    title="A number is out of range",
    advice="OCPP integers have 32 bits with sign. A number beyond tells of an overflow or of memory that was never "
    "set; peers store something else, or nothing.",
    spec="2.0.1 Part 2 §2.1.4; OCPP JSON schemas",
)  # fmt: skip
def integer_range(what: Objected | Exchange, case: Case) -> None:
    """An integer of a message does not fit into 32 bits, or a number is outside the limits of its schema."""
    if not isinstance(what, Exchange):
        _say(what, case)
        return
    is_answer = what.done_ns is not None
    for name, value in (what.answered if is_answer else what.asked).data.items():
        if type(value) is int and not -_INT32 <= value < _INT32:
            side = 1 - what.side if is_answer else what.side
            size = value.bit_length() + 1
            message = f"answer to {what.action}" if is_answer else what.action
            text = f"{subject(side)} sent a {quoted(name)} of {size} bits in its {message}; 32 are allowed."
            case.find(text, what, blame=blamed(side), key=(message, name[:MAX_SHOWN]))


# --- values that schemas do not look at -----------------------------------------------------------------------------


@rule(
    "idtag-length",
    on=objected("schema.max-length"),
    severity=ERROR,
    title="An idTag or idToken is too long",
    advice="Cut it where it is made: in the reader's driver, or in the CSMS that asks for a remote start. A "
    "transaction whose stop is refused for it can never be closed.",
    spec="1.6 §7.28; 2.0.1 IdTokenType",
)
def idtag_length(what: Objected, case: Case) -> None:
    """An idTag has more than 20 characters in 1.6; an idToken more than 36 in 2.0.1, more than 255 in 2.1."""
    if _last(what) in _TAGS:
        _say(what, case)


@rule(
    "idtag-garbage",
    on=(
        asked(
            "Authorize", "StartTransaction", "StopTransaction", "RemoteStartTransaction", "RequestStartTransaction",
            "ReserveNow",
        ),
        TransactionStarted,
    ),
    severity=WARNING,
    title="An idTag or idToken holds what no tag has",
    advice="Look for a buffer that is not terminated, or a reader's answer that is taken as it comes. The CSMS will "
    "not find such a tag among those it knows.",
    spec="1.6 §3.9",
)  # fmt: skip
def idtag_garbage(what: Exchange | TransactionStarted, case: Case) -> None:
    """A tag has control characters, blanks around it, or characters beyond ASCII."""
    x = what if isinstance(what, Exchange) else what.exchange
    if x is not what and x.action == "StartTransaction":
        return  # told of already
    tag = x.asked.text("idTag") or x.asked.table("idToken").text("idToken")
    if tag.isascii() and tag.isprintable() and not tag.startswith(" ") and not tag.endswith(" "):
        return
    clean = "".join(one for one in tag if one.isascii() and one.isprintable()).strip()
    asked_for = [one.asked.text("idTag") or one.asked.table("idToken").text("idToken") for one in _remote_starts(x)]
    odd = "control characters" if any(ord(one) < 32 or ord(one) == 127 for one in tag) else "blanks around it"
    odd = odd if tag.isascii() else "characters beyond ASCII"
    also = "; without them it is the tag of a remote start" if clean and clean in asked_for else ""
    text = f"{subject(x.side)} sent {x.action} with a tag of {len(tag)} characters that has {odd}{also}."
    case.find(text, x, blame=blamed(x.side), key=(x.action, odd), measured={"tag": quoted(tag)})


def _remote_starts(x: Exchange) -> list[Exchange]:
    return [one for one in x.station.transactions.remote_starts if one is not x]


@rule(
    "config-key-length",
    on=asked("GetConfiguration"),
    severity=WARNING,
    priority=2,
    versions=V16,
    title="A configuration key that is asked for can be none",
    advice="Ask for each key as an element of its own. Stations answer a list in one string with unknownKey, or with "
    "an error.",
    spec="1.6 §6.23, §7.7",
    limits={"length": amount(50, "characters", "longest key")},
)
def config_key_length(x: Exchange, case: Case) -> None:
    """GetConfiguration asks for a key that is too long, or for several keys in one string."""
    for key in x.asked.texts("key"):
        several, size = key.count(",") + 1, len(key)
        if several > 1 or size > case["length"]:
            what = f"{several} keys in one string" if several > 1 else f"a key of {size} characters"
            text = f"{subject(x.side)} asked for {what}."
            case.find(text, x, blame=blamed(x.side), key=several > 1, measured={"key": cut(key, MAX_SHOWN)})
