"""The proxy's benchmark: its frames are valid, what it counts is what passed, and it says when something is wrong."""

import sys

import pytest
from bench.peers import CALL, ID, MASK, METER, REPLY, REPLY_TIME, Mould, Tally, frame, masked, quantiles, texts
from bench.proxy import CROWDS, DIRECT, HEADLESS, WITH_LOG, Subject, arguments, fleet, mitmdump_path, ocppscope, visit
from bench.proxy_tables import FLEET, VISIT, complaints, table
from wsproto.connection import CLIENT, SERVER, Connection
from wsproto.events import TextMessage
from wsproto.extensions import PerMessageDeflate

IDENT, OTHER = b"0123456789abcdef" * 2, b"fedcba9876543210" * 2
QUICK = ["--rounds", "1", "--seconds", "0.2", "--fleet", "20"]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is measured by /proc and epoll")


def read_by_wsproto(role, data: bytes, *, deflate: bool) -> list[str]:
    """The judge: what a strict endpoint reads."""
    extensions = []
    if deflate:
        extensions.append(PerMessageDeflate(client_no_context_takeover=True, server_no_context_takeover=True))
        extensions[0]._enabled = True
    endpoint = Connection(role, extensions)
    endpoint.receive_data(data)
    found = list(endpoint.events())
    assert all(isinstance(one, TextMessage) and one.message_finished for one in found)
    return [one.data for one in found]


@pytest.mark.parametrize("deflate", [False, True])
def test_frames_of_a_mould_are_read_by_wsproto(deflate):
    calls = Mould(CALL % ("0" * 32, METER), MASK, (ID,), deflate=deflate)
    wire = calls.frame(IDENT) + calls.frame(OTHER)
    expected = [CALL % (one.decode(), METER) for one in (IDENT, OTHER)]
    assert read_by_wsproto(SERVER, wire, deflate=deflate) == expected
    replies = Mould(REPLY % ("0" * 32, "0" * 16), b"", (ID, REPLY_TIME), deflate=deflate)
    expected = [REPLY % (IDENT.decode(), OTHER[:16].decode())]
    assert read_by_wsproto(CLIENT, replies.frame(IDENT, OTHER[:16]), deflate=deflate) == expected


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("key", [b"", MASK])
@pytest.mark.parametrize("size", [1, 125, 126, 4000])
def test_messages_are_read_however_they_are_cut(deflate, key, size):
    words = [b"x" * size, b"y" * size]
    wire = b"".join(frame(word, key, deflate=deflate) for word in words)
    for cut in range(0, len(wire), max(len(wire) // 20, 1)):
        first, rest = texts(wire[:cut])
        second, rest = texts(rest + wire[cut:])
        assert first + second == words
        assert rest == b""


def test_a_close_is_an_empty_message():
    assert texts(b"\x88\x02\x03\xe8") == texts(b"\x88\x00") == ([b""], b"")


def test_masking_is_its_own_inverse():
    assert masked(b"Hello", b"\x37\xfa\x21\x3d") == bytes.fromhex("7f9f4d5158")  # RFC 6455 §5.7
    assert masked(masked(b"Hello", MASK), MASK) == b"Hello"


def test_a_tally_tells_what_came_twice_and_leaves_the_warming_up_out():
    tally = Tally(100)
    early, late = (REPLY % (f"{sent:016x}{sent:016x}", f"{replied:016x}") for sent, replied in ((50, 60), (100, 107)))
    for text in (early, late, late):
        tally.take(text.encode(), 110)
    told = tally.told()
    assert (told["answered"], told["doubled"]) == (2, 1)
    assert told["trip_ms"] == [1e-5] * 3
    assert told["way_ms"] == [7e-6, 7e-6, 7e-6]


def test_quantiles():
    assert quantiles([n * 1_000_000 for n in range(200)]) == [100.0, 198.0, 199.0]
    assert quantiles([]) == [0.0, 0.0, 0.0]


@linux
def test_a_visit_without_a_proxy_and_through_ours():
    options = arguments(QUICK)
    rounds = [{subject.name: visit(subject, options) for subject in (DIRECT, HEADLESS)}]
    assert list(complaints(rounds)) == []
    ours = rounds[0][HEADLESS.name]
    parts = [ours["paced"], *(ours[f"closed {crowd}"] for crowd in CROWDS)]
    assert all(part["sent"] > 0 for part in parts)
    assert ours["recorded"] == 2 * sum(part["answered"] for part in parts)
    head, line, direct, row = table(rounds, VISIT)
    assert direct.startswith("| no proxy | ")
    assert row.startswith("| ocppscope --headless | ")
    assert {text.count("|") for text in (head, line, direct, row)} == {len(VISIT) + 2}


@linux
def test_a_fleet_with_a_viewer():
    row = fleet(WITH_LOG, arguments([*QUICK, "--deflate"]))
    relay, viewer = row["memory_mb"]["after"]
    assert relay > 0
    assert viewer > 0, "the log is another process than the relay"
    assert row["paced"]["lost"] == 0
    assert row["recorded"] == 2 * row["paced"]["answered"]
    assert len(list(table([{DIRECT.name: row, WITH_LOG.name: row}], FLEET))) == 4


@linux
def test_a_proxy_that_does_not_start_is_an_error():
    wrong = Subject("wrong", ocppscope("--no-such-option"))
    with pytest.raises(RuntimeError, match="does not listen"):
        visit(wrong, arguments(QUICK))


def test_what_is_wrong_is_said():
    part = {"sent": 10, "answered": 9, "lost": 1, "doubled": 0, "ended": 2}
    said = list(complaints([{"x": {"paced": part, "closed 1": part | {"lost": 0, "ended": 0}, "recorded": 37}}]))
    assert said == ["x: 1 lost", "x: 2 ended", "x: of 38 messages 37 are in the recording"]


def test_the_peer_may_be_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("bench.proxy.MITM_VENV", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mitmdump_path() is None
