"""The figures of the diagnosis as a tree: families, their figures over all stations, below each those of a station.

Made of rows alone. Knows no widget.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.analysis.timing.figures import FAMILIES, FIGURES, Row
from ocppscope.analysis.vantage import WORDS
from ocppscope.model import Side
from ocppscope.render import styled, times
from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.render.textlog import ARROWS
from ocppscope.tui.findings_table import SIGNS, STYLES
from ocppscope.tui.stations_table import count

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NAME = 48
"""Characters of a station or an action that are shown."""
COLUMNS = ("min", "p50", "p95", "p99", "max")
CELL, CASES = 8, 8
"""Columns of a figure, and of the number of cases."""
WIDEST_NAME = 44
LEAST_WORDS = 8
"""Columns below which what belongs to a figure is left out."""
_BIG = 1e15
_ARROWS = {side.label: arrow for side, arrow in zip(Side, ARROWS, strict=True)}
"""By who asked."""

Key = tuple[str, ...]


class FigureItem(NamedTuple):
    """A line: a family, a figure, or with `row` one of its rows."""

    key: Key
    line: Line = EMPTY
    row: Row | None = None
    opens: bool = False
    parent: Key = ()


def name_width(width: int) -> int:
    """Columns of names, where the numbers need the others."""
    return min(max(width - CASES - CELL * len(COLUMNS) - 4, 16), WIDEST_NAME)


def heading(width: int) -> Line:
    """The titles."""
    cells = "".join(f"{name:>{CELL}}" for name in COLUMNS)
    return (Span(f"    {'figure':<{name_width(width)}}{'n':>{CASES}}{cells}", Style.DIM),)


def items(rows: Sequence[Row], opened: set[Key], width: int) -> list[FigureItem]:
    """All lines that are to be seen."""
    by_figure: dict[str, list[Row]] = {}
    for row in rows:
        by_figure.setdefault(row.figure, []).append(row)
    found: list[FigureItem] = []
    family = ""
    for name, own in by_figure.items():
        figure = FIGURES.get(name)
        if figure is not None and figure.family != family:
            family = figure.family
            found.append(FigureItem(("family", family), (Span(f" {FAMILIES[family]}", Style.BOLD),)))
        found += _figure(name, own, opened, width)
    return found


def _figure(name: str, rows: list[Row], opened: set[Key], width: int) -> list[FigureItem]:
    key: Key = ("figure", name)
    pooled = [row for row in rows if not row.station]
    stations = {row.station for row in rows if row.station}
    tops = pooled or (rows if len(stations) == 1 else [])
    more = [row for row in rows if row.station] if pooled or not tops else []
    is_open, head = key in opened, tops[0] if len(tops) == 1 else None
    title: Line = (Span(rows[0].title, Style.KEY),) if head is None else _name(head)
    if not tops:
        title = (*title, Span(f"  {len(stations):,} stations", Style.DIM))
    found = [FigureItem(key, _line(title, head, width, is_open), head, True, key)]
    if is_open:
        found += _explained(key, name, rows, width)
    parts = [] if head is not None else tops
    for at, row in enumerate([*parts, *(more if is_open else ())]):
        words = (Span("  "), *_name(row, titled=False))
        found.append(FigureItem((*key, "of", f"{at}"), _line(words, row, width, None), row, False, key))
    return found


def _name(row: Row, *, titled: bool = True) -> Line:
    spans = [Span(row.title, Style.KEY)] if titled else []
    if row.station and not titled:
        spans.append(styled.wire(row.station, Style.STATION, MAX_NAME))
    asker = dict(row.split).get("from", "")
    words = " ".join(value for name, value in row.split if name != "from")
    if asker in _ARROWS:
        spans.append(Span(f"{' ' if spans else ''}{_ARROWS[asker]}", Style.DIM))
    elif asker:
        words = f"{words} {asker}".strip()
    if words:
        spans += [Span(" " if spans else ""), styled.wire(words, Style.PLAIN, MAX_NAME)]
    return tuple(spans)


def _line(name: Line, row: Row | None, width: int, is_open: bool | None) -> Line:
    sign = " " if row is None or row.severity is None else SIGNS[row.severity]
    style = Style.DIM if row is None or row.severity is None else STYLES[row.severity]
    fold = " " if is_open is None else "▾" if is_open else "▸"
    spans = [Span(f"{fold} ", Style.DIM), Span(f"{sign} ", style), *styled.fit(name, name_width(width))]
    if row is None:
        return tuple(spans)
    spans.append(Span(f"{count(row.n):>{CASES}}", Style.NUMBER))
    if row.value is not None:
        spans.append(Span(f"{amount(row.value, row.unit):>{2 * CELL}}", Style.PLAIN))
    elif row.high is not None:
        for value, shown in zip((row.low, row.p50, row.p95, row.p99, row.high), COLUMNS, strict=True):
            text = "-" if value is None else amount(value, row.unit)
            spans.append(Span(f"{text:>{CELL}}", Style.PLAIN if shown in ("p50", "p95") else Style.DIM))
    words = ", ".join(f"{_counted(name, number)}" for name, number in row.counts.items() if number)
    room = width - styled.width(tuple(spans)) - 2
    more = styled.clip((styled.wire(words, Style.DIM, 120),), room) if words and room >= LEAST_WORDS else EMPTY
    return (*spans, Span("  "), *more) if more else tuple(spans)


def _counted(name: str, number: float) -> str:
    if name.endswith("_ns"):
        return f"{name.removesuffix('_ns').replace('_', ' ')} {times.span(_whole(number))}"
    return f"{name.replace('_', ' ')} {number:,.6g}"


def amount(value: float, unit: str) -> str:
    """A figure in as few characters as are worth reading: `3.5ms`, `12.3K`, `470 Wh`."""
    if unit == "ns":
        return times.span(_whole(value))
    if unit == "B":
        return times.size(_whole(value))
    if unit in ("Wh", "W") and abs(value) >= 1000:
        return f"{value / 1000:.4g}k{unit}"
    return f"{value:.4g}{unit}"


def _whole(value: float) -> int:
    return round(min(max(value, -_BIG * 1e6), _BIG * 1e6))


def _explained(key: Key, name: str, rows: list[Row], width: int) -> list[FigureItem]:
    """What the figure means, and where it was captured."""
    figure = FIGURES.get(name)
    texts = [] if figure is None else [figure.definition]
    places = {row.vantage for row in rows if row.vantage}
    if len(places) == 1:
        texts.append(f"Captured {WORDS.get(next(iter(places)), 'at several places')}.")
    limits = "" if figure is None else figure.describe_limits()
    if limits:
        texts.append(f"Remarkable: {limits}.")
    lines = [piece for text in texts for piece in wrap(text, max(width - 6, 20))]
    return [
        FigureItem((*key, "text", f"{at}"), (Span(f"    {text}", Style.DIM),), parent=key)
        for at, text in enumerate(lines)
    ]
