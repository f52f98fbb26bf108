"""The raw socket: what is sent arrives as it was, with its time and length; by the ring and by recvmsg."""

import ctypes
import errno
import socket
import struct
import time
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from ocppscope.capture import live
from ocppscope.capture.live import ANY, ETHERNET, SLL2, Packet, Tap, interfaces, opening_error
from ocppscope.capture.live_ring import BLOCKS, FEWEST_BLOCKS, Ring, _reserve
from ocppscope.errors import AccessError, CaptureError, UsageError
from support_live import FAR, NEAR, NEAR_ADDRESS, frame, ip, namespace, send

pytestmark = pytest.mark.netns
SMALLEST_SNAPLEN = 96


OPEN: list[Tap] = []


def opened(*args: object, **options: object) -> Tap:
    """A tap that is closed at the end of the test."""
    OPEN.append(Tap(*args, **options))
    return OPEN[-1]


@pytest.fixture
def pair() -> Iterator[None]:
    with namespace():
        yield
        while OPEN:
            OPEN.pop().close()


@pytest.fixture(params=["ring", "recvmsg"])
def way(request, pair) -> Iterator[str]:
    if request.param == "ring":
        yield "ring"
        return
    with patch.object(live, "Ring", side_effect=OSError(errno.ENOMEM, "no memory")):
        yield "recvmsg"


def taken(tap: Tap, count: int) -> list[Packet]:
    """So many packets, and those that come with them."""
    found: list[Packet] = []
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        found += tap.drain()
        time.sleep(0.005)
    time.sleep(0.05)  # one too many would come now
    return found + tap.drain()


def test_the_way_is_the_one_meant(way):
    tap = opened(FAR)
    assert (tap._ring is not None) == (way == "ring")


def test_frames_arrive_as_they_were_sent(way):
    tap = opened(FAR)
    frames = [frame(1), frame(2, 7), frame(3, 7, 8), frame(4, 0x6000 | 4094), frame(5, size=1400)]
    before = time.time_ns()
    send(frames)
    found = taken(tap, len(frames))
    assert [one.data for one in found] == frames
    assert [one.length for one in found] == [len(one) for one in frames]
    assert all(before <= one.time_ns <= time.time_ns() for one in found)
    assert [one.time_ns for one in found] == sorted(one.time_ns for one in found)
    assert tap.linktype == ETHERNET


def test_what_goes_out_is_seen_too(way):
    tap = opened(NEAR)
    send([frame(1)])
    assert [one.data for one in taken(tap, 1)] == [frame(1)]


def test_only_what_passes_the_filter(way):
    tap = opened(FAR, bpf="udp port 77 or vlan")
    send([frame(1), frame(2, port=77), frame(3, port=78)])
    assert [one.data for one in taken(tap, 1)] == [frame(2, port=77)]


def test_what_came_before_the_tap_is_not_there(way):
    send([frame(1)])
    tap = opened(FAR)
    send([frame(2)])
    assert [one.data for one in taken(tap, 1)] == [frame(2)]


def test_packets_are_cut_and_say_so(way):
    tap = opened(FAR, snaplen=SMALLEST_SNAPLEN)
    send([frame(1, size=800)])
    (one,) = taken(tap, 1)
    assert one.data == frame(1, size=800)[:SMALLEST_SNAPLEN]
    assert one.length == len(frame(1, size=800))


def test_loopback_shows_packets_once(way):
    tap = opened("lo", bpf="udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"once", ("127.0.0.1", 9))
        out.sendto(b"twice", ("127.0.0.1", 9))
    own = [
        one for one in taken(tap, 2) if one.data.endswith((b"once", b"twice"))
    ]  # there are complaints by ICMP, too
    assert len(own) == 2


@pytest.mark.parametrize("name", [ANY, FAR])
def test_cooked_packets(way, name):
    """Of all interfaces, and of one whose link layer nobody knows."""
    with patch.dict(live._LINKTYPES, {1: SLL2}):
        tap = opened(name, bpf="udp port 9")
    send([frame(1)], NEAR)
    one = next(one for one in taken(tap, 1 if name == FAR else 2) if one.data[10] == 1)  # received as a broadcast
    protocol, zero, index, hardware = struct.unpack_from("!HHIH", one.data)
    assert (protocol, zero, index, hardware) == (0x0800, 0, socket.if_nametoindex(FAR), 1)
    assert one.data[11:18] == b"\x06" + bytes.fromhex("020000000001")
    assert one.data[20:] == frame(1)[14:]
    assert one.length == len(one.data)
    assert tap.linktype == SLL2


def test_counts_what_was_lost(pair):
    with patch.object(live, "RECEIVE_BUFFER", 4096), patch.object(live, "Ring", side_effect=OSError):
        tap = opened(FAR)
    frames = [frame(number, size=1000) for number in range(2000)]
    send(frames)
    found = taken(tap, 1)
    tap.count()
    assert tap.dropped > 0
    assert tap.received == len(frames)
    assert len(found) == len(frames) - tap.dropped


def test_the_ring_takes_turns(pair):
    """More than it can hold at once: blocks are given back, and the order stays."""
    with patch("ocppscope.capture.live_ring.BLOCKS", 16):
        tap = opened(FAR)
    assert isinstance(tap._ring, Ring)
    found = []
    for start in range(0, 8000, 400):
        send([frame(number, size=1400) for number in range(start, start + 400)])
        found += taken(tap, 400)
    assert [struct.unpack_from("!I", one.data, 42)[0] for one in found] == list(range(8000))
    tap.count()
    assert tap.dropped == 0


class Stingy:
    """A socket that has memory for a few blocks only."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[int] = []

    def setsockopt(self, level: int, name: int, value: bytes) -> None:
        size, blocks, frame_bytes, frames, *_ = struct.unpack("7I", value)
        assert frames == size // frame_bytes * blocks
        self.asked.append(blocks)
        if blocks > self.most:
            raise OSError(errno.ENOMEM, "no memory")


@pytest.mark.parametrize(
    ("most", "got"), [(BLOCKS, BLOCKS), (BLOCKS - 1, BLOCKS // 2), (FEWEST_BLOCKS, FEWEST_BLOCKS)]
)
def test_a_smaller_ring_where_there_is_little_memory(most, got):
    assert _reserve(Stingy(most)) == got


def test_no_ring_where_there_is_no_memory():
    with pytest.raises(OSError, match="no memory"):
        _reserve(own := Stingy(0))
    assert own.asked[-1] == FEWEST_BLOCKS


def test_no_more_is_drained_at_once_than_a_block_beyond_the_bound(pair):
    with patch.object(live, "MAX_DRAINED_BYTES", 1000):
        tap = opened(FAR)
        send([frame(number, size=1400) for number in range(1000)])
        time.sleep(0.1)
        first = tap.drain()
        assert 0 < len(first) < 1000


def test_going_down_is_an_error_once(way):
    tap = opened(FAR)
    ip("link", "set", FAR, "down")
    with pytest.raises(OSError, match="down") as raised:
        tap.drain()
    assert raised.value.errno == errno.ENETDOWN
    ip("link", "set", FAR, "up")
    tap.drain()


@pytest.mark.parametrize("bpf", ["tcp prt 9000", "port", "host 1.2.3.4.5", "ether proto"])
def test_wrong_filters(pair, bpf):
    with pytest.raises(UsageError) as raised:
        opened(FAR, bpf=bpf)
    assert repr(bpf) in raised.value.what
    assert len(raised.value.what) > len(bpf) + 30, "the compiler's reason is in it"


def test_a_filter_without_libpcap(pair, monkeypatch):
    opened(FAR, bpf="udp")
    import scapy.libs

    monkeypatch.delattr(scapy.libs, "winpcapy")
    with patch.dict("sys.modules", {"scapy.libs.winpcapy": None}):
        with pytest.raises(UsageError, match="libpcap"):
            opened(FAR, bpf="udp")
        opened(FAR)


def test_an_interface_that_is_not_there(pair):
    with pytest.raises(CaptureError):
        opened("nothing0")


def test_interfaces(pair):
    ip("link", "set", FAR, "down")
    from scapy.config import conf

    conf.ifaces.reload()
    found = {one.name: one for one in interfaces()}
    assert found.keys() == {NEAR, FAR, "lo"}
    assert found[NEAR].addresses == (NEAR_ADDRESS,)
    assert [found[name].is_up for name in (NEAR, FAR, "lo")] == [True, False, True]


@pytest.mark.parametrize(
    ("number", "kind", "word"),
    [
        (errno.EPERM, AccessError, "setcap"),
        (errno.EACCES, AccessError, "wireshark"),
        (errno.ENETDOWN, CaptureError, "ip link set eth0 up"),
        (errno.ENODEV, CaptureError, "live -D"),
        (errno.ENOBUFS, CaptureError, ""),
    ],
)
def test_why_it_cannot_be_opened(number, kind, word):
    error = opening_error("eth0", OSError(number, "some reason"))
    assert isinstance(error, kind)
    assert word in error.hint
    assert "eth0" in error.what


def test_the_cooked_header_has_the_layout_of_the_kernel_struct():
    """sockaddr_ll is what the ring has; its fields are where ctypes says that C puts them."""

    class Address(ctypes.Structure):
        _fields_ = [
            ("family", ctypes.c_ushort),
            ("protocol", ctypes.c_ushort),
            ("index", ctypes.c_int),
            ("hardware", ctypes.c_ushort),
            ("kind", ctypes.c_ubyte),
            ("length", ctypes.c_ubyte),
            ("address", ctypes.c_ubyte * 8),
        ]

    assert (Address.index.offset, Address.hardware.offset, Address.kind.offset, Address.address.offset) == (
        4,
        8,
        10,
        12,
    )
