"""`--format text`: the annotated message log, a line a message, as an engineer reads it at night.

    time  Δ  #connection station  direction kind action id latency size  what it says
        ! problem.code  what is wrong

→ is from the station to the CSMS, ← from the CSMS to the station. Lines of connections, lost bytes and missing
answers stand between the messages (`eventlines`). Where lines must fit a terminal, columns are left out and the last
one is cut.
"""

from __future__ import annotations

from typing import NamedTuple

from ocppscope.model import Connection, Event, Kind, Message, Outcome, Side
from ocppscope.render import eventlines, jsonl, summary, times
from ocppscope.render.formats import KINDS, SPECIAL, UNKNOWN, Known, known
from ocppscope.render.palette import PLAIN, UNICODE, Palette, Signs
from ocppscope.render.wiretext import clip, pad, visible, visible_bytes

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
MAX_STATION = 48
"""Characters of an identity that are shown; OCPP allows no more."""

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
    signs: Signs = UNICODE
    width: int = 0
    full: bool = False
    pings: bool = False


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


UNBOUNDED = Columns(3, 12, MAX_STATION, 10, 18, 11, 6, 5)
WIDE = UNBOUNDED._replace(station_most=20)
MIDDLE = WIDE._replace(id=0, size=0, station_most=16)
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
        self._day = ""
        self._first_ns: int | None = None
        self._printed_ns: int | None = None
        self._arrows = self._make_arrows()
        self._kinds = {kind: self.kind(KINDS[kind]) for kind in Kind}
        palette = self.style.palette
        self._kind_colours = dict.fromkeys(Kind, "") | {
            Kind.CALLERROR: palette.bad,
            Kind.CALLRESULTERROR: palette.bad,
            Kind.UNPARSED: palette.odd,
        }
        prefix = len(self._clock.show(0)) + (0 if self.style.clock.is_delta else 8)
        self._prefix = prefix + (self.columns.number + 1 if self.columns.number else 0) + 1

    def _make_arrows(self) -> tuple[str, str]:
        palette, signs = self.style.palette, self.style.signs
        return (
            f"{palette.station}{signs.to_csms}{palette.off}",
            f"{palette.csms}{signs.to_station}{palette.off}",
        )

    # --- bodies -------------------------------------------------------------------------------------------------

    def header(self) -> str:
        """Nothing."""
        return ""

    def seen(self, connection: Connection) -> None:
        """Learns the station of its lines."""
        self._known[connection.number] = known(connection)
        name = clip(visible(connection.station, MAX_STATION), self.columns.station_most)
        self._stations[connection.number] = pad(name, self.columns.station)

    def station(self, number: int) -> str:
        """The station column."""
        return self._stations.get(number) or " " * self.columns.station

    def kind(self, name: str) -> str:
        """The kind column."""
        short = SHORT_KINDS.get(name, name) if self.columns.kind < 10 else name
        return short.ljust(self.columns.kind)

    def room(self, start: int) -> int:
        """Columns that are left after a body's first `start`."""
        return max(self.style.width - self._prefix - start, 8) if self.style.width else MAX_SUMMARY

    def message(self, message: Message) -> str:
        """Station, direction, kind, action, id, latency, size and summary; problems and JSON below."""
        columns = self.columns
        station = self._stations.get(message.connection) or " " * columns.station
        kind, latency = message.kind, message.latency_ns
        action = message.action
        if not (action.isascii() and action.isalnum()):
            action = visible(action, MAX_ID * 3)
        words = self._words(message)
        took = "" if latency is None else times.span(latency)
        if columns.id:
            middle = f"{action:<{columns.action}} {short_id(message.id):<{columns.id}} {took:>6} {times.size(len(message.text)):>5}  "
        elif columns.latency:
            middle = f"{action:<{columns.action}} {took:>6}  "
        else:
            middle = f"{action:<{columns.action}} "
            words = f"{took} {words}" if took else words
        if words:
            words = clip(words, self.room(len(station) + len(middle) + columns.kind + 4))
        colour = self._kind_colours[kind]
        if colour:
            body = f"{station} {self._arrows[message.side]} {colour}{self._kinds[kind]} {middle}{words}{self.style.palette.off}"
        else:
            body = f"{station} {self._arrows[message.side]} {self._kinds[kind]} {middle}{words}"
        if message.problems or message.outcome in SPECIAL or self.style.full:
            return self._with_more(message, body)
        return body

    def _words(self, message: Message) -> str:
        """The summary."""
        kind, text = message.kind, message.text
        if text[-4:] == b",{}]" and kind is not Kind.CALLERROR:
            return ""
        parts = jsonl.read(text)
        if not isinstance(parts, list):
            return visible_bytes(text) if text else "(empty)"
        try:
            if kind is Kind.CALLRESULT:
                return summary.answer(parts[2])
            if kind in (Kind.CALL, Kind.SEND):
                return summary.request(message.action, parts[3])
            if kind in (Kind.CALLERROR, Kind.CALLRESULTERROR):
                return summary.error(parts[2], parts[3] if len(parts) > 3 else "")
        except IndexError:
            return ""
        return visible_bytes(text)

    def _with_more(self, message: Message, body: str) -> str:
        palette = self.style.palette
        if message.outcome in SPECIAL:
            word = message.outcome.value.upper()
            body = f"{body} {palette.odd}[{word}]{palette.off}"
        return body + self.problem_lines(message.problems) + (self._full(message.text) if self.style.full else "")

    def problem_lines(self, problems: tuple[eventlines.Problem, ...]) -> str:
        """Problems, each on a line of its own below what they are about; "" if there are none."""
        shown = problems if self.style.full else problems[:MAX_PROBLEMS]
        lines = [eventlines.problem_line(problem, self.style.palette, self.style.width) for problem in shown]
        if len(problems) > len(shown):
            lines.append(f"    ! and {len(problems) - len(shown)} more; --full shows them")
        return "".join(f"\n{line}" for line in lines)

    def _full(self, text: bytes) -> str:
        layout = jsonl.indented(text)
        if layout is None:
            return f"\n    {visible_bytes(text, MAX_FULL_COLUMNS)}"
        lines = layout.split("\n", MAX_FULL_LINES)
        more = len(lines) > MAX_FULL_LINES
        shown = [f"    {visible(line, MAX_FULL_COLUMNS)}" for line in lines[:MAX_FULL_LINES]]
        return "\n" + "\n".join(shown) + (f"\n    … ({len(text):,} bytes)" if more else "")

    def event(self, event: Event) -> str | None:
        """The body of another event's line."""
        return self.message(event) if isinstance(event, Message) else eventlines.body(self, event)

    # --- lines --------------------------------------------------------------------------------------------------

    def line(self, row: int | None, connection: int, time_ns: int, body: str) -> str:
        """Puts the time, the time since the line before and the connection's number first."""
        printed, style = self._printed_ns, self.style
        self._printed_ns = time_ns
        if self._first_ns is None:
            self._first_ns = time_ns
        clock = style.clock
        if clock.is_delta:
            start = self._clock.show(time_ns, time_ns if printed is None else printed)
        else:
            since = "" if printed is None else f"+{times.span(time_ns - printed)}"
            start = f"{self._clock.show(time_ns, self._first_ns)} {since:>7}"
        if self.columns.number:
            number = f"#{connection}" if connection >= 0 else ""
            start = f"{start} {number:>{self.columns.number}}"
        if style.palette.dim:
            start = f"{style.palette.dim}{start}{style.palette.off}"
        if clock.needs_date_lines:
            start = self._date_line(time_ns) + start
        return f"{start} {body}\n"

    def start_at(self, time_ns: int) -> None:
        """Where relative times count from: the first packet."""
        self._first_ns = time_ns

    def _date_line(self, time_ns: int) -> str:
        day = times.date(time_ns)
        if day == self._day:
            return ""
        self._day = day
        palette = self.style.palette
        return f"{palette.bold}-- {day} (UTC){palette.off}\n"


def short_id(id_: str) -> str:
    """An id in at most eleven characters, if it is longer than `MAX_ID`; the parts that tell ids apart stay.

    Of a random or time-based UUID (RFC 9562 §5.1, §5.4) these are the first eight digits, of anything else both ends.
    """
    if len(id_) <= MAX_ID:
        return id_ if id_.isascii() and id_.isalnum() else visible(id_)
    if len(id_) == 36 and id_[14] in "14" and id_[8] == "-" and id_[:8].isalnum() and id_[:8] != "00000000":
        return id_[:8]
    return f"{visible(id_[:4])}…{visible(id_[-6:])}"
