"""What the lists of the proxy share: they lie over the lower part of the screen and are looked at again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from ocppscope.render.styled import Line, Span, Style
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.screens import ListScreen

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from ocppscope.tui.proxying import Proxying
    from ocppscope.tui.virtual import VirtualList

LOOK_EVERY = 0.5
"""Seconds between two looks."""


class WatchScreen(ListScreen):
    """A list between its titles and a sentence; above it one sees what passes."""

    DEFAULT_CSS = """
    WatchScreen { align: center bottom; }
    WatchScreen > Vertical { width: 100%; height: 60%; }
    """

    def __init__(self, title: str, keys: str, body: VirtualList, proxying: Proxying) -> None:
        super().__init__(title, keys, body)
        self.heading, self.foot = OneLine(), OneLine()
        self._proxying = proxying

    def titles(self) -> Line:
        """What stands over the columns."""
        raise NotImplementedError

    def look(self) -> None:
        """What is there now?"""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """The parts."""
        with Vertical():
            yield self._title
            yield self.heading
            yield self.body
            yield self.foot

    def on_mount(self) -> None:
        """Looks from now on."""
        self.heading.say(self.titles())
        self.set_interval(LOOK_EVERY, self.look)
        self.look()

    def on_resize(self) -> None:
        """Columns may have another room."""
        self.heading.say(self.titles())

    def _say(self, sentence: str) -> None:
        self.foot.say((Span(f" {sentence}", Style.WARNING),))
