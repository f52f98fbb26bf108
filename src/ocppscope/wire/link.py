"""From packets to TCP segments, a block at a time and as NumPy columns.

Strips link layers, VLAN tags and IP headers, reassembles IP fragments, and names the flow of each segment by a
64-bit hash. Ordinary packets never become Python objects here; the few that need a look of their own (fragments,
IPv6 extension headers, odd encapsulations) take a scalar path with the same result. Checksums are ignored, since
offloading makes wrong ones common in captures. Does not order or judge TCP.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocppscope.model import BLOCK_PADDING, Endpoint, PacketBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Keys = NDArray[np.uint64]
    Seed = tuple[np.uint64, ...]

MAX_TAGS = 4
"""VLAN tags or MPLS labels that are looked through in one packet."""
MAX_EXTENSIONS = 8
"""IPv6 extension headers that are looked through in one packet."""
MAX_FRAGMENT_BYTES = 4 << 20
"""Bytes of incomplete IP datagrams that are kept; the oldest datagram is given up first."""
MAX_DATAGRAMS = 4096
"""Incomplete IP datagrams that are kept."""
FRAGMENT_OVERHEAD = 200
"""What a fragment costs beyond its bytes; it counts as if it were such."""
MAX_FRAGMENTS = 1024
"""Fragments of one datagram that are kept."""

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
UNREACHABLE = 0x100
"""In place of flags: not a segment, but an ICMP message that the segment with the number `ack` of the other direction
found nobody."""
MAX_UNREACHABLE = 1024
"""ICMP messages of one block that are looked at."""

IPV4, IPV6 = 0x0800, 0x86DD
VLAN_TAGS = (0x8100, 0x88A8, 0x9100, 0x9200)
MPLS = (0x8847, 0x8848)
PPPOE_SESSION = 0x8864
PPP_PROTOCOLS = {0x0021: IPV4, 0x0057: IPV6, 0x0281: MPLS[0]}
TCP, ICMP, ICMPV6 = 6, 1, 58
EXTENSION_HEADERS = (0, 43, 44, 51, 60, 135)

ETHERNET, SLL, SLL2 = 1, 113, 276
NULL, LOOP, RAW = 0, 108, (12, 14, 101, 228, 229)
PPP, PPP_SERIAL, C_HDLC, NFLOG, PKTAP = 9, 50, 104, 239, 258
RADIOTAP, IEEE802_11 = 127, 105

_IP_WINDOW = np.dtype("V40")
_IS_EXTENSION = np.isin(np.arange(256), EXTENSION_HEADERS)
_TCP_WINDOW = np.dtype("V20")
_IPV4_HEADER = np.dtype(
    {
        "names": ["total", "fragment", "protocol", "source", "destination"],
        "formats": [">u2", ">u2", "u1", ">u4", ">u4"],
        "offsets": [2, 6, 9, 12, 16],
        "itemsize": 40,
    }
)
_IPV6_HEADER = np.dtype(
    {
        "names": ["length", "next", "source", "destination"],
        "formats": [">u2", "u1", (">u8", 2), (">u8", 2)],
        "offsets": [4, 6, 8, 24],
        "itemsize": 40,
    }
)
_TCP_HEADER = np.dtype(
    {
        "names": ["source", "destination", "seq", "ack", "offset", "flags"],
        "formats": [">u2", ">u2", ">u4", ">u4", "u1", "u1"],
        "offsets": [0, 2, 4, 8, 12, 13],
        "itemsize": 20,
    }
)


class Segments(NamedTuple):
    """The TCP segments of a block in capture order; one element a segment in every array.

    `key` is the same for both directions of a flow, `direction` tells them apart (0 or 1, arbitrary but stable).
    """

    data: bytes | bytearray  # the buffer that `ip` and `payload` point into
    packet: Ints  # index in its block
    key: Keys
    direction: Ints
    ip: Ints  # where the IP header starts
    tcp: Ints  # where the TCP header starts
    seq: Ints
    ack: Ints
    flags: Ints
    payload: Ints  # where the payload starts
    length: Ints  # captured payload bytes
    missing: Ints  # payload bytes that the capture does not hold


class LinkStats:
    """What went by that was no usable TCP segment. Counts packets."""

    __slots__ = ("cut", "fragments", "not_ip", "not_tcp", "unknown_links")

    def __init__(self) -> None:
        self.not_ip = 0  # ARP, LLDP, unknown encapsulations
        self.not_tcp = 0
        self.cut = 0  # headers cut by the snap length, or malformed
        self.fragments = 0
        self.unknown_links: dict[int, int] = {}  # LINKTYPE_ → packets


class LinkDecoder:
    """Turns packet blocks into segments; keeps only the fragments of unfinished IP datagrams between blocks."""

    def __init__(self, hash_key: int | None = None) -> None:
        """`hash_key` keys the flow hash, so that no capture can be made whose flows collide; random by default."""
        key = os.urandom(16) if hash_key is None else hash_key.to_bytes(16, "big")
        digest = hashlib.blake2b(key).digest()
        self._seed = tuple(np.uint64(int.from_bytes(digest[i : i + 8], "big") | 1) for i in (0, 8, 16, 24))
        self.stats = LinkStats()
        self._fragments = _Defragmenter()

    def decode(self, block: PacketBlock) -> Segments:
        """The TCP segments of `block`."""
        ip, family = _network_layer(block, self.stats)
        table = np.frombuffer(block.data, np.uint8)
        end = block.offsets + block.caplen
        usable = (family != 0) & (ip + 20 <= end)
        self.stats.not_ip += int(np.count_nonzero(family == 0))
        self.stats.cut += int(np.count_nonzero((family != 0) & ~usable))
        packets = _Packets(np.arange(len(ip)), ip, end, block.offsets + block.origlen).only(usable)
        version = table[packets.ip] >> 4
        headers = windows(block.data, _IP_WINDOW)[packets.ip]
        four, six = version == 4, version == 6
        parts = [_decode_ipv4(packets.only(four), headers if four.all() else headers[four], table)]
        if six.any():
            parts.append(_decode_ipv6(packets.only(six), headers[six], self._seed))
        data, extra = self._look_closer(block, parts)
        segments = _tcp_layer(data, [*parts, *extra], self._seed, self.stats)
        messages = [message for part in parts for message in _unreachable(block.data, part)]
        return _with_messages(segments, messages[:MAX_UNREACHABLE], self._seed) if messages else segments

    def _look_closer(self, block: PacketBlock, parts: list[_Datagrams]) -> tuple[bytes | bytearray, list[_Datagrams]]:
        """Datagrams of fragments and of packets with extension headers, appended to the buffer."""
        odd = sorted((int(i), int(p)) for part in parts for i, p in zip(part.odd_index, part.odd_ip, strict=True))
        if not odd:
            return block.data, []
        rows: list[tuple[int, int, int, int, int]] = []
        whole: list[bytes] = []
        where = len(block.data)
        for index, ip in odd:
            end = int(block.offsets[index] + block.caplen[index])
            wire = int(block.offsets[index] + block.origlen[index]) - ip
            datagram = self._fragments.datagram(bytes(block.data[ip:end]), wire, self.stats)
            if datagram is None:
                continue
            whole.append(datagram.octets)
            rows.append((index, where, where + datagram.transport, where + datagram.end, len(datagram.octets)))
            where += len(datagram.octets)
        if not rows:
            return block.data, []
        columns = np.array(rows, np.int64).T
        data = b"".join((block.data, *whole, bytes(BLOCK_PADDING)))
        index_, ip_, tcp, stop = columns[:4]
        words = [_address_words(o, self._seed) for o in whole]
        source = np.array([w[0] for w in words], np.uint64)
        destination = np.array([w[1] for w in words], np.uint64)
        empty = np.empty(0, np.int64)
        captured = ip_ + columns[4]
        return data, [_Datagrams(index_, ip_, tcp, stop, captured, source, destination, empty, empty, 0)]


class _Packets(NamedTuple):
    """Packets with an IP header."""

    number: Ints  # index in their block
    ip: Ints  # where the IP header starts
    end: Ints  # where the captured bytes end
    wire: Ints  # where the packet ended on the wire

    def only(self, mask: NDArray[np.bool_]) -> _Packets:
        """Those that `mask` selects."""
        return self if mask.all() else _Packets(*(column[mask] for column in self))


class _Datagrams(NamedTuple):
    """IP datagrams that hold TCP, and those that need a closer look."""

    packet: Ints  # index in its block
    ip: Ints
    tcp: Ints  # where the TCP header starts
    stop: Ints  # where the datagram ends on the wire
    captured: Ints  # where the captured bytes end
    source: Keys  # keyed hash of the source address
    destination: Keys
    odd_index: Ints
    odd_ip: Ints
    others: int  # datagrams of other protocols
    icmp: tuple[Ints, Ints, Ints, Ints] | None = None  # of these: index in the block, IP, ICMP header, captured end


def windows(data: bytes | bytearray, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Every run of `dtype.itemsize` bytes of `data`, as an array to gather from."""
    return np.ndarray((len(data) - dtype.itemsize + 1,), dtype, data, strides=(1,))


def _mix(words: Keys, seed: Seed, which: int) -> Keys:
    words = (words ^ seed[which]) * seed[3]
    words ^= words >> np.uint64(32)
    words *= seed[2]
    return words ^ (words >> np.uint64(29))


def _hash_ipv6(words: NDArray[np.uint64], seed: Seed) -> Keys:
    return _mix(_mix(words[:, 0], seed, 0) + words[:, 1], seed, 1)


def _address_words(datagram: bytes, seed: Seed) -> tuple[np.uint64, np.uint64]:
    """The keyed hashes of the source and destination address of one datagram."""
    if datagram[0] >> 4 == 4:
        both = np.frombuffer(datagram, ">u4", 2, 12).astype(np.uint64)
        return both[0], both[1]
    words = np.frombuffer(datagram, ">u8", 4, 8).astype(np.uint64).reshape(2, 2)
    hashed = _hash_ipv6(words, seed)
    return hashed[0], hashed[1]


def _decode_ipv4(packets: _Packets, headers: NDArray[np.void], table: NDArray[np.uint8]) -> _Datagrams:
    index, ip, end, wire = packets
    fields = headers.view(_IPV4_HEADER)
    length = (table[ip] & 15).astype(np.int64) * 4
    fragmented = (fields["fragment"] & 0x3FFF) != 0
    is_tcp = (fields["protocol"] == TCP) & (length >= 20)
    plain = is_tcp & ~fragmented
    odd = is_tcp & fragmented
    others = int(len(index) - np.count_nonzero(is_tcp))
    icmp = None
    if others and (told := (fields["protocol"] == ICMP) & ~fragmented).any():
        icmp = index[told], ip[told], (ip + length)[told], end[told]
    total = fields["total"].astype(np.int64)
    # A total length of 0 is written by segmentation offload: then the packet is the datagram.
    stop = np.where(total == 0, wire, ip + total)
    return _Datagrams(
        index[plain],
        ip[plain],
        (ip + length)[plain],
        stop[plain],
        end[plain],
        fields["source"][plain].astype(np.uint64),
        fields["destination"][plain].astype(np.uint64),
        index[odd],
        ip[odd],
        others,
        icmp,
    )


def _decode_ipv6(packets: _Packets, headers: NDArray[np.void], seed: Seed) -> _Datagrams:
    index, ip, end, wire = packets
    fields = headers.view(_IPV6_HEADER)
    valid = ip + 40 <= end
    plain = valid & (fields["next"] == TCP)
    odd = valid & _IS_EXTENSION[fields["next"]]
    others = int(len(index) - np.count_nonzero(plain | odd))
    icmp = None
    if others and (told := valid & (fields["next"] == ICMPV6)).any():
        icmp = index[told], ip[told], ip[told] + 40, end[told]
    length = fields["length"].astype(np.int64)
    # A payload length of 0 belongs to a jumbogram or a packet of segmentation offload.
    stop = np.where(length == 0, wire, ip + 40 + length)
    return _Datagrams(
        index[plain],
        ip[plain],
        ip[plain] + 40,
        stop[plain],
        end[plain],
        _hash_ipv6(fields["source"][plain].astype(np.uint64), seed),
        _hash_ipv6(fields["destination"][plain].astype(np.uint64), seed),
        index[odd],
        ip[odd],
        others,
        icmp,
    )


def _tcp_layer(data: bytes | bytearray, parts: list[_Datagrams], seed: Seed, stats: LinkStats) -> Segments:
    """The segments of all datagrams, in capture order."""
    stats.not_tcp += sum(part.others for part in parts)
    parts = [part for part in parts if len(part.packet)] or parts[:1]
    if len(parts) == 1:
        index, ip, tcp, stop, captured, source, destination = parts[0][:7]
    else:
        order = np.argsort(np.concatenate([part.packet for part in parts]), kind="stable")
        columns = (np.concatenate([part[i] for part in parts])[order] for i in range(7))
        index, ip, tcp, stop, captured, source, destination = columns
    header = windows(data, _TCP_WINDOW)[np.minimum(tcp, len(data) - 20)].view(_TCP_HEADER)
    payload = tcp + (header["offset"] >> 4).astype(np.int64) * 4
    readable = (tcp + 20 <= captured) & (payload >= tcp + 20) & (payload <= stop)
    if not readable.all():
        stats.cut += int(np.count_nonzero(~readable))
        index, ip, tcp, stop, captured, payload = (a[readable] for a in (index, ip, tcp, stop, captured, payload))
        source, destination, header = source[readable], destination[readable], header[readable]
    near = _mix(source * seed[2] + header["source"], seed, 0)
    far = _mix(destination * seed[2] + header["destination"], seed, 0)
    held = np.minimum(stop, captured)
    length = np.maximum(held - payload, 0)
    return Segments(
        data,
        index,
        near + far,
        (near > far).astype(np.int64),
        ip,
        tcp,
        header["seq"].astype(np.int64),
        header["ack"].astype(np.int64),
        header["flags"].astype(np.int64),
        payload,
        length,
        stop - payload - length,
    )


def _unreachable(data: bytes | bytearray, part: _Datagrams) -> list[tuple[int, int, int]]:
    """Messages that a TCP segment found nobody: index in the block, where the quoted IP and TCP headers start."""
    if part.icmp is None:
        return []
    table = np.frombuffer(data, np.uint8)
    index, ip, icmp, end = part.icmp
    whole = icmp + 8 + 40 + 8 <= end
    whole |= (icmp + 8 + 20 + 8 <= end) & (table[ip] >> 4 == 4)
    index, ip, icmp, end = index[whole], ip[whole], icmp[whole], end[whole]
    quoted = icmp + 8
    four = (table[ip] >> 4 == 4) & (table[icmp] == 3) & (table[icmp + 1] != 4) & (table[quoted + 9] == TCP)
    six = (table[ip] >> 4 == 6) & (table[icmp] == 1) & (table[quoted + 6] == TCP)
    tcp = np.where(four, quoted + (table[quoted] & 15).astype(np.int64) * 4, quoted + 40)
    known = (four | six) & (table[quoted] >> 4 == table[ip] >> 4) & (tcp + 8 <= end)
    return list(zip(index[known].tolist(), quoted[known].tolist(), tcp[known].tolist(), strict=True))


def _with_messages(segments: Segments, messages: list[tuple[int, int, int]], seed: Seed) -> Segments:
    """Segments, and ICMP messages among them as if the other end had sent them."""
    data = segments.data
    packet, quoted, tcp = np.array(messages, np.int64).T
    words = [_address_words(bytes(data[at : at + 40]), seed) for at in quoted.tolist()]
    header = windows(data, _TCP_WINDOW)[np.minimum(tcp, len(data) - 20)].view(_TCP_HEADER)
    sender = _mix(np.array([word[0] for word in words], np.uint64) * seed[2] + header["source"], seed, 0)
    target = _mix(np.array([word[1] for word in words], np.uint64) * seed[2] + header["destination"], seed, 0)
    nothing = np.zeros(len(packet), np.int64)
    added = (
        packet,
        sender + target,
        (target > sender).astype(np.int64),
        quoted,
        tcp,
        nothing,
        header["seq"].astype(np.int64),
        nothing + UNREACHABLE,
        tcp,
        nothing,
        nothing,
    )
    columns = [np.concatenate(pair) for pair in zip(segments[1:], added, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Segments(data, *(column[order] for column in columns))


def zero_windows(segments: Segments, rows: Ints) -> NDArray[np.bool_]:
    """Which of some segments say that their sender can take nothing."""
    found: NDArray[np.bool_] = (
        np.ndarray((len(segments.data) - 1,), np.uint16, segments.data, strides=(1,))[segments.tcp[rows] + 14] == 0
    )
    return found


def addresses(data: bytes | bytearray, ip: int) -> tuple[bytes, bytes]:
    """Source and destination address, as they are sent, of the IP header that starts at `ip`."""
    if data[ip] >> 4 == 4:
        return bytes(data[ip + 12 : ip + 16]), bytes(data[ip + 16 : ip + 20])
    return bytes(data[ip + 8 : ip + 24]), bytes(data[ip + 24 : ip + 40])


def endpoints(data: bytes | bytearray, ip: int) -> tuple[Endpoint, Endpoint]:
    """Source and destination of the TCP segment whose IP header starts at `ip` (no extension headers)."""
    if data[ip] >> 4 == 4:
        tcp = ip + (data[ip] & 15) * 4
        source, destination = data[ip + 12 : ip + 16], data[ip + 16 : ip + 20]
    else:
        tcp = ip + 40
        source, destination = data[ip + 8 : ip + 24], data[ip + 24 : ip + 40]
    return (
        Endpoint(_address(source), int.from_bytes(data[tcp : tcp + 2], "big")),
        Endpoint(_address(destination), int.from_bytes(data[tcp + 2 : tcp + 4], "big")),
    )


def _address(octets: bytes | bytearray) -> str:
    if len(octets) == 4:
        return f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3]}"
    return str(ipaddress.ip_address(bytes(octets)))


# --- link layers -----------------------------------------------------------------------------------------------


def _network_layer(block: PacketBlock, stats: LinkStats) -> tuple[Ints, Ints]:
    """Where each packet's IP header starts, and its family (IPV4, IPV6, or 0 for none)."""
    linktypes = block.linktype
    if not len(linktypes):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    first = int(linktypes[0])
    if (linktypes == first).all():
        return _strip(first, block, block.offsets, block.caplen, stats)
    ip = block.offsets.copy()
    family = np.zeros(len(ip), np.int64)
    for linktype in np.unique(linktypes):
        rows = np.flatnonzero(linktypes == linktype)
        ip[rows], family[rows] = _strip(int(linktype), block, block.offsets[rows], block.caplen[rows], stats)
    return ip, family


def _strip(linktype: int, block: PacketBlock, offsets: Ints, caplen: Ints, stats: LinkStats) -> tuple[Ints, Ints]:
    table = np.frombuffer(block.data, np.uint8)
    if linktype == ETHERNET:
        return _ethertype(table, offsets + 14, _be16(table, offsets + 12))
    if linktype == SLL:
        return _ethertype(table, offsets + 16, _be16(table, offsets + 14))
    if linktype == SLL2:
        return _ethertype(table, offsets + 20, _be16(table, offsets))
    if linktype == C_HDLC:
        return _ethertype(table, offsets + 4, _be16(table, offsets + 2))
    if linktype in (NULL, LOOP):
        return _by_version(table, offsets + 4)
    if linktype in RAW:
        return _by_version(table, offsets)
    scalar = _SCALAR.get(linktype)
    if scalar is None:
        stats.unknown_links[linktype] = stats.unknown_links.get(linktype, 0) + len(offsets)
        return offsets, np.zeros(len(offsets), np.int64)
    ip = offsets.copy()
    for row, (offset, length) in enumerate(zip(offsets.tolist(), caplen.tolist(), strict=True)):
        ip[row] += scalar(bytes(block.data[offset : offset + length]))
    return _by_version(table, ip)


def _be16(table: NDArray[np.uint8], where: Ints) -> Ints:
    return (table[where].astype(np.int64) << 8) | table[where + 1]


def _by_version(table: NDArray[np.uint8], ip: Ints) -> tuple[Ints, Ints]:
    version = table[np.minimum(ip, len(table) - 1)] >> 4
    return ip, np.where(version == 4, IPV4, np.where(version == 6, IPV6, 0))


def _ethertype(table: NDArray[np.uint8], ip: Ints, kind: Ints) -> tuple[Ints, Ints]:
    """Looks through tags and labels until IP; `kind` is the EtherType that announces what starts at `ip`."""
    plain = (kind == IPV4) | (kind == IPV6)
    if plain.all():
        return ip, kind
    ip, kind = ip.copy(), kind.copy()
    rows = np.flatnonzero(~plain)
    for _ in range(MAX_TAGS):
        if not len(rows):
            break
        rows = _look_through(table, ip, kind, rows)
    kind[(kind != IPV4) & (kind != IPV6)] = 0
    return ip, kind


def _look_through(table: NDArray[np.uint8], ip: Ints, kind: Ints, rows: Ints) -> Ints:
    """One layer further for `rows`; returns the rows that have yet another."""
    limit = len(table) - 64
    rows = rows[ip[rows] < limit]
    tagged = rows[np.isin(kind[rows], VLAN_TAGS)]
    kind[tagged] = _be16(table, ip[tagged] + 2)
    ip[tagged] += 4
    session = rows[kind[rows] == PPPOE_SESSION]
    protocol = _be16(table, ip[session] + 6)
    kind[session] = np.select([protocol == p for p in PPP_PROTOCOLS], list(PPP_PROTOCOLS.values()), 0)
    ip[session] += 8
    labelled = rows[np.isin(kind[rows], MPLS)]
    bottom = (table[ip[labelled] + 2] & 1) == 1
    ip[labelled] += 4
    last = labelled[bottom]
    kind[last] = _by_version(table, ip[last])[1]
    snap = rows[(kind[rows] <= 1500) & (_be16(table, ip[rows]) == 0xAAAA)]
    kind[snap] = _be16(table, ip[snap] + 6)
    ip[snap] += 8
    return np.concatenate([tagged, session, labelled[~bottom], snap])


def _skip_ppp(packet: bytes) -> int:
    start = 2 if packet[:2] == b"\xff\x03" else 0
    return start + (1 if packet[start : start + 1] in (b"\x21", b"\x57") else 2)


def _skip_nflog(packet: bytes) -> int:
    """NFLOG is a list of TLVs; type 9 is the packet."""
    at = 4
    while at + 4 <= len(packet):
        length = int.from_bytes(packet[at : at + 2], "little")
        if int.from_bytes(packet[at + 2 : at + 4], "little") == 9:
            return at + 4
        at += max(4, length + 3 & ~3)
    return len(packet)


def _skip_pktap(packet: bytes) -> int:
    """Apple's header names its own length and the link type that follows."""
    header = int.from_bytes(packet[:4], "little")
    inner = int.from_bytes(packet[8:12], "little")
    return header + (14 if inner == ETHERNET else 4 if inner in (NULL, LOOP) else 0)


def _skip_80211(packet: bytes) -> int:
    """Unprotected data frames with an LLC/SNAP header; all others lead to no IP header."""
    control = int.from_bytes(packet[:2], "little")
    if control >> 2 & 3 != 2 or control & 0x4000:
        return len(packet)
    start = 24 + (6 if control & 0x0300 == 0x0300 else 0) + (2 if control & 0x80 else 0)
    return start + 8 if packet[start : start + 3] == b"\xaa\xaa\x03" else len(packet)


def _skip_radiotap(packet: bytes) -> int:
    header = int.from_bytes(packet[2:4], "little")
    return header + _skip_80211(packet[header:])


_SCALAR = {
    PPP: _skip_ppp,
    PPP_SERIAL: _skip_ppp,
    NFLOG: _skip_nflog,
    PKTAP: _skip_pktap,
    IEEE802_11: _skip_80211,
    RADIOTAP: _skip_radiotap,
}


# --- fragments and extension headers ---------------------------------------------------------------------------


class _Datagram(NamedTuple):
    octets: bytes  # an IP header without extensions, and what it carries
    transport: int  # where the TCP header starts
    end: int  # where the datagram ends on the wire


class _Piece(NamedTuple):
    start: int
    body: bytes  # what was captured of it
    length: int  # on the wire
    more: bool


class _Defragmenter:
    """Puts IP fragments together (RFC 791 §3.2, RFC 8200 §4.5): the lower start wins, memory bounded."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, list[_Piece]] = OrderedDict()
        self._held = 0

    def datagram(self, octets: bytes, wire: int, stats: LinkStats) -> _Datagram | None:
        """The TCP datagram that `octets` is or completes, if it does."""
        if octets[0] >> 4 == 4:
            return self._ipv4(octets, wire, stats)
        return self._ipv6(octets, wire, stats)

    def _ipv4(self, octets: bytes, wire: int, stats: LinkStats) -> _Datagram | None:
        stats.fragments += 1
        header = (octets[0] & 15) * 4
        total = int.from_bytes(octets[2:4], "big") or wire
        flags = int.from_bytes(octets[6:8], "big")
        name = octets[4:6] + octets[12:20]
        piece = _Piece((flags & 0x1FFF) * 8, octets[header:total], total - header, bool(flags & 0x2000))
        whole = self._collect(name, piece)
        if whole is None:
            return None
        return _Datagram(b"\x45" + octets[1:20] + whole.body, 20, 20 + whole.length)

    def _ipv6(self, octets: bytes, wire: int, stats: LinkStats) -> _Datagram | None:
        length = int.from_bytes(octets[4:6], "big") or wire - 40
        following, at, stop = octets[6], 40, 40 + length
        for _ in range(MAX_EXTENSIONS + 1):
            if following == TCP:
                plain = octets[:6] + b"\x06" + octets[7:40] + octets[at:stop]
                return _Datagram(plain, 40, 40 + stop - at)
            if following not in EXTENSION_HEADERS or at + 8 > len(octets):
                return None
            if following == 44:
                stats.fragments += 1
                word = int.from_bytes(octets[at + 2 : at + 4], "big")
                name = octets[at + 4 : at + 8] + octets[8:40]
                piece = _Piece(word & 0xFFF8, octets[at + 8 : stop], stop - at - 8, bool(word & 1))
                whole = self._collect(name, piece)
                if whole is None:
                    return None
                following = octets[at]
                octets, at, stop = octets[:40] + whole.body, 40, 40 + whole.length
                continue
            size = octets[at + 1] * 4 + 8 if following == 51 else octets[at + 1] * 8 + 8
            following, at = octets[at], at + size
        return None

    def _collect(self, name: bytes, piece: _Piece) -> _Piece | None:
        if piece.start == 0 and not piece.more:
            return piece  # an atomic fragment (RFC 6946)
        if not piece.body:
            return None
        pieces = self._open.setdefault(name, [])
        if len(pieces) >= MAX_FRAGMENTS:
            return None
        pieces.append(piece)
        self._held += len(piece.body) + FRAGMENT_OVERHEAD
        whole = _join(pieces)
        if whole is not None:
            self._drop(name)
        while self._open and (self._held > MAX_FRAGMENT_BYTES or len(self._open) > MAX_DATAGRAMS):
            self._drop(next(iter(self._open)))
        return whole

    def _drop(self, name: bytes) -> None:
        self._held -= sum(len(piece.body) + FRAGMENT_OVERHEAD for piece in self._open.pop(name))


def _join(pieces: list[_Piece]) -> _Piece | None:
    """The datagram's payload when the pieces leave no hole and its last one is there, be it cut."""
    last = next((piece for piece in pieces if not piece.more), None)
    if last is None:
        return None
    whole = bytearray()
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if piece.start > len(whole):
            return None
        whole += piece.body[len(whole) - piece.start :]
    held, end = last.start + len(last.body), last.start + last.length
    return _Piece(0, bytes(whole[:end]), end, False) if len(whole) >= held else None
