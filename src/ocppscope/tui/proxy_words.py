"""What is said of the proxy and of what it holds, in words and lines. Pure but for the clock that it is given."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from ocppscope.model import Kind, Side
from ocppscope.plural import counted
from ocppscope.render import styled, times
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible
from ocppscope.tui.drafts import laid_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocppscope.control import Answered, Held, Inject, State

SECOND = 1_000_000_000
MAX_SHOWN_LINES, MAX_SHOWN_COLUMNS = 2000, 400
"""Lines of a message that are shown, and characters of each."""


@dataclass
class Sent:
    """An injected CALL, and what became of it."""

    order: Inject
    station: str
    answer: Answered | None = None


def seconds(span_ns: int) -> str:
    """`12 s`; never less than nothing."""
    return f"{max(span_ns, 0) // SECOND} s"


def named(held: Held) -> str:
    """`CP-1 → Authorize`, fit to be shown."""
    arrow = "→" if held.side is Side.STATION else "←"
    what = held.action or _KINDS.get(held.kind, "message")
    answer = "" if held.kind in (Kind.CALL, Kind.SEND, Kind.UNPARSED) else f" {_KINDS[held.kind]}"
    return f"{visible(held.station, 32)} {arrow} {visible(what, 40)}{answer}"


_KINDS: Mapping[int, str] = MappingProxyType(
    {
        int(Kind.UNPARSED): "text",
        int(Kind.CALL): "CALL",
        int(Kind.CALLRESULT): "RESULT",
        int(Kind.CALLERROR): "ERROR",
        int(Kind.CALLRESULTERROR): "RESULTERROR",
        int(Kind.SEND): "SEND",
    }
)


def kind_name(kind: int) -> str:
    """`CALL`, `RESULT`, …"""
    return _KINDS.get(kind, "?")


def size(count: int) -> str:
    """`12.3 MB`."""
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} B"


def answer_line(sent: Sent) -> Line:
    """What became of an injected CALL."""
    order, answer = sent.order, sent.answer
    head = (Span(f" {'→' if order.to is Side.CSMS else '←'} "), styled.wire(order.action, Style.CALL, 50), Span("  "))
    if answer is None:
        return (*head, Span(f"to {_whose(sent)} on its way", Style.DIM))
    took = f"  after {times.span(answer.latency_ns)}" if answer.latency_ns else ""
    if answer.trouble:
        return (*head, styled.wire(answer.trouble, Style.ERROR, 300), Span(took, Style.DIM))
    return (*head, styled.wire(answer.text, Style.GOOD, 1000), Span(took, Style.DIM))


def _whose(sent: Sent) -> str:
    station = visible(sent.station, 40)
    return station if sent.order.to is Side.STATION else f"the CSMS of {station}"


def proxy_line(state: State, held: Sequence[Held], now_ns: int, width: int, key: str = "") -> Line:
    """`ws://127.0.0.1:9000 → ws://csms:80 · 2 stations · active · 1 held: CP-1 → Authorize 12 s · x.pcapng 3 kB`.

    What matters most is kept where there is little room: what is held, and that nothing is recorded.
    """
    parts: list[Line] = []
    if state.recording_trouble:
        parts.append((Span("NOT RECORDING", Style.ERROR),))
    if held:
        first, hint = held[0], f" ({key})" if key else ""
        left = seconds(first.expires_ns - now_ns)
        parts.append((Span(f"{len(held):,} held{hint}", Style.MARK), Span(f": {named(first)} {left}", Style.WARNING)))
    mode = "active" if state.active else "passive"
    if state.intercept:
        parts.append((Span("holds ", Style.DIM), styled.wire(state.intercept, Style.WARNING, 80)))
        mode = "" if held else mode
    stations = counted(state.connections, "station")
    way = (styled.wire(state.listening, Style.STATION, 80), Span(" → ", Style.DIM))
    parts.append((*way, styled.wire(state.to or "where they want to go", Style.CSMS, 80)))
    parts.append((Span(f"{stations}{f' · {mode}' if mode else ''}"),))
    if not state.recording_trouble:
        name = visible(os.path.basename(state.recording), 60)
        parts.append((Span(f"{size(state.recorded_bytes)} in {name}", Style.DIM),))
    return styled.clip((Span(" "), *styled.join(parts, Span(" · ", Style.DIM))), width)


def text_lines(text: str) -> list[Line]:
    """A message over several lines, fit to be shown."""
    lines = laid_out(text).split("\n", MAX_SHOWN_LINES)[:MAX_SHOWN_LINES]
    return [(Span(visible(line, MAX_SHOWN_COLUMNS)),) for line in lines]
