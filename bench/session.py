"""One WebSocket connection between a station and its CSMS, as the packets that a capture at the CSMS would hold.

Handshake, masks, permessage-deflate, delayed and piggybacked ACKs, Close and FIN; and on a lossy line
retransmissions, swapped and doubled packets. Packets go to `emit(time_ns, frame)`, not always in the order of time.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from bench.packets import ACK, FIN, PSH, RST, SEQ_MASK, Route, TcpSender
from bench.stations import CSMS, STATION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

MSS = 1448
MS = 1_000_000
DELAYED_ACK_NS = 40 * MS
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_EMPTY_BLOCK = b"\0\0\xff\xff"


class Line(NamedTuple):
    """What happens to packets, as shares of the data segments: 0 for a clean line."""

    split: float = 0.0  # messages that their sender writes in two pieces
    swap: float = 0.0  # of the messages in pieces: two neighbours change places
    retransmit: float = 0.0
    double: float = 0.0  # the capture shows the same packet twice
    missing: float = 0.0  # the peer got it, the capture did not


CLEAN = Line()


class Place(NamedTuple):
    """Addresses and ports of a connection."""

    station: str
    csms: str
    station_port: int
    csms_port: int


class Session:
    """One connection; the caller says what is sent when, in order."""

    def __init__(
        self,
        place: Place,
        rng: Random,
        emit: Callable[[int, bytes], None],
        *,
        line: Line = CLEAN,
        window_bits: int = 0,
    ) -> None:
        macs = (
            b"\x02\x00" + hashlib.blake2s(place.station.encode(), digest_size=4).digest(),
            b"\x02\x00\x5e\x00\x00\x01",
        )
        ports = place.station_port, place.csms_port
        self._rng = rng
        self._emit = emit
        self._line = CLEAN  # until the upgrade is over: a peer that cannot read that would find nothing at all
        self._line_of_messages = line
        self._place = place
        self._ends = (
            TcpSender(Route(place.station, place.csms, macs), ports, rng.getrandbits(32), rng.getrandbits(28)),
            TcpSender(
                Route(place.csms, place.station, macs[::-1]), ports[::-1], rng.getrandbits(32), rng.getrandbits(28)
            ),
        )
        self._ack_due: list[int | None] = [None, None]  # when a side must acknowledge what it got
        self._deflaters: tuple[zlib._Compress, ...] = ()
        self._window_bits = window_bits
        self.lost_segments = 0

    def handshake(self, at: int, identity: str, subprotocol: str, password: str) -> int:
        """SYN to 101; gives the time of the last packet."""
        station, csms = self._ends
        self._emit(at, station.syn(at, None))
        csms.peer_ts = station.last_ts
        self._emit(at + MS // 5, csms.syn(at, station.seq))
        station.peer_ts = csms.last_ts
        at += self._rng.randrange(18, 90) * MS
        self._emit(at, station.segment(at, station.seq, csms.seq, ACK))
        key = base64.b64encode(self._rng.randbytes(16))
        self._send(STATION, self._request(key, identity, subprotocol, password), at + MS)
        at += self._rng.randrange(2, 20) * MS
        self._send(CSMS, self._response(key, subprotocol), at)
        self._line = self._line_of_messages
        if self._window_bits:
            self._deflaters = tuple(zlib.compressobj(6, zlib.DEFLATED, -self._window_bits) for _ in "ab")
        return at

    def _request(self, key: bytes, identity: str, subprotocol: str, password: str) -> bytes:
        lines = [
            f"GET /ocpp/{identity.replace('*', '%2A')} HTTP/1.1",
            f"Host: csms.example.org:{self._place.csms_port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key.decode()}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {subprotocol}",
        ]
        if self._window_bits:
            lines.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        if password:
            lines.append("Authorization: Basic " + base64.b64encode(f"{identity}:{password}".encode()).decode())
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _response(self, key: bytes, subprotocol: str) -> bytes:
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            f"Sec-WebSocket-Protocol: {subprotocol}",
        ]
        if bits := self._window_bits:
            extra = "" if bits == 15 else f"; server_max_window_bits={bits}; client_max_window_bits={bits}"
            lines.append("Sec-WebSocket-Extensions: permessage-deflate" + extra)
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def say(self, side: int, texts: Sequence[str], at: int) -> int:
        """Text messages of one side in one write; gives the segments that the capture misses."""
        return self._send(side, b"".join([self._frame(side, TEXT, text.encode()) for text in texts]), at)

    def control(self, side: int, opcode: int, payload: bytes, at: int) -> None:
        """A ping, pong or close frame."""
        self._send(side, self._frame(side, opcode, payload), at)

    def _frame(self, side: int, opcode: int, payload: bytes) -> bytes:
        first = 0x80 | opcode
        if self._deflaters and opcode == TEXT:
            deflater = self._deflaters[side]
            payload = (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_EMPTY_BLOCK)
            first |= 0x40
        size = len(payload)
        masked = 0x80 if side == STATION else 0
        if size < 126:
            head = bytes((first, masked | size))
        elif size < 65536:
            head = struct.pack("!BBH", first, masked | 126, size)
        else:
            head = struct.pack("!BBQ", first, masked | 127, size)
        return head + self._mask(payload) if masked else head + payload

    def _mask(self, payload: bytes) -> bytes:
        size = len(payload)
        key = self._rng.randbytes(4)
        repeated = (key * (size // 4 + 1))[:size]
        number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
        return key + number.to_bytes(size, "big")

    def _pieces(self, data: bytes) -> list[bytes]:
        if self._line.split and len(data) > 20 and self._rng.random() < self._line.split:
            middle = self._rng.randrange(2, len(data) - 1)
            return _segments(data[:middle]) + _segments(data[middle:])
        return _segments(data)

    def _send(self, side: int, data: bytes, at: int) -> int:
        """Put bytes on the line; gives the number of segments that the capture misses."""
        end, peer = self._ends[side], self._ends[1 - side]
        self.settle(at)
        self._ack_due[side] = None  # what is owed goes with the data
        frames = []
        pieces = self._pieces(data)
        for n, piece in enumerate(pieces, 1):
            flags = ACK | PSH if n == len(pieces) else ACK
            frames.append((end.seq, flags, piece, end.segment(at, end.seq, peer.seq, flags, piece)))
            end.seq = (end.seq + len(piece)) & SEQ_MASK
        peer.peer_ts = end.last_ts
        missing = self._put(side, frames, at) if self._line is not CLEAN else 0
        if self._line is CLEAN:
            for n, (_, _, _, frame) in enumerate(frames):
                self._emit(at + n * 12_000, frame)
        acks_at = at + len(frames) * 12_000 + (MS // 2 if len(frames) > 1 else DELAYED_ACK_NS)
        self._ack_due[1 - side] = acks_at
        return missing

    def _put(self, side: int, frames: list[tuple[int, int, bytes, bytes]], at: int) -> int:
        rng, line, missing = self._rng, self._line, 0
        order = list(range(len(frames)))
        if len(order) > 1 and rng.random() < line.swap:
            first = rng.randrange(len(order) - 1)
            order[first], order[first + 1] = order[first + 1], order[first]
        for n, index in enumerate(order):
            seq, flags, data, frame = frames[index]
            when = at + n * 12_000
            luck = rng.random()
            if luck < line.missing:
                missing += 1
                continue
            self._emit(when, frame)
            if luck < line.missing + line.double:
                self._emit(when + 2_000, frame)
            elif luck > 1 - line.retransmit:
                end = self._ends[side]
                later = when + rng.randrange(1, 9) * MS
                self._emit(later, end.segment(later, seq, self._ends[1 - side].seq, flags, data))
        self.lost_segments += missing
        return missing

    def settle(self, until: int) -> None:
        """Send the acknowledgements that fall due before `until`."""
        for side in (STATION, CSMS):
            due = self._ack_due[side]
            if due is not None and due < until:
                end = self._ends[side]
                self._emit(due, end.segment(due, end.seq, self._ends[1 - side].seq, ACK))
                self._ends[1 - side].peer_ts = end.last_ts
                self._ack_due[side] = None

    def close(self, at: int, *, by: int, abrupt: bool) -> int:
        """Close frames and FINs, or a RST; gives the time of the last packet."""
        self.settle(at)
        end, peer = self._ends[by], self._ends[1 - by]
        if abrupt:
            self._emit(at, end.segment(at, end.seq, peer.seq, ACK | RST))
            return at
        self.control(by, CLOSE, b"\x03\xe8", at)
        self.control(1 - by, CLOSE, b"\x03\xe8", at + 20 * MS)
        at += 30 * MS
        self._ack_due = [None, None]
        for side in (CSMS, STATION):
            one, other = self._ends[side], self._ends[1 - side]
            self._emit(at, one.segment(at, one.seq, other.seq, ACK | FIN))
            one.seq = (one.seq + 1) & SEQ_MASK
            at += 10 * MS
        csms, station = self._ends[CSMS], self._ends[STATION]
        self._emit(at, csms.segment(at, csms.seq, station.seq, ACK))
        return at


def _segments(data: bytes) -> list[bytes]:
    if len(data) <= MSS:
        return [data]
    return [data[at : at + MSS] for at in range(0, len(data), MSS)]
