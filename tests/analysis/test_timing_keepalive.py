"""Heartbeats and pings, on conversations whose figures can be worked out by hand."""

from __future__ import annotations

import pytest
from support_timing import BOOT, MS, S, rows_of, spread_of

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.timing import keepalive


def beat(time: str, id_: str) -> str:
    return f'{time} CP-1 → [2,"{id_}","Heartbeat",{{}}]\n{time} CP-1 ← [3,"{id_}",{{"currentTime":"2026-11-22T{time}Z"}}]\n'


def test_heartbeats_off_their_time():
    times = ("10:01:00", "10:02:00", "10:02:50", "10:03:55", "10:04:55")
    rows = rows_of(BOOT + "".join(beat(time, f"h{time}") for time in times))
    assert spread_of(rows["heartbeat-interval", ""]) == (4, 50 * S, 60 * S, 65 * S)
    row = rows["heartbeat-jitter", ""]
    assert (*spread_of(row), row.counts, row.severity) == (4, 0, 0, 10 * S, {"interval_ns": 60 * S}, None)


def test_a_heartbeat_far_off_is_noted():
    row = rows_of(BOOT + beat("10:01:00", "1") + beat("10:01:10", "2"))["heartbeat-jitter", ""]
    assert (row.high, row.counts["beyond"], row.severity) == (50 * S, 1, Severity.NOTE)


def test_a_heartbeat_left_out_for_another_message():
    other = '10:01:50 CP-1 → [2,"d","DataTransfer",{"vendorId":"x"}]\n10:01:50 CP-1 ← [3,"d",{"status":"Accepted"}]\n'
    rows = rows_of(BOOT + beat("10:01:00", "1") + other + beat("10:03:00", "2"))
    assert spread_of(rows["heartbeat-interval", ""]) == (1, 120 * S, 120 * S, 120 * S)
    assert (rows["heartbeat-jitter", ""].n, rows["heartbeat-jitter", ""].counts) == (0, {"skipped": 1})


def test_pings_and_pongs():
    talk = (
        BOOT
        + """
10:01:00.000 CP-1 → PING "a"
10:01:00.020 CP-1 ← PONG "a"
10:01:30.000 CP-1 → PING "b"
10:01:30.040 CP-1 ← PONG "b"
10:02:10.000 CP-1 → PING "c"
10:02:10.010 CP-1 ← PONG "c"
10:02:11.000 CP-1 ← PING "x"
10:02:13.500 CP-1 → PONG "x"
"""
    )
    rows = rows_of(talk)
    assert spread_of(rows["ping-rtt", "station"]) == (3, 10 * MS, 20 * MS, 40 * MS)
    assert (rows["ping-rtt", "csms"].high, rows["ping-rtt", "csms"].severity) == (2500 * MS, Severity.WARNING)
    assert spread_of(rows["ping-interval", "station"]) == (2, 30 * S, 30 * S, 40 * S)
    assert (rows["ping-loss", "station"].n, rows["ping-loss", "station"].value) == (3, 0)


def test_a_lost_ping():
    talk = (
        BOOT
        + """
10:01:00 CP-1 → PING "a"
10:01:30 CP-1 → PING "b"
10:01:30 CP-1 ← PONG "b"
10:02:00 CP-1 → PING "c"
10:02:05 CP-1 → CLOSED FIN
"""
    )
    row = rows_of(talk)["ping-loss", "station"]  # nobody knows of the last one
    assert (row.n, row.value, row.severity) == (3, pytest.approx(100 / 3), Severity.ERROR)


def test_a_pong_answers_earlier_pings_too():
    talk = BOOT + '10:01:00 CP-1 → PING "a"\n10:01:01 CP-1 → PING "b"\n10:01:02 CP-1 ← PONG "b"\n'
    rows = rows_of(talk)
    assert (rows["ping-rtt", "station"].n, rows["ping-loss", "station"].value) == (1, 0)


def test_pings_of_the_same_content_are_answered_in_order():
    talk = (
        BOOT
        + """
10:01:00 CP-1 → PING ""
10:01:01 CP-1 → PING ""
10:01:03 CP-1 ← PONG ""
10:01:03 CP-1 ← PONG ""
"""
    )
    assert spread_of(rows_of(talk)["ping-rtt", "station"]) == (2, 2 * S, 2 * S, 3 * S)


def test_a_pong_that_was_not_asked_for_is_none():
    assert ("ping-rtt", "csms") not in rows_of(BOOT + '10:01:00 CP-1 → PONG "a"\n')


def test_what_was_on_its_way_when_bytes_went_missing_is_not_lost():
    talk = BOOT + '10:01:00 CP-1 → PING "a"\n10:01:01 CP-1 ← GAP 10\n10:03:00 CP-1 → CLOSED FIN\n'
    assert ("ping-loss", "station") not in rows_of(talk)


def test_pings_that_wait_are_bounded(monkeypatch):
    monkeypatch.setattr(keepalive, "MAX_PINGS", 3)
    talk = BOOT + "".join(f'10:01:0{at} CP-1 → PING "{at}"\n' for at in range(9))
    row = rows_of(talk + "10:01:09 CP-1 → CLOSED FIN\n")["ping-loss", "station"]
    assert row.value == pytest.approx(100 * 6 / 9)
