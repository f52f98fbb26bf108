"""The engine's events as what happens to stations: keeps their state, runs the trackers, tells the bus.

An event is told in this order: state of the connection, trackers, then whoever subscribed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from ocppscope.acts import act_of
from ocppscope.analysis import happenings as told
from ocppscope.analysis.finding import Ref
from ocppscope.analysis.payload import Payload, decode, said
from ocppscope.analysis.state.charging import Profiles, ProfileTracker
from ocppscope.analysis.state.clock import Clock, ClockTracker
from ocppscope.analysis.state.configuration import Configuration, ConfigurationTracker
from ocppscope.analysis.state.connections import Connections, ConnectionTracker
from ocppscope.analysis.state.connectors import Connectors, ConnectorTracker
from ocppscope.analysis.state.registration import Registration, RegistrationTracker
from ocppscope.analysis.state.rpc import RpcTracker
from ocppscope.analysis.state.transaction_tracker import TransactionTracker
from ocppscope.analysis.state.transactions import Transactions
from ocppscope.analysis.station import ARROWS, MAX_NAME, Exchange, Link, Station, said_by
from ocppscope.analysis.unread import UnreadCounts
from ocppscope.analysis.vantage import vantage_of
from ocppscope.batch import Batch
from ocppscope.model import (
    ConnectAttempt,
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    ExchangeEnd,
    Kind,
    Message,
    Outcome,
    PacketComment,
    StreamGap,
    TlsConnection,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocppscope.analysis.bus import Bus
    from ocppscope.model import Endpoint, Event, Problem, Side

MAX_STATIONS = 1 << 16
"""Stations that are followed at the same time. Of more, one is forgotten: of those that have not opened a connection
for the longest time the first one that has none open."""
MAX_PASSED_OVER = 8
"""Stations with an open connection that are passed over in search of one to be forgotten."""
MAX_ENDED = 1 << 16
"""Connections that have ended and are remembered, of all stations together; the latest, and the last one of each."""
MAX_HELD = 1 << 14
"""Attempts and TLS connections that are kept until it is known whether they concern OCPP; the latest."""
MAX_OUTSTANDING = 1024
"""CALLs of one side of a connection that wait for their answers."""

_TRACKERS = (
    RpcTracker, ClockTracker, RegistrationTracker, ConfigurationTracker, ConnectorTracker, TransactionTracker,
    ProfileTracker, ConnectionTracker,
)  # fmt: skip
_STATE = {"registration": Registration, "clock": Clock, "connections": Connections}
_LATER = {
    "connectors": Connectors, "transactions": Transactions, "configuration": Configuration, "charging": Profiles,
}  # fmt: skip
_NONE_YET = {name: make() for name, make in _LATER.items()}  # what all share that do not even need them; never filled
_IDLE = frozenset({"BootNotification", "Heartbeat"})
MAX_LEGS = 20_000
"""Repeated sessions that are remembered, the latest."""
_ASKING = frozenset({Kind.CALL, Kind.SEND})
_ERRORS = frozenset({Kind.CALLERROR, Kind.CALLRESULTERROR})
CLOSE = 8
_CONTROLS = {CLOSE: "Close", 9: "Ping", 10: "Pong"}
_CALL, _PENDING, _ANSWERED = Kind.CALL, Outcome.PENDING, Outcome.ANSWERED
_NEVER = 1 << 63
_PAIRED = frozenset({Outcome.ANSWERED, Outcome.ERROR, Outcome.LATE})


class Stations:
    """All stations of a capture, by identity. `now` is the latest time of the capture that was told, ns."""

    def __init__(self, bus: Bus, passes: Callable[[int], None] | None = None, vantage: str = "") -> None:
        """`passes` is told whenever time passes, before anything that happens then; `vantage` if it is known."""
        self._vantage = vantage
        self._bus = bus
        self._passes = passes or _nothing
        self.due_ns = _NEVER  # from when on `passes` wants to be told
        self._links: dict[int, tuple[Station, Link]] = {}  # open connections, by number
        self._ended_links: deque[tuple[Station, Link]] = deque()  # oldest first
        self._legs: dict[int, str] = {}  # connections that repeat a session → identity
        self._servers: set[Endpoint] = set()  # where OCPP was spoken or asked for
        self._held: deque[ConnectAttempt | TlsConnection] = deque()
        self.let_go = 0  # of these, since there were too many
        self._addresses: dict[str, str] = {}  # address → the identity that comes from it, "" of several
        self.by_identity: dict[str, Station] = {}  # the one heard of last is last
        self.forgotten = 0
        self.unread = UnreadCounts()
        self._since_ns = _NEVER  # since when those that are forgotten were known
        self.messages = 0
        self.now = 0
        self._hooks: dict[str, defaultdict[str, list[Callable[[Exchange], None]]]] = {
            phase: defaultdict(list) for phase in ("asked", "answered", "unanswered")
        }
        for make in _TRACKERS:
            tracker = make(bus)
            for phase, hooks in self._hooks.items():
                hook: Callable[[Exchange], None] | None = getattr(tracker, phase, None)
                if hook is not None:
                    for action in tracker.actions:
                        hooks[action].append(hook)

    def take(self, events: Iterable[Event]) -> None:
        """What the engine found next."""
        if not isinstance(events, Batch):
            for event in events:
                self._take(event)
            return
        for start, stop, after in events.parts():
            if start < stop:
                self._rows(events, start, stop)
            if after is not None:
                self._take(after)

    def _take(self, event: Event) -> None:
        if event.time_ns > self.now:
            self.now = event.time_ns
            if self.now >= self.due_ns:
                self._passes(self.now)
        if type(event) is Message:
            self._message(event)
        else:
            _TAKERS[type(event)](self, event)

    def _rows(self, batch: Batch, start: int, stop: int) -> None:
        """Ordinary messages: what `_message` would do, without making a `Message` of each."""
        texts, times, packets, _, _, _ = batch.arrivals
        links, spoilt = self._links, batch.problems
        asked, answered = self._hooks["asked"], self._hooks["answered"]
        tell = self._bus.exchange
        for place, (at, speaker, ordinal, id_, action, answers, _) in enumerate(batch.rows[start:stop], start):
            now = times[at]
            if now > self.now:
                self.now = now
                if now >= self.due_ns:
                    self._passes(now)
            found = links.get(speaker.dialogue.connection)
            if found is None:
                continue
            station, link = found
            side, problems = speaker.side, spoilt(place)
            self._heard(station, link, side, now)
            if problems:
                self.unread.message(problems)
                self._exchange(station, link, batch.message(place))
                continue
            text, packet = texts[at], packets[at]
            first = packet if isinstance(packet, int) else _first(packet)
            if answers is None:
                waiting = link.outstanding[side]
                if station.is_idle and action not in _IDLE:
                    station.furnish(_LATER)
                x = Exchange(
                    station, link, side, _CALL, action, id_, Payload(decode(text)[3]), now, ordinal, first, len(text),
                    _PENDING, (), len(waiting),
                )  # fmt: skip
                self._wait(waiting, x)
                for hook in asked.get(action, ()):
                    hook(x)
                tell("asked", x)
            elif (x_ := link.outstanding[1 - side].pop(answers, None)) is not None:
                x_.answered = Payload(decode(text)[2])
                latency = now - x_.asked_ns
                x_.done_ns, x_.latency_ns, x_.answer_ordinal, x_.answer_size = now, latency, ordinal, len(text)
                x_.answer_packet = first
                x_.outcome = _ANSWERED if latency <= speaker.dialogue.timeout_ns else Outcome.LATE
                for hook in answered.get(action, ()):
                    hook(x_)
                tell("answered", x_)
            else:
                self._exchange(station, link, batch.message(place))

    @staticmethod
    def _wait(waiting: dict[int, Exchange], x: Exchange) -> None:
        waiting[x.ordinal] = x
        if len(waiting) > MAX_OUTSTANDING:
            del waiting[next(iter(waiting))]

    def finish(self, now: int) -> None:
        """The capture is over. Connections and exchanges that are open have been told of by the engine."""
        self.now = max(self.now, now)
        self._passes(self.now)
        self._tell_held()
        for station in list(self.by_identity.values()):
            self._bus.happens(
                told.CaptureEnded(station, station.link, self.now, Ref(self.now, what="end of capture"))
            )

    def station(self, identity: str, now: int) -> Station:
        """The state of an identity, made when it is heard of first."""
        station = self.by_identity.pop(identity, None)
        if station is not None:
            self.by_identity[identity] = station
        else:
            station = Station(identity, now, {name: make() for name, make in _STATE.items()} | _NONE_YET)
            self.by_identity[identity] = station
            if len(self.by_identity) > MAX_STATIONS:
                self._forget()
        return station

    def begins_ns(self, stations: Iterable[Station]) -> int:
        """When the first of some stations was heard of, or one that is forgotten; 0 if there is none."""
        found = min((one.first_ns for one in stations), default=_NEVER)
        return min(found, self._since_ns) % _NEVER

    def _forget(self) -> None:
        """Makes room. What is still said on connections of the one that goes is not looked at."""
        known = self.by_identity
        for _ in range(MAX_PASSED_OVER):
            identity = next(iter(known))
            if not known[identity].is_connected:
                break
            known[identity] = known.pop(identity)
        station = known.pop(next(iter(known)))
        self.forgotten += 1
        self._since_ns = min(self._since_ns, station.first_ns)
        station.is_followed = False
        for link in station.links:
            if self._links.pop(link.number, None) is not None:
                self._bus.happens(told.Forgotten(station, link, self.now, Ref(self.now, link.number)))

    # --- messages -------------------------------------------------------------------------------------------------

    def _heard(self, station: Station, link: Link, side: Side, now: int) -> None:
        self.messages += 1
        link.last_heard_ns[side] = now
        link.said[side] += 1
        station.said[side] += 1
        if link.first_message_ns is None:
            link.first_message_ns = now

    def _message(self, message: Message) -> None:
        found = self._links.get(message.connection)
        if found is None:
            return
        station, link = found
        self._heard(station, link, message.side, message.time_ns)
        if message.problems:
            self.unread.message(message.problems)
        if message.frames > 1:
            self._bus.happens(told.Fragmented(station, link, message.time_ns, _ref(message), message))
        self._exchange(station, link, message)

    def _exchange(self, station: Station, link: Link, message: Message) -> None:
        """What a message is in an exchange."""
        waiting = link.outstanding[1 - message.side]
        if message.kind in _ASKING:
            self._ask(station, link, message)
        elif message.outcome in _PAIRED and (x := waiting.pop(message.reply_to or 0, None)) is not None:
            self._answer(x, message)
        else:
            self._unpaired(station, link, message)

    def _ask(self, station: Station, link: Link, message: Message) -> None:
        waiting = link.outstanding[message.side]
        if station.is_idle and message.action not in _IDLE:
            station.furnish(_LATER)
        x = Exchange(
            station, link, message.side, message.kind, message.action, message.id, said(message).payload,
            message.time_ns, message.ordinal, _first(message.packets), len(message.text), message.outcome,
            message.problems, len(waiting),
        )  # fmt: skip
        if message.kind is Kind.CALL:
            self._wait(waiting, x)
        self._tell("asked", x)
        if message.problems:
            self._object(station, link, message, x)

    def _answer(self, x: Exchange, message: Message) -> None:
        payload, code, text = said(message)
        x.answered, x.error, x.error_text = payload, code, text
        if message.kind in _ERRORS and not code:
            x.error = "?"
        x.done_ns, x.latency_ns = message.time_ns, message.latency_ns
        x.answer_ordinal, x.answer_size = message.ordinal, len(message.text)
        x.answer_packet = message.packets[0] if message.packets else 0
        x.answer_problems, x.outcome = message.problems, message.outcome
        self._tell("answered", x)
        if message.problems:
            self._object(x.station, x.link, message, x)

    def _unpaired(self, station: Station, link: Link, message: Message) -> None:
        self._bus.happens(told.Unpaired(station, link, message.time_ns, _ref(message), message))
        if message.problems:
            self._object(station, link, message, None)

    def _tell(self, phase: str, x: Exchange) -> None:
        for hook in self._hooks[phase].get(x.action, ()):
            hook(x)
        self._bus.exchange(phase, x)

    def _object(self, station: Station, link: Link, message: Message, x: Exchange | None) -> None:
        ref = _ref(message)
        for problem in message.problems:
            self._bus.objection(told.Objected(station, link, message.time_ns, ref, problem, message.side, message, x))

    # --- connections ----------------------------------------------------------------------------------------------

    def _opened(self, event: ConnectionOpened) -> None:
        connection, now = event.connection, event.time_ns
        if connection.leg_of is not None:
            self._legs[connection.number] = connection.station
            if len(self._legs) > MAX_LEGS:
                del self._legs[next(iter(self._legs))]
        if connection.leg_of is not None or not self._concerns_ocpp(connection):
            return
        station = self.station(connection.station, now)
        handshake = connection.handshake
        if handshake is not None:
            for problem in handshake.problems:
                self._object_to_connection(station, None, connection, problem, now)
        if handshake is not None and not handshake.upgraded:
            self._bus.happens(told.Refused(station, None, now, _upgrade(connection, now), connection))
            return
        known = self._links.get(connection.number)
        if known is not None:  # said again, since it turned out to speak OCPP
            known[1].connection, station.version = connection, connection.version
            return
        link = Link(connection, now)
        self._links[connection.number] = station, link
        self._seen_at(connection.flow.client.address, connection.station)
        station.link = link
        station.links.append(link)
        station.opened += 1
        station.version = connection.version
        station.vantage = self._vantage or vantage_of(connection.transport) or station.vantage
        if handshake is not None and station.known_ns is None:
            station.known_ns = now
        self._bus.happens(told.Upgraded(station, link, now, _upgrade(connection, now)))

    def _concerns_ocpp(self, connection: Connection) -> bool:
        """Whether it speaks OCPP, or asks for it without a subprotocol: by its path, or, if refused, where others
        do."""
        server, handshake = connection.flow.server, connection.handshake
        if connection.subject == "ocpp":
            if len(self._servers) < MAX_STATIONS:
                self._servers.add(server)
            return True
        if handshake is None or handshake.offered_protocols:
            return False
        by_page = any(name.lower() == "origin" for name, _ in handshake.request_headers)
        known = server in self._servers and not handshake.upgraded and not by_page
        return known or "ocpp" in handshake.target.lower()

    def _closed(self, event: ConnectionClosed) -> None:
        found = self._links.pop(event.connection.number, None)
        if found is None:
            return
        station, link = found
        link.connection = event.connection
        left_open = event.connection.close_how == "end of capture"
        link.closed_ns = None if left_open else event.time_ns
        for waiting in link.outstanding:
            waiting.clear()
        now = event.time_ns
        handshake = event.connection.handshake
        told_of = handshake.problems if handshake is not None else ()
        for problem in event.connection.problems:
            if problem not in told_of:
                self._object_to_connection(station, link, event.connection, problem, now)
        happening = told.LeftOpen if left_open else told.Closed
        self._bus.happens(happening(station, link, now, _ending(event.connection, now)))
        link.retire()
        self._ended_links.append((station, link))
        if len(self._ended_links) > MAX_ENDED:
            station, link = self._ended_links.popleft()
            if link is not station.link and link in station.links:
                station.links.remove(link)

    def _object_to_connection(
        self, station: Station, link: Link | None, connection: Connection, problem: Problem, now: int
    ) -> None:
        ref = _ending(connection, now) if problem.code.startswith(("ws.", "tcp.")) else _upgrade(connection, now)
        self._bus.objection(told.Objected(station, link, now, ref, problem, None, None, None))

    def _ended(self, event: ExchangeEnd) -> None:
        found = self._links.get(event.connection)
        x = found[1].outstanding[event.side].pop(event.ordinal, None) if found else None
        if found is None or x is None:
            return
        x.outcome, x.done_ns = event.outcome, event.time_ns
        pending = found[1].close_pending
        pending.append(x)
        if len(pending) > MAX_OUTSTANDING:
            del pending[0]
        self._tell("unanswered", x)

    def _controlled(self, event: ControlFrame) -> None:
        found = self._links.get(event.connection)
        if found is None:
            return
        station, link = found
        link.last_control_ns[event.side] = event.time_ns
        if event.opcode != CLOSE:
            link.last_heard_ns[event.side] = event.time_ns
        what = f"{ARROWS[event.side]} {_CONTROLS.get(event.opcode, 'control frame')}"
        ref = Ref(event.time_ns, link.number, -1, _first(event.packets), what)
        self._bus.happens(told.Controlled(station, link, event.time_ns, ref, event))
        for problem in event.problems:
            self._bus.objection(told.Objected(station, link, event.time_ns, ref, problem, event.side, None, None))

    def _missing(self, event: StreamGap) -> None:
        found = self._links.get(event.connection)
        if found is None:
            return
        station, link = found
        self.unread.gap(event)
        station.gap_ns = link.gap_ns = event.time_ns
        self._bus.happens(
            told.Missing(station, link, event.time_ns, Ref(event.time_ns, link.number, -1, 0, "bytes missing"), event)
        )

    def _remarked(self, event: PacketComment) -> None:
        """What the proxy did; comments of others say nothing to a rule."""
        act = act_of(event.text)
        if act is None:
            return
        station, link = self._links.get(event.connection, (None, None))
        if station is None:
            client = event.flow.client.address if event.flow is not None else ""
            leg = self._legs.get(event.connection)
            station = self.station(leg if leg is not None else self._identity_at(client), event.time_ns)
        what = f"{ARROWS[event.side]} proxy: {act.what}"
        source = Ref(event.time_ns, event.connection, event.ordinal, event.packet, what)
        self._bus.happens(told.ProxyActed(station, link, event.time_ns, source, act))

    def _outside(self, event: ConnectAttempt | TlsConnection) -> None:
        """Of a connection that says nothing of OCPP it may become clear only at the end whether it concerns us."""
        by_station = event.flow.client.address in self._addresses and isinstance(event, ConnectAttempt)
        if by_station or event.flow.server in self._servers:
            self._tell_outside(event)
        else:
            self._held.append(event)
            if len(self._held) > MAX_HELD:
                self._held.popleft()
                self.let_go += 1

    def _tell_outside(self, event: ConnectAttempt | TlsConnection) -> None:
        now = event.time_ns
        station = self.station(self._identity_at(event.flow.client.address), now)
        if isinstance(event, ConnectAttempt):
            source = Ref(now, what="→ TCP connect")
            self._bus.happens(told.Attempted(station, None, now, source, event))
        else:
            if any(event.payload_bytes) and not event.decrypted:
                self.unread.note("tls")
            source = Ref(now, packet=event.first_packet, what="→ TLS connect")
            self._bus.happens(told.Encrypted(station, None, now, source, event))

    def _tell_held(self) -> None:
        """Attempts at servers that turned out to speak OCPP; all of them, where nothing in the capture does."""
        held, self._held = self._held, deque()
        addresses = {server.address for server in self._servers}
        for event in held:
            flow = event.flow
            known = flow.server.address in addresses or flow.client.address in self._addresses
            by_browser = isinstance(event, TlsConnection) and _is_browser(event)
            if (known or not self._servers) and not by_browser:
                self._tell_outside(event)

    def _identity_at(self, address: str) -> str:
        """The station that was seen at an address, if it is the only one; else the address."""
        return self._addresses.get(address) or address

    def _seen_at(self, address: str, identity: str) -> None:
        if self._addresses.setdefault(address, identity) != identity:
            self._addresses[address] = ""  # several
        if len(self._addresses) > MAX_STATIONS:
            del self._addresses[next(iter(self._addresses))]


_TAKERS: dict[type[Any], Callable[[Stations, Any], None]] = {
    ConnectionOpened: Stations._opened,
    ConnectionClosed: Stations._closed,
    ExchangeEnd: Stations._ended,
    ControlFrame: Stations._controlled,
    StreamGap: Stations._missing,
    ConnectAttempt: Stations._outside,
    TlsConnection: Stations._outside,
    PacketComment: Stations._remarked,
}


def _ref(message: Message) -> Ref:
    what = said_by(message.side, message.kind.name, message.action[:MAX_NAME])
    return Ref(message.time_ns, message.connection, message.ordinal, _first(message.packets), what)


def _is_browser(tls: TlsConnection) -> bool:
    """Whether a client offers HTTP/2, as browsers and web clients do and stations do not."""
    return tls.client_hello is not None and "h2" in tls.client_hello.alpn


def _nothing(now: int) -> None:
    """Nobody waits."""


def _first(packets: tuple[int, ...]) -> int:
    return packets[0] if packets else 0


def _upgrade(connection: Connection, now: int) -> Ref:
    handshake = connection.handshake
    if handshake is None:
        return Ref(now, connection.number, -1, connection.first_packet, "in its middle")
    status = "no answer" if handshake.status is None else str(handshake.status)
    packets = handshake.request_packets
    return Ref(handshake.requested_ns, connection.number, -1, _first(packets), f"→ upgrade, {status}")


def _ending(connection: Connection, now: int) -> Ref:
    arrow = "--" if connection.closed_by is None else ARROWS[connection.closed_by]
    return Ref(now, connection.number, -1, 0, f"{arrow} ended: {connection.close_how or 'not seen'}")
