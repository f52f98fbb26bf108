"""A real station library and a real CSMS library, through the proxy: what they say they did is what was recorded."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import ocpp.v16
import ocpp.v21
import ocpp.v201
import pytest
from ocpp.routing import on
from support_pki import Pki, client_end, server_end
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from ocppscope.proxy.authority import Authority
from ocppscope.proxy.config import LEGS, SESSION, Address, Config, Recording
from ocppscope.proxy.contexts import TlsSettings
from proxy.support_proxy import CSMS, DEADLINE, STATION, Hosted, until
from support_engine import Run, run

NOW = "2026-11-22T10:00:00Z"
BOOT16 = {"charge_point_vendor": "V", "charge_point_model": "M"}
BOOT2 = {"charging_station": {"vendor_name": "V", "model": "M"}, "reason": "PowerUp"}


class Kind(NamedTuple):
    """An OCPP version as the library has it."""

    subprotocol: str
    module: Any
    boot: dict[str, Any]
    reset: dict[str, Any]


KINDS = {
    "1.6": Kind("ocpp1.6", ocpp.v16, BOOT16, {"type": "Soft"}),
    "2.0.1": Kind("ocpp2.0.1", ocpp.v201, BOOT2, {"type": "Immediate"}),
    "2.1": Kind("ocpp2.1", ocpp.v21, BOOT2, {"type": "Immediate"}),
}


def request(kind: Kind, action: str, **fields: Any) -> Any:
    """A CALL, whatever the library's release calls its class."""
    return getattr(kind.module.call, action)(**fields)


class Diary:
    """A WebSocket that writes down what its owner sends and receives."""

    def __init__(self, websocket: Any) -> None:
        self.websocket = websocket
        self.sent: list[str] = []
        self.received: list[str] = []

    async def recv(self) -> str:
        text = await self.websocket.recv()
        self.received.append(text)
        return str(text)

    async def send(self, text: str) -> None:
        self.sent.append(text)
        await self.websocket.send(text)


def peer(kind: Kind) -> Any:
    """A class that answers whatever the other side of these tests asks."""

    class Peer(kind.module.ChargePoint):  # type: ignore[misc,name-defined]
        @on("BootNotification")
        async def on_boot(self, **_: Any) -> Any:
            return kind.module.call_result.BootNotification(current_time=NOW, interval=300, status="Accepted")

        @on("Heartbeat")
        async def on_heartbeat(self, **_: Any) -> Any:
            return kind.module.call_result.Heartbeat(current_time=NOW)

        @on("Reset")
        async def on_reset(self, **_: Any) -> Any:
            return kind.module.call_result.Reset(status="Accepted")

        @on("DataTransfer")
        async def on_data(self, **_: Any) -> Any:
            return kind.module.call_result.DataTransfer(status="Accepted", data="ü" * 500)

    return Peer


class Session(NamedTuple):
    """What both libraries wrote down."""

    station: Diary
    csms: Diary
    certificate: dict[str, Any] | None


async def session(
    kind: Kind, proxy: Hosted, csms: socket.socket, *, compressed: bool, tls: tuple[Any, Any] = (None, None)
) -> Session:
    """Boot, some traffic both ways, an error, a close by the station."""
    came: list[tuple[Diary, Any]] = []
    done = asyncio.Event()

    async def handler(websocket: Any) -> None:
        secure = websocket.transport.get_extra_info("ssl_object")
        came.append((Diary(websocket), secure.getpeercert() if secure else None))
        point = peer(kind)("CP-1", came[0][0])
        talk = asyncio.create_task(point.start())
        await done.wait()
        assert (await point.call(request(kind, "Reset", **kind.reset))).status == "Accepted"
        with suppress(Exception):
            await talk

    packing = "deflate" if compressed else None
    protocols: Any = [kind.subprotocol]
    async with serve(handler, sock=csms, subprotocols=protocols, compression=packing, ssl=tls[1]):
        host, port = proxy.where
        url = f"{'wss' if tls[0] else 'ws'}://{host}:{port}/ocpp/CP-1"
        async with connect(url, subprotocols=protocols, compression=packing, ssl=tls[0], proxy=None) as websocket:
            assert websocket.subprotocol == kind.subprotocol
            assert bool(websocket.protocol.extensions) == compressed
            diary = Diary(websocket)
            point = peer(kind)("CP-1", diary)
            talk = asyncio.create_task(point.start())
            assert (await point.call(request(kind, "BootNotification", **kind.boot))).status == "Accepted"
            for _ in range(20):
                assert (await point.call(request(kind, "Heartbeat"))).current_time == NOW
            answer = await point.call(request(kind, "DataTransfer", vendor_id="v", data="é" * 40_000), suppress=False)
            assert answer.data == "ü" * 500
            await (await websocket.ping(b"are you there"))
            before = len(diary.sent)
            done.set()
            while len(diary.sent) == before:
                await asyncio.sleep(0.005)
            await websocket.close(1000, "done")
            with suppress(Exception):
                await talk
    return Session(diary, *came[0])


def upstream() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=100)


def config(
    directory: Path, csms: socket.socket, *, secure: tuple[bool, bool] = (False, False), **given: Any
) -> Config:
    record = given.pop("record", SESSION)
    listen, to = Address("127.0.0.1", 0, secure[0]), Address("127.0.0.1", csms.getsockname()[1], secure[1])
    return Config(listen, Recording(str(directory / "recording.pcapng"), record), to, **given)


def compare(held: Session, decoded: Run, kind: Kind, *, compressed: bool) -> None:
    """The recording says what the libraries say."""
    first = min(decoded.connections.values(), key=lambda one: one.number)
    assert first.station == "CP-1"
    assert first.handshake is not None
    assert first.handshake.protocol == kind.subprotocol
    assert (first.close_how, first.close_code, first.closed_by) == ("close frame", 1000, STATION)
    for connection in decoded.connections.values():
        for side, (sender, receiver) in {
            STATION: (held.station, held.csms),
            CSMS: (held.csms, held.station),
        }.items():
            messages = decoded.of(connection.number, side)
            assert [message.text.decode() for message in messages] == sender.sent == receiver.received
            assert {message.compressed for message in messages} == {compressed}
            assert all(not message.problems for message in messages), [message.problems for message in messages]
    assert decoded.gaps == []
    assert any(message.latency_ns is not None for message in decoded.messages)


@pytest.mark.parametrize("record", [SESSION, LEGS])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("version", KINDS)
def test_ws(tmp_path: Path, version: str, compressed: bool, record: str):
    kind = KINDS[version]
    with upstream() as csms:
        wanted = config(tmp_path, csms, record=record)
        with Hosted(wanted) as proxy:
            held = asyncio.run(asyncio.wait_for(session(kind, proxy, csms, compressed=compressed), DEADLINE))
            proxy.idle()
        decoded = run(Path(wanted.recording.path))
    assert len(held.station.sent) == 23
    assert len(held.csms.sent) == 23
    assert len(decoded.connections) == (2 if record == LEGS else 1)
    compare(held, decoded, kind, compressed=compressed)


@pytest.mark.parametrize("secure", [(True, False), (False, True), (True, True)], ids=["wss-ws", "ws-wss", "wss-wss"])
@pytest.mark.parametrize("version", KINDS)
def test_wss(tmp_path: Path, version: str, secure: tuple[bool, bool]):
    """TLS on each side by itself: a certificate of the proxy's own authority, and a CSMS that is verified."""
    kind = KINDS[version]
    pki = Pki(_directory(tmp_path, "pki"))
    authority = Authority.open(str(tmp_path / "ca"))
    root = pki.write("proxy.pem", authority.certificate_pem.encode())
    settings = TlsSettings(authority=str(tmp_path / "ca"), csms_ca=pki.root)
    station = client_end(root=root) if secure[0] else None
    server = server_end(pki.leaf("127.0.0.1")) if secure[1] else None
    with upstream() as csms:
        wanted = config(tmp_path, csms, secure=secure, tls=settings)
        with Hosted(wanted) as proxy:
            talk = session(kind, proxy, csms, compressed=True, tls=(station, server))
            held = asyncio.run(asyncio.wait_for(talk, DEADLINE))
            proxy.idle()
            link = next(one.link for one in reversed(proxy.told) if hasattr(one, "link"))
            assert link.tls == secure
            assert link.version == kind.subprotocol
            assert link.station == "CP-1"
        decoded = run(tmp_path / "recording.pcapng")
    compare(held, decoded, kind, compressed=True)


def test_certificates_of_clients_both_ways(tmp_path: Path):
    """Security profile 3: the station shows one to the proxy, the proxy one to the CSMS; both are asked for."""
    kind = KINDS["2.0.1"]
    pki, stations = Pki(_directory(tmp_path, "pki")), Pki(_directory(tmp_path, "stations"), "a root of stations")
    authority = Authority.open(str(tmp_path / "ca"))
    root = pki.write("proxy.pem", authority.certificate_pem.encode())
    ours = pki.leaf("the proxy", use="client")
    settings = TlsSettings(
        authority=str(tmp_path / "ca"), client_certificates="require", client_ca=stations.root,
        csms_ca=pki.root, csms_certificate=ours.certificate, csms_key=ours.key,
    )  # fmt: skip
    server = server_end(pki.leaf("127.0.0.1"), root=pki.root)
    with upstream() as csms:
        wanted = config(tmp_path, csms, secure=(True, True), tls=settings)
        assert wanted.to is not None
        with Hosted(wanted) as proxy:
            shown = client_end(root=root, pair=stations.leaf("CP-1", use="client"))
            held = asyncio.run(
                asyncio.wait_for(session(kind, proxy, csms, compressed=True, tls=(shown, server)), DEADLINE)
            )
            proxy.idle()
            assert held.certificate is not None
            assert held.certificate["subject"] == ((("commonName", "the proxy"),),)
            refusal = pytest.raises((ssl.SSLError, ConnectionResetError))
            with socket.create_server(("127.0.0.1", wanted.to.port)), socket.create_connection(proxy.where) as bare:
                with refusal:
                    _shakes_hands(client_end(root=root), bare)
                until(lambda: "TLS with the station failed" in proxy.said, "a sentence")
            proxy.idle()
        decoded = run(tmp_path / "recording.pcapng")
    compare(held, decoded, kind, compressed=True)


def _shakes_hands(context: ssl.SSLContext, sock: socket.socket) -> None:
    """In TLS 1.3 a client hears only afterwards that its certificate is missed."""
    sock.settimeout(DEADLINE)
    with context.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped:
        wrapped.recv(1)


def test_plain_http_on_a_wss_port(tmp_path: Path):
    """It is told what it did in the recording; others are served."""
    Authority.open(str(tmp_path / "ca"))
    with upstream() as csms:
        wanted = config(tmp_path, csms, secure=(True, False), tls=TlsSettings(authority=str(tmp_path / "ca")))
        with Hosted(wanted) as proxy:
            with socket.create_connection(proxy.where) as sock:
                sock.settimeout(DEADLINE)
                sock.sendall(b"GET /ocpp/CP HTTP/1.1\r\nHost: x\r\n\r\n")
                with suppress(ConnectionResetError):
                    while sock.recv(1000):
                        pass
            until(lambda: "TLS with the station failed" in proxy.said, "a sentence")
            proxy.idle()
            assert proxy.complaints == []


def _directory(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name
