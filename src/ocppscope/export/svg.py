"""`--format svg`: the ladder as a picture: stations, a proxy and the CSMS as lanes, time running down.

The picture has no script and no link; all text in it is escaped, clipped to its room, and fit to be shown. What it
shows is bounded, and its last row says what was left out. The rows are those of `render.ladder`.
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.export.evidence import Row
from ocppscope.export.hidden import RedactedEvidence
from ocppscope.model import ExchangeEnd, Message
from ocppscope.render import lanes, rungs, times
from ocppscope.render.ladder import Ladder, LadderOptions, What
from ocppscope.render.styled import Style
from ocppscope.render.wiretext import clip, columns, visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence, Item
    from ocppscope.export.writing import Job
    from ocppscope.model import Event
    from ocppscope.render.ladder import LadderRow
    from ocppscope.render.lanes import Arrow, Place

MAX_SVG_ROWS = 1000
"""Rows that are drawn; a taller picture is of no use to anybody."""
MAX_SVG_LANES = 8
"""Stations with a lane of their own; where there are more, they share one."""
MAX_REMARKS = 3
"""Findings and notes below one row."""
ROW, HEAD = 22, 62
"""Heights in pixels: of a row, and of what stands above the first one."""
CHAR = 7
"""Pixels that a character takes at most, in the font of the picture."""
MARGIN, CLOCK, DELTA = 14, 13 * CHAR, 8 * CHAR
LANE, HOP, WORDS = 118, 430, 62 * CHAR
"""From one station's lane to the next; between two lanes with text; beside the ladder."""
_SIGNS = {"error": "▲", "warning": "▲", "note": "▲", "own": "✎"}
_DASHES = {lanes.DASHED: "dashed", lanes.BROKEN: "broken", lanes.DOUBLE: "double", lanes.SOLID: "solid"}
_FAILED = "✗"
_STYLE = (
    "svg{--back:#fff;--ink:#1c2127;--dim:#68737f;--line:#c9d0d8;--station:#00708a;--csms:#8a3bb0;--good:#1b7f3b;"
    "--error:#c4242d;--warning:#996000;--own:#0b62c4;background:#fff;background:var(--back)}"
    "@media (prefers-color-scheme:dark){svg{--back:#14171b;--ink:#dfe3e8;--dim:#8d99a6;--line:#3a434d;"
    "--station:#4fc3dd;--csms:#cf8ff0;--good:#5fce80;--error:#ff7b80;--warning:#e6b04a;--own:#6cb2ff}}"
    "text{font:11.5px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:var(--ink);white-space:pre}"
    ".back{fill:var(--back)}.title{font-weight:bold;font-size:13px}.bold{font-weight:bold}"
    ".middle{text-anchor:middle}"
    ".end{text-anchor:end}.dim{fill:var(--dim)}.life{stroke:var(--dim);stroke-width:1}.down{stroke:var(--line);"
    "stroke-dasharray:1 4}.rule{stroke:var(--line)}.shaft{stroke-width:1.4;fill:none;stroke:currentColor}"
    ".dashed{stroke-dasharray:5 3}.broken{stroke-dasharray:2 3}.double{stroke-width:2.6}.headed{fill:currentColor}"
    ".cross{stroke:currentColor;stroke-width:1.8;fill:none}"
    "g{color:var(--dim)}.station{color:var(--station)}.csms{color:var(--csms)}.good{color:var(--good)}"
    ".error{color:var(--error)}.warning{color:var(--warning)}"
    "tspan.good{fill:var(--good)}tspan.station{fill:var(--station)}tspan.csms{fill:var(--csms)}text.error,tspan.error{fill:var(--error)}"
    "text.warning,tspan.warning{fill:var(--warning)}tspan.dim{fill:var(--dim)}text.own{fill:var(--own)}"
    "text.note{fill:var(--dim)}"
)


class Remark(NamedTuple):
    """A finding, or a note of the user's."""

    tone: str  # a severity, or "own"
    name: str
    text: str


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """See `export.registry.FormModule`."""
    kept = _Kept()
    for item in job.through(evidence.items()):
        kept.add(item, evidence)
    kept.options = kept.options._replace(legs=kept.relays)
    title = f"{visible(evidence.title)}{', redacted' if isinstance(evidence, RedactedEvidence) else ''}"
    for piece in _Picture(kept, title).pieces():
        out.write(piece.encode("utf-8", "backslashreplace"))


class _Kept(Ladder):
    """A ladder that keeps the events of its first rows, and counts what comes after them."""

    def __init__(self) -> None:
        self._events: dict[int, Event] = {}
        super().__init__(self._events.__getitem__, LadderOptions(pings=False))
        self.remarks: dict[int, tuple[Remark, ...]] = {}  # by the place of the event
        self.relays = False  # whether there are messages of both legs of a session
        self.messages = 0
        self.left_out = 0  # of these, the ones that no row shows

    def add(self, item: Item, evidence: Evidence) -> None:
        """The next item."""
        event: Event = item.message if isinstance(item, Row) else item
        remarks = _remarks(item) if isinstance(item, Row) else ()
        self.messages += isinstance(event, Message)
        if len(self.rows) >= MAX_SVG_ROWS:
            self._count(event)
            return
        number = rungs.connection_of(event)
        if number >= 0 and number not in self._connections and number in (met := evidence.connections):
            self._opened(met[number])  # a filter may leave out what opened it
        if isinstance(event, Message) and number in self._legs:
            self.relays = True
        self.options = self.options._replace(collapse=not remarks)
        rows, place = len(self.rows), self.taken
        self.take((event,))
        if len(self.rows) > rows:
            self._events[place] = event
            if remarks:
                self.remarks[place] = remarks

    def _count(self, event: Event) -> None:
        """What is not drawn, but may say something of a CALL that is."""
        self.left_out += isinstance(event, Message)
        if isinstance(event, ExchangeEnd):
            self.unanswered[event.connection, event.ordinal] = event


def _remarks(row: Row) -> tuple[Remark, ...]:
    found = [Remark(one.severity, visible(one.rule), visible(text)) for one, text in row.verdicts]
    own = row.note
    if own.mark or own.note:
        found.insert(0, Remark("own", visible(own.mark) or "note", visible(own.note)))
    more = len(found) - MAX_REMARKS
    if more > 0:
        last = Remark(found[MAX_REMARKS - 1].tone, f"and {more + 1} more", "")
        found = [*found[: MAX_REMARKS - 1], last]
    return tuple(found)


class _Shape(NamedTuple):
    """Where the lanes are, in pixels from the left."""

    stations: tuple[int, ...]
    proxy: int | None
    csms: int
    shared: bool
    width: int

    def ends(self, place: Place) -> tuple[int, int]:
        """The lanes between which an arrow goes."""
        lane = 0 if self.shared or place.station is None else place.station
        near = self.stations[lane]
        if self.proxy is None:
            return near, self.csms
        return (self.proxy, self.csms) if place.far else (near, self.proxy)

    def room(self, place: Place) -> tuple[int, int]:
        """Where the text of an arrow may stand: no lane is there."""
        left, right = self.ends(place)
        return max(left, self.stations[-1]), self.csms if place.station is None else right


def _shape(drawn: Ladder) -> _Shape:
    count = max(len(drawn.stations), 1)
    shared = count > MAX_SVG_LANES
    first = MARGIN + CLOCK + DELTA + LANE // 2
    stations = (first,) if shared else tuple(first + LANE * lane for lane in range(count))
    middle = stations[-1] + HOP
    csms = middle + HOP if drawn.has_proxy else middle
    return _Shape(stations, middle if drawn.has_proxy else None, csms, shared, csms + 2 * MARGIN + WORDS)


class _Picture:
    """The elements of the picture."""

    def __init__(self, drawn: _Kept, title: str) -> None:
        self._drawn = drawn
        self._title = title
        self._shape = _shape(drawn)
        self._clock = times.Clock()
        self._tops = self._laid_out()  # of each row, and of what comes after the last

    def _laid_out(self) -> list[int]:
        tops = [HEAD]
        for row in self._drawn.rows:
            remarks = self._drawn.remarks.get(row.first, ()) if row.what is What.EVENT else ()
            tops.append(tops[-1] + ROW * (1 + len(remarks)))
        return tops

    def pieces(self) -> Iterator[str]:
        """The file, piece by piece."""
        left_out = self._drawn.left_out
        height = self._tops[-1] + MARGIN + (ROW if left_out else 0)
        width = self._shape.width
        title = escape(self._title)
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="title">\n'
            f'<title id="title">{title}</title>\n<style>{_STYLE}</style>\n'
            f'<rect class="back" width="{width}" height="{height}"/>\n'
        )
        yield _text(MARGIN, 24, f"{self._title}  {self._period()}", "title", width - 2 * MARGIN)
        yield from self._names()
        yield from self._lifelines()
        for row, top in zip(self._drawn.rows, self._tops, strict=False):
            yield from self._row(row, top)
        if left_out:
            words = f"{left_out:,} of {self._drawn.messages:,} messages are left out from here on"
            yield _text(MARGIN, self._tops[-1] + 15, f"… {words}: filter, or take html", "warning", width)
        yield "</svg>\n"

    def _period(self) -> str:
        rows = self._drawn.rows
        if not rows:
            return "nothing to show"
        begin, end = times.stamp(rows[0].time_ns), times.stamp(rows[-1].time_ns)
        return f"{begin} to {end} UTC, {self._drawn.messages:,} messages"

    def _names(self) -> Iterator[str]:
        shape, y = self._shape, HEAD - 10
        names = [f"{len(self._drawn.stations)} stations"] if shape.shared else self._drawn.stations or ["station"]
        for name, x in zip(names, shape.stations, strict=True):
            yield _text(x, y, name, "bold middle", LANE - CHAR, tail=True)
        if shape.proxy is not None:
            yield _text(shape.proxy, y, "proxy", "bold middle", LANE)
        yield _text(shape.csms, y, "CSMS", "bold middle", LANE)
        yield _text(MARGIN, y, "time (UTC)", "dim", CLOCK)
        yield _text(MARGIN + CLOCK + DELTA - CHAR, y, "Δ", "dim end", DELTA)
        yield f'<path class="rule" d="M{MARGIN} {HEAD - 2}H{shape.width - MARGIN}"/>\n'

    def _lifelines(self) -> Iterator[str]:
        """A line a lane, dotted while its station is not connected."""
        shape, rows = self._shape, self._drawn.rows
        end = self._tops[-1]
        for lane, x in enumerate(shape.stations):
            bits = [bool(row.open >> lane & 1) if not shape.shared else bool(row.open) for row in rows]
            at = 0
            for connected, run in groupby(bits):
                start, at = at, at + len(list(run))
                yield _life(x, self._tops[start], self._tops[at], connected=connected)
        for fixed in filter(None, (shape.proxy, shape.csms)):
            yield _life(fixed, HEAD, end, connected=True)

    def _row(self, row: LadderRow, top: int) -> Iterator[str]:
        if row.what is What.DAY:
            yield _text(MARGIN, top + 15, f"— {times.date(row.time_ns)} (UTC)", "bold", WORDS)
            return
        before = row.previous_ns
        yield _text(MARGIN, top + 15, self._clock.show(row.time_ns), "dim", CLOCK)
        if before is not None:
            since = times.since(row.time_ns - before)
            yield _text(MARGIN + CLOCK + DELTA - CHAR, top + 15, since, "dim end", DELTA)
        arrow, place = self._drawn.rung(row)
        left, right = self._shape.room(place)
        parts = _clipped(self._parts(arrow, place), (right - left - 48) // CHAR)
        middle, half = (left + right) // 2, sum(columns(text) for text, _ in parts) * CHAR // 2 + 5
        yield self._arrow(arrow, place, top, (middle - half, middle + half))
        yield _label(parts, middle, top + 15)
        yield from self._words(row, arrow, top)

    def _arrow(self, arrow: Arrow, place: Place, top: int, gap: tuple[int, int]) -> str:
        """Shaft and head; the shaft leaves room for the words."""
        if place.station is None or not (arrow.left or arrow.right or arrow.shaft == lanes.BROKEN):
            return ""
        start, end = self._shape.ends(place)
        y = top + ROW // 2
        kind = _DASHES.get(arrow.shaft, "broken")
        shaft = f'<path class="shaft {kind}" d="M{start} {y}H{gap[0]}M{gap[1]} {y}H{end}"/>'
        head = _head(arrow.right, end, y, 1) + _head(arrow.left, start, y, -1)
        return f'<g class="{arrow.style}">{shaft}{head}</g>\n'

    def _words(self, row: LadderRow, arrow: Arrow, top: int) -> Iterator[str]:
        """Beside the ladder what it says, below it what was said of it."""
        y, beside = top + 15, self._shape.csms + MARGIN
        tag = f"{arrow.tag} " if arrow.tag else ""
        style = "error" if arrow.words_style is Style.ERROR else "warning" if tag else "dim"
        if tag or arrow.words:
            yield _text(beside, y, f"{tag}{arrow.words}", style, WORDS)
        remarks = self._drawn.remarks.get(row.first, ()) if row.what is What.EVENT else ()
        for below, one in enumerate(remarks, 1):
            words = f"{_SIGNS.get(one.tone, '▲')} {one.name}  {one.text}"
            x = self._shape.stations[-1] + 2 * CHAR
            room = self._shape.width - x - MARGIN
            back = min(columns(words) * CHAR, room)
            yield f'<rect class="back" x="{x}" y="{top + ROW * below}" width="{back}" height="{ROW}"/>\n'
            yield _text(x, y + ROW * below, words, one.tone, room)

    def _parts(self, arrow: Arrow, place: Place) -> list[tuple[str, str]]:
        """The words on the arrow, each with a class."""
        shared = [(f"{place.name} ", "dim")] if self._shape.shared and place.name else []
        failed = arrow.name_style is Style.ERROR
        kind = (
            [] if arrow.plain_kind else [(f"{arrow.kind} ", "bold error" if failed else f"bold kind {arrow.style}")]
        )
        name = (arrow.name, "bold error" if failed else "bold" if arrow.name_style is Style.CALL else "")
        latency = [(f" {arrow.latency}", "dim")] if arrow.latency else []
        return [*shared, *kind, name, *latency]


def _clipped(parts: list[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """Parts of a text, each with a class, that take at most so many characters."""
    shown = []
    for text, style in parts:
        kept = clip(text, max(most, 0))
        most -= columns(kept)
        if kept:
            shown.append((kept, style))
    return shown


def _label(parts: list[tuple[str, str]], x: int, y: int) -> str:
    """Text with parts of several classes."""
    spans = [f'<tspan class="{style}">{escape(text)}</tspan>' if style else escape(text) for text, style in parts]
    return f'<text class="middle" x="{x}" y="{y}">{"".join(spans)}</text>\n' if spans else ""


def _text(x: int, y: int, text: str, style: str, room: int, *, tail: bool = False) -> str:
    """Text in so many pixels; `tail`: of a longer one the end, since names of stations differ there."""
    most = room // CHAR
    if tail and columns(text) > most:
        while columns(text) > most - 1:
            text = text[1:]
        text = f"…{text}"
    return f'<text class="{style}" x="{x}" y="{y}">{escape(clip(text, most))}</text>\n'


def _head(head: str, x: int, y: int, way: int) -> str:
    """What an arrow ends in."""
    if not head:
        return ""
    if head == _FAILED:
        return f'<path class="cross" d="M{x - 12 * way} {y - 4}l{7 * way} 8m0 -8l{-7 * way} 8"/>'
    return f'<path class="headed" d="M{x} {y}l{-9 * way} -4v8z"/>'


def _life(x: int, top: int, bottom: int, *, connected: bool) -> str:
    return f'<path class="life{"" if connected else " down"}" d="M{x} {top}V{bottom}"/>\n'
