"""`ocppscope proxy`: what its options mean, and the whole command as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from ocppscope.cli.proxy import command, config_of
from ocppscope.errors import UsageError
from ocppscope.proxy.config import Address, Config
from proxy.support_fleet import Fleet, recorded
from proxy.support_proxy import DEADLINE, talks, until
from support_cli import run

CSMS = "ws://127.0.0.1:9001"


def config(*words: str) -> Config:
    """What the words ask for."""
    return config_of(command.make_context("proxy", [*words]).params)


# --- options --------------------------------------------------------------------------------------------------------

TARGETS = {
    "ws://csms.example": Address("csms.example", 80),
    "wss://csms.example": Address("csms.example", 443, True),
    "wss://csms.example:8443/": Address("csms.example", 8443, True),
    "ws://[::1]:9000": Address("::1", 9000),
    "ws://192.0.2.1:1": Address("192.0.2.1", 1),
}
LISTENS = {
    "127.0.0.1:9000": Address("127.0.0.1", 9000),
    "wss://0.0.0.0:9443": Address("0.0.0.0", 9443, True),
    "[::]:9000": Address("::", 9000),
    "localhost:0": Address("localhost", 0),
}


@pytest.mark.parametrize(("text", "address"), TARGETS.items())
def test_where_the_csms_is(text: str, address: Address):
    assert config("--to", text).to == address


@pytest.mark.parametrize(("text", "address"), LISTENS.items())
def test_where_stations_connect(text: str, address: Address):
    assert config("--to", CSMS, "--listen", text).listen == address


WRONG = [
    ("--to", "csms.example"),
    ("--to", "http://csms.example"),
    ("--to", "ws://"),
    ("--to", "ws://csms.example:99999"),
    ("--to", "ws://::1:9000"),
    ("--to", "ws://a b:1"),
    ("--to", "ws://\x1b[2J:1"),
    ("--to", "ws://csms.example/ocpp"),
    ("--to", CSMS, "--listen", "127.0.0.1"),
    ("--to", CSMS, "--listen", "127.0.0.1:x"),
    ("--to", CSMS, "--rotate-size", "1"),
    ("--to", CSMS, "--rotate-time", "1ms"),
    ("--to", CSMS, "--keep", "0"),
    ("--to", CSMS, "--hold", "0s"),
    ("--to", CSMS, "--cert", "/nowhere.pem"),
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_is_no_option(words: tuple[str, ...]):
    with pytest.raises(click.UsageError):
        config(*words)


def test_keep_alone_means_nothing():
    with pytest.raises(UsageError, match="--keep is for several files"):
        config("--to", CSMS, "--keep", "3")


def test_it_has_to_know_the_csms():
    done = run("proxy", "--log")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) <= 2


def test_it_listens_on_loopback_unless_told_otherwise():
    assert config("--to", CSMS).listen.is_loopback


def test_sizes_and_times():
    recording = config("--to", CSMS, "--rotate-size", "100MB", "--rotate-time", "1h", "--keep", "3").recording
    assert (recording.max_bytes, recording.max_ns, recording.keep) == (100_000_000, 3_600_000_000_000, 3)


def test_what_interferes_makes_it_active():
    assert not config("--to", CSMS).active
    assert config("--to", CSMS, "--active").active
    assert config("--to", CSMS, "--intercept", "action == Authorize").active


# --- the whole command ----------------------------------------------------------------------------------------------


@contextmanager
def running(directory: Path, port: int, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`ocppscope proxy` in a process, its output in files; it listens on a free port."""
    arguments = ["--listen", "127.0.0.1:0", "--to", f"ws://127.0.0.1:{port}", "-w", "made.pcapng", *words]
    with (directory / "out").open("w") as out, (directory / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "ocppscope", "proxy", *arguments],
            cwd=directory, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True,
            preexec_fn=_hear,  # noqa: PLW1509 - no thread of ours runs by now
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _hear() -> None:
    """These tests may run under `nohup`; what they start does not."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def listening(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Where it, or the relay that it has started, listens; as the kernel knows."""

    def find() -> int:
        owners = [process.pid, *_children(process.pid)]
        inodes = {inode for owner in owners for inode in _sockets(owner)}
        rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return next((int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes), 0)

    assert process.poll() is None
    return "127.0.0.1", until(find, "the proxy")


def _children(pid: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _sockets(pid: int) -> Iterator[str]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def text_of(directory: Path, name: str) -> str:
    return (directory / name).read_text()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the port is found in /proc")
class TestProcess:
    """In a pipe."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_the_log_has_every_message(self, tmp_path: Path, number: int):
        """As they come, and to the last; then it says where the recording is."""
        with Fleet(count=5) as fleet, running(tmp_path, fleet.port, "--format", "jsonl") as process:
            fleet.drive(listening(process), ["CP1", "CP2"])
            fleet.wait()
            until(lambda: len(text_of(tmp_path, "out").splitlines()) >= 20, "the log")
            process.send_signal(number)
            assert process.wait(DEADLINE) == 0
        rows = [json.loads(row) for row in text_of(tmp_path, "out").splitlines()]
        assert sorted(row["text"] if "text" in row else str(row) for row in rows if row.get("station"))
        assert len(rows) == 20
        err = text_of(tmp_path, "err")
        assert "Recorded in made.pcapng." in err
        assert "Traceback" not in err
        assert recorded(tmp_path / "made.pcapng") == dict(fleet.lists.received)

    def test_a_number_of_messages(self, tmp_path: Path):
        """It leaves by itself."""
        with Fleet(count=50, pause=0.01) as fleet, running(tmp_path, fleet.port, "-c", "7") as process:
            fleet.drive(listening(process), ["CP1"])
            assert process.wait(DEADLINE) == 0
            fleet.wait()
        said = [row for row in text_of(tmp_path, "out").splitlines() if "DataTransfer" in row]
        assert sum("→ CALL" in row or "← CALL" in row for row in said) == 7  # others say what stayed unanswered

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_headless(self, tmp_path: Path, number: int):
        with Fleet(count=5) as fleet, running(tmp_path, fleet.port, "--headless") as process:
            fleet.drive(listening(process), ["CP1"])
            fleet.wait()
            process.send_signal(number)
            assert process.wait(DEADLINE) == 0
        assert text_of(tmp_path, "out") == ""
        assert "recording made.pcapng" in text_of(tmp_path, "err")
        assert recorded(tmp_path / "made.pcapng") == dict(fleet.lists.received)

    def test_a_viewer_that_dies_takes_the_relay_with_it(self, tmp_path: Path):
        """Nobody would know of it otherwise; and the recording is whole."""
        with Fleet() as fleet, running(tmp_path, fleet.port) as process:
            fleet.drive(listening(process), [f"CP{number}" for number in range(10)])
            until(lambda: fleet.messages > 200, "traffic")
            (relay,) = _children(process.pid)
            process.kill()
            fleet.wait()
            until(lambda: not _lives(relay), "its end")
        assert all(talk.over == ["FIN", "FIN"] for talk in talks(tmp_path / "made.pcapng"))
        found = recorded(tmp_path / "made.pcapng")
        assert {key: found[key][: len(texts)] for key, texts in fleet.lists.received.items()} == dict(
            fleet.lists.received
        )

    def test_a_relay_that_dies_is_said(self, tmp_path: Path):
        """The log goes to its end."""
        with Fleet() as fleet, running(tmp_path, fleet.port) as process:
            fleet.drive(listening(process), ["CP1"])
            until(lambda: fleet.messages > 50, "traffic")
            (relay,) = _children(process.pid)
            os.kill(relay, signal.SIGKILL)
            process.wait(DEADLINE)
            fleet.wait()
        assert "Traceback" not in text_of(tmp_path, "err")
        assert "The relay has ended" in text_of(tmp_path, "err")
        shown = sum("DataTransfer" in row for row in text_of(tmp_path, "out").splitlines())
        assert shown >= fleet.messages

    def test_a_file_that_is_there_is_not_overwritten(self, tmp_path: Path):
        (tmp_path / "made.pcapng").write_bytes(b"mine")
        with running(tmp_path, 1) as process:
            assert process.wait(DEADLINE) == 2
        assert "is there already" in text_of(tmp_path, "err")
        assert "Traceback" not in text_of(tmp_path, "err")
        assert (tmp_path / "made.pcapng").read_bytes() == b"mine"

    def test_a_port_that_is_taken(self, tmp_path: Path):
        with Fleet() as fleet, running(tmp_path, 1, "--listen", f"127.0.0.1:{fleet.port}") as process:
            assert process.wait(DEADLINE) == 2
        assert "Something else listens" in text_of(tmp_path, "err")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
