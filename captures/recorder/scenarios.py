"""The recordings by name: each is a function that plays one scenario on a stage, and a line on what it shows."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import edit
from stage import Peer, Stage
from stories import (
    NOW,
    V16,
    V21,
    V201,
    asked16,
    boot2,
    boot16,
    charge2,
    charge16,
    event2,
    local_list,
    meter16,
    status16,
    together,
)

Play = Callable[[Stage], Awaitable[None]]
Edit = Callable[..., list[dict[str, Any]]]


@dataclass(frozen=True)
class Scenario:
    name: str
    shows: str
    play: Play
    edit: Edit | None = None  # a change of the finished capture, with `every`
    every: int = 0


SCENARIOS: dict[str, Scenario] = {}


def scenario(shows: str, **how: Any) -> Callable[[Play], Play]:
    def register(play: Play) -> Play:
        name = play.__name__
        SCENARIOS[name] = Scenario(name, shows, play, **how)
        return play

    return register


async def on_loopback(stage: Stage, csms: str, station: str, **options: Any) -> tuple[Peer, Peer, str]:
    """A CSMS and a station process on one loopback interface, the sniffer already running; and the URL."""
    namespace = stage.namespace("")
    await stage.capture(namespace, "lo")
    return await peers_in(stage, namespace, csms, station, **options)


async def peers_in(stage: Stage, namespace: str, csms: str, station: str, **options: Any) -> tuple[Peer, Peer, str]:
    common = {"host": "127.0.0.1", "port": 9000, "protocols": [V16], **options}
    server = await stage.peer(csms, namespace, role="csms", seed=2, **common)
    client = await stage.peer(station, namespace, role="station", seed=1, protocols=common["protocols"])
    return server, client, f"ws://127.0.0.1:{common['port']}/ocpp"


@scenario("an ordinary day of a 1.6 station: boot, a transaction by card, questions of the CSMS, close 1000")
async def ocpp16_plain(stage: Stage) -> None:
    csms, station, url = await on_loopback(stage, "node", "python", strict=True)
    cp = "CP-PLAIN-01"
    await station.connect(cp, url, [V16])
    await boot16(station, cp, connectors=2)
    await station.call(cp, "Heartbeat")
    await charge16(station, cp, "EXAMPLE-TAG-01", samples=5)
    await asked16(csms, cp)
    await station.call(cp, "Heartbeat")
    await csms.call(cp, "Reset", {"type": "Soft"})
    await station.do("close", cp, code=1000, reason="reset")


@scenario("permessage-deflate with context takeover, windows of 15 and of 12 bits: only a running inflater reads it")
async def ocpp16_deflate(stage: Stage) -> None:
    namespace = stage.namespace("")
    await stage.capture(namespace, "lo")
    wide = await peers_in(stage, namespace, "node", "python", deflate=True)
    narrow = await peers_in(stage, namespace, "python", "node", deflate=True, port=9001)
    for cp, (csms, station, url) in (("CP-DEFLATE-15", wide), ("CP-DEFLATE-12", narrow)):
        await station.connect(cp, url, [V16], deflate=True)
        await boot16(station, cp)
        await charge16(station, cp, "EXAMPLE-TAG-02", samples=25, pause=0.01)
        await asked16(csms, cp)
        await csms.call(cp, "SendLocalList", local_list(90))
        for _ in range(5):
            await station.call(cp, "Heartbeat")
        await station.do("close", cp, code=1000)


@scenario("2.0.1: boot, reports, TransactionEvent Started, Updated and Ended, a remote start that is answered")
async def ocpp201(stage: Stage) -> None:
    csms, station, url = await on_loopback(stage, "python", "node", protocols=[V201])
    cp = "CS-201-01"
    await station.connect(cp, url, [V201])
    await boot2(station, cp, evses=2)
    heartbeat = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    await csms.call(cp, "GetVariables", {"getVariableData": [heartbeat]})
    await csms.call(cp, "GetBaseReport", {"requestId": 11, "reportBase": "FullInventory"})
    for number in range(3):
        value = {"variableAttribute": [{"type": "Actual", "value": str(300 + number)}]}
        report = {"requestId": 11, "generatedAt": NOW, "seqNo": number, "tbc": number < 2}
        await station.call(cp, "NotifyReport", {**report, "reportData": [{**heartbeat, **value}]})
    await charge2(station, cp, "EXAMPLETOKEN01", samples=6)
    start = {"idToken": {"idToken": "EXAMPLETOKEN02", "type": "Central"}, "remoteStartId": 5, "evseId": 1}
    await csms.call(cp, "RequestStartTransaction", start)
    await station.call(cp, "Heartbeat")
    await station.do("close", cp, code=1000)


def stream_values(number: int) -> str:
    """A SEND message; the libraries do not know it, so it is written as text."""
    data = f'[{{"v":"{230 + number}.4","t":{number * 5}}},{{"v":"{231 + number}.1","t":{number * 5 + 2.5}}}]'
    payload = f'{{"id":3,"pending":0,"basetime":"2026-11-22T10:00:00Z","data":{data}}}'
    return f'[6,"send-{number:04d}","NotifyPeriodicEventStream",{payload}]'


@scenario(
    "2.1 with SEND: one CSMS keeps silent, the other wrongly answers MessageTypeNotSupported; a CALLRESULTERROR"
)
async def ocpp21_send(stage: Stage) -> None:
    namespace = stage.namespace("")
    await stage.capture(namespace, "lo")
    silent, node_station, silent_url = await peers_in(stage, namespace, "python", "node", protocols=[V21])
    loud, python_station, loud_url = await peers_in(stage, namespace, "node", "python", protocols=[V21], port=9001)
    pairs = (("CS-21-01", silent, node_station, silent_url), ("CS-21-02", loud, python_station, loud_url))
    for cp, csms, station, url in pairs:
        await station.connect(cp, url, [V21])
        await boot2(station, cp)
        constant = {"id": 3, "params": {"interval": 5, "values": 2}, "variableMonitoringId": 17}
        await station.call(cp, "OpenPeriodicEventStream", {"constantStreamData": constant})
        for number in range(6):
            await station.do("raw", cp, text=stream_values(number))
            await asyncio.sleep(0.05)
        await charge2(station, cp, "EXAMPLETOKEN21", samples=3)
        await csms.do("behave", action="Heartbeat", payload={"currentTime": "yesterday"})
        await station.call(cp, "Heartbeat", unchecked=True)
        last = [event["text"] for event in station.events if event["kind"] == "sent"][-1]
        number = last.split('"')[1]
        fault = f'[5,"{number}","FormatViolation","currentTime is no date-time",{{}}]'
        await station.do("raw", cp, text=fault)
        await station.call(cp, "ClosePeriodicEventStream", {"id": 3})
        await station.do("close", cp, code=1000)


@scenario("the demo: remote start, charging with rising energy and remote stop, on port 5609 with Basic auth")
async def remote_start_stop(stage: Stage) -> None:
    cp, tag, transaction = "CP-DEMO-01", "DEMO-APP-7731", 48213
    password = "demo-password-0001"
    csms, station, url = await on_loopback(stage, "node", "python", port=5609, strict=True, passwords={cp: password})
    await station.connect(cp, url, [V16], password=password, ping=5)
    settings = (("HeartbeatInterval", "300"), ("MeterValueSampleInterval", "60"))
    keys = [{"key": key, "readonly": False, "value": value} for key, value in settings]
    await station.do("behave", action="GetConfiguration", payload={"configurationKey": keys})
    await boot16(station, cp, connectors=2)
    await csms.call(cp, "GetConfiguration", {"key": [key for key, _ in settings]})
    await asyncio.sleep(1.5)
    await csms.call(cp, "ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "2"})
    await station.call(cp, "Heartbeat")
    await asyncio.sleep(2.0)
    await csms.call(cp, "RemoteStartTransaction", {"connectorId": 1, "idTag": tag})
    await station.call(cp, "StatusNotification", status16(1, "Preparing"))
    await station.call(cp, "Authorize", {"idTag": tag})
    await asyncio.sleep(1.2)
    start = {"connectorId": 1, "idTag": tag, "meterStart": 1_254_310, "timestamp": NOW}
    await station.call(cp, "StartTransaction", start)
    await station.call(cp, "StatusNotification", status16(1, "Charging"))
    energy = 1_254_310
    for number, watts in enumerate((2_100, 6_900, 10_950, 11_020, 11_010, 10_980)):
        await asyncio.sleep(2.0)
        energy += watts * 2 // 3600
        await station.call(cp, "MeterValues", meter16(1, energy, watts, transaction))
        if number == 3:
            await station.call(cp, "Heartbeat")
    await csms.call(cp, "RemoteStopTransaction", {"transactionId": transaction})
    await asyncio.sleep(0.8)
    stop = {"transactionId": transaction, "meterStop": energy, "timestamp": NOW, "reason": "Remote"}
    await station.call(cp, "StopTransaction", stop)
    await station.call(cp, "StatusNotification", status16(1, "Finishing"))
    await asyncio.sleep(2.5)
    await station.call(cp, "StatusNotification", status16(1, "Available"))
    await station.call(cp, "Heartbeat")
    await asyncio.sleep(1.0)
    await station.do("close", cp, code=1000, reason="end of demo")


@scenario("upgrades that fail: 401, 404, no common subprotocol (one CSMS answers 101, one 400), none offered")
async def refused_handshakes(stage: Stage) -> None:
    namespace = stage.namespace("")
    await stage.capture(namespace, "lo")
    known = {"CP-KNOWN-01": "right-password-01", "CP KNOWN/02": "right-password-02"}
    _, python_station, node_url = await peers_in(stage, namespace, "node", "python", passwords=known)
    _, node_station, python_url = await peers_in(stage, namespace, "python", "node", passwords=known, port=9001)
    for station, url in ((python_station, node_url), (node_station, python_url)):
        await station.connect("CP-KNOWN-01", url, [V16], password="wrong-password-01")
        await station.connect("CP-KNOWN-01", url, [V16])
        await station.connect("CP-STRANGER", url, [V16], password="right-password-01")
        for offered in ([V201], [V21, V201], None):
            how = await station.connect("CP-KNOWN-01", url, offered, password="right-password-01")
            if how["status"] == 101:  # upgraded without a subprotocol: the station has to give up
                await station.do("close", "CP-KNOWN-01", code=1002, reason="no subprotocol")
        await station.connect("CP KNOWN/02", url, [V201, V16], password="right-password-02")
        await boot16(station, "CP KNOWN/02")
        await station.do("close", "CP KNOWN/02", code=1000)


FROM_STATION = (
    '[2,"bad-0001","Heartbeat"]',
    '[2,"bad-0002","Heartbeat",{},{}]',
    "hello, this is not JSON",
    '[2,"bad-0003","StatusNotification",{"connectorId":1,"errorCode":"NoErr',
    '[2,"bad-0004","FlyToTheMoon",{}]',
    '[2,"bad-0005","heartbeat",{}]',
    '[2,17,"Heartbeat",{}]',
    '[2,null,"Heartbeat",{}]',
    '[2,"an-id-of-more-than-thirty-six-characters-0006","Heartbeat",{}]',
    '[2,"bad-0007","Authorize",{"idTag":"THIS-TAG-IS-LONGER-THAN-TWENTY"}]',
    '[2,"bad-0008","StatusNotification",{"connectorId":1,"status":"Available"}]',
    '[2,"bad-0009","StatusNotification",{"connectorId":"1","errorCode":"NoError","status":"Available"}]',
    '[2,"bad-0010","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Sleeping"}]',
    '[2,"bad-0011","Heartbeat",{"surprise":true}]',
    '[2,"bad-0012","Authorize",{"idTag":"EXAMPLE-A","idTag":"EXAMPLE-B"}]',
    '[2,"bad-0013","MeterValues",{"connectorId":NaN,"meterValue":[]}]',
    '[2,"bad-0014","Heartbeat",null]',
    '[2,"bad-0015","Heartbeat",[]]',
    '{"type":2,"id":"bad-0016","action":"Heartbeat"}',
    "[]",
    "[2]",
    '["2","bad-0017","Heartbeat",{}]',
    '[9,"bad-0018","Heartbeat",{}]',
    '[3,"bad-0019"]',
    '[4,"bad-0020","NoSuchErrorCode","orphan",{}]',
    "null",
    "",
    '[2,"bad-0021","Heartbeat",{}]\n',
    '[2,"bad-0022","FirmwareStatusNotification",{"status":"Idle"}]',
)
FROM_CSMS = (
    '[2,"ask-0001","ClearCache",{}]',
    '[2,"ask-0002","MakeCoffee",{}]',
    '[2,"ask-0003","Reset",{"type":"Lukewarm"}]',
    '[2,"ask-0004","Reset",{}]',
    '[2,"ask-0005","Reset"]',
    "[2,",
    '[3,"ask-0006",{}]',
    '[2,"ask-0007","RemoteStartTransaction",{"idTag":12345}]',
)


@scenario("what is wrong with messages: arity, JSON, ids, schema, unknown actions; the CALLERRORs of two libraries")
async def malformed(stage: Stage) -> None:
    csms, station, url = await on_loopback(stage, "node", "python", strict=True)
    cp = "CP-MALFORMED-01"
    await station.connect(cp, url, [V16])
    await boot16(station, cp)
    for text in FROM_STATION:
        await station.do("raw", cp, text=text)
        await asyncio.sleep(0.06)
    for text in FROM_CSMS:
        await csms.do("raw", cp, text=text)
        await asyncio.sleep(0.06)
    short = '[4,"$id","NotSupported","a CALLERROR of four elements"]'
    await station.do("behave", action="UnlockConnector", raw=short)
    await csms.call(cp, "UnlockConnector", {"connectorId": 1})
    await station.do("behave", action="ChangeAvailability", error="no such relay")
    await csms.call(cp, "ChangeAvailability", {"connectorId": 1, "type": "Operative"})
    await station.do("behave", action="TriggerMessage", raw='[3,"$id",{"status":"Perhaps"}]')
    await csms.call(cp, "TriggerMessage", {"requestedMessage": "Heartbeat"})
    await station.call(cp, "Heartbeat")
    await station.do("close", cp, code=1000)


@scenario("answers after 2 to 6 s, too late, never, twice, and answers that nobody asked for; calls that cross")
async def slow_and_missing(stage: Stage) -> None:
    namespace = stage.namespace("")
    await stage.capture(namespace, "lo")
    common = {"host": "127.0.0.1", "protocols": [V16], "timeout": 4}
    csms = await stage.peer("node", namespace, role="csms", port=9000, seed=2, **common)
    station = await stage.peer("python", namespace, role="station", seed=1, **common)
    cp = "CP-SLOW-01"
    await station.connect(cp, "ws://127.0.0.1:9000/ocpp", [V16])
    await boot16(station, cp)
    await csms.do("behave", action="Heartbeat", delay=2.2)
    await csms.do("behave", action="Authorize", delay=5.5)
    await csms.do("behave", action="DataTransfer", never=True)
    await csms.do("behave", action="StatusNotification", twice=True)
    await station.do("behave", action="GetConfiguration", delay=3)
    await station.do("behave", action="ChangeAvailability", never=True)
    await station.do("behave", action="TriggerMessage", delay=6)

    async def station_side() -> None:
        await station.call(cp, "Heartbeat")
        await station.call(cp, "Authorize", {"idTag": "EXAMPLE-LATE"})
        await station.call(cp, "StatusNotification", status16(1, "Preparing"))
        await station.call(cp, "DataTransfer", {"vendorId": "com.example"})
        await station.do("raw", cp, text='[3,"orphan-of-station-0001",{"status":"Accepted"}]')

    async def csms_side() -> None:
        await csms.call(cp, "GetConfiguration", {})
        await csms.call(cp, "ChangeAvailability", {"connectorId": 1, "type": "Inoperative"})
        await csms.call(cp, "TriggerMessage", {"requestedMessage": "Heartbeat"})
        await csms.do("raw", cp, text='[3,"orphan-of-csms-0001",{}]')
        await csms.do("raw", cp, text='[4,"orphan-of-csms-0002","GenericError","",{}]')

    await together(station_side(), csms_side())
    again = '[2,"resent-0001","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
    await csms.do("behave", action="StatusNotification")
    for _ in range(2):
        await station.do("raw", cp, text=again)
        await asyncio.sleep(0.2)
    await asyncio.sleep(2.0)
    await station.do("close", cp, code=1000)


async def on_path(stage: Stage, csms: str, station: str, mtu: int, **options: Any) -> tuple[Peer, Peer, str]:
    """Station and CSMS in two namespaces with a router between; the sniffer on the router's side of the station."""
    home, router, far = (stage.namespace(label) for label in ("s", "r", "c"))
    stage.link((home, "sta0", "10.81.0.10/24"), (router, "lan0", "10.81.0.1/24"), mtu)
    return await behind_router(stage, home, router, far, csms, station, mtu, **options)


async def behind_router(
    stage: Stage, home: str, router: str, far: str, csms: str, station: str, mtu: int, **options: Any
) -> tuple[Peer, Peer, str]:
    stage.link((router, "wan0", "10.82.0.1/24"), (far, "srv0", "10.82.0.20/24"), mtu)
    stage.inside(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    stage.inside(home, "ip", "route", "add", "default", "via", "10.81.0.1")
    stage.inside(far, "ip", "route", "add", "default", "via", "10.82.0.1")
    await stage.capture(router, "lan0")
    common = {"host": "10.82.0.20", "port": 9000, "protocols": [V16], **options}
    server = await stage.peer(csms, far, role="csms", seed=2, **common)
    client = await stage.peer(station, home, role="station", seed=1, protocols=common["protocols"])
    return server, client, "ws://10.82.0.20:9000/ocpp"


async def long_talk(csms: Peer, station: Peer, cp: str) -> None:
    """Traffic with messages of several segments in both directions, and calls that cross."""
    keys = [{"key": f"ExampleKey{number:03d}", "readonly": False, "value": "x" * 24} for number in range(45)]
    await station.do("behave", action="GetConfiguration", payload={"configurationKey": keys})
    await boot16(station, cp)

    async def csms_side() -> None:
        for _ in range(5):
            await csms.call(cp, "GetConfiguration", {})
            await csms.call(cp, "SendLocalList", local_list(45))

    await together(csms_side(), charge16(station, cp, "EXAMPLE-TAG-03", samples=25, pause=0.02))
    await station.do("close", cp, code=1000)


@scenario("loss and reorder on the path: a router drops segments, a bridge holds some back; TCP mends it all")
async def loss_reorder(stage: Stage) -> None:
    home, bridge, router, far = (stage.namespace(label) for label in ("s", "b", "r", "c"))
    stage.link((home, "sta0", "10.81.0.10/24"), (bridge, "left0", ""), 600)
    stage.link((bridge, "right0", ""), (router, "lan0", "10.81.0.1/24"), 600)
    await stage.machine(bridge, "forwarder.py", "left0", "right0", "6")
    drop = ["-p", "tcp", "-m", "length", "--length", "120:", "-m", "statistic", "--mode", "nth"]
    stage.inside(router, "iptables", "-A", "FORWARD", *drop, "--every", "11", "--packet", "9", "-j", "DROP")
    csms, station, url = await behind_router(stage, home, router, far, "node", "python", 600)
    await station.connect("CP-LOSSY-01", url, [V16])
    await long_talk(csms, station, "CP-LOSSY-01")


async def quiet_day(stage: Stage, cp: str, deflate: bool) -> None:
    csms, station, url = await on_loopback(stage, "node", "python", deflate=deflate)
    await station.connect(cp, url, [V16], deflate=deflate)
    await boot16(station, cp)
    await charge16(station, cp, "EXAMPLE-TAG-04", samples=30, pause=0.01)
    await asked16(csms, cp)
    await station.do("close", cp, code=1000)


@scenario("a mirror port that lost every 13th message, which the peers have received", edit=edit.lose, every=13)
async def capture_loss(stage: Stage) -> None:
    await quiet_day(stage, "CP-MIRROR-01", deflate=False)


@scenario("the same with permessage-deflate: after a gap the compression context is lost", edit=edit.lose, every=23)
async def deflate_gap(stage: Stage) -> None:
    await quiet_day(stage, "CP-MIRROR-02", deflate=True)


@scenario("neighbouring segments of one direction swapped in the capture, no retransmission", edit=edit.swap, every=4)
async def swapped_segments(stage: Stage) -> None:
    csms, station, url = await on_path(stage, "node", "python", 600)
    await station.connect("CP-SWAPPED-01", url, [V16])
    await long_talk(csms, station, "CP-SWAPPED-01")


@scenario("the sniffer came late: no handshake of a plain session, of one with takeover, of one without takeover")
async def midstream(stage: Stage) -> None:
    namespace = stage.namespace("")
    csms, station, url = await peers_in(stage, namespace, "node", "python", deflate=True)
    other = await stage.peer("node", namespace, role="station", seed=3, protocols=[V16])
    stations = (("CP-MID-PLAIN", station), ("CP-MID-TAKEOVER", other), ("CP-MID-NOTAKEOVER", other))
    await station.connect("CP-MID-PLAIN", url, [V16])
    await other.connect("CP-MID-TAKEOVER", url, [V16], deflate=True)
    await other.connect("CP-MID-NOTAKEOVER", url, [V16], deflate=True, takeover=False)
    for cp, peer in stations:
        await boot16(peer, cp)
        await peer.call(cp, "Heartbeat")
    await asyncio.sleep(0.5)
    await stage.capture(namespace, "lo")
    await asyncio.sleep(0.5)
    for cp, peer in stations:
        await charge16(peer, cp, "EXAMPLE-TAG-05", samples=8)
        await asked16(csms, cp)
        await peer.do("close", cp, code=1000)


@scenario("IPv6 between two hosts, nanosecond times, and an identity that is percent-encoded in the URL")
async def ipv6(stage: Stage) -> None:
    home, far = stage.namespace("s"), stage.namespace("c")
    stage.link((home, "sta0", "fd00:81::10/64"), (far, "srv0", "fd00:81::20/64"))
    await stage.capture(far, "srv0", "--nano")
    csms = await stage.peer("python", far, role="csms", host="fd00:81::20", port=8887, seed=2, protocols=[V16])
    station = await stage.peer("node", home, role="station", seed=1, protocols=[V16])
    cp = "CP RDAM|123"
    await station.connect(cp, "ws://[fd00:81::20]:8887/steve/websocket", [V16])
    await boot16(station, cp)
    await charge16(station, cp, "EXAMPLE-TAG-06", samples=4)
    await asked16(csms, cp)
    await station.do("close", cp, code=1001, reason="going away")


@scenario("tcpdump -i any on a container host: each packet twice (bridge and veth), each session twice (relay)")
async def any_interface(stage: Stage) -> None:
    home, host, box = (stage.namespace(label) for label in ("s", "h", "c"))
    stage.link((home, "sta0", "192.168.50.10/24"), (host, "lan0", "192.168.50.1/24"))
    stage.link((host, "veth7", ""), (box, "eth0", "172.18.0.2/16"))
    stage.inside(host, *["ip", "link", "add", "br0", "type", "bridge"])
    stage.inside(host, *["ip", "link", "set", "veth7", "master", "br0"])
    stage.address(host, "br0", "172.18.0.1/16")
    stage.inside(host, *["ip", "link", "set", "br0", "up"])
    await stage.machine(host, "relay.py", "192.168.50.1", "9000", "172.18.0.2", "8180")
    await stage.capture(host, "any", "-y", "LINUX_SLL2")
    csms = await stage.peer("node", box, role="csms", host="172.18.0.2", port=8180, seed=2, protocols=[V16])
    station = await stage.peer("python", home, role="station", seed=1, protocols=[V16])
    cp = "CP-ANY-01"
    await station.connect(cp, "ws://192.168.50.1:9000/steve/websocket/CentralSystemService", [V16])
    await boot16(station, cp)
    await charge16(station, cp, "EXAMPLE-TAG-07", samples=5)
    await asked16(csms, cp)
    await station.do("close", cp, code=1000)


def cut(text: str, parts: int) -> list[str]:
    size = -(-len(text) // parts)
    return [text[at : at + size] for at in range(0, len(text), size)]


@scenario("messages in fragments with pings between them, plain and compressed; close codes 1000 to 4001")
async def fragmented(stage: Stage) -> None:
    csms, station, url = await on_loopback(stage, "node", "python", deflate=True)
    closes = ((1000, "done"), (1001, "reboot"), (1008, "policy"), (4001, "of the application"))
    for number, (code, reason) in enumerate(closes):
        cp = f"CP-FRAG-{number + 1:02d}"
        await station.connect(cp, url, [V16], deflate=number % 2 == 1)
        await boot16(station, cp)
        for parts in (2, 3, 7):
            status = f'{{"connectorId":1,"errorCode":"NoError","status":"Available","info":"in {parts} parts: é€😀"}}'
            text = f'[2,"frag-{number}-{parts}","StatusNotification",{status}]'
            await station.do("fragments", cp, parts=cut(text, parts))
            await station.saw("recv", f'[3,"frag-{number}-{parts}"')
            ask = f'[2,"ask-{number}-{parts}","TriggerMessage",{{"requestedMessage":"Heartbeat","connectorId":1}}]'
            await csms.do("fragments", cp, parts=cut(ask, parts))
            await csms.saw("recv", f'[3,"ask-{number}-{parts}"')
        closer = csms if number >= 2 else station
        await closer.do("close", cp, code=code, reason=reason)


@scenario(
    "five stations on one CSMS; they end by close 1000, 1001, RST, FIN alone and a killed process, and come back"
)
async def several_stations(stage: Stage) -> None:
    namespace = stage.namespace("")
    await stage.capture(namespace, "lo")
    csms, first, url = await peers_in(stage, namespace, "node", "python")
    second = await stage.peer("node", namespace, role="station", seed=3, protocols=[V16])
    doomed = await stage.peer("python", namespace, role="station", seed=4, protocols=[V16])
    fleet = (
        ("CP-FLEET-01", first, "close"),
        ("CP-FLEET-02", second, "close"),
        ("CP-FLEET-03", first, "abort"),
        ("CP-FLEET-04", second, "hangup"),
        ("CP-FLEET-05", doomed, "kill"),
    )

    async def life(cp: str, station: Peer) -> None:
        await station.connect(cp, url, [V16])
        await boot16(station, cp)
        await station.call(cp, "Heartbeat")

    await together(*(life(cp, station) for cp, station, _ in fleet))
    await together(*(charge16(station, cp, f"TAG-{cp}", samples=3) for cp, station, _ in fleet))
    for cp, station, manner in fleet:
        if manner == "close":
            await station.do("close", cp, code=1000 if station is first else 1001, reason="maintenance")
        elif manner == "kill":
            await station.end()
        else:
            await station.do(manner, cp)
        await asyncio.sleep(0.3)
    back = await stage.peer("python", namespace, role="station", seed=5, protocols=[V16])
    for cp, station, manner in fleet:
        again = back if manner == "kill" else station
        await again.connect(cp, url, [V16])
        await again.call(cp, "Heartbeat")
        await again.call(cp, "StatusNotification", status16(1, "Available"))
    await csms.do("close", "CP-FLEET-01", code=1012, reason="service restart")
    await csms.do("abort", "CP-FLEET-02")
    await csms.do("hangup", "CP-FLEET-03")
    for cp in ("CP-FLEET-04", "CP-FLEET-05"):
        await (back if cp.endswith("5") else second).do("close", cp, code=1000)


@scenario("a version learnt from the traffic alone: 2.0.1 messages over a session whose handshake was not recorded")
async def midstream201(stage: Stage) -> None:
    namespace = stage.namespace("")
    _, station, url = await peers_in(stage, namespace, "python", "node", protocols=[V201])
    cp = "CS-201-MID"
    await station.connect(cp, url, [V201])
    await boot2(station, cp)
    await asyncio.sleep(0.5)
    await stage.capture(namespace, "lo")
    await station.call(cp, "TransactionEvent", event2("Updated", "MeterValuePeriodic", 8, 7100.0))
    await charge2(station, cp, "EXAMPLETOKEN03", samples=4)
    await station.call(cp, "Heartbeat")
    await station.do("close", cp, code=1000)
