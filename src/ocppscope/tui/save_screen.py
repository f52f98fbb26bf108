"""The form behind F2: into which file, in which form, which rows, redacted or not. It writes nothing itself."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from ocppscope.errors import UsageError
from ocppscope.export.registry import BY_NAME, BY_SUFFIX, FORMS, Form, form_of
from ocppscope.plural import counted
from ocppscope.render import styled
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible
from ocppscope.tui.filterbar import Below
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.saving import MAX_PATH, SaveRequest
from ocppscope.tui.screens import Title
from ocppscope.tui.writing import Choice, Pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from textual.app import ComposeResult

    from ocppscope.tui.session import Session

    Rows = NDArray[np.int64]

MAX_TROUBLE = 12
"""Lines about what went wrong."""
NAME = "messages"
"""What a file is called where what is looked at has no name for it."""
YES = Choice(True, "yes", "tags, serial numbers, addresses, names and passwords become pseudonyms or blanks")
NO = Choice(False, "no", "everything as it was sent, secrets too: for your own eyes")
ALL, SHOWN, SELECTED, MARKED = "all", "shown", "selected", "marked"


class Scopes(NamedTuple):
    """Which rows could be saved."""

    shown: Rows | None  # what the filter left; None without one
    selected: Rows
    marked: Rows  # from the first marked row to the last one
    every: int

    def choices(self) -> list[Choice]:
        """Those that there are, the usual one first."""
        found = [Choice(ALL, ALL, f"{counted(self.every, 'message')}, without regard to a filter")]
        if self.shown is not None:
            found.insert(0, Choice(SHOWN, SHOWN, f"{counted(len(self.shown), 'message')} that the filter shows"))
        if len(self.selected):
            found.append(Choice(SELECTED, SELECTED, f"{counted(len(self.selected), 'message')} selected with Space"))
        if len(self.marked):
            first, last = int(self.marked[0]), int(self.marked[-1])
            rows = counted(len(self.marked), "message")
            help_ = f"{rows} from the first mark (row {first:,}) to the last (row {last:,})"
            found.append(Choice(MARKED, MARKED, help_))
        return found

    def rows(self, name: object) -> Rows | None:
        """The rows of a choice; None is all."""
        return {SHOWN: self.shown, SELECTED: self.selected, MARKED: self.marked}.get(str(name))


def scopes_of(session: Session, shown: Rows | None, selected: set[int]) -> Scopes:
    """Which rows could be saved now."""
    store, notes = session.store, session.notes
    found = notes.rows(store, store.first, len(store)) if notes is not None else []
    marks = [row for row, note in found if note.mark]
    marked = np.arange(marks[0], marks[-1] + 1) if len(marks) > 1 else np.empty(0, np.int64)
    return Scopes(shown, np.array(sorted(selected), np.int64), marked, len(store) - store.first)


def proposed(session: Session, form: Form) -> str:
    """A name for the file: that of what is looked at, with the suffix of the form."""
    source = session.source
    name = PurePath(source.paths[0]).stem if source is not None and source.paths else ""
    return f"{name if name and name.isprintable() else NAME}{form.suffixes[0]}"


def renamed(name: str, form: Form) -> str:
    """The name with a suffix of the form; what is no suffix of any form stays."""
    suffix = PurePath(name.strip()).suffix
    if suffix.lower() in form.suffixes or (suffix and suffix.lower() not in BY_SUFFIX):
        return name
    return f"{name.strip().removesuffix(suffix)}{form.suffixes[0]}" if name.strip() else name


def objection(path: Path, session: Session) -> str:
    """Why nothing can be written there; "" where something can. That a file exists is no objection."""
    try:
        form_of(path.name)
    except UsageError as error:
        return f"{error.what} Take one of {', '.join(BY_SUFFIX)}."
    if path.is_dir():
        return "That is a directory."
    if not path.parent.is_dir():
        return f"There is no directory {visible(str(path.parent), MAX_PATH)}."
    if not os.access(path.parent, os.W_OK):
        return f"You may not write to {visible(str(path.parent), MAX_PATH)}."
    source = session.source
    if path.exists() and any(os.path.exists(one) and path.samefile(one) for one in (source.paths if source else ())):
        return "That is what you are looking at. Take another name."
    return ""


class NameInput(Input):
    """The line of the file's name."""


class SaveScreen(ModalScreen[SaveRequest | None]):
    """The form. Gives a request whose file does not exist, or is to be replaced."""

    DEFAULT_CSS = """
    SaveScreen { background: $background; }
    SaveScreen > Vertical { width: 100%; height: 100%; background: $background; }
    SaveScreen #name { height: 1; }
    SaveScreen #name OneLine { width: 13; }
    SaveScreen NameInput, SaveScreen NameInput:focus {
        height: 1; border: none; padding: 0; background: $panel; background-tint: $panel 0%; width: 1fr;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", show=False),
        Binding("escape", "leave", show=False),
    ]

    def __init__(
        self,
        session: Session,
        scopes: Scopes,
        *,
        before: SaveRequest | None = None,
        form: Form | None = None,
        trouble: str = "",
    ) -> None:
        """`before` is what was saved, or tried, the last time, `trouble` what was wrong with that."""
        super().__init__()
        self._session = session
        self._scopes = scopes
        first = form or (before.form if before is not None else FORMS[0])
        name = str(before.path) if before is not None else proposed(session, first)
        self.label = OneLine()
        self.label.said = (Span(" file", Style.DIM),)
        self.name_input = NameInput(renamed(name, first), select_on_focus=True)
        self.form = Pick("form", [_form_choice(one) for one in FORMS])
        self.form.chosen = _form_choice(first)
        self.rows = Pick("rows", scopes.choices())
        self.redact = Pick("redacted", (YES, NO))
        was_chosen = before is not None and before.form is first
        self.redact.chosen = YES if (before.redact if was_chosen and before else first.is_shared) else NO
        self._insists = self.redact.chosen is YES and not first.is_shared  # the user wanted more than the form does
        self.about, self.trouble = Below(), Below()
        self._trouble = trouble
        self._typed = self.name_input.value
        self._asked: Path | None = None  # the file that exists and may be replaced

    def compose(self) -> ComposeResult:
        """The parts."""
        with Vertical():
            yield Title("Save", "Ctrl+S or Enter in the name saves  Tab next  Esc back")
            with Horizontal(id="name"):
                yield self.label
                yield self.name_input
            yield self.form
            yield self.rows
            yield self.redact
            yield self.about
            yield self.trouble

    def on_mount(self) -> None:
        """The name comes first."""
        self.name_input.focus()
        self._tell()
        self._say(self._trouble)

    # --- what is chosen ---------------------------------------------------------------------------------------------

    @property
    def chosen_form(self) -> Form:
        """The form."""
        assert self.form.chosen is not None
        return BY_NAME[self.form.chosen.label]

    @property
    def path(self) -> Path:
        """The file, with the suffix of the form where none was typed."""
        name = self.name_input.value.strip()
        path = Path(name).expanduser() if name else Path()
        return path if path.suffix or not path.name else path.with_name(renamed(path.name, self.chosen_form))

    def on_input_changed(self, event: Input.Changed) -> None:
        """The suffix says which form."""
        event.stop()
        found = BY_SUFFIX.get(PurePath(event.value.strip()).suffix.lower())
        if found is not None and found is not self.chosen_form:
            self.form.offer(self.form.choices, _form_choice(found))
            self._follow_form()
        if event.value != self._typed:  # a value is told of when the form opens, too
            self._typed = event.value
            self._say("")
        self._tell()

    def on_pick_chosen(self, event: Pick.Chosen) -> None:
        """The form has a suffix of its own, and says whether it is redacted."""
        event.stop()
        if event.pick is self.form:
            self._rename()
        elif event.pick is self.redact:
            self._insists = self.redact.chosen is YES
        self._tell()

    def _rename(self) -> None:
        """Another form was chosen."""
        with self.name_input.prevent(Input.Changed):
            self.name_input.value = renamed(self.name_input.value, self.chosen_form)
        self._follow_form()

    def _follow_form(self) -> None:
        """As the form usually is, but never less than was asked for."""
        self.redact.offer(self.redact.choices, YES if self.chosen_form.is_shared or self._insists else NO)

    def _tell(self) -> None:
        """What comes of what is chosen."""
        form, is_hidden = self.chosen_form, self.redact.chosen is YES
        redacted: Line = (Span(" ✓ ", Style.GOOD), Span("redacted: ", Style.GOOD), Span(YES.help))
        plain: Line = (Span(" ! ", Style.WARNING), Span("not redacted: ", Style.WARNING), Span(NO.help))
        self.about.tell(
            [
                (),
                (Span(f"   {form.name}: ", Style.KEY), Span(form.sentence)),
                redacted if is_hidden else plain,
                (Span("   Findings and notes are in it. It is written to ", Style.DIM), self._target()),
            ]
        )

    def _target(self) -> Span:
        return styled.wire(str(self.path.absolute()), Style.DIM, MAX_PATH)

    def _say(self, sentence: str) -> None:
        """What is wrong, over as many lines as it needs."""
        width = max(self.app.size.width - 4, 20)
        lines = wrap(visible(sentence, MAX_TROUBLE * width), width)[:MAX_TROUBLE] if sentence else []
        signs = [" ✗ ", *["   "] * len(lines)]
        self.trouble.tell([(Span(sign + line, Style.ERROR),) for sign, line in zip(signs, lines, strict=False)])

    # --- what comes of it -------------------------------------------------------------------------------------------

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the name; it replaces nothing."""
        event.stop()
        self._save(replaces=False)

    def action_save(self) -> None:
        """Saves; what exists is replaced only when asked a second time."""
        self._save(replaces=True)

    def _save(self, *, replaces: bool) -> None:
        self._take()
        path, asked = self.path, self._asked
        self._asked = None
        if not self.name_input.value.strip():
            self._say("Type the name of a file.")
            return
        wrong = objection(path, self._session)
        if wrong:
            self._say(wrong)
            return
        exists = path.exists()
        if exists and not (replaces and asked == path):
            self._asked = path
            self._say("There is such a file already. Ctrl+S replaces it.")
            return
        scope = self.rows.chosen.value if self.rows.chosen is not None else ALL
        rows, is_hidden = self._scopes.rows(scope), self.redact.chosen is YES
        self.dismiss(SaveRequest(path, self.chosen_form, rows, is_hidden, exists))

    def _take(self) -> None:
        """What is marked in a field that has the focus is chosen, with all that follows from it."""
        form = self.form.chosen
        for pick in (self.form, self.rows, self.redact):
            pick.take()
        if self.form.chosen != form:
            self._rename()

    def action_leave(self) -> None:
        """Back, and nothing is saved."""
        self.dismiss(None)


def _form_choice(form: Form) -> Choice:
    return Choice(form.name, form.name, f"{form.suffixes[0]}  {form.sentence}")


def form_for(names: Sequence[str], before: SaveRequest | None) -> Form:
    """One of some forms: that of the last time if it is one of them, else the first."""
    return before.form if before is not None and before.form.name in names else BY_NAME[names[0]]
