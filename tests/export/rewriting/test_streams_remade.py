"""A session in any segments: cut, sent again, swapped, lost; what the remade one holds is the redacted stream."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from export.support_pcapng import Replacing, remade, texts
from ocppscope.export.rewriting import streams
from ocppscope.wire.frames import unmask
from support_captures import Packet, pcap_bytes
from support_cli import ACCEPT, KEY, frame
from support_engine import blocks_of, run

SYN, ACK = 2, 16
START_NS = 1_795_000_000_000_000_000
FIRST = (0xFFFFFF80, 5000)  # the station's numbers wrap
REQUEST = (
    "GET /ocpp/CP-SECRET HTTP/1.1\r\nHost: csms\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
).encode()
RESPONSE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
).encode()
MASK = b"\x11\x22\x33\x44"


def masked(payload: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | opcode])
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
    return head + size + MASK + unmask(payload, MASK)


def segment(side: int, seq: int, ack: int, flags: int, data: bytes, time_ns: int) -> Packet:
    ends = (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
    ports = struct.pack(">HH", *((50000, 9000) if side == 0 else (9000, 50000)))
    tcp = ports + struct.pack(">IIBBHHH", seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 1000, 0, 0) + data
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + ends[side] + ends[1 - side] + tcp
    return Packet(time_ns, bytes(12) + b"\x08\x00" + ip)


def capture(station: list[tuple[int, bytes]]) -> bytes:
    """A session whose station sends these (offset, bytes) after the upgrade; all is acknowledged."""
    clock, packets = START_NS, []

    def add(side: int, seq: int, ack: int, flags: int, data: bytes = b"") -> None:
        nonlocal clock
        packets.append(segment(side, seq, ack, flags, data, clock))
        clock += 1_000_000

    one, other = FIRST
    add(0, one, 0, SYN)
    add(1, other, one + 1, SYN | ACK)
    add(0, one + 1, other + 1, ACK, REQUEST)
    add(1, other + 1, one + 1 + len(REQUEST), ACK, RESPONSE)
    base, ack = one + 1 + len(REQUEST), other + 1 + len(RESPONSE)
    seen: set[int] = set()
    for offset, data in station:
        add(0, base + offset, ack, ACK, data)
        seen |= set(range(offset, offset + len(data)))
        whole = next(at for at in range(len(seen) + 1) if at not in seen)
        add(1, ack, base + whole, ACK)
    return pcap_bytes(packets, nanoseconds=True)


def sent(path: Path) -> tuple[bytes, list[Ether]]:
    """What the station has sent after its SYN, put together by hand; and all packets. The first copy counts."""
    held: dict[int, int] = {}
    packets = []
    for block in blocks_of(path):
        for begin, length in zip(block.offsets.tolist(), block.caplen.tolist(), strict=True):
            packet = Ether(bytes(block.data[begin : begin + length]))
            packets.append(packet)
            tcp = packet[TCP]
            if tcp.sport == 50000:
                offset = (tcp.seq - FIRST[0] - 1) & 0xFFFFFFFF
                for at, octet in enumerate(bytes(tcp.payload)):
                    held.setdefault(offset + at, octet)
    return bytes(held[at] for at in range(len(held))), packets


MESSAGES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from(["text", "split", "ping"])),
    min_size=1,
    max_size=6,
)


def frames(plan: list[tuple[int, int, str]]) -> tuple[bytes, bytes]:
    """The station's frames, and what they have to become."""
    before, after = b"", b""
    for filler, secrets, how in plan:
        text = b'[2,"%d","DataTransfer",{"vendorId":"%s"}]' % (filler, b"SECRET" * secrets + b"v" * filler)
        new = text.replace(b"SECRET", b"@@")
        if how == "ping":
            before, after = before + masked(b"SECRET", 9), after + masked(b"@@", 9)
        if how == "split":
            at = len(text) // 3
            new_at = len(new) * at // len(text)
            before += masked(text[:at], fin=False) + masked(text[at:], 0)
            after += masked(new[:new_at], fin=False) + masked(new[new_at:], 0)
        else:
            before, after = before + masked(text), after + masked(new)
    return before, after


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(plan=MESSAGES, new=st.sampled_from([b"@@", b"", b"@" * 40]), data=st.data())
def test_any_segments(plan: list[tuple[int, int, str]], new: bytes, data: st.DataObject):
    """Cut anywhere, swapped, doubled and overlapping: the new packets hold the new stream."""
    stream, expected = frames(plan)
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    pieces = [(one, stream[one:other]) for one, other in itertools.pairwise(cuts)]
    again = data.draw(st.lists(st.sampled_from(pieces), max_size=3))
    wide = [(one, stream[one : other + 30]) for one, other in itertools.pairwise(cuts)]
    order = data.draw(st.permutations([*pieces, *again, *wide]))
    with TemporaryDirectory() as directory:
        before, after = Path(directory, "before.pcap"), Path(directory, "after.pcapng")
        before.write_bytes(capture(order))
        assert remade(before, after, Replacing(b"SECRET", new)) == 0
        whole, packets = sent(after)
        old_texts, new_texts = texts(before), texts(after)
    assert new_texts == [text.replace(b"SECRET", new) for text in old_texts]
    assert len(packets) == 4 + 2 * len(order)
    if new == b"@@":
        assert whole == REQUEST.replace(b"SECRET", b"@@") + expected
    for packet in packets:
        again_made = Ether(bytes(packet))
        del again_made[TCP].chksum, again_made[IP].chksum, again_made[IP].len
        assert bytes(Ether(bytes(again_made))) == bytes(packet)


def test_what_was_not_understood_becomes_zeros(tmp_path: Path):
    """After a lost segment nothing tells what the bytes are, until a frame is found again."""
    text = b'[2,"%d","DataTransfer",{"vendorId":"SECRET"}]'
    first, lost, rest = masked(text % 1), masked(text % 2), masked(text % 3)
    stream = first + lost + b"SECRET" * 5 + rest
    cut = len(first) + len(lost)
    pieces = [(0, first), (cut, b"SECRET" * 5), (cut + 30, rest)]
    before, after = tmp_path / "before.pcap", tmp_path / "after.pcapng"
    before.write_bytes(capture([*pieces[:1], *pieces[1:]]))
    assert stream[cut:].startswith(b"SECRET")
    assert remade(before, after, Replacing()) == 30
    assert b"SECRET" not in after.read_bytes()
    assert texts(after) == [(text % 1).replace(b"SECRET", b"x"), (text % 3).replace(b"SECRET", b"x")]


def test_a_copy_that_differs_stays_different(tmp_path: Path):
    """A contradiction is a fact about the session; its content is nobody's any more."""
    text = b'[2,"1","DataTransfer",{"vendorId":"SECRET"}]'
    stream = masked(text)
    other = masked(text.replace(b"SECRET", b"HIDDEN"))
    before, after = tmp_path / "before.pcap", tmp_path / "after.pcapng"
    before.write_bytes(capture([(0, stream), (0, other), (len(stream), masked(b'[2,"2","Heartbeat",{}]'))]))
    remade(before, after, Replacing())
    codes = [[one.code for one in next(iter(run(path).closed)).problems] for path in (before, after)]
    assert "tcp.overlap-conflict" in codes[0]
    assert codes[0] == codes[1]
    assert b"HIDDEN" not in b"".join(unmask(bytes(one[TCP].payload)[6:], MASK) for one in sent(after)[1])


def test_a_message_that_outgrows_a_packet_is_split(tmp_path: Path):
    text = b'[2,"1","DataTransfer",{"vendorId":"%s"}]' % (b"SECRET" * 4000)
    before, after = tmp_path / "before.pcap", tmp_path / "after.pcapng"
    before.write_bytes(capture([(0, masked(text))]))
    remade(before, after, Replacing(b"SECRET", b"y" * 30))
    assert texts(after) == [text.replace(b"SECRET", b"y" * 30)]
    packets = sent(after)[1]
    assert len(packets) == 6 + 1
    assert all(packet[IP].len == len(packet) - 14 for packet in packets)


def test_a_head_that_is_too_long_is_blanked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "MAX_HTTP_BYTES", 100)
    before, after = tmp_path / "before.pcap", tmp_path / "after.pcapng"
    before.write_bytes(capture([(0, masked(b'[2,"2","Heartbeat",{}]'))]))
    assert remade(before, after, Replacing()) > 100
    assert b"SECRET" not in after.read_bytes()
    assert b"GET" not in after.read_bytes()


def test_few_calls_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An answer to a CALL that was forgotten is redacted as one of which the action is not known."""
    monkeypatch.setattr(streams, "MAX_CALLS", 1)
    asked: list[str] = []

    class Asking(Replacing):
        def message_text(self, text: bytes, **known: object) -> bytes:
            asked.append(str(known["action"]))
            return super().message_text(text, **known)  # type: ignore[arg-type]

    said = [masked(b'[2,"a","Heartbeat",{}]'), masked(b'[2,"b","Heartbeat",{}]')]
    before, after = tmp_path / "before.pcap", tmp_path / "after.pcapng"
    offset = len(said[0])
    packets = capture([(0, said[0]), (offset, said[1])])
    base, ack = FIRST[0] + 1 + len(REQUEST) + sum(map(len, said)), FIRST[1] + 1 + len(RESPONSE)
    answers = [frame(b'[3,"a",{}]', masked=False), frame(b'[3,"b",{}]', masked=False)]
    late = [
        segment(1, ack + at * len(answers[0]), base, ACK, one, START_NS + (50 + at) * 1_000_000)
        for at, one in enumerate(answers)
    ]
    before.write_bytes(packets + pcap_bytes(late, nanoseconds=True)[24:])
    remade(before, after, Asking())
    assert asked == ["Heartbeat", "Heartbeat", "", "Heartbeat"]
