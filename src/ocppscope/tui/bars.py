"""The lines around the views: tabs on top, status and keys at the bottom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from textual.message import Message
from textual.widget import Widget

from ocppscope.render import styled
from ocppscope.render.styled import Line, Span, Style
from ocppscope.tui.actions import ACTIONS, VIEWS, shown_key
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.safety import told
from ocppscope.tui.theme import look, strip

if TYPE_CHECKING:
    from textual import events
    from textual.strip import Strip

    from ocppscope.tui.session import Progress

NOT_RECORDING = "NOT RECORDING"
"""How a recorder begins to say that it writes nothing."""
FIRST = ("help", "quit")
"""What is told even where little fits."""
STEERING = ("intercept", "show_held", "inject")
"""What is told next where a proxy can be steered."""


class TabBar(Widget):
    """The tabs, and what is being looked at; a click chooses a tab."""

    DEFAULT_CSS = "TabBar { height: 1; }"

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, view: str) -> None:
            self.view = view
            super().__init__()

    def __init__(self, title: str) -> None:
        super().__init__(id="tabs")
        self.chosen = VIEWS[0]
        self._title = title

    def choose(self, view: str) -> None:
        """Another tab is shown."""
        self.chosen = view
        self.refresh()

    def _parts(self) -> list[tuple[str, str]]:
        return [
            (view, f"[{view.capitalize()}]" if view == self.chosen else f" {view.capitalize()} ") for view in VIEWS
        ]

    def line(self, width: int) -> Line:
        """The tabs, and the title with what is left."""
        spans = [Span(text, Style.BOLD if view == self.chosen else Style.DIM) for view, text in self._parts()]
        room = width - styled.width(tuple(spans)) - 3
        title = styled.clip((styled.wire(self._title, Style.STATION, 200),), max(room, 0))
        gap = Span(" " * max(room + 2 - styled.width(title), 1))
        return (*spans, gap, *title)

    def render_line(self, y: int) -> Strip:
        """The one line."""
        drawn = look(self.app.theme)
        return strip(self.line(self.size.width), self.size.width, drawn, drawn.resting)

    def on_click(self, event: events.Click) -> None:
        """Chooses the tab that was hit."""
        at = 0
        for view, text in self._parts():
            at += len(text)
            if event.x < at:
                self.post_message(self.Chosen(view))
                return


class Status(NamedTuple):
    """What the status line is made of."""

    progress: Progress
    shown: int
    rows: int  # of the store, evicted ones included
    evicted: int
    row: int | None
    filtering: str = ""
    number: int | None = None
    waiting: str = ""
    following: bool = False
    lost: int = 0
    told: str = ""
    new: int | None = None  # rows that came since the screen stands still; None: it does not
    unseen: int = 0  # notices that nobody has looked at
    is_brief: bool = False  # another line says how the recording goes
    unkept: tuple[str, ...] = ()  # what the store had no room for, `3 connections`


def status_line(status: Status, width: int) -> Line:
    """`✗ what is wrong` or `1,203 of 9,000 messages · row 17 · reading 40 %`."""
    parts: list[Line] = []
    if status.waiting or status.number is not None:
        parts.append((Span(f"{status.waiting}{'' if status.number is None else status.number}", Style.MARK),))
    if status.told:
        parts.append((styled.wire(status.told, Style.WARNING, 300),))
    parts.append((Span(_rows(status)),))
    if status.filtering:
        parts.append((Span(status.filtering, Style.WARNING),))
    if status.new is not None:
        parts.append((Span(f"paused, {status.new:,} new", Style.MARK),))
    elif status.following:
        parts.append((Span("following", Style.MARK),))
    if NOT_RECORDING in status.progress.recording:
        parts.insert(0, (Span(NOT_RECORDING, Style.ERROR),))
    parts += _noticed(status)
    parts.append((Span(_reading(status), Style.GOOD),))
    if status.evicted:
        parts.append((Span(f"{status.evicted:,} older rows are gone", Style.WARNING),))
    if status.unkept:
        parts.append((Span(f"! not kept: {', '.join(status.unkept)}", Style.WARNING),))
    if status.lost:
        parts.append((Span(f"! {status.lost:,} bytes missing in the capture", Style.WARNING),))
    if status.progress.trouble:
        parts.insert(0, (Span(f"✗ {told(status.progress.trouble)}", Style.ERROR),))
    joined = styled.join([one for one in parts if styled.width(one)], Span(" · ", Style.DIM))
    return styled.clip((Span(" "), *joined), width)


def _noticed(status: Status) -> list[Line]:
    """The newest notice while something is recorded, until it was looked at; else the first one."""
    notices = status.progress.notices
    if not notices or (status.progress.recording and not status.unseen):
        return []
    if status.progress.recording:
        more = f" (! shows {status.unseen:,})" if status.unseen > 1 else " (!)"
        return [(Span(f"note{more}: {told(notices[-1])}", Style.WARNING),)]
    more = f" (! shows {len(notices)})" if len(notices) > 1 else ""
    return [(Span(f"note: {told(notices[0])}{more}", Style.DIM),)]


def _rows(status: Status) -> str:
    kept = status.rows - status.evicted
    if not status.rows and status.progress.recording:
        return "no messages came" if status.progress.done else "waiting for messages"
    count = f"{kept:,} messages" if status.shown == kept else f"{status.shown:,} of {kept:,} messages"
    return count if status.row is None else f"row {status.row:,} · {count}"


def _reading(status: Status) -> str:
    progress = status.progress
    if progress.recording:
        ended = "ended: " if progress.done else ""
        return f"{ended}{told(progress.recording)}" if ended or not status.is_brief else ""
    if progress.done:
        return ""
    size = f"{progress.read / 1e6:,.0f} MB"
    if progress.total:
        return f"reading {100 * progress.read // progress.total} % of {progress.total / 1e6:,.0f} MB"
    return f"reading, {size}" if progress.read else "reading"


def key_line(keys: Mapping[str, tuple[str, ...]], view: str, width: int, *, is_active: bool = False) -> Line:
    """The keys that one should know, as many as fit; `is_active`: there is a proxy that can hold messages."""
    spans: list[Span] = [Span(" ")]
    wanted = [ACTIONS[name] for name in (*FIRST, *(STEERING if is_active else ()))] + [
        one for one in ACTIONS.values() if one.footer
    ]
    for action in wanted:
        if not keys.get(action.id) or (action.views and view not in action.views):
            continue
        more = (Span(shown_key(keys[action.id][0]), Style.KEY), Span(f" {action.label}  ", Style.DIM))
        if styled.width((*spans, *more)) > width:
            break
        spans += more
    return tuple(spans)


class StatusLine(OneLine):
    """The status."""


class KeyLine(OneLine):
    """The keys."""
