"""Open OCPP Trace: a golden, the schema, and that our reader gets the same messages from it."""

from __future__ import annotations

import json

import pytest
from support_export import (
    CAPTURES,
    NOTED,
    START_NS,
    Given,
    capture_evidence,
    check_golden,
    connection,
    hostile,
    is_harmless,
    message,
    noted_evidence,
    rows_of,
    written,
)

from ocppscope.export import trace
from ocppscope.export.evidence import Row
from ocppscope.model import ConnectionOpened, ControlFrame, Kind, Side

TYPES = {"CALL", "CALLRESULT", "CALLERROR"}


def records(content: bytes) -> list[dict]:
    return [json.loads(line) for line in content.decode().split("\n")[:-1]]


def test_golden(tmp_path):
    check_golden("remote_start_stop.ocpptrace", written("trace", noted_evidence(tmp_path)))


def test_a_record():
    record = records(written("trace", capture_evidence(CAPTURES / "remote_start_stop.pcap")))[1]
    assert {key: value for key, value in record.items() if key not in ("raw", "meta")} == {
        "schemaVersion": "1.1", "timestamp": "2026-11-22T11:47:52.397288Z", "ocppVersion": "1.6", "transport": "json",
        "chargePointId": "CP-DEMO-01", "direction": "csms-to-cp", "messageType": "CALLRESULT",
        "messageId": "cd613e30-d8f1-4adf-91b7-584a2265b1f5", "action": "BootNotification",
        "payload": {"status": "Accepted", "currentTime": "2026-11-22T11:47:52.393Z", "interval": 300},
    }  # fmt: skip
    assert json.loads(record["raw"]) == [3, record["messageId"], record["payload"]]
    assert record["meta"]["ocppscope"]["latency_ns"] == 10_879_000


def test_what_was_said_and_what_happened(tmp_path):
    metas = [one["meta"]["ocppscope"] for one in records(written("trace", noted_evidence(tmp_path)))]
    assert [(one["mark"], one["note"]) for one in metas if "note" in one] == [("a", NOTED)]
    assert [[said["rule"] for said in one["findings"]] for one in metas if "findings" in one] == [["tx-very-short"]]
    assert [one["type"] for one in metas[0]["before"]] == ["opened"]
    assert [one["type"] for one in metas[-1]["after"]][-1] == "closed"
    assert all("before" not in one for one in metas[1:])


def own_checks(record: dict) -> None:
    """What the schema asks, in our words."""
    assert record["schemaVersion"] == "1.1"
    assert record["transport"] == "json"
    assert record["direction"] in ("cp-to-csms", "csms-to-cp")
    assert record["messageType"] in TYPES
    assert isinstance(record["raw"], str)
    assert isinstance(record["meta"], dict)
    assert ("error" in record) == (record["messageType"] == "CALLERROR")
    assert "action" in record or record["messageType"] != "CALL"
    assert record.get("ocppVersion") != "?"


@pytest.mark.parametrize("name", ["remote_start_stop", "several_stations", "malformed", "ocpp21_send"])
def test_records_have_what_the_schema_asks(name):
    for record in records(written("trace", capture_evidence(CAPTURES / f"{name}.pcap"))):
        own_checks(record)


@pytest.mark.shared
def test_the_schema_itself(shared):
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    schema = json.loads((shared / "logs/open-ocpp-trace/schema/trace-v1.schema.json").read_text())
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    sources = [capture_evidence(path) for path in sorted(CAPTURES.glob("*.pcap"))]
    for evidence in (*sources, hostile()):
        for record in records(written("trace", evidence)):
            assert [error.message for error in validator.iter_errors(record)] == []


@pytest.mark.parametrize("name", ["remote_start_stop", "malformed", "ocpp16_deflate", "ocpp21_send", "fragmented"])
def test_our_reader_gets_the_same_messages(tmp_path, name):
    evidence = capture_evidence(CAPTURES / f"{name}.pcap", legs=True)
    path = tmp_path / "a.ocpptrace"
    path.write_bytes(written("trace", evidence))

    def content(rows):
        return [
            (one.message.time_ns, one.message.side, one.message.text.decode("utf-8", "replace"))
            for one in sorted(rows, key=lambda row: row.message.time_ns)
            if one.message.text not in (b"", b'[3,"",{}]')  # the form has no word for a message without a byte
        ]

    assert content(rows_of(capture_evidence(path))) == content(rows_of(evidence))


def test_hostile_texts(tmp_path):
    evidence = hostile()
    content = written("trace", evidence)
    assert is_harmless(content.decode())
    for row, record in zip(rows_of(evidence), records(content), strict=True):
        own_checks(record)
        assert record["raw"] == row.message.text.decode("utf-8", "replace")
        if record["raw"].encode() != row.message.text:
            assert "raw_base64" in record["meta"]["ocppscope"]


def test_events_with_a_message_are_bounded():
    frames = [ControlFrame(START_NS, 0, Side.STATION, 9, b"", (1,))] * (trace.MAX_AROUND + 7)
    row = rows_of(hostile())[0]
    (record,) = records(written("trace", Given([row, *frames])))
    after = record["meta"]["ocppscope"]["after"]
    assert len(after) == trace.MAX_AROUND + 1
    assert after[-1] == {"type": "more", "count": 7}


def test_a_payload_that_is_no_utf_8_is_written_with_what_can_be_read_of_it():
    octets = b'[2,"1","DataTransfer",{"vendorId":"v\xb0"}]'
    row = Row(0, message(octets, kind=Kind.CALL, action="DataTransfer"))
    record = json.loads(written("trace", Given([ConnectionOpened(START_NS, connection()), row])).splitlines()[0])
    assert record["payload"] == {"vendorId": "v\ufffd"}
