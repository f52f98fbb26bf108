"""A connection that goes on far from where it was: a capture that lacks very much, or other peers with its ports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scapy.layers.inet import TCP
from scapy.utils import rdpcap, wrpcap

from ocppscope.wire.tcp import MAX_JUMP
from support_cli import CAPTURES, run

CAPTURE = CAPTURES / "remote_start_stop.pcap"
FROM = 40
"""The first packet that lies elsewhere."""


def moved(path: Path, station: int, csms: int) -> Path:
    """The capture with the sequence numbers of both sides shifted, from `FROM` on."""
    packets = rdpcap(str(CAPTURE))
    client = packets[0][TCP].sport
    for packet in packets[FROM:]:
        own, other = (station, csms) if packet[TCP].sport == client else (csms, station)
        packet[TCP].seq = (packet[TCP].seq + own) % 2**32
        packet[TCP].ack = (packet[TCP].ack + other) % 2**32
    wrpcap(str(path), packets)
    return path


def texts(path: Path) -> list[str]:
    done = run("log", "--format", "jsonl", path)
    assert done.code == 0
    return sorted(row["text"] for row in map(json.loads, done.lines) if row.get("text"))


@pytest.mark.parametrize("csms", [0, MAX_JUMP + 7, 3 << 30])
@pytest.mark.parametrize("station", [MAX_JUMP + 1, 1 << 31, (1 << 32) - 2 * MAX_JUMP])
def test_no_message_is_lost_and_it_is_said(tmp_path: Path, station: int, csms: int):
    path = moved(tmp_path / "moved.pcap", station, csms)
    assert texts(path) == texts(CAPTURE)
    shown = run("log", path).out
    assert "goes on far away" in shown
    assert "tcp.far-segment" in shown
