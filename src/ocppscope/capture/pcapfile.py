"""Captures from files, pipes and stdin as packet blocks: the public face of capture reading.

Formats, unpacking, chunks and merging are in the modules beside it. Nothing here looks into a packet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Self

from ocppscope.capture.annotations import Annotations
from ocppscope.capture.bytesource import Growth, Input, is_regular, open_path, open_stdin
from ocppscope.capture.capturefile import CHUNK_BYTES, FIRST_CHUNK_BYTES, CaptureFile
from ocppscope.capture.merge import EARLIEST, Feed, merged
from ocppscope.closing import Closing
from ocppscope.errors import UsageError
from ocppscope.model import PacketBlock

STDIN = "-"


def open_captures(
    paths: Sequence[str | Path],
    *,
    follow: bool | Growth = False,
    stdin: BinaryIO | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    keep_secrets: Callable[[bytes], object] | None = None,
) -> CaptureReader:
    """Open captures (pcap or pcapng, packed with gzip or zstd or not) to be read as one; "-" is `stdin`.

    With `follow`, the file with the latest beginning is read as it grows, until the reader is stopped or the `Growth`
    that was given says that it is finished.
    `keep_secrets` is given the TLS key logs from inside pcapng files, before the packets that follow them.
    `chunk_bytes` is what is read at once and so the usual size of a block; at most `CHUNK_BYTES`.

    Raises CaptureError if one is missing or no capture, AccessError if one may not be read, UsageError if there is
    none or "-" is named twice. Pipes are opened, and checked, when they are read.
    """
    if not paths:
        raise UsageError("There is no capture to read.", "Name a file, or - for standard input.")
    if [str(path) for path in paths].count(STDIN) > 1:
        raise UsageError("Standard input is named twice.", "It can be read once.")
    if STDIN in map(str, paths) and stdin is None:
        raise UsageError("There is no standard input to read.")
    growth = follow if isinstance(follow, Growth) else Growth() if follow else None
    reader = CaptureReader(
        paths,
        growth=growth,
        stdin=stdin,
        chunk_bytes=min(chunk_bytes, CHUNK_BYTES),
        annotations=Annotations(keep_secrets),
    )
    try:
        reader.check()
    except BaseException:
        reader.close()
        raise
    return reader


class CaptureReader(Closing):
    """Reads one or more captures as one. A context manager; made by `open_captures`.

    `notices` are sentences on what is wrong with the inputs, each once a kind and input; `secrets` are TLS key logs
    and `names` names of addresses from inside pcapng files. All three fill up as blocks are read, and are bounded.
    """

    is_log = False

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        growth: Growth | None,
        stdin: BinaryIO | None,
        chunk_bytes: int,
        annotations: Annotations,
    ) -> None:
        self._annotations = annotations
        self._stopped = threading.Event()
        self._growth = growth
        self._chunk = chunk_bytes
        self._origins = [_Origin(None if str(path) == STDIN else Path(path), stdin, self._stopped) for path in paths]

    @classmethod
    def of_opened(
        cls,
        opened: Input,
        keep_secrets: Callable[[bytes], object] | None,
        *,
        chunk_bytes: int,
        growth: Growth | None,
        stopped: threading.Event,
    ) -> Self:
        """The reader of one input that is open already; it is closed with the reader."""
        annotations = Annotations(keep_secrets)
        reader = cls([STDIN], growth=growth, stdin=None, chunk_bytes=chunk_bytes, annotations=annotations)
        reader._stopped = stopped
        reader._origins[0].take(opened)
        return reader

    @property
    def notices(self) -> list[str]:
        """Sentences for the user."""
        return self._annotations.notices

    @property
    def secrets(self) -> list[bytes]:
        """TLS key logs (NSS format), as they came."""
        return self._annotations.secrets

    @property
    def names(self) -> dict[str, str]:
        """Address → name, from Name Resolution Blocks."""
        return self._annotations.names

    @property
    def progress(self) -> tuple[int, int | None]:
        """Bytes read and bytes there are, of all inputs as they are on disk; None where one is a pipe."""
        read = sum(origin.position for origin in self._origins)
        sizes = [origin.size for origin in self._origins if origin.size is not None]
        return read, max(sum(sizes), read) if len(sizes) == len(self._origins) else None

    def check(self) -> None:
        """Look at every input that can be looked at without waiting. Raises CaptureError and AccessError."""
        for origin in self._origins:
            origin.find()
            if origin.regular and len(self._origins) > 1:
                origin.probe(self._chunk)
            elif origin.regular and self._growth is None:
                origin.begin(self._annotations, self._chunk).check()

    def blocks(self) -> Iterator[PacketBlock]:
        """All packets in order of time, once, numbered from 1.

        Raises CaptureError when a pipe, or a file that is followed, turns out to be no capture.
        """
        if len(self._origins) == 1:
            yield from self._origins[0].blocks(self._annotations, self._chunk, growth=self._growth)
            return
        for origin in self._origins:
            if not origin.regular:
                origin.wait_for_first(self._annotations, self._chunk)
        ranked = sorted(range(len(self._origins)), key=lambda index: (self._origins[index].first_ns, index))
        yield from merged([self._feed(index, last=index == ranked[-1]) for index in ranked], self._share_chunks)

    def stop(self) -> None:
        """End `blocks` soon, wherever it waits for a file to grow. May be called from another thread."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and close every file that was opened here."""
        self.stop()
        for origin in self._origins:
            origin.end()

    def _feed(self, index: int, *, last: bool) -> Feed:
        origin = self._origins[index]
        growth = self._growth if last else None
        return Feed(origin.first_ns, index, lambda: origin.blocks(self._annotations, self._chunk, growth=growth))

    def _share_chunks(self, running: int) -> None:
        """Read many captures at once in smaller pieces, so that memory does not grow with their number."""
        chunk = max(self._chunk // max(running, 1), min(FIRST_CHUNK_BYTES, self._chunk))
        for origin in self._origins:
            if origin.file is not None:
                origin.file.chunk = chunk


class _Origin:
    """One of the inputs, from before it is opened until after it is closed."""

    def __init__(self, path: Path | None, stdin: BinaryIO | None, stopped: threading.Event) -> None:
        self._path = path
        self._stdin = stdin
        self._stopped = stopped
        self._input: Input | None = None
        self._early: Iterator[PacketBlock] | None = None
        self._done_bytes = 0
        self.file: CaptureFile | None = None
        self.first_ns = EARLIEST
        self.regular = False
        self.size: int | None = None

    @property
    def position(self) -> int:
        """Bytes read of it."""
        return self._input.position if self._input else self._done_bytes

    def find(self) -> None:
        """See what kind of input it is. Raises CaptureError and AccessError if there is none."""
        if self._path is not None:
            self.regular = is_regular(self._path)
            self.size = self._path.stat().st_size if self.regular else None

    def take(self, opened: Input) -> None:
        """It is open already."""
        self._input = opened

    def begin(self, annotations: Annotations, chunk: int, *, growth: Growth | None = None) -> CaptureFile:
        """Open it, unless it is open."""
        if self.file is None:
            if self._input is not None:
                pass
            elif self._path is not None:
                self._input = open_path(self._path, self._stopped, growth=growth if self.regular else None)
            elif self._stdin is not None:
                self._input = open_stdin(self._stdin, self._stopped)
            assert self._input is not None
            self.file = CaptureFile(self._input, annotations, chunk=chunk, growing=growth is not None)
        return self.file

    def end(self) -> None:
        """Close it."""
        if self._input is not None:
            self._done_bytes = self._input.position
            self._input.close()
        self._input = self.file = None

    def probe(self, chunk: int) -> None:
        """Learn the time of the first packet, and close it again: there may be more parts than files may be open."""
        try:
            first = next(self.begin(Annotations(), chunk).blocks(), None)
            self.first_ns = EARLIEST if first is None else int(first.time_ns[0])
        finally:
            self.end()
            self._done_bytes = 0

    def wait_for_first(self, annotations: Annotations, chunk: int) -> None:
        """Learn the time of the first packet of what can be read only once."""
        blocks = self.begin(annotations, chunk).blocks()
        first = next(blocks, None)
        if first is not None:
            self.first_ns = int(first.time_ns[0])
            self._early = chain([first], blocks)

    def blocks(self, annotations: Annotations, chunk: int, *, growth: Growth | None) -> Iterator[PacketBlock]:
        """Open it if need be, read to the end, and close it."""
        try:
            yield from self._early or self.begin(annotations, chunk, growth=growth).blocks()
        finally:
            self.end()
