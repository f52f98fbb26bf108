"""The judge is silent on valid streams, whoever made them, and names what a strict endpoint would do with others."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.frames import Frame, Opcode
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from ocppscope.model import Deflate, Handshake, Problem, Side
from ocppscope.problems import PROBLEMS
from ocppscope.wire.judge import MAX_OUTPUT_BYTES, Judge, verdict
from ocppscope.wire.strict_deflate import StrictDeflate

CASES = Path(__file__).parents[2] / ".." / "shared" / "captures" / "websocket" / "autobahn" / "ab_core_cases.json"


def frame(
    opcode: int, payload: bytes = b"", side: Side = Side.STATION, fin: bool = True, rsv1: bool = False
) -> bytes:
    """A frame as it is told, legal or not; the mask is zero."""
    assert len(payload) < 1 << 16
    masked = 0x80 if side is Side.STATION else 0
    short = len(payload) < 126
    length = bytes([masked | (len(payload) if short else 126)]) + (b"" if short else len(payload).to_bytes(2, "big"))
    return bytes([fin << 7 | rsv1 << 6 | opcode]) + length + bytes(4 if masked else 0) + payload


def judged(data: bytes, side: Side = Side.STATION, deflate: Deflate | None = None, size: int = 0) -> Problem | None:
    """The one verdict on a stream; after it the judge must stay silent."""
    judge = Judge(side, deflate)
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    found = [problem for problem in map(judge.feed, pieces) if problem]
    assert len(found) <= 1
    assert {problem.code for problem in found} <= set(PROBLEMS)
    assert judge.feed(b"\xff" * 20) is None or not found
    return found[0] if found else None


def handshake(status: int | None = 101, **more: object) -> Handshake:
    return Handshake("GET", "/CP1", "CP1", "", (), "", "13", (), (), 0, status=status, **more)


TEXTS = ['[2,"1","Heartbeat",{}]', "é" * 400, "", "x" * 70_000]
PARAMETERS = [
    None,
    Deflate(),
    Deflate(station_no_context_takeover=True, csms_no_context_takeover=True),
    Deflate(station_window_bits=9, csms_window_bits=10),
]


class TestValidStreams:
    @pytest.mark.parametrize("size", [0, 1, 5])
    @pytest.mark.parametrize("deflate", PARAMETERS)
    @pytest.mark.parametrize("side", list(Side))
    def test_of_wsproto(self, side: Side, deflate: Deflate | None, size: int) -> None:
        kind = ConnectionType.CLIENT if side is Side.STATION else ConnectionType.SERVER
        sender = Connection(kind, [StrictDeflate(deflate)] if deflate else None)
        data = b"".join(sender.send(TextMessage(data=text)) for text in TEXTS[:3] if text)
        data += sender.send(BytesMessage(data=b"\x00\xff")) + sender.send(Ping(b"p")) + sender.send(Pong(b"p"))
        data += sender.send(CloseConnection(code=1000, reason="bye"))
        assert judged(data, side, deflate, size) is None

    @pytest.mark.parametrize("deflate", PARAMETERS[1:])
    @pytest.mark.parametrize("side", list(Side))
    def test_of_websockets(self, side: Side, deflate: Deflate) -> None:
        bits = deflate.station_window_bits if side is Side.STATION else deflate.csms_window_bits
        forget = deflate.station_no_context_takeover if side is Side.STATION else deflate.csms_no_context_takeover
        sender = WebsocketsDeflate(False, forget, 15, bits)
        data = b""
        for text in TEXTS:
            for number, part in enumerate((text[:50], text[50:])):
                opcode = Opcode.CONT if number else Opcode.TEXT
                piece = Frame(opcode, part.encode(), fin=bool(number))
                data += piece.serialize(mask=side is Side.STATION, extensions=[sender])
                data += frame(9, b"between fragments", side)
        assert judged(data, side, deflate) is None

    def test_a_window_of_eight_bits_is_judged(self) -> None:
        packer = zlib.compressobj(wbits=-9)
        payload = (packer.compress(b"x" * 300) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        assert judged(frame(1, payload, rsv1=True), deflate=Deflate(station_window_bits=8)) is None

    def test_bytes_after_close_are_ignored(self) -> None:
        assert judged(frame(8, b"\x03\xe8") + b"\xff\xff\xff") is None

    def test_an_incomplete_stream_is_no_violation(self) -> None:
        assert judged(frame(1, b"x" * 200)[:-1]) is None


# name → bytes of the station, close code, a part of wsproto's words
VIOLATIONS = {
    "unmasked": (frame(1, b"a", Side.CSMS), 1002, "unmasked"),
    "reserved opcode": (bytes([0x83, 0x80, 0, 0, 0, 0]), 1002, "Invalid opcode"),
    "reserved bit": (bytes([0x91, 0x80, 0, 0, 0, 0]), 1002, "Reserved bit"),
    "rsv1 without deflate": (frame(1, b"a", rsv1=True), 1002, "Reserved bit"),
    "fragmented ping": (frame(9, fin=False), 1002, "fragment control frame"),
    "long ping": (bytes([0x89, 0xFE, 0, 126]) + bytes(130), 1002, "payload len > 125"),
    "length in two bytes": (bytes([0x81, 0xFE, 0, 5]) + bytes(9), 1002, "1 would have sufficed"),
    "length in eight bytes": (bytes([0x81, 0xFF]) + bytes(7) + bytes([5]) + bytes(9), 1002, "2 would have sufficed"),
    "length over 2^63": (bytes([0x81, 0xFF]) + b"\xff" * 8 + bytes(4), 1002, "MSB"),
    "continues nothing": (frame(0, b"a"), 1002, "CONTINUATION"),
    "new message inside": (frame(1, b"a", fin=False) + frame(1, b"b"), 1002, "expected CONTINUATION"),
    "not UTF-8": (frame(1, b"ab\xff"), 1007, "utf-8"),
    "half a character": (frame(1, b"ab\xc3"), 1007, "unexpected end of data"),
    "close of one byte": (frame(8, b"\x03"), 1002, "1 byte"),
    "close code 999": (frame(8, b"\x03\xe7"), 1002, "invalid code"),
    "close code 1005": (frame(8, b"\x03\xed"), 1002, "local-only"),
    "close reason": (frame(8, b"\x03\xe8\xff"), 1007, "CLOSE reason"),
}


class TestViolations:
    @pytest.mark.parametrize("before", [b"", frame(1, b"hello") + frame(9)])
    @pytest.mark.parametrize("name", VIOLATIONS)
    def test_verdict_names_code_words_and_place(self, name: str, before: bytes) -> None:
        data, code, words = VIOLATIONS[name]
        found = judged(before + data)
        assert found
        assert found.text.startswith(f"a strict server closes here with {code}: ")
        assert words in found.text
        place = len(before) + (7 if name == "new message inside" else 0)
        assert found.text.endswith(f"(the station's frame at byte {place} after the handshake)")
        for size in (1, 3):
            assert judged(before + data, size=size) == found

    def test_masked_frame_of_a_csms(self) -> None:
        found = judged(frame(1, b"a"), Side.CSMS)
        assert found
        assert found.text.startswith("a strict client closes here with 1002: client received unexpected masked frame")
        assert "the CSMS's frame at byte 0" in found.text

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (frame(1, b"\xff\xff\xff", rsv1=True), 1007),
            (frame(9, b"a", rsv1=True), 1002),
            (frame(1, b"", fin=False, rsv1=True) + frame(0, b"a", rsv1=True), 1002),
        ],
    )
    def test_deflate(self, data: bytes, code: int) -> None:
        found = judged(data, deflate=Deflate())
        assert found
        assert f"with {code}: error in extension" in found.text

    def test_payload_is_not_quoted(self) -> None:
        found = judged(frame(1, b"secret\xe9!"))
        assert found
        assert "0xe9" not in found.text
        assert "position" not in found.text


class TestBounds:
    def test_a_bomb_ends_the_judging_without_a_verdict(self) -> None:
        packer = zlib.compressobj(9, wbits=-15)
        block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
        judge = Judge(Side.STATION, Deflate())
        for _ in range(MAX_OUTPUT_BYTES // (1 << 20) + 4):
            assert judge.feed(frame(2, block[:-4], rsv1=True)) is None
        assert judge.feed(b"\xff" * 30) is None  # abstains, or this were a violation

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=80), st.sampled_from(list(Side)), st.sampled_from(PARAMETERS), st.integers(1, 9))
    def test_any_bytes_any_cut(self, data: bytes, side: Side, deflate: Deflate | None, size: int) -> None:
        whole = judged(data, side, deflate)
        pieces = judged(data, side, deflate, size)
        if deflate is None:
            assert pieces == whole
        else:
            assert (pieces is None) == (whole is None)


class TestVerdict:
    BAD = frame(1, b"\xff")

    def test_both_directions(self) -> None:
        found = verdict(handshake(), [self.BAD], [b"\x81", b"\x01\xff"])
        assert ["server" in found[0].text, "client" in found[1].text] == [True, True]
        assert verdict(handshake(), [frame(1, b"a")], []) == ()

    def test_uses_the_agreed_parameters(self) -> None:
        packer = zlib.compressobj(wbits=-15)
        data = frame(1, (packer.compress(b"a") + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv1=True)
        agreed = handshake(extensions=("permessage-deflate",), deflate=Deflate())
        assert (len(verdict(handshake(), [data], [])), verdict(agreed, [data], [])) == (1, ())

    @pytest.mark.parametrize("asked", [None, handshake(None), handshake(401), handshake(extensions=("x-other",))])
    def test_no_verdict_where_nothing_is_known_to_be_agreed(self, asked: Handshake | None) -> None:
        assert verdict(asked, [self.BAD], [self.BAD]) == ()


@pytest.mark.shared
@pytest.mark.skipif(not CASES.exists(), reason="needs the third-party captures in ../shared/captures")
def test_autobahn_cases() -> None:
    """The client is the fuzzer: where the server answered no close, it had cut the connection for a violation."""
    judged_cases = 0
    for case in json.loads(CASES.read_text()):
        if not case.get("c2s") or case["case"] == "7.3.1":  # an empty close is legal and has no code to answer
            continue
        judged_cases += 1
        found = judged(bytes.fromhex(case["c2s"]))
        assert (found is not None) == (case["remoteCloseCode"] is None), case["case"]
        assert judged(bytes.fromhex(case.get("s2c") or ""), Side.CSMS) is None, case["case"]
    assert judged_cases >= 230
