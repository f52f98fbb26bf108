"""Which connections are legs of one session: taken before and behind a proxy, or on several interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ocppscope.model import Flow

LEG_WINDOW_NS = 2_000_000_000
"""How far apart the same upgrade or message may be seen on two legs of one session."""
MAX_CLUES = 4096
"""Upgrades and first messages that are remembered to recognise another leg by."""


class _Sighting(NamedTuple):
    """Where and when an upgrade or a message was seen first."""

    number: int
    flow: Flow
    time_ns: int


class Legs:
    """What was seen last, and on which connection."""

    def __init__(self) -> None:
        self._sightings: dict[int, _Sighting] = {}  # by the hash of the clue, which may be long

    def __len__(self) -> int:
        """The clues that are remembered."""
        return len(self._sightings)

    def of(self, clue: object, number: int, flow: Flow, time_ns: int) -> int | None:
        """The connection of whose session that of a number repeats what `clue` names; None if it is the first.

        The same key or message id alone proves nothing, since careless stations use constant ones: the flows must
        differ in more than the station's port, and the two sightings must be close.
        """
        name = hash(clue)
        known = self._sightings.get(name)
        if known is None or abs(time_ns - known.time_ns) > LEG_WINDOW_NS:
            self._sightings.pop(name, None)
            if len(self._sightings) >= MAX_CLUES:
                del self._sightings[next(iter(self._sightings))]
            self._sightings[name] = _Sighting(number, flow, time_ns)
            return None
        if known.flow.server == flow.server and known.flow.client.address == flow.client.address:
            return None
        return known.number
