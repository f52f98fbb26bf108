"""Times between messages, from the columns of a store: latencies of each action, heartbeats, connections.

An exchange counts where its CALL or its answer is among the wanted rows. Everything is NumPy over whole columns; of
payloads only the answers to BootNotifications are read, for the interval that they grant. Knows no widget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ocppscope.model import Kind, Outcome, Side
from ocppscope.render import jsonl
from ocppscope.render.charts import Stay, Track
from ocppscope.store.columns import OUTCOMES
from ocppscope.store.places import GoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from ocppscope.model import Connection
    from ocppscope.store.store import Piece, Store

    Rows = NDArray[np.int64]
    Codes = NDArray[np.int64]

MAX_BEATS = 20_000
"""Heartbeats of a station that are looked at, the last ones."""
MAX_STATIONS = 500
"""Stations whose heartbeats and connections are looked at, the first ones."""
MAX_ANSWER = 1 << 16
"""Bytes of an answer to a BootNotification that is read."""
MAX_INTERVAL_S = 10**7
ALL = "all actions"

_ERROR, _TIMEOUT = OUTCOMES.index(Outcome.ERROR), OUTCOMES.index(Outcome.TIMEOUT)
_CALL = int(Kind.CALL)


class Latencies(NamedTuple):
    """Of one action in one direction, or of all. Times in ns; `moments` are those of the CALLs."""

    action: str
    side: Side | None  # who asked; None: both
    moments: Rows  # of answered CALLs
    values: Rows  # the latency of each
    ordered: Rows  # the same, sorted
    lost: Rows  # moments of CALLs without an answer in time
    errors: int

    def percentile(self, percent: int) -> int:
        """The nearest-rank percentile; 0 of nothing."""
        count = len(self.ordered)
        return int(self.ordered[max(-(-count * percent // 100), 1) - 1]) if count else 0


class Beats(NamedTuple):
    """The heartbeats of one station."""

    station: str
    moments: Rows
    expected_ns: int | None  # the interval that the CSMS granted

    @property
    def gaps(self) -> Rows:
        """The times between them."""
        return np.diff(self.moments)


class Figures(NamedTuple):
    """All that the charts show."""

    actions: tuple[Latencies, ...]  # all together first, then each, the most frequent first
    beats: tuple[Beats, ...]
    tracks: tuple[Track, ...]
    first_ns: int | None = None
    last_ns: int | None = None
    more_stations: int = 0


NOTHING = Figures((), (), ())


class _Calls(NamedTuple):
    """The wanted CALLs, as columns."""

    row: Rows
    time_ns: Rows
    connection: Rows
    group: Codes  # twice the action, plus the side
    outcome: Codes
    latency_ns: Rows
    has_latency: NDArray[np.bool_]


def figures(store: Store, rows: Rows | None, cancelled: Callable[[], bool] = lambda: False) -> Figures:
    """The figures of some rows; None is all. Gives up with `NOTHING` when it is cancelled."""
    length = len(store)
    wanted = None if rows is None else _exchanges(store, rows, length)
    parts: list[_Calls] = []
    seen: set[int] = set()
    for piece in store.pieces(0, length):
        if cancelled():
            return NOTHING
        part = _calls(piece, wanted)
        parts.append(part)
        seen.update(np.unique(part.connection).tolist())
    calls = _Calls(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else None
    if calls is None:
        return NOTHING._replace(tracks=tuple(_tracks(store, None)[:MAX_STATIONS]))
    tracks = _tracks(store, None if rows is None else seen)
    return Figures(
        tuple(_latencies(store, calls)),
        tuple(_beats(store, calls)),
        tuple(tracks[:MAX_STATIONS]),
        _time_of(store, store.first),
        _time_of(store, length - 1),
        max(len(tracks) - MAX_STATIONS, 0),
    )


def _time_of(store: Store, row: int) -> int | None:
    times = store.column("time_ns", row, row + 1)
    return int(times[0]) if len(times) else None


def _exchanges(store: Store, rows: Rows, length: int) -> NDArray[np.bool_]:
    """Which rows are CALLs that pass, or whose answer passes."""
    wanted = np.zeros(length, np.bool_)
    for piece in store.pieces(0, length):
        last = piece.first + piece.high - piece.low
        here = rows[slice(*np.searchsorted(rows, (piece.first, last)))]
        partners = piece.chunk.partner[here - piece.chunk.first]
        wanted[here] = True
        wanted[partners[(partners >= 0) & (partners < length)]] = True
    return wanted


def _calls(piece: Piece, wanted: NDArray[np.bool_] | None) -> _Calls:
    chunk = piece.chunk
    chosen = chunk.kind[piece.low : piece.high] == _CALL
    if wanted is not None:
        chosen = chosen & wanted[piece.first : piece.first + len(chosen)]
    at = np.flatnonzero(chosen) + piece.low
    return _Calls(
        at + chunk.first,
        chunk.time_ns[at],
        chunk.connection[at].astype(np.int64),
        chunk.action[at].astype(np.int64) * 2 + chunk.side[at],
        chunk.outcome[at].astype(np.int64),
        chunk.latency_ns[at],
        chunk.has_latency[at],
    )


# --- latencies -----------------------------------------------------------------------------------------------------


def _latencies(store: Store, calls: _Calls) -> Iterator[Latencies]:
    yield _of(ALL, None, calls.time_ns, calls.latency_ns, calls.has_latency, calls.outcome)
    if not len(calls.group):
        return
    order = np.argsort(calls.group, kind="stable")
    groups, starts = np.unique(calls.group[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    spans = sorted(zip(groups.tolist(), starts.tolist(), ends, strict=True), key=lambda one: one[1] - one[2])
    for group, start, end in spans:
        at = order[start:end]
        action, side = store.actions.texts[group >> 1], Side(group & 1)
        yield _of(action, side, calls.time_ns[at], calls.latency_ns[at], calls.has_latency[at], calls.outcome[at])


def _of(action: str, side: Side | None, moments: Rows, values: Rows, answered: Any, outcome: Codes) -> Latencies:
    found = values[answered]
    lost = moments[outcome == _TIMEOUT]
    return Latencies(
        action, side, moments[answered], found, np.sort(found), lost, int(np.count_nonzero(outcome == _ERROR))
    )


# --- heartbeats ----------------------------------------------------------------------------------------------------


def _beats(store: Store, calls: _Calls) -> Iterator[Beats]:
    """Stations with heartbeats, in order of their first."""
    heartbeat = store.actions.get("Heartbeat")
    if heartbeat is None:
        return
    at = np.flatnonzero(calls.group == heartbeat * 2 + int(Side.STATION))
    if not len(at):
        return
    by_station: dict[str, list[Rows]] = {}
    connections = calls.connection[at]
    order = np.argsort(connections, kind="stable")
    numbers, starts = np.unique(connections[order], return_index=True)
    for number, places in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        connection = store.connections.get(number)
        if connection is None or connection.leg_of is not None:
            continue
        if connection.station in by_station or len(by_station) < MAX_STATIONS:
            by_station.setdefault(connection.station, []).append(calls.time_ns[at[places]])
    granted = _granted(store, calls)
    for station, parts in by_station.items():
        yield Beats(station, np.sort(np.concatenate(parts))[-MAX_BEATS:], granted.get(station))


def _granted(store: Store, calls: _Calls) -> dict[str, int]:
    """The heartbeat interval that each station was last told, in ns."""
    boot = store.actions.get("BootNotification")
    if boot is None:
        return {}
    last: dict[str, int] = {}
    at = np.flatnonzero(calls.group == boot * 2 + int(Side.STATION))
    for row, number in zip(calls.row[at].tolist(), calls.connection[at].tolist(), strict=True):
        connection = store.connections.get(number)
        if connection is not None and (connection.station in last or len(last) < MAX_STATIONS):
            last[connection.station] = row
    intervals = {station: _interval_ns(store, row) for station, row in last.items()}
    return {station: interval for station, interval in intervals.items() if interval is not None}


def _interval_ns(store: Store, row: int) -> int | None:
    """What the answer to a BootNotification grants."""
    try:
        answer = store.partner(row)
        text = b"" if answer is None else store.text(answer)
    except GoneError:
        return None
    parts = jsonl.read(text) if 0 < len(text) <= MAX_ANSWER else None
    payload = parts[2] if isinstance(parts, list) and len(parts) > 2 else None
    interval = payload.get("interval") if isinstance(payload, dict) else None
    if isinstance(interval, int) and not isinstance(interval, bool) and 0 < interval <= MAX_INTERVAL_S:
        return interval * 1_000_000_000
    return None


# --- connections ---------------------------------------------------------------------------------------------------


def _tracks(store: Store, seen: set[int] | None) -> list[Track]:
    """When each station was connected; with `seen` those that have one of these connections."""
    by_station: dict[str, list[Connection]] = {}
    for connection in list(store.connections.values()):
        if connection.leg_of is None:
            by_station.setdefault(connection.station, []).append(connection)
    return [
        Track(station, [_stay(one) for one in connections])
        for station, connections in by_station.items()
        if seen is None or not seen.isdisjoint(one.number for one in connections)
    ]


def _stay(connection: Connection) -> Stay:
    upgrade = connection.handshake
    refused = upgrade is not None and not upgrade.upgraded
    closed = None if connection.close_how == "end of capture" else connection.closed_ns
    return Stay(connection.opened_ns, closed, refused)
