"""Packets that are made up: heads as they can be known, and what has no bytes."""

from __future__ import annotations

import base64

import pytest
from msgspec.structs import replace

from export.support_pcapng import CAPTURES
from ocppscope.export.rewriting.chosen import FIRST_MARKS, Marks
from ocppscope.export.rewriting.invented import (
    MAX_MISSED,
    MAX_STARS,
    _address,
    _Talk,
    made_up_request,
    made_up_response,
    request_head,
    response_head,
)
from ocppscope.export.rewriting.spool import PIECE_BYTES, NewStream, Spool
from ocppscope.model import Connection, Endpoint, Handshake, Side, StreamGap
from ocppscope.wire.http import Upgrade, UpgradeState
from support_engine import run


def connection(name: str = "clean16", number: int = 0) -> Connection:
    return run(CAPTURES / f"{name}.pcap").connections[number]


def shake_of(one: Connection) -> Handshake:
    assert one.handshake is not None
    return one.handshake


def read(request: bytes, response: bytes) -> Handshake:
    upgrade = Upgrade()
    upgrade.request(request, 1, 1)
    upgrade.response(response, 2, 2)
    assert upgrade.handshake is not None
    return upgrade.handshake


@pytest.mark.parametrize("name", ["clean16", "clean201", "ocpp16_deflate"])
def test_heads_are_read_as_they_were(name: str):
    shake = shake_of(connection(name))
    again = read(request_head(shake), response_head(shake))
    times = {"requested_ns": 0, "answered_ns": 0, "request_packets": (), "response_packets": ()}
    assert replace(again, **times) == replace(shake, **times)


def test_a_refusal_says_how_long_its_body_is_now():
    shake = replace(
        shake_of(connection()),
        status=503,
        reason="Busy",
        response_headers=(("Content-Length", "999"), ("Transfer-Encoding", "chunked"), ("X-Why", "so\r\nEvil: 1")),
        body="later",
    )
    head = response_head(shake)
    assert head.startswith(b"HTTP/1.1 503 Busy\r\n")
    assert head.endswith(b"Content-Length: 5\r\n\r\nlater")
    assert b"chunked" not in head
    assert b"\nEvil" not in head


@pytest.mark.parametrize(("shown", "stars"), [("16", 16), ("999999999", MAX_STARS)])
def test_a_password_is_asterisks(shown: str, stars: int):
    headers = (("Authorization", f"Basic CP-1:*** ({shown} bytes)"),)
    head = request_head(replace(shake_of(connection()), request_headers=headers))
    value = next(line for line in head.splitlines() if line.startswith(b"Authorization")).split()[-1]
    assert base64.b64decode(value) == b"CP-1:" + b"*" * stars


def test_an_upgrade_that_nobody_saw():
    one = replace(connection(), handshake=None, station="CP é/1")
    upgrade = Upgrade()
    upgrade.request(made_up_request(one), 1, 1)
    upgrade.response(made_up_response(one), 2, 2)
    assert upgrade.state is UpgradeState.UPGRADED
    shake = upgrade.handshake
    assert shake is not None
    assert (shake.station, shake.protocol, shake.problems) == ("CP é/1", "ocpp1.6", ())


def test_an_endpoint_of_which_no_packet_can_be_made():
    assert _address(Endpoint("a.name", 99_999), 1) == Endpoint("192.0.2.2", 65_535)
    assert _address(Endpoint("fe80::1%eth0", 1), 0) == Endpoint("fe80::1%eth0", 1)


def test_a_gap_is_shown_by_so_many_bytes_at_most():
    talk = _Talk(connection())
    before = talk._packets._next[0]
    list(talk.between(StreamGap(1, 0, Side.STATION, 1 << 40, "why")))
    sent = len(request_head(shake_of(connection())))
    assert talk._packets._next[0] - before == MAX_MISSED + sent + 1


def test_marks_grow():
    marks = Marks()
    marks.add([1, 5 * FIRST_MARKS])
    assert [one for one in (0, 1, 2, 5 * FIRST_MARKS, 99 * FIRST_MARKS) if one in marks] == [1, 5 * FIRST_MARKS]


def test_a_stream_is_read_as_it_was_written():
    with Spool() as spool:
        one, other = NewStream(spool), NewStream(spool)
        expected = bytearray()
        for number in range(300):
            piece = bytes([number % 255 + 1]) * (number % 50)
            one.write(len(expected), piece)
            other.write(number, b"?")
            expected += piece + (bytes(3) if number % 7 == 0 else b"")
        one.settle()
        spool.settle()
        assert len(expected) > PIECE_BYTES
        for start in range(0, len(expected), 37):
            for stop in (start, start + 1, start + 500, len(expected)):
                assert one.read(start, stop) == bytes(expected[start:stop]).ljust(stop - start, b"\0")
        assert NewStream(spool).read(3, 5) == b"\0\0"
        assert other.read(0, 5) == bytes(5)  # not settled: nothing that was not said to be whole is given
