"""What a decryptor gives out: plaintext, what is missing of it, alerts."""

from __future__ import annotations

from typing import NamedTuple


class Plain(NamedTuple):
    """Plaintext of a direction; time and packet are those that completed it."""

    direction: int
    data: bytes
    time_ns: int
    packet: int


class PlainGap(NamedTuple):
    """Plaintext of a direction that is missing before what comes next; `lost` is None if nobody knows how much."""

    direction: int
    lost: int | None
    time_ns: int
    why: str


class Alert(NamedTuple):
    """An alert that was encrypted (RFC 8446 §6)."""

    time_ns: int
    direction: int
    level: int
    description: int


Out = list[Plain | PlainGap]
