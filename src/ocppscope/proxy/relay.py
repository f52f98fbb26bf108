"""The process that relays: a server, and the channel over which it is steered.

    python -m ocppscope.proxy.relay FD

The first line that comes over the socket FD is a `Config`; then come orders, and tidings go back (see `control`).
When the other end is gone the proxy ends, too: nobody would know of it. Ctrl-C is for whoever steers.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from ocppscope.control import MAX_LINE_BYTES, Failed, Rotated, Said, State, line, read_order
from ocppscope.errors import OcppscopeError
from ocppscope.proxy.config import Config
from ocppscope.proxy.server import Server
from ocppscope.signals import endings, leave_to_parent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from ocppscope.control import Tiding

MAX_UNREAD_BYTES = 4 << 20
"""Tidings that nobody reads; of more, those that can be spared are dropped, so that nobody can hold the relay up."""

MAX_COMPLAINTS = 20
"""Kinds of trouble that are told; that there are more is the last sentence."""

read_config = msgspec.json.Decoder(Config).decode


class Channel(asyncio.Protocol):
    """The relay's end of the socket."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.config: asyncio.Future[Config] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._waiting = bytearray()
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        seen = len(self._waiting)
        self._waiting += data
        while (end := self._waiting.find(b"\n", seen)) >= 0:
            text = bytes(self._waiting[:end])
            del self._waiting[: end + 1]
            seen = 0
            self._line(text)
        if len(self._waiting) > MAX_LINE_BYTES and self._transport is not None:
            self._transport.pause_reading()
            self._waiting.clear()
            self.tell(Said(f"An order is longer than {MAX_LINE_BYTES:,} bytes: the proxy ends."))
            self._end()

    def eof_received(self) -> bool:
        """See asyncio. Tidings of the end can still be taken."""
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._end()

    def tell(self, tiding: Tiding) -> None:
        """Sends a tiding."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_UNREAD_BYTES and not isinstance(tiding, Rotated | Failed):
            self._is_full = True
            return
        if self._is_full:
            self._is_full = False
            transport.write(line(Said("Some tidings of the proxy were lost: nobody took them.")))
        transport.write(line(tiding))

    def _line(self, text: bytes) -> None:
        try:
            if not self.config.done():
                self.config.set_result(read_config(text))
            elif self.server is not None:
                self.server.obey(read_order(text))
        except msgspec.MsgspecError as error:
            self.tell(Said(f"An order cannot be read: {str(error)[:200]!a}."))

    def _end(self) -> None:
        if self.server is not None:
            self.server.let_go()
            self.server.stop()
        elif not self.config.done():
            self.config.cancel()


def complain_to(tell: Callable[[Tiding], None]) -> None:
    """What asyncio would log is told instead: somebody has screens where it would be printed. Each kind once."""

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        del loop
        error = context.get("exception")
        what = f"{context.get('message')}" + (f" ({type(error).__name__}: {error})" if error is not None else "")
        if what not in said and len(said) < MAX_COMPLAINTS:
            said.add(what)
            tell(Said(f"The proxy had trouble: {what[:500]}."))
            if len(said) == MAX_COMPLAINTS:
                tell(Said("Trouble of further kinds is not told."))

    said: set[str] = set()
    asyncio.get_running_loop().set_exception_handler(complain)


async def relay(sock: socket.socket) -> None:
    """Serves until the other end of `sock` says so, or is gone."""
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_connection(Channel, sock=sock)
    try:
        config = await channel.config
    except asyncio.CancelledError:
        return
    complain_to(channel.tell)
    try:
        server = channel.server = Server(config, channel.tell)
        loop.add_signal_handler(signal.SIGTERM, server.stop)
        await server.run()
    except OcppscopeError as error:
        channel.tell(Failed(error.what, error.hint, error.exit_code))


def serve(config: Config, stream: TextIO | None) -> None:
    """Relays in this process until a signal ends it, and says on `stream` what there is to say.

    Raises OcppscopeError.
    """

    def tell(tiding: Tiding) -> None:
        if stream is None:
            return
        if isinstance(tiding, Said):
            stream.write("note: " + "".join(sign if sign.isprintable() else "?" for sign in tiding.text) + "\n")
        elif isinstance(tiding, State) and not told:
            told.append(True)
            stream.write(f"{tiding.listening} → {tiding.to}, recording {tiding.recording}\n")
        stream.flush()

    async def run() -> None:
        complain_to(tell)
        server = Server(config, tell)
        for number in endings():
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        await server.run()

    told: list[bool] = []
    asyncio.run(run())


def main(number: int) -> None:
    """Runs in a process of its own."""
    leave_to_parent()
    gc.freeze()
    with suppress(BrokenPipeError, ConnectionResetError):
        asyncio.run(relay(socket.socket(fileno=number)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
