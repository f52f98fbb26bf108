"""A driver's visit step by step: plugged in, authorized, started, charging, stopped, gone.

Arrival times; old messages of an offline queue are left out, since they say nothing about how long anything took.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.happenings import (
    StatusChanged,
    TransactionStarted,
    TransactionStopped,
    TransactionUpdated,
    answered,
    asked,
    unanswered,
)
from ocppscope.analysis.state.connections import seconds_of
from ocppscope.analysis.state.transactions import id_of, tag_of
from ocppscope.analysis.timing.figures import MINUTE, Unit, above, figure
from ocppscope.analysis.timing.ledger import PerStation
from ocppscope.model import Side

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Exchange, Station
    from ocppscope.analysis.timing.ledger import Ledger

MAX_PLACES = 512
"""Connectors or EVSEs of a station that are followed."""
MAX_WAITING = 32
"""Authorizations, remote starts and remote stops of a station that may still lead to something."""
MAX_TRIPS = 1 << 15
"""Transactions whose course is followed, the latest."""
LEADS_TO_NS = 10 * MINUTE
"""How long a remote start or an authorization may lead to a transaction."""

STARTS = ("RemoteStartTransaction", "RequestStartTransaction")
STOPS = ("RemoteStopTransaction", "RequestStopTransaction")

_LEFT_OUT = "`not_followed` counts those that were left out, since others were being followed"

PLUGGED = figure(
    "plug-to-charging", "transactions", "Plugged in to charging", Unit.TIME,
    f"From Preparing (2.x: Occupied or EVConnected) to Charging, on the same connector. {_LEFT_OUT} on {MAX_PLACES} "
    "connectors.",
    limits=above(None, 60),
)  # fmt: skip
AUTHORIZED = figure(
    "authorize-to-start", "transactions", "Authorized to start", Unit.TIME,
    "From the accepted answer to Authorize to the first message of a transaction with the same tag. Flagged "
    "(`beyond`) if it took longer than the station's connection timeout, as far as that was read or set. "
    f"{_LEFT_OUT}: {MAX_WAITING} tags.",
    alarms={"beyond": Severity.WARNING},
)  # fmt: skip
REMOTE = figure(
    "remote-start", "transactions", "Remote start to start", Unit.TIME,
    "From the CALL that starts a transaction remotely to the first message of a transaction that has its "
    "remoteStartId, or its tag on its connector. Refused remote starts do not count. "
    f"{_LEFT_OUT}: {MAX_WAITING} CALLs.",
    limits=above(15, None, 120),
)  # fmt: skip
REMOTE_STEPS = figure(
    "remote-start-steps", "transactions", "Remote start to …", Unit.TIME,
    "From the same CALL to its answer, to the Authorize with its tag, and to Charging.",
    split=("to",),
)  # fmt: skip
REMOTE_STOP = figure(
    "remote-stop", "transactions", "Remote stop to stop", Unit.TIME,
    "From the CALL that stops a transaction remotely to the message that it has stopped. Refused ones do not count. "
    f"{_LEFT_OUT}: {MAX_WAITING} CALLs.",
    limits=above(10, None, 60),
)  # fmt: skip
REMOTE_STOP_ANSWER = figure(
    "remote-stop-answer", "transactions", "Remote stop to answer", Unit.TIME,
    "From the CALL that stops a transaction remotely to its answer.",
)  # fmt: skip
CHARGING = figure(
    "start-to-charging", "transactions", "Start to charging", Unit.TIME,
    "From the first message of a transaction to the status or charging state Charging.",
    limits=above(None, 60),
)  # fmt: skip
GONE = figure(
    "stop-to-available", "transactions", "Stop to available", Unit.TIME,
    "From the message that a transaction has stopped to Available on its connector: how long the car stays. "
    f"{_LEFT_OUT} on {MAX_PLACES} connectors.",
    limits=above(None, 1800),
)  # fmt: skip
FINISHING = figure(
    "finishing", "transactions", "Finishing", Unit.TIME, "How long connectors were in the 1.6 status Finishing."
)


class Trip:
    """One transaction that goes on."""

    __slots__ = ("charging", "remote_ns", "started_ns")

    def __init__(self) -> None:
        self.started_ns: int | None = None  # arrival of its start; None: not seen, or old
        self.remote_ns: int | None = None  # when it was started remotely
        self.charging = False


class Visits:
    """What is kept of a station."""

    __slots__ = ("authorized", "plugged", "starting", "stopped", "stopping")

    def __init__(self) -> None:
        self.plugged: dict[int, int] = {}  # connector or EVSE → since when
        self.stopped: dict[int, int] = {}
        self.authorized: dict[str, int] = {}  # tag → when
        self.starting: deque[Exchange] = deque()
        self.stopping: deque[Exchange] = deque()


class VisitFigures:
    """Follows the visits of all stations."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._visits = PerStation(Visits)
        self._trips: dict[Transaction, Trip] = {}
        bus.subscribe(StatusChanged, self._status)
        bus.subscribe(TransactionStarted, self._started)
        bus.subscribe(TransactionUpdated, self._updated)
        bus.subscribe(TransactionStopped, self._stopped)
        bus.subscribe(asked("Authorize"), self._authorizing)
        bus.subscribe(answered("Authorize"), self._authorized)
        bus.subscribe(asked(*STARTS, *STOPS), self._commanded)
        bus.subscribe(answered(*STARTS, *STOPS), self._obeyed)
        bus.subscribe(unanswered(*STARTS, *STOPS), self._ignored)

    def _trip(self, transaction: Transaction) -> Trip:
        found = self._trips.get(transaction)
        if found is None:
            found = self._trips[transaction] = Trip()
            if len(self._trips) > MAX_TRIPS:
                del self._trips[next(iter(self._trips))]
        return found

    # --- before ---------------------------------------------------------------------------------------------------

    def _authorizing(self, x: Exchange) -> None:
        visits, tag = self._visits(x.station), tag_of(x.asked)
        remote = next((one for one in reversed(visits.starting) if tag and tag_of(one.asked) == tag), None)
        if remote is not None and x.asked_ns - remote.asked_ns <= LEADS_TO_NS:
            self._ledger.add(REMOTE_STEPS, x.station, x.asked_ns - remote.asked_ns, x.asked_ns, "Authorize")

    def _authorized(self, x: Exchange) -> None:
        tag = tag_of(x.asked)
        if tag and x.accepted and x.side is Side.STATION:
            known = self._visits(x.station).authorized
            known.pop(tag, None)
            known[tag] = x.time_ns
            if len(known) > MAX_WAITING and x.time_ns - known.pop(next(iter(known))) <= LEADS_TO_NS:
                self._ledger.series(AUTHORIZED, x.station.identity).count("not_followed")

    def _commanded(self, x: Exchange) -> None:
        if x.side is Side.CSMS:
            visits = self._visits(x.station)
            starts = x.action in STARTS
            waiting = visits.starting if starts else visits.stopping
            if len(waiting) == MAX_WAITING and x.asked_ns - waiting.popleft().asked_ns <= LEADS_TO_NS:
                self._ledger.series(REMOTE if starts else REMOTE_STOP, x.station.identity).count("not_followed")
            waiting.append(x)

    def _obeyed(self, x: Exchange) -> None:
        if not x.accepted:
            self._ignored(x)
        elif x.action in STARTS:
            self._ledger.add(REMOTE_STEPS, x.station, x.latency_ns or 0, x.time_ns, "answer")
        else:
            self._ledger.add(REMOTE_STOP_ANSWER, x.station, x.latency_ns or 0, x.time_ns)

    def _ignored(self, x: Exchange) -> None:
        visits = self._visits(x.station)
        _forget(visits.starting if x.action in STARTS else visits.stopping, x)

    # --- a transaction --------------------------------------------------------------------------------------------

    def _started(self, told: TransactionStarted) -> None:
        transaction, x = told.transaction, told.exchange
        if x.replayed or transaction.started_ns is None:
            return
        visits, trip = self._visits(told.station), self._trip(transaction)
        if trip.started_ns is None:
            trip.started_ns = transaction.started_ns
        self._named(visits, trip, transaction, x)
        self._charges(visits, trip, transaction, x)

    def _updated(self, told: TransactionUpdated) -> None:
        transaction, x = told.transaction, told.exchange
        if x.action != "TransactionEvent" or x.replayed:
            return
        trip = self._trip(transaction)
        if not trip.charging or "idToken" in x.asked:  # else it only goes on
            visits = self._visits(told.station)
            self._named(visits, trip, transaction, x)
            self._charges(visits, trip, transaction, x)

    def _named(self, visits: Visits, trip: Trip, transaction: Transaction, x: Exchange) -> None:
        """A message that may have been waited for: it names a tag, or a remote start."""
        station, now, tag = x.station, x.asked_ns, tag_of(x.asked)
        authorized = visits.authorized.pop(tag, None) if tag else None
        if authorized is not None and 0 <= now - authorized <= LEADS_TO_NS:
            series = self._ledger.add(AUTHORIZED, station, now - authorized, now)
            timeout = _connection_timeout(station)
            if timeout is not None and now - authorized > timeout:
                series.count("beyond")
        remote = None if trip.remote_ns is not None else _remote(visits, transaction, tag, now)
        if remote is not None:
            visits.starting.remove(remote)
            trip.remote_ns = remote.asked_ns
            self._ledger.add(REMOTE, station, now - remote.asked_ns, now)

    def _charges(self, visits: Visits, trip: Trip, transaction: Transaction, x: Exchange) -> None:
        """2.x: the charging state."""
        place = transaction.place[0]
        if transaction.charging_state == "Charging":
            self._charging(x.station, visits, place, trip, x.asked_ns)
        elif transaction.charging_state == "EVConnected" and place not in visits.plugged:
            self._keep(PLUGGED, x.station, visits.plugged, place, x.asked_ns)

    def _charging(self, station: Station, visits: Visits, place: int, trip: Trip | None, now: int) -> None:
        plugged = visits.plugged.pop(place, None)
        if plugged is not None:
            self._ledger.add(PLUGGED, station, now - plugged, now)
        if trip is None or trip.charging:
            return
        trip.charging = True
        if trip.started_ns is not None:
            self._ledger.add(CHARGING, station, now - trip.started_ns, now)
        if trip.remote_ns is not None:
            self._ledger.add(REMOTE_STEPS, station, now - trip.remote_ns, now, "Charging")

    def _stopped(self, told: TransactionStopped) -> None:
        visits, transaction, now = self._visits(told.station), told.transaction, told.time_ns
        self._trips.pop(transaction, None)
        if told.exchange.replayed:
            return
        self._keep(GONE, told.station, visits.stopped, transaction.place[0], now)
        stop = next((one for one in visits.stopping if transaction.has_id(_named_by(one) or " ")), None)
        if stop is not None:
            visits.stopping.remove(stop)
            self._ledger.add(REMOTE_STOP, told.station, now - stop.asked_ns, now)

    def _keep(self, figure_: str, station: Station, known: dict[int, int], place: int, now: int) -> None:
        """Remembers when something began at a place, if there is room."""
        if place in known or len(known) < MAX_PLACES:
            known[place] = now
        else:
            self._ledger.series(figure_, station.identity).count("not_followed")

    def _live(self, transaction: Transaction | None) -> Trip | None:
        """The course of a transaction; its start may still wait for its answer."""
        if transaction is None:
            return None
        trip = self._trip(transaction)
        if trip.started_ns is None and transaction.start is not None and not transaction.start.replayed:
            trip.started_ns = transaction.started_ns
        return trip

    # --- statuses -------------------------------------------------------------------------------------------------

    def _status(self, told: StatusChanged) -> None:
        connector, station, now = told.connector, told.station, told.time_ns
        place, status = connector.place[0], connector.status
        if not place or status == connector.previous or told.exchange.replayed:
            return
        visits = self._visits(station)
        if connector.previous == "Finishing":
            self._ledger.add(FINISHING, station, now - connector.previous_since_ns, now)
        if status in ("Preparing", "Occupied"):
            self._keep(PLUGGED, station, visits.plugged, place, now)
        elif status == "Charging":
            transaction = station.transactions.open_at(place)
            self._charging(station, visits, place, self._live(transaction), now)
        elif status == "Available":
            visits.plugged.pop(place, None)
            stopped = visits.stopped.pop(place, None)
            if stopped is not None:
                self._ledger.add(GONE, station, now - stopped, now)


def _remote(visits: Visits, transaction: Transaction, tag: str, now: int) -> Exchange | None:
    """The remote start that a transaction came of."""
    for one in reversed(visits.starting):
        if not 0 <= now - one.asked_ns <= LEADS_TO_NS:
            continue
        id_ = one.asked.whole("remoteStartId")
        if transaction.remote_start_id is not None and id_ is not None:
            if id_ == transaction.remote_start_id:
                return one
            continue
        number = one.asked.whole("evseId") if "evseId" in one.asked else one.asked.whole("connectorId")
        if tag and tag_of(one.asked) == tag and number in (None, transaction.place[0]):
            return one
    return None


def _named_by(x: Exchange) -> str:
    return id_of(x.asked.data.get("transactionId"))


def _forget(waiting: deque[Exchange], x: Exchange) -> None:
    if x in waiting:
        waiting.remove(x)


def _connection_timeout(station: Station) -> int | None:
    return seconds_of(station.configuration.number("ConnectionTimeOut", "TxCtrlr.EVConnectionTimeOut"))
