"""`--format html`: one page that works offline, for the engineer of the other party.

Messages are written as they come, as JSON in blocks that no text can end; around them stand the style and the script
of `export/page`, which a content security policy lets run and nothing else. What the page holds is bounded, and it
says what was left out. Knows nothing of browsers; makes no request and has none made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.evidence import Row
from ocppscope.export.hidden import RedactedEvidence
from ocppscope.export.page import overview, rows
from ocppscope.export.page.assets import MAX_TITLE, body, embedded, script, style
from ocppscope.render.html import head
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence, Item
    from ocppscope.export.page.overview import Tally
    from ocppscope.export.writing import Job
    from ocppscope.model import Connection

MAX_ROWS = 100_000
"""Messages that the page holds; of more, the first ones, and it says so."""
MAX_LINES = 2 * MAX_ROWS
"""Lines that it holds, with what happened between messages."""
MAX_BYTES = 96 << 20
"""Bytes of them, after which no further one is taken."""
BLOCK_LINES = 2000
"""Lines in one block of JSON, so that no block becomes too long a text for a browser."""


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """See `export.registry.FormModule`."""
    _put(out, head(f"{visible(evidence.title, MAX_TITLE)} · ocppscope", style(), script()))
    blocks = _Blocks(out)
    held = _Held(evidence, blocks)
    for item in job.through(evidence.items()):
        held.take(item)
    blocks.end()
    known, tally = dict(evidence.connections), held.tally()
    values = overview.context(
        evidence.title, evidence.captures, evidence.report, known, tally,
        redacted=isinstance(evidence, RedactedEvidence),
    )  # fmt: skip
    _put(out, body().render(values))
    data = embedded(overview.script_data(known, tally))
    _put(out, f'<script type="application/json" id="meta">{data}</script>\n')
    _put(out, f"<script>{script()}</script>\n</body>\n</html>\n")


def _put(out: BinaryIO, text: str) -> int:
    return out.write(text.encode("utf-8", "backslashreplace"))


class _Blocks:
    """Writes lines as blocks of JSON."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.lines = 0
        self.size = 0

    def add(self, line: str) -> None:
        first = self.lines % BLOCK_LINES == 0
        if first and self.lines:
            self.end()
        start = '<script type="application/json" class="rows">[\n' if first else ",\n"
        self.size += _put(self._out, start + line)
        self.lines += 1

    def end(self) -> None:
        """Ends the block, if there is one."""
        if self.lines:
            _put(self._out, "\n]</script>\n")


class _Held:
    """What the page holds, and what of all there was that is."""

    def __init__(self, evidence: Evidence, blocks: _Blocks) -> None:
        self._evidence = evidence
        self._blocks = blocks
        self._opened: dict[int, Connection] = {}
        self._base_ns: int | None = None
        self._last_ns = 0
        self._rows = 0
        self._embedded = 0
        self._full = False
        self._numbers: set[int] = set()

    def take(self, item: Item) -> None:
        """Writes the line of an item, if there is room."""
        self._rows += (is_row := isinstance(item, Row))
        now = rows.time_of(item)
        if self._base_ns is None:
            self._base_ns = self._last_ns = now
        self._last_ns = max(self._last_ns, now)
        blocks = self._blocks
        if self._full or (is_row and self._embedded >= MAX_ROWS):
            self._full = True
            return
        self._full = blocks.lines + 1 >= MAX_LINES or blocks.size >= MAX_BYTES
        line = rows.array(item, self._base_ns, self._opened)
        self._embedded += is_row
        self._numbers.add(line[rows.CONNECTION])
        if not is_row:
            self._learn(item)
        blocks.add(embedded(line))

    def _learn(self, item: Item) -> None:
        """Remembers a connection as it was opened, so that its end tells only of what is new; forgets it then."""
        connection = getattr(item, "connection", None)
        if isinstance(connection, int) or connection is None:
            return
        if connection.closed_ns is None:
            self._opened[connection.number] = connection
        else:
            self._opened.pop(connection.number, None)

    def tally(self) -> Tally:
        """When there is no more to come."""
        return overview.Tally(self._base_ns or 0, self._last_ns, self._rows, self._embedded, frozenset(self._numbers))
