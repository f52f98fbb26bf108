"""The proxy's connections as packets in the spool: either the session as if there were no proxy, or both legs of it.

Says what passed and what the proxy did; decides nothing, and never raises.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ocppscope.acts import Act, comment_of
from ocppscope.capture.synthetic import Conversation
from ocppscope.model import Endpoint, Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.proxy.outbox import Outbox

_MISSING = "bytes before this are not in the recording"


class Recorder:
    """Writes conversations into one recording; every one has another number."""

    def __init__(self, out: Outbox) -> None:
        self.out = out
        self._numbers = 0

    def next_number(self) -> int:
        """A number for a conversation."""
        self._numbers += 1
        return self._numbers

    def tls_failed(
        self, client: Endpoint, server: Endpoint, evidence: Iterable[tuple[bool, bytes]], time_ns: int, act: Act
    ) -> None:
        """A handshake that failed, as it was on the wire: (whether the client sent it, bytes)."""
        conversation = Conversation(self.next_number(), client, server)
        blocks = [conversation.open(time_ns)]
        blocks += [
            conversation.data(Side.STATION if by_client else Side.CSMS, data, time_ns) for by_client, data in evidence
        ]
        blocks.append(conversation.note(Side.STATION, time_ns, comment_of(act)))
        blocks += [conversation.fin(Side.CSMS, time_ns), conversation.fin(Side.STATION, time_ns)]
        self.out.write(b"".join(blocks))

    def refused(self, station: Endpoint, server: Endpoint, time_ns: int, act: Act) -> None:
        """The CSMS could not be reached."""
        conversation = Conversation(self.next_number(), station, server)
        self.out.write(conversation.refused(time_ns, comment_of(act)))


class Tape:
    """What is recorded of one relayed connection. `legs` are two conversations, or one that stands for both."""

    def __init__(self, recorder: Recorder, ends: Iterable[tuple[Endpoint, Endpoint]]) -> None:
        self._out = recorder.out
        made = [Conversation(recorder.next_number(), station, csms) for station, csms in ends]
        self._legs = (made[0], made[-1])
        self._is_whole = len(made) == 2
        self._lost = [False, False]
        self._losers = tuple(partial(self._lost.__setitem__, number, True) for number in (0, 1))

    def open(self, time_ns: int, acts: tuple[Act | None, Act | None]) -> None:
        """Both sides are connected."""
        comments = [comment_of(act) if act is not None else "" for act in acts]
        blocks = self._legs[0].open(time_ns, comments[0])
        if self._is_whole:
            blocks += self._legs[1].open(time_ns, comments[1])
        elif comments[1]:
            blocks += self._legs[1].note(Side.CSMS, time_ns, comments[1])
        self._out.write(blocks)

    def received(self, side: Side, data: bytes, time_ns: int) -> None:
        """`side` sent this."""
        self._data(self._legs[side], side, data, time_ns, None)

    def sent(self, side: Side, data: bytes, time_ns: int, act: Act | None) -> None:
        """We sent this to `side`."""
        if self._is_whole:
            self._data(self._legs[side], side.other, data, time_ns, act)
        elif act is not None:
            self.note(side.other, act, time_ns)

    def note(self, side: Side, act: Act, time_ns: int) -> None:
        """What the proxy did about what `side` sent."""
        self._out.write(self._legs[side].note(side, time_ns, comment_of(act)))

    def ended(self, side: Side, how: str, time_ns: int) -> None:
        """`side` ended what it sends ("FIN") or all ("RST")."""
        self._end(self._legs[side], side, how, time_ns, "")

    def finished(self, side: Side, how: str, time_ns: int, act: Act | None = None) -> None:
        """We ended what we send to `side`."""
        if self._is_whole or act is not None:
            self._end(self._legs[side], side.other, how, time_ns, comment_of(act) if act is not None else "")

    def close(self, time_ns: int) -> None:
        """Whatever is still open is over."""
        for side in (Side.STATION, Side.CSMS):
            for leg in dict.fromkeys(self._legs):
                self._out.write(leg.fin(side, time_ns))

    def _end(self, leg: Conversation, side: Side, how: str, time_ns: int, comment: str) -> None:
        end = leg.fin if how == "FIN" else leg.rst
        self._out.write(end(side, time_ns, comment))

    def _data(self, leg: Conversation, side: Side, data: bytes, time_ns: int, act: Act | None) -> None:
        number = self._legs.index(leg)
        comment = comment_of(act) if act is not None else ""
        if self._lost[number]:
            comment = comment or comment_of(Act("recording-paused", _MISSING))
        self._lost[number] = False
        self._out.write(leg.data(side, data, time_ns, comment), self._losers[number])
