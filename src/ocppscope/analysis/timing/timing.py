"""Makes rows of all that was measured, at the end or at any moment before."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.happenings import CaptureEnded, Closed, LeftOpen, Upgraded
from ocppscope.analysis.timing import clock, exchanges
from ocppscope.analysis.timing.clock import ClockFigures
from ocppscope.analysis.timing.commands import CommandFigures
from ocppscope.analysis.timing.connections import ConnectionFigures
from ocppscope.analysis.timing.energy import EnergyFigures
from ocppscope.analysis.timing.exchanges import ExchangeFigures
from ocppscope.analysis.timing.figures import (
    FAMILIES,
    HOUR,
    SECOND,
    SHARE_OF_ALARM,
    Figure,
    Kind,
    Row,
    load,
)
from ocppscope.analysis.timing.keepalive import KeepaliveFigures
from ocppscope.analysis.timing.ledger import Ledger, Portion
from ocppscope.analysis.timing.metering import MeteringFigures
from ocppscope.analysis.timing.network import NetworkFigures
from ocppscope.analysis.timing.samples import Part, percentiles, spread
from ocppscope.analysis.timing.visits import VisitFigures
from ocppscope.analysis.timing.volume import VolumeFigures
from ocppscope.model import Side
from ocppscope.plural import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.happenings import Happening
    from ocppscope.analysis.timing.ledger import Key
    from ocppscope.analysis.timing.samples import Column

BY = ("action", "station", "hour", "model")
"""What rows can be told apart by, besides the parts of the figure itself."""
ENOUGH_ALIKE = 3
"""Cases from which it means something that all are alike."""
MAX_TOLD = 1 << 12
"""Stations of which single figures are told, unless those of one are asked for; all count for those of several."""
SEVERAL = "several"
UNKNOWN_MODEL = "(unknown)"
MAX_FAR_HOUR = 1 << 22
"""Hours since the epoch that are written as a date; what is beyond, as a number."""
_MOST = frozenset({"peak", "peak_per_min", "longest_ns", "in_10_min", "plus_minus_ppm"})
"""Counters of which the highest counts for several stations together; others are added up."""
_OWN = frozenset({"interval_ns", "mad_ns", "limits"})
"""Counters that mean nothing for several stations together."""


class Family(Protocol):
    """A module of figures at work."""

    def settle(self, now: int) -> None:
        """Works out what is no single measurement."""


class Group:
    """Measurements that go into one row."""

    __slots__ = ("counters", "identities", "parts", "portions")

    def __init__(self) -> None:
        self.identities: dict[str, None] = {}
        self.parts: list[Part] = []
        self.portions: list[Portion] = []
        self.counters: list[dict[str, float]] = []


Groups = dict[tuple[str, tuple[tuple[str, str], ...]], Group]
"""By station ("" for several) and parts."""


class Timing:
    """The timing figures of what is told on a bus.

    Made after the `Stations` (or `Diagnosis`) of the same bus, whose trackers have to hear of everything first; used
    by the thread that feeds them.
    """

    def __init__(self, bus: Bus) -> None:
        self.figures = sorted(load().values(), key=lambda one: list(FAMILIES).index(one.family))
        self._ledger = ledger = Ledger()
        self._told: frozenset[str] = frozenset()  # stations whose single figures are told, if not all are
        connections, keepalive = ConnectionFigures(bus, ledger), KeepaliveFigures(bus, ledger)
        self._tally = ExchangeFigures(bus, ledger)
        clocks, volume = ClockFigures(bus, ledger), VolumeFigures(bus, ledger)
        meters = MeteringFigures(bus, ledger)
        self._families: tuple[Family, ...] = (connections, keepalive, clocks, self._tally, volume, meters)
        self._others = (
            NetworkFigures(bus, ledger), VisitFigures(bus, ledger), EnergyFigures(bus, ledger),
            CommandFigures(bus, ledger),
        )  # fmt: skip
        bus.subscribe((Upgraded, Closed, LeftOpen, CaptureEnded), self._passes)

    def _passes(self, told: Happening) -> None:
        self._ledger.now = max(self._ledger.now, told.time_ns)
        self._ledger.person(told.station).vantage = told.station.vantage

    @property
    def stations(self) -> list[str]:
        """The identities of which there are figures, in order of their first."""
        return list(self._ledger.people)

    @property
    def notices(self) -> list[str]:
        """What is missing in the figures, sentences."""
        untold = len(self._ledger.people) - MAX_TOLD
        told = [
            f"The figures of {counted(untold, 'more station')} are not told singly; --station ID tells those of one."
        ]
        return [*self._ledger.notices, *(told if untold > 0 else ())]

    def rows(self, by: str = "action", *, station: str = "", now: int | None = None) -> list[Row]:
        """The figures as they are now, in the order of the registry. Figures without a case have no row.

        Told apart by their parts, and besides by what `by` says. "action": nothing; figures that are not about
        messages are told of each station, and of all together (`Row.station` "") if there are several. "station":
        each. "hour": the hour in which something was measured, only spreads. "model": vendor, model and firmware.
        With `station`, those of one station only. `now`: the time of the capture, if it has not ended, in ns.
        """
        assert by in BY, by
        now = max(self._ledger.now, now or 0)
        for family in self._families:
            family.settle(now)
        people = self._ledger.people
        self._told = frozenset(islice(people, MAX_TOLD)) if len(people) > MAX_TOLD else frozenset()
        rows: list[Row] = []
        for figure in self.figures:
            groups = self._groups(figure, by, station)
            made = [self._row(figure, key[0], key[1], group) for key, group in groups.items()]
            found = [row for row in made if row is not None]
            rows += _in_order(found) if figure.pooled else self._by_station(figure, found)
        return rows

    def _by_station(self, figure: Figure, rows: list[Row]) -> list[Row]:
        """All together first, then the stations in order of their first; parts as they were met, if they happen."""
        places = {identity: place for place, identity in enumerate(["", *self._ledger.people])}
        happen = figure.kind is Kind.SPREAD
        return sorted(rows, key=lambda row: (places.get(row.station, len(places)), () if happen else _parts(row)))

    # --- groups ---------------------------------------------------------------------------------------------------

    def _groups(self, figure: Figure, by: str, station: str) -> Groups:
        groups: Groups = {}
        if figure.kind is not Kind.SPREAD:
            for key, portion in self._ledger.portions[figure.id].items() if by != "hour" else ():
                for group in self._places(groups, figure, key, by, station):
                    group.portions.append(portion)
                    group.counters.append(portion.counts)
        else:
            for key, column, change in self._columns(figure):
                self._spread(groups, figure, key, column, change, by, station)
        return groups

    def _spread(
        self, groups: Groups, figure: Figure, key: Key, column: Column, change: Callable[[Part], Part] | None,
        by: str, station: str,
    ) -> None:  # fmt: skip
        if by == "hour":
            for hour, part in column.hours():
                for group in self._places(groups, figure, key, by, station, hour):
                    group.parts.append(part if change is None else change(part))
            return
        part = column.part()
        for group in self._places(groups, figure, key, by, station):
            group.parts.append(part if change is None else change(part))
            if change is None:
                group.counters.append(column.counts)

    def _places(
        self, groups: Groups, figure: Figure, key: Key, by: str, station: str, hour: int | None = None
    ) -> Iterator[Group]:
        """The groups that measurements belong to."""
        identity, split = key[0], tuple(zip(figure.split, key[1:], strict=True))
        if station and identity != station:
            return
        is_told = bool(station) or not self._told or identity in self._told
        where = [station]
        if by == "hour":
            split = (*split, ("hour", _hour(hour or 0)))
        elif by == "model":
            person = self._ledger.people.get(identity)
            split = (*split, ("model", (person.model if person is not None else "") or UNKNOWN_MODEL))
        elif by == "station" or not figure.pooled:
            where = [identity] if by == "station" or len(self._ledger.people) < 2 else ["", identity]
            where = [identity] if station else [one for one in where if not one or is_told]
        for one in where:
            group = groups.setdefault((one, split), Group())
            group.identities[identity] = None
            yield group

    def _columns(self, figure: Figure) -> Iterator[tuple[Key, Column, Callable[[Part], Part] | None]]:
        """Where a figure's measurements are, and what has to be done to each."""
        if figure.id == exchanges.LATENCY:
            for key, column in self._ledger.columns[figure.id].items():
                yield key, column, None
        elif figure.id == exchanges.SIZE:
            for key, series in self._tally.sizes():
                yield key, series, None
        elif figure.id == exchanges.PROCESSING:
            yield from self._processing()
        elif figure.id == clock.DELIVERY:
            for key, series in self._ledger.spreads[clock.SKEW].items():
                if series.n:
                    middle = percentiles([series.part()], (50,))[0]
                    yield key, series, _behind(middle)
        else:
            for key, series in self._ledger.spreads[figure.id].items():
                yield key, series, None

    def _processing(self) -> Iterator[tuple[Key, Column, Callable[[Part], Part]]]:
        for key, column in self._ledger.columns[exchanges.LATENCY].items():
            rtt = self._network([key[0]], key[2])
            if rtt is not None and len(column.values):
                yield key, column, _less(rtt)

    def _network(self, identities: Iterable[str], asker: str) -> int | None:
        """The round trip to the side that answers, the median of several stations; None if one is not known."""
        answerer = Side.CSMS if asker == Side.STATION.label else Side.STATION
        people = [self._ledger.people.get(identity) for identity in identities]
        found = [None if one is None else one.rtt_ns[answerer] for one in people]
        known = sorted(one for one in found if one is not None)
        return known[(len(known) - 1) // 2] if known and len(known) == len(people) else None

    # --- rows -----------------------------------------------------------------------------------------------------

    def _row(self, figure: Figure, station: str, split: tuple[tuple[str, str], ...], group: Group) -> Row | None:
        counts = _together(group.counters)
        if figure.id == exchanges.LATENCY:
            network = self._network(group.identities, dict(split)["from"])
            counts |= {} if network is None else {"network_ns": network}
        if figure.kind is Kind.SPREAD:
            found = spread(group.parts)
            row = Row(
                figure.id, figure.title, station, split, found.n, figure.unit.value, found.low, found.p50, found.p95,
                found.p99, found.high, counts=counts, vantage=self._vantage(figure, group),
            )  # fmt: skip
            empty = not found.n and not counts.keys() - {"network_ns"}
        else:
            n, value = sum(one.n for one in group.portions), _value(figure, group.portions)
            row = Row(figure.id, figure.title, station, split, n, figure.unit.value, value=value, counts=counts)
            empty = n <= 0 or value is None
        return None if empty else _judged(figure, row)

    def _vantage(self, figure: Figure, group: Group) -> str:
        if figure.family != "latency":
            return ""
        people = [self._ledger.people.get(identity) for identity in group.identities]
        found = {"" if one is None else one.vantage for one in people}
        return found.pop() if len(found) == 1 else SEVERAL


def _in_order(rows: list[Row]) -> list[Row]:
    """The most frequent actions first, and what is told apart of one action together."""
    totals: defaultdict[tuple[tuple[str, str], ...], int] = defaultdict(int)
    for row in rows:
        totals[row.split[:2]] += row.n
    places = {part: place for place, part in enumerate(sorted(totals, key=lambda part: (-totals[part], part)))}
    return sorted(rows, key=lambda row: (places[row.split[:2]], row.split[2:], row.station))


def _parts(row: Row) -> tuple[str, ...]:
    """To sort by; the station before the CSMS."""
    return tuple("~" if value == Side.CSMS.label else value for _, value in row.split)


def _value(figure: Figure, portions: list[Portion]) -> float | None:
    part = sum(one.part for one in portions)
    if figure.kind is Kind.TOTAL:
        return part
    wholes = [one.whole for one in portions]
    whole = max(wholes) if figure.kind is Kind.RATE else sum(wholes)
    return figure.scale * part / whole if whole > 0 else None


def _together(counters: list[dict[str, float]]) -> dict[str, float]:
    """The counters of several stations."""
    if len(counters) == 1:
        return dict(counters[0])
    values: defaultdict[str, list[float]] = defaultdict(list)
    for one in counters:
        for name, value in one.items():
            values[name].append(value)
    return {name: max(found) if name in _MOST else sum(found) for name, found in values.items() if name not in _OWN}


def _judged(figure: Figure, row: Row) -> Row:
    """The row with its severity."""
    limits, found = figure.limits, []
    measured = getattr(row, limits.of, None) if limits.of in Row.__struct_fields__ else row.counts.get(limits.of)
    if measured is not None:
        found.append(limits.judge(abs(measured) if limits.of == "p50" else measured, row.n))
    for name, severity in figure.alarms.items():
        cases = row.counts.get(name, 0)
        if cases and (severity is Severity.ERROR or cases * SHARE_OF_ALARM >= row.n):
            found.append(severity)
    if figure.fixed and _alike(row):
        found.append(Severity.NOTE)
    worst = max((one for one in found if one is not None), default=None)
    return row if worst is None else replace(row, severity=worst)


def _alike(row: Row) -> bool:
    """Whether there are several cases, and all within 2 s or 3 % of each other."""
    if row.n < ENOUGH_ALIKE or row.low is None or row.high is None:
        return False
    return row.high - row.low <= max(2 * SECOND, row.high * 3 / 100) and row.low >= SECOND


def _less(amount: int) -> Callable[[Part], Part]:
    return lambda part: part.less(amount)


def _behind(reference: float) -> Callable[[Part], Part]:
    return lambda part: part.behind(reference)


def _hour(hour: int) -> str:
    """`2026-11-22 10:00`."""
    if not 0 <= hour < MAX_FAR_HOUR:
        return f"@{hour}"
    return datetime.fromtimestamp(hour * HOUR // SECOND, UTC).strftime("%Y-%m-%d %H:00")
