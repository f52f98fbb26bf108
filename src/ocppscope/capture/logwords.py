"""What is said of a log when it is read: what was in it, and what was taken for granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.capture.dialects.detect import OWN_JSONL, OWN_TEXT, TRACE
from ocppscope.model import Side
from ocppscope.plural import counted

if TYPE_CHECKING:
    from ocppscope.capture.dialects.context import Context
    from ocppscope.capture.dialects.detect import Choice

_EXACT = frozenset({OWN_JSONL, OWN_TEXT, TRACE})
"""Dialects that leave nothing to be taken for granted."""


def said_of(name: str, choice: Choice, context: Context, *, is_told: bool) -> list[str]:
    """The sentences on one log."""
    said = [_holdings(name, choice, context, is_told=is_told)]
    if choice.name not in _EXACT:
        said += _of_times(name, context)
        said += _of_sides(name, context)
    tally = context.tally
    if tally.latin:
        said.append(f"{name}: {_lines(tally.latin)} no UTF-8 and read as Latin-1.")
    if tally.overlong:
        said.append(f"{name}: {_lines(tally.overlong)} too long; only their beginning is read.")
    return said


def _lines(count: int) -> str:
    return "1 line is" if count == 1 else f"{count:,} lines are"


def _holdings(name: str, choice: Choice, context: Context, *, is_told: bool) -> str:
    tally = context.tally
    lines, parts = counted(tally.lines, "line"), [counted(tally.messages, "message")]
    if tally.cut:
        parts[-1] += f" ({tally.cut:,} cut)"
    if tally.named:
        parts.append(f"{tally.named:,} of them named and not shown")
    if tally.events:
        parts.append(f"{tally.events:,} of openings, closings and pings")
    if tally.skipped:
        parts.append(f"{tally.skipped:,} line{' is' if tally.skipped == 1 else 's are'} something else and skipped")
    how = "read" if not is_told else "recognised"
    return f"{name} is a log of messages, {how} as {choice.name}: {lines}, {', '.join(parts)}."


def _of_times(name: str, context: Context) -> list[str]:
    tally, times = context.tally, context.times
    said = []
    if times is not None and tally.dateless:
        said.append(f"{name}: times of day only; the first day is taken for {times.base}.")
    if times is not None and tally.untimed:
        lines = "1 line has" if tally.untimed == 1 else f"{tally.untimed:,} lines have"
        what = f"{lines} no time" if times.is_anchored else "no line has a time"
        base = "" if times.is_anchored else f", from {times.start}"
        said.append(f"{name}: {what}; their order is kept, and each is taken to be 1 ms after the line before{base}.")
    if tally.zoneless:
        zone, hint = context.zone, times.hint() if times is not None else ""
        if hint and not zone.is_said:
            advice = f"; by the answers of the CSMS they are --log-zone {hint}."
        else:
            advice = "." if zone.is_said else "; --log-zone +02:00 says what they are."
        said.append(f"{name}: times without a zone are taken for {zone.name}{advice}")
    return said


def _of_sides(name: str, context: Context) -> list[str]:
    sides, tally = context.sides, context.tally
    said = []
    if sides is not None and not sides.is_decided and sides.writer is not None and tally.messages:
        writer = "CSMS" if sides.writer is Side.CSMS else "station"
        if sides.is_assumed and tally.messages > tally.unsided:
            said.append(f"{name}: nothing tells who wrote it; it is read as written by the {writer}.")
        elif sides.evidence:
            said.append(f"{name}: written by the {writer}, as the direction of {sides.evidence} tells.")
    if tally.unsided:
        said.append(
            f"{name}: of {counted(tally.unsided, 'message')} nothing tells who sent "
            f"{'it' if tally.unsided == 1 else 'them'}; the station is taken for the sender."
        )
    return said
