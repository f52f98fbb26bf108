"""Compressed messages: as zlib inflates them while nothing is lost, bounded always, and after a loss never made up."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from fuzz import sources
from fuzz.tape import packed, records
from ocppscope.wire.inflate import FIRST_CREDIT, MAX_INFLATED, MAX_RATIO, Inflater

TAIL = b"\0\0\xff\xff"
LOSS = 1


def target(data: bytes) -> None:
    """Messages and losses; the first tag says whether the context is taken over."""
    steps = list(records(data, 60))
    takeover = not steps or steps[0].tag & 2 == 0
    inflater, plain = Inflater(takeover=takeover), zlib.decompressobj(-15)
    other = Inflater(takeover=takeover)
    inflater.peer = other
    sound, wire, given = True, 0, 0
    for tag, body in steps:
        if tag & LOSS:
            inflater.lose(len(body) if tag & 4 else None)
            sound = sound and not takeover
            continue
        found = inflater.message(body)
        wire += len(body)
        given += len(found.text)
        assert len(found.text) <= MAX_INFLATED
        assert given <= FIRST_CREDIT + MAX_RATIO * wire + (1 << 20)
        if sound and found.problem is None:
            if plain.eof or not takeover:  # after a final block a sender begins anew
                plain = zlib.decompressobj(-15)
            try:
                assert found.text == plain.decompress(body + TAIL), "not what zlib says"
            except zlib.error:
                raise AssertionError("zlib finds that corrupt") from None
        else:
            sound = False


def seeds() -> Iterator[bytes]:
    """Texts of captures, compressed; some of them lost."""
    said = [one.text for one in sources.messages("ocpp16_deflate")]
    for step in (said[:12], said[10:40:2]):
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        steps = [
            (0, (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)) for text in step
        ]
        yield packed(steps)
        yield packed([(LOSS | 4 if number == 3 else 0, body) for number, (_, body) in enumerate(steps)])
        yield packed([(LOSS if number in (1, 5) else 0, body) for number, (_, body) in enumerate(steps)])
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    yield packed([(2, (bomb.compress(bytes(1 << 20)) + bomb.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL))] * 3)
