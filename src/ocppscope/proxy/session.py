"""The passive session: what one side says, the other hears, at once and byte for byte, whatever it is.

No I/O, no clock, and no knowledge of what the bytes mean: garbage passes like everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.proxy.commands import Command, Finish, Reset, Send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocppscope.model import Side


class PassiveSession:
    """Passes everything on. Implements `commands.Session`."""

    deadline = None

    def received(self, side: Side, data: bytes, time_ns: int) -> Sequence[Command]:
        """The same bytes to the other side."""
        return (Send(side.other, data),)

    def ended(self, side: Side, how: str, time_ns: int) -> Sequence[Command]:
        """The same end to the other side."""
        return (Finish(side.other) if how == "FIN" else Reset(side.other),)

    def wake(self, time_ns: int) -> Sequence[Command]:
        """Never asked for."""
        return ()
