"""Bounds of the relay and of those who steer it are reached: memory stays small, and somebody is told."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from support_pki import NAME, Pki, client_end, converse, server_end
from support_proxy import CSMS, DEADLINE, STATION, connect, read, rest, stand, talks, until

from ocppscope.control import MAX_LINE_BYTES, Answered, Drop, Failed, Inject, Opened, Rotated, Said, line, read_tiding
from ocppscope.model import Kind
from ocppscope.proxy import relay, steering, tls
from ocppscope.proxy.config import Address, Config, Recording
from ocppscope.proxy.contexts import TlsSettings
from ocppscope.proxy.frames import MAX_MESSAGE_BYTES
from ocppscope.proxy.injecting import ANSWER_WAIT_NS, MAX_LATE, Injector
from ocppscope.proxy.leg import MAX_EVIDENCE_BYTES, PIECE_BYTES
from ocppscope.proxy.pairing import MAX_PEEKED_BYTES
from ocppscope.proxy.relay import MAX_UNREAD_BYTES, Channel
from ocppscope.proxy.steering import FORGOTTEN, MAX_ANSWERS, MAX_SAID, Relay
from ocppscope.proxy.tls import MAX_RETRIES, TlsPipe

REQUEST = b"GET /ocpp/CP-1 HTTP/1.1\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\n"
PROTOCOL = b"Sec-WebSocket-Protocol: ocpp1.6\r\n"


# --- injected CALLs -----------------------------------------------------------------------------------------------


def test_the_oldest_of_many_late_calls_is_forgotten():
    """A late answer to one of the others is still swallowed. Each was told to have none after `ANSWER_WAIT_NS`."""
    injector, now, ids = Injector(STATION, random.Random(1)), 0, []
    for _ in range(MAX_LATE + 1):
        assert injector.ask(Inject(1, STATION, "Reset", "{}"), now) == ""
        sent = injector.next(now, None)
        assert sent is not None
        ids.append(sent[1])
        now += ANSWER_WAIT_NS
        told = injector.given_up(now)
        assert told is not None
        assert "no answer" in told.trouble
    assert injector.answered(Kind.CALLRESULT, ids[0], "[]", now) is False
    assert all(injector.answered(Kind.CALLRESULT, one, "[]", now) is True for one in ids[1:])


# --- what is kept of a connection ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "found"), [(MAX_PEEKED_BYTES - 300, True), (MAX_PEEKED_BYTES + 1, False)])
def test_the_subprotocol_is_not_looked_for_further(tmp_path: Path, before: int, found: bool):
    """Nor is a head kept that does not end: the station's name is told when so much of it has come."""
    with stand(tmp_path) as made:
        pair = made.pair()
        pair.station.sendall(REQUEST + b"X: " + b"x" * MAX_PEEKED_BYTES)
        until(lambda: made.proxy.server._pairings[1].link.station == "CP-1", "the station's name")
        pair.csms.sendall(ANSWER + b"X: " + b"x" * before + b"\r\n")
        read(pair.station, len(ANSWER) + before + 5)
        pair.csms.sendall(PROTOCOL + b"\r\n")
        read(pair.station, len(PROTOCOL) + 2)
        versions = [one.link.version for one in made.proxy.told if isinstance(one, Opened)]
        assert versions[-1] == ("ocpp1.6" if found else "")
        assert made.proxy.server._pairings[1]._peeked[CSMS] is None
    (talk,) = made.recorded()
    assert PROTOCOL in talk.sent[CSMS]


@pytest.mark.parametrize("piece", [1 << 16, 1], ids=["at once", "byte by byte"])
def test_evidence_of_an_endless_handshake(tmp_path: Path, piece: int):
    """What is beyond is not recorded, and that is; no piece of memory for each byte."""
    leaf = Pki(tmp_path).leaf()
    folder = tmp_path / "recordings"
    folder.mkdir()
    settings = TlsSettings(certificate=leaf.certificate, key=leaf.key)
    count = MAX_EVIDENCE_BYTES + 1000 if piece > 1 else 3000
    record = b"\x16\x03\x01" + (16_000).to_bytes(2, "big")
    sent = (record + b"\x01\x01\xff\xff" + bytes(15_996) + (record + bytes(16_000)) * 5)[:count]  # of 131,071 bytes
    with stand(folder, listen=Address("127.0.0.1", 0, tls=True), tls=settings) as made:
        station = connect(made.proxy.where)
        station.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(sent), piece):
            station.sendall(sent[at : at + piece])
        leg = until(lambda: next((one.legs[STATION] for one in made.proxy.server._pairings.values()), None), "a leg")
        until(lambda: leg.is_evidence_cut or sum(len(one) for _, one in leg.evidence) >= count, "all of it")
        assert len(leg.evidence) <= count // PIECE_BYTES + 8
        station.close()
        until(lambda: "TLS with the station failed" in made.proxy.said, "the failure")
        made.proxy.idle()
    (talk,) = talks(made.proxy.path)
    kept = b"".join(talk.pieces(STATION))
    assert sent.startswith(kept)
    assert len(kept) + len(b"".join(talk.pieces(CSMS))) == min(count, MAX_EVIDENCE_BYTES)
    assert ("and no more" in talk.acts[0].text) == (count > MAX_EVIDENCE_BYTES)


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_key_log_that_cannot_be_written_is_tried_so_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
):
    """Enough for every line of a handshake; then it has failed, which is said, instead of standing still."""
    pki = Pki(tmp_path)
    contexts = client_end(root=pki.root, highest=version), server_end(pki.leaf())
    for context in contexts:
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full")
        context.keylog_filename = "/dev/full"

    def ends() -> tuple[TlsPipe, TlsPipe]:
        made = TlsPipe(contexts[0], server_hostname=NAME), TlsPipe(contexts[1], server_side=True)
        converse(*made)
        return made

    assert all(one.done and one.failure is None for one in ends())
    monkeypatch.setattr(tls, "MAX_RETRIES", 1)
    failed = [one.failure for one in ends() if one.failure is not None]
    assert failed
    assert {(one.code, one.blame) for one in failed} == {("own-trouble", "proxy")}
    assert "key log" in failed[0].text


def test_a_step_is_not_tried_for_ever(tmp_path: Path):
    tries = 0

    def step() -> None:
        nonlocal tries
        tries += 1
        assert tries <= MAX_RETRIES
        raise OSError

    pipe = TlsPipe(client_end(root=Pki(tmp_path).root), server_hostname=NAME)
    pipe._attempt(step)
    assert tries == MAX_RETRIES
    assert pipe.failure is not None


# --- the channel --------------------------------------------------------------------------------------------------


class Wire:
    """A channel, and the other end of its socket."""

    def __init__(self, channel: Channel, sock: socket.socket) -> None:
        self.channel, self.sock = channel, sock
        self.told = bytearray()

    async def hear(self, until_text: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            while until_text not in self.told:
                self.told += await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)


def wired(play: Callable[[Wire], Awaitable[None]]) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            transport, channel = await asyncio.get_running_loop().create_connection(Channel, sock=theirs)
            try:
                await play(Wire(channel, ours))
            finally:
                transport.abort()
                await asyncio.sleep(0)

    asyncio.run(run())


def test_tidings_that_nobody_reads_are_dropped_and_that_is_told():
    """But for those without which the recording cannot be followed."""

    async def play(wire: Wire) -> None:
        transport = wire.channel._transport
        assert transport is not None
        for _ in range(3 * MAX_UNREAD_BYTES >> 16):
            wire.channel.tell(Said("x" * (1 << 16)))
        assert MAX_UNREAD_BYTES < transport.get_write_buffer_size() < MAX_UNREAD_BYTES + (1 << 17)
        wire.channel.tell(Rotated("the next file"))
        await wire.hear(b"the next file")
        wire.channel.tell(Said("the last"))
        await wire.hear(b"the last")
        tidings = [read_tiding(text) for text in wire.told.splitlines()]
        kinds = [type(one) for one in tidings]
        assert kinds.count(Said) < 2 * MAX_UNREAD_BYTES >> 16
        assert kinds[-3:] == [Said, Rotated, Said]
        assert "were lost" in tidings[-3].text

    wired(play)


def test_an_order_that_is_too_long_ends_the_proxy_and_says_so(monkeypatch: pytest.MonkeyPatch):
    assert MAX_LINE_BYTES > 12 * MAX_MESSAGE_BYTES  # whatever passes, each byte an escape, and held with its text
    monkeypatch.setattr(relay, "MAX_LINE_BYTES", 100_000)

    async def play(wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(wire.sock, b"x" * 200_000)
        await wire.hear(b"longer than 100,000 bytes")
        assert wire.channel.config.cancelled()
        with suppress(TimeoutError):
            await asyncio.wait_for(loop.sock_sendall(wire.sock, b"x" * 10_000_000), 0.2)
        assert len(wire.channel._waiting) <= 100_000

    wired(play)


@pytest.mark.parametrize("cut", [1, 7, 50, 1 << 16])
def test_orders_are_the_same_however_they_come(cut: int):
    class Obeying:
        def __init__(self) -> None:
            self.orders: list[object] = []
            self.obey = self.orders.append

        def stop(self) -> None:
            pass

        let_go = stop

    wanted = [Drop(number) for number in range(30)]
    config = Config(Address("127.0.0.1", 0), Recording("x.pcapng"), Address("127.0.0.1", 1))
    sent = msgspec.json.encode(config) + b"\n" + b"".join(map(line, wanted))

    async def play(wire: Wire) -> None:
        wire.channel.server = made = Obeying()  # type: ignore[assignment]
        for at in range(0, len(sent), cut):
            wire.channel.data_received(sent[at : at + cut])
        assert wire.channel.config.result() == config
        assert made.orders == wanted

    wired(play)


# --- who steers ---------------------------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[tuple[Relay, socket.socket]]:
    """A relay's outside, and the socket on which it is told something."""
    ours, theirs = socket.socketpair()
    made = Relay(Config(Address("127.0.0.1", 0), Recording("x.pcapng"), Address("127.0.0.1", 1)))
    thread = threading.Thread(target=made._listen, args=(theirs,))
    thread.start()
    try:
        with ours, theirs:
            ours.settimeout(DEADLINE)
            yield made, ours
            with suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE)
            assert not thread.is_alive()
    finally:
        thread.join(DEADLINE)


def test_the_latest_sentences_are_kept_and_that_there_were_more_is_said():
    with listening() as (made, sock):
        sock.sendall(b"".join(line(Said(str(number))) for number in range(MAX_SAID)))
        until(lambda: len(made.said()) == MAX_SAID, "all sentences")
        assert made.said()[0] == "0"
        sock.sendall(b"".join(line(Said(str(number))) for number in range(MAX_SAID, 5 * MAX_SAID)))
        until(lambda: made.said()[-1] == str(5 * MAX_SAID - 1), "the last one")
        assert made.said()[:2] == (FORGOTTEN, str(4 * MAX_SAID))
        assert len(made.said()) == MAX_SAID + 1 == len(made.troubles())


def test_the_latest_answers_are_kept():
    """Each is to a CALL that the user asked for himself; screens show the latest."""
    with listening() as (made, sock):
        sock.sendall(b"".join(line(Answered(ticket, "[]")) for ticket in range(3 * MAX_ANSWERS)))
        until(lambda: made.answers() and made.answers()[-1].ticket == 3 * MAX_ANSWERS - 1, "the last one")
        assert [one.ticket for one in made.answers()] == list(range(2 * MAX_ANSWERS, 3 * MAX_ANSWERS))


def test_a_tiding_that_is_too_long_ends_it_on_both_sides(monkeypatch: pytest.MonkeyPatch):
    """The process that relays would go on, unheard; it ends when its socket does."""
    monkeypatch.setattr(steering, "MAX_LINE_BYTES", 100_000)
    with listening() as (made, sock):
        with suppress(OSError):
            sock.sendall(line(Said("before")) + b"x" * 1_000_000)
        until(lambda: len(made.said()) == 2, "a word about it")
        assert "longer than 100,000 bytes" in made.said()[1]
        with suppress(ConnectionResetError):
            assert rest(sock).data == b""
        assert not made.running


@pytest.mark.parametrize("cut", [1, 7, 100, 1 << 16])
def test_tidings_are_the_same_however_they_come(cut: int):
    sent = b"".join(line(Said(f"{number} " + "y" * number)) for number in range(40)) + line(Failed("what", "hint", 2))
    with listening() as (made, sock):
        for at in range(0, len(sent), cut):
            sock.sendall(sent[at : at + cut])
        until(lambda: made._failure is not None, "the last one")
        assert [one.partition(" ")[0] for one in made.said()] == [str(number) for number in range(40)]
