"""The decoders of a connection, watched: the same frames as `wire` finds, with the bytes that each was made of.

What is decoded and how is decided in `wire.connection` and `wire.websocket` alone; here their steps are noted, so
that what is rewritten is what will be read. A byte that no note covers was understood by nobody.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from ocppscope.wire.connection import ConnectionObserver, _Trial
from ocppscope.wire.frames import read_header
from ocppscope.wire.tcp import Assembler
from ocppscope.wire.websocket import Reader, State

if TYPE_CHECKING:
    from ocppscope.model import Deflate, Side
    from ocppscope.wire.connection import Listener
    from ocppscope.wire.frames import Header
    from ocppscope.wire.http import Upgrade
    from ocppscope.wire.inflate import Contexts, Inflater
    from ocppscope.wire.tcp import Stream, _Held
    from ocppscope.wire.websocket import Sink


class Place(Protocol):
    """How far a direction has come: the offset behind the last byte or gap that its reader was given."""

    position: int


class Frame:
    """A frame, or the part of one that was captured, and what it becomes; `new` is None until that is known."""

    __slots__ = ("header", "is_damaged", "length", "new", "payload", "start")

    def __init__(self, start: int, length: int, header: Header | None, payload: bytes, *, is_damaged: bool) -> None:
        self.start = start  # offset in the stream
        self.length = length  # of what was captured, with holes that are known to be inside
        self.header = header
        self.payload = payload  # masked as on the wire; zeros in holes
        self.is_damaged = is_damaged
        self.new: bytes | None = None


class TracedReader(Reader):
    """A reader that notes its frames."""

    def __init__(
        self, place: Place, side: Side, sink: Sink, inflater: Inflater | None, *, synced: bool = True
    ) -> None:
        super().__init__(side, sink, inflater, synced=synced)
        self._place = place
        self._behind = 0  # bytes of a gap that `position` counts already and the buffer does not hold
        self.found: deque[Frame] = deque()  # in order
        self.open_data: deque[Frame] = deque()  # those of messages that nobody was told of yet
        self.open_control: deque[Frame] = deque()

    def feed(self, data: bytes, time_ns: int, packet: int) -> None:
        """See `Reader`; takes no short cut."""
        self.idle = False
        super().feed(data, time_ns, packet)

    def gap(self, lost: int, time_ns: int) -> None:
        """See `Reader`."""
        self._behind = lost
        super().gap(lost, time_ns)
        self._behind = 0

    def _append(self, data: bytes, time_ns: int, packet: int) -> None:
        self._behind = 0
        super()._append(data, time_ns, packet)

    def _offset(self, at: int) -> int:
        """The offset in the stream of a place in the buffer."""
        return self._place.position - self._behind - len(self._buffer) + at

    def _note(self, at: int, stop: int, header: Header | None, *, is_damaged: bool) -> Frame:
        size = header.size if header is not None else 0
        frame = Frame(
            self._offset(at), stop - at, header, bytes(self._buffer[at + size : stop]), is_damaged=is_damaged
        )
        self.found.append(frame)
        return frame

    def _frame(self, header: Header, at: int, stop: int) -> None:
        holes = any(at < hole + length and hole < stop for hole, length in self._damage)
        frame = self._note(at, stop, header, is_damaged=holes)
        (self.open_control if header.control else self.open_data).append(frame)
        super()._frame(header, at, stop)

    def _oversized(self, header: Header, at: int) -> int:
        self._break_off(self._origin(at, len(self._buffer)).time_ns)
        self.open_data.append(self._note(at, at + header.size, header, is_damaged=True))
        return super()._oversized(header, at)

    def _abandon(self, rest: int, time_ns: int) -> None:
        if self._buffer and self.state is not State.SEARCHING:
            header = read_header(self._buffer, 0)
            frame = self._note(0, len(self._buffer), header, is_damaged=True)
            if header is None:
                frame.new = bytes(self._buffer)  # the first bytes of a header
            elif header.control:
                frame.new = bytes(self._buffer[: header.size]) + bytes(len(frame.payload))
            else:
                self.open_data.append(frame)
        super()._abandon(rest, time_ns)


class _TracedTrial(_Trial):
    """A trial whose readers note their frames."""

    def __init__(self, sides: tuple[Side, ...], contexts: Contexts, place: Place) -> None:
        self._place = place
        super().__init__(sides, contexts)

    def restart(self) -> None:
        """See `_Trial`."""
        super().restart()
        self.readers = [
            TracedReader(self._place, one.side, one.sink, one.inflater, synced=False) for one in self.readers
        ]


class Watcher(Protocol):
    """Who is told of the turns that a connection takes."""

    def leaves_http(self, upgrade: Upgrade | None) -> None:
        """What comes now is read as WebSocket; `upgrade` still holds what came early."""

    def agreed(self, deflate: Deflate | None) -> None:
        """The upgrade was granted."""


class TracedObserver(ConnectionObserver):
    """An observer with such readers."""

    def __init__(self, listener: Listener, watcher: Watcher, places: tuple[Place, Place], contexts: Contexts) -> None:
        super().__init__(listener, contexts=contexts)
        self._watcher = watcher
        self._places = places

    def reader(self, direction: int) -> TracedReader | None:
        """The reader of a direction."""
        found = self.readers[direction]
        return found if isinstance(found, TracedReader) else None

    def _open_readers(self, deflate: Deflate | None) -> None:
        self._watcher.leaves_http(self._upgrade)
        super()._open_readers(deflate)
        for direction, place in enumerate(self._places):
            plain = self.readers[direction]
            assert plain is not None
            self.readers[direction] = TracedReader(place, plain.side, self.listener, plain.inflater)
        self._watcher.agreed(deflate)

    def _start_trial(self) -> None:
        self._watcher.leaves_http(self._upgrade)
        super()._start_trial()

    def _new_trial(self, direction: int) -> _Trial:
        return _TracedTrial(super()._new_trial(direction)._sides, self.contexts, self._places[direction])


class TracedAssembler(Assembler):
    """An assembler that says where the bytes stand which it is about to deliver."""

    def __init__(self, stream: Stream, reached: Reached) -> None:
        super().__init__(stream)
        self._reached = reached

    def _deliver(self, direction: int, held: _Held, time_ns: int) -> None:
        seq = self.halves[direction].next
        assert seq is not None
        self._reached.reached(direction, seq)
        super()._deliver(direction, held, time_ns)


class Reached(Protocol):
    """Who wants to know that."""

    def reached(self, direction: int, seq: int) -> None:
        """The next byte of a direction has this sequence number."""
