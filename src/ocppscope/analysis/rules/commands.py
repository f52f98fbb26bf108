"""Rules about what the CSMS orders: triggers and resets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import NOTE, WARNING, Blame
from ocppscope.analysis.happenings import answered, asked
from ocppscope.analysis.registry import Group, family, minutes, seconds
from ocppscope.analysis.wording import named, quoted, span
from ocppscope.model import Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Exchange

rule = family(Group.STATION)

TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")
MAX_KINDS = 32
"""Kinds of triggers of a station that are counted, the latest."""
_FREQUENT = frozenset({"Heartbeat", "MeterValues", "TransactionEvent"})
_RARE = frozenset(
    {
        "DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification",
        "PublishFirmwareStatusNotification", "StatusNotification",
    }
)  # fmt: skip
"""SignCertificate is none: a new key may take a station minutes."""
_WORTH = frozenset({"BootNotification", "MeterValues", "StatusNotification"})
_ENDING = frozenset({"Soft", "Immediate", "OnIdle"})
_MAX_NAMED = 4
"""Transactions that a sentence names; of more, it says how many."""


@rule(
    "trigger-storm",
    on=asked(*TRIGGERS),
    severity=NOTE,
    priority=2,
    blame=Blame.CSMS,
    title="The CSMS triggers the same message all the time",
    advice="Let the station report by itself: set MeterValueSampleInterval or HeartbeatInterval.",
    spec="1.6 §5.17",
    limits={
        "apart": seconds(15, "time between triggers of one kind below which they count"),
        "lasting": minutes(10, "time for which that goes on"),
    },
)
def trigger_storm(x: Exchange, case: Case) -> None:
    """Triggers of one kind come less than `apart` from each other, `lasting` that long."""
    wanted, memory = x.asked.text("requestedMessage")[:40], case.memory(x.station)
    began, last = memory.pop(wanted, (x.asked_ns, x.asked_ns))
    if x.asked_ns - last >= case["apart"]:
        began = x.asked_ns
    if x.asked_ns - began > case["lasting"]:
        case.find(
            f"The CSMS has triggered {_word(wanted)} more often than every {span(case['apart'])} for "
            f"{span(x.asked_ns - began)}.", x, key=wanted,
        )  # fmt: skip
        began = x.asked_ns
    memory[wanted] = began, x.asked_ns
    if len(memory) > MAX_KINDS:
        _, last = memory.pop(next(iter(memory)))
        if x.asked_ns - last < case["apart"]:
            case.let_go()


@rule(
    "trigger-not-honoured",
    on=answered(*TRIGGERS),
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="The station accepts a trigger and does not send the message",
    advice="Its queue may be blocked by a message without an answer. Otherwise it should have answered Rejected: "
    "report it to the maker.",
    spec="1.6 §5.17; 2.0.1 F06",
    limits={"wait": seconds(30, "time for the message")},
)
def trigger_not_honoured(x: Exchange, case: Case) -> Iterator[int]:
    """A trigger is accepted, and the message does not come within `wait`.

    Heartbeats and meter values: no CALL of any kind comes.
    """
    action = x.asked.text("requestedMessage")[:40]
    if not x.accepted or not (action in _RARE or action in _FREQUENT or action == "BootNotification"):
        return
    yield case["wait"]
    registration, link = x.station.registration, x.link
    if action in _FREQUENT:
        last = link.asked_ns[Side.STATION]
    else:
        last = registration.booted_ns if action == "BootNotification" else registration.reported.get(action)
    if (last is None or last < x.asked_ns) and link.open and not link.outstanding[Side.STATION]:
        text = f"The station accepted a trigger for {action}; none came within {span(case['wait'])}."
        case.find(text, x, key=action)


@rule(
    "trigger-rejected",
    on=answered(*TRIGGERS),
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="The station refuses a trigger",
    advice="Do without it: set the intervals at which the station reports by itself.",
    spec="1.6 §5.17; 2.0.1 F06",
)
def trigger_rejected(x: Exchange, case: Case) -> None:
    """A trigger for a boot, a status or meter values is answered with Rejected or NotImplemented."""
    wanted = x.asked.text("requestedMessage")[:40]
    if wanted in _WORTH and not x.error and x.status in ("Rejected", "NotImplemented"):
        case.find(f"The station answered {x.status} to a trigger for {wanted}.", x, key=wanted)


@rule(
    "reset-not-executed",
    on=answered("Reset"),
    severity=WARNING,
    blame=Blame.STATION,
    title="The station accepts a Reset and does not reboot",
    advice="It may wait for a transaction to end: stop that first, or send a Hard (2.x: Immediate) Reset. If that "
    "does not help either, the power has to be switched off and on.",
    spec="1.6 §5.14; 2.0.1 B11, B12",
    limits={"wait": seconds(180, "time for the reboot")},
)
def reset_not_executed(x: Exchange, case: Case) -> Iterator[int]:
    """A Reset is accepted, and neither does the connection end nor comes a BootNotification within `wait`."""
    if not x.accepted or "evseId" in x.asked:
        return
    yield case["wait"]
    booted = x.station.registration.booted_ns
    if x.link.open and x.station.link is x.link and (booted is None or booted < x.asked_ns):
        case.find(f"{_kind(x)} Reset was accepted; {span(case['wait'])} later the station is still connected.", x)


@rule(
    "reset-without-stop",
    on=asked("BootNotification"),
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="A Reset loses a running transaction",
    advice="A soft reset has to stop transactions first, with reason SoftReset. Stop them remotely before the Reset, "
    "and close the lost one in the CSMS.",
    spec="1.6 §5.14; 2.0.1 B12",
    limits={
        "since": minutes(10, "time from the Reset to the boot"),
        "wait": minutes(5, "time after the boot in which the stop may still come"),
    },
)
def reset_without_stop(x: Exchange, case: Case) -> Iterator[int]:
    """A soft Reset during a transaction, a boot, and no stop of it before or within `wait` after."""
    reset = x.station.registration.reset
    if reset is None or reset.asked.text("type") not in _ENDING or x.asked_ns - reset.time_ns > case["since"]:
        return
    running = [
        one for one in x.station.transactions.all_open()
        if one.started_ns is not None and one.started_ns < reset.time_ns and one.was_accepted and not one.superseded
    ]  # fmt: skip
    if not running:
        return
    yield case["wait"]
    lost = [one for one in running if one.is_open and one.last_ns < x.asked_ns]
    if lost and x.station.link is not None and x.station.link.open:
        case.find(f"After a Reset the station booted; {_several(lost)} not stopped.", x)


def _several(lost: list[Transaction]) -> str:
    names = ", ".join(named(one.id) for one in lost[:_MAX_NAMED])
    if len(lost) == 1:
        return f"transaction {names}, which ran before, was"
    more = f" and {len(lost) - _MAX_NAMED} more" if len(lost) > _MAX_NAMED else ""
    return f"transactions {names}{more}, which ran before, were"


def _kind(x: Exchange) -> str:
    kind = x.asked.text("type")
    return f"A {kind}" if kind in ("Soft", "Hard") else "A" if kind not in _ENDING else f"An {kind}"


def _word(name: str) -> str:
    return name if name.isascii() and name.isalnum() else quoted(name)
