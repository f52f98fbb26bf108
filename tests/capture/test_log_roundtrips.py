"""What `log` prints of a capture, in any form that is also read, gives the same messages again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ocppscope.model import Message, Side
from support_cli import run as command
from support_engine import CAPTURES
from support_engine import run as decode
from support_logs import read

NAMES = [path.name for path in sorted(CAPTURES.glob("*.pcap*"))]


def decoded(path: Path) -> list[Message]:
    return decode(path).messages


def identity(message: Message, *, pairs: bool = True) -> tuple[Any, ...]:
    found = (message.time_ns, message.side, message.kind, message.id, message.action, message.text)
    return (*found, message.latency_ns, message.outcome) if pairs else found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("events", [True, False])
def test_jsonl(tmp_path: Path, name: str, events: bool) -> None:
    path = tmp_path / "a.jsonl"
    done = command("log", "-q", "--legs", "--format", "jsonl", *(["--events"] if events else []), CAPTURES / name)
    path.write_text(done.out)
    expected = decoded(CAPTURES / name)
    if not expected:
        pytest.skip("it holds no messages")
    assert [identity(one) for one in read(path).messages] == [identity(one) for one in expected]


def is_json(text: bytes) -> bool:
    """Whether a text survives being laid out."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.log"
    done = command("log", "-q", "--legs", "--full", "-t", "ad.9", CAPTURES / name)
    path.write_text(done.out)
    expected = decoded(CAPTURES / name)
    if not expected:
        pytest.skip("it holds no messages")
    found = read(path).messages
    assert len(found) == len(expected)
    kept = [(one, other) for one, other in zip(found, expected, strict=True) if is_json(other.text)]
    assert [identity(one)[:5] for one, _ in kept] == [identity(other)[:5] for _, other in kept]
    assert [json.loads(one.text) for one, _ in kept] == [json.loads(other.text) for _, other in kept]


def record(message: Message, station: str, version: str) -> str:
    side = "cp-to-csms" if message.side is Side.STATION else "csms-to-cp"
    seconds, rest = divmod(message.time_ns, 10**9)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09}Z"
    return json.dumps(
        {
            "schemaVersion": "1.1", "timestamp": stamp, "ocppVersion": version, "transport": "json",
            "chargePointId": station, "direction": side, "messageType": message.kind.name, "messageId": message.id,
            "action": message.action, "payload": {}, "raw": message.text.decode(),
        }
    )  # fmt: skip


@pytest.mark.parametrize("name", ["clean16.pcap", "clean201.pcap", "clean21.pcap", "several_stations.pcap"])
def test_trace(tmp_path: Path, name: str) -> None:
    run = decode(CAPTURES / name)
    path = tmp_path / "a.jsonl"
    known = {one.number: one for one in run.opened}
    lines = [record(one, known[one.connection].station, known[one.connection].version.value) for one in run.messages]
    path.write_text("\n".join(lines))
    assert [identity(one) for one in read(path).messages] == [identity(one) for one in run.messages]


@pytest.mark.parametrize("name", ["several_stations.pcap", "refused_handshakes.pcap", "midstream.pcap"])
def test_connections_are_the_same_by_jsonl(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(command("log", "-q", "--legs", "--format", "jsonl", "--events", CAPTURES / name).out)
    expected, found = decode(CAPTURES / name).connections, read(path).run.connections

    def told(one: Any) -> tuple[Any, ...]:
        protocol = one.handshake.protocol if one.handshake else None
        refused = one.handshake is not None and not one.handshake.upgraded  # the log of one ends with the answer
        ended = (one.close_how, one.closed_by) if not refused else None
        return one.station, one.flow, one.version, protocol, ended, one.messages

    assert {number: told(one) for number, one in found.items()} == {
        number: told(one) for number, one in expected.items()
    }
