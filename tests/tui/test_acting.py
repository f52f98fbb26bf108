"""What the proxy did to a message, among its details."""

from __future__ import annotations

from support_scope import ScopeSession
from support_steering import SECOND

from ocppscope.acts import Act, comment_of
from ocppscope.model import PacketComment, Side
from ocppscope.render import styled
from ocppscope.tui import pages
from ocppscope.tui.acting import MAX_ACTS, acts
from store.support_store import START, call, opened

HELD = comment_of(Act("held", "the CALL Heartbeat, by the intercept filter"))
EXPIRED = comment_of(Act("expired"))


def comment(ordinal: int, text: str, connection: int = 0, at: int = 0) -> PacketComment:
    return PacketComment(START + at * SECOND, 1, connection, Side.STATION, text, ordinal)


def said(events: list, row: int = 0) -> list[str]:
    session = ScopeSession(events)
    try:
        message = session.store.message(row)
        subject = pages.Subject(session, row, message, session.store.connections.get(message.connection))
        on_page = [styled.plain(one) for one in pages.json_page(subject, 80) if not isinstance(one, pages.Branch)]
        lines = [styled.plain(one) for one in acts(subject)]
        assert all(line in on_page for line in lines)
        return lines
    finally:
        session.stop()


def test_acts_on_a_message_and_on_what_left_the_proxy():
    messages = [call(0, id="a"), comment(0, HELD), call(1, id="b"), comment(1, HELD)]
    other = [call(0, id="b", connection=1), comment(0, HELD, 1), call(1, id="a", connection=1)]
    events = [opened(), opened(1, leg_of=0), *messages, *other, comment(1, EXPIRED, 1, at=25)]
    held = "proxy      held  the CALL Heartbeat, by the intercept filter  2026-09-21 14:13:20.000 UTC"
    expired = "proxy      expired  a message was held for as long as allowed and then sent on as it was"
    assert said(events) == [held, f"{expired}  2026-09-21 14:13:45.000 UTC"]
    assert said(events, 3) == said(events), "the same is said of the message on the other side"


def test_comments_of_others_are_no_acts():
    events = [opened(), call(0), comment(0, "looks odd"), comment(-1, HELD), comment(7, HELD), comment(0, HELD, 5)]
    assert said(events) == []


def test_a_station_that_is_another_one_is_another_one():
    events = [opened(), opened(1), call(0, id="a"), call(0, id="a", connection=1), comment(0, HELD, 1)]
    assert said(events) == []
    assert len(said(events, 1)) == 1


def test_hostile_comments_are_shown_as_text_and_are_bounded():
    hostile = comment_of(Act("edited", "\x1b[31m\u202e\n"))
    shown = said([opened(), call(0), *(comment(0, hostile) for _ in range(MAX_ACTS + 5))])
    assert len(shown) == MAX_ACTS
    assert all(line.isprintable() for line in shown)
