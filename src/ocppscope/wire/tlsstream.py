"""Between the TCP assembler and the observer of a connection whose TLS keys may be known.

    Assembler ──► TlsStream ──┬─► TlsReader   what TLS says in the clear
                              └─► Decryptor ──► ConnectionObserver   as if there were no TLS

The observer never learns of it. Knows nothing of what is inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.wire.decrypt import Plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.model import Problem
    from ocppscope.wire.connection import ConnectionObserver
    from ocppscope.wire.decrypt import Decryptor, PlainGap
    from ocppscope.wire.decrypt.half import Half
    from ocppscope.wire.tlsflow import TlsReader


class TlsStream:
    """Implements `tcp.Stream`. `reader` has the facts; `has_spoken`: something could be decrypted."""

    __slots__ = ("_decryptor", "_ended", "_inner", "has_spoken", "reader")

    def __init__(self, inner: ConnectionObserver, reader: TlsReader, decryptor: Decryptor) -> None:
        self._inner, self.reader, self._decryptor = inner, reader, decryptor
        self.has_spoken = False
        self._ended = [False, False]

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing of this connection can be read, and nothing is waited for."""
        return not self.has_spoken and bool(self._decryptor.why)

    @property
    def why(self) -> str:
        """Why nothing more can be decrypted; "" while that is not so."""
        return self._decryptor.why

    def steady(self, direction: int) -> Half | None:
        """A direction whose records can be opened ahead; None while they cannot."""
        return self._decryptor.steady(direction) if self.reader.settled else None

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        """See `tcp.Stream`."""
        self.reader.data(direction, data, time_ns, packet)
        self._pass_on(self._decryptor.data(direction, data, time_ns, packet))

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """See `tcp.Stream`."""
        self.reader.gap(direction, lost, time_ns, why)
        self._pass_on(self._decryptor.gap(direction, lost, time_ns, why))

    def problem(self, direction: int, problem: Problem, time_ns: int) -> None:
        """See `tcp.Stream`."""
        self._inner.problem(direction, problem, time_ns)

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        """See `tcp.Stream`."""
        self.reader.closed(direction, how, time_ns, packet)
        self._ended[direction] = True
        if how == "RST" or all(self._ended):
            self.finish(time_ns)  # what still waits for keys came before this
        self._inner.closed(direction, how, time_ns, packet)

    @property
    def certificates(self) -> list[tuple[bytes, ...]]:
        """Certificates that were encrypted (TLS 1.3), by direction, DER."""
        return self._decryptor.certificates

    def held_back(self) -> int:
        """Bytes of memory that wait in it, roughly."""
        return self.reader.held_back() + self._decryptor.held_back()

    def retry(self) -> None:
        """There are more keys than before."""
        if self._decryptor.waits:
            self._pass_on(self._decryptor.retry())

    def finish(self, time_ns: int) -> None:
        """Nothing more will come, or be known."""
        self._pass_on(self._decryptor.finish(time_ns))

    def _pass_on(self, pieces: Iterable[Plain | PlainGap]) -> None:
        for piece in pieces:
            if isinstance(piece, Plain):
                self.has_spoken = True
                self._inner.data(piece.direction, piece.data, piece.time_ns, piece.packet)
            else:
                self._inner.torn(piece.direction, piece.lost, piece.time_ns, piece.why)
