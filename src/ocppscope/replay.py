"""What a log says, in; the events that packets would have given, out.

The entries of a log know no packets, so that a connection begins here where a capture's has been reassembled: its
upgrade goes through the same reader of heads, its messages as frames through the same WebSocket readers, and all
that they find to the same `Track`. A line of the log stands for a packet. No I/O, no clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from msgspec.structs import replace

from ocppscope.batch import Batch
from ocppscope.capture.entries import (
    Answered,
    Asked,
    Closed,
    Controlled,
    Ended,
    Entry,
    Found,
    LogBlock,
    Lost,
    Named,
    Said,
)
from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    Endpoint,
    Event,
    Flow,
    Kind,
    Message,
    Origin,
    Outcome,
    Problem,
    Side,
    Text,
    Version,
)
from ocppscope.ocpp.exchange import Dialogue
from ocppscope.options import Options
from ocppscope.track import Track
from ocppscope.wire.http import Upgrade, UpgradeState
from ocppscope.wire.inflate import Contexts
from ocppscope.wire.transport import RoundTripTable
from ocppscope.wire.websocket import Reader

MAX_SNAPSHOTS = 1 << 17
"""Connections whose latest snapshot is kept; of more, the oldest closed ones are forgotten."""
MAX_NAMED = 64
"""CALLs of a connection that are named without an id, and wait for an answer that is."""
MAX_OPEN = 1 << 14
"""Connections that are open at a time; of more, the oldest ends."""
BATCH = 4096
"""Entries after which a batch is handed out."""
FIRST_PORT, PORTS = 40_000, 20_000

_TEXT, _BINARY = 1, 2
_CUT = Problem("ws.lost-bytes", "The log shows only the beginning of this message.")
_UNSHOWN = Problem("ws.lost-bytes", "The log names this message; its JSON is not in the log.")
_SERVER = Endpoint("192.0.2.254", 9000)  # RFC 5737: an address for documentation


class _LoggedTrack(Track):
    """A track whose station is known by name, although no upgrade says it."""

    __slots__ = ("name",)

    name: str

    def announce(self, time_ns: int) -> None:
        """Tells of the connection, unless that was told."""
        self._announce(time_ns)

    def tell(self, event: Event) -> None:
        """Hands out an event."""
        self._host.emit(event)

    def snapshot(self, closed_ns: int | None = None) -> Connection:
        """What is known now."""
        known = super().snapshot(closed_ns)
        if self.name and not (known.handshake and known.handshake.station):
            return replace(known, station=self.name)
        return known


class _Talk:
    """One connection of a log: its upgrade as far as it has come, its readers, and its track."""

    def __init__(self, track: _LoggedTrack, label: int | None, leg_of: int | None, version: Version) -> None:
        self.track = track
        self.label = label
        self.leg_of = leg_of
        self.over = False
        self._version = version  # as the log states it
        self._upgrade: Upgrade | None = Upgrade()  # None from when it is WebSocket
        self._readers = (Reader(Side.STATION, track, None), Reader(Side.CSMS, track, None))
        self._named: dict[tuple[Side, str], Message] = {}  # the latest CALLs that are named without an id

    @property
    def upgraded(self) -> bool:
        """Whether WebSocket is what is spoken."""
        return self._upgrade is None

    def ask(self, octets: bytes, time_ns: int, line: int) -> None:
        """The station's request."""
        if self._upgrade is not None:
            self._upgrade.request(octets, time_ns, line)

    def answer(self, octets: bytes, time_ns: int, line: int) -> None:
        """The response. A refusal ends the connection."""
        upgrade = self._upgrade
        if upgrade is None:
            return
        upgrade.response(octets, time_ns, line)
        for refused in upgrade.take_refusals(final=True):
            self.track.handshake(refused, time_ns, line)
        if upgrade.state is UpgradeState.UPGRADED:
            self._open(upgrade, time_ns, line)
        elif upgrade.state is UpgradeState.REFUSED:
            self.close(Side.CSMS, Closed("FIN"), time_ns)

    def _open(self, upgrade: Upgrade, time_ns: int, line: int) -> None:
        assert upgrade.handshake is not None
        self._upgrade = None
        self.track.handshake(upgrade.handshake, time_ns, line)

    def start(self, time_ns: int, line: int, timeout_ns: int, leg: int | None) -> None:
        """From here on it is WebSocket, even if the log does not say how that came about."""
        upgrade, track = self._upgrade, self.track
        if upgrade is None:
            return
        upgrade.response_lost()
        if upgrade.state is UpgradeState.UPGRADED:
            self._open(upgrade, time_ns, line)
            return
        self._upgrade = None
        track.recognised(time_ns, line)
        track.leg = leg
        if self._version is not Version.UNKNOWN:
            track.dialogue = Dialogue(track.number, self._version, guessed=False, timeout_ns=timeout_ns)

    def say(self, side: Side, said: Said, time_ns: int, line: int) -> None:
        """A data message."""
        octets = frame(_BINARY if said.binary else _TEXT, said.text, masked=side is Side.STATION)
        if said.whole:
            self._readers[side].feed(octets, time_ns, line)
            return
        origin = Origin(time_ns, (line,))
        self.track.text(side, Text(said.text, origin, len(octets), binary=said.binary, problems=(_CUT,)))

    def name(self, side: Side, named: Named, time_ns: int, line: int) -> None:
        """A message that is not shown: as much of its text as is known, for whoever pairs it."""
        origin = Origin(time_ns, (line,))
        parts: list[object] = [int(named.kind), named.id]
        if named.kind in (Kind.CALL, Kind.SEND):
            parts.append(named.action)
        head = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))[:-1] + ","
        text = Text(head.encode("utf-8", "replace"), origin, 0, problems=(_UNSHOWN,))
        if named.id:
            self.track.text(side, text)
            return
        dialogue = self.track.dialogue
        assert dialogue is not None
        self.track.announce(time_ns)
        self.track.tell(self._without_id(dialogue.read(side, text._replace(payload=b"")), named))

    def _without_id(self, message: Message, named: Named) -> Message:
        """A message of which only kind and action are known. An answer is that of the latest such CALL."""
        message = replace(message, kind=named.kind, action=named.action, outcome=Outcome.NONE)
        if named.kind is Kind.CALL:
            if len(self._named) >= MAX_NAMED:
                del self._named[next(iter(self._named))]
            self._named[message.side, named.action] = message
            return replace(message, outcome=Outcome.PENDING)
        call = self._named.pop((message.side.other, named.action), None)
        if call is None or named.kind is not Kind.CALLRESULT:
            return message
        latency = message.time_ns - call.time_ns
        return replace(message, outcome=Outcome.ANSWERED, reply_to=call.ordinal, latency_ns=latency)

    def control(self, side: Side, controlled: Controlled, time_ns: int, line: int) -> None:
        """A control frame."""
        octets = frame(controlled.opcode, controlled.payload, masked=side is Side.STATION)
        self._readers[side].feed(octets, time_ns, line)

    def close(self, side: Side | None, closed: Closed, time_ns: int) -> None:
        """The connection is over, or the log is; an upgrade that waits for its answer gets none."""
        self.over = True
        upgrade, track = self._upgrade, self.track
        if upgrade is not None and upgrade.state is UpgradeState.WAITING and upgrade.handshake is not None:
            track.handshake(upgrade.handshake, time_ns, track.first_packet)
        if closed.how in ("FIN", "RST"):
            track.closed(side, closed.how, time_ns)
            track.end(time_ns)
        else:
            track.ending.note(side, closed.how, closed.code, closed.reason)
            track.end(time_ns)


class Replay:
    """Makes events of entries. Connections are numbered as they are recognised, whatever the log calls them."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.secrets = None  # of a log
        self.summary = None  # what packets there were: none
        self.connections: dict[int, Connection] = {}  # the latest snapshots, by number
        self.batch = Batch()
        self.round_trips = RoundTripTable()  # stays empty: a log knows no segments
        self.contexts = Contexts()  # and no deflate
        self._now: int | None = None
        self._opened = 0  # connections that the log has begun
        self._enrolled = 0  # those that were recognised
        self._talks: dict[_Talk, None] = {}  # the open ones, oldest first
        self._by_label: dict[int, _Talk] = {}
        self._by_station: dict[str, list[_Talk]] = {}
        self._numbers: dict[int, int] = {}  # connections by what the log calls them
        self._addresses: dict[str, str] = {}  # of stations that the log gives none
        self._talk: _Talk | None = None  # whose entry is being read

    # --- what tracks need ---------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Hands out an event."""
        self.batch.add(event)
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            self.connections[event.connection.number] = event.connection
            if len(self.connections) > MAX_SNAPSHOTS:
                self._forget_closed()

    def _forget_closed(self) -> None:
        closed = [number for number, connection in self.connections.items() if connection.closed_ns is not None]
        for number in closed[: MAX_SNAPSHOTS // 2]:
            del self.connections[number]

    def enrol(self, track: Track) -> int:
        """The number of a connection that was just recognised."""
        number, self._enrolled = self._enrolled, self._enrolled + 1
        if self._talk is not None and self._talk.label is not None:
            _keep(self._numbers, self._talk.label, number)
        return number

    def leg_of(self, track: Track, clue: object, time_ns: int) -> int | None:
        """The connection of whose session a log says that this one repeats it."""
        return self._leg(self._talk) if self._talk else None

    def touch(self, track: Track) -> None:
        """A log holds whole messages: there is nothing to be held back."""

    def _leg(self, talk: _Talk) -> int | None:
        return None if talk.leg_of is None else self._numbers.get(talk.leg_of)

    # --- entries ------------------------------------------------------------------------------------------------

    def entries(self, entries: Iterable[Entry]) -> Batch:
        """The events of the next entries."""
        for entry in entries:
            self._now = entry.time_ns if self._now is None else max(self._now, entry.time_ns)
            if not isinstance(entry.what, Ended):
                self._entry(entry)
        return self._take_batch()

    def packets(self, block: LogBlock) -> Batch:
        """The events of the next block: a line stands for a packet. See `Engine`."""
        return self.entries(block.entries)

    def retry(self) -> Batch:
        """See `Engine`; a log waits for no keys."""
        return Batch()

    def finish(self) -> Batch:
        """The events of the end of the log: what is open is closed at the time of its last entry."""
        for talk in list(self._talks):
            self._close(talk, None, Closed("end of capture"), self._now or 0)
        return self._take_batch()

    def _take_batch(self) -> Batch:
        batch, self.batch = self.batch, Batch()
        batch.settle()
        return batch

    def _entry(self, entry: Entry) -> None:
        what, talk = entry.what, self._open_talk(entry)
        if isinstance(what, Asked | Found) and (talk is None or entry.number is None):
            talk = self._begin(entry, what.flow, what.leg_of)
        elif talk is None and isinstance(what, Closed):
            return  # of a connection that a refusal has ended, or of which nothing is known
        elif talk is None:
            talk = self._begin(entry, None, None)
        self._talk = talk
        if isinstance(what, Asked):
            talk.ask(what.head, entry.time_ns, entry.line)
        elif isinstance(what, Answered):
            talk.answer(what.octets, entry.time_ns, entry.line)
        elif isinstance(what, Closed):
            talk.close(entry.side, what, entry.time_ns)
        else:
            talk.start(entry.time_ns, entry.line, self.options.timeout_ns, self._leg(talk))
            self._pass_on(talk, entry)
        if talk.over:
            self._forget(talk)

    def _pass_on(self, talk: _Talk, entry: Entry) -> None:
        """What was said on a WebSocket."""
        what, side, time_ns = entry.what, entry.side, entry.time_ns
        if side is None:
            return
        if isinstance(what, Said):
            talk.say(side, what, time_ns, entry.line)
        elif isinstance(what, Named):
            talk.name(side, what, time_ns, entry.line)
        elif isinstance(what, Controlled):
            talk.control(side, what, time_ns, entry.line)
        elif isinstance(what, Lost):
            tell = talk.track.unread if what.captured else talk.track.lost
            tell(side, what.octets, time_ns, what.why)

    def _open_talk(self, entry: Entry) -> _Talk | None:
        if entry.number is not None:
            return self._by_label.get(entry.number)
        talks = self._by_station.get(entry.station)
        return talks[-1] if talks else None

    def _begin(self, entry: Entry, flow: Flow | None, leg_of: int | None) -> _Talk:
        """A connection of which nothing was known before this entry."""
        flow = flow or Flow(self._client(entry.station), _SERVER)
        self._opened += 1
        track = _LoggedTrack(self, (flow.client, flow.server), entry.time_ns, entry.line)
        track.name = entry.station
        version = entry.what.version if isinstance(entry.what, Found) else Version.UNKNOWN
        talk = _Talk(track, entry.number, leg_of, version)
        self._talks[talk] = None
        self._by_station.setdefault(entry.station, []).append(talk)
        if entry.number is not None:
            self._by_label[entry.number] = talk
        if len(self._talks) > MAX_OPEN:
            self._close(next(iter(self._talks)), None, Closed("end of capture"), entry.time_ns)
        return talk

    def _client(self, station: str) -> Endpoint:
        """A documentation address of the station's own (RFC 5737, RFC 3849), and a port of this connection's."""
        address = self._addresses.get(station)
        if address is None:
            count = len(self._addresses) + 1
            address = f"192.0.2.{count}" if count < 254 else f"2001:db8::{count & 0xFFFF:x}"
            _keep(self._addresses, station, address)
        return Endpoint(address, FIRST_PORT + self._opened % PORTS)

    def _close(self, talk: _Talk, side: Side | None, closed: Closed, time_ns: int) -> None:
        self._talk = talk
        talk.close(side, closed, time_ns)
        self._forget(talk)

    def _forget(self, talk: _Talk) -> None:
        del self._talks[talk]
        station = talk.track.name
        talks = self._by_station[station]
        talks.remove(talk)
        if not talks:
            del self._by_station[station]
        if talk.label is not None:
            self._by_label.pop(talk.label, None)


def _keep(table: dict[Any, Any], key: object, value: object) -> None:
    """With room for it: of more than `MAX_SNAPSHOTS`, the oldest goes."""
    if len(table) >= MAX_SNAPSHOTS:
        del table[next(iter(table))]
    table[key] = value


def replay(entries: Iterable[Entry], options: Options | None = None) -> Iterator[Batch]:
    """The events of a whole log, some thousand entries at a time."""
    engine = Replay(options)
    rest = iter(entries)
    while some := list(islice(rest, BATCH)):
        yield engine.entries(some)
    yield engine.finish()


def frame(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    """A whole frame (RFC 6455 §5.2); the mask of a station's frame is zero, so that the payload stays as it is."""
    length, mask = len(payload), 0x80 if masked else 0
    first = bytes([0x80 | opcode])
    if length < 126:
        size = bytes([mask | length])
    elif length < 1 << 16:
        size = bytes([mask | 126]) + length.to_bytes(2, "big")
    else:
        size = bytes([mask | 127]) + length.to_bytes(8, "big")
    return first + size + bytes(4 if masked else 0) + payload
