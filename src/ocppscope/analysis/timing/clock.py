"""The clocks of both sides against that of the capture, and what stations kept while they were offline."""

from __future__ import annotations

from math import inf, sqrt
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.analysis.happenings import CaptureEnded, Closed, LeftOpen, answered, asked
from ocppscope.analysis.state.clock import EARLIEST_NS, LATEST_NS
from ocppscope.analysis.timing.figures import MINUTE, SECOND, Kind, Unit, above, figure
from ocppscope.analysis.timing.ledger import MAX_PEOPLE
from ocppscope.analysis.timing.samples import LARGEST, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.station import Exchange, Station
    from ocppscope.analysis.timing.ledger import Ledger

MAX_NOTED = 1 << 14
"""Readings that are noted one after the other before each station gets its own."""
ENOUGH_FOR_DRIFT = 20
"""Readings from which a drift is told, if they cover enough time."""
DRIFT_SPAN_NS = 10 * MINUTE

SKEW = figure(
    "clock-skew", "clock", "Station's clock ahead by", Unit.TIME,
    "Timestamps of live messages less the time of their arrival; negative: the clock is behind, or messages come "
    "late. Told apart by whether the CSMS had told the time yet in this capture. Judged by the median; one second "
    "is the resolution of many stations.",
    split=("time",), limits=above(10, 30, 300, of="p50"),
)  # fmt: skip
DRIFT = figure(
    "clock-drift", "clock", "Station's clock drift", Unit.PPM,
    "Slope of a straight line through the same differences, the offset fitted anew after each answer that tells the "
    "time. From 20 readings over ten minutes on; `plus_minus_ppm` is the standard error.",
    kind=Kind.SHARE, scale=1e6,
)  # fmt: skip
CSMS = figure(
    "csms-clock", "clock", "CSMS's clock ahead by", Unit.TIME,
    "currentTime in answers to BootNotification and Heartbeat less the time of their arrival. Judged by the median.",
    limits=above(None, 2, 30, of="p50"),
)  # fmt: skip
DELIVERY = figure(
    "delivery-delay", "clock", "Delivery delay", Unit.TIME,
    "How late live messages about statuses, meter values and transactions arrive by their timestamps, after the "
    "median difference of the clocks is taken off.",
    split=("time",), limits=above(None, 10),
)  # fmt: skip
OLDEST = figure(
    "offline-age", "clock", "Offline queue, oldest", Unit.TIME,
    "Age of the oldest message that a station sent from its offline queue, one value a queue.",
)  # fmt: skip
QUEUED = figure("offline-messages", "clock", "Offline queue, messages", Unit.COUNT, "Messages of one offline queue.")
DRAIN = figure(
    "offline-drain", "clock", "Offline queue, drained in", Unit.TIME,
    "From the first to the last message of one offline queue.",
)  # fmt: skip
DRAIN_RATE = figure(
    "offline-rate", "clock", "Offline queue, drain rate", Unit.PER_MINUTE, "Messages of one offline queue a minute."
)

BEFORE, AFTER = "before sync", "after sync"


class Fit:
    """A straight line through points whose offset changes now and then, by sums over its segments. In seconds."""

    __slots__ = ("segments", "sxx", "sxy", "syy", "total")

    def __init__(self) -> None:
        self.total = 0  # points
        self.segments = 0
        self.sxx = self.sxy = self.syy = 0.0

    def take(self, times: NDArray[np.int64], values: NDArray[np.int64], segments: NDArray[np.int64]) -> None:
        """Points in ns, and the segment of each."""
        x, y = (times - times[0]) / SECOND, (values - values[0]) / SECOND
        _, at, counts = np.unique(segments, return_inverse=True, return_counts=True)
        x -= (np.bincount(at, x) / counts)[at]
        y -= (np.bincount(at, y) / counts)[at]
        self.total += len(x)
        self.segments += len(counts)
        self.sxx += float(x @ x)
        self.sxy += float(x @ y)
        self.syy += float(y @ y)

    @property
    def error(self) -> float:
        """The standard error of the slope; infinite where nothing is known of it."""
        free = self.total - self.segments - 1
        if free < 1 or self.sxx <= 0:
            return inf
        return sqrt(max(0.0, self.syy - self.sxy**2 / self.sxx) / free / self.sxx)


class Hands:
    """What is kept of a station."""

    __slots__ = ("code", "first_ns", "fit", "last_ns", "oldest_ns", "queue_ns", "queued", "queued_ns", "station")

    def __init__(self, code: int, station: str) -> None:
        self.code = code
        self.station = station
        self.fit = Fit()
        self.first_ns: int | None = None  # reading
        self.last_ns = 0
        self.queue_ns = 0  # when the first message of an offline queue came
        self.queued_ns = 0  # the last
        self.queued = 0
        self.oldest_ns = 0


class ClockFigures:
    """Reads the clocks of all stations."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._hands: dict[str, Hands] = {}
        self._all: list[Hands] = []
        self._noted: list[tuple[Station, int, int, int]] = []  # also now, skew, when the CSMS told the time, else -1
        bus.subscribe(
            asked("StatusNotification", "StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues"),
            self._stamped,
        )
        bus.subscribe(answered("BootNotification", "Heartbeat"), self._told)
        bus.subscribe((Closed, LeftOpen, CaptureEnded), self._drained)

    def _of(self, station: Station) -> Hands:
        found = self._hands.get(station.identity)
        if found is None:
            full = len(self._all) >= MAX_PEOPLE
            found = self._all[0] if full else Hands(len(self._all), station.identity)
            if not full:
                self._hands[station.identity] = found
                self._all.append(found)
        return found

    def _stamped(self, x: Exchange) -> None:
        stamp, now = x.stamp_ns, x.asked_ns
        if x.replayed:
            self._replayed(x)
        elif stamp is not None and EARLIEST_NS <= stamp < LATEST_NS:
            synced = x.station.clock.synced_ns
            self._noted.append((x.station, now, stamp - now, -1 if synced is None else synced))
            if len(self._noted) >= MAX_NOTED:
                self._fold()

    def _fold(self) -> None:
        """Gives each station its part of the journal."""
        rows = [one for one in self._noted if -LARGEST <= one[1] <= LARGEST]
        self._noted.clear()
        if not rows:
            return
        stations, *columns = zip(*rows, strict=True)
        codes = {station: self._of(station).code for station in set(stations)}
        journal = np.array([[codes[station] for station in stations], *columns], np.int64).T
        order, places = groups(journal[:, 0])
        journal = journal[order]
        for code, place in places:
            self._take(self._all[code], journal[place])

    def _take(self, hands: Hands, rows: NDArray[np.int64]) -> None:
        times, skews, synced = rows[:, 1], np.clip(rows[:, 2], -LARGEST, LARGEST), rows[:, 3]
        hands.fit.take(times, skews, synced)
        hands.first_ns = int(times[0]) if hands.first_ns is None else hands.first_ns
        hands.last_ns = int(times[-1])
        for part, chosen in ((BEFORE, synced < 0), (AFTER, synced >= 0)):
            if chosen.any():
                self._ledger.series(SKEW, hands.station, part).extend(skews[chosen], times[chosen])

    def _told(self, x: Exchange) -> None:
        told = x.station.clock.csms
        if told and told[-1].time_ns == x.time_ns and not x.error:
            self._ledger.add(CSMS, x.station, told[-1].skew_ns, x.time_ns)

    # --- the offline queue ----------------------------------------------------------------------------------------

    def _replayed(self, x: Exchange) -> None:
        hands, now = self._of(x.station), x.asked_ns
        stamp = x.stamp_ns
        if not hands.queued:
            hands.queue_ns, hands.oldest_ns = now, 0
        hands.queued += 1
        hands.queued_ns = now
        if stamp is not None:
            hands.oldest_ns = max(hands.oldest_ns, now + (x.station.clock.skew_ns or 0) - stamp)

    def _drained(self, told: Closed | LeftOpen | CaptureEnded) -> None:
        hands = self._hands.get(told.station.identity)
        if hands is not None and hands.queued:
            self._tell_queue(told.station, hands, told.time_ns)
            hands.queued = 0

    def _tell_queue(self, station: Station, hands: Hands, now: int) -> None:
        span = hands.queued_ns - hands.queue_ns
        self._ledger.add(QUEUED, station, hands.queued, now)
        self._ledger.add(OLDEST, station, hands.oldest_ns, now)
        if span > 0:
            self._ledger.add(DRAIN, station, span, now)
            self._ledger.add(DRAIN_RATE, station, (hands.queued - 1) * MINUTE / span, now)

    def settle(self, now: int) -> None:
        """Works out the drifts."""
        del now
        self._fold()
        for identity, hands in self._hands.items():
            fit = hands.fit
            covered = hands.last_ns - (hands.first_ns or hands.last_ns)
            if fit.total >= ENOUGH_FOR_DRIFT and covered >= DRIFT_SPAN_NS and fit.sxx > 0 and fit.error < 1:
                drift = self._ledger.portion(DRIFT, identity)
                drift.set(fit.sxy, fit.sxx, fit.total)
                drift.counts = {"plus_minus_ppm": round(fit.error * 1e6, 1)}
