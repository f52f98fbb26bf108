"""Which dialect a log is written in: told by its first lines, or named by the user.

A capture of packets never comes here; a text in which nothing reads as a message is of no dialect.
"""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.capture.dialects import columns, rows, table
from ocppscope.capture.dialects.dialect import Event
from ocppscope.capture.dialects.reader import MAX_HEAD, DialectReader, without_colours
from ocppscope.capture.textlog import TextReader, is_text_line
from ocppscope.capture.trace import TraceReader, is_record
from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ocppscope.capture.dialects.context import Context, LineReader
    from ocppscope.capture.dialects.dialect import Dialect

MAX_SNIFFED_LINES = 5000
"""Lines by which a dialect is told."""
MAX_SNIFFED_LINE = 4096
"""Characters of a line that are looked at for that, except by who can tell a record by all of it alone."""

OWN_JSONL, OWN_TEXT, TRACE, TABLE = "jsonl", "text", "trace", "table"


class Choice(NamedTuple):
    """A dialect as it can be chosen."""

    name: str
    about: str
    make: Callable[[Context], LineReader]
    score: Callable[[Sequence[str]], int]  # how much of some lines is of it
    is_general: bool = False
    wants_all: bool = False  # its score is of whole lines


def _count(test: Callable[[str], bool]) -> Callable[[Sequence[str]], int]:
    return lambda lines: 3 * sum(map(test, lines))


def _table_score(lines: Sequence[str]) -> int:
    first = next((line for line in lines if line.strip()), "")
    return 3 * len(lines) if columns.header_of(first) is not None and any("[" in line for line in lines) else 0


def choice_of(dialect: Dialect) -> Choice:
    """A dialect of patterns as a choice."""

    def score(lines: Sequence[str]) -> int:
        return sum(_worth(dialect, line) for line in lines)

    return Choice(
        dialect.name, dialect.about, lambda context: DialectReader(dialect, context), score, dialect.is_general
    )


def _worth(dialect: Dialect, line: str) -> int:
    """What a line says for a dialect: a message more than anything else."""
    for form in dialect.forms:
        if form.pattern.search(line, 0, MAX_HEAD):
            return 3 if form.event is Event.MESSAGE else int(form.event not in (Event.TIME, Event.HEADER))
    return 0


CHOICES: tuple[Choice, ...] = (
    Choice(OWN_JSONL, "What `ocppscope log --format jsonl` prints, with --events or without.", rows.RowReader,
           _count(rows.is_row)),
    Choice(TRACE, "Open OCPP Trace 1.x, a JSON object a message.", TraceReader, _count(is_record),
           wants_all=True),
    Choice(OWN_TEXT, "What `ocppscope log --full` prints, and what people write like it.", TextReader,
           _count(is_text_line)),
    *map(choice_of, table.DIALECTS),
    Choice(TABLE, "CSV, or a table with bars, with columns for time, direction and message.", columns.TableReader,
           _table_score),
)  # fmt: skip
BY_NAME = {choice.name: choice for choice in CHOICES}


def named(name: str) -> Choice:
    """The one of a name. Raises UsageError, which lists the names."""
    found = BY_NAME.get(name.strip().lower())
    if found is None:
        close = get_close_matches(name, BY_NAME, n=1)
        guess = f" Did you mean {close[0]}?" if close else ""
        raise UsageError(
            f"There is no dialect {name[:40]!r}.{guess}",
            f"Dialects: {', '.join(BY_NAME)}; `--dialect help` explains them. Or name a file of your own, FILE.toml.",
        )
    return found


def told(lines: Iterable[str], first: Sequence[str] = ()) -> Choice | None:
    """The dialect that some lines are written in; None where nothing in them reads as a message.

    `first` are the first lines of the log, if those are others.
    """
    whole = list(islice(lines, MAX_SNIFFED_LINES))
    looked_at = [_shown(line) for line in whole]
    if _table_score([*map(_shown, first[:3]), *looked_at]):
        return BY_NAME[TABLE]
    for general in (False, True):
        scored = [
            (one.score(whole if one.wants_all else looked_at), -place, one)
            for place, one in enumerate(CHOICES)
            if one.is_general is general
        ]
        best, _, choice = max(scored, key=lambda one: one[:2])
        if best:
            return choice
    return None


def _shown(line: str) -> str:
    return without_colours(line[:MAX_SNIFFED_LINE].rstrip("\r\n")).lstrip("\ufeff")


def explained() -> str:
    """All dialects, a line each."""
    width = max(len(choice.name) for choice in CHOICES)
    return "\n".join(f"{choice.name:<{width}}  {choice.about}" for choice in CHOICES)
