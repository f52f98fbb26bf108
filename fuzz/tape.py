"""How targets read structure out of plain bytes, and how their seeds are written: records of a tag and a body.

A record is a tag (a byte), the length of its body (two bytes, big-endian) and the body; a last one may be cut short.
Any bytes are some records, so a mutated input is an input.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAX_RECORDS = 512
"""Records that are read of an input."""


class Record(NamedTuple):
    """One step of an input."""

    tag: int
    body: bytes


def records(data: bytes, most: int = MAX_RECORDS) -> Iterator[Record]:
    """The records of an input."""
    at = 0
    while at < len(data) and most:
        stop = at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        yield Record(data[at], data[at + 3 : stop])
        at, most = stop, most - 1


def packed(steps: Iterable[tuple[int, bytes]]) -> bytes:
    """An input of these records; a body beyond 65,535 bytes is cut."""
    return b"".join(bytes([tag]) + len(body[:0xFFFF]).to_bytes(2, "big") + body[:0xFFFF] for tag, body in steps)


def split(data: bytes) -> tuple[bytes, bytes]:
    """An input of two parts: the first byte says how many units of 16 bytes the first part has."""
    size = 1 + (data[0] if data else 0) * 16
    return data[1:size], data[size:]


def joined(first: bytes, second: bytes) -> bytes:
    """The inverse of `split`; the first part is filled up with spaces."""
    units = min((len(first) + 15) // 16, 255)
    return bytes([units]) + first[: units * 16].ljust(units * 16) + second


def pieces(data: bytes, most: int = 40) -> Iterator[bytes]:
    """The same bytes, cut in places that depend on them alone."""
    chance = random.Random(len(data) * 31 + sum(data[:64]))
    at = 0
    while at < len(data):
        size = chance.choice((1, 1, 2, 3, 7, most))
        yield data[at : at + size]
        at += size
