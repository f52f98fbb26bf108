"""Stations and CSMSs to be run as programs, in namespaces of their own.

    python netpeers.py csms PORT [CERTIFICATE KEY]        answers every CALL
    python netpeers.py station HOST PORT URL [ROOT]       sends CALLS CALLs, says its address, ends
    python netpeers.py csms-bytes PORT | station-bytes HOST PORT    exchange bytes that are no protocol

They say what they see as JSON, a line each.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import socket
import ssl
import sys
from threading import Thread
from typing import Any

CALLS = 20
BYTES = {"station": 400_000, "csms": 300_000}
"""How many bytes each side sends in `…-bytes`."""
SUBPROTOCOL = "ocpp1.6"


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def content(side: str) -> bytes:
    """What a side sends in `…-bytes`."""
    return random.Random(side).randbytes(BYTES[side])


# --- WebSocket ------------------------------------------------------------------------------------------------------


async def csms(port: str, certificate: str = "", key: str = "") -> None:
    from websockets.asyncio.server import ServerConnection, serve

    async def answer(connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        tls = connection.transport.get_extra_info("ssl_object")
        tell(peer=connection.remote_address[:2], path=request.path, tls=tls is not None and tls.version())
        try:
            async for text in connection:
                await connection.send(json.dumps([3, json.loads(text)[1], {"currentTime": "2026-11-22T10:00:00Z"}]))
        finally:
            tell(closed=connection.close_code)

    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.sni_callback = lambda tls, name, own: tell(sni=name)
    async with serve(answer, ["0.0.0.0", "::"], int(port), ssl=context, subprotocols=[SUBPROTOCOL]):
        tell(ready=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def station(host: str, port: str, url: str, root: str = "") -> None:
    from websockets.asyncio.client import connect

    context = ssl.create_default_context(cafile=root) if root else None
    async with connect(
        url, host=host, port=int(port), ssl=context, subprotocols=[SUBPROTOCOL], proxy=None, ping_interval=None
    ) as connection:
        answers = 0
        for number in range(CALLS):
            await connection.send(json.dumps([2, f"id-{number}", "Heartbeat", {}]))
            answers += json.loads(await connection.recv())[:2] == [3, f"id-{number}"]
        tell(address=connection.local_address[:2], answers=answers)


# --- bytes ----------------------------------------------------------------------------------------------------------


def csms_bytes(port: str) -> None:
    with socket.create_server(("0.0.0.0", int(port))) as listener:
        tell(ready=True)
        sock, peer = listener.accept()
        tell(peer=peer[:2])
        exchange(sock, "csms")


def station_bytes(host: str, port: str) -> None:
    exchange(socket.create_connection((host, int(port)), 20), "station")


def exchange(sock: socket.socket, side: str) -> None:
    """Sends its own bytes and FIN while it reads the other's to the end."""

    def send() -> None:
        sock.sendall(content(side))
        sock.shutdown(socket.SHUT_WR)

    sock.settimeout(60)
    sender = Thread(target=send)
    sender.start()
    read = b""
    while piece := sock.recv(1 << 16):
        read += piece
    sender.join()
    tell(address=sock.getsockname()[:2], length=len(read), digest=hashlib.sha256(read).hexdigest())
    sock.close()


# --- ends -----------------------------------------------------------------------------------------------------------


def csms_lines(port: str) -> None:
    """Takes one connection; sends each line of stdin, and tells what comes and how it ends."""
    with socket.create_server(("0.0.0.0", int(port))) as listener:
        tell(ready=True)
        sock, _ = listener.accept()
        lines(sock)


def station_lines(host: str, port: str) -> None:
    try:
        sock = socket.create_connection((host, int(port)), 20)
    except ConnectionResetError:  # it was there, and gone before we woke up
        tell(ended="RST")
    else:
        lines(sock)


def lines(sock: socket.socket) -> None:
    def send() -> None:
        for line in sys.stdin:
            try:
                sock.sendall(line.encode())
            except OSError:
                return

    Thread(target=send, daemon=True).start()
    sock.settimeout(60)
    try:
        while piece := sock.recv(1 << 16):
            tell(received=piece.decode())
        tell(ended="FIN")
    except ConnectionResetError:
        tell(ended="RST")
    os._exit(0)  # whoever reads stdin is left behind


def main(what: str, *words: str) -> None:
    parts = {
        "csms": csms,
        "station": station,
        "csms-bytes": csms_bytes,
        "station-bytes": station_bytes,
        "csms-lines": csms_lines,
        "station-lines": station_lines,
    }
    result = parts[what](*words)
    if result is not None:
        asyncio.run(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
