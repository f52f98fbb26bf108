"""Exit codes, errors, start-up, completion, pipes that close: what a shell sees of ocppscope."""

import os
import re
import signal
import subprocess
import sys

import pytest

from ocppscope.cli import main
from ocppscope.errors import AccessError, CaptureError
from support_captures import pcap_header, pcap_record
from support_cli import CAPTURES, Done, Session, run, streams, write

PROGRAM = [sys.executable, "-m", "ocppscope"]
CAPTURE = CAPTURES / "remote_start_stop.pcap"


def test_version():
    for option in ("--version", "-V"):
        assert re.fullmatch(r"ocppscope \d+\.\d+\.\d+\S*\n", run_main(option).out)


def run_main(*arguments):
    done = subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def test_help_lists_every_command():
    shown = run_main("--help")
    assert shown.code == 0
    assert all(re.search(rf"^  {name} ", shown.out, re.MULTILINE) for name in main.COMMANDS)


@pytest.mark.parametrize("name", main.COMMANDS)
def test_each_command_has_help_and_is_what_the_list_says(name):
    shown = run_main(name, "--help")
    assert shown.code == 0
    assert f"ocppscope {name}" in shown.out


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["log", "--help"], ["stations", "--help"], ["completion", "bash"]],
    ids=" ".join,
)
def test_start_loads_nothing_that_decodes(arguments):
    code = (
        "import sys, atexit; atexit.register(lambda: sys.stderr.write(' '.join(sys.modules)));"
        f"sys.argv = ['ocppscope', *{arguments!r}]; from ocppscope.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "click" in loaded
    assert loaded.isdisjoint(
        {"numpy", "msgspec", "wsproto", "jsonschema_rs", "zstandard", "websockets", "multiprocessing"}
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    shown = run_main("completion", shell)
    assert shown.code == 0
    assert "_OCPPSCOPE_COMPLETE" in shown.out


def test_completion_completes():
    environment = {
        **os.environ,
        "_OCPPSCOPE_COMPLETE": "bash_complete",
        "COMP_WORDS": "ocppscope st",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["plain,stations"]


# --- exit codes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["log"],
        ["log", "--format", "xml", CAPTURE],
        ["--nonsense", CAPTURE],
        ["log", "--timeout", "0", CAPTURE],
        ["-", "-"],
    ],
)
def test_wrong_usage_is_2(arguments):
    done = run(*arguments)
    assert done.code == 2
    assert done.out == "" or not arguments
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "words", [("-q", "stations"), (CAPTURES / "ocpp16_plain.pcap", "stations"), ("log", "stations")]
)
def test_a_command_that_does_not_come_first(words, tmp_path, monkeypatch):
    done = run(*words)
    assert done.code == 2
    assert "The command of that name comes first: ocppscope stations ..." in done.err
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stations").write_bytes(CAPTURE.read_bytes())
    assert not run(*words).code, "a file of that name is one"


def test_a_misspelt_command_is_2_and_gets_a_suggestion():
    done = run("statoins", CAPTURE)
    assert done.code == 2
    assert "'stations'" in done.err


@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"\x00" * 100, b"\x1f\x8b\x08broken"])
def test_what_is_no_capture_is_3(tmp_path, content):
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    done = run(path)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("ocppscope: ")
    assert 1 <= done.err.count("\n") <= 2


def test_a_missing_file_is_3(tmp_path):
    for jobs in ("1", "2"):
        done = run("log", "--jobs", jobs, tmp_path / "missing.pcap")
        assert done.code == 3
        assert "missing.pcap" in done.err


def test_an_error_is_a_line_and_a_hint():
    def fail(error):
        raise error

    for error, code in ((CaptureError("It is broken.", "Mend it."), 3), (AccessError("No.", "Ask."), 4)):
        with_streams = run_with(lambda error=error: fail(error))
        assert with_streams == (code, f"ocppscope: {error.what}\n  {error.hint}\n")


def run_with(function):
    with streams() as (_, err):
        code = main.exit_code(function)
    return code, err.getvalue()


def test_our_own_failures_are_no_traceback_unless_asked_for(monkeypatch):
    def fail():
        raise ValueError("\x1b[2J")

    monkeypatch.delenv("OCPPSCOPE_DEBUG", raising=False)
    code, err = run_with(fail)
    assert code == main.OUR_FAULT
    assert err.count("\n") == 2
    assert "\x1b" not in err
    monkeypatch.setenv("OCPPSCOPE_DEBUG", "1")
    with pytest.raises(ValueError, match="2J"):
        main.exit_code(fail)


def test_debug_may_stand_on_either_side_of_the_command(monkeypatch):
    monkeypatch.setattr("ocppscope.cli.run.run_log", lambda request: 1 / 0)
    monkeypatch.delenv("OCPPSCOPE_DEBUG", raising=False)
    assert run("log", CAPTURE).code == main.OUR_FAULT
    for arguments in (["--debug", "log", CAPTURE], ["log", "--debug", CAPTURE]):
        with pytest.raises(ZeroDivisionError):
            run(*arguments)


# --- pipes and signals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--format", "jsonl"], ["--jobs", "2"]])
def test_a_reader_that_leaves_is_no_error(tmp_path, options):
    session = Session().upgrade()
    for number in range(4000):
        session.say(0, f'[2,"{number}","Heartbeat",{{}}]')
    capture = write(tmp_path / "a.pcap", session)
    with subprocess.Popen(
        [*PROGRAM, "log", *options, capture], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_a_live_pipe_is_printed_as_it_comes_and_ctrl_c_ends_it():
    session = Session().upgrade().say(0, '[2,"1","Heartbeat",{}]')
    data = write_bytes(session)
    with subprocess.Popen(
        [*PROGRAM, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(data)
        process.stdin.flush()
        lines = [process.stdout.readline().decode() for _ in range(3)]
        assert "Heartbeat" in lines[2]
        process.send_signal(signal.SIGINT)
        rest, err = process.stdout.read().decode(), process.stderr.read() if process.stderr else b""
        process.stdin.close()
        assert process.wait() == main.INTERRUPTED
        assert "still open when the capture ends" in rest
        assert err == b""


def write_bytes(session):
    return pcap_header() + b"".join(map(pcap_record, session.packets))


def test_follow_shows_what_is_added(tmp_path):
    session = Session().upgrade()
    path = tmp_path / "grows.pcap"
    path.write_bytes(write_bytes(session))
    before = len(session.packets)
    with subprocess.Popen(
        [*PROGRAM, "log", "--follow", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"--" in process.stdout.readline()
        assert b"OPEN" in process.stdout.readline()
        session.say(0, '[2,"1","Heartbeat",{}]')
        with path.open("ab") as file:
            file.write(b"".join(map(pcap_record, session.packets[before:])))
        assert b"Heartbeat" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait() == main.INTERRUPTED


def test_a_terminal_without_unicode_gets_plain_signs():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*PROGRAM, CAPTURE], env=environment, capture_output=True, check=True)
    assert done.stdout.isascii()
    assert b" > CALL " in done.stdout
