"""`--format csv`: messages as RFC 4180 rows, harmless in a spreadsheet.

A cell of text that a spreadsheet would take for a formula gets an apostrophe in front. Characters that are not
printable are shown as escapes: who needs each byte takes jsonl.
"""

from __future__ import annotations

from ocppscope.model import Connection, Event, Message
from ocppscope.render import times
from ocppscope.render.formats import KINDS, SIDES, UNKNOWN, Known, known
from ocppscope.render.wiretext import visible

MAX_CELL = 32_000
"""Characters of a cell; spreadsheets hold 32,767."""

COLUMNS = (
    "row",
    "connection",
    "time_ns",
    "time",
    "station",
    "version",
    "version_guessed",
    "side",
    "kind",
    "id",
    "action",
    "latency_ns",
    "outcome",
    "ordinal",
    "reply_to",
    "text",
    "problems",
    "packets",
    "wire_size",
    "frames",
    "compressed",
    "binary",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # fmt: skip
_FLAGS = ("false", "true")


class CsvFormat:
    """Comma-separated values with a header line; shows messages only."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}
        self._clock = times.Clock(times.ClockFormat("ad", 6))

    def header(self) -> str:
        """The names of the columns."""
        return ",".join(COLUMNS) + "\r\n"

    def seen(self, connection: Connection) -> None:
        """Learns the station and version of its rows."""
        self._known[connection.number] = known(connection)

    def message(self, message: Message) -> str:
        """All cells but the first two."""
        station, version, guessed = self._known.get(message.connection, UNKNOWN)
        problems = "; ".join(f"{problem.code}: {problem.text}" for problem in message.problems)
        latency = "" if message.latency_ns is None else message.latency_ns
        reply_to = "" if message.reply_to is None else message.reply_to
        return (
            f"{message.time_ns},{self._clock.show(message.time_ns)},{cell(station)},{version},{_FLAGS[guessed]},"
            f"{SIDES[message.side]},{KINDS[message.kind]},{cell(message.id)},{cell(message.action)},{latency},"
            f"{message.outcome.value},{message.ordinal},{reply_to},"
            f"{cell(message.text.decode('utf-8', 'backslashreplace'))},{cell(problems)},"
            f"{' '.join(map(str, message.packets))},{message.wire_size},{message.frames},"
            f"{_FLAGS[message.compressed]},{_FLAGS[message.binary]}"
        )

    def event(self, event: Event) -> str | None:
        """Only messages have a row."""
        return self.message(event) if isinstance(event, Message) else None

    def line(self, row: int | None, connection: int, time_ns: int, body: str) -> str:
        """Puts row and connection first."""
        return f"{row},{connection},{body}\r\n"


def cell(text: str) -> str:
    """A cell of text: no formula, nothing unprintable, quoted where it has to be."""
    if text.startswith(_FORMULA):
        text = f"'{text}"
    text = visible(text, MAX_CELL)
    if '"' in text or "," in text:
        return '"' + text.replace('"', '""') + '"'
    return text
