"""Readings of a meter: a time and a value each, in 16 bytes. As tuples they would take seven times as much."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LATEST_NS = (1 << 63) - 1
"""Times beyond, of a clock that shows the year 2262, count as this."""


class Readings:
    """The latest `most` readings, oldest first."""

    __slots__ = ("_times", "_values", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._times: array[int] | None = None  # until there is one: an empty array takes 80 bytes
        self._values: array[float] | None = None

    def append(self, reading: tuple[int, float]) -> None:
        """Adds a time in ns and a value; the oldest may have to go."""
        at, value = reading
        times, values = self._times, self._values
        if times is None or values is None:
            if not self.most:
                return
            times = self._times = array("q")
            values = self._values = array("d")
        if not -LATEST_NS <= at <= LATEST_NS:
            at = LATEST_NS if at > 0 else -LATEST_NS
        times.append(at)
        values.append(value)
        if len(times) > self.most:
            del times[0], values[0]

    def __eq__(self, other: object) -> bool:
        """By content."""
        return isinstance(other, Readings) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __len__(self) -> int:
        """How many are kept."""
        return 0 if self._times is None else len(self._times)

    def __getitem__(self, place: int) -> tuple[int, float]:
        """One of them; raises IndexError."""
        if self._times is None or self._values is None:
            raise IndexError(place)
        return self._times[place], self._values[place]

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """All of them."""
        return zip(self._times or (), self._values or (), strict=True)
