"""The two ends of a soak: stations that come, talk, go and come again, and the CSMS that knows all their messages.

    python -m bench.soak_peers csms               says its port; at the end of its stdin, what was wrong
    python -m bench.soak_peers stations JSON      a `Plan`; says how far it is, and leaves when its stdin says so

Both sides know what the other has to say: the text of an exchange follows from the station's name and the number of
the exchange. So whatever is lost, doubled, late in its order or changed by a byte is noticed at once, by either side,
and nothing has to be kept for it. As in `bench.peers`, epoll is used without asyncio.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from array import array
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from bench.peers import (
    AT_ONCE,
    CONNECT_SECONDS,
    DRAIN_SECONDS,
    KEY,
    MASK,
    Mould,
    Peer,
    frame,
    quantiles,
    texts,
    upgraded,
)

SIZES = (0, 12, 57, 96, 180, 310, 700, 33, 1450, 64, 5000, 128)
"""Bytes of data in the exchanges of a station, one after the other: short and long, one segment and several."""
PIECES = tuple((f"x{size:04}" * (size // 5 + 1))[:size] for size in SIZES)
CALL = '[2,"%s.%d","DataTransfer",{"vendorId":"org.example.soak","messageId":"meter","data":"%s"}]'
REPLY = '[3,"%s.%d",{"status":"Accepted","data":"%d"}]'
MAX_WRONG = 20
"""Sentences on what was wrong; all of it is counted."""
TOLD_EVERY = 0.25
UPGRADED = Mould("", b"", (), deflate=False)  # says so of a peer; frames are made without it
RESET = struct.pack("ii", 1, 0)


def call_text(name: str, number: int) -> bytes:
    """What a station says in an exchange."""
    return (CALL % (name, number, PIECES[number % len(PIECES)])).encode()


def reply_text(name: str, number: int) -> bytes:
    """What the CSMS answers."""
    return (REPLY % (name, number, number * 7)).encode()


def name_of(number: int) -> str:
    """A station's identity."""
    return f"SOAK{number:05}"


class Wrongs:
    """What was not as it has to be: counted, and the first ones in words."""

    def __init__(self) -> None:
        self.count = 0
        self.said: list[str] = []

    def add(self, what: str) -> None:
        """One more."""
        self.count += 1
        if len(self.said) < MAX_WRONG:
            self.said.append(what)

    def check(self, who: str, found: bytes, expected: bytes) -> None:
        """Byte for byte."""
        if found != expected:
            self.add(f"{who}: {found[:60]!r} of {len(found)} bytes instead of {expected[:60]!r} of {len(expected)}")


# --- the CSMS -------------------------------------------------------------------------------------------------------


class Csms:
    """Answers each station's exchanges in their order, over all connections that it makes."""

    def __init__(self) -> None:
        self.wrongs = Wrongs()
        self.connections = self.calls = 0
        self._next: dict[str, int] = {}  # by station: its next exchange
        self._names: dict[int, str] = {}  # by descriptor
        self._peers: dict[int, Peer] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def serve(self) -> None:
        """Until stdin ends."""
        self._poll.register(0, select.EPOLLIN)
        while True:
            for number, _ in self._poll.poll():
                if number == self._listener.fileno():
                    self._accept()
                elif number == 0:
                    return
                elif not self._take(number):
                    self._poll.unregister(number)
                    self._peers.pop(number).sock.close()
                    self._names.pop(number, None)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                peer = Peer(self._listener.accept()[0])
                self._peers[peer.sock.fileno()] = peer
                self._poll.register(peer.sock, select.EPOLLIN)

    def _take(self, number: int) -> bool:
        """Whether a connection goes on."""
        peer = self._peers[number]
        data = peer.read()
        if data is None:
            return False
        if data and peer.mould is None:
            data, head = upgraded(peer, data), data
            peer.waiting = data
            if peer.mould is None:
                return True
            self.connections += 1
            self._names[number] = head.split(b" ", 2)[1].rpartition(b"/")[2].decode()
        if not data:
            return True
        found, peer.waiting = texts(data)
        name = self._names[number]
        for text in found:
            if not text:
                return False
            expected = self._next.get(name, 0)
            self.wrongs.check(f"the CSMS got of {name}", text, call_text(name, expected))
            self._next[name] = expected + 1
            self.calls += 1
            peer.sock.send(frame(reply_text(name, expected)))
        return True


def csms() -> None:
    """Serves, and tells."""
    server = Csms()
    print(json.dumps({"port": server.port}), flush=True)
    server.serve()
    told = {"calls": server.calls, "connections": server.connections}
    print(json.dumps(told | {"wrong": server.wrongs.count, "said": server.wrongs.said}), flush=True)


# --- the stations ---------------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """What the stations do. The last `direct` of them connect to the CSMS itself: so what is added can be seen."""

    port: int  # of what stands between, or of the CSMS
    csms: int
    stations: int
    exchanges: int  # of all of them together
    rate: float = 0.0  # exchanges a second; 0: the next as soon as one is over
    churn: int = 0  # exchanges after which a station leaves and comes again; 0: it stays
    direct: int = 0


class Station:
    """One of them. It never has more than one CALL open."""

    __slots__ = ("is_direct", "is_open", "name", "number", "peer", "sent_ns", "since")

    def __init__(self, name: str, *, is_direct: bool) -> None:
        self.name, self.is_direct = name, is_direct
        self.number = self.since = 0  # its next exchange; how many since it has come
        self.sent_ns = 0
        self.is_open = False  # whether an answer is waited for
        self.peer: Peer | None = None


class Stations:
    """All of them, in one thread."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.wrongs = Wrongs()
        self.sent = self.answered = self.reconnects = 0
        self.seconds = 0.0
        self.trips = (array("q"), array("q"))  # ns, through what stands between and directly
        self._poll = select.epoll()
        self._all = [Station(name_of(n), is_direct=n >= plan.stations - plan.direct) for n in range(plan.stations)]
        self._by_descriptor: dict[int, Station] = {}
        self._upgrading = 0
        self._ready: deque[Station] = deque()  # who may call, longest silent first

    def connect(self) -> None:
        """All of them, so many at a time."""
        until = time.monotonic() + CONNECT_SECONDS
        for station in self._all:
            self._begin(station)
            while self._upgrading >= AT_ONCE and time.monotonic() < until:
                self._serve(0.1)
        while self._upgrading and time.monotonic() < until:
            self._serve(0.1)
        if self._upgrading:
            raise TimeoutError(f"{self._upgrading} stations have no connection")

    def talk(self) -> None:
        """All exchanges."""
        plan, begun, told = self.plan, time.monotonic(), 0.0
        while self.sent < plan.exchanges and any(station.peer for station in self._all):
            now = time.monotonic()
            if now - told >= TOLD_EVERY:
                told = now
                self.tell("talking")
            due = min(int((now - begun) * plan.rate), plan.exchanges) if plan.rate else plan.exchanges
            for _ in range(len(self._ready)):
                if self.sent >= due:
                    break
                station = self._ready.popleft()
                if station.is_direct and station.number * len(self._all) > self.sent:
                    self._ready.append(station)  # it would have more than its share
                else:
                    self._call(station)
            left = begun + (self.sent + 1) / plan.rate - time.monotonic() if plan.rate else TOLD_EVERY
            self._serve(min(max(left, 0.0005), TOLD_EVERY) if self._ready else TOLD_EVERY)
        until = time.monotonic() + DRAIN_SECONDS
        while (self._upgrading or self.answered < self.sent) and time.monotonic() < until:
            self._serve(0.05)
        self.seconds = time.monotonic() - begun

    def leave(self) -> None:
        """Half by FIN, half by RST."""
        for number, station in enumerate(self._all):
            self._end(station, reset=number % 2 == 1)

    def told(self) -> dict[str, object]:
        """For JSON; times in ms."""
        return {
            "sent": self.sent, "answered": self.answered, "lost": self.sent - self.answered,
            "reconnects": self.reconnects, "seconds": self.seconds, "direct_answered": len(self.trips[1]),
            "trip_ms": [quantiles(list(one)) for one in self.trips],
            "wrong": self.wrongs.count, "said": self.wrongs.said,
        }  # fmt: skip

    def tell(self, phase: str) -> None:
        print(json.dumps({"phase": phase, "done": self.answered}), flush=True)

    def _begin(self, station: Station) -> None:
        port = self.plan.csms if station.is_direct else self.plan.port
        peer = station.peer = Peer(socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS))
        self._by_descriptor[peer.sock.fileno()] = station
        self._poll.register(peer.sock, select.EPOLLIN)
        lines = [f"GET /ocpp/{station.name} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Protocol: ocpp1.6"]
        peer.sock.send("\r\n".join([*lines, "", ""]).encode())
        station.since = 0
        self._upgrading += 1

    def _end(self, station: Station, *, reset: bool) -> None:
        peer = station.peer
        if peer is None:
            return
        if reset:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        del self._by_descriptor[peer.sock.fileno()]
        self._poll.unregister(peer.sock)
        peer.sock.close()
        station.peer = None

    def _call(self, station: Station) -> None:
        if self.sent >= self.plan.exchanges or station.peer is None:
            return
        wire = frame(call_text(station.name, station.number), MASK)
        station.is_open, station.sent_ns = True, time.monotonic_ns()
        self.sent += 1
        if station.peer.sock.send(wire) != len(wire):
            self.wrongs.add(f"{station.name} could not send {len(wire)} bytes at once")

    def _serve(self, seconds: float) -> None:
        """What has come, within so many seconds."""
        for number, _ in self._poll.poll(seconds):
            station = self._by_descriptor[number]
            peer = station.peer
            assert peer is not None
            data = peer.read()
            if data is None:
                self._dropped(station)
            elif data and peer.mould is None:
                self._upgrade(station, peer, data)
            elif data:
                now = time.monotonic_ns()
                found, peer.waiting = texts(data)
                for text in found:
                    self._answer(station, text, now)

    def _dropped(self, station: Station) -> None:
        """Somebody else has ended its connection."""
        self.wrongs.add(f"the connection of {station.name} was ended before exchange {station.number} was over")
        assert station.peer is not None
        self._upgrading -= station.peer.mould is None
        self._end(station, reset=False)
        station.is_open = False

    def _upgrade(self, station: Station, peer: Peer, data: bytes) -> None:
        head, end, peer.waiting = data.partition(b"\r\n\r\n")
        if not end:
            peer.waiting = data
            return
        if not head.startswith(b"HTTP/1.1 101 "):
            self.wrongs.add(f"{station.name} was refused: {head[:60]!r}")
        peer.mould = UPGRADED
        self._upgrading -= 1
        self._ready.append(station)

    def _answer(self, station: Station, text: bytes, now: int) -> None:
        self.wrongs.check(f"{station.name} got", text, reply_text(station.name, station.number))
        self.trips[station.is_direct].append(now - station.sent_ns)
        self.answered += 1
        station.number += 1
        station.since += 1
        station.is_open = False
        if self.plan.churn and station.since >= self.plan.churn:
            self.reconnects += 1
            self._end(station, reset=self.reconnects % 2 == 1)
            self._begin(station)
        else:
            self._ready.append(station)


def stations(plan: Plan) -> None:
    """Connects, talks, waits for a line of stdin, and leaves."""
    everyone = Stations(plan)
    everyone.connect()
    everyone.tell("connected")
    sys.stdin.readline()
    everyone.talk()
    everyone.tell("done")
    sys.stdin.readline()
    everyone.leave()
    print(json.dumps({"phase": "left"} | everyone.told()), flush=True)


def main() -> None:
    """See the module."""
    if sys.argv[1] == "csms":
        csms()
    else:
        stations(Plan(**json.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
