"""Cells of a comparison's tables as short texts, and what a half of a ladder's line says. For all forms alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.model import Kind, Side
from ocppscope.render import styled, summary, times
from ocppscope.render.rungs import TAGS
from ocppscope.render.styled import Span, Style
from ocppscope.render.textlog import short_id
from ocppscope.render.wiretext import visible

if TYPE_CHECKING:
    from ocppscope.compare.report import Cell, Column, Half
    from ocppscope.model import Message
    from ocppscope.render.styled import Line

MAX_CELL = 160
"""Characters of a cell."""
MAX_ACTION = 40
MAX_SAID = 120
ARROWS = "→", "←"
NOTHING = "–"  # noqa: RUF001 - there is no figure
_SHORT = {Kind.CALLRESULT: "⇐", Kind.CALLERROR: "✗", Kind.CALLRESULTERROR: "✗", Kind.SEND: "SEND", Kind.UNPARSED: "?"}


def cell(value: Cell, column: Column) -> str:
    """A cell's text."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return visible(value, MAX_CELL)
    if column.unit == "ns":
        return times.span(int(value))
    if column.unit == "ratio":
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}{column.unit}"


def is_number(column: Column, rows: tuple[tuple[Cell, ...], ...], place: int) -> bool:
    """Whether a column stands to the right."""
    return bool(column.unit) or all(not isinstance(row[place], str) for row in rows)


def half(one: Half, room: int = 0) -> Line:
    """What a capture has on a line: a message, or an exchange with its answer, which is seen in any `room`."""
    message = one.message
    asked: Line = tuple(span for span in _said(message) if span.text)
    if one.answer is not None:
        answer: Line = (Span(" ⇒ ", Style.DIM), *_answer(one.answer))
        if room:
            answer = styled.clip(answer, room // 2)
            asked = styled.clip(asked, room - styled.width(answer))
        return (*asked, *answer)
    if message.outcome in TAGS:
        return (*asked, Span(f" [{TAGS[message.outcome]}]", Style.WARNING))
    return asked


def _said(message: Message) -> list[Span]:
    failed = message.kind in (Kind.CALLERROR, Kind.CALLRESULTERROR)
    side = Style.STATION if message.side is Side.STATION else Style.CSMS
    kind = _SHORT.get(message.kind, "")
    style = Style.ERROR if failed else Style.CALL if message.kind is Kind.CALL else Style.PLAIN
    words = visible(summary.said(message), MAX_SAID)
    return [
        Span(f"{ARROWS[message.side]} ", side),
        Span(f"{kind} " if kind else "", Style.ERROR if failed else Style.DIM),
        Span(visible(message.action, MAX_ACTION) or ("" if message.kind is Kind.UNPARSED else "(no action)"), style),
        Span(f" {words}" if words else "", Style.PLAIN),
    ]


def _answer(answer: Message) -> list[Span]:
    failed = answer.kind in (Kind.CALLERROR, Kind.CALLRESULTERROR)
    words = visible(summary.said(answer), MAX_SAID) or "{}"
    took = "" if answer.latency_ns is None else f" {times.span(answer.latency_ns)}"
    return [Span(words, Style.ERROR if failed else Style.RESULT), Span(took, Style.TIME)]


def place(one: Half) -> str:
    """`#0.12`: connection and ordinal of a message, its stable name; with its id."""
    message = one.message
    return f"#{message.connection}.{message.ordinal} {short_id(message.id)}".rstrip()
