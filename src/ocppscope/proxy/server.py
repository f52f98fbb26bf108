"""The proxy's sockets: listens, connects to the CSMS for every station that comes, and ends when it is told to.

asyncio, and nothing but sockets: bytes go to pairings, which know what to do with them.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import time
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ocppscope.acts import Act
from ocppscope.capture import pcapngout
from ocppscope.control import Cut, Held, Released, Rotated, Said, State, Stop
from ocppscope.errors import OcppscopeError
from ocppscope.model import Side
from ocppscope.proxy.config import LEGS, REDIRECT, REVERSE, SESSION, Address, Config
from ocppscope.proxy.leg import MAX_EVIDENCE_BYTES, Leg
from ocppscope.proxy.outbox import Outbox
from ocppscope.proxy.pairing import Pairing
from ocppscope.proxy.recording import Recorder, Tape
from ocppscope.proxy.repeated import Repeated
from ocppscope.proxy.sessions import Sessions
from ocppscope.proxy.spool import Rotation, Spool
from ocppscope.proxy.ways import ConnectError, way_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from ocppscope.control import Order, Tiding
    from ocppscope.proxy.contexts import StationContexts
    from ocppscope.proxy.tls import TlsPipe
    from ocppscope.proxy.tlsfailure import TlsFailure

MAX_CONNECTIONS = 20_000
"""Stations at the same time; further ones are reset."""
BACKLOG = 4096
"""Connections that the kernel takes before we do: a fleet that comes back comes all at once."""
FEW_CONNECTIONS = 1_000
"""If the system allows fewer stations than that, it is said at the start."""
STATE_EVERY = 0.25
"""Seconds between two tellings of how it is."""
FAREWELL_SECONDS = 2.0
"""How long the connections may take to end when the proxy does."""
FILES_PER_CONNECTION, SPARE_FILES = 2, 20


class Server:
    """Implements `pairing.House`. Everything happens in one event loop."""

    def __init__(self, config: Config, tell: Callable[[Tiding], None]) -> None:
        """Opens the recording and reads certificates; raises UsageError."""
        self.config, self._tell = config, tell
        self._held: set[int] = set()
        self._pairings: dict[int, Pairing] = {}
        self._count = self._bytes = self._too_many = self._slow = 0
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._way = way_of(config)
        self._listening = str(config.listen)
        self._told: State | None = None
        self._trouble = self._unexpectedly = ""
        self._room = MAX_CONNECTIONS
        self._sessions = Sessions(config, self.tell)
        self._repeated = Repeated(lambda sentence: self.tell(Said(sentence)), self.steady)
        self._contexts = self._station_contexts()
        self._csms_context = self._upstream_context()
        wanted = config.recording
        self._spool = Spool(
            wanted.path,
            _header(),
            rotation=Rotation(wanted.max_bytes, wanted.max_ns, wanted.keep),
            rotated=lambda path: tell(Rotated(path)),
        )
        self._outbox = Outbox(self._spool, lambda flush: asyncio.get_running_loop().call_soon(flush))
        self._recorder = Recorder(self._outbox)
        self._records = wanted.what or (LEGS if config.active else SESSION)

    def _station_contexts(self) -> StationContexts | None:
        """What is shown to stations, where TLS may be spoken with them."""
        if not self._way.speaks_tls(Side.STATION):
            return None
        from ocppscope.proxy.authority import Authority  # noqa: PLC0415 - TLS takes 100 ms to load
        from ocppscope.proxy.contexts import StationContexts  # noqa: PLC0415

        settings = self.config.tls
        needs_own = not settings.certificate or (settings.client_certificates != "no" and not settings.client_ca)
        return StationContexts(settings, Authority.open(settings.authority) if needs_own else None)

    def _upstream_context(self) -> ssl.SSLContext | None:
        if not self._way.speaks_tls(Side.CSMS):
            return None
        from ocppscope.proxy.contexts import client_context, server_hostname  # noqa: PLC0415

        if self.config.tls.csms_name:
            server_hostname(self.config.tls, "")  # what is wrong with it is said before any station comes
        return client_context(self.config.tls)

    # --- its life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serves until `stop`. Raises UsageError and AccessError where it cannot listen."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unexpected)
        room = self._room = _raise_file_limit()
        try:
            sockets = self._way.listeners(BACKLOG)
        except OcppscopeError:
            self._spool.discard()
            raise
        listeners = [await loop.create_server(self._accept, sock=sock, backlog=BACKLOG) for sock in sockets]
        port = listeners[0].sockets[0].getsockname()[1]
        listen = self.config.listen
        self._listening = str(Address(listen.host, port, listen.tls))
        try:
            self._tell_state()
            self._caution(room)
            while not self._stopped.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), STATE_EVERY)
                self._tell_state()
        finally:
            for listener in listeners:
                listener.close()
            await self._farewell()
            self._outbox.flush()
            self._tell_state()
            self._repeated.end()
            self._spool.close()

    def stop(self) -> None:
        """Ends `run`."""
        self._stopped.set()

    async def _farewell(self) -> None:
        for pairing in list(self._pairings.values()):
            pairing.cut("FIN", "the proxy was stopped")
        until = time.monotonic() + FAREWELL_SECONDS
        while self._pairings and time.monotonic() < until:
            await asyncio.sleep(0.01)
        for pairing in list(self._pairings.values()):
            pairing.give_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pairing in list(self._pairings.values()):
            pairing.abandon()
        await asyncio.sleep(0.01)  # asyncio closes sockets in its next rounds

    def obey(self, order: Order) -> None:
        """An order from whoever steers."""
        if isinstance(order, Stop):
            self.stop()
        elif not self._sessions.obey(order, self.steady()) and isinstance(order, Cut):
            pairing = self._pairings.get(order.connection)
            if pairing is None:
                self.tell(Said(f"There is no connection {order.connection} any more."))
            else:
                pairing.cut("RST" if order.how == "RST" else "FIN", "on request")

    # --- connections ------------------------------------------------------------------------------------------------

    def _accept(self) -> Leg:
        """asyncio has taken a connection."""
        self._count += 1
        pairing = Pairing(self, self._count, self._sessions.make)
        self._pairings[self._count] = pairing
        make_tls = self._station_tls if self._contexts is not None else None
        return Leg(Side.STATION, pairing, make_tls, is_undecided=self._way.detects_tls)

    def upstream(self, pairing: Pairing) -> None:
        """See `pairing.House`."""
        if len(self._pairings) > self._room:
            self._too_many += 1
            pairing.give_up()
            return
        station = pairing.legs[Side.STATION]
        assert station is not None
        station.local = self._way.destination(station)  # before TLS asks for a certificate of that name
        task = asyncio.get_running_loop().create_task(self._connect(pairing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, pairing: Pairing) -> None:
        station = pairing.legs[Side.STATION]
        assert station is not None
        try:
            await self._way.connect(station, lambda: Leg(Side.CSMS, pairing, self._csms_tls))
        except ConnectError as error:
            act = Act("refused", error.text)
            self._recorder.refused(station.remote, error.server or station.local, self.clock(), act)
            self._repeated.say(f"the CSMS cannot be reached: {error.text}.", str(station.remote))
            pairing.give_up()
            return
        csms = pairing.legs[Side.CSMS]
        if station.is_gone and csms is not None:
            csms.reset()

    def _station_tls(self, leg: Leg) -> TlsPipe:
        from ocppscope.proxy.tls import TlsPipe  # noqa: PLC0415

        assert self._contexts is not None
        return TlsPipe(self._contexts.at(leg.local.address), server_side=True)

    def secure(self, pairing: Pairing, csms: Leg, server_name: str) -> None:
        """See `pairing.House`."""
        del pairing
        csms.start_tls(self._csms_pipe(self.config.tls.csms_name or server_name or csms.remote.address))

    @property
    def _csms_tls(self) -> Callable[[Leg], TlsPipe] | None:
        """How TLS towards the CSMS begins, where it is known beforehand."""
        to = self.config.to
        if self._csms_context is None or to is None or not to.tls:
            return None
        from ocppscope.proxy.contexts import server_hostname  # noqa: PLC0415

        name = server_hostname(self.config.tls, to.host)
        return lambda leg: self._csms_pipe(name)

    def _csms_pipe(self, name: str) -> TlsPipe:
        from ocppscope.proxy.tls import TlsPipe  # noqa: PLC0415

        assert self._csms_context is not None
        return TlsPipe(self._csms_context, server_hostname=name)

    def tape(self, pairing: Pairing) -> Tape:
        """See `pairing.House`."""
        (station, here), (there, csms) = pairing.ends
        ends = [(station, csms)] if self._records == SESSION else [(station, here), (there, csms)]
        tape = Tape(self._recorder, ends)
        tape.open(pairing.accepted_ns, (self._agreed(pairing, Side.STATION), self._agreed(pairing, Side.CSMS)))
        return tape

    def _agreed(self, pairing: Pairing, side: Side) -> Act | None:
        """What TLS was agreed on with a side, for the recording, which holds the content alone."""
        leg = pairing.legs[side]
        facts = leg.tls.facts if leg is not None and leg.tls is not None else None
        if facts is None:
            return None
        shown = ", client certificate shown" if facts.client_certificate else ""
        return Act("tls", f"{side.label}: {facts.version} {facts.cipher}{shown}; the recording is without it")

    def tls_failed(self, pairing: Pairing, leg: Leg, failure: TlsFailure) -> None:
        """See `pairing.House`."""
        station = pairing.legs[Side.STATION]
        assert station is not None
        client, server = (leg.remote, leg.local) if leg.side is Side.STATION else (station.remote, leg.remote)
        evidence = [(sent is (leg.side is Side.CSMS), bytes(data)) for sent, data in leg.evidence]
        cut = f" Of the handshake {MAX_EVIDENCE_BYTES:,} bytes are recorded, and no more." * leg.is_evidence_cut
        act = Act("tls-failed", f"{leg.side.label}: {failure.code}: {failure.text}{cut}")
        self._recorder.tls_failed(client, server, evidence, self.clock(), act)
        self._repeated.say(
            f"TLS with the {_NAMES[leg.side]} failed: {failure.text} {failure.hint}", str(station.remote)
        )

    def send(self, leg: Leg, data: bytes) -> None:
        """See `pairing.House`."""
        self._outbox.send(leg, data)

    def flush(self) -> None:
        """See `pairing.House`."""
        self._outbox.flush()

    def over(self, pairing: Pairing) -> None:
        """See `pairing.House`."""
        self._sessions.over(pairing, self.steady())
        self._pairings.pop(pairing.link.number, None)

    def clock(self) -> int:
        """See `pairing.House`."""
        return time.time_ns()

    def steady(self) -> int:
        """See `pairing.House`. The same count as that of asyncio's timers."""
        return time.monotonic_ns()

    def passed(self, count: int) -> None:
        """See `pairing.House`."""
        self._bytes += count

    def after(self, pairing: Pairing) -> None:
        """See `pairing.House`."""
        if self._sessions.is_steered:
            self._sessions.after(pairing)

    def let_go(self) -> None:
        """Nobody steers any more."""
        self._sessions.let_go(self.steady())

    def tell(self, tiding: Tiding) -> None:
        """To whoever steers."""
        if isinstance(tiding, Held):
            self._held.add(tiding.held)
            tiding = _by_day(tiding, self.clock() - self.steady())
        elif isinstance(tiding, Released):
            self._held.discard(tiding.held)
        self._tell(tiding)

    # --- what is told -----------------------------------------------------------------------------------------------

    def _tell_state(self) -> None:
        spool = self._spool
        spool.look()
        state = State(
            self._listening,
            str(self._way),
            connections=len(self._pairings),
            total=self._count,
            bytes_passed=self._bytes,
            recording=spool.path,
            recorded_bytes=spool.total_bytes,
            recording_trouble=spool.trouble if spool.is_failing else "",
            active=self.config.active,
            intercept=self._sessions.intercepting,
            held=len(self._held),
        )
        if state != self._told:
            self._told = state
            self.tell(state)
        self._tell_trouble()

    def _tell_trouble(self) -> None:
        spool = self._spool
        self._repeated.look()
        if spool.trouble and spool.trouble != self._trouble:
            self.tell(Said(spool.trouble))
        self._trouble = spool.trouble
        if spool.slow_writes > self._slow:
            self._slow = spool.slow_writes
            self.tell(Said(f"The disk is slow: {self._slow:,} times it held the traffic up for over 0.1 s."))
        if self._too_many:
            self.tell(Said(f"{self._too_many:,} connections were refused: {self._room:,} is the most."))
            self._too_many = 0

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What would otherwise be written to a terminal that the screens have; the same is said once."""
        del loop
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            text = "The proxy may open no more files: further stations have to wait."
        else:
            text = f"Unexpected in the proxy: {context.get('message', '')} {error!r:.200}"
        if text != self._unexpectedly:
            self._unexpectedly = text
            self.tell(Said(text))

    def _caution(self, room: int) -> None:
        listen = self.config.listen
        if self.config.mode == REVERSE and not listen.is_loopback:
            self.tell(Said(f"Listening on {listen.host}: whoever can reach this machine can use the proxy."))
        elif self.config.mode == REDIRECT:
            self.tell(Said(_REACH_LOOPBACK if listen.is_loopback else _REACH_ALL))
        if room < FEW_CONNECTIONS:
            self.tell(Said(f"This system lets a process have so many files that {room:,} stations are the most."))
        if self._contexts is not None or self._csms_context is not None:
            from ocppscope.proxy.contexts import cautions  # noqa: PLC0415

            for sentence in cautions(
                self.config.tls, stations=self._contexts is not None, csms=self._csms_context is not None
            ):
                self.tell(Said(sentence))


def _by_day(held: Held, ahead_ns: int) -> Held:
    """With times of day, for who sees it in another process."""
    gives_up = None if held.gives_up_ns is None else held.gives_up_ns + ahead_ns
    return replace(held, time_ns=held.time_ns + ahead_ns, expires_ns=held.expires_ns + ahead_ns, gives_up_ns=gives_up)


_NAMES = {Side.STATION: "station", Side.CSMS: "CSMS"}
_REACH_LOOPBACK = "Only connections of this machine can be redirected here; for others add --listen '*:9000'."
_REACH_ALL = "Listening to other machines: what the packet filter redirects is taken, everything else is reset."


def _header() -> bytes:
    name = f"ocppscope {version('ocppscope')}"
    return pcapngout.section(name) + pcapngout.interface(pcapngout.ETHERNET, "ocppscope proxy")


def _raise_file_limit() -> int:
    """Takes as many files as the system allows; how many connections that is enough for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_PER_CONNECTION * MAX_CONNECTIONS + SPARE_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min((soft - SPARE_FILES) // FILES_PER_CONNECTION, MAX_CONNECTIONS)
