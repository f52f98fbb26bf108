"""Charts of a transaction: its energy and its power over time, the power against the limits in force. Pure."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

from ocppscope.render import axes, styled, times
from ocppscope.render.axes import Scale, Tick
from ocppscope.render.canvas import DOTS_ACROSS, DOTS_DOWN
from ocppscope.render.charts import MARGIN, TICK_EVERY, Frame
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.transaction import energy, power

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocppscope.analysis.pages import Curve, LimitStep, TransactionPage

OVER = 1.05
"""A reading above this part of the limit is drawn as too high: meters are not exact."""
MOST = 10**15
"""Figures beyond this are drawn as this."""

Points = list[tuple[int, int]]


def power_chart(page: TransactionPage, *, width: int, height: int, ascii_only: bool = False) -> list[Line]:
    """Power as a line of dots; the limits as dashes, readings above them in another colour."""
    points = _points(page.power)
    limits = [one for one in page.limits if one.watts is not None]
    legend: list[Line] = [(Span(f"peak {power(page.peak_w)}"),)] if points else []
    if limits:
        last = limits[-1]
        sure = "" if last.is_certain else ", as far as is known"
        legend.append((Span("╌", Style.P95), Span(f" limit {last.text}, at most {power(last.watts)}{sure}")))
    if not points:
        return _without("Power", legend, width, height, ascii_only)
    values = [value for _, value in points] + [_whole(one.watts) for one in limits if one.watts is not None]
    frame, across, up = _frame("Power", points, values, legend, width, height, power, ascii_only=ascii_only)
    if frame.is_large_enough:
        _limits(frame, page.limits, across, up)
        over = _over(points, page.limits)
        _line(frame, points, across, up, over)
    return frame.lines()


def energy_chart(page: TransactionPage, *, width: int, height: int, ascii_only: bool = False) -> list[Line]:
    """The register since its first reading."""
    points = _points(page.energy)
    legend: list[Line] = [(Span(f"{energy(page.energy_wh)} in all"),)] if points else []
    if not points:
        return _without("Energy", legend, width, height, ascii_only)
    first = points[0][1]
    points = [(at, value - first) for at, value in points]
    values = [value for _, value in points]
    frame, across, up = _frame("Energy", points, values, legend, width, height, energy, ascii_only=ascii_only)
    if frame.is_large_enough:
        _line(frame, points, across, up, set())
    return frame.lines()


def _points(curve: Curve) -> Points:
    return [(at, _whole(value)) for at, value in zip(curve.times, curve.values, strict=True) if isfinite(value)]


def _whole(value: float) -> int:
    return round(min(max(value, -MOST), MOST)) if value == value else 0  # noqa: PLR0124 - of no number


def _without(title: str, legend: Sequence[Line], width: int, height: int, ascii_only: bool) -> list[Line]:
    frame = Frame(title, styled.join(legend, Span("  ")), width, min(height, 4), margin=MARGIN, ascii_only=ascii_only)
    return frame.nothing()


def _frame(
    title: str, points: Points, values: list[int], legend: Sequence[Line], width: int, height: int,
    said: Callable[[float], str], *, ascii_only: bool,
) -> tuple[Frame, Scale, Scale]:  # fmt: skip
    first, last = points[0][0], points[-1][0]
    heading = f"{title}, {len(points):,} readings, {times.date(first)}"
    frame = Frame(heading, styled.join(legend, Span("  ")), width, height, margin=MARGIN + 2, ascii_only=ascii_only)
    across, up = axes.time_scale(first, last), Scale(min(0, *values), max(1, *values))
    if frame.is_large_enough:
        frame.vertical_axis(_ticks(up, max(frame.down // 2, 1), said), up)
        frame.horizontal_axis(axes.time_ticks(across, frame.across // TICK_EVERY), across, "UTC")
    return frame, across, up


def _ticks(scale: Scale, most: int, said: Callable[[float], str]) -> list[Tick]:
    wanted = max((scale.high - scale.low) // max(most, 1), 1)
    digits: int = 10 ** (len(str(wanted)) - 1)
    step = next(factor * digits for factor in (1, 2, 5, 10, 20) if factor * digits >= wanted)
    first = -(-scale.low // step) * step
    return [Tick(value, said(value) if value else "0") for value in range(first, scale.high + 1, step)]


def _limits(frame: Frame, limits: Sequence[LimitStep], across: Scale, up: Scale) -> None:
    """Dashes where a limit is in force."""
    starts = [one.time_ns for one in limits]
    for column in range(frame.across):
        now = across.low + (across.high - across.low) * column // max(frame.across - 1, 1)
        at = bisect_right(starts, now) - 1
        watts = limits[at].watts if at >= 0 else None
        if watts is not None:
            frame.sheet.put(frame.left + column, frame.row_of(_whole(watts), up), "╌", Style.P95)


def _over(points: Points, limits: Sequence[LimitStep]) -> set[int]:
    """The places of readings that are above the limit in force."""
    starts = [one.time_ns for one in limits]
    found = set()
    for place, (now, value) in enumerate(points):
        at = bisect_right(starts, now) - 1
        watts = limits[at].watts if at >= 0 else None
        if watts is not None and value > watts * OVER:
            found.add(place)
    return found


def _line(frame: Frame, points: Points, across: Scale, up: Scale, over: set[int]) -> None:
    """Dots from reading to reading; a reading itself is drawn last, so that its colour is seen."""
    below = (frame.sheet.height - frame.bottom) * DOTS_DOWN
    long, tall = frame.across * DOTS_ACROSS, frame.down * DOTS_DOWN
    dots = [(across.at(at, long), up.at(value, tall)) for at, value in points]
    left = frame.left * DOTS_ACROSS
    for (x, y), (other_x, other_y) in pairwise(dots):
        steps = max(other_x - x, abs(other_y - y), 1)
        for step in range(steps):
            across_to, up_to = (other_x - x) * step // steps, (other_y - y) * step // steps
            frame.sheet.dot(left + x + across_to, below + y + up_to, Style.BAR)
    for place, (x, y) in enumerate(dots):
        frame.sheet.dot(left + x, below + y, Style.ERROR if place in over else Style.BAR)
