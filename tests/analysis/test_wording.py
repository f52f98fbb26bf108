"""Figures in sentences."""

from __future__ import annotations

import pytest

from ocppscope.analysis.wording import span


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ms"), (40_000, "0 ms"), (51_000, "0.1 ms"), (900_000, "0.9 ms"), (960_000, "1 ms"),
        (12_300_000, "12 ms"), (99_400_000, "99 ms"), (-12_000_000, "-12 ms"), (100_000_000, "0.1 s"),
        (1_230_000_000, "1.2 s"), (45e9, "45 s"), (12 * 60e9, "12 min"), (5 * 3600e9, "5.0 h"),
    ],
)  # fmt: skip
def test_span(ns: float, text: str) -> None:
    assert span(ns) == text
