"""The whole application over a session that a test fills, driven by keys."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from support_views import MemorySession

from ocppscope.ocpp.describe import describe
from ocppscope.store.notes import Notes
from ocppscope.tui.app import Scope
from ocppscope.tui.session import Progress
from ocppscope.tui.settings import key_name
from support_engine import CAPTURES, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from textual.pilot import Pilot

    from ocppscope.model import Event
    from ocppscope.tui.settings import Settings


class ScopeSession(MemorySession):
    """With notes, facts of the schemas, and growth that is told."""

    def __init__(self, events: Iterable[Event] = (), notes: Path | None = None, **options: Any) -> None:
        super().__init__(events, **options)
        self.done = True
        self.steering = None
        self.notes = Notes(notes) if notes is not None else None
        self.store.notes = self.notes
        self.stopped = False
        self.notices: tuple[str, ...] = ()
        self.trouble = ""

    def describe(self, version: Any, action: str, response: bool) -> Any:
        return describe(version, action, response)

    def progress(self) -> Progress:
        return Progress(1_000_000, 2_000_000, self.done, self.trouble, self.notices)

    def start(self, changed: Callable[[], None]) -> None:
        self.changed = changed
        changed()

    def stop(self) -> None:
        self.stopped = True
        super().stop()

    def grow(self, events: Iterable[Event]) -> None:
        """More rows, as a session's thread would add them."""
        self.store.take(events)
        self.changed()


def recorded(name: str) -> list[Event]:
    return run(CAPTURES / f"{name}.pcap").events


class Driver:
    """Presses keys and looks at the screen."""

    def __init__(self, scope: Scope, pilot: Pilot[None]) -> None:
        self.scope = scope
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key_name(key))
        await self.settle()

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def settle(self) -> None:
        """Until no thread works and everything is drawn."""
        for _ in range(3):
            await self.pilot.pause()
            await self.scope.workers.wait_for_complete()
        for _ in range(100):
            if not self.scope.finding.state or "cancelled" in self.scope.finding.state:
                break
            await self.pilot.pause(0.01)
        await self.pilot.pause(0.06)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Until the screen shows what one of its timers brings; a busy machine may take its time."""
        for _ in range(500):
            if is_so():
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"This did not come:\n{self.told}\n{self.text}")

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        strips = self.scope.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def told(self) -> str:
        """The status line."""
        return "".join(span.text for span in self.scope._status.said)

    @property
    def row(self) -> int | None:
        return self.scope.row


def drive(
    check: Callable[[Driver], Awaitable[None]],
    session: ScopeSession,
    *,
    size: tuple[int, int] = (120, 40),
    settings: Settings | None = None,
    filter_text: str = "",
) -> None:
    """Runs `check` on the application."""

    async def go() -> None:
        scope = Scope(session, settings, filter_text=filter_text)
        async with scope.run_test(size=size) as pilot:
            driver = Driver(scope, pilot)
            await driver.settle()
            await asyncio.wait_for(check(driver), 60)

    asyncio.run(go())
