"""Where the records are in what a capture program writes, pcap or pcapng: bytes in, whole records out, unchanged.

No I/O, and nothing is read but lengths and kinds. Sources: draft-ietf-opsawg-pcap §4, draft-ietf-opsawg-pcapng §3.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MAX_RECORD_BYTES = 16 << 20
"""A record that claims more is none."""
MAX_HEADER_BYTES = 1 << 20
"""Of the blocks that every further file begins with."""

_PCAP_MAGICS = (0xA1B2C3D4, 0xA1B23C4D)
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 3, 6
_FILE_HEADER_BYTES, _RECORD_HEADER_BYTES, _BLOCK_BYTES = 24, 16, 12


class Piece(NamedTuple):
    """Whole records, in order, and how many of them are packets."""

    records: list[bytes]
    packets: int


class DamagedError(Exception):
    """What came is no capture, or not any longer."""


class Records:
    """Splits one stream.

    `first` is what it begins with, "" until it is known; `header` is what a file that takes its rest must begin with.
    """

    def __init__(self) -> None:
        self.first = self.header = b""
        self._left = b""
        self._order = ""
        self._is_pcap = False

    def feed(self, data: bytes) -> Piece:
        """The records that are complete now, without `first`. Raises DamagedError."""
        data = self._left + data
        if not self._order:
            data = self._begin(data)
            if not self._order:
                self._left = data
                return Piece([], 0)
        return self._pcap(data) if self._is_pcap else self._pcapng(data)

    def _begin(self, data: bytes) -> bytes:
        if len(data) < _FILE_HEADER_BYTES:
            return data
        for order in "<>":
            magic, second, third = struct.unpack_from(order + "III", data)
            if magic in _PCAP_MAGICS:
                self._order, self._is_pcap = order, True
                self.first = self.header = data[:_FILE_HEADER_BYTES]
                return data[_FILE_HEADER_BYTES:]
            if magic == _SECTION and third == 0x1A2B3C4D:
                if second > MAX_RECORD_BYTES or second < _BLOCK_BYTES:
                    raise DamagedError
                if len(data) >= second:
                    self._order = order
                    self.first = self.header = data[:second]
                return data[len(self.first) :]
        raise DamagedError

    def _pcap(self, data: bytes) -> Piece:
        length, records, at = struct.Struct(self._order + "I"), [], 0
        while at + _RECORD_HEADER_BYTES <= len(data):
            end = at + _RECORD_HEADER_BYTES + length.unpack_from(data, at + 8)[0]
            if end - at > MAX_RECORD_BYTES:
                raise DamagedError
            if end > len(data):
                break
            records.append(data[at:end])
            at = end
        self._left = data[at:]
        return Piece(records, len(records))

    def _pcapng(self, data: bytes) -> Piece:
        head, records, packets, at = struct.Struct(self._order + "II"), list[bytes](), 0, 0
        while at + _BLOCK_BYTES <= len(data):
            kind, length = head.unpack_from(data, at)
            if not _BLOCK_BYTES <= length <= MAX_RECORD_BYTES or length % 4:
                raise DamagedError
            if at + length > len(data):
                break
            block = data[at : at + length]
            if kind == _INTERFACE and len(self.header) + length <= MAX_HEADER_BYTES:
                self.header += block
            packets += kind in (_ENHANCED, _SIMPLE)
            records.append(block)
            at += length
        self._left = data[at:]
        return Piece(records, packets)
