"""The application as a whole: hostile texts, growth while somebody scrolls, filters, sizes, what is left behind."""

from __future__ import annotations

import re
import threading

import pytest
from support_scope import Driver, ScopeSession, drive, recorded

from ocppscope.model import Kind, Side, Version
from ocppscope.tui.actions import VIEWS
from ocppscope.tui.app import Scope
from ocppscope.tui.safety import ControlFilter
from ocppscope.tui.settings import Settings

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
BEL, ESC = "\x07", "\x1b"
HOSTILE = (
    f"{ESC}]52;c;aGk={BEL}",
    f"{ESC}[31mred{ESC}[2J",
    "[/nope] [b]bold[/b] [@click=app.quit]x[/]",
    "\u202egnp.exe\u2066",
    "a\x00b\x9b31m\x85",
    "\ud800",
    "e" + "\u0301" * 500,
    "宽" * 200,
    "\t\r\n\x0b",
)


def messages(texts, **more):
    """Events of one connection that says some texts, hostile in every other respect as well."""
    from msgspec.structs import replace

    events = [one for one in recorded("ocpp16_plain") if type(one).__name__ in ("ConnectionOpened", "Message")]
    opened = next(one for one in events if type(one).__name__ == "ConnectionOpened")
    model = next(one for one in events if type(one).__name__ == "Message")
    yield replace(opened, connection=replace(opened.connection, **more))
    for ordinal, (kind, text) in enumerate(texts):
        identity = text[:200]
        body = f'[2,"{identity}","{identity}",{{"{identity}":"{text}"}}]'.encode("utf-8", "surrogatepass")
        yield replace(
            model, ordinal=ordinal, text=body, id=identity, action=identity, kind=kind,
            side=Side(ordinal % 2), time_ns=model.time_ns + ordinal * 1_000_000,
        )  # fmt: skip


def hostile_session(tmp_path=None) -> ScopeSession:
    texts = [(kind, text) for text in HOSTILE for kind in (Kind.CALL, Kind.UNPARSED, Kind.SEND)]
    station = "".join(HOSTILE[:6])
    events = messages(texts, station=station, close_reason=HOSTILE[0], version=Version.V16)
    session = ScopeSession(events, tmp_path / "notes.json" if tmp_path else None)
    session.title = f"x{ESC}]0;title{BEL}[/nope].pcap"
    session.notices = (HOSTILE[0], HOSTILE[2])
    session.trouble = HOSTILE[1]
    return session


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_nothing_from_the_wire_is_obeyed(size, tmp_path, monkeypatch):
    monkeypatch.setattr(Scope, "get_line_filters", lambda self: [])  # the second net is tested by itself

    async def check(d: Driver) -> None:
        for _ in range(len(d.scope.session.store)):
            for _ in range(6):
                assert not OBEYED.search(d.text.replace("\n", ""))
                await d.pilot.press("v")
            await d.pilot.press("j")
            await d.pilot.pause(0.05)
        for view in VIEWS:
            d.scope.show_tab(view)
            await d.settle()
            assert not OBEYED.search(d.text.replace("\n", "")), view
        d.scope.show_tab("messages")
        await d.press("g", "y", "!")
        assert not OBEYED.search(d.scope.clipboard + d.text.replace("\n", ""))
        await d.press("escape", "space", "j", "d")
        assert not OBEYED.search(d.text.replace("\n", ""))
        await d.press("escape", "Y")
        assert not OBEYED.search(d.scope.clipboard)
        await d.press("ctrl+y")
        assert not OBEYED.search(d.scope.clipboard)
        await d.press("m", "a", ";")
        await d.type("note")
        await d.press("enter", "/")
        await d.type("station == ")
        assert not OBEYED.search(d.text.replace("\n", ""))

    drive(check, hostile_session(tmp_path), size=size)


def test_the_second_net_holds():
    """What a widget draws by mistake is deleted on its way out."""

    async def check(d: Driver) -> None:
        net = d.scope.get_line_filters()[-1]
        assert isinstance(net, ControlFilter)
        from rich.segment import Segment
        from textual.color import Color

        hurt = [Segment(text) for text in HOSTILE] + [Segment("x", None, [(1,)])]
        out = "".join(one.text for one in net.apply(hurt, Color(0, 0, 0)))
        assert not OBEYED.search(out)
        assert "red" in out
        assert "宽" in out
        clean = [Segment("plain │ ✓ 宽")]
        assert net.apply(clean, Color(0, 0, 0)) is clean

    drive(check, ScopeSession())


@pytest.mark.parametrize("text", ["x" * 1_000_000, '":{"' + "k" * 1_000_000, "[" * 100_000, "\\ud800" * 50_000])
def test_large_and_broken_messages(text):
    async def check(d: Driver) -> None:
        assert "✗" not in d.told
        for _ in range(6):
            assert max(map(len, d.lines)) <= 100
            await d.press("v")
        await d.press("Y")
        assert len(d.scope.clipboard) < 300_000

    drive(check, ScopeSession(messages([(Kind.CALL, text)])), size=(100, 30))


def test_rows_can_be_scrolled_while_more_come():
    events = recorded("malformed") + recorded("several_stations") + recorded("remote_start_stop")

    async def check(d: Driver) -> None:
        session, seen = d.scope.session, []
        for at in range(0, len(events), 7):
            thread = threading.Thread(target=session.grow, args=(events[at : at + 7],))
            thread.start()
            await d.pilot.press("j")
            thread.join()
            await d.pilot.pause()
            seen.append(d.row)
            assert d.scope.messages.list.cursor < max(d.scope.messages.list.count, 1)
        await d.settle()
        rows = [row for row in seen if row is not None]
        assert rows == sorted(rows)
        assert d.scope.messages.list.count == len(session.store)
        assert f"{len(session.store):,} messages" in d.told
        assert "reading 50 %" in d.told
        session.done = True
        session.changed()
        await d.settle()
        assert "reading" not in d.told

    session = ScopeSession()
    session.done = False
    drive(check, session)


def test_a_filter_follows_growth_and_late_answers():
    """Rows that pass later only, since their answer came later, are shown then."""
    events = recorded("several_stations")

    async def check(d: Driver) -> None:
        session = d.scope.session
        for at in range(0, len(events), 20):
            session.grow(events[at : at + 20])
            await d.pilot.pause(0.01)
        await d.settle()
        await d.pilot.pause(0.2)
        expected = [row for row in range(len(session.store)) if session.store.message(row).latency_ns is not None]
        assert d.scope.shown.tolist() == expected

    session = ScopeSession()
    session.done = False
    drive(check, session, filter_text="latency")


def test_what_is_wrong_with_a_filter_is_said_where_it_is():
    async def check(d: Driver) -> None:
        await d.press("/")
        await d.type("acton == x")
        at = d.lines[1].index("acton")
        assert "✗" in d.lines[1]
        assert d.lines[2][at : at + 5] == "^^^^^"
        assert "no field “acton”" in d.lines[2]
        assert "Did you mean “action”?" in d.lines[3]
        await d.press("enter")
        assert d.scope.finding.applied is None
        await d.press("escape")
        assert d.scope.bar.input.value == ""
        assert d.scope.messages.list.has_focus
        assert "^^^^" not in d.text

    drive(check, ScopeSession(recorded("malformed")))


def test_completion_and_history():
    async def check(d: Driver) -> None:
        await d.press("/")
        await d.type("statio")
        assert "identity of the station" in d.text
        await d.press("tab")
        assert d.scope.bar.input.value == "station "
        await d.type("== ")
        assert "CP-FLEET-0" in d.text
        await d.press("tab")
        first = d.scope.bar.input.value
        await d.press("tab")
        assert d.scope.bar.input.value != first
        await d.press("shift+tab")
        assert d.scope.bar.input.value == first
        await d.press("enter", "/")
        await d.press("ctrl+u")
        await d.type("@calls")
        await d.press("enter")
        assert len(d.scope.shown) == 80
        await d.press("/", "up", "up")
        assert d.scope.bar.input.value == first
        await d.press("down", "down")
        assert d.scope.bar.input.value == "@calls"

    settings = Settings(filters={"calls": "kind == CALL"})
    drive(check, ScopeSession(recorded("several_stations")), settings=settings)


def test_escape_cancels_a_filter_that_runs(monkeypatch):
    from ocppscope.query.filter import CancelledError, Filter

    def forever(self, store, start=0, stop=None, pace=None):
        while not pace.cancelled():
            threading.Event().wait(0.005)
        raise CancelledError

    async def check(d: Driver) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Filter, "mask", forever)
            d.scope.finding.use_text("kind == CALL")
            await d.pilot.pause(0.05)
            assert "filtering" in d.scope.finding.state
            await d.pilot.press("escape")
            await d.pilot.pause(0.05)
        assert "cancelled" in d.scope.finding.state
        await d.press("backspace")
        assert d.scope.finding.state == ""
        assert d.scope.shown is None

    drive(check, ScopeSession(recorded("malformed")))


def test_rows_that_are_gone_are_said_to_be():
    async def check(d: Driver) -> None:
        assert d.scope.session.store.first > 0
        assert "older rows are gone" in d.told
        await d.press("g")
        assert d.row == d.scope.session.store.first
        d.scope.row = 0
        d.scope.detail.show(0)
        await d.settle()
        assert "not kept any more" in d.text
        await d.press("Y")
        assert "not kept any more" in d.told or "no message" in d.told

    drive(check, ScopeSession(recorded("several_stations"), retain=32, chunk_rows=16))


@pytest.mark.parametrize("part", range(4))
def test_an_empty_session_bears_every_key(part):
    from ocppscope.tui.actions import ACTIONS

    async def check(d: Driver) -> None:
        for one in list(ACTIONS.values())[part::4]:
            if one.id in ("quit", "palette", "pager", "editor"):
                continue
            d.scope.show_tab(one.views[0] if one.views else "messages")
            await d.press(one.keys[0], "escape", "escape")
        assert "0 messages" in d.told

    drive(check, ScopeSession())


def test_threads_and_session_end_with_the_application():
    session = ScopeSession(recorded("malformed"))

    async def check(d: Driver) -> None:
        await d.press("/")
        await d.type("Heartbeat")
        await d.press("enter")

    drive(check, session)
    assert session.stopped
    assert not [one for one in threading.enumerate() if one.name == "filter"]


@pytest.mark.parametrize("theme", ["dark", "light", "mono"])
def test_meaning_does_not_hang_on_colour(theme):
    """Errors and warnings have signs, senders arrows, whatever the look."""

    async def check(d: Driver) -> None:
        assert d.lines[9].startswith(" ✗ ")
        assert "→" in d.lines[3]
        assert "←" in d.lines[4]
        assert "[Messages]" in d.lines[0]

    drive(check, ScopeSession(recorded("malformed")), settings=Settings(theme=theme))
