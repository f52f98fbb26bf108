"""Which OCPP version a connection speaks whose handshake nobody saw: narrowed message by message.

A guess is drawn from actions and payloads alone; the engine marks it as guessed, and an agreed subprotocol or the
user's word always goes before it.
"""

from __future__ import annotations

from ocppscope.model import Kind, Version
from ocppscope.ocpp.schemas import Validator, validator
from ocppscope.ocpp.versions import COVERED, guess

MAX_CHECKS = 200
"""Most payloads that are held against schemas for one connection; from then on only actions count."""

_V2 = frozenset({Version.V201, Version.V21})
_NEAR = 1


class VersionGuess:
    """The versions that the messages of one connection, fed in order, still allow."""

    __slots__ = ("_checks", "candidates")

    def __init__(self) -> None:
        self.candidates: frozenset[Version] = frozenset(COVERED)
        self._checks = 0

    @property
    def version(self) -> Version:
        """The guess: `UNKNOWN` while 1.6 and 2.x are both possible; 2.0.1 until something only 2.1 has was seen."""
        if len(self.candidates) == 1:
            return next(iter(self.candidates))
        return Version.V201 if self.candidates == _V2 else Version.UNKNOWN

    @property
    def settled(self) -> bool:
        """Whether feeding more cannot change the guess any more."""
        return len(self.candidates) == 1

    def feed(self, kind: Kind, action: str, payload: bytes) -> Version:
        """Take one message into account and return the guess.

        `action` of an answer is the one of its CALL, "" if that is not known; then nothing is learnt from it.
        """
        if self.settled:
            return self.version
        if kind in (Kind.SEND, Kind.CALLRESULTERROR):
            self._keep(frozenset({Version.V21}))
        self._keep(guess(action))
        checkable = bool(action) and kind in (Kind.CALL, Kind.CALLRESULT) and self._checks < MAX_CHECKS
        if checkable and len(self.candidates) > 1:
            self._checks += 1
            self._keep(self._fitting(action, payload, response=kind is Kind.CALLRESULT))
        return self.version

    def _keep(self, allowed: frozenset[Version]) -> None:
        """Narrow, unless that would leave nothing: then the message is odd, not the guess wrong."""
        self.candidates = (self.candidates & allowed) or self.candidates

    def _fitting(self, action: str, payload: bytes, *, response: bool) -> frozenset[Version]:
        counts = {
            version: _count_problems(checked, payload)
            for version in self.candidates
            if (checked := validator(version, action, response)) is not None
        }
        fewest = min(counts.values(), default=0)
        limit = fewest if fewest == 0 else fewest + _NEAR
        return frozenset(version for version, count in counts.items() if count <= limit)


def _count_problems(checked: Validator, payload: bytes) -> int:
    return 0 if checked.acceptors.payload.accepts(payload) else len(checked.problems(payload))
