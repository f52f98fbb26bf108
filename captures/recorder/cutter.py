"""A bridge between two interfaces that forgets a TCP connection after a time of silence and resets both its ends.

That is what a load balancer or a firewall with an idle timer does. Only data counts: a bare ACK wakes nobody.
Needs AF_PACKET, so root.
"""

import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

from forwarder import folded, mended, opened

FIN, RST, ACK = 0x01, 0x04, 0x10
IPV4 = b"\x08\x00"
Flow = frozenset[bytes]


@dataclass
class Talk:
    """A connection: when it last carried data, and of each end the last frame and what it will send next."""

    last: float
    frames: dict[bytes, bytes] = field(default_factory=dict)
    next: dict[bytes, int] = field(default_factory=dict)
    over: bool = False  # the ends themselves said so
    cut: bool = False


def reset(frame: bytes, sequence: int, acknowledged: int) -> bytes:
    """An RST in the name of the sender of a frame."""
    tcp = 14 + (frame[14] & 15) * 4
    head = bytearray(frame[14:34])
    head[0], head[10:12] = 0x45, b"\0\0"
    head[2:4] = struct.pack("!H", 40)
    head[10:12] = struct.pack("!H", ~folded(bytes(head)) & 0xFFFF)
    segment = frame[tcp : tcp + 4] + struct.pack("!IIBBHHH", sequence, acknowledged, 5 << 4, RST | ACK, 0, 0, 0)
    return mended(frame[:14] + bytes(head) + segment)[0]


class Bridge:
    def __init__(self, left: str, right: str, idle: float) -> None:
        one, other = opened(left), opened(right)
        self.ways = {one: other, other: one}
        self.sides: dict[bytes, socket.socket] = {}  # an end's address and port: the interface towards it
        self.talks: dict[Flow, Talk] = {}
        self.idle = idle

    def forward(self, source: socket.socket) -> None:
        frame, address = source.recvfrom(65536)
        if address[2] == socket.PACKET_OUTGOING:
            return
        frame, size = mended(frame)
        if frame[12:14] == IPV4 and frame[23] == socket.IPPROTO_TCP and self.is_cut(source, frame, size):
            return
        self.ways[source].send(frame)

    def is_cut(self, source: socket.socket, frame: bytes, size: int) -> bool:
        """Takes note of a segment; says whether its connection was forgotten."""
        tcp = 14 + (frame[14] & 15) * 4
        sender, receiver = frame[26:30] + frame[tcp : tcp + 2], frame[30:34] + frame[tcp + 2 : tcp + 4]
        talk = self.talks.setdefault(frozenset((sender, receiver)), Talk(time.monotonic()))
        flags = frame[tcp + 13]
        if talk.cut:
            return True
        talk.over = talk.over or bool(flags & (RST | FIN))
        self.sides[sender] = source
        talk.frames[sender] = frame
        talk.next[sender] = (int.from_bytes(frame[tcp + 4 : tcp + 8]) + size + (flags >> 1 & 1)) % 2**32
        if size:
            talk.last = time.monotonic()
        return False

    def cut_idle(self) -> None:
        for talk in self.talks.values():
            if talk.over or talk.cut or time.monotonic() - talk.last < self.idle or len(talk.frames) < 2:
                continue
            talk.cut = True
            one, other = talk.frames
            for sender, receiver in ((one, other), (other, one)):
                frame = reset(talk.frames[sender], talk.next[sender], talk.next[receiver])
                self.sides[receiver].send(frame)


def main(left: str, right: str, idle: str) -> None:
    bridge = Bridge(left, right, float(idle))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select(list(bridge.ways), [], [], 0.05)
        for source in readable:
            bridge.forward(source)
        bridge.cut_idle()


if __name__ == "__main__":
    main(*sys.argv[1:])
