"""Packets in, events out: connections, their limits, and what must not depend on how packets are cut."""

from __future__ import annotations

import random
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from ocppscope import engine as engine_module
from ocppscope import legs as legs_module
from ocppscope.engine import Engine
from ocppscope.model import (
    ConnectAttempt,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Event,
    ExchangeEnd,
    Message,
    Outcome,
    Side,
    StreamGap,
    TlsConnection,
)
from ocppscope.wire import flows
from ocppscope.wire.connection import Phase
from ocppscope.wire.link import ACK, FIN, RST, SYN, LinkDecoder
from ocppscope.wire.tcp import STALL_NS

sys.path.insert(0, str(Path(__file__).parent / "wire"))
import itertools

from support_frames import CLOSE, PING, Deflater, frame, masked
from support_packets import Session, block, ethernet, ipv4, tcp
from upgrades import PLAIN, refusal, request, response

CALL = b'[2,"a-long-enough-message-id","Heartbeat",{}]'
RESULT = b'[3,"a-long-enough-message-id",{"currentTime":"2026-11-22T12:00:00Z"}]'
RESET = b'[2,"1","Reset",{"type":"Soft"}]'


def events_of(packets: list[bytes], *cuts: int, times: list[int] | None = None) -> list[Event]:
    """The events of packets in blocks that begin at `cuts`; without any, in one block."""
    engine, found = Engine(), []
    edges = [0, *cuts, len(packets)]
    for start, stop in itertools.pairwise(edges):
        some = None if times is None else times[start:stop]
        found += engine.packets(block(packets[start:stop], first=start + 1, times=some))
    return [*found, *engine.finish()]


def short(events: list[Event]) -> list[str]:
    """Events in a word or two."""
    return [_short(event) for event in events]


def _short(event: Event) -> str:
    match event:
        case Message():
            return f"{event.connection} {'><'[event.side]} {event.kind.name} {event.outcome}"
        case ConnectionOpened():
            status = event.connection.handshake.status if event.connection.handshake else None
            return f"{event.connection.number} opened {status}"
        case ConnectionClosed():
            return f"{event.connection.number} closed {event.connection.close_how}"
        case ControlFrame():
            return f"{event.connection} {'><'[event.side]} opcode {event.opcode}"
        case StreamGap():
            return f"{event.connection} {'><'[event.side]} lost {event.lost_bytes}"
        case ExchangeEnd():
            return f"{event.connection} {event.outcome}"
        case ConnectAttempt():
            return f"attempt {event.outcome}"
        case TlsConnection():
            return f"tls {event.close_how}"


def upgraded(session: Session | None = None, extensions: str | None = None) -> Session:
    named = {} if extensions is None else {"sec_websocket_extensions": extensions}
    session = (session or Session()).open()
    return session.station(request(**named)).csms(response(**named))


def talk(session: Session) -> Session:
    return session.station(masked(CALL)).csms(frame(RESULT))


TALK = ["0 > CALL pending", "0 < CALLRESULT answered"]
SECOND_TALK = ["1 > CALL pending", "1 < CALLRESULT answered"]

SESSIONS = {
    "a session": (talk(upgraded()).close(), ["0 opened 101", *TALK, "0 closed FIN"]),
    "the answer comes with the first frame": (
        Session().open().station(request()).csms(response() + frame(RESET)),
        ["0 opened 101", "0 < CALL pending", "0 open", "0 closed end of capture"],
    ),
    "on any port": (talk(upgraded(Session(to=31_337))).close(), ["0 opened 101", *TALK, "0 closed FIN"]),
    "after plain requests on a kept-alive connection": (
        talk(
            Session()
            .open()
            .station(PLAIN)
            .csms(refusal("200 OK"))
            .station(PLAIN)
            .csms(refusal("200 OK", b"fine"))
            .station(request())
            .csms(response())
        ).close(),
        ["0 opened 101", *TALK, "0 closed FIN"],
    ),
    "refused, then granted on the same connection": (
        talk(Session().open().station(request()).csms(refusal()).station(request()).csms(response())).close(),
        ["0 opened 401", "0 closed ", "1 opened 101", *SECOND_TALK, "1 closed FIN"],
    ),
    "refused": (
        Session().open().station(request()).csms(refusal(body=b"no")).close(),
        ["0 opened 401", "0 closed FIN"],
    ),
    "refused, then a plain request": (
        Session().open().station(request()).csms(refusal()).station(PLAIN).csms(refusal("200 OK")).close(),
        ["0 opened 401", "0 closed FIN"],
    ),
    "reset": (talk(upgraded()).reset(), ["0 opened 101", *TALK, "0 closed RST"]),
    "close frames": (
        upgraded().station(masked(b"\x03\xe8", CLOSE)).csms(frame(b"\x03\xe8", CLOSE)).close(),
        ["0 opened 101", "0 > opcode 8", "0 < opcode 8", "0 closed close frame"],
    ),
    "the port is used again": (
        talk(upgraded(talk(upgraded()).close())).close(),
        ["0 opened 101", *TALK, "0 closed FIN", "1 opened 101", *SECOND_TALK, "1 closed FIN"],
    ),
    "mid-stream": (
        talk(Session()).close(),
        ["0 opened None", *TALK, "0 closed FIN"],
    ),
    "mid-stream, in the middle of a frame": (
        talk(Session().station(b'e",{}]').csms(b"still of some frame")).close(),
        None,
    ),
    "no frame after a FIN is of the session": (
        talk(upgraded()).station(flags=FIN | ACK).station(masked(CALL.replace(b"a-l", b"b-l"))).csms(flags=FIN | ACK),
        ["0 opened 101", *TALK, "0 closed FIN"],
    ),
    "pings between": (
        talk(upgraded().csms(frame(b"", PING)).station(masked(b"", 10))).close(),
        ["0 opened 101", "0 < opcode 9", "0 > opcode 10", *TALK, "0 closed FIN"],
    ),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_session(name: str) -> None:
    session, expected = SESSIONS[name]
    if expected is not None:
        assert short(events_of(session.packets)) == expected


@pytest.mark.parametrize("name", SESSIONS)
def test_blocks_may_be_cut_anywhere(name: str) -> None:
    packets = SESSIONS[name][0].packets
    times = [1000 * i for i in range(len(packets))]
    whole = events_of(packets, times=times)
    assert events_of(packets, *range(1, len(packets)), times=times) == whole
    for cut in range(1, len(packets)):
        assert events_of(packets, cut, times=times) == whole


def test_mid_stream_in_a_frame() -> None:
    found = short(events_of(SESSIONS["mid-stream, in the middle of a frame"][0].packets))
    assert [one for one in found if "lost" not in one] == ["0 opened None", *TALK, "0 closed FIN"]


def test_a_late_retransmission_before_a_new_connection_is_no_connection_of_its_own() -> None:
    """Whether it stands in one block with the SYN after it must not matter."""
    session = upgraded()
    first = session.seq[0]
    talk(session).close().send(0, masked(CALL), seq=first)
    cut = len(session.packets) - 1
    session.seq = [90_000, 80_000]
    upgraded(session)
    times = [1000 * i for i in range(len(session.packets))]
    each = events_of(session.packets, *range(1, len(session.packets)), times=times)
    assert events_of(session.packets, cut, times=times) == each
    assert [one for one in short(each) if "opened" in one] == ["0 opened 101", "1 opened 101"]


# --- what is not OCPP ---------------------------------------------------------------------------------------------


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


FOREIGN = {
    "encrypted": lambda i: noise(i, 1000),
    "TLS from its middle": lambda i: noise(i, 300) + b"\x17\x03\x03\x03\xe8" + noise(i + 1000, 700),
    "numbers": lambda i: b"".join((17 * i + k).to_bytes(8, "big") for k in range(100)),
    "mostly zeros": lambda i: bytes(noise(i, 1)[0] if k % 11 == 0 else 0 for k in range(500)),
    "text": lambda i: b"%d: the quick brown fox jumps\r\n" % i * 30,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_connections_seen_from_their_middle_are_not_ocpp(name: str) -> None:
    packets = []
    for number in range(20):
        session = Session(40_000 + number, to=4840)
        for i in range(30):
            session.send(i & 1, FOREIGN[name](100 * number + i))
        packets += session.packets
    assert short(events_of(packets)) == []


@pytest.mark.shared
def test_public_captures_without_websocket_give_no_connection(shared: Path) -> None:
    from support_engine import run

    without = sorted(path for path in shared.glob("tcp/*/*") if path.suffix in (".pcap", ".pcapng", ".gz"))
    assert without
    invented = {}
    for path in without:
        try:
            found = run(path)
        except ValueError as problem:
            raise AssertionError(path.name) from problem
        except Exception as refused:
            if type(refused).__name__ != "CaptureError":
                raise
            continue
        if found.opened:
            invented[path.name] = len(found.messages)
    assert invented == {}


def test_the_summary_counts_what_was_there() -> None:
    engine = Engine()
    hello = b"\x16\x03\x01\x00\x05hello"
    tls = Session(1).open().station(hello)
    web = Session(2, to=80).open().station(PLAIN).csms(refusal("200 OK"))
    engine.packets(block([*tls.packets, *web.packets, *talk(upgraded()).packets]))
    engine.finish()
    counted = {phase: count for phase, count in engine.summary.flows.items() if count}
    assert counted == {Phase.TLS: 1, Phase.IDLE_HTTP: 1, Phase.WEBSOCKET: 1}
    assert [flow.server.port for flow in engine.summary.examples[Phase.IDLE_HTTP]] == [80]


def test_what_follows_a_reset_while_bytes_are_waited_for_is_ignored() -> None:
    session = Session().open()
    session.seq[0] += 90  # an ACK shall tell that these are missing
    session.csms().csms(b"HTTP/1.1 ").csms(flags=RST).csms(request())
    assert [one.partition(" ")[2] for one in short(events_of(session.packets))] == []


def test_a_wait_ends_when_it_ends_whoever_notices() -> None:
    """The packets of a flow that nobody looks at tell the time, too, alone in a block or not."""
    session, other = upgraded(), Session(60000, to=80).open()
    session.seq[1] += 50  # what the CSMS sent is not in the capture
    session.station(flags=ACK | FIN).csms(flags=ACK | FIN)
    other.station(PLAIN).csms(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").station()
    packets = session.packets + other.packets
    seconds = [0] * len(session.packets) + [5 + number for number in range(len(other.packets))]
    times = [second * 10**9 + number for number, second in enumerate(seconds)]
    whole = events_of(packets, times=times)
    assert whole == events_of(packets, *range(1, len(packets)), times=times)
    (closed,) = (event for event in whole if isinstance(event, ConnectionClosed))
    assert times[len(session.packets) - 2] + STALL_NS == closed.time_ns


def test_the_clock_may_go_back_within_tls() -> None:
    """The capture ends for a connection with its latest packet, alone in a block or not."""
    session = Session().open().station(b"\x15\x03\x01\x00\x20" + bytes(32))
    times = [1000, 5000, 1001, 1002]
    (whole,) = events_of(session.packets, times=times)
    assert [whole] == events_of(session.packets, 1, 2, 3, times=times)
    assert (type(whole), whole.time_ns) == (TlsConnection, 5000)


def test_a_flow_that_may_be_ours_for_all_that_is_missing_is_looked_at() -> None:
    """What came before its first bytes may have been the upgrade: alone in a block or not, frames are looked for."""
    session = Session().open()
    session.seq[1] += 200  # what the CSMS sent is not in the capture, but acknowledged
    session.station(bytes(8) + 4 * masked(CALL)).station(4 * masked(CALL))
    whole = events_of(session.packets)
    assert whole == events_of(session.packets, *range(1, len(session.packets)))
    assert [event.action for event in whole if isinstance(event, Message)] == ["Heartbeat"] * 8


# --- bounds -------------------------------------------------------------------------------------------------------


def syn_flood(count: int) -> list[bytes]:
    return [Session(1000 + i, station="10.9.0.9").station(flags=SYN).packets[0] for i in range(count)]


def test_embryos_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_EMBRYOS", 8)
    engine = Engine()
    engine.packets(block(syn_flood(50)))
    assert len(engine._tracks) == len(engine._embryos) == 8
    engine.finish()
    assert not engine._tracks


def test_a_connection_pushed_out_by_a_flood_is_found_again_by_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_EMBRYOS", 8)
    session = Session().open()
    before = len(session.packets)
    talk(session.station(request()).csms(response()))
    packets = [*session.packets[:before], *syn_flood(50), *session.packets[before:]]
    assert short(events_of(packets))[:3] == ["0 opened 101", *TALK]


def test_a_refused_connection_pushed_out_by_a_flood_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_EMBRYOS", 8)
    refused = Session().open().station(request()).csms(refusal())
    found = short(events_of([*refused.packets, *syn_flood(50)]))
    assert [one.split()[1] for one in found] == ["opened", "closed"]


def test_a_websocket_is_not_pushed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_EMBRYOS", 8)
    session = upgraded()
    before = len(session.packets)
    talk(session).close()
    packets = [*session.packets[:before], *syn_flood(50), *session.packets[before:]]
    assert short(events_of(packets)) == ["0 opened 101", *TALK, "0 closed FIN"]


def test_no_two_flows_share_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the block in which the dead ones are forgotten."""
    monkeypatch.setattr(flows, "MAX_FLOWS", 8)
    table, link = flows.FlowTable(), LinkDecoder(1)

    def slots(*ports: int) -> list[int]:
        packets = [ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", tcp(port, 80, data=b"x"))) for port in ports]
        return table.sift(link.decode(block(packets)))[0].tolist()

    table._limit = 8
    first = slots(*range(1, 9))
    assert len(set(first)) == 8
    table.state[np.array(first)] = flows.DEAD
    ports = [1, 2, *range(100, 108)]
    found = dict(zip(ports, slots(*ports), strict=True))
    table.state[np.array(list(found.values()))] = flows.LIVE
    living = {port: slot for port, slot in found.items() if port >= 100}
    assert len(set(living.values())) == 8
    again = dict(zip(ports, slots(*ports), strict=True))
    assert {port: again[port] for port in living} == living
    assert not {found[1], found[2]} & set(living.values())


def test_flows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_FLOWS", 16)
    table, link = flows.FlowTable(), LinkDecoder(1)
    table._limit = 16
    for port in range(1, 1000):
        packet = ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", tcp(port, 80, data=b"x")))
        found, _, _ = table.sift(link.decode(block([packet])))
        table.state[found] = flows.DEAD
    assert table.seen == 999
    assert len(table._slots) <= 16


def test_a_bomb_does_not_fill_memory() -> None:
    """What a block's messages inflate to is held at once."""
    agreed = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
    session = upgraded(extensions=agreed)
    bomb = masked(Deflater(takeover=False).message(b" " * (16 << 20)))
    bomb = bytes([bomb[0] | 0x40]) + bomb[1:]
    for _ in range(12):
        session.station(bomb)
    kept = sum(len(event.text) for event in events_of(session.packets) if isinstance(event, Message))
    assert kept <= 64 << 20


def test_whole_frames_inside_an_oversized_one_are_not_read() -> None:
    session = talk(upgraded())
    session.csms(b"\x82\x7f" + (17 << 20).to_bytes(8, "big")).csms(frame(RESET)).csms(frame(RESET))
    found = short(events_of(session.packets))
    assert not [one for one in found if "< CALL " in one]


# --- time and emptiness -------------------------------------------------------------------------------------------


def test_time_may_go_backwards() -> None:
    session = talk(upgraded()).close()
    times = [10**9 - 1000 * i for i in range(len(session.packets))]
    assert short(events_of(session.packets, times=times)) == ["0 opened 101", *TALK, "0 closed FIN"]


def test_empty_blocks() -> None:
    engine = Engine()
    assert list(engine.packets(block([]))) == []
    assert list(engine.finish()) == []
    packets = talk(upgraded()).packets
    assert short(events_of(packets, 0, 3, 3, len(packets))) == short(events_of(packets))


# --- legs ---------------------------------------------------------------------------------------------------------


def interleave(*sessions: Session) -> list[bytes]:
    length = max(len(session.packets) for session in sessions)
    return [session.packets[i] for i in range(length) for session in sessions if i < len(session.packets)]


def legs(*sessions: Session) -> dict[int, int | None]:
    engine = Engine()
    engine.packets(block(interleave(*sessions)))
    engine.finish()
    return {number: connection.leg_of for number, connection in engine.connections.items()}


def test_the_other_leg_of_a_proxy_is_recognised() -> None:
    inner = Session(40_000, to=8080, station="172.17.0.1", csms="172.17.0.2")
    assert legs(talk(upgraded()), talk(upgraded(inner))) == {0: None, 1: 0}


def test_stations_with_a_constant_key_are_not_legs_of_each_other() -> None:
    """The same server and host, another port: two connections of a careless station."""
    assert legs(talk(upgraded(Session(1))), talk(upgraded(Session(2)))) == {0: None, 1: None}


def test_a_leg_is_recognised_without_the_upgrade() -> None:
    inner = Session(40_000, to=8080, station="172.17.0.1", csms="172.17.0.2")
    assert legs(talk(Session()), talk(inner)) == {0: None, 1: 0}


def test_late_copies_are_no_legs() -> None:
    one, other = talk(upgraded()), talk(upgraded(Session(40_000, station="172.17.0.1", csms="172.17.0.2")))
    engine = Engine()
    engine.packets(block(one.packets, times=[1000] * len(one.packets)))
    late = 1000 + legs_module.LEG_WINDOW_NS + 1
    engine.packets(block(other.packets, times=[late] * len(other.packets), first=len(one.packets) + 1))
    engine.finish()
    assert [connection.leg_of for connection in engine.connections.values()] == [None, None]


def test_clues_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs_module, "MAX_CLUES", 4)
    engine = Engine()
    for port in range(1, 20):
        engine.packets(block(Session(port).station(masked(CALL.replace(b"a-", b"%02d" % port))).packets))
    assert len(engine._legs) == 4


def test_a_corrupt_compressed_message_is_survived() -> None:
    session = upgraded(extensions="permessage-deflate")
    deflater = Deflater()

    def send(payload: bytes) -> None:
        octets = masked(payload)
        session.station(bytes([octets[0] | 0x40]) + octets[1:])

    send(deflater.message(CALL))
    send(b"\x07\xff\xff\xff\xff")
    for _ in range(3):
        send(deflater.message(CALL))
    outcomes = [event.outcome for event in events_of(session.packets) if isinstance(event, Message)]
    assert len(outcomes) == 5
    assert outcomes[0] is Outcome.PENDING


def test_sides_of_a_mid_stream_connection_are_told_by_the_masks() -> None:
    session = Session().csms(frame(RESET)).station(masked(b'[3,"1",{"status":"Accepted"}]'))
    found = [event.side for event in events_of(session.packets) if isinstance(event, Message)]
    assert found == [Side.CSMS, Side.STATION]


def test_zlib_is_what_the_deflater_speaks() -> None:
    assert zlib.decompress(Deflater().message(CALL) + b"\x00\x00\xff\xff\x03\x00", -15) == CALL
