"""What stands around the stream: link layers, IP fragments and extension headers, TCP options."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Ether

from export.support_pcapng import Replacing, exported, redacted, remade, story, texts
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor
from support_captures import Packet, pcap_bytes
from support_cli import Session
from support_engine import blocks_of

MAC = bytes.fromhex("0050c2112233")
LINKS = {
    "Ethernet": (1, MAC + MAC + b"\x08\x00", 1),
    "VLAN": (1, MAC + MAC + b"\x81\x00\x00\x05\x08\x00", 1),
    "QinQ": (1, MAC + MAC + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00", 1),
    "PPPoE": (1, MAC + MAC + b"\x88\x64\x11\x00\x00\x01\x00\x00\x00\x21", 101),
    "SLL": (113, b"\x00\x00\x00\x01\x00\x06" + MAC + b"\x77\x88\x08\x00", 113),
    "SLL2": (276, b"\x08\x00\x00\x00\x00\x00\x00\x02\x00\x01\x00\x06" + MAC + b"\x77\x88", 276),
    "NULL": (0, b"\x02\x00\x00\x00", 0),
    "RAW": (101, b"", 101),
    "old RAW": (12, b"", 101),
}


def session() -> Session:
    made = Session("10.77.66.55").upgrade("/ocpp/STATION-4711")
    made.say(0, '[2,"1","Authorize",{"idTag":"04A1B2C3D4"}]')
    return made.say(1, '[3,"1",{"idTagInfo":{"status":"Accepted"}}]')


def packets_of(path: Path) -> list[tuple[int, bytes, int]]:
    """Link type, bytes and length on the wire."""
    return [
        (int(linktype), bytes(block.data[at : at + size]), int(length))
        for block in blocks_of(path)
        for at, size, length, linktype in zip(
            block.offsets.tolist(), block.caplen.tolist(), block.origlen, block.linktype, strict=True
        )
    ]


def written(path: Path, packets: list[Packet], linktype: int = 1) -> Path:
    path.write_bytes(pcap_bytes(packets, nanoseconds=True, linktype=linktype))
    return path


@pytest.mark.parametrize(("linktype", "header", "becomes"), LINKS.values(), ids=LINKS)
def test_link_layers(linktype: int, header: bytes, becomes: int, tmp_path: Path):
    packets = [Packet(one.time_ns, header + one.data[14:]) for one in session().packets]
    capture = written(tmp_path / "in.pcap", packets, linktype)
    out = redacted(capture, tmp_path / "out.pcapng")
    assert story(out) == story(capture)
    found = packets_of(out)
    assert {one[0] for one in found} == {becomes}
    assert not [octets for _, octets, _ in found if MAC in octets or b"\x77\x88" in octets[:20]]
    copied = packets_of(exported(capture, tmp_path / "copy.pcapng"))
    assert copied == [(linktype if linktype != 12 else copied[0][0], one.data, len(one.data)) for one in packets]


def test_a_cut_packet_stays_cut(tmp_path: Path):
    packets = [Packet(one.time_ns, one.data[:80], len(one.data)) for one in session().packets]
    capture = written(tmp_path / "in.pcap", packets)
    out = redacted(capture, tmp_path / "out.pcapng")
    assert story(out) == story(capture)
    assert [length > len(octets) for _, octets, length in packets_of(out)] == [
        one.wire_length > len(one.data) for one in packets
    ]


def test_padding_is_not_copied(tmp_path: Path):
    """What a network card appends to short frames may be anybody's memory."""
    packets = [Packet(one.time_ns, one.data + b"LEAKED") for one in session().packets]
    out = redacted(written(tmp_path / "in.pcap", packets), tmp_path / "out.pcapng")
    assert b"LEAKED" not in out.read_bytes()


def test_fragments_are_put_together(tmp_path: Path):
    packets: list[Packet] = []
    for one in session().packets:
        whole = Ether(one.data)
        pieces = fragment(whole, fragsize=64) if len(one.data) > 120 else [whole]
        packets += [Packet(one.time_ns, bytes(piece)) for piece in pieces]
    capture = written(tmp_path / "in.pcap", packets)
    assert len(packets) > len(session().packets)
    for name, write in (("copy", exported), ("redacted", redacted)):
        out = write(capture, tmp_path / f"{name}.pcapng")
        assert story(out) == story(capture)
        assert len(packets_of(out)) == len(session().packets)
    assert texts(tmp_path / "copy.pcapng") == texts(capture)


def test_extension_headers_are_left_out(tmp_path: Path):
    packets = []
    for one in session().packets:
        tcp = Ether(one.data)[TCP]
        ends = ("fd00::1", "fd00::2") if tcp.dport == 9000 else ("fd00::2", "fd00::1")
        ip = Ether() / IPv6(src=ends[0], dst=ends[1]) / IPv6ExtHdrDestOpt()
        packets.append(Packet(one.time_ns, bytes(ip / tcp)))
    capture = written(tmp_path / "in.pcap", packets)
    out = redacted(capture, tmp_path / "out.pcapng")
    assert story(out) == story(capture)


def test_options(tmp_path: Path):
    """SACK follows the streams; what nobody knows, and addresses in IP options, are overwritten."""
    packets = []
    for one in session().packets:
        whole = Ether(one.data)
        tcp = whole[TCP]
        if tcp.flags == "A":
            tcp.options = [("Timestamp", (7, 8)), ("SAck", (tcp.ack, tcp.ack + 10)), (77, b"LEAK")]
        whole[IP].options = [b"\x07\x07\x04\x0a\x4d\x42\x37"]  # record route
        del whole[IP].len, whole[IP].ihl, whole[IP].chksum, tcp.dataofs, tcp.chksum
        packets.append(Packet(one.time_ns, bytes(whole)))
    capture = written(tmp_path / "in.pcap", packets)
    out = tmp_path / "out.pcapng"
    remade(capture, out, Replacing(b"STATION-4711", b"S"))
    assert b"LEAK" not in out.read_bytes()
    before = [Ether(one.data)[TCP] for one in packets]
    after = [Ether(octets) for _, octets, _ in packets_of(out)]
    assert not [one for one in after if b"\x0a\x4d\x42\x37" in bytes(one[IP])[20 : one[IP].ihl * 4]]
    grown = len(b"S") - len(b"STATION-4711")
    for old, new in zip(before, (one[TCP] for one in after), strict=True):
        options = dict(new.options)
        assert options.get("Timestamp") == dict(old.options).get("Timestamp")
        if "SAck" in options and old.sport == 9000:
            assert options["SAck"] == (old.ack + grown, old.ack + 10 + grown)
            assert new.ack == old.ack + grown


def test_a_redactor_that_gives_no_address_leaves_none(tmp_path: Path):
    class Odd(Replacing):
        def address(self, text: str) -> str:
            return "fd00::1"

    capture = written(tmp_path / "in.pcap", session().packets)
    remade(capture, tmp_path / "out.pcapng", Odd())
    assert {Ether(octets)[IP].src for _, octets, _ in packets_of(tmp_path / "out.pcapng")} == {"0.0.0.0"}


def test_addresses_may_stay(tmp_path: Path):
    capture = written(tmp_path / "in.pcap", session().packets)
    out = redacted(capture, tmp_path / "out.pcapng", Redactor(Policy(bytes(32), network=False)))
    assert {Ether(octets)[IP].src for _, octets, _ in packets_of(out)} == {"10.77.66.55", "10.0.0.2"}
