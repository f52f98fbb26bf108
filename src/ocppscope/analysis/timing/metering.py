"""How regularly meter values come, and how close to the slots of the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.happenings import Sampled
from ocppscope.analysis.timing.figures import Unit, figure

if TYPE_CHECKING:
    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Station
    from ocppscope.analysis.timing.ledger import Ledger, Person
    from ocppscope.analysis.timing.samples import Series

PERIODIC = "Sample.Periodic"
MAX_TRANSACTIONS = 1 << 15
"""Transactions whose meter values are followed: those that had some last."""
MAX_NOTED = 4096
"""Meter values that wait until they are looked at."""
MAX_MISSED = 10_000
"""Meter values that one gap can miss; a clock that jumps misses no more."""

INTERVAL = figure(
    "meter-interval", "metering", "Between meter values", Unit.TIME,
    "Time between the periodic samples of a transaction, by the station's timestamps. Flagged if one in twenty came "
    "after more than one and a half times the interval that was read or set (`beyond`); `missed` is how many that "
    f"leaves out, no more than {MAX_MISSED:,} at once. `not_followed` counts how often an open transaction was "
    "forgotten, since there were too many.",
    alarms={"beyond": Severity.WARNING},
)  # fmt: skip
ALIGNED = figure(
    "aligned-offset", "metering", "Off the clock's slot", Unit.TIME,
    "How far clock-aligned samples are from the slots of the interval that was read or set, which begin at midnight "
    "UTC; early ones are negative.",
)  # fmt: skip


class MeteringFigures:
    """Follows the meter values of all stations."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._latest: dict[Transaction, tuple[int, str]] = {}  # time of the last sample, station
        self._noted: list[tuple[Station, Transaction, int, int]] = []  # time of the sample, of its arrival
        bus.subscribe(Sampled, self._sampled)

    def _sampled(self, told: Sampled) -> None:
        transaction, x = told.transaction, told.exchange
        try:
            context = x.asked.data["meterValue"][-1]["sampledValue"][0].get("context", PERIODIC)
        except (TypeError, KeyError, IndexError, AttributeError):
            return
        if context == "Sample.Clock":
            self._aligned(told, told.samples[-1].time_ns or told.time_ns)
        elif transaction is not None and context == PERIODIC:
            readings = transaction.energy or transaction.power
            at = readings[-1][0] if readings else told.time_ns
            self._noted.append((told.station, transaction, at, told.time_ns))
            if len(self._noted) >= MAX_NOTED:
                self._fold()

    def _fold(self) -> None:
        """Makes intervals of what was noted."""
        latest = self._latest
        known: dict[Station, tuple[Series, Person]] = {}
        for station, transaction, at, now in self._noted:
            before, _ = latest.pop(transaction, (None, ""))
            latest[transaction] = at if before is None else max(at, before), station.identity
            if before is not None and at > before:
                where = known.get(station)
                if where is None:
                    series = self._ledger.series(INTERVAL, station.identity)
                    where = known[station] = series, self._ledger.person(station)
                self._gap(*where, at - before, now)
        self._noted.clear()
        for transaction in list(latest)[: max(0, len(latest) - MAX_TRANSACTIONS)]:
            _, identity = latest.pop(transaction)
            if transaction.is_open:
                self._ledger.series(INTERVAL, identity).count("not_followed")

    @staticmethod
    def _gap(series: Series, person: Person, gap: int, now: int) -> None:
        series.add(gap, now)
        interval = person.sampled_at(now)
        if interval and gap * 2 > interval * 3:
            series.count("beyond")
            series.count("missed", min((gap + interval // 2) // interval - 1, MAX_MISSED))

    def _aligned(self, told: Sampled, at: int) -> None:
        interval = self._ledger.person(told.station).aligned_ns
        if interval:
            off = (at + interval // 2) % interval - interval // 2
            self._ledger.add(ALIGNED, told.station, off, told.time_ns).counts["interval_ns"] = interval

    def settle(self, now: int) -> None:
        """Says what the intervals were to be."""
        del now
        self._fold()
        for (identity,), series in self._ledger.spreads[INTERVAL].items():
            person = self._ledger.people.get(identity)
            interval = person.sampled_at(self._ledger.now) if person is not None else None
            if interval:
                series.counts["interval_ns"] = interval
