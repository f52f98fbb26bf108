"""What a log of messages says, before anybody asks what it means: one `Entry` a line or record.

Readers of logs make these (`textlog`, `trace`), `replay` turns them into the events that packets would have given.
Plain data; no reader and no decoder here.
"""

from __future__ import annotations

from typing import NamedTuple

from ocppscope.model import Flow, Kind, Side, Version


class Asked(NamedTuple):
    """The station asked for an upgrade; `head` is its request, as it was on the wire."""

    head: bytes
    flow: Flow | None = None  # None: the log does not say
    leg_of: int | None = None  # the number in the log of the connection whose session this one repeats


class Answered(NamedTuple):
    """The CSMS answered an upgrade; `octets` are the head of its response and the start of a body."""

    octets: bytes


class Found(NamedTuple):
    """A connection of which the log does not hold the upgrade; `version` where the log states it."""

    flow: Flow | None = None
    version: Version = Version.UNKNOWN
    leg_of: int | None = None


class Said(NamedTuple):
    """A whole data message; not `whole` where the log shows the beginning of it only."""

    text: bytes
    binary: bool = False
    whole: bool = True


class Named(NamedTuple):
    """A message that the log names and does not show."""

    kind: Kind
    id: str = ""  # "": the log does not say
    action: str = ""


class Controlled(NamedTuple):
    """A control frame (RFC 6455 §5.5): 8 close, 9 ping, 10 pong."""

    opcode: int
    payload: bytes


class Lost(NamedTuple):
    """Bytes of one direction that the log's maker did not see, or saw and could not read."""

    octets: int  # how many; 0: not known
    why: str
    captured: bool = False


class Closed(NamedTuple):
    """A TCP connection ended: "FIN", "RST", "port reused", "end of capture"; "close frame" if a log says no more."""

    how: str
    code: int | None = None
    reason: str = ""


class Ended(NamedTuple):
    """The log goes on to here, whether or not anything was said."""


What = Asked | Answered | Found | Said | Named | Controlled | Lost | Closed | Ended


class Entry(NamedTuple):
    """One thing that a log says. `side` is who did it, None where nobody did.

    `number` names a connection where the log does so; without it, it is the latest open one of the station.
    """

    time_ns: int
    line: int  # counted from 1
    station: str
    number: int | None
    side: Side | None
    what: What


class LogBlock(NamedTuple):
    """Some entries of a log, in order: what `PacketBlock` is for packets."""

    entries: list[Entry]
    time_ns: tuple[int, ...]  # of the first and the last of them


def block_of(entries: list[Entry]) -> LogBlock:
    """A block of these."""
    return LogBlock(entries, (entries[0].time_ns, entries[-1].time_ns) if entries else ())
