"""What tshark decrypts, on its way into the engine: as streams, in step with the packets that it reads itself.

The engine gets bytes of TLS connections here and nothing else; it has the packets from its own reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocppscope.batch import Batch
    from ocppscope.capture.tshark import StreamPiece
    from ocppscope.model import Flow, Side

END = "end of capture"


class StreamEngine(Protocol):
    """What is needed of the engine."""

    def open_stream(self, flow: Flow, time_ns: int) -> Any:
        """A connection whose bytes come in order."""

    def stream(self, track: Any, side: Side, data: bytes, time_ns: int, packet: int = 0) -> Batch:
        """The next bytes."""

    def stream_closed(self, track: Any, side: Side, how: str, time_ns: int) -> Batch:
        """The end of a direction, or of the connection."""


class DecryptedStreams:
    """Hands pieces to the engine, each when its packet has come."""

    def __init__(self, engine: StreamEngine, pieces: Iterable[StreamPiece]) -> None:
        self._engine = engine
        self._pieces = iter(pieces)
        self._next: StreamPiece | None = None
        self._tracks: dict[int, Any] = {}  # by number of the stream
        self._over: set[int] = set()
        self._now = 0

    def upto(self, packet: int | None = None) -> Iterator[Batch]:
        """The events of all pieces that came with a packet up to that number; of all there are without one."""
        while (piece := self._next or next(self._pieces, None)) is not None:
            if packet is not None and piece.packet > packet:
                self._next = piece
                return
            self._next = None
            if piece.stream not in self._over:
                yield self._take(piece)

    def _take(self, piece: StreamPiece) -> Batch:
        engine, number = self._engine, piece.stream
        self._now = max(self._now, piece.time_ns)
        track = self._tracks.get(number)
        if track is None:
            track = self._tracks[number] = engine.open_stream(piece.flow, piece.time_ns)
            track.first_packet = piece.packet
        if not piece.end:
            return engine.stream(track, piece.side, piece.data, piece.time_ns, piece.packet)
        batch = engine.stream_closed(track, piece.side, piece.end, piece.time_ns)
        if track.over:
            del self._tracks[number]
            self._over.add(number)
        return batch

    def finish(self) -> None:
        """Closes what is open. To be called before the engine's own `finish`, which hands out the events of it."""
        for track in self._tracks.values():
            track.end(self._now, END)
        self._tracks.clear()


def decrypted(engine: StreamEngine, pieces: Iterable[StreamPiece]) -> Iterator[Batch]:
    """The events of all pieces, where nothing but what TLS protects is wanted of the captures."""
    streams = DecryptedStreams(engine, pieces)
    yield from streams.upto()
    streams.finish()
