"""Which TCP connection of the exported ones a packet belongs to, and whether it is wanted.

Blocks of packets in, those of interest out with where their headers are; nothing is written or changed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.wire.link import ACK, FIN, RST, SYN, UNREACHABLE, LinkDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ocppscope.export.rewriting.chosen import Chosen, Talk
    from ocppscope.model import PacketBlock
    from ocppscope.wire.link import Segments

CLOSE_FRAME = 0x88
MAX_CLOSE_BYTES = 131
"""A Close frame: header, mask and at most 125 bytes."""
OPENING_PACKETS = 4
"""A connection's first packets, in which the end of its TCP handshake stands."""


class Found(NamedTuple):
    """One TCP segment of a connection that is exported. Places are in `data`."""

    talk: Talk
    at: int  # index of the packet in its block
    packet: int
    data: bytes | bytearray
    ip: int
    tcp: int
    payload: int
    length: int
    missing: int
    direction: int
    seq: int
    ack: int
    flags: int
    is_whole: bool  # the packet holds the datagram, which `data` may hold in another form


class _Place:
    """Where a flow stands: the TCP connection that has it now."""

    __slots__ = ("packets", "said", "syn", "talk")

    def __init__(self, talk: Talk) -> None:
        self.talk: Talk | None = talk
        self.syn: int | None = None
        self.said = False
        self.packets = 0


class Packets:
    """Finds the segments of the exported connections; the same in every pass with the same `hash_key`."""

    def __init__(self, chosen: Chosen, hash_key: int | None = None) -> None:
        self._talks = chosen.talks
        self._marks = chosen.marks
        self._firsts = np.array(sorted(chosen.talks), np.int64)
        self._link = LinkDecoder(hash_key)
        self._places: dict[int, _Place] = {}
        self._keys = np.empty(0, np.uint64)

    def of(self, block: PacketBlock) -> Iterator[tuple[Found, bool]]:
        """The segments of a block in capture order, each with whether it is wanted."""
        segments = self._link.decode(block)
        rows = self._rows(segments, block)
        if not len(rows):
            return
        columns = (
            segments.packet, segments.key, segments.ip, segments.tcp, segments.payload, segments.length,
            segments.missing, segments.direction, segments.seq, segments.ack, segments.flags,
        )  # fmt: skip
        for at, key, ip, tcp, payload, length, missing, direction, seq, ack, flags in zip(
            *(column[rows].tolist() for column in columns), strict=True
        ):
            packet = at + block.first_packet
            if flags & UNREACHABLE:
                continue
            place = self._place(key, packet, seq, flags, length)
            if place is None or place.talk is None:
                continue
            own = segments.data is block.data or ip < len(block.data)
            found = Found(
                place.talk, at, packet, segments.data, ip, tcp, payload, length, missing, direction, seq, ack, flags,
                own or _holds(block, at, segments.data[payload : payload + length]),
            )  # fmt: skip
            yield found, self._is_wanted(found, place)

    def _rows(self, segments: Segments, block: PacketBlock) -> NDArray[np.intp]:
        """Those of flows that are exported, or that begin to be in this block."""
        low, high = np.searchsorted(self._firsts, (block.first_packet, block.first_packet + len(block.offsets)))
        starting = self._firsts[low:high] - block.first_packet
        keys = segments.key[np.isin(segments.packet, starting)]
        if len(keys):
            self._keys = np.unique(np.concatenate([self._keys, keys]))
        return np.flatnonzero(np.isin(segments.key, self._keys))

    def _place(self, key: int, packet: int, seq: int, flags: int, length: int) -> _Place | None:
        talk = self._talks.get(packet)
        if talk is not None:
            place = self._places[key] = _Place(talk)
        elif (known := self._places.get(key)) is None:
            return None
        else:
            place = known
        if flags & (SYN | ACK) == SYN:
            if place.said and seq != place.syn:
                place.talk = None  # another connection, which is not exported
            place.syn = seq if place.syn is None else place.syn
        place.said |= length > 0
        place.packets += 1
        return place

    def _is_wanted(self, found: Found, place: _Place) -> bool:
        talk = found.talk
        if talk.whole or found.packet in self._marks or found.flags & (SYN | FIN | RST):
            return True
        if talk.from_start and found.packet <= talk.last:
            return True
        if not found.length:
            return talk.first <= found.packet <= talk.last or (not place.said and place.packets < OPENING_PACKETS)
        return _is_close(found)


def _is_close(found: Found) -> bool:
    """Whether a segment looks like a Close frame alone."""
    data, at = found.data, found.payload
    if found.length > MAX_CLOSE_BYTES or found.length < 2 or data[at] != CLOSE_FRAME:
        return False
    masked = data[at + 1] >> 7
    return found.length == 2 + 4 * masked + (data[at + 1] & 0x7F)


def _holds(block: PacketBlock, at: int, payload: bytes | bytearray) -> bool:
    """Whether a packet by itself holds all the payload that was read from it: it was no fragment."""
    begin = int(block.offsets[at])
    return payload in block.data[begin : begin + int(block.caplen[at])]
