"""The report as one JSON object. Its keys stay as they are; docs/diagnose.md names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ocppscope.analysis.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.finding import Finding
    from ocppscope.analysis.report import Report

FORMAT = 1
"""Goes up when a key changes its meaning or goes away."""


def json(report: Report) -> Iterator[str]:
    """The object, indented, in pieces."""
    whole = {
        "format": FORMAT,
        "captures": report.captures,
        "begins_ns": report.begins_ns,
        "ends_ns": report.ends_ns,
        "messages": report.messages,
        "counts": {severity.label: count for severity, count in report.counts().items()},
        "stations": [_station(one) for one in report.stations],
        "findings": [finding_row(one) for one in report.findings],
        "unread": [{"kind": one.kind, "count": one.count, "text": one.text} for one in report.unread],
        "notices": report.notices,
    }
    yield msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def _station(one: Any) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.structs.asdict(one)
    fields["messages"] = {"station": one.messages[0], "csms": one.messages[1]}
    return fields


def finding_row(one: Finding) -> dict[str, Any]:
    """A finding as an object; `root` is the number of the finding that explains it."""
    rule = RULES[one.rule]
    return {
        "number": one.number, "rule": one.rule, "layer": rule.layer, "group": str(rule.group),
        "severity": one.severity.label, "station": one.station, "connections": one.connections, "title": rule.title,
        "text": one.text, "blame": str(one.blame), "advice": rule.advice, "spec": rule.spec, "count": one.count,
        "first_ns": one.first_ns, "last_ns": one.last_ns, "measured": one.measured, "vantage": one.vantage,
        "quirk": one.quirk, "root": one.root,
        "evidence": [
            {
                "time_ns": ref.time_ns, "connection": ref.connection, "ordinal": ref.ordinal, "packet": ref.packet,
                "what": ref.what,
            }
            for ref in one.evidence
        ],
    }  # fmt: skip
