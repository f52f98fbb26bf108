"""A list that keeps the latest few of what is appended.

A `deque` does so, too, but takes 600 bytes while it is empty, and of a station there are a dozen.
"""

from __future__ import annotations

from typing import TypeVar

Item = TypeVar("Item")


class Latest(list[Item]):
    """The latest `most` items, oldest first. Only `append` keeps to the bound."""

    __slots__ = ("most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def append(self, item: Item, /) -> None:
        """Adds an item; the oldest may have to go."""
        super().append(item)
        if len(self) > self.most:
            del self[0]
