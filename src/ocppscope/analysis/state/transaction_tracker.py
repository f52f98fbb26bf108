"""Transactions of either version (OCPP 1.6 §4.8, §4.10; 2.0.1 E): when they start, what they measure, how they stop.

A transaction is found by its id; in 1.6 also before it has one, and by -1 or 0 where a station never got one. What is
sent again adds nothing but a count. Old messages of a queue change what they are about and not what goes on now.

Most messages only go on with a transaction that is known. Who is asked for is remembered until something changes, and
what is out of the ordinary is told of by itself (`TransactionUpdatedOddly`, `SampledToCompare`, `Overtaken` and the
phases `misnamed`, `hollow`, `tried`, `judged`, `foreign`), so that rules need not look at each message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ocppscope.analysis.happenings import (
    Overtaken,
    Sampled,
    SampledToCompare,
    Stamped,
    TransactionStarted,
    TransactionStopped,
    TransactionUpdated,
    TransactionUpdatedOddly,
)
from ocppscope.analysis.payload import Payload
from ocppscope.analysis.state.metering import meter_values, samples_of
from ocppscope.analysis.state.meters import MeterTracker
from ocppscope.analysis.state.stamps import instant
from ocppscope.analysis.state.transactions import (
    HUGE,
    MAX_ID,
    MAX_MEASURED_IN_ALL,
    MAX_MISSING,
    MAX_PLACES,
    MAX_SAMPLED_IN_ALL,
    MAX_STARTS,
    NO_IDS,
    Transaction,
    bare,
    id_of,
    tag_of,
)
from ocppscope.model import Outcome, Side, Version

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.state.transactions import Sign, Told
    from ocppscope.analysis.station import Exchange, Place

AHEAD_NS = 2_000_000_000
"""A timestamp beyond is from a clock that was ahead and was set since, and says nothing of the order of messages."""

_MAX_NUMBER = 1 << 31

_STATION, _V16 = Side.STATION, Version.V16
_AGAIN = frozenset({Outcome.RESENT, Outcome.REUSED_ID})


class TransactionTracker:
    """Follows the transactions of all stations. It has `Exchange.stamp_ns` from the clock's tracker."""

    actions = (
        "StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent", "RemoteStartTransaction",
        "RequestStartTransaction", "RemoteStopTransaction", "RequestStopTransaction",
    )  # fmt: skip

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._meters = MeterTracker(bus)
        self._stopped: deque[Transaction] = deque()  # of all stations, as far as their readings are remembered

    def asked(self, x: Exchange) -> None:
        """A message about a transaction; one from the wrong side is none."""
        known = x.station.transactions
        if x.side is _STATION:
            if x.replayed:
                known.replayed_ns = x.asked_ns
            follow = _FOLLOW.get(x.action)
            if follow is not None:
                follow(self, x)
        elif x.action in ("RemoteStartTransaction", "RequestStartTransaction"):
            known.remote_starts.append(x)
        elif x.action in ("RemoteStopTransaction", "RequestStopTransaction"):
            known.remote_stops.append(x)

    def answered(self, x: Exchange) -> None:
        """A 1.6 transaction gets its id; the CSMS says what it thinks of a token."""
        if x.error or x.station.transactions.failing:
            self._tried(x)
        if x.action == "TransactionEvent":
            if "idTokenInfo" in x.answered.data and not x.error:
                if x.transaction is not None:
                    x.transaction.verdict = x.status[:MAX_ID]
                self._bus.exchange("judged", x)
        elif x.action == "StartTransaction" and x.side is _STATION:
            self._take_id(x)

    def unanswered(self, x: Exchange) -> None:
        """A 1.6 transaction gets none."""
        self._tried(x)
        if x.action == "StartTransaction" and x.side is _STATION:
            self._tell_started(x, _started_by(x), x.time_ns)

    def _tried(self, x: Exchange) -> None:
        failed = bool(x.error) or x.outcome is Outcome.TIMEOUT
        if x.action in _FOLLOW and (failed or x.answer_ordinal >= 0):
            x.station.transactions.failing = failed
            self._bus.exchange("tried", x)

    def _take_id(self, x: Exchange) -> None:
        known, transaction = x.station.transactions, _started_by(x)
        transaction.verdict = "" if x.error else x.answered.table("idTagInfo").text("status")[:MAX_ID]
        id_ = "" if x.error else id_of(x.answered.data.get("transactionId"))
        if id_ and id_ != transaction.id:
            if transaction.id:
                transaction.other_ids = (*transaction.other_ids, transaction.id)[-MAX_STARTS:]
            transaction.id = id_
            known.changed()
        if id_:
            known.issued.append(id_)
        self._tell_started(x, transaction, x.time_ns)

    def _tell_started(self, x: Exchange, transaction: Transaction, now: int) -> None:
        if not transaction.told:
            transaction.told = True
            self._bus.happens(TransactionStarted(x.station, x.link, now, x.ref, transaction, x))

    # --- 1.6 --------------------------------------------------------------------------------------------------

    def _start(self, x: Exchange) -> None:
        known = x.station.transactions
        before = next((one for one in reversed(known.latest) if _is_resent(one, x)), None)
        if before is not None:
            x.transaction = before
            before.start, before.link, before.last_ns = x, x.link, x.asked_ns
            before.starts.append(x)
            return
        transaction = x.transaction = Transaction((_number(x.asked.data.get("connectorId")), 0), x.link)
        self._begin(x, transaction)
        known.add(transaction)
        self._order(x, transaction.place[0], is_edge=True)

    @staticmethod
    def _begin(x: Exchange, transaction: Transaction) -> None:
        transaction.start = x
        transaction.starts.append(x)
        transaction.started_ns = transaction.last_ns = x.asked_ns
        transaction.start_stamp_ns = x.stamp_ns
        if "meterStart" in x.asked:
            transaction.meter_start = x.asked.number("meterStart")
        transaction.tag = tag_of(x.asked)
        _take_place(x, transaction)

    def _stop(self, x: Exchange) -> None:
        known, id_ = x.station.transactions, id_of(x.asked.data.get("transactionId"))
        transaction = self._named(x, id_)
        if transaction is None:
            transaction = Transaction((0, 0), x.link, id_)
            known.add(transaction)
        x.transaction = transaction
        transaction.link = x.link
        if transaction.stopped_ns is not None:
            transaction.stop = x  # sent again
        else:
            transaction.meter_stop = x.asked.number("meterStop")
            transaction.reason = x.asked.text("reason")[:MAX_ID] or "Local"
            self._sampled(x, transaction, transaction.place)
            self._end(x, transaction)
            self._order(x, transaction.place[0], is_edge=True)
        if transaction.start is None or id_ in NO_IDS:
            self._bus.exchange("misnamed", x)

    def _end(self, x: Exchange, transaction: Transaction) -> None:
        transaction.stop = x
        transaction.stopped_ns = transaction.last_ns = x.asked_ns
        transaction.stop_stamp_ns = x.stamp_ns
        transaction.meter.forget_layout()
        x.station.transactions.changed()
        self._remember(transaction)
        self._bus.happens(TransactionStopped(x.station, x.link, x.asked_ns, x.ref, transaction, x))

    def _remember(self, transaction: Transaction) -> None:
        """Of too many that have stopped, the readings of the first one are forgotten."""
        stopped = self._stopped
        stopped.append(transaction)
        while not stopped[0].is_measured:
            stopped.popleft()
        if len(stopped) > MAX_SAMPLED_IN_ALL:
            stopped[-1 - MAX_SAMPLED_IN_ALL].forget_samples()
        if len(stopped) > MAX_MEASURED_IN_ALL:
            stopped.popleft().forget_readings()

    @staticmethod
    def _named(x: Exchange, id_: str, number: int = 0) -> Transaction | None:
        """The one that a message names; by -1 or 0, one that got no id, else the only one that goes on."""
        known = x.station.transactions
        found = known.get(id_)
        if id_ not in NO_IDS or (found is not None and found.stopped_ns is None):
            return found
        said = bare(x.asked)
        again = next((one for one in known.latest if one.stop is not None and bare(one.stop.asked) == said), None)
        if again is not None:
            return again
        at = [one for one in known.all_open() if number in (0, one.place[0])]
        going = [one for one in at if _may_stop(one, x)]
        nameless = next((one for one in going if not one.id), None)
        return nameless or (going[0] if len(at) == 1 and going else None)

    def _metered(self, x: Exchange) -> None:
        known, data = x.station.transactions, x.asked.data
        number = _number(data.get("evseId" if "evseId" in data else "connectorId"))
        if "transactionId" not in data:
            x.transaction = known.open_at(number) if number else None
            self._sampled(x, x.transaction, (number, 0))
            self._order(x, number)
            return
        id_ = id_of(data["transactionId"])
        transaction = known.get(id_)
        if transaction is None or id_ in NO_IDS or not transaction.place[0]:
            transaction = self._measured(x, id_, number)
        x.transaction = transaction
        is_own = transaction is not None and id_ not in NO_IDS and (transaction.id == id_ or transaction.has_id(id_))
        if transaction is not None:
            transaction.link, transaction.last_ns = x.link, x.asked_ns
        self._sampled(x, transaction, (number, 0), goes_on=is_own)
        self._order(x, number)
        if transaction is not None:
            self._bus.happens(TransactionUpdated(x.station, x.link, x.asked_ns, x, transaction, x))
            if id_ == "-1":
                self._bus.happens(TransactionUpdatedOddly(x.station, x.link, x.asked_ns, x.ref, transaction, x))
        if transaction is None or not is_own or transaction.start is None:
            self._bus.exchange("misnamed", x)

    def _measured(self, x: Exchange, id_: str, number: int) -> Transaction | None:
        """The transaction that MeterValues name; if they do not, the one at their connector."""
        known = x.station.transactions
        transaction = self._named(x, id_, number) or (known.open_at(number) if number else None)
        if transaction is None and id_ not in NO_IDS:
            transaction = Transaction((number, 0), x.link, id_)  # it started before the capture
            known.add(transaction)
        elif transaction is not None and number and not transaction.place[0]:
            transaction.place = number, 0
            known.changed()
        return transaction

    # --- 2.x --------------------------------------------------------------------------------------------------

    def _event(self, x: Exchange) -> None:
        known, data = x.station.transactions, x.asked.data
        info = data.get("transactionInfo")
        if type(info) is not dict:
            info = {}
        kind, id_ = data.get("eventType"), info.get("transactionId")
        id_ = id_[:MAX_ID] if type(id_) is str else ""
        transaction = known.get(id_)
        if transaction is None or (kind == "Started" and not _is_retry(transaction, x)):
            transaction = Transaction((0, 0), x.link, id_)
            known.add(transaction)
        x.transaction, start, evse = transaction, transaction.start, data.get("evse")
        repeats = evse is not None and start is not None and start.asked.data.get("evse") == evse
        if evse is not None and not repeats:
            self._place(x, transaction)
        if kind == "Started":
            if start is None:
                self._begin(x, transaction)
            else:
                transaction.starts.append(x)
        _count(transaction, x, kind)
        _learn(transaction, x, info)
        if transaction.step != "retry":
            if repeats and transaction.evse_repeated is None:
                transaction.evse_repeated = x
            if "meterValue" in data:
                goes_on = kind == "Updated" and transaction.step in _IN_ORDER
                self._sampled(x, transaction, transaction.place, goes_on=goes_on)
            if transaction.place[0]:
                self._order(x, transaction.place[0])
        if kind == "Updated":
            self._tell_updated(x, transaction, info)
        else:
            self._tell_event(x, transaction, kind, info)
        if x.link.connection.version is _V16:
            self._bus.exchange("foreign", x)

    @staticmethod
    def _place(x: Exchange, transaction: Transaction) -> None:
        evse = x.asked.table("evse").data
        place = _number(evse.get("id")), _number(evse.get("connectorId"))
        known = transaction.place
        if place != known and place[0] and (not known[0] or (place[0] == known[0] and place[1])):
            transaction.place = place
            x.station.transactions.changed()
            if not known[0] and transaction.told:  # it began without one
                _take_place(x, transaction)

    def _tell_event(self, x: Exchange, transaction: Transaction, kind: object, info: dict[str, Any]) -> None:
        if kind == "Ended" and transaction.is_open:
            reason = info.get("stoppedReason")
            transaction.reason = (reason[:MAX_ID] if type(reason) is str else "") or "Local"
            if transaction.energy:
                transaction.meter_stop = transaction.energy[-1][1]
            self._end(x, transaction)
        elif kind == "Started" and not transaction.told:
            self._tell_started(x, transaction, x.asked_ns)
        else:
            self._tell_updated(x, transaction, info)

    def _tell_updated(self, x: Exchange, transaction: Transaction, info: dict[str, Any]) -> None:
        self._bus.happens(TransactionUpdated(x.station, x.link, x.asked_ns, x, transaction, x))
        if _is_odd(transaction, x, info):
            self._bus.happens(TransactionUpdatedOddly(x.station, x.link, x.asked_ns, x.ref, transaction, x))

    # --- both -------------------------------------------------------------------------------------------------

    def _order(self, x: Exchange, number: int, *, is_edge: bool = False) -> None:
        """Holds the timestamp of a message against the latest one of its place, or of all starts and stops."""
        stamp, known = x.stamp_ns, x.station.transactions
        if stamp is None:
            return
        told = stamp, x.asked_ns, x.action, x.link.number, x.ordinal, x.packet
        before = known.stamped.get(number)
        if before is not None and before[0] <= stamp and not is_edge:
            known.stamped[number] = told
            return
        edge = known.edge if is_edge else None
        is_behind, is_behind_edge = _is_after(before, stamp), _is_after(edge, stamp)
        if not is_behind and (before is not None or len(known.stamped) < MAX_PLACES):
            known.stamped[number] = told
        if is_edge and not is_behind_edge:
            known.edge = told
        if (is_behind or is_behind_edge) and x.outcome not in _AGAIN:
            at_place = Stamped(*before) if is_behind and before is not None else None
            on_edge = Stamped(*edge) if is_behind_edge and edge is not None else None
            self._bus.happens(Overtaken(x.station, x.link, x.asked_ns, x, x, at_place, on_edge))

    def _sampled(self, x: Exchange, transaction: Transaction | None, place: Place, *, goes_on: bool = False) -> None:
        """Looks for samples. `goes_on`: the message names the transaction, and is the next one if that is open."""
        station, samples = x.station, None
        is_open = transaction is not None and transaction.stopped_ns is None
        if transaction is None or not is_open or not goes_on or not self._go_on(x, transaction):
            samples = samples_of(meter_values(x))
            if x.action == "MeterValues" and (not samples or _is_hollow(x)):
                self._bus.exchange("hollow", x)
            if not samples:
                return
            self._meters.follow(x, transaction, place, samples)
        if transaction is not None:
            transaction.samples += 1
            transaction.last_ns = x.asked_ns
        self._bus.happens(Sampled(station, x.link, x.asked_ns, x, x, transaction, place, samples))
        if (
            transaction is None or not is_open or not transaction.was_accepted
            or station.charging.installed or station.configuration.measurands is not None
        ):  # fmt: skip
            self._bus.happens(SampledToCompare(station, x.link, x.asked_ns, x, x, transaction, place, samples))

    def _go_on(self, x: Exchange, transaction: Transaction) -> bool:
        """Whether a message has samples like those before, and no more had to be done than to take them."""
        data = x.asked.data
        try:
            (value,) = data["meterValue"]
            sampled, text = value["sampledValue"], value["timestamp"]
        except (KeyError, TypeError, ValueError):
            return False
        if type(sampled) is not list or type(text) is not str:
            return False
        at = x.stamp_ns if data.get("timestamp", text) == text else instant(text)
        return at is not None and self._meters.follow_plainly(x, transaction, sampled, at)


_FOLLOW: dict[str, Callable[[TransactionTracker, Exchange], None]] = {
    "StartTransaction": TransactionTracker._start,
    "StopTransaction": TransactionTracker._stop,
    "MeterValues": TransactionTracker._metered,
    "TransactionEvent": TransactionTracker._event,
}


def _number(value: object) -> int:
    """The number of a connector or EVSE, 0 if it is none."""
    if type(value) is int:
        return value if -_MAX_NUMBER <= value <= _MAX_NUMBER else 0
    return _number(int(value)) if type(value) is float and value.is_integer() else 0


def _take_place(x: Exchange, transaction: Transaction) -> None:
    """What goes on at its place is superseded; an old message of a queue is superseded by what goes on there now."""
    number = transaction.place[0]
    others = [one for one in x.station.transactions.all_open() if one.place[0] == number and one is not transaction]
    began = transaction.start_stamp_ns
    for there in others if number else ():
        now_there = there.start_stamp_ns
        if x.replayed and began is not None and now_there is not None and began < now_there:
            transaction.superseded = True
        else:
            there.superseded = True
    x.station.transactions.changed()


def _started_by(x: Exchange) -> Transaction:
    found = x.station.transactions.started_by(x)
    if found is None:  # so many others since that it was forgotten
        found = Transaction((_number(x.asked.data.get("connectorId")), 0), x.link)
        found.start = x
    return found


_SAME = ("timestamp", "connectorId", "idTag", "meterStart")


def _is_resent(transaction: Transaction, x: Exchange) -> bool:
    start = transaction.start
    if start is None or start.action != "StartTransaction" or not x.asked.text("timestamp"):
        return False
    before, now = start.asked.data, x.asked.data
    return all(before.get(name) == now.get(name) for name in _SAME)


def _may_stop(transaction: Transaction, x: Exchange) -> bool:
    """Whether a message that names no id may be about it: it does not go back in time nor in energy."""
    stamp, stop = x.asked.time_ns("timestamp"), x.asked.number("meterStop")
    started, start = transaction.start_stamp_ns, transaction.meter_start
    return (stamp is None or started is None or stamp >= started) and (stop is None or start is None or stop >= start)


def _is_retry(transaction: Transaction, x: Exchange) -> bool:
    """Whether Started is about a known transaction: again, or late.

    What begins after the last that was heard of it is another transaction with its id. A new timestamp alone does not
    make it one, if the first had no answer.
    """
    start, stamp = transaction.start, x.stamp_ns
    if start is None:
        last = transaction.recent[-1][1] if transaction.recent else None
        return stamp is None or last is None or stamp <= last
    if transaction.start_stamp_ns == stamp:
        return True
    return start.answer_ordinal < 0 and start.asked.whole("seqNo") == x.asked.whole("seqNo")


def _count(transaction: Transaction, x: Exchange, kind: object) -> None:
    """Takes a seqNo, which may begin anywhere and goes up by one (2.0.1 Part 2 E, 1.3.2)."""
    seq: object = x.asked.data.get("seqNo")
    if type(seq) is not int:
        seq = x.asked.whole("seqNo")
    if seq is None or not -HUGE < seq < HUGE:
        transaction.step = ""
        return
    sign = seq, x.stamp_ns, kind[:MAX_ID] if isinstance(kind, str) else ""
    first, last = transaction.first_seq, transaction.last_seq
    transaction.seqs += 1
    if last is not None and seq == last + 1:
        transaction.step = "next"
        transaction.last_seq = seq
    else:
        transaction.step = _step(transaction, x, seq, sign)
        transaction.first_seq = seq if first is None else min(first, seq)
        transaction.last_seq = seq if last is None else max(last, seq)
    transaction.recent.append(sign)


def _step(transaction: Transaction, x: Exchange, seq: int, sign: Sign) -> str:
    """How a seqNo follows that is not the next one."""
    first, last = transaction.first_seq, transaction.last_seq
    if first is None or last is None or (seq > last and x.station.gap_since(transaction.last_ns)):
        return ""  # what there was between is not known
    if seq > last:
        _miss(transaction, last + 1, seq)
        return "gap"
    if seq < first:
        _miss(transaction, seq + 1, first)
        return "late"
    if seq in transaction.missing:
        del transaction.missing[seq]
        transaction.missing_seqs -= 1
        return "late"
    if sign in transaction.recent:
        return "retry"
    # one that was there before, with another content; of one long ago nothing is known
    return "clash" if any(one[0] == seq for one in transaction.recent) else ""


def _miss(transaction: Transaction, first: int, end: int) -> None:
    transaction.missing_seqs += end - first
    for seq in range(first, min(end, first + MAX_MISSING - len(transaction.missing))):
        transaction.missing[seq] = None


def _learn(transaction: Transaction, x: Exchange, info: dict[str, Any]) -> None:
    """Takes what an event says of its transaction besides."""
    data, state = x.asked.data, info.get("chargingState")
    transaction.link, transaction.last_ns = x.link, x.asked_ns
    if not transaction.tag and ("idToken" in data or "idTag" in data):
        transaction.tag = tag_of(x.asked)
    if type(state) is str and state:
        transaction.charging_state = state[:MAX_ID]
    if data.get("offline") is True:
        transaction.offline = True
    if "remoteStartId" in info:
        transaction.remote_start_id = Payload(info).whole("remoteStartId")


_FINE = frozenset({"", "next", "late"})
_IN_ORDER = frozenset({"", "next"})


def _is_odd(transaction: Transaction, x: Exchange, info: dict[str, Any]) -> bool:
    """Whether an event does not just go on, see `TransactionUpdatedOddly`."""
    state = info.get("chargingState")
    return (
        transaction.step not in _FINE
        or transaction.stop is not None
        or (transaction.start is None and transaction.seqs <= 1)
        or transaction.evse_repeated is x
        or state == "SuspendedEVSE"
        or (state is None and x.asked.data.get("triggerReason") == "ChargingStateChanged")
    )


def _is_after(before: Told | None, stamp: int) -> bool:
    """Whether a message that came before has a later timestamp, and not from a clock that was ahead."""
    return before is not None and stamp < before[0] <= before[1] + AHEAD_NS


def _is_hollow(x: Exchange) -> bool:
    """Whether a MeterValue holds an empty list."""
    return any(value.data.get("sampledValue") == [] for value in x.asked.tables("meterValue"))
