"""Records that wait for their secrets, in the order in which they came; of too many, the oldest are let go."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.wire.decrypt.keylog import MAX_WAITING_TOTAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocppscope.wire.decrypt.keylog import Secrets
    from ocppscope.wire.decrypt.records import Piece

MAX_WAITING = 1 << 20
"""Bytes of a connection's records that wait."""
_COST = 64  # bytes that a record is counted with besides its own


class Held(NamedTuple):
    """An encrypted record; time and packet are those that completed it."""

    direction: int
    piece: Piece
    time_ns: int
    packet: int

    @property
    def cost(self) -> int:
        """Bytes that it is counted with."""
        return len(self.piece.body) + _COST


class Queue:
    """The records of one connection. `let_go` takes those that are given up."""

    __slots__ = ("_bytes", "_held", "_let_go", "_secrets")

    def __init__(self, secrets: Secrets, let_go: Callable[[Held], None]) -> None:
        self._secrets = secrets
        self._let_go = let_go
        self._held: deque[Held] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        """Whether a record waits."""
        return bool(self._held)

    def __iter__(self) -> Iterator[Held]:
        """The oldest first."""
        return iter(self._held)

    @property
    def first(self) -> Held:
        """The oldest."""
        return self._held[0]

    def append(self, one: Held) -> None:
        """Keeps a record, and lets go of old ones if need be."""
        self._held.append(one)
        self._count(one.cost)
        while self._held and (self._bytes > MAX_WAITING or self._secrets.waiting > MAX_WAITING_TOTAL):
            self._let_go(self.pop())

    def pop(self) -> Held:
        """Takes the oldest."""
        one = self._held.popleft()
        self._count(-one.cost)
        return one

    def clear(self) -> None:
        """Forgets all."""
        self._count(-self._bytes)
        self._held.clear()

    def _count(self, size: int) -> None:
        self._bytes += size
        self._secrets.waiting += size
