"""Active mode: a session in which messages can be held, changed, dropped and injected.

The upgrade passes without its compression (`opening`); then we speak WebSocket with both sides (`talk`). Where that
is not possible, bytes just pass, and `why_passive` says why. Bytes in, commands out; no I/O, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope import control
from ocppscope.acts import Act
from ocppscope.control import Answered, Said
from ocppscope.model import Side
from ocppscope.proxy.commands import Finish, Note, Reset, Send
from ocppscope.proxy.opening import Opening
from ocppscope.proxy.talk import Stop, Talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocppscope.control import Order, Tiding
    from ocppscope.model import Flow, Handshake
    from ocppscope.proxy.commands import Command
    from ocppscope.proxy.policy import Policy

GRACE_NS = 5_000_000_000
"""For how long the sides may take to end a connection that we have ended; then it is reset."""
MAX_SILENCE_NS = 3_600_000_000_000
"""The longest that a connection is kept half-open."""


class ActiveSession:
    """One connection in active mode; see `commands.Session`, and `obey` and `tidings` for whoever steers it.

    `number` is that of `control.Link`, `host` replaces the `Host` of the upgrade.
    """

    def __init__(self, number: int, flow: Flow, policy: Policy, opened_ns: int, *, host: str = "") -> None:
        self.number = number
        self.why_passive = ""
        self.handshake: Handshake | None = None  # as far as it is known
        self._flow = flow
        self._policy = policy
        self._opened_ns = opened_ns
        self._opening: Opening | None = Opening(host)
        self._talk: Talk | None = None
        self._ended = [False, False]  # by side: it sends nothing more
        self._finished = [False, False]  # by side: it was told that nothing more comes
        self._over = False  # we ended it: what still comes is ignored
        self._reset_ns: int | None = None
        self._told: list[Tiding] = []

    # --- the session --------------------------------------------------------------------------------------------

    def received(self, side: Side, data: bytes, time_ns: int) -> Sequence[Command]:
        """`side` sent these bytes."""
        if self._over:
            return []
        if self._opening is not None:
            return self._open(self._opening, self._opening.received(side, data, time_ns), time_ns)
        if self._talk is None:
            return [Send(side.other, data)]
        self._talk.received(side, data, time_ns)
        return self._said(self._talk, time_ns)

    def ended(self, side: Side, how: str, time_ns: int) -> Sequence[Command]:
        """`side` will send nothing more, or ("RST") can take nothing either."""
        self._ended[side] = True
        if self._over:
            return []
        commands: list[Command] = []
        if self._opening is not None:
            commands += self._open(self._opening, self._opening.ended(side), time_ns)
        if self._talk is not None:
            self._talk.ended(side, how, time_ns)
            commands += self._said(self._talk, time_ns)
        if how == "RST" or all(self._ended):
            self._finish()
        self._finished[side.other] = True
        return [*commands, Reset(side.other) if how == "RST" else Finish(side.other)]

    @property
    def deadline(self) -> int | None:
        """When `wake` wants to be called."""
        if self._over:
            return self._reset_ns
        return self._talk.deadline if self._talk is not None else None

    def wake(self, time_ns: int) -> Sequence[Command]:
        """The deadline has come."""
        if self._over:
            if self._reset_ns is None or time_ns < self._reset_ns:
                return []
            self._reset_ns = None
            return [Reset(side) for side in Side]
        if self._talk is None:
            return []
        self._talk.wake(time_ns)
        return self._said(self._talk, time_ns)

    # --- phases -------------------------------------------------------------------------------------------------

    def _open(self, opening: Opening, commands: list[Command], time_ns: int) -> list[Command]:
        self.handshake = opening.handshake
        if not opening.over:
            return commands
        self._opening, self.why_passive = None, opening.why_passive
        if not self.why_passive and opening.handshake is not None:
            self._talk = Talk(self.number, self._flow, opening.handshake, self._policy, self._opened_ns)
        for side, rest in ((Side.STATION, opening.rest_station), (Side.CSMS, opening.rest_csms)):
            if rest:
                commands += self.received(side, rest, time_ns)
        return commands

    def _said(self, talk: Talk, time_ns: int) -> list[Command]:
        commands = [one for one in talk.out if not (isinstance(one, Send) and self._finished[one.side])]
        talk.out = []
        if talk.stop is not None:
            commands += self._stop(talk.stop, time_ns)
        return commands

    def _stop(self, stop: Stop, time_ns: int) -> list[Command]:
        """Ends both sides; in the end by force."""
        self._finish()
        if stop.how == "RST":
            return [Reset(side) for side in Side]
        if stop.how == "FIN":
            self._reset_ns = time_ns + GRACE_NS
            return [Finish(side) for side in Side]
        self._reset_ns = time_ns + min(max(stop.lasts_ns, 0), MAX_SILENCE_NS)
        return []

    def gone(self, time_ns: int) -> None:
        """The sockets of both sides are gone, whatever was said before: nothing waits here any more."""
        if self._talk is not None:
            for side in Side:
                self._talk.ended(side, "RST", time_ns)
        self._finish()
        self._reset_ns = None

    def _finish(self) -> None:
        if self._talk is not None:
            self._told += self._talk.told
        self._talk = self._opening = None
        self._over = True

    # --- steering -----------------------------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether messages can be held, changed and injected now."""
        return self._talk is not None

    def tidings(self) -> list[Tiding]:
        """What there is to tell since this was called last; to be called after each step."""
        told, self._told = self._told, []
        if self._talk is not None and self._talk.told:
            told += self._talk.told
            self._talk.told = []
        return told

    def holds(self, number: int) -> bool:
        """Whether the message that the user calls by this number is held here."""
        return self._talk is not None and self._talk.holds(number)

    def obey(self, order: Order, time_ns: int) -> tuple[Sequence[Command], list[Tiding]]:
        """Carries out an order that concerns this connection; what it leads to, and what is to be told."""
        commands = self._obey(order, time_ns)
        return commands, self.tidings()

    def _obey(self, order: Order, time_ns: int) -> list[Command]:
        if isinstance(order, control.Cut):
            return self._cut(order, time_ns)
        talk = self._talk
        if talk is None:
            self._refuse(order)
            return []
        done = True
        match order:
            case control.Forward():
                done = talk.forward(order, time_ns)
            case control.Drop():
                done = talk.drop(order, time_ns)
            case control.ForwardAll():
                talk.forward_all("by the user", time_ns)
            case control.Inject():
                talk.inject(order, time_ns)
        if not done:
            self._refuse(order)
        return self._said(talk, time_ns)

    def _refuse(self, order: Order) -> None:
        if isinstance(order, control.Inject):
            why = self.why_passive or ("it is over" if self._over else "its upgrade is not answered yet")
            self._told.append(Answered(order.ticket, "", f"nothing can be sent into connection {self.number}: {why}"))
        elif isinstance(order, control.Forward | control.Drop):
            self._told.append(Said(f"Message {order.held} is not held any more."))

    def _cut(self, order: control.Cut, time_ns: int) -> list[Command]:
        if order.how not in ("FIN", "RST", "close"):
            self._told.append(Said("A connection is cut by FIN, RST or close."))
            return []
        if self._over and self._reset_ns is None:
            return []
        if self._talk is not None:
            self._talk.cut(order.how, "by the user", time_ns)
            return self._said(self._talk, time_ns)
        act = Act("cut-off", "by the user")
        return [Note(Side.STATION, act), *self._stop(Stop("RST" if order.how == "RST" else "FIN"), time_ns)]
