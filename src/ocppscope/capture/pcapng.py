"""The pcapng format: sections, interfaces, packets of three kinds; the rest is skipped or kept as an annotation.

It looks at buffers; it may not do I/O. A plain loop hops from block to block and notes where packets are, NumPy
reads their fields. Source: draft-ietf-opsawg-pcapng §3 (blocks) and §4 (the kinds of them).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocppscope.capture import pcapng_blocks as blocks
from ocppscope.capture.annotations import Annotations
from ocppscope.capture.pcapng_blocks import Clock, DamagedBlockError, Interfaces
from ocppscope.capture.scan import MAX_PACKET_BYTES, Columns, Scan, gather, join_columns

MAX_BLOCK_BYTES = MAX_PACKET_BYTES + (1 << 16)
"""The largest block believed: a packet with its options."""

MAX_OPTION_BYTES = 1 << 14
"""Bytes of a packet's options in which comments are looked for."""
NO_LINKTYPE = 0xFFFF
"""Link type of a packet whose interface does not exist. It is counted, so that numbers agree, but empty."""

PACKET_HEADER_BYTES = 28
SIMPLE_HEADER_BYTES = 12
SMALLEST_BLOCK = 12
SMALLEST_PACKET = 32
SMALLEST_SIMPLE = 16
SMALLEST_SECTION = 28
MAX_SECONDS = 2**63 // 10**9 - 1
"""Seconds beside 1970 that 64 bits of nanoseconds can hold; later and earlier times are clamped."""

_RARE_PACKETS = frozenset((blocks.OBSOLETE_PACKET, blocks.SIMPLE_PACKET))
_READ_BLOCKS = frozenset((blocks.INTERFACE, blocks.NAMES, blocks.SECRETS))
_Ints = NDArray[np.int64]


class PcapngFormat:
    """Reads the blocks of one pcapng file, from its first section header on."""

    def __init__(self, name: str, annotations: Annotations) -> None:
        self._name = name
        self._annotations = annotations
        self._packets = self._scanned = 0
        self._comments: list[tuple[int, str]] = []
        self._last_ns = 0
        self._begin_section("<")

    def _begin_section(self, order: str) -> None:
        self._order = order
        self._head = struct.Struct(order + "II")
        self._interfaces = Interfaces()
        self._births: list[tuple[int, int]] = []  # interfaces known from a packet of the current run on

    def scan(self, data: bytearray, end: int) -> Scan:
        """See `Format.scan`."""
        pieces: list[Columns] = []
        self._comments, self._scanned = [], self._packets
        position, need, damage = 0, 0, ""
        while not (need or damage):
            starts, position, damage = self._walk(data, position, end)
            if starts:
                columns, position, wrong = self._packets_at(data, starts, position)
                damage = wrong or damage
                pieces += [columns] if columns else []
            if not damage:
                position, need, damage = self._boundary(data, position, end)
        if damage:
            damage = f"is damaged after packet {self._packets}: a block {damage}"
        return Scan(join_columns(pieces), position, need, damage, tuple(self._comments))

    def cut(self, rest: bytes | bytearray) -> str:
        """See `Format.cut`."""
        if len(rest) < 8:
            return f"ends in the middle of a block header: {len(rest)} bytes"
        kind, length = self._head.unpack_from(rest)
        if kind == blocks.ENHANCED_PACKET and len(rest) >= PACKET_HEADER_BYTES:
            (caplen,) = struct.unpack_from(self._order + "I", rest, 20)
            have = min(len(rest) - PACKET_HEADER_BYTES, caplen)
            return f"ends in the middle of packet {self._packets + 1}: {have} of {caplen} bytes"
        what = f"packet {self._packets + 1}" if kind in _RARE_PACKETS or kind == blocks.ENHANCED_PACKET else "a block"
        return f"ends in the middle of {what}: {len(rest)} of {length} bytes"

    def _walk(self, data: bytearray, position: int, end: int) -> tuple[list[int], int, str]:
        """Where packets start, as far as complete blocks of this section go; where that ends; what is wrong there."""
        starts: list[int] = []
        append = starts.append
        unpack, packet = self._head.unpack_from, blocks.ENHANCED_PACKET
        stop = end - SMALLEST_BLOCK
        self._births = [(0, len(self._interfaces.all))]
        while position <= stop:
            kind, length = unpack(data, position)
            following = position + length
            if not position < following <= end:
                break
            if kind == packet or kind in _RARE_PACKETS:
                append(position)
            elif kind == blocks.SECTION_HEADER:
                break
            else:
                try:
                    self._other_block(kind, data, position, length)
                except DamagedBlockError as wrong:
                    return starts, position, str(wrong)
                if kind == blocks.INTERFACE:
                    self._births.append((len(starts), len(self._interfaces.all)))
            position = following
        return starts, position, ""

    def _other_block(self, kind: int, data: bytearray, position: int, length: int) -> None:
        """Check a block that is no packet, and take from it what is of use. Raises DamagedBlockError."""
        self._check_length(data, position, length, SMALLEST_BLOCK)
        if kind not in _READ_BLOCKS:
            return
        body = bytes(data[position + 8 : position + length - 4])
        if kind == blocks.INTERFACE:
            interface = blocks.parse_interface(self._order, body)
            if interface.clock.too_fine:
                self._notice("resolution", "counts time in units too small to hold a date; it is read as 0.")
            self._interfaces.add(interface)
        elif kind == blocks.NAMES:
            for address, name in blocks.parse_names(self._order, body):
                self._annotations.address(address, name)
        elif (secret := blocks.parse_secrets(self._order, body)) is not None:
            self._annotations.secret(self._name, secret)

    def _check_length(self, data: bytearray, position: int, length: int, smallest: int) -> None:
        if length < smallest or length & 3:
            raise DamagedBlockError(f"claims a length of {length} bytes")
        if self._head.unpack_from(data, position + length - 8)[1] != length:
            raise DamagedBlockError("has two lengths that differ")

    def _boundary(self, data: bytearray, position: int, end: int) -> tuple[int, int, str]:
        """At a block that `_walk` did not pass: a new section, an incomplete block or a wrong one."""
        rest = end - position
        if rest < SMALLEST_BLOCK:
            return position, SMALLEST_BLOCK, ""
        if data[position : position + 4] == blocks.SECTION_MAGIC:
            if rest < SMALLEST_SECTION:
                return position, SMALLEST_SECTION, ""
            try:
                self._begin_section(blocks.section_order(bytes(data[position : position + 16])))
            except DamagedBlockError as wrong:
                return position, 0, str(wrong)
        _, length = self._head.unpack_from(data, position)
        if length < SMALLEST_BLOCK or length > MAX_BLOCK_BYTES:
            return position, 0, f"claims a length of {length} bytes"
        if length > rest:
            return position, length, ""
        try:
            self._check_length(data, position, length, SMALLEST_SECTION)
        except DamagedBlockError as wrong:
            return position, 0, str(wrong)
        return position + length, 0, ""

    def _packets_at(self, data: bytearray, found: list[int], position: int) -> tuple[Columns | None, int, str]:
        """Read a run of packet blocks, up to the first wrong one, which then is the new position."""
        starts = np.array(found, dtype=np.int64)
        fields = gather(data, starts, PACKET_HEADER_BYTES).view(self._order + "u4")
        run = _Run(
            starts=starts,
            length=fields[:, 1].astype(np.int64),
            interface=fields[:, 2].astype(np.int64),
            ticks=fields[:, 3].astype(np.uint64) << np.uint64(32) | fields[:, 4],
            offsets=starts + PACKET_HEADER_BYTES,
            caplen=fields[:, 5].astype(np.int64),
            origlen=fields[:, 6].astype(np.int64),
        )
        kind = fields[:, 0]
        if (kind != blocks.ENHANCED_PACKET).any():
            self._mend_rare(run, kind, fields)
        good = self._believable(run, data)
        damage = ""
        if good < len(found):
            position = found[good]
            damage = f"of {run.length[good]} bytes does not fit the packet that it claims to hold"
        self._take_comments(run, kind, good, data)
        self._packets += good
        return (self._columns(run, good) if good else None), position, damage

    def _take_comments(self, run: _Run, kind: NDArray[np.uint32], count: int, data: bytearray) -> None:
        """The comments of enhanced packet blocks (§3.5): few have any."""
        room = run.length[:count] - SMALLEST_PACKET - (run.caplen[:count] + 3 & ~3)
        for place in np.flatnonzero((room > 0) & (kind[:count] == blocks.ENHANCED_PACKET)).tolist():
            begin = int(run.offsets[place] + (run.caplen[place] + 3 & ~3))
            end = int(run.starts[place] + run.length[place]) - 4
            options = bytes(data[begin : min(end, begin + MAX_OPTION_BYTES)])
            for text in blocks.parse_comments(self._order, options):
                self._comments.append((place + self._packets - self._scanned, text))

    def _mend_rare(self, run: _Run, kind: NDArray[np.uint32], fields: NDArray[np.uint32]) -> None:
        """Obsolete packet blocks (appendix) name an interface in 16 bits; simple ones (§4.4) hold a length only."""
        obsolete = kind == blocks.OBSOLETE_PACKET
        number = run.interface[obsolete]
        run.interface[obsolete] = number & 0xFFFF if self._order == "<" else number >> 16
        simple = run.simple = kind == blocks.SIMPLE_PACKET
        if not simple.any():
            return
        run.interface[simple] = 0
        run.ticks[simple] = 0
        run.offsets[simple] = run.starts[simple] + SIMPLE_HEADER_BYTES
        run.origlen[simple] = fields[simple, 2]
        room = run.length[simple] - SMALLEST_SIMPLE
        known = self._interfaces.all
        limit = known[0].snaplen if known and known[0].snaplen else MAX_PACKET_BYTES
        run.caplen[simple] = np.minimum(np.minimum(run.origlen[simple], room), limit)

    def _believable(self, run: _Run, data: bytearray) -> int:
        """How many packets it takes until a block contradicts itself."""
        length = run.length
        smallest = SMALLEST_PACKET if run.simple is None else np.where(run.simple, SMALLEST_SIMPLE, SMALLEST_PACKET)
        last = gather(data, np.maximum(run.starts + length - 4, 0), 4).view(self._order + "u4")[:, 0]
        wrong = (last != length) | (length & 3 != 0)
        wrong |= (length < smallest) | (run.caplen > length - smallest) | (run.caplen > MAX_PACKET_BYTES)
        return int(wrong.argmax()) if wrong.any() else len(wrong)

    def _columns(self, run: _Run, count: int) -> Columns:
        run = run.first(count)
        homeless = run.interface >= self._known_interfaces(count)
        untimed = homeless
        if run.simple is not None and run.simple.any():
            untimed = homeless | run.simple
            self._notice("simple", "has packets without a time; each gets the time of the packet before it.")
        if homeless.any():
            self._notice("interface", "has packets of interfaces that it does not describe; they are only counted.")
            for column in (run.interface, run.caplen, run.origlen, run.ticks):
                column[homeless] = 0
        linktype, time_ns = self._of_interfaces(run)
        linktype[homeless] = NO_LINKTYPE
        if untimed.any():
            _carry_forward(time_ns, untimed, self._last_ns)
        self._last_ns = int(time_ns[-1])
        return Columns(run.offsets, run.caplen, run.origlen, time_ns, linktype)

    def _known_interfaces(self, count: int) -> NDArray[np.int64]:
        """How many interfaces were described before each packet of the run."""
        births: _Ints = np.array(self._births, dtype=np.int64)
        known: _Ints = births[np.searchsorted(births[:, 0], np.arange(count), side="right") - 1, 1]
        return known

    def _of_interfaces(self, run: _Run) -> tuple[NDArray[np.uint16], _Ints]:
        """Link types and times of a run; where there is no interface at all, nothing."""
        clock = self._interfaces.one_clock
        if clock and _is_plain(clock, run.ticks):
            linktype = np.full(len(run.ticks), self._interfaces.all[0].linktype, dtype=np.uint16)
            return linktype, (run.ticks * np.uint64(clock.scale)).astype(np.int64) + clock.offset * blocks.NANOSECONDS
        if not self._interfaces.all:
            return np.zeros(len(run.ticks), dtype=np.uint16), np.zeros(len(run.ticks), dtype=np.int64)
        linktypes, clocks, offsets = self._interfaces.table
        seconds, nanoseconds = _split_ticks(run.ticks, clocks[:, run.interface])
        seconds += offsets[run.interface]
        clamped = np.clip(seconds, -MAX_SECONDS, MAX_SECONDS)
        if (clamped != seconds).any():
            self._notice("time", "has times beyond the year 2262 or before 1677; they are read as that.")
        return linktypes[run.interface], clamped * blocks.NANOSECONDS + nanoseconds

    def _notice(self, kind: str, text: str) -> None:
        self._annotations.notice(self._name, kind, f"{self._name} {text}")


@dataclass(slots=True)
class _Run:
    """The fields of consecutive packet blocks, as columns."""

    starts: _Ints
    length: _Ints
    interface: _Ints
    ticks: NDArray[np.uint64]
    offsets: _Ints
    caplen: _Ints
    origlen: _Ints
    simple: NDArray[np.bool_] | None = None

    def first(self, count: int) -> _Run:
        """The first `count` of them."""
        return _Run(
            self.starts[:count],
            self.length[:count],
            self.interface[:count],
            self.ticks[:count],
            self.offsets[:count],
            self.caplen[:count],
            self.origlen[:count],
            None if self.simple is None else self.simple[:count],
        )


def _is_plain(clock: Clock, ticks: NDArray[np.uint64]) -> bool:
    """Whether one multiplication makes nanoseconds of these ticks, which is so for every clock in use."""
    whole = clock.shift == 0 and clock.divisor == 1 and abs(clock.offset) * blocks.NANOSECONDS < 2**62
    return whole and clock.scale > 0 and int(ticks.max()) * clock.scale < 2**62


def _split_ticks(ticks: NDArray[np.uint64], clocks: NDArray[np.uint64]) -> tuple[_Ints, _Ints]:
    """Seconds and nanoseconds, exactly and within 64 bits; see `Clock`."""
    per_second, scale, shift, divisor = clocks
    seconds = np.minimum(ticks // per_second, np.uint64(2**62)).astype(np.int64)
    fraction = ticks % per_second
    high = fraction >> shift
    low = fraction - (high << shift)
    return seconds, ((high * scale + (low * scale >> shift)) // divisor).astype(np.int64)


def _carry_forward(times: _Ints, untimed: NDArray[np.bool_], before: int) -> None:
    """Give the untimed packets, in place, the time of the last timed one, which is `before` at the beginning."""
    last = np.maximum.accumulate(np.where(untimed, -1, np.arange(len(times))))
    times[:] = np.where(last < 0, before, times[last])
