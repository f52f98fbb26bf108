"""The events between the rows: connections, gaps, control frames, exchanges that ended without an answer.

Each stands before a row. Bounded, pings apart from the rest, so that a chatty ping cannot push out a close.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from ocppscope.model import ConnectionClosed, ConnectionOpened, ControlFrame, ExchangeEnd, PacketComment, StreamGap

MAX_EVENTS = 1 << 17
"""Events kept other than pings and pongs; the first ones."""
MAX_PINGS = 1 << 17
"""Pings and pongs kept; the first ones."""

OtherEvent = ControlFrame | StreamGap | ExchangeEnd | ConnectionOpened | ConnectionClosed | PacketComment
_CLOSE = 8


class Aside(NamedTuple):
    """An event and the row before which it happened."""

    row: int
    event: OtherEvent


class Between:
    """An ordered list of asides. One thread adds, any thread reads."""

    def __init__(self, max_events: int = MAX_EVENTS, max_pings: int = MAX_PINGS) -> None:
        self._asides: list[Aside] = []
        self._room = [max_events, max_pings]
        self.dropped = 0  # events that found no room
        self.evicted = 0  # events that went with their rows

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._asides)

    def add(self, row: int, event: OtherEvent) -> None:
        """The next event, which happened before `row`, the next row to come."""
        kind = _is_ping(event)
        if not self._room[kind]:
            self.dropped += 1
            return
        self._room[kind] -= 1
        self._asides.append(Aside(row, event))

    def get(self, start: int, stop: int) -> list[Aside]:
        """The events before the rows from `start` to before `stop`."""
        asides = self._asides  # replaced as a whole when rows are evicted
        low = bisect_left(asides, start, key=_row)
        return asides[low : bisect_left(asides, stop, lo=low, key=_row)]

    def evict(self, before: int) -> None:
        """The rows before `before` are gone, and what happened before them."""
        count = bisect_left(self._asides, before, key=_row)
        for aside in self._asides[:count]:
            self._room[_is_ping(aside.event)] += 1
        self._asides = self._asides[count:]
        self.evicted += count


def _row(aside: Aside) -> int:
    return aside.row


def _is_ping(event: OtherEvent) -> bool:
    return type(event) is ControlFrame and event.opcode != _CLOSE
