"""The file that the proxy writes: whole pcapng blocks, there for every reader as soon as `write` returns.

A block is in the kernel's hands before the bytes that it tells of are passed on, so that a killed proxy leaves all
that either side had received. What goes wrong with the disk is kept as a sentence and disturbs nothing else.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_NS = 2_000_000_000
"""After a failure, how long until writing is tried again."""
SLOW_NS = 100_000_000
"""A write that took longer held the traffic up, which is said."""
MAX_ROTATED = 99_999
"""Files of one recording: as many as their names have numbers for."""


class Rotation(NamedTuple):
    """When to go on in another file; 0 for never. Of `keep` files the oldest makes room for a new one."""

    max_bytes: int = 0
    max_ns: int = 0
    keep: int = 0

    @property
    def is_wanted(self) -> bool:
        """Whether there will be more than one file."""
        return bool(self.max_bytes or self.max_ns)


class Spool:
    """Writes blocks to a file, or to several after one another. Never raises once it is open."""

    def __init__(
        self,
        path: str,
        header: bytes,
        *,
        rotation: Rotation | None = None,
        rotated: Callable[[str], None] = lambda path: None,
        clock: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`header` begins every file. `clock` names files, `steady` says how long something lasts.

        Raises UsageError where the first cannot be made.
        """
        self.trouble = ""
        self.lost_bytes = 0  # of blocks that could not be written
        self.slow_writes = 0
        self.total_bytes = 0
        self._path, self._header, self._clock, self._steady = path, header, clock, steady
        self._rotation, self._rotated = rotation or Rotation(), rotated
        self._kept: list[str] = []
        self._number = 0
        self._file = -1
        self._size = 0
        self._since = self._retry = 0
        self._is_failing = self._is_removed = False
        try:
            self._begin(steady())
        except OSError as error:
            raise UsageError(*_why_not(path, error)) from error

    @property
    def path(self) -> str:
        """The file that is written now."""
        return self._kept[-1]

    @property
    def is_failing(self) -> bool:
        """Whether what comes is not recorded, as far as known."""
        return self._is_failing or self._is_removed

    def look(self) -> None:
        """Notices that somebody has removed the file: writing still works, but nobody will ever read it."""
        self._is_removed = self._file >= 0 and not os.fstat(self._file).st_nlink
        if self._is_removed:
            self.trouble = f"The recording {self.path} was removed: what passes is not kept; traffic goes on."

    def write(self, blocks: bytes) -> bool:
        """Whole blocks, or none; whether they are in the file."""
        if not blocks:
            return True
        now = self._steady()
        if self._is_failing and now < self._retry:
            self.lost_bytes += len(blocks)
            return False
        try:
            if self._is_due(now, len(blocks)):
                self._turn(now)
            self._append(blocks)
        except OSError as error:
            self._fail(error, len(blocks), now)
            return False
        self._is_failing = False
        if self._steady() - now > SLOW_NS:
            self.slow_writes += 1
        return True

    def write_all(self, blocks: list[bytes]) -> bool:
        """As `write`; in one go, unless a border between two files may lie among them."""
        if self._rotation.is_wanted:
            return sum(self.write(one) for one in blocks) == len(blocks)
        return self.write(blocks[0] if len(blocks) == 1 else b"".join(blocks))

    def close(self) -> None:
        """Closes the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def discard(self) -> None:
        """Closes and removes the file: nothing has come of it."""
        self.close()
        with suppress(OSError):
            os.unlink(self.path)

    def _is_due(self, now: int, more: int) -> bool:
        rotation = self._rotation
        if rotation.max_bytes and self._size > len(self._header) and self._size + more > rotation.max_bytes:
            return True
        return bool(rotation.max_ns) and now - self._since >= rotation.max_ns

    def _turn(self, now: int) -> None:
        before = self._file
        self._begin(now)
        os.close(before)
        self._rotated(self.path)
        while self._rotation.keep and len(self._kept) > self._rotation.keep:
            with suppress(OSError):  # whoever has removed it did our work
                os.unlink(self._kept.pop(0))

    def _begin(self, now: int) -> None:
        """The next file, with its header; of the one before nothing is changed until it is there."""
        path = self._name(self._clock())
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.write(number, self._header) < len(self._header):
                raise OSError(28, "No space left on device")
        except OSError:
            os.close(number)
            os.unlink(path)
            raise
        self._file, self._size, self._since = number, len(self._header), now
        self._number = self._number % MAX_ROTATED + 1
        self._kept.append(path)

    def _name(self, now: int) -> str:
        """As dumpcap and tcpdump name the files of a ring: `field_00001_20261122103000.pcapng`."""
        if not self._rotation.is_wanted:
            return self._path
        stem, suffix = os.path.splitext(self._path)
        moment = datetime.fromtimestamp(now / 1e9, UTC).strftime("%Y%m%d%H%M%S")
        return f"{stem}_{self._number % MAX_ROTATED + 1:05}_{moment}{suffix or '.pcapng'}"

    def _append(self, blocks: bytes) -> None:
        """All of it or nothing: half a block would make the rest unreadable."""
        written = os.write(self._file, blocks)
        if written < len(blocks):
            rest = memoryview(blocks)[written:]
            try:
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
        self._size += len(blocks)
        self.total_bytes += len(blocks)

    def _fail(self, error: OSError, size: int, now: int) -> None:
        self._is_failing = True
        self._retry = now + RETRY_NS
        self.lost_bytes += size
        self.trouble = f"The recording {self.path} cannot be written ({error.strerror or error}); traffic goes on."


def _why_not(path: str, error: OSError) -> tuple[str, str]:
    if isinstance(error, FileExistsError):
        return f"{path} is there already, and a recording is not overwritten.", "Name another file."
    if isinstance(error, FileNotFoundError):
        return f"There is no directory for {path}.", "Make it, or name another file."
    return f"{path} cannot be written: {error.strerror or error}.", "Name another file with -w."
