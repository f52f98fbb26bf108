"""The parts below the widgets: seeking, filtering, severities, columns, settings, commands, history, files."""

from __future__ import annotations

import queue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_scope import ScopeSession, recorded

from ocppscope.errors import UsageError
from ocppscope.model import Problem
from ocppscope.problems import PROBLEMS
from ocppscope.query.filter import compile_filter
from ocppscope.render import styled
from ocppscope.store.store import Store
from ocppscope.tui import columns, outside, pages, settings
from ocppscope.tui.columns import COLUMNS, DEFAULT, SUMMARY, layout, shortened
from ocppscope.tui.commands import Command, interpret
from ocppscope.tui.filtering import Filtering
from ocppscope.tui.seek import among, exchange, on_pieces, seek
from ocppscope.tui.severity import ERROR, NOTHING, WARNING, WARNINGS, Severities, of_problems
from ocppscope.tui.suggest import MAX_HISTORY, History, put, suggestions, verdict
from store.support_store import call, result


@pytest.fixture(scope="module")
def session():
    made = ScopeSession(recorded("malformed") + recorded("several_stations"), chunk_rows=64)
    yield made
    made.stop()


# --- seek ----------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 240)), st.none() | st.sets(st.integers(0, 240)), st.integers(0, 241), st.booleans())
def test_seek_is_the_nearest_one(session, hits, shown, row, down):
    def mask(start, stop):
        return np.array([at in hits for at in range(start, stop)], np.bool_)

    rows = None if shown is None else np.array(sorted(shown), np.int64)
    among_them = hits if shown is None else hits & shown
    if down:
        expected = min((at for at in among_them if row < at < len(session.store)), default=None)
    else:
        expected = max((at for at in among_them if at < row), default=None)
    assert seek(session.store, rows, row, 1 if down else -1, mask) == expected


@given(st.sets(st.integers(0, 50)), st.sets(st.integers(0, 50)))
def test_among(rows, shown):
    found = among(np.array(sorted(rows), np.int64), np.array(sorted(shown), np.int64))
    assert found.tolist() == sorted(rows & shown)


def test_an_exchange_is_what_has_the_same_id(session):
    store = session.store
    for row in range(len(store)):
        own = store.message(row)
        expected = [
            other
            for other in range(len(store))
            if (one := store.message(other)).connection == own.connection and one.id == own.id and own.id
        ]
        assert exchange(store, row) == (expected or sorted({row, store.partner(row) or row}))


# --- severity ------------------------------------------------------------------------------------------------------


def test_warnings_are_problems():
    assert set(PROBLEMS) >= WARNINGS


def test_columns_and_single_rows_agree(session):
    severities = Severities(session.store)
    mask = on_pieces(session.store, lambda piece: severities.piece(piece) == ERROR)
    one_by_one = [severities.row(*session.store.cell(row)) for row in range(len(session.store))]
    assert mask(0, len(session.store)).tolist() == [one == ERROR for one in one_by_one]
    assert {NOTHING, WARNING, ERROR} == set(one_by_one)


def test_the_worst_problem_counts():
    bad, odd = Problem("json.syntax", ""), Problem("json.bom", "")
    assert [of_problems(one) for one in ((), (odd,), (odd, bad))] == [NOTHING, WARNING, ERROR]


# --- filtering -----------------------------------------------------------------------------------------------------


def last_of(reports: queue.Queue):
    while True:
        found = reports.get(timeout=10)
        if found.done or found.cancelled or found.trouble:
            return found


def test_filtering_reports_what_passes(session):
    reports: queue.Queue = queue.Queue()
    work = Filtering(session.store, reports.put)
    for text in ("kind == CALL", "payload.status == Accepted", "Heartbeat"):
        wanted = compile_filter(text)
        serial = work.run(wanted)
        found = last_of(reports)
        assert found.serial == serial
        assert found.rows.tolist() == np.flatnonzero(wanted.mask(session.store)).tolist()
    work.stop()


def test_filtering_forgets_rows_that_are_gone():
    """However many rows there have been: what it found are rows that are kept, and so is what it keeps in mind."""
    reports: queue.Queue = queue.Queue()
    wanted = compile_filter("kind == CALL")
    with Store(retain=100, chunk_rows=50) as store:
        work = Filtering(store, reports.put)
        work.run(wanted)
        for _ in range(30):
            store.take([call(len(store) + n) for n in range(40)])
            store.take([result(len(store), len(store) - 1)])
            work.grown(finished=False)
            found = last_of(reports)
            while found.looked < len(store):
                found = last_of(reports)
            assert found.rows.tolist() == np.flatnonzero(wanted.mask(store)).tolist()
        assert store.first > 1000
        assert len(work._mask) < 1000
        work.stop()


def test_a_filter_that_fails_is_said_to(session, monkeypatch):
    reports: queue.Queue = queue.Queue()
    work = Filtering(session.store, reports.put)
    wanted = compile_filter("kind == CALL")
    monkeypatch.setattr(type(wanted), "mask", lambda *_: 1 // 0)
    work.run(wanted)
    assert "ZeroDivisionError" in last_of(reports).trouble
    work.stop()


# --- columns -------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(list(COLUMNS)), unique=True), st.integers(20, 250))
def test_columns_fit(names, width):
    shown = layout(names, width)
    assert shown.columns
    taken = styled.width(shown.header())
    assert taken <= width or len(shown.columns) <= 2
    if SUMMARY in names and len(shown.columns) > 1:
        assert taken == width


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (76, "time station side kind action latency summary"),
        (116, "time delta connection station side kind action id latency size summary"),
        (196, "time delta connection station side kind action id latency size summary"),
    ],
)
def test_usual_columns(width, names):
    assert " ".join(column.name for column, _ in layout(DEFAULT, width, station_width=12).columns) == names


def test_every_column_of_every_row_can_be_made(session):
    names = list(COLUMNS)
    shown = layout(names, 2000)
    assert len(shown.columns) == len(names)
    for row in range(len(session.store)):
        message = session.store.message(row)
        connection = session.store.connections[message.connection]
        made = columns.row_of(message, connection, columns.Around(row, 5), "12:00", "+1s")
        assert styled.width(shown.line(made)) == 2000


@pytest.mark.parametrize(
    ("name", "width", "expected"),
    [
        ("CP-1", 10, "CP-1"),
        ("CP-FLEET-0001", 10, "CP-…T-0001"),
        ("ABCDEFGH", 5, "ABCD…"),
        ("站站站站站站", 8, "站站站…"),
    ],
)
def test_names_lose_their_middle(name, width, expected):
    assert shortened(name, width) == expected


# --- pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_page_of_every_row_fits(session, page):
    store = session.store
    for row in range(len(store)):
        message = store.message(row)
        subject = pages.Subject(session, row, message, store.connections.get(message.connection))
        items = pages.PAGES[page](subject, 60)
        assert items
        for item in items:
            assert styled.width(styled.clip(pages.item_line(item, 60), 60)) <= 60
            assert pages.facts(item, 60) is not None


@given(st.text(), st.integers(2, 40))
def test_wrapping_loses_nothing(text, width):
    shown = styled.wire(text, limit=1000).text
    pieces = list(pages.wrapped(shown, width))
    assert "".join(pieces) == shown
    assert all(styled.columns(piece) <= width for piece in pieces)


# --- settings ------------------------------------------------------------------------------------------------------


def test_settings_of_a_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        '[tui]\ntheme = "light"\ntime = "ad.6"\nslow = "250ms"\ncolumns = ["time", "summary", "time"]\n'
        '[keys]\nquit = "Q"\nfilter = ["x", "Ctrl+X"]\n[filters]\nslow = "latency > 1s"\n'
    )
    found = settings.load(path)
    assert found.theme == "light"
    assert (found.time.clock, found.time.decimals) == ("ad", 6)
    assert found.slow_ns == 250_000_000
    assert found.columns == ("time", "summary")
    assert dict(found.keys) == {"quit": ("Q",), "filter": ("x", "ctrl+x")}
    assert dict(found.filters) == {"slow": "latency > 1s"}


def test_no_file_no_settings(tmp_path):
    assert settings.load(tmp_path / "none.toml") == settings.Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys = 1", "no table"),
        ('[keys]\nfly = "x"', "no action 'fly'"),
        ("[keys]\nquit = 3", "no list of keys"),
        ("[keys]\nquit = [3]", "no list of keys"),
        ('[keys]\nquit = [""]', "no list of keys"),
        (f"[keys]\nquit = {['x'] * 20}", "no list of keys"),
        ("tui = 1", "no table"),
        ("[tui]\nthem = 'x'", "not understood"),
        ("[tui]\ntheme = 3", "not understood"),
        ("[tui]\ntheme = 'pink'", "no theme 'pink'"),
        ("[tui]\ntime = 'noon'", "no time format"),
        ("[tui]\nslow = '3'", "no duration"),
        ("[tui]\ncolumns = []", "no column none"),
        ("[tui]\ncolumns = ['x']", "no column 'x'"),
        ("[tui]\ncolumns = [[1]]", "no column"),
        ("[filters]\nx = 'acton == 1'", "acton"),
        ("[tui", "config.toml"),
    ],
)
def test_wrong_settings_are_said_to_be(tmp_path, text, said):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        settings.load(path)
    assert said in error.value.what
    assert "config.toml" in error.value.what


# --- commands, history ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", Command(row=12)),
        (" 1,000 ", Command(row=1000)),
        ("9" * 5000, Command(row=int("9" * 18))),
        ("q", Command(action="quit")),
        ("next-error", Command(action="next_error")),
        ("next error", Command(action="next_error")),
        ("/kind == CALL", Command(filter="kind == CALL")),
        ("@slow", Command(filter="@slow")),
        ("", Command()),
        ("@slov", Command(trouble="There is no filter named “slov”. Did you mean “slow”?")),
        ("٣", Command(trouble="“٣” is no command.")),
    ],
)
def test_commands(text, expected):
    assert interpret(text, {"slow": "latency > 2s"}) == expected


def test_history_is_a_walk_from_what_is_typed():
    history = History(["a", "b"])
    history.add("a")
    assert history.texts == ["b", "a"]
    assert [history.older("typed") for _ in range(3)] == ["a", "b", "b"]
    assert [history.newer("b") for _ in range(3)] == ["a", "typed", "b"]
    history.add("  ")
    assert history.texts == ["b", "a"]
    for number in range(MAX_HISTORY + 5):
        history.add(str(number))
    assert len(history.texts) == MAX_HISTORY
    assert History().older("x") == "x"


def test_suggestions_are_put_in_place(session):
    found = suggestions("stat", 4, session.store, {})
    assert put("stat", found[0]) == ("station ", 8)
    assert suggestions("station", 7, session.store, {}) == [] or all(
        one.text != "station" for one in suggestions("station", 7, session.store, {})
    )
    wrong = verdict("acton == 1", {})
    assert (wrong.filter, wrong.start, wrong.stop) == (None, 0, 5)


# --- other programs ------------------------------------------------------------------------------------------------


def test_pager_and_editor_get_safe_text(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(outside.subprocess, "run", lambda command, **more: ran.append((command, more)))
    monkeypatch.setenv("PAGER", "less -S")
    outside.page("text")
    assert ran[0] == (["less", "-S"], {"input": b"text", "check": False})
    monkeypatch.setenv("VISUAL", "ed 'x y'")
    outside.edit("text")
    assert ran[1][0][:2] == ["ed", "x y"]
    assert ran[1][0][2].endswith("message.json")
