"""TLS of one connection, sans-IO: ciphertext in, plaintext and ciphertext out. No sockets, no clock, no files.

    pipe = TlsPipe(contexts, server_side=True)          towards a station
    pipe = TlsPipe(context, server_hostname="csms.example")   towards the CSMS
    write(pipe.start())
    result = pipe.received(data)    → plaintext for the session, bytes to send back, whether the peer has finished

What a peer does wrong is a `failure`, never an exception. How a connection ended stays visible: `ended` after the
peer's close_notify, `truncated` if it left without one. Where contexts come from: `contexts`; the words for failures:
`tlsfailure`.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import Side
from ocppscope.proxy.hello import NEED_MORE, Hello
from ocppscope.proxy.tlsfailure import (
    ALERT_BYTES,
    TlsFailure,
    failure_of,
    left,
    left_after_ours,
    no_context,
    no_key_log,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SLICE = 1 << 13
"""Bytes that OpenSSL is given at a time, so that its buffers, which never shrink, stay small."""
MAX_RETRIES = 16
"""How often a step is tried while the key log cannot be written; then TLS has failed."""


class TlsResult(NamedTuple):
    """What came of some ciphertext. `ended`: the peer has finished (close_notify); `done`: the handshake is over."""

    plaintext: bytes
    to_send: bytes
    ended: bool
    done: bool


class TlsFacts(NamedTuple):
    """What was agreed. `server_name`: what the client asked for, "" for nothing; `certificate`: the peer's, DER."""

    version: str
    cipher: str
    alpn: str
    server_name: str
    certificate: bytes | None
    client_certificate: bool  # whether the client has shown one, as far as known: ours towards the CSMS is not


class TlsPipe:
    """One end of a TLS connection.

    `context` is an SSLContext, or, for the server's end, what gives one for the name that the client asks for (None:
    for none). `failure` is set once the connection cannot go on; `to_send` of that result still carries the alert.
    The client's end may be `done` before the server has looked at its certificate (TLS 1.3): a failure may follow.
    """

    __slots__ = (
        "_choose",
        "_finishing",
        "_first",
        "_heard",
        "_hello",
        "_incoming",
        "_outgoing",
        "_tls",
        "_unsent",
        "done",
        "ended",
        "facts",
        "failure",
        "finished",
        "peer",
        "server_name",
        "truncated",
    )

    def __init__(
        self,
        context: ssl.SSLContext | Callable[[str | None], ssl.SSLContext],
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        self.peer = Side.STATION if server_side else Side.CSMS
        self.done = False
        self.ended = False
        self.truncated = False
        self.finished = False  # our close_notify is out
        self.failure: TlsFailure | None = None
        self.facts: TlsFacts | None = None
        self.server_name = server_hostname or ""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._unsent = bytearray()
        self._finishing = False
        self._first = b""
        self._heard = False  # whether anything came after the handshake
        self._tls: ssl.SSLObject | None = None
        self._hello: Hello | None = None  # a server's, until it is complete
        self._choose = context
        if server_side:
            self._hello = Hello()
        else:
            assert isinstance(context, ssl.SSLContext), "who asks for a name knows the context"
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)

    @property
    def unsent(self) -> int:
        """Bytes of plaintext that wait for the handshake."""
        return len(self._unsent)

    def start(self) -> bytes:
        """What is to be sent first: the client's hello; nothing for a server."""
        if self._tls is not None and not self.done:
            self._attempt(self._shake)
        return self._outgoing.read()

    def received(self, ciphertext: bytes) -> TlsResult:
        """Takes what the peer sent, cut in any way. After a failure or the peer's end everything is ignored."""
        plain: list[bytes] = []
        if len(self._first) < ALERT_BYTES:
            self._first += ciphertext[: ALERT_BYTES - len(self._first)]
        if self._hello is not None:
            ciphertext = self._greeted(self._hello, ciphertext)
        sent: list[bytes] = []
        for at in range(0, len(ciphertext), SLICE):
            if self.failure is not None or self.ended:
                break
            self._heard = self.done
            self._incoming.write(memoryview(ciphertext)[at : at + SLICE])
            self._advance(plain)
            sent += (self._outgoing.read(), self._flushed())
        return TlsResult(b"".join(plain), b"".join(sent), self.ended, self.done)

    def eof(self) -> TlsFailure | None:
        """The peer's FIN or RST has come. Without close_notify that is `truncated`, or in the handshake a failure.

        The handshake of TLS 1.3 is over for the server only when it has said something: until then, too.
        """
        if self.ended or self.failure is not None:
            return self.failure
        self.truncated = True
        if not self.done:
            shown = self._hello is None and self.peer is Side.STATION
            self.failure = left(self.peer, silent=not self._first, shown=shown)
        elif (
            self.peer is Side.CSMS and not self._heard and self.facts is not None and self.facts.version == "TLSv1.3"
        ):
            self.failure = left_after_ours()
        return self.failure

    def send(self, plaintext: bytes) -> bytes:
        """Encrypts. What comes before the handshake is done is kept for it (`unsent`): do not send much then."""
        assert not self._finishing, "nothing may follow close_notify"
        if self.failure is not None:
            return b""
        self._unsent += plaintext
        return self._flushed()

    def finish(self) -> bytes:
        """Our close_notify, behind what was sent; the peer may go on sending. Not before the handshake is done."""
        self._finishing = True
        return self._flushed()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _greeted(self, hello: Hello, data: bytes) -> bytes:
        """Reads the client's hello; all bytes so far once the context is chosen, before that none."""
        name = hello.feed(data)
        if name is NEED_MORE:
            return b""
        self._hello = None
        self.server_name = name or ""
        try:
            context = self._choose if isinstance(self._choose, ssl.SSLContext) else self._choose(name)
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        except OSError as error:
            self.failure = no_context(str(error))
            return b""
        return bytes(hello.seen)

    def _advance(self, plain: list[bytes]) -> None:
        if not self.done:
            self._attempt(self._shake)
        if self.done and self.failure is None:
            # Reading first: in a renegotiation, writing would not accept data that is still on its way.
            self._attempt(lambda: self._read(plain))

    def _flushed(self) -> bytes:
        """What can be written now, as ciphertext."""
        sent = []
        while self.done and self.failure is None and (self._unsent or (self._finishing and not self.finished)):
            before = len(self._unsent), self.finished
            self._attempt(self._write)
            sent.append(self._outgoing.read())
            if before == (len(self._unsent), self.finished):
                break
        return b"".join(sent)

    def _attempt(self, step: Callable[[], None]) -> None:
        """One step of OpenSSL's. It needs more bytes, or the peer has finished, or it fails."""
        for _ in range(MAX_RETRIES):
            try:
                step()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except ssl.SSLZeroReturnError:
                self._peer_finished()
            except ssl.SSLError as error:
                if error.library == "BIO":
                    continue  # the key log could not be written, which is no reason to disturb anybody
                if self.failure is None:
                    self.failure = failure_of(error, self.peer, self._first)
                self._unsent.clear()
            except OSError:
                continue  # the same
            return
        self.failure = self.failure or no_key_log()
        self._unsent.clear()

    def _peer_finished(self) -> None:
        self.ended = True
        if not self.done and self.failure is None:
            self.failure = left(self.peer, silent=False, shown=self.peer is Side.STATION)

    def _shake(self) -> None:
        assert self._tls is not None
        self._tls.do_handshake()
        self.done = True
        self._first = bytes(ALERT_BYTES)  # what comes now is encrypted, and its beginning says nothing
        self.facts = _facts(self._tls, self.server_name, self.peer)

    def _read(self, plain: list[bytes]) -> None:
        assert self._tls is not None
        while data := self._tls.read(SLICE):
            plain.append(data)
        self.ended = True

    def _write(self) -> None:
        """A slice of what waits; close_notify when nothing waits any more."""
        assert self._tls is not None
        if self._unsent:
            with memoryview(self._unsent) as waiting, waiting[:SLICE] as piece:
                count = self._tls.write(piece)
            del self._unsent[:count]
        elif self._finishing and not self.finished:
            self.finished = True
            self._tls.unwrap()


def _facts(tls: ssl.SSLObject, server_name: str, peer: Side) -> TlsFacts:
    cipher = tls.cipher()
    certificate = tls.getpeercert(binary_form=True)
    return TlsFacts(
        tls.version() or "",
        cipher[0] if cipher else "",
        tls.selected_alpn_protocol() or "",
        server_name,
        certificate,
        peer is Side.STATION and certificate is not None,
    )
