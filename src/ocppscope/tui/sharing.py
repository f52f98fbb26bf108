"""Actions that hand something out: clipboard, pager, editor, log file. What is shown is what is handed out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported
from textual.message import Message

from ocppscope.tui import outside
from ocppscope.tui.messages import MessageList
from ocppscope.tui.outside import Saved

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.tui.app import Scope

WIDE = 400
"""Columns of a line that is copied."""


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

    # --- the log file -----------------------------------------------------------------------------------------------

    def do_save(self, count: int | None) -> str:
        """Asks for a name, and writes."""
        del count
        if self._saving:
            return "A file is being written already; Esc cancels it."
        self._app.prompt.ask(f"Save as ({' '.join(outside.FORMATS)}):", self._begin)
        return ""

    def _begin(self, name: str | None) -> None:
        self._app.focus_view()
        if not name or not name.strip():
            return
        path = Path(name.strip()).expanduser()
        store, rows = self._app.session.store, self._app.shown
        self._saving, self._cancelled = True, False

        def work() -> None:
            post = self._app.post_message
            done = outside.save(store, rows, path, lambda: self._cancelled, lambda one: post(SavingAdvanced(one)))
            post(SavingAdvanced(done))

        self._app.run_worker(work, thread=True, group="save")

    def advanced(self, saved: Saved) -> None:
        """How far it is."""
        self._saving = not (saved.done or saved.trouble)
        if self._saving:
            self._app.say(f"Saving {100 * saved.rows // max(saved.of, 1)} % (Esc cancels)")
        else:
            self._app.say(saved.trouble or f"{saved.rows:,} messages were written to {saved.path}.")

    def cancel(self) -> bool:
        """Ends the saving; False if there is none."""
        going, self._cancelled = self._saving, True
        return going
