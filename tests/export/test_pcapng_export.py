"""The form "pcapng": what a reader finds in it is what the capture, or the log, said."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest

from export.support_pcapng import (
    CAPTURES,
    comments,
    evidence_of,
    exported,
    findings,
    redacted,
    story,
    texts,
)
from ocppscope.capture import pcapngout
from ocppscope.export import pcapng
from ocppscope.export.rewriting import attempts, chosen, packetwriting
from ocppscope.export.rewriting.chosen import Chosen
from ocppscope.export.rewriting.remarks import merged
from ocppscope.export.writing import Job
from ocppscope.model import Side
from ocppscope.options import Options
from ocppscope.redaction.policy import Policy
from ocppscope.redaction.redactor import Redactor
from ocppscope.wire.decrypt import Secrets
from support_cli import Session, write
from support_engine import blocks_of, run

OWN = sorted(path.name for path in CAPTURES.glob("*.pcap"))
NAMES = ["clean16", "clean201", "fragmented", "malformed", "midstream", "deflate_gap", "loss_reorder",
         "any_interface", "ipv6", "refused_handshakes", "capture_loss"]  # fmt: skip
SHARED = ["snaplen100.pcap", "61_any_interface_sll2.pcapng", "truncated_file_mid_packet.pcapng",
          "65_mirror_port_losing_2pct.pcapng", "22_deflate_node_node_takeover.pcapng",
          "deflate_params.pcap"]  # fmt: skip


def session() -> Session:
    made = Session().upgrade()
    made.say(0, '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]')
    made.say(1, '[3,"1",{"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":300}]')
    return made.say(0, '[2,"2","Heartbeat",{}]', '[2,"3","Authorize",{"idTag":"04A1B2C3D4"}]')


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_says_the_same(name: str, tmp_path: Path):
    capture = CAPTURES / f"{name}.pcap"
    out = exported(capture, tmp_path / "out.pcapng")
    assert story(out) == story(capture)
    assert texts(out) == texts(capture)
    assert findings(out) == findings(capture)


@pytest.mark.parametrize("name", OWN)
def test_a_redacted_capture_says_the_same(name: str, tmp_path: Path):
    """Kinds, ids, actions, latencies, outcomes, problems and findings; the texts are others."""
    capture = CAPTURES / name
    out = redacted(capture, tmp_path / "out.pcapng")
    assert story(out) == story(capture)
    assert findings(out) == findings(capture)


@pytest.mark.parametrize("name", SHARED)
def test_so_does_one_of_others(name: str, shared: Path, tmp_path: Path):
    capture = next(shared.rglob(name))
    out = redacted(capture, tmp_path / "out.pcapng")
    assert story(out) == story(capture)
    assert findings(out) == findings(capture)


def test_nothing_that_names_somebody_is_left(tmp_path: Path):
    made = Session("10.77.66.55").upgrade("/ocpp/STATION-4711")
    made.say(0, '[2,"3","Authorize",{"idTag":"04A1B2C3D4"}]', '[2,"4","DataTransfer",{"vendorId":"V","data":"x"}]')
    out = redacted(write(tmp_path / "in.pcap", made), tmp_path / "out.pcapng")
    held = out.read_bytes() + b"".join(texts(out))
    assert not [one for one in (b"4711", b"04A1B2C3D4", bytes((10, 77, 66, 55))) if one in held]
    shown = "\n".join(pcapng.texts(str(out)))
    assert "Authorize" in shown
    assert "GET /ocpp/" in shown
    assert "messages of 1 connection" in shown
    assert "link type 1" in shown


def test_times_are_shifted(tmp_path: Path):
    capture = write(tmp_path / "in.pcap", session())
    out = redacted(capture, tmp_path / "out.pcapng", Redactor(Policy(bytes(32), shift_ns=-86_400_000_000_001)))
    before, after = (next(iter(blocks_of(path))).time_ns.tolist() for path in (capture, out))
    assert [one - 86_400_000_000_001 for one in before] == after


def test_findings_and_notes_are_comments(tmp_path: Path):
    capture = write(tmp_path / "in.pcap", session())
    note = {"connection": 0, "ordinal": 2, "time_ns": run(capture).messages[2].time_ns, "mark": "m", "note": "here"}
    sidecar = {"format": "ocppscope-notes", "version": 1, "notes": [note]}
    Path(f"{capture}.ocppscope.json").write_text(json.dumps(sidecar))
    out = exported(capture, tmp_path / "out.pcapng", findings=True)
    said = comments(out)
    heartbeat = run(out).messages[2].packets[-1]
    assert (heartbeat, "ocppscope note: [m] here") in said
    assert any(text.startswith("ocppscope finding: ") and packet == heartbeat for packet, text in said)
    again = exported(out, tmp_path / "again.pcapng", findings=True)
    assert comments(again) == said  # found anew, and said once
    hidden = redacted(capture, tmp_path / "hidden.pcapng", findings=True)
    assert [packet for packet, _ in comments(hidden)] == [packet for packet, _ in said]


def test_the_same_capture_gives_the_same_bytes(tmp_path: Path):
    capture = CAPTURES / "ocpp16_deflate.pcap"
    first, second = (redacted(capture, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_comments_of_a_capture_stay_and_what_an_earlier_export_found_goes():
    kept = ["mine", "ocppscope finding: error x", "ocppscope export: y", "ocppscope proxy: tls: z"]
    assert merged(kept, ["new", "mine"], judged=True) == ["mine", "ocppscope proxy: tls: z", "new"]
    assert merged(kept, [], judged=False) == ["mine", "ocppscope proxy: tls: z", "ocppscope finding: error x"]


@pytest.mark.parametrize("name", ["several_stations", "ocpp16_deflate", "fragmented"])
@pytest.mark.parametrize("hides", [False, True], ids=["as it is", "redacted"])
def test_a_part_can_be_read_by_itself(name: str, hides: bool, tmp_path: Path):
    capture, wanted = CAPTURES / f"{name}.pcap", "action == StatusNotification"
    write_it = redacted if hides else exported
    out = write_it(capture, tmp_path / "out.pcapng", wanted=wanted)
    before, after = (
        [one for one in run(path).messages if one.action == "StatusNotification"] for path in (capture, out)
    )
    assert before
    counted = [Counter((one.id, one.kind, one.latency_ns) for one in found) for found in (before, after)]
    assert counted[0] == counted[1]
    assert {one.handshake is not None for one in run(out).opened} == {True}
    if name != "ocpp16_deflate":  # what is compressed needs all that came before it
        assert len(run(out).messages) < len(run(capture).messages)


def test_other_traffic_and_secrets_stay_behind(tmp_path: Path):
    stranger = Session(port=60000).send(0, b"SSH-2.0-secret\r\n")
    plain = write(tmp_path / "in.pcap", session(), stranger)
    block = next(iter(blocks_of(plain)))
    packets = [
        pcapngout.packet(0, time_ns, bytes(block.data[at : at + length]))
        for time_ns, at, length in zip(
            block.time_ns.tolist(), block.offsets.tolist(), block.caplen.tolist(), strict=True
        )
    ]
    held = tmp_path / "in.pcapng"
    key_log = b"CLIENT_RANDOM 00 11\n"
    held.write_bytes(
        pcapngout.section("x") + pcapngout.interface(1, "secret0") + pcapngout.secrets(key_log) + b"".join(packets)
    )
    out = exported(held, tmp_path / "out.pcapng").read_bytes()
    assert not [one for one in (b"SSH", b"CLIENT_RANDOM", b"secret0") if one in out]


def test_websockets_of_others_stay_behind(tmp_path: Path):
    chat = Session(port=60001).upgrade("/chat", protocol="chat").say(0, "hello, SECRET")
    for write_it in (exported, redacted):
        out = write_it(write(tmp_path / "in.pcap", session(), chat), tmp_path / "out.pcapng")
        assert sum(len(block.offsets) for block in blocks_of(out)) == len(session().packets)


def test_attempts_that_came_to_nothing_come_along(tmp_path: Path):
    bare = Session(port=50001)
    out = exported(write(tmp_path / "in.pcap", session(), bare), tmp_path / "out.pcapng")
    assert sum(len(block.offsets) for block in blocks_of(out)) == len(session().packets) + len(bare.packets)


def test_few_attempts_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 1)
    out = exported(write(tmp_path / "in.pcap", session(), Session(port=50001)), tmp_path / "out.pcapng")
    assert sum(len(block.offsets) for block in blocks_of(out)) == len(session().packets)


def test_comments_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chosen, "MAX_REMARKS", 1)
    found = Chosen.of(evidence_of(CAPTURES / "malformed.pcap", findings=True), Job())
    assert len(found.remarks) == 1
    assert found.unsaid
    assert "left out" in pcapng.missing_words(found)


def test_few_addresses_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    capture = write(tmp_path / "in.pcap", session())
    whole = redacted(capture, tmp_path / "a").read_bytes()
    monkeypatch.setattr(packetwriting, "MAX_ADDRESSES", 1)
    assert redacted(capture, tmp_path / "b").read_bytes() == whole


# --- packets that are made up ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clean16", "clean201", "refused_handshakes", "fragmented", "ocpp21_send"])
def test_a_log_becomes_packets(name: str, tmp_path: Path):
    from support_cli import run as cli

    log = tmp_path / "in.log"
    done = cli("log", "--full", CAPTURES / f"{name}.pcap")
    log.write_text(done.out)
    out = exported(log, tmp_path / "out.pcapng")
    told = [(one.id, one.kind, one.action, one.side, one.text) for one in run(CAPTURES / f"{name}.pcap").messages]
    again = [(one.id, one.kind, one.action, one.side, one.text) for one in run(out).messages]
    assert again == told
    assert any("made up" in text for _, text in comments(out))
    stations = [{one.station for one in run(path).opened} for path in (CAPTURES / f"{name}.pcap", out)]
    assert stations[0] == stations[1]


def test_a_connection_without_an_upgrade_gets_one(tmp_path: Path):
    from support_cli import run as cli

    log = tmp_path / "in.log"
    log.write_text(cli("log", "--full", CAPTURES / "midstream201.pcap").out)
    out = exported(log, tmp_path / "out.pcapng")
    assert [one.text for one in run(out).messages] == [
        one.text for one in run(CAPTURES / "midstream201.pcap").messages
    ]
    assert any("this upgrade is made up" in text for _, text in comments(out))
    assert {one.handshake is not None for one in run(out).opened} == {True}


def test_what_was_in_tls_becomes_packets(shared: Path, tmp_path: Path):
    capture = shared / "tls" / "t13_aes128gcm.pcap"
    secrets = Secrets()
    secrets.add(capture.with_suffix(".keys").read_bytes())
    options = Options(secrets=secrets)
    out = exported(capture, tmp_path / "out.pcapng", options=options)
    assert texts(out) == [one.text for one in run(capture, options).messages]
    assert any("from what was decrypted" in text for _, text in comments(out))
    assert {one.side for one in run(out).messages} == {Side.STATION, Side.CSMS}


def test_a_stream_is_written_as_it_comes(tmp_path: Path):
    """Nothing is sought in: the same bytes go to whatever takes bytes."""
    out = io.BytesIO()
    pcapng.write(evidence_of(CAPTURES / "clean16.pcap"), out, Job())
    assert out.getvalue() == exported(CAPTURES / "clean16.pcap", tmp_path / "out.pcapng").read_bytes()
