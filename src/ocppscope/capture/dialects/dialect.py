"""What a dialect is: a name, a sentence, and patterns of its lines. Data only; `reader` reads lines by it.

A pattern is searched for in the beginning of a line, and says with named groups what it found:

    text        where a message begins; it may go on for as long as its JSON does
    way         a word for the direction, to be looked up in the dialect's `ways`
    station     the station's identity; without it, the one that was named last
    session     a name of the connection, where the log has one
    time        where the general search for a time would find another one
    kind, id, action, payload      the parts of a message that is not shown as a whole
    version     a subprotocol, or a version
    code, reason, data, url        of a close, a ping or pong, an opening
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from ocppscope.model import Side


class Way(Enum):
    """Who said it, as a log can say it."""

    FROM_STATION = "station"
    FROM_CSMS = "csms"
    SENT = "sent"  # by whoever wrote the log
    RECEIVED = "received"
    UNSAID = ""


class Writing(Enum):
    """How a message is written down in its line."""

    PLAIN = "plain"
    QUOTED = "quoted"  # within a string with backslashes, as Go and JSON have it
    BYTES = "bytes"  # a Python string or bytes literal
    PARTS = "parts"  # id, action and payload one by one
    NAMED = "named"  # named, and not shown


class Event(Enum):
    """What a line tells."""

    MESSAGE = "message"
    OPEN = "open"
    CLOSE = "close"
    PING = "ping"
    PONG = "pong"
    CLOSE_FRAME = "close frame"
    VERSION = "version"  # the subprotocol of the connection that opens next
    HEAD = "head"  # the first line of an HTTP head, in `text`
    HEADER = "header"  # a further one
    TIME = "time"  # nothing but a time, for lines that have none


class Form(NamedTuple):
    """One kind of line."""

    event: Event
    pattern: re.Pattern[str]
    way: Way = Way.UNSAID  # where the pattern has no group for it
    writing: Writing = Writing.PLAIN


class Dialect(NamedTuple):
    """One line format."""

    name: str
    about: str  # a sentence
    forms: tuple[Form, ...]
    ways: dict[str, Way] = {}  # by word, in lower case  # noqa: RUF012
    writer: Side | None = None  # who writes such logs; None: both do, so that what is said has to tell
    zone_ns: int | None = None  # of times without one, ahead of UTC; None: not known
    is_general: bool = False  # read by it only what is of no other one


class Tally:
    """What was in a log, for the sentences that are said of it."""

    def __init__(self) -> None:
        self.lines = 0
        self.messages = 0
        self.cut = 0  # of these: only their beginning is shown
        self.named = 0  # of these: named, and not shown
        self.events = 0  # openings, closings, pings
        self.skipped = 0  # lines that hold something else
        self.untimed = 0  # messages and events without a time
        self.zoneless = 0  # times without a zone
        self.dateless = 0  # times of day
        self.latin = 0  # lines that are no UTF-8
        self.overlong = 0  # lines that are longer than is read
        self.unsided = 0  # messages of which nothing tells who sent them
