"""The filter of a command line, applied to events as they pass. Imported only where somebody filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.errors import UsageError
from ocppscope.model import Connection, Kind, Message, Side
from ocppscope.query.check import NAMED
from ocppscope.query.config import named_filters
from ocppscope.query.fields import Around, Level
from ocppscope.query.filter import FilterError, compile_filter

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.query.filter import Filter
    from ocppscope.store.verdicts import Verdicts


def understood(text: str) -> Filter:
    """A filter as the user wrote it. Raises UsageError."""
    try:
        return compile_filter(text, named_filters() if NAMED in text else None)
    except FilterError as error:
        at = f" (“{text[error.start : error.stop]}”, character {error.start + 1})" if error.stop > error.start else ""
        what = f"The filter is wrong: {error.message.rstrip('.')}{at}."
        raise UsageError(what, error.hint or "`ocppscope fields` explains the language.") from None


class Sieve:
    """A filter on events as they pass, one after the other.

    Events that are no messages pass if the filter asks only about connections (or for a text) and theirs passes;
    with a filter that asks about messages they are left out.
    """

    def __init__(self, wanted: Filter) -> None:
        self._wanted = wanted
        self._connections: dict[int, Connection] = {}  # those that are open
        self._before_ns: int | None = None
        self.verdicts: Callable[[Message], Verdicts] | None = None  # what the rules said, where that is known
        self._lets_others_pass = all(field.level is Level.CONNECTION for field in wanted.fields)

    @property
    def asks_findings(self) -> bool:
        """Whether it has to be known what the rules say."""
        return any(field.level is Level.FINDING for field in self._wanted.fields)

    @property
    def works_in_parallel(self) -> bool:
        """Whether it needs nothing that only the whole capture tells."""
        return not {"row", "delta", "connection"} & {field.name for field in self._wanted.fields}

    def seen(self, connection: Connection) -> None:
        """Learns of a connection."""
        if connection.closed_ns is None:
            self._connections[connection.number] = connection
        else:
            self._connections.pop(connection.number, None)

    def takes_message(self, message: Message, row: int | None = None) -> bool:
        """Whether the next message passes; all of them must come here."""
        before, self._before_ns = self._before_ns, message.time_ns
        around = Around(row, None if before is None else message.time_ns - before)
        if self.verdicts is not None:
            around = around._replace(verdicts=self.verdicts(message))
        return self._wanted.matches(message, self._connections.get(message.connection), around)

    def takes_other(self, number: int, connection: Connection | None) -> bool:
        """Whether an event of a connection passes that is no message; `connection` where the event holds it."""
        if not self._lets_others_pass:
            return False
        return self._wanted.matches(_NO_MESSAGE, connection or self._connections.get(number))


_NO_MESSAGE = Message(0, 0, 0, Side.STATION, Kind.UNPARSED, "", "", b"", 0, ())
