"""The columns of the message list: those of the table of fields, and a summary of what the message says.

Which of them fit is decided for a width; a cell is made for rows that are seen only. No text leaves this module but
through `wiretext`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.model import Kind, Outcome, Side
from ocppscope.query.fields import FIELDS, Around, Field, Subject
from ocppscope.query.values import Type
from ocppscope.render import jsonl, summary, times
from ocppscope.render.formats import KINDS
from ocppscope.render.styled import Span, Style
from ocppscope.render.textlog import ARROWS, SHORT_KINDS, short_id
from ocppscope.render.wiretext import clip, pad, visible, visible_bytes
from ocppscope.render.wiretext import columns as columns_of

if TYPE_CHECKING:
    from ocppscope.model import Connection, Message
    from ocppscope.render.styled import Line

SUMMARY = "summary"
"""The column that takes what is left of the width; always the last one."""
DEFAULT = ("time", "delta", "connection", "station", "side", "kind", "action", "id", "latency", "size", SUMMARY)
"""What is shown unless the user says otherwise, as far as it fits."""
LEAST_SUMMARY = 15
"""Columns that the summary is worth: rather than less, another column is left out."""
MAX_SUMMARY_BYTES = 1 << 16
"""Bytes of a message that is summed up by its fields; of a longer one the beginning is shown."""
MAX_CELL = 256
"""Characters of a cell."""
MAX_STATION, MAX_STATION_NARROW = 24, 12
"""Columns of a station's name in a wide and in a narrow list; of a longer one the middle is left out."""


class Column(NamedTuple):
    """A column: `narrow` and `width` are its widths in a narrow and a wide list; the highest `rank` goes first."""

    name: str
    title: str
    width: int
    narrow: int
    rank: int
    help: str
    right: bool = False


class Row(NamedTuple):
    """One row of the list, as its cells see it."""

    subject: Subject
    time: str
    delta: str
    special: str = ""


_NARROW = {"station": 10, "kind": 6, "action": 18, "id": 11, "src": 15, "dst": 15, "problem": 16}
_WIDE = {"side": 1, "kind": 6, "station": 14, "action": 24, "id": 11, "connection": 4, "latency": 6, "size": 6}
_RANKS = {
    "time": 0, "side": 0, "kind": 1, "action": 1, "station": 2, "latency": 3, "delta": 4, "connection": 6, "size": 7,
    "id": 8,
}  # fmt: skip
_TITLES = {"side": "", "latency": "Took"}
_RIGHT = (Type.INTEGER, Type.DURATION, Type.SIZE)


def _column(field: Field) -> Column:
    width = _WIDE.get(field.name, field.width)
    narrow = min(_NARROW.get(field.name, width), width)
    title = _TITLES.get(field.name, field.title)
    right = field.type in _RIGHT and not field.many
    return Column(field.name, title, width, narrow, _RANKS.get(field.name, 5), field.help, right)


COLUMNS: Mapping[str, Column] = MappingProxyType(
    {field.name: _column(field) for field in FIELDS.values()}
    | {SUMMARY: Column(SUMMARY, "Says", LEAST_SUMMARY, LEAST_SUMMARY, 0, "what the message says, in a few words")}
)
"""All columns by name."""


class Layout(NamedTuple):
    """The columns that fit, each with its width."""

    columns: tuple[tuple[Column, int], ...]

    def header(self) -> Line:
        """The titles."""
        return tuple(_cells((_fit(one.title, width, right=one.right), Style.DIM) for one, width in self.columns))

    def line(self, row: Row) -> Line:
        """One row."""
        return tuple(_cells(_cell(column, width, row) for column, width in self.columns))


def layout(names: Sequence[str], width: int, time_width: int = 12, station_width: int = 14) -> Layout:
    """As many of the columns as fit, the dearer ones in their order, and the summary with what is left."""
    chosen = [COLUMNS[name] for name in names if name in COLUMNS and name != SUMMARY]
    has_summary = SUMMARY in names or not chosen
    narrow = width < 130
    widths = {one.name: one.narrow if narrow else one.width for one in chosen}
    widths["time"] = time_width
    widths["station"] = max(min(station_width, MAX_STATION_NARROW if narrow else MAX_STATION), len("Station"))
    least = LEAST_SUMMARY if has_summary else 0
    fewest = 0 if has_summary else 1
    while len(chosen) > fewest and sum(widths[one.name] + 1 for one in chosen) + least > width:
        worst = max(one.rank for one in chosen)
        chosen.remove([one for one in chosen if one.rank == worst][-1])
    parts = [(one, widths[one.name]) for one in chosen]
    if has_summary:
        parts.append((COLUMNS[SUMMARY], max(width - sum(size + 1 for _, size in parts), 1)))
    return Layout(tuple(parts))


def _cells(cells: Iterable[tuple[str, Style]]) -> Sequence[Span]:
    spans: list[Span] = []
    for text, style in cells:
        if spans:
            spans.append(Span(" "))
        spans.append(Span(text, style))
    return spans


def _fit(text: str, width: int, *, right: bool) -> str:
    text = clip(text, width)
    return " " * (width - columns_of(text)) + text if right else pad(text, width)


def _cell(column: Column, width: int, row: Row) -> tuple[str, Style]:
    text, style = _MAKERS.get(column.name, _of_field)(column, row)
    if column.name == "station":
        text = shortened(text, width)
    if column.name == SUMMARY and row.special:
        text = f"[{row.special}] {text}"
        style = Style.WARNING
    return _fit(text, width, right=column.right), style


def shortened(name: str, width: int) -> str:
    """A name in at most so many columns: its end tells stations apart, so that the middle is left out."""
    if columns_of(name) <= width or not name.isascii() or width < 8:
        return clip(name, width)
    tail = (width - 1) * 2 // 3
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


# --- cells ---------------------------------------------------------------------------------------------------------

_BAD = (Kind.CALLERROR, Kind.CALLRESULTERROR, Kind.UNPARSED)


def _of_field(column: Column, row: Row) -> tuple[str, Style]:
    """What the field's getter gives, by its type."""
    field = FIELDS[column.name]
    value = field.of(row.subject)
    if value is None:
        return "", Style.PLAIN
    if isinstance(value, tuple):
        return ", ".join(visible(str(one), MAX_CELL) for one in value[:4]), Style.PLAIN
    if isinstance(value, bool):
        return ("yes" if value else "no"), Style.PLAIN
    if isinstance(value, int) and field.type is Type.DURATION:
        return times.span(value), Style.DIM
    if isinstance(value, int) and field.type is Type.SIZE:
        return times.size(value), Style.DIM
    return visible(str(value), MAX_CELL), Style.PLAIN


def _time(column: Column, row: Row) -> tuple[str, Style]:
    del column
    return row.time, Style.TIME


def _delta(column: Column, row: Row) -> tuple[str, Style]:
    del column
    return row.delta, Style.DIM


def _arrow(column: Column, row: Row) -> tuple[str, Style]:
    del column
    side = row.subject.message.side
    return ARROWS[side], (Style.STATION if side is Side.STATION else Style.CSMS)


def _station(column: Column, row: Row) -> tuple[str, Style]:
    connection = row.subject.connection
    return visible(connection.station, MAX_CELL) if connection else "", Style.STATION


def _number(column: Column, row: Row) -> tuple[str, Style]:
    del column
    return f"#{row.subject.message.connection}", Style.DIM


def _kind(column: Column, row: Row) -> tuple[str, Style]:
    del column
    kind = row.subject.message.kind
    name = KINDS[kind]
    style = Style.ERROR if kind in _BAD else Style.CALL if kind in (Kind.CALL, Kind.SEND) else Style.RESULT
    return SHORT_KINDS.get(name, name), style


def _action(column: Column, row: Row) -> tuple[str, Style]:
    message = row.subject.message
    style = Style.CALL if message.kind in (Kind.CALL, Kind.SEND) else Style.RESULT
    return visible(message.action, column.width * 2), style


def _id(column: Column, row: Row) -> tuple[str, Style]:
    del column
    return short_id(row.subject.message.id), Style.ID


def _summary(column: Column, row: Row) -> tuple[str, Style]:
    del column
    message = row.subject.message
    return words(message), (Style.ERROR if message.kind in _BAD else Style.PLAIN)


def _mark(column: Column, row: Row) -> tuple[str, Style]:
    note = row.subject.around.note
    return visible(note.mark if column.name == "mark" else note.note, MAX_CELL), Style.MARK


_MAKERS: Mapping[str, Callable[[Column, Row], tuple[str, Style]]] = MappingProxyType(
    {
        "time": _time, "delta": _delta, "side": _arrow, "station": _station, "connection": _number, "kind": _kind,
        "action": _action, "id": _id, "mark": _mark, "note": _mark, SUMMARY: _summary,
    }
)  # fmt: skip


def words(message: Message) -> str:
    """What a message says, in a few words; of one that says nothing in OCPP the beginning of its text."""
    text, kind = message.text, message.kind
    parts = jsonl.read(text) if len(text) <= MAX_SUMMARY_BYTES else None
    if isinstance(parts, list):
        try:
            if kind is Kind.CALLRESULT:
                return summary.answer(message.action, parts[2])
            if kind in (Kind.CALL, Kind.SEND):
                return summary.request(message.action, parts[3])
            if kind in (Kind.CALLERROR, Kind.CALLRESULTERROR):
                return summary.error(parts[2], parts[3] if len(parts) > 3 else "")
        except IndexError:
            pass
    return visible_bytes(text, MAX_CELL) if text else "(empty)"


SPECIAL: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.RESENT: "resent",
        Outcome.REUSED_ID: "reused id",
        Outcome.LATE: "late",
        Outcome.ORPHAN: "orphan",
        Outcome.DUPLICATE: "duplicate",
        Outcome.TIMEOUT: "no answer",
        Outcome.OPEN: "unanswered at the end",
    }
)
"""Outcomes that a reader should be told of; the others are the ordinary course of things."""


def row_of(message: Message, connection: Connection | None, around: Around, time: str, delta: str) -> Row:
    """A row from what is known of it."""
    return Row(Subject(message, connection, around), time, delta, SPECIAL.get(message.outcome, ""))
