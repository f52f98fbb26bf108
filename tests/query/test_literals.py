"""Numbers, durations, sizes and times, and what they are not."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.query import literals

NUMBERS = [
    ("12", 12), ("-3", -3), ("+3", 3), ("3.5", 3.5), (".5", 0.5), ("1e6", 1e6), ("0x1F", 31), ("007", 7),
    ("", None), ("x", None), ("1_000", None), ("nan", None), ("inf", None), ("\u0661", None), ("1e999", None),
    ("9" * 31, None), ("1 ", None), ("0x", None), ("--1", None),
]  # fmt: skip
DURATIONS = [
    ("250ms", 250_000_000), ("2s", 2_000_000_000), ("5m", 300_000_000_000), ("1h", 3_600_000_000_000),
    ("1.5h", 5_400_000_000_000), ("0", 0), ("10us", 10_000), ("10µs", 10_000), ("1d", 86_400_000_000_000),
    ("-1s", -1_000_000_000), ("7ns", 7), ("0.1ns", 0), ("5", None), ("s", None), ("5 s", None), ("1h30m", None),
    ("2S", None), ("1e3s", None),
]  # fmt: skip
SIZES = [
    ("4096", 4096), ("4KiB", 4096), ("1.5MB", 1_500_000), ("1kB", 1000), ("2GiB", 2 << 30), ("3B", 3),
    ("1.5", None), ("4K", None), ("4kib", None), ("-", None),
]  # fmt: skip
TIMES = [
    ("1970-01-01", 0), ("1970-01-01T00:01", 60_000_000_000), ("1970-01-01 00:00:01.5", 1_500_000_000),
    ("1970-01-01T01:00+01:00", 0), ("1970-01-01T00:00:00.000000001Z", 1), ("1969-12-31T23:59:59", -1_000_000_000),
    ("12", 12_000_000_000), ("0.000000001", 1), ("1970-01-01T00:00-0130", 5_400_000_000_000),
    ("2026-02-30", None), ("2026-1-1", None), ("10:00", None), ("1970-01-01T25:00", None), ("today", None),
    ("0x10", None), ("1970-01-01T00:00+99:99", None), ("\u0661\u0669\u0667\u0660-01-01", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read, *case)
        for read, cases in [
            (literals.number, NUMBERS),
            (literals.duration, DURATIONS),
            (literals.size, SIZES),
            (literals.time, TIMES),
        ]
        for case in cases
    ],
)
def test_what_is_written_and_what_is_meant(read, text, value):
    assert read(text) == value


@given(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_times_agree_with_the_calendar(moment, offset):
    moment = moment.replace(tzinfo=timezone(timedelta(minutes=offset)), second=moment.second)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    expected = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    assert literals.time(moment.isoformat()) == expected


@given(st.text(max_size=40))
def test_no_text_makes_them_fail(text):
    for read in (literals.number, literals.duration, literals.size, literals.time, literals.yes_or_no):
        read(text)
