"""Times and spans of time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.render import times
from ocppscope.render.times import Clock, ClockFormat, parse_clock

NS = 1_795_348_099_304_332_789  # 2026-11-22 11:48:19.304332789 UTC


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        ("a", "11:48:19.304"),
        ("u", "11:48:19.304"),
        ("ad", "2026-11-22 11:48:19.304"),
        ("ud.6", "2026-11-22 11:48:19.304332"),
        ("a.9", "11:48:19.304332789"),
        ("a.0", "11:48:19"),
        (".1", "11:48:19.3"),
        ("e", "1795348099.304332"),
        ("e.0", "1795348099"),
        ("r", "    2.500000"),
        ("d.3", "    2.500"),
        ("dd.9", "    2.500000000"),
    ],
)
def test_formats(specification, expected):
    clock = parse_clock(specification)
    assert clock is not None
    assert Clock(clock).show(NS, NS - 2_500_000_000) == expected


@pytest.mark.parametrize("specification", ["", "x", "aa", "a.", "a.10", "adoy", "a6"])
def test_what_is_no_format(specification):
    assert parse_clock(specification) is None


def test_time_going_back():
    assert Clock(ClockFormat("r", 3)).show(0, 1_500_000_000) == "   -1.500"
    assert times.since(-3_100_000) == "-3.1ms"


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0µs"),
        (735_000, "735µs"),
        (999_499, "999µs"),
        (999_500, "1.0ms"),
        (3_513_000, "3.5ms"),
        (9_949_999, "9.9ms"),
        (9_950_000, "10ms"),
        (44_000_000, "44ms"),
        (999_499_999, "999ms"),
        (999_500_000, "1.00s"),
        (2_204_913_000, "2.20s"),
        (9_995_000_000, "10.0s"),
        (59_949_000_000, "59.9s"),
        (59_950_000_000, "1m00s"),
        (302_000_000_000, "5m02s"),
        (3_600_000_000_000, "1h00m"),
        (47 * 3_600_000_000_000, "47h00m"),
        (48 * 3_600_000_000_000, "2d00h"),
    ],
)
def test_spans(nanoseconds, expected):
    assert times.span(nanoseconds) == expected


@given(st.integers(0, 90 * times.DAY))
def test_a_span_has_at_most_six_characters(nanoseconds):
    assert len(times.span(nanoseconds)) <= 6


@given(st.integers(-(2**63), 2**63))
def test_a_hostile_clock_is_shown_somehow(nanoseconds):
    for name in times.CLOCKS:
        assert Clock(ClockFormat(name)).show(nanoseconds, 0)
    assert times.stamp(nanoseconds)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0B"), (9999, "9999B"), (12_345, "12.3K"), (1_048_576, "1.0M"), (5 * 10**9, "5.0G")]
)
def test_sizes(count, expected):
    assert times.size(count) == expected
