"""Which flows are dismissed as columns; and that nobody could tell from the events or the summary."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_frames import frame, masked
from support_packets import Session, block
from upgrades import PLAIN, refusal, request, response

from ocppscope.engine import Engine, Options
from ocppscope.wire.connection import Phase
from ocppscope.wire.dismissal import dismissed
from ocppscope.wire.flows import FlowTable
from ocppscope.wire.link import ACK, FIN, RST, SYN, LinkDecoder

HELLO = b"\x16\x03\x01\x00\x05hello"
SSH = b"SSH-2.0-OpenSSH_9.2\r\n"
CALL = b'[2,"a-long-enough-message-id","Heartbeat",{}]'

FLOWS: dict[str, tuple[Session, Phase | None]] = {
    "TLS": (Session().open().station(HELLO).csms(HELLO), Phase.TLS),
    "SSH, where the server speaks first": (Session().open().csms(SSH).station(SSH), Phase.OTHER),
    "a record header that is none": (Session().open().station(b"\x16\x05\x01\x00\x05hello"), Phase.OTHER),
    "plain HTTP": (Session().open().station(PLAIN).csms(refusal("200 OK")), Phase.IDLE_HTTP),
    "plain HTTP, kept alive": (Session().open().station(PLAIN).csms(b"x").station(PLAIN).csms(b"y"), Phase.IDLE_HTTP),
    "an answer in which a line begins like a request": (
        Session().open().station(PLAIN).csms(b"HTTP/1.1 200 OK\r\n").csms(b"GET out\r\n"),
        None,
    ),
    "the server's SYN alone": (Session().csms(flags=SYN | ACK).csms(SSH), Phase.OTHER),
    "an upgrade": (Session().open().station(request()).csms(response()), None),
    "an upgrade after plain requests": (Session().open().station(PLAIN).csms(b"x").station(request()), None),
    "a request that goes on in the next segment": (Session().open().station(PLAIN[:20]).station(PLAIN[20:]), None),
    "another method": (Session().open().station(b"POST / HTTP/1.1\r\n\r\n"), None),
    "too little": (Session().open().station(b"\x16\x03\x01\x00"), None),
    "nothing said": (Session().open(), None),
    "nobody opened it": (Session().station(HELLO).csms(HELLO), None),
    "only the other side opened it": (Session().csms(flags=SYN | ACK).station(HELLO), None),
    "the first bytes are missing": (Session().open().send(0, HELLO, seq=111), None),
    "opened again": (Session().open().station(HELLO).station(flags=SYN).station(request()), None),
    "frames without an upgrade": (Session().station(masked(CALL)).csms(frame(b"[3,1,{}]")), None),
}


@pytest.mark.parametrize("name", FLOWS)
def test_flow(name: str) -> None:
    session, expected = FLOWS[name]
    segments = LinkDecoder(1).decode(block(session.packets))
    slots, rows, _ = FlowTable().sift(segments)
    found = dismissed(segments, slots[rows], rows, np.zeros(8, np.bool_))
    assert [one.phase for one in found] == ([] if expected is None else [expected])


def test_a_flow_known_to_be_http_stays_dismissed_until_it_asks_for_more() -> None:
    known = np.ones(8, np.bool_)
    for session, count in (
        (Session().station(PLAIN).csms(b"x"), 1),
        (Session().station(PLAIN).station(request()), 0),
        (Session().open().station(b"POST / HTTP/1.1\r\n\r\n"), 0),
    ):
        segments = LinkDecoder(1).decode(block(session.packets))
        rows = np.arange(len(segments.key))
        found = dismissed(segments, np.zeros(len(rows), np.int64), rows, known)
        assert [one.phase for one in found] == [None] * count


def test_a_snaplen_that_cuts_the_first_bytes_leaves_the_flow_to_others() -> None:
    session = Session().open().station(HELLO)
    whole = [len(packet) for packet in session.packets]
    cut = block([*session.packets[:-1], session.packets[-1][:-3]], lengths=whole)
    segments = LinkDecoder(1).decode(cut)
    slots, rows, _ = FlowTable().sift(segments)
    assert dismissed(segments, slots[rows], rows, np.zeros(8, np.bool_)) == []


# --- together with everything else ----------------------------------------------------------------------------------

SAID = st.sampled_from([HELLO, SSH, PLAIN, request(), response(), refusal(), masked(CALL), b"GET ", b"\x16", b"\r\n"])
STEPS = st.one_of(
    st.tuples(st.integers(0, 1), SAID, st.just(ACK)),
    st.tuples(st.integers(0, 1), st.just(b""), st.sampled_from([SYN, SYN | ACK, FIN | ACK, RST, ACK])),
)


@given(st.lists(st.tuples(st.booleans(), st.lists(STEPS, max_size=6)), max_size=4), st.integers(1, 7))
def test_nobody_can_tell_how_packets_were_cut(
    flows: list[tuple[bool, list[tuple[int, bytes, int]]]], size: int
) -> None:
    """In single packets nothing but a SYN is ever seen with what follows it, so that nothing is dismissed."""
    packets: list[bytes] = []
    for port, (opened, steps) in enumerate(flows):
        session = Session(port + 1)
        if opened:
            session.open()
        for direction, data, flags in steps:
            session.send(direction, data, flags)
        packets += session.packets
    told = []
    for length in (len(packets) or 1, size, 1):
        engine = Engine(Options(hash_key=1))
        events = []
        for first in range(0, len(packets), length):
            events += engine.packets(block(packets[first : first + length], first=first + 1))
        events += engine.finish()
        told.append((events, engine.summary.flows))
    assert all(one == other for one, other in itertools.pairwise(told))
