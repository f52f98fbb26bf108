"""Traffic that is not OCPP, as the uplink of a charging site or a CSMS host carries it beside OCPP.

TLS, HTTP downloads, MQTT, Modbus and SSH over TCP (IPv4 and IPv6), QUIC and DNS over UDP, ARP. Content that is
encrypted in life is random here. Nothing in it is a WebSocket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.packets import ACK, FIN, PSH, SEQ_MASK, Route, TcpSender, udp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

SEGMENT = 1400
_MACS = (b"\x02\x11\x22\x33\x44\x55", b"\x02\x66\x77\x88\x99\xaa")


class Noise:
    """An endless supply of unrelated packets, in bursts."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._blocks = [rng.randbytes(SEGMENT) for _ in range(64)]
        kinds = ((_download, 6, 10), (_tls, 10, 12), (_small_talk, 6, 6), (_quic, 4, 6), (_dns, 2, 3), (_arp, 1, 1))
        self._sources: list[Iterator[list[bytes]]] = []
        self._weights: list[int] = []
        for kind, flows, weight in kinds:
            for _ in range(flows):
                self._sources.append(kind(rng, self._blocks))
                self._weights.append(weight)

    def packets(self) -> Iterator[bytes]:
        """Frames without end."""
        while True:
            for source in self._rng.choices(self._sources, self._weights, k=256):
                yield from next(source)


class _Talk:
    """A TCP connection of an unrelated protocol."""

    def __init__(self, rng: Random, port: int, *, six: bool = False) -> None:
        here, there = _addresses(rng, six=six)
        ports = (rng.randrange(32768, 61000), port)
        self.ends = (
            TcpSender(Route(here, there, _MACS), ports, rng.getrandbits(32), rng.getrandbits(20)),
            TcpSender(Route(there, here, _MACS[::-1]), ports[::-1], rng.getrandbits(32), rng.getrandbits(20)),
        )
        self.clock = rng.getrandbits(40)

    def opening(self) -> list[bytes]:
        client, server = self.ends
        frames = [client.syn(self.clock, None)]
        frames.append(server.syn(self.clock, client.seq))
        frames.append(client.segment(self.clock, client.seq, server.seq, ACK))
        return frames

    def say(self, who: int, data: bytes) -> bytes:
        self.clock += 1_000_000
        end = self.ends[who]
        frame = end.segment(self.clock, end.seq, self.ends[1 - who].seq, ACK | PSH, data)
        end.seq = (end.seq + len(data)) & SEQ_MASK
        return frame

    def ack(self, who: int) -> bytes:
        end = self.ends[who]
        return end.segment(self.clock, end.seq, self.ends[1 - who].seq, ACK)

    def closing(self) -> list[bytes]:
        frames = []
        for who in (0, 1):
            end = self.ends[who]
            frames.append(end.segment(self.clock, end.seq, self.ends[1 - who].seq, ACK | FIN))
            end.seq = (end.seq + 1) & SEQ_MASK
        return [*frames, self.ack(0)]


def _addresses(rng: Random, *, six: bool = False) -> tuple[str, str]:
    if six:
        return f"2001:db8:5::{rng.randrange(1, 65535):x}", f"2001:db8:77::{rng.randrange(1, 65535):x}"
    return f"10.20.{rng.randrange(256)}.{rng.randrange(1, 255)}", f"198.51.100.{rng.randrange(1, 255)}"


def _bulk(talk: _Talk, rng: Random, blocks: list[bytes], count: int) -> list[bytes]:
    frames = []
    for n in range(count):
        frames.append(talk.say(1, blocks[rng.randrange(64)]))
        if n & 1:
            frames.append(talk.ack(0))
    return frames


def _download(rng: Random, blocks: list[bytes]) -> Iterator[list[bytes]]:
    while True:
        talk = _Talk(rng, rng.choice((80, 8080)), six=rng.random() < 0.3)
        yield talk.opening()
        size = rng.randrange(20, 400)
        ask = f"GET /firmware/image-{size}.bin HTTP/1.1\r\nHost: files.example.net\r\nAccept: */*\r\n\r\n"
        answer = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size * SEGMENT}\r\n\r\n"
        )
        yield [talk.say(0, ask.encode()), talk.ack(1), talk.say(1, answer.encode())]
        while size > 0:
            count = min(size, rng.randrange(4, 24))
            size -= count
            yield _bulk(talk, rng, blocks, count)
        yield talk.closing()


def _tls(rng: Random, blocks: list[bytes]) -> Iterator[list[bytes]]:
    while True:
        talk = _Talk(rng, rng.choice((443, 443, 8443, 8883)), six=rng.random() < 0.2)
        yield talk.opening()
        hello = (
            b"\x03\x03"
            + rng.randbytes(32)
            + b"\x20"
            + rng.randbytes(32)
            + b"\x00\x08\x13\x02\x13\x01\xc0\x2f\xc0\x30\x01\x00"
        )
        hello += b"\x00\x0b\x00\x2b\x00\x03\x02\x03\x04\x00\x17\x00\x00"
        body = b"\x01" + len(hello).to_bytes(3, "big") + hello
        yield [talk.say(0, b"\x16\x03\x01" + len(body).to_bytes(2, "big") + body), talk.ack(1)]
        yield [talk.say(1, b"\x16\x03\x03\x00\x7a" + rng.randbytes(122)), talk.ack(0)]
        for _ in range(rng.randrange(3, 40)):
            size = rng.randrange(30, 800)
            record = b"\x17\x03\x03" + size.to_bytes(2, "big") + rng.randbytes(size)
            frames = [talk.say(0, record), talk.ack(1)]
            for _ in range(rng.randrange(0, 5)):
                frames.append(talk.say(1, b"\x17\x03\x03\x05\x73" + blocks[rng.randrange(64)][:1395]))
                frames.append(talk.ack(0))
            yield frames
        yield talk.closing()


def _small_talk(rng: Random, _blocks: list[bytes]) -> Iterator[list[bytes]]:
    while True:
        port = rng.choice((502, 1883, 22))
        talk = _Talk(rng, port)
        yield talk.opening()
        for turn in range(rng.randrange(20, 200)):
            if port == 502:
                ask = turn.to_bytes(2, "big") + b"\0\0\0\x06\x01\x03\x00\x64\x00\x10"
                answer = turn.to_bytes(2, "big") + b"\0\0\0\x23\x01\x03\x20" + rng.randbytes(32)
            elif port == 1883:
                ask = b"\x30\x1c\x00\x0asite/meter" + rng.randbytes(16)
                answer = b"\x40\x02" + turn.to_bytes(2, "big")
            else:
                ask, answer = (rng.randbytes(rng.randrange(36, 120)) for _ in "ab")
                if turn == 0:
                    ask, answer = b"SSH-2.0-OpenSSH_9.2p1\r\n", b"SSH-2.0-dropbear\r\n"
            yield [talk.say(0, ask), talk.say(1, answer), talk.ack(0)]
        yield talk.closing()


def _quic(rng: Random, blocks: list[bytes]) -> Iterator[list[bytes]]:
    while True:
        here, there = _addresses(rng)
        ports = (rng.randrange(49152, 61000), 443)
        up, down = Route(here, there, _MACS), Route(there, here, _MACS[::-1])
        yield [udp(up, ports, b"\xc3\x00\x00\x00\x01\x08" + rng.randbytes(1194))]
        for _ in range(rng.randrange(5, 60)):
            frames = [udp(up, ports, b"\x40" + rng.randbytes(rng.randrange(25, 60)))]
            for block in rng.choices(blocks, k=rng.randrange(1, 6)):
                frames += [udp(down, ports[::-1], b"\x41" + block[:1250])]
            yield frames


def _dns(rng: Random, _blocks: list[bytes]) -> Iterator[list[bytes]]:
    while True:
        here, _ = _addresses(rng)
        ports = (rng.randrange(32768, 61000), 53)
        name = f"host{rng.randrange(9999)}"
        question = bytes([len(name)]) + name.encode() + b"\x07example\x03net\x00\x00\x01\x00\x01"
        ident = rng.randbytes(2)
        ask = ident + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question
        answer = ident + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + question
        answer += b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + bytes([198, 51, 100, rng.randrange(1, 255)])
        up, down = Route(here, "10.20.0.1", _MACS), Route("10.20.0.1", here, _MACS[::-1])
        yield [udp(up, ports, ask), udp(down, ports[::-1], answer)]


def _arp(rng: Random, _blocks: list[bytes]) -> Iterator[list[bytes]]:
    while True:
        asked = bytes([10, 20, rng.randrange(256), rng.randrange(1, 255)])
        head = b"\x00\x01\x08\x00\x06\x04\x00"
        me = _MACS[0] + bytes([10, 20, 0, 1])
        you = b"\x02\x00\x00" + asked[1:] + asked
        yield [
            b"\xff" * 6 + _MACS[0] + b"\x08\x06" + head + b"\x01" + me + b"\0" * 6 + asked + b"\0" * 18,
            _MACS[0] + you[:6] + b"\x08\x06" + head + b"\x02" + you + me + b"\0" * 18,
        ]
