"""A soak: an hour of a fleet's messages, as fast as they go, through what is to run for days: `python -m bench.soak`.

1,000 stations with an exchange every 10 s make 360,000 an hour. They are sent through `ocppscope proxy` (alone, with
its log, or with its screens on a pseudo-terminal), or past `ocppscope live` on loopback (as root), and every message
is checked at its other end, byte for byte, and again in the recording. Each second memory and descriptors of every
process are looked at: both have to stay what they are. Some stations are connected to the CSMS directly, so that what
the proxy adds is seen beside what there is without it, at the same moment.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.proxy import END_SECONDS, ROOT, START_SECONDS, children, end, free_port, resident_mb, wait_for
from bench.soak_peers import MAX_WRONG, Plan, call_text, name_of, reply_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADLESS, LOG, SCREENS = "headless", "log", "screens"
PROXY, LIVE = "proxy", "live"
PROGRAM = str(Path(sys.executable).parent / "ocppscope")
SAMPLE_SECONDS = 1.0
QUIET_SECONDS, SETTLE_SECONDS = 3.0, 10.0
MARKS = (0.1, 0.5, 1.0)
VIEWER_FILES = 4  # that whoever shows messages opens with the first one, and keeps
SCREEN = struct.pack("HHHH", 40, 140, 0, 0)

Row = dict[str, Any]


class Sample(NamedTuple):
    """One look at the processes, the first is the one that was started: MB, descriptors, bytes of the recording."""

    phase: str
    done: int
    memory: tuple[float, ...]
    descriptors: tuple[int, ...]
    recorded: int


# --- what is soaked -------------------------------------------------------------------------------------------------


class Subject:
    """A running ocppscope, and what it prints."""

    def __init__(self, process: subprocess.Popen[bytes], output: int, place: Path, *, on_screen: bool) -> None:
        self.process, self.place = process, place
        self.lines = self.printed = 0
        self._output, self._on_screen = output, on_screen
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        """Messages of a log are counted; what a terminal shows is only taken."""
        rest = b""
        with suppress(OSError):  # the other end of a pseudo-terminal is gone
            while data := os.read(self._output, 1 << 16):
                self.printed += len(data)
                *whole, rest = (rest + data).split(b"\n") if not self._on_screen else (b"",)
                self.lines += sum(b'"kind":"CALL' in line for line in whole)

    def look(self, phase: str, done: int) -> Sample:
        """How it is now."""
        pids = [self.process.pid, *children(self.process.pid)]
        size = sum(path.stat().st_size for path in self.recordings())
        memory, descriptors = tuple(map(resident_mb, pids)), tuple(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
        return Sample(phase, done, memory, descriptors, size)

    def recordings(self) -> list[Path]:
        """Its files."""
        return sorted(self.place.glob("*.pcapng"))

    def leave(self) -> int:
        """Ends it as its user would; its exit code."""
        if self._on_screen:
            os.write(self._output, b"q")
        else:
            self.process.terminate()
        end(self.process)
        self._reader.join(END_SECONDS)
        return self.process.returncode


@contextmanager
def running(options: argparse.Namespace, csms: int, place: Path) -> Iterator[tuple[Subject, int]]:
    """It and the port to which stations connect."""
    port = free_port() if options.what == PROXY else csms
    command = [PROGRAM, options.what, "-w", str(place / "soak.pcapng")]
    if options.what == PROXY:
        command += ["--listen", f"127.0.0.1:{port}", "--to", f"ws://127.0.0.1:{csms}"]
        command += ["--headless"] if options.show == HEADLESS else []
    else:
        command += ["-i", "lo", "-f", f"tcp port {csms}"]
    if options.show == LOG:
        command += ["--format", "jsonl"]
    on_screen = options.show == SCREENS
    ours, theirs = os.openpty() if on_screen else os.pipe()
    if on_screen:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, SCREEN)
    with ExitStack() as stack, (place / "said").open("wb") as said:
        stack.callback(os.close, ours)
        process = subprocess.Popen(
            command, stdin=theirs if on_screen else subprocess.DEVNULL, stdout=theirs,
            stderr=theirs if on_screen else said, start_new_session=True, env=os.environ | {"TERM": "xterm-256color"},
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.kill)
        os.close(theirs)
        subject = Subject(process, ours, place, on_screen=on_screen)
        if options.what == PROXY:
            wait_for(port, process)
        _until(lambda: any(path.stat().st_size for path in subject.recordings()), START_SECONDS)
        time.sleep(QUIET_SECONDS)  # until the screens are drawn and what runs once has run
        yield subject, port


class Talker:
    """A process of `bench.soak_peers`."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "bench.soak_peers", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

    @property
    def output(self) -> BinaryIO:
        """What it says."""
        assert self.process.stdout
        return self.process.stdout  # type: ignore[return-value]

    def read(self) -> Row:
        """The next line."""
        line = self.output.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        said: Row = json.loads(line)
        return said

    def go(self) -> None:
        """It may go on."""
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        """Its stdin ends."""
        assert self.process.stdin
        self.process.stdin.close()

    def close(self) -> None:
        """It has ended."""
        self.finish()
        end(self.process)
        self.output.close()


# --- the soak -------------------------------------------------------------------------------------------------------


def soak(options: argparse.Namespace) -> Row:
    """All of it; what was seen, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="ocppscope-soak-", dir=options.directory) as name, ExitStack() as stack:
        place = Path(name)
        csms = Talker("csms")
        stack.callback(csms.close)
        port = csms.read()["port"]
        subject, listen = stack.enter_context(running(options, port, place))
        plan = Plan(
            listen, port, options.stations, options.exchanges, options.rate, options.churn,
            options.direct if options.what == PROXY and options.rate else 0,
        )  # fmt: skip
        samples = [subject.look("alone", 0)]
        told = converse(plan, subject, samples)
        csms.finish()
        answered = csms.read()
        seen = {"lines": subject.lines, "exit": subject.leave(), "lines_at_the_end": subject.lines}
        said = (place / "said").read_text(errors="replace")[-2000:]
        recorded = check_recording(subject.recordings(), plan) if options.verify else None
        row: Row = {
            "plan": plan._asdict(),
            "samples": samples,
            "stations": told,
            "csms": answered,
            "load": os.getloadavg(),
        }
        row |= {"seen": seen, "said": said, "recorded": recorded}
        return row | {"wrong": list(complaints(row, options))}


def converse(plan: Plan, subject: Subject, samples: list[Sample]) -> Row:
    """The stations come, talk and leave, while the subject is looked at; what they say in the end."""
    stations = Talker("stations", json.dumps(plan._asdict()))
    try:
        state = stations.read()
        samples.append(subject.look("connected", 0))
        stations.go()
        while state["phase"] != "done":
            ready, _, _ = select.select([stations.output], [], [], SAMPLE_SECONDS)
            if ready:
                state = stations.read()
            if time.monotonic() - _last_look[0] >= SAMPLE_SECONDS or state["phase"] == "done":
                _last_look[0] = time.monotonic()
                samples.append(subject.look("talking", state["done"]))
        stations.go()
        told = stations.read()
    finally:
        stations.close()
    base = samples[0].descriptors
    _until(lambda: subject.look("", 0).descriptors[-1:] == base[-1:], SETTLE_SECONDS)
    samples.append(subject.look("left", told["answered"]))
    return told


_last_look = [0.0]


def _until(met: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not met() and time.monotonic() < until:
        time.sleep(0.05)


def check_recording(paths: list[Path], plan: Plan) -> Row:
    """Every text of every station that came through, in order and byte for byte, as the engine reads the files."""
    from ocppscope.capture.pcapfile import open_captures  # noqa: PLC0415
    from ocppscope.engine import Engine  # noqa: PLC0415
    from ocppscope.model import ConnectionOpened, Message, Side  # noqa: PLC0415

    names: dict[int, str] = {}
    numbers: dict[tuple[str, Side], int] = defaultdict(int)
    wrong: list[str] = []
    engine = Engine()
    with open_captures([str(path) for path in paths]) as reader:
        for batch in (*map(engine.packets, reader.blocks()), engine.finish()):
            for event in batch:
                if isinstance(event, ConnectionOpened):
                    names[event.connection.number] = event.connection.station
                elif isinstance(event, Message):
                    key = names[event.connection], event.side
                    made = call_text if event.side is Side.STATION else reply_text
                    if bytes(event.text) != made(key[0], numbers[key]):
                        wrong.append(f"message {numbers[key]} of {key} is not what was said: {event.text[:60]!r}")
                    numbers[key] += 1
    expected = {name_of(number) for number in range(plan.stations - plan.direct)}
    strange = sorted({name for name, _ in numbers} - expected)[:3]
    wrong += [f"stations that there are not: {strange}"] if strange else []
    return {"messages": sum(numbers.values()), "wrong": wrong[:MAX_WRONG]}


# --- what comes of it -----------------------------------------------------------------------------------------------


def complaints(row: Row, options: argparse.Namespace) -> Iterator[str]:
    """What is not as it must be. Memory is printed, and judged by whoever reads it."""
    stations, csms, plan = row["stations"], row["csms"], row["plan"]
    for side in (stations, csms):
        yield from side["said"]
        if side["wrong"] > len(side["said"]):
            yield f"{side['wrong'] - len(side['said'])} more of that"
    if stations["answered"] != plan["exchanges"]:
        yield f"of {plan['exchanges']:,} exchanges {stations['answered']:,} were answered"
    through = 2 * (plan["exchanges"] - _direct(row))
    recorded = row["recorded"]
    if recorded is not None:
        yield from recorded["wrong"]
        if recorded["messages"] != through:
            yield f"of {through:,} messages {recorded['messages']:,} are in the recording"
    if options.show == LOG and row["seen"]["lines_at_the_end"] != through:
        yield f"of {through:,} messages {row['seen']['lines_at_the_end']:,} are in the log"
    before, after = row["samples"][0].descriptors, row["samples"][-1].descriptors
    if before[1:] != after[1:] or not 0 <= after[0] - before[0] <= (VIEWER_FILES if len(before) > 1 else 0):
        yield f"descriptors were {before} and are {after}"
    if row["seen"]["exit"]:
        yield f"it ended with {row['seen']['exit']}: {row['said']}"


def _direct(row: Row) -> int:
    """Exchanges of the stations that had nothing between."""
    total: int = row["stations"]["direct_answered"]
    return total


def table(row: Row) -> Iterator[str]:
    """Markdown."""
    stations, samples = row["stations"], row["samples"]
    seconds = max(stations["seconds"], 1e-9)
    yield "| | |"
    yield "|---|---|"
    messages = 2 * stations["answered"]
    yield f"| messages | {messages:,} in {seconds:.0f} s, {messages / seconds:,.0f} a second |"
    yield f"| stations | {row['plan']['stations']:,}, which came again {stations['reconnects']:,} times |"
    yield f"| lost | {stations['lost']:,}; wrong {stations['wrong'] + row['csms']['wrong']:,} |"
    if row["recorded"] is not None:
        yield f"| in the recording | {row['recorded']['messages']:,}, {samples[-1].recorded / 1e6:,.0f} MB |"
    through, direct = stations["trip_ms"]
    yield f"| there and back, ms p50 / p99 / worst | {_ms(through)} |"
    if row["plan"]["direct"]:
        yield f"| the same without the proxy | {_ms(direct)} |"
        added = [a - b for a, b in zip(through, direct, strict=True)]
        yield f"| added | {_ms(added)} |"
    for name, sample in _marked(samples, row["plan"]["exchanges"]):
        memory = " + ".join(f"{one:.1f}" for one in sample.memory)
        descriptors = " + ".join(map(str, sample.descriptors))
        yield f"| {name} | {memory} MB, {descriptors} descriptors |"
    yield f"| load of the machine | {' '.join(f'{one:.1f}' for one in row['load'])} |"


def _marked(samples: list[Sample], exchanges: int) -> Iterator[tuple[str, Sample]]:
    yield "alone", samples[0]
    yield "all connected", samples[1]
    for mark in MARKS:
        found = next((one for one in samples if one.done >= mark * exchanges), samples[-1])
        yield f"after {mark:.0%}", found
    yield "all left", samples[-1]


def _ms(times: list[float]) -> str:
    return " / ".join(f"{one:.2f}" for one in times)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=(PROXY, LIVE), default=PROXY, help="what is soaked (proxy)")
    parser.add_argument("--show", choices=(HEADLESS, LOG, SCREENS), default=LOG, help="what it shows (log)")
    parser.add_argument("--stations", type=int, default=1000, metavar="N", help="(1,000)")
    parser.add_argument("--exchanges", type=int, default=360_000, metavar="N", help="of all stations (360,000)")
    parser.add_argument(
        "--rate", type=float, default=1000.0, metavar="N", help="exchanges a second (1,000); 0: as many as go"
    )
    parser.add_argument("--churn", type=int, default=0, metavar="N", help="a station leaves and comes again after N")
    parser.add_argument(
        "--direct", type=int, default=10, metavar="N", help="stations without the proxy (10), if there is a rate"
    )
    parser.add_argument("--directory", metavar="DIR", help="for the recording")
    parser.add_argument("--no-verify", dest="verify", action="store_false", help="do not read the recording again")
    parser.add_argument("--samples", metavar="FILE", help="write each second's figures as JSON")
    wanted = parser.parse_args(words)
    if wanted.what == LIVE and wanted.show == HEADLESS:
        parser.error("live shows a log or screens")
    return wanted


def main() -> None:
    """Soak, print Markdown."""
    if not sys.platform.startswith("linux"):
        sys.exit("the soak needs Linux: /proc and epoll")
    options = arguments()
    row = soak(options)
    if options.samples:
        Path(options.samples).write_text(json.dumps(row, indent=1))
    print(f"\nsoak · {options.what}, {options.show} · {options.stations:,} stations\n")
    print("\n".join(table(row)))
    print("\n".join(["", *row["wrong"]] if row["wrong"] else ["", "Nothing was lost, changed or left open."]))
    sys.exit(bool(row["wrong"]))


if __name__ == "__main__":
    main()
