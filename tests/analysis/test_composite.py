"""Which limit is in force: tables of profiles and moments, and what stations accepted in conversations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation import play
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.payload import Payload, moment
from ocppscope.analysis.state.charging import (
    MAX_PAST,
    MAX_PERIODS,
    MAX_PROFILES,
    MAX_SECONDS,
    REMOTE_NS,
    Installed,
    Limit,
    Moment,
    composite,
    installed,
    limit_at,
    schedule_of,
)
from ocppscope.analysis.station import Station
from ocppscope.analysis.stations import Stations

HOUR = 3600
S = 1_000_000_000


def at(time: str) -> int:
    """A time of the day of the tests, ns."""
    found = moment(f"2026-11-22T{time}Z")
    assert found is not None
    return found


def stamp(time: str) -> str:
    return f"2026-11-22T{time}Z"


@dataclass
class Asked:
    """As much of an exchange as a profile needs."""

    asked: Payload
    asked_ns: int
    time_ns: int
    action: str = "SetChargingProfile"
    accepted: bool = True


def profile(
    *periods: tuple[float, float] | tuple[float, float, int], number: int = 1, purpose: str = "TxDefaultProfile",
    stack: int = 0, kind: str = "Absolute", unit: str = "A", start: str | None = "08:00:00", sent: str = "08:00:00",
    duration: int | None = None, transaction: int | None = None, **more: Any,
) -> Installed:  # fmt: skip
    """An accepted profile of 1.6."""
    schedule: dict[str, Any] = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [
            dict(zip(("startPeriod", "limit", "numberPhases"), one, strict=False)) for one in periods
        ],
    }
    if start is not None:
        schedule["startSchedule"] = stamp(start)
    if duration is not None:
        schedule["duration"] = duration
    data = {
        "chargingProfileId": 1, "stackLevel": stack, "chargingProfilePurpose": purpose, "chargingProfileKind": kind,
        "chargingSchedule": schedule, **more,
    }  # fmt: skip
    if transaction is not None:
        data["transactionId"] = transaction
    x: Any = Asked(Payload({"connectorId": number, "csChargingProfiles": data}), at(sent), at(sent))
    return installed(x, Payload(data))


def when(
    time: str, *, skew: int = 0, tx: str | None = "7", began: str | None = "09:00:00", number: int = 1
) -> Moment:
    return Moment(number, at(time), at(time) + skew * S, tx, None if began is None else at(began))


def found(profiles: list[Installed], moment_: Moment) -> tuple[float, str, int | None] | None:
    limit = composite(profiles, moment_)
    return None if limit is None else (limit.value, limit.unit, limit.phases)


DAY = profile((0, 32), (8 * HOUR, 10), (12 * HOUR, 20), start="00:00:00")
CASES: list[tuple[str, list[Installed], Moment, tuple[float, str, int | None] | None]] = [
    ("nothing", [], when("10:00:00"), None),
    ("first period", [profile((0, 16))], when("10:00:00"), (16, "A", None)),
    ("later period", [DAY], when("10:00:00"), (10, "A", None)),
    ("the last ns of a period", [DAY], when("07:59:59.999999", began="07:00:00"), (32, "A", None)),
    ("the first of the next", [DAY], when("12:00:00"), (20, "A", None)),
    ("station's clock is behind", [DAY], when("12:00:00", skew=-1), (10, "A", None)),
    ("not begun", [profile((0, 16), start="11:00:00")], when("10:00:00"), None),
    (
        "begun by the station's clock",
        [profile((0, 16), start="11:00:00")],
        when("10:00:00", skew=HOUR),
        (16, "A", None),
    ),
    ("over", [profile((0, 16), duration=HOUR)], when("09:00:00"), None),
    ("almost over", [profile((0, 16), duration=HOUR + 1)], when("09:00:00"), (16, "A", None)),
    ("before its first period", [profile((2 * HOUR, 16))], when("09:59:59"), None),
    ("validFrom", [profile((0, 16), validFrom=stamp("10:00:01"))], when("10:00:00"), None),
    ("from validFrom on", [profile((0, 16), validFrom=stamp("10:00:00"))], when("10:00:00"), (16, "A", None)),
    ("validTo", [profile((0, 16), validTo=stamp("10:00:00"))], when("10:00:00"), None),
    ("until validTo", [profile((0, 16), validTo=stamp("10:00:01"))], when("10:00:00"), (16, "A", None)),
    # stack levels
    ("highest stack level", [profile((0, 6)), profile((0, 16), stack=1)], when("10:00:00"), (16, "A", None)),
    ("in any order", [profile((0, 16), stack=1), profile((0, 6))], when("10:00:00"), (16, "A", None)),
    ("falls back", [profile((0, 6)), profile((0, 16), stack=1, duration=60)], when("10:00:00"), (6, "A", None)),
    ("connector before station", [profile((0, 16), number=0), profile((0, 20))], when("10:00:00"), (20, "A", None)),
    (
        "but not before the level",
        [profile((0, 16), number=0, stack=1), profile((0, 20))],
        when("10:00:00"),
        (16, "A", None),
    ),
    ("another connector's", [profile((0, 16), number=2)], when("10:00:00"), None),
    # purposes
    (
        "TxProfile stands in",
        [profile((0, 6)), profile((0, 16), purpose="TxProfile", transaction=7)],
        when("10:00:00"),
        (16, "A", None),
    ),
    (
        "of another transaction",
        [profile((0, 6)), profile((0, 16), purpose="TxProfile", transaction=8)],
        when("10:00:00"),
        (6, "A", None),
    ),
    (
        "without an id: of what ran then",
        [profile((0, 16), purpose="TxProfile", sent="09:30:00")],
        when("10:00:00"),
        (16, "A", None),
    ),
    ("and not of what came later", [profile((0, 16), purpose="TxProfile", sent="08:30:00")], when("10:00:00"), None),
    (
        "the station's limit",
        [profile((0, 16)), profile((0, 10), purpose="ChargePointMaxProfile", number=0)],
        when("10:00:00"),
        (10, "A", None),
    ),
    (
        "the lower of both",
        [profile((0, 8)), profile((0, 10), purpose="ChargePointMaxProfile", number=0)],
        when("10:00:00"),
        (8, "A", None),
    ),
    (
        "an external limit",
        [profile((0, 16)), profile((0, 9), purpose="ChargingStationExternalConstraints", number=0)],
        when("10:00:00"),
        (9, "A", None),
    ),
    ("no default for the whole station", [profile((0, 16), number=0)], when("10:00:00", number=0, tx=None), None),
    (
        "its own limit",
        [profile((0, 63), purpose="ChargePointMaxProfile", number=0)],
        when("10:00:00", number=0, tx=None),
        (63, "A", None),
    ),
    # kinds
    (
        "daily",
        [profile((0, 16), (3 * HOUR, 6), kind="Recurring", recurrencyKind="Daily")],
        when("12:00:00"),
        (6, "A", None),
    ),
    (
        "relative to the transaction",
        [profile((0, 16), (HOUR, 6), kind="Relative", start=None)],
        when("10:00:00"),
        (6, "A", None),
    ),
    ("still", [profile((0, 16), (HOUR, 6), kind="Relative", start=None)], when("09:59:59"), (16, "A", None)),
    # units and phases
    ("watts", [profile((0, 11000, 3), unit="W")], when("10:00:00"), (11000, "W", 3)),
    (
        "watts against amperes of three phases",
        [profile((0, 7000), unit="W"), profile((0, 10), purpose="ChargePointMaxProfile", number=0)],
        when("10:00:00"),
        (10, "A", None),
    ),
    (
        "of one phase, 16 A are less",
        [profile((0, 16, 1)), profile((0, 7000), unit="W", purpose="ChargePointMaxProfile", number=0)],
        when("10:00:00"),
        (16, "A", 1),
    ),
    ("zero", [profile((0, 0))], when("10:00:00"), (0, "A", None)),
]


@pytest.mark.parametrize(
    ("profiles", "moment_", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_composite(
    profiles: list[Installed], moment_: Moment, expected: tuple[float, str, int | None] | None
) -> None:
    assert found(profiles, moment_) == expected


@pytest.mark.parametrize(
    ("one", "moment_", "since"),
    [
        (DAY, when("11:00:00"), "09:00:00"),  # the transaction
        (DAY, when("12:30:00"), "12:00:00"),  # the period
        (profile((0, 16), sent="09:30:00"), when("10:00:00"), "09:30:00"),  # the answer
        (profile((0, 16), validFrom=stamp("09:45:00")), when("10:00:00"), "09:45:00"),
        (profile((0, 16), validFrom=stamp("09:45:00")), when("10:00:00", skew=60), "09:44:00"),
    ],
)
def test_since(one: Installed, moment_: Moment, since: str) -> None:
    limit = composite([one], moment_)
    assert limit is not None
    assert limit.since_ns == at(since)


MAX = profile((0, 10), purpose="ChargePointMaxProfile", number=0)


@pytest.mark.parametrize(
    ("profiles", "moment_", "certain"),
    [
        ([profile((0, 16))], when("10:00:00"), True),
        ([profile((0, 16))], when("10:00:00", began=None), False),  # an unseen TxProfile may stand in
        ([profile((0, 16), purpose="TxProfile", transaction=7)], when("10:00:00", began=None), True),
        ([profile((0, 16))], when("10:00:00", tx=None, began=None), False),
        ([MAX], when("10:00:00", tx=None, began=None), True),
        ([profile((0, 16), kind="Relative", start=None)], when("10:00:00"), True),
        ([profile((0, 16), (HOUR, 6), kind="Relative", start=None)], when("10:00:00"), False),  # relative to what?
        ([profile((0, 16), start=None, duration=2 * HOUR)], when("10:00:00"), False),
        ([MAX, profile((0, 16), kind="Dynamic")], when("10:00:00"), False),
        ([MAX, profile((0, 16), purpose="PriorityCharging")], when("10:00:00"), False),
    ],
)
def test_certain(profiles: list[Installed], moment_: Moment, certain: bool) -> None:
    limit = composite(profiles, moment_)
    assert limit is not None
    assert limit.is_certain is certain


def test_periods_in_any_order_and_broken_ones() -> None:
    schedule = schedule_of(
        Payload(
            {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [
                    {"startPeriod": 60, "limit": 6, "numberPhases": 7}, {"startPeriod": 0, "limit": 16},
                    {"startPeriod": "x", "limit": 1}, {"startPeriod": 9}, 5, {"startPeriod": 1e20, "limit": 1},
                ],
            }
        )
    )  # fmt: skip
    assert schedule is not None
    assert [(one.start_ns, one.limit, one.phases) for one in schedule.periods] == [(0, 16, None), (60 * S, 6, None)]


@pytest.mark.parametrize(
    "data", [{}, {"chargingRateUnit": "A"}, {"chargingRateUnit": "V", "chargingSchedulePeriod": [{}]}]
)
def test_no_schedule(data: dict[str, Any]) -> None:
    assert schedule_of(Payload(data)) is None


LIMITS = st.floats(0, 1e6)


@given(
    st.lists(
        st.tuples(LIMITS, st.sampled_from(("ChargePointMaxProfile", "TxDefaultProfile")), st.integers(0, 9)),
        min_size=1,
    )
)
def test_never_more_than_any_purpose_allows(given_: list[tuple[float, str, int]]) -> None:
    profiles = [profile((0, limit), purpose=purpose, stack=stack, number=0) for limit, purpose, stack in given_]
    limit = composite(profiles, when("10:00:00"))
    assert limit is not None
    for purpose in {one.purpose for one in profiles}:
        highest = max(one.stack or 0 for one in profiles if one.purpose == purpose)
        allowed = [
            one.schedule.periods[0].limit
            for one in profiles
            if one.purpose == purpose and one.stack == highest and one.schedule
        ]
        assert limit.value <= max(allowed)


# --- stations -----------------------------------------------------------------------------------------------------

OPEN = "10:00:00.000 CP-1 → OPEN ocpp1.6\n"
START = """10:00:10.000 CP-1 → [2,"s","StartTransaction",{"connectorId":1,"idTag":"T1","meterStart":0,
    "timestamp":"2026-11-22T10:00:10Z"}]
10:00:10.100 CP-1 ← [3,"s",{"transactionId":7,"idTagInfo":{"status":"Accepted"}}]
"""
STOP = """10:05:00.000 CP-1 → [2,"e","StopTransaction",{"transactionId":7,"meterStop":1,
    "timestamp":"2026-11-22T10:05:00Z"}]
10:05:00.100 CP-1 ← [3,"e",{}]
"""


def sets(
    time: str, limit: float, *, purpose: str = "TxProfile", id_: int = 1, status: str = "Accepted", stack: int = 0
) -> str:
    return (
        f'{time}.000 CP-1 ← [2,"p{time}","SetChargingProfile",{{"connectorId":1,"csChargingProfiles":'
        f'{{"chargingProfileId":{id_},"stackLevel":{stack},"chargingProfilePurpose":"{purpose}",'
        f'"chargingProfileKind":"Relative","chargingSchedule":{{"chargingRateUnit":"A",'
        f'"chargingSchedulePeriod":[{{"startPeriod":0,"limit":{limit}}}]}}}}}}]\n'
        f'{time}.100 CP-1 → [3,"p{time}",{{"status":"{status}"}}]\n'
    )


def clears(time: str, criteria: str) -> str:
    return (
        f'{time}.000 CP-1 ← [2,"c{time}","ClearChargingProfile",{criteria}]\n'
        f'{time}.100 CP-1 → [3,"c{time}",{{"status":"Accepted"}}]\n'
    )


REMOTE = """10:00:05.000 CP-1 ← [2,"r","RemoteStartTransaction",{"idTag":"t1","chargingProfile":{
    "chargingProfileId":9,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative","chargingSchedule":{
    "chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":13}]}}}]
10:00:05.100 CP-1 → [3,"r",{"status":"Accepted"}]
"""


def limits(text: str, *times: str) -> list[float | None]:
    stations = Stations(Bus())
    events = play(text)
    stations.take(events)
    stations.finish(events[-1].time_ns)
    station = stations.by_identity["CP-1"]
    told: list[Limit | None] = [limit_at(station, 1, at(time)) for time in times]
    return [None if one is None else one.value for one in told]


@pytest.mark.parametrize(
    ("text", "times", "expected"),
    [
        (START + sets("10:01:00", 16), ("10:00:30", "10:02:00"), [None, 16]),
        (START + sets("10:01:00", 16, status="Rejected"), ("10:02:00",), [None]),
        (START + sets("10:01:00", 16) + sets("10:02:00", 10), ("10:01:30", "10:02:30"), [16, 10]),
        (START + sets("10:01:00", 16) + clears("10:02:00", "{}"), ("10:01:30", "10:02:30"), [16, None]),
        (START + sets("10:01:00", 16) + clears("10:02:00", '{"id":2}'), ("10:02:30",), [16]),
        (START + sets("10:01:00", 16) + clears("10:02:00", '{"connectorId":2}'), ("10:02:30",), [16]),
        (START + sets("10:01:00", 16) + clears("10:02:00", '{"stackLevel":0}'), ("10:02:30",), [None]),
        (
            sets("10:00:01", 6, purpose="TxDefaultProfile", id_=2) + START + sets("10:01:00", 16) + STOP,
            ("10:02:00", "10:06:00"),
            [16, 6],  # the transaction took its profile with it
        ),
        (REMOTE + START, ("10:00:08", "10:00:30"), [None, 13]),
        (REMOTE + START.replace("T1", "T2"), ("10:00:30",), [None]),
    ],
)
def test_limit_of_a_station(text: str, times: tuple[str, ...], expected: list[float | None]) -> None:
    assert limits(OPEN + text, *times) == expected


# --- bounds -------------------------------------------------------------------------------------------------------


def station_after(text: str) -> Station:
    stations = Stations(Bus())
    stations.take(play(OPEN + text))
    return stations.by_identity["CP-1"]


def many(count: int, **more: Any) -> str:
    return "".join(
        sets(f"10:{n // 60:02}:{n % 60:02}", 16, purpose="TxDefaultProfile", id_=n, stack=n, **more)
        for n in range(count)
    )


def test_profiles_are_bounded() -> None:
    installed_ = station_after(many(MAX_PROFILES + 5)).charging.installed
    assert len(installed_) == MAX_PROFILES
    assert installed_[-1].id == MAX_PROFILES + 4


def test_past_profiles_are_bounded() -> None:
    text = "".join(sets(f"1{n // 3600}:{n // 60 % 60:02}:{n % 60:02}", 16) for n in range(MAX_PAST + 5))
    assert len(station_after(text).charging.past) == MAX_PAST


def test_periods_are_bounded() -> None:
    one = profile(*((second, 16.0) for second in range(MAX_PERIODS + 5)))
    assert one.schedule is not None
    assert len(one.schedule.periods) == MAX_PERIODS


@pytest.mark.parametrize("name", ["duration", "startPeriod"])
def test_offsets_that_are_not_believed(name: str) -> None:
    period = {"startPeriod": 0, "limit": 16}
    data: dict[str, Any] = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period, {**period, "startPeriod": 1}]}
    (data if name == "duration" else period)[name] = MAX_SECONDS + 1
    schedule = schedule_of(Payload(data))
    assert schedule is not None
    assert schedule.duration_ns is None
    assert len(schedule.periods) == (2 if name == "duration" else 1)


def test_a_profile_does_not_wait_forever_for_its_transaction() -> None:
    assert limits(OPEN + REMOTE + START.replace("10:00:10", "10:10:04"), "10:10:30") == [13]
    assert limits(OPEN + REMOTE + START.replace("10:00:10", "10:10:06"), "10:10:30") == [None]
    assert REMOTE_NS == 600 * S
