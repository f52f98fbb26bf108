"""`ocppscope view`, which command is meant when none is named, and captures as sessions."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from ocppscope.cli import loading
from ocppscope.cli.loading import CaptureSession, session_of
from ocppscope.cli.main import _usual
from ocppscope.cli.screens import ViewRequest, check, settled
from ocppscope.cli.view import arguments
from ocppscope.errors import CaptureError, UsageError
from ocppscope.model import Version
from ocppscope.options import Options
from ocppscope.render.times import ClockFormat
from ocppscope.tui.settings import Settings
from support_cli import CAPTURES, Session, run, streams, write

PLAIN = CAPTURES / "ocpp16_plain.pcap"


def loaded(session: CaptureSession) -> CaptureSession:
    """Read to the end."""
    told = []
    session.start(lambda: told.append(session.progress().done))
    session._thread.join(30)
    assert told[-1]
    return session


# --- sessions ------------------------------------------------------------------------------------------------------


def test_a_session_holds_what_the_log_prints():
    session = loaded(session_of([str(PLAIN)], Options()))
    log = run("log", PLAIN, "--format", "jsonl")
    assert len(session.store) == len(log.lines)
    progress = session.progress()
    assert (progress.done, progress.trouble) == (True, "")
    assert progress.read == progress.total == PLAIN.stat().st_size
    assert session.title == "ocpp16_plain.pcap"
    facts = session.describe(Version.V16, "BootNotification", False)("/chargePointVendor")
    assert (facts.type, facts.required) == ("string", True)
    session.stop()


def test_notes_lie_beside_the_capture(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(PLAIN.read_bytes())
    session = loaded(session_of([str(path)], Options()))
    session.notes.set(session.store.message(3), mark="a")
    session.notes.save()
    session.stop()
    again = loaded(session_of([str(path)], Options()))
    assert again.notes.of(again.store.message(3)).mark == "a"
    assert again.store.notes is again.notes
    again.stop()


def test_what_the_capture_held_instead_is_a_notice(tmp_path):
    path = write(tmp_path / "x.pcap", Session().send(0, b"EHLO x\r\n"))
    session = loaded(session_of([str(path)], Options()))
    assert "no OCPP here" in session.progress().notices[0]
    session.stop()


def test_lost_bytes_are_a_notice():
    session = loaded(session_of([str(CAPTURES / "capture_loss.pcap")], Options()))
    assert any("bytes missing in the capture" in one for one in session.progress().notices)
    session.stop()


def test_what_cannot_be_read_is_refused_before_the_screen_opens(tmp_path):
    path = tmp_path / "x.pcap"
    with pytest.raises(CaptureError):
        session_of([str(path)], Options())
    path.write_bytes(b"no capture at all, but long enough to be looked at")
    with pytest.raises(CaptureError):
        session_of([str(path)], Options())


def test_our_own_failure_is_a_sentence(monkeypatch):
    session = session_of([str(PLAIN)], Options())
    monkeypatch.setattr(session._engine, "packets", lambda block: 1 // 0)
    loaded(session)
    assert "ZeroDivisionError" in session.progress().trouble
    session.stop()


def test_a_session_can_be_stopped_in_its_middle(monkeypatch):
    monkeypatch.setattr(loading, "BLOCK_BYTES", 1 << 10)
    session = session_of([str(PLAIN)], Options())
    taken = session.store.take
    reached, go = threading.Event(), threading.Event()

    def slowly(*given):
        taken(*given)
        reached.set()
        go.wait(10)

    monkeypatch.setattr(session.store, "take", slowly)
    session.start(lambda: None)
    assert reached.wait(10)
    threading.Timer(0.05, go.set).start()
    interval = sys.getswitchinterval()
    session.stop()
    assert not session._thread.is_alive()
    assert sys.getswitchinterval() >= interval


# --- the command ---------------------------------------------------------------------------------------------------


def test_a_pipe_gets_the_log():
    assert run(PLAIN).out == run("log", PLAIN).out
    done = run("view", PLAIN)
    assert done.code == 2
    assert "need a terminal" in done.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["x.pcap"], "view"),
        (["-r", "x.pcap", "-Y", "latency > 2s"], "view"),
        (["x.pcap", "--timeout=5"], "view"),
        (["-"], "view"),
        (["x.pcap", "--full"], "log"),
        (["x.pcap", "--format", "jsonl"], "log"),
        (["x.pcap", "-c", "5"], "log"),
        (["x.pcap", "-c5"], "log"),
    ],
)
def test_the_usual_command_on_a_terminal(words, expected, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    with streams(terminal=True):
        assert _usual(words) == expected
    with streams():
        assert _usual(words) == "log"


def test_a_dumb_terminal_gets_the_log(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with streams(terminal=True):
        assert _usual(["x.pcap"]) == "log"


def test_a_wrong_filter_is_refused():
    with pytest.raises(UsageError, match="acton"):
        check("acton == 1", Settings())
    check("@slow", Settings(filters={"slow": "latency > 1s"}))


def test_what_the_command_line_settles(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    request = ViewRequest([], Options())
    assert settled(request, {}).theme == "dark"
    assert settled(request, {"NO_COLOR": "1"}).theme == "mono"
    assert settled(request._replace(color="always"), {"NO_COLOR": "1"}).theme == "dark"
    assert settled(request._replace(color="never"), {}).theme == "mono"
    assert settled(request._replace(theme="light"), {"NO_COLOR": "1"}).theme == "light"
    assert settled(request._replace(clock=ClockFormat("r", 6)), {}).time == ClockFormat("r", 6)


def test_the_command_line_of_a_browser_session_means_the_same():
    options = Options(timeout_ns=5_500_000_000, every_websocket=True, ports={9000: Version.V16})
    request = ViewRequest(["-x.pcap"], options, "never", "a b", ClockFormat("r", 2), "light")
    from ocppscope.cli import screens
    from ocppscope.cli.main import cli

    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screens, "run_view", seen.append)
        cli.main(list(arguments(request)), standalone_mode=False)
    (said,) = seen
    assert said.options.secrets is not None
    assert said._replace(options=said.options._replace(secrets=None)) == request


def test_serving_refuses_what_cannot_be_read(tmp_path):
    done = run("view", "--serve", tmp_path / "none.pcap")
    assert done.code == 3
    assert "none.pcap" in done.err


# --- in a real terminal --------------------------------------------------------------------------------------------


def on_a_terminal(
    words: list[str], *, piped: bool = False, deaf: bool = False
) -> tuple[int, subprocess.Popen[bytes]]:
    """The command on a terminal of its own, and our end of that. One that is `deaf` does not hear when we hang up."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ocppscope", *words], env=environment,
        start_new_session=True, stdin=subprocess.PIPE if piped else child, stdout=child, stderr=child,
        preexec_fn=lambda: _controlling(child, deaf=deaf),  # noqa: PLW1509 - no thread of ours runs by now
    )  # fmt: skip
    os.close(child)
    return parent, process


def seen_on_a_terminal(words: list[str], wanted: bytes, stdin: bytes | None = None) -> bytes:
    """Runs the command on a terminal until it shows something, then leaves it with q."""
    parent, process = on_a_terminal(words, piped=stdin is not None)
    if stdin is not None:
        process.stdin.write(stdin)
        process.stdin.close()
    seen, end = b"", time.monotonic() + 60
    while wanted not in seen and time.monotonic() < end and process.poll() is None:
        if select.select([parent], [], [], 0.5)[0]:
            seen += _some(parent)
    os.write(parent, b"q")
    while process.poll() is None and time.monotonic() < end:
        if select.select([parent], [], [], 0.1)[0]:
            seen += _some(parent)
    os.close(parent)
    assert process.wait(10) == 0
    return seen


def _controlling(terminal: int, *, deaf: bool) -> None:
    import fcntl
    import termios

    signal.signal(signal.SIGHUP, signal.SIG_IGN if deaf else signal.SIG_DFL)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that nobody is on the other side any more
        return b""


def test_the_screens_open_on_a_terminal():
    seen = seen_on_a_terminal([str(PLAIN)], b"BootNotification")
    assert b"[Messages]" in seen
    assert b"\x1b[?1049l" in seen  # the terminal is as it was


def test_a_capture_on_stdin_leaves_the_keys_to_the_terminal():
    seen = seen_on_a_terminal(["-"], b"BootNotification", PLAIN.read_bytes())
    assert b"[Messages]" in seen


SCREENS = {"view": [str(PLAIN)], "compare": ["compare", "--view", str(PLAIN), str(PLAIN)]}


@pytest.mark.parametrize("words", SCREENS.values(), ids=SCREENS)
def test_the_screens_end_with_their_terminal_though_no_signal_says_so(words):
    parent, process = on_a_terminal(words, deaf=True)
    seen, end = b"", time.monotonic() + 60
    while b"BootNotification" not in seen and time.monotonic() < end:
        seen += _some(parent)
    os.close(parent)
    assert process.wait(30) == 128 + signal.SIGHUP
