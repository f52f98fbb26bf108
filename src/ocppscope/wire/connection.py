"""One TCP connection observed from its first byte: what it carries, its upgrade, its WebSocket messages.

    NEW ──► HTTP ──► WEBSOCKET
     │        └────► IDLE_HTTP (kept alive without an upgrade: only a new request is looked at)
     ├──► TRIAL ──► WEBSOCKET   (the capture begins in the middle, or misses the upgrade)
     ├──► TLS                   (its handshake is read, see `tlsflow`; then somebody else follows it)
     ├──► HTTP2                 (recognised only: WebSockets over HTTP/2, RFC 8441, are not decoded)
     └──► OTHER                 (not looked at any further)

Fed with ordered bytes, from the TCP assembler or straight from a proxy's sockets; hands what it reads to a
`Listener`. Knows nothing of OCPP but how a message starts.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from ocppscope.model import Handshake, Problem, Side, Text
from ocppscope.wire.http import Upgrade, UpgradeState, looks_like_request, looks_like_response
from ocppscope.wire.inflate import Contexts, Inflater
from ocppscope.wire.tcp import Assembler
from ocppscope.wire.tlsflow import TlsReader
from ocppscope.wire.websocket import Control, Reader, State

if TYPE_CHECKING:
    from ocppscope.model import Deflate
    from ocppscope.wire.decrypt import Secrets
    from ocppscope.wire.tlsstream import TlsStream

MAX_TRIAL_BYTES = 32 << 10
"""Bytes of a direction in which WebSocket frames with OCPP must show up, when the upgrade was not captured."""
MAX_LOST = 1 << 40
"""Stands for a gap of unknown size: no frame goes on behind it."""
MAX_TORN = 8
"""Gaps of a direction remembered from before it is known what a connection carries; more count with the last."""
CALL_BYTES = 512
"""What a find that is not believed yet takes besides its bytes, roughly."""
MAX_FIRST_BYTES = 16
"""Bytes by which a connection's protocol can be told."""
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n"
"""How a client begins that takes HTTP/2 for granted (RFC 9113 §3.4), as far as it is looked at."""
MAX_TLS_RECORD = 0x48
_TLS_RECORD_TYPES = range(0x14, 0x19)


class Phase(Enum):
    """What is known of a connection's content."""

    NEW = auto()
    HTTP = auto()
    IDLE_HTTP = auto()
    TRIAL = auto()
    WEBSOCKET = auto()
    TLS = auto()
    HTTP2 = auto()
    ENDLESS_HTTP = auto()  # a head has no end within the bound
    OTHER = auto()


DEAD = frozenset({Phase.HTTP2, Phase.ENDLESS_HTTP, Phase.OTHER})
"""Phases in which nothing more is looked at."""


class Listener(Protocol):
    """Who takes what a connection carries."""

    def handshake(self, handshake: Handshake, time_ns: int, packet: int) -> None:
        """An upgrade was refused, granted, or left without an answer."""

    def recognised(self, time_ns: int, packet: int) -> None:
        """WebSocket frames were found without an upgrade."""

    def text(self, side: Side, text: Text) -> None:
        """A data message."""

    def control(self, side: Side, control: Control) -> None:
        """A control frame."""

    def lost(self, side: Side, count: int | None, time_ns: int, why: str) -> None:
        """Bytes of a direction that are not in the capture."""

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        """Captured bytes that could not be read as frames."""

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        """The first frame of a direction that breaks a rule; see `websocket.Sink`."""

    def problem(self, side: Side | None, problem: Problem) -> None:
        """Something odd about the connection as a whole."""

    def closed(self, side: Side | None, how: str, time_ns: int) -> None:
        """A direction ended ("FIN") or both did ("RST"); `side` is who did it."""


class ConnectionObserver:
    """The decoders of one connection. Directions are 0 and 1; which of them is the station's is found out."""

    __slots__ = (
        "_first",
        "_reply",
        "_torn",
        "_trial",
        "_upgrade",
        "assembler",
        "client",
        "contexts",
        "inside",
        "keys",
        "listener",
        "phase",
        "readers",
        "tls",
        "trial_bytes",
    )

    def __init__(self, listener: Listener, keys: Secrets | None = None, contexts: Contexts | None = None) -> None:
        """With `keys`, what TLS protects is looked at as well, as far as they open it. Without `contexts`, its are
        not counted with those of others."""
        self.listener = listener
        self.contexts = contexts or Contexts()
        self.keys = keys
        self.inside: TlsStream | None = None  # TLS is decrypted; all other members are about what is in it
        self.assembler = Assembler(self)
        self.phase = Phase.NEW
        self.client: int | None = None  # the direction whose bytes come from the station
        self.readers: list[Reader | None] = [None, None]  # by direction
        self.tls: TlsReader | None = None
        self._reply = b""  # the first bytes that answer an upgrade, while they may be TLS
        self._upgrade: Upgrade | None = None
        self._torn: list[tuple[int, int, int, str]] = []  # gaps from before it is known what the connection carries
        self._first: tuple[bytearray, bytearray] | None = None
        self._trial: tuple[_Trial, _Trial] | None = None

    def side(self, direction: int) -> Side:
        """Who sends in this direction, as far as it is known."""
        return Side.STATION if direction == (self.client or 0) else Side.CSMS

    # --- ordered bytes ----------------------------------------------------------------------------------------

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        """The next bytes of a direction."""
        phase = self.phase
        if phase is Phase.WEBSOCKET:
            reader = self.readers[direction]
            if reader is not None:
                reader.feed(data, time_ns, packet)
        elif phase is Phase.HTTP:
            self._http(direction, data, time_ns, packet)
        elif phase is Phase.NEW:
            self._classify(direction, data, time_ns, packet)
        elif phase is Phase.TRIAL:
            self._try(direction, data, time_ns, packet)
        elif self.tls is not None:
            self.tls.data(direction, data, time_ns)

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """`lost` bytes of a direction were not captured."""
        if self.phase is Phase.WEBSOCKET:
            self.listener.lost(self.side(direction), lost, time_ns, why)
            reader = self.readers[direction]
            if reader is not None:
                reader.gap(lost, time_ns)
        elif self.phase is Phase.HTTP and self._upgrade is not None:
            self._http_gap(direction, lost, time_ns, why)
        elif self.phase is Phase.NEW:
            self._tear(direction, lost, time_ns, why)
            self._first = None
        elif self.phase is Phase.TRIAL and self._trial is not None:
            self._trial[direction].restart()
        elif self.tls is not None:
            self.tls.gap(direction, lost, time_ns, why)

    def torn(self, direction: int, lost: int | None, time_ns: int, why: str) -> None:
        """As `gap`, where nobody may know how much is missing."""
        if lost is not None:
            self.gap(direction, lost, time_ns, why)
        elif self.phase is Phase.WEBSOCKET:
            self.listener.lost(self.side(direction), None, time_ns, why)
            reader = self.readers[direction]
            if reader is not None:
                reader.gap(MAX_LOST, time_ns)
        else:
            self.gap(direction, 1, time_ns, why)

    def problem(self, direction: int, problem: Problem, time_ns: int) -> None:
        """An oddity of the TCP layer."""
        self.listener.problem(self.side(direction), problem)

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        """A direction ended, or the connection was reset."""
        reader = self.readers[direction]
        if how == "FIN" and reader is not None:
            reader.finish(time_ns)
        self.listener.closed(self.side(direction), how, time_ns)
        if how == "RST" or all(half.ended for half in self.assembler.halves):
            self.finish(time_ns)

    def finish(self, time_ns: int) -> None:
        """Nothing more will come."""
        if self.phase is Phase.TRIAL and self._trial is not None:
            for direction, trial in enumerate(self._trial):
                if self.phase is Phase.TRIAL and trial.finish(time_ns):
                    self._settle_trial(direction, trial, time_ns, 0)
        if self.phase is Phase.HTTP and self._upgrade is not None:
            self._tell_refusals(self._upgrade, time_ns, 0, final=True)
            handshake = self._upgrade.handshake
            self._upgrade = None
            if handshake is not None and handshake.status is None:
                self.listener.handshake(handshake, time_ns, handshake.request_packets[0])
        for reader in self.readers if self.client == 0 else self.readers[::-1]:  # the station's first
            if reader is not None:
                reader.finish(time_ns)

    # --- what it holds ----------------------------------------------------------------------------------------

    def held_back(self) -> int:
        """Bytes of memory that wait for what completes them, roughly: frames, messages, heads, holes."""
        held = 0 if self.assembler.plain else self.assembler.held_back()
        if self.inside is not None:
            held += self.inside.held_back()
        if self.phase is Phase.WEBSOCKET:
            for reader in self.readers:
                if reader is not None and not reader.idle:
                    held += reader.held_back()
        elif self._upgrade is not None:
            held += self._upgrade.held_back() + len(self._reply)
        elif self._trial is not None:
            held += sum(trial.held_back() for trial in self._trial)
        return held

    def let_go(self, time_ns: int, why: str) -> None:
        """Gives up what a WebSocket holds, and goes on."""
        self.assembler.finish(time_ns, why)
        for reader in self.readers:
            if reader is not None and not reader.idle:
                reader.let_go()

    def forget_contexts(self) -> None:
        """No compressed message will come any more."""
        for reader in self.readers:
            if reader is not None:
                reader.forget_context()
        for trial in self._trial or ():
            trial.clear()

    def release(self) -> None:
        """Nobody will feed it any more. Only what it was is kept, and no circle, which would outlive it."""
        self.readers = [None, None]
        self._upgrade = self._first = self._trial = self.inside = None
        del self.assembler, self.listener

    # --- what it is -------------------------------------------------------------------------------------------

    def _classify(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        first = self._first or (bytearray(), bytearray())
        begins = bytes(first[direction]) + data
        request, response = looks_like_request(begins), looks_like_response(begins)
        if request or response:
            self.client = direction if request else 1 - direction
            self._first = None
            self._upgrade = Upgrade()
            self.phase = Phase.HTTP
            self._http(direction, begins, time_ns, packet)
        elif begins.startswith(HTTP2_PREFACE):
            self.client, self.phase = direction, Phase.HTTP2
        elif (request is None or response is None or _may_be_tls(begins) or HTTP2_PREFACE.startswith(begins)) and len(
            begins
        ) < MAX_FIRST_BYTES:
            first[direction].extend(data)
            self._first = first
        elif is_tls(begins) and self.keys is not None:
            self._look_inside(self.keys, first[1 - direction], direction, begins, time_ns, packet)
        elif is_tls(begins):
            self.phase, self.tls = Phase.TLS, TlsReader()
            for one, lost, when, why in self._torn:
                self.tls.gap(one, lost, when, why)
            for one, held in ((1 - direction, bytes(first[1 - direction])), (direction, begins)):
                if held:
                    self.tls.data(one, held, time_ns)
        elif self.assembler.halves[direction].isn is not None and not self._torn:
            self.phase = Phase.OTHER
        else:
            self._start_trial()
            self._try(direction, begins, time_ns, packet)

    def _look_inside(
        self, keys: Secrets, before: bytearray, direction: int, data: bytes, time_ns: int, packet: int
    ) -> None:
        """From here on the assembler feeds a decryptor, and that feeds us, as if nothing had been seen yet."""
        from ocppscope.wire.decrypt import Decryptor  # noqa: PLC0415 - only who has keys needs it
        from ocppscope.wire.tlsstream import TlsStream  # noqa: PLC0415

        torn, self._torn, self._first, self.keys = self._torn, [], None, None
        self.inside = self.assembler.stream = TlsStream(self, TlsReader(), Decryptor(keys))
        for one, lost, when, why in torn:
            self.inside.gap(one, lost, when, why)
        for one, held in ((1 - direction, bytes(before)), (direction, data)):
            if held:
                self.inside.data(one, held, time_ns, packet)

    # --- HTTP -------------------------------------------------------------------------------------------------

    def _http(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        upgrade = self._upgrade
        assert upgrade is not None
        if direction != self.client and upgrade.is_unanswered:
            data = self._reply + data
            self._reply = data if _may_be_tls(data) else b""
            if is_tls(data):
                self._answered_in_tls(upgrade, direction, data, time_ns, packet)
            if self._reply or self._upgrade is None:
                return
        if direction == self.client:
            upgrade.request(data, time_ns, packet)
        else:
            upgrade.response(data, time_ns, packet)
        state = upgrade.state
        handshake = upgrade.handshake
        over = state in (UpgradeState.UPGRADED, UpgradeState.NOT_HTTP)
        self._tell_refusals(upgrade, time_ns, packet, final=over)
        if state is UpgradeState.UPGRADED:
            assert handshake is not None
            self._upgraded(handshake, upgrade, direction, time_ns, packet)
        elif state is UpgradeState.NOT_UPGRADE:
            self.phase = Phase.IDLE_HTTP
        elif state is UpgradeState.NOT_HTTP:
            endless = any(problem.code == "http.header-too-large" for problem in upgrade.problems)
            self.phase = Phase.ENDLESS_HTTP if endless else Phase.OTHER

    def _answered_in_tls(self, upgrade: Upgrade, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        """A request in the clear went to a port that speaks TLS."""
        self._tell_refusals(upgrade, time_ns, packet, final=True)
        if upgrade.handshake is not None:
            self.listener.handshake(upgrade.handshake, time_ns, packet)
        self._upgrade = None
        self.phase, self.tls = Phase.TLS, TlsReader(self.client, plain_request=True)
        self.tls.data(direction, data, time_ns)

    def _tell_refusals(self, upgrade: Upgrade, time_ns: int, packet: int, *, final: bool) -> None:
        for handshake in upgrade.take_refusals(final=final):
            self.listener.handshake(handshake, time_ns, packet)

    def _upgraded(self, handshake: Handshake, upgrade: Upgrade, direction: int, time_ns: int, packet: int) -> None:
        self.listener.handshake(handshake, time_ns, packet)
        self._tell_torn()
        self._open_readers(handshake.deflate)
        assert self.client is not None
        self._upgrade = None
        for owner, pieces in zip((self.client, 1 - self.client), upgrade.early, strict=True):
            reader = self.readers[owner]
            for data, came in pieces:
                if reader is not None:
                    reader.feed(data, time_ns, came)

    def _open_readers(self, deflate: Deflate | None) -> None:
        self.phase = Phase.WEBSOCKET
        for direction in (0, 1):
            side = self.side(direction)
            inflater = None
            if deflate is not None:
                fresh = (
                    deflate.station_no_context_takeover if side is Side.STATION else deflate.csms_no_context_takeover
                )
                inflater = Inflater(takeover=not fresh, contexts=self.contexts)
            self.readers[direction] = Reader(side, self.listener, inflater)
        self._introduce_inflaters()

    def _introduce_inflaters(self) -> None:
        """After a loss, ids that one direction used help to read the other."""
        one, other = (reader.inflater if reader else None for reader in self.readers)
        if one is not None and other is not None:
            one.peer, other.peer = other, one

    def _tear(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """Remembers a gap to tell of once the connection is known."""
        own = [at for at, gap in enumerate(self._torn) if gap[0] == direction]
        if len(own) < MAX_TORN:
            self._torn.append((direction, lost, time_ns, why))
        else:
            _, before, since_ns, reason = self._torn[own[-1]]
            self._torn[own[-1]] = (direction, before + lost, since_ns, reason)

    def _tell_torn(self) -> None:
        for direction, lost, time_ns, why in self._torn:
            self.listener.lost(self.side(direction), lost, time_ns, why)
        self._torn.clear()

    def _http_gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """Bytes are missing around the upgrade: if one was asked for, WebSocket may follow."""
        upgrade = self._upgrade
        assert upgrade is not None
        self._tell_refusals(upgrade, time_ns, 0, final=True)
        if upgrade.handshake is None or upgrade.state is not UpgradeState.WAITING:
            self.phase = Phase.NEW
            self._upgrade = None
            self._tear(direction, lost, time_ns, why)
            return
        upgrade.response_lost()
        handshake = upgrade.handshake
        self.listener.handshake(handshake, time_ns, handshake.request_packets[-1] if handshake.request_packets else 0)
        self._start_trial()
        self.listener.lost(self.side(direction), lost, time_ns, why)
        assert self.client is not None
        for data, came in upgrade.early[0]:
            self.data(self.client, data, time_ns, came)

    # --- no upgrade seen --------------------------------------------------------------------------------------

    def _start_trial(self) -> None:
        self.phase = Phase.TRIAL
        self._trial = (self._new_trial(0), self._new_trial(1))

    def _new_trial(self, direction: int) -> _Trial:
        sides = (Side.STATION, Side.CSMS) if self.client is None else (self.side(direction),)
        return _Trial(sides, self.contexts)

    def _try(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        assert self._trial is not None
        trial = self._trial[direction]
        room = MAX_TRIAL_BYTES - trial.fed
        data, rest = data[:room], data[room:]
        if data and trial.feed(data, time_ns, packet):
            self._settle_trial(direction, trial, time_ns, packet)
            if rest:
                self.data(direction, rest, time_ns, packet)
        elif rest:
            self.phase = Phase.OTHER

    def _settle_trial(self, direction: int, trial: _Trial, time_ns: int, packet: int) -> None:
        """One direction reads as WebSocket: the roles are known, and the other direction follows."""
        assert self._trial is not None
        side = trial.readers[0].side
        self.client = direction if side is Side.STATION else 1 - direction
        self.phase = Phase.WEBSOCKET
        self.listener.recognised(time_ns, packet)
        self._tell_torn()
        other = self._trial[1 - direction]
        self.readers[direction] = trial.readers[0]
        if not other.readers:
            other.restart()
        self.readers[1 - direction] = next(reader for reader in other.readers if reader.side is side.other)
        self._trial = None
        self._introduce_inflaters()
        for one, believed in ((trial, self.readers[direction]), (other, self.readers[1 - direction])):
            one.pass_on(self.listener, believed)
            one.clear(but=believed)


class _Trial:
    """The readers that try to make sense of one direction; their finds are held until one of them is believed."""

    __slots__ = ("_contexts", "_sides", "fed", "readers")

    def __init__(self, sides: tuple[Side, ...], contexts: Contexts) -> None:
        self._sides, self._contexts = sides, contexts
        self.fed = 0
        self.readers: list[Reader] = []  # none before there is something to read

    def held_back(self) -> int:
        """Bytes of memory that wait in it, roughly."""
        held = 0
        for reader in self.readers:
            held += reader.held_back()
            if isinstance(reader.sink, _Held):
                held += reader.sink.bytes
        return held

    def restart(self) -> None:
        """Forgets what was fed: bytes are missing after it."""
        self.clear()
        for side in self._sides:
            inflater = Inflater(takeover=True, midstream=True, contexts=self._contexts)
            self.readers.append(Reader(side, _Held(), inflater, synced=False))

    def clear(self, but: Reader | None = None) -> None:
        """Lets go of the readers, one of which may go on elsewhere."""
        for reader in self.readers:
            if reader is not but:
                reader.forget_context()
        self.readers = []

    def feed(self, data: bytes, time_ns: int, packet: int) -> bool:
        """Whether one of the readers has found frames; it is the first of `readers` then."""
        self.fed += len(data)
        if not self.readers:
            self.restart()
        for reader in self.readers:
            reader.feed(data, time_ns, packet)
        return self._found()

    def finish(self, time_ns: int) -> bool:
        """As `feed`, with what there is."""
        for reader in self.readers:
            if reader.state is State.SEARCHING:
                reader.finish(time_ns)
        return self._found()

    def _found(self) -> bool:
        """Of two that have found frames the one counts that needed fewer bytes for it."""
        self.readers.sort(key=lambda reader: reader.found_after or MAX_LOST)
        return bool(self.readers) and self.readers[0].found_after > 0

    def pass_on(self, listener: Listener, believed: Reader | None) -> None:
        """Hands what one reader has found to the listener, which takes its finds from now on."""
        if believed is None:
            return
        held, believed.sink = believed.sink, listener
        if isinstance(held, _Held):
            held.replay(listener)


class _Held:
    """A sink that keeps what it is given, until it is known whether to believe it."""

    __slots__ = ("_calls", "bytes")

    def __init__(self) -> None:
        self._calls: list[tuple[str, tuple[object, ...], dict[str, bool]]] = []
        self.bytes = 0  # of memory, roughly

    def text(self, side: Side, text: Text) -> None:
        self.bytes += len(text.payload) + CALL_BYTES
        self._calls.append(("text", (side, text), {}))

    def control(self, side: Side, control: Control) -> None:
        self.bytes += len(control.payload) + CALL_BYTES
        self._calls.append(("control", (side, control), {}))

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        self.bytes += CALL_BYTES
        self._calls.append(("unread", (side, count, time_ns, why), {}))

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        self.bytes += len(octets) + CALL_BYTES
        arguments = {"continues": continues, "compressed": compressed}
        self._calls.append(("violation", (side, octets), arguments))

    def replay(self, listener: Listener) -> None:
        for name, arguments, named in self._calls:
            getattr(listener, name)(*arguments, **named)
        self._calls.clear()


def _may_be_tls(data: bytes) -> bool:
    """Whether bytes are the start of a TLS record header that is not whole yet."""
    return len(data) < 5 and is_tls(data + b"\x16\x03\x00\x00\x00"[len(data) :])


def is_tls(data: bytes | bytearray) -> bool:
    """Whether bytes begin with a TLS record header (RFC 8446 §5.1)."""
    if len(data) < 5 or data[0] not in _TLS_RECORD_TYPES or data[1] != 3 or data[2] > 4:
        return False
    return int.from_bytes(data[3:5], "big") <= MAX_TLS_RECORD << 8
