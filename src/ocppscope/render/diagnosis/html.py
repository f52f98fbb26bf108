"""The report as one HTML file that works offline, without a script; see `render.html`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from ocppscope.analysis.finding import Severity
from ocppscope.analysis.registry import RULES
from ocppscope.analysis.report import standpoint
from ocppscope.render.html import MAX_TEXT, head, template
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.report import Report


def html(report: Report) -> Iterator[str]:
    """The page."""
    folder = files("ocppscope.render.diagnosis")
    title = f"Diagnosis of {visible(', '.join(report.captures), MAX_TEXT)}"
    yield head(title, folder.joinpath("page.css").read_text("utf-8"))
    roots = [one for one in report.findings if one.root is None]
    yield from template(folder.joinpath("page.html").read_text("utf-8")).generate(
        report=report,
        rules=RULES,
        counts=[(severity.label, count) for severity, count in sorted(report.counts().items(), reverse=True)],
        findings=[one for one in roots if one.severity > Severity.NOTE],
        notes=[one for one in roots if one.severity is Severity.NOTE],
        standpoint=standpoint,
    )
