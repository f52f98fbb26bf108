"""The HTTP phase: every case whole, byte by byte, and with trailing data; any bytes, any cut."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upgrades import (
    ACCEPT,
    FRAME,
    KEY,
    PLAIN,
    Step,
    basic,
    codes,
    head,
    play,
    refusal,
    request,
    response,
    seen,
    shake,
    snapshot,
)
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request

from ocppscope.model import Deflate
from ocppscope.problems import PROBLEMS
from ocppscope.wire.heads import (
    MAX_CHUNK_LINE_BYTES,
    MAX_HEADER_BYTES,
    MAX_LINE_PROBLEMS,
    looks_like_request,
    looks_like_response,
)
from ocppscope.wire.http import (
    MAX_BODY_BYTES,
    MAX_HELD_BYTES,
    MAX_REFUSED,
    MAX_UNANSWERED,
    UpgradeState,
)

CAPTURES = Path(__file__).parents[2] / ".." / "shared" / "captures"


class TestGoodUpgrade:
    def test_everything_that_was_negotiated(self) -> None:
        offer = "permessage-deflate; client_max_window_bits"
        handshake = shake(
            request("/steve/RDAM%20123", Sec_WebSocket_Extensions=offer),
            response(Sec_WebSocket_Extensions="permessage-deflate; server_no_context_takeover"),
        )
        assert handshake.problems == ()
        assert (handshake.method, handshake.target, handshake.station) == ("GET", "/steve/RDAM%20123", "RDAM 123")
        assert (handshake.key, handshake.websocket_version, handshake.accept) == (KEY, "13", ACCEPT)
        assert (handshake.accept_ok, handshake.upgraded, handshake.status) == (True, True, 101)
        assert (handshake.offered_protocols, handshake.protocol) == (("ocpp1.6",), "ocpp1.6")
        assert handshake.offered_extensions == (offer,)
        assert handshake.deflate == Deflate(csms_no_context_takeover=True)
        assert handshake.request_headers[0] == ("Host", "csms.example:9000")
        assert ("Upgrade", "websocket") in handshake.response_headers
        assert (handshake.reason, handshake.body, handshake.user) == ("Switching Protocols", "", "")
        assert (handshake.requested_ns, handshake.answered_ns) == (1000, 2000)
        assert (handshake.request_packets, handshake.response_packets) == ((1,), (2,))

    def test_packets_of_a_split_head_are_all_named(self) -> None:
        data = request()
        upgrade = play((">", data[:9]), (">", data[9:40]), (">", data[40:]), ("<", response()))
        assert upgrade.handshake
        assert upgrade.handshake.request_packets == (1, 2, 3)
        assert upgrade.handshake.requested_ns == 3000

    def test_what_follows_the_heads_is_websocket(self) -> None:
        upgrade = seen((">", request()), ("<", response() + FRAME), (">", b"masked"), ("<", b"more"))
        assert upgrade.state is UpgradeState.UPGRADED
        assert (upgrade.rest_station, upgrade.rest_csms) == (b"masked", FRAME + b"more")

    def test_request_alone_is_known_before_the_answer(self) -> None:
        upgrade = seen((">", request()))
        assert upgrade.state is UpgradeState.WAITING
        assert upgrade.handshake
        assert (upgrade.handshake.status, upgrade.handshake.station) == (None, "CP1")

    @pytest.mark.parametrize(
        ("asked", "answered"),
        [
            (request(Connection="keep-alive, Upgrade"), response(Connection="upgrade")),
            (request(Upgrade="WebSocket"), response(Upgrade="WEBSOCKET")),
            (b"\r\n\r\n" + request(), b"\r\n" + response()),
            (request(), response("HTTP/1.1 101")),
            (request(Content_Length="0"), response()),
            (request(Sec_WebSocket_Protocol="ocpp2.0.1,ocpp1.6"), response()),
        ],
    )
    def test_legal_variants_have_no_problem(self, asked: bytes, answered: bytes) -> None:
        assert shake(asked, answered).problems == ()

    def test_a_real_client_and_server_of_wsproto(self) -> None:
        client, server = WSConnection(ConnectionType.CLIENT), WSConnection(ConnectionType.SERVER)
        asked = client.send(Request(host="csms", target="/CP9", subprotocols=["ocpp2.0.1"]))
        server.receive_data(asked)
        list(server.events())
        handshake = shake(asked, server.send(AcceptConnection(subprotocol="ocpp2.0.1")))
        assert (handshake.station, handshake.protocol, handshake.problems) == ("CP9", "ocpp2.0.1", ())


class TestRefusals:
    @pytest.mark.parametrize(
        "status", ["401 Unauthorized", "404 Not Found", "400 Bad Request", "503 Busy", "302 Found"]
    )
    def test_status_headers_and_body(self, status: str) -> None:
        upgrade = seen((">", request()), ("<", refusal(status, b"no such station", Server="x")))
        handshake = upgrade.handshake
        assert upgrade.state is UpgradeState.REFUSED
        assert handshake
        assert f"{handshake.status} {handshake.reason}" == status
        assert (handshake.body, handshake.upgraded, handshake.accept_ok) == ("no such station", False, None)
        assert ("Server", "x") in handshake.response_headers
        assert handshake.problems == ()

    def test_challenge_and_version_hint_are_shown(self) -> None:
        hint = {"WWW_Authenticate": 'Basic realm="CSMS"', "Sec_WebSocket_Version": "13"}
        handshake = shake(answered=refusal("426 Upgrade Required", **hint))
        assert dict(handshake.response_headers)["WWW-Authenticate"] == 'Basic realm="CSMS"'
        assert dict(handshake.response_headers)["Sec-WebSocket-Version"] == "13"

    @pytest.mark.parametrize(
        ("answered", "body"),
        [
            (b"HTTP/1.1 400 Bad\r\n\r\nuntil the end", "until the end"),
            (
                b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
                "abcde",
            ),
            (refusal(body=gzip.compress(b"packed", mtime=0), Content_Encoding="gzip"), "packed"),
            (refusal(body=b"not gzip", Content_Encoding="gzip"), ""),
            (refusal(body=b"brotli", Content_Encoding="br"), ""),
            (refusal(body=b"\xff\xfe"), "\ufffd\ufffd"),
            (refusal(body=b"\xe4", Content_Type="text/plain; charset=ISO-8859-1"), "ä"),
            (refusal(body=b"x" * (MAX_BODY_BYTES + 9)), "x" * MAX_BODY_BYTES),
            (refusal(body=gzip.compress(b"x" * 99_999, mtime=0), Content_Encoding="gzip"), "x" * MAX_BODY_BYTES),
        ],
    )
    def test_bodies(self, answered: bytes, body: str) -> None:
        assert shake(answered=answered).body == body

    def test_refused_then_retried_on_the_same_connection(self) -> None:
        upgrade = seen(
            (">", request("/CP1")),
            ("<", refusal(body=b"who?")),
            (">", request("/CP1", Authorization=basic("CP1", "x"))),
            ("<", response() + FRAME),
        )
        assert upgrade.state is UpgradeState.UPGRADED
        assert upgrade.handshake
        assert (upgrade.handshake.user, upgrade.handshake.problems) == ("CP1", ())
        assert [(r.status, r.body) for r in upgrade.refused] == [(401, "who?")]
        assert upgrade.rest_csms == FRAME

    def test_retry_pipelined_before_the_refusal_arrives(self) -> None:
        upgrade = seen((">", request("/A") + request("/B")), ("<", refusal()), ("<", response()))
        assert upgrade.handshake
        assert (upgrade.state, upgrade.handshake.station) == (UpgradeState.UPGRADED, "B")
        assert [handshake.station for handshake in upgrade.refused] == ["A"]

    def test_refusals_kept_are_bounded(self) -> None:
        steps = [(">", request(f"/CP{n}")) if k else ("<", refusal()) for n in range(40) for k in (1, 0)]
        upgrade = play(*steps)
        assert len(upgrade.refused) == MAX_REFUSED
        assert upgrade.handshake
        assert (upgrade.handshake.station, upgrade.refused[-1].station) == ("CP39", "CP38")

    def test_what_follows_a_refusal_and_is_not_http(self) -> None:
        upgrade = seen((">", request()), ("<", refusal()), (">", b"\x81\x80abcd"))
        assert (upgrade.state, upgrade.problems[0].code) == (UpgradeState.REFUSED, "http.not-http")


class TestKeptAlive:
    @pytest.mark.parametrize(
        ("asked", "answered"),
        [
            (PLAIN, refusal("200 OK", b"fine")),
            (PLAIN, b"HTTP/1.1 204 None\r\n\r\n"),
            (PLAIN, b"HTTP/1.1 304 Same\r\nContent-Length: 99\r\n\r\n"),
            (PLAIN.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
            (b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET ", refusal("200 OK")),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\n" + refusal("200 OK"),
            ),
            (b"CONNECT csms:80 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 Established\r\n\r\n"),
            (PLAIN, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + refusal("200 OK")),
        ],
    )
    def test_upgrade_after_a_plain_request(self, asked: bytes, answered: bytes) -> None:
        before = seen((">", asked), ("<", answered))
        assert (before.state, before.handshake) == (UpgradeState.NOT_UPGRADE, None)
        upgrade = seen((">", asked), ("<", answered), (">", request()), ("<", response() + FRAME))
        assert upgrade.handshake
        assert upgrade.handshake.problems == ()
        assert (upgrade.state, upgrade.rest_csms, len(upgrade.refused)) == (UpgradeState.UPGRADED, FRAME, 1)

    def test_pipelined(self) -> None:
        upgrade = seen((">", PLAIN + PLAIN + request()), ("<", refusal("200 OK", b"a") * 2 + response() + FRAME))
        assert (upgrade.state, upgrade.rest_csms) == (UpgradeState.UPGRADED, FRAME)
        assert [handshake.status for handshake in upgrade.refused] == [200, 200]

    def test_a_lost_answer_before_the_upgrade(self) -> None:
        upgrade = seen((">", PLAIN + request()), ("<", response()))
        assert upgrade.handshake
        assert (upgrade.handshake.station, upgrade.handshake.accept_ok) == ("CP1", True)

    def test_unanswered_requests_are_bounded(self) -> None:
        upgrade = play((">", PLAIN * (MAX_UNANSWERED * 3)), (">", request()), ("<", response()))
        assert upgrade.state is UpgradeState.UPGRADED
        assert len(upgrade.refused) == MAX_REFUSED


class TestPartialCaptures:
    def test_101_without_its_request(self) -> None:
        upgrade = seen(("<", response(Sec_WebSocket_Extensions="permessage-deflate") + FRAME), (">", b"\x81"))
        assert upgrade.state is UpgradeState.UPGRADED
        assert upgrade.handshake
        assert (upgrade.handshake.method, upgrade.handshake.accept_ok) == ("", None)
        assert (upgrade.handshake.deflate, upgrade.handshake.protocol) == (Deflate(), "ocpp1.6")
        assert (upgrade.rest_station, upgrade.rest_csms, upgrade.handshake.problems) == (b"\x81", FRAME, ())

    def test_request_without_its_101_but_with_frames(self) -> None:
        upgrade = seen((">", request() + b"\x81\x80abcd"), ("<", FRAME))
        assert upgrade.state is UpgradeState.UPGRADED
        assert upgrade.handshake
        assert codes(upgrade.handshake) == {"response-lost"}
        assert (upgrade.handshake.status, upgrade.rest_station, upgrade.rest_csms) == (None, b"\x81\x80abcd", FRAME)

    def test_the_caller_may_say_that_the_answer_is_lost(self) -> None:
        upgrade = play((">", request() + b"\x81"))
        upgrade.response_lost()
        assert (upgrade.state, upgrade.rest_station) == (UpgradeState.UPGRADED, b"\x81")
        idle = play((">", PLAIN))
        idle.response_lost()
        assert idle.state is UpgradeState.NOT_UPGRADE

    def test_held_bytes_are_bounded(self) -> None:
        upgrade = seen((">", request()), (">", b"\x82" * MAX_HELD_BYTES))
        assert upgrade.state is UpgradeState.WAITING
        upgrade.request(b"\x82", 9, 9)
        assert (upgrade.state, len(upgrade.rest_station)) == (UpgradeState.UPGRADED, MAX_HELD_BYTES + 1)

    def test_held_requests_are_released_when_too_many(self) -> None:
        upgrade = play((">", request("/A")), (">", PLAIN * (MAX_HELD_BYTES // len(PLAIN) + 1)), ("<", response()))
        assert upgrade.state is UpgradeState.UPGRADED
        assert upgrade.handshake
        assert upgrade.handshake.station == "A"

    def test_frames_before_the_101(self) -> None:
        upgrade = seen((">", request() + b"\x81\x80abcd"), ("<", response()))
        assert upgrade.handshake
        assert codes(upgrade.handshake) == {"early-frames"}
        assert upgrade.rest_station == b"\x81\x80abcd"

    def test_early_frames_keep_their_packets(self) -> None:
        steps = (">", request() + b"\x81\x80"), (">", b"ab"), (">", b"cd"), ("<", response() + FRAME), ("<", FRAME)
        early = play(*steps).early
        assert early == ([(b"\x81\x80", 1), (b"ab", 2), (b"cd", 3)], [(FRAME, 4), (FRAME, 5)])

    @pytest.mark.parametrize("direction", [">", "<"])
    def test_not_http(self, direction: str) -> None:
        upgrade = seen((direction, b"\x16\x03\x01\x02\x00 hello"), (">", request()), ("<", response()))
        assert (upgrade.state, upgrade.handshake) == (UpgradeState.NOT_HTTP, None)
        assert upgrade.problems[0].code == "http.not-http"


class TestBounds:
    @pytest.mark.parametrize(
        ("direction", "start"), [(">", b"GET / HTTP/1.1\r\nA: "), ("<", b"HTTP/1.1 200 OK\r\nA: ")]
    )
    def test_heads(self, direction: str, start: bytes) -> None:
        fits = start + b"x" * (MAX_HEADER_BYTES - len(start) - 4) + b"\r\n\r\n"
        assert seen((direction, fits)).state is UpgradeState.NOT_UPGRADE
        upgrade = seen((direction, fits[:-4] + b"x\r\n\r\n"))
        assert (upgrade.state, upgrade.problems[0].code) == (UpgradeState.NOT_HTTP, "http.header-too-large")

    def test_line_problems(self) -> None:
        data = request().replace(b"\r\nHost", b"\r\nx" * 500 + b"\r\nHost")
        assert len([c for c in shake(data).problems if c.code == "http.header-malformed"]) == MAX_LINE_PROBLEMS

    def test_chunk_lines(self) -> None:
        start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        late = (">", request()), ("<", response())
        good = b"0;" + b"x" * (MAX_CHUNK_LINE_BYTES - 3) + b"\r\n\r\n"
        assert seen((">", PLAIN), ("<", start + good), *late).state is UpgradeState.UPGRADED
        assert seen((">", PLAIN), ("<", start + good[:2] + b"x" + good[2:]), *late).state is UpgradeState.WAITING

    @pytest.mark.parametrize(
        "filler", [b"a", b":", b"eyJ", b"\r\n a", b"@", b"bearer ", b'"', b"token=", b";a=", b"%3f"]
    )
    def test_a_hostile_head_is_read_in_linear_time(self, filler: bytes) -> None:
        """Would not end in a lifetime of the test run if any reading were quadratic with a large factor."""
        value = filler * (60_000 // len(filler))
        for name in (b"X-A", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"Authorization"):
            data = request().replace(b"\r\nHost", b"\r\n" + name + b": " + value + b"\r\nHost")
            assert play((">", data), ("<", response())).state is UpgradeState.UPGRADED
        assert play((">", request("/" + value.decode().strip().replace("\r\n", "")))).handshake


class TestLooks:
    @pytest.mark.parametrize(
        ("data", "asks", "answers"),
        [
            (b"", None, None),
            (b"G", None, False),
            (b"GET", None, False),
            (b"GET ", True, False),
            (b"\r\nGET /", True, False),
            (b"GETX", False, False),
            (b"POST /", True, False),
            (b"PRI * HTTP/2.0", False, False),
            (b"P", None, False),
            (b"H", None, None),
            (b"HTTP/1", False, None),
            (b"HTTP/1.1 101", False, True),
            (b"HTTP/2 200", False, False),
            (b"\x81\x85", False, False),
            (b"\x16\x03\x01", False, False),
        ],
    )
    def test_first_bytes(self, data: bytes, asks: bool | None, answers: bool | None) -> None:
        assert (looks_like_request(data), looks_like_response(data)) == (asks, answers)


FRAGMENTS = st.sampled_from(
    [
        request(),
        response(),
        refusal(body=b"x"),
        PLAIN,
        FRAME,
        b"GET ",
        b"HTTP/1.1 ",
        b"\r\n",
        b"\n",
        b" a",
        b"x: y\r\n",
        b'Sec-WebSocket-Extensions: a;b="',
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"5\r\n",
        b"Content-Length: 3\r\n",
    ]
)
BYTES = st.lists(st.one_of(FRAGMENTS, st.binary(max_size=12)), max_size=6).map(b"".join)


class TestAnyBytes:
    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("><"), BYTES), max_size=5), st.integers(1, 40))
    def test_never_raises_and_cuts_make_no_difference(self, steps: list[Step], size: int) -> None:
        whole = play(*steps)
        assert snapshot(play(*steps, size=size)) == snapshot(whole)
        found = [p.code for h in (whole.handshake, *whole.refused) if h for p in h.problems]
        assert set(found) <= set(PROBLEMS)

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, 400), st.binary(min_size=1, max_size=3), st.booleans())
    def test_damaged_heads_never_raise(self, at: int, junk: bytes, answer: bool) -> None:
        asked, answered = request(Authorization=basic("CP1", "x")), response()
        data = answered if answer else asked
        damaged = data[: at % len(data)] + junk + data[at % len(data) + len(junk) :]
        upgrade = play((">", asked if answer else damaged), ("<", damaged if answer else answered))
        assert upgrade.state in UpgradeState


def oracle() -> Iterator[tuple[str, dict[str, object]]]:
    for path in sorted(CAPTURES.glob("**/*.tshark.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if row["kind"] == "http":
                yield path.name, row


@pytest.mark.shared
@pytest.mark.skipif(not CAPTURES.exists(), reason="needs the third-party captures in ../shared/captures")
def test_handshakes_that_tshark_saw() -> None:
    """Requests and answers of real peers, rebuilt from another decoder's fields, pair and verify."""
    asked: dict[tuple[str, object], dict[str, object]] = {}
    checked = 0
    for name, row in oracle():
        if "http.request.method" in row:
            asked[name, row["stream"]] = row
            continue
        question = asked.get((name, row["stream"]))
        if question is None:
            continue
        line = f"{question['http.request.method']} {question['http.request.uri']} HTTP/1.1"
        upgrade = seen(
            (">", head(line, {"host": "csms"} | question["headers"])),
            ("<", head(f"HTTP/1.1 {row['http.response.code']} x", row["headers"])),
        )
        if row["http.response.code"] == "101":
            checked += 1
            assert upgrade.handshake
            assert upgrade.handshake.accept_ok, (name, row)
            assert upgrade.handshake.protocol == row["headers"].get("sec-websocket-protocol")
            assert (upgrade.handshake.deflate is not None) == ("sec-websocket-extensions" in row["headers"])
    assert checked >= 20
