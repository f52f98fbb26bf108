"""Timestamps, read fast: most are of an hour that was just seen and written in one way, so that parts are looked up.

What is not, is read by `payload.moment`, which has the last word: a part is only kept if it says so. No state but
these tables of parts, which are the same for all stations.
"""

from __future__ import annotations

import re

from ocppscope.analysis.payload import moment

MAX_HOURS = 1024
"""Hours that are remembered; of more, all are worked out anew."""
MAX_TAILS = 4096
"""Fractions of a second that are remembered, likewise."""

_SECOND = 1_000_000_000
_TO_HOUR = len("2026-11-22T10:")
_TO_SECOND = _TO_HOUR + len("00:00")
_IS_HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:").fullmatch
_IS_TAIL = re.compile(r"(?:\.[0-9]{1,9})?Z").fullmatch

_hours: dict[str, int] = {}
_tails: dict[str, int] = {}
_SECONDS = {f"{at // 60:02}:{at % 60:02}": at * _SECOND for at in range(3600)}


def instant(text: str) -> int | None:
    """What `moment` says: an RFC 3339 date-time in ns since the epoch, None if it is none."""
    try:
        return _hours[text[:_TO_HOUR]] + _SECONDS[text[_TO_HOUR:_TO_SECOND]] + _tails[text[_TO_SECOND:]]
    except KeyError:
        return _learn(text)


def _learn(text: str) -> int | None:
    """Remembers the parts of a date-time, if they are plain ones and the whole can be read."""
    hour, tail = text[:_TO_HOUR], text[_TO_SECOND:]
    found = moment(text)
    if found is None or text[_TO_HOUR:_TO_SECOND] not in _SECONDS or not _IS_HOUR(hour) or not _IS_TAIL(tail):
        return found
    began = moment(f"{hour}00:00Z")
    fraction = moment(f"2000-01-01T00:00:00{tail}")
    if began is not None and fraction is not None:
        _keep(_hours, hour, began, MAX_HOURS)
        _keep(_tails, tail, fraction - _Y2000, MAX_TAILS)
    return found


_Y2000 = 946_684_800 * _SECOND


def _keep(table: dict[str, int], part: str, value: int, limit: int) -> None:
    if len(table) >= limit:
        table.clear()
    table[part] = value
