"""`ocppscope stations`."""

import json

import pytest

from support_cli import ACCEPT, CAPTURES, Session, run, same_as_golden, write


@pytest.mark.parametrize(
    "name", ["remote_start_stop", "refused_handshakes", "malformed", "slow_and_missing", "several_stations"]
)
def test_report(name):
    done = run("stations", CAPTURES / f"{name}.pcap")
    assert (done.code, done.err) == (0, "")
    same_as_golden(f"{name}.stations", done.out)


@pytest.mark.parametrize("name", ["remote_start_stop", "refused_handshakes", "malformed", "slow_and_missing"])
def test_negotiations(name):
    done = run("stations", "--handshake", CAPTURES / f"{name}.pcap")
    assert done.code == 0
    same_as_golden(f"{name}.handshake", done.out)


def test_a_filter_leaves_the_connections_of_which_a_message_passes():
    path = CAPTURES / "several_stations.pcap"
    done = run("stations", "-Y", "station == CP-FLEET-03 and action == Heartbeat", path, "--format", "jsonl")
    assert {json.loads(line)["station"] for line in done.lines} == {"CP-FLEET-03"}
    text = run("stations", "-Y", "kind == CALLERROR", CAPTURES / "malformed.pcap").out
    errors = run("log", "-Y", "kind == CALLERROR", CAPTURES / "malformed.pcap", "--format", "jsonl")
    assert f"{len(errors.lines)} pass the filter" in text
    assert run("stations", "-Y", "nosuchthing", path).out == ""


def test_rows():
    done = run("stations", "--format", "jsonl", CAPTURES / "several_stations.pcap")
    rows = [json.loads(line) for line in done.lines]
    assert len(rows) == 10
    assert {row["station"] for row in rows} == {f"CP-FLEET-0{number}" for number in range(1, 6)}
    assert {row["type"] for row in rows} == {"connection"}
    assert [row["vendor"] for row in rows[:5]] == ["Example Vendor"] * 5
    assert list(rows[0])[-5:] == ["vendor", "model", "firmware", "serial", "message_problems"]
    assert sum(sum(row["messages"].values()) for row in rows) == 160


VERDICTS = [
    ({}, "✓ Sec-WebSocket-Accept      {accept} answers the key", ""),
    ({"accept": "AAAA"}, "✗ Sec-WebSocket-Accept      AAAA does not answer the key", "http.accept-wrong"),
    ({"key": "short"}, "✗ Sec-WebSocket-Key         short", "http.key-invalid"),
    ({"protocol": "chat"}, "✓ Sec-WebSocket-Protocol    offered chat → chosen chat", ""),
]


@pytest.mark.parametrize(("upgrade", "line", "code"), VERDICTS)
def test_verdicts_stand_at_their_header(tmp_path, upgrade, line, code):
    shown = run("stations", "--handshake", write(tmp_path / "a.pcap", Session().upgrade(**upgrade))).lines
    at = next(index for index, one in enumerate(shown) if one.strip() == line.format(accept=ACCEPT))
    assert code in shown[at + 1]
    assert bool(code) == shown[at + 1].strip().startswith("!")


def test_no_password_is_shown():
    for arguments in (["--handshake"], ["--format", "jsonl"], []):
        done = run("stations", *arguments, CAPTURES / "remote_start_stop.pcap")
        assert "Basic Q1A" not in done.out
    assert "Basic CP-DEMO-01:***" in run("stations", "--handshake", CAPTURES / "remote_start_stop.pcap").out


def test_a_guessed_version_is_marked():
    assert "OCPP ~2.0.1" in run("stations", CAPTURES / "midstream201.pcap").out
    assert "no upgrade in the capture" in run("stations", "--handshake", CAPTURES / "midstream201.pcap").out


def test_a_leg_counts_once():
    done = run("stations", CAPTURES / "any_interface.pcap")
    assert "2 connections  36 messages" in done.lines[0]
    assert "repeats #0 on another leg" in done.out


@pytest.mark.parametrize("width", [80, 132])
def test_a_terminal_is_not_overrun(width):
    for arguments in (["--handshake"], []):
        done = run(
            "stations",
            *arguments,
            "--color",
            "never",
            CAPTURES / "refused_handshakes.pcap",
            terminal=True,
            width=width,
        )
        assert max(map(len, done.lines)) <= width
