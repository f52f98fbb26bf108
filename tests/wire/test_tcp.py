"""Conversations in, ordered bytes out: every oddity of a captured TCP connection."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.problems import PROBLEMS
from ocppscope.wire import tcp
from ocppscope.wire.link import ACK, FIN, RST, SYN
from ocppscope.wire.tcp import MODULUS, Assembler, Segment
from wire.support_segments import OPEN, Recorder, converse, octets, parse, play

WAIT = "< 500\n" * (tcp.STALL_PACKETS + 2)
"""More of the CSMS's ACKs than a stalled connection waits for."""

IN_ORDER = {
    "nothing but the handshake": (OPEN, []),
    "one segment": (OPEN + '> 100 "hello"', ["> hello"]),
    "both directions": (OPEN + '> 100 "ask"\n< 500 "answer"\n> 103 "more"', ["> ask", "< answer", "> more"]),
    "empty ACKs": (OPEN + '> 100 "a"\n< 500\n< 500\n> 101\n> 101 "b"', ["> ab"]),
    "PSH is nothing special": (OPEN + "> A 100 x3\n> A 103 x3", [f"> {octets(100, 6).decode()}"]),
}
SWAPPED = {
    "two segments": (OPEN + "> 103 x3\n> 100 x3", ["> wxyzab"]),
    "three, last first": (OPEN + "> 106 x3\n> 103 x3\n> 100 x3", ["> wxyzabcde"]),
    "SYN after data": ('> 100 "abc"\n> S 99\n> 103 "def"', ["> abcdef"]),
    "SYN-ACK after data of both": (
        '> S 99\n> 100 a500 "ask"\n< 500 a103 "answer"\n< SA 499 a100\n< 506 "s"',
        ["> ask", "< answers"],
    ),
    "FIN before the last data": (OPEN + "> F 103\n> 100 x3", ["> wxy", "> FIN"]),
    "data and FIN in one, ahead": (OPEN + "> F 103 x2\n> 100 x3", ["> wxyza", "> FIN"]),
}
RETRANSMITTED = {
    "whole": (OPEN + "> 100 x5\n> 100 x5\n> 105 x1", ["> wxyzab"]),
    "with more at the end": (OPEN + "> 100 x5\n> 100 x8", ["> wxyzabcd"]),
    "the middle": (OPEN + "> 100 x9\n> 103 x3\n> 109 x1", ["> wxyzabcdef"]),
    "over several segments": (OPEN + "> 100 x3\n> 103 x3\n> 100 x6\n> 106 x1", ["> wxyzabc"]),
    "while a hole is open": (OPEN + "> 103 x3\n> 103 x3\n> 100 x3", ["> wxyzab"]),
    "over the hole and what is held": (OPEN + "> 103 x3\n> 100 x9", ["> wxyzabcde"]),
    "overlap with two held ones": (OPEN + "> 103 x2\n> 107 x2\n> 104 x4\n> 100 x3", ["> wxyzabcde"]),
    "SYN": ("> S 99\n> S 99\n< SA 499\n< SA 499\n> 100 x3\n> S 99\n> 103 x1", ["> wxyz"]),
    "FIN": (OPEN + "> F 100 x3\n> F 100 x3\n> F 103\n< 500", ["> wxy", "> FIN"]),
    "every packet twice": ("\n".join(f"{one}\n{one}" for one in (OPEN + "> 100 x3\n< 500 x3").split("\n")), None),
}
CONFLICTS = {
    "after delivery": (OPEN + '> 100 "hello"\n> 100 "hEllo"', ["> hello", "> problem tcp.overlap-conflict"]),
    "before delivery": (
        OPEN + '> 103 "abc"\n> 103 "aXc"\n> 100 "012"',
        ["> problem tcp.overlap-conflict", "> 012abc"],
    ),
    "in the part that repeats": (
        OPEN + '> 100 "hello"\n> 103 "LO world"',
        ["> hello", "> problem tcp.overlap-conflict", ">  world"],
    ),
    "none where the copies agree": (OPEN + '> 100 "hello"\n> 103 "lo world"', ["> hello world"]),
    "none against what is no longer remembered": (OPEN + '> 100 "abc"\n> 103 "def"\n> 100 "XYZ"', ["> abcdef"]),
}
PROBES = {
    "of no byte": (OPEN + "> 100 x5\n> 104\n< 500\n> 104\n< 500\n> 105 x1", ["> wxyzab"]),
    "of the last byte": (OPEN + "> 100 x5\n> 104 x1\n< 500\n> 105 x1", ["> wxyzab"]),
    "of a byte of garbage": (OPEN + '> 100 x5\n> 104 "?"\n< 500\n> 105 x1', ["> wxyzab"]),
    "first thing of a capture, of no byte": ("> 104 a500\n< 500 a105\n> 105 x3", ["> bcd"]),
    "before any data": (OPEN + "> 99\n< 500\n> 100 x3", ["> wxy"]),
}
ENDS = {
    "half-close": (OPEN + "> F 100 x3\n< 500 x2\n< 502 x2\n< F 504", ["> wxy", "> FIN", "< ghij", "< FIN"]),
    "FINs cross": (OPEN + "> F 100\n< F 500 a100\n> 101 a501\n< 501 a101", ["> FIN", "< FIN"]),
    "RST": (OPEN + "> 100 x3\n< R 500\n> 103 x3", ["> wxy", "< RST"]),
    "RST over a hole": (OPEN + "> 103 x3\n< R 500", ["> gap 3", "> zab", "< RST"]),
    "RST after FIN": (OPEN + "> F 100 x3\n< R 500", ["> wxy", "> FIN", "< RST"]),
    "RST twice": (OPEN + "< R 500\n< R 500\n> R 100", ["< RST"]),
    "data after FIN is not of the stream": (OPEN + "> F 100 x3\n> 104 x3\n> 103 x3", ["> wxy", "> FIN"]),
    "the capture's end over a hole": (OPEN + "> 103 x3\n> 109 x3\nend", ["> gap 3", "> zab", "> gap 3", "> fgh"]),
    "the capture's end while stalled": (OPEN + "< 500 a103 x2\nend", ["> gap 3", "< gh"]),
    "FIN acknowledged before it is captured": (
        OPEN + "> 100 x3\n< 500 a104\n> F 103\n< F 500\n> 104",
        ["> wxy", "> FIN", "< FIN"],
    ),
    "FIN after its ACK and a stall": (
        OPEN + "> 100 x3\n" + "< 500 a104\n" * 20 + "> F 103\n< F 500",
        ["> wxy", "> FIN", "< FIN"],
    ),
}
HOLES = {
    "nobody acknowledged it: waited for": (OPEN + "> 103 x3\n" + "< 500 a100\n" * 20, []),
    "acknowledged, and never captured": (OPEN + "> 103 x3\n" + "< 500 a106\n" * 20, ["> gap 3", "> zab"]),
    "a lost CALL is named before its answer is read": (
        OPEN + '< 500 a110 "answer"\n' + "> 110 a506\n" * 20,
        ["> gap 10", "< answer"],
    ),
    "two holes, both acknowledged": (
        OPEN + "> 103 x3\n> 109 x3\n" + '< 500 a112 "answer"\n' + "> 112 a506\n" * 20,
        ["> gap 3", "> zab", "> gap 3", "> fgh", "< answer"],
    ),
    "bytes beyond what is held are acknowledged too": (
        OPEN + "> 110 x10\n" + '< 500 a140 "answer"\n' + "> 140 a506\n" * 20,
        ["> gap 10", "> ghijklmnop", "> gap 20", "< answer"],
    ),
    "the second hole is not acknowledged: it may still be filled": (
        OPEN + "> 110 x30\n> 150 x10\n" + "< 500 a140\n" * 20 + "> 140 x10",
        ["> gap 10", f"> {octets(110, 50).decode()}"],
    ),
    "one byte, then more": (OPEN + "> 100 x3\n" + "< 500 a104\n" * 20 + "> 104 x3", ["> wxy", "> gap 1", "> abc"]),
}
STALLS = {
    "the ACK is captured before its data": (OPEN + '< 500 a103 "ok"\n> 100 x3', ["> wxy", "< ok"]),
    "before two segments": (OPEN + '< 500 a106 "ok"\n> 100 x3\n> 103 x3', ["> wxyzab", "< ok"]),
    "before two segments that are swapped as well": (
        OPEN + '< 500 a106 "ok"\n> 103 x3\n> 100 x3\n' + WAIT,
        ["> wxyzab", "< ok"],
    ),
    "answer and data swapped pairwise": (
        OPEN + "< 500 a103 x2\n> 100 a500 x3\n< 502 a106 x2\n> 103 a502 x3",
        ["> wxy", "< gh", "> zab", "< ij"],
    ),
    "given up by the clock": (OPEN + '< 500 a103 "ok"\nexpire @60', ["> gap 3", "< ok"]),
    "not before its time": (OPEN + '< 500 a103 "ok"\nexpire @40', []),
    "an ACK too far ahead is not believed": (OPEN + f'< 500 a{100 + tcp.MAX_JUMP} "ok"', ["< ok"]),
}
MIDSTREAM = {
    "data first": ("> 100 x3\n> 103 x3", ["> wxyzab"]),
    "ACK first": ("< 500 a100\n> 100 x3\n< 500 x3", ["> wxy", "< ghi"]),
    "the other side's ACK tells where data begins": ("> 100 a500\n< 503 x3\n< 500 x3", ["< ghijkl"]),
    "one side only": ("> 100 a500 x3\n> 106 a500 x3\n> 109 a500 x3 @6000\nend", ["> wxy", "> gap 3", "> cdefgh"]),
}
SNAPLEN = {
    "cut": (OPEN + "> 100 x5 -95\n> 200 x3", ["> wxyza", "> gap 95", "> stu"]),
    "cut and ahead": (OPEN + "> 110 x5 -5\n> 100 x10", ["> wxyzabcdefghijk", "> gap 5"]),
    "cut to nothing": (OPEN + "> 100 -50\n> 150 x2", ["> gap 50", "> uv"]),
    "the second copy is longer": (OPEN + "> 110 x5 -5\n> 110 x10\n> 100 x10", ["> wxyzabcdefghijklmnop"]),
    "two cut copies that overlap": (
        OPEN + "> 110 x5 -95\n> 160 x5 -95\n> 100 x10\n> 260 x3",
        ["> wxyzabcdefghijk", "> gap 45", "> efghi", "> gap 95", "> abc"],
    ),
    "no conflict where one copy was cut": (
        OPEN + "> 110 x5 -95\n> 160 x100\n> 100 x10",
        ["> wxyzabcdefghijk", "> gap 45", f"> {octets(160, 100).decode()}"],
    ),
    "with FIN": (OPEN + "> F 100 x2 -3\n< 500", ["> wx", "> gap 3", "> FIN"]),
}
FAST_OPEN = {
    "data on SYN": ('> S 99 "GET"\n< SA 499\n> 103 "x"', ["> GETx"]),
    "data on SYN, not taken and sent again": ('> S 99 "GET"\n< SA 499 a100\n> 100 "GETx"', ["> GETx"]),
    "data on SYN-ACK": ('> S 99 "GET"\n< SA 499 "OK"\n> 103 a502', ["> GET", "< OK"]),
}
WRAP_AT = 2**32
DOUBTED = "> problem tcp.far-segment"
FAR = 103 + tcp.MAX_JUMP + 1
LEAPS = {
    "far ahead, and on from there": (
        OPEN + f"> 100 x3\n> {FAR} x3\n> {FAR + 3} x3\n> {FAR + 6} x3\n> {FAR + 9} x3",
        ["> wxy", DOUBTED, f"> gap {FAR - 103}", f"> {octets(FAR, 12).decode()}"],
    ),
    "far behind": (
        OPEN + f"> 100 x3\n> {2**31 + 500} x3\n> {2**31 + 503} x3\n> {2**31 + 506} x3",
        ["> wxy", DOUBTED, f"> gap {2**31 + 397}", f"> {octets(2**31 + 500, 9).decode()}"],
    ),
    "not without a third one": (OPEN + f"> 100 x3\n> {FAR} x3\n> {FAR + 3} x3\nend", ["> wxy", DOUBTED]),
    "not by one that is sent again": (OPEN + "> 100 x3\n" + f"> {FAR} x3\n" * 9 + "end", ["> wxy", DOUBTED]),
    "not by strays": (OPEN + "".join(f"> {FAR + 50 * i} x3\n" for i in range(9)) + "> 100 x3", [DOUBTED, "> wxy"]),
    "what was held comes first": (
        OPEN + f"> 110 x3\n> {FAR} x3\n> {FAR + 3} x3\n> {FAR + 6} x3",
        [DOUBTED, "> gap 10", "> ghi", f"> gap {FAR - 113}", f"> {octets(FAR, 9).decode()}"],
    ),
    "with what was sent at the old place between them": (
        OPEN + f"> {FAR} x3\n> 100 x3\n> {FAR + 3} x3\n> 103 x3\n> {FAR + 6} x3",
        [DOUBTED, "> wxyzab", f"> gap {FAR - 106}", f"> {octets(FAR, 9).decode()}"],
    ),
}
NOT_BELIEVED = {
    "a segment far ahead": (OPEN + f"> 100 x3\n> {FAR} x3\n> 103 x3", ["> wxy", DOUBTED, "> zab"]),
    "a segment far behind": (OPEN + "> 100 x3\n> 2147483648 x3\n> 103 x3", ["> wxy", DOUBTED, "> zab"]),
    "a RST far from the window": (OPEN + "> 100 x3\n< R 1000000500\n> 103 x3", ["> wxyzab"]),
}
TABLES = {
    "in order": IN_ORDER,
    "swapped": SWAPPED,
    "retransmitted": RETRANSMITTED,
    "conflict": CONFLICTS,
    "probe": PROBES,
    "end": ENDS,
    "hole": HOLES,
    "stall": STALLS,
    "mid-stream": MIDSTREAM,
    "snap length": SNAPLEN,
    "fast open": FAST_OPEN,
    "not believed": NOT_BELIEVED,
    "leap": LEAPS,
}
CASES = [
    pytest.param(script, expected, id=f"{table}: {name}")
    for table, cases in TABLES.items()
    for name, (script, expected) in cases.items()
    if expected is not None
]


@pytest.mark.parametrize(("script", "expected"), CASES)
def test_conversation(script: str, expected: list[str]) -> None:
    assert converse(script).lines == expected


def shifted(script: str, first: tuple[int, int]) -> Recorder:
    """The conversation with other initial sequence numbers; the bytes stay the same."""
    recorder = Recorder()
    assembler = Assembler(recorder)
    time_ns = 0
    for step in parse(script):
        if isinstance(step, Segment):
            own, other = first[step.direction], first[1 - step.direction]
            seq, ack = (step.seq + own) & MODULUS, (step.ack + other) & MODULUS
            assembler.add(step._replace(seq=seq, ack=ack if step.flags & ACK else 0))
            time_ns = step.time_ns
        elif isinstance(step, int):
            assembler.expire(step)
        else:
            assembler.finish(time_ns)
    return recorder


@pytest.mark.parametrize("distance", [*range(95, 120), 200, 261])
@pytest.mark.parametrize(("script", "expected"), CASES)
def test_sequence_numbers_wrap_anywhere(script: str, expected: list[str], distance: int) -> None:
    if "MAX_JUMP" not in script:
        wrapping = shifted(script, (WRAP_AT - distance, WRAP_AT - distance - 400))
        assert wrapping.lines == converse(script).lines


def test_every_packet_twice() -> None:
    script = OPEN + "> 100 x3\n< 500 x3\n> 106 x3\n> 103 x3\n> F 109\n< F 503\n> 110"
    doubled = "\n".join(f"{one}\n{one}" for one in script.split("\n"))
    assert converse(doubled).lines == converse(script).lines


@pytest.mark.parametrize("table", ["in order", "swapped", "retransmitted", "conflict", "snap length"])
def test_the_only_problem_is_a_registered_one(table: str) -> None:
    found = {
        event[2] for script, _ in TABLES[table].values() for event in converse(script).events if event[1] == "problem"
    }
    assert found <= PROBLEMS.keys()


def test_what_was_held_could_be_read_when_the_hole_was_filled() -> None:
    recorder = converse(OPEN + "> 103 x3 @10\n> 100 x3 @30")
    assert recorder.times == [30_000_000]
    assert recorder.packets == [5, 4]


# --- port reuse -----------------------------------------------------------------------------------------------

RESTARTS = {
    "another SYN": (OPEN + "> 100 x3", "> S 5000", True),
    "the same SYN": (OPEN + "> 100 x3", "> S 99", False),
    "the same SYN-ACK": (OPEN + "> 100 x3", "< SA 499", False),
    "another SYN after the end": (OPEN + "> F 100\n< F 500\n> 101", "> S 5000", True),
    "another SYN after a reset": (OPEN + "< R 500", "> S 5000", True),
    "another SYN after a mid-stream start": ("> 100 x3", "> S 5000", True),
    "data": (OPEN + "> 100 x3", "> 103 x3", False),
    "first SYN": ("", "> S 99", False),
    "SYN of which only the ACK was seen": ("< 500 a100", "> S 99", False),
    "another SYN after only the other side's data": ("< 500 a100 x3", "> S 5000", True),
}


@pytest.mark.parametrize(("before", "syn", "expected"), RESTARTS.values(), ids=RESTARTS)
def test_restarts(before: str, syn: str, expected: bool) -> None:
    assembler = Assembler(Recorder())
    play(assembler, before)
    (segment,) = (step for step in parse(syn) if isinstance(step, Segment))
    assert assembler.restarts(segment) is expected


# --- bounds ---------------------------------------------------------------------------------------------------


def one_sided(*segments: tuple[int, int, int]) -> Recorder:
    """(sequence number, bytes, milliseconds) of the station alone, after a handshake."""
    recorder = Recorder()
    assembler = Assembler(recorder)
    play(assembler, OPEN)
    for number, (seq, count, ms) in enumerate(segments):
        assembler.add(Segment(0, seq, 500, ACK, octets(seq, count), 0, ms * 1_000_000, number))
    return recorder


def test_max_held_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_HELD_BYTES", 100)
    assert one_sided((110, 60, 1), (170, 40, 2)).lines == []
    assert one_sided((110, 60, 1), (170, 41, 2)).lines == ["> gap 10", f"> {octets(110, 101).decode()}"]


def test_max_held_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_HELD_SEGMENTS", 4)
    four = tuple((110 + 2 * i, 1, i) for i in range(4))
    assert one_sided(*four).lines == []
    assert one_sided(*four, (118, 1, 9)).lines == ["> gap 10", "> g"]


def test_hole_wait() -> None:
    wait_ms = tcp.HOLE_WAIT_NS // 1_000_000
    assert one_sided((110, 2, 10), (112, 2, 10 + wait_ms)).lines == []
    assert one_sided((110, 2, 10), (112, 2, 11 + wait_ms)).lines == ["> gap 10", "> ghij"]


def test_one_sided_wait() -> None:
    wait_ms = tcp.ONE_SIDED_WAIT_NS // 1_000_000
    start = "> 100 a500 x3 @1\n> 106 a500 x1 @10\n"
    assert converse(start + f"> 107 a500 x1 @{10 + wait_ms}").lines == ["> wxy"]
    assert converse(start + f"> 107 a500 x1 @{11 + wait_ms}").lines == ["> wxy", "> gap 3", "> cd"]


def test_stall_packets() -> None:
    stalled = OPEN + '< 500 a103 "ok"\n'
    assert converse(stalled + "< 502 a103\n" * (tcp.STALL_PACKETS - 1)).lines == []
    assert converse(stalled + "< 502 a103\n" * tcp.STALL_PACKETS).lines == ["> gap 3", "< ok"]


def test_stall_time() -> None:
    wait_ms = tcp.STALL_NS // 1_000_000
    stalled = OPEN + '< 500 a103 "ok" @1\n'
    assert converse(stalled + f"< 502 a103 @{1 + wait_ms}").lines == []
    assert converse(stalled + f"< 502 a103 @{2 + wait_ms}").lines == ["> gap 3", "< ok"]


def test_max_jump() -> None:
    assert one_sided((100 + tcp.MAX_JUMP, 1, 1)).lines == []
    recorder = Recorder()
    assembler = Assembler(recorder)
    play(assembler, OPEN)
    assembler.add(Segment(0, 100 + tcp.MAX_JUMP + 1, 500, ACK, b"x", 0, 1, 1))
    assembler.finish(2)
    assert recorder.lines == [DOUBTED]


def test_any_number_of_holes_may_be_acknowledged_at_once() -> None:
    holes = 3000
    recorder = Recorder()
    assembler = Assembler(recorder)
    play(assembler, OPEN)
    for i in range(holes):
        assembler.add(Segment(0, 110 + 20 * i, 500, ACK, b"x" * 10, 0, 1000 + i, i))
    for i in range(tcp.STALL_PACKETS + 1):
        assembler.add(Segment(1, 500, 100 + 20 * holes, ACK, b"", 0, 9000 + i, i))
    assert recorder.lines == ["> gap 10", "> xxxxxxxxxx"] * holes


def test_plain_says_that_nothing_is_held() -> None:
    assembler = Assembler(Recorder())
    assert assembler.plain
    for script, plain in [(OPEN, True), ("> 103 x3", False), ("> 100 x3", True), ("< 500 a110", False)]:
        play(assembler, script)
        assert assembler.plain is plain, script


# --- properties -----------------------------------------------------------------------------------------------


def stream_of(length: int) -> bytes:
    return bytes(random.Random(length).randbytes(length))


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[bytes, int, list[tuple[int, int]]]:
    """A stream, its first sequence number, and slices of it that cover it, in any order and as often as you like."""
    length = draw(st.integers(1, 120))
    first = draw(st.sampled_from([100, 0, WRAP_AT - 1, WRAP_AT - 60, 2**31 - 7]))
    cuts = sorted({0, length, *draw(st.lists(st.integers(0, length), max_size=12))})
    slices = list(pairwise(cuts))
    extra = draw(st.lists(st.tuples(st.integers(0, length), st.integers(0, length)), max_size=8))
    slices += [(min(pair), max(pair)) for pair in extra if pair[0] != pair[1]]
    return stream_of(length), first, draw(st.permutations(slices))


def feed(first: int, stream: bytes, slices: list[tuple[int, int]], *, end: bool) -> Recorder:
    recorder = Recorder()
    assembler = Assembler(recorder)
    assembler.add(Segment(0, (first - 1) & MODULUS, 0, SYN, b"", 0, 0, 1))
    for number, (start, stop) in enumerate(slices, 2):
        assembler.add(Segment(0, (first + start) & MODULUS, 0, 0, stream[start:stop], 0, number, number))
    if end:
        assembler.finish(1000)
    return recorder


@given(shuffled())
def test_any_order_gives_the_stream(case: tuple[bytes, int, list[tuple[int, int]]]) -> None:
    stream, first, slices = case
    assert feed(first, stream, slices, end=False).events == [(0, "data", stream)]


@given(shuffled(), st.sets(st.integers(0, 20)))
def test_what_is_lost_is_named_where_it_was(
    case: tuple[bytes, int, list[tuple[int, int]]], dropped: set[int]
) -> None:
    stream, first, slices = case
    kept = [one for number, one in enumerate(slices) if number not in dropped]
    recorder = feed(first, stream, kept, end=True)
    captured = {at for start, stop in kept for at in range(start, stop)}
    position = 0
    for _, what, value in recorder.events:
        if what == "gap":
            assert isinstance(value, int)
            assert captured.isdisjoint(range(position, position + value))
            position += value
        else:
            assert isinstance(value, bytes)
            assert value == stream[position : position + len(value)]
            position += len(value)
    assert position == max(captured, default=-1) + 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(0, 40),
            st.integers(0, 40),
            st.sampled_from([0, ACK, ACK, ACK, SYN, SYN | ACK, FIN | ACK, RST, RST | ACK, FIN, 0xFF]),
            st.binary(max_size=12),
            st.integers(0, 8),
            st.integers(0, 10**9),
        ),
        max_size=60,
    )
)
def test_any_segments_are_survived(rows: list[tuple[int, int, int, int, bytes, int, int]]) -> None:
    recorder = Recorder()
    assembler = Assembler(recorder)
    for number, (direction, seq, ack, flags, data, missing, time_ns) in enumerate(rows):
        segment = Segment(
            direction, (seq - 20) & MODULUS, (ack - 20) & MODULUS, flags, data, missing, time_ns, number
        )
        assembler.restarts(segment)
        assembler.add(segment)
    assembler.finish(10**9)
    assert not assembler.halves[0].held
    assert not assembler.halves[1].held
    assert all(half.held_bytes == 0 for half in assembler.halves)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[list[Segment], list[bytes]]:
    """A conversation in which each side acknowledges what it has, with its packets displaced by up to two places."""
    turns = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9)), min_size=1, max_size=20))
    position, streams = [100, 500], [b"", b""]
    segments = []
    for direction, size in turns:
        data = octets(position[direction], size)
        segments.append(Segment(direction, position[direction], position[1 - direction], ACK, data, 0, 0, 0))
        position[direction] += size
        streams[direction] += data
    keys = [2 * number + draw(st.sampled_from([0, 0, 0, 3, 5])) for number in range(len(segments))]
    order = sorted(range(len(segments)), key=keys.__getitem__)
    return [segments[i]._replace(time_ns=1000 * n, packet=n) for n, i in enumerate(order)], streams


@given(exchanges())
def test_packets_swapped_across_directions_lose_nothing(case: tuple[list[Segment], list[bytes]]) -> None:
    segments, streams = case
    recorder = Recorder()
    assembler = Assembler(recorder)
    play(assembler, OPEN)
    for segment in segments:
        assembler.add(segment)
    assembler.finish(10**6)
    got = [b"", b""]
    for direction, what, value in recorder.events:
        assert what == "data", recorder.lines
        assert isinstance(value, bytes)
        got[direction] += value
    assert got == streams
