"""Between the sides of the proxy nothing is smuggled: a head that can be read in two ways passes exactly as it came.

Over real sockets, in every mode. A mode that changes heads (`--active`, `--set-host`) leaves such a head alone, and
an active connection goes on as a passive one, so that nobody's reading of it becomes another's.
"""

from __future__ import annotations

import pytest
from support_proxy import Stand, read, stand, until

from ocppscope.control import Opened
from ocppscope.proxy.head import ambiguity

UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
)
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
HOST = b"Host: csms.example\r\n"
START = b"GET /ocpp/CP-1 HTTP/1.1\r\n"
PLAIN = START + HOST + UPGRADE + OFFER + b"\r\n"
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
)
PIPELINED = b"GET /admin HTTP/1.1\r\nHost: csms.example\r\n\r\n"
PING = b"\x89\x80\x00\x00\x00\x00"
TEXT = b'\x81\x97\x00\x00\x00\x00[2,"h1","Heartbeat",{}]'

MODES = {
    "passive": {},
    "set-host": {"set_host": "other.example"},
    "active": {"active": True},
    "active, set-host": {"active": True, "set_host": "other.example"},
}


def with_lines(lines: bytes, *, host: bytes = HOST, start: bytes = START) -> bytes:
    return start + host + UPGRADE + lines + OFFER + b"\r\n"


AMBIGUOUS = {
    "both lengths": with_lines(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n" + PIPELINED,
    "a length": with_lines(b"Content-Length: 6\r\n") + PING + PIPELINED,
    "two lengths": with_lines(b"Content-Length: 0\r\nContent-Length: 6\r\n") + PING,
    "a length that is none": with_lines(b"Content-Length: +0\r\n") + PING,
    "a length behind a space": with_lines(b"Content-Length : 6\r\n") + PING,
    "a transfer coding": with_lines(b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n" + PIPELINED,
    "an odd transfer coding": with_lines(b"Transfer-Encoding: xchunked\r\n") + PING,
    "a folded transfer coding": with_lines(b"Transfer-Encoding:\r\n chunked\r\n") + PING,
    "a fold at the beginning": with_lines(b"", start=START + b" X: 1\r\n"),
    "a bare LF": with_lines(b"X: 1\nHost: evil.example\r\n"),
    "the head ends with bare LF": with_lines(b"")[:-2] + b"\n" + TEXT,
    "an end within": with_lines(b"X: 1\n\nContent-Length: 6\r\n") + PING,
    "only LF": PLAIN.replace(b"\r\n", b"\n"),
    "a bare CR": with_lines(b"X: 1\rHost: evil.example\r\n"),
    "a NUL": with_lines(b"X: 1\0\r\n"),
    "a NUL in a name": with_lines(b"Ho\0st: evil.example\r\n"),
    "a vertical tab": with_lines(b"X:\x0bchunked\r\n"),
    "two hosts": with_lines(b"Host: evil.example\r\n"),
    "a second host behind a space": with_lines(b"Host : evil.example\r\n"),
    "a folded host": with_lines(b"", host=b"Host: csms.example\r\n .evil.example\r\n"),
    "an absolute target": with_lines(b"", start=b"GET http://evil.example/ocpp/CP-1 HTTP/1.1\r\n"),
    "an absolute target in ws": with_lines(b"", start=b"GET  WS://evil.example/ocpp/CP-1 HTTP/1.1\r\n"),
}
"""What a station sends, all of it at once, before there is any answer."""


def passes(made: Stand, request: bytes, answer: bytes = SWITCH + b"\r\n") -> None:
    """A station's request comes out byte for byte, and so does the answer, and what both say then."""
    pair = made.pair()
    pair.station.sendall(request)
    assert read(pair.csms, len(request)) == request
    pair.csms.sendall(answer)
    assert read(pair.station, len(answer)) == answer
    for data in (b"\x00no frame\xff", PING):
        pair.station.sendall(data)
        assert read(pair.csms, len(data)) == data
        pair.csms.sendall(data)
        assert read(pair.station, len(data)) == data


def why_passive(made: Stand) -> str:
    links = [one.link for one in made.proxy.told if isinstance(one, Opened)]
    return links[-1].why_passive if links else ""


@pytest.mark.parametrize("mode", MODES)
def test_what_can_be_read_in_two_ways_passes_exactly(tmp_path, mode):
    with stand(tmp_path, **MODES[mode]) as made:
        for name, request in AMBIGUOUS.items():
            try:
                passes(made, request)
            except AssertionError as error:
                raise AssertionError(name) from error
            if mode.startswith("active"):
                until(lambda: "can be read in two ways" in why_passive(made), f"a reason for {name}")


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", ["both lengths", "an end within", "two hosts", "a bare CR"])
def test_it_does_not_matter_how_it_is_cut(tmp_path, name, size):
    request = AMBIGUOUS[name]
    with stand(tmp_path, active=True, set_host="other.example") as made:
        pair = made.pair()
        for at in range(0, len(request), size):
            pair.station.sendall(request[at : at + size])
        assert read(pair.csms, len(request)) == request


def test_why_nothing_was_replaced_is_recorded(tmp_path):
    with stand(tmp_path, set_host="other.example", record="legs") as made:
        passes(made, AMBIGUOUS["two hosts"])
        made.pairs[-1].close()
        made.proxy.idle()
    assert b"ocppscope proxy: unchanged: it has more than one Host" in made.proxy.path.read_bytes()


def test_the_plain_request_is_changed_as_asked(tmp_path):
    """If nothing were ever changed, the tests above would prove nothing."""
    changed = PLAIN.replace(OFFER, b"").replace(b"csms.example", b"other.example")
    with stand(tmp_path, active=True, set_host="other.example") as made:
        pair = made.pair()
        pair.station.sendall(PLAIN)
        assert read(pair.csms, len(changed)) == changed


@pytest.mark.parametrize(
    "answer",
    [
        SWITCH + b"Transfer-Encoding: chunked\r\n\r\n",
        SWITCH + b"Content-Length: 9\r\n\r\n",
        SWITCH + b"X: 1\n\nX: 2\r\n\r\n",
        SWITCH + b"X: 1\rX: 2\r\n\r\n",
        SWITCH + b"X: \0\r\n\r\n",
        SWITCH[:-2] + b"\n\n",
    ],
)
def test_an_answer_that_can_be_read_in_two_ways_passes_exactly(tmp_path, answer):
    request = PLAIN.replace(OFFER, b"")
    with stand(tmp_path, active=True) as made:
        passes(made, request, answer)
        until(lambda: "can be read in two ways" in why_passive(made), "a reason")


@pytest.mark.parametrize("early", [PIPELINED, PING, TEXT, b"\x00\xff garbage"])
@pytest.mark.parametrize("status", [b"401 Unauthorized", b"426 Upgrade Required", b"200 OK"])
def test_what_comes_early_passes_exactly_where_the_upgrade_is_refused(tmp_path, early, status):
    """A pipelined request is the CSMS's to read, whole and once."""
    request = PLAIN.replace(OFFER, b"")
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"
    with stand(tmp_path, active=True) as made:
        pair = made.pair()
        pair.station.sendall(request + early)
        assert read(pair.csms, len(request)) == request
        pair.csms.sendall(answer)
        assert read(pair.csms, len(early)) == early
        assert read(pair.station, len(answer)) == answer


def test_frames_before_the_answer_wait_for_it_and_arrive_once(tmp_path):
    request = PLAIN.replace(OFFER, b"")
    with stand(tmp_path, active=True) as made:
        pair = made.pair()
        pair.station.sendall(request + TEXT)
        assert read(pair.csms, len(request)) == request
        pair.csms.sendall(SWITCH + b"\r\n")
        head = read(pair.csms, 6)
        assert (head[0], head[1]) == (0x81, 0x97)
        text = bytes(byte ^ head[2 + at % 4] for at, byte in enumerate(read(pair.csms, 23)))
        assert text == b'[2,"h1","Heartbeat",{}]'


def test_a_pipelined_request_behind_an_agreed_upgrade_reaches_nobody(tmp_path):
    """After 101 there are only frames: what is none is never sent on as if it were a request."""
    request = PLAIN.replace(OFFER, b"")
    with stand(tmp_path, active=True) as made:
        pair = made.pair()
        pair.station.sendall(request + PIPELINED)
        assert read(pair.csms, len(request)) == request
        pair.csms.sendall(SWITCH + b"\r\n")
        got = b""
        while piece := pair.csms.recv(1 << 16):
            got += piece
    assert b"GET" not in got
    assert b"/admin" not in got


@pytest.mark.parametrize(
    ("head", "is_ambiguous"),
    [
        (PLAIN, False),
        (b"\r\n" + PLAIN, False),
        (with_lines(b"X: a\r\n folded\r\n"), False),
        (with_lines(b"Content-Length: 0\r\n"), False),
        (with_lines(b"X: \xe9\t1\r\n"), False),
        (with_lines(b"no colon\r\n"), False),
        (b"GET /a:b?c=http://x HTTP/1.1\r\n" + HOST + b"\r\n", False),
        *((one.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", True) for one in AMBIGUOUS.values()),
    ],
)
def test_which_heads_are_ambiguous(head, is_ambiguous):
    assert bool(ambiguity(head)) is is_ambiguous
