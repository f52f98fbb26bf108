"""The relay from outside: starts its process, gives orders, and keeps what it tells.

Implements `capture.recorder.Recorder` and `control.Steering`. One thread reads tidings; everything else may be called
from any thread.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import msgspec

from ocppscope.control import (
    MAX_LINE_BYTES,
    Answered,
    Closed,
    Failed,
    Held,
    Link,
    Opened,
    Released,
    Rotated,
    Said,
    State,
    Stop,
    line,
    read_tiding,
)
from ocppscope.errors import AccessError, OcppscopeError, UsageError

if TYPE_CHECKING:
    from typing import IO

    from ocppscope.control import Order, Tiding
    from ocppscope.proxy.config import Config

START_SECONDS = 20.0
"""How long the relay may take to listen."""
STOP_SECONDS = 10.0
"""How long it may take to end before it is killed."""
MAX_SAID = 200
MAX_ANSWERS = 50
"""Sentences and answers that are kept, the latest; that there were more sentences is said, too."""
STDERR_BYTES = 1 << 16
"""Bytes of a line of the process's stderr that are read at once."""
FORGOTTEN = f"There were more than {MAX_SAID} sentences; the earliest are gone."


class Relay:
    """A proxy in a process of its own."""

    def __init__(self, config: Config) -> None:
        self.title = f"proxy {config.listen} → {config.to or 'where stations want to go'}"
        self._config = config
        self._state = State(str(config.listen), str(config.to or ""))
        self._links: dict[int, Link] = {}
        self._held: dict[int, Held] = {}
        self._answers: deque[Answered] = deque(maxlen=MAX_ANSWERS)
        self._said: deque[str] = deque(maxlen=MAX_SAID)
        self._is_forgetful = False  # more was said than is kept
        self._files: tuple[str, ...] = ()
        self._failure: Failed | None = None
        self._ready, self._lock = Event(), Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._thread: Thread | None = None
        self._is_running = self._is_stopping = False

    # --- as a recorder ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """See `Recorder`; returns when stations can connect."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        # -P: nothing is imported from the working directory, which may hold anything
        command = [sys.executable, "-P", "-m", "ocppscope.proxy.relay", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        theirs.close()
        self._sock, self._is_running = ours, True
        ours.sendall(msgspec.json.encode(self._config) + b"\n")
        self._thread = Thread(target=self._listen, args=(ours,), name="tidings", daemon=True)
        self._thread.start()
        Thread(target=self._overhear, args=(self._process.stderr,), name="stderr", daemon=True).start()
        if not self._ready.wait(START_SECONDS):
            self.stop()
            raise UsageError("The proxy did not start in time.", "See whether this machine is very busy.")
        if self._failure is not None:
            self.stop()
            raise _error(self._failure)

    def files(self) -> tuple[str, ...]:
        """See `Recorder`."""
        return self._files

    @property
    def running(self) -> bool:
        """See `Recorder`."""
        return self._is_running

    def status(self) -> str:
        """See `Recorder`."""
        state = self._state
        parts = [
            f"{state.listening} → {state.to}",
            f"{state.connections:,} station{'' if state.connections == 1 else 's'}",
            f"{_size(state.bytes_passed)} passed",
            f"recording {os.path.basename(state.recording)} {_size(state.recorded_bytes)}",
        ]
        if state.recording_trouble:
            parts[-1] = "NOT RECORDING"
        if state.active:
            parts.append(f"active, {state.held} held")
        return " · ".join(parts)

    def troubles(self) -> tuple[str, ...]:
        """See `Recorder`."""
        return self.said()

    def stop(self) -> None:
        """See `Recorder`."""
        process, sock = self._process, self._sock
        if process is None or sock is None:
            return
        self._is_stopping = True
        self.order(Stop())
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        sock.close()
        self._is_running = False

    # --- as steering ------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """See `Steering`."""
        return self._state

    def links(self) -> tuple[Link, ...]:
        """See `Steering`."""
        with self._lock:
            return tuple(self._links.values())

    def held(self) -> tuple[Held, ...]:
        """See `Steering`."""
        with self._lock:
            return tuple(self._held.values())

    def answers(self) -> tuple[Answered, ...]:
        """See `Steering`."""
        with self._lock:
            return tuple(self._answers)

    def said(self) -> tuple[str, ...]:
        """See `Steering`."""
        with self._lock:
            return (FORGOTTEN, *self._said) if self._is_forgetful else tuple(self._said)

    def order(self, order: Order) -> None:
        """See `Steering`."""
        if self._sock is not None:
            with suppress(OSError):
                self._sock.sendall(line(order))

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _listen(self, sock: socket.socket) -> None:
        waiting = bytearray()
        with suppress(OSError):
            while data := sock.recv(1 << 16):
                first, *others = data.split(b"\n")
                waiting += first
                for part in others:
                    self._take(bytes(waiting))
                    waiting = bytearray(part)
                if len(waiting) > MAX_LINE_BYTES:
                    self._say(f"A tiding of the proxy is longer than {MAX_LINE_BYTES:,} bytes: it has to end.")
                    sock.shutdown(socket.SHUT_RDWR)  # nobody would read what it tells
                    break
        if self._failure is None and not self._ready.is_set():
            told = self._said[-1] if self._said else "It said nothing."
            self._failure = Failed("The proxy ended before it could listen.", told, 2)
        if self._ready.is_set() and not self._is_stopping:
            self._say("The relay has ended: no station is connected any more. What passed is recorded.")
        self._is_running = False
        self._ready.set()

    def _overhear(self, stream: IO[bytes]) -> None:
        """What the process says that is no tiding, a bug of ours: it must not be printed over the screens."""
        with stream:
            while text := stream.readline(STDERR_BYTES):
                self._say(f"The proxy's process said: {text[:500].decode('utf-8', 'replace').rstrip()}")

    def _say(self, sentence: str) -> None:
        with self._lock:
            self._keep(Said(sentence))

    def _take(self, text: bytes) -> None:
        try:
            tiding = read_tiding(text)
        except msgspec.MsgspecError as error:
            tiding = Said(f"A tiding of the proxy cannot be read: {str(error)[:200]!a}.")
        with self._lock:
            self._keep(tiding)

    def _keep(self, tiding: Tiding) -> None:
        if isinstance(tiding, State):
            self._state = tiding
            if not self._files:
                self._files = (tiding.recording,)
            self._ready.set()
        elif isinstance(tiding, Opened):
            self._links[tiding.link.number] = tiding.link
        elif isinstance(tiding, Closed):
            self._links.pop(tiding.number, None)
        elif isinstance(tiding, Held):
            self._held[tiding.held] = tiding
        elif isinstance(tiding, Released):
            self._held.pop(tiding.held, None)
        elif isinstance(tiding, Answered):
            self._answers.append(tiding)
        elif isinstance(tiding, Rotated):
            self._files = (*self._files, tiding.path)
        elif isinstance(tiding, Said):
            self._is_forgetful = self._is_forgetful or len(self._said) == self._said.maxlen
            self._said.append(tiding.text)
        elif isinstance(tiding, Failed):
            self._failure = tiding
            self._ready.set()


def _error(failed: Failed) -> OcppscopeError:
    kind = AccessError if failed.exit_code == AccessError.exit_code else UsageError
    return kind(failed.what, failed.hint)


def _size(count: int) -> str:
    """`12.3 MB`."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
