"""Sentences that stations cause again and again: the first of a kind is told at once, further ones are counted.

A fleet that cannot reach its CSMS tries for hours. Has no clock of its own, and decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_NS = 10_000_000_000
"""Between two tellings of a kind."""
MAX_KINDS = 50
"""Kinds that are told apart; of more, the one that was told first is told at once again."""


class Repeated:
    """What was told when, and how often it came since. `clock` counts nanoseconds."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], int]) -> None:
        self._tell, self._clock = tell, clock
        self._told: dict[str, tuple[int, int]] = {}  # kind: when it was told, and how often it came since

    def say(self, kind: str, who: str) -> None:
        """`who` has this trouble."""
        known = self._told.get(kind)
        if known is not None:
            self._told[kind] = known[0], known[1] + 1
            return
        if len(self._told) >= MAX_KINDS:
            oldest = next(iter(self._told))
            self._count(oldest, self._told.pop(oldest)[1])
        self._told[kind] = self._clock(), 0
        self._tell(f"{who}: {kind}")

    def look(self) -> None:
        """Tells what came again, if it is time; what did not is forgotten. To be called now and then."""
        now = self._clock()
        for kind, (told, again) in list(self._told.items()):
            if now - told >= EVERY_NS:
                del self._told[kind]
                if again:
                    self._told[kind] = now, 0
                self._count(kind, again)

    def end(self) -> None:
        """Tells what is not told yet."""
        for kind, (_, again) in self._told.items():
            self._count(kind, again)
        self._told.clear()

    def _count(self, kind: str, again: int) -> None:
        if again:
            self._tell(f"{again:,} more {'time' if again == 1 else 'times'}: {kind}")
