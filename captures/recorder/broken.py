"""Recordings of stations, CSMSs and networks with one fault each; what has to be found is in NAME.expected.json.

Several stations share a capture, so that there are few; each has a fault of its own and nothing else wrong.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from clean import Meter, Transaction2, begun2
from scenarios import scenario
from stage import Peer, Stage
from stories import NOW, V16, V201, boot16, status2, status16, together

TRANSACTIONS = {"CP-DEAF": 7001, "CP-TAG": 7002, "CP-FORGETS": 7003, "CP-OFFLINE": 7004, "CP-AHEAD": 7005}
TRANSACTIONS |= {"CP-ZONELESS": 7006, "CP-FALLS": 7007, "CP-KWH": 7008, "CP-GREEDY": 7009}
"""The transactionId that the CSMS gives each station."""


async def one_network(
    stage: Stage, csms: str, station: str, version: str = V16, *, idle: float = 0, **options: Any
) -> tuple[Peer, Peer, str, str]:
    """Stations on a host, CSMS and sniffer on another; with `idle` a bridge between that cuts what is silent."""
    home, far = stage.namespace("s"), stage.namespace("c")
    if idle:
        bridge = stage.namespace("b")
        stage.link((home, "sta0", "10.81.0.10/24"), (bridge, "left0", ""))
        stage.link((bridge, "right0", ""), (far, "srv0", "10.81.0.20/24"))
        await stage.machine(bridge, "cutter.py", "left0", "right0", str(idle))
    else:
        stage.link((home, "sta0", "10.81.0.10/24"), (far, "srv0", "10.81.0.20/24"))
    await stage.capture(far, "srv0")
    common = {"host": "10.81.0.20", "port": 9000, "protocols": [version], **options}
    server = await stage.peer(csms, far, role="csms", seed=2, **common)
    client = await stage.peer(station, home, role="station", seed=1, protocols=[version])
    for cp, number in TRANSACTIONS.items():
        answer = {"transactionId": number, "idTagInfo": {"status": "Accepted"}}
        await server.do("behave", cp, action="StartTransaction", payload=answer)
    return server, client, "ws://10.81.0.20:9000/ocpp", home


def ago(seconds: float) -> str:
    """A moment in the past as a station with a right clock writes it."""
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def plugged(station: Peer, cp: str, meter_start: int, tag: str = "EXAMPLE-TAG-20") -> int:
    """Up to Charging; the transactionId."""
    await station.call(cp, "StatusNotification", status16(1, "Preparing"))
    await station.call(cp, "Authorize", {"idTag": tag})
    await asyncio.sleep(0.5)
    start = {"connectorId": 1, "idTag": tag, "meterStart": meter_start, "timestamp": NOW}
    await station.call(cp, "StartTransaction", start)
    await station.call(cp, "StatusNotification", status16(1, "Charging"))
    return TRANSACTIONS[cp]


async def unplugged(station: Peer, cp: str, meter_stop: int, reason: str = "Local") -> None:
    stop = {"transactionId": TRANSACTIONS[cp], "meterStop": meter_stop, "timestamp": NOW, "reason": reason}
    await station.call(cp, "StopTransaction", stop)
    await station.call(cp, "StatusNotification", status16(1, "Finishing"))
    await asyncio.sleep(2)
    await station.call(cp, "StatusNotification", status16(1, "Available"))


def values(wh: str, watts: float) -> list[dict[str, Any]]:
    return [
        {"value": wh, "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {"value": f"{watts:.1f}", "measurand": "Power.Active.Import", "unit": "W"},
    ]


async def sampled(station: Peer, cp: str, sampled_value: list[dict[str, Any]], when: str = NOW) -> None:
    value = {"timestamp": when, "sampledValue": sampled_value}
    payload = {"connectorId": 1, "transactionId": TRANSACTIONS[cp], "meterValue": [value]}
    await station.call(cp, "MeterValues", payload)


async def metered(station: Peer, cp: str, meter: Meter, samples: int, every: float = 10) -> None:
    for _ in range(samples):
        await asyncio.sleep(every)
        await sampled(station, cp, values(str(meter.read()), meter.watts))


# --- connecting -----------------------------------------------------------------------------------------------------


@scenario("six stations that do not get in or do not stay in: password, identity, subprotocol, storm, loop, twins")
async def broken_connecting(stage: Stage) -> None:
    stations = ("CP-PASSWORD", "CP-NAMELESS", "CP-STORM", "CP-LOOP", "CP-TWIN")
    passwords = {cp: f"kQ8wZr3Tn6Vx1Ms5Yb{number:02d}" for number, cp in enumerate(stations)}
    _, station, url, home = await one_network(stage, "node", "python", strict=True, passwords=passwords)
    twin = await stage.peer("python", home, role="station", seed=7, protocols=[V16])

    async def wrong_password() -> None:
        for pause in (6, 13, 27, 0):
            await station.connect("CP-PASSWORD", url, [V16], password="xD4hJc9Lq2Wf7Kp5Gt8z")
            await asyncio.sleep(pause)

    async def unknown() -> None:
        for pause in (7, 15, 0):
            await station.connect("CP-UNKNOWN", url, [V16], password="rN6yBs1Hv8Zk3Um9Ea4c")
            await asyncio.sleep(pause)

    async def nameless() -> None:
        cp = "CP-NAMELESS"
        await station.connect(cp, url, None, password=passwords[cp])
        await boot16(station, cp)
        await asyncio.sleep(20)
        await station.call(cp, "Heartbeat")
        await station.do("close", cp, code=1000)

    async def storm() -> None:
        cp = "CP-STORM"
        for number in range(9):
            await station.connect(cp, url, [V16], password=passwords[cp])
            await (boot16(station, cp) if not number else station.call(cp, "Heartbeat"))
            await station.do("close", cp, code=1000)
            await asyncio.sleep(3)

    async def loop() -> None:
        cp = "CP-LOOP"
        for _ in range(4):
            await station.connect(cp, url, [V16], password=passwords[cp])
            await boot16(station, cp)
            await asyncio.sleep(2)
            await station.do("abort", cp)
            await asyncio.sleep(17)
        await station.connect(cp, url, [V16], password=passwords[cp])
        await boot16(station, cp)
        await asyncio.sleep(1)
        await station.do("close", cp, code=1000)

    async def twins() -> None:
        cp = "CP-TWIN"
        for one in (station, twin):
            await one.connect(cp, url, [V16], password=passwords[cp])
            await boot16(one, cp)
            await asyncio.sleep(8)
        for one in (station, twin, station, twin):
            await one.call(cp, "Heartbeat")
            await asyncio.sleep(4)
        await station.do("close", cp, code=1000)
        await asyncio.sleep(2)
        await twin.do("close", cp, code=1000)

    await together(wrong_password(), unknown(), nameless(), storm(), loop(), twins())


@scenario("four stations with silence: an idle timer on the path, a CSMS that answers no more, commands ignored")
async def broken_silence(stage: Stage) -> None:
    csms, station, url, _ = await one_network(stage, "python", "python", idle=21, timeout=31)

    async def idle() -> None:
        cp = "CP-IDLE"
        for number in range(4):
            await station.connect(cp, url, [V16])
            await (boot16(station, cp) if not number else station.call(cp, "Heartbeat"))
            await station.saw("close", "1006", number + 1, patience=30)
            await asyncio.sleep(5)
        await station.connect(cp, url, [V16])
        await station.call(cp, "Heartbeat")
        await asyncio.sleep(3)
        await station.do("close", cp, code=1000)

    async def mute_csms() -> None:
        cp = "CP-UNHEARD"
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await asyncio.sleep(4)
        await station.call(cp, "Heartbeat")
        await csms.do("behave", cp, action="", never=True)
        await asyncio.sleep(4)
        for _ in range(3):
            await station.call(cp, "Heartbeat", patience=40)
        await station.do("close", cp, code=1000)

    async def deaf() -> None:
        cp, meter = "CP-DEAF", Meter(410_000)
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await plugged(station, cp, meter.read())
        meter.flow(16)
        await metered(station, cp, meter, 2)
        await csms.call(cp, "RemoteStopTransaction", {"transactionId": TRANSACTIONS[cp]})
        await metered(station, cp, meter, 8)
        await station.call(cp, "Authorize", {"idTag": "EXAMPLE-TAG-20"})
        await unplugged(station, cp, meter.read())
        await station.do("close", cp, code=1000)

    async def idler() -> None:
        cp = "CP-IDLER"
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await asyncio.sleep(3)
        await csms.call(cp, "RemoteStartTransaction", {"connectorId": 1, "idTag": "EXAMPLE-APP-21"})
        await asyncio.sleep(126)
        await station.call(cp, "Heartbeat")
        await station.do("close", cp, code=1000)

    # The idle timer would take those that are slower to begin for silent, so they all use pings but the first.
    await together(idle(), mute_csms(), deaf(), idler())


# --- transactions ---------------------------------------------------------------------------------------------------


@scenario(
    "five stations with one fault each: a tag too long, a wrong status, no stop, a new key in the clear, offline"
)
async def broken_transactions(stage: Stage) -> None:
    csms, station, url, _ = await one_network(stage, "node", "python", strict=True)

    async def long_tag() -> None:
        cp, meter, tag = "CP-TAG", Meter(88_000), "EXAMPLE-APP-22"
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await asyncio.sleep(2)
        await csms.call(cp, "RemoteStartTransaction", {"connectorId": 1, "idTag": tag})
        number = await plugged(station, cp, meter.read(), tag)
        meter.flow(16)
        await metered(station, cp, meter, 3)
        await csms.call(cp, "RemoteStopTransaction", {"transactionId": number})
        meter.flow(0)
        stop = {"transactionId": number, "meterStop": meter.read(), "timestamp": ago(0), "reason": "Remote"}
        stop["idTag"] = "EXAMPLE-APP-22-AND-A-TAIL"
        for pause in (20, 40, 20):
            await station.call(cp, "StopTransaction", stop, unchecked=True)
            await asyncio.sleep(pause)
        await station.do("close", cp, code=1000)

    async def wrong_status() -> None:
        cp = "CP-STATUS"
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        for status in ("Preparing", "Available", "Finishing", "Available"):
            await asyncio.sleep(10)
            await station.call(cp, "StatusNotification", status16(1, status))
        await station.do("close", cp, code=1000)

    async def never_stopped() -> None:
        cp, meter = "CP-FORGETS", Meter(91_000)
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await plugged(station, cp, meter.read())
        meter.flow(16)
        await metered(station, cp, meter, 3)
        for status in ("Finishing", "Available"):
            await station.call(cp, "StatusNotification", status16(1, status))
            await asyncio.sleep(2)
        await asyncio.sleep(70)
        await station.call(cp, "Heartbeat")
        await station.do("close", cp, code=1000)

    async def new_key() -> None:
        cp, old, new = "CP-KEY", "vG5tRw8Jn2Xc7Fy4Bq9k", "mL3pHz6Sd9Ek1Va8Tu5w"
        await station.connect(cp, url, [V16], ping=10, password=old)
        await boot16(station, cp)
        await asyncio.sleep(3)
        await csms.call(cp, "ChangeConfiguration", {"key": "AuthorizationKey", "value": new})
        await asyncio.sleep(1)
        await station.do("close", cp, code=1000)
        await asyncio.sleep(8)
        await station.connect(cp, url, [V16], ping=10, password=new)
        await station.call(cp, "Heartbeat")
        await asyncio.sleep(5)
        await station.do("close", cp, code=1000)

    async def offline() -> None:
        cp, meter = "CP-OFFLINE", Meter(93_000)
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await plugged(station, cp, meter.read())
        meter.flow(16)
        await metered(station, cp, meter, 2)
        await station.do("abort", cp)
        queue = []
        for _ in range(5):
            await asyncio.sleep(10)
            queue.append((ago(0), values(str(meter.read()), meter.watts)))
        meter.flow(0)
        stop = {"transactionId": TRANSACTIONS[cp], "meterStop": meter.read(), "timestamp": ago(0), "reason": "Local"}
        await asyncio.sleep(75)
        await station.connect(cp, url, [V16], ping=10)
        await station.call(cp, "Heartbeat")
        for when, value in queue:
            await sampled(station, cp, value, when)
        await station.call(cp, "StopTransaction", stop)
        await station.call(cp, "StatusNotification", status16(1, "Available"))
        await asyncio.sleep(2)
        await station.do("close", cp, code=1000)

    await together(long_tag(), wrong_status(), never_stopped(), new_key(), offline())


# --- clocks and meters ----------------------------------------------------------------------------------------------


@scenario("five stations whose figures are wrong: an hour ahead, no time zone, a register that falls, kWh, a limit")
async def broken_figures(stage: Stage) -> None:
    csms, station, url, _ = await one_network(stage, "python", "python")

    async def session(cp: str, meter: Meter) -> None:
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await asyncio.sleep(2)
        await plugged(station, cp, meter.read())
        meter.flow(16)
        await metered(station, cp, meter, 7)
        await unplugged(station, cp, meter.read())
        await station.call(cp, "Heartbeat")
        await station.do("close", cp, code=1000)

    async def ahead() -> None:
        await station.do("clock", "CP-AHEAD", ahead=3600)
        await session("CP-AHEAD", Meter(20_000))

    async def zoneless() -> None:
        await station.do("clock", "CP-ZONELESS", zone="")
        await session("CP-ZONELESS", Meter(30_000))

    async def falls() -> None:
        cp, meter = "CP-FALLS", Meter(40_000)
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await plugged(station, cp, meter.read())
        meter.flow(32)
        await metered(station, cp, meter, 4)
        meter.wh -= 90
        await metered(station, cp, meter, 5)
        await unplugged(station, cp, meter.read())
        await station.do("close", cp, code=1000)

    async def kwh() -> None:
        cp, watts, register = "CP-KWH", 120_000.0, 51_204.0  # a fast charger whose register counts kWh
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        await plugged(station, cp, int(register))
        for _ in range(8):
            await asyncio.sleep(10)
            register += watts * 10 / 3600 / 1000
            await sampled(station, cp, values(f"{register:.3f}", watts))
        await unplugged(station, cp, int(register))
        await station.do("close", cp, code=1000)

    async def greedy() -> None:
        cp, meter = "CP-GREEDY", Meter(60_000)
        await station.connect(cp, url, [V16], ping=10)
        await boot16(station, cp)
        number = await plugged(station, cp, meter.read())
        meter.flow(16)
        await greedily_metered(station, cp, meter, 2)
        schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}
        profile = {
            "chargingProfileId": 3,
            "transactionId": number,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": schedule,
        }
        await csms.call(cp, "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})
        await greedily_metered(station, cp, meter, 9)
        await unplugged(station, cp, meter.read())
        await station.do("close", cp, code=1000)

    await together(ahead(), zoneless(), falls(), kwh(), greedy())


async def greedily_metered(station: Peer, cp: str, meter: Meter, samples: int) -> None:
    """Meter values of all phases."""
    for _ in range(samples):
        await asyncio.sleep(10)
        await sampled(station, cp, meter.sampled16())


@scenario("two 2.0.1 stations: one loses a TransactionEvent, one never ends its transaction")
async def broken201(stage: Stage) -> None:
    _, station, url, _ = await one_network(stage, "python", "node", V201)

    async def session(cp: str, *, lost: bool) -> None:
        one = Transaction2(station, cp, f"TX-{cp}", Meter(70_000))
        token = {"idToken": "04F1E2D3C4B5A6", "type": "ISO14443"}
        await station.connect(cp, url, [V201])
        await begun2(station, cp, "PowerUp")
        await status2(station, cp, 1, "Occupied")
        await one.event("Started", "CablePluggedIn", "EVConnected", {}, evse={"id": 1, "connectorId": 1})
        await station.call(cp, "Authorize", {"idToken": token})
        await one.event("Updated", "Authorized", "EVConnected", {}, idToken=token)
        one.meter.flow(16)
        await one.event("Updated", "ChargingStateChanged", "Charging", {})
        await one.metered(3)
        one.next += lost
        await one.metered(3)
        one.meter.flow(0)
        if lost:
            await one.event("Ended", "StopAuthorized", "EVConnected", {"stoppedReason": "Local"}, idToken=token)
        await status2(station, cp, 1, "Available")
        await asyncio.sleep(0 if lost else 126)
        await station.call(cp, "Heartbeat")
        await station.do("close", cp, code=1000)

    await together(session("CS-SEQ", lost=True), session("CS-ENDLESS", lost=False))
