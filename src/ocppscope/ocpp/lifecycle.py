"""What a station and its CSMS may do next, as tables: connector statuses of 1.6, and registration of either version.

Data and look-ups only; who breaks a table is found by `analysis`.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# --- connector status, 1.6 §4.9 -----------------------------------------------------------------------------------


def _transitions(grid: str) -> Mapping[str, frozenset[str]]:
    """Each status and those that may follow it."""
    rows = [line.split(":") for line in grid.strip().splitlines()]
    return MappingProxyType({before.strip(): frozenset(after.split()) for before, after in rows})


TRANSITIONS = _transitions("""
    Available:     Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable Faulted
    Preparing:     Available Charging SuspendedEV SuspendedEVSE Finishing Faulted
    Charging:      Available SuspendedEV SuspendedEVSE Finishing Unavailable Faulted
    SuspendedEV:   Available Charging SuspendedEVSE Finishing Unavailable Faulted
    SuspendedEVSE: Available Charging SuspendedEV Finishing Unavailable Faulted
    Finishing:     Available Preparing Unavailable Faulted
    Reserved:      Available Preparing Unavailable Faulted
    Unavailable:   Available Preparing Charging SuspendedEV SuspendedEVSE Faulted
    Faulted:       Available Preparing Charging SuspendedEV SuspendedEVSE Finishing Reserved Unavailable
""")
"""Statuses of a connector and what may follow each (1.6 §4.9 with errata 3.19, 3.20)."""

WHOLE_STATION = frozenset({"Available", "Unavailable", "Faulted"})
"""What connector 0 may be (1.6 §4.9)."""


def may_follow(before: str, after: str) -> bool:
    """Whether a connector may go from one status to another; True for names that the table does not have."""
    return before not in TRANSITIONS or after not in TRANSITIONS or after in TRANSITIONS[before]


# --- registration, 1.6 §4.2, 2.0.1 B01 to B03 ---------------------------------------------------------------------


class May(Enum):
    """What one side may begin."""

    ANYTHING = "anything"
    NO_REMOTE_CONTROL = "anything but remote starts and stops"
    WHAT_IS_ASKED_FOR = "a BootNotification, and what the CSMS asks for"
    BOOT_ONLY = "a BootNotification"
    NOTHING = "nothing"


class Rights(NamedTuple):
    """What both may begin in one state of the registration."""

    station: May
    csms: May


REGISTRATION: Mapping[str, Rights] = MappingProxyType(
    {
        "": Rights(May.BOOT_ONLY, May.NOTHING),  # a BootNotification is not answered yet
        "Accepted": Rights(May.ANYTHING, May.ANYTHING),
        "Pending": Rights(May.WHAT_IS_ASKED_FOR, May.NO_REMOTE_CONTROL),
        "Rejected": Rights(May.BOOT_ONLY, May.NOTHING),
    }
)
"""By the status of the last answer to a BootNotification."""

REMOTE_CONTROL = frozenset(
    {"RemoteStartTransaction", "RemoteStopTransaction", "RequestStartTransaction", "RequestStopTransaction"}
)
RESULTS: Mapping[str, str] = MappingProxyType(
    {
        "GetBaseReport": "NotifyReport",
        "GetReport": "NotifyReport",
        "GetMonitoringReport": "NotifyMonitoringReport",
        "GetLog": "LogStatusNotification",
        "GetDiagnostics": "DiagnosticsStatusNotification",
        "UpdateFirmware": "FirmwareStatusNotification",
        "SignedUpdateFirmware": "SignedFirmwareStatusNotification",
        "CustomerInformation": "NotifyCustomerInformation",
        "GetDisplayMessages": "NotifyDisplayMessages",
        "GetChargingProfiles": "ReportChargingProfiles",
    }
)
"""What a station sends later because the CSMS asked for it."""
TRIGGERED: Mapping[str, str] = MappingProxyType(
    {
        "SignChargePointCertificate": "SignCertificate",
        "SignChargingStationCertificate": "SignCertificate",
        "SignV2GCertificate": "SignCertificate",
        "SignV2G20Certificate": "SignCertificate",
        "SignCombinedCertificate": "SignCertificate",
    }
)
"""What TriggerMessage calls otherwise than the action that it brings about."""


def station_may(status: str, action: str, *, asked_for: bool) -> bool:
    """Whether a station may send this when its last BootNotification was answered so."""
    may = REGISTRATION.get(status, REGISTRATION[""]).station
    return may is May.ANYTHING or action == "BootNotification" or (may is May.WHAT_IS_ASKED_FOR and asked_for)


def csms_may(status: str, action: str) -> bool:
    """Whether a CSMS may send this when it last answered a BootNotification so."""
    may = REGISTRATION.get(status, REGISTRATION[""]).csms
    return may is May.ANYTHING or (may is May.NO_REMOTE_CONTROL and action not in REMOTE_CONTROL)


# --- feature profiles, 1.6 §3.3 -----------------------------------------------------------------------------------


def _profiles(lists: str) -> Mapping[str, str]:
    rows = [line.split(":") for line in lists.strip().splitlines()]
    return MappingProxyType({action: profile.strip() for profile, actions in rows for action in actions.split()})


PROFILES = _profiles("""
    FirmwareManagement: GetDiagnostics UpdateFirmware
    LocalAuthListManagement: GetLocalListVersion SendLocalList
    Reservation: CancelReservation ReserveNow
    SmartCharging: ClearChargingProfile GetCompositeSchedule SetChargingProfile
    RemoteTrigger: TriggerMessage
""")
"""The feature profile of each action that a 1.6 CSMS sends and that a station need not have."""
