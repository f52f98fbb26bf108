"""Points in time of logs: those that fit into 64 bits of nanoseconds, and none else."""

from __future__ import annotations

import pytest

from ocppscope.capture.instants import MAX_NS, date_ns, instant_ns


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("2026-11-22T10:00:00.25+01:00", 1_795_338_000_250_000_000),
        ("1795341600.25", 1_795_341_600_250_000_000),
        ("8000000000", MAX_NS),
        ("8000000001", None),
        ("77777777777", None),
        ("9999-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_instants(text: str, time_ns: int | None) -> None:
    assert instant_ns(text) == time_ns


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01", "2026-02-30"])
def test_days_that_are_none(text: str) -> None:
    assert date_ns(text) is None
