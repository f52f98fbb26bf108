"""permessage-deflate, one direction of a connection (RFC 7692 §7.2.2), and what to do when part of it is lost.

With context takeover each message may refer to the 32 KiB of text before it. Once a message is missing, the
distances of such references point to the wrong place, and an inflater that goes on would make up plausible wrong
text. So after a loss the context is *in doubt*, and `recovery` tells what can be known all the same. Texts of which
it cannot tell each byte are lost: their known bytes are given, with NUL for the others.

An inflater takes 40 KB, and a fleet has thousands. Of more than `MAX_AWAKE` some *rest*: their contexts are kept
compressed, which takes a tenth of that, and what they tell is the same.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import Problem
from ocppscope.wire.history import TAIL, history_of
from ocppscope.wire.seats import Seats

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
MAX_AWAKE = 1 << 14
"""Inflaters of all connections that are ready for their next message; of more, some rest."""
MAX_RESTING = 64 << 20
"""Bytes in which contexts rest; with more, they are let go, and what refers to them is lost."""
MAX_IN_DOUBT = 1 << 11
"""Directions of all connections whose context is in doubt and sought; of more, some begin their search anew."""


CONTEXT_LOST = "ws.context-lost"
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


class Effort:
    """What the search for lost contexts has cost on all connections together, in bytes of texts."""

    __slots__ = ("narrowed", "tried")

    def __init__(self) -> None:
        self.tried = 0
        self.narrowed = 0


class Contexts:
    """The contexts of all connections."""

    __slots__ = ("awake", "effort", "in_doubt", "lost", "resting")

    def __init__(self) -> None:
        self.awake: Seats[Inflater] = Seats(MAX_AWAKE)
        self.in_doubt: Seats[Inflater] = Seats(MAX_IN_DOUBT)
        self.resting = 0  # bytes
        self.effort = Effort()
        self.lost = 0  # messages that refer to text that is not known; for whoever shows them to count

    def wakes(self, one: Inflater) -> None:
        """A context is known and ready."""
        self.in_doubt.leave(one)
        other = self.awake.take(one)
        if other is not None:
            other.rest()

    def doubts(self, one: Inflater) -> None:
        """A context is in doubt and sought."""
        self.awake.leave(one)
        other = self.in_doubt.take(one)
        if other is not None:
            other.give_up()

    def leaves(self, one: Inflater) -> None:
        """Nothing is kept of a context."""
        self.awake.leave(one)
        self.in_doubt.leave(one)


class Inflater:
    """Inflates the messages of one direction in order.

    `takeover` is False where the sender starts each message afresh (no_context_takeover); `midstream` says that
    there were messages before the first one. `peer` is the inflater of the other direction, if it is known: ids are
    said by both sides. Without `contexts` it is as if there were no other connections.
    """

    __slots__ = (
        "_contexts",
        "_credit",
        "_let_go",
        "_recovery",
        "_resting",
        "_zlib",
        "peer",
        "takeover",
        "verdict",
    )

    def __init__(self, *, takeover: bool, midstream: bool = False, contexts: Contexts | None = None) -> None:
        self.takeover = takeover
        self._contexts = contexts or Contexts()
        self._zlib: _Decompress | None = None  # while there is a context, and it is awake
        self._resting: bytes | None = None  # while there is one that rests: compressed
        self._recovery: Recovery | None = None  # while there is none, and it is sought
        self._let_go = False  # the context was known, and more than may be kept
        self._credit = FIRST_CREDIT
        self.peer: Inflater | None = None
        self.verdict = Inflated(b"")  # on the last message of which something was to be said
        if takeover and not midstream:
            self._begin()

    # --- the context ------------------------------------------------------------------------------------------

    def _begin(self, history: bytes = b"") -> _Decompress:
        """The context is known: this text."""
        self._zlib = inflater = zlib.decompressobj(-15, zdict=history)
        self._recovery, self._let_go = None, False
        self._contexts.wakes(self)
        return inflater

    def _wake(self) -> _Decompress | None:
        """The inflater of the context, None if that is in doubt."""
        if self._resting is None:
            return self._zlib
        history = zlib.decompress(self._resting)
        self._stir()
        return self._begin(history)

    def _stir(self) -> None:
        if self._resting is not None:
            self._contexts.resting -= len(self._resting)
            self._resting = None

    def _lose_context(self) -> None:
        self._zlib = None
        self._contexts.leaves(self)

    def rest(self) -> None:
        """Keeps the context in little room until it is needed; lets go of it where there is none."""
        assert self._zlib is not None
        history, self._zlib = history_of(self._zlib), None
        packed = zlib.compress(history or b"", 1)
        if history is None or self._contexts.resting + len(packed) > MAX_RESTING:
            self._let_go = True
        else:
            self._resting = packed
            self._contexts.resting += len(packed)

    def give_up(self) -> None:
        """Forgets what is known of a context in doubt."""
        self._recovery, self._let_go = None, True

    def release(self) -> None:
        """No message will come."""
        self._stir()
        self._contexts.leaves(self)
        self._zlib = self._recovery = self.peer = None

    def _seek(self, history: bytes | None) -> Recovery:
        """The context is in doubt: a loss comes after this text (None: not known)."""
        from ocppscope.wire.recovery import Recovery  # noqa: PLC0415 - only losses need it

        self._zlib, self._recovery = None, Recovery(history, self._contexts.effort)
        self._contexts.doubts(self)
        return self._recovery

    # --- losses -----------------------------------------------------------------------------------------------

    def lose(self, wire_bytes: int | None) -> None:
        """Some compressed messages are missing, `wire_bytes` long in all (None: not known)."""
        if not self.takeover:
            return
        inflater = self._wake()
        if inflater is not None:
            self._seek(history_of(inflater))
        if self._recovery is not None and self._recovery.blind:
            self._recovery = None  # a loss in the dark: there is too little to find its length by
            self._contexts.leaves(self)
        elif self._recovery is not None:
            self._recovery.lose(wire_bytes)

    # --- messages ---------------------------------------------------------------------------------------------

    def message(self, payload: bytes) -> Inflated:
        """The text of the next message; `payload` is that of all its frames."""
        text = self.text(payload)
        return self.verdict if text is None else Inflated(text)

    def text(self, payload: bytes) -> bytes | None:
        """As `message`, the short way: None where more is to be said of it, which is in `verdict` then."""
        inflater = self._zlib
        if inflater is None:
            inflater = self._wake() if self.takeover else zlib.decompressobj(-15)
            if inflater is None:
                self.verdict = self._in_doubt(payload)
                return None
        room = self._credit + MAX_RATIO * len(payload)
        try:
            text = inflater.decompress(payload + TAIL, room if 0 < room < MAX_INFLATED else self._room(payload))
        except zlib.error:
            self._lose_context()  # half a text may have gone into the history
            self.verdict = Inflated(b"", CORRUPT, lost=True)
            return None
        room -= len(text)
        self._credit = room if room < MAX_CREDIT else MAX_CREDIT
        if inflater.eof and self.takeover:
            # A final block ends the deflate stream; the sender starts a new one (RFC 7692 §7.2.3.4).
            self._begin()
        elif inflater.unconsumed_tail:
            if self.takeover:
                self._begin()
            self.lose(None)
            self.verdict = Inflated(text, TOO_LARGE)
            return None
        return text

    def _room(self, payload: bytes) -> int:
        """Bytes that a compressed payload may inflate to: one direction can't make more of what it sent."""
        return max(1, min(MAX_INFLATED, self._credit + MAX_RATIO * len(payload)))

    def _in_doubt(self, payload: bytes) -> Inflated:
        recovery = self._recovery or self._seek(None)
        try:
            text, unknown, certain, whole = recovery.message(payload, self._room(payload), self._peer_ids)
        except zlib.error:
            recovery.lose(len(payload))
            return Inflated(b"", CORRUPT, lost=True)
        if recovery.cut:
            recovery.lose(None)
            return Inflated(text, TOO_LARGE, lost=not certain)
        let_go, history = self._let_go, recovery.history
        if history is not None:
            self._begin(history)
        if certain:
            return Inflated(text)
        if whole:
            return Inflated(text, CONTEXT_GUESSED)
        return Inflated(text, _lost(unknown, len(text), let_go=let_go), lost=True)

    def _peer_ids(self) -> set[bytes]:
        """The ids of recent messages of the other direction."""
        from ocppscope.wire.recovery import ids_of  # noqa: PLC0415 - only losses need it

        peer = self.peer
        if peer is None or not peer.takeover:
            return set()
        inflater = peer._wake()
        if inflater is not None:
            return ids_of(history_of(inflater) or b"")
        return peer._recovery.ids if peer._recovery is not None else set()


def _lost(unknown: int, length: int, *, let_go: bool) -> Problem:
    why = "was let go, to keep memory bounded, or not captured" if let_go else "was not captured"
    return Problem(CONTEXT_LOST, f"{unknown} of {length} bytes refer to text that {why} (context takeover).")
