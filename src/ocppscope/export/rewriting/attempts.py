"""TCP connections over which nothing was said, between those who speak OCPP: they came to nothing, and that tells.

A whole session is exported with them, since the diagnosis looks at them. They hold no payload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ocppscope.export.rewriting.chosen import Talk
from ocppscope.wire.link import ACK, SYN, UNREACHABLE, LinkDecoder, endpoints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ocppscope.export.rewriting.chosen import Chosen
    from ocppscope.export.writing import Job
    from ocppscope.model import Endpoint, PacketBlock
    from ocppscope.wire.link import Segments

MAX_ATTEMPTS = 1 << 16
"""Connections of this kind that are looked at; of more, the later ones are left out."""
MERGE_AT = 1 << 20
"""Flows after which those that occur twice are put together."""


class Attempts:
    """Finds them in a pass over the captures."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._link = LinkDecoder()
        self._firsts = np.array(sorted(chosen.talks), np.int64)
        self._ports = {
            one.first_packet: chosen.connections[number].flow.server.port
            for one in chosen.talks.values()
            for number in one.connections
        }
        self._servers: set[Endpoint] = set()
        self._hosts: set[tuple[str, str]] = set()  # client and server
        self._speaking: list[NDArray[np.uint64]] = []
        self._begun: dict[int, tuple[int, Endpoint, Endpoint]] = {}  # by flow: packet, client, server

    def choose(self, blocks: Iterable[PacketBlock], job: Job) -> None:
        """Adds them to what is chosen."""
        for block in blocks:
            job.step()
            self._look(self._link.decode(block), block.first_packet)
        speaking = set(self._merged().tolist())
        for key, (packet, client, server) in self._begun.items():
            known = server in self._servers or (client.address, server.address) in self._hosts
            if known and key not in speaking and packet not in self._chosen.talks:
                talk = self._chosen.talks[packet] = Talk(packet)
                talk.whole = True

    def _look(self, segments: Segments, first: int) -> None:
        self._speaking.append(np.unique(segments.key[(segments.length > 0) | (segments.missing > 0)]))
        if sum(map(len, self._speaking)) > MERGE_AT:
            self._speaking = [self._merged()]
        packets = segments.packet + first
        for row in np.flatnonzero(np.isin(packets, self._firsts)).tolist():
            self._learn(segments, row, int(packets[row]))
        opening = segments.flags & (SYN | ACK | UNREACHABLE) == SYN
        for row in np.flatnonzero(opening).tolist():
            key = int(segments.key[row])
            if key not in self._begun and len(self._begun) < MAX_ATTEMPTS:
                self._begun[key] = int(packets[row]), *endpoints(segments.data, int(segments.ip[row]))

    def _merged(self) -> NDArray[np.uint64]:
        return np.unique(np.concatenate([np.empty(0, np.uint64), *self._speaking]))

    def _learn(self, segments: Segments, row: int, packet: int) -> None:
        """Who speaks OCPP, by the first packet of a connection."""
        source, destination = endpoints(segments.data, int(segments.ip[row]))
        port = self._ports.get(packet)
        if port is not None:
            client, server = (source, destination) if destination.port == port else (destination, source)
            self._servers.add(server)
            self._hosts.add((client.address, server.address))
