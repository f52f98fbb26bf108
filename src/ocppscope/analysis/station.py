"""What is known of a station: one object per identity, whatever connections it comes by.

The trackers in `state/` write here, rules and timing figures read. Everything that grows is bounded by a named
constant; the oldest goes. 1.6 and 2.x have one shape: a `Place` is (connectorId, 0) in 1.6, (evseId, connectorId)
in 2.x, and an `Exchange` is a CALL with whatever became of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from ocppscope.analysis.finding import Ref
from ocppscope.analysis.latest import Latest
from ocppscope.analysis.payload import Payload
from ocppscope.model import Handshake, Kind, Outcome, Side, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocppscope.analysis.state.charging import Profiles
    from ocppscope.analysis.state.clock import Clock
    from ocppscope.analysis.state.configuration import Configuration
    from ocppscope.analysis.state.connections import Connections
    from ocppscope.analysis.state.connectors import Connectors
    from ocppscope.analysis.state.registration import Registration
    from ocppscope.analysis.state.transactions import Transaction, Transactions
    from ocppscope.model import Connection, Problem

Place = tuple[int, int]
"""(connectorId, 0) in 1.6; (evseId, connectorId) in 2.x, connectorId 0 where it is not said."""

MAX_LINKS = 256
"""Connections of a station that are remembered."""
AROUND_GAP_NS = 60_000_000_000
"""How long after bytes are missing the rules that they could mislead stay quiet."""
MAX_NAME = 50
"""Characters of an action that a place in the capture is named by."""
MAX_WHATS = 1024
"""Names of messages that are remembered; others are made anew."""

ARROWS = "→", "←"
"""By side."""

_NOTHING = Payload({})
_SOME_HANDSHAKE = Handshake("", "", "", "", (), "", "", (), (), 0)
_NO_CALLS: tuple[dict[int, Exchange], dict[int, Exchange]] = ({}, {})  # of all links that have ended: stays empty
_NO_PINGS: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
_NONE_PENDING: list[Exchange] = []


@lru_cache(MAX_WHATS)
def said_by(side: Side | int, kind: str, action: str) -> str:
    """A message for people: "→ CALL Heartbeat". The same text for all that are alike: many are kept."""
    return f"{ARROWS[side]} {kind} {action}".rstrip()


class Link:
    """One connection of a station, as long as anybody asks."""

    __slots__ = (
        "asked_ns", "close_pending", "closed_ns", "connection", "first_message_ns", "gap_ns", "last_control_ns",
        "last_heard_ns", "number", "opened_ns", "outstanding", "pings", "said", "seen_ns", "upgraded_ns",
    )  # fmt: skip

    def __init__(self, connection: Connection, now: int) -> None:
        self.connection = connection  # the latest snapshot, as far as it is kept
        self.number = connection.number
        self.seen_ns = now
        self.opened_ns = connection.opened_ns  # first packet
        handshake = connection.handshake
        self.upgraded_ns = handshake.answered_ns if handshake is not None and handshake.upgraded else None
        self.first_message_ns: int | None = None
        self.closed_ns: int | None = None
        self.gap_ns: int | None = None  # when bytes were last found missing
        self.asked_ns: list[int | None] = [None, None]  # by side: last CALL or SEND
        self.last_heard_ns: list[int | None] = [None, None]  # by side: last message, ping or pong
        self.last_control_ns: list[int | None] = [None, None]  # by side: last ping, pong or close frame
        self.said = [0, 0]  # messages by side
        self.outstanding: tuple[dict[int, Exchange], dict[int, Exchange]] = ({}, {})  # by caller's side, by ordinal
        self.pings: tuple[dict[bytes, int], dict[bytes, int]] = (
            {},
            {},
        )  # by sender: payload → time; see `wire rules`
        self.close_pending: list[Exchange] = []  # CALLs without an answer when it closed, the latest

    @property
    def open(self) -> bool:
        """Whether it is still there."""
        return self.closed_ns is None

    @property
    def version(self) -> Version:
        """As agreed or guessed."""
        return self.connection.version

    def retire(self) -> None:
        """It has ended: what only an open one needs is let go, and the words of its upgrade, and figures of TCP."""
        handshake = None if self.connection.handshake is None else _SOME_HANDSHAKE
        self.connection = replace(self.connection, handshake=handshake, transport=None, problems=())
        self.outstanding = _NO_CALLS
        self.pings = self.pings if any(self.pings) else _NO_PINGS
        self.close_pending = self.close_pending or _NONE_PENDING

    def silent_ns(self, now: int, side: Side | None = None) -> int:
        """How long nothing was heard, from one side or from both; since the upgrade where nothing was heard yet."""
        times = self.last_heard_ns if side is None else [self.last_heard_ns[side]]
        return now - max([self.upgraded_ns or self.seen_ns, *(at for at in times if at is not None)])


class Exchange(Struct, eq=False):
    """A CALL or SEND and what became of it. Rules get it when it is asked, answered, or stays unanswered.

    `asked` and `answered` are the payloads; of a CALLERROR `answered` holds the error details.
    """

    station: Station
    link: Link
    side: Side  # who asked
    kind: Kind  # CALL or SEND
    action: str
    id: str
    asked: Payload
    asked_ns: int
    ordinal: int
    packet: int
    size: int  # bytes of the text
    outcome: Outcome  # PENDING, RESENT, REUSED_ID, ANSWERED, ERROR, LATE, TIMEOUT, OPEN
    problems: tuple[Problem, ...] = ()
    concurrent: int = 0  # CALLs of the same side on the same connection that waited when it was asked
    answered: Payload = _NOTHING
    answer_problems: tuple[Problem, ...] = ()
    answer_ordinal: int = -1
    answer_packet: int = 0
    answer_size: int = 0
    error: str = ""  # error code of a CALLERROR
    error_text: str = ""
    latency_ns: int | None = None
    done_ns: int | None = None  # when answered, or given up
    replayed: bool = False  # an old message of a queue that was filled while the station was offline
    passed: bool = False  # no answer yet, but a later CALL of the same side has been answered
    stamp_ns: int | None = None  # the time that a station tells of, as the clock's tracker read it
    transaction: Transaction | None = None  # the one that it is about, as far as it is known

    @property
    def time_ns(self) -> int:
        """When what it is told of happened: answered, given up, or asked."""
        return self.asked_ns if self.done_ns is None else self.done_ns

    @property
    def status(self) -> str:
        """`status` of the answer, also from its idTagInfo or idTokenInfo."""
        found = self.answered.text("status")
        return (
            found
            or self.answered.table("idTagInfo").text("status")
            or self.answered.table("idTokenInfo").text("status")
        )

    @property
    def accepted(self) -> bool:
        """Whether it was answered with Accepted."""
        return not self.error and self.status == "Accepted"

    @property
    def failed(self) -> bool:
        """Whether a CALLERROR, or nothing, came back."""
        return bool(self.error) or self.outcome in (Outcome.TIMEOUT, Outcome.OPEN)

    @property
    def ref(self) -> Ref:
        """The CALL."""
        what = said_by(self.side, self.kind.name, self.action[:MAX_NAME])
        return Ref(self.asked_ns, self.link.number, self.ordinal, self.packet, what)

    @property
    def answer_ref(self) -> Ref:
        """The answer; the CALL where there is none."""
        if self.answer_ordinal < 0:
            return self.ref
        kind = "CALLERROR" if self.error else "CALLRESULT"
        what = said_by(1 - self.side, kind, self.action[:MAX_NAME])
        return Ref(self.done_ns or self.asked_ns, self.link.number, self.answer_ordinal, self.answer_packet, what)

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The CALL, and the answer if there is one."""
        return (self.ref,) if self.answer_ordinal < 0 else (self.ref, self.answer_ref)


class Station:
    """All that is known of one identity."""

    __slots__ = (
        "charging", "clock", "configuration", "connections", "connectors", "first_ns", "gap_ns", "identity",
        "is_followed", "is_idle", "known_ns", "link", "links", "memories", "opened", "registration", "said",
        "transactions", "vantage", "version",
    )  # fmt: skip

    def __init__(self, identity: str, now: int, state: dict[str, Any]) -> None:
        self.identity = identity
        self.first_ns = now
        self.is_followed = True  # until there are too many
        self.is_idle = True  # so far it boots and sends heartbeats: some of its state is shared with others like it
        self.known_ns: int | None = None  # since when its state is known: a handshake or BootNotification was seen
        self.version = Version.UNKNOWN  # of its latest connection
        self.link: Link | None = None  # the latest upgraded or recognised connection, open or not
        self.links: Latest[Link] = Latest(MAX_LINKS)  # upgraded or recognised ones, oldest first
        self.opened = 0  # how many of these there were, also those that are forgotten
        self.gap_ns: int | None = None  # when bytes were last found missing
        self.said = [0, 0]  # messages by side
        self.vantage = ""
        self.memories: dict[str, dict[Any, Any]] = {}  # what rules keep, by rule
        self.registration: Registration = state["registration"]
        self.connectors: Connectors = state["connectors"]
        self.transactions: Transactions = state["transactions"]
        self.configuration: Configuration = state["configuration"]
        self.charging: Profiles = state["charging"]
        self.clock: Clock = state["clock"]
        self.connections: Connections = state["connections"]

    @property
    def is_known(self) -> bool:
        """Whether a handshake or BootNotification was seen, so that what has not been seen did not happen."""
        return self.known_ns is not None

    def furnish(self, state: Mapping[str, Callable[[], object]]) -> None:
        """There is more to it than boots and heartbeats, and it gets a state of its own, by name."""
        self.is_idle = False
        for name, make in state.items():
            setattr(self, name, make())

    @property
    def is_connected(self) -> bool:
        """Whether its latest connection is open, as far as was seen."""
        return self.link is not None and self.link.open

    def gap_since(self, since_ns: int) -> bool:
        """Whether captured bytes are missing since then, or shortly before."""
        return self.gap_ns is not None and self.gap_ns >= since_ns - AROUND_GAP_NS

    @property
    def is_2x(self) -> bool:
        """Whether its latest connection speaks 2.0.1 or 2.1."""
        return self.version in (Version.V20, Version.V201, Version.V21)
