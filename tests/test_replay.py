"""Replay: entries of a log as events, step by step, and what it keeps."""

from __future__ import annotations

import pytest

from conversation import play
from ocppscope import replay as module
from ocppscope.capture.entries import Closed, Entry, Named, Said, block_of
from ocppscope.capture.textlog import read_text_log
from ocppscope.model import Kind, Outcome, Side, Version
from ocppscope.options import Options
from ocppscope.replay import Replay, frame, replay
from ocppscope.wire.frames import read_header
from support_cli import run as command
from support_engine import CAPTURES, sort

SECOND = 1_000_000_000
HEARTBEAT = '[2,"1","Heartbeat",{}]'


def entries_of(name: str) -> list[Entry]:
    done = command("log", "--full", "--pings", "-q", CAPTURES / name)
    return list(read_text_log(done.out.split("\n")))


@pytest.mark.parametrize("name", ["several_stations.pcap", "refused_handshakes.pcap", "midstream.pcap"])
def test_however_the_entries_are_cut(name: str) -> None:
    entries = entries_of(name)
    whole = [event for batch in replay(entries) for event in batch]
    steps = Replay()
    events = [event for entry in entries for event in steps.entries([entry])]
    assert [*events, *steps.finish()] == whole


def test_snapshots_are_kept() -> None:
    engine = Replay()
    list(engine.entries(read_text_log(["-- 2026-11-22", "10:00:00 A → OPEN ocpp1.6", "10:00:01 A → CLOSED FIN"])))
    assert {number: one.close_how for number, one in engine.connections.items()} == {0: "FIN"}


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("masked", [True, False])
def test_frames(length: int, masked: bool) -> None:
    octets = frame(1, bytes(length), masked=masked)
    header = read_header(bytearray(octets), 0)
    assert (header.opcode, bool(header.mask), header.length) == (1, masked, length)
    assert header.size + length == len(octets)


def test_options_hold() -> None:
    text = f'10:00:00 A → OPEN ocpp1.6\n10:00:00 A → {HEARTBEAT}\n10:00:05 A ← [3,"1",{{}}]'
    assert sort(play(text, Options(timeout_ns=SECOND))).messages[1].outcome is Outcome.LATE
    run = sort(play(f"10:00:00 A → {HEARTBEAT}", Options(ports={9000: Version.V21})))
    assert (run.opened[0].version, run.opened[0].version_guessed) == (Version.V21, False)


def test_a_message_that_is_named_only_is_paired_by_its_id() -> None:
    entries = [
        Entry(1, 1, "A", None, Side.STATION, Named(Kind.CALL, "1", "Heartbeat")),
        Entry(3, 2, "A", None, Side.CSMS, Said(b'[3,"1",{"currentTime":"2026-03-01T08:00:00Z"}]')),
        Entry(4, 3, "A", None, Side.CSMS, Named(Kind.CALLERROR, "", "")),
    ]
    call, answer, error = sort([event for batch in replay(entries) for event in batch]).messages
    assert (call.kind, call.id, call.action, call.text) == (Kind.CALL, "1", "Heartbeat", b'[2,"1","Heartbeat",')
    assert [problem.text for problem in call.problems] == ["The log names this message; its JSON is not in the log."]
    assert (answer.outcome, answer.latency_ns) == (Outcome.ANSWERED, 2)
    assert (error.kind, error.id, error.outcome) == (Kind.CALLERROR, "", Outcome.NONE)


def test_the_face_of_an_engine() -> None:
    engine = Replay()
    assert (engine.summary, len(engine.retry())) == (None, 0)
    block = block_of([said(1, "A"), said(2, "A")])
    assert block.time_ns == (1, 2)
    assert len(sort(list(engine.packets(block))).messages) == 2


def said(number: int, station: str) -> Entry:
    return Entry(number, number + 1, station, number, Side.STATION, Said(HEARTBEAT.encode()))


def test_open_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 3)
    engine = Replay()
    run = sort(list(engine.entries(said(number, f"CP-{number}") for number in range(5))))
    assert [closed.number for closed in run.closed] == [0, 1]
    assert len(engine._talks) == len(engine._by_label) == len(engine._by_station) == 3


def test_what_is_kept_of_closed_connections_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SNAPSHOTS", 4)
    engine = Replay()
    for number in range(20):
        closed = Entry(number, 1, f"CP-{number}", number, Side.STATION, Closed("FIN"))
        engine.entries([said(number, f"CP-{number}"), closed])
    kept = (engine.connections, engine._numbers, engine._addresses)
    assert [len(table) <= 5 for table in kept] == [True, True, True]
    assert [engine._talks, engine._by_label, engine._by_station] == [{}, {}, {}]


def test_stations_have_addresses_of_their_own() -> None:
    run = sort(list(Replay().entries(said(number, f"CP-{number}") for number in range(600))))
    assert len({connection.flow.client.address for connection in run.opened}) == 600
