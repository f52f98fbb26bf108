"""`ocppscope note`: notes beside a capture or log, as the screens and every export have them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ocppscope.cli import noting
from ocppscope.cli.loading import session_of
from ocppscope.options import Options
from ocppscope.store.notes import MAX_NOTE, load_notes
from support_cli import CAPTURES, Session, run, write


@pytest.fixture
def capture(tmp_path) -> Path:
    """A copy of a capture, in a directory that may be written to."""
    return Path(shutil.copy(CAPTURES / "remote_start_stop.pcap", tmp_path / "field.pcap"))


def sidecar(capture: Path) -> Path:
    return capture.with_name(f"{capture.name}.ocppscope.json")


def notes(capture: Path) -> list[dict]:
    return json.loads(sidecar(capture).read_text())["notes"]


def test_add_mark_list_and_remove(capture):
    done = run("note", capture, "-Y", "row == 2", "--add", "  here it begins ")
    assert (done.code, done.out) == (0, "1 message: noted in field.pcap.ocppscope.json\n")
    done = run("note", capture, "-Y", "row in {2..4}", "--mark", "s")
    assert done.out.startswith("3 messages: noted in ")
    assert [(one["note"], one["mark"]) for one in notes(capture)] == [("here it begins", "s"), ("", "s"), ("", "s")]

    listed = run("note", capture)
    assert (listed.code, listed.err) == (0, "")
    said = [line for line in listed.lines if line.startswith("    ; ")]
    assert said == ["    ; [s] here it begins   (row 2)", "    ; [s]    (row 3)", "    ; [s]    (row 4)"]
    log = [line for line in run("log", capture).lines if line[:1].isdigit()]
    above = listed.lines[listed.lines.index(said[0]) - 1]
    assert above.partition("#0")[2] in [line.partition("#0")[2] for line in log]  # as the log has it

    done = run("note", capture, "-Y", "row == 3", "--remove")
    assert done.out == "1 message: taken back in field.pcap.ocppscope.json\n"
    assert len(notes(capture)) == 2


def test_a_note_stays_when_a_mark_is_set_and_the_other_way_round(capture):
    run("note", capture, "-Y", "row == 2", "--add", "first", "--mark", "a")
    run("note", capture, "-Y", "row == 2", "--add", "second")
    run("note", capture, "-Y", "row == 2", "--mark", "long name")
    assert [(one["note"], one["mark"]) for one in notes(capture)] == [("second", "long name")]


def test_an_empty_text_takes_the_note_back(capture):
    run("note", capture, "-Y", "row == 2", "--add", "first")
    run("note", capture, "-Y", "row == 2", "--add", "")
    assert notes(capture) == []


def test_listing_obeys_the_filter(capture):
    assert run("note", capture).out == "There are no notes.\n"
    run("note", capture, "-Y", "row in {2..4}", "--mark", "s")
    assert run("note", capture, "-Y", "row == 3").out.count("    ; ") == 1
    assert run("note", capture, "-Y", "row == 9").out == "None of the noted messages passes the filter.\n"


def test_the_screens_and_the_export_have_them(capture, tmp_path):
    run("note", capture, "-Y", "row == 2", "--add", "look here", "--mark", "q")
    session = session_of([str(capture)], Options())
    session.start(lambda: None)
    session._thread.join(60)
    try:
        message = session.store.message(2)
        assert session.notes.of(message)[1:] == ("q", "look here")
        session.notes.set(session.store.message(5), note="said on the screens")
        session.notes.save()
    finally:
        session.stop()
    listed = run("note", capture).out
    assert "said on the screens   (row 5)" in listed
    assert "[q] look here   (row 2)" in listed
    assert run("export", capture, "-o", tmp_path / "x.jsonl").code == 0
    text = (tmp_path / "x.jsonl").read_text()
    assert "look here" in text
    assert "said on the screens" in text


def test_notes_of_a_log(capture, tmp_path):
    log = tmp_path / "field.log"
    log.write_text(run("log", capture).out)
    assert run("note", log, "-Y", "action == BootNotification and kind == CALL", "--add", "boots").code == 0
    assert "boots" in run("note", log).out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--add", "x"], "which messages are meant"),
        (["--mark", "x"], "which messages are meant"),
        (["--remove"], "which messages are meant"),
        (["-Y", "row == 2", "--remove", "--add", "x"], "takes notes back"),
        (["-Y", "row == 2", "--remove", "--mark", "x"], "takes notes back"),
        (["-Y", "row == 9999", "--add", "x"], "No message passes the filter"),
        (["-Y", "row == 2", "--add", "x" * (MAX_NOTE + 1)], "too long"),
        (["-Y", "row == 2", "--mark", "x" * 33], "too long"),
        (["-Y", "rwo == 2", "--add", "x"], "The filter is wrong"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(capture, options, said):
    done = run("note", capture, *options)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not sidecar(capture).exists()


def test_too_many_messages_are_taken_for_a_mistake(capture, monkeypatch):
    monkeypatch.setattr(noting, "MAX_CHANGED", 5)
    done = run("note", capture, "-Y", "row >= 0", "--add", "x")
    assert (done.code, sidecar(capture).exists()) == (2, False)
    assert "More than 5 messages" in done.err
    assert run("note", capture, "-Y", "row in {0..4}", "--add", "x").code == 0


def test_inputs_beside_which_no_note_can_be(capture, tmp_path):
    for inputs in ([capture, capture], ["-"], [tmp_path]):
        done = run("note", *inputs)
        assert done.code == 2
        assert "beside one file" in done.err
    assert run("note", tmp_path / "none.pcap").code == 2
    noise = tmp_path / "noise.pcap"
    noise.write_bytes(bytes(range(256)))
    assert run("note", noise).code == 3


def test_a_damaged_sidecar_is_set_aside_and_a_newer_one_left_alone(capture):
    sidecar(capture).write_text("no JSON")
    done = run("note", capture, "-Y", "row == 2", "--add", "x")
    assert done.code == 0
    assert "is damaged" in done.err
    assert sidecar(capture).with_name(f"{sidecar(capture).name}.damaged-1").read_text() == "no JSON"
    newer = '{"format": "ocppscope-notes", "version": 99, "notes": []}'
    sidecar(capture).write_text(newer)
    done = run("note", capture, "-Y", "row == 2", "--add", "x")
    assert done.code == 4
    assert "newer version" in done.err
    assert sidecar(capture).read_text() == newer


def test_nothing_in_a_note_or_message_is_obeyed_by_the_terminal(tmp_path):
    hostile = "\x1b]52;c;AAAA\x07\u202e"
    capture = write(tmp_path / "x.pcap", Session().upgrade().say(0, f'[2,"1","Heartbeat{hostile}",{{}}]'))
    assert run("note", capture, "-Y", "row == 0", "--add", f"say {hostile}", "--mark", "\x1b[2J").code == 0
    listed = run("note", capture).out
    assert "say " in listed
    assert not any(one in listed for one in ("\x1b", "\x07", "\u202e"))
    assert load_notes(capture).items()[0][1].note == f"say {hostile}"
