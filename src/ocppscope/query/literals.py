"""Values as they are written in a filter: numbers, durations, sizes, points in time, yes and no.

Pure: text in, a number out, `None` for what is no such value. All times are UTC unless they say otherwise.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

MAX_DIGITS = 30
"""Digits of a number, so that nobody computes with a number of a million digits."""

DURATIONS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
"""Nanoseconds of a unit."""
SIZES = {
    "B": 1,
    "kB": 1_000,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
"""Bytes of a unit."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_WITH_UNIT = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))([a-zA-Zµ]+)", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|z|[+-]\d\d:?\d\d)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(text: str) -> int | float | None:
    """`12`, `-3.5`, `1e6`, `0x1f`: an integer where it is one."""
    if len(text) > MAX_DIGITS:
        return None
    if _HEX.fullmatch(text):
        return int(text, 16)
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return int(text)
    except ValueError:
        value = float(text)
        return value if abs(value) < 1e300 else None


def duration(text: str) -> int | None:
    """`250ms`, `1.5h` in nanoseconds; `0` needs no unit."""
    return 0 if text.strip("+-") == "0" else _scaled(text, DURATIONS)


def size(text: str) -> int | None:
    """`4KiB`, `1.5MB`, `4096` in bytes."""
    plain = number(text)
    return plain if isinstance(plain, int) else _scaled(text, SIZES)


def _scaled(text: str, units: dict[str, int]) -> int | None:
    found = _WITH_UNIT.fullmatch(text) if len(text) <= MAX_DIGITS else None
    if found is None or found[2] not in units:
        return None
    return int(Decimal(found[1]) * units[found[2]])


def time(text: str) -> int | None:
    """`2026-11-22`, `2026-11-22T10:00`, `… 10:00:00.25`, with `Z` or an offset, or seconds since 1970: nanoseconds.

    Without a zone it is UTC, as all times are shown.
    """
    seconds = number(text)
    if seconds is not None:
        return int(Decimal(text) * 1_000_000_000) if not text.lower().startswith("0x") else None
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    day, minute, second, fraction, zone = found.groups()
    zone = "+00:00" if zone is None or zone in "Zz" else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{minute or '00:00'}:{second or '00'}{zone}")
    except ValueError:
        return None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def yes_or_no(text: str) -> bool | None:
    """`true`, `false`, `yes`, `no`, `1`, `0`."""
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower())
