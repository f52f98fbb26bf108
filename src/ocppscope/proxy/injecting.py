"""CALLs of the user's own: when each may go, and which answers belong to them.

A side may have one CALL without an answer at a time (OCPP-J 1.6 §4.1.1). So a CALL that we make in the CSMS's name
waits until the CSMS's own is answered, but not for ever, and one of ours goes after the other. The peers' own CALLs
never wait for ours. No I/O, no clock.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.control import Answered, Inject
from ocppscope.model import Kind, Side
from ocppscope.proxy.editing import is_object
from ocppscope.proxy.frames import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    import random

MAX_QUEUED = 64
"""CALLs that may wait for their turn, to one side of one connection."""
MAX_LATE = 64
"""Injected CALLs without an answer that are remembered, so that a late one is swallowed, too."""
TURN_WAIT_NS = 30_000_000_000
"""The longest that a CALL waits for its turn; then it goes all the same."""
ANSWER_WAIT_NS = 30_000_000_000
"""For how long its answer is waited for."""

_ACTION = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,50}", re.ASCII)
_ANSWERS = frozenset({Kind.CALLRESULT, Kind.CALLERROR})


class Queued(NamedTuple):
    """A CALL that waits for its turn."""

    order: Inject
    asked_ns: int


class Out(NamedTuple):
    """A CALL that waits for its answer."""

    id: str
    ticket: int
    action: str
    sent_ns: int


def trouble_with(order: Inject) -> str:
    """Why a CALL cannot be made of this, "" if it can."""
    if not _ACTION.fullmatch(order.action):
        return "an action is a name of at most 50 characters, without spaces and quotes"
    if len(order.payload) > MAX_MESSAGE_BYTES:
        return f"the payload is larger than {MAX_MESSAGE_BYTES:,} bytes"
    if not is_object(order.payload):
        return "the payload is no JSON object"
    return ""


def call_text(id_: str, order: Inject) -> str:
    """The CALL as it is sent; the payload as the user wrote it."""
    return f"[{int(Kind.CALL)},{json.dumps(id_)},{json.dumps(order.action)},{order.payload}]"


class Injector:
    """The CALLs to one side of a connection."""

    def __init__(self, to: Side, chance: random.Random) -> None:
        self.to = to
        self._chance = chance
        self._queue: deque[Queued] = deque()
        self._out: Out | None = None
        self._late: deque[str] = deque(maxlen=MAX_LATE)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for its turn or its answer."""
        return self._out is None and not self._queue

    def ask(self, order: Inject, now: int) -> str:
        """Takes an order; the trouble with it, "" if there is none."""
        if len(self._queue) >= MAX_QUEUED:
            return f"{MAX_QUEUED} CALLs wait for their turn already"
        trouble = trouble_with(order)
        if not trouble:
            self._queue.append(Queued(order, now))
        return trouble

    def next(self, now: int, free_ns: int | None) -> tuple[Inject, str] | None:
        """The CALL whose turn it is, and its id; `free_ns`: until when a CALL of the peer may be answered."""
        if not self._queue or self._out is not None:
            return None
        first = self._queue[0]
        if free_ns is not None and now < min(free_ns, first.asked_ns + TURN_WAIT_NS):
            return None
        self._queue.popleft()
        id_ = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        self._out = Out(id_, first.order.ticket, first.order.action, now)
        return first.order, id_

    def answered(self, kind: Kind, id_: str, text: str, now: int) -> Answered | bool:
        """What to tell if a message of this side answers one of ours; True: it does, but too late; else False."""
        if kind not in _ANSWERS:
            return False
        out = self._out
        if out is not None and id_ == out.id:
            self._out = None
            return Answered(out.ticket, text, latency_ns=now - out.sent_ns)
        if id_ in self._late:
            self._late.remove(id_)
            return True
        return False

    def deadline(self, free_ns: int | None) -> int | None:
        """When the turn, or the patience, of the next one comes."""
        if self._out is not None:
            return self._out.sent_ns + ANSWER_WAIT_NS
        if not self._queue:
            return None
        latest = self._queue[0].asked_ns + TURN_WAIT_NS
        return latest if free_ns is None else min(free_ns, latest)

    def given_up(self, now: int) -> Answered | None:
        """The CALL whose answer did not come in time."""
        if self._out is None or now < self._out.sent_ns + ANSWER_WAIT_NS:
            return None
        return self._give_up(f"no answer in {ANSWER_WAIT_NS // 1_000_000_000} s", now)

    def ended(self, now: int) -> list[Answered]:
        """What becomes of all of them when the connection ends."""
        trouble = "the connection ended before there was an answer"
        told = [self._give_up(trouble, now)] if self._out is not None else []
        told += [
            Answered(queued.order.ticket, "", "the connection ended before it was sent") for queued in self._queue
        ]
        self._queue.clear()
        return told

    def _give_up(self, trouble: str, now: int) -> Answered:
        out, self._out = self._out, None
        assert out is not None
        self._late.append(out.id)
        return Answered(out.ticket, "", trouble, now - out.sent_ns)
