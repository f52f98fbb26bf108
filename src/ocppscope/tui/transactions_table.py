"""What the tab Transactions says: a line a transaction, and the page of one, as lines that lead to messages.

Made of frozen pages alone. Knows no widget and no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.render import styled, times
from ocppscope.render import transaction as drawn
from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.render.transaction_charts import energy_chart, power_chart
from ocppscope.render.wiretext import columns, visible
from ocppscope.tui.findings_table import SIGNS, STYLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocppscope.analysis.finding import Finding, Ref
    from ocppscope.analysis.pages import Step, TransactionPage

NARROW = 110
"""Columns below which a line has no room for everything."""
CHART_HEIGHT = 12
MAX_CHART = 160
"""Columns of a chart."""
MAX_IDENTITY = 48

Concerns = Mapping[int, tuple["Finding", ...]]
"""Findings by the number of the page."""


class Layout(NamedTuple):
    """Widths of the columns."""

    station: int
    id: int
    tag: int  # 0: not shown
    dated: bool

    @classmethod
    def of(cls, pages: Sequence[TransactionPage], width: int) -> Layout:
        """The one for some transactions and a width."""
        is_wide = width >= NARROW
        names = max((columns(visible(one.station, MAX_IDENTITY)) for one in pages), default=7)
        ids = max((columns(visible(one.id, drawn.MAX_NAME)) for one in pages), default=2)
        return cls(
            min(max(names, 7), 20 if is_wide else 11), min(max(ids, 5), 16 if is_wide else 8), 16 if is_wide else 0,
            is_wide,
        )  # fmt: skip

    def heading(self) -> Line:
        """The titles."""
        started = f"{'started (UTC)':<{19 if self.dated else 13}}"
        tag = f"{'tag':<{self.tag}} " if self.tag else ""
        text = f"   {started} {'station':<{self.station}} {'at':<4}{'id':<{self.id}} {tag}"
        return (Span(f"{text}{'lasted':>6} {'energy':>9} {'peak':>8}  ended", Style.DIM),)

    def line(self, page: TransactionPage, findings: Sequence[Finding]) -> Line:
        """A transaction."""
        worst = max((one.severity for one in findings), default=None)
        sign = Span(" ", Style.PLAIN) if worst is None else Span(SIGNS[worst], STYLES[worst])
        began = "before" if page.started_ns is None else times.stamp(page.started_ns)
        began = (began[:19] if self.dated else began[11:] or began) if page.started_ns is not None else began
        number, inner = page.place
        at = "?" if number <= 0 else f"{number}/{inner}" if page.is_2x and inner > 0 else f"{number}"
        spans = [Span(" "), sign, Span(" "), Span(f"{began:<{19 if self.dated else 13}} ", Style.TIME)]
        spans += styled.fit((styled.wire(page.station, Style.STATION, MAX_IDENTITY),), self.station)
        spans += [Span(" "), *styled.fit((Span(at),), 3), Span(" ")]
        spans += [*styled.fit((styled.wire(page.id or "-", Style.ID, drawn.MAX_NAME),), self.id), Span(" ")]
        if self.tag:
            spans += [*styled.fit((styled.wire(page.tag, Style.PLAIN, drawn.MAX_NAME),), self.tag), Span(" ")]
        lasted = _lasted(page)
        spans.append(Span(f"{lasted:>6} ", Style.DIM))
        spans.append(Span(f"{drawn.energy(page.energy_wh):>9} {drawn.power(page.peak_w):>8}  ", Style.NUMBER))
        words, style = drawn.state(page)
        spans.append(styled.wire(words, style, drawn.MAX_WORDS))
        if page.replayed:
            spans.append(Span(", replayed", Style.WARNING))
        return tuple(spans)


def _lasted(page: TransactionPage) -> str:
    """How long it took; of an open one so far."""
    if page.duration_ns is not None:
        return times.span(page.duration_ns)
    return times.span(page.last_ns - page.started_ns) if page.is_open and page.started_ns is not None else "-"


Order = Callable[["TransactionPage", "Sequence[Finding]"], float | str | tuple[int, int]]

ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "start": lambda page, found: page.begins_ns,
        "station": lambda page, found: page.station.casefold(),
        "duration": lambda page, found: -(page.duration_ns or 0),
        "energy": lambda page, found: -(page.energy_wh or 0.0),
        "peak power": lambda page, found: -(page.peak_w or 0.0),
        "findings": lambda page, found: (-max((one.severity for one in found), default=0), -len(found)),
    }
)
"""How transactions may be sorted; largest numbers first."""


class PageItem(NamedTuple):
    """A line of a page; with a `ref` it leads to a message, with a `finding` to that finding."""

    line: Line = EMPTY
    ref: Ref | None = None
    finding: int | None = None


def page_items(page: TransactionPage, findings: Sequence[Finding], width: int) -> list[PageItem]:
    """All lines of the page of a transaction."""
    items = [PageItem(line) for line in drawn.head(page)]
    if findings:
        many = "one finding concerns" if len(findings) == 1 else f"{len(findings):,} findings concern"
        items += [PageItem(), PageItem(drawn.title(f"{many} it"))]
        items += [PageItem(_finding(one), finding=one.number) for one in findings]
    items += [PageItem(), PageItem(drawn.title("Timeline"))]
    items += _steps(page.steps, page.steps_left_out, page)
    across = min(width, MAX_CHART)
    for chart in (power_chart, energy_chart):
        items += [PageItem(), *map(PageItem, chart(page, width=across, height=CHART_HEIGHT))]
    items += [PageItem(), PageItem(drawn.title("Messages"))]
    items += _steps(page.messages, page.messages_left_out, page)
    return [one._replace(line=styled.clip(one.line, width)) for one in items]


def _finding(one: Finding) -> Line:
    head = Span(f"   {SIGNS[one.severity]} ", STYLES[one.severity]), Span(f"{one.rule}  ", Style.BOLD)
    return (*head, styled.wire(one.text, limit=300))


def _steps(steps: tuple[Step, ...], left_out: int, page: TransactionPage) -> list[PageItem]:
    items = [PageItem(drawn.step_line(one, page.begins_ns), ref=one.ref) for one in steps]
    if left_out:
        items.insert(len(items) // 2, PageItem(drawn.left_out(left_out)))
    return items or [PageItem((Span("   none was seen", Style.DIM),))]
