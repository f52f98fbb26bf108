"""What a rule has found. Frozen; made once, at the end, from what the rules said along the way."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple

from msgspec import Struct


class Severity(IntEnum):
    """How bad; comparable."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """The stable spelling: "note", "warning", "error"."""
        return self.name.lower()


NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR


class Blame(StrEnum):
    """Who did it, as far as this capture can tell."""

    STATION = "station"
    CSMS = "CSMS"
    NETWORK = "network"
    UNKNOWN = "unknown"


class Ref(NamedTuple):
    """A place in the capture: a message by its stable name, or (ordinal -1) a moment of a connection.

    `packet` is the first packet that holds it, 0 where there is none; `connection` is -1 where there is none. `what`
    names it for people: "→ CALL Heartbeat", "← Close 1002".
    """

    time_ns: int
    connection: int = -1
    ordinal: int = -1
    packet: int = 0
    what: str = ""


MAX_EVIDENCE = 10
"""Places in the capture that a finding names; the first ones."""


class Finding(Struct, frozen=True):
    """One fault of one station, however often it happened.

    `measured` holds figures and names from the wire (identifiers stay out of `text`, so that they can be hidden).
    `root` is the `number` of the finding that explains this one, None of a root; `quirk` what is known of this model.
    """

    number: int  # place among the findings of a diagnosis
    rule: str
    severity: Severity
    station: str
    connections: tuple[int, ...]  # the first ones
    text: str  # a sentence: what happened
    blame: Blame
    first_ns: int
    last_ns: int
    count: int
    evidence: tuple[Ref, ...]
    measured: dict[str, str] = {}
    vantage: str = ""
    root: int | None = None
    quirk: str = ""
    has_more_connections: bool = False
