"""Tabs whose content is still to come: they say so, and show nothing that is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ocppscope.tui.session import Session


class _Later(VirtualList):
    """A few lines of text."""

    SAID: tuple[str, ...] = ()

    def __init__(self, session: Session) -> None:
        super().__init__(id=type(self).__name__.removesuffix("View").lower(), has_cursor=False)
        self.session = session

    @property
    def target(self) -> VirtualList:
        """What gets the keys."""
        return self

    def on_mount(self) -> None:
        """As many lines as there is to say."""
        super().on_mount()
        self.set_count(len(self.SAID))

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        del width
        return (Span(f"  {self.SAID[index]}", Style.BOLD if index == 1 else Style.DIM),) if index else EMPTY

    def grown(self) -> None:
        """Nothing changes."""

    def show_rows(self, rows: NDArray[np.int64] | None) -> None:
        """Nothing changes."""

    def go_to(self, row: int) -> None:
        """There are no rows."""


class FindingsView(_Later):
    """Findings come with the diagnosis."""

    SAID = (
        "",
        "Findings are not there yet.",
        "The diagnosis will list here who did what wrong, root causes first, with evidence and advice.",
        "Until then: e and w step to messages with errors and warnings, and the filter `problem` shows all of them.",
    )


class TransactionsView(_Later):
    """Transactions come with the diagnosis."""

    SAID = (
        "",
        "Transactions are not there yet.",
        "The diagnosis will list here each charging transaction with its start, stop, meter values and gaps.",
        "Until then: a filter like `transaction == 4711` or `action contains Transaction` shows their messages.",
    )
