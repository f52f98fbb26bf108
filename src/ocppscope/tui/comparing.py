"""The screen of `compare --view`: both ladders side by side, aligned; below them the difference under the cursor.

It has a finished comparison and the two stores. Lines are made when they are seen; nothing here compares.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from textual.app import App
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from ocppscope.compare.fields import changes
from ocppscope.compare.report import MARKS, SESSIONS, Half, Mark, Pairing
from ocppscope.model import Kind
from ocppscope.render import styled, times
from ocppscope.render.compare.cells import NOTHING
from ocppscope.render.compare.text import side_by_side
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible
from ocppscope.store.places import GoneError
from ocppscope.tui.hangup import end_with_terminal
from ocppscope.tui.listkeys import LIST_KEYS, ListKeys
from ocppscope.tui.safety import ControlFilter
from ocppscope.tui.screens import Lines as FixedLines
from ocppscope.tui.screens import ListScreen, Title
from ocppscope.tui.settings import load
from ocppscope.tui.theme import LOOKS
from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult
    from textual.filter import LineFilter

    from ocppscope.compare.report import Comparison, Difference
    from ocppscope.store.store import Store
    from ocppscope.tui.settings import Settings

MAX_TEXT = 600
MAX_FACT = 120
MAX_RAW = 2000
"""Characters of a message's text that are shown."""
BELOW = 11
"""Lines for the difference under the cursor."""

_KEYS = (
    ("j k ↓ ↑", "down, up"), ("Space Ctrl+d, Ctrl+u", "a page down, up"), ("g G", "the first, the last line"),
    ("n N", "the next, the previous difference"), ("d", "all differences; Enter goes to one"),
    ("Tab", "the ladders, or what stands below them"), ("c", "clocks, summary and notices"), ("? F1", "this help"),
    ("q Esc", "leave"),
)  # fmt: skip
_SIGNS = (
    ("│", "the same"), ("<", "only in A"), (">", "only in B"), ("≠", "in both, and not the same"),
    ("↕", "in another order"), ("·", "in one only, since the other capture could not show it"),
)  # fmt: skip


def show(report: Comparison, a: Store, b: Store) -> None:
    """Shows it until the user leaves. Raises UsageError for a wrong configuration."""
    Comparing(report, a, b, load()).run()


class PairList(VirtualList):
    """The lines of both ladders."""

    def __init__(self, report: Comparison, a: Store, b: Store) -> None:
        super().__init__(id="ladders")
        self._report, self._stores = report, (a, b)
        lines = report.lines
        self.count = len(lines.a) if lines is not None else 0
        self.empty = (Span("  Neither capture has a message in what was compared.", Style.DIM),)
        self.different: list[int] = []
        if lines is not None:
            marked = ~np.isin(lines.mark, [MARKS.index(Mark.SAME), MARKS.index(Mark.UNSEEN)])
            self.different = np.flatnonzero(marked | (lines.difference >= 0)).tolist()

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        return side_by_side(self.pairing(index), max((width - 3) // 2, 10))

    def pairing(self, index: int) -> Pairing:
        """What stands on a line."""
        lines = self._report.lines
        assert lines is not None
        return Pairing(
            MARKS[lines.mark[index]], self._half(0, int(lines.a[index])), self._half(1, int(lines.b[index]))
        )

    def _half(self, which: int, row: int) -> Half | None:
        if row < 0:
            return None
        store = self._stores[which]
        try:
            message = store.message(row)
            other = store.partner(row) if self._report.mode == SESSIONS and message.kind is Kind.CALL else None
            return Half(row, message, None if other is None else store.message(other))
        except GoneError:
            return None

    def difference(self, index: int) -> int:
        """The place of the difference that a line belongs to, -1 for none."""
        lines = self._report.lines
        return int(lines.difference[index]) if lines is not None and index < len(lines.difference) else -1

    def next(self, step: int) -> int | None:
        """The line of the next difference (1) or the previous one (-1); of a run of lines, its first."""
        runs = [line for line in self.different if line - 1 not in self._members]
        if step > 0:
            at = bisect_right(runs, self.cursor)
            return runs[at] if at < len(runs) else None
        at = bisect_left(runs, self.cursor) - 1
        return runs[at] if at >= 0 else None

    @property
    def _members(self) -> frozenset[int]:
        if not hasattr(self, "_known"):
            self._known = frozenset(self.different)
        return self._known


class DifferenceList(FixedLines):
    """All differences, a line each."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        lines = [
            (
                Span(f"{number:>4} ", Style.DIM),
                Span(
                    f"{one.code:<14}",
                    Style.ERROR if one.weight >= 80 else Style.WARNING if one.weight >= 50 else Style.DIM,
                ),
                styled.wire(one.text, Style.PLAIN, MAX_TEXT),
            )
            for number, one in enumerate(differences, 1)
        ]
        super().__init__(lines, has_cursor=True)
        self.empty = (Span("  No difference.", Style.GOOD),)


class DifferencesScreen(ListScreen):
    """All differences to choose from."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", show=False)]

    def __init__(self, differences: Sequence[Difference]) -> None:
        super().__init__(
            "Differences, the most telling first", "Enter goes there, Esc closes", DifferenceList(differences)
        )

    def action_choose(self) -> None:
        """This one."""
        self.dismiss(self.body.cursor if self.body.count else None)

    def on_virtual_list_opened(self, event: VirtualList.Opened) -> None:
        """It was clicked."""
        event.stop()
        self.action_choose()


class Comparing(ListKeys, App[None]):
    """Both ladders of a comparison."""

    CSS = f"""
    Screen {{ background: $background; }}
    ListScreen {{ background: $background 50%; }}
    #below {{ height: {BELOW}; }}
    """
    ENABLE_COMMAND_PALETTE = False
    TITLE = "ocppscope compare"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape,ctrl+c", "quit", show=False, priority=False),
        *LIST_KEYS,
        Binding("n", "jump(1)", show=False),
        Binding("N", "jump(-1)", show=False),
        Binding("d", "differences", show=False),
        Binding("c", "about", show=False),
        Binding("tab", "other", show=False, priority=True),
        Binding("question_mark,f1", "help", show=False),
    ]

    def __init__(self, report: Comparison, a: Store, b: Store, settings: Settings) -> None:
        super().__init__()
        self.report = report
        self.ladders = PairList(report, a, b)
        self.below = FixedLines([])
        self._about = Title("", "")
        for one in LOOKS.values():
            self.register_theme(one.theme)
        self.theme = settings.theme

    def compose(self) -> ComposeResult:
        """The parts."""
        names = "   ".join(
            f"{letter} {visible(one.name, 60)}" for letter, one in zip("AB", self.report.captures, strict=True)
        )
        yield Title(names, "? help")
        yield self.ladders
        yield self._about
        with Vertical(id="below"):
            yield self.below

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Nothing that a terminal obeys leaves the app."""
        return [*super().get_line_filters(), ControlFilter()]

    def on_mount(self) -> None:
        """Begins at the most telling difference that has a place."""
        self.ladders.focus()
        first = next((one.at for one in self.report.differences if one.at >= 0), 0)
        self.call_after_refresh(self._go, first)
        end_with_terminal()

    def on_virtual_list_moved(self, event: VirtualList.Moved) -> None:
        """What stands below follows."""
        if event.source is self.ladders:
            self._tell()

    def on_resize(self) -> None:
        """Other lines below."""
        self._tell()

    # --- keys -----------------------------------------------------------------------------------------------------

    @property
    def target(self) -> VirtualList:
        """The ladders, or what stands below them."""
        return self.below if self.below.has_focus else self.ladders

    def action_jump(self, step: int) -> None:
        """To the next or the previous difference."""
        line = self.ladders.next(step)
        if line is None:
            self._tell("No more differences below." if step > 0 else "No more differences above.")
        else:
            self._go(line)

    def action_differences(self) -> None:
        """All of them to choose from."""
        self.push_screen(DifferencesScreen(self.report.differences), self._chosen)

    def action_about(self) -> None:
        """What is not on a line."""
        self.push_screen(ListScreen("About this comparison", "Esc closes", FixedLines(list(self._words()))))

    def action_other(self) -> None:
        """The other list has the keys."""
        (self.ladders if self.below.has_focus else self.below).focus()

    def action_help(self) -> None:
        """The keys."""
        lines: list[Line] = [(Span(f"   {keys:<22}", Style.KEY), Span(words)) for keys, words in _KEYS]
        lines += [(), (Span(" Between the ladders", Style.BOLD),)]
        lines += [(Span(f"   {sign:<22}", Style.MARK), Span(words)) for sign, words in _SIGNS]
        self.push_screen(ListScreen("Keys", "Esc closes", FixedLines(lines)))

    def _chosen(self, place: object) -> None:
        if not isinstance(place, int):
            return
        one = self.report.differences[place]
        if one.at >= 0:
            self._go(one.at)
        self._show(place)

    def _go(self, line: int) -> None:
        self.ladders.move_to(line, centre=True)
        self._tell()

    # --- below ----------------------------------------------------------------------------------------------------

    def _tell(self, told: str = "") -> None:
        place = self.ladders.difference(self.ladders.cursor) if self.ladders.count else -1
        self._show(place, told)

    def _show(self, place: int, told: str = "") -> None:
        differences = self.report.differences
        width = max(self.size.width - 6, 40)
        if 0 <= place < len(differences):
            one = differences[place]
            title, lines = f"{place + 1} of {len(differences)} {one.code}", list(_described(one, width))
            for other in differences:
                if other is not one and other.at == one.at >= 0:
                    lines += [(), (Span(f" {other.code}", Style.BOLD),), *_described(other, width)]
        else:
            title, lines = f"{len(differences)} differences", list(self._messages(width))
        self._about.line = (
            Span(f" {title}", Style.BOLD), Span(f"   {told}" if told else "", Style.WARNING),
            Span("   n N differences  d all  c clocks  Tab  q", Style.DIM),
        )  # fmt: skip
        self._about.refresh()
        self.below.lines = lines
        self.below.set_count(len(lines))
        self.below.forget()

    def _messages(self, width: int) -> Iterator[Line]:
        """The messages under the cursor, as they were on the wire."""
        if not self.ladders.count:
            return
        pairing = self.ladders.pairing(self.ladders.cursor)
        for letter, half in (("A", pairing.a), ("B", pairing.b)):
            if half is not None:
                message = half.message
                yield (
                    Span(f" {letter} ", Style.MARK),
                    Span(f"#{message.connection}.{message.ordinal} {times.stamp(message.time_ns)} ", Style.DIM),
                )
                for text in wrap(styled.wire_bytes(message.text, limit=MAX_RAW).text, width):
                    yield (Span(f"   {text}"),)
        if pairing.a is not None and pairing.b is not None and self.report.mode != SESSIONS:
            for fact in changes(pairing.a.message.text, pairing.b.message.text):
                yield _fact(fact.name, fact.a, fact.b)

    def _words(self) -> Iterator[Line]:
        report, width = self.report, max(self.size.width * 9 // 10 - 4, 40)
        clock = report.clock.sentences if report.clock is not None else ()
        for sentence in (report.reason, *report.summary, *clock, *report.notices):
            for text in wrap(visible(sentence, MAX_TEXT), width):
                yield (Span(f" {text}"),)
            yield ()


def _described(one: Difference, width: int) -> Iterator[Line]:
    for text in wrap(visible(one.text, MAX_TEXT), width):
        yield (Span(f" {text}"),)
    for text in wrap(visible(one.why, MAX_TEXT), width):
        yield (Span(f" {text}", Style.DIM),)
    for fact in one.facts:
        yield _fact(fact.name, fact.a, fact.b)


def _fact(name: str, a: str, b: str) -> Line:
    return (
        Span("   "), styled.wire(name, Style.KEY, MAX_FACT), Span("  A ", Style.DIM),
        styled.wire(a or NOTHING, limit=MAX_FACT), Span("  B ", Style.DIM), styled.wire(b or NOTHING, limit=MAX_FACT),
    )  # fmt: skip
