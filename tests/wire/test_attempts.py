"""Connections over which their opener said nothing; told alone or together, and how many are kept in mind."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_packets import Session, block, ethernet, ipv4, ipv6, tcp
from upgrades import PLAIN, refusal, request, response

from ocppscope import engine as engine_module
from ocppscope.engine import Engine
from ocppscope.model import AttemptOutcome, ConnectAttempt, Endpoint, Flow, Side
from ocppscope.wire import attempts as module
from ocppscope.wire import link
from ocppscope.wire.attempts import Attempts
from ocppscope.wire.link import ACK, FIN, RST, SYN

SECOND = 1_000_000_000
START = 1_000_000 * SECOND
HELLO = b"\x16\x03\x01\x00\x05hello"
SSH = b"SSH-2.0-OpenSSH_9.2\r\n"
REFUSED, UNANSWERED, NO_DATA = AttemptOutcome.REFUSED, AttemptOutcome.UNANSWERED, AttemptOutcome.NO_DATA


def attempts(packets: list[bytes], step: int = SECOND, *, size: int = 1000) -> list[ConnectAttempt]:
    engine, found = Engine(), []
    times = [START + i * step for i in range(len(packets))]
    for first in range(0, len(packets), size):
        chosen = slice(first, first + size)
        found += engine.packets(block(packets[chosen], first=first + 1, times=times[chosen]))
    found += engine.finish()
    return [event for event in found if isinstance(event, ConnectAttempt)]


def syn(port: int = 50_000, **named: object) -> Session:
    return Session(port, **named).station(flags=SYN)  # type: ignore[arg-type]


def again(session: Session) -> Session:
    return session.send(0, flags=SYN, seq=100)


def refused(session: Session) -> Session:
    return session.csms(flags=RST | ACK)


ENDS: dict[str, tuple[Session, tuple[AttemptOutcome, int, Side | None] | None]] = {
    "refused": (refused(syn()), (REFUSED, 1, None)),
    "refused at the third time": (refused(again(again(syn()))), (REFUSED, 3, None)),
    "nobody answers": (again(again(syn())), (UNANSWERED, 3, None)),
    "taken back at once": (syn().station(flags=RST), None),
    "opened and closed": (Session().open().close(), (NO_DATA, 1, Side.STATION)),
    "opened, and closed by the server": (Session().open().csms(flags=FIN | ACK), (NO_DATA, 1, Side.CSMS)),
    "opened and reset": (Session().open().reset(), (NO_DATA, 1, Side.CSMS)),
    "a port probe": (syn().csms(flags=SYN | ACK).station(flags=RST), (NO_DATA, 1, Side.STATION)),
    "still open": (Session().open(), None),
    "a session": (Session().open().station(request()).csms(response()).close(), None),
    "refused by HTTP": (Session().open().station(request()).csms(refusal()).close(), None),
    "plain HTTP": (Session().open().station(PLAIN).csms(refusal("200 OK")).close(), None),
    "TLS": (Session().open().station(HELLO).close(), None),
    "another protocol": (Session().open().station(SSH).close(), None),
    "too little to tell": (Session().open().station(b"G").close(), None),
    "mid-stream": (Session().station().csms().close(), None),
    "mid-stream, and reset": (Session().reset(), None),
    "the server's packets alone": (Session().csms(flags=SYN | ACK).csms(flags=FIN | ACK), None),
}
WHERE = Flow(Endpoint("10.0.0.1", 50_000), Endpoint("10.0.0.2", 9000))


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("name", ENDS)
def test_what_became_of_it(name: str, size: int) -> None:
    session, expected = ENDS[name]
    found = attempts(session.packets, size=size)
    assert [(one.outcome, one.syns, one.closed_by) for one in found] == ([] if expected is None else [expected])
    for one in found:
        assert (one.flow, one.first_ns, one.attempts) == (WHERE, START, 1)
        last = len(session.packets) - 1 - (name == "opened and closed")  # the last ACK comes after the end
        assert one.time_ns == one.last_ns == START + last * SECOND


def test_data_that_the_capture_lacks_was_said() -> None:
    session = Session().open()
    session.seq[0] += 300
    assert attempts(session.csms().csms(flags=FIN | ACK).packets) == []


def test_one_syn_at_the_end_of_a_capture_may_still_be_answered() -> None:
    assert attempts(syn().packets) == []
    other = Session(1).open().packets
    assert [one.outcome for one in attempts([*syn().packets, *other])] == [UNANSWERED]


def test_the_port_used_again_ends_an_attempt() -> None:
    session = syn()
    session.seq = [7000, 8000]
    packets = session.open().station(request()).csms(response()).packets
    assert [(one.outcome, one.syns) for one in attempts(packets, 1000)] == [(UNANSWERED, 1)]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_attempt_is_given_up_while_the_capture_goes_on(size: int) -> None:
    talk = Session(1).open().station(request()).csms(response())
    packets = [*syn().packets, *talk.packets]
    engine, found = Engine(), []
    times = [START + i * (engine_module.SYN_WAIT_NS // 4) for i in range(len(packets))]
    for first in range(0, len(packets), size):
        chosen = slice(first, first + size)
        found += engine.packets(block(packets[chosen], first=first + 1, times=times[chosen]))
    assert [type(event).__name__ for event in found] == ["ConnectAttempt", "ConnectionOpened"]


def test_clocks_that_jump_say_nothing() -> None:
    packets = [*syn().packets, *Session(1).open().packets]
    engine = Engine()
    times = [START, *[START + 3 * engine_module.CLOCK_JUMP_NS] * 3]
    assert list(engine.packets(block(packets, times=times))) == []


# --- ICMP ---------------------------------------------------------------------------------------------------------


def unreachable(packet: bytes, code: int = 3, *, kind: int | None = None) -> bytes:
    """What a router, or the host itself, says of a packet."""
    inner = packet[14:]
    if inner[0] >> 4 == 4:
        body = bytes([3 if kind is None else kind, code]) + bytes(6) + inner[:28]
        return ethernet(0x0800, ipv4("10.0.0.254", "10.0.0.1", body, protocol=1))
    body = bytes([1 if kind is None else kind, code]) + bytes(6) + inner[:60]
    return ethernet(0x86DD, ipv6("fd00::fe", "fd00::1", body, following=58))


def syn6() -> bytes:
    segment = tcp(50_000, 9000, 100, 0, SYN)
    return ethernet(0x86DD, ipv6("fd00::1", "fd00::2", segment))


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("packet", [syn().packets[0], syn6()])
def test_a_syn_that_found_nobody(packet: bytes, size: int) -> None:
    found = attempts([packet, unreachable(packet)], size=size)
    assert [(one.outcome, one.syns) for one in found] == [(REFUSED, 1)]
    assert found[0].flow.server.port == 9000
    assert ipaddress.ip_address(found[0].flow.client.address).packed[-1] == 1


def test_other_icmp_messages_mean_nothing() -> None:
    packet = syn().packets[0]
    other = Session(7).station(flags=SYN).packets[0]
    for said in (
        unreachable(packet, 4),  # too big: the path has another MTU
        unreachable(packet, kind=11),
        unreachable(other),
        unreachable(packet)[:40],
        unreachable(b"\0" * 14 + packet[14:23] + b"\x11" + packet[24:]),
    ):
        assert attempts([packet, said]) == []


def test_an_open_connection_does_not_mind() -> None:
    session = Session().open().station(request()).csms(response())
    packets = [*session.packets, unreachable(session.packets[0]), unreachable(session.packets[3])]
    events = list(Engine().packets(block(packets)))
    assert [type(event).__name__ for event in events] == ["ConnectionOpened"]


@given(st.binary(max_size=80), st.integers(0, 3))
def test_icmp_of_any_content(body: bytes, kind: int) -> None:
    packet = ethernet(0x0800, ipv4("10.0.0.9", "10.0.0.1", bytes([kind]) + body, protocol=1))
    engine = Engine()
    engine.packets(block([syn().packets[0], packet, packet[:-3]]))
    engine.finish()


def test_icmp_messages_of_a_block_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MAX_UNREACHABLE", 3)
    packets = [Session(1000 + n).station(flags=SYN).packets[0] for n in range(8)]
    found = attempts([*packets, *map(unreachable, packets)], 1000)
    assert [one.outcome for one in found].count(REFUSED) == 3


# --- alone or together --------------------------------------------------------------------------------------------


def attempt(at: int, port: int = 1, *, server: int = 9000, client: str = "10.0.0.1") -> ConnectAttempt:
    flow = Flow(Endpoint(client, port), Endpoint("10.0.0.2", server))
    return ConnectAttempt(at, at, at, flow, REFUSED, 2)


def test_attempts_are_told_alone_then_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SINGLE", 3)
    teller, told = Attempts(), []
    for n in range(100):
        told += teller.add(attempt(n * 5 * SECOND, port=n))
    told += teller.finish()
    assert sum(one.attempts for one in told) == 100
    assert sum(one.syns for one in told) == 200
    assert [one.attempts for one in told[:3]] == [1, 1, 1]
    assert len(told) < 12
    assert all(one.last_ns - one.first_ns <= module.TOGETHER_NS for one in told)
    assert [one.first_ns for one in told] == sorted(one.first_ns for one in told)
    assert told[-1].flow.client.port == 99


def test_clients_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SINGLE", 1)
    teller = Attempts()
    names = [("10.0.0.1", 9000), ("10.0.0.3", 9000), ("10.0.0.1", 9001)]
    for at in (0, SECOND):
        told = [len(list(teller.add(attempt(at, server=server, client=client)))) for client, server in names]
        assert told == ([1, 1, 1] if at == 0 else [0, 0, 0])
    assert len(list(teller.finish())) == 3


def test_pairs_are_bounded_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", 4)
    monkeypatch.setattr(module, "MAX_SINGLE", 1)
    teller, told = Attempts(), []
    for n in range(50):
        for _ in range(3):
            told += teller.add(attempt(n * SECOND, server=n))
            assert len(teller._pairs) <= 4
    told += teller.finish()
    assert sum(one.attempts for one in told) == 150


def test_a_scan_is_followed_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_EMBRYOS", 16)
    packets = [Session(1000 + n, to=n).station(flags=SYN).packets[0] for n in range(1, 300)]
    engine, found = Engine(), []
    found += engine.packets(block(packets, times=[START + n * SECOND for n in range(len(packets))]))
    assert len(engine._waiting) <= 16
    found += engine.finish()
    assert not engine._waiting
    assert len({event.flow for event in found if isinstance(event, ConnectAttempt)}) == len(found) > 290
