"""The sniffer's own process: packets of an interface into files, until it is told to stop or its parent is gone.

Started as `python -m ocppscope.capture.live_child REQUEST` (JSON). On stdin the parent says "stop", or is gone;
stdout takes reports, a line each. What a terminal sends is for the parent. Nothing is decoded here.
"""

from __future__ import annotations

import errno
import gc
import math
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Protocol

from ocppscope.capture import pcapngout
from ocppscope.capture.live import ANY, Tap
from ocppscope.capture.live_files import LiveFiles
from ocppscope.capture.live_programs import ProgramSource
from ocppscope.capture.live_records import Piece
from ocppscope.capture.live_request import SCAPY, STOP, Report, as_line, failed, from_argument
from ocppscope.errors import OcppscopeError
from ocppscope.signals import leave_to_parent

if TYPE_CHECKING:
    from ocppscope.capture.live_request import LiveRequest

COUNT_SECONDS = 1.0
"""How often the kernel is asked what it lost, and the parent told how it goes."""
RETIRED_SECONDS = 0.05
"""Until then the kernel has handed over whatever it held at the end."""
GATHER_SECONDS = 0.002
"""A pause after each taking, in which the next packets gather: many are written at once, none much later."""


class Source(Protocol):
    """Where packets come from."""

    received: int
    dropped: int

    @property
    def first(self) -> bytes: ...  # noqa: D102
    @property
    def header(self) -> bytes: ...  # noqa: D102
    def filenos(self) -> list[int]: ...  # noqa: D102
    def take(self) -> Piece | None: ...  # noqa: D102
    def count(self, now_ns: int) -> list[bytes]: ...  # noqa: D102
    def troubles(self) -> list[str]: ...  # noqa: D102
    def end(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class SocketSource:
    """A raw socket. Raises OcppscopeError if it cannot be opened."""

    def __init__(self, request: LiveRequest) -> None:
        self._tap = Tap(request.interface, bpf=request.bpf, snaplen=request.snaplen, promiscuous=request.promiscuous)
        self.received = self.dropped = 0
        self.first = self.header = pcapngout.section(_application()) + pcapngout.interface(
            self._tap.linktype, request.interface, snaplen=request.snaplen, bpf=request.bpf
        )
        self._name = request.interface
        self._troubles: list[str] = []
        self._told = (0, 0)
        self._is_over = False
        self._is_down = False
        self._ends_at = math.inf

    def filenos(self) -> list[int]:
        """See `Source`."""
        return [self._tap.fileno()]

    def take(self) -> Piece | None:
        """What has come; None at the end."""
        if self._is_over:
            return None
        try:
            packets = self._tap.drain()
        except OSError as error:
            return self._interrupted(error)
        if not packets and time.monotonic() > self._ends_at:
            return None
        self.received += len(packets)
        if packets and self._is_down:
            self._is_down = False
            self._troubles.append(f"Interface {self._name} is up again.")
        block = pcapngout.packet
        return Piece([block(0, one.time_ns, one.data, length=one.length) for one in packets], len(packets))

    def count(self, now_ns: int) -> list[bytes]:
        """An Interface Statistics Block where the counts have changed."""
        with suppress(OSError):
            self._tap.count()
        self.dropped = self._tap.dropped
        if not self._is_over and self._name != ANY and not _exists(self._name):
            self._vanished()
        if (self.received, self.dropped) == self._told:
            return []
        self._told = self.received, self.dropped
        return [pcapngout.statistics(0, now_ns, self.received + self.dropped, self.dropped)]

    def troubles(self) -> list[str]:
        """Sentences that have not been told."""
        told, self._troubles = self._troubles, []
        return told

    def end(self) -> None:
        """Nothing more comes; what has come is still taken."""
        with suppress(OSError):
            self._tap.refuse()
        self._ends_at = time.monotonic() + RETIRED_SECONDS

    def close(self) -> None:
        """See `Source`."""
        self._tap.close()

    def _interrupted(self, error: OSError) -> Piece | None:
        if error.errno == errno.ENETDOWN and _exists(self._name):
            if not self._is_down:
                self._troubles.append(f"Interface {self._name} went down; what was captured is kept, and it goes on.")
            self._is_down = True
            return Piece([], 0)
        if _exists(self._name):
            self._troubles.append(f"Interface {self._name} cannot be read further: {error.strerror}.")
            self._is_over = True
        else:
            self._vanished()
        return None

    def _vanished(self) -> None:
        self._troubles.append(f"Interface {self._name} is gone; what was captured is kept.")
        self._is_over = True


class Child:
    """The loop: takes what has come, writes it, reports, listens to the parent."""

    def __init__(self, request: LiveRequest) -> None:
        self._request = request
        self._source: Source = SocketSource(request) if request.sniffer == SCAPY else ProgramSource(request)
        self._stopped = self._orphaned = False
        self._packets = 0
        self._told = Report()
        self._next_count = time.monotonic() + COUNT_SECONDS
        self._files = LiveFiles(
            request, self._source.first, opened=lambda path: tell(Report(file=path)), trouble=_tell_trouble
        )

    def run(self) -> None:
        """Until it is over."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        gc.freeze()
        gc.disable()  # nothing here makes cycles
        try:
            self._loop()
        finally:
            self._finish()

    def _loop(self) -> None:
        watched = select.poll()
        for file in (0, *self._source.filenos()):
            watched.register(file, select.POLLIN)
        while not self._stopped:
            ready = watched.poll(max(0, round((self._next_count - time.monotonic()) * 1000)))
            if any(file == 0 for file, _ in ready) and self._listen():
                watched.unregister(0)
            if not self._take():
                return
            if time.monotonic() >= self._next_count:
                self._count()
            if ready:
                time.sleep(GATHER_SECONDS)

    def _take(self) -> bool:
        """Whether there may be more."""
        piece = self._source.take()
        if piece is None:
            return False
        if piece.records:
            self._files.write(piece.records, piece.packets)
            self._files.header = self._source.header
            self._packets += piece.packets
        return True

    def _count(self) -> None:
        self._next_count = time.monotonic() + COUNT_SECONDS
        if blocks := self._source.count(time.time_ns()):
            self._files.write(blocks, 0)
        for sentence in self._source.troubles():
            _tell_trouble(sentence)
        told = Report(packets=self._packets, dropped=self._source.dropped, unwritten=self._files.unwritten)
        if told != self._told:
            self._told = told
            tell(told)

    def _finish(self) -> None:
        self._take()  # what came before the end was told
        self._source.end()
        deadline = time.monotonic() + 2 * COUNT_SECONDS
        while self._take() and time.monotonic() < deadline:
            select.select(self._source.filenos(), [], [], RETIRED_SECONDS / 2)
        self._count()
        self._source.close()
        self._count()
        self._files.close()
        if self._orphaned and self._request.temporary:
            self._files.remove()
            with suppress(OSError):
                os.rmdir(os.path.dirname(self._request.out))

    def _listen(self) -> bool:
        """Reads what the parent says; whether that was the last of it."""
        said = os.read(0, 4096)
        self._orphaned = not said
        if not said or STOP in said:
            self._stop()
        return not said

    def _stop(self) -> None:
        self._stopped = True


def tell(report: Report) -> None:
    """A line to the parent, if it is still there."""
    with suppress(OSError):
        os.write(1, as_line(report))


def _tell_trouble(sentence: str) -> None:
    tell(Report(trouble=sentence))


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return name == ANY
    return True


def _application() -> str:
    try:
        return f"ocppscope {version('ocppscope')}"
    except PackageNotFoundError:
        return "ocppscope"


def main() -> None:
    """Runs the process."""
    leave_to_parent()
    try:
        child = Child(from_argument(sys.argv[1]))
    except OcppscopeError as error:
        tell(failed(error))
        sys.exit(error.exit_code)
    child.run()


if __name__ == "__main__":
    main()
