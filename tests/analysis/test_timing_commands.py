"""Clocks, commands and offline queues, on conversations whose figures can be worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_timing import BOOT, S, rows_of, spread_of
from test_timing_transactions import DAY, call, meter, start

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.timing import clock
from ocppscope.analysis.timing.clock import Fit

START = datetime(2026, 11, 22, 10, 0, 10, tzinfo=UTC)


def statuses(skews: list[float], every_s: float = 60.0) -> str:
    """StatusNotifications whose timestamps are so many seconds ahead."""
    text = ""
    for at, skew in enumerate(skews):
        time = START + timedelta(seconds=at * every_s)
        stamp = (time + timedelta(seconds=skew)).isoformat().replace("+00:00", "Z")
        payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": stamp}
        text += call(time.strftime("%H:%M:%S.%f"), f"s{at}", "StatusNotification", payload, {})
    return text


@pytest.mark.parametrize(
    ("skew", "severity"),
    [
        (0, None),
        (9, None),
        (11, Severity.NOTE),
        (-31, Severity.WARNING),
        (301, Severity.ERROR),
        (-400, Severity.ERROR),
    ],
)
def test_skew_is_judged_by_its_median(skew, severity):
    row = rows_of(BOOT + statuses([skew] * 5 + [0]))["clock-skew", "after sync"]
    assert (row.n, row.p50, row.severity) == (6, skew * S, severity)


def test_skew_before_and_after_the_csms_told_the_time():
    opened, rest = BOOT.strip().split("\n", 1)
    before = statuses([50, 50, 50], every_s=0.1).replace("10:00:10", "10:00:00")
    late = rest.replace("10:00:01", "10:00:09")
    rows = rows_of(f"{opened}\n{before}{late}\n{statuses([1, 1])}")
    assert rows["clock-skew", "before sync"].n == 3
    assert spread_of(rows["clock-skew", "after sync"]) == (2, 1 * S, 1 * S, 1 * S)


def test_drift():
    skews = [5 + at * 60 * 100e-6 for at in range(30)]  # 100 ppm
    row = rows_of(BOOT + statuses(skews))["clock-drift", ""]
    assert row.value == pytest.approx(100, abs=0.5)
    assert row.n == 30


def test_drift_is_not_told_of_little():
    assert ("clock-drift", "") not in rows_of(BOOT + statuses([1.0] * 19))
    assert ("clock-drift", "") not in rows_of(BOOT + statuses([1.0] * 30, every_s=1))


@given(
    st.lists(st.tuples(st.integers(2, 30), st.floats(-100, 100)), min_size=1, max_size=4), st.floats(-500, 500),
    st.integers(1, 40),
)  # fmt: skip
def test_a_fit_finds_the_slope_whatever_the_offsets(segments, ppm, cut):
    times, values, names = [], [], []
    for name, (count, offset) in enumerate(segments):
        for _ in range(count):
            at = len(times) * 10
            times.append(at * S)
            values.append(round((offset + at * ppm / 1e6) * S))
            names.append(name)
    fit, columns = Fit(), [np.array(one, np.int64) for one in (times, values, names)]
    for part in (slice(0, cut), slice(cut, None)):
        if len(columns[0][part]):
            fit.take(*(one[part] for one in columns))
    if fit.sxx > 0:
        assert fit.sxy / fit.sxx * 1e6 == pytest.approx(ppm, abs=0.01)
        assert fit.total == len(times)


def test_the_clock_of_the_csms():
    talk = (
        BOOT
        + '10:01:00 CP-1 → [2,"1","Heartbeat",{}]\n10:01:00 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:01:31Z"}]\n'
    )
    row = rows_of(talk)["csms-clock", ""]
    assert (row.n, row.high) == (2, 31 * S)
    later = (
        talk
        + '10:02:00 CP-1 → [2,"2","Heartbeat",{}]\n10:02:00 CP-1 ← [3,"2",{"currentTime":"2026-11-22T10:02:31Z"}]\n'
    )
    assert rows_of(later)["csms-clock", ""].severity is Severity.ERROR


def test_delivery_delay_is_against_the_median_of_the_clock():
    row = rows_of(BOOT + statuses([5, 5, 5, 5, -15]))["delivery-delay", "after sync"]
    assert (row.n, row.p50, row.high, row.severity) == (5, 0, 20 * S, Severity.WARNING)


def test_a_journal_that_is_full_loses_nothing(monkeypatch):
    monkeypatch.setattr(clock, "MAX_NOTED", 7)
    rows = rows_of(BOOT + statuses([5.0] * 30))
    assert (rows["clock-skew", "after sync"].n, rows["clock-drift", ""].value) == (30, pytest.approx(0, abs=1e-6))


def test_an_offline_queue():
    talk = BOOT + statuses([0, 0, 0], every_s=1)
    for at in range(5):
        old = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": f"{DAY}08:0{at}:00Z"}
        answer = {"transactionId": at + 1, "idTagInfo": {"status": "Accepted"}}
        talk += call(f"10:01:{at * 10:02}", f"o{at}", "StartTransaction", old, answer)
    rows = rows_of(talk)
    assert rows["offline-messages", ""].high == 5
    assert rows["offline-drain", ""].high == 40 * S
    assert rows["offline-rate", ""].high == pytest.approx(6)
    assert rows["offline-age", ""].high == 7260 * S
    assert rows["latency", "StartTransaction station"].counts == {"replayed": 5}


def ask(time: str, id_: str, action: str, payload: dict, answer: dict, **more: str) -> str:
    return call(time, id_, action, payload, answer, by="←", **more)


def test_success_of_commands():
    talk = BOOT + ask("10:01:00", "1", "UnlockConnector", {"connectorId": 1}, {"status": "Unlocked"})
    talk += ask("10:01:01", "2", "UnlockConnector", {"connectorId": 1}, {"status": "UnlockFailed"})
    talk += (
        '10:01:02 CP-1 ← [2,"3","UnlockConnector",{"connectorId":1}]\n10:01:02 CP-1 → [4,"3","InternalError","",{}]\n'
    )
    talk += '10:01:03 CP-1 ← [2,"4","UnlockConnector",{"connectorId":1}]\n10:01:50 CP-1 → CLOSED FIN\n'
    row = rows_of(talk)["command-success", "UnlockConnector"]
    assert (row.n, row.value, row.counts) == (4, 25, {"UnlockFailed": 1, "error": 1, "no_answer": 1})


def test_commands_that_fail_often_are_noted():
    talk = BOOT + "".join(
        ask(f"10:01:0{at}", f"{at}", "Reset", {"type": "Soft"}, {"status": "Rejected"}) for at in range(5)
    )
    assert rows_of(talk)["command-success", "Reset"].severity is Severity.NOTE


def profile(time: str, id_: str, limit: float) -> str:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    payload = {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute", "chargingSchedule": schedule,
        },
    }  # fmt: skip
    return ask(time, id_, "SetChargingProfile", payload, {"status": "Accepted"})


def test_a_profile_takes_effect():
    talk = BOOT + start("10:01:00") + meter("10:02:00", 1000, amps=(16.0, 16.0, 16.0)) + profile("10:02:10", "p1", 10)
    talk += meter("10:02:30", 1050, amps=(14.0, 14.0, 14.0)) + meter("10:03:30", 1100, amps=(10.4, 10.4, 10.4))
    row = rows_of(talk)["profile-reaction", ""]
    assert (row.n, row.high, row.severity) == (1, 80 * S, Severity.WARNING)


def test_a_profile_without_effect():
    talk = BOOT + start("10:01:00") + meter("10:02:00", 1000, amps=(16.0, 16.0, 16.0)) + profile("10:02:10", "p1", 10)
    row = rows_of(talk + meter("10:13:00", 2000, amps=(16.0, 16.0, 16.0)))["profile-reaction", ""]
    assert (row.n, row.counts, row.severity) == (0, {"none": 1}, Severity.WARNING)


def test_a_profile_that_changes_nothing_is_not_waited_for():
    talk = BOOT + start("10:01:00") + meter("10:02:00", 1000, amps=(8.0, 8.0, 8.0)) + profile("10:02:10", "p1", 10)
    assert ("profile-reaction", "") not in rows_of(talk + meter("10:03:00", 1100, amps=(8.0, 8.0, 8.0)))


def test_churn_of_profiles():
    talk = BOOT + "".join(profile(f"10:0{1 + at // 6}:{at % 6 * 10:02}", f"p{at}", 6 + at % 3) for at in range(13))
    row = rows_of(talk)["profile-churn", ""]
    assert (row.n, row.value) == (13, pytest.approx(13 / 2))
    assert (row.counts, row.severity) == ({"peak_per_min": 7, "limits": 3}, Severity.NOTE)


def firmware(time: str, status: str) -> str:
    return call(time, f"f{time}", "FirmwareStatusNotification", {"status": status}, {})


def test_a_firmware_update():
    location = {"location": "ftp://example/x", "retrieveDate": f"{DAY}10:01:00Z"}
    talk = BOOT + ask("10:01:00", "u", "UpdateFirmware", location, {})
    steps = (
        ("10:01:05", "Downloading"),
        ("10:02:05", "Downloaded"),
        ("10:02:06", "Installing"),
        ("10:35:00", "Installed"),
    )
    rows = rows_of(talk + "".join(firmware(*step) for step in steps) + firmware("10:40:00", "Installed"))
    assert {part: row.high for (figure, part), row in rows.items() if figure == "firmware"} == {
        "UpdateFirmware → Downloading": 5 * S, "Downloading → Downloaded": 60 * S, "Downloaded → Installing": 1 * S,
        "Installing → Installed": 1974 * S,
    }  # fmt: skip
    assert rows["firmware", "Installing → Installed"].severity is Severity.WARNING


def test_a_log_upload():
    talk = BOOT + ask("10:01:00", "1", "GetDiagnostics", {"location": "ftp://example/x"}, {"fileName": "x"})
    talk += call("10:01:05", "2", "DiagnosticsStatusNotification", {"status": "Uploading"}, {})
    talk += call("10:01:25", "3", "DiagnosticsStatusNotification", {"status": "Uploaded"}, {})
    talk += ask("10:02:00", "4", "GetDiagnostics", {"location": "ftp://example/x"}, {"fileName": "x"})
    talk += call("10:02:05", "5", "DiagnosticsStatusNotification", {"status": "UploadFailed"}, {})
    row = rows_of(talk)["log-upload", ""]
    assert (row.n, row.high, row.counts) == (1, 25 * S, {"failed": 1})


def test_a_certificate():
    talk = BOOT + call("10:01:00", "1", "SignCertificate", {"csr": "x"}, {"status": "Accepted"})
    talk += ask(
        "10:01:30", "2", "CertificateSigned", {"certificateChain": "x"}, {"status": "Accepted"}, late="10:01:31"
    )
    rows = rows_of(talk + "10:01:40 CP-1 → CLOSED FIN\n10:02:01 CP-1 → OPEN ocpp1.6\n")
    assert rows["certificate", "SignCertificate → CertificateSigned"].high == 30 * S
    assert rows["certificate", "CertificateSigned → answer"].high == 1 * S
    assert rows["certificate", "answer → upgrade"].high == 30 * S


def test_a_report():
    talk = "10:00:00 CP-1 → OPEN ocpp2.0.1\n"
    talk += ask(
        "10:01:00", "1", "GetBaseReport", {"requestId": 3, "reportBase": "FullInventory"}, {"status": "Accepted"}
    )
    item = {"component": {"name": "A"}, "variable": {"name": "B"}, "variableAttribute": [{"value": "1"}]}
    for at, (time, more) in enumerate((("10:01:02", True), ("10:01:05", True), ("10:02:10", False))):
        payload = {"requestId": 3, "seqNo": at, "generatedAt": f"{DAY}{time}Z", "tbc": more, "reportData": [item] * 7}
        talk += call(time, f"n{at}", "NotifyReport", payload, {})
    rows = rows_of(talk)
    assert (rows["report", ""].high, rows["report", ""].counts) == (70 * S, {"variables": 21})
    assert (*spread_of(rows["report-gap", ""]), rows["report-gap", ""].severity) == (
        2,
        3 * S,
        3 * S,
        65 * S,
        Severity.WARNING,
    )
    assert rows["report-rate", ""].high == pytest.approx(0.3)
