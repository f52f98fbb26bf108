"""Records and handshake messages: read whole, cut anywhere, never believed, bounded."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_tls import (
    HELLO,
    RANDOM,
    alert,
    alpn,
    certificate,
    client_hello,
    data,
    extension,
    message,
    numbers,
    record,
    server_hello,
    server_name,
    vector,
    versions,
)

from ocppscope.model import ClientHello, ServerHello
from ocppscope.wire import tls
from ocppscope.wire.tls import Handshakes, Record, Records

RECORDS = st.builds(
    record, st.integers(20, 24), st.binary(max_size=300), st.sampled_from([0x0300, 0x0301, 0x0303, 0x0304])
)


def cut(octets: bytes, edges: list[int]) -> list[bytes]:
    places = sorted({0, len(octets), *(edge % (len(octets) + 1) for edge in edges)})
    return [octets[start:stop] for start, stop in itertools.pairwise(places)]


# --- records ----------------------------------------------------------------------------------------------------


@given(st.lists(RECORDS, max_size=6), st.lists(st.integers(0, 5000), max_size=12), st.binary(max_size=4))
def test_records_may_be_cut_anywhere(sent: list[bytes], edges: list[int], more: bytes) -> None:
    stream = b"".join(sent) + b"\x17" + more[:0]
    reader, found = Records(), []
    for piece in cut(stream, edges):
        found += reader.feed(piece)
    assert [record(one.kind, one.body, one.version) for one in found] == sent
    assert reader.rest == b"\x17"
    assert not reader.broken


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400", b"\x15\x02\x00", b"\x19", b"\x16\x03\x05", b"\x16\x03\x03\xff\xff", b"\0"]
)
def test_what_is_no_record_breaks_the_reader(junk: bytes) -> None:
    for piece in (len(junk) + 20, 1):
        reader, stream, found = Records(), alert(2, 40) + junk, []
        for at in range(0, len(stream), piece):
            found += reader.feed(stream[at : at + piece])
        assert found == [Record(21, 0x0303, b"\x02\x28")]
        assert reader.broken
        assert junk.startswith(reader.rest) if piece == 1 else reader.rest == junk
        assert reader.feed(alert(1, 0)) == []


@pytest.mark.parametrize(
    ("before", "lost", "found"),
    [
        (40, 30, [23, 21]),  # within a record
        (40, 65, [21]),  # up to its end: it is not given out
        (40, 105, [21]),  # beyond its end, and what follows begins a record
        (0, 105, [21]),
        (4, 101, [21]),
    ],
)
def test_gaps(before: int, lost: int, found: list[int]) -> None:
    reader, stream = Records(), data(100) + bytes(40)
    assert reader.feed(stream[:before]) == []
    reader.gap(lost)
    rest = data(100)[before + lost :] if before + lost < 105 else b""
    assert [one.kind for one in reader.feed(rest + alert(1, 0))] == found
    assert not reader.broken


def test_a_gap_that_ends_in_a_record_breaks_the_reader() -> None:
    reader = Records()
    reader.gap(10)
    assert reader.feed(bytes(40)) == []
    assert reader.broken


@given(st.lists(st.one_of(st.binary(max_size=200), st.integers(1, 1000), RECORDS), max_size=20))
def test_records_never_raise(stream: list[bytes | int]) -> None:
    reader = Records()
    for one in stream:
        if isinstance(one, int):
            reader.gap(one)
        else:
            reader.feed(one)
        assert len(reader.rest) <= tls.MAX_RECORD + 5


def test_what_a_broken_reader_keeps_is_bounded() -> None:
    reader = Records()
    reader.feed(b"\0" * (1 << 20))
    assert len(reader.rest) <= tls.MAX_RECORD


# --- handshake messages -----------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=400)), max_size=6),
    st.lists(st.integers(0, 3000), max_size=8),
)
def test_messages_may_span_records(sent: list[tuple[int, bytes]], edges: list[int]) -> None:
    reader, found = Handshakes(), []
    for body in cut(b"".join(message(kind, body) for kind, body in sent), edges):
        found += reader.feed(body)
    assert found == sent
    assert not reader.oversized


def test_a_message_that_is_too_long_is_passed_over() -> None:
    reader = Handshakes()
    long = message(11, bytes(tls.MAX_HANDSHAKE))
    found = []
    for at in range(0, len(long), 16_000):
        found += reader.feed(long[at : at + 16_000])
        assert len(reader._buffer) < 16
    assert reader.oversized
    assert found + reader.feed(message(14, b"")) == [(14, b"")]


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_messages_never_raise(bodies: list[bytes]) -> None:
    reader = Handshakes()
    for body in bodies:
        reader.feed(body)


HELLOS = [
    (client_hello(), ClientHello("", (0x0303,), (0xC02F, 0xC030), (), RANDOM)),
    (
        client_hello(server_name("csms.example"), alpn("h2", "http/1.1"), versions(0x0304, 0x0303), suites=(0x1301,)),
        ClientHello("csms.example", (0x0304, 0x0303), (0x1301,), ("h2", "http/1.1"), RANDOM),
    ),
    (
        client_hello(versions(0x0A0A, 0x0304), extension(0x2A2A, b""), suites=(0xDADA, 0x1301, 0x0A1A)),
        ClientHello("", (0x0304,), (0x1301, 0x0A1A), (), RANDOM),
    ),
    (client_hello(version=0x0301), ClientHello("", (0x0301,), (0xC02F, 0xC030), (), RANDOM)),
    (
        client_hello(server_name("a"), server_name("b")),  # the first of a kind counts
        ClientHello("a", (0x0303,), (0xC02F, 0xC030), (), RANDOM),
    ),
]


@pytest.mark.parametrize(("octets", "expected"), HELLOS)
def test_client_hello(octets: bytes, expected: ClientHello) -> None:
    assert tls.client_hello(octets[4:]) == expected


def test_server_hello() -> None:
    plain = ServerHello(0x0303, 0xC02F, "", RANDOM[::-1])
    assert tls.server_hello(server_hello()[4:]) == (plain, False)
    chosen = extension(tls.SUPPORTED_VERSIONS, numbers(0x0304))
    resumed = server_hello(chosen, extension(tls.PRE_SHARED_KEY, b"\0\0"), alpn("http/1.1"), suite=0x1301)
    assert tls.server_hello(resumed[4:]) == (ServerHello(0x0304, 0x1301, "http/1.1", RANDOM[::-1]), True)


def test_hellos_that_are_cut() -> None:
    whole = HELLOS[1][0][4:]
    extensions = whole.index(b"csms.example")
    for size in range(len(whole)):
        found = tls.client_hello(whole[:size])
        assert (found is None) == (size < 2 + 32 + 1 + 4 + 2)  # up to the compression methods
        if found is not None:
            assert found.server_name == ("csms.example" if size >= extensions + 12 else "")


def test_certificates() -> None:
    assert tls.certificates(certificate(b"one", b"two")[4:]) == ((b"one", b"two"), True)
    assert tls.certificates(certificate()[4:]) == ((), True)
    assert tls.certificates(certificate(b"one")[4:-1]) is None
    assert tls.certificates(b"") is None


def test_certificates_are_bounded() -> None:
    many = tls.certificates(certificate(*[b"x"] * 50)[4:])
    assert many == ((b"x",) * tls.MAX_CERTIFICATES, False)
    assert tls.certificates(certificate(bytes(tls.MAX_CERTIFICATE_BYTES), b"x")[4:]) == (
        (bytes(tls.MAX_CERTIFICATE_BYTES),),
        False,
    )


def test_lists_are_bounded() -> None:
    hello = tls.client_hello(client_hello(alpn(*["x"] * 2000), suites=tuple(range(1, 5000)))[4:])
    assert hello is not None
    assert len(hello.suites) <= tls.MAX_LISTED
    assert len(hello.alpn) == tls.MAX_LISTED


@given(st.binary(max_size=300), st.integers(0, 300))
def test_parsers_never_raise(junk: bytes, at: int) -> None:
    whole = HELLO[9:]
    for body in (junk, whole[:at] + junk + whole[at + len(junk) :], vector(3, junk)):
        tls.client_hello(body)
        tls.server_hello(body)
        tls.certificates(body)
