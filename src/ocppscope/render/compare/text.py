"""The comparison as text: what is compared, the clocks, the differences with both ladders, the figures."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from ocppscope.compare.report import Mark
from ocppscope.plural import counted
from ocppscope.render import styled, times
from ocppscope.render.compare.cells import cell, half, is_number
from ocppscope.render.palette import PLAIN, Palette
from ocppscope.render.styled import Span, Style
from ocppscope.render.wiretext import clip, columns, pad, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.compare.report import Capture, Comparison, Difference, Pairing, Table
    from ocppscope.render.styled import Line

WIDTH = 120
"""Columns where the terminal does not say."""
LEAST_WIDTH = 60
SHOWN_DIFFERENCES = 30
"""Differences that are shown unless all are asked for."""
SHOWN_ROWS = 12
"""Rows of a table that are shown unless all are asked for."""
MAX_TEXT = 500
MAX_FACT = 70
MAX_TABLE_CELL = 60
_TIME = 13
_INDENT = "    "
SIGNS = {
    Mark.SAME: "│", Mark.CONTEXT: "│", Mark.ONLY_A: "<", Mark.ONLY_B: ">", Mark.CHANGED: "≠", Mark.MOVED: "↕",
    Mark.UNSEEN: "·",
}  # fmt: skip
"""What stands between the two ladders."""


def text(report: Comparison, palette: Palette = PLAIN, width: int = 0, *, full: bool = False) -> Iterator[str]:
    """The lines, each with its end."""
    width = max(width or WIDTH, LEAST_WIDTH)
    yield from _head(report, palette, width)
    shown = report.differences if full else report.differences[:SHOWN_DIFFERENCES]
    several = len({one.station for one in report.differences if one.station}) > 1
    for number, one in enumerate(shown, 1):
        yield "\n"
        yield from _difference(number, one, report, palette, width, several=several)
    left = len(report.differences) - len(shown) + report.not_shown
    if left:
        yield f"\n… {left:,} more differences; --full shows {len(report.differences):,} of them\n"
    if not report.differences:
        yield "\nNo difference.\n"
    for table in report.tables:
        yield "\n"
        yield from _table(table, palette, width, full=full)
    if report.notices:
        yield "\n"
    for notice in report.notices:
        yield f"{palette.odd}note:{palette.off} {visible(notice, MAX_TEXT)}\n"


def _head(report: Comparison, palette: Palette, width: int) -> Iterator[str]:
    for name, one in zip("AB", report.captures, strict=True):
        yield f"{palette.bold}{name}{palette.off}  {_capture(one)}\n"
    yield from _wrapped(report.reason, width, "")
    for sentence in report.summary:
        yield from _wrapped(sentence, width, "")
    for sentence in report.clock.sentences if report.clock is not None else ():
        yield from _wrapped(sentence, width, "")


def _capture(one: Capture) -> str:
    few = ", ".join(visible(name, 48) for name in one.stations[:3]) + (", …" if len(one.stations) > 3 else "")
    stations = f"{len(one.stations):,} stations: {few}" if len(one.stations) > 1 else few or "no station"
    when = f"{times.stamp(one.begins_ns)} to {times.stamp(one.ends_ns)}" if one.ends_ns else "empty"
    counts = f"{counted(one.connections, 'connection')}, {counted(one.messages, 'message')}"
    return f"{visible(one.name, 80)}: {stations}, {counts}, {when}"


def _wrapped(sentence: str, width: int, indent: str, on: str = "", off: str = "") -> Iterator[str]:
    for line in wrap(visible(sentence, MAX_TEXT * 2), width - len(indent), break_on_hyphens=False):
        yield f"{indent}{on}{line}{off}\n"


def _difference(
    number: int, one: Difference, report: Comparison, palette: Palette, width: int, *, several: bool
) -> Iterator[str]:
    station = f"{visible(one.station, 40)}: " if several and one.station else ""
    colour = palette.bad if one.weight >= 80 else palette.odd if one.weight >= 50 else palette.dim
    head = wrap(f"{station}{visible(one.text, MAX_TEXT)}", width - 6, break_on_hyphens=False)
    yield f"{palette.bold}{number:>3}{palette.off} {colour}{one.code}{palette.off}\n"
    yield from (f"{_INDENT}{line}\n" for line in head)
    yield from _wrapped(one.why, width, _INDENT, palette.dim, palette.off)
    yield from _facts(one, palette, width)
    if one.ladder:
        yield from _ladder(one.ladder, report, palette, width)


def _facts(one: Difference, palette: Palette, width: int) -> Iterator[str]:
    if not one.facts:
        return
    room = max((width - len(_INDENT) - 4) // 3, 16)
    names = min(max(columns(visible(fact.name, MAX_FACT)) for fact in one.facts), room)
    for fact in one.facts:
        cells = [clip(visible(part, MAX_FACT * 3), width) or "–" for part in (fact.a, fact.b)]  # noqa: RUF001
        left = clip(cells[0], room)
        yield (
            f"{_INDENT}  {palette.station}{pad(clip(visible(fact.name, MAX_FACT), names), names)}{palette.off}  "
            f"{pad(left, room)}  {clip(cells[1], max(width - names - room - 10, 16))}\n"
        )


# --- ladders ------------------------------------------------------------------------------------------------------


def _ladder(ladder: tuple[Pairing, ...], report: Comparison, palette: Palette, width: int) -> Iterator[str]:
    each = (width - len(_INDENT) - 3) // 2
    name_a, name_b = (clip(visible(one.name.rpartition("/")[2], 40), each - 3) for one in report.captures)
    yield f"{_INDENT}{palette.dim}{pad(f'A {name_a}', each)}   B {name_b}{palette.off}\n"
    for pairing in ladder:
        line = side_by_side(pairing, each)
        yield f"{_INDENT}{styled.ansi(line, palette).rstrip()}\n"


def side_by_side(pairing: Pairing, each: int) -> Line:
    """One line of both ladders, `each` columns a side and three between."""
    halves = []
    for one in (pairing.a, pairing.b):
        if one is None:
            halves.append(styled.fit((), each))
            continue
        when = times.stamp(one.message.time_ns)[11:]
        halves.append(styled.fit((Span(f"{when} ", Style.TIME), *half(one, each - _TIME)), each))
    dim = pairing.mark in (Mark.SAME, Mark.CONTEXT)
    sign = Span(f" {SIGNS[pairing.mark]} ", Style.AXIS if dim else Style.MARK)
    if dim:
        halves = [tuple(Span(span.text, Style.DIM) for span in one) for one in halves]
    return (*halves[0], sign, *halves[1])


# --- tables -------------------------------------------------------------------------------------------------------


def _table(table: Table, palette: Palette, width: int, *, full: bool) -> Iterator[str]:
    rows = table.rows if full else table.rows[:SHOWN_ROWS]
    cells = [[clip(cell(value, column), MAX_TABLE_CELL) for value, column in zip(row, table.columns, strict=True)]
             for row in rows]  # fmt: skip
    names = [column.name for column in table.columns]
    widths = [max(map(columns, column)) for column in zip(names, *cells, strict=True)]
    right = [is_number(column, table.rows, place) for place, column in enumerate(table.columns)]
    widths[-1] = min(widths[-1], max(width - sum(widths[:-1]) - 2 * len(widths), 20))
    yield f"{palette.bold}{table.title}{palette.off}\n"
    yield f"  {palette.dim}{_row(names, widths, right)}{palette.off}\n"
    for row in cells:
        yield f"  {_row(row, widths, right)}\n"
    if len(rows) < len(table.rows):
        yield f"  {palette.dim}… --full shows {len(table.rows) - len(rows):,} more{palette.off}\n"
    if table.note:
        yield from _wrapped(table.note, width, "  ", palette.dim, palette.off)


def _row(cells: list[str], widths: list[int], right: list[bool]) -> str:
    parts = []
    for text_, size, flush in zip(cells, widths, right, strict=True):
        known = clip(text_, size)
        parts.append(" " * (size - columns(known)) + known if flush else pad(known, size))
    return "  ".join(parts).rstrip()
