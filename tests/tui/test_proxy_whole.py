"""The screens over a real proxy, between a station and a CSMS of the websockets library."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from support_scope import Driver
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from ocppscope.cli.feeds import RecorderFeed
from ocppscope.cli.loading import CaptureSession
from ocppscope.options import Options
from ocppscope.proxy.config import Address, Config, Recording
from ocppscope.proxy.steering import Relay
from ocppscope.tui.app import Scope
from ocppscope.tui.injecting import InjectScreen
from ocppscope.tui.intercepting import HeldScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection

PATIENCE_S = 30
AUTHORIZE = '[2,"1","Authorize",{"idTag":"THEIRS"}]'
ANSWER = '[3,"1",{"idTagInfo":{"status":"Accepted"}}]'


async def until(what: Callable[[], object], d: Driver) -> None:
    """Waits, with a deadline."""
    async with asyncio.timeout(PATIENCE_S):
        while not what():
            await d.pilot.pause(0.05)


async def whole(d: Driver, relay: Relay, heard: asyncio.Queue[str]) -> None:
    """Holds a message, changes it, and sends one of our own."""
    await d.press("I")
    await d.type("action == Authorize and kind == CALL")
    await d.press("enter")
    await until(lambda: relay.state().intercept, d)
    url = f"{relay.state().listening}/ocpp/CP-1"
    async with connect(url, subprotocols=["ocpp1.6"], compression=None) as station:
        await station.send(AUTHORIZE)
        await until(relay.held, d)
        await until(lambda: "1 held (i): CP-1 → Authorize" in d.text, d)
        assert heard.empty(), "it is held"
        await d.press("i")
        assert isinstance(d.scope.screen, HeldScreen)
        await until(lambda: "→ CALL   Authorize" in d.text, d)
        await d.press("e")
        area = d.scope.screen.area
        area.text = area.text.replace("THEIRS", "OURS")
        await d.press("ctrl+s")
        async with asyncio.timeout(PATIENCE_S):
            assert await heard.get() == AUTHORIZE.replace("THEIRS", "OURS")
            assert await station.recv() == ANSWER
        await d.press("escape")

        await d.press("C")
        assert isinstance(d.scope.screen, InjectScreen)
        await d.type("ClearCache")
        await d.press("enter", "ctrl+s")
        async with asyncio.timeout(PATIENCE_S):
            asked = json.loads(await station.recv())
        assert asked[2:] == ["ClearCache", {}]
        await station.send(json.dumps([3, asked[1], {"status": "Rejected"}]))
        await until(lambda: "Rejected" in d.text, d)
        await d.press("escape")
        await until(lambda: len(d.scope.session.store) >= 4, d)
        await d.press("c")
        await until(lambda: "1 CP-1" in d.text, d)
        await d.press("R", "escape")
        await until(lambda: not relay.links(), d)


def test_the_screens_steer_a_proxy(tmp_path):
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def csms(connection: ServerConnection) -> None:
        async for text in connection:
            assert isinstance(text, str)
            heard.put_nowait(text)
            await connection.send(ANSWER)

    async def go() -> None:
        async with serve(csms, "127.0.0.1", 0, subprotocols=["ocpp1.6"], compression=None) as server:
            there = Address("127.0.0.1", server.sockets[0].getsockname()[1])
            recording = Recording(str(tmp_path / "x.pcapng"))
            relay = Relay(Config(Address("127.0.0.1", 0), recording, there, active=True))
            feed = RecorderFeed(relay, chunk_bytes=1 << 16)
            feed.begin()
            session = CaptureSession(feed, Options(), steering=relay)
            try:
                scope = Scope(session)
                async with scope.run_test(size=(120, 40)) as pilot:
                    await whole(Driver(scope, pilot), relay, heard)
            finally:
                session.stop()

    asyncio.run(go())
