"""What one round of the event loop has to write and to send: one write for all that was read in it, then the sends.

So nothing is passed on that is not recorded, and a busy proxy asks the kernel to write once for many messages. Knows
legs and a spool; decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.proxy.leg import Leg
    from ocppscope.proxy.spool import Spool

MAX_OUTBOX_BYTES = 1 << 20
"""Bytes that wait for the end of a round; with more, it ends here."""


class Outbox:
    """`soon` calls something at the end of the round."""

    def __init__(self, spool: Spool, soon: Callable[[Callable[[], None]], object]) -> None:
        self._spool, self._soon = spool, soon
        self._blocks: list[bytes] = []
        self._losses: list[Callable[[], None]] = []
        self._sends: list[tuple[Leg, bytes]] = []
        self._size = 0
        self._is_due = False

    def write(self, blocks: bytes, lost: Callable[[], None] | None = None) -> None:
        """Whole blocks for the recording. `lost` is called if they cannot be written."""
        if blocks:
            self._blocks.append(blocks)
            if lost is not None:
                self._losses.append(lost)
            self._more(len(blocks))

    def send(self, leg: Leg, data: bytes) -> None:
        """Bytes for a side, once what was to be written before is written."""
        self._sends.append((leg, data))
        self._more(len(data))

    def flush(self) -> None:
        """Writes and sends what waits."""
        self._is_due, self._size = False, 0
        if self._blocks:
            blocks, self._blocks = self._blocks, []
            losses, self._losses = self._losses, []
            if not self._spool.write_all(blocks):
                for lost in losses:
                    lost()
        if self._sends:
            sends, self._sends = self._sends, []
            for leg, data in sends:
                leg.send(data)

    def _more(self, count: int) -> None:
        self._size += count
        if self._size > MAX_OUTBOX_BYTES:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            self._soon(self.flush)
