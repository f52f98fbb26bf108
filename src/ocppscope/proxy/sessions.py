"""Which session a connection gets, and what is said between sessions and whoever steers the proxy.

A passive connection costs nothing here. What the active mode needs is imported only where it is asked for: it
decodes, and that takes memory. No I/O but reading the user's own files.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from ocppscope.control import Cut, Drop, Forward, ForwardAll, Inject, Intercept, Said
from ocppscope.errors import UsageError
from ocppscope.model import Flow
from ocppscope.proxy.session import EditingSession, PassiveSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ocppscope.control import Order, Tiding
    from ocppscope.proxy import faults
    from ocppscope.proxy.active import ActiveSession
    from ocppscope.proxy.commands import Command, Session
    from ocppscope.proxy.config import Config
    from ocppscope.proxy.pairing import Pairing
    from ocppscope.proxy.policy import Policy, Rulebook

    _Through = Callable[[Iterable[Command]], Sequence[Command]]

ONLY_ACTIVE = "Messages can be held, changed and injected in active mode only: start the proxy with --active."


class Sessions:
    """Makes sessions, and carries out orders that concern them."""

    def __init__(self, config: Config, tell: Callable[[Tiding], None]) -> None:
        """Reads the user's script and add-on. Raises UsageError."""
        self._config, self._tell = config, tell
        self._chance = random.Random(config.faults.seed)
        self._faults: faults.Faults | None = _faults_of(config)
        self._policy: Policy | None = None
        self._active: dict[int, tuple[Pairing, ActiveSession, _Through]] = {}
        if config.active:
            self._policy = self._make_policy()

    @property
    def intercepting(self) -> str:
        """The filter by which messages are held."""
        return self._policy.intercepting if self._policy is not None else ""

    @property
    def is_steered(self) -> bool:
        """Whether sessions have something to tell after a step: see `after`."""
        return self._policy is not None

    def make(self, pairing: Pairing) -> Session:
        """The session of a new connection."""
        opened = pairing.accepted_steady_ns
        inner: Session
        if self._policy is not None:
            from ocppscope.proxy.active import ActiveSession  # noqa: PLC0415

            (station, _), (_, csms) = pairing.ends
            active = ActiveSession(
                pairing.link.number, Flow(station, csms), self._policy, opened, host=self._config.set_host
            )
            inner = active
        else:
            inner = EditingSession(self._config.set_host) if self._config.set_host else PassiveSession()
        through: _Through = _as_they_are
        if self._faults is not None:
            from ocppscope.proxy.faults import Disturbed  # noqa: PLC0415

            disturbed = Disturbed(inner, self._faults, opened, self._chance)
            inner, through = disturbed, disturbed.passing
        if self._policy is not None:
            self._active[pairing.link.number] = (pairing, active, through)
        return inner

    def after(self, pairing: Pairing) -> None:
        """A session has taken a step: tells what it has to tell, and what is now known of its connection."""
        entry = self._active.get(pairing.link.number)
        if entry is None:
            return
        active = entry[1]
        if (active.is_active, active.why_passive) != (pairing.link.active, pairing.link.why_passive):
            pairing.tell_link(active=active.is_active, why_passive=active.why_passive)
        for tiding in active.tidings():
            self._tell(tiding)

    def over(self, pairing: Pairing, now: int) -> None:
        """Both sides of a connection are gone."""
        entry = self._active.pop(pairing.link.number, None)
        if entry is not None:
            entry[1].gone(now)
            for tiding in entry[1].tidings():
                self._tell(tiding)

    # --- orders -----------------------------------------------------------------------------------------------------

    def obey(self, order: Order, now: int) -> bool:
        """Carries out an order, if it concerns what sessions do; whether it does."""
        if isinstance(order, Cut):
            return self._to(order.connection, order, now)
        if not isinstance(order, Intercept | Forward | Drop | ForwardAll | Inject):
            return False
        if self._policy is None:
            self._tell(Said(ONLY_ACTIVE))
        elif isinstance(order, Intercept):
            self._intercept(self._policy, order)
        elif isinstance(order, ForwardAll):
            for number in list(self._active):
                self._to(number, order, now)
        elif isinstance(order, Inject):
            if not self._to(order.connection, order, now):
                self._tell(Said(f"There is no connection {order.connection} to send anything into."))
        else:
            holder = next((one for one, (_, active, _) in self._active.items() if active.holds(order.held)), None)
            if holder is None:
                self._tell(Said(f"Message {order.held} is not held any more."))
            else:
                self._to(holder, order, now)
        return True

    def let_go(self, now: int) -> None:
        """Nobody steers any more: nothing is held from now on, and what is held goes on."""
        if self._policy is not None:
            self._policy.intercept("")
            self.obey(ForwardAll(), now)

    def _to(self, number: int, order: Order, now: int) -> bool:
        entry = self._active.get(number)
        if entry is None:
            return False
        pairing, active, through = entry
        commands, tidings = active.obey(order, now)
        pairing.carry_out(through(commands), pairing.house.clock())
        for tiding in tidings:
            self._tell(tiding)
        return True

    def _intercept(self, policy: Policy, order: Intercept) -> None:
        try:
            policy.intercept(order.filter)
        except UsageError as error:
            self._tell(Said(f"{error.what} {error.hint}"))

    # --- the user's files -------------------------------------------------------------------------------------------

    def _make_policy(self) -> Policy:
        from ocppscope.proxy.addon import load_addon  # noqa: PLC0415
        from ocppscope.proxy.policy import SECOND, Policy  # noqa: PLC0415
        from ocppscope.proxy.script import read_script  # noqa: PLC0415

        config = self._config
        books: list[Rulebook] = []
        if config.script:
            script = read_script(Path(config.script))
            books.append(script)
            self._faults = self._faults or script.faults
        if config.addon:
            books.append(load_addon(Path(config.addon)))
        policy = Policy(tuple(books), hold_ns=round(config.hold_seconds * SECOND))
        policy.intercept(config.intercept)
        return policy


def _as_they_are(commands: Iterable[Command]) -> Sequence[Command]:
    return list(commands)


def _faults_of(config: Config) -> faults.Faults | None:
    wanted = config.faults
    if not wanted.any:
        return None
    from ocppscope.proxy.faults import uniform  # noqa: PLC0415

    return uniform(
        latency=wanted.latency,
        jitter=wanted.jitter,
        bandwidth=wanted.bandwidth,
        cut_after=wanted.cut_after,
        cut_how=wanted.cut_how,
        half_open_after=wanted.half_open_after,
        slow_reader=wanted.slow_reader,
    )
