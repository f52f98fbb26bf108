"""Timestamps, read fast: most are of an hour that was just seen and written in one way, so that parts are looked up.

What is not, is read by `payload.moment`, which has the last word. The tables of parts are the same for all stations
and small: a large one would be cold in the processor's cache, and no faster than reading.
"""

from __future__ import annotations

import re

from ocppscope.analysis.payload import moment

MAX_HOURS = 1024
"""Hours that are remembered; of more, all are worked out anew."""

_SECOND = 1_000_000_000
_TO_HOUR = len("2026-11-22T10:")
_TO_MINUTE = _TO_HOUR + len("00:")
_TO_SECOND = _TO_MINUTE + len("00")
_TO_FRACTION = _TO_SECOND + len(".00")
_IS_HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:").fullmatch

_hours: dict[str, int] = {}
_MINUTES = {f"{at:02}:": at * 60 * _SECOND for at in range(60)}
_SECONDS = {f"{at:02}": at * _SECOND for at in range(60)}
_FRACTIONS = {"Z": 0} | {f".{at:02}": at * _SECOND // 100 for at in range(100)}
_ENDS = {"": 0, "Z": 0} | {f"{at}Z": at * _SECOND // 1000 for at in range(10)}


def instant(text: str) -> int | None:
    """What `moment` says: an RFC 3339 date-time in ns since the epoch, None if it is none."""
    try:
        return (
            _hours[text[:_TO_HOUR]]
            + _MINUTES[text[_TO_HOUR:_TO_MINUTE]]
            + _SECONDS[text[_TO_MINUTE:_TO_SECOND]]
            + _FRACTIONS[text[_TO_SECOND:_TO_FRACTION]]
            + _ENDS[text[_TO_FRACTION:]]
        )
    except KeyError:
        return _read(text)


def _read(text: str) -> int | None:
    """The slow way; remembers the hour."""
    hour = text[:_TO_HOUR]
    if hour not in _hours and _IS_HOUR(hour):
        began = moment(f"{hour}00:00Z")
        if began is not None:
            if len(_hours) >= MAX_HOURS:
                _hours.clear()
            _hours[hour] = began
    return moment(text)
