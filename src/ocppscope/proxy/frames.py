"""Speaks WebSocket with one side, by wsproto: bytes → whole messages, pieces of huge ones, control frames; and back.

Whoever changes messages has to be an endpoint for both sides, as strict as endpoints are (RFC 6455). It answers
nothing itself: a ping is for the peer to answer. No I/O; the only randomness is that of the masks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from ocppscope.model import Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsproto.frame_protocol import Frame

MAX_MESSAGE_BYTES = 4 << 20
"""A message that is larger is not collected: it passes in pieces, as it comes, and nothing can be done with it."""

MAX_PARTS = 10_000
"""Nor is one collected that comes in more frames, or reads, than this."""

CLOSE, PING, PONG = 8, 9, 10
NO_STATUS = 1005
"""What a Close frame without a code means (RFC 6455 §7.1.5)."""


class Whole(NamedTuple):
    """A whole data message."""

    data: str | bytes
    size: int  # bytes of its payload
    frames: int


class Piece(NamedTuple):
    """A part of a message that is too large to be collected; `last` ends it."""

    data: str | bytes
    last: bool


class Control(NamedTuple):
    """A control frame: `opcode` is `CLOSE`, `PING` or `PONG`; code and reason are those of a Close frame."""

    opcode: int
    payload: bytes = b""
    code: int | None = None
    reason: str = ""


class Violation(NamedTuple):
    """The side broke the rules and is read no further; `code` is that of the Close frame that tells it so."""

    code: int
    words: str


Event = Whole | Piece | Control | Violation


class Voice:
    """The endpoint that one side talks to."""

    def __init__(self, side: Side) -> None:
        self._protocol = FrameProtocol(client=side is Side.CSMS, extensions=[])
        self._parts: list[str | bytes] = []
        self._size = 0
        self._frames = 0
        self._in_pieces = False
        self.over = False  # a Close frame or a violation came: nothing more is read
        self.closed = False  # we sent a Close frame: nothing more may be sent

    def read(self, data: bytes) -> Iterator[Event]:
        """What the side's next bytes say."""
        if self.over:
            return
        self._protocol.receive_bytes(data)
        try:
            for frame in self._protocol.received_frames():
                event = self._control(frame) if frame.opcode.iscontrol() else self._data(frame)
                if event is not None:
                    yield event
        except ParseFailed as failure:
            self.over = True
            yield Violation(int(failure.code), _words(failure))

    def _control(self, frame: Frame) -> Control:
        if frame.opcode is not Opcode.CLOSE:
            assert isinstance(frame.payload, bytes)
            return Control(int(frame.opcode), frame.payload)
        self.over = True
        assert isinstance(frame.payload, tuple)
        code, reason = frame.payload
        return Control(CLOSE, code=int(code) if int(code) != NO_STATUS else None, reason=reason)

    def _data(self, frame: Frame) -> Whole | Piece | None:
        data = frame.payload
        assert isinstance(data, str | bytes)
        self._frames += frame.frame_finished
        if self._in_pieces:
            self._in_pieces = not frame.message_finished
            self._frames = 0 if frame.message_finished else self._frames
            return Piece(data, frame.message_finished)
        self._parts.append(data)
        self._size += len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
        if frame.message_finished:
            whole = Whole(_joined(self._parts), self._size, self._frames)
            self._forget()
            return whole
        if self._size <= MAX_MESSAGE_BYTES and len(self._parts) <= MAX_PARTS:
            return None
        piece = Piece(_joined(self._parts), last=False)
        self._forget()
        self._in_pieces = True
        return piece

    def _forget(self) -> None:
        self._parts, self._size, self._frames = [], 0, 0

    def message(self, data: str | bytes, *, last: bool = True) -> bytes:
        """A data message for this side, or a piece of one, as bytes; nothing after a Close frame."""
        return b"" if self.closed else bytes(self._protocol.send_data(data, last))

    def control(self, frame: Control) -> bytes:
        """A control frame for this side as bytes; nothing after a Close frame."""
        if self.closed:
            return b""
        if frame.opcode == PING:
            return bytes(self._protocol.ping(frame.payload))
        if frame.opcode == PONG:
            return bytes(self._protocol.pong(frame.payload))
        self.closed = True
        return bytes(self._protocol.close(frame.code, frame.reason if frame.code is not None else None))


def _joined(parts: list[str | bytes]) -> str | bytes:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], str):
        return "".join(parts)  # type: ignore[arg-type]
    return b"".join(parts)  # type: ignore[arg-type]


def _words(failure: ParseFailed) -> str:
    """In wsproto's words, without the bytes of the peer that Python's decoder quotes."""
    return "a text or reason that is not UTF-8" if "codec can't" in str(failure) else str(failure)
