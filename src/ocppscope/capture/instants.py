"""Points in time as logs write them, to nanoseconds since 1970. No clock is read; a time without a zone is UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

SECOND = 1_000_000_000
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
MAX_NS = 8_000_000_000 * SECOND
"""How far from 1970 a point in time may be (1716 to 2223): beyond it, it is none. What counts in ns has 64 bits."""

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,30}))?(?:(Z|z)|([+-])(\d\d):?(\d\d))?", re.ASCII
)
_OF_DAY = re.compile(r"(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,30}))?", re.ASCII)
_EPOCH = re.compile(r"(\d{9,11})(?:\.(\d{1,30}))?", re.ASCII)


def date_ns(text: str) -> int | None:
    """The start of a day such as `2026-11-22`; None if there is no such day, or it is too far away."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return _near(int(day.timestamp()) * SECOND)


def instant_ns(text: str) -> int | None:
    """`2026-11-22T10:00:00.25+01:00`, with a blank for the T or without a zone (UTC); `1795341600.25`; else None."""
    epoch = _EPOCH.fullmatch(text)
    if epoch:
        return _near(int(epoch[1]) * SECOND + _fraction(epoch[2]))
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    day, clock = date_ns(found[1]), _clock(found[2], found[3], found[4], found[5])
    if day is None or clock is None:
        return None
    return day + clock - _offset(found[7], found[8], found[9])


def time_of_day_ns(text: str) -> int | None:
    """`10:00:00.250` as ns since midnight; None if it is no time of day."""
    found = _OF_DAY.fullmatch(text)
    return _clock(*found.groups()) if found else None


def _near(time_ns: int) -> int | None:
    return time_ns if abs(time_ns) <= MAX_NS else None


def _clock(hours: str, minutes: str, seconds: str, decimals: str | None) -> int | None:
    if int(hours) > 23 or int(minutes) > 59 or int(seconds) > 60:  # 60: a leap second
        return None
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * SECOND + _fraction(decimals)


def _fraction(decimals: str | None) -> int:
    return int((decimals or "0")[:9].ljust(9, "0"))


def _offset(sign: str | None, hours: str | None, minutes: str | None) -> int:
    if sign is None:
        return 0
    ahead = (int(hours or 0) * 60 + int(minutes or 0)) * MINUTE
    return -ahead if sign == "-" else ahead
