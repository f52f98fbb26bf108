"""Charts as styled lines: latency over time, its distribution, heartbeats against their interval, who was connected.

Each takes plain integers (nanoseconds) and gives exactly `height` lines of at most `width` columns, whatever the
numbers are. Who has more points than a screen can show bins them before. Pure: no clock, no files, no colours.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.render import axes, styled, times
from ocppscope.render.axes import Scale, Tick
from ocppscope.render.canvas import DOTS_ACROSS, DOTS_DOWN, Canvas
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import clip, columns, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_POINTS = 20_000
"""Points that are drawn; of more, the highest of each run."""
LEAST_WIDTH, LEAST_HEIGHT = 24, 6
"""A smaller chart is only its title."""
MAX_LABEL = 26
"""Columns of an action or a station."""
MARGIN = 8
"""Columns of the labels of a vertical axis: a span of six, a space and the axis."""
TICK_EVERY = 12
"""Columns that a tick of a time axis needs."""
BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "nothing to show"


class Stay(NamedTuple):
    """One connection of a station, or one that was refused."""

    opened_ns: int
    closed_ns: int | None = None  # None: still open at the end
    refused: bool = False


class Track(NamedTuple):
    """The connections of one station. The name may come from the wire."""

    station: str
    stays: Sequence[Stay]


class Frame:
    """A sheet with a title, a legend and two axes around a plot."""

    def __init__(self, title: str, legend: Line, width: int, height: int, *, margin: int, ascii_only: bool) -> None:
        self.sheet = Canvas(width, height, ascii_only=ascii_only)
        self.left = margin
        self.top = 2
        self.across = max(self.sheet.width - margin, 0)
        self.down = max(self.sheet.height - 4, 0)
        self._width, self._height = width, height
        self._ascii = ascii_only
        self._write(0, (Span(title, Style.BOLD),))
        self._write(1, legend)

    def _write(self, row: int, line: Line) -> None:
        column = 0
        for span in styled.clip(line, self.sheet.width):
            self.sheet.put(column, row, span.text, span.style)
            column += columns(span.text)

    @property
    def bottom(self) -> int:
        """The row of the horizontal axis."""
        return self.top + self.down

    @property
    def is_large_enough(self) -> bool:
        """Whether there is room for a plot."""
        return self.across >= LEAST_WIDTH - MARGIN and self.sheet.height >= LEAST_HEIGHT

    def shrink(self, rows: int) -> int:
        """Makes the plot no higher than there are rows; how many of them can be shown, one left for a remark."""
        shown = rows if rows <= self.down else max(self.down - 1, 0)
        self.down = min(self.down, rows)
        return shown

    def vertical_axis(self, ticks: Sequence[Tick], scale: Scale) -> None:
        """The axis on the left, with labels."""
        for row in range(self.top, self.bottom):
            self.sheet.put(self.left - 1, row, "│", Style.AXIS)
        for tick in ticks:
            row = self.row_of(tick.value, scale)
            self.sheet.put(self.left - 1, row, "┤", Style.AXIS)
            self.sheet.put(0, row, clip(tick.text, self.left - 2).rjust(self.left - 2), Style.AXIS)

    def horizontal_axis(self, ticks: Sequence[Tick], scale: Scale, unit: str) -> None:
        """The axis at the bottom, with labels that do not touch each other; its unit stands left of them."""
        self.sheet.put(self.left - 1, self.bottom, "└" + "─" * self.across, Style.AXIS)
        self.sheet.put(0, self.bottom + 1, unit[: max(self.left - 1, 0)], Style.AXIS)
        free = self.left
        for tick in ticks:
            column = self.left + scale.at(tick.value, self.across)
            start = min(max(column - len(tick.text) // 2, self.left), self.sheet.width - len(tick.text))
            if start >= free:
                self.sheet.put(column, self.bottom, "┬", Style.AXIS)
                self.sheet.put(start, self.bottom + 1, tick.text, Style.AXIS)
                free = start + len(tick.text) + 1

    def row_of(self, value: int, scale: Scale) -> int:
        """The row in which a value's dot stands."""
        return self.bottom - 1 - scale.at(value, self.down * DOTS_DOWN) // DOTS_DOWN

    def level(self, value: int, scale: Scale, char: str, style: Style) -> None:
        """A line across the plot."""
        self.sheet.put(self.left, self.row_of(value, scale), char * self.across, style)

    def points(self, points: Sequence[tuple[int, int]], across: Scale, up: Scale, style: Style) -> None:
        """A dot a point."""
        below = (self.sheet.height - self.bottom) * DOTS_DOWN
        for time_ns, value in points:
            x = self.left * DOTS_ACROSS + across.at(time_ns, self.across * DOTS_ACROSS)
            self.sheet.dot(x, below + up.at(value, self.down * DOTS_DOWN), style)

    def lines(self) -> list[Line]:
        """The chart; exactly as high as it was asked for."""
        drawn = [styled.ascii_only(line) if self._ascii else line for line in self.sheet.lines()]
        return drawn + [()] * (self._height - len(drawn))

    def nothing(self) -> list[Line]:
        """The chart of no data."""
        if self.sheet.height > 1:
            self._write(self.sheet.height // 2, (Span(f"  ({_NOTHING})", Style.DIM),))
        return self.lines()


def latency(
    points: Sequence[tuple[int, int]],
    unanswered: Sequence[int] = (),
    *,
    title: str = "Latency",
    width: int = 80,
    height: int = 20,
    log: bool = True,
    ascii_only: bool = False,
) -> list[Line]:
    """`(time, latency)` of answers as dots, with median and 95th percentile; times of `unanswered` CALLs on top."""
    values = sorted(axes.bounded(value for _, value in points))
    lost = axes.bounded(unanswered)
    legend: list[Line] = []
    if values:
        legend += _percentiles(values, "─", "╌")
        legend.append((Span(f"max {times.span(values[-1])}"),))
    if lost:
        legend.append((Span("✗", Style.ERROR), Span(f" {len(lost):,} unanswered")))
    moments = axes.bounded(time_ns for time_ns, _ in points) + lost
    frame = _frame(_dated(f"{title}, {len(values):,} answers", moments), legend, width, height, ascii_only)
    if not moments or not frame.is_large_enough:
        return frame.nothing() if not moments else frame.lines()
    across, up = axes.time_scale(min(moments), max(moments)), axes.span_scale(values, log=log)
    frame.vertical_axis(axes.span_ticks(up, frame.down // 2), up)
    _time_axis(frame, across)
    if values:
        frame.level(axes.percentile(values, 95), up, "╌", Style.P95)
        frame.level(axes.percentile(values, 50), up, "─", Style.MEDIAN)
    frame.points(_thinned(points), across, up, Style.BAR)
    for time_ns in lost[:MAX_POINTS]:
        frame.sheet.put(frame.left + across.at(time_ns, frame.across), frame.top, "✗", Style.ERROR)
    return frame.lines()


def jitter(
    moments: Sequence[int],
    expected_ns: int | None = None,
    *,
    title: str = "Heartbeat interval",
    width: int = 80,
    height: int = 20,
    ascii_only: bool = False,
) -> list[Line]:
    """The times from each heartbeat to the next as dots over time, with a line where they are expected."""
    ordered = sorted(axes.bounded(moments))
    gaps = [(after, after - before) for before, after in pairwise(ordered)]
    values = sorted(gap for _, gap in gaps)
    wanted = [] if expected_ns is None else axes.bounded([expected_ns])
    legend: list[Line] = []
    if wanted:
        legend.append((Span("─", Style.MEDIAN), Span(f" expected {times.span(wanted[0])}")))
    if values:
        legend.append((Span(f"median {times.span(axes.percentile(values, 50))}"),))
        legend.append((Span(f"{times.span(values[0])} to {times.span(values[-1])}"),))
    heading = _dated(f"{title}, {len(ordered):,} heartbeats", ordered)
    frame = _frame(heading, legend, width, height, ascii_only)
    if not gaps or not frame.is_large_enough:
        return frame.nothing() if not gaps else frame.lines()
    across, up = axes.time_scale(ordered[0], ordered[-1]), axes.near_scale(values, *wanted)
    frame.vertical_axis(axes.span_ticks(up, frame.down // 2), up)
    _time_axis(frame, across)
    for value in wanted:
        frame.level(value, up, "─", Style.MEDIAN)
    frame.points(_thinned(gaps), across, up, Style.BAR)
    return frame.lines()


def histogram(
    values: Sequence[int],
    *,
    title: str = "Latency",
    width: int = 80,
    height: int = 20,
    ascii_only: bool = False,
) -> list[Line]:
    """How often which latency, in bins that grow by a factor; the scale of the counts is linear."""
    ordered = sorted(axes.bounded(values))
    legend = _percentiles(ordered, "M", "P") if ordered else []
    frame = _frame(f"{visible(title)}, {len(ordered):,} answers", legend, width, height, ascii_only)
    if not ordered or not frame.is_large_enough:
        return frame.nothing() if not ordered else frame.lines()
    across = axes.span_scale(ordered, log=True)
    bins = max(min(frame.across // 3, 60), 1)
    counts = axes.log_counts(ordered, axes.log_edges(across, bins))
    up = Scale(0, max(counts))
    frame.vertical_axis(_count_ticks(max(counts), frame.down // 2), up)
    frame.horizontal_axis(axes.span_ticks(across, frame.across // 7), across, "")
    for place, count in enumerate(counts):
        start, end = frame.across * place // bins, frame.across * (place + 1) // bins
        _column(frame, frame.left + start, end - start - (end - start > 1), count, up.high)
    for percent, mark, style in ((95, "P", Style.P95), (50, "M", Style.MEDIAN)):
        column = frame.left + across.at(axes.percentile(ordered, percent), frame.across)
        frame.sheet.put(column, frame.bottom, mark, style)
    return frame.lines()


def timeline(
    tracks: Sequence[Track],
    first_ns: int | None = None,
    last_ns: int | None = None,
    *,
    title: str = "Connections",
    width: int = 80,
    height: int = 20,
    ascii_only: bool = False,
) -> list[Line]:
    """A row a station: when it was connected, came back, was refused or was away; what part of the time it was there.

    From `first_ns` to `last_ns`; without them from the first to the last event.
    """
    moments = [moment for track in tracks for stay in track.stays for moment in stay[:2] if moment is not None]
    moments = moments or [moment for moment in (first_ns, last_ns) if moment is not None]
    ends: list[int] = []
    if moments:
        ends = axes.bounded([min(moments) if first_ns is None else first_ns])
        ends += axes.bounded([max(moments) if last_ns is None else last_ns])
    marks = (("━", Style.GOOD, "connected"), ("╋", Style.GOOD, "back at once"), ("✗", Style.ERROR, "refused"),
             ("·", Style.DIM, "away"))  # fmt: skip
    names = [visible(track.station, 60) for track in tracks]
    label = min(max(map(columns, names), default=0), MAX_LABEL, max(width // 4, 8))
    legend = styled.join([(Span(mark, style), Span(f" {said}")) for mark, style, said in marks], Span("  "))
    legend += (Span("  % of the time, connections", Style.DIM),)
    heading = _dated(f"{title}, {len(tracks):,} stations", ends)
    frame = Frame(heading, legend, width, height, margin=label + 10, ascii_only=ascii_only)
    if not ends or not frame.is_large_enough:
        return frame.nothing() if not ends else frame.lines()
    scale = axes.time_scale(*ends)
    room = frame.shrink(len(tracks))
    for row, (name, track) in enumerate(zip(names[:room], tracks, strict=False), frame.top):
        share = _connected_share(track.stays, scale)
        opened = sum(not stay.refused for stay in track.stays)
        frame.sheet.put(0, row, clip(name, label), Style.STATION)
        frame.sheet.put(label, row, f"{share:>4}% {min(opened, 999):>3}", Style.NUMBER)
        for column, mark in enumerate(_bars(track.stays, scale, frame.across), frame.left):
            style = {"✗": Style.ERROR, "·": Style.DIM}.get(mark, Style.GOOD)
            frame.sheet.put(column, row, mark, style)
    if len(tracks) > room:
        frame.sheet.put(0, frame.bottom - 1, f"… and {len(tracks) - room} more", Style.DIM)
    _time_axis(frame, scale)
    return frame.lines()


# --- parts ------------------------------------------------------------------------------------------------------


def _frame(title: str, legend: Sequence[Line], width: int, height: int, ascii_only: bool) -> Frame:
    return Frame(title, styled.join(legend, Span("  ")), width, height, margin=MARGIN, ascii_only=ascii_only)


def _dated(title: str, moments: Sequence[int]) -> str:
    """A title with the day, or the days, that the chart covers."""
    if not moments:
        return visible(title)
    first, last = times.date(min(moments)), times.date(max(moments))
    return f"{visible(title)}, {first}" + (f" to {last}" if last != first else "")


def _time_axis(frame: Frame, scale: Scale) -> None:
    frame.horizontal_axis(axes.time_ticks(scale, frame.across // TICK_EVERY), scale, "UTC")


def _percentiles(ordered: Sequence[int], median: str, p95: str) -> list[Line]:
    return [
        (Span(median, Style.MEDIAN), Span(f" median {times.span(axes.percentile(ordered, 50))}")),
        (Span(p95, Style.P95), Span(f" p95 {times.span(axes.percentile(ordered, 95))}")),
    ]


def _thinned(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most `MAX_POINTS` of the points: the highest of each run, since high ones are what one looks for."""
    every = -(-len(points) // MAX_POINTS) or 1
    runs = (points[start : start + every] for start in range(0, len(points), every))
    chosen = points if every == 1 else [max(run, key=lambda point: point[1]) for run in runs]
    moments, values = axes.bounded(point[0] for point in chosen), axes.bounded(point[1] for point in chosen)
    return list(zip(moments, values, strict=True))


def _count_ticks(most: int, ticks: int) -> list[Tick]:
    step = max(-(-most // max(ticks, 1)), 1)
    power: int = 10 ** (len(str(step)) - 1)
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step)
    return [Tick(count, f"{count}") for count in range(0, most + 1, step)]


def _column(frame: Frame, start: int, size: int, count: int, most: int) -> None:
    """One bar, in eighths of a cell; never invisible where there is something."""
    eighths = max(count * frame.down * 8 // max(most, 1), 1 if count else 0)
    for row in range(-(-eighths // 8)):
        block = BLOCKS[min(eighths - row * 8, 8) - 1]
        frame.sheet.put(start, frame.bottom - 1 - row, block * max(size, 1), Style.BAR)


def _bars(stays: Sequence[Stay], scale: Scale, across: int) -> list[str]:
    """A mark a column: what of a station's connections falls into it."""
    marks = ["·"] * across
    edges = {"opened": set[int](), "closed": set[int](), "refused": set[int]()}
    for stay in stays:
        start = scale.at(stay.opened_ns, across)
        if stay.refused:
            edges["refused"].add(start)
            continue
        end = across - 1 if stay.closed_ns is None else scale.at(stay.closed_ns, across)
        marks[start : end + 1] = "━" * (end + 1 - start)
        edges["opened"].add(start)
        if stay.closed_ns is not None:
            edges["closed"].add(end)
    for column in edges["opened"] | edges["closed"]:
        both = column in edges["opened"] and column in edges["closed"]
        marks[column] = "╋" if both else "┣" if column in edges["opened"] else "┫"
    for column in edges["refused"]:
        marks[column] = "✗"
    return marks


def _connected_share(stays: Sequence[Stay], scale: Scale) -> int:
    """The part of the time, in whole percent, in which at least one connection was open."""
    covered, until = 0, scale.low
    for stay in sorted((stay for stay in stays if not stay.refused), key=lambda stay: stay.opened_ns):
        closed = scale.high if stay.closed_ns is None else min(stay.closed_ns, scale.high)
        covered += max(closed - max(stay.opened_ns, until), 0)
        until = max(until, closed)
    return covered * 100 // (scale.high - scale.low)
