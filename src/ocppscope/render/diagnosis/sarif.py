"""The report as SARIF 2.1.0 (OASIS), which code hosts and CI systems show beside a change."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.finding import Finding, Ref
    from ocppscope.analysis.report import Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif(report: Report) -> Iterator[str]:
    """The log, indented."""
    used = sorted({one.rule for one in report.findings})
    run = {
        "tool": {
            "driver": {
                "name": "ocppscope",
                "version": version("ocppscope"),
                "rules": [_rule(name) for name in used],
            }
        },
        "artifacts": [{"location": {"uri": _uri(name)}} for name in report.captures],
        "results": [_result(one, report, used) for one in report.findings],
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    *({"level": "warning", "message": {"text": one}} for one in (report.reservation,) if one),
                    *({"level": "note", "message": {"text": notice}} for notice in report.notices),
                ],
            }
        ],
    }
    whole = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    yield msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def _rule(name: str) -> dict[str, Any]:
    rule = RULES[name]
    return {
        "id": name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": " ".join(rule.signature.split()) or rule.title},
        "help": {"text": rule.advice},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"layer": rule.layer, "group": str(rule.group), "spec": rule.spec},
    }


def _result(one: Finding, report: Report, used: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one.rule,
        "ruleIndex": used.index(one.rule),
        "level": _LEVELS[one.severity],
        "message": {"text": one.text},
        "occurrenceCount": one.count,
        "locations": [_location(ref, one, report) for ref in one.evidence],
        "properties": {
            "station": one.station, "blame": str(one.blame), "measured": one.measured, "vantage": one.vantage,
            "number": one.number, "root": one.root, "firstNs": str(one.first_ns), "lastNs": str(one.last_ns),
        },
    }  # fmt: skip
    if one.root is not None:
        result["suppressions"] = [{"kind": "external", "justification": f"explained by finding {one.root}"}]
    return result


def _location(ref: Ref, one: Finding, report: Report) -> dict[str, Any]:
    name = f"connection {ref.connection}" + (f", message {ref.ordinal}" if ref.ordinal >= 0 else "")
    place: dict[str, Any] = {
        "logicalLocations": [{"name": name, "fullyQualifiedName": f"{one.station}/{name}", "kind": "object"}],
        "message": {"text": ref.what},
        "properties": {"timeNs": str(ref.time_ns), "packet": ref.packet},
    }
    if len(report.captures) == 1:
        place["physicalLocation"] = {"artifactLocation": {"uri": _uri(report.captures[0]), "index": 0}}
    return place


def _uri(name: str) -> str:
    """A capture as a relative or file URI."""
    path = PurePath(name)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
