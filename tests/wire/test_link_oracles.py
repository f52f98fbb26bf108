"""Packets that other programs read, too: what scapy builds and dissects, and public captures by tshark."""

from __future__ import annotations

import csv
import ipaddress
import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Padding, Raw
from support_link import CSMS6, STATION6, decode, only, rows
from support_packets import CSMS, STATION

from ocppscope.capture.pcapfile import open_captures
from ocppscope.errors import CaptureError
from ocppscope.model import Endpoint
from ocppscope.wire.link import LinkDecoder
from support_captures import Pcapng
from support_captures import Row as FileRow
from support_captures import rows as rows_of

SHARED = Path(__file__).parents[3] / "shared" / "captures" / "tcp"

# --- scapy ----------------------------------------------------------------------------------------------------------

ports = st.integers(0, 0xFFFF)
tcp_layer = st.builds(
    lambda sport, dport, seq, ack, flags, nops: TCP(
        sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, options=[("NOP", None)] * nops
    ),
    ports,
    ports,
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0x3F),
    st.integers(0, 40),
)
addresses4 = st.ip_addresses(v=4).map(str)
addresses6 = st.ip_addresses(v=6).map(str)
four = st.builds(
    lambda src, dst, options: IP(src=src, dst=dst, options=[IPOption(b"\x01")] * options),
    addresses4,
    addresses4,
    st.integers(0, 40),
)
six_extensions = st.lists(
    st.sampled_from([IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment]),
    max_size=4,
    unique=True,
)
six = st.builds(lambda src, dst: IPv6(src=src, dst=dst), addresses6, addresses6)
below = st.lists(st.sampled_from([Dot1Q, Dot1AD]), max_size=4)


def stack(layers: Iterable[Packet]) -> Packet:
    whole: Packet | None = None
    for layer in layers:
        whole = layer if whole is None else whole / layer
    assert whole is not None
    return whole


def by_scapy(packet: Packet) -> tuple[object, ...]:
    """What scapy reads in the bytes of a packet."""
    ip = packet[IP] if IP in packet else packet[IPv6]
    segment = packet[TCP]
    padding = len(packet[Padding].load) if Padding in packet else 0
    octets = bytes(segment)
    payload = octets[segment.dataofs * 4 : len(octets) - padding]
    ends = Endpoint(str(ip.src), segment.sport), Endpoint(str(ip.dst), segment.dport)
    return (*ends, segment.seq, segment.ack, int(segment.flags), payload)


@settings(max_examples=60)
@given(below, st.one_of(four, six), six_extensions, tcp_layer, st.binary(max_size=60), st.integers(0, 20))
def test_as_scapy_dissects(
    tags: list[type[Packet]],
    ip: Packet,
    extensions: list[type[Packet]],
    segment: Packet,
    payload: bytes,
    trailer: int,
) -> None:
    between = [extension() for extension in extensions] if isinstance(ip, IPv6) else []
    built = stack([Ether(dst="02:00:00:00:00:02"), *(tag(vlan=1) for tag in tags), ip, *between, segment])
    octets = bytes(built / Raw(payload)) + b"\x00" * trailer
    source, destination, *rest = by_scapy(Ether(octets))
    row = only(octets)
    assert (row.source.port, row.destination.port) == (source.port, destination.port)  # type: ignore[attr-defined]
    assert ipaddress.ip_address(row.source.address) == ipaddress.ip_address(source.address)  # type: ignore[attr-defined]
    assert ipaddress.ip_address(row.destination.address) == ipaddress.ip_address(destination.address)  # type: ignore[attr-defined]
    assert [row.seq, row.ack, row.flags, row.payload] == rest
    assert row.missing == 0


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=3000), st.integers(1, 60), st.randoms(use_true_random=False), st.booleans())
def test_fragments_that_scapy_makes(payload: bytes, eighths: int, shuffle: random.Random, sixth: bool) -> None:
    segment = TCP(sport=1, dport=2, seq=3, flags="PA") / Raw(payload)
    if sixth:
        whole = IPv6(src=STATION6, dst=CSMS6) / IPv6ExtHdrFragment(id=9) / segment
        pieces = [bytes(piece) for piece in fragment6(whole, 60 + 8 * eighths)]
    else:
        pieces = [bytes(piece) for piece in fragment(IP(src=STATION, dst=CSMS, id=9) / segment, 8 * eighths)]
    shuffle.shuffle(pieces)
    found = decode(pieces, 101)
    assert [row.payload for row in found] == [payload]


def test_scapy_agrees_that_udp_is_none() -> None:
    octets = bytes(Ether(dst="02:00:00:00:00:02") / IP(src=STATION, dst=CSMS) / UDP() / Raw(b"x"))
    assert decode([octets]) == []


# --- tshark ---------------------------------------------------------------------------------------------------------

CAPTURES = sorted(
    str(path.relative_to(SHARED))
    for folder in ("linktype", "ipfrag", "truncated", "reassembly", "tls", "fileformat")
    for path in SHARED.glob(f"{folder}/*")
    if path.suffix in (".pcap", ".pcapng", ".gz")
)
EXCEPTIONS = {
    "linktype/tcpdump_bigtcp-ipv6.pcap": "tshark reads no TCP in an IPv6 packet of more than 65,535 bytes",
    "reassembly/zeek_tcp_reassembly.pcap": "packet 7 is shorter on the wire than its IP header says",
}
"""Captures that tshark reads otherwise, and why."""

Said = list[tuple[int, int, int, int, int, int]]
"""Packet number, ports, sequence number, payload bytes and flags of each TCP segment."""


def packets_of(name: str) -> list[FileRow]:
    try:
        with open_captures([SHARED / name]) as reader:
            return [row for row in rows_of(reader.blocks()) if row.linktype != 0xFFFF]
    except CaptureError:
        return []


def merged(packets: Iterable[FileRow]) -> bytes:
    """A pcapng of packets of any link types."""
    writer, interfaces = Pcapng(), {}
    described, written = b"", b""
    for packet in packets:
        if packet.linktype not in interfaces:
            interfaces[packet.linktype] = len(interfaces)
            described += writer.interface(packet.linktype)
        number = interfaces[packet.linktype]
        written += writer.enhanced(packet.time_ns // 1000, packet.data, interface=number, origlen=packet.origlen)
    return writer.section() + described + written


def dissected(tshark: str, path: Path) -> Said:
    """What tshark reads; segments quoted by an ICMP message are left out."""
    fields = ["frame.number", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.len", "tcp.flags"]
    command = [tshark, "-r", str(path), "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", "-E", "separator=,"]
    options = ["-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "ip.defragment:TRUE", "-o", "ipv6.defragment:TRUE"]
    for field in fields:
        options += ["-e", field]
    said = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    found = []
    for line in csv.reader(said.splitlines()):
        if all(line):
            number, source, destination, seq, length = map(int, line[:5])
            found.append((number, source, destination, seq, length, int(line[5], 16) & 0x3F))
    return found


@pytest.fixture(scope="module")
def by_tshark(tshark: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    """What tshark reads in each capture. All go through it at once, but those whose fragments could be mixed up."""
    path = tmp_path_factory.mktemp("link") / "merged.pcapng"
    found: dict[str, Said] = {name: [] for name in CAPTURES}
    sources: list[tuple[str, int]] = []
    together: list[FileRow] = []
    for name in CAPTURES:
        if name.startswith("ipfrag"):
            found[name] = dissected(tshark, SHARED / name)
        else:
            packets = packets_of(name)
            sources += [(name, packet.number) for packet in packets]
            together += packets
    path.write_bytes(merged(together))
    for number, *rest in dissected(tshark, path):
        name, own = sources[number - 1]
        found[name].append((own, *rest))  # type: ignore[arg-type]
    return found


def by_us(name: str) -> Said:
    decoder = LinkDecoder(1)
    found = []
    try:
        with open_captures([SHARED / name]) as reader:
            for part in reader.blocks():
                for row in rows(decoder.decode(part)):
                    length = len(row.payload) + row.missing
                    ports = row.source.port, row.destination.port
                    found.append((part.first_packet + row.packet, *ports, row.seq, length, row.flags & 0x3F))
    except CaptureError:
        return []
    return found


@pytest.mark.shared
@pytest.mark.parametrize("name", CAPTURES)
def test_as_tshark_dissects(name: str, by_tshark: dict[str, Said]) -> None:
    if name in EXCEPTIONS:
        assert by_us(name) != by_tshark[name], EXCEPTIONS[name]
    else:
        assert by_us(name) == by_tshark[name]


@pytest.mark.shared
def test_tshark_found_something_to_compare(by_tshark: dict[str, Said]) -> None:
    assert len(by_tshark) > 90
    assert sum(map(bool, by_tshark.values())) > 50
    assert sum(map(len, by_tshark.values())) > 1000
