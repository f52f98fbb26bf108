"""What a sniffer's process is told, and what it tells: a line of JSON each. No I/O here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ocppscope.capture.live import MAX_PACKET_BYTES
from ocppscope.errors import AccessError, CaptureError, OcppscopeError, UsageError

TEMPORARY_ROTATE_BYTES = 64 << 20
TEMPORARY_FILES = 4
"""Of a recording that nobody asked for: how large its files get, and how many are kept."""
SCAPY, DUMPCAP, TCPDUMP = "scapy", "dumpcap", "tcpdump"
STOP = b"stop\n"
"""What is told to end it; without it, the end of the line means that whoever asked is dead."""

_KINDS: dict[str, type[OcppscopeError]] = {
    one.__name__: one for one in (AccessError, CaptureError, UsageError, OcppscopeError)
}


class LiveRequest(NamedTuple):
    """What to sniff, with which program, and where to write it. Sizes in bytes, times in seconds; 0 is without."""

    interface: str
    out: str
    bpf: str = ""
    sniffer: str = SCAPY
    program: str = ""  # the path of another sniffer
    snaplen: int = MAX_PACKET_BYTES
    promiscuous: bool = True
    rotate_bytes: int = 0
    rotate_seconds: float = 0.0
    keep: int = 0  # files; the oldest beyond them are removed
    temporary: bool = False  # removed when whoever asked dies without a word

    @property
    def rotates(self) -> bool:
        """Whether there may be several files."""
        return bool(self.rotate_bytes or self.rotate_seconds)


class Report(NamedTuple):
    """What a sniffer's process tells: any of these."""

    file: str = ""  # the recording goes on here
    packets: int = -1  # counted so far, with ...
    dropped: int = 0  # ... those that were lost before we saw them, and
    unwritten: int = 0  # those that could not be written
    trouble: str = ""
    error: str = ""  # it could not begin: the kind of exception, and its two sentences
    what: str = ""
    hint: str = ""

    def failure(self) -> OcppscopeError:
        """The exception that `error` stands for."""
        return _KINDS.get(self.error, CaptureError)(self.what, self.hint)


def failed(error: OcppscopeError) -> Report:
    """As a report."""
    return Report(error=type(error).__name__, what=error.what, hint=error.hint)


def as_line(report: Report) -> bytes:
    """A line of JSON with what it says."""
    empty = Report()
    told = {name: value for name, value in report._asdict().items() if value != getattr(empty, name)}
    return json.dumps(told).encode() + b"\n"


def read_line(line: bytes) -> Report:
    """The report of a line; what is none (Python's own complaints) is a trouble."""
    try:
        return Report(**json.loads(line))
    except (ValueError, TypeError):
        text = line.decode("utf-8", "replace").strip()
        return Report(trouble=f"The sniffer says: {text[:200]!a}") if text else Report()


def as_argument(request: LiveRequest) -> str:
    """For the command line of the process."""
    return json.dumps(request._asdict())


def from_argument(text: str) -> LiveRequest:
    """What `as_argument` made. Raises ValueError or TypeError for anything else."""
    told: dict[str, Any] = json.loads(text)
    return LiveRequest(**told)
