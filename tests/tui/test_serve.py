"""The doors of the browser version: the token, the cookie, the host's name, the origin; and that no page names
another host. The program behind the WebSocket is a stand-in that speaks textual-serve's packets."""

import asyncio
import json
import re
import sys
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, CookieJar, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestServer

from ocppscope.errors import UsageError
from ocppscope.tui import serve, serve_page

TOKEN = "a-token-for-the-tests"

STAND_IN = r"""
import json, sys
out, put = sys.stdout.buffer, lambda kind, data: (out.write(kind + len(data).to_bytes(4, "big") + data), out.flush())
out.write(b"__GANGLION__\n")
put(b"D", b"size %s" % __import__("os").environb[b"COLUMNS"])
put(b"M", json.dumps({"type": "open_url", "url": "http://elsewhere.example/", "new_tab": True}).encode())
put(b"M", json.dumps({"type": "deliver_file_start", "key": "k", "path": "/x/a b\".html", "open_method": "browser",
                      "mime_type": "text/html", "encoding": "utf-8"}).encode())
from textual._binary_encode import dump
left = [b"<script>", b""]
while head := sys.stdin.buffer.read(5):
    data = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    if head[:1] == b"D":
        put(b"D", b"heard " + data)
    elif json.loads(data)["type"] == "deliver_chunk_request":
        put(b"P", dump(("deliver_chunk", "k", left.pop(0))))
    elif json.loads(data)["type"] == "quit":
        break
"""
COMMAND = [sys.executable, "-c", STAND_IN]


@asynccontextmanager
async def running(host="127.0.0.1", command=COMMAND):
    server = TestServer(serve.Server(command, serve.Gate(host, TOKEN)).application())
    async with server, ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        yield str(server.make_url("")).rstrip("/"), client


def browser(check, **options):
    """Runs `check(base, client)` against a server."""

    async def run():
        async with running(**options) as (base, client):
            await asyncio.wait_for(check(base, client), 30)

    asyncio.run(run())


async def status(client, url, **headers):
    async with client.get(url, headers=headers, allow_redirects=False) as response:
        return response.status


PATHS = ["/", "/ws", "/static/textual.js", "/static/page.css", "/download/k", "/nothing"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=" + TOKEN[:-1], "?token=" + TOKEN + "x",
                                   "?token=%ff%00"])  # fmt: skip
def test_nothing_opens_without_the_token(path, query):
    async def check(base, client):
        assert await status(client, f"{base}{path}{query}", Origin=base) == 403
        assert len(client.cookie_jar) == 0

    browser(check)


@pytest.mark.parametrize("path", PATHS[1:])
def test_the_token_opens_the_page_alone(path):
    async def check(base, client):
        assert await status(client, f"{base}{path}?token={TOKEN}", Origin=base) == 403
        assert await status(client, f"{base}/?token={TOKEN}") == 200  # it was not spent

    browser(check)


def test_the_token_is_good_for_one_use_and_the_cookie_for_more():
    async def check(base, client):
        async with client.get(f"{base}/?token={TOKEN}") as response:
            assert response.status == 200
            cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert await status(client, f"{base}/") == 200
        assert await status(client, f"{base}/?token={TOKEN}") == 200
        async with ClientSession() as other:
            assert await status(other, f"{base}/?token={TOKEN}") == 403
            name = cookie.partition("=")[0]
            assert await status(other, f"{base}/", Cookie=f"{name}=guess") == 403

    browser(check)


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_other_methods_do_not_spend_the_token(method):
    async def check(base, client):
        async with client.request(method, f"{base}/?token={TOKEN}") as response:
            assert response.status in (403, 405)
        assert await status(client, f"{base}/?token={TOKEN}") == 200

    browser(check)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.0.2.7", "", "a b",
                                  "127.0.0.1:80; script-src *"])  # fmt: skip
def test_a_name_that_is_not_this_servers_is_refused(host):
    async def check(base, client):
        async with client.get(f"{base}/?token={TOKEN}", headers={"Host": host}) as response:
            assert response.status == 403
            assert "evil" not in response.headers["Content-Security-Policy"]
            assert "script-src *" not in response.headers["Content-Security-Policy"]
        assert await status(client, f"{base}/?token={TOKEN}") == 200

    browser(check)


@pytest.mark.parametrize(
    ("bound", "asked", "known"),
    [
        ("127.0.0.1", "localhost:9000", True),  # a port that was forwarded
        ("127.0.0.1", "[::1]:9000", True),
        ("::1", "[::1]:8000", True),
        ("127.0.0.1", "10.0.0.5", False),
        ("0.0.0.0", "10.0.0.5:8000", True),
        ("0.0.0.0", "[fd00::1]:8000", True),
        ("0.0.0.0", "evil.example", False),
        ("box.example", "box.example:8000", True),
        ("box.example", "BOX.example", True),
        ("box.example", "other.example", False),
    ],
)
def test_names_of_hosts(bound, asked, known):
    assert serve.Gate(bound).knows_host(asked) is known


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://127.0.0.1:1", "file://", ""])
def test_a_websocket_of_another_page_is_refused(origin):
    async def check(base, client):
        assert await status(client, f"{base}/?token={TOKEN}") == 200
        headers = {} if origin is None else {"Origin": origin}
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect(f"{base}/ws", headers=headers)
        assert refused.value.status == 403

    browser(check)


async def data(websocket, kind=WSMsgType.BINARY):
    while True:
        message = await websocket.receive(timeout=20)
        assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT), message
        if message.type is kind:
            return message.data


def test_the_program_is_heard_and_hears():
    async def check(base, client):
        assert await status(client, f"{base}/?token={TOKEN}") == 200
        async with client.ws_connect(f"{base}/ws?width=99999&height=x", headers={"Origin": base}) as websocket:
            assert await data(websocket) == b"size 1000"
            # nothing about the page elsewhere that the program wanted opened
            assert json.loads(await data(websocket, WSMsgType.TEXT)) == ["deliver_file_start", "k"]
            nonsense = [
                "",
                "[",
                "7",
                "{}",
                "[]",
                '["stdin"]',
                '["stdin", 7]',
                '["resize", {"width": "x"}]',
                "[" * 9999,
            ]
            for text in (*nonsense, '["stdin", "a\\ud800"]'):
                await websocket.send_str(text)
            assert await data(websocket) == b"heard a?"
            await websocket.send_json(["ping", "7"])
            assert json.loads(await data(websocket, WSMsgType.TEXT)) == ["pong", "7"]

    browser(check)


def test_a_download_needs_the_cookie_and_is_never_shown():
    async def check(base, client):
        assert await status(client, f"{base}/?token={TOKEN}") == 200
        async with client.ws_connect(f"{base}/ws", headers={"Origin": base}) as websocket:
            await data(websocket, WSMsgType.TEXT)
            async with ClientSession() as other:
                assert await status(other, f"{base}/download/k") == 403
            assert await status(client, f"{base}/download/other") == 404
            assert await status(client, f"{base}/download/k", Origin="http://evil.example") == 403
            async with client.get(f"{base}/download/k") as response:
                assert await response.read() == b"<script>"
                assert response.content_type == "application/octet-stream"
                assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%20b%22.html"

    browser(check)


def test_no_more_sessions_than_the_bound(monkeypatch):
    monkeypatch.setattr(serve, "MAX_SESSIONS", 1)

    async def check(base, client):
        assert await status(client, f"{base}/?token={TOKEN}") == 200
        async with client.ws_connect(f"{base}/ws", headers={"Origin": base}):
            with pytest.raises(WSServerHandshakeError) as refused:
                await client.ws_connect(f"{base}/ws", headers={"Origin": base})
            assert refused.value.status == 503

    browser(check)


OUTSIDE = re.compile(rb"""(?:https?:)?//[a-z0-9-]+\.[a-z]""", re.IGNORECASE)


def test_no_page_names_another_host():
    async def check(base, client):
        assert await status(client, f"{base}/?token={TOKEN}") == 200
        for path in ("/", "/static/page.css", "/static/start.js", *(f"/static/{name}" for name in serve_page.STATIC)):
            async with client.get(f"{base}{path}") as response:
                assert response.status == 200, path
                if not path.endswith(".ttf"):
                    text = await response.read()
                    if path.endswith(".css"):  # a comment may name its author's page
                        text = re.sub(rb"/\*.*?\*/", b"", text, flags=re.DOTALL)
                    assert OUTSIDE.findall(text) == [], path
                policy = response.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; script-src 'self'; ")
                assert OUTSIDE.findall(policy.replace(base.partition("//")[2], "").encode()) == []
                assert response.headers["X-Frame-Options"] == "DENY"
                assert response.headers["X-Content-Type-Options"] == "nosniff"

    browser(check)


def test_the_scan_sees_another_host():
    assert OUTSIDE.findall(b'href="https://fonts.example/css"')
    assert OUTSIDE.findall(b'src="//cdn.example/x.js"')


@pytest.mark.parametrize("path", ["/static/../serve.py", "/static/..%2fserve.py", "/static/js", "/static/"])
def test_only_listed_files_are_served(path):
    async def check(base, client):
        assert await status(client, f"{base}/?token={TOKEN}") == 200
        assert await status(client, f"{base}{path}") == 404

    browser(check)


def test_titles_are_text():
    assert "<b>" not in serve_page.page("<b>&", 16)


@pytest.mark.parametrize(
    ("host", "start"),
    [("127.0.0.1", "http://127.0.0.1:80/?token=t%2F"), ("::1", "http://[::1]:80/?token=t%2F")],
)
def test_the_printed_address(host, start):
    assert serve.url(host, 80, "t/") == start


def test_what_cannot_be_served_is_said():
    with pytest.raises(UsageError, match="stdin"):
        serve.serve(["view", "-"])
    with pytest.raises(UsageError, match="token"):
        serve.serve(["view", "a.pcap"], token="short")


def test_a_port_that_is_taken_is_said():
    async def check(base, client):
        del client
        port = int(base.rpartition(":")[2])
        with pytest.raises(UsageError, match="Cannot listen"):
            await serve._run(serve.Server(COMMAND, serve.Gate("127.0.0.1")), "127.0.0.1", port)

    browser(check)


def test_tokens_are_long_and_differ():
    first, second = serve.Gate("127.0.0.1"), serve.Gate("127.0.0.1")
    assert first.token != second.token
    assert len(first.token) >= 32
