"""One direction of a connection: which key its next record needs, its sequence number, and what is missing.

Records of a direction are numbered from 0 under each key, and the number is part of what tag or MAC protects. What
was lost leaves `slack`: how many numbers beyond `low` the next record may have. They are tried, then those under the
keys that come next; every record that fits says again where we are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocppscope.wire.decrypt import keys
from ocppscope.wire.decrypt.records import HEADER, RecordReader
from ocppscope.wire.tls import Handshakes

if TYPE_CHECKING:
    from ocppscope.wire.decrypt.ciphers import Opened, Protection
    from ocppscope.wire.decrypt.records import Piece

MAX_SLACK = 1 << 20
"""Sequence numbers among which a record's is looked for."""
MAX_TRIALS = 1 << 18
"""Numbers that are tried while none fits; where key streams tell numbers apart, several count as one."""
MAX_UPDATED = 1 << 12
"""Sequence numbers that are tried under keys whose KeyUpdate was not seen."""
REFILL = 1 << 13
"""Trials that a record which fits gives back."""
MAX_GENERATIONS = 4
"""KeyUpdate messages that may be lost in a gap."""
_LEAST_OVERHEAD = 9

EARLY, HANDSHAKE, APPLICATION, SESSION = "early", "handshake", "application", "session"


class Epoch:
    """A key of one direction. `name`: EARLY, HANDSHAKE and APPLICATION in TLS 1.3, SESSION before."""

    __slots__ = ("_next", "digest", "kind", "name", "protection", "secret", "size")

    def __init__(
        self, name: str, protection: Protection, secret: bytes = b"", how: tuple[str, str, int] = ("", "", 0)
    ):
        """`secret` and `how` (hash, kind of cipher, bytes of a key) give the next generation in TLS 1.3."""
        self.name = name
        self.protection = protection
        self.secret = secret
        self.digest, self.kind, self.size = how
        self._next: Epoch | None = None

    def next(self) -> Epoch:
        """What comes after a KeyUpdate."""
        if self._next is None:
            secret = keys.next_secret(self.digest, self.secret)
            self._next = traffic_epoch(self.name, secret, (self.digest, self.kind, self.size))
        return self._next


def traffic_epoch(name: str, secret: bytes, how: tuple[str, str, int]) -> Epoch:
    """The key that a traffic secret of TLS 1.3 gives; `how`: hash, kind of cipher, bytes of a key."""
    from ocppscope.wire.decrypt.ciphers import Aead13  # noqa: PLC0415 - loads `cryptography`

    key, iv = keys.traffic_key(how[0], secret, how[2])
    return Epoch(name, Aead13(how[1], key, iv), secret, how)


class Hole(NamedTuple):
    """Plaintext that is missing before a record; `lost` is None if nobody knows how much."""

    lost: int | None


class Half:
    """One direction. `open` is given its encrypted records in order."""

    __slots__ = (
        "_lost_plain",
        "_lost_wire",
        "_trials",
        "application",
        "ciphered",
        "current",
        "handshakes",
        "hole",
        "low",
        "midway",
        "misfits",
        "opened",
        "reader",
        "slack",
        "upcoming",
        "why",
    )

    def __init__(self) -> None:
        self.reader = RecordReader()
        self.handshakes = Handshakes()
        self.ciphered = False  # a ChangeCipherSpec was seen
        self.current: Epoch | None = None
        self.upcoming: list[Epoch] = []
        self.low = 0
        self.slack = 0
        self.midway = False  # nothing before the first record is missed
        self.opened = 0
        self.application = 0  # records of application data that were opened
        self.misfits = 0  # records that did not fit, since one did
        self.hole: Hole | None = None  # before the record that was opened last
        self.why = ""  # what the latest gap was
        self._lost_wire = 0  # bytes of an unknown number of records
        self._lost_plain = 0  # plaintext of records that are known to be missing
        self._trials = MAX_TRIALS

    @property
    def has_lost(self) -> bool:
        """Whether something is missing since the last record that was opened."""
        return bool(self._lost_wire or self._lost_plain)

    @property
    def is_steady(self) -> bool:
        """Whether records follow on each other under one key that opens each by itself, and nothing is missing."""
        current = self.current
        return (
            current is not None
            and current.name in (APPLICATION, SESSION)
            and not current.protection.chained
            and self.hole is None
            and not (self.slack or self.misfits or self._lost_wire or self._lost_plain)
            and self.reader.is_steady
        )

    @property
    def protection(self) -> Protection:
        """That of the present key, while there is one."""
        assert self.current is not None
        return self.current.protection

    def advance(self, records: int, last: bytes) -> None:
        """So many records of application data were opened while this `is_steady`; `last` is the last one's body."""
        self.low += records
        self.opened += records
        self.application += records
        self.protection.passed(self.low - 1, last)

    def lose(self, count: int, records: int = 0) -> None:
        """`count` bytes of encrypted records are missing; `records` of them at most, if that is known."""
        self._lost_wire += count
        epoch = self.current or (self.upcoming[0] if self.upcoming else None)
        least = HEADER + (epoch.protection.overhead if epoch else _LEAST_OVERHEAD)
        self.slack = min(self.slack + (records or count // least + 1), MAX_SLACK)
        self.handshakes = Handshakes()

    def open(self, piece: Piece) -> Opened | None:
        """Content type and plaintext; `hole` is what is missing before it. None if it does not fit."""
        header, body, lost, damaged = piece
        if lost:
            self.lose(lost)
        current = self.current
        if damaged:
            self._pass_damaged(body)
            return None
        if current is not None:
            opened = current.protection.open(self.low, header, body)
            if opened is not None:
                if self.slack or self.misfits or self._lost_plain:
                    self._settle(current, self.low)
                if current.protection.beheaded:
                    self.hole = Hole(None)
                self.low += 1
                self.opened += 1
                current.protection.passed(self.low - 1, body)
                return opened
        return self._elsewhere(header, body)

    def change(self) -> None:
        """The next key is used from now on (ChangeCipherSpec, Finished)."""
        if self.upcoming:
            self.current = self.upcoming.pop(0)
            self.low = 0

    def update(self) -> None:
        """A KeyUpdate was sent."""
        if self.current is not None and self.current.secret:
            self.current = self.current.next()
            self.low = 0

    # --- a record that does not fit where it should ---------------------------------------------------------------

    def _elsewhere(self, header: bytes, body: bytes) -> Opened | None:
        """Tries the numbers that it may have, under this key and the next ones."""
        current = self.current
        tries = [(current, self.low + 1, self.slack)] if current is not None else []
        tries += [(epoch, 0, self.slack + 1) for epoch in self.upcoming]
        if self.slack and tries and tries[-1][0].name == APPLICATION and (current is not None or self.midway):
            few = min(self.slack + 1, MAX_UPDATED)
            tries += [(epoch, 0, few) for epoch in _generations(tries[-1][0])]
        for epoch, first, wanted in tries:
            count = self._afford(epoch.protection, wanted)
            found = epoch.protection.find(first, count, header, body) if count else None
            if found is not None:
                seq, kind, plain = found
                self._settle(epoch, seq)
                if epoch.protection.beheaded:
                    self.hole = Hole(None)
                self.low = seq + 1
                self.opened += 1
                epoch.protection.passed(seq, body)
                return kind, plain
        if tries:
            tries[0][0].protection.passed(None, body)
        self.misfits += 1
        self.lose(HEADER + len(body), 1)
        return None

    def _afford(self, protection: Protection, wanted: int) -> int:
        """How many of the wanted numbers may still be tried."""
        price = protection.price
        count = min(wanted, max(self._trials * price, 1))
        self._trials = max(self._trials - count // price, 0)
        return count

    def _settle(self, epoch: Epoch, seq: int) -> None:
        """A record fits: its place is known again."""
        self.hole = self._missing(epoch, seq)
        if epoch is not self.current:
            self.upcoming = self.upcoming[self.upcoming.index(epoch) + 1 :] if epoch in self.upcoming else []
            self.current = epoch
        self._lost_wire = self._lost_plain = self.slack = self.misfits = 0
        self._trials = min(self._trials + REFILL, MAX_TRIALS)
        self.midway = False

    def _missing(self, epoch: Epoch, seq: int) -> Hole | None:
        """What is missing before a record that was found."""
        if self.midway:
            return None
        if epoch is not self.current:
            before = self.current is not None and self.current.name in (APPLICATION, SESSION)
            own = seq > (1 if epoch.name == SESSION else 0) and epoch.name in (APPLICATION, SESSION, EARLY)
            return Hole(None) if before or own else None
        skipped = seq - self.low
        if not skipped and not self._lost_plain:
            return None
        if epoch.name == HANDSHAKE or (epoch.name == SESSION and seq == 1):
            return None
        sure = epoch.protection.exact and (self.application or epoch.name == SESSION)
        lost = self._lost_plain
        if skipped:
            lost += self._lost_wire - skipped * (HEADER + epoch.protection.overhead)
        return Hole(lost if sure and lost > 0 else None)

    def _pass_damaged(self, body: bytes) -> None:
        """A record of which a part is missing: one number, and that much of plaintext."""
        current = self.current
        self.handshakes = Handshakes()
        if current is None:
            self.lose(HEADER + len(body), 1)
            return
        current.protection.passed(None, body)
        self.low += 1
        self.misfits += 1
        self._lost_plain += max(len(body) - current.protection.overhead, 0)


def _generations(epoch: Epoch) -> list[Epoch]:
    found = []
    for _ in range(MAX_GENERATIONS):
        epoch = epoch.next()
        found.append(epoch)
    return found
