"""The dialogue of one connection: each text read, checked and paired with the CALL that it answers.

Both sides call each other (OCPP-J 1.6 §4.1): a CALL waits in its sender's table until the peer's answer with the same
id comes. Calls of the two sides may cross and may have the same id. An answered CALL is remembered for a while, so
that a second answer, a repeated CALL and a CALLRESULTERROR find it. State never outlives the connection here.
"""

from __future__ import annotations

from typing import NamedTuple

from ocppscope.model import ExchangeEnd, Kind, Message, Outcome, Problem, Side, Version
from ocppscope.ocpp import codec, schemas, versions
from ocppscope.ocpp.guess import VersionGuess
from ocppscope.wire.websocket import Text

DEFAULT_TIMEOUT_NS = 30_000_000_000
"""After how long an answer counts as late (2.1 Part 2 §3.2 recommends 30 s)."""
MAX_PENDING = 512
"""Unanswered CALLs that one side may have before the oldest is given up."""
MAX_ANSWERED = 256
"""Answered CALLs that are remembered per side; the older half is forgotten then."""

_ANSWERS = frozenset({Kind.CALLRESULT, Kind.CALLERROR})
_DAMAGE = frozenset(
    {"ws.lost-bytes", "ws.context-lost", "ws.too-large", "ws.unfinished-message", "ws.deflate-corrupt"}
)
_BINARY = Problem("ocpp.binary", "OCPP-J messages are text messages; this one is binary (OCPP-J 1.6 §4.1.2).")


class _Call(NamedTuple):
    ordinal: int
    time_ns: int
    action: str
    content: int  # hash of its text
    answer: schemas.Validator | None  # of its CALLRESULT


class _Entry(NamedTuple):
    """What a side may call: the action and how its payloads are checked."""

    action: str
    request: schemas.Validator
    answer: schemas.Validator


class Dialogue:
    """Reads the messages of connection number `connection`. `guessed`: the version was not agreed on the wire."""

    __slots__ = (
        "_answered",
        "_entries",
        "_guess",
        "_ordinal",
        "_pending",
        "connection",
        "counts",
        "ended",
        "timeout_ns",
        "version",
    )

    def __init__(
        self, connection: int, version: Version, *, guessed: bool, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> None:
        self.connection = connection
        self.timeout_ns = timeout_ns
        self.counts = [0, 0]
        self.ended: list[ExchangeEnd] = []  # CALLs given up since somebody took them from here
        self._ordinal = 0
        self._pending: tuple[dict[str, _Call], dict[str, _Call]] = ({}, {})
        self._answered: tuple[dict[str, _Call], dict[str, _Call]] = ({}, {})
        self._guess = VersionGuess() if guessed else None
        self._bind(version)

    @property
    def guessed(self) -> bool:
        """Whether the version is a guess (or unknown) rather than agreed on the wire."""
        return self._guess is not None

    def _bind(self, version: Version) -> None:
        self.version = version
        self._entries = (_entries(version, Side.STATION), _entries(version, Side.CSMS))

    # --- the ordinary message -----------------------------------------------------------------------------------

    def quick(
        self, side: Side, text: bytes, time_ns: int, packet: int, wire_size: int, compressed: bool
    ) -> Message | None:
        """An ordinary message that came in one frame and one packet; None if `read` has to look at it.

        The same result as `read`, at a fraction of its price; nothing is changed when the answer is None.
        """
        if text[-1:] != b"]":
            return None
        found = codec.CALL_HEAD(text)
        if found is not None:
            number, octets, name = found.groups()
            entry = self._entries[side].get(name)
            if entry is None or number != b"2" or entry.request.fast(text[found.end() : -1]) is None:
                return None
            id_ = octets.decode()
            pending = self._pending[side]
            if id_ in pending or id_ in self._answered[side] or len(pending) >= MAX_PENDING:
                return None
            ordinal = self._ordinal
            self._ordinal = ordinal + 1
            self.counts[side] += 1
            action = entry.action
            pending[id_] = _Call(ordinal, time_ns, action, hash(text), entry.answer)
            return Message(
                time_ns, self.connection, ordinal, side, Kind.CALL, id_, action, text, wire_size, (packet,), 1,
                compressed, False, Outcome.PENDING,
            )  # fmt: skip
        found = codec.RESULT_HEAD(text)
        if found is None:
            return None
        id_ = found[1].decode()
        pending = self._pending[1 - side]
        call = pending.get(id_)
        if call is None or call.answer is None or call.answer.fast(text[found.end() : -1]) is None:
            return None
        del pending[id_]
        self._remember(side.other, id_, call)
        ordinal = self._ordinal
        self._ordinal = ordinal + 1
        self.counts[side] += 1
        latency = time_ns - call.time_ns
        outcome = Outcome.ANSWERED if latency <= self.timeout_ns else Outcome.LATE
        return Message(
            time_ns, self.connection, ordinal, side, Kind.CALLRESULT, id_, call.action, text, wire_size, (packet,), 1,
            compressed, False, outcome, call.ordinal, latency,
        )  # fmt: skip

    # --- any message --------------------------------------------------------------------------------------------

    def read(self, side: Side, text: Text) -> Message:
        """Any message: everything that can be read of it, with all its problems."""
        raw = codec.decode(text.payload)
        damaged = any(problem.code in _DAMAGE for problem in text.problems)
        kind = Kind.UNPARSED if text.binary else raw.kind
        action, outcome, call = self._pair(side, kind, raw, text)
        problems = list(text.problems)
        if text.binary:
            problems.append(_BINARY)
        elif damaged:
            kind = kind if raw.id else Kind.UNPARSED
        else:
            self._learn(kind, raw)
            problems += raw.problems
            problems += self._examine(side, kind, raw, call)
        ordinal = self._ordinal
        self._ordinal += 1
        self.counts[side] += 1
        if kind is Kind.CALL and raw.id:
            self._wait(side, raw, text, ordinal)
        answered = call is not None and kind is not Kind.CALL
        return Message(
            time_ns=text.origin.time_ns,
            connection=self.connection,
            ordinal=ordinal,
            side=side,
            kind=kind,
            id=raw.id,
            action=action,
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
            known = self._pending[side].get(raw.id) or self._answered[side].get(raw.id)
            if known is None or not raw.id:
                return raw.action, Outcome.PENDING, None
            same = known.content == hash(text.payload)
            return raw.action, Outcome.RESENT if same else Outcome.REUSED_ID, known
        if kind in _ANSWERS:
            return self._pair_answer(side, kind, raw, text)
        if kind is Kind.CALLRESULTERROR:
            call = self._answered[side].get(raw.id)
            return (call.action, Outcome.ERROR, call) if call else ("", Outcome.ORPHAN, None)
        return raw.action, Outcome.NONE, None

    def _pair_answer(
        self, side: Side, kind: Kind, raw: codec.RawMessage, text: Text
    ) -> tuple[str, Outcome, _Call | None]:
        call = self._pending[1 - side].pop(raw.id, None)
        if call is None:
            earlier = self._answered[1 - side].get(raw.id)
            return (earlier.action, Outcome.DUPLICATE, earlier) if earlier else ("", Outcome.ORPHAN, None)
        self._remember(side.other, raw.id, call)
        if text.origin.time_ns - call.time_ns > self.timeout_ns:
            return call.action, Outcome.LATE, call
        return call.action, Outcome.ERROR if kind is Kind.CALLERROR else Outcome.ANSWERED, call

    def _remember(self, caller: Side, id_: str, call: _Call) -> None:
        answered = self._answered[caller]
        answered[id_] = call
        if len(answered) > MAX_ANSWERED:
            for old in list(answered)[: MAX_ANSWERED // 2]:
                del answered[old]

    def _wait(self, side: Side, raw: codec.RawMessage, text: Text, ordinal: int) -> None:
        """A CALL waits for its answer; one that repeats an id takes the place of the earlier one."""
        pending = self._pending[side]
        answer = schemas.validator(self.version, raw.action, response=True)
        pending.pop(raw.id, None)
        if len(pending) >= MAX_PENDING:
            oldest = next(iter(pending))
            self.ended.append(self._end(side, oldest, pending.pop(oldest), text.origin.time_ns))
        pending[raw.id] = _Call(ordinal, text.origin.time_ns, raw.action, hash(text.payload), answer)

    def _learn(self, kind: Kind, raw: codec.RawMessage) -> None:
        """A version that was not agreed is guessed from what is said."""
        if self._guess is None or kind not in (Kind.CALL, Kind.SEND):
            return
        self._guess.feed(kind, raw.action, raw.payload)
        if self._guess.version is not self.version:
            self._bind(self._guess.version)

    def _examine(self, side: Side, kind: Kind, raw: codec.RawMessage, call: _Call | None) -> list[Problem]:
        """What is wrong with the message for its version."""
        problems = list(versions.action_problems(self.version, side, kind, raw.action))
        if kind in (Kind.CALLERROR, Kind.CALLRESULTERROR) and raw.error_code:
            problems += versions.error_code_problems(self.version, raw.error_code)
        validator = None
        if kind in (Kind.CALL, Kind.SEND):
            validator = schemas.validator(self.version, raw.action)
        elif kind is Kind.CALLRESULT and call is not None:
            validator = schemas.validator(self.version, call.action, response=True)
        if validator is not None and raw.payload:
            problems += validator.problems(raw.payload)
        return problems

    # --- the end ------------------------------------------------------------------------------------------------

    def finish(self, time_ns: int) -> list[ExchangeEnd]:
        """The CALLs that stay without an answer, in the order in which they were sent."""
        ends = [self._end(side, id_, call, time_ns) for side in Side for id_, call in self._pending[side].items()]
        for pending in self._pending:
            pending.clear()
        return sorted(ends, key=lambda end: end.ordinal)

    def _end(self, side: Side, id_: str, call: _Call, time_ns: int) -> ExchangeEnd:
        age = time_ns - call.time_ns
        outcome = Outcome.TIMEOUT if age > self.timeout_ns else Outcome.OPEN
        return ExchangeEnd(time_ns, self.connection, call.ordinal, side, id_, call.action, outcome, age)


_ENTRIES: dict[tuple[Version, Side], dict[bytes, _Entry]] = {}


def _entries(version: Version, side: Side) -> dict[bytes, _Entry]:
    """The actions that `side` may CALL in `version`, by name as it is on the wire."""
    table = _ENTRIES.get((version, side))
    if table is None:
        table = _ENTRIES[version, side] = {}
        sends = versions.SEND_ACTIONS.get(version, frozenset())
        for action, senders in versions.ACTIONS.get(version, {}).items():
            request = schemas.validator(version, action)
            answer = schemas.validator(version, action, response=True)
            if side in senders and action not in sends and request is not None and answer is not None:
                table[action.encode()] = _Entry(action, request, answer)
    return table
