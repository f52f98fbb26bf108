"""Inputs of either kind, opened: captures of packets, or logs of messages. What they begin with tells.

A pipe tells when it is read, so that opening never waits. Nothing here looks further than the first bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ocppscope.capture.bytesource import Growth, Input, is_regular, open_path, open_stdin
from ocppscope.capture.capturefile import CHUNK_BYTES
from ocppscope.capture.logoptions import LogOptions
from ocppscope.capture.pcapfile import STDIN, CaptureReader, open_captures
from ocppscope.capture.sniff import MAGIC_BYTES, SNIFFED_BYTES, may_be_log
from ocppscope.closing import Closing
from ocppscope.errors import CaptureError, UsageError

if TYPE_CHECKING:
    from ocppscope.capture.entries import LogBlock
    from ocppscope.capture.logreader import LogReader
    from ocppscope.model import PacketBlock

    Block = PacketBlock | LogBlock


def open_inputs(
    paths: Sequence[str | Path],
    *,
    follow: bool | Growth = False,
    stdin: BinaryIO | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    keep_secrets: Callable[[bytes], object] | None = None,
    logs: LogOptions | None = None,
) -> CaptureReader | LogReader | LateReader:
    """Opens captures or logs to be read as one; "-" is `stdin`. See `open_captures`.

    Raises UsageError where both kinds are named, CaptureError where one is neither, AccessError.
    """
    logs = logs or LogOptions()
    kinds = {is_log(path, logs) for path in paths}
    growth = follow if isinstance(follow, Growth) else Growth() if follow else None
    if {True, False} <= kinds:
        raise UsageError(
            "Captures of packets and logs of messages cannot be read as one.",
            "`ocppscope compare` holds one against the other; or name inputs of one kind.",
        )
    if True in kinds:
        if [str(path) for path in paths].count(STDIN) and stdin is None:
            raise UsageError("There is no standard input to read.")
        reader = _log_reader()(paths, options=logs, growth=growth, stdin=stdin)
        try:
            reader.check()
        except BaseException:
            reader.close()
            raise
        return reader
    if False in kinds or len(paths) != 1 or (stdin is None and str(paths[0]) == STDIN):
        return open_captures(
            paths, follow=growth or False, stdin=stdin, chunk_bytes=chunk_bytes, keep_secrets=keep_secrets
        )
    return LateReader(
        paths[0], growth=growth, stdin=stdin, chunk_bytes=chunk_bytes, keep_secrets=keep_secrets, logs=logs
    )


def is_log(path: str | Path, logs: LogOptions | None = None) -> bool | None:
    """Whether an input is a log of messages; None where that shows only when it is read: a pipe, an empty file.

    Raises CaptureError and AccessError where there is none.
    """
    if logs is not None and logs.dialect:
        return True
    if str(path) == STDIN or not is_regular(Path(path)):
        return None
    opened = open_path(Path(path), threading.Event())
    try:
        head = opened.source.peek(SNIFFED_BYTES)
    except CaptureError:
        return False  # whoever reads it says what is wrong
    finally:
        opened.close()
    return may_be_log(head[:SNIFFED_BYTES]) if head else None


def _log_reader() -> type[LogReader]:
    from ocppscope.capture.logreader import LogReader  # noqa: PLC0415 - 40 ms that captures need not wait for

    return LogReader


class LateReader(Closing):
    """Reads one input of which the kind shows when it is read. A context manager, with the face of both readers."""

    def __init__(
        self,
        path: str | Path,
        *,
        growth: Growth | None,
        stdin: BinaryIO | None,
        chunk_bytes: int,
        keep_secrets: Callable[[bytes], object] | None,
        logs: LogOptions,
    ) -> None:
        self._path = path
        self._growth = growth
        self._stdin = stdin
        self._chunk = chunk_bytes
        self._keep_secrets = keep_secrets
        self._logs = logs
        self._stopped = threading.Event()
        self._input: Input | None = None
        self._reader: CaptureReader | LogReader | None = None
        self.is_log = False  # until it turns out to be one

    @property
    def notices(self) -> list[str]:
        """Sentences for the user."""
        return self._reader.notices if self._reader is not None else []

    @property
    def secrets(self) -> list[bytes]:
        """TLS key logs (NSS format), as they came."""
        return self._reader.secrets if self._reader is not None else []

    @property
    def names(self) -> dict[str, str]:
        """Address → name."""
        return self._reader.names if self._reader is not None else {}

    @property
    def progress(self) -> tuple[int, int | None]:
        """Bytes read, and bytes there are; None of a pipe."""
        return self._reader.progress if self._reader is not None else (0, None)

    def check(self) -> None:
        """Nothing can be looked at without waiting."""

    def blocks(self) -> Iterator[Block]:
        """All of it, once. Raises CaptureError where it is neither capture nor log."""
        opened = self._open()
        if may_be_log(opened.source.peek(MAGIC_BYTES)[:SNIFFED_BYTES]):
            self.is_log = True
            self._reader = _log_reader()(
                [self._path], options=self._logs, growth=self._growth, opened=opened, stopped=self._stopped
            )
        else:
            self._reader = CaptureReader.of_opened(opened, self._keep_secrets, chunk_bytes=self._chunk,
                                                   growth=self._growth, stopped=self._stopped)  # fmt: skip
        yield from self._reader.blocks()

    def _open(self) -> Input:
        if str(self._path) == STDIN:
            assert self._stdin is not None
            self._input = open_stdin(self._stdin, self._stopped)
        else:
            growth = self._growth if is_regular(Path(self._path)) else None
            self._input = open_path(Path(self._path), self._stopped, growth=growth)
        return self._input

    def stop(self) -> None:
        """End `blocks` soon. May be called from another thread."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and close what was opened here."""
        self.stop()
        if self._reader is not None:
            self._reader.close()
        elif self._input is not None:
            self._input.close()
