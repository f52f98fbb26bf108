"""A station or a CSMS made of the `ocpp` package and `websockets`, told what to do by JSON lines on stdin.

It writes what its own WebSocket calls gave, before any OCPP decoding, as JSON lines on stdout: that is its half
of the truth log. It knows nothing of scenarios, captures or of ocppscope.
"""

import asyncio
import base64
import http
import importlib
import json
import logging
import random
import socket
import struct
import sys
import time
import urllib.parse
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import websockets
from ocpp.charge_point import camel_to_snake_case
from ocpp.exceptions import InternalError, OCPPError
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Request, Response, ServerConnection, serve

MODULES = {"ocpp1.6": "ocpp.v16", "ocpp2.0.1": "ocpp.v201", "ocpp2.1": "ocpp.v21"}
ANSWERS = json.loads((Path(__file__).parent / "answers.json").read_text())
FRAGMENT_PAUSE = 0.05  # seconds between fragments, so that each travels in a segment of its own


def emit(kind: str, **fields: Any) -> None:
    """Write an event with the system's monotonic clock, which the recorder turns into the time of day."""
    sys.stdout.write(json.dumps({"kind": kind, "t": time.monotonic(), **fields}) + "\n")
    sys.stdout.flush()


def filled(payload: Any, ahead: float = 0.0, zone: str = "Z") -> Any:
    """The payload with every "$now" replaced by a clock that may be `ahead` (seconds) and write another zone."""
    now = (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat(timespec="milliseconds")
    return json.loads(json.dumps(payload).replace("$now", now.replace("+00:00", zone)))


class Wire:
    """The connection as the library sees it; notes each text that its send and recv calls carry."""

    def __init__(self, connection: Connection, cp: str, side: str) -> None:
        self.connection = connection
        self.cp = cp
        self.side = side
        end = connection.local_address if side == "cp" else connection.remote_address
        self.conn = f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"

    def note(self, kind: str, text: str) -> None:
        emit(kind, cp=self.cp, peer=self.side, conn=self.conn, text=text)

    def opened(self) -> None:
        extensions = [extension.name for extension in self.connection.protocol.extensions]
        path = self.connection.request.path  # type: ignore[attr-defined]
        agreed = {"path": path, "subprotocol": self.connection.subprotocol or "", "ext": extensions}
        self.note("open", json.dumps(agreed))

    async def send(self, text: str) -> None:
        self.note("sent", text)
        await self.connection.send(text)

    async def send_fragments(self, parts: list[str]) -> None:
        self.note("sent", "".join(parts))
        await self.connection.send(self._paced(parts))

    async def _paced(self, parts: list[str]) -> AsyncIterator[str]:
        for number, part in enumerate(parts):
            if number:
                await self.connection.ping(f"between {number}")
                await asyncio.sleep(FRAGMENT_PAUSE)
            yield part

    async def recv(self) -> str:
        data = await self.connection.recv()
        text = data if isinstance(data, str) else data.decode(errors="replace")
        self.note("recv", text)
        return text


class Peer:
    """All connections of this process, and the commands that act on them."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.side = "cp" if options["role"] == "station" else "csms"
        self.wires: dict[str, Wire] = {}
        self.points: dict[str, Any] = {}
        self.behaviour: dict[tuple[str, str], dict[str, Any]] = {}  # by station ("": all) and action ("": all)
        self.clocks: dict[str, dict[str, Any]] = {}  # of stations whose clock is wrong
        self.ids = random.Random(options.get("seed", 1))
        self.tasks: set[asyncio.Task[Any]] = set()

    def keep(self, task: asyncio.Task[Any]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def next_id(self) -> str:
        return str(uuid.UUID(int=self.ids.getrandbits(128), version=4))

    def point(self, wire: Wire, version: str) -> Any:
        """A ChargePoint of the library on this connection, with a handler for each action that we answer."""
        module = importlib.import_module(MODULES[version])
        results = importlib.import_module(f"{MODULES[version]}.call_result")
        point = module.ChargePoint(wire.cp, wire, response_timeout=self.options.get("timeout", 30))
        point._unique_id_generator = self.next_id
        for action in ANSWERS[version]:
            handler = self.handler(wire, version, action, results)
            point.route_map[action] = {"_on_action": handler, "_skip_schema_validation": False}
        return point

    def how(self, cp: str, action: str) -> dict[str, Any]:
        """How to answer: what was said of this station and action counts most."""
        known = ((cp, action), (cp, ""), ("", action))
        return next((self.behaviour[key] for key in known if key in self.behaviour), {})

    def handler(self, wire: Wire, version: str, action: str, results: ModuleType) -> Any:
        async def answer(call_unique_id: str, **_payload: Any) -> Any:
            how = self.how(wire.cp, action)
            await asyncio.sleep(how.get("delay", 0))
            if how.get("never"):
                await asyncio.Event().wait()
            if "raw" in how:
                await wire.send(how["raw"].replace("$id", call_unique_id))
                await asyncio.Event().wait()
            if "error" in how:
                raise InternalError(description=how["error"])
            payload = filled(how.get("payload", ANSWERS[version][action]))
            if how.get("twice"):
                await wire.send(json.dumps([3, call_unique_id, payload], separators=(",", ":")))
            return getattr(results, action)(**camel_to_snake_case(payload))

        return answer

    async def run_connection(self, connection: Connection, cp: str) -> None:
        """Read until the connection ends; each message is routed in a task, so that a slow answer stops nobody."""
        wire = self.wires[cp] = Wire(connection, cp, self.side)
        point = self.points[cp] = self.point(wire, connection.subprotocol or "ocpp1.6")
        wire.opened()
        try:
            while True:
                text = await wire.recv()
                self.keep(asyncio.create_task(self.route(point, text)))
        except websockets.ConnectionClosed:
            wire.note("close", f"{connection.close_code} {connection.close_reason or ''}")

    async def route(self, point: Any, text: str) -> None:
        try:
            await point.route_message(text)
        except Exception as error:  # what the library cannot digest must not end this peer
            print(f"library: {error!r} on {text[:200]}", file=sys.stderr)

    # --- commands ---

    async def do_connect(self, cp: str, url: str, protocols: list[str] | None, **how: Any) -> dict[str, Any]:
        headers = {}
        if "password" in how:
            token = base64.b64encode(f"{cp}:{how['password']}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        try:
            connection = await connect(
                url + "/" + urllib.parse.quote(cp, safe=""),
                subprotocols=protocols,  # type: ignore[arg-type]
                additional_headers=headers,
                compression="deflate" if how.get("deflate") else None,
                ping_interval=how.get("ping"),
                proxy=None,
            )
        except websockets.InvalidStatus as error:
            status = error.response.status_code
            emit("reject", cp=cp, peer=self.side, conn="", text=str(status))
            return {"status": status}
        self.keep(asyncio.create_task(self.run_connection(connection, cp)))
        await asyncio.sleep(0)  # the task takes the connection over
        return {"status": 101, "subprotocol": connection.subprotocol}

    async def do_call(self, cp: str, action: str, payload: dict[str, Any], **how: Any) -> dict[str, Any]:
        point = self.points[cp]
        version = self.wires[cp].connection.subprotocol or "ocpp1.6"
        calls = importlib.import_module(f"{MODULES[version]}.call")
        stamped = filled(payload, **self.clocks.get(cp, {}))
        request = getattr(calls, action)(**camel_to_snake_case(stamped))
        try:
            await point.call(request, suppress=False, skip_schema_validation=how.get("unchecked", False))
        except TimeoutError:
            return {"outcome": "timeout"}
        except OCPPError as error:
            return {"outcome": type(error).__name__}
        return {"outcome": "answered"}

    async def do_raw(self, cp: str, text: str) -> dict[str, Any]:
        await self.wires[cp].send(text)
        return {}

    async def do_fragments(self, cp: str, parts: list[str]) -> dict[str, Any]:
        await self.wires[cp].send_fragments(parts)
        return {}

    async def do_ping(self, cp: str, data: str = "") -> dict[str, Any]:
        await (await self.wires[cp].connection.ping(data))
        return {}

    async def do_behave(self, action: str, cp: str = "", **how: Any) -> dict[str, Any]:
        self.behaviour[cp, action] = how
        return {}

    async def do_clock(self, cp: str, ahead: float = 0.0, zone: str = "Z") -> dict[str, Any]:
        self.clocks[cp] = {"ahead": ahead, "zone": zone}
        return {}

    async def do_close(self, cp: str, code: int = 1000, reason: str = "") -> dict[str, Any]:
        await self.wires[cp].connection.close(code, reason)
        return {}

    async def do_abort(self, cp: str) -> dict[str, Any]:
        """End with an RST: no close frame, no FIN."""
        transport = self.wires[cp].connection.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        return {}

    async def do_hangup(self, cp: str) -> dict[str, Any]:
        """End with a FIN and without a close frame."""
        self.wires[cp].connection.transport.close()
        return {}

    # --- the CSMS's side ---

    async def listen(self) -> None:
        passwords = self.options.get("passwords")

        def admit(connection: ServerConnection, request: Request) -> Response | None:
            cp = urllib.parse.unquote(request.path.rsplit("/", 1)[-1])
            if passwords is None:
                return None
            if cp not in passwords:
                return connection.respond(http.HTTPStatus.NOT_FOUND, "unknown station\n")
            token = base64.b64encode(f"{cp}:{passwords[cp]}".encode()).decode()
            if request.headers.get("Authorization") == f"Basic {token}":
                return None
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "wrong password\n")

        async def accept(connection: ServerConnection) -> None:
            assert connection.request is not None
            await self.run_connection(connection, urllib.parse.unquote(connection.request.path.rsplit("/", 1)[-1]))

        await serve(
            accept,
            self.options["host"],
            self.options["port"],
            subprotocols=self.options["protocols"],
            compression="deflate" if self.options.get("deflate") else None,
            ping_interval=self.options.get("ping"),
            process_request=admit,
        )


async def obey(peer: Peer, line: bytes) -> None:
    command = json.loads(line)
    number = command.pop("n")
    verb = command.pop("do")
    try:
        result = await getattr(peer, f"do_{verb}")(**command)
    except Exception as error:
        result = {"failed": repr(error)}
    emit("done", n=number, result=result)


async def main() -> None:
    logging.disable(logging.CRITICAL)
    peer = Peer(json.loads(sys.argv[1]))
    if peer.side == "csms":
        await peer.listen()
    reader = asyncio.StreamReader(limit=2**20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    emit("ready")
    while line := await reader.readline():
        peer.keep(asyncio.create_task(obey(peer, line)))


if __name__ == "__main__":
    asyncio.run(main())
