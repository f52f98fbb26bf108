"""One session seen from two places: real pairs, pairs made of real captures, and conversations."""

import json

import pytest
from msgspec.structs import replace
from support_compare import (
    CAPTURES,
    CSMS,
    MS,
    OWN,
    SECOND,
    STATION,
    changed_pcap,
    codes,
    compared,
    messages,
    of_capture,
    of_text,
    recording,
    shifted,
    the,
    without,
)

from ocppscope.compare.report import MARKS, VANTAGE, Mark
from ocppscope.model import Kind, Side, StreamGap
from support_engine import run

OFFSET = 5 * SECOND


def seen(name):
    return run(CAPTURES / f"{name}.pcap").events


def ahead(events, offset=OFFSET, way=0):
    """By the clock of the other place, to which the station's messages take `way`."""
    return shifted(events, lambda time: time + offset + way)


def delayed(events, there, back):
    """What the CSMS's side sees: the station's messages later, its own earlier."""
    return [
        replace(one, time_ns=one.time_ns + (there if one.side is Side.STATION else -back))
        if one in messages([one]) or type(one).__name__ == "ControlFrame"
        else one
        for one in events
    ]


# --- the recorded pair --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    return compared(of_capture(STATION), of_capture(CSMS))


@pytest.fixture(scope="module")
def truth():
    first, *events = map(json.loads, (CAPTURES / "compare" / "pair.truth.jsonl").read_text().splitlines())
    return first, [event for event in events if event["kind"] == "msg"]


def test_the_pair_is_one_session(pair):
    assert pair.mode == VANTAGE
    assert "same key" in pair.reason
    assert pair.clock.station_side == "A"


def test_its_clock_is_known_within_what_is_stated(pair, truth):
    (line,) = pair.clock.lines
    clock = truth[0]["csms_clock"]
    true = clock["ahead_s"] * 1e9 + (line.at_ns - pair.captures[0].begins_ns) * clock["drift"]
    assert abs(line.offset_ns - true) <= line.uncertainty_ns
    assert line.uncertainty_ns < MS
    assert line.drift_low_ppm <= clock["drift"] * 1e6 <= line.drift_high_ppm


def test_what_was_lost_is_what_the_peers_say(pair, truth):
    lost = [json.loads(one["text"]) for one in truth[1] if one["status"] == "sent_only"]
    found = the(pair, "not-arrived")
    told = [line.a.message for line in found.ladder if line.mark is Mark.ONLY_A]
    assert [json.loads(one.text) for one in told] == lost
    assert found.count == len(lost) == 1
    both = sum(row[6] for row in next(one for one in pair.tables if one.id == "connections").rows)
    assert both == sum(one["status"] == "delivered" for one in truth[1])


def test_who_cut_is_told(pair):
    between, lost = the(pair, "reset-between"), the(pair, "reset-lost")
    assert "something between" in between.text
    assert "stayed open" in lost.text


def test_the_other_way_round(truth):
    found = compared(of_capture(CSMS), of_capture(STATION))
    assert found.clock.station_side == "B"
    assert {"not-arrived", "reset-between", "reset-lost"} == {*codes(found)}
    (line,) = found.clock.lines
    clock = truth[0]["csms_clock"]
    assert abs(line.offset_ns + clock["ahead_s"] * 1e9) <= line.uncertainty_ns + 12e9 * clock["drift"]
    legs = next(one for one in found.tables if one.id == "legs")
    assert all(row[3] >= 0 for row in legs.rows)


def test_the_way_between_is_told_of_each_exchange(pair):
    table = next(one for one in pair.tables if one.id == "exchanges")
    rows = {(row[0], row[1]): row for row in table.rows}
    meter = rows["→", "MeterValues"]
    assert meter[2] == 10
    assert meter[3] >= meter[4] > 0
    assert meter[8] > 150 * MS  # a segment was lost on the way and sent again


# --- every capture against itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
def test_a_capture_is_the_same_by_another_clock(name):
    events = seen(name)
    begin = min(event.time_ns for event in events)
    other = shifted(events, lambda time: time + OFFSET + (time - begin) * 40 // 10**6)
    found = compared(recording(events), recording(other, "B"))
    assert found.mode == VANTAGE
    assert found.differences == ()
    for line in found.clock.lines:
        true = OFFSET + (line.at_ns - begin) * 40 // 10**6
        assert abs(line.offset_ns - true) <= line.uncertainty_ns


# --- made of real captures ----------------------------------------------------------------------------------------


def test_packets_that_a_capture_lost_are_not_lost_on_the_way(tmp_path):
    """Every 13th message is missing from a capture, and its engine says so."""
    whole = changed_pcap(
        CAPTURES / "ocpp16_plain.pcap",
        tmp_path / "b.pcap",
        lambda number, time, data: [] if number == 40 else [(time, data)],
    )
    found = compared(of_capture("ocpp16_plain"), of_capture(whole))
    assert found.mode == VANTAGE
    assert codes(found) in (["not-captured"], [])


def test_a_capture_that_began_late_and_ended_early(tmp_path):
    source = CAPTURES / "remote_start_stop.pcap"
    part = changed_pcap(source, tmp_path / "b.pcap", lambda n, time, data: [(time, data)] if 40 <= n <= 90 else [])
    found = compared(of_capture(source), of_capture(part))
    assert found.mode == VANTAGE
    assert [one.code for one in found.differences if one.weight >= 60] == []
    assert any("had not begun or was over" in one for one in found.summary)


def test_translated_addresses(tmp_path):
    def translate(_, time, data):
        return [(time, data.replace(bytes([127, 0, 0, 1]), bytes([10, 9, 8, 7])))]

    other = changed_pcap(CAPTURES / "ocpp16_plain.pcap", tmp_path / "b.pcap", translate)
    found = compared(of_capture("ocpp16_plain"), of_capture(other))
    assert found.mode == VANTAGE
    assert found.differences == ()


# --- made of events -----------------------------------------------------------------------------------------------


def test_what_was_sent_and_never_arrived():
    events = delayed(seen("clean16"), 30 * MS, 30 * MS)
    gone = [one for one in messages(events) if one.action == "MeterValues" and one.kind is Kind.CALL][3:5]
    found = compared(recording(seen("clean16")), recording(ahead(without(events, lambda one: one in gone)), "B"))
    lost = the(found, "not-arrived")
    assert (lost.count, lost.weight) == (2, 100)
    assert "2 MeterValues" in lost.text
    assert lost is found.differences[0]


def test_what_came_from_nowhere():
    events = delayed(seen("clean16"), 30 * MS, 30 * MS)
    gone = [one for one in messages(events) if one.side is Side.CSMS and one.kind is Kind.CALL][:1]
    # the command is there at the station, and never passed the CSMS's side
    found = compared(recording(seen("clean16")), recording(ahead(without(events, lambda one: one in gone)), "B"))
    assert "the CSMS arrived at A" in the(found, "appeared").text


def test_a_gap_of_the_capture_is_no_loss():
    events = delayed(seen("clean16"), 30 * MS, 30 * MS)
    lost = [one for one in messages(events) if one.action == "MeterValues" and one.kind is Kind.CALL][3]
    other = [
        StreamGap(one.time_ns, one.connection, one.side, 100, "missing") if one is lost else one for one in events
    ]
    found = compared(recording(seen("clean16")), recording(ahead(other), "B"))
    assert codes(found) == ["not-captured"]


def test_a_change_on_the_way_is_told_by_element():
    events = delayed(seen("clean16"), 30 * MS, 30 * MS)
    boot = next(one for one in messages(events) if one.action == "BootNotification")
    other = replace(boot, text=boot.text.replace(b"Example Vendor", b"Somebody"))
    found = compared(
        recording(seen("clean16")), recording(ahead([other if one is boot else one for one in events]), "B")
    )
    (fact,) = the(found, "changed").facts
    assert (fact.name, fact.a, fact.b) == ("/3/chargePointVendor", '"Example Vendor"', '"Somebody"')


def test_the_same_json_written_otherwise_is_no_difference():
    events = delayed(seen("clean16"), 30 * MS, 30 * MS)
    other = [
        replace(one, text=json.dumps(json.loads(one.text), indent=1).encode()) if one in messages([one]) else one
        for one in events
    ]
    found = compared(recording(seen("clean16")), recording(ahead(other), "B"), VANTAGE)
    assert [one for one in codes(found) if one != "handshake"] == []
    assert any("written differently" in one for one in found.summary)


def test_other_order_and_copies():
    events = delayed(seen("clean16"), 30 * MS, 30 * MS)
    calls = [place for place, one in enumerate(events) if one in messages([one]) and one.action == "MeterValues"]
    one, other = calls[4], calls[8]
    mixed = list(events)
    mixed[one], mixed[other] = events[other], events[one]
    mixed.insert(other + 1, events[one])
    found = compared(recording(seen("clean16")), recording(ahead(mixed), "B"))
    assert {"order", "duplicate"} <= {*codes(found)}


def test_ids_given_anew():
    events = delayed(seen("clean16"), 30 * MS, 30 * MS)
    other = []
    for event in events:
        if event in messages([event]):
            array = json.loads(event.text)
            array[1] = f"proxy-{array[1]}"
            text = json.dumps(array, separators=(",", ":")).encode()
            event = replace(event, id=array[1], text=text)  # noqa: PLW2901
        other.append(event)
    found = compared(recording(seen("clean16")), recording(ahead(other), "B"), VANTAGE)
    assert set(codes(found)) <= {"renamed", "only-one", "order"}
    assert sum(one.count for one in found.differences if one.code == "renamed") > 90


def test_a_clock_that_is_set_is_a_step():
    events = seen("clean16")
    middle = messages(events)[60].time_ns
    other = shifted(events, lambda time: time + OFFSET + (-90 * SECOND if time > middle else 0))
    found = compared(recording(events), recording(other, "B"))
    assert "-90,000" in the(found, "clock-step").text
    assert codes(found) == ["clock-step"]


def test_a_connection_that_only_one_has():
    events = seen("several_stations")
    gone = {one.connection for one in messages(events)[:1]}
    rest = [
        one
        for one in events
        if getattr(one, "connection", None) not in gone
        and getattr(getattr(one, "connection", None), "number", None) not in gone
    ]
    found = compared(recording(events), recording(ahead(rest), "B"))
    assert "only at A" in the(found, "connection").text


def test_nothing_in_common():
    found = compared(of_capture("clean16"), of_capture("clean21"), VANTAGE)
    assert found.differences
    assert any("No connection is in both" in one for one in found.notices)


LOG = """\
10:00:00.000 CP-1 → OPEN ocpp1.6
10:00:00.100 CP-1 → [2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]
10:00:00.200 CP-1 ← [3,"1",{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":60}]
10:01:00.000 CP-1 → [2,"2","Heartbeat",{}]
10:01:00.100 CP-1 ← [3,"2",{"currentTime":"2026-11-22T10:01:00Z"}]
10:02:00.000 CP-1 → [2,"3","Heartbeat",{}]
10:02:00.100 CP-1 ← [3,"3",{"currentTime":"2026-11-22T10:02:00Z"}]
10:02:30.000 CP-1 -- END
"""


def test_logs_whose_times_are_whole_seconds():
    coarse = LOG.replace(".000 ", " ").replace(".100 ", " ").replace(".200 ", " ").replace("10:0", "11:0", 1)
    coarse = "\n".join(
        line.replace("10:", "11:", 1) if line.startswith("10:") else line for line in coarse.splitlines()
    )
    found = compared(of_text(LOG), of_text(coarse, "B"))
    assert (found.mode, found.differences) == (VANTAGE, ())
    (line,) = found.clock.lines
    assert line.uncertainty_ns >= SECOND
    assert abs(line.offset_ns - 3600 * SECOND) <= line.uncertainty_ns


def test_lines_hold_every_message_once(pair):
    lines = pair.lines
    assert sorted(one for one in lines.a.tolist() if one >= 0) == list(range(47))
    assert sorted(one for one in lines.b.tolist() if one >= 0) == list(range(46))
    assert {MARKS[mark] for mark in lines.mark.tolist()} == {Mark.SAME, Mark.ONLY_A}
