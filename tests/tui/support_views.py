"""One view in an app of its own, over a session that a test fills step by step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.app import App

from ocppscope.analysis.pages import NO_TRANSACTIONS
from ocppscope.model import Message
from ocppscope.store.store import Store
from ocppscope.tui.prompt import Prompt
from ocppscope.tui.session import Progress
from ocppscope.tui.theme import LOOKS
from support_engine import CAPTURES, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from textual.pilot import Pilot

    from ocppscope.model import Event


class MemorySession:
    """A session whose rows the test puts in."""

    title = "a test"
    notes = None
    steering = None
    source: Any = None
    dissector: Any = None

    def __init__(self, events: Iterable[Event] = (), **options: Any) -> None:
        self.store = Store(**options)
        self.done = False
        self.store.take(events)
        self.told = None
        self.pages = NO_TRANSACTIONS
        self.rows = ()

    def report(self) -> Any:
        return self.told

    def transactions(self) -> Any:
        return self.pages

    def figures(self) -> Any:
        return self.rows

    def describe(self, version: object, action: str, response: bool) -> None:
        return None

    def progress(self) -> Progress:
        return Progress(0, None, self.done)

    def start(self, changed: Callable[[], None]) -> None:
        pass

    def stop(self) -> None:
        self.store.close()


class Host(App[None]):
    """Shows one view, and keeps the messages that it posts."""

    def __init__(self, view: Any) -> None:
        super().__init__()
        self.view = view
        self.posted: list[Any] = []
        for one in LOOKS.values():
            self.register_theme(one.theme)
        self.theme = "dark"

    def compose(self) -> Iterable[Any]:
        yield self.view
        yield Prompt()

    def on_row_chosen(self, event: Any) -> None:
        self.posted.append(("chosen", event.row))

    def on_row_opened(self, event: Any) -> None:
        self.posted.append(("opened", event.row))

    def on_finding_wanted(self, event: Any) -> None:
        self.posted.append(("finding", event.number))

    def on_filter_wanted(self, event: Any) -> None:
        self.posted.append(("filter", event.text))

    def screen_text(self) -> list[str]:
        """What is on the screen, line by line."""
        return [
            "".join(segment.text for segment in strip).rstrip() for strip in self.screen._compositor.render_strips()
        ]


def show(
    view: Callable[[Any], Any],
    session: MemorySession,
    check: Callable[[Host, Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
) -> None:
    """Runs `check` on a view that was told of what the session has."""

    async def go() -> None:
        host = Host(view(session))
        async with host.run_test(size=size) as pilot:
            host.view.grown()
            await settled(host, pilot)
            await asyncio.wait_for(check(host, pilot), 60)

    try:
        asyncio.run(go())
    finally:
        session.stop()


async def settled(host: Host, pilot: Pilot[None]) -> None:
    """Until no thread works and everything is drawn."""
    for _ in range(3):
        await pilot.pause()
        await host.workers.wait_for_complete()
    await pilot.pause(0.05)
    await host.workers.wait_for_complete()
    await pilot.pause()


def recorded(name: str) -> list[Event]:
    """The events of a capture of ours."""
    return run(CAPTURES / f"{name}.pcap").events


def rows_of(events: Iterable[Event]) -> list[Message]:
    """The messages alone: their places are the rows of a store."""
    return [event for event in events if isinstance(event, Message)]
