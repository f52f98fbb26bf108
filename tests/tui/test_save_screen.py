"""The form behind F2, by its keys; and what is in the file that comes of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support_scope import Driver, ScopeSession, drive, recorded

from ocppscope.errors import AccessError
from ocppscope.export import writing
from ocppscope.export.evidence import Source
from ocppscope.export.registry import BY_NAME, FORMS
from ocppscope.export.writing import STEP, Job
from ocppscope.options import Options
from ocppscope.tui import saving
from ocppscope.tui.save_screen import MARKED, SELECTED, SHOWN, SaveScreen, Scopes, objection, renamed, scopes_of
from store.support_store import call, opened

TAG = "DEMO-APP-7731"
"""A tag in the capture `remote_start_stop`."""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def session(tmp_path: Path, name: str = "remote_start_stop") -> ScopeSession:
    return ScopeSession(recorded(name), tmp_path / "notes.json")


def form(d: Driver) -> SaveScreen:
    screen = d.scope.screen
    assert isinstance(screen, SaveScreen), type(screen)
    return screen


def rows_in(path: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return [one for one in lines if one.get("type") == "message"]


# --- the form ------------------------------------------------------------------------------------------------------


def test_it_says_at_once_what_comes_of_a_suffix(here):
    async def check(d: Driver) -> None:
        await d.press("f2")
        assert form(d).name_input.value == "messages.log"
        for name, chosen, redacted in (
            ("a.jsonl", "jsonl", False),
            ("a.html", "html", True),
            ("~/a.CSV", "csv", False),
            ("a.md", "markdown", True),
        ):
            form(d).name_input.value = ""
            await d.type(name)
            assert form(d).chosen_form.name == chosen
            assert BY_NAME[chosen].sentence in d.text
            assert (" ✓ redacted: " in d.text, " ! not redacted: " in d.text) == (redacted, not redacted)
        assert f"It is written to {str(here)[:20]}" in d.text
        await d.press("escape")
        assert not isinstance(d.scope.screen, SaveScreen)
        assert [one.name for one in here.iterdir()] == []

    drive(check, session(here))


def test_the_form_that_is_picked_changes_the_suffix(here):
    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.html")
        await d.press("tab")
        await d.type("jsonl")
        await d.press("enter")
        assert form(d).name_input.value == "a.jsonl"
        assert form(d).redact.chosen.label == "no"
        await d.press("tab")  # the rows have been passed
        await d.press("ctrl+s")
        assert "a.jsonl" in d.told

    drive(check, session(here))


def test_who_wants_more_redacted_keeps_it_with_another_form(here):
    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.jsonl")
        await d.press("tab", "tab", "tab")
        await d.type("yes")
        await d.press("shift+tab", "shift+tab")
        await d.type("csv")
        await d.press("enter")
        assert (form(d).chosen_form.name, form(d).redact.chosen.label) == ("csv", "yes")

    drive(check, session(here))


def test_who_wanted_less_redacted_is_asked_anew_with_another_form(here):
    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.md")
        await d.press("tab", "tab", "tab")
        await d.type("no")
        await d.press("shift+tab", "shift+tab")
        assert form(d).redact.chosen.label == "no"
        await d.type("html")
        await d.press("enter")
        assert (form(d).chosen_form.name, form(d).redact.chosen.label) == ("html", "yes")

    drive(check, session(here))


def test_a_name_without_suffix_gets_that_of_the_form():
    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.jsonl")
        await d.press(*["backspace"] * 6)
        assert form(d).path == Path("a.jsonl")
        await d.press("enter")
        assert rows_in("a.jsonl")

    drive(check, ScopeSession(recorded("remote_start_stop")))


@pytest.mark.parametrize(
    ("name", "chosen", "expected"),
    [
        ("a.log", "html", "a.html"),
        ("a.txt", "text", "a.txt"),
        ("dir/a.b.MD", "csv", "dir/a.b.csv"),
        ("a", "csv", "a.csv"),
        ("", "csv", ""),
        ("a.pcap", "csv", "a.pcap"),
    ],
)
def test_renamed(name, chosen, expected):
    assert renamed(name, BY_NAME[chosen]) == expected


# --- what cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "Type the name of a file"),
        ("a.exe", "“.exe” file is to hold is not known"),
        ("none/a.log", "There is no directory none"),
        ("x.pcap/../sub.log", "That is a directory"),
        ("x.log", "what you are looking at"),
        ("./link.log", "what you are looking at"),
    ],
)
def test_what_cannot_be_written_is_said_and_the_form_stays(here, name, said):
    (here / "x.log").write_text("mine")
    (here / "x.pcap").mkdir()
    (here / "sub.log").mkdir()
    (here / "link.log").symlink_to(here / "x.log")
    given = session(here)
    given.source = Source((str(here / "x.log"),), Options())

    async def check(d: Driver) -> None:
        await d.press("f2")
        form(d).name_input.value = name
        await d.settle()
        await d.press("ctrl+s")
        await d.press("ctrl+s")  # an objection is no question
        assert said in d.text
        assert isinstance(d.scope.screen, SaveScreen)

    drive(check, given)
    assert (here / "x.log").read_text() == "mine"


def test_a_directory_that_may_not_be_written_to(here, monkeypatch):
    given = session(here)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert objection(here / "a.log", given).startswith("You may not write to ")
    given.stop()


def test_what_exists_is_replaced_by_a_second_ctrl_s_alone(here):
    (here / "a.jsonl").write_text("mine")

    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.jsonl")
        for _ in range(2):
            await d.press("enter")
            assert "Ctrl+S replaces it" in d.text
        assert (here / "a.jsonl").read_text() == "mine"
        await d.type("x")
        await d.press("backspace", "ctrl+s")
        assert not isinstance(d.scope.screen, SaveScreen)
        assert rows_in("a.jsonl")
        await d.press("f2", "ctrl+s")
        assert "Ctrl+S replaces it" in d.text
        await d.press("escape")

    drive(check, session(here))


# --- which rows ----------------------------------------------------------------------------------------------------


def test_scopes():
    shown, nothing = np.array([3, 5]), np.empty(0, np.int64)
    assert [one.label for one in Scopes(None, nothing, nothing, 9).choices()] == ["all"]
    found = Scopes(shown, np.array([1]), np.arange(2, 6), 9)
    assert [one.label for one in found.choices()] == ["shown", "all", "selected", "marked"]
    assert [one.help.split(" message")[0] for one in found.choices()] == ["2", "9", "1", "4"]
    assert found.rows("all") is None
    assert found.rows(SHOWN) is shown
    assert found.rows(SELECTED).tolist() == [1]
    assert found.rows(MARKED).tolist() == [2, 3, 4, 5]


def test_rows_between_marks_need_two_of_them(here):
    given = session(here)
    for row, note in ((2, {"mark": "a"}), (4, {"note": "no mark"})):
        given.notes.set(given.store.message(row), **note)
    assert len(scopes_of(given, None, set()).marked) == 0
    given.notes.set(given.store.message(9), mark="b")
    assert scopes_of(given, None, {7, 1}).marked.tolist() == list(range(2, 10))
    assert scopes_of(given, None, {7, 1}).selected.tolist() == [1, 7]
    given.stop()


@pytest.mark.parametrize(("scope", "rows"), [("selected", [0, 2]), ("marked", [3, 4, 5]), ("all", None)])
def test_the_rows_that_are_chosen_are_saved(here, scope, rows):
    async def check(d: Driver) -> None:
        await d.press("space", "j", "space", "m", "a", "j", "j", "m", "b")  # Space goes on by one
        await d.press("/")
        await d.type("kind == CALL")
        await d.press("enter", "f2")
        await d.type("a.jsonl")
        await d.press("tab", "tab")
        await d.type(scope)
        await d.press("ctrl+s")
        found = [one["row"] for one in rows_in("a.jsonl")]
        assert found == (list(range(len(d.scope.session.store))) if rows is None else rows)

    drive(check, session(here))


# --- what is in it -------------------------------------------------------------------------------------------------


def test_notes_and_marks_of_the_screens_are_in_the_file(here):
    async def check(d: Driver) -> None:
        await d.press("j", "m", "s", ";")
        await d.type("here it begins")
        await d.press("enter", "f2")
        await d.type("a.jsonl")
        await d.press("enter")
        noted = [(one["row"], one["note"], one["mark"]) for one in rows_in("a.jsonl") if one.get("note")]
        assert noted == [(1, "here it begins", "s")]

    drive(check, session(here))


def test_what_is_redacted_is_said(here):
    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.jsonl")
        await d.press("tab", "tab", "tab")
        await d.type("yes")
        await d.press("ctrl+s")
        assert "a.jsonl: " in d.told
        assert "; redacted: " in d.told
        assert TAG not in (here / "a.jsonl").read_text()
        await d.press("f2")
        form(d).name_input.value = "b.jsonl"
        await d.settle()
        assert form(d).redact.chosen.label == "yes"  # as the last time
        await d.press("ctrl+s")
        assert (here / "b.jsonl").read_bytes() == (here / "a.jsonl").read_bytes()  # the same pseudonyms

    drive(check, session(here))


# --- while it is written -------------------------------------------------------------------------------------------


def test_escape_cancels_and_nothing_is_left(here, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def slowly(evidence: Any, out: Any, job: Job) -> None:
        for at, _ in enumerate(job.through(evidence.items())):
            if at == STEP + 1:
                begun.set()
                assert go_on.wait(20)

    monkeypatch.setattr(writing, "module_of", lambda form: SimpleNamespace(write=slowly))

    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.jsonl")
        await d.pilot.press("enter")
        for _ in range(1000):
            await d.pilot.pause(0.01)
            if begun.is_set():
                break
        await d.pilot.pause(0.05)
        assert "Saving: " in d.told
        await d.pilot.press("f2")
        await d.pilot.pause()
        assert "is being written already" in d.told
        await d.pilot.press("escape")
        go_on.set()
        await d.settle()
        assert "cancelled" in d.told
        assert list(here.iterdir()) == []

    drive(check, ScopeSession([opened(), *(call(number) for number in range(3 * STEP))]))


def test_what_went_wrong_is_said_in_full_when_one_asks(here, monkeypatch):
    wrong = AccessError("There would still be in it: " + "; ".join(f"tag {n} of many" for n in range(30)), "Mend it.")

    def fail(*_: object, **__: object) -> None:
        raise wrong

    monkeypatch.setattr(saving, "write_file", fail)

    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.jsonl")
        await d.press("enter")
        assert d.told.strip().startswith("Not saved (F2 shows all of it)")
        await d.press("f2")
        assert form(d).name_input.value == "a.jsonl"
        assert "tag 29 of many" in d.text
        assert "Mend it." in d.text
        await d.press("escape", "f2")
        assert "Mend it." not in d.text  # once is enough

    drive(check, session(here))


def test_who_leaves_waits_for_the_file(here, monkeypatch):
    """The texts must be there until nobody reads them any more: no file is whole that lacks some."""
    closed: list[bool] = []
    ended = threading.Event()

    def slowly(evidence: Any, out: Any, job: Job) -> None:
        for at, _ in enumerate(evidence.items()):
            if at == 3:
                leaving.wait(20)
            closed.append(given.stopped)
        ended.set()

    leaving = threading.Event()
    monkeypatch.setattr(writing, "module_of", lambda form: SimpleNamespace(write=slowly))
    given = session(here)

    async def check(d: Driver) -> None:
        await d.press("f2")
        await d.type("a.jsonl")
        await d.pilot.press("enter")
        await d.pilot.pause(0.1)
        threading.Timer(0.3, leaving.set).start()

    drive(check, given)
    assert ended.wait(20)
    assert closed
    assert not any(closed)


def test_every_form_can_be_picked():
    async def check(d: Driver) -> None:
        for one in FORMS:
            await d.press("f2")
            await d.press("tab")
            await d.type(one.name)
            await d.press("enter")
            assert form(d).chosen_form is one
            assert form(d).name_input.value == f"messages{one.suffixes[0]}"
            await d.press("escape")

    drive(check, ScopeSession([opened(), call(0)]))
