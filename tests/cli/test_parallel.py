"""`--jobs`: the same lines in the same order as in one process."""

import json

import pytest

from support_cli import ACCEPT, CAPTURES, KEY, Session, run, write

NAMES = ["several_stations", "refused_handshakes", "any_interface", "capture_loss", "midstream"]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_print_what_one_does(name):
    capture = CAPTURES / f"{name}.pcap"
    assert run("log", "--jobs", "2", capture) == run("log", capture)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("options", [[], ["-Y", "status"], ["-c", "7"]])
def test_three_processes_and_other_formats(form, options):
    capture = CAPTURES / "several_stations.pcap"
    one = run("log", "--format", form, *options, capture)
    assert one.lines
    assert run("log", "--jobs", "3", "--format", form, *options, capture) == one


def many_stations(path):
    """Forty sessions at once, each packet of them at a time of its own, and pairs of packets at the same time."""
    sessions = []
    for number in range(40):
        session = Session(station=f"10.0.1.{number + 1}", port=40000 + number)
        session.clock += number // 2 * 7_000
        session.upgrade(path=f"/ocpp/CP-{number}")
        for call in range(30):
            session.say(0, f'[2,"{number}-{call}","Heartbeat",{{}}]')
            session.say(1, f'[3,"{number}-{call}",{{"currentTime":"2026-11-22T12:00:00Z"}}]')
        sessions.append(session)
    return write(path / "many.pcap", *sessions)


def test_order_and_numbers_are_those_of_one_process(tmp_path):
    capture = many_stations(tmp_path)
    one = run("log", "--format", "jsonl", capture)
    rows = [json.loads(line) for line in one.lines]
    assert len(rows) == 40 * 60
    assert run("log", "--format", "jsonl", "--jobs", "4", capture) == one


def test_a_leg_in_another_process_is_folded(tmp_path):
    """Whatever the split: with as many workers as this, two flows seldom meet in one."""
    for _ in range(3):
        near, far = Session(), Session(station="10.0.0.9", port=60000)
        far.clock += 500_000
        for session in (near, far):
            session.upgrade(key=KEY, accept=ACCEPT).say(0, '[2,"1","Heartbeat",{}]')
        capture = write(tmp_path / "legs.pcap", near, far)
        one = run("log", capture)
        assert "1 message not shown" in one.err
        assert run("log", "--jobs", "6", capture) == one


@pytest.mark.parametrize("arguments", [["-"], ["--follow", CAPTURES / "ipv6.pcap"]])
def test_streams_cannot_be_shared(arguments):
    done = run("log", "--jobs", "2", *arguments)
    assert done.code == 2
    assert "--jobs" in done.err


def test_a_broken_capture_is_told_once(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(b"no capture at all, but long enough to be looked at")
    done = run("log", "--jobs", "2", path)
    assert done.code == 3
    assert done.err.count("ocppscope: ") == 1
    assert run(path).err == done.err
