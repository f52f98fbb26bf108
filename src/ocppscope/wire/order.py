"""Which flows of a block are in perfect order: the everyday case of TCP, decided for thousands of segments at once.

A flow is *smooth* in a block when each of its segments continues its direction exactly, has nothing odd about it, and
acknowledges no byte that was not captured, nor less than before. Then an `Assembler` would do nothing but pass its
payloads on, and what a `Tally` would count is counted here, as columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.wire.tcp import MAX_JUMP, MODULUS
from ocppscope.wire.transport import NO_STATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ocppscope.wire.link import Ints
    from ocppscope.wire.transport import State, Sums

    Booleans = NDArray[np.bool_]

NOT_EXPECTED: State = (-1,) * 10
"""Given for a flow that is not to be smooth."""


class Row(NamedTuple):
    """Columns of segments in capture order; `direction` is 0 or 1, `after` the sequence number behind the payload."""

    slot: Ints
    direction: Ints
    seq: Ints
    after: Ints
    ack: Ints
    odd: Booleans
    time_ns: Ints


class Smooth(NamedTuple):
    """What `smooth_flows` found."""

    rows: Booleans  # which segments belong to a smooth flow
    slots: Ints  # the smooth flows
    last: Ints  # (flow, direction) → index of its last segment, -1 for none
    sums: list[Sums]  # two to a flow
    seats: Ints  # of the round trips
    trips_ns: Ints


class _Sorted(NamedTuple):
    """The columns flow by flow, and what belongs to each row."""

    begin: Ints  # the flow's first row
    way: Ints  # twice the flow's number, and the direction
    by_side: Booleans  # two rows: which are of direction 0, and of 1
    seq: Ints
    after: Ints
    ack: Ints
    time_ns: Ints
    own: Ints  # the row before it in this direction; anything below `begin` for none
    acked: Ints  # how much of this direction was acknowledged before
    smooth: Booleans


def smooth_flows(rows: Row, expected: Callable[[int], State]) -> Smooth:
    """The smooth flows; `expected` tells of a slot what is known from before."""
    order = np.argsort(rows.slot, kind="stable")
    slot, direction, seq, after, ack = (column[order] for column in rows[:5])
    count = len(order)
    first = np.flatnonzero(np.concatenate(([True], slot[1:] != slot[:-1])))
    sizes = np.diff(np.append(first, count))
    begin = np.repeat(first, sizes)
    known = np.array([expected(number) for number in slot[first].tolist()], np.int64).reshape(-1, 10)
    sequence, acked = known[:, :2].ravel(), known[:, 2:4].ravel()
    way = np.repeat(np.arange(0, 2 * len(first), 2), sizes) + direction
    here, first_way = np.arange(count), direction == 0
    by_side = np.stack((first_way, ~first_way))
    last = np.maximum.accumulate(np.where(by_side, here, -1), axis=1)
    before = np.full((2, count), -1)
    before[:, 1:] = last[:, :-1]
    own = np.where(first_way, before[0], before[1])
    peer = np.where(first_way, before[1], before[0])
    has_own, has_peer = own >= begin, peer >= begin
    follows = np.where(has_own, after[own], sequence[way])
    received = np.where(has_peer, after[peer], sequence[way ^ 1])
    acknowledged = np.where(has_own, ack[own], acked[way ^ 1])
    ahead = (ack - received) & MODULUS
    good = (seq == follows) & ~rows.odd[order] & ((ahead == 0) | (ahead > MAX_JUMP)) & (sequence[way] >= 0)
    good &= ((ack - acknowledged) & MODULUS) <= MAX_JUMP
    smooth = np.logical_and.reduceat(good, first)
    found, mine = np.empty(count, np.bool_), np.repeat(smooth, sizes)
    found[order] = mine
    slots, ends = slot[first][smooth], (first + sizes - 1)[smooth]
    final = last[:, ends].T
    final[final < first[smooth, None]] = -1
    placed = np.where(final >= 0, order[final], -1)
    if not len(ends):
        return Smooth(found, slots, placed, [], order[:0], order[:0])
    acked_before = np.where(has_peer, ack[peer], acked[way])
    row = _Sorted(begin, way, by_side, seq, after, ack, rows.time_ns[order], own, acked_before, mine)
    return Smooth(found, slots, placed, *_figures(row, known, smooth, final, ends))


def _figures(row: _Sorted, known: Ints, smooth: Booleans, final: Ints, ends: Ints) -> tuple[list[Sums], Ints, Ints]:
    """What smooth flows add to the tallies of their connections: sums by way; round trips by seat."""
    ways, starts = 2 * len(known), (row.after != row.seq) & (row.acked == row.seq)
    flights = np.maximum.accumulate(np.where(row.by_side & starts, np.arange(len(starts)), -1), axis=1)
    seats, trips_ns = _trips(row, np.where(row.by_side[0], flights[1], flights[0]), known)
    spoken = np.bincount(row.way + ways * (row.after != row.seq), minlength=2 * ways)[ways:]
    mine = known[smooth]
    begun, before, pending, pending_ns = (mine[:, at : at + 2] for at in (0, 2, 4, 6))
    other = final[:, ::-1]
    acked = np.where(other >= 0, row.ack[other], before)
    top = np.where(final >= 0, row.after[final], begun)
    newest = flights[:, ends].T
    carried = newest < row.begin[ends, None]
    flight = np.where(carried, pending, row.after[newest])
    flight_ns = np.where(carried, pending_ns, row.time_ns[newest])
    flight[((acked - flight) & MODULUS) <= MAX_JUMP] = NO_STATE
    waiting_ns = np.full(final.shape, NO_STATE)
    unclear = (acked != top) & (flight < 0)
    for place, side in np.argwhere(unclear).tolist() if unclear.any() else ():
        waiting_ns[place, side] = _last_advance(row, int(ends[place]), 1 - side, int(before[place, side]))
    last_ns = np.where(final >= 0, row.time_ns[final], NO_STATE)
    spoken = spoken.reshape(-1, 2)[smooth]
    columns = (spoken, (top - begun) & MODULUS, last_ns, top, acked, flight, flight_ns, waiting_ns)
    return list(zip(*(column.ravel().tolist() for column in columns), strict=True)), seats, trips_ns


def _trips(row: _Sorted, flight: Ints, known: Ints) -> tuple[Ints, Ints]:
    """Round trips: whose, by seat, and how long.

    One ends with the first ACK that covers the peer's latest flight before it (`flight`: the row that began it).
    """
    peer, carried = row.way ^ 1, flight < row.begin
    end = np.where(carried, known[:, 4:6].ravel()[peer], row.after[flight])
    covers = (end >= 0) & (((row.ack - end) & MODULUS) <= MAX_JUMP) & row.smooth
    rows = np.flatnonzero(covers & ~(covers[row.own] & (row.own >= np.maximum(row.begin, flight))))
    of = peer[rows]
    sent_ns = np.where(carried[rows], known[:, 6:8].ravel()[of], row.time_ns[flight[rows]])
    return known[:, 8:].ravel()[of], np.maximum(row.time_ns[rows] - sent_ns, 0)


def _last_advance(row: _Sorted, end: int, direction: int, acked: int) -> int:
    """When a flow's rows of a direction last acknowledged more than before; `NO_STATE`: they did not."""
    rows = np.arange(int(row.begin[end]), end + 1)
    rows = rows[row.by_side[direction, rows]]
    ack = row.ack[rows]
    advances = np.flatnonzero(ack != np.concatenate(([acked], ack[:-1])))
    return int(row.time_ns[rows[advances[-1]]]) if len(advances) else NO_STATE
