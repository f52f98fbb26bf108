"""Messages of one direction that wait: held for the user, delayed, or behind one that keeps its place.

A message that waits lets later ones pass, unless it `blocks`. No I/O, no clock; what there is room for is the
business of `policy.Room`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocppscope.acts import Act
    from ocppscope.proxy.policy import Room

Payload = str | bytes
Sending = tuple[Payload, "Act | None"]
"""A data message and what is to be said about it in the recording."""


class Waiting:
    """One message that waits. `due_ns` None: for its turn only; `number` 0: not for the user."""

    __slots__ = ("act", "blocks", "called", "due_ns", "number", "sendings", "since_ns", "size", "why")

    def __init__(
        self, sendings: list[Sending], size: int, now: int, due_ns: int | None, *, blocks: bool = False
    ) -> None:
        self.sendings = sendings
        self.size = size
        self.since_ns = now
        self.due_ns = due_ns
        self.blocks = blocks
        self.number = 0
        self.act = "delayed"  # what it is called when its time has come
        self.why = ""
        self.called = "a message"

    def release(self, sendings: list[Sending]) -> None:
        """It may go, in this form, once nothing blocks its way."""
        self.sendings = sendings
        self.due_ns = None


class Line:
    """The waiting messages of one direction, in the order in which they came."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._entries: list[Waiting] = []
        self.busy = False  # a huge message passes in pieces: nothing may come between them

    def add(self, entry: Waiting) -> bool:
        """Whether there is room for one more."""
        if not self._room.take(entry.size):
            return False
        self._entries.append(entry)
        return True

    @property
    def is_blocked(self) -> bool:
        """Whether what comes next has to wait."""
        return self.busy or any(entry.blocks and entry.due_ns is not None for entry in self._entries)

    def numbered(self, number: int) -> Waiting | None:
        """The message that the user calls by this number."""
        return next((entry for entry in self._entries if entry.number == number), None)

    def waiting(self) -> list[Waiting]:
        """Those that wait for their time or for the user."""
        return [entry for entry in self._entries if entry.due_ns is not None]

    def due(self, now: int) -> list[Waiting]:
        """Those whose time has come."""
        return [entry for entry in self._entries if entry.due_ns is not None and entry.due_ns <= now]

    @property
    def deadline(self) -> int | None:
        """When the next one's time comes."""
        return min((entry.due_ns for entry in self._entries if entry.due_ns is not None), default=None)

    def go(self) -> list[Waiting]:
        """Those that may leave now, in order; they do."""
        if self.busy or not self._entries:
            return []
        leaving, staying, blocked = [], [], False
        for entry in self._entries:
            if entry.due_ns is None and not blocked:
                leaving.append(entry)
            else:
                staying.append(entry)
                blocked = blocked or (entry.blocks and entry.due_ns is not None)
        self._leave(leaving, staying)
        return leaving

    def remove(self, entry: Waiting) -> None:
        """One goes without being sent."""
        self._leave([entry], [one for one in self._entries if one is not entry])

    def clear(self) -> list[Waiting]:
        """All go without being sent."""
        leaving, self._entries = self._entries, []
        self._leave(leaving, [])
        return leaving

    def _leave(self, leaving: list[Waiting], staying: list[Waiting]) -> None:
        for entry in leaving:
            self._room.give_back(entry.size)
        self._entries = staying
