"""Bounds of comparisons are reached: what is told then, and that nothing takes for ever."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from support_compare import SECOND, codes, compared, of_capture, of_text, recording

from ocppscope.compare import choosing, matching
from ocppscope.compare.alignment import MAX_EDITS, align
from ocppscope.compare.choosing import MAX_LOOKED
from ocppscope.compare.clocks import MAX_POINTS, Points, aligned
from ocppscope.compare.matching import MAX_SAME_KEY, pairs_of
from ocppscope.compare.report import SESSIONS, VANTAGE
from ocppscope.model import ConnectionOpened
from support_engine import CAPTURES, run

BEGIN = 1_795_348_800 * SECOND


# --- alignment ----------------------------------------------------------------------------------------------------


def conversation(what: str, count: int, first: int = 0, since: str = "2026-11-22") -> str:
    """Exchanges between transactions, a second apart, of one action and with a number of their own each."""
    lines = [f"-- {since} (UTC)", "10:00:00.000 CP-1 → OPEN ocpp1.6"]
    for number in range(first, first + count):
        clock = f"{10 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
        lines.append(f'{clock}.100 CP-1 → [2,"{number}",{what}]')
        lines.append(f'{clock}.200 CP-1 ← [3,"{number}",{{}}]')
    return "\n".join(lines)


FIRMWARE = '"FirmwareStatusNotification",{"status":"Idle"}'
DIAGNOSTICS = '"DiagnosticsStatusNotification",{"status":"Idle"}'


def test_no_more_edits_are_looked_for():
    half = MAX_EDITS // 2
    assert align(range(half), range(half, 2 * half)) is not None
    assert align(range(half + 1), range(half + 1, 2 * half + 2)) is None


@pytest.mark.parametrize(("count", "is_counted"), [(MAX_EDITS // 2, False), (MAX_EDITS // 2 + 1, True)])
def test_phases_that_differ_in_more_are_counted_and_that_is_told(count: int, is_counted: bool):
    found = compared(of_text(conversation(FIRMWARE, count)), of_text(conversation(DIAGNOSTICS, count), "B"), SESSIONS)
    told = [one for one in found.notices if f"more than {MAX_EDITS} exchanges" in one]
    assert bool(told) == is_counted
    assert codes(found).count("action") == 2


# --- which way of comparing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [3, MAX_LOOKED])
def test_of_many_equal_messages_some_are_looked_at(monkeypatch: pytest.MonkeyPatch, bound: int):
    """And the sentence says that there may be more."""
    monkeypatch.setattr(choosing, "MAX_LOOKED", bound)
    looked: list[int] = []
    a, b = of_capture("remote_start_stop"), of_capture("remote_start_stop")
    message = a.message
    monkeypatch.setattr(a, "message", lambda row: looked.append(row) or message(row))
    mode, reason = choosing.mode_of(a, b)
    assert mode == VANTAGE
    assert len(looked) == min(bound, len(matching.shared_texts(a, b)[0]))
    assert ("at least" in reason) == (bound == 3)
    a.close()
    b.close()


def test_where_not_all_were_looked_at_it_is_not_said_that_none_has_a_time(monkeypatch: pytest.MonkeyPatch):
    a = of_text(conversation(FIRMWARE, 20))
    b = of_text(conversation(FIRMWARE, 10) + conversation(DIAGNOSTICS, 30, 50).partition("6\n")[2], "B")
    assert "no message with a time in it" in choosing.mode_of(a, b)[1]
    monkeypatch.setattr(choosing, "MAX_LOOKED", 3)
    mode, reason = choosing.mode_of(a, b)
    assert mode == SESSIONS
    assert "of 3 equal messages that were looked at" in reason
    a.close()
    b.close()


# --- which connection is which ------------------------------------------------------------------------------------


def copies(count: int) -> list[ConnectionOpened]:
    """The same silent connection, so many times."""
    event = next(one for one in run(CAPTURES / "remote_start_stop.pcap").events if isinstance(one, ConnectionOpened))
    return [replace(event, connection=replace(event.connection, number=number)) for number in range(count)]


@pytest.mark.parametrize(("count", "paired"), [(MAX_SAME_KEY, MAX_SAME_KEY), (MAX_SAME_KEY + 1, 0)])
def test_a_key_that_many_connections_have_pairs_none(count: int, paired: int):
    """Nor do ports; it is told, since the mode was chosen for such a key."""
    a, b = recording(copies(count)), recording(copies(count), "B")
    assert [pair.why for pair in pairs_of(a, b)] == ["key"] * paired
    found = compared(a, b, VANTAGE)
    told = [one for one in found.notices if one.startswith("Of 1 Sec-WebSocket-Key there are more than 16")]
    assert bool(told) == (paired == 0)
    assert found.summary[0].startswith(f"{paired} connections in both (of {count} in A")


def test_of_a_station_that_connects_again_and_again_the_nearest_are_looked_at():
    """Not each with each: a station that cannot stay connected has a hundred thousand connections a week."""
    count = 3000
    looked = 0

    class Counted(list):
        def __getitem__(self, place):
            nonlocal looked
            found = super().__getitem__(place)
            looked += len(found) if isinstance(place, slice) else 0
            return found

    times = Counted((number * SECOND, number) for number in range(count))
    for number in range(count):
        around = {one for _, one in matching._around(times, number * SECOND + 5)}
        assert {number, min(number + 1, count - 1)} <= around
    assert looked <= count * 2 * MAX_SAME_KEY


# --- clocks -------------------------------------------------------------------------------------------------------


def test_every_possible_clock_counts_for_the_uncertainty():
    """However many corners the set of possible lines has: each line that touches a bound lies within."""
    count, day = MAX_POINTS, 86_400
    x = np.linspace(-1, 1, count)
    delays = (4e9 + 2e9 * x**2).astype(np.int64)
    up = np.arange(count) % 2 == 0
    made = Points(BEGIN + ((x + 1) * day / 2 * SECOND).astype(np.int64), np.where(up, delays, -delays), up)
    (line,) = aligned(made, 0).lines
    assert len(line.slopes) > 3000
    assert len(line.slopes) <= count + 3
    for place in range(1, count - 1, 97):
        steepness = 4e9 * x[place] / (day / 2)  # ns a second, of the line that touches there
        for at in (0, count // 3, count - 1):
            touching = delays[place] + steepness * (x[at] - x[place]) * day / 2
            here = int(line.at(made.time_ns[at : at + 1])[0])
            assert abs(touching - here) <= line.uncertainty(int(made.time_ns[at])) + 50
