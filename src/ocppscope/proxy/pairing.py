"""One station's connection and the one made for it to the CSMS: what arrives on either goes to a session, and what
the session wants is done and recorded.

Knows legs, a session and a tape. Opens no socket; the only clock is the one that it is given.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Protocol

from ocppscope.acts import Act
from ocppscope.control import Closed, Link, Opened
from ocppscope.model import Side
from ocppscope.proxy.commands import Command, Finish, Note, Pause, Reset, Resume, Send
from ocppscope.proxy.recording import Tape
from ocppscope.wire.handshake import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocppscope.control import Tiding
    from ocppscope.model import Endpoint
    from ocppscope.proxy.commands import Session
    from ocppscope.proxy.leg import Leg
    from ocppscope.proxy.tlsfailure import TlsFailure

MAX_PEEKED_BYTES = 8 << 10
"""Bytes of each side in which the station's name and the subprotocol are looked for."""

_REQUEST = re.compile(rb"[!-~]+ ([!-~]+) HTTP/1")
_PROTOCOL = re.compile(rb"\r?\nsec-websocket-protocol[ \t]*:[ \t]*([!-~]+)", re.IGNORECASE)
_READY, _CONGESTED, _SESSION = "ready", "congested", "session"


class House(Protocol):
    """Who owns the pairings."""

    def upstream(self, pairing: Pairing) -> None:
        """The station is there: connect to the CSMS."""

    def secure(self, pairing: Pairing, csms: Leg, server_name: str) -> None:
        """The station turned out to speak TLS, and asked for a name: so will we."""

    def tape(self, pairing: Pairing) -> Tape:
        """What to record on: both sides are there."""

    def tls_failed(self, pairing: Pairing, leg: Leg, failure: TlsFailure) -> None:
        """Record and tell it."""

    def tell(self, tiding: Tiding) -> None:
        """To whoever steers."""

    def send(self, leg: Leg, data: bytes) -> None:
        """Send this, once what was recorded before is written."""

    def flush(self) -> None:
        """Write and send it all now."""

    def over(self, pairing: Pairing) -> None:
        """Both sockets are closed."""

    def clock(self) -> int:
        """The time of day, in nanoseconds: what is recorded."""

    def steady(self) -> int:
        """Nanoseconds that only count up, whatever is done to the clock of the machine: how long something waits."""

    def after(self, pairing: Pairing) -> None:
        """Its session has taken a step."""

    def passed(self, count: int) -> None:
        """So many bytes went through."""


class Pairing:
    """Implements `leg.Owner`."""

    def __init__(self, house: House, number: int, make_session: Callable[[Pairing], Session]) -> None:
        self.house = house
        self.link = Link(number, "?", "", "")
        self.legs: list[Leg | None] = [None, None]
        self.session: Session | None = None
        self.accepted_ns, self.accepted_steady_ns = house.clock(), house.steady()
        self._make = make_session
        self._tape: Tape | None = None
        self._early: list[tuple[Side, bytes | str]] = []
        self._peeked: list[bytes | None] = [b"", b""]
        self._timer: asyncio.TimerHandle | None = None
        self._is_failed = self._detects = False

    # --- from the legs ----------------------------------------------------------------------------------------------

    def connected(self, leg: Leg) -> None:
        """See `leg.Owner`."""
        self.legs[leg.side] = leg
        if self._is_failed:
            leg.reset()
            return
        if leg.side is Side.STATION:
            self._detects = leg.is_undecided
            self.tell_link(station=leg.remote.address, client=str(leg.remote))
            self.house.upstream(self)
        self.ready()

    def secured(self, leg: Leg) -> None:
        """See `leg.Owner`."""
        self.ready()

    def insecure(self, leg: Leg, failure: TlsFailure) -> None:
        """See `leg.Owner`."""
        if not self._is_failed:
            self._is_failed = True
            self.house.tls_failed(self, leg, failure)
        self.give_up()

    def received(self, side: Side, data: bytes) -> None:
        """See `leg.Owner`."""
        if self._tape is None or self.session is None:
            self._keep(side, data)
            return
        now = self.house.clock()
        self._tape.received(side, data, now)
        self.house.passed(len(data))
        self.carry_out(self.session.received(side, data, self.house.steady()), now)
        if self._peeked[side] is not None:
            self._peek(side, data)

    def ended(self, side: Side, how: str) -> None:
        """See `leg.Owner`."""
        if self._tape is None or self.session is None:
            if self._is_failed or self._is_hopeless(how):
                self.give_up()
            else:
                self._keep(side, how)
            return
        now = self.house.clock()
        self._tape.ended(side, how, now)
        self.carry_out(self.session.ended(side, how, self.house.steady()), now)

    def _is_hopeless(self, how: str) -> bool:
        """Whether an end that comes so early cannot be passed on: nobody to pass it to, or TLS still to be agreed."""
        speaks_tls = any(leg is not None and leg.tls is not None for leg in self.legs)
        has_csms = self.legs[Side.CSMS] is not None
        return speaks_tls or not has_csms if how == "RST" else speaks_tls and not has_csms

    def congested(self, side: Side, full: bool) -> None:
        """See `leg.Owner`."""
        sender = self.legs[side.other]
        if sender is not None:
            (sender.hold if full else sender.release)(_CONGESTED)

    def gone(self, leg: Leg) -> None:
        """See `leg.Owner`."""
        if all(one is None or one.is_gone for one in self.legs):
            if self._timer is not None:
                self._timer.cancel()
            if self._tape is not None:
                self._tape.close(self.house.clock())
            self.house.tell(Closed(self.link.number))
            self.house.over(self)

    # --- both sides there? ------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """Begins, once both sides are connected and secured."""
        station, csms = self.legs
        if station is None or csms is None or self._tape is not None or self._is_failed:
            if station is not None and csms is None:
                self._wait(station)
            return
        if station.is_undecided or not all(leg.tls is None or leg.tls.done for leg in (station, csms)):
            return
        if station.tls is not None and csms.tls is None and self._detects:
            self.house.secure(self, csms, station.tls.server_name)
            return
        self._tape = self.house.tape(self)
        self.tell_link(server=str(csms.remote), tls=(station.tls is not None, csms.tls is not None))
        self.session = self._make(self)
        early, self._early = self._early, []
        for side, what in early:
            if isinstance(what, str):
                self.ended(side, what)
            else:
                self.received(side, what)
        for leg in (station, csms):
            leg.release(_READY)

    def _wait(self, station: Leg) -> None:
        """Nothing is read before the CSMS is there, but for what a TLS handshake needs."""
        if station.tls is None and not station.is_undecided:
            station.hold(_READY)

    def _keep(self, side: Side, what: bytes | str) -> None:
        """Too early: it waits, and its sender with it."""
        leg = self.legs[side]
        assert leg is not None
        self._early.append((side, what))
        leg.hold(_READY)
        station = self.legs[Side.STATION]
        if side is Side.CSMS and leg.tls is None and station is not None:
            station.is_undecided = False  # with TLS the station would speak first
        self.ready()  # it may be this that shows whether the station speaks TLS

    def give_up(self) -> None:
        """The two cannot be brought together: both sides are reset, as one that was refused would be."""
        self._is_failed = True
        if self._tape is not None:
            for side in Side:
                self._tape.finished(side, "RST", self.house.clock(), Act("cut-off"))
        self.house.flush()
        for leg in self.legs:
            if leg is not None:
                leg.reset()

    def abandon(self) -> None:
        """Nothing is waited for any more: whatever socket is still open is closed."""
        for leg in self.legs:
            if leg is not None and not leg.is_gone:
                leg.transport.abort()

    # --- what is to be done -----------------------------------------------------------------------------------------

    def carry_out(self, commands: Iterable[Command], now: int) -> None:
        """Does what the session wants, in order; it is recorded at this time of day."""
        assert self._tape is not None
        for command in commands:
            leg = self.legs[command.side]
            assert leg is not None
            if type(command) is Send:
                if not leg.write_ended:
                    self._tape.sent(command.side, command.data, now, command.act)
                    self.house.send(leg, command.data)
            elif isinstance(command, Note):
                self._tape.note(command.side, command.act, now)
            elif isinstance(command, Finish):
                self._tape.finished(command.side, "FIN", now)
                self.house.flush()
                sender = self.legs[command.side.other]
                leg.finish(truncate=sender is not None and sender.tls is not None and sender.tls.truncated)
            elif isinstance(command, Reset):
                self._tape.finished(command.side, "RST", now)
                self.house.flush()
                leg.reset()
            elif isinstance(command, Pause):
                leg.hold(_SESSION)
            elif isinstance(command, Resume):
                leg.release(_SESSION)
        self.house.after(self)
        self._arm()

    def _arm(self) -> None:
        assert self.session is not None
        deadline = self.session.deadline
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            after = max(deadline - self.house.steady(), 0) / 1e9
            self._timer = asyncio.get_running_loop().call_later(after, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self.session is not None and not all(leg is None or leg.is_gone for leg in self.legs):
            self.carry_out(self.session.wake(self.house.steady()), self.house.clock())

    def cut(self, how: str, text: str) -> None:
        """Ends it on both sides, on request."""
        now = self.house.clock()
        if self._tape is None:
            self.give_up()
            return
        act: Act | None = Act("cut-off", text)
        for side in (Side.STATION, Side.CSMS):
            leg = self.legs[side]
            assert leg is not None
            self._tape.finished(side, how, now, act)
            self.house.flush()
            (leg.finish if how == "FIN" else leg.reset)()

    # --- what it is -------------------------------------------------------------------------------------------------

    def tell_link(self, **changes: object) -> None:
        """More is known of it."""
        known = {name: getattr(self.link, name) for name in self.link.__struct_fields__} | changes
        self.link = Link(**known)
        self.house.tell(Opened(self.link))

    def _peek(self, side: Side, data: bytes) -> None:
        """Looks for the station's name in its request, and for the subprotocol in the answer."""
        seen = (self._peeked[side] or b"") + data
        whole = b"\r\n\r\n" in seen or len(seen) > MAX_PEEKED_BYTES
        self._peeked[side] = None if whole else seen
        if not whole:
            return
        found = _REQUEST.match(seen) if side is Side.STATION else _PROTOCOL.search(seen)
        if found is None:
            return
        text = found[1].decode("latin-1")
        if side is Side.STATION:
            self.tell_link(station=identity(text)[0] or self.link.station)
        else:
            self.tell_link(version=text)

    @property
    def ends(self) -> tuple[tuple[Endpoint, Endpoint], tuple[Endpoint, Endpoint]]:
        """(station, us), (us, CSMS)."""
        station, csms = self.legs
        assert station is not None
        assert csms is not None
        return (station.remote, station.local), (csms.local, csms.remote)
