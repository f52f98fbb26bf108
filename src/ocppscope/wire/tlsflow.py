"""One TLS connection without its keys: its handshake, then how much is said, then its end.

`TlsReader` takes the ordered bytes of both directions, as a `tcp.Stream`, until both sides have sent application data
or too much else (`settled`); `TlsFlow` is the connection around it. Reads what is in the clear and decrypts nothing.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.model import (
    ClientHello,
    Endpoint,
    Flow,
    PlainReply,
    Problem,
    ServerHello,
    Side,
    TlsAlert,
    TlsConnection,
    TlsRhythm,
)
from ocppscope.wire import tls
from ocppscope.wire.link import FIN, RST
from ocppscope.wire.tcp import MODULUS, Assembler
from ocppscope.wire.tls import Handshakes, Record, Records

if TYPE_CHECKING:
    from ocppscope.wire.link import Ints
    from ocppscope.wire.tcp import Segment

MAX_HANDSHAKE_RECORDS = 256
"""Records of one side before its application data; with more, a handshake is not followed any further."""
MAX_ALERTS = 8
"""Alerts of a connection that are kept; the first ones."""
MAX_REPLY = 256
"""Bytes that are kept of a reply that is no TLS."""
MAX_PROBLEMS = 8
"""Problems of a connection that are kept; the first ones."""
FINISHED_SIZES = (53, 69)
"""How long a TLS 1.3 record is that holds a Finished message alone: its hash, and 21 bytes around it."""
MAX_BEATS = 24
"""Segments that broke a quiet of which time and size are kept, of each direction; the latest ones."""
QUIET_NS = 1_000_000_000
"""How long a direction says nothing before that is a quiet."""
FOREVER_NS = 1 << 63
"""No quiet is as long; only clocks that are wrong say so."""
MIN_SPEECH = 8
"""Bytes of a segment that says something: more than a probe of TCP, no less than the smallest record."""
MAX_FLIGHT = 4
"""Encrypted records of a TLS 1.3 client among which its Finished message is looked for."""

_LONG_MESSAGE = Problem("tls.oversize", "A handshake message is longer than is read.")
_LONG_CHAIN = Problem("tls.oversize", "A chain of certificates is longer than is kept.")
_BAD_CLIENT_HELLO = Problem("tls.malformed", "A ClientHello cannot be read.")
_BAD_SERVER_HELLO = Problem("tls.malformed", "A ServerHello cannot be read.")
_BAD_CERTIFICATE = Problem("tls.malformed", "A Certificate message cannot be read.")
_NO_RECORD = Problem("tls.not-a-record", "Bytes came where a TLS record must begin that begin none.")


class _Half:
    """One direction."""

    __slots__ = ("application_ns", "ciphered", "handshakes", "protected", "records", "records_read")

    def __init__(self) -> None:
        self.records = Records()
        self.handshakes = Handshakes()
        self.records_read = 0
        self.ciphered = False  # a ChangeCipherSpec was seen
        self.protected = 0  # records of application data, which in TLS 1.3 may hold handshake messages
        self.application_ns: int | None = None


class TlsReader:
    """What the handshake of a connection says. `client` is the client's direction, once it is known."""

    __slots__ = (
        "_halves",
        "alerts",
        "certificate_ns",
        "certificates",
        "client",
        "client_hello",
        "client_hello_ns",
        "handshake_ns",
        "hello_retry",
        "lost",
        "plain_request",
        "problems",
        "reply",
        "requested",
        "resumed",
        "server_hello",
        "server_hello_ns",
        "settled",
    )

    def __init__(self, client: int | None = None, *, plain_request: bool = False) -> None:
        """`plain_request`: the client has spoken HTTP, and TLS is only what it was answered."""
        self._halves = (_Half(), _Half())
        self.client = client
        self.plain_request = plain_request
        self.settled = False
        self.client_hello: ClientHello | None = None
        self.client_hello_ns: int | None = None
        self.server_hello: ServerHello | None = None
        self.server_hello_ns: int | None = None
        self.hello_retry = False
        self.certificates: list[tuple[bytes, ...]] = [(), ()]  # by direction
        self.certificate_ns: list[int | None] = [None, None]  # by direction
        self.requested = False
        self.resumed = False
        self.alerts: list[tuple[int, int, int | None, int | None]] = []  # time, direction, level, description
        self.handshake_ns: int | None = None
        self.lost = [0, 0]
        self.reply = b""
        self.problems: list[Problem] = []

    def held_back(self) -> int:
        """Bytes of memory that wait for the rest of their record or message."""
        return sum(half.records.held_back() + half.handshakes.held_back() for half in self._halves)

    # --- ordered bytes (tcp.Stream) -----------------------------------------------------------------------------

    def data(self, direction: int, data: bytes, time_ns: int, packet: int = 0) -> None:
        """The next bytes of a direction."""
        if self.settled:
            return
        half = self._halves[direction]
        if half.records.broken:
            if direction != self.client and self.reply:
                self.reply = (self.reply + data)[:MAX_REPLY]
            return
        if self.plain_request and direction == self.client:
            return
        for record in half.records.feed(data):
            half.records_read += 1
            self._record(direction, half, record, time_ns)
        if half.records.broken:
            self._broken(direction, half)
        if half.records_read > MAX_HANDSHAKE_RECORDS:
            self.settled = True

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        """Bytes of a direction are not in the capture."""
        if not self.settled:
            self.lost[direction] += lost
            self._halves[direction].records.gap(lost)
            self._halves[direction].handshakes = Handshakes()

    def problem(self, direction: int, problem: Problem, time_ns: int) -> None:
        """What TCP has to say is not kept."""

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        """A direction ended; see `TlsFlow`."""

    # --- records ------------------------------------------------------------------------------------------------

    def _record(self, direction: int, half: _Half, record: Record, now: int) -> None:
        kind = record.kind
        if kind == tls.APPLICATION_DATA:
            self._protected(direction, half, record, now)
        elif kind == tls.ALERT:
            self._alert(direction, half, record.body, now)
        elif kind == tls.CHANGE_CIPHER_SPEC:
            half.ciphered = True
            self.handshake_ns = now
            server_done = direction != self.client and self.server_hello is not None and not self._is_13
            if server_done and self.certificate_ns[direction] is None:
                self.resumed = True
        elif kind == tls.HANDSHAKE and half.application_ns is None:
            self.handshake_ns = now
            if not half.ciphered or self._is_13 or self.hello_retry:
                self._handshake(direction, half, record.body, now)

    @property
    def _is_13(self) -> bool:
        return self.server_hello is not None and self.server_hello.version >= tls.TLS13

    def _protected(self, direction: int, half: _Half, record: Record, now: int) -> None:
        """Application data, or in TLS 1.3 the encrypted rest of the handshake."""
        half.protected += 1
        if self._is_13 and direction == self.client and half.protected <= MAX_FLIGHT:
            self.handshake_ns = now
            if len(record.body) in FINISHED_SIZES:
                half.protected = MAX_FLIGHT
            return
        if self._is_13 and direction != self.client and self._halves[1 - direction].protected < MAX_FLIGHT:
            return
        if half.application_ns is None:
            half.application_ns = now
        self.settled = all(one.application_ns is not None or one.records.broken for one in self._halves)

    def _alert(self, direction: int, half: _Half, body: bytes, now: int) -> None:
        if len(self.alerts) >= MAX_ALERTS:
            return
        clear = len(body) == 2 and body[0] in (1, 2) and not (half.ciphered and not self._is_13)
        self.alerts.append((now, direction, body[0] if clear else None, body[1] if clear else None))

    def _handshake(self, direction: int, half: _Half, body: bytes, now: int) -> None:
        for kind, content in half.handshakes.feed(body):
            if kind == tls.CLIENT_HELLO:
                self._client_hello(direction, content, now)
            elif kind == tls.SERVER_HELLO:
                self._server_hello(direction, content, now)
            elif kind == tls.CERTIFICATE and self.certificate_ns[direction] is None:
                self._certificate(direction, content, now)
            elif kind == tls.CERTIFICATE_REQUEST:
                self.requested = True
        if half.handshakes.oversized:
            self._note(_LONG_MESSAGE)

    def _client_hello(self, direction: int, body: bytes, now: int) -> None:
        if self.client is None:
            self.client = direction
        hello = tls.client_hello(body)
        if hello is None:
            self._note(_BAD_CLIENT_HELLO)
        elif self.client_hello is None:
            self.client_hello, self.client_hello_ns = hello, now

    def _server_hello(self, direction: int, body: bytes, now: int) -> None:
        if self.client is None:
            self.client = 1 - direction
        found = tls.server_hello(body)
        if found is None:
            self._note(_BAD_SERVER_HELLO)
            return
        hello, resumed = found
        if hello.random == tls.HELLO_RETRY:
            self.hello_retry = True
        elif self.server_hello is None:
            self.server_hello, self.server_hello_ns, self.resumed = hello, now, resumed

    def _certificate(self, direction: int, body: bytes, now: int) -> None:
        found = tls.certificates(body)
        if found is None:
            self._note(_BAD_CERTIFICATE)
            return
        self.certificate_ns[direction] = now
        self.certificates[direction], whole = found
        if not whole:
            self._note(_LONG_CHAIN)

    def _broken(self, direction: int, half: _Half) -> None:
        """What comes is no TLS, or not any more."""
        if self.lost[direction]:
            pass  # it may be the middle of a record
        elif direction != self.client and self.client_hello is not None and not half.records_read:
            self.reply = half.records.rest[:MAX_REPLY]
        else:
            self._note(_NO_RECORD)
        self.settled = all(one.application_ns is not None or one.records.broken for one in self._halves)

    def _note(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS and problem not in self.problems:
            self.problems.append(problem)

    # --- what was found -----------------------------------------------------------------------------------------

    @property
    def plain_reply(self) -> PlainReply:
        """Whether one end did not speak TLS."""
        if self.plain_request:
            return PlainReply.TLS
        if not self.reply:
            return PlainReply.NONE
        return PlainReply.HTTP if self.reply.startswith(b"HTTP/"[: len(self.reply)]) else PlainReply.OTHER

    def records(self, direction: int) -> int:
        """How many records of a direction were read."""
        return self._halves[direction].records_read

    def application_ns(self, direction: int) -> int | None:
        """When a direction's application data began."""
        return self._halves[direction].application_ns


class Rhythm:
    """When a direction spoke, and after what quiet: so much of heartbeats and idle times shows without keys."""

    __slots__ = ("beats", "last_ns", "times")

    def __init__(self) -> None:
        self.last_ns = 0  # 0: it has said nothing
        self.times = 0
        self.beats: array[int] | None = None  # times, sizes and quiets in turn

    def said(self, size: int, now: int) -> None:
        """A segment with payload."""
        if size < MIN_SPEECH:
            return
        quiet_ns = now - self.last_ns if self.last_ns else 0
        if QUIET_NS <= quiet_ns < FOREVER_NS:
            self.broken(size, now, quiet_ns)
        self.last_ns = now

    def said_many(self, sizes: Ints, now: Ints) -> None:
        """The same of several segments, each of them long enough."""
        if not len(now):
            return
        quiets = np.diff(now, prepend=self.last_ns or now[0])
        for at in np.flatnonzero(quiets >= QUIET_NS).tolist():
            self.broken(int(sizes[at]), int(now[at]), int(quiets[at]))
        self.last_ns = int(now[-1])

    def broken(self, size: int, now: int, quiet_ns: int) -> None:
        """A segment after a quiet."""
        self.times += 1
        if self.beats is None:
            self.beats = array("q")
        elif len(self.beats) >= 3 * MAX_BEATS:
            del self.beats[:3]
        self.beats.extend((now, size, quiet_ns))

    def told(self) -> TlsRhythm:
        """All that is known."""
        beats = self.beats or ()
        latest = tuple(zip(beats[::3], beats[1::3], beats[2::3], strict=True))
        return TlsRhythm(self.times, latest, self.last_ns or None)


class TlsFlow:
    """A TLS connection that is followed. `ends` are its endpoints by direction; `opener` sent the SYN, if one did."""

    __slots__ = (
        "assembler",
        "closed_by",
        "closed_ns",
        "ends",
        "fin",
        "first_packet",
        "how",
        "isn",
        "last_ns",
        "next",
        "octets",
        "opened_ns",
        "opener",
        "over",
        "reader",
        "rhythms",
    )

    def __init__(
        self,
        reader: TlsReader,
        assembler: Assembler | None,
        ends: tuple[Endpoint, Endpoint],
        opened_ns: int,
        first_packet: int,
        opener: int | None,
    ) -> None:
        """`assembler` orders its segments; without one, `isn` and `next` are to be set, and `deliver` may be used."""
        self.reader = reader
        self.assembler = assembler
        self.ends = ends
        self.opened_ns = self.last_ns = opened_ns
        self.first_packet = first_packet
        self.opener = opener
        self.octets = [0, 0]  # payload bytes of TCP by direction
        self.rhythms = (Rhythm(), Rhythm())  # by direction
        self.isn, self.next = [0, 0], [0, 0]
        self.fin = [False, False]
        self.closed_by: int | None = None
        self.closed_ns: int | None = None
        self.how = ""
        self.over = False

    @property
    def settled(self) -> bool:
        """Whether only amounts and the end are still of interest."""
        return self.reader.settled

    @property
    def client(self) -> int:
        """The client's direction; where nobody knows who opened a connection, the lower port is the server's."""
        if self.reader.client is not None:
            return self.reader.client
        if self.opener is not None:
            return self.opener
        return int(self.ends[0].port < self.ends[1].port)

    @property
    def flow(self) -> Flow:
        """Client and server."""
        return Flow(self.ends[self.client], self.ends[1 - self.client])

    def deliver(self, direction: int, data: bytes, now: int) -> None:
        """The next bytes of a direction, while nothing was ever out of order."""
        self.octets[direction] += len(data)
        self.rhythms[direction].said(len(data), now)
        self.next[direction] = (self.next[direction] + len(data)) & MODULUS
        self.reader.data(direction, data, now)

    def count(self, direction: int, octets: int, now: int) -> None:
        """A segment about which only its size is of interest."""
        self.octets[direction] += octets
        self.rhythms[direction].said(octets, now)
        self.last_ns = now

    def restarts(self, segment: Segment) -> bool:
        """Whether a SYN opens another connection."""
        isn = self.isn if self.assembler is None else [half.isn for half in self.assembler.halves]
        return segment.seq != isn[segment.direction]

    def add(self, segment: Segment) -> None:
        """Any segment."""
        octets = len(segment.data) + segment.missing
        self.octets[segment.direction] += octets
        self.rhythms[segment.direction].said(octets, segment.time_ns)
        self.last_ns = segment.time_ns
        if not self.settled:
            if self.assembler is None:
                self.assembler = self._ordering()
            self.assembler.add(segment)
        if segment.flags & (FIN | RST):
            self.ends_with(segment.direction, segment.flags, segment.time_ns)

    def _ordering(self) -> Assembler:
        """What orders the segments from now on."""
        assembler = Assembler(self.reader)
        for half, isn, following in zip(assembler.halves, self.isn, self.next, strict=True):
            half.isn, half.next = isn, following
            half.delivered = following != (isn + 1) & MODULUS
        return assembler

    def ends_with(self, direction: int, flags: int, now: int) -> None:
        """A FIN or RST."""
        how = "RST" if flags & RST else "FIN"
        if not self.how:
            self.how, self.closed_by = how, direction
        self.fin[direction] = True
        if how == "RST" or all(self.fin):
            self.over = True
            self.closed_ns = now

    def told(self, now: int, how: str = "") -> TlsConnection:
        """All that is known; `how` says why nothing more is looked at, if the connection has not ended."""
        if self.assembler is not None and not self.settled:
            self.assembler.finish(now)
        reader, client = self.reader, self.client
        order = (client, 1 - client)
        by = self.closed_by
        return TlsConnection(
            time_ns=self.last_ns if self.closed_ns is None else self.closed_ns,
            flow=self.flow,
            opened_ns=self.opened_ns,
            first_packet=self.first_packet,
            closed_ns=self.closed_ns,
            closed_by=None if by is None else Side(by ^ client),
            close_how=self.how or how,
            client_hello=reader.client_hello,
            server_hello=reader.server_hello,
            hello_retry=reader.hello_retry,
            client_hello_ns=reader.client_hello_ns,
            server_hello_ns=reader.server_hello_ns,
            certificates=(reader.certificates[client], reader.certificates[1 - client]),
            certificate_ns=(reader.certificate_ns[client], reader.certificate_ns[1 - client]),
            certificate_requested=reader.requested,
            resumed=reader.resumed,
            alerts=tuple(TlsAlert(at, Side(of ^ client), level, what) for at, of, level, what in reader.alerts),
            handshake_ns=reader.handshake_ns,
            application_ns=(reader.application_ns(client), reader.application_ns(1 - client)),
            records=(reader.records(client), reader.records(1 - client)),
            payload_bytes=(self.octets[order[0]], self.octets[order[1]]),
            plain_reply=reader.plain_reply,
            reply=reader.reply.decode("latin-1"),
            lost_bytes=(reader.lost[client], reader.lost[1 - client]),
            problems=tuple(reader.problems),
            rhythm=(self.rhythms[client].told(), self.rhythms[1 - client].told()),
        )
