"""What the rules about profiles in force, certificates and security events remember is bounded."""

from __future__ import annotations

from collections import deque

from conversation import play
from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.rules.certificates import MAX_TIMES, MAX_TYPES, _count
from ocppscope.analysis.rules.limits import MAX_PLACES

START = "10:00:00.000 CP-1 → OPEN ocpp1.6\n"


def test_places_of_profiles_are_bounded() -> None:
    text = "".join(
        f'10:00:01.000 CP-1 ← [2,"{number}","SetChargingProfile",{{"connectorId":{number}}}]\n'
        for number in range(MAX_PLACES + 5)
    )
    diagnosis = Diagnosis()
    diagnosis.take(play(START + text))
    station = diagnosis.stations.by_identity["CP-1"]
    assert len(station.memories["profile-churn"]) == MAX_PLACES


def test_types_and_times_are_bounded() -> None:
    memory: dict[str, deque[int]] = {}
    for number in range(MAX_TYPES + 5):
        _count(memory, str(number), number, 10**18)
    assert len(memory) == MAX_TYPES
    for now in range(MAX_TIMES + 5):
        times = _count(memory, "same", now, 10**18)
    assert len(times) == MAX_TIMES


def test_only_the_window_counts() -> None:
    memory: dict[str, deque[int]] = {}
    assert [len(_count(memory, "x", now, 10)) for now in (0, 5, 10, 11, 30)] == [1, 2, 3, 3, 1]
