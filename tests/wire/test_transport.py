"""What a tally says of a connection's segments, told one by one; that a block's sums come to the same; its bounds."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_frames import frame, masked
from support_packets import Session, block, ethernet, ipv4, tcp
from upgrades import request, response

from ocppscope.engine import Engine
from ocppscope.model import ConnectionClosed, ConnectionOpened, Side, Transport, TransportSide
from ocppscope.wire.link import ACK, FIN, RST, SYN
from ocppscope.wire.transport import BUCKETS, COPY_NS, REORDER_NS, RoundTripTable, Tally

MS = 1_000_000
SECOND = 1000 * MS
START = 1_000_000 * SECOND


def tally(*segments: tuple[int, int, int, int, int, int]) -> Tally:
    """Of segments: direction, seq, length, ack, flags, time in ms."""
    made = Tally()
    for direction, seq, length, ack, flags, at in segments:
        made.add(direction, seq, length, ack, flags, START + at * MS)
    return made


def told(*segments: tuple[int, int, int, int, int, int]) -> Transport:
    found = tally(*segments).transport(0)
    assert found is not None
    return found


OPENING = ((0, 99, 0, 0, SYN, 0), (1, 499, 0, 100, SYN | ACK, 10), (0, 100, 0, 500, ACK, 30))
ASKED = (*OPENING, (0, 100, 50, 500, ACK, 40))


def test_the_opening() -> None:
    found = told((0, 99, 0, 0, SYN, 0), (0, 99, 0, 0, SYN, 1000), (0, 99, 0, 0, SYN, 3000), *OPENING[1:])
    assert found.syns == 3
    assert (found.syn_ns, found.last_syn_ns) == (START, START + 3 * SECOND)
    assert (found.synack_ns, found.ack_ns) == (START + 10 * MS, START + 30 * MS)


def test_a_syn_that_was_captured_twice_is_one() -> None:
    assert told(OPENING[0], OPENING[0], *OPENING[1:]).syns == 1


def test_a_syn_after_the_answer_does_not_count_as_waited_for() -> None:
    assert told(*OPENING[:2], (0, 99, 0, 0, SYN, 500)).last_syn_ns == START


def test_an_opening_that_was_not_captured() -> None:
    found = told((0, 100, 5, 500, ACK, 0))
    assert (found.syns, found.syn_ns, found.synack_ns, found.ack_ns) == (0, None, None, None)


SENT: dict[str, tuple[tuple[tuple[int, int, int, int, int, int], ...], dict[str, int]]] = {
    "data": (ASKED, {"segments": 1, "payload_bytes": 50}),
    "sent again": (
        (*ASKED, (0, 100, 50, 500, ACK, 340)),
        {"segments": 2, "payload_bytes": 100, "retransmitted": 1, "unacked_resends": 1},
    ),
    "sent again and acknowledged": (
        (*ASKED, (0, 100, 50, 500, ACK, 340), (1, 500, 0, 150, ACK, 360)),
        {"segments": 2, "retransmitted": 1, "unacked_resends": 0},
    ),
    "sent again although it was acknowledged": (
        (*ASKED, (1, 500, 0, 150, ACK, 60), (0, 100, 50, 500, ACK, 340)),
        {"segments": 2, "retransmitted": 1, "unacked_resends": 0},
    ),
    "captured twice": ((*ASKED, (0, 100, 50, 500, ACK, 40)), {"segments": 2, "copies": 1, "retransmitted": 0}),
    "sent again right after it was sent again": (
        (*ASKED, (0, 100, 50, 500, ACK, 340), (0, 100, 50, 500, ACK, 340)),
        {"segments": 3, "copies": 0, "retransmitted": 2},
    ),
    "a keep-alive probe": ((*ASKED, (1, 500, 0, 150, ACK, 60), (0, 149, 1, 500, ACK, 9000)), {"segments": 1}),
    "a keep-alive probe without a byte": (
        (*ASKED, (1, 500, 0, 150, ACK, 60), (0, 149, 0, 500, ACK, 9000)),
        {"segments": 1},
    ),
    "captured in another order": (
        (*ASKED, (0, 160, 10, 500, ACK, 41), (0, 150, 10, 500, ACK, 42)),
        {"segments": 3, "reordered": 1, "retransmitted": 0},
    ),
    "a hole filled late": (
        (*ASKED, (0, 160, 10, 500, ACK, 41), (0, 150, 10, 500, ACK, 300)),
        {"segments": 3, "reordered": 0, "retransmitted": 1},
    ),
    "numbers that cannot be": ((*ASKED, (0, 100 + (1 << 30), 10, 500, ACK, 41)), {"segments": 1}),
    "numbers that wrap": (
        (
            (0, (1 << 32) - 11, 0, 0, SYN, 0),
            (1, 499, 0, (1 << 32) - 10, SYN | ACK, 1),
            (0, (1 << 32) - 10, 20, 500, ACK, 2),
            (0, 10, 5, 500, ACK, 3),
        ),
        {"segments": 2, "payload_bytes": 25, "retransmitted": 0},
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_what_the_station_sent(name: str) -> None:
    segments, expected = SENT[name]
    side = told(*segments).sides[Side.STATION]
    assert {field: getattr(side, field) for field in expected} == expected


def test_how_long_nobody_acknowledges() -> None:
    resent = [(0, 100, 50, 500, ACK, 40 + 300 * 2**n) for n in range(5)]
    side = told(*ASKED, *resent).sides[Side.STATION]
    assert (side.unacked_resends, side.retransmitted) == (5, 5)
    assert side.unacked_since_ns == START + 40 * MS
    assert side.unacked_resends_since_ns == START + 340 * MS


def test_what_was_acknowledged_in_part_waits_since_then() -> None:
    side = told(*ASKED, (0, 150, 50, 500, ACK, 41), (1, 500, 0, 150, ACK, 90)).sides[Side.STATION]
    assert side.unacked_since_ns == START + 90 * MS


def test_nothing_waits_when_all_is_acknowledged() -> None:
    side = told(*ASKED, (1, 500, 0, 150, ACK, 90)).sides[Side.STATION]
    assert (side.unacked_since_ns, side.unacked_resends_since_ns) == (None, None)


def test_a_capture_of_one_direction_says_nothing_of_acknowledgements() -> None:
    side = told((0, 100, 50, 500, ACK, 0), (0, 100, 50, 500, ACK, 300), (0, 100, 50, 500, ACK, 900)).sides[0]
    assert (side.retransmitted, side.unacked_resends, side.unacked_since_ns) == (2, 0, None)


def test_round_trips() -> None:
    trips = told(*ASKED, (1, 500, 20, 150, ACK, 90), (0, 150, 0, 520, ACK, 97)).sides
    assert trips[Side.STATION].round_trips is not None
    assert trips[Side.STATION].round_trips.min_ns == trips[Side.STATION].round_trips.max_ns == 50 * MS
    assert trips[Side.CSMS].round_trips is not None
    assert trips[Side.CSMS].round_trips.p95_ns == 7 * MS


def test_what_was_sent_again_has_no_round_trip() -> None:
    side = told(*ASKED, (0, 100, 50, 500, ACK, 340), (1, 500, 0, 150, ACK, 350)).sides[Side.STATION]
    assert side.round_trips is None


def windows(*zero: tuple[bool, int]) -> int:
    made = tally(*OPENING)
    for shut, at in zero:
        made.add(1, 500, 0, 100, ACK, START + at * MS, zero=shut)
    found = made.transport(0)
    assert found is not None
    return found.sides[Side.CSMS].zero_window_ns // MS


def test_zero_windows() -> None:
    assert windows((False, 50)) == 0
    assert windows((True, 50), (True, 900), (False, 1050), (True, 2000), (False, 2500)) == 1000
    assert windows((False, 50), (True, 100), (True, 6100)) == 6000  # still shut


def test_a_reset_has_no_window() -> None:
    made = tally(*OPENING)
    made.add(1, 500, 0, 100, RST | ACK, START, zero=True)
    found = made.transport(0)
    assert found is not None
    assert found.sides[Side.CSMS].zero_window_ns == 0


@pytest.mark.parametrize("client", [0, 1])
def test_ends(client: int) -> None:
    ending = ((1, 500, 0, 100, FIN | ACK, 50), (0, 100, 0, 501, FIN | ACK, 60), (1, 501, 0, 101, RST, 70))
    found = tally(*OPENING, *ending).transport(client)
    assert found is not None
    assert found.ended_by == 1 - client
    assert found.sides[client ^ 1].fin_ns == START + 50 * MS
    assert found.sides[client].fin_ns == START + 60 * MS
    assert [side.rst_ns for side in found.sides].count(None) == 1


def test_nothing_seen() -> None:
    assert Tally().transport(0) is None


# --- sums of blocks -----------------------------------------------------------------------------------------------

CALL = b'[2,"a-long-enough-message-id","Heartbeat",{}]'


class Line:
    """A session on a line with faults: steps are what the next packet is."""

    def __init__(self) -> None:
        self.session = Session().open().station(request()).csms(response())
        self.times = [START + i * MS for i in range(len(self.session.packets))]
        self.acked = list(self.session.seq)
        self.last: list[tuple[int, bytes]] = [(0, b""), (0, b"")]

    def packet(self, direction: int, flags: int, data: bytes, wait: int, *, seq: int, window: int = 1000) -> None:
        session, other = self.session, 1 - direction
        segment = bytearray(tcp(session.ports[direction], session.ports[other], seq, self.acked[other], flags, data))
        segment[14:16] = window.to_bytes(2, "big")
        address = (session.hosts[direction], session.hosts[other])
        session.packets.append(ethernet(0x0800, ipv4(*address, bytes(segment)), pad=True))
        self.times.append(self.times[-1] + wait)

    def step(self, what: str, direction: int, wait: int) -> None:
        session = self.session
        seq = session.seq[direction]
        if what in ("data", "lost"):
            data = masked(CALL) if direction == 0 else frame(CALL)
            self.last[direction] = (seq, data)
            session.seq[direction] += len(data)
            if what == "data":
                self.packet(direction, ACK, data, wait, seq=seq)
        elif what == "again":
            self.packet(direction, ACK, self.last[direction][1], wait, seq=self.last[direction][0])
        elif what == "ack":
            self.acked[1 - direction] = session.seq[1 - direction]
            self.packet(direction, ACK, b"", wait, seq=seq)
        elif what == "stale":
            self.packet(direction, ACK, b"", wait, seq=seq)
        elif what == "shut":
            self.packet(direction, ACK, b"", wait, seq=seq, window=0)


STEPS = st.tuples(
    st.sampled_from(["data", "data", "data", "ack", "ack", "ack", "stale", "again", "shut", "lost"]),
    st.integers(0, 1),
    st.sampled_from([0, 1000, COPY_NS, 3 * MS, 40 * MS, 2 * SECOND]),
)


def transports(line: Line, size: int) -> list[Transport | None]:
    engine, found = Engine(), []
    packets = line.session.packets
    for first in range(0, len(packets), size):
        chosen = slice(first, first + size)
        found += engine.packets(block(packets[chosen], first=first + 1, times=line.times[chosen]))
    found += engine.finish()
    return [e.connection.transport for e in found if isinstance(e, ConnectionClosed | ConnectionOpened)]


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40), st.integers(2, 12))
def test_blocks_come_to_the_same_figures(steps: list[tuple[str, int, int]], size: int) -> None:
    line = Line()
    for what, direction, wait in steps:
        line.step(what, direction, wait)
    each = transports(line, 1)
    assert len(each) == 2
    assert transports(line, size) == each
    assert transports(line, 1000) == each


def test_a_long_clean_session_is_summed_up() -> None:
    """Counted by hand, where nearly everything goes by as columns."""
    line = Line()
    for _ in range(50):
        for direction, what, wait in ((0, "data", 10), (1, "ack", 3), (1, "data", 20), (0, "ack", 5)):
            line.step(what, direction, wait * MS)
    for size in (1, 16, 1000):
        found = transports(line, size)[-1]
        assert found is not None
        for side, trip in zip(found.sides, (3, 5), strict=True):
            assert (side.segments, side.retransmitted) == (51, 0)
            assert side.round_trips is not None
            assert side.round_trips.count >= 50
            assert side.round_trips.p95_ns == pytest.approx(trip * MS, rel=1 / 8)
        assert found.sides[0].payload_bytes == len(request()) + 50 * len(masked(CALL))


def test_a_stream_of_a_proxy_has_no_transport() -> None:
    from ocppscope.model import Endpoint, Flow

    engine = Engine()
    track = engine.open_stream(Flow(Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 2)), START)
    events = [
        *engine.stream(track, Side.STATION, request(), START),
        *engine.stream(track, Side.CSMS, response(), START),
    ]
    assert [e.connection.transport for e in events if isinstance(e, ConnectionOpened)] == [None]


# --- round trip times ---------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 1 << 50), min_size=1, max_size=60))
def test_the_table_knows_percentiles(times: list[int]) -> None:
    """One by one and all at once; against sorting them."""
    single, many = RoundTripTable(), RoundTripTable()
    for table in (single, many):
        table.seat()
        assert table.figures(0) is None
    for time_ns in times:
        single.add(0, time_ns)
    many.add_many(np.zeros(len(times), np.int64), np.array(times))
    found = single.figures(0)
    assert found == many.figures(0)
    assert found is not None
    assert (found.count, found.min_ns, found.max_ns) == (len(times), min(times), max(times))
    exact = sorted(times)[-(-len(times) * 95 // 100) - 1]
    if exact < 100 * SECOND:
        assert abs(found.p95_ns - exact) <= max(exact / 8 + 1, 512)


def test_seats_are_used_again_and_are_clean() -> None:
    table = RoundTripTable()
    seats = [table.seat() for _ in range(100)]
    assert len(set(seats)) == 100
    table.add(seats[70], 5)
    table.give_back(seats[70])
    assert table.seat() == seats[70]
    assert table.figures(seats[70]) is None


def test_closed_connections_give_their_seats_back() -> None:
    engine = Engine()
    for port in range(1, 200):
        engine.packets(block(Session(port).open().station(request()).csms(response()).station().close().packets))
    assert len(engine.round_trips._soonest) < 64


def test_what_a_tally_keeps_is_bounded() -> None:
    made = tally(*OPENING)
    for i in range(3000):
        made.add(0, (100 + 2000 * i) & 0xFFFFFFFF, 1000, 500, ACK, START + i * REORDER_NS)
    kept = [getattr(way, name) for way in made.ways for name in way.__slots__ if name != "table"]
    assert sum(map(sys.getsizeof, kept)) < 4096
    assert BUCKETS * 8 < 1024


def test_sides_are_those_of_the_roles() -> None:
    found = tally(*ASKED).transport(1)
    assert found is not None
    assert found.sides == (TransportSide(last_ns=START + 10 * MS), found.sides[1])
    assert found.sides[1].segments == 1
    assert found.syns == 0  # the other end opened it
