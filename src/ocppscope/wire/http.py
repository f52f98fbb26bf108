"""Observes the HTTP phase of one TCP connection, from its first byte to the switch to WebSocket (RFC 6455 §4).

    request ──► plain ──► NOT_UPGRADE ─┐ (kept alive: the next request may ask)
       │◄──────────────────────────────┘
       └──► upgrade: WAITING, the station's further bytes are held
              ├── 101 ──────────► UPGRADED: held bytes are WebSocket
              ├── other status ─► REFUSED: held bytes are the next request
              └── not HTTP, or too many held: the response is lost; UPGRADED
    not HTTP, head without end, 101 to another protocol ──► NOT_HTTP (or stays REFUSED), and nothing more is read

Bytes in, a `Handshake` out; no I/O, no clock. It never raises at what a peer did, and never looks into WebSocket
bytes: what follows the head is handed on in `early`.
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import NamedTuple

from msgspec.structs import replace

from ocppscope.model import Handshake, Problem
from ocppscope.wire.blanking import blank_text
from ocppscope.wire.handshake import Opening, answer, open_handshake, unknown_opening
from ocppscope.wire.heads import (
    MAX_HEADER_BYTES,
    Body,
    HeadBuffer,
    Headers,
    ResponseHead,
    body_of,
    concerns_upgrade,
    has_token,
    is_plain_request,
    looks_like_request,
    looks_like_response,
    read_request,
    read_response,
    values_of,
)

__all__ = ["Upgrade", "UpgradeState", "is_plain_request", "looks_like_request", "looks_like_response"]

MAX_HELD_BYTES = 64 * 1024
"""Bytes of the station that are held for the answer to its upgrade; with more, the answer is taken as lost."""

MAX_BODY_BYTES = 2048
"""The start of a refusal's body that is kept."""

MAX_REFUSED = 16
"""Earlier refusals and plain requests kept a connection; of more, the oldest go."""

MAX_UNANSWERED = 64
"""Pipelined requests that wait for their answers; of more, the oldest are given up."""


PIECE_BYTES = 160
"""What a piece that is held takes besides its bytes, roughly."""
ORDINARY_BYTES = 4096
"""Bytes of heads that belong to any connection; only with more, they count as held."""


def head_bytes(headers: Headers) -> int:
    """How long the names and values of a head are."""
    return sum(len(name) + len(value) for name, value in headers)


class UpgradeState(Enum):
    """How far a connection has come on its way to WebSocket."""

    WAITING = "waiting"  # a head, or the answer to an upgrade request, is not complete
    UPGRADED = "upgraded"  # WebSocket from here on: take what is `early`
    REFUSED = "refused"  # the last upgrade request was refused; another may follow
    NOT_UPGRADE = "not upgrade"  # plain HTTP so far; an upgrade may follow
    NOT_HTTP = "not HTTP"  # nothing to be found here


class Early(NamedTuple):
    """WebSocket bytes that came with or before the end of the handshake, and the packet that they came in."""

    data: bytes
    packet: int


class _Exchange:
    """One request and its answer as far as they are known."""

    __slots__ = ("_body", "_charset", "_coding", "_handshake", "opening", "size")

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.size = head_bytes(opening.handshake.request_headers) + len(opening.handshake.target)
        self._handshake = opening.handshake
        self._body = b""
        self._coding = ""
        self._charset = "utf-8"

    def answered(self, head: ResponseHead, time_ns: int, packets: tuple[int, ...]) -> None:
        self._handshake = answer(self.opening, head, time_ns, packets)
        self.size += head_bytes(head.headers)
        self._coding = ",".join(values_of(head.headers, "content-encoding")).strip().lower()
        kind = ",".join(values_of(head.headers, "content-type")).lower()
        self._charset = "latin-1" if "8859-1" in kind else "utf-8"

    def add(self, problem: Problem) -> None:
        self._handshake = replace(self._handshake, problems=(*self._handshake.problems, problem))

    def keep(self, content: bytes) -> None:
        self._body += content[: MAX_BODY_BYTES - len(self._body)]

    @property
    def handshake(self) -> Handshake:
        if not self._body or self._handshake.upgraded:
            return self._handshake
        return replace(self._handshake, body=blank_text(self._decoded().decode(self._charset, "replace")))

    def _decoded(self) -> bytes:
        if self._coding not in ("gzip", "x-gzip", "deflate"):
            return self._body if self._coding in ("", "identity") else b""
        try:  # 47: gzip or zlib, whichever the header says
            return zlib.decompressobj(47).decompress(self._body, MAX_BODY_BYTES)
        except zlib.error:
            return b""


class Upgrade:
    """The HTTP phase of one TCP connection; the same result however each side's bytes are cut.

    Feed `request` and `response` in the order seen until `state` is UPGRADED, then take the rests once and stop
    (what is fed afterwards is added to the rests). `handshake` is the latest upgrade request, with or without its
    answer, or the 101 that was seen without a request (method ""). `problems` are those of no handshake.
    """

    __slots__ = (
        "_answering",
        "_current",
        "_held",
        "_held_bytes",
        "_past",
        "_refusals",
        "_request_body",
        "_request_head",
        "_response_body",
        "_response_head",
        "_stopped",
        "_unanswered",
        "early",
        "problems",
        "state",
    )

    def __init__(self) -> None:
        self.state = UpgradeState.WAITING
        self.problems: tuple[Problem, ...] = ()
        self._stopped = False
        self._current: _Exchange | None = None  # the latest upgrade
        self._past: list[_Exchange] = []
        self._unanswered: list[_Exchange] = []
        self._answering: _Exchange | None = None  # whose response body is being read
        self._refusals: list[_Exchange] = []  # refused upgrades that nobody has taken yet
        self._request_head = HeadBuffer()
        self._response_head = HeadBuffer()
        self._request_body: Body | None = None
        self._response_body: Body | None = None
        self._held: list[tuple[bytes, int, int]] | None = None  # not None: an upgrade request has no answer yet
        self._held_bytes = 0
        self.early: tuple[list[Early], list[Early]] = [], []  # of the station and of the CSMS

    @property
    def handshake(self) -> Handshake | None:
        """The latest upgrade as far as it is known."""
        return self._current.handshake if self._current else None

    @property
    def is_unanswered(self) -> bool:
        """Whether an upgrade was asked for, and the server has not said a byte since."""
        return self._held is not None and self._response_body is None and not self._response_head.data

    def held_back(self) -> int:
        """Bytes of memory that wait here, roughly: unfinished heads, and heads and texts of what was exchanged."""
        held = self._request_head.held_back() + self._response_head.held_back()
        if self._held:
            held += self._held_bytes + PIECE_BYTES * len(self._held)
        exchanges = dict.fromkeys([*self._past, *self._unanswered, *self._refusals])
        if self._current is not None:
            exchanges[self._current] = None
        return held + sum(exchange.size for exchange in exchanges if exchange.size > ORDINARY_BYTES)

    @property
    def refused(self) -> list[Handshake]:
        """Earlier refused upgrades and plain requests, oldest first, at most `MAX_REFUSED`."""
        return [exchange.handshake for exchange in self._past]

    def take_refusals(self, *, final: bool = False) -> list[Handshake]:
        """Upgrades refused since this was called last; one whose body still comes is left, unless `final`."""
        ready = [one for one in self._refusals if final or self._response_body is None or one is not self._answering]
        self._refusals = [one for one in self._refusals if one not in ready]
        return [exchange.handshake for exchange in ready]

    @property
    def rest_station(self) -> bytes:
        """What is early of the station."""
        return b"".join(piece.data for piece in self.early[0])

    @property
    def rest_csms(self) -> bytes:
        """What is early of the CSMS."""
        return b"".join(piece.data for piece in self.early[1])

    def request(self, data: bytes, time_ns: int, packet: int) -> None:
        """Bytes from client to server, in order."""
        while data and not self._stopped:
            if self.state is UpgradeState.UPGRADED:
                self.early[0].append(Early(data, packet))
                return
            if self._request_body is not None:
                _, data = self._request_body.feed(data)
                self._request_body = None if self._request_body.done else self._request_body
            elif self._held is not None:
                self._hold(data, time_ns, packet)
                return
            else:
                data = self._feed_request(data, time_ns, packet)

    def _feed_request(self, data: bytes, time_ns: int, packet: int) -> bytes:
        block, rest = self._request_head.feed(data, packet)
        if looks_like_request(self._request_head.data) is False:
            self._not_http("the client sends")
        elif block is not None:
            self._on_request(block, time_ns)
        elif self._request_head.too_large:
            self._too_large("request")
        return rest

    def _on_request(self, block: bytes, time_ns: int) -> None:
        head = read_request(block)
        exchange = _Exchange(open_handshake(head, time_ns, self._request_head.take_packets()))
        body = body_of(head.headers, response=False)
        self._request_body = None if body.done else body
        self._unanswered.append(exchange)
        if len(self._unanswered) > MAX_UNANSWERED and self._unanswered[0] is not self._current:
            self._keep(self._unanswered.pop(0))
        if exchange.opening.upgrade:
            self._set_current(exchange)
            self._held, self._held_bytes = [], 0
            self.state = UpgradeState.WAITING
        elif self._current is None:
            self.state = UpgradeState.NOT_UPGRADE

    def _set_current(self, exchange: _Exchange) -> None:
        if self._current is not None:
            self._keep(self._current)
        self._current = exchange

    def _keep(self, exchange: _Exchange) -> None:
        self._past.append(exchange)
        if len(self._past) > MAX_REFUSED:
            del self._past[0]

    def _hold(self, data: bytes, time_ns: int, packet: int) -> None:
        assert self._held is not None
        self._held.append((data, time_ns, packet))
        self._held_bytes += len(data)
        if self._held_bytes > MAX_HELD_BYTES:
            if looks_like_request(b"".join(piece[0] for piece in self._held[:16])):
                self._release()
            else:
                self.response_lost()

    def _release(self) -> None:
        """The answer was no 101, so that what the station sent since is HTTP again."""
        held, self._held = self._held or [], None
        for piece in held:
            self.request(*piece)

    def response_lost(self) -> None:
        """Take an unanswered upgrade request as granted: the capture lacks the answer, and WebSocket follows."""
        if self.state is UpgradeState.WAITING and self._held is not None and self._current is not None:
            self._current.add(Problem("http.response-lost", "the answer to the upgrade request was not captured"))
            self._switch()

    def _switch(self) -> None:
        self.state = UpgradeState.UPGRADED
        self.early[0].extend(Early(data, packet) for data, _, packet in self._held or ())
        self._held = None
        self._forget()

    def _forget(self) -> None:
        self._request_head.clear()
        self._response_head.clear()
        self._request_body = self._response_body = self._answering = None
        self._unanswered.clear()

    def response(self, data: bytes, time_ns: int, packet: int) -> None:
        """Bytes from server to client, in order."""
        while data and not self._stopped:
            if self.state is UpgradeState.UPGRADED:
                self.early[1].append(Early(data, packet))
                return
            if self._response_body is not None:
                content, data = self._response_body.feed(data)
                if self._answering is not None:
                    self._answering.keep(content)
                self._response_body = None if self._response_body.done else self._response_body
            else:
                data = self._feed_response(data, time_ns, packet)

    def _feed_response(self, data: bytes, time_ns: int, packet: int) -> bytes:
        block, rest = self._response_head.feed(data, packet)
        if looks_like_response(self._response_head.data) is False:
            return self._on_no_response()
        if block is not None:
            self._on_response(block, time_ns)
        elif self._response_head.too_large:
            self._too_large("response")
        return rest

    def _on_no_response(self) -> bytes:
        """Bytes that are no response: WebSocket, if an upgrade waits for its answer. Returns them in that case."""
        data = bytes(self._response_head.data)
        self.response_lost()
        if self.state is UpgradeState.UPGRADED:
            return data
        self._not_http("the server sends")
        return b""

    def _on_response(self, block: bytes, time_ns: int) -> None:
        packets = self._response_head.take_packets()
        upgrade = any(exchange.opening.upgrade for exchange in self._unanswered)
        head = read_response(block, strict=upgrade or b" 101" in block[:16])
        if head.status == 101:
            self._on_switch(head, time_ns, packets)
        elif head.status == 0 or head.status >= 200:
            self._on_final(head, time_ns, packets)

    def _on_switch(self, head: ResponseHead, time_ns: int, packets: tuple[int, ...]) -> None:
        while self._unanswered and not self._unanswered[0].opening.upgrade:
            self._keep(self._unanswered.pop(0))
        asked = self._unanswered.pop(0) if self._unanswered else None
        other = bool(values_of(head.headers, "upgrade")) and not has_token(head.headers, "upgrade", "websocket")
        if asked is None and (other or not concerns_upgrade(head.headers)):
            self._give_up(
                Problem("http.other-protocol", "the connection switches to a protocol other than WebSocket")
            )
            return
        exchange = asked or self._unasked(time_ns)
        exchange.answered(head, time_ns, packets)
        if self._held_bytes and self._held:
            text = f"{self._held_bytes} bytes of the station came before the answer to its upgrade (RFC 6455 §4.1)"
            exchange.add(Problem("http.early-frames", text))
        self._switch()

    def _unasked(self, time_ns: int) -> _Exchange:
        """A 101 without an upgrade request: the last plain request stands for it if that has no answer."""
        exchange = self._past.pop() if self._past and self._past[-1].handshake.status is None else None
        exchange = exchange or _Exchange(unknown_opening(time_ns))
        self._set_current(exchange)
        return exchange

    def _on_final(self, head: ResponseHead, time_ns: int, packets: tuple[int, ...]) -> None:
        exchange = self._unanswered.pop(0) if self._unanswered else _Exchange(unknown_opening(time_ns))
        exchange.answered(head, time_ns, packets)
        method = exchange.opening.handshake.method
        tunnel = method == "CONNECT" and 200 <= head.status < 300
        bare = method == "HEAD" or head.status in (204, 304) or tunnel
        body = Body(0) if bare else body_of(head.headers, response=True)
        self._response_body, self._answering = (None if body.done else body), exchange
        if exchange.opening.upgrade:
            self._refusals.append(exchange)
        if exchange is not self._current:
            self._keep(exchange)
            if self._current is None:
                self.state = UpgradeState.NOT_UPGRADE
            return
        self.state = UpgradeState.REFUSED
        self._release()

    def _not_http(self, who: str) -> None:
        self._give_up(Problem("http.not-http", f"{who} what is not HTTP/1"))

    def _too_large(self, what: str) -> None:
        text = f"a {what} head has no end after {MAX_HEADER_BYTES} bytes"
        self._give_up(Problem("http.header-too-large", text))

    def _give_up(self, problem: Problem) -> None:
        self.problems = (*self.problems, problem)
        self._stopped = True
        if self.state is not UpgradeState.REFUSED:
            self.state = UpgradeState.NOT_HTTP
        self._held = None
        self._forget()
