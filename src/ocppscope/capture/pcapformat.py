"""The classic capture file format (pcap), in both byte orders and both resolutions, and Kuznetzov's variant of it.

It looks at buffers; it may not do I/O. Source: draft-ietf-opsawg-pcap §4 (file header) and §5 (packet record).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocppscope.capture.scan import MAX_PACKET_BYTES, Columns, Scan, gather
from ocppscope.errors import CaptureError

FILE_HEADER_BYTES = 24
RECORD_HEADER_BYTES = 16
CAPLEN_OFFSET = 8


class Variant(NamedTuple):
    """What a magic number stands for: struct byte order, nanoseconds a unit of the fraction, record header size."""

    order: str
    unit_ns: int
    header: int


def _variants() -> dict[bytes, Variant]:
    table = {}
    for magic, unit_ns, header in ((0xA1B2C3D4, 1000, 16), (0xA1B23C4D, 1, 16), (0xA1B2CD34, 1000, 24)):
        for order in "<>":
            table[struct.pack(order + "I", magic)] = Variant(order, unit_ns, header)
    return table


VARIANTS = _variants()
"""By the first four bytes of a file. Kuznetzov's variant adds interface, protocol and packet type to each record."""


class PcapFormat:
    """Reads the records of one pcap file.

    `header` is its first `FILE_HEADER_BYTES` bytes, which `scan` does not see again. Raises CaptureError if it is
    of a version that nobody has written.
    """

    def __init__(self, name: str, header: bytes) -> None:
        variant = VARIANTS[header[:4]]
        major, minor, _, _, _, network = struct.unpack(variant.order + "HHIIII", header[4:])
        if major != 2:
            raise CaptureError(
                f"{name} is a pcap file of version {major}.{minor}, which is not known.",
                "Only version 2 is in use; the file may be damaged.",
            )
        self._variant = variant
        self._linktype = network & 0xFFFF  # above it: the length of a frame check sequence
        self._caplen = struct.Struct(variant.order + "I")
        self._packets = 0

    def scan(self, data: bytearray, end: int) -> Scan:
        """See `Format.scan`."""
        lengths, position = _walk(data, end, self._caplen, self._variant.header)
        self._packets += len(lengths)
        columns = self._columns(data, np.array(lengths, dtype=np.int64) - CAPLEN_OFFSET) if lengths else None
        if end - position < self._variant.header:
            return Scan(columns, position, self._variant.header)
        (caplen,) = self._caplen.unpack_from(data, position + CAPLEN_OFFSET)
        if caplen > MAX_PACKET_BYTES:
            damage = f"is damaged after packet {self._packets}: the next one claims {caplen} bytes"
            return Scan(columns, position, 0, damage)
        return Scan(columns, position, self._variant.header + caplen)

    def cut(self, rest: bytes | bytearray) -> str:
        """See `Format.cut`."""
        header = self._variant.header
        where = f"packet {self._packets + 1}"
        if len(rest) < header:
            return f"ends in the middle of the header of {where}: {len(rest)} of {header} bytes"
        (caplen,) = self._caplen.unpack_from(rest, CAPLEN_OFFSET)
        return f"ends in the middle of {where}: {len(rest) - header} of {caplen} bytes"

    def _columns(self, data: bytearray, starts: NDArray[np.int64]) -> Columns:
        fields = gather(data, starts, RECORD_HEADER_BYTES).view(self._variant.order + "u4").astype(np.int64)
        return Columns(
            offsets=starts + self._variant.header,
            caplen=fields[:, 2].copy(),
            origlen=fields[:, 3].copy(),
            time_ns=fields[:, 0] * 1_000_000_000 + fields[:, 1] * self._variant.unit_ns,
            linktype=np.full(len(starts), self._linktype, dtype=np.uint16),
        )


def _walk(data: bytearray, end: int, caplen: struct.Struct, header: int) -> tuple[list[int], int]:
    """Where the lengths of the complete records of `data[:end]` are, and where the first incomplete record starts."""
    lengths: list[int] = []
    append = lengths.append
    unpack = caplen.unpack_from
    position = CAPLEN_OFFSET  # hopping from length to length saves an addition a packet
    stop = end - header + CAPLEN_OFFSET
    while position <= stop:
        append(position)
        position += unpack(data, position)[0] + header
    if position - CAPLEN_OFFSET > end:  # only the last record can reach beyond the buffer
        position = lengths.pop()
    return lengths, position - CAPLEN_OFFSET
