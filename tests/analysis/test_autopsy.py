"""The autopsy: what ends have in common, and each of the latest in a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation import play
from ocppscope.analysis.autopsy import MAX_TOLD, Autopsy, StationAutopsy
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.state.connections import AT_ONCE, MAX_ATTEMPTS, MAX_ENDS, Constant
from ocppscope.model import Side

SECOND = 1_000_000_000


def autopsy(text: str, identity: str = "CP-1") -> tuple[StationAutopsy, list[str]]:
    diagnosis = Diagnosis()
    found = Autopsy(diagnosis.bus)
    events = play(text)
    diagnosis.take(events)
    diagnosis.finish(events[-1].time_ns)
    assert not diagnosis.failures
    station = diagnosis.stations.by_identity[identity]
    return found.of(station), found.sentences(station)


def clock(second: int) -> str:
    second += 36000
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def session(begin: int, number: int, silence: int, end: str = "← CLOSED FIN") -> str:
    return (
        f"{clock(begin)}.000 CP-1 → OPEN ocpp1.6\n"
        f'{clock(begin + 5)}.000 CP-1 → [2,"{number}","Heartbeat",{{}}]\n'
        f'{clock(begin + 5)}.050 CP-1 ← [3,"{number}",{{"currentTime":"2026-11-22T10:00:00Z"}}]\n'
        f"{clock(begin + 5 + silence)}.050 CP-1 {end}\n"
    )


def test_an_end() -> None:
    text = (
        session(0, 1, 60, '← CLOSE 1001 "bye"')
        + f"{clock(66)}.000 CP-1 ← CLOSED FIN\n"
        + f"{clock(70)}.000 CP-1 → REFUSED 503 Service Unavailable, offered ocpp1.6\n"
        + session(90, 2, 10)
    )
    found, sentences = autopsy(text)
    first, second = found.ends
    assert (first.by, first.how, first.code, first.reason) == (Side.CSMS, "close frame", 1001, "bye")
    assert first.silent_ns == (60 * SECOND + 50_000_000, 60 * SECOND)
    assert first.lifetime_ns == 65 * SECOND + 50_000_000
    assert first.messages == (1, 1)
    assert (first.next_ns, first.tried) == (first.began_ns + 90 * SECOND, 1)
    assert (second.how, second.next_ns) == ("FIN", None)
    assert [series.hows for series in found.series] == [("HTTP 503",)]
    assert any('sent Close 1001 (going away) "bye" after 65 s' in line for line in sentences)
    assert any("the next connection came after 25 s and 1 failed attempt" in line for line in sentences)


def test_what_ends_have_in_common() -> None:
    boot = f"""{clock(0)}.000 CP-1 → OPEN ocpp1.6
{clock(1)}.000 CP-1 → [2,"b","BootNotification",{{"chargePointVendor":"V","chargePointModel":"M"}}]
{clock(1)}.050 CP-1 ← [3,"b",{{"status":"Accepted","currentTime":"2026-11-22T10:00:01Z","interval":60}}]
{clock(61)}.050 CP-1 ← CLOSED FIN
"""
    found, sentences = autopsy(boot + "".join(session(100 * n, n, 60) for n in range(1, 5)))
    idle = found.constants[0]
    assert (idle.sort, idle.count, idle.among) == ("any", 5, 5)
    assert abs(idle.value_ns - 60 * SECOND) < SECOND // 10
    assert any("5 of 5 ends that the CSMS made came 60 s" in line for line in sentences)
    assert any("heartbeat interval 60 s" in line for line in sentences)


def test_ends_without_anything_in_common() -> None:
    assert not autopsy("".join(session(200 * n, n, 20 + 13 * n) for n in range(5)))[0].constants


def test_two_connections_at_a_time() -> None:
    text = (
        f"{clock(0)}.000 #1 CP-1 → OPEN ocpp1.6\n{clock(60)}.000 #2 CP-1 → OPEN ocpp1.6\n"
        f'{clock(90)}.000 #2 CP-1 → [2,"1","Heartbeat",{{}}]\n'
    )
    found, sentences = autopsy(text)
    assert [(one.older, one.newer, one.older_spoke) for one in found.overlaps] == [(0, 1, False)]
    assert [one.how for one in found.ends] == ["silence"]
    assert any("open at the same time" in line for line in sentences)


def test_pauses_between_attempts() -> None:
    times = [0, 5, 15, 35]
    text = "".join(f"{clock(at)}.000 CP-1 → REFUSED 503 Service Unavailable, offered ocpp1.6\n" for at in times)
    found, sentences = autopsy(session(-100, 1, 5) + text)
    (series,) = found.series
    assert [pause // SECOND for pause in series.pauses_ns[1:]] == [5, 10, 20]
    assert "4 attempts to connect failed (HTTP 503)" in sentences[-1]


def test_a_session_that_worked_is_no_failed_attempt() -> None:
    """However short it was; one in which nobody answered is."""
    worked = session(0, 1, -3, "→ CLOSED RST")
    assert not autopsy(worked)[0].series
    silent = f'{clock(10)}.000 CP-1 → OPEN ocpp1.6\n{clock(11)}.000 CP-1 → [2,"2","Heartbeat",{{}}]\n'
    spoken = f'{clock(12)}.000 CP-1 ← [2,"3","ClearCache",{{}}]\n{clock(13)}.000 CP-1 → CLOSED RST\n'
    found, sentences = autopsy(worked + silent + spoken)
    assert [(series.count, series.hows) for series in found.series] == [(1, (AT_ONCE,))]
    assert "1 attempt to connect failed (upgraded, ended at once)" in sentences[-1]


RESET = '{0}.000 CP-1 ← [2,"r","Reset",{{"type":"Soft"}}]\n{0}.050 CP-1 → [3,"r",{{"status":"Accepted"}}]\n'
BOOT = (
    '{0}.000 CP-1 → [2,"b","BootNotification",{{"chargePointVendor":"V","chargePointModel":"M"}}]\n'
    '{0}.050 CP-1 ← [3,"b",{{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":60}}]\n'
)


@pytest.mark.parametrize(("booted", "ends"), [(True, [True, False]), (False, [True, True])])
def test_a_reset_is_done_when_the_station_has_booted(booted: bool, ends: list[bool]) -> None:
    """The second of two ends soon after a Reset belongs to it only if the station has not booted since."""
    text = f"{clock(0)}.000 CP-1 → OPEN ocpp1.6\n{RESET.format(clock(10))}{clock(20)}.000 CP-1 → CLOSED FIN\n"
    boot = BOOT.format(clock(31)) if booted else ""
    text += f"{clock(30)}.000 CP-1 → OPEN ocpp1.6\n{boot}{clock(50)}.000 CP-1 → CLOSED FIN\n"
    found, sentences = autopsy(text)
    assert [end.after_reset for end in found.ends] == ends
    assert ["after a Reset" in line for line in sentences if line.startswith("#")] == ends


def test_bounds() -> None:
    """More ends and attempts than are kept: the latest are, and the count is right."""
    many = MAX_ENDS + 5
    text = "".join(session(30 * n, n, 10) for n in range(many))
    refused = "".join(
        f"{clock(30 * many + n)}.000 CP-1 → REFUSED 503 No, offered ocpp1.6\n" for n in range(MAX_ATTEMPTS + 5)
    )
    found, sentences = autopsy(text + refused)
    assert (found.ended, len(found.ends)) == (many, MAX_ENDS)
    assert found.ends[-1].connection == many - 1
    assert sum(line.startswith("#") for line in sentences) == MAX_TOLD
    assert found.series[-1].count == MAX_ATTEMPTS


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=40), st.data())
def test_a_constant_holds_what_agrees_with_its_value(values: list[int], data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(values))
    found = Constant.of("any", values, value, len(values))
    within = max(2 * SECOND, value * 3 // 100)
    assert found.count == sum(abs(one - value) <= within for one in values) >= 1
    assert found.spread_ns <= 2 * within
