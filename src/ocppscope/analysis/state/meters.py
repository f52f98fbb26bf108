"""What meter samples tell of a transaction: a `Meter` follows each, `MeterTracker` publishes what is odd.

It states facts, and an ordinary message makes none; how much is too much is for the rules to say. Nothing here is
compared across transactions. Samples of the same kinds as those before them, which go on as they should, take a short
way (`follow_plainly`), for which no `Sample` is made but of registers. Both ways come to the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ocppscope.analysis.happenings import Happening
from ocppscope.analysis.state.metering import TOTAL, Kind, Layout, Role, Sample, layout_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Exchange, Link, Place, Station

MAX_SERIES = 64
"""Series of samples of a transaction that are followed."""
MIN_WINDOW_NS = 10_000_000_000
"""Time over which energy is turned into power at least: timestamps may be whole seconds."""
MAX_STEP_NS = 3_600_000_000_000
"""Time between two samples of power beyond which nothing is said of the energy between them."""
MAX_NAME = 255
"""Characters of a transactionId, as `Transaction.id` has them."""
FACTOR = 10
"""How many times register and power must differ to be told of."""
MAINS_V = 230.0
"""Voltage with which currents alone are turned into power."""
MAX_AC_A = 40.0
"""Current per phase beyond which a station may be more than an ordinary AC one."""
FLOWS_A = 1.0
"""Current from which a phase counts as used."""

_HOUR_NS = 3_600_000_000_000
_OTHER, _MAIN, _POWER = Role.OTHER, Role.MAIN, Role.POWER
_PHASE_POWER, _PHASE_CURRENT, _OFFERED = Role.PHASE_POWER, Role.PHASE_CURRENT, Role.OFFERED
_REGISTERS = frozenset({Role.MAIN, Role.REGISTER})
_PHASES = frozenset({"L1", "L2", "L3"})


class Metered(Happening):
    """Something about the samples of one message."""

    exchange: Exchange


class Unreadable(Metered):
    """A sample is no plain decimal number."""

    sample: Sample


class Repeated(Metered):
    """A MeterValue holds the same measurand, phase, location and unit more than once."""

    sample: Sample


class ClockAligned(Metered):
    """Samples came that were taken at a time of the day."""

    samples: list[Sample]


class Unassigned(Metered):
    """1.6 MeterValues of a connector came while a transaction was open there, and do not name it."""

    transaction: Transaction
    samples: list[Sample]
    named: str  # the transactionId that it has, "" if none


class Astray(Metered):
    """A sample names a transaction and was taken before its start or after its stop, by the station's clock."""

    transaction: Transaction
    sample: Sample
    by_ns: int  # how far outside; negative: before the start


class UnitChanged(Metered):
    """A series goes on in another unit."""

    transaction: Transaction
    before: Sample
    sample: Sample


class RegisterFell(Metered):
    """A later sample of a register is lower."""

    transaction: Transaction
    before: Sample
    sample: Sample


class RegisterBegan(Metered):
    """The first sample of the main register in a transaction, and the first after zeros."""

    transaction: Transaction
    sample: Sample


class Surged(Metered):
    """The register grew faster than any power that was reported."""

    transaction: Transaction
    energy_wh: float  # by how much, less its resolution
    over_ns: int
    power_w: float  # the highest that was reported or offered, 0 of none
    alternating: bool  # phases were reported, with currents of an AC station


class Disagreed(Metered):
    """Register and power over time differ more than `FACTOR` times since their first common sample."""

    transaction: Transaction
    register_wh: float
    power_wh: float
    samples: int
    over_ns: int


class Stood(Metered):
    """The register shows the same again while power flows."""

    transaction: Transaction
    samples: int  # with this value
    over_ns: int
    power_w: float  # the lowest in that time
    expected_wh: float  # power over that time
    resolution: float  # of the register, Wh


class OnePhase(Metered):
    """One of three phases carries current, the others do not."""

    transaction: Transaction
    phase: str
    over_ns: int  # for how long
    step_ns: int  # of it since the sample before


class SumDiffers(Metered):
    """The power of three phases does not add up to the total."""

    transaction: Transaction
    total_w: float
    sum_w: float
    times: int  # in a row


class Series:
    """One measurand, phase and location of a transaction: of a register the latest sample, else one of that kind."""

    __slots__ = ("_last", "_raw", "at_ns", "kind", "value")

    def __init__(self, sample: Sample, at_ns: int) -> None:
        self.take(sample, at_ns)

    def take(self, sample: Sample, at_ns: int) -> None:
        """The next one. `at_ns` is its stamp, or its arrival."""
        self._last: Sample | None = sample
        self._raw: object = sample.raw
        self.at_ns, self.kind, self.value = at_ns, sample.kind, sample.value

    def go_on(self, value: float, raw: object, at_ns: int) -> None:
        """The next one, of the same kind, and a plain number."""
        self._last, self._raw = None, raw
        self.at_ns, self.value = at_ns, value

    @property
    def last(self) -> Sample:
        """As a sample."""
        return self._last or Sample(self.at_ns, self.value, self._raw, 0, True, self.kind)

    @property
    def resolution(self) -> float:
        """Of the last one."""
        return self.last.resolution


class Meter:
    """What was measured in one transaction. Times are stamps, or arrivals where there are none."""

    __slots__ = (
        "alternating", "amps_max", "anchor_arrived_ns", "anchor_ns", "anchor_wh", "at_ns", "begin_wh", "differed",
        "kinds", "one_phase", "one_phase_ns", "one_phase_over_ns", "power_max", "power_ns", "power_w", "power_wh",
        "samples", "series", "since_ns", "since_wh", "steady", "still_n", "still_ns", "still_value", "still_w",
        "still_wh",
    )  # fmt: skip

    def __init__(self) -> None:
        self.begin_wh: float | None = None  # the register of a sample Transaction.Begin
        self.power_max = 0.0  # W, the highest reported, offered, or made of currents
        self.amps_max = 0.0  # of a phase
        self.alternating = False  # phases were reported
        self.series: dict[tuple[str, str, str], Series] = {}
        self.kinds: list[Kind] = []  # of the last message
        self.steady: Layout | None = None  # of the last message, if each series is known, and of its kind there
        self.restart()

    def restart(self) -> None:
        """Forgets the last samples: the station's time went backwards."""
        self.series.clear()
        self.at_ns = 0  # of the last samples
        self.anchor_ns = self.anchor_arrived_ns = 0  # from where power is worked out; 0: nowhere
        self.anchor_wh = 0.0
        self.one_phase = ""  # the only phase with current, since when
        self.one_phase_ns = self.one_phase_over_ns = 0
        self.differed = 0  # times in a row that the phases did not add up
        self.weigh_from(0, 0.0, None)

    def weigh_from(self, at: int, register: float, power: float | None) -> None:
        """Begins to compare register and power."""
        self.power_ns, self.power_w = at, power  # of the last sample of both
        self.samples, self.since_ns, self.since_wh, self.power_wh = 1, at, register, 0.0
        self.stand(at, register, power or 0.0)

    def stand(self, at: int, register: float, power: float) -> None:
        """The register shows something new."""
        self.still_n, self.still_ns, self.still_value = 1, at, register
        self.still_w, self.still_wh = power, 0.0

    @property
    def last_register(self) -> Series | None:
        """The main register."""
        return self.series.get(TOTAL)

    def forget_layout(self) -> None:
        """No more of the same is to come."""
        self.kinds, self.steady = [], None

    def settle(self, x: Exchange) -> None:
        """After a message: whether the next one that looks like it may take the short way."""
        kinds, known, values = self.kinds, self.series, x.asked.data.get("meterValue")
        self.steady = None
        for kind in kinds:
            series = known.get(kind.key)
            if series is None or series.kind is not kind:
                return
        if type(values) is list and len(values) == 1 and type(values[0]) is dict:
            sampled = values[0].get("sampledValue")
            self.steady = layout_of(kinds, sampled) if type(sampled) is list else None


class _Reading(Struct):
    """What one MeterValue says, as far as it is compared."""

    main: Sample | None = None
    power: float | None = None
    powers: dict[str, float] | None = None
    currents: dict[str, float] | None = None

    def take(self, sample: Sample, value: float, meter: Meter) -> None:
        """One more sample."""
        role = sample.kind.role
        if role is _POWER:
            self.power = value
        elif role is _PHASE_CURRENT:
            self.currents = self.currents or {}
            self.currents[sample.phase[:2]] = value
        elif role is _PHASE_POWER:
            self.powers = self.powers or {}
            self.powers[sample.phase[:2]] = value
        elif role is _OFFERED:
            meter.power_max = max(meter.power_max, value)


class MeterTracker:
    """Looks at every sample once. It is told by the tracker of transactions, before anybody else is."""

    actions: tuple[str, ...] = ()

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def follow(self, x: Exchange, transaction: Transaction | None, place: Place, samples: list[Sample]) -> None:
        """Takes the samples of one message, at least one."""
        if samples[0].context == "Sample.Clock":
            self._bus.happens(ClockAligned(*_head(x), samples))
        if transaction is None:
            self._repeated(x, samples)
            self._unreadable(x, samples)
            return
        _remember(transaction, samples, x)
        meter, kinds = transaction.meter, [sample.kind for sample in samples]
        if kinds != meter.kinds or samples[-1].group:  # stations send the same again and again
            self._repeated(x, samples)
            meter.kinds = kinds
        is_inside = x.action != "MeterValues" or self._is_assigned(x, transaction, place, samples)
        for group in _grouped(samples) if samples[-1].group else (samples,):
            if is_inside:
                self._inside(x, transaction, group[0])
            self._follow(x, transaction, group)
        meter.settle(x)

    def follow_plainly(self, x: Exchange, transaction: Transaction, sampled: list[Any], at: int) -> bool:
        """The short way, of what `sampledValue` holds in the only MeterValue of a message about an open transaction.

        `at` is its timestamp. False, and nothing is changed, if anything about it is out of the ordinary.
        """
        meter, start = transaction.meter, transaction.start_stamp_ns
        layout = meter.steady
        if layout is None or at < meter.at_ns or (start is not None and at < start):
            return False
        values = layout.values(sampled)
        if values is None or (layout.others and _falls(meter, layout, values)):
            return False
        series = None
        if (place := layout.main) >= 0:
            series, value = meter.series[TOTAL], values[place]
            before = series.value
            if before is None or value < before or before == 0 < value:
                return False
            series.go_on(value, sampled[place]["value"], at)
            transaction.energy.append((at, value))
            if transaction.meter_start is None:
                transaction.meter_start = value
        for place in layout.others:
            meter.series[layout.kinds[place].key].go_on(values[place], sampled[place]["value"], at)
        meter.at_ns = at
        for place in layout.offered:
            meter.power_max = max(meter.power_max, values[place])
        if layout.currents is not None:
            self._load(x, transaction, layout.phases, layout.currents(values), at)
        power = None
        if layout.power >= 0:
            power = values[layout.power]
            transaction.power.append((at, power))
        if layout.powers:
            power = self._add_up(x, transaction, power, {phase: values[place] for place, phase in layout.powers})
        if power is not None and power > meter.power_max:
            meter.power_max = power
        if series is not None:
            self._pace(x, transaction, series, value, at)
            if power is not None:
                self._weigh(x, transaction, series, value, power, at)
        return True

    def _repeated(self, x: Exchange, samples: list[Sample]) -> None:
        if len({(one.group, one.kind.slot) for one in samples}) == len(samples):
            return
        seen: set[Any] = set()
        for one in samples:
            name = one.group, one.kind.slot
            if name in seen:
                self._bus.happens(Repeated(*_head(x), one))
                return
            if not one.kind.signed:
                seen.add(name)

    def _unreadable(self, x: Exchange, samples: list[Sample]) -> None:
        for sample in samples:
            if not sample.plain and not sample.kind.signed:
                self._bus.happens(Unreadable(*_head(x), sample))

    def _is_assigned(self, x: Exchange, transaction: Transaction, place: Place, samples: list[Sample]) -> bool:
        """Whether MeterValues name the transaction that they were found to belong to."""
        value = x.asked.data.get("transactionId")
        named = str(value)[:MAX_NAME] if type(value) is str or (type(value) is int and abs(value) < 1 << 64) else ""
        if named and transaction.has_id(named):
            return True
        if not x.station.is_2x and place[0] and transaction.id:
            self._bus.happens(Unassigned(*_head(x), transaction, samples, named))
        return False

    def _inside(self, x: Exchange, transaction: Transaction, sample: Sample) -> None:
        at, start, stop = sample.time_ns, transaction.start_stamp_ns, transaction.stop_stamp_ns
        if at is None:
            return
        if x.action == "StopTransaction":
            stop = x.stamp_ns
        by = at - start if start is not None and at < start else at - stop if stop is not None and at > stop else 0
        if by:
            self._bus.happens(Astray(*_head(x), transaction, sample, by))

    # --- in order -------------------------------------------------------------------------------------------------

    def _follow(self, x: Exchange, transaction: Transaction, group: list[Sample]) -> None:
        meter = transaction.meter
        at = group[0].time_ns
        at = x.asked_ns if at is None else at
        if at < meter.at_ns and _is_history(x):
            self._unreadable(x, group)
            return
        if at < meter.at_ns or (meter.at_ns and _starts(x)):
            meter.restart()
        reading, known = _Reading(), meter.series
        for sample in group:
            if not sample.plain:
                self._unreadable(x, [sample])
            value, kind = sample.value, sample.kind
            if value is None:
                continue
            if kind.context == "Transaction.Begin":
                meter.begin_wh = value if kind.role is _MAIN else meter.begin_wh
                continue
            series = known.get(kind.key)
            if series is None or series.kind is not kind or kind.role in _REGISTERS:
                self._go_on(x, transaction, series, sample, value, at)
            if kind.role is _MAIN:
                reading.main = sample
            elif kind.role is not _OTHER:
                reading.take(sample, value, meter)
        self._conclude(x, transaction, reading, at)

    def _go_on(
        self, x: Exchange, transaction: Transaction, series: Series | None, sample: Sample, value: float, at: int
    ) -> None:
        """A series begins, or goes on with another unit; a register goes on."""
        role, known = sample.kind.role, transaction.meter.series
        if series is None:
            if len(known) < MAX_SERIES:
                known[sample.kind.key] = Series(sample, at)
            if role is _MAIN:
                self._bus.happens(RegisterBegan(*_head(x), transaction, sample))
            return
        before = series.last
        if sample.sent_unit != before.sent_unit and _unit(sample) != _unit(before) != "" != _unit(sample):
            self._bus.happens(UnitChanged(*_head(x), transaction, before, sample))
        if role in _REGISTERS and before.value is not None:
            if value < before.value and at > series.at_ns:
                self._bus.happens(RegisterFell(*_head(x), transaction, before, sample))
            elif before.value == 0 < value and role is _MAIN:
                self._bus.happens(RegisterBegan(*_head(x), transaction, sample))
        series.take(sample, at)

    def _conclude(self, x: Exchange, transaction: Transaction, reading: _Reading, at: int) -> None:
        """What the samples of a moment come to together."""
        meter, main, power = transaction.meter, reading.main, reading.power
        meter.at_ns = at
        if reading.currents:
            self._load(x, transaction, list(reading.currents), list(reading.currents.values()), at)
        if reading.powers:
            power = self._add_up(x, transaction, power, reading.powers)
        if power is not None and power > meter.power_max:
            meter.power_max = power
        if main is not None and main.value is not None:
            self._pace(x, transaction, main, main.value, at)
            if power is not None:
                self._weigh(x, transaction, main, main.value, power, at)

    # --- energy against power -------------------------------------------------------------------------------------

    def _pace(self, x: Exchange, transaction: Transaction, main: Sample | Series, value: float, at: int) -> None:
        """How fast the register grows."""
        meter, now = transaction.meter, x.asked_ns
        anchor = meter.anchor_ns
        if anchor:
            over, arrived = at - anchor, now - meter.anchor_arrived_ns
            if arrived > over and not x.replayed:  # a clock that is set makes stamps come close
                over = arrived
            if over < MIN_WINDOW_NS:
                return
            grown = value - meter.anchor_wh
            if grown * _HOUR_NS > meter.power_max * over:
                self._surge(x, transaction, grown - main.resolution, over)
        meter.anchor_ns, meter.anchor_arrived_ns, meter.anchor_wh = at, now, value

    def _surge(self, x: Exchange, transaction: Transaction, grown: float, over: int) -> None:
        meter = transaction.meter
        if grown > 0 and grown * _HOUR_NS / over > meter.power_max:
            is_ac = meter.alternating and meter.amps_max <= MAX_AC_A
            self._bus.happens(Surged(*_head(x), transaction, grown, over, meter.power_max, is_ac))

    def _weigh(
        self, x: Exchange, transaction: Transaction, main: Sample | Series, value: float, power: float, at: int
    ) -> None:
        """The register against power over time."""
        meter = transaction.meter
        before, step = meter.power_w, at - meter.power_ns
        if before is None or not 0 < step <= MAX_STEP_NS:
            meter.weigh_from(at, value, power)
            return
        energy = (before + power) / 2 * step / _HOUR_NS
        meter.power_ns, meter.power_w = at, power
        meter.samples += 1
        meter.power_wh += energy
        grown, expected = abs(value - meter.since_wh), abs(meter.power_wh)
        if grown > FACTOR * expected or grown * FACTOR < expected:
            over = at - meter.since_ns
            self._bus.happens(Disagreed(*_head(x), transaction, grown, expected, meter.samples, over))
        if value != meter.still_value:
            meter.stand(at, value, power)
        else:
            self._stand(x, transaction, main, power, energy, at)

    def _stand(
        self, x: Exchange, transaction: Transaction, main: Sample | Series, power: float, energy: float, at: int
    ) -> None:
        """The register shows the same again."""
        meter = transaction.meter
        meter.still_n += 1
        meter.still_wh += energy
        meter.still_w = min(meter.still_w, power)
        if meter.still_w > 0:
            over = at - meter.still_ns
            self._bus.happens(
                Stood(*_head(x), transaction, meter.still_n, over, meter.still_w, meter.still_wh, main.resolution)
            )

    # --- phases ---------------------------------------------------------------------------------------------------

    def _load(
        self, x: Exchange, transaction: Transaction, phases: list[str], currents: Sequence[float], at: int
    ) -> None:
        """Currents of phases."""
        meter, most, watts = transaction.meter, max(currents), MAINS_V * sum(currents)
        meter.alternating = True
        meter.amps_max, meter.power_max = max(meter.amps_max, most), max(meter.power_max, watts)
        if len(phases) >= len(_PHASES):
            self._used(x, transaction, dict(zip(phases, currents, strict=True)), at)

    def _add_up(self, x: Exchange, transaction: Transaction, power: float | None, powers: dict[str, float]) -> float:
        """The whole power: as it was told, else that of the phases together."""
        meter, total = transaction.meter, sum(powers.values())
        if power is None:
            return total
        if powers.keys() >= _PHASES and abs(total - power) > 0.05 * abs(power):
            meter.differed += 1
            self._bus.happens(SumDiffers(*_head(x), transaction, power, total, meter.differed))
        else:
            meter.differed = 0
        return power

    def _used(self, x: Exchange, transaction: Transaction, currents: dict[str, float], at: int) -> None:
        """Which phases carry current."""
        if not currents.keys() >= _PHASES:
            return
        meter = transaction.meter
        used = [phase for phase, current in currents.items() if abs(current) > FLOWS_A]
        if len(used) != 1:
            meter.one_phase = ""
            return
        if meter.one_phase != used[0]:
            meter.one_phase, meter.one_phase_ns, meter.one_phase_over_ns = used[0], at, 0
        over, before = at - meter.one_phase_ns, meter.one_phase_over_ns
        meter.one_phase_over_ns = over
        self._bus.happens(OnePhase(*_head(x), transaction, used[0], over, over - before))


def _falls(meter: Meter, layout: Layout, values: list[float]) -> bool:
    """Whether a register besides the main one shows less than before."""
    return any((meter.series[layout.kinds[at].key].value or 0.0) > values[at] for at in layout.others)


def _head(x: Exchange) -> tuple[Station, Link | None, int, Exchange, Exchange]:
    return x.station, x.link, x.asked_ns, x, x


def _remember(transaction: Transaction, samples: list[Sample], x: Exchange) -> None:
    """Keeps what the register and the power meter say; not what comes late and is older than what is known."""
    late = transaction.step == "late" or x.action == "StopTransaction"
    for sample in samples:
        role, value = sample.kind.role, sample.value
        if value is None or (role is not _MAIN and role is not _POWER):
            continue
        at = sample.time_ns if sample.time_ns is not None else x.asked_ns
        if role is _POWER:
            if not late:
                transaction.power.append((at, value))
            continue
        if not late or not transaction.energy or at >= transaction.energy[-1][0]:
            transaction.energy.append((at, value))
        if transaction.meter_start is None:
            transaction.meter_start = value


def _grouped(samples: list[Sample]) -> list[list[Sample]]:
    groups: dict[int, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.group, []).append(sample)
    return sorted(groups.values(), key=lambda group: group[0].time_ns or 0)


def _unit(sample: Sample) -> str:
    """The unit as it was meant, "" if that is not known."""
    return sample.sent_unit or ("Wh" if sample.kind.role in _REGISTERS else "")


def _starts(x: Exchange) -> bool:
    """Whether a 2.x transaction begins; perhaps with an id that another had."""
    return x.action == "TransactionEvent" and x.asked.data.get("eventType") == "Started"


def _is_history(x: Exchange) -> bool:
    """Whether a message may hold samples of any time of its transaction."""
    return (
        x.replayed or x.action == "StopTransaction"
        or (x.action == "TransactionEvent" and x.asked.data.get("eventType") == "Ended")
    )  # fmt: skip
