"""The alignment of clocks: whatever the delays, the truth lies within the stated uncertainty."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.compare import clocks
from ocppscope.compare.clocks import Points, aligned

MS, SECOND = 1_000_000, 1_000_000_000
BEGIN = 1_795_348_800 * SECOND
SLACK = 20_000


def points(clock, *, count=200, span=600, seed=1, floor=(5, 8), jitter=20, lost=0.0, ups=None):
    """Messages in both directions; `clock` is the offset of B at a time of A, `floor` the least delays in ms."""
    random = np.random.default_rng(seed)
    times = BEGIN + np.sort(random.integers(0, span * SECOND, count))
    up = random.random(count) < 0.5 if ups is None else np.full(count, ups)
    delays = np.where(up, *floor) * MS + random.exponential(jitter * MS, count).astype(np.int64)
    true = np.array([clock(int(one)) for one in times], np.int64)
    differences = np.where(up, true + delays, true - delays)
    kept = random.random(count) >= lost
    return Points(times[kept], differences[kept], up[kept])


def drifting(offset, ppm):
    return lambda at: offset + round((at - BEGIN) * ppm / 1e6)


def within(found, clock, at):
    line = found.line(at)
    off = abs(int(line.at(np.array([at]))[0]) - clock(at))
    return off <= line.uncertainty(at)


@settings(max_examples=80)
@given(
    st.integers(-(10**12), 10**12), st.floats(-100, 100), st.integers(0, 10**6), st.integers(4, 400),
    st.sampled_from([10, 600, 86_400]), st.tuples(st.floats(0, 300), st.floats(0, 300)), st.floats(0, 500),
)  # fmt: skip
def test_the_truth_is_within_the_uncertainty(offset, ppm, seed, count, span, floor, jitter):
    clock = drifting(offset, ppm)
    made = points(clock, seed=seed, count=count, span=span, floor=floor, jitter=jitter)
    found = aligned(made, SLACK)
    assert len(found.lines) == 1
    assert found.strays == 0
    line = found.lines[0]
    if line.is_bounded:
        assert all(within(found, clock, int(at)) for at in made.time_ns[:: max(len(made.time_ns) // 7, 1)])
        assert line.low - 1e-9 <= ppm / 1e6 <= line.high + 1e-9


@pytest.mark.parametrize("ppm", [-50, 0, 50])
def test_drift_is_measured(ppm):
    clock = drifting(3_700 * MS, ppm)
    found = aligned(points(clock, count=2000, span=7200, lost=0.3), SLACK).lines[0]
    assert found.drift * 1e6 == pytest.approx(ppm, abs=3)
    assert (found.high - found.low) * 1e6 < 10
    assert found.uncertainty(BEGIN + 3600 * SECOND) < 15 * MS


def test_symmetric_delays_give_the_offset_itself():
    found = aligned(points(drifting(123 * MS, 0), floor=(5, 5), jitter=0), SLACK)
    assert int(found.offset(np.array([BEGIN + 300 * SECOND]))[0]) == pytest.approx(123 * MS, abs=1000)


def test_asymmetric_delays_move_it_by_half_their_difference_which_is_stated():
    clock = drifting(0, 0)
    found = aligned(points(clock, floor=(100, 0), jitter=0.001, count=400), SLACK)
    assert int(found.lines[0].at(np.array([BEGIN]))[0]) == pytest.approx(50 * MS, abs=2 * MS)
    assert within(found, clock, BEGIN + 300 * SECOND)
    assert found.uncertainty(BEGIN + 300 * SECOND) == pytest.approx(50 * MS, abs=MS)


@pytest.mark.parametrize("size", [-3600_000, -900, 900, 120_000])
def test_a_step_is_found_where_it_is(size):
    at = BEGIN + 311 * SECOND

    def clock(time):
        return drifting(40 * MS, 20)(time) + (size * MS if time >= at else 0)

    made = points(clock, count=600)
    found = aligned(made, SLACK)
    assert len(found.lines) == 2
    begins = found.lines[1].begins_ns
    before = int(made.time_ns[made.time_ns < at][-1])
    assert before < begins <= at + 5 * SECOND
    step = int((found.lines[1].at(np.array([begins])) - found.lines[0].at(np.array([begins])))[0])
    assert step == pytest.approx(size * MS, abs=60 * MS)
    assert all(within(found, clock, int(one)) for one in made.time_ns if abs(one - at) > 5 * SECOND)


def test_a_stray_is_no_step():
    made = points(drifting(0, 0), count=400)
    made.difference_ns[200] -= 90 * SECOND if made.up[200] else -90 * SECOND
    found = aligned(made, SLACK)
    assert (len(found.lines), found.strays) == (1, 1)


def test_one_direction_bounds_from_one_side_only():
    found = aligned(points(drifting(5 * MS, 0), ups=True), SLACK)
    assert found.uncertainty(BEGIN) is None
    assert int(found.offset(np.array([BEGIN]))[0]) >= 5 * MS


def test_there_and_back():
    at = BEGIN + 300 * SECOND
    found = aligned(points(lambda time: 5 * SECOND + (2 * SECOND if time > at else 0)), SLACK)
    times = np.array([BEGIN, BEGIN + 100 * SECOND, BEGIN + 500 * SECOND])
    assert np.abs(found.to_a(found.to_b(times)) - times).max() < 1000


def test_many_points_are_thinned():
    made = points(drifting(0, 30), count=4 * clocks.MAX_POINTS, span=86_400)
    line = aligned(made, SLACK).lines[0]
    assert line.points <= clocks.MAX_POINTS + 2
    assert line.drift * 1e6 == pytest.approx(30, abs=1)


def test_a_clock_that_never_agrees_ends():
    random = np.random.default_rng(3)
    count = 2000
    made = Points(
        BEGIN + np.arange(count) * SECOND,
        random.integers(-100 * SECOND, 100 * SECOND, count),
        random.random(count) < 0.5,
    )
    assert len(aligned(made, SLACK).lines) <= clocks.MAX_SEGMENTS


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-50, 50)), min_size=1, max_size=40))
def test_no_point_is_below_the_hull(pairs):
    pairs.sort()
    x, y = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    at, height = clocks._hull(x, y)
    assert (np.interp(x, at, height) <= y + 1e-9).all()
    assert {*zip(at.tolist(), height.tolist(), strict=True)} <= {(float(a), float(b)) for a, b in pairs}
