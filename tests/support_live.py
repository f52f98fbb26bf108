"""A network namespace with a veth pair of its own, and what goes through it."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NEAR, FAR = "ocsnear", "ocsfar"
NEAR_ADDRESS, FAR_ADDRESS = "10.214.0.1", "10.214.0.2"
_NEW_NETWORK = 0x40000000


@contextmanager
def namespace() -> Iterator[None]:
    """This thread, and what it starts, is in a namespace with a pair of interfaces and loopback, all up."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", encoding="ascii") as home:
        if libc.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            ip("link", "add", NEAR, "type", "veth", "peer", "name", FAR)
            for name in (NEAR, FAR, "lo"):
                Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")  # its chatter is not ours
                ip("link", "set", name, "up")
            ip("addr", "add", f"{NEAR_ADDRESS}/24", "dev", NEAR)
            yield
        finally:
            if libc.setns(home.fileno(), _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True)


def frame(number: int, *tags: int, size: int = 60, port: int = 9) -> bytes:
    """A datagram that carries its number, within VLANs or not."""
    payload = struct.pack("!I", number) + bytes(size - 4)
    udp = struct.pack("!HHHH", 5000, port, 8 + len(payload), 0)
    ends = socket.inet_aton(NEAR_ADDRESS) + socket.inet_aton(FAR_ADDRESS)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), number & 0xFFFF, 0, 64, 17, 0) + ends
    outer = b"".join(struct.pack("!HH", 0x8100, tag) for tag in tags)
    return b"\xff" * 6 + bytes.fromhex("020000000001") + outer + b"\x08\x00" + header + udp + payload


def send(frames: list[bytes], interface: str = NEAR) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((interface, 0))
        for one in frames:
            out.send(one)


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits for it; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
