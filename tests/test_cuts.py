"""The same bytes give the same events, however they are cut: into blocks, single packets, or pieces of a stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocppscope import shortcut
from ocppscope.engine import Engine
from ocppscope.errors import CaptureError
from ocppscope.model import ControlFrame, Endpoint, Flow, Message, Side
from ocppscope.options import Options
from ocppscope.wire.frames import unmask
from ocppscope.wire.link import LinkDecoder, endpoints
from ocppscope.wire.tcp import Assembler, Segment
from support_engine import CAPTURES, SHARED, Run, blocks_of, cut, decode, run, sort

OWN = sorted(path.name for path in CAPTURES.glob("*.pcap"))
EVERY = Options(every_websocket=True, hash_key=1)
CLEAN = [
    "fragmented.pcap",
    "ipv6.pcap",
    "loss_reorder.pcap",
    "malformed.pcap",
    "ocpp16_deflate.pcap",
    "ocpp16_plain.pcap",
    "ocpp201.pcap",
    "ocpp21_send.pcap",
    "refused_handshakes.pcap",
    "remote_start_stop.pcap",
    "several_stations.pcap",
    "slow_and_missing.pcap",
    "swapped_segments.pcap",
]
"""Captures that hold every byte from the SYN on, so that their streams can be given as a proxy would."""
CHOSEN = [
    "derived/dup_packets.pcapng",
    "derived/evsetool_cap.pcapng.gz",
    "derived/gap_one_segment_nodeflate.pcap",
    "derived/midstream_no_handshake.pcap",
    "derived/snaplen100.pcap",
    "derived/truncated_file_mid_packet.pcap",
    "peers/22_deflate_node_node_takeover.pcapng",
    "peers/43_subprotocol_mismatch.pcapng",
    "peers/50_csms_killed_midsession_sapsim.pcapng",
    "peers/61_any_interface_sll2.pcapng",
    "peers/65_mirror_port_losing_2pct.pcapng",
    "peers/93_fuzz_ocppwsio_cli_vs_ocpprpc.pcapng",
    "tcp/fileformat/pcapplusplus_pcapng-example.pcapng",
    "tcp/reassembly/arkime_tcp-reassembly-synthetic.pcap",
    "tcp/reassembly/zeek_tcp_reassembly.pcap",
    "websocket/autobahn/deflate_params.pcap",
    "websocket/autobahn/special.pcap",
    "websocket/pcapplusplus_650HttpResponses.pcap",
    "websocket/wireshark_websocket-compressed-server-only.pcap",
    "websocket/zeek_http_websocket.pcap",
    "websocket/zeek_websocket_oversized-close-frame.pcapng",
    "websocket/zeek_websocket_reply-ping-coalesced.pcap",
]


def same_in_blocks(path: Path, size: int) -> None:
    whole = run(path, EVERY).events
    pieces = decode(cut(blocks_of(path), size), EVERY).events
    assert [str(event) for event in pieces] == [str(event) for event in whole]
    assert pieces == whole


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", OWN)
def test_blocks_of_few_packets(name: str, size: int) -> None:
    same_in_blocks(CAPTURES / name, size)


@pytest.mark.shared
@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", CHOSEN)
def test_blocks_of_few_packets_of_others(name: str, size: int) -> None:
    same_in_blocks(SHARED / name, size)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", OWN)
def test_texts_taken_out_of_a_block_in_other_numbers(name: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(CAPTURES / name, EVERY).events
    monkeypatch.setattr(shortcut, "TEXTS_AT_ONCE", count)
    assert run(CAPTURES / name, EVERY).events == whole


@pytest.mark.parametrize("name", OWN)
def test_texts_lie_in_the_capture_where_it_is_said(name: str) -> None:
    path, decoder, located, every = CAPTURES / name, Engine(EVERY), [], []
    capture = path.read_bytes()
    for block in blocks_of(path):
        batch = decoder.packets(block)
        located += batch.located()
        every += batch
    assert [event for event, _ in located] == every
    for event, place in located:
        if place is not None:
            assert isinstance(event, Message)
            offset, mask = place
            assert unmask(capture[offset : offset + len(event.text)], mask.to_bytes(4, "big")) == event.text
    messages = [event for event in every if isinstance(event, Message) and not event.compressed]
    placed = sum(place is not None for _, place in located)
    assert placed > len(messages) / 4 or not messages


# --- streams --------------------------------------------------------------------------------------------------------


class Tape:
    """Takes down what a TCP assembler delivers of one connection, as a proxy would read it."""

    def __init__(self) -> None:
        self.notes: list[tuple[Any, ...]] = []

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        self.notes.append(("data", direction, data, time_ns))

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        self.notes.append(("closed", direction, how, time_ns))

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        raise AssertionError("the capture is not clean")

    def problem(self, direction: int, problem: object, time_ns: int) -> None:
        raise AssertionError("the capture is not clean")


class Recording:
    """A connection's ends by direction, and what went over it."""

    def __init__(self, ends: tuple[Endpoint, Endpoint]) -> None:
        self.ends = ends
        self.tape = Tape()
        self.assembler = Assembler(self.tape)
        self.client: int | None = None


def recordings(path: Path) -> list[Recording]:
    """The connections of a clean capture. A port is not used twice in one."""
    link, found = LinkDecoder(1), {}
    for block in blocks_of(path):
        segments = link.decode(block)
        columns = (segments.key, segments.direction, segments.seq, segments.ack, segments.flags, segments.payload)
        rows = zip(*(column.tolist() for column in columns), segments.length.tolist(), strict=True)
        for index, (key, direction, seq, ack, flags, at, length) in enumerate(rows):
            packet = int(segments.packet[index])
            source, target = endpoints(segments.data, int(segments.ip[index]))
            ends = (source, target) if direction == 0 else (target, source)
            recording = found.setdefault(key, Recording(ends))
            if flags & 2 and recording.client is None:
                recording.client = direction
            data = bytes(segments.data[at : at + length])
            time_ns = int(block.time_ns[packet])
            recording.assembler.add(Segment(direction, seq, ack, flags, data, 0, time_ns, packet))
    return [recording for recording in found.values() if recording.tape.notes]


def replay(path: Path, piece: int | None) -> list[Run]:
    """Each connection of a clean capture through an engine of its own, as chunks or in pieces of `piece` bytes."""
    runs = []
    for recording in recordings(path):
        proxy = Engine(Options(every_websocket=True))
        client = recording.client
        assert client is not None
        flow = Flow(recording.ends[client], recording.ends[1 - client])
        track = proxy.open_stream(flow, 0)
        events = []
        for what, direction, content, time_ns in recording.tape.notes:
            side = Side.STATION if direction == client else Side.CSMS
            if what == "closed":
                events += proxy.stream_closed(track, side, content, time_ns)
                continue
            step = piece or len(content)
            for at in range(0, len(content), step):
                events += proxy.stream(track, side, content[at : at + step], time_ns)
        runs.append(sort([*events, *proxy.finish()]))
    return runs


def essence(message: Message) -> tuple[object, ...]:
    """A message without its connection's number and packets, which are inherently different."""
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    for name in ("connection", "packets"):
        del fields[name]
    return tuple(fields.values())


def control(frame: ControlFrame) -> tuple[object, ...]:
    return (
        frame.time_ns, frame.side, frame.opcode, frame.payload, frame.close_code, frame.close_reason, frame.problems
    )  # fmt: skip


@pytest.mark.parametrize("piece", [None, 1, 5])
@pytest.mark.parametrize("name", CLEAN)
def test_stream_of_pieces(name: str, piece: int | None) -> None:
    whole = run(CAPTURES / name, EVERY)
    streams = {str(one.opened[0].flow): one for one in replay(CAPTURES / name, piece) if one.opened}
    assert sorted(streams) == sorted({str(connection.flow) for connection in whole.connections.values()})
    for number, connection in whole.connections.items():
        one = streams[str(connection.flow)]
        assert [essence(m) for m in one.messages] == [essence(m) for m in whole.of(number)]
        frames = [control(frame) for frame in whole.controls if frame.connection == number]
        assert [control(frame) for frame in one.controls] == frames


@pytest.mark.parametrize("name", CLEAN)
def test_stream_ends_as_the_capture_says(name: str) -> None:
    whole = run(CAPTURES / name, EVERY)
    closed = {str(connection.flow): connection for connection in whole.closed}
    for one in replay(CAPTURES / name, 1):
        assert len(one.closed) == 1
        mine, theirs = one.closed[0], closed[str(one.closed[0].flow)]
        for field in ("close_how", "close_by", "close_code", "close_reason", "messages", "version", "subject"):
            name_of_field = "closed_by" if field == "close_by" else field
            assert getattr(mine, name_of_field) == getattr(theirs, name_of_field), field


@pytest.mark.shared
def test_every_capture_is_read_without_a_crash() -> None:
    read = 0
    for path in sorted(SHARED.rglob("*")):
        if ".pcap" not in path.name and path.suffix not in (".ntar", ".snoop"):
            continue
        if path.suffix == ".jsonl":
            continue
        try:
            run(path, EVERY)
        except CaptureError:
            assert path.suffix == ".snoop", path
            continue
        read += 1
    assert read > 150
