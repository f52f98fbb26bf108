"""Bounds between packets and messages, reached one by one: nothing is lost by them without a word."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
from support_frames import PING, frame, masked
from support_packets import Session, block
from support_tls import TLS12, TLS13, data
from upgrades import request, response

from ocppscope import batch
from ocppscope.capture import pcapngout
from ocppscope.capture.pcapfile import open_captures
from ocppscope.capture.synthetic import Conversation
from ocppscope.engine import Engine
from ocppscope.model import (
    ConnectionClosed,
    Endpoint,
    Event,
    Message,
    PacketComment,
    Problem,
    Side,
    StreamGap,
    Text,
    TlsConnection,
    Transport,
)
from ocppscope.options import Options
from ocppscope.track import MAX_CLUES, MAX_CONNECTION_PROBLEMS, Track
from ocppscope.wire import connection, frames, search, tlsflow, tlsflows
from ocppscope.wire.connection import MAX_TORN, ConnectionObserver, Phase
from ocppscope.wire.link import ACK, SYN
from ocppscope.wire.transport import MAX_AHEAD, Tally
from ocppscope.wire.websocket import MAX_BELIEVABLE, Reader

START = 1_795_341_600_000_000_000
CALL = b'[2,"1","Heartbeat",{}]'


def events(packets: list[bytes], engine: Engine | None = None) -> list[Event]:
    """Of packets in one block, to the end of the capture."""
    engine = engine or Engine(Options(hash_key=1))
    return [*engine.packets(block(packets)), *engine.finish()]


# --- comments on packets --------------------------------------------------------------------------------------------


def commented(path: Path, between: int, *, ordinary: bool) -> PacketComment:
    """A comment on a bare packet of a station that has spoken so many messages of another one ago."""
    legs = [Conversation(at, Endpoint(f"10.0.0.{at}", 40_000), Endpoint("10.0.0.9", 9000)) for at in (1, 2)]
    parts = []
    for leg in legs:
        parts += [leg.open(START), leg.data(Side.STATION, request(), START), leg.data(Side.CSMS, response(), START)]
    first, other = legs
    parts.append(first.data(Side.STATION, masked(CALL), START + 1))
    for number in range(between):
        text = b'[2,"%d","Heartbeat",{%s}]' % (number, b"" if ordinary else b'"odd":1')
        parts.append(other.data(Side.STATION, masked(text) if ordinary else masked(text, opcode=2), START + 2))
    parts.append(first.note(Side.STATION, START + 3, "why"))
    path.write_bytes(pcapngout.section("x") + pcapngout.interface(1, "proxy") + b"".join(parts))
    engine = Engine()
    with open_captures([path]) as reader:
        found = [event for each in reader.blocks() for event in engine.packets(each)]
    assert sum(isinstance(event, Message) for event in found) == between + 1
    (comment,) = (event for event in found if isinstance(event, PacketComment))
    return comment


@pytest.mark.parametrize("ordinary", [True, False])
@pytest.mark.parametrize("between", [batch.MAX_LOOKED_BACK - 1, batch.MAX_LOOKED_BACK])
def test_messages_among_which_that_of_a_comment_is_looked_for(tmp_path: Path, between: int, ordinary: bool) -> None:
    """MAX_LOOKED_BACK: behind more of others, the comment is told of its connection, and of no message."""
    comment = commented(tmp_path / "c.pcapng", between, ordinary=ordinary)
    near = between < batch.MAX_LOOKED_BACK or not ordinary
    assert (comment.text, comment.connection, comment.side) == ("why", 0, Side.STATION)
    assert comment.ordinal == (0 if near else -1)


# --- a connection ---------------------------------------------------------------------------------------------------


def test_problems_of_a_connection() -> None:
    """MAX_CONNECTION_PROBLEMS: the first ones, each once. The layers below know three sentences by now."""
    ends = (Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 2))
    track = Track(Engine(), ends, 0, 1)
    for number in [*range(200), *range(200)]:
        track.problem(None, Problem("tcp.conflict", f"at {number}"))
    kept = [problem.text for problem in track.snapshot().problems]
    assert kept == [f"at {number}" for number in range(MAX_CONNECTION_PROBLEMS)]


class Heard:
    """A listener that writes down texts and losses."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.losses: list[tuple[Side, int | None]] = []
        self.others: list[str] = []

    def text(self, side: Side, text: Text) -> None:
        self.texts.append(text.payload)

    def lost(self, side: Side, count: int | None, time_ns: int, why: str) -> None:
        self.losses.append((side, count))

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        self.others.append(f"unread {count}")

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.others.append(name)


def opened() -> tuple[ConnectionObserver, Heard]:
    heard = Heard()
    observer = ConnectionObserver(heard)
    return observer, heard


@pytest.mark.parametrize("length", [1000, 1 << 20, MAX_BELIEVABLE])
def test_nothing_goes_on_behind_a_gap_of_unknown_size(length: int) -> None:
    """MAX_LOST is more than any frame that is believed: the next frame is looked for, not waited for."""
    observer, heard = opened()
    observer.data(0, request(), 0, 1)
    observer.data(1, response(), 0, 2)
    observer.data(1, bytes([0x81, 127]) + length.to_bytes(8, "big") + b"[2,", 0, 3)
    observer.torn(1, None, 0, "unknown")
    observer.data(1, frame(b'[2,"2","Reset",{"type":"Soft"}]'), 0, 4)
    assert heard.losses == [(Side.CSMS, None)]
    assert heard.texts[-1] == b'[2,"2","Reset",{"type":"Soft"}]'
    assert connection.MAX_LOST > MAX_BELIEVABLE


@pytest.mark.parametrize("gaps", [MAX_TORN, 1000])
def test_gaps_from_before_it_is_known_what_a_connection_carries(gaps: int) -> None:
    """MAX_TORN of a direction are told one by one, all others with the last of them: the sum is right."""
    observer, heard = opened()
    for half in observer.assembler.halves:
        half.isn = 1
    for number in range(gaps):
        observer.gap(0, 10, number, "not captured")
        observer.data(0, b"G", number, 1)
        if number % 2:
            observer.gap(1, 1, number, "not captured")
    observer.gap(0, 7, 0, "not captured")
    assert observer.phase is Phase.NEW
    observer.data(0, request(), 0, 1)
    observer.data(1, response(), 0, 2)
    assert len(heard.losses) <= 2 * MAX_TORN
    assert sum(count or 0 for side, count in heard.losses if side is Side.STATION) == gaps * 10 + 7
    assert sum(count or 0 for side, count in heard.losses if side is Side.CSMS) == gaps // 2


def test_bytes_that_were_lost_at_the_start_are_all_counted() -> None:
    """The same through the engine, where the user reads it."""
    session = Session().open()
    for _ in range(3 * MAX_TORN):
        session.seq[0] += 5
        session.send(0, b"G").send(1)
    session.seq[0] += 5
    session.send(0, request()).send(1, response()).send(0, masked(CALL))
    found = events(session.packets)
    gaps = [event for event in found if isinstance(event, StreamGap)]
    assert len(gaps) <= MAX_TORN
    (closed,) = (event for event in found if isinstance(event, ConnectionClosed))
    assert closed.connection.lost_bytes == (5 * (3 * MAX_TORN + 1), 0)


# --- where frames are looked for ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weak", [2, search.MAX_CHAIN - 2, search.MAX_CHAIN - 1, 4 * search.MAX_CHAIN])
def test_frames_that_are_looked_at_in_a_row(weak: int) -> None:
    """MAX_CHAIN: frames in front of more that prove nothing are told as bytes that were not read."""
    heard = Heard()
    reader = Reader(Side.CSMS, heard, None, synced=False)
    before = frame(b"x", opcode=PING) + frame(b"", opcode=PING) * weak
    reader.feed(before + frame(CALL), 0, 1)
    reader.finish(0)
    whole = weak + 2 <= search.MAX_CHAIN
    assert heard.texts == [CALL]
    assert heard.others == (["control"] * (weak + 1) if whole else [f"unread {len(before)}"])


def test_how_far_a_payload_is_inflated_to_see_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_PROBED_TEXT: a bomb is told by its beginning."""
    sizes: list[int] = []

    class Watched:
        def __init__(self, *given: Any, **named: Any) -> None:
            self._real = zlib.decompressobj(*given, **named)

        def decompress(self, payload: bytes, most: int) -> bytes:
            text = self._real.decompress(payload, most)
            sizes.append(len(text))
            return text

        @property
        def eof(self) -> bool:
            return self._real.eof

    class Zlib:
        error = zlib.error
        decompressobj = Watched

    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(b"[" + bytes(1 << 24)) + squeezer.flush(zlib.Z_SYNC_FLUSH)
    monkeypatch.setattr(search, "zlib", Zlib)
    assert search.may_be_deflated_json(bomb[:-4])
    assert sizes == [search.MAX_PROBED_TEXT]


# --- TLS without keys -----------------------------------------------------------------------------------------------


def told(session: Session) -> TlsConnection:
    (found,) = (event for event in events(session.packets) if isinstance(event, TlsConnection))
    return found


def talk(*said: tuple[int, bytes]) -> Session:
    session = Session(to=443).open()
    for direction, octets in said:
        session.send(direction, octets)
    return session


@pytest.mark.parametrize("before", range(7))
def test_records_among_which_finished_is_looked_for(before: int) -> None:
    """MAX_FLIGHT: in TLS 1.3 a client's Finished message is known by its size; later records are application data."""
    flight = [(0, data(200))] * before + [(0, data(53))]
    found = told(talk(*TLS13[:2], *flight, (1, data(90)), (0, data(75)), (1, data(90))))
    first = 3 + 2 + 1  # the opening and both hellos
    packet = first + (before if before < tlsflow.MAX_FLIGHT else tlsflow.MAX_FLIGHT - 1)
    assert found.handshake_ns == packet * 1000
    assert found.application_ns[0] == 1000 * (
        first + before + 2 if before < tlsflow.MAX_FLIGHT else first + tlsflow.MAX_FLIGHT
    )


@pytest.mark.parametrize("size", [7, 40, 400])
def test_segments_of_a_greeting_that_are_read_at_once(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """MAX_GREETING: those behind them are read as they come, and the connection is told of alike."""
    said = [(way, octets[at : at + size]) for way, octets in TLS12 for at in range(0, len(octets), size)]
    session = talk(*said).close()
    delivered: list[int] = []
    greeted: list[int] = []
    begin, deliver = tlsflows.TlsFlows.begin, tlsflow.TlsFlow.deliver

    def counted(*given: Any) -> Any:
        before = len(delivered)
        rest = begin(*given)
        greeted.append(len(delivered) - before)
        return rest

    monkeypatch.setattr(tlsflows.TlsFlows, "begin", counted)
    monkeypatch.setattr(tlsflow.TlsFlow, "deliver", lambda *given: delivered.append(1) or deliver(*given))
    each = []
    for bound in (3, 8, tlsflows.MAX_GREETING, 1 << 20):
        monkeypatch.setattr(tlsflows, "MAX_GREETING", bound)
        each.append(told(session))
    assert len(greeted) == 4
    assert greeted[1] == min(greeted[3], 8 - 3)  # the opening's segments bring nothing
    assert each[0] == each[1] == each[2] == each[3]
    assert each[0].certificates == ((), (b"leaf", b"issuer"))


# --- what TCP says --------------------------------------------------------------------------------------------------


def transport(*segments: tuple[int, int, int, int, int]) -> Transport:
    """Of segments: direction, seq, length, ack, flags; a millisecond apart."""
    tally = Tally()
    for at, (direction, seq, length, ack, flags) in enumerate(segments):
        tally.add(direction, seq, length, ack, flags, START + at * 1_000_000)
    found = tally.transport(0)
    assert found is not None
    return found


OPENING = ((0, 99, 0, 0, SYN), (1, 499, 0, 100, SYN | ACK), (0, 100, 0, 500, ACK))


@pytest.mark.parametrize("beyond", [0, 1])
def test_numbers_that_are_believed(beyond: int) -> None:
    """MAX_AHEAD: what lies further ahead counts for nothing; what is in order before and behind it does."""
    found = transport(*OPENING, (0, 100 + MAX_AHEAD - 50 + beyond, 50, 500, ACK))
    assert found.sides[0].segments == 1 - beyond
    found = transport(*OPENING, (0, 100 + MAX_AHEAD + 1, 50, 500, ACK), (0, 100, 50, 500, ACK), (1, 500, 0, 150, ACK))
    assert found.sides[0].segments == 1
    assert found.sides[0].unacked_since_ns is None


# --- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("fragments", [1, 2])
def test_bytes_of_a_message(beyond: int, fragments: int) -> None:
    """MAX_MESSAGE_BYTES are kept; of a longer one it is said that it was cut, or passed over as a whole."""
    payload = bytes(frames.MAX_MESSAGE_BYTES + beyond)
    octets = frame(payload) if fragments == 1 else frame(payload[:100], fin=False) + frame(payload[100:], 0)
    problems: list[str] = []
    texts: list[bytes] = []

    class Sink(Heard):
        def text(self, side: Side, text: Text) -> None:
            texts.append(text.payload)
            problems.extend(problem.code for problem in text.problems)

    reader = Reader(Side.CSMS, Sink(), None)
    for at in range(0, len(octets), 1 << 20):
        reader.feed(octets[at : at + (1 << 20)], at, 1)
    reader.feed(frame(CALL), 0, 2)
    kept = frames.MAX_MESSAGE_BYTES if fragments == 2 else 0
    assert [len(text) for text in texts] == [kept if beyond else len(payload), len(CALL)]
    assert ("ws.too-large" in problems) == bool(beyond)


# --- the other leg of a connection ----------------------------------------------------------------------------------


def leg(to: int, network: int, before: int) -> Session:
    """A connection without an upgrade, its telling message behind so many that tell nothing."""
    session = Session(40_000 + network, to=to, station=f"10.0.{network}.1", csms=f"10.0.{network}.2")
    for number in range(before):
        session.station(masked(b'[2,"%d","Heartbeat",{"leg":%d}]' % (number, network)))
    return session.station(masked(b'[2,"a-long-enough-message-id","Heartbeat",{}]'))


@pytest.mark.parametrize("before", [0, MAX_CLUES - 1, MAX_CLUES, 3 * MAX_CLUES])
def test_messages_by_which_the_other_leg_is_recognised(before: int) -> None:
    """MAX_CLUES, the first ones: behind them it is a connection of its own, and nothing of it is lost."""
    engine = Engine(Options(hash_key=1))
    one, other = leg(80, 1, before), leg(8080, 2, before)
    found = [*engine.packets(block([*one.packets, *other.packets])), *engine.finish()]
    legs = {number: connection.leg_of for number, connection in engine.connections.items()}
    assert legs == {0: None, 1: 0 if before < MAX_CLUES else None}
    assert sum(isinstance(event, Message) for event in found) == 2 * (before + 1)
