"""A bridge between two interfaces of its namespace that holds back some TCP data segments: real reordering.

Each `every`th data segment of a direction waits until the next one of that direction has passed, or for a moment.
Needs AF_PACKET, so root. Frames of a veth come without a TCP checksum, so it is computed here.
"""

import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

HOLD = 0.03  # seconds; less than a retransmission timeout, so that the peers do not see a loss
IPV4 = b"\x08\x00"


@dataclass
class Way:
    source: socket.socket
    target: socket.socket
    every: int
    seen: int = 0
    held: list[bytes] = field(default_factory=list)
    due: float = 0.0


def opened(interface: str) -> socket.socket:
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    packets.bind((interface, 0))
    return packets


def folded(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def mended(frame: bytes) -> tuple[bytes, int]:
    """The frame with a right TCP checksum, and the size of its TCP payload (0 for anything else)."""
    if frame[12:14] != IPV4 or frame[23] != socket.IPPROTO_TCP:
        return frame, 0
    tcp = 14 + (frame[14] & 15) * 4
    end = 14 + int.from_bytes(frame[16:18])
    segment = frame[tcp : tcp + 16] + b"\0\0" + frame[tcp + 18 : end]
    pseudo = frame[26:34] + struct.pack("!HH", socket.IPPROTO_TCP, len(segment))
    checksum = ~folded(pseudo + segment) & 0xFFFF
    mend = frame[: tcp + 16] + struct.pack("!H", checksum) + frame[tcp + 18 :]
    return mend, len(segment) - (segment[12] >> 4) * 4


def forward(way: Way) -> None:
    frame, address = way.source.recvfrom(65536)
    if address[2] == socket.PACKET_OUTGOING:
        return
    frame, size = mended(frame)
    way.seen += size > 0
    if size and way.seen % way.every == 0 and not way.held:
        way.held.append(frame)
        way.due = time.monotonic() + HOLD
        return
    way.target.send(frame)
    if size:
        release(way)


def release(way: Way) -> None:
    while way.held:
        way.target.send(way.held.pop())


def main(left: str, right: str, every: str) -> None:
    one, other = opened(left), opened(right)
    ways = {one: Way(one, other, int(every)), other: Way(other, one, int(every))}
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select(list(ways), [], [], HOLD / 3)
        for source in readable:
            forward(ways[source])
        for way in ways.values():
            if way.held and time.monotonic() >= way.due:
                release(way)


if __name__ == "__main__":
    main(*sys.argv[1:])
