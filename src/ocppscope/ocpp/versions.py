"""What each OCPP version knows: subprotocol names, actions with their senders, message kinds, error codes.

Tables and look-ups only. Schemas are the business of `schemas`; reading a text is the business of `codec`.

Sources: OCPP-J 1.6 §3.1.2, §4.2 with its errata, the 1.6 security white paper, OCPP 2.0.1 and 2.1 Part 2 and
Part 4 §3.1.2, §4.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ocppscope.model import Kind, Problem, Side, Version

SUBPROTOCOLS: Mapping[str, Version] = MappingProxyType(
    {
        "ocpp1.2": Version.V12,
        "ocpp1.5": Version.V15,
        "ocpp1.6": Version.V16,
        "ocpp2.0": Version.V20,
        "ocpp2.0.1": Version.V201,
        "ocpp2.1": Version.V21,
    }
)
"""Registered subprotocol names (OCPP-J 1.6 §3.1.2, 2.1 Part 4 §3.1.2)."""

COVERED = (Version.V16, Version.V201, Version.V21)
"""Versions whose actions and payloads are known here; the others are looked at by their framing only."""


def version_of(subprotocol: str | None) -> Version:
    """The version that a subprotocol name stands for, `UNKNOWN` if it is not a registered name."""
    return SUBPROTOCOLS.get(subprotocol or "", Version.UNKNOWN)


_16_STATION = """
    Authorize BootNotification DiagnosticsStatusNotification FirmwareStatusNotification Heartbeat
    LogStatusNotification MeterValues SecurityEventNotification SignCertificate
    SignedFirmwareStatusNotification StartTransaction StatusNotification StopTransaction
"""
_16_CSMS = """
    CancelReservation CertificateSigned ChangeAvailability ChangeConfiguration ClearCache
    ClearChargingProfile DeleteCertificate ExtendedTriggerMessage GetCompositeSchedule GetConfiguration
    GetDiagnostics GetInstalledCertificateIds GetLocalListVersion GetLog InstallCertificate
    RemoteStartTransaction RemoteStopTransaction ReserveNow Reset SendLocalList SetChargingProfile
    SignedUpdateFirmware TriggerMessage UnlockConnector UpdateFirmware
"""
_201_STATION = """
    Authorize BootNotification ClearedChargingLimit FirmwareStatusNotification Get15118EVCertificate
    GetCertificateStatus Heartbeat LogStatusNotification MeterValues NotifyChargingLimit
    NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds NotifyEVChargingSchedule
    NotifyEvent NotifyMonitoringReport NotifyReport PublishFirmwareStatusNotification
    ReportChargingProfiles ReservationStatusUpdate SecurityEventNotification SignCertificate
    StatusNotification TransactionEvent
"""
_201_CSMS = """
    CancelReservation CertificateSigned ChangeAvailability ClearCache ClearChargingProfile
    ClearDisplayMessage ClearVariableMonitoring CostUpdated CustomerInformation DeleteCertificate
    GetBaseReport GetChargingProfiles GetCompositeSchedule GetDisplayMessages GetInstalledCertificateIds
    GetLocalListVersion GetLog GetMonitoringReport GetReport GetTransactionStatus GetVariables
    InstallCertificate PublishFirmware RequestStartTransaction RequestStopTransaction ReserveNow Reset
    SendLocalList SetChargingProfile SetDisplayMessage SetMonitoringBase SetMonitoringLevel
    SetNetworkProfile SetVariableMonitoring SetVariables TriggerMessage UnlockConnector
    UnpublishFirmware UpdateFirmware
"""
_21_STATION = """
    BatterySwap ClosePeriodicEventStream GetCertificateChainStatus NotifyDERAlarm NotifyDERStartStop
    NotifyPeriodicEventStream NotifyPriorityCharging NotifySettlement OpenPeriodicEventStream
    PullDynamicScheduleUpdate ReportDERControl VatNumberValidation
"""
_21_CSMS = """
    AFRRSignal AdjustPeriodicEventStream ChangeTransactionTariff ClearDERControl ClearTariffs
    GetDERControl GetPeriodicEventStream GetTariffs NotifyAllowedEnergyTransfer NotifyWebPaymentStarted
    RequestBatterySwap SetDERControl SetDefaultTariff UpdateDynamicSchedule UsePriorityCharging
"""

EITHER: frozenset[Side] = frozenset(Side)
_STATION: frozenset[Side] = frozenset({Side.STATION})
_CSMS: frozenset[Side] = frozenset({Side.CSMS})


def _table(station: str, csms: str) -> Mapping[str, frozenset[Side]]:
    senders = dict.fromkeys(station.split(), _STATION) | dict.fromkeys(csms.split(), _CSMS)
    return MappingProxyType({"DataTransfer": EITHER} | senders)


ACTIONS: Mapping[Version, Mapping[str, frozenset[Side]]] = MappingProxyType(
    {
        Version.V16: _table(_16_STATION, _16_CSMS),
        Version.V201: _table(_201_STATION, _201_CSMS),
        Version.V21: _table(_201_STATION + _21_STATION, _201_CSMS + _21_CSMS),
    }
)
"""For each covered version: the action and who may send it."""

SEND_ACTIONS: Mapping[Version, frozenset[str]] = MappingProxyType(
    {Version.V21: frozenset({"NotifyPeriodicEventStream"})}
)
"""Actions that travel as SEND and never as CALL (2.1 Part 4 §4.2.5)."""

ALL_ACTIONS: frozenset[str] = frozenset(action for table in ACTIONS.values() for action in table)
_KNOWN_BY = {a: frozenset(version for version, table in ACTIONS.items() if a in table) for a in ALL_ACTIONS}
_BY_FOLDED = {action.casefold(): action for action in ALL_ACTIONS}

_NEW_KINDS = frozenset({Kind.CALLRESULTERROR, Kind.SEND})

_COMMON_ERRORS = {
    "NotImplemented": "the receiver does not know the action",
    "NotSupported": "the receiver knows the action but does not support it",
    "InternalError": "the receiver could not process the request because of an error of its own",
    "ProtocolError": "the payload is incomplete or does not follow the protocol",
    "SecurityError": "a security issue kept the receiver from doing what was asked",
    "PropertyConstraintViolation": "a field holds a value that is not allowed there",
    "TypeConstraintViolation": "a field has the wrong data type",
    "GenericError": "an error that no other code names",
}
_FORMATION = "the payload is malformed or is not one of this action"
_OCCURRENCE = "a field is missing or is there too often"

ERROR_CODES: Mapping[Version, Mapping[str, str]] = MappingProxyType(
    {
        Version.V16: _COMMON_ERRORS | {"FormationViolation": _FORMATION, "OccurenceConstraintViolation": _OCCURRENCE},
        **dict.fromkeys(
            (Version.V201, Version.V21),
            _COMMON_ERRORS
            | {
                "FormatViolation": _FORMATION,
                "OccurrenceConstraintViolation": _OCCURRENCE,
                "MessageTypeNotSupported": "the receiver does not know the message type number",
                "RpcFrameworkError": "the text is not a valid RPC message, so that not even its id may be readable",
            },
        ),
    }
)
"""For each covered version: the error code and what it says (OCPP-J 1.6 table 7, 2.0.1 and 2.1 Part 4 §4.3)."""

_ANY_ERROR = {code: text for table in ERROR_CODES.values() for code, text in table.items()}

_OTHER_SPELLING = {
    "FormationViolation": "FormatViolation",
    "FormatViolation": "FormationViolation",
    "OccurenceConstraintViolation": "OccurrenceConstraintViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
}


def explain_error(code: str) -> str:
    """What an error code says, in any version's spelling; "" for an unknown one."""
    return _ANY_ERROR.get(code, "")


def error_code_problems(version: Version, code: str) -> tuple[Problem, ...]:
    """What is wrong with an error code in this version; a version that is not covered takes any known code."""
    table = ERROR_CODES.get(version, _ANY_ERROR)
    if code in table:
        return ()
    right = _OTHER_SPELLING.get(code, "")
    if right in table:
        return (Problem("ocpp.error-code-spelling", f"OCPP {version} spells this error code {right}"),)
    if code in _ANY_ERROR:
        return (Problem("ocpp.error-code-version", f"OCPP {version} does not have this error code"),)
    return (Problem("ocpp.error-code", "the error code is none that OCPP knows"),)


def guess(action: str) -> frozenset[Version]:
    """The covered versions that know an action."""
    return _KNOWN_BY.get(action, frozenset())


def action_problems(version: Version, side: Side, kind: Kind, action: str) -> tuple[Problem, ...]:
    """What is wrong with this side sending this kind of message with this action.

    Answers carry no action of their own, so only their kind is looked at. Nothing is said about the actions of
    a version that is not covered.
    """
    table = ACTIONS.get(version)
    if table is None:
        return ()
    if kind in _NEW_KINDS and version is not Version.V21:
        return (Problem("ocpp.message-type-version", f"OCPP {version} has no {kind.name} (type {kind:d})"),)
    if kind not in (Kind.CALL, Kind.SEND) or not action:
        return ()
    senders = table.get(action)
    if senders is None:
        return (_unknown_action(version, action),)
    problems = []
    if (kind is Kind.SEND) != (action in SEND_ACTIONS.get(version, frozenset())):
        right = Kind.CALL if kind is Kind.SEND else Kind.SEND
        problems.append(Problem("ocpp.action-kind", f"this action travels as {right.name}, not as {kind.name}"))
    if side not in senders:
        problems.append(Problem("ocpp.wrong-sender", f"only the {_name(side.other)} sends this action"))
    return tuple(problems)


def _name(side: Side) -> str:
    return "CSMS" if side is Side.CSMS else "station"


def _unknown_action(version: Version, action: str) -> Problem:
    meant = _BY_FOLDED.get(action.casefold())
    if meant in ACTIONS[version] and meant != action:
        return Problem("ocpp.action-case", f"the action is spelled {meant}; upper and lower case matter")
    elsewhere = sorted(guess(action))
    known = f"; it belongs to OCPP {' and '.join(elsewhere)}" if elsewhere else ""
    return Problem("ocpp.unknown-action", f"OCPP {version} does not have this action{known}")
