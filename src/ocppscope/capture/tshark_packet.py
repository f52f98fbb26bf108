"""What Wireshark says of one packet: the text of `tshark -V`, when somebody asks.

tshark has to read all packets before that one, since what a packet means depends on them. Lines are given as they
come, but for passwords: they quote the packet, and whoever shows them has to make them harmless.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from ocppscope.capture.tshark_program import Reading, read_key_log
from ocppscope.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_SECONDS = 600.0
"""How long somebody is kept waiting."""
MAX_TEXT_BYTES = 4 << 20
"""Bytes of what is said of one packet; the rest is left out."""
MAX_KEPT = 8
"""Packets that are not asked about again."""
LARGE_BYTES = 1 << 30
"""Captures from which on it takes so long that the user should be told before."""
BYTES_PER_SECOND = 8 << 20
"""What tshark reads in a second, roughly: for a rough word on how long it may take."""

CUT = "… (more than is shown here; tshark -V shows all)"

_PASSWORD = re.compile(r"^(\s*(?:(?:Proxy-)?Authorization: *[\w-]+|Credentials:) ).+", re.IGNORECASE)


class PacketTrees:
    """Answers for the packets of captures; numbers are those of our reader. From any thread."""

    def __init__(self, paths: Sequence[str], key_logs: Sequence[str] = ()) -> None:
        self._paths = list(paths)
        self._key_logs = list(key_logs)
        self._kept: OrderedDict[int, tuple[str, ...]] = OrderedDict()
        self._lock = Lock()

    def expectation(self) -> str:
        """A sentence on how long it may take, where that is long; else ""."""
        size = sum(os.path.getsize(path) for path in self._paths if os.path.isfile(path))
        if size < LARGE_BYTES:
            return ""
        minutes = max(round(size / BYTES_PER_SECOND / 60), 1)
        how_long = f"up to {minutes} minutes" if minutes > 1 else "a minute"
        return f"tshark has to read what comes before: of {size / (1 << 30):.1f} GiB, that may take {how_long}."

    def kept(self, number: int) -> tuple[str, ...] | None:
        """The lines about a packet that was asked about lately."""
        with self._lock:
            return self._kept.get(number)

    def tree(self, number: int, cancelled: Callable[[], bool] = lambda: False) -> tuple[str, ...]:
        """The lines about packet `number`, indented by four spaces a level; () if it was cancelled.

        Raises OcppscopeError.
        """
        if (known := self.kept(number)) is not None:
            return known
        lines = self._asked(number, cancelled)
        if not lines:
            if cancelled():
                return ()
            raise CaptureError(f"tshark finds no packet {number:,} there.", "The capture may have changed.")
        with self._lock:
            self._kept[number] = lines
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return lines

    def _asked(self, number: int, cancelled: Callable[[], bool]) -> tuple[str, ...]:
        arguments = ["-V", "-Y", f"frame.number == {number:d}", "-o", "tcp.reassemble_out_of_order:TRUE"]
        logs = [read_key_log(path) for path in self._key_logs]
        text, deadline = bytearray(), time.monotonic() + MAX_SECONDS
        with Reading(arguments, self._paths, logs, last_packet=number, own_settings=True) as reading:
            for piece in reading.output(cancelled, deadline):
                text += piece
                if len(text) > MAX_TEXT_BYTES:
                    return (*_lines(text[:MAX_TEXT_BYTES]), CUT)
        return () if cancelled() else _lines(text)


def _lines(text: bytes | bytearray) -> tuple[str, ...]:
    """Without the empty ones, and without passwords; a line feed alone ends a line."""
    lines = text.decode("utf-8", "backslashreplace").split("\n")
    return tuple(_PASSWORD.sub(r"\1(not shown)", line) for line in lines if line.strip())
