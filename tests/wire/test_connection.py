"""One connection's bytes in: what it carries, its upgrade, its messages; told alike however the bytes are cut."""

from __future__ import annotations

import pytest
from support_frames import CLOSE, PING, Deflater, frame, masked
from upgrades import PLAIN, refusal, request, response

from ocppscope.model import Handshake, Problem, Side, Text
from ocppscope.wire.connection import (
    DEAD,
    MAX_FIRST_BYTES,
    MAX_TRIAL_BYTES,
    ConnectionObserver,
    Phase,
    is_tls,
)
from ocppscope.wire.heads import MAX_HEADER_BYTES
from ocppscope.wire.websocket import Control

CALL = b'[2,"1","Heartbeat",{}]'
RESULT = b'[3,"1",{"currentTime":"2026-11-22T12:00:00Z"}]'
RESET = b'[2,"2","Reset",{"type":"Soft"}]'
HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"
GAP = "not captured"


class Witness:
    """A listener that writes down what it is told, in short; also when and in which packet."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.handshakes: list[Handshake] = []
        self.texts: list[tuple[Side, Text]] = []
        self.packets: list[int] = []
        self.problems: list[tuple[Side | None, Problem]] = []

    def handshake(self, handshake: Handshake, time_ns: int, packet: int) -> None:
        self.handshakes.append(handshake)
        self.lines.append(f"handshake {handshake.status}")
        self.packets.append(packet)

    def recognised(self, time_ns: int, packet: int) -> None:
        self.lines.append("recognised")

    def text(self, side: Side, text: Text) -> None:
        self.texts.append((side, text))
        lost = " cut" if any(problem.code == "ws.lost-bytes" for problem in text.problems) else ""
        self.lines.append(f"{'><'[side]} {text.payload.decode('latin-1')}{lost}")

    def control(self, side: Side, control: Control) -> None:
        self.lines.append(f"{'><'[side]} opcode {control.opcode}")

    def lost(self, side: Side, count: int, time_ns: int, why: str) -> None:
        assert count > 0
        assert why
        self.lines.append(f"{'><'[side]} lost {count}")

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        assert count > 0
        self.lines.append(f"{'><'[side]} unread {count}")

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        self.lines.append(f"{'><'[side]} violation")

    def problem(self, side: Side | None, problem: Problem) -> None:
        self.problems.append((side, problem))

    def closed(self, side: Side | None, how: str, time_ns: int) -> None:
        self.lines.append(f"{'><'[side] if side is not None else '-'} {how}")


Step = tuple[str, bytes | int | str]
"""Direction ">" (0) or "<" (1), and bytes, how many are missing, or "FIN" or "RST"; ("end", "") is the end."""


def observe(*steps: Step, size: int | None = None, begun: bool = True) -> tuple[ConnectionObserver, Witness]:
    """Plays steps; `size` cuts the bytes into pieces, `begun` says that both SYNs were seen."""
    witness = Witness()
    observer = ConnectionObserver(witness)
    if begun:
        for half in observer.assembler.halves:
            half.isn = 1
    for number, (who, what) in enumerate(steps, 1):
        direction = "><".find(who)
        if isinstance(what, bytes):
            for at in range(0, len(what), size or len(what) or 1):
                observer.data(direction, what[at : at + (size or len(what))], number * 1000, number)
        elif isinstance(what, int):
            observer.gap(direction, what, number * 1000, GAP)
        elif who == "end":
            observer.finish(number * 1000)
        else:
            half = observer.assembler.halves[direction]
            half.ended = True
            observer.assembler.over = what == "RST"
            observer.closed(direction, what, number * 1000, number)
    return observer, witness


def story(*steps: Step, begun: bool = True) -> list[str]:
    """What is told of a conversation, however it is cut."""
    lines = observe(*steps, begun=begun)[1].lines
    for size in (1, 2, 7):
        assert observe(*steps, size=size, begun=begun)[1].lines == lines, size
    return lines


def phase_of(*steps: Step, begun: bool = True) -> Phase:
    phase = observe(*steps, begun=begun)[0].phase
    for size in (1, 2, 7):
        assert observe(*steps, size=size, begun=begun)[0].phase is phase, size
    return phase


OPENING: tuple[Step, ...] = ((">", request()), ("<", response()))
TALK: tuple[Step, ...] = ((">", masked(CALL)), ("<", frame(RESULT)))
TOLD = [f"> {CALL.decode()}", f"< {RESULT.decode()}"]

# --- what it is -----------------------------------------------------------------------------------------------------

NEW, HTTP, IDLE = Phase.NEW, Phase.HTTP, Phase.IDLE_HTTP
TRIAL, WEBSOCKET, TLS, OTHER = Phase.TRIAL, Phase.WEBSOCKET, Phase.TLS, Phase.OTHER

FIRST = [
    # bytes, phase of a connection whose SYN was seen, and of one seen from its middle
    (b"", NEW, NEW),
    (b"G", NEW, NEW),
    (b"GET", NEW, NEW),
    (b"GET ", HTTP, HTTP),
    (b"\r\nGET / HTTP/1.1\r\n", HTTP, HTTP),
    (b"POST / HTTP/1.1\r\n", HTTP, HTTP),
    (b"HTTP/1", NEW, NEW),
    (b"HTTP/1.", HTTP, HTTP),
    (b"HTTP/1.1 101 ", HTTP, HTTP),
    (b"HTTQ", OTHER, TRIAL),
    (b"GETS / HTTP/1.1\r\n", OTHER, TRIAL),
    (b"SSH-2.0-OpenSSH_9.6\r\n", OTHER, TRIAL),
    (b"\x10\x1a\x00\x04MQTT", OTHER, TRIAL),
    (b"\x05\x01\x00", OTHER, TRIAL),
    (bytes(20), OTHER, TRIAL),
    (HELLO, TLS, TLS),
    (b"\x17\x03\x03\x40\x00" + bytes(20), TLS, TLS),
    (b"\x16\x02\x00\x00\x05", OTHER, TRIAL),
    (b"\r\n" * MAX_FIRST_BYTES, OTHER, TRIAL),
    (PLAIN, IDLE, IDLE),
    (request(), HTTP, HTTP),
    (masked(CALL), OTHER, WEBSOCKET),
    (frame(RESULT), OTHER, WEBSOCKET),
]


@pytest.mark.parametrize(("first", "begun", "midstream"), FIRST)
def test_first_bytes(first: bytes, begun: Phase, midstream: Phase) -> None:
    assert phase_of((">", first)) is begun
    assert phase_of(("<", first)) is begun
    assert phase_of((">", first), begun=False) is midstream
    assert phase_of(("<", first), begun=False) is midstream


def test_dead_phases_take_no_more_bytes() -> None:
    observer, witness = observe((">", b"SSH-2.0-x\r\n"), *OPENING, *TALK, ("end", ""))
    assert observer.phase in DEAD
    assert witness.lines == []


@pytest.mark.parametrize("size", [None, 1, 3])
def test_a_request_that_is_answered_in_tls(size: int | None) -> None:
    observer, witness = observe((">", request()), ("<", b"\x15\x03\x01\x00\x02\x02\x46"), ("end", ""), size=size)
    assert observer.phase is Phase.TLS
    assert observer.tls is not None
    assert [alert[1:] for alert in observer.tls.alerts] == [(1, 2, 70)]
    assert observer.tls.plain_request
    assert len(witness.lines) == 1


@pytest.mark.parametrize("size", [None, 1])
def test_an_answer_that_only_begins_like_tls(size: int | None) -> None:
    observer, _ = observe((">", request()), ("<", b"\x15\x03junk instead of an answer"), size=size)
    assert observer.phase is not Phase.TLS
    assert observer.tls is None


def test_in_tls_no_frames_are_looked_for() -> None:
    observer, witness = observe((">", HELLO), *OPENING, *TALK, ("end", ""))
    assert observer.phase is Phase.TLS
    assert observer.tls is not None
    assert observer.tls.client_hello is None
    assert witness.lines == []


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (HELLO, True),
        (HELLO[:5], True),
        (HELLO[:4], False),
        (b"\x14\x03\x04\x48\x00", True),
        (b"\x18\x03\x00\x00\x00", True),
        (b"\x13\x03\x03\x00\x05", False),
        (b"\x19\x03\x03\x00\x05", False),
        (b"\x16\x03\x05\x00\x05", False),
        (b"\x16\x04\x03\x00\x05", False),
        (b"\x16\x03\x03\x48\x01", False),
    ],
)
def test_is_tls(octets: bytes, expected: bool) -> None:
    assert is_tls(octets) is expected


# --- the upgrade ----------------------------------------------------------------------------------------------------


def test_a_session() -> None:
    assert story(*OPENING, *TALK) == ["handshake 101", *TOLD]


def test_packets_and_sides() -> None:
    observer, witness = observe(*OPENING, *TALK)
    assert observer.client == 0
    assert witness.packets == [2]
    assert [(side, text.origin.packets) for side, text in witness.texts] == [(Side.STATION, (3,)), (Side.CSMS, (4,))]


def test_the_station_may_be_direction_1() -> None:
    swapped: list[Step] = [("<>"["><".index(who)], what) for who, what in (*OPENING, *TALK)]
    observer, witness = observe(*swapped)
    assert observer.client == 1
    assert (observer.side(1), observer.side(0)) == (Side.STATION, Side.CSMS)
    assert witness.lines == ["handshake 101", *TOLD]


def test_frames_behind_the_answer_in_one_segment() -> None:
    assert story((">", request()), ("<", response() + frame(RESET))) == ["handshake 101", f"< {RESET.decode()}"]


def test_frames_before_the_answer() -> None:
    """They were sent before what follows the answer, and a CALL among them may be answered there."""
    steps: list[Step] = [(">", request() + masked(CALL)), ("<", response() + frame(RESULT))]
    assert story(*steps) == ["handshake 101", *TOLD]


def test_an_upgrade_after_plain_requests() -> None:
    """A kept-alive connection without an upgrade is idle: the engine begins anew with the next request."""
    observer, witness = observe((">", PLAIN), ("<", refusal("200 OK")))
    assert (observer.phase, witness.lines) == (IDLE, [])


def test_deflate_parameters_go_with_their_sides() -> None:
    agreed = "permessage-deflate; client_no_context_takeover"
    steps: list[Step] = [
        (">", request(sec_websocket_extensions="permessage-deflate")),
        ("<", response(sec_websocket_extensions=agreed)),
    ]
    fresh, kept = Deflater(takeover=False), Deflater()
    for _ in range(3):
        steps.append((">", frame(fresh.message(CALL), rsv=0x40, mask=b"abcd")))
        steps.append(("<", frame(kept.message(RESULT), rsv=0x40)))
    assert story(*steps) == ["handshake 101", *TOLD * 3]


def test_without_an_extension_rsv1_is_a_violation() -> None:
    lines = story(*OPENING, ("<", frame(RESET, rsv=0x40)))
    assert lines == ["handshake 101", "< violation", f"< {RESET.decode()}"]


REFUSED: tuple[Step, ...] = ((">", request()), ("<", refusal(body=b"who are you?")))


def test_refused() -> None:
    observer, witness = observe(*REFUSED)
    assert (observer.phase, witness.lines) == (HTTP, ["handshake 401"])
    assert story(*REFUSED, ("end", "")) == ["handshake 401"]


def test_a_refusal_is_told_with_its_body() -> None:
    for size in (None, 1, 2, 7):
        (handshake,) = observe(*REFUSED, (">", PLAIN), ("end", ""), size=size)[1].handshakes
        assert handshake.body == "who are you?"


def test_refused_and_tried_again() -> None:
    assert story(*REFUSED, *REFUSED) == ["handshake 401"] * 2
    assert story(*REFUSED, *OPENING, *TALK) == ["handshake 401", "handshake 101", *TOLD]


def test_every_one_of_pipelined_refusals_is_told() -> None:
    asked: Step = (">", request() * 2)
    one, other = refusal("401 Unauthorized"), refusal("403 Forbidden")
    both = ["handshake 401", "handshake 403"]
    assert story(asked, ("<", one), ("<", other)) == both
    assert story(asked, ("<", one + other)) == both


def test_a_refusal_and_a_grant_to_pipelined_requests_are_both_told() -> None:
    lines = story((">", request() * 2), ("<", refusal() + response()), *TALK)
    assert lines == ["handshake 401", "handshake 101", *TOLD]


def test_a_plain_request_after_a_refusal_tells_nothing_new() -> None:
    assert story(*REFUSED, (">", PLAIN), ("<", refusal("200 OK"))) == ["handshake 401"]


def test_a_request_without_an_answer_is_told_at_the_end() -> None:
    assert story((">", request()), ("end", "")) == ["handshake None"]
    assert story((">", request()), (">", "FIN"), ("<", "FIN")) == ["> FIN", "< FIN", "handshake None"]


@pytest.mark.parametrize(
    "end", [[(">", "RST")], [("<", "RST")], [(">", "FIN"), ("<", "FIN")], [("end", "")]], ids=str
)
def test_a_request_without_an_answer_is_told_once(end: list[Step]) -> None:
    """The end of a connection is said twice: by its last segment, and by who drops it."""
    lines = observe((">", request()), *end, ("end", ""))[1].lines
    assert lines.count("handshake None") == 1


def test_an_answer_without_a_request() -> None:
    assert story(("<", response()), *TALK) == ["handshake 101", *TOLD]
    observer, _ = observe((">", response()))
    assert observer.client == 1


def test_http_that_turns_into_something_else() -> None:
    assert phase_of((">", request()), ("<", response(upgrade="h2c", line="HTTP/1.1 200 OK"))) is HTTP
    assert observe((">", b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEADER_BYTES))[0].phase is Phase.ENDLESS_HTTP


# --- gaps around the upgrade ----------------------------------------------------------------------------------------


def test_the_answer_is_not_captured() -> None:
    size = len(response())
    lines = story((">", request()), ("<", size), *TALK)
    assert lines == ["handshake None", f"< lost {size}", "recognised", *TOLD]


@pytest.mark.parametrize("cut", [1, 20, len(response()) - 1])
def test_a_part_of_the_answer_is_not_captured(cut: int) -> None:
    octets = response()
    for steps in (
        [("<", cut), ("<", octets[cut:])],
        [("<", octets[:cut]), ("<", len(octets) - cut)],
    ):
        lines = observe((">", request()), *steps, *TALK)[1].lines
        assert lines[0] == "handshake None"
        assert [line for line in lines if line in TOLD] == TOLD


@pytest.mark.parametrize("cut", [1, 30, 100, len(request()) - 1])
def test_a_part_of_the_request_is_not_captured(cut: int) -> None:
    octets = request()
    for steps in (
        [(">", cut), (">", octets[cut:])],
        [(">", octets[:cut]), (">", len(octets) - cut)],
        [(">", octets[:cut]), (">", 1), (">", octets[cut + 1 :])],
    ):
        lines = observe(*steps, ("<", response()), *TALK)[1].lines
        assert [line for line in lines if line in TOLD] == TOLD
        assert len([line for line in lines if line.startswith(("handshake", "recognised"))]) == 1


def test_the_request_is_not_captured() -> None:
    lines = story((">", 200), ("<", response()), *TALK)
    assert lines == ["handshake 101", "> lost 200", *TOLD]


@pytest.mark.parametrize("who", "><")
def test_a_refusal_is_told_once_although_bytes_are_missing_after_it(who: str) -> None:
    lines = observe(*REFUSED, (who, 50))[1].lines
    assert lines.count("handshake 401") == 1
    assert observe(*REFUSED, (who, 50), ("end", ""))[1].lines.count("handshake 401") == 1


def test_an_upgrade_is_found_although_bytes_are_missing_after_a_refusal() -> None:
    lines = observe(*REFUSED, ("<", 50), *OPENING, *TALK)[1].lines
    assert [line for line in lines if line in ("handshake 401", "handshake 101", *TOLD)] == [
        "handshake 401",
        "handshake 101",
        *TOLD,
    ]


def test_a_gap_before_anything_is_known() -> None:
    lines = story((">", 10), *TALK)
    assert lines == ["recognised", "> lost 10", *TOLD]


def test_a_gap_in_a_session() -> None:
    octets = masked(CALL)
    lines = observe(*OPENING, (">", octets[:-4]), (">", 4), *TALK)[1].lines
    assert lines == ["handshake 101", "> lost 4", f"> {CALL.decode()[:-4]} cut", *TOLD]


def test_a_gap_in_a_connection_that_nobody_looks_at() -> None:
    for first in (HELLO, b"SSH-2.0-x\r\n", PLAIN):
        assert story((">", first), (">", 100), ("<", 100), ("end", "")) == []


# --- no upgrade seen ------------------------------------------------------------------------------------------------


def test_mid_stream() -> None:
    assert story(*TALK, begun=False) == ["recognised", *TOLD]


@pytest.mark.parametrize("who", "><")
def test_both_directions_are_tried_in_both_roles(who: str) -> None:
    other = "<" if who == ">" else ">"
    observer, witness = observe((who, masked(CALL)), (other, frame(RESULT)), begun=False)
    assert observer.client == "><".index(who)
    assert witness.lines == ["recognised", *TOLD]
    observer, witness = observe((who, frame(RESET)), begun=False)
    assert observer.client == "><".index(other)
    assert witness.lines == ["recognised", f"< {RESET.decode()}"]


def test_what_the_other_direction_held_is_told_too() -> None:
    """A ping proves little; with the CALL of the other side it is one."""
    lines = story(("<", frame(b"", PING)), (">", masked(CALL)), ("<", frame(RESULT)), begun=False)
    assert lines[0] == "recognised"
    assert [line for line in lines if line in TOLD] == TOLD


def test_mid_stream_in_the_middle_of_a_frame() -> None:
    lines = story((">", b"rest of a frame" + masked(CALL)), ("<", frame(RESULT)), begun=False)
    assert lines == ["recognised", "> unread 15", *TOLD]


def test_one_direction_is_believed_in_one_role_only() -> None:
    """Both sides' frames in one direction: whose are found first are read, and the rest makes no second side."""
    both = masked(CALL) + frame(RESULT)
    lines = story((">", both), ("<", frame(RESET)), begun=False)
    assert [line for line in lines if "violation" not in line] == [
        "recognised", TOLD[0], f"> {RESULT.decode()}", f"< {RESET.decode()}",
    ]  # fmt: skip
    lines = story((">", frame(RESET) + masked(CALL)), begun=False)
    assert [line for line in lines if line[0] == ">"] == []
    garbage = frame(b"", length=1 << 30)
    lines = story((">", masked(CALL) + garbage + frame(RESULT) + frame(RESET)), ("end", ""), begun=False)
    assert lines == ["recognised", TOLD[0], f"> unread {len(garbage + frame(RESULT) + frame(RESET))}"]


def test_what_cannot_be_read_is_told_where_the_end_decides_for_the_other_direction() -> None:
    waiting = b"\xc1\x7e\x01\x2c"  # a frame whose end would be waited for
    texts = b"".join(frame(Deflater(takeover=False).message(text), rsv=0x40) for text in (RESET, RESULT))
    lines = story((">", b"no frames at all"), ("<", waiting + texts), ("end", ""), begun=False)
    assert lines == ["recognised", f"< unread {len(waiting)}", f"< {RESET.decode()}", TOLD[1], "> unread 16"]


def test_bytes_beyond_the_bound_are_read_where_frames_are_found_within() -> None:
    call = masked(CALL)
    assert story((">", call * (MAX_TRIAL_BYTES // len(call) + 9)), begun=False)[1:] == TOLD[:1] * (
        MAX_TRIAL_BYTES // len(call) + 9
    )
    assert phase_of((">", b"\xff" * MAX_TRIAL_BYTES + call), begun=False) is OTHER


def test_a_gap_begins_the_trial_anew() -> None:
    lines = story((">", masked(CALL)[:-3]), (">", 3), *TALK, begun=False)
    assert [line for line in lines if line in TOLD] == TOLD


def test_the_end_decides_a_trial() -> None:
    """Two compressed texts would be believed; of one with nothing behind it only the end can say."""
    deflater = Deflater()
    texts = [frame(deflater.message(text), rsv=0x40) for text in (RESET, RESULT)]
    lines = story(*(("<", text) for text in texts), ("end", ""), begun=False)
    assert lines[0] == "recognised"


def test_foreign_bytes_are_given_up_within_the_bound() -> None:
    piece = b"\x00\x01 foreign \xff" * 100
    steps: list[Step] = [(">", piece)] * (MAX_TRIAL_BYTES // len(piece))
    assert observe(*steps, begun=False)[0].phase is TRIAL
    assert observe(*steps, (">", piece), begun=False)[0].phase is OTHER


def test_a_gap_does_not_lengthen_the_trial() -> None:
    steps: list[Step] = [(">", bytes(MAX_TRIAL_BYTES // 2)), (">", 5)] * 3
    assert observe(*steps, begun=False)[0].phase is OTHER


# --- the end --------------------------------------------------------------------------------------------------------


def test_half_close() -> None:
    lines = story(*OPENING, *TALK, (">", "FIN"), ("<", frame(RESET)), ("<", "FIN"), ("end", ""))
    assert lines == ["handshake 101", *TOLD, "> FIN", f"< {RESET.decode()}", "< FIN"]


def test_a_cut_frame_is_told_with_the_fin_of_its_side() -> None:
    lines = story(*OPENING, ("<", frame(RESULT)[:-2]), (">", "FIN"), ("<", "FIN"))
    assert lines == ["handshake 101", "> FIN", f"< {RESULT.decode()[:-2]} cut", "< FIN"]


def test_close_frames() -> None:
    lines = story(*OPENING, (">", masked(b"\x03\xe8", CLOSE)), ("<", frame(b"\x03\xe8", CLOSE)), ("<", "FIN"))
    assert lines == ["handshake 101", "> opcode 8", "< opcode 8", "< FIN"]


def test_reset() -> None:
    lines = story(*OPENING, *TALK, ("<", frame(RESET)[:10]), (">", "RST"), ("end", ""))
    assert lines == ["handshake 101", *TOLD, "> RST", f"< {RESET.decode()[:8]} cut"]


def test_finishing_twice_tells_nothing_twice() -> None:
    for steps in ((*OPENING, *TALK, (">", masked(CALL)[:-2])), TALK, ((">", request()),), ((">", b"x"),)):
        for begun in (True, False):
            once = observe(*steps, ("end", ""), begun=begun)[1].lines
            assert observe(*steps, ("end", ""), ("end", ""), begun=begun)[1].lines == once


def test_tcp_problems_go_to_the_listener() -> None:
    observer, witness = observe(*OPENING)
    problem = Problem("tcp.overlap-conflict", "…")
    observer.problem(1, problem, 5)
    assert witness.problems == [(Side.CSMS, problem)]


def test_what_is_told_at_an_end_without_a_beginning() -> None:
    assert story(("end", "")) == []
    assert story((">", "FIN"), ("<", "FIN"), ("end", "")) == ["> FIN", "< FIN"]
