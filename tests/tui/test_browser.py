"""The screens in a real browser: they are drawn, they hear keys, and nothing is asked of any other host."""

import asyncio
import base64
import subprocess
import sys
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from support_browser import browser, server, started, told

pytestmark = pytest.mark.chromium

SIZE = (1200, 600)
PNG = b"\x89PNG\r\n\x1a\n"


def addresses(page):
    """Everything that a page asked for."""
    asked = [event["request"]["url"] for event in page.said("Network.requestWillBeSent")]
    return asked + [event["url"] for event in page.said("Network.webSocketCreated")]


def complaints(page):
    """Errors that the browser reports of a page: a broken policy, a missing file, an exception."""
    logged = [event["entry"]["text"] for event in page.said("Log.entryAdded") if event["entry"]["level"] == "error"]
    console = [str(event["args"]) for event in page.said("Runtime.consoleAPICalled") if event["type"] == "error"]
    return logged + console + [str(event["exceptionDetails"]) for event in page.said("Runtime.exceptionThrown")]


def received(page):
    """The bytes that came over the page's WebSocket."""
    frames = [event["response"] for event in page.said("Network.webSocketFrameReceived")]
    return b"".join(base64.b64decode(frame["payloadData"]) for frame in frames if frame["opcode"] == 2)


async def is_drawn_and_hears_keys(page, url):
    await page.open(url)
    seen = [await page.settled(until=lambda: b"BootNotification" in received(page))]
    for key in ("F4", "F7", "F8"):
        await page.press(key)
        seen.append(await page.settled(*seen))
    await page.press("F12")
    await page.settled(*seen[1:])
    assert all(shot.startswith(PNG) for shot in seen)
    assert len(set(seen)) == 4


async def asks_nobody_else(page, port):
    assert {(urlsplit(url).hostname, urlsplit(url).port) for url in addresses(page)} == {("127.0.0.1", port)}
    assert {urlsplit(url).scheme for url in addresses(page)} == {"http", "ws"}
    assert complaints(page) == []
    assert (await page.evaluate("location.search")) == ""  # the token is out of the address


ELSEWHERE = "http://192.0.2.1/"
ASK_ELSEWHERE = f"fetch('{ELSEWHERE}').catch(() => 0)"


async def may_not_ask_anybody_else(page):
    await page.evaluate(ASK_ELSEWHERE)
    await page.until(lambda: any("Content Security Policy" in text for text in complaints(page)))
    assert ELSEWHERE not in addresses(page)  # stopped before it was sent


async def what_is_asked_is_seen(page):
    """Of a page without a policy; the browser finds no other host."""
    await page.evaluate(ASK_ELSEWHERE)
    await page.until(lambda: ELSEWHERE in addresses(page))


async def does_not_let_in_twice(page, url):
    await page.open(url)
    answers = [event["response"] for event in page.said("Network.responseReceived")]
    assert [(answer["url"], answer["status"]) for answer in answers] == [(url, 403)]
    assert page.said("Network.webSocketCreated") == []
    assert "used already" in await page.evaluate("document.body.textContent")


def test_the_screens_in_a_browser(tmp_path, project_root):
    async def look(url, port):
        async with browser(tmp_path) as driven:
            page = await driven.page(*SIZE)
            await is_drawn_and_hears_keys(page, url)
            await asks_nobody_else(page, port)
            await may_not_ask_anybody_else(page)
            other = await driven.page(*SIZE)
            await what_is_asked_is_seen(other)
            await does_not_let_in_twice(other, url)

    with server(project_root / "captures" / "remote_start_stop.pcap", tmp_path) as (url, port):
        asyncio.run(look(url, port))


@pytest.mark.parametrize("deaf", [False, True])
def test_what_a_test_starts_ends_with_it(tmp_path, monkeypatch, deaf):
    monkeypatch.setattr("support_browser.END_S", 0.2)
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if deaf else ""
    source = f"import signal, sys, time; {ignore}\nprint('ready', file=sys.stderr, flush=True); time.sleep(60)"
    log, kept = tmp_path / "log", []
    with suppress(RuntimeError), started([sys.executable, "-c", source], log) as process:
        kept.append(process)
        told(log, "ready", process, log)
        raise RuntimeError
    assert isinstance(kept[0], subprocess.Popen)
    assert kept[0].returncode == (-9 if deaf else -15)
