"""Axes of text charts: where readable ticks stand, on time, on spans of time, linear and logarithmic; and binning.

Pure numbers and short texts. Takes any integers: whatever no chart can show is brought within `MAX_NUMBER`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.render import times
from ocppscope.render.times import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_NUMBER = 10**21
"""Numbers beyond this (30,000 years in nanoseconds) are drawn as this."""
MAX_TICKS = 100
LEAST_SPAN = 1_000
"""The smallest span that a logarithmic axis shows, in nanoseconds; smaller ones are drawn as this."""

_MS = 1_000_000
_STEPS = (
    *(factor * 10**power for power in range(3, 9) for factor in (1, 2, 5)),
    *(SECOND * factor for factor in (1, 2, 5, 10, 15, 30)),
    *(MINUTE * factor for factor in (1, 2, 5, 10, 15, 30)),
    *(HOUR * factor for factor in (1, 2, 3, 6, 12)),
    *(DAY * factor for factor in (1, 2, 7, 14, 28, 91, 182, 365, 730, 1825, 3650)),
)
"""Distances of ticks on a time axis that read well."""


class Tick(NamedTuple):
    """A tick: the value where it stands, and its text."""

    value: int
    text: str


class Scale(NamedTuple):
    """Values from `low` to `high` on a line of some length."""

    low: int
    high: int
    log: bool = False

    def at(self, value: int, length: int) -> int:
        """Where a value stands: 0 to `length` - 1; values beyond an end stand at it."""
        value = min(max(value, self.low), self.high)
        if self.high == self.low or length <= 1:
            return 0
        if self.log:
            part = math.log(value / self.low) / math.log(self.high / self.low)
            return round(part * (length - 1))
        return (value - self.low) * (length - 1) // (self.high - self.low)


def bounded(values: Iterable[int]) -> list[int]:
    """The values, each within `MAX_NUMBER`."""
    return [min(max(value, -MAX_NUMBER), MAX_NUMBER) for value in values]


def time_scale(first_ns: int, last_ns: int) -> Scale:
    """From one point in time to another; at least a millisecond."""
    low, high = bounded((min(first_ns, last_ns), max(first_ns, last_ns)))
    return Scale(low, high) if high - low >= _MS else Scale(low, low + _MS)


def span_scale(values: Sequence[int], *, log: bool) -> Scale:
    """A scale of spans that holds all values, with round ends."""
    values = bounded(values) or [0]
    if log:
        low = 10 ** int(math.log10(max(min(values), LEAST_SPAN)))
        high = _round_up(max(*values, LEAST_SPAN, low + 1))
        return Scale(low, max(high, low * 10), True)
    low, high = min(0, *values), max(0, *values)
    return Scale(low, high) if high > low else Scale(low, low + _MS)


def near_scale(values: Sequence[int], *always: int) -> Scale:
    """A linear scale around values that lie close together; a tenth more at each end."""
    all_values = bounded([*values, *always]) or [0]
    low, high = min(all_values), max(all_values)
    margin = max((high - low) // 10, abs(high) // 100, _MS)
    return Scale(low - margin if low < 0 else max(low - margin, 0), high + margin)


def _round_up(value: int) -> int:
    """The next of 1, 2, 5, 10, … times a power of ten."""
    power: int = 10 ** (len(str(value)) - 1)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)


def time_ticks(scale: Scale, most: int) -> list[Tick]:
    """At most so many ticks at round points in time (UTC), with as much of the date and time as tells them apart."""
    wanted = (scale.high - scale.low) / max(most, 1)
    step = next((step for step in _STEPS if step >= wanted), int(wanted) + 1)
    first = -(-scale.low // step) * step
    points = range(first, scale.high + 1, step)[:MAX_TICKS]
    pattern = "%H:%M:%S" if step < MINUTE else "%H:%M" if step < DAY else "%Y-%m-%d"
    ticks = []
    for point in points:
        second, rest = divmod(point, SECOND)
        text = times.strftime(pattern, second)
        if step < SECOND:
            text += f".{rest // _MS:03}" if step >= _MS else f".{rest // 1000:06}"
        elif step < DAY and point % DAY == 0:
            text = times.strftime("%m-%d", second)
        ticks.append(Tick(point, text))
    return ticks[: max(most, 0) + 1]


def span_ticks(scale: Scale, most: int) -> list[Tick]:
    """At most so many ticks at round spans."""
    if scale.log:
        return _log_ticks(scale, most)
    wanted = max((scale.high - scale.low) // max(most, 1), 1)
    step = next((step for step in _STEPS if step >= wanted), _round_up(wanted))
    first = -(-scale.low // step) * step
    points = range(first, scale.high + 1, step)[: max(most, 1) + 1]
    return [Tick(point, short(point)) for point in points]


def _log_ticks(scale: Scale, most: int) -> list[Tick]:
    """Powers of ten, and 2 and 5 times these where there is room."""
    powers = [10**power for power in range(len(str(scale.low)) - 1, len(str(scale.high)))]
    for factors in ((1, 2, 5), (1, 5), (1,)):
        points = [power * factor for power in powers for factor in factors]
        points = [point for point in points if scale.low <= point <= scale.high]
        if len(points) <= most:
            break
    every = -(-len(points) // max(most, 1))
    return [Tick(point, decade(point)) for point in points[::every]]


def short(span_ns: int) -> str:
    """A span as `times.span` writes it, without the decimals that a round one does not need."""
    for unit, name in ((SECOND, "s"), (_MS, "ms"), (1000, "µs")):
        if span_ns % unit == 0 and abs(span_ns) < min(unit * 1000, MINUTE):
            return f"{span_ns // unit}{name}" if span_ns else "0"
    return times.span(span_ns)


def decade(span_ns: int) -> str:
    """A round span, shorter than `times.span` writes it: `10ms`, `2s`, `100s`."""
    for unit, name in ((SECOND, "s"), (_MS, "ms"), (1000, "µs")):
        if span_ns >= unit:
            return f"{span_ns // unit}{name}" if span_ns < 10**14 else times.span(span_ns)
    return f"{span_ns}ns"


def log_edges(scale: Scale, count: int) -> list[int]:
    """The upper edges of `count` bins of a logarithmic scale."""
    ratio = scale.high / scale.low
    return [round(scale.low * ratio ** ((place + 1) / count)) for place in range(count)]


def log_counts(values: Sequence[int], edges: Sequence[int]) -> list[int]:
    """How many values fall into each bin; those beyond the ends count in the outermost."""
    counts = [0] * len(edges)
    for value in values:
        counts[min(bisect_left(edges, value), len(edges) - 1)] += 1
    return counts


def percentile(values: Sequence[int], percent: int) -> int:
    """The nearest-rank percentile of sorted values."""
    return values[max(-(-len(values) * percent // 100), 1) - 1]
