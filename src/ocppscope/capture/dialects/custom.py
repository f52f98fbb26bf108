"""A dialect of one's own, from a small TOML file (docs/import.md).

    name = "my-gateway"
    written-by = "csms"                 # or "station"; without it, the actions tell
    zone = "+01:00"                     # of times without one

    [ways]
    "in" = "from station"               # or "from csms", "sent", "received"
    "out" = "from csms"

    [[line]]
    pattern = 'GW (?P<station>\\S+) (?P<way>in|out) (?P<text>\\[.*)'

    [[line]]
    event = "close"                     # message (the default), open, close, ping, pong
    pattern = 'GW (?P<station>\\S+) gone'

Patterns are Python's, and the user's own; they are searched for in the first part of a line only.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from ocppscope.capture.dialects.clock import Zone
from ocppscope.capture.dialects.detect import Choice, choice_of
from ocppscope.capture.dialects.dialect import Dialect, Event, Form, Way, Writing
from ocppscope.errors import UsageError
from ocppscope.model import Side

MAX_FILE = 1 << 18
MAX_FORMS = 100
MAX_PATTERN = 4000
"""Characters of a pattern."""
EVENTS = {event.value: event for event in (Event.MESSAGE, Event.OPEN, Event.CLOSE, Event.PING, Event.PONG)}
WAYS = {
    "from station": Way.FROM_STATION, "from csms": Way.FROM_CSMS, "sent": Way.SENT, "received": Way.RECEIVED,
}  # fmt: skip
WRITINGS = {"plain": Writing.PLAIN, "quoted": Writing.QUOTED, "python": Writing.BYTES, "named": Writing.NAMED}
_KEYS = frozenset({"name", "about", "written-by", "zone", "ways", "line"})
_LINE_KEYS = frozenset({"event", "pattern", "way", "written"})


def choice_in(path: str) -> Choice:
    """The dialect of a file. Raises UsageError."""
    try:
        with Path(path).open("rb") as file:
            octets = file.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(
            f"The dialect {path} cannot be read: {error.strerror}.", "docs/import.md has an example."
        ) from None
    if len(octets) > MAX_FILE:
        raise UsageError(f"The dialect {path} has more than {MAX_FILE:,} bytes.")
    return choice_of(dialect_in(octets.decode("utf-8", "replace"), path))


def dialect_in(text: str, path: str = "the dialect") -> Dialect:
    """The dialect that a TOML text describes. Raises UsageError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {str(error)[:200]}.", "docs/import.md has an example.") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply.") from None
    _known_only(table, _KEYS, path)
    lines = table.get("line")
    if not isinstance(lines, list) or not 0 < len(lines) <= MAX_FORMS:
        raise UsageError(f"{path} has no [[line]] with a pattern.", "docs/import.md has an example.")
    forms = tuple(_form(line, number, path) for number, line in enumerate(lines, 1))
    writer = table.get("written-by")
    zone = table.get("zone")
    return Dialect(
        str(table.get("name", Path(path).stem))[:40], str(table.get("about", "A dialect of your own."))[:200], forms,
        _ways(table.get("ways", {}), path),
        None if writer is None else _one_of(writer, {"csms": Side.CSMS, "station": Side.STATION}, "written-by", path),
        None if zone is None else Zone(str(zone)).ahead_ns(0),
    )  # fmt: skip


def _form(line: object, number: int, path: str) -> Form:
    where = f"{path}, line table {number}"
    if not isinstance(line, dict):
        raise UsageError(f"{where} is no table.", "docs/import.md has an example.")
    _known_only(line, _LINE_KEYS, where)
    pattern = line.get("pattern")
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise UsageError(f"{where} has no pattern of at most {MAX_PATTERN:,} characters.")
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"{where}: the pattern is wrong: {str(error)[:200]}.") from None
    event = _one_of(line.get("event", "message"), EVENTS, "event", where)
    writing = _one_of(line.get("written", "plain"), WRITINGS, "written", where)
    needed = "action" if writing is Writing.NAMED else "text"
    if event is Event.MESSAGE and needed not in compiled.groupindex:
        raise UsageError(f"{where}: the pattern has no group (?P<{needed}>…).", "It is where the message begins.")
    way = line.get("way")
    return Form(event, compiled, Way.UNSAID if way is None else _one_of(way, WAYS, "way", where), writing)


def _ways(table: object, path: str) -> dict[str, Way]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: ways is no table.", "docs/import.md has an example.")
    return {str(word).lower(): _one_of(way, WAYS, "ways", path) for word, way in table.items()}


def _one_of(value: object, choices: dict[str, Any], key: str, where: str) -> Any:
    found = choices.get(value) if isinstance(value, str) else None
    if found is None:
        raise UsageError(f"{where}: {key} is none of {', '.join(choices)}.")
    return found


def _known_only(table: dict[str, Any], known: frozenset[str], where: str) -> None:
    wrong = next((key for key in table if key not in known), None)
    if wrong is not None:
        raise UsageError(
            f"{where} has {wrong[:40]!r}, which means nothing.", f"Known are {', '.join(sorted(known))}."
        )
