"""What happens to a proxy that runs for days: disks that are full or stall, a CSMS that goes and comes back, names
that are not found, clocks that are set, being stopped, killed, suspended. Real processes, sockets and disks."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from ocppscope.control import Held, Intercept
from ocppscope.model import ConnectionClosed, Side
from proxy.support_fleet import SWITCH, Fleet, answer, call, frame, recorded, request
from proxy.support_proxy import (
    CSMS,
    DEADLINE,
    STATION,
    Pair,
    Rest,
    Upstream,
    connect,
    packets,
    read,
    reset,
    rest,
    silent,
    stand,
    talks,
    until,
)
from proxy.test_relay_process import megabytes
from support_engine import run

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="processes are looked at in /proc")
HOUR = 3_600_000_000_000
ROOM = 16  # MB by which a proxy may grow by what is done to it here


class Proxy:
    """`ocppscope proxy --headless` as a process; `where` stations connect to."""

    def __init__(self, directory: Path, to: str, *words: str, prefix: tuple[str, ...] = ()) -> None:
        self.path = directory / "made.pcapng"
        self.errors = directory / "err"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.where: tuple[str, int] = free.getsockname()
        command = [*prefix, sys.executable, "-m", "ocppscope", "proxy", "--headless", "-w", str(self.path)]
        command += ["--listen", f"127.0.0.1:{self.where[1]}", "--to", to, *words]
        with self.errors.open("w") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        self.pid = self.process.pid

    @property
    def said(self) -> str:
        return self.errors.read_text()

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(DEADLINE)

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@contextmanager
def proxying(directory: Path, to: str | int, *words: str, prefix: tuple[str, ...] = ()) -> Iterator[Proxy]:
    proxy = Proxy(directory, to if isinstance(to, str) else f"ws://127.0.0.1:{to}", *words, prefix=prefix)
    try:
        until(lambda: "recording " in proxy.said or proxy.process.poll() is not None, "the proxy")
        yield proxy
        assert "Traceback" not in proxy.said
        assert "Unexpected" not in proxy.said
    finally:
        proxy.process.kill()
        proxy.process.wait()


@contextmanager
def talking(proxy: Proxy, upstream: Upstream, name: str = "CP") -> Iterator[Pair]:
    """A station that has its WebSocket."""
    with connect(proxy.where) as station, upstream.accept() as csms:
        station.sendall(request(name))
        read(csms, len(request(name)))
        csms.sendall(SWITCH)
        read(station, len(SWITCH))
        yield Pair(station, csms)


def exchange(pair: Pair, name: str, number: int) -> None:
    """A CALL and its answer arrive as they are."""
    for side, text in ((STATION, call(name, number)), (CSMS, answer(call(name, number)))):
        pair[side].sendall(frame(text, side))
        assert read(pair[side.other], len(frame(text, side))) == frame(text, side)


def names(count: int) -> list[str]:
    return [f"CP{number}" for number in range(count)]


# --- the disk -------------------------------------------------------------------------------------------------------


def test_a_full_disk_and_room_again(tmp_path: Path):
    """Everything passes meanwhile, which is said; what is missing is a gap, and the exit is a good one."""
    with Upstream() as upstream, proxying(tmp_path, upstream.address.port) as proxy:
        with talking(proxy, upstream) as pair:
            exchange(pair, "CP", 1)
            before, most = resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (proxy.path.stat().st_size + 50, most))
            for number in range(100):
                exchange(pair, "lost", number)
            until(lambda: "cannot be written (File too large); traffic goes on" in proxy.said, "a sentence")
            resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (before, most))
            size = proxy.path.stat().st_size

            def goes_on() -> bool:
                exchange(pair, "again", 1)
                return proxy.path.stat().st_size > size

            until(goes_on, "the recording")
            exchange(pair, "CP", 2)
        until(lambda: proxy.descriptors < 10, "the end of the connection")
        assert proxy.end() == 0
    (talk,) = talks(proxy.path, gaps=True)
    assert [act.what for act in talk.acts] == ["recording-paused"]
    texts = [message.text for message in run(proxy.path).messages]
    assert texts[:2] == [call("CP", 1), answer(call("CP", 1))]
    assert texts[-2:] == [call("CP", 2), answer(call("CP", 2))]
    assert not [text for text in texts if b"lost" in text]


@contextmanager
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, on a loop device."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no loop device can be mounted here: {error}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def frozen(place: Path) -> Iterator[None]:
    """Whoever writes there waits."""
    subprocess.run(["fsfreeze", "--freeze", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(place)], check=True)


@pytest.mark.netns  # not for a namespace, but for root
def test_a_disk_that_stalls(tmp_path: Path):
    """Nothing passes that is not recorded: traffic waits in its senders, not in the proxy, and then it all comes."""
    much = b"".join(frame(call("CP", 1) * 100, STATION) for _ in range(500))
    with disk(tmp_path) as place, Upstream() as upstream, proxying(place, upstream.address.port) as proxy:
        with talking(proxy, upstream) as pair:
            exchange(pair, "CP", 1)
            before = megabytes(proxy.pid)
            with frozen(place):
                sender = threading.Thread(target=pair.station.sendall, args=(much,))
                sender.start()
                assert silent(pair.csms, 0.5)
                assert megabytes(proxy.pid) < before + ROOM
                assert proxy.process.poll() is None
            assert read(pair.csms, len(much)) == much
            sender.join(DEADLINE)
            exchange(pair, "CP", 2)
            until(lambda: "The disk is slow" in proxy.said, "a sentence")
        assert proxy.end() == 0
        (talk,) = talks(proxy.path)
        assert much in bytes(talk.sent[STATION])


# --- the CSMS -------------------------------------------------------------------------------------------------------


def test_a_csms_that_goes_and_comes_back(tmp_path: Path):
    """Stations see what they would see without a proxy, and the proxy stays: nobody has to start it again."""
    with Upstream() as upstream, proxying(tmp_path, upstream.address.port) as proxy:
        with talking(proxy, upstream) as pair:
            exchange(pair, "CP", 1)
            upstream.sock.close()
            reset(pair.csms)
            assert rest(pair.station) == Rest(b"", "RST")
        for _ in range(3):
            with suppress(ConnectionResetError), connect(proxy.where) as station:
                assert rest(station).how == "RST"
        until(lambda: "refuses connections" in proxy.said, "a sentence")
        with socket.create_server(("127.0.0.1", upstream.address.port)) as again:
            upstream.sock = again
            again.settimeout(DEADLINE)
            with talking(proxy, upstream) as pair:
                exchange(pair, "CP", 2)
        assert proxy.end() == 0
    ends = [event.connection.close_how for event in run(proxy.path).events if isinstance(event, ConnectionClosed)]
    assert ends == ["RST", "FIN"]
    assert sum(act.what == "refused" for talk in talks(proxy.path) for act in talk.acts) == 3


def test_a_name_that_is_not_found(tmp_path: Path):
    """It may be tomorrow: the proxy starts, says so for each station, and goes on."""
    with proxying(tmp_path, "ws://csms.invalid:9000") as proxy:
        for _ in range(3):
            with suppress(ConnectionResetError), connect(proxy.where) as station:
                assert rest(station).how == "RST"
        until(lambda: "the name csms.invalid is not found" in proxy.said, "a sentence")
        assert proxy.process.poll() is None
        assert proxy.end() == 0


@pytest.mark.netns
def test_names_that_nobody_answers_for(tmp_path: Path):
    """A resolver that is silent does not hold the end of the proxy up."""
    resolver = tmp_path / "resolv.conf"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silence:
        silence.bind(("127.0.0.77", 53))
        resolver.write_text("nameserver 127.0.0.77\noptions timeout:20 attempts:2\n")
        script = f'mount --bind {resolver} "$(readlink -f /etc/resolv.conf)" && exec "$@"'
        prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
        with proxying(tmp_path, "ws://csms.example:9000", prefix=prefix) as proxy:
            stations = [connect(proxy.where) for _ in range(20)]
            silence.settimeout(DEADLINE)
            assert b"csms" in silence.recv(4096)
            begun = time.monotonic()
            assert proxy.end() == 0
            assert time.monotonic() - begun < DEADLINE / 2, "it waited for the resolver"
            for station in stations:
                with suppress(ConnectionResetError):
                    rest(station)
                station.close()


# --- the clock ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-HOUR, HOUR, -40_000 * HOUR])
def test_a_clock_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int):
    """What is recorded has the new time from then on, and all can be read; what was held waits no longer for it."""
    shift = [0]

    def says(side: Side, text: bytes) -> None:
        pair[side].sendall(frame(text, side))
        read(pair[side.other], len(frame(text, side)))

    with stand(tmp_path, active=True, hold_seconds=0.5) as made:
        server = made.proxy.server
        monkeypatch.setattr(server, "clock", lambda: time.time_ns() + shift[0])
        pair = made.pair()
        pair.station.sendall(request("CP"))
        read(pair.csms, len(request("CP")))
        pair.csms.sendall(SWITCH)
        read(pair.station, len(SWITCH))
        says(STATION, call("CP", 1))
        says(CSMS, answer(call("CP", 1)))
        made.proxy.call(lambda: server.obey(Intercept("action == DataTransfer")))
        pair.station.sendall(frame(call("CP", 2), STATION))
        held = until(lambda: next((one for one in made.proxy.told if isinstance(one, Held)), None), "it to be held")
        assert held.expires_ns - held.time_ns == 500_000_000
        assert abs(held.time_ns - time.time_ns()) < HOUR, "it is told in the time of day"
        shift[0] = step
        assert read(pair.csms, len(frame(call("CP", 2), STATION)))
        says(CSMS, answer(call("CP", 2)))
        pair.close()
        made.proxy.idle()
        path = made.proxy.path
    times = [packet.time_ns for packet in packets(path)]
    (jump,) = (later - earlier for earlier, later in pairwise(times) if abs(later - earlier) > HOUR // 2)
    assert abs(jump - step) < HOUR // 2
    decoded = run(path)
    assert decoded.gaps == []
    expected = [call("CP", 1), answer(call("CP", 1)), call("CP", 2), answer(call("CP", 2))]
    first = next(one.number for one in decoded.connections.values() if one.leg_of is None)
    assert sorted(message.text for message in decoded.messages if message.connection == first) == sorted(expected)


# --- signals --------------------------------------------------------------------------------------------------------


def complete(path: Path, fleet: Fleet) -> None:
    """Whatever anybody has received stands in the recording, byte for byte and in order."""
    found = recorded(path)
    for key, texts in fleet.lists.received.items():
        assert found[key][: len(texts)] == texts
    for key, texts in found.items():
        assert fleet.lists.sent[key[0], key[1].other][: len(texts)] == texts


def test_sigterm_in_the_middle_of_traffic(tmp_path: Path):
    """Every connection is ended in order, and every block of the recording is whole."""
    with Fleet() as fleet, proxying(tmp_path, fleet.port) as proxy:
        fleet.drive(proxy.where, names(50))
        until(lambda: fleet.messages > 500, "traffic")
        assert proxy.end() == 0
        fleet.wait()
    assert all(talk.over == ["FIN", "FIN"] for talk in talks(proxy.path))
    complete(proxy.path, fleet)


@pytest.mark.parametrize("words", [(), ("--active", "--record", "legs"), ("--rotate-size", "100kB")])
def test_sigkill_in_the_middle_of_traffic(tmp_path: Path, words: tuple[str, ...]):
    """What was passed on can be read, in every kind of recording."""
    with Fleet() as fleet, proxying(tmp_path, fleet.port, *words) as proxy:
        fleet.drive(proxy.where, names(20))
        until(lambda: fleet.messages > 800, "traffic")
        os.kill(proxy.pid, signal.SIGKILL)
        proxy.process.wait(DEADLINE)
        fleet.wait()
    files = sorted(tmp_path.glob("made*.pcapng"))
    if not words:
        talks(files[0], allow_cut=True)  # of what was being written, which has reached nobody
    elif "legs" in words:
        packets(files[0], allow_cut=True)
        return  # each message is there twice; which leg came first is told by other tests
    assert "--rotate-size" not in words or len(files) > 1
    if len(files) == 1:
        complete(files[0], fleet)


def test_suspended_and_resumed(tmp_path: Path):
    """As a machine that sleeps: the connections live, and nothing is lost."""
    with Fleet(count=60, pause=0.01) as fleet, proxying(tmp_path, fleet.port) as proxy:
        fleet.drive(proxy.where, names(20))
        until(lambda: fleet.messages > 200, "traffic")
        os.kill(proxy.pid, signal.SIGSTOP)
        until(lambda: Path(f"/proc/{proxy.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "its stop")
        at = fleet.messages
        time.sleep(1.0)
        assert fleet.messages - at < 40, "it is not suspended"
        os.kill(proxy.pid, signal.SIGCONT)
        fleet.wait()
        assert proxy.end() == 0
    assert {len(texts) for texts in fleet.lists.received.values()} == {60}
    assert recorded(proxy.path) == dict(fleet.lists.received)
    assert [one.close_how for one in run(proxy.path).connections.values()] == ["FIN"] * 20


# --- what is left ---------------------------------------------------------------------------------------------------


def test_nothing_is_left_of_connections_however_they_end(tmp_path: Path):
    """No descriptor, and no memory that grows with their number."""
    ends: list[Callable[[Pair], None]] = [
        lambda pair: pair.station.close(),
        lambda pair: pair.csms.close(),
        lambda pair: reset(pair.station),
        lambda pair: reset(pair.csms),
        lambda pair: pair.station.shutdown(socket.SHUT_WR),
        lambda pair: pair.csms.sendall(frame(b"", CSMS)),
    ]

    def come_and_go(count: int) -> None:
        for number in range(count):
            with talking(proxy, upstream, f"CP{number}") as pair:
                exchange(pair, "CP", number)
                ends[number % len(ends)](pair)
        until(lambda: proxy.descriptors == base, "the end of all connections")

    with Upstream() as upstream, proxying(tmp_path, upstream.address.port) as proxy:
        base = proxy.descriptors
        come_and_go(120)
        before = megabytes(proxy.pid)
        come_and_go(240)
        assert megabytes(proxy.pid) < before + 4
        assert proxy.end() == 0
    assert len(talks(proxy.path)) == 360


def test_a_viewer_that_is_suspended_holds_nothing_up(tmp_path: Path):
    """The log is another process: it may sleep, and reads what it has missed when it wakes."""
    out = tmp_path / "out"
    with Fleet(count=40) as fleet:
        command = [sys.executable, "-m", "ocppscope", "proxy", "-w", str(tmp_path / "made.pcapng")]
        with socket.create_server(("127.0.0.1", 0)) as free:
            where = free.getsockname()
        command += ["--listen", f"127.0.0.1:{where[1]}", "--to", f"ws://127.0.0.1:{fleet.port}", "--format", "jsonl"]
        with out.open("w") as lines, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=lines) as process:
            try:
                until(lambda: _reached(where), "the proxy")
                os.kill(process.pid, signal.SIGSTOP)
                fleet.drive(where, names(10))
                fleet.wait()
                os.kill(process.pid, signal.SIGCONT)
                until(lambda: out.read_text().count('"kind":"CALL') == 800, "the log")
                process.terminate()
                assert process.wait(DEADLINE) == 0
            finally:
                process.kill()
    assert {len(texts) for texts in fleet.lists.received.values()} == {40}


def _reached(where: tuple[str, int]) -> bool:
    with suppress(OSError), socket.create_connection(where, 1.0):
        return True
    return False
