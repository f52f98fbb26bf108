"""What a handshake says and what is wrong with it, by section of the RFCs; secrets never come through."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upgrades import (
    ACCEPT,
    FRAME,
    REQUEST,
    basic,
    codes,
    play,
    refusal,
    request,
    response,
    seen,
    shake,
    snapshot,
)

from ocppscope.model import Deflate
from ocppscope.wire.heads import (
    read_request,
)
from ocppscope.wire.http import (
    UpgradeState,
)


class TestClientRequirements:
    """RFC 6455 §4.1 and §4.2.1: the request."""

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            (request(Host=None), {"host-missing", "strict-request"}),
            (request(Upgrade=None), {"upgrade-header", "strict-request"}),
            (request(Connection=None), {"connection-header", "strict-request"}),
            (request(Connection="keep-alive"), {"connection-header", "strict-request"}),
            (request(Sec_WebSocket_Version=None), {"websocket-version", "strict-request"}),
            (request(Sec_WebSocket_Version="8"), {"websocket-version", "strict-request"}),
            (request(line="POST /CP1 HTTP/1.1"), {"method", "strict-request"}),
            (request(line="GET /CP1 HTTP/1.0"), {"version"}),
            (request(line="GET /CP1"), {"start-line", "strict-request"}),
            (request("/a b/CP1"), {"target", "strict-request"}),
            (request("/CP1#frag"), {"target"}),
            (request(Sec_WebSocket_Key="dGVzdA=="), {"key-invalid", "accept-wrong"}),
            (request(Sec_WebSocket_Key="not base64 at all"), {"key-invalid", "accept-wrong"}),
            (request(Sec_WebSocket_Key=None), {"key-missing", "strict-request"}),
            (request().replace(b"\r\n", b"\n"), {"line-ending"}),
            (request(X_Fold="a\r\n b"), {"obs-fold"}),
            (request(X_Name="J\xe9r\xf4me"), {"non-ascii"}),
            (
                request().replace(b"\r\nUpgrade", b"\r\nno colon here\r\nUpgrade"),
                {"header-malformed", "strict-request"},
            ),
            (request().replace(b"Upgrade:", b"Upgrade :"), {"header-malformed", "strict-request"}),
            (request().replace(b"\r\nHost", b"\r\n folded\r\nHost"), {"obs-fold", "strict-request"}),
            (request(Content_Length="5") + b"12345", {"upgrade-with-body"}),
        ],
    )
    def test_violations_are_problems_and_the_upgrade_is_read(self, asked: bytes, expected: set[str]) -> None:
        handshake = shake(asked)
        assert codes(handshake) == expected
        assert (handshake.upgraded, handshake.station, handshake.protocol) == (True, "CP1", "ocpp1.6")

    @pytest.mark.parametrize("name", ["Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Authorization"])
    def test_repeated_headers(self, name: str) -> None:
        line = f"\r\n{name}: {REQUEST.get(name, 'Basic Q1AxOng=')}".encode()
        data = request().replace(b"\r\nUpgrade", line * 2 + b"\r\nUpgrade")
        assert "header-duplicate" in codes(shake(data))

    def test_words_of_the_strict_server_are_kept_without_values(self) -> None:
        (refused,) = [p.text for p in shake(request(Upgrade="s3cret")).problems if p.code == "http.strict-request"]
        assert refused == "a strict server refuses this request: Missing header, 'Upgrade: websocket'"
        broken = request().replace(b"\r\nUpgrade", b"\r\nbad name: s3cret\r\nUpgrade")
        (refused,) = [p.text for p in shake(broken).problems if p.code == "http.strict-request"]
        assert refused == "a strict server refuses this request: illegal header line"

    def test_the_lenient_reader_agrees_with_h11_where_both_read(self) -> None:
        strict = read_request(request(X_Fold="a\r\n   b", X_Space="  c\t "))
        lenient = read_request(request(X_Fold="a\r\n   b", X_Space="  c\t ", Connection=None))
        assert (strict.refusal, lenient.refusal) == ("", "Missing header, 'Connection: Upgrade'")
        assert [h for h in strict.headers if h[0] != "Connection"] == list(lenient.headers)


class TestServerRequirements:
    """RFC 6455 §4.2.2: the response."""

    @pytest.mark.parametrize(
        ("answered", "expected", "accept_ok"),
        [
            (response(Upgrade=None), {"upgrade-header"}, True),
            (response(Connection=None), {"connection-header"}, True),
            (response(Sec_WebSocket_Accept=None), {"accept-missing"}, False),
            (response(Sec_WebSocket_Accept=ACCEPT[::-1]), {"accept-wrong"}, False),
            (response("HTTP/1.0 101 OK"), {"version"}, True),
            (response().replace(b"\r\n", b"\n"), {"line-ending"}, True),
            (response().replace(b"Upgrade: ", b"Upgrade : "), {"header-malformed", "strict-response"}, True),
        ],
    )
    def test_violations(self, answered: bytes, expected: set[str], accept_ok: bool) -> None:
        handshake = shake(answered=answered)
        assert (codes(handshake), handshake.accept_ok) == (expected, accept_ok)
        assert handshake.upgraded

    def test_no_accept_check_without_a_key(self) -> None:
        assert shake(request(Sec_WebSocket_Key=None)).accept_ok is None

    def test_a_101_to_a_request_that_did_not_ask(self) -> None:
        upgrade = seen((">", b"GET /CP1 HTTP/1.1\r\nHost: a\r\n\r\n"), ("<", response() + FRAME))
        assert upgrade.handshake
        assert (upgrade.state, upgrade.rest_csms) == (UpgradeState.UPGRADED, FRAME)
        assert codes(upgrade.handshake) >= {"unasked-upgrade"}
        assert upgrade.handshake.station == "CP1"

    def test_a_101_to_another_protocol(self) -> None:
        answered = b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
        upgrade = seen((">", b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"), ("<", answered))
        assert (upgrade.state, upgrade.handshake) == (UpgradeState.NOT_HTTP, None)
        assert [problem.code for problem in upgrade.problems] == ["http.other-protocol"]


class TestSubprotocol:
    """RFC 6455 §11.3.4, OCPP-J 1.6 §3.1.2."""

    @pytest.mark.parametrize(
        ("offered", "chosen", "expected", "protocol"),
        [
            ("ocpp1.6", "ocpp1.6", set(), "ocpp1.6"),
            ("ocpp2.0.1, ocpp1.6", "ocpp1.6", set(), "ocpp1.6"),
            ("ocpp1.6", "ocpp2.0.1", {"protocol-not-offered"}, "ocpp2.0.1"),
            ("ocpp1.6", "OCPP1.6", {"protocol-not-offered"}, "OCPP1.6"),
            ("ocpp1.6", None, {"protocol-none-chosen"}, None),
            (None, None, {"protocol-missing"}, None),
            (None, "ocpp1.6", {"protocol-missing", "protocol-not-offered"}, "ocpp1.6"),
            ("", None, {"protocol-missing", "protocol-malformed"}, None),
            (",ocpp2.0.1", "ocpp2.0.1", {"protocol-malformed"}, "ocpp2.0.1"),
            ("ocpp2.0.1,", "ocpp2.0.1", {"protocol-malformed"}, "ocpp2.0.1"),
            ('"ocpp1.6"', "ocpp1.6", {"protocol-malformed", "protocol-not-offered"}, "ocpp1.6"),
            ("ocpp1.6, ocpp1.6", "ocpp1.6", {"protocol-duplicate"}, "ocpp1.6"),
            ("ocpp1.6, ocpp2.1", "ocpp1.6, ocpp2.1", {"protocol-several"}, "ocpp1.6"),
        ],
    )
    def test_offer_and_choice(
        self, offered: str | None, chosen: str | None, expected: set[str], protocol: str | None
    ) -> None:
        handshake = shake(request(Sec_WebSocket_Protocol=offered), response(Sec_WebSocket_Protocol=chosen))
        assert (codes(handshake), handshake.protocol) == (expected, protocol)

    def test_several_headers_are_one_list(self) -> None:
        data = request(Sec_WebSocket_Protocol="ocpp2.1\r\nSec-WebSocket-Protocol: ocpp1.6")
        handshake = shake(data)
        assert (handshake.offered_protocols, handshake.problems) == (("ocpp2.1", "ocpp1.6"), ())

    @pytest.mark.parametrize(
        ("offered", "shown"),
        [
            ("ocpp1.6, authorization.bearer.eyJhbGciOi", "authorization.bearer.*** (10 bytes)"),
            ("ocpp1.6, Bearer, abcdef", "*** (6 bytes)"),
            ("ocpp1.6, " + "x" * 65, "*** (65 bytes)"),
            ("ocpp1.6, myTokenXyz", "*** (10 bytes)"),
        ],
    )
    def test_tokens_among_subprotocols_are_blanked(self, offered: str, shown: str) -> None:
        chosen = offered.rpartition(", ")[2]
        handshake = shake(request(Sec_WebSocket_Protocol=offered), response(Sec_WebSocket_Protocol=chosen))
        assert handshake.offered_protocols[-1] == handshake.protocol == shown
        assert codes(handshake) == set()
        assert chosen not in repr(handshake)


class TestExtensions:
    """RFC 6455 §9.1 and RFC 7692 §7.1; the tables are in test_extensions."""

    def test_several_headers_and_quoted_values(self) -> None:
        extra = 'x-a; b="1, 2"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits="10"'
        handshake = shake(
            request(Sec_WebSocket_Extensions=extra),
            response(Sec_WebSocket_Extensions='permessage-deflate; client_max_window_bits="9"'),
        )
        assert handshake.offered_extensions[1] == 'permessage-deflate; client_max_window_bits="10"'
        assert len(handshake.offered_extensions) == 2
        assert handshake.deflate == Deflate(station_window_bits=9)

    def test_choice_without_offer(self) -> None:
        handshake = shake(answered=response(Sec_WebSocket_Extensions="permessage-deflate"))
        assert (codes(handshake), handshake.deflate) == ({"extension-not-offered"}, Deflate())


class TestIdentity:
    """OCPP-J 1.6 §3.1.1, OCPP 2.0.1 Part 4 §3.1.1."""

    @pytest.mark.parametrize(
        ("target", "station", "expected"),
        [
            ("/CP1", "CP1", set()),
            ("/ocpp/16/CP1/", "CP1", set()),
            ("//ocpp//CP1//", "CP1", set()),
            ("/ocpp/CP1?version=1.6", "CP1", set()),
            ("/ocpp/CP1/?a=/b/c", "CP1", set()),
            ("ws://csms.example:80/ocpp/CP1", "CP1", set()),
            ("/RDAM%20123", "RDAM 123", set()),
            ("/%C3%BC", "ü", set()),
            ("/a%2Fb", "a/b", set()),
            ("/", "", {"identity-missing"}),
            ("?x=1", "", {"identity-missing"}),
            ("ws://csms.example", "", {"identity-missing"}),
            ("/%zz", "%zz", {"identity-encoding"}),
            ("/%FF", "ÿ", {"identity-encoding"}),
            ("/" + "x" * 48, "x" * 48, set()),
            ("/" + "x" * 49, "x" * 49, {"identity-too-long"}),
            ("/a:b", "a:b", {"identity-colon"}),
            ("/a%00b", "a\x00b", {"identity-control"}),
        ],
    )
    def test_last_segment(self, target: str, station: str, expected: set[str]) -> None:
        handshake = shake(request(target))
        assert (handshake.station, codes(handshake)) == (station, expected)


class TestCredentials:
    """RFC 7617, OCPP security profiles 1 and 2."""

    @pytest.mark.parametrize(
        ("value", "shown", "user", "expected"),
        [
            (basic("CP1", "0123456789abcdef"), "Basic CP1:*** (16 bytes)", "CP1", set()),
            (basic("CP1", "a:b"), "Basic CP1:*** (3 bytes)", "CP1", set()),
            (basic("CP1", ""), "Basic CP1:*** (0 bytes)", "CP1", set()),
            (basic("CP2", "pw"), "Basic CP2:*** (2 bytes)", "CP2", {"user-not-identity"}),
            ("basic Q1AxOng=", "basic CP1:*** (1 bytes)", "CP1", set()),
            ("Basic Q1Ax", "Basic *** (4 bytes)", "", {"basic-malformed"}),
            ("Basic §§", "Basic *** (2 bytes)", "", {"basic-malformed", "non-ascii"}),
            ("Basic", "Basic *** (0 bytes)", "", {"basic-malformed"}),
            ("Bearer abc.def", "Bearer *** (7 bytes)", "", set()),
            ("hunter2", "*** (7 bytes)", "", set()),
            ("hunter2 and more", "*** (16 bytes)", "", set()),
        ],
    )
    def test_authorization(self, value: str, shown: str, user: str, expected: set[str]) -> None:
        handshake = shake(request(Authorization=value))
        assert dict(handshake.request_headers)["Authorization"] == shown
        assert (handshake.user, codes(handshake)) == (user, expected)


# Each place takes a secret and gives a request with its response.
SECRET_PLACES = {
    "basic": lambda s: (request(Authorization=basic("CP1", s)), b""),
    "basic twice": lambda s: (request(Authorization=basic("CP1", s) + "\r\nAuthorization: " + basic("CP1", s)), b""),
    "basic without colon": lambda s: (request(Authorization="Basic " + base64.b64encode(s.encode()).decode()), b""),
    "basic in clear": lambda s: (request(Authorization=f"Basic CP1:{s}"), b""),
    "no scheme": lambda s: (request(Authorization=s), b""),
    "bearer": lambda s: (request(Authorization=f"Bearer {s}"), b""),
    "folded": lambda s: (request(Authorization=f"Bearer\r\n {s}"), b""),
    "blank before the colon": lambda s: (request().replace(b"\r\nHost", f"\r\nCookie : {s}\r\nHost".encode()), b""),
    "no colon": lambda s: (request().replace(b"\r\nHost", f"\r\nAuthorization {s}\r\nHost".encode()), b""),
    "fold at the start": lambda s: (request().replace(b"\r\nHost", f"\r\n {s}\r\nHost".encode()), b""),
    "odd name": lambda s: (request().replace(b"\r\nHost", f"\r\nAuthori\x01zation: {s}\r\nHost".encode()), b""),
    "proxy": lambda s: (request(Proxy_Authorization=basic("CP1", s)), b""),
    "cookie": lambda s: (request(Cookie=f"sid={s}"), b""),
    "set-cookie": lambda s: (request(), response(Set_Cookie=f"sid={s}; HttpOnly")),
    "api key": lambda s: (request(X_Api_Key=s), b""),
    "auth token": lambda s: (request(X_Auth_Token=s), b""),
    "query": lambda s: (request(f"/CP1?a=1&token={s}"), b""),
    "query, semicolon": lambda s: (request(f"/CP1?a=1;password={s}"), b""),
    "query, encoded name": lambda s: (request(f"/CP1?%74oken={s}"), b""),
    "query, encoded mark": lambda s: (request(f"/CP1%3Fkey%3D{s}"), b""),
    "query before the identity": lambda s: (request(f"/ocpp?access_token={s}&/CP1"), b""),
    "path parameter": lambda s: (request(f"/CP1;apikey={s}"), b""),
    "userinfo": lambda s: (request(f"ws://CP1:{s}@csms.example/CP1"), b""),
    "target with blanks": lambda s: (request(f"/CP1?token={s} HTTP/1.1 x"), b""),
    "referer": lambda s: (request(Referer=f"https://a.example/?token={s}"), b""),
    "subprotocol": lambda s: (request(Sec_WebSocket_Protocol=f"ocpp1.6, authorization.bearer.{s}"), b""),
    "subprotocol, two": lambda s: (request(Sec_WebSocket_Protocol=f"access_token, {s}"), b""),
    "subprotocol, echoed": lambda s: (
        request(Sec_WebSocket_Protocol=f"bearer, {s}"),
        response(Sec_WebSocket_Protocol=s),
    ),
    "location": lambda s: (request(), refusal("302 Found", Location=f"wss://CP1:{s}@b.example/CP1?token={s}")),
    "body with the URL": lambda s: (request(), refusal(body=f"Cannot GET /CP1?token={s}".encode())),
    "body with JSON": lambda s: (request(), refusal(body=f'{{"password": "{s}"}}'.encode())),
    "body with the header": lambda s: (request(), refusal(body=f"bad: {basic('CP1', s)}".encode())),
}


class TestSecrets:
    @pytest.mark.parametrize("place", SECRET_PLACES)
    @settings(max_examples=12, deadline=None)
    @given(secret=st.from_regex(r"[A-Za-z0-9]{4}c4nary[A-Za-z0-9]{2,40}", fullmatch=True))
    def test_a_secret_never_comes_through(self, place: str, secret: str) -> None:
        asked, answered = SECRET_PLACES[place](secret)
        upgrade = play((">", asked), ("<", answered or response()))
        assert upgrade.handshake
        assert upgrade.handshake.station.startswith(("CP1", "ocpp")) or "before the identity" in place
        shown = repr(snapshot(upgrade))
        forms = (f"{secret}", f":{secret}", f"1:{secret}", f"P1:{secret}")
        for form in forms:
            assert form not in shown
            assert base64.b64encode(form.encode()).decode().rstrip("=")[:-1] not in shown
