"""Where frames start in bytes of which the beginning is not known: judged on the bytes alone.

The first position counts from which a chain of frames reads well. A text that begins as OCPP does is beyond doubt; a
weak header proves nothing, since one position in twenty of any binary data looks like one. Knows no time, no loss.
"""

from __future__ import annotations

import re
import zlib

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
MAX_PROBED_TEXT = 1 << 16
"""Bytes to which a payload is inflated to see whether it is deflate data."""

_OCPP_START = re.compile(rb'\s*\[\s*[2-6]\s*,\s*["0-9-]')
_OCPP_PREFIX_BYTES = 5
_STRONG_BYTES = 14 + 16  # the longest header, and what is looked at of a text
_PLAIN = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]*")
_FIRST = rb"[\x00-\x02\x40-\x42\x80-\x82\x88-\x8a\xc0-\xc2]"
_FRAME_STARTS = (re.compile(_FIRST + rb"(?:[\x00-\x7f]|\Z)"), re.compile(_FIRST + rb"(?:[\x80-\xff]|\Z)"))
_UNKNOWN_CONTEXT = bytes(32768)


class FrameFinder:
    """Finds the start of a frame in the bytes of one direction.

    `masked`: they come from the station. `inflates`: RSV1 means compression. `known`: they are certainly WebSocket,
    so that a text of any content is some evidence.
    """

    __slots__ = ("_inflates", "_masked", "_strong_from", "known")

    def __init__(self, *, masked: bool, inflates: bool, known: bool) -> None:
        self._masked = masked
        self._inflates = inflates
        self._strong_from = 0  # up to here no OCPP text starts
        self.known = known

    def forget(self) -> None:
        """The next bytes are others."""
        self._strong_from = 0

    def moved(self, count: int) -> None:
        """The first `count` bytes are gone."""
        self._strong_from = max(0, self._strong_from - count)

    def find(self, buffer: bytearray, *, final: bool) -> tuple[int, bool]:
        """A position, and whether frames start there; if not, no frame starts before it. `final`: no more will come.

        A position that cannot be judged yet is waited for, unless an OCPP text starts behind it: then it was none.
        """
        begins = _FRAME_STARTS[self._masked].search
        at, undecided = 0, None
        while found := begins(buffer, at):
            at = found.start()
            if undecided is None:
                score = self._chain(buffer, at, final=final)
                if score is None:
                    undecided = at
                    at = max(at, self._strong_from - 1)
                elif score >= ENOUGH_EVIDENCE:
                    return at, True
            elif self._is_ocpp(buffer, at):
                return at, True
            at += 1
        self._strong_from = max(0, len(buffer) - _STRONG_BYTES)
        return len(buffer) if undecided is None and not final else undecided or 0, False

    def _is_ocpp(self, buffer: bytearray, at: int) -> bool:
        header = read_header(buffer, at)
        return header is not None and self._evidence(buffer, header, at) == ENOUGH_EVIDENCE

    def _chain(self, buffer: bytearray, at: int, *, final: bool) -> int | None:
        """The evidence that frames start at `at`; None where more bytes are needed to tell."""
        score = 0
        size = len(buffer)
        for place in range(MAX_CHAIN):
            if at == size:
                return score if final else None
            header = read_header(buffer, at)
            if header is None:
                return 0 if final or not self._could_start(buffer, at) else None
            weight = self._evidence(buffer, header, at)
            if weight is None and not final:
                return None
            if not weight and (place == 0 or weight is None or not self._is_possible(header)):
                return 0
            score += weight or 0
            if score >= ENOUGH_EVIDENCE:
                return score
            at += header.size + header.length
            if at > size:
                return 0 if final else None
        return 0

    def _is_possible(self, header: Header) -> bool:
        """Whether a header that proves nothing may yet stand in a chain."""
        good = header.minimal and bool(header.mask) == self._masked and not header.rsv & ~RSV1
        return good and header.opcode in OPCODES and header.length <= MAX_MESSAGE_BYTES

    def _could_start(self, buffer: bytearray, at: int) -> bool:
        """Whether an incomplete header at `at` may still become a good one."""
        first = buffer[at]
        masked = at + 1 >= len(buffer) or bool(buffer[at + 1] & 0x80) == self._masked
        return first & 0x0F in OPCODES and not first & 0x30 and masked

    def _evidence(self, buffer: bytearray, header: Header, at: int) -> int | None:
        """How much a header at `at` looks like one: 0 not at all, `ENOUGH_EVIDENCE` certainly; None: too early."""
        if not self._is_possible(header):
            return 0
        if header.opcode == TEXT:
            if not header.rsv:
                return self._text_evidence(buffer, header, at)
            return self._compressed_evidence(buffer, header, at) if header.fin and header.length else 0
        return int(header.control and header.fin and 0 < header.length <= MAX_CONTROL and not header.rsv)

    def _text_evidence(self, buffer: bytearray, header: Header, at: int) -> int | None:
        start, stop = at + header.size, at + header.size + header.length
        head = unmask(buffer[start : min(stop, start + 16)], header.mask)
        if _OCPP_START.match(head):
            return ENOUGH_EVIDENCE
        if not (self.known and header.length and header.fin):
            return None if len(head) < min(header.length, _OCPP_PREFIX_BYTES) else 0
        if not _PLAIN.fullmatch(head):
            return 0
        return None if stop > len(buffer) else 2 * is_plain_text(unmask(buffer[start:stop], header.mask))

    def _compressed_evidence(self, buffer: bytearray, header: Header, at: int) -> int | None:
        """A compressed text is likely where it inflates, over an unknown context, to what may begin as JSON does."""
        start, stop = at + header.size, at + header.size + header.length
        if not self._inflates:
            return 0
        return None if stop > len(buffer) else 2 * may_be_deflated_json(unmask(buffer[start:stop], header.mask))


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
