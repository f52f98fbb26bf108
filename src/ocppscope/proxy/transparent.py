"""Connections that the packet filter of Linux sends to us though they were meant for a CSMS: REDIRECT and TPROXY.

REDIRECT rewrites the destination, and conntrack remembers it; TPROXY leaves the packet alone and gives it to a socket
that may have foreign addresses. In both ways each station is connected to where it wanted to go. Makes sockets; sets
up no rules, and knows nothing of what passes through.
Source: Linux, Documentation/networking/tproxy.rst; netfilter_ipv4.h and netfilter_ipv6/ip6_tables.h.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ocppscope.errors import AccessError, OcppscopeError, UsageError
from ocppscope.model import Endpoint, Side
from ocppscope.proxy.config import LEGS, TPROXY, Address
from ocppscope.proxy.leg import endpoint
from ocppscope.proxy.ways import ConnectError, connecting, listening

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.proxy.config import Config
    from ocppscope.proxy.leg import Leg

IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
ORIGINAL_DESTINATION = 80
"""SO_ORIGINAL_DST at level SOL_IP, IP6T_SO_ORIGINAL_DST at SOL_IPV6."""
SO_MARK = 36
BOTH = {"localhost": ("127.0.0.1", "::1"), "*": ("0.0.0.0", "::")}
"""What is listened at for these: IPv4, and IPv6 where the system has it."""

_SOCKADDR_IN, _SOCKADDR_IN6 = struct.Struct("=H2s4s8x"), struct.Struct("=H2sI16sI")
_PORT_TAKEN = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})
_Key = tuple[Endpoint, Endpoint]

NOT_SENT = "it was made to the proxy itself, and not sent to it by the packet filter"
LOOPS = (
    "the packet filter sends the proxy's own connection back to it; a rule has to exempt that (see --mark, or match "
    "the user that the proxy runs as)"
)


class Transparent:
    """Implements `ways.Way`."""

    def __init__(self, config: Config) -> None:
        """Raises UsageError where the system has nothing of the kind, AccessError where we may not use it."""
        if sys.platform != "linux":
            raise UsageError("Transparent mode needs the packet filter of Linux.", "Use --listen and --to.")
        self._listen, self._mark = config.listen, config.mark
        self._keeps_address = config.mode == TPROXY
        what = config.recording.what or (LEGS if config.active else "")
        # with the station's port on both sides the two legs could not be told apart in a recording
        self._keeps_port = what != LEGS
        self._speaks_tls = self.detects_tls = not config.pass_tls
        self._ports: set[int] = set()
        self._opening: set[_Key] = set()
        self._own: WeakValueDictionary[_Key, asyncio.BaseTransport] = WeakValueDictionary()
        self._try_options()

    def __str__(self) -> str:
        """For the status line."""
        return "where stations want to go"

    def speaks_tls(self, side: Side) -> bool:
        """See `Way`."""
        return self._speaks_tls

    def listeners(self, backlog: int) -> list[socket.socket]:
        """See `Way`. IPv6 is left out for `BOTH` where the system has none."""
        host, port = self._listen.host, self._listen.port
        opened: list[socket.socket] = []
        for name in BOTH.get(host, (host,)):
            if opened and not _has_ipv6():
                break
            try:
                opened += listening(Address(name, port), backlog, self._prepare)
            except OcppscopeError:
                for sock in opened:
                    sock.close()
                raise
            port = opened[0].getsockname()[1]
        self._ports = {port}
        return opened

    def destination(self, station: Leg) -> Endpoint:
        """See `Way`."""
        return endpoint(self._wanted(station))

    async def connect(self, station: Leg, make: Callable[[], Leg]) -> None:
        """See `Way`."""
        wanted = self._wanted(station)
        to = endpoint(wanted)
        if to.port in self._ports and _is_own(to.address):
            raise ConnectError(NOT_SENT, to)
        if self._is_ours((station.remote, to)):
            raise ConnectError(LOOPS, to)
        await connecting(self._attempts(station, wanted, make), to)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _prepare(self, sock: socket.socket) -> None:
        """What listening and connecting sockets have in common."""
        if self._keeps_address:
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        if self._mark:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, self._mark)

    def _try_options(self) -> None:
        """Finds out whether we may do this before anything is opened. Raises AccessError."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            try:
                self._prepare(sock)
            except PermissionError:
                what = "TPROXY" if self._keeps_address else "A mark on connections"
                raise AccessError(
                    f"{what} needs the capability CAP_NET_ADMIN.",
                    "Run it with sudo, or give the capability alone: sudo setpriv --reuid=$USER --regid=$(id -g) "
                    "--init-groups --inh-caps=+net_admin --ambient-caps=+net_admin $(command -v ocppscope) proxy …",
                ) from None

    def _wanted(self, station: Leg) -> Any:
        """Where the station wanted to go, as the socket module writes addresses; the proxy's own if nobody knows."""
        transport = station.transport
        here = transport.get_extra_info("sockname")
        return here if self._keeps_address else original(transport.get_extra_info("socket")) or here

    def _is_ours(self, key: _Key) -> bool:
        transport = self._own.get(key)
        return key in self._opening or (transport is not None and not transport.is_closing())

    async def _attempts(self, station: Leg, wanted: Any, make: Callable[[], Leg]) -> None:
        """Connects; if it may not be from the station's port, then from another one."""
        if not self._keeps_address:
            await self._attempt(None, wanted, make)
            return
        source = station.transport.get_extra_info("peername")
        if self._keeps_port:
            try:
                await self._attempt(source, wanted, make)
            except OSError as error:
                if error.errno not in _PORT_TAKEN:
                    raise
            else:
                return
        await self._attempt((source[0], 0, *source[2:]), wanted, make)

    async def _attempt(self, source: Any, wanted: Any, make: Callable[[], Leg]) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET6 if len(wanted) == 4 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            key = self._begin(sock, source, wanted), endpoint(wanted)
            self._opening.add(key)  # before it can come back to us
            try:
                await loop.sock_connect(sock, wanted)
                self._own[key], _ = await loop.create_connection(make, sock=sock)
            finally:
                self._opening.discard(key)
        except BaseException:
            sock.close()
            raise

    def _begin(self, sock: socket.socket, source: Any, wanted: Any) -> Endpoint:
        """Sends the SYN; where it comes from."""
        sock.setblocking(False)
        self._prepare(sock)
        if source is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(source)
        code = sock.connect_ex(wanted)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        return endpoint(sock.getsockname())


def original(sock: Any) -> tuple[Any, ...] | None:
    """Where a connection went before the packet filter rewrote its destination, as the socket module writes
    addresses; None if the system does not know."""
    try:
        if sock.family == socket.AF_INET6:
            raw = sock.getsockopt(socket.IPPROTO_IPV6, ORIGINAL_DESTINATION, _SOCKADDR_IN6.size)
            _, port, flow, address, scope = _SOCKADDR_IN6.unpack(raw)
            return socket.inet_ntop(socket.AF_INET6, address), int.from_bytes(port), socket.ntohl(flow), scope
        raw = sock.getsockopt(socket.IPPROTO_IP, ORIGINAL_DESTINATION, _SOCKADDR_IN.size)
        _, port, address = _SOCKADDR_IN.unpack(raw)
        return socket.inet_ntop(socket.AF_INET, address), int.from_bytes(port)
    except (OSError, struct.error):
        return None


def _is_own(address: str) -> bool:
    """Whether an address is one of this machine's: then it is what packets to it are sent from."""
    if ip_address(address).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address, 9))  # sends nothing
        except OSError:
            return False
        return bool(sock.getsockname()[0] == address)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True
