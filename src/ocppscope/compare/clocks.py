"""The clock of one capture against that of the other, from messages that both have.

Of a message from the station, B's time less A's is the offset of the clocks plus the way from A to B; of one from
the CSMS the offset less the way back (A being nearer to the station). Ways take no less than nothing, so that each
message bounds the offset from one side. The lines that keep all bounds are a convex set: the one with the most room
on both sides is the estimate, the set's edges are its uncertainty. That is NTP's rule, the offset half-way between
the quickest messages of both directions (RFC 5905 §8), for clocks that drift, too. Where no line keeps all bounds,
a clock was set: the points are cut where the longest line ends. Works on numbers only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

MAX_DRIFT = 500e-6
"""The most that two clocks are believed to drift apart; worse ones do not exist in working hosts."""
MAX_POINTS = 8192
"""Points that are looked at; of more, the quickest of each short while."""
MAX_SEGMENTS = 32
"""Stretches between steps of a clock; what comes after the last is taken with it."""
MIN_SEGMENT = 4
"""Points that a stretch needs; fewer are strays."""
AHEAD = 8
"""Points after one that does not fit which have to fit for it to be a stray."""
MEASURED = 20e-6
"""A drift is used if the range of possible ones is no wider than this on either side, or excludes none at all."""
_STEPS = 80


class Points(NamedTuple):
    """Messages in both captures: time of A, time of B less that of A, both ns; `up`: from the station."""

    time_ns: Ints
    difference_ns: Ints
    up: NDArray[np.bool_]


class Line(NamedTuple):
    """A stretch without a step. Seconds of A since `origin_ns` on the one axis, ns on the other."""

    begins_ns: int
    ends_ns: int
    origin_ns: int
    base_ns: int
    offset: float  # ns, to be added to `base_ns`
    drift: float  # ns per ns
    low: float | None  # possible drifts
    high: float | None
    slopes: Floats  # of the possible lines
    tops: Floats  # their highest offsets
    bottoms: Floats
    slack_ns: int
    points: int

    @property
    def is_bounded(self) -> bool:
        """Whether messages of both directions bound it."""
        return self.low is not None

    def at(self, times: Ints) -> Ints:
        """Clock of B less clock of A at times of A, ns."""
        seconds = (times - self.origin_ns) / 1e9
        return self.base_ns + np.rint(self.offset + self.drift * 1e9 * seconds).astype(np.int64)

    def uncertainty(self, time_ns: int) -> int | None:
        """How far `at` may be off, ns; None where it is bounded from one side only."""
        if not self.is_bounded:
            return None
        seconds = (time_ns - self.origin_ns) / 1e9
        here = self.offset + self.drift * 1e9 * seconds
        top = float((self.tops + self.slopes * 1e9 * seconds).max())
        bottom = float((self.bottoms + self.slopes * 1e9 * seconds).min())
        return int(np.ceil(max(top - here, here - bottom, 0.0))) + self.slack_ns


class Clocks(NamedTuple):
    """All stretches in order of time, and how many points fitted none."""

    lines: tuple[Line, ...]
    strays: int = 0

    def offset(self, times: Ints) -> Ints:
        """Clock of B less clock of A at times of A."""
        found = np.zeros(len(times), np.int64)
        for place, line in enumerate(self.lines):
            later = times >= line.begins_ns if place else np.ones(len(times), np.bool_)
            found[later] = line.at(times[later])
        return found

    def to_b(self, times: Ints) -> Ints:
        """Times of A by the clock of B."""
        return times + self.offset(times)

    def to_a(self, times: Ints) -> Ints:
        """Times of B by the clock of A."""
        guess = times - self.offset(times - (self.lines[0].base_ns if self.lines else 0))
        return times - self.offset(guess)

    def line(self, time_ns: int) -> Line | None:
        """The stretch of a time of A."""
        found = [one for one in self.lines if one.begins_ns <= time_ns] or list(self.lines[:1])
        return found[-1] if found else None

    def uncertainty(self, time_ns: int) -> int | None:
        """How far the offset may be off at a time of A."""
        line = self.line(time_ns)
        return None if line is None else line.uncertainty(time_ns)


def aligned(points: Points, slack_ns: int) -> Clocks:
    """The clocks, from at least one point; `slack_ns` is how fine the times are."""
    order = np.argsort(points.time_ns, kind="stable")
    points = _thinned(_of(points, order))
    cuts, strays = _stretches(points, slack_ns)
    kept = np.setdiff1d(np.arange(len(points.time_ns)), np.array(strays, np.int64))
    lines: list[Line] = []
    for low, high in cuts:
        places = kept[(kept >= low) & (kept < high)]
        if len(places) >= MIN_SEGMENT or len(cuts) == 1:
            lines.append(_line(_of(points, places), slack_ns))
        else:
            strays += places.tolist()
    if not lines and len(kept):
        lines = [_line(_of(points, kept), slack_ns)]
    return Clocks(_mended(lines, points, slack_ns), len(strays))


def _of(points: Points, places: Ints) -> Points:
    return Points(points.time_ns[places], points.difference_ns[places], points.up[places])


def _thinned(points: Points) -> Points:
    """Of many, those that bound most in their short while."""
    count = len(points.time_ns)
    if count <= MAX_POINTS:
        return points
    chosen = []
    for up, sign in ((True, 1), (False, -1)):
        places = np.flatnonzero(points.up == up)
        if not len(places):
            continue
        bins = np.arange(len(places)) * (MAX_POINTS // 2) // max(len(places), MAX_POINTS // 2)
        rank = np.lexsort((points.difference_ns[places] * sign, bins))
        _, first = np.unique(bins[rank], return_index=True)
        chosen.append(places[rank[first]])
    return _of(points, np.sort(np.concatenate(chosen)))


# --- one stretch --------------------------------------------------------------------------------------------------


class _Bounds(NamedTuple):
    """Corners of the two hulls: seconds and ns."""

    up_at: Floats
    up: Floats
    down_at: Floats
    down: Floats

    def top(self, slope: float) -> float:
        return float((self.up - slope * 1e9 * self.up_at).min()) if len(self.up) else np.inf

    def bottom(self, slope: float) -> float:
        return float((self.down - slope * 1e9 * self.down_at).max()) if len(self.down) else -np.inf

    def room(self, slope: float) -> float:
        return self.top(slope) - self.bottom(slope)

    def corners(self, low: float, high: float, drift: float) -> Floats:
        """The drifts at which the set of possible lines may have a corner: of the hulls' edges, and its ends.

        No more than there are points. All of them count: between two of them the uncertainty would be too small.
        """
        edges = [np.diff(part) / np.diff(at) / 1e9 for at, part in ((self.up_at, self.up), (self.down_at, self.down))]
        inside = np.concatenate(edges)
        inside = inside[(inside > low) & (inside < high)]
        return np.unique([low, drift, high, *inside.tolist()])


def _bounds(points: Points, origin_ns: int, base_ns: int) -> _Bounds:
    seconds = (points.time_ns - origin_ns) / 1e9
    offsets = (points.difference_ns - base_ns).astype(np.float64)
    up = _hull(seconds[points.up], offsets[points.up])
    down = _hull(seconds[~points.up], -offsets[~points.up])
    return _Bounds(up[0], up[1], down[0], -down[1])


def _hull(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The lower convex hull of points in order of x."""
    corners: list[tuple[float, float]] = []
    for at, height in zip(x.tolist(), y.tolist(), strict=True):
        while len(corners) > 1:
            (x0, y0), (x1, y1) = corners[-2], corners[-1]
            if (y1 - y0) * (at - x0) < (height - y0) * (x1 - x0):
                break
            corners.pop()
        if corners and corners[-1][0] == at:
            corners[-1] = at, min(height, corners[-1][1])
        else:
            corners.append((at, height))
    found = np.array(corners, np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _best(bounds: _Bounds) -> float:
    """The drift with the most room; the room is a concave function of it."""
    low, high = -MAX_DRIFT, MAX_DRIFT
    for _ in range(_STEPS):
        third = (high - low) / 3
        if bounds.room(low + third) < bounds.room(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


def _fits(points: Points, slack_ns: int) -> bool:
    if points.up.all() or not points.up.any():
        return True
    bounds = _bounds(points, int(points.time_ns[0]), int(points.difference_ns[0]))
    return bounds.room(0.0) >= -2 * slack_ns or bounds.room(_best(bounds)) >= -2 * slack_ns


def _edge(bounds: _Bounds, inside: float, outside: float, least: float) -> float:
    """Where the room falls to `least`, between a drift that has it and one that may not."""
    if bounds.room(outside) >= least:
        return outside
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if bounds.room(middle) >= least:
            inside = middle
        else:
            outside = middle
    return inside


def _line(points: Points, slack_ns: int) -> Line:
    begins, ends = int(points.time_ns[0]), int(points.time_ns[-1])
    origin, base = (begins + ends) // 2, int(np.median(points.difference_ns))
    bounds = _bounds(points, origin, base)
    if not len(bounds.up) or not len(bounds.down):
        offset = bounds.top(0.0) if len(bounds.up) else bounds.bottom(0.0)
        nothing = np.empty(0)
        return Line(begins, ends, origin, base, offset, 0.0, None, None, nothing, nothing, nothing, slack_ns,
                    len(points.up))  # fmt: skip
    best = _best(bounds)
    least = min(0.0, bounds.room(best))
    low, high = _edge(bounds, best, -MAX_DRIFT, least), _edge(bounds, best, MAX_DRIFT, least)
    drift = best if high - low <= 2 * MEASURED or not low <= 0 <= high else 0.0
    slopes = bounds.corners(low, high, drift)
    tops = np.array([bounds.top(one) for one in slopes.tolist()])
    bottoms = np.array([bounds.bottom(one) for one in slopes.tolist()])
    offset = (bounds.top(drift) + bounds.bottom(drift)) / 2
    return Line(begins, ends, origin, base, offset, drift, low, high, slopes, tops, bottoms, slack_ns, len(points.up))


# --- steps --------------------------------------------------------------------------------------------------------


def _stretches(points: Points, slack_ns: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Places from and to, each of a stretch without a step; and places of strays."""
    cuts: list[tuple[int, int]] = []
    strays: list[int] = []
    start, count = 0, len(points.time_ns)
    while start < count:
        if len(cuts) >= MAX_SEGMENTS - 1:
            cuts.append((start, count))
            break
        stop, found = _longest(points, start, slack_ns)
        strays += found
        cuts.append((start, stop))
        start = stop
    return cuts, strays


def _longest(points: Points, start: int, slack_ns: int) -> tuple[int, list[int]]:
    """How far one line goes from a place on, without strays."""
    count, strays = len(points.time_ns), list[int]()
    while True:
        places = np.setdiff1d(np.arange(start, count), np.array(strays, np.int64))
        good, bad = 1, len(places) + 1
        while bad - good > 1:
            middle = (good + bad) // 2
            if _fits(_of(points, places[:middle]), slack_ns):
                good = middle
            else:
                bad = middle
        if good >= len(places):
            return count, strays
        after = places[good + 1 :]
        after = after[points.up[after] == points.up[places[good]]][:AHEAD]  # only these are bounded on the same side
        if len(strays) < count // 20 + 1 and _fits(_of(points, np.concatenate([places[:good], after])), slack_ns):
            strays.append(int(places[good]))
            continue
        return int(places[good]), strays


def _mended(lines: list[Line], points: Points, slack_ns: int) -> tuple[Line, ...]:
    """Points shortly before a step that belong after it begin the later stretch."""
    for place in range(1, len(lines)):
        before, after = lines[place - 1], lines[place]
        inside = np.flatnonzero((points.time_ns >= before.begins_ns) & (points.time_ns < after.begins_ns))
        begins = after.begins_ns
        for at in inside[::-1].tolist():
            one = slice(at, at + 1)
            sign = 1 if points.up[at] else -1
            early, late = (
                int(sign * (points.difference_ns[one] - line.at(points.time_ns[one]))[0]) for line in (before, after)
            )
            if not -slack_ns <= late < early:
                break
            begins = int(points.time_ns[at])
        lines[place] = after._replace(begins_ns=begins)
    return tuple(lines)
