"""One TLS connection, decrypted: ordered bytes of both directions in, as TCP delivers them, plaintext out.

    piece ── in the clear ──► negotiation
      └───── encrypted ─────► queue (until its keys are known) ──► half.open ──► application data ──► Plain
                                                                      ├──► handshake ──► negotiation, next key
                                                                      └──► alert
Encrypted records of both directions keep their order, so that what an answer answers comes before it. A connection
that cannot be decrypted, or not any further, says so in `why`. Nothing that a peer sends raises anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.tlsnames import suite_name
from ocppscope.wire import tls
from ocppscope.wire.decrypt import midway
from ocppscope.wire.decrypt.half import APPLICATION, EARLY, HANDSHAKE, MAX_SLACK, SESSION, Half
from ocppscope.wire.decrypt.keylog import APPLICATION as APPLICATION_LABELS
from ocppscope.wire.decrypt.negotiation import EARLY_DATA, NEW_SESSION_TICKET, Negotiation, certificates, extensions
from ocppscope.wire.decrypt.records import HEADER
from ocppscope.wire.decrypt.results import Alert, Out, Plain, PlainGap
from ocppscope.wire.decrypt.waiting import Held, Queue

if TYPE_CHECKING:
    from ocppscope.wire.decrypt.half import Hole
    from ocppscope.wire.decrypt.keylog import Secrets

MAX_EARLY = 1 << 16
"""Bytes of early data that wait for the server to accept them."""
MAX_EARLY_RECORDS = 256
"""Records of early data that are passed over where there is no secret for them."""
MAX_MISFITS = 4
"""Records that do not fit at the start of a direction before its keys are called wrong."""
MAX_UNKNOWN = 64
"""The same where keys of the handshake are missing, so that its records cannot fit."""
MAX_ATTEMPTS = 8
"""Records with which a place is looked for in a connection captured midway."""
DEPTHS = {3: 1, 5: 2}
"""Those that try many sequence numbers, and how many; the first records may still be of the handshake."""
MAX_ALERTS = 8
"""Alerts that are kept; the first ones."""
MAX_UNALIGNED = 1 << 20
"""Bytes in which the next record is looked for."""

_PROTECTED = tls.APPLICATION_DATA
_ENCRYPTED_EXTENSIONS, _CERTIFICATE, _END_OF_EARLY, _FINISHED, _KEY_UPDATE = 8, 11, 5, 20, 24
_MISFIT = "The secrets do not fit this connection: its records cannot be opened."
_MIDWAY = (
    "The capture begins in the middle of the connection, and no secrets of the key log open it; with TLS 1.2 or "
    "older the handshake is needed."
)
_UNTRIED = " Not all that the key log holds was tried on it."
_NO_RECORDS = "No TLS records can be found in what was sent."
_RENEGOTIATED = "The connection was negotiated anew, and there are no secrets for what came then."
_UNOPENED = "their records could not be opened"
_EARLY_LOST = "early data whose secret is not in the key log"
_EARLY_MORE = "more early data than is kept"
_EARLY_OPEN = "early data, of which the capture does not show whether the server took it"


class Decryptor:
    """A connection. `finish` has to be called at its end. `client` is the client's direction, once it is known.

    `why` is "" while all may go well, else a sentence why nothing (more) is decrypted; `whys` is by direction.
    """

    def __init__(self, secrets: Secrets) -> None:
        self.why = ""
        self.whys = ["", ""]
        self.alerts: list[Alert] = []
        self.alpn = ""  # the protocol chosen inside the encrypted handshake of TLS 1.3
        self.certificates: list[tuple[bytes, ...]] = [(), ()]  # by direction, DER, where TLS 1.3 encrypted them
        self.renegotiations = 0
        self._secrets = secrets
        self._seen = -1  # the version of the secrets that was tried last
        self._negotiation = Negotiation()
        self._halves = (Half(), Half())
        self._queue = Queue(secrets, self._let_go)
        self._keyed = False  # the keys of the present handshake are in place
        self._attempts = 0
        self._budget = midway.Budget(secrets)
        self._final = False
        self._early: Out = []
        self._early_bytes = 0
        self._early_accepted: bool | None = None  # until the server says so
        self._early_unread = False
        self._out: Out = []

    @property
    def client(self) -> int | None:
        """The client's direction, once it is known."""
        return self._negotiation.client

    @property
    def suite(self) -> str:
        """The name of the cipher suite, "" while it is not known."""
        chosen = self._negotiation.server
        return "" if chosen is None else suite_name(chosen.suite)

    @property
    def records(self) -> int:
        """How many records were opened."""
        return sum(half.opened for half in self._halves)

    def held_back(self) -> int:
        """Bytes of memory that wait for the rest of a record, a message or a handshake, or for the server's consent;
        those that wait for keys are bounded by `Queue`."""
        halves = sum(len(half.reader.rest) + half.handshakes.held_back() for half in self._halves)
        return halves + self._negotiation.held_back() + min(self._early_bytes, MAX_EARLY)

    @property
    def waits(self) -> bool:
        """Whether records wait for secrets: `retry` when some were added."""
        return bool(self._queue)

    def steady(self, direction: int) -> Half | None:
        """A direction whose next records may be opened at a stretch, see `ahead`; None while they may not."""
        half = self._halves[direction]
        if self.why or self.whys[direction] or self._queue or self._early_bytes or not half.is_steady:
            return None
        return half

    # --- ordered bytes ------------------------------------------------------------------------------------------

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> Out:
        """The next bytes of a direction; what can be read because of them."""
        if self.why or self.whys[direction]:
            return []
        half = self._halves[direction]
        pieces = half.reader.feed(data)
        if self._queue and self._seen != self._secrets.version:
            self._drain()
        if not pieces:
            if half.reader.passed_over > MAX_UNALIGNED:
                self._stop(direction, _NO_RECORDS, time_ns)
            return self._taken()
        parts: list[bytes] = []
        for piece in pieces:
            waits = self._queue or self._early_bytes
            if half.current is None or waits or piece.lost or piece.header[0] != _PROTECTED:
                self._flush(direction, parts, time_ns, packet)
                self._piece(Held(direction, piece, time_ns, packet))
                continue
            opened = half.open(piece)
            if opened is not None and opened[0] == _PROTECTED and half.hole is None:
                half.application += 1
                parts.append(opened[1])
            else:
                self._flush(direction, parts, time_ns, packet)
                self._opened(direction, half, opened, time_ns, packet)
        self._flush(direction, parts, time_ns, packet)
        return self._taken()

    def gap(self, direction: int, lost: int, time_ns: int, why: str = "") -> Out:
        """`lost` bytes of a direction are not in the capture. What is missing is told with the next record."""
        if self.why or lost <= 0:
            return []
        half = self._halves[direction]
        half.why = why
        if not self._keyed:
            half.handshakes = tls.Handshakes()
            self._negotiation.broken_off()
        for piece in half.reader.gap(lost):
            self._piece(Held(direction, piece, time_ns, 0))
        return self._taken()

    def retry(self) -> Out:
        """Secrets were added: what can be read because of them."""
        if self._queue and not self.why and self._seen != self._secrets.version:
            self._drain()
        return self._taken()

    def finish(self, time_ns: int) -> Out:
        """Nothing more will come: reads what can be read, and says what is missing at the end."""
        self._final = True
        if not self.why:
            self._drain()
            self._end_early(time_ns)
            for direction, half in enumerate(self._halves):
                if half.application and (half.has_lost or half.reader.pending):
                    self._out.append(PlainGap(direction, None, time_ns, half.why or "the last record is not whole"))
        self._forget()
        return self._taken()

    def _taken(self) -> Out:
        out, self._out = self._out, []
        return out

    def _flush(self, direction: int, parts: list[bytes], time_ns: int, packet: int) -> None:
        if parts:
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            if data:
                self._out.append(Plain(direction, data, time_ns, packet))

    # --- records ------------------------------------------------------------------------------------------------

    def _piece(self, one: Held) -> None:
        """A record: one in the clear is read at once, an encrypted one in its turn."""
        if self.why:
            return
        half = self._halves[one.direction]
        kind = one.piece.header[0]
        is_13 = self._negotiation.is_13
        if kind == tls.CHANGE_CIPHER_SPEC and is_13:
            return  # for middleboxes only (RFC 8446 D.4)
        if kind in (tls.HANDSHAKE, tls.ALERT) and not half.ciphered:
            if not is_13 and not one.piece.damaged:
                self._in_clear(one)
            return
        if kind == tls.CHANGE_CIPHER_SPEC:
            half.ciphered = True
        if self._queue:
            self._queue.append(one)
            if not self._keyed and self._lacks_hello and self._queue and self._find_keys(one):
                self._drain()
        elif not self._secure(one):
            self._queue.append(one)

    def _in_clear(self, one: Held) -> None:
        if one.piece.header[0] != tls.HANDSHAKE:
            return
        half = self._halves[one.direction]
        if one.piece.lost:
            half.handshakes = tls.Handshakes()
        for kind, body in half.handshakes.feed(one.piece.body):
            self._negotiate(one.direction, kind, body)
        if self._negotiation.is_13:
            for each in self._halves:
                each.ciphered = False  # a ChangeCipherSpec before the version was known
            self._drain()

    def _negotiate(self, direction: int, kind: int, body: bytes) -> None:
        if kind == tls.CLIENT_HELLO and self._keyed:
            self.renegotiations += 1
        if kind in (tls.CLIENT_HELLO, tls.SERVER_HELLO):
            self._keyed = False
        self._negotiation.message(direction, kind, body)
        if kind == NEW_SESSION_TICKET:
            self._negotiation.remember(self._secrets)

    def _secure(self, one: Held) -> bool:
        """Opens an encrypted record; False if it has to wait for keys."""
        half = self._halves[one.direction]
        if not self._keyed and half.current is None and not self._find_keys(one):
            return bool(self.why)
        if self.whys[one.direction]:
            return True
        if one.piece.header[0] == tls.CHANGE_CIPHER_SPEC and (half.current is None or self._negotiation.is_13):
            if not self._negotiation.is_13:
                half.change()
            return True
        self._opened(one.direction, half, half.open(one.piece), one.time_ns, one.packet)
        return True

    def _opened(
        self, direction: int, half: Half, opened: tuple[int, bytes] | None, time_ns: int, packet: int
    ) -> None:
        """What a record holds, or that it could not be opened."""
        if opened is None:
            self._unopened(direction, half, time_ns)
            return
        if self._early_bytes and direction == self.client and half.current and half.current.name != EARLY:
            self._end_early(time_ns)
        hole, half.hole = half.hole, None
        if hole is not None:
            self._tell(direction, half, hole, time_ns)
        kind, data = opened
        if kind == tls.APPLICATION_DATA:
            self._application(direction, half, data, time_ns, packet)
        elif kind == tls.HANDSHAKE:
            self._inner(direction, half, data, time_ns)
        elif kind == tls.ALERT and len(data) == 2 and len(self.alerts) < MAX_ALERTS:
            self.alerts.append(Alert(time_ns, direction, data[0], data[1]))
        elif kind == tls.CHANGE_CIPHER_SPEC:
            self._changed(half, time_ns)

    def _tell(self, direction: int, half: Half, hole: Hole, time_ns: int) -> None:
        self._out.append(PlainGap(direction, hole.lost, time_ns, half.why or _UNOPENED))
        half.why = ""

    def _unopened(self, direction: int, half: Half, time_ns: int) -> None:
        if half.opened:
            return
        names = {epoch.name for epoch in half.upcoming} | ({half.current.name} if half.current else set())
        whole = half.slack <= half.misfits and (HANDSHAKE in names or APPLICATION not in names)
        most = MAX_MISFITS if whole else MAX_UNKNOWN
        if self._negotiation.offers_early and direction == self.client and EARLY not in names:
            most, self._early_unread = MAX_EARLY_RECORDS, True
        if half.misfits > most or not names:
            self._stop(direction, _MISFIT, time_ns)

    def _application(self, direction: int, half: Half, data: bytes, time_ns: int, packet: int) -> None:
        half.application += 1
        if half.current is not None and half.current.name == EARLY:
            self._early_bytes += len(data)
            if data and self._early_bytes <= MAX_EARLY:
                self._early.append(Plain(direction, data, time_ns, packet))
        elif data:
            self._out.append(Plain(direction, data, time_ns, packet))

    # --- handshake messages inside ------------------------------------------------------------------------------

    def _inner(self, direction: int, half: Half, data: bytes, time_ns: int) -> None:
        for kind, body in half.handshakes.feed(data):
            if half.current is not None and half.current.name == SESSION:
                self._negotiate(direction, kind, body)
            else:
                self._inner_13(direction, half, kind, body, time_ns)

    def _inner_13(self, direction: int, half: Half, kind: int, body: bytes, time_ns: int) -> None:
        epoch = half.current.name if half.current is not None else ""
        if kind == _KEY_UPDATE and epoch == APPLICATION:
            half.update()
        elif kind == _FINISHED and epoch == HANDSHAKE:
            half.change()
            if direction == self.client:
                self._end_early(time_ns)
        elif kind == _END_OF_EARLY and epoch == EARLY:
            self._take_early(direction, time_ns)
            half.change()
        elif kind == _ENCRYPTED_EXTENSIONS:
            found = extensions(body)
            self._early_accepted = EARLY_DATA in found
            protocols = found.get(tls.ALPN, b"")
            self.alpn = protocols[3 : 3 + protocols[2]].decode("latin-1") if len(protocols) > 3 else ""
        elif kind == _CERTIFICATE and not self.certificates[direction]:
            self.certificates[direction] = certificates(body)

    def _take_early(self, direction: int, time_ns: int) -> None:
        self._out += self._early
        if self._early_bytes > MAX_EARLY:
            self._out.append(PlainGap(direction, None, time_ns, _EARLY_MORE))
        self._early.clear()
        self._early_bytes = 0

    def _end_early(self, time_ns: int) -> None:
        """What becomes of early data whose end was not seen; what was refused is sent again."""
        client, accepted = self.client, self._early_accepted
        if client is not None and accepted:
            self._take_early(client, time_ns)
            if self._early_unread:
                self._out.append(PlainGap(client, None, time_ns, _EARLY_LOST))
        elif client is not None and accepted is None and self._early_bytes:
            self._out.append(PlainGap(client, None, time_ns, _EARLY_OPEN))
        self._early.clear()
        self._early_bytes, self._early_unread = 0, False

    def _changed(self, half: Half, time_ns: int) -> None:
        """A ChangeCipherSpec under keys: a renegotiation comes to its end."""
        if self._keyed or self._install():
            half.change()
            return
        half.current, half.low = None, 0
        fault = self._negotiation.fault()
        if fault or self._final or not self._secrets.may_grow:
            self._give_up(fault or _RENEGOTIATED, time_ns)

    # --- keys ---------------------------------------------------------------------------------------------------

    def _find_keys(self, one: Held) -> bool:
        """Puts the keys in place that the handshake and the secrets give; False if some are missing."""
        negotiation, secrets = self._negotiation, self._secrets
        if self._seen != secrets.version:
            self._seen, self._attempts = secrets.version, 0
        if fault := negotiation.fault():
            self._give_up(fault, one.time_ns)
            return False
        settled = self._final or not secrets.may_grow
        if not self._lacks_hello:
            if (settled or negotiation.complete(secrets)) and self._install():
                return True
        elif one.direction == self.client and negotiation.offers_early and not self._final:
            return False  # the ServerHello is to come
        elif self._search(one):
            return True
        else:
            settled = self._final or (settled and not self._may_search)
        if settled:
            unknown = not negotiation.random and negotiation.server is None
            why = _MIDWAY if unknown else negotiation.obstacle(secrets)
            self._give_up(why + _UNTRIED * self._budget.is_short, one.time_ns)
        return False

    @property
    def _lacks_hello(self) -> bool:
        return self._negotiation.server is None or not self._negotiation.random

    def _install(self) -> bool:
        negotiation = self._negotiation
        epochs = negotiation.epochs(self._secrets)
        if epochs is None or negotiation.client is None:
            return False
        for role, side in enumerate(epochs):
            direction = negotiation.client ^ role
            self._halves[direction].upcoming = side
            if not side:
                self.whys[direction] = "There is no traffic secret of this direction in the key log."
        self._keyed = True
        return True

    @property
    def _may_search(self) -> bool:
        return bool(self._secrets) and self._attempts < MAX_ATTEMPTS

    def _search(self, one: Held) -> bool:
        """Looks for keys and place of a record where a hello is missing."""
        negotiation, secrets, piece = self._negotiation, self._secrets, one.piece
        if piece.damaged or piece.header[0] == tls.CHANGE_CIPHER_SPEC or not self._may_search:
            return False
        self._attempts += 1
        server, client = negotiation.server, negotiation.client
        if client is not None:
            role = one.direction ^ client
            if server is not None and not negotiation.is_13:
                negotiation.random = midway.guess_session(secrets, self._budget, negotiation, role, piece)
                return bool(negotiation.random) and self._install()
            chosen = None if server is None else server.suite
            guessed = midway.guess(secrets, self._budget, role, piece, negotiation.random, chosen)
            if guessed is not None:
                negotiation.assume(*guessed)
                return self._install()
        chosen = None if server is None else server.suite
        depth = 2 if self._final else DEPTHS.get(self._attempts, 0)
        place = midway.locate(secrets, self._budget, piece, negotiation.random, chosen, depth=depth)
        if place is not None:
            self._settle_midway(one, place)
        return place is not None

    def _settle_midway(self, one: Held, place: midway.Place) -> None:
        direction = one.direction
        self._negotiation.client = direction ^ place.role
        self._negotiation.assume(place.random, place.suite)
        half, other = self._halves[direction], self._halves[1 - direction]
        earlier = sum(waiting.direction == direction and waiting is not one for waiting in self._queue)
        half.current, half.low, half.slack = place.epoch, max(place.seq - earlier, 0), earlier
        secret = self._secrets.of(place.random).get(APPLICATION_LABELS[1 - place.role])
        if secret is not None:
            other.upcoming, other.slack = [midway.traffic(self._secrets, place.suite, secret)], MAX_SLACK
        else:
            self.whys[1 - direction] = "There is no traffic secret of this direction in the key log."
        half.midway = other.midway = True
        self._keyed = True

    # --- waiting ------------------------------------------------------------------------------------------------

    def _let_go(self, one: Held) -> None:
        half, piece = self._halves[one.direction], one.piece
        if piece.header[0] != tls.CHANGE_CIPHER_SPEC:
            half.lose(HEADER + len(piece.body) + piece.lost, 1)
            half.why = "more was sent than is kept until there are secrets"

    def _drain(self) -> None:
        while self._queue and not self.why:
            if not self._secure(self._queue.first):
                break
            if self._queue:
                self._queue.pop()

    def _forget(self) -> None:
        self._queue.clear()
        self._early.clear()

    # --- the end of it ------------------------------------------------------------------------------------------

    def _stop(self, direction: int, why: str, time_ns: int) -> None:
        """A direction cannot be read any further."""
        self.whys[direction] = why
        half = self._halves[direction]
        if half.application:
            self._out.append(PlainGap(direction, None, time_ns, why))
        half.application = 0
        if all(self.whys):
            self._give_up(why, time_ns)

    def _give_up(self, why: str, time_ns: int) -> None:
        for direction, half in enumerate(self._halves):
            if half.application:
                self._out.append(PlainGap(direction, None, time_ns, why))
        self.why = why
        self._forget()
