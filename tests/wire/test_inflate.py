"""Messages of permessage-deflate: inflated, bounded, and honest after a loss."""

from __future__ import annotations

import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.wire import inflate
from ocppscope.wire.inflate import Inflater
from wire.support_frames import Deflater

CALL = b'[2,"19223201","Heartbeat",{}]'


def ocpp_texts(seed: int, count: int) -> list[bytes]:
    """Messages as stations send them: the same words, other ids, numbers and times."""
    draw = random.Random(seed)
    texts = []
    for number in range(count):
        id_ = f"{draw.getrandbits(128):032x}" if seed % 3 else str(1000 + number)
        sample = {"value": str(draw.randrange(10**5)), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        payloads = {
            "Heartbeat": {},
            "StatusNotification": {"connectorId": draw.randrange(3), "errorCode": "NoError", "status": "Charging"},
            "MeterValues": {"connectorId": 1, "meterValue": [{"sampledValue": [sample] * draw.randrange(1, 6)}]},
        }
        action = draw.choice(list(payloads))
        time = f"2026-11-{draw.randrange(10, 29)}T{draw.randrange(10, 24)}:{draw.randrange(10, 60)}:00Z"
        payload = payloads[action] | ({"timestamp": time} if draw.random() < 0.7 else {})
        texts.append(json.dumps([2, id_, action, payload], separators=(",", ":")).encode())
    return texts


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("bits", [9, 12, 15])
def test_messages_in_order(takeover: bool, bits: int) -> None:
    deflater, inflater = Deflater(takeover=takeover, window_bits=bits), Inflater(takeover=takeover)
    for text in ocpp_texts(1, 50):
        assert inflater.message(deflater.message(text)) == (text, None, False)


EMPTY = {"RFC 7692 §7.2.3.6": b"\x00", "nothing at all": b"", "a fixed block": b"\x02\x00"}


@pytest.mark.parametrize("payload", EMPTY.values(), ids=EMPTY)
def test_empty_messages(payload: bytes) -> None:
    assert Inflater(takeover=True).message(payload) == (b"", None, False)


RFC_MESSAGES = {  # RFC 7692 §7.2.3: all of them "Hello"
    "one block": "f2 48 cd c9 c9 07 00",
    "no compression": "00 05 00 fa ff 48 65 6c 6c 6f 00",
    "a final block": "f3 48 cd c9 c9 07 00 00",
    "two blocks": "f2 48 05 00 00 00 ff ff ca c9 c9 07 00",
}


@pytest.mark.parametrize("octets", RFC_MESSAGES.values(), ids=RFC_MESSAGES)
@pytest.mark.parametrize("takeover", [True, False])
def test_messages_of_the_rfc(octets: str, takeover: bool) -> None:
    inflater = Inflater(takeover=takeover)
    for _ in range(2):
        assert inflater.message(bytes.fromhex(octets)) == (b"Hello", None, False)


def test_the_second_message_refers_to_the_first() -> None:
    inflater = Inflater(takeover=True)
    inflater.message(bytes.fromhex("f2 48 cd c9 c9 07 00"))
    assert inflater.message(bytes.fromhex("f2 00 11 00 00")) == (b"Hello", None, False)


# --- what is wrong ------------------------------------------------------------------------------------------------


def refers_back() -> bytes:
    """A message that repeats one of 4,000 bytes before it."""
    deflater, text = Deflater(), random.Random(1).randbytes(4000)
    deflater.message(text)
    return deflater.message(text)


CORRUPT = {
    "reserved block type": b"\x07\xff\xff\xff\xff",
    "stored length": b"\x00\x05\x00\x05\x00hello",
    "distance too far back": refers_back(),
}


@pytest.mark.parametrize("payload", CORRUPT.values(), ids=CORRUPT)
@pytest.mark.parametrize("takeover", [True, False])
def test_a_corrupt_message_is_said_to_be_and_what_follows_is_survived(payload: bytes, takeover: bool) -> None:
    deflater, inflater = Deflater(takeover=takeover), Inflater(takeover=takeover)
    inflater.message(deflater.message(CALL))
    found = inflater.message(payload)
    assert found.lost
    assert found.problem is not None
    for text in ocpp_texts(2, 20):
        after = inflater.message(deflater.message(text))
        assert after.lost or after.text == text
        assert takeover or after == (text, None, False)


@given(st.lists(st.binary(max_size=40) | st.none() | st.just(Deflater().message(CALL)), max_size=8), st.booleans())
def test_any_bytes_are_survived(steps: list[bytes | None], midstream: bool) -> None:
    inflater = Inflater(takeover=True, midstream=midstream)
    for step in steps:
        if step is None:
            inflater.lose(7)
        else:
            inflater.message(step)


# --- bounds -------------------------------------------------------------------------------------------------------


def test_a_bomb_is_cut() -> None:
    inflater = Inflater(takeover=False)
    bomb = Deflater().message(b"x" * (inflate.MAX_INFLATED + 1))
    found = inflater.message(bomb)
    assert found.text == b"x" * (inflate.MAX_RATIO * len(bomb) + inflate.FIRST_CREDIT)
    assert found.problem is inflate.TOO_LARGE
    assert inflater.message(Deflater().message(CALL)) == (CALL, None, False)
    assert inflater.message(bomb).problem is inflate.TOO_LARGE


# --- loss ---------------------------------------------------------------------------------------------------------

Step = tuple[bytes | None, bytes]  # payload (None: lost), true text


def lossy(seeds: range, losses: int) -> list[tuple[int, Inflater, list[Step]]]:
    cases = []
    for seed in seeds:
        texts, deflater = ocpp_texts(seed, 25), Deflater()
        dropped = set(random.Random(seed).sample(range(3, 20), losses))
        steps: list[Step] = []
        for number, text in enumerate(texts):
            payload = deflater.message(text)
            steps.append((None if number in dropped else payload, text))
        cases.append((seed, Inflater(takeover=True), steps))
    return cases


@pytest.mark.parametrize("losses", [1, 2, 4])
def test_a_text_after_a_loss_is_right_or_said_to_be_lost(losses: int) -> None:
    right, wrong, unknown = 0, [], 0
    for seed, inflater, steps in lossy(range(40), losses):
        for number, (payload, text) in enumerate(steps):
            if payload is None:
                inflater.lose(80)
                continue
            found = inflater.message(payload)
            if found.lost:
                unknown += 1
            elif found.text == text:
                right += 1
            else:
                wrong.append((seed, number))
    assert right > 0
    assert unknown > 0
    assert wrong == []


def test_without_takeover_a_loss_costs_nothing_more() -> None:
    deflater, inflater = Deflater(takeover=False), Inflater(takeover=False)
    inflater.lose(100)
    assert inflater.message(deflater.message(CALL)) == (CALL, None, False)


def test_from_the_middle_nothing_wrong_is_told() -> None:
    for seed in range(10):
        texts, deflater = ocpp_texts(seed, 40), Deflater()
        payloads = [deflater.message(text) for text in texts]
        inflater = Inflater(takeover=True, midstream=True)
        for payload, text in zip(payloads[10:], texts[10:], strict=True):
            found = inflater.message(payload)
            assert found.lost or found.text == text


def test_from_the_middle_what_refers_to_nothing_before_is_read() -> None:
    deflater, inflater = Deflater(), Inflater(takeover=True, midstream=True)
    assert inflater.message(deflater.message(CALL)).text == CALL
    assert inflater.message(deflater.message(CALL)).text == CALL


def test_zlib_agrees_with_the_table() -> None:
    assert zlib.decompress(bytes.fromhex("f3 48 cd c9 c9 07 00"), -15) == b"Hello"
