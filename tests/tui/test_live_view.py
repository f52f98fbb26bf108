"""A session that is recorded while it is seen: nothing yet, following, standing still, and what goes wrong."""

from __future__ import annotations

import pytest
from support_scope import Driver, drive, recorded
from support_steering import FakeSteering, RecordedSession, link

from ocppscope.render import styled
from ocppscope.render.styled import Style
from ocppscope.tui.bars import NOT_RECORDING, Status, status_line
from ocppscope.tui.screens import NoticesScreen
from ocppscope.tui.session import Progress

LIVE = Progress(0, None, recording="eth0 · 3 packets · none dropped")


def said(progress: Progress, rows: int = 5, width: int = 200, **more: object) -> str:
    return styled.plain(status_line(Status(progress, rows, rows, 0, None, **more), width))


@pytest.mark.parametrize(
    ("progress", "rows", "more", "expected"),
    [
        (LIVE, 0, {}, " waiting for messages · eth0 · 3 packets · none dropped"),
        (LIVE, 5, {"following": True}, " 5 messages · following · eth0 · 3 packets · none dropped"),
        (LIVE, 5, {"following": True, "new": 0}, " 5 messages · paused, 0 new · eth0 · 3 packets · none dropped"),
        (LIVE, 5, {"is_brief": True}, " 5 messages"),
        (LIVE._replace(done=True), 5, {}, " 5 messages · ended: eth0 · 3 packets · none dropped"),
        (
            LIVE._replace(done=True),
            0,
            {"is_brief": True},
            " no messages came · ended: eth0 · 3 packets · none dropped",
        ),
        (LIVE._replace(notices=("A.", "B."), recording="x"), 5, {"unseen": 1}, " 5 messages · note (!): B. · x"),
        (
            LIVE._replace(notices=("A.", "B."), recording="x"),
            5,
            {"unseen": 2},
            " 5 messages · note (! shows 2): B. · x",
        ),
        (LIVE._replace(notices=("A.", "B."), recording="x"), 5, {}, " 5 messages · x"),
        (Progress(done=True, notices=("A.", "B.")), 5, {"unseen": 2}, " 5 messages · note: A. (! shows 2)"),
        (LIVE._replace(recording="\x1b]0;x\x07"), 5, {}, " 5 messages · \\x1b]0;x\\x07"),
    ],
)
def test_the_status_of_a_recording(progress, rows, more, expected):
    assert said(progress, rows, **more) == expected


def test_that_nothing_is_recorded_stands_first_and_in_red():
    line = status_line(Status(LIVE._replace(recording="x · NOT RECORDING"), 5, 5, 0, None, is_brief=True), 30)
    assert styled.plain(line).startswith(f" {NOT_RECORDING} · 5 messages")
    assert {span.text: span.style for span in line}[NOT_RECORDING] is Style.ERROR


def test_it_opens_with_nothing_and_follows():
    session = RecordedSession()

    async def check(d: Driver) -> None:
        assert "waiting for messages" in d.told
        assert "   Waiting for messages." in d.lines
        await d.press("j", "k", "G", "g", "enter", "escape", "f4", "f4", "p", "p", "v")
        session.grow(recorded("malformed"))
        await d.settle()
        assert d.row == 81
        assert "Waiting" not in d.text
        assert "82 messages · following" in d.told
        session.recording = "eth0 · 99 packets · 7 DROPPED"
        await d.until(lambda: "7 DROPPED" in d.told)  # it is told even if nothing comes

    drive(check, session, size=(80, 24))


@pytest.mark.parametrize("keys", ["k", "g", "ctrl+u", "E", "40G", "wheel"])
def test_who_goes_up_does_not_follow_any_more(keys):
    session = RecordedSession(events=recorded("malformed"))

    async def check(d: Driver) -> None:
        assert "following" in d.told
        if keys == "wheel":
            await d.pilot._post_mouse_events([_wheel()], widget=d.scope.messages.list)
        else:
            await d.press(*(keys if keys == "40G" else [keys]))
        row = d.row
        session.grow(recorded("ipv6"))
        await d.settle()
        assert d.row == row
        assert "following" not in d.told
        await d.press("F")
        assert d.row == len(session.store) - 1
        assert "following" in d.told

    drive(check, session)


def _wheel() -> type:
    from textual.events import MouseScrollUp

    return MouseScrollUp


def test_another_tab_ends_no_following():
    session = RecordedSession(events=recorded("malformed"))

    async def check(d: Driver) -> None:
        await d.press("f4")
        session.grow(recorded("ipv6"))
        await d.settle()
        await d.press("f12")
        assert d.row == len(session.store) - 1
        assert "following" in d.told

    drive(check, session)


def test_a_filter_is_followed():
    session = RecordedSession(events=recorded("malformed"))

    async def check(d: Driver) -> None:
        await d.press("/")
        await d.type("kind == CALL")
        await d.press("enter")
        session.grow(recorded("ipv6"))
        await d.settle()
        shown = d.scope.shown
        assert d.row == shown[-1] > 82
        assert "following" in d.told

    drive(check, session)


def test_a_screen_that_stands_still_goes_on_with_a_filter():
    session = RecordedSession(events=recorded("malformed"))

    async def check(d: Driver) -> None:
        await d.press("p")
        session.grow(recorded("ipv6"))
        await d.settle()
        assert d.scope.messages.list.count == 82
        await d.press("/")
        await d.type("kind == CALL")
        await d.press("enter")
        assert "paused" not in d.told
        assert d.scope.messages.list.count == len(d.scope.shown)

    drive(check, session)


def test_a_filter_runs_on_while_the_screen_stands_still():
    session = RecordedSession(events=recorded("malformed"))

    async def check(d: Driver) -> None:
        await d.press("/")
        await d.type("kind == CALL")
        await d.press("enter", "p")
        before = d.scope.messages.list.count
        session.grow(recorded("ipv6"))
        await d.settle()
        assert d.scope.messages.list.count == before
        await d.press("p")
        assert d.scope.messages.list.count == len(d.scope.shown) > before

    drive(check, session)


def test_what_was_noticed_is_told_until_it_was_looked_at():
    session = RecordedSession()

    async def check(d: Driver) -> None:
        session.notices = ("One thing.", "Another.")
        await d.until(lambda: "note (! shows 2): Another." in d.told)
        await d.press("!")
        assert isinstance(d.scope.screen, NoticesScreen)
        await d.press("escape")
        assert "note" not in d.told
        session.notices = ("Another.", "A third \x1b[31m.")
        await d.until(lambda: "note (!): A third \\x1b[31m." in d.told)  # also where the oldest is forgotten

    drive(check, session)


def test_the_line_of_the_proxy_says_it_once():
    session = RecordedSession(FakeSteering(link()))
    session.recording = "ws://127.0.0.1:9000 → ws://csms:80 · 1 station"

    async def check(d: Driver) -> None:
        assert "ws://127.0.0.1:9000" in d.lines[1]
        assert "waiting for messages" in d.told
        assert "ws://" not in d.told
        assert "   Waiting for stations at ws://127.0.0.1:9000, with the path that they used before." in d.lines
        assert "I hold  i held  C new CALL" in d.lines[-1]

    drive(check, session)
