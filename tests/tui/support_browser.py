"""A headless Chromium that is driven over the DevTools protocol, and a server of the screens for it to look at.

Each is a context manager that ends what it started, by its own handle, however the test goes.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession, WSMsgType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from aiohttp import ClientWebSocketResponse

PATIENCE_S = 30.0
"""How long anything may take on a busy machine."""
END_S = 10.0
"""How long a process may take to end before it is killed."""
BETWEEN_LOOKS_S = 0.15
ANSWER_MOST = 64 << 20
"""Bytes of one answer of the browser; a screenshot is one."""
KEYS = {"F4": 115, "F7": 118, "F8": 119, "F12": 123}
"""Keys and their Windows virtual key codes, which the protocol wants."""
OPTIONS = (
    "--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader",
    "--remote-debugging-port=0", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--disable-sync",
    "--password-store=basic", "--hide-scrollbars",
)  # fmt: skip


def chromium() -> str | None:
    """The path of Chromium."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def started(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes its stderr to `log` and is ended at the end."""
    surroundings = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=surroundings) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def told(path: Path, pattern: str, process: subprocess.Popen[bytes], log: Path) -> re.Match[str]:
    """The first thing in a file that looks like this, as soon as the process wrote it."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if path.exists() and (found := re.search(pattern, path.read_text())):
            return found
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} says: {path.read_text() if path.exists() else 'nothing'}")


@contextmanager
def server(capture: Path, place: Path) -> Iterator[tuple[str, int]]:
    """`ocppscope view --serve`: its address with the token, and its port."""
    command = [sys.executable, "-m", "ocppscope", "view", "--serve", "--port", "0", str(capture)]
    log, home = place / "server.txt", str(place / "home")
    with started(command, log, XDG_CONFIG_HOME=home, XDG_STATE_HOME=home, XDG_DATA_HOME=home) as process:
        found = told(log, r"http://127\.0\.0\.1:(\d+)/\?token=\S+", process, log)
        yield found[0], int(found[1])


class Page:
    """One tab, and what its browser said about it."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._browser = browser
        self._session = session

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """A command and its answer."""
        return await self._browser.ask(method, self._session, **parameters)

    def said(self, method: str) -> list[dict[str, Any]]:
        """The parameters of all events of a kind."""
        return [event["params"] for event in self.events if event["method"] == method]

    async def open(self, url: str) -> None:
        """Goes there, until the page is loaded."""
        await self.ask("Page.navigate", url=url)
        await self.until(lambda: bool(self.said("Page.loadEventFired")))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something that events say."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, [event["method"] for event in self.events[-20:]]
            await asyncio.sleep(0.02)

    async def screenshot(self) -> bytes:
        """As a PNG."""
        return base64.b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])

    async def evaluate(self, script: str) -> Any:
        """What a piece of JavaScript gives."""
        given = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return given["result"].get("value")

    async def settled(self, *before: bytes, until: Callable[[], bool] = lambda: True) -> bytes:
        """A screenshot that is none of these, once it stays the same and the condition holds."""
        end, last = time.monotonic() + PATIENCE_S, b""
        while time.monotonic() < end:
            is_there = until()
            shot = await self.screenshot()
            if is_there and shot == last and shot not in before:
                return shot
            last = shot
            await asyncio.sleep(BETWEEN_LOOKS_S)
        raise AssertionError("the picture did not change, or never stayed the same")

    async def press(self, key: str) -> None:
        """One key, down and up."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])


class Browser:
    """A Chromium at the other end of a WebSocket."""

    def __init__(self, websocket: ClientWebSocketResponse) -> None:
        self._websocket = websocket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    async def listen(self) -> None:
        """Hands out what the browser says, until it hangs up."""
        async for message in self._websocket:
            if message.type is not WSMsgType.TEXT:
                continue
            heard = json.loads(message.data)
            if "id" in heard:
                self._waiting.pop(heard["id"]).set_result(heard)
            elif heard.get("sessionId") in self._pages:
                self._pages[heard["sessionId"]].events.append(heard)

    async def ask(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        """A command and its answer."""
        number = next(self._numbers)
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        target = {"sessionId": session} if session else {}
        await self._websocket.send_json({"id": number, "method": method, "params": parameters} | target)
        heard = await asyncio.wait_for(answer, PATIENCE_S)
        assert "error" not in heard, (method, heard["error"])
        result: dict[str, Any] = heard["result"]
        return result

    async def page(self, width: int, height: int) -> Page:
        """A tab in a profile of its own: no cookie of another one."""
        profile = (await self.ask("Target.createBrowserContext"))["browserContextId"]
        tab = await self.ask("Target.createTarget", url="about:blank", browserContextId=profile)
        attached = await self.ask("Target.attachToTarget", targetId=tab["targetId"], flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        for domain in ("Network", "Page", "Log", "Runtime"):
            await page.ask(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await page.ask("Emulation.setDeviceMetricsOverride", **size)
        return page


@asynccontextmanager
async def browser(place: Path) -> AsyncIterator[Browser]:
    """Chromium with an empty profile, which finds no other host."""
    profile, log = place / "profile", place / "chromium.txt"
    command = [chromium() or "chromium", *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    with started(command, log, HOME=str(place)) as process:
        where = told(profile / "DevToolsActivePort", r"(\d+)\n(/\S+)", process, log)
        async with (
            ClientSession() as client,
            client.ws_connect(f"ws://127.0.0.1:{where[1]}{where[2]}", max_msg_size=ANSWER_MOST) as websocket,
        ):
            driven = Browser(websocket)
            listening = asyncio.create_task(driven.listen())
            try:
                yield driven
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening
