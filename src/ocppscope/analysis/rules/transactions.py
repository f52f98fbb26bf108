"""Rules about 1.6 transactions, and about those of either version where they do not differ: ids, energy, ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import (
    Booted,
    SampledToCompare,
    StatusChanged,
    TransactionStarted,
    TransactionStopped,
    TransactionUpdatedOddly,
    answered,
    asked,
    misnamed,
)
from ocppscope.analysis.registry import V16, Group, Mute, amount, family, hours, minutes, seconds
from ocppscope.analysis.rules.authorization import measured_tag, place_of, power_of, tag_measured
from ocppscope.analysis.state.metering import REGISTER
from ocppscope.analysis.state.transactions import id_of, same_tag, tag_of
from ocppscope.analysis.wording import figure, named, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Exchange, Station

rule = family(Group.TRANSACTION)

MAX_PLACES = 64
"""Connectors of a station of which a rule remembers something; that it does not of others is said."""
GOING_ON = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE", "Occupied", "Finishing"})
"""Connector statuses that fit an open transaction."""

# --- never stopped -----------------------------------------------------------------------------------------------


@rule(
    "tx-never-stopped",
    on=(TransactionStarted, StatusChanged, Booted),
    severity=ERROR,
    blame=Blame.STATION,
    versions=V16,
    title="A transaction was never stopped",
    advice="The station lost the stop, as after a power loss or a crash. Close the transaction in the CSMS by the "
    "last meter value, and look whether the firmware keeps its queue over a reboot.",
    spec="1.6 §4.10",
    limits={
        "free": seconds(60, "how long after the connector is Available, or starts anew, the stop may come"),
        "boot": minutes(10, "how long the stop may take after a boot"),
    },
)
def tx_never_stopped(what: TransactionStarted | StatusChanged | Booted, case: Case) -> Iterator[int] | None:
    """A transaction is open though its connector starts a new one, is Available for `free`, or booted `boot` ago.

    Not one that the CSMS did not accept: many stations never begin it.
    """
    over = _over(what)
    return _wait_for_stops(what, over, case) if over else None


def _wait_for_stops(
    what: TransactionStarted | StatusChanged | Booted, over: list[Transaction], case: Case
) -> Iterator[int]:
    station, since = what.station, what.time_ns
    yield case["boot" if isinstance(what, Booted) else "free"]
    while station.transactions.drained_since(case.now - case["free"]) and case.now - since < LONGEST_NS:
        yield case["free"]
    for transaction in over:
        if transaction.is_open and is_connected(station) and _nothing_since(what, transaction):
            _report_open(what, transaction, case)


LONGEST_NS = 86_400_000_000_000
"""How long a rule waits for an offline queue to drain."""


def _over(what: TransactionStarted | StatusChanged | Booted) -> list[Transaction]:
    """Open transactions of which this says that they are over."""
    known = what.station.transactions
    if isinstance(what, TransactionStarted):
        number, new = what.transaction.place[0], what.transaction
        at = [one for one in known.latest if one.place[0] == number and one is not new and _began(one)]
        return [one for one in at[-1:] if number and one.is_open and not new.superseded]
    if isinstance(what, StatusChanged):
        number = what.connector.place[0] if what.connector.status == "Available" else 0
        return [one for one in known.all_open() if number == one.place[0] and _began(one)] if number > 0 else []
    if what.boot.status != "Accepted" or what.boot.triggered:
        return []
    return [one for one in known.all_open() if one.last_ns < what.boot.asked_ns and _began(one)]


def _began(transaction: Transaction) -> bool:
    return bool(transaction.id) and transaction.start is not None and transaction.was_accepted


def _nothing_since(what: TransactionStarted | StatusChanged | Booted, transaction: Transaction) -> bool:
    """Whether nothing shows that the transaction goes on after all."""
    if isinstance(what, TransactionStarted):
        return True
    if isinstance(what, StatusChanged):
        return what.connector.status == "Available" and what.connector.since_ns <= what.time_ns
    statuses = [one.status for one in what.station.connectors.on_evse(transaction.place[0])]
    return transaction.last_ns < what.boot.asked_ns and not any(one in GOING_ON for one in statuses)


def _report_open(what: TransactionStarted | StatusChanged | Booted, transaction: Transaction, case: Case) -> None:
    reported, number = case.memory(what.station), transaction.place[0]
    if reported.get(number) is transaction:
        return
    reported[number] = transaction
    if len(reported) > MAX_PLACES:
        del reported[next(iter(reported))]
    why = "the station booted" if isinstance(what, Booted) else "a new one began there"
    if isinstance(what, StatusChanged):
        why = "the connector became Available"
    case.find(
        f"Transaction {named(transaction.id)} on connector {number} was not stopped, though {why} "
        f"{span(case.now - what.time_ns)} ago.", what, key=number,
        refs=(*(transaction.start.refs if transaction.start else ()), *what.refs),
        measured=tag_measured(transaction.tag),
    )  # fmt: skip


def is_connected(station: Station) -> bool:
    """Whether it could still say something."""
    return station.link is not None and station.link.open


# --- ids -----------------------------------------------------------------------------------------------------------


@rule(
    "tx-stop-unknown-id",
    on=misnamed("StopTransaction", "MeterValues"),
    severity=WARNING,
    blame=Blame.STATION,
    versions=V16,
    title="The station uses a transactionId that the CSMS did not give",
    advice="A local or free session, or an id that was lost, as in a reboot. Look at the answer to StartTransaction. "
    "The CSMS has to answer such messages all the same.",
    spec="1.6 §4.10",
    mute=Mute.GAP | Mute.REPLAY,
)
def tx_stop_unknown_id(x: Exchange, case: Case) -> None:
    """StopTransaction or MeterValues name a transactionId that no answer gave, though the start was captured; or 0.

    Only a note for MeterValues with 0 where no transaction is open.
    """
    if "transactionId" not in x.asked:
        return
    id_, known = id_of(x.asked.data.get("transactionId")), x.station.transactions
    if id_ in ("", "-1") or id_ in known.issued:
        return
    number = x.asked.whole("connectorId") or 0
    own = known.open_at(number) if number else None
    if id_ == "0":
        idle = x.action == "MeterValues" and own is None
        text, severity = f"{x.action} names transaction 0, which no CSMS gave.", NOTE if idle else WARNING
    elif (given := _given_instead(x, own)) is not None:
        text, severity = f"{x.action} names transaction {id_}, but the CSMS gave {named(given.id)}.", WARNING
    else:
        return
    case.find(text, x, severity=severity, key=(x.action, id_ == "0"))


def _given_instead(x: Exchange, own: Transaction | None) -> Transaction | None:
    """The transaction that a message with an unknown id should have named, if that is certain."""
    known, stop = x.station.transactions, x.action == "StopTransaction"
    going = [one for one in known.all_open() if one.id and one.start is not None]
    if not stop:
        return own if own in going else None
    numbers = {place[0] for place in x.station.connectors.places if place[0] > 0}
    started = {one.place[0] for one in known.latest if one.start is not None}
    same = [one for one in going if "idTag" in x.asked and same_tag(one.tag, tag_of(x.asked))]
    if len(going) == 1 and (same or (numbers and numbers <= started)):
        return going[0]
    return None


@rule(
    "tx-id-minus-one",
    on=(TransactionUpdatedOddly, TransactionStopped),
    severity=WARNING,
    blame=Blame.STATION,
    versions=V16,
    title="The station uses transactionId -1",
    advice="Allowed while StartTransaction has had no answer. After that the station has to put the id that it was "
    "given into its queued messages. The CSMS has to match them by connector and time.",
    spec="1.6 errata 3.18",
)
def tx_id_minus_one(what: TransactionUpdatedOddly | TransactionStopped, case: Case) -> None:
    """A message names transaction -1. A note if the start has no answer yet, an error if it was given an id."""
    x, transaction = what.exchange, what.transaction
    if x.asked.whole("transactionId") != -1 or (transaction.id == "-1" and transaction.start is not None):
        return
    if transaction.start is None:
        case.find(f"{x.action} names transaction -1.", what, key=x.action)
    elif transaction.id:
        case.find(
            f"{x.action} names transaction -1, though the CSMS had given it the id {named(transaction.id)}.", what,
            severity=ERROR, key=x.action, refs=(*transaction.start.refs, *what.refs),
        )  # fmt: skip
    else:
        text = f"{x.action} names transaction -1, since StartTransaction has had no answer."
        case.find(text, what, severity=NOTE, key=x.action)


@rule(
    "tx-id-not-unique",
    on=answered("StartTransaction"),
    severity=ERROR,
    blame=Blame.CSMS,
    versions=V16,
    title="The CSMS gave a transactionId that is no proper one",
    advice="The CSMS has to give each transaction a new positive id. Look how it makes them: a counter of a "
    "connector, the time, or a default that was never filled in.",
    spec="1.6 errata 3.54",
)
def tx_id_not_unique(x: Exchange, case: Case) -> None:
    """An accepted StartTransaction is given an id that another transaction had, or one below 1."""
    id_, known = id_of(x.answered.data.get("transactionId")), x.station.transactions
    if x.error or not id_ or x.status not in ("", "Accepted"):
        return
    mine = known.started_by(x)
    others = (one for one in known.latest if one is not mine and one.start is not None and one.has_id(id_))
    other = next((one for one in others if x.station.is_known or one.link is x.link), None)
    if id_ == "0" or id_.startswith("-"):
        case.find(f"The CSMS accepted a transaction and gave it the id {id_}.", x, key="value")
    elif other is not None:
        state = "is still open" if other.is_open else "had ended"
        case.find(
            f"The CSMS gave two transactions the id {named(id_)}; the first, on connector {other.place[0]}, {state}.",
            x, key="again", refs=(*(other.start.refs if other.start else ()), *x.refs),
        )  # fmt: skip


@rule(
    "tx-duplicate-start",
    on=answered("StartTransaction"),
    severity=WARNING,
    blame=Blame.STATION,
    versions=V16,
    title="StartTransaction was sent again",
    advice="A station may send it again if it got no answer. The CSMS has to know it again by connector, token, time "
    "and meter, and to answer with the same id.",
    spec="1.6 §3.7.1",
)
def tx_duplicate_start(x: Exchange, case: Case) -> None:
    """A StartTransaction equals an earlier one. A note if that had no answer, an error if two ids were given."""
    transaction = x.station.transactions.started_by(x)
    if transaction is None or len(transaction.starts) < 2 or x is transaction.starts[0]:
        return
    refs = tuple(ref for one in transaction.starts for ref in one.refs)
    before = [one for one in transaction.starts if one is not x and one.asked_ns <= x.asked_ns]
    ids = {id_of(one.answered.data.get("transactionId")) for one in (*before, x) if not one.error} - {""}
    if len(ids) > 1:
        text = f"StartTransaction was sent again, and the CSMS gave {len(ids)} different ids for one transaction."
        case.find(text, x, severity=ERROR, blame=Blame.CSMS, refs=refs)
    elif any(one.answer_ordinal >= 0 and not one.error for one in before):
        case.find("The station sent StartTransaction again, though it had been answered.", x, refs=refs)
    else:
        case.find("The station sent StartTransaction again, since it had no answer.", x, severity=NOTE, refs=refs)


# --- how it went ---------------------------------------------------------------------------------------------------


@rule(
    "tx-very-short",
    on=TransactionStopped,
    severity=NOTE,
    priority=3,
    title="A transaction was very short",
    advice="The start was aborted, the vehicle refused, or a contactor or cable is faulty. Look at the stop's reason "
    "and at the connector's status.",
    limits={
        "short": seconds(60, "duration below which it is very short"),
        "row": amount(3, "transactions", "very short ones in a row on a connector that are warned of"),
    },
)
def tx_very_short(what: TransactionStopped, case: Case) -> None:
    """A transaction lasts less than `short`. A warning from `row` in a row on a connector."""
    transaction, rows = what.transaction, case.memory(what.station)
    duration, number = transaction.duration_ns, transaction.place[0]
    if duration is None or not 0 <= duration < case["short"]:
        rows.pop(number, None)
        return
    row = rows[number] = rows.get(number, 0) + 1
    if len(rows) > MAX_PLACES:
        del rows[number]
        case.let_go()
    text = f"A transaction lasted {span(duration)}."
    if row >= case["row"]:
        text = f"The last {row} transactions at one place were very short, this one {span(duration)}."
    case.find(text, what, severity=WARNING if row >= case["row"] else NOTE, key=number)


@rule(
    "tx-very-long",
    on=TransactionStopped,
    severity=NOTE,
    priority=3,
    title="A transaction was very long",
    advice="Look whether the vehicle was parked that long, or the stop was forgotten.",
    limits={"long": hours(24, "duration beyond which it is very long")},
)
def tx_very_long(what: TransactionStopped, case: Case) -> None:
    """A transaction lasts more than `long`."""
    duration = what.transaction.duration_ns
    if duration is not None and duration > case["long"]:
        case.find(f"A transaction lasted {span(duration)}.", what)


@rule(
    "tx-zero-energy",
    on=TransactionStopped,
    severity=WARNING,
    title="A transaction without energy",
    advice="The vehicle did not charge, the meter is faulty or not connected, or the station sends 0 in place of a "
    "reading. Compare with the connector's status and with the power that was reported.",
    limits={
        "energy": amount(10, "Wh", "energy below which it counts as none"),
        "duration": minutes(5, "duration beyond which there should be some"),
    },
)
def tx_zero_energy(what: TransactionStopped, case: Case) -> None:
    """A transaction that was accepted lasts more than `duration`, and its meter gains less than `energy`."""
    transaction = what.transaction
    duration, gained = _measured(transaction)
    if gained is None or duration <= case["duration"] or not transaction.was_accepted or transaction.start is None:
        return
    if 0 <= gained < case["energy"]:
        peak = max((power for _, power in transaction.power), default=None)
        power = f" The power that it reported was up to {figure(peak, 'W')}." if peak is not None else ""
        case.find(
            f"A transaction of {span(duration)} ended with {figure(gained, 'Wh')} charged.{power}", what,
            measured=tag_measured(transaction.tag),
        )  # fmt: skip


def _measured(transaction: Transaction) -> tuple[int, float | None]:
    """The time between two readings of the register, and their difference."""
    stop = transaction.stop
    if stop is not None and stop.action == "StopTransaction":
        known = transaction.meter_start is not None and transaction.meter_stop is not None
        return transaction.duration_ns or 0, transaction.energy_wh if known else None
    if len(transaction.energy) < 2:
        return 0, None
    (first_ns, first), (last_ns, last) = transaction.energy[0], transaction.energy[-1]
    return last_ns - first_ns, last - first


_REASONS = {
    "EmergencyStop": "the emergency stop was pressed",
    "PowerLoss": "the station lost its power",
    "Reboot": "the station rebooted",
    "HardReset": "the station was reset hard",
    "ImmediateReset": "the station was reset at once",
    "DeAuthorized": "the token was not accepted",
    "Other": "something that the station does not name",
    "GroundFault": "a ground fault",
    "OvercurrentFault": "an overcurrent",
    "PowerQuality": "the mains is bad",
    "Timeout": "a vehicle did not connect or take energy in time",
    "EVDisconnected": "the cable was unplugged at the vehicle",
}
_RESETS = frozenset({"HardReset", "ImmediateReset", "Reboot"})


@rule(
    "tx-abnormal-stop",
    on=(asked("Reset"), TransactionStopped),
    severity=WARNING,
    title="A transaction did not end as intended",
    advice="Look at what the station reported just before: faults, resets, refused tokens. If it happens again, let "
    "the hardware be examined.",
    spec="1.6 §7.36; 2.0.1 E06.FR.08",
    limits={"reset": minutes(5, "how long a Reset by the CSMS explains a stop, which is then only noted")},
)
def tx_abnormal_stop(what: Exchange | TransactionStopped, case: Case) -> None:
    """A transaction is stopped for a reason that is a fault. A note for EVDisconnected and after a Reset."""
    resets = case.memory(what.station)
    if not isinstance(what, TransactionStopped):
        resets["asked"] = what.asked_ns
        return
    reason = what.transaction.reason
    if reason in _REASONS:
        meant = reason in _RESETS and what.time_ns - resets.get("asked", -case["reset"] - 1) <= case["reset"]
        note = meant or reason == "EVDisconnected"
        because = "the CSMS asked for a reset" if meant else _REASONS[reason]
        case.find(
            f"A transaction was stopped with reason {reason}: {because}.", what, key=reason,
            severity=NOTE if note else WARNING, measured=tag_measured(what.transaction.tag),
        )  # fmt: skip


@rule(
    "tx-reservation-missing",
    on=TransactionStarted,
    severity=WARNING,
    priority=3,
    blame=Blame.STATION,
    versions=V16,
    title="A transaction on a reserved connector does not name the reservation",
    advice="The CSMS cannot tell that the reservation was used. Check that the station puts reservationId into "
    "StartTransaction, and that it lets nobody else charge there.",
    spec="1.6 §4.8, §5.13",
    mute=Mute.GAP | Mute.REPLAY,
)
def tx_reservation_missing(what: TransactionStarted, case: Case) -> None:
    """StartTransaction comes while its connector is Reserved, or was just before, and names no reservation."""
    connector = what.station.connectors.get((what.transaction.place[0], 0))
    if connector is None or "reservationId" in what.exchange.asked:
        return
    if connector.status == "Reserved" or (connector.previous == "Reserved" and connector.status in _AFTER_RESERVED):
        text = f"A transaction started on connector {connector.place[0]}, which was Reserved, without reservationId."
        case.find(text, what, measured=measured_tag(what.exchange))


_AFTER_RESERVED = frozenset({"Preparing", "Charging"})


@rule(
    "tx-energy-after-stop",
    on=SampledToCompare,
    severity=ERROR,
    priority=2,
    blame=Blame.STATION,
    title="Energy flows after the transaction was stopped",
    advice="Nobody pays for this energy, and the contactor may be stuck: look at the hardware. If a new session "
    "began, the station did not send its start.",
    spec="1.6 §4.10",
    limits={
        "wait": seconds(60, "how long power may take to go down"),
        "power": amount(100, "W", "power beyond which it still charges"),
        "energy": amount(50, "Wh", "rise of the register beyond which it still charges"),
    },
    mute=Mute.GAP | Mute.REPLAY,
)
def tx_energy_after_stop(what: SampledToCompare, case: Case) -> None:
    """Meter values show more than `power`, or a register that rises by `energy`, `wait` after the stop or later."""
    number = what.place[0]
    if (what.transaction is not None and what.transaction.is_open) or number <= 0:
        return
    last = what.station.transactions.last_at(number)
    if last is None or last.stopped_ns is None or what.station.transactions.open_at(number) is not None:
        return
    taken = [one.time_ns for one in what.samples if one.time_ns is not None]
    since = (taken[-1] - last.stop_stamp_ns) if taken and last.stop_stamp_ns else what.time_ns - last.stopped_ns
    if min(since, what.time_ns - last.stopped_ns) <= case["wait"] or what.station.gap_since(last.stopped_ns):
        return
    power, rise = power_of(what.samples), _rise(what, last, case)
    if power > case["power"] or rise > case["energy"]:
        how = f"{figure(power, 'W')} flows" if power > case["power"] else f"{figure(rise, 'Wh')} flowed"
        case.find(
            f"{how} on {place_of(last)}, {span(since)} after its transaction was stopped.", what, key=number,
            refs=(*(last.stop.refs if last.stop else ()), *what.refs),
        )  # fmt: skip


def _rise(what: SampledToCompare, last: Transaction, case: Case) -> float:
    """How much the register has gained since its first value after the stop, Wh."""
    readings = [
        one.value for one in what.samples
        if one.measurand == REGISTER and not one.phase and one.location == "Outlet" and one.value is not None
    ]  # fmt: skip
    first, number = case.memory(what.station), what.place[0]
    if not readings:
        return 0.0
    if number not in first and len(first) >= MAX_PLACES:
        case.let_go()
        return 0.0
    if first.get(number, (None, 0.0))[0] is not last:
        first[number] = last, readings[0]
    return float(readings[-1] - first[number][1])


@rule(
    "tx-stale-message",
    on=(TransactionStarted, TransactionStopped),
    severity=WARNING,
    priority=2,
    title="A transaction was reported more than a day late",
    advice="A message stuck in the station's queue and is tried again and again. Let the CSMS take it, or clear the "
    "queue; what comes after it may be waiting.",
    spec="1.6 §3.7",
    limits={"age": hours(24, "age of the timestamp beyond which it is stale")},
)
def tx_stale_message(what: TransactionStarted | TransactionStopped, case: Case) -> None:
    """A start or stop carries a timestamp that is older than `age` by the station's clock."""
    x = what.exchange
    stamp = x.stamp_ns
    if stamp is None or stamp < _CLOCK_SET_NS:
        return
    age = what.station.clock.station_time(x.asked_ns) - stamp
    if age > case["age"]:
        text = f"{x.action} came {span(age)} after its timestamp."
        case.find(text, x, key=x.action)


_CLOCK_SET_NS = 1_577_836_800_000_000_000  # 2020: a clock that shows less was never set
