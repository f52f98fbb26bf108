"""What is blanked, what is left: the tables. That nothing comes through a handshake is proved in test_http."""

from __future__ import annotations

import pytest

from ocppscope.wire.blanking import MAX_NAME_CHARS, blank_header, blank_protocols, blank_target, blank_text


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Host", "csms:9000", ("Host", "csms:9000")),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")),
        ("WWW-Authenticate", 'Basic realm="a"', ("WWW-Authenticate", 'Basic realm="a"')),
        ("Content-Type", "text/html; charset=utf-8", ("Content-Type", "text/html; charset=utf-8")),
        ("Proxy-Authorization", "Basic QTpi", ("Proxy-Authorization", "Basic *** (4 bytes)")),
        ("proxy-authorization", "abc", ("proxy-authorization", "*** (3 bytes)")),
        ("Cookie", "a=b", ("Cookie", "*** (3 bytes)")),
        ("X-API-Key", "abc", ("X-API-Key", "*** (3 bytes)")),
        ("bad name", "abc", ("(unreadable)", "*** (3 bytes)")),
        ("", "abc", ("(unreadable)", "*** (3 bytes)")),
        ("N" * 500, "v", ("N" * MAX_NAME_CHARS, "v")),
    ],
)
def test_headers(name: str, value: str, shown: tuple[str, str]) -> None:
    assert blank_header(name, value) == shown


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/ocpp/CP1", "/ocpp/CP1"),
        ("/CP1?version=1.6&region=eu", "/CP1?version=1.6&region=eu"),
        ("/CP1?token=abc&v=1", "/CP1?token=***&v=1"),
        ("/CP1?a=1;PWD=abc", "/CP1?a=1;PWD=***"),
        ("/CP1?%6Bey=abc", "/CP1?%6Bey=***"),
        ("/CP1%3ftoken%3Dabc%26v%3D1", "/CP1%3ftoken%3D***%26v%3D1"),
        ("/CP1?token=", "/CP1?token="),
        ("ws://u:p@host/CP1", "ws://u:***@host/CP1"),
        ("ws://host:80/CP1", "ws://host:80/CP1"),
    ],
)
def test_targets(target: str, shown: str) -> None:
    assert blank_target(target) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Basic authentication is required", "Basic authentication is required"),
        ("got Basic Q1AxOng= instead", "got Basic *** instead"),
        ("Bearer 0123456789", "Bearer ***"),
        ('{"user": "a", "apiKey": "b"}', '{"user": "a", "apiKey": "***"}'),
        ("see eyJhbGciOiJI.eyJzdWIi.c2ln!", "see ***!"),
        ("mail a@b.example", "mail a@b.example"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert blank_text(text) == shown


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        (["ocpp1.6", "ocpp2.0.1"], ["ocpp1.6", "ocpp2.0.1"]),
        (["wamp.2.json", "graphql-ws"], ["wamp.2.json", "graphql-ws"]),
        (["bearer", "ocpp1.6"], ["bearer", "ocpp1.6"]),
        (["bearer", "abc"], ["bearer", "*** (3 bytes)"]),
        (
            ["base64url.bearer.authorization.k8s.io.YWJj"],
            ["base64url.bearer.authorization.k8s.io.*** (4 bytes)"],
        ),
        (["eyJhbGciOiJI.eyJzdWIi.c2ln"], ["*** (26 bytes)"]),
    ],
)
def test_protocols(tokens: list[str], shown: list[str]) -> None:
    assert blank_protocols(tokens) == shown
