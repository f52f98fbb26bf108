"""`diagnose` and `timing` never sound cleaner than the capture was: what could not be read stands in the verdict."""

from __future__ import annotations

import json
import struct

import pytest

from ocppscope.analysis.unread import KINDS, UnreadCounts, reservation
from ocppscope.cli import measuring
from ocppscope.cli.loading import session_of
from ocppscope.cli.measuring import MAX_NAME, MAX_NOTE
from ocppscope.model import Problem, Side, StreamGap
from ocppscope.options import Options
from ocppscope.tui import findings_table
from support_captures import Packet, pcap_bytes
from support_cli import Session, frame, run, write

BOOT = '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
BOOTED = '[3,"1",{"status":"Accepted","currentTime":"2026-11-22T12:00:00Z","interval":300}]'


def clean() -> Session:
    return Session().upgrade().say(0, BOOT).say(1, BOOTED)


def too_large() -> Session:
    """A frame that announces more than is read of one, and brings a little of it."""
    large = b'[2,"2","DataTransfer",{"vendorId":"' + b"x" * (17 << 20) + b'"}]'
    return clean().send(0, frame(large, masked=True))


def unrecognised() -> Session:
    """Frames of 4 GiB are announced, which are none."""
    return clean().send(0, b"\x81\xff" + struct.pack(">Q", 1 << 32) + bytes(4) + b"x" * 5000).say(0, "[]")


def missing() -> Session:
    session = clean().say(0, '[2,"2","Heartbeat",{}]').say(0, '[2,"3","Heartbeat",{}]')
    session.packets.pop(-2)
    return session.say(1, '[3,"3",{"currentTime":"2026-11-22T12:00:00Z"}]')


def endless_head() -> Session:
    return Session().send(0, b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX: " + b"a" * (100 << 10))


CASES = [
    (too_large, "1 message too large or too deeply nested to be read whole"),
    (unrecognised, "bytes in which no frame could be recognised"),
    (missing, "bytes that the capture does not hold"),
    (endless_head, "1 HTTP connection with a head that has no end"),
]


@pytest.mark.parametrize(("made", "said"), CASES)
def test_the_verdict_says_what_was_not_read(tmp_path, made, said):
    path = write(tmp_path / "a.pcap", made())
    text = run("diagnose", path).out
    verdict = next(line for line in text.splitlines() if "Not looked at: " in line)
    assert said in verdict
    assert "Nothing found in 3 messages." not in text
    whole = json.loads(run("diagnose", path, "--format", "json").out)
    assert any(said in one["text"] for one in whole["unread"])
    for form in ("markdown", "html"):
        assert said in run("diagnose", path, "--format", form).out
    assert said in run("timing", path).out
    assert any(said in one["text"] for one in json.loads(run("timing", path, "--format", "json").out)["unread"])


def test_rows_of_figures_have_notes_beside_them(tmp_path):
    """CSV has no place for it; a long list is cut at MAX_NOTE characters."""
    done = run("timing", write(tmp_path / "a.pcap", missing()), "--format", "csv")
    assert "Not looked at" not in done.out
    assert "note: Not looked at: " in done.err
    assert all(len(line) <= MAX_NOTE + 10 for line in done.err.splitlines())
    assert "Not looked at" not in run("timing", tmp_path / "a.pcap", "--format", "csv", "-q").err


def test_only_so_many_stations_are_compared_with_one_that_is_not_there(tmp_path, monkeypatch):
    """MAX_LIKENED of them, by MAX_NAME characters."""
    path = write(tmp_path / "a.pcap", clean())
    assert "Did you mean 'CP-1'?" in run("timing", path, "--station", "CP-2").err
    long = run("timing", path, "--station", "CP-2" + "x" * 10 * MAX_NAME).err
    assert len(long) < 3 * MAX_NAME
    monkeypatch.setattr(measuring, "MAX_LIKENED", 0)
    assert "`ocppscope stations` lists" in run("timing", path, "--station", "CP-2").err


def test_a_clean_capture_is_clean(tmp_path):
    path = write(tmp_path / "a.pcap", clean())
    text = run("diagnose", path).out
    assert "Not looked at" not in text
    assert json.loads(run("diagnose", path, "--format", "json").out)["unread"] == []
    assert "Not looked at" not in run("timing", path).out


def test_packets_that_are_cut(tmp_path):
    packets = clean().packets
    cut = [Packet(one.time_ns, one.data[:40], len(one.data)) for one in packets]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_bytes([*packets, *cut]))
    assert f"Not looked at: {len(cut)} packets cut or broken in their headers." in run("diagnose", path).out


def test_without_a_message_nothing_was_looked_at(tmp_path):
    verdict = run("diagnose", write(tmp_path / "a.pcap", Session().send(0, b"SSH-2.0-OpenSSH_9.2\r\n"))).out
    assert verdict.startswith("Nothing was looked at: 0 messages.")
    page = run("diagnose", tmp_path / "a.pcap", "--format", "html").out
    assert "Nothing found" not in page


def test_what_is_wrong_with_the_file_is_no_clean_verdict(tmp_path):
    path = write(tmp_path / "a.pcap", clean())
    path.write_bytes(path.read_bytes()[:-3])
    text = run("diagnose", path).out
    assert "Nothing found in what could be read of" in text or "error" in text or "warning" in text
    assert "Nothing found in 3 messages" not in text


@pytest.mark.parametrize(("made", "said"), [CASES[0], CASES[3]])
def test_the_tab_says_so(tmp_path, made, said):
    session = session_of([str(write(tmp_path / "a.pcap", made()))], Options())
    session.start(lambda: None)
    session._thread.join(60)
    report = session.report()
    session.stop()
    assert report is not None
    assert any(said in one.text for one in report.unread)
    line = findings_table.summary(report, done=True, percent=None, choice=findings_table.Choice())
    assert "not all was looked at" in "".join(span.text for span in line)
    items = findings_table.items(report, set(), findings_table.Choice(), 200)
    assert any(said in "".join(span.text for span in item.line) for item in items if item.line)


def test_counting():
    counts = UnreadCounts()
    assert reservation(counts.told()) == ""
    counts.message([Problem("ws.lost-bytes", ""), Problem("json.depth", "")])
    counts.message([Problem("ws.context-lost", ""), Problem("json.syntax", "")])
    counts.message([Problem("json.syntax", "")])
    for lost, why in ((5, "gone"), (1000, "captured, but odd"), (None, "gone"), (7, "gone")):
        counts.gap(StreamGap(0, 0, Side.STATION, lost, why))
    counts.note("cut", 0)
    found = {one.kind: one.count for one in counts.told(stations=2, rules=0)}
    assert found == {"large": 1, "damaged": 1, "missing": 12, "gaps": 1, "unrecognised": 1000, "stations": 2}
    assert reservation(counts.told()).startswith("Not looked at: 1 message too large")
    assert "1,000 bytes in which" in reservation(counts.told())
    assert all(len(names) == 2 for names in KINDS.values())
