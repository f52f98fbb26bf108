"""The ladder of a store, held against the ladder of events; and the tab that shows it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_views import MemorySession, recorded, rows_of, settled, show

from ocppscope.model import ConnectionClosed, ConnectionOpened, ControlFrame, Kind, Message, Outcome, Side
from ocppscope.render import ladder, mermaid, styled, times
from ocppscope.render.ladder import LadderOptions, What
from ocppscope.store.places import GoneError
from ocppscope.store.store import Store
from ocppscope.tui import ladder_rows
from ocppscope.tui.ladder import LadderView
from ocppscope.tui.ladder_rows import StoreLadder
from ocppscope.tui.messages import SLOW_NS
from ocppscope.tui.severity import ERROR, WARNING, Severities
from store.support_store import START, call, connection, exchanges, opened, result
from support_engine import CAPTURES, run

OWN = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
OPTIONS = [
    LadderOptions(),
    LadderOptions(collapse=False),
    LadderOptions(pings=False),
    LadderOptions(clock=times.parse_clock("ad")),
    LadderOptions(clock=times.parse_clock("d"), ascii_only=True),
]


def grown(store, options=None, rows=None):
    drawn = StoreLadder(store, options, rows)
    while drawn.grow():
        pass
    return drawn


def written(drawn, width=100):
    return styled.text(drawn.portion(0, len(drawn)).lines(width)).splitlines()


def stored(events, step=10**9, **options):
    """A store, and a ladder that grew with it."""
    store = Store(**options)
    drawn = StoreLadder(store)
    for at in range(0, len(events), step):
        store.take(events[at : at + step])
        while drawn.grow():
            pass
    return store, drawn


def same_as_events(events):
    with Store(chunk_rows=64) as store:
        store.take(events)
        for options in OPTIONS:
            expected = ladder.ladder(events, options)
            drawn = grown(store, options)
            for width in (80, 200):
                assert written(drawn, width) == styled.text(expected.lines(width)).splitlines()
            assert mermaid.mermaid(drawn.portion(0, len(drawn))) == mermaid.mermaid(expected)


@pytest.mark.parametrize("name", OWN)
def test_it_is_the_ladder_of_the_events(name):
    same_as_events(recorded(name))


def test_it_is_the_ladder_of_the_events_of_others(shared):
    paths = [path for kind in ("ocpp", "selfmade", "websocket") for path in sorted((shared / kind).glob("*.pcap"))]
    assert paths
    for path in paths:
        same_as_events(run(path).events)


FLEET = recorded("several_stations")
SLOW = recorded("slow_and_missing")


@settings(max_examples=30)
@given(st.sampled_from([FLEET, SLOW]), st.integers(1, 60), st.sampled_from([16, 64, 256]))
def test_it_grows_to_the_same_however_events_come(events, step, chunk_rows):
    store, drawn = stored(events, step, chunk_rows=chunk_rows)
    with store:
        assert written(drawn) == styled.text(ladder.ladder(events).lines(100)).splitlines()


@pytest.mark.parametrize("options", OPTIONS[:2])
def test_rows_lead_to_the_store_and_back(options):
    with Store(chunk_rows=32) as store:
        store.take(SLOW)
        drawn = grown(store, options)
        covered = []
        for index in range(len(drawn)):
            row = drawn.store_row(index)
            if row is not None and drawn.row(index).what is not What.DAY:
                assert drawn.index_of(row) == index
                covered.append(row)
        assert covered == sorted(covered)
        assert all(drawn.index_of(a) <= drawn.index_of(b) for a, b in pairwise(range(len(store))))
        if not options.collapse:
            assert covered == list(range(len(store)))
        near = [drawn.near_row(index) for index in range(len(drawn))]
        assert near[-1] == len(store) - 1  # the end of the capture: the last message


@settings(max_examples=30)
@given(st.sets(st.integers(0, 159), max_size=40))
def test_a_filter_leaves_its_rows_and_what_belongs_to_them(chosen):
    with Store(chunk_rows=64) as store:
        store.take(FLEET)
        rows = np.array(sorted(chosen), np.int64)
        drawn = grown(store, LadderOptions(collapse=False), rows)
        events = [drawn.event(drawn.row(at)) for at in range(len(drawn)) if drawn.row(at).what is What.EVENT]
        assert [one.ordinal for one in events if isinstance(one, Message)] == [
            store.message(row).ordinal for row in rows.tolist()
        ]
        numbers = {store.message(row).connection for row in rows.tolist()}
        told = {one.connection.number for one in events if isinstance(one, ConnectionOpened | ConnectionClosed)}
        assert told == numbers
        assert not any(isinstance(one, ControlFrame) and one.opcode != 8 for one in events)


def test_a_filter_that_leaves_more_goes_on_where_it_was():
    with Store() as store:
        store.take(FLEET[:60])
        length = len(store)
        drawn = grown(store, None, np.arange(0, length, 2))
        store.take(FLEET[60:])
        assert not drawn.extend_filter(np.arange(1, len(store), 2))  # other rows than before
        assert drawn.extend_filter(np.arange(0, len(store), 2))
        while drawn.grow():
            pass
        shown = [drawn.event(drawn.row(at)) for at in range(len(drawn)) if drawn.row(at).what is What.EVENT]
        expected = grown(store, None, np.arange(0, len(store), 2))
        wanted = [
            expected.event(expected.row(at)) for at in range(len(expected)) if expected.row(at).what is What.EVENT
        ]
        assert rows_of(shown) == rows_of(wanted)


def test_a_call_does_not_know_its_answer():
    with Store() as store:
        store.take([opened(), *exchanges(1, action="Authorize")])
        drawn = grown(store)
        asked = drawn.event(drawn.row(2))
        assert (asked.kind, asked.outcome, asked.latency_ns) == (Kind.CALL, Outcome.PENDING, None)


def test_a_run_says_what_is_in_it():
    beats = [
        one
        for n in range(0, 300, 2)
        for one in (call(n, connection=n // 2 % 2), result(n + 1, n, connection=n // 2 % 2, latency_ns=n * 1000))
    ]
    with Store(chunk_rows=32) as store:
        store.take([opened(0), opened(1), *beats])
        drawn = grown(store)
        row = drawn.row(len(drawn) - 1)
        assert (row.what, row.events, row.connection) == (What.QUIET, 300, -1)
        assert row.quiet == (150, 0, beats[-1].time_ns, 298_000)
        assert drawn.store_row(len(drawn) - 1) == 0
        assert drawn.index_of(299) == len(drawn) - 1


def test_many_stations_do_not_cost_the_square_of_their_number():
    count = ladder.MAX_LANES * 20
    with Store() as store:
        store.take([opened(number) for number in range(count)])
        drawn = grown(store)
        assert max(mask.bit_length() for mask in drawn._masks) <= ladder.MAX_LANES + 1
        assert len(drawn.stations) == count
        line = styled.plain(drawn.line(drawn.row(count), 200))
        assert f"CP{count - 1:03}" in line
        assert styled.plain(drawn.header(200)[0]).count(f"{count} stations") == 1


def test_caches_are_bounded(monkeypatch):
    monkeypatch.setattr(ladder_rows, "MAX_MADE", 5)
    monkeypatch.setattr(ladder_rows, "MAX_EVENTS", 7)
    with Store() as store:
        store.take(FLEET)
        drawn = grown(store, LadderOptions(collapse=False))
        written(drawn)
        assert 0 < len(drawn._made) <= 5
        assert 0 < len(drawn._events) <= 7


def test_rows_that_are_gone_are_left_out():
    with Store(retain=64, chunk_rows=32) as store:
        store.take([opened(), *exchanges(20, action="Authorize")])
        drawn = grown(store)
        store.take([call(n, "Authorize") for n in range(40, 240)])
        with pytest.raises(GoneError):
            drawn.row(2)
        part = drawn.portion(0, len(drawn))
        assert all(row.first >= 0 for row in part.rows)
        assert len(grown(store)) <= len(store) - store.first + 2


# --- the tab --------------------------------------------------------------------------------------------------------


def tab(check, events=FLEET, size=(80, 24), **options):
    show(LadderView, MemorySession(events, **options), check, size)


def test_it_shows_arrows_and_names():
    async def check(host, pilot):
        lines = host.screen_text()
        assert "5 stations" in lines[0]
        assert any("BootNotification" in line and "►" in line for line in lines)

    tab(check)


def test_the_cursor_and_rows_agree():
    async def check(host, pilot):
        view = host.view
        view.go_to(100)
        await settled(host, pilot)
        assert view.list.ladder.store_row(view.list.cursor) == 100
        assert host.posted == []  # who sends it there knows
        view.list.move_by(1)
        await settled(host, pilot)
        assert host.posted == [("chosen", 101)]
        assert view.do_open(None) == ""
        await settled(host, pilot)
        assert host.posted[-1] == ("opened", 101)
        view.list.move_to(0)
        assert view.do_open(None) != ""  # a connection was opened there
        view.session.done = True
        view.go_to(10**9)
        await settled(host, pilot)
        assert view.list.ladder.near_row(view.list.cursor) == 159

    tab(check)


def test_it_keeps_its_place_while_it_grows():
    async def check(host, pilot):
        view = host.view
        view.go_to(20)
        await settled(host, pilot)
        before = view.list.cursor
        view.session.store.take(FLEET[60:])
        view.session.done = True
        view.grown()
        await settled(host, pilot)
        assert view.list.cursor == before
        assert view.list.count == len(view.list.ladder) == len(ladder.ladder(FLEET).rows)

    tab(check, FLEET[:60])


def test_a_row_that_is_not_there_yet_is_waited_for():
    async def check(host, pilot):
        host.view.go_to(120)
        host.view.session.store.take(FLEET[60:])
        host.view.grown()
        await settled(host, pilot)
        assert host.view.list.ladder.store_row(host.view.list.cursor) == 120

    tab(check, FLEET[:60])


@pytest.mark.parametrize("action", ["ladder_heartbeats", "ladder_pings", "ladder_legs", "ladder_ascii"])
def test_toggles_keep_the_row_and_can_be_taken_back(action):
    async def check(host, pilot):
        view = host.view
        view.go_to(20)
        await settled(host, pilot)
        before, options = written(view.list.ladder), view.list.ladder.options
        said = []
        for _ in range(2):
            said.append(getattr(view, f"do_{action}")(None))
            await settled(host, pilot)
            assert view.list.ladder.index_of(20) == view.list.cursor
        assert said[0] != said[1]
        assert view.list.ladder.options == options
        assert written(view.list.ladder) == before

    tab(check, SLOW if action == "ladder_heartbeats" else FLEET)


def test_time_formats_come_around():
    async def check(host, pilot):
        seen = []
        for _ in range(5):
            seen.append(host.view.do_time_format(None))
            await settled(host, pilot)
        assert len(set(seen)) == 5
        assert host.view.list.ladder.options.clock.clock == "a"

    tab(check)


def test_a_filter_and_its_end():
    async def check(host, pilot):
        view = host.view
        everything = view.list.count
        view.show_rows(np.array([3, 9]))
        await settled(host, pilot)
        assert {view.list.ladder.store_row(at) for at in range(view.list.count)} == {None, 3, 9}
        view.show_rows(np.zeros(0, np.int64))
        await settled(host, pilot)
        assert view.list.count == 0
        assert view.do_open(None) != ""
        view.show_rows(None)
        await settled(host, pilot)
        assert view.list.count == everything

    tab(check)


MOVES = {
    "next_error": ERROR, "previous_error": ERROR, "next_warning": WARNING, "previous_warning": WARNING,
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_moves_to_errors_and_warnings(name):
    async def check(host, pilot):
        view, store = host.view, host.view.session.store
        severities = Severities(store)
        found = [row for row in range(len(store)) if severities.row(*store.cell(row)) == MOVES[name]]
        assert found
        if name.startswith("previous"):
            found.reverse()
            view.go_to(len(store) - 1)
        current = view.current_row()
        found = [row for row in found if row != current]
        for row in found:
            assert getattr(view, f"do_{name}")(None) == ""
            assert view.current_row() == row
        assert getattr(view, f"do_{name}")(None).startswith("No ")
        await settled(host, pilot)
        assert [posted for posted in host.posted if posted[0] == "chosen"] == [("chosen", row) for row in found]

    tab(check, [*recorded("malformed")])


def test_moves_in_an_exchange_and_to_slow_ones():
    async def check(host, pilot):
        view, store = host.view, host.view.session.store
        assert view.do_next_slow(None) == ""
        row = view.current_row()
        assert store.message(row).latency_ns >= SLOW_NS
        assert view.do_next_of_exchange(None) == ""
        assert view.current_row() == store.partner(row)
        assert view.do_previous_of_exchange(None) == ""
        assert view.current_row() == row
        view.show_rows(np.array([row]))
        await settled(host, pilot)
        assert "No other" in view.do_next_of_exchange(None)
        assert "No earlier" in view.do_previous_slow(None)
        view.show_rows(np.zeros(0, np.int64))
        await settled(host, pilot)
        assert view.do_next_slow(None) == view.do_next_of_exchange(None) == "There are no messages."

    tab(check, SLOW)


def test_copies():
    async def check(host, pilot):
        view = host.view
        assert view.do_copy_ladder(None).startswith("All rows")
        assert host.clipboard == ladder.text(ladder.ladder(FLEET), 120)
        view.do_copy_markdown(None)
        assert host.clipboard.startswith("```text\n")
        view.list.move_to(5)
        assert view.do_copy_mermaid(3).startswith("3 of")
        assert host.clipboard.count("->>") + host.clipboard.count("Note over") == 3

    tab(check)


def test_evicted_rows_do_not_stay_on_the_screen():
    async def check(host, pilot):
        view = host.view
        view.session.store.take([call(n, "Authorize") for n in range(40, 240)])
        view.grown()
        await settled(host, pilot)
        assert view.list.ladder.first_row == view.session.store.first > 0
        host.screen_text()

    tab(check, [opened(), *exchanges(20, action="Authorize")], retain=64, chunk_rows=32)


HOSTILE = "\x1b]52;c;cm0=\x07\x9b2J\u202e[/nope]\r\n\0"


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (20, 5)])
def test_hostile_text_is_shown_as_text(size):
    async def check(host, pilot):
        text = "".join(host.screen_text())
        assert text.isprintable()
        host.view.do_copy_mermaid(None)
        assert not set(host.clipboard) & set("\x1b\x9b\u202e\0\r")

    bad = call(0, HOSTILE, text=b'[2,"m0","x",{"k":"\x1b]52;c;cm0=\x07"}]', side=Side.CSMS)
    tab(check, [opened(station=HOSTILE), bad, result(1, 0, action=HOSTILE)], size)


def test_connections_that_repeat_another_have_a_lane_of_their_own():
    near, far = connection(0), connection(1, leg_of=0, station="CP000")
    events = [ConnectionOpened(START, near), ConnectionOpened(START, far), call(0), call(0, connection=1)]
    with Store() as store:
        store.take(events)
        assert grown(store).has_proxy
        hidden = grown(store, LadderOptions(legs=False))
        assert len(hidden) == 3  # the date, the opening, the message
        assert not hidden.has_proxy
