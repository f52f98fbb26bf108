"""When the ends of a TLS connection speak: what breaks a quiet is kept, however the packets are cut into blocks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_packets import Session, block
from support_tls import TLS12, TLS13, data

from ocppscope.engine import Engine
from ocppscope.model import TlsConnection, TlsRhythm
from ocppscope.options import Options
from ocppscope.wire import tlsflow
from ocppscope.wire.link import ACK, FIN, SYN

SECOND = 1_000_000_000
START = 1_795_348_800 * SECOND
Step = tuple[float, int, int]
"""Seconds since the one before, direction, bytes of application data; 0 for a bare ACK."""


def course(
    steps: list[Step], *, opening: tuple[tuple[int, bytes], ...] = TLS12, gap: float = 0.001
) -> tuple[list[bytes], list[int]]:
    """A connection's packets and times."""
    session, times = Session(to=443), []

    def sent(direction: int, octets: bytes, flags: int, seconds: float) -> None:
        session.send(direction, octets, flags)
        times.append((times[-1] if times else START) + int(seconds * SECOND))

    for direction, flags in ((0, SYN), (1, SYN | ACK), (0, ACK)):
        sent(direction, b"", flags, gap)
    for direction, octets in opening:
        sent(direction, octets, ACK, gap)
    for seconds, direction, size in steps:
        sent(direction, data(size) if size else b"", ACK, seconds)
    return session.packets, times


def told(packets: list[bytes], times: list[int], size: int = 1000) -> list[TlsConnection]:
    engine, found = Engine(Options(hash_key=1)), []
    for first in range(0, len(packets), size):
        some = slice(first, first + size)
        found += engine.packets(block(packets[some], first=first + 1, times=times[some]))
    return [event for event in [*found, *engine.finish()] if isinstance(event, TlsConnection)]


@pytest.mark.parametrize("opening", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_heartbeats_show(opening: tuple[tuple[int, bytes], ...], size: int) -> None:
    packets, times = course([(300, 0, 75), (0.02, 1, 90)] * 5, opening=opening)
    (found,) = told(packets, times, size)
    station, csms = found.rhythm
    assert (station.times, csms.times) == (5, 5)
    assert {octets for _, octets, _ in station.latest} == {80}
    assert [now for now, _, _ in station.latest] == times[-10::2]
    assert station.latest[-1][2] == 300 * SECOND + 20_000_000
    assert csms.last_ns == times[-1]


def test_only_so_many_are_kept() -> None:
    (found,) = told(*course([(2, 0, 40 + at) for at in range(100)]))
    rhythm = found.rhythm[0]
    assert rhythm.times == 100
    assert [size for _, size, _ in rhythm.latest] == [45 + at for at in range(100 - tlsflow.MAX_BEATS, 100)]


def test_what_is_no_quiet() -> None:
    (found,) = told(*course([(0.9, 0, 50), (0.9, 0, 50), (5, 0, 0), (0, 1, 0)]))
    assert [one.times for one in found.rhythm] == [0, 0]
    assert TlsRhythm() == TlsRhythm(0, (), None)


def test_probes_of_tcp_are_not_heard() -> None:
    packets, times = course([(0.1, 0, 50)])
    session = Session(to=443)
    session.seq = [5000, 6000]
    for at in range(3):
        packets += session.send(0, b"\0").packets[-1:]
        times.append(times[-1] + (at + 1) * 60 * SECOND)
    (found,) = told(packets, times)
    assert found.rhythm[0].times == 0


def test_clocks_beyond_all_bounds() -> None:
    packets, times = course([(1, 0, 50)] * 4)
    times[-4:] = [-(2**63) + 5, 2**63 - 5, -5, 2**63 - 1]
    for size in (1, 2, 1000):
        (found,) = told(packets, times, size)
        assert found.rhythm[0].last_ns == 2**63 - 1
        assert all(quiet > 0 for _, _, quiet in found.rhythm[0].latest)


def test_a_port_used_again_hears_what_came_before() -> None:
    packets, times = course([(3, 0, 50), (3, 0, 50), (3, 0, 50)])
    session = Session(to=443, start=7000)
    packets += session.send(0, flags=SYN).packets
    times.append(times[-1] + SECOND)
    each = [told(packets, times, size) for size in (1, 2, 3, 1000)]
    assert [found.rhythm[0].times for (found, *_) in each] == [3] * 4
    assert {found.time_ns for (found, *_) in each} == {times[-2]}


STEPS = st.tuples(
    st.sampled_from([0.0, 0.01, 0.5, 1.0, 1.5, 60.0, -2.0]), st.integers(0, 1), st.sampled_from([0, 0, 3, 60, 700])
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=40), st.integers(1, 9), st.booleans(), st.sampled_from([0.001, 1.2]))
def test_nobody_can_tell_how_packets_were_cut(steps: list[Step], size: int, ends: bool, gap: float) -> None:
    packets, times = course(steps, gap=gap)
    if ends:
        session = Session(to=443)
        session.seq = [99, 99]
        packets += session.send(0, data(20)).send(0, flags=FIN | ACK).send(1, flags=FIN | ACK).packets
        times += [times[-1] + SECOND] * 3
    each = [told(packets, times, length) for length in (1, size, 1000)]
    assert each[0] == each[1] == each[2]
