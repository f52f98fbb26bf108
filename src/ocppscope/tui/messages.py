"""The tab Messages: the list of messages, and the ways to move in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from textual.widget import Widget

from ocppscope.query.fields import Around
from ocppscope.render import styled, times
from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.store.notes import NO_NOTE
from ocppscope.store.places import GoneError
from ocppscope.tui import columns
from ocppscope.tui.events import RowChosen, RowOpened
from ocppscope.tui.moves import Moves
from ocppscope.tui.severity import SIGNS
from ocppscope.tui.tab import TabView
from ocppscope.tui.theme import look, strip
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from textual import events
    from textual.app import ComposeResult
    from textual.strip import Strip

    from ocppscope.tui.session import Session
    from ocppscope.tui.severity import Severities

    Rows = NDArray[np.int64]

TIME_FORMATS = ("a", "ad", "r", "d", "e")
"""What the key of the time format goes through: time of day, with date, since the first row, since the row before,
seconds since 1970."""
SLOW_NS = 2_000_000_000
"""From what latency on an exchange is slow, unless the configuration says otherwise."""
MAX_NAMES = 100
"""Stations whose names the column of stations is fitted to."""
GUTTER = 3
"""Columns at the left: selected, marked or noted; error or warning; a space."""
_SIGN_STYLES = (Style.PLAIN, Style.WARNING, Style.ERROR)


class Heading(Widget):
    """The titles of the columns."""

    DEFAULT_CSS = "Heading { height: 1; background: $panel; }"

    def __init__(self) -> None:
        super().__init__()
        self.layout_shown = columns.Layout(())

    def render_line(self, y: int) -> Strip:
        """The one line."""
        drawn = look(self.app.theme)
        line = (Span(" " * GUTTER), *self.layout_shown.header())
        return strip(line, self.size.width, drawn, drawn.resting)


class MessageList(VirtualList):
    """The rows of a store, or those that a filter left."""

    def __init__(self, session: Session, severities: Severities) -> None:
        super().__init__(id="message-list")
        self.store = session.store
        self.notes = session.notes
        self.rows: Rows | None = None  # None: all
        self.names: Sequence[str] = columns.DEFAULT
        self.clock = times.Clock(times.ClockFormat("a", 3))
        self.selected: set[int] = set()
        self.named = 0  # stations that the columns were fitted to
        self.severities = severities
        self.scrolled = False  # by the wheel, away from the cursor perhaps
        self._layout = columns.Layout(())
        self._since = 0

    # --- rows -------------------------------------------------------------------------------------------------------

    def row(self, index: int) -> int:
        """The row of a line."""
        return self.store.first + index if self.rows is None else int(self.rows[index])

    def index(self, row: int) -> int:
        """The line of a row, or of the first shown one behind it."""
        return row - self.store.first if self.rows is None else int(np.searchsorted(self.rows, row))

    @property
    def current(self) -> int | None:
        """The row under the cursor."""
        return self.row(self.cursor) if self.cursor < self.count else None

    def set_rows(self, rows: Rows | None) -> None:
        """Shows other rows; the cursor stays on its row, or goes to the next one that is left."""
        current = self.current
        self.rows = rows
        self.forget()
        self.set_count(len(self.store) - self.store.first if rows is None else len(rows))
        if current is not None and self.count:
            self.move_to(min(self.index(current), self.count - 1))

    def grown(self, *, finished: bool) -> None:
        """The store has more rows; some old ones may have changed."""
        amended, self._since = self.store.amended(self._since)
        if self.rows is None:
            self.set_count(len(self.store) - self.store.first)
        if finished or amended is None:
            self.forget()
        elif len(amended):
            self._drawn.clear()
            low = self.index(int(amended.min()))
            if low < self.top + self.page and self.index(int(amended.max())) >= self.top:
                self.refresh()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Whoever scrolls up wants to read. The list itself scrolls."""
        del event
        self.scrolled = True

    # --- drawing ----------------------------------------------------------------------------------------------------

    def fit_columns(self) -> columns.Layout:
        """Chooses the columns that fit."""
        width = self.scrollable_content_region.width - GUTTER
        self._layout = columns.layout(self.names, width, self._time_width(), self._station_width())
        self.forget()
        return self._layout

    def _time_width(self) -> int:
        """Characters that times need: those of the first row, a little more where they count up."""
        form = self.clock.format
        counted = form.clock in ("r", "d", "dd")
        return max(len(self.clock.show(self._time_of_first())), form.decimals + 8 if counted else 0)

    def _station_width(self) -> int:
        """Characters of the longest name of the first stations."""
        connections = list(self.store.connections.values())[:MAX_NAMES]
        self.named = len(connections)
        return max((len(one.station) for one in connections), default=0)

    @property
    def has_new_names(self) -> bool:
        """Whether there are stations that columns were not fitted to."""
        return self.named < min(len(self.store.connections), MAX_NAMES)

    def line(self, index: int, width: int) -> Line:
        """One message."""
        row = self.row(index)
        try:
            return self._of_row(row, index)
        except GoneError as gone:
            return (Span(" " * GUTTER), styled.wire(f"#{row} {gone}", Style.DIM, width))

    def _of_row(self, row: int, index: int) -> Line:
        store = self.store
        chunk, at = store.cell(row)
        message = store.message(row)
        before = self._time_before(index)
        delta = None if before is None else message.time_ns - before
        note = NO_NOTE if self.notes is None else self.notes.of(message)
        shown = columns.row_of(
            message,
            store.connections.get(message.connection),
            Around(row, delta, note),
            self.clock.show(message.time_ns, self._reference(before)),
            "" if delta is None else times.since(delta),
        )
        severity = self.severities.row(chunk, at)
        mark = note.mark[:1] if note.mark.isascii() and note.mark.isprintable() and note.mark else ""
        sign = "•" if row in self.selected else mark or (";" if note.note or note.mark else " ")
        gutter = (Span(sign, Style.MARK), Span(SIGNS[severity], _SIGN_STYLES[severity]), Span(" "))
        return gutter + self._layout.line(shown)

    def whole(self, index: int, width: int) -> Line:
        """A line with all columns, however wide the list is."""
        shown, self._layout = self._layout, columns.layout(self.names, width, self._time_width(), width)
        try:
            return self.line(index, width)
        finally:
            self._layout = shown

    def _time_before(self, index: int) -> int | None:
        if not index:
            return None
        try:
            chunk, at = self.store.cell(self.row(index - 1))
        except GoneError:
            return None
        return int(chunk.time_ns[at])

    def _reference(self, before: int | None) -> int:
        if self.clock.format.is_delta:
            return before if before is not None else self._time_of_first()
        return self._time_of_first()

    def _time_of_first(self) -> int:
        try:
            chunk, at = self.store.cell(self.store.first)
        except GoneError:
            return 0
        return int(chunk.time_ns[at])


class MessagesView(Moves, TabView):
    """The list under its headings."""

    def __init__(
        self,
        session: Session,
        *,
        names: Sequence[str] = columns.DEFAULT,
        clock: times.ClockFormat | None = None,
        slow_ns: int = SLOW_NS,
    ) -> None:
        Moves.__init__(self, session.store, slow_ns)
        self.list = MessageList(session, self._severities)
        TabView.__init__(self, session, self.list, id="messages")
        self.following = False
        self._end = 0  # the line at which following left the cursor
        self.heading = Heading()
        self.list.names = names
        self.list.clock = times.Clock(clock)

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self.heading
        yield self.list

    # --- what every view does ---------------------------------------------------------------------------------------

    def seen(self) -> None:
        """It has missed nothing of which the app does not tell it."""

    def grown(self) -> None:
        """There may be more rows."""
        if len(self.session.store):
            self.list.empty = EMPTY
        empty = not self.list.count
        self._has_left()
        if self.list.has_new_names:
            self.fit_columns()
        self.list.grown(finished=self.session.progress().done)
        if self.following:
            self._go_to_end()
        elif empty and self.list.count:
            self.list.move_to(0)

    def show_rows(self, rows: Rows | None) -> None:
        """The filter left these; None is all."""
        empty = not self.list.count
        self._has_left()
        self.list.set_rows(rows)
        if self.following:
            self._go_to_end()
        elif empty and self.list.count:
            self.list.move_to(self.list.cursor)

    def wait_for(self, sentence: str) -> None:
        """Says what is waited for, until there are rows."""
        self.list.empty = (Span("   "), styled.wire(sentence, Style.DIM, 300))

    def _go_to_end(self) -> None:
        self.list.scrolled = False
        self.list.move_to(self.list.count - 1)
        self._end = self.list.cursor

    def _has_left(self) -> None:
        """Whoever went up, or elsewhere, does not follow any more."""
        if self.following and self.list.count and (self.list.cursor != self._end or self.list.scrolled):
            self.following = False

    def go_to(self, row: int) -> None:
        """Puts the cursor on a row, or on the next one that is shown."""
        self.list.move_to(self.list.index(row), centre=True)

    def on_resize(self) -> None:
        """Other columns fit."""
        self.call_after_refresh(self.fit_columns)

    def fit_columns(self) -> None:
        """Chooses columns again."""
        self.heading.layout_shown = self.list.fit_columns()
        self.heading.refresh()

    def moved(self, index: int) -> None:
        """The details follow the cursor."""
        self._has_left()
        if index < self.list.count:
            self.post_message(RowChosen(self.list.row(index)))

    def opened(self, source: VirtualList, index: int) -> None:
        """A click on the row of the cursor."""
        self.post_message(RowOpened(self.list.row(index)))

    def do_follow(self, count: int | None) -> str:
        """Stays at the end, or not any more."""
        del count
        self.following = not self.following
        if self.following:
            self._go_to_end()
        return ""

    # --- what `Moves` asks ------------------------------------------------------------------------------------------

    def current_row(self) -> int | None:
        """The row under the cursor."""
        return self.list.current

    def shown_rows(self) -> Rows | None:
        """The rows that the filter left; None: all."""
        return self.list.rows

    def visit(self, row: int) -> None:
        """Puts the cursor on a row."""
        self.go_to(row)

    # --- how it looks -----------------------------------------------------------------------------------------------

    def do_time_format(self, count: int | None) -> str:
        """The next time format."""
        del count
        shown = self.list.clock.format.clock
        wanted = TIME_FORMATS[(TIME_FORMATS.index(shown) + 1) % len(TIME_FORMATS)] if shown in TIME_FORMATS else "a"
        form = times.parse_clock(wanted)
        assert form is not None
        self.list.clock = times.Clock(form)
        self.fit_columns()
        return f"Time: {_FORMAT_NAMES[wanted]}."

    def do_select(self, count: int | None) -> str:
        """Selects the row for a comparison, or not any more; the third one takes the place of the first."""
        del count
        row = self.list.current
        if row is None:
            return "There are no messages."
        chosen = self.list.selected
        if row in chosen:
            chosen.discard(row)
        else:
            if len(chosen) > 1:
                chosen.discard(min(chosen))
            chosen.add(row)
        self.list.forget()
        self.list.move_by(1)
        return "" if len(chosen) < 2 else "Two messages are selected: d compares them."


_FORMAT_NAMES = {
    "a": "time of day (UTC)",
    "ad": "date and time (UTC)",
    "r": "since the first message",
    "d": "since the message before",
    "e": "seconds since 1970",
}
