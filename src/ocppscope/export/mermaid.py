"""The ladder as a Mermaid sequence diagram; findings and notes are notes below their messages.

The diagram is bounded, since those who draw it are (`render.mermaid`); it says how much is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.evidence import Row
from ocppscope.export.names import Names
from ocppscope.render import mermaid
from ocppscope.render.ladder import Ladder
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence, Item
    from ocppscope.export.writing import Job
    from ocppscope.model import Event

MAX_WORDS = 300
"""Characters of a finding's sentence or a note that are looked at."""


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """Writes the diagram. Raises OcppscopeError."""
    drawn = Drawn(evidence)
    for item in job.through(evidence.items()):
        drawn.add(item)
    out.write(drawn.text().encode("utf-8", "replace"))


class Drawn:
    """The beginning of what is shown, as a ladder: as many rows as a diagram may have."""

    def __init__(self, evidence: Evidence, most: int = mermaid.MAX_MERMAID_MESSAGES) -> None:
        self._most = most
        self._events: dict[int, Event] = {}  # those that begin a row
        self._remarks: dict[int, list[str]] = {}
        self.more = 0  # items that there was no room for
        self.ladder = Ladder(self._events.__getitem__)
        self._names = Names(evidence, self.ladder.meet)

    def add(self, item: Item) -> None:
        """The next item."""
        if self.is_full:
            self.more += 1
            return
        self._names.learn(item)
        self._take(item.message if isinstance(item, Row) else item)
        said = list(_words(item)) if isinstance(item, Row) else []
        if said and self.ladder.rows:
            self._remarks.setdefault(self.ladder.rows[-1].first, []).extend(said)

    @property
    def is_full(self) -> bool:
        """Whether no more rows are taken."""
        return len(self.ladder.rows) >= self._most

    def text(self) -> str:
        """The diagram."""
        return mermaid.mermaid(self.ladder, self._remarks, self.more)

    def _take(self, event: Event) -> None:
        index = self.ladder.taken
        self._events[index] = event
        self.ladder.take((event,))
        if not self.ladder.rows or self.ladder.rows[-1].first != index:
            del self._events[index]


def _words(row: Row) -> list[str]:
    said = [visible(f"▲ {one.severity} {one.rule} {text}".rstrip(), MAX_WORDS) for one, text in row.verdicts]
    mark = f"[{row.note.mark}] " if row.note.mark else ""
    return [*said, visible(f"{mark}{row.note.note}", MAX_WORDS)] if mark or row.note.note else said
