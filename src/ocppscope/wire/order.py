"""Which flows of a block are in perfect order: the everyday case of TCP, decided for thousands of segments at once.

A flow is *smooth* in a block when each of its segments continues its direction exactly, has nothing odd about it, and
acknowledges no byte that was not captured. Then an `Assembler` would do nothing but pass its payloads on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.wire.tcp import MAX_JUMP, MODULUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ocppscope.wire.link import Ints

    Booleans = NDArray[np.bool_]

NOT_EXPECTED = -1
"""Given as the next sequence number of a flow that is not to be smooth."""


class Row(NamedTuple):
    """Columns of segments in capture order; `direction` is 0 or 1, `after` the sequence number behind the payload."""

    slot: Ints
    direction: Ints
    seq: Ints
    after: Ints
    ack: Ints
    odd: Booleans


class Smooth(NamedTuple):
    """What `smooth_flows` found."""

    rows: Booleans  # which segments belong to a smooth flow
    slots: Ints  # the smooth flows
    last: Ints  # (flow, direction) → index of its last segment, -1 for none


def smooth_flows(rows: Row, expected: Callable[[int], tuple[int, int]]) -> Smooth:
    """The smooth flows. `expected` gives both directions' next sequence numbers of a slot (or `NOT_EXPECTED`)."""
    order = np.argsort(rows.slot, kind="stable")
    slot, direction, seq, after, ack = (column[order] for column in rows[:5])
    count = len(order)
    first = np.flatnonzero(np.concatenate(([True], slot[1:] != slot[:-1])))
    sizes = np.diff(np.append(first, count))
    begin = np.repeat(first, sizes)
    start = np.array([expected(number) for number in slot[first].tolist()], np.int64).reshape(-1, 2)
    known = np.repeat(start, sizes, axis=0)
    here = np.arange(count)
    last = [np.maximum.accumulate(np.where(direction == side, here, -1)) for side in (0, 1)]
    before = [np.concatenate(([-1], column[:-1])) for column in last]
    own = np.where(direction == 0, before[0], before[1])
    peer = np.where(direction == 0, before[1], before[0])
    follows = np.where(own >= begin, after[own], known[here, direction])
    received = np.where(peer >= begin, after[peer], known[here, 1 - direction])
    ahead = (ack - received) & MODULUS
    good = (seq == follows) & ~rows.odd[order] & ((ahead == 0) | (ahead > MAX_JUMP)) & (known[:, 0] >= 0)
    smooth = np.logical_and.reduceat(good, first)
    found = np.empty(count, np.bool_)
    found[order] = np.repeat(smooth, sizes)
    ends = first + sizes - 1
    final = np.stack([np.where(column[ends] >= first, order[column[ends]], -1) for column in last], axis=1)
    return Smooth(found, slot[first][smooth], final[smooth])
