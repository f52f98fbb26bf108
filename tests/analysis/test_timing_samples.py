"""Columns and series of measurements, and their percentiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.analysis.timing.figures import ENOUGH_FOR_P95, ENOUGH_FOR_P99, HOUR
from ocppscope.analysis.timing.samples import (
    LARGEST,
    MAX_HOURS,
    MAX_KEPT,
    Column,
    Series,
    groups,
    percentiles,
    spread,
)

NUMBERS = st.integers(-(10**15), 10**15)


def series_of(values: list[int], now: int = 0) -> Series:
    series = Series()
    for value in values:
        series.add(value, now)
    return series


def nearest_rank(values: list[int], percent: int) -> int:
    """By its definition: the least value that at least so many per cent of all are not above."""
    return next(one for one in sorted(values) if sum(other <= one for other in values) * 100 >= percent * len(values))


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(1, 100))
def test_percentiles_are_nearest_rank(values, percent):
    found = percentiles([series_of(values).part()], (percent,))[0]
    assert found == nearest_rank(values, percent)
    assert found == np.percentile(np.array(values), percent, method="inverted_cdf")


@given(st.lists(st.lists(NUMBERS, max_size=60), min_size=1, max_size=5), st.sampled_from((50, 95, 99)))
def test_several_columns_are_as_one(parts, percent):
    values = [value for part in parts for value in part]
    if values:
        found = spread([series_of(part).part() for part in parts])
        assert (found.n, found.low, found.high) == (len(values), min(values), max(values))
        assert percentiles([series_of(part).part() for part in parts if part], (percent,))[0] == nearest_rank(
            values, percent
        )


@pytest.mark.parametrize(
    ("n", "p95", "p99"),
    [(0, False, False), (1, False, False), (ENOUGH_FOR_P95 - 1, False, False), (ENOUGH_FOR_P95, True, False),
     (ENOUGH_FOR_P99 - 1, True, False), (ENOUGH_FOR_P99, True, True)],
)  # fmt: skip
def test_percentiles_of_too_few_are_not_told(n, p95, p99):
    found = spread([series_of(list(range(n))).part()])
    assert (found.p50 is not None, found.p95 is not None, found.p99 is not None) == (n > 0, p95, p99)


def test_of_many_some_are_kept():
    series = series_of(list(range(10 * MAX_KEPT)))
    part = series.part()
    assert series.n == part.n == 10 * MAX_KEPT
    assert len(part.values) < MAX_KEPT
    assert set(part.values.tolist()) <= set(range(0, 10 * MAX_KEPT, part.stride))
    found = spread([part])
    assert (found.low, found.high) == (0, 10 * MAX_KEPT - 1)
    assert found.p50 == pytest.approx(5 * MAX_KEPT, abs=part.stride)
    assert found.p99 == pytest.approx(9.9 * MAX_KEPT, abs=part.stride)


@given(st.lists(st.integers(1, 3 * MAX_KEPT), min_size=1, max_size=4), st.booleans())
def test_it_makes_no_difference_whether_they_come_one_by_one(sizes, hourly):
    one_by_one, at_once, start = Series(), Series(), 0
    for size in sizes:
        values = np.arange(start, start + size) * 7 % 1000
        times = np.arange(start, start + size) * (HOUR // 500 if hourly else 1)
        for value, now in zip(values.tolist(), times.tolist(), strict=True):
            one_by_one.add(value, now)
        at_once.extend(values, times)
        start += size
    first, second = one_by_one.part(), at_once.part()
    assert (first.n, first.low, first.high) == (second.n, second.low, second.high) == (start, *_ends(start))
    if first.stride == second.stride:
        assert first.values.tolist() == second.values.tolist()
    assert [(hour, part.n) for hour, part in one_by_one.hours()] == [(hour, part.n) for hour, part in at_once.hours()]


def _ends(n: int) -> tuple[int, int]:
    values = [value * 7 % 1000 for value in range(n)]
    return min(values), max(values)


def test_different_strides_weigh_as_many_as_they_stand_for():
    many, few = series_of([1] * (4 * MAX_KEPT)), series_of([2] * MAX_KEPT)
    found = spread([many.part(), few.part()])
    assert (found.n, found.p50, found.p95) == (5 * MAX_KEPT, 1, 2)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e300, -1e300, 10**40, -(10**40)])
@pytest.mark.parametrize("whole", [True, False])
def test_the_incredible_is_bounded(value, whole):
    series = Series(whole=whole)
    series.add(value, 0)
    assert abs(series.part().high) == LARGEST


def test_what_is_no_number_is_left_out():
    series = Series(whole=False)
    series.add(math.nan, 0)
    assert (series.n, spread([series.part()]).n) == (0, 0)


def test_hours():
    column = Column()
    column.extend(np.array([1, 2, 3, 4]), np.array([0, HOUR - 1, HOUR, 5 * HOUR]))
    assert [(hour, part.values.tolist()) for hour, part in column.hours()] == [(0, [1, 2]), (1, [3]), (5, [4])]


def test_hours_are_bounded():
    series = Series()
    for hour in range(2 * MAX_HOURS):
        series.add(hour, hour * HOUR)
    hours = list(series.hours())
    assert len(hours) == MAX_HOURS
    assert sum(part.n for _, part in hours) == 2 * MAX_HOURS


@given(st.lists(st.integers(-1, 5)))
def test_groups_keep_the_order(codes):
    order, places = groups(np.array(codes, np.int64))
    found = {code: order[place].tolist() for code, place in places}
    assert found == {code: [at for at, one in enumerate(codes) if one == code] for code in set(codes)}
