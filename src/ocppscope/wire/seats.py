"""Places for a limited number of things that take much room; whoever comes when all are taken drives one out."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Seats(Generic[T]):
    """At most `most` of them. Who is driven out is left to chance: stations speak in turn, so that the one that was
    quiet longest would be the one that speaks next, each time."""

    __slots__ = ("_chance", "_most", "_places", "_taken")

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: list[T] = []
        self._places: dict[T, int] = {}
        self._chance = 0

    def __len__(self) -> int:
        """How many are taken."""
        return len(self._taken)

    def __contains__(self, one: T) -> bool:
        """Whether it has one."""
        return one in self._places

    def take(self, one: T) -> T | None:
        """Gives it a place, if it has none; who was driven out."""
        if one in self._places:
            return None
        if len(self._taken) < self._most:
            self._places[one] = len(self._taken)
            self._taken.append(one)
            return None
        self._chance = (self._chance * 1_103_515_245 + 12_345) & 0x7FFF_FFFF  # as C's rand; the high bits are good
        place = (self._chance >> 8) % len(self._taken)
        other = self._taken[place]
        del self._places[other]
        self._taken[place], self._places[one] = one, place
        return other

    def leave(self, one: T) -> None:
        """Its place is free, if it had one."""
        place = self._places.pop(one, None)
        if place is not None and (last := self._taken.pop()) is not one:
            self._taken[place], self._places[last] = last, place
