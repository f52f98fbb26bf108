"""The files of a recording: one, or one after another, of which the latest are kept; and a disk that may be full.

Whole records go in; nothing is known of packets here. What cannot be written is counted and said once, and the file
stays whole: of a record that was written half, the rest comes first when there is room again.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ocppscope.errors import AccessError, CaptureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocppscope.capture.live_request import LiveRequest

RETRY_SECONDS = 1.0
"""How long until another file is tried again."""


class LiveFiles:
    """Where the records go. `header` is what every file begins with; it may grow.

    `opened` is told the name of each file once it has its header, `trouble` a sentence. The constructor raises
    CaptureError, AccessError or UsageError if the first file cannot be made.
    """

    def __init__(
        self,
        request: LiveRequest,
        header: bytes,
        *,
        opened: Callable[[str], None],
        trouble: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` names files, `steady` says how long something lasts, also when the clock is set."""
        self.header = header
        self.unwritten = 0
        """Packets that could not be written."""
        self._request = request
        self._tell, self._trouble, self._clock = opened, trouble, clock
        self._steady = steady
        self._number = 0
        self._kept: deque[str] = deque()
        self._rest = b""
        self._failing = 0  # packets, since it fails
        self._why = ""
        self._is_new = True
        self._size = self._begun = self._not_before = 0.0
        refuse_special(request.out)
        try:
            self._file = self._open()
        except OSError as error:
            raise creation_error(request.out, error) from None

    def write(self, records: Sequence[bytes], packets: int) -> None:
        """Writes whole records, `packets` of them packets. Never raises for the disk's sake."""
        if self._is_full():
            self._rotate()
        if self._rest and not self._write_rest():
            self._lose(packets)
            return
        self._write_all(records, packets)

    def close(self) -> None:
        """Ends the last file, where a record stays whole or away."""
        if self._rest and not self._write_rest():
            self._trouble(f"The last record of {self._kept[-1]} is cut off: {self._why}.")
        os.close(self._file)

    def remove(self) -> None:
        """Takes the files away."""
        for path in self._kept:
            Path(path).unlink(missing_ok=True)

    # --- writing ----------------------------------------------------------------------------------------------------

    def _write_all(self, records: Sequence[bytes], packets: int) -> None:
        written = self._put(b"".join(records))
        if not self._why:
            self._recovered()
            return
        whole = 0
        for index, record in enumerate(records):
            whole += len(record)
            if whole > written:
                begun = whole - written < len(record)  # its rest must follow, or nothing after it can be read
                self._rest = record[len(record) - (whole - written) :] if begun else b""
                self._lose(max(0, min(packets, len(records) - index - begun)))
                return

    def _put(self, data: bytes) -> int:
        """Writes what it can, sets `_why` if that is not all, and says how much."""
        view, done = memoryview(data), 0
        self._why = ""
        while done < len(view):
            try:
                done += os.write(self._file, view[done:])
            except OSError as error:
                self._why = error.strerror or str(error)
                break
        self._size += done
        self._is_new = self._is_new and not done
        return done

    def _write_rest(self) -> bool:
        self._rest = self._rest[self._put(self._rest) :]
        return not self._rest

    def _lose(self, packets: int) -> None:
        if not self._failing:
            self._trouble(f"{self._kept[-1]} cannot be written: {self._why}. Packets are counted, and not recorded.")
        self._failing += packets or 1
        self.unwritten += packets

    def _recovered(self) -> None:
        if self._failing:
            self._trouble(f"{self._kept[-1]} can be written again; {self._failing} packets are missing in it.")
            self._failing = 0

    # --- rotation ---------------------------------------------------------------------------------------------------

    def _is_full(self) -> bool:
        now, wanted = self._steady(), self._request
        if now < self._not_before:
            return False
        too_large = wanted.rotate_bytes and not self._is_new and self._size >= wanted.rotate_bytes
        return bool(too_large or (wanted.rotate_seconds and now - self._begun >= wanted.rotate_seconds))

    def _rotate(self) -> None:
        if self._rest and not self._write_rest():
            return
        before = self._file
        try:
            self._file = self._open()
        except OSError as error:
            self._not_before = self._steady() + RETRY_SECONDS
            self._trouble(f"No further file can be made ({error.strerror or error}); {self._kept[-1]} goes on.")
            return
        os.close(before)
        while self._request.keep and len(self._kept) > self._request.keep:
            Path(self._kept.popleft()).unlink(missing_ok=True)

    def _open(self) -> int:
        """Makes the next file, with its header. Raises OSError, and then there is no such file."""
        path = self._request.out
        if self._request.rotates:
            path = file_name(path, self._number + 1, self._clock())
        # a file or link of that name goes: it might lead elsewhere, or be open to others
        with suppress(FileNotFoundError):
            os.unlink(path)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.write(file, self.header) < len(self.header):
                raise OSError(28, "No space left on device")
        except OSError:
            os.close(file)
            os.unlink(path)
            raise
        self._number += 1
        self._size, self._begun, self._is_new = len(self.header), self._steady(), True
        self._kept.append(path)
        self._tell(path)
        return file


def file_name(out: str, number: int, now: float) -> str:
    """`OUT_00001_20261122103000.pcapng`, the time in UTC: how files that follow one another are called."""
    path = Path(out)
    return str(
        path.with_name(f"{path.stem}_{number:05}_{time.strftime('%Y%m%d%H%M%S', time.gmtime(now))}{path.suffix}")
    )


def refuse_special(out: str) -> None:
    """Raises UsageError for what is there and no file: what is written is also read."""
    try:
        mode = os.stat(out).st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        raise UsageError(f"{out} is no file.", "-w wants the name of a file, which may be new.")


def creation_error(out: str, error: OSError) -> AccessError | CaptureError:
    """Why a file cannot be made."""
    if isinstance(error, PermissionError):
        return AccessError(f"{out} may not be written.", "Name a file in a directory of yours.")
    if isinstance(error, FileNotFoundError):
        return CaptureError(f"{out} cannot be made: its directory does not exist.", "Make it, or name another.")
    return CaptureError(f"{out} cannot be written: {error.strerror or error}.", "Make room, or name another place.")
