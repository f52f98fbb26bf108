"""The pcapng blocks that are no packets: section, interface, names, secrets; and how an interface counts time.

It looks at the bytes of one block; it may not do I/O and raises only `DamagedBlockError`.
Source: draft-ietf-opsawg-pcapng §4.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SECTION_HEADER = 0x0A0D0D0A
INTERFACE = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
NAMES = 4
ENHANCED_PACKET = 6
SECRETS = 10
SECTION_MAGIC = SECTION_HEADER.to_bytes(4, "big")

BYTE_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
TLS_KEY_LOG = 0x544C534B
MAX_INTERFACES = 65_536
"""Interfaces of one section that are remembered; the file is not read on beyond them."""

MAX_COMMENTS = 4
"""Comments on one packet that are read."""
OPTION_COMMENT = 1
OPTION_TSRESOL = 9
OPTION_TSOFFSET = 14
NANOSECONDS = 10**9
_ALL_TICKS = 2**64 - 1
_MAX_OFFSET = 2**61


class DamagedBlockError(Exception):
    """A block cannot be believed; the text says what it claims, to go after "a block …"."""


class Clock(NamedTuple):
    """How the ticks of an interface become nanoseconds: all of them integers that fit 64 bits.

    seconds = ticks // per_second + offset; with f = ticks % per_second, a = f >> shift and b the bits shifted out,
    nanoseconds = (a * scale + (b * scale >> shift)) // divisor.
    """

    per_second: int
    scale: int
    shift: int
    divisor: int
    offset: int  # seconds
    too_fine: bool = False

    @classmethod
    def of(cls, resolution: int, offset: int = 0) -> Clock:
        """From if_tsresol (a power of 10, or with the top bit of 2) and if_tsoffset (seconds)."""
        offset = max(-_MAX_OFFSET, min(offset, _MAX_OFFSET))
        exponent = resolution & 0x7F
        if resolution & 0x80:
            if exponent > 63:
                return cls(_ALL_TICKS, 0, 0, 1, offset, too_fine=True)
            shift = max(exponent - 34, 0)  # 34 bits times 10**9 just fit
            return cls(1 << exponent, NANOSECONDS, shift, 1 << (exponent - shift), offset)
        if exponent > 19:
            return cls(_ALL_TICKS, 0, 0, 1, offset, too_fine=True)
        if exponent > 9:
            return cls(10**exponent, 1, 0, 10 ** (exponent - 9), offset)
        return cls(10**exponent, 10 ** (9 - exponent), 0, 1, offset)


MICROSECONDS = Clock.of(6)


class Interface(NamedTuple):
    """What an Interface Description Block says that matters here."""

    linktype: int
    snaplen: int  # 0: no limit
    clock: Clock


class Interfaces:
    """The interfaces of one section, also as columns that are indexed by interface number."""

    def __init__(self) -> None:
        self.all: list[Interface] = []
        self._table: tuple[NDArray[np.uint16], NDArray[np.uint64], NDArray[np.int64]] | None = None

    def add(self, interface: Interface) -> None:
        """The next interface number is `interface`."""
        if len(self.all) >= MAX_INTERFACES:
            raise DamagedBlockError("describes more interfaces than any machine has")
        self.all.append(interface)
        self._table = None

    @property
    def one_clock(self) -> Clock | None:
        """The clock of the only interface."""
        return self.all[0].clock if len(self.all) == 1 else None

    @property
    def table(self) -> tuple[NDArray[np.uint16], NDArray[np.uint64], NDArray[np.int64]]:
        """Link type, the first four numbers of the clock as rows, and the clock's offset."""
        if self._table is None:
            clocks = [interface.clock for interface in self.all]
            self._table = (
                np.array([interface.linktype for interface in self.all], dtype=np.uint16),
                np.array([clock[:4] for clock in clocks], dtype=np.uint64).reshape(-1, 4).T.copy(),
                np.array([clock.offset for clock in clocks], dtype=np.int64),
            )
        return self._table


def section_order(head: bytes) -> str:
    """The byte order ("<" or ">") of a section, from its first 16 bytes. Raises DamagedBlockError."""
    order = BYTE_ORDERS.get(head[8:12])
    if order is None:
        raise DamagedBlockError("begins a section in an unknown byte order")
    major, minor = struct.unpack_from(order + "HH", head, 12)
    if major != 1:
        raise DamagedBlockError(f"begins a section of pcapng version {major}.{minor}, which is not known")
    return order


def parse_interface(order: str, body: bytes) -> Interface:
    """Read the body of an Interface Description Block (§4.2)."""
    if len(body) < 8:
        raise DamagedBlockError("describes an interface in too few bytes")
    linktype, snaplen = struct.unpack_from(order + "HxxI", body)
    resolution, offset = 6, 0
    for code, value in _tagged(order, body, 8):
        if code == OPTION_TSRESOL and value:
            resolution = value[0]
        elif code == OPTION_TSOFFSET and len(value) == 8:
            (offset,) = struct.unpack(order + "q", value)
    return Interface(linktype, snaplen, Clock.of(resolution, offset))


def parse_names(order: str, body: bytes) -> Iterator[tuple[str, str]]:
    """The (address, first name) pairs of a Name Resolution Block (§4.5)."""
    for kind, value in _tagged(order, body, 0):
        family, size = {1: (socket.AF_INET, 4), 2: (socket.AF_INET6, 16)}.get(kind, (None, 0))
        name = value[size:].partition(b"\0")[0][:255].decode("utf-8", "replace")
        if family is not None and len(value) > size and name:
            yield socket.inet_ntop(family, value[:size]), name


def parse_comments(order: str, options: bytes) -> Iterator[str]:
    """The first few comments among the options of a packet (§3.5)."""
    found = (value for code, value in _tagged(order, options, 0) if code == OPTION_COMMENT)
    for value in islice(found, MAX_COMMENTS):
        yield value.decode("utf-8", "replace")


def parse_secrets(order: str, body: bytes) -> bytes | None:
    """The TLS key log in a Decryption Secrets Block (§4.7); None if it holds something else."""
    if len(body) < 8:
        return None
    kind, length = struct.unpack_from(order + "II", body)
    return body[8 : 8 + length] if kind == TLS_KEY_LOG else None


def _tagged(order: str, body: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """Type, length, value padded to four bytes: the shape of options (§3.5) and of name records. 0 is the end."""
    head = struct.Struct(order + "HH")
    while position + 4 <= len(body):
        code, length = head.unpack_from(body, position)
        if code == 0 or position + 4 + length > len(body):
            return
        yield code, body[position + 4 : position + 4 + length]
        position += 4 + (length + 3 & ~3)
