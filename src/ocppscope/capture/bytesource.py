"""The bytes of one input, in order: a file, a growing file, a pipe or stdin, packed with gzip or zstd or not.

This is where captures are opened and read. It knows nothing of packets. Reads return what has arrived rather
than wait for more, and unpacking is done in steps whose output is bounded, whatever the input claims.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from ocppscope.capture.sniff import GZIP_MAGIC, MAGIC_BYTES, ZSTD_MAGIC, header_bytes
from ocppscope.errors import AccessError, CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.005
MAX_POLL_SECONDS = 0.05
"""How long until a growing file is looked at again: from one to the other, twice as long each time nothing came."""

PACKED_CHUNK = 1 << 16
PEEKED_CHUNK = 1 << 16
ZSTD_STEP = 512
"""Packed bytes given to zstd at once. It says no upper bound for its output; a block of 4 bytes makes up to 128 KiB,
so that a step makes 16 MiB at worst."""


class ByteSource(Protocol):
    """Bytes in order. `trouble` is why they end early, to go after the input's name; "" if they do not."""

    @property
    def trouble(self) -> str: ...  # noqa: D102

    def readinto(self, target: memoryview) -> int:
        """Put what is there, at least a byte and at most what fits, into `target`; 0 at the end."""


class Growth:
    """What is known of a file that is still written to: until `finished` is set, its end is where more is waited for.

    `idle` is called, in the reader's thread, whenever there is nothing more to read for now.
    """

    def __init__(self, idle: Callable[[], object] = lambda: None) -> None:
        self.finished = threading.Event()
        self.idle = idle


class RawSource:
    """An open stream, as it is. `position` counts its bytes. With `growth`, its end is not the end."""

    def __init__(
        self, stream: BinaryIO | io.RawIOBase, stopped: threading.Event, *, growth: Growth | None = None
    ) -> None:
        self._stream = stream
        self._read: Any = getattr(stream, "readinto1", None) or stream.readinto  # type: ignore[union-attr]
        self._stopped = stopped
        self._growth = growth
        self.position = 0
        self.trouble = ""

    def readinto(self, target: memoryview) -> int:
        """See `ByteSource.readinto`."""
        pause = POLL_SECONDS
        while not self._stopped.is_set():
            last = self._growth is None or self._growth.finished.is_set()
            try:
                got = self._read(target)
            except OSError as error:
                self.trouble = f"cannot be read further: {error.strerror or error}"
                return 0
            if got:
                self.position += got
                return int(got)
            if got == 0 and last:
                return 0
            if self._growth is not None:
                self._growth.idle()
            # At the end of a growing file, or a pipe that does not block. Not `Event.wait`: a Ctrl-C in there may
            # leave its lock taken, and `stop` would wait for that for ever.
            time.sleep(pause)
            pause = min(pause * 2, MAX_POLL_SECONDS)
        return 0


class Peekable:
    """A source whose next bytes can be looked at before they are read."""

    def __init__(self, inner: ByteSource) -> None:
        self._inner = inner
        self._ahead = memoryview(b"")

    @property
    def trouble(self) -> str:
        """See `ByteSource`."""
        return self._inner.trouble

    def readinto(self, target: memoryview) -> int:
        """See `ByteSource.readinto`."""
        if not self._ahead:
            return self._inner.readinto(target)
        taken = min(len(self._ahead), len(target))
        target[:taken] = self._ahead[:taken]
        self.skip(taken)
        return taken

    def peek(self, count: int) -> bytes:
        """At least the next `count` bytes, for which it waits, or all there are; and what has arrived with them."""
        while len(self._ahead) < count:
            piece = bytearray(PEEKED_CHUNK)
            got = self._inner.readinto(memoryview(piece))
            if not got:
                break
            self._ahead = memoryview(bytes(self._ahead) + piece[:got])
        return bytes(self._ahead)

    def skip(self, count: int) -> None:
        """Leave out `count` bytes that were peeked at."""
        self._ahead = self._ahead[count:]


class Unpacked:
    """What a packed stream holds; several members or frames one after another are one stream.

    `trouble` says if the packed data is damaged or cut off; what could be unpacked before that has been read.
    """

    def __init__(self, inner: ByteSource) -> None:
        self._inner = inner
        self._chunk = bytearray(PACKED_CHUNK)
        self._packed = memoryview(b"")
        self._ready = memoryview(b"")
        self._ended = False
        self._open = False  # within a member
        self.trouble = ""

    def readinto(self, target: memoryview) -> int:
        """See `ByteSource.readinto`."""
        while not self._ready and not self._ended:
            if not self._packed and not self._fill():
                self._ended = True
                if self._open:
                    self.trouble = self._inner.trouble or "is packed, and the packed data is cut off"
                break
            try:
                self._ready = memoryview(self._step(len(target)))
            except self._errors() as error:
                self._ended = True
                self.trouble = f"is packed, and the packed data is damaged ({error})"
        taken = min(len(self._ready), len(target))
        target[:taken] = self._ready[:taken]
        self._ready = self._ready[taken:]
        return taken

    def _fill(self) -> bool:
        got = self._inner.readinto(memoryview(self._chunk))
        self._packed = memoryview(bytes(self._chunk[:got]))
        return got > 0

    def _step(self, limit: int) -> bytes:
        raise NotImplementedError

    def _errors(self) -> tuple[type[Exception], ...]:
        raise NotImplementedError


class GzipSource(Unpacked):
    """gzip (RFC 1952); zeros after the last member are padding."""

    def __init__(self, inner: ByteSource) -> None:
        super().__init__(inner)
        import zlib  # noqa: PLC0415

        self._zlib = zlib
        self._decoder = zlib.decompressobj(31)
        self._most = PACKED_CHUNK

    def _step(self, limit: int) -> bytes:
        if not self._open:
            if self._packed[0] == 0:
                self._packed = memoryview(bytes(self._packed).lstrip(b"\0"))
                return b""
            self._decoder = self._zlib.decompressobj(31)
            self._open = True
        piece, before = self._packed[: self._most], self._decoder.copy()
        try:
            output = self._decoder.decompress(piece, limit)
        except self._zlib.error:
            if len(piece) == 1:
                raise
            self._decoder, self._most = before, len(piece) // 2  # zlib keeps what it had before it met the damage
            return b""
        rest = len(self._decoder.unconsumed_tail) or len(self._decoder.unused_data)
        self._packed = self._packed[len(piece) - rest :]
        self._open = not self._decoder.eof
        return output

    def _errors(self) -> tuple[type[Exception], ...]:
        return (self._zlib.error,)


class ZstdSource(Unpacked):
    """zstd (RFC 8878), skippable frames included."""

    def __init__(self, inner: ByteSource) -> None:
        super().__init__(inner)
        import zstandard  # noqa: PLC0415

        self._zstandard = zstandard
        self._decoder = zstandard.ZstdDecompressor().decompressobj()

    def _step(self, limit: int) -> bytes:
        if not self._open:
            self._decoder = self._zstandard.ZstdDecompressor().decompressobj()
            self._open = True
        piece = self._packed[:ZSTD_STEP]
        output = self._decoder.decompress(piece)
        self._open = not self._decoder.eof
        self._packed = self._packed[len(piece) - len(self._decoder.unused_data) :]
        return output

    def _errors(self) -> tuple[type[Exception], ...]:
        return (self._zstandard.ZstdError,)


class Input:
    """One opened input: its raw or unpacked bytes, where it stands, and how to close it."""

    def __init__(
        self,
        name: str,
        raw: RawSource,
        stream: BinaryIO | io.RawIOBase,
        *,
        owned: bool,
        is_complete: bool,
        is_lasting: bool,
    ) -> None:
        self.name = name
        self.is_complete = is_complete  # so that reading never waits
        self.is_lasting = is_lasting  # its bytes can be read there again
        self.is_packed = False  # known once the source is
        self._raw = raw
        self._stream = stream
        self._owned = owned
        self._source: Peekable | None = None

    @property
    def position(self) -> int:
        """Bytes read, as they are in the file."""
        return self._raw.position

    @property
    def source(self) -> Peekable:
        """The bytes, unpacked if they are packed. Reads the first few; raises CaptureError where it lacks zstd."""
        if self._source is None:
            source = Peekable(self._raw)
            magic = source.peek(MAGIC_BYTES)
            self.is_packed = True
            if magic[:2] == GZIP_MAGIC:
                source = Peekable(GzipSource(source))
            elif magic[:4] == ZSTD_MAGIC:
                source = Peekable(ZstdSource(source))
            else:
                self.is_packed = False
            self._source = source
        return self._source

    def head(self) -> bytes:
        """The first bytes, unpacked, enough to tell what it is. Raises CaptureError if they cannot be unpacked."""
        head = self.source.peek(header_bytes(self.source.peek(MAGIC_BYTES)))
        if not head and self.source.trouble:
            raise CaptureError(f"{self.name} {self.source.trouble}.", "Copy or record the file again.")
        return head

    def close(self) -> None:
        """Close what was opened for it; stdin stays open."""
        if self._owned:
            self._stream.close()


def is_regular(path: Path) -> bool:
    """Whether it is a file with an end. Raises CaptureError and AccessError if it cannot be opened as an input."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise CaptureError(f"{path} is a directory.", f"Name the captures in it: {path}/*.pcap*")
        if not os.access(path, os.R_OK):
            raise PermissionError
    except OSError as error:
        raise _open_error(path, error) from None
    return stat.S_ISREG(mode)


def open_path(path: Path, stopped: threading.Event, *, growth: Growth | None = None) -> Input:
    """Open a file or named pipe; of a pipe this waits for the writer. Raises CaptureError and AccessError."""
    try:
        stream = path.open("rb", buffering=0)
    except OSError as error:
        raise _open_error(path, error) from None
    regular = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    raw = RawSource(stream, stopped, growth=growth)
    return Input(str(path), raw, stream, owned=True, is_complete=regular and growth is None, is_lasting=regular)


def open_stdin(stream: BinaryIO, stopped: threading.Event) -> Input:
    """Use a stream that is open already."""
    return Input(
        "standard input", RawSource(stream, stopped), stream, owned=False, is_complete=False, is_lasting=False
    )


def _open_error(path: Path, error: OSError) -> CaptureError | AccessError:
    if isinstance(error, FileNotFoundError):
        return CaptureError(f"There is no file {path}.", "Check the name and the directory.")
    if isinstance(error, PermissionError):
        return AccessError(f"{path} may not be read.", "Ask for read permission, or run as the user who recorded it.")
    return CaptureError(f"{path} cannot be opened: {error.strerror or error}.", "Name a file that can be read.")
