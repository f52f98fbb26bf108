"""A proxy in this process with raw sockets on both of its sides, and its recording read back by a parser of its own.

The parser shares no code with what writes: it knows pcapng blocks, Ethernet, IP and TCP, and is strict. Whatever is
not as it should be (a cut block, a wrong checksum, a hole in the sequence numbers) is an error, unless asked for.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ocppscope.acts import Act, act_of
from ocppscope.control import State
from ocppscope.model import Side
from ocppscope.proxy.config import Address, Config, Recording
from ocppscope.proxy.server import Server

T = TypeVar("T")

STATION, CSMS = Side.STATION, Side.CSMS
DEADLINE = 30.0
"""Seconds after which a test that waits has failed."""
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


def until(met: Callable[[], T], what: str = "it", seconds: float = DEADLINE) -> T:
    """Waits until something is true, and gives it."""
    end = time.monotonic() + seconds
    while not (found := met()):
        assert time.monotonic() < end, f"{what} did not come within {seconds:g} s"
        time.sleep(0.005)
    return found


class Hosted:
    """A `Server` that runs in a thread, in an event loop of its own, until the `with` block ends."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.told: list[Any] = []
        self.loop = asyncio.new_event_loop()
        self.complaints: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: self.complaints.append(context))
        self.server = Server(config, self.told.append)
        self._thread = threading.Thread(target=self._run, name="proxy")
        self._failure: BaseException | None = None

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self.server.run())
        except BaseException as error:
            self._failure = error
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    def __enter__(self) -> Hosted:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._thread.start()
        until(lambda: self.told or self._failure, "the proxy")
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        if self._failure is not None:
            self.server._spool.close()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.server.stop)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the proxy does not end"
        if self._failure is not None:
            raise self._failure
        assert self.complaints == []
        assert "Unexpected" not in self.said

    def call(self, ask: Callable[[], T]) -> T:
        """Runs something in the proxy's loop."""

        async def run() -> T:
            return ask()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(DEADLINE)

    @property
    def where(self) -> tuple[str, int]:
        """Where stations connect."""
        return self.config.listen.host, int(self.state.listening.rpartition(":")[2])

    @property
    def path(self) -> Path:
        return Path(self.config.recording.path)

    @property
    def state(self) -> State:
        """How it is, as it told last."""
        return next(one for one in reversed(self.told) if isinstance(one, State))

    @property
    def said(self) -> str:
        return "\n".join(one.text for one in self.told if type(one).__name__ == "Said")

    @property
    def open(self) -> int:
        """Connections that it holds."""
        return len(self.server._pairings)

    def idle(self) -> None:
        """Waits until it holds no connection."""
        until(lambda: not self.open, "the end of all connections")


class Upstream:
    """A listening socket that stands for the CSMS."""

    def __init__(self, host: str = "127.0.0.1", *, receive_buffer: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((host, 0))
        self.sock.listen(1024)
        self.sock.settimeout(DEADLINE)
        self.address = Address(host, self.sock.getsockname()[1])

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def accept(self) -> socket.socket:
        sock, _ = self.sock.accept()
        sock.settimeout(DEADLINE)
        return sock


def connect(where: tuple[str, int], *, receive_buffer: int = 0) -> socket.socket:
    """A station."""
    sock = socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(DEADLINE)
    try:
        sock.connect(where)
    except OSError:
        sock.close()
        raise
    return sock


class Pair(NamedTuple):
    """A station and the CSMS, with the proxy between. Usable as `pair[side]`."""

    station: socket.socket
    csms: socket.socket

    def close(self) -> None:
        for sock in self:
            sock.close()


class Stand:
    """A proxy, and the CSMS behind it."""

    def __init__(self, proxy: Hosted, upstream: Upstream) -> None:
        self.proxy, self.upstream = proxy, upstream
        self.pairs: list[Pair] = []

    def pair(self, *, receive_buffer: int = 0) -> Pair:
        station = connect(self.proxy.where, receive_buffer=receive_buffer)
        self.pairs.append(Pair(station, self.upstream.accept()))
        return self.pairs[-1]

    def recorded(self, path: Path | None = None) -> list[Talk]:
        return talks(path or self.proxy.path)


@contextmanager
def stand(directory: Path, host: str = "127.0.0.1", **given: Any) -> Iterator[Stand]:
    """A proxy on a free port, with a recording in `directory`; `record` and `rotate` go to `Recording`."""
    count = len(list(directory.iterdir()))
    recording = Recording(
        str(directory / f"recording{count}.pcapng"), given.pop("record", ""), **given.pop("rotate", {})
    )
    with Upstream(host, receive_buffer=given.pop("receive_buffer", 0)) as upstream:
        config = Config(given.pop("listen", Address(host, 0)), recording, given.pop("to", upstream.address), **given)
        with Hosted(config) as proxy:
            made = Stand(proxy, upstream)
            try:
                yield made
            finally:
                for pair in made.pairs:
                    pair.close()


# --- what sockets say -----------------------------------------------------------------------------------------------


def read(sock: socket.socket, count: int) -> bytes:
    """Exactly so many bytes."""
    got = bytearray()
    while len(got) < count:
        piece = sock.recv(min(1 << 16, count - len(got)))
        assert piece, f"it ended after {len(got)} of {count} bytes"
        got += piece
    return bytes(got)


class Rest(NamedTuple):
    """All that a peer sent, and how it ended."""

    data: bytes
    how: str


def rest(sock: socket.socket) -> Rest:
    """Reads to the end."""
    got = bytearray()
    try:
        while piece := sock.recv(1 << 16):
            got += piece
    except ConnectionResetError:
        return Rest(bytes(got), "RST")
    return Rest(bytes(got), "FIN")


def reset(sock: socket.socket) -> None:
    """Ends a connection by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def silent(sock: socket.socket, seconds: float = 0.2) -> bool:
    """Whether nothing comes, not even an end."""
    sock.settimeout(seconds)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    except OSError:
        return False
    finally:
        sock.settimeout(DEADLINE)
    return False


# --- the recording, read back ---------------------------------------------------------------------------------------


class Packet(NamedTuple):
    """A packet of a recording, its headers verified."""

    time_ns: int
    source: tuple[str, int]
    destination: tuple[str, int]
    seq: int
    ack: int
    flags: int
    data: bytes
    comment: str


def blocks(path: Path, *, allow_cut: bool = False) -> Iterator[tuple[int, bytes]]:
    """The blocks of a little-endian pcapng file: type and body."""
    held = path.read_bytes()
    at = 0
    while at < len(held):
        kind, size = struct.unpack_from("<II", held, at) if len(held) - at >= 12 else (0, len(held))
        if at + size > len(held) or not kind:
            assert allow_cut, f"{path.name} is cut within a block at {at}"
            return
        assert size % 4 == 0
        assert struct.unpack_from("<I", held, at + size - 4) == (size,)
        yield kind, held[at + 8 : at + size - 4]
        at += size


def packets(path: Path, *, allow_cut: bool = False) -> list[Packet]:
    """The packets of a recording."""
    found = []
    for number, (kind, body) in enumerate(blocks(path, allow_cut=allow_cut)):
        assert kind == (0x0A0D0D0A, 1)[number] if number < 2 else kind == 6
        if kind != 6:
            continue
        interface, high, low, kept, length = struct.unpack_from("<IIIII", body)
        assert interface == 0
        assert kept == length
        padded = 20 + (kept + 3 & ~3)
        comment = ""
        if len(body) > padded:
            code, size = struct.unpack_from("<HH", body, padded)
            assert code == 1
            comment = body[padded + 4 : padded + 4 + size].decode()
        found.append(_dissect(high << 32 | low, body[20 : 20 + kept], comment))
    return found


def _dissect(time_ns: int, frame: bytes, comment: str) -> Packet:
    kind = int.from_bytes(frame[12:14])
    if kind == 0x0800:
        assert frame[14] == 0x45
        assert _sum(frame[14:34]) == 0xFFFF, "the checksum of the IP header"
        assert int.from_bytes(frame[16:18]) == len(frame) - 14
        source, destination, tcp = frame[26:30], frame[30:34], frame[34:]
    else:
        assert kind == 0x86DD
        assert int.from_bytes(frame[18:20]) == len(frame) - 54
        source, destination, tcp = frame[22:38], frame[38:54], frame[54:]
    pseudo = source + destination + struct.pack("!II", len(tcp), 6)
    assert _sum(pseudo + tcp) == 0xFFFF, "the checksum of TCP"
    here, there, seq, ack, offset, flags, window = struct.unpack_from("!HHIIBBH", tcp)
    assert offset == 0x50
    assert window
    return Packet(
        time_ns,
        (str(ip_address(source)), here),
        (str(ip_address(destination)), there),
        seq,
        ack,
        flags,
        tcp[20:],
        comment,
    )


def _sum(data: bytes) -> int:
    """RFC 1071, word by word."""
    total = sum(struct.unpack(f"!{len(data + bytes(len(data) % 2)) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Talk:
    """One TCP connection of a recording, checked as it is put together. `sent`, `ends` are by side.

    With `gaps` holes are counted in `lost` instead of being errors, and it may begin in the middle.
    """

    def __init__(self, first: Packet, *, gaps: bool = False) -> None:
        self.ends = (first.source, first.destination) if first.flags & ACK == 0 or not gaps else None
        self.station, self.csms = first.source, first.destination
        self.sent = [bytearray(), bytearray()]
        self.over = ["", ""]  # by side: "FIN", or "RST" for who sent it
        self.packets: list[tuple[Side, Packet]] = []
        self.lost = [0, 0]
        self._gaps = gaps
        self._next: list[int | None] = [None, None]

    @property
    def acts(self) -> list[Act]:
        found = [act_of(packet.comment) for _, packet in self.packets if packet.comment]
        assert all(found), "a comment that is no act"
        return [act for act in found if act]

    def pieces(self, side: Side) -> list[bytes]:
        return [packet.data for who, packet in self.packets if who is side and packet.data]

    def add(self, packet: Packet) -> None:
        side = STATION if packet.source == self.station else CSMS
        assert not self.packets or packet.time_ns >= self.packets[-1][1].time_ns, "time goes backwards"
        expected, other = self._next[side], self._next[side.other]
        if expected is not None and packet.seq != expected:
            assert self._gaps, f"a hole before {packet}"
            self.lost[side] += packet.seq - expected & 0xFFFFFFFF
        if packet.flags & ACK and not self._gaps:
            assert packet.ack == other, f"acknowledges what was not sent: {packet}"
        assert not self.over[side] or not packet.data, "data after the end"
        self._next[side] = packet.seq + len(packet.data) + bool(packet.flags & (SYN | FIN)) & 0xFFFFFFFF
        if packet.flags & (FIN | RST):
            self.over[side] = "RST" if packet.flags & RST else "FIN"
        self.sent[side] += packet.data
        self.packets.append((side, packet))


def talks(path: Path, *, gaps: bool = False, allow_cut: bool = False) -> list[Talk]:
    """The connections of a recording, in the order in which they begin."""
    found: list[Talk] = []
    current: dict[frozenset[tuple[str, int]], Talk] = {}
    for packet in packets(path, allow_cut=allow_cut):
        key = frozenset((packet.source, packet.destination))
        if packet.flags & (SYN | ACK) == SYN or key not in current:
            assert gaps or packet.flags & SYN, "it begins without a handshake"
            current[key] = Talk(packet, gaps=gaps)
            found.append(current[key])
        current[key].add(packet)
    return found


@contextmanager
def small_files(size: int) -> Iterator[Callable[[], None]]:
    """No file may grow beyond `size`, as on a full disk, until what is given is called. Python ignores SIGXFSZ."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def relieve() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield relieve
    finally:
        relieve()
