"""Two sequences of exchanges, phase by phase, with what fits side by side. Works on keys. Bounded.

Phases follow what stations do: `boot` until the first thing that has nothing to do with booting, `transaction` from
the first sign of a driver until the connector is free again, `idle` between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_EDITS = 600
"""Insertions and deletions that are looked for between two phases; with more they are only counted by key."""
MAX_PHASE = 6000
"""Exchanges of one phase that are aligned."""
NOWHERE = -1
BOOT, IDLE, TRANSACTION = "boot", "idle", "transaction"

_DRIVER = frozenset({"Authorize", "RemoteStartTransaction", "RequestStartTransaction", "StartTransaction"})
_BUSY = frozenset({"Preparing", "Occupied", "Charging"})
_PERIODIC = frozenset({"Heartbeat"})
_REPEATED = frozenset({"MeterValues", "TransactionEvent", "NotifyReport", "NotifyPeriodicEventStream"})
BOOT_NS = 120_000_000_000
"""How long after its BootNotification a station is taken to be booting, at most."""


class Step(NamedTuple):
    """One exchange: rows of the CALL and the answer (-1), its key, its result, its phase and which of these."""

    row: int
    answer: int
    action: str
    key: str
    result: str
    is_bad: bool
    phase: str
    turn: int  # counted from 1 within its kind of phase


class Phases:
    """Follows one station through its phases."""

    def __init__(self) -> None:
        self._phase = IDLE
        self._turns = {BOOT: 0, IDLE: 1, TRANSACTION: 0}
        self._booted_ns = 0
        self._open = 0  # transactions
        self._stopped = False

    def of(self, action: str, about: str, time_ns: int) -> tuple[str, int]:
        """The phase that an exchange belongs to. `about` is what its key says it is about."""
        if action == "BootNotification":
            if self._phase != BOOT:
                self._enter(BOOT)
            self._booted_ns, self._open, self._stopped = time_ns, 0, False
        elif action in _DRIVER or about in ("Started", *_BUSY):
            if self._phase != TRANSACTION or (self._stopped and action in _DRIVER):
                self._enter(TRANSACTION)
                self._stopped = False
            self._open += action == "StartTransaction" or about == "Started"
        elif self._phase == TRANSACTION:
            self._in_transaction(action, about)
        elif self._phase == BOOT and (action == "Heartbeat" or time_ns - self._booted_ns > BOOT_NS):
            self._enter(IDLE)
        return self._phase, self._turns[self._phase]

    def _in_transaction(self, action: str, about: str) -> None:
        if action == "StopTransaction" or about == "Ended":
            self._open = max(self._open - 1, 0)
            self._stopped = self._open == 0
        elif self._stopped and (action == "Heartbeat" or about not in ("Finishing", "Available")):
            self._enter(IDLE)
            self._stopped = False

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._turns[phase] += 1


def is_periodic(action: str) -> bool:
    """Whether its number says how long was recorded, and nothing else."""
    return action in _PERIODIC


def condensed(steps: Sequence[Step]) -> list[Step]:
    """Without heartbeats, and of runs of the same report only the first."""
    kept: list[Step] = []
    for step in steps:
        if is_periodic(step.action):
            continue
        if kept and step.action in _REPEATED and kept[-1].key == step.key and kept[-1].result == step.result:
            continue
        kept.append(step)
    return kept


def align(a: Sequence[object], b: Sequence[object], max_edits: int = MAX_EDITS) -> list[tuple[int, int]] | None:
    """Places side by side, -1 for none, by the fewest insertions and deletions; None if that takes too many."""
    start = 0
    while start < len(a) and start < len(b) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    middle = _shortest(a[start : len(a) - end], b[start : len(b) - end], max_edits)
    if middle is None:
        return None
    found = [(place, place) for place in range(start)]
    found += [(x + start if x >= 0 else x, y + start if y >= 0 else y) for x, y in middle]
    return found + [(len(a) - end + place, len(b) - end + place) for place in range(end)]


def _shortest(a: Sequence[object], b: Sequence[object], max_edits: int) -> list[tuple[int, int]] | None:
    """The greedy algorithm of Myers (1986): by number of edits, the farthest reaching path of each diagonal."""
    n, m = len(a), len(b)
    reach = {1: 0}
    history: list[dict[int, int]] = []
    for edits in range(min(n + m, max_edits) + 1):
        history.append(dict(reach))
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])
            x = reach[diagonal + 1] if down else reach[diagonal - 1] + 1
            y = x - diagonal
            while x < n and y < m and a[x] == b[y]:
                x, y = x + 1, y + 1
            reach[diagonal] = x
            if x >= n and y >= m:
                return _path(history, n, m)
    return None


def _path(history: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for edits in range(len(history) - 1, -1, -1):
        reach, diagonal = history[edits], x - y
        down = diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])
        before = diagonal + 1 if down else diagonal - 1
        old_x = reach.get(before, 0) if edits else 0
        old_y = old_x - before if edits else 0
        while x > old_x and y > old_y:
            x, y = x - 1, y - 1
            found.append((x, y))
        if edits:
            found.append((NOWHERE, old_y) if down else (old_x, NOWHERE))
            x, y = old_x, old_y
    return found[::-1]
