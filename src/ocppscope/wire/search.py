"""Where frames start in bytes of which the beginning is not known: judged on the bytes alone.

The first position counts from which a chain of frames reads well. A text that begins as OCPP does is beyond doubt; a
weak header proves nothing, since one position in twenty of any binary data looks like one. Knows no time, no loss.

Found is what would be found if the bytes came one by one, however they come: so each judgement has a number of bytes
that it takes, and of two positions the one counts that takes fewer.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from ocppscope.wire.frames import (
    MAX_CONTROL,
    MAX_MESSAGE_BYTES,
    OPCODES,
    RSV1,
    TEXT,
    Header,
    read_header,
    unmask,
)

MAX_CHAIN = 16
"""Frames in a row that are looked at to find out whether frames start at a position."""
ENOUGH_EVIDENCE = 4
"""What a chain of frames must score before it is believed: an OCPP text does, two other texts do."""
MAX_SEARCH_BYTES = 1 << 18
"""Bytes from a position on in which it must prove to be the start of a frame."""
MAX_PROBED_TEXT = 1 << 16
"""Bytes to which a payload is inflated to see whether it is deflate data."""

_OCPP_START = re.compile(rb'\s*\[\s*[2-6]\s*,\s*["0-9-]')
_HEAD_BYTES = 16  # what is looked at of a text to see how it begins
_STRONG_BYTES = 14 + _HEAD_BYTES  # with the longest header
_PLAIN = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]*")
_FIRST = rb"[\x00-\x02\x40-\x42\x80-\x82\x88-\x8a\xc0-\xc2]"
_FRAME_STARTS = (re.compile(_FIRST + rb"(?:[\x00-\x7f]|\Z)"), re.compile(_FIRST + rb"(?:[\x80-\xff]|\Z)"))
_LENGTH_BYTES = {126: 2, 127: 8}
_UNKNOWN_CONTEXT = bytes(32768)


class Found(NamedTuple):
    """Where a search came to."""

    at: int  # frames start here; if none do, no frame starts before
    taken: int = 0  # bytes that it takes to tell that frames start there; 0: none were found


class FrameFinder:
    """Finds the start of a frame in the bytes of one direction.

    `masked`: they come from the station. `inflates`: RSV1 means compression. `known`: they are certainly WebSocket,
    so that a text of any content is some evidence.
    """

    __slots__ = ("_inflates", "_masked", "_needed", "_strong_from", "known")

    def __init__(self, *, masked: bool, inflates: bool, known: bool) -> None:
        self._masked = masked
        self._inflates = inflates
        self._strong_from = 0  # up to here no OCPP text starts
        self._needed = 0  # bytes that it takes to judge the first position
        self.known = known

    def forget(self) -> None:
        """The next bytes are others."""
        self._strong_from = self._needed = 0

    def moved(self, count: int) -> None:
        """The first `count` bytes are gone."""
        self._strong_from = max(0, self._strong_from - count)
        self._needed = max(0, self._needed - count)

    def find(self, buffer: bytearray, *, final: bool) -> Found:
        """Where frames start, or the first position that cannot be judged yet. `final`: no more will come.

        A position that cannot be judged yet is waited for, unless an OCPP text starts behind it: then it was none.
        """
        begins = _FRAME_STARTS[self._masked].search
        size = len(buffer)
        at, judging = 0, True
        waiting, found, late = size, size, 0  # positions; how many bytes it takes to judge all that lie before
        taken = size + 1
        while (start := begins(buffer, at)) and (at := start.start()) < taken:
            strong = self._ocpp_at(buffer, at)
            if strong < taken:
                found, taken, judging = at, strong, False
            elif judging and self._needed > size and not final:  # which is of the first position that is left
                waiting, judging = at, False
            elif judging:
                score, needed = self._chain(buffer, at)
                if needed > size and not final:
                    waiting, self._needed, judging = at, needed, False
                elif score >= ENOUGH_EVIDENCE:
                    found, taken, judging = at, max(needed, late), False
                late = max(late, min(needed, size))
            at = at + 1 if judging else max(at + 1, self._strong_from)
        if taken <= size:
            self.forget()
            return Found(found, taken)
        self._strong_from = max(0, size - _STRONG_BYTES)
        return Found(waiting)

    def _ocpp_at(self, buffer: bytearray, at: int) -> int:
        """How many bytes it takes to see that an OCPP text starts at `at`; more than there are: none does."""
        header, needed = self._header(buffer, at)
        if header is not None and self._is_possible(header) and header.opcode == TEXT and not header.rsv:
            score, needed = self._text_evidence(buffer, header, at + header.size)
            if score == ENOUGH_EVIDENCE:
                return needed
        return len(buffer) + 1

    def _chain(self, buffer: bytearray, at: int) -> tuple[int, int]:
        """The evidence that frames start at `at`, and how many bytes it takes to tell.

        Of more than there are, it is how many it takes at least.
        """
        score, needed = 0, 0
        size, limit = len(buffer), at + MAX_SEARCH_BYTES
        for place in range(MAX_CHAIN):
            header, needed = self._header(buffer, at)
            if header is None:
                return 0, min(needed, limit)
            weight, needed = self._evidence(buffer, header, at)
            if needed > min(size, limit) or (not weight and (place == 0 or not self._is_possible(header))):
                return 0, min(needed, limit)
            score += weight
            at += header.size + header.length
            if score >= ENOUGH_EVIDENCE or at > limit:
                break
        return score, needed

    def _header(self, buffer: bytearray, at: int) -> tuple[Header | None, int]:
        """The header at `at` if there may be one, and how many bytes it takes to tell."""
        held = len(buffer) - at
        if held < 1 or buffer[at] & 0x0F not in OPCODES or buffer[at] & 0x30:
            return None, at + 1
        if held < 2 or bool(buffer[at + 1] & 0x80) != self._masked:
            return None, at + 2
        size = 2 + _LENGTH_BYTES.get(buffer[at + 1] & 0x7F, 0) + 4 * self._masked
        return read_header(buffer, at), at + size

    def _is_possible(self, header: Header) -> bool:
        """Whether a header that proves nothing may yet stand in a chain."""
        good = header.minimal and bool(header.mask) == self._masked and not header.rsv & ~RSV1
        return good and header.opcode in OPCODES and header.length <= MAX_MESSAGE_BYTES

    def _evidence(self, buffer: bytearray, header: Header, at: int) -> tuple[int, int]:
        """How much a header at `at` looks like one, and how many bytes it takes to tell.

        0 is not at all, `ENOUGH_EVIDENCE` certainly.
        """
        body = at + header.size
        if not self._is_possible(header):
            return 0, body
        if header.opcode != TEXT:
            good = header.control and header.fin and 0 < header.length <= MAX_CONTROL and not header.rsv
            return int(good), body
        if not header.rsv:
            return self._text_evidence(buffer, header, body)
        return self._compressed_evidence(buffer, header, body)

    def _text_evidence(self, buffer: bytearray, header: Header, start: int) -> tuple[int, int]:
        stop = start + header.length
        shown = min(stop, start + _HEAD_BYTES)
        head = unmask(buffer[start:shown], header.mask)
        if begins := _OCPP_START.match(head):
            return ENOUGH_EVIDENCE, start + begins.end()
        if shown > len(buffer):
            return 0, len(buffer) + 1
        if not (self.known and header.length and header.fin and _PLAIN.fullmatch(head)):
            return 0, shown
        return 2 * (stop <= len(buffer) and is_plain_text(unmask(buffer[start:stop], header.mask))), stop

    def _compressed_evidence(self, buffer: bytearray, header: Header, start: int) -> tuple[int, int]:
        """A compressed text is likely where it inflates, over an unknown context, to what may begin as JSON does."""
        stop = start + header.length
        if not (self._inflates and header.fin and header.length):
            return 0, start
        likely = stop <= len(buffer) and may_be_deflated_json(unmask(buffer[start:stop], header.mask))
        return 2 * likely, stop


def is_plain_text(payload: bytes) -> bool:
    """Whether a payload is UTF-8 without control characters but white space."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return _PLAIN.fullmatch(payload) is not None


def may_be_deflated_json(payload: bytes) -> bool:
    """Whether a payload is deflate data (RFC 7692 §7.2.2) whose text begins with `[` or with something unknown."""
    inflater = zlib.decompressobj(-15, zdict=_UNKNOWN_CONTEXT)
    try:
        text = inflater.decompress(payload + b"\x00\x00\xff\xff", MAX_PROBED_TEXT)
    except zlib.error:
        return False
    return text[:1] in (b"[", b"\x00") and not inflater.eof
