"""What the readers of all dialects have in common: what they are given, what they count, and how they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ocppscope.capture.dialects.clock import Times, Zone, instant_in
from ocppscope.capture.dialects.dialect import Tally
from ocppscope.capture.dialects.sides import Sides
from ocppscope.capture.logoptions import nobody

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.capture.entries import Entry
    from ocppscope.capture.logoptions import SenderOf
    from ocppscope.model import Side

MAX_SESSIONS = 1 << 16
"""Names of connections that are remembered; of more, the oldest are taken for new ones."""
NAMELESS = "station"
"""The identity in logs that name none."""


class Sessions:
    """Numbers for the names that logs have for connections; one for all logs that are read together."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._next = 0

    def number(self, name: str) -> int:
        """The number of a connection."""
        found = self._numbers.get(name)
        if found is None:
            if len(self._numbers) >= MAX_SESSIONS:
                del self._numbers[next(iter(self._numbers))]
            found = self._numbers[name] = self._next
            self._next += 1
        return found


class Context:
    """What a reader of one log is given. `first` are the lines that are known before reading begins."""

    def __init__(
        self,
        first: Iterable[str] = (),
        *,
        zone: Zone | None = None,
        sender_of: SenderOf = nobody,
        sessions: Sessions | None = None,
    ) -> None:
        self.first = list(first)
        self.zone = zone or Zone()
        self.sender_of = sender_of
        self.sessions = sessions or Sessions()
        self.tally = Tally()
        self.sides: Sides | None = None
        self.times: Times | None = None

    def open_sides(self, writer: Side | None) -> Sides:
        """Who decides whose messages are."""
        self.sides = Sides(writer, self.sender_of)
        return self.sides

    def open_times(self, zone_ns: int | None = None) -> Times:
        """Who reads times."""
        instant = next((found for found in map(instant_in, self.first) if found), "")
        self.times = Times(self.zone, self.tally, instant, zone_ns)
        return self.times


class LineReader(Protocol):
    """Lines in, entries out, as they come."""

    def line(self, number: int, text: str) -> Iterable[Entry]:
        """The next line, counted from 1, without its end."""

    def finish(self) -> Iterable[Entry]:
        """The log is over."""
