"""Every action of the table, by its key: a script each, and the tables that are made of it."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable

import pytest
from support_scope import Driver, ScopeSession, drive, recorded

from ocppscope.tui import actions, outside
from ocppscope.tui.actions import ACTIONS, FINDINGS, MESSAGES, PROXY, TIMING, TRANSACTIONS, VIEWS
from ocppscope.tui.save_screen import SaveScreen
from ocppscope.tui.screens import ColumnsScreen, DiffScreen, HelpScreen, NoticesScreen
from ocppscope.tui.settings import Settings

Script = Callable[[Driver], Awaitable[None]]
SCRIPTS: dict[str, tuple[Script, str]] = {}
BY_THE_VIEW = {
    one.id for one in ACTIONS.values() if one.views and MESSAGES not in one.views and one.id != "save_ladder"
}  # what they do is tested with their views

BY_THE_PROXY = {one.id for one in ACTIONS.values() if one.group == PROXY}  # in test_proxying


def script(name: str, capture: str = "malformed") -> Callable[[Script], Script]:
    def add(function: Script) -> Script:
        SCRIPTS[name] = (function, capture)
        return function

    return add


def key(name: str) -> str:
    return ACTIONS[name].keys[0]


def test_every_action_has_a_script():
    assert SCRIPTS.keys() | BY_THE_VIEW | BY_THE_PROXY == set(ACTIONS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_action(name, tmp_path, monkeypatch):
    function, capture = SCRIPTS[name]
    monkeypatch.chdir(tmp_path)
    drive(function, ScopeSession(recorded(capture), tmp_path / "notes.json"))


@pytest.mark.parametrize("name", sorted(BY_THE_VIEW))
def test_key_reaches_the_view(name, monkeypatch):
    async def check(d: Driver) -> None:
        d.scope.show_tab(ACTIONS[name].views[0])
        await d.settle()
        pressed = []
        monkeypatch.setattr(d.scope.show, f"do_{name}", lambda count: pressed.append(count) or "")
        await d.press("3", key(name))
        assert pressed == [3]

    drive(check, ScopeSession(recorded("remote_start_stop")))


# --- move ----------------------------------------------------------------------------------------------------------


@script("down")
async def _down(d: Driver) -> None:
    await d.press("j", "down", "1", "0", "j")
    assert d.row == 12


@script("up")
async def _up(d: Driver) -> None:
    await d.press("9", "j", "k", "up", "3", "k")
    assert d.row == 4


@script("half_down")
async def _half_down(d: Driver) -> None:
    await d.press("ctrl+d")
    assert d.row == d.scope.messages.list.page // 2


@script("half_up")
async def _half_up(d: Driver) -> None:
    await d.press("G", "ctrl+u")
    assert d.row == 81 - d.scope.messages.list.page // 2


@script("page_down")
async def _page_down(d: Driver) -> None:
    await d.press("pagedown")
    assert d.row == d.scope.messages.list.page


@script("page_up")
async def _page_up(d: Driver) -> None:
    await d.press("G", "pageup", "ctrl+b")
    assert d.row == 81 - 2 * d.scope.messages.list.page


@script("first")
async def _first(d: Driver) -> None:
    await d.press("1", "7", "g")
    assert d.row == 17
    await d.press("home")
    assert d.row == 0


@script("last")
async def _last(d: Driver) -> None:
    await d.press("end")
    assert d.row == 81
    await d.press("5", "G")
    assert d.row == 5


@script("open")
async def _open(d: Driver) -> None:
    before = d.scope.detail.list.count
    await d.press("enter")
    assert d.scope.in_detail
    await d.press("j", "j", "enter")
    assert d.scope.detail.list.count < before
    await d.press("enter")
    assert d.scope.detail.list.count == before


@script("switch_focus")
async def _switch_focus(d: Driver) -> None:
    await d.press("tab")
    assert d.scope.in_detail
    await d.press("j")
    assert d.row == 0
    assert d.scope.detail.list.cursor == 1
    await d.press("shift+tab")
    assert d.scope.messages.list.has_focus
    for without_details in (FINDINGS, TIMING, TRANSACTIONS):
        d.scope.show_tab(without_details)
        for key in ("tab", "shift+tab"):
            await d.press(key)
            assert d.scope.target.has_focus


@script("back")
async def _back(d: Driver) -> None:
    await d.press("enter", "escape")
    assert not d.scope.in_detail
    await d.press("f8", "escape")
    assert d.scope.view == MESSAGES


# --- find ----------------------------------------------------------------------------------------------------------


@script("filter")
async def _filter(d: Driver) -> None:
    await d.press("/")
    await d.type("kind == CALLERROR")
    assert "✓" in d.lines[1]
    await d.press("enter")
    assert d.scope.shown is not None
    assert len(d.scope.shown) == 30
    assert "30 of 82 messages" in d.told


@script("clear_filter")
async def _clear_filter(d: Driver) -> None:
    await d.press("/")
    await d.type("Heartbeat")
    await d.press("enter")
    assert "of 82" in d.told
    await d.press("backspace")
    assert d.scope.shown is None
    assert d.scope.bar.input.value == ""


@script("search")
async def _search(d: Driver) -> None:
    await d.press("f")
    await d.type("NotImplemented")
    await d.press("enter")
    assert "NotImplemented" in d.scope.current_message().text.decode()


@script("next_match")
async def _next_match(d: Driver) -> None:
    await d.press("n")
    assert "key f" in d.told
    await _search(d)
    first = d.row
    await d.press("n")
    assert d.row > first
    assert "NotImplemented" in d.scope.current_message().text.decode()


@script("previous_match")
async def _previous_match(d: Driver) -> None:
    await _next_match(d)
    second = d.row
    await d.press("N")
    assert d.row < second
    await d.press("N")
    assert "nowhere further on" in d.told


def problems_of(d: Driver) -> int:
    chunk, at = d.scope.session.store.cell(d.row)
    return d.scope.messages.list.severities.row(chunk, at)


@script("next_error")
async def _next_error(d: Driver) -> None:
    await d.press("e")
    assert (d.row, problems_of(d)) == (6, 2)
    await d.press("2", "e")
    assert (d.row, problems_of(d)) == (8, 2)


@script("previous_error")
async def _previous_error(d: Driver) -> None:
    await d.press("8", "g", "E")
    assert d.row == 7
    await d.press("9", "E", "E")
    assert d.row == 6
    assert "No earlier error" in d.told


@script("next_warning")
async def _next_warning(d: Driver) -> None:
    await d.press("w")
    assert d.row
    assert problems_of(d) == 1


@script("previous_warning")
async def _previous_warning(d: Driver) -> None:
    await d.press("G", "W")
    assert d.row < 81
    assert problems_of(d) == 1


@script("next_of_exchange", "several_stations")
async def _next_of_exchange(d: Driver) -> None:
    await d.press("9", "g", "k", "o")
    first = d.row
    await d.press("o")
    assert d.row != first
    assert d.scope.session.store.partner(first) == d.row


@script("previous_of_exchange", "several_stations")
async def _previous_of_exchange(d: Driver) -> None:
    await d.press("O")
    assert d.row == d.scope.session.store.partner(0)


@script("next_slow", "slow_and_missing")
async def _next_slow(d: Driver) -> None:
    await d.press(")")
    message = d.scope.current_message()
    assert d.row
    assert message.latency_ns is None or message.latency_ns >= 2_000_000_000


@script("previous_slow", "slow_and_missing")
async def _previous_slow(d: Driver) -> None:
    await d.press("G", "(")
    at = d.row
    await d.press("g", ")", "9", ")")
    assert d.row == at


# --- look ----------------------------------------------------------------------------------------------------------


def tab_script(name: str, view: str) -> None:
    async def check(d: Driver) -> None:
        d.scope.show_tab("timing" if view == "messages" else "messages")
        await d.press(key(name))
        assert d.scope.view == view
        assert f"[{view.capitalize()}]" in d.lines[0]
        await d.press(key(name))
        assert d.scope.view == MESSAGES

    script(name)(check)


for _view in VIEWS:
    tab_script(f"show_{_view}", _view)


@script("next_tab")
async def _next_tab(d: Driver) -> None:
    seen = []
    for _ in VIEWS:
        await d.press("]")
        seen.append(d.scope.view)
    assert seen == [*VIEWS[1:], VIEWS[0]]


@script("previous_tab")
async def _previous_tab(d: Driver) -> None:
    await d.press("[")
    assert d.scope.view == VIEWS[-1]


@script("raw")
async def _raw(d: Driver) -> None:
    await d.press("f6")
    assert d.scope.detail.page == "Raw"
    assert '[2,"cd613e30' in d.text
    await d.press("f6")
    assert d.scope.detail.page == "JSON"


@script("next_page")
async def _next_page(d: Driver) -> None:
    expected = {"Raw": '[2,"', "Frames": "on the wire", "Exchange": "row 1", "Connection": "Sec-WebSocket-Accept",
                "Fields": "wire_size", "Packet": "Only packets of a capture file"}  # fmt: skip
    for page, words in expected.items():
        await d.press("v")
        assert d.scope.detail.page == page
        assert words in d.text
    await d.press("v")
    assert d.scope.detail.page == "JSON"
    assert "chargePointModel" in d.text
    assert "required" in d.text


@script("previous_page")
async def _previous_page(d: Driver) -> None:
    await d.press("V")
    assert d.scope.detail.page == "Packet"
    await d.press("V")
    assert d.scope.detail.page == "Fields"


@script("toggle_detail")
async def _toggle_detail(d: Driver) -> None:
    page = d.scope.messages.list.page
    await d.press("enter", "z")
    assert not d.scope.has_detail
    assert d.scope.messages.list.page > page
    assert d.scope.messages.list.has_focus
    await d.press("z")
    assert d.scope.messages.list.page == page


@script("move_detail")
async def _move_detail(d: Driver) -> None:
    width = d.scope.messages.list.size.width
    await d.press("Z")
    assert d.scope.messages.list.size.width < width
    await d.press("Z")
    assert d.scope.messages.list.size.width == width


@script("grow_detail")
async def _grow_detail(d: Driver) -> None:
    height = d.scope.detail.size.height
    await d.press("+")
    assert d.scope.detail.size.height > height


@script("shrink_detail")
async def _shrink_detail(d: Driver) -> None:
    height = d.scope.detail.size.height
    await d.press("-", "-", "-", "-")
    assert 0 < d.scope.detail.size.height < height


@script("time_format")
async def _time_format(d: Driver) -> None:
    shapes = [
        r"\d\d:\d\d:\d\d\.\d{3}",
        r"2026-\d\d-\d\d \d\d:\d\d:\d\d",
        r" 0\.000000 ",
        r" 0\.\d{6} ",
        r"17\d{8}\.\d{6}",
    ]
    for shape in shapes:
        assert re.search(shape, d.lines[3]), shape
        await d.press("T")
    assert re.search(shapes[0], d.lines[3])


@script("columns")
async def _columns(d: Driver) -> None:
    assert "Δ" in d.lines[2]
    await d.press("f10")
    assert isinstance(d.scope.screen, ColumnsScreen)
    await d.press("j", "space", "J", "k", "K", "enter")
    assert "delta" not in d.scope.messages.list.names
    assert "Δ" not in d.lines[2]
    await d.press("f10", "r", "escape")
    assert "delta" not in d.scope.messages.list.names
    await d.press("f10", "r", "enter")
    assert "Δ" in d.lines[2]


@script("follow")
async def _follow(d: Driver) -> None:
    await d.press("F")
    assert d.row == 81
    assert "following" in d.told
    d.scope.session.grow(recorded("ipv6"))
    await d.settle()
    assert d.row == len(d.scope.session.store) - 1 > 81


@script("pause")
async def _pause(d: Driver) -> None:
    d.scope.session.done = False
    await d.press("p")
    d.scope.session.grow(recorded("ipv6"))
    await d.settle()
    grown = len(d.scope.session.store)
    assert d.scope.messages.list.count == 82
    assert f"paused, {grown - 82} new" in d.told
    await d.press("p")
    assert d.scope.messages.list.count == grown
    assert "paused" not in d.told
    d.scope.session.done = True
    await d.press("p")
    assert "Nothing more is coming." in d.told


@script("theme")
async def _theme(d: Driver) -> None:
    for expected in ("light", "mono", "dark"):
        await d.press("ctrl+t")
        assert d.scope.theme == expected


# --- marks and notes -----------------------------------------------------------------------------------------------


@script("mark")
async def _mark(d: Driver) -> None:
    await d.press("j", "m", "a")
    assert d.scope.session.notes.of(d.scope.current_message()).mark == "a"
    assert d.lines[4].startswith("a")
    assert '"mark": "a"' in d.scope.session.notes.path.read_text()
    await d.press("m", "a")
    assert d.scope.session.notes.of(d.scope.current_message()).mark == ""


@script("jump")
async def _jump(d: Driver) -> None:
    await d.press("5", "j", "m", "x", "2", "0", "j", "m", "x", "g", "'", "x")
    assert d.row == 5
    await d.press("'", "x")
    assert d.row == 25
    await d.press("'", "x")
    assert d.row == 5
    await d.press("'", "q")
    assert "No message is marked q" in d.told


@script("note")
async def _note(d: Driver) -> None:
    await d.press(";")
    await d.type("wrong [b]firmware[/b]")
    await d.press("enter")
    assert d.scope.session.notes.of(d.scope.current_message()).note == "wrong [b]firmware[/b]"
    assert d.lines[3].startswith(";")
    assert "wrong [b]firmware[/b]" in d.text


@script("select")
async def _select(d: Driver) -> None:
    await d.press("space")
    assert d.lines[3].startswith("•")
    await d.press("k", "space")
    assert not d.scope.messages.list.selected


@script("diff")
async def _diff(d: Driver) -> None:
    await d.press("d")
    assert "Select a message" in d.told
    await d.press("space", "5", "j", "d")
    assert isinstance(d.scope.screen, DiffScreen)
    assert "+ row 6" in d.text
    await d.press("j", "k", "G", "g", "pagedown", "pageup", "escape")
    assert not isinstance(d.scope.screen, DiffScreen)


# --- copy and save -------------------------------------------------------------------------------------------------


@script("copy")
async def _copy(d: Driver) -> None:
    await d.press("y")
    assert "BootNotification" in d.scope.clipboard
    assert "\x1b" not in d.scope.clipboard
    await d.press("enter", "j", "j", "j", "y")
    assert "EX-22" in d.scope.clipboard


@script("copy_json")
async def _copy_json(d: Driver) -> None:
    await d.press("Y")
    assert d.scope.clipboard == d.scope.current_message().text.decode()


@script("copy_id")
async def _copy_id(d: Driver) -> None:
    await d.press("ctrl+y")
    assert d.scope.clipboard == d.scope.current_message().id


class _Suspended:
    """Stands for the terminal that another program gets."""

    def __init__(self, scope: object) -> None:
        del scope

    def __enter__(self) -> None:
        os.environ["SUSPENDED"] = "1"

    def __exit__(self, *_: object) -> None:
        os.environ.pop("SUSPENDED")


async def _outside(d: Driver, name: str, seam: str) -> None:
    await d.press(key(name))
    assert "cannot be shown here" in d.told  # there is no terminal
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outside, seam, lambda text: shown.append((os.environ["SUSPENDED"], text)))
        patch.setattr(d.scope, "suspend", lambda: _Suspended(d.scope))
        await d.press(key(name))
    assert shown[0][0] == "1"
    assert '"chargePointModel": "EX-22"' in shown[0][1]


@script("pager")
async def _pager(d: Driver) -> None:
    await _outside(d, "pager", "page")


@script("editor")
async def _editor(d: Driver) -> None:
    await _outside(d, "editor", "edit")


@script("save")
async def _save(d: Driver) -> None:
    await d.press("/")
    await d.type("kind == CALLERROR")
    await d.press("enter", "f2")
    assert isinstance(d.scope.screen, SaveScreen)
    await d.type("part.jsonl")
    await d.press("enter")
    assert "part.jsonl: 30 messages as jsonl" in d.told
    with open("part.jsonl") as file:
        assert sum('"type":"message"' in line for line in file) == 30


@script("save_ladder")
async def _save_ladder(d: Driver) -> None:
    await d.press("s")
    assert not isinstance(d.scope.screen, SaveScreen)
    await d.press("f4", "s")
    assert isinstance(d.scope.screen, SaveScreen)
    assert d.scope.screen.chosen_form.name == "mermaid"
    assert d.scope.screen.name_input.value == "messages.mmd"


# --- program -------------------------------------------------------------------------------------------------------


@script("command")
async def _command(d: Driver) -> None:
    for text, row in (("40", 40), ("next-error", 41)):
        await d.press(":")
        await d.type(text)
        await d.press("enter")
        assert d.row >= row
    await d.press(":")
    await d.type("next_eror")
    await d.press("enter")
    assert "Did you mean “next_error”?" in d.told


@script("palette")
async def _palette(d: Driver) -> None:
    await d.press("ctrl+p")
    await d.type("date and time format next")
    await d.press(*["backspace"] * 30)
    await d.type("next error")
    await d.until(lambda: "To the next message with an error" in d.text)
    await d.press("enter")
    await d.until(lambda: d.row == 6)


@script("notices")
async def _notices(d: Driver) -> None:
    await d.press("!")
    assert "nothing to say" in d.told
    d.scope.session.notices = ("one \x1b[31m", "two")
    await d.press("!")
    assert isinstance(d.scope.screen, NoticesScreen)
    assert "one \\x1b[31m" in d.text


@script("help")
async def _help(d: Driver) -> None:
    await d.press("?")
    assert isinstance(d.scope.screen, HelpScreen)
    assert "One row down." in d.text
    await d.press("G")
    assert "Leave." in d.text
    await d.press("?")
    assert not isinstance(d.scope.screen, HelpScreen)


@script("quit")
async def _quit(d: Driver) -> None:
    await d.pilot.press("q")
    await d.until(lambda: d.scope._exit)


# --- the table -----------------------------------------------------------------------------------------------------


def test_no_key_means_two_things_in_a_view():
    for view in VIEWS:
        here = [key for one in ACTIONS.values() if not one.views or view in one.views for key in one.keys]
        assert sorted(here) == sorted(set(here)), view


def test_ids_are_those_of_methods_and_sentences_are_sentences():
    for one in ACTIONS.values():
        assert one.id.isidentifier()
        assert one.sentence.endswith("."), one.id
        assert set(one.views) <= set(VIEWS)


def test_a_rebound_key_is_taken_from_the_others():
    keys = actions.keys_of({"quit": ("e",), "next_error": ("x", "X")})
    assert keys["quit"] == ("e",)
    assert keys["next_error"] == ("x", "X")
    assert actions.keys_of({"quit": ("e",)})["next_error"] == ()


def test_rebound_keys_work(tmp_path):
    async def check(d: Driver) -> None:
        await d.press("x")
        assert d.row == 6
        await d.press("?")
        assert " x  " in d.text

    drive(check, ScopeSession(recorded("malformed")), settings=Settings(keys={"next_error": ("x",)}), size=(120, 60))


def test_a_key_of_another_view_says_so():
    async def check(d: Driver) -> None:
        await d.press("f5", "e")
        assert "does nothing in this tab" in d.told
        await d.press(":")
        await d.type("next_error")
        await d.press("enter")
        assert "works in Messages" in d.told

    drive(check, ScopeSession(recorded("malformed")))


@pytest.mark.parametrize(
    ("key", "shown"),
    [("pagedown", "PgDn"), ("ctrl+d", "Ctrl+d"), ("f10", "F10"), ("+", "+"), ("G", "G"), ("shift+tab", "Shift+Tab")],
)
def test_shown_key(key, shown):
    assert actions.shown_key(key) == shown
