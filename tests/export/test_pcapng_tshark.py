"""What tshark says of written captures: nothing malformed, checksums right, the same story of TCP as before."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from export.support_pcapng import CAPTURES, exported, redacted

CHECKS = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
BAD = "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0"
ANALYSIS = ["retransmission", "out_of_order", "lost_segment", "duplicate_ack", "keep_alive", "zero_window",
            "fast_retransmission", "spurious_retransmission", "ack_lost_segment"]  # fmt: skip
NAMES = ["clean16", "clean201", "ocpp16_deflate", "fragmented", "ipv6", "any_interface", "capture_loss", "midstream"]


def fields(tshark: str, path: Path, *wanted: str, only: str = "") -> Counter[str]:
    command = [tshark, "-r", str(path), *CHECKS, "-T", "fields", *(part for one in wanted for part in ("-e", one))]
    run = subprocess.run(
        [*command, *(["-Y", only] if only else [])], capture_output=True, text=True, check=True, timeout=120
    )
    return Counter(run.stdout.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_a_redacted_capture(name: str, tshark: str, tmp_path: Path):
    capture = CAPTURES / f"{name}.pcap"
    out = redacted(capture, tmp_path / "out.pcapng")
    assert not fields(tshark, out, "frame.number", only=BAD)
    analysis = [f"tcp.analysis.{one}" for one in ANALYSIS]
    assert fields(tshark, out, "tcp.stream", *analysis) == fields(tshark, capture, "tcp.stream", *analysis)
    opcodes = ["websocket.opcode", "websocket.fin", "websocket.mask"]
    assert fields(tshark, out, *opcodes, only="websocket") == fields(tshark, capture, *opcodes, only="websocket")


@pytest.mark.parametrize("name", ["loss_reorder", "swapped_segments"])
def test_segments_out_of_order(name: str, tshark: str, tmp_path: Path):
    """tshark reads frames of such a capture only when it is asked to order them; then all of them."""
    out = redacted(CAPTURES / f"{name}.pcap", tmp_path / "out.pcapng")
    ordered = [tshark, "-r", str(out), *CHECKS, "-o", "tcp.reassemble_out_of_order:TRUE", "-T", "fields"]
    found = subprocess.run(
        [*ordered, "-e", "websocket.opcode", "-Y", "websocket"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert Counter(found.stdout.replace(",", "\n").split()) == {"1": 90, "8": 2}
    bad = subprocess.run([*ordered, "-e", "frame.number", "-Y", BAD], capture_output=True, check=True, timeout=60)
    assert not bad.stdout


@pytest.mark.parametrize("name", ["clean16", "refused_handshakes", "fragmented"])
def test_packets_that_are_made_up(name: str, tshark: str, tmp_path: Path):
    from support_cli import run as cli

    log = tmp_path / "in.log"
    log.write_text(cli("log", "--full", CAPTURES / f"{name}.pcap").out)
    out = exported(log, tmp_path / "out.pcapng")
    assert not fields(tshark, out, "frame.number", only=f"{BAD} || _ws.expert.severity == error")
    assert fields(tshark, out, "frame.number", only="websocket")


def test_comments_are_comments(tshark: str, tmp_path: Path):
    out = exported(CAPTURES / "malformed.pcap", tmp_path / "out.pcapng", findings=True)
    said = fields(tshark, out, "frame.comment", only="frame.comment")
    assert sum("ocppscope finding: error " in line for line in said) > 5
