"""A fleet: what a station costs, what happens to those that are too many, and that the report says so."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable

import pytest

from conversation import DAY, play
from ocppscope.analysis import station as station_of
from ocppscope.analysis import stations as stations_of
from ocppscope.analysis.autopsy import Autopsy
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.report import Report, report
from ocppscope.analysis.state import transaction_tracker
from ocppscope.analysis.state.readings import LATEST_NS, Readings
from ocppscope.analysis.state.transactions import MAX_MEASURED
from ocppscope.analysis.stations import MAX_STATIONS, Stations
from ocppscope.analysis.timing import Timing, timing
from ocppscope.analysis.timing.report import TimingReport, timing_report
from ocppscope.capture.instants import date_ns
from ocppscope.capture.textlog import read_text_log
from ocppscope.model import ConnectionClosed, Event, Side
from ocppscope.render.diagnosis.html import html
from ocppscope.render.diagnosis.jsonform import json as as_json
from ocppscope.render.diagnosis.markdown import markdown
from ocppscope.render.diagnosis.sarif import sarif
from ocppscope.render.diagnosis.text import text as as_text
from ocppscope.render.timing.jsonform import json as timing_json
from ocppscope.render.timing.text import text as timing_text
from ocppscope.replay import replay

FLEET = 50_000
"""Stations of a real fleet that have to fit."""
STATION_BYTES = 7_500
"""What is kept of a station that boots once and leaves, its finding included."""


def clock(seconds: float) -> str:
    """A time of the day, so long after ten."""
    return f"{10 + int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{seconds % 60:06.3f}"


def stamp(seconds: float) -> str:
    return f"2026-11-22T{clock(seconds)}Z"


def opened(at: float, number: int, station: int | None = None) -> str:
    return f"{clock(at)} #{number} CP-{number if station is None else station} → OPEN ocpp1.6\n"


def booted(at: float, number: int) -> str:
    boot = f'[2,"b{at}","BootNotification",{{"chargePointVendor":"V","chargePointModel":"M"}}]'
    accepted = f'[3,"b{at}",{{"status":"Accepted","currentTime":"{stamp(at)}","interval":300}}]'
    return f"{clock(at)} #{number} CP → {boot}\n{clock(at)} #{number} CP ← {accepted}\n"


def closed(at: float, number: int) -> str:
    return f"{clock(at)} #{number} CP → CLOSED FIN\n"


def visit(at: float, number: int, station: int | None = None) -> str:
    """A station that comes, boots and leaves."""
    return opened(at, number, station) + booted(at + 0.2, number) + closed(at + 0.4, number)


def following(events: Iterable[Event]) -> Diagnosis:
    """A diagnosis in the middle of a capture."""
    diagnosis = Diagnosis()
    diagnosis.take(iter(events))
    assert not diagnosis.failures
    return diagnosis


def finished(text: str) -> Diagnosis:
    events = play(text)
    diagnosis = following(events)
    diagnosis.finish(events[-1].time_ns)
    assert not diagnosis.failures
    return diagnosis


def measured(text: str) -> TimingReport:
    bus, events = Bus(), play(text)
    stations, figures = Stations(bus), Timing(bus)
    stations.take(events)
    stations.finish(events[-1].time_ns)
    return timing_report(figures, stations, ["x"], "action", "")


def test_a_real_fleet_is_followed():
    assert MAX_STATIONS >= FLEET


# --- too many stations --------------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(stations_of, "MAX_STATIONS", 4)
    return 4


def too_many() -> Report:
    diagnosis = finished("".join(visit(number, number) for number in range(7)))
    return report(diagnosis, ["x.pcap"], Autopsy(diagnosis.bus))


def test_stations_that_are_too_many_are_counted(few: int):
    found = too_many()
    assert [one.identity for one in found.stations] == ["CP-3", "CP-4", "CP-5", "CP-6"]
    assert [(one.kind, one.count) for one in found.unread] == [("stations", 3)]
    assert found.messages == 14
    first = play(visit(0, 0))[0].time_ns
    assert found.begins_ns == first


@pytest.mark.parametrize(
    "form",
    [
        lambda found: "".join(as_text(found)),
        lambda found: "".join(as_json(found)),
        lambda found: "".join(markdown(found)),
        lambda found: "".join(html(found)),
        lambda found: "".join(sarif(found)),
    ],
    ids=["text", "json", "markdown", "html", "sarif"],
)
def test_every_form_says_so(few: int, form):
    assert "3 stations too many to be followed to the end" in form(too_many())


def test_of_enough_nothing_is_said():
    found = too_many()
    assert found.unread == ()
    assert "Not looked at" not in "".join(as_text(found))


def test_the_timing_says_so(few: int):
    found = measured("".join(visit(number, number) for number in range(7)))
    assert [(one.kind, one.count) for one in found.unread] == [("stations", 3)]
    assert "Not looked at: 3 stations too many" in "".join(timing_text(found))
    assert json.loads("".join(timing_json(found)))["unread"][0]["count"] == 3


def test_who_has_a_connection_is_passed_over(few: int):
    """The oldest one stays, since it is connected; the next one goes."""
    text = opened(0, 0) + booted(1, 0) + "".join(visit(10 + number, number) for number in range(1, 6))
    diagnosis = following(play(text))
    assert "CP-0" in diagnosis.stations.by_identity
    assert "CP-1" not in diagnosis.stations.by_identity


def test_where_all_are_connected_one_goes_nevertheless(few: int, monkeypatch: pytest.MonkeyPatch):
    """Only MAX_PASSED_OVER are looked at. What the one says that went is not looked at, nor waited for."""
    monkeypatch.setattr(stations_of, "MAX_PASSED_OVER", 2)
    text = "".join(opened(number, number) + booted(number, number) for number in range(5))
    events = play(text + booted(20, 2) + booted(21, 3))
    diagnosis = following(event for event in events if not isinstance(event, ConnectionClosed))
    known = diagnosis.stations
    assert set(known.by_identity) == {"CP-0", "CP-1", "CP-3", "CP-4"}
    assert known.forgotten == 1
    assert known.messages == 10 + 2
    diagnosis.finish(events[-1].time_ns)
    assert not diagnosis.failures


def test_who_is_forgotten_is_not_waited_for(few: int, monkeypatch: pytest.MonkeyPatch):
    """A rule that waits for a station that is not followed any more says nothing: nobody knows what it did."""
    monkeypatch.setattr(stations_of, "MAX_PASSED_OVER", 0)
    silent = opened(0, 0) + f'{clock(1)} #0 CP → [2,"b","BootNotification",{{"chargePointVendor":"V"}}]\n'
    boot = silent + f'{clock(1)} #0 CP ← [3,"b",{{"status":"Accepted","currentTime":"{stamp(1)}","interval":30}}]\n'
    late = f'{clock(3000)} #9 CP → [2,"h","Heartbeat",{{}}]\n'
    alone = finished(boot + visit(2, 9) + opened(2990, 9) + late)
    assert "heartbeat-missing" in {one.rule for one in alone.findings() if one.station == "CP-0"}
    many = "".join(opened(2 + number / 10, number) for number in range(1, 20))
    crowd = finished(boot + many + f'{clock(3000)} #19 CP → [2,"h","Heartbeat",{{}}]\n')
    assert "CP-0" not in crowd.stations.by_identity
    assert "heartbeat-missing" not in {one.rule for one in crowd.findings() if one.station == "CP-0"}


def test_a_forgotten_station_leaves_its_findings():
    unknown = '[2,"u","Unheard",{}]\n'
    text = "".join(f"{visit(number, number)}{clock(number + 0.3)} #{number} CP → {unknown}" for number in range(6))
    whole = {one.station for one in finished(text).findings()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stations_of, "MAX_STATIONS", 2)
        diagnosis = finished(text)
    assert len(diagnosis.stations.by_identity) == 2
    assert {one.station for one in diagnosis.findings()} == whole == {f"CP-{number}" for number in range(6)}


# --- what is kept -------------------------------------------------------------------------------------------------


def test_connections_that_have_ended(monkeypatch: pytest.MonkeyPatch):
    """MAX_ENDED of all stations together, and the last one of each; how many there were is still said."""
    monkeypatch.setattr(stations_of, "MAX_ENDED", 3)
    text = "".join(visit(number, number, station=number % 2) for number in range(10))
    diagnosis = finished(text)
    known = diagnosis.stations.by_identity
    assert [[link.number for link in one.links] for one in known.values()] == [[8], [7, 9]]
    assert [one.connections for one in report(diagnosis, []).stations] == [5, 5]


def test_what_has_ended_is_small():
    station = following(play(visit(0, 0))).stations.by_identity["CP-0"]
    (link,) = station.links
    assert not link.open
    assert link.outstanding == ({}, {})
    assert link.connection.closed_by is Side.STATION
    assert link.connection.handshake is not None
    assert link.connection.handshake.request_headers == ()


def test_what_all_share_stays_empty():
    """Links that have ended share what is empty: nobody may have written into it."""
    finished("".join(visit(number, number, station=0) for number in range(10)))
    assert station_of._NO_CALLS == ({}, {})
    assert station_of._NO_PINGS == ({}, {})
    assert station_of._NONE_PENDING == []


@pytest.mark.parametrize("as_rows", [True, False], ids=["rows", "messages"])
def test_the_state_of_idle_stations_stays_empty(as_rows: bool):
    """Stations that only boot and send heartbeats share what they do not need; others have their own."""
    text = "".join(visit(number, number) for number in range(3)) + opened(4, 4) + booted(5, 4)
    text += "".join(charged(10 * number, number) for number in range(1, 4))
    text += f'{clock(50)} #4 CP → [2,"h","Heartbeat",{{}}]\n'
    diagnosis = Diagnosis()
    for batch in replay(read_text_log(text.split("\n"), date_ns(DAY))):
        diagnosis.take(batch if as_rows else iter(list(batch)))
    known = diagnosis.stations.by_identity
    assert known["CP-0"].is_idle
    assert known["CP-0"].transactions is stations_of._NONE_YET["transactions"]
    assert not known["CP-3"].is_idle
    assert len({id(one.transactions) for one in known.values() if not one.is_idle}) == 3
    for name, fresh in stations_of._LATER.items():
        shared, made = stations_of._NONE_YET[name], fresh()
        slots = [slot for slot in type(made).__slots__ if slot not in ("_going", "_at", "latest")] + ["latest"] * (
            name == "transactions"
        )
        assert [getattr(shared, slot) for slot in slots] == [getattr(made, slot) for slot in slots]


def test_a_station_costs_little():
    """Whatever a boot and an end leave of a station."""

    def kept(count: int) -> int:
        events = play("".join(visit(number, number) for number in range(count)))
        diagnosis = Diagnosis()
        tracemalloc.start()
        try:
            diagnosis.take(iter(events))
            diagnosis.finish(events[-1].time_ns)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    kept(50)  # what is made once
    assert (kept(250) - kept(50)) / 200 < STATION_BYTES


def test_names_of_messages_are_shared():
    station_of.said_by.cache_clear()
    first = station_of.said_by(Side.STATION, "CALL", "Heartbeat")
    assert station_of.said_by(Side.STATION, "CALL", "Heartbeat") is first
    for number in range(station_of.MAX_WHATS + 10):
        assert station_of.said_by(Side.CSMS, "CALL", f"A{number}") == f"← CALL A{number}"
    assert station_of.said_by.cache_info().currsize == station_of.MAX_WHATS
    assert station_of.said_by(Side.STATION, "CALL", "Heartbeat") == first == "→ CALL Heartbeat"


# --- transactions -------------------------------------------------------------------------------------------------


def charged(at: float, number: int) -> str:
    """A transaction of a station of its own, with a reading in its stop."""
    line, other = f"#{number} CP →", f"#{number} CP ←"
    sample = f'{{"timestamp":"{stamp(at + 2)}","sampledValue":[{{"value":"{number}000"}}]}}'
    start = f'"connectorId":1,"idTag":"T","meterStart":0,"timestamp":"{stamp(at + 1)}"'
    stop = (
        f'"transactionId":{number},"meterStop":{number}500,"timestamp":"{stamp(at + 3)}","transactionData":[{sample}]'
    )
    return (
        opened(at, number)
        + f'{clock(at + 1)} {line} [2,"s","StartTransaction",{{{start}}}]\n'
        + f'{clock(at + 1)} {other} [3,"s",{{"transactionId":{number},"idTagInfo":{{"status":"Accepted"}}}}]\n'
        + f'{clock(at + 2)} {line} [2,"m","MeterValues",{{"connectorId":1,"transactionId":{number},'
        + f'"meterValue":[{sample}]}}]\n{clock(at + 2)} {other} [3,"m",{{}}]\n'
        + f'{clock(at + 3)} {line} [2,"e","StopTransaction",{{{stop}}}]\n{clock(at + 3)} {other} [3,"e",{{}}]\n'
        + closed(at + 4, number)
    )


def test_readings_of_transactions_of_all_stations(monkeypatch: pytest.MonkeyPatch):
    """The latest MAX_MEASURED_IN_ALL that have stopped; what they came to stays known."""
    monkeypatch.setattr(transaction_tracker, "MAX_MEASURED_IN_ALL", 3)
    known = finished("".join(charged(10 * number, number) for number in range(1, 7))).stations.by_identity
    found = [one.transactions.latest[0] for one in known.values()]
    assert [one.is_measured for one in found] == [False] * 3 + [True] * 3
    assert [one.energy_wh for one in found] == [number * 1000 + 500.0 for number in range(1, 7)]


def test_samples_in_messages_of_transactions_that_have_stopped(monkeypatch: pytest.MonkeyPatch):
    """The latest MAX_SAMPLED_IN_ALL have them, the readings are kept of more."""
    monkeypatch.setattr(transaction_tracker, "MAX_SAMPLED_IN_ALL", 2)
    known = finished("".join(charged(10 * number, number) for number in range(1, 7))).stations.by_identity
    stops = [one.transactions.latest[0].stop for one in known.values()]
    assert ["transactionData" in stop.asked for stop in stops if stop] == [False] * 4 + [True] * 2
    assert all(stop is not None and stop.asked.number("meterStop") for stop in stops)
    assert all(one.transactions.latest[0].is_measured for one in known.values())
    assert MAX_MEASURED > 2


@pytest.mark.parametrize("most", [0, 1, 3, 100])
def test_readings_are_a_list_of_the_latest(most: int):
    readings, expected = Readings(most), []
    for place in range(10):
        readings.append((1_800_000_000_000_000_000 + place, place / 4))
        expected = [*expected, (1_800_000_000_000_000_000 + place, place / 4)][-most:] if most else []
        assert [*readings] == expected
        assert len(readings) == len(expected)
        assert bool(readings) is bool(expected)
        if expected:
            assert (readings[0], readings[-1]) == (expected[0], expected[-1])
    with pytest.raises(IndexError):
        readings[len(expected)]


def test_a_clock_of_the_year_9999():
    readings = Readings(2)
    readings.append((253_402_300_799_000_000_000, 1.0))
    readings.append((-253_402_300_799_000_000_000, 2.0))
    assert [*readings] == [(LATEST_NS, 1.0), (-LATEST_NS, 2.0)]


# --- timing -------------------------------------------------------------------------------------------------------


def test_stations_of_which_single_figures_are_told(monkeypatch: pytest.MonkeyPatch):
    """The first MAX_TOLD; all of them count for all together, and those of another are told if it is asked for."""
    text = "".join(visit(number, number) for number in range(6))
    whole = measured(text)
    monkeypatch.setattr(timing, "MAX_TOLD", 2)
    part = measured(text)
    assert {row.station for row in part.rows} == {"", "CP-0", "CP-1"}
    assert [row for row in whole.rows if not row.station] == [row for row in part.rows if not row.station]
    assert "The figures of 4 more stations are not told singly" in part.notices[0]
    assert not whole.notices
