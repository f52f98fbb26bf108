"""The page of a transaction as styled lines: what it was, its timeline, its messages. Pure; charts stand in
`transaction_charts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.render import styled, times
from ocppscope.render.styled import Line, Span, Style

if TYPE_CHECKING:
    from ocppscope.analysis.pages import Step, TransactionPage

MAX_NAME = 64
"""Characters of an id or a tag that are shown."""
MAX_WORDS = 120
LABEL = 11
"""Columns of the names of facts."""

_KINDS = {
    "start": "started", "stop": "stopped", "status": "status", "charging": "charging", "profile": "profile",
    "remote": "CSMS asks", "message": "",
}  # fmt: skip
_STYLES = {
    "start": Style.GOOD, "stop": Style.BOLD, "status": Style.STATION, "charging": Style.STATION,
    "profile": Style.CSMS, "remote": Style.CSMS,
}  # fmt: skip


def energy(wh: float | None) -> str:
    """`470 Wh`, `12.3 kWh`, "-" where it is not known."""
    if wh is None:
        return "-"
    if abs(wh) < 1000:
        return f"{wh:.0f} Wh"
    return f"{wh / 1000:.2f} kWh" if abs(wh) < 100_000 else _huge(wh / 1000, "kWh")


def power(watts: float | None) -> str:
    """`2.1 kW`, "-" where it is not known."""
    if watts is None:
        return "-"
    if abs(watts) < 1000:
        return f"{watts:.0f} W"
    return f"{watts / 1000:.1f} kW" if abs(watts) < 1_000_000 else _huge(watts / 1000, "kW")


def _huge(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if abs(value) < 100_000 else f"{value:.0e} {unit}"


def place(page: TransactionPage) -> str:
    """`connector 1`, of 2.x `EVSE 1, connector 2`; nothing where it is not known."""
    number, inner = page.place
    if number <= 0:
        return ""
    if not page.is_2x:
        return f"connector {number}"
    return f"EVSE {number}, connector {inner}" if inner > 0 else f"EVSE {number}"


def state(page: TransactionPage) -> tuple[str, Style]:
    """How it stands: open, stopped for what reason, or superseded."""
    if not page.is_open:
        return page.reason or "stopped", Style.PLAIN
    if page.superseded:
        return "never stopped: another began here", Style.WARNING
    return ("open", Style.GOOD) if page.verdict in ("", "Accepted") else (f"open, tag {page.verdict}", Style.WARNING)


def head(page: TransactionPage) -> list[Line]:
    """What it was, in a few lines."""
    words, style = state(page)
    charged = [energy(page.energy_wh), f"peak {power(page.peak_w)}"]
    if page.mean_w is not None:
        charged.append(f"mean {power(page.mean_w)}")
    lines: list[Line] = [
        (Span("Transaction ", Style.BOLD), styled.wire(page.id or "(no id)", Style.BOLD, MAX_NAME), Span("  "),
         styled.wire(page.station, Style.STATION, 48), Span(f"  {place(page)}", Style.DIM)),
        label("tag", styled.wire(page.tag or "(none)", Style.PLAIN, MAX_NAME),
              styled.wire(f"  {page.verdict}" if page.verdict else "", Style.DIM, MAX_NAME)),
        label("time", Span(_time(page))),
        label("charged", Span(", ".join(charged)), Span(f"  {page.samples:,} messages with meter values", Style.DIM)),
        label("state", styled.wire(words, style, MAX_WORDS)),
    ]  # fmt: skip
    if page.replayed:
        said = "from an offline queue, at least in part: times are of the replay"
        lines.append(label("replayed", Span(said, Style.WARNING)))
    return lines


def _time(page: TransactionPage) -> str:
    began = "before the capture" if page.started_ns is None else times.stamp(page.started_ns)
    if page.stopped_ns is None:
        return f"{began} to -, last heard of {times.stamp(page.last_ns)} UTC"
    lasted = "" if page.duration_ns is None else f", {times.span(page.duration_ns)}"
    return f"{began} to {times.stamp(page.stopped_ns)} UTC{lasted}"


def label(name: str, *spans: Span) -> Line:
    """A fact with its name."""
    return (Span(f" {name:<{LABEL}}", Style.DIM), *spans)


def title(text: str) -> Line:
    """The heading of a part."""
    return (Span(f" {text}", Style.BOLD),)


def step_line(step: Step, begins_ns: int) -> Line:
    """`   11:48:27.176    +0µs  started   tag X   → CALL StartTransaction`."""
    when = times.stamp(step.ref.time_ns)[11:]
    since = times.since(step.ref.time_ns - begins_ns)
    spans = [Span(f"   {when} {since:>7}  ", Style.TIME)]
    if step.kind != "message":
        spans.append(Span(f"{_KINDS.get(step.kind, ''):<{LABEL}}", Style.DIM))
        spans += [styled.wire(step.text, _STYLES.get(step.kind, Style.PLAIN), MAX_WORDS), Span("  ")]
        spans.append(styled.wire(step.ref.what, Style.DIM, 60))
    else:
        spans += [styled.wire(step.ref.what, Style.CALL, 60), Span("  "), styled.wire(step.text, limit=MAX_WORDS)]
    if step.replayed:
        spans.append(Span("  replayed", Style.WARNING))
    return tuple(spans)


def left_out(number: int) -> Line:
    """That some steps between are not shown."""
    return (Span(f"   … {number:,} more that are not kept …", Style.DIM),)
