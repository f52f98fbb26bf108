"""Record one session at two places at once: at the station and at the CSMS, with a lossy router and a cutter between.

    python captures/recorder/record_pair.py

Writes `captures/compare/station.pcap`, `csms.pcap` and `pair.truth.jsonl`. Runs as root, in namespaces of its own, as
`record.py` does. Both sniffers read one clock; `csms.pcap` is put ahead of it afterwards, as its own host's clock
would be, and the truth says by how much. Knows nothing of ocppscope.
"""

import asyncio
import json
import shutil
import signal
import struct
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import truth
from record import install_peers, missing
from scenarios import V16
from stage import HERE, Stage
from stories import NOW, boot16, charge16, status16

PLACE = HERE.parent / "compare"
CP = "CP-PAIR-01"
AHEAD = 3.742105  # seconds by which the clock of the CSMS's host is ahead
DRIFT = 25e-6  # by how much it is quicker
IDLE = 6.0  # seconds of silence after which the box between forgets a connection


async def sniff(stage: Stage, namespace: str, interface: str, path: Path) -> asyncio.subprocess.Process:
    sniffer = await stage.start(
        namespace,
        *(
            "tcpdump",
            "-n",
            "-i",
            interface,
            "-w",
            str(path),
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-s",
            "0",
            "tcp",
        ),
        stdout=DEVNULL,
        stderr=PIPE,
    )
    assert sniffer.stderr is not None
    while b"listening on" not in await sniffer.stderr.readline():
        pass
    return sniffer


async def play(stage: Stage, station_pcap: Path, csms_pcap: Path) -> None:
    home, bridge, router, far = (stage.namespace(label) for label in ("s", "b", "r", "c"))
    stage.link((home, "sta0", "10.81.0.10/24"), (bridge, "left0", ""))
    stage.link((bridge, "right0", ""), (router, "lan0", "10.81.0.1/24"))
    stage.link((router, "wan0", "10.82.0.1/24"), (far, "srv0", "10.82.0.20/24"))
    await stage.machine(bridge, "cutter.py", "left0", "right0", str(IDLE))
    stage.inside(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    stage.inside(home, "ip", "route", "add", "default", "via", "10.81.0.1")
    stage.inside(far, "ip", "route", "add", "default", "via", "10.82.0.1")
    lossy = ["-p", "tcp", "-m", "length", "--length", "120:", "-m", "statistic", "--mode", "nth"]
    stage.inside(router, "iptables", "-A", "FORWARD", *lossy, "--every", "9", "--packet", "5", "-j", "DROP")
    sniffers = [await sniff(stage, home, "sta0", station_pcap), await sniff(stage, far, "srv0", csms_pcap)]
    csms = await stage.peer("node", far, role="csms", seed=2, host="10.82.0.20", port=9000, protocols=[V16])
    station = await stage.peer("python", home, role="station", seed=1, protocols=[V16])
    url = "ws://10.82.0.20:9000/ocpp"
    await station.connect(CP, url, [V16])
    await boot16(station, CP)
    await charge16(station, CP, "EXAMPLE-TAG-31", samples=10, pause=0.2)
    await csms.call(CP, "TriggerMessage", {"requestedMessage": "Heartbeat"})
    stage.inside(router, "iptables", "-I", "FORWARD", "-j", "DROP")
    lost = json.dumps([2, "into-the-dark", "StatusNotification", status16(1, "Faulted")])
    await station.do("raw", CP, text=lost)
    await asyncio.sleep(1)
    await station.do("abort", CP)
    await asyncio.sleep(0.5)
    stage.inside(router, "iptables", "-D", "FORWARD", "1")
    await station.connect(CP, url, [V16])
    await station.call(CP, "Heartbeat", {})
    await station.call(CP, "DataTransfer", {"vendorId": "org.example", "data": NOW})
    await asyncio.sleep(IDLE + 1.5)
    for sniffer in sniffers:
        sniffer.send_signal(signal.SIGINT)
        await sniffer.wait()


def put_ahead(path: Path) -> None:
    """Times of a classic pcap file as a clock would have given them that is ahead and too quick."""
    raw = bytearray(path.read_bytes())
    at, first = 24, None
    while at < len(raw):
        seconds, micros, kept, _ = struct.unpack_from("<IIII", raw, at)
        moment = seconds * 1_000_000 + micros
        first = first or moment
        moment += round(AHEAD * 1e6 + (moment - first) * DRIFT)
        struct.pack_into("<II", raw, at, *divmod(moment, 1_000_000))
        at += 16 + kept
    path.write_bytes(raw)


async def record(scratch: Path) -> None:
    station, csms = scratch / "station.pcap", scratch / "csms.pcap"
    async with Stage("pair", scratch) as stage:
        await play(stage, station, csms)
        events = [event for peer in stage.peers for event in peer.events]
    put_ahead(csms)
    PLACE.mkdir(exist_ok=True)
    for path in (station, csms):
        shutil.move(path, PLACE / path.name)
    log = truth.merged(events)
    meta = {
        **stage.meta, "shows": "one session at both ends; a black hole, then a box that resets", "cp_id": CP,
        "csms_clock": {"ahead_s": AHEAD, "drift": DRIFT}, "cut_after_s": IDLE,
    }  # fmt: skip
    truth.write(PLACE / "pair.truth.jsonl", meta, log)
    print(json.dumps({path.name: path.stat().st_size for path in PLACE.iterdir()}))


def main() -> int:
    if reasons := missing():
        print(*reasons, sep="\n", file=sys.stderr)
        return 4
    install_peers()
    with tempfile.TemporaryDirectory(prefix="ocpp-recording-") as scratch:
        asyncio.run(record(Path(scratch)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
