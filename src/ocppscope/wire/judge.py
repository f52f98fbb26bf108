"""The judge: what a strict endpoint would have done with the bytes of one direction (RFC 6455 §5 to §7, RFC 7692).

A fresh wsproto endpoint that takes the handshake for done gets the recorded bytes, the station's as a server, the
CSMS's as a client. When it would close, that becomes one `ws.judge` Problem with its words. It decodes nothing for
anybody, may not raise, and keeps none of the bytes. wsproto is loaded with the first byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ocppscope.model import Deflate, Handshake, Problem, Side

if TYPE_CHECKING:
    from wsproto.connection import Connection

SLICE_BYTES = 1024
"""wsproto inflates without a bound, so it gets no more than this at once (a thousandfold at worst: 1 MB)."""

MAX_OUTPUT_BYTES = 64 * 1024 * 1024
"""Payload after which the judge abstains: a bomb is another layer's finding."""

_QUOTED_BYTES = re.compile(r" bytes? (?:0x[0-9a-f]{2} )?in position [\d-]+")
_RECEIVER = {Side.STATION: "server", Side.CSMS: "client"}


def verdict(
    handshake: Handshake | None, frames_station: Iterable[bytes], frames_csms: Iterable[bytes]
) -> tuple[Problem, ...]:
    """Verdicts on both directions' WebSocket bytes from the first after the handshake, in any pieces.

    Without a completed handshake, or with an extension that is not permessage-deflate, nobody knows what was
    agreed: no verdict.
    """
    if handshake is None or not handshake.upgraded or (handshake.extensions and handshake.deflate is None):
        return ()
    directions = ((Side.STATION, frames_station), (Side.CSMS, frames_csms))
    verdicts = (_judge(Judge(side, handshake.deflate), pieces) for side, pieces in directions)
    return tuple(problem for problem in verdicts if problem is not None)


def _judge(judge: Judge, pieces: Iterable[bytes]) -> Problem | None:
    return next((problem for piece in pieces if (problem := judge.feed(piece)) is not None), None)


class Judge:
    """One direction before a strict endpoint, piece by piece."""

    def __init__(self, side: Side, deflate: Deflate | None) -> None:
        self._side = side
        self._deflate = deflate
        self._endpoint: Connection | None = None
        self._over = False
        self._output = 0
        self._offset = 0  # of the frame that is being read
        self._header = bytearray()
        self._payload_left = 0
        self._frame_size = 0

    def feed(self, data: bytes) -> Problem | None:
        """The verdict if these bytes bring it, else None; after it, or a Close frame, the rest is ignored."""
        at = 0
        while at < len(data) and not self._over:
            size = min(self._payload_left or self._header_left(), len(data) - at, SLICE_BYTES)
            piece = bytes(data[at : at + size])
            at += size
            words = self._try(piece)
            if words:
                self._over = True
                text = (
                    f"a strict {_RECEIVER[self._side]} closes here with {words} (the {_of(self._side)} frame at byte"
                )
                return Problem("ws.judge", f"{text} {self._offset} after the handshake)")
            self._walk(piece)
        return None

    def _try(self, piece: bytes) -> str:
        """Close code and words if the endpoint fails at this piece, else ""."""
        try:
            from wsproto.connection import ConnectionState  # noqa: PLC0415
            from wsproto.events import CloseConnection, Message  # noqa: PLC0415

            if self._endpoint is None:
                self._endpoint = _endpoint(self._side, self._deflate)
            self._endpoint.receive_data(piece)
            for event in self._endpoint.events():
                if isinstance(event, Message):
                    self._output += len(event.data)
                elif isinstance(event, CloseConnection):
                    self._over = True
                    failed = self._endpoint.state is ConnectionState.OPEN
                    return f"{int(event.code)}: {_QUOTED_BYTES.sub('', event.reason or '')}" if failed else ""
        except Exception as failure:  # whatever a library raises at hostile bytes is its verdict
            return f"1011: {type(failure).__name__}"
        self._over = self._output > MAX_OUTPUT_BYTES
        return ""

    def _header_left(self) -> int:
        return self._header_size() - len(self._header)

    def _header_size(self) -> int:
        if len(self._header) < 2:
            return 2
        length, masked = self._header[1] & 0x7F, self._header[1] & 0x80
        return 2 + {126: 2, 127: 8}.get(length, 0) + (4 if masked else 0)

    def _walk(self, piece: bytes) -> None:
        """Keep count of where frames begin; pieces never cross from header to payload or to the next frame."""
        if self._payload_left:
            self._payload_left -= len(piece)
        else:
            self._header += piece
            if self._header_left():
                return
            self._begin_payload()
        if not self._payload_left:
            self._offset += self._frame_size
            self._header.clear()

    def _begin_payload(self) -> None:
        length = self._header[1] & 0x7F
        wide = {126: 2, 127: 8}.get(length)
        self._payload_left = int.from_bytes(self._header[2 : 2 + wide], "big") if wide else length
        self._frame_size = len(self._header) + self._payload_left


def _of(side: Side) -> str:
    return "station's" if side is Side.STATION else "CSMS's"


def _endpoint(side: Side, deflate: Deflate | None) -> Connection:
    from wsproto.connection import Connection, ConnectionType  # noqa: PLC0415

    kind = ConnectionType.SERVER if side is Side.STATION else ConnectionType.CLIENT
    if deflate is None:
        return Connection(kind)
    from ocppscope.wire.strict_deflate import StrictDeflate  # noqa: PLC0415

    return Connection(kind, extensions=[StrictDeflate(deflate)])
