"""Bounds of the timing figures that are reached: what was not followed is counted in the figure, or said of all."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support_timing import BOOT, S, rows_of, spread_of, timing_of
from test_timing_transactions import call, setting

from conversation import play
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.finding import Severity
from ocppscope.analysis.stations import Stations
from ocppscope.analysis.timing import Timing, commands, connections, exchanges, keepalive, ledger
from ocppscope.analysis.timing.figures import HOUR
from ocppscope.analysis.timing.report import timing_report
from ocppscope.analysis.timing.timing import MAX_FAR_HOUR
from ocppscope.model import Event


def clock(seconds: float) -> str:
    """A time of the day, so long after ten."""
    return f"{10 + int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{seconds % 60:06.3f}"


# --- commands -----------------------------------------------------------------------------------------------------


def reported(at: float, request: int) -> str:
    return call(clock(at), f"n{at}", "NotifyReport", {"requestId": request, "seqNo": 0, "reportData": []}, {})


def test_reports_that_are_awaited():
    """The latest; those that are not waited for any longer are counted."""
    count, text = commands.MAX_REPORTS + 3, BOOT.replace("1.6", "2.0.1")
    for request in range(count):
        ask = {"requestId": request, "reportBase": "FullInventory"}
        text += call(clock(10 + request), f"r{request}", "GetBaseReport", ask, {"status": "Accepted"}, by="←")
    text += "".join(reported(100 + request, request) for request in range(count))
    row = rows_of(text)["report", ""]
    assert spread_of(row) == (commands.MAX_REPORTS, 90 * S, 90 * S, 90 * S)
    assert row.counts["not_followed"] == 3


def unlocked(*statuses: str) -> str:
    return BOOT + "".join(
        call(clock(10 + at), f"u{at}", "UnlockConnector", {"connectorId": 1}, {"status": status}, by="←")
        for at, status in enumerate(statuses)
    )


def test_statuses_that_are_counted_by_name():
    """The others are counted as such: none is lost."""
    many = [f"Odd{at}" for at in range(commands.MAX_STATUSES + 5)]
    row = rows_of(unlocked(*many, "Odd0"))["command-success", "UnlockConnector"]
    assert row.n == len(many) + 1
    assert row.counts == {"Odd0": 2, **dict.fromkeys(many[1 : commands.MAX_STATUSES], 1), "others": 5}


def test_statuses_are_cut_and_say_so():
    most = commands.MAX_STATUS_CHARS
    row = rows_of(unlocked("s" * most, "t" * 5000, "t" * 6000))["command-success", "UnlockConnector"]
    assert row.counts == {"s" * most: 1, "t" * most + "…": 2}


# --- connections --------------------------------------------------------------------------------------------------


def test_boots_in_ten_minutes():
    """No more are counted than the definition says; by then it has long been a warning."""
    text = ""
    for at in range(connections.MAX_BOOTS + 20):
        text += f"{clock(at)} CP-1 → OPEN ocpp1.6\n"
        text += (
            f'{clock(at)} CP-1 → [2,"b{at}","BootNotification",{{"chargePointVendor":"V","chargePointModel":"M"}}]\n'
        )
        text += f'{clock(at)} CP-1 ← [3,"b{at}",{{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z"}}]\n'
        text += f"{clock(at + 0.5)} CP-1 → CLOSED FIN\n"
    row = rows_of(text)["boots", ""]
    assert row.value == connections.MAX_BOOTS + 20
    assert (row.counts["in_10_min"], row.severity) == (connections.MAX_BOOTS, Severity.WARNING)
    figure = next(one for one in timing_of(text).figures if one.id == "boots")
    assert f"no more than {connections.MAX_BOOTS} of which are counted" in figure.definition


@pytest.mark.parametrize(("bound", "measured", "marked"), [(2, 1, 2), (3, 0, 3)])
def test_repeated_calls_whose_answers_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, bound: int, measured: int, marked: int
):
    """Beyond MAX_RESENT they are measured like any other, and counted as such."""
    monkeypatch.setattr(exchanges, "MAX_RESENT", bound)
    text = "".join(f"{clock(at)} CP-{at} → OPEN ocpp1.6\n" for at in range(3))
    for second in (10, 20):
        text += "".join(f'{clock(second + at)} CP-{at} → [2,"1","Heartbeat",{{}}]\n' for at in range(3))
    text += "".join(
        f'{clock(30 + at)} CP-{at} ← [3,"1",{{"currentTime":"2026-11-22T10:00:30Z"}}]\n' for at in range(3)
    )
    row = rows_of(text)["latency", "Heartbeat station"]
    assert row.n == measured
    assert row.counts.get("repeated") == marked
    assert row.counts.get("not_followed", 0) == measured


def pinging(*connections_: int, rounds: int) -> str:
    text = "".join(f"{clock(at)} #{at} CP-{at} → OPEN ocpp1.6\n" for at in connections_)
    for number in range(rounds):
        for at in connections_:
            text += f'{clock(10 + 20 * number + at)} #{at} CP-{at} → PING "{number}"\n'
    return text


@pytest.mark.parametrize("bound", [1, 2, keepalive.MAX_LINKS])
def test_connections_whose_pings_are_followed(monkeypatch: pytest.MonkeyPatch, bound: int):
    """Of more than MAX_LINKS the oldest begins anew, which is counted; its pings are neither lost nor answered."""
    monkeypatch.setattr(keepalive, "MAX_LINKS", bound)
    bus = Bus()
    stations, timing = Stations(bus), Timing(bus)
    stations.take(play(pinging(1, 2, rounds=5)))
    rows = {(row.figure, row.station): row for row in timing.rows()}
    if bound >= 2:
        assert rows["ping-interval", ""].n == 8
        assert rows["ping-loss", ""].n == 10
        assert ("heartbeat-interval", "") not in rows
    else:
        assert ("ping-interval", "") not in rows
        assert rows["heartbeat-interval", ""].counts == {"not_followed": 9}
        assert rows["ping-loss", ""].n == 1  # the one that was sent last


# --- the ledger ---------------------------------------------------------------------------------------------------


def test_changes_of_a_setting_that_are_remembered():
    """The latest: what was in force before those is not known, and then nothing is held against it."""
    text = BOOT + "".join(
        setting("MeterValueSampleInterval", str(10 + at))
        .replace("10:00:05", clock(10 + at))
        .replace('"set', f'"{at}')
        for at in range(3 * ledger.MAX_CHANGES)
    )
    timing = timing_of(text)
    person = timing._ledger.people["CP-1"]
    assert len(person._sampled) == ledger.MAX_CHANGES
    newest = [10 + at for at in range(2 * ledger.MAX_CHANGES, 3 * ledger.MAX_CHANGES)]
    assert [interval for _, interval in person._sampled] == [seconds * S for seconds in newest]
    assert person.sampled_at(person._sampled[0][0] - 1) is None


def test_long_names_are_cut_and_say_so():
    """Actions and models alike; sizes and all else are counted under the same name."""
    most, long = ledger.MAX_PART, "A" * 5000
    model = BOOT.replace('"V"', f'"{long}"')
    text = model + call(clock(60), "x", long, {}, {}) + call(clock(61), "y", "B" * most, {}, {})
    text += call(clock(62), "z", long, {}) + f"{clock(100)} CP-1 → CLOSED FIN\n"
    rows = rows_of(text)
    assert rows["latency", "A" * most + "… station"].n == 1
    assert rows["message-size", "A" * most + "… station"].n == 2
    assert rows["outstanding", "A" * most + "… station"].n == 1
    assert rows["latency", "B" * most + " station"].n == 1
    assert ("latency", f"BootNotification station {'A' * most}… M") in rows_of(text, by="model")
    assert all(len(part) <= most + len("… station") for _, part in rows)


def test_parts_that_a_figure_of_a_station_is_told_apart_by(monkeypatch: pytest.MonkeyPatch):
    """Beyond MAX_SPLITS they are counted together, under a name that says so."""
    monkeypatch.setattr(ledger, "MAX_SPLITS", 5)
    talk = BOOT + "".join(call(clock(10 + at), f"{at}", f"Act{at}", {}, {}) for at in range(12))
    text = talk.replace('"Act7"', '"Act0"')
    found = {part: row.n for (figure, part), row in rows_of(text).items() if figure == "latency"}
    names = [f"{name} station" for name in ("BootNotification", *(f"Act{at}" for at in range(4)))]
    assert sorted(found) == sorted([*names, f"{ledger.OTHERS} {ledger.OTHERS}"])
    assert sum(found.values()) == 13
    assert found["Act0 station"] == 2


def stations(count: int) -> list[Event]:
    text = "".join(f"{clock(at)} CP-{at} → OPEN ocpp1.6\n" for at in range(count))
    for at in range(count):
        for number, second in enumerate((60, 90)):
            text += f'{clock(second + at)} CP-{at} → [2,"{number}","Heartbeat",{{}}]\n'
            text += f'{clock(second + at)} CP-{at} ← [3,"{number}",{{"currentTime":"2026-11-22T10:01:00Z"}}]\n'
    return play(text)


@pytest.mark.parametrize("bound", [3, ledger.MAX_PEOPLE])
def test_stations_of_which_something_is_known(monkeypatch: pytest.MonkeyPatch, bound: int):
    """With more than MAX_PEOPLE the report says that figures are missing."""
    monkeypatch.setattr(ledger, "MAX_PEOPLE", bound)
    bus = Bus()
    known, timing = Stations(bus), Timing(bus)
    known.take(stations(5))
    known.finish(known.now)
    found = timing_report(timing, known, ["x"], "station", "")
    assert len(timing.stations) == min(bound, 5)
    assert len(timing._families[0]._lives.known) == min(bound, 5)  # type: ignore[attr-defined]
    said = f"There are more than {bound:,} stations: some figures of those beyond are missing."
    assert list(found.notices) == ([said] if bound < 5 else [])
    assert sum(row.n for row in found.rows if row.figure == "latency") == 10


@pytest.mark.parametrize(
    ("hour", "shown"),
    [(-14, "@-14"), (0, "1970-01-01 00:00"), (MAX_FAR_HOUR - 1, "2448-06-"), (MAX_FAR_HOUR, f"@{MAX_FAR_HOUR}")],
)
def test_hours_that_are_written_as_a_date(hour: int, shown: str):
    """Whatever times a capture claims, nothing fails; what is too far for a date is a number."""
    events = play(BOOT + call("10:10:00", "1", "Heartbeat", {}, {}) + call("10:10:09", "2", "Heartbeat", {}, {}))
    by = (hour - events[0].time_ns // HOUR) * HOUR
    rows = rows_of([replace(one, time_ns=one.time_ns + by) for one in events], by="hour")
    (part,) = [part for figure, part in rows if figure == "heartbeat-interval"]
    assert part.startswith(shown)
