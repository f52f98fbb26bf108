"""A list of any length that knows only how many lines there are and makes those that are seen.

Its height may grow at any time without the screen being laid out anew. What a line says is its subclass's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from ocppscope.render.styled import EMPTY
from ocppscope.tui.theme import look, strip

if TYPE_CHECKING:
    from textual import events

    from ocppscope.render.styled import Line

MAX_CACHED = 512
"""Lines that are kept drawn."""
MARGIN = 2
"""Lines that stay between the cursor and the edge while there are any."""


class VirtualList(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines 0 to `count`, one of them under the cursor."""

    DEFAULT_CSS = """
    VirtualList {
        height: 1fr;
        overflow-y: scroll;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        scrollbar-color: $dim;
        scrollbar-background: $panel;
    }
    """

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, source: VirtualList, index: int) -> None:
            self.source = source
            self.index = index
            super().__init__()

    class Opened(Message):
        """The line under the cursor was clicked."""

        def __init__(self, source: VirtualList, index: int) -> None:
            self.source = source
            self.index = index
            super().__init__()

    def __init__(self, *, id: str | None = None, has_cursor: bool = True) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.count = 0
        self.cursor = 0
        self.has_cursor = has_cursor
        self.empty: Line = EMPTY  # what is said where there are no lines
        self._drawn: dict[tuple[int, int, int], Strip] = {}
        self._version = 0

    # --- what a subclass says ---------------------------------------------------------------------------------------

    def line(self, index: int, width: int) -> Line:
        """The content of a line; called for lines that are seen."""
        del index, width
        return EMPTY

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """Lines that are seen at once."""
        return max(self.scrollable_content_region.height, 1)

    @property
    def top(self) -> int:
        """The first line that is seen."""
        return self.scroll_offset.y

    def set_count(self, count: int) -> None:
        """There are more or fewer lines; those that there were are as they were."""
        before, self.count = self.count, count
        self._set_height(count)
        if self.cursor >= count:
            self.move_to(count - 1)
        if min(before, count) < self.top + self.page and before != count:
            self.refresh()

    def _set_height(self, count: int) -> None:
        # as a reactive, `virtual_size` would have the whole screen laid out
        self.set_reactive(Widget.virtual_size, Size(max(self.size.width - 1, 0), count))
        if self.is_mounted and self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = count

    def forget(self) -> None:
        """All lines say something else now."""
        self._drawn.clear()
        self._version += 1
        self.refresh()

    # --- the cursor -------------------------------------------------------------------------------------------------

    def move_to(self, index: int, *, centre: bool = False, tell: bool = True) -> None:
        """Puts the cursor on a line, the nearest one there is, and scrolls as little as needed."""
        index = max(0, min(index, self.count - 1))
        before, self.cursor = self.cursor, index
        self._show(index, centre=centre)
        if before != index:
            self.refresh_lines(before)
            self.refresh_lines(index)
        if tell:
            self.post_message(self.Moved(self, index))

    def move_by(self, lines: int) -> None:
        """So many lines down, or up; without a cursor the lines scroll."""
        if self.has_cursor:
            self.move_to(self.cursor + lines)
        else:
            self._scroll(self.top + lines)

    def _show(self, index: int, *, centre: bool) -> None:
        top, page = self.top, self.page
        margin = min(MARGIN, (page - 1) // 2)
        if centre and not top <= index < top + page:
            top = index - page // 2
        top = min(top, index - margin)
        top = max(top, index - page + 1 + margin)
        self._scroll(top)

    def _scroll(self, top: int) -> None:
        top = max(0, min(top, self.count - self.page))
        if top != self.top:
            self.scroll_to(y=top, animate=False, force=True)

    # --- drawing ----------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of what is seen."""
        index, width = self.top + y, self.scrollable_content_region.width
        under = self.has_cursor and index == self.cursor
        key = (index, width, (1 + self.has_focus) if under else 0)
        drawn = self._drawn.get(key)
        if drawn is None:
            drawn = self._draw(index, width, under=under)
            if len(self._drawn) >= MAX_CACHED:
                self._drawn.clear()
            if index < self.count:
                self._drawn[key] = drawn
        return drawn

    def _draw(self, index: int, width: int, *, under: bool) -> Strip:
        drawn = look(self.app.theme)
        if index >= self.count:
            said = self.empty if not self.count and index == 1 else EMPTY
            return strip(said, width, drawn) if said else Strip.blank(width, drawn.base)
        over = (drawn.cursor if self.has_focus else drawn.resting) if under else None
        return strip(self.line(index, width), width, drawn, over)

    def on_mount(self) -> None:
        """A new theme has new colours."""
        super().on_mount()  # type: ignore[no-untyped-call]
        self._set_height(self.count)
        self.app.theme_changed_signal.subscribe(self, lambda _: self.forget())

    def on_resize(self) -> None:
        """Keeps the cursor in sight."""
        self._set_height(self.count)
        if self.has_cursor and self.count:
            self._show(self.cursor, centre=False)

    def on_focus(self) -> None:
        """The cursor is drawn stronger."""
        self.refresh_lines(self.cursor)

    def on_blur(self) -> None:
        """The cursor is drawn weaker."""
        self.refresh_lines(self.cursor)

    # --- the mouse --------------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Moves the cursor; on its line, opens."""
        index = self.top + event.y
        if event.y < 0 or index >= self.count:
            return
        if index == self.cursor:
            self.post_message(self.Opened(self, index))
        self.move_to(index)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three lines down."""
        event.stop()
        event.prevent_default()
        self._scroll(self.top + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three lines up."""
        event.stop()
        event.prevent_default()
        self._scroll(self.top - 3)
