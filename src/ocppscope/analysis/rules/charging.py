"""Rules about charging profiles as they are sent: what is wrong with one before anybody charges by it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import ProfileSet, asked
from ocppscope.analysis.registry import SECOND, Group, Mute, amount, family, seconds
from ocppscope.analysis.state.charging import (
    MAX_PERIODS,
    STATION_MAX,
    TX,
    Installed,
    limit_of,
    meet,
    moment_of,
    profile_of,
)
from ocppscope.analysis.state.transactions import id_of

if TYPE_CHECKING:
    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.station import Exchange, Station

rule = family(Group.CHARGING)

_UNITS = {"a": "A", "w": "W", "current": "A", "power": "W"}
_NEVER_CHARGING = frozenset({"Available", "Preparing", "Reserved", "Unavailable", "Faulted"})
_BIGGEST = 1_000_000_000


def figure(value: float | None) -> str:
    """A number from the wire, short."""
    return f"{value:.6g}" if value is not None and -_BIGGEST < value < _BIGGEST else "a huge number"


def word(text: str) -> str:
    """An enum value from the wire: as it is if it looks like one, else quoted and cut."""
    return text if text.isascii() and text.isalnum() and len(text) <= 40 else f"{text[:40]!a}"


def place(station: Station, number: int) -> str:
    """A connector or EVSE by its number."""
    return f"{'EVSE' if station.is_2x else 'connector'} {figure(number)}" if number else "the whole station"


def _name(one: Installed) -> str:
    return f"{word(one.purpose) if one.purpose else 'profile'} for {place(one.exchange.station, one.number)}"


# --- faults that a profile may have: a phrase each, "" if it has not ------------------------------------------------


def _stack_fault(one: Installed) -> str:
    known = one.exchange.station.configuration
    most = known.number("ChargeProfileMaxStackLevel", "SmartChargingCtrlr.ProfileStackLevel")
    if most is None or one.stack is None or not one.stack > most:
        return ""
    return f"its stack level is {figure(one.stack)}, and the station takes at most {figure(most)}"


def _unit_fault(one: Installed) -> str:
    known = one.exchange.station.configuration
    allowed = known.text("ChargingScheduleAllowedChargingRateUnit", "SmartChargingCtrlr.RateUnit")
    units = {_UNITS[name] for name in re.findall(r"[a-z]+", allowed[:200].lower()) if name in _UNITS}
    sent = {schedule.text("chargingRateUnit") for schedule in one.schedules} & {"A", "W"}
    return f"it is in {min(sent - units)}, and the station takes {min(units)} only" if units and sent - units else ""


def _period_fault(one: Installed) -> str:
    for schedule in one.schedules:
        starts = [period.number("startPeriod") for period in schedule.tables("chargingSchedulePeriod")[:MAX_PERIODS]]
        known = [start for start in starts if start is not None]
        if known and len(known) == len(starts) and known[0] != 0:
            return f"its first period starts at {figure(known[0])} s and not at 0"
        if any(later <= earlier for earlier, later in pairwise(known)):
            return "its periods do not follow each other in time"
    return ""


def _start_fault(one: Installed) -> str:
    schedule = one.schedules[0] if one.schedules else None
    if schedule is None:
        return ""
    if one.kind == "Relative" and "startSchedule" in schedule:
        return "it is Relative and has a startSchedule nevertheless"
    if one.kind in ("Absolute", "Recurring") and "startSchedule" not in schedule:
        return f"it is {one.kind} and has no startSchedule"
    return "it is Recurring and has no recurrencyKind" if one.kind == "Recurring" and not _recurs(one) else ""


def _recurs(one: Installed) -> bool:
    return bool(one.profile.text("recurrencyKind"))


def _place_fault(one: Installed) -> str:
    if one.purpose not in STATION_MAX or one.exchange.action != "SetChargingProfile":
        return ""
    if one.number:
        return f"it is a {one.purpose} and was set on {place(one.exchange.station, one.number)} instead of 0"
    return f"it is a {one.purpose} and Relative" if one.kind == "Relative" and one.exchange.station.is_2x else ""


def _expiry_fault(one: Installed) -> str:
    clock_ns = one.exchange.station.clock.station_time(one.set_ns)
    if one.to_ns is not None and one.to_ns <= clock_ns:
        return f"its validTo was {_span(clock_ns - one.to_ns)} ago"
    schedule = one.schedule
    if schedule is None or schedule.starts_ns is None or schedule.duration_ns is None or one.kind != "Absolute":
        return ""
    over = clock_ns - schedule.starts_ns - schedule.duration_ns
    return f"its schedule ended {_span(over)} ago" if over >= 0 else ""


def _span(span_ns: int) -> str:
    return f"{span_ns / SECOND:.0f} s" if span_ns < 7200 * SECOND else f"{span_ns / SECOND / 3600:.1f} h"


def _transaction_fault(x: Exchange) -> str:
    """What keeps a TxProfile from having a transaction, as far as the capture is sure of it."""
    profile, known = profile_of(x), x.station.transactions
    number = (x.asked.whole("evseId") if "evseId" in x.asked else x.asked.whole("connectorId")) or 0
    if not number:
        return "is for connector 0, where no transaction can be" if not x.station.is_2x else "names no EVSE"
    id_ = id_of(profile.data.get("transactionId"))
    if x.station.is_2x and not id_:
        return "names no transaction"
    there, last = known.open_at(number), known.last_at(number)
    if there is not None:
        if id_ and there.id and id_ != there.id:
            return f"names transaction {word(id_)}, but {word(there.id)} runs on {place(x.station, number)}"
        return ""
    if last is not None and x.asked_ns - (last.stopped_ns or 0) < _JUST_NS:
        return ""
    idle = [one for one in x.station.connectors.on_evse(number) if one.place[0] == number]
    if last is not None or (idle and all(one.status in _NEVER_CHARGING for one in idle)):
        return f"came while no transaction ran on {place(x.station, number)}"
    return ""


_JUST_NS = 5 * SECOND
"""A profile that crosses the end of its transaction is nobody's fault."""


def _faults(one: Installed) -> list[str]:
    found = [
        check(one) for check in (_stack_fault, _unit_fault, _period_fault, _start_fault, _place_fault, _expiry_fault)
    ]
    if one.purpose == TX and one.exchange.action == "SetChargingProfile":
        fault = _transaction_fault(one.exchange)
        found.append(f"it {fault}" if fault else "")
    return [fault for fault in found if fault]


# --- rules --------------------------------------------------------------------------------------------------------


@rule(
    "profile-rejected",
    on=ProfileSet,
    severity=WARNING,
    title="A charging profile was refused",
    advice="Mend what is named here. If nothing is: look whether smart charging is switched off in the station, or "
    "left to a local load management.",
    spec="1.6 §5.16; 2.0.1 K01",
)
def profile_rejected(what: ProfileSet, case: Case) -> None:
    """A profile is answered with anything but Accepted; of a remote start only if the profile may be the reason."""
    one, x = what.installed, what.exchange
    if one.accepted or not (x.error or x.status):
        return
    faults, reason = _faults(one), x.answered.table("statusInfo").text("reasonCode")[:40]
    likely = f" A likely reason: {', and '.join(faults)}." if faults else ""
    if x.action != "SetChargingProfile" and not faults and "profile" not in reason.lower():
        return
    answer = f"the error {word(x.error)}" if x.error else word(x.status)
    case.find(
        f"A {_name(one)} was answered with {answer}.{likely}",
        x, blame=Blame.CSMS if faults else Blame.STATION, key=(one.purpose[:40], answer),
        measured={"reason": reason} if reason else None,
    )  # fmt: skip


@rule(
    "profile-stack-too-high",
    on=ProfileSet,
    severity=ERROR,
    blame=Blame.CSMS,
    title="The stack level of a profile is higher than the station takes",
    advice="Send a lower stackLevel; the station names its highest one in ChargeProfileMaxStackLevel "
    "(2.x: ProfileStackLevel).",
    spec="1.6 §9.4.1; 2.0.1 K01",
)
def profile_stack_too_high(what: ProfileSet, case: Case) -> None:
    """stackLevel is above the highest one that the station was heard to name."""
    fault = _stack_fault(what.installed)
    if fault:
        case.find(f"A {_name(what.installed)} does not fit: {fault}.", what.exchange)


@rule(
    "profile-unit-unsupported",
    on=ProfileSet,
    severity=ERROR,
    blame=Blame.CSMS,
    title="A profile is in a unit that the station does not take",
    advice="Convert the limits: amperes count for each phase, watts for all phases together.",
    spec="1.6 §9.4.2; 2.0.1 K01.FR.26",
)
def profile_unit_unsupported(what: ProfileSet, case: Case) -> None:
    """chargingRateUnit is not among the units that the station was heard to name."""
    fault = _unit_fault(what.installed)
    if fault:
        case.find(f"A {_name(what.installed)} does not fit: {fault}.", what.exchange)


@rule(
    "profile-tx-without-transaction",
    on=asked("SetChargingProfile"),
    severity=ERROR,
    blame=Blame.CSMS,
    title="A TxProfile was sent where there is no such transaction",
    advice="Send it after the transaction has begun and with its id, or use a TxDefaultProfile instead.",
    spec="1.6 §3.13.1, §5.16.4; 2.0.1 K01.FR.03, K01.FR.09, K01.FR.16, K01.FR.33",
)
def profile_tx_without_transaction(x: Exchange, case: Case) -> None:
    """A TxProfile has no running transaction on its connector, names another or (2.x) none, or is for connector 0.

    In 1.6 a transactionId may be left out; that is a note.
    """
    profile = profile_of(x)
    if profile.text("chargingProfilePurpose") != TX:
        return
    fault = _transaction_fault(x)
    if fault:
        case.find(f"A TxProfile {fault}.", x)
    elif profile.data.get("transactionId") is None:
        case.find("A TxProfile has no transactionId; it holds for whatever runs there.", x, severity=NOTE, key="id")


@rule(
    "profile-remote-start-invalid",
    on=asked("RemoteStartTransaction", "RequestStartTransaction"),
    severity=WARNING,
    priority=2,
    blame=Blame.CSMS,
    title="A remote start carries a profile that it may not carry",
    advice="Only a TxProfile without a transactionId may come with a remote start. Others need SetChargingProfile.",
    spec="1.6 §5.16.2; 2.0.1 K05.FR.02",
)
def profile_remote_start_invalid(x: Exchange, case: Case) -> None:
    """The profile of a remote start is no TxProfile, or names a transaction."""
    profile = profile_of(x)
    purpose = profile.text("chargingProfilePurpose")
    if purpose and purpose != TX:
        case.find(f"{x.action} came with a {word(purpose)}; only a TxProfile may.", x)
    elif profile.data.get("transactionId") is not None:
        case.find(f"{x.action} came with a profile for a transaction that cannot have an id yet.", x, key="id")


@rule(
    "profile-max-on-connector",
    on=ProfileSet,
    severity=WARNING,
    priority=2,
    blame=Blame.CSMS,
    title="A limit for the whole station was set in a way that it cannot be",
    advice="Set it on connector (EVSE) 0, and in 2.x with absolute times. For one connector use a TxDefaultProfile.",
    spec="1.6 §3.13.1; 2.0.1 K01.FR.38",
)
def profile_max_on_connector(what: ProfileSet, case: Case) -> None:
    """ChargePointMaxProfile or ChargingStationMaxProfile is set on a single connector, or (2.x) is Relative."""
    fault = _place_fault(what.installed)
    if fault:
        case.find(f"A profile cannot be used as it is: {fault}.", what.exchange)


@rule(
    "profile-first-period",
    on=ProfileSet,
    severity=ERROR,
    blame=Blame.CSMS,
    title="The periods of a profile are not in order",
    advice="The first startPeriod has to be 0, each later one greater than the one before, all less than duration.",
    spec="1.6 §5.16.4; 2.0.1 K01.FR.31, K01.FR.35",
)
def profile_first_period(what: ProfileSet, case: Case) -> None:
    """The first startPeriod is not 0, or they do not ascend; a note if one begins after the schedule has ended."""
    one = what.installed
    fault, schedule = _period_fault(one), one.schedule
    if fault:
        case.find(f"A {_name(one)} has a broken schedule: {fault}.", what.exchange)
    elif schedule is not None and schedule.duration_ns is not None:
        last = schedule.periods[-1].start_ns
        if last and last >= schedule.duration_ns:
            case.find(
                f"A {_name(one)} has a period from {_span(last)} on, but ends after {_span(schedule.duration_ns)}.",
                what.exchange, severity=NOTE, key="duration",
            )  # fmt: skip


@rule(
    "profile-start-schedule",
    on=ProfileSet,
    severity=WARNING,
    blame=Blame.CSMS,
    title="It is not clear when a profile starts",
    advice="Absolute and Recurring profiles need startSchedule (and recurrencyKind), Relative ones must not have it. "
    "Stations differ in what they make of others.",
    spec="2.0.1 K01.FR.40, K01.FR.41; 1.6 §7.13",
)
def profile_start_schedule(what: ProfileSet, case: Case) -> None:
    """Absolute or Recurring without startSchedule, Relative with it, or Recurring without recurrencyKind."""
    fault = _start_fault(what.installed)
    if fault:
        case.find(f"A {_name(what.installed)} leaves its start open: {fault}.", what.exchange, key=fault)


@rule(
    "profile-not-yet-active",
    on=ProfileSet,
    severity=WARNING,
    title="An accepted profile is not in force yet",
    advice="Compare the clocks of station and CSMS. Let the profile start a minute in the past; leave validFrom out.",
    spec="1.6 §5.16.4, §3.13.2; 2.0.1 K01",
    limits={
        "late": seconds(10, "how far ahead the start may lie by the station's clock"),
        "meant": seconds(5, "how far ahead it may lie by the clock of the CSMS and still be meant for now"),
    },
)
def profile_not_yet_active(what: ProfileSet, case: Case) -> None:
    """A profile starts later than the station's clock shows, and was meant for now or replaces one in force."""
    one, station, now = what.installed, what.station, what.time_ns
    starts = one.schedule.starts_ns if one.schedule is not None and one.kind != "Relative" else None
    start = max((at for at in (one.from_ns, starts) if at is not None), default=None)
    ahead = 0 if start is None else start - station.clock.station_time(now)
    if not one.accepted or start is None or ahead <= case["late"]:
        return
    lost = [old for old in station.charging.ended_at(now) if limit_of(old, moment_of(station, old.number, now))]
    if station.clock.skew_ns is not None and start <= now + (station.clock.csms_skew_ns or 0) + case["meant"]:
        case.find(
            f"A {_name(one)} is to start now, but the station's clock gets there in {_span(ahead)} only.",
            what.exchange, blame=Blame.STATION, key="clock",
        )  # fmt: skip
    elif lost:
        case.find(
            f"A {_name(one)} took the place of one in force and starts in {_span(ahead)}; until then neither limits.",
            what.exchange, blame=Blame.CSMS, key="gap",
        )  # fmt: skip


@rule(
    "profile-expired",
    on=ProfileSet,
    severity=WARNING,
    title="A profile was over before it came",
    advice="Compare the clocks of station and CSMS, then look at validTo, startSchedule and duration.",
    spec="2.0.1 K01.FR.37; 1.6 §3.13",
)
def profile_expired(what: ProfileSet, case: Case) -> None:
    """validTo, or startSchedule and duration, lie in the past by the station's clock."""
    fault = _expiry_fault(what.installed)
    if fault:
        skew = what.station.clock.skew_ns or 0
        blame = Blame.STATION if abs(skew) > 60 * SECOND else Blame.CSMS
        taken = "was accepted" if what.installed.accepted else "was sent"
        case.find(f"A {_name(what.installed)} {taken} but has no effect: {fault}.", what.exchange, blame=blame)


@rule(
    "profile-too-many-periods",
    on=ProfileSet,
    severity=WARNING,
    priority=3,
    blame=Blame.CSMS,
    title="A profile has more periods than the station takes",
    advice="Send the next hours only and renew them, or merge periods with the same limit.",
    spec="1.6 §9.4.3, §9.4.5",
)
def profile_too_many_periods(what: ProfileSet, case: Case) -> None:
    """A schedule has more periods, or more profiles are installed, than the station was heard to name as its most."""
    one, known = what.installed, what.station.configuration
    most = known.number("ChargingScheduleMaxPeriods", "SmartChargingCtrlr.PeriodsPerSchedule")
    periods = max((len(schedule.tables("chargingSchedulePeriod")) for schedule in one.schedules), default=0)
    if most is not None and periods > most:
        case.find(f"A {_name(one)} has {periods} periods; the station takes {figure(most)}.", what.exchange)
    room = known.number("MaxChargingProfilesInstalled")
    count = len(what.station.charging.installed)
    if room is not None and count > room:
        case.find(
            f"{count} profiles are installed; the station takes {figure(room)}.", what.exchange, key="installed"
        )


@rule(
    "profile-duplicate-stack",
    on=ProfileSet,
    severity=NOTE,
    priority=2,
    blame=Blame.CSMS,
    title="Two profiles share purpose and stack level",
    advice="Update a profile under the id that it has. In 1.6 the older one is gone without a word; 2.x may refuse.",
    spec="1.6 §3.13.2; 2.0.1 K01.FR.05, K01.FR.06, K01.FR.39",
)
def profile_duplicate_stack(what: ProfileSet, case: Case) -> None:
    """A profile with a new id has purpose, stack level and connector of an installed one. 2.x: a warning, if their
    times of validity meet."""
    one, station = what.installed, what.station
    known = station.charging.ended_at(what.time_ns) if one.accepted else list(station.charging.installed)
    if one.remote or one.id is None or not (one.accepted or station.is_2x):
        return
    for old in known:
        if old.id in (None, one.id) or old.transaction != one.transaction or not meet(one, old):
            continue
        if (old.number, old.purpose, old.stack) == (one.number, one.purpose, one.stack):
            case.find(
                f"A {_name(one)} on stack level {figure(one.stack)} came under a new id while another one was there.",
                what.exchange, severity=WARNING if station.is_2x else NOTE,
            )  # fmt: skip
            return


@rule(
    "profile-limit-below-6a",
    on=ProfileSet,
    severity=NOTE,
    priority=3,
    blame=Blame.CSMS,
    title="A limit is lower than what a car can charge with",
    advice="Use 0 to pause, or at least 6 A for each phase; with less a car stops charging.",
    spec="IEC 61851-1",
    limits={
        "amps": amount(6, "A", "least current of a phase"),
        "watts": amount(1380, "W", "least power of a phase"),
    },
)
def profile_limit_below_6a(what: ProfileSet, case: Case) -> None:
    """A period has a limit above 0 and below 6 A, or below 1380 W for each of its phases."""
    schedule = what.installed.schedule
    if schedule is None:
        return
    for period in schedule.periods:
        least = case["amps"] if schedule.unit == "A" else case["watts"] * (period.phases or 1)
        if 0 < period.limit < least:
            name, unit = _name(what.installed), schedule.unit
            text = f"A {name} allows {figure(period.limit)} {unit}; a car needs {figure(least)} {unit}."
            case.find(text, what.exchange)
            return


@rule(
    "profile-w-without-phases",
    on=ProfileSet,
    severity=NOTE,
    priority=2,
    blame=Blame.CSMS,
    title="A limit in watts does not say for how many phases",
    advice="State numberPhases. Without it an AC station reckons with three, and a car on one phase gets a third.",
    spec="1.6 §7.12",
    mute=Mute.NEVER,
)
def profile_w_without_phases(what: ProfileSet, case: Case) -> None:
    """A period in W, above 0, has no numberPhases."""
    schedule = what.installed.schedule
    if schedule is None or schedule.unit != "W":
        return
    limit = next((one.limit for one in schedule.periods if one.limit > 0 and one.phases is None), None)
    if limit is not None:
        amps = figure(round(limit / 690, 1))
        case.find(
            f"A {_name(what.installed)} allows {figure(limit)} W without phases: {amps} A on each of three.",
            what.exchange,
        )
