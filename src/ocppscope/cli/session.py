"""What happens to events on their way to the log: folded, filtered, numbered, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.model import ConnectionClosed, ConnectionOpened, Event, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ocppscope.model import Connection
    from ocppscope.render.formats import LogFormat


class Needle:
    """The filter of `-Y`: a text that must occur, whatever its case."""

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        self._octets = text.lower().encode()
        self._stations: dict[int, bool] = {}

    def seen(self, connection: Connection) -> None:
        """Learns whether a station's name has it."""
        self._stations[connection.number] = self._text in connection.station.casefold()

    def in_message(self, message: Message) -> bool:
        """In its text (which has the id), its action, or its station."""
        return (
            self._octets in message.text.lower()
            or self._text in message.action.casefold()
            or self._stations.get(message.connection, False)
        )

    def in_line(self, body: str) -> bool:
        """In the line of another event."""
        return self._text in body.casefold()


class Log:
    """The log of one run. Every message counts as a row, shown or not, so that rows keep their names."""

    def __init__(
        self,
        form: LogFormat,
        write: Callable[[str], object],
        *,
        needle: str = "",
        events: bool = True,
        legs: bool = False,
        count: int | None = None,
    ) -> None:
        self.form = form
        self._line = form.line
        self._write = write
        self.needle = Needle(needle) if needle else None
        self._events = events
        self._legs = legs
        self._count = count
        self.done = False  # as many messages were shown as were asked for
        self.rows = 0
        self.shown = 0
        self.folded: dict[int, int] = {}  # connection that repeats a session → its messages
        self.lost: dict[int, Connection] = {}  # connections of which bytes are missing
        self.connections = 0

    def take(self, events: Iterable[Event]) -> None:
        """The next events."""
        message_of, folded, needle = self.form.message, self.folded, self.needle
        for event in events:
            if type(event) is Message:
                wanted = event.connection not in folded and (needle is None or needle.in_message(event))
                self.message(event.connection, event.time_ns, message_of(event) if wanted else None)
                if self.done:
                    return
            else:
                self.other(event)

    def message(self, connection: int, time_ns: int, body: str | None) -> None:
        """The next message, by its body; None if it is filtered out or folded."""
        row = self.rows
        self.rows = row + 1
        if connection in self.folded:
            self.folded[connection] += 1
        elif body is not None:
            self._write(self._line(row, connection, time_ns, body))
            self.shown += 1
            if self._count is not None and self.shown >= self._count:
                self.done = True

    def messages(self, connections: Sequence[int], times: Sequence[int], bodies: Sequence[str]) -> None:
        """The next messages, none of them filtered out."""
        if self._count is not None or not self.folded.keys().isdisjoint(connections):
            for connection, time_ns, body in zip(connections, times, bodies, strict=True):
                if not self.done:
                    self.message(connection, time_ns, body)
            return
        rows = range(self.rows, self.rows + len(bodies))
        self.rows += len(bodies)
        self.shown += len(bodies)
        self._write("".join(map(self._line, rows, connections, times, bodies)))

    def other(self, event: Event) -> None:
        """The next event that is no message."""
        assert not isinstance(event, Message)
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            number = event.connection.number
            self._meet(event.connection)
        else:
            number = event.connection
            if number in self.folded:
                return
        if not self._events:
            return
        body = self.form.event(event)
        if body is not None and (self.needle is None or self.needle.in_line(body)):
            self._write(self.form.line(None, number, event.time_ns, body))

    def _meet(self, connection: Connection) -> None:
        self.form.seen(connection)
        self.connections += connection.closed_ns is None
        if self.needle is not None:
            self.needle.seen(connection)
        if connection.leg_of is not None and not self._legs:
            self.folded.setdefault(connection.number, 0)
        if any(connection.lost_bytes):
            self.lost[connection.number] = connection
