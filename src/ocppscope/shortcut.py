"""The short cut of ordinary messages: from a segment to its dialogue, without what is made for the unusual.

    segment of a smooth flow ──► whole text frame ──► its head ──► Speaker.calls or Speaker.answers
    the same of a TLS flow   ──► what is in its records ──► the same

A `Lane` is one direction of a connection about which nothing is unusual. Whatever does not fit takes the long way,
from the same state and with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ocppscope.model import BLOCK_PADDING, Origin
from ocppscope.ocpp.jsontext import MAX_JSON_SIZE
from ocppscope.wire.frames import MASKED, MAX_CONTROL, PING, PONG, UNMASKED, payloads, unmask, whole_frames
from ocppscope.wire.tcp import MAX_JUMP, MODULUS
from ocppscope.wire.websocket import Control

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ocppscope.batch import Batch
    from ocppscope.model import Side, Text
    from ocppscope.ocpp.exchange import Dialogue
    from ocppscope.wire.connection import ConnectionObserver
    from ocppscope.wire.decrypt.half import Half
    from ocppscope.wire.link import Ints
    from ocppscope.wire.transport import Tally

TEXTS_AT_ONCE = 1024
"""Frames whose payloads are taken out of a block at once."""
_BEATS = (0x80 | PING, 0x80 | PONG)  # first bytes of final frames
OPENED = 8
"""Added to the form of what came in TLS, frame or not: what was sent in its place may look like anything."""


class Connected(Protocol):
    """A connection, as far as a lane has to do with it; see `track.Track`."""

    observer: ConnectionObserver
    tally: Tally
    dialogue: Dialogue | None

    def text(self, side: Side, text: Text) -> None:
        """A data message."""

    def touched(self) -> None:
        """What is held back may have changed."""


class Lane:
    """The short cut of one direction while nothing is unusual about its connection: what is needed, within reach.

    `form` is that of the direction's uncompressed frames: see `Payloads.frames`. With `inside`, segments hold TLS.
    """

    __slots__ = (
        "_track",
        "direction",
        "form",
        "half",
        "inflater",
        "inside",
        "peer",
        "reader",
        "speaker",
        "tally",
        "way",
    )

    def __init__(self, track: Connected, direction: int) -> None:
        observer, dialogue = track.observer, track.dialogue
        reader = observer.readers[direction]
        assert reader is not None
        assert dialogue is not None
        self._track = track
        self.direction = direction
        self.tally = track.tally
        self.way = track.tally.ways[direction]
        self.way.sit_down()
        self.half = observer.assembler.halves[direction]
        self.peer = observer.assembler.halves[1 - direction]
        self.reader = reader
        self.inflater = reader.inflater
        self.inside = observer.inside
        self.form = (MASKED if reader.masked else UNMASKED) + (OPENED if self.inside is not None else 0)
        self.speaker = dialogue.speakers[reader.side]

    @property
    def sealed(self) -> Half | None:
        """What opens the records that come next; None while that takes a closer look, and without TLS."""
        return None if self.inside is None else self.inside.steady(self.direction)

    def is_next(self, seq: int, ack: int) -> bool:
        """Whether a segment continues its direction exactly and acknowledges nothing that was not captured."""
        if seq != self.half.next:
            return False
        assert self.peer.next is not None
        ahead = (ack - self.peer.next) & MODULUS
        return not ahead or ahead > MAX_JUMP

    def feed(self, data: bytes, time_ns: int, packet: int, form: int) -> None:
        """A segment that holds anything else than one whole text frame."""
        if self.inside is not None and form < OPENED:
            self.inside.data(self.direction, data, time_ns, packet)
            self._track.touched()
        elif not self._is_beat(data, time_ns, packet):
            self.reader.feed(data, time_ns, packet)
            self._track.touched()

    def _is_beat(self, data: bytes, time_ns: int, packet: int) -> bool:
        """Takes a ping or pong that is one ordinary frame, all of it and nothing else, as its reader would."""
        reader = self.reader
        if not reader.idle or data[0] not in _BEATS:
            return False
        masked = bool(reader.masked)
        size = 6 if masked else 2
        length = len(data) - size
        if not 0 <= length <= MAX_CONTROL or data[1] != (length | masked << 7):
            return False
        payload = unmask(data[size:], data[2:size])
        reader.sink.control(reader.side, Control(data[0] & 0x0F, payload, Origin(time_ns, (packet,))))
        return True

    def read_closely(self, payload: bytes, time_ns: int, packet: int, wire_size: int) -> None:
        """A whole text frame whose message is not an ordinary one."""
        reader = self.reader
        self._track.text(reader.side, reader.checked(payload, time_ns, packet, wire_size, compressed=False))

    def read_compressed(self, batch: Batch, payload: bytes, time_ns: int, at: int) -> None:
        """A whole compressed text frame, the arrival `at`, where there is an inflater."""
        assert self.inflater is not None
        arrivals, reader, text, problem = batch.arrivals, self.reader, self.inflater.text(payload), None
        if text is not None and len(text) <= MAX_JSON_SIZE:
            arrivals.texts[at] = text
            if self.speaker.quick(batch, text, time_ns, at):
                return
        if text is None:
            text, problem, _ = self.inflater.verdict
        packet = arrivals.packets[at]
        assert isinstance(packet, int)
        checked = reader.checked(text, time_ns, packet, arrivals.wire_size[at], compressed=True)
        self._track.text(reader.side, checked._replace(problems=(problem,)) if problem else checked)


class Payloads(NamedTuple):
    """What segments hold: where it begins in `data`, and its length; `opened` is OPENED where that came in TLS."""

    data: bytes
    start: Ints
    length: Ints
    opened: Ints | int = 0

    def some(self, rows: Ints) -> Payloads:
        """Those of some of the segments."""
        opened = self.opened if isinstance(self.opened, int) else self.opened[rows]
        return Payloads(self.data, self.start[rows], self.length[rows], opened)

    def frames(self) -> tuple[Ints, Ints]:
        """Forms and bodies as `whole_frames` has them, the forms with `opened` added."""
        form, body = whole_frames(self.data, self.start, self.length)
        return form + self.opened, body

    def with_plain(self, rows: Ints, plains: list[bytes]) -> Payloads:
        """The same where some segments hold this instead."""
        start, length, opened = self.start.copy(), self.length.copy(), np.zeros(len(self.start), np.int64)
        sizes = np.fromiter(map(len, plains), np.int64, len(plains))
        start[rows], length[rows], opened[rows] = len(self.data) + np.cumsum(sizes) - sizes, sizes, OPENED
        return Payloads(b"".join([self.data, *plains, bytes(BLOCK_PADDING)]), start, length, opened)


def unsealed(held: Payloads, way: Ints, smooth: NDArray[np.bool_], lanes: dict[int, Lane]) -> Payloads:
    """The segments of a block with what is in their TLS records in place of these, as far as they can be opened.

    Those of `smooth` flows only: every one of them will be read, in this order and with nothing in between, so that
    the state of their directions may be changed at once. `way` names their lanes among those of connections in TLS.
    """
    from ocppscope.wire.decrypt.ahead import Sealed  # noqa: PLC0415 - only who has keys needs it

    rows = np.flatnonzero(smooth & (held.length > 0))
    rows = rows[np.argsort(way[rows], kind="stable")]
    ways = way[rows]
    first = np.flatnonzero(np.diff(ways, prepend=-1))
    sealed = Sealed(held.data, held.start[rows], held.length[rows], first)
    opened, plains = [rows[:0]], list[bytes]()
    for number, (low, lane) in enumerate(zip(first.tolist(), map(lanes.get, ways[first].tolist()), strict=True)):
        half = None if lane is None else lane.sealed
        if half is not None:
            found = sealed.open(half, number)
            plains += found
            opened.append(rows[low : low + len(found)])
    return held.with_plain(np.concatenate(opened), plains) if plains else held


def texts_in_parts(held: Payloads, form: Ints, body: Ints, batch: Batch) -> Iterator[tuple[slice, list[bytes]]]:
    """The payloads of frames, few at a time: these are read and validated while they are in the processor's cache."""
    texts, stop = batch.arrivals.texts, held.start + held.length
    for first in range(0, len(form), TEXTS_AT_ONCE):
        some = slice(first, min(first + TEXTS_AT_ONCE, len(form)))  # there may be more texts by now
        payload = payloads(held.data, form[some] & ~OPENED, body[some], stop[some])
        texts[some] = payload
        yield some, payload
        batch.settle()
