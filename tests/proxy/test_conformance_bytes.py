"""Byte sequences that other proxies alter or refuse to carry: through this one they pass as they are, both ways."""

from __future__ import annotations

import json
import random
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocppscope.model import Side
from proxy.support_fleet import ACCEPT, KEY
from proxy.support_proxy import CSMS, DEADLINE, STATION, Pair, Rest, Stand, read, reset, rest, stand


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with stand(tmp_path_factory.mktemp("bytes")) as made:
        yield made


def exchange(made: Stand, said: tuple[bytes, bytes]) -> None:
    """Each side says its bytes in some pieces and ends, both at once; each has to hear all of the other."""
    pair = made.pair()
    writers = [threading.Thread(target=_say, args=(pair, side, said[side])) for side in Side]
    for writer in writers:
        writer.start()
    heard = [rest(pair[side.other]) for side in Side]
    for writer in writers:
        writer.join(DEADLINE)
    pair.close()
    assert heard == [Rest(data, "FIN") for data in said]


def _say(pair: Pair, side: Side, data: bytes) -> None:
    chance, at = random.Random(len(data)), 0
    while at < len(data):
        size = chance.choice((1, 2, 5, 100, 5000))
        pair[side].sendall(data[at : at + size])
        at += size
    pair[side].shutdown(socket.SHUT_WR)


@pytest.mark.shared
def test_the_cases_of_the_autobahn_suite(tmp_path: Path, shared: Path):
    """All of them, as they were between a client and a server; and the recording holds each of them."""
    cases = json.loads((shared / "websocket" / "autobahn" / "ab_core_cases.json").read_text())
    kept = [case for case in cases if case.get("c2s") or case.get("s2c")]
    assert len(cases) == 247
    assert len(kept) > 200
    octets = [(bytes.fromhex(case.get("c2s") or ""), bytes.fromhex(case.get("s2c") or "")) for case in kept]
    with stand(tmp_path) as made:
        for said in octets:
            exchange(made, said)
        made.proxy.idle()
        recorded = made.recorded()
    assert [(bytes(talk.sent[STATION]), bytes(talk.sent[CSMS])) for talk in recorded] == octets


def deflated(text: bytes, *, last: bool = False) -> bytes:
    """A message as permessage-deflate has it; with `last` it ends in a block that says it is the last."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(text)
    return packed + (packer.flush() if last else packer.flush(zlib.Z_SYNC_FLUSH)[:-4])


def frame(first: int, data: bytes, *, mask: bytes = b"", size: int = 0) -> bytes:
    """A frame; its length takes `size` bytes if that is said, whether it needs them or not."""
    bit = 0x80 if mask else 0
    if size or len(data) > 125:
        size = size or 2
        length = bytes([bit | (126 if size == 2 else 127)]) + len(data).to_bytes(size)
    else:
        length = bytes([bit | len(data)])
    key = (mask * (len(data) // 4 + 1))[: len(data)] if mask else bytes(len(data))
    return bytes([first]) + length + mask + bytes(one ^ two for one, two in zip(data, key, strict=True))


REQUEST = (
    "GET /ocpp/CP%2D1?token=%41 HTTP/1.1\r\nHOST: csms\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
).encode()
ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
).encode()
TEXT = b'[2,"1","Heartbeat",{}]'
PACKED = deflated(TEXT)
MASK = b"\x01\x02\x03\x04"

FRAMES = {
    "a ping inside a compressed fragmented message": frame(0x41, PACKED[:5], mask=MASK)
    + frame(0x89, b"ping", mask=MASK)
    + frame(0x80, PACKED[5:], mask=MASK),
    "a compressed message whose last block says so": frame(0xC1, deflated(TEXT, last=True), mask=MASK),
    "a length in two bytes that needs one": frame(0x81, TEXT, mask=MASK, size=2),
    "a length in eight bytes that needs one": frame(0x81, TEXT, mask=MASK, size=8),
    "a length with its highest bit set": b"\x81\xff" + b"\xff" * 8 + MASK + b"and so on",
    "no mask": frame(0x81, TEXT),
    "a mask of zeros": frame(0x81, TEXT, mask=bytes(4)),
    "reserved opcodes": b"".join(frame(0x80 | code, b"x", mask=MASK) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    "reserved bits": b"".join(frame(0x81 | bits << 4, TEXT, mask=MASK) for bits in (1, 2, 3, 5, 6, 7)),
    "bad UTF-8": frame(0x81, b"\xff\xfe\xed\xa0\x80\xc0\xaf", mask=MASK),
    "a fragmented ping": frame(0x09, b"a", mask=MASK) + frame(0x80, b"b", mask=MASK),
    "a ping that is too long": frame(0x89, bytes(126), mask=MASK),
    "a continuation of nothing": frame(0x80, TEXT, mask=MASK),
    "a message within a message": frame(0x01, b"a", mask=MASK) + frame(0x81, b"b", mask=MASK),
    "empty frames": (frame(0x01, b"", mask=MASK) + frame(0x00, b"", mask=MASK) * 5 + frame(0x80, b"", mask=MASK)) * 5,
    "a close without a code": frame(0x88, b"", mask=MASK),
    "a close with half a code": frame(0x88, b"\x03", mask=MASK),
    "a close with a code that must not be sent": frame(0x88, (1005).to_bytes(2), mask=MASK),
    "a close with bad UTF-8": frame(0x88, (1000).to_bytes(2) + b"\xff", mask=MASK),
    "data after a close": frame(0x88, (1000).to_bytes(2), mask=MASK) + frame(0x81, TEXT, mask=MASK),
    "half a frame": frame(0x81, TEXT, mask=MASK)[:-3],
    "damaged deflate": frame(0xC1, b"\xff\xff\xff\xff", mask=MASK),
    "a deflate bomb": frame(0xC1, deflated(bytes(1 << 20)), mask=MASK),
}


@pytest.mark.parametrize("octets", FRAMES.values(), ids=FRAMES)
def test_frames(made: Stand, octets: bytes):
    """From either side, after an upgrade that agrees on compression."""
    exchange(made, (REQUEST + octets, ANSWER))
    exchange(made, (REQUEST, ANSWER + octets))
    exchange(made, (REQUEST + octets, ANSWER + octets))


HEADS = {
    "header names in any case and order": REQUEST,
    "headers twice": REQUEST.replace(b"\r\n\r\n", b"\r\nHost: other\r\nSec-WebSocket-Key: x\r\nhost: third\r\n\r\n"),
    "a folded header": REQUEST.replace(b"keep-alive, Upgrade", b"keep-alive,\r\n\t Upgrade"),
    "line ends without CR": REQUEST.replace(b"\r\n", b"\n"),
    "CR alone": REQUEST.replace(b"\r\n", b"\r"),
    "HTTP/1.0": REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "a space before the colon": REQUEST.replace(b"Host:", b"Host :"),
    "a header without a colon": REQUEST.replace(b"\r\n\r\n", b"\r\nnonsense\r\n\r\n"),
    "an empty header": REQUEST.replace(b"\r\n\r\n", b"\r\n: x\r\nX:\r\n\r\n"),
    "octets above 127 and NUL": REQUEST.replace(b"\r\n\r\n", b"\r\nX: \xe4\xff\x00\x01\r\n\r\n"),
    "empty lines before it": b"\r\n\r\n" + REQUEST,
    "a whole URL as the target": REQUEST.replace(b"/ocpp/CP%2D1?token=%41", b"ws://csms/ocpp/CP?x#y"),
    "a target with spaces": REQUEST.replace(b"CP%2D1", b"C P"),
    "no target": b"GET\r\n\r\n",
    "another method": REQUEST.replace(b"GET", b"POST"),
    "a body": REQUEST.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello"),
    "a chunked body": REQUEST.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "hop-by-hop headers": REQUEST.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\nProxy-Authorization: x\r\n\r\n"),
    "credentials": REQUEST.replace(b"\r\n\r\n", b"\r\nAuthorization: Basic Q1A6\xff=\r\n\r\n"),
    "a very long head": REQUEST.replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 300_000 + b"\r\n\r\n"),
    "a head that never ends": b"GET / HTTP/1.1\r\nX: " + b"a" * 300_000,
    "frames with the request": REQUEST + frame(0x81, TEXT, mask=MASK) * 3,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a PROXY protocol line": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + REQUEST,
    "every byte": bytes(range(256)) * 3,
}
ANSWERS = {
    "a switch": ANSWER,
    "a switch in HTTP/1.0": ANSWER.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no reason": ANSWER.replace(b" Switching Protocols", b""),
    "a wrong accept": ANSWER.replace(ACCEPT.encode(), b"wrong"),
    "a subprotocol that was not offered": ANSWER.replace(b"ocpp1.6", b"ocpp9.9"),
    "frames with the answer": ANSWER + frame(0x81, TEXT) * 3,
    "100 before it": b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER,
    "a refusal in chunks": b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nwhat\r\n3;x=y\r\nnow\r\n0\r\nT: 1\r\n\r\n",
    "401 with a body": b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\n'
    b"Content-Length: 4\r\n\r\nno!\n",
    "a redirection": b"HTTP/1.1 302 Found\r\nLocation: wss://other.example/\r\nContent-Length: 0\r\n\r\n",
    "a body without length": b"HTTP/1.1 503 Service Unavailable\r\n\r\n" + b"sorry" * 1000,
    "a body that is longer than it says": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nlonger",
    "no HTTP": b"hello there",
    "nothing": b"",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_requests(made: Stand, head: bytes):
    exchange(made, (head, ANSWER))


@pytest.mark.parametrize("head", ANSWERS.values(), ids=ANSWERS)
def test_answers(made: Stand, head: bytes):
    exchange(made, (REQUEST, head))


@pytest.mark.parametrize("side", Side)
def test_a_reset_within_a_frame(made: Stand, side: Side):
    pair = made.pair()
    pair[side].sendall(REQUEST + b"\x81\xfe")
    assert read(pair[side.other], len(REQUEST) + 2) == REQUEST + b"\x81\xfe"
    reset(pair[side])
    assert rest(pair[side.other]) == Rest(b"", "RST")
    pair.close()
