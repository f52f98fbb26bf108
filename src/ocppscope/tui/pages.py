"""What the detail pane says of a message, page by page, as styled lines and nodes of a tree. Draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.analysis.registry import RULES
from ocppscope.model import Kind, Outcome, Side
from ocppscope.plural import counted
from ocppscope.query.fields import FIELDS, Around
from ocppscope.query.fields import Subject as Asked
from ocppscope.query.values import Type
from ocppscope.render import handshake, styled, times, treelines
from ocppscope.render.palette import PLAIN
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.tree import Node, Tree
from ocppscope.render.wiretext import columns, visible
from ocppscope.tui import packet
from ocppscope.tui.acting import acts
from ocppscope.tui.columns import SPECIAL, words
from ocppscope.tui.seek import exchange
from ocppscope.tui.severity import SIGNS, of_problems, of_verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocppscope.analysis.finding import Finding
    from ocppscope.model import Connection, Message
    from ocppscope.store.verdicts import Verdict
    from ocppscope.tui.session import Session

MAX_OPENED = 400
"""Nodes of a message that are opened at once, when it is shown."""
MAX_RAW = 1 << 16
"""Characters of the raw text that are shown; of a longer one it is said how long it is."""
MAX_PACKETS = 64
"""Packets that are listed."""
MAX_PARTS = 8
"""Messages of an exchange that are shown on one page."""
MAX_SENTENCE = 400
"""Characters of a sentence about a problem."""


class Branch(NamedTuple):
    """A node of a tree as a line that can be opened; a `key` names it as long as the page is shown."""

    tree: Tree
    node: Node
    is_open: bool


Item = Line | Branch


class Subject(NamedTuple):
    """The message that a page is about."""

    session: Session
    row: int
    message: Message
    connection: Connection | None
    packets: packet.Packets = packet.NOTHING


def _label(name: str, *spans: Span) -> Line:
    return (Span(f"{name:<11}", Style.DIM), *spans)


def sender(message: Message) -> Line:
    """`station → CSMS`."""
    names = ("station", "CSMS")
    style = Style.STATION if message.side is Side.STATION else Style.CSMS
    return Span(names[message.side], style), Span(f" → {names[message.side.other]}", Style.DIM)


def head(subject: Subject) -> Line:
    """What a message is, in one line."""
    message, connection = subject.message, subject.connection
    station = styled.wire(connection.station, Style.STATION, 48) if connection else Span("?")
    return (
        Span(f"{message.kind.name} ", Style.ERROR if message.kind in _BAD else Style.CALL),
        styled.wire(message.action, Style.BOLD, 60),
        Span("  "),
        station,
        Span("  ", Style.DIM),
        *sender(message),
        Span("  id ", Style.DIM),
        styled.wire(message.id or "(none)", Style.ID, 60),
    )


_BAD = (Kind.CALLERROR, Kind.CALLRESULTERROR, Kind.UNPARSED)


def ending(message: Message) -> Line:
    """What became of the exchange; empty where there is nothing to say."""
    said = SPECIAL.get(message.outcome, message.outcome.value)
    took = "" if message.latency_ns is None else f" after {times.span(message.latency_ns)}"
    if not said:
        return ()
    style = Style.WARNING if message.outcome in SPECIAL or message.outcome is Outcome.ERROR else Style.PLAIN
    return _label("outcome", Span(f"{said}{took}", style))


def problems(subject: Subject) -> list[Line]:
    """A line a problem: its code, the sentence, the place."""
    return [
        (
            Span(f"{SIGNS[of_problems((one,))]} ", Style.ERROR if of_problems((one,)) > 1 else Style.WARNING),
            Span(f"{one.code}  ", Style.WARNING),
            styled.wire(one.text, Style.PLAIN, MAX_SENTENCE),
            *((Span("  at ", Style.DIM), styled.wire(one.path, Style.KEY)) if one.path else ()),
        )
        for one in subject.message.problems
    ]


def findings(subject: Subject) -> list[Line]:
    """A line for each thing that the diagnosis found in the message."""
    verdicts = subject.session.store.judged.at(subject.row)
    report = subject.session.report() if verdicts else None
    rules = {one.rule for one in verdicts}
    station = "" if subject.connection is None else subject.connection.station
    known = [] if report is None else [one for one in report.findings if one.rule in rules and one.station == station]
    return [_finding(one, [found for found in known if found.rule == one.rule], subject.message) for one in verdicts]


def _finding(verdict: Verdict, known: Sequence[Finding], message: Message) -> Line:
    """What the finding says whose evidence the message is, else what the first one of its rule says."""
    name = message.connection, message.ordinal
    mine = [one for one in known if any(ref[1:3] == name for ref in one.evidence)] or known
    severity = of_verdicts((verdict,))
    head = (
        Span(f"{SIGNS[severity] if severity else '·'} ", _SEVERITY_STYLES[severity]),
        Span(f"{verdict.rule}  ", Style.BOLD),
    )
    if not mine:
        return (*head, Span(RULES[verdict.rule].title if verdict.rule in RULES else "", Style.PLAIN))
    times_ = f" ({mine[0].count:,} times)" if mine[0].count > 1 else ""
    return (*head, styled.wire(mine[0].text, Style.PLAIN, MAX_SENTENCE), Span(times_, Style.DIM))


_SEVERITY_STYLES = (Style.DIM, Style.WARNING, Style.ERROR)


def tree_of(subject: Subject) -> Tree:
    """The message as a tree, with what the schema says."""
    message, connection = subject.message, subject.connection
    facts = None
    if connection is not None and message.action and message.kind in (Kind.CALL, Kind.SEND, Kind.CALLRESULT):
        response = message.kind is Kind.CALLRESULT
        facts = subject.session.describe(connection.version, message.action, response)
    return Tree(message.text, message.kind, message.problems, facts)


def opened(tree: Tree, node: Node, most: int) -> list[Item]:
    """A node and all below it, opened as far as `most` lines allow."""
    items: list[Item] = []
    waiting = [node]
    while waiting:
        one = waiting.pop()
        is_open = one.expandable and len(items) + len(waiting) < most and one.type.value != "more"
        items.append(Branch(tree, one, is_open))
        if is_open:
            waiting += reversed(tree.children(one))
    return items


# --- the pages -----------------------------------------------------------------------------------------------------


def json_page(subject: Subject, width: int) -> list[Item]:
    """The tree, below what is to be known first."""
    del width
    items: list[Item] = [head(subject)]
    items += [one for one in (ending(subject.message),) if one]
    items += problems(subject)
    items += findings(subject)
    items += acts(subject)
    note = subject.session.notes.of(subject.message) if subject.session.notes else None
    if note is not None and (note.mark or note.note):
        items.append(
            _label("note", styled.wire(note.mark, Style.MARK), Span("  "), styled.wire(note.note, limit=400))
        )
    tree = tree_of(subject)
    for node in _tops(tree, subject.message):
        items += opened(tree, node, MAX_OPENED)
    return items


_SAID_ABOVE = frozenset({"message type", "id", "action"})


def _tops(tree: Tree, message: Message) -> list[Node]:
    """The nodes to begin with: the payload alone where the rest is as it should be, since the head says it."""
    roots = tree.roots()
    if len(roots) != 1 or roots[0].problems or not roots[0].whole or message.kind is Kind.UNPARSED:
        return roots
    tops = [one for one in tree.children(roots[0]) if one.key not in _SAID_ABOVE or one.problems]
    return [one._replace(depth=0, column=0) for one in tops] or roots


def raw_page(subject: Subject, width: int) -> list[Item]:
    """The text as it was on the wire, wrapped."""
    message = subject.message
    text = message.text[: 4 * MAX_RAW].decode("utf-8", "backslashreplace")[:MAX_RAW]
    items: list[Item] = [head(subject)]
    items += [(Span(piece),) for piece in wrapped(visible(text, MAX_RAW), width)]
    left = len(message.text) - len(text.encode("utf-8", "surrogatepass"))
    if left > 0:
        items.append((Span(f"… ({len(message.text):,} bytes)", Style.DIM),))
    return items


def wrapped(text: str, width: int) -> Iterator[str]:
    """Pieces of a visible text, each at most `width` columns."""
    width = max(width, 2)
    if text.isascii():
        yield from (text[at : at + width] for at in range(0, len(text), width))
        return
    start, taken = 0, 0
    for at, char in enumerate(text):
        wide = columns(char)
        if taken + wide > width:
            yield text[start:at]
            start, taken = at, 0
        taken += wide
    yield text[start:]


def frames_page(subject: Subject, width: int) -> list[Item]:
    """When, from where, in which frames and packets."""
    message, connection = subject.message, subject.connection
    items: list[Item] = [
        head(subject),
        _label(
            "row", Span(f"{subject.row:,}"), Span(f"  (message {message.ordinal:,} of its connection)", Style.DIM)
        ),
        _label("time", Span(f"{times.stamp(message.time_ns)} UTC"), Span(f"  ({message.time_ns} ns)", Style.DIM)),
    ]
    if connection is not None:
        ends = (connection.flow.client, connection.flow.server)
        guessed = " (guessed)" if connection.version_guessed else ""
        items += [
            _label(
                "from", Span(str(ends[message.side])), Span(" → ", Style.DIM), Span(str(ends[message.side.other]))
            ),
            _label("connection", Span(f"#{connection.number}  OCPP {connection.version.value}{guessed}")),
        ]
    how = counted(message.frames, "frame")
    packed = ", compressed" * message.compressed + ", binary" * message.binary
    items += [
        _label("size", Span(f"{len(message.text):,} bytes")),
        _label("on the wire", Span(f"{message.wire_size:,} bytes in {how}{packed}")),
    ]
    items += _packets(message, width)
    return items


def _packets(message: Message, width: int) -> list[Item]:
    if not message.packets:
        return [_label("packets", Span("not known", Style.DIM))]
    shown = ", ".join(map(str, message.packets[:MAX_PACKETS]))
    more = f", … ({len(message.packets):,} packets)" if len(message.packets) > MAX_PACKETS else ""
    pieces = list(wrapped(shown + more, max(width - 11, 10)))
    return [_label("packets" if not at else "", Span(piece)) for at, piece in enumerate(pieces)]


def packet_page(subject: Subject, width: int) -> list[Item]:
    """What Wireshark says of the message's last packet."""
    items: list[Item] = [head(subject)]
    for text, style in subject.packets.said(subject.message):
        items += [(Span(piece, style),) for piece in wrapped(text, width)]
    return items


def exchange_page(subject: Subject, width: int) -> list[Item]:
    """All messages of the exchange, in order."""
    store = subject.session.store
    rows = exchange(store, subject.row)
    items: list[Item] = []
    for row in rows[:MAX_PARTS]:
        message = store.message(row)
        part = subject._replace(row=row, message=message)
        mark = Span("▸ " if row == subject.row else "  ", Style.MARK)
        items.append(
            (mark, Span(f"row {row:,}  {times.stamp(message.time_ns)}  ", Style.DIM), *head(part)),
        )
        items += [(Span("    "), *line) for line in _known(part) if line]
        told = styled.clip((Span(f"    {words(message)}", Style.PLAIN),), width)
        items.append(told)
    if len(rows) > MAX_PARTS:
        items.append((Span(f"… and {len(rows) - MAX_PARTS:,} more with this id", Style.DIM),))
    if len(rows) == 1:
        items.append((Span("No other message of this exchange is known.", Style.DIM),))
    return items


def _known(part: Subject) -> list[Line]:
    """What is known of a message of an exchange."""
    return [ending(part.message), *problems(part), *findings(part), *acts(part)]


def connection_page(subject: Subject, width: int) -> list[Item]:
    """How the connection was negotiated, header by header, and how it ended."""
    connection = subject.connection
    if connection is None:
        return [(Span("Nothing is known of the connection.", Style.DIM),)]
    items: list[Item] = []
    for line in "".join(handshake.lines(connection, PLAIN)).splitlines():
        if line.strip():
            style = _HANDSHAKE_STYLES.get(line.strip()[:1], Style.PLAIN)
            items += [(Span(piece, style),) for piece in wrapped(line, width)]
    items += _end_of(connection)
    return items


_HANDSHAKE_STYLES = {handshake.GOOD: Style.GOOD, handshake.BAD: Style.ERROR, "!": Style.WARNING}


def _end_of(connection: Connection) -> Iterator[Line]:
    if connection.closed_ns is not None:
        by = "" if connection.closed_by is None else f" by the {connection.closed_by.label}"
        code = "" if connection.close_code is None else f" {connection.close_code}"
        lasted = times.span(connection.closed_ns - connection.opened_ns)
        how = f"{connection.close_how}{by}{code}"
        yield _label("  closed", Span(f"{how} after {lasted} "), styled.wire(connection.close_reason))
    if any(connection.lost_bytes):
        station, csms = connection.lost_bytes
        lost = f"{station:,} bytes of the station, {csms:,} of the CSMS are not in the capture"
        yield _label("  lost", Span(lost, Style.WARNING))


def fields_page(subject: Subject, width: int) -> list[Item]:
    """Every field of the message, by the names that filters use."""
    del width
    notes = subject.session.notes
    around = Around(subject.row) if notes is None else Around(subject.row, note=notes.of(subject.message))
    asked = Asked(subject.message, subject.connection, around)
    found = ((field, field.of(asked)) for field in FIELDS.values() if field.name not in ("text", "delta"))
    return [
        (Span(f"{field.name:<18}", Style.KEY), styled.wire(_value(field.type, value), limit=200))
        for field, value in found
        if value is not None
    ]


def _value(kind: Type, value: object) -> str:
    if isinstance(value, int) and kind is Type.TIME:
        return f"{times.stamp(value)} UTC"
    if isinstance(value, int) and kind is Type.DURATION:
        return times.span(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value[:20]))
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


PAGES: Mapping[str, Callable[[Subject, int], list[Item]]] = MappingProxyType(
    {
        "JSON": json_page,
        "Raw": raw_page,
        "Frames": frames_page,
        "Exchange": exchange_page,
        "Connection": connection_page,
        "Fields": fields_page,
        packet.TITLE: packet_page,  # last, since it starts a program
    }
)
"""Pages by their titles, in order."""


def item_line(item: Item, width: int) -> Line:
    """An item as a line."""
    return treelines.line(item.node, width, is_open=item.is_open) if isinstance(item, Branch) else item


def facts(item: Item, width: int) -> list[Line]:
    """All that is known of the element under the cursor."""
    return treelines.notes(item.node, width) if isinstance(item, Branch) else []
