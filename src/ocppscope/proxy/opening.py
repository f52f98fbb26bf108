"""The upgrade in active mode: passes as it is, but for the compression, which is negotiated away.

    HEAD ──► the request without `Sec-WebSocket-Extensions` ──► ANSWER ──► 101 ──► speaking: `agreed`
      │                                                           │
      └─ no HTTP, no end, ambiguous                               └─ refused, no WebSocket, an extension all the same
                     └───────────────► passing: `why_passive` says why ◄──┘

What the station sends behind its request, before there is an answer, is kept for whoever goes on. Bytes in,
commands out; no I/O.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocppscope.acts import Act
from ocppscope.model import Handshake, Side
from ocppscope.proxy.commands import Pause, Resume, Send
from ocppscope.proxy.head import MAX_HEAD_BYTES, HeadEditor, ambiguity
from ocppscope.wire.extensions import parse_extensions
from ocppscope.wire.handshake import Opening as Asked
from ocppscope.wire.handshake import answer, open_handshake
from ocppscope.wire.heads import ResponseHead, has_token, read_request, read_response, values_of

if TYPE_CHECKING:
    from ocppscope.proxy.commands import Command

MAX_EARLY_BYTES = 64 * 1024
"""What the station may send before its upgrade is answered; beyond it is read no further until then."""

EXTENSIONS = frozenset({b"sec-websocket-extensions"})
SWITCHING = 101
FINAL = 200
_END = re.compile(rb"\n\r?\n")
_NAME = re.compile(r"[\w.;= -]{1,80}", re.ASCII)


class Opening:
    """The bytes of both sides until it is clear whether we speak or only pass. Then `over`, with the `rests`."""

    def __init__(self, host: str = "") -> None:
        self._editor = HeadEditor(EXTENSIONS, host)
        self._answer = bytearray()
        self._scanned = 0
        self._early = bytearray()
        self._asked: Asked | None = None
        self._paused = False
        self.over = False
        self.why_passive = ""
        self.handshake: Handshake | None = None  # as far as it is known
        self.rest_station = b""  # what each side sent that is not passed on yet; once, after `over`
        self.rest_csms = b""

    def received(self, side: Side, data: bytes, time_ns: int) -> list[Command]:
        """Bytes of one side."""
        assert not self.over
        if side is Side.CSMS:
            return self._answered(data, time_ns)
        if not self._editor.done:
            return self._asking(data, time_ns)
        self._early += data
        if len(self._early) <= MAX_EARLY_BYTES or self._paused:
            return []
        self._paused = True
        return [Pause(Side.STATION)]

    def ended(self, side: Side) -> list[Command]:
        """A side will send nothing more: without an answer nobody will ever speak."""
        whose = "station" if side is Side.STATION else "CSMS"
        return self._stop(f"the {whose} ended the connection before the upgrade was answered")

    def _asking(self, data: bytes, time_ns: int) -> list[Command]:
        send, rest = self._editor.feed(data)
        if not self._editor.done:
            return []
        if not self._editor.head:
            return [Send(Side.CSMS, send), *self._stop("the station did not begin with an HTTP request")]
        self._early += rest
        if self._editor.why_unchanged:
            why = f"the station's request can be read in two ways: {self._editor.why_unchanged}"
            return [Send(Side.CSMS, send, Act("unchanged", self._editor.why_unchanged)), *self._stop(why)]
        self._asked = open_handshake(read_request(self._editor.head.lstrip(b"\r\n")), time_ns, ())
        self.handshake = self._asked.handshake
        changes = self._editor.changes
        act = Act("rewritten", f"{', '.join(changes)}") if changes else None
        return [Send(Side.CSMS, send, act)]

    def _answered(self, data: bytes, time_ns: int) -> list[Command]:
        """Passes the answer on and looks for its end; further answers may follow an interim one."""
        begin = len(self._answer)
        self._answer += data
        while True:
            end = _END.search(self._answer, max(0, self._scanned - 2))
            self._scanned = len(self._answer)
            if end is None:
                commands: list[Command] = [Send(Side.STATION, data)]
                if len(self._answer) > MAX_HEAD_BYTES or self._asked is None:
                    commands += self._stop("the answer to the upgrade could not be read")
                return commands
            raw = bytes(self._answer[: end.end()])
            head = read_response(raw, strict=False)
            if head.status == SWITCHING or not SWITCHING <= head.status < FINAL:
                break
            del self._answer[: end.end()]
            begin -= end.end()
            self._scanned = 0
        why = self._objection(raw, head, time_ns)
        if why:
            return [Send(Side.STATION, data), *self._stop(why)]
        cut = end.end() - begin
        self.rest_csms = data[cut:]
        return [Send(Side.STATION, data[:cut]), *self._hand_over()]

    def _objection(self, raw: bytes, head: ResponseHead, time_ns: int) -> str:
        """Why we cannot speak after this answer, "" if we can."""
        if self._asked is None or not self._asked.upgrade:
            return "the station did not ask for a WebSocket"
        self.handshake = answer(self._asked, head, time_ns, ())
        if head.status != SWITCHING:
            return f"the CSMS answered the upgrade with {head.status or 'no status'}"
        if why := ambiguity(raw):
            return f"the answer of the CSMS can be read in two ways: {why}"
        if not has_token(head.headers, "upgrade", "websocket"):
            return "the CSMS switched to something that is no WebSocket"
        extensions = parse_extensions(values_of(head.headers, "sec-websocket-extensions"))
        if extensions:
            named = extensions[0].text if _NAME.fullmatch(extensions[0].text) else "an extension"
            return f"the CSMS uses {named}, which was not offered to it"
        return ""

    def _stop(self, why: str) -> list[Command]:
        """From here on bytes pass; what is kept of the station goes first."""
        self.why_passive = why
        kept = self._editor.flush() if not self._editor.done else b""
        kept += bytes(self._early)
        self._early.clear()
        return [*([Send(Side.CSMS, kept)] if kept else []), *self._hand_over()]

    def _hand_over(self) -> list[Command]:
        self.over = True
        self.rest_station = bytes(self._early)
        self._early.clear()
        self._answer.clear()
        return [Resume(Side.STATION)] if self._paused else []
