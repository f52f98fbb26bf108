"""Points in time as other programs read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.capture.instants import instant_ns
from ocppscope.export.moments import LAST_NS, moment, seconds, within


@pytest.mark.parametrize(
    ("time_ns", "shown"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_348_099_304_123_000, "2026-11-22T11:48:19.304123Z"),
        (1_795_348_099_304_123_456, "2026-11-22T11:48:19.304123456Z"),
        (-1, "1970-01-01T00:00:00.000000Z"),
        (1 << 80, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_moment(time_ns, shown):
    assert moment(time_ns) == shown


@given(time_ns=st.integers(0, LAST_NS))
def test_a_moment_is_read_as_it_was(time_ns):
    assert datetime.fromisoformat(moment(time_ns)).tzinfo == UTC
    if time_ns < 1 << 62:
        assert instant_ns(moment(time_ns)) == time_ns


@given(time_ns=st.integers(-(1 << 70), 1 << 70))
def test_seconds_are_a_number(time_ns):
    assert abs(float(seconds(time_ns)) * 1e9 - within(time_ns)) <= 1e-15 * within(time_ns) + 1000
