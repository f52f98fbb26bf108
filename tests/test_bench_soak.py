"""The soak: what it checks is what passed, and it says when something is wrong."""

import socket
import sys

import pytest
from bench.peers import MASK, frame, texts
from bench.soak import HEADLESS, LIVE, LOG, Sample, arguments, complaints, soak, table
from bench.soak_peers import MAX_WRONG, PIECES, SIZES, Csms, Plan, Stations, Wrongs, call_text, reply_text

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is measured by /proc and epoll")
SMALL = ["--stations", "12", "--exchanges", "400", "--rate", "2000", "--churn", "7", "--direct", "2"]


def test_texts_differ_by_station_and_number_and_have_their_sizes():
    made = [call_text(name, number) for name in ("A", "B") for number in range(30)]
    assert len(set(made)) == 60
    assert [len(piece) for piece in PIECES] == list(SIZES)
    assert texts(b"".join(frame(one, MASK) for one in made))[0] == made
    assert len({reply_text("A", number) for number in range(30)}) == 30


def test_whatever_is_wrong_is_counted_and_the_first_is_said():
    wrongs = Wrongs()
    wrongs.check("A", b"same", b"same")
    assert wrongs.count == 0
    for _ in range(MAX_WRONG + 5):
        wrongs.check("A", b"this", b"that")
    assert (wrongs.count, len(wrongs.said)) == (MAX_WRONG + 5, MAX_WRONG)
    assert "b'this' of 4 bytes instead of b'that'" in wrongs.said[0]


@linux
@pytest.mark.parametrize("show", [HEADLESS, LOG])
def test_a_small_soak(show):
    row = soak(arguments([*SMALL, "--show", show]))
    assert row["wrong"] == []
    stations = row["stations"]
    assert stations["answered"] == 400
    assert stations["reconnects"] > 20
    assert 0 < stations["direct_answered"] < 200
    assert row["recorded"]["messages"] == 2 * (400 - stations["direct_answered"])
    assert row["csms"]["connections"] == 12 + stations["reconnects"]
    assert len(row["samples"][0].memory) == (1 if show == HEADLESS else 2)
    lines = list(table(row))
    assert "| lost | 0; wrong 0 |" in lines
    assert {line.count("|") for line in lines} == {3}


@linux
def test_a_csms_notices_what_is_lost_doubled_or_changed(monkeypatch):
    server = Csms()
    here, there = socket.socketpair()
    with here, there:
        peer = server._peers[9] = _upgraded(there)
        server._names[9] = "A"
        for text in (call_text("A", 0), call_text("A", 0), call_text("A", 3)[:-1] + b" "):
            here.send(frame(text, MASK))
            server._take(9)
        assert peer.waiting == b""
    assert (server.calls, server.wrongs.count) == (3, 2)
    server._listener.close()
    server._poll.close()


def _upgraded(sock):
    from bench.soak_peers import UPGRADED, Peer

    peer = Peer(sock)
    peer.mould = UPGRADED
    return peer


@linux
def test_stations_notice_an_end_that_is_not_theirs():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stations = Stations(Plan(port, port, 1, 10))
        (station,) = stations._all
        stations._begin(station)
        listener.accept()[0].close()
        while station.peer is not None:
            stations._serve(5.0)
        assert "was ended before exchange 0 was over" in stations.wrongs.said[0]
        stations._poll.close()


def test_what_is_wrong_is_said():
    plan = Plan(1, 2, 3, 100, direct=1)._asdict()
    side = {"wrong": 2, "said": ["a", "b"]}
    row = {
        "plan": plan, "csms": side, "stations": side | {"answered": 99, "direct_answered": 10},
        "samples": [Sample("alone", 0, (1.0,), (5, 8), 0), Sample("left", 99, (1.0,), (12, 9), 0)],
        "seen": {"lines_at_the_end": 178, "exit": 1}, "said": "why", "recorded": {"messages": 179, "wrong": ["c"]},
    }  # fmt: skip
    said = list(complaints(row, arguments([])))
    assert said == [
        "a", "b", "a", "b",
        "of 100 exchanges 99 were answered",
        "c",
        "of 180 messages 179 are in the recording",
        "of 180 messages 178 are in the log",
        "descriptors were (5, 8) and are (12, 9)",
        "it ended with 1: why",
    ]  # fmt: skip


def test_a_live_capture_without_a_view_is_none():
    with pytest.raises(SystemExit):
        arguments(["--what", LIVE, "--show", HEADLESS])
