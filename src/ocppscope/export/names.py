"""What the rows of a connection need to know of it: its station and version, as they were known last. No form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.evidence import Row
from ocppscope.model import ConnectionClosed, ConnectionOpened
from ocppscope.render.formats import UNKNOWN, Known, known

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.export.evidence import Evidence, Item
    from ocppscope.model import Connection


class Names:
    """Stations and versions by connection. Told by the items themselves; where a filter left them out, asked for."""

    def __init__(self, evidence: Evidence, tell: Callable[[Connection], object] | None = None) -> None:
        """`tell` is told each snapshot of a connection before its first row."""
        self._evidence = evidence
        self._tell = tell
        self._known: dict[int, Known] = {}

    def of(self, number: int) -> Known:
        """What is known of a connection."""
        found = self._known.get(number)
        return found if found is not None else self._ask(number)

    def _ask(self, number: int) -> Known:
        connection = self._evidence.connections.get(number)
        if connection is None:
            self._known[number] = UNKNOWN
        else:
            self._seen(connection)
        return self._known[number]

    def _seen(self, connection: Connection) -> None:
        self._known[connection.number] = known(connection)
        if self._tell is not None:
            self._tell(connection)

    def learn(self, item: Item) -> None:
        """The next item, before it is written."""
        if isinstance(item, ConnectionOpened | ConnectionClosed):
            self._seen(item.connection)
        else:
            self.of(item.message.connection if isinstance(item, Row) else number_of(item))


def number_of(item: Item) -> int:
    """The number of an item's connection; -1 where it has none."""
    if isinstance(item, Row):
        return item.message.connection
    if isinstance(item, ConnectionOpened | ConnectionClosed):
        return item.connection.number
    return getattr(item, "connection", -1)


def is_redacted(evidence: Evidence) -> bool:
    """Whether it is seen through a redactor."""
    return hasattr(evidence, "redactor")
