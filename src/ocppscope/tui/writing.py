"""What messages are written with: an area for their text, what is wrong with it, and fields in which one chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, TextArea

from ocppscope.render import styled
from ocppscope.render.styled import Line, Span, Style
from ocppscope.tui.filterbar import Below
from ocppscope.tui.prompt import OneLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.timer import Timer

    from ocppscope.tui.drafts import Verdict

MAX_OBJECTIONS = 5
"""Lines about what is wrong with a draft."""
MAX_OFFERED = 8
"""Choices that are shown at once."""
REST_AFTER = 0.15
"""Seconds for which nothing is typed before the text is looked at."""


class DraftArea(TextArea):
    """The text. It is no language to the widget: nothing parses it while it is drawn."""

    DEFAULT_CSS = """
    DraftArea, DraftArea:focus { border: none; padding: 0 1; height: 1fr; min-height: 3; background: $surface; }
    """

    class Rested(Message):
        """Nothing more was typed for a moment."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, show_line_numbers=True, soft_wrap=True, tab_behavior="focus")
        self._timer: Timer | None = None

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Waits whether more is typed."""
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(REST_AFTER, lambda: self.post_message(self.Rested()))


def verdict_lines(verdict: Verdict, valid: str) -> list[Line]:
    """A line for each objection, or the sentence that there is none."""
    if not verdict.objections:
        return [(Span(" ✓ ", Style.GOOD), Span(valid, Style.GOOD))]
    sign, style = ("!", Style.WARNING) if verdict.is_json else ("✗", Style.ERROR)
    lines: list[Line] = [
        (
            Span(f" {sign} ", style),
            styled.wire(one.text, Style.PLAIN, 200),
            *((Span("  "), styled.wire(one.where, Style.KEY, 120)) if one.where else ()),
        )
        for one in verdict.objections[:MAX_OBJECTIONS]
    ]
    left = len(verdict.objections) - MAX_OBJECTIONS
    return [*lines, (Span(f"   … and {left} more", Style.DIM),)] if left > 0 else lines


class Choice(NamedTuple):
    """One of several things: what it stands for, what is typed for it, and a word on it."""

    value: object
    label: str
    help: str = ""


class PickInput(Input):
    """The line of a field. Up and Down go through what fits, Enter takes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "step(1)", show=False),
        Binding("up", "step(-1)", show=False),
    ]

    def _pick(self) -> Pick:
        return next(one for one in self.ancestors if isinstance(one, Pick))

    def action_step(self, by: int) -> None:
        """Another one."""
        self._pick().step(by)

    def on_focus(self) -> None:
        """What could be chosen is shown."""
        self._pick().begin()

    def on_blur(self) -> None:
        """What was marked is taken."""
        self._pick().take()


class Pick(Vertical):
    """A field: one chooses by typing a part of a name. Posts `Chosen` when something else was chosen."""

    DEFAULT_CSS = """
    Pick { height: auto; }
    Pick > Horizontal { height: 1; }
    Pick OneLine { width: 13; }
    Pick Input, Pick Input:focus {
        height: 1; border: none; padding: 0; background: $panel; background-tint: $panel 0%; width: 1fr;
    }
    """

    class Chosen(Message):
        """Something else was chosen."""

        def __init__(self, pick: Pick, choice: Choice) -> None:
            self.pick = pick
            self.choice = choice
            super().__init__()

    def __init__(self, label: str, choices: Sequence[Choice] = (), *, is_free: bool = False) -> None:
        """`is_free`: what was typed is a choice, too."""
        super().__init__()
        self._label = OneLine()
        self._label.said = (Span(f" {label}", Style.DIM),)
        self.input = PickInput(select_on_focus=True)
        self.below = Below()
        self._is_free = is_free
        self.choices: Sequence[Choice] = choices
        self.chosen: Choice | None = choices[0] if choices else None
        self._fitting: list[Choice] = []
        self._marked = 0
        self._is_typed = False

    def compose(self) -> ComposeResult:
        """The parts."""
        with Horizontal():
            yield self._label
            yield self.input
        yield self.below

    def on_mount(self) -> None:
        """Shows what is chosen."""
        self._show_chosen()

    def offer(self, choices: Sequence[Choice], chosen: Choice | None = None) -> None:
        """Other choices; without `chosen` the one of the same name stays chosen, or else the first one is."""
        self.choices = choices
        if chosen is None:
            label = self.chosen.label if self.chosen is not None else ""
            chosen = next((one for one in choices if one.label == label), choices[0] if choices else None)
        self.chosen = chosen
        self._show_chosen()
        if self.input.has_focus:
            self.begin()

    def _show_chosen(self) -> None:
        self._is_typed = False
        with self.input.prevent(Input.Changed):
            self.input.value = self.chosen.label if self.chosen is not None else ""
        self.input.cursor_position = len(self.input.value)
        if self.input.has_focus:
            self.input.action_select_all()

    # --- while it is typed ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """All choices, the chosen one marked."""
        self._fitting = list(self.choices)
        self._marked = self._fitting.index(self.chosen) if self.chosen in self._fitting else 0
        self._tell()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Which choices fit?"""
        event.stop()
        self._is_typed = True
        self._fitting, self._marked = fitting(self.choices, event.value), 0
        typed = event.value.strip()
        if self._is_free and typed and all(one.label != typed for one in self._fitting):
            self._fitting.append(Choice(typed, typed, "as it is typed"))
        self._tell()

    def step(self, by: int) -> None:
        """The next one that fits."""
        if self._fitting:
            self._marked = (self._marked + by) % len(self._fitting)
            self._is_typed = True
            self._tell()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: this one, and on to the next field."""
        event.stop()
        self.take()
        self.screen.focus_next()

    def take(self) -> None:
        """What is marked is chosen."""
        self.below.tell([])
        before = self.chosen
        if self._is_typed and self._fitting:
            self.chosen = self._fitting[self._marked]
        self._show_chosen()
        if self.chosen is not None and self.chosen != before:
            self.post_message(self.Chosen(self, self.chosen))

    def _tell(self) -> None:
        first = max(0, self._marked - MAX_OFFERED + 1)
        lines: list[Line] = [
            (
                Span("           " + ("▸ " if at == self._marked else "  ")),
                styled.wire(one.label, Style.BOLD if at == self._marked else Style.KEY, 60),
                Span("  "),
                styled.wire(one.help, Style.DIM, 100),
            )
            for at, one in enumerate(self._fitting[first : first + MAX_OFFERED], first)
        ]
        left = len(self._fitting) - first - MAX_OFFERED
        if left > 0:
            lines.append((Span(f"             … {left} more", Style.DIM),))
        self.below.tell(lines if len(self.choices) > 1 or self._is_free else [])

    def on_click(self, event: events.Click) -> None:
        """A click on the label is one on the line."""
        del event
        self.input.focus()


def fitting(choices: Sequence[Choice], typed: str) -> list[Choice]:
    """The choices in which a text stands: those that are it first, then those that begin with it."""
    wanted = typed.strip().casefold()
    found = [one for one in choices if wanted in one.label.casefold() or wanted in one.help.casefold()]

    def rank(one: Choice) -> int:
        label = one.label.casefold()
        return 0 if label == wanted else 1 if label.startswith(wanted) else 2 if wanted in label else 3

    return sorted(found, key=rank)
