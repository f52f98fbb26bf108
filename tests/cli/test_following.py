"""Recorders are followed: every message of every file, once, as it is written, until the recorder ends."""

from __future__ import annotations

import os
import threading
import time

import pytest

from ocppscope.capture import pcapngout
from ocppscope.capture.synthetic import Conversation
from ocppscope.cli import loading
from ocppscope.cli import session as session_module
from ocppscope.cli.feeds import RecorderFeed
from ocppscope.cli.following import Follow, run_follow
from ocppscope.cli.loading import CaptureSession
from ocppscope.cli.run import LogRequest
from ocppscope.engine import Engine
from ocppscope.model import Endpoint, Message, Side
from ocppscope.options import Options
from ocppscope.render.csvtext import CsvFormat
from ocppscope.render.jsonl import JsonlFormat
from ocppscope.render.textlog import TextFormat
from ocppscope.render.times import ClockFormat
from ocppscope.store.notes import load_notes
from ocppscope.store.store import Store
from store.support_store import call, closed, opened
from support_cli import run
from test_comments import ANSWER, UPGRADE, frame

DEADLINE = 20.0
START = 1_795_341_600_000_000_000


class Written:
    """A recorder whose files a test writes."""

    title = "a test"

    def __init__(self, tmp_path) -> None:
        self._tmp_path = tmp_path
        self._files: list[str] = []
        self._file = None
        self.running = True
        self.leg = Conversation(1, Endpoint("10.0.0.5", 40_000), Endpoint("10.0.0.9", 9000))
        self._time, self._id = START, 0

    def start(self) -> None:
        if not self._files:
            self.turn()
            self.write(self.leg.open(START) + self.leg.data(Side.STATION, UPGRADE, START + 1))
            self.write(self.leg.data(Side.CSMS, ANSWER, START + 2))

    def turn(self) -> None:
        path = os.fspath(self._tmp_path / f"part-{len(self._files)}.pcapng")
        if self._file is not None:
            self._file.close()
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 (written to until the next one)
        self.write(pcapngout.section("x") + pcapngout.interface(1, "x"))
        self._files.append(path)

    def write(self, blocks: bytes) -> None:
        self._file.write(blocks)

    def call(self) -> None:
        self._id += 1
        self._time += 1_000_000
        text = f'[2,"{self._id}","Heartbeat",{{}}]'
        self.write(self.leg.data(Side.STATION, frame(text, masked=True), self._time))

    def files(self) -> tuple[str, ...]:
        return tuple(self._files)

    def status(self) -> str:
        return f"{self._id} written"

    def troubles(self) -> tuple[str, ...]:
        return ("a trouble",)

    def stop(self) -> None:
        self.running = False
        if self._file is not None:
            self._file.close()


def until(met, what: str):
    end = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < end, what
        time.sleep(0.005)


@pytest.fixture
def recorder(tmp_path):
    made = Written(tmp_path)
    yield made
    made.stop()


def test_messages_come_while_they_are_written_and_over_the_borders_of_files(recorder):
    feed, engine = RecorderFeed(recorder, chunk_bytes=1 << 16), Engine()
    feed.begin()
    seen: list[Message] = []

    def follow() -> None:
        for block, path in feed.blocks(lambda: None):
            assert path in recorder.files()
            seen.extend(one for one in engine.packets(block) if isinstance(one, Message))

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for part in range(4):
            for _ in range(5):
                recorder.call()
            until(lambda part=part: len(seen) == 5 * (part + 1), "the messages of a part")
            recorder.turn()
        recorder.call()
    finally:
        recorder.stop()
        thread.join(DEADLINE)
    assert not thread.is_alive()
    assert [one.id for one in seen] == [str(number) for number in range(1, 22)]
    packets = [one.packets[0] for one in seen]
    assert packets == sorted(set(packets))  # numbered through
    assert feed.progress == (sum(os.path.getsize(one) for one in recorder.files()), None)
    assert feed.notices == ("a trouble",)


def test_a_session_shows_texts_of_every_file_and_says_how_it_goes(recorder):
    session = CaptureSession(RecorderFeed(recorder, chunk_bytes=1 << 16), Options())
    told = threading.Event()
    session.start(told.set)
    try:
        recorder.call()
        until(lambda: len(session.store) == 1, "the first row")
        assert told.wait(DEADLINE)
        recorder.turn()
        recorder.call()
        until(lambda: len(session.store) == 2, "the second row")
        assert [session.store.message(row).id for row in (0, 1)] == ["1", "2"]
        assert not session.progress().done
        assert session.progress().recording == "2 written"
        recorder.stop()
        until(lambda: session.progress().done, "the end")
        assert session.progress().trouble == ""
    finally:
        session.stop()


def test_a_session_of_days_keeps_the_newest_rows_and_holds_no_files(recorder, monkeypatch):
    monkeypatch.setattr(loading, "LIVE_ROWS", 40)
    monkeypatch.setattr(loading, "Store", lambda retain: Store(retain=retain, chunk_rows=8))
    session = CaptureSession(RecorderFeed(recorder, chunk_bytes=1 << 16), Options())
    session.start(lambda: None)
    try:
        for number in range(1, 201):
            recorder.call()
            if number % 20 == 0:
                recorder.turn()
        until(lambda: len(session.store) == 200, "all rows")
        assert 40 <= len(session.store) - session.store.first <= 48
        assert session.store.message(199).id == "200"
        held = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if _is_there(one)]
        assert sum("part-" in name for name in held) <= 3, "the one that is read, the one that is written"
    finally:
        session.stop()


def _is_there(number: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{number}")


@pytest.mark.parametrize("make", [TextFormat, JsonlFormat, CsvFormat])
def test_a_log_of_days_forgets_connections_that_are_over(make, monkeypatch):
    """But not those that are open, however long ago they began."""
    monkeypatch.setattr(session_module, "MAX_OVER", 10)
    form, lines = make(), []
    log = session_module.Log(form, lines.append)
    log.forgets = True
    log.take([opened(0)])
    for number in range(1, 200):
        log.take([opened(number), call(0, connection=number), closed(number)])
    log.take([call(0)])
    assert "CP000" in lines[-1]
    for kept in [one for one in vars(form).values() if isinstance(one, dict) and 0 in one]:
        assert len(kept) <= 12


def test_the_last_message_is_told_even_if_nothing_follows_it(recorder):
    session = CaptureSession(RecorderFeed(recorder, chunk_bytes=1 << 16), Options())
    rows: list[int] = []
    session.start(lambda: rows.append(len(session.store)))
    try:
        for count in range(1, 30):
            recorder.call()
            until(lambda count=count: len(session.store) == count, "a row")
        until(lambda: rows[-1:] == [29], "the telling of the last row")
    finally:
        session.stop()


@pytest.mark.parametrize("is_kept", [True, False])
def test_notes_stand_beside_the_first_file_of_what_is_kept(recorder, is_kept, monkeypatch):
    class Screens:
        """In place of the screens: notes the first message, as ; does."""

        def __init__(self, session, settings, *, filter_text):
            self.session = session

        def run(self):
            self.session.start(lambda: None)
            recorder.call()
            until(lambda: len(self.session.store) == 1, "the first row")
            recorder.turn()
            if self.session.notes is not None:
                self.session.notes.set(self.session.store.message(0), note="live")
                self.session.notes.save()

    monkeypatch.setattr("ocppscope.tui.app.Scope", Screens)
    log = LogRequest([], Options(), "text", "never", ClockFormat())
    run_follow(Follow(recorder, log, is_kept=is_kept), on_screen=True)
    recorder.stop()
    first = recorder.files()[0]
    assert [one.note for _, one in load_notes(first).items()] == (["live"] if is_kept else [])
    if is_kept:
        assert "live   (row 0)" in run("note", first).out


def test_nothing_recorded_is_no_trouble(recorder):
    session = CaptureSession(RecorderFeed(recorder, chunk_bytes=1 << 16), Options())
    session.start(lambda: None)
    recorder.stop()
    until(lambda: session.progress().done, "the end")
    session.stop()
    assert session.progress().trouble == ""
    assert len(session.store) == 0
