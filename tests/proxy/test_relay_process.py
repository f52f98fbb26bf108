"""The relay as the process that it is: killed, starved, flooded, left alone, and steered by nobody or by a fool."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from ocppscope.control import Cut, Failed, Intercept, State, Stop, line, read_tiding
from ocppscope.errors import UsageError
from ocppscope.proxy.config import Address, Config, Recording
from ocppscope.proxy.steering import Relay
from proxy.support_fleet import Fleet, recorded
from proxy.support_proxy import DEADLINE, Rest, Upstream, connect, read, rest, talks, until

MAX_MEGABYTES = 60
STATIONS = 1000


def config(directory: Path, port: int, **given: object) -> Config:
    """A relay on a free port, to a CSMS on this machine."""
    path = str(directory / "recording.pcapng")
    return Config(Address("127.0.0.1", 0), Recording(path), Address("127.0.0.1", port), **given)


@contextmanager
def relaying(wanted: Config) -> Iterator[Relay]:
    relay = Relay(wanted)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()


def where(relay: Relay) -> tuple[str, int]:
    return "127.0.0.1", int(relay.state().listening.rpartition(":")[2])


def pid(relay: Relay) -> int:
    assert relay._process is not None
    return relay._process.pid


def megabytes(number: int) -> float:
    """The memory of a process that is really there."""
    (found,) = (row for row in Path(f"/proc/{number}/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(found.split()[1]) / 1000


# --- killed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_what_was_received_before_a_kill_is_recorded(tmp_path: Path, seed: int):
    """kill -9 in the middle of traffic: every message that somebody had is in the file."""
    with Fleet() as fleet, relaying(config(tmp_path, fleet.port)) as relay:
        fleet.drive(where(relay), (f"CP{number}" for number in range(100)))
        until(lambda: fleet.messages > 500, "traffic")
        time.sleep(random.Random(seed).random())
        os.kill(pid(relay), signal.SIGKILL)
        fleet.wait()
        until(lambda: not relay.running, "its end")
    path = tmp_path / "recording.pcapng"
    talks(path, allow_cut=True)  # a kill may cut what was being written, which has reached nobody
    found = recorded(path)
    received = fleet.lists.received
    assert fleet.messages > 500
    assert {key: found[key][: len(texts)] for key, texts in received.items()} == dict(received)


def test_tshark_reads_what_a_kill_left(tmp_path: Path, tshark: str):
    with Fleet() as fleet, relaying(config(tmp_path, fleet.port)) as relay:
        fleet.drive(where(relay), (f"CP{number}" for number in range(50)))
        until(lambda: fleet.messages > 1000, "traffic")
        os.kill(pid(relay), signal.SIGKILL)
        fleet.wait()
    command = [tshark, "-r", str(tmp_path / "recording.pcapng"), "-o", "tcp.check_checksum:TRUE", "-Y"]
    command.append("_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0 || tcp.len > 0")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [row for row in done.stderr.splitlines() if "Running as user" not in row]
    # A kill may cut a write between two pages; what was being written has reached nobody.
    assert all("cut short in the middle of a packet" in row for row in said), done.stderr
    assert done.returncode == (2 if said else 0)
    assert len(done.stdout.splitlines()) >= fleet.messages


# --- many -----------------------------------------------------------------------------------------------------------


def test_a_thousand_stations_at_once(tmp_path: Path):
    """They come in one storm, all get their answers, all is recorded, and the relay stays small."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 6 * STATIONS:
        pytest.skip("this system lets a process have too few files")
    with roomy(), Fleet(count=8, pause=0.2) as fleet, relaying(config(tmp_path, fleet.port)) as relay:
        before = megabytes(pid(relay))
        fleet.drive(where(relay), (f"CP{number}" for number in range(STATIONS)))
        until(lambda: relay.state().connections == STATIONS, "all stations")
        fleet.wait()
        used = megabytes(pid(relay))
        until(lambda: relay.state().connections == 0, "their end")
        assert relay.state().total == STATIONS
    print(f"{before:.0f} MB alone, {used:.0f} MB with {STATIONS} stations")
    assert used < MAX_MEGABYTES
    received = dict(fleet.lists.received)
    assert {len(texts) for texts in received.values()} == {8}
    assert len(received) == 2 * STATIONS
    assert recorded(tmp_path / "recording.pcapng") == received


@contextmanager
def roomy() -> Iterator[None]:
    """As many files as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def few_files(count: int) -> Iterator[None]:
    """Processes that begin now may have so few files, and cannot change that."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    original = subprocess.Popen.__init__

    def init(self: subprocess.Popen[bytes], *args: object, **more: object) -> None:
        more["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        original(self, *args, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", init)
        yield
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_a_process_that_may_have_few_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """It says how many stations it can take, refuses further ones, and serves those that it has."""
    with Upstream() as upstream, few_files(64), relaying(config(tmp_path, upstream.address.port)) as relay:
        said = until(lambda: next((one for one in relay.said() if "so many files" in one), ""), "a sentence")
        most = int(said.split()[-5])
        assert 5 <= most <= 32
        with ExitStack() as stack:
            stations = [stack.enter_context(connect(where(relay))) for _ in range(most)]
            partners = [stack.enter_context(upstream.accept()) for _ in range(most)]
            for _ in range(100):
                assert _refused(where(relay))
            until(lambda: any("were refused" in sentence for sentence in relay.said()), "a sentence")
            said_by = [b"still %03d" % number for number in range(most)]
            for station, words in zip(stations, said_by, strict=True):
                station.sendall(words)
            # a busy kernel may let the CSMS accept them in another order
            assert sorted(read(csms, 9) for csms in partners) == said_by
        until(lambda: relay.state().connections == 0, "room")
        with connect(where(relay)) as station, upstream.accept() as csms:
            station.sendall(b"again")
            assert read(csms, 5) == b"again"
    assert capfd.readouterr().err == ""


def _refused(to: tuple[str, int]) -> bool:
    with suppress(ConnectionResetError), connect(to) as station:
        return rest(station).how == "RST"
    return True


# --- hostile stations -----------------------------------------------------------------------------------------------


def test_connections_that_say_nothing(tmp_path: Path):
    """They cost what a connection costs; others are served meanwhile, and all is given back."""
    with (
        roomy(),
        Upstream() as upstream,
        relaying(config(tmp_path, upstream.address.port)) as relay,
        ExitStack() as stack,
    ):
        for _ in range(STATIONS):
            stack.enter_context(connect(where(relay)))
            stack.enter_context(upstream.accept())
        with connect(where(relay)) as station, upstream.accept() as csms:
            station.sendall(b"hello")
            assert read(csms, 5) == b"hello"
        assert megabytes(pid(relay)) < MAX_MEGABYTES
        stack.close()
        until(lambda: relay.state().connections == 0, "their end")


def test_a_head_without_end_and_one_that_comes_by_the_byte(tmp_path: Path):
    """Both are passed on as they come; nothing of them is kept."""
    with Upstream() as upstream, relaying(config(tmp_path, upstream.address.port)) as relay:
        before = megabytes(pid(relay))
        with connect(where(relay)) as station, upstream.accept() as csms:
            head = b"GET / HTTP/1.1\r\nX: " + b"a" * 60_000
            for _ in range(200):
                station.sendall(head)
                assert read(csms, len(head)) == head
        with connect(where(relay)) as station, upstream.accept() as csms:
            for byte in b"GET /ocpp/CP HTTP/1.1\r\nHost: csms\r\n" * 20:
                station.sendall(bytes([byte]))
                assert read(csms, 1) == bytes([byte])
        assert megabytes(pid(relay)) < before + 10


def test_names_that_are_no_names(tmp_path: Path):
    """What a station calls itself is text, whatever is in it."""
    path = "/%1b%5b2J%00%e2%80%ae/\x7f"
    with Upstream() as upstream, relaying(config(tmp_path, upstream.address.port)) as relay:
        for target in (path, "/" + "A" * 9000, "*", "http://[::1/x", "/%ff%fe", "//", "/a?b=/c"):
            with connect(where(relay)) as station, upstream.accept() as csms:
                head = f"GET {target} HTTP/1.1\r\n\r\n".encode()
                station.sendall(head)
                assert read(csms, len(head)) == head
                assert relay.running
        until(lambda: relay.state().connections == 0, "their end")


# --- the channel ----------------------------------------------------------------------------------------------------


class Channel:
    """A relay whose control channel is in the hands of the test."""

    def __init__(self, wanted: bytes) -> None:
        self.sock, theirs = socket.socketpair()
        command = [sys.executable, "-m", "ocppscope.proxy.relay", str(theirs.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.sock.settimeout(DEADLINE)
        self.sock.sendall(wanted)
        self.waiting = b""

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()

    def tiding(self) -> object:
        while b"\n" not in self.waiting:
            piece = self.sock.recv(1 << 16)
            assert piece, "the relay has ended"
            self.waiting += piece
        text, _, self.waiting = self.waiting.partition(b"\n")
        return read_tiding(text)

    def port(self) -> int:
        while not isinstance(told := self.tiding(), State):
            pass
        return int(told.listening.rpartition(":")[2])


def as_line(wanted: Config) -> bytes:
    return msgspec.json.encode(wanted) + b"\n"


def test_the_relay_ends_when_nobody_is_left_to_steer_it(tmp_path: Path):
    with Upstream() as upstream, Channel(as_line(config(tmp_path, upstream.address.port))) as channel:
        with connect(("127.0.0.1", channel.port())) as station, upstream.accept() as csms:
            station.sendall(b"hello")
            assert read(csms, 5) == b"hello"
            channel.sock.close()
            assert rest(station) == Rest(b"", "FIN")
            assert rest(csms) == Rest(b"", "FIN")
        assert channel.process.wait(DEADLINE) == 0
    (talk,) = talks(tmp_path / "recording.pcapng")
    assert talk.over == ["FIN", "FIN"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(tmp_path: Path, number: int):
    """SIGTERM ends it in order; what a terminal sends is for who steers."""
    with Upstream() as upstream, Channel(as_line(config(tmp_path, upstream.address.port))) as channel:
        port = channel.port()
        channel.process.send_signal(number)
        if number == signal.SIGTERM:
            assert channel.process.wait(DEADLINE) == 0
            return
        connect(("127.0.0.1", port)).close()
        channel.sock.sendall(line(Stop()))
        assert channel.process.wait(DEADLINE) == 0


def test_the_end_of_the_channel_before_its_beginning(tmp_path: Path):
    del tmp_path
    with Channel(b"") as channel:
        channel.sock.close()
        assert channel.process.wait(DEADLINE) == 0


def test_garbage_for_orders(tmp_path: Path):
    """Each line that is none is answered by a sentence, and traffic goes on."""
    with Upstream() as upstream, Channel(as_line(config(tmp_path, upstream.address.port))) as channel:
        port = channel.port()
        for garbage in (
            b"\n",
            b"\xff\x00\n",
            b"{}\n",
            b'{"type":"Explode"}\n',
            b"[" * 100_000 + b"\n",
            b'{"type":"Cut"}\n',
        ):
            channel.sock.sendall(garbage)
            while "cannot be read" not in str(channel.tiding()):
                pass
        channel.sock.sendall(b"no end of line")
        with connect(("127.0.0.1", port)) as station, upstream.accept() as csms:
            station.sendall(b"hello")
            assert read(csms, 5) == b"hello"


def test_orders_that_cannot_be_obeyed(tmp_path: Path):
    with Upstream() as upstream, relaying(config(tmp_path, upstream.address.port)) as relay:
        relay.order(Cut(77))
        relay.order(Intercept("action"))
        until(lambda: len(relay.said()) >= 2, "sentences")
        assert "There is no connection 77 any more." in relay.said()
        assert "start the proxy with --active" in relay.said()[-1]


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_cut_on_request(tmp_path: Path, how: str):
    with Upstream() as upstream, relaying(config(tmp_path, upstream.address.port)) as relay:
        with connect(where(relay)) as station, upstream.accept() as csms:
            station.sendall(b"hello")
            assert read(csms, 5) == b"hello"
            (link,) = until(relay.links, "a link")
            relay.order(Cut(link.number, how))
            assert rest(station) == Rest(b"", how)
            assert rest(csms) == Rest(b"", how)
        until(lambda: not relay.links(), "its end")
    (talk,) = talks(tmp_path / "recording.pcapng")
    assert [act.what for act in talk.acts] == ["cut-off"] * (2 if how == "FIN" else 1)


def test_a_reader_of_tidings_who_does_not_read(tmp_path: Path):
    """Nobody takes the tidings of thousands of connections: the relay goes on, and stays small."""
    with Upstream() as upstream, Channel(as_line(config(tmp_path, upstream.address.port))) as channel:
        port = channel.port()
        for number in range(3000):
            with connect(("127.0.0.1", port)) as station, upstream.accept() as csms:
                head = b"GET /%s%d HTTP/1.1\r\n\r\n" % (b"x" * 5000, number)
                station.sendall(head)
                assert read(csms, len(head)) == head
        assert megabytes(channel.process.pid) < MAX_MEGABYTES
        lost = False
        with suppress(TimeoutError):
            channel.sock.settimeout(1)
            while not lost:
                lost = "were lost" in str(channel.tiding())
        with connect(("127.0.0.1", port)) as station, upstream.accept():
            channel.sock.settimeout(DEADLINE)
            while not lost:
                lost = "were lost" in str(channel.tiding())


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ({"listen": Address("192.0.2.1", 9000)}, "192.0.2.1"),
        ({"listen": Address("nowhere.invalid", 9000)}, "nowhere.invalid"),
        ({"recording": Recording("/nowhere/x.pcapng")}, "There is no directory"),
    ],
)
def test_what_cannot_begin_is_said(tmp_path: Path, wanted: dict[str, object], what: str):
    made = config(tmp_path, 1)
    changed = Config(**({name: getattr(made, name) for name in made.__struct_fields__} | wanted))
    with pytest.raises(UsageError, match=what):
        Relay(changed).start()
    with Channel(as_line(changed)) as channel:
        assert isinstance(channel.tiding(), Failed)
        assert channel.process.wait(DEADLINE) == 0
