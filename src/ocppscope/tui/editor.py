"""The editor of a held message: its text, what is wrong with it, and how long there still is.

What is wrong may be sent all the same, since that may be what somebody wants to try; but not by mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from ocppscope.model import Side, Version
from ocppscope.render.styled import Span, Style
from ocppscope.tui.drafts import MAX_DRAFT, Setting, call_of, compact, judge, laid_out
from ocppscope.tui.filterbar import Below
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.proxy_words import SECOND, named, seconds
from ocppscope.tui.screens import Title
from ocppscope.tui.writing import DraftArea, verdict_lines

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from ocppscope.control import Held
    from ocppscope.tui.drafts import Verdict
    from ocppscope.tui.proxying import Proxying

LOOK_EVERY = 0.5
"""Seconds between two looks at the clock."""


class Editor(ModalScreen[str | None]):
    """Gives a sentence on what was done, None where nothing was."""

    DEFAULT_CSS = """
    Editor { background: $background; }
    Editor > Vertical { width: 100%; height: 100%; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "send", show=False),
        Binding("escape", "leave", show=False),
    ]

    def __init__(self, proxying: Proxying, held: Held) -> None:
        super().__init__()
        self._proxying = proxying
        self.held = held
        self.original = laid_out(held.text) if len(held.text) <= MAX_DRAFT else ""
        self.area = DraftArea(proxying.drafts.get(held.held, self.original))
        self.countdown, self.below, self.foot = OneLine(), Below(), OneLine()
        self.is_gone = False
        self._asked: str | None = None
        self._setting = Setting(_version(held.version), held.side, held.action or None)

    def compose(self) -> ComposeResult:
        """The parts."""
        with Vertical():
            yield Title(f"Edit {named(self.held)}", "Ctrl+S sends it, Esc back")
            yield self.countdown
            yield self.area
            yield self.below
            yield self.foot

    def on_mount(self) -> None:
        """The text has the keys."""
        self.area.focus()
        self.set_interval(LOOK_EVERY, self.look)
        self.look()
        self.judge()
        if len(self.held.text) > MAX_DRAFT:
            self._say(
                f"{len(self.held.text):,} characters are too many to be edited here: Esc, and it can be sent on."
            )

    # --- time -------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """How long is there still?"""
        steering, held, now = self._proxying.steering, self.held, self._proxying.clock()
        if not self.is_gone and (steering is None or all(one.held != held.held for one in steering.held())):
            self.is_gone = True
        if self.is_gone:
            is_late = now >= held.expires_ns - SECOND
            why = "Its time was up: it went on as it was." if is_late else "It is not held any more."
            self.countdown.say((Span(f" {why} Ctrl+S makes this a CALL of its own.", Style.ERROR),))
            return
        left, patience = held.expires_ns - now, ""
        if held.gives_up_ns is not None:
            whose = "station" if held.side is Side.STATION else "CSMS"
            patience = f"; the {whose} gives up in {seconds(held.gives_up_ns - now)}"
        soon = Style.ERROR if left < 5 * SECOND else Style.WARNING
        self.countdown.say((Span(f" It goes on as it was in {seconds(left)}{patience}", soon),))

    # --- the text ---------------------------------------------------------------------------------------------------

    def on_draft_area_rested(self, event: DraftArea.Rested) -> None:
        """Judged once nothing more is typed."""
        event.stop()
        self.judge()

    def judge(self) -> Verdict:
        """What is wrong with the text?"""
        found = judge(self.area.text, self._setting)
        version = self._setting.version
        known = f"valid in OCPP {version}" if version is not Version.UNKNOWN else "JSON; no version is known"
        self.below.tell(verdict_lines(found, known))
        return found

    def _say(self, sentence: str) -> None:
        self.foot.say((Span(f" {sentence}", Style.WARNING),))

    # --- keys -------------------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Back; what was written is kept."""
        self.look()
        text = self.area.text
        call = call_of(text) if self.is_gone and text != self.original else None
        if call is not None:
            self.dismiss(self._proxying.shelve(self.held, call))
            return
        if text != self.original and not self.is_gone:
            self._proxying.keep(self.held.held, text)
        self.dismiss(None)

    def action_send(self) -> None:
        """Sends it on, changed; what is wrong only when asked a second time."""
        text = self.area.text
        self.look()
        if self.is_gone:
            self._inject(text)
            return
        if len(self.held.text) > MAX_DRAFT:
            return
        if text == self.original:
            self.dismiss(self._proxying.forward(self.held))
            return
        found = self.judge()
        if found.objections and self._asked != text:
            self._asked = text
            what = "It is no JSON" if not found.is_json else f"There are problems ({len(found.objections)})"
            self._say(f"{what}. Ctrl+S again sends it all the same.")
            return
        self.dismiss(self._proxying.forward(self.held, text=compact(text)))

    def _inject(self, text: str) -> None:
        """Too late to change it: as a message of its own."""
        call = call_of(text)
        if call is None:
            self._say("Only a CALL can be sent by itself; this is none.")
            return
        number, to = self.held.connection, self.held.side.other
        self.dismiss(None)
        trouble = self._proxying.open_form(number=number, to=to, call=call)
        if trouble:
            self.app.bell()
            self._proxying.tell(trouble)


def _version(text: str) -> Version:
    try:
        return Version(text)
    except ValueError:
        return Version.UNKNOWN
