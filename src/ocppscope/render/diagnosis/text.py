"""The report as text for a terminal: the worst root first, below it what it explains, notes last and short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Finding, Severity
from ocppscope.analysis.registry import RULES
from ocppscope.analysis.report import standpoint
from ocppscope.plural import counted
from ocppscope.render import times
from ocppscope.render.palette import PLAIN, Palette
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.finding import Ref
    from ocppscope.analysis.report import Report, StationSummary

SHOWN_EVIDENCE = 3
"""Places in the capture that are shown of a finding, unless all are asked for."""
MAX_TEXT = 400
MAX_ENDINGS = 6
"""Sentences about the connections of a station that are shown, unless all are asked for."""
_WIDTH = 100
_INDENT = " " * 9


def text(report: Report, palette: Palette = PLAIN, width: int = 0, *, full: bool = False) -> Iterator[str]:
    """The lines of the report, each with its end."""
    several = len(report.stations) > 1
    for finding in report.findings:
        yield from _finding(finding, report, palette, width or _WIDTH, several=several, full=full)
    if report.findings:
        yield "\n"
    yield from _stations(report, palette, full=full)
    yield _summary(report, palette)
    for notice in report.notices:
        yield f"{palette.odd}note:{palette.off} {visible(notice, MAX_TEXT)}\n"


def _finding(
    finding: Finding, report: Report, palette: Palette, width: int, *, several: bool, full: bool
) -> Iterator[str]:
    colour = _colour(finding.severity, palette)
    station = f"{palette.bold}{visible(finding.station, 40)}{palette.off}  " if several else ""
    times_ = f" ({finding.count:,} times)" if finding.count > 1 else ""
    if finding.root is not None:
        yield f"  └ {palette.dim}{finding.severity.label} {finding.rule}: {_said(finding)}{times_}{palette.off}\n"
        return
    head = f"{colour}{finding.severity.label:8}{palette.off} {station}{palette.bold}{finding.rule}{palette.off}"
    yield f"{head}: {_said(finding)}{times_}\n"
    if finding.severity is Severity.NOTE and not full:
        return
    rule = RULES[finding.rule]
    facts = [f"blame: {finding.blame}", _when(finding)]
    facts += [f"{name} {visible(value, 80)}" for name, value in finding.measured.items()]
    facts += [rule.spec] if rule.spec else []
    yield from _wrapped(" · ".join(facts), width, palette.dim, palette.off)
    yield from _wrapped(rule.advice, width, "", "")
    if finding.quirk:
        yield from _wrapped(f"Known of this model: {finding.quirk}", width, palette.odd, palette.off)
    shown = finding.evidence if full else finding.evidence[:SHOWN_EVIDENCE]
    for ref in shown:
        yield f"{_INDENT}{palette.dim}{_place(ref, report)}{palette.off}\n"
    if len(shown) < min(finding.count, len(finding.evidence)):
        yield f"{_INDENT}{palette.dim}… --full shows {len(finding.evidence) - len(shown)} more{palette.off}\n"


def _said(finding: Finding) -> str:
    return visible(finding.text, MAX_TEXT)


def _when(finding: Finding) -> str:
    first = times.stamp(finding.first_ns)
    if finding.last_ns == finding.first_ns:
        return first
    return f"{first} and {times.span(finding.last_ns - finding.first_ns).strip()} on"


def _place(ref: Ref, report: Report) -> str:
    """`10:00:01.234 #0 → CALL Heartbeat (packet 12)`."""
    same_day = times.date(ref.time_ns) == times.date(report.begins_ns)
    when = times.stamp(ref.time_ns)[11:] if same_day else times.stamp(ref.time_ns)
    parts = [when, f"#{ref.connection}" if ref.connection >= 0 else "", visible(ref.what, 80)]
    packet = f"(packet {ref.packet:,})" if ref.packet else ""
    return " ".join(part for part in (*parts, packet) if part)


def _wrapped(sentence: str, width: int, on: str, off: str) -> Iterator[str]:
    from textwrap import wrap  # noqa: PLC0415 - only where there are findings

    for line in wrap(sentence, max(width - len(_INDENT), 40)):
        yield f"{_INDENT}{on}{line}{off}\n"


def _stations(report: Report, palette: Palette, *, full: bool) -> Iterator[str]:
    for one in report.stations:
        yield _station(one, palette)
        shown = one.endings if full else one.endings[:MAX_ENDINGS]
        for sentence in shown:
            yield f"  {visible(sentence, MAX_TEXT)}\n"
        if len(shown) < len(one.endings):
            yield f"  {palette.dim}… --full shows {len(one.endings) - len(shown)} more{palette.off}\n"


def _station(one: StationSummary, palette: Palette) -> str:
    connections = counted(one.connections, "connection")
    sent, received = one.messages
    facts = [
        visible(one.model, 80),
        f"OCPP {one.version}",
        connections,
        f"{sent:,} messages sent, {received:,} received",
    ]
    line = " · ".join(fact for fact in facts if fact)
    return f"{palette.bold}{visible(one.identity, 48)}{palette.off}: {line}. {standpoint(one.vantage)}\n"


def _summary(report: Report, palette: Palette) -> str:
    counts = report.counts()
    parts = [
        f"{_colour(severity, palette)}{counted(count, severity.label)}{palette.off}"
        for severity, count in sorted(counts.items(), reverse=True)
        if count
    ]
    explained = sum(one.root is not None for one in report.findings)
    more = f"; {explained:,} more are explained by them" if explained else ""
    begins = f"{', '.join(parts)} in" if parts else report.nothing
    left_out = f" {palette.odd}{report.reservation}{palette.off}" if report.unread else ""
    return f"{begins} {counted(report.messages, 'message')}{more}.{left_out}\n"


def _colour(severity: Severity, palette: Palette) -> str:
    return {Severity.ERROR: palette.bad, Severity.WARNING: palette.odd}.get(severity, palette.dim)
