"""Markdown for tickets and wikis: what was found, who took part, the messages, and the ladder where it is small.

What came from the wire stands in code spans, in which it can be no markup, no HTML, no link and no mention. Tables
are bounded, and a sentence says what is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.export.evidence import Row
from ocppscope.export.mermaid import Drawn
from ocppscope.export.names import Names, is_redacted
from ocppscope.render import jsonl, summary, times
from ocppscope.render.diagnosis import markdown as diagnosis
from ocppscope.render.formats import KIND_NAMES, SPECIAL
from ocppscope.render.wiretext import visible, visible_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.writing import Job
    from ocppscope.model import Message

MAX_TABLE_ROWS = 200
"""Messages in the table: the first ones."""
MAX_REMARKED = 50
"""Messages with findings or notes that are shown with their JSON; the first ones."""
MAX_LADDER_ROWS = 60
"""Rows up to which the ladder is drawn."""
MAX_STATIONS = 200
"""Stations that are counted one by one where there is no diagnosis."""
MAX_JSON_LINES, MAX_JSON_COLUMNS = 60, 200
MAX_WORDS = 200
ARROWS = ("→", "←")
_JOINER = "\u2060"  # between what would be a mention, a reference or a link if it stood together
_MEANT = re.compile(r"\\([@#:])")


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """Writes the document. Raises OcppscopeError."""
    taken = _Taken(evidence)
    for item in job.through(evidence.items()):
        taken.drawn.add(item)
        if isinstance(item, Row):
            taken.add(item)
        else:
            taken.names.learn(item)
    for piece in _document(evidence, taken):
        out.write(piece.encode("utf-8", "replace"))


class _Count(NamedTuple):
    """What is counted of a station."""

    version: str
    connections: set[int]
    messages: list[int]  # by side


class _Taken:
    """What is kept of the messages: the first ones, those of which something was said, and counts."""

    def __init__(self, evidence: Evidence) -> None:
        self.names = Names(evidence)
        self.drawn = Drawn(evidence, MAX_LADDER_ROWS + 1)
        self.table: list[str] = []
        self.remarked: list[str] = []
        self.count = self.remarks = 0
        self.first_ns = self.last_ns = 0
        self.stations: dict[str, _Count] = {}

    def add(self, row: Row) -> None:
        """The next message."""
        message = row.message
        known = self.names.of(message.connection)
        self.first_ns = message.time_ns if not self.count else self.first_ns
        self.last_ns = message.time_ns
        self.count += 1
        if len(self.table) < MAX_TABLE_ROWS:
            self.table.append(_table_row(row, known.station))
        if row.verdicts or row.note.mark or row.note.note:
            self.remarks += 1
            if len(self.remarked) < MAX_REMARKED:
                self.remarked.append("".join(_remarked(row, known.station)))
        if known.station in self.stations or len(self.stations) < MAX_STATIONS:
            counted = self.stations.setdefault(known.station, _Count(known.version, set(), [0, 0]))
            counted.connections.add(message.connection)
            counted.messages[message.side] += 1


def code(text: str, limit: int = MAX_WORDS) -> str:
    """Any text as a code span that nothing can leave, in a table, too."""
    shown = visible(text, limit).strip().replace("`", r"\x60").replace("|", r"\x7c")
    return f"`{shown}`" if shown else ""


# --- the document -----------------------------------------------------------------------------------------------


def _document(evidence: Evidence, taken: _Taken) -> Iterator[str]:
    report = evidence.report
    if report is not None:
        yield from (_MEANT.sub(rf"\\\1{_JOINER}", line) for line in diagnosis.markdown(report))
        yield "\n"
    else:
        yield f"# Messages of {', '.join(code(name) for name in evidence.captures)}\n\n"
    yield f"{_span(taken)}{' Redacted: identities are pseudonyms, secrets are blanked.' * is_redacted(evidence)}\n\n"
    if report is None:
        yield from _stations(taken)
    if taken.remarked:
        yield "## Messages with findings or notes\n\n"
        yield from taken.remarked
        if taken.remarks > len(taken.remarked):
            yield f"{taken.remarks - len(taken.remarked):,} more messages have findings or notes.\n\n"
    if not taken.drawn.is_full and taken.drawn.ladder.rows:
        yield f"## Ladder\n\n```mermaid\n{taken.drawn.text()}```\n\n"
    yield from _table(taken)


def _span(taken: _Taken) -> str:
    if not taken.count:
        return "No messages are shown."
    span = f"{times.stamp(taken.first_ns)} to {times.stamp(taken.last_ns)} (UTC)"
    return f"{taken.count:,} message{'s are' if taken.count > 1 else ' is'} shown, {span}."


def _stations(taken: _Taken) -> Iterator[str]:
    if taken.stations:
        yield "## Stations\n\n"
    for name, counted in taken.stations.items():
        sent, received = counted.messages
        connections = f"{len(counted.connections):,} connection{'s' * (len(counted.connections) > 1)}"
        words = f"{connections}, {sent:,} messages from it, {received:,} to it"
        yield f"- {code(name)}, OCPP {counted.version}: {words}\n"
    yield "\n" * bool(taken.stations)


def _table(taken: _Taken) -> Iterator[str]:
    if not taken.table:
        return
    yield "## Messages\n\n"
    yield "| # | time (UTC) | station | | kind | action | latency | what it says | findings and notes |\n"
    yield "|--:|---|---|---|---|---|--:|---|---|\n"
    yield from taken.table
    if taken.count > len(taken.table):
        left = taken.count - len(taken.table)
        yield f"\n{left:,} more messages are left out here; the forms html, jsonl and pcapng hold all of them.\n"


def _table_row(row: Row, station: str) -> str:
    message = row.message
    took = "" if message.latency_ns is None else times.span(message.latency_ns)
    said = "<br>".join(_said(row))
    cells = (
        str(row.row), times.stamp(message.time_ns), code(station), ARROWS[message.side], KIND_NAMES[message.kind],
        code(message.action), took, code(_words(message)), said,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _words(message: Message) -> str:
    tag = SPECIAL.get(message.outcome)
    return " ".join(filter(None, (f"[{tag}]" if tag else "", summary.said(message))))


def _said(row: Row) -> Iterator[str]:
    """What rules and the user said of a message."""
    for verdict, text in row.verdicts:
        yield f"{verdict.severity} {code(verdict.rule)} {code(text)}".rstrip()
    if row.note.mark or row.note.note:
        yield " ".join(filter(None, ("note", code(row.note.mark), code(row.note.note, MAX_WORDS * 4))))


def _remarked(row: Row, station: str) -> Iterator[str]:
    """A message of which something was said, with its JSON."""
    message = row.message
    what = " ".join(filter(None, (KIND_NAMES[message.kind], code(message.action))))
    yield f"### {row.row}: {times.stamp(message.time_ns)} {code(station)} {ARROWS[message.side]} {what}\n\n"
    for said in _said(row):
        yield f"- {said}\n"
    yield f"\n```json\n{_json(message)}\n```\n\n"


def _json(message: Message) -> str:
    """Its text, laid out where it is JSON. No line begins with a fence: lines of JSON begin otherwise, and others are
    indented."""
    layout = jsonl.indented(message.text)
    if layout is None:
        return f"  {visible_bytes(message.text, MAX_JSON_COLUMNS * 4)}".replace("```", r"\x60\x60\x60")
    lines = layout.split("\n")
    shown = [visible(line, MAX_JSON_COLUMNS).replace("```", r"\x60\x60\x60") for line in lines[:MAX_JSON_LINES]]
    return "\n".join([*shown, f"… {len(lines) - len(shown):,} more lines"] if len(lines) > len(shown) else shown)
