"""Measures live capture: packets lost on a veth pair, and how long a message takes to its line in the log.

`python -m bench.live`, as root: it makes two network namespaces and removes them. Loss: other processes send TCP
segments of 200 bytes through raw sockets at a steady rate for some seconds, and what is in the recording is compared
with what was sent. Latency: a WebSocket session with a CALL and its answer every 50 ms; from the moment at which the
station has the answer to the one at which `ocppscope live` has printed its line, decoding and all; with 20,000 other
packets a second, or without (`--idle`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ocppscope.capture.live_request import LiveRequest
from ocppscope.capture.sniffers import SNIFFERS, Sniffer

if TYPE_CHECKING:
    from collections.abc import Iterator

RATES = (20_000, 50_000, 100_000)
ROOT = Path(__file__).parents[1]
PACKET_BYTES = 200
TICK = 0.001
NAMES = f"ocppbench{os.getpid()}a", f"ocppbench{os.getpid()}b"
ADDRESSES = "10.213.0.1", "10.213.0.2"
RESULT = re.compile(r"\bCALLRESULT\b.*\bm(\d+)\b")


@contextmanager
def pair() -> Iterator[None]:
    """Two namespaces with a veth interface `v` each."""
    for name in NAMES:
        run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", "v", "netns", NAMES[0], "type", "veth", "peer", "name", "v", "netns", NAMES[1])
        for name, address in zip(NAMES, ADDRESSES, strict=True):
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "v")
            run("ip", "-n", name, "link", "set", "v", "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in NAMES:
            run("ip", "netns", "del", name)


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def enter(name: str) -> None:
    """This process goes to a namespace."""
    import ctypes  # noqa: PLC0415

    with open(f"/run/netns/{name}", encoding="ascii") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")


def frame() -> bytes:
    """A segment of a flow that is none of ours."""
    payload = bytes(PACKET_BYTES - 54)
    tcp = struct.pack("!HHIIBBHHH", 40000, 443, 1, 1, 0x50, 0x10, 1000, 0, 0)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0)
    ends = b"".join(socket.inet_aton(address) for address in ADDRESSES)
    return b"\xff" * 6 + bytes.fromhex("020000000001") + b"\x08\x00" + ip + ends + tcp + payload


def send(rate: int, seconds: float, sent: multiprocessing.Value) -> None:
    """Sends that many packets a second, as evenly as a tick allows."""
    enter(NAMES[0])
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind(("v", 0))
    data, done, begun = frame(), 0, time.monotonic()
    while (elapsed := time.monotonic() - begun) < seconds:
        due = int(rate * elapsed)
        while done < due:
            try:
                out.send(data)
            except OSError:  # its queue is full
                break
            done += 1
        time.sleep(TICK)
    with sent.get_lock():
        sent.value += done


@contextmanager
def traffic(rate: int, seconds: float, senders: int) -> Iterator[multiprocessing.Value]:
    """Packets per second through the pair, from so many processes; ends when they do."""
    sent = multiprocessing.Value("q", 0)
    processes = [multiprocessing.Process(target=send, args=(rate // senders, seconds, sent)) for _ in range(senders)]
    for one in processes:
        one.start()
    try:
        yield sent
    finally:
        for one in processes:
            one.join()


def loss(sniffer: str, rate: int, seconds: float, senders: int) -> dict[str, object]:
    """One run: the sniffer alone, nothing decodes."""
    with tempfile.TemporaryDirectory() as directory:
        request = LiveRequest("v", os.path.join(directory, "out.pcapng"), bpf="tcp")
        recorder = Sniffer(request, sniffer=sniffer)
        recorder.start()
        with traffic(rate, seconds, senders) as sent:
            pass
        time.sleep(0.5)
        recorder.stop()
        recorded = recorder._counts.packets
    return {
        "sniffer": sniffer,
        "rate": round(sent.value / seconds),
        "sent": sent.value,
        "recorded": recorded,
        "lost_percent": round(100 * (1 - recorded / sent.value), 3),
        "status": recorder.status(),
    }


async def session(messages: int, gap: float, done: dict[int, float]) -> None:
    """A station and a CSMS in the two namespaces; when the station has each answer."""
    from websockets.asyncio.client import connect  # noqa: PLC0415
    from websockets.asyncio.server import serve  # noqa: PLC0415

    async def answer(connection):  # type: ignore[no-untyped-def]
        async for text in connection:
            await connection.send(json.dumps([3, json.loads(text)[1], {"currentTime": "2026-11-22T10:00:00Z"}]))

    enter(NAMES[1])
    async with serve(answer, ADDRESSES[1], 9000, subprotocols=["ocpp1.6"]):
        enter(NAMES[0])
        async with connect(f"ws://{ADDRESSES[1]}:9000/CP1", subprotocols=["ocpp1.6"]) as station:
            for number in range(messages):
                await station.send(json.dumps([2, f"m{number}", "Heartbeat", {}]))
                await station.recv()
                done[number] = time.time()
                await asyncio.sleep(gap)


def latency(sniffer: str, rate: int, seconds: float, senders: int) -> dict[str, object]:
    """From the last packet of an answer to its line, in milliseconds; `lost` of the whole run."""
    command = (sys.executable, "-m", "ocppscope", "live", "-i", "v", "--sniffer", sniffer)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        seen: dict[int, float] = {}

        def read() -> None:
            for line in process.stdout:
                if found := RESULT.search(line):
                    seen.setdefault(int(found[1]), time.time())

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(2)
        done: dict[int, float] = {}
        if rate:
            with traffic(rate, seconds, senders) as sent:
                asyncio.run(session(int(seconds / 0.06), 0.05, done))
        else:
            asyncio.run(session(int(seconds / 0.06), 0.05, done))
        enter(NAMES[1])
        time.sleep(1)
        process.terminate()
        reader.join()
        assert process.stderr is not None
        said = process.stderr.read().strip().splitlines()
    delays = sorted(1000 * (seen[number] - at) for number, at in done.items() if number in seen)
    return {
        "sniffer": sniffer,
        "rate": round(sent.value / seconds) if rate else 0,
        "messages": len(done),
        "shown": len(delays),
        "median_ms": round(statistics.median(delays), 1),
        "p99_ms": round(delays[int(len(delays) * 0.99)], 1),
        "max_ms": round(delays[-1], 1),
        "first_ms": round(1000 * (seen[0] - done[0]), 1),
        "said": said,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sniffers", nargs="+", default=SNIFFERS, choices=SNIFFERS)
    parser.add_argument("--rates", nargs="+", type=int, default=RATES)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--senders", type=int, default=1)
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--only", choices=("loss", "latency"))
    asked = parser.parse_args()
    with pair():
        enter(NAMES[1])
        if asked.only != "latency":
            for rate in asked.rates:
                for sniffer in asked.sniffers:
                    print(json.dumps(loss(sniffer, rate, asked.seconds, asked.senders)), flush=True)
        if asked.only != "loss":
            for sniffer in asked.sniffers:
                rate = 0 if asked.idle else RATES[0]
                print(json.dumps(latency(sniffer, rate, asked.seconds, asked.senders)), flush=True)


if __name__ == "__main__":
    main()
