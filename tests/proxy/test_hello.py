"""The name in a ClientHello: from real hellos in every cut, and from bytes that are none."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.proxy.hello import (
    MAX_HELLO_BYTES,
    NEED_MORE,
    Hello,
    NeedMore,
    host_name,
    looks_like_tls,
    server_name,
)

sys.path.append(str(Path(__file__).parents[1] / "wire"))

from support_tls import client_hello, handshake, record
from support_tls import server_name as extension


def hello_of(name: str | None) -> bytes:
    """As Python's own TLS writes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("asked", "found"),
    [("csms.example", "csms.example"), ("CSMS_1.Example", "csms_1.example"), ("192.0.2.1", None), (None, None)],
)
def test_a_real_hello_in_every_cut(asked, found):
    data = hello_of(asked)
    assert server_name(data) == found
    assert server_name(data + b"more") == found
    for at in range(len(data)):
        assert server_name(data[:at]) is NEED_MORE
        hello = Hello()
        assert hello.feed(data[:at]) is NEED_MORE
        assert hello.feed(data[at:]) == found
        assert bytes(hello.seen) == data


def test_a_hello_over_many_records():
    message = client_hello(extension("csms.example"))
    data = b"".join(record(22, message[at : at + 1]) for at in range(len(message)))
    assert server_name(data) == "csms.example"


@pytest.mark.parametrize(
    "name",
    [
        *("", "../x", "csms.example\n", "1.2.3.4%eth0", "[::1]", "x\u202ey"),
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "-a.example",
        "a b",
        "a\0.example",
        "*.example",
        "a..b",
        "ä",
    ],
)
def test_a_name_that_may_stand_in_no_certificate(name):
    assert host_name(name) is None
    assert server_name(handshake(client_hello(extension(name)))) is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("A.Example.", "a.example"),
        ("localhost", "localhost"),
        ("::1", "::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("a_b", "a_b"),
    ],
)
def test_a_name_that_may(name, kept):
    assert host_name(name) == kept


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x17\x03\x03\x00\x01a",
        b"\x16\x02\x01",
        handshake(b"\x02\0\0\0"),
        handshake(b"\x01\0\0\1a"),
    ],
)
def test_what_is_no_hello_asks_for_nothing(data):
    assert server_name(data) is None


def test_a_hello_that_goes_on_and_on():
    hello = Hello()
    piece = record(22, b"\x01\x00\xff\x00" + bytes(9_996))
    assert [hello.feed(piece) for _ in range(3)] == [NEED_MORE, NEED_MORE, None]
    assert len(hello.seen) < MAX_HELLO_BYTES + len(piece)
    assert server_name(record(22, b"\x01\xff\xff\xff")) is None


@given(st.binary(max_size=300))
def test_any_bytes(data):
    assert isinstance(server_name(data), str | None | NeedMore)
    assert isinstance(server_name(handshake(data)), str | None | NeedMore)


@pytest.mark.parametrize(
    ("data", "tls"),
    [(b"\x16", True), (b"\x16\x03\x01", True), (b"G", False), (b"", False), (b"\x16\x00", False)],
)
def test_whether_it_is_tls_at_all(data, tls):
    assert looks_like_tls(data) is tls
