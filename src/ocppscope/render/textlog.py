"""`--format text`: the annotated message log, a line a message, as an engineer reads it at night.

    time  Δ  #connection station  direction kind action id latency size  what it says
        ! problem.code  what is wrong

→ is from the station to the CSMS, ← from the CSMS to the station. Lines of connections, lost bytes and missing
answers stand between the messages (`eventlines`). Where lines must fit a terminal, columns are left out and the last
one is cut.
"""

from __future__ import annotations

from typing import NamedTuple

from ocppscope.model import Connection, Event, Kind, Message, Problem, Side
from ocppscope.render import eventlines, jsonl, summary, times
from ocppscope.render.formats import KINDS, SPECIAL, Known, known
from ocppscope.render.palette import PLAIN, Palette
from ocppscope.render.wiretext import clip, pad, visible, visible_bytes
from ocppscope.render.wiretext import columns as columns_of

MAX_SUMMARY = 240
"""Columns of a summary where the width is not bounded by a terminal."""
MAX_PROBLEMS = 6
"""Problems that are shown of one message, unless everything is asked for."""
MAX_FULL_LINES = 5000
"""Lines of JSON that are shown of one message."""
MAX_FULL_COLUMNS = 2000
"""Characters of one line of JSON that are shown."""
MAX_ID = 12
"""A longer id is shortened."""
ID_WIDTH = 11
MAX_STATION = 48
"""Characters of an identity that are shown; OCPP allows no more."""

ARROWS = ("→", "←")
"""By sender."""
_FAILURES = frozenset({Kind.CALLERROR, Kind.CALLRESULTERROR})
SHORT_KINDS = {
    "CALLRESULT": "RESULT",
    "CALLERROR": "ERROR",
    "CALLRESULTERROR": "RESERR",
    "UNPARSED": "?",
    "UNANSWERED": "UNANSW",
}


class Style(NamedTuple):
    """How lines look. `width` 0: as long as they need."""

    clock: times.ClockFormat = times.ClockFormat()
    palette: Palette = PLAIN
    width: int = 0
    full: bool = False
    pings: bool = False
    whole: bool = False  # no message is cut, however long it is


class Columns(NamedTuple):
    """Widths of the columns; 0 where one is left out."""

    number: int
    station: int
    station_most: int
    kind: int
    action: int
    id: int
    latency: int
    size: int


UNBOUNDED = Columns(3, 12, MAX_STATION, 10, 22, ID_WIDTH, 6, 5)
WIDE = UNBOUNDED._replace(station_most=20)
MIDDLE = WIDE._replace(action=18, id=0, size=0, station_most=16)
NARROW = Columns(0, 10, 12, 6, 18, 0, 0, 0)


def columns_for(width: int) -> Columns:
    """What fits a terminal of that width."""
    if not width or width >= 150:
        return UNBOUNDED if not width else WIDE
    return MIDDLE if width >= 105 else NARROW


class TextFormat:
    """Makes the lines of the text log."""

    def __init__(self, style: Style | None = None) -> None:
        self.style = style or Style()
        self.columns = columns_for(self.style.width)
        self._known: dict[int, Known] = {}
        self._stations: dict[int, str] = {}
        self._clock = times.Clock(self.style.clock)
        self._day: int | None = None
        self._first_ns = 0
        self.started = False
        self._printed_ns: int | None = None
        self.unanswered: dict[int, list[str]] = {}  # actions of CALLs without an answer, by connection
        self.told: dict[int, int] = {}  # problems of a connection that were shown when it was opened
        columns, palette = self.columns, self.style.palette
        self._nameless = " " * columns.station
        self._action = columns.action
        self._with_id, self._with_latency = bool(columns.id), bool(columns.latency)
        self._fixed = columns.kind + 5  # and the arrow, and four spaces
        self._room = 0 if self.style.width else MAX_SUMMARY
        self._starts = {(kind, side): self._start(kind, side) for kind in Kind for side in Side}
        prefix = len(self._clock.show(0)) + (0 if self.style.clock.is_delta else 8)
        self._prefix = prefix + (columns.number + 1 if columns.number else 0) + 1
        self._dim, self._undim = palette.dim, palette.off

    def _start(self, kind: Kind, side: Side) -> str:
        """Direction and kind of a message; the colour of a failure goes on to the end of the line."""
        palette = self.style.palette
        arrow = f"{(palette.station, palette.csms)[side]}{ARROWS[side]}{palette.off}"
        return f"{arrow} {palette.bad if kind in _FAILURES else ''}{self.kind(KINDS[kind])}"

    # --- bodies -------------------------------------------------------------------------------------------------

    def header(self) -> str:
        """Nothing."""
        return ""

    def seen(self, connection: Connection) -> None:
        """Learns the station of its lines."""
        self._known[connection.number] = known(connection)
        name = clip(visible(connection.station, MAX_STATION), self.columns.station_most)
        self._stations[connection.number] = pad(name, self.columns.station)

    def forget(self, connection: int) -> None:
        """See `LogFormat`."""
        for kept in (self._known, self._stations, self.unanswered, self.told):
            kept.pop(connection, None)

    def station(self, number: int) -> str:
        """The station column."""
        return self._stations.get(number) or " " * self.columns.station

    def arrow(self, side: Side) -> str:
        """The direction column, without colour."""
        return ARROWS[side]

    def kind(self, name: str) -> str:
        """The kind column."""
        short = SHORT_KINDS.get(name, name) if self.columns.kind < 10 else name
        return short.ljust(self.columns.kind)

    def room(self, start: int) -> int:
        """Columns that are left after a body's first `start`."""
        return max(self.style.width - self._prefix - start, 0) if self.style.width else MAX_SUMMARY

    def message(self, message: Message) -> str:
        """Station, direction, kind, action, id, latency, size and summary; problems and JSON below."""
        station = self._stations.get(message.connection) or self._nameless
        kind, latency, text = message.kind, message.latency_ns, message.text
        action, width = message.action, self._action
        took = "" if latency is None else times.span(latency)
        if not (action.isascii() and action.isalnum()):
            action = visible(action, MAX_ID * 3)
        if self._with_id:
            middle = f"{action:<{width}} {short_id(message.id):<{ID_WIDTH}} {took:>6} {times.size(len(text)):>5} "
        elif self._with_latency:
            middle = f"{action:<{width}} {took:>6} "
        else:
            middle = f"{action:<{width}}"
        words = "" if text[-4:] == b",{}]" and kind is Kind.CALLRESULT else summary.said(message)
        if took and not self._with_latency:
            words = f"{took} {words}"
        tag = SPECIAL.get(message.outcome)
        if tag is not None:
            words = f"[{tag}] {words}"
        if words:
            room = self._room or self.room(columns_of(station) + columns_of(middle) + self._fixed)
            if len(words) > room or not words.isascii():
                words = clip(words, room)
            if tag is not None:
                words = self._coloured(words)
        body = f"{station} {self._starts[kind, message.side]} {middle} {words}".rstrip()
        if kind in _FAILURES:
            body += self.style.palette.off
        if message.problems or self.style.full:
            return body + self.problem_lines(message.problems) + (self._full(text) if self.style.full else "")
        return body

    def _coloured(self, words: str) -> str:
        """With the tag at the beginning in colour."""
        palette = self.style.palette
        tag, end, rest = words.partition("]")
        return f"{palette.odd}{tag}{end}{palette.off}{rest}"

    def id_columns(self, id_: str, action: str) -> str:
        """The columns of action and id, as far as they are shown."""
        action = visible(action, MAX_ID * 3)
        both = f"{action:<{self.columns.action}}"
        return f"{both} {short_id(id_):<{self.columns.id}}" if self.columns.id else both

    def problem_lines(self, problems: tuple[Problem, ...]) -> str:
        """Problems, each on a line of its own below what they are about; "" if there are none."""
        shown = problems if self.style.full else problems[:MAX_PROBLEMS]
        lines = [eventlines.problem_line(problem, self.style.palette, self.style.width) for problem in shown]
        if len(problems) > len(shown):
            lines.append(f"    ! and {len(problems) - len(shown)} more; --full shows them")
        return "".join(f"\n{line}" for line in lines)

    def _full(self, text: bytes) -> str:
        layout = jsonl.indented(text)
        columns = len(text) if self.style.whole else MAX_FULL_COLUMNS
        if layout is None:
            return f"\n    {visible_bytes(text, columns)}"
        lines = layout.split("\n", -1 if self.style.whole else MAX_FULL_LINES)
        more = not self.style.whole and len(lines) > MAX_FULL_LINES
        shown = [f"    {visible(line, columns)}" for line in (lines[:-1] if more else lines)]
        return "\n" + "\n".join(shown) + (f"\n    … ({len(text):,} bytes)" if more else "")

    def event(self, event: Event) -> str | None:
        """The body of another event's line."""
        return self.message(event) if isinstance(event, Message) else eventlines.body(self, event)

    # --- lines --------------------------------------------------------------------------------------------------

    def line(self, row: int | None, connection: int, time_ns: int, body: str) -> str:
        """Puts the time, the time since the line before and the connection's number first."""
        clock, printed = self.style.clock, self._printed_ns
        if not self.started:
            self.start_at(time_ns)
        self._printed_ns = time_ns
        number = ""
        if self.columns.number:
            number = f" {f'#{connection}' if connection >= 0 else '':>3}"
        if clock.is_delta:
            start = self._clock.show(time_ns, time_ns if printed is None else printed)
        else:
            since = "" if printed is None else times.since(time_ns - printed)
            start = f"{self._clock.show(time_ns, self._first_ns)} {since:>7}"
        day = time_ns // times.DAY
        date = self._date_line(day, time_ns) if day != self._day and clock.needs_date_lines else ""
        return f"{date}{self._dim}{start}{number}{self._undim} {body}\n"

    def start_at(self, time_ns: int) -> None:
        """Where relative times count from: the first packet."""
        self._first_ns = time_ns
        self.started = True

    def _date_line(self, day: int, time_ns: int) -> str:
        self._day = day
        palette = self.style.palette
        return f"{palette.bold}-- {times.date(time_ns)} (UTC){palette.off}\n"


def short_id(id_: str) -> str:
    """An id in at most eleven characters, if it is longer than `MAX_ID`; the parts that tell ids apart stay.

    Of a random or time-based UUID (RFC 9562 §5.1, §5.4) these are the first eight digits, of anything else both ends.
    """
    if len(id_) <= MAX_ID:
        return id_ if id_.isascii() and id_.isalnum() else visible(id_)
    if len(id_) == 36 and id_[14] in "14" and id_[8] == "-" and id_[:8].isalnum() and id_[:8] != "00000000":
        return id_[:8]
    return f"{visible(id_[:4])}…{visible(id_[-6:])}"
