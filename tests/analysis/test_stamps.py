"""Timestamps are read the same, fast or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.analysis.payload import moment
from ocppscope.analysis.state import stamps
from ocppscope.analysis.state.stamps import instant

_digits = st.text("0123456789", min_size=1, max_size=9)
plain = st.builds(
    lambda when, tail: when.strftime("%Y-%m-%dT%H:%M:%S") + tail,
    st.datetimes(),
    st.sampled_from(["Z", "", "z", "+02:00", "-23:59", ".5Z", ",5Z", ".Z", ".12", ".123", ".12Z", "ZZ", "Z1Z"])
    | _digits.map(lambda one: f".{one}Z"),
)


@given(plain | st.text("0123456789-T:.Zz+ ²٣", max_size=40))
def test_as_the_slow_way(text: str) -> None:
    assert instant(text) == moment(text) == instant(text)


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-22", "2026-11-22T10:00:60Z", "2026-13-22T10:00:00Z", "2026-W47-7T10:00:00Z", "20261122T100000Z",
     "2026-11-22 10:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:00:00.1234567891Z",
     "2026-11-22T10:00:00" + "Z" * 60, "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00Z", "٢٠٢٦-11-22T10:00:00Z"],
)  # fmt: skip
def test_odd_ones(text: str) -> None:
    for known in ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00.123Z"):
        instant(known)
    assert instant(text) == moment(text)


def test_what_is_remembered_is_bounded() -> None:
    for day in range(stamps.MAX_HOURS + 10):
        instant(f"{1000 + day}-01-01T00:00:00Z")
    assert len(stamps._hours) <= stamps.MAX_HOURS
