"""The application: tabs, filter bar, details, status. It gives keys to actions, and rows to views.

What actions do stands in `moving`, `finding`, `marking` and `sharing`, and in the views. Threads post messages and
touch no widget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from textual.app import App
from textual.containers import Container
from textual.message import Message
from textual.widgets import ContentSwitcher

from ocppscope.store.places import GoneError
from ocppscope.tui import actions, pages
from ocppscope.tui.actions import ACTIONS, FINDINGS, LADDER, MESSAGES, VIEWS
from ocppscope.tui.bars import KeyLine, Status, StatusLine, TabBar, key_line, status_line
from ocppscope.tui.commands import ActionCommands, interpret
from ocppscope.tui.detail import DetailPane
from ocppscope.tui.events import FilterWanted, FindingWanted, RowChosen, RowOpened
from ocppscope.tui.filterbar import FilterBar
from ocppscope.tui.finding import FilterAdvanced, Finding, SearchEnded
from ocppscope.tui.findings import FindingsView
from ocppscope.tui.hangup import end_with_terminal
from ocppscope.tui.ladder import LadderView
from ocppscope.tui.marking import Marking
from ocppscope.tui.messages import MessagesView
from ocppscope.tui.moving import Moving
from ocppscope.tui.prompt import Prompt
from ocppscope.tui.proxying import InterceptBar, Proxying
from ocppscope.tui.safety import ControlFilter, told
from ocppscope.tui.screens import ColumnsScreen, HelpScreen, NoticesScreen
from ocppscope.tui.seek import among
from ocppscope.tui.settings import Settings, key_name
from ocppscope.tui.sharing import SavingAdvanced, Sharing
from ocppscope.tui.stations import StationsView
from ocppscope.tui.theme import LOOKS
from ocppscope.tui.timing import TimingView
from ocppscope.tui.transactions import TransactionsView

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from textual import events
    from textual.app import ComposeResult
    from textual.filter import LineFilter
    from textual.timer import Timer
    from textual.widget import Widget

    from ocppscope.model import Message as OcppMessage
    from ocppscope.tui.session import Session
    from ocppscope.tui.virtual import VirtualList

    Rows = NDArray[np.int64]

DETAIL_AFTER = 0.04
"""Seconds for which the cursor has to rest before its details are shown."""
LIVE_EVERY = 0.5
"""Seconds between two looks at how a recording goes, even if nothing comes."""
MAX_COUNT = 10**12
"""The largest number before a key."""
_WITH_DETAIL = (MESSAGES, LADDER)


class Grown(Message):
    """The session's thread has filled in more rows."""


class Scope(App[None]):
    """The screens of one session."""

    CSS = """
    Screen { background: $background; }
    HeldScreen, LinksScreen { background: $background 50%; }
    #body { height: 1fr; layout: vertical; }
    #body.right { layout: horizontal; }
    #views { height: 1fr; width: 1fr; }
    """
    COMMANDS: ClassVar[set[Any]] = {ActionCommands}
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "f24"  # the key comes from the table of actions
    TITLE = "ocppscope"

    def __init__(self, session: Session, settings: Settings | None = None, *, filter_text: str = "") -> None:
        super().__init__()
        self.session = session
        self.settings = settings or Settings()
        self.keys = actions.keys_of(self.settings.keys)
        self.view = MESSAGES
        self.row: int | None = None
        self.shown: Rows | None = None  # what the filter left; None: everything
        self.moving, self.finding = Moving(self), Finding(self)
        self.marking, self.sharing = Marking(self), Sharing(self)
        self.proxying = Proxying(self)
        mine = self.settings
        self.messages = MessagesView(session, names=mine.columns, clock=mine.time, slow_ns=mine.slow_ns)
        self.detail = DetailPane(session)
        self.bar = FilterBar(session.store, self.settings.filters)
        self.proxying.bar = InterceptBar(session.store, self.settings.filters)
        self.prompt = Prompt()
        self._filter_text = filter_text
        self._tabs = TabBar(session.title)
        self._status, self._key_line = StatusLine(), KeyLine()
        self._count: int | None = None
        self._letter: tuple[str, Callable[[str], str]] | None = None
        self._told = ""
        self._stale: set[str] = set()  # views that have not been told of the latest rows
        self._pending = False  # a message is on its way that the store has grown
        self._finished = False
        self._paused_at: int | None = None  # rows there were when the screen was made to stand still
        self._looked_at: tuple[str, ...] = ()  # notices that were shown
        self._timer: Timer | None = None
        self._pressed = self._bind()
        for one in LOOKS.values():
            self.register_theme(one.theme)
        self.theme = self.settings.theme

    # --- its parts --------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """The parts."""
        yield self._tabs
        yield self.proxying.line
        assert self.proxying.bar is not None
        yield self.proxying.bar
        yield self.bar
        with Container(id="body"):
            with ContentSwitcher(initial=MESSAGES, id="views"):
                yield from self.views()
            yield self.detail
        yield self._status
        yield self.prompt
        yield self._key_line

    def views(self) -> Sequence[Widget]:
        """The tabs, in order."""
        session, mine = self.session, self.settings
        ladder = LadderView(session, clock=mine.time, slow_ns=mine.slow_ns)
        rest = (ladder, StationsView(session), TimingView(session))
        return [self.messages, *rest, FindingsView(session), TransactionsView(session)]

    def run(self, **options: Any) -> None:
        """As Textual does; but what ended the screens by mistake is raised, for whoever started them to tell."""
        super().run(**options)
        if self._exception is not None:
            raise self._exception

    def _fatal_error(self) -> None:
        """Ends. Textual would print what all local variables held: messages, and what is secret in them."""
        self.bell()
        self._close_messages_no_wait()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Nothing that a terminal obeys leaves the app."""
        return [*super().get_line_filters(), ControlFilter()]

    @property
    def show(self) -> Any:
        """The view that is shown."""
        return self.query_one(f"#{self.view}")

    @property
    def target(self) -> VirtualList:
        """The list that keys move: of the details where these have the focus."""
        if self.in_detail:
            return self.detail.list
        found: VirtualList = self.show.target
        return found

    @property
    def has_detail(self) -> bool:
        """Whether details are shown."""
        return self.view in _WITH_DETAIL and not self.moving.hidden

    @property
    def in_detail(self) -> bool:
        """Whether the details have the focus."""
        return self.detail.list.has_focus

    def on_mount(self) -> None:
        """Begins to read."""
        self.moving.arrange()
        self.show_tab(MESSAGES)
        self.detail.show(None)
        if self._filter_text:
            self.say(self.finding.use_text(self._filter_text))
        self.session.start(self._changed)
        if self.session.progress().recording:
            self.messages.following = True
            self.messages.wait_for(self.proxying.waiting or "Waiting for messages.")
            self.set_interval(LIVE_EVERY, self._tell)
        self.proxying.begin()
        self._tell()
        end_with_terminal()

    def on_unmount(self) -> None:
        """Ends every thread."""
        self.finding.cancel()
        self.sharing.stop()
        self.finding.stop()
        self.session.stop()

    def on_resize(self) -> None:
        """Another place for the details, perhaps."""
        self.moving.arrange()
        self.proxying.look()
        self._tell()

    # --- the session ------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        """From the session's thread."""
        if not self._pending:
            self._pending = True
            self.post_message(Grown())

    def on_grown(self) -> None:
        """More rows, or the end of them."""
        self._pending = False
        finished = self.session.progress().done
        if finished and not self._finished and self.session.notes is not None:
            self.session.notes.adopt(self.session.store)
        self.finding.grown(finished=finished and not self._finished)
        self._finished = finished
        self._renew()

    def show_rows(self, rows: Rows | None) -> None:
        """The filter left these."""
        self.shown = rows
        self._renew(rows_only=True)

    def _renew(self, *, rows_only: bool = False) -> None:
        """Shows what there is now, unless the screen stands still."""
        self._stale = set(VIEWS)
        if self._paused_at is None:
            self._stale.discard(self.view)
            if rows_only:
                self.show.show_rows(self.shown)
            else:
                self.show.grown()
        self._tell()

    def do_pause(self, count: int | None) -> str:
        """Stands still, or goes on."""
        del count
        if self._paused_at is None and self.session.progress().done:
            return "Nothing more is coming."
        if self._paused_at is None:
            self._paused_at = len(self.session.store)
        else:
            self.go_on()
        self._tell()
        return ""

    def go_on(self) -> None:
        """The screen does not stand still any more."""
        if self._paused_at is not None:
            self._paused_at = None
            self._stale = set(VIEWS) - {self.view}
            self.show.grown()
            self.show.show_rows(self.shown)

    def show_tab(self, view: str) -> None:
        """Another tab; it learns first what it has missed."""
        before, self.view = self.view, view
        self._tabs.choose(view)
        self.query_one("#views", ContentSwitcher).current = view
        if view in self._stale:
            self._stale.discard(view)
            self.show.grown()
            self.show.show_rows(self.shown)
            if self._paused_at is not None:
                self._paused_at = len(self.session.store)
        is_following = view == MESSAGES and self.messages.following
        if before != view and self.row is not None and view in _WITH_DETAIL and not is_following:
            self.show.go_to(self.row)
        self.moving.arrange()
        self.focus_view()
        self._tell()

    def focus_view(self) -> None:
        """The view that is shown has the keys."""
        self.show.target.focus()

    # --- rows -------------------------------------------------------------------------------------------------------

    def on_row_chosen(self, event: RowChosen) -> None:
        """The details follow, once the cursor rests."""
        self.row = event.row
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DETAIL_AFTER, self._show_detail)
        self._tell()

    def _show_detail(self) -> None:
        if self.has_detail and self.detail.row != self.row:
            self.detail.show(self.row)

    def on_row_opened(self, event: RowOpened) -> None:
        """From another tab: the row in the list. From the list: its details."""
        if self.view == MESSAGES:
            self.perform("open")
            return
        self.row = event.row
        if self.shown is not None and not len(among(np.array([event.row], np.int64), self.shown)):
            self.perform("clear_filter")
            self.say("The filter was taken away, since it hides this message.")
        self.show_tab(MESSAGES)

    def on_finding_wanted(self, event: FindingWanted) -> None:
        """From another tab: the finding among the others."""
        self.show_tab(FINDINGS)
        if not self.show.show_finding(event.number):
            self.say("That finding is not there any more.")

    def on_filter_wanted(self, event: FilterWanted) -> None:
        """A view asks for a filter."""
        self.say(self.finding.use_text(event.text))
        self.show_tab(MESSAGES)

    def current_message(self) -> OcppMessage | None:
        """The message under the cursor."""
        subject = self.subject()
        return None if subject is None else subject.message

    def subject(self) -> pages.Subject | None:
        """The message under the cursor with what is around it."""
        if self.row is None:
            return None
        store = self.session.store
        try:
            message = store.message(self.row)
        except GoneError as gone:
            self.say(str(gone))
            return None
        return pages.Subject(self.session, self.row, message, store.connections.get(message.connection))

    def redraw(self) -> None:
        """Marks or notes have changed."""
        self.messages.list.forget()
        if self.has_detail:
            self.detail.show(self.row)

    # --- what threads tell ------------------------------------------------------------------------------------------

    def on_filter_advanced(self, event: FilterAdvanced) -> None:
        """The filter has found more."""
        self.finding.advanced(event.found)
        self._tell()

    def on_search_ended(self, event: SearchEnded) -> None:
        """The search has found a row, or none."""
        self.finding.search_ended(event)
        self._tell()

    def on_saving_advanced(self, event: SavingAdvanced) -> None:
        """More is written."""
        self.sharing.advanced(event.saved)

    def on_filter_bar_applied(self, event: FilterBar.Applied) -> None:
        """Enter in the filter bar."""
        self.finding.use(event.wanted)
        self.focus_view()

    def on_filter_bar_left(self) -> None:
        """Escape in the filter bar: it shows the filter that is in use."""
        applied = self.finding.applied
        self.bar.set_text(applied.text if applied is not None else "")
        self.focus_view()

    def on_intercept_bar_applied(self, event: InterceptBar.Applied) -> None:
        """Enter in the bar of what is held."""
        self.say(self.proxying.use(event))

    def on_intercept_bar_left(self) -> None:
        """Escape there."""
        self.proxying.shut()

    def on_tab_bar_chosen(self, event: TabBar.Chosen) -> None:
        """A tab was clicked."""
        self.show_tab(event.view)

    # --- keys -------------------------------------------------------------------------------------------------------

    def _bind(self) -> list[str]:
        """Binds every key of the table; gives them in the order of their numbers."""
        pressed = sorted({key for keys in self.keys.values() for key in keys})
        for number, key in enumerate(pressed):
            self.bind(key_name(key), f"press({number})", show=False)
        for digit in range(10):
            self.bind(str(digit), f"digit({digit})", show=False)
        return pressed

    async def on_event(self, event: events.Event) -> None:
        """A letter that is waited for is no key."""
        from textual.events import Key  # noqa: PLC0415

        if self._letter is not None and isinstance(event, Key):
            (_, use), self._letter = self._letter, None
            if event.character is not None and event.character.isprintable():
                self.say(use(event.character))
            self._tell()
            return
        await super().on_event(event)

    def wait_for_letter(self, name: str, use: Callable[[str], str]) -> None:
        """The next key is a letter, and this is what it is for."""
        self._letter = (name, use)
        self._tell()

    def action_digit(self, digit: int) -> None:
        """A number before a key."""
        self._count = min((self._count or 0) * 10 + digit, MAX_COUNT)
        self._tell()

    def action_press(self, number: int) -> None:
        """A key of the table."""
        self._press(self._pressed[number])

    def action_focus_next(self) -> None:
        """Tab, which Textual binds where ours comes too late."""
        if len(self.screen_stack) > 1:
            super().action_focus_next()
        else:
            self._press("tab")

    def action_focus_previous(self) -> None:
        """Likewise."""
        if len(self.screen_stack) > 1:
            super().action_focus_previous()
        else:
            self._press("shift+tab")

    def _press(self, key: str) -> None:
        action = actions.for_key(self.keys, key, self.view)
        if action is None:
            self.say(f"{actions.shown_key(key)} does nothing in this tab.")
        else:
            self.perform(action.id)

    def perform(self, name: str) -> None:
        """Does an action."""
        count, self._count = self._count, None
        action = ACTIONS[name]
        if action.views and self.view not in action.views:
            self.say(f"“{action.label}” works in {', '.join(one.capitalize() for one in action.views)}.")
            return
        doers = (self.show, self, self.moving, self.finding, self.marking, self.sharing, self.proxying)
        do = next(found for doer in doers if (found := getattr(doer, f"do_{name}", None)) is not None)
        self.say(do(count) or "")

    def say(self, sentence: str) -> None:
        """A sentence in the status line, until the next action."""
        self._told = told(sentence) if sentence else ""
        self._tell()

    def _tell(self) -> None:
        """Brings the lines at the bottom up to date."""
        if not self._status.is_attached:
            return
        store, width, progress = self.session.store, self.size.width, self.session.progress()
        status = Status(
            progress,
            shown=len(store) - store.first if self.shown is None else len(self.shown),
            rows=len(store),
            evicted=store.first,
            row=self.row,
            filtering=self.finding.state,
            number=self._count,
            waiting=self._letter[0] if self._letter else "",
            following=self.messages.following,
            told=self._told,
            new=None if self._paused_at is None else len(store) - self._paused_at,
            unseen=self._unseen(progress.notices),
            is_brief=self.session.steering is not None,
            unkept=store.unkept(),
        )
        self._status.say(status_line(status, width))
        active = not self.proxying.is_passive
        self._key_line.say(key_line(self.keys, self.view, width, is_active=active))

    def _unseen(self, notices: tuple[str, ...]) -> int:
        """How many notices nobody has looked at; the oldest may be gone where there are many."""
        if notices == self._looked_at:
            return 0
        return max(len(notices) - len(self._looked_at), 1) if notices else 0

    # --- actions of the program -------------------------------------------------------------------------------------

    def do_help(self, count: int | None) -> str:
        """All keys."""
        del count
        self.push_screen(HelpScreen(self.keys))
        return ""

    def do_notices(self, count: int | None) -> str:
        """What was noticed while reading."""
        del count
        notices = self.session.progress().notices
        if not notices:
            return "There is nothing to say of the capture."
        self._looked_at = notices
        self.push_screen(NoticesScreen(notices))
        return ""

    def do_palette(self, count: int | None) -> str:
        """Actions by name."""
        del count
        self.action_command_palette()
        return ""

    def do_command(self, count: int | None) -> str:
        """Asks for a command."""
        del count
        self.prompt.ask(":", self._obey)
        return ""

    def _obey(self, text: str | None) -> None:
        self.focus_view()
        command = interpret(text or "", self.settings.filters)
        if command.row is not None:
            self.show.go_to(command.row)
        elif command.filter is not None:
            self.say(self.finding.use_text(command.filter))
        elif command.action is not None:
            self.perform(command.action)
        else:
            self.say(command.trouble)

    def do_columns(self, count: int | None) -> str:
        """Chooses columns."""
        del count
        self.push_screen(ColumnsScreen(self.messages.list.names), self._set_columns)
        return ""

    def _set_columns(self, names: object) -> None:
        if isinstance(names, tuple):
            self.messages.list.names = names
            self.messages.fit_columns()

    def do_theme(self, count: int | None) -> str:
        """The next look."""
        del count
        names = list(LOOKS)
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]
        return f"Theme: {self.theme}."

    def do_quit(self, count: int | None) -> str:
        """Leaves."""
        del count
        self.exit()
        return ""

    def action_help_quit(self) -> None:
        """Ctrl+C."""
        self.say("q leaves.")
