"""Lists and changes the notes beside a capture or log."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture.pcapfile import STDIN
from ocppscope.cli.evidence import CaptureEvidence, EvidenceRequest
from ocppscope.cli.output import Writer
from ocppscope.errors import UsageError
from ocppscope.export.evidence import Row
from ocppscope.plural import counted
from ocppscope.render.textlog import Style, TextFormat
from ocppscope.render.wiretext import visible
from ocppscope.store.notes import MAX_NOTE, Notes, load_notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.options import Options

MAX_CHANGED = 1_000
"""Messages that are noted at once; of more, the filter is taken for a mistake."""


class NoteRequest(NamedTuple):
    """What `note` was asked for."""

    inputs: list[str]
    options: Options
    wanted: str = ""
    text: str | None = None
    mark: str | None = None
    remove: bool = False


def run_note(request: NoteRequest) -> None:
    """Lists or changes. Raises OcppscopeError."""
    if len(request.inputs) != 1 or request.inputs[0] == STDIN or not os.path.isfile(request.inputs[0]):
        raise UsageError("Notes are kept beside one file.", "Name one capture or log that is a file.")
    changes = request.remove or request.text is not None or request.mark is not None
    if changes and not request.wanted.strip():
        raise UsageError("It is not said which messages are meant.", "Add a filter: -Y 'row == 17'.")
    if request.remove and (request.text is not None or request.mark is not None):
        raise UsageError("--remove takes notes back, --add and --mark write them.", "Do one after the other.")
    notes = load_notes(request.inputs[0])
    if notes.trouble:
        sys.stderr.write(f"note: {visible(notes.trouble, 500)}\n")
    if changes:
        _change(request, notes)
    else:
        _list(request, notes)


def _rows(request: NoteRequest) -> Iterator[tuple[CaptureEvidence, Row]]:
    evidence = CaptureEvidence(EvidenceRequest(request.inputs, request.options, request.wanted, findings=False))
    evidence.prepare()
    for item in evidence.items():
        if isinstance(item, Row):
            yield evidence, item


def _change(request: NoteRequest, notes: Notes) -> None:
    chosen = [row for _, row in islice(_rows(request), MAX_CHANGED + 1)]
    if not chosen:
        raise UsageError("No message passes the filter.", "`ocppscope log -Y FILTER` shows what does.")
    if len(chosen) > MAX_CHANGED:
        raise UsageError(f"More than {MAX_CHANGED:,} messages pass the filter.", "Make it narrower.")
    text, mark = ("", "") if request.remove else (request.text, request.mark)
    for row in chosen:
        notes.set(row.message, note=None if text is None else text.strip(), mark=mark)
    notes.save()
    what = counted(len(chosen), "message")
    print(f"{what}: {'taken back' if request.remove else 'noted'} in {notes.path.name}")


def _list(request: NoteRequest, notes: Notes) -> None:
    """Each noted message as the log has it, the note below it."""
    writer = Writer(sys.stdout, live=False)
    form, told = TextFormat(Style()), 0
    for evidence, row in _rows(request):
        note = notes.of(row.message)
        if not note.mark and not note.note:
            continue
        connection = evidence.connections.get(row.message.connection)
        if connection is not None:
            form.seen(connection)
        told += 1
        writer.add(form.line(row.row, row.message.connection, row.message.time_ns, form.message(row.message)))
        marked = f"[{visible(note.mark, 40)}] " if note.mark else ""
        writer.add(f"    ; {marked}{visible(note.note, MAX_NOTE)}   (row {row.row})\n")
    writer.flush()
    if not told:
        print("There are no notes." if not len(notes) else "None of the noted messages passes the filter.")
