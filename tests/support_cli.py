"""Runs the command line in this process, and makes captures of sessions that say what a test wishes."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from ocppscope.cli.main import cli, exit_code
from support_captures import Packet, pcap_bytes

CAPTURES = Path(__file__).parents[1] / "captures"
GOLDENS = Path(__file__).parent / "cli" / "goldens"
UPDATE = bool(os.environ.get("OCPPSCOPE_UPDATE_GOLDENS"))
"""Set, goldens are written anew instead of compared; look at the difference before you commit it."""

START_NS = 1_795_348_800_000_000_000  # 2026-11-22 12:00:00 UTC
KEY = base64.b64encode(b"0123456789abcdef").decode()
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
SYN, ACK = 0x02, 0x10


class Done(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Terminal(io.TextIOWrapper):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@contextmanager
def streams(*, terminal: bool = False, stdin: bytes = b"") -> Iterator[tuple[io.BytesIO, io.StringIO]]:
    out, err = io.BytesIO(), io.StringIO()
    stdout = (Terminal if terminal else io.TextIOWrapper)(out, encoding="utf-8", newline="\n", write_through=True)
    reader = io.TextIOWrapper(io.BytesIO(stdin))
    with patch.object(sys, "stdout", stdout), patch.object(sys, "stderr", err), patch.object(sys, "stdin", reader):
        yield out, err
        stdout.flush()
        stdout.detach()


def run(*arguments: str | Path, terminal: bool = False, stdin: bytes = b"", width: int | None = None) -> Done:
    """`ocppscope ARGUMENTS`, with stdout a pipe unless it is a `terminal` of some `width`."""
    words = [str(word) for word in arguments]
    environment = {"COLUMNS": str(width)} if width else {}
    with patch.dict(os.environ, environment), streams(terminal=terminal, stdin=stdin) as (out, err):
        code = exit_code(lambda: cli.main(words, prog_name="ocppscope", standalone_mode=False))
    return Done(code, out.getvalue().decode(), err.getvalue())


def same_as_golden(name: str, text: str) -> None:
    """Compares with a reviewed file."""
    path = GOLDENS / name
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, newline="")
    assert text == path.read_bytes().decode()


# --- captures ---------------------------------------------------------------------------------------------------


def frame(payload: bytes, *, masked: bool, opcode: int = 1) -> bytes:
    """One final WebSocket frame; the mask is zero, which leaves the payload as it is."""
    size = len(payload)
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes([0x80 | opcode, bit | size])
    elif size < 65536:
        head = bytes([0x80 | opcode, bit | 126]) + struct.pack(">H", size)
    else:
        head = bytes([0x80 | opcode, bit | 127]) + struct.pack(">Q", size)
    return head + (bytes(4) if masked else b"") + payload


class Session:
    """A TCP connection from a station to a CSMS, written packet by packet, a millisecond apart."""

    def __init__(self, station: str = "10.0.0.1", port: int = 50000, csms: str = "10.0.0.2") -> None:
        self.ends = (station, csms)
        self.ports = (port, 9000)
        self.seq = [1000, 2000]
        self.packets: list[Packet] = []
        self.clock = START_NS
        self._send(0, b"", SYN)
        self._send(1, b"", SYN | ACK)

    def _send(self, side: int, data: bytes, flags: int = ACK) -> None:
        source, destination = (bytes(map(int, self.ends[end].split("."))) for end in (side, 1 - side))
        ports = struct.pack(">HH", self.ports[side], self.ports[1 - side])
        ack = self.seq[1 - side] if flags & ACK else 0
        tcp = ports + struct.pack(">IIBBHHH", self.seq[side], ack, 0x50, flags, 1000, 0, 0) + data
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + source + destination + tcp
        self.packets.append(Packet(self.clock, bytes(12) + b"\x08\x00" + ip))
        self.seq[side] += len(data) + bool(flags & SYN)
        self.clock += 1_000_000

    def send(self, side: int, data: bytes) -> Session:
        """Bytes of the station (0) or the CSMS (1), in segments of at most 32 KiB."""
        for at in range(0, len(data), 1 << 15):
            self._send(side, data[at : at + (1 << 15)])
        return self

    def upgrade(
        self, path: str = "/ocpp/CP-1", protocol: str = "ocpp1.6", key: str = KEY, accept: str = ACCEPT
    ) -> Session:
        head = f"GET {path} HTTP/1.1\r\nHost: csms\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        request = f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n"
        self.send(0, f"{request}{chosen}\r\n".encode())
        return self.send(1, f"{answer}Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n".encode())

    def say(self, side: int, *texts: str | bytes) -> Session:
        for text in texts:
            self.send(side, frame(text.encode() if isinstance(text, str) else text, masked=side == 0))
        return self


def write(path: Path, *sessions: Session) -> Path:
    """A capture of some sessions, in order of time."""
    packets: Iterable[Packet] = sorted(
        (packet for one in sessions for packet in one.packets), key=lambda p: p.time_ns
    )
    path.write_bytes(pcap_bytes(packets, nanoseconds=True))
    return path
