"""What frames become: the same frames around redacted content (RFC 6455 §5.2, RFC 7692 §7.2).

Fails closed: content that is not whole, or that is no text, is overwritten; a frame keeps its header, its length
where a part of it is missing, and the id and action that a message begins with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.export.rewriting.encoding import corrupt, frame_like, head_like, spread
from ocppscope.wire.frames import CLOSE, MAX_CONTROL, unmask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocppscope.export.rewriting.redacting import Redacting
    from ocppscope.export.rewriting.streams import Way
    from ocppscope.export.rewriting.tracing import Frame
    from ocppscope.model import Kind, Text, Version
    from ocppscope.wire.websocket import Control

DAMAGE = frozenset(
    {
        "ws.lost-bytes",
        "ws.unfinished-message",
        "ws.context-lost",
        "ws.too-large",
        "ws.inflated-too-large",
        "ws.deflate-corrupt",
    }
)
"""Problems of texts that are not whole, or not certain."""
IN_DOUBT = DAMAGE | {"ws.context-guessed"}
"""Problems of compressed messages behind which the context is not what it was."""
_BEGINNING = re.compile(rb'\s*\[\s*[2-6]\s*,\s*"[^"\\\x00]{1,64}"(?:\s*,\s*"[A-Za-z0-9]{1,50}")?')
_FIRST_SIGNS = re.compile(rb'\s*\[\s*[2-6]\s*,\s*"?')
_NO_TEXT = b"\xff"  # never part of UTF-8, so that a text that is none stays none


class Content(NamedTuple):
    """What a message is, for the redactor."""

    kind: Kind
    action: str
    version: Version
    is_torn: bool = False  # what names it is not known whole; NUL stands for what is not known


def data_frames(way: Way, frames: Sequence[Frame], text: Text, content: Content, redactor: Redacting) -> None:
    """Decides what the frames of a message become."""
    damaged = any(frame.is_damaged for frame in frames)
    doubts = {problem.code for problem in text.problems}
    if text.compressed:
        _compressed(way, frames, text, content, redactor, damaged=damaged)
    elif damaged or doubts & DAMAGE:
        _overwrite(frames, redactor)
    else:
        _fill(frames, text.payload, _redacted(text, content, redactor))


def _redacted(text: Text, content: Content, redactor: Redacting) -> bytes:
    payload = text.payload
    if text.binary or any(problem.code in DAMAGE for problem in text.problems):
        return bytes(len(payload))
    try:
        payload.decode()
    except UnicodeDecodeError:
        return _NO_TEXT * len(payload)
    return redactor.message_text(payload, version=content.version, kind=content.kind, action=content.action)


def _compressed(
    way: Way, frames: Sequence[Frame], text: Text, content: Content, redactor: Redacting, *, damaged: bool
) -> None:
    """With context takeover, everything from the first change on is compressed anew."""
    if way.deflater is None:
        way.diverged = True
    deflater = way.deflater or way.compress(15, takeover=True)
    doubts = {problem.code for problem in text.problems}
    if doubts & IN_DOUBT:
        way.diverged = True
        deflater.forget()
    if damaged:
        _overwrite(frames)
    elif "ws.deflate-corrupt" in doubts:
        _fill(frames, None, corrupt(sum(len(frame.payload) for frame in frames)))
    elif "ws.context-lost" in doubts:
        name = b"" if content.is_torn else _name(text.payload, redactor)
        _fill(frames, None, deflater.riddle(name, len(text.payload)))
    else:
        new = _redacted(text, content, redactor)
        if new == text.payload and not way.diverged:
            _keep(frames)
            return
        way.diverged |= deflater.takeover
        _fill(frames, None, deflater.message(new))


def _keep(frames: Sequence[Frame]) -> None:
    for frame in frames:
        assert frame.header is not None
        frame.new = frame_like(frame.header, unmask(frame.payload, frame.header.mask))


def _fill(frames: Sequence[Frame], old: bytes | None, new: bytes) -> None:
    """Spreads a payload on the frames of a message."""
    if new == old:
        _keep(frames)
        return
    at = 0
    for frame, size in zip(frames, spread([len(frame.payload) for frame in frames], len(new)), strict=True):
        assert frame.header is not None
        frame.new = frame_like(frame.header, new[at : at + size])
        at += size


def _overwrite(frames: Sequence[Frame], redactor: Redacting | None = None) -> None:
    """The payload becomes zeros, but for the id and action that can be read; every length stays."""
    for number, frame in enumerate(frames):
        mask = frame.header.mask if frame.header is not None else b""
        kept = b"" if number or redactor is None else _beginning(unmask(frame.payload, mask), redactor)
        frame.new = _as_long(frame, kept.ljust(len(frame.payload), b"\0"))


def _as_long(frame: Frame, payload: bytes) -> bytes:
    """The frame with its old header, whatever was captured of what that announces."""
    assert frame.header is not None
    return head_like(frame.header, frame.header.length) + unmask(payload, frame.header.mask)


def _beginning(payload: bytes, redactor: Redacting) -> bytes:
    """What of a cut message can stay: by it, readers find where frames start, and which message it is."""
    found = _FIRST_SIGNS.match(payload)
    return _name(payload, redactor) or (found[0] if found is not None else b"")


def _name(payload: bytes, redactor: Redacting) -> bytes:
    """Kind, id and action, if the id is whole."""
    found = _BEGINNING.match(payload)
    if found is None:
        return b""
    text = found[0].decode("utf-8", "replace")
    return found[0] if redactor.words(text) == text else b""


def control_frame(frame: Frame, control: Control, redactor: Redacting) -> None:
    """Decides what a control frame becomes."""
    assert frame.header is not None
    payload = control.payload
    if frame.is_damaged or len(payload) != len(frame.payload):
        frame.new = _as_long(frame, bytes(len(frame.payload)))
        return
    kept = payload[:2] if control.opcode == CLOSE else b""
    frame.new = frame_like(frame.header, kept + _words(payload[len(kept) :], redactor, MAX_CONTROL - len(kept)))


def _words(payload: bytes, redactor: Redacting, most: int) -> bytes:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return _NO_TEXT * len(payload)
    new = redactor.words(text).encode("utf-8", "replace")
    return new[: max(most, len(payload))].decode("utf-8", "ignore").encode()
