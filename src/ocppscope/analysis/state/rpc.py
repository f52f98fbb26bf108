"""The exchange of CALLs and answers: tells of what is out of the ordinary, so that rules need not look at each one.

Its phases (`slow`, `erred`, `overlapping`, `crossing`, `repeated`, `opening`) say which ones are worth a look.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ocppscope.analysis.happenings import (
    Closed,
    Forgotten,
    LeftOpen,
    Misanswered,
    Objected,
    Unpaired,
    answered,
    asked,
    objected,
)
from ocppscope.model import Kind, Outcome

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.happenings import Happening
    from ocppscope.analysis.station import Exchange
    from ocppscope.model import Message

SLOW_NS = 1_000_000_000
"""Latency from which an answer is told of as slow."""
OPENING = 16
"""Messages of a connection that are its opening."""
MAX_SENDS = 16
"""SENDs of a connection that are remembered, the latest."""

_DAMAGE = "ws.lost-bytes", "ws.context-lost", "ws.too-large", "ws.unfinished-message", "ws.deflate-corrupt"
_ANSWERS = frozenset({Kind.CALLRESULT, Kind.CALLERROR})


class RpcTracker:
    """Follows the exchanges of all stations. What it keeps goes with the connection."""

    actions: tuple[str, ...] = ()

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._answered: tuple[dict[int, Exchange], dict[int, Exchange]] = ({}, {})  # by caller: a connection's latest
        self._sends: dict[int, deque[Exchange]] = {}
        bus.subscribe(asked(), self._ask)
        bus.subscribe(answered(), self._answer)
        bus.subscribe(Unpaired, self._unpaired)
        bus.subscribe(objected(*_DAMAGE), self._unreadable)
        bus.subscribe((Closed, LeftOpen, Forgotten), self._forget)

    def _ask(self, x: Exchange) -> None:
        x.link.asked_ns[x.side] = x.asked_ns
        if x.kind is Kind.SEND:
            self._sends.setdefault(x.link.number, deque(maxlen=MAX_SENDS)).append(x)
        elif x.concurrent:
            self._bus.exchange("overlapping", x)
        if x.link.outstanding[1 - x.side]:
            self._bus.exchange("crossing", x)
        if x.outcome is Outcome.RESENT or x.outcome is Outcome.REUSED_ID:
            self._bus.exchange("repeated", x)
        elif x.ordinal < OPENING:
            self._bus.exchange("opening", x)

    def _answer(self, x: Exchange) -> None:
        self._answered[x.side][x.link.number] = x
        if x.link.outstanding[x.side]:
            _pass(x)
        if x.error:
            self._bus.exchange("erred", x)
        if (x.latency_ns or 0) > SLOW_NS:
            self._bus.exchange("slow", x)

    def _unpaired(self, happening: Unpaired) -> None:
        message = happening.message
        x = self._not_to_be_answered(message) if message.id and message.outcome is Outcome.ORPHAN else None
        if x is not None:
            where = happening.station, happening.link, happening.time_ns, happening.source
            self._bus.happens(Misanswered(*where, message, x))

    def _not_to_be_answered(self, message: Message) -> Exchange | None:
        """What a message answers that may not be: its sender got it as an answer, or as a SEND."""
        x = self._answered[message.side].get(message.connection)
        if message.kind is Kind.CALLERROR and x is not None and x.id == message.id:
            return x
        sends = self._sends.get(message.connection, ()) if message.kind in _ANSWERS else ()
        return next((one for one in sends if one.id == message.id and one.side != message.side), None)

    @staticmethod
    def _unreadable(objected_: Objected) -> None:
        """What was captured but cannot be read is as good as missing: it may have been an answer."""
        station, link = objected_.station, objected_.link
        if link is not None:
            station.gap_ns = link.gap_ns = objected_.time_ns

    def _forget(self, happening: Happening) -> None:
        if happening.link is not None:
            number = happening.link.number
            self._sends.pop(number, None)
            for latest in self._answered:
                latest.pop(number, None)


def _pass(x: Exchange) -> None:
    """Marks the CALL before an answered one, if it still waits."""
    waiting = x.link.outstanding[x.side]
    for ordinal in reversed(waiting):
        if ordinal < x.ordinal:
            waiting[ordinal].passed = True
            return
