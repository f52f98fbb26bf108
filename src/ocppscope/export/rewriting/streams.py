"""One TCP connection made anew: reads its bytes in order, and writes what each direction of it becomes.

    segments ─► tcp ─► connection ─► heads, frames ─► redactor ─► encoding ─► NewStream, OffsetMap
                (the decoders of `wire`, watched by `tracing`)

Nothing of the old bytes gets into a new stream but what was read as a head, a frame or a message and came back from
the redactor. All else becomes zeros of the same length.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.export.rewriting.encoding import Deflater
from ocppscope.export.rewriting.frames import Content, control_frame, data_frames
from ocppscope.export.rewriting.heads import redacted_http
from ocppscope.export.rewriting.offsets import OffsetMap, Unroller
from ocppscope.export.rewriting.spool import NewStream
from ocppscope.export.rewriting.tracing import TracedAssembler, TracedObserver
from ocppscope.model import Kind, Side, Version
from ocppscope.ocpp import codec
from ocppscope.wire.connection import Phase
from ocppscope.wire.link import ACK, SYN

if TYPE_CHECKING:
    from ocppscope.export.rewriting.encoding import Compressors
    from ocppscope.export.rewriting.redacting import Redacting
    from ocppscope.export.rewriting.spool import Spool
    from ocppscope.model import Deflate, Handshake, Problem, Text
    from ocppscope.wire.http import Upgrade
    from ocppscope.wire.inflate import Contexts
    from ocppscope.wire.tcp import Segment
    from ocppscope.wire.websocket import Control

MAX_HTTP_BYTES = 1 << 18
"""Bytes of a direction before its WebSocket begins; of more, what follows is blanked."""
MAX_CALLS = 1 << 10
"""CALLs of a side whose actions are remembered for their answers; of more, the oldest are forgotten."""
CONFLICT = "tcp.overlap-conflict"
_HTTP = (Phase.NEW, Phase.HTTP)


class Shared(NamedTuple):
    """What the streams of all connections have in common."""

    spool: Spool
    contexts: Contexts
    compressors: Compressors


class Way:
    """One direction: where its bytes stood, and what they become."""

    def __init__(self, shared: Shared) -> None:
        self._compressors = shared.compressors
        self.numbers = Unroller()
        self.map = OffsetMap()
        self.new = NewStream(shared.spool)
        self.position = 0  # offset behind the last byte or gap that was delivered
        self.captured = 0  # bytes that were delivered
        self.known = 0  # of these: those that were understood
        self.deflater: Deflater | None = None
        self.diverged = False  # the compressed messages are others than they were
        self.http = bytearray()  # from before WebSocket, as far as it came without a gap
        self._done = 0  # offset up to which all is decided

    def edit(self, start: int, length: int, new: bytes, *, known: int | None = None) -> None:
        """A stretch becomes `new`; what lies before it and was not named becomes zeros."""
        if start < self._done:
            return
        self.new.write(self.map.at(start), new)
        self.map.add(start, length, len(new))
        self.known += length if known is None else known
        self._done = start + length

    def compress(self, window_bits: int, *, takeover: bool) -> Deflater:
        """What is compressed in it is, from now on, like that."""
        self.deflater = Deflater(window_bits, self._compressors, takeover=takeover)
        return self.deflater

    def settle(self) -> None:
        """All is written; now it will be read."""
        self.new.settle()
        self.numbers.rewind()
        if self.deflater is not None:
            self.deflater.forget()
        self.deflater, self.http = None, bytearray()


class Course(NamedTuple):
    """What a connection becomes, by direction."""

    ways: tuple[Way, Way]
    conflicts: set[int]  # packets that contradict earlier ones


class Stream:
    """The decoders of one connection; what they find goes into its `course`."""

    def __init__(self, version: Version, redactor: Redacting, shared: Shared) -> None:
        self.course = Course((Way(shared), Way(shared)), set())
        self.ways = self.course.ways
        self._redactor = redactor
        self._packet = 0
        finds = _Finds(self.ways, version, redactor)
        self._observer = finds.observer = TracedObserver(finds, self, self.ways, shared.contexts)
        self._assembler = self._observer.assembler = TracedAssembler(self, self)

    def add(self, segment: Segment) -> None:
        """The next captured segment."""
        self._packet = segment.packet
        self.ways[segment.direction].numbers.begin(segment.seq + (segment.flags & SYN != 0))
        if segment.flags & ACK:
            self.ways[1 - segment.direction].numbers.begin(segment.ack)
        self._assembler.add(segment)

    @property
    def is_over(self) -> bool:
        """Whether both directions have ended: nothing that comes after is read."""
        return self._assembler.over or all(half.ended for half in self._assembler.halves)

    def finish(self, time_ns: int) -> None:
        """There are no more."""
        self._assembler.finish(time_ns)
        self._observer.finish(time_ns)
        self._observer.forget_contexts()
        self.leaves_http(None)
        for direction, way in enumerate(self.ways):
            self._flush(direction)
            way.settle()

    # --- ordered bytes (tcp.Stream) -------------------------------------------------------------------------------

    def reached(self, direction: int, seq: int) -> None:
        """See `tracing.Reached`."""
        way = self.ways[direction]
        way.position = way.numbers.offset(seq)

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        """See `tcp.Stream`."""
        way = self.ways[direction]
        way.position += len(data)
        way.captured += len(data)
        if self._observer.phase in _HTTP and len(way.http) < MAX_HTTP_BYTES:
            way.http += data
        self._observer.data(direction, data, time_ns, packet)
        self._flush(direction)

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """See `tcp.Stream`."""
        way = self.ways[direction]
        if self._observer.phase in _HTTP:
            self._observer.gap(direction, lost, time_ns, why)
            self._settle_http(direction, 0)
            way.position += lost
            return
        way.position += lost
        self._observer.gap(direction, lost, time_ns, why)
        self._flush(direction)

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        """See `tcp.Stream`."""
        self._observer.closed(direction, how, time_ns, packet)

    def problem(self, direction: int, problem: Problem, time_ns: int) -> None:
        """See `tcp.Stream`."""
        if problem.code == CONFLICT:
            self.course.conflicts.add(self._packet)

    def _flush(self, direction: int) -> None:
        """Writes the frames up to the first of which it is not known what it becomes."""
        reader, way = self._observer.reader(direction), self.ways[direction]
        while reader is not None and reader.found and (new := reader.found[0].new) is not None:
            frame = reader.found.popleft()
            way.edit(frame.start, frame.length, new)

    # --- turns (tracing.Watcher) ----------------------------------------------------------------------------------

    def leaves_http(self, upgrade: Upgrade | None) -> None:
        """See `tracing.Watcher`."""
        client = self._observer.client
        for direction in (0, 1):
            early = 0
            if upgrade is not None:
                early = len(upgrade.rest_station if direction == client else upgrade.rest_csms)
            self._settle_http(direction, early)

    def _settle_http(self, direction: int, early: int) -> None:
        way = self.ways[direction]
        raw, way.http = bytes(way.http), bytearray()
        if raw and self._observer.client is not None and len(raw) < MAX_HTTP_BYTES:
            start = way.position - len(raw)
            request = direction == self._observer.client
            for edit in redacted_http(raw[: len(raw) - early], self._redactor, request=request):
                way.edit(start + edit.start, edit.length, edit.new)

    def agreed(self, deflate: Deflate | None) -> None:
        """See `tracing.Watcher`."""
        if deflate is None:
            return
        for direction, way in enumerate(self.ways):
            of_station = self._observer.side(direction) is Side.STATION
            bits = deflate.station_window_bits if of_station else deflate.csms_window_bits
            fresh = deflate.station_no_context_takeover if of_station else deflate.csms_no_context_takeover
            way.compress(bits, takeover=not fresh)


class _Finds:
    """What the observer finds (connection.Listener): decides what frames become."""

    observer: TracedObserver

    def __init__(self, ways: tuple[Way, Way], version: Version, redactor: Redacting) -> None:
        self._ways = ways
        self._version = version
        self._redactor = redactor
        self._calls: tuple[OrderedDict[str, str], ...] = (OrderedDict(), OrderedDict())  # by side: id → action

    def text(self, side: Side, text: Text) -> None:
        """A message: its frames are known now."""
        direction = self._direction(side)
        reader = self.observer.reader(direction)
        if reader is None:
            return
        frames = [reader.open_data.popleft() for _ in range(min(text.frames, len(reader.open_data)))]
        data_frames(self._ways[direction], frames, text, self._content(side, text), self._redactor)

    def _content(self, side: Side, text: Text) -> Content:
        """What a message says, for the redactor; pairs answers with their CALLs."""
        raw = codec.decode(text.payload)
        action = raw.action
        if raw.kind is Kind.CALL:
            calls = self._calls[side]
            calls[raw.id] = action
            if len(calls) > MAX_CALLS:
                calls.popitem(last=False)
        elif raw.kind in (Kind.CALLRESULT, Kind.CALLERROR):
            action = self._calls[1 - side].get(raw.id, "")
        elif raw.kind is Kind.CALLRESULTERROR:
            action = self._calls[side].get(raw.id, "")
        return Content(raw.kind, action, self._version, not raw.id or "\0" in raw.id + raw.action)

    def control(self, side: Side, control: Control) -> None:
        """A control frame."""
        reader = self.observer.reader(self._direction(side))
        if reader is not None and reader.open_control:
            control_frame(reader.open_control.popleft(), control, self._redactor)

    def _direction(self, side: Side) -> int:
        client = self.observer.client or 0
        return client if side is Side.STATION else 1 - client

    def handshake(self, handshake: Handshake, time_ns: int, packet: int) -> None:
        """Nothing to do: its heads are redacted as they are."""

    def recognised(self, time_ns: int, packet: int) -> None:
        """Nothing to do."""

    def lost(self, side: Side, count: int | None, time_ns: int, why: str) -> None:
        """Nothing to do: it stays lost."""

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        """Nothing to do: what nobody names becomes zeros."""

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        """Nothing to do: it stays one."""

    def problem(self, side: Side | None, problem: Problem) -> None:
        """Nothing to do."""

    def closed(self, side: Side | None, how: str, time_ns: int) -> None:
        """Nothing to do."""
