"""Who said a message, where the log's own words leave it open.

"Sent" and "received" mean something only if one knows who wrote the log; where both sides use a software, the actions
of the CALLs tell. Which side an action belongs to is told from outside: nothing here knows OCPP.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocppscope.capture.dialects.dialect import Way
from ocppscope.model import Side

if TYPE_CHECKING:
    from ocppscope.capture.logoptions import SenderOf

MAX_CALLS = 4096
"""CALLs whose sender is remembered for their answers."""
ENOUGH = 3
"""So many more CALLs for one than for the other decide who wrote the log."""

SIDE_OF = {Way.FROM_STATION: Side.STATION, Way.FROM_CSMS: Side.CSMS}
_HEAD = re.compile(r'\s*\[\s*([2-6])\s*,\s*"((?:[^"\\]|\\.){0,200})"\s*,\s*(?:"(\w{1,50})")?', re.ASCII)


class Sides:
    """Decides message by message, for one log."""

    def __init__(self, writer: Side | None, sender_of: SenderOf) -> None:
        self.writer = writer  # None: not known yet
        self.is_decided = writer is not None  # from the beginning
        self.is_assumed = False  # nothing told, so that the CSMS is taken for the writer
        self.evidence = ""  # the action that decided
        self._sender_of = sender_of
        self._votes = [0, 0]
        self._callers: dict[str, Side] = {}

    def vote(self, way: Way, text: str) -> None:
        """Learns from a message who wrote the log."""
        found = _HEAD.match(text) if self.writer is None else None
        if found is None or found[1] not in "26" or way not in (Way.SENT, Way.RECEIVED):
            return
        sender = self._sender_of(found[3] or "")
        if sender is not None:
            writer = sender if way is Way.SENT else sender.other
            self._votes[writer] += 1
            if abs(self._votes[0] - self._votes[1]) >= ENOUGH:
                self.settle()
            self.evidence = self.evidence or found[3]

    def settle(self) -> None:
        """Decides by what is known now, if anything is."""
        station, csms = self._votes
        if self.writer is None and station != csms:
            self.writer = Side.STATION if station > csms else Side.CSMS

    def assume(self) -> None:
        """Decides even if nothing is known."""
        self.settle()
        if self.writer is None:
            self.writer, self.is_assumed = Side.CSMS, True

    def of(self, way: Way, text: str) -> Side | None:
        """Who said it; None where nothing tells."""
        side = SIDE_OF.get(way)
        if side is not None:
            return side
        if way is Way.UNSAID:
            return self._by_content(text)
        assert self.writer is not None
        return self.writer if way is Way.SENT else self.writer.other

    def _by_content(self, text: str) -> Side | None:
        found = _HEAD.match(text)
        if found is None:
            return None
        kind, id_, action = found[1], found[2], found[3]
        if kind in "26":
            sender = self._sender_of(action or "")
            if sender is not None:
                if len(self._callers) >= MAX_CALLS:
                    del self._callers[next(iter(self._callers))]
                self._callers[id_] = sender
            return sender
        caller = self._callers.get(id_)
        if caller is None:
            return None
        return caller if kind == "5" else caller.other
