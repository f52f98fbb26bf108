"""The rows of a session as evidence: what the screens save is made of the same as what `ocppscope export` writes.

Reads the store from any thread, and changes nothing. No form, no file, no widget.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from ocppscope.analysis.registry import RULES
from ocppscope.export.evidence import Item, Row
from ocppscope.model import ConnectionClosed, ConnectionOpened, ControlFrame, ExchangeEnd
from ocppscope.render.rungs import connection_of
from ocppscope.store.notes import NO_NOTE
from ocppscope.store.places import GoneError
from ocppscope.store.verdicts import NO_VERDICTS
from ocppscope.tui.ladder_rows import as_seen, connections_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ocppscope.analysis.report import Report
    from ocppscope.export.evidence import Source
    from ocppscope.model import Connection, Message
    from ocppscope.store.between import Aside, OtherEvent
    from ocppscope.store.verdicts import Verdict, Verdicts
    from ocppscope.tui.session import Session

    Rows = NDArray[np.int64]

STEP = 1 << 11
"""Rows that are looked at at once."""
_CLOSE = 8


class StoreEvidence:
    """Implements `export.evidence.Evidence`: the rows that the session has now, or some of them.

    Of what happened between rows, some of the rows have what their connections did (opened, closed, lost bytes) and
    CALLs of them that nobody answered, as the ladder shows it; all of them have everything.
    """

    def __init__(self, session: Session, rows: Rows | None = None) -> None:
        """`rows` are in order; None is all. What comes later is not in it."""
        store = session.store
        self._store, self._notes, self._rows = store, session.notes, rows
        self._first, self._stop = store.first, len(store)
        self._ending = store.events(self._stop, self._stop + 1)
        self._concerned = None if rows is None else connections_of(store, rows)
        self._known: dict[int, Connection] = {}
        self.left_out = 0  # rows of the latest `items` that are not kept any more
        self.title = session.title
        self.source: Source | None = session.source
        files = self.source.paths if self.source is not None else ()
        self.captures: tuple[str, ...] = tuple(PurePath(one).name for one in files) or (session.title,)
        found = session.report()
        self.report: Report | None = None if found is None else replace(found, captures=self.captures)
        self._sentences = _sentences(found)

    def __len__(self) -> int:
        """How many rows."""
        return self._stop - self._first if self._rows is None else len(self._rows)

    @property
    def connections(self) -> Mapping[int, Connection]:
        """See `Evidence`."""
        return self._known

    def items(self) -> Iterator[Item]:
        """See `Evidence`; rows that are not kept any more are left out and counted."""
        self.left_out = 0
        self._known.clear()
        for low in range(self._first, self._stop, STEP):
            high = min(low + STEP, self._stop)
            yield from self._piece(self._rows_in(low, high), self._store.events(low, high))
        yield from self._piece((), self._ending)

    def _rows_in(self, low: int, high: int) -> Iterable[int]:
        if self._rows is None:
            return range(low, high)
        part: list[int] = self._rows[slice(*np.searchsorted(self._rows, (low, high)))].tolist()
        return part

    def _piece(self, rows: Iterable[int], asides: Sequence[Aside]) -> Iterator[Item]:
        """Rows, each after what happened before it, and what happened after the last one."""
        wanted, at = list(rows), 0
        said = dict(self._store.judged.rows(wanted[0], wanted[-1] + 1)) if wanted else {}
        for row in wanted:
            while at < len(asides) and asides[at].row <= row:
                if self._learn(asides[at].event):
                    yield asides[at].event
                at += 1
            item = self._row(row, said.get(row, NO_VERDICTS))
            if item is not None:
                yield item
        yield from (aside.event for aside in asides[at:] if self._learn(aside.event))

    def _learn(self, event: OtherEvent) -> bool:
        """Knows its connection from now on; whether it is shown."""
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            self._known[event.connection.number] = event.connection
        return self._shows(event)

    def _shows(self, event: OtherEvent) -> bool:
        if self._rows is None or self._concerned is None:
            return True
        if isinstance(event, ControlFrame) and event.opcode != _CLOSE:
            return False
        if isinstance(event, ExchangeEnd):
            row = self._store.find(event.connection, event.ordinal)
            return row is not None and _is_among(row, self._rows)
        return connection_of(event) in self._concerned

    def _row(self, row: int, said: Verdicts) -> Row | None:
        try:
            message = as_seen(self._store.message(row))
        except GoneError:
            self.left_out += 1
            return None
        self._meet(message.connection)
        verdicts = tuple((verdict, self._sentence(verdict, message)) for verdict in said) if said else ()
        return Row(row, message, verdicts, NO_NOTE if self._notes is None else self._notes.of(message))

    def _meet(self, number: int) -> None:
        """A connection whose opening is not kept is known all the same."""
        if number not in self._known:
            connection = self._store.connections.get(number)
            if connection is not None:
                self._known[number] = connection

    def _sentence(self, verdict: Verdict, message: Message) -> str:
        """That of the finding where it names the message, or else what the rule is about."""
        sentence = self._sentences.get((message.connection, message.ordinal, verdict.rule))
        if sentence is not None:
            return sentence
        rule = RULES.get(verdict.rule)
        return "" if rule is None else rule.title


def _is_among(row: int, rows: Rows) -> bool:
    at = int(np.searchsorted(rows, row))
    return at < len(rows) and int(rows[at]) == row


def _sentences(found: Report | None) -> dict[tuple[int, int, str], str]:
    """What findings say, by the messages that they name (connection and ordinal) and by rule."""
    said: dict[tuple[int, int, str], str] = {}
    for finding in found.findings if found is not None else ():
        for ref in finding.evidence:
            if ref.ordinal >= 0:
                said.setdefault((ref.connection, ref.ordinal, finding.rule), finding.text)
    return said
