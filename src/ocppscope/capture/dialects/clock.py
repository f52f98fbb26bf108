"""When lines were written: finds their times, and makes up those that are missing. Reads no clock.

A time without a zone is UTC, unless the user says otherwise. One without a day is of the day that the log begins
on, or of a later one where the time steps back. A line without a time is a millisecond after the one before.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ocppscope.capture.instants import DAY, MINUTE, SECOND, date_ns
from ocppscope.errors import UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

    from ocppscope.capture.dialects.dialect import Tally

MILLISECOND = 1_000_000
BASE_DAY = "2000-01-01"
"""The day of logs that say none, neither in their lines nor in the messages."""
MAX_BACKWARDS_NS = MINUTE
"""How far back a time of day may step before it is one of the next day."""
MAX_COMPARED = 20
"""Times of the CSMS with which lines are compared."""
QUARTER = 15 * MINUTE
"""Zones differ by a multiple of this."""
MAX_PREFIX = 400
"""Characters of a line in which its time must stand."""
LATEST_NS = 8_000_000_000 * SECOND
"""Times after this (the year 2223) are none."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_DATED = re.compile(
    r"(?<!\d)(\d{4})[-/.](\d\d)[-/.](\d\d)[T _](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?"
    r"(?: ?(Z\b|UTC\b|GMT\b)| ?([+-])(\d\d):?(\d\d)(?!\d))?",
    re.ASCII,
)
_EUROPEAN = re.compile(r"(?<!\d)(\d\d)[./](\d\d)[./](\d{4}),? (\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?", re.ASCII)
_WORDED = re.compile(  # 22/Nov/2026:10:00:00 +0000
    r"(?<!\d)(\d\d)[/ -]([A-Za-z]{3})[/ -](\d{4})[: ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?"
    r"(?: ([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_SYSLOG = re.compile(
    r"(?<![A-Za-z])([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?", re.ASCII
)
_OF_DAY = re.compile(r"(?<![\d:.])(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(?![\d:])", re.ASCII)
_EPOCH = re.compile(r"(?<![\w.])(1\d{9})(?:\.(\d{1,9})|(\d{3})|(\d{6})|(\d{9}))?(?![\w.])", re.ASCII)
_IN_MESSAGE = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^"\\]{0,20})\\?"', re.ASCII)
_CURRENT = re.compile(r'"currentTime"\s*:\s*"([^"]{1,40})"')
_OFFSET = re.compile(r"([+-])(\d{1,2})(?::?(\d\d))?", re.ASCII)


class Zone:
    """Where times without a zone are from."""

    def __init__(self, name: str = "") -> None:
        """`+02:00`, `UTC`, or an IANA name such as `Europe/Paris`; "" if nobody said. Raises UsageError."""
        self.is_said = bool(name)
        self.name = name or "UTC"
        self._zone = _zone(name)
        self._fixed = self._zone.utcoffset(None) if not isinstance(self._zone, ZoneInfo) else None

    def ahead_ns(self, local_ns: int) -> int:
        """How far a local time is ahead of UTC."""
        if self._fixed is not None:
            return round(self._fixed.total_seconds()) * SECOND
        try:
            at = datetime.fromtimestamp(local_ns // SECOND, UTC).replace(tzinfo=self._zone)
            offset = at.utcoffset() or timedelta()
        except (OverflowError, OSError, ValueError):
            return 0
        return round(offset.total_seconds()) * SECOND


def _zone(name: str) -> tzinfo:
    if name.upper() in ("", "Z", "UTC", "GMT"):
        return UTC
    found = _OFFSET.fullmatch(name)
    if found and int(found[2]) < 15 and int(found[3] or 0) < 60:
        ahead = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return timezone(-ahead if found[1] == "-" else ahead)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"{name!r} is no time zone.", "Zones are like +02:00 or Europe/Paris; the system may lack the names."
        ) from None


class Stamp:
    """What stands in a line: ns since 1970 as if it were UTC, or since midnight if there is no day."""

    __slots__ = ("has_day", "has_zone", "ns")

    def __init__(self, ns: int, *, has_zone: bool, has_day: bool = True) -> None:
        self.ns = ns
        self.has_zone = has_zone
        self.has_day = has_day


def stamp_in(text: str, year: int = 0) -> Stamp | None:
    """The first time in a text; one with a day is preferred. `year`: of those that lack it."""
    text = text[:MAX_PREFIX]
    found = _DATED.search(text)
    if found:
        return _dated(found)
    found = _EUROPEAN.search(text)
    if found:
        day, month, full = found[1], found[2], found[3]
        return _of(f"{full}-{month}-{day}", found[4], found[5], found[6], found[7])
    found = _WORDED.search(text)
    if found and found[2].lower() in _MONTHS:
        date = f"{found[3]}-{_MONTHS[found[2].lower()]:02}-{found[1]}"
        return _shifted(_of(date, found[4], found[5], found[6], found[7]), found[8], found[9], found[10])
    found = _SYSLOG.search(text)
    if found and found[1].lower() in _MONTHS and year:
        date = f"{year:04}-{_MONTHS[found[1].lower()]:02}-{int(found[2]):02}"
        return _of(date, found[3], found[4], found[5], found[6])
    found = _OF_DAY.search(text)
    if found:
        clock = _clock(found[1], found[2], found[3], found[4])
        return None if clock is None else Stamp(clock, has_zone=False, has_day=False)
    found = _EPOCH.search(text)
    return _epoch(found) if found else None


def _dated(found: re.Match[str]) -> Stamp | None:
    stamp = _of(f"{found[1]}-{found[2]}-{found[3]}", found[4], found[5], found[6], found[7])
    if stamp is not None and found[8]:
        stamp.has_zone = True
    return _shifted(stamp, found[9], found[10], found[11])


def _shifted(stamp: Stamp | None, sign: str | None, hours: str | None, minutes: str | None) -> Stamp | None:
    if stamp is None or sign is None:
        return stamp
    ahead = (int(hours or 0) * 60 + int(minutes or 0)) * MINUTE
    return Stamp(stamp.ns + (ahead if sign == "-" else -ahead), has_zone=True)


_day_ns = lru_cache(64)(date_ns)


def _of(date: str, hours: str, minutes: str, seconds: str, fraction: str | None) -> Stamp | None:
    day, clock = _day_ns(date), _clock(hours, minutes, seconds, fraction)
    return None if day is None or clock is None else Stamp(day + clock, has_zone=False)


def _clock(hours: str, minutes: str, seconds: str, fraction: str | None) -> int | None:
    if int(hours) > 23 or int(minutes) > 59 or int(seconds) > 60:
        return None
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * SECOND + int((fraction or "0").ljust(9, "0"))


def _epoch(found: re.Match[str]) -> Stamp:
    fraction = found[2] or found[3] or found[4] or found[5] or "0"
    return Stamp(int(found[1]) * SECOND + int(fraction.ljust(9, "0")), has_zone=True)


def instant_in(text: str) -> str:
    """The first timestamp within a message, or within JSON at all, as far as it is one; "" for none."""
    found = _IN_MESSAGE.search(text)
    said = found and _DATED.match(found[1])
    return said[0] if said and _dated(said) is not None else ""


class Times:
    """The times of the lines of one log, in order."""

    def __init__(self, zone: Zone, tally: Tally, instant: str = "", zone_ns: int | None = None) -> None:
        """`instant`: when lines without a time begin, and the day of times of day; `zone_ns`: the dialect's zone."""
        day, start = instant[:10], stamp_in(instant)
        self.base = day or BASE_DAY
        self.start = (
            f"{instant[:19]}Z" if start is not None and not start.has_zone else instant or f"{BASE_DAY}T00:00:00Z"
        )
        self._zone = zone
        self._known_ns = None if zone.is_said else zone_ns
        self._tally = tally
        self._day = date_ns(self.base) or 0
        self._start = self._day if start is None else start.ns
        self._year = int(self.base[:4]) if day else 0
        self._latest = 0  # ns since midnight, of times of day
        self._last: int | None = None
        self.is_anchored = False  # some line has a time
        self._ahead: list[int] = []  # how far lines are ahead of what the CSMS says

    def read(self, prefix: str) -> int | None:
        """The time that a text holds; None for none."""
        stamp = stamp_in(prefix, self._year)
        if stamp is None:
            return None
        ns = stamp.ns
        if not stamp.has_day:
            self._tally.dateless += 1
            if ns < self._latest - MAX_BACKWARDS_NS:
                self._day += DAY
                self._latest = ns
            self._latest = max(self._latest, ns)
            ns += self._day
        if not stamp.has_zone:
            self._tally.zoneless += 1
            ns -= self._zone.ahead_ns(ns) if self._known_ns is None else self._known_ns
        if not 0 <= ns <= LATEST_NS:
            return None
        self._last, self.is_anchored = ns, True
        return ns

    def compare(self, time_ns: int, text: str) -> None:
        """An answer of the CSMS that tells its time shows in which zone lines without one were written."""
        if self._tally.zoneless and len(self._ahead) < MAX_COMPARED and self._known_ns is None:
            found = _CURRENT.search(text)
            told = stamp_in(found[1]) if found else None
            if told is not None and told.has_zone:
                self._ahead.append(time_ns - told.ns)

    def hint(self) -> str:
        """The zone, as `--log-zone` takes it, that would make lines agree with the CSMS; "" for none, or UTC."""
        quarters = {round(ahead / QUARTER) for ahead in self._ahead}
        if len(quarters) != 1 or any(abs(ahead - round(ahead / QUARTER) * QUARTER) > MINUTE for ahead in self._ahead):
            return ""
        (quarter,) = quarters
        if not quarter or abs(quarter) > 14 * 4:
            return ""
        return f"{'+' if quarter > 0 else '-'}{abs(quarter) // 4:02}:{abs(quarter) % 4 * 15:02}"

    def made_up(self) -> int:
        """The time of a line that has none."""
        self._tally.untimed += 1
        self._last = self._start if self._last is None else self._last + MILLISECOND
        return self._last
