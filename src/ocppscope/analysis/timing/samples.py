"""Measurements in columns, 8 bytes each, with the hours that they were made in; percentiles."""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import pairwise
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ocppscope.analysis.timing.figures import ENOUGH_FOR_P95, ENOUGH_FOR_P99, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MAX_KEPT = 4096
"""Measurements that a series keeps; of more, every second is let go, again and again. Least and most stay exact."""
MAX_HOURS = 31 * 24
"""Hours that a series tells apart; what comes later belongs to the last one."""
LARGEST = 1 << 62
"""A measurement beyond this is taken for this."""


class Mark(NamedTuple):
    """Where an hour begins in a series."""

    hour: int  # since the epoch
    kept: int  # the first of the kept values
    n: int  # how many there were before it


@lru_cache(32)
def _hour(hour: int) -> tuple[Mark, int]:
    """The mark of an hour that is the first one of a series, and its end in ns: the same objects for all series."""
    return Mark(hour, 0, 0), (hour + 1) * HOUR


class Column:
    """Whole-numbered measurements of one thing in order of time, all of them."""

    __slots__ = ("counts", "end_ns", "marks", "values")

    def __init__(self) -> None:
        self.values: array[Any] = array("q")
        self.counts: dict[str, float] = {}
        self.marks: list[Mark] = []
        self.end_ns = -LARGEST  # of the hour

    @property
    def n(self) -> int:
        """How many."""
        return len(self.values)

    @property
    def stride(self) -> int:
        """How many measurements each of the values stands for."""
        return 1

    def count(self, name: str, amount: float = 1) -> None:
        """Adds to a counter."""
        self.counts[name] = self.counts.get(name, 0) + amount

    def extend(self, values: NDArray[Any], times: NDArray[np.int64]) -> None:
        """More of them, and when each was made, ns, in order."""
        while len(values):
            if times[0] >= self.end_ns:
                self.turn(int(times[0]))
            stop = len(values) if times[-1] < self.end_ns else max(int(np.searchsorted(times, self.end_ns)), 1)
            self.take(values[:stop])
            values, times = values[stop:], times[stop:]

    def take(self, values: NDArray[Any]) -> None:
        """More of the present hour."""
        self.values.frombytes(values.astype(self.values.typecode, copy=False).tobytes())

    def turn(self, now: int) -> None:
        """Another hour begins; `now` in ns."""
        first, self.end_ns = _hour(now // HOUR)
        if len(self.marks) < MAX_HOURS:
            self.marks.append(Mark(first.hour, len(self.values), self.n) if len(self.values) else first)

    def part(self) -> Part:
        """All of it."""
        values = np.array(self.values)
        return Part(values, 1, len(values), values.min(initial=LARGEST), values.max(initial=-LARGEST))

    def hours(self) -> Iterator[tuple[int, Part]]:
        """Each hour; least and most are those of what is kept."""
        marks = [*self.marks, Mark(0, len(self.values), self.n)]
        for begin, end in pairwise(marks):
            values = np.array(self.values[begin.kept : end.kept])
            if len(values):
                yield begin.hour, Part(values, self.stride, end.n - begin.n, values.min(), values.max())


class Series(Column):
    """Measurements of one thing in order of time; of many only some are kept."""

    __slots__ = ("_high", "_low", "_n", "_stride")

    def __init__(self, *, whole: bool = True) -> None:
        super().__init__()
        if not whole:
            self.values = array("d")
        self._stride = 1
        self._n = 0  # of these three: only where some were let go
        self._low: float = LARGEST
        self._high: float = -LARGEST

    @property
    def n(self) -> int:
        """How many, kept or not."""
        return len(self.values) if self._stride == 1 else self._n

    @property
    def stride(self) -> int:
        """How many measurements each of the values stands for."""
        return self._stride

    def add(self, value: float, now: int) -> None:
        """One more; `now` in ns. What is no number is left out."""
        if now >= self.end_ns:
            self.turn(now)
        if not -LARGEST <= value <= LARGEST:
            if isnan(value):
                return
            value = LARGEST if value > 0 else -LARGEST
        if self._stride == 1:
            self.values.append(value)
            if len(self.values) >= MAX_KEPT:
                self._thin()
        else:
            self._add_to_many(value)

    def _add_to_many(self, value: float) -> None:
        self._low, self._high = min(self._low, value), max(self._high, value)
        if not self._n % self._stride:
            self.values.append(value)
        self._n += 1
        if len(self.values) >= MAX_KEPT:
            self._thin()

    def take(self, values: NDArray[Any]) -> None:
        """More of the present hour."""
        n = self.n
        super().take(values[-n % self._stride :: self._stride])
        if self._stride > 1:
            self._n = n + len(values)
            self._low, self._high = min(self._low, values.min().item()), max(self._high, values.max().item())
        while len(self.values) >= MAX_KEPT:
            self._thin()

    def _thin(self) -> None:
        if self._stride == 1:
            self._n = len(self.values)
            self._low, self._high = min(self.values), max(self.values)
        self.values = self.values[::2]
        self._stride *= 2
        self.marks = [Mark(hour, (kept + 1) // 2, n) for hour, kept, n in self.marks]

    def part(self) -> Part:
        """All of it."""
        if self._stride == 1:
            return super().part()
        return Part(np.array(self.values), self._stride, self._n, self._low, self._high)


def groups(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[tuple[int, slice]]]:
    """An order that puts equal codes together and else keeps it, and where each code stands in it."""
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)][: len(starts)]
    return order, [
        (code, slice(start, end)) for code, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True)
    ]


class Part(NamedTuple):
    """Measurements that go into a row."""

    values: NDArray[np.int64 | np.float64]
    stride: int  # how many each stands for
    n: int
    low: float
    high: float

    def less(self, amount: float) -> Part:
        """Each reduced by an amount, and none below zero."""
        low, high = max(0, self.low - amount), max(0, self.high - amount)
        return Part(np.maximum(self.values - int(amount), 0), self.stride, self.n, low, high)

    def behind(self, reference: float) -> Part:
        """How far each is below a reference; those above it are at it."""
        low, high = max(0, reference - self.high), max(0, reference - self.low)
        return Part(np.maximum(int(reference) - self.values, 0), self.stride, self.n, low, high)


class Spread(NamedTuple):
    """How measurements are spread."""

    n: int
    low: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    high: float | None = None


def spread(parts: Sequence[Part]) -> Spread:
    """The spread of measurements, percentiles by nearest rank."""
    n = sum(one.n for one in parts)
    parts = [one for one in parts if len(one.values)]
    if not parts:
        return Spread(n)
    found = percentiles(parts, (50, 95, 99))
    return Spread(
        n, _plain(min(one.low for one in parts)), found[0], found[1] if n >= ENOUGH_FOR_P95 else None,
        found[2] if n >= ENOUGH_FOR_P99 else None, _plain(max(one.high for one in parts)),
    )  # fmt: skip


def percentiles(parts: Sequence[Part], wanted: Sequence[int]) -> list[float]:
    """By nearest rank: the least value that so many per cent are not above. `parts` hold something."""
    values = np.concatenate([one.values for one in parts])
    if all(one.stride == 1 for one in parts):
        places = [_rank(len(values), percent) - 1 for percent in wanted]
        values.partition(sorted(set(places)))
        return [_plain(values[place]) for place in places]
    weights = np.concatenate([np.full(len(one.values), one.stride) for one in parts])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    total = int(reached[-1])
    places = np.searchsorted(reached, [_rank(total, percent) for percent in wanted]).tolist()
    return [_plain(values[order[place]]) for place in places]


def _rank(n: int, percent: int) -> int:
    return max(-(-n * percent // 100), 1)


def _plain(value: float) -> float:
    """Python's own number."""
    return value.item() if isinstance(value, np.generic) else value
