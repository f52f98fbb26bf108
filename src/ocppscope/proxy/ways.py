"""How connections come to the proxy, and where they are to go.

Three ways: stations are told the proxy's address (reverse), or the packet filter sends us what is meant for somebody
else (`transparent`). Makes sockets; knows nothing of what passes through them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from ocppscope.errors import AccessError, UsageError
from ocppscope.model import Endpoint, Side
from ocppscope.proxy.config import REVERSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.proxy.config import Address, Config
    from ocppscope.proxy.leg import Leg

CONNECT_SECONDS = 20.0
"""How long the CSMS may take to accept a connection."""
ADDRESS_SECONDS = 5.0
"""How long one of several addresses of the CSMS may take. They are tried one after another: of attempts side by side
(RFC 8305 §5) the CSMS would see connections that nobody uses."""


class ConnectError(Exception):
    """The CSMS cannot be reached; `text` says why, `server` is where it was looked for, if that is known."""

    def __init__(self, text: str, server: Endpoint | None = None) -> None:
        super().__init__(text)
        self.text, self.server = text, server


class Way(Protocol):
    """One of the ways."""

    detects_tls: bool  # whether each connection shows by its first bytes if it is TLS

    def __str__(self) -> str:
        """Where stations are connected to."""

    def speaks_tls(self, side: Side) -> bool:
        """Whether TLS may have to be spoken with a side."""

    def listeners(self, backlog: int) -> list[socket.socket]:
        """Sockets that listen. Raises UsageError and AccessError."""

    def destination(self, station: Leg) -> Endpoint:
        """Where the station believes to be connected."""

    async def connect(self, station: Leg, make: Callable[[], Leg]) -> None:
        """Connects a new leg to where the station wants to go. Raises ConnectError."""


def way_of(config: Config) -> Way:
    """The way that is wished."""
    if config.mode == REVERSE:
        return Reverse(config)
    from ocppscope.proxy.transparent import Transparent  # noqa: PLC0415 - few need it

    return Transparent(config)


class Reverse:
    """Stations are configured with the proxy's address; all go to one CSMS."""

    detects_tls = False

    def __init__(self, config: Config) -> None:
        assert config.to is not None
        self._listen, self._to = config.listen, config.to
        self._lookup: asyncio.Future[list[tuple[Any, ...]]] | None = None  # one that is under way

    def __str__(self) -> str:
        """`wss://csms.example:443`."""
        return str(self._to)

    def speaks_tls(self, side: Side) -> bool:
        """See `Way`."""
        return self._listen.tls if side is Side.STATION else self._to.tls

    def listeners(self, backlog: int) -> list[socket.socket]:
        """See `Way`."""
        opened = listening(self._listen, backlog)
        if any(_is_reached(sock, self._to) for sock in opened):
            for sock in opened:
                sock.close()
            raise UsageError(f"{self._to} is the proxy itself.", "Give --to the address of the CSMS.")
        return opened

    def destination(self, station: Leg) -> Endpoint:
        """See `Way`."""
        return station.local

    async def connect(self, station: Leg, make: Callable[[], Leg]) -> None:
        """See `Way`."""
        del station
        await connecting(self._try(make), self._to)

    async def _try(self, make: Callable[[], Leg]) -> None:
        loop = asyncio.get_running_loop()
        found = await self._addresses()
        places = list(dict.fromkeys((one[0], str(one[4][0]), self._to.port) for one in found))
        for number, (family, host, port) in enumerate(places, 1):
            last = number == len(places)
            try:
                attempt = loop.create_connection(make, host, port, family=family)
                await asyncio.wait_for(attempt, None if last else ADDRESS_SECONDS)
            except (OSError, TimeoutError):
                if last:
                    raise
            else:
                return

    async def _addresses(self) -> list[tuple[Any, ...]]:
        """Where the CSMS is, as getaddrinfo says it. All stations that come meanwhile wait for the same answer."""
        with suppress(socket.gaierror):
            return socket.getaddrinfo(
                self._to.host, self._to.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        if self._lookup is None or self._lookup.done():
            self._lookup = looked_up(self._to.host, self._to.port)
        return await asyncio.shield(self._lookup)


def looked_up(host: str, port: int) -> asyncio.Future[list[tuple[Any, ...]]]:
    """Asks the system's resolver in a thread that nobody has to wait for, as one of asyncio's is at the end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps nobody waits any more

    def take(found: list[tuple[Any, ...]], error: Exception | None) -> None:
        if not answer.done():
            answer.set_result(found) if error is None else answer.set_exception(error)

    def ask() -> None:
        found: list[tuple[Any, ...]] = []
        trouble = None
        try:
            found = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            trouble = error
        with suppress(RuntimeError):  # the proxy has ended
            loop.call_soon_threadsafe(take, found, trouble)

    Thread(target=ask, name="resolver", daemon=True).start()
    return answer


async def connecting(attempt: object, to: Address | Endpoint) -> None:
    """Waits for a connection, and says in words what went wrong. Raises ConnectError."""
    server = to if isinstance(to, Endpoint) else None
    try:
        await asyncio.wait_for(attempt, CONNECT_SECONDS)  # type: ignore[arg-type]
    except TimeoutError:
        raise ConnectError(f"{to} did not answer within {CONNECT_SECONDS:g} s", server) from None
    except socket.gaierror as error:
        name = to.address if isinstance(to, Endpoint) else to.host
        raise ConnectError(f"the name {name} is not found ({error.strerror})", server) from None
    except ConnectionRefusedError:
        raise ConnectError(f"{to} refuses connections", server) from None
    except OSError as error:
        raise ConnectError(f"{to}: {error.strerror or error}", server) from None
    except UnicodeError:
        raise ConnectError(f"{to} is no address that a host can have", server) from None


def listening(
    listen: Address, backlog: int, prepare: Callable[[socket.socket], None] | None = None
) -> list[socket.socket]:
    """Sockets that listen at all addresses of a host. Raises UsageError and AccessError."""
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        why = f" ({error.strerror})" if isinstance(error, OSError) else ""
        raise UsageError(f"{listen.host} is no address of this machine{why}.", _LISTEN) from None
    opened: list[socket.socket] = []
    port = listen.port
    for family, address in dict.fromkeys((one[0], one[4]) for one in found):
        sock = socket.socket(family, socket.SOCK_STREAM)
        opened.append(sock)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if prepare is not None:
                prepare(sock)
            sock.bind((address[0], port, *address[2:]))
            sock.listen(backlog)
            sock.setblocking(False)
        except OSError as error:
            for one in opened:
                one.close()
            raise _why_not(listen, error) from None
        port = sock.getsockname()[1]  # any port that is free is the same for IPv4 and IPv6
    return opened


def _is_reached(sock: socket.socket, to: Address) -> bool:
    """Whether who connects `to` there connects to the listening socket."""
    here = sock.getsockname()
    if here[1] != to.port:
        return False
    with suppress(OSError, UnicodeError):
        for family, _, _, _, there in socket.getaddrinfo(to.host, to.port, sock.family, socket.SOCK_STREAM):
            if here[0] == there[0] or (here[0] in ("0.0.0.0", "::") and _is_ours(family, there)):
                return True
    return False


def _is_ours(family: int, address: tuple[Any, ...]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as tried, suppress(OSError):
        tried.bind((address[0], 0, *address[2:]))
        return True
    return False


_LISTEN = "Give --listen as HOST:PORT, with an address of this machine."


def _why_not(listen: Address, error: OSError) -> UsageError | AccessError:
    where = f"{listen.host} port {listen.port}"
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"Something else listens on {where} already.", "End it, or take another port.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessError(f"You may not listen on {where}.", "Take a port above 1023, or run it with sudo.")
    return UsageError(f"Nobody can listen on {where}: {error.strerror}.", _LISTEN)
