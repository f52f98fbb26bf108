"""Bounds of the timing figures of visits, meter values and profiles, reached: what was not followed is counted."""

from __future__ import annotations

import pytest
from support_timing import BOOT, S, rows_of, spread_of, timing_of
from test_bounds_of_rules import stamp
from test_bounds_of_timing import clock
from test_timing_transactions import call

from ocppscope.analysis.state.connectors import MAX_CONNECTORS
from ocppscope.analysis.timing import commands, connections, energy, metering, visits

AUTHORIZED = {"idTagInfo": {"status": "Accepted"}}


def status(at: float, number: int, state: str) -> str:
    payload = {"connectorId": number, "errorCode": "NoError", "status": state}
    return call(clock(at), f"{number}{state}{at}", "StatusNotification", payload, {})


def start(at: float, number: int, *, tag: str = "", meter: int = 1000) -> str:
    payload = {"connectorId": number, "idTag": tag or f"T{number}", "meterStart": meter, "timestamp": stamp(at)}
    return call(clock(at), f"start{number}{at}", "StartTransaction", payload, {"transactionId": number, **AUTHORIZED})


def stop(at: float, number: int, *, meter: int = 2000) -> str:
    payload = {"transactionId": number, "meterStop": meter, "timestamp": stamp(at)}
    return call(clock(at), f"stop{number}{at}", "StopTransaction", payload, AUTHORIZED)


def meter(at: float, number: int, wh: float, amps: float | None = None) -> str:
    values = [{"value": str(wh), "unit": "Wh"}]
    if amps is not None:
        values.append({"value": str(amps), "measurand": "Current.Import", "unit": "A", "phase": "L1"})
    value = {"timestamp": stamp(at), "sampledValue": values}
    payload = {"connectorId": number, "transactionId": number, "meterValue": [value]}
    return call(clock(at), f"m{number}{at}", "MeterValues", payload, {})


# --- visits -------------------------------------------------------------------------------------------------------


def test_connectors_whose_visits_are_followed(monkeypatch: pytest.MonkeyPatch):
    """What goes on at those beyond is counted; a place that is known is followed on, and its end makes room."""
    monkeypatch.setattr(visits, "MAX_PLACES", 2)
    text = BOOT
    for number in (1, 2, 3):
        text += status(10, number, "Available") + status(20 + number, number, "Preparing")
    text += "".join(status(30 + number, number, "Charging") + start(40 + number, number) for number in (1, 2, 3))
    text += "".join(stop(50 + number, number) + status(60 + number, number, "Finishing") for number in (1, 2, 3))
    text += start(66, 1) + stop(68, 1)  # the same car once more
    text += "".join(status(70 + number, number, "Available") for number in (1, 2, 3))
    text += status(81, 3, "Preparing") + status(85, 3, "Charging")
    rows = rows_of(text)
    assert spread_of(rows["plug-to-charging", ""]) == (3, 4 * S, 10 * S, 10 * S)
    row = rows["stop-to-available", ""]
    assert (row.n, row.low, row.high) == (2, 3 * S, 20 * S)
    for figure in ("plug-to-charging", "stop-to-available"):
        assert rows[figure, ""].counts["not_followed"] == 1
    monkeypatch.undo()
    assert rows_of(text)["stop-to-available", ""].n == 3
    assert "not_followed" not in rows_of(text)["stop-to-available", ""].counts


def test_evses_whose_charging_states_are_followed(monkeypatch: pytest.MonkeyPatch):
    """2.x: a car that is plugged in says so again and again; it counts once where it is followed."""
    monkeypatch.setattr(visits, "MAX_PLACES", 1)

    def event(at: float, number: int, kind: str, state: str, seq: int) -> str:
        info = {"transactionId": f"x{number}", "chargingState": state}
        payload = {
            "eventType": kind, "timestamp": stamp(at), "triggerReason": "CablePluggedIn", "seqNo": seq,
            "transactionInfo": info, "evse": {"id": number, "connectorId": 1},
        }  # fmt: skip
        return call(clock(at), f"e{number}{at}", "TransactionEvent", payload, {})

    text = BOOT.replace("1.6", "2.0.1")
    for number in (1, 2):
        text += event(10 + number, number, "Started", "EVConnected", 0)
        text += event(20 + number, number, "Updated", "Charging", 1)
    row = rows_of(text.replace('"evse": {"id": 2', '"evse": {"id": 1'))["plug-to-charging", ""]
    assert (row.n, row.counts.get("not_followed")) == (2, None)
    both = BOOT.replace("1.6", "2.0.1") + event(11, 1, "Started", "EVConnected", 0)
    both += event(12, 2, "Started", "EVConnected", 0) + event(13, 1, "Updated", "EVConnected", 1)
    both += event(21, 1, "Updated", "Charging", 2) + event(22, 2, "Updated", "Charging", 1)
    row = rows_of(both)["plug-to-charging", ""]
    assert spread_of(row) == (1, 10 * S, 10 * S, 10 * S)
    assert row.counts["not_followed"] == 1


@pytest.mark.parametrize(("apart", "lost"), [(1, 2), (30, 0)])
def test_tags_that_may_still_start_something(apart: int, lost: int):
    """The latest; one that had to go is counted unless it was too old to lead to anything."""
    count = visits.MAX_WAITING + 2
    text, end = BOOT, 10 + apart * count
    for number in range(count):
        text += call(clock(10 + apart * number), f"a{number}", "Authorize", {"idTag": f"T{number}"}, AUTHORIZED)
    text += start(end, 1, tag="T0") + start(end, 2, tag=f"T{count - 1}")
    row = rows_of(text)["authorize-to-start", ""]
    assert spread_of(row) == (1, apart * S, apart * S, apart * S)
    assert row.counts.get("not_followed", 0) == lost


@pytest.mark.parametrize(("apart", "lost"), [(1, 2), (30, 0)])
@pytest.mark.parametrize("what", ["start", "stop"])
def test_remote_commands_that_may_still_lead_to_something(apart: int, lost: int, what: str):
    count = visits.MAX_WAITING + 2
    text, end = BOOT, 20 + apart * count
    if what == "stop":
        text += start(5, 1) + start(5, count)
    for number in range(1, count + 1):
        ask: dict = {"idTag": f"T{number}", "connectorId": number} if what == "start" else {"transactionId": number}
        action = f"Remote{what.capitalize()}Transaction"
        text += call(clock(20 + apart * (number - 1)), f"r{number}", action, ask, {"status": "Accepted"}, by="←")
    text += "".join((start if what == "start" else stop)(end, number) for number in (1, count))
    row = rows_of(text)[f"remote-{what}", ""]
    assert spread_of(row) == (1, apart * S, apart * S, apart * S)
    assert row.counts.get("not_followed", 0) == lost


# --- meters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "lost"), [(2, 1), (3, 0)])
def test_connectors_whose_register_is_remembered_between_two_transactions(
    monkeypatch: pytest.MonkeyPatch, room: int, lost: int
):
    monkeypatch.setattr(energy, "MAX_PLACES", room)
    text = BOOT
    for begin in (10, 100):
        for number in (1, 2, 3):
            text += start(begin + number, number, meter=begin * 100)
        text += "".join(stop(begin + 50 + number, number, meter=begin * 100 + 500) for number in (1, 2, 3))
    row = rows_of(text)["energy-gap", ""]
    assert (row.n, row.low, row.high) == (3 - lost, 8500, 8500)
    assert row.counts.get("not_followed", 0) == 2 * lost  # both stops there


def followed(*, rounds: int = 4, count: int = 3) -> str:
    """Transactions whose meter values come in turn, each ten seconds."""
    text = BOOT + "".join(start(5, number) for number in range(1, count + 1))
    for at in range(10, 10 + 10 * rounds, 10):
        text += "".join(meter(at, number, at * 100) for number in range(1, count + 1))
    return text


@pytest.mark.parametrize("noted", [1, 5, metering.MAX_NOTED])
def test_meter_values_that_wait_to_be_looked_at(monkeypatch: pytest.MonkeyPatch, noted: int):
    """However many there is room for, no interval is lost."""
    most = 0

    class Noted(list[object]):
        def append(self, item: object, /) -> None:
            nonlocal most
            super().append(item)
            most = max(most, len(self))

    monkeypatch.setattr(metering, "MAX_NOTED", noted)
    inner = metering.MeteringFigures.__init__

    def init(self: metering.MeteringFigures, *parts: object) -> None:
        inner(self, *parts)  # type: ignore[arg-type]
        self._noted = Noted()  # type: ignore[assignment]

    monkeypatch.setattr(metering.MeteringFigures, "__init__", init)
    assert spread_of(rows_of(followed())["meter-interval", ""]) == (9, 10 * S, 10 * S, 10 * S)
    assert most == min(noted, 12)


@pytest.mark.parametrize(("room", "lost"), [(2, 1), (3, 0)])
def test_transactions_whose_meter_values_are_followed(monkeypatch: pytest.MonkeyPatch, room: int, lost: int):
    """Those that had some last; an open one that had to go begins anew, which is counted."""
    monkeypatch.setattr(metering, "MAX_NOTED", 3)
    monkeypatch.setattr(metering, "MAX_TRANSACTIONS", room)
    timing = timing_of(followed())
    row = next(one for one in timing.rows() if one.figure == "meter-interval")
    assert row.n == 9 - 3 * lost
    assert row.counts.get("not_followed", 0) == 4 * lost
    family = next(one for one in (*timing._families, *timing._others) if isinstance(one, metering.MeteringFigures))
    assert len(family._latest) == min(room, 3)


def test_transactions_that_are_over_make_room(monkeypatch: pytest.MonkeyPatch):
    """Nothing is lost by them, even where one that began before them goes on."""
    monkeypatch.setattr(metering, "MAX_NOTED", 1)
    monkeypatch.setattr(metering, "MAX_TRANSACTIONS", 2)
    text = BOOT + start(5, 1)
    for number in range(2, 8):
        at = 20 * number
        text += meter(at, 1, at * 10) + start(at, number) + meter(at + 1, number, 5) + stop(at + 2, number)
    row = rows_of(text)["meter-interval", ""]
    assert spread_of(row) == (5, 20 * S, 20 * S, 20 * S)
    assert "not_followed" not in row.counts


def test_meter_values_that_one_gap_can_miss():
    """A clock that jumps leaves out no more, as the definition says."""
    key = {"key": "MeterValueSampleInterval", "value": "1"}
    text = BOOT + call(clock(3), "c", "ChangeConfiguration", key, {"status": "Accepted"}, by="←") + start(5, 1)
    far = metering.MAX_MISSED + 3600
    text += meter(10, 1, 1) + meter(20, 1, 2) + meter(20 + far, 1, 3)
    row = rows_of(text)["meter-interval", ""]
    assert row.counts["missed"] == 9 + metering.MAX_MISSED
    definition = next(one.definition for one in timing_of(text).figures if one.id == "meter-interval")
    assert f"no more than {metering.MAX_MISSED:,} at once" in definition


# --- profiles -----------------------------------------------------------------------------------------------------


def profile(at: float, number: int, limit: float) -> str:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    one = {
        "chargingProfileId": number, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute", "chargingSchedule": schedule,
    }  # fmt: skip
    ask = {"connectorId": number, "csChargingProfiles": one}
    return call(clock(at), f"p{number}{at}", "SetChargingProfile", ask, {"status": "Accepted"}, by="←")


@pytest.mark.parametrize(("room", "lost"), [(2, 1), (3, 0)])
def test_connectors_whose_profiles_are_awaited(monkeypatch: pytest.MonkeyPatch, room: int, lost: int):
    """Those beyond are counted; a connector on which one is awaited takes another."""
    monkeypatch.setattr(commands, "MAX_PROFILES", room)
    text = BOOT + "".join(start(5, number) for number in (1, 2, 3))
    text += "".join(profile(10, number, 16) for number in (1, 2, 3)) + profile(12, 1, 10)
    text += "".join(meter(20, number, 1, 32) for number in (1, 2, 3))
    text += "".join(meter(30, number, 2, 6) for number in (1, 2, 3))
    row = rows_of(text)["profile-reaction", ""]
    assert (row.n, row.low) == (3 - lost, 18 * S)
    assert row.counts.get("not_followed", 0) == lost


@pytest.mark.parametrize("more", [0, 5])
def test_limits_that_are_told_apart(monkeypatch: pytest.MonkeyPatch, more: int):
    """No more are counted than the definition says."""
    definition = next(one.definition for one in timing_of(BOOT).figures if one.id == "profile-churn")
    assert f"no more than {commands.MAX_LIMITS:,}" in definition
    monkeypatch.setattr(commands, "MAX_LIMITS", 4)
    text = BOOT + "".join(profile(10 + at, 1, 10 + at) for at in range(4 + more))
    assert rows_of(text)["profile-churn", ""].counts["limits"] == 4


# --- connections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [0, 2])
def test_connections_at_the_same_time(more: int):
    """Those beyond do not count for the time with a connection, which is said."""
    count = connections.MAX_OPEN + more
    text = "".join(f"{clock(at)} #{at + 1} CP-1 → OPEN ocpp1.6\n" for at in range(count))
    text += "".join(f"{clock(200 + at)} #{at + 1} CP-1 → CLOSED FIN\n" for at in range(more, count))
    text += "".join(f"{clock(1000)} #{at + 1} CP-1 → CLOSED FIN\n" for at in range(more))
    row = rows_of(text)["availability", ""]
    assert row.counts.get("not_followed", 0) == more
    definition = next(one.definition for one in timing_of(text).figures if one.id == "availability")
    assert f"{connections.MAX_OPEN} newer ones" in definition


@pytest.mark.parametrize("more", [0, 3])
def test_connectors_that_are_awaited_after_a_boot(more: int):
    """Those that the capture can know of, in whatever order they report."""
    numbers = range(MAX_CONNECTORS + more)
    again = BOOT.replace("10:00:00", "11:00:00").replace("10:00:01", "11:00:01").replace('"b"', '"c"')
    text = BOOT + "".join(status(10, number, "Available") for number in numbers)
    text += f"{clock(3000)} CP-1 → CLOSED FIN\n" + again
    text += "".join(status(3700, number, "Preparing") for number in reversed(numbers))
    row = rows_of(text)["boot-ready", ""]
    assert (row.n, row.counts.get("incomplete", 0)) == (2, 0)
