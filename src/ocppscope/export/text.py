"""The annotated log: what `log --full` prints, with findings and notes below their messages.

What is not the log's own stands in lines that begin with `#`, which every reader of such logs takes for comments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.evidence import Row
from ocppscope.export.names import Names, is_redacted, number_of
from ocppscope.render import times
from ocppscope.render.textlog import Style, TextFormat
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.writing import Job

MAX_SENTENCE = 1000
"""Characters of a finding's sentence, and of a line of a note."""
SPAN_COLUMNS = 100
"""Columns that are kept at the head for the number of messages and their times, which are known at the end."""
STYLE = Style(clock=times.ClockFormat("a", 6), full=True, pings=True, whole=True)


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """Writes the log. Raises OcppscopeError."""
    form = TextFormat(STYLE)
    names = Names(evidence, form.seen)
    place = _head(evidence, out)
    count, first_ns, last_ns = 0, None, 0
    for item in job.through(evidence.items()):
        names.learn(item)
        if isinstance(item, Row):
            body: str | None = form.message(item.message)
            time_ns, row = item.message.time_ns, item.row
            count += 1
        else:
            body, time_ns, row = form.event(item), item.time_ns, None
        if body is None:
            continue
        first_ns, last_ns = time_ns if first_ns is None else first_ns, time_ns
        out.write(form.line(row, number_of(item), time_ns, body).encode("utf-8", "replace"))
        if isinstance(item, Row):
            out.write("".join(_said(item)).encode("utf-8", "replace"))
    _span(out, place, count, first_ns or 0, last_ns)


def _head(evidence: Evidence, out: BinaryIO) -> int:
    """Writes what this is; gives the place of the line that is written at the end."""
    captures = ", ".join(visible(name, MAX_SENTENCE) for name in evidence.captures)
    hidden = (
        "redacted: identities are pseudonyms, secrets are blanked"
        if is_redacted(evidence)
        else "not redacted: it may hold tags, serial numbers, addresses and passwords"
    )
    out.write(f"# ocppscope log of {captures}\n".encode("utf-8", "replace"))
    place = out.tell()
    out.write(f"{'#':{SPAN_COLUMNS}}\n# {hidden}\n".encode())
    return place


def _span(out: BinaryIO, place: int, count: int, first_ns: int, last_ns: int) -> None:
    words = f"# {count:,} message{'s' * (count != 1)}"
    if first_ns or last_ns:
        words += f", {times.stamp(first_ns)} to {times.stamp(last_ns)} (UTC)"
    end = out.tell()
    out.seek(place)
    out.write(f"{words[:SPAN_COLUMNS]:{SPAN_COLUMNS}}".encode())
    out.seek(end)


def _said(row: Row) -> Iterator[str]:
    """What rules and the user said, a line each."""
    for verdict, sentence in row.verdicts:
        yield f"#     ▲ {verdict.severity} {verdict.rule}  {visible(sentence, MAX_SENTENCE)}".rstrip() + "\n"
    note = row.note
    mark = f"[{visible(note.mark)}] " if note.mark else ""
    for number, line in enumerate(note.note.splitlines() or [""] * bool(mark)):
        yield f"#     ; {'' if number else mark}{visible(line, MAX_SENTENCE)}".rstrip() + "\n"
