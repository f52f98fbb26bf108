"""OCPP in TLS, as packets: handshakes of OpenSSL, and records and segments as a test wants them."""

from __future__ import annotations

import json
import ssl
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ocppscope.model import PacketBlock
from ocppscope.wire.decrypt import keys
from ocppscope.wire.frames import RSV1

sys.path.insert(0, str(Path(__file__).parent / "wire"))
from support_frames import MASK, Deflater, frame
from support_packets import Session, block
from upgrades import request, response

PEM = Path(__file__).parents[1] / "captures" / "tls" / "rsa.pem"
ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23
GCM, CBC = "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"
KEY_UPDATE = bytes([24, 0, 0, 1, 0])
CLOSE_NOTIFY = bytes([1, 0])
DEFLATE = "permessage-deflate"


def text(side: int, payload: bytes) -> bytes:
    """A frame with a text, of the station (side 0, masked) or of the CSMS."""
    return frame(payload, mask=b"" if side else MASK)


def squeezed(side: int, payload: bytes, deflater: Deflater) -> bytes:
    """The same, compressed."""
    return frame(deflater.message(payload), rsv=RSV1, mask=b"" if side else MASK)


def call(number: int, padding: int = 0) -> bytes:
    """A CALL of the station."""
    if padding:
        return json.dumps([2, f"id-{number}", "DataTransfer", {"vendorId": "v", "data": "x" * padding}]).encode()
    return json.dumps([2, f"id-{number}", "Heartbeat", {}]).encode()


def answer(number: int, padding: int = 0) -> bytes:
    """What the CSMS says to it."""
    payload = {"status": "Accepted"} if padding else {"currentTime": "2026-11-22T10:00:00Z"}
    return json.dumps([3, f"id-{number}", payload]).encode()


# --- TLS ------------------------------------------------------------------------------------------------------------


class OpenSsl:
    """Both ends of a connection of OpenSSL's; `seal` gives the records of one end, one for each plaintext."""

    def __init__(self, version: ssl.TLSVersion, cipher: str = "") -> None:
        ways = (ssl.MemoryBIO(), ssl.MemoryBIO())  # to the server, to the client
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        server.load_cert_chain(PEM)
        server.num_tickets = 0
        for context in (server, client):
            context.minimum_version = context.maximum_version = version
            if cipher:
                context.set_ciphers(f"{cipher}:@SECLEVEL=0")
        with tempfile.TemporaryDirectory() as scratch:
            client.keylog_filename = f"{scratch}/keys"
            self._ways = ways
            self._ends = (client.wrap_bio(ways[1], ways[0]), server.wrap_bio(ways[0], ways[1], server_side=True))
            self.handshake = list(self._agreed())
            self.keys = Path(f"{scratch}/keys").read_bytes()
            client.keylog_filename = None

    def _agreed(self) -> Iterable[tuple[int, bytes]]:
        waiting = {0, 1}
        while waiting:
            for side in (0, 1):
                with suppress(ssl.SSLWantReadError):
                    self._ends[side].do_handshake()
                    waiting.discard(side)
                yield side, self._sent(side)

    def _sent(self, side: int) -> bytes:
        wire = self._ways[side].read()
        self._ways[side].write(wire)
        return wire

    def seal(self, side: int, *plains: bytes) -> list[bytes]:
        found = []
        for plain in plains:
            self._ends[side].write(plain)
            found.append(self._sent(side))
            assert self._ends[1 - side].read(1 << 15) == plain
        return found

    def close(self, side: int) -> bytes:
        with suppress(ssl.SSLWantReadError):
            self._ends[side].unwrap()
        return self._sent(side)


class Own13:
    """The records of TLS 1.3 behind a handshake of OpenSSL's, sealed here (RFC 8446 §5.2)."""

    def __init__(self) -> None:
        agreed = OpenSsl(ssl.TLSVersion.TLSv1_3)
        self.handshake, self.keys = agreed.handshake, agreed.keys
        found = {
            line.split()[0]: bytes.fromhex(line.split()[2].decode())
            for line in self.keys.splitlines()
            if line[:1] != b"#"
        }
        self._secrets = [found[b"CLIENT_TRAFFIC_SECRET_0"], found[b"SERVER_TRAFFIC_SECRET_0"]]
        self._seq = [0, 0]

    def one(self, side: int, plain: bytes, kind: int = APPLICATION_DATA, padding: int = 0, version: int = 3) -> bytes:
        key, iv = keys.traffic_key("sha384", self._secrets[side], 32)
        inner = plain + bytes([kind]) + bytes(padding)
        header = bytes([APPLICATION_DATA, 3, version]) + (len(inner) + 16).to_bytes(2, "big")
        nonce = (int.from_bytes(iv, "big") ^ self._seq[side]).to_bytes(12, "big")
        self._seq[side] += 1
        return header + AESGCM(key).encrypt(nonce, inner, header)

    def seal(self, side: int, *plains: bytes) -> list[bytes]:
        return [self.one(side, plain) for plain in plains]

    def update(self, side: int) -> bytes:
        wire = self.one(side, KEY_UPDATE, HANDSHAKE)
        self._secrets[side] = keys.next_secret("sha384", self._secrets[side])
        self._seq[side] = 0
        return wire

    def close(self, side: int) -> bytes:
        return self.one(side, CLOSE_NOTIFY, ALERT)


class Talk:
    """A connection as packets: `say` takes segments, each a side and its bytes."""

    def __init__(self, peer: OpenSsl | Own13, deflate: str = "") -> None:
        self.peer = peer
        self.session = Session().open()
        for side, wire in peer.handshake:
            if wire:
                self.session.send(side, wire)
        extensions = {"sec_websocket_extensions": deflate} if deflate else {}
        for side, plain in enumerate((request(**extensions), response(**extensions))):
            self.say(side, *peer.seal(side, plain))

    def say(self, side: int, *segments: bytes) -> None:
        for segment in segments:
            self.session.send(side, segment)

    def packets(self) -> PacketBlock:
        return block(self.session.packets)
