"""Live capture as a recorder: which program sniffs, and its process, which writes while it is read.

Nothing is received or decoded here. What `auto` tries first was measured (bench/live.py: a veth pair, 2 cores, one of
them for the senders, packets of 200 bytes; per cent lost, and ms until a message is in the log, median and worst):

    packets/s    20,000   50,000   100,000   300,000   latency
    scapy             0        0         0    0 to 3    21, 76
    dumpcap           0        0         0         0    153, 281
    tcpdump           0        0         0   6 to 14    19, 79

So it is scapy's socket where we may open one; then dumpcap, which many may use who are not root.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from difflib import get_close_matches
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from ocppscope.capture.live import ANY, no_permission
from ocppscope.capture.live_files import refuse_special
from ocppscope.capture.live_request import (
    DUMPCAP,
    SCAPY,
    STOP,
    TCPDUMP,
    TEMPORARY_FILES,
    TEMPORARY_ROTATE_BYTES,
    LiveRequest,
    Report,
    as_argument,
    read_line,
)
from ocppscope.errors import CaptureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

AUTO = "auto"
SNIFFERS = (SCAPY, DUMPCAP, TCPDUMP)
"""The order in which `auto` tries them."""
START_SECONDS, STOP_SECONDS = 15.0, 10.0
MAX_TROUBLES = 50
MAX_FILES = 100_000
"""Names of files that are remembered; a recording that makes more is no longer followed."""
_LIBPCAP_ONLY = {"vlan", "inbound", "outbound", "ifname", "on"}
"""Words of a filter that libpcap can only compile for an interface that it has opened itself."""


class Sniffer:
    """Records one interface. Implements `capture.recorder.Recorder`.

    Without `out` it writes temporary files of bounded size; `discard` removes them, as does the end of this process.
    Raises OcppscopeError for what cannot be.
    """

    def __init__(self, request: LiveRequest, *, sniffer: str = AUTO) -> None:
        if request.out:
            refuse_special(request.out)
        check_interface(request.interface)
        name, program = choose(sniffer, request.interface, request.bpf)
        self.sniffer = name
        self._request = request._replace(sniffer=name, program=program)
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: Thread | None = None
        self._lock = Lock()
        self._begun = Event()
        self._failure: Report | None = None
        self._files: list[str] = []
        self._troubles: deque[str] = deque(maxlen=MAX_TROUBLES)
        self._counts = Report(packets=0)
        self._running = False
        self._discard: Callable[[], object] = lambda: None

    @property
    def title(self) -> str:
        """What is recorded, in a few words."""
        return f"{self._request.interface} ({self._request.bpf})" if self._request.bpf else self._request.interface

    @property
    def running(self) -> bool:
        """Whether more may be written."""
        return self._running

    @property
    def is_temporary(self) -> bool:
        """Whether `discard` takes the files away."""
        return self._request.temporary

    def start(self) -> None:
        """Begins, once; when it returns the first file is there and has its headers. Raises OcppscopeError."""
        if self._process is not None:
            return
        if not self._request.out:
            self._make_room()
        try:
            self._process = _started(self._request)
        except OSError as error:
            raise CaptureError(f"The sniffer's process cannot be started: {error.strerror}.") from None
        self._running = True
        self._listener = Thread(target=self._listen, args=(self._process,), name="sniffer", daemon=True)
        self._listener.start()
        if not self._begun.wait(START_SECONDS) or not self._files:
            self.stop()
            self.discard()
            raise self._why()

    def files(self) -> tuple[str, ...]:
        """The files so far, oldest first; those that a ring has given up stand there, too."""
        with self._lock:
            return tuple(self._files)

    def status(self) -> str:
        """What was counted, what was lost."""
        counts = self._counts
        parts = [f"{counts.packets:,} packets"]
        if counts.dropped:
            parts.append(f"{counts.dropped:,} lost")
        if counts.unwritten:
            parts.append(f"{counts.unwritten:,} not written")
        return ", ".join(parts)

    def troubles(self) -> tuple[str, ...]:
        """Sentences on what went wrong, oldest first."""
        with self._lock:
            return tuple(self._troubles)

    def stop(self) -> None:
        """Ends it; when it returns, everything is written. May be called again."""
        process = self._process
        if process is None:
            return
        with self._lock:
            _say_stop(process)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self._add_trouble("The sniffer did not end by itself; the last packets may be missing.")
        if self._listener is not None:
            self._listener.join(STOP_SECONDS)

    def discard(self) -> None:
        """Removes what was not asked for: the temporary files."""
        self._discard()

    # --- the process ------------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        try:
            directory = tempfile.mkdtemp(prefix="ocppscope-live-")
        except OSError as error:
            raise CaptureError(
                f"No temporary directory can be made: {error.strerror}.", "Name a file with -w, or set TMPDIR."
            ) from None
        self._request = self._request._replace(
            out=os.path.join(directory, "live.pcapng"),
            rotate_bytes=self._request.rotate_bytes or TEMPORARY_ROTATE_BYTES,
            keep=self._request.keep or TEMPORARY_FILES,
            temporary=True,
        )
        self._discard = weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                self._hear(read_line(line))
        finally:
            code = process.wait()
            if code and not self._failure:
                self._add_trouble(f"The sniffer ended unexpectedly ({_how(code)}); what was captured is kept.")
            self._running = False
            self._begun.set()
            process.stdout.close()

    def _hear(self, report: Report) -> None:
        if report.file:
            with self._lock:
                if len(self._files) < MAX_FILES:
                    self._files.append(report.file)
            self._begun.set()
        if report.packets >= 0:
            self._counts = report
        if report.trouble:
            self._add_trouble(report.trouble)
        if report.error:
            self._failure = report

    def _add_trouble(self, sentence: str) -> None:
        with self._lock:
            if sentence not in self._troubles:
                self._troubles.append(sentence)

    def _why(self) -> Exception:
        if self._failure is not None:
            return self._failure.failure()
        said = " ".join(self.troubles()) or "It said nothing."
        return CaptureError(f"The sniffer did not begin. {said}", "Try another --sniffer.")


def choose(sniffer: str, interface: str, bpf: str = "") -> tuple[str, str]:
    """Name and path of the sniffer to use. Raises AccessError where none may, UsageError where it is not there.

    `auto` takes the first that this user may use.
    """
    if sniffer == SCAPY:
        if not hasattr(socket, "AF_PACKET"):
            raise UsageError("Interfaces are opened directly only on Linux.", "Take --sniffer dumpcap or tcpdump.")
        if not may_open_raw():
            raise no_permission(interface)
        return SCAPY, ""
    if sniffer != AUTO:
        return sniffer, _installed(sniffer)
    by_libpcap = bool(_LIBPCAP_ONLY & set(bpf.replace("(", " ").replace(")", " ").split()))
    order = sorted(SNIFFERS, key=lambda one: by_libpcap and one == SCAPY)
    for name in order:
        if name == SCAPY:
            if hasattr(socket, "AF_PACKET") and may_open_raw():
                return SCAPY, ""
        elif (path := find_program(name)) and may_capture(path):
            return name, path
    raise no_permission(interface)


def check_interface(name: str) -> None:
    """Raises UsageError, with the nearest names, if there is no such interface."""
    if not name:
        raise UsageError("There is no interface to sniff on.", "Name one with -i; `ocppscope live -D` lists them.")
    there = [one for _, one in socket.if_nameindex()]
    if name in (*there, ANY):
        return
    close = get_close_matches(name, there, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"There are {', '.join(there)}, and any for all."
    raise UsageError(f"There is no interface {name!a}.", hint)


def may_open_raw() -> bool:
    """Whether this process may open raw sockets."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()  # of no protocol: it receives nothing
    except OSError:
        return False
    return True


def find_program(name: str) -> str:
    """Its path, also where the directories of administrators are not on the PATH; "" if it is not there for us."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/local/sbin"))
    return shutil.which(name, path=path) or ""


def may_capture(path: str) -> bool:
    """Whether a program has what it takes: our own root, the set-user-id bit, or capabilities of its file."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return True
    try:
        found = os.stat(path)
        if found.st_mode & stat.S_ISUID and found.st_uid == 0:
            return True
        return "security.capability" in os.listxattr(path)
    except (OSError, AttributeError):
        return False


def _installed(name: str) -> str:
    path = find_program(name)
    if not path:
        raise UsageError(f"{name} is not installed, or not for you to run.", "Take another --sniffer, or auto.")
    return path


def _started(request: LiveRequest) -> subprocess.Popen[bytes]:
    """-P: nothing is imported from the working directory, by a process that may have rights."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ocppscope.capture.live_child", as_argument(request)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _say_stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is None or process.stdin.closed:
        return
    try:
        process.stdin.write(STOP)
        process.stdin.close()
    except OSError:  # it is gone
        pass


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
