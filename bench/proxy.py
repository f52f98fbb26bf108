"""Measures `ocppscope proxy` against mitmdump and against no proxy at all: `python -m bench.proxy`, on Linux.

Everything runs in turns, round after round, so that what else the machine does meets all of them: the stations talk
to the CSMS directly, then through each proxy. "Added" is a round's figure less that of no proxy in the same round.
ocppscope always records; it is measured alone (`--headless`) and with its log of every message going to a pipe.
mitmdump neither prints nor keeps anything (`-q`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.proxy_tables import DIRECT_NAME, FLEET, MITMDUMP_NAME, VISIT, Row, complaints, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
MITM_VENV = ROOT / ".venv-mitmproxy"
STATIONS, MANY = 100, 1000
RATE, FLEET_RATE = 500, 2000  # messages a second, answers among them
CROWDS = (1, 10, 100)
START_SECONDS, END_SECONDS = 30.0, 15.0
TICKS = os.sysconf("SC_CLK_TCK")


class Ports(NamedTuple):
    """Where a proxy listens, and where its CSMS does."""

    listen: int
    to: int


class Subject(NamedTuple):
    """What is measured: `command` of the ports and a directory, None for no proxy."""

    name: str
    command: Callable[[Ports, Path], list[str]] | None
    records: bool = False


def ocppscope(*words: str) -> Callable[[Ports, Path], list[str]]:
    """The command of the environment that runs this."""
    program = str(Path(sys.executable).parent / "ocppscope")
    return lambda ports, place: [
        *(program, "proxy", "--listen", f"127.0.0.1:{ports.listen}", "--to", f"ws://127.0.0.1:{ports.to}"),
        *("-w", str(place / "bench.pcapng"), "-q", *words),
    ]


def mitmdump(ports: Ports, place: Path) -> list[str]:
    """The peer, as a reverse proxy that does as little as it can."""
    return [
        *(str(mitmdump_path()), "-q", "--mode", f"reverse:http://127.0.0.1:{ports.to}"),
        *("--listen-host", "127.0.0.1", "--listen-port", str(ports.listen), "--set", f"confdir={place}"),
    ]


def mitmdump_path() -> str | None:
    """Of its own environment, or one that is installed."""
    own = MITM_VENV / "bin" / "mitmdump"
    return str(own) if own.exists() else shutil.which("mitmdump")


DIRECT = Subject(DIRECT_NAME, None)
HEADLESS = Subject("ocppscope --headless", ocppscope("--headless"), records=True)
WITH_LOG = Subject("ocppscope, log to a pipe", ocppscope(), records=True)
MITMDUMP = Subject(MITMDUMP_NAME, mitmdump)


# --- processes ------------------------------------------------------------------------------------------------------


class Talker:
    """A process of `bench.peers`, spoken with in lines of JSON."""

    def __init__(self, *words: str) -> None:
        self.name = " ".join(words)
        command = [sys.executable, "-m", "bench.peers", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.said = self.read()

    def read(self) -> Row:
        """What it says next."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"bench.peers {self.name} ended with {self.process.wait()}")
        said: Row = json.loads(line)
        return said

    def ask(self, **asked: float) -> Row:
        """Its answer."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        """Its stdin ends, and so does it."""
        assert self.process.stdin
        self.process.stdin.close()
        end(self.process)
        assert self.process.stdout
        self.process.stdout.close()


def end(process: subprocess.Popen[Any]) -> None:
    """Waits for one that ought to end by itself."""
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Proxy:
    """A running proxy: `relay` is the process through which the bytes go, `viewer` (or 0) the one that shows them."""

    def __init__(self, process: subprocess.Popen[bytes], listen: int, start_seconds: float) -> None:
        self.listen, self.start_seconds = listen, start_seconds
        found = children(process.pid)
        self.relay = found[0] if found else process.pid
        self.viewer = process.pid if found else 0

    def cpu(self) -> float:
        """Seconds that the relay has worked."""
        fields = Path(f"/proc/{self.relay}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> tuple[float, float]:
        """Resident MB of relay and viewer."""
        return resident_mb(self.relay), resident_mb(self.viewer) if self.viewer else 0.0


def children(pid: int) -> list[int]:
    """Processes that it started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident_mb(pid: int) -> float:
    """VmRSS."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def running(subject: Subject, csms: int, place: Path) -> Iterator[Proxy | None]:
    """Starts it, waits until it listens, and ends it."""
    if subject.command is None:
        yield None
        return
    ports = Ports(free_port(), csms)
    begun = time.monotonic()
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as sink,
        subprocess.Popen(subject.command(ports, place), stdin=subprocess.DEVNULL, stdout=sink.stdin) as process,
    ):
        try:
            assert sink.stdin
            sink.stdin.close()
            wait_for(ports.listen, process)
            yield Proxy(process, ports.listen, time.monotonic() - begun)
        finally:
            process.terminate()
            end(process)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until somebody listens there."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.005)
    raise RuntimeError(f"{process.args!r} does not listen")


# --- measurements ---------------------------------------------------------------------------------------------------


def visit(subject: Subject, options: argparse.Namespace) -> Row:
    """One round of one subject: paced traffic, then as fast as it goes with each crowd."""
    with session(subject, STATIONS, options) as (stations, proxy, row):
        row["paced"] = watched(stations, proxy, connections=STATIONS, seconds=options.seconds, rate=RATE / 2)
        for crowd in CROWDS:
            row[f"closed {crowd}"] = watched(stations, proxy, connections=crowd, seconds=options.seconds / 2)
    return row


def fleet(subject: Subject, options: argparse.Namespace) -> Row:
    """One round of many stations, and the memory that they take."""
    with session(subject, options.fleet, options) as (stations, proxy, row):
        before = proxy.memory() if proxy else (0.0, 0.0)
        row["paced"] = watched(
            stations, proxy, connections=options.fleet, seconds=options.seconds, rate=FLEET_RATE / 2
        )
        row["memory_mb"] = {"before": before, "after": proxy.memory() if proxy else before}
    return row


@contextmanager
def session(subject: Subject, count: int, options: argparse.Namespace) -> Iterator[tuple[Talker, Proxy | None, Row]]:
    """So many stations connected to a CSMS through the subject; afterwards, what of them is in the recording."""
    csms = Talker("csms")
    with tempfile.TemporaryDirectory(prefix="ocppscope-bench-") as name:
        place = Path(name)
        row: Row = {"subject": subject.name}
        try:
            with running(subject, csms.said["port"], place) as proxy:
                port = proxy.listen if proxy else csms.said["port"]
                row["start_seconds"] = proxy.start_seconds if proxy else 0.0
                stations = Talker("stations", str(port), str(count), *(["deflate"] if options.deflate else []))
                row["connect_seconds"] = stations.said["seconds"]
                try:
                    yield stations, proxy, row
                finally:
                    stations.end()
        finally:
            csms.end()
        if subject.records:
            row["recorded"] = recorded(place / "bench.pcapng")


def watched(stations: Talker, proxy: Proxy | None, **asked: float) -> Row:
    """What the stations measured, and how much the relay worked for a message (µs)."""
    before = proxy.cpu() if proxy else 0.0
    row = stations.ask(**asked)
    row["cpu_us"] = ((proxy.cpu() if proxy else 0.0) - before) / max(2 * row["answered"], 1) * 1e6
    return row


def recorded(path: Path) -> int:
    """CALLs and answers in a recording."""
    program = str(Path(sys.executable).parent / "ocppscope")
    command = [program, "log", "-q", "--format", "jsonl", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as log:
        assert log.stdout
        return sum(b'"kind":"CALL' in line for line in log.stdout)


def in_rounds(
    look: Callable[[Subject, argparse.Namespace], Row], subjects: list[Subject], options: argparse.Namespace
) -> list[dict[str, Row]]:
    """Every subject in every round, in another order each."""
    rounds = []
    for turn in range(options.rounds):
        order = subjects[turn % len(subjects) :] + subjects[: turn % len(subjects)]
        seen = {}
        for subject in order:
            sys.stderr.write(f"proxy: {look.__name__}, round {turn + 1}, {subject.name} …\n")
            seen[subject.name] = look(subject, options)
        rounds.append({subject.name: seen[subject.name] for subject in subjects})
    return rounds


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description="Measure ocppscope proxy against mitmdump and no proxy.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of every measurement (3)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="of paced traffic (3)")
    parser.add_argument("--fleet", type=int, default=MANY, metavar="N", help="stations of the fleet (1,000)")
    parser.add_argument("--only", choices=("visit", "fleet"), help="one of the two tables")
    parser.add_argument("--no-mitmdump", action="store_true", help="measure ocppscope alone")
    parser.add_argument("--deflate", action="store_true", help="messages are compressed")
    return parser.parse_args(words)


def report(options: argparse.Namespace) -> Row:
    """Measures and prints; the rows, and what is not as it must be."""
    ours = [DIRECT, HEADLESS, WITH_LOG]
    theirs = [MITMDUMP] if mitmdump_path() and not options.no_mitmdump else []
    rows: Row = {}
    if options.only != "fleet":
        about = f"{STATIONS} stations, {RATE} messages/s"
        print(f"\nproxy · {about}, then as many as go · {options.rounds} rounds, median (least-most)\n")
        rows["visit"] = in_rounds(visit, [*ours, *theirs], options)
        print("\n".join(table(rows["visit"], VISIT)), flush=True)
    if options.only != "visit":
        print(f"\nproxy · {options.fleet:,} stations, {FLEET_RATE:,} messages/s · {options.rounds} rounds\n")
        rows["fleet"] = in_rounds(fleet, ours, options)
        print("\n".join(table(rows["fleet"], FLEET)), flush=True)
    wrong = [line for one in rows.values() for line in complaints(one)]
    print("\n".join(["", *wrong] if wrong else ["", "Nothing was lost; every message is in the recordings."]))
    return rows | {"wrong": wrong}


def main() -> None:
    """Measure, print Markdown."""
    if not sys.platform.startswith("linux"):
        sys.exit("the benchmark of the proxy needs Linux: /proc and epoll")
    report(arguments())


if __name__ == "__main__":
    main()
