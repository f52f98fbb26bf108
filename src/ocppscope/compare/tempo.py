"""How long things took in either session: the timing figures of both beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.timing.figures import FIGURES, Kind, Unit
from ocppscope.compare.report import Column, Difference, Table

if TYPE_CHECKING:
    from ocppscope.analysis.timing.figures import Row
    from ocppscope.compare.report import Cell
    from ocppscope.compare.stories import Story

RATIO = 2.0
"""From which factor on a difference is told."""
SLOWER_BY_NS = {"latency": 100_000_000, "network": 20_000_000}
"""By how much, besides, for families in which small absolute differences mean nothing."""
USUALLY_NS = 1_000_000_000
_SKIPPED = frozenset({
    "processing", "authorize", "clock-drift", "aligned-offset", "uptime", "lifetime", "idle-before-close",
    "availability", "duration", "duration-arrival", "idle-after-charge", "start-to-energy", "report-gap",
    "heartbeat-jitter", "heard", "outstanding", "clock-skew", "csms-clock",
})  # fmt: skip
"""Figures that are chance or the user's doing, or another's double."""


def tempo(a: Story, b: Story, name: str) -> tuple[list[Difference], Table]:
    """The differences worth telling, and all figures that both have."""
    one, other = _rows(a), _rows(b)
    rows: list[tuple[Cell, ...]] = []
    found: list[Difference] = []
    for key, row in one.items():
        twin = other.get(key)
        if twin is None or row.p50 is None or twin.p50 is None:
            continue
        ratio = max(twin.p50, 1.0) / max(row.p50, 1.0)
        what = f"{row.title} {_part(row)}".strip()
        rows.append((what, row.n, int(row.p50), twin.n, int(twin.p50), round(ratio, 2)))
        if (difference := _told(row, twin, ratio, what, name)) is not None:
            found.append(difference)
    columns = (
        Column("figure"),
        Column("n A"),
        Column("p50 A", "ns"),
        Column("n B"),
        Column("p50 B", "ns"),
        Column("B/A", "ratio"),
    )
    rows.sort(key=lambda cells: -_far(cells[5]))
    return found, Table("timing", f"Timing of {name}", columns, tuple(rows))


def _far(ratio: Cell) -> float:
    assert isinstance(ratio, float)
    return max(ratio, 1 / ratio if ratio else 1e9)


def _rows(story: Story) -> dict[tuple[object, ...], Row]:
    rows = story.recording.timing.rows("station", station=story.identity, now=story.recording.ends_ns)
    return {
        (row.figure, row.split): row
        for row in rows
        if row.figure not in _SKIPPED and row.unit == Unit.TIME and FIGURES[row.figure].kind is Kind.SPREAD
    }


def _part(row: Row) -> str:
    parts = dict(row.split)
    sign = {"station": "→", "csms": "←"}.get(parts.pop("from", ""), "")
    return " ".join(one for one in (sign, parts.pop("action", ""), *parts.values()) if one)


def _told(row: Row, twin: Row, ratio: float, what: str, name: str) -> Difference | None:
    assert row.p50 is not None
    assert twin.p50 is not None
    least = SLOWER_BY_NS.get(FIGURES[row.figure].family, USUALLY_NS)
    if 1 / RATIO < ratio < RATIO or abs(row.p50 - twin.p50) < least:
        return None
    few = min(row.n, twin.n)
    factor = ratio if ratio >= 1 else 1 / ratio
    weight = min(44 + 4 * int(min(factor, 1e6)).bit_length() + (8 if few >= 5 else 0 if few > 1 else -14), 78)
    words = "longer" if ratio > 1 else "shorter"
    text = (
        f"{what} {factor:,.1f} times {words} in B: median {_span(row.p50)} in A (n={row.n:,}), "
        f"{_span(twin.p50)} in B (n={twin.n:,})."
    )
    why = f"{words.capitalize()} by more than a factor of {RATIO:g}" + (
        ", but seen only once or so." if few < 2 else "."
    )
    return Difference("timing", weight, text, why, name, few)


def _span(value: float) -> str:
    seconds = value / 1e9
    if abs(seconds) < 1:
        return f"{seconds * 1e3:,.3g} ms"
    return f"{seconds:,.3g} s" if abs(seconds) < 1000 else f"{seconds:,.0f} s"
