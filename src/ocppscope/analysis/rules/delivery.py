"""Rules about how the messages of transactions get through: refused, tried again, late, out of order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame, Ref
from ocppscope.analysis.happenings import Closed, LeftOpen, Overtaken, erred, tried, unanswered, untimely
from ocppscope.analysis.registry import Group, amount, family, seconds
from ocppscope.analysis.wording import named, span
from ocppscope.model import Outcome, Side

if TYPE_CHECKING:
    from ocppscope.analysis.happenings import Happening
    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange

rule = family(Group.TRANSACTION)

MESSAGES = ("StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent")
MAX_REFS = 10
"""Messages that a rule remembers to show them later."""


def blame_of(x: Exchange) -> Blame:
    """Who is to blame that a message was not taken: the station if it is not what OCPP allows."""
    return Blame.STATION if x.problems else Blame.CSMS


def failure(x: Exchange) -> str:
    """How a message failed, "" if it did not: CALLERROR, or no answer in time."""
    if x.error:
        return f"CALLERROR {named(x.error)}"
    return "no answer" if x.outcome is Outcome.TIMEOUT else ""


@rule(
    "tx-message-rejected",
    on=(erred(*MESSAGES), unanswered(*MESSAGES)),
    severity=ERROR,
    title="Messages about transactions are not taken",
    advice="The station's queue stops behind such a message, or it is dropped and with it what was to be billed. The "
    "CSMS has to take it even if its content looks wrong; see its log for what it did not like.",
    spec="1.6 §3.7.1, §4.8, §4.10; 2.0.1 E13",
    limits={"count": amount(2, "messages", "of one action that fail before it is said")},
)
def tx_message_rejected(x: Exchange, case: Case) -> None:
    """StartTransaction, StopTransaction, MeterValues or TransactionEvent get CALLERROR or nothing, `count` times.

    No answer counts if the CSMS said something else later, or if the same message had none twice.
    """
    how = "" if x.answer_ordinal >= 0 and not x.error else failure(x)
    if not how:
        return
    failed = case.memory(x.station).setdefault(x.action, {"count": 0, "refs": (), "doubt": None})
    doubt, failed["doubt"] = failed["doubt"], None
    if x.answer_ordinal < 0 and (x.link.last_heard_ns[Side.CSMS] or 0) < x.asked_ns:
        if doubt is None or doubt.asked != x.asked:
            failed["doubt"] = x
            return
        failed["count"] += 1
        failed["refs"] = (*failed["refs"], *doubt.refs)
    failed["count"] += 1
    failed["refs"] = (*failed["refs"], *x.refs)[:MAX_REFS]
    if failed["count"] >= case["count"]:
        text = f"{x.action} was not taken, and not for the first time: it got {how}."
        case.find(text, x, blame=blame_of(x), key=x.action, refs=(*failed["refs"], *x.refs))


@rule(
    "tx-retry-exhausted",
    on=tried(*MESSAGES),
    severity=ERROR,
    priority=2,
    title="The station gave up a message about a transaction",
    advice="What it said is lost for billing. Find out why the CSMS did not take it, and raise "
    "TransactionMessageAttempts and TransactionMessageRetryInterval for the next time.",
    spec="1.6 §3.7.1; 2.0.1 E13.FR.04",
    limits={"attempts": amount(3, "times", "that a message is sent; TransactionMessageAttempts, if that is known")},
)
def tx_retry_exhausted(x: Exchange, case: Case) -> None:
    """A message about a transaction fails `attempts` times, and the next one that is answered is another."""
    tried = case.memory(x.station)
    failed = x.answer_ordinal < 0 or bool(x.error)
    if (failed and not failure(x)) or not (failed or tried):
        return
    last: Exchange | None = tried.get("last")
    same = last is not None and last.action == x.action and last.asked == x.asked
    if same and failed:
        tried["count"] += 1
        tried["last"] = x
        tried["refs"] = (*tried["refs"], *x.refs)[:MAX_REFS]
        return
    if last is not None and not same and tried["count"] >= _attempts(x, case) and last.asked_ns <= x.asked_ns:
        case.find(
            f"{last.action} failed {tried['count']} times, the last time with {failure(last)}. Then the station went "
            f"on with {x.action}.", x, blame=blame_of(last), key=last.action, refs=(*tried["refs"], x.ref),
        )  # fmt: skip
    tried.clear()
    if failed:
        tried.update(last=x, count=1, refs=x.refs)


def _attempts(x: Exchange, case: Case) -> float:
    known = x.station.configuration.number("TransactionMessageAttempts", "OCPPCommCtrlr.MessageAttempts")
    return known if known is not None and known >= 1 else float(case["attempts"])


@rule(
    "tx-offline-replay",
    on=(untimely(*MESSAGES), Closed, LeftOpen),
    severity=NOTE,
    title="The station delivered messages from a time without connection",
    advice="No fault in itself: such messages are old, and are left out of the figures on latency and clocks. Look "
    "why the connection was gone.",
    spec="1.6 §3.7; 2.0.1 E04, E12",
    limits={"age": seconds(60, "age of the timestamp beyond which a message is old")},
)
def tx_offline_replay(what: Exchange | Closed | LeftOpen, case: Case) -> None:
    """After a time without connection, messages come whose timestamps are older than `age`; said at its end."""
    if isinstance(what, Closed | LeftOpen):
        _drained(what, case)
    elif what.replayed:
        stamp = what.stamp_ns
        age = 0 if stamp is None else what.station.clock.station_time(what.asked_ns) - stamp
        if age > case["age"]:
            drain = case.memory(what.station)
            drain["count"], drain["age"] = drain.get("count", 0) + 1, max(age, drain.get("age", 0))
            drain["refs"] = (*drain.get("refs", ()), what.ref)[:MAX_REFS]


def _drained(what: Happening, case: Case) -> None:
    drain = case.memory(what.station)
    if drain:
        count: int = drain["count"]
        refs: tuple[Ref, ...] = drain["refs"]
        were = "s were" if count > 1 else " was"
        text = f"{count} old message{were} delivered, the oldest {span(drain['age'])} late."
        case.find(text, what, refs=refs)
        drain.clear()


@rule(
    "tx-out-of-order",
    on=Overtaken,
    severity=WARNING,
    blame=Blame.STATION,
    title="Messages about transactions came out of order",
    advice="A station has to send its queue in order, and new messages only after it. Look for a message that is "
    "tried again and again while others overtake it; the CSMS must go by the timestamps.",
    spec="1.6 §3.7",
    limits={
        "step": seconds(1, "how far a timestamp may lie before that of the message before it"),
        "loose": seconds(60, "the same, where one of the two is MeterValues or about another connector"),
    },
)
def tx_out_of_order(what: Overtaken, case: Case) -> None:
    """A message about a transaction carries an earlier timestamp than one before it, and is not an earlier one again.

    In 1.6 starts and stops are compared, and all that is about one connector; in 2.x what is about one EVSE. Two
    timestamps say nothing if the first was ahead of the capture, since then the clock was set.
    """
    x = what.exchange
    for before in (what.at_place, what.on_edge):
        if before is None or x.stamp_ns is None:
            continue
        loose = before is not what.at_place or "MeterValues" in (before.action, x.action)
        limit, behind = case["loose" if loose else "step"], before.stamp_ns - x.stamp_ns
        if behind > limit and x.asked_ns - x.stamp_ns > limit:
            case.find(
                f"{x.action} carries a timestamp {span(behind)} before that of the {before.action} that came "
                "ahead of it.", x, key=(before.action, x.action), refs=(before.ref, x.ref),
            )  # fmt: skip
            return
