"""The comparison as one HTML file that works offline, without a script; see `render.html`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from ocppscope.compare.report import Mark
from ocppscope.render import styled, times
from ocppscope.render.compare import cells
from ocppscope.render.compare.text import SIGNS
from ocppscope.render.html import head, template
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.compare.report import Comparison, Half

MAX_TEXT = 600
MAX_ROWS = 500
"""Rows of a table."""


def html(report: Comparison) -> Iterator[str]:
    """The page."""
    folder = files("ocppscope.render.compare")
    title = " and ".join(one.name for one in report.captures)
    yield head(visible(title, MAX_TEXT), folder.joinpath("page.css").read_text("utf-8"))
    body = template(
        folder.joinpath("page.html").read_text("utf-8"),
        shown=lambda text, limit=MAX_TEXT: visible(str(text), limit),
        cell=cells.cell,
        half=_half,
        rank=_rank,
        mark=_mark,
        sign=lambda mark: SIGNS[mark],
    )
    letters = tuple(zip("AB", report.captures, strict=True))
    yield from body.generate(report=report, captures=letters, max_rows=MAX_ROWS)


def _half(one: Half | None) -> str:
    if one is None:
        return ""
    return f"{times.stamp(one.message.time_ns)[11:]} {styled.plain(cells.half(one))}"


def _rank(weight: int) -> str:
    return "high" if weight >= 80 else "middle" if weight >= 50 else "low"


def _mark(mark: Mark) -> str:
    return "context" if mark in (Mark.SAME, Mark.CONTEXT) else "differs"
