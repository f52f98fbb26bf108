"""TLS with its keys: what comes out was encrypted with them, and does not depend on how records are cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from fuzz import sources
from fuzz.tape import packed, pieces, records
from ocppscope.capture.pcapfile import open_captures
from ocppscope.wire.decrypt import Secrets
from ocppscope.wire.decrypt.decryptor import MAX_ALERTS, Decryptor
from ocppscope.wire.decrypt.keylog import KeyLogReader
from ocppscope.wire.decrypt.records import RecordReader
from ocppscope.wire.decrypt.results import Plain

KEYS, GAP = 8, 4
WORDS = (b"CLIENT_RANDOM ", b"SERVER_TRAFFIC_SECRET_0 ", b"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", b"\x17\x03\x03\0")


def opened(steps: Iterable[tuple[int, bytes]], *, cut: bool) -> tuple[list[bytes], list[bytes]]:
    """The plaintext of both directions."""
    secrets = Secrets()
    reader, decryptor, plain = KeyLogReader(secrets), Decryptor(secrets), ([], [])
    sent, out = 0, list[object]()
    for number, (tag, body) in enumerate(steps):
        if tag & KEYS:
            for piece in pieces(body, 400) if cut else (body,):
                reader.feed(piece)
            reader.finish()
            out = decryptor.retry()
        elif tag & GAP:
            out = decryptor.gap(tag & 1, len(body) + 1, number, "lost")
        else:
            sent += len(body)
            out = [
                one
                for piece in (pieces(body, 400) if cut else (body,))
                for one in decryptor.data(tag & 1, piece, 1, 1)
            ]
        _take(out, plain)
    _take(decryptor.finish(1), plain)
    assert sum(map(len, (*plain[0], *plain[1]))) <= sent
    assert len(decryptor.alerts) <= MAX_ALERTS
    return plain


def _take(out: Iterable[object], plain: tuple[list[bytes], list[bytes]]) -> None:
    for one in out:
        if isinstance(one, Plain):
            assert one.data
            plain[one.direction].append(one.data)


def target(data: bytes) -> None:
    """With the steps as they are, and cut."""
    steps = [(tag, body) for tag, body in records(data, 80)]
    whole = opened(steps, cut=False)
    other = opened(steps, cut=True)
    if not searched(steps):  # what looks like a record counts where another follows, or where nothing has come yet
        assert [b"".join(way) for way in other] == [b"".join(way) for way in whole]
    known = genuine()
    for way in (0, 1):
        for part in whole[way]:
            assert part in known, "plaintext that nobody sent"


def searched(steps: Iterable[tuple[int, bytes]]) -> bool:
    """Whether records had to be looked for."""
    readers = RecordReader(), RecordReader()
    lost = False
    for tag, body in steps:
        reader = readers[tag & 1]
        if not tag & KEYS:
            found = reader.gap(len(body) + 1) if tag & GAP else reader.feed(body)
            lost |= not reader.aligned or any(one.lost for one in found)
    return lost


@cache
def genuine() -> bytes:
    """All plaintext of the recorded sessions: a mutated record, or key, must not give any other."""
    said = []
    for path in _paths():
        for steps in _sessions(path, 10_000):
            plain = opened(steps, cut=False)
            said += [b"".join(way) for way in plain]
    return b"\n".join(said)


def seeds() -> Iterator[bytes]:
    """Recorded sessions with their keys: first, last, wrong, with a hole."""
    for path in _paths():
        for number, steps in enumerate(_sessions(path, 12)):
            keys, said = steps[0], steps[1:]
            if len(said) > 4 and number < 3:
                yield packed(steps)
                yield packed([*said, keys]) if number else packed([keys, *said[:4], (GAP, b"x" * 30), *said[5:]])


def _paths() -> list[Path]:
    return sorted(sources.CAPTURES.glob("tls/*.pcapng"))


def _sessions(path: Path, most: int) -> Iterator[list[tuple[int, bytes]]]:
    """Each connection of a capture: the lines of the key log that it needs, then what was said."""
    kept: list[bytes] = []
    with open_captures([path], keep_secrets=kept.append) as reader:
        for _ in reader.blocks():
            pass
    lines = b"".join(kept).splitlines(keepends=True)
    for one in sources.connections(path):
        hello = next((data for way, data in one.said if way == 0), b"")
        random = hello[11:43].hex().encode()
        mine = b"".join(line for line in lines if random in line.lower())
        if mine:
            yield [(KEYS, mine), *one.said[:most]]
