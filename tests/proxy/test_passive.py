"""The passive proxy over real sockets: bytes, ends, refusals and backpressure go through as without it."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocppscope.errors import UsageError
from ocppscope.model import Endpoint, Side
from ocppscope.proxy import leg, server
from ocppscope.proxy.config import LEGS, SESSION, Address
from proxy.support_proxy import (
    CSMS,
    DEADLINE,
    STATION,
    Pair,
    Rest,
    Stand,
    connect,
    read,
    reset,
    rest,
    silent,
    stand,
    until,
)

BIG = 50_000_000


@pytest.fixture(scope="module")
def shared_stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with stand(tmp_path_factory.mktemp("passive")) as made:
        yield made


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Stand]:
    with stand(tmp_path) as made:
        yield made


# --- bytes ----------------------------------------------------------------------------------------------------------

PIECES = st.lists(st.binary(min_size=1, max_size=3000), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.tuples(PIECES, PIECES), ends=st.permutations(list(Side)))
def test_bytes_out_are_bytes_in(shared_stand: Stand, said: tuple[list[bytes], list[bytes]], ends: list[Side]):
    """Any bytes in any pieces, both sides at once; each side ends what it sends, in any order."""
    pair = shared_stand.pair()
    writers = [threading.Thread(target=_say, args=(pair[side], said[side])) for side in ends]
    for writer in writers:
        writer.start()
    heard = {side: rest(pair[side.other]) for side in ends}
    for writer in writers:
        writer.join(DEADLINE)
    pair.close()
    assert heard == {side: Rest(b"".join(said[side]), "FIN") for side in Side}


def _say(sock: socket.socket, pieces: list[bytes]) -> None:
    for piece in pieces:
        sock.sendall(piece)
    sock.shutdown(socket.SHUT_WR)


def test_what_that_property_did_is_recorded(shared_stand: Stand):
    """All of it, without a hole, and ended as it was."""
    shared_stand.proxy.idle()
    found = shared_stand.recorded()
    assert len(found) >= 10
    assert {tuple(talk.over) for talk in found} == {("FIN", "FIN")}


@pytest.mark.parametrize("record", [SESSION, LEGS])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_side_sees_and_the_recording_holds_the_same(tmp_path: Path, host: str, record: str):
    chance = random.Random(1)
    said = [[chance.randbytes(chance.choice((1, 7, 1400, 40_000, 70_000))) for _ in range(40)] for _ in Side]
    with stand(tmp_path, host, record=record) as made:
        pair = made.pair()
        names = pair.station.getsockname()[:2], pair.csms.getpeername()[:2]
        writers = [threading.Thread(target=_say, args=(pair[side], said[side])) for side in Side]
        for writer in writers:
            writer.start()
        for side in Side:
            assert rest(pair[side.other]) == Rest(b"".join(said[side]), "FIN")
        for writer in writers:
            writer.join(DEADLINE)
        pair.close()
        made.proxy.idle()
        found = made.recorded()
    to = (host, made.upstream.address.port)
    whole = [(names[0], to)] if record == SESSION else [(names[0], made.proxy.where), (names[1], to)]
    assert [(talk.station, talk.csms) for talk in found] == whole
    for talk in found:
        assert [bytes(one) for one in talk.sent] == [b"".join(one) for one in said]
        assert talk.over == ["FIN", "FIN"]


def test_what_a_station_sends_before_the_csms_is_there(tmp_path: Path):
    """It waits in the kernel, and nothing of it is lost."""
    with stand(tmp_path) as made:
        station = connect(made.proxy.where)
        _say(station, [b"GET / HTTP/1.1\r\n\r\n", b"\x81\x80early"])
        csms = made.upstream.accept()
        assert rest(csms) == Rest(b"GET / HTTP/1.1\r\n\r\n\x81\x80early", "FIN")
        csms.sendall(b"late")
        csms.close()
        assert rest(station) == Rest(b"late", "FIN")
        station.close()


def test_a_server_that_speaks_first(made: Stand):
    pair = made.pair()
    pair.csms.sendall(b"220 hello")
    assert read(pair.station, 9) == b"220 hello"
    pair.close()


# --- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
def test_a_half_close_leaves_the_other_way_open(made: Stand, side: Side):
    pair = made.pair()
    pair[side].sendall(b"last")
    pair[side].shutdown(socket.SHUT_WR)
    assert rest(pair[side.other]) == Rest(b"last", "FIN")
    assert silent(pair[side])
    for number in range(50):
        piece = b"still %d" % number
        pair[side.other].sendall(piece)
        assert read(pair[side], len(piece)) == piece
    pair[side.other].close()
    assert rest(pair[side]) == Rest(b"", "FIN")
    pair.close()
    made.proxy.idle()
    (talk,) = made.recorded()
    assert talk.over == ["FIN", "FIN"]


@pytest.mark.parametrize("record", [SESSION, LEGS])
@pytest.mark.parametrize("side", Side)
def test_a_reset_is_a_reset_after_all_bytes_before_it(tmp_path: Path, side: Side, record: str):
    data = random.Random(2).randbytes(300_000)
    with stand(tmp_path, record=record) as made:
        pair = made.pair()
        pair[side.other].sendall(b"hello")
        assert read(pair[side], 5) == b"hello"
        writer = threading.Thread(target=lambda: (pair[side].sendall(data), time.sleep(0.1), reset(pair[side])))
        writer.start()
        assert rest(pair[side.other]) == Rest(data, "RST")
        writer.join(DEADLINE)
        pair.close()
        made.proxy.idle()
        found = made.recorded()
    for talk in found:
        assert talk.sent[side] == data
        assert talk.over[side] == "RST"
        assert talk.sent[side.other] == b"hello"


@pytest.mark.parametrize("side", Side)
def test_a_reset_after_a_half_close(made: Stand, side: Side):
    """Who has ended what it sends is still watched: its RST reaches the other side, though that says nothing."""
    pair = made.pair()
    pair[side].shutdown(socket.SHUT_WR)
    assert rest(pair[side.other]) == Rest(b"", "FIN")
    reset(pair[side])
    until(lambda: _is_reset(pair[side.other]), "the RST")
    pair.close()
    made.proxy.idle()
    (talk,) = made.recorded()
    assert talk.over[side] == "RST"


@pytest.mark.parametrize("side", Side)
def test_who_has_left_is_no_sink(made: Stand, side: Side):
    """After `close` the kernel answers data with RST; who sends it gets to know, as it would without a proxy."""
    pair = made.pair()
    pair[side].close()
    assert rest(pair[side.other]) == Rest(b"", "FIN")
    until(lambda: _fails(pair[side.other]), "a RST")
    pair.close()
    made.proxy.idle()


def _fails(sock: socket.socket) -> bool:
    try:
        sock.sendall(bytes(1000))
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def _is_reset(sock: socket.socket) -> bool:
    """Whether a connection whose other end has finished is dead altogether."""
    try:
        sock.send(b"")
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) or _tcp_state(sock) == _CLOSED
    except OSError:
        return True


_CLOSED = 7


def _tcp_state(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def refused(made: Stand) -> tuple[str, int]:
    """A station that is reset, be it while it still connects; its address."""
    with socket.socket() as station:
        station.settimeout(DEADLINE)
        station.bind(("127.0.0.1", 0))
        name: tuple[str, int] = station.getsockname()
        with suppress(ConnectionResetError):
            station.connect(made.proxy.where)
            station.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert rest(station) == Rest(b"", "RST")
    return name


def test_a_csms_that_refuses(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with stand(tmp_path, to=Address("127.0.0.1", port)) as made:
        name = refused(made)
        made.proxy.idle()
        (talk,) = made.recorded()
        assert talk.station == name
        assert talk.over[CSMS] == "RST"
        (act,) = talk.acts
        assert act.what == "refused"
        assert f"127.0.0.1:{port} refuses connections" in act.text
        assert "refuses connections" in made.proxy.said


@pytest.mark.parametrize("name", ["nowhere.invalid", "a..b", "x" * 70 + ".example"])
def test_a_csms_whose_name_leads_nowhere(tmp_path: Path, name: str):
    with stand(tmp_path, to=Address(name, 80)) as made:
        refused(made)
        made.proxy.idle()
        assert "cannot be reached" in made.proxy.said


def test_a_csms_that_is_gone_before_anybody_looks():
    """By then the kernel knows no more who it was."""

    class Gone:
        def get_extra_info(self, name: str) -> object:
            return {"socket": sock, "sockname": ("127.0.0.1", 1), "peername": None}[name]

        def set_write_buffer_limits(self, high: int) -> None:
            pass

    class Owner:
        def connected(self, one: leg.Leg) -> None:
            assert one.remote == Endpoint("0.0.0.0", 0)
            told.append(one)

    told: list[leg.Leg] = []
    with socket.socket() as sock:
        leg.Leg(CSMS, Owner()).connection_made(Gone())  # type: ignore[arg-type]
    assert len(told) == 1


def test_a_csms_that_ends_at_once(made: Stand):
    pair = made.pair()
    pair.csms.close()
    assert rest(pair.station) == Rest(b"", "FIN")
    pair.close()
    pair = made.pair()
    reset(pair.csms)
    assert rest(pair.station) == Rest(b"", "RST")
    pair.close()
    made.proxy.idle()


def test_a_station_that_is_gone_before_the_csms_is_there(made: Stand):
    for _ in range(20):
        reset(connect(made.proxy.where))
        csms = made.upstream.accept()
        assert rest(csms).how == "RST"
        csms.close()
    made.proxy.idle()


@pytest.mark.parametrize(
    ("listen", "to"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "localhost"), ("::1", "::1"), ("::", "::1")],
)
def test_a_proxy_in_front_of_itself(tmp_path: Path, listen: str, to: str):
    """It would call itself until it had no files left."""
    with socket.socket(socket.AF_INET6 if ":" in listen else socket.AF_INET) as free:
        free.bind((listen, 0))
        port = free.getsockname()[1]
    with (
        pytest.raises(UsageError, match="is the proxy itself"),
        stand(tmp_path, listen=Address(listen, port), to=Address(to, port)),
    ):
        pass


# --- backpressure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
def test_a_slow_reader_holds_its_sender_back(tmp_path: Path, side: Side):
    """50 MB to a peer that reads nothing for a while: what waits in the proxy stays small, and nothing is lost."""
    data = random.Random(3).randbytes(1 << 20)
    with stand(tmp_path, receive_buffer=1 << 14) as made:
        pair = made.pair(receive_buffer=1 << 14)
        sent = [0]
        writer = threading.Thread(target=_pour, args=(pair[side], data, sent))
        writer.start()
        stuck = _stalls(sent)
        assert stuck < BIG // 2
        most = max(_waiting(made, side.other) for _ in range(20))
        got = 0
        while got < BIG:
            piece = pair[side.other].recv(1 << 18)
            assert piece == _at(data, got, len(piece))
            got += len(piece)
            if not got & 0xFF:
                most = max(most, _waiting(made, side.other))
        writer.join(DEADLINE)
        assert most <= leg.MAX_WAITING_BYTES + leg.READ_BYTES
        assert most > 0
        pair.close()
        made.proxy.idle()
        (talk,) = made.recorded()
        assert len(talk.sent[side]) == BIG


def _pour(sock: socket.socket, data: bytes, sent: list[int]) -> None:
    while sent[0] < BIG:
        at = sent[0] % len(data)
        sent[0] += sock.send(data[at : at + min(1 << 16, BIG - sent[0])])


def _stalls(sent: list[int]) -> int:
    """How much was sent when nothing more could be."""
    before = -1
    while before != sent[0]:
        before = sent[0]
        time.sleep(0.3)
    return before


def _at(data: bytes, at: int, count: int) -> bytes:
    at %= len(data)
    return (data + data)[at : at + count]


def _waiting(made: Stand, side: Side) -> int:
    def ask() -> int:
        (pairing,) = made.proxy.server._pairings.values()
        leg = pairing.legs[side]
        assert leg is not None
        return leg.transport.get_write_buffer_size()

    return made.proxy.call(ask)


def test_much_both_ways_at_once(made: Stand):
    data = random.Random(4).randbytes(1 << 20)
    pair = made.pair()
    counts = ([0], [0])
    writers = [threading.Thread(target=_pour, args=(pair[side], data, counts[side])) for side in Side]
    good: list[Side] = []
    readers = [threading.Thread(target=_drain, args=(pair[side], data, good, side)) for side in Side]
    for thread in (*writers, *readers):
        thread.start()
    for thread in (*writers, *readers):
        thread.join(2 * DEADLINE)
    assert sorted(good) == list(Side)
    pair.close()


def _drain(sock: socket.socket, data: bytes, good: list[Side], side: Side) -> None:
    got = 0
    while got < BIG:
        piece = sock.recv(1 << 16)
        if piece != _at(data, got, len(piece)) or not piece:
            return
        got += len(piece)
    good.append(side)


def test_a_reader_that_never_reads_does_not_stop_a_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was sent before a RST has its time to leave, and no more."""
    monkeypatch.setattr(leg, "MAX_LINGER", 0.3)
    with stand(tmp_path, receive_buffer=1 << 14) as made:
        pair = made.pair()
        pair.station.setblocking(False)
        until(lambda: not _sends(pair.station), "a full pipe")
        made.proxy.call(lambda: made.proxy.server._pairings[1].cut("RST", "a test"))
        made.proxy.idle()
        pair.close()


def _sends(sock: socket.socket) -> bool:
    try:
        return bool(sock.send(bytes(1 << 16)))
    except BlockingIOError:
        time.sleep(0.2)
        try:
            return bool(sock.send(bytes(1 << 16)))
        except BlockingIOError:
            return False


# --- many, and the end of the proxy ---------------------------------------------------------------------------------


def test_too_many_are_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    with stand(tmp_path) as made:
        pairs = [made.pair() for _ in range(3)]
        refused(made)
        until(lambda: "1 connections were refused: 3 is the most" in made.proxy.said, "a sentence")
        pairs.pop().close()
        until(lambda: made.proxy.open == 2, "room")
        pairs.append(made.pair())
        for pair in pairs:
            pair.station.sendall(b"x")
            assert read(pair.csms, 1) == b"x"
            pair.close()


def test_the_proxy_ends_its_connections_when_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In order, by FIN; who does not answer that is reset."""
    monkeypatch.setattr(server, "FAREWELL_SECONDS", 0.3)
    with stand(tmp_path) as made:
        polite, deaf = made.pair(), made.pair()
        for pair in (polite, deaf):
            pair.station.sendall(b"x")
            assert read(pair.csms, 1) == b"x"
        thread = threading.Thread(target=_leave, args=(polite,))
        thread.start()
        made.proxy.loop.call_soon_threadsafe(made.proxy.server.stop)
        thread.join(DEADLINE)
        until(lambda: not made.proxy._thread.is_alive(), "its end")
        polite.close()
        deaf.close()
    found = made.recorded()
    assert [act.what for talk in found for act in talk.acts[:1]] == ["cut-off", "cut-off"]
    assert [talk.over for talk in found] == [["FIN", "FIN"], ["FIN", "FIN"]]


def _leave(pair: Pair) -> None:
    for sock in pair:
        assert rest(sock) == Rest(b"", "FIN")
        sock.shutdown(socket.SHUT_WR)


def test_sides(made: Stand):
    """What the tests call a station is one."""
    pair = made.pair()
    assert pair[STATION].getpeername() == made.proxy.where
    assert pair[CSMS].getsockname()[1] == made.upstream.address.port
    pair.close()
