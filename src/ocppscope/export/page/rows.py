"""The lines of the page as JSON arrays: messages, and what happened between them.

The places of an array are those of `data.js`. Texts that people read are fit to be shown; the text of a message is
as it was, since the script shows it with what is not printable as escapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocppscope.export.evidence import Row
from ocppscope.model import ConnectionOpened, ControlFrame, Kind, Outcome, Side, TlsConnection
from ocppscope.render import rungs, summary, tls
from ocppscope.render.formats import SPECIAL
from ocppscope.render.styled import Style
from ocppscope.render.wiretext import visible, visible_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocppscope.export.evidence import Between, Item
    from ocppscope.model import Connection, Message, Problem

CONNECTION = 3
"""The place of the connection in an array."""
BETWEEN = 10
"""Stands where a message has its kind."""
MAX_EMBEDDED = 1 << 16
"""Bytes of a message's text that the page holds; of a longer one the beginning, and it says so."""
MAX_ID = 200
"""Characters of an id or an action."""
MAX_PACKETS = 20
"""Packets of a message that are named."""
MAX_LISTED = 50
"""Problems of a message that are told, and findings."""
_TONES = {Style.ERROR: "bad", Style.WARNING: "odd", Style.GOOD: "good"}

Array = list[Any]


def array(item: Item, base_ns: int, known: Mapping[int, Connection]) -> Array:
    """One line. `base_ns` is where its time counts from; `known` are the connections met so far."""
    return _message(item, base_ns) if isinstance(item, Row) else _between(item, base_ns, known)


def time_of(item: Item) -> int:
    """When it was, in ns."""
    return item.message.time_ns if isinstance(item, Row) else item.time_ns


def _message(row: Row, base_ns: int) -> Array:
    message = row.message
    text = message.text
    line: Array = [
        int(message.kind), row.row, message.time_ns - base_ns, message.connection, int(message.side),
        message.ordinal, visible(message.id, MAX_ID), visible(message.action, MAX_ID), message.latency_ns,
        summary.said(message), text[:MAX_EMBEDDED].decode("utf-8", "backslashreplace"), len(text),
        list(message.packets[:MAX_PACKETS]), message.wire_size,
    ]  # fmt: skip
    extra = _extra(row)
    return [*line, extra] if extra else line


def _extra(row: Row) -> dict[str, Any]:
    """What most messages have not."""
    message = row.message
    extra = {
        "outcome": _outcome(message),
        "reply": message.reply_to,
        "problems": _problems(message.problems),
        "findings": [
            [visible(one.rule), one.severity, visible(text, 400)] for one, text in row.verdicts[:MAX_LISTED]
        ],
        "mark": visible(row.note.mark),
        "note": row.note.note,
        "packets": len(message.packets) if len(message.packets) > MAX_PACKETS else 0,
        "frames": message.frames if message.frames > 1 else 0,
        "compressed": message.compressed,
        "binary": message.binary,
        "cut": MAX_EMBEDDED if len(message.text) > MAX_EMBEDDED else 0,
    }
    return {name: value for name, value in extra.items() if value or (value == 0 and name == "reply")}


def _outcome(message: Message) -> str:
    """What became of it, where that is worth a word."""
    if message.outcome in (Outcome.NONE, Outcome.PENDING, Outcome.ANSWERED):
        return ""
    return SPECIAL.get(message.outcome, "" if message.kind is not Kind.CALL else message.outcome.value)


def _problems(problems: tuple[Problem, ...]) -> list[list[str]]:
    return [[visible(one.code), visible(one.text, 400), visible(one.path)] for one in problems[:MAX_LISTED]]


def _between(event: Between, base_ns: int, known: Mapping[int, Connection]) -> Array:
    kind, words, tone, side = _words(event, known)
    line: Array = [
        BETWEEN, -1, event.time_ns - base_ns, rungs.connection_of(event), side, -1, "", kind, None,
        words, _payload(event), 0, list(_packets(event)), 0,
    ]  # fmt: skip
    problems = _problems(_stated(event))
    extra = {name: value for name, value in (("tone", tone), ("problems", problems)) if value}
    return [*line, extra] if extra else line


def _words(event: Between, known: Mapping[int, Connection]) -> tuple[str, str, str, int]:
    """Its kind, what it says, its tone, and the side that did it (-1: none)."""
    if isinstance(event, TlsConnection):
        return "TLS", f"{event.flow}, {tls.words_of(event)}", "odd" if tls.has_failed(event) else "", -1
    drawn = rungs.arrow(event, known)
    side = -1 if not (drawn.left or drawn.right) else int(Side.STATION if drawn.right else Side.CSMS)
    words = " ".join(part for part in (drawn.name, drawn.words) if part)
    return drawn.kind.strip("· ") or drawn.kind, words, _TONES.get(drawn.style, ""), side


def _payload(event: Between) -> str:
    if isinstance(event, ControlFrame):
        return visible_bytes(event.payload)
    return ""


def _packets(event: Between) -> tuple[int, ...]:
    if isinstance(event, ControlFrame):
        return event.packets[:MAX_PACKETS]
    return (event.packet,) if hasattr(event, "packet") else ()


def _stated(event: Between) -> tuple[Problem, ...]:
    if isinstance(event, ConnectionOpened):
        return event.connection.problems
    if isinstance(event, ControlFrame | TlsConnection):
        return event.problems
    return ()
