"""Actions that find: the filter, which says what is shown, and the search, which moves among that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

from ocppscope.query.filter import CancelledError, FilterError, Pace, compile_filter
from ocppscope.tui.filtering import Filtering, Found
from ocppscope.tui.seek import seek

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ocppscope.query.filter import Filter
    from ocppscope.tui.app import Scope


class FilterAdvanced(Message):
    """The thread that filters has found more."""

    def __init__(self, found: Found) -> None:
        self.found = found
        super().__init__()


class SearchEnded(Message):
    """The thread that searches has found a row, or none."""

    def __init__(self, serial: int, row: int | None) -> None:
        self.serial = serial
        self.row = row
        super().__init__()


class Finding:
    """Does them."""

    def __init__(self, app: Scope) -> None:
        self._app = app
        self._filtering = Filtering(app.session.store, lambda found: app.post_message(FilterAdvanced(found)))
        self._serial = 0
        self._found: Found | None = None
        self.applied: Filter | None = None
        self.needle = ""
        self._search: Filter | None = None
        self._search_serial = 0
        self._searching = False

    # --- the filter -------------------------------------------------------------------------------------------------

    def do_filter(self, count: int | None) -> str:
        """Into the filter bar."""
        del count
        self._app.bar.input.focus()
        return ""

    def do_clear_filter(self, count: int | None) -> str:
        """Everything is shown."""
        del count
        if self.applied is None:
            return "There is no filter."
        self._app.bar.set_text("")
        self.use(None)
        return ""

    def use(self, wanted: Filter | None) -> None:
        """Only what passes is shown from now on."""
        if wanted is not None and wanted.is_empty:
            wanted = None
        self.applied, self._found = wanted, None
        self._app.go_on()
        self._serial = self._filtering.run(wanted)
        if wanted is None:
            self._app.show_rows(None)

    def use_text(self, text: str) -> str:
        """The same for a text; what is wrong with it."""
        try:
            wanted = compile_filter(text, self._app.settings.filters)
        except FilterError as error:
            return f"{error.message} {error.hint}".strip()
        self._app.bar.set_text(text)
        self._app.bar.close()
        self._app.bar.history.add(text)
        self.use(wanted)
        return ""

    def advanced(self, found: Found) -> None:
        """The filter has found more."""
        if found.serial != self._serial or self.applied is None:
            return
        self._found = found
        if found.trouble:
            self._app.say(found.trouble)
        self._app.show_rows(found.rows)

    def grown(self, *, finished: bool) -> None:
        """There are more rows to be filtered."""
        if self.applied is not None:
            self._filtering.grown(finished=finished)

    @property
    def state(self) -> str:
        """What the status line says of it."""
        if self._searching:
            return "searching (Esc cancels)"
        found = self._found
        if self.applied is None:
            return ""
        if found is None:
            return "filtering"
        if found.cancelled:
            return "the filter was cancelled: not all messages were looked at"
        return "" if found.done else f"filtering {100 * found.looked // max(found.of, 1)} % (Esc cancels)"

    def cancel(self) -> bool:
        """Ends what runs; False if nothing does."""
        if self._searching:
            self._search_serial += 1
            self._searching = False
            return True
        if self.applied is not None and (self._found is None or not (self._found.done or self._found.cancelled)):
            self._filtering.cancel()
            return True
        return False

    def stop(self) -> None:
        """Ends the threads."""
        self._search_serial += 1
        self._filtering.stop()

    # --- the search -------------------------------------------------------------------------------------------------

    def do_search(self, count: int | None) -> str:
        """Asks for a text."""
        del count
        self._app.prompt.ask("Find:", self._begin, self.needle)
        return ""

    def _begin(self, text: str | None) -> None:
        self._app.focus_view()
        if not text:
            return
        self.needle = text
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        try:
            self._search = compile_filter(f'"{quoted}"')
        except FilterError as error:
            self._app.say(error.message)
            return
        self._app.say(self._look(1))

    def do_next_match(self, count: int | None) -> str:
        """Down to the text."""
        del count
        return self._look(1)

    def do_previous_match(self, count: int | None) -> str:
        """Up to the text."""
        del count
        return self._look(-1)

    def _look(self, step: int) -> str:
        search, row = self._search, self._app.row
        if search is None:
            return "Type what to look for: the key f."
        if row is None:
            return "There are no messages."
        self._search_serial += 1
        serial, store, shown = self._search_serial, self._app.session.store, self._app.shown
        pace = Pace(lambda: self._search_serial != serial)
        self._searching = True

        def mask(start: int, stop: int) -> NDArray[np.bool_]:
            return search.mask(store, start, stop, pace)

        def work() -> None:
            try:
                found = seek(store, shown, row, step, mask)
            except CancelledError:
                return
            self._app.post_message(SearchEnded(serial, found))

        self._app.run_worker(work, thread=True, group="search")
        return ""

    def search_ended(self, event: SearchEnded) -> None:
        """There is a row, or none."""
        if event.serial != self._search_serial:
            return
        self._searching = False
        if event.row is None:
            self._app.say(f"“{self.needle}” is nowhere further on.")
        else:
            self._app.show.go_to(event.row)
