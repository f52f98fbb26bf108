"""Where the text of a message lies, and how it is read there: in a capture file, possibly masked.

The other home of texts is the spool. Nothing here decodes: a place names the payload of one whole, uncompressed,
unfragmented frame; whatever else a text was made of goes to the spool.
"""

from __future__ import annotations

import os
from typing import NamedTuple, Protocol

from ocppscope.closing import Closing


class Place(NamedTuple):
    """`length` bytes from `offset` on in source number `source`; `mask` is the frame's masking key, 0 for none.

    The key is a number: its four bytes read big-endian, in the order of the wire (RFC 6455 §5.3).
    """

    source: int
    offset: int
    length: int
    mask: int = 0


class GoneError(LookupError):
    """A row or a text that is not kept any more, or never could be; the sentence says why."""


class Payloads(Protocol):
    """Bytes by offset. `read` may be called from any thread."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes; raises `GoneError`."""

    def close(self) -> None:
        """Gives back what is held."""


class CaptureTexts(Closing):
    """The texts that lie in a seekable capture file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._name = os.fspath(path)
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (read from until `close`)

    def read(self, offset: int, length: int) -> bytes:
        """These bytes of the file; a file that was cut or closed in the meantime has them no more."""
        try:
            data = os.pread(self._file.fileno(), length, offset)
        except (OSError, OverflowError, ValueError) as error:
            raise GoneError(f"The capture {self._name} can no longer be read: {error}.") from error
        if len(data) < length:
            raise GoneError(f"The capture {self._name} is shorter than it was.")
        return data

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class RecordedTexts:
    """The texts in a file of a recording, one of many that come and go: it is open only while it is read.

    So neither descriptors nor the disk space of files that a ring has given up are held, however many there are.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._name = os.fspath(path)

    def read(self, offset: int, length: int) -> bytes:
        """These bytes of the file; raises `GoneError` where it is there no more."""
        try:
            with CaptureTexts(self._name) as texts:
                return texts.read(offset, length)
        except OSError as error:
            raise GoneError(f"The recording {self._name} can no longer be read: {error.strerror}.") from error

    def close(self) -> None:
        """Nothing is held."""


def unmasked(data: bytes, mask: int) -> bytes:
    """What a frame's payload says once its masking key is taken off (RFC 6455 §5.3)."""
    if not mask or not data:
        return data
    count = len(data)
    key = (mask.to_bytes(4, "big") * (count // 4 + 1))[:count]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(count, "little")
