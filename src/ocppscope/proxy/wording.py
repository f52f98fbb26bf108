"""How acts speak of messages and sides, and the forms in which texts are sent. Pure.

Nothing of a text from the wire is repeated but an action that looks like one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocppscope.acts import Act
from ocppscope.model import Kind, Side
from ocppscope.proxy.policy import MAX_COPIES, SECOND

if TYPE_CHECKING:
    from ocppscope.model import Message
    from ocppscope.proxy.waiting import Payload, Sending

MAX_COPIED_BYTES = 16 << 20
"""Bytes that the copies of one message may have together."""

_NAME = re.compile(r"[\w.-]{1,60}", re.ASCII)
_KINDS = {
    Kind.CALL: "the CALL",
    Kind.CALLRESULT: "the answer to",
    Kind.CALLERROR: "the error for",
    Kind.CALLRESULTERROR: "the error for the answer to",
    Kind.SEND: "the SEND",
}


def called(message: Message) -> str:
    """`the answer to BootNotification`."""
    kind = _KINDS.get(message.kind)
    return f"{kind} {shown(message.action)}" if kind else "a text that is no OCPP message"


def shown(action: str) -> str:
    """An action, if it looks like one."""
    return action if _NAME.fullmatch(action) else "(an unusual action)"


def name_of(side: Side) -> str:
    """`the station`, `the CSMS`."""
    return "the station" if side is Side.STATION else "the CSMS"


def seconds(time_ns: int) -> str:
    """`1.250 s`."""
    return f"{time_ns / SECOND:.3f} s"


def as_sent(text: str, like: Payload) -> Payload:
    """An edited text in the form of the message that it replaces."""
    octets = text.encode("utf-8", "replace")
    return octets.decode() if isinstance(like, str) else octets


def copies_of(sending: Sending, copies: int, size: int, why: str) -> list[Sending]:
    """A message as often as wanted, within bounds; all but the first are marked."""
    data, _ = sending
    copies = max(1, min(copies, MAX_COPIES, MAX_COPIED_BYTES // max(size, 1)))
    return [sending, *((data, Act("duplicated", f"copy {n} of {copies}, {why}")) for n in range(2, copies + 1))]


def header_size(size: int, side: Side) -> int:
    """Bytes of a frame's header (RFC 6455 §5.2)."""
    return 2 + (2 if size > 125 else 0) + (6 if size > 0xFFFF else 0) + (4 if side is Side.STATION else 0)
