"""What the store had no room for is told in the status line, beside the rows that are gone."""

from __future__ import annotations

from support_scope import Driver, ScopeSession, drive, recorded

from ocppscope.render import styled
from ocppscope.store import store as stores
from ocppscope.store.between import Between
from ocppscope.tui.bars import Status, status_line
from ocppscope.tui.session import Progress


def test_the_sentence():
    status = Status(Progress(done=True), 5, 9, 4, None)
    assert styled.plain(status_line(status, 200)) == " 5 messages · 4 older rows are gone"
    unkept = ("3 connections", "1 event between messages")
    assert styled.plain(status_line(status._replace(unkept=unkept), 200)) == (
        " 5 messages · 4 older rows are gone · ! not kept: 3 connections, 1 event between messages"
    )


def test_it_is_on_the_screen_once_there_is_no_room(monkeypatch):
    session = ScopeSession(recorded("remote_start_stop"))
    session.store.between = Between(max_events=1, max_pings=1)
    monkeypatch.setattr(stores, "MAX_CONNECTIONS", 2)

    async def check(d: Driver) -> None:
        assert "not kept" not in d.told
        session.grow(recorded("several_stations"))
        await d.settle()
        assert session.store.forgotten > 0
        assert session.store.between.dropped > 0
        assert f"! not kept: {session.store.forgotten:,} connection" in d.told
        assert f"{session.store.between.dropped:,} events between messages" in d.told

    drive(check, session, size=(200, 24))
