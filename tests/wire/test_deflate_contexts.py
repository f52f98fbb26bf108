"""The deflate contexts of many connections: some rest, some are let go, and nothing wrong is told of any."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ocppscope.wire import inflate
from ocppscope.wire.inflate import Contexts, Inflated, Inflater
from wire.support_frames import Deflater

WITHIN_A_BLOCK = b"\xf2"  # the first bits of a fixed block, and no end of it


def texts(station: int) -> Iterator[bytes]:
    """CALLs that repeat much of those before them."""
    draw = random.Random(station)
    for number in range(60):
        name = draw.randbytes(8).hex() * draw.randrange(1, 40)
        yield f'[2,"{station}-{number}","DataTransfer",{{"vendorId":"V{station}","data":"{name}"}}]'.encode()


def conversation(contexts: Contexts, stations: int) -> Iterator[tuple[bytes, Inflated]]:
    """What stations send in turn, and what is read of it."""
    ends = [(Deflater(), Inflater(takeover=True, contexts=contexts), texts(number)) for number in range(stations)]
    for said in zip(*(text for _, _, text in ends), strict=True):
        for (deflater, inflater, _), text in zip(ends, said, strict=True):
            yield text, inflater.message(deflater.message(text))
    for _, inflater, _ in ends:
        inflater.release()


def test_contexts_that_rest_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "MAX_AWAKE", 2)
    contexts, rested = Contexts(), 0
    for text, found in conversation(contexts, 7):
        assert found == (text, None, False)
        assert len(contexts.awake) <= 2
        rested = max(rested, contexts.resting)
    assert 0 < rested < 5 * inflate.MAX_AWAKE * 40_000
    assert contexts.resting == len(contexts.awake) == len(contexts.in_doubt) == 0


def test_a_context_that_rests_may_meet_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "MAX_AWAKE", 1)
    contexts = Contexts()
    deflater, inflater = Deflater(), Inflater(takeover=True, contexts=contexts)
    said = list(texts(1))
    for text in said[:20]:
        assert inflater.message(deflater.message(text)).text == text
    other = Inflater(takeover=True, contexts=contexts)
    assert contexts.resting > 0
    other.release()
    inflater.lose(len(deflater.message(said[20])))
    assert contexts.resting == 0
    for text in said[21:]:
        found = inflater.message(deflater.message(text))
        assert found.lost or found.text == text


def test_contexts_that_take_too_much_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "MAX_AWAKE", 2)
    monkeypatch.setattr(inflate, "MAX_RESTING", 2000)
    contexts, lost, sentences = Contexts(), 0, set()
    for text, found in conversation(contexts, 7):
        assert contexts.resting <= 2000
        assert found.text == text or found.lost
        lost += found.lost
        sentences |= {found.problem.text.partition(" bytes ")[2]} if found.problem else set()
    assert lost > 0
    assert sentences == {"refer to text that was let go, to keep memory bounded, or not captured (context takeover)."}


def test_a_context_within_a_block_cannot_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that ends within a block breaks RFC 7692 §7.2.1; nothing is made up behind it."""
    monkeypatch.setattr(inflate, "MAX_AWAKE", 1)
    contexts = Contexts()
    inflater = Inflater(takeover=True, contexts=contexts)
    inflater.message(WITHIN_A_BLOCK)
    Inflater(takeover=True, contexts=contexts).message(Deflater().message(b"[]"))
    assert contexts.resting == 0
    found = inflater.message(Deflater().message(b'[2,"1","Heartbeat",{}]'))
    assert found.text == b'[2,"1","Heartbeat",{}]'


def test_in_doubt_such_a_message_is_corrupt() -> None:
    inflater = Inflater(takeover=True, midstream=True)
    assert inflater.message(WITHIN_A_BLOCK) == (b"", inflate.CORRUPT, True)


def test_too_many_in_doubt_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "MAX_IN_DOUBT", 2)
    contexts, sentences = Contexts(), set()
    ends = [(Deflater(), Inflater(takeover=True, midstream=True, contexts=contexts)) for _ in range(5)]
    for number in range(12):
        for station, (deflater, inflater) in enumerate(ends):
            text = list(texts(station))[number]
            payload = deflater.message(text)
            if number < 3:
                continue  # from before the capture
            found = inflater.message(payload)
            assert found.lost or found.text == text
            assert len(contexts.in_doubt) <= 2
            sentences |= {found.problem.text.partition(" that ")[2]} if found.problem else set()
    assert sentences == {
        "was not captured (context takeover).",
        "was let go, to keep memory bounded, or not captured (context takeover).",
    }


def test_many_that_are_captured_from_the_start_are_never_in_doubt() -> None:
    contexts = Contexts()
    for _, found in conversation(contexts, 3):
        assert found.problem is None
        assert not contexts.in_doubt


def test_who_rests_is_left_to_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stations speak in turn, the longest quiet one is the next to speak: it must not always be that one."""
    monkeypatch.setattr(inflate, "MAX_AWAKE", 512)
    contexts, slept = Contexts(), 0
    ends = [Inflater(takeover=True, contexts=contexts) for _ in range(inflate.MAX_AWAKE * 5 // 4)]
    assert len(contexts.awake) == inflate.MAX_AWAKE
    for inflater in ends:
        slept += inflater not in contexts.awake
        inflater.message(b"\x00")
    assert slept < len(ends) * 3 // 5
    for inflater in ends:
        inflater.release()
    assert contexts.resting == len(contexts.awake) == 0
