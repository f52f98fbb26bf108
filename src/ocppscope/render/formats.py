"""What every format of the log has in common: bodies, and lines that are numbered afterwards.

A body is made of one event alone, so that several processes may make them; only `line` knows what came before.
Formats write nothing anywhere, and know nothing of files and terminals but the width they are given.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ocppscope.model import Connection, Event, Kind, Message, Outcome, Side

SIDES = (Side.STATION.label, Side.CSMS.label)
KINDS = {kind: kind.name for kind in Kind}
KIND_NAMES = tuple(Kind(number).name if number in KINDS else "" for number in range(max(Kind) + 1))
"""The same by number: a place in a tuple is found in a fifth of the time that the hash of an enum's member takes."""
SPECIAL = {
    Outcome.RESENT: "RESENT: the same CALL again",
    Outcome.REUSED_ID: "REUSED ID: another CALL had it",
    Outcome.LATE: "LATE: after the timeout",
    Outcome.ORPHAN: "ORPHAN: no such CALL was seen",
    Outcome.DUPLICATE: "DUPLICATE: answered before",
}
"""Outcomes that a reader should be told of; the others are the ordinary course of things."""


class Known(NamedTuple):
    """What the lines of a connection need to know of it."""

    station: str
    version: str
    guessed: bool


UNKNOWN = Known("", "?", True)


class LogFormat(Protocol):
    """One format of the log. `seen` is told of each snapshot of a connection before its lines are made."""

    def header(self) -> str:
        """What stands before the first line, with its line end; usually nothing."""

    def seen(self, connection: Connection) -> None:
        """A connection was found, or more is known of it."""

    def forget(self, connection: int) -> None:
        """Lines of a connection that is over will hardly come any more: nothing of it need be kept."""

    def message(self, message: Message) -> str:
        """The body of a message's line."""

    def event(self, event: Event) -> str | None:
        """The body of another event's line; None where the format does not show it."""

    def line(self, row: int | None, connection: int, time_ns: int, body: str) -> str:
        """One or more whole lines, with line ends. `row` is None for what is no message."""


def known(connection: Connection) -> Known:
    """What is kept of a connection for its lines."""
    return Known(connection.station, connection.version.value, connection.version_guessed)
