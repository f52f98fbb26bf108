"""The benchmark's made-up traffic is what it claims: valid OCPP, counted right, the same bytes every time."""

import asyncio
import base64
import hashlib
import json
import resource
import subprocess
import sys
import zlib
from argparse import Namespace
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from bench.generate import VARIANTS, generate, label, number
from bench.packets import checksum, word_sum
from bench.run import (
    PLAIN,
    TLS,
    Found,
    Job,
    cases,
    found_by_ocppscope,
    found_by_tshark,
    growth,
    jobs_for,
    measure,
    run,
    table,
)
from bench.stations import ERROR, Station
from ocpp.messages import Call, CallResult, validate_payload

MESSAGES = 2000
STATIONS = 20


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_scripts_say_only_what_the_schemas_allow(version):
    """The judge is the validator of the `ocpp` package, which ocppscope does not use."""
    seen = Counter()
    for index in range(6):
        station = Station(index, version, Random(index))
        station.now_ns = 1_795_000_000_123_456_789
        for exchange in islice(station.script(), 250):
            seen[exchange.action] += 1
            call = Call("id", exchange.action, json.loads(exchange.request))
            asyncio.run(validate_payload(call, version))
            if exchange.kind == ERROR:
                assert len(json.loads(f"[{exchange.reply}]")) == 3
                continue
            result = CallResult("id", json.loads(exchange.reply), action=exchange.action)
            asyncio.run(validate_payload(result, version))
    assert len(seen) >= 12, "a mix of actions"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_seed_gives_the_same_bytes(tmp_path, variant):
    truths = [generate(tmp_path / name, variant, 200, stations=5) for name in "ab"]
    assert truths[0] == truths[1]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_truth_adds_up(tmp_path):
    truth = generate(tmp_path / "plain.pcap", "plain", MESSAGES, stations=STATIONS)
    assert truth["messages"] == MESSAGES == truth["calls"] + truth["results"] + truth["errors"]
    assert truth["from_station"] + truth["from_csms"] == MESSAGES
    assert truth["connections"] >= STATIONS


def tshark_rows(path: Path, *fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    words = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-r", str(path), *options, "-T", "fields", *words]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in run.stdout.splitlines()]


@pytest.mark.tshark
@pytest.mark.parametrize("variant", ["plain", "deflate", "lossy", "mixed70"])
def test_tshark_reads_every_message_where_it_is_told_to_reorder(tmp_path, variant):
    path = tmp_path / "x.pcap"
    generate(path, variant, MESSAGES, stations=STATIONS)
    options = ("-o", "tcp.reassemble_out_of_order:TRUE", "-Y", "websocket")
    rows = tshark_rows(path, "websocket.opcode", options=options)
    opcodes = Counter(code for row in rows for code in row[0].split(","))
    assert opcodes["1"] == MESSAGES
    assert opcodes.keys() <= {"1", "8", "9", "10"}


@pytest.mark.tshark
def test_packets_have_right_checksums_and_no_sequence_errors(tmp_path):
    path = tmp_path / "x.pcap"
    generate(path, "mixed70", MESSAGES, stations=STATIONS)
    checks = ("tcp.check_checksum", "ip.check_checksum", "udp.check_checksum")
    options = [word for name in checks for word in ("-o", f"{name}:TRUE")]
    bad = 'tcp.checksum.status=="Bad" or ip.checksum.status=="Bad" or udp.checksum.status=="Bad"'
    lost = "tcp.analysis.lost_segment or tcp.analysis.retransmission or tcp.analysis.out_of_order"
    rows = tshark_rows(path, "frame.number", options=(*options, "-Y", f"{bad} or {lost}"))
    assert rows == []


@pytest.mark.tshark
def test_the_accept_token_answers_the_key(tmp_path):
    path = tmp_path / "x.pcap"
    generate(path, "plain", 200, stations=5)
    keys = tshark_rows(path, "http.sec_websocket_key", options=("-Y", "http.request"))
    accepts = tshark_rows(path, "http.sec_websocket_accept", options=("-Y", "http.response"))
    digest = [hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest() for (key,) in keys]
    assert [base64.b64encode(one).decode() for one in digest] == [accept for (accept,) in accepts]


@pytest.mark.tshark
def test_a_lossy_line_swaps_repeats_and_doubles(tmp_path):
    path = tmp_path / "x.pcap"
    generate(path, "lossy", MESSAGES, stations=STATIONS)
    rows = tshark_rows(path, "tcp.analysis.out_of_order", "tcp.analysis.retransmission", "tcp.len")
    data = [row for row in rows if row[2] not in ("", "0")]
    assert 0.002 < sum(bool(row[0]) for row in data) / len(data) < 0.03
    assert 0.01 < sum(bool(row[1]) for row in data) / len(data) < 0.06


@pytest.mark.parametrize(("variant", "share"), [("mixed70", 0.70), ("mixed95", 0.95)])
def test_the_share_of_unrelated_packets(tmp_path, variant, share):
    plain = generate(tmp_path / "a", "plain", MESSAGES, stations=STATIONS)
    mixed = generate(tmp_path / "b", variant, MESSAGES, stations=STATIONS)
    assert 1 - plain["packets"] / mixed["packets"] == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("text", "value"), [("20k", 20_000), ("1M", 1_000_000), ("250", 250)])
def test_sizes_read_and_written(text, value):
    assert number(text) == value
    assert label(value) == text


def test_cases_of_a_selection():
    assert cases("20k-deflate 200k-plain lossy") == [("deflate", 20_000), ("plain", 200_000), ("lossy", 20_000)]
    assert {variant for variant, _ in cases("20k")} == set(VARIANTS) - {"holes"}
    assert cases("tls13 200k-tls13") == [("tls13", 20_000), ("tls13", 200_000)]
    with pytest.raises(SystemExit, match="no such"):
        cases("many")


def test_a_capture_in_tls_is_measured_with_its_keys(tmp_path):
    """And against the same without TLS, in the same rounds."""
    capture = tmp_path / "plain-1-tls13.pcapng"
    names = {}
    for job in jobs_for(capture, TLS, Namespace(no_tshark=False, parallel=False)):
        names[job.name] = job.command(capture)
    for name, command in names.items():
        keyed = str(capture.with_suffix(".keys"))
        assert any(keyed in word for word in command) == (name != PLAIN)
        assert str(tmp_path / "plain-1.pcap" if name == PLAIN else capture) in command
    rows = [
        {"variant": TLS, "messages": 1000, "job": name, "cpu": cpu} for name, cpu in (("stations", 3.0), (PLAIN, 2.0))
    ]
    assert "1.50 times" in " ".join(growth(rows))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bytes.fromhex("0001f203f4f5f6f7"), 0x220D),  # the example of RFC 1071 §3
        (bytes.fromhex("450000730000400040110000c0a80001c0a800c7"), 0xB861),
        (b"\xff\xff", 0),
        (b"\x01", 0xFEFF),  # an odd byte counts as the high one
    ],
)
def test_internet_checksum(data, expected):
    assert checksum(word_sum(data)) == expected


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_run_is_counted_and_kept(tmp_path):
    output = tmp_path / "output"
    result = run(python("print('one'); print('two')"), output)
    assert (result.lines, result.exit_code) == (2, 0)
    assert output.read_text() == "one\ntwo\n"
    assert result.first_line is not None
    assert 0 < result.first_line <= result.wall


def test_a_run_that_fails_says_so(capsys):
    result = run(python("import sys; sys.exit('no such thing')"))
    assert (result.exit_code, result.first_line) == (1, None)
    assert "no such thing" in capsys.readouterr().err


def test_memory_and_work_of_children_count():
    grow = "x = bytearray(b'x' * 700_000_000)"
    own = run(python(grow))
    child = run(python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grow!r}])"))
    assert own.peak_mb > 690
    assert child.peak_mb > 690
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    assert run(python("")).peak_mb < max(690, mine + 50)  # a child's peak starts at the size of who starts it


CALL = '[2,"8918c625-f4d0-42b3-aa87-582525b5eb2d","Heartbeat",{}]'
RESULT_TEXT = '[3, "8918c625-f4d0-42b3-aa87-582525b5eb2d", {"x":"ü"}]'


def test_messages_are_found_in_either_output(tmp_path):
    path = tmp_path / "output"
    path.write_text(f"14\t1795000000.7\t0\t1,1\tTimestamps,{CALL},{RESULT_TEXT}\n15\t1795000001.0\t0\t9\t\n")
    assert found_by_tshark(path) == Found(2)
    rows = [{"kind": "CALL", "text": CALL}, {"kind": "CALLRESULT", "text": RESULT_TEXT}, {"kind": "PING"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert found_by_ocppscope(path) == Found(2, zlib.crc32(CALL.encode()) + zlib.crc32(RESULT_TEXT.encode()))


@pytest.mark.parametrize(("said", "verdict"), [(CALL, "same"), (CALL.replace("{}", '{"a":1}'), "DIFFER")])
def test_the_table_tells_other_texts(tmp_path, monkeypatch, said, verdict):
    capture = tmp_path / "x.pcap"
    capture.write_bytes(b"")
    line = json.dumps({"kind": "CALL", "text": said})
    job = Job("log --format jsonl", lambda _: python(f"print({line!r})"), found_by_ocppscope)
    monkeypatch.setattr("bench.run.JOBS", (job,))
    monkeypatch.setattr("bench.run.DATA", tmp_path)
    truth = {"variant": "plain", "messages": 1, "packets": 1, "bytes": 0, "crc32_sum": zlib.crc32(CALL.encode())}
    rows = measure(capture, truth, Namespace(repeats=1, no_tshark=True, parallel=False))
    assert f"1 of 1, texts {verdict}" in next(iter(table(rows)))
    assert "no tshark" in next(iter(table(rows)))
