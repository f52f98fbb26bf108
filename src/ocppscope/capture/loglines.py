"""The lines of a log, whatever its bytes are encoded as. Bytes in, texts out, as they come.

UTF-8 and UTF-16 of either byte order, with a byte order mark or without. Bytes that are no UTF-8 come as surrogates
(PEP 383), so that who reads the line can have them back. Lines are bounded.
"""

from __future__ import annotations

import codecs

MAX_LINE = 1 << 25
"""Characters of a line; what is more is not read."""
SNIFFED_BYTES = 512
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def encoding_of(start: bytes) -> str:
    """The name of an encoding, by the first bytes."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    sample = start[: SNIFFED_BYTES & ~1]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if half and odd * 2 > half and even * 10 < half:
        return "utf-16-le"
    if half and even * 2 > half and odd * 10 < half:
        return "utf-16-be"
    return "utf-8"


class Lines:
    """Cuts bytes into lines. `overlong` counts those of which the rest was not read."""

    def __init__(self, max_line: int | None = None) -> None:
        self.overlong = 0
        self._max = MAX_LINE if max_line is None else max_line
        self._decoder: codecs.IncrementalDecoder | None = None
        self._held: list[str] = []  # pieces of a line whose end has not come
        self._size = 0
        self._is_overlong = False

    def feed(self, octets: bytes) -> list[str]:
        """The lines that are whole with these bytes, without their ends."""
        if self._decoder is None:
            name = encoding_of(octets)
            errors = "surrogateescape" if name == "utf-8" else "replace"
            self._decoder = codecs.getincrementaldecoder(name)(errors)
        return self._cut(self._decoder.decode(octets))

    def finish(self) -> list[str]:
        """The last line, if it has no end."""
        lines = self._cut(self._decoder.decode(b"", final=True)) if self._decoder is not None else []
        if self._size:
            lines.append("".join(self._held))
            self._held, self._size = [], 0
        return lines

    @property
    def rest(self) -> str:
        """What has come of a line whose end has not."""
        return "".join(self._held)

    def _cut(self, text: str) -> list[str]:
        *lines, rest = text.split("\n")
        if lines and self._size:
            self._hold(lines[0])
            lines[0] = "".join(self._held)
            self._held, self._size, self._is_overlong = [], 0, False
        if len(text) > self._max:
            self.overlong += sum(len(line) > self._max for line in lines)
            lines = [line[: self._max] for line in lines]
        if rest:
            self._hold(rest)
        return lines

    def _hold(self, piece: str) -> None:
        room = self._max - self._size
        if room > 0 and piece:
            self._held.append(piece[:room])
            self._size += len(self._held[-1])
        if len(piece) > room and not self._is_overlong:
            self.overlong += 1
            self._is_overlong = True
