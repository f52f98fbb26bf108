"""A ring of blocks that the kernel fills with packets and we empty, without a call for each: packet(7), TPACKET_V3.

The kernel hands over a block when it is full or `RETIRE_MILLISECONDS` old. Nothing but this memory is read here.
A packet costs 1 µs of this process, where one taken by recvmsg costs 4.
Source: Documentation/networking/packet_mmap.rst and include/uapi/linux/if_packet.h of the kernel.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket

BLOCK_BYTES = 1 << 18
"""Must hold the largest packet."""
BLOCKS = 256
"""A block that is handed over with one packet is no longer free, so this times the next is what we may sleep."""
RETIRE_MILLISECONDS = 8
FEWEST_BLOCKS = 16
"""Where the kernel has not so much memory in one go, half as many are tried, down to this."""

OUTGOING = 4
COOKED = struct.Struct("!HHIHBB8s")
"""The header of LINKTYPE_LINUX_SLL2."""

_FRAME_BYTES = 2048  # of no meaning with TPACKET_V3, but checked
_SOL_PACKET, _RX_RING, _VERSION, _TPACKET_V3 = 263, 5, 10, 2
_STATUS_AT, _COUNT_AT = 8, 12
_COUNTS = struct.Struct("II")  # packets, and where the first one is
_U32 = struct.Struct("I")
_HEADER = struct.Struct("IIIIIIHHIIHH")
"""next, seconds, nanoseconds, bytes kept, bytes on the wire, status, offset of the packet, of its network header,
hash, VLAN tag, VLAN protocol, padding."""
_ADDRESS_AT = 48
_ADDRESS = struct.Struct("!2xH4sHBB8s")
_OWNED_BY_US = 1
_TAGGED, _TAG_PROTOCOL_KNOWN = 1 << 4, 1 << 6
_TAG = struct.Struct("!HH")


class Packet(NamedTuple):
    """One packet: when, in nanoseconds, what was kept of it, and its length on the wire."""

    time_ns: int
    data: bytes
    length: int


class Ring:
    """The ring of an open packet socket. `is_cooked` where it has no link layer; else VLAN tags are put back.

    What is sent on one of the interfaces `loopbacks` (indices) is left out. Raises OSError if there can be none.
    """

    def __init__(self, own: socket.socket, *, is_cooked: bool, has_tags: bool, loopbacks: frozenset[int]) -> None:
        own.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        self._blocks = _reserve(own)
        self._memory = mmap.mmap(own.fileno(), self._blocks * BLOCK_BYTES)
        self._next = 0
        self._is_cooked, self._has_tags, self._loopbacks = is_cooked, has_tags, loopbacks

    def drain(self, most: int) -> list[Packet]:
        """The packets of the blocks that are ours, until they have `most` bytes."""
        found: list[Packet] = []
        memory, taken = self._memory, 0
        while taken < most:
            base = self._next * BLOCK_BYTES
            (status,) = _U32.unpack_from(memory, base + _STATUS_AT)
            if not status & _OWNED_BY_US:
                break
            taken += self._empty(base, found)
            _U32.pack_into(memory, base + _STATUS_AT, 0)
            self._next = (self._next + 1) % self._blocks
        return found

    def close(self) -> None:
        """Gives the memory back."""
        self._memory.close()

    def _empty(self, base: int, found: list[Packet]) -> int:
        memory, loopbacks = self._memory, self._loopbacks
        count, first = _COUNTS.unpack_from(memory, base + _COUNT_AT)
        at, taken = base + first, 0
        for _ in range(count):
            step, seconds, nanoseconds, kept, length, status, start, _, _, tag, protocol, _ = _HEADER.unpack_from(
                memory, at
            )
            if memory[at + _ADDRESS_AT + 10] == OUTGOING and self._index(at) in loopbacks:
                at += step  # what is sent there is also received there
                continue
            data = memory[at + start : at + start + kept]
            if self._is_cooked:
                data, length = self._cooked(at) + data, length + COOKED.size
            elif self._has_tags and (tag or status & _TAGGED):
                data = data[:12] + _TAG.pack(protocol if status & _TAG_PROTOCOL_KNOWN else 0x8100, tag) + data[12:]
                length += 4
            found.append(Packet(seconds * 1_000_000_000 + nanoseconds, data, length))
            taken += kept
            at += step
        return taken

    def _index(self, at: int) -> int:
        index: int = _U32.unpack_from(self._memory, at + _ADDRESS_AT + 4)[0]
        return index

    def _cooked(self, at: int) -> bytes:
        protocol, _, hardware, kind, length, address = _ADDRESS.unpack_from(self._memory, at + _ADDRESS_AT)
        (hardware,) = struct.unpack("=H", struct.pack("!H", hardware))  # the one field that is not in network order
        return COOKED.pack(protocol, 0, self._index(at), hardware, kind, length, address)


def _reserve(own: socket.socket) -> int:
    """How many blocks the kernel gave."""
    blocks = BLOCKS
    while True:
        wanted = struct.pack(
            "7I", BLOCK_BYTES, blocks, _FRAME_BYTES, BLOCK_BYTES // _FRAME_BYTES * blocks, RETIRE_MILLISECONDS, 0, 0
        )
        try:
            own.setsockopt(_SOL_PACKET, _RX_RING, wanted)
        except OSError:
            if blocks <= FEWEST_BLOCKS:
                raise
            blocks //= 2
        else:
            return blocks
