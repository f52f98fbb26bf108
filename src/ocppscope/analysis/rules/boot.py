"""Rules about registration: BootNotification, and what may be sent before it is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import Booted, Closed, LeftOpen, answered, asked, unregistered
from ocppscope.analysis.registry import SECOND, Group, Mute, amount, family, hours, minutes, seconds
from ocppscope.analysis.state.registration import MAX_BOOTS, TRIGGER_NS
from ocppscope.analysis.station import Exchange
from ocppscope.analysis.wording import quoted, span
from ocppscope.model import Outcome, Side
from ocppscope.ocpp.lifecycle import REMOTE_CONTROL, csms_may, station_may

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.registration import Boot, Registration
    from ocppscope.analysis.station import Link, Station

rule = family(Group.STATION)


@rule(
    "boot-rejected",
    on=Booted,
    severity=ERROR,
    title="The CSMS rejected the station",
    advice="Register the station in the CSMS, and compare the identity at the end of its URL with the one that is "
    "registered. Until it is accepted the station may not send anything else.",
    spec="1.6 §4.2; 2.0.1 B03",
    mute=Mute.NEVER,
)
def boot_rejected(what: Booted, case: Case) -> None:
    """A BootNotification is answered with Rejected."""
    if what.boot.status == "Rejected":
        case.find("The CSMS answered a BootNotification with Rejected.", what)


@rule(
    "boot-pending-long",
    on=Booted,
    severity=WARNING,
    blame=Blame.CSMS,
    title="The registration stays pending",
    advice="Find out what the CSMS waits for: its provisioning may have failed half-way, or an operator has to "
    "approve the station.",
    spec="1.6 §4.2; 2.0.1 B02",
    limits={
        "wait": minutes(10, "time that a station may stay pending"),
        "answers": amount(3, "answers", "Pending answers in a row", MAX_BOOTS),
    },
)
def boot_pending_long(what: Booted, case: Case) -> Iterator[int]:
    """Pending for longer than `wait`, or `answers` times in a row."""
    registration = what.station.registration
    pending = _pending_in_a_row(registration)
    if not pending or what.boot is not registration.boots[-1]:
        return
    if len(pending) >= case["answers"]:
        took = span(what.boot.asked_ns - pending[0].asked_ns)
        text = f"The CSMS answered Pending to {len(pending)} BootNotifications in a row within {took}."
        case.find(text, what, once=True)
    elif len(pending) == 1:
        yield case["wait"]
        boots = _pending_in_a_row(registration)
        if boots[:1] == pending and len(boots) < case["answers"] and _is_open(what.station):
            case.find(f"The registration is pending for {span(case.now - what.time_ns)}.", what)


@rule(
    "boot-no-retry",
    on=(asked("BootNotification"), Booted),
    severity=ERROR,
    blame=Blame.STATION,
    title="The station does not repeat its BootNotification",
    advice="The station waits for something that will not come. Restart it, or let the CSMS ask by TriggerMessage; "
    "report it to the maker.",
    spec="1.6 §4.2; 2.0.1 B02.FR.08, B03.FR.06",
    limits={
        "slack": seconds(60, "time beyond two intervals of the answer"),
        "unanswered": seconds(300, "time for a retry when there was no usable answer"),
    },
)
def boot_no_retry(what: Exchange | Booted, case: Case) -> Iterator[int]:
    """After Pending or Rejected with an interval no BootNotification within two of them and `slack`.

    After one without a usable answer none within `unanswered`.
    """
    registration = what.station.registration
    if isinstance(what, Exchange):
        yield case["unanswered"]
        if registration.pending is what and what.link.open:
            case.find(f"A BootNotification has no answer for {span(case['unanswered'])}, and is not repeated.", what)
        return
    boot = what.boot
    if boot.status == "Accepted" or not (boot.interval_ns or boot.exchange.error):
        return
    yield 2 * boot.interval_ns + case["slack"] if boot.interval_ns else case["unanswered"]
    if registration.boots[-1] is boot and registration.pending is None and _is_open(what.station):
        told = f"{_word(boot.status)} and {span(boot.interval_ns)} to wait" if boot.interval_ns else "an error"
        waited = span(case.now - what.time_ns)
        case.find(f"A BootNotification was answered with {told}; {waited} later none has followed.", what)


@rule(
    "boot-retry-early",
    on=Booted,
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="BootNotification is repeated earlier than the CSMS asked for",
    advice="Have the maker respect the interval of the answer; with many stations the CSMS is flooded.",
    spec="1.6 §4.2; 2.0.1 B02.FR.04",
    limits={"tolerance": amount(10, "%", "how much earlier it may come")},
)
def boot_retry_early(what: Booted, case: Case) -> None:
    """After Pending or Rejected a BootNotification comes before the interval is over, and nobody asked for it."""
    boots = what.station.registration.boots
    before = boots[-2] if len(boots) > 1 else None
    if before is None or before.status in ("", "Accepted") or not before.interval_ns or what.boot.explained:
        return
    waited = what.boot.asked_ns - before.exchange.time_ns
    if 0 <= waited < before.interval_ns * (1 - case["tolerance"] / 100):
        case.find(
            f"A BootNotification came {span(waited)} after {_word(before.status)}; "
            f"the CSMS had asked for {span(before.interval_ns)}.", what,
        )  # fmt: skip


@rule(
    "boot-loop",
    on=Booted,
    severity=ERROR,
    blame=Blame.STATION,
    title="The station boots again and again",
    advice="Look for power loss, a watchdog or a crash: what was the last message before each boot? If the boots "
    "come on one connection, the station does not take the answer: look at its fields and at how long it took.",
    spec="1.6 §4.2",
    limits={
        "boots": amount(3, "boots", "accepted BootNotifications that nobody asked for", MAX_BOOTS),
        "within": minutes(10, "time in which they come"),
    },
)
def boot_loop(what: Booted, case: Case) -> None:
    """`boots` accepted BootNotifications `within` some time, and no Reset, firmware update or trigger before them."""
    if what.boot.status != "Accepted" or what.boot.explained:
        return
    since = what.boot.asked_ns - case["within"]
    boots = [
        one for one in what.station.registration.boots
        if one.status == "Accepted" and one.asked_ns >= since and not one.explained
    ]  # fmt: skip
    if len(boots) >= case["boots"]:
        links = len({one.link.number for one in boots})
        where = "one connection" if links == 1 else f"{links} connections"
        took = span(boots[-1].asked_ns - boots[0].asked_ns)
        text = (
            f"The station sent {len(boots)} BootNotifications within {took} on {where}, although each was accepted."
        )
        case.find(text, what, refs=tuple(one.exchange.ref for one in boots), once=True)


@rule(
    "boot-trigger-loop",
    on=Closed,
    severity=WARNING,
    priority=2,
    blame=Blame.CSMS,
    title="The CSMS asks for a BootNotification on each connection, and loses the station by it",
    advice="Let the CSMS trigger a BootNotification only once, or not at all: a reconnect needs none.",
    limits={
        "cycles": amount(3, "connections", "connections in a row"),
        "within": seconds(120, "time from the upgrade to the trigger, and from there to the end"),
    },
)
def boot_trigger_loop(what: Closed, case: Case) -> None:
    """On `cycles` connections in a row a trigger for BootNotification came soon, and soon after it the end."""
    link, memory = what.link, case.memory(what.station)
    triggered = what.station.registration.triggered_ns
    began = _began(link) if link is not None else 0
    looped = triggered is not None and 0 <= triggered - began < case["within"] > what.time_ns - triggered
    memory["cycles"] = memory.get("cycles", 0) + 1 if looped else 0
    if memory["cycles"] >= case["cycles"] and triggered is not None:
        case.find(
            f"On {memory['cycles']} connections in a row the CSMS triggered a BootNotification, and the connection "
            f"ended soon after, the last one after {span(what.time_ns - triggered)}.", what, once=True,
        )  # fmt: skip


@rule(
    "boot-each-reconnect",
    on=asked("BootNotification"),
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="The station sends a BootNotification each time it reconnects",
    advice="It is needed after a boot only, and hides real reboots. Look for a setting that turns it off.",
    spec="1.6-J §5.4; 2.0.1 Part 4 §5.4",
    limits={
        "reconnects": amount(3, "reconnects", "reconnects with the same BootNotification"),
        "gap": seconds(120, "time without a connection that is too short for a reboot"),
    },
)
def boot_each_reconnect(x: Exchange, case: Case) -> None:
    """The same BootNotification on `reconnects` connections that came within `gap` of the one before."""
    registration, links = x.station.registration, x.station.links
    before = registration.boots[-1] if registration.boots else None
    last = links[-2] if len(links) > 1 and links[-1] is x.link else None
    if before is None or last is None or before.link is x.link or registration.ordered:
        return
    gap = max(0, _began(x.link) - (last.closed_ns or _began(x.link)))
    if before.exchange.asked != x.asked or gap > case["gap"]:
        return
    memory = case.memory(x.station)
    memory["reconnects"] = count = memory.get("reconnects", 0) + 1
    if count >= case["reconnects"]:
        text = f"The same BootNotification came on {count} reconnects, this time {span(gap)} after the last end."
        case.find(text, x, once=True)


@rule(
    "boot-interval-odd",
    on=Booted,
    severity=WARNING,
    priority=2,
    blame=Blame.CSMS,
    title="The CSMS asks for an odd heartbeat interval",
    advice="Have the CSMS send something like 60 to 3600 s. 0 makes some stations flood; with a very long interval "
    "nobody sees that a link is dead.",
    spec="1.6 §4.2, §9.1.10",
    limits={
        "least": seconds(10, "shortest interval"),
        "most": hours(24, "longest interval"),
    },
    mute=Mute.NEVER,
)
def boot_interval_odd(what: Booted, case: Case) -> None:
    """A BootNotification is accepted with an interval below `least` or above `most`."""
    interval = what.exchange.answered.number("interval")
    accepted = what.boot.status == "Accepted"
    if accepted and interval is not None and not case["least"] <= interval * SECOND <= case["most"]:
        case.find(f"The CSMS accepted the station with a heartbeat interval of {interval:.10g} s.", what)


@rule(
    "boot-response-time-missing",
    on=answered("BootNotification"),
    severity=ERROR,
    priority=3,
    blame=Blame.CSMS,
    title="The answer to BootNotification is incomplete",
    advice="Correct the CSMS: without status, currentTime and interval a station may boot for ever.",
    spec="1.6 §6.4; 2.0.1 B01",
    mute=Mute.NEVER,
)
def boot_response_time_missing(x: Exchange, case: Case) -> None:
    """The answer lacks status, currentTime or interval."""
    lacking = [name for name in ("status", "currentTime", "interval") if name not in x.answered]
    if lacking and not x.error:
        instead = ", but heartbeatInterval is there" if "heartbeatInterval" in x.answered else ""
        case.find(f"The answer to BootNotification lacks {' and '.join(lacking)}{instead}.", x)


# --- before it is accepted ----------------------------------------------------------------------------------------


@rule(
    "call-before-accepted",
    on=unregistered(),
    severity=WARNING,
    blame=Blame.STATION,
    title="The station sends messages before it is accepted",
    advice="Until its BootNotification is accepted a station may send only what the CSMS asked for. The CSMS should "
    "answer with SecurityError. Report it to the maker.",
    spec="1.6 §4.2 with errata 3.10; 2.0.1 B01.FR.08, B02.FR.09, B03.FR.07",
)
def call_before_accepted(x: Exchange, case: Case) -> None:
    """After a BootNotification, and before one is accepted, the station sends what it was not asked for."""
    registration = x.station.registration
    if x.action == "BootNotification" or _still_accepted(registration, x):
        return
    waiting = registration.pending
    status = "" if waiting is not None or not registration.boots else registration.boots[-1].status
    boots = [one.asked_ns for one in registration.boots if one.status not in ("", "Accepted")]
    requested = registration.was_requested(x.action, boots[0] if boots else x.asked_ns)
    if not station_may(status if status in ("Pending", "Rejected") else "", x.action, asked_for=requested):
        answer = "has no answer yet" if waiting else f"was answered with {_word(status)}" if status else "failed"
        case.find(f"The station sent {_word(x.action)} although its BootNotification {answer}.", x, key=status)


@rule(
    "csms-call-too-early",
    on=(Closed, LeftOpen),
    severity=WARNING,
    blame=Blame.CSMS,
    title="The CSMS calls the station before it is ready",
    advice="Let the CSMS wait until it has accepted the BootNotification, better until the first StatusNotifications "
    "have come. Many stations ignore what comes earlier, some hang.",
    spec="1.6 §4.2; 2.0.1 B03.FR.03",
    limits={"settle": seconds(2, "time after the upgrade in which a BootNotification may come")},
)
def csms_call_too_early(what: Closed | LeftOpen, case: Case) -> None:
    """A CALL of the CSMS before the BootNotification is answered stays without an answer, or the station leaves.

    Without a BootNotification on the connection: a CALL within `settle` of the upgrade.
    """
    link = what.link
    if link is None or link.upgraded_ns is None:
        return
    boots = [one for one in what.station.registration.boots if one.link is link]
    answers = [one.exchange.time_ns for one in boots if one.status]
    until = answers[0] if answers else what.time_ns if boots else link.upgraded_ns + case["settle"]
    left = link.connection.closed_by is Side.STATION
    early = [
        x for x in link.close_pending
        if x.side is Side.CSMS and x.asked_ns < until and (left or x.outcome is Outcome.TIMEOUT)
    ]  # fmt: skip
    for x in early:
        after = span(x.asked_ns - link.upgraded_ns)
        before = "before it answered the BootNotification" if boots else "before any BootNotification"
        came = "the station left without an answer" if left else "no answer came"
        case.find(f"The CSMS sent {_word(x.action)} {after} after the upgrade, {before}; {came}.", x)


@rule(
    "remote-start-while-pending",
    on=asked(*sorted(REMOTE_CONTROL)),
    severity=WARNING,
    priority=2,
    blame=Blame.CSMS,
    title="The CSMS starts or stops remotely although the station is not accepted",
    advice="Let the CSMS accept the station first.",
    spec="1.6 §4.2; 2.0.1 B02.FR.05",
)
def remote_start_while_pending(x: Exchange, case: Case) -> None:
    """A remote start or stop is sent while the last BootNotification was answered with Pending or Rejected."""
    boots = x.station.registration.boots
    status = boots[-1].status if boots else ""
    if status in ("Pending", "Rejected") and not csms_may(status, x.action) and x.side is Side.CSMS:
        case.find(f"The CSMS sent {x.action} although it had answered the BootNotification with {status}.", x)


def _is_open(station: Station) -> bool:
    return station.link is not None and station.link.open


def _began(link: Link) -> int:
    return link.upgraded_ns or link.opened_ns


def _word(name: str) -> str:
    """A name from the wire: as it is if it is a plain word."""
    return name if name.isascii() and name.isalnum() and len(name) <= 40 else quoted(name)


def _pending_in_a_row(registration: Registration) -> list[Boot]:
    """The latest BootNotifications as long as they were answered with Pending, or not at all."""
    found: list[Boot] = []
    for boot in reversed(registration.boots):
        if boot.status not in ("Pending", ""):
            break
        if boot.status:
            found.append(boot)
    return found[::-1]


def _still_accepted(registration: Registration, x: Exchange) -> bool:
    """Whether a BootNotification that is not accepted yet changes nothing: it was asked for, or was superfluous."""
    latest = registration.pending or (registration.boots[-1].exchange if registration.boots else x)
    if x.station.gap_since(latest.asked_ns):
        return True  # its answer may be missing
    if registration.pending is None:
        return False
    triggered = registration.triggered_ns
    if triggered is not None and 0 <= latest.asked_ns - triggered <= TRIGGER_NS:
        return True
    accepted = any(one.status == "Accepted" and one.link is x.link for one in registration.boots)
    return (accepted or x.link.upgraded_ns is None) and not registration.ordered
