"""What charging stations and their CSMS say to each other: endless scripts of OCPP 1.6 and 2.0.1 exchanges.

Every payload is valid for its schema (a test holds that against an independent validator). Pure text: no packets,
no files.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

STATION, CSMS = 0, 1
RESULT, ERROR = 3, 4

VENDORS = (
    ("VoltWerk", "VW-22 Pro", "3.4.1-7"),
    ("Ampere Systems", "Duo AC", "R1.14.0"),
    ("Gridline", "HPC180", "2026.02.11"),
    ("Kilowatt & Co", "Wall One", "1.0.33"),
)


class Exchange(NamedTuple):
    """A CALL and its answer, and how long the station is silent after it (seconds)."""

    side: int
    action: str
    request: str
    reply: str
    pause: float = 1.0
    kind: int = RESULT


class Station:
    """One station's identity and habits. `now_ns` is set by whoever runs the script."""

    def __init__(self, number: int, version: str, rng: Random) -> None:
        self.identity = f"CP{number:05}" if number % 7 else f"DE*VOL*E{number:06}"
        self.version = version
        self.rng = rng
        self.vendor, self.model, self.firmware = VENDORS[number % len(VENDORS)]
        self.serial = f"SN{number * 7919 % 1000003:07}"
        self.connectors = 1 + number % 2
        self.spaced = number % 3 == 0  # some stacks write a blank after , and :
        self.measurands = 2 + number % 5
        self.energy_wh = number * 1371 + 5000
        self.now_ns = 0
        self._second = -1
        self._iso = ""

    def iso(self) -> str:
        """The station's time, RFC 3339 with milliseconds."""
        second, rest = divmod(self.now_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._iso}.{rest // 1_000_000:03}Z"

    def tag(self) -> str:
        """An identification token as RFID readers give it."""
        return f"{self.rng.getrandbits(56):014X}"

    def script(self) -> Iterator[Exchange]:
        """What this station and its CSMS say, for ever."""
        return _script16(self) if self.version == "1.6" else _script201(self)

    def meter(self, power_w: float, seconds: float, number_as_text: bool) -> str:
        """The sampled values of one reading, as a JSON list; counts the energy on."""
        self.energy_wh += int(power_w * seconds / 3600) + 1
        noise = self.rng.random()
        volts, amps = 228.0 + noise * 6, power_w / 690
        rows = (
            (f"{self.energy_wh}", "Energy.Active.Import.Register", "Wh", ""),
            (f"{power_w:.1f}", "Power.Active.Import", "W", ""),
            (f"{amps + noise:.2f}", "Current.Import", "A", "L1"),
            (f"{amps:.2f}", "Current.Import", "A", "L2"),
            (f"{volts:.1f}", "Voltage", "V", "L1-N"),
            (f"{20 + noise * 60:.0f}", "SoC", "Percent", ""),
        )[: self.measurands]
        row = _sampled16 if number_as_text else _sampled201
        return "[" + ",".join(row(*cells) for cells in rows) + "]"


def _sampled16(value: str, measurand: str, unit: str, phase: str) -> str:
    extra = f',"phase":"{phase}"' if phase else ""
    return (
        f'{{"value":"{value}","context":"Sample.Periodic","measurand":"{measurand}"{extra},'
        f'"location":"Outlet","unit":"{unit}"}}'
    )


def _sampled201(value: str, measurand: str, unit: str, phase: str) -> str:
    extra = f',"phase":"{phase}"' if phase else ""
    return (
        f'{{"value":{value},"context":"Sample.Periodic","measurand":"{measurand}"{extra},'
        f'"location":"Outlet","unitOfMeasure":{{"unit":"{unit}"}}}}'
    )


# OCPP 1.6


def _script16(s: Station) -> Iterator[Exchange]:
    yield Exchange(
        STATION,
        "BootNotification",
        f'{{"chargePointVendor":"{s.vendor}","chargePointModel":"{s.model}",'
        f'"chargePointSerialNumber":"{s.serial}","firmwareVersion":"{s.firmware}"}}',
        f'{{"status":"Accepted","currentTime":"{s.iso()}","interval":300}}',
        0.2,
    )
    for connector in range(s.connectors + 1):
        yield _status16(s, connector, "Available")
    transaction = s.rng.randrange(1000, 900000)
    while True:
        luck = s.rng.random()
        if luck < 0.5:
            yield _heartbeat(s)
        elif luck < 0.68:
            yield _csms16(s)
        else:
            transaction += 1
            yield from _session16(s, transaction, remote=luck > 0.85)


def _heartbeat(s: Station) -> Exchange:
    return Exchange(STATION, "Heartbeat", "{}", f'{{"currentTime":"{s.iso()}"}}', 8 + s.rng.random() * 20)


def _status16(s: Station, connector: int, status: str) -> Exchange:
    return Exchange(
        STATION,
        "StatusNotification",
        f'{{"connectorId":{connector},"errorCode":"NoError","status":"{status}","timestamp":"{s.iso()}"}}',
        "{}",
        0.1 + s.rng.random(),
    )


def _session16(s: Station, transaction: int, *, remote: bool) -> Iterator[Exchange]:
    rng, tag = s.rng, s.tag()
    connector = 1 + rng.randrange(s.connectors)
    if remote:
        request = f'{{"connectorId":{connector},"idTag":"{tag}"}}'
        yield Exchange(CSMS, "RemoteStartTransaction", request, '{"status":"Accepted"}')
    yield _status16(s, connector, "Preparing")
    accepted = rng.random() > 0.04
    verdict = "Accepted" if accepted else "Invalid"
    info = f'{{"idTagInfo":{{"status":"{verdict}","expiryDate":"2027-12-31T23:59:59Z"}}}}'
    yield Exchange(STATION, "Authorize", f'{{"idTag":"{tag}"}}', info)
    if not accepted:
        yield _status16(s, connector, "Available")
        return
    yield Exchange(
        STATION,
        "StartTransaction",
        f'{{"connectorId":{connector},"idTag":"{tag}","meterStart":{s.energy_wh},"timestamp":"{s.iso()}"}}',
        f'{{"transactionId":{transaction},"idTagInfo":{{"status":"Accepted"}}}}',
        0.3,
    )
    yield _status16(s, connector, "Charging")
    power = 3600 + rng.random() * 7400
    for _ in range(rng.randrange(4, 30)):
        values = s.meter(power * (0.97 + rng.random() * 0.06), 10, True)
        yield Exchange(
            STATION,
            "MeterValues",
            f'{{"connectorId":{connector},"transactionId":{transaction},'
            f'"meterValue":[{{"timestamp":"{s.iso()}","sampledValue":{values}}}]}}',
            "{}",
            9.5 + rng.random(),
        )
    if remote:
        request = f'{{"transactionId":{transaction}}}'
        yield Exchange(CSMS, "RemoteStopTransaction", request, '{"status":"Accepted"}', 0.4)
    reason = "Remote" if remote else rng.choice(("Local", "EVDisconnected"))
    yield Exchange(
        STATION,
        "StopTransaction",
        f'{{"idTag":"{tag}","meterStop":{s.energy_wh},"timestamp":"{s.iso()}",'
        f'"transactionId":{transaction},"reason":"{reason}"}}',
        '{"idTagInfo":{"status":"Accepted"}}',
        0.5,
    )
    yield _status16(s, connector, "Finishing")
    yield _status16(s, connector, "Available")


_CONFIGURATION = ",".join(
    f'{{"key":"{key}","readonly":{readonly},"value":"{value}"}}'
    for key, readonly, value in (
        ("AuthorizeRemoteTxRequests", "false", "true"),
        ("ClockAlignedDataInterval", "false", "0"),
        ("ConnectionTimeOut", "false", "60"),
        ("GetConfigurationMaxKeys", "true", "50"),
        ("HeartbeatInterval", "false", "300"),
        ("LocalAuthorizeOffline", "false", "true"),
        ("LocalPreAuthorize", "false", "false"),
        ("MeterValuesAlignedData", "false", "Energy.Active.Import.Register"),
        ("MeterValuesSampledData", "false", "Energy.Active.Import.Register,Power.Active.Import,Voltage"),
        ("MeterValueSampleInterval", "false", "10"),
        ("NumberOfConnectors", "true", "2"),
        ("ResetRetries", "false", "3"),
        ("StopTransactionOnEVSideDisconnect", "false", "true"),
        ("StopTransactionOnInvalidId", "false", "true"),
        ("SupportedFeatureProfiles", "true", "Core,FirmwareManagement,RemoteTrigger,SmartCharging"),
        ("TransactionMessageAttempts", "false", "5"),
        ("TransactionMessageRetryInterval", "false", "20"),
        ("UnlockConnectorOnEVSideDisconnect", "false", "true"),
        ("WebSocketPingInterval", "false", "60"),
    )
)


def _csms16(s: Station) -> Exchange:
    luck = s.rng.random()
    if luck < 0.2:
        reply = f'{{"configurationKey":[{_CONFIGURATION}],"unknownKey":["LightIntensity"]}}'
        return Exchange(CSMS, "GetConfiguration", "{}", reply)
    if luck < 0.5:
        request = '{"requestedMessage":"StatusNotification","connectorId":1}'
        return Exchange(CSMS, "TriggerMessage", request, '{"status":"Accepted"}')
    if luck < 0.7:
        request = f'{{"key":"MeterValueSampleInterval","value":"{s.rng.randrange(5, 60)}"}}'
        return Exchange(CSMS, "ChangeConfiguration", request, '{"status":"Accepted"}')
    if luck < 0.85:
        request = (
            f'{{"vendorId":"org.example.display","messageId":"setText","data":"Tariff {s.rng.randrange(30, 70)} ct"}}'
        )
        return Exchange(CSMS, "DataTransfer", request, '"NotSupported","Vendor is not known here",{}', 1.0, ERROR)
    request = (
        '{"connectorId":1,"csChargingProfiles":{"chargingProfileId":7,"stackLevel":1,'
        '"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Relative","chargingSchedule":'
        f'{{"chargingRateUnit":"A","chargingSchedulePeriod":[{{"startPeriod":0,"limit":{s.rng.randrange(6, 32)}}},'
        '{"startPeriod":1800,"limit":10}]}}}'
    )
    return Exchange(CSMS, "SetChargingProfile", request, '{"status":"Accepted"}')


# OCPP 2.0.1


def _script201(s: Station) -> Iterator[Exchange]:
    yield Exchange(
        STATION,
        "BootNotification",
        f'{{"reason":"PowerUp","chargingStation":{{"model":"{s.model}","vendorName":"{s.vendor}",'
        f'"serialNumber":"{s.serial}","firmwareVersion":"{s.firmware}"}}}}',
        f'{{"currentTime":"{s.iso()}","interval":300,"status":"Accepted"}}',
        0.2,
    )
    for evse in range(1, s.connectors + 1):
        yield _status201(s, evse, "Available")
    while True:
        luck = s.rng.random()
        if luck < 0.36:
            yield _heartbeat(s)
        elif luck < 0.48:
            yield _csms201(s)
        elif luck < 0.5:
            yield _report201(s)
        elif luck < 0.6:
            yield _idle_meter201(s)
        else:
            yield from _session201(s, remote=luck > 0.85)


def _status201(s: Station, evse: int, status: str) -> Exchange:
    return Exchange(
        STATION,
        "StatusNotification",
        f'{{"timestamp":"{s.iso()}","connectorStatus":"{status}","evseId":{evse},"connectorId":1}}',
        "{}",
        0.1 + s.rng.random(),
    )


def _idle_meter201(s: Station) -> Exchange:
    return Exchange(
        STATION,
        "MeterValues",
        f'{{"evseId":1,"meterValue":[{{"timestamp":"{s.iso()}","sampledValue":{s.meter(12, 60, False)}}}]}}',
        "{}",
        10,
    )


def _session201(s: Station, *, remote: bool) -> Iterator[Exchange]:
    rng, tag = s.rng, s.tag()
    token = f'"idToken":{{"idToken":"{tag}","type":"ISO14443"}}'
    evse = 1 + rng.randrange(s.connectors)
    transaction = f"{rng.getrandbits(96):024x}"
    accepted_info = '{"idTokenInfo":{"status":"Accepted"}}'
    if remote:
        request = f'{{{token},"remoteStartId":{rng.randrange(1, 9999)},"evseId":{evse}}}'
        yield Exchange(CSMS, "RequestStartTransaction", request, '{"status":"Accepted"}')
    else:
        yield Exchange(STATION, "Authorize", f"{{{token}}}", accepted_info)
    yield _status201(s, evse, "Occupied")

    power = 3600 + rng.random() * 7400

    def event(kind: str, trigger: str, seq: int, state: str, more: str = "") -> str:
        values = s.meter(power * (0.97 + rng.random() * 0.06), 10, False)
        return (
            f'{{"eventType":"{kind}","timestamp":"{s.iso()}","triggerReason":"{trigger}","seqNo":{seq},'
            f'"transactionInfo":{{"transactionId":"{transaction}","chargingState":"{state}"}},'
            f'"evse":{{"id":{evse},"connectorId":1}},'
            f'"meterValue":[{{"timestamp":"{s.iso()}","sampledValue":{values}}}]{more}}}'
        )

    trigger = "RemoteStart" if remote else "Authorized"
    yield Exchange(
        STATION, "TransactionEvent", event("Started", trigger, 0, "EVConnected", "," + token), accepted_info
    )
    seq = 0
    for seq in range(1, rng.randrange(4, 30)):
        yield Exchange(
            STATION,
            "TransactionEvent",
            event("Updated", "MeterValuePeriodic", seq, "Charging"),
            "{}",
            9.5 + rng.random(),
        )
    if remote:
        request = f'{{"transactionId":"{transaction}"}}'
        yield Exchange(CSMS, "RequestStopTransaction", request, '{"status":"Accepted"}', 0.4)
    trigger = "RemoteStop" if remote else "EVDeparted"
    yield Exchange(STATION, "TransactionEvent", event("Ended", trigger, seq + 1, "Idle"), '{"totalCost":4.2}')
    yield _status201(s, evse, "Available")


def _report201(s: Station) -> Exchange:
    rows = ",".join(
        f'{{"component":{{"name":"EVSE","evse":{{"id":{n % 2 + 1}}}}},"variable":{{"name":"Power{n}"}},'
        f'"variableAttribute":[{{"type":"Actual","value":"{s.rng.randrange(22000)}","mutability":"ReadOnly"}}],'
        '"variableCharacteristics":{"unit":"W","dataType":"decimal","supportsMonitoring":true}}'
        for n in range(12)
    )
    request = (
        f'{{"requestId":{s.rng.randrange(1, 9999)},"generatedAt":"{s.iso()}",'
        f'"seqNo":0,"tbc":false,"reportData":[{rows}]}}'
    )
    return Exchange(STATION, "NotifyReport", request, "{}")


def _csms201(s: Station) -> Exchange:
    luck = s.rng.random()
    variable = '"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}'
    if luck < 0.35:
        return Exchange(
            CSMS,
            "GetVariables",
            f'{{"getVariableData":[{{{variable}}}]}}',
            f'{{"getVariableResult":[{{"attributeStatus":"Accepted","attributeValue":"300",{variable}}}]}}',
        )
    if luck < 0.6:
        value = s.rng.randrange(60, 900)
        return Exchange(
            CSMS,
            "SetVariables",
            f'{{"setVariableData":[{{"attributeValue":"{value}",{variable}}}]}}',
            f'{{"setVariableResult":[{{"attributeStatus":"Accepted",{variable}}}]}}',
        )
    if luck < 0.85:
        request = '{"requestedMessage":"StatusNotification","evse":{"id":1,"connectorId":1}}'
        return Exchange(CSMS, "TriggerMessage", request, '{"status":"Accepted"}')
    request = '{"vendorId":"org.example.display","data":{"text":"Welcome"}}'
    return Exchange(CSMS, "DataTransfer", request, '"NotImplemented","No such vendor",{}', 1.0, ERROR)
