"""Tables of messages: CSV as spreadsheets and databases write it, and Markdown or other tables with bars.

The first row names the columns; what they mean is told by their names, in the many ways in which people name them.
Our own `log --format csv` is one of them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

from ocppscope.capture.dialects import extract
from ocppscope.capture.dialects.context import NAMELESS
from ocppscope.capture.dialects.dialect import Way
from ocppscope.capture.dialects.words import WORDS
from ocppscope.capture.entries import Entry, Said
from ocppscope.model import Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocppscope.capture.dialects.context import Context

MAX_COLUMNS = 200
MAX_ROW = 1 << 24
"""Characters of a row; cells may hold line ends."""

_NAMES = {
    "time": ("time", "timestamp", "date", "datetime", "date_time", "created", "created_at", "when", "ts",
             "@timestamp"),
    "ns": ("time_ns",),
    "station": ("station", "station_id", "charge_point", "charge_point_id", "chargepoint", "chargepointid", "cp",
                "charge_box_id", "chargeboxid", "charger", "evse", "client", "identity"),
    "way": ("direction", "dir", "side", "sender", "from", "way", "origin", "source"),
    "text": ("text", "message", "raw", "raw_message", "payload", "data", "json", "content", "body", "ocpp"),
    "connection": ("connection",),
}  # fmt: skip
_COLUMN = {name: column for column, names in _NAMES.items() for name in names}
_RULE = re.compile(r"[\s|:+=-]*")
_DELIMITERS = (",", ";", "\t", "|")


def header_of(line: str) -> tuple[str, dict[str, int]] | None:
    """The delimiter and the columns that a first row names; None if it names no message."""
    for delimiter in _DELIMITERS:
        cells = _cells(line, delimiter)
        if not 2 <= len(cells) <= MAX_COLUMNS:
            continue
        found: dict[str, int] = {}
        for place, cell in enumerate(cells):
            name = _COLUMN.get(cell.strip().strip("*\"' ").lower().replace(" ", "_").replace("-", "_"))
            if name is not None:
                found.setdefault(name, place)
        if "text" in found and ({"time", "ns", "way"} & found.keys()):
            return delimiter, found
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of a row. A table with bars has no quotes."""
    if delimiter == "|":
        return [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter, strict=False), [])
    except csv.Error:
        return []


class TableReader:
    """Reads one table. A `LineReader`."""

    def __init__(self, context: Context) -> None:
        self.tally = context.tally
        self._context = context
        self._sides = context.open_sides(None)
        self._times = context.open_times()
        self._sessions = context.sessions
        self._header: tuple[str, dict[str, int]] | None = None
        self._row = ""
        self._number = 0
        self._is_first_cell_index = False
        self._held: list[tuple[Entry, Way]] = []
        self._survey(context.first)

    def _survey(self, lines: list[str]) -> None:
        header = None
        for line in lines:
            if header is None:
                header = header_of(line)
                continue
            cells = _cells(line, header[0])
            text = _cell(cells, header[1], "text")
            self._sides.vote(_way(_cell(cells, header[1], "way")), text)
        self._sides.settle()

    def line(self, number: int, text: str) -> Iterable[Entry]:
        """The next line."""
        line = text.rstrip("\r\n").lstrip("\ufeff")
        if self._header is None:
            self._header = header_of(line)
            self.tally.skipped += self._header is None and bool(line.strip())
            return []
        if not self._row:
            self._number = number
        self._row = f"{self._row}\n{line}" if self._row else line
        delimiter = self._header[0]
        if delimiter != "|" and self._row.count('"') % 2 and len(self._row) < MAX_ROW:
            return []  # a cell goes on in the next line
        row, self._row = self._row, ""
        return self._read(row, delimiter, self._header[1])

    def finish(self) -> Iterable[Entry]:
        """The end of the table."""
        rest: list[Entry] = []
        if self._row and self._header is not None:
            row, self._row = self._row, ""
            rest += self._read(row, *self._header)
        if self._held:
            self._sides.assume()
        return [*rest, *self._release()]

    def _read(self, row: str, delimiter: str, columns: dict[str, int]) -> list[Entry]:
        if not row.strip() or (delimiter == "|" and _RULE.fullmatch(row)):
            return []
        cells = _cells(row, delimiter)
        text = _message(_cell(cells, columns, "text"))
        if not text.startswith("["):
            self.tally.skipped += 1
            return []
        end = extract.ending(text)
        whole = isinstance(end, int)
        self.tally.messages += 1
        self.tally.cut += not whole
        way = _way(_cell(cells, columns, "way"))
        station = _cell(cells, columns, "station").strip()[:200] or NAMELESS
        connection = _cell(cells, columns, "connection").strip()
        number = self._sessions.number(f"{station} {connection}") if connection else None
        octets = (text[:end] if isinstance(end, int) else text).encode("utf-8", "surrogatepass")
        entry = Entry(self._time(cells, columns), self._number, station, number, None, Said(octets, whole=whole))
        self._sides.vote(way, text)
        self._held.append((entry, way))
        self._sides.settle()
        if self._sides.writer is None and way in (Way.SENT, Way.RECEIVED) and len(self._held) < 2000:
            return []
        if self._sides.writer is None and any(one in (Way.SENT, Way.RECEIVED) for _, one in self._held):
            self._sides.assume()
        return self._release()

    def _time(self, cells: list[str], columns: dict[str, int]) -> int:
        exact = _cell(cells, columns, "ns").strip()
        if exact.isascii() and exact.isdigit() and len(exact) < 20:
            return int(exact)
        time_ns = self._times.read(_cell(cells, columns, "time"))
        return self._times.made_up() if time_ns is None else time_ns

    def _release(self) -> list[Entry]:
        out = []
        for entry, way in self._held:
            said = entry.what
            text = said.text[:2000].decode("utf-8", "replace") if isinstance(said, Said) else ""
            side = self._sides.of(way, text)
            self.tally.unsided += side is None
            out.append(entry._replace(side=Side.STATION if side is None else side))
        self._held.clear()
        return out


def _cell(cells: list[str], columns: dict[str, int], name: str) -> str:
    place = columns.get(name, -1)
    return cells[place] if 0 <= place < len(cells) else ""


def _way(cell: str) -> Way:
    return WORDS.get(cell.strip().strip("`*").lower(), Way.UNSAID)


def _message(cell: str) -> str:
    """A message in its cell; a JSON string that holds one is undone."""
    text = cell.strip().removeprefix("'")
    if text.startswith('"['):
        try:
            read = json.loads(text)
        except ValueError:
            return text
        return read if isinstance(read, str) else text
    return text.replace("\\|", "|")
