"""The project's own captures are complete: truth log, README line, recipe, size; and the truth logs are sound."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

CAPTURES = Path(__file__).parents[2] / "captures"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
LOGS = sorted(path.name.removesuffix(".truth.jsonl") for path in CAPTURES.glob("*.truth.jsonl"))
README = (CAPTURES / "README.md").read_text()
PCAP_MAGIC = {bytes.fromhex("d4c3b2a1"), bytes.fromhex("4d3cb2a1")}  # microseconds, nanoseconds; little endian
SIZE_OF_ALL = 2_000_000  # bytes, with the truth logs


def truth(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    meta, *events = map(json.loads, (CAPTURES / f"{name}.truth.jsonl").read_text().splitlines())
    return meta, events


def test_there_are_captures_and_each_has_its_log() -> None:
    assert len(NAMES) >= 10
    assert NAMES == LOGS


def test_readme_has_one_line_a_capture() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == NAMES


def test_each_capture_can_be_recorded_again() -> None:
    recorder = str(CAPTURES / "recorder" / "record.py")
    listed = subprocess.run([sys.executable, recorder, "--list"], capture_output=True, text=True, check=True)
    assert sorted(line.split()[0] for line in listed.stdout.splitlines()) == NAMES


def test_all_stay_small() -> None:
    files = [*CAPTURES.glob("*.pcap"), *CAPTURES.glob("*.jsonl")]
    assert sum(path.stat().st_size for path in files) < SIZE_OF_ALL


@pytest.mark.parametrize("name", NAMES)
def test_capture_is_a_pcap_of_its_window(name: str) -> None:
    data = (CAPTURES / f"{name}.pcap").read_bytes()
    meta, _ = truth(name)
    assert data[:4] in PCAP_MAGIC
    first = int.from_bytes(data[24:28], "little")
    assert int(meta["capture_started"]) - 1 <= first <= meta["stop"]
    assert meta["capture"] == f"{name}.pcap"


@pytest.mark.parametrize("name", NAMES)
def test_truth_log_is_sound(name: str) -> None:
    meta, events = truth(name)
    messages = [event for event in events if event["kind"] == "msg"]
    assert meta["kind"] == "meta"
    assert meta["name"] == name
    assert [event["i"] for event in events] == list(range(len(events)))
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)
    assert {event["kind"] for event in events} <= {"open", "msg", "close", "reject"}
    assert {event["cp"] for event in events} == set(meta["ids"])
    assert {event["dir"] for event in messages} == {"cp->csms", "csms->cp"}
    statuses = Counter(event["status"] for event in messages)
    for status in ("delivered", "sent_only", "recv_only"):
        assert meta["counts"][status] == statuses[status]


@pytest.mark.parametrize("name", NAMES)
def test_a_message_is_received_after_it_was_sent(name: str) -> None:
    delivered = [event for event in truth(name)[1] if event.get("status") == "delivered"]
    assert delivered
    assert all(event["sent_t"] <= event["recv_t"] for event in delivered)


@pytest.mark.parametrize("name", NAMES)
def test_uncaptured_messages_have_a_reason(name: str) -> None:
    meta, events = truth(name)
    uncaptured = [event for event in events if event.get("captured") is False]
    removed = [change for change in meta.get("edited", {}).get("changes", ()) if "order" in change]
    early = [event for event in uncaptured if event["t"] < meta["capture_started"]]
    assert len(uncaptured) == len(removed) + len(early) == meta["counts"]["uncaptured"]
    assert bool(early) == meta.get("midstream", False)
