"""What other, independent readers of the same bytes find: tshark's oracles, Autobahn's cases, wsproto."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple
from wsproto.connection import Connection as Endpoint
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from ocppscope.model import ControlFrame, Problem, Side, Text
from ocppscope.model import Message as OcppMessage
from ocppscope.options import Options
from ocppscope.wire.inflate import Inflater
from ocppscope.wire.websocket import Control, Reader
from support_engine import SHARED, Run, run

EVERY = Options(every_websocket=True)
CLOSE, PING, PONG = 8, 9, 10

# --- tshark ---------------------------------------------------------------------------------------------------------

AGREED = [
    "derived/dup_packets.pcapng",
    "derived/evsetool_cap.pcapng.gz",
    "derived/gap_one_segment_nodeflate.pcap",
    "derived/nsec.pcap",
    "derived/truncated_file_mid_packet.pcap",
    "derived/truncated_file_mid_packet.pcapng",
    "ocpp/evsetool_cap.pcapng",
    "selfmade/mh_ocpp16_plain_deflate.pcapng",
    "selfmade/mh_ocpp16_plain_nodeflate_ipv6.pcap",
    "selfmade/mh_ocpp16_tls12.pcapng",
    "selfmade/mh_ocpp201_tls13.pcapng",
    "websocket/arkime_websocket.pcap",
    "websocket/ndpi_false_positives.pcapng",
    "websocket/ndpi_websocket.pcap",
    "websocket/pcapplusplus_650HttpResponses.pcap",
    "websocket/suricata-verify_websocket-control-frag_input.pcap",
    "websocket/suricata-verify_websocket_basic_websockets.pcap",
    "websocket/wireshark_websocket-compressed.pcapng.gz",
    "websocket/wireshark_websocket-fragmented.pcapng.gz",
    "websocket/zeek_http_websocket.pcap",
    "websocket/zeek_websocket_broker-websocket.pcap",
    "websocket/zeek_websocket_message-too-big-status.pcap",
    "websocket/zeek_websocket_oversized-close-frame.pcapng",
    "websocket/zeek_websocket_reply-ping-coalesced.pcap",
    "websocket/zeek_websocket_wstunnel-http.pcap",
    "websocket/zeek_websocket_wstunnel-https.pcap",
]
APART = {
    "derived/midstream_no_handshake.pcap": "tshark reads no WebSocket without its handshake",
    "derived/snaplen100.pcap": "tshark reassembles nothing of segments that are cut",
    "selfmade/mh_ocpp16_tls12_dsb.pcapng": "tshark decrypts with the secrets in the file",
    "websocket/wireshark_websocket-compressed-server-only.pcap": "tshark resets both sides for one",
}
"""Where the oracle differs, and why."""

Said = dict[tuple[str, int], list[Any]]


class Found(NamedTuple):
    """What was read of each direction, by the sender's address and port."""

    texts: Said  # text messages as text, binary ones as their length
    controls: Said  # (opcode, close code)


def by_tshark(name: str) -> Found:
    found = Found({}, {})
    for line in (SHARED / f"{name}.tshark.jsonl").read_text().splitlines():
        frame = json.loads(line)
        if frame["kind"] != "ws":
            continue
        sender, opcode = (frame["src"], int(frame["sport"])), int(frame["opcode"])
        if opcode >= CLOSE:
            code = int(frame["close"]) if "close" in frame else None
            found.controls.setdefault(sender, []).append((opcode, code))
        elif opcode:
            what = int(frame["len"]) if opcode == 2 else frame.get("text", "")
            found.texts.setdefault(sender, []).append(what)
        else:
            found.texts[sender][-1] += frame.get("text", "")
    return found


def by_us(name: str) -> Found:
    found, decoded = Found({}, {}), run(SHARED / name, EVERY)
    for event in decoded.events:
        if not isinstance(event, OcppMessage | ControlFrame):
            continue
        flow = decoded.connections[event.connection].flow
        sender = tuple(flow.client if event.side is Side.STATION else flow.server)
        if isinstance(event, ControlFrame):
            found.controls.setdefault(sender, []).append((event.opcode, event.close_code))
        else:
            what = len(event.text) if event.binary else event.text.decode("utf-8", "replace")
            found.texts.setdefault(sender, []).append(what)
    return found


@pytest.mark.shared
def test_no_oracle_is_forgotten() -> None:
    folders = ("websocket", "derived", "selfmade", "ocpp")
    oracles = {
        str(path.relative_to(SHARED)) for folder in folders for path in SHARED.glob(f"{folder}/*.tshark.jsonl")
    }
    assert oracles == {f"{name}.tshark.jsonl" for name in (*AGREED, *APART)}


@pytest.mark.shared
@pytest.mark.parametrize("name", AGREED)
def test_as_tshark(name: str) -> None:
    assert by_us(name) == by_tshark(name)


@pytest.mark.shared
@pytest.mark.parametrize("name", APART)
def test_unlike_tshark(name: str) -> None:
    assert by_us(name) != by_tshark(name)


@pytest.mark.shared
def test_without_a_handshake_the_texts_are_those_of_the_whole_session() -> None:
    texts = [text for said in by_us("derived/midstream_no_handshake.pcap").texts.values() for text in said]
    whole = [text for said in by_us("derived/nsec.pcap").texts.values() for text in said]
    assert len(texts) == 32
    assert set(texts) < set(whole)


@pytest.mark.shared
def test_of_cut_segments_each_message_is_shown_as_far_as_it_goes() -> None:
    cut, real = run(SHARED / "derived/snaplen100.pcap", EVERY), run(SHARED / "derived/nsec.pcap", EVERY)
    assert len(cut.messages) == len(real.messages) == 36
    for side in Side:
        for mine, whole in zip(cut.of(0, side), real.of(0, side), strict=True):
            assert whole.text.startswith(mine.text)
            assert mine.text == whole.text or "ws.lost-bytes" in {problem.code for problem in mine.problems}


@pytest.mark.shared
def test_no_context_takeover_of_one_side_leaves_the_other_alone() -> None:
    name = "websocket/wireshark_websocket-compressed-server-only.pcap"
    ours, theirs = by_us(name).texts, by_tshark(name).texts
    client, server = ("127.0.0.1", 44920), ("127.0.0.1", 8080)
    assert ours[client] == theirs[client] == [f"from client.. {i}" for i in range(10)]
    assert ours[server] == [f"pong: from client.. {i}" for i in range(10)]
    assert theirs[server] == ["pong: from client.. 0", *[""] * 9]


# --- frames by an independent walk ----------------------------------------------------------------------------------


class Walked(NamedTuple):
    """What a direction's bytes hold, frame by frame, with no opinion about it."""

    data: bytes  # payloads of the data frames, one after the other
    data_frames: int
    controls: list[tuple[int, bytes]]
    rest: bytes  # a frame that is not whole


def walk(octets: bytes) -> Walked:
    data, frames, controls, at = b"", 0, [], 0
    while at + 2 <= len(octets):
        opcode, masked, length = octets[at] & 15, octets[at + 1] >> 7, octets[at + 1] & 127
        head = 2 + {126: 2, 127: 8}.get(length, 0)
        if length > 125:
            length = int.from_bytes(octets[at + 2 : at + head], "big")
        key = octets[at + head : at + head + 4] if masked else bytes(4)
        start = at + head + 4 * masked
        if start + length > len(octets) or start > len(octets):
            break
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(octets[start : start + length]))
        if opcode >= CLOSE:
            controls.append((opcode, payload))
        else:
            data += payload
            frames += 1
        at = start + length
    return Walked(data, frames, controls, octets[at:])


class Tray:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.controls: list[Control] = []
        self.unread_bytes = 0
        self.violations = 0

    def text(self, side: Side, text: Text) -> None:
        self.texts.append(text)

    def control(self, side: Side, control: Control) -> None:
        self.controls.append(control)

    def unread(self, side: Side, count: int, time_ns: int, why: str) -> None:
        self.unread_bytes += count

    def violation(self, side: Side, octets: bytes, *, continues: bool, compressed: bool) -> None:
        self.violations += 1

    @property
    def problems(self) -> set[str]:
        """The codes of everything that was found wrong."""
        found: list[Problem] = [problem for item in (*self.texts, *self.controls) for problem in item.problems]
        return {problem.code for problem in found}


def read(octets: bytes, side: Side, piece: int = 1 << 20, inflater: Inflater | None = None) -> Tray:
    tray = Tray()
    reader = Reader(side, tray, inflater)
    for number, at in enumerate(range(0, len(octets), piece)):
        reader.feed(octets[at : at + piece], number, number + 1)
    reader.finish(0)
    return tray


# --- Autobahn -------------------------------------------------------------------------------------------------------

CORE = SHARED / "websocket" / "autobahn" / "ab_core_cases.json"
CASES: list[dict[str, Any]] = json.loads(CORE.read_text()) if CORE.exists() else []
HELD = [case for case in CASES if case["c2s"] is not None]
NEVER_WHOLE = {"4.2.5", "5.14", "6.4.1", "6.4.2", "6.4.3", "6.4.4"}
"""Cases in which the tester stops within the frame or message that breaks a rule: an observer sees it cut."""
SIDES = {"c2s": Side.STATION, "s2c": Side.CSMS}


def ids(case: dict[str, Any]) -> str:
    name: str = case["case"]
    return name


@pytest.mark.shared
def test_autobahn_has_its_cases() -> None:
    assert len(CASES) == 247
    assert len(HELD) == 239


@pytest.mark.shared
@pytest.mark.parametrize("key", SIDES)
@pytest.mark.parametrize("piece", [1 << 20, 1])
def test_autobahn_frames(key: str, piece: int) -> None:
    for case in HELD:
        octets = bytes.fromhex(case[key])
        walked, tray = walk(octets), read(octets, SIDES[key], piece)
        assert [(c.opcode, c.payload) for c in tray.controls] == walked.controls, case["case"]
        cut = [text for text in tray.texts if any(p.code == "ws.lost-bytes" for p in text.problems)]
        assert len(cut) <= 1, case["case"]
        if not cut:
            assert b"".join(text.payload for text in tray.texts) == walked.data, case["case"]
            assert sum(text.frames for text in tray.texts) == walked.data_frames, case["case"]
            assert tray.unread_bytes == len(walked.rest), case["case"]


def judged(octets: bytes, kind: ConnectionType) -> tuple[list[str | bytes], bool]:
    """The whole messages that an endpoint receives until its end, and whether it ends with a violation."""
    endpoint = Endpoint(kind)
    found: list[str | bytes] = []
    parts: list[str | bytes] = []
    endpoint.receive_data(octets)
    for event in endpoint.events():
        if isinstance(event, CloseConnection):
            return found, endpoint.state is ConnectionState.OPEN  # no Close frame came: it closes by itself
        if isinstance(event, Message):
            parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
            if event.message_finished:
                found.append("".join(parts) if isinstance(event, TextMessage) else b"".join(parts))  # type: ignore[arg-type]
                parts = []
    return found, False


@pytest.mark.shared
@pytest.mark.parametrize("key", SIDES)
def test_autobahn_as_wsproto_reads_it(key: str) -> None:
    kind = {"c2s": ConnectionType.SERVER, "s2c": ConnectionType.CLIENT}[key]
    refused = 0
    for case in HELD:
        octets = bytes.fromhex(case[key])
        (expected, violated), tray = judged(octets, kind), read(octets, SIDES[key])
        texts = [text.payload if text.binary else text.payload.decode("utf-8", "replace") for text in tray.texts]
        refused += violated
        if violated:
            assert texts[: len(expected)] == expected, case["case"]
            assert tray.problems or tray.unread_bytes, case["case"]
        else:
            assert texts == expected or "ws.after-close" in tray.problems, case["case"]
            assert tray.problems <= {"ws.after-close"}, case["case"]
        if case["case"] not in NEVER_WHOLE:
            assert tray.violations == bool(tray.problems) == (violated or "ws.after-close" in tray.problems), case
    assert refused == {"c2s": 119, "s2c": 0}[key]


@pytest.mark.shared
def test_autobahn_capture() -> None:
    decoded = run(CORE.with_name("ab_core.pcap"), EVERY)
    connections = [connection.number for connection in decoded.opened]
    assert len(connections) == 247
    for case, number in zip(CASES, connections, strict=True):
        for key, side in SIDES.items():
            if case[key] is None:
                continue
            tray = read(bytes.fromhex(case[key]), side)
            controls = [c for c in decoded.controls if c.connection == number and c.side is side]
            assert [m.text for m in decoded.of(number, side)] == [text.payload for text in tray.texts], case["case"]
            assert [(c.opcode, c.payload) for c in controls] == [(c.opcode, c.payload) for c in tray.controls]


@pytest.mark.shared
def test_large_autobahn_messages_are_echoed() -> None:
    decoded = run(CORE.with_name("ab_core.pcap"), EVERY)
    large = {case["case"]: number for number, case in enumerate(CASES) if case["c2s"] is None}
    assert len(large) == 8
    for case, number in large.items():
        sent, echoed = ([m.text for m in decoded.of(number, side)] for side in Side)
        assert sent == echoed, case
        assert len(sent[0]) in (65535, 65536, 262144), case
        assert sent[1:] == ([b"Hello World!"] if case == "7.1.6" else []), case


def wire_problems(decoded: Run) -> set[str]:
    return {p.code for m in decoded.messages for p in m.problems if p.code.startswith("ws.")}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "connections", "messages"), [("ab_deflate_small", 16, 3887), ("deflate_params", 8, 848)]
)
def test_compressed_texts_are_echoed(name: str, connections: int, messages: int) -> None:
    decoded = run(CORE.with_name(f"{name}.pcap"), EVERY)
    assert (len(decoded.connections), len(decoded.messages)) == (connections, messages)
    assert all(message.compressed for message in decoded.messages)
    assert not wire_problems(decoded)
    for number in decoded.connections:
        sent, echoed = (decoded.of(number, side) for side in Side)
        # The tester drops the connection with its last message on the way.
        assert [m.text for m in sent][: len(echoed)] == [m.text for m in echoed]
        assert len(sent) - len(echoed) in (0, 1)


@pytest.mark.shared
def test_all_deflate_parameters_are_read() -> None:
    decoded = run(CORE.with_name("deflate_params.pcap"), EVERY)
    handshakes = [connection.handshake for connection in decoded.connections.values()]
    parameters = [astuple(handshake.deflate) for handshake in handshakes if handshake and handshake.deflate]
    assert parameters == [
        (False, False, 15, 15),
        (True, False, 15, 15),
        (False, True, 15, 15),
        (True, True, 15, 15),
        (False, False, 9, 9),
        (False, False, 15, 10),
        (False, False, 10, 15),
        (True, False, 9, 9),
    ]


@pytest.mark.shared
def test_texts_that_tshark_cuts_or_splits() -> None:
    decoded = run(CORE.with_name("special.pcap"), EVERY)
    texts = [message.text for message in decoded.messages]
    assert texts[1].startswith(b'[\n  2,\n  "2",\n')
    assert texts[3] == b'[2,"4","DataTransfer",{"data":"nul\x00in"}]'
    assert len(texts[4]) == 70038
    assert len(decoded.messages[4].packets) == 3
    assert texts[7:9] == [b'  [3,"8",{}]\r\n', b""]
    five = decoded.messages[9:14]
    assert [message.text for message in five] == [b'[2,"m%d","Heartbeat",{}]' % i for i in range(5)]
    assert {message.packets for message in five} == {(30,)}
    assert [message.frames for message in decoded.messages[14:]] == [2, 1]
    assert texts[14:] == [texts[1], texts[0]]


# --- wsproto as the sender ------------------------------------------------------------------------------------------


class Agreed(NamedTuple):
    """permessage-deflate parameters of one direction; None as a whole: no compression."""

    takeover: bool
    bits: int


def sender(side: Side, agreed: Agreed | None) -> Endpoint:
    extensions = []
    if agreed is not None:
        who = "client" if side is Side.STATION else "server"
        fresh = {f"{who}_no_context_takeover": not agreed.takeover, f"{who}_max_window_bits": agreed.bits}
        extension = PerMessageDeflate(**fresh)
        extension._enabled = True
        extensions.append(extension)
    kind = ConnectionType.CLIENT if side is Side.STATION else ConnectionType.SERVER
    return Endpoint(kind, extensions=extensions)


words = st.sampled_from(["Heartbeat", "MeterValues", '[2,"1",', "é", "漢字", "😀", "{}", "0", " ", "\x00", "]"])
text_message = st.lists(words, max_size=40).map("".join)
LONG = {"LONG": "".join(f"{i * i:05x}" for i in range(13200))}
long_message = st.just("LONG")  # stands for a text that would make Hypothesis' own reports too long
message = st.one_of(text_message, st.binary(max_size=300), st.just("x" * 200), long_message)
said = st.lists(st.tuples(message, st.integers(1, 4), st.booleans()), max_size=8)


@settings(max_examples=150)
@given(
    side=st.sampled_from(Side),
    agreed=st.one_of(st.none(), st.builds(Agreed, st.booleans(), st.sampled_from(range(9, 16)))),
    messages=said,
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=6),
)
def test_what_wsproto_sends_is_read(
    side: Side, agreed: Agreed | None, messages: list[tuple[str | bytes, int, bool]], cuts: list[int]
) -> None:
    messages = [(LONG.get(content, content), parts, ping) for content, parts, ping in messages]
    endpoint, octets, controls = sender(side, agreed), b"", []
    for number, (content, parts, ping) in enumerate(messages):
        kind = TextMessage if isinstance(content, str) else BytesMessage
        step = max(1, -(-len(content) // parts))
        pieces = [content[at : at + step] for at in range(0, len(content), step)] or [content]
        for index, piece in enumerate(pieces):
            octets += endpoint.send(kind(data=piece, message_finished=index == len(pieces) - 1))
            if ping and agreed is None:  # with deflate, wsproto itself garbles a message that a ping interrupts
                event = (Ping if number % 2 else Pong)(payload=b"%d" % index)
                octets += endpoint.send(event)
                controls.append((PING if number % 2 else PONG, b"%d" % index))
    octets += endpoint.send(CloseConnection(code=1001, reason="bye"))
    inflater = Inflater(takeover=agreed.takeover) if agreed else None
    tray = Tray()
    reader, at, turn = Reader(side, tray, inflater), 0, 0
    while at < len(octets):
        step = cuts[turn % len(cuts)]
        reader.feed(octets[at : at + step], turn, turn + 1)
        at, turn = at + step, turn + 1
    reader.finish(turn)
    assert not tray.problems
    assert not tray.violations
    assert [t.payload for t in tray.texts] == [c.encode() if isinstance(c, str) else c for c, _, _ in messages]
    assert [t.binary for t in tray.texts] == [isinstance(c, bytes) for c, _, _ in messages]
    assert [(c.opcode, c.payload) for c in tray.controls] == [*controls, (CLOSE, b"\x03\xe9bye")]
    assert (tray.controls[-1].code, tray.controls[-1].reason) == (1001, "bye")
    assert sum(t.wire_size for t in tray.texts) + sum(size_of(c, side) for c in tray.controls) == len(octets)


def size_of(control: Control, side: Side) -> int:
    return 2 + len(control.payload) + (4 if side is Side.STATION else 0)


def test_packets_of_a_message_are_those_that_hold_it() -> None:
    octets = b"".join(sender(Side.STATION, None).send(TextMessage(data="m" * size)) for size in (10, 200, 3))
    tray = read(octets, Side.STATION, piece=50)
    spans = [(0, 16), (16, 224), (224, 233)]
    for text, (start, stop) in zip(tray.texts, spans, strict=True):
        held = [number for number, _ in groupby(at // 50 + 1 for at in range(start, stop))]
        assert list(text.origin.packets) == held
        assert text.origin.time_ns == held[-1] - 1
