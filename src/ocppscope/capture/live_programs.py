"""dumpcap and tcpdump as sniffers: their command lines, their sentences, and what they write, through a pipe.

Nothing is read of the packets but where they end.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from select import select
from typing import TYPE_CHECKING

from ocppscope.capture.live import no_permission, wrong_filter
from ocppscope.capture.live_records import DamagedError, Piece, Records
from ocppscope.capture.live_request import DUMPCAP
from ocppscope.errors import CaptureError, OcppscopeError

if TYPE_CHECKING:
    from ocppscope.capture.live_request import LiveRequest

PIPE_BYTES = READ_BYTES = 1 << 20
BUFFER_MEBIBYTES = 64
"""What waits in the kernel."""
MAX_SAID_BYTES = 16 << 10
"""What is kept of what it says on stderr."""
LEAVING_SECONDS = 3.0
_PR_SET_PDEATHSIG = 1
DUMPCAP_SECONDS = 0.5
"""What dumpcap has not passed on when it is told to leave, it throws away: it is told so much later."""

_COUNTS = re.compile(r"(\d+) packets? (captured|received by filter|dropped by kernel|dropped by interface)")
_DUMPCAP_COUNTS = re.compile(r"Packets received/dropped on interface .*: (\d+)/(\d+)")
_IDLE_TALK = re.compile(
    r"listening on|Capturing on|^File: |^Packets( captured)?: |packets? (captured|received|dropped)"
    r"|Packets received/dropped|^dropped privs|data link type|^$"
)
_NO_PERMISSION = re.compile(r"permission to capture|Operation not permitted|You don't have permission", re.IGNORECASE)
_WRONG_FILTER = re.compile(
    r"filter expression|valid capture filter|syntax error|expression rejects|unknown host|illegal |not supported"
)


def command_line(request: LiveRequest) -> list[str]:
    """The program with its options, so that packets come at once."""
    line = [request.program, "-i", request.interface, "-w", "-", "-s", str(request.snaplen)]
    if not request.promiscuous:
        line.append("-p")
    if request.sniffer == DUMPCAP:
        line += ["-q", "-B", str(BUFFER_MEBIBYTES)]
        return [*line, "-f", request.bpf] if request.bpf else line
    line += ["-U", "-n", "--immediate-mode", "--nano", "-B", str(BUFFER_MEBIBYTES << 10)]
    return [*line, "--", request.bpf] if request.bpf else line


class ProgramSource:
    """A running program. Raises OcppscopeError if it cannot begin."""

    def __init__(self, request: LiveRequest, *, deadline: float = 10.0) -> None:
        self.received = self.dropped = 0
        self._request = request
        self._records = Records()
        self._said = ""
        self._troubles: list[str] = []
        self._early = Piece([], 0)
        self._is_over = False
        self._process = self._begin()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        for file in (self._out, self._err):
            os.set_blocking(file, False)
        with suppress(OSError):
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._await_header(time.monotonic() + deadline)

    @property
    def first(self) -> bytes:
        """What the first file begins with."""
        return self._records.first

    @property
    def header(self) -> bytes:
        """What further files begin with."""
        return self._records.header

    def filenos(self) -> list[int]:
        """What becomes readable when there is something to take."""
        return [self._out, self._err]

    def take(self) -> Piece | None:
        """What has come; None at the end."""
        early, self._early = self._early, Piece([], 0)
        if early.records:
            return early
        self._listen()
        if self._is_over:
            return None
        try:
            data = os.read(self._out, READ_BYTES)
            if data:
                return self._records.feed(data)
        except BlockingIOError:
            return early
        except DamagedError:
            self._troubles.append(f"What {self._request.sniffer} writes is no capture any longer.")
        self._is_over = True
        return None

    def count(self, now_ns: int) -> list[bytes]:
        """Asks for the counts of tcpdump, which come later; dumpcap tells its own at the end, in its file."""
        del now_ns
        if self._request.sniffer != DUMPCAP and self._process.poll() is None:
            with suppress(OSError):
                self._process.send_signal(signal.SIGUSR1)
        return []

    def troubles(self) -> list[str]:
        """Sentences that have not been told."""
        told, self._troubles = self._troubles, []
        return told

    def end(self) -> None:
        """Asks it to leave; what it still has comes from `take`."""
        if self._request.sniffer == DUMPCAP:
            self._gather(time.monotonic() + DUMPCAP_SECONDS)
        with suppress(OSError):
            self._process.terminate()

    def close(self) -> None:
        """Waits for its end, not for long."""
        try:
            self._process.wait(LEAVING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listen()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _gather(self, deadline: float) -> None:
        records: list[bytes] = []
        packets = 0
        while (left := deadline - time.monotonic()) > 0:
            select(self.filenos(), [], [], left)
            piece = self.take()
            if piece is None:
                break
            records += piece.records
            packets += piece.packets
        self._early = Piece(records, packets)

    # --- its beginning ----------------------------------------------------------------------------------------------

    def _begin(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command_line(self._request),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is ours to pass on
                preexec_fn=_die_with_us,  # noqa: PLW1509 (the sniffer has one thread)
                env={**os.environ, "LC_ALL": "C"},  # so that its sentences can be read
            )
        except PermissionError:
            raise no_permission(self._request.interface) from None
        except OSError as error:
            raise CaptureError(f"{self._request.program} cannot be started: {error.strerror}.") from None

    def _await_header(self, deadline: float) -> None:
        while not self._records.first:
            select(self.filenos(), [], [], max(0.0, deadline - time.monotonic()))
            piece = self.take()
            if piece is None or time.monotonic() > deadline:
                self.end()
                self.close()
                raise self._failure()
            self._early = Piece(self._early.records + piece.records, self._early.packets + piece.packets)

    def _failure(self) -> OcppscopeError:
        said = self._said.strip()
        if _NO_PERMISSION.search(said):
            return no_permission(self._request.interface)
        lines = [self._bare(line) for line in said.splitlines() if not _IDLE_TALK.search(line)]
        if self._request.bpf and _WRONG_FILTER.search(said):
            return wrong_filter(self._request.bpf, _reason(lines))
        what = lines[0] if lines else "it says nothing"
        return CaptureError(f"{self._request.sniffer} cannot begin: {what[:200]}.", "Try another --sniffer.")

    # --- its sentences ----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        with suppress(BlockingIOError, ValueError):
            while data := os.read(self._err, READ_BYTES):
                self._said = (self._said + data.decode("utf-8", "replace"))[-MAX_SAID_BYTES:]
        if not self._records.first:
            return  # it is all said in the failure, or in vain
        *lines, self._said = self._said.replace("\r", "\n").split("\n")
        for line in lines:
            self._hear(line.strip())

    def _hear(self, line: str) -> None:
        for number, what in _COUNTS.findall(line):
            if what == "dropped by kernel":
                self.dropped = int(number)
            elif what == "received by filter":
                self.received = int(number)
        if found := _DUMPCAP_COUNTS.search(line):
            self.received, self.dropped = int(found[1]), int(found[2])
        if not _IDLE_TALK.search(line):
            self._troubles.append(f"{self._request.sniffer}: {self._bare(line)[:300]}")

    def _bare(self, line: str) -> str:
        return line.strip().removeprefix(f"{self._request.sniffer}: ").rstrip(".")


def _reason(lines: list[str]) -> str:
    """The compiler's own sentence."""
    for line in lines:
        if found := re.search(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*$", line):
            return found[1]
    return lines[0] if lines else "it does not compile"


def _die_with_us() -> None:
    """In the new process: asks Linux to end it when we do, however that is (prctl(2)).

    tcpdump forgets it as it changes its user, and then stays until its next packet finds nobody to take it.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
