"""The dialogue of one connection: each text read, checked and paired with the CALL that it answers.

Both sides call each other (OCPP-J 1.6 §4.1): a CALL waits in its sender's table until the peer's answer with the same
id comes. Calls of the two sides may cross and may have the same id. An answered CALL is remembered for a while, so
that a second answer, a repeated CALL and a CALLRESULTERROR find it. State never outlives the connection here.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ocppscope.model import ExchangeEnd, Kind, Message, Outcome, Problem, Side, Text, Version
from ocppscope.ocpp import codec, schemas, versions
from ocppscope.ocpp.guess import VersionGuess
from ocppscope.options import DEFAULT_TIMEOUT_NS

if TYPE_CHECKING:
    from ocppscope.batch import Batch
    from ocppscope.ocpp.typed import Acceptor

MAX_PENDING = 512
"""Unanswered CALLs that one side may have before the oldest is given up."""
ORDINARY_PENDING = 16
"""Unanswered CALLs that belong to any connection; only with more of them, they count as held."""
CALL_BYTES = 256
"""What one takes besides its id, roughly."""
MAX_ANSWERED = 16
"""Answered CALLs that are remembered per side, in two generations of half as many."""

_BRACKET = ord("]")
_ANSWERS = frozenset({Kind.CALLRESULT, Kind.CALLERROR})
_DAMAGE = frozenset(
    {"ws.lost-bytes", "ws.context-lost", "ws.too-large", "ws.unfinished-message", "ws.deflate-corrupt"}
)
_BINARY = Problem("ocpp.binary", "OCPP-J messages are text messages; this one is binary (OCPP-J 1.6 §4.1.2).")


class _Call(Struct, frozen=True, gc=False):
    """A CALL that waits, or waited, for its answer."""

    ordinal: int
    time_ns: int
    action: str
    content: int  # hash of its text
    accepts: Acceptor | None  # its CALLRESULT


_Acceptors = tuple[str, "Acceptor", "Acceptor"]
"""An action, and what accepts its CALL and its CALLRESULT."""


class Speaker:
    """One side of a dialogue: what it has called, and the quick way of reading what it says."""

    __slots__ = ("actions", "answered", "answered_before", "count", "dialogue", "peer", "pending", "side")

    peer: Speaker

    def __init__(self, dialogue: Dialogue, side: Side) -> None:
        self.dialogue = dialogue
        self.side = side
        self.count = 0  # messages sent
        self.pending: dict[str, _Call] = {}
        self.answered: dict[str, _Call] = {}
        self.answered_before: dict[str, _Call] = {}
        self.actions: dict[str, _Acceptors] = {}  # those that `calls` can read

    def remember(self, id_: str, call: _Call) -> None:
        """A CALL of this side was answered. The generation before the last is forgotten."""
        if len(self.answered) >= MAX_ANSWERED // 2:
            self.answered_before, self.answered = self.answered, {}
        self.answered[id_] = call

    def recall(self, id_: str) -> _Call | None:
        """An answered CALL that is still remembered."""
        return self.answered.get(id_) or self.answered_before.get(id_)

    def quick(self, batch: Batch, text: bytes, time_ns: int, at: int) -> bool:
        """Pairs an ordinary text, the arrival `at`, and puts it into `batch`; False if `Dialogue.read` has to.

        The same result as `read` at a fraction of its price; nothing has changed when the answer is False. The head
        alone says what a text pairs with, so that its payload may wait to be validated with others: unless the
        version is a guess, which the payload may change, or the text may be badly encoded.
        """
        called, action, answered, short = codec.heads([text])[0]
        if answered:
            return self.answers(batch, text, at, answered, short)
        return self.calls(batch, text, time_ns, at, called, action, short)

    def answers(self, batch: Batch, text: bytes, at: int, id_: str, short: str) -> bool:
        """`quick` for a CALLRESULT, whose head is known (see `codec.Head`)."""
        caller = self.peer
        call = caller.pending.get(id_)
        if call is None or text[-1] != _BRACKET:
            return False
        accepts = call.accepts
        if accepts is None:
            return False
        dialogue, rows = self.dialogue, batch.rows
        if not short or (short not in accepts.known and not accepts.learns(short)):
            if text.isascii() and not dialogue.guessed:
                batch.checks[accepts].append(len(rows))
            elif not accepts.accepts(text):
                return False
        del caller.pending[id_]
        answered = caller.answered
        if len(answered) < MAX_ANSWERED // 2:
            answered[id_] = call
        else:
            caller.remember(id_, call)
        self.count += 1
        number = dialogue.ordinal
        dialogue.ordinal = number + 1
        rows.append((at, self, number, id_, call.action, call.ordinal, call.time_ns))
        return True

    def calls(self, batch: Batch, text: bytes, time_ns: int, at: int, id_: str, action: str, short: str) -> bool:
        """`quick` for a CALL, whose head is known; or for anything else, where `action` is ""."""
        entry = self.actions.get(action)
        if entry is None or text[-1] != _BRACKET:
            return False
        action, accepts, accepts_answer = entry
        pending, dialogue, rows = self.pending, self.dialogue, batch.rows
        if id_ in pending or id_ in self.answered or id_ in self.answered_before or len(pending) >= MAX_PENDING:
            return False
        if not short or (short not in accepts.known and not accepts.learns(short)):
            if text.isascii() and not dialogue.guessed:
                batch.checks[accepts].append(len(rows))
            elif not accepts.accepts(text):
                return False
        self.count += 1
        number = dialogue.ordinal
        dialogue.ordinal = number + 1
        pending[id_] = _Call(number, time_ns, action, hash(text), accepts_answer)
        rows.append((at, self, number, id_, action, None, 0))
        return True

    def objections(self, text: bytes, action: str, *, answer: bool) -> tuple[Problem, ...]:
        """All problems of an ordinary text that was not accepted."""
        raw = codec.decode(text)
        return (*raw.problems, *self.dialogue.examine(self.side, raw.kind, raw, action if answer else None))


class Dialogue:
    """Reads the messages of connection number `connection`. `guessed`: the version was not agreed on the wire."""

    __slots__ = ("_guess", "connection", "ended", "guessed", "ordinal", "speakers", "timeout_ns", "version")

    def __init__(
        self, connection: int, version: Version, *, guessed: bool, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> None:
        self.connection = connection
        self.timeout_ns = timeout_ns
        self.ended: list[ExchangeEnd] = []  # CALLs given up since somebody took them from here
        self.ordinal = 0  # of the next message
        self.speakers = station, csms = Speaker(self, Side.STATION), Speaker(self, Side.CSMS)
        station.peer, csms.peer = csms, station
        self.guessed = guessed  # rather than agreed on the wire
        self._guess = VersionGuess() if guessed else None
        self._bind(version)

    @property
    def counts(self) -> tuple[int, int]:
        """How many messages each side has sent."""
        return self.speakers[0].count, self.speakers[1].count

    def _bind(self, version: Version) -> None:
        self.version = version
        for speaker in self.speakers:
            speaker.actions = _actions(version, speaker.side)
            for id_, call in speaker.pending.items():
                speaker.pending[id_] = replace(call, accepts=_accepts(version, call.action))

    # --- any message --------------------------------------------------------------------------------------------

    def read(self, side: Side, text: Text) -> Message:
        """Any message: everything that can be read of it, with all its problems."""
        raw = codec.decode(text.payload)
        damaged = any(problem.code in _DAMAGE for problem in text.problems)
        torn = damaged and (not raw.id or "\0" in raw.id + raw.action)  # NUL stands for what is not known
        kind = Kind.UNPARSED if text.binary or torn else raw.kind
        action, outcome, call = self._pair(side, kind, raw, text)
        problems = list(text.problems)
        if text.binary:
            problems.append(_BINARY)
        elif not damaged:
            self._learn(kind, raw)
            problems += raw.problems
            problems += self.examine(side, kind, raw, call.action if call else None)
        ordinal = self.ordinal
        self.ordinal += 1
        self.speakers[side].count += 1
        if kind is Kind.CALL and raw.id:
            self._wait(side, raw, text, ordinal)
        answered = call is not None and kind is not Kind.CALL
        return Message(
            time_ns=text.origin.time_ns,
            connection=self.connection,
            ordinal=ordinal,
            side=side,
            kind=kind,
            id="" if torn else raw.id,
            action="" if torn else action,
            text=text.payload,
            wire_size=text.wire_size,
            packets=text.origin.packets,
            frames=text.frames,
            compressed=text.compressed,
            binary=text.binary,
            outcome=outcome,
            reply_to=call.ordinal if call is not None and answered else None,
            latency_ns=text.origin.time_ns - call.time_ns if call is not None and answered else None,
            problems=tuple(problems),
        )

    def _pair(self, side: Side, kind: Kind, raw: codec.RawMessage, text: Text) -> tuple[str, Outcome, _Call | None]:
        """The action, the outcome, and the CALL that this message answers or repeats."""
        if kind is Kind.CALL:
            known = self.speakers[side].pending.get(raw.id) or self.speakers[side].recall(raw.id)
            if known is None or not raw.id:
                return raw.action, Outcome.PENDING, None
            same = known.content == hash(text.payload)
            return raw.action, Outcome.RESENT if same else Outcome.REUSED_ID, known
        if kind in _ANSWERS:
            return self._pair_answer(side, kind, raw, text)
        if kind is Kind.CALLRESULTERROR:
            call = self.speakers[side].recall(raw.id)
            return (call.action, Outcome.ERROR, call) if call else ("", Outcome.ORPHAN, None)
        return raw.action, Outcome.NONE, None

    def _pair_answer(
        self, side: Side, kind: Kind, raw: codec.RawMessage, text: Text
    ) -> tuple[str, Outcome, _Call | None]:
        call = self.speakers[1 - side].pending.pop(raw.id, None)
        if call is None:
            earlier = self.speakers[1 - side].recall(raw.id)
            return (earlier.action, Outcome.DUPLICATE, earlier) if earlier else ("", Outcome.ORPHAN, None)
        self.speakers[1 - side].remember(raw.id, call)
        if text.origin.time_ns - call.time_ns > self.timeout_ns:
            return call.action, Outcome.LATE, call
        return call.action, Outcome.ERROR if kind is Kind.CALLERROR else Outcome.ANSWERED, call

    def _wait(self, side: Side, raw: codec.RawMessage, text: Text, ordinal: int) -> None:
        """A CALL waits for its answer; one that repeats an id takes the place of the earlier one."""
        pending = self.speakers[side].pending
        earlier = pending.pop(raw.id, None)
        if earlier is not None:
            self.ended.append(self._end(side, raw.id, earlier, text.origin.time_ns))
        if len(pending) >= MAX_PENDING:
            oldest = next(iter(pending))
            self.ended.append(self._end(side, oldest, pending.pop(oldest), text.origin.time_ns))
        accepts = _accepts(self.version, raw.action)
        pending[raw.id] = _Call(ordinal, text.origin.time_ns, raw.action, hash(text.payload), accepts)
        self._prepare(side, raw.action)

    def _prepare(self, side: Side, action: str) -> None:
        """Lets `quick` read this action from now on."""
        actions = self.speakers[side].actions
        acceptors = _acceptors(self.version, side, action)
        if acceptors is not None:
            actions[action] = acceptors

    def _learn(self, kind: Kind, raw: codec.RawMessage) -> None:
        """A version that was not agreed is guessed from what is said; what the guess accepts says nothing new."""
        if self._guess is None or kind not in (Kind.CALL, Kind.SEND):
            return
        known = schemas.validator(self.version, raw.action)
        if known is not None and known.acceptors.payload.accepts(raw.payload):
            return
        self._guess.feed(kind, raw.action, raw.payload)
        if self._guess.version is not self.version:
            self._bind(self._guess.version)

    def examine(self, side: Side, kind: Kind, raw: codec.RawMessage, answered: str | None) -> list[Problem]:
        """What is wrong with a message for its version; `answered` is the action of the CALL that it answers."""
        problems = list(versions.action_problems(self.version, side, kind, raw.action))
        if kind in (Kind.CALLERROR, Kind.CALLRESULTERROR) and raw.error_code:
            problems += versions.error_code_problems(self.version, raw.error_code)
        validator = None
        if kind in (Kind.CALL, Kind.SEND):
            validator = schemas.validator(self.version, raw.action)
        elif kind is Kind.CALLRESULT and answered is not None:
            validator = schemas.validator(self.version, answered, response=True)
        if validator is not None and raw.payload and not validator.acceptors.payload.accepts(raw.payload):
            problems += validator.problems(raw.payload)
        return problems

    # --- the end ------------------------------------------------------------------------------------------------

    def finish(self, time_ns: int) -> list[ExchangeEnd]:
        """The CALLs that stay without an answer, in the order in which they were sent."""
        ends = []
        for speaker in self.speakers:
            ends += [self._end(speaker.side, id_, call, time_ns) for id_, call in speaker.pending.items()]
            speaker.pending.clear()
        return sorted(ends, key=lambda end: end.ordinal)

    def held_back(self) -> int:
        """Bytes of memory that the CALLs take which wait for an answer, roughly."""
        held = 0
        for speaker in self.speakers:
            if len(speaker.pending) > ORDINARY_PENDING:
                held += CALL_BYTES * len(speaker.pending) + sum(map(len, speaker.pending))
        return held

    def release(self) -> None:
        """Nothing more will be said. What was is still examined, but nothing refers to itself in a circle."""
        for speaker in self.speakers:
            del speaker.peer
        del self.speakers

    def _end(self, side: Side, id_: str, call: _Call, time_ns: int) -> ExchangeEnd:
        age = time_ns - call.time_ns
        outcome = Outcome.TIMEOUT if age > self.timeout_ns else Outcome.OPEN
        return ExchangeEnd(time_ns, self.connection, call.ordinal, side, id_, call.action, outcome, age)


@cache
def _actions(version: Version, side: Side) -> dict[str, _Acceptors]:
    """The actions that `side` has called in `version` so far in this process; filled as they are met."""
    return {}


def _accepts(version: Version, action: str) -> Acceptor | None:
    """What accepts an ordinary CALLRESULT of an action's CALL."""
    answer = schemas.validator(version, action, response=True)
    return answer.acceptors.result if answer else None


def _acceptors(version: Version, side: Side, action: str) -> _Acceptors | None:
    """What `quick` needs for an action; None where only `read` will do."""
    request, response = schemas.validator(version, action), schemas.validator(version, action, response=True)
    if request is None or response is None or side not in versions.ACTIONS[version][action]:
        return None
    return action, request.acceptors.call, response.acceptors.result
