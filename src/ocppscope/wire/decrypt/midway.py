"""Keys and place of a connection whose handshake is not in the capture, by trial.

In TLS 1.3 a traffic secret and a sequence number are all that a record needs, so every secret of the key log can be
tried on it. Up to TLS 1.2 keys depend on the ServerHello; if only the ClientHello is missing, the log has its random.
What may be tried is bounded, for a connection and for all together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocppscope.wire.decrypt import keylog
from ocppscope.wire.decrypt.half import APPLICATION, Epoch, traffic_epoch
from ocppscope.wire.decrypt.suites import suite, suites_of_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.wire.decrypt.keylog import Secrets
    from ocppscope.wire.decrypt.negotiation import Negotiation
    from ocppscope.wire.decrypt.records import Piece

ROUNDS = {
    0x1302: (1 << 10, 1 << 16, 1 << 20),
    0x1301: (1 << 10, 1 << 16, 1 << 20),
    0x1303: (1 << 10, 1 << 13, 1 << 17),
    0x1304: (1 << 10, 1 << 12, 1 << 16),
    0x1305: (1 << 10, 1 << 12, 1 << 16),
}
"""Sequence numbers of a suite that are tried with every secret, before more are tried with any."""
MAX_TRIALS_EACH = 1 << 17
"""Trials of one connection; they take less than a second."""
FREE_TRIALS = 1 << 11
"""Those of them that a connection has even if others have used up what they have together."""
LATER_GENERATIONS = 3
"""KeyUpdate messages before the capture that are reckoned with; not many records after the last one."""
MAX_CANDIDATES = 1024
"""Keys that are tried on a connection, those of the latest lines of the key log."""
MAX_GUESSES = 2048
"""Connections of a key log that are tried on one of which a hello is missing."""
MAX_FIRST = 64
"""Records of a handshake and after it among which one is taken to be then."""


_USUAL = list(ROUNDS)


class Budget:
    """Trials that a connection may make."""

    __slots__ = ("_secrets", "_spent", "is_short")

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._spent = 0
        self.is_short = False  # not all that might fit was tried

    def spend(self, trials: int) -> bool:
        """Whether so many more may be made; they are counted."""
        spent = self._spent + trials
        if spent > MAX_TRIALS_EACH or (spent > FREE_TRIALS and not self._secrets.spend(trials)):
            self.is_short = True
            return False
        self._spent = spent
        return True

    def found(self) -> None:
        """The search was worth it."""
        self._spent = 0
        self._secrets.found()


class Place(NamedTuple):
    """Where a record is: `role` 0 if the client sent it."""

    random: bytes
    role: int
    suite: int
    epoch: Epoch
    seq: int


def locate(
    secrets: Secrets, budget: Budget, piece: Piece, random: bytes, chosen: int | None, *, depth: int
) -> Place | None:
    """The place of a record of TLS 1.3; `random` and `chosen` are the client's random and the suite, if known.

    `depth` says how many of the ROUNDS follow the first one.
    """
    candidates = sorted(_candidates(secrets, budget, random, chosen), key=lambda one: _USUAL.index(one.suite))
    later = candidates
    for _ in range(1 + LATER_GENERATIONS):
        found = _try(budget, piece, later, 0)
        if found is not None:
            return found
        later = [one._replace(epoch=one.epoch.next()) for one in later]
    for turn in range(1, depth + 1):
        found = _try(budget, piece, candidates, turn)
        if found is not None:
            return found
    return None


def _try(budget: Budget, piece: Piece, candidates: list[Place], turn: int) -> Place | None:
    for one in candidates:
        start, stop = ROUNDS[one.suite][turn - 1] if turn else 0, ROUNDS[one.suite][turn]
        protection = one.epoch.protection
        if not budget.spend((stop - start) // protection.price + 1):
            return None
        found = protection.find(start, stop - start, piece.header, piece.body)
        if found is not None:
            budget.found()
            return one._replace(seq=found[0])
    return None


def _candidates(secrets: Secrets, budget: Budget, random: bytes, chosen: int | None) -> Iterator[Place]:
    known = [(random, secrets.of(random))] if random else secrets.latest()
    count = 0
    for who, labels in known:
        for role, label in enumerate(keylog.APPLICATION):
            secret = labels.get(label, b"")
            for number in suites_of_secret(len(secret)):
                if chosen not in (None, number):
                    continue
                if count >= MAX_CANDIDATES:
                    budget.is_short = True
                    return
                count += 1
                yield Place(who, role, number, traffic(secrets, number, secret), 0)


def traffic(secrets: Secrets, number: int, secret: bytes) -> Epoch:
    """The key of an application traffic secret under a suite of TLS 1.3."""
    made = secrets.epochs.get((number, secret))
    if made is None:
        found = suite(number)
        assert found is not None
        made = traffic_epoch(APPLICATION, secret, (found.prf, found.kind, found.key))
        if len(secrets.epochs) >= 2 * MAX_CANDIDATES:
            secrets.epochs.clear()
        secrets.epochs[number, secret] = made
    return made


def guess(
    secrets: Secrets, budget: Budget, role: int, piece: Piece, random: bytes, chosen: int | None
) -> tuple[bytes, int] | None:
    """Client's random and suite of a connection of TLS 1.3 of which one hello is missing, or both None.

    `piece` is an early record of `role`; `random` and `chosen` are what is known.
    """
    known = [(random, secrets.of(random))] if random else secrets.latest()
    for tried, (who, labels) in enumerate(known):
        for label in (keylog.HANDSHAKE[role], keylog.APPLICATION[role]):
            secret = labels.get(label, b"")
            for number in suites_of_secret(len(secret)):
                if chosen not in (None, number):
                    continue
                if tried >= MAX_GUESSES or not budget.spend(MAX_FIRST):
                    budget.is_short = True
                    return None
                if (
                    traffic(secrets, number, secret).protection.find(0, MAX_FIRST, piece.header, piece.body)
                    is not None
                ):
                    budget.found()
                    return who, number
    return None


def guess_session(secrets: Secrets, budget: Budget, negotiation: Negotiation, role: int, piece: Piece) -> bytes:
    """The client's random of a connection up to TLS 1.2 whose ClientHello is missing; b"" if none fits.

    `piece` is an early record of `role`.
    """
    for tried, (random, labels) in enumerate(secrets.latest()):
        if tried >= MAX_GUESSES:
            budget.is_short = True
            break
        master = labels.get(keylog.MASTER)
        if master is None:
            continue
        if not budget.spend(MAX_FIRST):
            break
        epoch = negotiation.session(random, master)[role][0]
        if epoch.protection.find(0, MAX_FIRST, piece.header, piece.body) is not None:
            budget.found()
            return random
    return b""
