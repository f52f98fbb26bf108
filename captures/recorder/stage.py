"""What a scenario plays on: network namespaces, links, the sniffer and the peer processes, and their end.

Everything lives in namespaces of its own, so nothing of the host is seen or changed. Only the processes that were
started here are ended, by their handle.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
PYTHON = HERE / ".venv" / "bin" / "python"
DRAIN = 0.4  # seconds from the last packet to the end of the sniffer
PATIENCE = 15.0  # seconds that a scenario waits for a message or for the end of a command
# The peers' clock is the monotonic one, since each runtime rounds the time of day in its own way.
CLOCK_OFFSET = time.time() - time.monotonic()


class RecordingError(Exception):
    """The recording cannot go on; the text says why."""


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RecordingError(f"{' '.join(command)}: {done.stderr.strip()}")


class Peer:
    """A peer process: commands in, what its WebSocket calls gave out."""

    def __init__(self, process: Process, label: str) -> None:
        self.process = process
        self.label = label
        self.events: list[dict[str, Any]] = []
        self.results: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.news = asyncio.Condition()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            event = json.loads(line)
            event["t"] = round(event["t"] + CLOCK_OFFSET, 6)
            if event["kind"] == "done":
                self.results[event["n"]].set_result(event["result"])
            async with self.news:
                self.events.append(event)
                self.news.notify_all()

    async def do(self, verb: str, cp: str = "", patience: float = PATIENCE, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for its result; a command that fails ends the scenario."""
        number = len(self.results)
        self.results[number] = asyncio.get_running_loop().create_future()
        command = {"n": number, "do": verb, **({"cp": cp} if cp else {}), **arguments}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        result = await asyncio.wait_for(self.results[number], patience)
        if "failed" in result:
            raise RecordingError(f"{self.label}: {verb} {cp}: {result['failed']}")
        return result

    async def call(self, cp: str, action: str, payload: dict[str, Any] | None = None, **how: Any) -> str:
        """Make an OCPP call through the peer's library; its outcome in a word."""
        result = await self.do("call", cp, action=action, payload=payload or {}, **how)
        return str(result["outcome"])

    async def connect(self, cp: str, url: str, protocols: list[str] | None, **how: Any) -> dict[str, Any]:
        return await self.do("connect", cp, url=url, protocols=protocols, **how)

    async def saw(self, kind: str, part: str, count: int = 1, patience: float = PATIENCE) -> None:
        """Wait until `count` events of a kind hold `part` in their text."""

        def enough() -> bool:
            fitting = [event for event in self.events if event["kind"] == kind and part in event["text"]]
            return len(fitting) >= count

        async with self.news:
            try:
                await asyncio.wait_for(self.news.wait_for(enough), patience)
            except TimeoutError:
                raise RecordingError(f"{self.label}: no {kind} with {part!r}") from None

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reading


class Stage:
    """One scenario's namespaces, links, processes and sniffer."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.name = name
        self.pcap = scratch / f"{name}.pcap"
        self.errors = (scratch / f"{name}.stderr").open("w")
        self.namespaces: list[str] = []
        self.peers: list[Peer] = []
        self.machinery: list[Process] = []
        self.sniffer: Process | None = None
        self.meta: dict[str, Any] = {"name": name, "ports": [], "ids": [], "csms": [], "cp": []}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop_capture()
        for peer in self.peers:
            await peer.end()
        for process in self.machinery:
            process.kill()
            await process.wait()
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], check=False)
        self.errors.close()

    # --- network ---

    def namespace(self, label: str) -> str:
        name = f"ocpprec{os.getpid()}{label}"
        run("ip", "netns", "add", name)
        self.namespaces.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def link(self, left: tuple[str, str, str], right: tuple[str, str, str], mtu: int = 1500) -> None:
        """A cable between two (namespace, interface, address/prefix or ""); each segment is a packet of its own."""
        run(
            *("ip", "link", "add", left[1], "netns", left[0], "type", "veth"),
            *("peer", "name", right[1], "netns", right[0]),
        )
        for namespace, interface, address in (left, right):
            if address:
                self.address(namespace, interface, address)
            run(*f"ip -n {namespace} link set {interface} up mtu {mtu} gso_max_segs 1".split())

    def address(self, namespace: str, interface: str, address: str) -> None:
        extra = ["nodad"] if ":" in address else []
        run("ip", "-n", namespace, "addr", "add", address, "dev", interface, *extra)

    def inside(self, namespace: str, *command: str) -> None:
        run("ip", "netns", "exec", namespace, *command)

    # --- processes ---

    async def start(self, namespace: str, *command: str, **how: Any) -> Process:
        return await asyncio.create_subprocess_exec("ip", "netns", "exec", namespace, *command, **how)

    async def machine(self, namespace: str, script: str, *arguments: str) -> None:
        """Start the relay or the forwarder and wait until it is ready."""
        command = (sys.executable, str(HERE / script), *arguments)
        process = await self.start(namespace, *command, stdout=PIPE, stderr=self.errors)
        self.machinery.append(process)
        assert process.stdout is not None
        if not await process.stdout.readline():
            raise RecordingError(f"{script} did not start")

    async def peer(self, stack: str, namespace: str, **options: Any) -> Peer:
        """Start a peer of a stack ("python" or "node") with its options and wait until it is ready."""
        program = [str(PYTHON), "peer_python.py"] if stack == "python" else ["node", "peer_node.js"]
        process = await self.start(
            namespace,
            *(program[0], str(HERE / program[1]), json.dumps(options)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=self.errors,
            limit=2**20,
        )
        library = "ocpp (mobilityhouse) + websockets" if stack == "python" else "ocpp-rpc"
        label = f"{library} {'/'.join(options.get('protocols') or [])}".strip()
        self.meta["csms" if options["role"] == "csms" else "cp"].append(label)
        if "port" in options:
            self.meta["ports"].append(options["port"])
        peer = Peer(process, label)
        self.peers.append(peer)
        async with peer.news:
            ready = peer.news.wait_for(lambda: any(event["kind"] == "ready" for event in peer.events))
            await asyncio.wait_for(ready, PATIENCE)
        return peer

    # --- the sniffer ---

    async def capture(self, namespace: str, interface: str, *options: str) -> None:
        """Start tcpdump; returns when it listens."""
        self.meta["iface"] = interface
        self.sniffer = await self.start(
            namespace,
            *("tcpdump", "-n", "-i", interface, "-w", str(self.pcap), "-U", "--immediate-mode"),
            *("-Z", "root", "-s", "0", *options, "tcp"),
            stdout=DEVNULL,
            stderr=PIPE,
        )
        assert self.sniffer.stderr is not None
        while line := await self.sniffer.stderr.readline():
            if b"listening on" in line:
                self.meta["capture_started"] = time.time()
                return
        raise RecordingError("tcpdump did not start")

    async def stop_capture(self) -> None:
        if self.sniffer is None:
            return
        await asyncio.sleep(DRAIN)
        self.sniffer.send_signal(signal.SIGINT)
        await self.sniffer.wait()
        self.sniffer = None
        self.meta["stop"] = time.time()
