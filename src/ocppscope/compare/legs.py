"""What the way between the two captures cost: each message, and each exchange, in the figures of one clock."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.compare.report import Column, Table
from ocppscope.model import Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocppscope.compare.clocks import Clocks
    from ocppscope.compare.recording import Recording
    from ocppscope.compare.report import Cell

    Ints = NDArray[np.int64]

MAX_ACTIONS = 200
"""Actions of a table in either direction; that there are more is said below it."""
DIRECTIONS = "→", "←"
_ALL = "all"
_TIME = "ns"


class Both(NamedTuple):
    """Rows that are the same message in both captures, as parallel columns."""

    a: Ints
    b: Ints


def percentile(values: Ints, share: float) -> int:
    """By nearest rank."""
    ranked = np.sort(values)
    return int(ranked[min(max(int(np.ceil(share * len(ranked))) - 1, 0), len(ranked) - 1)])


def legs(a: Recording, b: Recording, both: Both, clocks: Clocks, *, a_is_near: bool) -> Table:
    """How long messages were on their way from one capture to the other, by direction and action."""
    delays = b.rows.time_ns[both.b] - a.rows.time_ns[both.a] - clocks.offset(a.rows.time_ns[both.a])
    sides = a.rows.side[both.a]
    delays = np.where((sides == Side.STATION) == a_is_near, delays, -delays)
    actions = a.column("action")[both.a]
    names = a.store.actions.texts
    rows: list[tuple[Cell, ...]] = []
    more = 0
    for side in Side:
        of_side = sides == side
        if not of_side.any():
            continue
        rows.append((DIRECTIONS[side], _ALL, *_spread(delays[of_side])))
        codes, counts = np.unique(actions[of_side], return_counts=True)
        found = [names[code] for code in codes]
        order = sorted(zip((-counts).tolist(), found, codes.tolist(), strict=True))
        rows += [
            (DIRECTIONS[side], name, *_spread(delays[of_side & (actions == code)]))
            for _, name, code in order[:MAX_ACTIONS]
        ]
        more += max(len(order) - MAX_ACTIONS, 0)
    uncertain = max((line.uncertainty((line.begins_ns + line.ends_ns) // 2) or 0 for line in clocks.lines), default=0)
    note = (
        "Time from one capture to the other after alignment. The sum of both directions is measured; how it splits "
        f"between them is known to ± {uncertain / 1e6:,.3f} ms, since clocks are aligned as if the quickest message "
        f"took as long in either direction.{_left_out(more)}"
    )
    columns = ("from", "action", "n", "min", "p50", "p95", "max")
    units = ("", "", "", *[_TIME] * 4)
    return Table("legs", "On the way between A and B", _columns(columns, units), tuple(rows), note)


def _columns(names: tuple[str, ...], units: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(Column(name, unit) for name, unit in zip(names, units, strict=True))


def _spread(values: Ints) -> tuple[int, int, int, int, int]:
    return len(values), int(values.min()), percentile(values, 0.5), percentile(values, 0.95), int(values.max())


class _Cost(NamedTuple):
    """One exchange."""

    total: int  # latency at the caller's capture
    between: int  # of it between the captures
    beyond: int  # of it beyond the other one
    processing: int | None  # beyond, less the quickest round trip there


def exchanges(a: Recording, b: Recording, both: Both, *, a_is_near: bool) -> Table:
    """Where the time of exchanges went: between the captures, or beyond the one that is nearer to who answers."""
    to_b = np.full(a.messages, -1, np.int64)
    to_b[both.a] = both.b
    calls_a, calls_b = a.column("partner"), b.column("partner")
    answers = both.a[np.isin(a.rows.kind[both.a], (3, 4)) & (calls_a[both.a] >= 0)]
    answers = answers[(to_b[calls_a[answers]] >= 0) & (to_b[calls_a[answers]] == calls_b[to_b[answers]])]
    found: defaultdict[tuple[int, str], list[_Cost]] = defaultdict(list)
    trips = _Trips(a, b)
    codes, names = a.column("action"), a.store.actions.texts
    for row in answers.tolist():
        call = int(calls_a[row])
        side = Side(int(a.rows.side[call]))
        at_a = int(a.rows.time_ns[row] - a.rows.time_ns[call])
        at_b = int(b.rows.time_ns[to_b[row]] - b.rows.time_ns[to_b[call]])
        near_a = (side is Side.STATION) == a_is_near
        total, beyond = (at_a, at_b) if near_a else (at_b, at_a)
        far, there = (b, int(to_b[row])) if near_a else (a, row)
        trip = trips.of(far, int(far.rows.connection[there]), side)
        spent = None if trip is None else max(beyond - trip, 0)
        found[side, names[codes[call]]].append(_Cost(total, total - beyond, beyond, spent))
    ranked = sorted(found.items(), key=_frequent)
    sides = [[one for one in ranked if one[0][0] == side] for side in Side]
    rows = [_costs(side, action, costs) for part in sides for (side, action), costs in part[:MAX_ACTIONS]]
    note = (
        "Measured without any alignment of clocks: latency where the caller's side was captured, less the latency "
        "where the other side was, is what the way there and back took. Processing is beyond, less the quickest TCP "
        f"round trip seen there.{_left_out(len(ranked) - len(rows))}"
    )
    middle, worst = (
        ("total p50", "between p50", "beyond p50", "processing p50"),
        ("total p95", "between p95", "beyond p95"),
    )
    columns = ("from", "action", "n", *middle, *worst)
    units = ("", "", "", *[_TIME] * 7)
    title = "Where the time of exchanges went"
    return Table("exchanges", title, _columns(columns, units), tuple(rows), note)


def _left_out(count: int) -> str:
    return f" The {count:,} rarest actions are not listed." if count > 0 else ""


def _frequent(item: tuple[tuple[int, str], list[_Cost]]) -> tuple[int, int, str]:
    return item[0][0], -len(item[1]), item[0][1]


def _costs(side: int, action: str, costs: list[_Cost]) -> tuple[Cell, ...]:
    total, between, beyond = (np.array(column, np.int64) for column in list(zip(*costs, strict=True))[:3])
    spent = np.array([one.processing for one in costs if one.processing is not None], np.int64)
    middle = [percentile(column, 0.5) for column in (total, between, beyond)]
    worst = [percentile(column, 0.95) for column in (total, between, beyond)]
    return (DIRECTIONS[side], action, len(costs), *middle, percentile(spent, 0.5) if len(spent) else None, *worst)


class _Trips:
    """The quickest round trips of TCP beyond a capture, by connection and who sent."""

    def __init__(self, a: Recording, b: Recording) -> None:
        self._known: dict[tuple[int, int, int], int | None] = {}
        self._recordings = {id(a): a, id(b): b}

    def of(self, recording: Recording, number: int, side: Side) -> int | None:
        """From a capture to who answers what a side sent."""
        key = id(recording), number, int(side)
        if key not in self._known:
            connection = recording.connections.get(number)
            transport = connection.transport if connection is not None else None
            trips = transport.sides[side].round_trips if transport is not None else None
            self._known[key] = trips.min_ns if trips is not None else None
        return self._known[key]
