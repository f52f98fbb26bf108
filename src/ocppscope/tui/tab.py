"""What every tab does: a list of it gets the keys, it learns of what is new, and what its lists tell ends here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ocppscope.tui.session import Session
    from ocppscope.tui.virtual import VirtualList

    Rows = NDArray[np.int64]


class TabView(Vertical):
    """A view of the session; its actions are methods `do_…`, see `actions`."""

    DEFAULT_CSS = """
    TabView { height: 1fr; }
    TabView OneLine { background: $panel; }
    """

    def __init__(self, session: Session, body: VirtualList, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.session = session
        self.is_seen = False
        self._body = body

    @property
    def target(self) -> VirtualList:
        """What gets the keys."""
        return self._body

    def grown(self) -> None:
        """The store has more rows, the diagnosis has found more, or reading ended."""
        raise NotImplementedError

    def show_rows(self, rows: Rows | None) -> None:
        """The filter left these; None is all. What does not follow the filter stays."""

    def go_to(self, row: int) -> None:
        """Puts the cursor on a row of the store, or where lines are none of its rows on a line."""
        self.target.move_to(row)

    def leave(self) -> bool:
        """Escape: a step back within the tab; False if there is none."""
        return False

    # --- whether it is seen -----------------------------------------------------------------------------------------

    def on_show(self) -> None:
        """Somebody looks."""
        self.is_seen = True
        self.seen()

    def on_hide(self) -> None:
        """Nobody looks."""
        self.is_seen = False

    def seen(self) -> None:
        """From now on it is seen; it may have missed something."""
        self.grown()

    # --- what its lists tell ----------------------------------------------------------------------------------------

    def on_virtual_list_moved(self, event: VirtualList.Moved) -> None:
        """Nobody else's business."""
        event.stop()
        self.moved(event.index)

    def on_virtual_list_opened(self, event: VirtualList.Opened) -> None:
        """Nobody else's business."""
        event.stop()
        self.opened(event.source, event.index)

    def moved(self, index: int) -> None:
        """The cursor of a list stands on another line."""

    def opened(self, source: VirtualList, index: int) -> None:
        """The line under the cursor of a list was clicked."""
        raise NotImplementedError
