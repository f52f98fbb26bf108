"""Charging profiles: what was installed, and which limit they put in force (OCPP 1.6 §3.13, §5.16; 2.0.1 K01).

`limit_at` asks it of a station; `composite` is the arithmetic behind it, a pure function. Units are not mixed up: a
limit in W holds for all phases together, one in A for each. Where both are in force they are compared at 230 V.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ocppscope.analysis.happenings import ProfileSet, TransactionStarted, TransactionStopped
from ocppscope.analysis.latest import Latest
from ocppscope.analysis.state.transactions import id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocppscope.analysis.bus import Bus
    from ocppscope.analysis.payload import Payload
    from ocppscope.analysis.state.transactions import Transaction
    from ocppscope.analysis.station import Exchange, Station

MAX_PROFILES = 64
"""Charging profiles of a station that are remembered, the latest."""
MAX_PAST = 128
"""Those that are not in force any more, likewise."""
MAX_PERIODS = 1024
"""Periods of a schedule that are looked at."""
MAX_SECONDS = 10 * 366 * 86_400
"""Offsets and durations beyond are not believed."""
REMOTE_NS = 600_000_000_000
"""How long after a remote start its profile waits for the transaction."""
VOLTS, PHASES = 230.0, 3

TX, TX_DEFAULT = "TxProfile", "TxDefaultProfile"
STATION_MAX = frozenset({"ChargePointMaxProfile", "ChargingStationMaxProfile"})
EXTERNAL = "ChargingStationExternalConstraints"

_SECOND = 1_000_000_000
_RECURRENCES = {"Daily": 86_400 * _SECOND, "Weekly": 7 * 86_400 * _SECOND}
_KINDS = frozenset({"Absolute", "Recurring", "Relative"})
_PURPOSES = STATION_MAX | {TX, TX_DEFAULT, EXTERNAL}


class Period(NamedTuple):
    """From `start_ns` after the start of its schedule on."""

    start_ns: int
    limit: float
    phases: int | None  # None: not said, which means 3


class Schedule(Struct, frozen=True):
    """A charging schedule as far as it can be read, its periods in order."""

    unit: str  # "A" or "W"
    periods: tuple[Period, ...]
    starts_ns: int | None  # startSchedule, by the station's clock
    duration_ns: int | None

    @property
    def is_constant(self) -> bool:
        """Whether it always says the same, from whatever moment it is counted."""
        return len(self.periods) == 1 and self.periods[0].start_ns == 0 and self.duration_ns is None

    def at(self, offset_ns: int) -> Period | None:
        """The period that long after the start; None before the first and after the end."""
        if self.duration_ns is not None and offset_ns >= self.duration_ns:
            return None
        return next((one for one in reversed(self.periods) if one.start_ns <= offset_ns), None)


class Installed(Struct, frozen=True):
    """A charging profile as it was sent, and whether it was taken."""

    number: int  # connectorId or evseId, 0 for the whole station
    id: int | None
    purpose: str  # TxProfile, TxDefaultProfile, ChargePointMaxProfile, ChargingStationMaxProfile, …
    stack: int | None
    kind: str  # Absolute, Recurring, Relative
    transaction: str
    profile: Payload
    schedules: tuple[Payload, ...]
    schedule: Schedule | None  # the first one, if it can be read
    set_ns: int  # when it was sent
    accepted_ns: int  # when it was answered
    accepted: bool
    remote: bool  # it came with a remote start whose transaction has not begun
    recurrence_ns: int | None
    from_ns: int | None  # validFrom, by the station's clock
    to_ns: int | None  # validTo
    is_plain: bool  # nothing in it that this module does not reckon with
    exchange: Exchange


class Moment(NamedTuple):
    """What a limit is asked for: a place, a time by both clocks, and the transaction there."""

    number: int
    now: int  # ns, of the capture
    clock_ns: int  # what the station's clock shows then
    transaction: str | None = None  # its id, "" while it has none; None: none is known
    started_ns: int | None = None  # None: before the capture


class Limit(Struct, frozen=True):
    """What a connector may draw."""

    value: float
    unit: str  # "A", each phase; "W", all phases together
    phases: int | None  # how many may be used; None: not said, which means 3
    purpose: str  # of the profile that says it
    since_ns: int  # by the capture's clock
    is_certain: bool  # False where the specification leaves room, or an unseen profile may overrule it

    @property
    def watts(self) -> float:
        """The limit of all phases together."""
        return self.value if self.unit == "W" else self.value * VOLTS * (self.phases or PHASES)

    @property
    def text(self) -> str:
        """As "16 A"."""
        return f"{self.value:.6g} {self.unit}"


class Profiles:
    """Of one station: what it accepted and was not told to clear, and for a while what it was."""

    __slots__ = ("installed", "latest", "past")

    def __init__(self) -> None:
        self.installed: Latest[Installed] = Latest(MAX_PROFILES)
        self.past: Latest[tuple[int, Installed]] = Latest(MAX_PAST)  # (until when, what), oldest first
        self.latest: tuple[Moment, Limit | None] | None = None  # the last answer of `limit_at`

    def at(self, now: int) -> Iterator[Installed]:
        """Those that a station had at a time."""
        for one in self.installed:
            if one.accepted_ns <= now:
                yield one
        for until, one in reversed(self.past):
            if until <= now:
                return
            if one.accepted_ns <= now:
                yield one

    def add(self, one: Installed) -> None:
        """It is in force, or will be."""
        self.installed.append(one)
        self.latest = None

    def remove(self, one: Installed, now: int) -> None:
        """It is replaced, cleared, or its transaction is over."""
        self.installed.remove(one)
        self.past.append((now, one))
        self.latest = None

    def ended_at(self, now: int) -> list[Installed]:
        """Those that went at that very moment."""
        return [one for until, one in self.past if until == now]


def limit_at(station: Station, number: int, now: int) -> Limit | None:
    """The limit in force at a connector (1.6) or EVSE (2.x) at a time of the capture; None if none is known.

    `now` may lie back, as far as the profiles and transactions of then are remembered.
    """
    profiles = station.charging
    if not profiles.installed and not profiles.past:
        return None
    moment = moment_of(station, number, now)
    if profiles.latest is None or profiles.latest[0] != moment:
        profiles.latest = moment, composite(profiles.at(now), moment)
    return profiles.latest[1]


def moment_of(station: Station, number: int, now: int) -> Moment:
    """What is known of a place then."""
    clock_ns, known = station.clock.station_time(now), station.transactions
    transaction = known.open_at(number) if number else None
    if number and (transaction is None or not _ran(transaction, now)):
        transaction = next((one for one in known.latest if one.place[0] == number and _ran(one, now)), None)
    if transaction is None:
        return Moment(number, now, clock_ns)
    return Moment(number, now, clock_ns, transaction.id, transaction.started_ns if transaction.start else None)


def _ran(transaction: Transaction, now: int) -> bool:
    began, ended = transaction.started_ns, transaction.stopped_ns
    return (began is None or began <= now) and (ended is None or now < ended)


def composite(profiles: Iterable[Installed], moment: Moment) -> Limit | None:
    """What all profiles together allow: the least of the purposes, of each the highest stack level that speaks.

    A TxProfile stands in for a TxDefaultProfile; one of the connector for one of the whole station on the same level.
    """
    best: dict[str, tuple[tuple[int, bool, int], Limit]] = {}
    plain = True
    for one in profiles:
        if not _applies(one, moment):
            continue
        plain &= one.is_plain
        limit = limit_of(one, moment)
        if limit is None:
            continue
        layer = "max" if one.purpose in STATION_MAX else one.purpose
        rank = one.stack if one.stack is not None else -1, one.number > 0, one.accepted_ns
        if layer not in best or rank > best[layer][0]:
            best[layer] = rank, limit
    if TX in best:
        best.pop(TX_DEFAULT, None)
    return _least([limit for _, limit in best.values()], plain)


def limit_of(one: Installed, moment: Moment) -> Limit | None:
    """What a single profile says at a moment; None if nothing: it is not valid then, or its schedule is not on."""
    found = _offset(one, moment)
    if found is None or one.schedule is None:
        return None
    offset, certain = found
    period = one.schedule.at(offset)
    if period is None:
        return None
    since = max(one.accepted_ns, moment.now - offset + period.start_ns)
    if one.from_ns is not None:
        since = max(since, moment.now - (moment.clock_ns - one.from_ns))
    if one.purpose in (TX, TX_DEFAULT):
        since = max(since, moment.started_ns or since)
        certain &= moment.transaction is not None and (one.purpose == TX or moment.started_ns is not None)
    return Limit(period.limit, one.schedule.unit, period.phases, one.purpose, since, certain)


def _applies(one: Installed, moment: Moment) -> bool:
    if one.remote or one.number not in (0, moment.number):
        return False
    if one.purpose != TX:
        return one.purpose in STATION_MAX or one.purpose == EXTERNAL or moment.number > 0
    if one.number == 0 and not one.transaction:
        return False
    if moment.transaction is None:  # it runs since before the capture: the profile was accepted
        return moment.number > 0
    if one.transaction and moment.transaction:
        return one.transaction == moment.transaction
    return moment.started_ns is None or moment.started_ns <= one.accepted_ns


def _offset(one: Installed, moment: Moment) -> tuple[int, bool] | None:
    """How far into its schedule a profile is, ns, and whether nobody can see that otherwise; None out of its time."""
    schedule = one.schedule
    if schedule is None or (one.from_ns is not None and moment.clock_ns < one.from_ns):
        return None
    if one.to_ns is not None and moment.clock_ns >= one.to_ns:
        return None
    if one.kind == "Relative" or schedule.starts_ns is None:
        started = moment.started_ns if one.purpose in (TX, TX_DEFAULT) else None
        return moment.now - (one.accepted_ns if started is None else started), schedule.is_constant
    offset = moment.clock_ns - schedule.starts_ns
    if offset < 0:
        return None
    if one.kind == "Recurring" and one.recurrence_ns is not None:
        offset %= one.recurrence_ns
    return offset, True


def _least(limits: list[Limit], plain: bool) -> Limit | None:
    if not limits:
        return None
    if len(limits) == 1 and (plain or not limits[0].is_certain):
        return limits[0]
    phases = min((one.phases for one in limits if one.phases is not None), default=None)
    limits = [replace(one, phases=one.phases or phases) for one in limits]
    same_unit = len({one.unit for one in limits}) == 1
    least = min(limits, key=lambda one: one.value if same_unit else one.watts)
    return replace(least, phases=phases, is_certain=least.is_certain and plain)


# --- reading ------------------------------------------------------------------------------------------------------


def installed(x: Exchange, profile: Payload) -> Installed:
    """A profile as a message carries it."""
    table = profile.table("chargingSchedule")
    schedules = (table,) if table else tuple(profile.tables("chargingSchedule"))
    number = x.asked.whole("evseId") if "evseId" in x.asked else x.asked.whole("connectorId")
    id_ = profile.whole("id") if "id" in profile else profile.whole("chargingProfileId")
    purpose = profile.text("chargingProfilePurpose")
    kind, schedule = profile.text("chargingProfileKind"), schedule_of(schedules[0]) if schedules else None
    return Installed(
        number or 0, id_, purpose, profile.whole("stackLevel"), kind,
        id_of(profile.data.get("transactionId")), profile, schedules, schedule,
        x.asked_ns, x.time_ns, x.accepted, x.action != "SetChargingProfile",
        _RECURRENCES.get(profile.text("recurrencyKind")), profile.time_ns("validFrom"), profile.time_ns("validTo"),
        kind in _KINDS and purpose in _PURPOSES and len(schedules) == 1 and schedule is not None
        and not any(_is_odd(one) for one in schedules[0].tables("chargingSchedulePeriod")[:MAX_PERIODS]), x,
    )  # fmt: skip


def schedule_of(schedule: Payload) -> Schedule | None:
    """A chargingSchedule of either version; None if no period of it can be read."""
    periods = []
    for one in schedule.tables("chargingSchedulePeriod")[:MAX_PERIODS]:
        start, limit = _span_ns(one, "startPeriod"), one.number("limit")
        if start is not None and limit is not None:
            phases = one.whole("numberPhases")
            periods.append(Period(start, limit, phases if phases in (1, 2, 3) else None))
    periods.sort(key=lambda one: one.start_ns)
    unit = schedule.text("chargingRateUnit")
    if not periods or unit not in ("A", "W"):
        return None
    return Schedule(unit, tuple(periods), schedule.time_ns("startSchedule"), _span_ns(schedule, "duration"))


def _span_ns(payload: Payload, name: str) -> int | None:
    seconds = payload.number(name)
    return int(seconds * _SECOND) if seconds is not None and 0 <= seconds <= MAX_SECONDS else None


def _is_odd(period: Payload) -> bool:
    """Whether a period says more than a limit (2.1 Q: setpoints, limits by phase, discharging)."""
    return "limit" not in period or "limit_L2" in period or "setpoint" in period or "dischargeLimit" in period


# --- following ----------------------------------------------------------------------------------------------------


class ProfileTracker:
    """Follows the charging profiles of all stations."""

    actions = ("SetChargingProfile", "ClearChargingProfile", "RemoteStartTransaction", "RequestStartTransaction")

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        bus.subscribe(TransactionStarted, _bind)
        bus.subscribe(TransactionStopped, _unbind)

    def answered(self, x: Exchange) -> None:
        """A profile was taken, refused or cleared."""
        if x.action == "ClearChargingProfile":
            self._clear(x)
            return
        profile = profile_of(x)
        if not profile:
            return
        one = installed(x, profile)
        known = x.station.charging
        if one.accepted:
            for other in [other for other in known.installed if _replaces(one, other)]:
                known.remove(other, x.time_ns)
            known.add(one)
        self._bus.happens(ProfileSet(x.station, x.link, x.time_ns, x.ref, one, x))

    @staticmethod
    def _clear(x: Exchange) -> None:
        if not x.accepted:
            return
        criteria = x.asked.table("chargingProfileCriteria") or x.asked
        id_ = x.asked.whole("chargingProfileId") if "chargingProfileId" in x.asked else x.asked.whole("id")
        number = criteria.whole("evseId") if "evseId" in criteria else criteria.whole("connectorId")
        purpose, stack = criteria.text("chargingProfilePurpose"), criteria.whole("stackLevel")
        for one in list(x.station.charging.installed):
            alike = number in (None, one.number) and purpose in ("", one.purpose) and stack in (None, one.stack)
            if alike if id_ is None else one.id == id_:
                x.station.charging.remove(one, x.time_ns)


def profile_of(x: Exchange) -> Payload:
    """The profile that a message carries, an empty one if there is none."""
    return x.asked.table("chargingProfile") or x.asked.table("csChargingProfiles")


def _replaces(new: Installed, old: Installed) -> bool:
    if new.id is not None and new.id == old.id:
        return True
    if new.remote or old.remote or (new.exchange.station.is_2x and not meet(new, old)):
        return False
    return (new.number, new.purpose, new.stack) == (old.number, old.purpose, old.stack)


def meet(one: Installed, other: Installed) -> bool:
    """Whether there is a time at which both are valid."""
    first, second = (one, other) if (one.from_ns or 0) <= (other.from_ns or 0) else (other, one)
    return first.to_ns is None or first.to_ns > (second.from_ns or 0)


def _bind(what: TransactionStarted) -> None:
    """A transaction began: the profile of the remote start that asked for it is in force."""
    transaction, profiles = what.transaction, what.station.charging
    for one in [one for one in profiles.installed if one.remote]:
        began = transaction.started_ns if transaction.started_ns is not None else what.time_ns
        x = one.exchange
        tag = x.asked.text("idTag") or x.asked.table("idToken").text("idToken")
        late = began - one.set_ns > REMOTE_NS
        mine = tag.casefold() == transaction.tag.casefold() and one.number in (0, transaction.place[0])
        if late or mine:
            profiles.installed.remove(one)
        if mine and not late:
            bound = replace(one, remote=False, number=transaction.place[0], accepted_ns=max(began, one.accepted_ns))
            profiles.add(bound)


def _unbind(what: TransactionStopped) -> None:
    """A transaction is over, and its profiles with it (1.6 §3.13.1; 2.0.1 K01.FR.33)."""
    profiles, transaction = what.station.charging, what.transaction
    for one in [one for one in profiles.installed if one.purpose == TX and not one.remote]:
        mine = one.transaction == transaction.id if one.transaction else one.number == transaction.place[0]
        if mine:
            profiles.remove(one, what.time_ns)
