"""TLS connections out of captures, through the project's own layers below, and what a decryptor makes of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ocppscope.capture.pcapfile import open_captures
from ocppscope.model import Problem
from ocppscope.wire.decrypt import Decryptor, Plain, PlainGap, Secrets
from ocppscope.wire.link import LinkDecoder, endpoints
from ocppscope.wire.tcp import Assembler, Segment


class Stream:
    """A `tcp.Stream` that feeds a decryptor and keeps what it gives."""

    def __init__(self, secrets: Secrets) -> None:
        self.decryptor = Decryptor(secrets)
        self.assembler = Assembler(self)
        self.found: list[Plain | PlainGap] = []
        self.wire = [b"", b""]
        self.ports = (0, 0)

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        self.wire[direction] += data
        self.found += self.decryptor.data(direction, bytes(data), time_ns, packet)

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        self.found += self.decryptor.gap(direction, lost, time_ns, why)

    def problem(self, direction: int, problem: Problem, time_ns: int) -> None:
        pass

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        pass

    def finish(self) -> None:
        self.assembler.finish(1 << 62)
        self.found += self.decryptor.finish(1 << 62)

    def plain(self, direction: int) -> bytes:
        return plain(self.found, direction)

    @property
    def client(self) -> int:
        assert self.decryptor.client is not None
        return self.decryptor.client


def plain(found: Iterable[Plain | PlainGap], direction: int) -> bytes:
    return b"".join(one.data for one in found if isinstance(one, Plain) and one.direction == direction)


def gaps(found: Iterable[Plain | PlainGap]) -> list[PlainGap]:
    return [one for one in found if isinstance(one, PlainGap)]


def segments_of(capture: Path, secrets: Secrets | None = None) -> list[tuple[int, tuple[int, int], Segment]]:
    """All TCP segments of a capture with their flow and the ports by direction; secrets inside it are taken."""
    found = []
    decoder = LinkDecoder(0)
    keep = None if secrets is None else secrets.add
    with open_captures([capture], keep_secrets=keep) as reader:
        for block in reader.blocks():
            segments = decoder.decode(block)
            for row in range(len(segments.packet)):
                packet = int(segments.packet[row])
                start, length = int(segments.payload[row]), int(segments.length[row])
                direction = int(segments.direction[row])
                ends = endpoints(segments.data, int(segments.ip[row]))
                ports = (ends[0].port, ends[1].port)
                segment = Segment(
                    direction,
                    int(segments.seq[row]),
                    int(segments.ack[row]),
                    int(segments.flags[row]),
                    bytes(segments.data[start : start + length]),
                    int(segments.missing[row]),
                    int(block.time_ns[packet]),
                    block.first_packet + packet,
                )
                found.append((int(segments.key[row]), ports if direction == 0 else ports[::-1], segment))
    return found


Change = Callable[[list[Segment]], list[Segment]]


def decrypted(capture: Path, secrets: Secrets, change: Change | None = None, *, inside: bool = True) -> list[Stream]:
    """The connections of a capture, decrypted; `change` is made to the segments of each.

    `inside`: with the secrets that the capture holds.
    """
    flows: dict[int, list[Segment]] = {}
    ports: dict[int, tuple[int, int]] = {}
    for key, ends, segment in segments_of(capture, secrets if inside else None):
        flows.setdefault(key, []).append(segment)
        ports[key] = ends
    streams = []
    for key, segments in flows.items():
        stream = Stream(secrets)
        stream.ports = ports[key]
        for segment in change(segments) if change else segments:
            stream.assembler.add(segment)
        stream.finish()
        streams.append(stream)
    return streams


def secrets_of(*files: Path, **how: Any) -> Secrets:
    secrets = Secrets(**how)
    for file in files:
        secrets.add(file.read_bytes())
    return secrets


def websocket_texts(stream: bytes) -> list[bytes]:
    """Messages of a WebSocket direction without compression, behind its HTTP head; a reader of its own."""
    _, _, rest = stream.partition(b"\r\n\r\n")
    texts, at, message = [], 0, b""
    inflater = zlib.decompressobj(-15)
    while at + 2 <= len(rest):
        first, second = rest[at], rest[at + 1]
        at += 2
        size = second & 0x7F
        if size >= 126:
            wide = 2 if size == 126 else 8
            size = int.from_bytes(rest[at : at + wide], "big")
            at += wide
        mask = b""
        if second & 0x80:
            mask = rest[at : at + 4]
            at += 4
        body = rest[at : at + size]
        at += size
        if mask:
            body = bytes(byte ^ mask[i & 3] for i, byte in enumerate(body))
        if first & 0x40:
            body = inflater.decompress(body + b"\0\0\xff\xff")
        if first & 0x0F < 3:
            message += body
            if first & 0x80:
                texts.append(message)
                message = b""
    return texts
