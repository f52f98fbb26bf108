"""Timing figures as tables for a terminal, a hundred columns at most: one a family, what is remarkable marked."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.report import standpoint
from ocppscope.analysis.timing.figures import FAMILIES, FIGURES, Kind, Row, Unit
from ocppscope.analysis.unread import reservation
from ocppscope.plural import counted
from ocppscope.render import times
from ocppscope.render.palette import PLAIN, Palette
from ocppscope.render.timing.amounts import NOTHING, amount, details, name
from ocppscope.render.wiretext import clip, columns, pad, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.timing.report import TimingReport

WIDTH = 100
SHOWN_STATIONS = 5
"""Stations that are shown of a figure beside all together, unless all are asked for; of more, the marked ones."""
SHOWN_PARTS = 8
"""Actions and the like that are shown of a figure other than latency, unless all are asked for."""
MAX_NOTICE = 300
MAX_MODEL = 90
MARKS = {Severity.NOTE: "·", Severity.WARNING: "!", Severity.ERROR: "✗", None: " "}
"""What stands in front of a row."""
_LEGEND = "· note, ! warning, ✗ error; – too few cases: 20 for p95, 100 for p99"  # noqa: RUF001
_SPREAD = ("n", "min", "p50", "p95", "p99", "max")
_LATENCY, _IN_COLUMNS = "latency", ("errors", "timeouts", "network_ns")
_NAME, _TITLE, _WHO = 34, 27, 22


def text(report: TimingReport, palette: Palette = PLAIN, *, full: bool = False) -> Iterator[str]:
    """The lines, each with its end. With `full` all rows, and the figures that have none."""
    tables = _Tables(report, palette, full=full)
    rows = [row for row in report.rows if full or not FIGURES[row.figure].quiet]
    for family, members in groupby(rows, lambda row: FIGURES[row.figure].family):
        yield from tables.family(family, list(members))
    yield from tables.ending()


class _Tables:
    """The look of one report."""

    def __init__(self, report: TimingReport, palette: Palette, *, full: bool) -> None:
        self._report = report
        self._palette = palette
        self._full = full
        self._several = len(report.vantages) > 1
        models = dict.fromkeys(value for row in report.rows for part, value in row.split if part == "model")
        self._models = {model: f"[{place}]" for place, model in enumerate(models, 1)}

    # --- families -------------------------------------------------------------------------------------------------

    def family(self, family: str, rows: list[Row]) -> Iterator[str]:
        """Its tables: latencies, other spreads, and what has one value."""
        latencies = [row for row in rows if row.figure == _LATENCY]
        spreads = [row for row in rows if FIGURES[row.figure].kind is Kind.SPREAD and row.figure != _LATENCY]
        others = [row for row in rows if FIGURES[row.figure].kind is not Kind.SPREAD]
        if latencies:
            names = (*_SPREAD, "err", "none", "net")
            yield self._head(FAMILIES[family], _NAME, names, (6, 8, 8, 8, 8, 8, 5, 5, 8))
            for row in latencies:
                yield from self._latency(row)
            yield from self._vantages()
        if spreads or not latencies:
            title = "" if latencies else FAMILIES[family]
            yield self._head(title, _TITLE + 1 + _WHO, _SPREAD if spreads else (), (6, 8, 8, 8, 8, 8))
        for members in (spreads, others):
            yield from self._table(members)
        yield "\n"

    def _head(self, title: str, width: int, names: tuple[str, ...], widths: tuple[int, ...]) -> str:
        palette = self._palette
        cells = "".join(f"{one:>{size}}" for one, size in zip(names, widths, strict=False))
        start = pad(clip(title, width + 2), width + 2 if cells else 0)
        return f"{palette.bold}{start}{palette.off}{palette.dim}{cells}{palette.off}\n"

    def _table(self, rows: list[Row]) -> Iterator[str]:
        """The rows of several figures; the title of each in front of its first row."""
        for figure, members in groupby(rows, lambda row: row.figure):
            found = list(members)
            shown = found if self._full else self._chosen(found)
            for place, row in enumerate(shown):
                yield from self._row(row, FIGURES[figure].title if place == 0 else "")
            left = len(found) - len(shown)
            marked = sum(row.severity is not None for row in found) - sum(row.severity is not None for row in shown)
            if marked or (left and not found[-1].station):
                words = f"… {left:,} more with --all"
                yield self._dim(" " * (_TITLE + 3) + (f"{words}, {marked:,} of them marked" if marked else words))

    def _chosen(self, rows: list[Row]) -> list[Row]:
        """Those that are shown of a figure: all stations together, and stations that are remarkable or few."""
        single = [row for row in rows if row.station]
        together = [row for row in rows if not row.station]
        if not together or not single:
            return rows[:SHOWN_PARTS] if self._report.by == "action" else rows
        if len(single) <= SHOWN_STATIONS and not single[0].split:
            return [*together, *single]
        marked = sorted((row for row in single if row.severity), key=lambda row: (-(row.severity or 0), -_most(row)))
        return [*together[:SHOWN_PARTS], *marked[:SHOWN_STATIONS]]

    # --- rows -----------------------------------------------------------------------------------------------------

    def _latency(self, row: Row) -> Iterator[str]:
        counts, who = row.counts, self._name(row)
        cells = [f"{amount(row.n, Unit.COUNT):>6}", *(_cell(one, row.unit) for one in _values(row))]
        cells += [f"{_count(counts.get('errors', 0)):>5}", f"{_count(counts.get('timeouts', 0)):>5}"]
        cells.append(_cell(counts.get("network_ns"), row.unit))
        yield self._line(row, pad(clip(who, _NAME), _NAME), "".join(cells))
        yield from self._below(details(row, without=_IN_COLUMNS))

    def _row(self, row: Row, title: str) -> Iterator[str]:
        who = self._name(row)
        if not who and self._several and self._report.by == "action":
            who = "all"
        start, more = f"{pad(clip(title, _TITLE), _TITLE)} {pad(clip(who, _WHO), _WHO)}", details(row)
        if row.value is None:
            cells = "".join(_cell(one, row.unit) for one in _values(row))
            yield self._line(row, start, f"{amount(row.n, Unit.COUNT):>6}{cells}")
            yield from self._below(more)
            return
        cells = f"{amount(row.n, Unit.COUNT):>6} {_cell(row.value, row.unit)}"
        fits = columns(more) <= WIDTH - 2 - columns(start) - columns(cells) - 2
        yield self._line(row, start, f"{cells}  {more}".rstrip() if fits else cells)
        yield from self._below("" if fits else more)

    def _name(self, row: Row) -> str:
        return name(row, self._models, station=self._several)

    def _line(self, row: Row, start: str, cells: str) -> str:
        colour = self._colour(row.severity)
        return f"{colour}{MARKS[row.severity]} {start}{cells}{self._palette.off if colour else ''}\n"

    def _below(self, words: str) -> Iterator[str]:
        if words:
            yield self._dim(clip(" " * (_TITLE + 3) + words, WIDTH))

    def _dim(self, words: str) -> str:
        return f"{self._palette.dim}{words}{self._palette.off}\n"

    def _colour(self, severity: Severity | None) -> str:
        if severity is None:
            return ""
        palette = self._palette
        return {Severity.ERROR: palette.bad, Severity.WARNING: palette.odd}.get(severity, palette.bold)

    # --- what is said besides -------------------------------------------------------------------------------------

    def _vantages(self) -> Iterator[str]:
        """Where it was captured, which says what latency means."""
        vantages = self._report.vantages
        for vantage, count in Counter(vantages.values()).most_common():
            where = "" if len(vantages) == 1 else f"{counted(count, 'station')}: "
            yield self._dim(f"{where}{standpoint(vantage)}")
        if any("network_ns" in row.counts for row in self._report.rows):
            yield self._dim("none: timed out. net: the round trip to the side that answers, included in a latency.")

    def ending(self) -> Iterator[str]:
        """Explanations, what was read, and what is wrong with it."""
        report = self._report
        for model, short in self._models.items():
            yield f"{short} {visible(model, MAX_MODEL)}\n"
        missing = report.missing
        names = ", ".join(one.id for one in missing)
        if self._full and missing:
            for line in wrap(f"Without a case: {names}.", WIDTH, break_on_hyphens=False):
                yield self._dim(line)
        begins, ends = times.stamp(report.begins_ns), times.stamp(report.ends_ns)
        stations = counted(len(report.vantages), "station")
        yield self._dim(_LEGEND)
        yield f"{report.messages:,} messages of {stations}, {begins} to {ends} (UTC).\n"
        if report.unread:
            yield f"{self._palette.odd}{reservation(report.unread)}{self._palette.off}\n"
        if missing and not self._full:
            yield f"{len(missing)} of {len(FIGURES)} figures have no case here; --all lists them.\n"
        for notice in report.notices:
            yield f"{self._palette.odd}note:{self._palette.off} {visible(notice, MAX_NOTICE)}\n"


def _values(row: Row) -> tuple[float | None, ...]:
    return row.low, row.p50, row.p95, row.p99, row.high


def _cell(value: float | None, unit: str) -> str:
    return f"{clip(amount(value, unit), 7):>8}"


def _most(row: Row) -> float:
    return row.high or row.value or 0


def _count(value: float) -> str:
    return f"{value:.0f}" if value else NOTHING
