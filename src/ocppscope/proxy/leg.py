"""One side of a relayed connection: a socket of asyncio's, with or without TLS on it.

Hands bytes and ends to its owner, and does what it is told. Decides nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, cast

from ocppscope.model import Endpoint, Side
from ocppscope.proxy.hello import looks_like_tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.proxy.tls import TlsPipe
    from ocppscope.proxy.tlsfailure import TlsFailure

READ_BYTES = 64 << 10
"""Bytes that are read at once."""
MAX_WAITING_BYTES = 64 << 10
"""Bytes that wait to be sent to a side before reading from the other one stops; one reading more may come."""
MAX_EVIDENCE_BYTES = 64 << 10
"""Bytes of a TLS handshake that are kept, of both directions of a side, to be recorded if it fails."""
PIECE_BYTES = 4 << 10
"""Smaller pieces of them are put together, up to this: there may be one for each byte."""
MAX_LINGER = 5.0
"""Seconds that a reset waits for what was sent before it."""
LINGER_STEP = 0.005
WATCH_STEP = 0.25
"""Seconds between two looks at a connection whose other end has finished, but may still reset it."""
KEEPALIVE = (120, 30, 4)
"""Seconds of silence before a probe, seconds between probes, probes: so that a vanished peer is noticed."""

_BUFFER = memoryview(bytearray(READ_BYTES))  # one for all: what was read is copied out at once
_UNSENT = struct.Struct("i")
_CLOSED = 7  # the state of a TCP connection as Linux counts them


class Owner(Protocol):
    """Who hears what a leg reads."""

    def connected(self, leg: Leg) -> None:
        """The socket is there."""

    def secured(self, leg: Leg) -> None:
        """The TLS handshake is over."""

    def insecure(self, leg: Leg, failure: TlsFailure) -> None:
        """TLS failed; nothing more comes from this side."""

    def received(self, side: Side, data: bytes) -> None:
        """Bytes, without TLS."""

    def ended(self, side: Side, how: str) -> None:
        """ "FIN": nothing more comes; "RST": and nothing more can be sent."""

    def congested(self, side: Side, full: bool) -> None:
        """Whether more waits to be sent to `side` than should."""

    def gone(self, leg: Leg) -> None:
        """The socket is closed."""


class Leg(asyncio.BufferedProtocol):
    """See the module. `evidence` is what went over the wire in a TLS handshake that is not over: (sent, bytes)."""

    __slots__ = (
        "_evidence_bytes",
        "_holds",
        "_is_reading",
        "_make_tls",
        "_secured",
        "evidence",
        "is_evidence_cut",
        "is_gone",
        "is_over",
        "is_undecided",
        "local",
        "owner",
        "read_ended",
        "remote",
        "side",
        "tls",
        "transport",
        "write_ended",
    )

    def __init__(
        self,
        side: Side,
        owner: Owner,
        make_tls: Callable[[Leg], TlsPipe] | None = None,
        *,
        is_undecided: bool = False,
    ) -> None:
        """With `make_tls` TLS is spoken; if that `is_undecided`, only where the first bytes are TLS."""
        self.side, self.owner, self.is_undecided = side, owner, is_undecided
        self.tls: TlsPipe | None = None
        self._make_tls = make_tls
        self.transport = cast("asyncio.Transport", None)
        self.local = self.remote = Endpoint("0.0.0.0", 0)
        self.read_ended = self.write_ended = self.is_over = self.is_gone = False
        self.evidence: list[tuple[bool, bytearray]] = []
        self._evidence_bytes = 0
        self.is_evidence_cut = False
        self._holds: set[str] = set()
        self._is_reading = True
        self._secured = False

    # --- from asyncio -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(MAX_WAITING_BYTES)
        sock = transport.get_extra_info("socket")
        with suppress(OSError):  # reset already, which the first reading will tell
            keep_alive(sock)
        self.local = endpoint(transport.get_extra_info("sockname"))
        self.remote = endpoint(transport.get_extra_info("peername") or ("0.0.0.0", 0))  # none: reset already
        if self._make_tls is not None and not self.is_undecided:
            self.start_tls(self._make_tls(self))
        self.owner.connected(self)

    def start_tls(self, pipe: TlsPipe) -> None:
        """Speaks TLS from now on."""
        self.tls = pipe
        self._write_raw(pipe.start())

    def get_buffer(self, sizehint: int) -> Any:
        """See asyncio."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        data = bytes(_BUFFER[:nbytes])
        if self.is_undecided:
            self.is_undecided = False
            if looks_like_tls(data) and self._make_tls is not None:
                self.tls = self._make_tls(self)
        if self.tls is None:
            self.owner.received(self.side, data)
        else:
            self._decrypt(self.tls, data)

    def eof_received(self) -> bool:
        """See asyncio. The connection stays open for what is still to be sent."""
        self.is_undecided = False
        if self.tls is not None and not self.read_ended:
            failure = self.tls.eof()
            if failure is not None:
                self._fail(failure)
                return True
        self._end("FIN")
        self._watch()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.is_gone = self.write_ended = True
        self.is_undecided = False
        if exc is not None and self.tls is not None and not self.read_ended:
            failure = self.tls.eof()
            if failure is not None:
                self._fail(failure)
        self._end("RST" if exc is not None else "FIN")
        self.owner.gone(self)

    def pause_writing(self) -> None:
        """See asyncio."""
        self.owner.congested(self.side, True)

    def resume_writing(self) -> None:
        """See asyncio."""
        self.owner.congested(self.side, False)

    # --- to do ------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Sends bytes; without effect once nothing more can be sent."""
        if self.write_ended:
            return
        self._write_raw(data if self.tls is None else self.tls.send(data))

    def finish(self, *, truncate: bool = False) -> None:
        """Sends nothing more. With TLS it says so, unless the end is to look like a `truncate`d one."""
        if self.write_ended:
            return
        if self.tls is not None and not truncate:
            self._write_raw(self.tls.finish())
        self.write_ended = True
        if self.transport.can_write_eof() and not self.transport.is_closing():
            with suppress(OSError):  # reset, which the next reading will tell
                self.transport.write_eof()
        self._close_if_done()

    def reset(self) -> None:
        """RST, once what was sent before has left, or after `MAX_LINGER`."""
        self.hold("reset")
        self.read_ended = self.write_ended = self.is_over = True
        if not self.is_gone:
            self._linger(asyncio.get_running_loop().time() + MAX_LINGER)

    def hold(self, why: str) -> None:
        """Reads nothing until everybody who said so has released it."""
        self._holds.add(why)
        if self._is_reading and not self.read_ended and not self.transport.is_closing():
            self._is_reading = False
            self.transport.pause_reading()

    def release(self, why: str) -> None:
        """See `hold`."""
        self._holds.discard(why)
        if not self._is_reading and not self._holds and not self.read_ended and not self.transport.is_closing():
            self._is_reading = True
            self.transport.resume_reading()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _write_raw(self, data: bytes) -> None:
        if data and not self.transport.is_closing():
            self._keep(data, sent=True)
            self.transport.write(data)

    def _decrypt(self, pipe: TlsPipe, data: bytes) -> None:
        if self.read_ended:
            return
        self._keep(data, sent=False)
        result = pipe.received(data)
        self._write_raw(result.to_send)
        if pipe.failure is not None:
            self._fail(pipe.failure)
            return
        if result.done and not self._secured:
            self._secured = True
            self.evidence, self.is_evidence_cut = [], False
            self.owner.secured(self)
        if result.plaintext:
            self.owner.received(self.side, result.plaintext)
        if result.ended:
            self._end("FIN")

    def _keep(self, data: bytes, *, sent: bool) -> None:
        if self.tls is None or self._secured:
            return
        kept = data[: MAX_EVIDENCE_BYTES - self._evidence_bytes]
        self._evidence_bytes += len(kept)
        self.is_evidence_cut = self.is_evidence_cut or len(kept) < len(data)
        last = self.evidence[-1] if self.evidence else None
        if last is not None and last[0] is sent and len(last[1]) + len(kept) <= PIECE_BYTES:
            last[1].extend(kept)
        elif kept:
            self.evidence.append((sent, bytearray(kept)))

    def _fail(self, failure: TlsFailure) -> None:
        self.read_ended = True
        self.owner.insecure(self, failure)

    def _end(self, how: str) -> None:
        if self.is_over or (self.read_ended and how == "FIN"):
            return
        self.read_ended = True
        self.is_over = how == "RST"
        self.owner.ended(self.side, how)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.read_ended and self.write_ended and not self.transport.is_closing():
            self.transport.close()

    def _watch(self) -> None:
        """asyncio looks no more at a socket of which it has read the end: a RST after it would never be noticed."""
        if self.is_over or self.transport.is_closing():
            return
        if is_dead(self.transport.get_extra_info("socket")):
            self._end("RST")
            self.transport.abort()
        else:
            asyncio.get_running_loop().call_later(WATCH_STEP, self._watch)

    def _linger(self, until: float) -> None:
        if self.is_gone:
            return
        loop = asyncio.get_running_loop()
        sock = self.transport.get_extra_info("socket")
        waits = self.transport.get_write_buffer_size() or unsent(sock)
        if waits and loop.time() < until and not is_dead(sock):
            loop.call_later(LINGER_STEP, self._linger, until)
            return
        linger_none(sock)
        self.transport.abort()


def endpoint(name: Any) -> Endpoint:
    """From what the socket module calls an address; an IPv4 address that IPv6 carries is itself again."""
    host = str(name[0]).partition("%")[0]
    return Endpoint(host.removeprefix("::ffff:") if "." in host else host, int(name[1]))


def unsent(sock: socket.socket) -> int:
    """Bytes in the kernel that the peer has not acknowledged; 0 where that cannot be told."""
    try:
        return int(_UNSENT.unpack(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
    except OSError:
        return 0


def is_dead(sock: socket.socket) -> bool:
    """Whether the peer has reset the connection."""
    with suppress(OSError):
        if hasattr(socket, "TCP_INFO"):
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSED
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    return True


def linger_none(sock: socket.socket) -> None:
    """Closing this socket sends a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def keep_alive(sock: socket.socket) -> None:
    """Notices a peer that has vanished."""
    idle, interval, count = KEEPALIVE
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", idle), ("TCP_KEEPINTVL", interval), ("TCP_KEEPCNT", count)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
