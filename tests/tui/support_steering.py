"""A proxy that only remembers what it is told to do, and a session that is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support_scope import ScopeSession

from ocppscope.control import Drop, Forward, ForwardAll, Held, Inject, Intercept, Link, State
from ocppscope.model import Kind, Side
from ocppscope.tui.session import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.control import Answered, Order
    from ocppscope.model import Event

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
"""What the clock says to `drive` of these tests, which stands still."""
AUTHORIZE = '[2,"17","Authorize",{"idTag":"EXAMPLE"}]'


def link(number: int = 1, station: str = "CP-1", **changes: Any) -> Link:
    fields: dict[str, Any] = {
        "client": "127.0.0.1:40001", "server": "127.0.0.1:9001", "active": True, "version": "ocpp1.6",
    }  # fmt: skip
    return Link(number, station, **(fields | changes))


def held(number: int = 1, **changes: Any) -> Held:
    fields: dict[str, Any] = {
        "connection": 1, "station": "CP-1", "side": Side.STATION, "time_ns": NOW, "expires_ns": NOW + 25 * SECOND,
        "gives_up_ns": NOW + 30 * SECOND, "action": "Authorize", "kind": int(Kind.CALL), "id": "17",
        "text": AUTHORIZE, "version": "1.6",
    }  # fmt: skip
    return Held(number, **(fields | changes))


class FakeSteering:
    """Implements `control.Steering`; what is forwarded or dropped is held no more."""

    def __init__(self, *links: Link, active: bool = True) -> None:
        self.open = list(links)
        self.waiting: list[Held] = []
        self.orders: list[Order] = []
        self.told: list[Answered] = []
        self.sentences: list[str] = []
        self.facts: dict[str, Any] = {"active": active, "recording": "/tmp/x.pcapng", "recorded_bytes": 12_345}

    def state(self) -> State:
        count = len(self.open)
        return State("ws://127.0.0.1:9000", "ws://csms:80", count, count, held=len(self.waiting), **self.facts)

    def links(self) -> tuple[Link, ...]:
        return tuple(self.open)

    def held(self) -> tuple[Held, ...]:
        return tuple(self.waiting)

    def answers(self) -> tuple[Answered, ...]:
        return tuple(self.told)

    def said(self) -> tuple[str, ...]:
        return tuple(self.sentences)

    def order(self, order: Order) -> None:
        self.orders.append(order)
        if isinstance(order, Forward | Drop):
            self.waiting = [one for one in self.waiting if one.held != order.held]
        elif isinstance(order, ForwardAll):
            self.waiting = []
        elif isinstance(order, Intercept):
            self.facts["intercept"] = order.filter

    @property
    def injected(self) -> list[Inject]:
        return [one for one in self.orders if isinstance(one, Inject)]


class RecordedSession(ScopeSession):
    """A session that is recorded while it is seen."""

    def __init__(self, steering: FakeSteering | None = None, events: Iterable[Event] = (), **options: Any) -> None:
        super().__init__(events, **options)
        self.done = False
        self.steering = steering
        self.recording = "eth0 · 12 packets · none dropped"

    def progress(self) -> Progress:
        return super().progress()._replace(total=None, recording=self.recording)
