"""Raw sockets of live capture: opens an interface, with a filter in the kernel, and drains it; lists interfaces.

The only place that knows scapy, which opens the socket, compiles the filter with libpcap and knows the interfaces;
it dissects nothing. Nothing is written or decoded here. Linux only; for the sniffer's own process, and for lists.

Packets do not come through scapy's own `recv_raw`, which keeps times as floats, 240 ns off, but through a ring that
we share with the kernel, in 1 µs each; where there can be none, by recvmsg, in 4 µs. An interface that has no link
layer to speak of, and "any", which is none, are read in cooked mode: a header of type LINUX_SLL2 stands for it.
"""

# ruff: noqa: PLC0415 (scapy takes a third of a second to load)

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any, NamedTuple

from ocppscope.capture.live_ring import COOKED, OUTGOING, Packet, Ring
from ocppscope.errors import AccessError, CaptureError, UsageError

ANY = "any"
ETHERNET, RAW, SLL2 = 1, 101, 276
"""Link types as capture files count them."""

RECEIVE_BUFFER = 64 << 20
"""Without a ring: bytes of packets that may wait, with the kernel's overhead; less where we may not have so much."""
MAX_PACKET_BYTES = 1 << 18
MAX_DRAINED_BYTES = 1 << 20
"""What is taken from a socket at once, before it is written."""

_DLT_RAW = 12
_LINKTYPES = {1: ETHERNET, 772: ETHERNET, 519: RAW, 768: RAW, 769: RAW, 776: RAW, 0xFFFE: RAW}
"""By type of hardware (ARPHRD_); all others are read in cooked mode."""
_LOOPBACK_HARDWARE = 772
_GET_HARDWARE = 0x8927
_EVERY_PROTOCOL = 3
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 6, 8
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 26, 33, 35
_TAGGED, _TAG_PROTOCOL_KNOWN = 1 << 4, 1 << 6
_AUXILIARY = struct.Struct("IIIHHHH")
"""status, length on the wire, length kept, two offsets, VLAN tag, VLAN protocol (packet(7))."""
_TIME = struct.Struct("ll")
_TAG = struct.Struct("!HH")
_STATISTICS = struct.Struct("II")
_ANCILLARY_BYTES = 256
_REFUSE_ALL = struct.pack("HBBI", 6, 0, 0, 0)


class Interface(NamedTuple):
    """An interface that can be sniffed."""

    name: str
    is_up: bool
    addresses: tuple[str, ...]


def interfaces() -> list[Interface]:
    """All interfaces, those that are up first. Raises UsageError where scapy cannot say."""
    conf = _scapy()
    found = [
        Interface(one.name, bool(one.flags & 1), tuple(text for texts in one.ips.values() for text in texts))
        for one in conf.ifaces.values()
    ]
    return sorted(found, key=lambda one: (not one.is_up, one.name))


class Tap:
    """An open interface. `linktype` is that of its packets; they wait in the kernel until `drain`.

    Raises AccessError without the permission, UsageError for a wrong filter, CaptureError if it cannot be opened.
    """

    def __init__(
        self, name: str, *, bpf: str = "", snaplen: int = MAX_PACKET_BYTES, promiscuous: bool = True
    ) -> None:
        self.name = name
        self.received = self.dropped = 0
        self._buffer = bytearray(MAX_PACKET_BYTES)
        self._view = memoryview(self._buffer)
        self._ring: Ring | None = None
        self._loopbacks = _loopbacks()
        self.linktype = _linktype(name)
        self._tags = self.linktype == ETHERNET
        try:
            self._socket = _cooked(name) if self.linktype == SLL2 else _raw(name, promiscuous)
        except OSError as error:
            raise opening_error(name, error) from None
        try:
            self._prepare(bpf, snaplen)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise opening_error(name, error) from None
            raise

    def fileno(self) -> int:
        """What becomes readable when there are packets."""
        return self._socket.fileno()

    def drain(self) -> list[Packet]:
        """What has come, without waiting, up to `MAX_DRAINED_BYTES`. Raises OSError, ENETDOWN if it went down."""
        if self._ring is not None:
            if failed := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(failed, os.strerror(failed))
            return self._ring.drain(MAX_DRAINED_BYTES)
        found: list[Packet] = []
        left = MAX_DRAINED_BYTES
        receive, buffers, view = self._socket.recvmsg_into, [self._buffer], self._view
        loopbacks = self._loopbacks
        while left > 0:
            try:
                size, ancillary, _, address = receive(buffers, _ANCILLARY_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if address[2] == OUTGOING and address[0] in loopbacks:
                continue  # what is sent there is also received there
            left -= size
            found.append(self._packet(bytes(view[:size]), ancillary, address))
        return found

    def count(self) -> None:
        """Brings `received` and `dropped` up to date: packets that passed the filter, and those that were lost."""
        got = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        received, dropped = _STATISTICS.unpack(got)  # since it was last asked
        self.received += received
        self.dropped += dropped

    def refuse(self) -> None:
        """Lets nothing more come; what has come waits for `drain`."""
        _attach(self._socket, _REFUSE_ALL)

    def close(self) -> None:
        """Gives it back."""
        if self._ring is not None:
            self._ring.close()
        self._socket.close()

    def _packet(
        self, data: bytes, ancillary: list[tuple[int, int, bytes]], address: tuple[str, int, int, int, bytes]
    ) -> Packet:
        time_ns, length = 0, len(data)
        for level, kind, value in ancillary:
            if level == _SOL_PACKET and kind == _PACKET_AUXDATA:
                status, length, _, _, _, tag, protocol = _AUXILIARY.unpack(value)
                if self._tags and (tag or status & _TAGGED):
                    tag_bytes = _TAG.pack(protocol if status & _TAG_PROTOCOL_KNOWN else 0x8100, tag)
                    data = data[:12] + tag_bytes + data[12:]
                    length += 4
            elif level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIME.unpack(value)
                time_ns = seconds * 1_000_000_000 + nanoseconds
        if self.linktype == SLL2:
            data = _cooked_header(address) + data
            length += COOKED.size
        return Packet(time_ns or time.time_ns(), data, length)

    def _prepare(self, bpf: str, snaplen: int) -> None:
        """Sets the filter; what came before it was set, of other interfaces too, is thrown away."""
        own = self._socket
        program = _compiled(bpf, {RAW: _DLT_RAW, SLL2: _DLT_RAW}.get(self.linktype, self.linktype), snaplen)
        _attach(own, _REFUSE_ALL)
        with suppress(BlockingIOError):
            while True:
                own.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
        indices = frozenset(socket.if_nametoindex(name) for name in self._loopbacks)
        try:
            self._ring = Ring(own, is_cooked=self.linktype == SLL2, has_tags=self._tags, loopbacks=indices)
        except OSError:  # an old kernel, or no memory for it
            _widen(own)
        _attach(own, program)
        own.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)


def opening_error(name: str, error: OSError) -> AccessError | CaptureError:
    """Why an interface cannot be opened, and the commands that help."""
    if error.errno in (errno.EPERM, errno.EACCES):
        return no_permission(name)
    if error.errno == errno.ENETDOWN:
        return CaptureError(f"Interface {name} is down.", f"sudo ip link set {name} up")
    if error.errno == errno.ENODEV:
        return CaptureError(f"There is no interface {name} any more.", "`ocppscope live -D` lists what there is.")
    return CaptureError(f"Interface {name} cannot be opened: {error.strerror or error}.")


def no_permission(name: str) -> AccessError:
    """What to do without CAP_NET_RAW."""
    import sys

    return AccessError(
        f"You may not sniff on {name}: that needs the capability CAP_NET_RAW.",
        "Run it with sudo, or once: sudo setcap cap_net_raw+eip "
        f"$(readlink -f {sys.executable}); or use dumpcap: sudo usermod -aG wireshark $USER, and log in again.",
    )


def _raw(name: str, promiscuous: bool) -> socket.socket:
    _scapy()
    from scapy.arch.linux import L2ListenSocket

    opened = L2ListenSocket(iface=name, promisc=promiscuous, nofilter=1)
    own: socket.socket = opened.ins
    opened.closed = True  # the socket is ours now
    return own


def _cooked(name: str) -> socket.socket:
    own = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERY_PROTOCOL))
    try:
        if name != ANY:
            own.bind((name, _EVERY_PROTOCOL))
    except OSError:
        own.close()
        raise
    own.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    own.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return own


def _cooked_header(address: tuple[str, int, int, int, bytes]) -> bytes:
    """LINKTYPE_LINUX_SLL2, as the link types of tcpdump.org have it."""
    name, protocol, kind, hardware, link_address = address
    try:
        index = socket.if_nametoindex(name)
    except OSError:
        index = 0
    return COOKED.pack(protocol, 0, index, hardware, kind, len(link_address), link_address[:8])


def _linktype(name: str) -> int:
    if name == ANY:
        return SLL2
    return _LINKTYPES.get(_hardware(name), SLL2)


def _hardware(name: str) -> int:
    """ARPHRD_ of an interface; -1 where nobody knows. From a socket: /sys may show another network namespace."""
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            found = ioctl(any_socket, _GET_HARDWARE, struct.pack("16s16x", name.encode()[:15]))
        except OSError:
            return -1
    return int(struct.unpack_from("H", found, 16)[0])


def _loopbacks() -> frozenset[str]:
    return frozenset(name for _, name in socket.if_nameindex() if _hardware(name) == _LOOPBACK_HARDWARE)


def _widen(own: socket.socket) -> None:
    try:
        own.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _attach(own: socket.socket, program: bytes) -> None:
    instructions = ctypes.create_string_buffer(program, len(program))
    what = struct.pack("HP", len(program) // 8, ctypes.addressof(instructions))
    own.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, what)


def _compiled(bpf: str, linktype: int, snaplen: int) -> bytes:
    """The kernel's instructions, 8 bytes each, for a filter in libpcap's language; "" takes everything."""
    if not bpf.strip():
        return struct.pack("HBBI", 6, 0, 0, snaplen)
    try:
        from scapy.libs import winpcapy as pcap
        from scapy.libs.structures import bpf_program
    except (OSError, ImportError):
        raise UsageError(
            "A capture filter needs libpcap, which is not installed.",
            "Install the package libpcap0.8 (or libpcap), or leave -f away.",
        ) from None
    handle = pcap.pcap_open_dead(linktype, snaplen)
    program = bpf_program()
    try:
        text = ctypes.create_string_buffer(bpf.encode())
        if pcap.pcap_compile(handle, ctypes.byref(program), text, 1, 0xFFFFFFFF):
            raise wrong_filter(bpf, bytes(pcap.pcap_geterr(handle)).decode("utf-8", "replace"))
        compiled = ctypes.string_at(program.bf_insns, program.bf_len * 8)
        pcap.pcap_freecode(ctypes.byref(program))
    finally:
        pcap.pcap_close(handle)
    return compiled


def wrong_filter(bpf: str, why: str) -> UsageError:
    """A capture filter that does not compile."""
    return UsageError(
        f"The capture filter {bpf!r} is wrong: {why.strip()}.",
        "-f takes what tcpdump takes, like 'tcp port 9000 and host 10.0.0.7'; -Y filters messages.",
    )


def _scapy() -> Any:
    """Its settings, with its interfaces. Raises UsageError where it cannot open any."""
    import logging

    logging.getLogger("scapy").setLevel(logging.CRITICAL)  # it would warn of link types that it has no layer for
    if not hasattr(socket, "AF_PACKET") or os.name != "posix":
        raise UsageError("Interfaces are opened directly only on Linux.", "Take --sniffer dumpcap or tcpdump.")
    import scapy.arch
    import scapy.packet  # noqa: F401 - without it a socket has no layer to name
    from scapy.config import conf

    return conf
