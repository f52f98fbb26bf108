"""What all connections hold back together, waiting for what completes it: unfinished frames, reorder buffers, heads.

Each connection has bounds of its own for these; many connections together need one more. Whoever was fed what may
have changed what it holds is *touched*, and asked for its size at the next `settle`. Decides nothing.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Holder(Protocol):
    """A connection."""

    def held_back(self) -> int:
        """Bytes of memory that wait in it, roughly."""


H = TypeVar("H", bound=Holder)


class HeldBack(Generic[H]):
    """Sizes by holder, of those that hold anything."""

    __slots__ = ("_sizes", "_touched", "total")

    def __init__(self) -> None:
        self.total = 0
        self._sizes: dict[H, int] = {}
        self._touched: dict[H, None] = {}

    def touch(self, holder: H) -> None:
        """What it holds may have changed."""
        self._touched[holder] = None

    def forget(self, holder: H) -> None:
        """It holds nothing any more."""
        self._touched.pop(holder, None)
        self.total -= self._sizes.pop(holder, 0)

    def settle(self) -> None:
        """Brings the total up to date."""
        sizes = self._sizes
        for holder in self._touched:
            size = holder.held_back()
            self.total += size - sizes.pop(holder, 0)
            if size:
                sizes[holder] = size
        self._touched.clear()

    def largest(self, left: int) -> list[H]:
        """Those that hold most, largest first; when they have given it up, no more than that is left."""
        found: list[H] = []
        total = self.total
        for holder in sorted(self._sizes, key=self._sizes.__getitem__, reverse=True):
            if total <= left:
                break
            found.append(holder)
            total -= self._sizes[holder]
        return found
