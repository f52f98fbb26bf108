"""How connections begin and end, and the network below, on conversations whose figures can be worked out by hand."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support_timing import BOOT, MS, S, rows_of, spread_of

from conversation import play
from ocppscope.analysis.finding import Severity
from ocppscope.model import ConnectionClosed, ConnectionOpened, RoundTrips, Transport, TransportSide


def boot(time: str, id_: str, status: str = "Accepted", more: str = "") -> str:
    payload = f'{{"chargePointVendor":"V","chargePointModel":"M"{more}}}'
    answer = f'{{"status":"{status}","currentTime":"2026-11-22T{time}Z","interval":60}}'
    return f'{time} CP-1 → [2,"{id_}","BootNotification",{payload}]\n{time} CP-1 ← [3,"{id_}",{answer}]\n'


def test_upgrade_boot_and_readiness():
    talk = (
        BOOT
        + """
10:00:02.000 CP-1 → [2,"1","StatusNotification",{"connectorId":0,"errorCode":"NoError","status":"Available"}]
10:00:02.010 CP-1 ← [3,"1",{}]
10:00:03.050 CP-1 → [2,"2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]
10:00:03.060 CP-1 ← [3,"2",{}]
10:00:04.000 CP-1 → [2,"3","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]
10:00:04.010 CP-1 ← [3,"3",{}]
"""
    )
    rows = rows_of(talk)
    assert rows["first-message", ""].high == 1 * S
    assert spread_of(rows["boot-accepted", ""]) == (1, 50 * MS, 50 * MS, 50 * MS)
    assert rows["upgrade-accepted", ""].high == 1050 * MS
    assert rows["boot-ready", ""].high == 2 * S
    assert rows["boots", ""].value == 1


def test_a_boot_that_has_to_wait():
    talk = "10:00:00 CP-1 → OPEN ocpp1.6\n" + boot("10:00:10", "1", "Pending") + boot("10:01:10", "2", "Pending")
    row = rows_of(talk + boot("10:02:10", "3"))
    assert row["boot-accepted", ""].high == 120 * S
    assert (row["boot-accepted", ""].counts, row["boot-accepted", ""].severity) == (
        {"told_to_wait": 2},
        Severity.WARNING,
    )
    assert row["boots", ""].value == 1


def test_a_connector_that_does_not_report():
    status = '{"connectorId":%d,"errorCode":"NoError","status":"Available"}'
    talk = (
        BOOT
        + f"""
10:00:02 CP-1 → [2,"1","StatusNotification",{status % 1}]
10:00:02 CP-1 ← [3,"1",{{}}]
10:00:03 CP-1 → [2,"2","StatusNotification",{status % 2}]
10:00:03 CP-1 ← [3,"2",{{}}]
{boot("10:30:00", "b2")}
10:30:05 CP-1 → [2,"3","StatusNotification",{status % 1}]
10:30:05 CP-1 ← [3,"3",{{}}]
"""
    )
    row = rows_of(talk)["boot-ready", ""]
    assert (row.n, row.high, row.counts) == (1, 1950 * MS, {"incomplete": 1})


def test_boots_and_what_they_come_of():
    talk = (
        BOOT
        + """
10:10:00 CP-1 ← [2,"r","Reset",{"type":"Soft"}]
10:10:00 CP-1 → [3,"r",{"status":"Accepted"}]
10:10:01 CP-1 → CLOSED FIN
10:10:31 CP-1 → OPEN ocpp1.6
"""
        + boot("10:10:41", "2")
        + "10:20:00 CP-1 → CLOSED RST\n10:20:41 CP-1 → OPEN ocpp1.6\n"
        + boot("10:20:41", "3")
    )
    rows = rows_of(talk)
    assert rows["uptime", "Reset"].high == 640 * S
    assert rows["uptime", "not asked for"].high == 600 * S
    assert (rows["boots", ""].value, rows["boots", ""].counts) == (3, {"in_10_min": 2})
    assert spread_of(rows["reconnect-gap", ""]) == (2, 30 * S, 30 * S, 41 * S)


def test_many_boots_are_flagged():
    talk = BOOT + "".join(
        f"10:0{at}:00 CP-1 → CLOSED RST\n10:0{at}:10 CP-1 → OPEN ocpp1.6\n" + boot(f"10:0{at}:20", f"x{at}")
        for at in (1, 2, 3)
    )
    row = rows_of(talk)["boots", ""]
    assert (row.value, row.counts["in_10_min"], row.severity) == (4, 4, Severity.WARNING)


def test_a_triggered_boot_is_none():
    talk = (
        BOOT
        + """
10:05:00 CP-1 ← [2,"t","TriggerMessage",{"requestedMessage":"BootNotification"}]
10:05:00 CP-1 → [3,"t",{"status":"Accepted"}]
"""
        + boot("10:05:01", "2")
    )
    assert rows_of(talk)["boots", ""].value == 1


def test_attempts_between_two_connections():
    talk = (
        BOOT
        + """
10:10:00 CP-1 → CLOSED FIN
10:10:10 CP-1 → REFUSED 503 Unavailable
10:10:30 CP-1 → REFUSED 503 Unavailable
10:11:10 CP-1 → OPEN ocpp1.6
"""
    )
    rows = rows_of(talk)
    assert (rows["reconnect-gap", ""].high, rows["reconnect-gap", ""].counts) == (70 * S, {"attempts": 2})
    assert spread_of(rows["retry-interval", ""]) == (2, 20 * S, 20 * S, 40 * S)


def test_a_connection_that_fell_silent():
    talk = (
        BOOT
        + """
10:01:00 CP-1 → [2,"1","Heartbeat",{}]
10:01:00 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:01:00Z"}]
10:06:00 #1 CP-1 → OPEN ocpp1.6
10:07:00 #1 CP-1 → [2,"1","Heartbeat",{}]
10:07:00 #1 CP-1 ← [3,"1",{"currentTime":"2026-11-22T10:07:00Z"}]
10:20:00 CP-1 -- END
"""
    )
    row = rows_of(talk)["reconnect-gap", ""]
    assert (row.n, row.high, row.severity) == (1, 300 * S, Severity.WARNING)


def test_availability():
    talk = BOOT + "10:10:00 CP-1 → CLOSED FIN\n10:12:00 CP-1 → OPEN ocpp1.6\n10:20:00 CP-1 -- END\n"
    row = rows_of(talk)["availability", ""]
    assert row.value == pytest.approx(100 * 18 / 20)
    assert (row.n, row.counts, row.severity) == (20, {"outages": 1, "longest_ns": 120 * S}, Severity.WARNING)


def test_lifetimes_that_are_alike_are_noted():
    talk = "".join(
        f"""
10:{minute}:00.000 CP-1 → OPEN ocpp1.6
10:{minute}:01.000 CP-1 → [2,"1","Heartbeat",{{}}]
10:{minute}:01.000 CP-1 ← [3,"1",{{"currentTime":"2026-11-22T10:00:00Z"}}]
10:{minute}:50.{minute}0 CP-1 ← CLOSE 1001 "bye"
10:{minute}:50.{minute}0 CP-1 ← CLOSED FIN
"""
        for minute in (10, 20, 30)
    )
    rows = rows_of(talk)
    assert spread_of(rows["lifetime", "csms Close 1001"]) == (3, 50_100 * MS, 50_200 * MS, 50_300 * MS)
    assert spread_of(rows["idle-before-close", "csms Close 1001"]) == (3, 49_100 * MS, 49_200 * MS, 49_300 * MS)
    assert rows["lifetime", "csms Close 1001"].severity is Severity.NOTE
    assert rows["idle-before-close", "csms Close 1001"].severity is Severity.NOTE


def with_transport(events, transport: Transport):
    """As if packets had given it."""
    for event in events:
        if isinstance(event, ConnectionOpened | ConnectionClosed):
            yield replace(event, connection=replace(event.connection, transport=transport))
        else:
            yield event


def test_transport_gives_round_trips_bytes_and_retransmission():
    talk = BOOT + "10:01:00 CP-1 → CLOSED FIN\n"
    sides = (
        TransportSide(
            segments=100, payload_bytes=5000, retransmitted=3, round_trips=RoundTrips(9, 4 * MS, 9 * MS, 9 * MS)
        ),
        TransportSide(segments=100, payload_bytes=7000, retransmitted=2),
    )
    began = play(talk)[0].connection.opened_ns
    transport = Transport(
        sides, syns=1, syn_ns=began, last_syn_ns=began, synack_ns=began + 6 * MS, ack_ns=began + 7 * MS
    )
    rows = rows_of(with_transport(play(talk), transport))
    assert rows["tcp-rtt", "csms SYN"].high == 6 * MS
    assert rows["tcp-rtt", "station SYN"].high == 1 * MS
    assert rows["tcp-rtt", "csms ACK min"].high == 4 * MS
    assert rows["tcp-rtt", "csms ACK p95"].high == 9 * MS
    assert rows["tcp-connect", ""].high == 7 * MS
    assert (rows["retransmission", "station"].value, rows["retransmission", "station"].severity) == (
        3,
        Severity.WARNING,
    )
    assert (rows["retransmission", "csms"].value, rows["retransmission", "csms"].severity) == (2, None)
    assert rows["processing", "BootNotification station"].high == 46 * MS
    row = rows["latency", "BootNotification station"]
    assert (row.counts, row.vantage) == ({"network_ns": 4 * MS}, "station")
    assert rows["tcp-bytes", "station"].value == 5000
    assert rows["tcp-bytes", "station"].counts == {"headers": 4000, "per_day": 9000 * 24 * 60}
    text = rows["text-bytes", "BootNotification station"].value
    share = rows["wire-share", "station plain"].value, rows["wire-share", "csms plain"].value
    assert 5000 * 100 / share[0] + 7000 * 100 / share[1] == pytest.approx(text)


def test_a_repeated_syn_is_no_round_trip():
    sides, talk = (TransportSide(), TransportSide()), BOOT
    began = play(talk)[0].connection.opened_ns
    transport = Transport(
        sides, syns=2, syn_ns=began, last_syn_ns=began + S, synack_ns=began + 2 * S, ack_ns=began + 4 * S
    )
    rows = rows_of(with_transport(play(talk), transport))
    assert ("tcp-rtt", "csms SYN") not in rows
    row = rows["tcp-connect", ""]
    assert (row.high, row.counts, row.severity) == (4 * S, {"repeated_syns": 1}, Severity.WARNING)


def test_the_upgrade():
    assert rows_of("10:00:00 CP-1 → OPEN ocpp1.6 took=250ms\n")["http-upgrade", "101"].high == 250 * MS
