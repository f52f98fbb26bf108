"""The two ends of a proxy under measurement: many stations in one process, a CSMS in another.

    python -m bench.peers csms                    says its port, answers every CALL, ends with its stdin
    python -m bench.peers stations PORT COUNT     connects, then does what each line of its stdin asks for

They must cost next to nothing, or they would be what is measured: frames are made beforehand but for the id, epoll is
used without asyncio, and nothing is decoded but what the id needs. Only what this traffic has can be read: whole,
unfragmented text messages below 64 KiB. Every message tells when it left (by the monotonic clock, which is the same
for all processes of a machine), so that each way is timed by itself.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
import zlib
from base64 import b64encode
from contextlib import suppress
from hashlib import sha1
from typing import Any, NamedTuple

READ_BYTES = 64 << 10
AT_ONCE = 64  # stations that connect at the same time
CONNECT_SECONDS, DRAIN_SECONDS = 60.0, 10.0
WARM_UP_SECONDS = 0.3
KEY, GUID = "ZGVtb2RlbW9kZW1vZGVtbw==", "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
MASK = b"\x5a\x13\xc7\x88"
TEXT, COMPRESSED, CLOSE = 0x81, 0x40, 0x88
OFFER = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
CALL = '[2,"%s","DataTransfer",{"vendorId":"org.example.bench","messageId":"meter","data":"%s"}]'
REPLY = '[3,"%s",{"status":"Accepted","data":"%s"}]'
METER = "Energy.Active.Import.Register 0012345.678 Wh; Current.Import L1 15.9 A, L2 15.8 A, L3 16.0 A; SoC 57 %"
ID, REPLY_TIME = slice(4, 36), slice(67, 83)
"""Where in the texts: the id is 16 digits of time and 16 of a number; an answer has the time at which it left."""


def masked(text: bytes, key: bytes) -> bytes:
    """RFC 6455 §5.3."""
    size = len(text)
    return (int.from_bytes(text) ^ int.from_bytes((key * (size // 4 + 1))[:size])).to_bytes(size)


def deflated(text: bytes) -> bytes:
    """RFC 7692 §7.2.1."""
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(text: bytes) -> bytes:
    """RFC 7692 §7.2.2."""
    return zlib.decompressobj(-15).decompress(text + b"\0\0\xff\xff")


def frame(text: bytes, key: bytes = b"", *, deflate: bool = False) -> bytes:
    """One whole text message; masked if there is a key."""
    body = deflated(text) if deflate else text
    first, mask_bit = TEXT | COMPRESSED * deflate, 0x80 if key else 0
    size = len(body)
    length = bytes((mask_bit | size,)) if size < 126 else bytes((mask_bit | 126,)) + size.to_bytes(2)
    return bytes((first,)) + length + key + (masked(body, key) if key else body)


class Mould:
    """Makes frames that differ in one or two fields."""

    def __init__(self, text: str, key: bytes, fields: tuple[slice, ...], *, deflate: bool) -> None:
        self._text, self._key, self._fields, self._deflate = text.encode(), key, fields, deflate
        whole = frame(self._text, key)
        start = len(whole) - len(self._text)
        marks = [start + mark for field in fields for mark in (field.start, field.stop)]
        self._pieces = [whole[a:b] for a, b in zip([0, *marks], [*marks, len(whole)], strict=True)]
        self._keys = [
            int.from_bytes((key[f.start % 4 :] + key * 8)[: f.stop - f.start]) if key else 0 for f in fields
        ]

    def frame(self, *values: bytes) -> bytes:
        """With other values in the fields, which have their sizes."""
        if self._deflate:
            text = bytearray(self._text)
            for field, value in zip(self._fields, values, strict=True):
                text[field] = value
            return frame(bytes(text), self._key, deflate=True)
        pieces = self._pieces.copy()
        for n, value in enumerate(values):
            key = self._keys[n]
            pieces[2 * n + 1] = (int.from_bytes(value) ^ key).to_bytes(len(value)) if key else value
        return b"".join(pieces)


def texts(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole messages in `data`, b"" for a Close, and what is left."""
    found, at = [], 0
    while len(data) - at >= 2:
        first, second = data[at], data[at + 1]
        size, start = second & 0x7F, at + 2
        if size == 126:
            if len(data) - at < 4:
                break
            size, start = data[at + 2] << 8 | data[at + 3], at + 4
        body = start + 4 if second & 0x80 else start
        if len(data) < body + size:
            break
        text = data[body : body + size]
        at = body + size
        if second & 0x80:
            text = masked(text, data[start:body])
        if first & COMPRESSED:
            text = inflated(text)
        found.append(b"" if first == CLOSE else text)
    return found, data[at:]


class Peer:
    """A socket, and what came that is not a whole message yet."""

    __slots__ = ("mould", "sock", "waiting")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.waiting = b""
        self.mould: Mould | None = None  # once the upgrade is over

    def read(self) -> bytes | None:
        """What is there; None at the end."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            return None
        return self.waiting + data if data else None


# --- the CSMS -------------------------------------------------------------------------------------------------------


def upgraded(peer: Peer, data: bytes) -> bytes:
    """Answers the upgrade, once it is whole; what came after it."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return data
    found = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
    assert found, head
    deflate = b"permessage-deflate" in head
    accept = b64encode(sha1(found[1] + GUID.encode()).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: ocpp1.6"]
    if deflate:
        lines.append(f"Sec-WebSocket-Extensions: {OFFER}")
    peer.sock.send("\r\n".join([*lines, "", ""]).encode())
    peer.mould = Mould(REPLY % ("0" * 32, "0" * 16), b"", (ID, REPLY_TIME), deflate=deflate)
    return rest


def answer(peer: Peer, data: bytes, now: bytes) -> bool:
    """Answers what is whole; whether the connection goes on."""
    assert peer.mould
    found, peer.waiting = texts(data)
    for text in found:
        if not text:
            return False
        peer.sock.send(peer.mould.frame(text[ID], now))
    return True


def csms() -> None:
    """Answers until stdin ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    poll.register(0, select.EPOLLIN)
    peers: dict[int, Peer] = {}
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                with suppress(BlockingIOError):
                    peer = Peer(listener.accept()[0])
                    peers[peer.sock.fileno()] = peer
                    poll.register(peer.sock, select.EPOLLIN)
            elif number == 0:
                return
            else:
                peer = peers[number]
                now = b"%016x" % time.monotonic_ns()
                data = peer.read()
                if data and peer.mould is None:
                    data = peer.waiting = upgraded(peer, data)
                if data is None or (data and peer.mould is not None and not answer(peer, data, now)):
                    poll.unregister(number)
                    peers.pop(number).sock.close()


# --- the stations ---------------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """One measurement: `rate` CALLs a second over so many connections; 0 is as fast as the answers come."""

    connections: int
    seconds: float
    rate: float = 0.0


class Stations:
    """All stations; they are connected one after another, `AT_ONCE` at a time."""

    def __init__(self, port: int, count: int, *, deflate: bool = False) -> None:
        self._address = "127.0.0.1", port
        self._deflate = deflate
        self._poll = select.epoll()
        self._peers: dict[int, Peer] = {}
        self._numbers = 0
        self._mould = Mould(CALL % ("0" * 32, METER), MASK, (ID,), deflate=deflate)
        self._connect(count)
        self._in_order = list(self._peers.values())
        self.ended = 0

    def _connect(self, count: int) -> None:
        until = time.monotonic() + CONNECT_SECONDS
        begun = done = 0
        while done < count:
            while begun < count and begun - done < AT_ONCE:
                self._begin(begun)
                begun += 1
            for number, _ in self._poll.poll(1.0):
                done += self._upgrade(number)
            if time.monotonic() > until:
                raise TimeoutError(f"{done} of {count} stations could connect")

    def _begin(self, number: int) -> None:
        peer = Peer(socket.create_connection(self._address, CONNECT_SECONDS))
        self._peers[peer.sock.fileno()] = peer
        self._poll.register(peer.sock, select.EPOLLIN)
        lines = [f"GET /ocpp/CP{number:05} HTTP/1.1", f"Host: {self._address[0]}:{self._address[1]}"]
        lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: ocpp1.6"]
        if self._deflate:
            lines.append(f"Sec-WebSocket-Extensions: {OFFER}")
        peer.sock.send("\r\n".join([*lines, "", ""]).encode())

    def _upgrade(self, number: int) -> bool:
        peer = self._peers[number]
        peer.waiting = peer.read() or b""
        head, end, rest = peer.waiting.partition(b"\r\n\r\n")
        if not end:
            assert head, "an upgrade was refused"
            return False
        assert head.startswith(b"HTTP/1.1 101"), head
        peer.mould, peer.waiting = self._mould, rest
        return True

    def _call(self, peer: Peer) -> None:
        self._numbers += 1
        assert peer.mould
        peer.sock.send(peer.mould.frame(b"%016x%016x" % (time.monotonic_ns(), self._numbers)))

    def measure(self, asked: Asked) -> dict[str, Any]:
        """Talks; times in ms, `messages` (CALLs and answers) a second."""
        peers = self._in_order[: asked.connections]
        tally = Tally(time.monotonic_ns() + int(WARM_UP_SECONDS * 1e9))
        first = self._numbers
        if asked.rate:
            self._paced(peers, asked, tally)
        else:
            for peer in peers:
                self._call(peer)
            self._until(asked.seconds + WARM_UP_SECONDS, tally, again=True)
        sent = self._numbers - first
        until = time.monotonic() + DRAIN_SECONDS
        while len(tally.answered) < sent and time.monotonic() < until:
            self._until(0.05, tally, again=False)
        return tally.told() | {"sent": sent, "lost": sent - len(tally.answered), "ended": self.ended}

    def _paced(self, peers: list[Peer], asked: Asked, tally: Tally) -> None:
        start, total = time.monotonic(), int(asked.rate * (asked.seconds + WARM_UP_SECONDS))
        for number in range(total):
            self._until(start + number / asked.rate - time.monotonic(), tally, again=False)
            self._call(peers[number % len(peers)])

    def _until(self, seconds: float, tally: Tally, *, again: bool) -> None:
        """Takes answers for so long; the next CALL follows an answer at once if it is to go on."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready = self._poll.poll(left)
            for number, _ in ready:
                peer = self._peers[number]
                data = peer.read()
                now = time.monotonic_ns()
                if data is None:
                    self.ended += 1
                    self._poll.unregister(number)
                    continue
                found, peer.waiting = texts(data)
                for text in found:
                    tally.take(text, now)
                    if again:
                        self._call(peer)


class Tally:
    """What came back: each id once, and how long both ways took."""

    def __init__(self, from_ns: int) -> None:
        self.answered: set[bytes] = set()
        self.doubled = 0
        self._from = from_ns
        self._ways: list[int] = []
        self._trips: list[int] = []
        self._last = from_ns

    def take(self, text: bytes, now: int) -> None:
        """An answer."""
        ident = text[ID]
        if ident in self.answered:
            self.doubled += 1
        self.answered.add(ident)
        sent = int(ident[:16], 16)
        if sent >= self._from:
            replied = int(text[REPLY_TIME], 16)
            self._ways += (replied - sent, now - replied)
            self._trips.append(now - sent)
            self._last = now

    def told(self) -> dict[str, Any]:
        """For JSON."""
        seconds = max(self._last - self._from, 1) / 1e9
        return {
            "messages_a_second": len(self._ways) / seconds,
            "way_ms": quantiles(self._ways),
            "trip_ms": quantiles(self._trips),
            "answered": len(self.answered),
            "doubled": self.doubled,
        }


def quantiles(times_ns: list[int]) -> list[float]:
    """The median, p99 and the worst, in ms."""
    ordered = sorted(times_ns) or [0]
    return [ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1e6 for share in (0.5, 0.99, 1.0)]


def stations(port: int, count: int, *, deflate: bool) -> None:
    """Connects, and measures what it is asked to until stdin ends."""
    begun = time.monotonic()
    everyone = Stations(port, count, deflate=deflate)
    print(json.dumps({"connected": count, "seconds": time.monotonic() - begun}), flush=True)
    for line in sys.stdin:
        print(json.dumps(everyone.measure(Asked(**json.loads(line)))), flush=True)


def main() -> None:
    """See the module."""
    words = sys.argv[1:]
    if words[0] == "csms":
        csms()
    else:
        stations(int(words[1]), int(words[2]), deflate=words[3:] == ["deflate"])


if __name__ == "__main__":
    main()
