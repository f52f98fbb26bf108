"""Timing figures as one JSON object. Its keys stay as they are; docs/timing.md names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ocppscope.analysis.timing.figures import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.timing.figures import Row
    from ocppscope.analysis.timing.report import TimingReport

FORMAT = 1
"""Goes up when a key changes its meaning or goes away."""


def json(report: TimingReport) -> Iterator[str]:
    """The object, indented, in pieces."""
    whole = {
        "format": FORMAT,
        "captures": report.captures,
        "by": report.by,
        "begins_ns": report.begins_ns,
        "ends_ns": report.ends_ns,
        "messages": report.messages,
        "vantages": report.vantages,
        "rows": [timing_row(row) for row in report.rows],
        "missing": [one.id for one in report.missing],
        "unread": [{"kind": one.kind, "count": one.count, "text": one.text} for one in report.unread],
        "notices": report.notices,
    }
    yield msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def timing_row(row: Row) -> dict[str, Any]:
    """A row as an object. Amounts are in `unit`, times in ns; null where there is no figure."""
    return {
        "figure": row.figure,
        "family": FIGURES[row.figure].family,
        "station": row.station or None,
        "of": dict(row.split),
        "n": row.n,
        "unit": row.unit,
        "min": row.low,
        "p50": row.p50,
        "p95": row.p95,
        "p99": row.p99,
        "max": row.high,
        "value": row.value,
        "severity": row.severity.label if row.severity is not None else None,
        "counts": row.counts,
        "vantage": row.vantage or None,
    }
