"""Network namespaces for tests: networks of their own, with real interfaces, routes and packet filters, that are gone
when the test is over, whatever happened in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

DEADLINE = 30.0
"""Seconds that anything may take."""
PYTHON = sys.executable
SOURCES = Path(__file__).parents[2] / "src"


class Program:
    """A process in a namespace; its lines of stdout and stderr can be waited for."""

    def __init__(self, words: list[str]) -> None:
        environment = os.environ | {"PYTHONPATH": str(SOURCES), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"}
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.lines: list[str] = []
        self._queue: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait_for(self, text: str) -> str:
        """The first line from now on that holds `text`."""
        until = time.monotonic() + DEADLINE
        while (line := self._next(until)) is not None:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"ended without {text!r}: {self.lines}")

    def _next(self, until: float) -> str | None:
        try:
            return self._queue.get(timeout=max(until - time.monotonic(), 0))
        except Empty:
            raise AssertionError(f"waited too long; it said: {self.lines}") from None

    def say(self, text: str) -> None:
        """A line on its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def result(self) -> list[str]:
        """All its lines, once it has ended well."""
        until = time.monotonic() + DEADLINE
        while (line := self._next(until)) is not None:
            self.lines.append(line)
        assert self.process.wait(DEADLINE) == 0, self.lines
        return self.lines

    def end(self) -> None:
        """Ends it, if it is still there."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(DEADLINE)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


class Space:
    """One namespace: `prefix` is what makes a command run in it."""

    def __init__(self, name: str, prefix: list[str], stack: ExitStack) -> None:
        self.name, self.prefix = name, prefix
        self._stack = stack

    def run(self, *words: str) -> str:
        """Runs a command to its end; its output."""
        done = subprocess.run([*self.prefix, *words], capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def lines(self, text: str) -> None:
        """Runs a command on each line."""
        for line in text.strip().splitlines():
            self.run(*line.split())

    def start(self, *words: str) -> Program:
        """Starts a program, which is ended with the namespace at the latest."""
        program = Program([*self.prefix, *words])
        self._stack.callback(program.end)
        return program

    def python(self, *words: str) -> Program:
        """Starts this Python."""
        return self.start(PYTHON, *words)


@contextmanager
def spaces(*names: str) -> Iterator[list[Space]]:
    """Namespaces, made as root."""
    with ExitStack() as stack:
        made = []
        for name in names:
            full = f"os{os.getpid()}-{name}"
            subprocess.run(["ip", "netns", "add", full], check=True, timeout=DEADLINE)
            stack.callback(subprocess.run, ["ip", "netns", "delete", full], check=True, timeout=DEADLINE)
            made.append(Space(full, ["ip", "netns", "exec", full], stack))
            made[-1].run("ip", "link", "set", "lo", "up")
        yield made


@contextmanager
def rootless() -> Iterator[Space]:
    """One namespace that anybody may make, in which one is root. Raises OSError where that is not allowed."""
    words = ["unshare", "-Urn", "sh", "-c", "echo ready; exec cat"]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with ExitStack() as stack:
        stack.callback(holder.communicate, timeout=DEADLINE)  # the end of its stdin ends it
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "ready\n":
            raise OSError(holder.stderr.read().strip())
        prefix = ["nsenter", "-t", str(holder.pid), "-U", "-n", "--preserve-credentials"]
        space = Space("rootless", prefix, stack)
        space.run("ip", "link", "set", "lo", "up")
        yield space


def join(one: Space, name: str, other: Space, other_name: str) -> None:
    """A cable between two namespaces."""
    one.run("ip", "link", "add", name, "type", "veth", "peer", "name", other_name, "netns", other.name)


def address(space: Space, name: str, *addresses: str) -> None:
    """Gives an interface addresses, and switches it on."""
    for one in addresses:
        space.run("ip", "address", "add", one, "dev", name, *(["nodad"] if ":" in one else []))
    space.run("ip", "link", "set", name, "up")


def until(what: Callable[[], bool]) -> None:
    """Waits until something is so."""
    end = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
