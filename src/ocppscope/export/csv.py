"""CSV: the rows of `log --format csv`, with findings, mark and note as further cells. Harmless in a spreadsheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.evidence import Row
from ocppscope.export.names import Names
from ocppscope.render.csvtext import CsvFormat, cell
from ocppscope.store.notes import NO_NOTE

if TYPE_CHECKING:
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.writing import Job
    from ocppscope.store.notes import Note
    from ocppscope.store.verdicts import Verdict

COLUMNS = (*CsvFormat.columns, "findings", "mark", "note")
MAX_CHUNK_ROWS = 512
"""Rows that are written at a time."""
MAX_CHUNK_BYTES = 1 << 20
"""Bytes of messages after which rows are written, however few they are."""


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """Writes a header and a row a message (RFC 4180). Raises OcppscopeError."""
    form = CsvFormat()
    names = Names(evidence, form.seen)
    out.write((",".join(COLUMNS) + "\r\n").encode())
    held: list[Row] = []
    size = 0
    for item in job.through(evidence.items()):
        if type(item) is Row:
            names.of(item.message.connection)
            held.append(item)
            size += len(item.message.text)
            if len(held) < MAX_CHUNK_ROWS and size < MAX_CHUNK_BYTES:
                continue
        out.write(_lines(form, held))
        held, size = [], 0
        if type(item) is not Row:
            names.learn(item)
    out.write(_lines(form, held))


def _lines(form: CsvFormat, rows: list[Row]) -> bytes:
    bodies = form.bodies([row.message for row in rows])
    lines = [
        f"{row},{message.connection},{body}{',,,' if not verdicts and note is NO_NOTE else _said(verdicts, note)}\r\n"
        for (row, message, verdicts, note), body in zip(rows, bodies, strict=True)
    ]
    return "".join(lines).encode()


def _said(verdicts: tuple[tuple[Verdict, str], ...], note: Note) -> str:
    """The cells of findings, mark and note, each with a comma before it."""
    findings = "; ".join(f"{verdict.severity} {verdict.rule}: {text}" for verdict, text in verdicts)
    return "".join(f",{cell(text)}" for text in (findings, note.mark, note.note))
