"""Visits, energy and meter values, on conversations whose figures can be worked out by hand."""

from __future__ import annotations

import json

import pytest
from support_timing import BOOT, MS, S, rows_of, spread_of

from ocppscope.analysis.finding import Severity

DAY = "2026-11-22T"


def call(
    time: str, id_: str, action: str, payload: dict, answer: dict | None = None, *, late: str = "", by: str = "→"
) -> str:
    """A CALL and its answer."""
    back = {"→": "←", "←": "→"}[by]
    text = f"{time} CP-1 {by} {json.dumps([2, id_, action, payload])}\n"
    return text if answer is None else text + f"{late or time} CP-1 {back} {json.dumps([3, id_, answer])}\n"


def status(time: str, state: str, number: int = 1) -> str:
    payload = {"connectorId": number, "errorCode": "NoError", "status": state, "timestamp": f"{DAY}{time}Z"}
    return call(time, f"s{time}{number}", "StatusNotification", payload, {})


def start(time: str, meter: int = 1000, stamp: str = "", transaction: int = 7) -> str:
    payload = {"connectorId": 1, "idTag": "TAG", "meterStart": meter, "timestamp": f"{DAY}{stamp or time}Z"}
    answer = {"transactionId": transaction, "idTagInfo": {"status": "Accepted"}}
    return call(time, f"start{time}", "StartTransaction", payload, answer)


def stop(time: str, meter: int, stamp: str = "", transaction: int = 7) -> str:
    payload = {"transactionId": transaction, "meterStop": meter, "timestamp": f"{DAY}{stamp or time}Z"}
    return call(time, f"stop{time}", "StopTransaction", payload, {"idTagInfo": {"status": "Accepted"}})


def meter(
    time: str, wh: float | None = None, watts: float | None = None, amps: tuple[float, ...] = (), **more: float
) -> str:
    values = (
        [] if wh is None else [{"value": str(wh), "unit": "Wh", "context": more.get("context", "Sample.Periodic")}]
    )
    if watts is not None:
        values.append({"value": str(watts), "measurand": "Power.Active.Import", "unit": "W"})
    values += [
        {"value": str(amp), "measurand": "Current.Import", "unit": "A", "phase": f"L{line}"}
        for line, amp in enumerate(amps, 1)
    ]
    if "interval" in more:
        values.append({"value": str(more["interval"]), "measurand": "Energy.Active.Import.Interval", "unit": "Wh"})
    payload = {
        "connectorId": 1, "transactionId": 7, "meterValue": [{"timestamp": f"{DAY}{time}Z", "sampledValue": values}],
    }  # fmt: skip
    return call(time, f"m{time}", "MeterValues", payload, {})


def setting(key: str, value: str) -> str:
    return call(
        "10:00:05", f"set{key}", "ChangeConfiguration", {"key": key, "value": value}, {"status": "Accepted"}, by="←"
    )


REMOTE = call(
    "10:10:00.000", "r", "RemoteStartTransaction", {"idTag": "TAG", "connectorId": 1}, {"status": "Accepted"},
    late="10:10:00.200", by="←",
)  # fmt: skip
AUTHORIZE = call(
    "10:10:01.000", "a", "Authorize", {"idTag": "TAG"}, {"idTagInfo": {"status": "Accepted"}}, late="10:10:02.000"
)
VISIT = (
    BOOT + status("10:00:10", "Available") + status("10:09:50", "Preparing") + REMOTE + AUTHORIZE + start("10:10:06")
    + status("10:10:08", "Charging")
)  # fmt: skip


def test_a_visit_step_by_step():
    rows = rows_of(VISIT)
    assert rows["plug-to-charging", ""].high == 18 * S
    assert rows["authorize-to-start", ""].high == 4 * S
    assert (rows["remote-start", ""].high, rows["remote-start", ""].severity) == (6 * S, None)
    assert rows["remote-start-steps", "answer"].high == 200 * MS
    assert rows["remote-start-steps", "Authorize"].high == 1 * S
    assert rows["remote-start-steps", "Charging"].high == 8 * S
    assert rows["start-to-charging", ""].high == 2 * S


def test_a_visit_ends():
    stopping = call(
        "10:40:00.000",
        "rs",
        "RemoteStopTransaction",
        {"transactionId": 7},
        {"status": "Accepted"},
        late="10:40:00.100",
        by="←",
    )
    rows = rows_of(
        VISIT + stopping + stop("10:40:12", 6000) + status("10:40:13", "Finishing") + status("10:50:12", "Available")
    )
    assert (rows["remote-stop", ""].high, rows["remote-stop", ""].severity) == (12 * S, Severity.NOTE)
    assert rows["remote-stop-answer", ""].high == 100 * MS
    assert rows["stop-to-available", ""].high == 600 * S
    assert rows["finishing", ""].high == 599 * S


def test_a_refused_remote_start_leads_to_nothing():
    refused = REMOTE.replace('"status": "Accepted"', '"status": "Rejected"')
    rows = rows_of(BOOT + refused + start("10:10:06"))
    assert ("remote-start", "") not in rows
    assert rows["command-success", "RemoteStartTransaction"].value == 0


def test_a_remote_start_elsewhere_leads_to_nothing():
    elsewhere = REMOTE.replace('"connectorId": 1', '"connectorId": 2')
    assert ("remote-start", "") not in rows_of(BOOT + elsewhere + start("10:10:06"))


def test_an_authorization_that_takes_longer_than_the_connection_timeout():
    row = rows_of(BOOT + setting("ConnectionTimeOut", "3") + AUTHORIZE + start("10:10:06"))["authorize-to-start", ""]
    assert (row.high, row.counts, row.severity) == (4 * S, {"beyond": 1}, Severity.WARNING)


def test_duration_energy_and_power():
    talk = BOOT + start("10:00:10", 1000, "10:00:00") + stop("10:30:20", 6500, "10:30:00")
    rows = rows_of(talk)
    assert rows["duration", ""].high == 1800 * S
    assert rows["duration-arrival", ""].high == 1810 * S
    assert rows["energy", ""].high == 5500
    assert rows["average-power", ""].high == pytest.approx(11_000)


@pytest.mark.parametrize(("time", "counts"), [("10:01:09.900", {"short": 1}), ("10:01:10.100", {})])
def test_a_short_transaction_is_noted(time, counts):
    row = rows_of(BOOT + start("10:00:10") + stop(time, 1000))["duration", ""]
    assert (row.counts, row.severity) == (counts, Severity.NOTE if counts else None)


def test_of_a_transaction_whose_start_is_not_there_little_is_told():
    rows = rows_of(BOOT + stop("10:30:00", 6500))
    assert not {"duration", "energy", "average-power"} & {figure for figure, _ in rows}


SAMPLES = (
    BOOT + start("10:01:00", 1000)
    + meter("10:02:00", 1000, 0, (0.0, 0.0, 0.0))
    + meter("10:03:00", 1005, 6000, (9.0, 9.0, 0.4))
    + meter("10:04:00", 1105, 6000, (9.0, 9.0, 0.4))
    + meter("10:05:00", 1205, 6000, (9.0, 9.0, 0.4))
    + meter("10:06:00", 1300, 400, (1.8, 0.0, 0.4))
    + meter("10:07:00", 1300, 100, (0.4, 0.0, 0.4))
)  # fmt: skip


def test_readings():
    rows = rows_of(SAMPLES + stop("10:11:00", 1300))
    assert rows["start-to-energy", ""].high == 180 * S  # at 10:04, the first 10 Wh above
    assert rows["peak-power", ""].high == 6000
    assert rows["phases", ""].high == 2
    assert rows["charging-share", ""].high == pytest.approx(100 * 4 / 10)  # from 10:02, on the mean, to 10:06
    assert rows["idle-after-charge", ""].high == 300 * S
    by_power = (3000 + 6000 + 6000 + 3200 + 250) / 60
    row = rows["energy-mismatch", "power"]
    assert row.high == pytest.approx(100 * abs(300 - by_power) / by_power)
    assert row.severity is None


def test_without_power_the_register_tells_when_it_charged():
    talk = (
        BOOT
        + start("10:01:00", 1000)
        + "".join(meter(time, wh) for time, wh in (("10:02:00", 1000), ("10:03:00", 1100), ("10:04:00", 1101)))
    )
    assert rows_of(talk + stop("10:11:00", 1101))["charging-share", ""].high == pytest.approx(100 * 1 / 10)


def test_energy_that_does_not_agree_with_the_intervals():
    talk = (
        BOOT + start("10:01:00", 1000) + meter("10:02:00", 1500, interval=500) + meter("10:03:00", 2000, interval=300)
    )
    row = rows_of(talk + stop("10:05:00", 2000))["energy-mismatch", "intervals"]
    assert (row.high, row.counts, row.severity) == (pytest.approx(20), {"beyond": 1}, Severity.WARNING)


def test_readings_far_apart_are_not_added_up():
    times = [f"1{hour}:{minute}:00" for hour in range(3) for minute in ("05", "25", "45")]
    talk = (
        BOOT + start("10:01:00", 1000) + "".join(meter(time, 1000, 9000) for time in times) + stop("12:50:00", 1000)
    )
    assert ("energy-mismatch", "power") not in rows_of(talk)


def test_energy_between_transactions():
    talk = BOOT + start("10:01:00", 1000) + stop("10:05:00", 2000) + start("10:10:00", 2150, transaction=8)
    row = rows_of(talk + stop("10:15:00", 3000, transaction=8))["energy-gap", ""]
    assert (*spread_of(row), row.severity) == (1, 150, 150, 150, Severity.WARNING)


def test_meter_values_that_are_missing():
    times = ("10:02:00", "10:03:00", "10:04:00", "10:07:00", "10:08:00")
    talk = BOOT + setting("MeterValueSampleInterval", "60") + start("10:01:00")
    row = rows_of(talk + "".join(meter(time, 1000 + at) for at, time in enumerate(times)))["meter-interval", ""]
    assert spread_of(row) == (4, 60 * S, 60 * S, 180 * S)
    assert (row.counts, row.severity) == ({"beyond": 1, "missed": 2, "interval_ns": 60 * S}, Severity.WARNING)


def test_clock_aligned_samples():
    talk = BOOT + setting("ClockAlignedDataInterval", "900") + start("10:01:00")
    talk += "".join(meter(time, 1000, context="Sample.Clock") for time in ("10:15:02", "10:29:59", "10:45:00"))
    row = rows_of(talk)["aligned-offset", ""]
    assert spread_of(row) == (3, -1 * S, 0, 2 * S)


def event(time: str, kind: str, seq: int, **more: object) -> str:
    info = {"transactionId": "T1", **({"chargingState": more.pop("state")} if "state" in more else {})}
    if "remote" in more:
        info["remoteStartId"] = more.pop("remote")
    payload = {
        "eventType": kind, "timestamp": f"{DAY}{time}Z", "triggerReason": "Trigger", "seqNo": seq, "transactionInfo": info,
        "evse": {"id": 1, "connectorId": 1}, **more,
    }  # fmt: skip
    return call(time, f"e{seq}", "TransactionEvent", payload, {})


def test_a_visit_in_2x():
    opened = "10:00:00.000 CP-1 → OPEN ocpp2.0.1\n"
    remote = call(
        "10:10:00", "r", "RequestStartTransaction",
        {"idToken": {"idToken": "TAG", "type": "Central"}, "remoteStartId": 5, "evseId": 1}, {"status": "Accepted"}, by="←",
    )  # fmt: skip
    energy = [{"timestamp": f"{DAY}10:10:20Z", "sampledValue": [{"value": 5000}]}]
    later = [{"timestamp": f"{DAY}10:20:00Z", "sampledValue": [{"value": 7000}]}]
    talk = (
        opened + remote + event("10:10:03", "Started", 0, state="EVConnected")
        + event("10:10:07", "Updated", 1, remote=5, idToken={"idToken": "TAG", "type": "Central"})
        + event("10:10:20", "Updated", 2, state="Charging", meterValue=energy)
        + event("10:20:00", "Updated", 3, meterValue=later) + event("10:30:03", "Ended", 4, meterValue=later)
    )  # fmt: skip
    rows = rows_of(talk)
    assert rows["remote-start", ""].high == 7 * S
    assert rows["plug-to-charging", ""].high == 17 * S
    assert rows["start-to-charging", ""].high == 17 * S
    assert rows["start-to-energy", ""].high == 597 * S
    assert rows["duration", ""].high == 1200 * S
    assert rows["energy", ""].high == 2000
