"""Rules about meter values: whether they come, belong to a transaction, and can be read."""

from __future__ import annotations

import re
from math import gcd
from typing import TYPE_CHECKING, Any

from ocppscope.analysis.finding import NOTE, WARNING, Blame, Severity
from ocppscope.analysis.happenings import TransactionStarted
from ocppscope.analysis.registry import SECOND, V16, Group, Mute, amount, family, minutes, seconds
from ocppscope.analysis.state.clock import EARLIEST_NS
from ocppscope.analysis.state.meters import (
    Astray,
    ClockAligned,
    OnePhase,
    Repeated,
    SumDiffers,
    Unassigned,
    Unreadable,
)
from ocppscope.analysis.wording import quoted, span, spot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Station

rule = family(Group.METERING)


@rule(
    "meter-missing",
    on=TransactionStarted,
    severity=WARNING,
    blame=Blame.STATION,
    title="No meter values come during a transaction",
    advice="Read the sample interval and the list of measurands from the station: an interval of 0, or a list that "
    "was refused because of one name, gives no values at all.",
    spec="1.6 errata 3.15, §9.1.19; 2.0.1 J02.FR.11",
    limits={
        "times": amount(3, "intervals", "that go by without a meter value"),
        "unknown": minutes(15, "time without one, where the interval is not known"),
        "least": minutes(2, "time without one, however short the interval is"),
    },
    mute=Mute.GAP | Mute.REPLAY,
)
def meter_missing(what: TransactionStarted, case: Case) -> Iterator[int]:
    """A station that charges and is heard of sends no meter value of a transaction for `times` its interval."""
    one, station = what.transaction, what.station
    while one.was_accepted and one.is_open and not one.superseded:
        seen, link, since = one.samples, station.link, case.now
        interval = _interval(station)
        wait = case["unknown"] if interval is None else max(case["least"], int(case["times"] * interval * SECOND))
        yield wait
        if one.samples != seen or not one.is_open or one.superseded:
            continue
        heard = link is not None and link.open and station.link is link and (link.last_heard_ns[0] or 0) > since
        if heard and _charges(station, one, since + wait // 2):
            known = "" if interval is None else f" Its interval is {interval:.0f} s."
            case.find(
                f"The transaction on {_at(what)} had no meter value for {span(wait)}.{known}",
                what, key=one.place[0],
            )  # fmt: skip
            return


_SAMPLED = "MeterValueSampleInterval", "SampledDataCtrlr.TxUpdatedInterval"
_ALIGNED = "ClockAlignedDataInterval", "AlignedDataCtrlr.Interval"
_LONGEST = 86_400


def _interval(station: Station) -> float | None:
    """How often meter values are to come, seconds; None if it is not known, or never."""
    known = [station.configuration.number(*names) for names in (_SAMPLED, _ALIGNED)]
    return min((one for one in known if one is not None and 0 < one <= _LONGEST), default=None)


def _charges(station: Station, one: Transaction, since: int) -> bool:
    """Whether it has been charging since then, as far as that is known."""
    if one.charging_state:
        return one.charging_state == "Charging"
    connectors = station.connectors.on_evse(one.place[0])
    return all(known.status in ("Charging", "Occupied") for known in connectors) and all(
        known.since_ns <= since for known in connectors
    )


@rule(
    "meter-without-txid",
    on=Unassigned,
    severity=WARNING,
    versions=V16,
    blame=Blame.STATION,
    title="Meter values of a transaction do not name it",
    advice="A CSMS that goes by the transactionId cannot tell whose energy it is. Assign them by connector and time, "
    "and have the station send the id that it was given.",
    spec="1.6 §4.7, errata 3.16",
    limits={"settle": seconds(5, "time after the start was answered in which they may not know the id")},
    mute=Mute.GAP | Mute.MIDSTREAM | Mute.REPLAY,
)
def meter_without_txid(what: Unassigned, case: Case) -> None:
    """Periodic samples of a connector, taken during its transaction, come with no transactionId or with another."""
    one = what.transaction
    if one.superseded or one.start is None or one.start.done_ns is None:
        return
    if what.time_ns - one.start.done_ns < case["settle"] or what.samples[0].context != "Sample.Periodic":
        return
    stamp = what.samples[0].time_ns
    if stamp is not None and one.start_stamp_ns is not None and stamp < one.start_stamp_ns:
        return
    named = f"the transactionId {quoted(what.named)}" if what.named else "no transactionId"
    case.find(
        f"MeterValues of {_at(what)} came with {named}, while transaction "
        f"{quoted(one.id)} was going on there.",
        what, key=one.place[0],
    )  # fmt: skip


@rule(
    "meter-outside-window",
    on=Astray,
    severity=WARNING,
    blame=Blame.STATION,
    title="Meter values lie outside the transaction that they name",
    advice="Either the station's clock was set in between, or it files samples under the wrong transaction.",
    spec="2.0.1 J02.FR.10; 1.6 §4.7",
    limits={"slack": seconds(5, "by which a sample may be too early or too late")},
)
def meter_outside_window(what: Astray, case: Case) -> None:
    """A sample names a transaction and was taken before its start or after its stop, by the station's own times."""
    start = what.transaction.start_stamp_ns
    if abs(what.by_ns) <= case["slack"] or (start is not None and start < EARLIEST_NS):
        return
    where = "before the start" if what.by_ns < 0 else "after the stop"
    case.find(
        f"A meter value of {_at(what)} was taken {span(abs(what.by_ns))} {where} of the "
        f"transaction that it names.",
        what, key=(what.transaction.place[0], what.by_ns < 0),
    )  # fmt: skip


@rule(
    "meter-not-numeric",
    on=Unreadable,
    severity=WARNING,
    blame=Blame.STATION,
    title="A meter value is no plain number",
    advice="Receivers will drop it, or stop at it. It is how the firmware prints numbers: report it to the maker.",
    spec="1.6 §7.43",
)
def meter_not_numeric(what: Unreadable, case: Case) -> None:
    """A raw value is empty, NaN, has a decimal comma or is other text; a note if it has an exponent."""
    raw = what.sample.raw
    if not isinstance(raw, str):
        return  # the schema's problems tell of it
    how, severity = _written(raw)
    case.find(
        f"A value of {quoted(what.sample.measurand)} {how}.",
        what, severity=severity, key=(what.sample.measurand[:60], how if severity is NOTE else ""),
    )  # fmt: skip


def _at(what: Any) -> str:
    """Where, of anything about a transaction."""
    return spot(what.station, what.transaction.place[0])


def _written(raw: str) -> tuple[str, Severity]:
    if not raw.strip():
        return "is empty", WARNING
    if raw.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return "is not a number (NaN or infinity)", WARNING
    if re.fullmatch(r"[+-]?[0-9]*\.?[0-9]*[eE][+-]?[0-9]+", raw[:64]):
        return "is written with an exponent", NOTE
    if re.fullmatch(r"\s*[+-]?[0-9.]*,[0-9]+\s*", raw[:64]):
        return "has a decimal comma", WARNING
    return f"is text of {len(raw)} characters that is no number", WARNING


@rule(
    "meter-duplicate-measurand",
    on=Repeated,
    severity=WARNING,
    blame=Blame.STATION,
    title="A meter value holds the same measurand twice",
    advice="Receivers that keep the last of them may take the value of the transaction's begin for the present one. "
    "Go by the context, or leave the second measurand out of the station's list.",
    spec="1.6 §7.33",
)
def meter_duplicate_measurand(what: Repeated, case: Case) -> None:
    """One MeterValue has several samples of a measurand, phase, location and unit, whatever their context."""
    sample = what.sample
    where = f" of phase {quoted(sample.phase)}" if sample.phase else ""
    case.find(
        f"One meter value of {what.exchange.action} holds {quoted(sample.measurand)}{where} more than once.",
        what, key=(sample.measurand[:60], sample.phase[:20]),
    )  # fmt: skip


@rule(
    "meter-clock-misaligned",
    on=ClockAligned,
    severity=NOTE,
    priority=2,
    blame=Blame.STATION,
    title="Clock-aligned meter values are not aligned",
    advice="The station stamps them when it samples or sends. Round the times to the interval, or ask the maker.",
    spec="1.6 §9.1.2; 2.0.1 J01",
    limits={"slack": seconds(2, "deviation from a multiple of the interval")},
    mute=Mute.GAP,
)
def meter_clock_misaligned(what: ClockAligned, case: Case) -> None:
    """Samples of the context Sample.Clock lie off the multiples of the known ClockAlignedDataInterval since 00:00.

    Of intervals over a quarter of an hour only the quarter is checked, since midnight may be a local one.
    """
    interval = what.station.configuration.number(*_ALIGNED)
    if interval is None or not 1 <= interval <= _LONGEST:
        return
    period = gcd(int(interval), 900) * SECOND
    for sample in what.samples:
        if sample.context == "Sample.Clock" and sample.time_ns is not None:
            off = (sample.time_ns + period // 2) % period - period // 2
            if abs(off) > case["slack"]:
                case.find(
                    f"A clock-aligned meter value is stamped {abs(off) / 1e9:.0f} s off the interval of "
                    f"{interval:.0f} s.", what,
                )  # fmt: skip
                return


@rule(
    "meter-phase-imbalance",
    on=(OnePhase, SumDiffers),
    severity=NOTE,
    priority=2,
    title="The phases do not carry the same, or do not add up",
    advice="One phase alone is normal for a car or cable with one. If not, look for a blown fuse or a wrong phase "
    "rotation. Where sums differ, the station mixes phases and totals.",
    spec="1.6 §3.16.3",
    limits={
        "time": minutes(10, "time in which one phase alone carries current"),
        "share": amount(10, "%", "difference of the sum of the phases from the total"),
        "power": amount(100, "W", "difference from which it matters"),
        "times": amount(3, "samples", "in a row with such a difference"),
    },
)
def meter_phase_imbalance(what: OnePhase | SumDiffers, case: Case) -> None:
    """One of three reported phases carries over 1 A for `time`, or the phases' power is not the total."""
    place = what.transaction.place[0]
    where = spot(what.station, place)
    if isinstance(what, OnePhase):
        if what.over_ns >= case["time"] > what.over_ns - what.step_ns:
            case.find(
                f"On {where} only phase {quoted(what.phase)} carried current for "
                f"{span(what.over_ns)}.",
                what, key=(place, "phase"),
            )  # fmt: skip
        return
    differs = abs(what.total_w - what.sum_w)
    if what.times >= case["times"] and differs > max(case["power"], case["share"] / 100 * abs(what.total_w)):
        case.find(
            f"On {where} the phases add up to {what.sum_w:.0f} W, and the total is {what.total_w:.0f} W.",
            what, key=(place, "sum"),
        )  # fmt: skip
