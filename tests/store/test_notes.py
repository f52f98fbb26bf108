"""Marks and notes: kept, found again, never lost, never in the way."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.errors import AccessError, UsageError
from ocppscope.store import notes as notes_module
from ocppscope.store.notes import MAX_NOTE, NO_NOTE, Note, load_notes
from ocppscope.store.store import Store
from store.support_store import call


@pytest.fixture
def capture(tmp_path):
    return tmp_path / "field.pcapng"


def sidecar(capture):
    return capture.with_name("field.pcapng.ocppscope.json")


def test_what_was_said_is_there_next_time(capture):
    notes = load_notes(capture)
    notes.set(call(3), mark="a")
    notes.set(call(3), note="why “so” late? \ud800\n")
    notes.set(call(4, connection=7), note="x")
    assert notes.changed
    notes.save()
    assert not notes.changed
    again = load_notes(capture)
    assert again.trouble == ""
    assert again.items() == notes.items()
    assert again.of(call(3)) == Note(call(3).time_ns, "a", "why “so” late? \ud800\n")
    assert os.listdir(capture.parent) == [sidecar(capture).name]


def test_taking_back_everything_removes_the_note(capture):
    notes = load_notes(capture)
    notes.set(call(3), mark="a", note="b")
    notes.set(call(3), mark="")
    assert notes.of(call(3)).note == "b"
    notes.set(call(3), note="")
    assert len(notes) == 0


def test_a_note_belongs_to_its_time(capture):
    notes = load_notes(capture)
    notes.set(call(3), mark="a")
    assert notes.of(call(3, time_ns=5)) == NO_NOTE


def test_rows_that_have_notes(capture):
    notes = load_notes(capture)
    with Store() as store:
        store.take([call(n) for n in range(10)])
        for ordinal in (7, 2, 50):
            notes.set(call(ordinal), mark="a")
        notes.set(call(4, time_ns=1), mark="of another capture")
        assert [row for row, _ in notes.rows(store, 0, 10)] == [2, 7]
        assert [row for row, _ in notes.rows(store, 3, 7)] == []


def test_notes_follow_a_connection_that_got_another_number(capture):
    notes = load_notes(capture)
    notes.set(call(2), mark="a")
    notes.set(call(3, connection=9), mark="nowhere")
    with Store() as store:
        store.take([call(n, connection=5) for n in range(4)])
        assert notes.adopt(store) == 1 + 1 * (call(3, connection=9).time_ns == call(3).time_ns)
        assert [row for row, _ in notes.rows(store, 0, 4)] == [2, 3]
        assert notes.adopt(store) == 0


def test_bounds(capture, monkeypatch):
    monkeypatch.setattr(notes_module, "MAX_NOTES", 2)
    notes = load_notes(capture)
    with pytest.raises(UsageError, match="too long"):
        notes.set(call(0), note="x" * (MAX_NOTE + 1))
    notes.set(call(0), note="x")
    notes.set(call(1), note="x")
    with pytest.raises(UsageError, match="2 notes already"):
        notes.set(call(2), note="x")
    notes.set(call(1), note="y")


GOOD = {"format": "ocppscope-notes", "version": 1, "notes": []}
ENTRY = {"connection": 0, "ordinal": 0, "time_ns": 5, "mark": "", "note": ""}
DAMAGED = [
    b"", b"{", b"\xff", b"[]", b"null", b"[" * 100_000, b'{"format": "other"}',
    *(
        json.dumps(content).encode()
        for content in [
            {"format": "ocppscope-notes"},
            GOOD | {"version": 0},
            GOOD | {"version": "1"},
            GOOD | {"notes": {}},
            GOOD | {"notes": [5]},
            GOOD | {"notes": [{}]},
            GOOD | {"notes": [ENTRY | {"ordinal": "1"}]},
            GOOD | {"notes": [ENTRY | {"ordinal": True}]},
            GOOD | {"notes": [ENTRY | {"ordinal": 1 << 80}]},
            GOOD | {"notes": [ENTRY | {"mark": 5}]},
            GOOD | {"notes": [ENTRY | {"note": "x" * (MAX_NOTE + 1)}]},
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_sidecar_is_kept_aside(capture, content):
    sidecar(capture).write_bytes(content)
    notes = load_notes(capture)
    aside = sidecar(capture).with_name("field.pcapng.ocppscope.json.damaged-1")
    assert len(notes) == 0
    assert aside.name in notes.trouble
    assert aside.read_bytes() == content
    notes.set(call(0), mark="a")
    notes.save()
    sidecar(capture).write_bytes(b"damaged again")
    assert "damaged-2" in load_notes(capture).trouble
    assert aside.read_bytes() == content


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(tmp_path_factory, content):
    capture = tmp_path_factory.mktemp("n") / "field.pcapng"
    sidecar(capture).write_bytes(content)
    assert load_notes(capture).trouble


def test_a_sidecar_of_a_newer_version_is_left_alone(capture):
    content = json.dumps(GOOD | {"version": 2, "new": 1})
    sidecar(capture).write_text(content)
    notes = load_notes(capture)
    assert "newer" in notes.trouble
    notes.set(call(0), mark="a")
    with pytest.raises(AccessError, match="newer"):
        notes.save()
    assert sidecar(capture).read_text() == content


def test_a_sidecar_that_is_too_large(capture, monkeypatch):
    monkeypatch.setattr(notes_module, "MAX_SIDECAR", 10)
    sidecar(capture).write_text(json.dumps(GOOD))
    assert "too large" in load_notes(capture).trouble


def test_a_directory_that_is_not_there_or_not_ours(tmp_path):
    notes = load_notes(tmp_path / "none" / "field.pcapng")
    assert notes.trouble == ""
    notes.set(call(0), mark="a")
    with pytest.raises(AccessError, match="cannot be saved") as caught:
        notes.save()
    assert caught.value.hint
    (tmp_path / "file").write_text("")
    assert "cannot be read" in load_notes(tmp_path / "file" / "x").trouble


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_while_saving_leaves_the_old_file(capture, monkeypatch, step):
    notes = load_notes(capture)
    notes.set(call(0), mark="a")
    notes.save()
    before = sidecar(capture).read_bytes()

    def crash(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(notes_module.os, step, crash)
    notes.set(call(1), mark="b")
    with pytest.raises(AccessError):
        notes.save()
    monkeypatch.undo()
    assert sidecar(capture).read_bytes() == before
    assert os.listdir(capture.parent) == [sidecar(capture).name]
    assert notes.changed
