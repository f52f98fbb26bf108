"""What is said of the clocks: their report, sentences, and the steps among the differences."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ocppscope.compare.report import ClockLine, ClockReport, Difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.compare.clocks import Clocks, Line


def clock_report(clocks: Clocks, near: str) -> ClockReport:
    """The clocks; `near` is the capture nearer to the station, "" where nobody can tell."""
    lines = tuple(_line(one) for one in clocks.lines)
    return ClockReport(tuple(_sentences(lines, near, clocks.strays)), lines, near)


def _line(line: Line) -> ClockLine:
    middle = (line.begins_ns + line.ends_ns) // 2
    return ClockLine(
        line.begins_ns,
        line.ends_ns,
        middle,
        int(line.at(np.array([middle]))[0]),
        line.uncertainty(middle),
        line.drift * 1e6,
        None if line.low is None else line.low * 1e6,
        None if line.high is None else line.high * 1e6,
        line.points,
    )


def _sentences(lines: tuple[ClockLine, ...], near: str, strays: int) -> list[str]:
    told = []
    if near:
        told.append(f"{near} was taken nearer to the station: what the station sends passes there first.")
    elif any(line.uncertainty_ns is not None for line in lines):
        told.append("A and B were taken at the same place, or so near that times do not tell which is which.")
    for place, line in enumerate(lines):
        part = f" (part {place + 1} of {len(lines)})" if len(lines) > 1 else ""
        told.append(f"{offset_words(line)}{part}.")
    if strays:
        told.append(f"{strays:,} messages fit no clock and were left out of the alignment.")
    return told


def offset_words(line: ClockLine) -> str:
    """Offset and drift with their uncertainties."""
    if line.uncertainty_ns is None:
        return (
            f"B's clock is about {_ms(line.offset_ns)} against A's, bounded from one side only: no message of the "
            "other direction is in both"
        )
    drift = "its drift cannot be told from so little"
    if line.drift_low_ppm is not None and line.drift_high_ppm is not None:
        span = f"between {line.drift_low_ppm:+.1f} and {line.drift_high_ppm:+.1f} ppm"
        drift = f"drift {line.drift_ppm:+.1f} ppm ({span})" if line.drift_ppm else f"drift not measurable ({span})"
    return f"B's clock is {_ms(line.offset_ns)} against A's, ± {line.uncertainty_ns / 1e6:,.3f} ms; {drift}"


def _ms(offset_ns: int) -> str:
    return f"{offset_ns / 1e9:+,.6f} s" if abs(offset_ns) >= 10_000_000_000 else f"{offset_ns / 1e6:+,.3f} ms"


def steps(clocks: Clocks, line_at: Callable[[int], int]) -> list[Difference]:
    """The steps of the clocks; `line_at` gives the line of the ladders at a time of A."""
    found = []
    for before, after in pairwise(clocks.lines):
        at = np.array([after.begins_ns])
        size = int((after.at(at) - before.at(at))[0])
        whose = _who_stepped(after.begins_ns - before.ends_ns, size)
        text = f"The clocks of the two captures step by {size / 1e6:+,.3f} ms against each other: {whose}."
        why = "Times before and after cannot be compared without taking it off, which has been done here."
        found.append(Difference("clock-step", 46, text, why, at=line_at(after.begins_ns)))
    return found


def _who_stepped(went_a: int, size: int) -> str:
    """A clock that is set back shows in its own capture; one that is set forward does not."""
    if went_a + size < 0 <= went_a:
        return "that of B was set back"
    return "one of them was set, and the captures alone do not tell which"
