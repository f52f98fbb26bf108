"""The report as Markdown, for tickets. What came from the wire is escaped, so that it can be neither markup nor
HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.registry import RULES
from ocppscope.analysis.report import standpoint
from ocppscope.plural import counted
from ocppscope.render import times
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.finding import Finding, Ref
    from ocppscope.analysis.report import Report

MAX_TEXT = 400
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$@:])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str, limit: int = MAX_TEXT) -> str:
    """Text that is shown as it is."""
    safe = _SPECIAL.sub(r"\\\1", visible(text, limit))
    return re.sub("[&<>]", lambda found: _ENTITIES[found[0]], safe)


def markdown(report: Report) -> Iterator[str]:
    """The document, line by line."""
    yield f"# Diagnosis of {plain(', '.join(report.captures))}\n\n"
    yield f"{_summary(report)}\n\n"
    for finding in report.findings:
        if finding.root is None and finding.severity > Severity.NOTE:
            yield from _section(finding, report)
    notes = [one for one in report.findings if one.root is None and one.severity is Severity.NOTE]
    if notes:
        yield "## Notes\n\n"
        for finding in notes:
            yield f"- {_said(finding)}\n"
        yield "\n"
    if report.stations:
        yield "## Stations\n\n"
    for one in report.stations:
        model = f" ({plain(one.model)})" if one.model else ""
        yield f"- **{plain(one.identity)}**{model}, OCPP {one.version}. {standpoint(one.vantage)}\n"
        for sentence in one.endings:
            yield f"  - {plain(sentence)}\n"
    for notice in report.notices:
        yield f"\n> {plain(notice)}\n"


def _summary(report: Report) -> str:
    counts = ", ".join(
        counted(count, severity.label) for severity, count in sorted(report.counts().items(), reverse=True) if count
    )
    begin, end = times.stamp(report.begins_ns), times.stamp(report.ends_ns)
    verdict = f"{counts} in" if counts else report.nothing
    left_out = f" **{plain(report.reservation, len(report.reservation))}**" if report.unread else ""
    return f"{verdict} {counted(report.messages, 'message')}, {begin} to {end} (UTC).{left_out}"


def _section(finding: Finding, report: Report) -> Iterator[str]:
    rule = RULES[finding.rule]
    yield f"## {finding.severity.label}: {rule.title}\n\n"
    yield f"{_said(finding)}\n\n"
    yield f"- Blame: {finding.blame}\n"
    yield f"- First {times.stamp(finding.first_ns)}, last {times.stamp(finding.last_ns)} (UTC)\n"
    for name, value in finding.measured.items():
        yield f"- {plain(name)}: {plain(value)}\n"
    yield f"- What to do: {rule.advice}\n"
    if finding.quirk:
        yield f"- Known of this model: {plain(finding.quirk)}\n"
    if rule.spec:
        yield f"- Specification: {plain(rule.spec)}\n"
    if finding.evidence:
        yield "- Evidence:\n"
        for ref in finding.evidence:
            yield f"  - {_place(ref)}\n"
    consequences = report.consequences(finding)
    if consequences:
        yield "- Explains:\n"
        for one in consequences:
            yield f"  - {_said(one)}\n"
    yield "\n"


def _said(finding: Finding) -> str:
    times_ = f" ({finding.count:,} times)" if finding.count > 1 else ""
    return f"`{finding.rule}` {plain(finding.station)}: {plain(finding.text)}{times_}"


def _place(ref: Ref) -> str:
    packet = f", packet {ref.packet:,}" if ref.packet else ""
    connection = f", connection {ref.connection}" if ref.connection >= 0 else ""
    return f"{times.stamp(ref.time_ns)}{connection}{packet}: {plain(ref.what)}"
