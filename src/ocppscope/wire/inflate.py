"""permessage-deflate, one direction of a connection (RFC 7692 §7.2.2), and what to do when part of it is lost.

With context takeover each message may refer to the 32 KiB of text before it. Once a message is missing, the
distances of such references point to the wrong place, and an inflater that goes on would make up plausible wrong
text. So after a loss the context is *in doubt*, and `recovery` tells what can be known all the same. Texts of which
it cannot tell each byte are lost: their known bytes are given, with NUL for the others.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import Problem

if TYPE_CHECKING:
    from zlib import _Decompress

    from ocppscope.wire.recovery import Recovery

MAX_INFLATED = 16 << 20
"""Bytes that one message may have when inflated; the rest is cut off and said to be."""
MAX_RATIO = 128
"""How many times its size a payload may inflate to; OCPP stays below 50, a bomb reaches 1000."""
FIRST_CREDIT = 1 << 17
"""Bytes that a direction may inflate to beyond that."""
MAX_CREDIT = 4 << 20
"""Bytes of unused room that a direction can save up."""

_TAIL = b"\x00\x00\xff\xff"

CORRUPT = Problem("ws.deflate-corrupt", "The compressed payload is not valid deflate data.")
CONTEXT_GUESSED = Problem(
    "ws.context-guessed",
    "An earlier compressed message is missing; what this one repeats of it follows from the messages around it.",
)
TOO_LARGE = Problem("ws.inflated-too-large", "The message inflates to more than is believed of OCPP; it was cut.")


class Inflated(NamedTuple):
    """A message's text and what is to be said of it. `lost` text is empty or not to be trusted."""

    text: bytes
    problem: Problem | None = None
    lost: bool = False


class Inflater:
    """Inflates the messages of one direction in order.

    `takeover` is False where the sender starts each message afresh (no_context_takeover); `midstream` says that
    there were messages before the first one. `peer` is the inflater of the other direction, if it is known: ids are
    said by both sides.
    """

    __slots__ = ("_credit", "_recovery", "_zlib", "peer", "takeover", "verdict")

    def __init__(self, *, takeover: bool, midstream: bool = False) -> None:
        self.takeover = takeover
        self._zlib: _Decompress | None = zlib.decompressobj(-15)
        self._recovery: Recovery | None = None
        self._credit = FIRST_CREDIT
        self.peer: Inflater | None = None
        self.verdict = Inflated(b"")  # on the last message of which something was to be said
        if midstream and takeover:
            self._zlib = None

    @property
    def in_doubt(self) -> bool:
        """Whether a loss has left the context unknown."""
        return self._zlib is None

    def lose(self, wire_bytes: int | None) -> None:
        """Some compressed messages are missing, `wire_bytes` long in all (None: not known)."""
        if not self.takeover:
            return
        if self._zlib is not None:
            from ocppscope.wire.recovery import Recovery, history_of  # noqa: PLC0415 - only losses need it

            self._recovery, self._zlib = Recovery(history_of(self._zlib)), None
        if self._recovery is not None and self._recovery.blind:
            self._recovery = None  # a loss in the dark: there is too little to find its length by
        elif self._recovery is not None:
            self._recovery.lose(wire_bytes)

    def message(self, payload: bytes) -> Inflated:
        """The text of the next message; `payload` is that of all its frames."""
        text = self.text(payload)
        return self.verdict if text is None else Inflated(text)

    def text(self, payload: bytes) -> bytes | None:
        """As `message`, the short way: None where more is to be said of it, which is in `verdict` then."""
        inflater = self._zlib
        if inflater is None:
            self.verdict = self._in_doubt(payload)
            return None
        if not self.takeover:
            inflater = zlib.decompressobj(-15)
        room = self._credit + MAX_RATIO * len(payload)
        try:
            text = inflater.decompress(payload + _TAIL, room if 0 < room < MAX_INFLATED else self._room(payload))
        except zlib.error:
            if self.takeover:
                self._zlib = None  # half a text may have gone into the history
            self.verdict = Inflated(b"", CORRUPT, lost=True)
            return None
        room -= len(text)
        self._credit = room if room < MAX_CREDIT else MAX_CREDIT
        if inflater.eof:
            # A final block ends the deflate stream; the sender starts a new one (RFC 7692 §7.2.3.4).
            self._zlib = zlib.decompressobj(-15)
        elif inflater.unconsumed_tail:
            self._zlib = zlib.decompressobj(-15)
            self.lose(None)
            self.verdict = Inflated(text, TOO_LARGE)
            return None
        return text

    def _room(self, payload: bytes) -> int:
        """Bytes that a compressed payload may inflate to: one direction can't make more of what it sent."""
        return max(1, min(MAX_INFLATED, self._credit + MAX_RATIO * len(payload)))

    def _in_doubt(self, payload: bytes) -> Inflated:
        from ocppscope.wire.recovery import Recovery  # noqa: PLC0415 - only losses need it

        recovery = self._recovery = self._recovery or Recovery(None)
        try:
            text, unknown, certain, whole = recovery.message(payload, self._room(payload), self._peer_ids)
        except zlib.error:
            recovery.lose(len(payload))
            return Inflated(b"", CORRUPT, lost=True)
        if recovery.cut:
            recovery.lose(None)
            return Inflated(text, TOO_LARGE, lost=not certain)
        if recovery.history is not None:
            self._zlib = zlib.decompressobj(-15, zdict=recovery.history)
            self._recovery = None
        if certain:
            return Inflated(text)
        return Inflated(text, CONTEXT_GUESSED) if whole else Inflated(text, _lost(unknown, len(text)), lost=True)

    def _peer_ids(self) -> set[bytes]:
        """The ids of recent messages of the other direction."""
        from ocppscope.wire.recovery import history_of, ids_of  # noqa: PLC0415 - only losses need it

        if self.peer is None:
            return set()
        if self.peer._zlib is not None:
            return ids_of(history_of(self.peer._zlib) or b"")
        return self.peer._recovery.ids if self.peer._recovery is not None else set()


def _lost(unknown: int, length: int) -> Problem:
    words = f"{unknown} of {length} bytes refer to text that was not captured (context takeover)."
    return Problem("ws.context-lost", words)
