"""JSON lines: the rows of `log --format jsonl --events`, with findings, marks and notes at their ends.

docs/jsonl.md tells the keys. Rows are encoded many at a time. No key and no escape is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.evidence import Row
from ocppscope.export.names import Names, number_of
from ocppscope.render.jsonl import JsonlFormat, export_row, row_lines

if TYPE_CHECKING:
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.writing import Job

MAX_CHUNK_ROWS = 512
"""Rows that are encoded at a time."""
MAX_CHUNK_BYTES = 1 << 20
"""Bytes of messages after which rows are written, however few they are."""


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """Writes an object a line. Raises OcppscopeError."""
    form = JsonlFormat()
    names = Names(evidence, form.seen)
    rows: list[object] = []
    size = 0
    for item in job.through(evidence.items()):
        if type(item) is Row:
            row, message, verdicts, note = item
            known = names.of(message.connection)
            said = [(verdict.rule, verdict.severity, text) for verdict, text in verdicts] if verdicts else ()
            rows.append(export_row(row, message, known, said, note.mark, note.note))
            size += len(message.text)
            if len(rows) < MAX_CHUNK_ROWS and size < MAX_CHUNK_BYTES:
                continue
        out.write(row_lines(rows))
        rows, size = [], 0
        if not isinstance(item, Row):
            names.learn(item)
            body = form.event(item)
            if body is not None:
                out.write(form.line(None, number_of(item), item.time_ns, body).encode())
    out.write(row_lines(rows))
