"""Rules about energy: registers that do not grow as they should, and what a transaction begins and ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import TransactionStarted, TransactionStopped
from ocppscope.analysis.registry import V16, Group, Mute, amount, family, seconds
from ocppscope.analysis.state.meters import (
    Disagreed,
    RegisterBegan,
    RegisterFell,
    Stood,
    Surged,
    UnitChanged,
)
from ocppscope.analysis.wording import quoted, span, spot

if TYPE_CHECKING:
    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Station

rule = family(Group.METERING)

_HOUR_NS = 3_600_000_000_000
_SLACK_NS = 30_000_000_000
_HUGE_WH = 1e12
MAX_DECIMALS = 6
"""Decimals of energy that a sentence shows."""


@rule(
    "meter-register-decrease",
    on=RegisterFell,
    severity=ERROR,
    blame=Blame.STATION,
    title="An energy register went down during a transaction",
    advice="Look whether the meter restarted, and whether session and lifetime registers or units are mixed. The "
    "energy of this transaction cannot be billed from these values.",
    spec="1.6 §7.31; 2.0.1 J02.FR.16",
    limits={"fall": amount(1, "Wh", "decrease, beyond the last decimal place sent, that is a fault")},
)
def meter_register_decrease(what: RegisterFell, case: Case) -> None:
    """A later sample of a register of one transaction, phase and location is lower by over `fall`.

    Samples of the context Transaction.Begin, and old ones that come late, are not compared.
    """
    before, now = what.before.value or 0.0, what.sample.value or 0.0
    fall, (high, low) = before - now, _apart(before, now)
    if fall > max(case["fall"], what.before.resolution, what.sample.resolution):
        case.find(
            f"The register of {_at(what)} fell by {_energy(fall)}, from {high} to {low}, within a transaction.",
            what, key=what.transaction.place[0], measured={"measurand": what.sample.measurand[:60]},
        )  # fmt: skip


@rule(
    "meter-stop-below-start",
    on=TransactionStopped,
    severity=ERROR,
    versions=V16,
    blame=Blame.STATION,
    title="A transaction ended with a lower register than it began with",
    advice="The energy of this transaction is negative. Check how the station reads its meter at the stop, and "
    "correct the session by its meter values.",
    spec="1.6 §7.31",
)
def meter_stop_below_start(what: TransactionStopped, case: Case) -> None:
    """meterStop is less than meterStart."""
    one = what.transaction
    start, stop = one.meter_start, one.meter_stop
    if one.start is not None and start is not None and stop is not None and stop < start:
        high, low = _apart(start, stop)
        case.find(
            f"The transaction on {_at(what)} began at {high} and ended at {low}: "
            f"its energy is {_energy(stop - start)}.",
            what, key=one.place[0], refs=(*one.start.refs[:1], *what.refs),
        )  # fmt: skip


@rule(
    "meter-stop-unknown",
    on=(TransactionStarted, TransactionStopped),
    severity=WARNING,
    priority=2,
    versions=V16,
    blame=Blame.STATION,
    title="The register at the start or stop of a transaction is a placeholder",
    advice="The station could not read its meter at that moment. Bill by the last meter value, and look at the "
    "connection between controller and meter.",
    spec="1.6 §6.45, §6.49",
)
def meter_stop_unknown(what: TransactionStarted | TransactionStopped, case: Case) -> None:
    """meterStart or meterStop is negative, or meterStop is 0 though the register showed more before."""
    one = what.transaction
    stopped = isinstance(what, TransactionStopped)
    value = one.meter_stop if stopped else one.meter_start
    if value is None or value > 0:
        return
    last = one.meter.last_register
    seen = max(one.meter_start or 0.0, (last.last.value or 0.0) if last is not None else 0.0)
    if value < 0 or (stopped and seen > 0):
        known = f" The register had shown {_energy(seen)}." if seen > 0 else ""
        name = "meterStop" if stopped else "meterStart"
        case.find(f"{name} is {value:.0f} on {_at(what)}.{known}", what, key=one.place[0])


@rule(
    "meter-begin-zero",
    on=(RegisterBegan, TransactionStopped),
    severity=ERROR,
    blame=Blame.STATION,
    title="A transaction begins at 0 Wh and goes on with the meter's lifetime register",
    advice="The first value is a placeholder. Whoever takes it for the register bills the meter's whole life: "
    "take the first meter value as the start, and have the station send the register it reads.",
    spec="2.0.1 J02.FR.17; 1.6 §7.31",
    limits={
        "register": amount(100_000, "Wh", "register after a 0 that no session reaches at once"),
        "power": amount(1_000_000, "W", "mean power from start to stop that nothing charges with"),
    },
)
def meter_begin_zero(what: RegisterBegan | TransactionStopped, case: Case) -> None:
    """The register is 0 at the start of a transaction, and its next sample is `register` or more.

    Without a sample between them the same of the stop, if the mean power would be over `power`.
    """
    one = what.transaction
    if one.start is None or (one.meter_start != 0 and one.meter.begin_wh != 0):
        return
    if isinstance(what, RegisterBegan):
        value = what.sample.value or 0.0
    elif one.meter.last_register is None and one.meter_stop and (one.duration_ns or 0) > 0:
        value = one.meter_stop
        if value * _HOUR_NS / (one.duration_ns or 1) < case["power"]:
            return
    else:
        return
    if value >= case["register"]:
        case.find(
            f"The transaction on {_at(what)} began at 0 Wh, and the next value of the register is {_energy(value)}.",
            what, key=one.place[0], refs=(*one.start.refs[:1], *what.refs),
        )  # fmt: skip


@rule(
    "meter-unit-suspect",
    on=Disagreed,
    severity=ERROR,
    blame=Blame.STATION,
    title="Energy and power are a thousand times apart",
    advice="One of them has the wrong unit: kWh sent as Wh, or kW as W, or the reverse. Compare with what the "
    "station's display says, and scale that measurand until the station is mended.",
    spec="1.6 §7.45",
    limits={
        "tolerance": amount(20, "%", "deviation from a factor of 1000 or 0.001"),
        "energy": amount(500, "Wh", "energy, by the larger of both, from which it is judged"),
        "samples": amount(3, "samples", "of register and power from which it is judged"),
        "time": seconds(60, "between the first and the last of them from which it is judged"),
    },
)
def meter_unit_suspect(what: Disagreed, case: Case) -> None:
    """The register grows 1000 times as much, or 0.001 times as much, as power over the same time."""
    grown, expected = what.register_wh, what.power_wh
    if what.samples < case["samples"] or what.over_ns < case["time"] or max(grown, expected) < case["energy"]:
        return
    if not grown or not expected:
        return
    ratio = grown / expected
    if min(abs(ratio / 1000 - 1), abs(ratio * 1000 - 1)) <= case["tolerance"] / 100:
        what_is = "1000 times" if ratio > 1 else "a thousandth of"
        case.find(
            f"On {_at(what)} the register grew by {_energy(grown)}, about {what_is} what the "
            f"power of the same time gives, {_energy(expected)} in {what.samples} samples.",
            what, key=what.transaction.place[0],
        )  # fmt: skip


@rule(
    "meter-unit-changes",
    on=UnitChanged,
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="A measurand changes its unit during a transaction",
    advice="Receivers that keep the first unit are wrong by a thousand afterwards. Scale each value by its own unit, "
    "and have the station keep to one.",
    spec="1.6 §7.43",
)
def meter_unit_changes(what: UnitChanged, case: Case) -> None:
    """Two samples of one measurand, phase and location of a transaction have different units.

    Energy without a unit is Wh; other values without a unit are not compared.
    """
    before, now = what.before.sent_unit or "none, which is Wh", what.sample.sent_unit or "none, which is Wh"
    case.find(
        f"On {_at(what)} {quoted(what.sample.measurand)} changed its unit from "
        f"{quoted(before)} to {quoted(now)} within a transaction.",
        what, key=(what.transaction.place[0], what.sample.measurand[:60]),
    )  # fmt: skip


@rule(
    "meter-session-register",
    on=TransactionStarted,
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="The register begins at 0 in each transaction",
    advice="The station sends the energy of the session instead of the meter's register. It can be billed, but "
    "energy that flowed outside transactions, and lost transactions, do not show.",
    spec="1.6 §7.31; 2.0.1 J02.FR.17",
    limits={"energy": amount(100, "Wh", "energy of the transaction before, from which a 0 is no coincidence")},
)
def meter_session_register(what: TransactionStarted, case: Case) -> None:
    """Two transactions of a connector in a row begin at 0, and the first had `energy` or more."""
    one, before = what.transaction, _before(what.station, what.transaction)
    if before is None or one.meter_start != 0 or before.meter_start != 0 or before.start is None:
        return
    if (before.meter_stop or 0.0) >= case["energy"]:
        case.find(
            f"The transaction on {_at(what)} begins at 0 Wh, like the one before it, which ended at "
            f"{_energy(before.meter_stop or 0.0)}.",
            what, key=one.place[0],
        )  # fmt: skip


@rule(
    "meter-gap-between-tx",
    on=TransactionStarted,
    severity=WARNING,
    blame=Blame.STATION,
    title="The register moved between two transactions",
    advice="Energy flowed that no transaction has: look for a lost transaction, a contactor that opens late, or free "
    "charging. If it went down, the meter was exchanged or restarted.",
    spec="1.6 §7.31",
    limits={
        "energy": amount(100, "Wh", "difference that is borne"),
        "share": amount(1, "%", "of the energy of the transaction before, that is borne"),
        "fall": amount(10, "Wh", "decrease that is borne"),
        "idle": amount(20, "W", "what the station itself may draw through the meter"),
    },
    mute=Mute.GAP | Mute.MIDSTREAM,
)
def meter_gap_between_tx(what: TransactionStarted, case: Case) -> None:
    """A transaction begins with another register than the one before it on its connector ended with.

    It may have grown by the largest of `energy`, `share` and `idle` over the time between. Registers that begin at 0
    in each transaction, and a meter that other connectors share, are left out.
    """
    one, before = what.transaction, _before(what.station, what.transaction)
    if before is None or not _has_ends(before, one) or before.meter_stop is None or one.meter_start is None:
        return
    moved = one.meter_start - before.meter_stop
    idle_ns = (one.started_ns or 0) - (before.stopped_ns or 0)
    if one.start_stamp_ns is not None and before.stop_stamp_ns is not None:
        idle_ns = max(idle_ns, one.start_stamp_ns - before.stop_stamp_ns)
    borne = max(case["energy"], abs(before.energy_wh or 0.0) * case["share"] / 100, case["idle"] * idle_ns / _HOUR_NS)
    if moved > borne or moved < -case["fall"]:
        ended, began = _apart(before.meter_stop, one.meter_start)
        case.find(
            f"On {_at(what)} a transaction ended at {ended} and the next began at {began}: "
            f"{_energy(moved)} in between.",
            what, key=(one.place[0], moved > 0),
            refs=(*(before.stop.refs[:1] if before.stop is not None else ()), *what.refs),
        )  # fmt: skip


@rule(
    "meter-vs-stop-mismatch",
    on=TransactionStopped,
    severity=WARNING,
    priority=2,
    versions=V16,
    blame=Blame.STATION,
    title="meterStop does not fit the meter values",
    advice="The station takes both from different places. Find out which one its meter shows before you bill.",
    spec="1.6 §6.49, §7.31",
    limits={
        "below": amount(10, "Wh", "by which meterStop may be below the last register"),
        "factor": amount(1.2, "times", "the highest power since the last register that is believed"),
        "power": amount(22_000, "W", "power that is believed if a lower one was reported"),
        "unknown": amount(400_000, "W", "power that is believed if none was reported"),
    },
)
def meter_vs_stop_mismatch(what: TransactionStopped, case: Case) -> None:
    """meterStop is below the last register of the transaction, or further above it than power could bring it."""
    one, series = what.transaction, what.transaction.meter.last_register
    if series is None or series.last.value is None or one.meter_stop is None or one.meter_stop <= 0:
        return
    last, slack = series.last.value, case["below"] + series.last.resolution
    at = one.stop_stamp_ns if one.stop_stamp_ns is not None else what.time_ns
    power = case["factor"] * max(one.meter.power_max, case["power" if one.meter.power_max > 0 else "unknown"])
    most = last + slack + power * (max(0, at - series.at_ns) + _SLACK_NS) / _HOUR_NS
    if one.meter_stop < last - slack or one.meter_stop > most:
        stopped, sampled = _apart(one.meter_stop, last)
        case.find(
            f"meterStop on {_at(what)} is {stopped}, but the last meter value of the transaction was {sampled}.",
            what, key=one.place[0],
        )  # fmt: skip


@rule(
    "meter-energy-jump",
    on=Surged,
    severity=ERROR,
    blame=Blame.STATION,
    title="The register jumped by more than the station can deliver",
    advice="One of the values is corrupt, or has another scale. Leave it out of the bill and look at the meter's "
    "connection.",
    spec="1.6 §7.31",
    limits={
        "factor": amount(1.25, "times", "the highest power that is believed"),
        "ac": amount(22_000, "W", "power of an AC station that is believed without being reported"),
        "dc": amount(400_000, "W", "power of any other station that is believed without being reported"),
    },
)
def meter_energy_jump(what: Surged, case: Case) -> None:
    """Between two samples the register grew faster than `factor` times the power reported, offered or usual."""
    power = what.energy_wh * _HOUR_NS / what.over_ns
    believed = max(what.power_w, case["ac"] if what.alternating else case["dc"])
    if power > case["factor"] * believed:
        case.find(
            f"The register of {_at(what)} grew by {_energy(what.energy_wh)} in "
            f"{what.over_ns / 1e9:.0f} s: that is {power / 1000:.0f} kW, where {believed / 1000:.0f} kW is the most.",
            what, key=what.transaction.place[0],
        )  # fmt: skip


@rule(
    "meter-frozen",
    on=Stood,
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="The register stands still while power flows",
    advice="The station has lost its meter and repeats the last value, or rounds it: this energy will be missing, or "
    "come in one leap. Restart the station, then look at the wiring of the meter.",
    spec="1.6 §7.31",
    limits={
        "time": seconds(300, "time without a change"),
        "power": amount(500, "W", "power that flows at least"),
        "samples": amount(3, "samples", "with the same value"),
    },
)
def meter_frozen(what: Stood, case: Case) -> None:
    """`samples` in a row over `time` show the same register, while over `power` flows, more than it rounds away."""
    if what.samples < case["samples"] or what.over_ns < case["time"] or what.power_w <= case["power"]:
        return
    if what.expected_wh > what.resolution:
        case.find(
            f"The register of {_at(what)} has not changed in {what.samples} samples over {span(what.over_ns)}, while "
            f"at least {what.power_w:.0f} W flowed.",
            what, key=what.transaction.place[0],
        )  # fmt: skip


def _before(station: Station, transaction: Transaction) -> Transaction | None:
    """The one before on the same connector."""
    found = None
    for one in station.transactions.latest:
        if one is transaction:
            return found
        if one.place[0] == transaction.place[0] and one.place[0]:
            found = one
    return None


def _has_ends(before: Transaction, one: Transaction) -> bool:
    """Whether one follows the other, and both have registers of the very end and beginning."""
    if before.superseded or before.stopped_ns is None or before.stop is None or one.start is None:
        return False
    if one.meter_start == 0 and (before.meter_start == 0 or before.meter_start is None):
        return False  # the register of a session
    if (before.meter_stop or 0) <= 0 or (one.meter_start or 0) < 0:
        return False  # placeholders
    if one.start.action == "StartTransaction":
        return not _shares(before, one)
    stop, start = before.stop_stamp_ns, one.start_stamp_ns
    if not before.energy or not one.energy or stop is None or start is None:
        return False
    near = abs(before.energy[-1][0] - stop) <= _SLACK_NS and abs(one.energy[0][0] - start) <= _SLACK_NS
    return near and not _shares(before, one)


def _shares(before: Transaction, one: Transaction) -> bool:
    """Whether a transaction of another connector in between has a register in between: they have one meter."""
    if one.start is None:
        return False
    low, high = before.meter_stop or 0.0, one.meter_start or 0.0
    return any(
        other.place[0] != one.place[0] and other.meter_start is not None and low <= other.meter_start <= high
        for other in one.start.station.transactions.latest
    )


def _at(what: Any) -> str:
    """Where, of anything about a transaction."""
    return spot(what.station, what.transaction.place[0])


def _energy(wh: float) -> str:
    if abs(wh) >= _HUGE_WH:
        return f"{wh:.3g} Wh"
    if abs(wh) >= 10_000:
        return f"{wh / 1000:,.1f} kWh"
    return f"{wh:,.0f} Wh" if abs(wh) >= 1000 else f"{round(wh, 3):.4g} Wh"


def _apart(one: float, other: float) -> tuple[str, str]:
    """Two quantities of energy, with as many decimals as show a tenth of what lies between them."""
    if max(abs(one), abs(other)) >= _HUGE_WH:
        return _energy(one), _energy(other)
    scale, unit = (1000, "kWh") if max(abs(one), abs(other)) >= 10_000 else (1, "Wh")
    known = range(scale > 1, MAX_DECIMALS)
    shown = next((n for n in known if 10 ** (1 - n) <= abs(one - other) / scale), MAX_DECIMALS)
    return f"{one / scale:,.{shown}f} {unit}", f"{other / scale:,.{shown}f} {unit}"
