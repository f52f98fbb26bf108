"""What the proxy did to a message, as it wrote into the recording: lines for the details. Draws nothing."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ocppscope.acts import ACTS, act_of
from ocppscope.model import PacketComment
from ocppscope.render import styled, times
from ocppscope.render.styled import Line, Span, Style
from ocppscope.store.places import GoneError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.tui.pages import Subject

ROWS_BEFORE, ROWS_BEHIND = 20_000, 20_000
"""Rows around a message among which it is looked for what was done to it: a held one goes on much later."""
MAX_COMMENTS = 5_000
"""Comments that are looked at."""
MAX_ACTS = 20
"""Acts that are shown of one message."""


def acts(subject: Subject) -> list[Line]:
    """A line an act, in order: on the message itself, and on it where it left the proxy."""
    return [_line(comment) for comment in islice(_comments(subject), MAX_ACTS)]


def _comments(subject: Subject) -> Iterator[PacketComment]:
    store, row = subject.session.store, subject.row
    near = (aside.event for aside in store.between.get(row - ROWS_BEFORE, row + ROWS_BEHIND))
    comments = (event for event in near if isinstance(event, PacketComment) and event.ordinal >= 0)
    numbers = _legs(subject)
    for comment in islice(comments, MAX_COMMENTS):
        if comment.connection in numbers and act_of(comment.text) is not None and _is_about(comment, subject):
            yield comment


def _legs(subject: Subject) -> set[int]:
    """The numbers of the message's connection and of that on the other side of the proxy."""
    number, connection = subject.message.connection, subject.connection
    found = {number}
    if connection is not None and connection.leg_of is not None:
        found.add(connection.leg_of)
    found |= {one.number for one in list(subject.session.store.connections.values()) if one.leg_of == number}
    return found


def _is_about(comment: PacketComment, subject: Subject) -> bool:
    """Whether a comment stands at the message, or at what became of it on the other side."""
    message, store = subject.message, subject.session.store
    if comment.connection == message.connection:
        return comment.ordinal == message.ordinal
    row = store.find(comment.connection, comment.ordinal)
    if row is None:
        return False
    try:
        other = store.message(row)
    except GoneError:
        return False
    return (other.id, other.side, other.kind) == (message.id, message.side, message.kind)


def _line(comment: PacketComment) -> Line:
    act = act_of(comment.text)
    assert act is not None
    return (
        Span(f"{'proxy':<11}", Style.DIM),
        Span(f"{act.what}  ", Style.WARNING),
        styled.wire(act.text or ACTS[act.what], Style.PLAIN, 400),
        Span(f"  {times.stamp(comment.time_ns)} UTC", Style.DIM),
    )
