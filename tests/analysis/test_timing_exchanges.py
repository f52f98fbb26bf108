"""Latency and what is counted with it, on conversations whose figures can be worked out by hand."""

from __future__ import annotations

import pytest
from support_timing import BOOT, MS, S, rows_of, spread_of, timing_of

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.timing import exchanges

LATENCY = "latency"


def beats(*pairs: tuple[str, str]) -> str:
    """Heartbeats asked and answered at these times."""
    return BOOT + "".join(
        f'{asked} CP-1 → [2,"h{at}","Heartbeat",{{}}]\n'
        + (f'{answered} CP-1 ← [3,"h{at}",{{"currentTime":"2026-11-22T10:00:00Z"}}]\n' if answered else "")
        for at, (asked, answered) in enumerate(pairs)
    )


def test_latency_is_from_call_to_answer():
    rows = rows_of(
        beats(("10:01:00.000", "10:01:00.010"), ("10:02:00.000", "10:02:00.030"), ("10:03:00.000", "10:03:00.020"))
    )
    row = rows[LATENCY, "Heartbeat station"]
    assert spread_of(row) == (3, 10 * MS, 20 * MS, 30 * MS)
    assert (row.p95, row.p99, row.severity, row.counts) == (None, None, None, {})
    assert spread_of(rows[LATENCY, "BootNotification station"]) == (1, 50 * MS, 50 * MS, 50 * MS)


@pytest.mark.parametrize(
    ("answered", "severity"),
    [("10:01:05.000", None), ("10:01:05.001", Severity.NOTE), ("10:01:10.001", Severity.WARNING),
     ("10:01:30.001", Severity.ERROR)],
)  # fmt: skip
def test_latency_is_flagged_by_its_most(answered, severity):
    assert rows_of(beats(("10:01:00.000", answered)))[LATENCY, "Heartbeat station"].severity is severity


def test_a_late_answer_counts_as_late_and_is_measured():
    row = rows_of(beats(("10:01:00.000", "10:01:40.000")))[LATENCY, "Heartbeat station"]
    assert (row.n, row.high, row.counts) == (1, 40 * S, {"late": 1})


def test_a_call_without_an_answer():
    rows = rows_of(beats(("10:01:00.000", "")) + "10:01:50.000 CP-1 → CLOSED FIN\n")
    row = rows[LATENCY, "Heartbeat station"]
    assert (row.n, row.p50, row.counts, row.severity) == (0, None, {"timeouts": 1}, Severity.ERROR)
    assert spread_of(rows["outstanding", "Heartbeat station"]) == (1, 50 * S, 50 * S, 50 * S)


def test_a_call_that_could_still_be_answered_is_open():
    row = rows_of(beats(("10:01:00.000", "")) + "10:01:10.000 CP-1 → CLOSED FIN\n")[LATENCY, "Heartbeat station"]
    assert (row.counts, row.severity) == ({"open": 1}, None)


def test_an_error_is_an_answer():
    talk = BOOT + '10:01:00.000 CP-1 → [2,"1","Heartbeat",{}]\n10:01:00.005 CP-1 ← [4,"1","InternalError","",{}]\n'
    row = rows_of(talk)[LATENCY, "Heartbeat station"]
    assert (row.n, row.high, row.counts) == (1, 5 * MS, {"errors": 1})


def test_both_directions_are_told_apart():
    talk = (
        BOOT
        + """
10:01:00.000 CP-1 → [2,"1","DataTransfer",{"vendorId":"x"}]
10:01:00.005 CP-1 ← [3,"1",{"status":"Accepted"}]
10:01:01.000 CP-1 ← [2,"1","DataTransfer",{"vendorId":"x"}]
10:01:01.007 CP-1 → [3,"1",{"status":"Accepted"}]
"""
    )
    rows = rows_of(talk)
    assert rows[LATENCY, "DataTransfer station"].high == 5 * MS
    assert rows[LATENCY, "DataTransfer csms"].high == 7 * MS


def test_a_repeated_call_is_counted_and_not_measured():
    talk = (
        BOOT
        + """
10:01:00.000 CP-1 → [2,"1","Heartbeat",{}]
10:01:20.000 CP-1 → [2,"1","Heartbeat",{}]
10:01:20.010 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:01:20Z"}]
10:02:00.000 CP-1 → [2,"2","Heartbeat",{}]
10:02:00.004 CP-1 ← [3,"2",{"currentTime":"2026-11-22T10:02:00Z"}]
"""
    )
    rows = rows_of(talk)
    row = rows[LATENCY, "Heartbeat station"]
    assert (row.n, row.high) == (1, 4 * MS)
    assert row.counts["repeated"] == 1
    assert rows["repeated-calls", "Heartbeat station"].value == pytest.approx(100 / 3)


def test_an_answer_after_missing_bytes_is_not_measured():
    talk = (
        BOOT
        + """
10:01:00.000 CP-1 → [2,"1","Heartbeat",{}]
10:01:01.000 CP-1 ← GAP 100
10:01:02.000 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:01:02Z"}]
10:02:00.000 CP-1 → [2,"2","Heartbeat",{}]
10:02:00.004 CP-1 ← [3,"2",{"currentTime":"2026-11-22T10:02:00Z"}]
"""
    )
    row = rows_of(talk)[LATENCY, "Heartbeat station"]
    assert (row.n, row.high, row.counts) == (1, 4 * MS, {"after_gap": 1})


def test_an_old_message_of_a_queue_is_not_measured():
    talk = (
        BOOT
        + """
10:01:00.000 CP-1 → [2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"2026-11-22T10:01:00Z"}]
10:01:00.004 CP-1 ← [3,"1",{}]
10:01:01.000 CP-1 → [2,"2","StartTransaction",{"connectorId":1,"idTag":"T","meterStart":0,"timestamp":"2026-11-22T08:00:00Z"}]
10:01:01.500 CP-1 ← [3,"2",{"transactionId":7,"idTagInfo":{"status":"Accepted"}}]
"""
    )
    rows = rows_of(talk)
    row = rows[LATENCY, "StartTransaction station"]
    assert (row.n, row.counts) == (0, {"replayed": 1})
    assert spread_of(rows["offline-messages", ""]) == (1, 1, 1, 1)


def test_authorize_is_judged_by_a_waiting_driver():
    talk = (
        BOOT
        + """
10:01:00.000 CP-1 → [2,"1","Authorize",{"idTag":"T"}]
10:01:02.500 CP-1 ← [3,"1",{"idTagInfo":{"status":"Accepted"}}]
"""
    )
    rows = rows_of(talk)
    assert (rows["authorize", ""].high, rows["authorize", ""].severity) == (2500 * MS, Severity.WARNING)
    assert rows[LATENCY, "Authorize station"].severity is None


def test_concurrency_is_weighted_by_time():
    talk = """
10:00:00.000 CP-1 → OPEN ocpp1.6
10:00:10.000 CP-1 → [2,"1","Heartbeat",{}]
10:00:15.000 CP-1 → [2,"2","DataTransfer",{"vendorId":"x"}]
10:00:20.000 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:00:20Z"}]
10:00:25.000 CP-1 ← [3,"2",{"status":"Accepted"}]
10:01:40.000 CP-1 → CLOSED FIN
"""
    row = rows_of(talk)["concurrency", "station"]
    assert row.value == pytest.approx((10 + 10) / 100)
    assert (row.counts, row.severity) == ({"peak": 2}, Severity.NOTE)


def test_sizes_and_bytes():
    talk = (
        BOOT
        + """
10:01:00.000 CP-1 → [2,"1","Heartbeat",{}]
10:01:00.010 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:01:00Z"}]
"""
    )
    rows, call, answer = rows_of(talk), b'[2,"1","Heartbeat",{}]', b'[3,"1",{"currentTime":"2026-11-22T10:01:00Z"}]'
    assert rows["message-size", "Heartbeat station"].high == len(call)
    assert rows["message-size", "Heartbeat csms"].high == len(answer)
    assert rows["text-bytes", "Heartbeat station"].value == len(call) + len(answer)
    assert rows["message-rate", "Heartbeat station"].counts == {"peak_per_min": 2}


def test_a_large_message_is_noted():
    talk = BOOT + '10:01:00.000 CP-1 → [2,"1","DataTransfer",{"vendorId":"x","data":"%s"}]\n' % ("y" * 17_000)
    assert rows_of(talk)["message-size", "DataTransfer station"].severity is Severity.NOTE


def test_hours_are_told_apart():
    rows = rows_of(beats(("10:58:00.000", "10:58:00.010"), ("11:01:00.000", "11:01:00.030")), by="hour")
    assert rows[LATENCY, "Heartbeat station 2026-11-22 10:00"].high == 10 * MS
    assert rows[LATENCY, "Heartbeat station 2026-11-22 11:00"].high == 30 * MS


TWO = """
10:00:00.000 CP-1 → OPEN ocpp1.6
10:00:00.000 CP-2 → OPEN ocpp1.6
10:00:01.000 CP-1 → [2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]
10:00:01.010 CP-1 ← [3,"1",{"status":"Accepted","currentTime":"2026-11-22T10:00:01Z","interval":60}]
10:00:02.000 CP-2 → [2,"1","BootNotification",{"chargePointVendor":"W","chargePointModel":"N","firmwareVersion":"2"}]
10:00:02.030 CP-2 ← [3,"1",{"status":"Accepted","currentTime":"2026-11-22T10:00:02Z","interval":60}]
"""


def test_stations_together_apart_and_alone():
    assert spread_of(rows_of(TWO)[LATENCY, "BootNotification station"]) == (2, 10 * MS, 10 * MS, 30 * MS)
    apart = rows_of(TWO, by="station")
    assert apart[LATENCY, "CP-1 BootNotification station"].high == 10 * MS
    assert apart[LATENCY, "CP-2 BootNotification station"].high == 30 * MS
    alone = rows_of(TWO, station="CP-2")
    assert alone[LATENCY, "CP-2 BootNotification station"].high == 30 * MS
    assert {row.station for row in alone.values()} == {"CP-2"}


def test_models_are_told_apart():
    rows = rows_of(TWO, by="model")
    assert rows[LATENCY, "BootNotification station V M"].high == 10 * MS
    assert rows[LATENCY, "BootNotification station W N 2"].high == 30 * MS


def test_processing_is_latency_less_the_round_trip_to_who_answers():
    timing = timing_of(TWO)
    timing._ledger.people["CP-1"].rtt_ns = [1 * MS, 4 * MS]
    rows = {(row.figure, row.part): row for row in timing.rows()}
    row = rows["processing", "BootNotification station"]
    assert spread_of(row) == (1, 6 * MS, 6 * MS, 6 * MS)  # of CP-2 no round trip is known
    assert "network_ns" not in rows[LATENCY, "BootNotification station"].counts
    alone = {row.figure: row for row in timing.rows(station="CP-1")}
    assert alone[LATENCY].counts == {"network_ns": 4 * MS}


def test_heard_is_the_time_without_long_silence():
    talk = (
        BOOT
        + """
10:01:00.000 CP-1 → [2,"1","Heartbeat",{}]
10:01:00.000 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:01:00Z"}]
10:02:00.000 CP-1 → PING "x"
10:06:00.000 CP-1 → [2,"2","Heartbeat",{}]
10:06:00.000 CP-1 ← [3,"2",{"currentTime":"2026-11-22T10:06:00Z"}]
10:10:01.000 CP-1 → [2,"3","Heartbeat",{}]
10:10:01.000 CP-1 ← [3,"3",{"currentTime":"2026-11-22T10:10:01Z"}]
"""
    )
    row = rows_of(talk)["heard", ""]  # from 10:00:01; silent after 10:04:00 and after 10:08:00
    assert row.value == pytest.approx(100 * (600 - 120 - 121) / 600)
    assert (row.n, row.severity) == (10, Severity.WARNING)


def test_a_journal_that_is_full_loses_nothing(monkeypatch):
    monkeypatch.setattr(exchanges, "MAX_JOURNAL", 500)
    monkeypatch.setattr(exchanges, "MAX_NOTED", 4)
    talk = beats(*((f"10:{minute:02}:00.000", f"10:{minute:02}:00.0{minute:02}") for minute in range(10, 40)))
    row = rows_of(talk)[LATENCY, "Heartbeat station"]
    assert (*spread_of(row), row.p95) == (30, 10 * MS, 24 * MS, 39 * MS, 38 * MS)
    assert rows_of(talk)["message-rate", "Heartbeat station"].n == 60


def test_actions_are_bounded(monkeypatch):
    monkeypatch.setattr(exchanges, "MAX_ACTIONS", 3)
    talk = BOOT + "".join(
        f'10:01:{at:02}.000 CP-1 → [2,"a{at}","Odd{at}",{{}}]\n10:01:{at:02}.010 CP-1 ← [3,"a{at}",{{}}]\n'
        for at in range(9)
    )
    rows = rows_of(talk)
    assert rows[LATENCY, "(others) station"].n == 7
    assert sum(row.n for (figure, _), row in rows.items() if figure == LATENCY) == 10
