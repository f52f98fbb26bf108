"""Points in time as RFC 3339 writes them, for forms that other programs read."""

from __future__ import annotations

from ocppscope.render import times

LAST_NS = 253_402_300_799_999_999_999
"""The end of the year 9999; beyond it neither RFC 3339 nor the programs that read it know a date."""


def within(time_ns: int) -> int:
    """The nearest time that can be written."""
    return min(max(time_ns, 0), LAST_NS)


def moment(time_ns: int) -> str:
    """`2026-11-22T11:48:19.304123Z`: microseconds, or nanoseconds where there are any."""
    second, rest = divmod(within(time_ns), times.SECOND)
    fraction = f"{rest:09}" if rest % 1000 else f"{rest // 1000:06}"
    return f"{times.strftime('%Y-%m-%dT%H:%M:%S', second)}.{fraction}Z"


def seconds(time_ns: int) -> str:
    """Seconds since 1970 as a JSON number, to the microsecond."""
    second, rest = divmod(within(time_ns), times.SECOND)
    return f"{second}.{rest // 1000:06}"
