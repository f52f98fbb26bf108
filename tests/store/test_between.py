"""Events between rows: order, ranges, bounds."""

import pytest

from ocppscope.model import ControlFrame, Side, StreamGap
from ocppscope.store.between import Between
from store.support_store import START, opened


def ping(opcode=9):
    return ControlFrame(START, 0, Side.CSMS, opcode, b"", (1,))


GAP = StreamGap(START, 0, Side.CSMS, 5, "lost")


def test_a_range_of_rows_has_what_happened_before_them():
    between = Between()
    events = [(0, opened()), (0, ping()), (2, GAP), (5, ping(8))]
    for row, event in events:
        between.add(row, event)
    assert between.get(0, 1) == events[:2]
    assert between.get(1, 5) == events[2:3]
    assert between.get(0, 99) == events
    assert between.get(6, 99) == []


def test_pings_do_not_push_out_the_rest():
    between = Between(max_events=3, max_pings=2)
    for _ in range(10):
        between.add(0, ping())
        between.add(0, ping(10))
    for _ in range(4):
        between.add(1, ping(8))
    assert len(between) == 5
    assert between.dropped == 18 + 1


@pytest.mark.parametrize("before", [0, 1, 3, 99])
def test_eviction_makes_room(before):
    between = Between(max_events=4, max_pings=4)
    for row in range(4):
        between.add(row, ping())
        between.add(row, GAP)
    between.evict(before)
    gone = min(before, 4)
    assert between.evicted == 2 * gone
    assert len(between.get(0, 999)) == 8 - 2 * gone
    for _ in range(gone):
        between.add(200, GAP)
        between.add(200, ping())
    assert between.dropped == 0
    between.add(201, GAP)
    assert between.dropped == 1
