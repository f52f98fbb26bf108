"""Heads of HTTP: what is blanked, what gets a pseudonym, what stays; and that nothing else changes."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor

KEY = b"k" * 32


def request(target: str, *headers: str, one: Redactor | None = None) -> list[str]:
    head = "\r\n".join([f"GET {target} HTTP/1.1", *headers, "", ""])
    shown = (one or Redactor(Policy(KEY))).request_head(head.encode("latin-1")).decode("latin-1")
    assert shown.endswith("\r\n\r\n")
    return shown[:-4].split("\r\n")


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def opened(line: str) -> tuple[str, str]:
    user, _, password = base64.b64decode(line.rpartition(" ")[2]).decode().partition(":")
    return user, password


TARGETS = [
    ("/ocpp/CP-0001", r"/ocpp/[A-Z]{2}-0\d{3}"),
    ("/CP-0001/", r"/[A-Z]{2}-0\d{3}/"),
    ("/steve/websocket/CentralSystemService/CP1", r"/steve/websocket/CentralSystemService/[A-Z]{2}\d"),
    (
        "/OCPP16/5be7fb271014d90008992f06/a8d1c2f4-77b1-4f6e-9c0e-1b2a3c4d5e6f/CP1",
        r"/OCPP16/[0-9a-f]{24}/[0-9a-f-]{36}/[A-Z]{2}\d",
    ),
    ("/ocpp/tenant/Q7xW9pK2mL4vB8nZ/CP1", r"/ocpp/tenant/[A-Za-z0-9]{16}/[A-Z]{2}\d"),
    ("/ocpp/CP%20%C3%84-1", r"/ocpp/[A-Z]{2}%20%C3%[89][0-9A-F]-\d"),
    ("/ocpp/cp%2f1", r"/ocpp/[a-z]{2}%2f\d"),
    ("/ocpp/CP1?token=Q7xW9pK2mL&x=1", r"/ocpp/[A-Z]{2}\d\?\*\*\*"),
    ("/ocpp/CP1#frag", r"/ocpp/[A-Z]{2}\d#\*\*\*"),
    ("ws://csms.acme.com:8080/ocpp/CP1", r"ws://[a-z]{4}\.[a-z]{4}\.com:8080/ocpp/[A-Z]{2}\d"),
    ("/", "/"),
    ("/ocpp", "/ocpp"),
    ("/ocpp/", "/ocpp/"),
    ("//CP1", r"//[A-Z]{2}\d"),
    ("/ocpp/%zz%41", r".*"),
]


@pytest.mark.parametrize(("target", "pattern"), TARGETS, ids=[target for target, _ in TARGETS])
def test_targets(target, pattern):
    line = request(target)[0]
    assert re.fullmatch(f"GET {pattern} HTTP/1.1", line)
    for word in ("CP1", "CP-0001", "Q7xW9pK2mL", "5be7fb27", "a8d1c2f4", "acme", "%zz%41"):
        assert word not in line


def test_the_station_is_the_same_in_path_and_user():
    one = Redactor(Policy(KEY))
    lines = request("/ocpp/CP%20001", "Authorization: " + basic("CP 001:0123456789abcdef"), one=one)
    user, password = opened(lines[1])
    assert user == one.station("CP 001")
    assert lines[0] == f"GET /ocpp/{user.replace(' ', '%20')} HTTP/1.1"
    assert password == "*" * 18


@pytest.mark.parametrize(
    ("user", "password", "same", "size"),
    [
        ("CP1", "a1b2c3", True, 7),
        ("cp1", "a1b2c3d4e5", False, 10),
        ("CP2", "x" * 40, False, 36),
        ("CP1", "p:w" * 30, True, 41),
        ("CP1", "", True, 0),
    ],
)
def test_basic(user, password, same, size):
    one = Redactor(Policy(KEY))
    lines = request("/CP1", "Authorization: " + basic(f"{user}:{password}"), one=one)
    shown, blank = opened(lines[1])
    assert (shown == one.station("CP1")) == same
    assert blank == "*" * size


HEADERS = [
    ("Cookie: session=Q7xW9pK2mL4vB8nZ", "Cookie: ***"),
    ("Set-Cookie: a=b", "Set-Cookie: ***"),
    ("X-Api-Key: Q7xW9pK2", "X-Api-Key: ***"),
    ("X-Forwarded-For: 10.1.2.3", "X-Forwarded-For: ***"),
    ("X-Real-IP: 10.1.2.3", "X-Real-IP: ***"),
    ("Proxy-Authorization: Basic Q1AxOnBhc3M=", "Proxy-Authorization: ***"),
    ("Authorization: Bearer Q7xW9pK2mL4vB8nZ", "Authorization: Bearer ***"),
    ("Authorization: Q7xW9pK2mL4vB8nZ", "Authorization: ***"),
    ("Authorization: Basic !!!", "Authorization: Basic ***"),
    ("X-Auth-Token: Q7xW9pK2", "X-Auth-Token: ***"),
    ("X-Client-Secret: Q7xW9pK2", "X-Client-Secret: ***"),
    ("Forwarded: for=10.1.2.3;proto=https;by=10.1.2.4", "Forwarded: ***;proto=https"),
    ("X-Forwarded-Proto: https", "X-Forwarded-Proto: https"),
    ("Upgrade: websocket", "Upgrade: websocket"),
    ("connection:   Upgrade ", "connection:   Upgrade "),
    ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Extensions: permessage-deflate; x=1", "Sec-WebSocket-Extensions: permessage-deflate; x=1"),
    ("Sec-WebSocket-Protocol: ocpp1.6, ocpp2.0.1", "Sec-WebSocket-Protocol: ocpp1.6, ocpp2.0.1"),
    ("Sec-WebSocket-Protocol: ocpp1.6, Q7xW9pK2mL4vB8nZ_5", "Sec-WebSocket-Protocol: ocpp1.6, *** (16-40 chars)*"),
    ("User-Agent: SuperCharger/1.2.3.4", "User-Agent: SuperCharger/1.2.3.4"),
    ("Date: Sun, 22 Nov 2026 18:33:53 GMT", "Date: Sun, 22 Nov 2026 18:33:53 GMT"),
    ("X-Note: mail joe@acme.de now", "X-Note: mail *** now"),
    ("no header at all joe@acme.de", "no header at all ***"),
]


@pytest.mark.parametrize(
    ("line", "shown"), HEADERS, ids=[line.partition(":")[0] + str(at) for at, (line, _) in enumerate(HEADERS)]
)
def test_headers(line, shown):
    assert request("/", line)[1] == shown


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("Host: csms.acme.com:8080", r"Host: [a-z]{4}\.[a-z]{4}\.com:8080"),
        ("Host: 10.1.2.3", r"Host: 10\.\d+\.\d+\.\d+"),
        ("Host: [fd00::5]:80", r"Host: \[fd[0-9a-f:]+\]:80"),
        ("Origin: https://csms.acme.com", r"Origin: https://[a-z]{4}\.[a-z]{4}\.com"),
        (
            "Location: https://u:p@csms.acme.com/x?y=1",
            r"Location: https://\*:\*@[a-z]{4}\.[a-z]{4}\.com/[a-z]\?\*\*\*",
        ),
    ],
)
def test_hosts(line, pattern):
    (shown,) = request("/", line)[1:]
    assert re.fullmatch(pattern, shown)
    assert "acme" not in shown
    assert "10.1.2.3" not in shown


def test_dates_are_shifted():
    one = Redactor(Policy(KEY, shift_ns=3_600_000_000_000))
    assert request("/", "Date: Sun, 22 Nov 2026 23:33:53 GMT", one=one)[1] == "Date: Mon, 23 Nov 2026 00:33:53 GMT"


def test_a_refusal_with_its_body():
    lines = b'HTTP/1.1 401 No joe@acme.de\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'
    head = lines + b'{"error":"bad","token":"Q7xW9pK2mL4"}'
    shown = Redactor(Policy(KEY)).response_head(head)
    assert (
        shown
        == b'HTTP/1.1 401 No ***\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n{"error":"bad","token":"*** (8-15)"}'
    )


def test_without_what_is_not_wanted():
    one = Redactor(Policy(KEY, equipment=False, network=False))
    lines = request(
        "/ocpp/CP1", "Host: csms.acme.com", "Cookie: a=b", "Authorization: " + basic("CP1:secret99"), one=one
    )
    assert lines[:3] == ["GET /ocpp/CP1 HTTP/1.1", "Host: csms.acme.com", "Cookie: ***"]
    assert opened(lines[3]) == ("CP1", "*" * 10)


@settings(max_examples=150)
@given(st.binary(max_size=120))
def test_any_bytes(data):
    one = Redactor(Policy(KEY))
    one.request_head(data)
    one.response_head(b"HTTP/1.1 200 OK\r\n" + data)
    one.request_head(b"GET /" + data + b" HTTP/1.1\r\nA: " + data + b"\r\n\r\n" + data)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["Upgrade: websocket", "Accept: a/b", "Vary: x", "\tfolded", "A:", " : "])),
    st.sampled_from(["\r\n", "\n", "\r"]),
)
def test_lines_and_their_ends_stay(lines, end):
    head = end.join(["GET /ocpp HTTP/1.1", *lines, "", ""]).encode()
    assert Redactor(Policy(KEY)).request_head(head) == head
