"""What is to become of a message: the rules of a script, then the user's add-on, then the intercept filter.

The first that says something has the last word, but for an edit: the next ones are asked about the edited message.
One `Policy` for the whole proxy; each connection has its own `Judgement`, so that rules count by connection.
Messages in, decisions out; no I/O, no clock.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from ocppscope.errors import UsageError
from ocppscope.query.check import NAMED
from ocppscope.query.config import named_filters
from ocppscope.query.fields import Level
from ocppscope.query.filter import FilterError, compile_filter

if TYPE_CHECKING:
    from ocppscope.model import Connection, Message
    from ocppscope.proxy.editing import Reply
    from ocppscope.query.filter import Around, Filter

SECOND = 1_000_000_000
HOLD_NS = 25 * SECOND
"""For how long a message is held: less than the 30 s after which a peer usually gives up waiting for its answer."""
MAX_HOLD_NS = 600 * SECOND
"""The longest that a message may be held or delayed, whatever was asked for."""
MAX_HELD = 1_000
"""Messages that wait in the proxy, of all connections together; beyond it they pass."""
MAX_HELD_BYTES = 64 << 20
"""Bytes of those."""
MAX_COPIES = 100
"""Most copies of a message."""

UNKNOWN_HERE = frozenset({"row", "mark", "note"})
"""Fields that say something only once messages are collected."""


# --- decisions ------------------------------------------------------------------------------------------------------


class Forward(NamedTuple):
    """Send it on, and ask nobody else."""

    why: str


class Drop(NamedTuple):
    """Do not send it on; a CALL may be answered in the place of its receiver."""

    why: str
    reply: Reply | None = None


class Edit(NamedTuple):
    """Another text takes its place."""

    why: str
    text: str


class Hold(NamedTuple):
    """Let the user decide. Later messages of the same side overtake it, or wait behind it."""

    why: str
    overtake: bool = True


class Delay(NamedTuple):
    """Send it on later."""

    why: str
    wait_ns: int
    overtake: bool = True


class Duplicate(NamedTuple):
    """Send it on more than once."""

    why: str
    copies: int = 2


class Cut(NamedTuple):
    """End the connection instead: "FIN", "RST" or "close"."""

    why: str
    how: str = "RST"


class HalfOpen(NamedTuple):
    """From here on nothing passes, but the connection stays open for a while."""

    why: str
    lasts_ns: int


Decision = Forward | Drop | Edit | Hold | Delay | Duplicate | Cut | HalfOpen


class Seen(NamedTuple):
    """One message on its way."""

    message: Message
    connection: Connection
    text: str  # as it would be sent on; what is no UTF-8 is replaced

    @property
    def payload(self) -> bytes:
        """Its payload as JSON, b"" if it has none."""
        from ocppscope.ocpp.codec import decode  # noqa: PLC0415 - only who asks pays

        return decode(self.text.encode()).payload


Say = Callable[[str], None]


class Rule(Protocol):
    """What a script's rule, or an add-on, is to a connection."""

    def decide(self, seen: Seen, around: Around, say: Say) -> Decision | None:
        """What is to become of a message; None: nothing that this one knows of."""


class Rulebook(Protocol):
    """A script or an add-on."""

    def rules(self, chance: random.Random) -> list[Rule]:
        """Its rules for one more connection."""


# --- the policy -----------------------------------------------------------------------------------------------------


def understood(text: str) -> Filter:
    """A filter on messages as they pass. Raises `UsageError`."""
    try:
        found = compile_filter(text, named_filters() if NAMED in text else None)
    except FilterError as error:
        at = f" (“{text[error.start : error.stop]}”)" if error.stop > error.start else ""
        what = f"The filter is wrong: {error.message.rstrip('.')}{at}."
        raise UsageError(what, error.hint or "`ocppscope fields` explains the language.") from None
    for field in found.fields:
        if field.level is Level.FINDING or field.name in UNKNOWN_HERE:
            what = f"The filter asks for “{field.name}”, which is not known of a message while it passes."
            raise UsageError(what, "Ask about the message itself, its payload, or its connection.")
    return found


class Room:
    """How much may wait, over all connections."""

    def __init__(self, count: int = MAX_HELD, size: int = MAX_HELD_BYTES) -> None:
        self._count, self._size = count, size

    def take(self, size: int) -> bool:
        """Takes room for one message, if there is any."""
        if not self._count or self._size < size:
            return False
        self._count -= 1
        self._size -= size
        return True

    def give_back(self, size: int) -> None:
        """A message went."""
        self._count += 1
        self._size += size


class Policy:
    """What the user wants of all connections. `chance` makes what rules leave to chance, and ids of messages."""

    def __init__(
        self,
        rulebooks: tuple[Rulebook, ...] = (),
        *,
        hold_ns: int = HOLD_NS,
        timeout_ns: int = 30 * SECOND,
        room: Room | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.rulebooks = rulebooks
        self.hold_ns = min(hold_ns, MAX_HOLD_NS)
        self.timeout_ns = timeout_ns  # after which a peer is expected to give up waiting for an answer
        self.room = room or Room()
        self.numbers = itertools.count(1)
        self.chance = chance or random.SystemRandom()
        self.wanted: Filter | None = None

    def intercept(self, text: str) -> None:
        """Holds what passes this filter from now on, "" for nothing. Raises `UsageError`; then the old one stays."""
        found = understood(text) if text.strip() else None
        self.wanted = found if found is not None and not found.is_empty else None

    @property
    def intercepting(self) -> str:
        """The filter as the user wrote it."""
        return self.wanted.text if self.wanted is not None else ""


class Judgement:
    """The policy as one connection meets it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._rules = [rule for book in policy.rulebooks for rule in book.rules(policy.chance)]

    @property
    def is_idle(self) -> bool:
        """Whether every message passes as it is, now."""
        return not self._rules and self._policy.wanted is None

    def decide(self, seen: Seen, around: Around, say: Say, reread: Callable[[str], Seen]) -> list[Decision]:
        """The edits in their order, then what is to become of the message at last, if anybody said so.

        `reread` gives the message that an edit made of it; `say` takes sentences for the user.
        """
        decisions: list[Decision] = []
        for rule in self._rules:
            decision = rule.decide(seen, around, say)
            if decision is None:
                continue
            decisions.append(decision)
            if not isinstance(decision, Edit):
                return decisions
            seen = reread(decision.text)
        wanted = self._policy.wanted
        if wanted is not None and wanted.matches(seen.message, seen.connection, around):
            decisions.append(Hold("by the intercept filter"))
        return decisions


def value_of(payload: bytes) -> Any:
    """A payload as Python values; None for what is no JSON."""
    try:
        return msgspec.json.decode(payload) if payload else None
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
