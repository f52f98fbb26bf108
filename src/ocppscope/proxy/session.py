"""The passive sessions: what one side says, the other hears, at once and byte for byte, whatever it is.

No I/O, no clock, and no knowledge of what the bytes mean: garbage passes like everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.acts import Act
from ocppscope.model import Side
from ocppscope.proxy.commands import Command, Finish, Reset, Send
from ocppscope.proxy.head import HeadEditor

if TYPE_CHECKING:
    from collections.abc import Sequence


class PassiveSession:
    """Passes everything on. Implements `commands.Session`."""

    deadline: int | None = None

    def received(self, side: Side, data: bytes, time_ns: int) -> Sequence[Command]:
        """The same bytes to the other side."""
        return (Send(side.other, data),)

    def ended(self, side: Side, how: str, time_ns: int) -> Sequence[Command]:
        """The same end to the other side."""
        return (Finish(side.other) if how == "FIN" else Reset(side.other),)

    def wake(self, time_ns: int) -> Sequence[Command]:
        """Never asked for."""
        return ()


class EditingSession(PassiveSession):
    """Passes everything on, but for the `Host` header of the upgrade, which says `host` instead."""

    def __init__(self, host: str) -> None:
        self._editor: HeadEditor | None = HeadEditor(host=host)

    def received(self, side: Side, data: bytes, time_ns: int) -> Sequence[Command]:
        """See `PassiveSession`. The head of the station's request waits until it is whole."""
        editor = self._editor
        if editor is None or side is Side.CSMS:
            return (Send(side.other, data),)
        head, rest = editor.feed(data)
        if not editor.done:
            return ()
        self._editor = None
        act = Act("rewritten", "; ".join(editor.changes)) if editor.changes else None
        if editor.why_unchanged:
            act = Act("unchanged", editor.why_unchanged)
        return [Send(Side.CSMS, part, why) for part, why in ((head, act), (rest, None)) if part]

    def ended(self, side: Side, how: str, time_ns: int) -> Sequence[Command]:
        """See `PassiveSession`."""
        kept = b""
        if self._editor is not None and side is Side.STATION:
            kept, self._editor = self._editor.flush(), None
        end = super().ended(side, how, time_ns)
        return (Send(Side.CSMS, kept), *end) if kept else end
