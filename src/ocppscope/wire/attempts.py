"""TCP connections over which their opener said nothing: refused, unanswered, or opened and closed for nothing.

Each is told alone at first. Of one client that tries the same server again and again, later attempts are told
together, minute by minute. Knows nothing of OCPP: to which server an attempt went is for others to judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ocppscope.model import AttemptOutcome, ConnectAttempt, Endpoint, Flow, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.wire.transport import Tally

MAX_SINGLE = 256
"""Attempts of one client at one server, of one outcome, that are told one by one."""
TOGETHER_NS = 60_000_000_000
"""How long after the first one further attempts are told together with it."""
MAX_PAIRS = 4096
"""Clients and servers that are remembered; of more, the one that was quiet for the longest time is forgotten."""
ANSWER_NS = 3_000_000_000
"""How long a single SYN may still be answered when the capture ends; before, its connection is only beginning."""


def attempt_of(tally: Tally, ends: tuple[Endpoint, Endpoint], now: int, *, final: bool) -> ConnectAttempt | None:
    """The attempt that a connection between two ends was, if it was one; `final` if no answer can come any more."""
    outcome = _outcome(tally, now, final=final)
    times = [way.last_ns for way in tally.ways if way.last_ns is not None]
    if outcome is None or tally.syn_ns is None or tally.opener is None or not times:
        return None
    by = tally.ended_by if outcome is AttemptOutcome.NO_DATA else None
    closed_by = None if by is None else Side.STATION if by == tally.opener else Side.CSMS
    last_ns = max(times)
    flow = Flow(ends[tally.opener], ends[1 - tally.opener])
    return ConnectAttempt(last_ns, tally.syn_ns, last_ns, flow, outcome, tally.syns, 1, closed_by)


def _outcome(tally: Tally, now: int, *, final: bool) -> AttemptOutcome | None:
    if not tally.said_nothing or tally.opener is None:
        return None
    if tally.synack_ns is not None:
        return AttemptOutcome.NO_DATA if tally.ended_by is not None else None
    if tally.unreachable or tally.ways[1 - tally.opener].rst_ns is not None:
        return AttemptOutcome.REFUSED
    if tally.ways[1 - tally.opener].last_ns is not None:
        return None  # it was answered by what the capture does not hold
    waited = tally.last_syn_ns is not None and now - tally.last_syn_ns >= ANSWER_NS
    return AttemptOutcome.UNANSWERED if final or waited or tally.syns > 1 else None


class _Pair:
    """Attempts of one client at one server, with one outcome."""

    __slots__ = ("together", "told")

    def __init__(self) -> None:
        self.told = 0
        self.together: ConnectAttempt | None = None


class Attempts:
    """Tells attempts alone or together."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, Endpoint, AttemptOutcome], _Pair] = {}  # the longest quiet first

    def add(self, attempt: ConnectAttempt) -> Iterator[ConnectAttempt]:
        """One more; what is to be told now."""
        key = (attempt.flow.client.address, attempt.flow.server, attempt.outcome)
        pair = self._pairs.pop(key, None) or _Pair()
        self._pairs[key] = pair
        if len(self._pairs) > MAX_PAIRS:
            oldest = self._pairs.pop(next(iter(self._pairs)))
            if oldest.together is not None:
                yield oldest.together
        if pair.told < MAX_SINGLE:
            pair.told += 1
            yield attempt
        elif pair.together is not None and attempt.last_ns - pair.together.first_ns <= TOGETHER_NS:
            pair.together = _joined(pair.together, attempt)
        else:
            if pair.together is not None:
                yield pair.together
            pair.together = attempt

    def finish(self) -> Iterator[ConnectAttempt]:
        """What was not told yet."""
        for pair in self._pairs.values():
            if pair.together is not None:
                yield pair.together
        self._pairs.clear()


def _joined(first: ConnectAttempt, second: ConnectAttempt) -> ConnectAttempt:
    last_ns = max(first.last_ns, second.last_ns)
    return replace(
        first,
        time_ns=last_ns,
        last_ns=last_ns,
        flow=second.flow,
        syns=first.syns + second.syns,
        attempts=first.attempts + second.attempts,
        closed_by=first.closed_by if first.closed_by == second.closed_by else None,
    )
