"""The report as one HTML file that works offline: no script, no request to anywhere, everything from the wire
escaped.

Jinja2's autoescape does the escaping; a content security policy in the page forbids whatever might slip through.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.registry import RULES
from ocppscope.analysis.report import standpoint
from ocppscope.render import times
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.report import Report

MAX_TEXT = 400


def html(report: Report) -> Iterator[str]:
    """The page."""
    source = files("ocppscope.render.diagnosis").joinpath("page.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = lambda text, limit=MAX_TEXT: visible(str(text), limit)
    environment.filters["stamp"] = times.stamp
    roots = [one for one in report.findings if one.root is None]
    yield from environment.from_string(source).generate(
        report=report,
        rules=RULES,
        counts=[(severity.label, count) for severity, count in sorted(report.counts().items(), reverse=True)],
        findings=[one for one in roots if one.severity > Severity.NOTE],
        notes=[one for one in roots if one.severity is Severity.NOTE],
        standpoint=standpoint,
    )
