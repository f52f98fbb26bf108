"""Whatever listens, listens for this machine alone unless it is told otherwise, and then says so. Real sockets."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CAPTURE = Path(__file__).parents[1] / "captures" / "remote_start_stop.pcap"
PROGRAM = [sys.executable, "-P", "-m", "ocppscope"]
DEADLINE = 60
LISTENING = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}
WARNING = re.compile("whoever can reach|can be reached from other machines")


def sockets_of(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def family(pid: int) -> list[int]:
    """The process and those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def listening(pid: int) -> set[str]:
    """Addresses, as the kernel writes them, on which a process or its children listen."""
    own = {inode for one in family(pid) for inode in sockets_of(one)}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in own:
                found.add(fields[1].partition(":")[0])
    return found


@contextmanager
def running(place: Path, *words: str) -> Iterator[tuple[set[str], list[str]]]:
    """Where it listens, and (once it has ended) what it said."""
    said: list[str] = []
    with (place / "said").open("wb") as file:
        process = subprocess.Popen(
            [*PROGRAM, *words], cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file
        )
        try:
            end = time.monotonic() + DEADLINE
            while not (where := listening(process.pid)):
                assert process.poll() is None, (place / "said").read_text()
                assert time.monotonic() < end
                time.sleep(0.05)
            yield where, said
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE)
            said += (place / "said").read_text().splitlines()


SERVE = ("view", "--serve", "--port", "0", str(CAPTURE))
TO = ("--to", "ws://127.0.0.1:1", "-w", "a.pcapng")


@pytest.mark.parametrize(
    ("words", "is_local"),
    [
        (SERVE, True),
        ((*SERVE, "--host", "0.0.0.0"), False),
        (("proxy", "--headless", "--listen", "127.0.0.1:0", *TO), True),
        (("proxy", "--headless", "--listen", "localhost:0", *TO), True),
        (("proxy", "--headless", "--listen", ":0", *TO), False),
        (("proxy", "--headless", "--listen", "wss://0.0.0.0:0", *TO), False),
        (("proxy", "--listen", "127.0.0.1:0", *TO), True),
    ],
    ids=lambda words: " ".join(words[:4]) if isinstance(words, tuple) else None,
)
def test_who_can_be_reached_from_elsewhere_says_so(tmp_path, monkeypatch, words, is_local):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with running(tmp_path, *words) as (where, said):
        assert (where <= LOOPBACK) is is_local
    assert bool(WARNING.search("\n".join(said))) is not is_local


def test_where_it_listens_when_nothing_is_said():
    from ocppscope.cli import proxy, view

    host = next(one for one in view.command.params if one.name == "host")
    assert host.default == "127.0.0.1"
    given = proxy.command.make_context("proxy", ["--to", "ws://127.0.0.1:1"], resilient_parsing=False).params
    assert proxy.config_of(given).listen.is_loopback
