"""Many stations and their CSMS in one event loop, that keep lists of what they sent and received.

They speak just enough HTTP and WebSocket for that, and share no code with the proxy.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ocppscope.model import Side
from proxy.support_proxy import CSMS, DEADLINE, STATION
from support_engine import run

KEY = base64.b64encode(b"0123456789abcdef").decode()
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
MASK = b"\x11\x22\x33\x44"
SWITCH = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
).encode()
OVER = (ConnectionError, asyncio.IncompleteReadError, OSError, asyncio.TimeoutError)


def request(name: str) -> bytes:
    """The upgrade of a station."""
    return (
        f"GET /ocpp/{name} HTTP/1.1\r\nHost: csms\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    ).encode()


def frame(text: bytes, side: Side) -> bytes:
    """A text frame, masked if a station sends it."""
    size, bit = len(text), 0x80 if side is STATION else 0
    head = bytes((0x81, bit | size)) if size < 126 else struct.pack("!BBH", 0x81, bit | 126, size)
    if side is CSMS:
        return head + text
    key = (MASK * (size // 4 + 1))[:size]
    return head + MASK + (int.from_bytes(text) ^ int.from_bytes(key)).to_bytes(size)


async def next_text(reader: asyncio.StreamReader) -> bytes:
    """The payload of the next frame, which is a text."""
    head = await reader.readexactly(2)
    assert head[0] == 0x81
    size = head[1] & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2))
    key = await reader.readexactly(4) if head[1] & 0x80 else bytes(4)
    data = await reader.readexactly(size)
    return (int.from_bytes(data) ^ int.from_bytes((key * (size // 4 + 1))[:size])).to_bytes(size)


def call(name: str, number: int) -> bytes:
    """A CALL whose length varies."""
    return b'[2,"%s-%d","DataTransfer",{"vendorId":"v","data":"%s"}]' % (
        name.encode(),
        number,
        b"x" * (number * 37 % 900),
    )


def answer(text: bytes) -> bytes:
    """The CALLRESULT to a CALL."""
    return b'[3,%s,{"status":"Accepted"}]' % text.split(b",", 2)[1]


class Lists(NamedTuple):
    """What was sent and received, by station and side: `received[name, STATION]` is what the station got."""

    sent: dict[tuple[str, Side], list[bytes]]
    received: dict[tuple[str, Side], list[bytes]]


class Fleet:
    """Stations of `names` that each send CALLs, `pause` seconds after each answer, until it is stopped or cut off.

    Runs in a thread of its own while the `with` block does; `port` is where the CSMS listens.
    """

    def __init__(self, *, count: int = 0, pause: float = 0.0, host: str = "127.0.0.1") -> None:
        self.lists = Lists(defaultdict(list), defaultdict(list))
        self.port = 0
        self.host = host
        self.ended = 0
        self._count, self._pause = count, pause
        self._stopped = False
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet")
        self._stations: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()

    def __enter__(self) -> Fleet:
        self._thread.start()
        assert self._ready.wait(DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    @property
    def messages(self) -> int:
        """How many were received."""
        return sum(map(len, list(self.lists.received.values())))

    def drive(self, where: tuple[str, int], names: Iterable[str]) -> None:
        """Sends the stations on their way."""
        wanted = list(names)
        asyncio.run_coroutine_threadsafe(self._drive(where, wanted), self._loop).result(DEADLINE)

    def stop(self) -> None:
        """Each station ends after its next answer; waits for that."""
        self._stopped = True
        self.wait()

    def wait(self) -> None:
        """Waits until all stations have ended."""
        asyncio.run_coroutine_threadsafe(self._all_over(), self._loop).result(2 * DEADLINE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._csms, self.host, 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, where: tuple[str, int], names: list[str]) -> None:
        self._stations += [asyncio.create_task(self._station(where, name)) for name in names]

    async def _all_over(self) -> None:
        await asyncio.gather(*self._stations)

    async def _csms(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(*OVER, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            name = head.split(b" ")[1].rpartition(b"/")[2].decode()
            writer.write(SWITCH)
            while True:
                text = await next_text(reader)
                self.lists.received[name, CSMS].append(text)
                reply = answer(text)
                self.lists.sent[name, CSMS].append(reply)
                writer.write(frame(reply, CSMS))
        writer.close()
        with suppress(*OVER):
            await writer.wait_closed()

    async def _station(self, where: tuple[str, int], name: str) -> None:
        writer = None
        with suppress(*OVER):
            reader, writer = await asyncio.open_connection(*where)
            writer.write(request(name))
            await reader.readuntil(b"\r\n\r\n")
            number = 0
            while not self._stopped and (not self._count or number < self._count):
                number += 1
                text = call(name, number)
                self.lists.sent[name, STATION].append(text)
                writer.write(frame(text, STATION))
                self.lists.received[name, STATION].append(await next_text(reader))
                if self._pause:
                    await asyncio.sleep(self._pause)
        self.ended += 1
        if writer is not None:
            writer.close()
            with suppress(*OVER):
                await writer.wait_closed()


def recorded(*paths: Path) -> dict[tuple[str, Side], list[bytes]]:
    """The texts that ocppscope reads in a recording, by station and who got them."""
    found: dict[tuple[str, Side], list[bytes]] = defaultdict(list)
    for path in paths:
        made = run(path)
        assert made.gaps == []
        names = {number: one.handshake.station for number, one in made.connections.items() if one.handshake}
        for message in made.messages:
            found[names[message.connection], message.side.other].append(_octets(message.text))
    return found


def _octets(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
