"""Which connection of one capture is which of the other, and which message is which. Works on columns of hashes.

Messages are matched by what they say. Texts that a connection's direction has once on either side are certain; texts
that come again and again (heartbeats with the same id) are matched in order, or by time where the clocks are known
and their numbers differ. What is left is matched by id (its content was changed on the way), then by content (its id
was).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from ocppscope.compare.recording import Recording
    from ocppscope.model import Connection

    Ints = NDArray[np.int64]

MIN_SHARED = 2
"""Texts in common from which two connections are the same without any other sign."""
MAX_SAME_KEY = 16
"""Connections of one capture with the same key; a key that more have says nothing. Likewise of those that begin at
the same time, of which the nearest are looked at."""
NEAR_NS = 2_000_000_000
"""How near two connections of a station begin, by aligned clocks, if nothing else tells that they are one."""
MAX_BODIES = 4096
"""Messages of a direction that are left whose content is compared without their id."""
TOLERANCE = 50_000_000, 30_000_000_000
"""By how much the times of equal messages that come again and again may differ: least and most, ns."""

NOWHERE = -1


class Pair(NamedTuple):
    """Two connections, and why they are taken for one: "key", "addresses", "station" or "messages"."""

    a: int
    b: int
    why: str
    shared: int  # texts that no other connection has

    def number(self, which: int) -> int:
        """The connection in A (0) or B (1)."""
        return self.b if which else self.a


class Matched(NamedTuple):
    """Places in two sequences: what is the same, what changed, and what is left on either side."""

    same: list[tuple[int, int]]
    changed: list[tuple[int, int]]  # same id, other content
    renamed: list[tuple[int, int]]  # same content, other id
    left_a: list[int]
    left_b: list[int]


# --- connections --------------------------------------------------------------------------------------------------


def shared_texts(a: Recording, b: Recording) -> tuple[Ints, Ints]:
    """Rows of both whose text stands once in either capture, repeated legs left out; in the order of the first."""
    rows_a, rows_b = _single(a), _single(b)
    _, in_a, in_b = np.intersect1d(a.rows.text[rows_a], b.rows.text[rows_b], assume_unique=True, return_indices=True)
    order = np.argsort(rows_a[in_a])  # hashes have another order in each process
    return rows_a[in_a][order], rows_b[in_b][order]


def _single(recording: Recording) -> Ints:
    columns = recording.rows
    legs = [number for number, one in recording.connections.items() if one.leg_of is not None]
    rows = np.flatnonzero(~np.isin(columns.connection, legs))
    _, first, counts = np.unique(columns.text[rows], return_index=True, return_counts=True)
    found: Ints = rows[first[counts == 1]]
    return found


def pairs_of(a: Recording, b: Recording) -> list[Pair]:
    """The connections that both captures have, the earlier ones first."""
    rows_a, rows_b = shared_texts(a, b)
    counts: defaultdict[tuple[int, int], int] = defaultdict(int)
    for one, other in zip(a.rows.connection[rows_a].tolist(), b.rows.connection[rows_b].tolist(), strict=True):
        counts[one, other] += 1
    offset = int(np.median(b.rows.time_ns[rows_b] - a.rows.time_ns[rows_a])) if len(rows_a) else None
    pairer = _Pairer(_whole(a), _whole(b), counts)
    pairer.by_evidence()
    pairer.by_time(offset)
    return sorted(pairer.found, key=lambda one: (a.connections[one.a].opened_ns, one.a))


def _whole(recording: Recording) -> dict[int, Connection]:
    return {number: one for number, one in recording.connections.items() if one.leg_of is None}


class _Pairer:
    """Pairs connections, the surest first."""

    def __init__(
        self, a: dict[int, Connection], b: dict[int, Connection], counts: dict[tuple[int, int], int]
    ) -> None:
        self._a, self._b, self._counts = a, b, counts
        self._free_a, self._free_b = set(a), set(b)
        self.found: list[Pair] = []

    def by_evidence(self) -> None:
        """By keys, texts and addresses."""
        candidates: dict[tuple[int, int], str] = {}
        for why, name in (("key", _key), ("addresses", _ports)):
            for one, other in self._alike(name):
                if why == "key" or self._counts.get((one, other)) or self._is_silent(one, other):
                    candidates.setdefault((one, other), why)
        for (one, other), shared in self._counts.items():
            same = self._a[one].station == self._b[other].station
            if shared >= MIN_SHARED or same:
                candidates.setdefault((one, other), "station" if same else "messages")
        order = {"key": 0, "addresses": 1, "station": 2, "messages": 3}
        self._take(sorted(candidates.items(), key=lambda one: self._rank(one[0], order[one[1]])))

    def _rank(self, pair: tuple[int, int], sign: int) -> tuple[int, int, int, int, int]:
        keyed = 0 if sign == 0 else 1
        return keyed, -self._counts.get(pair, 0), sign, pair[0], pair[1]

    def _is_silent(self, one: int, other: int) -> bool:
        return not sum(self._a[one].messages) or not sum(self._b[other].messages)

    def by_time(self, offset: int | None) -> None:
        """Connections of one station that begin at the same time."""
        if offset is None:
            return
        by_station: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for opened, other in sorted((self._b[other].opened_ns, other) for other in self._free_b):
            by_station[self._b[other].station].append((opened, other))
        near = [
            (abs(distance), (one, other))
            for one in sorted(self._free_a)
            for distance, other in _around(by_station.get(self._a[one].station, []), self._a[one].opened_ns + offset)
            if abs(distance) <= NEAR_NS
        ]
        self._take([(pair, "station") for _, pair in sorted(near)])

    def _take(self, candidates: Iterable[tuple[tuple[int, int], str]]) -> None:
        for (one, other), why in candidates:
            if one in self._free_a and other in self._free_b:
                self._free_a.discard(one)
                self._free_b.discard(other)
                self.found.append(Pair(one, other, why, self._counts.get((one, other), 0)))

    def _alike(self, name: Callable[[Connection], object]) -> Iterable[tuple[int, int]]:
        """Connections of both that have the same name, if few have it."""
        groups: tuple[defaultdict[object, list[int]], ...] = (defaultdict(list), defaultdict(list))
        for group, connections in zip(groups, (self._a, self._b), strict=True):
            for number, one in connections.items():
                if (known := name(one)) is not None:
                    group[known].append(number)
        for known, ones in groups[0].items():
            others = groups[1].get(known, [])
            if len(ones) <= MAX_SAME_KEY and len(others) <= MAX_SAME_KEY:
                yield from ((one, other) for one in ones for other in others)


def _around(times: list[tuple[int, int]], at: int) -> Iterable[tuple[int, int]]:
    """Those nearest to a time on either side: how much later, and which."""
    place = bisect_left(times, (at, NOWHERE))
    return ((time - at, one) for time, one in times[max(place - MAX_SAME_KEY, 0) : place + MAX_SAME_KEY])


def key_of(connection: Connection) -> str:
    """Its Sec-WebSocket-Key, "" if none was captured: that of a log is made up, and so are its addresses."""
    handshake = connection.handshake
    return handshake.key if handshake is not None and connection.transport is not None else ""


def _key(connection: Connection) -> object:
    return key_of(connection) or None


def crowded(a: Recording, b: Recording) -> int:
    """How many Sec-WebSocket-Keys say nothing, since more than `MAX_SAME_KEY` connections of a capture have them."""
    counts = [Counter(key_of(one) for one in _whole(part).values()) for part in (a, b)]
    return sum(bool(key) and max(counts[0][key], counts[1][key]) > MAX_SAME_KEY for key in counts[0] & counts[1])


def _ports(connection: Connection) -> object:
    """The station's port and address are often translated on the way; both ports rarely."""
    if connection.transport is None:
        return None
    return connection.flow.client.port, connection.flow.server.port


# --- messages -----------------------------------------------------------------------------------------------------


def increasing(values: list[int]) -> list[int]:
    """The places of a longest increasing subsequence."""
    tails: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        at = bisect_left(tails, value)
        before.append(places[at - 1] if at else NOWHERE)
        if at == len(tails):
            tails.append(value)
            places.append(place)
        else:
            tails[at], places[at] = value, place
    found = []
    place = places[-1] if places else NOWHERE
    while place != NOWHERE:
        found.append(place)
        place = before[place]
    return found[::-1]


def singles(a: Ints, b: Ints) -> list[tuple[int, int]]:
    """Places of what either sequence has once, in order of the first."""
    found = []
    for keys in (a, b):
        known, first, counts = np.unique(keys, return_index=True, return_counts=True)
        found.append((known[counts == 1], first[counts == 1]))
    (keys_a, first_a), (keys_b, first_b) = found
    _, in_a, in_b = np.intersect1d(keys_a, keys_b, assume_unique=True, return_indices=True)
    return sorted(zip(first_a[in_a].tolist(), first_b[in_b].tolist(), strict=True))


def anchors(a: Ints, b: Ints) -> list[tuple[int, int]]:
    """Those of them that are in the same order on both sides."""
    pairs = singles(a, b)
    return [pairs[place] for place in increasing([other for _, other in pairs])]


class Sequence(NamedTuple):
    """The messages of one direction of a connection: hashes, and times by the clock of A."""

    text: Ints
    id: Ints
    time_ns: Ints


def match(a: Sequence, b: Sequence, body: Callable[[int, int], object] | None = None, *, timed: bool) -> Matched:
    """Matches two sequences. `body(side, place)` is the content without its id; `timed`: the clocks are known."""
    same = singles(a.text, b.text)
    same += _repeated(a, b, same, timed=timed)
    same.sort()
    left_a, left_b = _left(len(a.text), (x for x, _ in same)), _left(len(b.text), (y for _, y in same))
    changed = _by_name(left_a, left_b, a.id, b.id)
    left_a, left_b = _rest(left_a, left_b, changed)
    renamed: list[tuple[int, int]] = []
    if body is not None and left_a and left_b and max(len(left_a), len(left_b)) <= MAX_BODIES:
        renamed = _by_body(left_a, left_b, body)
        left_a, left_b = _rest(left_a, left_b, renamed)
    return Matched(same, changed, renamed, left_a, left_b)


def _left(count: int, taken: Iterable[int]) -> list[int]:
    return sorted(set(range(count)) - set(taken))


def _rest(left_a: list[int], left_b: list[int], taken: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    ones, others = {x for x, _ in taken}, {y for _, y in taken}
    return [x for x in left_a if x not in ones], [y for y in left_b if y not in others]


def _by_name(left_a: list[int], left_b: list[int], names_a: Ints, names_b: Ints) -> list[tuple[int, int]]:
    """What is left and has an id that nothing else that is left has."""
    pairs = singles(names_a[left_a], names_b[left_b]) if left_a and left_b else []
    return [(left_a[one], left_b[other]) for one, other in pairs]


def _by_body(left_a: list[int], left_b: list[int], body: Callable[[int, int], object]) -> list[tuple[int, int]]:
    """The same content in the same order, whatever the ids."""
    waiting: defaultdict[object, list[int]] = defaultdict(list)
    for place in left_b:
        waiting[body(1, place)].append(place)
    found, last = [], NOWHERE
    for place in left_a:
        others = [one for one in waiting.get(body(0, place), ()) if one > last]
        if others:
            last = others[0]
            found.append((place, last))
    return found


def _repeated(a: Sequence, b: Sequence, taken: list[tuple[int, int]], *, timed: bool) -> list[tuple[int, int]]:
    """Texts that come more than once on either side."""
    groups_a = _groups(a.text, {x for x, _ in taken})
    groups_b = _groups(b.text, {y for _, y in taken})
    found: list[tuple[int, int]] = []
    for text, ones in groups_a.items():
        others = groups_b.get(text)
        if others is None:
            continue
        if timed and len(ones) != len(others):
            found += _by_time(ones, others, a.time_ns, b.time_ns)
        else:
            found += zip(ones, others, strict=False)
    return found


def _groups(texts: Ints, taken: set[int]) -> dict[int, list[int]]:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for place, text in enumerate(texts.tolist()):
        if place not in taken:
            groups[text].append(place)
    return groups


def _by_time(ones: list[int], others: list[int], times_a: Ints, times_b: Ints) -> list[tuple[int, int]]:
    """Equal messages, each with the one that came when it did."""
    tolerance = _tolerance(times_a[ones], times_b[others])
    found, one, other = [], 0, 0
    while one < len(ones) and other < len(others):
        late = int(times_b[others[other]] - times_a[ones[one]])
        if late > tolerance:
            one += 1
        elif late < -tolerance:
            other += 1
        else:
            found.append((ones[one], others[other]))
            one, other = one + 1, other + 1
    return found


def _tolerance(*times: Ints) -> int:
    gaps = [int(np.diff(one).min()) for one in times if len(one) > 1]
    return min(max(min(gaps, default=TOLERANCE[1]) // 2, TOLERANCE[0]), TOLERANCE[1])
