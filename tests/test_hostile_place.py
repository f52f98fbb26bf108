"""ocppscope in a directory that somebody else has filled, and with names and arguments that hold escape sequences.

The directory has what Python, pyshark, tshark and others would load from where they are started; none of it may run.
What is shown of a name must not steer the terminal.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

CAPTURES = Path(__file__).parents[1] / "captures"
DEADLINE = 60
MARK = "was-run"

PYTHON = f"open({MARK!r}, 'a').write(__name__ + chr(10))\n"
LUA = f'local f = io.open("{MARK}", "a")\nf:write("lua\\n")\nf:close()\n'
MODULES = (
    "sitecustomize", "usercustomize", "ocppscope/__init__", "ocppscope/__main__", "multiprocessing/__init__",
    "multiprocessing/spawn", "json/__init__", "ssl", "asyncio/__init__", "numpy/__init__", "click/__init__",
    "pyshark/__init__", "scapy/__init__", "textual/__init__", "msgspec", "cryptography/__init__",
    "encodings/__init__", "conftest", "random", "socket",
)  # fmt: skip


def program() -> list[str]:
    """As it is installed, or as near to that as can be."""
    script = Path(sysconfig.get_path("scripts")) / "ocppscope"
    return [str(script)] if script.exists() else [sys.executable, "-P", "-m", "ocppscope"]


@pytest.fixture
def place(tmp_path) -> Path:
    """The directory."""
    made = tmp_path / "hostile"
    made.mkdir()
    for name in MODULES:
        path = made / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(PYTHON)
    false = made / "tshark"
    false.write_text(f"#!/bin/sh\necho false tshark >> {MARK}\n")
    for name in ("less", "vi", "dumpcap", "tcpdump", "git"):
        shutil.copy(false, made / name)
    for path in (false, *(made / name for name in ("less", "vi", "dumpcap", "tcpdump", "git"))):
        path.chmod(0o755)
    (made / "config.ini").write_text(f"[tshark]\ntshark_path = {false}\n[dumpcap]\ndumpcap_path = {false}\n")
    for lua in ("init.lua", ".wireshark/init.lua", ".config/wireshark/init.lua", "plugins/evil.lua", ".tshark.lua"):
        path = made / lua
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LUA)
    for name in ("remote_start_stop.pcap", "ipv6.pcap", "tls/tls12_rsa.pcapng", "tls/rsa.pem"):
        shutil.copy(CAPTURES / name, made)
    return made


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OCPPSCOPE"))}


def run(place: Path, *arguments: str | bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*program(), *arguments], cwd=place, env=environment(), timeout=DEADLINE, capture_output=True, check=False
    )


def test_the_trap_works(place):
    """Python itself, started carelessly, falls into it."""
    subprocess.run(
        [sys.executable, "-m", "ocppscope"], cwd=place, env=environment(), check=False, capture_output=True
    )
    assert (place / MARK).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("log", "remote_start_stop.pcap"),
        ("log", "--jobs", "2", "remote_start_stop.pcap"),
        ("diagnose", "remote_start_stop.pcap"),
        ("export", "remote_start_stop.pcap", "-o", "out.html"),
        ("redact", "remote_start_stop.pcap", "-o", "out.pcapng"),
        ("stations", "."),
        ("log", "config.ini"),
    ],
    ids=" ".join,
)
def test_nothing_of_it_runs(place, arguments):
    done = run(place, *arguments)
    assert b"itself failed" not in done.stderr
    assert b"Traceback" not in done.stderr
    assert not (place / MARK).exists()


@pytest.mark.tshark
def test_tshark_runs_nothing_of_it_either(place):
    done = run(place, "log", "--tls-engine", "tshark", "--rsa-key", "rsa.pem", "tls12_rsa.pcapng")
    assert done.returncode == 0, done.stderr
    assert b"10 TLS connections" in done.stderr
    assert not (place / MARK).exists()


def test_the_relay_runs_nothing_of_it(place):
    """The proxy with its relay in a process of its own."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [*program(), "proxy", "--listen", f"127.0.0.1:{port}", "--to", "ws://127.0.0.1:1", "-w", "a.pcapng"]
    process = subprocess.Popen(
        command,
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), DEADLINE).close()
                break
            except OSError:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end
                time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
    assert not (place / MARK).exists()


# --- what a terminal is shown ---------------------------------------------------------------------------------------

EVIL = "\x1b]0;title\x07\x1b[31m\x9b2J\u202egnp\r\n\x1b]52;c;ZXZpbA==\x07"
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

ARGUMENTS = [
    (f"{EVIL}.pcap",),
    ("log", f"{EVIL}.pcap"),
    ("log", "remote_start_stop.pcap", f"{EVIL}.pcap"),
    ("log", f"--{EVIL}"),
    ("log", "-Y", f"action == {EVIL}", "remote_start_stop.pcap"),
    ("log", "-d", EVIL, "remote_start_stop.pcap"),
    ("log", "--keylog", EVIL, "remote_start_stop.pcap"),
    ("log", "--color", EVIL, "remote_start_stop.pcap"),
    ("export", "remote_start_stop.pcap", "-o", f"{EVIL}.csv"),
    ("export", "remote_start_stop.pcap", "-o", f"nowhere/{EVIL}.csv"),
    ("export", "remote_start_stop.pcap", "-o", f"out.{EVIL}"),
    ("redact", "remote_start_stop.pcap", "-o", f"{EVIL}.pcapng", "--redact-key", f"{EVIL}.key"),
    ("note", "remote_start_stop.pcap", "-Y", "row == 1", "--add", EVIL),
    ("compare", f"{EVIL}.pcap", "remote_start_stop.pcap"),
    ("rules", EVIL),
    ("fields", EVIL),
    ("ca", "--ca", EVIL, "--export", f"{EVIL}/x/y"),
    ("proxy", "--listen", EVIL, "--to", EVIL),
    ("proxy", "--to", "ws://127.0.0.1:1", "--script", EVIL),
    ("live", "-i", EVIL),
    ("stations", EVIL),
    ("diagnose", EVIL),
    ("timing", EVIL),
    ("completion", EVIL),
    (EVIL,),
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda words: " ".join(words).replace(EVIL, "EVIL"))
def test_arguments_are_shown_harmlessly(place, arguments):
    done = run(place, *arguments)
    for stream in (done.stdout, done.stderr):
        found = STEERING.search(stream.decode("utf-8"))
        assert found is None, stream
    assert b"itself failed" not in done.stderr


@pytest.mark.parametrize("content", ["capture", "garbage", "empty", "cut"])
@pytest.mark.parametrize("command", ["log", "stations", "diagnose", "timing", "compare", "export"])
def test_names_of_files_are_shown_harmlessly(place, command, content):
    name = EVIL.replace("/", "") + "\udcff.pcap"
    capture = (CAPTURES / "remote_start_stop.pcap").read_bytes()
    contents = {"capture": capture, "garbage": b"\x1b[31m" * 9, "empty": b"", "cut": capture[:999]}
    (place / name).write_bytes(contents[content])
    more = {"export": ["--format", "markdown"], "compare": ["remote_start_stop.pcap"]}.get(command, [])
    done = run(place, command, os.fsencode(name), *more)
    for stream in (done.stdout, done.stderr):
        found = STEERING.search(stream.decode("utf-8", "surrogateescape"))
        assert found is None, stream
    assert b"itself failed" not in done.stderr
