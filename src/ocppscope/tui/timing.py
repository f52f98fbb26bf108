"""The tab Timing: how long answers took, how regular heartbeats were, who was connected when; and all figures.

Figures and charts are made in threads, once for what there is to see; the thread's result comes back as a message.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from textual.message import Message
from textual.worker import get_current_worker

from ocppscope.render import axes, styled, times
from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.render.textlog import ARROWS
from ocppscope.tui import timing_charts as charts
from ocppscope.tui import timing_rows
from ocppscope.tui.events import FilterWanted
from ocppscope.tui.items import ItemList
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.stations_table import count as short_count
from ocppscope.tui.tab import TabView
from ocppscope.tui.timing_figures import ALL, NOTHING, Beats, Figures, Latencies, figures
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from textual.app import ComposeResult

    from ocppscope.analysis.timing.figures import Row
    from ocppscope.tui.session import Session
    from ocppscope.tui.timing_rows import FigureItem

LATENCY, HISTOGRAM, HEARTBEATS, CONNECTIONS = "Latency over time", "Distribution", "Heartbeats", "Connections"
FIGURES = "Figures"
CHARTS = (LATENCY, HISTOGRAM, HEARTBEATS, CONNECTIONS, FIGURES)
"""What there is to see, in order."""
REST = 4
"""New figures wait so many times as long as the last ones took, while the store grows."""
LEAST_REST_S = 0.5
NAME = 30
"""Columns of an action or a station."""
ABOVE = 0.4
"""The part of the height that the table takes at most."""


class Wanted(NamedTuple):
    """What figures are made of: the store's length and changes, and how often the filter changed."""

    length: int
    amended: int
    filtered: int


class Picture(NamedTuple):
    """What a chart is made of."""

    chart: str
    at: int
    width: int
    height: int
    made: Wanted | None


def name_width(width: int) -> int:
    """Columns of an action's name, where the numbers need the others."""
    return min(max(width - 57, 8), NAME)


class FigureTable(VirtualList):
    """The figures behind the chart: a line an action or a station; the one under the cursor is drawn."""

    def __init__(self) -> None:
        super().__init__(id="timing-table")
        self.found: tuple[Latencies | Beats, ...] = ()
        self._across: axes.Scale | None = None

    def show(self, found: tuple[Latencies | Beats, ...]) -> None:
        """Other figures."""
        self.found = found
        self._across = None
        if found and isinstance(found[0], Latencies):
            self._across = axes.span_scale([found[0].percentile(0), found[0].percentile(100)], log=True)
        self.forget()
        self.set_count(len(found))

    def line(self, index: int, width: int) -> Line:
        """One action or station."""
        found = self.found[index]
        return _beats_line(found) if isinstance(found, Beats) else _latency_line(found, self._across, width)


def _latency_line(found: Latencies, across: axes.Scale | None, width: int) -> Line:
    sign = " " if found.side is None else ARROWS[found.side]
    name = styled.wire(found.action, Style.BOLD if found.side is None else Style.KEY, NAME).text or "(none)"
    spans = [Span(f" {sign} ", Style.DIM), *styled.fit((Span(name, Style.KEY),), name_width(width))]
    spans.append(Span(f"{short_count(len(found.values)):>7}", Style.NUMBER))
    for percent in (0, 50, 95, 99, 100):
        shown = times.span(found.percentile(percent)) if len(found.values) else "-"
        spans.append(Span(f"{shown:>7}", Style.PLAIN if percent in (50, 95) else Style.DIM))
    for number, style in ((found.errors, Style.ERROR), (len(found.lost), Style.WARNING)):
        spans.append(Span(f"{short_count(number) if number else '-':>6}", style if number else Style.DIM))
    room = width - styled.width(tuple(spans)) - 3
    if across is not None and room >= 10:
        spans += [Span("  "), Span(charts.spark(found.ordered, across, min(room, 60)), Style.BAR)]
    return tuple(spans)


def _beats_line(found: Beats) -> Line:
    gaps = found.gaps
    spans = [Span(" "), *styled.fit((styled.wire(found.station, Style.STATION, 48),), NAME)]
    spans.append(Span(f"{short_count(len(found.moments)):>7}", Style.NUMBER))
    shown = "-" if found.expected_ns is None else times.span(found.expected_ns)
    spans.append(Span(f"{shown:>9}", Style.PLAIN))
    if len(gaps):
        gaps.sort()
        shown_gaps = gaps[(len(gaps) - 1) // 2], gaps[0], gaps[-1]
        spans += [Span(f"{times.span(int(value)):>9}", Style.PLAIN) for value in shown_gaps]
    return tuple(spans)


class RowTable(ItemList["FigureItem"]):
    """The figures of the diagnosis, whatever the filter leaves of the messages."""

    def __init__(self) -> None:
        super().__init__(id="timing-rows")
        self.rows: tuple[Row, ...] = ()
        self.opened: set[timing_rows.Key] = set()

    def key_of(self, item: FigureItem) -> timing_rows.Key:
        """Its own."""
        return item.key

    def line(self, index: int, width: int) -> Line:
        """A family, a figure, or one of its rows."""
        return styled.clip(self.items[index].line, width)

    def show(self, rows: tuple[Row, ...]) -> None:
        """Other figures, or another width."""
        self.rows = rows
        self.set_items(timing_rows.items(rows, self.opened, max(self.scrollable_content_region.width, 40)))

    def toggle(self) -> None:
        """Opens or shuts the figure under the cursor."""
        key = self.item.parent if self.item is not None else ()
        if key:
            self.opened ^= {key}
            self.show(self.rows)
            self.put_on(key)


class Chart(VirtualList):
    """The lines of a chart."""

    DEFAULT_CSS = "Chart { height: 2fr; overflow-y: auto; }"

    def __init__(self) -> None:
        super().__init__(id="timing-chart", has_cursor=False)
        self.lines: list[Line] = []

    def show(self, lines: list[Line]) -> None:
        """Another chart."""
        self.lines = lines
        self.forget()
        self.set_count(len(lines))

    def line(self, index: int, width: int) -> Line:
        """One line."""
        return styled.clip(self.lines[index], width)


class TimingView(TabView):
    """The kinds of charts, the table, the chart."""

    DEFAULT_CSS = """
    TimingView FigureTable { height: 1fr; overflow-y: auto; }
    """

    class Counted(Message):
        """Figures are there."""

        def __init__(self, wanted: Wanted, found: Figures, took_s: float) -> None:
            self.wanted, self.found, self.took_s = wanted, found, took_s
            super().__init__()

    class Drawn(Message):
        """A chart is there."""

        def __init__(self, picture: Picture, lines: list[Line]) -> None:
            self.picture, self.lines = picture, lines
            super().__init__()

    def __init__(self, session: Session) -> None:
        self.table = FigureTable()
        super().__init__(session, self.table, id="timing")
        self.kinds = OneLine()
        self.heading = OneLine()
        self.chart_lines = Chart()
        self.rows = RowTable()
        self.rows.display = False
        self.chart = CHARTS[0]
        self.found: Figures = NOTHING
        self._rows: NDArray[np.int64] | None = None
        self._filtered = 0
        self._made: Wanted | None = None  # of what the figures are
        self._asked: Wanted | None = None  # of what figures are being made
        self._picture: Picture | None = None
        self._cursors: dict[str, int] = {}
        self._rests = False

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self.kinds
        yield self.heading
        yield self.table
        yield self.chart_lines
        yield self.rows

    # --- what every view does ---------------------------------------------------------------------------------------

    @property
    def target(self) -> VirtualList:
        """What gets the keys."""
        if self.chart == FIGURES:
            return self.rows
        return self.chart_lines if self.chart == CONNECTIONS else self.table

    def grown(self) -> None:
        """There may be more to count."""
        self.is_seen = True
        self._rests = self._rests and not self.session.progress().done
        self._count()
        self._ask()

    def show_rows(self, rows: NDArray[np.int64] | None) -> None:
        """The filter left these; None is all."""
        if rows is None and self._rows is None:
            return
        self._rows = rows
        self._filtered += 1
        self._count()

    def go_to(self, row: int) -> None:
        """Charts have no rows."""

    def seen(self) -> None:
        """From now on it is kept up to date."""
        self._arrange()
        self._count()

    def on_resize(self) -> None:
        """Another size needs another chart."""
        self._arrange()
        self.call_after_refresh(lambda: self.rows.show(self.rows.rows))

    def moved(self, index: int) -> None:
        """Another action or station is drawn."""
        self._draw()

    def opened(self, source: VirtualList, index: int) -> None:
        """A click on the line of the cursor."""
        if source in (self.table, self.rows):
            self.do_open(None)

    # --- figures ----------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Shows the latest figures of the diagnosis."""
        if self.chart == FIGURES and self.is_seen:
            found = self.session.figures()
            if found is not self.rows.rows:
                self.rows.show(found)
            self.heading.say(self._heading())

    def _wanted(self) -> Wanted:
        return Wanted(len(self.session.store), self.session.store.amended()[1], self._filtered)

    def _count(self) -> None:
        """Has figures made, unless they are there or being made, or it is too early."""
        wanted = self._wanted()
        if not self.is_seen or wanted in (self._made, self._asked):
            return
        other_filter = self._asked is None or wanted.filtered != self._asked.filtered
        if (self._asked is not None or self._rests) and not other_filter:
            return
        self._asked = wanted
        store, rows = self.session.store, self._rows

        def count() -> None:
            worker, started = get_current_worker(), perf_counter()
            found = figures(store, rows, lambda: worker.is_cancelled)
            if not worker.is_cancelled:
                self.post_message(self.Counted(wanted, found, perf_counter() - started))

        self.run_worker(count, thread=True, exclusive=True, group="figures", name="figures")

    def on_timing_view_counted(self, event: Counted) -> None:
        """Shows new figures."""
        event.stop()
        if event.wanted != self._asked:
            return
        self._made, self._asked = event.wanted, None
        self.found = event.found
        self._tabulate()
        self._draw()
        self._rests = True
        self.set_timer(max(REST * event.took_s, LEAST_REST_S), self._rested)

    def _rested(self) -> None:
        self._rests = False
        self._count()

    # --- table and chart --------------------------------------------------------------------------------------------

    def _tabulate(self) -> None:
        found: tuple[Latencies | Beats, ...] = ()
        if self.chart in (LATENCY, HISTOGRAM):
            found = self.found.actions
        elif self.chart == HEARTBEATS:
            found = self.found.beats
        before = self._under_cursor()
        self.table.show(found)
        at = next((at for at, one in enumerate(found) if _key(one) == before), None)
        if at is not None and at != self.table.cursor:
            self.table.move_to(at, tell=False)

    def _under_cursor(self) -> tuple[str, int]:
        found, at = self.table.found, self.table.cursor
        return _key(found[at]) if at < len(found) else ("", -1)

    def _arrange(self) -> None:
        """Sizes and titles."""
        chosen, names = self.chart, list[Line]()
        for name in CHARTS:
            names.append((Span(f"[{name}]", Style.BOLD) if name == chosen else Span(f" {name} ", Style.DIM),))
        self.kinds.say((Span(" "), *styled.join(names, Span(" "))))
        self.table.display = chosen not in (CONNECTIONS, FIGURES)
        self.heading.display = chosen != CONNECTIONS
        self.chart_lines.display, self.rows.display = chosen != FIGURES, chosen == FIGURES
        self.heading.say(self._heading())
        self._draw()

    def _heading(self) -> Line:
        width = self.size.width - 1
        if self.chart == FIGURES and not self.rows.rows:
            done = self.session.progress().done
            return (Span(f" {'There are no figures.' if done else 'The figures are being made.'}", Style.DIM),)
        if self.chart == FIGURES:
            return timing_rows.heading(width)
        if self.chart == HEARTBEATS:
            numbers = "".join(f"{name:>9}" for name in ("expected", "median", "least", "most"))
            return (Span(f" {'station':<{NAME}}{'n':>7}{numbers}", Style.DIM),)
        names = "".join(f"{name:>7}" for name in ("n", "min", "p50", "p95", "p99", "max"))
        action = f"   {'action':<{name_width(width)}}"
        return (Span(f"{action}{names}{'error':>6}{'lost':>6}", Style.DIM),)

    def _draw(self) -> None:
        """Has the chart made that is to be seen, unless it is there."""
        width, height = self.chart_lines.scrollable_content_region.size
        at = self.table.cursor
        picture = Picture(self.chart, at, width, height, self._made)
        if not self.is_seen or not width or not height or picture == self._picture or self.chart == FIGURES:
            return
        self._picture = picture
        found = self.found

        def draw() -> None:
            lines = drawn(found, picture)
            if not get_current_worker().is_cancelled:
                self.post_message(self.Drawn(picture, lines))

        self.run_worker(draw, thread=True, exclusive=True, group="charts", name="chart")

    def on_timing_view_drawn(self, event: Drawn) -> None:
        """Shows a new chart."""
        event.stop()
        if event.picture == self._picture:
            self.chart_lines.show(event.lines)

    # --- actions ----------------------------------------------------------------------------------------------------

    def do_next_chart(self, count: int | None) -> str:
        """The next kind."""
        return self._turn(count or 1)

    def do_previous_chart(self, count: int | None) -> str:
        """The kind before."""
        return self._turn(-(count or 1))

    def _turn(self, steps: int) -> str:
        self._cursors[self.chart] = self.table.cursor
        self.chart = CHARTS[(CHARTS.index(self.chart) + steps) % len(CHARTS)]
        self._tabulate()
        self.table.move_to(self._cursors.get(self.chart, 0), tell=False)
        self.chart_lines.scroll_to(y=0, animate=False, force=True)
        self._arrange()
        self._ask()
        self.call_after_refresh(self._draw)
        self.call_after_refresh(lambda: self.rows.show(self.rows.rows))
        if self.has_focus_within:
            self.target.focus()
        return ""

    def do_open(self, count: int | None) -> str:
        """Enter: the messages behind the line under the cursor."""
        found, at = self.table.found, self.table.cursor
        if self.chart == FIGURES:
            return self._open_row()
        del count
        if self.chart == CONNECTIONS or at >= len(found):
            return "There is nothing to be opened."
        text = filter_of(found[at])
        if not text:
            return "That are all messages."
        self.post_message(FilterWanted(text))
        return ""

    def _open_row(self) -> str:
        """Of a station's figure its messages; of others what the figure means."""
        item = self.rows.item
        if item is None:
            return "There is nothing to be opened."
        if item.row is None or item.opens:
            return self.do_fold_figure(None)
        text = filter_of_row(item.row)
        if text:
            self.post_message(FilterWanted(text))
        return ""

    def do_fold_figure(self, count: int | None) -> str:
        """Shows or hides what a figure means, and its stations."""
        del count
        if self.chart != FIGURES:
            return "That works in Figures."
        self.rows.toggle()
        return ""


def filter_of_row(row: Row) -> str:
    """The filter that leaves what a figure is about, as far as its parts say: its station and its action."""
    parts = [f"station == {quoted(row.station)}"] if row.station else []
    action = dict(row.split).get("action", "")
    return " and ".join([*parts, f"action == {quoted(action)}"] if action else parts)


def _key(found: Latencies | Beats) -> tuple[str, int]:
    if isinstance(found, Beats):
        return found.station, -1
    return found.action, -1 if found.side is None else int(found.side)


def filter_of(found: Latencies | Beats) -> str:
    """The filter that leaves the exchanges of an action, or the heartbeats of a station."""
    if isinstance(found, Beats):
        return f'action == "Heartbeat" and station == {quoted(found.station)}'
    return f"action == {quoted(found.action)}" if found.action and found.action != ALL else ""


def quoted(text: str) -> str:
    """A text as the filter language writes it."""
    text = "".join(char for char in text if char.isprintable())
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def drawn(found: Figures, picture: Picture) -> list[Line]:
    """The chart of a picture; runs in a thread."""
    chart, at, width, height, _ = picture
    if chart == CONNECTIONS:
        return charts.timeline(found, width, height)
    if chart == HEARTBEATS:
        if at < len(found.beats):
            return charts.jitter(found.beats[at], width, height)
        return [EMPTY, (Span("  No heartbeat was seen.", Style.DIM),)]
    if at >= len(found.actions):
        return [EMPTY, (Span("  No CALL was seen.", Style.DIM),)]
    make = charts.latency if chart == LATENCY else charts.histogram
    return make(found.actions[at], width, height)
