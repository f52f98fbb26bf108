"""What transactions come to: how long, how much energy, at what power; and whether the meter agrees with itself."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.happenings import Sampled, TransactionStopped
from ocppscope.analysis.timing.figures import HOUR, MINUTE, Limits, Unit, above, figure
from ocppscope.analysis.timing.ledger import PerStation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.state.metering import Sample
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.timing.ledger import Ledger

MAX_TRANSACTIONS = 1 << 15
"""Transactions that are measured at the same time."""
LOOK_EVERY = 64
"""Messages of a transaction after which its readings are taken in: it remembers more than that."""
MAX_PLACES = 512
"""Connectors of a station whose register is remembered between two transactions."""
CHARGING_W = 500.0
"""Power from which a car charges rather than being kept warm."""
GAIN_WH = 10.0
"""Energy that counts as some."""
LOADED_A = 1.0
MISMATCH_PERCENT, MISMATCH_WH = 2.0, 100.0
ENOUGH_READINGS = 5
"""Power readings from which they are added up to an energy."""
MAX_READING_GAP_NS = 2 * MINUTE
"""Between two of them; nobody knows what happens in a longer time."""
WH = 3.6e12
"""Watt-nanoseconds of a watt-hour."""
_LINES = {"L1": 1, "L2": 2, "L3": 3, "L1-N": 1, "L2-N": 2, "L3-N": 3}

STARTED = figure(
    "start-to-energy", "transactions", "Start to first energy", Unit.TIME,
    "From the first message of a transaction to the first register value that is 10 Wh above the first one.",
    limits=above(None, 60),
)  # fmt: skip
DURATION = figure(
    "duration", "transactions", "Duration", Unit.TIME,
    "From the start to the stop of a transaction by the station's own timestamps; by arrival where it gives none. "
    "`short` ones took less than a minute, `long` ones over a day.",
    alarms={"short": Severity.NOTE, "long": Severity.NOTE},
)  # fmt: skip
ARRIVED = figure(
    "duration-arrival", "transactions", "Duration by arrival", Unit.TIME,
    "The same by the arrival of the two messages; transactions from an offline queue left out.",
    quiet=True,
)  # fmt: skip
ENERGY = figure(
    "energy", "transactions", "Energy", Unit.ENERGY,
    "What a transaction charged: meterStop less meterStart, in 2.x the last register value less the first.",
)  # fmt: skip
MISMATCH = figure(
    "energy-mismatch", "transactions", "Energy mismatch", Unit.PERCENT,
    "How far the register is from the sum of the energy intervals, and from the power over time between two "
    "messages that have both. Flagged (`beyond`) if it is over 2 % and over 100 Wh.",
    split=("against",), alarms={"beyond": Severity.WARNING},
)  # fmt: skip
SHARE = figure(
    "charging-share", "transactions", "Charging time", Unit.PERCENT,
    "Time with more than 500 W (by power, else by the register's rise), of a transaction's duration.",
)  # fmt: skip
BLOCKING = figure(
    "idle-after-charge", "transactions", "Idle after charging", Unit.TIME,
    "From the last rise of the register (by 10 Wh) to the end of the transaction: the connector was blocked.",
)  # fmt: skip
AVERAGE = figure(
    "average-power", "transactions", "Average power", Unit.POWER, "A transaction's energy over its duration."
)
PEAK = figure(
    "peak-power", "transactions", "Peak power", Unit.POWER,
    "The most that Power.Active.Import said; of phases that are told alone, their sum.",
)  # fmt: skip
PHASES = figure(
    "phases", "transactions", "Phases in use", Unit.COUNT, "Phases on which a transaction ever drew more than 1 A."
)
BETWEEN = figure(
    "energy-gap", "transactions", "Energy between", Unit.ENERGY,
    "The register at the start of a transaction less that at the stop of the one before on the same connector: "
    "energy that belongs to nobody. `not_followed` counts stops that were not remembered, since those of "
    f"{MAX_PLACES} connectors were.",
    limits=Limits(warning=100),
)  # fmt: skip


class Course:
    """What a transaction has measured so far."""

    __slots__ = (
        "awaited_wh", "charging_ns", "gain_ns", "gain_wh", "intervals_wh", "is_odd", "lines", "peak_w", "power",
        "register",
    )  # fmt: skip

    def __init__(self) -> None:
        self.awaited_wh = -inf  # register value that is the first energy; infinite once it was seen
        self.is_odd = False  # it has readings that only its messages tell
        self.peak_w: float | None = None
        self.lines: set[int] = set()  # under load
        self.power: tuple[int, float] | None = None  # the last reading
        self.register: tuple[int, float] | None = None
        self.charging_ns = 0
        self.gain_wh: float | None = None  # the register when it last rose
        self.gain_ns: int | None = None
        self.intervals_wh: float | None = None

    def scan(self, samples: Iterable[Sample], arrived_ns: int) -> None:
        """Takes from one message what the transaction does not remember by itself."""
        phases: dict[int, float] = {}  # power by time
        whole = False
        for one in samples:
            value = one.value
            if value is None or one.location != "Outlet":
                continue
            if one.measurand == "Current.Import":
                if value > LOADED_A and one.phase in _LINES:
                    self.lines.add(_LINES[one.phase])
            elif one.measurand == "Power.Active.Import":
                whole = whole or not one.phase
                at = arrived_ns if one.time_ns is None else one.time_ns
                if one.phase in _LINES:
                    phases[at] = phases.get(at, 0.0) + value
            elif one.measurand == "Energy.Active.Import.Interval" and not one.phase:
                self.is_odd = True
                self.intervals_wh = value + (self.intervals_wh or 0.0)
        if phases and not whole:
            self.is_odd = True
            self._draw(phases.items())

    def fold(self, transaction: Transaction) -> None:
        """Takes the readings that the transaction remembers and that are new."""
        if self.gain_wh is None:
            self.gain_wh = transaction.meter_start
        self._draw(transaction.power)
        self._read(transaction.energy)

    def _draw(self, readings: Iterable[tuple[int, float]]) -> None:
        """Takes readings of the power, as far as they are new."""
        last, peak, charging = self.power, self.peak_w, self.charging_ns
        for reading in readings:
            at, value = reading
            if last is None:
                charging = 0  # from now on by power
            elif at <= last[0]:
                continue
            elif last[1] + value > 2 * CHARGING_W:
                charging += at - last[0]
            if peak is None or value > peak:
                peak = value
            last = reading
        self.power, self.peak_w, self.charging_ns = last, peak, charging

    def _read(self, readings: Iterable[tuple[int, float]]) -> None:
        """Takes readings of the register, as far as they are new."""
        last, gain, by_register = self.register, self.gain_wh, self.power is None
        for reading in readings:
            at, value = reading
            span = 0 if last is None else at - last[0]
            if last is not None and span <= 0:
                continue
            if by_register and last is not None and (value - last[1]) * WH / span > CHARGING_W:
                self.charging_ns += span
            if gain is None:
                gain = value
            elif value >= gain + GAIN_WH:
                gain, self.gain_ns = value, at
            last = reading
        self.register, self.gain_wh = last, gain


class EnergyFigures:
    """Measures the transactions of all stations."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._ledger = ledger
        self._courses: dict[Transaction, Course] = {}
        self._watched: dict[Transaction, Course] = {}  # those of which each message is looked at
        self._stops: PerStation[dict[int, float]] = PerStation(dict)  # register at the last stop, by first number
        bus.subscribe(Sampled, self._sampled)
        bus.subscribe(TransactionStopped, self._stopped)

    def _sampled(self, told: Sampled) -> None:
        transaction = told.transaction
        if transaction is not None and (transaction in self._watched or transaction.samples % LOOK_EVERY <= 1):
            self._look(told, transaction)

    def _look(self, told: Sampled, transaction: Transaction) -> None:
        if not transaction.is_open:
            return
        course = self._courses.get(transaction)
        if course is None:
            course = self._courses[transaction] = self._watched[transaction] = Course()
            if len(self._courses) > MAX_TRANSACTIONS:
                oldest = next(iter(self._courses))
                del self._courses[oldest]
                self._watched.pop(oldest, None)
        course.scan(told.samples, told.time_ns)
        if transaction.samples % LOOK_EVERY == 0:
            course.fold(transaction)
        energy = transaction.energy
        if energy and energy[-1][1] >= course.awaited_wh:
            self._energized(told, transaction, course, energy[-1][1])
        if course.awaited_wh == inf and not course.is_odd:
            self._watched.pop(transaction, None)

    def _energized(self, told: Sampled, transaction: Transaction, course: Course, register: float) -> None:
        """Whether this is the first energy; to be told once it is known what the register began with."""
        start, begun = transaction.start, transaction.meter_start
        if begun is None:
            return
        course.awaited_wh = begun + GAIN_WH
        if register < course.awaited_wh:
            return
        course.awaited_wh = inf
        live = start is not None and not start.replayed and not told.exchange.replayed
        if live and transaction.started_ns is not None and told.exchange.action != "StopTransaction":
            self._ledger.add(STARTED, told.station, told.time_ns - transaction.started_ns, told.time_ns)

    def _stopped(self, told: TransactionStopped) -> None:
        transaction, now = told.transaction, told.time_ns
        course = self._courses.pop(transaction, None) or Course()
        self._watched.pop(transaction, None)
        if transaction.start is None:
            self._stops(told.station).pop(transaction.place[0], None)
            return  # when it began, and at what, is not in the capture
        course.fold(transaction)
        duration = transaction.duration_ns
        if duration is not None and duration > 0:
            self._lasted(told, duration, course)
        energy = transaction.energy_wh
        if energy is not None:
            self._ledger.add(ENERGY, told.station, energy, now)
            self._check(told, energy, course)
            if duration is not None and duration > 0:
                self._ledger.add(AVERAGE, told.station, energy * WH / duration, now)
        if course.peak_w is not None:
            self._ledger.add(PEAK, told.station, course.peak_w, now)
        if course.lines:
            self._ledger.add(PHASES, told.station, len(course.lines), now)
        self._between(told)

    def _lasted(self, told: TransactionStopped, duration: int, course: Course) -> None:
        station, transaction, now = told.station, told.transaction, told.time_ns
        series = self._ledger.add(DURATION, station, duration, now)
        if duration < MINUTE or duration > 24 * HOUR:
            series.count("short" if duration < MINUTE else "long")
        assert transaction.start is not None
        if transaction.started_ns is not None and not told.exchange.replayed and not transaction.start.replayed:
            self._ledger.add(ARRIVED, station, now - transaction.started_ns, now)
        if course.register is not None or course.power is not None:
            self._ledger.add(SHARE, station, min(100.0, 100.0 * course.charging_ns / duration), now)
        if course.gain_ns is not None:
            end = transaction.stop_stamp_ns if transaction.stop_stamp_ns is not None else now
            self._ledger.add(BLOCKING, station, max(0, end - course.gain_ns), now)

    def _check(self, told: TransactionStopped, energy: float, course: Course) -> None:
        if course.intervals_wh is not None:
            self._compare(told, energy, course.intervals_wh, "intervals")
        found = _by_power(told.transaction)
        if found is not None:
            self._compare(told, *found, "power")

    def _compare(self, told: TransactionStopped, register: float, other: float, against: str) -> None:
        most = max(abs(register), abs(other))
        percent = 100.0 * abs(register - other) / most if most else 0.0
        series = self._ledger.add(MISMATCH, told.station, percent, told.time_ns, against)
        if percent > MISMATCH_PERCENT and abs(register - other) > MISMATCH_WH:
            series.count("beyond")

    def _between(self, told: TransactionStopped) -> None:
        transaction, stops = told.transaction, self._stops(told.station)
        place = transaction.place[0]
        if not place:
            return
        before = stops.pop(place, None)
        if before is not None and transaction.meter_start is not None:
            self._ledger.add(BETWEEN, told.station, transaction.meter_start - before, told.time_ns)
        if transaction.meter_stop is None:
            return
        if len(stops) < MAX_PLACES:
            stops[place] = transaction.meter_stop
        else:
            self._ledger.series(BETWEEN, told.station.identity).count("not_followed")


def _by_power(transaction: Transaction) -> tuple[float, float] | None:
    """What the register and the power say of the same time, Wh; None if too little of it has both."""
    register = dict(transaction.energy)
    power = list(transaction.power)
    both = [place for place, (at, _) in enumerate(power) if at in register]
    if not both or both[-1] - both[0] < ENOUGH_READINGS:
        return None
    known = power[both[0] : both[-1] + 1]
    total = 0.0
    (at, value) = known[0]
    for later, next_value in known:
        span = later - at
        if span > MAX_READING_GAP_NS:
            return None
        if span > 0:
            total += (value + next_value) * span
        at, value = later, next_value
    return register[known[-1][0]] - register[known[0][0]], total / 2 / WH
