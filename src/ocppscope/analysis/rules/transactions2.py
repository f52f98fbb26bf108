"""Rules about the TransactionEvents of 2.x: their numbers, their flags, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import (
    StatusChanged,
    TransactionStarted,
    TransactionStopped,
    TransactionUpdatedOddly,
    untimely,
)
from ocppscope.analysis.registry import V2X, Group, Mute, family, seconds
from ocppscope.analysis.rules.transactions import LONGEST_NS, MAX_PLACES, is_connected
from ocppscope.analysis.wording import named, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Exchange, Link, Station

rule = family(Group.TRANSACTION)

Event = TransactionStarted | TransactionUpdatedOddly | TransactionStopped
EVENTS = (TransactionStarted, TransactionUpdatedOddly, TransactionStopped)


@rule(
    "tx2-seqno-gap",
    on=EVENTS,
    severity=WARNING,
    versions=V2X,
    blame=Blame.STATION,
    title="TransactionEvents are missing",
    advice="Look whether an event was refused or given up. A station that is short of memory may drop Updated events "
    "while offline, but never Started or Ended. The CSMS cannot be sure of what it bills.",
    spec="2.0.1 Part 2 E 1.3.2, E04.FR.08",
)
def tx2_seqno_gap(what: Event, case: Case) -> None:
    """The seqNo of a TransactionEvent does not follow on the one before in its transaction.

    An error if some are missing when it ends, unless it was offline. A note for an event that was sent again.
    """
    transaction, seq = what.transaction, what.exchange.asked.whole("seqNo")
    ended = isinstance(what, TransactionStopped) and transaction.missing_seqs > 0
    if (transaction.step in _FINE and not ended) or seq is None:
        return
    if ended:
        text = f"A transaction ended with {_listed(transaction)} missing."
        severity = WARNING if transaction.offline else ERROR
        case.find(text, what, severity=severity, key="ended", measured={"transaction": transaction.id})
    elif transaction.step == "gap":
        text = f"A TransactionEvent has seqNo {seq}, but {_listed(transaction)} did not come."
        case.find(text, what, key="gap", measured={"transaction": transaction.id})
    elif transaction.step == "clash":
        case.find(f"Two different TransactionEvents of one transaction have seqNo {seq}.", what, key="clash")
    else:
        case.find("A TransactionEvent was sent again.", what, severity=NOTE, key="retry")


_FINE = frozenset({"", "next", "late"})


def _listed(transaction: Transaction) -> str:
    """The missing seqNos: "seqNo 3", "seqNo 3, 4, 7 and 12 more"."""
    some = sorted(transaction.missing)[:3]
    more = transaction.missing_seqs - len(some)
    return f"seqNo {', '.join(str(one) for one in some)}{f' and {more} more' if more > 0 else ''}"


@rule(
    "tx2-missing-started",
    on=(TransactionUpdatedOddly, TransactionStopped),
    severity=WARNING,
    priority=2,
    versions=V2X,
    blame=Blame.STATION,
    title="A transaction was never started",
    advice="The Started event was lost or refused. The CSMS should ask with GetTransactionStatus, and must not drop "
    "what follows.",
    spec="2.0.1 Part 2 E 1.3.2",
    limits={"wait": seconds(60, "how late the Started event may come")},
    mute=Mute.GAP | Mute.MIDSTREAM | Mute.REPLAY,
)
def tx2_missing_started(what: TransactionUpdatedOddly | TransactionStopped, case: Case) -> Iterator[int] | None:
    """Events of a transaction come, and no Started, though all connectors were Available after the boot."""
    transaction = what.transaction
    if transaction.start is not None or transaction.seqs > 1 or what.exchange.action != "TransactionEvent":
        return None
    return _wait_for_start(what, case) if _was_free(what.station, transaction.place[0], what.time_ns) else None


def _wait_for_start(what: TransactionUpdatedOddly | TransactionStopped, case: Case) -> Iterator[int]:
    transaction = what.transaction
    yield case["wait"]
    if transaction.start is None:
        text = f"TransactionEvents of a transaction came, first {_event_type(what.exchange)}, but no Started."
        case.find(text, what, measured={"transaction": transaction.id})


def _event_type(x: Exchange) -> str:
    return named(x.asked.text("eventType"))


def _was_free(station: Station, evse: int, before_ns: int) -> bool:
    """Whether the connectors of an EVSE (0: of all) were Available since the boot, so that it had no transaction."""
    known = station.registration.boots
    boots = [boot.asked_ns for boot in known if boot.asked_ns <= before_ns and not boot.triggered]
    places = [one for one in station.connectors.places.values() if one.place[0] > 0 and evse in (0, one.place[0])]
    return bool(boots and places) and all(
        any(change.status == "Available" and boots[-1] <= change.time_ns <= before_ns for change in one.changes)
        for one in places
    )


@rule(
    "tx2-missing-ended",
    on=(StatusChanged, TransactionStarted),
    severity=ERROR,
    versions=V2X,
    blame=Blame.STATION,
    title="A transaction was never ended",
    advice="The Ended event was lost: a crash, a queue that was cleared, an event that was refused. Close the "
    "transaction in the CSMS by its last meter value.",
    spec="2.0.1 E06, E01.FR.14",
    limits={"wait": seconds(120, "how late the Ended event may come")},
)
def tx2_missing_ended(what: StatusChanged | TransactionStarted, case: Case) -> Iterator[int] | None:
    """A transaction is open though its EVSE became Available, or started another one, longer than `wait` ago."""
    over = _over(what)
    return _wait_for_ends(what, over, case) if over else None


def _wait_for_ends(what: StatusChanged | TransactionStarted, over: list[Transaction], case: Case) -> Iterator[int]:
    station, since = what.station, what.time_ns
    yield case["wait"]
    while station.transactions.drained_since(case.now - case["wait"]) and case.now - since < LONGEST_NS:
        yield case["wait"]
    free = isinstance(what, StatusChanged)
    if free and any(one.status != "Available" for one in station.connectors.on_evse(over[0].place[0])):
        return
    for transaction in over:
        if transaction.is_open and is_connected(station) and not (free and transaction.last_ns > since):
            _report_open(what, transaction, case)


def _over(what: StatusChanged | TransactionStarted) -> list[Transaction]:
    """Open transactions of which this says that they are over."""
    known = what.station.transactions
    if isinstance(what, TransactionStarted):
        number, new = what.transaction.place[0], what.transaction
        at = [one for one in known.latest if one.place[0] == number and one is not new]
        return [one for one in at[-1:] if number and one.is_open and not new.superseded and not one.has_id(new.id)]
    place, was = what.connector.place, what.connector.previous
    if what.connector.status != "Available" or was in ("", "Available") or place[0] <= 0:
        return []
    going = (one for one in known.all_open() if one.place[0] == place[0])
    return [one for one in going if not one.place[1] or not place[1] or one.place[1] == place[1]]


def _report_open(what: StatusChanged | TransactionStarted, transaction: Transaction, case: Case) -> None:
    reported, number = case.memory(what.station), transaction.place[0]
    if reported.get(number) is transaction:
        return
    if number in reported or len(reported) < MAX_PLACES:
        reported[number] = transaction
    why = "the EVSE became Available" if isinstance(what, StatusChanged) else "another one started there"
    case.find(
        f"A transaction on EVSE {number} has not ended, though {why} {span(case.now - what.time_ns)} ago.", what,
        key=number, refs=(*(transaction.start.refs if transaction.start else ()), *what.refs),
        measured={"transaction": transaction.id},
    )  # fmt: skip


@rule(
    "tx2-event-after-ended",
    on=TransactionUpdatedOddly,
    severity=WARNING,
    priority=2,
    versions=V2X,
    blame=Blame.STATION,
    title="A TransactionEvent came after the end of its transaction",
    advice="The station goes on with a transaction that it has ended, or uses its id again. The CSMS may bill it "
    "wrongly.",
    spec="2.0.1 E01.FR.08",
)
def tx2_event_after_ended(what: TransactionUpdatedOddly, case: Case) -> None:
    """After Ended, an event of the same transaction comes with a higher seqNo."""
    stop, seq = what.transaction.stop, what.exchange.asked.whole("seqNo")
    if stop is None or seq is None or stop is what.exchange:
        return
    last = stop.asked.whole("seqNo")
    if last is not None and seq > last:
        text = f"TransactionEvent {_event_type(what.exchange)} came for a transaction that had ended."
        case.find(text, what, refs=(stop.ref, *what.refs), measured={"transaction": what.transaction.id})


@rule(
    "tx2-offline-flag",
    on=untimely("TransactionEvent"),
    severity=WARNING,
    versions=V2X,
    blame=Blame.STATION,
    title="The offline flag of a TransactionEvent is wrong",
    advice="A CSMS that goes by the flag takes old events for new ones, or new ones for old. Let it go by the "
    "timestamp, and report it to the maker of the station.",
    spec="2.0.1 E04.FR.03, E11.FR.07",
    limits={
        "age": seconds(60, "age of an event beyond which it must have happened offline, if the connection was gone"),
        "live": seconds(10, "how far the timestamp of a live event may lie from its arrival"),
        "online": seconds(60, "how long the station must have been connected for an event to be live"),
    },
)
def tx2_offline_flag(x: Exchange, case: Case) -> None:
    """An event from a time without connection does not say offline, or a live one does."""
    stamp, offline = x.stamp_ns, x.asked.flag("offline") is True
    if stamp is None:
        return
    age = x.station.clock.station_time(x.asked_ns) - stamp
    happened = x.asked_ns - age
    if not offline and age > case["age"]:
        before = _link_before(x)
        if before is not None and before.closed_ns is not None and before.closed_ns < happened < _online_ns(x):
            text = f"A TransactionEvent came {span(age)} late, from a time offline, and does not say so."
            case.find(text, x, key="missing")
    elif offline and abs(age) <= case["live"] and min(happened, x.asked_ns) - _online_ns(x) > case["online"]:
        text = f"A TransactionEvent says offline, but it is {span(abs(age))} old and the connection was there."
        case.find(text, x, key="wrong")


def _link_before(x: Exchange) -> Link | None:
    """The connection before that of a message."""
    links = x.station.links
    return links[-2] if len(links) > 1 and links[-1] is x.link else None


def _online_ns(x: Exchange) -> int:
    """Since when a station counts as online: connected, and accepted if it booted."""
    link, accepted = x.link, x.station.registration.accepted_ns
    since = link.upgraded_ns if link.upgraded_ns is not None else link.seen_ns
    return max(since, accepted or 0)


@rule(
    "tx2-evse-repeated",
    on=(TransactionUpdatedOddly, TransactionStopped),
    severity=NOTE,
    priority=2,
    versions=V2X,
    blame=Blame.STATION,
    title="TransactionEvents repeat the EVSE",
    advice="Nothing is wrong with the content; only the first event after the vehicle was connected should carry it.",
    spec="2.0.1 E01.FR.16",
)
def tx2_evse_repeated(what: TransactionUpdatedOddly | TransactionStopped, case: Case) -> None:
    """An event names the same EVSE and connector as the Started event of its transaction; said once for each."""
    if what.transaction.evse_repeated is what.exchange:
        case.find("A TransactionEvent repeats the EVSE that Started had named.", what)


@rule(
    "tx2-idtoken-unexpected",
    on=TransactionStopped,
    severity=NOTE,
    priority=2,
    versions=V2X,
    blame=Blame.STATION,
    title="An Ended event names a token, though no token ended it",
    advice="A CSMS may take it for a stop by that token. The station should leave it out.",
    spec="2.0.1 E07.FR.02",
)
def tx2_idtoken_unexpected(what: TransactionStopped, case: Case) -> None:
    """Ended carries an idToken, and its stoppedReason is Remote or EVDisconnected."""
    reason = what.transaction.reason
    if reason in ("Remote", "EVDisconnected") and "idToken" in what.exchange.asked:
        case.find(f"TransactionEvent Ended names a token, though its stoppedReason is {reason}.", what, key=reason)


@rule(
    "tx2-charging-state-missing",
    on=EVENTS,
    severity=NOTE,
    priority=2,
    versions=V2X,
    blame=Blame.STATION,
    title="A TransactionEvent does not say its charging state",
    advice="The CSMS cannot show whether the vehicle charges. The station should send chargingState with Started and "
    "whenever it changes.",
    spec="2.0.1 E02.FR.13",
)
def tx2_charging_state_missing(what: Event, case: Case) -> None:
    """Started, or an event with triggerReason ChargingStateChanged, has no chargingState."""
    asked = what.exchange.asked
    started = isinstance(what, TransactionStarted)
    if not started and asked.data.get("triggerReason") != "ChargingStateChanged":
        return
    if "chargingState" not in asked.table("transactionInfo"):
        which = "Started" if started else "with triggerReason ChargingStateChanged"
        case.find(f"A TransactionEvent {which} has no chargingState.", what, key=started)


_NOT_LOCAL = frozenset(
    {"RemoteStop", "EVCommunicationLost", "EVDeparted", "ResetCommand", "AbnormalCondition", "Deauthorized"}
    | {"EnergyLimitReached", "TimeLimitReached", "EVConnectTimeout"}
)


@rule(
    "tx2-stopped-reason-missing",
    on=TransactionStopped,
    severity=NOTE,
    priority=3,
    versions=V2X,
    blame=Blame.STATION,
    title="An Ended event does not say why",
    advice="Without stoppedReason it counts as a stop by the driver (Local).",
    spec="2.0.1 E06.FR.08",
)
def tx2_stopped_reason_missing(what: TransactionStopped, case: Case) -> None:
    """Ended has no stoppedReason, though its triggerReason is not one of a local stop."""
    asked = what.exchange.asked
    trigger = asked.text("triggerReason")
    if trigger in _NOT_LOCAL and "stoppedReason" not in asked.table("transactionInfo"):
        case.find(f"TransactionEvent Ended with triggerReason {trigger} has no stoppedReason.", what, key=trigger)


@rule(
    "tx2-id-reused",
    on=TransactionStarted,
    severity=ERROR,
    priority=2,
    versions=V2X,
    blame=Blame.STATION,
    title="Two transactions have the same id",
    advice="A station must never use a transactionId again, also after a reboot. The CSMS may mix the two up.",
    spec="2.0.1 E01.FR.08",
)
def tx2_id_reused(what: TransactionStarted, case: Case) -> None:
    """Started comes twice for one transactionId, with different timestamps."""
    new = what.transaction
    old = next((one for one in what.station.transactions.latest if one is not new and one.id == new.id), None)
    if new.id and old is not None and old.start is not None:
        case.find(
            "The station started a transaction with an id that another one had.", what,
            refs=(old.start.ref, *what.refs), measured={"transaction": new.id},
        )  # fmt: skip
