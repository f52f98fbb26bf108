"""What stands on a rung of the ladder: one event as an arrow with its texts. Knows no widths and no lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.model import (
    ConnectAttempt,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Event,
    ExchangeEnd,
    Kind,
    Message,
    Outcome,
    PacketComment,
    Side,
    StreamGap,
    TlsConnection,
)
from ocppscope.plural import counted
from ocppscope.render import eventlines, summary, times
from ocppscope.render.lanes import BROKEN, DASHED, DOUBLE, NONE, SOLID, Arrow
from ocppscope.render.styled import Style
from ocppscope.render.textlog import short_id
from ocppscope.render.wiretext import visible, visible_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocppscope.model import Connection, Problem

MAX_ACTION = 36
"""Characters of an action that are shown."""
KINDS = {
    Kind.CALL: ("CALL", SOLID, Style.CALL),
    Kind.SEND: ("SEND", SOLID, Style.CALL),
    Kind.CALLRESULT: ("RESULT", DASHED, Style.RESULT),
    Kind.CALLERROR: ("ERROR", DASHED, Style.ERROR),
    Kind.CALLRESULTERROR: ("RESERR", DASHED, Style.ERROR),
    Kind.UNPARSED: ("?", SOLID, Style.WARNING),
}
TAGS = {
    Outcome.RESENT: "RESENT",
    Outcome.REUSED_ID: "REUSED ID",
    Outcome.LATE: "LATE",
    Outcome.ORPHAN: "ORPHAN",
    Outcome.DUPLICATE: "DUPLICATE",
}
"""Outcomes that a reader should be told of, in a word."""
_LANE_STYLES = (Style.STATION, Style.CSMS)
_HEAD_LEFT, _HEAD_RIGHT, _FAILED = "◄", "►", "✗"


def connection_of(event: Event) -> int:
    """The number of the connection that an event belongs to; -1 if none."""
    if isinstance(event, ConnectionOpened | ConnectionClosed):
        return event.connection.number
    if isinstance(event, ConnectAttempt | TlsConnection):
        return -1
    return event.connection


def arrow(event: Event, known: Mapping[int, Connection], end: ExchangeEnd | None = None) -> Arrow:
    """How an event is drawn. `known`: connections as they were opened; `end`: of a CALL that stays unanswered."""
    match event:
        case Message():
            return _message(event, end)
        case ControlFrame():
            return _frame(event)
        case StreamGap():
            return _gap(event)
        case ExchangeEnd():
            return _unanswered(event)
        case ConnectionOpened():
            return _opened(event.connection)
        case ConnectionClosed():
            return _closed(event, known.get(event.connection.number))
        case PacketComment():
            kind, words = eventlines.comment_words(event.text)
            drawn = Arrow(NONE, Style.WARNING, kind, Style.WARNING, words=words, words_style=Style.WARNING)
            return _headed(event.side, drawn)
        case ConnectAttempt() | TlsConnection():
            raise AssertionError("the ladder draws what belongs to a connection")


def _message(message: Message, end: ExchangeEnd | None) -> Arrow:
    kind, shaft, style = KINDS[message.kind]
    failed = message.kind in (Kind.CALLERROR, Kind.CALLRESULTERROR)
    unparsed = message.kind is Kind.UNPARSED
    tags = [TAGS.get(message.outcome, "")]
    if end is not None:
        tags.append(f"no answer in {times.span(end.age_ns)}")
    return _headed(
        message.side,
        Arrow(
            shaft,
            style if failed else _LANE_STYLES[message.side],
            kind,
            Style.DIM if style in (Style.CALL, Style.RESULT) else style,
            message.kind in (Kind.CALL, Kind.CALLRESULT),
            visible(message.action, MAX_ACTION) or ("" if unparsed else "(no such CALL)"),
            style,
            " ".join(filter(None, (*tags, _problems(message.problems)))),
            summary.said(message),
            Style.ERROR if failed else Style.PLAIN,
            short_id(message.id) if message.id else "",
            "" if message.latency_ns is None else times.span(message.latency_ns),
        ),
    )


def _headed(side: Side | None, drawn: Arrow, head: str = "") -> Arrow:
    """With a head at the receiver's end."""
    if side is None:
        return drawn
    if side is Side.STATION:
        return drawn._replace(right=head or _HEAD_RIGHT)
    return drawn._replace(left=head or _HEAD_LEFT)


def _problems(problems: tuple[Problem, ...]) -> str:
    """The first problem's code, and how many more there are."""
    if not problems:
        return ""
    return f"!{problems[0].code}" + (f" +{len(problems) - 1}" if len(problems) > 1 else "")


def _frame(frame: ControlFrame) -> Arrow:
    if frame.opcode == 8:
        words = eventlines.close_words(frame.close_code, frame.close_reason)
        normal = frame.close_code in (1000, 1001)
        style = _LANE_STYLES[frame.side] if normal else Style.WARNING
        drawn = Arrow(SOLID, style, "CLOSE", Style.DIM, name=words.removeprefix("Close "))
    else:
        kind = {9: "PING", 10: "PONG"}.get(frame.opcode, f"FRAME {frame.opcode}")
        shaft = SOLID if frame.opcode == 9 else DASHED
        drawn = Arrow(shaft, Style.DIM, kind, Style.DIM, words=visible_bytes(frame.payload), words_style=Style.DIM)
    return _headed(frame.side, drawn._replace(tag=_problems(frame.problems)))


def _gap(gap: StreamGap) -> Arrow:
    count = "an unknown number of" if gap.lost_bytes is None else f"{gap.lost_bytes:,}"
    sender = "" if gap.connection < 0 else f" from the {eventlines.SENDERS[gap.side]}"
    kind = "UNREAD" if gap.why.startswith("captured") else "LOST"
    why = visible(gap.why, 300)
    return Arrow(BROKEN, Style.WARNING, kind, Style.WARNING, name=f"{count} bytes{sender}:", name_style=Style.WARNING,
                 words=why, words_style=Style.WARNING)  # fmt: skip


def _unanswered(end: ExchangeEnd) -> Arrow:
    timeout = end.outcome is Outcome.TIMEOUT
    words = f"{'no answer within the timeout' if timeout else 'no answer'}, {times.span(end.age_ns)} after the CALL"
    kind = "TIMEOUT" if timeout else "UNANSW"
    drawn = Arrow(NONE, Style.WARNING, kind, Style.WARNING, name=visible(end.action, MAX_ACTION),
                  name_style=Style.CALL, words=words, words_style=Style.WARNING, id=short_id(end.id))  # fmt: skip
    return _headed(end.side, drawn, _FAILED)


def _opened(connection: Connection) -> Arrow:
    upgrade = connection.handshake
    leg = "" if connection.leg_of is None else f"repeats #{connection.leg_of} on another leg, "
    tag = _problems(connection.problems)
    if upgrade is None:
        name = f"in its middle, {eventlines.version(connection)}"
        return Arrow(DOUBLE, Style.DIM, "OPEN", Style.BOLD, name=name, tag=tag, words=f"{leg}{connection.flow}")
    words = f"{leg}{visible(upgrade.target)}, {connection.flow}"
    kind = "OPEN" if upgrade.upgraded else "REFUSED" if upgrade.status is not None else "NO REPLY"
    style = Style.GOOD if upgrade.upgraded else Style.ERROR
    drawn = Arrow(DOUBLE, style, kind, style, False, eventlines.upgrade_words(upgrade), Style.PLAIN, tag, words,
                  Style.DIM)  # fmt: skip
    return _headed(Side.STATION, drawn, "" if upgrade.upgraded else _FAILED)


def _closed(event: ConnectionClosed, opened: Connection | None) -> Arrow:
    connection = event.connection
    new = connection.problems[len(opened.problems) if opened else 0 :]
    lasted = times.span(event.time_ns - connection.opened_ns)
    there, back = connection.messages
    words = [f"after {lasted}, {there:,}→ {back:,}← messages"]
    if any(connection.lost_bytes):
        words.append(f"{sum(connection.lost_bytes):,} bytes not in the capture")
    ended = connection.close_how == eventlines.END_OF_CAPTURE
    normal = ended or connection.close_code in (1000, 1001)
    style = Style.DIM if normal else Style.WARNING
    how = eventlines.end_words(connection)
    if connection.closed_by is not None:  # the arrow says who
        how = how.removeprefix(f"by the {eventlines.SENDERS[connection.closed_by]}, ")
    drawn = Arrow(DOUBLE, style, "END" if ended else "CLOSED", Style.BOLD, False, how, Style.PLAIN, _problems(new),
                  ", ".join(words), Style.DIM)  # fmt: skip
    return _headed(connection.closed_by, drawn)


def quiet(heartbeats: int, pings: int, lasted_ns: int, slowest_ns: int, station: str) -> Arrow:
    """A run of heartbeats and pings, all of one station where that is named."""
    words = []
    if heartbeats:
        words.append(counted(heartbeats, "heartbeat"))
    if pings:
        words.append(counted(pings, "ping"))
    whose = f" of {station}" if station else ""
    name = f"{', '.join(words) or 'heartbeats and pings'}{whose} in {times.span(lasted_ns)}"
    slowest = f"slowest answer {times.span(slowest_ns)}" if slowest_ns and heartbeats > 1 else ""
    return Arrow(NONE, Style.DIM, "···", Style.DIM, name=name, name_style=Style.DIM, words=slowest,
                 words_style=Style.DIM)  # fmt: skip
