"""Faults: late, slow, cut, silent; bytes are never changed or reordered, and nothing grows without a bound."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook import (
    CSMS,
    FLOW,
    SECOND,
    START,
    STATION,
    Playbook,
    ended,
    finished,
    noted,
    passed,
    received,
    received_raw,
    sent,
    was_reset,
)

from ocppscope.control import Held, Released
from ocppscope.model import Side
from ocppscope.proxy.active import ActiveSession
from ocppscope.proxy.commands import Finish, Note, Pause, Reset, Resume, Send
from ocppscope.proxy.faults import (
    GRACE_NS,
    MAX_BUFFER_BYTES,
    MAX_LATENCY_NS,
    MAX_SILENCE_NS,
    SLOW_BUFFER_BYTES,
    SLOW_READER_RATE,
    Disturbed,
    End,
    Faults,
    Way,
    uniform,
)
from ocppscope.proxy.policy import Policy, Room

BEAT = '[2,"h1","Heartbeat",{}]'
MS = SECOND // 1000


class Passing:
    """The simplest session: bytes pass. Pauses its station for a while when asked by the bytes."""

    deadline = None

    def received(self, side, data, time_ns):
        assert data
        orders = {b"pause": [Pause(STATION)], b"resume": [Resume(STATION)]}
        return orders.get(data, [Send(side.other, data)])

    def ended(self, side, how, time_ns):
        return [Finish(side.other) if how == "FIN" else Reset(side.other)]

    def wake(self, time_ns):
        return []


class Run:
    """Feeds a session and keeps what comes of it, with the time of each."""

    def __init__(self, faults: Faults, seed: int = 1, inner=None) -> None:
        self.session = Disturbed(inner or Passing(), faults, START, random.Random(seed))
        self.now = START
        self.log: list[tuple[int, object]] = []
        self.woken = 0

    def received(self, side: Side, data: bytes) -> None:
        self._take(self.session.received(side, data, self.now))

    def ended(self, side: Side, how: str = "FIN") -> None:
        self._take(self.session.ended(side, how, self.now))

    def _take(self, commands) -> None:
        self.log += [(self.now - START, command) for command in commands]

    def wait(self, time_ns: int) -> None:
        until = self.now + time_ns
        while (deadline := self.session.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.woken += 1
            assert self.woken < 100_000
            self._take(self.session.wake(self.now))
        self.now = until

    def data(self, side: Side) -> bytes:
        return b"".join(one.data for _, one in self.log if isinstance(one, Send) and one.side is side)

    def times(self, kind: type, side: Side) -> list[int]:
        return [time for time, one in self.log if isinstance(one, kind) and one.side is side]


def test_without_faults_everything_passes_at_once():
    run = Run(Faults())
    run.received(STATION, b"a")
    run.ended(STATION)
    assert run.log == [(0, Send(CSMS, b"a")), (0, Finish(CSMS))]
    assert run.session.deadline is None


def test_latency_is_by_direction_and_ends_are_late_too():
    run = Run(Faults(station=Way(latency_ns=200 * MS)))
    run.received(STATION, b"a")
    run.received(CSMS, b"b")
    run.wait(50 * MS)
    run.received(STATION, b"c")
    run.ended(STATION)
    run.wait(SECOND)
    note, *rest = run.log
    assert note[1].act == ("fault", "from the station: 200 ms late")
    assert rest == [
        (0, Send(STATION, b"b")),
        (200 * MS, Send(CSMS, b"a")),
        (250 * MS, Send(CSMS, b"c")),
        (250 * MS, Finish(CSMS)),
    ]


def test_a_reset_overtakes_what_is_on_its_way():
    run = Run(uniform(latency=1))
    run.received(STATION, b"a")
    run.ended(STATION, "RST")
    run.wait(5 * SECOND)
    assert [one for _, one in run.log if not isinstance(one, Note)] == [Reset(CSMS)]


@given(st.lists(st.tuples(st.integers(0, 300 * MS), st.sampled_from(Side), st.binary(min_size=1, max_size=9))))
def test_jitter_reorders_nothing_and_stays_within_its_bounds(pieces):
    run = Run(uniform(latency=0.1, jitter=0.2), seed=7)
    arrivals: dict[Side, list[int]] = {STATION: [], CSMS: []}
    expected: dict[Side, bytes] = {STATION: b"", CSMS: b""}
    for wait, side, data in pieces:
        run.wait(wait)
        run.received(side, data)
        expected[side] += data
        arrivals[side].append(run.now - START)
    run.wait(SECOND)
    for side in Side:
        assert run.data(side.other) == expected[side]
        departures = run.times(Send, side.other)
        late = [after - before for before, after in zip(arrivals[side], departures, strict=True)]
        assert all(100 * MS <= one <= 300 * MS for one in late)


def test_jitter_is_the_callers_chance():
    def departures(seed: int) -> list[int]:
        run = Run(uniform(jitter=1), seed)
        for _ in range(5):
            run.received(STATION, b"x")
            run.wait(2 * SECOND)
        return run.times(Send, CSMS)

    assert departures(1) == departures(1) != departures(2)


def test_the_longest_latency_is_bounded():
    run = Run(uniform(latency=1e9))
    run.received(STATION, b"x")
    run.wait(MAX_LATENCY_NS)
    assert run.times(Send, CSMS) == [MAX_LATENCY_NS]


@pytest.mark.parametrize("rate", [1, 100, 1000, 250_000])
def test_bandwidth(rate):
    run = Run(uniform(bandwidth=rate))
    data = bytes(range(256)) * 4
    size = min(len(data), rate * 2)
    run.received(STATION, data[:size])
    run.wait(size * SECOND // rate + 1)
    assert run.data(CSMS) == data[:size]
    assert run.times(Send, CSMS)[-1] <= size * SECOND // rate
    halfway = sum(
        len(one.data) for time, one in run.log if isinstance(one, Send) and time < size * SECOND // rate // 2
    )
    assert halfway <= size // 2 + max(1, rate // 50)


def test_a_full_line_is_not_read_further():
    run = Run(uniform(bandwidth=100_000))
    for _ in range(10):
        run.received(STATION, b"x" * (MAX_BUFFER_BYTES // 8))
    assert len(run.times(Pause, STATION)) == 1
    assert run.times(Resume, STATION) == []
    run.wait(10 * SECOND)
    assert len(run.times(Resume, STATION)) == 1
    assert len(run.data(CSMS)) == MAX_BUFFER_BYTES // 8 * 10


def test_a_slow_reader_fills_the_window():
    run = Run(uniform(slow_reader="station"))
    run.received(CSMS, b"y" * 50_000)
    assert len(run.data(STATION)) == 50_000
    run.received(STATION, b"x" * (SLOW_BUFFER_BYTES + 1000))
    assert run.times(Pause, STATION) == [0]
    run.wait(2 * SECOND)
    assert abs(len(run.data(CSMS)) - 2 * SLOW_READER_RATE) <= SLOW_READER_RATE // 50 + 1
    run.wait(2 * SECOND)
    assert len(run.times(Resume, STATION)) == 1


def test_pauses_of_both_are_joined():
    run = Run(uniform(slow_reader="station"))
    run.received(CSMS, b"pause")
    assert run.times(Pause, STATION) == [0]
    run.received(STATION, b"x" * (SLOW_BUFFER_BYTES + 1))
    assert run.times(Pause, STATION) == [0]
    run.wait(10 * SECOND)
    assert run.times(Resume, STATION) == []
    run.received(CSMS, b"resume")
    assert len(run.times(Resume, STATION)) == 1


@pytest.mark.parametrize(("how", "end"), [("RST", Reset), ("FIN", Finish)])
def test_a_cut_after_bytes_is_exact(how, end):
    run = Run(Faults(end=End(how, after_bytes=10)))
    run.received(STATION, b"1234567")
    run.received(CSMS, b"abcdef")
    run.received(CSMS, b"ghi")
    assert (run.data(CSMS), run.data(STATION)) == (b"1234567", b"abc")
    assert [(type(one), one.side) for _, one in run.log[-2:]] == [(end, STATION), (end, CSMS)]
    run.wait(60 * SECOND)
    resets = run.times(Reset, STATION)
    assert resets == ([0] if how == "RST" else [GRACE_NS])


def test_a_cut_after_a_time():
    run = Run(uniform(cut_after=3, cut_how="FIN"))
    run.wait(2 * SECOND)
    assert run.log == []
    run.wait(2 * SECOND)
    assert run.times(Finish, STATION) == run.times(Finish, CSMS) == [3 * SECOND]
    run.received(STATION, b"late")
    assert run.data(CSMS) == b""


def test_an_end_that_comes_too_late_does_nothing():
    run = Run(uniform(cut_after=3))
    run.ended(STATION)
    run.ended(CSMS)
    assert run.session.deadline is None


@pytest.mark.parametrize(("lasts", "until"), [(90 * SECOND, 90 * SECOND), (1 << 62, MAX_SILENCE_NS)])
def test_a_half_open_line_is_silent_and_ends(lasts, until):
    run = Run(Faults(end=End("", after_bytes=3, lasts_ns=lasts)))
    run.received(STATION, b"abcdef")
    run.ended(STATION)
    run.received(CSMS, b"x")
    run.wait(until - 1)
    assert [type(one) for _, one in run.log] == [Send, Note]
    assert run.data(CSMS) == b"abc"
    run.wait(1)
    assert run.times(Reset, STATION) == run.times(Reset, CSMS) == [until]
    assert run.session.deadline is None


def test_the_earlier_of_two_ends_counts():
    assert uniform(cut_after=5, half_open_after=2).end == End("", after_ns=2 * SECOND)
    assert uniform(cut_after=1, half_open_after=2).end == End("RST", after_ns=SECOND)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, SECOND), st.sampled_from(Side), st.binary(min_size=1, max_size=200)), max_size=15
    ),
    st.integers(0, 400),
    st.floats(0, 2),
    st.floats(0, 2),
)
def test_bytes_arrive_unchanged_and_in_order(pieces, bandwidth, latency, jitter):
    run = Run(uniform(latency=latency, jitter=jitter, bandwidth=bandwidth))
    expected: dict[Side, bytes] = {STATION: b"", CSMS: b""}
    for wait, side, data in pieces:
        run.wait(wait)
        run.received(side, data)
        expected[side] += data
    for side in Side:
        run.ended(side)
    run.wait(5_000 * SECOND)
    assert {side: run.data(side.other) for side in Side} == expected
    assert [type(one) for _, one in run.log[-1:]] == [Finish]
    assert len(run.times(Finish, STATION)) == len(run.times(Finish, CSMS)) == 1


# --- around an active session ---------------------------------------------------------------------------------------


def disturbed(faults: Faults, policy: Policy | None = None) -> Playbook:
    def make(policy: Policy) -> Disturbed:
        return Disturbed(ActiveSession(3, FLOW, policy, START), faults, START, random.Random(1))

    return Playbook(policy, upgraded=False, make=make)


def test_an_active_session_is_late():
    book = disturbed(Faults(csms=Way(latency_ns=SECOND)))
    book.station.send_request(book.station.connect())
    book.flush(STATION)
    book.csms.send_response(book.csms.accept(book.csms.events_received()[0]))
    book.log.clear()
    book.flush(CSMS)
    book.wait(SECOND)
    assert len(book.station.events_received()) == 1
    book.open = True
    book.log.clear()
    book.play(received(STATION, BEAT), sent(CSMS, BEAT))
    book.play(received(CSMS, "x"), passed(0.5), passed(0.6), sent(STATION, "x"))
    book.play(ended(STATION), finished(CSMS))


def test_a_cut_lets_go_of_what_is_held():
    room = Room(count=1)
    policy = Policy(room=room, chance=random.Random(1))
    policy.intercept("Heartbeat")
    session = ActiveSession(3, FLOW, policy, START)
    book = Playbook(policy, make=lambda _: Disturbed(session, uniform(cut_after=10), START, random.Random(1)))
    book.play(received(STATION, BEAT), noted(STATION, "held"))
    assert [type(tiding) for tiding in session.tidings()] == [Held]
    book.play(passed(11), noted(STATION, "fault"), was_reset(STATION), was_reset(CSMS), received_raw(STATION, b"x"))
    assert [type(tiding) for tiding in session.tidings()] == [Released]
    assert room.take(1)
