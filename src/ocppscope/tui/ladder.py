"""The tab Ladder: who said what to whom, as arrows between lanes, a row an event.

The rows come from `ladder_rows`; they are taken in small steps while the tab is seen, so that keys never wait.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from textual.widget import Widget

from ocppscope.render import ladder, mermaid, styled, times
from ocppscope.render.ladder import LadderOptions, LadderRow
from ocppscope.render.styled import Line, Style
from ocppscope.store.places import GoneError
from ocppscope.tui.events import RowChosen, RowOpened
from ocppscope.tui.ladder_rows import StoreLadder
from ocppscope.tui.messages import SLOW_NS
from ocppscope.tui.moves import Moves
from ocppscope.tui.tab import TabView
from ocppscope.tui.theme import look, strip
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from textual.app import ComposeResult
    from textual.strip import Strip

    from ocppscope.render.ladder import Ladder
    from ocppscope.tui.session import Session

    Rows = NDArray[np.int64]

STEP_S = 0.008
"""How long rows are taken before keys have their turn."""
MAX_COPIED = 1000
"""Rows that are copied at once, from the cursor's on where there are more."""
COPIED_WIDTH = 120
"""Columns of a ladder that is copied."""
CLOCKS = ("a", "ad", "r", "d", "e")
"""What the key of the time format goes through."""
_CLOCK_NAMES = {
    "a": "time of day (UTC)",
    "ad": "date and time (UTC)",
    "r": "since the first event",
    "d": "since the row above",
    "e": "seconds since 1970",
}


class LadderHeading(Widget):
    """The names of the lanes."""

    DEFAULT_CSS = "LadderHeading { height: 1; background: $panel; }"

    def __init__(self, shown: LadderList) -> None:
        super().__init__()
        self._shown = shown

    def render_line(self, y: int) -> Strip:
        """The one line, as wide as the list without its scrollbar."""
        drawn = look(self.app.theme)
        line = self._shown.ladder.header(self._shown.scrollable_content_region.width)[0]
        return strip(line, self.size.width, drawn, drawn.resting)


class LadderList(VirtualList):
    """The rungs."""

    def __init__(self, session: Session, clock: times.ClockFormat) -> None:
        super().__init__(id="ladder-list")
        self.ladder = StoreLadder(session.store, LadderOptions(clock=clock))

    def line(self, index: int, width: int) -> Line:
        """One rung."""
        try:
            return self.ladder.line(self.ladder.row(index), width)
        except GoneError as gone:
            return (styled.wire(str(gone), Style.DIM),)

    def forget_from(self, index: int) -> None:
        """The lines from `index` on say something else."""
        if index < self.top + self.page:
            self.forget()
        else:
            self._drawn.clear()


class LadderView(Moves, TabView):
    """The rungs below the names of the lanes."""

    def __init__(self, session: Session, *, clock: times.ClockFormat | None = None, slow_ns: int = SLOW_NS) -> None:
        Moves.__init__(self, session.store, slow_ns)
        self.list = LadderList(session, clock or times.ClockFormat())
        TabView.__init__(self, session, self.list, id="ladder")
        self.heading = LadderHeading(self.list)
        self._rows: Rows | None = None
        self._wanted: int | None = None  # the row of the store that the cursor is to stand on
        self._is_busy = False
        self._has_ended = False

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self.heading
        yield self.list

    # --- what every view does ---------------------------------------------------------------------------------------

    def grown(self) -> None:
        """There may be more rungs."""
        self.is_seen = True
        drawn, ended = self.list.ladder, self.session.progress().done
        # with a filter, connections may have shown up before the first of their rows that passed
        if self.session.store.first > drawn.first_row or (ended > self._has_ended and self._rows is not None):
            self._begin(drawn.options)
        self._has_ended = ended
        self._go_on()

    def show_rows(self, rows: Rows | None) -> None:
        """The filter left these; None is all."""
        before, self._rows = self._rows, rows
        if rows is None and before is None:
            return
        if rows is None or before is None or not self.list.ladder.extend_filter(rows):
            self._begin(self.list.ladder.options)
        self._go_on()

    def go_to(self, row: int) -> None:
        """Puts the cursor on the rung of a row, or on the last one before it."""
        self._wanted = row
        self._settle()

    def seen(self) -> None:
        """From now on rows are taken."""
        self._go_on()

    def on_resize(self) -> None:
        """The lanes stand elsewhere."""
        self.list.forget()
        self.heading.refresh()

    def moved(self, index: int) -> None:
        """The details follow the cursor."""
        self._wanted = None
        row = self.list.ladder.near_row(index)
        if row is not None:
            self.post_message(RowChosen(row))

    def opened(self, source: VirtualList, index: int) -> None:
        """A click on the rung of the cursor."""
        self.do_open(None)

    # --- rows -------------------------------------------------------------------------------------------------------

    def _begin(self, options: LadderOptions) -> None:
        """Starts anew; the cursor will come back to its row."""
        if self._wanted is None:
            self._wanted = self.list.ladder.store_row(self.list.cursor)
        self.list.ladder = StoreLadder(self.session.store, options, self._rows)
        self.list.forget()

    def _go_on(self) -> None:
        """Takes rows for a moment, and asks to be called again while there are more."""
        if self._is_busy or not self.is_seen:
            return
        drawn, started = self.list.ladder, perf_counter()
        before, unanswered, stations = len(drawn), len(drawn.unanswered), len(drawn.stations)
        more = drawn.grow()
        while more and perf_counter() - started < STEP_S:
            more = drawn.grow()
        self.list.set_count(len(drawn))
        if len(drawn.stations) != stations or len(drawn.unanswered) != unanswered:
            self.list.forget()
        else:
            self.list.forget_from(before - 1)  # the last run may have become longer
        if len(drawn.stations) != stations or not before:
            self.heading.refresh()
        self._settle()
        if more:
            self._is_busy = True
            self.set_timer(STEP_S, self._again)

    def _again(self) -> None:
        self._is_busy = False
        self._go_on()

    def _settle(self) -> None:
        """Puts the cursor where it was wanted, as soon as that is known."""
        drawn = self.list.ladder
        if self._wanted is None or not len(drawn):
            return
        ended = self.session.progress().done and drawn.taken_rows == len(self.session.store)
        if self._wanted < drawn.taken_rows or ended:
            self.list.move_to(drawn.index_of(self._wanted), centre=True, tell=False)
            self._wanted = None

    # --- moves ------------------------------------------------------------------------------------------------------

    def current_row(self) -> int | None:
        """The message under the cursor, or the last one before it; before the first one, the row before that."""
        drawn = self.list.ladder
        row = drawn.near_row(self.list.cursor)
        return self.session.store.first - 1 if row is None and len(drawn) else row

    def shown_rows(self) -> Rows | None:
        """What the filter left."""
        return self._rows

    def visit(self, row: int) -> None:
        """Puts the cursor on the rung of a row, and says so: rungs of heartbeats hold several rows."""
        self.go_to(row)
        self.post_message(RowChosen(row))

    # --- actions ----------------------------------------------------------------------------------------------------

    def do_open(self, count: int | None) -> str:
        """Enter: the message under the cursor, in the list."""
        del count
        row = self.list.ladder.store_row(self.list.cursor)
        if row is None:
            return "This rung is no message."
        self.post_message(RowOpened(row))
        return ""

    def do_ladder_heartbeats(self, count: int | None) -> str:
        """Runs of heartbeats and pings in one row, or each in its own."""
        del count
        options = self.list.ladder.options
        self._change(options._replace(collapse=not options.collapse))
        return (
            "Heartbeats and pings have rows of their own." if options.collapse else "Heartbeats and pings share rows."
        )

    def do_ladder_pings(self, count: int | None) -> str:
        """With or without pings."""
        del count
        options = self.list.ladder.options
        self._change(options._replace(pings=not options.pings))
        return "Pings are hidden." if options.pings else "Pings are shown."

    def do_ladder_legs(self, count: int | None) -> str:
        """With or without the second leg of what a proxy relays."""
        del count
        options = self.list.ladder.options
        self._change(options._replace(legs=not options.legs))
        return "Only one leg of what a proxy relays is shown." if options.legs else "Both legs of a proxy are shown."

    def do_ladder_ascii(self, count: int | None) -> str:
        """In ASCII, for terminals and tickets that know nothing else."""
        del count
        options = self.list.ladder.options
        self._change(options._replace(ascii_only=not options.ascii_only))
        return "Lines and arrows." if options.ascii_only else "ASCII only."

    def do_time_format(self, count: int | None) -> str:
        """The next time format."""
        del count
        options = self.list.ladder.options
        at = CLOCKS.index(options.clock.clock) if options.clock.clock in CLOCKS else -1
        form = times.parse_clock(CLOCKS[(at + 1) % len(CLOCKS)])
        assert form is not None
        self.set_clock(form)
        return f"Time: {_CLOCK_NAMES[form.clock]}."

    def set_clock(self, form: times.ClockFormat) -> None:
        """Shows times so."""
        self._change(self.list.ladder.options._replace(clock=form))

    def _change(self, options: LadderOptions) -> None:
        self._begin(options)
        self._go_on()
        self.heading.refresh()

    def do_copy_ladder(self, count: int | None) -> str:
        """The ladder as text."""
        return self._copy(count, "text", lambda drawn: ladder.text(drawn, COPIED_WIDTH))

    def do_copy_markdown(self, count: int | None) -> str:
        """The ladder as Markdown."""
        return self._copy(count, "Markdown", lambda drawn: ladder.markdown(drawn, COPIED_WIDTH))

    def do_copy_mermaid(self, count: int | None) -> str:
        """The ladder as a Mermaid diagram."""
        return self._copy(count, "a Mermaid diagram", mermaid.mermaid)

    def _copy(self, count: int | None, what: str, make: Callable[[Ladder], str]) -> str:
        drawn = self.list.ladder
        most = min(count or MAX_COPIED, MAX_COPIED)
        start = 0 if count is None and len(drawn) <= most else self.list.cursor
        part = drawn.portion(start, most)
        if not part.rows:
            return "There are no rows."
        self.app.copy_to_clipboard(make(part))
        rows: list[LadderRow] = part.rows
        which = "All rows" if len(rows) == len(drawn) else f"{len(rows):,} of {len(drawn):,} rows"
        return f"{which} copied as {what}."
