"""What stands above the messages: findings, stations, connections; as the template and the script want them."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.registry import RULES
from ocppscope.analysis.report import standpoint
from ocppscope.render import eventlines, handshake, times
from ocppscope.render.palette import PLAIN
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocppscope.analysis.finding import Finding
    from ocppscope.analysis.registry import Rule
    from ocppscope.analysis.report import Report, StationSummary
    from ocppscope.model import Connection

MAX_FINDINGS = 500
"""Findings that are shown; of more, the first ones, which are the worst."""
MAX_STATIONS = 500
"""Stations that are shown."""
MAX_CONNECTIONS = 1000
"""Connections that are shown with their handshake."""
MAX_NAME = 80


class Shown(NamedTuple):
    """A finding, its rule, and what it explains."""

    finding: Finding
    rule: Rule | None
    severity: str
    consequences: tuple[Shown, ...]


class Link(NamedTuple):
    """A connection in words."""

    number: int
    station: str
    version: str
    verdict: str  # of its upgrade
    tone: str
    opened_ns: int
    lasted: str
    ended: str
    messages: tuple[int, int]
    flow: str
    negotiation: str  # header by header


class StationShown(NamedTuple):
    """A station with its connections."""

    identity: str
    summary: StationSummary | None
    standpoint: str
    links: tuple[Link, ...]


class Tally(NamedTuple):
    """What was met while the rows were written."""

    base_ns: int
    last_ns: int
    rows: int  # all messages
    embedded: int  # of these, the ones that the page holds
    numbers: frozenset[int]  # connections of what it holds


def context(
    title: str, captures: Iterable[str], report: Report | None, known: Mapping[int, Connection], tally: Tally,
    *, redacted: bool,
) -> dict[str, Any]:  # fmt: skip
    """The values of the template."""
    findings = report.findings[:MAX_FINDINGS] if report is not None else ()
    stations = _stations(report, known)
    return {
        "title": title,
        "captures": tuple(captures),
        "redacted": redacted,
        "version": version("ocppscope"),
        "report": report,
        "notices": _notices(report) if report is not None else (),
        "counts": _counts(report),
        "findings": _forest(findings),
        "more_findings": len(report.findings) - len(findings) if report is not None else 0,
        "stations": stations[:MAX_STATIONS],
        "more_stations": max(len(stations) - MAX_STATIONS, 0),
        "connections": len(known),
        "more_connections": max(len(known) - MAX_CONNECTIONS, 0),
        "versions": ", ".join(sorted({f"OCPP {one.version.value}" for one in known.values() if any(one.messages)})),
        "tally": tally,
        "lasted": times.span(tally.last_ns - tally.base_ns),
    }


def _notices(report: Report) -> tuple[str, ...]:
    """What was not looked at, and what else is to be known of the captures."""
    return (report.reservation, *report.notices) if report.unread else report.notices


def script_data(known: Mapping[int, Connection], tally: Tally) -> dict[str, Any]:
    """What the script needs besides the rows. No number in it is long enough to look like one of a card."""
    seconds, rest = divmod(tally.base_ns, times.SECOND)
    shown = set(list(known)[:MAX_CONNECTIONS]) | tally.numbers
    return {
        "base": [seconds, rest],
        "rows": tally.rows,
        "connections": {
            number: [
                visible(one.station, MAX_NAME), one.opened_ns - tally.base_ns,
                None if one.closed_ns is None else one.closed_ns - tally.base_ns,
                int(_is_refused(one)), visible(str(one.flow), 100), one.version.value,
            ]
            for number, one in known.items() if number in shown
        },
    }  # fmt: skip


def _counts(report: Report | None) -> list[tuple[str, int]]:
    if report is None:
        return []
    return [(one.label, count) for one, count in sorted(report.counts().items(), reverse=True) if count]


def _forest(findings: Iterable[Finding]) -> tuple[Shown, ...]:
    """Roots with what they explain below them, and so on; the worst first, notes last."""
    below: dict[int | None, list[Finding]] = {}
    listed = list(findings)
    numbers = {one.number for one in listed}
    for one in listed:
        below.setdefault(one.root if one.root in numbers and one.root != one.number else None, []).append(one)
    seen: set[int] = set()

    def shown(one: Finding, depth: int) -> Shown:
        seen.add(one.number)
        rest = [other for other in below.get(one.number, ()) if other.number not in seen] if depth else []
        return Shown(one, RULES.get(one.rule), one.severity.label, tuple(shown(other, depth - 1) for other in rest))

    roots = sorted(below.get(None, ()), key=lambda one: one.severity is Severity.NOTE)
    return tuple(shown(one, 8) for one in roots)


def _stations(report: Report | None, known: Mapping[int, Connection]) -> list[StationShown]:
    links: dict[str, list[Link]] = {}
    for place, one in enumerate(known.values()):
        held = links.setdefault(one.station, [])
        if place < MAX_CONNECTIONS:
            held.append(_link(one))
    said = {one.identity: one for one in report.stations} if report is not None else {}
    return [_station(name, said.get(name), links.get(name, [])) for name in dict.fromkeys((*links, *said))]


def _station(name: str, summary: StationSummary | None, links: list[Link]) -> StationShown:
    return StationShown(name, summary, standpoint(summary.vantage) if summary is not None else "", tuple(links))


def _link(one: Connection) -> Link:
    upgrade = one.handshake
    refused = _is_refused(one)
    verdict = "no upgrade in the capture" if upgrade is None else eventlines.upgrade_words(upgrade)
    tone = "bad" if refused else "odd" if upgrade is None or upgrade.problems else "good"
    end_ns = one.closed_ns
    return Link(
        one.number, one.station, "" if refused else eventlines.version(one), verdict, tone, one.opened_ns,
        "" if end_ns is None else times.span(end_ns - one.opened_ns),
        "" if refused or end_ns is None else eventlines.end_words(one), one.messages, str(one.flow),
        "".join(handshake.lines(one, PLAIN)).rstrip(),
    )  # fmt: skip


def _is_refused(one: Connection) -> bool:
    return one.handshake is not None and not one.handshake.upgraded
