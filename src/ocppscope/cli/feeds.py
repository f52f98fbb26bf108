"""Where packet blocks come from: captures that are there, or the files that a recorder is writing.

A feed hands out blocks with the file in which their bytes lie. It decodes nothing and shows nothing.
"""

from __future__ import annotations

import os
from threading import Event as Flag
from typing import TYPE_CHECKING, Protocol

from ocppscope.capture.bytesource import Growth
from ocppscope.capture.entries import LogBlock
from ocppscope.capture.pcapfile import STDIN, open_captures
from ocppscope.cli.logs import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from ocppscope.capture.pcapfile import CaptureReader
    from ocppscope.capture.recorder import Recorder
    from ocppscope.cli.logs import Reader
    from ocppscope.model import PacketBlock
    from ocppscope.options import Options

MAX_NOTICES = 100
"""Sentences about files of a recorder that are kept; that there were more is the last one."""
MORE_NOTICES = "There was more to say of later files: it is not kept."


class Feed(Protocol):
    """Packet blocks, once, in order."""

    title: str
    is_live: bool

    def blocks(self, idle: Callable[[], None]) -> Iterator[tuple[PacketBlock | LogBlock, str | None]]:
        """Blocks, and the file in which their `position` lies. `idle` is called while there is nothing to read."""

    @property
    def progress(self) -> tuple[int, int | None]:
        """Bytes read and bytes there are, None where nobody knows."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the user so far."""

    @property
    def has_secrets(self) -> bool:
        """Whether TLS keys were among the packets."""

    @property
    def status(self) -> str:
        """How recording goes; "" where nothing is recorded."""

    def begin(self) -> None:
        """Starts what has to be started. Raises OcppscopeError."""

    def stop(self) -> None:
        """Ends `blocks` soon. From any thread."""

    def close(self) -> None:
        """Gives back what is held."""


class CaptureFeed:
    """Captures or logs that are there, or come through a pipe."""

    status = ""

    def __init__(
        self, inputs: list[str], *, stdin: BinaryIO | None = None, chunk_bytes: int, options: Options | None = None
    ) -> None:
        """Opens them; keys from inside them go to the options' secrets. Raises OcppscopeError."""
        self.title = ", ".join(os.path.basename(name) or name for name in inputs)
        self._reader: Reader = opened(inputs, options, stdin=stdin, chunk_bytes=chunk_bytes)
        files = [name for name in inputs if name != STDIN and os.path.isfile(name)]
        self._file = files[0] if files and len(inputs) == 1 else None
        self.is_live = STDIN in inputs

    @property
    def is_log(self) -> bool:
        """Whether it is a log of messages, as far as that is known."""
        return self._reader.is_log

    def blocks(self, idle: Callable[[], None]) -> Iterator[tuple[PacketBlock | LogBlock, str | None]]:
        """See `Feed`."""
        del idle
        for block in self._reader.blocks():
            yield block, None if isinstance(block, LogBlock) else self._file

    @property
    def progress(self) -> tuple[int, int | None]:
        """See `Feed`."""
        return self._reader.progress

    @property
    def notices(self) -> tuple[str, ...]:
        """See `Feed`."""
        return tuple(self._reader.notices)

    @property
    def has_secrets(self) -> bool:
        """See `Feed`."""
        return bool(self._reader.secrets)

    def begin(self) -> None:
        """See `Feed`."""

    def stop(self) -> None:
        """See `Feed`."""
        self._reader.stop()

    def close(self) -> None:
        """See `Feed`."""
        self._reader.close()


class RecorderFeed:
    """The files of a recorder, one after another, as they grow. Packets are numbered through."""

    is_live = True
    has_secrets = False

    def __init__(self, recorder: Recorder, *, chunk_bytes: int) -> None:
        self.title = recorder.title
        self.recorder = recorder
        self._chunk = chunk_bytes
        self._stopped = Flag()
        self._notices: list[str] = []
        self._reader: CaptureReader | None = None
        self._read_before = 0

    def begin(self) -> None:
        """See `Feed`."""
        self.recorder.start()

    def blocks(self, idle: Callable[[], None]) -> Iterator[tuple[PacketBlock, str | None]]:
        """See `Feed`; ends when the recorder has."""
        number = packets = 0
        while number < len(self.recorder.files()) and not self._stopped.is_set():
            path, last = self.recorder.files()[number], 0
            for block in self._grown(path, number, idle):
                last = block.first_packet + len(block.offsets) - 1
                yield block._replace(first_packet=block.first_packet + packets), path
            packets += last
            number += 1

    def _grown(self, path: str, number: int, idle: Callable[[], None]) -> Iterator[PacketBlock]:
        """The blocks of one file, until nothing is added to it any more."""

        def wait() -> None:
            if number + 1 < len(self.recorder.files()) or not self.recorder.running:
                growth.finished.set()
            idle()

        growth = Growth(wait)
        if not os.path.exists(path):  # only so many are kept, and we are late
            self._note(f"{os.path.basename(path)} is gone before it could be read.")
            return
        with open_captures([path], follow=growth, chunk_bytes=self._chunk) as reader:
            self._reader = reader
            if self._stopped.is_set():
                return
            yield from reader.blocks()
            self._read_before += reader.progress[0]
            self._reader = None
            self._note(*reader.notices)

    def _note(self, *sentences: str) -> None:
        self._notices = [*self._notices, *sentences]
        if len(self._notices) > MAX_NOTICES:
            self._notices = [*self._notices[:MAX_NOTICES], MORE_NOTICES]

    @property
    def progress(self) -> tuple[int, int | None]:
        """See `Feed`."""
        reader = self._reader
        return self._read_before + (reader.progress[0] if reader is not None else 0), None

    @property
    def notices(self) -> tuple[str, ...]:
        """See `Feed`."""
        reader = self._reader
        return (*self._notices, *(reader.notices if reader is not None else ()), *self.recorder.troubles())

    @property
    def status(self) -> str:
        """See `Feed`."""
        return self.recorder.status()

    def stop(self) -> None:
        """See `Feed`. Ends the recording; what it wrote before is still read."""
        self.recorder.stop()

    def close(self) -> None:
        """See `Feed`."""
        self._stopped.set()
        if self._reader is not None:
            self._reader.stop()
        self.recorder.stop()
