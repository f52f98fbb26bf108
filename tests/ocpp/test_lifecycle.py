"""The tables of what may come next, cell by cell."""

import pytest

from ocppscope.model import Side, Version
from ocppscope.ocpp import versions
from ocppscope.ocpp.lifecycle import (
    PROFILES,
    REGISTRATION,
    REMOTE_CONTROL,
    RESULTS,
    TRANSITIONS,
    TRIGGERED,
    WHOLE_STATION,
    csms_may,
    may_follow,
    station_may,
)

STATUSES = (
    "Available", "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Reserved", "Unavailable",
    "Faulted",
)  # fmt: skip

# The grid of 1.6 §4.9 with its errata: a row for each status before, a column for each status after, in this order.
GRID = """
. A2 A3 A4 A5 .  A7 A8 A9
B1 . B3 B4 B5 B6 .  .  B9
C1 . .  C4 C5 C6 .  C8 C9
D1 . D3 .  D5 D6 .  D8 D9
E1 . E3 E4 .  E6 .  E8 E9
F1 F2 . .  .  .  .  F8 F9
G1 G2 . .  .  .  .  G8 G9
H1 H2 H3 H4 H5 . .  .  H9
I1 I2 I3 I4 I5 I6 I7 I8 .
"""
CELLS = [
    (before, after, cell != ".")
    for before, row in zip(STATUSES, GRID.strip().splitlines(), strict=True)
    for after, cell in zip(STATUSES, row.split(), strict=True)
]


@pytest.mark.parametrize(("before", "after", "legal"), CELLS, ids=str)
def test_transition(before, after, legal):
    assert (after in TRANSITIONS[before]) is legal
    assert may_follow(before, after) is legal


def test_the_grid_is_whole():
    assert len(CELLS) == 81
    assert sum(legal for *_, legal in CELLS) == 53
    assert sum(map(len, TRANSITIONS.values())) == 53
    assert set(TRANSITIONS) == set(STATUSES) > WHOLE_STATION


@pytest.mark.parametrize(("before", "after"), [("Occupied", "Charging"), ("Available", "Occupied"), ("", "Charging")])
def test_names_that_are_no_statuses_are_not_judged(before, after):
    assert may_follow(before, after)


# What the station may begin: status, action, whether the CSMS asked for it.
STATION = [
    ("", "BootNotification", False, True),
    ("", "Heartbeat", False, False),
    ("", "StatusNotification", True, False),
    ("Accepted", "StartTransaction", False, True),
    ("Pending", "BootNotification", False, True),
    ("Pending", "StatusNotification", False, False),
    ("Pending", "StatusNotification", True, True),
    ("Pending", "NotifyReport", True, True),
    ("Rejected", "BootNotification", False, True),
    ("Rejected", "Heartbeat", False, False),
    ("Rejected", "StatusNotification", True, False),
    ("Maybe", "Heartbeat", False, False),
]


@pytest.mark.parametrize(("status", "action", "asked_for", "legal"), STATION)
def test_station_may(status, action, asked_for, legal):
    assert station_may(status, action, asked_for=asked_for) is legal


CSMS = [
    ("", "GetConfiguration", False),
    ("Accepted", "RemoteStartTransaction", True),
    ("Pending", "GetConfiguration", True),
    ("Pending", "TriggerMessage", True),
    ("Pending", "RemoteStartTransaction", False),
    ("Pending", "RequestStopTransaction", False),
    ("Rejected", "GetConfiguration", False),
]


@pytest.mark.parametrize(("status", "action", "legal"), CSMS)
def test_csms_may(status, action, legal):
    assert csms_may(status, action) is legal


def test_the_tables_name_actions_that_there_are():
    assert set(REGISTRATION) == {"", "Accepted", "Pending", "Rejected"}
    named = REMOTE_CONTROL | set(RESULTS) | set(RESULTS.values()) | set(TRIGGERED.values())
    assert named <= versions.ALL_ACTIONS
    assert all(Side.CSMS in versions.ACTIONS[Version.V16][action] for action in PROFILES)
