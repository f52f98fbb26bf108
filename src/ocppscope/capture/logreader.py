"""Logs of messages as blocks of entries: what `CaptureReader` is for packets.

Which dialect a log is in is told by its first lines (`dialects`). Several logs are read as one, in order of time.
What is wrong with a log becomes a notice; only a text in which nothing reads as a message is an error.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ocppscope.capture.bytesource import Growth, Input, is_regular, open_path, open_stdin
from ocppscope.capture.dialects import detect
from ocppscope.capture.dialects.clock import Zone
from ocppscope.capture.dialects.context import Context, Sessions
from ocppscope.capture.dialects.custom import choice_in
from ocppscope.capture.entries import Entry, LogBlock, block_of
from ocppscope.capture.loglines import Lines
from ocppscope.capture.logoptions import LogOptions
from ocppscope.capture.logwords import said_of
from ocppscope.capture.sniff import SNIFFED_BYTES, no_log
from ocppscope.closing import Closing
from ocppscope.errors import CaptureError

if TYPE_CHECKING:
    from ocppscope.capture.dialects.context import LineReader
    from ocppscope.capture.dialects.detect import Choice
    from ocppscope.capture.logoptions import SenderOf

STDIN = "-"
CHUNK = 1 << 18
"""Bytes read at once."""
BLOCK = 4096
"""Entries of a block, at most."""
MAX_SNIFFED = 1 << 22
"""Characters in which a first message must come."""
MAX_AT_ONCE = 64
"""Logs that may be open at a time; more that begin before these end are read after them, which is said."""


class LogReader(Closing):
    """Reads one or more logs as one. A context manager, with the face of `CaptureReader`."""

    is_log = True

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        options: LogOptions | None = None,
        growth: Growth | None = None,
        stdin: BinaryIO | None = None,
        opened: Input | None = None,
        stopped: threading.Event | None = None,
    ) -> None:
        """`opened`: the one input, if it is open already. Raises UsageError for a dialect or zone that is none."""
        options = options or LogOptions()
        self.secrets: list[bytes] = []  # of a log, none
        self.names: dict[str, str] = {}
        self._stopped = stopped or threading.Event()
        zone = Zone(options.zone)
        choice = _chosen(options.dialect)
        sessions = Sessions()
        several = len(paths) > 1
        self._logs = [
            _Log(path, self._stopped, choice, zone, options.sender_of, Sessions() if several else sessions)
            for path in paths
        ]
        for number, log in enumerate(self._logs):
            log.base = number * (1 << 32)
            log.stdin = stdin
        self._growth = growth
        self._late = 0  # logs that could not be read in order of time
        if opened is not None:
            self._logs[0].take(opened)

    @property
    def notices(self) -> list[str]:
        """Sentences for the user."""
        said = [sentence for log in self._logs for sentence in log.notices()]
        if self._late:
            are = "1 is" if self._late == 1 else f"{self._late:,} are"
            said.append(
                f"More than {MAX_AT_ONCE} logs go on at the same time; {are} read after others, "
                "and what they hold is not in order of time."
            )
        return said

    @property
    def progress(self) -> tuple[int, int | None]:
        """Bytes read and bytes there are, of all logs as they are on disk; None where one is a pipe."""
        read = sum(log.position for log in self._logs)
        sizes = [log.size for log in self._logs if log.size is not None]
        return read, max(sum(sizes), read) if len(sizes) == len(self._logs) else None

    def check(self) -> None:
        """Looks at every log that can be looked at without waiting. Raises CaptureError and AccessError."""
        for log in self._logs:
            if log.find() and self._growth is None:
                log.probe()
                if len(self._logs) > 1:
                    log.end()

    def blocks(self) -> Iterator[LogBlock]:
        """All entries in order of time, once. Raises CaptureError where nothing reads as a message."""
        if len(self._logs) == 1:
            for found in self._logs[0].read(self._growth):
                for start in range(0, len(found), BLOCK):
                    yield block_of(found[start : start + BLOCK])
            return
        yield from self._merged()

    def _merged(self) -> Iterator[LogBlock]:
        for log in self._logs:
            if log.first_ns is None:
                log.probe()
        waiting = sorted(self._logs, key=lambda log: (log.first_ns or 0, log.base))
        heap: list[tuple[int, int, Entry, Iterator[Entry]]] = []
        entries: list[Entry] = []
        growing = waiting[-1]
        now = 0  # the latest time that was given out
        while heap or waiting:
            while waiting and len(heap) < MAX_AT_ONCE and (not heap or (waiting[0].first_ns or 0) <= heap[0][0]):
                log = waiting.pop(0)
                self._late += (log.first_ns or 0) < now
                source = log.entries(self._growth if log is growing else None)
                _push(heap, log.base, source)
            if not heap:
                continue
            time_ns, base, entry, source = heapq.heappop(heap)
            entries.append(entry)
            now = max(now, entry.time_ns)
            _push(heap, base, source, time_ns)
            if len(entries) >= BLOCK or (self._growth is not None and not waiting):
                yield block_of(entries)
                entries = []
        if entries:
            yield block_of(entries)

    def stop(self) -> None:
        """End `blocks` soon, wherever it waits. May be called from another thread."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and close every file that was opened here."""
        self.stop()
        for log in self._logs:
            log.end()


def _push(
    heap: list[tuple[int, int, Entry, Iterator[Entry]]], base: int, source: Iterator[Entry], not_before: int = 0
) -> None:
    """The next entry of a log. Its own order is kept, even where its times step back."""
    entry = next(source, None)
    if entry is not None:
        heapq.heappush(heap, (max(entry.time_ns, not_before), base, entry, source))


def _chosen(dialect: str) -> Choice | None:
    if not dialect:
        return None
    return choice_in(dialect) if dialect.lower().endswith(".toml") else detect.named(dialect)


class _Log:
    """One log, from before it is opened until after it is closed."""

    def __init__(
        self,
        path: str | Path,
        stopped: threading.Event,
        choice: Choice | None,
        zone: Zone,
        sender_of: SenderOf,
        sessions: Sessions,
    ) -> None:
        self.name = "standard input" if str(path) == STDIN else str(path)
        self.base = 0  # added to its numbers of connections
        self.stdin: BinaryIO | None = None
        self.first_ns: int | None = None
        self.size: int | None = None
        self._path = None if str(path) == STDIN else Path(path)
        self._stopped = stopped
        self._given = choice
        self._zone, self._sender_of, self._sessions = zone, sender_of, sessions
        self._input: Input | None = None
        self._running: Generator[list[Entry]] | None = None  # of a pipe: what was begun, and what came
        self._early: list[Entry] = []
        self._done_bytes = 0
        self._trouble = ""
        self._reset()

    def _reset(self) -> None:
        self._lines = Lines()
        self._choice: Choice | None = None
        self._context: Context | None = None
        self._reader: LineReader | None = None
        self._first: list[str] = []
        self._sniffed = 0
        self._number = 0

    @property
    def position(self) -> int:
        """Bytes read of it."""
        return self._input.position if self._input else self._done_bytes

    def find(self) -> bool:
        """Whether it is a file. Raises CaptureError and AccessError if there is none."""
        if self._path is None:
            return False
        regular = is_regular(self._path)
        self.size = self._path.stat().st_size if regular else None
        return regular

    def take(self, opened: Input) -> None:
        """It is open already."""
        self._input = opened

    def probe(self) -> None:
        """Learns its dialect and the time of its first entry. Raises CaptureError."""
        if self.find():
            with closing(self.read(None)) as pieces:
                first = next(pieces, [])
            self._done_bytes = 0
            self._reset()
        else:
            self._running = self.read(None)
            first = self._early = next(self._running, [])
        self.first_ns = first[0].time_ns if first else 0

    def entries(self, growth: Growth | None) -> Iterator[Entry]:
        """All entries."""
        yield from self._early
        for found in self._running or self.read(growth):
            yield from found

    def read(self, growth: Growth | None) -> Generator[list[Entry]]:
        """All entries, some at a time, as they come."""
        opened = self._opened(growth)
        buffer = memoryview(bytearray(CHUNK))
        try:
            while got := opened.source.readinto(buffer):
                found = self._take(self._lines.feed(bytes(buffer[:got])))
                if found:
                    yield found
            self._trouble = opened.source.trouble
            found = self._take(self._lines.finish())
            if self._reader is None:
                self._refuse()
            assert self._reader is not None
            found += self._based(list(self._reader.finish()))
            if found:
                yield found
        finally:
            self.end()

    def _opened(self, growth: Growth | None) -> Input:
        if self._input is None:
            if self._path is not None:
                self._input = open_path(self._path, self._stopped, growth=growth)
            else:
                assert self.stdin is not None
                self._input = open_stdin(self.stdin, self._stopped)
        return self._input

    def end(self) -> None:
        """Closes it."""
        if self._input is not None:
            self._done_bytes = self._input.position
            self._input.close()
        self._input = None

    # --- lines --------------------------------------------------------------------------------------------------

    def _take(self, lines: list[str]) -> list[Entry]:
        if self._reader is None:
            self._first += lines
            self._sniffed += sum(map(len, lines))
            if not self._begin(lines):
                return []
            lines, self._first = self._first, []
        reader, number = self._reader, self._number
        found: list[Entry] = []
        assert reader is not None
        for line in lines:
            number += 1
            found += reader.line(number, line)
        self._number = number
        return self._based(found)

    def _based(self, entries: list[Entry]) -> list[Entry]:
        if not self.base:
            return entries
        base = self.base
        return [one if one.number is None else one._replace(number=one.number + base) for one in entries]

    def _begin(self, lines: list[str]) -> bool:
        """Whether the dialect is known by the latest lines; those before told nothing. Raises CaptureError."""
        choice = self._given or detect.told(lines, self._first)
        if choice is None:
            if self._sniffed > MAX_SNIFFED:
                self._refuse()
            return False
        self._choice = choice
        self._context = Context(self._first, zone=self._zone, sender_of=self._sender_of, sessions=self._sessions)
        self._reader = choice.make(self._context)
        self._context.first = []
        return True

    def _refuse(self) -> None:
        """Raises CaptureError."""
        head = "\n".join(self._first[:64])[:SNIFFED_BYTES].encode("utf-8", "surrogateescape")
        raise CaptureError(*no_log(self.name, head))

    def notices(self) -> list[str]:
        """What there is to say of it."""
        if self._choice is None or self._context is None:
            return []
        self._context.tally.lines = self._number
        self._context.tally.overlong = self._lines.overlong
        said = said_of(self.name, self._choice, self._context, is_told=self._given is None)
        if self._trouble:
            said.append(f"{self.name} {self._trouble}; what came before that is read.")
        return said
