"""`--format csv`: messages as RFC 4180 rows, harmless in a spreadsheet.

A cell of text that a spreadsheet would take for a formula gets an apostrophe in front. Characters that are not
printable are shown as escapes: who needs each byte takes jsonl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.model import Connection, Event, Message
from ocppscope.render import times
from ocppscope.render.formats import KIND_NAMES, SIDES, UNKNOWN, Known, known
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CELL = 32_000
"""Characters of a cell; spreadsheets hold 32,767."""

MAX_PLAIN_ID = 256
"""Characters of an id that is looked at in the quick way."""
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
_PRINTABLE = bytes(range(0x20, 0x7F))


_MICROSECOND = 1_000


class CsvFormat:
    """Comma-separated values with a header line; shows messages only."""

    columns = COLUMNS

    def __init__(self) -> None:
        self._starts: dict[int, str] = {}  # the cells of a connection, as they are
        self._second, self._clock = -1, ""  # the one that was written last, and its text

    def header(self) -> str:
        """The names of the columns."""
        return ",".join(self.columns) + "\r\n"

    def seen(self, connection: Connection) -> None:
        """Learns the station and version of its rows."""
        self._starts[connection.number] = _start(known(connection))

    def forget(self, connection: int) -> None:
        """See `LogFormat`."""
        self._starts.pop(connection, None)

    def message(self, message: Message) -> str:
        """All cells but the first two."""
        return self._body(message, _text_cell(message.text))

    def bodies(self, messages: Sequence[Message]) -> list[str]:
        """The same of many messages, in less time each."""
        texts = _text_cells([message.text for message in messages])
        return list(map(self._body, messages, texts))

    def _body(self, message: Message, text: str) -> str:
        time_ns, packets, id_, action = message.time_ns, message.packets, message.id, message.action
        second, rest = divmod(time_ns, times.SECOND)
        if second != self._second:
            self._second, self._clock = second, times.strftime("%Y-%m-%d %H:%M:%S", second)
        start = self._starts.get(message.connection, _NAMELESS)
        latency, reply_to = message.latency_ns, message.reply_to
        is_plain = id_.isascii() and id_[:1].isalnum() and id_.isprintable() and len(id_) <= MAX_PLAIN_ID
        id_cell = id_ if is_plain and "," not in id_ and '"' not in id_ else cell(id_)
        held = packets[0] if len(packets) == 1 else " ".join(map(str, packets))
        return (
            f"{time_ns},{self._clock}.{rest // _MICROSECOND:06},{start},{SIDES[message.side]},"
            f"{KIND_NAMES[message.kind]},{id_cell},"
            f"{action if action.isalnum() and action.isascii() else cell(action)},"
            f"{'' if latency is None else latency},{message.outcome},{message.ordinal},"
            f"{'' if reply_to is None else reply_to},{text},{_problems(message) if message.problems else ''},"
            f"{held},{message.wire_size},{message.frames},"
            f"{_FLAGS[message.compressed]},{_FLAGS[message.binary]}"
        )

    def event(self, event: Event) -> str | None:
        """Only messages have a row."""
        return self.message(event) if isinstance(event, Message) else None

    def line(self, row: int | None, connection: int, time_ns: int, body: str) -> str:
        """Puts row and connection first."""
        return f"{row},{connection},{body}\r\n"


def _start(of_connection: Known) -> str:
    station, version, guessed = of_connection
    return f"{cell(station)},{version},{_FLAGS[guessed]}"


def _problems(message: Message) -> str:
    return cell("; ".join(f"{problem.code}: {problem.text}" for problem in message.problems))


def _text_cell(octets: bytes) -> str:
    return cell(octets.decode("utf-8", "backslashreplace"))


def _text_cells(texts: Sequence[bytes]) -> list[str]:
    """The cells of messages. Nearly all of them begin with a bracket and hold nothing that is not printable ASCII:
    these are quoted at one go."""
    joined = b"\n".join(texts)
    is_plain = len(joined.translate(None, _PRINTABLE)) == len(texts) - 1 and max(map(len, texts)) <= MAX_CELL
    if not is_plain:
        return list(map(_text_cell, texts))
    cells = joined.replace(b'"', b'""').decode("ascii").split("\n")
    return [_plain_cell(text) for text in cells]


def _plain_cell(text: str) -> str:
    """The cell of a printable text in which quotes are doubled already."""
    if text[:1] != "[":
        return cell(text.replace('""', '"'))
    return f'"{text}"' if "," in text or '"' in text else text


def cell(text: str) -> str:
    """A cell of text: no formula, nothing unprintable, quoted where it has to be."""
    if text.startswith(_FORMULA):
        text = f"'{text}"
    text = visible(text, MAX_CELL)
    if '"' in text or "," in text:
        return '"' + text.replace('"', '""') + '"'
    return text


_NAMELESS = _start(UNKNOWN)
