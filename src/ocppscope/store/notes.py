"""Marks and notes of a user, kept in a sidecar file beside the capture: `field.pcapng.ocppscope.json`.

A note belongs to a message by its connection and ordinal, and to its time, so that it is found again when the
capture is read anew. The file is replaced in one step, never written into: a crash leaves the old one or the new
one. What cannot be read as a sidecar is set aside under another name and never overwritten; a sidecar of a newer
ocppscope is left alone, and nothing is saved then.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import numpy as np

from ocppscope.errors import AccessError, UsageError

if TYPE_CHECKING:
    from ocppscope.model import Message
    from ocppscope.store.store import Store

SUFFIX = ".ocppscope.json"
FORMAT, FORMAT_VERSION = "ocppscope-notes", 1
MAX_NOTES = 10_000
"""Messages of a capture that may have a mark or a note."""
MAX_NOTE = 4_000
"""Characters of a note."""
MAX_MARK = 32
"""Characters of a mark's name."""
MAX_SIDECAR = 1 << 26
"""Bytes of a sidecar file; a larger one is none of ours."""
MAX_ASIDE = 100
"""Damaged sidecars that are set aside; of more, nothing is saved any more."""
_MAX_NUMBER = 1 << 63


class Note(NamedTuple):
    """What a user said of a message: a mark (a letter or a short name), a note, or both."""

    time_ns: int
    mark: str = ""
    note: str = ""


NO_NOTE = Note(0)


class _DamagedError(Exception):
    """Not a sidecar, or not one of ours."""


class _NewerError(Exception):
    """A sidecar that a newer version wrote."""


class Notes:
    """The marks and notes of one capture, by (connection, ordinal). `trouble` says what was wrong with the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self.changed = False  # since it was saved
        self._read_only = False
        self._notes: dict[tuple[int, int], Note] = {}

    def __len__(self) -> int:
        """How many messages have one."""
        return len(self._notes)

    def items(self) -> list[tuple[tuple[int, int], Note]]:
        """All of them: ((connection, ordinal), note)."""
        return list(self._notes.items())

    def of(self, message: Message) -> Note:
        """What was said of a message; `NO_NOTE` if nothing."""
        return self.at(message.connection, message.ordinal, message.time_ns)

    def at(self, connection: int, ordinal: int, time_ns: int) -> Note:
        """The same, by name and time."""
        note = self._notes.get((connection, ordinal))
        return note if note is not None and note.time_ns == time_ns else NO_NOTE

    def set(self, message: Message, *, mark: str | None = None, note: str | None = None) -> None:
        """Says something new; None leaves what was said, "" takes it back. Raises `UsageError` at a bound."""
        old = self.of(message)
        new = Note(message.time_ns, old.mark if mark is None else mark, old.note if note is None else note)
        if len(new.mark) > MAX_MARK or len(new.note) > MAX_NOTE:
            raise UsageError("The note is too long.", f"A note has at most {MAX_NOTE:,} characters.")
        name = (message.connection, message.ordinal)
        if not new.mark and not new.note:
            self._notes.pop(name, None)
        elif name not in self._notes and len(self._notes) >= MAX_NOTES:
            raise UsageError(f"There are {MAX_NOTES:,} notes already.", "Take back some of them.")
        else:
            self._notes[name] = new
        self.changed = True

    def rows(self, store: Store, start: int, stop: int) -> list[tuple[int, Note]]:
        """The rows of a range that have a mark or a note."""
        found = []
        for (connection, ordinal), note in self.items():
            row = store.find(connection, ordinal)
            if row is not None and start <= row < stop:
                chunk, at = store.cell(row)
                if chunk.time_ns[at] == note.time_ns:
                    found.append((row, note))
        return sorted(found)

    def adopt(self, store: Store) -> int:
        """Finds notes whose connection has another number by now, by ordinal and time; how many moved.

        Numbers differ when the same capture is read together with others or with other options.
        """
        moved = 0
        for (connection, ordinal), note in self.items():
            row = store.find(connection, ordinal)
            if row is not None and int(store.column("time_ns", row, row + 1)[0]) == note.time_ns:
                continue
            other = _connection_of(store, ordinal, note.time_ns)
            if other is not None and (other, ordinal) not in self._notes:
                self._notes[other, ordinal] = self._notes.pop((connection, ordinal))
                moved += 1
        return moved

    # --- the file -----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Writes the sidecar file; raises `AccessError` with what to do about it."""
        if self._read_only:
            raise AccessError(f"Notes are not saved: {self.trouble}", "Move the file away, or use the newer version.")
        notes = [
            {"connection": connection, "ordinal": ordinal, **note._asdict()}
            for (connection, ordinal), note in sorted(self._notes.items())
        ]
        content = {"format": FORMAT, "version": FORMAT_VERSION, "notes": notes}
        try:
            _replace(self.path, json.dumps(content, indent=1).encode("ascii"))
        except OSError as error:
            raise AccessError(
                f"The notes cannot be saved beside the capture: {self.path}: {error.strerror}.",
                "Copy the capture to a directory that you may write to.",
            ) from error
        self.changed = False

    def load(self) -> None:
        """Reads the sidecar file if there is one. Never fails: `trouble` says what was wrong."""
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_SIDECAR + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            self._refuse(f"{self.path.name} cannot be read: {error.strerror}.")
            return
        try:
            self._notes = _parse(data)
        except _NewerError:
            self._refuse(f"{self.path.name} was written by a newer version of ocppscope.")
        except _DamagedError as error:
            self._set_aside(str(error))

    def _refuse(self, trouble: str) -> None:
        self.trouble, self._read_only = trouble, True

    def _set_aside(self, why: str) -> None:
        for number in range(1, MAX_ASIDE + 1):
            aside = self.path.with_name(f"{self.path.name}.damaged-{number}")
            try:
                os.link(self.path, aside)  # unlike a rename, this replaces nothing
                self.path.unlink()
            except FileExistsError:
                continue
            except OSError:
                break
            self.trouble = f"{self.path.name} is damaged ({why}); it is kept as {aside.name}."
            return
        self._refuse(f"{self.path.name} is damaged ({why}) and cannot be set aside.")


def load_notes(capture: str | os.PathLike[str]) -> Notes:
    """The notes beside a capture, none if there are none yet. Never fails; see `Notes.trouble`."""
    notes = Notes(Path(os.fspath(capture) + SUFFIX))
    notes.load()
    return notes


def _connection_of(store: Store, ordinal: int, time_ns: int) -> int | None:
    """The one connection with such a message at that time."""
    found: list[int] = []
    for piece in store.pieces():
        chunk, rows = piece.chunk, slice(piece.low, piece.high)
        hits = np.flatnonzero((chunk.time_ns[rows] == time_ns) & (chunk.ordinal[rows] == ordinal))
        found += chunk.connection[rows][hits].tolist()
    return found[0] if len(found) == 1 else None


def _replace(path: Path, data: bytes) -> None:
    """A new file in place of the old one, on disk before the old one goes (POSIX rename)."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _parse(data: bytes) -> dict[tuple[int, int], Note]:
    """What a sidecar file says; raises `_DamagedError` or `_NewerError`."""
    if len(data) > MAX_SIDECAR:
        raise _DamagedError("too large")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _DamagedError("no JSON") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _DamagedError("no notes of ocppscope")
    version = content.get("version")
    if _is_number(version) and version > FORMAT_VERSION:
        raise _NewerError
    notes = content.get("notes")
    if version != FORMAT_VERSION or not isinstance(notes, list) or len(notes) > MAX_NOTES:
        raise _DamagedError("no list of notes, or too many")
    return dict(map(_note, notes))


def _note(entry: Any) -> tuple[tuple[int, int], Note]:
    """One entry of the list."""
    if not isinstance(entry, dict):
        raise _DamagedError("a note is no object")
    numbers = [number for key in ("connection", "ordinal", "time_ns") if _is_number(number := entry.get(key))]
    texts = [entry.get(key, "") for key in ("mark", "note")]
    if len(numbers) < 3 or not all(isinstance(text, str) for text in texts):
        raise _DamagedError("a note has a value of the wrong type")
    if len(texts[0]) > MAX_MARK or len(texts[1]) > MAX_NOTE:
        raise _DamagedError("a note is too long")
    connection, ordinal, time_ns = numbers
    return (connection, ordinal), Note(time_ns, *texts)


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER
