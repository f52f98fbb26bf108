"""The one table of timing figures: what each is called, how it is defined, and from where on it is remarkable.

The modules of the families add to it. The documentation, the outputs and the outcome of `Timing.rows` follow it.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import Any, NamedTuple

from msgspec import Struct

from ocppscope.analysis.finding import Severity

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND

ENOUGH_FOR_P95, ENOUGH_FOR_P99 = 20, 100
"""Cases from which these percentiles are told: of fewer they would be the maximum by another name."""
SHARE_OF_ALARM = 20
"""One case in so many has to be out of bounds for a figure to be flagged by a counter of those."""


class Unit(StrEnum):
    """What a figure is measured in."""

    TIME = "ns"
    COUNT = ""
    BYTES = "B"
    ENERGY = "Wh"
    POWER = "W"
    PERCENT = "%"
    PPM = "ppm"
    PER_MINUTE = "/min"
    PER_SECOND = "/s"


class Kind(StrEnum):
    """How single measurements become a figure."""

    SPREAD = "spread"  # the least, percentiles, the most
    SHARE = "share"  # parts of a whole, both added up over stations
    RATE = "rate"  # parts in a time, the parts added up over stations
    TOTAL = "total"


class Limits(NamedTuple):
    """From where on a figure is remarkable, in its unit; `of` is what of a row is looked at."""

    note: float | None = None
    warning: float | None = None
    error: float | None = None
    of: str = "high"  # "high", "low", "p50" (either sign), "value", or the name of a counter
    below: bool = False  # remarkable is what is less
    least: int = 1  # cases from which it is judged at all

    def judge(self, measured: float, n: int) -> Severity | None:
        """How remarkable."""
        if n < self.least:
            return None
        for limit, severity in zip(self[2::-1], reversed(Severity), strict=True):
            if limit is not None and (measured < limit if self.below else measured > limit):
                return severity
        return None


NO_LIMITS = Limits()


class Figure(NamedTuple):
    """A figure as registered."""

    id: str
    family: str
    title: str  # as short as a column
    unit: Unit
    definition: str  # a sentence or two
    kind: Kind = Kind.SPREAD
    split: tuple[str, ...] = ()  # what it is told apart by, besides the station
    limits: Limits = NO_LIMITS
    alarms: dict[str, Severity] = {}  # noqa: RUF012 - counters that flag it: an error by one case, others by one in twenty
    pooled: bool = False  # told over all stations unless asked otherwise
    fixed: bool = False  # remarkable if all cases are alike
    quiet: bool = False  # shown only on request
    scale: float = 1  # of a share or rate, from part/whole to the unit

    def describe_limits(self) -> str:
        """The limits in words, "" if there are none."""
        words = [f"{name} {_side(self.limits)} {_amount(limit, self)}" for name, limit in _named(self.limits)]
        words += [f"{severity.label} by {name}" for name, severity in self.alarms.items()]
        words += ["note if all are alike"] if self.fixed else []
        return ", ".join(words)


def _named(limits: Limits) -> list[tuple[str, float]]:
    found = [("note", limits.note), ("warning", limits.warning), ("error", limits.error)]
    return [(name, limit) for name, limit in found if limit is not None]


def _side(limits: Limits) -> str:
    return "below" if limits.below else "above"


def _amount(limit: float, figure: Figure) -> str:
    if figure.limits.of not in ("high", "low", "p50", "value"):
        return f"{limit:g} {figure.limits.of.replace('_', ' ')}"
    if figure.unit is not Unit.TIME:
        return f"{limit:,g} {figure.unit}".rstrip()
    seconds = limit / SECOND
    if seconds % 3600 == 0 and seconds:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds % 60 == 0 and seconds > 120 else f"{seconds:g} s"


class Row(Struct, frozen=True):
    """A figure of one station, or of all (`station` "" then). Times are in ns.

    A spread has `low` to `high`, percentiles by nearest rank and None where the cases are too few; everything else
    has a `value`.
    """

    figure: str
    title: str
    station: str
    split: tuple[tuple[str, str], ...]  # what of it: (("action", "Heartbeat"), ("from", "station"))
    n: int
    unit: str
    low: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    high: float | None = None
    value: float | None = None
    severity: Severity | None = None
    counts: dict[str, float] = {}  # by name: what belongs to it; names ending in _ns are times
    vantage: str = ""  # where it was captured, a value of `vantage.WORDS`; "several" of stations that differ

    @property
    def part(self) -> str:
        """What of it, in words."""
        return " ".join(value for _, value in self.split)


FIGURES: dict[str, Figure] = {}
"""By id, in the order of the modules; filled by `load()`."""
MODULES = (
    "network", "connections", "keepalive", "visits", "energy", "metering", "clock", "commands", "exchanges", "volume",
)  # fmt: skip
FAMILIES = {
    "latency": "Latency: from a CALL to its answer",
    "network": "Network",
    "connections": "Connections and boots",
    "keepalive": "Heartbeats and pings",
    "transactions": "Transactions",
    "metering": "Meter values",
    "clock": "Clocks and offline queues",
    "commands": "Commands of the CSMS",
    "volume": "Volume",
}
"""The families in the order in which they are shown."""


def load() -> dict[str, Figure]:
    """All figures."""
    for name in MODULES:
        import_module(f"ocppscope.analysis.timing.{name}")
    return FIGURES


def figure(id_: str, family: str, title: str, unit: Unit, definition: str, **more: Any) -> str:
    """Registers a figure; gives its id."""
    assert id_ not in FIGURES, id_
    assert family in FAMILIES, family
    FIGURES[id_] = Figure(id_, family, title, unit, definition, **more)
    return id_


def above(
    note: float | None = None, warning: float | None = None, error: float | None = None, of: str = "high"
) -> Limits:
    """Limits of a time, in seconds."""
    scaled = [None if limit is None else limit * SECOND for limit in (note, warning, error)]
    return Limits(scaled[0], scaled[1], scaled[2], of)
