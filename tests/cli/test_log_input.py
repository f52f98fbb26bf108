"""Commands on logs of messages: as on captures, and what they say of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ocppscope.analysis.diagnosis import Diagnosis
from ocppscope.analysis.registry import RULES
from ocppscope.cli.loading import session_of
from ocppscope.options import Options
from ocppscope.tui.packet import LogLines, Packets
from support_cli import CAPTURES, run
from support_logs import OWN, read

STEVE = OWN / "steve.log"


def test_the_log() -> None:
    done = run("log", STEVE)
    assert done.code == 0
    assert sum("→ CALL" in line or "← CALL" in line for line in done.lines) == 5
    assert "steve.log is a log of messages, recognised as steve: 11 lines, 5 messages" in done.err
    assert run("log", "-q", STEVE).err == ""


@pytest.mark.parametrize("arguments", [["diagnose"], ["timing"], ["stations"], ["log", "--format", "jsonl"]])
def test_other_commands(arguments: list[str]) -> None:
    done = run(*arguments, STEVE)
    assert done.code == 0
    assert "GARAGE-1" in done.out or "BootNotification" in done.out
    assert "recognised as steve" in done.out + done.err


def test_a_filter_and_findings() -> None:
    assert len(run("log", "-q", "-Y", "action == Reset", STEVE).lines) >= 2
    assert run("log", "-q", "-Y", "finding", STEVE).code == 0
    assert run("log", "-q", "--findings", STEVE).code == 0


@pytest.mark.parametrize("name", sorted(path.name for path in OWN.iterdir() if path.is_file()))
def test_no_rule_about_the_network_has_anything_to_say(name: str) -> None:
    found = json.loads(run("diagnose", "-q", "--format", "json", OWN / name).out)
    layers = {RULES[one["rule"]].layer for one in found["findings"]}
    assert not layers & {"tcp", "tls"}
    assert {one["vantage"] for one in found["stations"]} <= {"log"}


def test_jobs_are_one_for_a_log() -> None:
    assert run("log", "-q", "--jobs", "4", STEVE) == run("log", "-q", STEVE)


def test_standard_input() -> None:
    done = run("log", "-", stdin=STEVE.read_bytes())
    assert done.out == run("log", STEVE).out
    assert "standard input is a log of messages" in done.err


def test_kinds_are_not_mixed() -> None:
    done = run("log", STEVE, CAPTURES / "ipv6.pcap")
    assert done.code == 2
    assert "cannot be read as one" in done.err
    assert "compare" in done.err


def test_the_dialects_are_explained() -> None:
    done = run("log", "--dialect", "help")
    assert done.code == 0
    assert "steve            SteVe, a CSMS" in done.out
    assert run("log", "--dialect", "steeve", STEVE).err.startswith("ocppscope: There is no dialect 'steeve'. Did you")


def test_options_of_logs(tmp_path: Path) -> None:
    assert "06:00:00.120" in run("log", "-q", "--log-zone", "+02:00", STEVE).out
    assert run("log", "--log-zone", "nowhere", STEVE).code == 2
    done = run("log", "--dialect", "microocpp", STEVE)
    assert done.code == 0
    assert "there are no OCPP messages in the log" in done.err
    assert run("log", "--dialect-file", tmp_path / "x.toml", STEVE).code == 2
    assert "ends in .toml" in run("log", "--dialect-file", tmp_path / "x", STEVE).err


def test_text_that_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("hello\n")
    done = run("log", path)
    assert (done.code, done.out) == (3, "")
    assert "is not a capture: it looks like text." in done.err
    assert "--dialect help" in done.err


def test_a_log_is_followed(tmp_path: Path) -> None:
    path, lines = tmp_path / "a.log", STEVE.read_text().splitlines(keepends=True)
    path.write_text("")
    process = subprocess.Popen(
        [sys.executable, "-m", "ocppscope", "log", "-q", "--follow", str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        with path.open("a") as file:
            file.write("".join(lines[:2]))
        first = [process.stdout.readline() for _ in range(3)]
        with path.open("a") as file:
            file.write(lines[2])
        second = process.stdout.readline()
    finally:
        time.sleep(0)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert "CALL       BootNotification" in first[2]
    assert "CALLRESULT BootNotification" in second
    assert "END" in rest


def test_a_session_of_the_screens() -> None:
    session = session_of([os.fspath(STEVE)], Options())
    session.start(lambda: None)
    deadline = time.monotonic() + 60
    while not session.progress().done and time.monotonic() < deadline:
        time.sleep(0.01)
    assert session.progress().trouble == ""
    assert len(session.store) == 5
    message = session.store.message(1)
    assert message.text.startswith(b'[3,"b-1"')
    assert message.packets == (3,)
    assert isinstance(session.dissector, LogLines)
    packets = Packets(session.dissector, lambda work: None)
    packets.look(message, lambda told: None)
    assert [text for text, _ in packets.said(message)] == [
        "A log of messages has no packets.", "The message stands in line 3 of the log.",
    ]  # fmt: skip
    assert "recognised as steve" in session.progress().notices[0]
    session.stop()


def test_the_diagnosis_is_of_what_the_log_holds() -> None:
    diagnosis = Diagnosis()
    diagnosis.take(read(STEVE).run.events)
    diagnosis.finish(diagnosis.stations.now)
    assert sum(diagnosis.stations.by_identity["GARAGE-1"].said) == 5
