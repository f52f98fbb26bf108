"""What the figures of captures come to, ready to be shown in any form. Frozen; no text is cut or escaped here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ocppscope.analysis.timing.figures import FIGURES, Figure, Row
from ocppscope.analysis.unread import Unread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.analysis.stations import Stations
    from ocppscope.analysis.timing.timing import Timing


class TimingReport(Struct, frozen=True):
    """Rows in the order of the registry."""

    captures: tuple[str, ...]
    by: str
    station: str  # the only one that was asked for, "" for all
    begins_ns: int
    ends_ns: int
    messages: int
    vantages: dict[str, str]  # by station
    rows: tuple[Row, ...]
    notices: tuple[str, ...] = ()  # what is wrong with the captures, or missing in the figures
    unread: tuple[Unread, ...] = ()  # what was not looked at

    @property
    def missing(self) -> list[Figure]:
        """Figures without a case."""
        found = {row.figure for row in self.rows}
        return [one for one in FIGURES.values() if one.id not in found]


def timing_report(
    timing: Timing, stations: Stations, captures: Iterable[str], by: str, station: str, notices: Iterable[str] = ()
) -> TimingReport:
    """The report of what was measured so far."""
    heard = [one for one in stations.by_identity.values() if one.links and station in ("", one.identity)]
    messages = sum(sum(one.said) for one in heard) if station else stations.messages
    begins_ns = min((one.first_ns for one in heard), default=0) if station else stations.begins_ns(heard)
    return TimingReport(
        tuple(captures), by, station, begins_ns, stations.now, messages,
        {one.identity: one.vantage for one in heard},
        tuple(timing.rows(by, station=station, now=stations.now)), (*notices, *timing.notices),
        stations.unread.told(stations=stations.forgotten),
    )  # fmt: skip
