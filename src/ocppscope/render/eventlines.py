"""The lines between the messages: connections that open, are refused and close, lost bytes, frames, no answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.acts import act_of
from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    ExchangeEnd,
    Handshake,
    Outcome,
    PacketComment,
    Problem,
    Side,
    StreamGap,
    TlsConnection,
    Version,
)
from ocppscope.render import times, tls
from ocppscope.render.wiretext import clip, columns, visible, visible_bytes

if TYPE_CHECKING:
    from ocppscope.render.palette import Palette
    from ocppscope.render.textlog import TextFormat

SENDERS = ("station", "CSMS")
CLOSE_CODES = {
    1000: "normal",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no code",
    1006: "abnormal",
    1007: "invalid payload",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS handshake failed",
}
"""Names of close codes in the IANA registry (RFC 6455 §7.4.1)."""

END_OF_CAPTURE = "end of capture"
MAX_COMMENT = 400
"""Characters of a comment that are shown."""
MAX_WAITING = 512
"""CALLs without an answer that are remembered until their connection's end is told."""


def body(log: TextFormat, event: object) -> str | None:
    """The body of an event's line; None if it is not to be shown."""
    match event:
        case ConnectionOpened():
            return _opened(log, event.connection)
        case ConnectionClosed():
            return _closed(log, event)
        case ControlFrame():
            return _frame(log, event)
        case StreamGap():
            return _gap(log, event)
        case ExchangeEnd():
            return _unanswered(log, event)
        case PacketComment():
            return _comment(log, event)
        case TlsConnection():
            return _encrypted(log, event)
    return None


def _encrypted(log: TextFormat, event: TlsConnection) -> str | None:
    """A TLS connection without keys; with them, its content has its lines."""
    if event.decrypted:
        return None
    colour = log.style.palette.odd if tls.has_failed(event) else ""
    words = f"{event.flow}, {tls.words_of(event)}"
    return _line(log, -1, None, "TLS", words, colour) + log.problem_lines(event.problems)


def _comment(log: TextFormat, event: PacketComment) -> str:
    kind, words = comment_words(event.text)
    side = event.side if event.connection >= 0 else None
    flow = f" ({event.flow})" if event.connection < 0 and event.flow is not None else ""
    return _line(log, event.connection, side, kind, f"{words}{flow}", log.style.palette.odd)


def comment_words(text: str) -> tuple[str, str]:
    """What stands on a packet: whether the proxy said it ("PROXY") or somebody else ("NOTE"), and the words."""
    act = act_of(text)
    if act is None:
        return "NOTE", visible(text, MAX_COMMENT)
    return "PROXY", visible(f"{act.what}: {act.text}" if act.text else act.what, MAX_COMMENT)


def problem_line(problem: Problem, palette: Palette, width: int = 0) -> str:
    """`! code  text (path)`, indented; the path only where the text does not name the element."""
    path = f" ({visible(problem.path)})" if problem.path.count("/") > 1 else ""
    text = f"! {problem.code}  {visible(problem.text, 400)}{path}"
    return f"    {palette.odd}{clip(text, width - 4) if width else text}{palette.off}"


def _line(log: TextFormat, number: int, side: Side | None, kind: str, words: str, colour: str = "") -> str:
    """One body: station, direction, kind, words."""
    palette = log.style.palette
    arrow = " " if side is None else log.arrow(side)
    start = f"{log.station(number)} {arrow} {log.kind(kind)}"
    return f"{colour or palette.bold}{start} {clip(words, log.room(columns(start) + 1))}{palette.off}"


def _opened(log: TextFormat, connection: Connection) -> str:
    handshake, palette = connection.handshake, log.style.palette
    if handshake is None:
        words = f"found in its middle, no upgrade seen, {version(connection)}{_leg(connection)}, {connection.flow}"
        return _line(log, connection.number, None, "OPEN", words) + _problems(log, connection)
    upgraded = handshake.upgraded
    words = f"{upgrade_words(handshake)}{_leg(connection)}, {visible(handshake.target)}, {connection.flow}"
    kind = "OPEN" if upgraded else "REFUSED" if handshake.status is not None else "NO REPLY"
    colour = palette.good if upgraded else palette.bad
    return _line(log, connection.number, Side.STATION, kind, words, colour) + _problems(log, connection)


def _problems(log: TextFormat, connection: Connection) -> str:
    log.told[connection.number] = len(connection.problems)
    return log.problem_lines(connection.problems)


def _leg(connection: Connection) -> str:
    return "" if connection.leg_of is None else f", repeats the session of #{connection.leg_of} on another leg"


def version(connection: Connection) -> str:
    """`OCPP 1.6`, with a tilde where it is a guess."""
    if connection.subject != "ocpp":
        return "no OCPP so far"
    if connection.version is Version.UNKNOWN:
        return "OCPP version unknown"
    return f"OCPP {'~' if connection.version_guessed else ''}{connection.version.value}"


def upgrade_words(handshake: Handshake) -> str:
    """The negotiation in a few words: `101 ocpp1.6, deflate, user CP-1, 3.4ms` or `401 Unauthorized "…", …`."""
    words = [_verdict(handshake)]
    if not handshake.upgraded or not handshake.protocol:
        words.append(f"offered {visible(' '.join(handshake.offered_protocols)) or 'no subprotocol'}")
    if handshake.deflate is not None:
        words.append("deflate")
    if handshake.user:
        words.append(f"user {visible(handshake.user)}")
    if handshake.answered_ns is not None:
        words.append(times.span(handshake.answered_ns - handshake.requested_ns))
    return ", ".join(words)


def _verdict(handshake: Handshake) -> str:
    if handshake.status is None:
        return "no answer in the capture"
    if handshake.upgraded:
        return f"101 {visible(handshake.protocol) if handshake.protocol else 'without a subprotocol'}"
    body = f' "{visible(handshake.body.strip(), 100)}"' if handshake.body.strip() else ""
    return f"{handshake.status} {visible(handshake.reason)}".rstrip() + body


def _closed(log: TextFormat, event: ConnectionClosed) -> str | None:
    connection, palette = event.connection, log.style.palette
    new = connection.problems[log.told.pop(connection.number, 0) :]
    if connection.handshake is not None and not connection.handshake.upgraded and not new:
        return None
    words = [end_words(connection), f"after {times.span(event.time_ns - connection.opened_ns)}"]
    words.append(count_words(connection.messages))
    waiting = log.unanswered.pop(connection.number, None)
    if waiting:
        words.append(f"without answer: {_few(waiting)}")
    if any(connection.lost_bytes):
        words.append(f"{sum(connection.lost_bytes):,} bytes not in the capture")
    if connection.leg_of is not None:
        words.append(f"repeats #{connection.leg_of}")
    normal = connection.close_code in (1000, 1001) or connection.close_how in ("", END_OF_CAPTURE)
    side = connection.closed_by
    kind = "END" if connection.close_how == END_OF_CAPTURE else "CLOSED"
    return _line(log, connection.number, side, kind, ", ".join(words), "" if normal else palette.odd) + (
        log.problem_lines(new)
    )


def _few(actions: list[str], most: int = 5) -> str:
    more = f" and {len(actions) - most} more" if len(actions) > most else ""
    return ", ".join(visible(action, 40) or "?" for action in actions[:most]) + more


def end_words(connection: Connection) -> str:
    """Who ended a connection and how: `by the station, Close 1000 (normal)`."""
    how = connection.close_how
    if how == "close frame":
        how = close_words(connection.close_code, connection.close_reason)
    if how == END_OF_CAPTURE:
        return "still open when the capture ends"
    if connection.closed_by is None:
        return how
    return f"by the {SENDERS[connection.closed_by]}, {how}"


def close_words(code: int | None, reason: str) -> str:
    """`Close 1001 (going away) "maintenance"`."""
    if code is None:
        return "Close without a code"
    name = CLOSE_CODES.get(code, "")
    return f"Close {code}" + (f" ({name})" if name else "") + (f' "{visible(reason)}"' if reason else "")


def count_words(messages: tuple[int, int]) -> str:
    """`messages: 12 from the station, 14 from the CSMS`."""
    if not any(messages):
        return "no messages"
    return f"messages: {messages[0]:,} from the station, {messages[1]:,} from the CSMS"


def _frame(log: TextFormat, frame: ControlFrame) -> str | None:
    if frame.opcode == 8:
        words = close_words(frame.close_code, frame.close_reason)
        return _line(log, frame.connection, frame.side, "CLOSE", words) + log.problem_lines(frame.problems)
    if not log.style.pings and not frame.problems:
        return None
    kind = {9: "PING", 10: "PONG"}.get(frame.opcode, f"FRAME {frame.opcode}")
    line = _line(log, frame.connection, frame.side, kind, visible_bytes(frame.payload), log.style.palette.dim)
    return line + log.problem_lines(frame.problems)


def _gap(log: TextFormat, gap: StreamGap) -> str:
    if gap.connection < 0:
        return _line(log, -1, None, "LOST", visible(gap.why), log.style.palette.bad)
    count = "an unknown number of" if gap.lost_bytes is None else f"{gap.lost_bytes:,}"
    unread = gap.why.startswith("captured")
    words = f"{count} bytes from the {SENDERS[gap.side]}: {visible(gap.why, 300)}"
    return _line(log, gap.connection, gap.side, "UNREAD" if unread else "LOST", words, log.style.palette.bad)


def _unanswered(log: TextFormat, end: ExchangeEnd) -> str:
    kind = "TIMEOUT" if end.outcome is Outcome.TIMEOUT else "UNANSWERED"
    waited = times.span(end.age_ns)
    what = "no answer within the timeout" if end.outcome is Outcome.TIMEOUT else "no answer before the end"
    words = f"{log.id_columns(end.id, end.action)}  {what}, {waited} after the CALL"
    waiting = log.unanswered.setdefault(end.connection, [])
    if len(waiting) < MAX_WAITING:
        waiting.append(end.action)
    return _line(log, end.connection, end.side, kind, words, log.style.palette.odd)
