"""What leaves the screen: safe text for clipboard, pager and editor, and the log file that F2 writes."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.render import jsonl, styled
from ocppscope.render.csvtext import CsvFormat
from ocppscope.render.jsonl import JsonlFormat
from ocppscope.render.textlog import TextFormat
from ocppscope.render.wiretext import visible, visible_bytes
from ocppscope.store.places import GoneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ocppscope.model import Message
    from ocppscope.render.formats import LogFormat
    from ocppscope.store.store import Store
    from ocppscope.tui.pages import Subject

MAX_COPY = 1 << 18
"""Bytes of a message that go to the clipboard; many terminals take less."""
MAX_LAID_OUT = 1 << 20
"""Characters of a message that go to the pager or the editor."""
MAX_LINE = 10_000
"""Characters of one line of these."""
FORMATS: dict[str, Callable[[], LogFormat]] = {
    ".log": TextFormat,
    ".txt": TextFormat,
    ".jsonl": JsonlFormat,
    ".csv": CsvFormat,
}
"""What a file is written as, by its suffix."""
SAVE_STEP = 1 << 10
"""Rows that are written between two looks at whether to go on."""


def json_text(message: Message) -> str:
    """The message on one line, with everything escaped that is no printable character."""
    return visible_bytes(message.text, MAX_COPY)


def laid_out(subject: Subject) -> str:
    """The message over several lines, for the pager and the editor."""
    message = subject.message
    text = jsonl.indented(message.text)
    if text is None:
        return visible_bytes(message.text, MAX_LAID_OUT) + "\n"
    return "".join(f"{visible(line, MAX_LINE)}\n" for line in text.split("\n"))


def page(text: str) -> None:
    """Shows a text in the pager, in place of the screen; raises `OSError`."""
    command = shlex.split(os.environ.get("PAGER", "") or "less")
    subprocess.run(command, input=text.encode("utf-8", "replace"), check=False)


def edit(text: str, suffix: str = ".json") -> None:
    """Opens a copy of a text in the editor; raises `OSError`. What is changed there changes nothing here."""
    command = shlex.split(os.environ.get("VISUAL", "") or os.environ.get("EDITOR", "") or "vi")
    with tempfile.TemporaryDirectory(prefix="ocppscope-") as directory:
        path = Path(directory) / f"message{suffix}"
        path.write_text(text, encoding="utf-8", errors="replace")
        path.chmod(0o400)
        subprocess.run([*command, str(path)], check=False)


class Saved(NamedTuple):
    """How saving went: how many rows of how many, and a sentence if it failed."""

    path: str
    rows: int
    of: int
    done: bool = False
    trouble: str = ""


def save(
    store: Store,
    rows: NDArray[np.int64] | None,
    path: Path,
    cancelled: Callable[[], bool],
    tell: Callable[[Saved], object],
) -> Saved:
    """Writes rows as a log in a new file; a file that exists is left alone. Runs in a thread."""
    maker = FORMATS.get(path.suffix.lower())
    if maker is None:
        return Saved(
            str(path), 0, 0, trouble=f"What a “{path.suffix}” file is to hold is not known: {', '.join(FORMATS)}."
        )
    rows = np.arange(store.first, len(store)) if rows is None else rows
    written = 0
    try:
        with path.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            lines = _Lines(store, maker())
            file.write(lines.form.header())
            for at in range(0, len(rows), SAVE_STEP):
                if cancelled():
                    return Saved(str(path), written, len(rows), trouble="Saving was cancelled; the file ends early.")
                part = rows[at : at + SAVE_STEP].tolist()
                file.write("".join(map(lines.line, part)))
                written += len(part)
                tell(Saved(str(path), written, len(rows)))
    except FileExistsError:
        return Saved(str(path), 0, len(rows), trouble=f"{path} exists already; nothing was written.")
    except OSError as error:
        return Saved(str(path), written, len(rows), trouble=f"{path} cannot be written: {error.strerror}.")
    return Saved(str(path), written, len(rows), done=True)


class _Lines:
    """Rows as lines of a format."""

    def __init__(self, store: Store, form: LogFormat) -> None:
        self._store = store
        self.form = form
        self._seen: set[int] = set()
        if isinstance(form, TextFormat) and len(store) > store.first:
            form.start_at(int(store.column("time_ns", store.first, store.first + 1)[0]))

    def line(self, row: int) -> str:
        """One row; nothing for one that is not kept any more."""
        try:
            message = self._store.message(row)
        except GoneError:
            return ""
        connection = self._store.connections.get(message.connection)
        if connection is not None and message.connection not in self._seen:
            self._seen.add(message.connection)
            self.form.seen(connection)
        return self.form.line(row, message.connection, message.time_ns, self.form.message(message))


def plain(line: styled.Line) -> str:
    """A shown line as text."""
    return styled.plain(line).strip()


def safe(text: str) -> str:
    """A text of a peer as it is shown, all of it."""
    return visible(text, MAX_COPY)
