"""What happens to events on their way to the log: folded, filtered, numbered, counted."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ocppscope.acts import act_of
from ocppscope.model import (
    ConnectAttempt,
    ConnectionClosed,
    ConnectionOpened,
    Event,
    Message,
    PacketComment,
    Side,
    TlsConnection,
)
from ocppscope.render.tls import may_be_ocpp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ocppscope.cli.sieve import Sieve
    from ocppscope.model import Connection
    from ocppscope.render.formats import LogFormat

B = TypeVar("B")
"""The body of a line: what is made of one event alone."""
B_form = TypeVar("B_form")
L_co = TypeVar("L_co", covariant=True)
L = TypeVar("L")
"""A line."""

MAX_HOSTS = 4096
"""Addresses between which OCPP is spoken that are remembered; with more, TLS of any address may be a session's."""
MAX_OVER = 4096
"""Connections that are over whose station is remembered by a log that goes on for days: lines of them still come."""


class Form(Protocol[B_form, L_co]):
    """What the lines are: text, as of `render.formats.LogFormat`, or the events themselves."""

    def seen(self, connection: Connection) -> None:
        """A connection was found, or more is known of it."""

    def message(self, message: Message) -> B_form:
        """The body of a message."""

    def event(self, event: Event) -> B_form | None:
        """The body of another event; None where it is not shown."""

    def line(self, row: int | None, connection: int, time_ns: int, body: B_form) -> L_co:
        """A body as it is written."""


class Selection(Generic[B, L]):
    """What is shown of one run, in order. Every message counts as a row, shown or not: rows keep their names."""

    def __init__(
        self,
        form: Form[B, L],
        write: Callable[[L], object],
        *,
        sieve: Sieve | None = None,
        events: bool = True,
        legs: bool = False,
        count: int | None = None,
        annotate: Callable[[B, Message], B] | None = None,
    ) -> None:
        """`annotate` adds to the body of a message."""
        self._annotate = annotate
        self.form = form
        self._line = form.line
        self._write = write
        self.sieve = sieve
        self._events = events
        self._legs = legs
        self._count = count
        self.done = False  # as many messages were shown as were asked for
        self.rows = 0
        self.shown = 0
        self.folded: dict[int, int] = {}  # connection that repeats a session → its messages
        self.lost: dict[int, Connection] = {}  # connections of which bytes are missing
        self.connections = 0
        self._hosts: set[str] = set()  # between which OCPP is spoken
        self._over: deque[int] = deque()  # connections that are over and still known
        self._latest: dict[tuple[int, Side], tuple[int, Message]] = {}  # of connections that repeat a session

    def take(self, events: Iterable[Event]) -> None:
        """The next events."""
        message_of, folded, sieve = self.form.message, self.folded, self.sieve
        for event in events:
            if type(event) is Message:
                wanted = sieve is None or sieve.takes_message(event, self.rows)
                if event.connection in folded:
                    wanted, self._latest[event.connection, event.side] = False, (self.rows, event)
                body = message_of(event) if wanted else None
                if body is not None and self._annotate is not None:
                    body = self._annotate(body, event)
                self.message(event.connection, event.time_ns, body)
                if self.done:
                    return
            else:
                self.other(event)

    def message(self, connection: int, time_ns: int, body: B | None) -> None:
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

    def messages(self, connections: Sequence[int], times: Sequence[int], bodies: Sequence[B]) -> None:
        """The next messages, none of them filtered out."""
        if self._count is not None or not self.folded.keys().isdisjoint(connections):
            for connection, time_ns, body in zip(connections, times, bodies, strict=True):
                if not self.done:
                    self.message(connection, time_ns, body)
            return
        rows = range(self.rows, self.rows + len(bodies))
        self.rows += len(bodies)
        self.shown += len(bodies)
        for line in map(self._line, rows, connections, times, bodies):
            self._write(line)

    def other(self, event: Event) -> None:
        """The next event that is no message."""
        assert not isinstance(event, Message)
        if isinstance(event, ConnectAttempt):
            return  # the log tells of sessions
        if isinstance(event, TlsConnection):
            self._encrypted(event)
            return
        connection = None
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            connection = event.connection
            number = connection.number
            self._meet(connection)
        else:
            number = event.connection
            if number in self.folded and not self._unfolded(event):
                return
        if not self._events or (self.sieve is not None and not self.sieve.takes_other(number, connection)):
            return
        body = self.form.event(event)
        if body is not None:
            self._write(self.form.line(None, number, event.time_ns, body))

    def _encrypted(self, event: TlsConnection) -> None:
        """A TLS connection, if it may be a session's."""
        hosts = self._hosts if len(self._hosts) < MAX_HOSTS else ()
        if self._events and self.sieve is None and may_be_ocpp(event, hosts):
            body = self.form.event(event)
            if body is not None:
                self._write(self.form.line(None, -1, event.time_ns, body))

    def _unfolded(self, event: Event) -> bool:
        """Whether something of a session's other leg is worth a line: what the proxy did there, and the message."""
        if not isinstance(event, PacketComment) or act_of(event.text) is None:
            return False
        key = event.connection, event.side
        row, message = self._latest.get(key, (-1, None))
        if message is None or message.ordinal != event.ordinal:
            return True
        body = self.form.message(message)
        if body is not None:
            del self._latest[key]
            self._write(self.form.line(row, message.connection, message.time_ns, body))
        return True

    def _meet(self, connection: Connection) -> None:
        self.form.seen(connection)
        self.connections += connection.closed_ns is None
        if connection.subject == "ocpp" and len(self._hosts) < MAX_HOSTS:
            self._hosts.update(end.address for end in connection.flow)
        if self.sieve is not None:
            self.sieve.seen(connection)
        if connection.leg_of is not None and not self._legs:
            self.folded.setdefault(connection.number, 0)
        if any(connection.lost_bytes):
            self.lost[connection.number] = connection


class Log(Selection[str, str]):
    """The log of one run, as text. With `forgets`, for days: of connections that are over the latest are known."""

    form: LogFormat
    forgets = False

    def _meet(self, connection: Connection) -> None:
        super()._meet(connection)
        if self.forgets and connection.closed_ns is not None:
            self._over.append(connection.number)
            if len(self._over) > MAX_OVER:
                number = self._over.popleft()
                self.form.forget(number)
                for side in Side:
                    self._latest.pop((number, side), None)
