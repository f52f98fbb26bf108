"""Timing figures of conversations, by figure and part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversation import play
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.stations import Stations
from ocppscope.analysis.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.analysis.timing.figures import Row
    from ocppscope.model import Event

MS, S = 10**6, 10**9
BOOT = """
10:00:00.000 CP-1 → OPEN ocpp1.6
10:00:01.000 CP-1 → [2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]
10:00:01.050 CP-1 ← [3,"b",{"status":"Accepted","currentTime":"2026-11-22T10:00:01Z","interval":60}]
"""


def timing_of(events: str | Iterable[Event]) -> Timing:
    """The figures of a conversation, or of events."""
    bus = Bus()
    stations, timing = Stations(bus), Timing(bus)
    stations.take(play(events) if isinstance(events, str) else events)
    stations.finish(stations.now)
    return timing


def rows_of(events: str | Iterable[Event], by: str = "action", station: str = "") -> dict[tuple[str, str], Row]:
    """By figure and part; where there are several stations, a row of a single one has its name before the part."""
    timing = timing_of(events)
    several = len(timing.stations) > 1
    rows = timing.rows(by, station=station)
    return {(row.figure, f"{row.station if several else ''} {row.part}".strip()): row for row in rows}


def spread_of(row: Row) -> tuple[int, float | None, float | None, float | None]:
    """n, least, median, most."""
    return row.n, row.low, row.p50, row.high
