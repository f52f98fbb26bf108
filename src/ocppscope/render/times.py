"""Points in time and spans of time as text. All times are UTC; no clock is read here.

The formats are tshark's (`-t`): a or u time of day, ad or ud with the date, r since the first packet, d since the
previous message, dd since the previous line that is shown, e seconds since 1970. ".N" sets the decimals.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND

CLOCKS = ("a", "ad", "d", "dd", "e", "r", "u", "ud")
_OF_DAY, _WITH_DATE, _SPANS = ("a", "u"), ("ad", "ud"), ("d", "dd", "r")
_SPECIFICATION = re.compile(r"(a|ad|d|dd|e|r|u|ud)?(?:\.([0-9]))?")


class ClockFormat(NamedTuple):
    """How times are shown: one of `CLOCKS` and the number of decimals."""

    clock: str = "a"
    decimals: int = 3

    @property
    def needs_date_lines(self) -> bool:
        """Whether a line has to say which day it is."""
        return self.clock in _OF_DAY

    @property
    def is_delta(self) -> bool:
        """Whether the time column itself is the time since what came before."""
        return self.clock in ("d", "dd")


def parse_clock(specification: str) -> ClockFormat | None:
    """`a`, `ad.6`, `.0`, `r` …; None if it is none of these. Without decimals: 3, or 6 where there is no date."""
    found = _SPECIFICATION.fullmatch(specification)
    if found is None or not specification:
        return None
    clock = found[1] or "a"
    usual = 6 if clock in ("d", "dd", "r", "e") else 3
    return ClockFormat(clock, usual if found[2] is None else int(found[2]))


class Clock:
    """Makes the time column. Keeps the text of the second that it was asked for last."""

    def __init__(self, wanted: ClockFormat | None = None) -> None:
        self.format = wanted or ClockFormat()
        self._start = "%Y-%m-%d %H:%M:%S" if self.format.clock in _WITH_DATE else "%H:%M:%S"
        self._spans = self.format.clock in _SPANS
        self._second = -1
        self._text = ""
        self._step = 10 ** (9 - self.format.decimals)

    def show(self, time_ns: int, reference_ns: int = 0) -> str:
        """The time, or the time since `reference_ns` where the format is one of the relative ones."""
        if self._spans:
            return self._seconds(time_ns - reference_ns).rjust(self.format.decimals + 6)
        if self.format.clock == "e":
            return self._seconds(time_ns)
        second, rest = divmod(time_ns, SECOND)
        if second != self._second:
            self._second = second
            self._text = strftime(self._start, second)
        if self.format.decimals == 3:
            return f"{self._text}.{rest // 1_000_000:03}"
        if not self.format.decimals:
            return self._text
        return f"{self._text}.{rest // self._step:0{self.format.decimals}}"

    def _seconds(self, span_ns: int) -> str:
        sign, span_ns = ("-", -span_ns) if span_ns < 0 else ("", span_ns)
        second, rest = divmod(span_ns, SECOND)
        if not self.format.decimals:
            return f"{sign}{second}"
        return f"{sign}{second}.{rest // self._step:0{self.format.decimals}}"


def strftime(pattern: str, second: int) -> str:
    """`time.strftime` in UTC; the plain number of seconds where a hostile clock is beyond the calendar."""
    try:
        return time.strftime(pattern, time.gmtime(second))
    except (OverflowError, ValueError, OSError):
        return f"@{second}"


def date(time_ns: int) -> str:
    """`2026-11-22`."""
    return strftime("%Y-%m-%d", time_ns // SECOND)


def stamp(time_ns: int) -> str:
    """`2026-11-22 11:48:19.304`."""
    second, rest = divmod(time_ns, SECOND)
    return f"{strftime('%Y-%m-%d %H:%M:%S', second)}.{rest // 1_000_000:03}"


def span(span_ns: int) -> str:
    """A span of time in at most six characters: `735µs`, `3.5ms`, `44ms`, `2.20s`, `5m02s`, `1h02m`, `5d03h`."""
    if span_ns < 0:
        return f"-{span(-span_ns)}"
    if span_ns < 999_500:
        return f"{(span_ns + 500) // 1000}µs"
    if span_ns < 9_950_000:
        return f"{span_ns / 1e6:.1f}ms"
    if span_ns < 999_500_000:
        return f"{(span_ns + 500_000) // 1_000_000}ms"
    if span_ns < 9_995_000_000:
        return f"{span_ns / 1e9:.2f}s"
    if span_ns < 59_950_000_000:
        return f"{span_ns / 1e9:.1f}s"
    if span_ns < HOUR:
        minutes, rest = divmod((span_ns + SECOND // 2) // SECOND, 60)
        return f"{minutes}m{rest:02}s"
    if span_ns < 2 * DAY:
        hours, rest = divmod(span_ns // MINUTE, 60)
        return f"{hours}h{rest:02}m"
    days, rest = divmod(span_ns // HOUR, 24)
    return f"{days}d{rest:02}h"


def since(span_ns: int) -> str:
    """A span with its sign: `+44ms`."""
    return f"+{span(span_ns)}" if span_ns >= 0 else span(span_ns)


def size(count: int) -> str:
    """Bytes in at most five characters: `203B`, `12.3K`, `1.0M`."""
    if count < 10_000:
        return f"{count}B"
    if count < 1_000_000:
        return f"{count / 1000:.1f}K"
    return f"{count / 1e6:.1f}M" if count < 10**9 else f"{count / 1e9:.1f}G"
