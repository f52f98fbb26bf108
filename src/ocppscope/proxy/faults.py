"""A bad network on purpose, around any session: latency, jitter, bandwidth, a slow reader, a cut, a half-open line.

    what a side sends ─► Disturbed: late, slowly, not at all ─► the session inside ─► commands

What waits here is bounded: a side that sends more is read no further until there is room, as behind a real slow line.
Bytes are never changed or reordered. No I/O, no clock; chance is given by the caller.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.acts import Act
from ocppscope.model import Side
from ocppscope.proxy.commands import Finish, Note, Pause, Reset, Resume

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from ocppscope.proxy.commands import Command, Session

SECOND = 1_000_000_000
MAX_LATENCY_NS = 600 * SECOND
"""The longest latency, jitter included."""
MAX_BUFFER_BYTES = 256 << 10
"""What waits of one side before it is read no further."""
SLOW_BUFFER_BYTES = 4 << 10
"""Likewise for a slow reader: next to nothing, so that its sender soon notices."""
MAX_TIME_NS = 30 * 86_400 * SECOND
"""The latest that a connection is cut."""
SLICES = 50
"""Into so many parts a second's bytes are cut where the bandwidth is limited."""
MAX_SILENCE_NS = 3_600 * SECOND
"""The longest that a line stays half-open; then it is reset."""

GRACE_NS = 5 * SECOND
"""For how long the sides may take to end a connection that a fault has ended; then it is reset."""
SLOW_READER_RATE = 1 << 10
"""Bytes a second that a slow reader takes, if it is not said otherwise."""


class Way(NamedTuple):
    """What disturbs the bytes that one side sends."""

    latency_ns: int = 0
    jitter_ns: int = 0  # up to so much more, differently for each piece
    bandwidth: int = 0  # bytes a second; 0: no limit
    slow_reader: bool = False  # nothing is buffered on the way: its sender's window fills


class End(NamedTuple):
    """A connection's end after so many bytes of both sides together, or so much time, whichever comes first.

    `how`: "FIN", "RST", or "" for going silent while the connection stays open, for `lasts_ns`.
    """

    how: str
    after_bytes: int | None = None
    after_ns: int | None = None
    lasts_ns: int = 60 * SECOND


class Faults(NamedTuple):
    """What is to be disturbed, by the side that sends."""

    station: Way = Way()
    csms: Way = Way()
    end: End | None = None

    @property
    def sentence(self) -> str:
        """What is disturbed, for the recording."""
        ways = ((Side.STATION, self.station), (Side.CSMS, self.csms))
        return "; ".join(f"from the {side.label}: {words}" for side, way in ways if (words := _words(way)))


def uniform(
    *,
    latency: float = 0.0,
    jitter: float = 0.0,
    bandwidth: int = 0,
    cut_after: float = 0.0,
    cut_how: str = "RST",
    half_open_after: float = 0.0,
    slow_reader: str = "",
) -> Faults:
    """The same in both directions; times in seconds, 0 for not at all.

    `slow_reader` names the side ("station" or "csms") whose sender finds nobody reading but at `bandwidth`, or at
    `SLOW_READER_RATE`. Of a cut and a half-open line the earlier counts.
    """
    way = Way(_ns(latency), _ns(jitter), bandwidth)
    slow = way._replace(bandwidth=bandwidth or SLOW_READER_RATE, slow_reader=True)
    ends = [End(how, after_ns=_ns(after)) for how, after in ((cut_how, cut_after), ("", half_open_after)) if after]
    return Faults(
        slow if slow_reader == "station" else way,
        slow if slow_reader == "csms" else way,
        min(ends, key=lambda end: end.after_ns or 0, default=None),
    )


def _ns(seconds: float) -> int:
    return min(max(round(seconds * SECOND), 0), MAX_TIME_NS)


class _Queue:
    """What one side sent and what has not arrived yet."""

    def __init__(self, way: Way, chance: random.Random) -> None:
        self._way = way
        self._chance = chance
        self._pieces: deque[tuple[int, bytes]] = deque()  # when it may arrive, what
        self._due_ns = 0  # of the last piece: nothing overtakes
        self._free_ns = 0  # when the line has carried what it has
        self.size = 0
        self.end: tuple[int, str] | None = None

    @property
    def room(self) -> int:
        return SLOW_BUFFER_BYTES if self._way.slow_reader else MAX_BUFFER_BYTES

    def add(self, data: bytes, now: int) -> None:
        self._pieces.append((self._when(now), data))
        self.size += len(data)

    def finish(self, how: str, now: int) -> None:
        if how == "RST":  # a reset overtakes what is on its way
            self._pieces.clear()
            self.size = 0
            self.end = (now, how)
        else:
            self.end = (self._when(now), how)

    def _when(self, now: int) -> int:
        late = self._way.latency_ns
        if self._way.jitter_ns:
            late += self._chance.randrange(self._way.jitter_ns + 1)
        self._due_ns = max(self._due_ns, now + min(late, MAX_LATENCY_NS))
        return self._due_ns

    @property
    def deadline(self) -> int | None:
        if self._pieces:
            return max(self._pieces[0][0], self._free_ns)
        return max(self.end[0], self._free_ns) if self.end is not None else None

    def arrived(self, now: int) -> bytes | None:
        """The next bytes that have arrived by now."""
        if not self._pieces or now < max(self._pieces[0][0], self._free_ns):
            return None
        due, data = self._pieces.popleft()
        if self._way.bandwidth:
            share = max(1, self._way.bandwidth // SLICES)
            if len(data) > share:
                self._pieces.appendleft((due, data[share:]))
                data = data[:share]
            self._free_ns = max(self._free_ns, due) + len(data) * SECOND // self._way.bandwidth
        self.size -= len(data)
        return data

    def take_end(self, now: int) -> str | None:
        """How the side ended, once that has arrived behind all its bytes."""
        if self._pieces or self.end is None or now < max(self.end[0], self._free_ns):
            return None
        how, self.end = self.end[1], None
        return how


class Disturbed:
    """A session with faults around it. Implements `commands.Session`; the session itself is `inner`."""

    def __init__(self, inner: Session, faults: Faults, opened_ns: int, chance: random.Random) -> None:
        self.inner = inner
        self._faults = faults
        self._queues = _Queue(faults.station, chance), _Queue(faults.csms, chance)
        self._opened_ns = opened_ns
        self._passed = 0  # bytes of both sides
        self._announced = not faults.sentence
        self._wants_pause = [False, False]  # by side: the session inside
        self._full = [False, False]
        self._ended = [False, False]  # by side, as the session inside knows
        self._cut = False  # the end has come: nothing passes any more
        self._reset_ns: int | None = None

    # --- the session --------------------------------------------------------------------------------------------

    def received(self, side: Side, data: bytes, time_ns: int) -> Sequence[Command]:
        """`side` sent these bytes; they arrive when the faults let them."""
        if self._cut:
            return []
        commands = self._announce(side)
        queue = self._queues[side]
        queue.add(data, time_ns)
        if queue.size > queue.room:
            commands += self._fill(side, full=True)
        return [*commands, *self._arrive(time_ns)]

    def ended(self, side: Side, how: str, time_ns: int) -> Sequence[Command]:
        """`side` will send nothing more."""
        if self._cut:
            return []
        self._queues[side].finish(how, time_ns)
        return self._arrive(time_ns)

    @property
    def deadline(self) -> int | None:
        """When `wake` wants to be called."""
        if self._cut:
            return self._reset_ns
        end = self._faults.end
        times = [queue.deadline for queue in self._queues]
        times.append(self.inner.deadline)
        if end is not None and end.after_ns is not None and not all(self._ended):
            times.append(self._opened_ns + end.after_ns)
        return min((time for time in times if time is not None), default=None)

    def wake(self, time_ns: int) -> Sequence[Command]:
        """The deadline has come."""
        if self._cut:
            if self._reset_ns is None or time_ns < self._reset_ns:
                return []
            self._reset_ns = None
            return [Reset(side) for side in Side]
        commands = self._arrive(time_ns)
        if not self._cut and (deadline := self.inner.deadline) is not None and deadline <= time_ns:
            commands += self.passing(self.inner.wake(time_ns))
        end = self._faults.end
        if end is not None and end.after_ns is not None and time_ns >= self._opened_ns + end.after_ns:
            commands += self._come_to_an_end(end, time_ns)
        return commands

    # --- what arrives -------------------------------------------------------------------------------------------

    def _arrive(self, now: int) -> list[Command]:
        """All that has arrived by now, of both sides, in the order of its times."""
        commands: list[Command] = []
        while not self._cut:
            ready = [side for side in Side if (due := self._queues[side].deadline) is not None and due <= now]
            if not ready:
                break
            side = min(ready, key=lambda side: self._queues[side].deadline or 0)
            commands += self._next_of(side, now)
        return commands

    def _next_of(self, side: Side, now: int) -> list[Command]:
        queue = self._queues[side]
        data = queue.arrived(now)
        if data is None:
            how = queue.take_end(now)
            if how is None:
                return []
            self._ended[side] = True
            return self.passing(self.inner.ended(side, how, now))
        end = self._faults.end
        left = None if end is None or end.after_bytes is None else end.after_bytes - self._passed
        data = data if left is None else data[: max(left, 0)]
        self._passed += len(data)
        commands = self.passing(self.inner.received(side, data, now)) if data else []
        if self._full[side] and queue.size <= queue.room // 2:
            commands += self._fill(side, full=False)
        if end is not None and left is not None and left <= len(data):
            commands += self._come_to_an_end(end, now)
        return commands

    def _come_to_an_end(self, end: End, now: int) -> list[Command]:
        if self._cut or all(self._ended):
            return []
        self._cut = True
        for side in Side:  # the session inside learns that it is over; what it would do comes too late
            self.inner.ended(side, "RST", now)
        words = {"FIN": "ended by FIN", "RST": "reset", "": "half-open: nothing passes from here on"}[end.how]
        commands: list[Command] = [Note(Side.STATION, Act("fault", f"the connection is {words}"))]
        if end.how == "RST":
            return [*commands, Reset(Side.STATION), Reset(Side.CSMS)]
        self._reset_ns = now + (min(end.lasts_ns, MAX_SILENCE_NS) if not end.how else GRACE_NS)
        return [*commands, Finish(Side.STATION), Finish(Side.CSMS)] if end.how else commands

    def _announce(self, side: Side) -> list[Command]:
        if self._announced:
            return []
        self._announced = True
        return [Note(side, Act("fault", self._faults.sentence))]

    # --- pauses -------------------------------------------------------------------------------------------------

    def passing(self, commands: Iterable[Command]) -> list[Command]:
        """Commands of the session inside, with its pauses joined to ours; also of what it says to an order."""
        passed: list[Command] = []
        for command in commands:
            if isinstance(command, Pause | Resume):
                before = self._is_paused(command.side)
                self._wants_pause[command.side] = isinstance(command, Pause)
                passed += self._difference(command.side, before)
            else:
                passed.append(command)
        return passed

    def _fill(self, side: Side, *, full: bool) -> list[Command]:
        before = self._is_paused(side)
        self._full[side] = full
        return self._difference(side, before)

    def _is_paused(self, side: Side) -> bool:
        return self._wants_pause[side] or self._full[side]

    def _difference(self, side: Side, before: bool) -> list[Command]:
        after = self._is_paused(side)
        if before == after:
            return []
        return [Pause(side) if after else Resume(side)]


def _words(way: Way) -> str:
    words = []
    if way.latency_ns or way.jitter_ns:
        jitter = f" to {_ms(way.latency_ns + way.jitter_ns)}" if way.jitter_ns else ""
        words.append(f"{_ms(way.latency_ns)}{jitter} late")
    if way.bandwidth:
        words.append(f"{way.bandwidth:,} bytes/s" + (" to a slow reader" if way.slow_reader else ""))
    return ", ".join(words)


def _ms(time_ns: int) -> str:
    return f"{time_ns / 1_000_000:g} ms"
