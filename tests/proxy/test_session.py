"""The passive session as transcripts and properties: what one side says the other hears, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook import (
    CSMS,
    START,
    STATION,
    Playbook,
    Seen,
    Step,
    closed,
    closes,
    ended,
    finished,
    passed,
    ping,
    pinged,
    pong,
    raw,
    received,
    received_raw,
    sent,
    was_reset,
)

from ocppscope.model import Side
from ocppscope.proxy.commands import Finish, Reset, Send
from ocppscope.proxy.session import PassiveSession

BOOT = '[2,"b1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
BOOTED = '[3,"b1",{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":300}]'

TRANSCRIPTS: dict[str, list[Step | Seen]] = {
    "a call and its answer": [
        received(STATION, BOOT),
        sent(CSMS, BOOT),
        received(CSMS, BOOTED),
        sent(STATION, BOOTED),
    ],
    "a call of the CSMS": [received(CSMS, BOOT), sent(STATION, BOOT), received(STATION, BOOTED), sent(CSMS, BOOTED)],
    "what is no OCPP": [received(STATION, "hello"), sent(CSMS, "hello")],
    "binary": [received(STATION, b"\0\xff"), sent(CSMS, b"\0\xff")],
    "nothing is said by itself": [received(STATION, BOOT), sent(CSMS, BOOT), passed(3600)],
    "a ping, which the other side answers": [pinged(STATION, b"1"), ping(CSMS, b"1"), pong(STATION, b"1")],
    "a ping of the CSMS": [pinged(CSMS, b"2"), ping(STATION, b"2"), pong(CSMS, b"2")],
    "a close, which the other side answers": [closes(STATION, 1000), closed(CSMS, 1000), closed(STATION, 1000)],
    "a close without a code": [closes(CSMS, None), closed(STATION, 1005), closed(CSMS, 1005)],
    "a half-close, after which data still comes the other way": [
        ended(STATION),
        finished(CSMS),
        received(CSMS, BOOT),
        sent(STATION, BOOT),
        ended(CSMS),
        finished(STATION),
    ],
    "a half-close of the CSMS": [ended(CSMS), finished(STATION), received(STATION, BOOT), sent(CSMS, BOOT)],
    "a reset by the station": [ended(STATION, "RST"), was_reset(CSMS)],
    "a reset by the CSMS": [ended(CSMS, "RST"), was_reset(STATION)],
    "a reset after a half-close": [ended(STATION), finished(CSMS), ended(STATION, "RST"), was_reset(CSMS)],
}


@pytest.mark.parametrize("transcript", TRANSCRIPTS.values(), ids=TRANSCRIPTS)
def test_transcripts(transcript: list[Step | Seen]):
    Playbook(make=lambda policy: PassiveSession()).play(*transcript)


def test_before_any_upgrade_there_are_bytes():
    book = Playbook(make=lambda policy: PassiveSession(), upgraded=False)
    book.play(received_raw(STATION, b"\x16\x03\x01garbage\r\n"), raw(CSMS, b"\x16\x03\x01garbage\r\n"))


STEPS = st.lists(
    st.tuples(st.sampled_from(Side), st.one_of(st.binary(min_size=1, max_size=200), st.sampled_from(["FIN", "RST"])))
)


@given(steps=STEPS)
def test_bytes_out_are_bytes_in(steps: list[tuple[Side, bytes | str]]):
    """Whatever comes, in whatever pieces: the same, on the other side, in the same pieces, at once."""
    session = PassiveSession()
    for side, what in steps:
        if isinstance(what, bytes):
            assert list(session.received(side, what, START)) == [Send(side.other, what)]
        else:
            expected = Finish(side.other) if what == "FIN" else Reset(side.other)
            assert list(session.ended(side, what, START)) == [expected]
        assert session.deadline is None
        assert not session.wake(START)
