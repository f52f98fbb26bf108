"""Keys and place of a connection whose handshake is not in the capture, by trial.

In TLS 1.3 a traffic secret and a sequence number are all that a record needs, so every secret of the key log can be
tried on it. Up to TLS 1.2 keys depend on the ServerHello; if only the ClientHello is missing, the log has its random.
What may be tried is bounded by `Secrets.spend`, over all connections.
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

ROUNDS = (1 << 10, 1 << 16, 1 << 20)
"""Sequence numbers that are tried with every secret before more are tried with any."""
MAX_CANDIDATES = 1024
"""Keys that are tried on a connection, those of the latest lines of the key log."""
MAX_GUESSES = 2048
"""Connections of a key log that are tried on one of which a hello is missing."""
MAX_FIRST = 64
"""Records of a handshake and after it among which one is taken to be then."""


class Place(NamedTuple):
    """Where a record is: `role` 0 if the client sent it."""

    random: bytes
    role: int
    suite: int
    epoch: Epoch
    seq: int


def locate(secrets: Secrets, piece: Piece, random: bytes, chosen: int | None, *, deep: bool) -> Place | None:
    """The place of a record of TLS 1.3; `random` and `chosen` are the client's random and the suite, if known."""
    candidates = list(_candidates(secrets, random, chosen))
    start = 0
    for stop in ROUNDS if deep else ROUNDS[:-1]:
        for who, role, number, epoch in candidates:
            protection = epoch.protection
            if not secrets.spend((stop - start) // protection.price + 1):
                continue
            found = protection.find(start, stop - start, piece.header, piece.body)
            if found is not None:
                secrets.found()
                return Place(who, role, number, epoch, found[0])
        start = stop
    return None


def _candidates(secrets: Secrets, random: bytes, chosen: int | None) -> Iterator[tuple[bytes, int, int, Epoch]]:
    known = [(random, secrets.of(random))] if random else secrets.latest()
    count = 0
    for who, labels in known:
        for role, label in enumerate(keylog.APPLICATION):
            secret = labels.get(label, b"")
            for number in suites_of_secret(len(secret)):
                if chosen not in (None, number):
                    continue
                if count >= MAX_CANDIDATES:
                    return
                count += 1
                yield who, role, number, traffic(number, secret)


def traffic(number: int, secret: bytes) -> Epoch:
    """The key of an application traffic secret under a suite of TLS 1.3."""
    found = suite(number)
    assert found is not None
    return traffic_epoch(APPLICATION, secret, (found.prf, found.kind, found.key))


def guess(secrets: Secrets, role: int, piece: Piece, random: bytes, chosen: int | None) -> tuple[bytes, int] | None:
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
                if tried >= MAX_GUESSES or not secrets.spend(MAX_FIRST):
                    return None
                if traffic(number, secret).protection.find(0, MAX_FIRST, piece.header, piece.body) is not None:
                    secrets.found()
                    return who, number
    return None


def guess_session(secrets: Secrets, negotiation: Negotiation, role: int, piece: Piece) -> bytes:
    """The client's random of a connection up to TLS 1.2 whose ClientHello is missing; b"" if none fits.

    `piece` is an early record of `role`.
    """
    for tried, (random, labels) in enumerate(secrets.latest()):
        if tried >= MAX_GUESSES:
            break
        master = labels.get(keylog.MASTER)
        if master is None:
            continue
        if not secrets.spend(MAX_FIRST):
            break
        epoch = negotiation.session(random, master)[role][0]
        if epoch.protection.find(0, MAX_FIRST, piece.header, piece.body) is not None:
            secrets.found()
            return random
    return b""
