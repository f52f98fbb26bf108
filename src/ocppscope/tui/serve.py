"""The same screens in a browser: a small server in front of textual-serve's terminal, with a lock on every door.

textual-serve lets in whoever connects and loads a font from elsewhere; what is used of it is the process behind a
WebSocket, the downloads and the terminal's script. The doors: a token in the URL that is good for one use and becomes
a cookie, the name of the host (against DNS rebinding), the origin of the WebSocket (against other pages). Listens on
loopback unless told otherwise. The only place that loads aiohttp and textual-serve; it never touches a session.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import os
import re
import secrets
import shlex
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import textual_serve
from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from ocppscope.errors import UsageError
from ocppscope.signals import endings
from ocppscope.tui import serve_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LEAST_TOKEN = 16
"""Characters of a token that a user chooses."""
MAX_SESSIONS = 8
"""Browser tabs at a time; each has a process that reads the capture."""
MAX_ENVELOPE = 1 << 20
"""Bytes of one message from the browser (a paste)."""
MAX_SIDE = 1000
"""Columns and rows that a browser may ask for."""
PATIENCE_S = 5.0
"""How long a process may take to end."""
FONT_SIZES = (6, 16, 64)

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_FILES = Path(textual_serve.__file__).parent / "static"
_NO_TOKEN = "This address needs the token that was printed when the server was started."
_SPENT = "The token was used already. Start the server again to get another one."
_ELSEWHERE = "This request came from another site."


class Gate:
    """Who may enter. The token opens once; who came with it carries a cookie from then on."""

    def __init__(self, host: str, token: str | None = None) -> None:
        if token is not None and len(token) < LEAST_TOKEN:
            raise UsageError(
                f"The token is shorter than {LEAST_TOKEN} characters.", "Leave it out to get a good one."
            )
        self.token = token or secrets.token_urlsafe(24)
        self.cookie = f"ocppscope-{secrets.token_hex(4)}"  # cookies are shared by all ports of a host
        self._secret = secrets.token_urlsafe(32)
        self._is_spent = False
        self._is_local = _is_loopback(host)
        self._names = _LOOPBACK | {host.lower()} | (set() if self._is_local else {socket.gethostname().lower()})

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this server; a name that somebody else's DNS points here does not."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").lower()
        return name in self._names or (not self._is_local and _is_address(name))

    def is_own_origin(self, origin: str, host: str) -> bool:
        """Whether a page of this server made the request."""
        return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())

    def has_cookie(self, request: web.Request) -> bool:
        """Whether the browser has been here with the token."""
        return _equal(request.cookies.get(self.cookie, ""), self._secret)

    def spend(self, token: str) -> bool:
        """Whether the token is right and was not used before."""
        if not _equal(token, self.token) or self._is_spent:
            return False
        self._is_spent = True
        return True

    def admit(self, response: web.StreamResponse) -> None:
        """Gives the browser its cookie."""
        response.set_cookie(self.cookie, self._secret, httponly=True, samesite="Strict", path="/")

    @property
    def is_spent(self) -> bool:
        """Whether somebody has used the token."""
        return self._is_spent


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host.lower() == "localhost"


class Process(AppService):  # type: ignore[misc, unused-ignore]
    """One running program behind a WebSocket. Started without a shell, ended for good."""

    async def _open_app_process(self, width: int = 80, height: int = 24) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        self._process = process = await asyncio.create_subprocess_exec(
            *shlex.split(self.command),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=self._build_environment(width=width, height=height),
        )
        assert process.stdin is not None
        self._stdin = process.stdin
        return process

    async def on_meta(self, data: bytes) -> None:
        """Everything but opening other pages: no request goes to another host."""
        if json.loads(data).get("type") != "open_url":
            await super().on_meta(data)

    async def stop(self) -> None:
        """Asks the process to end, and ends it."""
        with suppress(TimeoutError, OSError):
            await asyncio.wait_for(super().stop(), PATIENCE_S)
        process, self._process = self._process, None
        if process is None:
            return
        try:
            await asyncio.wait_for(_ended(process), PATIENCE_S)
        except TimeoutError:
            process.kill()
            await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Waits for its end, and lets go of its pipes."""
    assert process.stdin is not None
    process.stdin.close()
    with suppress(OSError):
        await process.stdin.wait_closed()
    await process.communicate()


class Server:
    """The doors and what is behind them."""

    def __init__(self, command: list[str], gate: Gate, title: str = "ocppscope") -> None:
        self.gate = gate
        self._command = shlex.join(command)
        self._title = title
        self._downloads = DownloadManager()
        self._open: set[web.WebSocketResponse] = set()
        self._ending: set[asyncio.Task[None]] = set()

    def application(self) -> web.Application:
        """The web application; every request passes `_guard` first."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard])
        app.on_response_prepare.append(self._add_headers)
        app.on_shutdown.append(self._close)
        app.on_cleanup.append(self._end)
        app.add_routes(
            [
                web.get("/", self._index, allow_head=False),
                web.get("/ws", self._websocket, allow_head=False),
                web.get("/static/{name}", self._static, allow_head=False),
                web.get("/download/{key}", self._download, allow_head=False),
            ]
        )
        return app

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        gate, host = self.gate, request.headers.get("Host", "")
        if not gate.knows_host(host):
            return _refused("This server is not known by that name.")
        origin = request.headers.get("Origin")
        is_socket = request.path == "/ws"
        if (origin is None and is_socket) or (origin is not None and not gate.is_own_origin(origin, host)):
            return _refused(_ELSEWHERE)
        if gate.has_cookie(request):
            return await handler(request)
        if request.path == "/" and request.method == "GET" and "token" in request.query:
            if not gate.spend(request.query["token"]):
                return _refused(_SPENT if gate.is_spent else _NO_TOKEN)
            response = await handler(request)
            gate.admit(response)
            return response
        return _refused(_NO_TOKEN)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        host = request.headers.get("Host", "")
        response.headers.update(serve_page.headers(host if self.gate.knows_host(host) else ""))

    async def _index(self, request: web.Request) -> web.StreamResponse:
        least, usual, most = FONT_SIZES
        size = _integer(request.query.get("fontsize"), usual, least, most)
        return web.Response(text=serve_page.page(self._title, size), content_type="text/html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        own = {"page.css": (serve_page.STYLE, "text/css"), "start.js": (serve_page.SCRIPT, "text/javascript")}
        if name in own:
            text, kind = own[name]
            return web.Response(text=text, content_type=kind)
        if name not in serve_page.STATIC:
            raise web.HTTPNotFound
        path, kind = serve_page.STATIC[name]
        return web.FileResponse(_FILES / path, headers={"Content-Type": kind})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        try:
            wanted = await self._downloads.get_download_metadata(key)
        except KeyError:
            raise web.HTTPNotFound from None
        response = web.StreamResponse()
        response.content_type = "application/octet-stream"  # saved, never shown: it may hold anything
        name = quote(wanted.file_name, safe="")
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
        await response.prepare(request)
        async for chunk in self._downloads.download(key):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if len(self._open) >= MAX_SESSIONS:
            return _refused(f"{MAX_SESSIONS} sessions are open already.", 503)
        websocket = web.WebSocketResponse(heartbeat=15, max_msg_size=MAX_ENVELOPE)
        self._open.add(websocket)
        try:
            await websocket.prepare(request)
            await self._converse(websocket, request)
        finally:
            self._open.discard(websocket)
        return websocket

    async def _converse(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        async def close() -> None:
            await websocket.close()

        process = Process(
            self._command,
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=close,
            download_manager=self._downloads,
        )
        try:
            await process.start(_side(request.query.get("width"), 80), _side(request.query.get("height"), 24))
            await _relay(websocket, process)
        finally:
            # a task of its own, since the server does not wait for who has left
            ending = asyncio.create_task(process.stop())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)

    async def _close(self, app: web.Application) -> None:
        """Hangs up."""
        del app
        await asyncio.gather(*(websocket.close() for websocket in self._open))

    async def _end(self, app: web.Application) -> None:
        """Waits for the programs to end."""
        del app
        while self._ending:
            await asyncio.wait(self._ending)


async def _relay(websocket: web.WebSocketResponse, process: Process) -> None:
    """What the browser says, until it leaves; what makes no sense is passed over."""
    async for message in websocket:
        if message.type is not WSMsgType.TEXT:
            continue
        match _envelope(message.data):
            case ["stdin", str(data)]:
                await process.send_bytes(data.encode("utf-8", "replace"))
            case ["resize", {"width": int(width), "height": int(height)}]:
                await process.set_terminal_size(_side(width, 80), _side(height, 24))
            case ["ping", str(data)]:
                await websocket.send_json(["pong", data])
            case ["blur", *_]:
                await process.blur()
            case ["focus", *_]:
                await process.focus()


def _envelope(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _side(given: str | int | None, usual: int) -> int:
    return _integer(given, usual, 1, MAX_SIDE)


def _integer(given: str | int | None, usual: int, least: int, most: int) -> int:
    try:
        return min(max(int(given or usual), least), most)
    except ValueError:
        return usual


def _refused(sentence: str, status: int = 403) -> web.Response:
    return web.Response(text=serve_page.refusal(sentence), content_type="text/html", status=status)


# --- running -----------------------------------------------------------------------------------------------------


def url(host: str, port: int, token: str) -> str:
    """What the user opens."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/?token={quote(token, safe='')}"


def serve(arguments: list[str], host: str = "127.0.0.1", port: int = 8000, token: str | None = None) -> None:
    """Serves `ocppscope ARGUMENTS…` (the command's name first) until Ctrl+C; port 0 takes any free one.

    Raises `UsageError` where the program would read stdin, which the browser has, or where the port is taken.
    """
    if "-" in arguments:
        raise UsageError("A browser session cannot read a capture from stdin.", "Save it to a file first.")
    gate = Gate(host, token)
    command = [sys.executable, "-P", "-m", "ocppscope", *arguments]  # -P: as a command that is installed
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(Server(command, gate), host, port))


async def _run(server: Server, host: str, port: int) -> None:
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=PATIENCE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host.strip("[]"), port)
        try:
            await site.start()
        except OSError as error:
            raise UsageError(f"Cannot listen on {host}, port {port}: {os.strerror(error.errno or 0)}.",
                             "Choose another port; 0 takes any free one.") from error  # fmt: skip
        bound = runner.addresses[0][1]
        _tell(host, bound, server.gate.token)
        await _until_interrupted()
    finally:
        await runner.cleanup()


def _tell(host: str, port: int, token: str) -> None:
    print(f"Open {url(host, port, token)} in a browser (good for one use). Ctrl+C ends it.", file=sys.stderr)
    if not _is_loopback(host):
        print("This address can be reached from other machines, and what they see is not encrypted.", file=sys.stderr)
    sys.stderr.flush()


async def _until_interrupted() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in endings():
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
