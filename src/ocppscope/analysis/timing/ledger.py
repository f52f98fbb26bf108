"""Where measurements are written down: by figure, station and whatever else tells them apart. Bounded.

`Person` is what several families want to know of a station: where it was captured, what it is, what it is set to.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from ocppscope.analysis.state.connections import heartbeat_of, seconds_of
from ocppscope.analysis.timing.figures import FIGURES, Unit
from ocppscope.analysis.timing.samples import Column, Series
from ocppscope.analysis.wording import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocppscope.analysis.station import Station
    from ocppscope.model import Side

MAX_SERIES = 1 << 18
"""Series and portions of all figures together; what comes beyond is counted for other stations together."""
MAX_SPLITS = 1024
"""Parts that a figure of one station is told apart by; what comes beyond is counted together."""
MAX_PEOPLE = 1 << 14
"""Stations that something is known of; of those beyond, some figures are missing, and it is said."""
MAX_CHANGES = 16
"""Changes of a setting that are remembered of a station, the latest."""
MAX_PART = 50
"""Characters of an action, status or the like that are kept."""
OTHERS = "(others)"

State = TypeVar("State")
Key = tuple[str, ...]
"""The station's identity, then the parts."""

_WHOLE = frozenset({Unit.TIME, Unit.BYTES, Unit.COUNT})


class Portion:
    """A part of a whole."""

    __slots__ = ("counts", "n", "part", "whole")

    def __init__(self) -> None:
        self.part = 0.0
        self.whole = 0.0
        self.n = 0
        self.counts: dict[str, float] = {}

    def set(self, part: float, whole: float, n: int) -> None:
        """What it is now."""
        self.part, self.whole, self.n = part, whole, n

    def add(self, part: float, whole: float, n: int) -> None:
        """So much more."""
        self.part += part
        self.whole += whole
        self.n += n

    def count(self, name: str, amount: float = 1) -> None:
        """Adds to a counter."""
        self.counts[name] = self.counts.get(name, 0) + amount

    def most(self, name: str, amount: float) -> None:
        """Raises a counter."""
        self.counts[name] = max(self.counts.get(name, amount), amount)


class Person:
    """What is known of a station besides measurements."""

    __slots__ = (
        "_sampled", "aligned_ns", "connected_ns", "heartbeat_ns", "is_open", "model", "rtt_ns",
        "text", "vantage",
    )  # fmt: skip

    def __init__(self, station: Station) -> None:
        self.connected_ns = 0  # so far
        self.is_open = False  # it has a connection
        self.text = [0, 0]  # bytes of messages, by sender
        self.rtt_ns: list[int | None] = [None, None]  # by side: the quickest from the place of the capture and back
        self._sampled: list[tuple[int, int | None]] = []  # the interval of meter values, since when
        self.learn(station, station.first_ns)

    def learn(self, station: Station, now: int) -> None:
        """It may have changed."""
        known, settings = station.registration, station.configuration
        self.vantage = station.vantage
        self.model = " ".join(cut(part, MAX_PART) for part in (known.vendor, known.model, known.firmware) if part)
        self.heartbeat_ns = heartbeat_of(station)
        sampled = settings.number("MeterValueSampleInterval", "SampledDataCtrlr.TxUpdatedInterval")
        aligned = settings.number("ClockAlignedDataInterval", "AlignedDataCtrlr.Interval")
        self.aligned_ns = seconds_of(aligned)
        if not self._sampled or self._sampled[-1][1] != seconds_of(sampled):
            self._sampled = [*self._sampled, (now, seconds_of(sampled))][-MAX_CHANGES:]

    def sampled_at(self, now: int) -> int | None:
        """The interval of meter values that was in force at a time."""
        since, interval = self._sampled[-1]
        if since <= now:
            return interval
        return next((interval for since, interval in reversed(self._sampled) if since <= now), None)

    def round_trip(self, side: Side, rtt_ns: int | None) -> None:
        """A round trip to a side was measured."""
        known = self.rtt_ns[side]
        if rtt_ns is not None and rtt_ns >= 0 and (known is None or rtt_ns < known):
            self.rtt_ns[side] = rtt_ns


class Ledger:
    """All measurements of a capture."""

    def __init__(self) -> None:
        self.spreads: defaultdict[str, dict[Key, Series]] = defaultdict(dict)
        self.columns: defaultdict[str, dict[Key, Column]] = defaultdict(dict)
        self.portions: defaultdict[str, dict[Key, Portion]] = defaultdict(dict)
        self.people: dict[str, Person] = {}
        self.now = 0  # the latest time that was told
        self.is_full = False  # there are more stations than `MAX_PEOPLE`
        self._splits: dict[tuple[str, str], int] = {}
        self._held = 0

    @property
    def notices(self) -> list[str]:
        """What is missing, sentences."""
        if not self.is_full:
            return []
        return [f"There are more than {MAX_PEOPLE:,} stations: some figures of those beyond are missing."]

    def person(self, station: Station) -> Person:
        """What is known of a station."""
        found = self.people.get(station.identity)
        if found is None:
            found = Person(station)
            if len(self.people) < MAX_PEOPLE:
                self.people[station.identity] = found
            else:
                self.is_full = True
        return found

    def add(self, figure: str, station: Station, value: float, now: int, *split: str) -> Series:
        """A measurement."""
        series = self.spreads[figure].get((station.identity, *split)) or self.series(figure, station.identity, *split)
        series.add(value, now)
        return series

    def series(self, figure: str, station: str, *split: str) -> Series:
        """Where such measurements go; `station` by its identity."""
        table = self.spreads[figure]
        key = self._key(figure, table, station, split)
        found = table.get(key)
        if found is None:
            found = table[key] = Series(whole=FIGURES[figure].unit in _WHOLE)
        return found

    def column(self, figure: str, station: str, *split: str) -> Column:
        """Where all such measurements are kept, 8 bytes each."""
        table = self.columns[figure]
        key = self._key(figure, table, station, split)
        found = table.get(key)
        if found is None:
            found = table[key] = Column()
        return found

    def portion(self, figure: str, station: str, *split: str) -> Portion:
        """Where such a share, rate or total goes; `station` by its identity."""
        table = self.portions[figure]
        found = table.get((station, *split))
        if found is None:
            key = self._key(figure, table, station, split)
            found = table.get(key)
            if found is None:
                found = table[key] = Portion()
        return found

    def _key(self, figure: str, table: Mapping[Key, object], identity: str, split: Key) -> Key:
        """A key that fits within the bounds."""
        key = (identity, *(cut(part, MAX_PART) for part in split))
        splits = self._splits.get((figure, identity), 0) if split else 0
        if key not in table and splits >= MAX_SPLITS:
            key = (identity, *(OTHERS for _ in split))
        if key in table:
            return key
        if self._held >= MAX_SERIES:
            return (OTHERS, *(OTHERS for _ in split))
        if split:
            self._splits[figure, identity] = splits + 1
        self._held += 1
        return key


class PerStation(Generic[State]):
    """What a family keeps of each station, made by `make`. Of too many, nothing is kept between two calls."""

    def __init__(self, make: Callable[[], State]) -> None:
        self._make = make
        self.known: dict[str, State] = {}

    def __call__(self, station: Station) -> State:
        """Of one station."""
        found = self.known.get(station.identity)
        if found is None:
            found = self._make()
            if len(self.known) < MAX_PEOPLE:
                self.known[station.identity] = found
        return found
