"""What each connector says of itself (OCPP 1.6 §4.9; 2.0.1 G01, also AvailabilityState of NotifyEvent), and whether
the CSMS took it out of operation (ChangeAvailability)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocppscope.analysis.finding import Ref
from ocppscope.analysis.happenings import StatusChanged
from ocppscope.analysis.latest import Latest
from ocppscope.model import Side

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.payload import Payload
    from ocppscope.analysis.station import Exchange, Place

MAX_CONNECTORS = 512
"""Connectors of a station that are remembered; numbers beyond are told of but not kept."""
MAX_CHANGES = 64
"""Statuses of a connector that are remembered."""
MAX_WORD = 50
"""Characters of a status, an error code or what explains it."""


class Change(NamedTuple):
    """A status as it was reported."""

    time_ns: int  # arrival
    status: str
    error: str  # 1.6 errorCode
    ref: Ref
    info: str = ""  # what it says besides: info and vendorErrorCode


class Availability(NamedTuple):
    """A ChangeAvailability that was not refused."""

    time_ns: int
    operative: bool
    scheduled: bool


class Connector:
    """One connector; in 1.6 connector 0 is the station itself."""

    __slots__ = (
        "changes", "error", "info", "place", "previous", "previous_since_ns", "reported_ns", "since_ns", "status",
    )  # fmt: skip

    def __init__(self, place: Place) -> None:
        self.place = place
        self.status = ""
        self.previous = ""  # the status before this report, which may be the same; "" for the first
        self.since_ns = 0  # when the present status was reported first
        self.previous_since_ns = 0
        self.reported_ns = 0  # when it was reported last
        self.error = ""  # 1.6 errorCode, "" or "NoError" if none
        self.info = ""
        self.changes: Latest[Change] = Latest(MAX_CHANGES)  # oldest first, repetitions included

    def report(self, change: Change) -> None:
        """Takes a status."""
        self.previous = self.status
        if change.status != self.status:
            self.previous_since_ns, self.since_ns = self.since_ns, change.time_ns
        self.status, self.error, self.info = change.status, change.error, change.info
        self.reported_ns = change.time_ns
        self.changes.append(change)

    @property
    def before(self) -> Change | None:
        """The report before the latest."""
        return self.changes[-2] if len(self.changes) > 1 else None


class Connectors:
    """All connectors of a station, by place."""

    __slots__ = ("availability", "places")

    def __init__(self) -> None:
        self.places: dict[Place, Connector] = {}
        self.availability: dict[int, Availability] = {}  # by connector or EVSE, 0 for the station; the latest of each

    def get(self, place: Place) -> Connector | None:
        """A connector that has been heard of."""
        return self.places.get(place)

    def status(self, place: Place) -> str:
        """Its status, "" if unknown."""
        found = self.places.get(place)
        return found.status if found else ""

    def on_evse(self, evse: int) -> list[Connector]:
        """The connectors with that first number: of an EVSE in 2.x, the one connector in 1.6."""
        return [one for place, one in self.places.items() if place[0] == evse]

    def ordered(self, place: Place) -> Availability | None:
        """The latest ChangeAvailability that concerns a connector."""
        found = [one for one in map(self.availability.get, {0, place[0]}) if one is not None]
        return max(found, default=None)


class ConnectorTracker:
    """Follows the connectors of all stations."""

    actions = ("StatusNotification", "NotifyEvent", "ChangeAvailability")

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def asked(self, x: Exchange) -> None:
        """A status, or several."""
        if x.side is not Side.STATION:
            return
        if x.action == "StatusNotification":
            self._report(x, _place(x.asked), x.asked.text("status") or x.asked.text("connectorStatus"), x.asked)
            return
        for event in x.asked.tables("eventData") if x.action == "NotifyEvent" else ():
            if event.table("variable").text("name") == "AvailabilityState":
                evse = event.table("component").table("evse")
                place = evse.whole("id") or 0, evse.whole("connectorId") or 0
                self._report(x, place, event.text("actualValue"), event)

    def answered(self, x: Exchange) -> None:
        """Availability was changed, or will be."""
        if x.action != "ChangeAvailability" or x.error or x.status not in ("Accepted", "Scheduled"):
            return
        evse = x.asked.table("evse")
        number = (evse.whole("id") if evse else x.asked.whole("connectorId")) or 0
        wanted = x.asked.text("type") or x.asked.text("operationalStatus")
        known = x.station.connectors.availability
        if number in known or len(known) < MAX_CONNECTORS:
            known[number] = Availability(x.time_ns, wanted == "Operative", x.status == "Scheduled")

    def _report(self, x: Exchange, place: Place, status: str, payload: Payload) -> None:
        places = x.station.connectors.places
        connector = places.get(place)
        if connector is None:
            connector = Connector(place)
            if len(places) < MAX_CONNECTORS:
                places[place] = connector
        info = " ".join(filter(None, (payload.text("info")[:MAX_WORD], payload.text("vendorErrorCode")[:MAX_WORD])))
        error = payload.text("errorCode")[:MAX_WORD]
        connector.report(Change(x.asked_ns, status[:MAX_WORD], error, x.ref, info))
        self._bus.happens(StatusChanged(x.station, x.link, x.asked_ns, x, connector, x))


def _place(payload: Payload) -> Place:
    if "evseId" in payload:
        return payload.whole("evseId") or 0, payload.whole("connectorId") or 0
    return payload.whole("connectorId") or 0, 0
