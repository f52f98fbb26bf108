"""What timestamps say of clocks, and which messages are old ones of a queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from conversation import play
from ocppscope.analysis.bus import Bus
from ocppscope.analysis.happenings import asked
from ocppscope.analysis.state.clock import MAX_READINGS, RECENT, Clock, ClockRead, Reading, offset_of
from ocppscope.analysis.station import Exchange
from ocppscope.analysis.stations import Stations

SECOND = 1_000_000_000
BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)
OPEN = "10:00:00 CP-1 → OPEN ocpp1.6\n"


def at(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def meter(seconds: float, stamp: float, *, answer: bool = True) -> str:
    head = f"{at(seconds)} CP-1 "
    said = (
        f'{head}→ [2,"m{seconds}","MeterValues",{{"connectorId":1,"transactionId":7,"meterValue":[{{"timestamp":'
        f'"{at(stamp)}","sampledValue":[{{"value":"1"}}]}}]}}]\n'
    )
    return said + (f'{head}← [3,"m{seconds}",{{}}]\n' if answer else "")


def status(seconds: float, stamp: float, what: str = "Available") -> str:
    head = f"{at(seconds)} CP-1 "
    return (
        f'{head}→ [2,"s{seconds}","StatusNotification",{{"connectorId":1,"errorCode":"NoError","status":"{what}",'
        f'"timestamp":"{at(stamp)}"}}]\n{head}← [3,"s{seconds}",{{}}]\n'
    )


def heard(text: str) -> tuple[Clock, list[bool]]:
    """The station's clock at the end, and of each message with a timestamp whether it was replayed."""
    bus = Bus()
    told: list[Exchange] = []
    stations = Stations(bus)
    bus.subscribe(asked("MeterValues", "StatusNotification", "TransactionEvent"), told.append)
    stations.take(play(text))
    return stations.by_identity["CP-1"].clock, [x.replayed for x in told]


QUEUE = "".join(meter(1 + i * 0.2, -3600 + i * 300) for i in range(10))


@pytest.mark.parametrize(
    ("text", "replayed", "skew"),
    [
        pytest.param("".join(meter(60 * i, 60 * i) for i in range(1, 5)), [False] * 4, 0, id="on time"),
        pytest.param("".join(meter(60 * i, 60 * i - 45) for i in range(1, 5)), [False] * 4, -45, id="a bit late"),
        pytest.param("".join(meter(60 * i, 60 * i + 7200) for i in range(1, 5)), [False] * 4, 7200, id="ahead"),
        pytest.param(
            "".join(meter(60 * i, 60 * i - 7200) for i in range(1, 5)), [True] + [False] * 3, -7200, id="behind"
        ),
        pytest.param(QUEUE, [True] * 10, None, id="a queue from before the connection"),
        pytest.param(
            status(0.5, 0.5) + QUEUE + "".join(meter(60 * i, 60 * i) for i in range(1, 4)),
            [False] + [True] * 10 + [False] * 3, 0, id="a queue, then live",
        ),
        pytest.param(
            "".join(status(60 * i, 60 * i - 7200, what) for i, what in ((1, "Available"), (2, "Preparing")))
            + "".join(meter(60 * i, 60 * i - 7200) for i in range(3, 6)),
            [False] * 5, -7200, id="behind, as statuses show first",
        ),
        pytest.param(
            "".join(status(i, -1000) for i in range(3)) + "".join(meter(60 * i, 60 * i) for i in range(1, 4)),
            [False] * 6, 0, id="statuses of long ago",
        ),
        pytest.param(
            "".join(meter(60 * i, 60 * i) for i in range(1, 5)) + meter(400, 250, answer=False) + meter(500, 310),
            [False] * 5 + [True], 0, id="a queue behind a CALL without an answer",
        ),
        pytest.param(
            "".join(meter(60 * i, 60 * i) for i in range(1, 5)) + meter(400, 250),
            [False] * 5, 0, id="late for no reason that shows",
        ),
    ],
)  # fmt: skip
def test_replayed(text: str, replayed: list[bool], skew: int | None) -> None:
    clock, found = heard(OPEN + text)
    assert found == replayed
    assert (clock.skew_ns if skew is None else round((clock.skew_ns or 0) / SECOND)) == skew


def test_offline_says_so() -> None:
    text = "10:00:00 CP-1 → OPEN ocpp2.0.1\n" + (
        f'{at(5)} CP-1 → [2,"1","TransactionEvent",{{"eventType":"Started","timestamp":"{at(3)}","offline":true,'
        '"triggerReason":"Authorized","seqNo":0,"transactionInfo":{"transactionId":"T"}}]\n'
    )
    assert heard(text)[1] == [True]


def test_a_clock_that_was_never_set_is_told_of_but_not_kept() -> None:
    bus = Bus()
    stations = Stations(bus)
    told: list[ClockRead] = []
    bus.subscribe(ClockRead, told.append)
    stations.take(play(OPEN + status(1, -(BEGIN.timestamp()))))
    assert [one.is_set for one in told] == [False]
    assert not stations.by_identity["CP-1"].clock.station


def test_a_step_is_followed_within_recent_readings() -> None:
    clock = Clock()
    for i in range(100):
        clock.read(Reading(i, 0))
    assert clock.skew_ns == 0
    for i in range(RECENT // 2 + 1):
        clock.read(Reading(100 + i, 60 * SECOND))
    assert clock.skew_ns == 60 * SECOND
    assert len(clock.station) == MAX_READINGS


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("2026-11-22T10:00:00Z", ""), ("2026-11-22T10:00:00", ""), ("2026-11-22T10:00:00+00:00", ""),
        ("2026-11-22T10:00:00.123-00:00", ""), ("2026-11-22T10:00:00+02:00", "+02:00"),
        ("2026-11-22T10:00:00.5-0530", "-0530"), ("2026-11-22T10:00:00+02", "+02"), ("", ""), ("2026-11-22", ""),
    ],
)  # fmt: skip
def test_offset(text: str, offset: str) -> None:
    assert offset_of(text) == offset
