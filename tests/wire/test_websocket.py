"""The lenient observer: frames in, texts and control frames out, whatever the sender does wrong."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.model import Side
from ocppscope.problems import PROBLEMS
from ocppscope.wire import search, websocket
from ocppscope.wire.inflate import Inflater
from ocppscope.wire.websocket import Reader, State, read_close
from wire.support_frames import (
    BINARY,
    CLOSE,
    MASK,
    PING,
    PONG,
    TEXT,
    Deflater,
    Seen,
    Sink,
    Step,
    frame,
    masked,
    read,
)

CALL = b'[2,"19223201","Heartbeat",{}]'
RESULT = b'[3,"19223201",{"currentTime":"2026-11-22T12:00:00Z"}]'


def text(payload: bytes, *codes: str) -> Seen:
    return Seen("text", payload, codes)


# --- RFC 6455 §5: what the bytes hold -------------------------------------------------------------------------

RFC_EXAMPLES = {  # §5.7; unmasked from the CSMS, masked from the station
    "a single-frame unmasked text message": ("81 05 48 65 6c 6c 6f", Side.CSMS, [text(b"Hello")]),
    "a single-frame masked text message": (
        "81 85 37 fa 21 3d 7f 9f 4d 51 58",
        Side.STATION,
        [text(b"Hello")],
    ),
    "a fragmented unmasked text message": ("01 03 48 65 6c 80 02 6c 6f", Side.CSMS, [text(b"Hello")]),
    "unmasked ping": ("89 05 48 65 6c 6c 6f", Side.CSMS, [Seen("ping", b"Hello")]),
    "masked pong": ("8a 85 37 fa 21 3d 7f 9f 4d 51 58", Side.STATION, [Seen("pong", b"Hello")]),
    "256 bytes": ("82 7e 01 00" + "61" * 256, Side.CSMS, [Seen("binary", b"a" * 256)]),
    "64 KiB": ("82 7f 00 00 00 00 00 01 00 00" + "61" * 65536, Side.CSMS, [Seen("binary", b"a" * 65536)]),
}


@pytest.mark.parametrize(("octets", "side", "expected"), RFC_EXAMPLES.values(), ids=RFC_EXAMPLES)
def test_examples_of_the_rfc(octets: str, side: Side, expected: list[Seen]) -> None:
    assert read(bytes.fromhex(octets), side=side).seen == expected


FRAGMENTS = {
    "three": (frame(b"a", fin=False) + frame(b"b", 0, fin=False) + frame(b"c", 0), [text(b"abc")]),
    "empty ones": (frame(b"", fin=False) + frame(b"", 0, fin=False) + frame(b"", 0), [text(b"")]),
    "a ping between": (
        frame(b"a", fin=False) + frame(b"p", PING) + frame(b"b", 0),
        [Seen("ping", b"p"), text(b"ab")],
    ),
    "a close between": (
        frame(b"a", fin=False) + frame(b"\x03\xe8", CLOSE),
        [Seen("close", b"\x03\xe8"), text(b"a", "unfinished-message")],
    ),
    "a character across frames": (frame(b"\xc3", fin=False) + frame(b"\xa4", 0), [text(b"\xc3\xa4")]),
}


@pytest.mark.parametrize(("octets", "expected"), FRAGMENTS.values(), ids=FRAGMENTS)
def test_fragments(octets: bytes, expected: list[Seen]) -> None:
    assert read(octets).seen == expected


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
@pytest.mark.parametrize("side", Side)
def test_every_length_encoding(length: int, side: Side) -> None:
    payload = b"x" * length
    octets = frame(payload, mask=MASK if side is Side.STATION else b"")
    assert read(octets, octets, side=side).seen == [text(payload)] * 2


def test_a_message_names_where_it_came_from() -> None:
    octets = frame(CALL, fin=False) + frame(b"", PING) + frame(b" ", 0)
    (found,) = read(octets[:10], octets[10:20], octets[20:]).texts
    assert (found.origin.time_ns, found.origin.packets) == (3000, (1, 2, 3))
    assert (found.frames, found.wire_size) == (2, len(octets) - 2)


# --- every problem, and its valid neighbour ---------------------------------------------------------------------

BOTH = (Deflater, Inflater)
BAD_DEFLATE = frame(b"\xff\xff\xff", rsv=0x40)
VIOLATIONS: dict[str, tuple[dict[str, object], bytes, bytes]] = {
    # code: how the reader is opened, bytes that show it, bytes that do not
    "unmasked": ({"side": Side.STATION}, frame(CALL), masked(CALL)),
    "masked": ({}, masked(CALL), frame(CALL)),
    "reserved-bits": ({}, frame(CALL, rsv=0x20), frame(CALL)),
    "rsv1-continuation": (
        {"inflater": True},
        frame(b"\xca", fin=False, rsv=0x40) + frame(b"\x04\x00", 0, rsv=0x40),
        frame(b"\xca", fin=False, rsv=0x40) + frame(b"\x04\x00", 0),
    ),
    "reserved-opcode": ({}, frame(b"x", 3), frame(b"x", BINARY)),
    "length-encoding": ({}, frame(b"x" * 125, form=16), frame(b"x" * 126, form=16)),
    "fragmented-control": ({}, frame(b"x", PING, fin=False), frame(b"x", PING)),
    "control-too-long": ({}, frame(b"x" * 126, PONG), frame(b"x" * 125, PONG)),
    "continuation": ({}, frame(b"x", 0), frame(b"x", fin=False) + frame(b"x", 0)),
    "interleaved": (
        {},
        frame(b"x", fin=False) + frame(b"y"),
        frame(b"x", fin=False) + frame(b"y", 0),
    ),
    "unfinished-message": ({}, frame(b"x", fin=False), frame(b"x", fin=False) + frame(b"", 0)),
    "after-close": ({}, frame(b"", CLOSE) + frame(b"x"), frame(b"x") + frame(b"", CLOSE)),
    "not-utf8": ({}, frame(b"\xff"), frame(b"\xff", BINARY)),
    "close-payload": ({}, frame(b"\x03", CLOSE), frame(b"\x03\xe8", CLOSE)),
    "close-code": ({}, frame((1005).to_bytes(2, "big"), CLOSE), frame((1001).to_bytes(2, "big"), CLOSE)),
    "close-reason": ({}, frame(b"\x03\xe8\xff", CLOSE), frame(b"\x03\xe8bye", CLOSE)),
    "lost-bytes": ({}, frame(CALL)[:-1], frame(CALL)),
    "deflate-corrupt": ({"inflater": True}, BAD_DEFLATE, frame(Deflater().message(CALL), rsv=0x40)),
}


def opened(options: dict[str, object], *octets: Step) -> Sink:
    inflater = Inflater(takeover=True) if options.get("inflater") else None
    side = options.get("side", Side.CSMS)
    assert isinstance(side, Side)
    return read(*octets, side=side, inflater=inflater)


@pytest.mark.parametrize("code", VIOLATIONS)
def test_every_problem_is_stated(code: str) -> None:
    options, bad, _ = VIOLATIONS[code]
    assert code in {found for seen in opened(options, bad).seen for found in seen.codes}


@pytest.mark.parametrize("code", VIOLATIONS)
def test_no_problem_is_stated_of_the_valid_neighbour(code: str) -> None:
    options, _, good = VIOLATIONS[code]
    sink = opened(options, good)
    assert [seen.codes for seen in sink.seen] == [()] * len(sink.seen)
    assert sink.seen
    assert not sink.violations


@pytest.mark.parametrize("code", sorted(VIOLATIONS.keys() - {"unfinished-message", "lost-bytes", "after-close"}))
def test_reading_goes_on_after_a_violation(code: str) -> None:
    options, bad, _ = VIOLATIONS[code]
    following = masked(CALL) if options.get("side") is Side.STATION else frame(CALL)
    last = opened(options, bad + following).seen[-1]
    assert last.payload == CALL
    assert set(last.codes) <= {"after-close"}


@pytest.mark.parametrize("code", sorted(VIOLATIONS.keys() - {"unfinished-message", "lost-bytes", "deflate-corrupt"}))
def test_the_first_frame_that_breaks_a_rule_is_judged_once(code: str) -> None:
    options, bad, _ = VIOLATIONS[code]
    assert len(opened(options, bad + bad).violations) == 1


def test_every_code_of_the_layer_is_tested() -> None:
    elsewhere = {"judge", "no-close-frame", "too-large", "context-lost", "context-guessed", "inflated-too-large"}
    of_layer = {code.removeprefix("ws.") for code in PROBLEMS if code.startswith("ws.")}
    assert of_layer == VIOLATIONS.keys() | elsewhere


CLOSE_CODES = {999: False, 1000: True, 1003: True, 1004: False, 1005: False, 1006: False, 1007: True, 1014: True}
CLOSE_CODES |= {1015: False, 1016: False, 2999: False, 3000: True, 4999: True, 5000: False, 0: False, 65535: False}


@pytest.mark.parametrize(("code", "allowed"), CLOSE_CODES.items())
def test_close_codes(code: int, allowed: bool) -> None:
    found = read_close(code.to_bytes(2, "big") + b"why")
    assert found[:2] == (code, "why")
    assert [problem.code for problem in found[2]] == ([] if allowed else ["ws.close-code"])


@pytest.mark.parametrize("length", [0, 1, 2, 125, 126, 127, 128, 200, 300, 66000])
def test_a_close_of_any_length_is_survived(length: int) -> None:
    (seen,) = read(frame(b"\xff" * length, CLOSE)).seen
    assert seen.what == "close"
    assert seen.payload == b"\xff" * length


# --- bounds -------------------------------------------------------------------------------------------------------


def test_a_message_too_large_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1000)
    pieces = [frame(b"x" * 400, fin=False), frame(b"x" * 600, 0)]
    assert [seen.codes for seen in read(*pieces).seen] == [()]
    pieces[1:] = [frame(b"x" * 600, 0, fin=False)] + [frame(b"y", 0, fin=False)] * 100 + [frame(b"z", 0)]
    found = read(*pieces, frame(CALL)).seen
    assert [seen.payload for seen in found] == [b"x" * 1000, CALL]
    assert found[0].codes.count("too-large") == 1


def test_a_frame_too_large_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1000)
    octets = frame(b"x" * 1001) + frame(CALL)
    for size in (None, 1, 7, 500):
        assert read(octets, size=size).seen == [text(b"", "too-large"), text(CALL)]


def test_nothing_is_idle_while_a_frame_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a short cut for whole frames asks `idle`: inside of a frame there are none."""
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1000)
    reader = Reader(Side.CSMS, Sink(), None)
    reader.feed(frame(b"x" * 1001)[:10], 1, 1)
    assert not reader.idle
    reader.feed(b"x" * 995, 2, 2)
    assert reader.idle


def test_a_message_in_fragments_survives_a_frame_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1000)
    sink = read(frame(CALL, fin=False), frame(b"x" * 1001, 0), frame(RESULT))
    assert any(seen.payload.startswith(CALL) and seen.codes for seen in sink.seen)
    assert sink.seen[-1] == text(RESULT)


def test_an_impossible_length_starts_a_search() -> None:
    octets = frame(b"", length=websocket.MAX_BELIEVABLE + 1)
    sink = read(octets, frame(CALL))
    assert sink.seen == [text(CALL)]
    assert sink.unread_bytes == len(octets)


def test_any_number_of_searches_is_survived() -> None:
    call, garbage = frame(CALL), frame(b"", length=websocket.MAX_BELIEVABLE + 1)
    sink = read((call + garbage) * 3000)
    assert sink.seen == [text(CALL)] * 3000
    assert sink.unread_bytes == 3000 * len(garbage)


def test_packets_named_of_one_message() -> None:
    (found,) = read(frame(b"x" * 1000), size=1).texts
    packets = found.origin.packets
    assert len(packets) == websocket.MAX_NAMED_PACKETS
    assert (packets[0], packets[-1]) == (1, 1004)


def test_problems_of_one_message() -> None:
    pieces = [frame(b"x", fin=False)] + [frame(b"x", 0, fin=False, rsv=0x20)] * 100 + [frame(b"x", 0)]
    (found,) = read(*pieces).texts
    assert len(found.problems) <= websocket.MAX_FRAME_PROBLEMS


def test_bytes_held_while_searching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_SEARCH_BYTES", 1000)
    reader = Reader(Side.CSMS, sink := Sink(), None, synced=False)
    reader.feed(frame(b"", 0, length=900_000), 1, 1)
    for packet in range(100):
        reader.feed(b"z" * 100, 2, packet)
    assert len(reader._buffer) <= 1100
    reader.finish(3)
    assert sink.unread_bytes >= 9000


def steps_of(call: Callable[[], object], name: str) -> int:
    """How many lines of the functions called `name` are run by `call`."""
    count = 0

    def in_function(_: object, event: str, __: object) -> object:
        nonlocal count
        count += event == "line"
        return in_function

    def on_call(frame: FrameType, _: str, __: object) -> object:
        return in_function if frame.f_code.co_name == name else None

    before = sys.gettrace()
    sys.settrace(on_call)  # type: ignore[arg-type]
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def found_after_a_long_search(frames: int) -> None:
    reader = Reader(Side.CSMS, sink := Sink(), None, synced=False)
    octets = frame(b"", 0, length=1_000_000) + b"\x8a\x01x" * frames
    for packet, octet in enumerate(octets):
        reader.feed(bytes([octet]), packet, packet)
    assert len(sink.controls) > frames // 3


def test_naming_packets_takes_time_in_line_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The origin of each of many frames found at once must not cost a walk over all the pieces before it."""
    steps = []
    for frames in (300, 1200):
        monkeypatch.setattr(search, "MAX_SEARCH_BYTES", 3 * frames)
        steps.append(steps_of(lambda: found_after_a_long_search(frames + 20), "_origin"))  # noqa: B023
    assert steps[1] < 8 * steps[0]


# --- loss -----------------------------------------------------------------------------------------------------------

STREAM = [frame(b'[2,"%d","Heartbeat",{}]' % i) for i in range(6)] + [frame(b"", PING), frame(RESULT), frame(CALL)]
LOST = b"".join(STREAM)


def whole_after(stream: list[bytes], position: int) -> list[bytes]:
    """The text payloads of the frames that start at `position` or later."""
    at, found = 0, []
    for octets in stream:
        if at >= position and octets[0] & 15 == TEXT:
            found.append(octets[2:])
        at += len(octets)
    return found


def whole_before(stream: list[bytes], position: int) -> list[bytes]:
    at, found = 0, []
    for octets in stream:
        at += len(octets)
        if at <= position and octets[0] & 15 == TEXT:
            found.append(octets[2:])
    return found


@pytest.mark.parametrize("start", range(len(LOST) - 20))
def test_a_gap_anywhere_costs_only_the_frames_that_it_touches(start: int) -> None:
    for size in (1, 2, 3, 5, 24, 25, 26, 60, 100):
        stop = start + size
        if stop > len(LOST):
            break
        sink = read(LOST[:start], size, LOST[stop:])
        whole = [seen.payload for seen in sink.seen if seen.what == "text" and not seen.codes]
        assert whole == whole_before(STREAM, start) + whole_after(STREAM, stop), (start, size)
        invented = [seen for seen in sink.seen if seen.codes and seen.payload not in LOST]
        assert not invented


def test_a_message_in_fragments_is_stated_where_the_rest_is_lost() -> None:
    sink = read(frame(CALL, fin=False), 1000, frame(RESULT))
    assert [seen.payload for seen in sink.seen] == [CALL, RESULT]
    assert sink.seen[0].codes
    assert not sink.seen[1].codes


def test_a_hole_in_a_payload_keeps_the_frame_boundary() -> None:
    octets = frame(b"x" * 100)
    assert read(octets[:50], 20, octets[70:], frame(CALL)).seen == [text(b"x" * 48, "lost-bytes"), text(CALL)]


JUNK = st.binary(max_size=40)


@given(JUNK)
def test_frames_are_found_behind_junk(junk: bytes) -> None:
    sink = read(junk + b"".join(STREAM * 3), synced=False)
    assert [seen.payload for seen in sink.seen][-9:] == [octets[2:] for octets in STREAM]


# --- cuts -----------------------------------------------------------------------------------------------------------


def outcome(sink: Sink) -> tuple[object, ...]:
    """What must not depend on the cuts: everything but times and packets."""
    return sink.seen, sink.unread_bytes, sink.violations


PIECES = st.sampled_from(
    [
        *STREAM,
        frame(b"x", fin=False),
        frame(b"y", 0),
        frame(b"\xff"),
        masked(CALL),
        frame(b"\x03", CLOSE),
        BAD_DEFLATE,
    ]
)
ANYTHING = st.lists(PIECES | st.binary(max_size=12), max_size=12).map(b"".join)


@given(ANYTHING, st.booleans(), st.booleans(), st.sampled_from(Side), st.integers(1, 9))
def test_the_result_does_not_depend_on_the_cuts(
    octets: bytes, synced: bool, deflate: bool, side: Side, size: int
) -> None:
    def once(size: int | None) -> tuple[object, ...]:
        inflater = Inflater(takeover=False) if deflate else None
        return outcome(read(octets, side=side, synced=synced, inflater=inflater, size=size))

    assert once(size) == once(None)


@given(st.lists(st.tuples(ANYTHING, st.integers(0, 300)), max_size=4), st.booleans(), st.integers(1, 9))
def test_nor_with_gaps(parts: list[tuple[bytes, int]], synced: bool, size: int) -> None:
    steps = [step for octets, lost in parts for step in (octets, lost)]
    assert outcome(read(*steps, synced=synced, size=size)) == outcome(read(*steps, synced=synced))


BEHIND_A_LOSS = {
    # a position that is judged late, then one that is judged early: bytes, size of the pieces
    "a header that waits, and an OCPP text": (frame(b"", length=300) + frame(CALL) * 9, 330),
    "a control frame before an OCPP text": (frame(b"\x03", CLOSE) + frame(CALL), None),
    "two texts, and an OCPP text in the second": (frame(b"hello") + frame(b"so " + frame(CALL)[2:] * 2), None),
    "an OCPP text with much space before it": (frame(b" " * 9 + CALL) + frame(RESULT), None),
    "a text too long to wait for": (frame(b"x" * 250, length=2000) + b"\x89\x01p" * 600, None),
}


@pytest.mark.parametrize(("octets", "first"), BEHIND_A_LOSS.values(), ids=BEHIND_A_LOSS)
@pytest.mark.parametrize("size", [1, 5, 100])
def test_what_is_found_behind_a_loss_does_not_depend_on_the_cuts(
    octets: bytes, first: int | None, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_SEARCH_BYTES", 1000)
    cut = first or len(octets)
    whole = outcome(read(frame(CALL)[:-1], 9, octets[:cut], octets[cut:]))
    assert outcome(read(frame(CALL)[:-1], 9, octets, size=size)) == whole
    assert len(whole[0]) > 1  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=60) | st.integers(0, 200)), st.sampled_from(Side), st.booleans(), st.booleans())
def test_any_bytes_are_survived(steps: list[Step], side: Side, synced: bool, deflate: bool) -> None:
    inflater = Inflater(takeover=True, midstream=not synced) if deflate else None
    read(*steps, side=side, synced=synced, inflater=inflater)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(Side), st.booleans())
def test_nothing_is_invented_after_a_gap(seed: int, side: Side, deflate: bool) -> None:
    draw = random.Random(seed)
    texts = [b'[2,"%032x","MeterValues",{"connectorId":%d}]' % (draw.getrandbits(128), i) for i in range(12)]
    deflater = Deflater(takeover=False)
    stream = b"".join(
        frame(
            deflater.message(one) if deflate else one,
            rsv=0x40 if deflate else 0,
            mask=draw.randbytes(4) if side is Side.STATION else b"",
        )
        for one in texts
    )
    start = draw.randrange(len(stream) // 2)
    stop = start + draw.randrange(1, 300)
    inflater = Inflater(takeover=False) if deflate else None
    sink = read(stream[:start], stop - start, stream[stop:], side=side, inflater=inflater)
    assert [seen for seen in sink.seen if seen.payload not in texts and not seen.codes] == []


NO_FRAMES = {
    "zeros": bytes(3000),
    "numbers": b"".join(i.to_bytes(8, "big") for i in range(400)),
    "a TLS record": b"\x17\x03\x03\x0b\xb8" + random.Random(2).randbytes(3000),
    "text": b"the quick brown fox\r\n" * 150,
    **{f"noise {seed}": random.Random(seed).randbytes(30_000) for seed in range(20)},
}


@pytest.mark.parametrize("octets", NO_FRAMES.values(), ids=NO_FRAMES)
@pytest.mark.parametrize("side", Side)
def test_nothing_is_found_where_there_is_nothing(octets: bytes, side: Side) -> None:
    for inflater in (None, Inflater(takeover=True, midstream=True)):
        assert read(octets, side=side, synced=False, inflater=inflater).seen == []


def test_a_direction_that_searches_holds_nothing_back_that_is_beyond_doubt() -> None:
    """Junk that may be the header of a long frame must not delay the CALLs behind it until that frame would end."""
    reader = Reader(Side.CSMS, sink := Sink(), None, synced=False)
    reader.feed(frame(b"", 0, length=50_000)[:4] + b"junk", 1, 1)
    for packet in range(3):
        reader.feed(frame(CALL), packet, packet)
    assert sink.payloads.count(CALL) >= 1
    assert reader.state is State.SYNCED
