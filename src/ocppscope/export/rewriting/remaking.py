"""A capture made anew without what is to be hidden: read once to make the streams, once more to make the packets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from ocppscope.capture.pcapfile import open_captures
from ocppscope.export.rewriting.copying import comments_of, said
from ocppscope.export.rewriting.encoding import Compressors
from ocppscope.export.rewriting.packets import Packets
from ocppscope.export.rewriting.packetwriting import PacketWriter
from ocppscope.export.rewriting.remarks import merged
from ocppscope.export.rewriting.spool import Spool
from ocppscope.export.rewriting.streams import Course, Shared, Stream
from ocppscope.model import Version
from ocppscope.wire.inflate import Contexts
from ocppscope.wire.tcp import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocppscope.export.rewriting.blocks import Packet
    from ocppscope.export.rewriting.chosen import Chosen, Talk
    from ocppscope.export.rewriting.packets import Found
    from ocppscope.export.rewriting.redacting import Redacting
    from ocppscope.export.writing import Job

HASH_KEY_BITS = 128


class Remaking:
    """The streams of the chosen connections, and the packets made of them. A context manager."""

    def __init__(self, paths: tuple[str, ...], chosen: Chosen, redactor: Redacting, job: Job) -> None:
        self._paths = paths
        self._chosen = chosen
        self._redactor = redactor
        self._job = job
        self._hash_key = int.from_bytes(os.urandom(HASH_KEY_BITS // 8))  # names the same flows in both passes
        self._spool = Spool()
        self._shared = Shared(self._spool, Contexts(), Compressors())
        self._courses: dict[int, Course] = {}  # by first packet
        self._streams: dict[int, Stream] = {}  # the same, while they are read

    def __enter__(self) -> Self:
        """Reads the captures."""
        self._spool.__enter__()
        try:
            self._read()
        except BaseException:
            self._spool.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Forgets all."""
        self._spool.__exit__()

    @property
    def blanked(self) -> int:
        """Captured bytes of connections that could not be judged, and became zeros."""
        return sum(way.captured - way.known for course in self._courses.values() for way in course.ways)

    def _read(self) -> None:
        packets, now = Packets(self._chosen, self._hash_key), 0
        with open_captures(self._paths) as reader:
            for block in reader.blocks():
                times = block.time_ns
                for found, _ in packets.of(block):
                    self._job.step()
                    now = int(times[found.at])
                    self._take(found, now)
        for stream in self._streams.values():
            stream.finish(now)
        self._streams.clear()
        self._spool.settle()

    def _take(self, found: Found, now: int) -> None:
        name = found.talk.first_packet
        stream = self._streams.get(name)
        if stream is None:
            if name in self._courses:
                return  # a packet after the end
            stream = self._streams[name] = Stream(self._version(found.talk), self._redactor, self._shared)
            self._courses[name] = stream.course
        stream.add(_segment(found, now))
        if stream.is_over:
            self._streams.pop(name).finish(now)

    def _version(self, talk: Talk) -> Version:
        known = [self._chosen.connections[number].version for number in talk.connections]
        return next((version for version in reversed(known) if version is not Version.UNKNOWN), Version.UNKNOWN)

    def packets(self, *, judged: bool) -> Iterator[Packet]:
        """The packets that are wanted, in capture order."""
        packets, writer = Packets(self._chosen, self._hash_key), PacketWriter(self._redactor)
        words = self._redactor.words
        with open_captures(self._paths) as reader:
            for block in reader.blocks():
                kept = comments_of(block)
                for found, wanted in packets.of(block):
                    self._job.step()
                    if not wanted:
                        continue
                    had = [words(text) for text in kept.get(found.at, ())]
                    comments = merged(had, said(self._chosen, found), judged=judged)
                    yield from writer.packets(found, self._courses[found.talk.first_packet], block, comments)


def _segment(found: Found, time_ns: int) -> Segment:
    payload = bytes(found.data[found.payload : found.payload + found.length])
    return Segment(found.direction, found.seq, found.ack, found.flags, payload, found.missing, time_ns, found.packet)
