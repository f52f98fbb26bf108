"""The engine's memory over all connections together: each bound is reached, holds, and the user is told."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from bombs import BOMBS, CSMS
from support_bombs import ACK, SYN, tcp_packet, write_packets

import ocppscope.engine as engine_module
from ocppscope.cli import afterwards
from ocppscope.engine import Engine
from ocppscope.model import (
    ConnectionClosed,
    ConnectionOpened,
    Event,
    ExchangeEnd,
    Flow,
    Message,
    PacketBlock,
    Side,
    StreamGap,
)
from ocppscope.model import Endpoint as End
from ocppscope.ocpp.exchange import ORDINARY_PENDING, Dialogue
from ocppscope.options import Options
from ocppscope.track import Track
from ocppscope.wire import inflate
from ocppscope.wire.connection import ConnectionObserver
from ocppscope.wire.decrypt import Secrets
from ocppscope.wire.handshake import MAX_SHARED_CHARS, open_handshake
from ocppscope.wire.heads import read_request
from ocppscope.wire.held import HeldBack
from ocppscope.wire.http import ORDINARY_BYTES, Upgrade
from ocppscope.wire.tcp import MAX_TAIL, Assembler
from ocppscope.wire.websocket import Reader
from support_cli import Session, frame, run, write
from support_engine import blocks_of, cut

PARTS = (Track, ConnectionObserver, Assembler, Reader, Dialogue, Upgrade)
E = TypeVar("E")
HELLO = '[2,"{}","Heartbeat",{{}}]'


def made(tmp_path: Path, bomb: str, size: int, packets: int = 64) -> Iterator[PacketBlock]:
    """The blocks of a bomb, of so many packets each."""
    return cut(blocks_of(BOMBS[bomb](tmp_path / f"{bomb}.pcap", size)), packets)


def alive() -> int:
    """Parts of connections that are in memory, whoever may still want them."""
    return sum(isinstance(one, PARTS) for one in gc.get_objects())


def bound(monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
    """Sets bounds of the engine, and of the sentences that name them."""
    for name, value in bounds.items():
        monkeypatch.setattr(engine_module, name, value)
        if hasattr(afterwards, name):
            monkeypatch.setattr(afterwards, name, value)


def of_kind(events: Iterable[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


# --- what has ended is gone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bomb", "size"),
    [("stations-closing", 60), ("flows-of-syns", 200), ("flows-of-requests", 100),
     ("flows-midstream", 100), ("holes-everywhere", 6), ("flows-of-tls", 100), ("contexts", 8),
     ("contexts-in-doubt", 8)],
)  # fmt: skip
def test_connections_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: str, size: int):
    """Nor do they wait for the garbage collector, which comes late where much is kept."""
    bound(monkeypatch, MAX_EMBRYOS=4, MAX_CONNECTIONS=4, FORGOTTEN_AT_ONCE=4)
    blocks, engine, most = list(made(tmp_path, bomb, size, 8)), Engine(), 0
    gc.collect()
    before = alive()
    gc.disable()
    try:
        for block in blocks:
            for _ in engine.packets(block):
                pass
            most = max(most, alive() - before)
        engine.finish()
        assert alive() - before <= 0
    finally:
        gc.enable()
    assert 0 < most <= 40 * len(PARTS)


def test_only_the_last_snapshots_are_kept_and_above_all_those_with_losses(monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_SNAPSHOTS=8)
    engine, flow = Engine(), Flow(End("10.0.0.1", 1), End("10.0.0.2", 2))
    for number in range(50):
        track = engine.open_stream(flow, number)
        request = b"GET /ocpp/a HTTP/1.1\r\nHost: c\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
        engine.stream(track, Side.STATION, request, number)
        engine.stream(track, Side.CSMS, b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n", number)
        if number < 3:
            track.observer.gap(0, 5, number, "lost")
        engine.stream_closed(track, Side.STATION, "RST", number)
        assert len(engine.connections) <= 8
    assert sorted(engine.connections) == [0, 1, 2, 45, 46, 47, 48, 49]


# --- nobody knows yet what they are -------------------------------------------------------------------------------


def quiet_flows(count: int, first: int = 0) -> list[bytes]:
    return [tcp_packet((100 + n, 50000), CSMS, 7, 0, SYN) for n in range(first, first + count)]


def test_the_one_longest_without_a_packet_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A connection that goes on is kept, however old; one that was forgotten and goes on is met in its middle."""
    bound(monkeypatch, MAX_EMBRYOS=8)
    begins = (1, 1000), (2, 1000)
    packets = [tcp_packet(end, CSMS, 10, 0, SYN) for end in begins]
    for n in range(5):
        packets += quiet_flows(6, 6 * n)
        packets += [tcp_packet(CSMS, begins[0], 20 + n, 11, SYN | ACK if not n else ACK)]
    for end in begins:
        packets += [tcp_packet(end, CSMS, 11, 21, ACK, frame(HELLO.format(end[0]).encode(), masked=True))]
    engine, events = Engine(), list[Event]()
    for block in cut(blocks_of(write_packets(tmp_path / "c.pcap", packets)), 5):
        events += engine.packets(block)
        assert len(engine._embryos) <= 8
    events += engine.finish()
    assert [message.id for message in of_kind(events, Message)] == ["2"]
    assert engine.summary.forgotten == 32 - 8 + 1 - 1


def test_the_user_is_told_of_those_that_were_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_EMBRYOS=8)
    path = BOMBS["flows-of-syns"](tmp_path / "c.pcap", 50)
    said = "note: 42 connections were forgotten to keep memory bounded"
    assert said in run("log", path).err
    assert said in run("stations", path).err
    assert said.removeprefix("note: ") in run("diagnose", path).out + run("diagnose", path).err
    one = BOMBS["flows-of-syns"](tmp_path / "d.pcap", 9)
    assert "note: 1 connection was forgotten" in run("log", one).err
    bound(monkeypatch, MAX_EMBRYOS=50)
    assert "forgotten" not in run("log", path).err


def test_an_upgrade_that_is_forgotten_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_EMBRYOS=8)
    path = BOMBS["flows-of-requests"](tmp_path / "c.pcap", 20)
    log = run("log", path)
    assert log.out.count("NO REPLY") == 20
    assert log.out.count("tcp.forgotten") == 12


# --- WebSockets ---------------------------------------------------------------------------------------------------


def fleet(count: int, *, talkative: int = 0) -> list[Session]:
    """Stations that say hello one after the other; the first of them go on."""
    sessions = []
    for n in range(count):
        session = Session(f"10.1.0.{n + 1}").upgrade(f"/ocpp/CP-{n}").say(0, HELLO.format(f"first-{n}"))
        session.packets = [one._replace(time_ns=one.time_ns + 100_000_000 * n) for one in session.packets]
        sessions.append(session)
    for session in sessions[:talkative]:
        session.clock += 3_600_000_000_000
        session.say(0, HELLO.format(f"late-{session.ends[0]}"))
    return sessions


def test_websockets_that_are_quiet_longest_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_CONNECTIONS=8, FORGOTTEN_AT_ONCE=4)
    path = write(tmp_path / "c.pcap", *fleet(30, talkative=1))
    engine, events = Engine(), list[Event]()
    for block in cut(blocks_of(path), 4):
        events += engine.packets(block)
        assert len(engine._tracks) - len(engine._embryos) <= 8
    events += engine.finish()
    told = of_kind(events, ConnectionClosed)
    forgotten = [one.connection for one in told if one.connection.problems[-1:] == (engine_module._FORGOTTEN,)]
    assert len(forgotten) == engine.summary.forgotten_sessions >= 22
    assert {one.close_how for one in forgotten} == {"end of capture"}
    ids = [message.id for message in of_kind(events, Message)]
    assert ids == [f"first-{n}" for n in range(30)] + ["late-10.1.0.1"]
    opened = of_kind(events, ConnectionOpened)
    assert [one.connection.station for one in opened][-1:] == ["10.1.0.1"]  # met in its middle
    log = run("log", path)
    assert log.out.count("tcp.forgotten") >= 1
    assert "WebSockets were forgotten to keep memory bounded: 8 are followed" in log.err


def test_websockets_that_one_side_has_closed_are_forgotten_sooner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_LEAVING=4)
    engine, events = Engine(), list[Event]()
    for block in made(tmp_path, "stations-closing", 30, 8):
        events += engine.packets(block)
        assert len(engine._leaving) <= 4
        assert len(engine._tracks) <= 4 + 2
    events += engine.finish()
    closed = [one.connection for one in of_kind(events, ConnectionClosed)]
    assert [one.close_how for one in closed] == ["FIN"] * 30
    assert sum(engine_module._FORGOTTEN in one.problems for one in closed) == engine.summary.forgotten_sessions == 26
    assert "4 that one side has closed" in run("log", tmp_path / "stations-closing.pcap").err


def test_a_websocket_that_speaks_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_CONNECTIONS=8, FORGOTTEN_AT_ONCE=8)
    sessions = fleet(30)
    busy = Session("10.2.0.1").upgrade("/ocpp/BUSY")
    for n in range(40):
        busy.say(0, HELLO.format(f"busy-{n}")).say(1, f'[3,"busy-{n}",{{"currentTime":"2026-11-22T12:00:00Z"}}]')
        busy.clock += 100_000_000
    engine, events = Engine(), list[Event]()
    for block in cut(blocks_of(write(tmp_path / "c.pcap", busy, *sessions)), 6):
        events += engine.packets(block)
    events += engine.finish()
    told = {one.connection.station: one.connection for one in of_kind(events, ConnectionClosed)}
    assert engine_module._FORGOTTEN not in told["BUSY"].problems
    assert told["BUSY"].messages == (40, 40)
    assert sum(message.id.startswith("busy") for message in of_kind(events, Message)) == 80
    assert engine.summary.forgotten_sessions


# --- what all of them hold back -----------------------------------------------------------------------------------

MB = 1 << 20


def held(engine: Engine, blocks: Iterable[PacketBlock], most: int, slack: int) -> list[Event]:
    """The events of blocks; asserts that no more is held between them, and that much was."""
    events, peak = list[Event](), 0
    for block in blocks:
        events += engine.packets(block)
        peak = max(peak, engine._held.total)
        real = sum(track.held_back() for track in engine._tracks.values())
        assert engine._held.total <= most
        assert abs(real - engine._held.total) <= slack
    assert peak > most // 3
    return [*events, *engine.finish()]


def test_unfinished_frames_are_given_up_and_what_follows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The rest of a frame that was given up is passed over, to the byte."""
    bound(monkeypatch, MAX_HELD=2 * MB)
    sessions = []
    for n in range(6):
        session = Session(f"10.1.0.{n + 1}").upgrade(f"/ocpp/CP-{n}")
        text = b'[2,"large","DataTransfer",{"vendorId":"' + b"x" * (800 << 10) + b'"}]'
        whole = frame(text, masked=True)
        session.send(0, whole[: 700 << 10])
        session.clock += 10**9
        session.send(0, whole[700 << 10 :]).say(0, HELLO.format(f"after-{n}"))
        sessions.append(session)
    path = write(tmp_path / "c.pcap", *sessions)
    engine = Engine()
    messages = of_kind(held(engine, cut(blocks_of(path), 4), 2 * MB, 0), Message)
    assert sorted(message.id for message in messages if message.id.startswith("after")) == [
        f"after-{n}" for n in range(6)
    ]
    lost = [m for m in messages if not m.id and any(p.code == "ws.too-large" for p in m.problems)]
    assert engine.summary.given_up == len(lost) >= 3
    assert {problem.code for message in lost for problem in message.problems} == {"ws.too-large"}
    assert len([m for m in messages if m.id == "large" and len(m.text) > 800 << 10]) == 6 - len(lost)
    log = run("log", path)
    assert "unfinished messages of all connections together took too much memory" in log.out
    assert "took more than 2 MB of memory: " in log.err


def test_an_unfinished_message_goes_on_without_what_was_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_HELD=MB)
    session = Session().upgrade()
    begins = bytearray(frame(b'[2,"x","DataTransfer",{"vendorId":"' + b"x" * (1100 << 10), masked=True))
    begins[0] = 0x01
    ends = bytearray(frame(b'y"}]', masked=True))
    ends[0] = 0x80
    session.send(0, bytes(begins)).send(0, bytes(ends)).say(0, HELLO.format("after"))
    engine, events = Engine(), list[Event]()
    for block in cut(blocks_of(write(tmp_path / "c.pcap", session)), 1):
        events += engine.packets(block)
        assert engine._held.total <= MB
    events += engine.finish()
    assert [message.id for message in of_kind(events, Message)][-1] == "after"
    assert engine.summary.given_up >= 1


def test_a_fragmented_message_keeps_its_place(monkeypatch: pytest.MonkeyPatch):
    """Fragments that come after the rest was given up belong to the same message."""
    said = list[object]()

    class Sink:
        def text(self, side: Side, text: object) -> None:
            said.append(text)

    reader = Reader(Side.CSMS, Sink(), None)  # type: ignore[arg-type]
    reader.feed(b'\x01\x05[2,"x', 1, 1)
    assert reader.held_back()
    reader.let_go()
    reader.feed(b"\x00\x02aa", 2, 2)
    reader.feed(b"\x80\x02bb" + frame(b"[]", masked=False), 3, 3)
    first, second = said
    assert (first.payload, first.frames, [p.code for p in first.problems]) == (b"", 3, ["ws.too-large"])
    assert (second.payload, second.problems) == (b"[]", ())
    assert reader.held_back() == 0


def test_holes_are_given_up_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_HELD=4 * MB)
    engine = Engine()
    events = held(engine, made(tmp_path, "holes-everywhere", 12, 40), 4 * MB, 0)
    why = "what waits for them on all connections together took too much memory"
    assert [gap.why for gap in of_kind(events, StreamGap)].count(why) == engine.summary.given_up >= 6
    assert why in run("log", tmp_path / "holes-everywhere.pcap").out


@pytest.mark.parametrize("begins", [b"GET /ocpp/x HTTP/1.1\r\nX-Long: ", b"\xc1\xfe\x7f\x00"], ids=["head", "frame"])
def test_heads_and_what_may_be_a_frame_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: bytes):
    bound(monkeypatch, MAX_HELD=MB // 2)
    text = begins + b"\xff" * 20_000
    packets = []
    for n in range(60):
        syn = [tcp_packet((1 + n, 1000), CSMS, 0, 0, SYN)] if begins.startswith(b"GET") else []
        packets += [*syn, tcp_packet((1 + n, 1000), CSMS, 1, 1, ACK, text[:10_000])]
        packets += [tcp_packet((1 + n, 1000), CSMS, 10_001, 1, ACK, text[10_000:])]
    path = write_packets(tmp_path / "c.pcap", packets)
    engine = Engine()
    held(engine, cut(blocks_of(path), 8), MB // 2, 0)
    assert engine.summary.given_up >= 20
    assert "to give up what had come of them" in run("log", path).err


def test_handshakes_that_may_be_decrypted_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two records of a ClientHello that goes on, of a connection whose keys may still come."""
    bound(monkeypatch, MAX_HELD=MB // 2)
    record = b"\x16\x03\x03\x27\x10"
    hello = record + b"\x01\x00\xff\xf0".ljust(10_000, b"\0") + record + bytes(9_000)
    ends = [(1 + n, 1000) for n in range(60)]
    packets = [tcp_packet(end, CSMS, 1 + at, 1, ACK, hello[at : at + 9500]) for end in ends for at in (0, 9500)]
    path = write_packets(tmp_path / "c.pcap", packets)
    engine = Engine(Options(secrets=Secrets(), expects_secrets=True))
    held(engine, cut(blocks_of(path), 8), MB // 2, 0)
    assert engine.summary.given_up >= 20
    keys = tmp_path / "keys.log"
    keys.write_text(f"CLIENT_RANDOM {'00' * 32} {'00' * 48}\n")
    assert "to give up what had come of them" in run("log", path, "--keylog", keys).err


def test_heads_of_open_connections_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A WebSocket with heads out of all measure can only be forgotten."""
    bound(monkeypatch, MAX_HELD=MB // 2)
    sessions = [
        Session(f"10.1.0.{n + 1}").upgrade(f"/ocpp/CP-{n}", "ocpp1.6\r\nX-Long: " + "x " * 15_000) for n in range(30)
    ]
    engine = Engine()
    events = held(engine, cut(blocks_of(write(tmp_path / "c.pcap", *sessions)), 8), MB // 2, 0)
    closed = [one.connection for one in of_kind(events, ConnectionClosed)]
    assert sum(engine_module._FORGOTTEN in one.problems for one in closed) == engine.summary.given_up > 15


def test_calls_without_an_answer_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bound(monkeypatch, MAX_HELD=MB // 4, PACKETS_A_WEIGHING=0)
    count = 10 * ORDINARY_PENDING
    sessions = [
        Session(f"10.1.0.{n + 1}").upgrade(f"/ocpp/CP-{n}").say(0, *(HELLO.format(f"{m}") for m in range(count)))
        for n in range(12)
    ]
    engine = Engine()
    events = held(engine, cut(blocks_of(write(tmp_path / "c.pcap", *sessions)), 40), MB // 4, 0)
    assert len(of_kind(events, ExchangeEnd)) == 12 * count
    assert engine.summary.given_up


def test_streams_count(monkeypatch: pytest.MonkeyPatch):
    """Bytes of a decryptor are held back like those of packets."""
    bound(monkeypatch, MAX_HELD=MB)
    engine, flow = Engine(), Flow(End("10.0.0.1", 1), End("10.0.0.2", 2))
    track, events = engine.open_stream(flow, 0), list[Event]()
    session = Session().upgrade()
    request, answer = (packet.data[54:] for packet in session.packets[2:4])
    events += engine.stream(track, Side.STATION, request, 1)
    events += engine.stream(track, Side.CSMS, answer, 2)
    whole = frame(b"x" * (3 * MB), masked=True)
    for at in range(0, len(whole), 1 << 16):
        events += engine.stream(track, Side.STATION, whole[at : at + (1 << 16)], 3)
        assert engine._held.total <= MB
    events += engine.stream(track, Side.STATION, frame(HELLO.format("after").encode(), masked=True), 4)
    assert [message.id for message in of_kind(events, Message)] == ["", "after"]


# --- the parts ----------------------------------------------------------------------------------------------------


class Jar:
    def __init__(self, size: int) -> None:
        self.size = size

    def held_back(self) -> int:
        return self.size


@pytest.mark.parametrize(("bomb", "size"), [("contexts", 12), ("contexts-in-doubt", 6)])
def test_few_contexts_tell_what_many_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: str, size: int):
    blocks, told, awake = list(made(tmp_path, bomb, size)), list[list[Event]](), 0
    for few in (False, True):
        if few:
            monkeypatch.setattr(inflate, "MAX_AWAKE", 3)
        engine, events = Engine(), list[Event]()
        for block in blocks:
            events += engine.packets(block)
            awake = len(engine.contexts.awake)
            assert awake <= inflate.MAX_AWAKE
        events += engine.finish()
        assert engine.contexts.resting == len(engine.contexts.awake) == len(engine.contexts.in_doubt) == 0
        told.append(events)
    assert told[0] == told[1]
    assert (awake == 3) == (bomb == "contexts")


def test_who_holds_most():
    kept: HeldBack[Jar] = HeldBack()
    jars = [Jar(size) for size in (5, 40, 0, 20, 30)]
    for jar in jars:
        kept.touch(jar)
    kept.settle()
    assert kept.total == 95
    assert kept.largest(100) == []
    assert kept.largest(30) == [jars[1], jars[4]]
    jars[1].size = 0
    kept.touch(jars[1])
    kept.forget(jars[3])
    kept.settle()
    assert (kept.total, kept.largest(0)) == (35, [jars[4], jars[0]])


def test_little_is_kept_of_what_was_delivered(tmp_path: Path):
    session = Session().upgrade().say(0, '[2,"a","DataTransfer",{"vendorId":"' + "x" * 9000 + '"}]')
    engine = Engine()
    for block in blocks_of(write(tmp_path / "c.pcap", session)):
        engine.packets(block)
    (track,) = engine._tracks.values()
    assert max(len(half.tail) for half in track.observer.assembler.halves) == MAX_TAIL


def test_headers_that_are_alike_are_kept_once():
    def head(long: str) -> tuple[tuple[str, str], ...]:
        text = f"GET /a HTTP/1.1\r\nHost: csms.example\r\nUpgrade: websocket\r\nX-Long: {long}\r\n\r\n"
        return open_handshake(read_request(text.encode()), 0, ()).handshake.request_headers

    one, other = head("x " * MAX_SHARED_CHARS), head("x " * MAX_SHARED_CHARS)
    assert one == other
    assert [a is b for a, b in zip(one, other, strict=True)] == [True, True, False]
    assert sum(map(len, one[2])) > MAX_SHARED_CHARS
    assert ORDINARY_BYTES > MAX_SHARED_CHARS
