"""The line at the bottom in which a row number, a note, a text to look for or a file name is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from ocppscope.render.styled import Line, Span, Style
from ocppscope.tui.theme import look, strip

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.strip import Strip


class OneLine(Widget):
    """A line that says what its owner gives it."""

    DEFAULT_CSS = "OneLine { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.said: Line = ()

    def say(self, line: Line) -> None:
        """Says something else."""
        if line != self.said:
            self.said = line
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one line."""
        drawn = look(self.app.theme)
        return strip(self.said, self.size.width, drawn, drawn.resting)


class _PromptInput(Input):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def action_leave(self) -> None:
        """Nothing is asked any more."""
        prompt = self.parent
        assert isinstance(prompt, Prompt)
        prompt.close(None)


class Prompt(Horizontal):
    """Hidden until something is asked."""

    DEFAULT_CSS = """
    Prompt { height: 1; display: none; }
    Prompt.asking { display: block; }
    Prompt OneLine { width: auto; }
    Prompt Input, Prompt Input:focus {
        height: 1; border: none; padding: 0; background: $panel; background-tint: $panel 0%; width: 1fr;
    }
    """

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.label = OneLine()
        self.input = _PromptInput(select_on_focus=False)
        self._answer: Callable[[str | None], None] | None = None

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self.label
        yield self.input

    def ask(self, label: str, answer: Callable[[str | None], None], value: str = "") -> None:
        """Asks; `answer` is given the text, or None if the user turned away."""
        self._answer = answer
        self.label.styles.width = len(label) + 2
        self.label.say((Span(f" {label} ", Style.BOLD),))
        self.input.value = value
        self.input.cursor_position = len(value)
        self.set_class(True, "asking")
        self.input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Nobody else's business."""
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.close(event.value)

    def close(self, text: str | None) -> None:
        """Hides it and gives the answer."""
        answer, self._answer = self._answer, None
        self.set_class(False, "asking")
        if answer is not None:
            answer(text)
