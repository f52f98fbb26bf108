"""The usual keys of a list: a line, a page, to its ends. For a screen or an app that says which list they move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from ocppscope.tui.virtual import VirtualList

LIST_KEYS: tuple[BindingType, ...] = (
    Binding("j,down", "move(1)", show=False),
    Binding("k,up", "move(-1)", show=False),
    Binding("ctrl+d,pagedown,space", "page(1)", show=False),
    Binding("ctrl+u,pageup", "page(-1)", show=False),
    Binding("g,home", "end(0)", show=False),
    Binding("G,end", "end(1)", show=False),
)
"""To stand among the bindings of a class with `ListKeys`."""


class ListKeys:
    """What the keys do."""

    @property
    def target(self) -> VirtualList:
        """The list that they move."""
        raise NotImplementedError

    def action_move(self, lines: int) -> None:
        """Down or up."""
        self.target.move_by(lines)

    def action_page(self, pages: int) -> None:
        """A page down or up."""
        self.target.move_by(pages * self.target.page)

    def action_end(self, last: int) -> None:
        """To the first or last line."""
        self.target.move_by(self.target.count if last else -self.target.count)
