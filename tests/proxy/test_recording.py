"""The recording is what passed: read back by ocppscope, by tshark and by a parser of the tests, at any moment."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from ocppscope.cli.feeds import RecorderFeed
from ocppscope.control import State
from ocppscope.engine import Engine
from ocppscope.model import ConnectionClosed, Event, Message, Side, StreamGap
from ocppscope.proxy import spool
from ocppscope.proxy.config import LEGS, SESSION, Address
from proxy.support_fleet import ACCEPT, SWITCH, Fleet, answer, call, frame, recorded, request
from proxy.support_proxy import (
    CSMS,
    DEADLINE,
    STATION,
    Pair,
    Rest,
    Stand,
    read,
    reset,
    rest,
    small_files,
    stand,
    talks,
    until,
)
from support_engine import run


@contextmanager
def busy(directory: Path, *, pause: float = 0.0, **given: object) -> Iterator[tuple[Stand, Fleet]]:
    """A proxy with a fleet's CSMS behind it."""
    host = str(given.pop("host", "127.0.0.1"))
    with (
        Fleet(host=host, pause=pause) as fleet,
        stand(directory, host, to=Address(host, fleet.port), **given) as made,
    ):
        yield made, fleet


def names(count: int) -> list[str]:
    return [f"CP{number}" for number in range(count)]


def upgraded(made: Stand, name: str = "CP") -> Pair:
    """A station that has its WebSocket."""
    pair = made.pair()
    pair.station.sendall(request(name))
    read(pair.csms, len(request(name)))
    pair.csms.sendall(SWITCH)
    read(pair.station, len(SWITCH))
    return pair


def says(pair: Pair, side: Side, text: bytes) -> None:
    """A message that arrives."""
    pair[side].sendall(frame(text, side))
    assert read(pair[side.other], len(frame(text, side))) == frame(text, side)


# --- read back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [SESSION, LEGS])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_message_is_read_back(tmp_path: Path, host: str, record: str):
    with busy(tmp_path, host=host, record=record) as (made, fleet):
        fleet.drive(made.proxy.where, names(8))
        until(lambda: fleet.messages > 600, "messages")
        fleet.stop()
        made.proxy.idle()
        decoded = run(made.proxy.path)
    assert decoded.gaps == []
    assert {one.close_how for one in decoded.connections.values()} == {"FIN"}
    legs = [one for one in decoded.connections.values() if one.leg_of is not None]
    assert len(legs) == (8 if record == LEGS else 0)
    folded = {one.number for one in legs}
    for name in names(8):
        (connection,) = (
            one for one in decoded.connections.values() if one.station == name and one.number not in folded
        )
        for side in Side:
            texts = [message.text for message in decoded.of(connection.number, side)]
            assert texts == fleet.lists.sent[name, side] == fleet.lists.received[name, side.other]


def _asked(program: str, path: Path, *more: str) -> list[str]:
    done = subprocess.run(
        [program, "-r", str(path), "-o", "tcp.check_checksum:TRUE", *more], capture_output=True, text=True, check=True
    )
    assert not [line for line in done.stderr.splitlines() if "Running as user" not in line], done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("record", [SESSION, LEGS])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tshark_reads_the_same(tmp_path: Path, tshark: str, host: str, record: str):
    with busy(tmp_path, host=host, record=record) as (made, fleet):
        fleet.drive(made.proxy.where, names(4))
        until(lambda: fleet.messages > 200, "messages")
        fleet.stop()
        made.proxy.idle()
        path = made.proxy.path
    wrong = "_ws.malformed || tcp.checksum.status == 0 || _ws.expert.severity >= 6291456"  # warnings and errors
    assert _asked(tshark, path, "-Y", wrong) == []
    assert _asked(tshark, path, "-Y", "tcp.analysis.flags") == []
    sent: dict[str, bytearray] = {}
    fields = ("-T", "fields", "-e", "tcp.stream", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "tcp.payload")
    for line in _asked(tshark, path, "-Y", "tcp.len > 0", *fields):
        stream, source, there, payload = line.split("\t")
        sent.setdefault(f"{stream} {source} {there}", bytearray()).extend(bytes.fromhex(payload.replace(":", "")))
    mine = talks(path)
    assert sorted(map(bytes, sent.values())) == sorted(bytes(talk.sent[side]) for talk in mine for side in Side)
    texts = _asked(tshark, path, "-d", f"tcp.port=={made.proxy.where[1]},http", "-Y", "websocket")
    assert len(texts) >= 200
    counted = subprocess.run(
        [shutil.which("capinfos") or "capinfos", "-M", "-c", str(path)], capture_output=True, text=True, check=True
    )
    assert str(sum(len(talk.packets) for talk in mine)) in counted.stdout


def test_it_can_be_read_at_any_moment(tmp_path: Path):
    """While it is written: whole blocks, no hole, and every message that somebody had before the look."""
    chance = random.Random(5)
    with busy(tmp_path, pause=0.005) as (made, fleet):
        fleet.drive(made.proxy.where, names(10))
        for _ in range(8):
            time.sleep(chance.random() / 20)
            before = {key: list(texts) for key, texts in list(fleet.lists.received.items())}
            copy = tmp_path / "copy.pcapng"
            shutil.copyfile(made.proxy.path, copy)
            talks(copy)
            found = recorded(copy)
            for key, texts in before.items():
                assert found[key][: len(texts)] == texts
        fleet.stop()


def test_tshark_reads_it_while_it_is_written(tmp_path: Path, tshark: str):
    with busy(tmp_path, pause=0.005) as (made, fleet):
        fleet.drive(made.proxy.where, names(10))
        counts = []
        for _ in range(3):
            had = fleet.messages
            counts.append(len(_asked(tshark, made.proxy.path, "-Y", "tcp.len > 0")))
            assert counts[-1] >= had
        fleet.stop()
    assert all(one < two for one, two in pairwise(counts))


def test_the_recording_is_ahead_of_both_sides(tmp_path: Path):
    """A message is in the file before anybody has it."""
    with stand(tmp_path) as made:
        pair = upgraded(made)
        for number in range(100):
            side = Side(number % 2)
            text = call("CP", number)
            says(pair, side, text)
            (talk,) = made.recorded()
            assert talk.sent[side].endswith(frame(text, side))
        pair.close()


def test_the_accept_of_these_tests_is_right():
    """So that the handshake that they record is a good one."""
    assert ACCEPT.encode() in SWITCH


# --- several files --------------------------------------------------------------------------------------------------


class Kept:
    """A recorder as a feed sees one, over a proxy in this process."""

    title = "a test"

    def __init__(self, made: Stand) -> None:
        self.made = made
        self.running = True

    def files(self) -> tuple[str, ...]:
        told = self.made.proxy.told
        first = next(one.recording for one in told if isinstance(one, State))
        return first, *(one.path for one in told if type(one).__name__ == "Rotated")

    def status(self) -> str:
        return ""

    def troubles(self) -> tuple[str, ...]:
        return ()

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.running = False


class Follower:
    """Reads a recording in a thread, as the screens and the log do."""

    def __init__(self, made: Stand) -> None:
        self.recorder = Kept(made)
        self.feed = RecorderFeed(self.recorder, chunk_bytes=1 << 16)
        self.events: list[Event] = []
        self.numbers: list[int] = []
        self.trouble: Exception | None = None
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        engine = Engine()
        try:
            for block, _ in self.feed.blocks(lambda: None):
                self.numbers += range(block.first_packet, block.first_packet + len(block.offsets))
                self.events += engine.packets(block)
        except Exception as error:
            self.trouble = error
        self.events += engine.finish()

    def finish(self) -> list[Message]:
        """Stops; everything that was seen."""
        self.recorder.running = False
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        self.feed.close()
        assert self.trouble is None, self.trouble
        return [event for event in self.events if isinstance(event, Message)]


@pytest.mark.parametrize("rotate", [{"max_bytes": 1 << 16}, {"max_ns": 100_000_000}], ids=["size", "time"])
def test_nothing_is_lost_where_a_file_follows_another(tmp_path: Path, rotate: dict[str, int]):
    with busy(tmp_path, rotate=rotate) as (made, fleet):
        follower = Follower(made)
        fleet.drive(made.proxy.where, names(6))
        until(lambda: len(follower.recorder.files()) >= 5 and fleet.messages > 600, "files")
        fleet.stop()
        made.proxy.idle()
        paths = [Path(path) for path in follower.recorder.files()]
        seen = follower.finish()
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert [event for event in follower.events if isinstance(event, StreamGap)] == []
    assert follower.numbers == list(range(1, len(follower.numbers) + 1))
    assert sorted(message.text for message in seen) == sorted(
        text for texts in fleet.lists.received.values() for text in texts
    )
    assert len(seen) == fleet.messages
    # each file alone: whole, without a hole within it, and what it holds can be read
    alone = [run(path) for path in paths]
    for path in paths:
        for talk in talks(path, gaps=True):
            assert talk.lost == [0, 0]
    assert sum(len(one.messages) for one in alone) >= len(seen) - 12 * len(paths)


def test_all_files_together_are_one_recording(tmp_path: Path):
    with busy(tmp_path, rotate={"max_bytes": 1 << 16}) as (made, fleet):
        fleet.drive(made.proxy.where, names(3))
        until(lambda: len(list(tmp_path.iterdir())) >= 4, "files")
        fleet.stop()
        made.proxy.idle()
    joined = tmp_path / "joined.pcapng"
    files = sorted(tmp_path.iterdir())
    joined.write_bytes(b"".join(path.read_bytes() for path in files))
    found = recorded(joined)
    assert found == dict(fleet.lists.received)


def test_a_follower_whose_next_file_was_not_kept(tmp_path: Path):
    """It was too slow; it says so and goes on."""
    with busy(tmp_path, rotate={"max_bytes": 1 << 16, "keep": 2}) as (made, fleet):
        fleet.drive(made.proxy.where, names(3))
        until(lambda: sum(type(one).__name__ == "Rotated" for one in made.proxy.told) >= 5, "files")
        follower = Follower(made)
        fleet.stop()
        made.proxy.idle()
        seen = follower.finish()
    assert seen
    assert len(list(tmp_path.iterdir())) == 2
    assert any("is gone before it could be read" in notice for notice in follower.feed.notices)


# --- when it cannot be written --------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again sooner."""
    monkeypatch.setattr(spool, "RETRY_NS", 50_000_000)


@pytest.mark.parametrize("record", [SESSION, LEGS])
@pytest.mark.usefixtures("quick")
def test_a_full_disk_disturbs_no_traffic(tmp_path: Path, record: str):
    """Everything passes; what is missing is a gap, and each conversation says so when it goes on."""
    with stand(tmp_path, record=record) as made:
        pairs = [upgraded(made, f"CP{number}") for number in range(3)]
        for number, pair in enumerate(pairs):
            says(pair, STATION, call(f"CP{number}", 1))
        before = made.proxy.path.read_bytes()
        with small_files(len(before)) as relieve:
            for count in range(30):
                for number, pair in enumerate(pairs):
                    says(pair, Side(count % 2), call(f"lost{number}", count))
            until(lambda: "cannot be written (File too large); traffic goes on" in made.proxy.said, "a sentence")
            assert made.proxy.state.recording_trouble
            assert made.proxy.path.read_bytes() == before
            relieve()
            time.sleep(0.1)
        for number, pair in enumerate(pairs):
            says(pair, STATION, call(f"CP{number}", 2))
            says(pair, CSMS, answer(call(f"CP{number}", 2)))
        until(lambda: not made.proxy.state.recording_trouble, "the end of it")
        for pair in pairs:
            pair.close()
        made.proxy.idle()
        path = made.proxy.path
    found = talks(path, gaps=True)
    assert len(found) == (6 if record == LEGS else 3)
    for talk in found:
        assert [act.what for act in talk.acts] == ["recording-paused"]
        assert all(talk.lost)
    decoded = run(path)
    assert [message.text for message in decoded.messages if b"lost" in message.text] == []
    for number in range(3):
        assert call(f"CP{number}", 2) in [message.text for message in decoded.messages]
    assert all(sum(one.lost_bytes) for one in decoded.connections.values())
    assert {gap.connection for gap in decoded.gaps} == set(decoded.connections)


@pytest.mark.usefixtures("quick")
def test_a_connection_that_began_while_the_disk_was_full(tmp_path: Path):
    with stand(tmp_path) as made:
        size = made.proxy.path.stat().st_size
        with small_files(size):
            pair = upgraded(made)
            says(pair, STATION, call("CP", 1))
        time.sleep(0.1)
        says(pair, STATION, call("CP", 2))
        says(pair, CSMS, answer(call("CP", 2)))
        pair.close()
        made.proxy.idle()
        path = made.proxy.path
    (talk,) = talks(path, gaps=True)
    assert [act.what for act in talk.acts] == ["recording-paused"]
    assert [message.text for message in run(path).messages] == [call("CP", 2), answer(call("CP", 2))]


def test_a_recording_that_somebody_removes(tmp_path: Path):
    with stand(tmp_path) as made:
        pair = upgraded(made)
        os.unlink(made.proxy.path)
        until(lambda: "was removed: what passes is not kept" in made.proxy.said, "a sentence")
        says(pair, STATION, call("CP", 1))
        assert made.proxy.state.recording_trouble
        pair.close()


@pytest.mark.netns  # not for a namespace, but for root
def test_a_small_disk(tmp_path: Path):
    """A disk that is really full: a file system of a few pages."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    try:
        with busy(disk) as (made, fleet):
            fleet.drive(made.proxy.where, names(5))
            until(lambda: "No space left on device" in made.proxy.said, "a full disk")
            had = fleet.messages
            until(lambda: fleet.messages > had + 500, "traffic")
            fleet.stop()
            talks(made.proxy.path)
            assert recorded(made.proxy.path)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_how_each_end_is_told(tmp_path: Path):
    """What the engine says of an end is what happened."""
    ways: dict[str, Callable[[Pair], None]] = {
        "FIN": lambda pair: pair.station.close(),
        "RST": lambda pair: reset(pair.station),
    }
    for how, end in ways.items():
        directory = tmp_path / how
        directory.mkdir()
        with stand(directory) as made:
            pair = upgraded(made)
            says(pair, STATION, call("CP", 1))
            end(pair)
            assert rest(pair.csms) == Rest(b"", how)
            pair.csms.close()
            made.proxy.idle()
            path = made.proxy.path
        (closed,) = (event for event in run(path).events if isinstance(event, ConnectionClosed))
        assert (closed.connection.close_how, closed.connection.closed_by) == (how, STATION)
