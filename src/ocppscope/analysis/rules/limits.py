"""Rules about charging profiles in force: what they limit, against what the meter says."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from ocppscope.analysis.finding import ERROR, NOTE, WARNING, Blame
from ocppscope.analysis.happenings import SampledToCompare, StatusChanged, TransactionUpdatedOddly, answered, asked
from ocppscope.analysis.registry import SECOND, Group, Mute, amount, family, minutes, seconds
from ocppscope.analysis.rules.charging import figure, place
from ocppscope.analysis.state.charging import PHASES, limit_at, profile_of, schedule_of

if TYPE_CHECKING:
    from ocppscope.analysis.registry import Case
    from ocppscope.analysis.state.charging import Limit
    from ocppscope.analysis.station import Exchange, Station

rule = family(Group.CHARGING)

MAX_PLACES = 64
"""Connectors of a station that a rule remembers something of."""
MAX_TIMES = 1024
"""Profiles of a connector that are counted."""

_FRESH_NS = 60 * SECOND
_PHASES = frozenset({"L1", "L2", "L3", "L1-N", "L2-N", "L3-N"})
_LIVE = frozenset({"Sample.Periodic", "Sample.Clock", "Trigger", "Other"})


def _live(what: SampledToCompare, measurand: str, units: tuple[str, ...]) -> dict[str, float]:
    """The newest values of a measurand by phase, if they are of this minute by the station's clock."""
    newest = max((one.time_ns for one in what.samples if one.time_ns is not None), default=None)
    if newest is None or abs(what.station.clock.station_time(what.time_ns) - newest) > _FRESH_NS:
        return {}
    return {
        one.phase: one.value for one in what.samples
        if one.time_ns == newest and one.measurand == measurand and one.value is not None and one.unit in units
        and one.location == "Outlet" and one.context in _LIVE
    }  # fmt: skip


def _drawn(what: SampledToCompare, limit: Limit) -> tuple[float, float, str] | None:
    """What the meter says, what of the limit it has to be compared with, and the unit; None if it says nothing.

    A current without a phase may be that of all phases together, so that it is compared as if it were.
    """
    if limit.unit == "A":
        currents = _live(what, "Current.Import", ("A", ""))
        phases = [value for phase, value in currents.items() if phase in _PHASES]
        if phases:
            return max(phases), limit.value, "A"
        if "" in currents:
            return currents[""], limit.value * (limit.phases or PHASES), "A"
    powers = _live(what, "Power.Active.Import", ("W",))
    if not powers:
        return None
    total = powers[""] if "" in powers else sum(value for phase, value in powers.items() if phase in _PHASES)
    return total, limit.watts, "W"


def _in_force(what: SampledToCompare, grace_ns: int) -> Limit | None:
    """The limit at the sampled connector, if it is sure and has been the same or lower for a while."""
    station, number = what.station, what.place[0]
    if not number or not station.charging.installed or what.exchange.action == "StopTransaction":
        return None
    limit = limit_at(station, number, what.time_ns)
    return limit if limit is not None and limit.is_certain and what.time_ns - limit.since_ns > grace_ns else None


def _again(case: Case, station: Station, number: int, breaks: bool) -> bool:
    """Whether this sample and the one before broke the limit."""
    broken = case.memory(station)
    if not breaks:
        broken.pop(number, None)
        return False
    if number in broken:
        return True
    if len(broken) < MAX_PLACES:
        broken[number] = True
    return False


@rule(
    "profile-limit-exceeded",
    on=SampledToCompare,
    severity=ERROR,
    blame=Blame.STATION,
    title="A connector draws more than its charging profile allows",
    advice="Ask the station with GetCompositeSchedule what it believes. If it says the limit, its control does not "
    "act on it; if not, another profile is in force, or its clock is wrong.",
    spec="1.6 §3.13.3; 2.0.1 K01",
    limits={
        "grace": seconds(60, "time that the station has to obey"),
        "share": amount(1.1, "times", "how much of the limit is let pass"),
        "amps": amount(0.5, "A", "what is let pass besides, of a phase"),
        "watts": amount(200, "W", "what is let pass besides, of all phases"),
    },
    mute=Mute.GAP | Mute.REPLAY,
)
def profile_limit_exceeded(what: SampledToCompare, case: Case) -> None:
    """Two samples in a row show more current on a phase, or more power, than a limit of over `grace` ago allows."""
    limit = _in_force(what, case["grace"])
    found = _drawn(what, limit) if limit is not None else None
    if limit is None or found is None:
        return
    drawn, most, unit = found
    breaks = drawn > max(most, 0) * case["share"] + (case["amps"] if unit == "A" else case["watts"])
    number = what.place[0]
    before = limit_at(what.station, number, what.time_ns - case["grace"]) if breaks else None
    breaks = breaks and before is not None and before.watts <= limit.watts
    if _again(case, what.station, number, breaks):
        age = (what.time_ns - limit.since_ns) / SECOND
        case.find(
            f"The meter of {place(what.station, number)} shows {figure(drawn)} {unit}, although a {limit.purpose} "
            f"has allowed {figure(most)} {unit} for {age:.0f} s.",
            what.exchange, key=number, measured={"drawn": f"{figure(drawn)} {unit}", "limit": limit.text},
        )  # fmt: skip


@rule(
    "profile-phases-ignored",
    on=SampledToCompare,
    severity=WARNING,
    priority=2,
    blame=Blame.STATION,
    title="A car charges on more phases than its profile allows",
    advice="The station may be unable to switch phases; then limit its current instead of numberPhases.",
    spec="1.6 §7.14; 2.0.1 K01.FR.43",
    limits={
        "grace": seconds(60, "time that the station has to switch"),
        "amps": amount(1, "A", "current from which a phase is in use"),
    },
    mute=Mute.GAP | Mute.REPLAY,
)
def profile_phases_ignored(what: SampledToCompare, case: Case) -> None:
    """numberPhases is 1 for over `grace`, and two samples in a row show current on more than one phase."""
    limit = _in_force(what, case["grace"])
    if limit is None or limit.phases != 1:
        return
    currents = _live(what, "Current.Import", ("A", ""))
    used = sum(1 for phase, value in currents.items() if phase in _PHASES and value > case["amps"])
    number = what.place[0]
    if currents and _again(case, what.station, number, used > 1):
        text = f"The meter of {place(what.station, number)} shows current on {used} phases; its profile allows one."
        case.find(text, what.exchange, key=number)


@rule(
    "profile-zero-limit",
    on=(StatusChanged, TransactionUpdatedOddly),
    severity=NOTE,
    priority=2,
    blame=Blame.CSMS,
    title="Charging pauses since a profile says so",
    advice="Nothing is broken: the CSMS, or what steers it, has set a limit of 0.",
    spec="1.6 §3.13; 2.0.1 K01",
)
def profile_zero_limit(what: StatusChanged | TransactionUpdatedOddly, case: Case) -> None:
    """SuspendedEVSE is reported while the limit in force is 0."""
    if isinstance(what, StatusChanged):
        number, state = what.connector.place[0], what.connector.status
    else:
        number, state = what.transaction.place[0], what.exchange.asked.table("transactionInfo").text("chargingState")
    if state != "SuspendedEVSE" or not number:
        return
    limit = limit_at(what.station, number, what.time_ns)
    if limit is not None and limit.value <= 0:
        text = f"A {limit.purpose} has limited {place(what.station, number)} to 0; it reports SuspendedEVSE."
        case.find(text, what.exchange, key=number)


class _Sent(Struct):
    """What was sent to a connector lately."""

    times: deque[int]
    turns: deque[int]  # when the limit went from 0 to more, or back
    is_zero: bool | None = None


@rule(
    "profile-churn",
    on=asked("SetChargingProfile"),
    severity=NOTE,
    priority=2,
    blame=Blame.CSMS,
    title="Charging profiles change all the time",
    advice="Let the control loop wait longer and change the limit only if it differs. Pauses wear the contactor.",
    limits={
        "rate": amount(6, "calls/min", "profiles that are let pass"),
        "window": minutes(5, "time over which they are counted"),
        "turns": amount(4, "times", "changes between 0 and more that are too many"),
        "turn_window": minutes(10, "time over which those are counted"),
    },
)
def profile_churn(x: Exchange, case: Case) -> None:
    """A connector gets over `rate` profiles a minute for `window`, or its limit turns `turns` times to 0 or back."""
    number = (x.asked.whole("evseId") if "evseId" in x.asked else x.asked.whole("connectorId")) or 0
    sent = case.memory(x.station)
    if number not in sent and len(sent) >= MAX_PLACES:
        return
    known: _Sent = sent.setdefault(number, _Sent(deque(maxlen=MAX_TIMES), deque(maxlen=MAX_TIMES)))
    known.times.append(x.asked_ns)
    profile = profile_of(x)
    schedule = schedule_of(
        profile.table("chargingSchedule") or next(iter(profile.tables("chargingSchedule")), profile)
    )
    if schedule is not None:
        is_zero = schedule.periods[0].limit <= 0
        if known.is_zero not in (None, is_zero):
            known.turns.append(x.asked_ns)
        known.is_zero = is_zero
    rate, window = case["rate"], case["window"]
    if _lately(known.times, x.asked_ns - window) > rate * window / (60 * SECOND):
        text = (
            f"{len(known.times)} profiles for {place(x.station, number)} came in {window / SECOND / 60:.0f} minutes."
        )
        case.find(text, x, key=number)
        known.times.clear()
    if _lately(known.turns, x.asked_ns - case["turn_window"]) >= max(1, case["turns"]):
        text = f"The limit of {place(x.station, number)} went to 0 or back {len(known.turns)} times"
        case.find(f"{text} in {case['turn_window'] / SECOND / 60:.0f} minutes.", x, key=(number, "turns"))
        known.turns.clear()


def _lately(times: deque[int], since_ns: int) -> int:
    while times and times[0] < since_ns:
        times.popleft()
    return len(times)


@rule(
    "composite-mismatch",
    on=answered("GetCompositeSchedule"),
    severity=NOTE,
    priority=2,
    title="The station reckons with another limit than its profiles say",
    advice="If it is lower, a limit of its own, or of before the capture, is in force. If it is higher, the station "
    "merges its profiles in another way than the standard: stack levels, purposes, or its clock.",
    spec="1.6 §3.13.3; 2.0.1 K08",
    limits={"share": amount(10, "%", "difference that is let pass")},
)
def composite_mismatch(x: Exchange, case: Case) -> None:
    """The first limit of a composite schedule differs by more than `share` from what the accepted profiles say."""
    table = x.answered.table("schedule") or x.answered.table("chargingSchedule")
    reported = schedule_of(table)
    number = x.asked.whole("evseId") if "evseId" in x.asked else x.asked.whole("connectorId")
    limit = limit_at(x.station, number, x.time_ns) if number and reported is not None else None
    if reported is None or limit is None or not limit.is_certain or not number:
        return
    told = reported.at(0)
    if told is None or reported.unit != limit.unit or x.station.transactions.open_at(number) is None:
        return
    if abs(told.limit - limit.value) > abs(limit.value) * case["share"] / 100:
        case.find(
            f"The station says that {place(x.station, number)} may draw {figure(told.limit)} {reported.unit}; by the "
            f"profiles that it accepted it is {limit.text}.",
            x, blame=Blame.STATION if told.limit > limit.value else Blame.UNKNOWN, key=number,
        )  # fmt: skip
