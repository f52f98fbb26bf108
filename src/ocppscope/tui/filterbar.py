"""The filter bar: a line that is understood while it is typed; below it what is wrong, and what could stand next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from ocppscope.render import styled
from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.suggest import MAX_SHOWN, History, Verdict, put, suggestions, verdict
from ocppscope.tui.theme import look, strip

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.strip import Strip

    from ocppscope.query.complete import Suggestion
    from ocppscope.query.filter import Filter
    from ocppscope.store.store import Store


class FilterInput(Input, inherit_bindings=True):
    """The line itself. Tab completes, Up and Down go through the history."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete(1)", show=False),
        Binding("shift+tab", "complete(-1)", show=False),
        Binding("up", "history(-1)", show=False),
        Binding("down", "history(1)", show=False),
        Binding("escape", "leave", show=False),
    ]

    def _bar(self) -> FilterBar:
        return next(one for one in self.ancestors if isinstance(one, FilterBar))

    def action_complete(self, step: int) -> None:
        """The next suggestion."""
        self._bar().complete(step)

    def action_history(self, step: int) -> None:
        """An older or a newer filter."""
        self._bar().recall(step)

    def action_leave(self) -> None:
        """Back to the list; the filter stays as it was."""
        self._bar().leave()


class Sign(OneLine):
    """Whether the filter is understood."""

    DEFAULT_CSS = "Sign { width: 10; }"


class Below(Widget):
    """What is wrong with the filter, or what could stand next."""

    DEFAULT_CSS = "Below { display: none; height: auto; max-height: 12; } Below.shown { display: block; }"

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """As many lines as there are."""
        del container, viewport, width
        return len(self.lines)

    def tell(self, lines: list[Line]) -> None:
        """Shows these lines."""
        same = len(lines) == len(self.lines)
        self.lines = lines
        self.set_class(bool(lines), "shown")
        self.refresh(layout=not same)

    def render_line(self, y: int) -> Strip:
        """One of them."""
        drawn = look(self.app.theme)
        return strip(self.lines[y] if y < len(self.lines) else EMPTY, self.size.width, drawn, drawn.resting)


class FilterBar(Vertical):
    """The bar. Posts `Applied` with a filter that was understood, and `Left` when the user turns away."""

    DEFAULT_CSS = """
    FilterBar { height: auto; }
    FilterBar > Horizontal { height: 1; }
    FilterBar Input, FilterBar Input:focus {
        height: 1; border: none; padding: 0; background: $panel; background-tint: $panel 0%; width: 1fr;
    }
    """

    WORD, NAME = "Filter", "filter"
    EXAMPLE = "/ or F3: action == BootNotification and latency > 2s"

    class Applied(Message):
        """Enter was pressed."""

        def __init__(self, wanted: Filter) -> None:
            self.wanted = wanted
            super().__init__()

    class Left(Message):
        """Escape was pressed."""

    def __init__(self, store: Store, named: Mapping[str, str], history: History | None = None) -> None:
        super().__init__(id=f"{self.NAME}-bar")
        self._store = store
        self._named = named
        self.history = history or History()
        self.input = FilterInput(placeholder=self.EXAMPLE, select_on_focus=False, id=self.NAME)
        self.sign = Sign()
        self._mark(" ", Style.DIM)
        self.below = Below()
        self.verdict = Verdict(None)
        self._offers: list[Suggestion] = []
        self._taken: int | None = None  # of the offers
        self._base = ""  # what was typed before the first offer was taken
        self._quiet = False

    def compose(self) -> ComposeResult:
        """The parts."""
        with Horizontal():
            yield self.sign
            yield self.input
        yield self.below

    def set_text(self, text: str) -> None:
        """Puts a text there, as if typed."""
        self.input.value = text
        self.input.cursor_position = len(text)

    # --- while it is typed ------------------------------------------------------------------------------------------

    def on_input_changed(self, event: Input.Changed) -> None:
        """Is it understood, and what could stand next?"""
        event.stop()
        self.judge(event.value)
        if self._quiet:
            self._quiet = False
        else:
            self._taken = None
            self._offers = suggestions(event.value, self.input.cursor_position, self._store, self._named)
            self._base = event.value
        self._tell()

    def judge(self, text: str) -> None:
        """Says beside the line whether it is understood."""
        self.verdict = verdict(text, self._named)
        if not text.strip():
            self._mark(" ", Style.DIM)
        elif self.verdict.filter is not None:
            self._mark("✓", Style.GOOD)
        else:
            self._mark("✗", Style.ERROR)
        self.sign.refresh()

    def _mark(self, sign: str, style: Style) -> None:
        self.sign.said = (Span(f" {sign} {self.WORD:<6} ", style),)

    def _tell(self) -> None:
        self.below.tell([*self._complaint(), *self._offered()] if self.input.has_focus else [])

    def _complaint(self) -> list[Line]:
        """A line under the filter that points at the place, and what is wrong there."""
        if self.verdict.filter is not None or not self.input.value.strip():
            return []
        wrong = self.verdict
        at = max(wrong.start - self.input.scroll_offset.x, 0)
        pointer = Span("^" * max(min(wrong.stop, len(self.input.value) + 1) - wrong.start, 1), Style.ERROR)
        indent = Span(" " * (self.sign.size.width + at))
        said = (indent, pointer, Span(" "), styled.wire(wrong.message, Style.ERROR, 200))
        hint = (Span(" " * self.sign.size.width), styled.wire(wrong.hint, Style.DIM, 200))
        return [said, hint] if wrong.hint else [said]

    def _offered(self) -> list[Line]:
        first = max(0, (self._taken or 0) - MAX_SHOWN + 1)
        indent = Span(" " * (self.sign.size.width - 2))
        lines: list[Line] = []
        for at, one in enumerate(self._offers[first : first + MAX_SHOWN], first):
            chosen = at == self._taken
            name = styled.wire(one.text, Style.BOLD if chosen else Style.KEY, 60)
            pad = Span(" " * max(20 - len(name.text), 1))
            words = one.help or one.kind
            lines.append((indent, Span("▸ " if chosen else "  "), name, pad, styled.wire(words, Style.DIM, 100)))
        left = len(self._offers) - first - MAX_SHOWN
        if left > 0:
            lines.append((indent, Span(f"  … {left} more; Tab goes through them", Style.DIM)))
        return lines

    def complete(self, step: int) -> None:
        """Puts the next suggestion in place of what was begun."""
        if not self._offers:
            self._offers = suggestions(self.input.value, self.input.cursor_position, self._store, self._named)
            self._base, self._taken = self.input.value, None
        if not self._offers:
            return
        only = len(self._offers) == 1
        before = self._taken if self._taken is not None else -1 if step > 0 else 0
        self._taken = (before + step) % len(self._offers)
        text, cursor = put(self._base, self._offers[self._taken])
        if text == self.input.value:
            return
        self._quiet = not only
        self.input.value = text
        self.input.cursor_position = cursor

    def recall(self, step: int) -> None:
        """A filter of the history."""
        typed = self.input.value
        self.set_text(self.history.older(typed) if step < 0 else self.history.newer(typed))

    # --- the end of it ----------------------------------------------------------------------------------------------

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: the filter is used, if it is understood."""
        event.stop()
        self.judge(event.value)
        if self.verdict.filter is None:
            self._offers = []
            self._tell()
            return
        self.history.add(event.value)
        self.close()
        self.post_message(self.Applied(self.verdict.filter))

    def leave(self) -> None:
        """Escape: nothing changes."""
        self.close()
        self.post_message(self.Left())

    def close(self) -> None:
        """Nothing is shown below any more."""
        self._offers, self._taken = [], None
        self.below.tell([])
