"""Makes captures that are meant to hurt, and runs the tool over them in a process with bounded memory and time."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from support_captures import pcap_header
from support_cli import ACK, START_NS, SYN, Session, frame

MEASURED = Path(__file__).with_name("measured.py")
CEILING_MB = 500
"""Memory that nothing may take."""
ADDRESS_SPACE_MB = 4096
"""Address space of a process under test: a bomb that gets through ends there, and not with the machine."""
CPU_SECONDS = 60
"""CPU time after which a process under test is ended: it hangs."""
WALL_SECONDS = 300
FIN = 0x01
MILLISECOND = 1_000_000


class Ran(NamedTuple):
    """How one command line ended. `out` and `err` are cut to 4 MB."""

    code: int
    cpu: float
    peak_mb: float
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


def measure(directory: Path, *commands: Iterable[str | Path], cpu_seconds: int = CPU_SECONDS) -> list[Ran]:
    """Command lines, one after the other in one process; asserts that none crashes, hangs or takes too much."""
    lines = [[str(word) for word in words] for words in commands]
    environment = os.environ | {"XDG_CONFIG_HOME": str(directory), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(MEASURED), str(ADDRESS_SPACE_MB), str(cpu_seconds)],
        input=json.dumps(lines), cwd=directory, env=environment, capture_output=True, text=True,
        timeout=WALL_SECONDS, check=False,
    )  # fmt: skip
    costs = [json.loads(line) for line in done.stdout.splitlines()]
    found = []
    for number, (code, cpu, peak) in enumerate(costs):
        found.append(Ran(code, cpu, peak, *(_head(directory / f"{name}.{number}") for name in ("out", "err"))))
    assert len(found) == len(lines), f"{lines[len(found)]} ended with {done.returncode}: {done.stderr[-500:]}"
    for words, ran in zip(lines, found, strict=True):
        assert ran.code in (0, 1, 2, 3), (words, ran.code, ran.err[-500:])
        assert "Traceback" not in ran.err, ran.err[-2000:]
        assert ran.peak_mb < CEILING_MB, (words, ran.peak_mb)
    return found


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(4 << 20).decode(errors="replace")


def through(directory: Path, path: Path, *, tools: tuple[str, ...] = ("log", "diagnose", "store")) -> list[Ran]:
    """A capture through the tools that read one."""
    return measure(directory, *((tool, path) for tool in tools))


# --- packets ----------------------------------------------------------------------------------------------------


def ip4(number: int) -> bytes:
    """An address of 10.0.0.0/8."""
    return struct.pack(">I", 0x0A000000 | number)


def tcp_packet(
    source: tuple[int, int], target: tuple[int, int], seq: int, ack: int, flags: int, data: bytes = b""
) -> bytes:
    """An Ethernet packet with one TCP segment; ends are (number of an address, port)."""
    tcp = struct.pack(">HHIIBBHHH", source[1], target[1], seq, ack, 0x50, flags, 1000, 0, 0) + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + ip4(source[0]) + ip4(target[0])
    return bytes(12) + b"\x08\x00" + head + tcp


def record(time_ns: int, data: bytes) -> bytes:
    """One packet of a pcap file with nanoseconds."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return struct.pack("<IIII", seconds, nanoseconds, len(data), len(data)) + data


def write_packets(
    path: Path, packets: Iterable[bytes], *, start_ns: int = START_NS, step_ns: int = MILLISECOND
) -> Path:
    """A pcap file of Ethernet packets, one each `step_ns`."""
    with path.open("wb") as file:
        file.write(pcap_header(nanoseconds=True))
        for number, data in enumerate(packets):
            file.write(record(start_ns + number * step_ns, data))
    return path


def write_session(path: Path, *sessions: Session) -> Path:
    """A capture of sessions, in order of time."""
    packets = sorted((packet for one in sessions for packet in one.packets), key=lambda packet: packet.time_ns)
    with path.open("wb") as file:
        file.write(pcap_header(nanoseconds=True))
        file.writelines(record(packet.time_ns, packet.data) for packet in packets)
    return path


def ordinary(session: Session, number: int = 0) -> Session:
    """One exchange that says that reading went on."""
    return session.say(0, f'[2,"after-{number}","Heartbeat",{{}}]').say(
        1, f'[3,"after-{number}",{{"currentTime":"2026-11-22T12:00:00Z"}}]'
    )


def deflated(text: bytes) -> bytes:
    """A text as permessage-deflate sends it (RFC 7692 §7.2.1)."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (squeezer.compress(text) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def zeros_deflated(megabytes: int) -> bytes:
    """That many megabytes of NULs, as permessage-deflate sends them."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = squeezer.compress(bytes(1 << 20)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return (one * megabytes)[:-4]


def compressed_session(path: str = "/ocpp/CP-1") -> Session:
    """An upgrade that agrees on permessage-deflate."""
    return Session().upgrade(path, "ocpp1.6\r\nSec-WebSocket-Extensions: permessage-deflate")


def fragments(texts: Iterable[bytes], *, masked: bool, rsv1: bool = False) -> Iterator[bytes]:
    """The frames of one message, a text each."""
    pieces = list(texts)
    for number, text in enumerate(pieces):
        made = bytearray(frame(text, masked=masked, opcode=0 if number else 1))
        made[0] = (0x80 if number == len(pieces) - 1 else 0) | (0x40 if rsv1 and not number else 0) | (made[0] & 0x0F)
        yield bytes(made)


__all__ = ["ACK", "FIN", "MILLISECOND", "START_NS", "SYN", "Ran", "Session"]
