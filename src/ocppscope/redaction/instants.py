"""Times in texts, moved: date-times of payloads and dates of HTTP, in the spelling that they had."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})([Tt ])([0-9]{2}):([0-9]{2}):([0-9]{2})(?:([.,])([0-9]{1,18}))?"
    r"([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"
_NS = 1_000_000_000


def shifted(text: str, shift_ns: int) -> str | None:
    """A date-time (RFC 3339 §5.6) moved by `shift_ns`, with as many digits and the same offset; None: it is none.

    One that leaves the years 1 to 9999, or stands on a leap second, stays.
    """
    found = DATE_TIME.fullmatch(text)
    if found is None or not shift_ns:
        return None if found is None else text
    year, month, day, hour, minute, second = (int(found[at]) for at in (1, 2, 3, 5, 6, 7))
    digits = found[9] or ""
    try:
        start = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        whole, rest = divmod(int(digits.ljust(18, "0") or 0) // _NS + shift_ns, _NS)
        moved = start + timedelta(seconds=whole)
    except (ValueError, OverflowError):
        return text
    fraction = f"{found[8]}{rest:09d}{'0' * 9}"[: len(digits) + 1] if digits else ""
    return f"{moved:%Y-%m-%d}".zfill(10) + f"{found[4]}{moved:%H:%M:%S}{fraction}{found[10] or ''}"


def shifted_http(text: str, shift_ns: int) -> str:
    """A date of HTTP (RFC 9110 §5.6.7) moved by `shift_ns`; what is none stays."""
    try:
        moved = datetime.strptime(text.strip(), _HTTP_DATE).replace(tzinfo=UTC) + timedelta(
            microseconds=shift_ns // 1000
        )
    except (ValueError, OverflowError):
        return text
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{days[moved.weekday()]}, {moved:%d} {months[moved.month - 1]} {moved.year:04d} {moved:%H:%M:%S} GMT"
