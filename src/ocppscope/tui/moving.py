"""Actions that move: the cursor, the focus, the tabs, the pane of details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.tui.actions import FINDINGS, LADDER, MESSAGES, STATIONS, TIMING, TRANSACTIONS, VIEWS
from ocppscope.tui.detail import DetailPane

if TYPE_CHECKING:
    from ocppscope.tui.app import Scope
    from ocppscope.tui.virtual import VirtualList

WIDE = 140
"""Columns from which on the details stand beside the list, unless the user says otherwise."""
PLACES = ("auto", "right", "below")
SIZES = (25, 35, 45, 55, 65, 80)
"""Shares of the room, in per cent, that the details can have."""


class Moving:
    """Does them."""

    def __init__(self, app: Scope) -> None:
        self._app = app
        self.place = PLACES[0]
        self.size = SIZES[2]
        self.hidden = False

    @property
    def _list(self) -> VirtualList:
        return self._app.target

    # --- in a list --------------------------------------------------------------------------------------------------

    def do_down(self, count: int | None) -> str:
        """Rows down."""
        self._list.move_by(count or 1)
        return ""

    def do_up(self, count: int | None) -> str:
        """Rows up."""
        self._list.move_by(-(count or 1))
        return ""

    def do_half_down(self, count: int | None) -> str:
        """Half pages down."""
        self._list.move_by((count or 1) * max(self._list.page // 2, 1))
        return ""

    def do_half_up(self, count: int | None) -> str:
        """Half pages up."""
        self._list.move_by(-(count or 1) * max(self._list.page // 2, 1))
        return ""

    def do_page_down(self, count: int | None) -> str:
        """Pages down."""
        self._list.move_by((count or 1) * self._list.page)
        return ""

    def do_page_up(self, count: int | None) -> str:
        """Pages up."""
        self._list.move_by(-(count or 1) * self._list.page)
        return ""

    def do_first(self, count: int | None) -> str:
        """The first row, or the row of a number."""
        return self._end(count, 0)

    def do_last(self, count: int | None) -> str:
        """The last row, or the row of a number."""
        return self._end(count, self._list.count - 1)

    def _end(self, count: int | None, index: int) -> str:
        if count is not None and self._list is not self._app.detail.list:
            self._app.show.go_to(count)
        elif self._list.has_cursor:
            self._list.move_to(index)
        else:
            self._list.move_by(index - self._list.top)
        return ""

    def do_open(self, count: int | None) -> str:
        """Into the details; there, open or shut."""
        del count
        if self._app.in_detail:
            self._app.detail.toggle()
        elif self._app.has_detail:
            self._app.detail.list.focus()
        return ""

    def do_switch_focus(self, count: int | None) -> str:
        """List or details."""
        del count
        if self._app.in_detail or not self._app.has_detail:
            self._app.focus_view()
        else:
            self._app.detail.list.focus()
        return ""

    def do_back(self, count: int | None) -> str:
        """One step back to the plain list."""
        del count
        app = self._app
        if app.finding.cancel() or app.sharing.cancel() or app.detail.cancel():
            return "Cancelled."
        if app.in_detail or app.focused is not app.target:
            app.focus_view()
        elif app.show.leave():
            pass  # out of a page of the view
        elif app.view != MESSAGES:
            app.show_tab(MESSAGES)
        return ""

    # --- tabs -------------------------------------------------------------------------------------------------------

    def do_show_messages(self, count: int | None) -> str:
        """The tab Messages."""
        return self._tab(MESSAGES)

    def do_show_ladder(self, count: int | None) -> str:
        """The tab Ladder, or back."""
        return self._tab(LADDER)

    def do_show_findings(self, count: int | None) -> str:
        """The tab Findings, or back."""
        return self._tab(FINDINGS)

    def do_show_stations(self, count: int | None) -> str:
        """The tab Stations, or back."""
        return self._tab(STATIONS)

    def do_show_timing(self, count: int | None) -> str:
        """The tab Timing, or back."""
        return self._tab(TIMING)

    def do_show_transactions(self, count: int | None) -> str:
        """The tab Transactions, or back."""
        return self._tab(TRANSACTIONS)

    def _tab(self, view: str) -> str:
        self._app.show_tab(MESSAGES if view == self._app.view else view)
        return ""

    def do_next_tab(self, count: int | None) -> str:
        """The next one."""
        return self._step(count or 1)

    def do_previous_tab(self, count: int | None) -> str:
        """The one before."""
        return self._step(-(count or 1))

    def _step(self, steps: int) -> str:
        self._app.show_tab(VIEWS[(VIEWS.index(self._app.view) + steps) % len(VIEWS)])
        return ""

    # --- the pane of details ----------------------------------------------------------------------------------------

    def do_raw(self, count: int | None) -> str:
        """Raw text, or back to the tree."""
        del count
        self._show_pane()
        self._app.detail.choose("JSON" if self._app.detail.page == "Raw" else "Raw")
        return ""

    def do_next_page(self, count: int | None) -> str:
        """The next page."""
        self._show_pane()
        self._app.detail.next_page(count or 1)
        return ""

    def do_previous_page(self, count: int | None) -> str:
        """The page before."""
        self._show_pane()
        self._app.detail.next_page(-(count or 1))
        return ""

    def _show_pane(self) -> None:
        if self.hidden:
            self.hidden = False
            self.arrange()

    def do_toggle_detail(self, count: int | None) -> str:
        """Hide or show it."""
        del count
        self.hidden = not self.hidden
        if self.hidden and self._app.in_detail:
            self._app.focus_view()
        self.arrange()
        return ""

    def do_move_detail(self, count: int | None) -> str:
        """Right, below, or where there is room."""
        del count
        self.place = PLACES[(PLACES.index(self.place) + 1) % len(PLACES)]
        self.arrange()
        return f"Details: {'where there is room' if self.place == 'auto' else self.place}."

    def do_grow_detail(self, count: int | None) -> str:
        """More room."""
        return self._resize(1)

    def do_shrink_detail(self, count: int | None) -> str:
        """Less room."""
        return self._resize(-1)

    def _resize(self, step: int) -> str:
        self.size = SIZES[max(0, min(SIZES.index(self.size) + step, len(SIZES) - 1))]
        self.arrange()
        return ""

    def arrange(self) -> None:
        """Puts the pane where it belongs."""
        app = self._app
        body = app.query_one("#body")
        right = self.place == "right" or (self.place == "auto" and app.size.width >= WIDE)
        body.set_class(right, "right")
        pane = app.query_one(DetailPane)
        pane.display = app.has_detail
        pane.styles.width = f"{self.size}%" if right else "100%"
        pane.styles.height = "100%" if right else f"{self.size}%"
