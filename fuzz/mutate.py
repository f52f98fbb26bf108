"""A small mutator in plain Python: what can be done to an input without knowing what it means."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

MAX_INPUT = 1 << 14
"""Bytes of a mutated input."""
TELLING = (
    b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff",
    b"\x80\0\0\0", b"\r\n", b"\r\n\r\n", b'"', b"[", b"{", b"]", b"}", b",", b"\\", b"\\u0000", b"\\ud800",
    b"\xed\xa0\x80", b"\xf0\x9f\x94\x8c", b"\x1b[31m", b"\xe2\x80\xae", b"1e999", b"-1", b"0", b"<script>", b"=1+1",
)  # fmt: skip
"""Bytes that readers treat in a way of their own."""

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def mutants(
    seeds: Sequence[bytes], chance: random.Random, count: int, words: Sequence[bytes] = ()
) -> Iterator[bytes]:
    """So many changed inputs; the same for the same `chance`."""
    telling = (*TELLING, *words)
    for _ in range(count):
        data = bytearray(chance.choice(seeds) if seeds else b"")
        if chance.random() < 0.15 and seeds:
            _splice(data, chance, seeds)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6, 12))):
            chance.choice(MUTATIONS)(data, chance, telling)
        yield bytes(data[:MAX_INPUT])


def _place(data: bytearray, chance: random.Random) -> int:
    return chance.randrange(len(data) + 1)


def _splice(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    data[_place(data, chance) :] = other[chance.randrange(len(other) + 1) :]


def _flip(data: bytearray, chance: random.Random, telling: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(data: bytearray, chance: random.Random, telling: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _count(data: bytearray, chance: random.Random, telling: Sequence[bytes]) -> None:
    if data:
        at = chance.randrange(len(data))
        data[at] = (data[at] + chance.randrange(-8, 9)) & 255


def _drop(data: bytearray, chance: random.Random, telling: Sequence[bytes]) -> None:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 1, 2, 4, 16, 200))]


def _double(data: bytearray, chance: random.Random, telling: Sequence[bytes]) -> None:
    at = _place(data, chance)
    part = data[at : at + chance.choice((1, 4, 16, 100, 1000))]
    where = _place(data, chance)
    data[where:where] = part * chance.choice((1, 1, 1, 2, 20))


def _say(data: bytearray, chance: random.Random, telling: Sequence[bytes]) -> None:
    at, word = _place(data, chance), chance.choice(telling)
    data[at : at + chance.choice((0, 0, len(word)))] = word


def _cut(data: bytearray, chance: random.Random, telling: Sequence[bytes]) -> None:
    del data[_place(data, chance) :]


MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _set, _set, _count, _drop, _double, _say, _say, _cut)
