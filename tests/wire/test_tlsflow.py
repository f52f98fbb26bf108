"""TLS connections as events: what their handshakes say, how they end, which are followed, how many at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_packets import Session, block
from support_tls import (
    CHANGE,
    CHOSEN_13,
    HELLO,
    TLS12,
    TLS13,
    TLS13_HELLO,
    alert,
    certificate,
    client_hello,
    data,
    handshake,
    message,
    record,
    server_hello,
)
from upgrades import refusal, request, response

from ocppscope.engine import Engine
from ocppscope.model import (
    ConnectionClosed,
    ConnectionOpened,
    Endpoint,
    Event,
    Flow,
    PlainReply,
    Side,
    TlsConnection,
)
from ocppscope.options import Options
from ocppscope.wire import flows, tls, tlsflow, tlsflows
from ocppscope.wire.connection import Phase
from ocppscope.wire.link import ACK, FIN, RST, SYN

REQUESTED = message(tls.CERTIFICATE_REQUEST, b"\1\1\0\0\0\0")


def events(packets: list[bytes], *, size: int = 1000, engine: Engine | None = None) -> list[Event]:
    engine, found = engine or Engine(), []
    for first in range(0, len(packets), size):
        found += engine.packets(block(packets[first : first + size], first=first + 1))
    return [*found, *engine.finish()]


def told(session: Session, size: int = 1000) -> TlsConnection:
    found = [event for event in events(session.packets, size=size) if isinstance(event, TlsConnection)]
    assert len(found) == 1
    return found[0]


def talk(*said: tuple[int, bytes], session: Session | None = None) -> Session:
    session = (session or Session(to=443)).open()
    for direction, octets in said:
        session.send(direction, octets).send(1 - direction)
    return session


WHOLE: dict[str, tuple[Session, dict[str, Any]]] = {
    "TLS 1.2": (
        talk(*TLS12).close(),
        {
            "close_how": "FIN",
            "closed_by": Side.STATION,
            "certificates": ((), (b"leaf", b"issuer")),
            "certificate_requested": False,
            "resumed": False,
            "records": (5, 4),
            "alerts": (),
            "plain_reply": PlainReply.NONE,
            "problems": (),
        },
    ),
    "TLS 1.3": (
        talk(*TLS13).reset(),
        {"close_how": "RST", "closed_by": Side.CSMS, "certificates": ((), ()), "records": (4, 5), "resumed": False},
    ),
    "TLS 1.2, taken up again": (
        talk((0, HELLO), (1, handshake(server_hello()) + CHANGE), (0, CHANGE), (0, data(9)), (1, data(9))),
        {"resumed": True, "close_how": "end of capture", "closed_ns": None, "closed_by": None},
    ),
    "both have certificates": (
        talk(
            (0, HELLO),
            (1, handshake(server_hello(), certificate(b"s"), REQUESTED)),
            (0, handshake(certificate(b"c"))),
        ),
        {"certificates": ((b"c",), (b"s",)), "certificate_requested": True, "empty_client_certificate": False},
    ),
    "a station without a certificate": (
        talk((0, HELLO), (1, handshake(server_hello(), certificate(b"s"), REQUESTED)), (0, handshake(certificate()))),
        {"certificates": ((), (b"s",)), "certificate_requested": True, "empty_client_certificate": True},
    ),
    "asked for another hello": (
        talk(
            (0, TLS13_HELLO),
            (1, handshake(server_hello(CHOSEN_13, random=tls.HELLO_RETRY)) + CHANGE),
            (0, CHANGE + TLS13_HELLO),
            *TLS13[1:],
        ),
        {"hello_retry": True, "problems": ()},
    ),
    "HTTP answers": (
        talk((0, HELLO), (1, refusal("400 Bad Request"))).close(),
        {"plain_reply": PlainReply.HTTP, "records": (1, 0), "server_hello": None, "problems": ()},
    ),
    "junk answers": (
        talk((0, HELLO), (1, b"\0\0\0\0what?")).close(),
        {"plain_reply": PlainReply.OTHER, "reply": "\0\0\0\0what?"},
    ),
    "nobody answers": (talk((0, HELLO)).reset(), {"plain_reply": PlainReply.NONE, "server_hello_ns": None}),
    "the hello in many pieces": (
        talk(*((0, HELLO[at : at + 3]) for at in range(0, len(HELLO), 3)), *TLS12[1:]).close(),
        {"records": (5, 4), "certificates": ((), (b"leaf", b"issuer"))},
    ),
    "a hello that cannot be read": (talk((0, handshake(message(1, b"\3\3")))), {"client_hello": None}),
    "junk after the handshake began": (talk(*TLS12[:2], (0, b"\0junk")), {"plain_reply": PlainReply.NONE}),
}


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize("name", WHOLE)
def test_a_connection(name: str, size: int) -> None:
    session, expected = WHOLE[name]
    found = told(session, size)
    assert {field: getattr(found, field) for field in expected} == expected
    assert found.flow == Flow(Endpoint("10.0.0.1", 50_000), Endpoint("10.0.0.2", 443))
    assert (found.opened_ns, found.first_packet) == (1000, 1)
    assert found == told(session)


def test_hellos_and_times() -> None:
    session = talk(*TLS12).close()
    found = told(session)
    assert found.client_hello is not None
    assert (found.client_hello.server_name, found.client_hello.alpn) == ("csms.example", ("http/1.1",))
    assert found.server_hello is not None
    assert (found.server_hello.version, found.server_hello.suite) == (0x0303, 0xC02F)
    assert (found.client_hello_ns, found.server_hello_ns, found.certificate_ns) == (4000, 6000, (None, 6000))
    assert (found.handshake_ns, found.application_ns) == (10_000, (12_000, 14_000))
    assert found.closed_ns == found.time_ns == 17_000
    octets = [sum(len(said) for direction, said in TLS12 if direction == side) for side in (0, 1)]
    assert found.payload_bytes == tuple(octets)


def test_the_handshake_of_13_ends_with_finished() -> None:
    found = told(talk(*TLS13))
    assert found.server_hello is not None
    assert found.server_hello.version == 0x0304
    assert (found.handshake_ns, found.application_ns) == (8000, (10_000, 12_000))


ALERTS = [
    (((0, HELLO), (1, alert(2, 40))), (Side.CSMS, 2, 40)),
    ((*TLS12[:2], (0, alert(2, 48))), (Side.STATION, 2, 48)),
    ((*TLS13[:2], (0, alert(2, 42))), (Side.STATION, 2, 42)),
    ((*TLS12[:4], (0, record(tls.ALERT, bytes(26)))), (Side.STATION, None, None)),
]


@pytest.mark.parametrize(("said", "expected"), ALERTS)
def test_alerts(said: tuple[tuple[int, bytes], ...], expected: tuple[Side, int | None, int | None]) -> None:
    found = told(talk(*said).close()).alerts
    assert [(one.side, one.level, one.description) for one in found] == [expected]
    assert found[0].time_ns == 1000 * (2 + 2 * len(said))


@pytest.mark.parametrize("size", [1, 1000])
def test_a_request_in_the_clear_that_is_answered_in_tls(size: int) -> None:
    found = events(talk((0, request()), (1, alert(2, 70))).close().packets, size=size)
    assert [type(event) for event in found] == [ConnectionOpened, ConnectionClosed, TlsConnection]
    connection = next(event for event in found if isinstance(event, TlsConnection))
    assert connection.plain_reply is PlainReply.TLS
    assert [(one.side, one.description) for one in connection.alerts] == [(Side.CSMS, 70)]
    assert (connection.close_how, connection.closed_by) == ("FIN", Side.STATION)
    opened = next(event for event in found if isinstance(event, ConnectionOpened))
    assert opened.connection.handshake is not None
    assert opened.connection.handshake.status is None


def test_segments_out_of_order() -> None:
    session = talk(*TLS12).close()
    packets = list(session.packets)
    packets[5], packets[7] = packets[7], packets[5]
    packets.insert(9, packets[5])
    found = [event for event in events(packets) if isinstance(event, TlsConnection)]
    assert [one.certificates[1] for one in found] == [(b"leaf", b"issuer")]


def test_a_connection_from_its_middle() -> None:
    session = Session(to=443)
    for direction, octets in TLS12[4:]:
        session.send(direction, octets)
    found = told(session.close())
    assert found.client_hello is None
    assert found.flow.server.port == 443
    assert (found.close_how, found.closed_by) == ("FIN", Side.STATION)


def test_a_port_used_again() -> None:
    session = talk(*TLS12)
    session.seq = [70_000, 80_000]
    talk(*TLS12, session=session).close()
    for size in (1, 9, 1000):
        found = [event for event in events(session.packets, size=size) if isinstance(event, TlsConnection)]
        assert [one.close_how for one in found] == ["port reused", "FIN"]
        assert [one.payload_bytes for one in found] == [found[0].payload_bytes] * 2


def test_the_summary_counts_it_once() -> None:
    for size in (1, 5, 1000):
        engine = Engine()
        events(talk(*TLS12).close().packets, size=size, engine=engine)
        counted = {phase: count for phase, count in engine.summary.flows.items() if count}
        assert counted == {Phase.TLS: 1}
        assert engine.summary.unfollowed_tls == 0


# --- cut anywhere -----------------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([HELLO, TLS12[1][1], TLS12[2][1], data(30), data(700), alert(2, 40), b"", b"", b"HTTP/1.1 "]),
        st.just(ACK),
    ),
    st.tuples(st.integers(0, 1), st.just(b""), st.sampled_from([FIN | ACK, RST, SYN])),
)


@settings(max_examples=150, deadline=None)
@given(st.booleans(), st.lists(STEPS, max_size=25), st.integers(1, 9), st.sets(st.integers(0, 20), max_size=3))
def test_nobody_can_tell_how_packets_were_cut(
    whole: bool, steps: list[tuple[int, bytes, int]], size: int, missed: set[int]
) -> None:
    session = talk(*TLS12) if whole else talk((0, HELLO))
    for direction, octets, flags in steps:
        session.send(direction, octets, flags)
    packets = [packet for at, packet in enumerate(session.packets) if at not in missed]
    each = []
    for length in (1, size, 1000):
        engine = Engine(Options(hash_key=1))
        each.append((events(packets, size=length, engine=engine), engine.summary.flows))
    assert each[0] == each[1] == each[2]


def test_a_long_connection_is_counted_as_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    session = talk(*TLS12)
    for _ in range(200):
        session.send(0, data(50)).send(1, data(60))
    session.send(1, flags=FIN | ACK).send(0, data(50)).send(0, flags=FIN | ACK).send(1, data(999))
    looked_at = []
    take = tlsflows.TlsFlows.take
    monkeypatch.setattr(tlsflows.TlsFlows, "take", lambda *given: looked_at.append(1) or take(*given))
    for size in (50, 1000):
        looked_at.clear()
        found = told(session, size)
        handshaken = [sum(len(said) for direction, said in TLS12 if direction == side) for side in (0, 1)]
        assert found.payload_bytes == (handshaken[0] + 201 * 55, handshaken[1] + 200 * 65)
        assert found.closed_by is Side.CSMS
        assert len(looked_at) == 2


# --- bounds -----------------------------------------------------------------------------------------------------


def hello(port: int, *, to: int = 443, server: str = "10.0.0.2") -> list[bytes]:
    return talk((0, HELLO), session=Session(port, to=to, csms=server)).packets


def test_followed_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tlsflows, "MAX_TLS", 8)
    engine, found = Engine(), []
    for port in range(1, 100):
        found += engine.packets(block(hello(port)))
        assert len(engine._tls.followed) <= 8
        assert np_count(engine, flows.LIVE) + np_count(engine, flows.COUNTED) <= 8
    found += engine.finish()
    connections = [event for event in found if isinstance(event, TlsConnection)]
    assert [one.close_how for one in connections] == ["let go"] * 91 + ["end of capture"] * 8
    assert engine.summary.unfollowed_tls == 91


def np_count(engine: Engine, state: int) -> int:
    return int((engine._flows.state[list(engine._flows._slots.values())] == state).sum())


def test_handshakes_that_are_read_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tlsflows, "MAX_OPENING", 4)
    engine = Engine()
    for port in range(1, 50):
        engine.packets(block(hello(port)))
        assert len(engine._tls._opening) <= 4
    assert len(engine._tls.followed) == 49
    engine.finish()


def test_only_some_connections_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tlsflows, "FREE_FLOWS", 5)
    monkeypatch.setattr(tlsflows, "MORE_FLOWS", 20)
    for size in (1, 1000):
        engine = Engine()
        packets = [packet for port in range(1, 101) for packet in hello(port)]
        found = [event for event in events(packets, size=size, engine=engine) if isinstance(event, TlsConnection)]
        more = len(packets) // tlsflows.PACKETS_A_FLOW
        assert 20 <= len(found) <= 20 + more
        assert engine.summary.unfollowed_tls == 100 - len(found)
        assert engine.summary.flows[Phase.TLS] == 100


def test_beside_ocpp_only_its_ends_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tlsflows, "FREE_FLOWS", 2)
    ocpp = Session(1).open().station(request()).csms(response()).packets
    engine, found = Engine(), []
    found += engine.packets(block(ocpp))
    for port in range(10, 20):
        found += engine.packets(block(hello(port, server="10.0.0.2" if port & 1 else "192.0.2.1")))
        found += engine.packets(
            block(talk((0, HELLO), session=Session(port, station="10.7.7.7", csms="192.0.2.9")).packets)
        )
    found += engine.finish()
    ends = [event.flow.client.address for event in found if isinstance(event, TlsConnection)]
    assert ends.count("10.7.7.7") == 1
    assert ends.count("10.0.0.1") == 10


def test_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tlsflows, "MAX_ADDRESSES", 4)
    engine = Engine()
    for n in range(1, 30):
        engine.packets(block(Session(csms=f"10.1.1.{n}").open().station(request()).csms(response()).packets))
    assert len(engine._tls._addresses) <= 4


def test_a_handshake_without_end_is_given_up() -> None:
    engine = Engine()
    session = talk((0, HELLO))
    for _ in range(tlsflow.MAX_HANDSHAKE_RECORDS + 10):
        session.station(handshake(message(20, b"x")))
    engine.packets(block(session.packets))
    assert not engine._tls._opening
    found = [event for event in engine.finish() if isinstance(event, TlsConnection)]
    assert found[0].records[0] <= tlsflow.MAX_HANDSHAKE_RECORDS + 1


def test_alerts_problems_and_replies_are_bounded() -> None:
    found = told(talk((0, HELLO), *((1, alert(1, n % 100)) for n in range(30))))
    assert len(found.alerts) == tlsflow.MAX_ALERTS
    bad = [handshake(message(kind, b"")) for kind in (1, 2, 11)]
    found = told(talk((0, HELLO), *((1, one) for one in bad), (0, handshake(client_hello()[:4] + b"\xff" * 9))))
    assert 0 < len(found.problems) <= tlsflow.MAX_PROBLEMS
    assert all(problem.code.startswith("tls.") for problem in found.problems)
    found = told(talk((0, HELLO), (1, b"x" * 900), (1, b"y" * 900)))
    assert len(found.reply) <= tlsflow.MAX_REPLY


@given(st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=80), st.integers(0, 40)), max_size=20))
def test_a_reader_never_raises(pieces: list[tuple[int, bytes, int]]) -> None:
    reader = tlsflow.TlsReader()
    reader.data(0, HELLO, 0)
    for direction, octets, lost in pieces:
        reader.data(direction, octets, 1)
        if lost:
            reader.gap(direction, lost, 1, "lost")
    assert reader.plain_reply in PlainReply


# --- real ones --------------------------------------------------------------------------------------------------

# What tshark 4.0 says: version, suite, server name, certificates of either side.
REAL = {
    "t12_ecdhe_rsa_gcm128.pcap": [(0x0303, 0xC02F, "localhost", 0, 2)],
    "t12_mtls.pcap": [(0x0303, 0xC030, "localhost", 2, 2)],
    "t12_rsa_gcm128.pcap": [(0x0303, 0x009C, "localhost", 0, 2)],
    "t12_resume_ticket.pcap": [(0x0303, 0xC02F, "localhost", 0, n) for n in (2, 0, 0)],
    "t13_aes128gcm.pcap": [(0x0304, 0x1301, "localhost", 0, 0)],
    "t13_mtls.pcap": [(0x0304, 0x1302, "localhost", 0, 0)],
}


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_real_connections(name: str, shared: Path) -> None:
    from support_engine import run

    found = [event for event in run(shared / "tls" / name).events if isinstance(event, TlsConnection)]
    facts = []
    for one in found:
        assert one.client_hello is not None
        assert one.server_hello is not None
        assert one.close_how == "FIN"
        assert one.handshake_ns is not None
        assert None not in one.application_ns
        assert all(chain[:2] == b"0\x82" for side in one.certificates for chain in side)
        counts = [len(side) for side in one.certificates]
        facts.append((one.server_hello.version, one.server_hello.suite, one.client_hello.server_name, *counts))
    assert facts == REAL[name]
    assert [one.resumed for one in found] == [number > 0 for number in range(len(found))]
