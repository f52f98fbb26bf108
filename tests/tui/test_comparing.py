"""The screen of `compare --view`, driven by keys."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from ocppscope.compare import compare
from ocppscope.compare.recording import Recording
from ocppscope.render import styled
from ocppscope.tui.comparing import Comparing, DifferencesScreen
from ocppscope.tui.screens import ListScreen
from ocppscope.tui.settings import Settings
from support_cli import Session, write
from support_engine import CAPTURES, run


def recorded(path):
    made = Recording(path.name)
    made.take(run(path).events)
    made.finish(0)
    return made


def driven(script, a: Path, b: Path, mode=""):
    """Runs the screen over two captures, and the script in it."""

    async def work(one, other):
        app = Comparing(compare(one, other, mode), one.store, other.store, Settings())
        async with app.run_test(size=(140, 36)) as pilot:
            await pilot.pause()
            await script(app, pilot)

    with closing(recorded(a)) as one, closing(recorded(b)) as other:
        asyncio.run(asyncio.wait_for(work(one, other), 60))


PAIR = CAPTURES / "compare" / "station.pcap", CAPTURES / "compare" / "csms.pcap"


def below(app):
    return styled.text(app.below.lines)


def test_it_begins_at_the_most_telling_difference():
    async def script(app, pilot):
        assert app.ladders.cursor == app.report.differences[0].at
        assert "never arrived at B" in below(app)
        assert "reset-lost" in below(app)  # the other one that belongs to this line
        line = styled.plain(app.ladders.line(app.ladders.cursor, 140))
        assert line.endswith("<")
        assert "Faulted" in line

    driven(script, *PAIR)


def test_next_and_previous_difference():
    async def script(app, pilot):
        places = []
        await pilot.press("g")
        for _ in range(3):
            await pilot.press("n")
            places.append(app.ladders.cursor)
        assert places[0] < places[1] == places[2]
        assert "No more differences below" in styled.plain(app._about.line)
        await pilot.press("N")
        assert app.ladders.cursor == places[0]

    driven(script, *PAIR)


def test_the_list_of_differences_goes_there():
    async def script(app, pilot):
        await pilot.press("g", "d")
        assert isinstance(app.screen, DifferencesScreen)
        assert app.screen.body.count == len(app.report.differences)
        await pilot.press("j", "enter")
        assert app.ladders.cursor == app.report.differences[1].at

    driven(script, *PAIR)


@pytest.mark.parametrize(
    ("key", "said"), [("question_mark", "the next, the previous difference"), ("c", "B's clock is")]
)
def test_help_and_clocks(key, said):
    async def script(app, pilot):
        await pilot.press(key)
        assert isinstance(app.screen, ListScreen)
        assert said in styled.text(app.screen.body.lines)
        await pilot.press("escape")
        assert not isinstance(app.screen, ListScreen)

    driven(script, *PAIR)


def test_a_line_that_is_the_same_shows_both_messages():
    async def script(app, pilot):
        await pilot.press("g")
        assert "BootNotification" in below(app)
        assert below(app).count("[2,") == 2
        await pilot.press("tab", "j")
        assert app.ladders.cursor == 0

    driven(script, *PAIR)


def test_sessions_show_exchanges():
    async def script(app, pilot):
        await pilot.press("g")
        assert "⇒" in styled.plain(app.ladders.line(0, 140))

    driven(script, CAPTURES / "clean16.pcap", CAPTURES / "remote_start_stop.pcap")


def test_hostile_text_stays_text(tmp_path):
    session = Session().upgrade()
    session.say(0, '[2,"1","\\u001b[2J\\u202e[red]x[/]",{"a":"\\u001b]0;x\\u0007"}]').say(1, b"\x1b[31m\xe2\x80\xae")
    path = write(tmp_path / "a.pcap", session)

    async def script(app, pilot):
        for index in range(app.ladders.count):
            text = styled.plain(app.ladders.line(index, 140))
            assert text.isprintable()
        assert below(app).replace("\n", "").isprintable()
        await pilot.press("j", "d")

    driven(script, path, CAPTURES / "clean16.pcap")


def test_leaves():
    async def script(app, pilot):
        await pilot.press("q")
        assert not app.is_running

    driven(script, *PAIR)
