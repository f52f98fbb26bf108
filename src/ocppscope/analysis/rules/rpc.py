"""Rules about the exchange of CALLs and their answers."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import (
    Misanswered,
    Unpaired,
    crossing,
    erred,
    objected,
    opening,
    overlapping,
    repeated,
    slow,
    unanswered,
)
from ocppscope.analysis.payload import said
from ocppscope.analysis.registry import V2X, V16, Group, Mute, amount, family, seconds
from ocppscope.analysis.state.rpc import OPENING
from ocppscope.analysis.state.transactions import id_of
from ocppscope.analysis.wording import blamed, cut, quoted, span, subject, who
from ocppscope.model import Kind, Outcome, Side
from ocppscope.ocpp.versions import COVERED, explain_error

if TYPE_CHECKING:
    from ocppscope.analysis.finding import Ref
    from ocppscope.analysis.happenings import Objected
    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange

rule = family(Group.RPC)

MAX_WAITING = 16
"""Waiting CALLs that a new one is compared with, the latest."""
MAX_OPENING_IDS = 64
"""Ids from the beginnings of a station's connections that are remembered, the latest."""
MAX_ACTIONS = 64
"""Actions of a station whose refusals are counted."""
MAX_SHOWN = 200
"""Characters of an error description that a finding keeps."""

_VITAL = frozenset(
    {"BootNotification", "Authorize", "StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"}
)
_UNABLE = frozenset({"NotImplemented", "NotSupported"})
_FORMAL = frozenset(
    {"FormationViolation", "FormatViolation", "PropertyConstraintViolation", "TypeConstraintViolation"}
    | {"OccurenceConstraintViolation", "OccurrenceConstraintViolation", "ProtocolError"}
)
_SECRET = frozenset({"ChangeConfiguration", "SetVariables", "SetNetworkProfile", "UpdateFirmware", "GetLog"})
"""Actions whose errors may repeat a password or key."""


def _name(action: str) -> str:
    """An action for a sentence."""
    return action if action.isalnum() and action.isascii() and len(action) <= 40 else quoted(action)


def _code(code: str) -> str:
    """An error code for a sentence."""
    meaning = explain_error(code)
    return f"{code} ({meaning})" if meaning else quoted(code)


# --- ids ------------------------------------------------------------------------------------------------------------


@rule(
    "rpc-message-id-reused",
    on=(repeated(), opening()),
    severity=WARNING,
    title="A message id was used again",
    advice="Give every CALL an id of its own, best a UUID. An answer to the earlier CALL can be taken for one to the "
    "later, and a peer may answer from its memory.",
    spec="OCPP-J 1.6 §4.1.4 and errata 2025-04; 2.0.1 Part 4 §4.1.4",
)
def rpc_message_id_reused(x: Exchange, case: Case) -> None:
    """A CALL has the id of an earlier one of the same side: on the connection, and in 2.x of the station at all.

    A repetition that has no answer yet is a note, other content with the same id an error.
    """
    if x.outcome is Outcome.PENDING or x.kind is Kind.SEND:
        _reused_later(x, case)
        return
    same = x.outcome is Outcome.RESENT
    waits = same and any(one.id == x.id and one is not x for one in x.link.outstanding[x.side].values())
    severity = NOTE if waits or _restarted(x) else WARNING if same else ERROR
    how = "other content" if not same else "the same content, although the first was answered"
    how = "the same content, before the first was answered" if waits else how
    text = f"{subject(x.side)} sent {_name(x.action)} with the id of an earlier CALL and {how}."
    case.find(text, x, severity=severity, blame=blamed(x.side), key=(x.outcome, waits, x.side))


def _reused_later(x: Exchange, case: Case) -> None:
    """In 2.x ids are unique over all connections; counters that begin anew show in the first CALLs of each."""
    if x.link.version not in V2X:
        return
    known: dict[tuple[int, int], tuple[int, str, str, Ref]] = case.memory(x.station)
    now = x.link.number, x.action[:64], x.asked.text("timestamp")[:64], x.ref
    name = x.side, hash(x.id)  # of an id that is as long as its message, too
    earlier = known.pop(name, now)
    retried = earlier[2] != "" and earlier[1:3] == now[1:3]
    if earlier[0] != now[0] and not retried:
        text = f"{subject(x.side)} sent {_name(x.action)} with an id that it had used on an earlier connection."
        case.find(text, x, blame=blamed(x.side), key=("later", x.side), refs=(earlier[3], x.ref))
    known[name] = now
    if len(known) > MAX_OPENING_IDS:
        del known[next(iter(known))]


def _restarted(x: Exchange) -> bool:
    """Whether a 1.6 station booted in the middle of this connection, so that its counter may have begun anew."""
    boots = x.station.registration.boots
    first = x.link.first_message_ns
    return (
        x.link.version in V16 and x.side is Side.STATION and bool(boots) and boots[-1].link is x.link
        and first is not None and boots[-1].asked_ns > first
    )  # fmt: skip


def _waiting_before(x: Exchange) -> list[Exchange]:
    """The latest CALLs of the same side that wait, the last one first."""
    waiting = x.link.outstanding[x.side]
    return [one for one in islice(reversed(waiting.values()), MAX_WAITING) if one is not x]


# --- answers that fit nothing ---------------------------------------------------------------------------------------


@rule(
    "rpc-orphan-response",
    on=Unpaired,
    severity=WARNING,
    title="An answer fits no CALL",
    advice="Compare its id with those of the CALLs before it: the sender changed the id, answers on another "
    "connection than it was asked on, or answers a second time after a long while.",
    spec="OCPP-J 1.6 §4.1.4",
    limits={"start": seconds(60, "time after a capture began in the middle of a connection that is left out")},
)
def rpc_orphan_response(what: Unpaired, case: Case) -> None:
    """A CALLRESULT or CALLERROR has an id of no CALL of the other side."""
    message, link = what.message, what.link
    if message.outcome is not Outcome.ORPHAN or message.id in ("", "-1") or link is None:
        return
    if link.connection.handshake is None and what.time_ns - link.seen_ns < case["start"]:
        return
    side = message.side
    earlier = _earlier_call(what)
    if earlier is None:
        text = f"{subject(side)} sent a {message.kind.name} whose id no CALL of {who(1 - side)} has."
        case.find(text, what, blame=blamed(side), key=side)
        return
    text = f"{subject(side)} answered {_name(earlier.action)} on a later connection than the one it was asked on."
    case.find(text, what, blame=blamed(side), key=("late", side), refs=(earlier.ref, what.ref))


def _earlier_call(what: Unpaired) -> Exchange | None:
    """The CALL that an answer belongs to, if it was sent on an earlier connection of the station."""
    for link in islice(reversed(what.station.links), 4):
        for one in reversed(link.close_pending):
            if one.id == what.message.id and one.side != what.message.side:
                return one
    return None


@rule(
    "rpc-duplicate-response",
    on=Unpaired,
    severity=WARNING,
    title="A CALL was answered twice",
    advice="Look whether the CALL was sent twice: then the peer carried it out twice. If not, two parts of it "
    "answer, as a library and an application.",
    spec="OCPP-J 1.6 §4.1.4",
)
def rpc_duplicate_response(what: Unpaired, case: Case) -> None:
    """A second answer comes to a CALL that has one."""
    message = what.message
    if message.outcome is Outcome.DUPLICATE:
        text = f"{subject(message.side)} answered the same {_name(message.action)} a second time."
        case.find(text, what, blame=blamed(message.side), key=(message.action, message.side))


@rule(
    "rpc-error-answering-response",
    on=(Misanswered, objected("ocpp.message-type-version")),
    severity=WARNING,
    priority=2,
    title="Something was answered that must not be answered",
    advice="Only a CALL gets an answer. Log a faulty answer where it arrives; only 2.1 has a message for it, "
    "CALLRESULTERROR.",
    spec="2.1 Part 4 §4.2.3-4.2.5",
)
def rpc_error_answering_response(what: Misanswered | Objected, case: Case) -> None:
    """A CALLERROR answers an answer, a CALLRESULTERROR is sent below 2.1, or a SEND is answered."""
    message = what.message
    if message is None:
        return
    side = message.side
    if not isinstance(what, Misanswered):
        if message.kind is Kind.CALLRESULTERROR:
            text = f"{subject(side)} sent a CALLRESULTERROR: {what.problem.text}."
            case.find(text, what, blame=blamed(side), key=("kind", side))
        return
    is_send = what.exchange.kind is Kind.SEND
    target = "the SEND" if is_send else "the answer to its own"
    text = f"{subject(side)} answered {target} {_name(what.exchange.action)} with a {message.kind.name}."
    case.find(text, what, blame=blamed(side), key=(is_send, side))


# --- time -----------------------------------------------------------------------------------------------------------


@rule(
    "rpc-call-timeout",
    on=unanswered(),
    severity=ERROR,
    title="A CALL was never answered",
    advice="Look at the log of the side that should have answered, at the time of the CALL: a handler that failed, "
    "or an action that is dropped in silence instead of answered with NotImplemented.",
    spec="2.1 Part 2 §3.2; OCPP-J 1.6 §4.1.1",
    limits={
        "wait": seconds(30, "time that an answer may take"),
        "authorize": seconds(10, "the same for Authorize, for which a driver waits"),
    },
)
def rpc_call_timeout(x: Exchange, case: Case) -> None:
    """A CALL has no answer within `wait`; an error if the other side went on talking on the same connection."""
    age = (x.done_ns or 0) - x.asked_ns
    limit = case["authorize"] if x.action == "Authorize" else case["wait"]
    other = 1 - x.side
    heard = x.link.last_heard_ns[other]
    if age <= limit or (heard is None and x.link.connection.handshake is None):
        return  # in time, or only one direction was captured
    talked = heard is not None and heard >= x.asked_ns + limit
    then = "went on talking" if talked else "said nothing more" if (heard or 0) <= x.asked_ns else "then fell silent"
    text = f"{subject(other)} did not answer {_name(x.action)} in {span(age)}; on this connection it {then}."
    case.find(text, x, severity=ERROR if talked else WARNING, blame=blamed(other), key=(x.action, x.side))


@rule(
    "rpc-late-response",
    on=slow(),
    severity=WARNING,
    title="An answer came after the time-out",
    advice="The caller has probably given up and may send again. Find out what the answering side waits for, or give "
    "the caller more time.",
    spec="OCPP-J 1.6 §4.1.1; 2.1 Part 2 §3.2",
    limits={"wait": seconds(30, "time that an answer may take")},
    mute=Mute.GAP | Mute.REPLAY,
)
def rpc_late_response(x: Exchange, case: Case) -> None:
    """An answer takes longer than `wait`."""
    latency, other = x.latency_ns or 0, 1 - x.side
    if latency > case["wait"]:
        text = f"{subject(other)} answered {_name(x.action)} only after {span(latency)}."
        case.find(text, x, blame=blamed(other), key=(x.action, x.side))


@rule(
    "rpc-slow-response",
    on=slow(),
    severity=NOTE,
    title="An answer came slowly",
    advice="Look at what the side that answers waits for: a database, a lock, a slow controller.",
    limits={
        "note": seconds(5, "latency that is noted; not below 1 s"),
        "warn": seconds(10, "latency that is warned of"),
        "late": seconds(30, "latency from which it is a matter of rpc-late-response"),
    },
    mute=Mute.GAP | Mute.REPLAY,
)
def rpc_slow_response(x: Exchange, case: Case) -> None:
    """An answer takes longer than `note`; a warning beyond `warn`."""
    latency, other = x.latency_ns or 0, 1 - x.side
    if case["note"] < latency <= case["late"]:
        text = f"{subject(other)} took {span(latency)} to answer {_name(x.action)}."
        severity = WARNING if latency > case["warn"] else NOTE
        case.find(text, x, severity=severity, blame=blamed(other), key=(x.action, x.side))


@rule(
    "rpc-concurrent-calls",
    on=overlapping(),
    severity=WARNING,
    title="A CALL was sent before the one before it was answered",
    advice="Let the sender queue its CALLs and wait for each answer. Small peers lose one of two CALLs, which shows "
    "as a missing answer.",
    spec="OCPP-J 1.6 §4.1.1 (should not); 2.0.1 and 2.1 Part 4 §4.1.1 (shall not)",
    limits={
        "patience": seconds(5, "age from which the sender may have given up on a CALL: noted only"),
        "young": seconds(30, "age from which it certainly has"),
    },
)
def rpc_concurrent_calls(x: Exchange, case: Case) -> None:
    """A side sends a CALL while an earlier one of its own, younger than `young`, waits on the same connection.

    An error in 2.x, which forbids it; a note from `patience` on. SENDs, and CALLs of the two sides that cross, are
    legal.
    """
    if x.link.connection.handshake is None and x.ordinal < OPENING:
        return  # where a connection is found in its middle the sides are not told in order at first
    waiting = next((one for one in _waiting_before(x) if one.id != x.id), None)
    age = 0 if waiting is None else x.asked_ns - waiting.asked_ns
    if waiting is not None and age < case["young"]:
        severity = NOTE if age >= case["patience"] else ERROR if x.link.version in V2X else WARNING
        before = f"its {_name(waiting.action)}, {span(age)} old,"
        text = f"{subject(x.side)} sent {_name(x.action)} while {before} was not answered."
        case.find(text, x, severity=severity, blame=blamed(x.side), key=x.side, refs=(waiting.ref, x.ref))


@rule(
    "rpc-retry-too-fast",
    on=overlapping(),
    severity=WARNING,
    priority=2,
    title="A CALL was repeated before its answer could be expected",
    advice="Let the sender wait for its message time-out before it tries again, and longer after each attempt. "
    "Otherwise a slow peer gets ever more work.",
    spec="1.6 §3.7.1; 2.0.1 E13.FR.03",
    limits={"wait": seconds(10, "least time between a CALL and its repetition")},
    mute=Mute.GAP | Mute.REPLAY,
)
def rpc_retry_too_fast(x: Exchange, case: Case) -> None:
    """A CALL with the same payload as one that waits is sent within `wait`, with the same id or another."""
    if not x.asked:
        return  # two alike may well be meant
    before = next((one for one in _waiting_before(x) if one.action == x.action and one.asked == x.asked), None)
    if before is not None and x.asked_ns - before.asked_ns < case["wait"]:
        age = span(x.asked_ns - before.asked_ns)
        text = f"{subject(x.side)} repeated {_name(x.action)} after {age}, before it was answered."
        case.find(text, x, blame=blamed(x.side), key=(x.action, x.side), refs=(before.ref, x.ref))


# --- refusals -------------------------------------------------------------------------------------------------------


@rule(
    "rpc-callerror",
    on=(erred(), Unpaired),
    severity=WARNING,
    title="A CALL was answered with an error",
    advice="Read the code and the description. If the CALL has findings of its own, mend those first; if it has "
    "none, the log of the side that refused it says more.",
    spec="OCPP-J 1.6 §4.2.3; 2.0.1 and 2.1 Part 4 §4.2.3",
)
def rpc_callerror(x: Exchange | Unpaired, case: Case) -> None:
    """A CALLERROR comes: an error for the CALLs that charging depends on, a note for what a peer may not know."""
    if isinstance(x, Unpaired):
        _error_alone(x, case)
        return
    severity = ERROR if x.action in _VITAL else NOTE if x.error in _UNABLE else WARNING
    text = f"{subject(1 - x.side)} refused {_name(x.action)} with {_code(x.error)}"
    if x.problems or x.concurrent:
        text += "; the CALL does break the rules" if x.problems else "; another CALL was waiting when it was sent"
    elif x.error in _FORMAL and x.link.version in COVERED:
        text += "; our check finds nothing wrong with the CALL"
    described = x.error_text and x.action not in _SECRET
    case.find(
        f"{text}.", x, severity=severity, blame=_at_fault(x), key=(x.action, x.error[:40], x.side),
        refs=(x.ref,) if x.problems or x.concurrent else x.refs,  # so that it follows what is wrong with the CALL
        measured={"description": cut(x.error_text, MAX_SHOWN)} if described else None,
    )  # fmt: skip


def _at_fault(x: Exchange) -> Blame:
    if x.problems or x.concurrent:
        return blamed(x.side)
    return Blame.UNKNOWN if x.error in _UNABLE or x.error == "SecurityError" else blamed(1 - x.side)


def _error_alone(what: Unpaired, case: Case) -> None:
    """A CALLRESULTERROR, or a CALLERROR to a message whose id could not be read."""
    message = what.message
    if message.kind is Kind.CALLRESULTERROR and message.outcome is Outcome.ERROR:
        code = _code(said(message).error_code)
        text = f"{subject(message.side)} refused the answer to its {_name(message.action)} with {code}."
        case.find(text, what, key=("result", message.action, message.side))
    elif message.kind is Kind.CALLERROR and message.id == "-1":
        code = _code(said(message).error_code)
        text = f"{subject(message.side)} refused a message of {who(1 - message.side)} without its id, with {code}."
        case.find(text, what, key=("unreadable", code, message.side))


@rule(
    "rpc-not-implemented",
    on=erred(),
    severity=NOTE,
    title="A peer does not know or support an action",
    advice="The sender should take it as an answer and stop asking. Compare the feature profiles of both sides.",
    spec="OCPP-J 1.6 table 7; 2.0.1 Part 4 §4.3",
    limits={"calls": amount(5, "CALLs", "refused CALLs with the same action from which it is warned of")},
)
def rpc_not_implemented(x: Exchange, case: Case) -> None:
    """A CALL is answered with NotImplemented or NotSupported; a warning if it is tried again and again."""
    if x.error not in _UNABLE:
        return
    counts = case.memory(x.station)
    key = x.action[:50], int(x.side)
    count = counts.get(key, 0) + 1
    if key in counts or len(counts) < MAX_ACTIONS:
        counts[key] = count
    else:
        case.let_go()
    often = count >= case["calls"]
    text = f"{subject(1 - x.side)} answered {_name(x.action)} with {x.error}"
    again = f", {count} times by now; {who(x.side)} goes on asking" if often else ""
    blame = blamed(x.side) if often else Blame.UNKNOWN
    case.find(f"{text}{again}.", x, severity=WARNING if often else NOTE, blame=blame, key=key)


# --- order ----------------------------------------------------------------------------------------------------------


@rule(
    "rpc-result-before-side-effects",
    on=crossing(),
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="The station acted on a command before it answered it",
    advice="Let the station answer first. A CSMS that waits for the answer may not know what the message belongs to.",
    spec="1.6 §5.17; 2.0.1 FR.05",
)
def rpc_result_before_side_effects(x: Exchange, case: Case) -> None:
    """What a remote start or stop, a trigger or a reset causes is sent while that CALL has no answer."""
    if x.side is not Side.STATION:
        return
    waiting = islice(reversed(x.link.outstanding[Side.CSMS].values()), MAX_WAITING)
    cause = next((one for one in waiting if _causes(one, x)), None)
    if cause is not None:
        text = f"The station sent {_name(x.action)} before it answered the {cause.action} that asked for it."
        case.find(text, x, key=(cause.action, x.action), refs=(cause.ref, x.ref))


def _causes(command: Exchange, x: Exchange) -> bool:
    told, info = command.asked, x.asked.table("transactionInfo")
    match command.action:
        case "TriggerMessage" | "ExtendedTriggerMessage":
            return told.text("requestedMessage") == x.action
        case "RemoteStartTransaction":
            tag = told.text("idTag")
            return x.action in ("Authorize", "StartTransaction") and tag != "" and x.asked.text("idTag") == tag
        case "RequestStartTransaction":
            return "remoteStartId" in info and info.whole("remoteStartId") == told.whole("remoteStartId")
        case "RemoteStopTransaction":
            id_ = id_of(told.data.get("transactionId"))
            return x.action == "StopTransaction" and id_ != "" and id_of(x.asked.data.get("transactionId")) == id_
        case "RequestStopTransaction":
            ended = x.asked.text("eventType") == "Ended"
            return ended and info.text("transactionId") == told.text("transactionId")
        case "Reset":
            reason = x.asked.text("reason") if x.action == "StopTransaction" else info.text("stoppedReason")
            return reason in ("SoftReset", "HardReset", "ImmediateReset")
    return False
