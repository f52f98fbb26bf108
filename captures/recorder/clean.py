"""Recordings of stations with nothing wrong: a day of 1.6, of 2.0.1 and of 2.1, in about two minutes each.

Every figure fits every other: intervals as agreed, energy as the power says, limits that are kept.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from scenarios import scenario
from stage import Peer, Stage
from stories import NOW, V16, V21, V201, local_list, status2, status16

INTERVAL = 10  # seconds between heartbeats, as the CSMS asks for
SAMPLE = 5  # seconds between meter values, as the CSMS sets
PING = 15  # seconds between pings of the station
VOLTS = 230


class Meter:
    """A meter that counts what flows on three phases: the register is power over time, not a made-up row."""

    def __init__(self, wh: float) -> None:
        self.wh = wh
        self.amps = 0.0
        self.since = time.monotonic()

    def flow(self, amps: float) -> None:
        self.read()
        self.amps = amps

    def read(self) -> int:
        """Wh so far."""
        now = time.monotonic()
        self.wh += self.watts * (now - self.since) / 3600
        self.since = now
        return round(self.wh)

    @property
    def watts(self) -> float:
        return 3 * VOLTS * self.amps

    def sampled16(self) -> list[dict[str, Any]]:
        outlet = {"context": "Sample.Periodic", "location": "Outlet"}
        phases = [
            {"value": f"{value:.1f}", "measurand": measurand, "unit": unit, "phase": phase, **outlet}
            for measurand, unit, value, names in (
                ("Current.Import", "A", self.amps, ("L1", "L2", "L3")),
                ("Voltage", "V", float(VOLTS), ("L1-N", "L2-N", "L3-N")),
            )
            for phase in names
        ]
        return [
            {"value": str(self.read()), "measurand": "Energy.Active.Import.Register", "unit": "Wh", **outlet},
            {"value": f"{self.watts:.1f}", "measurand": "Power.Active.Import", "unit": "W", **outlet},
            *phases,
        ]

    def sampled2(self, context: str = "Sample.Periodic") -> list[dict[str, Any]]:
        return [
            {
                "value": self.read(),
                "context": context,
                "measurand": "Energy.Active.Import.Register",
                "unitOfMeasure": {"unit": "Wh"},
            },
            {
                "value": round(self.watts, 1),
                "context": context,
                "measurand": "Power.Active.Import",
                "unitOfMeasure": {"unit": "W"},
            },
        ]


@asynccontextmanager
async def heartbeats(station: Peer, cp: str, every: float = INTERVAL) -> AsyncIterator[None]:
    """Heartbeats go on while other things happen."""
    stop = asyncio.Event()

    async def beat() -> None:
        while True:
            try:
                await asyncio.wait_for(stop.wait(), every)
            except TimeoutError:
                await station.call(cp, "Heartbeat")
            else:
                return

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        stop.set()
        await beating


async def two_hosts(
    stage: Stage, csms: str, station: str, version: str, cp: str, password: str
) -> tuple[Peer, Peer, str]:
    """Station and CSMS on one private network, the sniffer on the CSMS's host."""
    home, far = stage.namespace("s"), stage.namespace("c")
    stage.link((home, "sta0", "10.81.0.10/24"), (far, "srv0", "10.81.0.20/24"))
    await stage.capture(far, "srv0")
    common = {"host": "10.81.0.20", "port": 9000, "protocols": [version], "strict": True}
    server = await stage.peer(csms, far, role="csms", seed=2, passwords={cp: password}, **common)
    client = await stage.peer(station, home, role="station", seed=1, protocols=[version], ping=PING)
    return server, client, "ws://10.81.0.20:9000/ocpp"


# --- 1.6 ------------------------------------------------------------------------------------------------------------

BOOT16 = {
    "chargePointVendor": "Example Vendor",
    "chargePointModel": "EX-22",
    "chargePointSerialNumber": "SN-0016",
    "firmwareVersion": "1.4.2",
}


def configuration16(**settings: str) -> dict[str, Any]:
    keys = [{"key": key, "readonly": False, "value": value} for key, value in settings.items()]
    return {"configurationKey": keys}


async def begun16(station: Peer, cp: str) -> None:
    await station.call(cp, "BootNotification", BOOT16)
    for connector in range(3):
        await station.call(cp, "StatusNotification", status16(connector, "Available"))


async def metered16(station: Peer, cp: str, connector: int, transaction: int, meter: Meter, samples: int) -> None:
    """Meter values at the agreed interval, counted from the first."""
    began = time.monotonic()
    for number in range(1, samples + 1):
        await asyncio.sleep(began + number * SAMPLE - time.monotonic())
        value = {"timestamp": NOW, "sampledValue": meter.sampled16()}
        payload = {"connectorId": connector, "transactionId": transaction, "meterValue": [value]}
        await station.call(cp, "MeterValues", payload)


async def started16(station: Peer, cp: str, connector: int, tag: str, meter: Meter) -> None:
    await station.call(cp, "StatusNotification", status16(connector, "Preparing"))
    await station.call(cp, "Authorize", {"idTag": tag})
    await asyncio.sleep(1)
    start = {"connectorId": connector, "idTag": tag, "meterStart": meter.read(), "timestamp": NOW}
    await station.call(cp, "StartTransaction", start)
    meter.flow(16)
    await station.call(cp, "StatusNotification", status16(connector, "Charging"))


async def stopped16(
    station: Peer, cp: str, connector: int, transaction: int, meter: Meter, reason: str, **tag: str
) -> None:
    meter.flow(0)
    stop = {"transactionId": transaction, "meterStop": meter.read(), "timestamp": NOW, "reason": reason, **tag}
    await station.call(cp, "StopTransaction", stop)
    await station.call(cp, "StatusNotification", status16(connector, "Finishing"))
    await asyncio.sleep(3)
    await station.call(cp, "StatusNotification", status16(connector, "Available"))


def limit16(transaction: int, amps: float) -> dict[str, Any]:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}]}
    profile = {
        "chargingProfileId": 7,
        "transactionId": transaction,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
    }
    return {"connectorId": 1, "csChargingProfiles": profile}


async def by_card16(csms: Peer, station: Peer, cp: str) -> None:
    """A card, a limit that is kept, a pause of the car, the same card."""
    transaction, tag, meter = 48213, "EXAMPLE-TAG-16", Meter(1_254_310)
    answer = {"transactionId": transaction, "idTagInfo": {"status": "Accepted"}}
    await csms.do("behave", action="StartTransaction", payload=answer)
    await started16(station, cp, 1, tag, meter)
    await metered16(station, cp, 1, transaction, meter, 3)
    await csms.call(cp, "SetChargingProfile", limit16(transaction, 10))
    meter.flow(10)
    await metered16(station, cp, 1, transaction, meter, 3)
    meter.flow(0)
    await station.call(cp, "StatusNotification", status16(1, "SuspendedEV"))
    await metered16(station, cp, 1, transaction, meter, 2)
    meter.flow(10)
    await station.call(cp, "StatusNotification", status16(1, "Charging"))
    await metered16(station, cp, 1, transaction, meter, 3)
    await station.call(cp, "Authorize", {"idTag": tag})
    await stopped16(station, cp, 1, transaction, meter, "Local", idTag=tag)


async def by_app16(csms: Peer, station: Peer, cp: str) -> None:
    transaction, tag, meter = 48214, "EXAMPLE-APP-16", Meter(902_115)
    answer = {"transactionId": transaction, "idTagInfo": {"status": "Accepted"}}
    await csms.do("behave", action="StartTransaction", payload=answer)
    await csms.call(cp, "RemoteStartTransaction", {"connectorId": 2, "idTag": tag})
    await started16(station, cp, 2, tag, meter)
    await metered16(station, cp, 2, transaction, meter, 4)
    await csms.call(cp, "RemoteStopTransaction", {"transactionId": transaction})
    await asyncio.sleep(0.8)
    await stopped16(station, cp, 2, transaction, meter, "Remote")


@scenario("a day of a 1.6 station with nothing wrong: two transactions, a limit that is kept, a reset, close 1000")
async def clean16(stage: Stage) -> None:
    cp, password = "CP-CLEAN-16", "qT7mVx2LpR9sWz4KfH8d"
    csms, station, url = await two_hosts(stage, "node", "python", V16, cp, password)
    boot = {"status": "Accepted", "currentTime": NOW, "interval": INTERVAL}
    await csms.do("behave", action="BootNotification", payload=boot)
    profiles = "Core,LocalAuthListManagement,RemoteTrigger,SmartCharging"
    settings = configuration16(
        HeartbeatInterval=str(INTERVAL), MeterValueSampleInterval="60", NumberOfConnectors="2",
        ConnectionTimeOut="60", WebSocketPingInterval=str(PING), SupportedFeatureProfiles=profiles,
        ChargeProfileMaxStackLevel="3", ChargingScheduleAllowedChargingRateUnit="Current,Power",
    )  # fmt: skip
    await station.do("behave", action="GetConfiguration", payload=settings)
    await station.connect(cp, url, [V16], password=password, ping=PING)
    await begun16(station, cp)
    async with heartbeats(station, cp):
        await asyncio.sleep(3)
        await csms.call(cp, "GetConfiguration", {})
        await csms.call(cp, "ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": str(SAMPLE)})
        await csms.call(cp, "GetLocalListVersion")
        await csms.call(cp, "SendLocalList", {**local_list(4), "listVersion": 1})
        await csms.call(cp, "TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1})
        await station.call(cp, "StatusNotification", status16(1, "Available"))
        await by_card16(csms, station, cp)
        await asyncio.sleep(2)
        await by_app16(csms, station, cp)
        await asyncio.sleep(2)
        await csms.call(cp, "Reset", {"type": "Soft"})
    await station.do("close", cp, code=1000, reason="reset")
    await asyncio.sleep(6)
    await station.connect(cp, url, [V16], password=password, ping=PING)
    await begun16(station, cp)
    async with heartbeats(station, cp):
        await asyncio.sleep(2.2 * INTERVAL)
    await station.do("close", cp, code=1000, reason="end of day")


# --- 2.0.1 and 2.1 --------------------------------------------------------------------------------------------------


class Transaction2:
    """The events of a transaction, numbered without a gap."""

    def __init__(self, station: Peer, cp: str, id_: str, meter: Meter) -> None:
        self.station = station
        self.cp = cp
        self.id = id_
        self.meter = meter
        self.next = 0

    async def event(self, kind: str, trigger: str, state: str, info: dict[str, Any], **more: Any) -> None:
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
        values = [{"timestamp": NOW, "sampledValue": self.meter.sampled2(context)}]
        payload = {
            "eventType": kind,
            "timestamp": NOW,
            "triggerReason": trigger,
            "seqNo": self.next,
            "transactionInfo": {"transactionId": self.id, "chargingState": state, **info},
            **({"meterValue": values} if kind != "Updated" or trigger == "MeterValuePeriodic" else {}),
            **more,
        }
        self.next += 1
        await self.station.call(self.cp, "TransactionEvent", payload)

    async def metered(self, samples: int) -> None:
        began = time.monotonic()
        for number in range(1, samples + 1):
            await asyncio.sleep(began + number * SAMPLE - time.monotonic())
            await self.event("Updated", "MeterValuePeriodic", "Charging", {})


async def begun2(station: Peer, cp: str, reason: str) -> None:
    identity = {
        "model": "EX-50",
        "vendorName": "Example Vendor",
        "serialNumber": f"SN-{cp}",
        "firmwareVersion": "3.0.1",
    }
    await station.call(cp, "BootNotification", {"chargingStation": identity, "reason": reason})
    for evse in (1, 2):
        await status2(station, cp, evse, "Available")


def limit2(transaction: str, amps: float) -> dict[str, Any]:
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}]}
    profile = {
        "id": 7,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "transactionId": transaction,
        "chargingSchedule": [schedule],
    }
    return {"evseId": 1, "chargingProfile": profile}


async def by_card2(csms: Peer, station: Peer, cp: str) -> None:
    token = {"idToken": "04A1B2C3D4E5F6", "type": "ISO14443"}
    one = Transaction2(station, cp, f"TX-{cp}-0001", Meter(730_500))
    evse = {"id": 1, "connectorId": 1}
    await status2(station, cp, 1, "Occupied")
    await one.event("Started", "CablePluggedIn", "EVConnected", {}, evse=evse)
    await asyncio.sleep(1)
    await station.call(cp, "Authorize", {"idToken": token})
    await one.event("Updated", "Authorized", "EVConnected", {}, idToken=token)
    one.meter.flow(16)
    await one.event("Updated", "ChargingStateChanged", "Charging", {})
    await one.metered(3)
    await csms.call(cp, "SetChargingProfile", limit2(one.id, 10))
    one.meter.flow(10)
    await one.metered(4)
    one.meter.flow(0)
    await one.event("Updated", "StopAuthorized", "EVConnected", {}, idToken=token)
    await asyncio.sleep(1)
    await one.event("Ended", "EVDeparted", "Idle", {"stoppedReason": "Local"})
    await status2(station, cp, 1, "Available")


async def by_app2(csms: Peer, station: Peer, cp: str) -> None:
    token = {"idToken": "EXAMPLEAPP02", "type": "Central"}
    two = Transaction2(station, cp, f"TX-{cp}-0002", Meter(118_040))
    evse = {"id": 2, "connectorId": 1}
    remote = {"remoteStartId": 31}
    await csms.call(cp, "RequestStartTransaction", {"idToken": token, "evseId": 2, **remote})
    await two.event("Started", "RemoteStart", "Idle", remote, evse=evse, idToken=token)
    await asyncio.sleep(1)
    await status2(station, cp, 2, "Occupied")
    await two.event("Updated", "CablePluggedIn", "EVConnected", {})
    two.meter.flow(16)
    await two.event("Updated", "ChargingStateChanged", "Charging", {})
    await two.metered(4)
    await csms.call(cp, "RequestStopTransaction", {"transactionId": two.id})
    two.meter.flow(0)
    await two.event("Ended", "RemoteStop", "EVConnected", {"stoppedReason": "Remote"})
    await asyncio.sleep(2)
    await status2(station, cp, 2, "Available")


async def asked2(csms: Peer, station: Peer, cp: str) -> None:
    heartbeat = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    known = {"attributeStatus": "Accepted", "attributeValue": str(INTERVAL), **heartbeat}
    await station.do("behave", action="GetVariables", payload={"getVariableResult": [known]})
    await csms.call(cp, "GetVariables", {"getVariableData": [heartbeat]})
    sampling = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
    await csms.call(cp, "SetVariables", {"setVariableData": [{"attributeValue": str(SAMPLE), **sampling}]})
    await csms.call(cp, "GetBaseReport", {"requestId": 11, "reportBase": "FullInventory"})
    settings = ((heartbeat, str(INTERVAL)), (sampling, str(SAMPLE)))
    for number, (variable, value) in enumerate(settings):
        last = number == len(settings) - 1
        data = {**variable, "variableAttribute": [{"type": "Actual", "value": value}]}
        report = {"requestId": 11, "generatedAt": NOW, "seqNo": number, "tbc": not last, "reportData": [data]}
        await station.call(cp, "NotifyReport", report)


async def day2(csms: Peer, station: Peer, cp: str, url: str, version: str, password: str, stream: bool) -> None:
    boot = {"status": "Accepted", "currentTime": NOW, "interval": INTERVAL}
    await csms.do("behave", action="BootNotification", payload=boot)
    await station.connect(cp, url, [version], password=password, ping=PING)
    await begun2(station, cp, "PowerUp")
    async with heartbeats(station, cp):
        await asyncio.sleep(3)
        await asked2(csms, station, cp)
        await by_card2(csms, station, cp)
        if stream:
            await streamed(station, cp)
        await asyncio.sleep(2)
        await by_app2(csms, station, cp)
        await asyncio.sleep(2)
        await csms.call(cp, "Reset", {"type": "OnIdle"})
    await station.do("close", cp, code=1000, reason="reset")
    await asyncio.sleep(6)
    await station.connect(cp, url, [version], password=password, ping=PING)
    await begun2(station, cp, "RemoteReset")
    async with heartbeats(station, cp):
        await asyncio.sleep(2.2 * INTERVAL)
    await station.do("close", cp, code=1000, reason="end of day")


async def streamed(station: Peer, cp: str) -> None:
    """A periodic event stream of 2.1: SENDs, which have no answer."""
    constant = {"id": 3, "params": {"interval": 5, "values": 2}, "variableMonitoringId": 17}
    await station.call(cp, "OpenPeriodicEventStream", {"constantStreamData": constant})
    for number in range(4):
        await asyncio.sleep(5)
        base = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        data = f'[{{"v":"{230 + number}.4","t":0}},{{"v":"{231 + number}.1","t":2.5}}]'
        payload = f'{{"id":3,"pending":0,"basetime":"{base}","data":{data}}}'
        await station.do("raw", cp, text=f'[6,"send-{number:04d}","NotifyPeriodicEventStream",{payload}]')
    await station.call(cp, "ClosePeriodicEventStream", {"id": 3})


@scenario("a day of a 2.0.1 station with nothing wrong: reports, two transactions, a limit that is kept, a reset")
async def clean201(stage: Stage) -> None:
    cp, password = "CS-CLEAN-201", "bN3kYc8TqJ5vMw6XrA2e"
    csms, station, url = await two_hosts(stage, "node", "python", V201, cp, password)
    await day2(csms, station, cp, url, V201, password, stream=False)


@scenario("a day of a 2.1 station with nothing wrong: the same, and a periodic event stream")
async def clean21(stage: Stage) -> None:
    cp, password = "CS-CLEAN-21", "hD9pZf4GsU7nQx1LtC6y"
    csms, station, url = await two_hosts(stage, "python", "node", V21, cp, password)
    await day2(csms, station, cp, url, V21, password, stream=True)
