"""BootNotification: whether the CSMS knows the station (OCPP 1.6 §4.2, 2.0.1 B01 to B03); and what makes it reboot.

Resets and firmware updates are here since they explain the next BootNotification, triggers and requests for reports
since they explain what a station sends before it is accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ocppscope.analysis.happenings import Booted, asked
from ocppscope.analysis.latest import Latest
from ocppscope.model import Side
from ocppscope.ocpp.lifecycle import RESULTS, TRIGGERED

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.station import Exchange, Link

MAX_BOOTS = 64
"""BootNotifications of a station that are remembered."""
MAX_REQUESTS = 32
"""Messages that the CSMS asked a station to send, by action, of which the time is remembered."""
MAX_NAME = 100
"""Characters of a name in a BootNotification."""
TRIGGER_NS = 60_000_000_000
"""How long after a trigger a message is the one that was asked for."""
ORDERED_NS = 600_000_000_000
"""How long after a Reset or a step of a firmware update a reboot is explained by it."""

_SECOND = 1_000_000_000
_TRIGGERS = frozenset({"TriggerMessage", "ExtendedTriggerMessage"})
_UPDATES = frozenset({"UpdateFirmware", "SignedUpdateFirmware"})
_FIRMWARE = frozenset({"FirmwareStatusNotification", "SignedFirmwareStatusNotification"})
_REPORTS = frozenset(
    _FIRMWARE | {
        "DiagnosticsStatusNotification", "LogStatusNotification", "PublishFirmwareStatusNotification",
        "SignCertificate", "StatusNotification",
    }
)  # fmt: skip
_ORDERED_REASONS = frozenset(
    {"ApplicationReset", "FirmwareUpdate", "LocalReset", "RemoteReset", "ScheduledReset", "Triggered"}
)


class Boot(Struct, frozen=True):
    """A BootNotification and its answer."""

    asked_ns: int
    status: str  # Accepted, Pending, Rejected; "" without a usable answer
    interval_ns: int | None
    reason: str  # 2.x
    link: Link
    exchange: Exchange
    triggered: bool  # a TriggerMessage(BootNotification) asked for it in the last 60 s
    ordered: bool = False  # a Reset or a firmware update explains it, or it says so itself

    @property
    def explained(self) -> bool:
        """Whether the station was made to send it."""
        return self.triggered or self.ordered


class Registration:
    """`status` is that of the latest answer, "" while none was seen."""

    __slots__ = (
        "accepted_ns", "booted_ns", "boots", "firmware", "firmware_ns", "firmware_status", "interval_ns", "model",
        "ordered", "pending", "reported", "requested", "reset", "serial", "status", "status_ns", "triggered_ns",
        "vendor",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = ""
        self.status_ns: int | None = None
        self.interval_ns: int | None = None  # of the latest answer: heartbeat interval if Accepted, else retry time
        self.accepted_ns: int | None = None  # when the latest boot was accepted; None after an unaccepted one
        self.booted_ns: int | None = None  # when the latest BootNotification was sent
        self.boots: Latest[Boot] = Latest(MAX_BOOTS)  # oldest first
        self.pending: Exchange | None = None  # a BootNotification without an answer yet
        self.ordered = False  # whether the latest BootNotification is explained by what was before it
        self.triggered_ns: int | None = None  # when the CSMS last asked for a BootNotification
        self.reset: Exchange | None = None  # the latest Reset that was accepted
        self.firmware_ns: int | None = None  # when an update was last accepted, or its status last reported
        self.firmware_status = ""  # as last reported
        self.requested: dict[str, int] = {}  # action → when the CSMS last asked the station to send it
        self.reported: dict[str, int] = {}  # action → when the station last sent it, of those that can be triggered
        self.vendor = self.model = self.serial = self.firmware = ""

    def was_requested(self, action: str, since_ns: int) -> bool:
        """Whether the CSMS has asked for a message since then."""
        return self.requested.get(action, -1) >= since_ns

    def made_to_reboot(self, now: int) -> bool:
        """Whether a Reset or a step of a firmware update was shortly before."""
        reset_ns = self.reset.time_ns if self.reset is not None else None
        return any(at is not None and now - at <= ORDERED_NS for at in (reset_ns, self.firmware_ns))


class RegistrationTracker:
    """Follows the BootNotifications of all stations, and what explains them.

    It says in the phase `unregistered` what a station sends while it is not accepted.
    """

    actions = ("BootNotification", "Reset", *sorted(_TRIGGERS | _REPORTS | set(RESULTS)))

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        bus.subscribe(asked(), self._any)

    def _any(self, x: Exchange) -> None:
        registration = x.station.registration
        if registration.accepted_ns is None and registration.booted_ns is not None and x.side is Side.STATION:
            self._bus.exchange("unregistered", x)

    def asked(self, x: Exchange) -> None:
        """A BootNotification names the station; a trigger explains the next one."""
        registration = x.station.registration
        if x.action == "BootNotification":
            if x.side is Side.STATION:
                self._boot(x)
        elif x.action in _TRIGGERS:
            wanted = x.asked.text("requestedMessage")[:50]
            _request(registration, TRIGGERED.get(wanted, wanted), x.asked_ns)
            if wanted == "BootNotification":
                registration.triggered_ns = x.asked_ns
        elif x.action in RESULTS:
            _request(registration, RESULTS[x.action], x.asked_ns)
        elif x.action in _REPORTS:
            registration.reported[x.action] = x.asked_ns
            if x.action in _FIRMWARE:
                registration.firmware_status = x.asked.text("status")[:40]
                if registration.firmware_status != "Idle":
                    registration.firmware_ns = x.asked_ns

    def _boot(self, x: Exchange) -> None:
        registration = x.station.registration
        found = x.asked.table("chargingStation") if "chargingStation" in x.asked else x.asked
        registration.vendor = (found.text("vendorName") or found.text("chargePointVendor"))[:MAX_NAME]
        registration.model = (found.text("model") or found.text("chargePointModel"))[:MAX_NAME]
        registration.serial = (found.text("serialNumber") or found.text("chargePointSerialNumber"))[:MAX_NAME]
        registration.firmware = found.text("firmwareVersion")[:MAX_NAME]
        reason = x.asked.text("reason")
        registration.ordered = reason in _ORDERED_REASONS or registration.made_to_reboot(x.asked_ns)
        registration.pending = x
        registration.accepted_ns = None
        registration.booted_ns = x.asked_ns
        if x.station.known_ns is None:
            x.station.known_ns = x.asked_ns

    def answered(self, x: Exchange) -> None:
        """What the CSMS thinks of it; what the station was made to do."""
        registration = x.station.registration
        if x.action == "BootNotification" and x.side is Side.STATION:
            self._settle(x, x.answered.text("status"), x.answered.number("interval"))
        elif x.action == "Reset" and not x.error and x.status in ("Accepted", "Scheduled"):
            registration.reset = x
        elif x.action in _UPDATES and not x.error and x.status in ("", "Accepted", "AcceptedCanceled"):
            registration.firmware_ns = x.time_ns

    def unanswered(self, x: Exchange) -> None:
        """The CSMS said nothing."""
        if x.action == "BootNotification" and x.side is Side.STATION:
            self._settle(x, "", None)

    def _settle(self, x: Exchange, status: str, interval: float | None) -> None:
        registration = x.station.registration
        if registration.pending is x:
            registration.pending = None
        triggered = registration.triggered_ns
        interval_ns = int(interval * _SECOND) if interval is not None and 0 <= interval <= _LONGEST else None
        boot = Boot(
            x.asked_ns, status, interval_ns, x.asked.text("reason")[:40], x.link, x,
            triggered is not None and 0 <= x.asked_ns - triggered <= TRIGGER_NS, registration.ordered,
        )  # fmt: skip
        registration.boots.append(boot)
        if status:
            registration.status, registration.status_ns, registration.interval_ns = status, x.time_ns, interval_ns
            registration.accepted_ns = x.time_ns if status == "Accepted" else None
        self._bus.happens(Booted(x.station, x.link, x.time_ns, x, boot, x))


def _request(registration: Registration, action: str, now: int) -> None:
    if action in registration.requested or len(registration.requested) < MAX_REQUESTS:
        registration.requested[action] = now


_LONGEST = 10 * 366 * 86_400
