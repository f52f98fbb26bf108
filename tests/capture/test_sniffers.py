"""Live capture as a recorder: which sniffer is taken, how it begins and ends, and what is said when it cannot."""

import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from ocppscope.capture import live_programs, sniffers
from ocppscope.capture.live_programs import ProgramSource, command_line
from ocppscope.capture.live_request import (
    TEMPORARY_FILES,
    LiveRequest,
    Report,
    as_argument,
    as_line,
    failed,
    from_argument,
    read_line,
)
from ocppscope.capture.pcapfile import open_captures
from ocppscope.capture.sniffers import (
    AUTO,
    MAX_TROUBLES,
    SNIFFERS,
    Sniffer,
    check_interface,
    choose,
    find_program,
    may_capture,
    may_open_raw,
)
from ocppscope.errors import AccessError, CaptureError, OcppscopeError, UsageError
from support_live import FAR, NEAR, frame, gone, ip, namespace, send, until


def usable(*names: str) -> object:
    """Only these sniffers may be used here."""
    programs = {name: f"/bin/{name}" for name in names if name != "scapy"}
    return patch.multiple(
        sniffers,
        may_open_raw=lambda: "scapy" in names,
        find_program=lambda name: programs.get(name, ""),
        may_capture=lambda path: True,
    )


@pytest.mark.parametrize(
    ("wanted", "there", "bpf", "chosen"),
    [
        (AUTO, SNIFFERS, "", "scapy"),
        (AUTO, SNIFFERS, "tcp port 9000", "scapy"),
        (AUTO, SNIFFERS, "vlan and tcp port 9000", "dumpcap"),
        (AUTO, SNIFFERS, "tcp or (vlan 7)", "dumpcap"),
        (AUTO, ("scapy",), "vlan", "scapy"),
        (AUTO, ("dumpcap", "tcpdump"), "", "dumpcap"),
        (AUTO, ("tcpdump",), "", "tcpdump"),
        ("tcpdump", SNIFFERS, "", "tcpdump"),
        ("dumpcap", SNIFFERS, "", "dumpcap"),
        ("scapy", SNIFFERS, "vlan", "scapy"),
    ],
)
def test_the_sniffer_that_is_taken(wanted, there, bpf, chosen):
    with usable(*there):
        assert choose(wanted, "eth0", bpf)[0] == chosen


@pytest.mark.parametrize(
    ("wanted", "there", "kind", "word"),
    [
        (AUTO, (), AccessError, "CAP_NET_RAW"),
        ("scapy", ("dumpcap",), AccessError, "CAP_NET_RAW"),
        ("dumpcap", ("scapy",), UsageError, "dumpcap"),
    ],
)
def test_no_sniffer(wanted, there, kind, word):
    with usable(*there), pytest.raises(kind, match=word) as raised:
        choose(wanted, "eth0")
    assert raised.value.exit_code == (4 if kind is AccessError else 2)
    assert raised.value.hint


def test_a_program_without_rights_is_not_taken(tmp_path):
    program = tmp_path / "dumpcap"
    program.write_text("")
    with patch.object(os, "geteuid", return_value=1000):
        assert not may_capture(str(program))
        program.chmod(0o4755)
        assert may_capture(str(program)) == (program.stat().st_uid == 0)
        with patch.object(os, "listxattr", return_value=["security.capability"]):
            assert may_capture(str(program))
    assert not may_capture(str(tmp_path / "nothing")) or os.geteuid() == 0


def test_programs_of_administrators_are_found():
    with patch.dict(os.environ, {"PATH": "/nowhere"}):
        assert find_program("ip") in ("", "/sbin/ip", "/usr/sbin/ip")
        assert find_program("no such program") == ""


def test_raw_sockets_that_are_refused():
    with patch.object(socket, "socket", side_effect=PermissionError):
        assert not may_open_raw()


@pytest.mark.parametrize(("name", "word"), [("eht0", "eth0"), ("zzz", "There are eth0, wlan0"), ("", "-D")])
def test_interfaces_that_are_not_there(name, word):
    with (
        patch.object(socket, "if_nameindex", return_value=[(1, "eth0"), (2, "wlan0")]),
        pytest.raises(UsageError) as raised,
    ):
        check_interface(name)
    assert word in raised.value.hint


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (LiveRequest("eth0", "out", sniffer="dumpcap", program="D"), "D -i eth0 -w - -s 262144 -q -B 64"),
        (
            LiveRequest("eth0", "out", "tcp", "dumpcap", "D", promiscuous=False),
            "D -i eth0 -w - -s 262144 -p -q -B 64 -f tcp",
        ),
        (
            LiveRequest("eth0", "out", "-x", "tcpdump", "T", snaplen=96),
            "T -i eth0 -w - -s 96 -U -n --immediate-mode --nano -B 65536 -- -x",
        ),
    ],
)
def test_command_lines(request_, line):
    assert " ".join(command_line(request_)) == line


@pytest.mark.parametrize(
    "report",
    [
        Report(file="/tmp/a b\n"),
        Report(packets=0),
        Report(packets=5, dropped=2, unwritten=1),
        Report(trouble='"quoted"'),
        failed(AccessError("what", "hint")),
    ],
)
def test_reports_come_back(report):
    line = as_line(report)
    assert line.count(b"\n") == 1
    assert read_line(line) == report


@pytest.mark.parametrize(
    "line", [b"Traceback (most recent call last):\n", b'{"odd": 1}\n', b"[1]\n", b"\xff\x1b[31m\n"]
)
def test_what_is_no_report_is_a_trouble(line):
    assert "sniffer says" in read_line(line).trouble
    assert read_line(line).trouble.isprintable()


def test_silence_is_none():
    assert read_line(b"\n") == Report()


@pytest.mark.parametrize("kind", [AccessError, UsageError, CaptureError])
def test_failures_come_back_as_what_they_were(kind):
    failure = failed(kind("what", "hint")).failure()
    assert (type(failure), failure.what, failure.hint) == (kind, "what", "hint")


def test_requests_come_back():
    request = LiveRequest("eth0", "out", "tcp", keep=3, rotate_seconds=1.5, temporary=True)
    assert from_argument(as_argument(request)) == request


# --- on interfaces of our own --------------------------------------------------------------------------------------


@pytest.fixture
def pair() -> Iterator[None]:
    with namespace():
        yield


@pytest.fixture
def out(tmp_path) -> str:
    return str(tmp_path / "out.pcapng")


def packets_in(*files: str) -> int:
    with open_captures(files) as reader:
        count = sum(len(block.offsets) for block in reader.blocks())
        assert reader.notices == []
        return count


def program_or_skip(sniffer: str) -> str:
    if sniffer != "scapy" and not find_program(sniffer):
        pytest.skip(f"{sniffer} is not installed")
    return sniffer


@pytest.fixture(params=SNIFFERS)
def sniffer(request, pair) -> str:
    return program_or_skip(request.param)


def counted(recorder: Sniffer) -> int:
    return int(recorder.status().split()[0].replace(",", ""))


@pytest.mark.netns
def test_records_while_it_is_read(sniffer, out):
    recorder = Sniffer(LiveRequest(FAR, out, bpf="udp port 9"), sniffer=sniffer)
    recorder.start()
    sniffing = recorder._process
    recorder.start()
    assert recorder._process is sniffing, "the screens start what is started already"
    assert recorder.files() == (out,)
    assert recorder.running
    assert packets_in(out) == 0, "it can be opened before there is a packet"
    send([frame(number) for number in range(50)])
    send([frame(number, port=10) for number in range(50)])
    until(lambda: packets_in(out) == 50)
    send([frame(1)])
    recorder.stop()
    assert not recorder.running
    assert packets_in(out) == 51, "what came just before the end, too"
    assert recorder.status() == "51 packets"
    assert recorder.troubles() == ()
    assert stat.S_IMODE(os.stat(out).st_mode) == 0o600
    recorder.stop()


@pytest.mark.netns
@pytest.mark.tshark
def test_tshark_reads_it(sniffer, out, tshark):
    recorder = Sniffer(LiveRequest(FAR, out), sniffer=sniffer)
    recorder.start()
    send([frame(number, 7) for number in range(20)])
    until(lambda: packets_in(out) == 20)
    recorder.stop()
    read = subprocess.run(
        (tshark, "-r", out, "-T", "fields", "-e", "frame.len", "-e", "vlan.id"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert read.stdout.split() == [str(len(frame(0, 7))), "7"] * 20
    assert "damaged" not in read.stderr
    assert "cut short" not in read.stderr


@pytest.mark.netns
def test_rotation(sniffer, out):
    recorder = Sniffer(LiveRequest(FAR, out, rotate_bytes=1 << 16, keep=2), sniffer=sniffer)
    recorder.start()
    sent = []
    until(lambda: sent.extend(sent_again()) or len(recorder.files()) > 4)
    recorder.stop()
    files = recorder.files()
    assert [os.path.exists(one) for one in files] == [False] * (len(files) - 2) + [True, True]
    assert 0 < packets_in(*files[-2:]) < len(sent)
    assert counted(recorder) == len(sent)


def sent_again() -> list[bytes]:
    """Some 22 KB."""
    frames = [frame(number, size=1400) for number in range(15)]
    send(frames)
    return frames


@pytest.mark.netns
def test_a_temporary_recording_is_bounded_and_goes(sniffer, tmp_path):
    with (
        patch("tempfile.tempdir", str(tmp_path)),
        patch.object(sniffers, "TEMPORARY_ROTATE_BYTES", 20_000),
    ):
        recorder = Sniffer(LiveRequest(FAR, ""), sniffer=sniffer)
        recorder.start()
    (directory,) = tmp_path.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    until(lambda: sent_again() and len(recorder.files()) > 2 * TEMPORARY_FILES)
    recorder.stop()
    assert len(list(directory.iterdir())) == TEMPORARY_FILES
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in directory.iterdir())
    assert recorder.is_temporary
    recorder.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.netns
def test_a_wrong_filter(sniffer, tmp_path):
    with patch("tempfile.tempdir", str(tmp_path)):
        recorder = Sniffer(LiveRequest(FAR, "", bpf="tcp prt 9000"), sniffer=sniffer)
        with pytest.raises(UsageError, match=r"'tcp prt 9000' is wrong: .*syntax error"):
            recorder.start()
    assert list(tmp_path.iterdir()) == [], "nothing is left"
    assert not recorder.running


@pytest.mark.netns
def test_a_file_that_cannot_be_made(sniffer, tmp_path):
    recorder = Sniffer(LiveRequest(FAR, str(tmp_path / "no" / "out")), sniffer=sniffer)
    with pytest.raises(CaptureError, match="directory"):
        recorder.start()


@pytest.mark.netns
def test_an_interface_that_vanishes(sniffer, out):
    recorder = Sniffer(LiveRequest(FAR, out), sniffer=sniffer)
    recorder.start()
    send([frame(1)])
    until(lambda: packets_in(out) == 1)
    ip("link", "del", NEAR)
    until(lambda: not recorder.running)
    recorder.stop()
    assert recorder.troubles(), "it is said"
    assert packets_in(out) == 1


@pytest.mark.netns
def test_an_interface_that_goes_down_and_comes_up(pair, out):
    recorder = Sniffer(LiveRequest(FAR, out), sniffer="scapy")
    recorder.start()
    ip("link", "set", FAR, "down")
    until(lambda: any("went down" in one for one in recorder.troubles()))
    ip("link", "set", FAR, "up")

    def is_heard() -> bool:
        send([frame(1)])  # the first ones may be lost on a link that is not quite up
        return any("up again" in one for one in recorder.troubles())

    until(is_heard)
    recorder.stop()
    assert packets_in(out) >= 1


@pytest.mark.netns
def test_counts_of_the_kernel_are_in_the_recording(pair, out):
    recorder = Sniffer(LiveRequest(FAR, out), sniffer="scapy")
    recorder.start()
    send([frame(number) for number in range(7)])
    recorder.stop()
    assert b"\x04\x00\x08\x00" + (7).to_bytes(8, "little") in Path(out).read_bytes(), "isb_ifrecv"


@pytest.mark.netns
def test_a_sniffer_that_is_killed(pair, out):
    recorder = Sniffer(LiveRequest(FAR, out), sniffer="scapy")
    recorder.start()
    assert recorder._process is not None
    recorder._process.kill()
    until(lambda: not recorder.running)
    assert "signal 9" in recorder.troubles()[-1]
    recorder.stop()
    assert packets_in(out) == 0


@pytest.mark.netns
def test_the_dumpcap_of_a_sniffer_that_is_killed_ends_with_it(pair, out):
    if not shutil.which("dumpcap"):
        pytest.skip("dumpcap is not installed")
    recorder = Sniffer(LiveRequest(FAR, out), sniffer="dumpcap")
    recorder.start()
    assert recorder._process is not None
    number = recorder._process.pid
    (child,) = map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split())
    recorder._process.kill()
    until(lambda: not recorder.running)
    until(lambda: gone(child))
    recorder.stop()


@pytest.mark.netns
def test_it_leaves_ctrl_c_to_its_parent_and_heeds_sigterm(sniffer, out):
    recorder = Sniffer(LiveRequest(FAR, out), sniffer=sniffer)
    recorder.start()
    process = recorder._process
    assert process is not None
    process.send_signal(signal.SIGINT)
    send([frame(1)])
    until(lambda: packets_in(out) == 1)
    process.send_signal(signal.SIGTERM)
    until(lambda: not recorder.running)
    assert process.returncode == 0
    assert recorder.troubles() == ()
    recorder.stop()


ORPHAN = """
    import time, tempfile, sys
    from ocppscope.capture.live_request import LiveRequest
    from ocppscope.capture.sniffers import Sniffer
    tempfile.tempdir = sys.argv[1]
    recorder = Sniffer(LiveRequest("ocsfar", ""), sniffer=sys.argv[2])
    recorder.start()
    print(recorder._process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.netns
def test_nothing_is_left_when_the_parent_is_killed(sniffer, tmp_path):
    with subprocess.Popen(
        (sys.executable, "-c", textwrap.dedent(ORPHAN), str(tmp_path), sniffer), stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert list(tmp_path.iterdir())
        parent.kill()
    until(lambda: gone(child))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.netns
def test_without_the_capability(pair, out):
    code = f"from ocppscope.cli.main import main; import sys; sys.argv = ['ocppscope', 'live', '-i', '{FAR}']; main()"
    done = subprocess.run(
        ("capsh", "--drop=cap_net_raw", "--shell=" + sys.executable, "--", "-c", code),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 4
    assert "CAP_NET_RAW" in done.stderr
    assert "setcap" in done.stderr
    assert "Traceback" not in done.stderr


# --- programs that behave oddly -----------------------------------------------------------------------------------


def odd(tmp_path: Path, script: str) -> LiveRequest:
    program = tmp_path / "tcpdump"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return LiveRequest("eth0", "out", "tcp", "tcpdump", str(program))


@pytest.mark.parametrize(
    ("script", "kind", "word"),
    [
        ("echo tcpdump: eth0: bad luck >&2; exit 1", CaptureError, "bad luck"),
        (
            'echo "tcpdump: eth0: You don\'t have permission to capture on that device" >&2',
            AccessError,
            "CAP_NET_RAW",
        ),
        ("echo 'tcpdump: can'\"'\"'t parse filter expression: syntax error' >&2; exit 1", UsageError, "syntax error"),
        ("exit 0", CaptureError, "it says nothing"),
        ("echo this is no capture at all, is it", CaptureError, ""),
        ("exec sleep 20", CaptureError, ""),
    ],
)
def test_programs_that_do_not_begin(tmp_path, script, kind, word):
    with pytest.raises(kind, match=word or None):
        ProgramSource(odd(tmp_path, script), deadline=0.5)


def test_a_program_that_cannot_be_started():
    with pytest.raises(OcppscopeError, match="cannot be started"):
        ProgramSource(LiveRequest("eth0", "out", "", "tcpdump", "/nowhere/tcpdump"))


def test_a_program_that_talks_without_end_fills_no_memory(tmp_path):
    header = (
        r"printf '\324\303\262\241\002\000\004\000\000\000\000\000\000\000\000\000\000\000\004\000\001\000\000\000'"
    )
    source = ProgramSource(odd(tmp_path, f"{header}; head -c 3000000 /dev/zero | tr '\\0' x >&2; exec sleep 20"))
    heard = []
    until(lambda: heard.append(source.take()) or len(source._said) >= live_programs.MAX_SAID_BYTES)
    for _ in range(100):
        source.take()
    assert len(source._said) <= live_programs.MAX_SAID_BYTES
    source.end()
    source.close()


def test_troubles_are_bounded():
    with usable("scapy"), patch.object(sniffers, "check_interface"):
        recorder = Sniffer(LiveRequest("eth0", ""))
    for number in range(3 * MAX_TROUBLES):
        recorder._hear(Report(trouble=f"trouble {number}"))
        recorder._hear(Report(trouble=f"trouble {number}"))
    assert recorder.troubles() == tuple(f"trouble {n}" for n in range(2 * MAX_TROUBLES, 3 * MAX_TROUBLES))


def test_names_of_files_are_bounded():
    with usable("scapy"), patch.object(sniffers, "check_interface"), patch.object(sniffers, "MAX_FILES", 3):
        recorder = Sniffer(LiveRequest("eth0", ""))
        for number in range(9):
            recorder._hear(Report(file=str(number)))
    assert recorder.files() == ("0", "1", "2")


def test_the_process_cannot_be_started():
    with usable("scapy"), patch.object(sniffers, "check_interface"):
        recorder = Sniffer(LiveRequest("eth0", "out"))
        with (
            patch.object(subprocess, "Popen", side_effect=OSError(errno.EAGAIN, "no more processes")),
            pytest.raises(CaptureError, match="no more processes"),
        ):
            recorder.start()
