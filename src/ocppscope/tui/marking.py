"""Actions on marks and notes, which are kept in the sidecar file, and the comparison of two messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.errors import OcppscopeError
from ocppscope.store.places import GoneError
from ocppscope.tui.screens import DiffScreen

if TYPE_CHECKING:
    from ocppscope.model import Message
    from ocppscope.store.notes import Notes
    from ocppscope.tui.app import Scope

NO_PLACE = "There is no file beside which marks and notes could be kept."


class Marking:
    """Does them."""

    def __init__(self, app: Scope) -> None:
        self._app = app

    def do_mark(self, count: int | None) -> str:
        """Waits for a letter, and marks with it."""
        del count
        if self._app.session.notes is None:
            return NO_PLACE
        self._app.wait_for_letter("m", self._mark)
        return ""

    def _mark(self, letter: str) -> str:
        notes, message = self._app.session.notes, self._app.current_message()
        if notes is None or message is None:
            return ""
        taken = notes.of(message).mark == letter
        return self._set(notes, message, mark="" if taken else letter)

    def do_jump(self, count: int | None) -> str:
        """Waits for a letter, and goes to its mark."""
        del count
        self._app.wait_for_letter("'", self._jump)
        return ""

    def _jump(self, letter: str) -> str:
        notes, store = self._app.session.notes, self._app.session.store
        found = notes.rows(store, store.first, len(store)) if notes is not None else []
        rows = [row for row, note in found if note.mark == letter]
        if not rows:
            return f"No message is marked {letter}."
        here = self._app.row
        after = [row for row in rows if here is None or row > here]
        self._app.show.go_to(after[0] if after else rows[0])
        return ""

    def do_note(self, count: int | None) -> str:
        """Asks for a note."""
        del count
        notes, message = self._app.session.notes, self._app.current_message()
        if notes is None:
            return NO_PLACE
        if message is None:
            return "There is no message here."

        def answer(text: str | None) -> None:
            self._app.focus_view()
            if text is not None:
                self._app.say(self._set(notes, message, note=text.strip()))

        self._app.prompt.ask("Note:", answer, notes.of(message).note)
        return ""

    def _set(self, notes: Notes, message: Message, *, mark: str | None = None, note: str | None = None) -> str:
        """Changes and saves; what to tell."""
        try:
            notes.set(message, mark=mark, note=note)
            notes.save()
        except OcppscopeError as error:
            return f"{error.what} {error.hint}".strip()
        finally:
            self._app.redraw()
        return ""

    def do_diff(self, count: int | None) -> str:
        """Compares the selected messages, or the selected one with the one under the cursor."""
        del count
        chosen = set(self._app.messages.list.selected)
        if len(chosen) == 1 and self._app.row is not None:
            chosen.add(self._app.row)
        if len(chosen) != 2:
            return "Select a message with Space, go to another one, and press d."
        first, second = sorted(chosen)
        store = self._app.session.store
        try:
            screen = DiffScreen((first, store.message(first)), (second, store.message(second)))
        except GoneError as gone:
            return str(gone)
        self._app.push_screen(screen)
        return ""
