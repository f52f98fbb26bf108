"""Actions that hand something out: clipboard, pager, editor, files. What is shown is what is handed out."""

from __future__ import annotations

from threading import Event as Flag
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported
from textual.message import Message

from ocppscope.redaction.policy import new_key
from ocppscope.tui import outside
from ocppscope.tui.messages import MessageList
from ocppscope.tui.save_screen import SaveScreen, form_for, scopes_of
from ocppscope.tui.saving import Saved, SaveRequest, save

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.export.registry import Form
    from ocppscope.tui.app import Scope

WIDE = 400
"""Columns of a line that is copied."""
STOP_WAIT_S = 5.0
"""Seconds for which who leaves waits for a file that is being written."""
LADDER_FORMS = ("mermaid", "svg", "markdown")
"""The forms that draw the ladder."""


class SavingAdvanced(Message):
    """The thread that saves has got further."""

    def __init__(self, saved: Saved) -> None:
        self.saved = saved
        super().__init__()


class Sharing:
    """Does them."""

    def __init__(self, app: Scope) -> None:
        self._app = app
        self._saving = False
        self._cancelled = False
        self._ended = Flag()
        self._ended.set()
        self._key = new_key()  # pseudonyms are the same in all that is saved until the user leaves
        self._before: SaveRequest | None = None
        self._trouble = ""

    # --- the clipboard ----------------------------------------------------------------------------------------------

    def do_copy(self, count: int | None) -> str:
        """The line under the cursor."""
        del count
        target = self._app.target
        if not target.count:
            return "There is nothing to copy."
        if isinstance(target, MessageList):
            line = target.whole(target.cursor, WIDE)
        else:
            line = target.line(target.cursor, WIDE)
        return self._copy(outside.plain(line), "The line")

    def do_copy_json(self, count: int | None) -> str:
        """The JSON of the message."""
        del count
        message = self._app.current_message()
        return "There is no message here." if message is None else self._copy(outside.json_text(message), "The JSON")

    def do_copy_id(self, count: int | None) -> str:
        """The id of the message."""
        del count
        message = self._app.current_message()
        if message is None or not message.id:
            return "There is no id here."
        return self._copy(outside.safe(message.id), "The id")

    def _copy(self, text: str, what: str) -> str:
        self._app.copy_to_clipboard(text)
        return f"{what} was sent to the terminal's clipboard ({len(text):,} characters)."

    # --- other programs ---------------------------------------------------------------------------------------------

    def do_pager(self, count: int | None) -> str:
        """The pager."""
        del count
        return self._outside(outside.page)

    def do_editor(self, count: int | None) -> str:
        """The editor."""
        del count
        return self._outside(outside.edit)

    def _outside(self, run: Callable[[str], None]) -> str:
        subject = self._app.subject()
        if subject is None:
            return "There is no message here."
        try:
            with self._app.suspend():
                run(outside.laid_out(subject))
        except SuspendNotSupported:
            return "Other programs cannot be shown here."
        except (OSError, ValueError) as error:
            return f"It cannot be started: {error}."
        finally:
            self._app.refresh()
        return ""

    # --- files ------------------------------------------------------------------------------------------------------

    def do_save(self, count: int | None) -> str:
        """Asks what is to be saved, and how."""
        del count
        return self._ask()

    def do_save_ladder(self, count: int | None) -> str:
        """The same, with a form of the ladder chosen."""
        del count
        return self._ask(form_for(LADDER_FORMS, self._before))

    def _ask(self, form: Form | None = None) -> str:
        if self._saving:
            return "A file is being written already; Esc cancels it."
        app = self._app
        scopes = scopes_of(app.session, app.shown, app.messages.list.selected)
        trouble, self._trouble = self._trouble, ""
        app.push_screen(SaveScreen(app.session, scopes, before=self._before, form=form, trouble=trouble), self._begin)
        return ""

    def _begin(self, request: SaveRequest | None) -> None:
        self._app.focus_view()
        if request is None:
            return
        session, key, post = self._app.session, self._key, self._app.post_message
        self._before, self._saving, self._cancelled = request, True, False
        self._ended.clear()

        def work() -> None:
            try:
                post(SavingAdvanced(save(session, request, key, lambda: self._cancelled, tell)))
            finally:
                self._ended.set()

        def tell(saved: Saved) -> None:
            post(SavingAdvanced(saved))

        self._app.run_worker(work, thread=True, group="save")

    def advanced(self, saved: Saved) -> None:
        """How far it is."""
        self._saving = not saved.is_over
        self._trouble = "" if saved.is_cancelled else saved.trouble
        self._app.say(saved.sentence)

    def cancel(self) -> bool:
        """Ends the saving; False if there is none."""
        going, self._cancelled = self._saving, True
        return going

    def stop(self) -> None:
        """The same, and waits for it: the texts are read until it has ended."""
        self.cancel()
        self._ended.wait(STOP_WAIT_S)
