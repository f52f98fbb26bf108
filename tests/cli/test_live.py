"""`ocppscope live` with a real station and a real CSMS on an interface of our own; and tcpdump in a pipe."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from ocppscope.capture.live import Interface
from ocppscope.cli import following
from ocppscope.cli.live import command, listed
from support_live import NEAR_ADDRESS, namespace, until

PORT = 9000
SCOPE = (sys.executable, "-m", "ocppscope")


@pytest.fixture
def network() -> Iterator[None]:
    with namespace():
        yield


async def answers(connection) -> None:
    async for text in connection:
        reply = {"currentTime": "2026-11-22T10:00:00Z"}
        await connection.send(json.dumps([3, json.loads(text)[1], reply]))


async def session(*ids: str) -> None:
    """A station that sends heartbeats over loopback, and has them answered."""
    async with (
        serve(answers, NEAR_ADDRESS, PORT, subprotocols=["ocpp1.6"]),
        connect(f"ws://{NEAR_ADDRESS}:{PORT}/CP1", subprotocols=["ocpp1.6"]) as station,
    ):
        for one in ids:
            await station.send(json.dumps([2, one, "Heartbeat", {}]))
            await station.recv()


class Lines:
    """What a running program prints, as it prints it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line)
                self._more.notify()

    def wait_for(self, *words: str) -> None:
        """Until a line has all of them."""
        with self._more:
            assert self._more.wait_for(lambda: any(all(word in line for word in words) for line in self.lines), 20), (
                self.lines
            )

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it said on stderr."""
        assert self.process.stderr is not None
        code = self.process.wait(60)
        self._thread.join(20)
        return code, self.process.stderr.read()


@contextmanager
def running(*words: str, stdin: int | None = None) -> Iterator[Lines]:
    with subprocess.Popen(
        (*SCOPE, *words), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Lines(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def begun(lines: Lines, path: Path) -> None:
    """Waits until it sniffs: the recording is there."""
    until(lambda: path.exists() or lines.process.poll() is not None)


@pytest.mark.netns
def test_lines_appear_while_it_runs_and_the_recording_says_the_same(network, tmp_path):
    out = tmp_path / "out.pcapng"
    with running("live", "-i", "lo", "-f", f"tcp port {PORT}", "-w", str(out)) as lines:
        begun(lines, out)
        asyncio.run(session("m1", "m2"))
        lines.wait_for("RESULT", "m2")
        assert lines.process.poll() is None
        lines.process.send_signal(signal.SIGINT)
        code, said = lines.end()
    assert code == 0
    assert f"kept in {out}" in said
    assert "Traceback" not in said
    again = subprocess.run((*SCOPE, "log", str(out)), capture_output=True, text=True, check=True)
    assert again.stdout.splitlines() == [line.rstrip("\n") for line in lines.lines]
    assert sum("CALL" in line for line in lines.lines) == 4


@pytest.mark.netns
def test_it_stops_after_a_count_and_leaves_nothing(network, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    words = (*SCOPE, "live", "-i", "lo", "-Y", "kind == CALL", "-c", "2", "--format", "jsonl")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        lines = Lines(process)
        until(lambda: list(tmp_path.glob("*/*.pcapng")))
        asyncio.run(session("a", "b", "c"))
        code, said = lines.end()
    assert code == 0
    assert [json.loads(line)["id"] for line in lines.lines] == ["a", "b"]
    assert "kept" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.netns
def test_sigterm_ends_it_as_ctrl_c_does(network, tmp_path):
    out = tmp_path / "out.pcapng"
    with running("live", "-i", "lo", "-w", str(out)) as lines:
        begun(lines, out)
        asyncio.run(session("m1"))
        lines.wait_for("RESULT", "m1")
        lines.process.terminate()
        assert lines.end()[0] == 0


def test_a_signal_may_come_while_a_lock_is_held():
    """That of the sniffer's sentences, say, which are asked for again and again: ending it needs the same."""
    lock, ended = threading.Lock(), threading.Event()

    class Feed:
        def stop(self) -> None:
            with lock:
                ended.set()

    handler = signal.getsignal(signal.SIGTERM)
    with following._stopping(Feed()):
        with lock:
            signal.raise_signal(signal.SIGTERM)
            assert not ended.is_set()
        assert ended.wait(20)
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.netns
@pytest.mark.parametrize("name", ["log", None])
def test_tcpdump_in_a_pipe(network, name):
    """Lines are there while the pipe is open."""
    sniff = ("tcpdump", "-i", "lo", "-U", "--immediate-mode", "-w", "-", f"tcp port {PORT}")
    with subprocess.Popen(sniff, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tcpdump:
        assert tcpdump.stdout is not None
        assert tcpdump.stderr is not None
        tcpdump.stderr.readline()
        with running(*(["log"] if name else []), "-", stdin=tcpdump.stdout.fileno()) as lines:
            asyncio.run(session("m1"))
            lines.wait_for("RESULT", "m1")
            assert tcpdump.poll() is None
            tcpdump.terminate()
            assert lines.end()[0] == 0


def test_the_list():
    found = [Interface("eth0", True, ("10.0.0.1", "fe80::1")), Interface("wwan0", False, ())]
    assert listed(found) == ["eth0   up    10.0.0.1  fe80::1", "wwan0  down", "any    up    all interfaces"]


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ([], "no interface"),
        (["-i", "no such thing"], "no interface"),
        (["-i", "lo", "-w", "-"], "-w wants"),
        (["-i", "lo", "-w", "out", "--keep", "3"], "--keep"),
        (["-i", "lo", "--rotate-size", "many"], "64KiB"),
        (["-i", "lo", "--rotate-size", "1kB"], "64KiB"),
        (["-i", "lo", "--rotate-time", "10ms"], "1s"),
        (["-i", "lo", "--rotate-time", "soon"], "1s"),
        (["-i", "lo", "-s", "20"], "96"),
        (["-i", "lo", "--sniffer", "ngrep"], "ngrep"),
    ],
)
def test_what_cannot_be(words, word):
    done = CliRunner().invoke(command, words)
    assert done.exit_code != 0
    assert word in done.output + str(getattr(done.exception, "what", ""))
