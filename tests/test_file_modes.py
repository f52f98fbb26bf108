"""Nobody else can read what ocppscope writes, whatever the umask; and a link that waits under a name leads nowhere.

Real commands, in processes of their own with umask 000 and a directory that everybody may write to.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocppscope.capture.live_files import LiveFiles
from ocppscope.capture.live_request import LiveRequest
from ocppscope.errors import UsageError
from ocppscope.proxy.authority import Authority
from ocppscope.proxy.contexts import make_private
from ocppscope.proxy.spool import Spool

CAPTURE = Path(__file__).parents[1] / "captures" / "remote_start_stop.pcap"
PROGRAM = [sys.executable, "-P", "-m", "ocppscope"]
PRIVATE, PRIVATE_DIRECTORY, OPEN_DIRECTORY = 0o600, 0o700, 0o1777
DEADLINE = 60
SECRET = "what must stay as it is\n"


@pytest.fixture
def place(tmp_path) -> Path:
    """A directory as /tmp is, with a capture in it."""
    made = tmp_path / "open"
    made.mkdir()
    made.chmod(OPEN_DIRECTORY)
    shutil.copy(CAPTURE, made / "field.pcap")
    return made


def environment(place: Path) -> dict[str, str]:
    data = place / "data"
    return {**os.environ, "XDG_DATA_HOME": str(data), "TMPDIR": str(place), "HOME": str(place)}


def ocppscope(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=place, env=environment(place), umask=0, timeout=DEADLINE,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def proxy(place: Path, *arguments: str) -> Iterator[int]:
    """A proxy in a process of its own, ended by SIGTERM; the port."""
    port = free_port()
    command = [*PROGRAM, "proxy", "--headless", "--listen", *arguments[:1], *arguments[1:]]
    command[command.index(arguments[0])] = f"{arguments[0]}127.0.0.1:{port}"
    process = subprocess.Popen(command, cwd=place, env=environment(place), umask=0, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), DEADLINE).close()
                break
            except OSError:
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < end
                time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)


FORMS = ("html", "csv", "jsonl", "md", "svg", "har", "txt", "pcapng", "ocpptrace", "mmd")


@pytest.mark.parametrize("suffix", FORMS)
def test_an_export(place, suffix):
    done = ocppscope(place, "export", "field.pcap", "-o", f"out.{suffix}")
    assert done.returncode == 0, done.stderr
    assert mode(place / f"out.{suffix}") == PRIVATE
    assert not list(place.glob("*.partial"))


def test_an_export_in_place_of_a_file_that_others_can_read(place):
    out = place / "out.csv"
    out.write_text("old")
    out.chmod(0o666)
    assert ocppscope(place, "export", "field.pcap", "-o", "out.csv", "--force").returncode == 0
    assert mode(out) == PRIVATE


def test_a_redacted_capture_and_the_key_of_its_pseudonyms(place):
    done = ocppscope(place, "redact", "field.pcap", "-o", "out.pcapng", "--redact-key", "pseudonyms.key")
    assert done.returncode == 0, done.stderr
    assert [mode(place / name) for name in ("out.pcapng", "pseudonyms.key")] == [PRIVATE, PRIVATE]


def test_notes_beside_a_capture(place):
    done = ocppscope(place, "note", "field.pcap", "-Y", "row == 1", "--add", "look")
    assert done.returncode == 0, done.stderr
    assert mode(place / "field.pcap.ocppscope.json") == PRIVATE


def test_the_authority_and_what_it_makes(place):
    done = ocppscope(place, "ca", "--issue", "csms.example", "-o", "made")
    assert done.returncode == 0, done.stderr
    assert mode(place / "made" / "csms.example.key") == PRIVATE
    own = place / "data" / "ocppscope"
    assert [mode(own), mode(own / "ca"), mode(own / "ca" / "ca.key")] == [0o700, 0o700, PRIVATE]
    assert not mode(own / "ca" / "ca.pem") & 0o022


def test_a_recording_and_a_key_log(place):
    with proxy(
        place, "wss://", "--to", f"ws://127.0.0.1:{free_port()}", "-w", "out.pcapng", "--write-keylog", "keys.log"
    ):
        assert [mode(place / name) for name in ("out.pcapng", "keys.log")] == [PRIVATE, PRIVATE]


@contextmanager
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def live_file(path: Path) -> None:
    nothing: Callable[[str], None] = lambda text: None  # noqa: E731
    files = LiveFiles(LiveRequest("lo", str(path)), b"HEADER", opened=nothing, trouble=nothing)
    files.close()


def test_a_live_file_even_in_place_of_one_that_others_can_read(place):
    out = place / "out.pcapng"
    out.write_text("old")
    out.chmod(0o666)
    with no_umask():
        live_file(out)
    assert (mode(out), out.read_bytes()) == (PRIVATE, b"HEADER")


def test_a_key_log_that_others_could_read_is_closed_to_them(place):
    log = place / "keys.log"
    log.write_text("old\n")
    log.chmod(0o666)
    make_private(str(log))
    assert (mode(log), log.read_text()) == (PRIVATE, "old\n")


def test_an_authority_whose_key_others_can_read_is_not_used(place):
    Authority.open(str(place / "ca"))
    (place / "ca" / "ca.key").chmod(0o644)
    with pytest.raises(UsageError, match="others"):
        Authority.open(str(place / "ca"))


# --- links ----------------------------------------------------------------------------------------------------------


def linked(place: Path, name: str) -> Path:
    """A file that must not change, with a link to it under the name of an output."""
    target = place / "precious"
    target.write_text(SECRET)
    target.chmod(0o644)
    (place / name).symlink_to(target)
    return target


def dangling(place: Path, name: str) -> Path:
    """A file that must not come to be."""
    target = place / "precious"
    (place / name).symlink_to(target)
    return target


OUTPUTS = {
    "export": ("out.csv", ["export", "field.pcap", "-o", "out.csv"]),
    "export, replacing": ("out.csv", ["export", "field.pcap", "-o", "out.csv", "--force"]),
    "redact": ("out.pcapng", ["redact", "field.pcap", "-o", "out.pcapng"]),
    "redact, replacing": ("out.pcapng", ["redact", "field.pcap", "-o", "out.pcapng", "--force"]),
    "key of pseudonyms": ("a.key", ["redact", "field.pcap", "-o", "out.pcapng", "--redact-key", "a.key"]),
    "notes": ("field.pcap.ocppscope.json", ["note", "field.pcap", "-Y", "row == 1", "--add", "look"]),
    "root": ("root.pem", ["ca", "--export", "root.pem"]),
    "key": ("csms.example.key", ["ca", "--issue", "csms.example"]),
    "certificate": ("csms.example.pem", ["ca", "--issue", "csms.example"]),
    "recording": ("a.pcapng", ["proxy", "--headless", "--listen", "127.0.0.1:0", "--to", "ws://127.0.0.1:1",
                               "-w", "a.pcapng"]),
    "key log": ("a.log", ["proxy", "--headless", "--listen", "wss://127.0.0.1:0", "--to", "ws://127.0.0.1:1",
                          "-w", "a.pcapng", "--write-keylog", "a.log"]),
}  # fmt: skip


@pytest.mark.parametrize("case", OUTPUTS)
@pytest.mark.parametrize("made", [linked, dangling])
def test_a_link_under_the_name_of_an_output_is_not_followed(place, case, made):
    name, arguments = OUTPUTS[case]
    target = made(place, name)
    done = ocppscope(place, *arguments)
    assert done.returncode in (0, 2, 4), done.stderr
    assert "itself failed" not in done.stderr
    if made is linked:
        assert (target.read_text(), mode(target)) == (SECRET, 0o644)
    else:
        assert not target.exists()


@pytest.mark.parametrize("made", [linked, dangling])
def test_a_live_file_takes_the_place_of_a_link(place, made):
    target = made(place, "out.pcapng")
    live_file(place / "out.pcapng")
    assert (place / "out.pcapng").read_bytes() == b"HEADER"
    assert not (place / "out.pcapng").is_symlink()
    assert not target.exists() or target.read_text() == SECRET


def test_a_spool_refuses_a_link(place):
    target = dangling(place, "out.pcapng")
    with pytest.raises(UsageError, match="there already"):
        Spool(str(place / "out.pcapng"), b"HEADER")
    assert not target.exists()
