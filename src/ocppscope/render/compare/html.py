"""The comparison as one HTML file that works offline: no script, no request to anywhere, everything from the wire
escaped.

Jinja2's autoescape does the escaping; a content security policy in the page allows the one style sheet in it, by its
hash, and nothing else.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from ocppscope.compare.report import Mark
from ocppscope.render import styled, times
from ocppscope.render.compare import cells
from ocppscope.render.compare.text import SIGNS
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
    style = folder.joinpath("page.css").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        shown=lambda text, limit=MAX_TEXT: visible(str(text), limit), stamp=times.stamp, cell=cells.cell, half=_half,
        rank=_rank, mark=_mark, sign=lambda mark: SIGNS[mark], count=_count,
    )  # fmt: skip
    letters = tuple(zip("AB", report.captures, strict=True))
    yield from environment.from_string(folder.joinpath("page.html").read_text("utf-8")).generate(
        report=report,
        captures=letters,
        names=" and ".join(one.name for one in report.captures),
        style=style,
        style_hash=f"sha256-{b64encode(sha256(style.encode()).digest()).decode()}",
        max_rows=MAX_ROWS,
    )


def _half(one: Half | None) -> str:
    if one is None:
        return ""
    return f"{times.stamp(one.message.time_ns)[11:]} {styled.plain(cells.half(one))}"


def _rank(weight: int) -> str:
    return "high" if weight >= 80 else "middle" if weight >= 50 else "low"


def _mark(mark: Mark) -> str:
    return "context" if mark in (Mark.SAME, Mark.CONTEXT) else "differs"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"
