"""`export` and `redact` as a user runs them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from support_cli import CAPTURES, run

CAPTURE, SLOW = CAPTURES / "remote_start_stop.pcap", CAPTURES / "slow_and_missing.pcap"
TAG, STATION, SERIAL = "DEMO-APP-7731", "CP-DEMO-01", "SN-CP-DEMO-01"
SUFFIXES = ("log", "md", "html", "jsonl", "csv", "parquet", "ocpptrace", "har", "mmd", "svg", "pcapng")
SHARED = tuple(one for one in SUFFIXES if one not in ("jsonl", "csv", "parquet"))


def messages(path: Path) -> list[dict[str, object]]:
    """What `log` finds in a file."""
    return [json.loads(line) for line in run("log", str(path), "--format", "jsonl").out.splitlines()]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_form_says_what_it_wrote(tmp_path, suffix):
    path = tmp_path / f"case.{suffix}"
    result = run("export", str(CAPTURE), "-o", str(path))
    assert result.code == 0
    assert "48 messages as " in result.err
    assert ("not redacted" in result.err) == (suffix not in SHARED)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suffix", SHARED)
def test_what_is_shared_names_nobody(tmp_path, suffix):
    hidden, plain = tmp_path / f"hidden.{suffix}", tmp_path / f"plain.{suffix}"
    assert run("export", str(CAPTURE), "-o", str(hidden)).code == 0
    assert run("export", str(CAPTURE), "-o", str(plain), "--show-secrets").code == 0
    seen, written = plain.read_bytes(), hidden.read_bytes()
    if suffix == "pcapng":  # where the station masks what it sends
        seen, written = (json.dumps(messages(one)).encode() for one in (plain, hidden))
    assert STATION.encode() in seen
    for secret in (TAG, STATION, SERIAL):
        assert secret.encode() not in written


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_tables_are_redacted_on_request(tmp_path, suffix):
    path = tmp_path / f"case.{suffix}"
    result = run("export", str(CAPTURE), "-o", str(path), "--redact")
    assert "driver token" in result.err
    assert TAG.encode() not in path.read_bytes()


@pytest.mark.parametrize("suffix", ["log", "jsonl", "ocpptrace", "pcapng"])
def test_what_is_written_is_read_again(tmp_path, suffix):
    path = tmp_path / f"case.{suffix}"
    assert run("export", str(CAPTURE), "-o", str(path), "--show-secrets").code == 0
    keys = ("time_ns", "station", "version", "side", "kind", "id", "action", "latency_ns", "outcome", "ordinal")
    was, now = messages(CAPTURE), messages(path)
    coarse = 1000 if suffix == "log" else 1
    assert [[one[key] for key in keys[3:7]] for one in now] == [[one[key] for key in keys[3:7]] for one in was]
    assert [int(str(one["time_ns"])) // coarse for one in now] == [int(str(one["time_ns"])) // coarse for one in was]
    assert [json.loads(str(one["text"])) for one in now] == [json.loads(str(one["text"])) for one in was]


@pytest.mark.parametrize("suffix", ["log", "jsonl", "ocpptrace", "pcapng"])
def test_from_the_second_trip_on_nothing_changes(tmp_path, suffix):
    """The first one may lose what the form cannot hold, such as packets in a log."""
    source, written = str(CAPTURES / "several_stations.pcap"), []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        path = tmp_path / str(number) / f"a.{suffix}"
        assert run("export", source, "-o", str(path), "--show-secrets", "--no-findings").code == 0
        written.append(path.read_bytes())
        source = str(path)
    assert written[1] == written[2]


@pytest.mark.parametrize("suffix", ["log", "jsonl", "pcapng"])
@pytest.mark.parametrize("name", ["slow_and_missing.pcap", "broken_silence.pcap", "malformed.pcap"])
def test_a_redacted_capture_is_diagnosed_like_the_original(tmp_path, suffix, name):
    path = tmp_path / f"case.{suffix}"
    assert run("redact", str(CAPTURES / name), "-o", str(path)).code == 0

    def findings(one: Path) -> list[tuple[str, str, int]]:
        report = json.loads(run("diagnose", str(one), "--format", "json", "-q").out)
        rows = [(each["rule"], each["severity"], each["count"]) for each in report["findings"]]
        return sorted(row for row in rows if suffix == "pcapng" or not row[0].startswith(NETWORK))

    assert findings(path) == findings(CAPTURES / name)


NETWORK = ("tcp-", "ws-frag", "basic-auth", "offline-")
"""Beginnings of rules that need packets, or a password's length, which a log does not have."""


def test_one_key_gives_the_same_pseudonyms(tmp_path):
    key = tmp_path / "key"
    written = []
    for number in range(2):
        path = tmp_path / f"{number}.log"
        assert run("redact", str(CAPTURE), "-o", str(path), "--redact-key", str(key)).code == 0
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert key.stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other.log"
    assert run("redact", str(CAPTURE), "-o", str(other)).code == 0
    assert other.read_bytes() != written[0]


def test_times_are_shifted_inside_messages_too(tmp_path):
    path = tmp_path / "case.jsonl"
    assert run("redact", str(CAPTURE), "-o", str(path), "--shift", "-30d").code == 0
    text = path.read_text()
    assert "2026-11-22" not in text
    assert "2026-10-23" in text
    month = 30 * 86_400 * 10**9
    assert [int(str(one["time_ns"])) + month for one in messages(path)] == [
        one["time_ns"] for one in messages(CAPTURE)
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_twice_is_the_same(tmp_path, suffix):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert run("export", str(SLOW), "-o", str(tmp_path / name / f"x.{suffix}"), "--show-secrets").code == 0
    assert (tmp_path / "a" / f"x.{suffix}").read_bytes() == (tmp_path / "b" / f"x.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["log", "md", "html", "jsonl", "csv", "pcapng", "ocpptrace", "har"])
def test_notes_and_findings_travel(tmp_path, suffix):
    capture = tmp_path / "field.pcap"
    shutil.copy(SLOW, capture)
    assert run("note", str(capture), "-Y", "row == 6", "--add", "look here: zebra", "--mark", "z").code == 0
    path = tmp_path / f"case.{suffix}"
    assert run("export", str(capture), "-o", str(path), "--redact").code == 0
    written = path.read_bytes()
    assert b"look here: zebra" in written
    assert b"rpc-slow-response" in written


def test_a_filter_takes_a_part(tmp_path):
    path = tmp_path / "part.jsonl"
    assert run("export", str(CAPTURE), "-o", str(path), "-Y", "row in {3..5}", "--no-findings").code == 0
    rows = map(json.loads, path.read_text().splitlines())
    assert [one["row"] for one in rows if one["type"] == "message"] == [3, 4, 5]


def test_to_standard_output_from_a_pipe():
    with CAPTURE.open("rb") as capture:
        octets = capture.read()
    result = run("export", "-", "--format", "csv", "--no-findings", stdin=octets)
    assert result.code == 0
    assert len(result.out.splitlines()) == 49
    twice = run("export", "-", "--format", "markdown", stdin=octets)
    assert twice.code == 2
    assert "Save it to a file first" in twice.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((str(CAPTURE), "-o", "x.foo"), "--format"),
        ((str(CAPTURE),), "Name a file with -o"),
        ((str(CAPTURE), "-o", str(CAPTURE)), "one of the inputs|What a “.pcap” file"),
        ((str(CAPTURE), "-o", "/nowhere/x.log"), "cannot be written"),
        ((str(CAPTURE), "-o", "x.csv", "--redact", "--show-secrets"), "contradict"),
        ((str(CAPTURE), "-o", "x.csv", "--shift", "soon"), "no span of time"),
        ((str(CAPTURE), "-o", "x.csv", "-Y", "colour == red"), "The filter is wrong"),
        (("nothing.pcap", "-o", "x.csv"), "nothing.pcap"),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    result = run("export", *arguments)
    assert result.code in (2, 3, 4)
    assert re.search(sentence, result.err)
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_kept(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("mine")
    assert run("export", str(CAPTURE), "-o", str(path)).code == 2
    assert path.read_text() == "mine"
    assert run("export", str(CAPTURE), "-o", str(path), "--force").code == 0
    assert path.read_text().startswith("# ocppscope log")


def test_forms_are_listed():
    listed = run("export", "--list")
    assert listed.code == 0
    assert {line.split()[0] for line in listed.out.splitlines()} >= {"text", "html", "pcapng", "parquet"}
