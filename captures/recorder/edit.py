"""Deterministic changes to a recorded capture: packets that a losing mirror port would not have shown, or swapped.

Reads and writes classic pcap files of Ethernet with IPv4 and TCP, which is what the recorder makes; nothing else.
The peers have received everything: what is removed here is missing from the capture only.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_HEADER = 24
RECORD_HEADER = 16
TEXT = 1


@dataclass
class Packet:
    stamp: tuple[int, int]  # seconds and fraction as they stand in the file
    data: bytes
    client_port: int
    to_csms: bool
    seq: int
    payload: bytes


def read(path: Path, csms_port: int) -> tuple[bytes, list[Packet]]:
    """The file header and all packets of connections to `csms_port`."""
    raw = path.read_bytes()
    packets = []
    at = FILE_HEADER
    while at < len(raw):
        seconds, fraction, kept, _ = struct.unpack_from("<IIII", raw, at)
        data = raw[at + RECORD_HEADER : at + RECORD_HEADER + kept]
        packets.append(packet((seconds, fraction), data, csms_port))
        at += RECORD_HEADER + kept
    return raw[:FILE_HEADER], packets


def packet(stamp: tuple[int, int], data: bytes, csms_port: int) -> Packet:
    tcp = 14 + (data[14] & 15) * 4
    end = 14 + int.from_bytes(data[16:18])
    source, target, seq = struct.unpack_from("!HHI", data, tcp)
    payload = data[tcp + (data[tcp + 12] >> 4) * 4 : end]
    to_csms = target == csms_port
    return Packet(stamp, data, source if to_csms else target, to_csms, seq, payload)


def write(path: Path, header: bytes, packets: list[Packet]) -> None:
    with path.open("wb") as file:
        file.write(header)
        for one in packets:
            file.write(struct.pack("<IIII", *one.stamp, len(one.data), len(one.data)) + one.data)


def is_frame(payload: bytes) -> bool:
    """One whole text frame, and nothing else, fills the segment."""
    if len(payload) < 2 or payload[0] & 0x0F != TEXT or not payload[0] & 0x80:
        return False
    length, head = payload[1] & 0x7F, 2
    if length == 126:
        length, head = int.from_bytes(payload[2:4]), 4
    return len(payload) == head + (4 if payload[1] & 0x80 else 0) + length


def lose(path: Path, csms_port: int, every: int) -> list[dict[str, Any]]:
    """Take each `every`th text message out of the file; says which message of which stream each one was.

    `order` counts the text messages of one direction of one connection from 0, as the peers' logs do.
    """
    header, packets = read(path, csms_port)
    kept, lost, seen = [], [], 0
    order: dict[tuple[int, bool], int] = {}
    for number, one in enumerate(packets, 1):
        if not is_frame(one.payload):
            kept.append(one)
            continue
        seen += 1
        stream = (one.client_port, one.to_csms)
        order[stream] = order.get(stream, -1) + 1
        if seen % every:
            kept.append(one)
            continue
        direction = "cp->csms" if one.to_csms else "csms->cp"
        lost.append(
            {
                "frame": number,
                "client_port": one.client_port,
                "dir": direction,
                "order": order[stream],
                "seq": one.seq,
                "len": len(one.payload),
            }
        )
    write(path, header, kept)
    return lost


def swap(path: Path, csms_port: int, every: int) -> list[dict[str, Any]]:
    """Exchange each `every`th pair of successive data segments of one direction, as parallel paths would.

    Only segments that follow each other without data of the other side between them; the times stay in order.
    """
    header, packets = read(path, csms_port)
    swapped, pairs, at = [], 0, 0
    while at < len(packets):
        after = follower(packets, at)
        if after is None:
            at += 1
            continue
        pairs += 1
        if pairs % every == 0:
            first, second = packets[at], packets[after]
            first.stamp, second.stamp = second.stamp, first.stamp
            packets[at], packets[after] = second, first
            swapped.append({"frames": [at + 1, after + 1], "client_port": first.client_port, "seq": first.seq})
        at = after + 1
    write(path, header, packets)
    return swapped


def follower(packets: list[Packet], at: int) -> int | None:
    """The index of the next data segment of the same direction that continues the one at `at`."""
    one = packets[at]
    if not one.payload or one.payload.startswith((b"GET ", b"HTTP/")):
        return None
    for index in range(at + 1, len(packets)):
        other = packets[index]
        if other.client_port != one.client_port or not other.payload:
            continue
        continues = other.seq == (one.seq + len(one.payload)) % 2**32
        return index if other.to_csms == one.to_csms and continues else None
    return None
