"""One session seen from two places: which messages both have, the clocks, and what became of the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.compare import endings, fields, legs, matching, tables
from ocppscope.compare.clocks import Points, aligned
from ocppscope.compare.clockwords import clock_report, steps
from ocppscope.compare.ladders import Ladders
from ocppscope.compare.losses import Coverage, Fate
from ocppscope.compare.report import (
    VANTAGE,
    Comparison,
    Difference,
    Mark,
    Table,
)
from ocppscope.compare.tables import same_tcp
from ocppscope.model import Side
from ocppscope.plural import counted

if TYPE_CHECKING:
    from ocppscope.compare.clocks import Clocks
    from ocppscope.compare.matching import Pair
    from ocppscope.compare.recording import Recording
    from ocppscope.model import Connection

MAX_DIFFERENCES = 400
"""Differences of a report, the most telling ones."""
MAX_CHANGED = 200
"""Messages whose content changed that are looked at one by one."""
MAX_NAMES = 4
"""Actions that a sentence names."""
JITTER_NS = 20_000
"""By how much times of a capture are off, besides how fine they are."""
MARGIN_NS = 1_000_000_000
"""What happens so near to the end of a capture may have been under way."""
_NEAR = "A", "B"
_SENDERS = endings.SENDERS


class Thread(NamedTuple):
    """The messages of one direction of a pair of connections: rows of both captures."""

    pair: Pair
    side: Side
    same: list[tuple[int, int]]
    moved: list[tuple[int, int]]
    changed: list[tuple[int, int]]
    rewritten: int
    renamed: list[tuple[int, int]]
    left_a: list[int]
    left_b: list[int]


class Vantage:
    """Compares two recordings of one session."""

    def __init__(self, a: Recording, b: Recording, reason: str) -> None:
        self._a, self._b, self._reason = a, b, reason
        self._both = a, b
        self._pairs = matching.pairs_of(a, b)
        self._slack = max(a.resolution_ns, b.resolution_ns) + JITTER_NS
        points = self._points()
        self._gap = _round_trip(points)
        self._a_is_near = self._gap >= 0
        self._known = abs(self._gap) > 2 * self._slack
        self._near = ("A" if self._a_is_near else "B") if self._known else ""
        if not self._a_is_near:
            points = points._replace(up=~points.up)
        self._clocks: Clocks | None = aligned(points, self._slack) if len(points.up) else None
        self._threads: list[Thread] = []
        self._differences: list[Difference] = []
        self._ladders = Ladders(a, b, self._clocks)
        self._coverage = Coverage(a, b, self._clocks, MARGIN_NS)

    def compare(self) -> Comparison:
        """Everything."""
        for pair in self._pairs:
            threads = [self._thread(pair, side) for side in Side]
            self._threads += threads
            self._connection(pair, threads)
        self._alone()
        self._upgrades()
        if self._clocks is not None:
            self._differences += steps(self._clocks, self._ladders.line_at)
        ranked = sorted(self._differences, key=lambda one: (-one.weight, -one.count, one.at))
        lines = self._ladders.lines(ranked)
        return Comparison(
            VANTAGE,
            self._reason,
            (self._a.described(), self._b.described()),
            tuple(ranked[:MAX_DIFFERENCES]),
            self._tables(),
            None if self._clocks is None else clock_report(self._clocks, self._near),
            self._summary(),
            max(len(ranked) - MAX_DIFFERENCES, 0),
            (*self._a.notices, *self._b.notices, *self._notices()),
            lines,
            (self._a.connections, self._b.connections),
        )

    # --- clocks ---------------------------------------------------------------------------------------------------

    def _points(self) -> Points:
        """Messages whose text neither direction of a connection has twice, upgrades, and TCP handshakes."""
        times_a, times_b, ups = [], [], []
        a, b = self._a.rows, self._b.rows
        for pair in self._pairs:
            for side in Side:
                rows_a, rows_b = self._a.rows_of(pair.a, side), self._b.rows_of(pair.b, side)
                found = np.array(matching.anchors(a.text[rows_a], b.text[rows_b]), np.int64).reshape(-1, 2)
                times_a += a.time_ns[rows_a[found[:, 0]]].tolist()
                times_b += b.time_ns[rows_b[found[:, 1]]].tolist()
                ups += [side is Side.STATION] * len(found)
            for one, other, up in _other_points(self._a.connections[pair.a], self._b.connections[pair.b]):
                times_a.append(one)
                times_b.append(other)
                ups.append(up)
        first = np.array(times_a, np.int64)
        return Points(first, np.array(times_b, np.int64) - first, np.array(ups, np.bool_))

    # --- messages -------------------------------------------------------------------------------------------------

    def _thread(self, pair: Pair, side: Side) -> Thread:
        rows_a, rows_b = self._a.rows_of(pair.a, side), self._b.rows_of(pair.b, side)
        rows_a, rows_b = self._coverage.readable(self._a, rows_a), self._coverage.readable(self._b, rows_b)
        a, b, clocks = self._a.rows, self._b.rows, self._clocks
        times_b = b.time_ns[rows_b] if clocks is None else clocks.to_a(b.time_ns[rows_b])
        found = matching.match(
            matching.Sequence(a.text[rows_a], a.id[rows_a], a.time_ns[rows_a]),
            matching.Sequence(b.text[rows_b], b.id[rows_b], times_b),
            lambda which, place: self._body(which, int((rows_a, rows_b)[which][place])),
            timed=clocks is not None,
        )

        def rows(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
            return [(int(rows_a[one]), int(rows_b[other])) for one, other in pairs]

        every = sorted(found.same + found.changed + found.renamed)
        in_order = {every[place] for place in matching.increasing([other for _, other in every])}
        changed, rewritten = self._really_changed(rows(found.changed))
        self._coverage.learn(pair, side, rows(every))
        return Thread(
            pair, side, rows([one for one in found.same if one in in_order]),
            rows([one for one in every if one not in in_order]), changed, rewritten,
            rows([one for one in found.renamed if one in in_order]),
            [int(rows_a[place]) for place in found.left_a], [int(rows_b[place]) for place in found.left_b],
        )  # fmt: skip

    def _body(self, which: int, row: int) -> object:
        return fields.body(self._both[which].message(row).text)

    def _really_changed(self, pairs: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], int]:
        """Those that say something else; and how many are only written differently."""
        changed = [
            (one, other)
            for one, other in pairs[:MAX_CHANGED]
            if not fields.same_content(self._a.message(one).text, self._b.message(other).text)
        ]
        return changed + pairs[MAX_CHANGED:], len(pairs[:MAX_CHANGED]) - len(changed)

    # --- a pair of connections ------------------------------------------------------------------------------------

    def _connection(self, pair: Pair, threads: list[Thread]) -> None:
        station = self._a.connections[pair.a].station
        marks: dict[tuple[int, int], Mark] = {}
        pending: list[tuple[Difference, list[tuple[int, int]]]] = []
        for thread in threads:
            for one, other in [*thread.same, *thread.renamed]:
                marks[one, other] = Mark.SAME
            for pairs, mark in ((thread.changed, Mark.CHANGED), (thread.moved, Mark.MOVED)):
                marks.update(dict.fromkeys(pairs, mark))
            pending += self._content(thread, station)
            pending += self._lost(thread, station, marks)
        self._ladders.add(marks)
        for difference, where in pending:
            self._differences.append(self._ladders.illustrate(difference, where))
        self._ending(pair, station)

    def _content(self, thread: Thread, station: str) -> list[tuple[Difference, list[tuple[int, int]]]]:
        found = []
        who = _SENDERS[thread.side]
        for one, other in thread.changed[:MAX_CHANGED]:
            message = self._a.message(one)
            facts = fields.changes(message.text, self._b.message(other).text)
            found.append((
                Difference(
                    "changed", 94,
                    f"{message.kind.name} {message.action} from {who} does not say the same at A and B.",
                    "Nothing on the way may change what a peer says.", station, 1, facts,
                ),
                [(one, other)],
            ))  # fmt: skip
        if thread.renamed:
            found.append((
                Difference(
                    "renamed", 64, f"{counted(len(thread.renamed), 'message')} from {who} came with another id.",
                    "Something between gives messages ids of its own.", station, len(thread.renamed),
                ),
                thread.renamed,
            ))  # fmt: skip
        if thread.moved:
            found.append((
                Difference(
                    "order", 62,
                    f"{counted(len(thread.moved), 'message')} from {who} came in another order: "
                    f"{self._actions(self._a, [one for one, _ in thread.moved])}.",
                    "TCP keeps the order, so that something between reorders messages.", station, len(thread.moved),
                ),
                thread.moved,
            ))  # fmt: skip
        return found

    def _lost(
        self, thread: Thread, station: str, marks: dict[tuple[int, int], Mark]
    ) -> list[tuple[Difference, list[tuple[int, int]]]]:
        found = []
        matched = [*thread.same, *thread.moved]
        texts = [
            set(part.rows.text[[row[place] for row in matched]].tolist()) if matched else set()
            for place, part in enumerate(self._both)
        ]
        for which, left in enumerate((thread.left_a, thread.left_b)):
            groups: defaultdict[Fate, list[int]] = defaultdict(list)
            for row in left:
                fate = self._coverage.fate(thread.pair, thread.side, which, row)
                if fate is Fate.MISSING and int(self._both[which].rows.text[row]) in texts[which]:
                    fate = Fate.COPY
                groups[fate].append(row)
                place = (row, -1) if which == 0 else (-1, row)
                mark = Mark.UNSEEN if fate in (Fate.OUTSIDE, Fate.BLIND) else (Mark.ONLY_A, Mark.ONLY_B)[which]
                marks[place] = mark
            for fate, rows in groups.items():
                if (difference := self._fate(thread, station, which, fate, rows)) is not None:
                    found.append((difference, [(row, -1) if which == 0 else (-1, row) for row in rows]))
        return found

    def _fate(self, thread: Thread, station: str, which: int, fate: Fate, rows: list[int]) -> Difference | None:
        here, there = _NEAR[which], _NEAR[1 - which]
        who = _SENDERS[thread.side]
        what = f"{counted(len(rows), 'message')} from {who}"
        actions = self._actions(self._both[which], rows)
        near = not self._known or ((thread.side is Side.STATION) == self._a_is_near) == (which == 0)
        if fate is Fate.BLIND:
            return Difference(
                "not-captured", 22, f"{what} only at {here}: the capture {there} misses bytes there ({actions}).",
                f"A fault of the capture {there}, not of the connection.", station, len(rows),
            )  # fmt: skip
        if fate is Fate.OUTSIDE:
            return None
        if fate is Fate.COPY:
            text = f"{what} more often at {here} than at {there}: {actions}."
            why = "A repetition that did not get through." if near else "Something between sent them twice."
            return Difference("duplicate", 60 if near else 78, text, why, station, len(rows))
        if self._known and near:
            closed = self._closed_words(thread, which, rows)
            text = f"{what} passed {here} and never arrived at {there}: {actions}{closed}."
            return Difference(
                "not-arrived", 100, text, f"Lost between {here} and {there}: the receiver cannot have acted on it.",
                station, len(rows),
            )  # fmt: skip
        if self._known:
            text = f"{what} arrived at {here} without having passed {there}, nearer to {who}: {actions}."
            return Difference(
                "appeared", 92, text, f"Something between said it, or the capture {there} missed it without a trace.",
                station, len(rows),
            )  # fmt: skip
        return Difference(
            "only-one", 88, f"{what} only at {here}: {actions}.", "One of the two did not see it.", station, len(rows)
        )

    def _closed_words(self, thread: Thread, which: int, rows: list[int]) -> str:
        """What became of the connection where they did not arrive, if they are the last ones."""
        last = max((pair[which] for pair in thread.same), default=-1)
        connection = (self._b, self._a)[which].connections[(thread.pair.b, thread.pair.a)[which]]
        if min(rows) < last or endings.is_open(connection):
            return ""
        return f"; they are its last ones, and there the connection ended with {endings.how(connection)}"

    def _actions(self, recording: Recording, rows: list[int]) -> str:
        codes = recording.column("action")[rows].tolist()
        kinds = recording.rows.kind[rows].tolist()
        names = Counter(
            f"{recording.store.actions.texts[code] or '(no action)'}{' answer' if kind in (3, 4, 5) else ''}"
            for code, kind in zip(codes, kinds, strict=True)
        )
        told = [f"{count:,} {name}" if count > 1 else name for name, count in names.most_common(MAX_NAMES)]
        return ", ".join(told) + (", …" if len(names) > MAX_NAMES else "")

    def _ending(self, pair: Pair, station: str) -> None:
        a, b = self._a.connections[pair.a], self._b.connections[pair.b]
        code, sentence, weight = endings.ending(a, b, self._sighting(a))
        if code:
            why = "Who cut a connection decides whose fault what follows is."
            last = self._ladders.last_line(pair)
            self._differences.append(Difference(code, weight, sentence, why, station, at=last))
        window = self._coverage.window(pair)
        offset = self._sighting(a).offset_ns
        frames = self._coverage.frames(pair)
        for text, heavy in endings.keepalives(*frames, window, offset):
            self._differences.append(
                Difference(
                    "keepalive",
                    heavy,
                    text,
                    "A keepalive that does not reach the peer keeps nothing alive there.",
                    station,
                )
            )

    def _sighting(self, connection: Connection) -> endings.Sighting:
        at = connection.closed_ns or connection.opened_ns
        offset = int(self._clocks.offset(np.array([at]))[0]) if self._clocks is not None else 0
        uncertainty = (self._clocks.uncertainty(at) if self._clocks is not None else None) or self._slack
        over = self._a.ends_ns - MARGIN_NS, self._b.ends_ns - offset - MARGIN_NS
        return endings.Sighting("A" if self._a_is_near else "B", offset, uncertainty, self._known, over)

    # --- the whole ------------------------------------------------------------------------------------------------

    def _alone(self) -> None:
        """Connections that only one capture has, although the other was taken at that time."""
        for which, recording in enumerate(self._both):
            paired = {pair[which] for pair in self._pairs}
            alone: defaultdict[str, list[Connection]] = defaultdict(list)
            for number, one in recording.connections.items():
                if one.leg_of is None and number not in paired and self._coverage.covers(which, one.opened_ns):
                    alone[one.station].append(one)
            for station, found in alone.items():
                self._differences.append(self._alone_words(which, station, found))

    def _alone_words(self, which: int, station: str, found: list[Connection]) -> Difference:
        here, there = _NEAR[which], _NEAR[1 - which]
        refused = sum(one.handshake is not None and not one.handshake.upgraded for one in found)
        kinds = f" ({refused:,} refused)" if refused else ""
        messages = sum(sum(one.messages) for one in found)
        text = (
            f"{counted(len(found), 'connection')}{kinds} with {counted(messages, 'message')} only at {here}, "
            f"although {there} was taken at that time."
        )
        return Difference(
            "connection", 76, text, f"It never came as far as {there}, or another way.", station, len(found)
        )

    def _upgrades(self) -> None:
        """Differences of upgrades, the same ones together."""
        groups: defaultdict[tuple[str, ...], list[Pair]] = defaultdict(list)
        facts = {}
        for pair in self._pairs:
            facts[pair] = endings.headers(self._a.connections[pair.a], self._b.connections[pair.b])
            if facts[pair]:
                groups[tuple(fact.name for fact in facts[pair])].append(pair)
        for alike in groups.values():
            station = self._a.connections[alike[0].a].station
            self._differences.append(endings.with_facts(facts[alike[0]], station, len(alike)))

    def _tables(self) -> tuple[Table, ...]:
        matched: defaultdict[Pair, int] = defaultdict(int)
        for one in self._threads:
            matched[one.pair] += len(one.same) + len(one.moved) + len(one.changed) + len(one.renamed)
        sightings = {pair: self._sighting(self._a.connections[pair.a]) for pair in matched}
        found = [tables.connections(self._a, self._b, matched, sightings)]
        same = [pair for thread in self._threads for pair in thread.same]
        if same and self._clocks is not None:
            rows = np.array(same, np.int64)
            both = legs.Both(rows[:, 0], rows[:, 1])
            found.append(legs.legs(self._a, self._b, both, self._clocks, a_is_near=self._a_is_near))
            if self._known:
                found.append(legs.exchanges(self._a, self._b, both, a_is_near=self._a_is_near))
        found.append(tables.segments(self._a, self._b, self._pairs))
        return tuple(one for one in found if one.rows)

    def _summary(self) -> tuple[str, ...]:
        total = sum(len(one.same) + len(one.moved) + len(one.changed) + len(one.renamed) for one in self._threads)
        wholes = [sum(one.leg_of is None for one in part.connections.values()) for part in self._both]
        lines = [
            f"{counted(len(self._pairs), 'connection')} in both (of {wholes[0]:,} in A, {wholes[1]:,} in B), "
            f"{counted(total, 'message')} in both (of {self._a.messages:,} in A, {self._b.messages:,} in B)."
        ]
        rewritten = sum(one.rewritten for one in self._threads)
        if rewritten:
            lines.append(f"{counted(rewritten, 'message')} said the same JSON, written differently.")
        outside = self._coverage.outside
        if any(outside):
            lines.append(
                f"Not compared, since the other capture had not begun or was over: {outside[0]:,} of A, "
                f"{outside[1]:,} of B."
            )
        return tuple(lines)

    def _notices(self) -> list[str]:
        told = []
        if crowded := matching.crowded(self._a, self._b):
            told.append(
                f"Of {counted(crowded, 'Sec-WebSocket-Key')} there are more than {matching.MAX_SAME_KEY} connections "
                "each: that does not say which of these are in both."
            )
        if not self._pairs:
            told.append("No connection is in both captures. `--as sessions` compares them as two sessions.")
        elif self._clocks is None:
            told.append("No message is in both captures just once, so that clocks could not be aligned.")
        if any(self._coverage.unreadable):
            one, other = self._coverage.unreadable
            told.append(f"Texts not to be read, since captured bytes are missing: {one:,} of A, {other:,} of B.")
        return told


def _other_points(a: Connection, b: Connection) -> list[tuple[int, int, bool]]:
    """Upgrades, and handshakes of TCP where it is the same connection of TCP: times in A and B, and whether up."""
    found = []
    if a.handshake is not None and b.handshake is not None and matching.key_of(a) == matching.key_of(b) != "":
        found.append((a.handshake.requested_ns, b.handshake.requested_ns, True))
        if a.handshake.answered_ns is not None and b.handshake.answered_ns is not None:
            found.append((a.handshake.answered_ns, b.handshake.answered_ns, False))
    one, other = a.transport, b.transport
    if one is None or other is None or not same_tcp(a, b) or one.syns != 1 or other.syns != 1:
        return found
    for first, second, up in ((one.syn_ns, other.syn_ns, True), (one.synack_ns, other.synack_ns, False)):
        if first is not None and second is not None:
            found.append((first, second, up))
    return found


def _round_trip(points: Points) -> int:
    """What messages of both directions take between the captures together: negative if B is nearer to the station."""
    up, down = points.difference_ns[points.up], points.difference_ns[~points.up]
    return int(np.median(up) - np.median(down)) if len(up) and len(down) else 0
