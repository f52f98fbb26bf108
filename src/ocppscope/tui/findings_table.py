"""What the tab Findings says: a tree of findings, what they explain, advice, figures and evidence, as lines.

Made of a report alone. Knows no widget and no store.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.analysis.finding import Finding, Severity
from ocppscope.analysis.registry import RULES
from ocppscope.analysis.report import standpoint
from ocppscope.plural import counted
from ocppscope.render import styled, times
from ocppscope.render.styled import EMPTY, Line, Span, Style
from ocppscope.render.wiretext import columns, visible
from ocppscope.tui.pages import wrapped
from ocppscope.tui.stations_table import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.analysis.finding import Ref
    from ocppscope.analysis.report import Report, StationSummary

SIGNS = {Severity.NOTE: "·", Severity.WARNING: "!", Severity.ERROR: "✗"}
STYLES = {Severity.NOTE: Style.DIM, Severity.WARNING: Style.WARNING, Severity.ERROR: Style.ERROR}
NARROW = 110
"""Columns below which a line has no room for everything."""
MAX_TEXT = 400
"""Characters of a sentence that are shown."""
MAX_FACT = 120
"""Characters of a measured figure."""
MAX_IDENTITY = 48
MAX_DEPTH = 8
"""Findings inside each other that are indented; further ones stand below each other."""
MAX_TREE = 20_000
"""Findings below a root that are looked through for one that is bad enough."""
LABEL = 10
"""Columns of the names of facts."""

Key = tuple[object, ...]
"""Names a line as long as its report, and those that follow it, last."""


class Item(NamedTuple):
    """A line of the tree. With a `ref` or a `filter` it leads somewhere; one with `opens` can be opened."""

    key: Key
    line: Line = EMPTY
    depth: int = 0
    finding: Finding | None = None  # of its own line; `line` is empty then
    ref: Ref | None = None
    filter: str = ""
    opens: bool = False
    explains: int = 0
    parent: Key = ()


class Choice(NamedTuple):
    """Which findings are shown: those at least so bad, and of one station."""

    least: Severity = Severity.NOTE
    station: str | None = None

    def words(self) -> str:
        """What is left out, "" if nothing is."""
        parts = [f"only {self.least.label}s{' and worse' if self.least is Severity.WARNING else ''}"]
        parts = parts if self.least > Severity.NOTE else []
        if self.station is not None:
            parts.append(f"only {visible(self.station, MAX_IDENTITY)}")
        return ", ".join(parts)


class Layout(NamedTuple):
    """Widths of the columns."""

    rule: int
    station: int
    width: int

    @classmethod
    def of(cls, report: Report, width: int) -> Layout:
        """The one for a report and a width."""
        is_wide = width >= NARROW
        rules = max((len(one.rule) + 2 * (one.root is not None) for one in report.findings), default=0)
        several = len({one.station for one in report.findings}) > 1
        names = max((columns(visible(one.station, MAX_IDENTITY)) for one in report.findings), default=0)
        return cls(min(rules, 34 if is_wide else 24), min(names, 24 if is_wide else 12) if several else 0, width)

    def heading(self) -> Line:
        """The titles."""
        station = f"{'station':<{self.station}}  " if self.station else ""
        return (Span(f"    {'finding':<{self.rule}}  {station}{'times':>6} {'blame':<8}what", Style.DIM),)

    def head(self, finding: Finding, depth: int, explains: int, *, is_open: bool) -> Line:
        """The line of a finding, and how many others it explains."""
        indent = "  " * min(depth, MAX_DEPTH)
        style = STYLES[finding.severity]
        rule = styled.fit((Span(finding.rule, Style.BOLD),), max(self.rule - len(indent), 8))
        spans = [
            Span(f"{indent}{'▾' if is_open else '▸'} ", Style.DIM), Span(f"{SIGNS[finding.severity]} ", style), *rule,
            Span("  "),
        ]  # fmt: skip
        if self.station:
            spans += [
                *styled.fit((styled.wire(finding.station, Style.STATION, MAX_IDENTITY),), self.station),
                Span("  "),
            ]
        shown = f"{count(finding.count)}x" if finding.count > 1 else ""
        spans += [Span(f"{shown:>6} ", Style.NUMBER), Span(f"{finding.blame.value:<8}", Style.DIM)]
        if explains and not is_open:
            spans.append(Span(f"[+{explains:,}] ", Style.DIM))
        return (*spans, styled.wire(finding.text, Style.PLAIN, MAX_TEXT))


def items(report: Report, opened: set[Key], choice: Choice, width: int) -> list[Item]:
    """All lines that are to be seen."""
    below: dict[int, list[Finding]] = {}
    for one in report.findings:
        if one.root is not None:
            below.setdefault(one.root, []).append(one)
    found: list[Item] = []
    for root in report.findings:
        if root.root is None and _is_chosen(root, below, choice):
            found += _finding(root, report, below, opened, width)
    if not found:
        found += nothing(report, choice, width)
    found.append(Item(("gap",)))
    if report.unread:
        found += _said(("unread",), 0, "not read", report.reservation, width, Style.WARNING)
    for at, notice in enumerate(report.notices):
        found += _said(("notice", at), 0, "notice", notice, width, Style.WARNING)
    for station in report.stations:
        if choice.station in (None, station.identity):
            found += _station(station, opened, width)
    return found


def _is_chosen(root: Finding, below: dict[int, list[Finding]], choice: Choice) -> bool:
    if choice.station is not None and root.station != choice.station:
        return False
    waiting, seen = [root], 0
    while waiting and seen < MAX_TREE:
        one = waiting.pop()
        seen += 1
        if one.severity >= choice.least:
            return True
        waiting += below.get(one.number, ())
    return False


def nothing(report: Report, choice: Choice, width: int) -> list[Item]:
    """What is said where there is no finding."""
    if choice.words() and report.findings:
        return _said(("nothing",), 0, "", f"No finding is left: {choice.words()}.", width, Style.DIM)
    if not report.messages:
        said = "There was nothing to diagnose: no OCPP message was seen."
    else:
        many = f"{report.messages:,} messages" if report.messages != 1 else "one message"
        said = f"Nothing was found in {many}. No rule has an objection; what no rule looks for can still be wrong."
        if report.unread or report.notices:
            said = f"Nothing was found in what could be read of {many}; see below what could not."
            return _said(("nothing",), 0, "", said, width, Style.WARNING)
    return _said(("nothing",), 0, "", said, width, Style.GOOD if report.messages else Style.DIM)


def _finding(
    finding: Finding, report: Report, below: dict[int, list[Finding]], opened: set[Key], width: int
) -> Iterator[Item]:
    waiting: list[tuple[Finding, int] | Item] = [(finding, 0)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Item):
            yield one
            continue
        finding, depth = one
        key = ("finding", finding.number)
        inner = below.get(finding.number, [])
        yield Item(key, depth=depth, finding=finding, opens=True, explains=len(inner))
        if key in opened:
            facts, places = _facts(finding, report, depth, width), _places(finding, report, depth, width)
            explained: list[tuple[Finding, int] | Item] = [(other, depth + 1) for other in inner]
            if inner:
                words = f"{len(inner):,} more findings" if len(inner) > 1 else "another finding"
                explained[:0] = _said((*key, "explains"), depth, "explains", words, width)
            waiting += reversed([*facts, *places, *explained])


def _facts(finding: Finding, report: Report, depth: int, width: int) -> list[Item]:
    key, rule = ("finding", finding.number), RULES.get(finding.rule)
    found = _said((*key, "what"), depth, "what", finding.text, width)
    if rule is not None:
        found += _said((*key, "try"), depth, "try", rule.advice, width, Style.GOOD)
    if finding.quirk:
        found += _said((*key, "model"), depth, "model", f"Known of this model: {finding.quirk}", width, Style.WARNING)
    for name, value in finding.measured.items():
        found += _said((*key, "measured", name), depth, "measured", f"{name}: {visible(value, MAX_FACT)}", width)
    found += _said((*key, "when"), depth, "when", _when(finding), width)
    if rule is not None and rule.spec:
        found += _said((*key, "spec"), depth, "spec", rule.spec, width, Style.DIM)
    if finding.vantage != "" and len({one.vantage for one in report.stations}) > 1:
        found += _said((*key, "vantage"), depth, "vantage", standpoint(finding.vantage), width, Style.DIM)
    return found


def _when(finding: Finding) -> str:
    first = f"{times.stamp(finding.first_ns)} UTC"
    numbers = ", ".join(f"#{number}" for number in finding.connections)
    several = "s" if len(finding.connections) > 1 else ""
    more = " and others" if finding.has_more_connections else ""
    where = f"; connection{several} {numbers}{more}" if numbers else ""
    if finding.count == 1:
        return first + where
    lasted = times.span(finding.last_ns - finding.first_ns).strip()
    return f"{first}, {finding.count:,} times within {lasted}{where}"


def _places(finding: Finding, report: Report, depth: int, width: int) -> list[Item]:
    key = ("finding", finding.number)
    found = [
        Item((*key, "place", at), _labelled(depth, "seen at" if not at else "", place(ref, report.begins_ns)), depth,
             ref=ref, parent=key)
        for at, ref in enumerate(finding.evidence)
    ]  # fmt: skip
    if any(ref.ordinal >= 0 for ref in finding.evidence):
        text = filter_of(finding)
        words = (Span("all its messages", Style.PLAIN), Span(f"  {text}", Style.DIM))
        found.append(Item((*key, "all"), _labelled(depth, "", words), depth, filter=text, parent=key))
    return [one._replace(line=styled.clip(one.line, width)) for one in found]


def place(ref: Ref, begins_ns: int) -> Line:
    """A place in the capture: `11:48:25.531 #0 → CALL Heartbeat  packet 12`."""
    when = times.stamp(ref.time_ns)
    when = when[11:] if times.date(ref.time_ns) == times.date(begins_ns) else when
    spans = [Span(f"{when} ", Style.TIME), Span(f"#{ref.connection} " if ref.connection >= 0 else "", Style.DIM)]
    spans.append(styled.wire(ref.what, Style.CALL, 80))
    if ref.packet:
        spans.append(Span(f"  packet {ref.packet:,}", Style.DIM))
    return tuple(spans)


def filter_of(finding: Finding) -> str:
    """The filter that leaves the messages in which it was found."""
    name = finding.station
    if not name.isprintable() or not 0 < len(name) <= MAX_IDENTITY:
        return f"finding == {finding.rule}"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'finding == {finding.rule} and station == "{quoted}"'


def _station(one: StationSummary, opened: set[Key], width: int) -> list[Item]:
    key: Key = ("station", one.identity)
    links = counted(one.connections, "connection")
    facts = [visible(one.model, 80), f"OCPP {one.version}", links, f"{sum(one.messages):,} messages"]
    head = (
        Span("▾ " if key in opened else "▸ ", Style.DIM),
        styled.wire(one.identity or "(no identity)", Style.STATION, MAX_IDENTITY),
        Span(f"  {' · '.join(fact for fact in facts if fact)}"),
    )
    found = [Item(key, styled.clip(head, width), opens=True)]
    if key in opened:
        found += _said((*key, "vantage"), 0, "vantage", standpoint(one.vantage), width, parent=key)
        for at, sentence in enumerate(one.endings):
            found += _said((*key, "end", at), 0, "ended" if not at else "", sentence, width, parent=key)
    return found


def _labelled(depth: int, name: str, line: Line) -> Line:
    indent = "    " + "  " * min(depth, MAX_DEPTH)
    return (Span(f"{indent}{name:<{LABEL}}", Style.DIM), *line)


def _said(
    key: Key, depth: int, name: str, text: str, width: int, style: Style = Style.PLAIN, parent: Key | None = None
) -> list[Item]:
    """A fact in as many lines as it needs."""
    room = max(width - 4 - 2 * min(depth, MAX_DEPTH) - LABEL, 20)
    above = key[:2] if parent is None and key[0] == "finding" else parent or ()
    return [
        Item((*key, at), _labelled(depth, "" if at else name, (Span(piece, style),)), depth, parent=above)
        for at, piece in enumerate(sentences(text, room))
    ]


def sentences(text: str, width: int) -> list[str]:
    """A text from anywhere, made visible and in lines of at most `width` columns."""
    text = visible(text, MAX_TEXT)
    pieces = wrap(text, width) if columns(text) == len(text) else list(wrapped(text, width))
    return pieces or [""]


def summary(report: Report | None, *, done: bool, percent: int | None, choice: Choice) -> Line:
    """How many findings of what severity; where it was captured; that it is not all yet."""
    unfinished = "" if done else "reading, not complete" if percent is None else f"{percent} % read, not complete"
    if report is None:
        return (Span(f" {'There is no diagnosis.' if done else 'The diagnosis begins.'} ", Style.DIM),
                Span(unfinished, Style.WARNING))  # fmt: skip
    parts: list[Line] = []
    for severity, number in sorted(report.counts().items(), reverse=True):
        if number:
            words = f"{number:,} {severity.label}{'s' if number > 1 else ''}"
            parts.append((Span(f"{SIGNS[severity]} ", STYLES[severity]), Span(words, STYLES[severity])))
    if not parts:
        is_clean = done and report.messages and not report.unread and not report.notices
        parts.append((Span("nothing found", Style.GOOD if is_clean else Style.DIM),))
    explained = sum(one.root is not None for one in report.findings)
    if explained:
        parts.append((Span(f"{explained:,} explained by them", Style.DIM),))
    if unfinished:
        parts.insert(0, (Span(unfinished, Style.WARNING),))
    if report.unread:
        parts.append((Span("not all was looked at, see below", Style.WARNING),))
    if choice.words():
        parts.append((Span(choice.words(), Style.MARK),))
    parts.append((Span(f"{report.messages:,} messages", Style.DIM),))
    parts.append((Span(vantage_words(report), Style.DIM),))
    if report.notices:
        parts.append((Span(f"notices below: {len(report.notices)}", Style.DIM),))
    return (Span(" "), *styled.join([one for one in parts if styled.width(one)], Span(" · ", Style.DIM)))


def vantage_words(report: Report) -> str:
    """Where it was captured, in a few words."""
    found = {one.vantage for one in report.stations}
    if len(found) > 1:
        return "captured at several places"
    words = {"station": "captured at the station", "middle": "captured on the way", "csms": "captured at the CSMS",
             "host": "captured near both sides"}  # fmt: skip
    return words.get(next(iter(found), ""), "captured nobody knows where") if found else ""
