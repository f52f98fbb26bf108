"""Timing figures as RFC 4180 rows, harmless in a spreadsheet: text from the wire goes through `csvtext.cell`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.timing.figures import FIGURES
from ocppscope.render.csvtext import cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.timing.figures import Row
    from ocppscope.analysis.timing.report import TimingReport

COLUMNS = (
    "figure", "family", "station", "action", "from", "hour", "model", "part", "n", "unit", "min", "p50", "p95", "p99",
    "max", "value", "severity", "vantage", "counts",
)  # fmt: skip
_OWN = ("action", "from", "hour", "model")
"""Parts that have a column; the others stand together in `part`."""


def csv(report: TimingReport) -> Iterator[str]:
    """The header and a line a row, with line ends. Amounts are in `unit`, times in ns."""
    yield ",".join(COLUMNS) + "\r\n"
    for row in report.rows:
        yield ",".join(_cells(row)) + "\r\n"


def _cells(row: Row) -> Iterator[str]:
    parts = dict(row.split)
    yield row.figure
    yield FIGURES[row.figure].family
    yield cell(row.station)
    for name in _OWN:
        yield cell(parts.pop(name, ""))
    yield cell(" ".join(parts.values()))
    yield str(row.n)
    yield row.unit
    for value in (row.low, row.p50, row.p95, row.p99, row.high, row.value):
        yield "" if value is None else repr(value)
    yield row.severity.label if row.severity is not None else ""
    yield row.vantage
    yield cell("; ".join(f"{name}={value!r}" for name, value in row.counts.items()))
