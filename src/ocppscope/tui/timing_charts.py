"""Charts of any number of latencies: binned by NumPy into the dots and columns that a screen has, then drawn.

`render.charts` draws what a person could count; this draws a million, on the same frames and axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ocppscope.render import axes, charts, styled, times
from ocppscope.render.axes import Scale
from ocppscope.render.canvas import DOTS_ACROSS, DOTS_DOWN
from ocppscope.render.charts import BLOCKS, MARGIN, TICK_EVERY, Frame
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.tui.timing_figures import Beats, Figures, Latencies

    Numbers = NDArray[np.int64]

DENSE = 4
"""Answers a cell from which on dots would run together: shades and the percentiles of each column are shown then."""
SHADES = "·░▒▓"
"""How many answers fall into a cell: each shade stands for some ten times as many as the one before."""
_CENTURY = 100 * 366 * times.DAY


def latency(found: Latencies, width: int, height: int) -> list[Line]:
    """Each answer as a dot: when its CALL was sent, and how long it took; what got none in time as a cross on top."""
    legend = _legend(found, "─", "╌")
    if len(found.lost):
        legend.append((Span("✗", Style.ERROR), Span(f" {len(found.lost):,} timeouts")))
    moments = _within(np.concatenate((found.moments, found.lost)))
    title = f"Latency of {_name(found)}, {len(found.values):,} answers"
    frame = _frame(title, moments, legend, width, height)
    if not len(moments) or not frame.is_large_enough:
        return frame.lines() if len(moments) else frame.nothing()
    across = axes.time_scale(int(moments.min()), int(moments.max()))
    up = axes.span_scale([found.percentile(0), found.percentile(100)], log=True)
    frame.vertical_axis(axes.span_ticks(up, frame.down // 2), up)
    frame.horizontal_axis(axes.time_ticks(across, frame.across // TICK_EVERY), across, "UTC")
    if len(found.values) > DENSE * frame.across * frame.down:
        _shades(frame, found.moments, found.values, across, up)
    elif len(found.values):
        frame.level(found.percentile(95), up, "╌", Style.P95)
        frame.level(found.percentile(50), up, "─", Style.MEDIAN)
        _dots(frame, found.moments, found.values, across, up)
    if len(found.lost):
        for column in np.unique(places(_within(found.lost), across, frame.across)).tolist():
            frame.sheet.put(frame.left + column, frame.top, "✗", Style.ERROR)
    return frame.lines()


def histogram(found: Latencies, width: int, height: int) -> list[Line]:
    """How often which latency, in bins that grow by a factor."""
    title = f"Latency of {_name(found)}, {len(found.values):,} answers"
    frame = _frame(title, found.moments[:0], _legend(found, "M", "P"), width, height)
    if not len(found.values) or not frame.is_large_enough:
        return frame.lines() if len(found.values) else frame.nothing()
    across = axes.span_scale([found.percentile(0), found.percentile(100)], log=True)
    bins = max(min(frame.across // 3, 60), 1)
    counts = log_counts(found.ordered, across, bins)
    most = int(counts.max())
    up = Scale(0, most)
    frame.vertical_axis(_count_ticks(most, frame.down // 2), up)
    frame.horizontal_axis(axes.span_ticks(across, frame.across // 7), across, "")
    for place, count in enumerate(counts.tolist()):
        start, end = frame.across * place // bins, frame.across * (place + 1) // bins
        _bar(frame, frame.left + start, max(end - start - 1, 1), max(count * frame.down * 8 // most, count > 0))
    for percent, mark, style in ((95, "P", Style.P95), (50, "M", Style.MEDIAN)):
        column = frame.left + across.at(found.percentile(percent), frame.across)
        frame.sheet.put(column, frame.bottom, mark, style)
    return frame.lines()


def spark(ordered: Numbers, across: Scale, width: int) -> str:
    """The distribution in one line, on an axis that it shares with others."""
    if not len(ordered) or width < 1:
        return ""
    counts = log_counts(ordered, across, width)
    most = int(counts.max())
    return "".join(BLOCKS[max(count * 8 // most, 1) - 1] if count else " " for count in counts.tolist())


def jitter(beats: Beats, width: int, height: int) -> list[Line]:
    """The heartbeats of one station."""
    title = f"Heartbeats of {visible(beats.station, 48)}: interval"
    return charts.jitter(beats.moments.tolist(), beats.expected_ns, title=title, width=width, height=height)


def timeline(figures: Figures, width: int, height: int) -> list[Line]:
    """Who was connected when; as high as there are stations, at least `height`."""
    height = max(height, len(figures.tracks) + 4)
    lines = charts.timeline(figures.tracks, figures.first_ns, figures.last_ns, width=width, height=height)
    if figures.more_stations:
        lines.append((Span(f"… and {figures.more_stations:,} more stations", Style.DIM),))
    return lines


# --- parts ---------------------------------------------------------------------------------------------------------


def _name(found: Latencies) -> str:
    return visible(found.action, 60) or "messages without an action"


def _frame(title: str, moments: Numbers, legend: list[Line], width: int, height: int) -> Frame:
    if len(moments):
        first, last = times.date(int(moments.min())), times.date(int(moments.max()))
        title = f"{title}, {first}" + (f" to {last}" if last != first else "")
    return Frame(title, styled.join(legend, Span("  ")), width, height, margin=MARGIN, ascii_only=False)


def _legend(found: Latencies, median: str, p95: str) -> list[Line]:
    if not len(found.values):
        return []
    marks = ((median, Style.MEDIAN, 50, "median"), (p95, Style.P95, 95, "p95"))
    legend: list[Line] = [
        (Span(mark, style), Span(f" {said} {times.span(found.percentile(percent))}"))
        for mark, style, percent, said in marks
    ]
    return [*legend, (Span(f"max {times.span(found.percentile(100))}"),)]


def _within(moments: Numbers) -> Numbers:
    """Moments near their median: a hostile clock may be centuries off."""
    if not len(moments) or int(moments.max()) - int(moments.min()) < _CENTURY:
        return moments
    middle = int(np.median(moments))
    return np.clip(moments, middle - _CENTURY // 2, middle + _CENTURY // 2)


def places(values: Numbers, scale: Scale, length: int) -> Numbers:
    """Where values stand on a scale of so many places: what `Scale.at` says of each."""
    bounded = np.clip(values, scale.low, scale.high)
    if scale.high == scale.low or length <= 1:
        return np.zeros(len(values), np.int64)
    if scale.log:
        part = np.log(bounded / scale.low) / np.log(scale.high / scale.low)
    else:
        part = (bounded - scale.low) / (scale.high - scale.low)
    found: Numbers = np.rint(part * (length - 1)).astype(np.int64)
    return found


def _dots(frame: Frame, moments: Numbers, values: Numbers, across: Scale, up: Scale) -> None:
    wide, high = frame.across * DOTS_ACROSS, frame.down * DOTS_DOWN
    grid = np.zeros((wide, high), np.bool_)
    grid[places(_within(moments), across, wide), places(values, up, high)] = True
    below = (frame.sheet.height - frame.bottom) * DOTS_DOWN
    left = frame.left * DOTS_ACROSS
    for x, y in np.argwhere(grid).tolist():
        frame.sheet.dot(left + x, below + y, Style.BAR)


def _shades(frame: Frame, moments: Numbers, values: Numbers, across: Scale, up: Scale) -> None:
    """A shade a cell, and over them, column by column, the median and the 95th percentile of what was asked then."""
    columns, rows = places(_within(moments), across, frame.across), places(values, up, frame.down)
    cells = np.bincount(columns * frame.down + rows, minlength=frame.across * frame.down)
    shades = np.minimum(np.log10(np.maximum(cells, 1)).astype(np.int64), len(SHADES) - 1)
    for cell in np.flatnonzero(cells).tolist():
        column, row = divmod(cell, frame.down)
        frame.sheet.put(frame.left + column, frame.bottom - 1 - row, SHADES[shades[cell]], Style.BAR)
    order = np.lexsort((rows, columns))
    ordered = rows[order]
    numbers, starts, counts = np.unique(columns[order], return_index=True, return_counts=True)
    for percent, mark, style in ((95, "╌", Style.P95), (50, "─", Style.MEDIAN)):
        at = starts + np.maximum(-(-counts * percent // 100), 1) - 1
        for column, row in zip(numbers.tolist(), ordered[at].tolist(), strict=True):
            frame.sheet.put(frame.left + column, frame.bottom - 1 - row, mark, style)


def log_counts(ordered: Numbers, scale: Scale, bins: int) -> Numbers:
    """How many sorted values fall into each bin of a logarithmic scale; what lies beyond, into the outermost."""
    edges = np.array(axes.log_edges(scale, bins), np.float64)  # round ends may be beyond 64 bits
    ends = np.searchsorted(ordered, edges, "right")
    ends[-1] = len(ordered)
    return np.diff(ends, prepend=0)


def _count_ticks(most: int, ticks: int) -> list[axes.Tick]:
    """Round counts, no more than asked for."""
    least = max(-(-most // max(ticks, 1)), 1)
    power = 10 ** (len(str(least)) - 1)
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
    return [axes.Tick(count, _short(count)) for count in range(0, most + 1, step)]


def _short(count: int) -> str:
    """`5.5k`."""
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:g}{name}"
    return str(count)


def _bar(frame: Frame, column: int, size: int, eighths: int) -> None:
    for row in range(-(-eighths // 8)):
        block = BLOCKS[min(eighths - row * 8, 8) - 1]
        frame.sheet.put(column, frame.bottom - 1 - row, block * size, Style.BAR)
