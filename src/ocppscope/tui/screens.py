"""What lies over the tabs: help, the comparison of two messages, the choice of columns. Lists of lines with keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from ocppscope.render import jsonl, styled, times
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible, visible_bytes
from ocppscope.tui import columns
from ocppscope.tui.actions import ACTIONS, shown_key
from ocppscope.tui.columns import COLUMNS, SUMMARY
from ocppscope.tui.listkeys import LIST_KEYS, ListKeys
from ocppscope.tui.theme import look, strip
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.strip import Strip

    from ocppscope.model import Message

MAX_DIFF_LINES = 2000
"""Lines of each message that are compared."""
HELP_WIDTH = 120
"""Columns from which on the help names the actions."""
MAX_DIFF_COLUMNS = 400
"""Characters of a line that are compared and shown."""


class Lines(VirtualList):
    """Fixed lines."""

    def __init__(self, lines: Sequence[Line], *, has_cursor: bool = False) -> None:
        super().__init__(has_cursor=has_cursor)
        self.lines = list(lines)
        self.count = len(self.lines)

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        return self.lines[index]


class Title(Widget):
    """The title of a screen, and how to leave it."""

    DEFAULT_CSS = "Title { height: 1; }"

    def __init__(self, text: str, keys: str) -> None:
        super().__init__()
        self.line: Line = (Span(f" {text}", Style.BOLD), Span(f"   {keys}", Style.DIM))

    def render_line(self, y: int) -> Strip:
        """The one line."""
        drawn = look(self.app.theme)
        return strip(self.line, self.size.width, drawn, drawn.resting)


class ListScreen(ListKeys, ModalScreen[object]):
    """A list over everything, with the usual ways to move."""

    DEFAULT_CSS = """
    ListScreen { align: center middle; }
    ListScreen > Vertical { width: 92%; height: 92%; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "leave", show=False),
        *LIST_KEYS,
    ]

    def __init__(self, title: str, keys: str, body: VirtualList) -> None:
        super().__init__()
        self._title = Title(title, keys)
        self.body = body

    def compose(self) -> ComposeResult:
        """The parts."""
        with Vertical():
            yield self._title
            yield self.body

    def on_mount(self) -> None:
        """The list has the keys."""
        self.body.focus()

    def action_leave(self) -> None:
        """Back, and nothing was chosen."""
        self.dismiss(None)

    @property
    def target(self) -> VirtualList:
        """What gets the keys."""
        return self.body


# --- help ----------------------------------------------------------------------------------------------------------


def help_lines(keys: Mapping[str, tuple[str, ...]], *, with_names: bool = True) -> Iterator[Line]:
    """Every action with its keys, group by group."""
    group = ""
    for action in ACTIONS.values():
        if action.group != group:
            if group:
                yield ()
            group = action.group
            yield (Span(f" {group}", Style.BOLD),)
        pressed = " ".join(map(shown_key, keys.get(action.id, ())))
        views = f"  ({', '.join(one.capitalize() for one in action.views)})" if action.views else ""
        name = (Span(f"  {action.id}{views}", Style.DIM),) if with_names else ()
        yield (Span(f"   {pressed:<18}", Style.KEY), Span(action.sentence), *name)
    yield ()
    yield (Span(" A number before a key of Move or Find repeats it: 5j, 3e. Keys can be changed in the", Style.DIM),)
    yield (
        Span(' configuration file: [keys], and below it  next_error = "x"  with the names given here.', Style.DIM),
    )


class HelpList(Lines):
    """All keys; with the names of actions where there is room for them."""

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__(list(help_lines(keys)))
        self._brief = list(help_lines(keys, with_names=False))

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        return self.lines[index] if width >= HELP_WIDTH else self._brief[index]


class HelpScreen(ListScreen):
    """All keys."""

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__("Keys", "Esc closes, j and k scroll", HelpList(keys))


class NoticesScreen(ListScreen):
    """What was noticed while reading."""

    def __init__(self, notices: Sequence[str]) -> None:
        lines = [(styled.wire(one, limit=MAX_DIFF_COLUMNS),) for one in notices]
        super().__init__("Notices", "Esc closes", Lines(lines))


# --- the comparison ------------------------------------------------------------------------------------------------


def laid_out(message: Message) -> list[str]:
    """The message's JSON over several lines, each fit to be shown."""
    text = jsonl.indented(message.text)
    if text is None:
        return [visible_bytes(message.text, MAX_DIFF_COLUMNS * 4)]
    lines = text.split("\n", MAX_DIFF_LINES)
    return [visible(line, MAX_DIFF_COLUMNS) for line in lines[:MAX_DIFF_LINES]]


def diff_lines(first: tuple[int, Message], second: tuple[int, Message]) -> Iterator[Line]:
    """What is only in the first (-), only in the second (+), and in both."""
    for sign, (row, message), style in (("-", first, Style.ERROR), ("+", second, Style.GOOD)):
        name = visible(f"{message.kind.name} {message.action}", 80)
        yield (
            Span(f"{sign} ", style),
            Span(f"row {row:,}  {times.stamp(message.time_ns)} UTC  "),
            Span(name, Style.BOLD),
        )
    apart = second[1].time_ns - first[1].time_ns
    yield (Span(f"  {times.since(apart)} apart", Style.DIM),)
    yield ()
    before, after = laid_out(first[1]), laid_out(second[1])
    for tag, low, high, low2, high2 in SequenceMatcher(None, before, after, autojunk=True).get_opcodes():
        if tag == "equal":
            yield from ((Span(f"  {line}"),) for line in before[low:high])
            continue
        yield from ((Span("- ", Style.ERROR), Span(line, Style.ERROR)) for line in before[low:high])
        yield from ((Span("+ ", Style.GOOD), Span(line, Style.GOOD)) for line in after[low2:high2])


class DiffScreen(ListScreen):
    """Two messages compared line by line."""

    def __init__(self, first: tuple[int, Message], second: tuple[int, Message]) -> None:
        super().__init__("Comparison", "Esc closes, j and k scroll", Lines(list(diff_lines(first, second))))


# --- the columns ---------------------------------------------------------------------------------------------------


class ColumnList(VirtualList):
    """All columns, those that are shown first and in their order."""

    def __init__(self, chosen: Sequence[str]) -> None:
        super().__init__()
        self.names = [*chosen, *(name for name in COLUMNS if name not in chosen)]
        self.chosen = set(chosen)
        self.count = len(self.names)

    def line(self, index: int, width: int) -> Line:
        """One column."""
        del width
        one = COLUMNS[self.names[index]]
        sign = "[x] " if one.name in self.chosen else "[ ] "
        return (
            Span(f" {sign}", Style.GOOD if one.name in self.chosen else Style.DIM),
            Span(f"{one.name:<18}", Style.KEY),
            Span(f"{one.title:<18}"),
            Span(one.help, Style.DIM),
        )

    def toggle(self) -> None:
        """Shown, or not any more."""
        self.chosen ^= {self.names[self.cursor]}
        self.forget()

    def shift(self, lines: int) -> None:
        """Moves the column up or down."""
        other = self.cursor + lines
        if 0 <= other < self.count:
            self.names[self.cursor], self.names[other] = self.names[other], self.names[self.cursor]
            self.forget()
            self.move_to(other)

    def reset(self) -> None:
        """The usual columns."""
        self.chosen = set(columns.DEFAULT)
        self.names = [*columns.DEFAULT, *(name for name in COLUMNS if name not in self.chosen)]
        self.forget()

    @property
    def result(self) -> tuple[str, ...]:
        """What is chosen, the summary last."""
        names = [name for name in self.names if name in self.chosen and name != SUMMARY]
        return (*names, SUMMARY) if SUMMARY in self.chosen or not names else tuple(names)


class ColumnsScreen(ListScreen):
    """The choice of columns; gives their names."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,x", "choose", show=False),
        Binding("J,shift+down", "shift(1)", show=False),
        Binding("K,shift+up", "shift(-1)", show=False),
        Binding("r", "reset", show=False),
        Binding("enter,f10", "accept", show=False),
    ]

    def __init__(self, chosen: Sequence[str]) -> None:
        self.choice = ColumnList(chosen)
        super().__init__("Columns", "Space chooses, J K move, r resets, Enter accepts, Esc cancels", self.choice)

    def action_choose(self) -> None:
        """Shown, or not."""
        self.choice.toggle()

    def action_shift(self, lines: int) -> None:
        """Up or down."""
        self.choice.shift(lines)

    def action_reset(self) -> None:
        """The usual ones."""
        self.choice.reset()

    def action_accept(self) -> None:
        """These."""
        self.dismiss(self.choice.result)
