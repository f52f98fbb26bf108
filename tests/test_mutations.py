"""Captures with a packet missing, doubled, moved or cut, and other traffic: nothing is missed or invented."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache

import numpy as np
import pytest

from ocppscope.model import BLOCK_PADDING, Message, PacketBlock, Problem, Side, Text
from ocppscope.options import Options
from ocppscope.wire.connection import ConnectionObserver
from ocppscope.wire.link import ACK
from ocppscope.wire.tcp import Segment
from ocppscope.wire.websocket import Control
from support_captures import Row, rows
from support_engine import CAPTURES, SHARED, Run, blocks_of, decode, run

PLAIN = ["ocpp16_plain", "any_interface", "ocpp21_send"]
"""Captures of OCPP that needs no earlier message to be read, each message in a segment of its own."""


@cache
def packets_of(name: str) -> tuple[Row, ...]:
    return tuple(rows(blocks_of(CAPTURES / f"{name}.pcap")))


@cache
def whole(name: str) -> Run:
    return decode([block(list(packets_of(name)))])


def block(packets: list[Row]) -> PacketBlock:
    """Packets as one block, numbered from 1."""
    lengths = [len(packet.data) for packet in packets]
    return PacketBlock(
        b"".join(packet.data for packet in packets) + bytes(BLOCK_PADDING),
        np.cumsum([0, *lengths], dtype=np.int64)[:-1],
        np.array(lengths, np.int64),
        np.array([packet.origlen for packet in packets], np.int64),
        np.array([packet.time_ns for packet in packets], np.int64),
        np.array([packet.linktype for packet in packets], np.uint16),
        1,
    )


def sound(message: Message) -> bool:
    """Whether a text is given as a whole message that was on the wire."""
    return not any(problem.code.startswith("ws.") for problem in message.problems)


def score(decoded: Run, wanted: Counter[bytes], name: str) -> None:
    """All that is `wanted` is found, and what is found was in the whole capture."""
    found = Counter(message.text for message in decoded.messages)
    assert not wanted - found
    assert not Counter(m.text for m in decoded.messages if sound(m)) - Counter(m.text for m in whole(name).messages)


@pytest.mark.parametrize("name", [*PLAIN, "loss_reorder", "swapped_segments"])
def test_without_one_packet(name: str) -> None:
    packets = list(packets_of(name))
    for index in range(len(packets)):
        decoded = decode([block(packets[:index] + packets[index + 1 :])])
        score(decoded, Counter(m.text for m in whole(name).messages if index + 1 not in m.packets), name)


@pytest.mark.parametrize("name", PLAIN)
def test_a_lost_packet_that_was_acknowledged_is_named(name: str) -> None:
    packets = list(packets_of(name))
    for index in {m.packets[0] - 1 for m in whole(name).messages if len(m.packets) == 1}:
        decoded = decode([block(packets[:index] + packets[index + 1 :])])
        missing = Counter(m.text for m in whole(name).messages) - Counter(m.text for m in decoded.messages)
        gone = [m for m in whole(name).messages if m.text in missing]
        for message in gone:
            named = [g.lost_bytes or 0 for g in decoded.gaps if g.side is message.side]
            assert sum(named) >= message.wire_size, message


@pytest.mark.parametrize("name", PLAIN)
def test_from_each_packet_on(name: str) -> None:
    packets = list(packets_of(name))
    for index in range(len(packets)):
        decoded = decode([block(packets[index:])])
        score(decoded, Counter(m.text for m in whole(name).messages if min(m.packets) > index), name)


@pytest.mark.parametrize("name", ["loss_reorder", "swapped_segments", "fragmented"])
def test_from_each_packet_on_nothing_is_invented(name: str) -> None:
    packets = list(packets_of(name))
    for index in range(0, len(packets), 3):
        score(decode([block(packets[index:])]), Counter(), name)


@pytest.mark.parametrize("name", [*PLAIN, "loss_reorder", "fragmented", "ocpp16_deflate"])
def test_up_to_each_packet(name: str) -> None:
    packets = list(packets_of(name))
    for index in range(0, len(packets), 3):
        decoded = decode([block(packets[:index])])
        score(decoded, Counter(m.text for m in whole(name).messages if max(m.packets) <= index), name)


@pytest.mark.parametrize("name", [*PLAIN, "malformed", "ocpp16_deflate"])
def test_with_two_packets_swapped(name: str) -> None:
    packets = list(packets_of(name))
    for index in range(len(packets) - 1):
        changed = [*packets[:index], packets[index + 1], packets[index], *packets[index + 2 :]]
        decoded = decode([block(changed)])
        score(decoded, Counter(m.text for m in whole(name).messages), name)
        assert not decoded.gaps


@pytest.mark.parametrize("name", [*PLAIN, "ocpp16_deflate"])
def test_with_one_packet_twice(name: str) -> None:
    packets = list(packets_of(name))
    for index in range(len(packets)):
        decoded = decode([block([*packets[: index + 1], *packets[index:]])])
        score(decoded, Counter(m.text for m in whole(name).messages), name)
        assert not decoded.gaps


@pytest.mark.parametrize("name", ["ocpp16_deflate"])
def test_without_the_request_a_compressed_session_is_read_by_its_answer(name: str) -> None:
    packets = list(packets_of(name))
    request = next(index for index, packet in enumerate(packets) if b"GET /" in packet.data)
    decoded = decode([block(packets[:request] + packets[request + 1 :])])
    score(decoded, Counter(m.text for m in whole(name).messages), name)


def accounted(decoded: Run) -> Counter[tuple[int, Side]]:
    """The bytes of each direction that are in a message, a control frame or a gap."""
    found: Counter[tuple[int, Side]] = Counter()
    for message in decoded.messages:
        found[message.connection, message.side] += message.wire_size
    for frame in decoded.controls:
        found[frame.connection, frame.side] += 2 + len(frame.payload) + (4 if frame.side is Side.STATION else 0)
    for gap in decoded.gaps:
        found[gap.connection, gap.side] += gap.lost_bytes or 0
    return found


@pytest.mark.parametrize("name", ["fragmented", "ocpp16_plain"])
def test_no_byte_is_dropped_in_silence(name: str) -> None:
    """Whatever packet is lost: what else was captured is in a message, a control frame or a gap."""
    packets = list(packets_of(name))
    total = accounted(whole(name))
    carriers = {packet for item in (*whole(name).messages, *whole(name).controls) for packet in item.packets}
    for number in sorted(carriers)[::3]:
        decoded = decode([block(packets[: number - 1] + packets[number:])])
        assert not total - accounted(decoded), number


# --- snap length ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snaplen", [120, 200, 300])
def test_captures_cut_by_snap_length_name_what_is_lost(snaplen: int) -> None:
    name = "ocpp16_plain"
    short = [packet._replace(data=packet.data[:snaplen]) for packet in packets_of(name)]
    decoded = decode([block(short)])
    sizes = {number + 1: len(packet.data) for number, packet in enumerate(packets_of(name))}
    wanted = Counter(m.text for m in whole(name).messages if all(sizes[packet] <= snaplen for packet in m.packets))
    score(decoded, wanted, name)
    assert len(decoded.messages) == len(whole(name).messages)
    for message, real in zip(decoded.messages, whole(name).messages, strict=True):
        assert real.text.startswith(message.text)
        assert message.text == real.text or {p.code for p in message.problems} >= {"ws.lost-bytes"}


# --- no OCPP --------------------------------------------------------------------------------------------------------


class Alarm:
    """A listener that counts what it is told."""

    def __init__(self) -> None:
        self.recognitions = 0
        self.texts = 0

    def handshake(self, handshake: object, time_ns: int, packet: int) -> None:
        self.recognitions += 1

    def recognised(self, time_ns: int, packet: int) -> None:
        self.recognitions += 1

    def text(self, side: Side, text: Text) -> None:
        self.texts += 1

    def control(self, side: Side, control: Control) -> None:
        self.texts += 1

    def lost(self, side: Side, count: int, time_ns: int, why: str) -> None: ...

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None: ...

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None: ...

    def problem(self, side: Side | None, problem: Problem) -> None: ...

    def closed(self, side: Side | None, how: str, time_ns: int) -> None: ...


TRAFFIC = {
    "noise": lambda rng: rng.randbytes(1400),
    "zeros": lambda rng: bytes(1400),
    "words": lambda rng: b"".join(rng.choice([bytes(4), bytes(4), rng.randbytes(4)]) for _ in range(350)),
    "small numbers": lambda rng: b"".join(rng.randrange(200).to_bytes(2, "big") for _ in range(700)),
    "text": lambda rng: bytes(rng.choice(b'abcdefgh 0123456789[]{},:"\r\n') for _ in range(1400)),
    "high bytes": lambda rng: bytes(rng.choice(range(0x80, 0x100)) for _ in range(1400)),
}


@pytest.mark.parametrize("kind", TRAFFIC)
def test_other_traffic_without_a_beginning_is_not_taken_for_ocpp(kind: str) -> None:
    alarms = 0
    for seed in range(6):
        rng, alarm = random.Random(seed), Alarm()
        observer, seq = ConnectionObserver(alarm), 1000
        for number in range(26):
            data = TRAFFIC[kind](rng)
            observer.assembler.add(Segment(number % 2, seq, seq, ACK, data, 0, number * 1_000_000, number + 1))
            seq += len(data) * (number % 2)
        observer.assembler.finish(0)
        observer.finish(0)
        alarms += alarm.recognitions + alarm.texts
    assert alarms == 0


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["fileformat", "ipfrag", "linktype", "reassembly", "tls"])
def test_captures_without_websocket_hold_no_messages(folder: str) -> None:
    kinds = (".pcap", ".pcapng", ".pcap.gz", ".2", ".3")
    paths = [path for path in sorted((SHARED / "tcp" / folder).iterdir()) if path.name.endswith(kinds)]
    assert paths
    found = {path.name: len(run(path, Options(every_websocket=True)).opened) for path in paths}
    assert {name: count for name, count in found.items() if count} == {}
