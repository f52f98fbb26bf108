"""permessage-deflate, one direction of a connection (RFC 7692 §7.2.2), and what to do when part of it is lost.

With context takeover each message may refer to the 32 KiB of text before it. Once a message is missing, the
distances of such references point to the wrong place, and an inflater that goes on would make up plausible wrong
text. So after a loss the context is *in doubt*: the lost text is assumed to have been 1, 2, 3 … bytes long, the
inflater is moved on by so many unknown bytes, and an assumption is believed when it makes whole, well-formed
messages of what follows, and no other assumption makes different ones. Until then messages are returned as lost.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zlib import _Decompress

MAX_INFLATED = 16 << 20
"""Bytes that one message may have when inflated; the rest is cut off and said to be."""
MAX_LOST_TEXT = 8192
"""Longest text that a loss is assumed to have had."""
MAX_ATTEMPTS = 60_000
"""Inflations spent per direction on finding a lost context again."""
MAX_SURVIVORS = 16
"""Assumptions that are followed side by side."""
MAX_WAITING = 8
"""Messages since a loss that an assumption is tried on."""

_TAIL = b"\x00\x00\xff\xff"
_UNKNOWN = b"\x00"  # stands for lost text; JSON has no raw NUL
_OCPP = re.compile(rb'\[[2-6],\s?"[^"\\\x00-\x1f]{1,64}",[^\x00]*\]\Z', re.DOTALL)

CORRUPT = Problem("ws.deflate-corrupt", "The compressed payload is not valid deflate data.")
CONTEXT_LOST = Problem(
    "ws.context-lost", "An earlier compressed message is missing, so this one cannot be inflated (context takeover)."
)
CONTEXT_GUESSED = Problem(
    "ws.context-guessed",
    "An earlier compressed message is missing; its length was found by trial, and this text follows from it.",
)
TOO_LARGE = Problem("ws.inflated-too-large", f"The message inflates to more than {MAX_INFLATED} bytes; it was cut.")


class Inflated(NamedTuple):
    """A message's text and what is to be said of it. `lost` text is empty or not to be trusted."""

    text: bytes
    problem: Problem | None = None
    lost: bool = False


class Inflater:
    """Inflates the messages of one direction in order.

    `takeover` is False where the sender starts each message afresh (no_context_takeover).
    """

    __slots__ = ("_attempts", "_base", "_lost_bytes", "_survivors", "_waiting", "_zlib", "takeover")

    def __init__(self, *, takeover: bool, midstream: bool = False) -> None:
        self.takeover = takeover
        self._zlib: _Decompress | None = zlib.decompressobj(-15)
        self._base: _Decompress | None = None  # the context as it was before the loss
        self._survivors: list[_Decompress] = []
        self._waiting: list[bytes] = []
        self._lost_bytes = 0
        self._attempts = 0
        if midstream and takeover:
            self._start_blind()

    @property
    def in_doubt(self) -> bool:
        """Whether a loss has left the context unknown."""
        return self._zlib is None

    def lose(self, wire_bytes: int | None) -> None:
        """Some compressed messages are missing, `wire_bytes` long in all (None: not known)."""
        if not self.takeover:
            return
        if self._zlib is not None:
            self._base, self._zlib = self._zlib, None
            self._lost_bytes = 0
        elif self._survivors:
            self._base = self._survivors[0]
        self._survivors, self._waiting = [], []
        self._lost_bytes += MAX_LOST_TEXT if wire_bytes is None else wire_bytes

    def message(self, payload: bytes) -> Inflated:
        """The text of the next message; `payload` is that of all its frames."""
        if self._zlib is None:
            return self._in_doubt(payload)
        inflater = self._zlib if self.takeover else zlib.decompressobj(-15)
        try:
            text = inflater.decompress(payload + _TAIL, MAX_INFLATED)
        except zlib.error:
            self.lose(len(payload))
            return Inflated(b"", CORRUPT, lost=True)
        if inflater.eof:
            # A final block ends the deflate stream; the sender starts a new one (RFC 7692 §7.2.3.4).
            self._zlib = zlib.decompressobj(-15)
        elif inflater.unconsumed_tail:
            self._zlib = zlib.decompressobj(-15)
            self.lose(None)
            return Inflated(text, TOO_LARGE)
        return Inflated(text)

    # --- a context in doubt -----------------------------------------------------------------------------------

    def _start_blind(self) -> None:
        """The capture begins in the middle: everything before is unknown."""
        blind = zlib.decompressobj(-15, zdict=_UNKNOWN * 32768)
        self._zlib, self._survivors = None, [blind]

    def _in_doubt(self, payload: bytes) -> Inflated:
        if self._survivors:
            self._survivors, texts = _advance(self._survivors, payload)
            if self._survivors:
                return self._agreed(texts)
        if self._base is None:
            self._start_blind()
            return Inflated(b"", CONTEXT_LOST, lost=True)
        self._waiting = [*self._waiting, payload][-MAX_WAITING:]
        return self._search()

    def _search(self) -> Inflated:
        """Tries every length of the lost text on the messages since; resolved when the last one is sure."""
        assert self._base is not None
        found: dict[bytes, list[_Decompress]] = {}
        for inflater in self._assumptions():
            last = _try(inflater, self._waiting)
            if last is not None:
                alike = found.setdefault(last, [])
                if len(alike) <= MAX_SURVIVORS:
                    alike.append(inflater)
            if len(found) > MAX_SURVIVORS:
                break
        if len(found) == 1:
            text, survivors = next(iter(found.items()))
            if len(survivors) <= MAX_SURVIVORS:
                self._survivors, self._waiting = survivors, []
            return Inflated(text, CONTEXT_GUESSED)
        if self._attempts >= MAX_ATTEMPTS or len(self._waiting) == MAX_WAITING:
            self._base = None
            self._start_blind()
        return Inflated(b"", CONTEXT_LOST, lost=True)

    def _assumptions(self) -> Iterator[_Decompress]:
        """The context before the loss, moved on by 1, 2, 3 … unknown bytes as stored blocks (RFC 1951 §3.2.4)."""
        assert self._base is not None
        moved = self._base.copy()
        one = b"\x00\x01\x00\xfe\xff" + _UNKNOWN
        for _ in range(min(MAX_LOST_TEXT, 256 + 40 * self._lost_bytes)):
            if self._attempts >= MAX_ATTEMPTS:
                return
            self._attempts += 1
            moved.decompress(one)
            yield moved.copy()

    def _agreed(self, texts: list[bytes]) -> Inflated:
        first = texts[0]
        if any(text != first for text in texts):
            return Inflated(b"", CONTEXT_LOST, lost=True)
        unknown = first.count(_UNKNOWN)
        if unknown:
            words = f"{unknown} of {len(first)} bytes refer to text that was not captured (context takeover)."
            return Inflated(first, Problem("ws.context-lost", words), lost=True)
        return Inflated(first, CONTEXT_GUESSED if self._base is not None else None)


def _advance(inflaters: list[_Decompress], payload: bytes) -> tuple[list[_Decompress], list[bytes]]:
    """Those assumptions that can read the message as well-formed, else those that can read it at all."""
    alive, texts = [], []
    for inflater in inflaters:
        try:
            text = inflater.decompress(payload + _TAIL, MAX_INFLATED)
        except zlib.error:
            continue
        if inflater.unconsumed_tail or inflater.eof:
            continue
        alive.append(inflater)
        texts.append(text)
    good = [i for i, text in enumerate(texts) if _OCPP.match(text)]
    if good and len(good) < len(texts):
        alive, texts = [alive[i] for i in good], [texts[i] for i in good]
    return alive, texts


def _try(inflater: _Decompress, payloads: list[bytes]) -> bytes | None:
    """The last text, if it is whole and none of the others is malformed other than by unknown bytes."""
    text = b""
    for payload in payloads:
        try:
            text = inflater.decompress(payload + _TAIL, MAX_LOST_TEXT * 8)
        except zlib.error:
            return None
        if inflater.unconsumed_tail or inflater.eof:
            return None
        if _UNKNOWN not in text and not _OCPP.match(text):
            return None
    return text if _OCPP.match(text) else None
